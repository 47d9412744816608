/* The modules time and duration. A time is microseconds since 1970 UTC, a duration
** microseconds; there are no zones here, only offsets given as durations. Patterns
** are in natives_timepattern.c. */
#include "vm/core/natives.h"

#include "vm/core/natives_time.h"

enum { MONTHS = 12 };

/* ---- from and to parts ---- */

static bool time_parts_arg(Machine *m, Value v, const char *what, TimeParts *out, Value *result) {
  int64_t us;
  if (!arg_time(m, v, what, &us, result)) return false;
  return time_split(us, out) ||
         native_fault(m, result, FAULT_VALUE, "%s is outside the years 1 to 9999", what);
}

static bool give_time(Machine *m, bool ok, int64_t us, const char *what, Value *result) {
  TimeParts parts;
  if (!ok || !time_split(us, &parts))
    return native_fault(m, result, FAULT_VALUE, "%s: outside the years 1 to 9999", what);
  *result = time_new(m, us);
  return true;
}

static bool part_arg(Machine *m, const Value *args, uint32_t count, uint32_t i, const char *what,
                     int64_t high, int32_t *out, Value *result) {
  int64_t n;
  if (!arg_given(args, count, i)) return true;
  if (!arg_int_in(m, args[i], what, i < 3 ? 1 : 0, high, &n, result)) return false;
  *out = (int32_t)n;
  return true;
}

NATIVE_BODY(time_of) {
  TimeParts p = {.month = 1, .day = 1};
  int64_t us = 0;
  bool ok = part_arg(m, args, count, 0, "time.of: the year", 9999, &p.year, result) &&
            part_arg(m, args, count, 1, "time.of: the month", MONTHS, &p.month, result) &&
            part_arg(m, args, count, 2, "time.of: the day", 31, &p.day, result) &&
            part_arg(m, args, count, 3, "time.of: the hour", 23, &p.hour, result) &&
            part_arg(m, args, count, 4, "time.of: the minute", 59, &p.minute, result) &&
            part_arg(m, args, count, 5, "time.of: the second", 59, &p.second, result) &&
            part_arg(m, args, count, 6, "time.of: the microsecond", 999999, &p.microsecond, result);
  if (!ok) return false;
  if (p.year == 0) return arg_mismatch(m, "time.of: the year", "an int", args[0], result);
  if (p.day > days_of_month(p.year, p.month)) {
    return native_fault(m, result, FAULT_VALUE, "time.of: month %d of %d has no day %d", p.month,
                        p.year, p.day);
  }
  ok = time_join(&p, &us);
  return give_time(m, ok, us, "time.of", result);
}

NATIVE_BODY(time_parts) {
  TimeParts p;
  if (!time_parts_arg(m, args[0], "time.parts: the time", &p, result)) return false;
  const struct {
    const char *name;
    int32_t n;
  } parts[] = {{"year", p.year},
               {"month", p.month},
               {"day", p.day},
               {"hour", p.hour},
               {"minute", p.minute},
               {"second", p.second},
               {"microsecond", p.microsecond},
               {"weekday", p.weekday},
               {"yearday", p.yearday}};
  m->temp[4] = map_new(m, COUNT_OF(parts));
  for (size_t i = 0; i < COUNT_OF(parts); i++) {
    map_set_text(m, &m->temp[4], str_of(parts[i].name), value_small_int(parts[i].n));
  }
  *result = m->temp[4];
  m->temp[4] = VALUE_NIL;
  return true;
}

