/* Numbers are taken apart into whole numbers and powers of two and ten, so that one
** rounding, at the end, decides. The elementary functions are MPFR's at 53 bits with
** the exponents of binary64. */
#include "vm/base/exact.h"

#include <gmp.h>
#include <mpfr.h>

#include "vm/base/mem.h"

__extension__ typedef unsigned __int128 Wide;
__extension__ typedef __int128 SignedWide;

/* ---- whole parts: exact, without the C library; beyond 2^52 every double is whole ---- */

static double whole_part(double f) {
  return f > -4503599627370496.0 && f < 4503599627370496.0 ? (double)(int64_t)f : f;
}

double float_whole(double f, Rounding rounding) {
  double t = whole_part(f), rest = f - t;
  if (!(rest < 0 || rest > 0)) return f;
  double away = rest > 0 ? t + 1 : t - 1, twice = rest > 0 ? rest * 2 : rest * -2;
  switch (rounding) {
    case ROUND_DOWN: return t;
    case ROUND_UP: return away;
    case ROUND_FLOOR: return rest < 0 ? away : t;
    case ROUND_CEILING: return rest > 0 ? away : t;
    case ROUND_HALF_UP: return twice >= 1 ? away : t;
    case ROUND_HALF_EVEN: return twice > 1 || (twice >= 1 && whole_part(t / 2) * 2 != t) ? away : t;
  }
  return t;
}

/* ---- a number times a power of ten, as a whole number, halves away from zero ---- */

typedef struct Scaled {
  mpz_t whole; /* the magnitude */
  bool negative;
} Scaled;

/* s->whole = round(up * 10^digits / down); up and down are used up. */
static void scaled_set(Scaled *s, mpz_t up, mpz_t down, int digits) {
  mpz_t power;
  mpz_init(power);
  mpz_ui_pow_ui(power, 10, (unsigned long)(digits < 0 ? -digits : digits));
  if (digits < 0) mpz_mul(down, down, power);
  else mpz_mul(up, up, power);
  mpz_mul_2exp(up, up, 1);
  mpz_add(up, up, down);
  mpz_mul_2exp(down, down, 1);
  mpz_fdiv_q(s->whole, up, down);
  mpz_clear(power);
}

/* f = up / down, finite and not negative. */
static void float_ratio(double f, mpz_t up, mpz_t down) {
  uint64_t bits;
  memcpy(&bits, &f, sizeof bits);
  uint64_t mantissa = bits & 0xfffffffffffffu;
  int exponent = (int)(bits >> 52 & 0x7ff);
  if (exponent) mantissa |= (uint64_t)1 << 52;
  else exponent = 1;
  exponent -= 1075;
  mpz_set_ui(up, mantissa);
  mpz_set_ui(down, 1);
  if (exponent < 0) mpz_mul_2exp(down, down, (unsigned long)-exponent);
  else mpz_mul_2exp(up, up, (unsigned long)exponent);
}

static Wide magnitude_of(SignedWide n) { return n < 0 ? -(Wide)n : (Wide)n; }

static void mpz_set_wide(mpz_t out, Wide n) {
  mpz_set_ui(out, (unsigned long)(n >> 64));
  mpz_mul_2exp(out, out, 64);
  mpz_add_ui(out, out, (unsigned long)n);
}

static void scaled_float_init(Scaled *s, double f, int digits) {
  mpz_t up, down;
  mpz_inits(s->whole, up, down, NULL);
  s->negative = f < 0;
  float_ratio(f < 0 ? -f : f, up, down);
  scaled_set(s, up, down, digits);
  mpz_clears(up, down, NULL);
}

static void scaled_decimal_init(Scaled *s, Decimal d, int digits) {
  mpz_t up, down;
  mpz_inits(s->whole, up, down, NULL);
  s->negative = d.coefficient < 0;
  mpz_set_wide(up, magnitude_of(d.coefficient));
  mpz_ui_pow_ui(down, 10, d.scale);
  scaled_set(s, up, down, digits);
  mpz_clears(up, down, NULL);
}

