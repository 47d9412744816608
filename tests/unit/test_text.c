/* Text of values: floats, ints, decimals, times, durations, UTF-8, codecs. */
#include "test.h"
#include "vm/base/text.h"

#define SAME(buf, want) do { CHECK_STR(buf_view(buf), str_of(want)); buf_clear(buf); } while (0)

/* -- numbers -- */

static const struct {
  double f;
  const char *text;
} floats[] = {
    {0.0, "0.0"}, {-0.0, "-0.0"}, {1.0, "1.0"}, {-1.0, "-1.0"}, {0.1, "0.1"}, {0.2, "0.2"}, {0.1 + 0.2, "0.30000000000000004"},
    {1.5, "1.5"}, {100.0, "100.0"}, {123456.789, "123456.789"}, {1e15, "1000000000000000.0"}, {1e-6, "0.000001"},
    {1.5e-6, "0.0000015"}, {9.999e-7, "9.999e-7"}, {1e-7, "1e-7"}, {1.5e-7, "1.5e-7"}, {1e16, "1e16"}, {1e22, "1e22"},
    {1e23, "1e23"}, {1.2345e300, "1.2345e300"}, {9007199254740993.0, "9007199254740992.0"},
    {9999999999999998.0, "9999999999999998.0"}, {123456789012345.6, "123456789012345.6"},
    {5e-324, "5e-324"}, {1.7976931348623157e308, "1.7976931348623157e308"}, {2.2250738585072014e-308, "2.2250738585072014e-308"},
    {2.225073858507201e-308, "2.225073858507201e-308"}, {1.0 / 3, "0.3333333333333333"}, {2.0 / 3, "0.6666666666666666"},
    {3.141592653589793, "3.141592653589793"}, {0x1p-44, "5.684341886080802e-14"}, {0x1p-1022, "2.2250738585072014e-308"},
    {9.5367431640625e-07, "9.5367431640625e-7"}, {4.35, "4.35"}, {0.3, "0.3"}, {299792458.0, "299792458.0"},
    {6.02214076e23, "6.02214076e23"}, {-1.25e-9, "-1.25e-9"}, {0x1p70, "1.1805916207174113e21"}, {1e21, "1e21"},
};

static void float_text(void) {
  Buf out = {0};
  for (size_t i = 0; i < COUNT_OF(floats); i++) {
    double back = 1;
    float_print(floats[i].f, &out);
    CHECK(float_parse(buf_view(&out), &back) && memcmp(&back, &floats[i].f, sizeof back) == 0);
    SAME(&out, floats[i].text);
  }
  double infinity = 1e308 * 10, f;
  float_print(infinity, &out);
  SAME(&out, "inf");
  float_print(-infinity, &out);
  SAME(&out, "-inf");
  float_print(infinity - infinity, &out);
  SAME(&out, "nan");
  CHECK(float_parse(STR("inf"), &f) && f == infinity);
  CHECK(float_parse(STR("-inf"), &f) && f == -infinity);
  CHECK(float_parse(STR("nan"), &f) && f != f);
  buf_deinit(&out);
}

/* Random bit patterns, and decimals of few digits, read back as they were. */
static void float_round_trips(void) {
  Buf out = {0};
  uint64_t state = 88172645463325252u;
  for (int i = 0; i < 20000; i++) {
    double f, back;
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    memcpy(&f, &state, sizeof f);
    if (i % 2) f = (double)(state >> 40) / 1000;
    if (f - f != 0) continue;
    float_print(f, &out);
    CHECK(float_parse(buf_view(&out), &back) && back == f);
    buf_clear(&out);
  }
  buf_deinit(&out);
}

