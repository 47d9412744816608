#include "compiler/front/ast_build.h"
void complain(Build *b, const Parser *parser, const Line *line, uint32_t at) {
  (void)parser;
  const Token *t = &line->tokens[at];
  Str text = {b->text + (t->tok.span.at - b->base), t->tok.span.size};
  DIAG_ADD(b->diags, DIAG_UNEXPECTED, t->tok.span, text);
}
