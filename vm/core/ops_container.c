/* Containers where the loop's common cases end: other kinds, negative indexes,
** missing keys, shared containers that must be copied, ropes that must be strings. */
#include "vm/core/cost.h"
#include "vm/core/loop.h"
#include "vm/core/program.h"

static bool size_fault(Machine *m) {
  return op_fault(m, FAULT_SIZE, "%" PRIu64 " MB", LIMIT_VALUE_BYTES >> 20);
}

void settle_all(Machine *m, Value *at, uint32_t count) {
  for (uint32_t i = 0; i < count; i++) {
    if (value_is_kind(at[i], OBJ_ROPE)) at[i] = value_settle(m, at[i]);
  }
}

/* ---- the nearest name, for messages ---- */

static uint32_t edit_distance(Str a, Str b) {
  enum { LONGEST = 32 };
  if (a.size > LONGEST || b.size > LONGEST) return UINT32_MAX;
  uint32_t row[LONGEST + 1];
  for (uint32_t j = 0; j <= b.size; j++) row[j] = j;
  for (uint32_t i = 1; i <= a.size; i++) {
    uint32_t diagonal = row[0];
    row[0] = i;
    for (uint32_t j = 1; j <= b.size; j++) {
      uint32_t best = diagonal + (a.at[i - 1] != b.at[j - 1]);
      diagonal = row[j];
      if (row[j] + 1 < best) best = row[j] + 1;
      if (row[j - 1] + 1 < best) best = row[j - 1] + 1;
      row[j] = best;
    }
  }
  return row[b.size];
}

typedef struct Nearest {
  Str wanted, best;
  uint32_t distance;
} Nearest;

static void nearest_try(Nearest *n, Str name) {
  uint32_t d = edit_distance(n->wanted, name);
  if (d >= n->distance || d > n->wanted.size / 3 + 1) return;
  n->distance = d;
  n->best = name;
}

static Str text_of(Value v) {
  return (Str){((const StringObj *)value_obj(v))->bytes, value_obj(v)->size};
}

static Nearest nearest_name(const Machine *m, Value container, Value name) {
  enum { TRIED = 200 };
  Nearest n = {.wanted = text_of(name), .distance = UINT32_MAX};
  if (value_is_kind(container, OBJ_RECORD)) {
    Range32 fields = m->bundle->shapes[((const RecordObj *)value_obj(container))->shape].fields;
    for (uint32_t i = 0; i < fields.count; i++)
      nearest_try(&n, bundle_text(m->bundle, m->bundle->fields[fields.first + i].name));
  } else {
    Value key, v;
    uint32_t tried = 0;
    for (uint32_t cursor = 0; tried < TRIED && map_next(container, &cursor, &key, &v); tried++) {
      if (value_is_kind(key, OBJ_STRING)) nearest_try(&n, text_of(key));
    }
  }
  return n;
}

static bool missing(Machine *m, FaultCode code, const char *what, Value container, Value name) {
  if (!value_is_kind(name, OBJ_STRING)) {
    return op_fault(m, code, "there is no %s %s here", what, value_brief(m, name, false).text);
  }
  Nearest n = nearest_name(m, container, name);
  if (!n.best.at)
    return op_fault(m, code, "there is no %s %s here", what, value_brief(m, name, false).text);
  char best[40];
  snprintf(best, sizeof best, STR_FMT, STR_ARG(n.best));
  return op_fault(m, code, "there is no %s %s here; the nearest is \"%s\"", what,
                  value_brief(m, name, false).text, best);
}

/* ---- indexes ---- */

/* Negative ones count from the end. False without a fault when outside. */
static bool index_in(Value v, uint32_t count, uint32_t *out) {
  int64_t i;
  if (!value_to_int(v, &i)) return false;
  if (i < 0) i += count;
  if (i < 0 || i >= count) return false;
  *out = (uint32_t)i;
  return true;
}

static bool index_fault(Machine *m, Value container, Value index, uint32_t count) {
  if (value_type(index) != TYPE_INT) {
    return op_fault(m, FAULT_TYPE, "a %s is indexed by an int, not by %s",
                    type_kind_word(value_type(container)), value_brief(m, index, true).text);
  }
  return op_fault(m, FAULT_INDEX, "index %s is outside this %s of %" PRIu32,
                  value_brief(m, index, false).text, type_kind_word(value_type(container)), count);
}

