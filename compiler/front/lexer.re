/* Bytes to tokens. Knows shapes only: which names are words is decided by words.c,
** what a line is by layout.c. Every byte is looked at once; the text ends in a zero
** byte, so no rule needs to ask where the end is.
**
** Whatever is wrong is reported here, where the place is known, and read as what was
** most likely meant, so that one slip gives one error. */
#include "compiler/front/token.h"

Span lex_span(const Lexer *lexer, const char *from, const char *to) {
  return (Span){lexer->base + (uint32_t)(from - lexer->text), (uint32_t)(to - from)};
}

Diag *lex_error(Lexer *lexer, DiagId id, Span span, const Str *args, size_t count) {
  lexer->reported = true;
  return diag_add(lexer->diags, id, span, args, count);
}

/* ---- brackets ---- */

/* False past the limit; then the rest of the line is left out. */
static bool bracket_open(Lexer *lexer, char kind, bool block, const char *from) {
  if (lexer->depth == LIMIT_NESTING) {
    LEX_ERROR(lexer, DIAG_TOO_DEEP, lex_span(lexer, from, from + 1), STR("200"),
              STR("nested brackets"));
    lexer->depth = 0;
    const char *stop = memchr(from, '\n', (size_t)(lexer->end - from));
    lexer->at = stop ? stop : lexer->end;
    return false;
  }
  lexer->brackets[lexer->depth++] = (Bracket){kind, block, (uint32_t)(from - lexer->text)};
  return true;
}

static char bracket_top(const Lexer *lexer) {
  return lexer->depth > 0 ? lexer->brackets[lexer->depth - 1].kind : 0;
}

static char closer_of(char open) { return open == '(' ? ')' : open == '[' ? ']' : '}'; }

static void note_opener(Lexer *lexer, Diag *diag, const Bracket *open) {
  const char *at = lexer->text + open->offset;
  diag_note(lexer->diags, diag, lex_span(lexer, at, at + 1), STR("opened here"));
}

/* A closer that does not fit closes what is open all the same. */
static void bracket_close(Lexer *lexer, char open, const char *from) {
  char top = bracket_top(lexer);
  Str text = {from, 1};
  if (top == 0) {
    LEX_ERROR(lexer, DIAG_STRAY_CLOSER, lex_span(lexer, from, from + 1), text);
    return;
  }
  Bracket *bracket = &lexer->brackets[--lexer->depth];
  if (top == open) return;
  char want = closer_of(top);
  for (uint32_t outer = lexer->depth; outer-- > 0 && lexer->brackets[outer].kind != '$';) {
    if (lexer->brackets[outer].kind != open) continue;
    lexer->depth = outer; /* it closes the one it fits, and what is open inside that */
    break;
  }
  Diag *diag = LEX_ERROR(lexer, DIAG_WRONG_CLOSER, lex_span(lexer, from, from + 1), text,
                         diag_format(lexer->diags, "%c", top == '$' ? '{' : top),
                         diag_format(lexer->diags, "%c", want));
  note_opener(lexer, diag, bracket);
  if (top == '$') lexer->depth++; /* the string goes on after its own `}` */
}

/* ---- strings ---- */

