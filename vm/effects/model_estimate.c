/* Tokens of a prompt, about and at most. Providers cut text by dictionaries of their own, which nobody wants to carry
** along; but all of them treat scripts alike: a short ASCII word is one token, a long one two or three, a CJK character
** one, and so on. What a call needs is a number that is not far too low, so each rule errs upward. What it may come to
** beside others must be a bound: every dictionary in use falls back on bytes, so no text is more tokens than it has
** bytes. The true number comes with the reply. */
#include "vm/effects/model_estimate.h"

#include "vm/effects/model_impl.h"

enum {
  PER_CALL = 3,         /* what begins the answer */
  PER_MESSAGE = 4,      /* role and separators */
  PER_TOOL = 8,         /* how a tool is wrapped */
  TOOLS_PREAMBLE = 350, /* Anthropic's own instructions on tools, billed like the rest */
  RAW_BYTES = 4         /* bytes a token of what only the provider can read */
};
enum { /* the same at most */
  PER_CALL_MOST = 16,
  PER_MESSAGE_MOST = 16, /* with the word that says of a tool's answer that it failed */
  PER_TOOL_MOST = 16,
  TOOLS_PREAMBLE_MOST = 600,
  PER_ITEM_MOST = 2, /* of JSON: a separator and a space behind it */
  FLOAT_MOST = 25,
  TAG_MOST = 40,   /* quotes, names of fields, an id, a time as text */
  OBJECT_MOST = 48 /* what structured output adds to each object of a schema, but for its fields' names */
};

static void count_add(ModelTokens *t, uint64_t likely, uint64_t most) {
  t->likely += likely;
  t->most += most > likely ? most : likely;
}

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

static void count_text(ModelTokens *t, Str utf8) { count_add(t, estimate_text(utf8), utf8.size); }

/* -- encoded values -- */

/* As a JSON string: quotes, and what must be escaped. */
static uint64_t quoted_most(Str text) {
  uint64_t size = text.size + 2;
  for (size_t i = 0; i < text.size; i++) {
    uint8_t c = (uint8_t)text.at[i];
    size += c < ' ' ? 5 : c == '"' || c == '\\';
  }
  return size;
}

static uint64_t int_most(uint64_t n) {
  uint64_t size = 2; /* a digit, and a sign */
  for (; n > 9; n /= 10) size++;
  return size + 2; /* quotes, should it be a key */
}

/* A decimal is printed without exponent: its scale is zeros. `r`: behind its tag. */
static uint64_t decimal_most(CborReader r) {
  Decimal d;
  Err ignored;
  return cbor_decimal_body(&r, &d, &ignored) ? TAG_MOST + (uint64_t)d.scale : TAG_MOST;
}

/* One head after the other, whatever encloses it: no depth, nothing kept. */
static void count_value(ModelTokens *t, Str value) {
  CborReader r = cbor_reader(value);
  CborItem item;
  Err err;
  for (; r.at < r.end && cbor_next(&r, &item, &err); t->most += PER_ITEM_MOST) {
    switch (item.kind) {
    case CBOR_TEXT: count_add(t, 1 + estimate_text(item.bytes), quoted_most(item.bytes)); break;
    case CBOR_BYTES: count_add(t, 1 + item.bytes.size, item.bytes.size / 3 * 4 + 6); break; /* base64 cuts badly */
    case CBOR_UINT:
    case CBOR_NEGINT: count_add(t, item.n > 999 ? 4 : 2, int_most(item.n)); break;
    case CBOR_FLOAT: count_add(t, 5, FLOAT_MOST); break;
    case CBOR_ARRAY: count_add(t, 2, 2); break;
    case CBOR_TAG:
      if (item.n == CBOR_TAG_DECIMAL) count_add(t, 0, decimal_most(r));
      else if (item.n != CBOR_TAG_MAP) count_add(t, 0, TAG_MOST);
      break;
    case CBOR_BOOL:
    case CBOR_NIL: count_add(t, 1, 5 + 2); break;
    }
  }
}

uint64_t estimate_value(Str value) {
  ModelTokens t = {0};
  count_value(&t, value);
  return t.likely;
}

/* -- calls -- */

static void count_field(ModelTokens *t, Str map, const char *key) { count_text(t, value_get_text(map, key)); }

/* What goes back to the provider as it came, instead of text and calls, holds more than they: reasoning, signatures. */
static void count_raw(ModelTokens *t, Str message) {
  Str raw;
  if (!value_bytes(value_get(message, "raw"), &raw)) return;
  if (raw.size / RAW_BYTES > t->likely) t->likely = raw.size / RAW_BYTES;
  if (PER_MESSAGE_MOST + raw.size > t->most) t->most = PER_MESSAGE_MOST + raw.size;
}

static void count_message(ModelTokens *sum, Str message) {
  Str content = value_get(message, "content"), text;
  ModelTokens t = {PER_MESSAGE, PER_MESSAGE_MOST + value_get_text(message, "id").size};
  count_field(&t, message, "name");
  if (value_text(content, &text)) count_text(&t, text);
  else count_value(&t, content);
  count_value(&t, value_get(message, "calls"));
  count_raw(&t, message);
  count_add(sum, t.likely, t.most);
}

static void count_tool(ModelTokens *sum, Str tool) {
  count_add(sum, PER_TOOL, PER_TOOL_MOST);
  count_field(sum, tool, "name");
  count_field(sum, tool, "description");
  count_field(sum, tool, "schema");
}

/* Structured output goes by a schema that says more than the one it is made of: each name is required too. */
static void count_answer(ModelTokens *sum, Str answer) {
  Str schema = value_get_text(answer, "schema");
  uint64_t most = 2 * (uint64_t)schema.size;
  for (size_t i = 0; i < schema.size; i++) most += schema.at[i] == '{' ? OBJECT_MOST : 0;
  count_field(sum, answer, "name");
  count_add(sum, estimate_text(schema), most);
}

static void count_list(ModelTokens *sum, Str list, void (*one)(ModelTokens *, Str)) {
  ValueList items;
  Str item;
  if (!value_list(list, &items)) return;
  while (value_next(&items, &item)) one(sum, item);
}

ModelTokens model_tokens(Str call) {
  ValueFields map;
  ModelTokens t = {PER_CALL, PER_CALL_MOST}, tools = {0};
  if (!value_fields(call, &map)) {
    count_value(&t, call);
    return t;
  }
  count_text(&t, value_field_text(&map, "system"));
  count_list(&tools, value_field(&map, "tools"), count_tool);
  bool anthropic = str_equal(value_field_text(&map, "provider"), STR("anthropic"));
  if (anthropic && tools.likely > 0) count_add(&tools, TOOLS_PREAMBLE, TOOLS_PREAMBLE_MOST);
  count_add(&t, tools.likely, tools.most);
  count_list(&t, value_field(&map, "messages"), count_message);
  count_answer(&t, value_field(&map, "answer"));
  t.most += value_field_text(&map, "choice").size;
  return t;
}

uint64_t model_estimate(Str call) { return model_tokens(call).likely; }
