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

/* q has 34 or 35 digits, or fewer at the last place there is; rest / divisor follows it. */
static bool quotient_rounded(UWide q, UWide rest, UWide divisor, int scale, bool minus,
                             Decimal *out) {
  if (q >= powers[DIGITS]) {
    q = divide_rounded(q, 10, rest != 0, ROUND_HALF_EVEN, minus);
    scale--;
  } else {
    UWide other = divisor - rest;
    q += rest > other || (rest == other && (q & 1));
  }
  return scale >= 0 && result_exact((Wide256){0, q}, scale, minus, out); /* 10^34 loses a zero there */
}

/* n * 10^shift where that has at most 76 digits. */
static Wide256 scaled_up(UWide n, int shift) {
  int first = POWER_MAX - digit_count(n);
  if (first > shift) first = shift;
  return wide_mul(n * powers[first], powers[shift - first]);
}

bool decimal_div(Decimal a, Decimal b, Decimal *out) {
  if (b.coefficient == 0) return false;
  UWide n = magnitude(a.coefficient), divisor = magnitude(b.coefficient), rest;
  bool minus = (a.coefficient < 0) != (b.coefficient < 0);
  int ideal = a.scale - b.scale, shift = DIGITS - digit_count(n) + digit_count(divisor);
  if (shift > SCALE_MAX - ideal) shift = SCALE_MAX - ideal;
  if (n == 0) return result_exact((Wide256){0, 0}, ideal > 0 ? ideal : 0, false, out);
  UWide q = wide_div(scaled_up(n, shift), divisor, &rest).low;
  int scale = ideal + shift;
  if (rest == 0 && quotient_exact(q, scale, ideal > 0 ? ideal : 0, minus, out)) return true;
  return quotient_rounded(q, rest, divisor, scale, minus, out);
}

/* Magnitudes brought to one scale and divided: the whole quotient and what is left at that scale. */
typedef struct Division {
  UWide quotient;
  Wide256 rest, divisor;
  int scale;
  bool long_quotient; /* more than 34 digits: quotient is not known */
} Division;

/* The dividend has the smaller scale: its digits come down up to 34 at a time, as on paper. */
static Division divide_long(UWide n, UWide divisor, int shift) {
  Division d = {.quotient = n / divisor, .divisor = {0, divisor}};
  UWide rest = n % divisor;
  while (shift > 0) {
    int step = shift < DIGITS ? shift : DIGITS;
    Wide256 part = wide_div(wide_mul(rest, powers[step]), divisor, &rest);
    Wide256 whole = wide_add(wide_mul(d.quotient, powers[step]), part);
    d.long_quotient |= whole.high != 0 || whole.low >= powers[DIGITS];
    d.quotient = d.long_quotient ? 0 : whole.low;
    shift -= step;
  }
  d.rest.low = rest;
  return d;
}

/* The divisor has the smaller scale, or the same one. Past 38 places it is larger than any dividend, and
** whatever is taken from it has more than 34 digits, so any number that long may stand for it. */
static Division divide_short(UWide n, UWide divisor, int shift) {
  Division d = {.rest = {0, n}, .divisor = {(UWide)1 << 127, 0}};
  if (shift > POWER_MAX) return d;
  d.divisor = wide_mul(divisor, powers[shift]);
  if (d.divisor.high || d.divisor.low > n) return d;
  d.quotient = n / d.divisor.low;
  d.rest.low = n % d.divisor.low;
  return d;
}

/* Floored: toward minus infinity, the rest has the divisor's sign. */
static Division divide_floored(Decimal a, Decimal b) {
  bool opposite = a.coefficient != 0 && (a.coefficient < 0) != (b.coefficient < 0);
  if (opposite && a.scale - b.scale > POWER_MAX) strip_towards(&a, b.scale + POWER_MAX);
  UWide n = magnitude(a.coefficient), divisor = magnitude(b.coefficient);
  Division d = a.scale < b.scale ? divide_long(n, divisor, b.scale - a.scale)
                                 : divide_short(n, divisor, a.scale - b.scale);
  d.scale = a.scale > b.scale ? a.scale : b.scale;
  if (opposite && !wide_is_zero(d.rest)) {
    d.quotient++;
    d.rest = wide_sub(d.divisor, d.rest);
  }
  return d;
}

