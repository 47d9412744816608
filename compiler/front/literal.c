/* What literals say: numbers with their suffixes, the text of strings. */
#include "compiler/front/ast_build.h"
#include "vm/base/buf.h"
#include "vm/base/text.h"

/* ---- numbers ---- */

static bool is_digit(char c) { return c >= '0' && c <= '9'; }

static bool is_word(char c) {
  return is_digit(c) || c == '_' || ((c | 32) >= 'a' && (c | 32) <= 'z');
}

/* A number's parts: 1_000 . 5 e-3 ms */
typedef struct Number {
  const char *from, *point, *exponent, *suffix, *end; /* NULL where there is none; suffix always */
} Number;

static const char *skip_digits(const char *at) {
  while (is_digit(*at) || *at == '_') at++;
  return at;
}

static Number number_parts(const char *from) {
  Number n = {.from = from};
  const char *at = skip_digits(from);
  if (*at == '.' && is_digit(at[1])) {
    n.point = at;
    at = skip_digits(at + 1);
  }
  const char *digits = at + 1 + (at[0] != 0 && (at[1] == '+' || at[1] == '-'));
  if ((*at | 32) == 'e' && is_digit(*digits)) {
    n.exponent = at;
    at = skip_digits(digits);
  }
  n.suffix = at;
  while (is_word(*at)) at++;
  n.end = at;
  return n;
}

static Str number_text(const Number *n) { return (Str){n->from, (size_t)(n->end - n->from)}; }

static Diag *number_error(Lexer *lexer, DiagId id, const char *from, const char *to) {
  return LEX_ERROR(lexer, id, lex_span(lexer, from, to), (Str){from, (size_t)(to - from)});
}

static uint16_t give(Lexer *lexer, Token *token, const char *from, const char *to, uint16_t kind) {
  token->tok.span = lex_span(lexer, from, to);
  lexer->at = to;
  return kind;
}

/* Digits of a base without their `_`; false when they are more than 64 bits. */
static bool digits_value(const char *at, const char *end, unsigned base, uint64_t *value) {
  *value = 0;
  for (; at < end; at++) {
    if (*at == '_') continue;
    unsigned digit = is_digit(*at) ? (unsigned)(*at - '0') : (unsigned)((*at | 32) - 'a' + 10);
    if (__builtin_mul_overflow(*value, base, value) ||
        __builtin_add_overflow(*value, digit, value)) {
      return false;
    }
  }
  return true;
}

/* 2^63 is a number only behind a minus, where it is INT64_MIN. */
static bool as_int(const Lexer *lexer, uint64_t value, int64_t *out) {
  *out = (int64_t)value;
  return value <= INT64_MAX || (value == (uint64_t)INT64_MAX + 1 && lexer->before == TK_MINUS);
}

/* 0x1f; 0b and 0o are told to be written otherwise. */
static uint16_t number_prefixed(Lexer *lexer, const char *from, Token *token) {
  const char *end = from + 2, *bad = NULL;
  while (is_word(*end)) end++;
  bool hex = (from[1] | 32) == 'x';
  for (const char *at = from + 2; at < end; at++) {
    bool digit = is_digit(*at) || *at == '_' || ((*at | 32) >= 'a' && (*at | 32) <= 'f');
    if (!digit && !bad) bad = at;
  }
  uint64_t value = 0;
  token->tok.integer = 0;
  if (!hex || bad || end == from + 2) {
    Diag *diag = number_error(lexer, DIAG_NUMBER_BASE, from, end);
    if (!hex) diag_help(diag, STR("write it in hexadecimal, 0x1f, or in decimal"));
  } else if (end[-1] == '_' || from[2] == '_') {
    number_error(lexer, DIAG_NUMBER_UNDERSCORE, from, end);
  } else if (!digits_value(from + 2, end, 16, &value) ||
             !as_int(lexer, value, &token->tok.integer)) {
    number_error(lexer, DIAG_INT_RANGE, from, end);
  }
  return give(lexer, token, from, end, TK_INT);
}

