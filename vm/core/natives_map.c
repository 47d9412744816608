/* The module map. What only reads takes a record too: its fields are the entries. */
#include "vm/core/natives.h"

#include "vm/core/program.h"

/* ---- arguments ---- */

/* A key that maps can have, settled. */
static bool arg_key(Machine *m, Value *arg, const char *what, Value *result) {
  if (!value_can_key(*arg)) return key_refuse(m, what, *arg, result);
  *arg = value_settle(m, *arg);
  return true;
}

/* Room for `more` entries in a map. */
static bool entries_room(Machine *m, Value map, uint64_t more, Value *result) {
  if (map_count(map) + more <= LIMIT_VALUE_BYTES / sizeof(MapEntry)) return true;
  return native_fault(m, result, FAULT_SIZE, "256 MB");
}

/* The record in *arg becomes a map of its fields. */
static void map_of_record(Machine *m, Value *arg) {
  uint32_t n = value_obj(*arg)->size;
  const BundleShape *shape = &m->bundle->shapes[((RecordObj *)value_obj(*arg))->shape];
  temps_save(m, 0, 1);
  m->temp[0] = map_new(m, n);
  for (uint32_t i = 0; i < n; i++) {
    Value field = shared(((RecordObj *)value_obj(*arg))->field[i]);
    map_set_text(m, &m->temp[0],
                 bundle_text(m->bundle, m->bundle->fields[shape->fields.first + i].name), field);
  }
  *arg = m->temp[0];
  temps_restore(m, 0, 1);
}

static bool arg_entries(Machine *m, Value *arg, const char *what, Value *result) {
  if (value_is_kind(*arg, OBJ_MAP)) return true;
  if (!value_is_kind(*arg, OBJ_RECORD))
    return arg_mismatch(m, what, "a map or a record", *arg, result);
  map_of_record(m, arg);
  return true;
}

/* The value under a key (a key maps can have) of a map or record. */
static bool entry_find(Machine *m, Value holder, Value key, Value *out) {
  if (value_is_kind(holder, OBJ_MAP)) return map_find(holder, key, out);
  if (!value_is_kind(key, OBJ_STRING)) return false;
  const RecordObj *r = (const RecordObj *)value_obj(holder);
  int32_t slot = shape_slot(m->bundle, r->shape, text_of(key));
  if (slot >= 0) *out = r->field[slot];
  return slot >= 0;
}

/* ---- reading ---- */

NATIVE_BODY(map_len) {
  if (value_is_kind(args[0], OBJ_RECORD)) return native_core_len(m, args, 1, result);
  if (!arg_entries(m, &args[0], "map.len: the map", result)) return false;
  *result = value_small_int(map_count(args[0]));
  return true;
}

NATIVE_BODY(map_is_empty) {
  if (!arg_entries(m, &args[0], "map.is_empty: the map", result)) return false;
  *result = value_bool(map_count(args[0]) == 0);
  return true;
}

static bool holder_arg(Machine *m, Value v, const char *what, Value *result) {
  return value_is_kind(v, OBJ_MAP) || value_is_kind(v, OBJ_RECORD) ||
         arg_mismatch(m, what, "a map or a record", v, result);
}

NATIVE_BODY(map_get) {
  Value v;
  if (!holder_arg(m, args[0], "map.get: the map", result) ||
      !arg_key(m, &args[1], "map.get: the key", result))
    return false;
  if (entry_find(m, args[0], args[1], &v)) *result = shared(v);
  else *result = arg_given(args, count, 2) ? shared(args[2]) : VALUE_NIL;
  return true;
}

NATIVE_BODY(map_has) {
  Value v;
  if (!holder_arg(m, args[0], "map.has: the map", result) ||
      !arg_key(m, &args[1], "map.has: the key", result))
    return false;
  *result = value_bool(entry_find(m, args[0], args[1], &v));
  return true;
}

/* One step of a path: a key of a map or record, or an index of a list. */
static bool path_step(Machine *m, Value holder, Value step, Value *out) {
  int64_t i;
  if (value_is_kind(holder, OBJ_LIST) && value_to_int(step, &i)) {
    int64_t n = list_count(holder);
    if (i < 0) i += n;
    if (i < 0 || i >= n) return false;
    *out = list_at(holder, (uint32_t)i);
    return true;
  }
  bool keyed = value_is_kind(holder, OBJ_MAP) || value_is_kind(holder, OBJ_RECORD);
  return keyed && value_can_key(step) && entry_find(m, holder, step, out);
}

