/* The modules int, float and decimal, and rounding; the exact part is vm/base/exact.h. */
#include "vm/base/exact.h"
#include "vm/core/natives.h"

enum { DIGITS_MAX = 400, SCALE_MAX = 6144 };

/* ---- whole numbers ---- */

bool number_whole(Machine *m, Value v, Rounding rounding, const char *name, Value *result) {
  int64_t i;
  double f;
  if (value_to_int(v, &i)) return *result = v, true;
  if (value_is_kind(v, OBJ_DECIMAL))
    return decimal_cut(m, value_decimal(v), rounding, name, result);
  if (!arg_float(m, v, name, &f, result)) return false;
  return float_to_int(m, float_whole(f, rounding), name, result);
}

NATIVE_BODY(core_floor) { return number_whole(m, args[0], ROUND_FLOOR, "floor", result); }
NATIVE_BODY(core_ceil) { return number_whole(m, args[0], ROUND_CEILING, "ceil", result); }
NATIVE_BODY(math_floor) { return number_whole(m, args[0], ROUND_FLOOR, "math.floor", result); }
NATIVE_BODY(math_ceil) { return number_whole(m, args[0], ROUND_CEILING, "math.ceil", result); }
NATIVE_BODY(math_trunc) { return number_whole(m, args[0], ROUND_DOWN, "math.trunc", result); }

/* ---- digits after the point ---- */

bool number_fixed(Machine *m, Value *args, const char *name, Value *result) {
  int64_t digits, i;
  double f;
  Buf out = {0};
  if (!arg_int_in(m, args[1], name, 0, DIGITS_MAX, &digits, result)) return false;
  if (!arg_float(m, args[0], name, &f, result)) return false;
  machine_work(m, 1024);
  if (value_to_int(args[0], &i)) int_print_fixed(i, (uint32_t)digits, &out);
  else if (value_to_float(args[0], &f)) float_print_fixed(f, (uint32_t)digits, &out);
  else decimal_print_fixed(value_decimal(args[0]), (uint32_t)digits, &out);
  return string_take(m, &out, result);
}

NATIVE_BODY(text_fixed) { return number_fixed(m, args, "text.fixed: an argument", result); }
NATIVE_BODY(int_fixed) { return number_fixed(m, args, "int.fixed: an argument", result); }
NATIVE_BODY(float_fixed) { return number_fixed(m, args, "float.fixed: an argument", result); }
NATIVE_BODY(decimal_fixed) { return number_fixed(m, args, "decimal.fixed: an argument", result); }

/* ---- round ---- */

NATIVE_BODY(core_round) {
  int64_t digits, i;
  double f;
  Decimal d;
  if (!arg_given(args, count, 1)) return number_whole(m, args[0], ROUND_HALF_UP, "round", result);
  if (!arg_int_in(m, args[1], "round: the digits", -DIGITS_MAX, DIGITS_MAX, &digits, result))
    return false;
  machine_work(m, 1024);
  if (value_to_int(args[0], &i)) {
    if (!int_round_digits(i, (int)digits, &i))
      return native_fault(m, result, FAULT_OVERFLOW, "round");
    *result = value_int(m, i);
    return true;
  }
  if (value_to_float(args[0], &f)) {
    *result = value_float(m, float_round_digits(f, (int)digits));
    return true;
  }
  if (!arg_decimal(m, args[0], "round: the number", &d, result)) return false;
  if (digits < 0)
    return native_fault(m, result, FAULT_VALUE, "round: the digits of a decimal must be 0 or more");
  if (!decimal_round(d, (uint16_t)digits, ROUND_HALF_UP, &d))
    return native_fault(m, result, FAULT_DECIMAL, "round");
  *result = decimal_value(m, d);
  return true;
}

/* ---- int ---- */

static int digit_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'z') return c - 'a' + 10;
  return c >= 'A' && c <= 'Z' ? c - 'A' + 10 : 99;
}