typedef struct DurationUnit {
  const char *name;
  int64_t us;
} DurationUnit;
static const DurationUnit units[] = {
    {"ms", 1000}, {"s", 1000000}, {"m", 60000000}, {"h", 3600000000}, {"d", 86400000000}};

static int64_t unit_us(Str suffix) {
  for (size_t i = 0; i < COUNT_OF(units); i++) {
    if (str_equal(suffix, str_of(units[i].name))) return units[i].us;
  }
  return 0;
}

static const char *const other_units[][2] = {
    {"sec", "s"},   {"secs", "s"},   {"second", "s"},  {"seconds", "s"}, {"min", "m"},
    {"mins", "m"},  {"minute", "m"}, {"minutes", "m"}, {"hr", "h"},      {"hrs", "h"},
    {"hour", "h"},  {"hours", "h"},  {"day", "d"},     {"days", "d"},    {"millis", "ms"},
    {"msec", "ms"}, {"M", "m"},      {"H", "h"},       {"S", "s"},       {"f", ""},
    {"F", ""},      {"L", ""},       {"l", ""},        {"n", ""},        {"u", ""},
    {"U", ""}};

static uint16_t bad_suffix(Lexer *lexer, const Number *n, Token *token) {
  Str suffix = {n->suffix, (size_t)(n->end - n->suffix)};
  bool name_like = suffix.size > 12;
  Diag *diag = LEX_ERROR(lexer, DIAG_NUMBER_SUFFIX, lex_span(lexer, n->suffix, n->end),
                         name_like ? number_text(n) : suffix);
  Str digits = {n->from, (size_t)(n->suffix - n->from)};
  for (size_t i = 0; i < COUNT_OF(other_units); i++) {
    if (!str_equal(suffix, str_of(other_units[i][0]))) continue;
    diag_label(diag, diag_format(lexer->diags, "write `" STR_FMT "%s`", STR_ARG(digits),
                                 other_units[i][1]));
    diag_fix(diag, str_of(other_units[i][1]));
    break;
  }
  diag_help(diag,
            STR("durations end in ms, s, m, h or d; decimals have a point and end in d: 12.50d"));
  token->tok.integer = 0;
  return give(lexer, token, n->from, n->end, TK_INT);
}

static bool underscores_wrong(const Number *n) {
  for (const char *at = n->from; at < n->suffix; at++) {
    if (*at == '_' && (!is_digit(at[-1]) || !is_digit(at[1]))) return true;
  }
  return false;
}

static void check_spelling(Lexer *lexer, const Number *n) {
  const char *whole_end = n->point ? n->point : n->exponent ? n->exponent : n->suffix;
  if (underscores_wrong(n)) {
    number_error(lexer, DIAG_NUMBER_UNDERSCORE, n->from, n->suffix);
  } else if (n->from[0] == '0' && whole_end - n->from > 1) {
    const char *at = n->from;
    while (at < whole_end - 1 && (*at == '0' || *at == '_')) at++;
    Diag *diag = number_error(lexer, DIAG_LEADING_ZERO, n->from, n->end);
    Str fix = {at, (size_t)(n->end - at)};
    diag_label(diag, diag_format(lexer->diags, "write `" STR_FMT "`", STR_ARG(fix)));
    diag_fix(diag, fix);
  }
}

static uint16_t number_duration(Lexer *lexer, const Number *n, int64_t us, Token *token) {
  uint64_t count = 0;
  token->tok.integer = 0;
  if (n->point || n->exponent) {
    Diag *diag = number_error(lexer, DIAG_DURATION_FRACTION, n->from, n->end);
    diag_help(
        diag,
        STR("use a smaller unit: 90m for an hour and a half, 1500ms for a second and a half"));
  } else if (!digits_value(n->from, n->suffix, 10, &count) || count > INT64_MAX ||
             __builtin_mul_overflow((int64_t)count, us, &token->tok.integer)) {
    number_error(lexer, DIAG_DURATION_RANGE, n->from, n->end);
    token->tok.integer = 0;
  }
  return give(lexer, token, n->from, n->end, TK_DURATION);
}

/* The digits without `_`, up to the suffix. */
static void put_digits(const Number *n, Buf *out) {
  for (const char *at = n->from; at < n->suffix; at++) {
    if (*at != '_') buf_byte(out, (uint8_t)*at);
  }
}

