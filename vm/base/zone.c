/* Time zones: reading TZif and its footer, and asking.
**
** A TZif file is a header, a block of 32-bit data, and from version 2 on a second header, the block again with 64-bit
** times, and a footer "\nTZ string\n". Every count is checked against the size before anything is read. */
#include "vm/base/zone.h"

#include <stdio.h>
#include <stdlib.h>

#include "vm/base/file.h"
#include "vm/base/mem.h"
#include "vm/base/text.h"

#define DAY INT64_C(86400)
/* Offsets go from -25 to 26 hours (RFC 8536, 3.2). */
#define OFFSET_LOW (-89999)
#define OFFSET_HIGH 93599
/* Nobody asks for times beyond these: arithmetic on what is between them cannot overflow. */
#define TIME_LOW INT64_C(-70000000000)
#define TIME_HIGH INT64_C(300000000000)

enum { FILE_MAX = 1 << 20, HEADER_SIZE = 44, TYPES_MAX = 256, CHANGES_MAX = 20000, NAME_MAX_BYTES = 64 };

typedef struct Change { /* from `at` on the offset is that */
  int64_t at;
  int32_t offset;
} Change;

/* The day and time of a change in each year. */
typedef struct YearRule {
  char kind;       /* 'J' day 1..365 without 29 February, 'D' day 0..365, 'M' a weekday of a month */
  int32_t day;     /* J, D; M: 0 Sunday .. 6 */
  int32_t month, week; /* M; week 5 is the last one */
  int32_t time;    /* seconds from midnight by the clock before; negative or past a day is fine */
} YearRule;

struct Zone {
  int32_t first;   /* the offset before the first change */
  Change *changes; /* rising */
  uint32_t count;
  bool rule;       /* after the last change: */
  bool summer;     /* there is a summer time; else `winter` for ever */
  int32_t winter_offset, summer_offset;
  YearRule begin, end; /* of summer time */
};

/* ---- the footer: std offset [dst [offset] , start [/time] , end [/time]] ---- */

typedef struct Scan {
  const char *at, *end;
  bool ok;
} Scan;

static bool scan_is(const Scan *s, char c) { return s->at < s->end && *s->at == c; }
static bool scan_digit(const Scan *s) { return s->at < s->end && *s->at >= '0' && *s->at <= '9'; }
static bool scan_letter(const Scan *s) {
  return s->at < s->end && ((*s->at >= 'A' && *s->at <= 'Z') || (*s->at >= 'a' && *s->at <= 'z'));
}

static void scan_take(Scan *s, char c) {
  if (scan_is(s, c)) s->at++;
  else s->ok = false;
}

static int32_t scan_number(Scan *s, int32_t low, int32_t high) {
  int32_t n = 0;
  if (!scan_digit(s)) s->ok = false;
  for (int digits = 0; scan_digit(s) && digits < 4; digits++) n = n * 10 + (*s->at++ - '0');
  if (scan_digit(s) || n < low || n > high) s->ok = false;
  return n;
}

/* A name of three letters or more, or anything in < >; nobody needs it. */
static void scan_name(Scan *s) {
  const char *start = s->at;
  if (scan_is(s, '<')) {
    while (s->at < s->end && *s->at != '>') s->at++;
    scan_take(s, '>');
    return;
  }
  while (scan_letter(s)) s->at++;
  if (s->at - start < 3) s->ok = false;
}

/* [+-]hh[:mm[:ss]] in seconds. */
static int32_t scan_time(Scan *s, int32_t hours_max) {
  bool negative = scan_is(s, '-');
  if (negative || scan_is(s, '+')) s->at++;
  int32_t seconds = scan_number(s, 0, hours_max) * 3600;
  if (scan_is(s, ':')) {
    s->at++;
    seconds += scan_number(s, 0, 59) * 60;
    if (scan_is(s, ':')) {
      s->at++;
      seconds += scan_number(s, 0, 59);
    }
  }
  return negative ? -seconds : seconds;
}

static YearRule scan_rule(Scan *s) {
  YearRule r = {.kind = 'D', .time = 2 * 3600};
  scan_take(s, ',');
  if (scan_is(s, 'M')) {
    s->at++;
    r.kind = 'M';
    r.month = scan_number(s, 1, 12);
    scan_take(s, '.');
    r.week = scan_number(s, 1, 5);
    scan_take(s, '.');
    r.day = scan_number(s, 0, 6);
  } else {
    if (scan_is(s, 'J')) {
      s->at++;
      r.kind = 'J';
    }
    r.day = scan_number(s, r.kind == 'J' ? 1 : 0, 365);
  }
  if (scan_is(s, '/')) {
    s->at++;
    r.time = scan_time(s, 167);
  }
  return r;
}