static const struct {
  const char *text;
  double f;
} reads[] = {
    {"1", 1}, {"+1", 1}, {"007", 7}, {"1e5", 1e5}, {"1E+05", 1e5}, {"0e999999", 0}, {"1e-400", 0}, {"-1e-400", -0.0},
    {"9007199254740993", 9007199254740992.0}, {"9007199254740993.0000000000000000000000000001", 9007199254740994.0},
    {"9007199254740992.99999999999999999999999", 9007199254740992.0}, {"2.47e-324", 0}, {"2.4703282292062328e-324", 5e-324},
    {"2.4703282292062327e-324", 0}, {"179769313486231580793728971405301e276", 1.7976931348623157e308},
    {"0.000000000000000000000000000000000000001e39", 1}, {"100000000000000000000000000000000000000e-38", 1},
    {"1.00000000000000011102230246251565404236316680908203125", 1}, /* just half way: to even */
    {"1.00000000000000011102230246251565404236316680908203126", 1.0000000000000002},
    {"1.00000000000000011102230246251565404236316680908203124", 1}, {"123456789012345678901234567890", 123456789012345678901234567890.0},
};
static const char *const no_floats[] = {
    "", "+", "-", ".", "1.", ".5", "1e", "1e+", "e5", "1.5.", "1 ", " 1", "1_0", "0x10", "1f", "NaN", "Inf", "infinity", "+inf",
    "--1", "+-1", "1e400", "-1e400", "1.8e308", "1,5", "1e5.", "\xd9\xa1",
};

static void float_reading(void) {
  double f;
  for (size_t i = 0; i < COUNT_OF(reads); i++) {
    f = 99;
    CHECK(float_parse(str_of(reads[i].text), &f) && memcmp(&f, &reads[i].f, sizeof f) == 0);
  }
  for (size_t i = 0; i < COUNT_OF(no_floats); i++) {
    bool ok = float_parse(str_of(no_floats[i]), &f);
    if (ok) fprintf(stderr, "should not be a float: %s\n", no_floats[i]);
    CHECK(!ok);
  }
  Buf text = {0}; /* half way, told apart by the ten-thousandth digit */
  buf_text(&text, "1.00000000000000011102230246251565404236316680908203125");
  for (int i = 0; i < 10000; i++) buf_byte(&text, '0');
  CHECK(float_parse(buf_view(&text), &f) && f == 1);
  buf_byte(&text, '1');
  CHECK(float_parse(buf_view(&text), &f) && f > 1);
  buf_deinit(&text);
}

static void int_text(void) {
  Buf out = {0};
  int64_t i;
  const int64_t some[] = {0, 1, -1, 9, 10, 12345678901, INT64_MAX, INT64_MIN};
  for (size_t k = 0; k < COUNT_OF(some); k++) {
    int_print(some[k], &out);
    CHECK(int_parse(buf_view(&out), &i) && i == some[k]);
    buf_clear(&out);
  }
  int_print(INT64_MIN, &out);
  SAME(&out, "-9223372036854775808");
  CHECK(int_parse(STR("+7"), &i) && i == 7);
  CHECK(int_parse(STR("00012"), &i) && i == 12);
  CHECK(int_parse(STR("-0"), &i) && i == 0);
  CHECK(!int_parse(STR("9223372036854775808"), &i) && !int_parse(STR("-9223372036854775809"), &i));
  CHECK(!int_parse(STR(""), &i) && !int_parse(STR("-"), &i) && !int_parse(STR("1.0"), &i) && !int_parse(STR("1 "), &i));
  CHECK(!int_parse(STR("99999999999999999999999"), &i));
  buf_deinit(&out);
}

/* -- decimals -- */

static Decimal dec(const char *text) {
  Decimal d = {0};
  CHECK(decimal_parse(str_of(text), &d));
  return d;
}

typedef bool DecimalOp(Decimal, Decimal, Decimal *);