static bool int_parse_base(Str s, int base, int64_t *out) {
  size_t i = s.size > 0 && (s.at[0] == '-' || s.at[0] == '+');
  bool negative = i && s.at[0] == '-';
  int64_t n = 0;
  if (i == s.size) return false;
  for (; i < s.size; i++) {
    int digit = digit_value(s.at[i]);
    if (digit >= base || __builtin_mul_overflow(n, base, &n) ||
        __builtin_sub_overflow(n, digit, &n))
      return false;
  }
  *out = n; /* gathered below zero, where there is one more */
  return negative || !__builtin_sub_overflow(0, n, out);
}

static bool int_read(Machine *m, Value *args, uint32_t count, const char *what, Value *result) {
  int64_t base = 10, i;
  if (!arg_text(m, &args[0], what, result)) return false;
  if (arg_given(args, count, 1) && !arg_int_in(m, args[1], "the base", 2, 36, &base, result))
    return false;
  machine_work(m, text_of(args[0]).size);
  *result = int_parse_base(text_of(args[0]), (int)base, &i) ? value_int(m, i) : VALUE_NIL;
  return true;
}

NATIVE_BODY(int_parse) { return int_read(m, args, count, "int.parse: the text", result); }
NATIVE_BODY(text_to_int) { return int_read(m, args, count, "text.to_int: the text", result); }

NATIVE_BODY(int_format) {
  int64_t i, base = 10, width = 0;
  if (!arg_int(m, args[0], "int.format: the int", &i, result)) return false;
  if (arg_given(args, count, 1) &&
      !arg_int_in(m, args[1], "int.format: the base", 2, 36, &base, result))
    return false;
  if (arg_given(args, count, 2) &&
      !arg_int_in(m, args[2], "int.format: the width", 0, 1000, &width, result))
    return false;
  char digits[64];
  size_t n = 0;
  uint64_t rest = i < 0 ? -(uint64_t)i : (uint64_t)i;
  do digits[n++] = "0123456789abcdefghijklmnopqrstuvwxyz"[rest % (uint64_t)base];
  while ((rest /= (uint64_t)base) > 0);
  Buf out = {0};
  if (i < 0) buf_byte(&out, '-');
  for (size_t k = n; k < (size_t)width; k++) buf_byte(&out, '0');
  while (n > 0) buf_byte(&out, (uint8_t)digits[--n]);
  return string_take(m, &out, result);
}

NATIVE_BODY(int_group) {
  int64_t i;
  Buf digits = {0}, out = {0};
  if (!arg_int(m, args[0], "int.group: the int", &i, result)) return false;
  bool given = arg_given(args, count, 1);
  if (given && !arg_text(m, &args[1], "int.group: the sign", result)) return false;
  Str sign = given ? text_of(args[1]) : STR(",");
  int_print(i, &digits);
  size_t start = i < 0;
  for (size_t k = 0; k < digits.size; k++) {
    if (k > start && (digits.size - k) % 3 == 0) buf_str(&out, sign);
    buf_byte(&out, (uint8_t)digits.at[k]);
  }
  buf_deinit(&digits);
  return string_take(m, &out, result);
}

static bool two_ints(Machine *m, const Value *args, const char *what, int64_t out[2],
                     Value *result) {
  return arg_int(m, args[0], what, &out[0], result) && arg_int(m, args[1], what, &out[1], result);
}

NATIVE_BODY(int_and) {
  int64_t i[2];
  if (!two_ints(m, args, "int.and: an argument", i, result)) return false;
  *result = value_int(m, i[0] & i[1]);
  return true;
}

NATIVE_BODY(int_or) {
  int64_t i[2];
  if (!two_ints(m, args, "int.or: an argument", i, result)) return false;
  *result = value_int(m, i[0] | i[1]);
  return true;
}

NATIVE_BODY(int_xor) {
  int64_t i[2];
  if (!two_ints(m, args, "int.xor: an argument", i, result)) return false;
  *result = value_int(m, i[0] ^ i[1]);
  return true;
}

NATIVE_BODY(int_not) {
  int64_t i;
  if (!arg_int(m, args[0], "int.not: the int", &i, result)) return false;
  *result = value_int(m, ~i);
  return true;
}