static uint16_t number_float(Lexer *lexer, const Number *n, Token *token) {
  Buf digits = {0};
  put_digits(n, &digits);
  bool good = float_parse(buf_view(&digits), &token->tok.number);
  buf_deinit(&digits);
  if (!good || token->tok.number - token->tok.number != 0) { /* infinite */
    number_error(lexer, DIAG_FLOAT_RANGE, n->from, n->end);
    token->tok.number = 0;
  }
  return give(lexer, token, n->from, n->end, TK_FLOAT);
}

static uint16_t number_decimal(Lexer *lexer, const Number *n, Token *token) {
  Buf digits = {0};
  Decimal value;
  put_digits(n, &digits);
  if (!decimal_parse(buf_view(&digits), &value)) {
    number_error(lexer, DIAG_DECIMAL_DIGITS, n->from, n->end);
  }
  buf_deinit(&digits);
  return give(lexer, token, n->from, n->end, TK_DECIMAL);
}

static uint16_t number_int(Lexer *lexer, const Number *n, Token *token) {
  uint64_t value = 0;
  token->tok.integer = 0;
  if (!digits_value(n->from, n->suffix, 10, &value) || !as_int(lexer, value, &token->tok.integer)) {
    Diag *diag = number_error(lexer, DIAG_INT_RANGE, n->from, n->end);
    diag_help(diag,
              STR("ints have 64 bits; for more digits write a decimal: 9223372036854775808.0d"));
    token->tok.integer = 0;
  }
  /* `1.` and nothing: a float needs a digit behind the point, a method a name */
  if (*n->end == '.' && n->end[1] != '.' && !is_word(n->end[1])) {
    Diag *diag = number_error(lexer, DIAG_FLOAT_POINT, n->from, n->end + 1);
    Str whole = {n->from, (size_t)(n->end - n->from)};
    Str fix = diag_format(lexer->diags, STR_FMT ".0", STR_ARG(whole));
    diag_label(diag, diag_format(lexer->diags, "write `" STR_FMT "`", STR_ARG(fix)));
    diag_fix(diag, fix);
    return give(lexer, token, n->from, n->end + 1, TK_INT);
  }
  return give(lexer, token, n->from, n->end, TK_INT);
}

uint16_t literal_number(Lexer *lexer, const char *from, Token *token) {
  char second = (char)(from[1] | 32);
  bool prefixed = from[0] == '0' && (second == 'x' || second == 'b' || second == 'o');
  if (prefixed && is_word(from[2])) return number_prefixed(lexer, from, token);
  Number n = number_parts(from);
  Str suffix = {n.suffix, (size_t)(n.end - n.suffix)};
  bool decimal = n.point && !n.exponent && str_equal(suffix, STR("d"));
  int64_t us = unit_us(suffix);
  if (suffix.size > 0 && !decimal && us == 0) return bad_suffix(lexer, &n, token);
  check_spelling(lexer, &n);
  if (decimal) return number_decimal(lexer, &n, token);
  if (us > 0) return number_duration(lexer, &n, us, token);
  if (n.point || n.exponent) return number_float(lexer, &n, token);
  return number_int(lexer, &n, token);
}

/* ---- strings ---- */

/* at: behind `\u{`. The lexer checked the form; a wrong one was reported and gives nothing. */
static const char *put_unicode(const char *at, const char *end, Buf *out) {
  uint32_t code = 0;
  for (; at < end && *at != '}'; at++)
    code = (code * 16 + (uint32_t)(hex_value(*at) & 15)) & 0x1fffff;
  char utf8[4];
  if (code <= 0x10ffff && !(code >= 0xd800 && code < 0xe000))
    buf_put(out, utf8, utf8_put(utf8, code));
  return at < end ? at + 1 : at;
}

static char escape_value(char c) { return c == 'n' ? '\n' : c == 't' ? '\t' : c == 'r' ? '\r' : c; }

