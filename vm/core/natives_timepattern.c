/* Times as text of a pattern, both ways: see natives_time.h for the letters. */
#include "vm/core/natives_time.h"

static const char *const day_names[] = {"Monday", "Tuesday",  "Wednesday", "Thursday",
                                        "Friday", "Saturday", "Sunday"};
static const char *const month_names[] = {"January",   "February", "March",    "April",
                                          "May",       "June",     "July",     "August",
                                          "September", "October",  "November", "December"};
enum { SHORT_NAME = 3 };

/* ---- printing ---- */

static void put_padded(Buf *out, int32_t n, int width) { buf_format(out, "%0*d", width, n); }

static void put_offset(Buf *out, int64_t us) {
  int32_t minutes = (int32_t)(us / 60000000), size = minutes < 0 ? -minutes : minutes;
  buf_format(out, "%c%02d:%02d", minutes < 0 ? '-' : '+', size / 60, size % 60);
}

static void put_unix(Buf *out, const TimeParts *p, int64_t offset) {
  int64_t us = 0;
  if (!time_join(p, &us)) return;
  us -= offset;
  int_print(us / 1000000 - (us % 1000000 < 0), out);
}

static bool letter_print(const TimeParts *p, int64_t offset, char letter, Buf *out) {
  switch (letter) {
    case 'Y': put_padded(out, p->year, 4); return true;
    case 'y': put_padded(out, p->year % 100, 2); return true;
    case 'm': put_padded(out, p->month, 2); return true;
    case 'd': put_padded(out, p->day, 2); return true;
    case 'e': put_padded(out, p->day, 1); return true;
    case 'H': put_padded(out, p->hour, 2); return true;
    case 'I': put_padded(out, (p->hour + 11) % 12 + 1, 2); return true;
    case 'p': buf_text(out, p->hour < 12 ? "AM" : "PM"); return true;
    case 'M': put_padded(out, p->minute, 2); return true;
    case 'S': put_padded(out, p->second, 2); return true;
    case 'f': put_padded(out, p->microsecond, 6); return true;
    case 'L': put_padded(out, p->microsecond / 1000, 3); return true;
    case 'j': put_padded(out, p->yearday, 3); return true;
    case 'u': put_padded(out, p->weekday, 1); return true;
    case 'a': buf_put(out, day_names[p->weekday - 1], SHORT_NAME); return true;
    case 'A': buf_text(out, day_names[p->weekday - 1]); return true;
    case 'b': buf_put(out, month_names[p->month - 1], SHORT_NAME); return true;
    case 'B': buf_text(out, month_names[p->month - 1]); return true;
    case 'z': put_offset(out, offset); return true;
    case 's': put_unix(out, p, offset); return true;
    case 'F': return pattern_print(p, offset, STR("%Y-%m-%d"), out);
    case 'T': return pattern_print(p, offset, STR("%H:%M:%S"), out);
    case '%': buf_byte(out, '%'); return true;
    default: return false;
  }
}

bool pattern_print(const TimeParts *p, int64_t offset_us, Str pattern, Buf *out) {
  for (size_t i = 0; i < pattern.size; i++) {
    if (pattern.at[i] != '%') buf_byte(out, (uint8_t)pattern.at[i]);
    else if (++i == pattern.size || !letter_print(p, offset_us, pattern.at[i], out)) return false;
  }
  return true;
}

/* ---- reading ---- */

typedef struct Scan {
  Str text;
  size_t at;
  TimeParts p;
  int64_t offset, unix_seconds;
  bool has_unix, has_yearday, has_half, after_noon, bad_pattern;
} Scan;

static bool scan_char(Scan *s, char c) {
  if (s->at >= s->text.size || s->text.at[s->at] != c) return false;
  s->at++;
  return true;
}

/* Between 1 and `most` digits. */
static bool scan_digits(Scan *s, int most, int32_t low, int32_t high, int32_t *out) {
  int32_t n = 0;
  int count = 0;
  for (; count < most && s->at < s->text.size; count++, s->at++) {
    char c = s->text.at[s->at];
    if (c < '0' || c > '9') break;
    n = n * 10 + (c - '0');
  }
  *out = n;
  return count > 0 && n >= low && n <= high;
}

/* Digits of a fraction: %f of "25" is 250000. */
static bool scan_fraction(Scan *s, int most) {
  size_t from = s->at;
  int32_t n;
  if (!scan_digits(s, most, 0, 999999, &n)) return false;
  for (size_t i = s->at - from; i < 6; i++) n *= 10;
  s->p.microsecond = n;
  return true;
}

static char lower(char c) { return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c; }

static bool scan_word(Scan *s, const char *word, size_t size) {
  if (s->text.size - s->at < size) return false;
  for (size_t i = 0; i < size; i++) {
    if (lower(s->text.at[s->at + i]) != lower(word[i])) return false;
  }
  s->at += size;
  return true;
}

