/* Arithmetic that must come out alike on every machine: rounding that looks at the
** exact number, quotients rounded once, and the elementary functions correctly
** rounded, subnormals too. Built on GMP and MPFR; nothing here fails for memory. */
#ifndef Z8_EXACT_H
#define Z8_EXACT_H
#include "vm/base/text.h"

/* Toward zero, up, down…: halves of HALF_UP and HALF_EVEN go as they say. */
double float_whole(double f, Rounding rounding);

/* With so many digits (at least 0) after the point, halves away from zero: -1.50. */
void int_print_fixed(int64_t i, uint32_t digits, Buf *out);
void float_print_fixed(double f, uint32_t digits, Buf *out); /* nan and inf as float_print has them */
void decimal_print_fixed(Decimal d, uint32_t digits, Buf *out);

/* To a multiple of 10^-digits, halves away from zero; digits may be negative. */
double float_round_digits(double f, int digits);
bool int_round_digits(int64_t i, int digits, int64_t *out); /* false on overflow */

/* a / b with so many digits after the point, rounded once from the exact quotient; b is not 0. False: more
** than 34 digits. */
bool decimal_quotient(Decimal a, Decimal b, uint16_t scale, Rounding rounding, Decimal *out);

typedef enum {
  MATH_CBRT, MATH_EXP, MATH_LOG, MATH_LOG2, MATH_LOG10, MATH_SIN, MATH_COS, MATH_TAN, MATH_ASIN, MATH_ACOS,
  MATH_ATAN, MATH_SINH, MATH_COSH, MATH_TANH, MATH_SQRT
} MathFn;
double math_apply(MathFn fn, double x);
typedef enum { MATH_POW, MATH_ATAN2, MATH_HYPOT } MathFn2;
double math_apply2(MathFn2 fn, double x, double y);
#endif
