/* Times and durations as text: arithmetic alone, no time zone data and no C library.
**
** Days are counted in years that begin in March, so that the leap day is the last one of its year
** and the months' lengths follow a straight line: day of year = (153 * month + 2) / 5. */
#include "vm/base/text.h"

#define SECOND INT64_C(1000000)
#define DAY (INT64_C(86400) * SECOND)

enum { ERA_DAYS = 146097, ERA_YEARS = 400, DAYS_TO_1970 = 719468 /* from 0000-03-01 */ };

static int64_t floor_div(int64_t a, int64_t b) { return a / b - (a % b < 0); }

static int64_t days_from_date(int64_t year, int month, int day) {
  if (month <= 2) year--;
  int64_t era = floor_div(year, ERA_YEARS), of_era = year - era * ERA_YEARS;
  int64_t of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
  return era * ERA_DAYS + of_era * 365 + of_era / 4 - of_era / 100 + of_year - DAYS_TO_1970;
}

static void date_from_days(int64_t days, TimeParts *out) {
  days += DAYS_TO_1970;
  int64_t era = floor_div(days, ERA_DAYS), of_era = days - era * ERA_DAYS; /* 0..146096 */
  int64_t year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
  int64_t of_year = of_era - (365 * year + year / 4 - year / 100);
  int64_t month = (5 * of_year + 2) / 153; /* from March */
  out->day = (int32_t)(of_year - (153 * month + 2) / 5 + 1);
  out->month = (int32_t)(month < 10 ? month + 3 : month - 9);
  out->year = (int32_t)(year + era * ERA_YEARS + (out->month <= 2));
}

static bool is_leap(int64_t year) { return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0); }

static int month_days(int64_t year, int month) {
  static const uint8_t days[12] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  return days[month - 1] + (month == 2 && is_leap(year));
}

/* -- splitting and joining -- */

static void split_any(int64_t us, TimeParts *out) {
  int64_t days = floor_div(us, DAY), rest = us % DAY;
  if (rest < 0) rest += DAY;
  date_from_days(days, out);
  out->microsecond = (int32_t)(rest % SECOND);
  rest /= SECOND;
  out->second = (int32_t)(rest % 60);
  out->minute = (int32_t)(rest / 60 % 60);
  out->hour = (int32_t)(rest / 3600);
  out->weekday = (int32_t)((days % 7 + 10) % 7 + 1); /* 1970-01-01 was a Thursday */
  out->yearday = (int32_t)(days - days_from_date(out->year, 1, 1) + 1);
}

bool time_split(int64_t us, TimeParts *out) {
  split_any(us, out);
  return out->year >= 1 && out->year <= 9999;
}

static bool within(int64_t n, int64_t low, int64_t high) { return n >= low && n <= high; }

bool time_join(const TimeParts *t, int64_t *us) {
  if (!within(t->year, 1, 9999) || !within(t->month, 1, 12)) return false;
  if (!within(t->day, 1, month_days(t->year, t->month))) return false;
  if (!within(t->hour, 0, 23) || !within(t->minute, 0, 59) || !within(t->second, 0, 59))
    return false;
  if (!within(t->microsecond, 0, SECOND - 1)) return false;
  int64_t seconds = (int64_t)t->hour * 3600 + t->minute * 60 + t->second;
  *us = days_from_date(t->year, t->month, t->day) * DAY + seconds * SECOND + t->microsecond;
  return true;
}

/* -- times as text -- */

static char *put_padded(char *p, int64_t n, int width) {
  for (int i = width - 1; i >= 0; i--, n /= 10) p[i] = (char)('0' + n % 10);
  return p + width;
}

/* Years past 9999 get a sign, as ISO 8601 wants; they print but do not parse. */
static void print_year(int64_t year, Buf *out) {
  char digits[8];
  bool wide = year < 0 || year > 9999;
  if (wide) buf_byte(out, year < 0 ? '-' : '+');
  if (year < 0) year = -year;
  buf_put(out, digits, (size_t)(put_padded(digits, year, wide ? 6 : 4) - digits));
}

void time_print(int64_t us, Buf *out) {
  TimeParts t;
  char text[32], *p = text;
  split_any(us, &t);
  print_year(t.year, out);
  *p++ = '-';
  p = put_padded(p, t.month, 2);
  *p++ = '-';
  p = put_padded(p, t.day, 2);
  *p++ = 'T';
  p = put_padded(p, t.hour, 2);
  *p++ = ':';
  p = put_padded(p, t.minute, 2);
  *p++ = ':';
  p = put_padded(p, t.second, 2);
  if (t.microsecond) *p++ = '.';
  if (t.microsecond % 1000) p = put_padded(p, t.microsecond, 6);
  else if (t.microsecond) p = put_padded(p, t.microsecond / 1000, 3);
  *p++ = 'Z';
  buf_put(out, text, (size_t)(p - text));
}

/* A cursor over the text; every take_ moves it on, or fails. */
typedef struct Scan {
  const char *at, *end;
} Scan;

static bool take_char(Scan *s, char c) {
  if (s->at == s->end || *s->at != c) return false;
  s->at++;
  return true;
}

static bool next_is_digit(const Scan *s) {
  return s->at < s->end && *s->at >= '0' && *s->at <= '9';
}

static bool take_digits(Scan *s, int width, int32_t *out) {
  *out = 0;
  for (int i = 0; i < width; i++, s->at++) {
    if (!next_is_digit(s)) return false;
    *out = *out * 10 + (*s->at - '0');
  }
  return true;
}

