/* The JSON reader and writer.
**
** The reader is a small state machine, called once per event:
**
**   VALUE        a value must come        FIRST_ITEM   just after [: a value or ]
**   FIRST_NAME   just after {: a name or }     AFTER   a value has ended: , or the closer, or the end
**
** A name takes its colon along. Strings without escapes are given as they lie in the text; only
** escapes are copied. Choices where RFC 8259 leaves them (the suite's i_ cases): numbers too large
** for a double, lone surrogates, a byte order mark, other encodings and nesting past
** LIMIT_JSON_DEPTH are refused; integers past 64 bits become floats and numbers too small zero. */
#include "vm/base/json.h"
#include "lang/tables.h"
#include "vm/base/mem.h"
#include "vm/base/number_scan.h"
#include "vm/base/text.h"

enum { STATE_VALUE, STATE_FIRST_ITEM, STATE_FIRST_NAME, STATE_AFTER, STATE_FAILED };

void json_init(JsonReader *r, Str text) {
  *r = (JsonReader){.text = text.at ? text : STR(""), .state = STATE_VALUE};
  r->stack = mem_alloc(LIMIT_JSON_DEPTH);
}

void json_deinit(JsonReader *r) {
  mem_free(r->stack);
  buf_deinit(&r->scratch);
  *r = (JsonReader){.state = STATE_FAILED, .error = "the reader has been closed"};
}

void json_place(const JsonReader *r, uint32_t *line, uint32_t *column) {
  size_t start = 0, at = r->at < r->text.size ? r->at : r->text.size;
  *line = 1;
  for (size_t i = 0; i < at; i++) {
    if (r->text.at[i] != '\n') continue;
    start = i + 1;
    ++*line;
  }
  *column = (uint32_t)utf8_count((Str){r->text.at + start, at - start}) + 1;
}

__attribute__((cold, noinline)) static JsonEvent fail(JsonReader *r, const char *at,
                                                      const char *why) {
  r->at = (size_t)(at - r->text.at);
  r->error = why;
  r->state = STATE_FAILED;
  return JSON_ERROR;
}

static bool refuse(JsonReader *r, const char *at, const char *why) {
  fail(r, at, why);
  return false;
}

static inline const char *text_end(const JsonReader *r) { return r->text.at + r->text.size; }
static inline bool is_digit(char c) { return (unsigned)(unsigned char)c - '0' <= 9; }

static inline const char *skip_space(const char *p, const char *end) {
  while (p < end && (*p == ' ' || *p == '\n' || *p == '\r' || *p == '\t')) p++;
  return p;
}

/* -- strings -- */

#define ONES UINT64_C(0x0101010101010101)
#define HIGHS UINT64_C(0x8080808080808080)

static inline uint64_t has_zero(uint64_t w) { return (w - ONES) & ~w & HIGHS; }

/* To the next quote, backslash or control character, eight bytes at a time while there is none;
** *high tells whether bytes above ASCII went by. */
static inline const char *skip_plain(const char *p, const char *end, bool *high) {
  uint64_t w, highs = 0;
  for (; end - p >= 8; p += 8) {
    memcpy(&w, p, sizeof w);
    uint64_t control = (w - ONES * 0x20) & ~w & HIGHS;
    if (control | has_zero(w ^ ONES * '"') | has_zero(w ^ ONES * '\\')) break;
    highs |= w;
  }
  for (; p < end && (unsigned char)*p >= 0x20 && *p != '"' && *p != '\\'; p++)
    highs |= (unsigned char)*p;
  *high |= (highs & HIGHS) != 0;
  return p;
}

static bool hex4(const char *p, const char *end, uint32_t *unit) {
  *unit = 0;
  if (end - p < 4) return false;
  for (int i = 0; i < 4; i++) {
    int digit = hex_value(p[i]);
    if (digit < 0) return false;
    *unit = *unit << 4 | (uint32_t)digit;
  }
  return true;
}

/* p after "\u"; returns after the escape, or NULL with *why. */
static const char *escape_unicode(const char *p, const char *end, Buf *out, const char **why) {
  uint32_t code, low;
  char bytes[4];
  *why = "\\u takes four hexadecimal digits";
  if (!hex4(p, end, &code)) return NULL;
  p += 4;
  if (code >= 0xd800 && code < 0xe000) {
    *why = "half of a surrogate pair stands alone";
    bool paired = code < 0xdc00 && end - p >= 6 && p[0] == '\\' && p[1] == 'u' &&
                  hex4(p + 2, end, &low) && low >= 0xdc00 && low < 0xe000;
    if (!paired) return NULL;
    code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
    p += 6;
  }
  buf_put(out, bytes, utf8_put(bytes, code));
  return p;
}