static bool key_fault(Machine *m, Value key) {
  if (value_is_kind(key, OBJ_SEALED))
    return op_fault(m, FAULT_SEALED, "a sealed value cannot be a key");
  return op_fault(m, FAULT_TYPE, "%s cannot be a key: keys are strings, ints, bools and times",
                  value_brief(m, key, true).text);
}

uint64_t range_count(const RangeObj *r) {
  if (r->step == 0 || (r->step > 0 ? r->from >= r->to : r->from <= r->to)) return 0;
  uint64_t span =
      r->step > 0 ? (uint64_t)r->to - (uint64_t)r->from : (uint64_t)r->from - (uint64_t)r->to;
  uint64_t step = r->step > 0 ? (uint64_t)r->step : 0 - (uint64_t)r->step;
  return (span - 1) / step + 1;
}

int64_t range_at(const RangeObj *r, uint64_t i) {
  return (int64_t)((uint64_t)r->from + i * (uint64_t)r->step);
}

static bool get_char(Machine *m, Value *a, Value *b, Value *c, bool optional) {
  uint32_t i, chars = string_chars(m, b);
  if (index_in(*c, chars, &i)) {
    *a = string_at(m, b, i);
    return true;
  }
  if (!optional || value_type(*c) != TYPE_INT) return index_fault(m, *b, *c, chars);
  *a = VALUE_NIL;
  return true;
}

static bool get_item(Machine *m, Value *a, Value b, Value c, bool optional) {
  const Obj *o = value_obj(b);
  uint64_t wide = o->kind == OBJ_RANGE ? range_count((const RangeObj *)o) : o->size;
  uint32_t i, count = wide > UINT32_MAX ? UINT32_MAX : (uint32_t)wide;
  if (!index_in(c, count, &i)) {
    if (!optional || value_type(c) != TYPE_INT) return index_fault(m, b, c, count);
    *a = VALUE_NIL;
  } else if (o->kind == OBJ_LIST) {
    *a = list_items(b)[i];
  } else if (o->kind == OBJ_BYTES) {
    *a = value_small_int(((const BytesObj *)o)->bytes[i]);
  } else {
    *a = value_int(m, range_at((const RangeObj *)o, i));
  }
  return true;
}

static bool get_key(Machine *m, Value *a, Value *b, Value *c, bool optional) {
  if (!value_can_key(*c)) return key_fault(m, *c);
  Value key = value_settle(m, *c), v;
  if (map_find(*b, key, &v)) *a = v;
  else if (optional) *a = VALUE_NIL;
  else return missing(m, FAULT_KEY, "key", *b, key);
  return true;
}

bool op_get_index(Machine *m, Value *a, Value *b, Value *c, bool optional) {
  if (*b == VALUE_NIL && optional) {
    *a = VALUE_NIL;
    return true;
  }
  if (value_is_obj(*b)) {
    switch ((ObjKind)value_obj(*b)->kind) {
      case OBJ_MAP: return get_key(m, a, b, c, optional);
      case OBJ_STRING: case OBJ_ROPE: return get_char(m, a, b, c, optional);
      case OBJ_LIST: case OBJ_BYTES: case OBJ_RANGE: return get_item(m, a, *b, *c, optional);
      case OBJ_RECORD: case OBJ_ERROR:
        if (!value_is_text(*c)) break;
        m->temp[0] = value_settle(m, *c);
        bool ok = op_get_field(m, a, b, m->temp[0], optional, NULL);
        m->temp[0] = VALUE_NIL;
        return ok;
      default: break;
    }
  }
  return op_fault(m, FAULT_TYPE, "%s has no elements to index", value_brief(m, *b, true).text);
}

/* ---- fields ---- */

static bool error_field(Value error, Value name, Value *out) {
  static const char *const names[] = {"code", "message", "data", "at"};
  const Value *fields = &((const ErrorObj *)value_obj(error))->code;
  for (size_t i = 0; i < COUNT_OF(names); i++) {
    if (!str_equal(text_of(name), str_of(names[i]))) continue;
    *out = fields[i];
    return true;
  }
  return false;
}

