/* Types at run time: does a value fit, and what to say when it does not. */
#include "vm/core/cost.h"
#include "vm/core/loop.h"
#include "vm/core/program.h"

typedef struct TypeWork {
  Machine *m;
  uint64_t steps, max;
  bool over;
} TypeWork;

static bool fits(TypeWork *w, Value v, uint32_t type, uint32_t depth);

/* Elements at the front that are seen at a glance to be of the type: each one step like any other.
 */
static uint32_t list_glance(TypeWork *w, Value v, const BundleType *t) {
  const Value *items = list_items(v);
  uint32_t i = 0, count = list_count(v);
  if (t->kind == TYPE_INT) {
    while (i < count && value_is_int(items[i])) i++;
  } else if (t->kind == TYPE_FLOAT) {
    while (i < count && (value_is_flonum(items[i]) || value_is_int(items[i]))) i++;
  } else if (t->kind == TYPE_RECORD) {
    while (i < count && value_is_kind(items[i], OBJ_RECORD) &&
           ((const RecordObj *)value_obj(items[i]))->shape == t->shape)
      i++;
  }
  w->steps += i;
  return i;
}

static bool list_fits(TypeWork *w, Value v, uint32_t elem, uint32_t depth) {
  if (w->m->bundle->types[elem].kind == TYPE_ANY) return true;
  if (value_is_kind(v, OBJ_RANGE)) return w->m->bundle->types[elem].kind == TYPE_INT;
  for (uint32_t i = list_glance(w, v, &w->m->bundle->types[elem]); i < list_count(v); i++) {
    if (!fits(w, list_at(v, i), elem, depth)) return false;
  }
  return true;
}

static bool map_fits(TypeWork *w, Value v, uint32_t elem, uint32_t depth) {
  if (w->m->bundle->types[elem].kind == TYPE_ANY) return true;
  Value key, item;
  for (uint32_t cursor = 0; map_next(v, &cursor, &key, &item);) {
    if (!fits(w, item, elem, depth)) return false;
  }
  return true;
}

/* A field of a map, record or error by name. */
static bool part_of(const Bundle *b, Value v, Str name, Value *out) {
  if (value_is_kind(v, OBJ_MAP)) return map_find_text(v, name, out);
  if (!value_is_kind(v, OBJ_RECORD)) return false;
  const RecordObj *r = (const RecordObj *)value_obj(v);
  int32_t slot = shape_slot(b, r->shape, name);
  if (slot < 0) return false;
  *out = r->field[slot];
  return true;
}

static bool object_fits(TypeWork *w, Value v, Range32 fields, uint32_t depth) {
  const Bundle *b = w->m->bundle;
  if (!value_is_kind(v, OBJ_MAP) && !value_is_kind(v, OBJ_RECORD)) return false;
  for (uint32_t i = 0; i < fields.count; i++) {
    const BundleField *field = &b->fields[fields.first + i];
    Value part;
    if (part_of(b, v, bundle_text(b, field->name), &part) ? !fits(w, part, field->type, depth)
                                                          : !field->optional) {
      return false;
    }
  }
  return true;
}

static bool union_fits(TypeWork *w, Value v, Range32 members, uint32_t depth) {
  for (uint32_t i = 0; i < members.count; i++) {
    if (fits(w, v, w->m->bundle->indexes[members.first + i], depth)) return true;
  }
  return false;
}

static bool fits(TypeWork *w, Value v, uint32_t index, uint32_t depth) {
  if (w->over || ++w->steps > w->max || depth > LIMIT_VALUE_DEPTH) {
    w->over = true;
    return false;
  }
  const BundleType *t = &w->m->bundle->types[index];
  TypeKind kind = value_type(v);
  switch ((TypeKind)t->kind) {
    case TYPE_ANY:
      return true;
    case TYPE_NIL:
    case TYPE_BOOL:
    case TYPE_INT:
    case TYPE_DECIMAL:
    case TYPE_STRING:
    case TYPE_BYTES:
    case TYPE_TIME:
    case TYPE_DURATION:
    case TYPE_FUNCTION:
    case TYPE_HANDLE:
    case TYPE_SEALED:
    case TYPE_ERROR:
      return kind == (TypeKind)t->kind;
    case TYPE_FLOAT:
      return kind == TYPE_FLOAT || kind == TYPE_INT;
    case TYPE_LIST:
      return kind == TYPE_LIST && list_fits(w, v, t->elem, depth + 1);
    case TYPE_MAP:
      return kind == TYPE_MAP && map_fits(w, v, t->elem, depth + 1);
    case TYPE_RECORD:
      return kind == TYPE_RECORD && ((const RecordObj *)value_obj(v))->shape == t->shape;
    case TYPE_OBJECT:
      return object_fits(w, v, t->fields, depth + 1);
    case TYPE_UNION:
      return union_fits(w, v, t->members, depth + 1);
    case TYPE_LITERAL: {
      Value literal = w->m->program->consts[t->literal];
      return value_type(literal) == kind && value_equal(v, literal);
    }
  }
  return false;
}

