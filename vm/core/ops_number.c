/* Arithmetic and comparison where the loop's common cases end: wide ints, boxed
** floats, mixed kinds, decimals, times, and + on strings and lists. */
#include "vm/core/cost.h"
#include "vm/core/loop.h"

typedef enum { DO_ADD, DO_SUB, DO_MUL, DO_DIV, DO_IDIV, DO_MOD } Arithmetic;
static const char *const signs[] = {"+", "-", "*", "/", "//", "%"};

static bool misfit(Machine *m, Arithmetic what, Value b, Value c) {
  Brief x = value_brief(m, b, true), y = value_brief(m, c, true);
  if (value_is_kind(b, OBJ_SEALED) || value_is_kind(c, OBJ_SEALED)) {
    return op_fault(m, FAULT_SEALED, "a sealed value can only be joined to text, not used with %s",
                    signs[what]);
  }
  return op_fault(m, FAULT_TYPE, "cannot compute %s %s %s", x.text, signs[what], y.text);
}

/* ---- floats: floor and remainder spelt out, so that no libm decides ---- */

static double float_floor(double f) {
  if (!(f > -4503599627370496.0 && f < 4503599627370496.0)) return f;
  double whole = (double)(int64_t)f;
  if (whole > f) whole -= 1.0;
  return whole == 0.0 && 1.0 / f < 0.0 ? -0.0 : whole;
}

/* a - n*b exactly, n whole, by long division on the bits: |a| shrinks by b * 2^k from above. */
static double float_remainder(double a, double b) {
  if (a != a || b != b || b == 0.0 || a - a != 0.0) return (a - a) / (b - b);
  double x = a < 0 ? -a : a, y = b < 0 ? -b : b;
  if (y - y != 0.0) return a;
  double step = y;
  while (step <= x * 0.5) step += step;
  for (; step >= y; step *= 0.5) {
    if (x >= step) x -= step;
  }
  return a < 0 || (a == 0.0 && 1.0 / a < 0.0) ? -x : x;
}

static double float_modulo(double a, double b) {
  double r = float_remainder(a, b);
  return r != 0.0 && (r < 0) != (b < 0) && b - b == 0.0 ? r + b : r;
}

static double float_do(Arithmetic what, double x, double y) {
  switch (what) {
    case DO_ADD: return x + y;
    case DO_SUB: return x - y;
    case DO_MUL: return x * y;
    case DO_DIV: return x / y;
    case DO_IDIV: return float_floor(x / y);
    case DO_MOD: return float_modulo(x, y);
  }
  UNREACHABLE();
}

/* ---- ints ---- */

static bool int_do(Arithmetic what, int64_t x, int64_t y, int64_t *out) {
  switch (what) {
    case DO_ADD: return !__builtin_add_overflow(x, y, out);
    case DO_SUB: return !__builtin_sub_overflow(x, y, out);
    case DO_MUL: return !__builtin_mul_overflow(x, y, out);
    case DO_IDIV:
      if (x == INT64_MIN && y == -1) return false;
      *out = x / y - (x % y != 0 && (x < 0) != (y < 0));
      return true;
    case DO_MOD:
      *out = y == -1 ? 0 : x % y;
      if (*out != 0 && (*out < 0) != (y < 0)) *out += y;
      return true;
    case DO_DIV: break;
  }
  UNREACHABLE();
}

static bool int_op(Machine *m, Arithmetic what, Value *a, int64_t x, int64_t y) {
  int64_t result;
  if (what >= DO_DIV && y == 0)
    return op_fault(m, FAULT_DIVIDE, "%" PRId64 " %s 0", x, signs[what]);
  if (what == DO_DIV) {
    *a = value_float(m, (double)x / (double)y);
    return true;
  }
  if (!int_do(what, x, y, &result)) {
    return op_fault(m, FAULT_OVERFLOW, "%" PRId64 " %s %" PRId64, x, signs[what], y);
  }
  *a = value_int(m, result);
  return true;
}

/* ---- decimals ---- */

static bool to_decimal(Value v, Decimal *out) {
  int64_t i;
  if (value_is_kind(v, OBJ_DECIMAL)) return *out = value_decimal(v), true;
  if (!value_to_int(v, &i)) return false;
  *out = decimal_from_int(i);
  return true;
}

