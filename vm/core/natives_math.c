/* The module math. The elementary functions are correctly rounded (vm/base/exact.h)
** and so alike everywhere; the square root is the processor's, which is as exact. */
#include <math.h>

#include "vm/base/exact.h"
#include "vm/core/natives.h"

enum { MATH_WORK = 2048 }; /* bytes of bulk work that one elementary function counts for */

static bool give(Machine *m, double f, Value *result) {
  *result = value_float(m, f);
  return true;
}

/* ---- constants ---- */

NATIVE_BODY(math_pi) { return give(m, 3.141592653589793, result); }
NATIVE_BODY(math_e) { return give(m, 2.718281828459045, result); }
NATIVE_BODY(math_tau) { return give(m, 6.283185307179586, result); }
NATIVE_BODY(math_inf) { return give(m, (double)INFINITY, result); }
NATIVE_BODY(math_nan) { return give(m, (double)NAN, result); }

/* ---- elementary functions ---- */

NATIVE_BODY(math_sqrt) {
  double f;
  if (!arg_float(m, args[0], "math.sqrt: the number", &f, result)) return false;
  return give(m, sqrt(f), result);
}

static bool apply(Machine *m, Value v, MathFn fn, const char *what, Value *result) {
  double f;
  if (!arg_float(m, v, what, &f, result)) return false;
  machine_work(m, MATH_WORK);
  return give(m, math_apply(fn, f), result);
}

NATIVE_BODY(math_cbrt) { return apply(m, args[0], MATH_CBRT, "math.cbrt: the number", result); }
NATIVE_BODY(math_exp) { return apply(m, args[0], MATH_EXP, "math.exp: the number", result); }
NATIVE_BODY(math_log2) { return apply(m, args[0], MATH_LOG2, "math.log2: the number", result); }
NATIVE_BODY(math_log10) { return apply(m, args[0], MATH_LOG10, "math.log10: the number", result); }
NATIVE_BODY(math_sin) { return apply(m, args[0], MATH_SIN, "math.sin: the angle", result); }
NATIVE_BODY(math_cos) { return apply(m, args[0], MATH_COS, "math.cos: the angle", result); }
NATIVE_BODY(math_tan) { return apply(m, args[0], MATH_TAN, "math.tan: the angle", result); }
NATIVE_BODY(math_asin) { return apply(m, args[0], MATH_ASIN, "math.asin: the sine", result); }
NATIVE_BODY(math_acos) { return apply(m, args[0], MATH_ACOS, "math.acos: the cosine", result); }
NATIVE_BODY(math_atan) { return apply(m, args[0], MATH_ATAN, "math.atan: the tangent", result); }
NATIVE_BODY(math_sinh) { return apply(m, args[0], MATH_SINH, "math.sinh: the number", result); }
NATIVE_BODY(math_cosh) { return apply(m, args[0], MATH_COSH, "math.cosh: the number", result); }
NATIVE_BODY(math_tanh) { return apply(m, args[0], MATH_TANH, "math.tanh: the number", result); }

NATIVE_BODY(math_log) {
  double x, base;
  if (!arg_given(args, count, 1))
    return apply(m, args[0], MATH_LOG, "math.log: the number", result);
  if (!arg_float(m, args[0], "math.log: the number", &x, result)) return false;
  if (!arg_float(m, args[1], "math.log: the base", &base, result)) return false;
  machine_work(m, 2 * MATH_WORK);
  if (base >= 2 && base <= 2) return give(m, math_apply(MATH_LOG2, x), result);
  if (base >= 10 && base <= 10) return give(m, math_apply(MATH_LOG10, x), result);
  return give(m, math_apply(MATH_LOG, x) / math_apply(MATH_LOG, base), result);
}

static bool apply2(Machine *m, const Value *args, MathFn2 fn, const char *what, Value *result) {
  double x, y;
  if (!arg_float(m, args[0], what, &x, result) || !arg_float(m, args[1], what, &y, result))
    return false;
  machine_work(m, MATH_WORK);
  return give(m, math_apply2(fn, x, y), result);
}

NATIVE_BODY(math_atan2) { return apply2(m, args, MATH_ATAN2, "math.atan2: an argument", result); }
NATIVE_BODY(math_hypot) { return apply2(m, args, MATH_HYPOT, "math.hypot: an argument", result); }

/* ---- powers ---- */

static bool int_power(int64_t base, int64_t n, int64_t *out) {
  int64_t power = 1;
  for (;;) {
    if (n & 1 && __builtin_mul_overflow(power, base, &power)) return false;
    if ((n >>= 1) == 0) break;
    if (__builtin_mul_overflow(base, base, &base)) return false;
  }
  *out = power;
  return true;
}

static bool decimal_power(Decimal base, int64_t n, Decimal *out) {
  Decimal power = decimal_from_int(1);
  for (;;) {
    if (n & 1 && !decimal_mul(power, base, &power)) return false;
    if ((n >>= 1) == 0) break;
    if (!decimal_mul(base, base, &base)) return false;
  }
  *out = power;
  return true;
}

