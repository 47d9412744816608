/* The module core: natives that need no prefix. */
#include "vm/core/loop.h"
#include "vm/core/natives.h"

NATIVE_BODY(core_len) {
  Value v = args[0];
  uint64_t n;
  if (value_is_text(v)) n = string_chars(m, &args[0]);
  else if (value_is_kind(v, OBJ_MAP)) n = map_count(v);
  else if (value_is_kind(v, OBJ_RANGE)) n = range_length((const RangeObj *)value_obj(v));
  else if (value_is_kind(v, OBJ_LIST) || value_is_kind(v, OBJ_BYTES) || value_is_kind(v, OBJ_RECORD))
    n = value_obj(v)->size;
  else return arg_mismatch(m, "len: the value", "a string, list, map or bytes", v, result);
  if (n > INT64_MAX) return native_fault(m, result, FAULT_OVERFLOW, "the length of this range");
  *result = value_int(m, (int64_t)n);
  return true;
}

/* ---- as text ---- */

/* By hand, as it is what programs do most. */
static bool int_text(Machine *m, int64_t i, Value *result) {
  char digits[24], *at = digits + sizeof digits;
  uint64_t rest = i < 0 ? -(uint64_t)i : (uint64_t)i;
  do *--at = (char)('0' + rest % 10);
  while ((rest /= 10) > 0);
  if (i < 0) *--at = '-';
  *result = string_new(m, (Str){at, (size_t)(digits + sizeof digits - at)});
  return true;
}

static bool value_text(Machine *m, Value v, bool quoted, Value *result) {
  if (value_is_kind(v, OBJ_SEALED)) return arg_mismatch(m, "str: the value", "readable", v, result);
  int64_t i;
  if (value_to_int(v, &i)) return int_text(m, i, result);
  Buf text = {.max = LIMIT_VALUE_BYTES};
  value_print(m, v, quoted, &text);
  machine_work(m, text.size);
  return string_take(m, &text, result);
}

NATIVE_BODY(core_str) {
  if (value_is_text(args[0])) {
    *result = args[0];
    return true;
  }
  return value_text(m, args[0], false, result);
}

NATIVE_BODY(core_repr) { return value_text(m, args[0], true, result); }

NATIVE_BODY(core_type) {
  Value v = args[0];
  Str name = str_of(type_kind_word(value_type(v)));
  if (value_is_kind(v, OBJ_RECORD)) name = record_name(m, v);
  *result = string_new(m, name);
  return true;
}

/* ---- as another kind ---- */

static bool unreadable(Machine *m, const char *what, Value text, Value *result) {
  return native_fault(m, result, FAULT_VALUE, "%s, and this is %s", what,
                      value_brief(m, text, true).text);
}

bool float_to_int(Machine *m, double f, const char *what, Value *result) {
  if (f >= -9223372036854775808.0 && f < 9223372036854775808.0) {
    *result = value_int(m, (int64_t)f);
    return true;
  }
  if (f != f) return native_fault(m, result, FAULT_VALUE, "%s: nan is no int", what);
  Buf text = {0};
  float_print(f, &text);
  Str s = buf_view(&text);
  native_fault(m, result, FAULT_OVERFLOW, "%s(" STR_FMT ")", what, STR_ARG(s));
  buf_deinit(&text);
  return false;
}

bool decimal_cut(Machine *m, Decimal d, Rounding rounding, const char *what, Value *result) {
  int64_t i;
  Decimal whole;
  if (!decimal_round(d, 0, rounding, &whole) || !decimal_to_int(whole, &i)) {
    return native_fault(m, result, FAULT_OVERFLOW, "%s of a decimal", what);
  }
  *result = value_int(m, i);
  return true;
}

NATIVE_BODY(core_int) {
  int64_t i;
  double f;
  Value v = args[0];
  if (value_to_int(v, &i)) {
    *result = v;
    return true;
  }
  if (value_to_float(v, &f)) return float_to_int(m, f, "int", result);
  if (value_is_kind(v, OBJ_DECIMAL))
    return decimal_cut(m, value_decimal(v), ROUND_DOWN, "int", result);
  if (value_is_bool(v)) {
    *result = value_small_int(v == VALUE_TRUE);
    return true;
  }
  if (!value_is_text(v)) return arg_mismatch(m, "int: the value", "a number or text", v, result);
  if (!arg_text(m, &args[0], "int: the value", result)) return false;
  if (!int_parse(text_of(args[0]), &i))
    return unreadable(m, "int: the text must be a whole number of 64 bits", args[0], result);
  *result = value_int(m, i);
  return true;
}

NATIVE_BODY(core_float) {
  double f;
  if (!value_is_text(args[0])) {
    if (!arg_float(m, args[0], "float: the value", &f, result)) return false;
  } else {
    if (!arg_text(m, &args[0], "float: the value", result)) return false;
    if (!float_parse(text_of(args[0]), &f))
      return unreadable(m, "float: the text must be a number", args[0], result);
  }
  *result = value_float(m, f);
  return true;
}