NATIVE_BODY(int_shift_left) {
  int64_t i, places;
  if (!arg_int(m, args[0], "int.shift_left: the int", &i, result)) return false;
  if (!arg_int_in(m, args[1], "int.shift_left: the places", 0, 63, &places, result)) return false;
  *result = value_int(m, (int64_t)((uint64_t)i << places));
  return true;
}

NATIVE_BODY(int_shift_right) {
  int64_t i, places;
  if (!arg_int(m, args[0], "int.shift_right: the int", &i, result)) return false;
  if (!arg_int_in(m, args[1], "int.shift_right: the places", 0, 63, &places, result)) return false;
  *result = value_int(m, i < 0 ? ~(~i >> places) : i >> places);
  return true;
}

NATIVE_BODY(int_bit_count) {
  int64_t i;
  if (!arg_int(m, args[0], "int.bit_count: the int", &i, result)) return false;
  *result = value_small_int(__builtin_popcountll((uint64_t)i));
  return true;
}

NATIVE_BODY(int_largest) {
  *result = value_int(m, INT64_MAX);
  return true;
}

NATIVE_BODY(int_smallest) {
  *result = value_int(m, INT64_MIN);
  return true;
}

/* ---- float ---- */

static bool float_read(Machine *m, Value *args, const char *what, Value *result) {
  double f;
  if (!arg_text(m, &args[0], what, result)) return false;
  machine_work(m, text_of(args[0]).size);
  *result = float_parse(text_of(args[0]), &f) ? value_float(m, f) : VALUE_NIL;
  return true;
}

NATIVE_BODY(float_parse) { return float_read(m, args, "float.parse: the text", result); }
NATIVE_BODY(text_to_float) { return float_read(m, args, "text.to_float: the text", result); }

static bool float_ask(Machine *m, Value v, const char *what, double *out, Value *result) {
  *result = VALUE_FALSE;
  return arg_float(m, v, what, out, result);
}

NATIVE_BODY(float_is_nan) {
  double f;
  if (!float_ask(m, args[0], "float.is_nan: the number", &f, result)) return false;
  *result = value_bool(f != f);
  return true;
}

NATIVE_BODY(float_is_finite) {
  double f;
  if (!float_ask(m, args[0], "float.is_finite: the number", &f, result)) return false;
  *result = value_bool(f - f == 0);
  return true;
}

NATIVE_BODY(math_is_nan) { return native_float_is_nan(m, args, count, result); }
NATIVE_BODY(math_is_finite) { return native_float_is_finite(m, args, count, result); }

NATIVE_BODY(float_is_whole) {
  double f;
  if (!float_ask(m, args[0], "float.is_whole: the number", &f, result)) return false;
  *result = value_bool(f - f == 0 && float_whole(f, ROUND_DOWN) == f);
  return true;
}

/* ---- decimal ---- */

static const char *const rounding_names[] = {"half_even", "half_up", "down",
                                             "up",        "floor",   "ceiling"};

static bool arg_rounding(Machine *m, Value *args, uint32_t count, uint32_t i, Rounding *out,
                         Value *result) {
  *out = ROUND_HALF_UP;
  if (!arg_given(args, count, i)) return true;
  if (!arg_text(m, &args[i], "decimal: the rounding", result)) return false;
  for (size_t k = 0; k < COUNT_OF(rounding_names); k++) {
    if (!str_equal(text_of(args[i]), str_of(rounding_names[k]))) continue;
    *out = (Rounding)k;
    return true;
  }
  return native_fault(
      m, result, FAULT_VALUE,
      "decimal: the rounding must be half_up, half_even, down, up, floor or ceiling");
}

static bool decimal_result(Machine *m, bool ok, Decimal d, const char *what, Value *result) {
  if (!ok) return native_fault(m, result, FAULT_DECIMAL, "%s", what);
  *result = decimal_value(m, d);
  return true;
}

static bool decimal_text(Machine *m, Value *args, const char *what, Value *result) {
  Decimal d;
  if (!arg_text(m, &args[0], what, result)) return false;
  machine_work(m, text_of(args[0]).size);
  *result = decimal_read(text_of(args[0]), &d) ? decimal_value(m, d) : VALUE_NIL;
  return true;
}

