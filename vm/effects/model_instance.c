/* The smallest instance of a JSON Schema, as an encoded value. A schema comes from a type of the program or from a
** foreign tool: it may refer to itself or ask for a million items, so depth and size end with an error. */
#include "vm/effects/model_instance.h"

#include <math.h>

#include "vm/base/text.h"
#include "vm/effects/model_impl.h"

enum { DEPTH_MAX = 48, VALUE_MAX = 1 << 20, FITTING_MAX = 1 << 16, FIELDS_MAX = 4096 };

typedef struct Maker {
  Str root;     /* the encoded schema, for $ref */
  Hints *hints; /* or NULL */
  Buf *out;
  uint32_t depth, ordinal; /* of the item in its array */
  bool endless;
} Maker;

static void make(Maker *m, Str schema, Str name);

/* -- the schema -- */

static Str first_of(Str list) {
  ValueList items;
  Str first;
  return value_list(list, &items) && value_next(&items, &first) ? first : (Str){0};
}

/* "#/$defs/Name"; absent for what points elsewhere. */
static Str pointed(const Maker *m, Str pointer) {
  Str at = m->root;
  if (pointer.size == 0 || pointer.at[0] != '#') return (Str){0};
  for (size_t i = 1; i < pointer.size && at.at;) {
    size_t end = ++i;
    while (end < pointer.size && pointer.at[end] != '/') end++;
    at = cbor_map_get(at, (Str){pointer.at + i, end - i});
    i = end;
  }
  return at;
}

typedef enum { ANY, OBJECT, ARRAY, STRING, INTEGER, NUMBER, BOOLEAN, NOTHING } Type;

static Type type_named(Str name) {
  static const char *const names[] = {"", "object", "array", "string", "integer", "number", "boolean", "null"};
  for (size_t i = 1; i < COUNT_OF(names); i++) {
    if (str_equal(name, str_of(names[i]))) return (Type)i;
  }
  return ANY;
}

static Type type_implied(Str schema) {
  if (value_get(schema, "properties").at || value_get(schema, "required").at) return OBJECT;
  if (value_get(schema, "items").at || value_get(schema, "prefixItems").at) return ARRAY;
  if (value_get(schema, "minimum").at || value_get(schema, "maximum").at) return NUMBER;
  return ANY;
}

static Type type_of(Str schema) {
  Str type = value_get(schema, "type"), item, name;
  ValueList items;
  if (value_text(type, &name)) return type_named(name);
  if (!value_list(type, &items)) return type_implied(schema);
  Type found = ANY;
  while ((found == ANY || found == NOTHING) && value_next(&items, &item) && value_text(item, &name))
    found = type_named(name);
  return found;
}

/* -- numbers -- */

static void where_of(Str schema, Str name, bool length, Bounds *b) {
  Str words;
  if (value_text(value_get(schema, "description"), &words)) where_bounds(words, name, length, b);
}

static Bounds bounds_of(Str schema, Str name) {
  Bounds b = {0};
  double n;
  b.has_low = value_number(value_get(schema, "minimum"), &b.low);
  b.has_high = value_number(value_get(schema, "maximum"), &b.high);
  if (value_number(value_get(schema, "exclusiveMinimum"), &n) && (!b.has_low || n >= b.low)) {
    b.has_low = b.above = true;
    b.low = n;
  }
  if (value_number(value_get(schema, "exclusiveMaximum"), &n) && (!b.has_high || n <= b.high)) {
    b.has_high = b.below = true;
    b.high = n;
  }
  if (value_number(value_get(schema, "multipleOf"), &n) && n > 0) b.step = n;
  where_of(schema, name, false, &b);
  return b;
}

static bool within(const Bounds *b, double n) {
  if (b->has_low && (b->above ? n <= b->low : n < b->low)) return false;
  if (b->has_high && (b->below ? n >= b->high : n > b->high)) return false;
  return b->step == 0 || fabs(n / b->step - nearbyint(n / b->step)) < 1e-9;
}

