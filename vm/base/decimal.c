/* Exact decimals: a coefficient of at most 34 digits and a scale.
**
** The scale of a result: addition and subtraction the larger of the two; multiplication their sum;
** division their difference (0 at least), more where the quotient needs it. Where that would take
** more than 34 digits, zeros at the end are given up first; what then does not fit is refused, but
** in a division, which rounds. Intermediate values have up to 76 digits and live in 256 bits. */
#include <math.h>
#include <stdio.h>
#include "vm/base/number_scan.h"
#include "vm/base/text.h"

__extension__ typedef unsigned __int128 UWide;
__extension__ typedef __int128 Wide;

enum { DIGITS = 34, SCALE_MAX = 6144, POWER_MAX = 38 };

/* -- powers of ten and digits -- */

#define HIGH_POWER(p) ((UWide)UINT64_C(10000000000000000000) * UINT64_C(p))
static const UWide powers[POWER_MAX + 1] = {
    1,
    10,
    100,
    1000,
    10000,
    100000,
    1000000,
    10000000,
    100000000,
    1000000000,
    UINT64_C(10000000000),
    UINT64_C(100000000000),
    UINT64_C(1000000000000),
    UINT64_C(10000000000000),
    UINT64_C(100000000000000),
    UINT64_C(1000000000000000),
    UINT64_C(10000000000000000),
    UINT64_C(100000000000000000),
    UINT64_C(1000000000000000000),
    HIGH_POWER(1),
    HIGH_POWER(10),
    HIGH_POWER(100),
    HIGH_POWER(1000),
    HIGH_POWER(10000),
    HIGH_POWER(100000),
    HIGH_POWER(1000000),
    HIGH_POWER(10000000),
    HIGH_POWER(100000000),
    HIGH_POWER(1000000000),
    HIGH_POWER(10000000000),
    HIGH_POWER(100000000000),
    HIGH_POWER(1000000000000),
    HIGH_POWER(10000000000000),
    HIGH_POWER(100000000000000),
    HIGH_POWER(1000000000000000),
    HIGH_POWER(10000000000000000),
    HIGH_POWER(100000000000000000),
    HIGH_POWER(1000000000000000000),
    HIGH_POWER(10000000000000000000),
};

static int digit_count(UWide n) {
  int count = 0;
  while (count < POWER_MAX && n >= powers[count]) count++;
  return count + (n >= powers[POWER_MAX] && count == POWER_MAX ? 1 : 0);
}

static inline UWide magnitude(Wide n) { return n < 0 ? 0 - (UWide)n : (UWide)n; }
static inline Wide with_sign(UWide n, bool minus) { return minus ? -(Wide)n : (Wide)n; }

bool decimal_fits(Decimal d) {
  return magnitude(d.coefficient) < powers[DIGITS] && d.scale <= SCALE_MAX;
}

/* -- 256 bits, unsigned -- */

typedef struct Wide256 {
  UWide high, low;
} Wide256;

static Wide256 wide_mul(UWide a, UWide b) {
  uint64_t al = (uint64_t)a, ah = (uint64_t)(a >> 64), bl = (uint64_t)b, bh = (uint64_t)(b >> 64);
  UWide ll = (UWide)al * bl, lh = (UWide)al * bh, hl = (UWide)ah * bl, hh = (UWide)ah * bh;
  UWide middle = (ll >> 64) + (uint64_t)lh + (uint64_t)hl;
  return (Wide256){hh + (lh >> 64) + (hl >> 64) + (middle >> 64), middle << 64 | (uint64_t)ll};
}

static Wide256 wide_add(Wide256 a, Wide256 b) {
  UWide low = a.low + b.low;
  return (Wide256){a.high + b.high + (low < a.low), low};
}

static Wide256 wide_sub(Wide256 a, Wide256 b) {
  return (Wide256){a.high - b.high - (a.low < b.low), a.low - b.low};
}

static int wide_compare(Wide256 a, Wide256 b) {
  if (a.high != b.high) return a.high < b.high ? -1 : 1;
  return a.low < b.low ? -1 : a.low > b.low;
}

/* By a divisor of at most 127 bits. Both fit 128 bits in nearly all uses; else bit by bit. */
static Wide256 wide_div(Wide256 a, UWide divisor, UWide *rest) {
  if (a.high == 0) {
    *rest = a.low % divisor;
    return (Wide256){0, a.low / divisor};
  }
  Wide256 quotient = {a.high / divisor, 0};
  UWide r = a.high % divisor;
  for (int bit = 127; bit >= 0; bit--) {
    r = r << 1 | (a.low >> bit & 1);
    if (r < divisor) continue;
    r -= divisor;
    quotient.low |= (UWide)1 << bit;
  }
  *rest = r;
  return quotient;
}

static inline bool wide_is_zero(Wide256 a) { return (a.high | a.low) == 0; }

/* -- results -- */

/* n * 10^-scale, giving up zeros at the end where it must. */
static bool result_exact(Wide256 n, int scale, bool minus, Decimal *out) {
  while (n.high != 0 || n.low >= powers[DIGITS] || scale > SCALE_MAX) {
    UWide rest;
    if (scale == 0) return false;
    n = wide_div(n, 10, &rest);
    if (rest != 0) return false;
    scale--;
  }
  *out = (Decimal){with_sign(n.low, minus), (uint16_t)scale};
  return true;
}

