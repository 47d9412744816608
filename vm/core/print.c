/* A value as `print` shows it. */
#include "vm/base/hash.h"
#include "vm/base/json.h"
#include "vm/core/heap.h"

typedef struct Printer {
  const Bundle *bundle;
  Buf *out;
} Printer;

static void print_at(Printer *p, Value v, bool quoted, uint32_t depth);

static void print_text(Printer *p, Value v, bool quoted) {
  Buf scratch = {0};
  Str text = {((const StringObj *)value_obj(v))->bytes, value_obj(v)->size};
  if (value_is_kind(v, OBJ_ROPE)) {
    text = (Str){buf_more(&scratch, value_obj(v)->size), value_obj(v)->size};
    rope_write(v, scratch.at);
  }
  if (quoted) json_put_string(p->out, text);
  else buf_str(p->out, text);
  buf_deinit(&scratch);
}

static void print_items(Printer *p, const Value *at, uint32_t count, uint32_t depth) {
  for (uint32_t i = 0; i < count && !p->out->full; i++) {
    if (i) buf_text(p->out, ", ");
    print_at(p, at[i], true, depth);
  }
}

static bool is_word(Value key) {
  if (!value_is_kind(key, OBJ_STRING) || value_obj(key)->size == 0) return false;
  const StringObj *s = (const StringObj *)value_obj(key);
  for (uint32_t i = 0; i < s->head.size; i++) {
    char c = s->bytes[i];
    bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
    if (!letter && !(i > 0 && c >= '0' && c <= '9')) return false;
  }
  return true;
}

static void print_map(Printer *p, Value map, uint32_t depth) {
  Value key, v;
  bool first = true;
  buf_byte(p->out, '{');
  for (uint32_t cursor = 0; map_next(map, &cursor, &key, &v) && !p->out->full; first = false) {
    if (!first) buf_text(p->out, ", ");
    print_at(p, key, !is_word(key), depth);
    buf_text(p->out, ": ");
    print_at(p, v, true, depth);
  }
  buf_byte(p->out, '}');
}

static void print_record(Printer *p, const RecordObj *r, uint32_t depth) {
  const BundleShape *shape = &p->bundle->shapes[r->shape];
  buf_str(p->out, bundle_text(p->bundle, shape->name));
  buf_byte(p->out, '(');
  for (uint32_t i = 0; i < r->head.size && !p->out->full; i++) {
    if (i) buf_text(p->out, ", ");
    buf_str(p->out, bundle_text(p->bundle, p->bundle->fields[shape->fields.first + i].name));
    buf_text(p->out, ": ");
    print_at(p, r->field[i], true, depth);
  }
  buf_byte(p->out, ')');
}

static void print_sealed(Printer *p, Value parts) {
  for (uint32_t i = 0; i < list_count(parts); i++) {
    Value part = list_at(parts, i);
    if (value_is_kind(part, OBJ_STRING)) print_text(p, part, false);
    else buf_text(p->out, "******");
  }
}

static void print_range(Printer *p, const RangeObj *r) {
  buf_format(p->out, "range(%" PRId64 ", %" PRId64, r->from, r->to);
  if (r->step != 1) buf_format(p->out, ", %" PRId64, r->step);
  buf_byte(p->out, ')');
}

static void print_handle(Printer *p, const HandleObj *h) {
  Uuid id;
  char text[37];
  memcpy(id.byte, h->run, 16);
  uuid_text(id, text);
  buf_format(p->out, "<run %s>", text);
}

static void print_error(Printer *p, const ErrorObj *e) {
  print_at(p, e->code, false, 0);
  if (!value_is_text(e->message) || value_obj(e->message)->size == 0) return;
  buf_text(p->out, ": ");
  print_text(p, e->message, false);
}

static void print_object(Printer *p, Value v, bool quoted, uint32_t depth) {
  Obj *o = value_obj(v);
  switch ((ObjKind)o->kind) {
    case OBJ_FLOAT: float_print(((FloatObj *)o)->f, p->out); break;
    case OBJ_INT: int_print(((IntObj *)o)->i, p->out); break;
    case OBJ_DECIMAL: decimal_print(value_decimal(v), p->out); break;
    case OBJ_STRING: case OBJ_ROPE: print_text(p, v, quoted); break;
    case OBJ_BYTES: buf_format(p->out, "<%" PRIu32 " bytes>", o->size); break;
    case OBJ_LIST:
      buf_byte(p->out, '[');
      print_items(p, list_items(v), o->size, depth);
      buf_byte(p->out, ']');
      break;
    case OBJ_MAP: print_map(p, v, depth); break;
    case OBJ_RECORD: print_record(p, (RecordObj *)o, depth); break;
    case OBJ_TIME: time_print(((IntObj *)o)->i, p->out); break;
    case OBJ_DURATION: duration_print(((IntObj *)o)->i, p->out); break;
    case OBJ_CLOSURE:
      buf_text(p->out, "<fn ");
      buf_str(p->out, bundle_text(p->bundle, p->bundle->fns[((ClosureObj *)o)->fn].name));
      buf_byte(p->out, '>');
      break;
    case OBJ_HANDLE: print_handle(p, (HandleObj *)o); break;
    case OBJ_SEALED: print_sealed(p, ((SealedObj *)o)->parts); break;
    case OBJ_ERROR: print_error(p, (ErrorObj *)o); break;
    case OBJ_RANGE: print_range(p, (RangeObj *)o); break;
    case OBJ_ARRAY: case OBJ_TABLE: break;
  }
}

static void print_at(Printer *p, Value v, bool quoted, uint32_t depth) {
  if (p->out->full) return;
  if (depth > LIMIT_VALUE_DEPTH) buf_text(p->out, "...");
  else if (value_is_int(v)) int_print(value_small(v), p->out);
  else if (value_is_flonum(v)) float_print(flonum_decode(v), p->out);
  else if (v == VALUE_TRUE) buf_text(p->out, "true");
  else if (v == VALUE_FALSE) buf_text(p->out, "false");
  else if (!value_is_obj(v)) buf_text(p->out, "nil");
  else print_object(p, v, quoted, depth + 1);
}

void value_print(const Machine *m, Value v, bool quoted, Buf *out) {
  Printer p = {m->bundle, out};
  print_at(&p, v, quoted, 0);
}