bool decimal_read(Str text, Decimal *out) { return text.size <= 6200 && decimal_parse(text, out); }

NATIVE_BODY(core_decimal) {
  Decimal d;
  double f;
  bool ok;
  if (value_is_kind(args[0], OBJ_DECIMAL)) {
    *result = args[0];
    return true;
  }
  if (value_to_float(args[0], &f)) {
    Buf text = {0};
    float_print(f, &text);
    ok = decimal_read(buf_view(&text), &d);
    buf_deinit(&text);
  } else if (value_is_text(args[0])) {
    if (!arg_text(m, &args[0], "decimal: the value", result)) return false;
    ok = decimal_read(text_of(args[0]), &d);
  } else {
    ok = true;
    if (!arg_decimal(m, args[0], "decimal: the value", &d, result)) return false;
  }
  if (!ok)
    return unreadable(m, "decimal: the value must be a decimal of at most 34 digits", args[0],
                      result);
  *result = decimal_value(m, d);
  return true;
}

NATIVE_BODY(core_bool) {
  *result = args[0];
  if (value_is_bool(args[0])) return true;
  if (!arg_text(m, &args[0], "bool: the value", result)) return false;
  Str s = text_of(args[0]);
  *result = value_bool(str_equal(s, STR("true")));
  if (*result == VALUE_TRUE || str_equal(s, STR("false"))) return true;
  return unreadable(m, "bool: the text must be true or false", args[0], result);
}

/* ---- ranges, extremes, sums ---- */

bool range_read(Machine *m, Value *args, uint32_t count, int64_t out[3], Value *result) {
  out[0] = 0, out[2] = 1;
  bool two = arg_given(args, count, 1);
  if (!arg_int(m, args[0], two ? "range: the start" : "range: the end", &out[two ? 0 : 1], result))
    return false;
  if (two && !arg_int(m, args[1], "range: the end", &out[1], result)) return false;
  if (arg_given(args, count, 2) && !arg_int(m, args[2], "range: the step", &out[2], result))
    return false;
  return out[2] != 0 || native_fault(m, result, FAULT_VALUE, "range: the step must not be 0");
}

NATIVE_BODY(core_range) {
  int64_t r[3];
  if (!range_read(m, args, count, r, result)) return false;
  *result = range_new(m, r[0], r[1], r[2]);
  return true;
}

bool extreme_of(Machine *m, const Value *items, uint32_t count, int sign, const char *what,
                Value *result) {
  CompareWork work = compare_begin(m);
  uint32_t best = 0;
  for (uint32_t i = 1; i < count; i++) {
    int order = value_compare_bounded(items[i], items[best], &work);
    if (order == 2 && !work.deep && !work.long_)
      return unordered(m, what, items[i], items[best], result);
    if (order == sign) best = i;
  }
  Value found = items[best];
  if (!compare_end(m, &work, what, result)) return false;
  *result = shared(found);
  return true;
}

static bool core_extreme(Machine *m, Value *args, uint32_t count, int sign, const char *what,
                         Value *result) {
  if (count > 1) {
    for (uint32_t i = 0; i < count; i++) args[i] = value_settle(m, args[i]);
    return extreme_of(m, args, count, sign, what, result);
  }
  if (!arg_list(m, &args[0], what, result)) return false;
  if (list_count(args[0]) == 0)
    return native_fault(m, result, FAULT_VALUE, "%s: the list is empty", what);
  return extreme_of(m, list_items(args[0]), list_count(args[0]), sign, what, result);
}

NATIVE_BODY(core_min) { return core_extreme(m, args, count, -1, "min", result); }
NATIVE_BODY(core_max) { return core_extreme(m, args, count, 1, "max", result); }

NATIVE_BODY(core_abs) {
  int64_t i;
  double f;
  Value v = args[0];
  bool whole = value_to_int(v, &i);
  if (whole || value_is_kind(v, OBJ_DURATION)) {
    if (!whole) i = ((IntObj *)value_obj(v))->i;
    if (i == INT64_MIN) return native_fault(m, result, FAULT_OVERFLOW, "abs(%" PRId64 ")", i);
    if (i < 0) i = -i;
    *result = whole ? value_int(m, i) : duration_new(m, i);
  } else if (value_to_float(v, &f)) {
    *result = value_float(m, __builtin_fabs(f));
  } else {
    Decimal d;
    if (!arg_decimal(m, v, "abs: the value", &d, result)) return false;
    if (d.coefficient < 0) d.coefficient = -d.coefficient;
    *result = decimal_value(m, d);
  }
  return true;
}

static bool can_fold(Value v, bool add) {
  double f;
  int64_t i;
  if (value_to_int(v, &i) || value_to_float(v, &f) || value_is_kind(v, OBJ_DECIMAL)) return true;
  return add && value_is_kind(v, OBJ_DURATION);
}

