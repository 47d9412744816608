/* Logical lines: what belongs together, and how deep it stands.
**
** A line ends at its line break unless a bracket is open or the next line that says
** anything starts with `|>` or `.`. Inside brackets lines stand deeper than the
** statement they belong to, closers aside: that confines a forgotten bracket to its
** statement. Tabs do not indent. */
#include "compiler/front/token.h"
#include "vm/base/mem.h"

void layout_init(Layout *layout, Names *names, Diags *diags, Str text, uint32_t base) {
  *layout = (Layout){0};
  layout->lexer = (Lexer){.text = text.at,
                          .at = text.at,
                          .end = text.at + text.size,
                          .base = base,
                          .names = names,
                          .diags = diags};
}

void layout_deinit(Layout *layout) { mem_free(layout->line.tokens); }

static Token *token_add(Line *line) {
  if (UNLIKELY(line->count == line->cap)) {
    line->tokens = mem_grow(line->tokens, &line->cap, line->count + 1, sizeof(Token));
  }
  return &line->tokens[line->count++];
}

/* ---- between lines ---- */

typedef struct Start {
  const char *at;   /* first byte that says something */
  const char *line; /* beginning of its line */
  const char *tab;  /* a tab in its indentation, or NULL */
  Str doc;          /* the `##` lines right above */
} Start;

static const char *skip_line(const char *at, const char *end) {
  const char *stop = memchr(at, '\n', (size_t)(end - at));
  return stop ? stop + 1 : end;
}

/* From the beginning of a line over blank and comment lines to the first that says something. */
static Start find_start(const char *at, const char *end) {
  Start start = {0};
  for (;;) {
    start.line = at;
    start.tab = NULL;
    while (*at == ' ' || *at == '\t') {
      if (*at == '\t' && !start.tab) start.tab = at;
      at++;
    }
    start.at = at;
    bool comment = *at == '#', blank = *at == '\n' || (*at == '\r' && at[1] == '\n');
    if (!comment && !blank) return start;
    at = skip_line(at, end);
    bool doc = comment && start.at[1] == '#' && start.at[2] != '#';
    if (!doc) start.doc = (Str){0};
    else if (!start.doc.at) start.doc.at = start.at;
    if (doc) start.doc.size = (size_t)(at - start.doc.at);
  }
}

/* The column of the line's first byte; a tab counts up to the next multiple of four. */
static uint32_t start_column(const Start *start) {
  if (LIKELY(!start->tab)) return (uint32_t)(start->at - start->line);
  uint32_t column = 0;
  for (const char *p = start->line; p < start->at; p++)
    column = *p == '\t' ? (column | 3) + 1 : column + 1;
  return column;
}

static void tell_tab(Lexer *lexer, const Start *start) {
  const char *end = start->tab;
  while (*end == '\t') end++;
  Diag *diag = LEX_ERROR0(lexer, DIAG_TAB_INDENT, lex_span(lexer, start->tab, end));
  diag_fix(diag, STR("  "));
}

static bool continues(const char *at) {
  if (*at == '|') return at[1] == '>';
  if (*at == '?' && at[1] == '.') at++;
  return *at == '.' && at[1] != '.';
}

/* ---- depth ---- */

static void set_depth(Layout *layout, const Start *start) {
  uint32_t column = start_column(start), top = layout->indents[layout->depth];
  Line *line = &layout->line;
  if (column == top) return;
  if (column > top) {
    line->indented = true;
    if (layout->depth == LIMIT_NESTING) {
      LEX_ERROR(&layout->lexer, DIAG_TOO_DEEP, lex_span(&layout->lexer, start->at, start->at + 1),
                STR("200"), STR("nested blocks"));
      line->indented = false;
      return;
    }
    layout->indents[++layout->depth] = column;
    return;
  }
  while (layout->indents[layout->depth] > column) {
    layout->depth--;
    line->dedents++;
  }
  uint32_t open = layout->indents[layout->depth];
  if (open == column) return;
  Diag *diag =
      LEX_ERROR(&layout->lexer, DIAG_BAD_DEDENT, lex_span(&layout->lexer, start->line, start->at),
                diag_format(layout->lexer.diags, "%u", column));
  uint32_t deeper = layout->indents[layout->depth + 1];
  diag_help(diag, diag_format(layout->lexer.diags, "the blocks around it stand at %u and %u spaces",
                              open, deeper));
  layout->indents[++layout->depth] = column; /* read on as the inner block */
  line->dedents--;
}

/* ---- brackets over several lines ---- */

/* The bracket is not closed where it should be: told once, at its opening. */
static void tell_unclosed(Lexer *lexer, const char *where) {
  const Bracket *open = &lexer->brackets[lexer->depth - 1];
  const char *at = lexer->text + open->offset;
  if (open->kind == '$') {
    LEX_ERROR0(lexer, DIAG_UNCLOSED_INTERPOLATION, lex_span(lexer, at - 1, at + 1));
    return;
  }
  char closer = open->kind == '(' ? ')' : open->kind == '[' ? ']' : '}';
  Diag *diag = LEX_ERROR(lexer, DIAG_UNCLOSED_BRACKET, lex_span(lexer, at, at + 1), (Str){at, 1},
                         diag_format(lexer->diags, "%c", closer));
  if (where >= lexer->end) return;
  diag_note(lexer->diags, diag, lex_span(lexer, where, where + 1),
            STR("this line stands no deeper, so it is read as the next statement"));
}