static const struct {
  DecimalOp *op;
  const char *a, *b, *want; /* NULL: refused */
} decimal_cases[] = {
    {decimal_add, "1.20", "2.3", "3.50"}, {decimal_add, "1", "-1.00", "0.00"}, {decimal_add, "0.1", "0.2", "0.3"},
    {decimal_add, "-5", "3", "-2"}, {decimal_add, "9999999999999999999999999999999999", "1", NULL},
    {decimal_add, "9999999999999999999999999999999999", "0.0", "9999999999999999999999999999999999"},
    {decimal_add, "999999999999999999999999999999999.9", "0.1", "1000000000000000000000000000000000"},
    {decimal_add, "1e30", "0.00001", NULL}, {decimal_add, "1e30", "0.001", "1000000000000000000000000000000.001"},
    {decimal_add, "1", "1e-100", NULL}, {decimal_add, "0", "1e-40", "0.0000000000000000000000000000000000000001"}, {decimal_sub, "1.20", "1.2", "0.00"},
    {decimal_sub, "1", "0.9", "0.1"}, {decimal_sub, "0", "9999999999999999999999999999999999", "-9999999999999999999999999999999999"},
    {decimal_mul, "12.50", "3.00", "37.5000"}, {decimal_mul, "-0.5", "0.5", "-0.25"}, {decimal_mul, "0", "-5.0", "0.0"},
    {decimal_mul, "1e20", "1e13", "1000000000000000000000000000000000"}, {decimal_mul, "1e20", "1e14", NULL},
    {decimal_mul, "1234567890123456789.01", "1234567890123456789.01", NULL},
    {decimal_mul, "5e-20", "2000000000000000000000", "100.00000000000000000000"},
    {decimal_div, "10.00", "4", "2.50"}, {decimal_div, "1", "4", "0.25"}, {decimal_div, "10", "2.00", "5"}, {decimal_div, "6.0", "2.0", "3"},
    {decimal_div, "1", "3", "0.3333333333333333333333333333333333"}, {decimal_div, "2", "3", "0.6666666666666666666666666666666667"},
    {decimal_div, "-2", "3", "-0.6666666666666666666666666666666667"}, {decimal_div, "1", "0", NULL}, {decimal_div, "0", "5.0", "0"},
    {decimal_div, "0.000", "5.0", "0.00"}, {decimal_div, "1", "8", "0.125"}, {decimal_div, "100", "7", "14.28571428571428571428571428571429"},
    {decimal_div, "1e33", "0.1", NULL}, {decimal_div, "9999999999999999999999999999999999", "3", "3333333333333333333333333333333333"},
    {decimal_div, "9999999999999999999999999999999999", "2", "5000000000000000000000000000000000"}, /* half to even */
    {decimal_idiv, "7", "2", "3"}, {decimal_idiv, "-7", "2", "-4"}, {decimal_idiv, "7", "-2", "-4"}, {decimal_idiv, "-7", "-2", "3"},
    {decimal_idiv, "7.5", "0.2", "37"}, {decimal_idiv, "1", "0", NULL}, {decimal_idiv, "1e33", "0.01", NULL}, {decimal_idiv, "0.001", "5", "0"},
    {decimal_mod, "7", "2", "1"}, {decimal_mod, "-7", "2", "1"}, {decimal_mod, "7", "-2", "-1"}, {decimal_mod, "-7", "-2", "-1"},
    {decimal_mod, "7.5", "0.2", "0.1"}, {decimal_mod, "-7.5", "0.2", "0.1"}, {decimal_mod, "5", "2.50", "0.00"}, {decimal_mod, "1", "0", NULL},
    {decimal_mod, "1e33", "0.03", "0.01"}, {decimal_mod, "0.001", "5", "0.001"}, {decimal_mod, "-1e-60", "5", NULL},
};

static void decimal_arithmetic(void) {
  Buf out = {0};
  for (size_t i = 0; i < COUNT_OF(decimal_cases); i++) {
    Decimal d;
    bool ok = decimal_cases[i].op(dec(decimal_cases[i].a), dec(decimal_cases[i].b), &d);
    if (!ok) buf_text(&out, "refused");
    else decimal_print(d, &out);
    SAME(&out, decimal_cases[i].want ? decimal_cases[i].want : "refused");
  }
  buf_deinit(&out);
}

static const struct {
  const char *text, *want; /* NULL: refused */
} decimal_texts[] = {
    {"0", "0"}, {"-0", "0"}, {"0.00", "0.00"}, {"12.50", "12.50"}, {"+1", "1"}, {"007", "7"}, {"1e3", "1000"}, {"1.5e3", "1500"},
    {"1.5e-3", "0.0015"}, {"-.5", NULL}, {"5.", NULL}, {"", NULL}, {"-", NULL}, {"1e", NULL}, {"1e+", NULL}, {"1.2.3", NULL}, {"abc", NULL},
    {"1 ", NULL}, {"1e40", NULL}, {"1e33", "1000000000000000000000000000000000"}, {"1e34", NULL}, {"0e99", "0"}, {"0e-3", "0.000"},
    {"9999999999999999999999999999999999", "9999999999999999999999999999999999"}, {"10000000000000000000000000000000000", NULL},
    {"1.0000000000000000000000000000000000000000", "1.000000000000000000000000000000000"}, {"1.00000000000000000000000000000000001", NULL},
    {"0.00000000000000000000000000000000000000000001", "0.00000000000000000000000000000000000000000001"}, {"1e-7000", NULL},
    {"1e99999999999999999999", NULL}, {"0.1", "0.1"}, {"-0.05", "-0.05"}, {"1\0", "1"},
};