/* POSIX counts offsets west of Greenwich. */
static bool rule_parse(Str text, Zone *z) {
  Scan s = {text.at, text.at + text.size, true};
  scan_name(&s);
  z->winter_offset = -scan_time(&s, 24);
  if (s.ok && s.at < s.end) {
    z->summer = true;
    scan_name(&s);
    z->summer_offset = z->winter_offset + 3600;
    if (s.ok && !scan_is(&s, ',')) z->summer_offset = -scan_time(&s, 24);
    z->begin = scan_rule(&s);
    z->end = scan_rule(&s);
  }
  return s.ok && s.at == s.end;
}

/* ---- the file ---------------------------------------------------------------- */

typedef struct Header {
  char version;
  uint32_t isut, isstd, leaps, times, types, chars;
} Header;

static uint64_t big_endian(const char *at, size_t size) {
  uint64_t n = 0;
  for (size_t i = 0; i < size; i++) n = n << 8 | (uint8_t)at[i];
  return n;
}

static bool corrupt(Err *err, const char *what) {
  FAIL(err, ERR_CORRUPT, "the time zone's file makes no sense: %s", what);
  return false;
}

static bool header_read(Str bytes, Header *h, Err *err) {
  if (bytes.size < HEADER_SIZE || memcmp(bytes.at, "TZif", 4) != 0) return corrupt(err, "it does not begin with TZif");
  const char *counts = bytes.at + 20;
  h->version = bytes.at[4];
  h->isut = (uint32_t)big_endian(counts, 4);
  h->isstd = (uint32_t)big_endian(counts + 4, 4);
  h->leaps = (uint32_t)big_endian(counts + 8, 4);
  h->times = (uint32_t)big_endian(counts + 12, 4);
  h->types = (uint32_t)big_endian(counts + 16, 4);
  h->chars = (uint32_t)big_endian(counts + 20, 4);
  bool sizes = h->isut <= TYPES_MAX && h->isstd <= TYPES_MAX && h->leaps <= CHANGES_MAX && h->times <= CHANGES_MAX &&
               h->types >= 1 && h->types <= TYPES_MAX && h->chars <= 65536;
  return sizes || corrupt(err, "a count is out of range");
}

static size_t block_size(const Header *h, size_t time_size) {
  return (size_t)h->times * (time_size + 1) + (size_t)h->types * 6 + h->chars + (size_t)h->leaps * (time_size + 4) +
         h->isstd + h->isut;
}

static bool offset_of_type(const char *types, uint32_t type, int32_t *offset) {
  int32_t n = (int32_t)(uint32_t)big_endian(types + (size_t)type * 6, 4);
  *offset = n;
  return n >= OFFSET_LOW && n <= OFFSET_HIGH;
}

static bool change_read(Zone *z, const char *times, const char *type_of, const char *types, const Header *h,
                        size_t time_size, uint32_t i) {
  uint64_t raw = big_endian(times + i * time_size, time_size);
  uint32_t type = (uint8_t)type_of[i];
  Change *c = &z->changes[i];
  c->at = time_size == 8 ? (int64_t)raw : (int64_t)(int32_t)(uint32_t)raw;
  if (i > 0 && c->at <= z->changes[i - 1].at) return false;
  return type < h->types && offset_of_type(types, type, &c->offset);
}

static bool block_read(Str block, const Header *h, size_t time_size, Zone *z, Err *err) {
  const char *times = block.at, *type_of = times + h->times * time_size, *types = type_of + h->times;
  if (h->leaps > 0) {
    FAIL(err, ERR_INVALID, "the time zone counts leap seconds, as times here do not: take the one without \"right/\"");
    return false;
  }
  if (!offset_of_type(types, 0, &z->first)) return corrupt(err, "an offset from UTC is out of range");
  z->changes = mem_alloc((h->times + 1) * sizeof *z->changes);
  z->count = h->times;
  for (uint32_t i = 0; i < h->times; i++)
    if (!change_read(z, times, type_of, types, h, time_size, i))
      return corrupt(err, "its changes do not rise, or lead nowhere");
  return true;
}

static bool footer_read(Str rest, Zone *z, Err *err) {
  if (rest.size < 2 || rest.at[0] != '\n') return corrupt(err, "it has no footer");
  const char *end = memchr(rest.at + 1, '\n', rest.size - 1);
  if (end == NULL) return corrupt(err, "its footer does not end");
  Str rule = {rest.at + 1, (size_t)(end - rest.at - 1)};
  z->rule = rule.size > 0; /* an empty one: nothing is known of the time after the last change */
  if (z->rule && !rule_parse(rule, z)) return corrupt(err, "its footer is no rule");
  return true;
}

