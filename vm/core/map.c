/* Maps: entries in the order they were put, and past eight of them an index from
** hashes to entries. A removed entry keeps its place, with the key MISSING, until
** the entries are packed. The index is rebuilt at will and never leaves the heap;
** order and equality do not depend on it. */
#include "vm/core/cost.h"
#include "vm/core/heap.h"

enum { MAP_SMALL = 8 };

static MapObj *map_of(Value v) { return (MapObj *)value_obj(v); }
static MapEntry *map_entries(const MapObj *o) {
  return o->entries == VALUE_NIL ? NULL
                                 : (MapEntry *)(void *)((ArrayObj *)value_obj(o->entries))->at;
}
static uint32_t map_room(const MapObj *o) {
  return o->entries == VALUE_NIL ? 0 : value_obj(o->entries)->size / 2;
}

static size_t entries_bytes(uint32_t room) { return sizeof(ArrayObj) + (size_t)room * 16; }
static uint32_t table_slots(uint32_t room) {
  uint32_t slots = 16;
  while (slots < room + room / 2) slots *= 2;
  return slots;
}
static size_t table_bytes(uint32_t room) {
  return object_round(sizeof(TableObj) + (size_t)table_slots(room) * 4);
}
static size_t map_bytes(uint32_t room) {
  return sizeof(MapObj) + entries_bytes(room) + 16 + (room > MAP_SMALL ? table_bytes(room) : 0);
}

static Value entries_take(Machine *m, uint32_t room) {
  if (!room) return VALUE_NIL;
  ArrayObj *a = heap_take(m, entries_bytes(room));
  a->head = (Obj){.kind = OBJ_ARRAY, .size = room * 2};
  for (uint32_t i = 0; i < room * 2; i++) a->at[i] = VALUE_NIL;
  return (Value)(uintptr_t)a;
}

static Value table_take(Machine *m, uint32_t room) {
  if (room <= MAP_SMALL) return VALUE_NIL;
  uint32_t slots = table_slots(room);
  TableObj *t = heap_take(m, table_bytes(room));
  t->head = (Obj){.kind = OBJ_TABLE, .size = slots};
  memset(t->slot, 0, (size_t)slots * 4);
  return (Value)(uintptr_t)t;
}

static Value map_take(Machine *m, uint32_t room) {
  Value entries = entries_take(m, room), index = table_take(m, room);
  MapObj *o = heap_take(m, sizeof *o);
  *o = (MapObj){.head = {.kind = OBJ_MAP}, .entries = entries, .index = index};
  return (Value)(uintptr_t)o;
}

Value map_new(Machine *m, uint32_t capacity) {
  heap_room(m, map_bytes(capacity));
  machine_charge(m, COST_MAP);
  return map_take(m, capacity);
}

uint32_t map_count(Value map) { return map_of(map)->head.size; }

/* ---- finding ---- */

static inline uint32_t key_hash(Value key) {
  if (value_is_int(key)) {
    uint64_t h = (uint64_t)value_small(key) * 0x9e3779b97f4a7c15u;
    return (uint32_t)(h >> 32) ^ (uint32_t)h;
  }
  return value_is_kind(key, OBJ_STRING) ? string_hash(key) : (uint32_t)value_hash(key);
}

static inline bool key_equal(Value a, Value b) {
  if (a == b) return true;
  if (!value_is_obj(a) || !value_is_obj(b)) return false;
  const Obj *x = value_obj(a), *y = value_obj(b);
  if (x->kind != y->kind) return false;
  if (x->kind == OBJ_STRING) {
    return x->size == y->size &&
           memcmp(((const StringObj *)x)->bytes, ((const StringObj *)y)->bytes, x->size) == 0;
  }
  return ((const IntObj *)x)->i == ((const IntObj *)y)->i; /* wide ints, times, durations */
}

static int64_t find_small(const MapObj *o, Value key) {
  const MapEntry *e = map_entries(o);
  for (uint32_t i = 0; i < o->used; i++) {
    if (key_equal(e[i].key, key)) return i;
  }
  return -1;
}

/* Linear probing; removed entries stay in the index and match nothing. */
static int64_t find_indexed(const MapObj *o, Value key, uint32_t hash) {
  const MapEntry *e = map_entries(o);
  const TableObj *t = (const TableObj *)value_obj(o->index);
  uint32_t mask = t->head.size - 1;
  for (uint32_t i = hash & mask; t->slot[i]; i = (i + 1) & mask) {
    if (key_equal(e[t->slot[i] - 1].key, key)) return t->slot[i] - 1;
  }
  return -1;
}

int64_t map_entry(Value map, Value key) {
  const MapObj *o = map_of(map);
  return o->index == VALUE_NIL ? find_small(o, key) : find_indexed(o, key, key_hash(key));
}

MapEntry *map_items(Value map) { return map_entries(map_of(map)); }

bool map_find(Value map, Value key, Value *out) {
  int64_t i = map_entry(map, key);
  if (i < 0) return false;
  *out = map_entries(map_of(map))[i].value;
  return true;
}

static bool text_is(Value key, Str text) {
  if (!value_is_kind(key, OBJ_STRING)) return false;
  const StringObj *s = (const StringObj *)value_obj(key);
  return s->head.size == text.size && (text.size == 0 || memcmp(s->bytes, text.at, text.size) == 0);
}