#define TIME_PART(field)                                                                    \
  NATIVE_BODY(time_##field) {                                                               \
    TimeParts p;                                                                            \
    if (!time_parts_arg(m, args[0], "time." #field ": the time", &p, result)) return false; \
    *result = value_small_int(p.field);                                                     \
    return true;                                                                            \
  }
TIME_PART(year)
TIME_PART(month)
TIME_PART(day)
TIME_PART(hour)
TIME_PART(minute)
TIME_PART(second)
TIME_PART(microsecond)
TIME_PART(weekday)
TIME_PART(yearday)

NATIVE_BODY(time_date) {
  TimeParts p;
  if (!time_parts_arg(m, args[0], "time.date: the time", &p, result)) return false;
  Buf out = {0};
  buf_format(&out, "%04d-%02d-%02d", p.year, p.month, p.day);
  return string_take(m, &out, result);
}

/* ---- the calendar ---- */

bool year_is_leap(int32_t year) { return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0); }

int32_t days_of_month(int32_t year, int32_t month) {
  static const int8_t days[MONTHS] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  return days[month - 1] + (month == 2 && year_is_leap(year));
}

/* The ISO week belongs to the year that its Thursday is in. */
static int32_t iso_week(const TimeParts *p) {
  int32_t week = (p->yearday - p->weekday + 10) / 7;
  if (week == 0) {
    int32_t last = p->yearday + 365 + year_is_leap(p->year - 1);
    return (last - p->weekday + 10) / 7;
  }
  int32_t left = 365 + year_is_leap(p->year) - p->yearday; /* days of this year after today */
  return week == 53 && p->weekday + left < 4 ? 1 : week;
}

NATIVE_BODY(time_week) {
  TimeParts p;
  if (!time_parts_arg(m, args[0], "time.week: the time", &p, result)) return false;
  *result = value_small_int(iso_week(&p));
  return true;
}

/* A year given as an int or as a time; *month stays 0 for an int. */
static bool year_arg(Machine *m, Value v, const char *what, int32_t *year, int32_t *month,
                     Value *result) {
  TimeParts p;
  int64_t n;
  *month = 0;
  if (!value_is_kind(v, OBJ_TIME)) {
    if (!arg_int_in(m, v, what, 1, 9999, &n, result)) return false;
    *year = (int32_t)n;
    return true;
  }
  if (!time_parts_arg(m, v, what, &p, result)) return false;
  *year = p.year;
  *month = p.month;
  return true;
}

NATIVE_BODY(time_is_leap_year) {
  int32_t year, month;
  if (!year_arg(m, args[0], "time.is_leap_year: the year", &year, &month, result)) return false;
  *result = value_bool(year_is_leap(year));
  return true;
}

NATIVE_BODY(time_days_in_month) {
  int32_t year, month;
  if (!year_arg(m, args[0], "time.days_in_month: the year", &year, &month, result)) return false;
  if (month == 0) {
    int64_t n;
    Value given = count > 1 ? args[1] : VALUE_NIL;
    if (!arg_int_in(m, given, "time.days_in_month: the month", 1, MONTHS, &n, result)) return false;
    month = (int32_t)n;
  }
  *result = value_small_int(days_of_month(year, month));
  return true;
}

/* ---- moving ---- */

NATIVE_BODY(time_add) {
  int64_t us, more;
  if (!arg_time(m, args[0], "time.add: the time", &us, result)) return false;
  if (!arg_duration(m, args[1], "time.add: the duration", &more, result)) return false;
  bool ok = !__builtin_add_overflow(us, more, &us);
  return give_time(m, ok, us, "time.add", result);
}

NATIVE_BODY(time_add_months) {
  TimeParts p;
  int64_t more, us = 0;
  if (!time_parts_arg(m, args[0], "time.add_months: the time", &p, result)) return false;
  if (!arg_int_in(m, args[1], "time.add_months: the months", -200000, 200000, &more, result))
    return false;
  int64_t month = (int64_t)p.year * MONTHS + p.month - 1 + more;
  int64_t year = month / MONTHS;
  if (month < MONTHS || year > 9999) return give_time(m, false, 0, "time.add_months", result);
  p.year = (int32_t)year;
  p.month = (int32_t)(month % MONTHS) + 1;
  if (p.day > days_of_month(p.year, p.month)) p.day = days_of_month(p.year, p.month);
  bool ok = time_join(&p, &us);
  return give_time(m, ok, us, "time.add_months", result);
}

NATIVE_BODY(time_since) {
  int64_t later, earlier, us;
  if (!arg_time(m, args[0], "time.since: the time", &later, result)) return false;
  if (!arg_time(m, args[1], "time.since: the other time", &earlier, result)) return false;
  if (__builtin_sub_overflow(later, earlier, &us))
    return native_fault(m, result, FAULT_OVERFLOW, "time.since");
  *result = duration_new(m, us);
  return true;
}

/* Cuts the parts down to the beginning of the unit; a week's is left to the caller. */
static bool parts_start(TimeParts *p, Str unit) {
  static const char *const units[] = {"second", "minute", "hour", "day", "month", "year"};
  size_t level = 0;
  while (level < COUNT_OF(units) && !str_equal(unit, str_of(units[level]))) level++;
  if (str_equal(unit, STR("week"))) level = 3;
  if (level == COUNT_OF(units)) return false;
  p->microsecond = 0;
  if (level >= 1) p->second = 0;
  if (level >= 2) p->minute = 0;
  if (level >= 3) p->hour = 0;
  if (level >= 4) p->day = 1;
  if (level >= 5) p->month = 1;
  return true;
}

NATIVE_BODY(time_start_of) {
  TimeParts p;
  int64_t us = 0;
  if (!time_parts_arg(m, args[0], "time.start_of: the time", &p, result)) return false;
  if (!arg_text(m, &args[1], "time.start_of: the unit", result)) return false;
  Str unit = text_of(args[1]);
  if (!parts_start(&p, unit)) {
    return native_fault(
        m, result, FAULT_VALUE,
        "time.start_of: the unit must be second, minute, hour, day, week, month or year");
  }
  bool ok = time_join(&p, &us);
  if (str_equal(unit, STR("week"))) us -= (int64_t)(p.weekday - 1) * 86400000000;
  return give_time(m, ok, us, "time.start_of", result);
}

/* ---- seconds since 1970 ---- */

static int64_t floor_divide(int64_t a, int64_t b) { return a / b - (a % b < 0); }

NATIVE_BODY(time_unix) {
  int64_t us;
  if (!arg_time(m, args[0], "time.unix: the time", &us, result)) return false;
  *result = value_int(m, floor_divide(us, 1000000));
  return true;
}

NATIVE_BODY(time_unix_ms) {
  int64_t us;
  if (!arg_time(m, args[0], "time.unix_ms: the time", &us, result)) return false;
  *result = value_int(m, floor_divide(us, 1000));
  return true;
}

NATIVE_BODY(time_from_unix) {
  int64_t seconds, us = 0;
  double f;
  bool ok;
  if (value_to_int(args[0], &seconds)) {
    ok = !__builtin_mul_overflow(seconds, 1000000, &us);
  } else {
    if (!value_to_float(args[0], &f))
      return arg_mismatch(m, "time.from_unix: the seconds", "an int or a float", args[0], result);
    f *= 1000000;
    ok = f > -9.2e18 && f < 9.2e18;
    if (ok) us = (int64_t)(f < 0 ? f - 0.5 : f + 0.5);
  }
  return give_time(m, ok, us, "time.from_unix", result);
}

NATIVE_BODY(time_from_unix_ms) {
  int64_t ms, us;
  if (!arg_int(m, args[0], "time.from_unix_ms: the milliseconds", &ms, result)) return false;
  bool ok = !__builtin_mul_overflow(ms, 1000, &us);
  return give_time(m, ok, us, "time.from_unix_ms", result);
}

/* ---- text ---- */

static bool parse_fault(Machine *m, const char *what, Value text, const char *wanted,
                        Value *result) {
  Str s = text_of(text);
  int size = s.size > 60 ? 60 : (int)s.size;
  char copy[64] = {0};
  memcpy(copy, s.at, (size_t)size);
  while (size > 0 && (size_t)size < s.size && ((uint8_t)s.at[size] & 0xc0) == 0x80)
    copy[--size] = 0;
  return native_fault(m, result, FAULT_PARSE, "%s: \"%s\" is not %s", what, copy, wanted);
}

NATIVE_BODY(time_parse) {
  int64_t us;
  bool given = arg_given(args, count, 1);
  if (!arg_text(m, &args[0], "time.parse: the text", result)) return false;
  if (given && !arg_text(m, &args[1], "time.parse: the pattern", result)) return false;
  machine_work(m, text_of(args[0]).size);
  if (!given) {
    if (!time_parse(text_of(args[0]), &us))
      return parse_fault(m, "time.parse", args[0], "a time like 2026-11-20T14:05:00Z", result);
    *result = time_new(m, us);
    return true;
  }
  bool bad_pattern = false;
  bool ok = pattern_parse(text_of(args[0]), text_of(args[1]), &us, &bad_pattern);
  if (bad_pattern)
    return native_fault(m, result, FAULT_VALUE,
                        "time.parse: the pattern has a %% that is followed by no known letter");
  if (!ok) return parse_fault(m, "time.parse", args[0], "a time of this pattern", result);
  return give_time(m, ok, us, "time.parse", result);
}

NATIVE_BODY(time_format) {
  int64_t us, offset = 0;
  TimeParts p;
  if (!arg_time(m, args[0], "time.format: the time", &us, result)) return false;
  if (arg_given(args, count, 2) &&
      !arg_duration(m, args[2], "time.format: the offset", &offset, result))
    return false;
  if (offset % 60000000 != 0 || offset <= -86400000000 || offset >= 86400000000) {
    return native_fault(m, result, FAULT_VALUE,
                        "time.format: the offset must be whole minutes, less than a day");
  }
  if (!time_split(us + offset, &p)) return give_time(m, false, 0, "time.format", result);
  Buf out = {.max = LIMIT_VALUE_BYTES};
  if (!arg_given(args, count, 1)) {
    if (offset == 0) time_print(us, &out);
    else pattern_print(&p, offset, STR(ISO_PATTERN), &out);
    return string_take(m, &out, result);
  }
  if (!arg_text(m, &args[1], "time.format: the pattern", result)) return false;
  machine_work(m, text_of(args[1]).size);
  if (pattern_print(&p, offset, text_of(args[1]), &out)) return string_take(m, &out, result);
  buf_deinit(&out);
  return native_fault(m, result, FAULT_VALUE,
                      "time.format: the pattern has a %% that is followed by no known letter");
}

/* ---- durations ---- */

NATIVE_BODY(duration_parse) {
  int64_t us;
  if (!arg_text(m, &args[0], "duration.parse: the text", result)) return false;
  machine_work(m, text_of(args[0]).size);
  if (!duration_parse(text_of(args[0]), &us))
    return parse_fault(m, "duration.parse", args[0], "a duration like 1h30m or 250ms", result);
  *result = duration_new(m, us);
  return true;
}

NATIVE_BODY(duration_microseconds) {
  int64_t us;
  if (!arg_duration(m, args[0], "duration.microseconds: the duration", &us, result)) return false;
  *result = value_int(m, us);
  return true;
}

NATIVE_BODY(duration_from_microseconds) {
  int64_t us;
  if (!arg_int(m, args[0], "duration.from_microseconds: the count", &us, result)) return false;
  *result = duration_new(m, us);
  return true;
}

static bool duration_in(Machine *m, Value v, double unit, const char *what, Value *result) {
  int64_t us;
  if (!arg_duration(m, v, what, &us, result)) return false;
  *result = value_float(m, (double)us / unit);
  return true;
}

NATIVE_BODY(duration_milliseconds) {
  return duration_in(m, args[0], 1e3, "duration.milliseconds: the duration", result);
}
NATIVE_BODY(duration_seconds) {
  return duration_in(m, args[0], 1e6, "duration.seconds: the duration", result);
}
NATIVE_BODY(duration_minutes) {
  return duration_in(m, args[0], 6e7, "duration.minutes: the duration", result);
}
NATIVE_BODY(duration_hours) {
  return duration_in(m, args[0], 3.6e9, "duration.hours: the duration", result);
}
NATIVE_BODY(duration_days) {
  return duration_in(m, args[0], 8.64e10, "duration.days: the duration", result);
}

NATIVE_BODY(duration_parts) {
  int64_t us;
  if (!arg_duration(m, args[0], "duration.parts: the duration", &us, result)) return false;
  const struct {
    const char *name;
    int64_t n;
  } parts[] = {{"days", us / 86400000000},
               {"hours", us / 3600000000 % 24},
               {"minutes", us / 60000000 % 60},
               {"seconds", us / 1000000 % 60},
               {"microseconds", us % 1000000}};
  m->temp[4] = map_new(m, COUNT_OF(parts));
  for (size_t i = 0; i < COUNT_OF(parts); i++) {
    map_set_text(m, &m->temp[4], str_of(parts[i].name), value_small_int(parts[i].n));
  }
  *result = m->temp[4];
  m->temp[4] = VALUE_NIL;
  return true;
}