static bool zone_parse(Str bytes, Zone *z, Err *err) {
  Header h;
  if (!header_read(bytes, &h, err)) return false;
  size_t size = block_size(&h, 4);
  if (bytes.size - HEADER_SIZE < size) return corrupt(err, "it ends too early");
  bytes = (Str){bytes.at + HEADER_SIZE, bytes.size - HEADER_SIZE};
  if (h.version < '2') return block_read((Str){bytes.at, size}, &h, 4, z, err);
  bytes = (Str){bytes.at + size, bytes.size - size};
  if (!header_read(bytes, &h, err)) return false;
  size = block_size(&h, 8);
  if (bytes.size - HEADER_SIZE < size) return corrupt(err, "it ends too early");
  bytes = (Str){bytes.at + HEADER_SIZE, bytes.size - HEADER_SIZE};
  return block_read((Str){bytes.at, size}, &h, 8, z, err) &&
         footer_read((Str){bytes.at + size, bytes.size - size}, z, err);
}

bool zone_read(Str bytes, Zone **out, Err *err) {
  Zone *z = MEM_NEW(Zone);
  *out = z;
  if (zone_parse(bytes, z, err)) return true;
  zone_free(z);
  *out = NULL;
  return false;
}

void zone_free(Zone *z) {
  if (z == NULL) return;
  mem_free(z->changes);
  mem_free(z);
}

/* ---- the database ------------------------------------------------------------ */

/* Words of letters, digits, _ + - with / between them: no path out of the database. */
static bool name_fits(Str name) {
  bool word = false;
  if (name.size == 0 || name.size > NAME_MAX_BYTES) return false;
  for (size_t i = 0; i < name.size; i++) {
    char c = name.at[i];
    bool letter = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '+' ||
                  c == '-';
    if (!letter && (c != '/' || !word)) return false;
    word = letter;
  }
  return word;
}

/* True: it was found, in whichever state: *ok. */
static bool zone_in(const char *place, Str name, Zone **out, bool *ok, Err *err) {
  char path[512];
  Buf bytes = {.max = FILE_MAX + 65536};
  int size = snprintf(path, sizeof path, "%s/" STR_FMT, place, STR_ARG(name));
  if (size < 0 || (size_t)size >= sizeof path) return false;
  *ok = file_read(path, FILE_MAX, &bytes, err);
  bool found = *ok || err->code != ERR_NOT_FOUND;
  if (*ok && !zone_read(buf_view(&bytes), out, err)) {
    err_context(err, "%s", path);
    *ok = false;
  }
  buf_deinit(&bytes);
  return found;
}

/* In $TZDIR if that is set, else where systems keep it. */
static bool zone_find(Str name, Zone **out, bool *ok, Err *err) {
  static const char *const places[] = {"/usr/share/zoneinfo", "/usr/lib/zoneinfo", "/usr/share/lib/zoneinfo"};
  const char *own = getenv("TZDIR");
  if (own != NULL && *own != 0) return zone_in(own, name, out, ok, err);
  for (size_t i = 0; i < COUNT_OF(places); i++)
    if (zone_in(places[i], name, out, ok, err)) return true;
  return false;
}

static bool database_exists(void) {
  Zone *utc = NULL;
  Err ignored;
  bool ok, found = zone_find(STR("UTC"), &utc, &ok, &ignored);
  zone_free(utc);
  return found;
}

bool zone_open(Str name, Zone **out, Err *err) {
  bool ok;
  *out = NULL;
  if (name.size == 0 || str_equal(name, STR("UTC"))) {
    *out = MEM_NEW(Zone);
    return true;
  }
  if (!name_fits(name)) {
    if (name.size > NAME_MAX_BYTES) name.size = NAME_MAX_BYTES;
    FAIL(err, ERR_INVALID, "\"" STR_FMT "\" cannot be a time zone's name; they look like Europe/Paris", STR_ARG(name));
    return false;
  }
  if (zone_find(name, out, &ok, err)) return ok;
  if (database_exists()) {
    FAIL(err, ERR_NOT_FOUND, "there is no time zone \"" STR_FMT "\" in this system's database", STR_ARG(name));
    return false;
  }
  FAIL(err, ERR_NOT_FOUND,
       "time zone \"" STR_FMT "\" cannot be used: this system has no time zone database; install tzdata, set TZDIR, or "
       "use UTC",
       STR_ARG(name));
  return false;
}