bool decimal_idiv(Decimal a, Decimal b, Decimal *out) {
  if (b.coefficient == 0) return false;
  Division d = divide_floored(a, b);
  bool minus = (a.coefficient < 0) != (b.coefficient < 0);
  return !d.long_quotient && result_exact((Wide256){0, d.quotient}, 0, minus, out);
}

bool decimal_mod(Decimal a, Decimal b, Decimal *out) {
  if (b.coefficient == 0) return false;
  Division d = divide_floored(a, b);
  return result_exact(d.rest, d.scale, b.coefficient < 0, out);
}

/* -- comparison -- */

static int compare_magnitude(Decimal a, Decimal b) {
  UWide x = magnitude(a.coefficient), y = magnitude(b.coefficient);
  if (x == 0 || y == 0) return (x != 0) - (y != 0);
  int point_a = digit_count(x) - a.scale, point_b = digit_count(y) - b.scale;
  if (point_a != point_b) return point_a < point_b ? -1 : 1;
  int shift = a.scale - b.scale; /* below 34, as the points agree */
  Wide256 wide_x = wide_mul(x, powers[shift < 0 ? -shift : 0]);
  Wide256 wide_y = wide_mul(y, powers[shift > 0 ? shift : 0]);
  return wide_compare(wide_x, wide_y);
}

static int sign_of(Wide n) { return (n > 0) - (n < 0); }

int decimal_compare(Decimal a, Decimal b) {
  int sign = sign_of(a.coefficient), other = sign_of(b.coefficient);
  if (sign != other) return sign < other ? -1 : 1;
  return sign * compare_magnitude(a, b);
}

/* The digits of a number without zeros at either end, and where its point is: 0.DIGITS * 10^point. */
typedef struct Plain {
  const char *digits;
  int count, point;
} Plain;

static int compare_plain(Plain a, Plain b) {
  if (a.point != b.point) return a.point < b.point ? -1 : 1;
  int order = memcmp(a.digits, b.digits, (size_t)(a.count < b.count ? a.count : b.count));
  return order ? order : a.count - b.count;
}

static int strip_zeros(const char *digits, int count) {
  while (count > 1 && digits[count - 1] == '0') count--;
  return count;
}

static int digits_of_wide(UWide n, char out[40]) {
  int count = digit_count(n);
  for (int i = count - 1; i >= 0; i--, n /= 10) out[i] = (char)('0' + (int)(n % 10));
  return count;
}

/* A double has at most 767 digits, so this prints all of them and the order is exact. */
static int compare_exactly(Decimal a, double f) {
  enum { ALL = 780 };
  char text[ALL + 16], digits[40];
  int count = digits_of_wide(magnitude(a.coefficient), digits);
  Plain mine = {digits, strip_zeros(digits, count), count - a.scale};
  snprintf(text, sizeof text, "%.*e", ALL, f);
  int64_t exponent = 0;
  const char *mark = strchr(text, 'e');
  int_parse(str_of(mark + 1), &exponent);
  text[1] = text[0]; /* over the point */
  Plain theirs = {text + 1, strip_zeros(text + 1, ALL + 1), (int)exponent + 1};
  return compare_plain(mine, theirs);
}

/* Rounding to a double keeps order, so it decides unless both become the same double. */
int decimal_compare_float(Decimal a, double f, bool *ordered) {
  *ordered = !isnan(f);
  if (!*ordered) return 0;
  double near = decimal_to_float(a);
  if (near != f) return near < f ? -1 : 1;
  if (a.coefficient == 0 || f == 0) return sign_of(a.coefficient);
  int order = compare_exactly(a, fabs(f));
  order = (order > 0) - (order < 0);
  return f < 0 ? -order : order;
}

/* -- to and from other numbers -- */

Decimal decimal_from_int(int64_t i) { return (Decimal){i, 0}; }

bool decimal_to_int(Decimal d, int64_t *out) {
  strip_towards(&d, 0);
  bool fits = (d.scale == 0 || d.coefficient == 0) && d.coefficient >= INT64_MIN &&
              d.coefficient <= INT64_MAX;
  if (fits) *out = (int64_t)d.coefficient;
  return fits;
}

