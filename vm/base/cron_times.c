/* Cron expressions. A field is a set of bits; the next time is found by walking what clocks show, a month, day, hour or
** minute at a time, and asking the zone when clocks show that. */
#include "vm/base/cron_times.h"

#include "vm/base/mem.h"
#include "vm/base/text.h"
#include "vm/base/zone.h"

enum { FIELDS = 5, TEXT_MAX = 200, MINUTE = 0, HOUR, DAY, MONTH, WEEKDAY, YEARS_AHEAD = 50 };
#define SECOND INT64_C(1000000)

typedef struct FieldInfo {
  const char *name;
  uint8_t low, high;
  const char *names; /* of three letters each, the first is `low`'s */
} FieldInfo;
static const FieldInfo fields[FIELDS] = {
    {"minute", 0, 59, ""},
    {"hour", 0, 23, ""},
    {"day of the month", 1, 31, ""},
    {"month", 1, 12, "janfebmaraprmayjunjulaugsepoctnovdec"},
    {"day of the week", 0, 7, "sunmontuewedthufrisat"},
};

struct CronTimes {
  uint64_t set[FIELDS]; /* a bit for each number that fits; Sunday is 0 */
  bool star[FIELDS];    /* it begins with `*` */
  bool every_hour;
  Zone *zone;
};

/* ---- parsing ------------------------------------------------------------------ */

typedef struct Part { /* of a field: between commas */
  Str text;
  const FieldInfo *info;
  Err *err;
} Part;

static bool part_wrong(const Part *p, const char *why) {
  const char *names = *p->info->names == 0 ? "" : p->info->low == 1 ? " or jan-dec" : " or sun-sat";
  FAIL(p->err, ERR_INVALID,
       "the %s \"" STR_FMT "\" of the cron expression %s; it may be %d-%d%s, a range a-b, a list a,b, * and a step /n",
       p->info->name, STR_ARG(p->text), why, p->info->low, p->info->high, names);
  return false;
}

static bool number_read(Str s, uint32_t *out) {
  uint32_t n = 0;
  if (s.size == 0 || s.size > 4) return false;
  for (size_t i = 0; i < s.size; i++) {
    if (s.at[i] < '0' || s.at[i] > '9') return false;
    n = n * 10 + (uint32_t)(s.at[i] - '0');
  }
  *out = n;
  return true;
}

static char lower(char c) { return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c; }

static bool name_read(const Part *p, Str s, uint32_t *out) {
  if (s.size != 3) return false;
  for (uint32_t i = 0; p->info->names[i * 3] != 0; i++) {
    const char *name = p->info->names + i * 3;
    if (lower(s.at[0]) != name[0] || lower(s.at[1]) != name[1] || lower(s.at[2]) != name[2]) continue;
    *out = i + p->info->low;
    return true;
  }
  return false;
}

static bool value_read(const Part *p, Str s, uint32_t *out) {
  if (!number_read(s, out) && !name_read(p, s, out)) return part_wrong(p, "is neither a number nor a name");
  if (*out < p->info->low || *out > p->info->high) return part_wrong(p, "is out of range");
  return true;
}

/* Cuts s at the first c; false: there is none. */
static bool cut(Str s, char c, Str *before, Str *after) {
  const char *at = s.size > 0 ? memchr(s.at, c, s.size) : NULL;
  *before = s;
  if (at == NULL) return false;
  *before = (Str){s.at, (size_t)(at - s.at)};
  *after = (Str){at + 1, s.size - before->size - 1};
  return true;
}

static bool range_read(const Part *p, Str s, bool stepped, uint32_t *low, uint32_t *high) {
  Str first, last;
  bool weekday = p->info->high == 7;
  if (str_equal(s, STR("*"))) {
    *low = p->info->low;
    *high = weekday ? 6 : p->info->high;
    return true;
  }
  if (!cut(s, '-', &first, &last)) {
    if (!value_read(p, s, low)) return false;
    *high = stepped ? (weekday ? 6 : p->info->high) : *low;
    return *low <= *high || part_wrong(p, "has a step and nothing to step through");
  }
  if (!value_read(p, first, low) || !value_read(p, last, high)) return false;
  if (weekday && *high == 0) *high = 7; /* fri-sun */
  return *low <= *high || part_wrong(p, "is a range that ends before it begins");
}

