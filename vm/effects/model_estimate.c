/* Tokens of a prompt, about. Providers cut text by dictionaries of their own, which nobody wants to carry along; but
** all of them treat scripts alike: a short ASCII word is one token, a long one two or three, a CJK character one, and
** so on. What a reservation needs is a number that is not far too low, so each rule errs upward. The true number comes
** with the reply. */
#include "vm/effects/model_estimate.h"

#include "vm/effects/model_impl.h"

enum {
  PER_CALL = 3,         /* what begins the answer */
  PER_MESSAGE = 4,      /* role and separators */
  PER_TOOL = 8,         /* how a tool is wrapped */
  TOOLS_PREAMBLE = 350, /* Anthropic's own instructions on tools, billed like the rest */
  RAW_BYTES = 4         /* bytes a token of what only the provider can read */
};

/* -- text -- */

typedef enum { SPACE, LINE, LOWER, UPPER, DIGIT, MARK, WIDE } Class;

static Class class_of(uint8_t c) {
  if (c >= 0x80) return WIDE;
  if (c >= 'a' && c <= 'z') return LOWER;
  if (c >= 'A' && c <= 'Z') return UPPER;
  if (c >= '0' && c <= '9') return DIGIT;
  if (c == '\n' || c == '\r') return LINE;
  return c <= ' ' ? SPACE : MARK;
}

/* A run of one class. A capital begins a word, and a word is followed by one space for free. */
static uint64_t run_tokens(Class class, size_t size) {
  switch (class) {
  case LOWER: return (size + 6) / 7;
  case UPPER: return (size + 2) / 3;
  case DIGIT:
  case MARK: return (size + 1) / 2;
  case SPACE: return size == 1 ? 0 : 1 + size / 16;
  case LINE: return 1 + size / 4;
  case WIDE: break;
  }
  return 0;
}

/* Quarter tokens of one character beyond ASCII, by its first byte: letters of Latin and Cyrillic make words, those of
** the other alphabets of two bytes (Greek, Hebrew, Arabic) shorter ones; CJK, kana and Indic count by character; of
** an emoji a token is a part. */
static uint32_t wide_quarters(uint8_t first) {
  if (first < 0xc2 || first > 0xf4) return 4; /* no UTF-8 */
  if (first < 0xe0) return first < 0xc6 || (first >= 0xd0 && first < 0xd4) ? 2 : 3;
  return first < 0xf0 ? 4 : 12;
}

static size_t wide_size(uint8_t first) {
  if (first < 0xc2 || first > 0xf4) return 1;
  if (first < 0xe0) return 2;
  return first < 0xf0 ? 3 : 4;
}

/* A word that begins with a capital goes on with small letters: "Refund" is one run, "HTTPServer" two. */
static size_t run_end(const uint8_t *p, size_t at, size_t size, Class class) {
  while (at < size && class_of(p[at]) == class) at++;
  return at;
}

uint64_t estimate_text(Str utf8) {
  const uint8_t *p = (const uint8_t *)utf8.at;
  uint64_t tokens = 0, quarters = 0;
  size_t at = 0;
  while (at < utf8.size) {
    Class class = class_of(p[at]);
    if (class == WIDE) {
      quarters += wide_quarters(p[at]);
      at += wide_size(p[at]);
      continue;
    }
    size_t end = run_end(p, at + 1, utf8.size, class);
    if (class == UPPER && end - at == 1 && end < utf8.size && class_of(p[end]) == LOWER) {
      class = LOWER;
      end = run_end(p, end, utf8.size, class);
    }
    tokens += run_tokens(class, end - at);
    at = end;
  }
  return tokens + (quarters + 3) / 4;
}

/* -- encoded values -- */

/* One head after the other, whatever encloses it: no depth, nothing kept. */
uint64_t estimate_value(Str value) {
  CborReader r = cbor_reader(value);
  CborItem item;
  uint64_t tokens = 0;
  Err err;
  while (r.at < r.end && cbor_next(&r, &item, &err)) {
    switch (item.kind) {
    case CBOR_TEXT: tokens += 1 + estimate_text(item.bytes); break;
    case CBOR_BYTES: tokens += 1 + item.bytes.size; break; /* base64 cuts badly */
    case CBOR_UINT:
    case CBOR_NEGINT: tokens += item.n > 999 ? 4 : 2; break;
    case CBOR_FLOAT: tokens += 5; break;
    case CBOR_ARRAY: tokens += 2; break;
    case CBOR_TAG: break;
    case CBOR_BOOL:
    case CBOR_NIL: tokens++; break;
    }
  }
  return tokens;
}

static uint64_t text_tokens(Str map, const char *key) { return estimate_text(value_get_text(map, key)); }

/* What goes back to the provider as it came holds more than text and calls: reasoning, signatures. */
static uint64_t raw_tokens(Str message, uint64_t known) {
  Str raw;
  if (!value_bytes(value_get(message, "raw"), &raw)) return 0;
  uint64_t tokens = raw.size / RAW_BYTES;
  return tokens > known ? tokens - known : 0;
}

static uint64_t message_tokens(Str message) {
  Str content = value_get(message, "content"), text;
  uint64_t tokens = PER_MESSAGE + text_tokens(message, "name");
  if (value_text(content, &text)) tokens += estimate_text(text);
  else tokens += estimate_value(content);
  tokens += estimate_value(value_get(message, "calls"));
  return tokens + raw_tokens(message, tokens);
}

static uint64_t tool_tokens(Str tool) {
  return PER_TOOL + text_tokens(tool, "name") + text_tokens(tool, "description") +
         text_tokens(tool, "schema");
}

static uint64_t list_tokens(Str list, uint64_t (*one)(Str)) {
  ValueList items;
  Str item;
  uint64_t tokens = 0;
  if (!value_list(list, &items)) return 0;
  while (value_next(&items, &item)) tokens += one(item);
  return tokens;
}

uint64_t model_estimate(Str call) {
  ValueFields map;
  if (!value_fields(call, &map)) return PER_CALL + estimate_value(call);
  Str answer = value_field(&map, "answer");
  uint64_t tokens = PER_CALL + estimate_text(value_field_text(&map, "system"));
  uint64_t tools = list_tokens(value_field(&map, "tools"), tool_tokens);
  tokens += tools + list_tokens(value_field(&map, "messages"), message_tokens);
  tokens += text_tokens(answer, "name") + text_tokens(answer, "schema");
  bool anthropic = str_equal(value_field_text(&map, "provider"), STR("anthropic"));
  return tokens + (anthropic && tools ? TOOLS_PREAMBLE : 0);
}