static bool decimal_do(Arithmetic what, Decimal x, Decimal y, Decimal *out) {
  switch (what) {
    case DO_ADD: return decimal_add(x, y, out);
    case DO_SUB: return decimal_sub(x, y, out);
    case DO_MUL: return decimal_mul(x, y, out);
    case DO_DIV: return decimal_div(x, y, out);
    case DO_IDIV: return decimal_idiv(x, y, out);
    case DO_MOD: return decimal_mod(x, y, out);
  }
  UNREACHABLE();
}

static bool decimal_op(Machine *m, Arithmetic what, Value *a, Value b, Value c) {
  Decimal x, y, result;
  if (!to_decimal(b, &x) || !to_decimal(c, &y)) {
    return op_fault(
        m, FAULT_TYPE,
        "a decimal and a float do not mix: %s %s %s; convert one with decimal(…) or float(…)",
        value_brief(m, b, true).text, signs[what], value_brief(m, c, true).text);
  }
  if (what >= DO_DIV && y.coefficient == 0) {
    return op_fault(m, FAULT_DIVIDE, "%s %s %s", value_brief(m, b, false).text, signs[what],
                    value_brief(m, c, false).text);
  }
  if (!decimal_do(what, x, y, &result)) {
    return op_fault(m, FAULT_DECIMAL, "%s %s %s", value_brief(m, b, false).text, signs[what],
                    value_brief(m, c, false).text);
  }
  *a = decimal_value(m, result);
  return true;
}

/* ---- times ---- */

static bool micros(Value v, ObjKind kind, int64_t *out) {
  if (!value_is_kind(v, kind)) return false;
  *out = ((const IntObj *)value_obj(v))->i;
  return true;
}

static bool span_result(Machine *m, Arithmetic what, Value *a, bool moment, int64_t x, int64_t y) {
  int64_t us;
  if (!int_do(what, x, y, &us))
    return op_fault(m, FAULT_OVERFLOW, "a time or duration out of range");
  *a = moment ? time_new(m, us) : duration_new(m, us);
  return true;
}

static bool scale_span(Machine *m, Arithmetic what, Value *a, int64_t us, Value by) {
  int64_t n;
  double f;
  if (value_to_int(by, &n) && what == DO_MUL) return span_result(m, DO_MUL, a, false, us, n);
  if (value_to_int(by, &n) && n != 0) return span_result(m, DO_IDIV, a, false, us, n);
  if (!value_to_float(by, &f)) return op_fault(m, FAULT_DIVIDE, "a duration by 0");
  double result = float_floor((what == DO_MUL ? (double)us * f : (double)us / f) + 0.5);
  if (!(result > -9.2e18 && result < 9.2e18))
    return op_fault(m, FAULT_OVERFLOW, "a duration out of range");
  *a = duration_new(m, (int64_t)result);
  return true;
}

static bool value_is_plain_number(Value v) {
  int64_t i;
  double f;
  return value_to_int(v, &i) || value_to_float(v, &f);
}

/* *done false: not a matter of times. */
static bool span_op(Machine *m, Arithmetic what, Value *a, Value b, Value c, bool *done) {
  int64_t x = 0, y = 0;
  bool b_time = micros(b, OBJ_TIME, &x), c_time = micros(c, OBJ_TIME, &y);
  bool b_span = micros(b, OBJ_DURATION, &x), c_span = micros(c, OBJ_DURATION, &y);
  *done = true;
  if (b_time && c_time && what == DO_SUB) return span_result(m, what, a, false, x, y);
  if (b_time && c_span && (what == DO_ADD || what == DO_SUB))
    return span_result(m, what, a, true, x, y);
  if (b_span && c_time && what == DO_ADD) return span_result(m, what, a, true, x, y);
  if (b_span && c_span && (what == DO_ADD || what == DO_SUB))
    return span_result(m, what, a, false, x, y);
  if (b_span && c_span && what >= DO_DIV) {
    if (what == DO_MOD && y != 0) return span_result(m, what, a, false, x, y);
    return int_op(m, what, a, x, y);
  }
  if (b_span && value_is_plain_number(c) && (what == DO_MUL || what == DO_DIV || what == DO_IDIV)) {
    return scale_span(m, what, a, x, c);
  }
  if (c_span && value_is_plain_number(b) && what == DO_MUL) return scale_span(m, what, a, y, b);
  *done = false;
  return true;
}

/* ---- the operators ---- */