NATIVE_BODY(map_dig) {
  if (!arg_list(m, &args[1], "map.dig: the path", result)) return false;
  Value at = args[0];
  uint32_t n = list_count(args[1]);
  machine_work(m, (uint64_t)n * WORK_COMPARE);
  for (uint32_t i = 0; i < n; i++) {
    if (path_step(m, at, list_at(args[1], i), &at)) continue;
    *result = arg_given(args, count, 2) ? shared(args[2]) : VALUE_NIL;
    return true;
  }
  *result = shared(at);
  return true;
}

/* The keys (or values) of args[0] as a list. */
static bool entries_list(Machine *m, Value *args, bool keys, Value *result) {
  Value made, key, v;
  if (!list_of_nils(m, map_count(args[0]), &made, result)) return false;
  Value *out = list_items(made);
  for (uint32_t cursor = 0; map_next(args[0], &cursor, &key, &v);) *out++ = keys ? key : shared(v);
  *result = made;
  return true;
}

NATIVE_BODY(map_keys) {
  return arg_entries(m, &args[0], "map.keys: the map", result) &&
         entries_list(m, args, true, result);
}

NATIVE_BODY(map_values) {
  return arg_entries(m, &args[0], "map.values: the map", result) &&
         entries_list(m, args, false, result);
}

NATIVE_BODY(map_entries) {
  if (!arg_entries(m, &args[0], "map.entries: the map", result)) return false;
  if (!list_of_nils(m, map_count(args[0]), &m->temp[0], result)) return false;
  Value key, v, row;
  for (uint32_t i = 0, cursor = 0, n = map_count(args[0]); i < n; i++) {
    if (!list_of_nils(m, 2, &row, result)) return false;
    map_next(args[0], &cursor, &key, &v);
    Value *out = list_items(row);
    out[0] = key;
    out[1] = shared(v);
    list_set(m->temp[0], i, row);
  }
  *result = m->temp[0];
  m->temp[0] = VALUE_NIL;
  return true;
}

/* ---- making ---- */

/* Puts all entries of *from into *to; both are roots. */
static bool put_all(Machine *m, Value *to, Value *from, Value *result) {
  Value key, v;
  if (!entries_room(m, *to, map_count(*from), result)) return false;
  machine_work(m, (uint64_t)map_count(*from) * sizeof(MapEntry));
  for (uint32_t cursor = 0; map_next(*from, &cursor, &key, &v);) map_set(m, to, key, shared(v));
  return true;
}

NATIVE_BODY(map_merge) {
  uint64_t total = 0;
  for (uint32_t i = 0; i < count; i++) {
    if (!arg_entries(m, &args[i], "map.merge: an argument", result)) return false;
    total += map_count(args[i]);
  }
  if (!entries_room(m, args[0], total, result)) return false;
  machine_work(m, (uint64_t)map_count(args[0]) * sizeof(MapEntry));
  m->temp[4] = map_copy(m, &args[0], (uint32_t)(total - map_count(args[0])));
  for (uint32_t i = 1; i < count; i++) {
    if (!put_all(m, &m->temp[4], &args[i], result)) return false;
  }
  *result = m->temp[4];
  m->temp[4] = VALUE_NIL;
  return true;
}

static bool pair_fault(Machine *m, Value v, const char *what, Value *result) {
  return arg_mismatch(m, what, "a list of a key and a value", v, result);
}

static bool from_pairs(Machine *m, Value *list, const char *what, Value *result) {
  if (!arg_list(m, list, what, result)) return false;
  uint32_t n = list_count(*list);
  if (n > LIMIT_VALUE_BYTES / sizeof(MapEntry))
    return native_fault(m, result, FAULT_SIZE, "256 MB");
  machine_work(m, (uint64_t)n * sizeof(MapEntry));
  m->temp[4] = map_new(m, n);
  for (uint32_t i = 0; i < n; i++) {
    Value pair = list_at(*list, i);
    if (!value_is_kind(pair, OBJ_LIST) || list_count(pair) != 2)
      return pair_fault(m, pair, what, result);
    if (!value_can_key(list_at(pair, 0)))
      return key_refuse(m, "map.from_entries: a key", list_at(pair, 0), result);
    map_set(m, &m->temp[4], list_at(pair, 0), shared(list_at(pair, 1)));
  }
  *result = m->temp[4];
  m->temp[4] = VALUE_NIL;
  return true;
}