/* The place of a field, remembered for the loop. */
static Value *field_place(Machine *m, Value container, Value name, uint32_t *cache) {
  if (value_is_kind(container, OBJ_RECORD)) {
    RecordObj *r = (RecordObj *)value_obj(container);
    int32_t slot = shape_slot(m->bundle, r->shape, text_of(name));
    if (slot < 0) return NULL;
    if (cache && slot < 256 && r->shape < 0x7ffffe) *cache = r->key | (uint32_t)slot;
    return &r->field[slot];
  }
  int64_t i = map_entry(container, name);
  if (i < 0) return NULL;
  if (cache && i < 0x7fffffff) *cache = 0x80000000u | (uint32_t)i;
  return &map_items(container)[i].value;
}

static bool has_fields(Value v) {
  return value_is_kind(v, OBJ_RECORD) || value_is_kind(v, OBJ_MAP);
}

bool op_get_field(Machine *m, Value *a, Value *b, Value name, bool optional, uint32_t *cache) {
  if (*b == VALUE_NIL && optional) {
    *a = VALUE_NIL;
    return true;
  }
  bool error = value_is_kind(*b, OBJ_ERROR);
  if (!error && !has_fields(*b)) {
    return op_fault(m, FAULT_TYPE, "%s has no field " STR_FMT, value_brief(m, *b, true).text,
                    STR_ARG(text_of(name)));
  }
  Value *place = error ? NULL : field_place(m, *b, name, cache);
  if (place) *a = *place;
  else if (error && error_field(*b, name, a)) return true;
  else if (optional) *a = VALUE_NIL;
  else if (value_is_kind(*b, OBJ_MAP)) return missing(m, FAULT_KEY, "key", *b, name);
  else if (error)
    return op_fault(m, FAULT_FIELD, "an error has code, message, data and at, not " STR_FMT,
                    STR_ARG(text_of(name)));
  else return missing(m, FAULT_FIELD, "field", *b, name);
  return true;
}

/* ---- changes ---- */

static bool set_entry(Machine *m, Value *map, Value *key, Value *v) {
  if (((uint64_t)map_count(*map) + 1) * COST_ENTRY > LIMIT_VALUE_BYTES) return size_fault(m);
  value_own(m, map);
  map_set(m, map, *key, *v);
  return true;
}

bool op_set_index(Machine *m, Value *a, Value *b, Value *c) {
  settle_all(m, c, 1);
  if (value_is_kind(*a, OBJ_LIST)) {
    uint32_t i;
    if (!index_in(*b, list_count(*a), &i)) return index_fault(m, *a, *b, list_count(*a));
    value_own(m, a);
    list_items(*a)[i] = *c;
    return true;
  }
  if (value_is_kind(*a, OBJ_MAP)) {
    if (!value_can_key(*b)) return key_fault(m, *b);
    settle_all(m, b, 1);
    return set_entry(m, a, b, c);
  }
  if (value_is_kind(*a, OBJ_RECORD) && value_is_text(*b)) {
    settle_all(m, b, 1);
    m->temp[0] = *b;
    bool ok = op_set_field(m, a, c, m->temp[0], NULL);
    m->temp[0] = VALUE_NIL;
    return ok;
  }
  return op_fault(m, FAULT_TYPE, "%s has no elements to assign", value_brief(m, *a, true).text);
}

bool op_set_field(Machine *m, Value *a, Value *b, Value name, uint32_t *cache) {
  if (!has_fields(*a)) {
    return op_fault(m, FAULT_TYPE, "%s has no field " STR_FMT " to assign",
                    value_brief(m, *a, true).text, STR_ARG(text_of(name)));
  }
  settle_all(m, b, 1);
  Value *place = field_place(m, *a, name, cache);
  if (!place && value_is_kind(*a, OBJ_MAP)) {
    Value key = name; /* a constant, or a string kept by the caller */
    return set_entry(m, a, &key, b);
  }
  if (!place) return missing(m, FAULT_FIELD, "field", *a, name);
  value_own(m, a);
  place = field_place(m, *a, name, cache);
  *place = *b;
  return true;
}

#ifdef Z8_HOSTILE
enum { HOSTILE = 1 };
#else
enum { HOSTILE = 0 };
#endif

/* The hostile build copies even what nobody shares, and so does every step of a path. */
static void own(Machine *m, Value *v) {
  if (HOSTILE && value_is_container(*v)) share(*v);
  value_own(m, v);
}

bool op_own(Machine *m, Value *a) {
  own(m, a);
  return true;
}

static bool is_shared(Value v) {
  return value_is_container(v) && (HOSTILE || (value_obj(v)->flags & OBJ_SHARED));
}