static void decimal_text(void) {
  Buf out = {0};
  for (size_t i = 0; i < COUNT_OF(decimal_texts); i++) {
    Decimal d;
    if (decimal_parse(str_of(decimal_texts[i].text), &d)) decimal_print(d, &out);
    else buf_text(&out, "refused");
    SAME(&out, decimal_texts[i].want ? decimal_texts[i].want : "refused");
  }
  buf_deinit(&out);
}

static const struct {
  const char *number;
  uint16_t scale;
  const char *want[6]; /* half even, half up, down, up, floor, ceiling */
} rounds[] = {
    {"2.5", 0, {"2", "3", "2", "3", "2", "3"}}, {"-2.5", 0, {"-2", "-3", "-2", "-3", "-3", "-2"}}, {"3.5", 0, {"4", "4", "3", "4", "3", "4"}},
    {"2.51", 0, {"3", "3", "2", "3", "2", "3"}}, {"2.499", 0, {"2", "2", "2", "3", "2", "3"}}, {"1.005", 2, {"1.00", "1.01", "1.00", "1.01", "1.00", "1.01"}},
    {"-0.001", 0, {"0", "0", "0", "-1", "-1", "0"}}, {"1.5", 3, {"1.500", "1.500", "1.500", "1.500", "1.500", "1.500"}}, {"7", 0, {"7", "7", "7", "7", "7", "7"}},
    {"9.999", 2, {"10.00", "10.00", "9.99", "10.00", "9.99", "10.00"}}, {"1e-60", 2, {"0.00", "0.00", "0.00", "0.01", "0.00", "0.01"}},
};

static void decimal_rounding(void) {
  Buf out = {0};
  for (size_t i = 0; i < COUNT_OF(rounds); i++) {
    for (int mode = ROUND_HALF_EVEN; mode <= ROUND_CEILING; mode++) {
      Decimal d;
      CHECK(decimal_round(dec(rounds[i].number), rounds[i].scale, (Rounding)mode, &d));
      decimal_print(d, &out);
      SAME(&out, rounds[i].want[mode]);
    }
  }
  buf_deinit(&out);
}

static void decimal_comparing(void) {
  bool ordered;
  int64_t i;
  CHECK(decimal_compare(dec("1.0"), dec("1.00")) == 0 && decimal_compare(dec("1"), dec("1.01")) < 0);
  CHECK(decimal_compare(dec("-1"), dec("0.5")) < 0 && decimal_compare(dec("-1"), dec("-2")) > 0);
  CHECK(decimal_compare(dec("1e33"), dec("1e-6000")) > 0 && decimal_compare(dec("0"), dec("0.000")) == 0);
  CHECK(decimal_compare_float(dec("0.1"), 0.1, &ordered) < 0 && ordered); /* 0.1 as a double is a little more */
  CHECK(decimal_compare_float(dec("0.3"), 0.3, &ordered) > 0);
  CHECK(decimal_compare_float(dec("-0.1"), -0.1, &ordered) > 0);
  CHECK(decimal_compare_float(dec("0.50"), 0.5, &ordered) == 0);
  CHECK(decimal_compare_float(dec("0"), -0.0, &ordered) == 0);
  CHECK(decimal_compare_float(dec("9007199254740993"), 9007199254740992.0, &ordered) > 0);
  CHECK(decimal_compare_float(dec("1"), 1e308 * 10, &ordered) < 0 && ordered);
  CHECK(decimal_compare_float(dec("1"), 1e308 * 10 - 1e308 * 10, &ordered) == 0 && !ordered);
  CHECK(decimal_compare_float(dec("1e-6000"), 0, &ordered) > 0);
  CHECK(decimal_to_int(dec("12.00"), &i) && i == 12);
  CHECK(!decimal_to_int(dec("12.5"), &i) && !decimal_to_int(dec("9223372036854775808"), &i));
  CHECK(decimal_to_int(dec("-9223372036854775808"), &i) && i == INT64_MIN);
  CHECK(decimal_to_float(dec("0.1")) == 0.1 && decimal_to_float(dec("-12.50")) == -12.5 && decimal_to_float(dec("0.0")) == 0);
  CHECK(decimal_compare(decimal_from_int(INT64_MIN), dec("-9223372036854775808")) == 0);
}

