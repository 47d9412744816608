/* Values as deterministic CBOR and back. Reading builds from the leaves up, on the
** machine's stack of scratch roots, because making any object may move the others. */
#include "vm/core/wire.h"

#include "vm/core/loop.h"

/* ---- writing ---- */

typedef struct Writer {
  const Bundle *b;
  Buf *out;
  const char *why;
} Writer;

static bool put(Writer *w, Value v, uint32_t depth);

static bool cannot(Writer *w, const char *why) {
  w->why = why;
  return false;
}

static bool put_items(Writer *w, const Value *at, uint32_t count, uint32_t depth) {
  cbor_put_array(w->out, count);
  for (uint32_t i = 0; i < count; i++) {
    if (!put(w, at[i], depth)) return false;
  }
  return true;
}

static bool put_map(Writer *w, Value map, uint32_t depth) {
  Value key, v;
  cbor_put_tag(w->out, CBOR_TAG_MAP);
  cbor_put_array(w->out, (uint64_t)map_count(map) * 2);
  for (uint32_t cursor = 0; map_next(map, &cursor, &key, &v);) {
    if (!put(w, key, depth) || !put(w, v, depth)) return false;
  }
  return true;
}

static bool put_record(Writer *w, const RecordObj *r, uint32_t depth) {
  const BundleShape *shape = &w->b->shapes[r->shape];
  cbor_put_tag(w->out, CBOR_TAG_RECORD);
  cbor_put_array(w->out, 2 + (uint64_t)r->head.size * 2);
  cbor_put_text(w->out, bundle_text(w->b, shape->stored_name));
  cbor_put_uint(w->out, shape->version);
  for (uint32_t i = 0; i < r->head.size; i++) {
    cbor_put_text(w->out, bundle_text(w->b, w->b->fields[shape->fields.first + i].name));
    if (!put(w, r->field[i], depth)) return false;
  }
  return true;
}

static bool put_handle(Writer *w, const HandleObj *h, uint32_t depth) {
  cbor_put_tag(w->out, CBOR_TAG_HANDLE);
  cbor_put_array(w->out, 3);
  cbor_put_bytes(w->out, (Str){(const char *)h->run, 16});
  cbor_put_uint(w->out, h->seq);
  return put(w, h->name, depth);
}

static void put_range(Writer *w, const RangeObj *r) {
  cbor_put_tag(w->out, CBOR_TAG_RANGE);
  cbor_put_array(w->out, 3);
  cbor_put_int(w->out, r->from);
  cbor_put_int(w->out, r->to);
  cbor_put_int(w->out, r->step);
}

static void put_text(Writer *w, Value v) {
  const StringObj *s = (const StringObj *)value_obj(v);
  if (s->head.kind == OBJ_STRING) {
    cbor_put_text(w->out, (Str){s->bytes, s->head.size});
    return;
  }
  Buf flat = {0};
  char *at = buf_more(&flat, s->head.size);
  rope_write(v, at);
  cbor_put_text(w->out, (Str){at, s->head.size});
  buf_deinit(&flat);
}

static bool put_object(Writer *w, Value v, uint32_t depth) {
  Obj *o = value_obj(v);
  switch ((ObjKind)o->kind) {
    case OBJ_FLOAT: cbor_put_float(w->out, ((FloatObj *)o)->f); return true;
    case OBJ_INT: cbor_put_int(w->out, ((IntObj *)o)->i); return true;
    case OBJ_DECIMAL: cbor_put_decimal(w->out, value_decimal(v)); return true;
    case OBJ_STRING: case OBJ_ROPE: put_text(w, v); return true;
    case OBJ_BYTES:
      cbor_put_bytes(w->out, (Str){(const char *)((BytesObj *)o)->bytes, o->size});
      return true;
    case OBJ_LIST: return put_items(w, list_items(v), o->size, depth);
    case OBJ_MAP: return put_map(w, v, depth);
    case OBJ_RECORD: return put_record(w, (RecordObj *)o, depth);
    case OBJ_TIME: case OBJ_DURATION:
      cbor_put_tag(w->out, o->kind == OBJ_TIME ? CBOR_TAG_TIME : CBOR_TAG_DURATION);
      cbor_put_int(w->out, ((IntObj *)o)->i);
      return true;
    case OBJ_HANDLE: return put_handle(w, (HandleObj *)o, depth);
    case OBJ_SEALED:
      cbor_put_tag(w->out, CBOR_TAG_SEALED);
      return put(w, ((SealedObj *)o)->parts, depth);
    case OBJ_ERROR:
      cbor_put_tag(w->out, CBOR_TAG_ERROR);
      return put_items(w, &((ErrorObj *)o)->code, 4, depth);
    case OBJ_RANGE: put_range(w, (RangeObj *)o); return true;
    case OBJ_CLOSURE: return cannot(w, "a function cannot be stored or sent");
    case OBJ_ARRAY: case OBJ_TABLE: break;
  }
  return cannot(w, "this value cannot be stored");
}