NATIVE_BODY(map_from_entries) {
  return from_pairs(m, &args[0], "map.from_entries: an entry", result);
}

NATIVE_BODY(map_from) {
  if (value_is_kind(args[0], OBJ_LIST))
    return from_pairs(m, &args[0], "map.from: an entry", result);
  if (!arg_entries(m, &args[0], "map.from: the value", result)) return false;
  *result = shared(args[0]);
  return true;
}

static bool keys_argument(Machine *m, Value *args, const char *what, Value *result) {
  if (!arg_entries(m, &args[0], what, result) || !arg_list(m, &args[1], what, result)) return false;
  for (uint32_t i = 0, n = list_count(args[1]); i < n; i++) {
    if (!value_can_key(list_at(args[1], i)))
      return key_refuse(m, what, list_at(args[1], i), result);
  }
  machine_work(m, (uint64_t)list_count(args[1]) * sizeof(MapEntry));
  return true;
}

NATIVE_BODY(map_pick) {
  Value v;
  if (!keys_argument(m, args, "map.pick: an argument", result)) return false;
  m->temp[4] = map_new(m, 0);
  for (uint32_t i = 0; i < list_count(args[1]); i++) {
    Value key = list_at(args[1], i);
    if (map_find(args[0], key, &v)) map_set(m, &m->temp[4], key, shared(v));
  }
  *result = m->temp[4];
  m->temp[4] = VALUE_NIL;
  return true;
}

NATIVE_BODY(map_without) {
  if (!keys_argument(m, args, "map.without: an argument", result)) return false;
  machine_work(m, (uint64_t)map_count(args[0]) * sizeof(MapEntry));
  m->temp[4] = map_copy(m, &args[0], 0);
  for (uint32_t i = 0; i < list_count(args[1]); i++)
    map_remove(m, &m->temp[4], list_at(args[1], i));
  *result = m->temp[4];
  m->temp[4] = VALUE_NIL;
  return true;
}

NATIVE_BODY(map_invert) {
  Value key, v;
  if (!arg_map(m, args[0], "map.invert: the map", result)) return false;
  machine_work(m, (uint64_t)map_count(args[0]) * sizeof(MapEntry));
  m->temp[4] = map_new(m, map_count(args[0]));
  for (uint32_t cursor = 0; map_next(args[0], &cursor, &key, &v);) {
    if (!value_can_key(v)) return key_refuse(m, "map.invert: a value", v, result);
    map_set(m, &m->temp[4], v, key);
  }
  *result = m->temp[4];
  m->temp[4] = VALUE_NIL;
  return true;
}

/* ---- changing: the map in args[0] is unshared and stays the same object ---- */

static bool own_map(Machine *m, Value *args, const char *what, Value *result) {
  if (!arg_map(m, args[0], what, result)) return false;
  value_own(m, &args[0]);
  *result = VALUE_NIL;
  return true;
}

NATIVE_BODY(map_set) {
  if (!own_map(m, args, "map.set: the map", result) ||
      !arg_key(m, &args[1], "map.set: the key", result))
    return false;
  if (!entries_room(m, args[0], 1, result)) return false;
  map_set(m, &args[0], args[1], shared(args[2]));
  *result = VALUE_NIL;
  return true;
}

NATIVE_BODY(map_remove) {
  if (!own_map(m, args, "map.remove: the map", result) ||
      !arg_key(m, &args[1], "map.remove: the key", result))
    return false;
  map_find(args[0], args[1], result);
  map_remove(m, &args[0], args[1]);
  return true;
}

NATIVE_BODY(map_update) {
  if (!own_map(m, args, "map.update: the map", result)) return false;
  if (!arg_entries(m, &args[1], "map.update: what is added", result)) return false;
  if (args[0] != args[1] && !put_all(m, &args[0], &args[1], result)) return false;
  *result = VALUE_NIL;
  return true;
}

NATIVE_BODY(map_clear) {
  if (!own_map(m, args, "map.clear: the map", result)) return false;
  MapObj *o = (MapObj *)value_obj(args[0]);
  o->head.size = o->used = 0;
  o->entries = o->index = VALUE_NIL;
  return true;
}