static void unescape(Str raw, Buf *out) {
  const char *at = raw.at, *end = raw.at + raw.size;
  while (at < end) {
    const char *slash = memchr(at, '\\', (size_t)(end - at));
    if (!slash) slash = end;
    buf_put(out, at, (size_t)(slash - at));
    at = slash;
    if (end - at < 2) break;
    if (at[1] == 'u' && end - at > 2 && at[2] == '{') {
      at = put_unicode(at + 3, end, out);
    } else {
      buf_byte(out, (uint8_t)escape_value(at[1]));
      at += 2;
    }
  }
}

static Str keep(Build *b, Buf *buf) {
  Str text = arena_str(b->arena, buf_view(buf));
  buf_deinit(buf);
  return text;
}

Str literal_unescape(Build *b, Str raw) {
  Buf out = {0};
  unescape(raw, &out);
  return keep(b, &out);
}

/* ---- """ blocks ---- */

static const char *line_end(const char *at, const char *end) {
  const char *stop = memchr(at, '\n', (size_t)(end - at));
  return stop ? stop : end;
}

/* The least indentation of the lines that begin in this text; `*least` so far. A line that is all
** blanks counts only when an interpolation follows in it. */
static void least_indent(Str raw, bool last, size_t *least) {
  const char *end = raw.at + raw.size;
  for (const char *at = line_end(raw.at, end); at < end; at = line_end(at, end)) {
    const char *start = ++at;
    while (at < end && *at == ' ') at++;
    bool blank = at == end ? last : *at == '\n' || *at == '\r';
    if (!blank && (size_t)(at - start) < *least) *least = (size_t)(at - start);
  }
}

static bool is_blank(const char *at, const char *end) {
  while (at < end && (*at == ' ' || *at == '\r')) at++;
  return at == end;
}

typedef struct BlockText {
  size_t indent;
  bool first, last; /* this text begins, ends the block */
} BlockText;

/* One text of a block: without the line breaks at its ends, without the common indentation. */
static Str block_text(Build *b, Str raw, BlockText how, bool escaped) {
  const char *at = raw.at, *end = raw.at + raw.size;
  if (how.last) {
    const char *tail = end;
    while (tail > at && tail[-1] != '\n') tail--;
    if (tail > at && is_blank(tail, end)) end = tail - 1;
    if (end > at && end < raw.at + raw.size && end[-1] == '\r') end--;
  }
  const char *stop = line_end(at, end);
  bool opens = how.first && is_blank(at, stop) && stop < raw.at + raw.size;
  Buf out = {0};
  if (opens) at = stop < end ? stop : end;
  bool skip = opens && at < end; /* the first line break itself */
  while (at < end) {
    stop = line_end(at, end);
    const char *text_end = stop > at && stop < end && stop[-1] == '\r' ? stop - 1 : stop;
    Str line = {at, (size_t)(text_end - at)};
    if (escaped) unescape(line, &out);
    else buf_str(&out, line);
    if (stop == end) break;
    if (!skip) buf_byte(&out, '\n');
    skip = false;
    at = stop + 1;
    for (size_t n = 0; n < how.indent && at < end && *at == ' '; n++) at++;
  }
  return keep(b, &out);
}

void literal_block_parts(Build *b, Expr *parts) {
  size_t least = SIZE_MAX;
  bool text = true;
  for (Expr *e = parts; e; e = e->next, text = !text) {
    if (text) least_indent(e->text, !e->next, &least);
  }
  text = true;
  for (Expr *e = parts; e; e = e->next, text = !text) {
    if (!text) continue;
    e->text = block_text(b, e->text, (BlockText){least, e == parts, !e->next}, e->safe);
    e->safe = false;
  }
}

Str literal_text(Build *b, Tok t) {
  uint32_t inside = t.text.open + t.text.close;
  uint32_t size = t.span.size > inside ? t.span.size - inside : 0;
  Str raw = {b->text + (t.span.at - b->base) + t.text.open, size};
  if (t.text.block) {
    size_t least = SIZE_MAX;
    least_indent(raw, true, &least);
    return block_text(b, raw, (BlockText){least, true, true}, t.text.escaped);
  }
  return t.text.escaped ? literal_unescape(b, raw) : raw;
}
