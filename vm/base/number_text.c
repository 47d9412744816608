/* Floats and ints as text and back.
**
** Printing wants the shortest digits that read back the same. A float that is a decimal of at most
** 15 digits, as most are, is found by scaling with exact powers of ten; the rest try 15, 16 and 17
** digits through the C library, whose conversions are exact and correctly rounded. Reading uses one
** exact multiplication or division where the digits and the power fit a double, else strtod on a
** normalised copy of bounded length, so a number of a million digits costs no more than the scan. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include "vm/base/number_scan.h"
#include "vm/base/text.h"

static const double powers_of_ten[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                       1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                       1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
enum { POWERS = COUNT_OF(powers_of_ten) };

/* -- ints -- */

size_t digits_put(char *out, uint64_t n) {
  char text[20], *p = text + sizeof text;
  do *--p = (char)('0' + n % 10);
  while (n /= 10);
  size_t size = (size_t)(text + sizeof text - p);
  memcpy(out, p, size);
  return size;
}

void int_print(int64_t i, Buf *out) {
  char *room = buf_room(out, 20), *p = room;
  if (!room) return;
  if (i < 0) *p++ = '-';
  p += digits_put(p, i < 0 ? 0 - (uint64_t)i : (uint64_t)i);
  out->size += (size_t)(p - room);
}

bool int_parse(Str s, int64_t *out) {
  size_t at = 0;
  bool minus = s.size && s.at[0] == '-';
  if (minus || (s.size && s.at[0] == '+')) at++;
  if (at == s.size) return false;
  uint64_t n = 0, limit = (uint64_t)INT64_MAX + minus;
  for (; at < s.size; at++) {
    unsigned digit = (unsigned)(unsigned char)s.at[at] - '0';
    if (digit > 9 || n > (limit - digit) / 10) return false;
    n = n * 10 + digit;
  }
  *out = minus ? (int64_t)(0 - n) : (int64_t)n;
  return true;
}

/* -- reading floats -- */

static const char *digits_scan(NumberScan *n, const char *p, const char *end, bool fraction) {
  for (; p < end && (unsigned)(unsigned char)*p - '0' <= 9; p++) {
    if (n->count == 0 && *p == '0') { /* leading zeros carry no digits */
      n->exponent -= fraction;
      continue;
    }
    if (n->count < 19) {
      n->mantissa = n->mantissa * 10 + (unsigned)(*p - '0');
      n->exponent -= fraction;
    } else {
      n->exponent += !fraction;
      n->inexact |= *p != '0';
    }
    n->count++;
  }
  return p;
}

static const char *exponent_scan(NumberScan *n, const char *p, const char *end) {
  bool minus = p < end && *p == '-';
  if (p < end && (*p == '-' || *p == '+')) p++;
  const char *first = p;
  int64_t e = 0;
  for (; p < end && (unsigned)(unsigned char)*p - '0' <= 9; p++) {
    if (e < INT64_C(1000000000000)) e = e * 10 + (*p - '0');
  }
  if (p == first) return NULL;
  n->exponent += minus ? -e : e;
  return p;
}

const char *number_scan(const char *p, const char *end, NumberScan *n) {
  *n = (NumberScan){.start = p};
  if (p < end && *p == '-') {
    n->minus = true;
    p++;
  }
  n->digits = p;
  p = digits_scan(n, p, end, false);
  if (p == n->digits) return NULL;
  if (p < end && *p == '.') {
    const char *first = ++p;
    n->fraction = true;
    p = digits_scan(n, p, end, true);
    if (p == first) return NULL;
  }
  n->digits_end = p;
  if (p < end && (*p == 'e' || *p == 'E')) {
    n->fraction = true;
    p = exponent_scan(n, p + 1, end);
  }
  return p;
}

/* More than 19 digits: the first 800 and a mark that more followed decide every rounding. */
static double convert_long(const NumberScan *n) {
  enum { KEPT = 800 };
  char text[KEPT + 32];
  size_t size = 0;
  bool more = false;
  for (const char *p = n->digits; p < n->digits_end; p++) {
    if (*p == '.' || (size == 0 && *p == '0')) continue;
    if (size < KEPT) text[size++] = *p;
    else more |= *p != '0';
  }
  /* n->exponent counts from the 19th digit */
  int64_t exponent = n->exponent - ((int64_t)size - 19);
  if (more) {
    text[size++] = '1';
    exponent--;
  }
  if (exponent > 100000) exponent = 100000;
  if (exponent < -100000) exponent = -100000;
  snprintf(text + size, sizeof text - size, "e%" PRId64, exponent);
  return strtod(text, NULL);
}

static double convert_short(const NumberScan *n) {
  char text[64];
  int64_t exponent = n->exponent > 1000 ? 1000 : n->exponent < -1000 ? -1000 : n->exponent;
  size_t size = digits_put(text, n->mantissa);
  text[size++] = 'e';
  if (exponent < 0) text[size++] = '-';
  size += digits_put(text + size, (uint64_t)(exponent < 0 ? -exponent : exponent));
  text[size] = 0;
  return strtod(text, NULL);
}