static bool own_item(Machine *m, Value *a, Value *b, uint32_t i) {
  Value part = list_items(*b)[i];
  if (is_shared(part)) {
    m->temp[1] = part;
    own(m, &m->temp[1]);
    part = list_items(*b)[i] = m->temp[1];
    m->temp[1] = VALUE_NIL;
  }
  *a = part;
  return true;
}

static bool own_entry(Machine *m, Value *a, Value *b, int64_t i) {
  Value part = map_items(*b)[i].value;
  if (is_shared(part)) {
    m->temp[1] = part;
    own(m, &m->temp[1]);
    part = map_items(*b)[i].value = m->temp[1];
    m->temp[1] = VALUE_NIL;
  }
  *a = part;
  return true;
}

/* A part of B, made unshared and put back in its place; what is no container is only read. */
bool op_own_index(Machine *m, Value *a, Value *b, Value *c) {
  uint32_t i;
  value_own(m, b);
  if (value_is_kind(*b, OBJ_LIST) && index_in(*c, list_count(*b), &i)) return own_item(m, a, b, i);
  if (value_is_kind(*b, OBJ_MAP) && value_can_key(*c)) {
    settle_all(m, c, 1);
    int64_t entry = map_entry(*b, *c);
    if (entry >= 0) return own_entry(m, a, b, entry);
  }
  if (value_is_kind(*b, OBJ_RECORD) && value_is_text(*c)) {
    settle_all(m, c, 1);
    m->temp[0] = *c;
    bool ok = op_own_field(m, a, b, m->temp[0], NULL);
    m->temp[0] = VALUE_NIL;
    return ok;
  }
  return op_get_index(m, a, b, c, false);
}

bool op_own_field(Machine *m, Value *a, Value *b, Value name, uint32_t *cache) {
  value_own(m, b);
  if (!has_fields(*b)) return op_get_field(m, a, b, name, false, cache);
  Value *place = field_place(m, *b, name, cache);
  if (!place) return op_get_field(m, a, b, name, false, cache);
  if (is_shared(*place)) {
    m->temp[1] = *place;
    own(m, &m->temp[1]);
    place = field_place(m, *b, name, cache);
    *place = m->temp[1];
    m->temp[1] = VALUE_NIL;
  }
  *a = *place;
  return true;
}

bool op_push(Machine *m, Value *a, Value *b) {
  if (!value_is_kind(*a, OBJ_LIST))
    return op_fault(m, FAULT_TYPE, "%s has no end to append to", value_brief(m, *a, true).text);
  if (((uint64_t)list_count(*a) + 1) * 8 > LIMIT_VALUE_BYTES) return size_fault(m);
  settle_all(m, b, 1);
  value_own(m, a);
  list_push(m, a, *b);
  return true;
}

static bool range_list(Machine *m, Value range, Value *out) {
  uint64_t count = range_count((const RangeObj *)value_obj(range));
  if (count * 8 > LIMIT_VALUE_BYTES) return size_fault(m);
  m->temp[2] = range;
  machine_work(m, count * 8);
  m->temp[1] = list_new(m, (uint32_t)count);
  for (uint64_t i = 0; i < count; i++) {
    Value v = value_int(m, range_at((const RangeObj *)value_obj(m->temp[2]), i));
    list_push(m, &m->temp[1], v);
  }
  *out = m->temp[1];
  m->temp[1] = m->temp[2] = VALUE_NIL;
  return true;
}

static bool extend_map(Machine *m, Value *a, Value *b) {
  Value key, v;
  machine_work(m, (uint64_t)map_count(*b) * COST_ENTRY);
  value_own(m, a);
  for (uint32_t cursor = 0; map_next(*b, &cursor, &key, &v);) {
    share(v);
    if (((uint64_t)map_count(*a) + 1) * COST_ENTRY > LIMIT_VALUE_BYTES) return size_fault(m);
    map_set(m, a, key, v);
  }
  return true;
}

static bool extend_record(Machine *m, Value *a, Value *b) {
  value_own(m, a);
  Range32 fields = m->bundle->shapes[((const RecordObj *)value_obj(*b))->shape].fields;
  for (uint32_t i = 0; i < fields.count; i++) {
    Value v = ((const RecordObj *)value_obj(*b))->field[i];
    share(v);
    map_set(m, a, m->program->consts[m->bundle->fields[fields.first + i].name], v);
  }
  return true;
}

