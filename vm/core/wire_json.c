/* Values as JSON text and back. */
#include "vm/base/hash.h"
#include "vm/base/json.h"
#include "vm/core/loop.h"
#include "vm/core/wire.h"

/* ---- reading: containers grow on the held stack, `open` says where each began ---- */

typedef struct Open {
  uint32_t first;
  bool object;
} Open;

typedef struct Load {
  Machine *m;
  JsonReader json;
  Open open[512 + 1]; /* LIMIT_JSON_DEPTH */
  uint32_t depth;
} Load;
_Static_assert(sizeof((Load *)0)->open / sizeof(Open) > 512, "as deep as JSON may be");

static Value close_list(Load *l, uint32_t first) {
  return list_from(l->m, l->m->held + first, l->m->held_count - first);
}

/* Of names that stand twice the last holds, at the place of the first. */
static Value close_object(Load *l, uint32_t first) {
  uint32_t count = l->m->held_count - first;
  Value map = map_new(l->m, count / 2);
  for (uint32_t i = 0; i < count; i += 2)
    map_set(l->m, &map, l->m->held[first + i], l->m->held[first + i + 1]);
  return map;
}

static void load_close(Load *l) {
  Open open = l->open[--l->depth];
  Value v = open.object ? close_object(l, open.first) : close_list(l, open.first);
  l->m->held_count = open.first;
  machine_hold(l->m, v);
}

/* False at the end or an error. */
static bool load_event(Load *l, JsonEvent event) {
  Machine *m = l->m;
  switch (event) {
    case JSON_OBJECT: case JSON_ARRAY:
      ASSERT(l->depth < COUNT_OF(l->open));
      l->open[l->depth++] = (Open){m->held_count, event == JSON_OBJECT};
      return true;
    case JSON_OBJECT_END: case JSON_ARRAY_END: load_close(l); return true;
    case JSON_NAME: case JSON_STRING: machine_hold(m, string_new(m, l->json.string)); return true;
    case JSON_INT: machine_hold(m, value_int(m, l->json.integer)); return true;
    case JSON_FLOAT: machine_hold(m, value_float(m, l->json.number)); return true;
    case JSON_TRUE: machine_hold(m, VALUE_TRUE); return true;
    case JSON_FALSE: machine_hold(m, VALUE_FALSE); return true;
    case JSON_NULL: machine_hold(m, VALUE_NIL); return true;
    case JSON_END: case JSON_ERROR: return false;
  }
  return false;
}

static void load_complain(const Load *l, Buf *why) {
  uint32_t line, column;
  json_place(&l->json, &line, &column);
  buf_format(why, "line %" PRIu32 ", column %" PRIu32 ": %s", line, column, l->json.error);
}

bool wire_from_json(Machine *m, Str json, Value *out, Buf *why) {
  Load l = {.m = m};
  uint32_t base = m->held_count;
  JsonEvent event;
  json_init(&l.json, json);
  do event = json_next(&l.json);
  while (load_event(&l, event));
  bool ok = event == JSON_END && m->held_count == base + 1;
  if (ok) *out = m->held[base];
  else load_complain(&l, why);
  m->held_count = base;
  json_deinit(&l.json);
  return ok;
}

/* ---- writing ---- */

typedef struct Dump {
  const Machine *m;
  Buf *out;
  const char *why;
  bool pretty;
} Dump;

static bool dump(Dump *d, Value v, uint32_t depth);

static bool cannot(Dump *d, const char *why) {
  d->why = why;
  return false;
}

static void dump_break(Dump *d, uint32_t depth) {
  if (!d->pretty) return;
  buf_byte(d->out, '\n');
  for (uint32_t i = 0; i < depth; i++) buf_text(d->out, "  ");
}

static bool dump_items(Dump *d, Value list, uint32_t depth) {
  buf_byte(d->out, '[');
  for (uint32_t i = 0; i < list_count(list); i++) {
    if (i) buf_byte(d->out, ',');
    dump_break(d, depth);
    if (!dump(d, list_at(list, i), depth)) return false;
  }
  if (list_count(list)) dump_break(d, depth - 1);
  buf_byte(d->out, ']');
  return true;
}

static void dump_name(Dump *d, Str name, bool first, uint32_t depth) {
  if (!first) buf_byte(d->out, ',');
  dump_break(d, depth);
  json_put_string(d->out, name);
  buf_text(d->out, d->pretty ? ": " : ":");
}

static bool dump_map(Dump *d, Value map, uint32_t depth) {
  Value key, v;
  bool first = true;
  buf_byte(d->out, '{');
  for (uint32_t cursor = 0; map_next(map, &cursor, &key, &v); first = false) {
    Buf name = {0};
    value_print(d->m, key, false, &name);
    dump_name(d, buf_view(&name), first, depth);
    buf_deinit(&name);
    if (!dump(d, v, depth)) return false;
  }
  if (!first) dump_break(d, depth - 1);
  buf_byte(d->out, '}');
  return true;
}