bool number_to_double(const NumberScan *n, double *out) {
  double f;
  if (n->mantissa == 0) f = 0;
  else if (n->mantissa <= UINT64_C(1) << 53 && n->exponent >= 0 && n->exponent < POWERS)
    f = (double)n->mantissa * powers_of_ten[n->exponent];
  else if (n->mantissa <= UINT64_C(1) << 53 && n->exponent < 0 && n->exponent > -POWERS)
    f = (double)n->mantissa / powers_of_ten[-n->exponent];
  else if (n->inexact) f = convert_long(n);
  else f = convert_short(n);
  *out = n->minus ? -f : f;
  return !isinf(f);
}

bool float_parse(Str s, double *out) {
  NumberScan n;
  if (str_equal(s, STR("nan"))) *out = NAN;
  else if (str_equal(s, STR("inf"))) *out = INFINITY;
  else if (str_equal(s, STR("-inf"))) *out = -INFINITY;
  else {
    const char *p = s.at, *end = s.at + s.size;
    if (s.size > 1 && p[0] == '+' && p[1] != '-') p++;
    return number_scan(p, end, &n) == end && s.size > 0 && number_to_double(&n, out);
  }
  return true;
}

/* -- printing floats -- */

/* Digits d1 d2 … dn and the point's place: the value is 0.d1d2…dn * 10^point. */
typedef struct Digits {
  char text[24];
  int count, point;
} Digits;

static void digits_trim(Digits *d) {
  while (d->count > 1 && d->text[d->count - 1] == '0') d->count--;
}

/* f = n / 10^k with n of at most 15 digits: decimals so few lie further apart than doubles, so
** the one that reads back as f is the only one. The product is off by a tenth at most, so rounding
** it finds n; the exact division proves it. */
static bool digits_of_simple(double f, Digits *d) {
  if (f >= 1e15 || f < 1e-7) return false;
  int k = 0;
  uint64_t n = (uint64_t)f;
  if ((double)n != f) {
    while (k < POWERS - 1 && f * powers_of_ten[k] < 1e14) k++;
    n = (uint64_t)(f * powers_of_ten[k] + 0.5);
    if ((double)n / powers_of_ten[k] != f || n >= UINT64_C(1000000000000000)) return false;
  }
  d->count = (int)digits_put(d->text, n);
  d->point = d->count - k;
  digits_trim(d);
  return true;
}

static bool digits_read_as(const Digits *d, double f) {
  NumberScan n = {.exponent = d->point - d->count};
  double back;
  for (int i = 0; i < d->count; i++) n.mantissa = n.mantissa * 10 + (unsigned)(d->text[i] - '0');
  return number_to_double(&n, &back) && back == f;
}

static void digits_increment(Digits *d) {
  int i = d->count - 1;
  while (i >= 0 && d->text[i] == '9') d->text[i--] = '0';
  if (i >= 0) {
    d->text[i]++;
  } else {
    d->text[0] = '1';
    d->point++;
  }
}

static void digits_exact(double f, int count, Digits *d) {
  char text[40];
  snprintf(text, sizeof text, "%.*e", count - 1, f);
  d->text[0] = text[0];
  if (count > 1) memcpy(d->text + 1, text + 2, (size_t)(count - 1));
  d->count = count;
  d->point = atoi(strchr(text, 'e') + 1) + 1;
}

/* Below a power of two doubles lie closer together than above it, so the nearest decimal of n
** digits may miss while the next one up reads back. Numbers below the normal range have fewer digits. */
static void digits_of(double f, Digits *d) {
  int mantissa_exponent;
  bool power_of_two = frexp(f, &mantissa_exponent) == 0.5;
  int first = f < 2.3e-308 ? 1 : f < 1e-7 || f >= 1e15 ? 15 : 16; /* between, 15 were tried */
  for (int count = first; count < 17; count++) {
    digits_exact(f, count, d);
    if (digits_read_as(d, f)) return;
    if (!power_of_two) continue;
    digits_increment(d);
    if (digits_read_as(d, f)) return;
  }
  digits_exact(f, 17, d);
}

static void print_plain(const Digits *d, Buf *out) {
  if (d->point <= 0) {
    buf_put(out, "0.0000000", (size_t)(2 - d->point));
    buf_put(out, d->text, (size_t)d->count);
  } else if (d->count <= d->point) {
    buf_put(out, d->text, (size_t)d->count);
    buf_put(out, "0000000000000000", (size_t)(d->point - d->count));
    buf_put(out, ".0", 2);
  } else {
    buf_put(out, d->text, (size_t)d->point);
    buf_byte(out, '.');
    buf_put(out, d->text + d->point, (size_t)(d->count - d->point));
  }
}

static void print_exponent(const Digits *d, Buf *out) {
  buf_put(out, d->text, 1);
  if (d->count > 1) buf_byte(out, '.');
  buf_put(out, d->text + 1, (size_t)(d->count - 1));
  buf_byte(out, 'e');
  int_print(d->point - 1, out);
}

static void print_finite(double f, Buf *out) {
  Digits d;
  if (!digits_of_simple(f, &d)) {
    digits_of(f, &d);
    digits_trim(&d);
  }
  if (d.point > -6 && d.point <= 16) print_plain(&d, out);
  else print_exponent(&d, out);
}

void float_print(double f, Buf *out) {
  if (signbit(f) && !isnan(f)) buf_byte(out, '-');
  f = fabs(f);
  if (isnan(f)) buf_str(out, STR("nan"));
  else if (isinf(f)) buf_str(out, STR("inf"));
  else if (f == 0) buf_str(out, STR("0.0"));
  else print_finite(f, out);
}