/* Prints it with the point put back, and frees it. */
static void scaled_print(Scaled *s, size_t digits, Buf *out) {
  char *text = mem_alloc(mpz_sizeinbase(s->whole, 10) + 2);
  mpz_get_str(text, 10, s->whole);
  size_t size = strlen(text), lead = size > digits ? size - digits : 0;
  if (s->negative && mpz_sgn(s->whole) != 0) buf_byte(out, '-');
  if (lead) buf_put(out, text, lead);
  else buf_byte(out, '0');
  if (digits) buf_byte(out, '.');
  for (size_t i = size; i < digits; i++) buf_byte(out, '0');
  buf_put(out, text + lead, size - lead);
  mem_free(text);
  mpz_clear(s->whole);
}

void float_print_fixed(double f, uint32_t digits, Buf *out) {
  if (f - f != 0) { /* infinite or nan */
    float_print(f, out);
    return;
  }
  Scaled s;
  scaled_float_init(&s, f, (int)digits);
  scaled_print(&s, digits, out);
}

void decimal_print_fixed(Decimal d, uint32_t digits, Buf *out) {
  Scaled s;
  scaled_decimal_init(&s, d, (int)digits);
  scaled_print(&s, digits, out);
}

void int_print_fixed(int64_t i, uint32_t digits, Buf *out) {
  int_print(i, out);
  if (digits) buf_byte(out, '.');
  for (uint32_t k = 0; k < digits; k++) buf_byte(out, '0');
}

/* ---- rounding to a digit ---- */

typedef struct Exponents {
  mpfr_exp_t low, high;
} Exponents;

/* binary64's range, so that a result is rounded once, to what a double can hold. */
static Exponents exponents_begin(void) {
  Exponents kept = {mpfr_get_emin(), mpfr_get_emax()};
  mpfr_set_emin(-1073);
  mpfr_set_emax(1024);
  return kept;
}

static void exponents_end(Exponents kept) {
  mpfr_set_emin(kept.low);
  mpfr_set_emax(kept.high);
}

static double mpq_to_double(const mpq_t q) {
  MPFR_DECL_INIT(r, 53);
  Exponents kept = exponents_begin();
  mpfr_subnormalize(r, mpfr_set_q(r, q, MPFR_RNDN), MPFR_RNDN);
  double f = mpfr_get_d(r, MPFR_RNDN);
  exponents_end(kept);
  return f;
}

/* The whole number times 10^-digits. */
static double scaled_double(const Scaled *s, int digits) {
  mpq_t q;
  mpq_init(q);
  mpz_ui_pow_ui(mpq_denref(q), 10, (unsigned long)(digits < 0 ? -digits : digits));
  if (digits < 0) {
    mpz_mul(mpq_numref(q), s->whole, mpq_denref(q));
    mpz_set_ui(mpq_denref(q), 1);
  } else {
    mpz_set(mpq_numref(q), s->whole);
    mpq_canonicalize(q);
  }
  double f = mpq_to_double(q);
  mpq_clear(q);
  return f;
}

double float_round_digits(double f, int digits) {
  if (f - f != 0 || (f >= 0 && f <= 0)) return f;
  Scaled s;
  scaled_float_init(&s, f, digits);
  double rounded = scaled_double(&s, digits);
  mpz_clear(s.whole);
  return s.negative ? -rounded : rounded;
}

bool int_round_digits(int64_t i, int digits, int64_t *out) {
  if (digits >= 0) return *out = i, true;
  Scaled s;
  mpz_t power;
  scaled_decimal_init(&s, decimal_from_int(i), digits);
  mpz_init(power);
  mpz_ui_pow_ui(power, 10, (unsigned long)-digits);
  mpz_mul(s.whole, s.whole, power);
  if (s.negative) mpz_neg(s.whole, s.whole);
  bool fits = mpz_fits_slong_p(s.whole) != 0;
  *out = fits ? mpz_get_si(s.whole) : 0;
  mpz_clears(s.whole, power, NULL);
  return fits;
}

/* ---- quotients ---- */

/* Whether a quotient's magnitude goes up; `half` compares the remainder, which is not 0, with one half. */
static bool goes_up(Rounding rounding, bool negative, bool odd, int half) {
  switch (rounding) {
    case ROUND_HALF_EVEN: return half > 0 || (half == 0 && odd);
    case ROUND_HALF_UP: return half >= 0;
    case ROUND_DOWN: return false;
    case ROUND_UP: return true;
    case ROUND_FLOOR: return negative;
    case ROUND_CEILING: return !negative;
  }
  return false;
}