bool op_extend(Machine *m, Value *a, Value *b) {
  if (value_is_kind(*a, OBJ_MAP) && value_is_kind(*b, OBJ_MAP)) return extend_map(m, a, b);
  if (value_is_kind(*a, OBJ_MAP) && value_is_kind(*b, OBJ_RECORD)) return extend_record(m, a, b);
  if (value_is_kind(*a, OBJ_LIST) && value_is_kind(*b, OBJ_RANGE)) {
    Value list;
    if (!range_list(m, *b, &list)) return false;
    m->temp[3] = list;
    value_own(m, a);
    list_extend(m, a, &m->temp[3]);
    m->temp[3] = VALUE_NIL;
    return true;
  }
  if (!value_is_kind(*a, OBJ_LIST) || !value_is_kind(*b, OBJ_LIST)) {
    return op_fault(m, FAULT_TYPE, "%s cannot take the elements of %s",
                    value_brief(m, *a, true).text, value_brief(m, *b, true).text);
  }
  uint64_t count = (uint64_t)list_count(*a) + list_count(*b);
  if (count * 8 > LIMIT_VALUE_BYTES) return size_fault(m);
  machine_work(m, (uint64_t)list_count(*b) * 8);
  value_own(m, a);
  list_extend(m, a, b);
  return true;
}

bool op_new_list(Machine *m, Value *a, Value *b, uint32_t count) {
  settle_all(m, b, count);
  *a = list_from(m, b, count);
  return true;
}

bool op_closure(Machine *m, Value *a, Value *b, uint32_t fn, uint32_t count) {
  settle_all(m, b, count);
  ClosureObj *c = heap_take(m, object_round(sizeof *c + (size_t)count * 8));
  c->head = (Obj){.kind = OBJ_CLOSURE, .size = count};
  c->fn = fn;
  c->pad = 0;
  if (count) memcpy(c->capture, b, (size_t)count * 8);
  machine_charge(m, COST_CLOSURE + (uint64_t)count * 8);
  *a = (Value)(uintptr_t)c;
  return true;
}

/* ---- membership, slices ---- */

static bool in_list(Machine *m, Value needle, Value list, bool *found) {
  *found = false;
  machine_work(m, (uint64_t)list_count(list) * 8);
  for (uint32_t i = 0; i < list_count(list) && !*found; i++) {
    Value v = list_items(list)[i];
    if (v == needle && !value_is_kind(v, OBJ_FLOAT)) *found = true;
    else if (value_is_int(v) && value_is_int(needle)) continue;
    else if (!op_equal(m, v, needle, found)) return false;
  }
  return true;
}

static bool in_range(const RangeObj *r, Value v) {
  int64_t i;
  if (!value_to_int(v, &i)) return false;
  if (r->step > 0 ? i < r->from || i >= r->to : i > r->from || i <= r->to) return false;
  uint64_t off = r->step > 0 ? (uint64_t)i - (uint64_t)r->from : (uint64_t)r->from - (uint64_t)i;
  return off % (r->step > 0 ? (uint64_t)r->step : 0 - (uint64_t)r->step) == 0;
}

static bool in_text(Machine *m, Value *needle, Value *text) {
  string_text(m, needle);
  string_text(m, text);
  Str small = text_of(*needle), large = text_of(*text);
  machine_work(m, large.size);
  return small.size == 0 || memmem(large.at, large.size, small.at, small.size) != NULL;
}

bool op_in(Machine *m, Value *a, Value *b, Value *c) {
  bool found = false;
  if (value_is_kind(*c, OBJ_LIST)) {
    if (!in_list(m, *b, *c, &found)) return false;
  } else if (value_is_kind(*c, OBJ_MAP)) {
    Value ignored;
    if (!value_can_key(*b)) return key_fault(m, *b);
    settle_all(m, b, 1);
    found = map_find(*c, *b, &ignored);
  } else if (value_is_text(*c) && value_is_text(*b)) {
    found = in_text(m, b, c);
  } else if (value_is_kind(*c, OBJ_RANGE)) {
    found = in_range((const RangeObj *)value_obj(*c), *b);
  } else if (value_is_kind(*c, OBJ_RECORD) && value_is_text(*b)) {
    settle_all(m, b, 1);
    found = shape_slot(m->bundle, ((const RecordObj *)value_obj(*c))->shape, text_of(*b)) >= 0;
  } else {
    return op_fault(m, FAULT_TYPE, "cannot look for %s in %s", value_brief(m, *b, true).text,
                    value_brief(m, *c, true).text);
  }
  *a = value_bool(found);
  return true;
}