static bool put(Writer *w, Value v, uint32_t depth) {
  if (depth > LIMIT_VALUE_DEPTH) return cannot(w, "the value is nested too deep to be stored");
  if (w->out->full) return cannot(w, "the value is too large to be stored");
  if (value_is_int(v)) cbor_put_int(w->out, value_small(v));
  else if (value_is_flonum(v)) cbor_put_float(w->out, flonum_decode(v));
  else if (value_is_obj(v)) return put_object(w, v, depth + 1);
  else if (value_is_bool(v)) cbor_put_bool(w->out, v == VALUE_TRUE);
  else cbor_put_nil(w->out);
  return true;
}

bool wire_put(const Machine *m, Value v, Buf *out, const char **why) {
  size_t before = out->size, max = out->max;
  bool full = out->full;
  Writer w = {m->bundle, out, NULL};
  if (!max || max > before + LIMIT_VALUE_BYTES) out->max = before + LIMIT_VALUE_BYTES;
  bool ok = put(&w, v, 0) && !out->full;
  out->max = max;
  if (ok) return true;
  out->size = before;
  out->full = full;
  *why = w.why ? w.why : "the value is too large to be stored";
  return false;
}

/* ---- reading ---- */

typedef struct Reader {
  Machine *m;
  CborReader r;
  Err *err;
} Reader;

/* Each of these leaves one more value on the held stack. */
static bool get(Reader *r, uint32_t depth);

static bool bad(Reader *r, const char *what) {
  FAIL(r->err, ERR_CORRUPT, "value: %s", what);
  return false;
}

static bool hold(Reader *r, Value v) {
  machine_hold(r->m, v);
  return true;
}

/* `count` values become one. */
static bool fold(Reader *r, uint32_t count, Value v) {
  r->m->held_count -= count;
  return hold(r, v);
}

static bool get_items(Reader *r, uint64_t count, uint32_t depth) {
  if (count > (size_t)(r->r.end - r->r.at)) return bad(r, "more elements than bytes");
  for (uint64_t i = 0; i < count; i++) {
    if (!get(r, depth)) return false;
  }
  return true;
}

static Value *held_top(Reader *r, uint32_t count) { return r->m->held + r->m->held_count - count; }

static bool get_list(Reader *r, uint64_t count, uint32_t depth) {
  if (!get_items(r, count, depth)) return false;
  Value list = list_from(r->m, held_top(r, (uint32_t)count), (uint32_t)count);
  share(list);
  return fold(r, (uint32_t)count, list);
}

/* The pairs on top of the stack as a map. It has room from the start, so nothing moves. */
static bool fold_map(Reader *r, uint32_t count, bool strict) {
  Value map = map_new(r->m, count / 2);
  const Value *at = held_top(r, count);
  for (uint32_t i = 0; i < count; i += 2) {
    if (!value_can_key(at[i])) return bad(r, "a key of a wrong kind");
    map_set(r->m, &map, at[i], at[i + 1]);
  }
  if (strict && map_count(map) != count / 2) return bad(r, "a key stands twice");
  share(map);
  return fold(r, count, map);
}

