/* Lists as sets: where an element is, how often, without repeats. Elements are
** found by a hash that agrees with == for every kind of value, in a table beside
** the heap; nothing is allocated on the heap while it is in use. */
#include "vm/base/hash.h"
#include "vm/base/mem.h"
#include "vm/core/natives.h"

/* ---- equality within bounds ---- */

static bool same(CompareWork *w, Value a, Value b) {
  if (value_is_int(a) && value_is_int(b)) return a == b;
  if (value_is_kind(a, OBJ_STRING) && value_is_kind(b, OBJ_STRING) && a != b) {
    if (value_obj(a)->size != value_obj(b)->size) return false;
    w->steps += value_obj(a)->size / 32;
  }
  return value_equal_bounded(a, b, w);
}

/* The next index from i on (by step) of an element equal to v; count if there is none. */
static uint32_t find_from(CompareWork *w, Value list, Value v, uint32_t i, uint32_t step) {
  const Value *items = list_items(list);
  uint32_t n = list_count(list);
  for (; i < n && !w->long_; i += step) {
    if (same(w, items[i], v)) return i;
  }
  return n;
}

/* The list and the value looked for, both ready to be compared. */
static bool search_arguments(Machine *m, Value *args, const char *what, Value *result) {
  if (!arg_list(m, &args[0], what, result)) return false;
  args[1] = value_settle(m, args[1]);
  machine_work(m, (uint64_t)list_count(args[0]) * WORK_COMPARE);
  return true;
}

NATIVE_BODY(list_index_of) {
  int64_t from = 0;
  if (!search_arguments(m, args, "list.index_of: the list", result)) return false;
  uint32_t n = list_count(args[0]);
  if (arg_given(args, count, 2) && !arg_int(m, args[2], "list.index_of: the start", &from, result))
    return false;
  if (from < 0) from = from < -(int64_t)n ? 0 : from + (int64_t)n;
  CompareWork work = compare_begin(m);
  uint32_t i = from >= (int64_t)n ? n : find_from(&work, args[0], args[1], (uint32_t)from, 1);
  *result = i < n ? value_small_int(i) : VALUE_NIL;
  return compare_end(m, &work, "list.index_of", result);
}

NATIVE_BODY(list_last_index_of) {
  if (!search_arguments(m, args, "list.last_index_of: the list", result)) return false;
  CompareWork work = compare_begin(m);
  uint32_t n = list_count(args[0]);
  uint32_t i = n ? find_from(&work, args[0], args[1], n - 1, UINT32_MAX)
                 : 0; /* adds -1: past 0 it wraps above n */
  *result = i < n ? value_small_int(i) : VALUE_NIL;
  return compare_end(m, &work, "list.last_index_of", result);
}

NATIVE_BODY(list_count) {
  if (!search_arguments(m, args, "list.count: the list", result)) return false;
  CompareWork work = compare_begin(m);
  int64_t times = 0;
  uint32_t n = list_count(args[0]);
  for (uint32_t i = 0; (i = find_from(&work, args[0], args[1], i, 1)) < n; i++) times++;
  *result = value_small_int(times);
  return compare_end(m, &work, "list.count", result);
}

/* ---- a hash for any value ---- */

enum { HASH_DEPTH = 3, HASH_ITEMS = 8 };

static uint64_t mix(uint64_t x) {
  x = (x ^ (x >> 31)) * 0x9e3779b97f4a7c15u;
  return x ^ (x >> 29);
}

/* Equal numbers hash alike whatever their kind: as the int they are, else as the nearest float. */
static uint64_t number_hash(Value v) {
  int64_t i;
  double f;
  if (value_to_int(v, &i)) return mix((uint64_t)i);
  if (value_is_kind(v, OBJ_DECIMAL)) {
    if (decimal_to_int(value_decimal(v), &i)) return mix((uint64_t)i);
    f = decimal_to_float(value_decimal(v));
  } else {
    value_to_float(v, &f);
    if (f >= -9223372036854775808.0 && f < 9223372036854775808.0 && (double)(int64_t)f == f)
      return mix((uint64_t)(int64_t)f);
  }
  uint64_t bits;
  memcpy(&bits, &f, sizeof bits);
  return mix(bits + 1);
}

static uint64_t hash_at(Value v, uint32_t depth);

static uint64_t items_hash(const Value *items, uint32_t count, uint32_t depth) {
  uint64_t h = count;
  for (uint32_t i = 0; i < count && i < HASH_ITEMS; i++) h = mix(h ^ hash_at(items[i], depth));
  return h;
}

/* Entries add up, since order does not count; a large map gives its size only. */
static uint64_t map_hash(Value map, uint32_t depth) {
  uint64_t h = map_count(map);
  Value key, v;
  if (h > HASH_ITEMS) return mix(h);
  for (uint32_t cursor = 0; map_next(map, &cursor, &key, &v);)
    h += mix(hash_at(key, depth) + hash_at(v, depth) * 3);
  return mix(h);
}