double decimal_to_float(Decimal d) {
  char text[64];
  double f = 0;
  size_t size = 0;
  if (d.coefficient == 0) return 0;
  if (d.coefficient < 0) text[size++] = '-';
  size += (size_t)digits_of_wide(magnitude(d.coefficient), text + size);
  text[size++] = 'e';
  text[size++] = '-';
  size += digits_put(text + size, d.scale);
  bool read = float_parse((Str){text, size}, &f);
  ASSERT(read);
  return f;
}

bool decimal_round(Decimal d, uint16_t scale, Rounding rounding, Decimal *out) {
  *out = d;
  if (scale >= d.scale) { /* zeros are added, as far as there is room */
    int room = DIGITS - digit_count(magnitude(d.coefficient)), more = scale - d.scale;
    if (more > room) more = room;
    if (more > SCALE_MAX - d.scale) more = SCALE_MAX - d.scale;
    out->coefficient *= (Wide)powers[more];
    out->scale = (uint16_t)(d.scale + more);
    return true;
  }
  bool minus = d.coefficient < 0;
  UWide n = magnitude(d.coefficient);
  int drop = d.scale - scale;
  if (drop > POWER_MAX) drop = POWER_MAX; /* n is less than a tenth of it either way */
  UWide rounded = divide_rounded(n, powers[drop], false, rounding, minus);
  *out = (Decimal){with_sign(rounded, minus), scale};
  return true;
}

/* -- text -- */

/* Digits with at most one point; zeros past the 34th digit behind the point are let go. */
static const char *scan_digits(const char *p, const char *end, UWide *n, int64_t *scale) {
  bool point = false, any = false;
  for (; p < end; p++) {
    unsigned digit = (unsigned)(unsigned char)*p - '0';
    if (*p == '.' && !point && any && p + 1 < end && (unsigned)(unsigned char)p[1] - '0' <= 9) {
      point = true;
      continue;
    }
    if (digit > 9) break;
    any = true;
    if (*n >= powers[DIGITS - 1]) {
      if (digit != 0) return NULL;
      *scale -= !point;
    } else {
      *n = *n * 10 + digit;
      *scale += point;
    }
  }
  return any ? p : NULL;
}

static bool scan_exponent(Str s, int64_t *scale) {
  int64_t exponent;
  if (s.size == 0) return true;
  if (s.at[0] != 'e' && s.at[0] != 'E') return false;
  if (!int_parse((Str){s.at + 1, s.size - 1}, &exponent)) return false;
  if (exponent > 100000 || exponent < -100000) return false;
  *scale -= exponent;
  return true;
}

bool decimal_parse(Str s, Decimal *out) {
  const char *p = s.at, *end = s.at + s.size;
  bool minus = s.size && *p == '-';
  UWide n = 0;
  int64_t scale = 0;
  if (s.size && (*p == '-' || *p == '+')) p++;
  if (s.size == 0 || !(p = scan_digits(p, end, &n, &scale))) return false;
  if (!scan_exponent((Str){p, (size_t)(end - p)}, &scale)) return false;
  if (n == 0 && scale < 0) scale = 0;
  if (scale < -DIGITS || scale > SCALE_MAX + DIGITS) return false;
  if (scale >= 0) return result_exact((Wide256){0, n}, (int)scale, minus, out);
  return result_exact(wide_mul(n, powers[-scale]), 0, minus, out);
}

static void put_zeros(Buf *out, int count) {
  for (; count > 0; count -= 16)
    buf_put(out, "0000000000000000", (size_t)(count < 16 ? count : 16));
}

void decimal_print(Decimal d, Buf *out) {
  char digits[40];
  int count = digits_of_wide(magnitude(d.coefficient), digits), whole = count - d.scale;
  if (d.coefficient < 0) buf_byte(out, '-');
  if (whole > 0) buf_put(out, digits, (size_t)whole);
  else buf_byte(out, '0');
  if (d.scale == 0) return;
  buf_byte(out, '.');
  if (whole < 0) put_zeros(out, -whole);
  buf_put(out, digits + (whole > 0 ? whole : 0), (size_t)(whole > 0 ? d.scale : count));
}