/* -- times and durations -- */

static const struct {
  const char *text;
  int64_t us;
  const char *back; /* NULL: as the text */
} times[] = {
    {"1970-01-01T00:00:00Z", 0, NULL}, {"1970-01-01", 0, "1970-01-01T00:00:00Z"}, {"2026-11-20T14:05:00Z", 1795183500000000, NULL},
    {"1969-12-31T23:59:59.999999Z", -1, NULL}, {"0001-01-01T00:00:00Z", -62135596800000000, NULL},
    {"9999-12-31T23:59:59.999999Z", 253402300799999999, NULL}, {"2000-02-29T12:00:00.500Z", 951825600500000, NULL},
    {"2000-02-29T12:00:00.5Z", 951825600500000, "2000-02-29T12:00:00.500Z"}, {"2000-02-29t12:00:00z", 951825600000000, "2000-02-29T12:00:00Z"},
    {"2000-02-29 12:00:00Z", 951825600000000, "2000-02-29T12:00:00Z"}, {"2026-01-01T00:30:00+01:00", 1767223800000000, "2025-12-31T23:30:00Z"},
    {"2025-12-31T18:00:00-05:30", 1767223800000000, "2025-12-31T23:30:00Z"}, {"2026-01-01T00:00:00-00:00", 1767225600000000, "2026-01-01T00:00:00Z"},
    {"2016-12-31T23:59:60Z", 1483228800000000, "2017-01-01T00:00:00Z"}, {"2017-01-01T00:59:60+01:00", 1483228800000000, "2017-01-01T00:00:00Z"},
    {"1900-03-01T00:00:00Z", -2203891200000000, NULL}, {"2000-02-29T12:00:00.1234567891Z", 951825600123456, "2000-02-29T12:00:00.123456Z"},
};
static const char *const no_times[] = {
    "", "2026", "2026-13-01", "2026-00-01", "2026-02-29", "1900-02-29", "2026-04-31", "2026-01-00", "0000-01-01", "2026-1-1", "26-01-01",
    "2026-01-01T", "2026-01-01T00:00", "2026-01-01T00:00:00", "2026-01-01T24:00:00Z", "2026-01-01T00:60:00Z", "2026-01-01T00:00:61Z",
    "2026-01-01T12:00:60Z", "2026-01-01T00:00:00.Z", "2026-01-01T00:00:00+1:00", "2026-01-01T00:00:00+24:00", "2026-01-01T00:00:00+0100",
    "2026-01-01T00:00:00ZZ", "2026-01-01T00:00:00Z ", " 2026-01-01", "2026/01/01", "-2026-01-01", "0001-01-01T00:00:00+00:01",
    "9999-12-31T23:59:59-00:01", "2026-01-01X00:00:00Z", "20260101",
};

static void time_text(void) {
  Buf out = {0};
  int64_t us;
  for (size_t i = 0; i < COUNT_OF(times); i++) {
    CHECK(time_parse(str_of(times[i].text), &us) && us == times[i].us);
    time_print(us, &out);
    SAME(&out, times[i].back ? times[i].back : times[i].text);
  }
  for (size_t i = 0; i < COUNT_OF(no_times); i++) {
    bool ok = time_parse(str_of(no_times[i]), &us);
    if (ok) fprintf(stderr, "should not be a time: %s\n", no_times[i]);
    CHECK(!ok);
  }
  time_print(INT64_MAX, &out);
  time_print(INT64_MIN, &out);
  SAME(&out, "+294247-01-10T04:00:54.775807Z-290308-12-21T19:59:05.224192Z");
  buf_deinit(&out);
}

