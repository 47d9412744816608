/* The driver: lines from the layout, words marked, tokens to the parser, and what to
** do when one does not fit.
**
** At the first token of a line everything before it has been reduced, so the stack
** below that token stays as it is until the line is done. A line that fails is undone
** by cutting the stack there; a BADLINE stands for it, and parsing goes on with the
** next one. No copy of the stack is ever made. */
#include "compiler/front/parse.h"

#include "compiler/front/ast_build.h"
#include "vm/base/mem.h"
#include "vm/base/text.h"

enum { NESTING_FRAMES = 202 };

/* An open block, as deep as the layout says. */
typedef struct Frame {
  uint8_t kind; /* BlockKind */
  bool fed;     /* the parser was told of it: it must be told of its end */
  bool swallow; /* its lines are left out: they belong to a header that made no sense */
} Frame;

typedef enum { AFTER_PLAIN, AFTER_HEADER, AFTER_BAD } After;

typedef struct Reader {
  Build build;
  Parser *parser;
  Layout layout;
  Frame frames[NESTING_FRAMES];
  uint32_t depth;
  After after;   /* what the line before was */
  uint16_t head; /* its first token */
  Span header;   /* its span, for the missing block */
} Reader;

static bool feed(Reader *r, uint16_t kind, Tok tok) {
  r->build.failed = false;
  front_parse(r->parser, kind, tok);
  return !r->build.failed;
}

static bool feed_bare(Reader *r, uint16_t kind) { return feed(r, kind, (Tok){.span = {0, 0}}); }

/* ---- blocks ---- */

static BlockKind block_kind(uint16_t head) {
  if (head == TK_TOOL) return BLOCK_TOOL;
  if (head == TK_MATCH) return BLOCK_ARMS;
  if (head == TK_AGENT) return BLOCK_AGENT;
  if (head == TK_ROUTER) return BLOCK_ROUTER;
  if (head == TK_HANDLER) return BLOCK_HANDLER;
  if (head == TK_WORKER) return BLOCK_WORKER;
  if (head == TK_QUEUE) return BLOCK_QUEUE;
  if (head == TK_MODEL) return BLOCK_MODEL;
  if (head == TK_AI_AGENT) return BLOCK_AI_AGENT;
  if (head == TK_TEST) return BLOCK_TEST;
  return head == TK_TYPE ? BLOCK_FIELDS : BLOCK_PLAIN;
}

static void missing_block(Reader *r) {
  Diag *diag = DIAG_ADD0(r->build.diags, DIAG_MISSING_BLOCK, r->header);
  diag_help(diag, STR("indent the lines that belong to it, or write `pass`"));
  feed_bare(r, TK_INDENT);
  feed(r, TK_BADLINE, (Tok){.span = r->header});
  feed_bare(r, TK_NEWLINE);
  feed_bare(r, TK_DEDENT);
}

static void close_blocks(Reader *r, uint32_t count) {
  for (; count > 0; count--) {
    ASSERT(r->depth > 0);
    if (r->frames[r->depth--].fed) feed_bare(r, TK_DEDENT);
  }
}

static void open_block(Reader *r, const Line *line) {
  Frame outer = r->frames[r->depth], *frame = &r->frames[++r->depth];
  *frame = (Frame){.kind = outer.kind, .swallow = outer.swallow};
  if (outer.swallow) return;
  bool body = block_kind(r->head) != BLOCK_PLAIN && r->head != TK_TOOL && r->head != TK_MATCH;
  bool declared = body || r->head == TK_EXTERN || r->build.swallow;
  if (r->after == AFTER_PLAIN) {
    if (line->count > 0)
      DIAG_ADD0(r->build.diags, DIAG_UNEXPECTED_INDENT, line->tokens[0].tok.span);
    return;
  }
  if (r->after == AFTER_BAD && (declared || !parser_accepts(r->parser, TK_INDENT))) {
    frame->swallow = true;
    return;
  }
  frame->kind = (uint8_t)block_kind(r->head);
  frame->fed = true;
  feed_bare(r, TK_INDENT);
}

/* ---- a line ---- */

static Span line_span(const Line *line) {
  uint32_t last = line->count >= 2 ? line->count - 2 : 0;
  return span_join(line->tokens[0].tok.span, line->tokens[last].tok.span);
}

static uint16_t bad_kind(const Reader *r, uint16_t head) {
  bool handler = head == TK_CATCH || head == TK_FINALLY;
  uint16_t kind = head == TK_TOOL    ? TK_BADTOOL
                  : head == TK_MATCH ? TK_BADMATCH
                  : handler          ? TK_BADCATCH
                                     : TK_BADLINE;
  return kind != TK_BADLINE && parser_accepts(r->parser, kind) ? kind : TK_BADLINE;
}