bool op_type_is(Machine *m, Value v, uint32_t type, bool *fit) {
  uint64_t left = m->ticks_limit > m->ticks ? m->ticks_limit - m->ticks : 0;
  TypeWork w = {.m = m,
                .max = left > UINT64_MAX / 16 ? UINT64_MAX / 16 : left * (64 / WORK_COMPARE) + 64};
  *fit = fits(&w, v, type, 0);
  machine_work(m, w.steps * WORK_COMPARE);
  return !w.over ||
         op_fault(m, FAULT_VALUE, "a value nested so deep cannot be checked against a type");
}

static void union_print(const Bundle *b, Range32 members, Buf *out, uint32_t depth);

static void type_print_at(const Bundle *b, uint32_t type, Buf *out, uint32_t depth) {
  const BundleType *t = &b->types[type];
  if (depth > 4) {
    buf_text(out, "…");
    return;
  }
  switch ((TypeKind)t->kind) {
    case TYPE_LIST:
    case TYPE_MAP:
      buf_text(out, type_kind_word((TypeKind)t->kind));
      if (b->types[t->elem].kind == TYPE_ANY) break;
      buf_byte(out, '[');
      type_print_at(b, t->elem, out, depth + 1);
      buf_byte(out, ']');
      break;
    case TYPE_RECORD:
      buf_str(out, bundle_text(b, b->shapes[t->shape].name));
      break;
    case TYPE_UNION:
      union_print(b, t->members, out, depth + 1);
      break;
    case TYPE_LITERAL: {
      const BundleConst *c = &b->consts[t->literal];
      if (c->kind == CONST_INT) buf_format(out, "%" PRId64, c->i);
      else if (c->kind == CONST_BOOL) buf_text(out, c->i ? "true" : "false");
      else buf_format(out, "\"" STR_FMT "\"", STR_ARG(c->text));
      break;
    }
    case TYPE_OBJECT:
      buf_byte(out, '{');
      for (uint32_t i = 0; i < t->fields.count && !out->full; i++) {
        if (i) buf_text(out, ", ");
        buf_str(out, bundle_text(b, b->fields[t->fields.first + i].name));
        buf_text(out, ": ");
        type_print_at(b, b->fields[t->fields.first + i].type, out, depth + 1);
      }
      buf_byte(out, '}');
      break;
    case TYPE_ANY:
    case TYPE_NIL:
    case TYPE_BOOL:
    case TYPE_INT:
    case TYPE_FLOAT:
    case TYPE_DECIMAL:
    case TYPE_STRING:
    case TYPE_BYTES:
    case TYPE_TIME:
    case TYPE_DURATION:
    case TYPE_FUNCTION:
    case TYPE_HANDLE:
    case TYPE_SEALED:
    case TYPE_ERROR:
      buf_text(out, type_kind_word((TypeKind)t->kind));
      break;
  }
}

static void union_print(const Bundle *b, Range32 members, Buf *out, uint32_t depth) {
  const uint32_t *at = b->indexes + members.first;
  if (members.count == 2 && b->types[at[1]].kind == TYPE_NIL) {
    type_print_at(b, at[0], out, depth);
    buf_byte(out, '?');
    return;
  }
  for (uint32_t i = 0; i < members.count && !out->full; i++) {
    if (i) buf_text(out, " | ");
    type_print_at(b, at[i], out, depth);
  }
}

void type_text_print(const Bundle *b, uint32_t type, Buf *out) { type_print_at(b, type, out, 0); }

bool op_check(Machine *m, Value *v, uint32_t type) {
  bool fit;
  if (!op_type_is(m, *v, type, &fit)) return false;
  if (fit) return true;
  Buf text = {.max = 400};
  type_text_print(m->bundle, type, &text);
  op_fault(m, FAULT_TYPE, "expected " STR_FMT ", found %s", STR_ARG(buf_view(&text)),
           value_brief(m, *v, true).text);
  buf_deinit(&text);
  return false;
}

bool op_shape_fault(Machine *m, Value v, uint32_t shape) {
  Str name = bundle_text(m->bundle, m->bundle->shapes[shape].name);
  return op_fault(m, FAULT_TYPE, "expected " STR_FMT ", found %s", STR_ARG(name),
                  value_brief(m, v, true).text);
}

bool op_config(Machine *m, Value *a, uint32_t index) {
  if (!value_is_kind(m->config, OBJ_LIST) || index >= list_count(m->config)) {
    Str name = bundle_text(m->bundle, m->bundle->configs[index].name);
    return op_fault(m, FAULT_UNSET, "config " STR_FMT, STR_ARG(name));
  }
  *a = list_at(m->config, index);
  return true;
}
