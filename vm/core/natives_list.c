/* The module list: reading, making and changing. Order is natives_sort.c's, sets
** and counts are natives_sets.c's. What takes a function is Z8: stdlib/list.z8. */
#include "vm/core/natives.h"

#include "vm/core/program.h"

/* Elements [from, to) of *list as a new list. */
bool list_copy(Machine *m, Value *list, uint32_t from, uint32_t to, Value *out, Value *result) {
  if (!list_of_nils(m, to - from, out, result)) return false;
  Value *items = list_items(*out);
  const Value *source = list_items(*list);
  for (uint32_t i = from; i < to; i++) items[i - from] = shared(source[i]);
  return true;
}

/* An index, negatives from the back, of which `count` are allowed. */
static bool index_arg(Machine *m, Value v, const char *what, uint32_t count, uint32_t *out,
                      Value *result) {
  int64_t i;
  if (!arg_int(m, v, what, &i, result)) return false;
  int64_t at = i < 0 ? i + (int64_t)count : i;
  *out = (uint32_t)at;
  if (at >= 0 && at < (int64_t)count) return true;
  return native_fault(m, result, FAULT_INDEX, "%s %" PRId64 " is outside a list of %" PRIu32, what,
                      i, count);
}

/* ---- reading ---- */

NATIVE_BODY(list_len) {
  if (value_is_kind(args[0], OBJ_RANGE)) return native_core_len(m, args, 1, result);
  if (!arg_list(m, &args[0], "list.len: the list", result)) return false;
  *result = value_small_int(list_count(args[0]));
  return true;
}

NATIVE_BODY(list_is_empty) {
  if (!arg_list(m, &args[0], "list.is_empty: the list", result)) return false;
  *result = value_bool(list_count(args[0]) == 0);
  return true;
}

NATIVE_BODY(list_get) {
  int64_t i;
  if (!arg_list(m, &args[0], "list.get: the list", result)) return false;
  if (!arg_int(m, args[1], "list.get: the index", &i, result)) return false;
  int64_t n = list_count(args[0]);
  if (i < 0) i += n;
  bool there = i >= 0 && i < n;
  *result = there                       ? shared(list_at(args[0], (uint32_t)i))
            : arg_given(args, count, 2) ? shared(args[2])
                                        : VALUE_NIL;
  return true;
}

NATIVE_BODY(list_first) {
  if (!arg_list(m, &args[0], "list.first: the list", result)) return false;
  *result = list_count(args[0]) ? shared(list_at(args[0], 0)) : VALUE_NIL;
  return true;
}

NATIVE_BODY(list_last) {
  if (!arg_list(m, &args[0], "list.last: the list", result)) return false;
  uint32_t n = list_count(args[0]);
  *result = n ? shared(list_at(args[0], n - 1)) : VALUE_NIL;
  return true;
}

NATIVE_BODY(list_slice) {
  uint32_t bounds[2];
  if (!arg_list(m, &args[0], "list.slice: the list", result)) return false;
  if (!arg_bounds(m, args, count, "list.slice: a bound", list_count(args[0]), bounds, result))
    return false;
  return list_copy(m, &args[0], bounds[0], bounds[1], result, result);
}

/* How many of `length` a count takes: from the front, or from the back when it is negative. */
static bool count_arg(Machine *m, Value v, const char *what, uint32_t length, uint32_t *n,
                      bool *back, Value *result) {
  int64_t i;
  if (!arg_int(m, v, what, &i, result)) return false;
  *back = i < 0;
  uint64_t size = i < 0 ? -(uint64_t)i : (uint64_t)i;
  *n = size > length ? length : (uint32_t)size;
  return true;
}

NATIVE_BODY(list_take) {
  uint32_t n;
  bool back;
  if (!arg_list(m, &args[0], "list.take: the list", result)) return false;
  uint32_t all = list_count(args[0]);
  if (!count_arg(m, args[1], "list.take: the count", all, &n, &back, result)) return false;
  return list_copy(m, &args[0], back ? all - n : 0, back ? all : n, result, result);
}

NATIVE_BODY(list_drop) {
  uint32_t n;
  bool back;
  if (!arg_list(m, &args[0], "list.drop: the list", result)) return false;
  uint32_t all = list_count(args[0]);
  if (!count_arg(m, args[1], "list.drop: the count", all, &n, &back, result)) return false;
  return list_copy(m, &args[0], back ? 0 : n, back ? all - n : all, result, result);
}

NATIVE_BODY(list_contains) {
  Value at;
  if (!native_list_index_of(m, args, 2, &at)) {
    *result = at;
    return false;
  }
  *result = value_bool(at != VALUE_NIL);
  return true;
}

/* ---- making ---- */