static bool part_read(const Part *p, uint64_t *set) {
  Str range, step_text;
  uint32_t low, high, step = 1;
  bool stepped = cut(p->text, '/', &range, &step_text);
  if (stepped && (!number_read(step_text, &step) || step == 0))
    return part_wrong(p, "has a step that is no number from 1 on");
  if (!range_read(p, range, stepped, &low, &high)) return false;
  for (uint32_t i = low; i <= high; i += step) *set |= UINT64_C(1) << (p->info->high == 7 ? i % 7 : i);
  return true;
}

static bool field_read(CronTimes *c, int field, Str text, Err *err) {
  Str rest = text;
  bool more = true;
  c->star[field] = text.at[0] == '*';
  while (more) {
    Part p = {.info = &fields[field], .err = err};
    more = cut(rest, ',', &p.text, &rest);
    if (!part_read(&p, &c->set[field])) return false;
  }
  return true;
}

static Str word_next(Str *rest) {
  const char *at = rest->at, *end = at + rest->size;
  while (at < end && (*at == ' ' || *at == '\t')) at++;
  const char *start = at;
  while (at < end && *at != ' ' && *at != '\t') at++;
  *rest = (Str){at, (size_t)(end - at)};
  return (Str){start, (size_t)(at - start)};
}

static Str nickname(Str text) {
  static const char *const names[][2] = {
      {"@hourly", "0 * * * *"},  {"@daily", "0 0 * * *"},   {"@midnight", "0 0 * * *"}, {"@weekly", "0 0 * * 0"},
      {"@monthly", "0 0 1 * *"}, {"@yearly", "0 0 1 1 *"}, {"@annually", "0 0 1 1 *"}};
  for (size_t i = 0; i < COUNT_OF(names); i++)
    if (str_equal(text, str_of(names[i][0]))) return str_of(names[i][1]);
  return text;
}