static bool scan_name(Scan *s, const char *const *names, int32_t count, bool whole, int32_t *out) {
  for (int32_t i = 0; i < count; i++) {
    if (!scan_word(s, names[i], whole ? strlen(names[i]) : SHORT_NAME)) continue;
    *out = i + 1;
    return true;
  }
  return false;
}

static bool scan_offset(Scan *s) {
  int32_t hours, minutes = 0;
  if (scan_char(s, 'Z')) return true;
  bool west = scan_char(s, '-');
  if (!west && !scan_char(s, '+')) return false;
  if (!scan_digits(s, 2, 0, 23, &hours)) return false;
  scan_char(s, ':');
  if (!scan_digits(s, 2, 0, 59, &minutes)) return false;
  s->offset = (int64_t)(hours * 60 + minutes) * 60000000;
  if (west) s->offset = -s->offset;
  return true;
}

static bool scan_unix(Scan *s) {
  size_t from = s->at;
  scan_char(s, '-');
  while (s->at < s->text.size && s->text.at[s->at] >= '0' && s->text.at[s->at] <= '9') s->at++;
  s->has_unix = true;
  return int_parse((Str){s->text.at + from, s->at - from}, &s->unix_seconds);
}

static bool scan_short_year(Scan *s) {
  if (!scan_digits(s, 2, 0, 99, &s->p.year)) return false;
  s->p.year += s->p.year < 69 ? 2000 : 1900;
  return true;
}

static bool scan_half(Scan *s) {
  s->has_half = true;
  s->after_noon = scan_word(s, "PM", 2);
  return s->after_noon || scan_word(s, "AM", 2);
}

static bool scan_pattern(Scan *s, Str pattern);

static bool scan_letter(Scan *s, char letter) {
  int32_t ignored;
  switch (letter) {
    case 'Y': return scan_digits(s, 4, 1, 9999, &s->p.year);
    case 'y': return scan_short_year(s);
    case 'm': return scan_digits(s, 2, 1, 12, &s->p.month);
    case 'd':
    case 'e': scan_char(s, ' '); return scan_digits(s, 2, 1, 31, &s->p.day);
    case 'H': return scan_digits(s, 2, 0, 23, &s->p.hour);
    case 'I': return scan_digits(s, 2, 1, 12, &s->p.hour);
    case 'p': return scan_half(s);
    case 'M': return scan_digits(s, 2, 0, 59, &s->p.minute);
    case 'S': return scan_digits(s, 2, 0, 59, &s->p.second);
    case 'f': return scan_fraction(s, 6);
    case 'L': return scan_fraction(s, 3);
    case 'j': s->has_yearday = true; return scan_digits(s, 3, 1, 366, &s->p.yearday);
    case 'u': return scan_digits(s, 1, 1, 7, &ignored);
    case 'a': return scan_name(s, day_names, 7, false, &ignored);
    case 'A': return scan_name(s, day_names, 7, true, &ignored);
    case 'b': return scan_name(s, month_names, 12, false, &s->p.month);
    case 'B': return scan_name(s, month_names, 12, true, &s->p.month);
    case 'z': return scan_offset(s);
    case 's': return scan_unix(s);
    case 'F': return scan_pattern(s, STR("%Y-%m-%d"));
    case 'T': return scan_pattern(s, STR("%H:%M:%S"));
    case '%': return scan_char(s, '%');
    default: s->bad_pattern = true; return false;
  }
}

static bool scan_pattern(Scan *s, Str pattern) {
  for (size_t i = 0; i < pattern.size; i++) {
    if (pattern.at[i] != '%') {
      if (!scan_char(s, pattern.at[i])) return false;
    } else if (++i == pattern.size) {
      s->bad_pattern = true;
      return false;
    } else if (!scan_letter(s, pattern.at[i])) {
      return false;
    }
  }
  return true;
}

static bool scan_join(Scan *s, int64_t *us) {
  TimeParts *p = &s->p;
  if (s->has_unix) return !__builtin_mul_overflow(s->unix_seconds, 1000000, us);
  if (s->has_half) p->hour = p->hour % 12 + (s->after_noon ? 12 : 0);
  if (s->has_yearday) p->month = p->day = 1;
  if (p->day > days_of_month(p->year, p->month) || !time_join(p, us)) return false;
  if (s->has_yearday && p->yearday == 366 && !year_is_leap(p->year)) return false;
  if (s->has_yearday) *us += (int64_t)(p->yearday - 1) * 86400000000;
  *us -= s->offset;
  return true;
}

bool pattern_parse(Str text, Str pattern, int64_t *us, bool *bad_pattern) {
  Scan s = {.text = text, .p = {.year = 1970, .month = 1, .day = 1}};
  bool ok = scan_pattern(&s, pattern) && s.at == text.size && scan_join(&s, us);
  *bad_pattern = s.bad_pattern;
  return ok;
}