/* The leading small ints, without boxes: gives how many there were. */
static bool fold_ints(Machine *m, const Value *items, uint32_t count, int64_t *total,
                      uint32_t *done, const char *what, Value *result) {
  uint32_t i = 0;
  for (; i < count && value_is_int(items[i]); i++) {
    if (__builtin_add_overflow(*total, value_small(items[i]), total))
      return native_fault(m, result, FAULT_OVERFLOW, "%s", what);
  }
  *done = i;
  return true;
}

/* The running value waits in m->temp[4]; a list of durations has no 0 to start from. */
bool list_fold(Machine *m, Value *list, bool add, const char *what, Value *result) {
  if (!arg_list(m, list, what, result)) return false;
  uint32_t count = list_count(*list), i = 0;
  machine_work(m, (uint64_t)count * sizeof(Value));
  int64_t total = !add;
  if (add && !fold_ints(m, list_items(*list), count, &total, &i, what, result)) return false;
  m->temp[4] = value_int(m, total);
  if (add && i == 0 && count > 0 && value_is_kind(list_at(*list, 0), OBJ_DURATION))
    m->temp[4] = list_at(*list, i++);
  for (; i < count; i++) {
    m->temp[5] = list_at(*list, i);
    if (!can_fold(m->temp[5], add))
      return arg_mismatch(m, what, "given numbers", m->temp[5], result);
    if (!(add ? op_add : op_mul)(m, &m->temp[4], &m->temp[4], &m->temp[5])) {
      m->temp[4] = m->temp[5] = VALUE_NIL;
      *result = m->running->result;
      return false;
    }
  }
  *result = m->temp[4];
  m->temp[4] = m->temp[5] = VALUE_NIL;
  return true;
}

NATIVE_BODY(core_sum) { return list_fold(m, &args[0], true, "sum", result); }

/* ---- order ---- */

static bool descending_arg(Machine *m, const Value *args, uint32_t count, uint32_t i,
                           const char *what, bool *out, Value *result) {
  *out = false;
  return !arg_given(args, count, i) || arg_bool(m, args[i], what, out, result);
}

NATIVE_BODY(core_sorted) {
  bool down;
  if (!arg_list(m, &args[0], "sorted: the list", result)) return false;
  if (!descending_arg(m, args, count, 1, "sorted: descending", &down, result)) return false;
  return list_sort_by(m, &args[0], NULL, down, "sorted", result);
}

NATIVE_BODY(core_reversed) {
  if (value_is_text(args[0])) return native_text_reverse(m, args, 1, result);
  if (!arg_list(m, &args[0], "reversed: the value", result)) return false;
  return native_list_reverse(m, args, 1, result);
}

NATIVE_BODY(core_enumerate) { return native_list_enumerate(m, args, count, result); }
NATIVE_BODY(core_zip) { return native_list_zip(m, args, count, result); }

/* ---- characters ---- */

NATIVE_BODY(core_ord) {
  if (!arg_text(m, &args[0], "ord: the character", result)) return false;
  Str s = text_of(args[0]);
  size_t at = 0;
  if (string_chars(m, &args[0]) != 1)
    return unreadable(m, "ord: the text must have one character", args[0], result);
  *result = value_small_int((int64_t)utf8_next(s, &at));
  return true;
}

NATIVE_BODY(core_chr) {
  int64_t code;
  if (!arg_int_in(m, args[0], "chr: the code point", 0, 0x10ffff, &code, result)) return false;
  if (code >= 0xd800 && code <= 0xdfff) {
    return native_fault(m, result, FAULT_VALUE,
                        "chr: %" PRId64 " is half of a surrogate pair, no character", code);
  }
  char bytes[4];
  size_t size = utf8_put(bytes, (uint32_t)code);
  *result = string_new(m, (Str){bytes, size});
  return true;
}

/* ---- durations ---- */

static bool duration_of(Machine *m, Value n, int64_t unit, const char *what, Value *result) {
  int64_t i, us;
  double f;
  if (value_to_int(n, &i)) {
    if (__builtin_mul_overflow(i, unit, &us))
      return native_fault(m, result, FAULT_OVERFLOW, "%s(%" PRId64 ")", what, i);
  } else if (value_to_float(n, &f)) {
    double all = f * (double)unit;
    if (!(all > -9.2e18 && all < 9.2e18))
      return native_fault(m, result, FAULT_OVERFLOW, "%s of a float", what);
    us = (int64_t)(all < 0 ? all - 0.5 : all + 0.5);
  } else {
    return arg_mismatch(m, what, "given an int or a float", n, result);
  }
  *result = duration_new(m, us);
  return true;
}

NATIVE_BODY(core_milliseconds) { return duration_of(m, args[0], 1000, "milliseconds", result); }
NATIVE_BODY(core_seconds) { return duration_of(m, args[0], 1000000, "seconds", result); }
NATIVE_BODY(core_minutes) { return duration_of(m, args[0], 60000000, "minutes", result); }
NATIVE_BODY(core_hours) { return duration_of(m, args[0], 3600000000, "hours", result); }
NATIVE_BODY(core_days) { return duration_of(m, args[0], 86400000000, "days", result); }