static bool is_hex(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

static uint32_t hex_digit(char c) { return (uint32_t)(c <= '9' ? c - '0' : (c | 32) - 'a' + 10); }

/* \u00e9, as many languages write it: the form with braces is offered. */
static void offer_braces(Lexer *lexer, Diag *diag, const char *at) {
  size_t digits = 0;
  while (digits < 4 && is_hex(at[digits])) digits++;
  if (digits < 4) return;
  Str fix = diag_format(lexer->diags, "\\u{%.4s}", at);
  diag_label(diag, diag_format(lexer->diags, "write " STR_FMT, STR_ARG(fix)));
  diag->span.size = 6;
  diag_fix(diag, fix);
}

/* at: behind `\u`. Returns what follows the escape. */
static const char *check_unicode(Lexer *lexer, const char *at) {
  const char *p = at;
  uint32_t code = 0, digits = 0;
  if (*p == '{') {
    for (p++; is_hex(*p) && digits < 7; p++, digits++) code = code * 16 + hex_digit(*p);
  }
  bool surrogate = code >= 0xd800 && code < 0xe000;
  if (digits > 0 && digits < 7 && *p == '}' && code <= 0x10ffff && !surrogate) return p + 1;
  Span span = lex_span(lexer, at - 2, p > at ? p : at);
  offer_braces(lexer, LEX_ERROR0(lexer, DIAG_UNICODE_ESCAPE, span), at);
  return at;
}

/* at: on the backslash. */
static const char *check_escape(Lexer *lexer, const char *at) {
  char c = at[1];
  if (c == 'u') return check_unicode(lexer, at + 2);
  if (c != 0 && strchr("nrt\\\"$", c)) return at + 2;
  if (lexer->diags->error_count >= LIMIT_DIAGNOSTICS) return at + 1;
  const char *end = at + 1;
  if (c != '\n' && c != '\r' && at + 1 < lexer->end) {
    end++;
    while (((uint8_t)*end & 0xc0) == 0x80) end++;
  }
  Str text = {at, (size_t)(end - at)};
  Diag *diag = LEX_ERROR(lexer, DIAG_BAD_ESCAPE, lex_span(lexer, at, end), text);
  diag_help(diag, STR("write \\\\ for a backslash, or r\"…\" for text without escapes"));
  return end;
}

/* Bytes that end the plain run of a string's text. */
static const bool string_stop[256] = {
    [0] = true, ['\n'] = true, ['\r'] = true, ['"'] = true, ['\\'] = true, ['$'] = true};

static uint16_t string_end(Lexer *lexer, Token *token, uint16_t kind, const char *from,
                           const char *to, uint8_t close) {
  token->tok.span = lex_span(lexer, from, to);
  token->tok.text.close = close;
  lexer->at = to;
  return kind;
}

/* A quote without an end inside `${` was meant to end the string around it. */
static bool in_interpolation(Lexer *lexer, Token *token, const char *from, const char *to) {
  uint32_t depth = lexer->depth;
  while (depth > 0 && lexer->brackets[depth - 1].kind != '$') depth--;
  if (depth == 0) return false;
  const char *at = lexer->text + lexer->brackets[depth - 1].offset;
  LEX_ERROR0(lexer, DIAG_UNCLOSED_INTERPOLATION, lex_span(lexer, at - 1, at + 1));
  lexer->depth = 0;
  string_end(lexer, token, TK_BAD, from, to, 0);
  return true;
}

static uint16_t string_unclosed(Lexer *lexer, Token *token, uint16_t kind, const char *from,
                                const char *to) {
  bool block = token->tok.text.block;
  const char *shown = from + (block ? 3 : 1);
  if (shown > to) shown = to;
  if (!block && in_interpolation(lexer, token, from, to)) return TK_BAD;
  LEX_ERROR0(lexer, block ? DIAG_UNCLOSED_BLOCK : DIAG_UNCLOSED_STRING,
             lex_span(lexer, from, block ? shown : to));
  return string_end(lexer, token, kind, from, to, 0);
}

/* Reads text from `at` to the closing quote or `${`. `from` is where the token began. */
static uint16_t string_text(Lexer *lexer, Token *token, const char *from, const char *at,
                            bool first) {
  uint16_t whole = first ? TK_STRING : TK_INTERP_END;
  bool block = token->tok.text.block;
  for (;;) {
    while (!string_stop[(uint8_t)*at]) at++;
    uint8_t close = block ? 3 : 1;
    bool closed = *at == '"' && (!block || (at[1] == '"' && at[2] == '"'));
    if (closed) return string_end(lexer, token, whole, from, at + close, close);
    if (*at == '\\') {
      token->tok.text.escaped = true;
      at = check_escape(lexer, at);
      continue;
    }
    if (*at == '$' && at[1] == '{') {
      if (!bracket_open(lexer, '$', block, at + 1)) {
        token->tok.span = lex_span(lexer, from, at);
        return TK_BAD;
      }
      return string_end(lexer, token, first ? TK_INTERP_BEGIN : TK_INTERP_MID, from, at + 2, 2);
    }
    bool ended = *at == 0 && at == lexer->end;
    bool line = *at == '\n' || (*at == '\r' && at[1] == '\n');
    if (ended || (line && !block)) return string_unclosed(lexer, token, whole, from, at);
    at++;
  }
}

static uint16_t string_begin(Lexer *lexer, Token *token, const char *from, bool block) {
  uint8_t open = block ? 3 : 1;
  token->tok.text.open = open;
  token->tok.text.block = block;
  token->tok.text.escaped = false;
  return string_text(lexer, token, from, from + open, true);
}

/* at: on the `}` that ends an interpolation. */
static uint16_t string_resume(Lexer *lexer, Token *token, const char *at) {
  token->tok.text.open = 1;
  token->tok.text.block = lexer->brackets[--lexer->depth].block;
  token->tok.text.escaped = false;
  if (lexer->before == TK_INTERP_BEGIN || lexer->before == TK_INTERP_MID) {
    LEX_ERROR0(lexer, DIAG_EMPTY_INTERPOLATION, lex_span(lexer, at - 1, at + 1));
  }
  return string_text(lexer, token, at, at + 1, false);
}

/* r"…": no escapes, no interpolation, one line. */
static uint16_t string_raw(Lexer *lexer, Token *token, const char *from) {
  const char *at = from + 2;
  token->tok.text.open = 2;
  token->tok.text.block = token->tok.text.escaped = false;
  while (*at != '"' && *at != '\n' && !(*at == 0 && at == lexer->end)) at++;
  if (*at == '"') return string_end(lexer, token, TK_STRING, from, at + 1, 1);
  return string_unclosed(lexer, token, TK_STRING, from, at);
}

/* '…' as other languages write it: read as the string it was meant to be. */
static uint16_t string_single(Lexer *lexer, Token *token, const char *from) {
  const char *at = from + 1;
  while (*at != '\'' && *at != '\n' && !(*at == 0 && at == lexer->end)) at++;
  if (*at != '\'') {
    lexer->at = from + 1;
    token->tok.span = lex_span(lexer, from, from + 1);
    LEX_ERROR(lexer, DIAG_UNKNOWN_CHARACTER, token->tok.span, STR("'"));
    return TK_BAD;
  }
  Str inside = {from + 1, (size_t)(at - from - 1)};
  Diag *diag = LEX_ERROR0(lexer, DIAG_SINGLE_QUOTES, lex_span(lexer, from, at + 1));
  Str fix = diag_format(lexer->diags, "\"" STR_FMT "\"", STR_ARG(inside));
  if (inside.size < 60) diag_label(diag, diag_format(lexer->diags, "write " STR_FMT, STR_ARG(fix)));
  diag_fix(diag, fix);
  token->tok.text.open = 1;
  token->tok.text.block = token->tok.text.escaped = false;
  return string_end(lexer, token, TK_STRING, from, at + 1, 1);
}

/* ---- what other languages write ---- */

/* Reports, and reads on as `kind`. Where nothing sensible can be read on, brackets may tell better
** what was meant: `for (i = 0; i < n; i++)`. */
static uint16_t instead(Lexer *lexer, Token *token, const char *from, DiagId id, const char *fix,
                        uint16_t kind, uint64_t op) {
  token->tok.span = lex_span(lexer, from, lexer->at);
  token->tok.op = op;
  if (lexer->depth > 0 && (kind == TK_BAD || kind > LEX_END_OF_LINE)) return TK_BAD;
  Diag *diag = LEX_ERROR(lexer, id, token->tok.span, (Str){from, (size_t)(lexer->at - from)});
  if (fix) {
    diag_label(diag, diag_format(lexer->diags, "write `%s`", fix));
    diag_fix(diag, str_of(fix));
  }
  return kind;
}

static bool is_name_byte(char c) {
  return c == '_' || (c >= '0' && c <= '9') || ((c | 32) >= 'a' && (c | 32) <= 'z');
}

/* A character no rule knows: the whole of it, or the whole word it stands in. */
static uint16_t unknown(Lexer *lexer, Token *token, const char *from) {
  const char *at = from + 1, *begin = from;
  bool word = (uint8_t)*from >= 0x80;
  while (((uint8_t)*at & 0xc0) == 0x80) at++;
  Str text = {from, (size_t)(at - from)};
  bool quote = text.size == 3 && memcmp(from, "\xe2\x80", 2) == 0 &&
               memchr("\x98\x99\x9c\x9d", from[2], 4) != NULL; /* ‘ ’ “ ” */
  if (quote) word = false;
  while (word && ((uint8_t)*at >= 0x80 || is_name_byte(*at))) at++;
  while (word && begin > lexer->text && is_name_byte(begin[-1])) begin--;
  text = (Str){begin, (size_t)(at - begin)};
  lexer->at = at;
  token->tok.span = lex_span(lexer, begin, at);
  if (lexer->reported) return TK_BAD;
  if (*from == 0) text = STR("a zero byte");
  else if ((uint8_t)*from < ' ') text = diag_format(lexer->diags, "\\x%02x", (unsigned)*from);
  DiagId id = quote ? DIAG_SMART_QUOTE : word ? DIAG_NON_ASCII_NAME : DIAG_UNKNOWN_CHARACTER;
  LEX_ERROR(lexer, id, token->tok.span, text);
  return TK_BAD;
}

/* ---- the scanner ---- */

static uint16_t op(Token *token, uint16_t kind, uint64_t value) {
  token->tok.op = value;
  return kind;
}

static uint16_t scan(Lexer *lexer, Token *token) {
  const char *YYCURSOR = lexer->at, *YYMARKER = NULL, *from;
  token->space = false;
again:
  from = YYCURSOR;
#define GIVE(kind)                                       \
  do {                                                   \
    lexer->at = YYCURSOR;                                \
    token->tok.span = lex_span(lexer, from, YYCURSOR);   \
    return (kind);                                       \
  } while (0)
#define INSTEAD(id, fix, kind, op)                                   \
  do {                                                               \
    lexer->at = YYCURSOR;                                            \
    return instead(lexer, token, from, DIAG_##id, fix, kind, op);    \
  } while (0)
#define OPEN(character, kind)                               \
  do {                                                      \
    token->tok.span = lex_span(lexer, from, YYCURSOR);      \
    if (!bracket_open(lexer, character, false, YYCURSOR - 1)) return TK_BAD; \
    GIVE(kind);                                             \
  } while (0)
#define CLOSE(character, kind)                 \
  do {                                         \
    bracket_close(lexer, character, from);     \
    GIVE(kind);                                \
  } while (0)
  /*!re2c
    re2c:define:YYCTYPE = "unsigned char";
    re2c:yyfill:enable = 0;
    re2c:flags:case-ranges = 0;
    re2c:flags:bit-vectors = 1;

    digit = [0-9];
    letter = [A-Za-z_];
    short = "0" | [1-9] digit{0,17};

    [ \t]+            { token->space = true; goto again; }
    "#" [^\x00\n]*    { token->space = true; goto again; }
    "\r"? "\n"        { GIVE(LEX_END_OF_LINE); }
    "\x00"            {
      if (from == lexer->end) {
        YYCURSOR--;
        GIVE(0);
      }
      lexer->at = YYCURSOR;
      return unknown(lexer, token, from);
    }

    letter (letter | digit)* {
      token->tok.name = name_intern(lexer->names, (Str){from, (size_t)(YYCURSOR - from)});
      GIVE(TK_ID);
    }
    /* by far the most numbers: a few digits and nothing that goes on */
    short / [^0-9A-Za-z_.] {
      int64_t n = 0;
      for (const char *p = from; p < YYCURSOR; p++) n = n * 10 + (*p - '0');
      token->tok.integer = n;
      GIVE(TK_INT);
    }
    digit             { return literal_number(lexer, from, token); }

    "\""              { return string_begin(lexer, token, from, false); }
    "\"\"\""          { return string_begin(lexer, token, from, true); }
    "r\""             { return string_raw(lexer, token, from); }
    "'"               { return string_single(lexer, token, from); }
    [fbuFBU] "\""     {
      if (bracket_top(lexer) == '$') { /* "${a + b" rather: the quote ends the string around it */
        YYCURSOR--;
        token->tok.name = name_intern(lexer->names, (Str){from, 1});
        GIVE(TK_ID);
      }
      lexer->at = YYCURSOR - 1;
      Span prefix = lex_span(lexer, from, from + 1);
      diag_fix(LEX_ERROR(lexer, DIAG_STRING_PREFIX, prefix, (Str){from, 1}), STR(""));
      return string_begin(lexer, token, YYCURSOR - 1, false);
    }

    "("               { OPEN('(', TK_LP); }
    "["               { OPEN('[', TK_LB); }
    "?["              { OPEN('[', TK_QLB); }
    "{"               { OPEN('{', TK_LC); }
    ")"               { CLOSE('(', TK_RP); }
    "]"               { CLOSE('[', TK_RB); }
    "}"               {
      if (bracket_top(lexer) == '$') return string_resume(lexer, token, from);
      CLOSE('{', TK_RC);
    }

    ","               { GIVE(TK_COMMA); }
    ":"               { GIVE(TK_COLON); }
    "."               { GIVE(TK_DOT); }
    "?."              { GIVE(TK_QDOT); }
    ".."              { GIVE(TK_DOTDOT); }
    "..."             { GIVE(TK_ELLIPSIS); }
    "->"              { GIVE(TK_ARROW); }
    "|>"              { GIVE(TK_PIPE); }
    "|"               { GIVE(TK_BAR); }
    "?"               { GIVE(TK_QUESTION); }
    "??"              { GIVE(TK_COALESCE); }
    "="               { GIVE(TK_ASSIGN); }
    "+"               { GIVE(TK_PLUS); }
    "-"               { GIVE(TK_MINUS); }
    "*"               { GIVE(op(token, TK_STAR, BIN_MUL)); }
    "/"               { GIVE(op(token, TK_STAR, BIN_DIV)); }
    "//"              { GIVE(op(token, TK_STAR, BIN_IDIV)); }
    "%"               { GIVE(op(token, TK_STAR, BIN_MOD)); }
    "=="              { GIVE(op(token, TK_CMP, BIN_EQ)); }
    "!="              { GIVE(op(token, TK_CMP, BIN_NE)); }
    "<"               { GIVE(op(token, TK_CMP, BIN_LT)); }
    "<="              { GIVE(op(token, TK_CMP, BIN_LE)); }
    ">"               { GIVE(op(token, TK_CMP, BIN_GT)); }
    ">="              { GIVE(op(token, TK_CMP, BIN_GE)); }
    "+="              { GIVE(op(token, TK_OPASSIGN, BIN_ADD + 1)); }
    "-="              { GIVE(op(token, TK_OPASSIGN, BIN_SUB + 1)); }
    "*="              { GIVE(op(token, TK_OPASSIGN, BIN_MUL + 1)); }
    "/="              { GIVE(op(token, TK_OPASSIGN, BIN_DIV + 1)); }
    "//="             { GIVE(op(token, TK_OPASSIGN, BIN_IDIV + 1)); }
    "%="              { GIVE(op(token, TK_OPASSIGN, BIN_MOD + 1)); }
    "??="             { GIVE(op(token, TK_OPASSIGN, BIN_COALESCE + 1)); }

    "&&"              { INSTEAD(AND_OPERATOR, "and", TK_AND, 0); }
    "||"              { INSTEAD(OR_OPERATOR, "or", TK_OR, 0); }
    "!"               { INSTEAD(NOT_OPERATOR, "not", TK_NOT, 0); }
    "==="             { INSTEAD(STRICT_EQUAL, "==", TK_CMP, BIN_EQ); }
    "!=="             { INSTEAD(STRICT_EQUAL, "!=", TK_CMP, BIN_NE); }
    "<>"              { INSTEAD(STRICT_EQUAL, "!=", TK_CMP, BIN_NE); }
    ":="              { INSTEAD(WALRUS, "=", TK_ASSIGN, 0); }
    "=>"              { INSTEAD(FAT_ARROW, "->", TK_ARROW, 0); }
    "++"              { INSTEAD(INCREMENT, "+= 1", TK_BAD, 0); }
    "--"              { INSTEAD(INCREMENT, "-= 1", TK_BAD, 0); }
    "**"              { INSTEAD(POWER, NULL, TK_STAR, BIN_MUL); }
    ";"               { INSTEAD(SEMICOLON, NULL, LEX_END_OF_LINE + 1, 0); }
    "\\"              { INSTEAD(LINE_CONTINUATION, NULL, TK_BAD, 0); }

    *                 {
      lexer->at = YYCURSOR;
      return unknown(lexer, token, from);
    }
  */
#undef GIVE
#undef INSTEAD
#undef OPEN
#undef CLOSE
}

uint16_t lex_token(Lexer *lexer, Token *token) {
  uint16_t kind;
  do kind = scan(lexer, token);
  while (kind == LEX_END_OF_LINE + 1); /* a semicolon: told, and left out */
  token->kind = kind;
  lexer->before = kind;
  return kind;
}