/* Bounds beyond the ends are the ends, negative ones count from the end. */
static bool slice_bound(Machine *m, Value v, uint32_t count, uint32_t otherwise, uint32_t *out) {
  int64_t i;
  *out = otherwise;
  if (v == VALUE_NIL) return true;
  if (!value_to_int(v, &i))
    return op_fault(m, FAULT_TYPE, "a slice is bounded by ints, not by %s",
                    value_brief(m, v, true).text);
  if (i < 0) i += count;
  *out = i < 0 ? 0 : i > count ? count : (uint32_t)i;
  return true;
}

static Value slice_list(Machine *m, Value *list, uint32_t from, uint32_t to) {
  Value result = list_new(m, to - from);
  for (uint32_t i = from; i < to; i++) {
    Value v = list_items(*list)[i];
    share(v);
    list_items(result)[i - from] = v;
  }
  value_obj(result)->size = to - from;
  machine_charge(m, (uint64_t)(to - from) * COST_ELEMENT);
  return result;
}

static Value slice_bytes(Machine *m, Value *v, uint32_t from, uint32_t to) {
  heap_room(m, object_round(sizeof(BytesObj) + (to - from)));
  return bytes_new(m,
                   (Str){(const char *)((const BytesObj *)value_obj(*v))->bytes + from, to - from});
}

bool op_slice(Machine *m, Value *a, Value *b, Value *c) {
  bool text = value_is_text(*b);
  if (!text && !value_is_kind(*b, OBJ_LIST) && !value_is_kind(*b, OBJ_BYTES) &&
      !value_is_kind(*b, OBJ_RANGE)) {
    return op_fault(m, FAULT_TYPE, "%s cannot be sliced", value_brief(m, *b, true).text);
  }
  if (value_is_kind(*b, OBJ_RANGE)) {
    Value list;
    if (!range_list(m, *b, &list)) return false;
    m->temp[5] = list;
    b = &m->temp[5];
  }
  uint32_t count = text ? string_chars(m, b) : value_obj(*b)->size, from, to;
  if (!slice_bound(m, c[0], count, 0, &from) || !slice_bound(m, c[1], count, count, &to))
    return false;
  if (to < from) to = from;
  machine_work(m, (uint64_t)(to - from) * 8);
  if (text) *a = string_slice(m, b, from, to);
  else *a = value_is_kind(*b, OBJ_LIST) ? slice_list(m, b, from, to) : slice_bytes(m, b, from, to);
  m->temp[5] = VALUE_NIL;
  return true;
}

/* ---- text from values ---- */

static bool concat_sealed(Machine *m, Value *a, Value *b, uint32_t count) {
  m->temp[0] = list_new(m, count);
  for (uint32_t i = 0; i < count; i++) {
    if (value_is_kind(b[i], OBJ_SEALED)) {
      m->temp[1] = ((const SealedObj *)value_obj(b[i]))->parts;
      list_extend(m, &m->temp[0], &m->temp[1]);
      continue;
    }
    value_print(m, b[i], false, &m->scratch);
    Value text = m->scratch.full ? VALUE_NIL : string_new(m, buf_view(&m->scratch));
    buf_clear(&m->scratch);
    if (text == VALUE_NIL) return size_fault(m);
    list_push(m, &m->temp[0], text);
  }
  value_share(m->temp[0]);
  *a = sealed_from(m, &m->temp[0]);
  m->temp[0] = m->temp[1] = VALUE_NIL;
  return true;
}

bool op_concat(Machine *m, Value *a, Value *b, uint32_t count) {
  Buf *out = &m->scratch;
  for (uint32_t i = 0; i < count; i++) {
    Value v = b[i];
    if (value_is_int(v)) int_print(value_small(v), out);
    else if (value_is_kind(v, OBJ_STRING))
      buf_put(out, ((const StringObj *)value_obj(v))->bytes, value_obj(v)->size);
    else if (!value_is_kind(v, OBJ_SEALED)) value_print(m, v, false, out);
    else return buf_clear(out), concat_sealed(m, a, b, count);
  }
  bool full = out->full;
  machine_work(m, out->size);
  if (!full) *a = string_new(m, buf_view(out));
  buf_clear(out);
  return full ? size_fault(m) : true;
}

