/* Lists: a header and an array with room to grow. An array belongs to one list;
** its words past the count are nil. */
#include "vm/core/cost.h"
#include "vm/core/heap.h"

static ListObj *list_of(Value v) { return (ListObj *)value_obj(v); }
static ArrayObj *array_of(Value v) { return (ArrayObj *)value_obj(v); }

static size_t array_bytes(uint32_t capacity) {
  return object_round(sizeof(ArrayObj) + (size_t)capacity * 8);
}

/* Room has been made. */
static Value array_take(Machine *m, uint32_t capacity) {
  ArrayObj *a = heap_take(m, array_bytes(capacity));
  a->head = (Obj){.kind = OBJ_ARRAY, .size = capacity};
  for (uint32_t i = 0; i < capacity; i++) a->at[i] = VALUE_NIL;
  return (Value)(uintptr_t)a;
}

static Value list_take(Machine *m, uint32_t capacity) {
  Value array = capacity ? array_take(m, capacity) : VALUE_NIL;
  ListObj *l = heap_take(m, sizeof *l);
  l->head = (Obj){.kind = OBJ_LIST};
  l->array = array;
  return (Value)(uintptr_t)l;
}

Value list_new(Machine *m, uint32_t capacity) {
  heap_room(m, sizeof(ListObj) + array_bytes(capacity));
  machine_charge(m, COST_LIST);
  return list_take(m, capacity);
}

Value list_from(Machine *m, const Value *items, uint32_t count) {
  heap_room(m, sizeof(ListObj) + array_bytes(count));
  Value list = list_take(m, count);
  list_of(list)->head.size = count;
  if (count) memcpy(list_items(list), items, (size_t)count * 8);
  machine_charge(m, COST_LIST + (uint64_t)count * COST_ELEMENT);
  return list;
}

uint32_t list_count(Value list) { return list_of(list)->head.size; }

Value list_at(Value list, uint32_t i) {
  ASSERT(i < list_count(list));
  return list_items(list)[i];
}

void list_set(Value list, uint32_t i, Value v) {
  ASSERT(i < list_count(list));
  list_items(list)[i] = v;
}

static uint32_t list_room(Value list) {
  Value array = list_of(list)->array;
  return array == VALUE_NIL ? 0 : array_of(array)->head.size;
}

static void list_grow(Machine *m, Value *list, uint64_t need) {
  uint64_t capacity = (uint64_t)list_room(*list) * 2;
  if (capacity < 4) capacity = 4;
  if (capacity < need) capacity = need;
  heap_room(m, array_bytes((uint32_t)capacity));
  Value array = array_take(m, (uint32_t)capacity);
  ListObj *l = list_of(*list);
  if (l->head.size) memcpy(array_of(array)->at, list_items(*list), (size_t)l->head.size * 8);
  l->array = array;
}

/* v must survive a move: it waits in m->temp[3] while the list grows. */
static Value list_make_room(Machine *m, Value *list, Value v, uint64_t need) {
  bool rope = value_is_kind(v, OBJ_ROPE);
  if (LIKELY(!rope && need <= list_room(*list))) return v;
  temps_save(m, 3, 1);
  m->temp[3] = v;
  if (rope) m->temp[3] = value_settle(m, v);
  if (need > list_room(*list)) list_grow(m, list, need);
  v = m->temp[3];
  temps_restore(m, 3, 1);
  return v;
}

void list_push(Machine *m, Value *list, Value v) {
  uint32_t count = list_count(*list);
  v = list_make_room(m, list, v, (uint64_t)count + 1);
  list_items(*list)[count] = v;
  list_of(*list)->head.size = count + 1;
  machine_charge(m, COST_PUSH);
}

void list_insert(Machine *m, Value *list, uint32_t i, Value v) {
  uint32_t count = list_count(*list);
  ASSERT(i <= count);
  v = list_make_room(m, list, v, (uint64_t)count + 1);
  Value *at = list_items(*list);
  memmove(at + i + 1, at + i, (size_t)(count - i) * 8);
  at[i] = v;
  list_of(*list)->head.size = count + 1;
  machine_charge(m, COST_PUSH);
}

void list_remove(Value list, uint32_t i) {
  uint32_t count = list_count(list);
  ASSERT(i < count);
  Value *at = list_items(list);
  memmove(at + i, at + i + 1, (size_t)(count - i - 1) * 8);
  list_truncate(list, count - 1);
}

void list_truncate(Value list, uint32_t count) {
  ListObj *l = list_of(list);
  Value *at = list_items(list);
  for (uint32_t i = count; i < l->head.size; i++) at[i] = VALUE_NIL;
  if (count < l->head.size) l->head.size = count;
}

/* `other` may be the list itself. */
void list_extend(Machine *m, Value *list, Value *other) {
  uint32_t count = list_count(*list), more = list_count(*other);
  if (!more) return;
  if ((uint64_t)count + more > list_room(*list)) list_grow(m, list, (uint64_t)count + more);
  Value *from = list_items(*other), *to = list_items(*list) + count;
  for (uint32_t i = 0; i < more; i++) {
    value_share(from[i]);
    to[i] = from[i];
  }
  list_of(*list)->head.size = count + more;
  machine_charge(m, (uint64_t)more * COST_PUSH);
}