static double least(const Bounds *b, bool whole) {
  double unit = whole ? 1 : 0, n = 0;
  if (b->step > 0) unit = whole ? ceil(b->step) : b->step;
  if (b->has_low) {
    n = unit > 0 ? ceil(b->low / unit) * unit : b->low;
    if (b->above && n <= b->low) n += unit > 0 ? unit : 1;
    if (b->has_high && !within(b, n)) n = b->low + (b->high - b->low) / 2;
  } else if (b->has_high && !within(b, 0)) {
    n = unit > 0 ? floor(b->high / unit) * unit : b->high;
    if (b->below && n >= b->high) n -= unit > 0 ? unit : 1;
  }
  return whole ? trunc(n) : n;
}

static void put_number(Buf *out, double n, bool whole) {
  bool fits = n >= -9007199254740992.0 && n <= 9007199254740992.0;
  if (fits && n == trunc(n)) cbor_put_int(out, (int64_t)n);
  else if (whole) cbor_put_int(out, n < 0 ? INT64_MIN : INT64_MAX);
  else cbor_put_float(out, n);
}

static bool hint_number(Maker *m, const Bounds *b, bool whole, double *n) {
  for (uint32_t i = 0; m->hints && i < m->hints->count; i++) {
    Hint *h = &m->hints->at[i];
    char text[40];
    size_t size = 0;
    if (h->used || h->kind != HINT_NUMBER || h->text.size > sizeof text) continue;
    for (size_t k = 0; k < h->text.size; k++) {
      if (h->text.at[k] != ',') text[size++] = h->text.at[k];
    }
    if (!float_parse((Str){text, size}, n) || (whole && *n != trunc(*n)) || !within(b, *n)) continue;
    h->used = true;
    return true;
  }
  return false;
}

static void make_number(Maker *m, Str schema, Str name, bool whole) {
  Bounds b = bounds_of(schema, name);
  double n;
  if (hint_number(m, &b, whole, &n)) {
    put_number(m->out, n, whole);
    return;
  }
  n = least(&b, whole);
  double next = n + m->ordinal * (b.step > 0 ? b.step : 1); /* items of an array differ where they may */
  put_number(m->out, within(&b, next) ? next : n, whole);
}

/* -- strings -- */

typedef struct Format {
  const char *name, *value, *mark; /* mark: what a text of the message must have in it to be one */
} Format;
static const Format formats[] = {{"date-time", "1970-01-01T00:00:00Z", NULL},
                                 {"date", "1970-01-01", NULL},
                                 {"time", "00:00:00Z", NULL},
                                 {"duration", "PT0S", NULL},
                                 {"email", "offline@example.com", "@"},
                                 {"uri", "https://example.com/", "://"},
                                 {"uuid", "00000000-0000-0000-0000-000000000000", NULL},
                                 {"ipv4", "127.0.0.1", NULL},
                                 {"ipv6", "::1", NULL},
                                 {"hostname", "example.com", NULL}};

/* How types that JSON has not are described. */
static const Format described[] = {{"a length of time, like 30s, 5m, 8h or 2d", "1s", NULL},
                                   {"base64", "b2ZmbGluZQ==", NULL}};

static const Format *format_described(Str schema) {
  Str words;
  if (!value_text(value_get(schema, "description"), &words)) return NULL;
  for (size_t i = 0; i < COUNT_OF(described); i++) {
    if (str_equal(words, str_of(described[i].name))) return &described[i];
  }
  return NULL;
}

static const Format *format_of(Str schema) {
  Str name;
  if (!value_text(value_get(schema, "format"), &name)) return format_described(schema);
  for (size_t i = 0; i < COUNT_OF(formats); i++) {
    if (str_equal(name, str_of(formats[i].name))) return &formats[i];
  }
  return NULL;
}

static bool hint_has_form(Str text, const Format *format) {
  int64_t us;
  if (!format) return true;
  if (format->mark) return memmem(text.at, text.size, format->mark, strlen(format->mark)) != NULL;
  if (!time_parse(text, &us)) return false;
  return strcmp(format->name, text.size == 10 ? "date" : "date-time") == 0;
}

