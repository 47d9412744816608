/* Text of values: numbers, decimals, times, durations, UTF-8. No locale anywhere. */
#ifndef Z8_TEXT_H
#define Z8_TEXT_H
#include "vm/base/buf.h"

/* -- UTF-8 -- */
bool utf8_valid(Str s);
size_t utf8_count(Str s);                    /* characters of a valid text */
size_t utf8_offset(Str s, size_t character); /* byte offset; s.size past the end */
size_t utf8_put(char out[4], uint32_t code); /* bytes written */
uint32_t utf8_next(Str s, size_t *at);       /* of a valid text */
bool text_is_ascii(Str s);

/* -- floats: the shortest text that reads back the same: 1.0 0.1 1e+22 -> "1e22", nan, inf, -0.0 --
 */
/* Plain notation for 1e-6 <= |f| < 1e16 and zero, always with a point; else d.ddde[-]N, without
 * ".0". */
void float_print(double f, Buf *out);
/* Sign, digits, optional point and exponent ("5." and ".5" are not numbers), or nan, inf, -inf as printed; whole
** string. Correctly rounded; false when out of range (a number too small is zero). */
bool float_parse(Str s, double *out);
void int_print(int64_t i, Buf *out);
bool int_parse(
    Str s,
    int64_t *out); /* decimal digits with an optional sign; whole string; false on overflow */

/* -- decimals: coefficient * 10^-scale, at most 34 digits, scale 0..6144 as kept --
** A result's scale: add and sub the larger one, mul the sum, div the difference (at least 0) or what the quotient
** needs (10.00d / 4 is 2.50, 1d / 4 is 0.25), mod the larger. Zeros at the end are given up where 34 digits or the
** scale would not do. Text: sign, digits, optional point and exponent; printed without exponent, scale kept. */
typedef struct Decimal {
  __extension__ __int128 coefficient;
  uint16_t scale;
} Decimal;
bool decimal_fits(Decimal d); /* 34 digits at most and a scale in range */
bool decimal_parse(Str s, Decimal *out);
void decimal_print(Decimal d, Buf *out);
bool decimal_add(Decimal a, Decimal b, Decimal *out); /* false: more than 34 digits */
bool decimal_sub(Decimal a, Decimal b, Decimal *out);
bool decimal_mul(Decimal a, Decimal b, Decimal *out);
/* Exact if it can be within 34 digits, else rounded half-even to 34 digits. False on division by
 * zero or range. */
bool decimal_div(Decimal a, Decimal b, Decimal *out);
bool decimal_idiv(Decimal a, Decimal b, Decimal *out); /* floored */
bool decimal_mod(Decimal a, Decimal b, Decimal *out);  /* sign of b */
int decimal_compare(Decimal a, Decimal b);
int decimal_compare_float(Decimal a, double f, bool *ordered);
Decimal decimal_from_int(int64_t i);
bool decimal_to_int(Decimal d, int64_t *out); /* exact only */
double decimal_to_float(Decimal d);
typedef enum {
  ROUND_HALF_EVEN,
  ROUND_HALF_UP,
  ROUND_DOWN,
  ROUND_UP,
  ROUND_FLOOR,
  ROUND_CEILING
} Rounding;
/* To `scale` places; more places than d has are filled with zeros while 34 digits allow. */
bool decimal_round(Decimal d, uint16_t scale, Rounding rounding, Decimal *out);

/* -- times in microseconds since 1970 UTC; proleptic Gregorian, years 1 to 9999 -- */
void time_print(int64_t us, Buf *out); /* 2026-11-20T14:05:00Z, with a fraction when there is one */
bool time_parse(Str s, int64_t *us);   /* RFC 3339, any offset; a date alone is its midnight UTC */
typedef struct TimeParts {
  int32_t year;
  int32_t month, day, hour, minute, second, microsecond, weekday /* 1 Monday */, yearday;
} TimeParts;
bool time_split(int64_t us, TimeParts *out);
bool time_join(const TimeParts *parts, int64_t *us);
void duration_print(int64_t us, Buf *out); /* 1h30m, 250ms, 2d, 0s, -5s */
bool duration_parse(Str s, int64_t *us);

/* -- codecs -- */
void base64_encode(Str bytes, bool url, Buf *out);
bool base64_decode(Str text, bool url, Buf *out);
int hex_value(char c); /* of one digit, either case; -1 if it is none */
void hex_encode(Str bytes, Buf *out);
bool hex_decode(Str text, Buf *out);
void percent_encode(Str bytes, Buf *out); /* all but unreserved (RFC 3986) */
bool percent_decode(Str text, bool plus_is_space, Buf *out);
#endif