NATIVE_BODY(list_concat) {
  uint64_t total = 0;
  for (uint32_t i = 0; i < count; i++) {
    if (!arg_list(m, &args[i], "list.concat: an argument", result)) return false;
    total += list_count(args[i]);
  }
  Value made;
  if (!list_of_nils(m, total, &made, result)) return false;
  Value *out = list_items(made);
  for (uint32_t i = 0; i < count; i++) {
    const Value *items = list_items(args[i]);
    for (uint32_t j = 0, n = list_count(args[i]); j < n; j++) *out++ = shared(items[j]);
  }
  *result = made;
  return true;
}

NATIVE_BODY(list_reverse) {
  Value made;
  if (!arg_list(m, &args[0], "list.reverse: the list", result)) return false;
  uint32_t n = list_count(args[0]);
  if (!list_of_nils(m, n, &made, result)) return false;
  Value *out = list_items(made);
  const Value *items = list_items(args[0]);
  for (uint32_t i = 0; i < n; i++) out[i] = shared(items[n - 1 - i]);
  *result = made;
  return true;
}

NATIVE_BODY(list_compact) {
  Value made;
  if (!arg_list(m, &args[0], "list.compact: the list", result)) return false;
  uint32_t n = list_count(args[0]), kept = 0;
  for (uint32_t i = 0; i < n; i++) kept += list_at(args[0], i) != VALUE_NIL;
  if (!list_of_nils(m, kept, &made, result)) return false;
  Value *out = list_items(made);
  const Value *items = list_items(args[0]);
  for (uint32_t i = 0; i < n; i++) {
    if (items[i] != VALUE_NIL) *out++ = shared(items[i]);
  }
  *result = made;
  return true;
}

/* ---- flatten: a level at a time, so that depth costs no stack ---- */

typedef struct Level {
  uint64_t count; /* elements once opened */
  bool nested;    /* some element is a list */
} Level;

static Level level_measure(Value list) {
  Level level = {0};
  for (uint32_t i = 0, n = list_count(list); i < n; i++) {
    Value v = list_at(list, i);
    bool inner = value_is_kind(v, OBJ_LIST);
    level.nested |= inner;
    level.count += inner ? list_count(v) : 1;
  }
  return level;
}

static bool level_open(Machine *m, Value *list, const Level *level, Value *result) {
  Value made;
  if (!list_of_nils(m, level->count, &made, result)) return false;
  Value *out = list_items(made);
  for (uint32_t i = 0, n = list_count(*list); i < n; i++) {
    Value v = list_at(*list, i);
    if (!value_is_kind(v, OBJ_LIST)) {
      *out++ = shared(v);
      continue;
    }
    for (uint32_t j = 0; j < list_count(v); j++) *out++ = shared(list_at(v, j));
  }
  *list = made;
  return true;
}

/* Ranges among the elements become lists; *list becomes a copy then. */
static bool ranges_open(Machine *m, Value *list, Value *result) {
  uint32_t n = list_count(*list), i = 0;
  while (i < n && !value_is_kind(list_at(*list, i), OBJ_RANGE)) i++;
  if (i == n) return true;
  if (!list_copy(m, list, 0, n, &m->temp[0], result)) return false;
  *list = m->temp[0];
  for (; i < n; i++) {
    m->temp[0] = list_at(*list, i);
    if (!value_is_kind(m->temp[0], OBJ_RANGE)) continue;
    if (!arg_list(m, &m->temp[0], "list.flatten: the list", result)) return false;
    list_set(*list, i, m->temp[0]);
  }
  m->temp[0] = VALUE_NIL;
  return true;
}

NATIVE_BODY(list_flatten) {
  int64_t depth = 1;
  if (!arg_list(m, &args[0], "list.flatten: the list", result)) return false;
  if (arg_given(args, count, 1) && !arg_int_in(m, args[1], "list.flatten: the depth", 0,
                                               (int64_t)LIMIT_VALUE_DEPTH, &depth, result))
    return false;
  value_share(args[0]);
  for (; depth > 0; depth--) {
    if (!ranges_open(m, &args[0], result)) return false;
    Level level = level_measure(args[0]);
    if (!level.nested) break;
    if (!level_open(m, &args[0], &level, result)) return false;
  }
  *result = args[0];
  return true;
}

/* ---- lists of lists ---- */

/* Fills *result with `rows` lists of elements [i * step, i * step + size) of args[0]. */
static bool cut_rows(Machine *m, Value *args, uint64_t rows, uint64_t step, uint64_t size,
                     Value *result) {
  uint32_t all = list_count(args[0]);
  Value row;
  if (!list_of_nils(m, rows, &m->temp[0], result)) return false;
  for (uint64_t i = 0; i < rows; i++) {
    uint64_t from = i * step, to = from + size > all ? all : from + size;
    if (!list_copy(m, &args[0], (uint32_t)from, (uint32_t)to, &row, result)) return false;
    list_set(m->temp[0], (uint32_t)i, row);
  }
  *result = m->temp[0];
  m->temp[0] = VALUE_NIL;
  return true;
}