/* p at the backslash; returns after the escape, or NULL with *why. */
static const char *escape(const char *p, const char *end, Buf *out, const char **why) {
  static const char names[] = "\"\\/bfnrt", bytes[] = "\"\\/\b\f\n\r\t";
  *why = "the text ends inside a string";
  if (end - p < 2) return NULL;
  if (p[1] == 'u') return escape_unicode(p + 2, end, out, why);
  const char *name = p[1] ? strchr(names, p[1]) : NULL;
  *why = "no such escape in a JSON string";
  if (!name) return NULL;
  buf_byte(out, (uint8_t)bytes[name - names]);
  return p + 2;
}

/* The rest of a string that has escapes: `first` is its first byte, p the first backslash. */
static bool read_escaped(JsonReader *r, const char *first, const char *p, bool *high) {
  const char *end = text_end(r), *why;
  buf_clear(&r->scratch);
  buf_put(&r->scratch, first, (size_t)(p - first));
  while (p < end && *p == '\\') {
    const char *next = escape(p, end, &r->scratch, &why);
    if (!next) return refuse(r, p, why);
    const char *run = next;
    p = skip_plain(run, end, high);
    buf_put(&r->scratch, run, (size_t)(p - run));
  }
  r->string = buf_view(&r->scratch);
  if (r->scratch.full) return refuse(r, p, "a string too long");
  r->at = (size_t)(p - r->text.at);
  return true;
}

/* p after the opening quote; r->at ends after the closing one. */
static bool read_string(JsonReader *r, const char *first) {
  const char *end = text_end(r);
  bool high = false;
  const char *p = skip_plain(first, end, &high);
  r->string = (Str){first, (size_t)(p - first)};
  if (UNLIKELY(p < end && *p == '\\')) {
    if (!read_escaped(r, first, p, &high)) return false;
    p = r->text.at + r->at;
  }
  if (p == end) return refuse(r, first - 1, "a string without its closing quote");
  if (*p != '"') return refuse(r, p, "a control character inside a string");
  if (high && !utf8_valid(r->string)) return refuse(r, first - 1, "a string that is not UTF-8");
  r->at = (size_t)(p + 1 - r->text.at);
  return true;
}

/* -- numbers -- */

/* An integer past 18 digits may still fit. */
static bool fits_int(const NumberScan *n, int64_t *out) {
  if (n->fraction) return false;
  return int_parse((Str){n->start, (size_t)(n->digits_end - n->start)}, out);
}

static JsonEvent read_long_number(JsonReader *r, const char *p) {
  NumberScan n;
  const char *end = number_scan(p, text_end(r), &n);
  if (!end) return fail(r, p, "a number that is not complete");
  JsonEvent event = JSON_INT;
  if (!fits_int(&n, &r->integer)) {
    event = JSON_FLOAT;
    if (!number_to_double(&n, &r->number)) return fail(r, p, "a number out of range");
  }
  r->at = (size_t)(end - r->text.at);
  r->state = STATE_AFTER;
  return event;
}

static JsonEvent read_number(JsonReader *r, const char *p) {
  const char *end = text_end(r), *digits = p + (*p == '-'), *q = digits;
  uint64_t n = 0;
  for (; q < end && is_digit(*q) && q - digits < 18; q++) n = n * 10 + (unsigned)(*q - '0');
  if (q == digits) return fail(r, p, "a minus without digits");
  if (*digits == '0' && q - digits > 1) return fail(r, p, "a number with leading zeros");
  if (q < end && (is_digit(*q) || *q == '.' || *q == 'e' || *q == 'E'))
    return read_long_number(r, p);
  r->integer = digits > p ? -(int64_t)n : (int64_t)n;
  r->at = (size_t)(q - r->text.at);
  r->state = STATE_AFTER;
  return JSON_INT;
}

/* -- structure -- */

static JsonEvent container_begin(JsonReader *r, const char *p, bool object) {
  if (r->depth >= LIMIT_JSON_DEPTH) return fail(r, p, "nesting that is too deep");
  r->stack[r->depth++] = object;
  r->state = object ? STATE_FIRST_NAME : STATE_FIRST_ITEM;
  r->at = (size_t)(p + 1 - r->text.at);
  return object ? JSON_OBJECT : JSON_ARRAY;
}