static bool get_map(Reader *r, uint32_t depth) {
  uint64_t count;
  if (!cbor_array(&r->r, &count, r->err)) return false;
  if (count % 2) return bad(r, "a key without a value");
  return get_items(r, count, depth) && fold_map(r, (uint32_t)count, true);
}

static uint32_t find_shape(const Bundle *b, Str name, uint64_t version) {
  for (uint32_t i = 0; i < b->shape_count; i++) {
    if (b->shapes[i].version == version &&
        str_equal(bundle_text(b, b->shapes[i].stored_name), name))
      return i;
  }
  return NONE_INDEX;
}

static Str text_of(Value v) {
  return (Str){((const StringObj *)value_obj(v))->bytes, value_obj(v)->size};
}

/* Whether the pairs on top are the shape's fields, in their order; the values are then brought
 * together. */
static bool gather_fields(Reader *r, uint32_t shape, uint32_t count) {
  const Bundle *b = r->m->bundle;
  Range32 fields = b->shapes[shape].fields;
  Value *at = held_top(r, count);
  if (count != fields.count * 2) return false;
  for (uint32_t i = 0; i < fields.count; i++) {
    if (!value_is_kind(at[i * 2], OBJ_STRING)) return false;
    if (!str_equal(text_of(at[i * 2]), bundle_text(b, b->fields[fields.first + i].name)))
      return false;
  }
  for (uint32_t i = 0; i < fields.count; i++) at[i] = at[i * 2 + 1];
  return true;
}

static bool get_record(Reader *r, uint32_t depth) {
  uint64_t count, version;
  Str name;
  if (!cbor_array(&r->r, &count, r->err)) return false;
  if (count < 2 || count % 2) return bad(r, "a record of a wrong form");
  if (!cbor_text(&r->r, &name, r->err) || !cbor_uint(&r->r, &version, r->err)) return false;
  count -= 2;
  if (!get_items(r, count, depth)) return false;
  uint32_t shape = find_shape(r->m->bundle, name, version);
  if (shape == NONE_INDEX || !gather_fields(r, shape, (uint32_t)count))
    return fold_map(r, (uint32_t)count, true);
  Value record = record_new(r->m, shape, held_top(r, (uint32_t)count), (uint32_t)count / 2);
  share(record);
  return fold(r, (uint32_t)count, record);
}

static bool get_handle(Reader *r) {
  uint64_t count, seq;
  Str run, name;
  if (!cbor_array(&r->r, &count, r->err) || !cbor_bytes(&r->r, &run, r->err)) return false;
  if (!cbor_uint(&r->r, &seq, r->err) || !cbor_text(&r->r, &name, r->err)) return false;
  if (count != 3 || run.size != 16) return bad(r, "a handle of a wrong form");
  return hold(r, handle_new(r->m, (const uint8_t *)run.at, seq, name));
}

static bool sealed_part_fits(Value part) {
  if (value_is_kind(part, OBJ_STRING)) return true;
  return value_is_kind(part, OBJ_LIST) && list_count(part) == 1 &&
         value_is_kind(list_at(part, 0), OBJ_STRING);
}

static bool get_sealed(Reader *r, uint32_t depth) {
  if (!get(r, depth)) return false;
  Value parts = *held_top(r, 1);
  if (!value_is_kind(parts, OBJ_LIST)) return bad(r, "a sealed value of a wrong form");
  for (uint32_t i = 0; i < list_count(parts); i++) {
    if (!sealed_part_fits(list_at(parts, i))) return bad(r, "a sealed value of a wrong form");
  }
  return fold(r, 1, sealed_from(r->m, held_top(r, 1)));
}

/* Whether it can be caught follows from its code: those of our own that cannot are known. */
static bool code_catchable(Value code) {
  for (int i = 0; i < FAULT_COUNT; i++) {
    if (!fault_info[i].catchable && str_equal(text_of(code), str_of(fault_info[i].code)))
      return false;
  }
  return true;
}