static bool rounds_up(Rounding rounding, bool minus, bool odd, int half, bool any) {
  switch (rounding) { /* half: -1 less than a half is dropped, 0 just a half, 1 more */
  case ROUND_HALF_EVEN: return half > 0 || (half == 0 && odd);
  case ROUND_HALF_UP: return half >= 0;
  case ROUND_DOWN: return false;
  case ROUND_UP: return any;
  case ROUND_FLOOR: return any && minus;
  case ROUND_CEILING: return any && !minus;
  }
  UNREACHABLE();
}

/* n / divisor rounded; `more`: something nonzero was dropped before. n fits 128 bits. */
static UWide divide_rounded(UWide n, UWide divisor, bool more, Rounding rounding, bool minus) {
  UWide q = n / divisor, rest = n % divisor, other = divisor - rest;
  int half = rest < other ? -1 : rest > other || more;
  bool any = rest != 0 || more;
  return q + rounds_up(rounding, minus, q & 1, half, any);
}

/* -- addition -- */

/* Zeros at the end of d go, down to the scale given, if that brings it there. */
static void strip_towards(Decimal *d, int scale) {
  while (d->scale > scale && d->coefficient % 10 == 0) {
    d->coefficient /= 10;
    d->scale--;
  }
}

static bool add_aligned(Decimal a, Decimal b, int shift, Decimal *out) {
  Wide256 x = wide_mul(magnitude(a.coefficient), powers[shift]), y = {0, magnitude(b.coefficient)};
  bool minus_a = a.coefficient < 0, minus_b = b.coefficient < 0;
  if (minus_a == minus_b) return result_exact(wide_add(x, y), b.scale, minus_a, out);
  if (wide_compare(x, y) >= 0) return result_exact(wide_sub(x, y), b.scale, minus_a, out);
  return result_exact(wide_sub(y, x), b.scale, minus_b, out);
}

bool decimal_add(Decimal a, Decimal b, Decimal *out) {
  if (a.scale > b.scale) {
    Decimal swapped = a;
    a = b;
    b = swapped;
  }
  if (a.coefficient == 0) { /* its zeros cost nothing */
    *out = b;
    return true;
  }
  /* Past 38 places apart and b's last digit not zero, the sum has more than 34 digits. */
  if (b.scale - a.scale > POWER_MAX) strip_towards(&b, a.scale + POWER_MAX);
  if (b.scale - a.scale > POWER_MAX) return false;
  return add_aligned(a, b, b.scale - a.scale, out);
}

bool decimal_sub(Decimal a, Decimal b, Decimal *out) {
  b.coefficient = -b.coefficient;
  return decimal_add(a, b, out);
}

/* -- multiplication and division -- */

bool decimal_mul(Decimal a, Decimal b, Decimal *out) {
  bool minus = (a.coefficient < 0) != (b.coefficient < 0);
  Wide256 product = wide_mul(magnitude(a.coefficient), magnitude(b.coefficient));
  return result_exact(product, a.scale + b.scale, minus, out);
}

/* A quotient that came out even: zeros at the end go, down to the ideal scale. */
static bool quotient_exact(UWide q, int scale, int ideal, bool minus, Decimal *out) {
  for (int step = 16; step > 0; step /= 2) {
    while (scale - step >= ideal && q % powers[step] == 0) {
      q /= powers[step];
      scale -= step;
    }
  }
  return scale >= 0 && result_exact((Wide256){0, q}, scale, minus, out);
}

static bool quotient_rounded(UWide q, int scale, bool minus, Decimal *out) {
  int excess = digit_count(q) - DIGITS;
  if (excess < 0) excess = 0;
  if (scale < excess) return false;
  q = divide_rounded(q, powers[excess], true, ROUND_HALF_EVEN, minus);
  scale -= excess;
  return result_exact((Wide256){0, q}, scale, minus, out); /* 10^34 loses its zero there */
}

/* The quotient to 35 or 36 digits decides everything: it is either exact or rounds on them, as the
** rest of the division is a mark that more follows. */
bool decimal_div(Decimal a, Decimal b, Decimal *out) {
  if (b.coefficient == 0) return false;
  UWide n = magnitude(a.coefficient), divisor = magnitude(b.coefficient), rest;
  bool minus = (a.coefficient < 0) != (b.coefficient < 0);
  int ideal = a.scale - b.scale, shift = DIGITS + 1 - digit_count(n) + digit_count(divisor);
  if (n == 0) shift = 0;
  if (shift > SCALE_MAX + 1 - ideal) shift = SCALE_MAX + 1 - ideal; /* digits too small to keep */
  if (shift < -DIGITS - 1) shift = -DIGITS - 1;
  if (shift < 0) { /* n < 10^34 and what is kept is one place or none */
    *out = (Decimal){0, SCALE_MAX};
    return true;
  }
  Wide256 wide = wide_mul(n, powers[shift > POWER_MAX ? POWER_MAX : shift]);
  if (shift > POWER_MAX) wide = wide_mul_power(wide, shift - POWER_MAX);
  UWide q = wide_div(wide, divisor, &rest).low;
  int scale = ideal + shift;
  if (rest == 0) return quotient_exact(q, scale, ideal > 0 ? ideal : 0, minus, out);
  return quotient_rounded(q, scale, minus, out);
}