/* Digits past the sixth are dropped. */
static bool take_fraction(Scan *s, int32_t *us) {
  int32_t unit = 100000;
  *us = 0;
  if (!take_char(s, '.')) return true;
  if (!next_is_digit(s)) return false;
  for (; next_is_digit(s); s->at++, unit /= 10) *us += (*s->at - '0') * unit;
  return true;
}

static bool take_offset(Scan *s, int64_t *us) {
  int32_t hours, minutes;
  *us = 0;
  if (take_char(s, 'Z') || take_char(s, 'z')) return true;
  bool minus = s->at < s->end && *s->at == '-';
  if (!take_char(s, minus ? '-' : '+')) return false;
  if (!take_digits(s, 2, &hours) || !take_char(s, ':') || !take_digits(s, 2, &minutes))
    return false;
  if (hours > 23 || minutes > 59) return false;
  *us = (hours * 60 + minutes) * 60 * SECOND * (minus ? -1 : 1);
  return true;
}

static bool take_clock(Scan *s, TimeParts *t) {
  return take_digits(s, 2, &t->hour) && take_char(s, ':') && take_digits(s, 2, &t->minute) &&
         take_char(s, ':') && take_digits(s, 2, &t->second) && take_fraction(s, &t->microsecond);
}

static bool take_date(Scan *s, TimeParts *t) {
  return take_digits(s, 4, &t->year) && take_char(s, '-') && take_digits(s, 2, &t->month) &&
         take_char(s, '-') && take_digits(s, 2, &t->day);
}

/* A leap second is the first moment after it, and may only stand at the end of a UTC day. */
static bool join_leap(TimeParts *t, int64_t offset, int64_t *us) {
  bool leap = t->second == 60;
  if (leap) {
    t->second = 59;
    t->microsecond = 0;
  }
  if (!time_join(t, us)) return false;
  *us += (leap ? SECOND : 0) - offset;
  return !leap || *us % DAY == 0;
}

bool time_parse(Str text, int64_t *us) {
  Scan s = {text.at, text.at + text.size};
  TimeParts t = {0};
  int64_t offset = 0, moment;
  if (text.size == 0 || !take_date(&s, &t)) return false;
  if (s.at < s.end) {
    if (!take_char(&s, 'T') && !take_char(&s, 't') && !take_char(&s, ' ')) return false;
    if (!take_clock(&s, &t) || !take_offset(&s, &offset) || s.at != s.end) return false;
  }
  if (!join_leap(&t, offset, &moment) || !time_split(moment, &t)) return false;
  *us = moment;
  return true;
}

/* -- durations: 1d12h, 1h30m, 250ms; units in falling order, each once -- */

static const struct Unit {
  const char *name;
  int64_t us;
} units[] = {{"d", DAY},    {"h", 3600 * SECOND}, {"m", 60 * SECOND},
             {"s", SECOND}, {"ms", 1000},         {"us", 1}};

void duration_print(int64_t us, Buf *out) {
  uint64_t left = us < 0 ? 0 - (uint64_t)us : (uint64_t)us;
  if (us == 0) buf_str(out, STR("0s"));
  if (us < 0) buf_byte(out, '-');
  for (size_t i = 0; i < COUNT_OF(units); i++) {
    uint64_t unit = (uint64_t)units[i].us;
    if (left < unit) continue;
    int_print((int64_t)(left / unit), out);
    buf_text(out, units[i].name);
    left %= unit;
  }
}

/* The unit at the cursor, at number `from` or later; the longer name wins (m, ms). */
static bool take_unit(Scan *s, size_t *from) {
  size_t best = COUNT_OF(units), longest = 0, left = (size_t)(s->end - s->at);
  for (size_t i = *from; i < COUNT_OF(units); i++) {
    size_t size = strlen(units[i].name);
    if (size <= longest || size > left || memcmp(s->at, units[i].name, size) != 0) continue;
    best = i;
    longest = size;
  }
  s->at += longest;
  *from = best;
  return longest > 0;
}

/* 1.5 as 15 and 10; at most 18 digits. */
static bool take_number(Scan *s, int64_t *n, int64_t *divisor) {
  int digits = 0;
  bool point = false;
  *n = 0;
  *divisor = 1;
  for (; s->at < s->end; s->at++) {
    if (*s->at == '.' && digits && !point) {
      point = true;
      s->at++;
      if (!next_is_digit(s)) return false;
    }
    if (!next_is_digit(s)) break;
    if (++digits > 18) return false;
    *n = *n * 10 + (*s->at - '0');
    if (point) *divisor *= 10;
  }
  return digits > 0;
}

__extension__ typedef __int128 Wide;

/* One part: a number and its unit, exact in microseconds, added below zero so that the least fits. */
static bool take_part(Scan *s, size_t *from, int64_t *minus_us) {
  int64_t n, divisor;
  if (!take_number(s, &n, &divisor) || !take_unit(s, from)) return false;
  Wide us = (Wide)n * units[*from].us;
  if (us % divisor != 0) return false;
  us = *minus_us - us / divisor;
  if (us < INT64_MIN) return false;
  *minus_us = (int64_t)us;
  ++*from;
  return true;
}

bool duration_parse(Str text, int64_t *us) {
  Scan s = {text.at, text.at + text.size};
  size_t from = 0;
  int64_t minus_us = 0;
  if (text.size == 0) return false;
  bool minus = take_char(&s, '-');
  if (!minus) (void)take_char(&s, '+');
  do {
    if (!take_part(&s, &from, &minus_us)) return false;
  } while (s.at < s.end);
  if (!minus && minus_us == INT64_MIN) return false;
  *us = minus ? minus_us : -minus_us;
  return true;
}