/* Before a token is refused the parser makes the reductions it makes by default, and forgets by
** them what else could have followed. So the line is read again up to there. */
static void reread(Reader *r, const Line *line, uint32_t at, uint32_t height) {
  parser_cut(r->parser, height);
  for (uint32_t i = 0; i < at; i++) feed(r, line->tokens[i].kind, line->tokens[i].tok);
}

static void recover(Reader *r, const Line *line, uint32_t at, uint32_t height) {
  r->build.swallow = false;
  if (!line->reported) {
    if (at > 0) reread(r, line, at, height);
    complain(&r->build, r->parser, line, at);
  }
  if (at > 0) parser_cut(r->parser, height);
  r->after = AFTER_BAD;
  uint16_t kind = bad_kind(r, line->tokens[0].kind);
  if (!parser_accepts(r->parser, kind)) return;
  feed(r, kind, (Tok){.span = line_span(line)});
  feed_bare(r, TK_NEWLINE);
}

/* A token adds at most a few levels to the stack, so only very long lines need to look. */
static bool stack_full(const Reader *r) { return parser_height(r->parser) + 16 > PARSER_STACK; }

static bool too_deep(Reader *r, const Line *line, uint32_t at) {
  DIAG_ADD(r->build.diags, DIAG_TOO_DEEP, line->tokens[at].tok.span, STR("200"),
           STR("levels in one expression"));
  return true;
}

static void feed_line(Reader *r, Line *line) {
  const Token *tokens = line->tokens;
  r->head = tokens[0].kind;
  r->after = AFTER_PLAIN;
  if (!feed(r, tokens[0].kind, tokens[0].tok)) {
    r->build.doc = line->doc;
    recover(r, line, 0, 0);
    return;
  }
  r->build.doc = line->doc;
  uint32_t height = parser_height(r->parser) - 1;
  bool careful = height + line->count > PARSER_STACK / 2;
  for (uint32_t at = 1; at < line->count; at++) {
    if (UNLIKELY(careful) && stack_full(r)) line->reported = too_deep(r, line, at);
    else if (LIKELY(feed(r, tokens[at].kind, tokens[at].tok))) continue;
    recover(r, line, at, height);
    return;
  }
  if (tokens[line->count - 2].kind != TK_COLON || line->count < 2) return;
  r->after = AFTER_HEADER;
  r->header = line_span(line);
}

static void read_lines(Reader *r) {
  Line *line = &r->layout.line;
  for (;;) {
    layout_next(&r->layout);
    if (r->after == AFTER_HEADER && !line->indented) missing_block(r);
    close_blocks(r, line->dedents);
    if (line->last) break;
    if (line->indented) open_block(r, line);
    if (r->frames[r->depth].swallow) continue;
    words_mark(&r->layout.lexer, line, (BlockKind)r->frames[r->depth].kind);
    if (line->count > 1) feed_line(r, line);
  }
  feed_bare(r, 0);
}

/* ---- a file ---- */

/* The first byte that is no UTF-8. */
static size_t bad_byte(Str text) {
  size_t at = 0;
  while (at < text.size) {
    size_t step = 1;
    while (at + step < text.size && step < 4 && ((uint8_t)text.at[at + step] & 0xc0) == 0x80)
      step++;
    if (!utf8_valid((Str){text.at + at, step})) return at;
    at += step;
  }
  return at;
}

static bool is_text(Diags *diags, const Source *source) {
  if (utf8_valid(source->text)) return true;
  size_t at = bad_byte(source->text);
  Diag *diag = DIAG_ADD0(diags, DIAG_NOT_UTF8, ((Span){source->base + (uint32_t)at, 1}));
  diag_label(diag, diag_format(diags, "byte 0x%02x", (unsigned)(uint8_t)source->text.at[at]));
  return false;
}

Unit *parse_unit(Arena *arena, Names *names, Diags *diags, uint32_t source) {
  Unit *unit = ARENA_NEW(arena, Unit);
  const Source *file = &diags->sources[source];
  unit->source = source;
  unit->standard = file->standard;
  if (!is_text(diags, file)) return unit;
  Str text = arena_str(arena, file->text); /* ends in a zero byte, which the lexer needs */
  Reader *r = MEM_NEW(Reader);
  r->parser = mem_alloc(sizeof(Parser));
  r->build = (Build){.arena = arena,
                     .diags = diags,
                     .names = names,
                     .text = text.at,
                     .base = file->base,
                     .unit = unit};
  layout_init(&r->layout, names, diags, text, file->base);
  front_parseInit(r->parser, &r->build);
  read_lines(r);
  layout_deinit(&r->layout);
  mem_free(r->parser);
  mem_free(r);
  return unit;
}