/* ---- asking ------------------------------------------------------------------ */

static int64_t clamped(int64_t t) { return t < TIME_LOW ? TIME_LOW : t > TIME_HIGH ? TIME_HIGH : t; }

static int64_t day_of(int32_t year, int32_t month, int32_t day) {
  TimeParts p = {.year = year, .month = month, .day = day};
  int64_t us;
  return time_join(&p, &us) ? us / 1000000 / DAY : 0;
}

/* The day on which a rule's change falls in the year, in days since 1970. */
static int64_t rule_day(const YearRule *r, int32_t year) {
  int64_t new_year = day_of(year, 1, 1);
  bool leap = day_of(year, 3, 1) - new_year == 60;
  if (r->kind == 'D') return new_year + r->day;
  if (r->kind == 'J') return new_year + r->day - 1 + (leap && r->day >= 60);
  int64_t first = day_of(year, r->month, 1);
  int64_t next = r->month == 12 ? day_of(year + 1, 1, 1) : day_of(year, r->month + 1, 1);
  int32_t weekday = (int32_t)(((first + 4) % 7 + 7) % 7); /* 1970-01-01 was a Thursday; 0 is Sunday */
  int64_t day = first + (r->day - weekday + 7) % 7 + 7 * (r->week - 1);
  return day < next ? day : day - 7;
}

static int32_t year_of(int64_t utc) {
  TimeParts p;
  if (!time_split(clamped(utc) * 1000000, &p)) return utc < 0 ? 2 : 9997;
  return p.year < 2 ? 2 : p.year > 9997 ? 9997 : p.year;
}

/* The rule's changes of three years around `utc`, in order. Summer time that ends when the next one begins has no
** winter between: of two changes at one moment the one to summer time counts. */
static void rule_changes(const Zone *z, int64_t utc, Change out[6]) {
  int32_t year = year_of(utc) - 1;
  for (int i = 0; i < 6; i++) {
    const YearRule *r = i % 2 ? &z->end : &z->begin;
    int32_t before = i % 2 ? z->summer_offset : z->winter_offset;
    Change c = {rule_day(r, year + i / 2) * DAY + r->time - before, i % 2 ? z->winter_offset : z->summer_offset};
    int at = i;
    for (; at > 0 && (out[at - 1].at > c.at || (out[at - 1].at == c.at && i % 2)); at--) out[at] = out[at - 1];
    out[at] = c;
  }
}

static int32_t rule_offset(const Zone *z, int64_t utc) {
  Change c[6];
  int32_t offset = z->winter_offset;
  if (!z->summer) return offset;
  rule_changes(z, utc, c);
  for (int i = 0; i < 6 && c[i].at <= utc; i++) offset = c[i].offset;
  return offset;
}

/* How many of the changes are at or before utc. */
static uint32_t changes_before(const Zone *z, int64_t utc) {
  uint32_t low = 0, high = z->count;
  while (low < high) {
    uint32_t middle = low + (high - low) / 2;
    if (z->changes[middle].at <= utc) low = middle + 1;
    else high = middle;
  }
  return low;
}

int32_t zone_offset(const Zone *z, int64_t utc) {
  uint32_t n = changes_before(z, utc);
  if (z->rule && n == z->count) return rule_offset(z, clamped(utc));
  return n == 0 ? z->first : z->changes[n - 1].offset;
}

int64_t zone_next_change(const Zone *z, int64_t utc) {
  Change c[6];
  uint32_t n = changes_before(z, utc);
  if (n < z->count) return z->changes[n].at;
  if (!z->rule || !z->summer || utc >= TIME_HIGH - 400 * DAY) return INT64_MAX;
  rule_changes(z, utc, c);
  for (int i = 0; i < 6; i++)
    if (c[i].at > utc) return c[i].at;
  return INT64_MAX;
}

ZoneFit zone_utc(const Zone *z, int64_t local, int64_t *utc, int64_t *again) {
  local = clamped(local);
  int64_t from = local - OFFSET_HIGH, to, at; /* clocks show no more than `local` at `from` */
  for (;; from = to) {
    at = local - zone_offset(z, from);
    to = zone_next_change(z, from);
    if (at < to) break;
  }
  *utc = *again = at < from ? from : at;
  if (at < from) return ZONE_SKIPPED;
  for (from = to; from <= local - OFFSET_LOW; from = to) { /* does it come again? */
    at = local - zone_offset(z, from);
    to = zone_next_change(z, from);
    if (at < from || at >= to) continue;
    *again = at;
    return ZONE_TWICE;
  }
  return ZONE_ONCE;
}