bool map_find_text(Value map, Str key, Value *out) {
  const MapObj *o = map_of(map);
  const MapEntry *e = map_entries(o);
  for (uint32_t i = 0; i < o->used; i++) {
    if (!text_is(e[i].key, key)) continue;
    *out = e[i].value;
    return true;
  }
  return false;
}

bool map_next(Value map, uint32_t *cursor, Value *key, Value *value) {
  const MapObj *o = map_of(map);
  const MapEntry *e = map_entries(o);
  while (*cursor < o->used && e[*cursor].key == VALUE_MISSING) ++*cursor;
  if (*cursor >= o->used) return false;
  *key = e[*cursor].key;
  *value = e[*cursor].value;
  ++*cursor;
  return true;
}

/* ---- changing ---- */

static void index_add(MapObj *o, uint32_t hash, uint32_t entry) {
  TableObj *t = (TableObj *)value_obj(o->index);
  uint32_t mask = t->head.size - 1, i = hash & mask;
  while (t->slot[i]) i = (i + 1) & mask;
  t->slot[i] = entry + 1;
}

/* Moves the live entries to fresh arrays with the given room, which has been reserved. */
static void map_rebuild(Machine *m, MapObj *to, const MapObj *from, uint32_t room) {
  Value entries = entries_take(m, room), index = table_take(m, room);
  const MapEntry *old = map_entries(from);
  MapEntry *e = room ? (MapEntry *)(void *)((ArrayObj *)value_obj(entries))->at : NULL;
  uint32_t count = 0;
  to->index = index;
  for (uint32_t i = 0; i < from->used; i++) {
    if (old[i].key == VALUE_MISSING) continue;
    e[count] = old[i];
    if (index != VALUE_NIL) index_add(to, key_hash(old[i].key), count);
    count++;
  }
  to->entries = entries;
  to->used = to->head.size = count;
}

static void map_grow(Machine *m, Value *map) {
  uint32_t live = map_count(*map), room = live < 4 ? 4 : live * 2;
  heap_room(m, map_bytes(room));
  map_rebuild(m, map_of(*map), map_of(*map), room);
}

/* A copy for an update: children are now shared. */
Value map_copy(Machine *m, Value *map, uint32_t more) {
  uint32_t room = map_count(*map) + more;
  heap_room(m, map_bytes(room));
  Value copy = map_take(m, 0);
  map_rebuild(m, map_of(copy), map_of(*map), room);
  MapEntry *e = map_entries(map_of(copy));
  for (uint32_t i = 0; i < map_of(copy)->used; i++) value_share(e[i].value);
  machine_charge(m, COST_MAP + (uint64_t)map_count(copy) * COST_ENTRY);
  return copy;
}

static void map_append(Machine *m, Value *map, Value key, Value v, uint32_t hash) {
  MapObj *o = map_of(*map);
  if (o->used == map_room(o)) {
    temps_save(m, 2, 2);
    m->temp[2] = key, m->temp[3] = v;
    map_grow(m, map);
    key = m->temp[2], v = m->temp[3];
    temps_restore(m, 2, 2);
    o = map_of(*map);
  }
  map_entries(o)[o->used] = (MapEntry){key, v};
  if (o->index != VALUE_NIL) index_add(o, hash ? hash : key_hash(key), o->used);
  o->used++;
  o->head.size++;
  machine_charge(m, COST_PUT);
}

/* Ropes become strings before they go in. */
static void map_settle(Machine *m, Value *key, Value *v) {
  temps_save(m, 2, 2);
  m->temp[2] = *key, m->temp[3] = *v;
  m->temp[2] = value_settle(m, m->temp[2]);
  m->temp[3] = value_settle(m, m->temp[3]);
  *key = m->temp[2], *v = m->temp[3];
  temps_restore(m, 2, 2);
}

void map_set(Machine *m, Value *map, Value key, Value v) {
  if (UNLIKELY(value_is_kind(v, OBJ_ROPE) || value_is_kind(key, OBJ_ROPE))) map_settle(m, &key, &v);
  MapObj *o = map_of(*map);
  uint32_t hash = 0;
  int64_t i;
  if (o->index == VALUE_NIL) {
    i = find_small(o, key);
    if (i < 0 && o->used >= MAP_SMALL) hash = key_hash(key);
  } else {
    hash = key_hash(key);
    i = find_indexed(o, key, hash);
  }
  if (i >= 0) map_entries(o)[i].value = v;
  else map_append(m, map, key, v, hash);
}

void map_set_text(Machine *m, Value *map, Str key, Value v) {
  temps_save(m, 1, 1);
  m->temp[1] = v;
  Value text = string_new(m, key);
  v = m->temp[1];
  temps_restore(m, 1, 1);
  map_set(m, map, text, v);
}

/* The entry's place stays in the index; many of them are swept by the next growth. */
bool map_remove(Machine *m, Value *map, Value key) {
  (void)m;
  int64_t i = map_entry(*map, key);
  if (i < 0) return false;
  MapObj *o = map_of(*map);
  map_entries(o)[i] = (MapEntry){VALUE_MISSING, VALUE_NIL};
  o->head.size--;
  if (o->head.size == 0) { /* begin again: a queue must not scan its past */
    o->used = 0;
    if (o->index != VALUE_NIL)
      memset(((TableObj *)value_obj(o->index))->slot, 0, (size_t)value_obj(o->index)->size * 4);
  }
  return true;
}
