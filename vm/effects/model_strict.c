/* A schema as OpenAI's strict mode wants it: an object says all of its names, has no others, and requires them all. */
#include "vm/base/json.h"
#include "vm/effects/model_impl.h"
#include "vm/effects/model_schema.h"

typedef struct Strict {
  Buf *out;
  bool fits;
} Strict;

static void schema_put(Strict *s, Str schema);

/* ---- what may be null ---- */

static bool holds(Str list, bool (*fits)(Str)) {
  ValueList l;
  Str item;
  if (!value_is_list(list) || !value_list(list, &l)) return false;
  while (value_next(&l, &item))
    if (fits(item)) return true;
  return false;
}

static bool says_null(Str type) {
  Str text;
  return value_text(type, &text) && str_equal(text, STR("null"));
}

static bool may_be_null(Str schema) {
  Str type = value_get(schema, "type");
  return says_null(type) || holds(type, says_null) || holds(value_get(schema, "enum"), value_is_nil) ||
         holds(value_get(schema, "anyOf"), may_be_null) || holds(value_get(schema, "oneOf"), may_be_null);
}

/* ---- members ---- */

static bool is_among(Str list, Str name) {
  ValueList l;
  Str item, text;
  if (!value_list(list, &l)) return false;
  while (value_next(&l, &item))
    if (value_text(item, &text) && str_equal(text, name)) return true;
  return false;
}

/* The pairs of a map, one value after the other. */
static bool pairs(Str map, ValueList *l) {
  CborItem tag;
  Err ignored;
  CborReader r = cbor_reader(map);
  if (!value_is_map(map) || !cbor_next(&r, &tag, &ignored)) return false;
  return value_list((Str){(const char *)r.at, (size_t)(r.end - r.at)}, l);
}

static void name_put(Strict *s, Str name) {
  json_item(s->out);
  json_put_string(s->out, name);
  buf_byte(s->out, ':');
}

static void named_put(Strict *s, Str map) {
  ValueList l;
  Str key, name, value;
  buf_byte(s->out, '{');
  s->fits = s->fits && pairs(map, &l);
  while (s->fits && value_next(&l, &key) && value_next(&l, &value)) {
    s->fits = value_text(key, &name);
    if (s->fits) name_put(s, name), schema_put(s, value);
  }
  buf_byte(s->out, '}');
}

static void listed_put(Strict *s, Str list) {
  ValueList l;
  Str item;
  buf_byte(s->out, '[');
  s->fits = s->fits && value_list(list, &l);
  while (s->fits && value_next(&l, &item)) {
    json_item(s->out);
    schema_put(s, item);
  }
  buf_byte(s->out, ']');
}

/* What may be left out must be there too, and says with null that there is none. */
static void required_put(Strict *s, Str schema) {
  ValueList l;
  Str key, name, value, required = value_get(schema, "required");
  json_member(s->out, "required");
  buf_byte(s->out, '[');
  s->fits = s->fits && pairs(value_get(schema, "properties"), &l);
  while (s->fits && value_next(&l, &key) && value_next(&l, &value)) {
    s->fits = value_text(key, &name) && (is_among(required, name) || may_be_null(value));
    json_item(s->out);
    json_put_string(s->out, name);
  }
  buf_byte(s->out, ']');
}

typedef enum { AS_IT_IS, NAMED, LISTED, ONE, LEFT_OUT, REFUSED } Part;

static Part part_of(Str name) {
  static const struct {
    const char *name;
    Part part;
  } rows[] = {{"properties", NAMED},       {"$defs", NAMED},  {"definitions", NAMED}, {"anyOf", LISTED},
              {"oneOf", LISTED},           {"items", ONE},    {"required", LEFT_OUT},
              {"allOf", REFUSED},          {"not", REFUSED},  {"prefixItems", REFUSED},
              {"additionalProperties", LEFT_OUT},             {"patternProperties", REFUSED}};
  for (size_t i = 0; i < COUNT_OF(rows); i++)
    if (str_equal(name, str_of(rows[i].name))) return rows[i].part;
  return AS_IT_IS;
}

static void member_put(Strict *s, Str name, Str value) {
  Part part = part_of(name);
  Err ignored;
  s->fits = s->fits && part != REFUSED;
  if (part == LEFT_OUT || part == REFUSED) return;
  name_put(s, str_equal(name, STR("oneOf")) ? STR("anyOf") : name);
  if (part == NAMED) named_put(s, value);
  else if (part == LISTED) listed_put(s, value);
  else if (part == ONE) schema_put(s, value);
  else s->fits = cbor_to_json(value, s->out, &ignored) && s->fits;
}

/* ---- a schema ---- */

static bool is_false(Str value) {
  CborItem item;
  Err ignored;
  CborReader r = cbor_reader(value);
  return cbor_next(&r, &item, &ignored) && item.kind == CBOR_BOOL && item.n == 0;
}

static bool is_open(Str schema) {
  Str more = value_get(schema, "additionalProperties");
  return !value_is_nil(more) && !is_false(more);
}

/* One that says nothing allows anything, which strict mode does not. */
static bool says_something(Str schema) {
  static const char *const names[] = {"type", "properties", "anyOf", "oneOf", "enum", "const", "$ref"};
  for (size_t i = 0; i < COUNT_OF(names); i++)
    if (!value_is_nil(value_get(schema, names[i]))) return true;
  return false;
}

static void schema_put(Strict *s, Str schema) {
  ValueList l;
  Str key, name, value, type = value_get_text(schema, "type");
  bool object = str_equal(type, STR("object")) || !value_is_nil(value_get(schema, "properties"));
  s->fits = s->fits && says_something(schema) && !is_open(schema) && pairs(schema, &l);
  if (!s->fits) return;
  buf_byte(s->out, '{');
  while (s->fits && value_next(&l, &key) && value_next(&l, &value)) {
    s->fits = value_text(key, &name);
    if (s->fits) member_put(s, name, value);
  }
  if (object) required_put(s, schema), json_member_bool(s->out, "additionalProperties", false);
  buf_byte(s->out, '}');
}

bool schema_strict(Str schema, Buf *out) {
  Buf value = {0}, text = {0};
  Strict s = {.out = &text, .fits = true};
  bool read = model_decode(schema, &value);
  if (read) schema_put(&s, buf_view(&value));
  bool strict = read && s.fits;
  buf_str(out, strict ? buf_view(&text) : schema);
  buf_deinit(&value);
  buf_deinit(&text);
  return strict;
}