static void time_parts(void) {
  TimeParts t;
  int64_t us;
  CHECK(time_split(1795183500123456, &t) && t.year == 2026 && t.month == 11 && t.day == 20 && t.hour == 14 && t.minute == 5);
  CHECK(t.second == 0 && t.microsecond == 123456 && t.weekday == 5 && t.yearday == 324);
  CHECK(time_join(&t, &us) && us == 1795183500123456);
  for (int64_t day = -719162; day <= 2932896; day += 97) { /* every weekday and leap rule in turn */
    CHECK(time_split(day * 86400000000, &t) && time_join(&t, &us) && us == day * 86400000000);
    CHECK(t.weekday == (int32_t)(((day + 3) % 7 + 7) % 7 + 1));
  }
  CHECK(!time_split(253402300800000000, &t) && !time_split(-62135596800000001, &t));
  t = (TimeParts){.year = 2024, .month = 2, .day = 30};
  CHECK(!time_join(&t, &us));
}

static const struct {
  int64_t us;
  const char *text;
} durations[] = {
    {0, "0s"}, {1, "1us"}, {1000, "1ms"}, {1500, "1ms500us"}, {250000, "250ms"}, {5000000, "5s"}, {-5000000, "-5s"}, {90000000, "1m30s"},
    {5400000000, "1h30m"}, {172800000000, "2d"}, {129600000000, "1d12h"}, {1500000, "1s500ms"}, {INT64_MAX, "106751991d4h54s775ms807us"},
    {INT64_MIN, "-106751991d4h54s775ms808us"},
};
static const char *const no_durations[] = {
    "", "5", "s", "-", "+", "-s", "5x", "5 s", "5s ", " 5s", "5s5s", "30m1h", "1.5us", "1.s", ".5s", "1..5s", "1h-5m", "--5s", "9999999999d",
    "106751991d4h54s775ms808us", "1w", "5S", "5min", "1234567890123456789012s", "0.1234567s",
};

static void duration_text(void) {
  Buf out = {0};
  int64_t us;
  for (size_t i = 0; i < COUNT_OF(durations); i++) {
    duration_print(durations[i].us, &out);
    CHECK(duration_parse(buf_view(&out), &us) && us == durations[i].us);
    SAME(&out, durations[i].text);
  }
  for (size_t i = 0; i < COUNT_OF(no_durations); i++) {
    bool ok = duration_parse(str_of(no_durations[i]), &us);
    if (ok) fprintf(stderr, "should not be a duration: %s\n", no_durations[i]);
    CHECK(!ok);
  }
  CHECK(duration_parse(STR("1.5h"), &us) && us == 5400000000);
  CHECK(duration_parse(STR("+90s"), &us) && us == 90000000);
  CHECK(duration_parse(STR("0.000001s"), &us) && us == 1);
  CHECK(duration_parse(STR("-1d0.5s"), &us) && us == -86400500000);
  buf_deinit(&out);
}

/* -- UTF-8 and codecs -- */

static void utf8(void) {
  static const char text[] = "a\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80z, and more plain text";
  Str s = {text, sizeof text - 1};
  const uint32_t codes[] = {'a', 0xe9, 0x20ac, 0x1f600, 'z'};
  const size_t offsets[] = {0, 1, 3, 6, 10};
  size_t at = 0;
  for (size_t i = 0; i < COUNT_OF(codes); i++) {
    char bytes[4];
    CHECK(utf8_offset(s, i) == offsets[i]);
    CHECK(utf8_next(s, &at) == codes[i]);
    CHECK(utf8_put(bytes, codes[i]) == at - offsets[i] && memcmp(bytes, text + offsets[i], at - offsets[i]) == 0);
  }
  CHECK(utf8_valid(s) && utf8_count(s) == 5 + 21 && !text_is_ascii(s));
  CHECK(utf8_offset(s, 25) == s.size - 1 && utf8_offset(s, 26) == s.size && utf8_offset(s, 1000) == s.size);
  CHECK(utf8_valid((Str){0}) && utf8_count((Str){0}) == 0 && text_is_ascii(STR("plain text of some length")));
  CHECK(!text_is_ascii(STR("plain text \x80")) && !utf8_valid(STR("plain text \x80")));
  CHECK(!utf8_valid(STR("\xc0\x80")) && !utf8_valid(STR("\xed\xa0\x80")) && !utf8_valid(STR("\xf4\x90\x80\x80")));
  CHECK(!utf8_valid(STR("\xe2\x82")) && utf8_valid(STR("\xf4\x8f\xbf\xbf")) && utf8_valid(STR("\xee\x80\x80")));
}

