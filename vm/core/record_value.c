/* Records, and what all containers share: the shared bit, copying for an update. */
#include "vm/core/cost.h"
#include "vm/core/loop.h"

static RecordObj *record_take(Machine *m, uint32_t shape, uint32_t count) {
  RecordObj *r = heap_take(m, object_round(sizeof(RecordObj) + (size_t)count * 8));
  r->head = (Obj){.kind = OBJ_RECORD, .size = count};
  r->shape = shape;
  r->key = record_key(shape);
  machine_charge(m, COST_RECORD + (uint64_t)count * 8);
  return r;
}

/* The fields are read after the move: they stand in registers or in m->temp. A rope among them is
** flattened first, where it stands. */
Value record_new(Machine *m, uint32_t shape, const Value *fields, uint32_t count) {
  for (uint32_t i = 0; i < count; i++) {
    if (UNLIKELY(value_is_kind(fields[i], OBJ_ROPE))) value_settle(m, fields[i]);
  }
  RecordObj *r = record_take(m, shape, count);
  for (uint32_t i = 0; i < count; i++) {
    Value v = fields[i];
    r->field[i] = UNLIKELY(value_is_kind(v, OBJ_ROPE)) ? ((RopeObj *)value_obj(v))->left : v;
  }
  return (Value)(uintptr_t)r;
}

void value_share(Value v) { share(v); }

bool value_is_container(Value v) {
  if (!value_is_obj(v)) return false;
  uint8_t kind = value_obj(v)->kind;
  return kind == OBJ_LIST || kind == OBJ_MAP || kind == OBJ_RECORD;
}

static Value record_copy(Machine *m, const Value *from) {
  uint32_t count = value_obj(*from)->size;
  RecordObj *r = record_take(m, ((const RecordObj *)value_obj(*from))->shape, count);
  const RecordObj *old = (const RecordObj *)value_obj(*from);
  for (uint32_t i = 0; i < count; i++) {
    share(old->field[i]);
    r->field[i] = old->field[i];
  }
  return (Value)(uintptr_t)r;
}

/* A copy gets a little room, for most copies are made to be appended to. */
static Value list_copy(Machine *m, Value *from) {
  uint32_t count = list_count(*from);
  Value list = list_new(m, count + count / 2 + 1);
  Value *to = list_items(list), *at = list_items(*from);
  for (uint32_t i = 0; i < count; i++) {
    share(at[i]);
    to[i] = at[i];
  }
  value_obj(list)->size = count;
  machine_charge(m, (uint64_t)count * COST_ELEMENT);
  return list;
}

Value container_copy(Machine *m, Value *from) {
  machine_work(m, (uint64_t)value_obj(*from)->size * 8);
  switch (value_obj(*from)->kind) {
    case OBJ_LIST: return list_copy(m, from);
    case OBJ_MAP: return map_copy(m, from, 4);
    case OBJ_RECORD: return record_copy(m, from);
    default: UNREACHABLE();
  }
}

void value_own(Machine *m, Value *container) {
  if (value_is_container(*container) && (value_obj(*container)->flags & OBJ_SHARED)) {
    *container = container_copy(m, container);
  }
}