static bool get_error(Reader *r, uint32_t depth) {
  uint64_t count;
  if (!cbor_array(&r->r, &count, r->err)) return false;
  if (count != 4) return bad(r, "an error of a wrong form");
  if (!get_items(r, 4, depth)) return false;
  const Value *at = held_top(r, 4);
  if (!value_is_kind(at[0], OBJ_STRING) || !value_is_kind(at[1], OBJ_STRING))
    return bad(r, "an error of a wrong form");
  return fold(r, 4, error_value(r->m, at[0], at[1], at[2], at[3], code_catchable(at[0])));
}

static bool get_range(Reader *r) {
  uint64_t count;
  int64_t v[3];
  if (!cbor_array(&r->r, &count, r->err)) return false;
  if (count != 3) return bad(r, "a range of a wrong form");
  for (int i = 0; i < 3; i++) {
    if (!cbor_int(&r->r, &v[i], r->err)) return false;
  }
  return v[2] != 0 ? hold(r, range_new(r->m, v[0], v[1], v[2])) : bad(r, "a range without a step");
}

static bool get_tagged(Reader *r, uint64_t tag, uint32_t depth) {
  int64_t us;
  Decimal d;
  switch (tag) {
    case CBOR_TAG_DECIMAL:
      return cbor_decimal_body(&r->r, &d, r->err) && hold(r, decimal_value(r->m, d));
    case CBOR_TAG_MAP: return get_map(r, depth);
    case CBOR_TAG_RECORD: return get_record(r, depth);
    case CBOR_TAG_TIME: return cbor_int(&r->r, &us, r->err) && hold(r, time_new(r->m, us));
    case CBOR_TAG_DURATION: return cbor_int(&r->r, &us, r->err) && hold(r, duration_new(r->m, us));
    case CBOR_TAG_HANDLE: return get_handle(r);
    case CBOR_TAG_SEALED: return get_sealed(r, depth);
    case CBOR_TAG_ERROR: return get_error(r, depth);
    case CBOR_TAG_RANGE: return get_range(r);
    default: return bad(r, "a tag that no value has");
  }
}

static bool get(Reader *r, uint32_t depth) {
  CborItem item;
  if (depth > LIMIT_VALUE_DEPTH) return bad(r, "nested too deep");
  if (!cbor_next(&r->r, &item, r->err)) return false;
  switch (item.kind) {
    case CBOR_UINT:
      if (item.n > INT64_MAX) return bad(r, "an int of more than 64 bits");
      return hold(r, value_int(r->m, (int64_t)item.n));
    case CBOR_NEGINT: return hold(r, value_int(r->m, -1 - (int64_t)item.n));
    case CBOR_BYTES: return hold(r, bytes_new(r->m, item.bytes));
    case CBOR_TEXT: return hold(r, string_new(r->m, item.bytes));
    case CBOR_ARRAY: return get_list(r, item.n, depth + 1);
    case CBOR_TAG: return get_tagged(r, item.n, depth + 1);
    case CBOR_FLOAT: return hold(r, value_float(r->m, item.f));
    case CBOR_BOOL: return hold(r, value_bool(item.n != 0));
    case CBOR_NIL: return hold(r, VALUE_NIL);
  }
  return bad(r, "an item that no value has");
}

bool wire_get_part(Machine *m, CborReader *r, Value *out, Err *err) {
  Reader reader = {m, *r, err};
  uint32_t base = m->held_count;
  bool ok = get(&reader, 0);
  if (ok) *out = m->held[base];
  m->held_count = base;
  *r = reader.r;
  return ok;
}

bool wire_get(Machine *m, Str bytes, Value *out, Err *err) {
  if (bytes.size > LIMIT_VALUE_BYTES) {
    FAIL(err, ERR_LIMIT, "a value of %zu bytes is too large", bytes.size);
    return false;
  }
  Reader r = {m, cbor_reader(bytes), err};
  uint32_t base = m->held_count;
  bool ok = get(&r, 0);
  if (ok && r.r.at != r.r.end) ok = bad(&r, "bytes after its end");
  if (ok) *out = m->held[base];
  m->held_count = base;
  return ok;
}