NATIVE_BODY(list_chunk) {
  int64_t size;
  if (!arg_list(m, &args[0], "list.chunk: the list", result)) return false;
  if (!arg_int_in(m, args[1], "list.chunk: the size", 1, UINT32_MAX, &size, result)) return false;
  uint64_t rows = ((uint64_t)list_count(args[0]) + (uint64_t)size - 1) / (uint64_t)size;
  return cut_rows(m, args, rows, (uint64_t)size, (uint64_t)size, result);
}

NATIVE_BODY(list_windows) {
  int64_t size;
  if (!arg_list(m, &args[0], "list.windows: the list", result)) return false;
  if (!arg_int_in(m, args[1], "list.windows: the size", 1, UINT32_MAX, &size, result)) return false;
  uint64_t all = list_count(args[0]), rows = all >= (uint64_t)size ? all - (uint64_t)size + 1 : 0;
  return cut_rows(m, args, rows, 1, (uint64_t)size, result);
}

NATIVE_BODY(list_zip) {
  uint32_t rows = UINT32_MAX;
  for (uint32_t i = 0; i < count; i++) {
    if (!arg_list(m, &args[i], "zip: an argument", result)) return false;
    if (list_count(args[i]) < rows) rows = list_count(args[i]);
  }
  if (!list_of_nils(m, rows, &m->temp[0], result)) return false;
  for (uint32_t i = 0; i < rows; i++) {
    Value row;
    if (!list_of_nils(m, count, &row, result)) return false;
    Value *out = list_items(row);
    for (uint32_t k = 0; k < count; k++) out[k] = shared(list_items(args[k])[i]);
    list_set(m->temp[0], i, row);
  }
  *result = m->temp[0];
  m->temp[0] = VALUE_NIL;
  return true;
}

NATIVE_BODY(list_enumerate) {
  int64_t start = 0;
  if (!arg_list(m, &args[0], "enumerate: the list", result)) return false;
  uint32_t rows = list_count(args[0]);
  int64_t most = SMALL_INT_MAX - (int64_t)rows;
  if (arg_given(args, count, 1) &&
      !arg_int_in(m, args[1], "enumerate: the start", SMALL_INT_MIN, most, &start, result))
    return false;
  if (!list_of_nils(m, rows, &m->temp[0], result)) return false;
  for (uint32_t i = 0; i < rows; i++) {
    Value row;
    if (!list_of_nils(m, 2, &row, result)) return false;
    Value *out = list_items(row);
    out[0] = value_small_int(start + i);
    out[1] = shared(list_at(args[0], i));
    list_set(m->temp[0], i, row);
  }
  *result = m->temp[0];
  m->temp[0] = VALUE_NIL;
  return true;
}

NATIVE_BODY(list_range) {
  int64_t r[3];
  if (!range_read(m, args, count, r, result)) return false;
  m->temp[0] = range_new(m, r[0], r[1], r[2]);
  if (!arg_list(m, &m->temp[0], "list.range", result)) return false;
  *result = m->temp[0];
  m->temp[0] = VALUE_NIL;
  return true;
}

NATIVE_BODY(list_repeat) {
  int64_t times;
  Value made;
  if (!arg_int_in(m, args[1], "list.repeat: how often", 0, INT64_MAX, &times, result)) return false;
  args[0] = value_settle(m, args[0]);
  if (!list_of_nils(m, (uint64_t)times, &made, result)) return false;
  Value *out = list_items(made), v = shared(args[0]);
  for (int64_t i = 0; i < times; i++) out[i] = v;
  *result = made;
  return true;
}

NATIVE_BODY(list_from) {
  if (value_is_text(args[0])) return native_text_chars(m, args, 1, result);
  if (value_is_kind(args[0], OBJ_BYTES)) return native_bytes_list(m, args, 1, result);
  if (value_is_kind(args[0], OBJ_MAP) || value_is_kind(args[0], OBJ_RECORD))
    return native_map_entries(m, args, 1, result);
  if (!arg_list(m, &args[0], "list.from: the value", result)) return false;
  *result = shared(args[0]);
  return true;
}

NATIVE_BODY(list_sum) { return list_fold(m, &args[0], true, "list.sum", result); }
NATIVE_BODY(list_product) { return list_fold(m, &args[0], false, "list.product", result); }

static bool list_extreme(Machine *m, Value *args, int sign, const char *what, Value *result) {
  if (!arg_list(m, &args[0], what, result)) return false;
  if (list_count(args[0]) == 0)
    return native_fault(m, result, FAULT_VALUE, "%s: the list is empty", what);
  return extreme_of(m, list_items(args[0]), list_count(args[0]), sign, what, result);
}