static bool number_op(Machine *m, Arithmetic what, Value *a, Value *b, Value *c) {
  int64_t i = 0, j = 0;
  double x = 0, y = 0;
  if (value_to_float(*b, &x) && value_to_float(*c, &y)) { /* a boxed one: 0.0 as a rule */
    *a = value_float(m, float_do(what, x, y));
    return true;
  }
  bool b_int = value_to_int(*b, &i), c_int = value_to_int(*c, &j);
  if (b_int && c_int) return int_op(m, what, a, i, j);
  if (value_is_kind(*b, OBJ_DECIMAL) || value_is_kind(*c, OBJ_DECIMAL)) {
    if (value_is_plain_number(*b) || value_is_plain_number(*c) ||
        value_type(*b) == value_type(*c)) {
      return decimal_op(m, what, a, *b, *c);
    }
    return misfit(m, what, *b, *c);
  }
  if (b_int) x = (double)i;
  if (c_int) y = (double)j;
  if ((b_int || value_to_float(*b, &x)) && (c_int || value_to_float(*c, &y))) {
    *a = value_float(m, float_do(what, x, y));
    return true;
  }
  bool done;
  bool ok = span_op(m, what, a, *b, *c, &done);
  return done ? ok : misfit(m, what, *b, *c);
}

static bool add_texts(Machine *m, Value *a, Value *b, Value *c) {
  if ((uint64_t)value_obj(*b)->size + value_obj(*c)->size > LIMIT_VALUE_BYTES) {
    return op_fault(m, FAULT_SIZE, "%" PRIu64 " MB", LIMIT_VALUE_BYTES >> 20);
  }
  *a = string_concat(m, b, c);
  return true;
}

static bool add_bytes(Machine *m, Value *a, Value *b, Value *c) {
  Buf *out = &m->scratch;
  for (int i = 0; i < 2; i++) {
    const BytesObj *o = (const BytesObj *)value_obj(i ? *c : *b);
    buf_put(out, o->bytes, o->head.size);
  }
  bool full = out->full;
  machine_work(m, out->size);
  if (!full) *a = bytes_new(m, buf_view(out));
  buf_clear(out);
  return full ? op_fault(m, FAULT_SIZE, "%" PRIu64 " MB", LIMIT_VALUE_BYTES >> 20) : true;
}

static bool add_lists(Machine *m, Value *a, Value *b, Value *c) {
  uint64_t count = (uint64_t)list_count(*b) + list_count(*c);
  if (count * 8 > LIMIT_VALUE_BYTES)
    return op_fault(m, FAULT_SIZE, "%" PRIu64 " MB", LIMIT_VALUE_BYTES >> 20);
  machine_work(m, count * 8);
  m->temp[0] = list_new(m, (uint32_t)count);
  list_extend(m, &m->temp[0], b);
  list_extend(m, &m->temp[0], c);
  *a = m->temp[0];
  m->temp[0] = VALUE_NIL;
  return true;
}

bool op_add(Machine *m, Value *a, Value *b, Value *c) {
  double ignored;
  if (value_to_float(*b, &ignored)) return number_op(m, DO_ADD, a, b, c);
  if (value_is_text(*b) && value_is_text(*c)) return add_texts(m, a, b, c);
  if (value_is_kind(*b, OBJ_LIST) && value_is_kind(*c, OBJ_LIST)) return add_lists(m, a, b, c);
  if (value_is_kind(*b, OBJ_BYTES) && value_is_kind(*c, OBJ_BYTES)) return add_bytes(m, a, b, c);
  bool sealed = value_is_kind(*b, OBJ_SEALED) || value_is_kind(*c, OBJ_SEALED);
  if (sealed && (value_is_text(*b) || value_is_text(*c) || value_type(*b) == value_type(*c))) {
    Value both[2] = {*b, *c};
    m->temp[6] = both[0], m->temp[7] = both[1];
    bool ok = op_concat(m, a, &m->temp[6], 2);
    m->temp[6] = m->temp[7] = VALUE_NIL;
    return ok;
  }
  return number_op(m, DO_ADD, a, b, c);
}

bool op_sub(Machine *m, Value *a, Value *b, Value *c) { return number_op(m, DO_SUB, a, b, c); }
bool op_mul(Machine *m, Value *a, Value *b, Value *c) { return number_op(m, DO_MUL, a, b, c); }
bool op_div(Machine *m, Value *a, Value *b, Value *c) { return number_op(m, DO_DIV, a, b, c); }
bool op_idiv(Machine *m, Value *a, Value *b, Value *c) { return number_op(m, DO_IDIV, a, b, c); }
bool op_mod(Machine *m, Value *a, Value *b, Value *c) { return number_op(m, DO_MOD, a, b, c); }