NATIVE_BODY(math_pow) {
  int64_t base, n;
  bool whole = value_to_int(args[1], &n) && n >= 0;
  if (whole && value_to_int(args[0], &base)) {
    int64_t power;
    if (!int_power(base, n, &power))
      return native_fault(m, result, FAULT_OVERFLOW, "math.pow(%" PRId64 ", %" PRId64 ")", base, n);
    *result = value_int(m, power);
    return true;
  }
  if (whole && value_is_kind(args[0], OBJ_DECIMAL)) {
    Decimal power = {0};
    if (!decimal_power(value_decimal(args[0]), n, &power))
      return native_fault(m, result, FAULT_DECIMAL, "math.pow");
    *result = decimal_value(m, power);
    return true;
  }
  return apply2(m, args, MATH_POW, "math.pow: an argument", result);
}

NATIVE_BODY(math_isqrt) {
  int64_t n;
  if (!arg_int_in(m, args[0], "math.isqrt: the int", 0, INT64_MAX, &n, result)) return false;
  uint64_t root = (uint64_t)sqrt((double)n); /* at most one off, either way */
  while (root * root > (uint64_t)n) root--;
  while ((root + 1) * (root + 1) <= (uint64_t)n) root++;
  *result = value_int(m, (int64_t)root);
  return true;
}

NATIVE_BODY(math_factorial) {
  int64_t n, product = 1;
  if (!arg_int_in(m, args[0], "math.factorial: the int", 0, INT64_MAX, &n, result)) return false;
  if (n > 20) return native_fault(m, result, FAULT_OVERFLOW, "math.factorial(%" PRId64 ")", n);
  for (int64_t i = 2; i <= n; i++) product *= i;
  *result = value_int(m, product);
  return true;
}

/* ---- divisors ---- */

static uint64_t magnitude(int64_t i) { return i < 0 ? -(uint64_t)i : (uint64_t)i; }

static uint64_t common_divisor(uint64_t a, uint64_t b) {
  while (b) {
    uint64_t rest = a % b;
    a = b;
    b = rest;
  }
  return a;
}

static bool give_magnitude(Machine *m, uint64_t n, bool fits, const char *what, Value *result) {
  if (!fits || n > INT64_MAX) return native_fault(m, result, FAULT_OVERFLOW, "%s", what);
  *result = value_int(m, (int64_t)n);
  return true;
}

NATIVE_BODY(math_gcd) {
  int64_t a, b;
  if (!arg_int(m, args[0], "math.gcd: an argument", &a, result)) return false;
  if (!arg_int(m, args[1], "math.gcd: an argument", &b, result)) return false;
  return give_magnitude(m, common_divisor(magnitude(a), magnitude(b)), true, "math.gcd", result);
}

NATIVE_BODY(math_lcm) {
  int64_t a, b;
  if (!arg_int(m, args[0], "math.lcm: an argument", &a, result)) return false;
  if (!arg_int(m, args[1], "math.lcm: an argument", &b, result)) return false;
  uint64_t x = magnitude(a), y = magnitude(b), n = 0;
  bool fits = !x || !y || !__builtin_mul_overflow(x / common_divisor(x, y), y, &n);
  return give_magnitude(m, n, fits, "math.lcm", result);
}

/* ---- comparing ---- */

NATIVE_BODY(math_sign) {
  int64_t i;
  Value v = args[0];
  if (value_is_kind(v, OBJ_DURATION)) {
    i = ((IntObj *)value_obj(v))->i;
  } else if (!value_to_int(v, &i)) {
    double f;
    if (!arg_float(m, v, "math.sign: the number", &f, result)) return false;
    if (f != f) return native_fault(m, result, FAULT_VALUE, "math.sign: nan has no sign");
    i = f > 0 ? 1 : f < 0 ? -1 : 0;
    if (i == 0 && value_is_kind(v, OBJ_DECIMAL))
      i = decimal_compare(value_decimal(v), decimal_from_int(0));
  }
  *result = value_small_int(i > 0 ? 1 : i < 0 ? -1 : 0);
  return true;
}

NATIVE_BODY(math_clamp) {
  for (uint32_t i = 0; i < 3; i++) args[i] = value_settle(m, args[i]);
  CompareWork work = compare_begin(m);
  int low = value_compare_bounded(args[0], args[1], &work),
      high = value_compare_bounded(args[0], args[2], &work);
  int bounds = value_compare_bounded(args[1], args[2], &work);
  if (!compare_end(m, &work, "math.clamp", result)) return false;
  if (low == 2) return unordered(m, "math.clamp", args[0], args[1], result);
  if (high == 2) return unordered(m, "math.clamp", args[0], args[2], result);
  if (bounds > 0)
    return native_fault(m, result, FAULT_VALUE, "math.clamp: the least is above the greatest");
  *result = shared(low < 0 ? args[1] : high > 0 ? args[2] : args[0]);
  return true;
}