/* whole < 10^digits: mpz_sizeinbase may be one too large. */
static bool below_power(const mpz_t whole, unsigned long digits) {
  mpz_t power;
  mpz_init(power);
  mpz_ui_pow_ui(power, 10, digits);
  bool below = mpz_cmp(whole, power) < 0;
  mpz_clear(power);
  return below;
}

static bool mpz_to_decimal(const mpz_t whole, bool negative, uint16_t scale, Decimal *out) {
  uint64_t word[2] = {0, 0};
  if (mpz_sizeinbase(whole, 10) > 34 && !below_power(whole, 34)) return false;
  mpz_export(word, NULL, -1, sizeof word[0], 0, 0, whole);
  SignedWide n = (SignedWide)((Wide)word[1] << 64 | word[0]);
  *out = (Decimal){negative ? -n : n, scale};
  return true;
}

bool decimal_quotient(Decimal a, Decimal b, uint16_t scale, Rounding rounding, Decimal *out) {
  mpz_t up, down, rest;
  mpz_inits(up, down, rest, NULL);
  mpz_set_wide(up, magnitude_of(a.coefficient));
  mpz_set_wide(down, magnitude_of(b.coefficient));
  int shift = scale + b.scale - a.scale;
  mpz_ui_pow_ui(rest, 10, (unsigned long)(shift < 0 ? -shift : shift));
  if (shift < 0) mpz_mul(down, down, rest);
  else mpz_mul(up, up, rest);
  mpz_fdiv_qr(up, rest, up, down);
  bool negative = (a.coefficient < 0) != (b.coefficient < 0), exact = mpz_sgn(rest) == 0;
  mpz_mul_2exp(rest, rest, 1);
  if (!exact && goes_up(rounding, negative, mpz_odd_p(up), mpz_cmp(rest, down)))
    mpz_add_ui(up, up, 1);
  bool ok = mpz_to_decimal(up, negative, scale, out);
  mpz_clears(up, down, rest, NULL);
  return ok;
}

/* ---- elementary functions ---- */

typedef int Elementary(mpfr_ptr out, mpfr_srcptr x, mpfr_rnd_t rounding);
typedef int Elementary2(mpfr_ptr out, mpfr_srcptr x, mpfr_srcptr y, mpfr_rnd_t rounding);

double math_apply(MathFn fn, double x) {
  static Elementary *const functions[] = {
      [MATH_CBRT] = mpfr_cbrt, [MATH_EXP] = mpfr_exp,     [MATH_LOG] = mpfr_log,
      [MATH_LOG2] = mpfr_log2, [MATH_LOG10] = mpfr_log10, [MATH_SIN] = mpfr_sin,
      [MATH_COS] = mpfr_cos,   [MATH_TAN] = mpfr_tan,     [MATH_ASIN] = mpfr_asin,
      [MATH_ACOS] = mpfr_acos, [MATH_ATAN] = mpfr_atan,   [MATH_SINH] = mpfr_sinh,
      [MATH_COSH] = mpfr_cosh, [MATH_TANH] = mpfr_tanh,   [MATH_SQRT] = mpfr_sqrt,
  };
  MPFR_DECL_INIT(in, 53);
  MPFR_DECL_INIT(out, 53);
  Exponents kept = exponents_begin();
  mpfr_set_d(in, x, MPFR_RNDN);
  mpfr_subnormalize(out, functions[fn](out, in, MPFR_RNDN), MPFR_RNDN);
  double f = mpfr_get_d(out, MPFR_RNDN);
  exponents_end(kept);
  return f;
}

double math_apply2(MathFn2 fn, double x, double y) {
  static Elementary2 *const functions[] = {
      [MATH_POW] = mpfr_pow, [MATH_ATAN2] = mpfr_atan2, [MATH_HYPOT] = mpfr_hypot};
  MPFR_DECL_INIT(a, 53);
  MPFR_DECL_INIT(b, 53);
  MPFR_DECL_INIT(out, 53);
  Exponents kept = exponents_begin();
  mpfr_set_d(a, x, MPFR_RNDN);
  mpfr_set_d(b, y, MPFR_RNDN);
  mpfr_subnormalize(out, functions[fn](out, a, b, MPFR_RNDN), MPFR_RNDN);
  double f = mpfr_get_d(out, MPFR_RNDN);
  exponents_end(kept);
  return f;
}