bool op_neg(Machine *m, Value *a, Value *b) {
  int64_t i;
  double f;
  if (value_to_float(*b, &f)) {
    *a = value_float(m, -f);
    return true;
  }
  if (value_to_int(*b, &i)) {
    if (i == INT64_MIN) return op_fault(m, FAULT_OVERFLOW, "-(%" PRId64 ")", i);
    *a = value_int(m, -i);
    return true;
  }
  if (value_is_kind(*b, OBJ_DECIMAL)) {
    Decimal d = value_decimal(*b);
    d.coefficient = -d.coefficient;
    *a = decimal_value(m, d);
    return true;
  }
  if (micros(*b, OBJ_DURATION, &i) && i != INT64_MIN) {
    *a = duration_new(m, -i);
    return true;
  }
  return op_fault(m, FAULT_TYPE, "cannot negate %s", value_brief(m, *b, true).text);
}

/* ---- comparison ---- */

/* Values share parts, so comparing two small heaps may never end: what it may cost is what is left of the ticks. Past
** that the next tick faults, whatever is answered here. */
static CompareWork compare_begin(const Machine *m) {
  uint64_t left = m->ticks_limit > m->ticks ? m->ticks_limit - m->ticks : 0;
  return (CompareWork){.max = left > UINT64_MAX / 16 ? UINT64_MAX / 16
                                                     : left * (64 / WORK_COMPARE) + 64};
}

static bool compare_end(Machine *m, const CompareWork *w) {
  machine_work(m, w->steps * WORK_COMPARE);
  if (w->deep)
    return op_fault(m, FAULT_VALUE, "values nested more than %" PRIu64 " deep cannot be compared",
                    LIMIT_VALUE_DEPTH);
  return !w->long_ || op_fault(m, FAULT_FUEL, "%" PRIu64, LIMIT_TICKS);
}

static uint64_t text_work(Value b, Value c) {
  return value_is_text(b) && value_is_text(c) ? value_obj(b)->size / 8 : 0;
}

bool op_equal(Machine *m, Value b, Value c, bool *equal) {
  if ((value_is_kind(b, OBJ_SEALED) && c != VALUE_NIL) ||
      (value_is_kind(c, OBJ_SEALED) && b != VALUE_NIL)) {
    return op_fault(m, FAULT_SEALED, "a sealed value cannot be compared");
  }
  CompareWork w = compare_begin(m);
  w.steps += text_work(b, c);
  *equal = value_equal_bounded(b, c, &w);
  return compare_end(m, &w);
}

static bool is_nan(Value v) {
  double f;
  return value_to_float(v, &f) && f != f;
}

bool op_order(Machine *m, Value b, Value c, int *order) {
  CompareWork w = compare_begin(m);
  w.steps += text_work(b, c);
  *order = value_compare_bounded(b, c, &w);
  if (!compare_end(m, &w)) return false;
  if (*order != 2 || is_nan(b) || is_nan(c)) return true;
  return op_fault(m, FAULT_TYPE, "%s and %s have no order", value_brief(m, b, true).text,
                  value_brief(m, c, true).text);
}

bool op_less(Machine *m, Value b, Value c, bool or_equal, bool *less) {
  int order;
  if (!op_order(m, b, c, &order)) return false;
  *less = order == -1 || (or_equal && order == 0);
  return true;
}

/* ---- counting loops ---- */

static bool for_values(Machine *m, const Value *a, int64_t v[3]) {
  for (int i = 0; i < 3; i++) {
    if (!value_to_int(a[i], &v[i])) {
      return op_fault(m, FAULT_TYPE, "a range needs ints, and this is %s",
                      value_brief(m, a[i], true).text);
    }
  }
  return v[2] != 0 || op_fault(m, FAULT_VALUE, "the step of a range cannot be 0");
}

bool op_for_prep(Machine *m, Value *a, bool *enter) {
  int64_t v[3];
  if (!for_values(m, a, v)) return false;
  *enter = v[2] > 0 ? v[0] < v[1] : v[0] > v[1];
  if (*enter) a[3] = a[0];
  return true;
}

bool op_for_next(Machine *m, Value *a, bool *again) {
  int64_t v[3], next;
  if (!for_values(m, a, v)) return false;
  *again = !__builtin_add_overflow(v[0], v[2], &next) && (v[2] > 0 ? next < v[1] : next > v[1]);
  if (*again) a[0] = a[3] = value_int(m, next);
  return true;
}