/* Is there a month of the set that has a day of the set? 29 February counts. */
static bool days_exist(const CronTimes *c) {
  static const uint8_t longest[13] = {0, 31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  if (!c->star[DAY] && !c->star[WEEKDAY]) return true; /* the weekday will do */
  for (int month = 1; month <= 12; month++)
    for (int day = 1; day <= longest[month]; day++)
      if ((c->set[MONTH] >> month & 1) && (c->set[DAY] >> day & 1)) return true;
  return false;
}

#define FIELDS_TEXT "minute, hour, day of the month, month, day of the week"

static bool text_wrong(Err *err, Str text, const char *why) {
  FAIL(err, ERR_INVALID, "the cron expression \"" STR_FMT "\" %s", STR_ARG(text), why);
  return false;
}

static bool text_read(CronTimes *c, Str text, Err *err) {
  Str rest = text.size > 0 ? nickname(text) : STR(""), word;
  for (int i = 0; i < FIELDS; i++) {
    word = word_next(&rest);
    if (word.size == 0) return text_wrong(err, text, "has fewer than five fields: " FIELDS_TEXT);
    if (word.at[0] == '@')
      return text_wrong(err, text, "is none of @hourly @daily @midnight @weekly @monthly @yearly @annually");
    if (!field_read(c, i, word, err)) return false;
  }
  if (word_next(&rest).size > 0) return text_wrong(err, text, "has more than five fields: " FIELDS_TEXT);
  return days_exist(c) || text_wrong(err, text, "names days that no calendar has");
}

bool cron_parse(Str text, Str zone, CronTimes **out, Err *err) {
  CronTimes *c = MEM_NEW(CronTimes);
  bool ok = text.size <= TEXT_MAX;
  *out = NULL;
  if (!ok) FAIL(err, ERR_INVALID, "a cron expression has at most %d characters", TEXT_MAX);
  ok = ok && text_read(c, text, err) && zone_open(zone, &c->zone, err);
  if (!ok) {
    cron_free(c);
    return false;
  }
  c->every_hour = c->set[HOUR] == (UINT64_C(1) << 24) - 1;
  *out = c;
  return true;
}

void cron_free(CronTimes *c) {
  if (c == NULL) return;
  zone_free(c->zone);
  mem_free(c);
}

/* ---- the next time ------------------------------------------------------------ */

static bool has(const CronTimes *c, int field, int32_t n) { return c->set[field] >> n & 1; }

static bool day_fits(const CronTimes *c, const TimeParts *p) {
  bool day = has(c, DAY, p->day), weekday = has(c, WEEKDAY, p->weekday % 7);
  return c->star[DAY] || c->star[WEEKDAY] ? day && weekday : day || weekday;
}

/* To the beginning of the next month, day, hour or minute. */
static bool forward(TimeParts *p, int unit) {
  static const int64_t lengths[] = {60, 3600, 86400};
  int64_t us;
  if (unit == MONTH) {
    p->year += p->month == 12;
    p->month = p->month == 12 ? 1 : p->month + 1;
    p->day = 1;
  }
  if (unit != MINUTE) p->minute = 0;
  if (unit == DAY || unit == MONTH) p->hour = 0;
  if (p->year > 9998 || !time_join(p, &us)) return false;
  return time_split(unit == MONTH ? us : us + lengths[unit] * SECOND, p);
}

/* The first time that fits, from p on, as clocks show it. */
static bool local_next(const CronTimes *c, TimeParts *p, int32_t until_year) {
  for (;;) {
    int unit = !has(c, MONTH, p->month)     ? MONTH
               : !day_fits(c, p)            ? DAY
               : !has(c, HOUR, p->hour)     ? HOUR
               : !has(c, MINUTE, p->minute) ? MINUTE
                                            : -1;
    if (unit < 0) return true;
    if (!forward(p, unit) || p->year > until_year) return false;
  }
}

static int64_t floor_div(int64_t a, int64_t b) { return a / b - (a % b < 0); }

/* The first time that clocks show from `local` on and that fits. */
static bool fit_from(const CronTimes *c, int64_t local, int32_t until_year, int64_t *out) {
  TimeParts p;
  int64_t us, minute = -floor_div(-local, 60);
  if (!time_split(minute * 60 * SECOND, &p) || !local_next(c, &p, until_year) || !time_join(&p, &us)) return false;
  *out = us / SECOND;
  return true;
}

static bool is_first(const CronTimes *c, int64_t local, int64_t utc) {
  int64_t first, again;
  (void)zone_utc(c->zone, local, &first, &again);
  return first == utc;
}

/* Between two changes of the clocks: the first that fits from UTC `from` on and before `to`. */
static bool piece_next(const CronTimes *c, int64_t from, int64_t to, int32_t until_year, int64_t *utc, bool *never) {
  int64_t offset = zone_offset(c->zone, from), local = from + offset;
  for (;; local++) {
    *never = !fit_from(c, local, until_year, &local);
    if (*never || local - offset >= to) return false;
    *utc = local - offset;
    if (c->every_hour || is_first(c, local, *utc)) return true;
  }
}

/* Do clocks that are put forward at `change` skip a time that fits? */
static bool skips(const CronTimes *c, int64_t change, int32_t until_year) {
  int64_t before = change + zone_offset(c->zone, change - 1), after = change + zone_offset(c->zone, change), local;
  return before < after && fit_from(c, before, until_year, &local) && local < after;
}

int64_t cron_next(const CronTimes *c, int64_t after_us) {
  TimeParts p;
  int64_t from = floor_div(after_us, SECOND) + 1, utc;
  bool never = false;
  if (!time_split(after_us, &p)) return 0;
  int32_t until_year = p.year + YEARS_AHEAD;
  while (!never) {
    int64_t to = zone_next_change(c->zone, from);
    if (piece_next(c, from, to, until_year, &utc, &never)) return utc * SECOND;
    if (to == INT64_MAX) return 0;
    if (!never && skips(c, to, until_year)) return to * SECOND;
    from = to;
  }
  return 0;
}