/* An interpolation left open in a block string: the statement goes on behind the string. */
static bool skip_block_string(Lexer *lexer) {
  uint32_t outer = lexer->depth - 1;
  bool block = lexer->brackets[outer].kind == '$' && lexer->brackets[outer].block;
  const char *end = block ? memmem(lexer->at, (size_t)(lexer->end - lexer->at), "\"\"\"", 3) : NULL;
  lexer->depth = end ? outer : 0;
  if (end) lexer->at = end + 3;
  return end != NULL;
}

/* At a line break inside brackets: true if the statement goes on in the next line. */
static bool bracket_goes_on(Layout *layout, uint32_t column) {
  Lexer *lexer = &layout->lexer;
  Start start = find_start(lexer->at, lexer->end);
  bool closer = *start.at == ')' || *start.at == ']' || *start.at == '}';
  bool inside = lexer->brackets[lexer->depth - 1].kind != '$';
  bool ended = start.at == lexer->end;
  if (inside && !ended && (closer || start_column(&start) > column)) {
    if (start.tab) tell_tab(lexer, &start);
    lexer->at = start.at;
    return true;
  }
  tell_unclosed(lexer, start.at);
  return skip_block_string(lexer);
}

/* ---- a line ---- */

static bool told_enough(const Lexer *lexer) {
  return lexer->diags->error_count >= LIMIT_DIAGNOSTICS;
}

/* A file may not be endless, since the tree it makes is far larger than its text; and who has been
** told of a hundred errors has enough to do. */
static bool too_long(Layout *layout) {
  Lexer *lexer = &layout->lexer;
  bool enough = told_enough(lexer);
  if (LIKELY(++layout->token_count <= LIMIT_SOURCE_TOKENS && !enough)) return false;
  if (!enough) {
    LEX_ERROR(lexer, DIAG_TOO_DEEP, lex_span(lexer, lexer->at, lexer->at),
              diag_format(lexer->diags, "%" PRIu64, LIMIT_SOURCE_TOKENS),
              STR("words and signs in one file"));
  }
  lexer->reported = true;
  lexer->at = lexer->end;
  lexer->depth = 0;
  return true;
}

static bool statement_goes_on(Layout *layout, uint32_t column) {
  Lexer *lexer = &layout->lexer;
  if (lexer->depth > 0) return bracket_goes_on(layout, column);
  const char *at = lexer->at;
  while (*at == ' ') at++;
  if (LIKELY(*at != '|' && *at != '.' && *at != '?' && *at != '#' && *at != '\n' && *at != '\r' &&
             *at != '\t')) {
    return false;
  }
  Start start = find_start(lexer->at, lexer->end);
  if (!continues(start.at)) return false;
  lexer->at = start.at;
  return true;
}

static void read_tokens(Layout *layout, uint32_t column) {
  Lexer *lexer = &layout->lexer;
  Line *line = &layout->line;
  for (;;) {
    Token *token = token_add(line);
    uint16_t kind = lex_token(lexer, token);
    if (UNLIKELY(too_long(layout))) kind = 0;
    if (LIKELY(kind != LEX_END_OF_LINE && kind != 0)) continue;
    bool ended = kind == 0;
    if (ended && lexer->depth > 0) tell_unclosed(lexer, lexer->end);
    if (!ended && statement_goes_on(layout, column)) {
      line->count--;
      continue;
    }
    token->kind = TK_NEWLINE;
    if (ended) lexer->depth = 0;
    return;
  }
}

/* A comment as other languages write it, at the beginning of a line: told and left out. */
static bool skip_slashes(Lexer *lexer) {
  const char *at = lexer->at;
  if (at[1] != '/' && at[1] != '*') return false;
  LEX_ERROR0(lexer, DIAG_SLASH_COMMENT, lex_span(lexer, at, at + 2));
  if (at[1] == '*' && !lexer->no_comment_end) {
    const char *end = memmem(at, (size_t)(lexer->end - at), "*/", 2);
    lexer->no_comment_end = end == NULL;
    if (end) at = end + 2;
  }
  lexer->at = skip_line(at, lexer->end);
  return true;
}

/* Where the next line that says something begins. */
static Start next_start(Lexer *lexer) {
  for (;;) {
    Start start = find_start(lexer->at, lexer->end);
    lexer->at = start.at;
    if (UNLIKELY(start.tab != NULL) && start.at < lexer->end) tell_tab(lexer, &start);
    if (LIKELY(*start.at != '/') || told_enough(lexer) || !skip_slashes(lexer)) return start;
  }
}

void layout_next(Layout *layout) {
  Lexer *lexer = &layout->lexer;
  Line *line = &layout->line;
  *line = (Line){.tokens = line->tokens, .cap = line->cap};
  Start start = next_start(lexer);
  lexer->reported = start.tab != NULL;
  lexer->before = 0;
  line->doc = start.doc;
  if (start.at == lexer->end) {
    line->last = true;
    line->dedents = layout->depth;
    layout->depth = 0;
    return;
  }
  set_depth(layout, &start);
  read_tokens(layout, layout->indents[layout->depth]);
  line->reported = lexer->reported;
}