static bool dump_record(Dump *d, const RecordObj *r, uint32_t depth) {
  const Bundle *b = d->m->bundle;
  Range32 fields = b->shapes[r->shape].fields;
  buf_byte(d->out, '{');
  for (uint32_t i = 0; i < r->head.size; i++) {
    dump_name(d, bundle_text(b, b->fields[fields.first + i].name), i == 0, depth);
    if (!dump(d, r->field[i], depth)) return false;
  }
  if (r->head.size) dump_break(d, depth - 1);
  buf_byte(d->out, '}');
  return true;
}

static bool dump_named(Dump *d, const char *const *names, const Value *at, uint32_t count,
                       uint32_t depth) {
  buf_byte(d->out, '{');
  for (uint32_t i = 0; i < count; i++) {
    dump_name(d, str_of(names[i]), i == 0, depth);
    if (!dump(d, at[i], depth)) return false;
  }
  dump_break(d, depth - 1);
  buf_byte(d->out, '}');
  return true;
}

static bool dump_float(Dump *d, double f) {
  if (!(f - f == 0)) return cannot(d, "JSON has no number for nan or an infinity");
  float_print(f, d->out);
  return true;
}

/* What value_print says, in quotes. */
static void dump_printed(Dump *d, Value v) {
  Buf text = {0};
  value_print(d->m, v, false, &text);
  json_put_string(d->out, buf_view(&text));
  buf_deinit(&text);
}

static bool dump_handle(Dump *d, const HandleObj *h, uint32_t depth) {
  Uuid id;
  char text[37];
  memcpy(id.byte, h->run, 16);
  uuid_text(id, text);
  buf_byte(d->out, '{');
  dump_name(d, STR("run"), true, depth);
  json_put_string(d->out, str_of(text));
  dump_name(d, STR("workflow"), false, depth);
  if (!dump(d, h->name, depth)) return false;
  dump_break(d, depth - 1);
  buf_byte(d->out, '}');
  return true;
}

static bool dump_range(Dump *d, const RangeObj *r) {
  uint64_t count = range_count(r);
  buf_byte(d->out, '[');
  for (uint64_t i = 0; i < count && !d->out->full; i++) {
    if (i) buf_byte(d->out, ',');
    int_print(range_at(r, i), d->out);
  }
  buf_byte(d->out, ']');
  return true;
}

static bool dump_object(Dump *d, Value v, uint32_t depth) {
  static const char *const error_names[] = {"code", "message", "data", "at"};
  Obj *o = value_obj(v);
  switch ((ObjKind)o->kind) {
    case OBJ_FLOAT: return dump_float(d, ((FloatObj *)o)->f);
    case OBJ_INT: int_print(((IntObj *)o)->i, d->out); return true;
    case OBJ_DECIMAL: decimal_print(value_decimal(v), d->out); return true;
    case OBJ_STRING: json_put_string(d->out, (Str){((StringObj *)o)->bytes, o->size}); return true;
    case OBJ_ROPE: case OBJ_TIME: case OBJ_DURATION: dump_printed(d, v); return true;
    case OBJ_BYTES:
      buf_byte(d->out, '"');
      base64_encode((Str){(const char *)((BytesObj *)o)->bytes, o->size}, false, d->out);
      buf_byte(d->out, '"');
      return true;
    case OBJ_LIST: return dump_items(d, v, depth);
    case OBJ_MAP: return dump_map(d, v, depth);
    case OBJ_RECORD: return dump_record(d, (RecordObj *)o, depth);
    case OBJ_HANDLE: return dump_handle(d, (HandleObj *)o, depth);
    case OBJ_ERROR: return dump_named(d, error_names, &((ErrorObj *)o)->code, 4, depth);
    case OBJ_RANGE: return dump_range(d, (RangeObj *)o);
    case OBJ_CLOSURE: return cannot(d, "a function cannot be written as JSON");
    case OBJ_SEALED: return cannot(d, "a sealed value cannot be written as JSON");
    case OBJ_ARRAY: case OBJ_TABLE: break;
  }
  return cannot(d, "this value cannot be written as JSON");
}

static bool dump(Dump *d, Value v, uint32_t depth) {
  if (depth > LIMIT_JSON_DEPTH) return cannot(d, "the value is nested too deep for JSON");
  if (d->out->full) return cannot(d, "the JSON text would be too large");
  if (value_is_int(v)) int_print(value_small(v), d->out);
  else if (value_is_flonum(v)) float_print(flonum_decode(v), d->out);
  else if (value_is_obj(v)) return dump_object(d, v, depth + 1);
  else buf_text(d->out, v == VALUE_TRUE ? "true" : v == VALUE_FALSE ? "false" : "null");
  return true;
}

bool wire_to_json(const Machine *m, Value v, bool pretty, Buf *out, const char **why) {
  size_t before = out->size, max = out->max;
  Dump d = {m, out, NULL, pretty};
  if (!max || max > before + LIMIT_VALUE_BYTES) out->max = before + LIMIT_VALUE_BYTES;
  bool ok = dump(&d, v, 0) && !out->full;
  out->max = max;
  if (ok) return true;
  out->size = before;
  out->full = false;
  *why = d.why ? d.why : "the JSON text would be too large";
  return false;
}
