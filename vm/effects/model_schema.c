/* One walk over a schema. A member's name decides what its value is: a schema, names with schemas, a list of them, or
** data that is copied as it stands. JSON's own limit of depth bounds the recursion. */
#include "vm/effects/model_schema.h"

#include "vm/base/json.h"
#include "vm/effects/model_impl.h"

typedef enum { DATA, SCHEMA, NAMED, LISTED } Mode;
typedef struct Walk {
  JsonReader r;
  Buf *out;
  bool open; /* an object whose names the schema does not know was met */
} Walk;

static bool value(Walk *w, JsonEvent event, size_t start, Mode mode);

static bool among(Str name, const char *const *names, size_t count) {
  for (size_t i = 0; i < count; i++) {
    if (str_equal(name, str_of(names[i]))) return true;
  }
  return false;
}

static Mode mode_of(Str name) {
  static const char *const named[] = {"properties", "$defs", "definitions"};
  static const char *const listed[] = {"anyOf", "oneOf", "allOf", "prefixItems"};
  static const char *const schemas[] = {"items", "not", "additionalProperties"};
  if (among(name, named, COUNT_OF(named))) return NAMED;
  if (among(name, listed, COUNT_OF(listed))) return LISTED;
  return among(name, schemas, COUNT_OF(schemas)) ? SCHEMA : DATA;
}

static bool is_bound(Str name) {
  static const char *const bounds[] = {"minimum",   "maximum",  "exclusiveMinimum", "exclusiveMaximum", "multipleOf",
                                       "minLength", "maxLength", "maxItems",        "uniqueItems",      "minProperties",
                                       "maxProperties"};
  return among(name, bounds, COUNT_OF(bounds));
}

/* The text of the value from its first event to its last, without what stands before it. */
static bool copy(Walk *w, JsonEvent event, size_t start) {
  uint32_t depth = 0;
  for (;; event = json_next(&w->r)) {
    if (event == JSON_ERROR || event == JSON_END) return false;
    if (event == JSON_OBJECT || event == JSON_ARRAY) depth++;
    if (event == JSON_OBJECT_END || event == JSON_ARRAY_END) depth--;
    if (depth == 0) break;
  }
  while (start < w->r.at && memchr(" \t\r\n,:", w->r.text.at[start], 6)) start++;
  buf_put(w->out, w->r.text.at + start, w->r.at - start);
  return true;
}

typedef struct Told { /* of an object's schema */
  bool object, closed, named;
} Told;

static void tell(Walk *w, Str name, JsonEvent event, Told *told) {
  if (str_equal(name, STR("type")) && event == JSON_STRING) told->object |= str_equal(w->r.string, STR("object"));
  if (str_equal(name, STR("properties"))) told->object = told->named = true;
  if (!str_equal(name, STR("additionalProperties"))) return;
  told->closed = true;
  w->open |= event != JSON_FALSE;
}

static bool member(Walk *w, Mode mode, Told *told) {
  Buf name = {0};
  size_t before = w->out->size, start = w->r.at;
  buf_str(&name, w->r.string);
  JsonEvent event = json_next(&w->r);
  bool schema = mode == SCHEMA, dropped = schema && is_bound(buf_view(&name));
  if (schema) tell(w, buf_view(&name), event, told);
  if (schema && str_equal(buf_view(&name), STR("minItems"))) dropped = event != JSON_INT || w->r.integer > 1;
  json_item(w->out);
  if (schema && str_equal(buf_view(&name), STR("oneOf"))) json_put_string(w->out, STR("anyOf"));
  else json_put_string(w->out, buf_view(&name));
  buf_byte(w->out, ':');
  bool ok = value(w, event, start, schema ? mode_of(buf_view(&name)) : SCHEMA);
  if (dropped) w->out->size = before;
  buf_deinit(&name);
  return ok;
}

static bool object(Walk *w, Mode mode) {
  Told told = {0};
  JsonEvent event;
  buf_byte(w->out, '{');
  while ((event = json_next(&w->r)) == JSON_NAME) {
    if (!member(w, mode, &told)) return false;
  }
  if (told.object && !told.closed) json_member_bool(w->out, "additionalProperties", false);
  w->open |= told.object && !told.named;
  buf_byte(w->out, '}');
  return event == JSON_OBJECT_END;
}

static bool list(Walk *w) {
  buf_byte(w->out, '[');
  for (;;) {
    size_t start = w->r.at;
    JsonEvent event = json_next(&w->r);
    if (event == JSON_ARRAY_END) break;
    json_item(w->out);
    if (!value(w, event, start, SCHEMA)) return false;
  }
  buf_byte(w->out, ']');
  return true;
}

static bool value(Walk *w, JsonEvent event, size_t start, Mode mode) {
  if (event == JSON_OBJECT && (mode == SCHEMA || mode == NAMED)) return object(w, mode);
  if (event == JSON_ARRAY && mode == LISTED) return list(w);
  return copy(w, event, start);
}

bool schema_plain(Str schema, Buf *out, Err *err) {
  Walk w = {.out = out};
  json_init(&w.r, schema);
  JsonEvent first = json_next(&w.r);
  bool ok = value(&w, first, 0, SCHEMA) && json_next(&w.r) == JSON_END;
  json_deinit(&w.r);
  if (!ok) FAIL(err, ERR_INVALID, "the schema of the answer is no JSON");
  else if (w.open)
    FAIL(err, ERR_INVALID, "the answer holds a map of any names, which Anthropic cannot be held to; "
                           "name its fields, or make it a list of pairs");
  return ok && !w.open;
}