/* Quoted texts first, then names with digits, then numbers. */
static bool hint_string(Maker *m, const Format *format, double shortest, double longest, Str *text) {
  for (int kind = HINT_QUOTED; m->hints && kind <= HINT_NUMBER; kind++) {
    for (uint32_t i = 0; i < m->hints->count; i++) {
      Hint *h = &m->hints->at[i];
      double size = (double)utf8_count(h->text);
      if (h->used || (int)h->kind != kind || size < shortest || size > longest) continue;
      if (!hint_has_form(h->text, format)) continue;
      h->used = true;
      *text = h->text;
      return true;
    }
  }
  return false;
}

/* "offline reason": it says what it stands for, cut or filled up to the length asked for. */
static void put_standing(Maker *m, Str name, double shortest, double longest) {
  Buf text = {.max = FITTING_MAX};
  buf_text(&text, "offline ");
  buf_str(&text, name.size ? name : STR("answer"));
  if (m->ordinal) buf_format(&text, " %" PRIu32, m->ordinal + 1);
  size_t count = utf8_count(buf_view(&text));
  for (; (double)count < shortest && !text.full; count++) buf_byte(&text, '.');
  if (text.full) m->endless = true;
  if ((double)count > longest) text.size = utf8_offset(buf_view(&text), longest > 0 ? (size_t)longest : 0);
  cbor_put_text(m->out, buf_view(&text));
  buf_deinit(&text);
}

/* What the schema and its description say of the length: of a text, or of a list. */
static void lengths(Str schema, Str name, const char *least_key, const char *most_key, double *shortest,
                    double *longest) {
  Bounds b = {0};
  b.has_low = value_number(value_get(schema, least_key), &b.low);
  b.has_high = value_number(value_get(schema, most_key), &b.high);
  where_of(schema, name, true, &b);
  if (b.has_low) *shortest = b.above ? floor(b.low) + 1 : ceil(b.low);
  if (b.has_high) *longest = b.below ? ceil(b.high) - 1 : floor(b.high);
}

static bool make_pattern(Maker *m, Str schema) {
  Str pattern;
  Buf text = {0};
  bool ok = value_text(value_get(schema, "pattern"), &pattern) && pattern_instance(pattern, &text);
  if (ok) cbor_put_text(m->out, buf_view(&text));
  buf_deinit(&text);
  return ok;
}

static void make_string(Maker *m, Str schema, Str name) {
  const Format *format = format_of(schema);
  double shortest = 0, longest = HUGE_VAL;
  Str text;
  lengths(schema, name, "minLength", "maxLength", &shortest, &longest);
  if (make_pattern(m, schema)) return;
  if (hint_string(m, format, shortest, longest, &text)) cbor_put_text(m->out, text);
  else if (format) cbor_put_text(m->out, str_of(format->value));
  else put_standing(m, name, shortest, longest);
}

/* -- one of given values -- */

/* The value of an enum that the message names, else its first. */
static Str chosen(const Maker *m, Str values) {
  ValueList items;
  Str value, text, first = first_of(values);
  if (!m->hints || !value_list(values, &items)) return first;
  while (value_next(&items, &value)) {
    if (value_text(value, &text) && words_shared(text, m->hints->message)) return value;
  }
  return first;
}

static bool make_given(Maker *m, Str schema) {
  Str value = value_get(schema, "const");
  if (!value.at) value = chosen(m, value_get(schema, "enum"));
  if (!value.at) value = value_get(schema, "default");
  if (value.at) buf_str(m->out, value);
  return value.at != NULL;
}

static bool make_other(Maker *m, Str schema, Str name) {
  static const char *const keys[] = {"anyOf", "oneOf", "allOf"};
  Str text, other = {0};
  if (value_text(value_get(schema, "$ref"), &text)) other = pointed(m, text);
  for (size_t i = 0; i < COUNT_OF(keys) && !other.at; i++) other = first_of(cbor_map_get(schema, str_of(keys[i])));
  if (other.at) make(m, other, name);
  return other.at != NULL;
}

/* -- containers -- */