NATIVE_BODY(decimal_parse) { return decimal_text(m, args, "decimal.parse: the text", result); }
NATIVE_BODY(text_to_decimal) { return decimal_text(m, args, "text.to_decimal: the text", result); }

NATIVE_BODY(decimal_round) {
  Decimal d;
  int64_t scale = 0;
  Rounding rounding;
  if (!arg_decimal(m, args[0], "decimal.round: the decimal", &d, result)) return false;
  if (arg_given(args, count, 1) &&
      !arg_int_in(m, args[1], "decimal.round: the scale", 0, SCALE_MAX, &scale, result))
    return false;
  if (!arg_rounding(m, args, count, 2, &rounding, result)) return false;
  bool ok = decimal_round(d, (uint16_t)scale, rounding, &d);
  return decimal_result(m, ok, d, "decimal.round", result);
}

NATIVE_BODY(decimal_quantize) {
  Decimal d, like;
  Rounding rounding;
  if (!arg_decimal(m, args[0], "decimal.quantize: the decimal", &d, result)) return false;
  if (!arg_decimal(m, args[1], "decimal.quantize: the pattern", &like, result)) return false;
  if (!arg_rounding(m, args, count, 2, &rounding, result)) return false;
  bool ok = decimal_round(d, like.scale, rounding, &d);
  return decimal_result(m, ok, d, "decimal.quantize", result);
}

NATIVE_BODY(decimal_div) {
  Decimal a, b, out = {0};
  int64_t scale;
  Rounding rounding;
  if (!arg_decimal(m, args[0], "decimal.div: the dividend", &a, result)) return false;
  if (!arg_decimal(m, args[1], "decimal.div: the divisor", &b, result)) return false;
  if (!arg_int_in(m, args[2], "decimal.div: the scale", 0, SCALE_MAX, &scale, result)) return false;
  if (!arg_rounding(m, args, count, 3, &rounding, result)) return false;
  if (b.coefficient == 0) return native_fault(m, result, FAULT_DIVIDE, "decimal.div by 0");
  machine_work(m, 512);
  bool ok = decimal_quotient(a, b, (uint16_t)scale, rounding, &out);
  return decimal_result(m, ok, out, "decimal.div", result);
}

NATIVE_BODY(decimal_scale) {
  Decimal d;
  if (!arg_decimal(m, args[0], "decimal.scale: the decimal", &d, result)) return false;
  *result = value_small_int(d.scale);
  return true;
}

NATIVE_BODY(decimal_normalize) {
  Decimal d;
  if (!arg_decimal(m, args[0], "decimal.normalize: the decimal", &d, result)) return false;
  if (d.coefficient == 0) d.scale = 0;
  for (; d.scale > 0 && d.coefficient % 10 == 0; d.scale--) d.coefficient /= 10;
  *result = decimal_value(m, d);
  return true;
}

NATIVE_BODY(decimal_units) {
  Decimal d, cut;
  int64_t scale, i;
  if (!arg_decimal(m, args[0], "decimal.units: the decimal", &d, result)) return false;
  if (!arg_int_in(m, args[1], "decimal.units: the scale", 0, SCALE_MAX, &scale, result))
    return false;
  if (!decimal_round(d, (uint16_t)scale, ROUND_DOWN, &cut))
    return native_fault(m, result, FAULT_DECIMAL, "decimal.units");
  if (decimal_compare(cut, d) != 0) {
    return native_fault(
        m, result, FAULT_VALUE,
        "decimal.units: the decimal has more than %" PRId64 " digits after the point", scale);
  }
  cut.scale = 0;
  if (!decimal_to_int(cut, &i)) return native_fault(m, result, FAULT_OVERFLOW, "decimal.units");
  *result = value_int(m, i);
  return true;
}

NATIVE_BODY(decimal_from_units) {
  int64_t i, scale;
  if (!arg_int(m, args[0], "decimal.from_units: the units", &i, result)) return false;
  if (!arg_int_in(m, args[1], "decimal.from_units: the scale", 0, SCALE_MAX, &scale, result))
    return false;
  *result = decimal_value(m, (Decimal){i, (uint16_t)scale});
  return true;
}