static JsonEvent container_end(JsonReader *r, const char *p) {
  r->at = (size_t)(p + 1 - r->text.at);
  r->state = STATE_AFTER;
  return r->stack[--r->depth] ? JSON_OBJECT_END : JSON_ARRAY_END;
}

static JsonEvent read_word(JsonReader *r, const char *p, Str word, JsonEvent event) {
  if ((size_t)(text_end(r) - p) < word.size || memcmp(p, word.at, word.size) != 0) {
    return fail(r, p, "a word that is not true, false or null");
  }
  r->at = (size_t)(p - r->text.at) + word.size;
  r->state = STATE_AFTER;
  return event;
}

static JsonEvent read_value(JsonReader *r, const char *p) {
  if (p == text_end(r)) return fail(r, p, "the text ends where a value is expected");
  switch (*p) {
  case '{': return container_begin(r, p, true);
  case '[': return container_begin(r, p, false);
  case 't': return read_word(r, p, STR("true"), JSON_TRUE);
  case 'f': return read_word(r, p, STR("false"), JSON_FALSE);
  case 'n': return read_word(r, p, STR("null"), JSON_NULL);
  case '"':
    if (!read_string(r, p + 1)) return JSON_ERROR;
    r->state = STATE_AFTER;
    return JSON_STRING;
  case '\xef': return fail(r, p, "a byte order mark or other text where a value is expected");
  default:
    if (*p == '-' || is_digit(*p)) return read_number(r, p);
    return fail(r, p, "a value is expected here");
  }
}

static JsonEvent read_name(JsonReader *r, const char *p) {
  const char *end = text_end(r);
  if (p == end || *p != '"') return fail(r, p, "a name in double quotes is expected here");
  if (!read_string(r, p + 1)) return JSON_ERROR;
  p = skip_space(r->text.at + r->at, end);
  if (p == end || *p != ':') return fail(r, p, "a colon is expected after the name");
  r->at = (size_t)(p + 1 - r->text.at);
  r->state = STATE_VALUE;
  return JSON_NAME;
}

static JsonEvent read_after(JsonReader *r, const char *p) {
  const char *end = text_end(r);
  if (r->depth == 0) {
    if (p < end) return fail(r, p, "more text after the end of the value");
    r->at = r->text.size;
    return JSON_END;
  }
  bool object = r->stack[r->depth - 1];
  if (p < end && *p == ',') {
    p = skip_space(p + 1, end);
    return object ? read_name(r, p) : read_value(r, p);
  }
  if (p < end && *p == (object ? '}' : ']')) return container_end(r, p);
  return fail(r, p, object ? "a comma or } is expected here" : "a comma or ] is expected here");
}

JsonEvent json_next(JsonReader *r) {
  const char *end = text_end(r);
  if (r->state == STATE_FAILED) return JSON_ERROR;
  const char *p = skip_space(r->text.at + r->at, end);
  switch (r->state) {
  case STATE_AFTER: return read_after(r, p);
  case STATE_FIRST_ITEM: return p < end && *p == ']' ? container_end(r, p) : read_value(r, p);
  case STATE_FIRST_NAME: return p < end && *p == '}' ? container_end(r, p) : read_name(r, p);
  default: return read_value(r, p);
  }
}

/* -- writing -- */

static void put_escape(Buf *out, char c) {
  static const char bytes[] = "\"\\\b\f\n\r\t", names[] = "\"\\bfnrt";
  const char *found = c ? strchr(bytes, c) : NULL;
  if (found) {
    char two[2] = {'\\', names[found - bytes]};
    buf_put(out, two, 2);
  } else {
    char six[6] = {'\\', 'u', '0', '0', "01"[c >> 4 & 1], "0123456789abcdef"[c & 15]};
    buf_put(out, six, 6);
  }
}

void json_put_string(Buf *out, Str utf8) {
  const char *p = utf8.at ? utf8.at : "", *end = p + utf8.size;
  bool high = false;
  buf_byte(out, '"');
  while (p < end) {
    const char *run = p;
    p = skip_plain(p, end, &high);
    buf_put(out, run, (size_t)(p - run));
    if (p < end) put_escape(out, *p++);
  }
  buf_byte(out, '"');
}