static uint64_t object_hash(Value v, uint32_t depth) {
  const Obj *o = value_obj(v);
  if (depth > HASH_DEPTH) return o->kind;
  switch ((ObjKind)o->kind) {
    case OBJ_FLOAT:
    case OBJ_INT:
    case OBJ_DECIMAL: return number_hash(v);
    case OBJ_STRING: return string_hash(v);
    case OBJ_BYTES: return hash_bytes(((const BytesObj *)o)->bytes, o->size);
    case OBJ_TIME:
    case OBJ_DURATION: return mix((uint64_t)((const IntObj *)o)->i + o->kind);
    case OBJ_LIST: return items_hash(list_items(v), o->size, depth + 1);
    case OBJ_MAP: return map_hash(v, depth + 1);
    case OBJ_RECORD:
      return items_hash(((const RecordObj *)o)->field, o->size, depth + 1) +
             ((const RecordObj *)o)->shape;
    case OBJ_HANDLE: return hash_bytes(((const HandleObj *)o)->run, 16);
    case OBJ_ERROR: return items_hash(&((const ErrorObj *)o)->code, 4, depth + 1);
    case OBJ_RANGE: return hash_bytes(&((const RangeObj *)o)->from, 24);
    case OBJ_ROPE:
    case OBJ_CLOSURE:
    case OBJ_SEALED:
    case OBJ_ARRAY:
    case OBJ_TABLE: break;
  }
  return o->kind;
}

static uint64_t hash_at(Value v, uint32_t depth) {
  if (value_is_int(v) || value_is_flonum(v)) return number_hash(v);
  return value_is_obj(v) ? object_hash(v, depth) : mix(v);
}

/* ---- the table: element numbers by hash ---- */

typedef struct Seen {
  const Value *items; /* of the list whose elements are in it */
  uint32_t *slots;    /* element + 1; 0 is free */
  uint32_t mask;
  CompareWork work;
} Seen;

static void seen_begin(Machine *m, Seen *s, Value list) {
  uint32_t size = 16;
  while (size < list_count(list) * (uint64_t)2) size *= 2;
  *s = (Seen){.items = list_items(list), .mask = size - 1, .work = compare_begin(m)};
  s->slots = mem_alloc((size_t)size * sizeof *s->slots);
  machine_work(m, (uint64_t)list_count(list) * 2 * WORK_COMPARE);
}

/* The slot where v is, or could be put. */
static uint32_t *seen_slot(Seen *s, Value v) {
  uint32_t at = (uint32_t)hash_at(v, 0) & s->mask;
  for (; s->slots[at] && !s->work.long_; at = (at + 1) & s->mask) {
    if (same(&s->work, s->items[s->slots[at] - 1], v)) break;
    s->work.steps++;
    if (s->work.steps > s->work.max) s->work.long_ = true;
  }
  return &s->slots[at];
}

static void seen_all(Seen *s, Value list) {
  for (uint32_t i = 0, n = list_count(list); i < n && !s->work.long_; i++)
    *seen_slot(s, s->items[i]) = i + 1;
}

/* The elements of *list that are marked. */
static bool keep_marked(Machine *m, Value *list, const uint8_t *keep, Value *result) {
  uint32_t n = list_count(*list), kept = 0;
  for (uint32_t i = 0; i < n; i++) kept += keep[i];
  Value made;
  if (!list_of_nils(m, kept, &made, result)) return false;
  Value *out = list_items(made);
  const Value *items = list_items(*list);
  for (uint32_t i = 0; i < n; i++) {
    if (keep[i]) *out++ = shared(items[i]);
  }
  *result = made;
  return true;
}

NATIVE_BODY(list_unique) {
  Seen seen;
  if (!arg_list(m, &args[0], "list.unique: the list", result)) return false;
  uint32_t n = list_count(args[0]);
  uint8_t *keep = mem_alloc((size_t)n + 1);
  seen_begin(m, &seen, args[0]);
  for (uint32_t i = 0; i < n && !seen.work.long_; i++) {
    uint32_t *slot = seen_slot(&seen, seen.items[i]);
    keep[i] = *slot == 0;
    if (keep[i]) *slot = i + 1;
  }
  mem_free(seen.slots);
  bool ok =
      compare_end(m, &seen.work, "list.unique", result) && keep_marked(m, &args[0], keep, result);
  mem_free(keep);
  return ok;
}

/* The elements of args[0] that are (or are not) in args[1]. */
static bool keep_if_in(Machine *m, Value *args, bool in, const char *what, Value *result) {
  Seen seen;
  if (!arg_list(m, &args[0], what, result) || !arg_list(m, &args[1], what, result)) return false;
  uint32_t n = list_count(args[0]);
  uint8_t *keep = mem_alloc((size_t)n + 1);
  machine_work(m, (uint64_t)n * WORK_COMPARE);
  seen_begin(m, &seen, args[1]);
  seen_all(&seen, args[1]);
  for (uint32_t i = 0; i < n && !seen.work.long_; i++)
    keep[i] = (*seen_slot(&seen, list_at(args[0], i)) != 0) == in;
  mem_free(seen.slots);
  bool ok = compare_end(m, &seen.work, what, result) && keep_marked(m, &args[0], keep, result);
  mem_free(keep);
  return ok;
}

NATIVE_BODY(list_without) {
  return keep_if_in(m, args, false, "list.without: an argument", result);
}
NATIVE_BODY(list_common) { return keep_if_in(m, args, true, "list.common: an argument", result); }

NATIVE_BODY(list_frequencies) {
  if (!arg_list(m, &args[0], "list.frequencies: the list", result)) return false;
  machine_work(m, (uint64_t)list_count(args[0]) * WORK_COMPARE);
  m->temp[0] = map_new(m, 0);
  for (uint32_t i = 0, n = list_count(args[0]); i < n; i++) {
    Value v = list_at(args[0], i), times = value_small_int(0);
    if (!value_can_key(v)) return key_refuse(m, "list.frequencies: an element", v, result);
    map_find(m->temp[0], v, &times);
    map_set(m, &m->temp[0], v, value_small_int(value_small(times) + 1));
  }
  *result = m->temp[0];
  m->temp[0] = VALUE_NIL;
  return true;
}