static bool seen_before(Str list, uint64_t end, Str name) {
  ValueList items;
  Str item, text;
  if (!value_list(list, &items)) return false;
  for (uint64_t i = 0; i < end && value_next(&items, &item); i++) {
    if (value_text(item, &text) && str_equal(text, name)) return true;
  }
  return false;
}

/* Required names, each once. With `make_them` false they are counted. */
static uint64_t fields(Maker *m, Str schema, bool make_them) {
  Str list = value_get(schema, "required"), properties = value_get(schema, "properties"), item, name;
  ValueList items;
  uint64_t found = 0;
  if (!value_list(list, &items)) return 0;
  m->endless |= items.left > FIELDS_MAX; /* names are compared with each other */
  for (uint64_t i = 0; !m->endless && !m->out->full && value_next(&items, &item); i++) {
    if (!value_text(item, &name) || seen_before(list, i, name)) continue;
    found++;
    if (!make_them) continue;
    cbor_put_text(m->out, name);
    make(m, cbor_map_get(properties, name), name);
  }
  return found;
}

static void make_object(Maker *m, Str schema) {
  uint32_t ordinal = m->ordinal;
  cbor_put_tag(m->out, CBOR_TAG_MAP);
  cbor_put_array(m->out, fields(m, schema, false) * 2);
  m->ordinal = 0;
  fields(m, schema, true);
  m->ordinal = ordinal;
}

static void make_array(Maker *m, Str schema, Str name) {
  Str items = value_get(schema, "items"), one;
  uint64_t wanted = 0;
  uint32_t ordinal = m->ordinal;
  ValueList firsts;
  double count = 0, most = 0;
  lengths(schema, name, "minItems", "maxItems", &count, &most);
  if (count > 0) wanted = count < VALUE_MAX ? (uint64_t)count : VALUE_MAX;
  if (!value_list(value_get(schema, "prefixItems"), &firsts)) firsts.left = 0;
  cbor_put_array(m->out, wanted);
  for (uint64_t i = 0; i < wanted && !m->out->full; i++) {
    m->ordinal = (uint32_t)i;
    make(m, value_next(&firsts, &one) ? one : items, name);
  }
  m->ordinal = ordinal;
}

static void make_typed(Maker *m, Str schema, Str name) {
  switch (type_of(schema)) {
  case OBJECT: make_object(m, schema); break;
  case ARRAY: make_array(m, schema, name); break;
  case INTEGER: make_number(m, schema, name, true); break;
  case NUMBER: make_number(m, schema, name, false); break;
  case BOOLEAN: cbor_put_bool(m->out, false); break;
  case NOTHING: cbor_put_nil(m->out); break;
  case STRING:
  case ANY: make_string(m, schema, name); break;
  }
}

static void make(Maker *m, Str schema, Str name) {
  if (m->depth >= DEPTH_MAX || m->out->full) {
    m->endless = true;
    cbor_put_nil(m->out);
    return;
  }
  m->depth++;
  if (!make_given(m, schema) && !make_other(m, schema, name)) make_typed(m, schema, name);
  m->depth--;
}

bool schema_instance(Str schema, Str name, Hints *hints, Buf *out, Err *err) {
  Buf encoded = {0}, value = {.max = VALUE_MAX};
  if (schema.size == 0) schema = STR("true");
  bool ok = cbor_from_json(schema, &encoded, err);
  if (ok) {
    Maker m = {.root = buf_view(&encoded), .hints = hints, .out = &value};
    if (!value_is_map(m.root)) m.root = (Str){0};
    make(&m, m.root, name);
    ok = !m.endless && !value.full;
    if (!ok) FAIL(err, ERR_LIMIT, "the smallest value of the schema of \"" STR_FMT "\" is too large or has no end; "
                                  "let what refers to itself be optional", STR_ARG(name));
    else buf_str(out, buf_view(&value));
  } else {
    err_context(err, "the schema of \"" STR_FMT "\"", STR_ARG(name));
  }
  buf_deinit(&encoded);
  buf_deinit(&value);
  return ok;
}