NATIVE_BODY(list_min) { return list_extreme(m, args, -1, "list.min", result); }
NATIVE_BODY(list_max) { return list_extreme(m, args, 1, "list.max", result); }

/* ---- changing: the list in args[0] is unshared, and stays the same object. On a value that is no
** variable's (a call's result) it may be shared: then a copy is changed, and nobody sees it. ---- */

static bool own_list(Machine *m, Value *args, const char *what, Value *result) {
  if (value_is_kind(args[0], OBJ_RANGE)) {
    return native_fault(m, result, FAULT_TYPE,
                        "%s is a range, which cannot be changed; list.from makes a list of it",
                        what);
  }
  if (!arg_list(m, &args[0], what, result)) return false;
  value_own(m, &args[0]);
  *result = VALUE_NIL;
  return true;
}

static bool grow_by(Machine *m, Value list, uint64_t more, Value *result) {
  if (list_count(list) + more <= LIMIT_VALUE_BYTES / sizeof(Value)) return true;
  return native_fault(m, result, FAULT_SIZE, "256 MB");
}

NATIVE_BODY(list_push) {
  if (!own_list(m, args, "list.push: the list", result) || !grow_by(m, args[0], 1, result))
    return false;
  list_push(m, &args[0], shared(args[1]));
  *result = VALUE_NIL;
  return true;
}

NATIVE_BODY(list_pop) {
  if (!own_list(m, args, "list.pop: the list", result)) return false;
  uint32_t n = list_count(args[0]);
  if (n == 0) return native_fault(m, result, FAULT_INDEX, "list.pop: the list is empty");
  Value last = list_at(args[0], n - 1);
  list_truncate(args[0], n - 1);
  *result = last;
  return true;
}

NATIVE_BODY(list_insert) {
  uint32_t at;
  if (!own_list(m, args, "list.insert: the list", result) || !grow_by(m, args[0], 1, result))
    return false;
  uint32_t n = list_count(args[0]);
  int64_t i;
  if (value_to_int(args[1], &i) && i == (int64_t)n) at = n;
  else if (!index_arg(m, args[1], "list.insert: index", n, &at, result)) return false;
  machine_work(m, (uint64_t)(n - at) * sizeof(Value));
  list_insert(m, &args[0], at, shared(args[2]));
  *result = VALUE_NIL;
  return true;
}

NATIVE_BODY(list_remove_at) {
  uint32_t at;
  if (!own_list(m, args, "list.remove_at: the list", result)) return false;
  uint32_t n = list_count(args[0]);
  if (!index_arg(m, args[1], "list.remove_at: index", n, &at, result)) return false;
  Value gone = list_at(args[0], at);
  machine_work(m, (uint64_t)(n - at) * sizeof(Value));
  list_remove(args[0], at);
  *result = gone;
  return true;
}

NATIVE_BODY(list_remove) {
  Value at;
  if (!own_list(m, args, "list.remove: the list", result)) return false;
  if (!native_list_index_of(m, args, 2, &at)) {
    *result = at;
    return false;
  }
  *result = value_bool(at != VALUE_NIL);
  if (at == VALUE_NIL) return true;
  uint32_t i = (uint32_t)value_small(at);
  machine_work(m, (uint64_t)(list_count(args[0]) - i) * sizeof(Value));
  list_remove(args[0], i);
  return true;
}

NATIVE_BODY(list_extend) {
  if (!own_list(m, args, "list.extend: the list", result)) return false;
  if (!arg_list(m, &args[1], "list.extend: what is added", result)) return false;
  if (!grow_by(m, args[0], list_count(args[1]), result)) return false;
  machine_work(m, (uint64_t)list_count(args[1]) * sizeof(Value));
  list_extend(m, &args[0], &args[1]);
  *result = VALUE_NIL;
  return true;
}

NATIVE_BODY(list_set) {
  uint32_t at;
  if (!own_list(m, args, "list.set: the list", result)) return false;
  if (!index_arg(m, args[1], "list.set: index", list_count(args[0]), &at, result)) return false;
  args[2] = value_settle(m, args[2]);
  list_set(args[0], at, shared(args[2]));
  return true;
}

NATIVE_BODY(list_swap) {
  uint32_t a, b;
  if (!own_list(m, args, "list.swap: the list", result)) return false;
  if (!index_arg(m, args[1], "list.swap: index", list_count(args[0]), &a, result)) return false;
  if (!index_arg(m, args[2], "list.swap: index", list_count(args[0]), &b, result)) return false;
  Value kept = list_at(args[0], a);
  list_set(args[0], a, list_at(args[0], b));
  list_set(args[0], b, kept);
  return true;
}

NATIVE_BODY(list_clear) {
  if (!own_list(m, args, "list.clear: the list", result)) return false;
  list_truncate(args[0], 0);
  return true;
}