/* ---- walks ---- */

bool op_iter_prep(Machine *m, Value *a, Value *b) {
  Value v = *b;
  bool walks = value_is_kind(v, OBJ_LIST) || value_is_kind(v, OBJ_MAP) ||
               value_is_kind(v, OBJ_BYTES) || value_is_kind(v, OBJ_RANGE) || value_is_text(v);
  if (!walks)
    return op_fault(m, FAULT_TYPE, "%s cannot be walked by for", value_brief(m, v, true).text);
  if (value_is_text(v)) string_text(m, b);
  share(*b);
  a[0] = *b;
  a[1] = value_small_int(0);
  return true;
}

static bool next_char(Machine *m, Value *a, uint64_t at) {
  const StringObj *s = (const StringObj *)value_obj(a[0]);
  size_t next = (size_t)at;
  if (((uint8_t)s->bytes[at] & 0xc0) == 0x80)
    return op_fault(m, FAULT_VALUE, "a walk inside a character");
  utf8_next((Str){s->bytes, s->head.size}, &next);
  a[1] = value_small_int((int64_t)next);
  a[2] = string_part(m, a, (size_t)at, next - (size_t)at);
  return true;
}

/* The state a[1]: an index, for a map the place in its entries, for a string the byte. With two
** variables the index comes first; of a string the index of the character is not at hand: its byte's count of
** characters before it is. */
static bool next_pair(Machine *m, Value *a, uint64_t at) {
  Value index = value_small_int((int64_t)at);
  switch (value_obj(a[0])->kind) {
    case OBJ_LIST: a[3] = list_items(a[0])[at]; break;
    case OBJ_BYTES: a[3] = value_small_int(((const BytesObj *)value_obj(a[0]))->bytes[at]); break;
    case OBJ_RANGE: a[3] = value_int(m, range_at((const RangeObj *)value_obj(a[0]), at)); break;
    default: {
      const StringObj *s = (const StringObj *)value_obj(a[0]);
      if (!(s->head.flags & OBJ_ASCII))
        index = value_small_int((int64_t)utf8_count((Str){s->bytes, (size_t)at}));
      if (!next_char(m, a, at)) return false;
      a[3] = a[2];
      a[2] = index;
      return true;
    }
  }
  a[1] = value_small_int((int64_t)at + 1);
  a[2] = index;
  return true;
}

static bool next_one(Machine *m, Value *a, uint64_t at) {
  switch (value_obj(a[0])->kind) {
    case OBJ_LIST: a[2] = list_items(a[0])[at]; break;
    case OBJ_BYTES: a[2] = value_small_int(((const BytesObj *)value_obj(a[0]))->bytes[at]); break;
    case OBJ_RANGE: a[2] = value_int(m, range_at((const RangeObj *)value_obj(a[0]), at)); break;
    default: return next_char(m, a, at);
  }
  a[1] = value_small_int((int64_t)at + 1);
  return true;
}

bool op_iter_next(Machine *m, Value *a, bool two, bool *over) {
  bool walks = value_is_kind(a[0], OBJ_LIST) || value_is_kind(a[0], OBJ_MAP) ||
               value_is_kind(a[0], OBJ_BYTES) || value_is_kind(a[0], OBJ_RANGE) ||
               value_is_kind(a[0], OBJ_STRING);
  if (!walks || !value_is_int(a[1]) || value_small(a[1]) < 0) {
    return op_fault(m, FAULT_TYPE, "%s is not a walk", value_brief(m, a[0], true).text);
  }
  uint64_t at = (uint64_t)value_small(a[1]);
  const Obj *o = value_obj(a[0]);
  if (o->kind == OBJ_MAP) {
    uint32_t cursor = at > UINT32_MAX ? UINT32_MAX : (uint32_t)at;
    *over = !map_next(a[0], &cursor, &a[2], &a[3]);
    if (!*over) a[1] = value_small_int(cursor);
    return true;
  }
  *over = at >= (o->kind == OBJ_RANGE ? range_count((const RangeObj *)o) : o->size);
  if (*over) return true;
  return two ? next_pair(m, a, at) : next_one(m, a, at);
}