/* Every code point is valid and comes back; every surrogate is not. */
static void utf8_all(void) {
  for (uint32_t code = 0; code <= 0x10ffff; code += code < 0x3000 ? 1 : 37) {
    char bytes[4];
    size_t at = 0, size = utf8_put(bytes, code);
    bool surrogate = code >= 0xd800 && code < 0xe000;
    CHECK(utf8_valid((Str){bytes, size}) == !surrogate);
    CHECK(utf8_next((Str){bytes, size}, &at) == code && at == size);
  }
}

static void base64(void) {
  static const struct { const char *bytes, *text, *url; } cases[] = {
      {"", "", ""}, {"f", "Zg==", "Zg"}, {"fo", "Zm8=", "Zm8"}, {"foo", "Zm9v", "Zm9v"}, {"foob", "Zm9vYg==", "Zm9vYg"},
      {"fooba", "Zm9vYmE=", "Zm9vYmE"}, {"foobar", "Zm9vYmFy", "Zm9vYmFy"}, {"\xfb\xff\xbf", "+/+/", "-_-_"},
  };
  static const char *const bad[] = {"Z", "Zg", "Zg=", "Zg===", "Zh==", "Zm9=", "Zm8", "Zm9v\n", " Zm9v", "Zm9v====", "=", "====", "Zg==Zg==", "-_-_", "Z*=="};
  Buf out = {0};
  for (size_t i = 0; i < COUNT_OF(cases); i++) {
    base64_encode(str_of(cases[i].bytes), false, &out);
    SAME(&out, cases[i].text);
    base64_encode(str_of(cases[i].bytes), true, &out);
    SAME(&out, cases[i].url);
    CHECK(base64_decode(str_of(cases[i].text), false, &out));
    SAME(&out, cases[i].bytes);
    CHECK(base64_decode(str_of(cases[i].url), true, &out));
    SAME(&out, cases[i].bytes);
  }
  buf_text(&out, "kept");
  for (size_t i = 0; i < COUNT_OF(bad); i++) CHECK(!base64_decode(str_of(bad[i]), false, &out));
  CHECK(!base64_decode(STR("+/+/"), true, &out) && !base64_decode(STR("Zh"), true, &out));
  SAME(&out, "kept");
  CHECK(base64_decode(STR("Zg=="), true, &out));
  SAME(&out, "f");
  buf_deinit(&out);
}

static void hex_and_percent(void) {
  Buf out = {0};
  hex_encode(STR("\x01\xab\xff"), &out);
  SAME(&out, "01abff");
  CHECK(hex_decode(STR("01aBfF"), &out) && out.size == 3);
  SAME(&out, "\x01\xab\xff");
  CHECK(hex_decode(STR(""), &out) && !hex_decode(STR("1"), &out) && !hex_decode(STR("0g"), &out) && out.size == 0);
  percent_encode(STR("a-z_~. /?\xc3\xa9+%"), &out);
  SAME(&out, "a-z_~.%20%2F%3F%C3%A9%2B%25");
  CHECK(percent_decode(STR("a%20b+c%c3%A9"), false, &out));
  SAME(&out, "a b+c\xc3\xa9");
  CHECK(percent_decode(STR("a+b"), true, &out));
  SAME(&out, "a b");
  CHECK(!percent_decode(STR("%"), false, &out) && !percent_decode(STR("%4"), false, &out));
  CHECK(!percent_decode(STR("ab%4g"), false, &out) && !percent_decode(STR("%%41"), false, &out) && out.size == 0);
  buf_deinit(&out);
}

int main(void) {
  RUN_TEST(float_text);
  RUN_TEST(float_round_trips);
  RUN_TEST(float_reading);
  RUN_TEST(int_text);
  RUN_TEST(decimal_arithmetic);
  RUN_TEST(decimal_text);
  RUN_TEST(decimal_rounding);
  RUN_TEST(decimal_comparing);
  RUN_TEST(time_text);
  RUN_TEST(time_parts);
  RUN_TEST(duration_text);
  RUN_TEST(utf8);
  RUN_TEST(utf8_all);
  RUN_TEST(base64);
  RUN_TEST(hex_and_percent);
  return TEST_END();
}
