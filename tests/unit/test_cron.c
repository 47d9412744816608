/* vm/base/zone.h, vm/base/cron_times.h: TZif, its footer, and the times of cron expressions. */
#include "test.h"

#include <stdlib.h>
#include <unistd.h>

#include "vm/base/cron_times.h"
#include "vm/base/file.h"
#include "vm/base/text.h"
#include "vm/base/zone.h"

/* ---- a TZif file made by hand ------------------------------------------------------ */

static void put_number(Buf *out, uint64_t n, int size) {
  for (int i = size - 1; i >= 0; i--) buf_byte(out, (uint8_t)(n >> (8 * i)));
}

static void put_header(Buf *out, char version, uint32_t leaps, uint32_t times, uint32_t types) {
  static const char reserved[15];
  buf_text(out, "TZif");
  buf_byte(out, (uint8_t)version);
  buf_put(out, reserved, sizeof reserved);
  uint32_t counts[6] = {0, 0, leaps, times, types, 4};
  for (int i = 0; i < 6; i++) put_number(out, counts[i], 4);
}

typedef struct Shift {
  int64_t at;
  uint8_t type;
} Shift;

/* Types: 0 is +1 h, 1 is +2 h. */
static void zone_file(Buf *out, const Shift *shifts, uint32_t count, const char *footer) {
  *out = (Buf){0};
  put_header(out, '2', 0, 0, 1);
  put_number(out, 0, 4), put_number(out, 0, 2), buf_put(out, "ABC", 4);
  put_header(out, '2', 0, count, 2);
  for (uint32_t i = 0; i < count; i++) put_number(out, (uint64_t)shifts[i].at, 8);
  for (uint32_t i = 0; i < count; i++) buf_byte(out, shifts[i].type);
  for (uint32_t i = 0; i < 2; i++) put_number(out, 3600 * (i + 1), 4), buf_byte(out, (uint8_t)i), buf_byte(out, 0);
  buf_put(out, "ABC", 4);
  buf_format(out, "\n%s\n", footer);
}

static Zone *zone_of(const Shift *shifts, uint32_t count, const char *footer) {
  Buf file;
  Zone *z = NULL;
  Err err = {0};
  zone_file(&file, shifts, count, footer);
  bool ok = zone_read(buf_view(&file), &z, &err);
  if (!ok) fprintf(stderr, "%s\n", err.text);
  CHECK(ok);
  buf_deinit(&file);
  return z;
}

static bool footer_good(const char *footer) {
  Buf file;
  Zone *z = NULL;
  Err err = {0};
  zone_file(&file, NULL, 0, footer);
  bool ok = zone_read(buf_view(&file), &z, &err);
  CHECK(ok || err.code == ERR_CORRUPT);
  zone_free(z);
  buf_deinit(&file);
  return ok;
}

static int64_t seconds(const char *text) {
  int64_t us = 0;
  CHECK(time_parse(str_of(text), &us));
  return us / 1000000;
}

/* ---- zones ------------------------------------------------------------------------------ */

static void zones_from_changes_and_footer(void) {
  Shift shifts[] = {{seconds("2001-03-25T01:00:00Z"), 1}, {seconds("2001-10-28T01:00:00Z"), 0}};
  Zone *z = zone_of(shifts, 2, "CET-1CEST,M3.5.0,M10.5.0/3");
  CHECK(zone_offset(z, seconds("1990-07-01T00:00:00Z")) == 3600); /* before the first change: type 0 */
  CHECK(zone_offset(z, seconds("2001-03-25T00:59:59Z")) == 3600);
  CHECK(zone_offset(z, seconds("2001-03-25T01:00:00Z")) == 7200);
  CHECK(zone_offset(z, seconds("2001-12-01T00:00:00Z")) == 3600);
  CHECK(zone_offset(z, seconds("2026-03-29T00:59:59Z")) == 3600); /* the footer's rule */
  CHECK(zone_offset(z, seconds("2026-03-29T01:00:00Z")) == 7200);
  CHECK(zone_offset(z, seconds("2026-10-25T00:59:59Z")) == 7200);
  CHECK(zone_offset(z, seconds("2026-10-25T01:00:00Z")) == 3600);
  CHECK(zone_offset(z, seconds("9990-07-01T00:00:00Z")) == 7200);
  CHECK(zone_next_change(z, seconds("2026-04-01T00:00:00Z")) == seconds("2026-10-25T01:00:00Z"));
  CHECK(zone_next_change(z, seconds("2026-12-31T00:00:00Z")) == seconds("2027-03-28T01:00:00Z"));
  zone_free(z);
}

static void local_times(void) {
  Zone *z = zone_of(NULL, 0, "CET-1CEST,M3.5.0,M10.5.0/3");
  int64_t utc, again;
  CHECK(zone_utc(z, seconds("2026-06-01T12:00:00Z"), &utc, &again) == ZONE_ONCE);
  CHECK(utc == seconds("2026-06-01T10:00:00Z"));
  CHECK(zone_utc(z, seconds("2026-03-29T02:30:00Z"), &utc, &again) == ZONE_SKIPPED);
  CHECK(utc == seconds("2026-03-29T01:00:00Z"));
  CHECK(zone_utc(z, seconds("2026-03-29T03:00:00Z"), &utc, &again) == ZONE_ONCE);
  CHECK(utc == seconds("2026-03-29T01:00:00Z"));
  CHECK(zone_utc(z, seconds("2026-10-25T02:30:00Z"), &utc, &again) == ZONE_TWICE);
  CHECK(utc == seconds("2026-10-25T00:30:00Z") && again == seconds("2026-10-25T01:30:00Z"));
  CHECK(zone_utc(z, seconds("2026-10-25T03:00:00Z"), &utc, &again) == ZONE_ONCE);
  zone_free(z);
}

static void footers(void) {
  CHECK(footer_good(""));
  CHECK(footer_good("UTC0"));
  CHECK(footer_good("<-03>3"));
  CHECK(footer_good("IST-5:30"));
  CHECK(footer_good("<-02>2<-01>,M3.5.0/-1,M10.5.0/0"));
  CHECK(footer_good("XXX3EDT4,0/0,J365/23")); /* summer time all the year */
  CHECK(footer_good("AEST-10AEDT,M10.1.0,M4.1.0/3"));
  const char *const bad[] = {"X",  "UTC",        "UTC25",   "CET-1CEST",           "CET-1CEST,M13.1.0,M10.5.0",
                             "1",  "CET-1CEST,", "CET-1 x", "CET-1CEST,J0,J365",   "CET-1CEST,M3.5.0,M10.5.0/999",
                             "<X", "CET-1:99",   ",",       "CET-1CEST,M3.6.0,J1", "CET-99999999999"};
  for (size_t i = 0; i < COUNT_OF(bad); i++) CHECK(!footer_good(bad[i]));
  Zone *z = zone_of(NULL, 0, "XXX3EDT4,0/0,J365/23"); /* RFC 8536: no winter between two summers */
  CHECK(zone_offset(z, seconds("2026-01-01T04:00:00Z")) == -4 * 3600);
  CHECK(zone_offset(z, seconds("2026-07-01T00:00:00Z")) == -4 * 3600);
  CHECK(zone_offset(z, seconds("2026-12-31T23:30:00Z")) == -4 * 3600);
  zone_free(z);
  z = zone_of(NULL, 0, "AEST-10AEDT,M10.1.0,M4.1.0/3"); /* the south */
  CHECK(zone_offset(z, seconds("2026-01-01T00:00:00Z")) == 11 * 3600);
  CHECK(zone_offset(z, seconds("2026-07-01T00:00:00Z")) == 10 * 3600);
  zone_free(z);
}

/* Every prefix of a file and every byte changed: refused or read, and nothing else. */
static void damaged_zones(void) {
  Shift shifts[] = {{100, 1}, {200, 0}, {300, 1}};
  Buf file;
  Zone *z;
  Err err;
  int64_t utc, again;
  zone_file(&file, shifts, 3, "CET-1CEST,M3.5.0,M10.5.0/3");
  for (size_t size = 0; size < file.size; size++) {
    char *copy = malloc(size + 1); /* so that reading past it is seen */
    memcpy(copy, file.at, size);
    CHECK(!zone_read((Str){copy, size}, &z, &err));
    free(copy);
  }
  for (size_t i = 0; i < file.size; i++) {
    for (int bit = 0; bit < 8; bit += 3) {
      file.at[i] = (char)(file.at[i] ^ (1 << bit));
      if (zone_read(buf_view(&file), &z, &err)) {
        CHECK(zone_offset(z, 0) > -90000 && zone_offset(z, INT64_MAX) < 94000);
        (void)zone_utc(z, 1790000000, &utc, &again);
        (void)zone_next_change(z, INT64_MIN / 2);
        zone_free(z);
      }
      file.at[i] = (char)(file.at[i] ^ (1 << bit));
    }
  }
  Shift falling[] = {{200, 1}, {100, 0}};
  buf_deinit(&file);
  zone_file(&file, falling, 2, "");
  CHECK(!zone_read(buf_view(&file), &z, &err) && err.code == ERR_CORRUPT);
  buf_deinit(&file);
}

static void zone_names(void) {
  Zone *z;
  Err err = {0};
  CHECK(zone_open(STR("UTC"), &z, &err) && zone_offset(z, 1790000000) == 0);
  CHECK(zone_next_change(z, 0) == INT64_MAX);
  zone_free(z);
  CHECK(zone_open(STR(""), &z, &err));
  zone_free(z);
  const char *const bad[] = {"../passwd", "/etc/passwd", "Europe//Paris", "a b", "Europe/", "/", ".", "a\nb"};
  for (size_t i = 0; i < COUNT_OF(bad); i++) {
    CHECK(!zone_open(str_of(bad[i]), &z, &err) && err.code == ERR_INVALID);
    CHECK(strstr(err.text, "look like Europe/Paris") != NULL);
  }
}

/* A database of our own with one zone, and one that is not there. */
static void zone_database(void) {
  char dir[] = "/tmp/z8-zones-XXXXXX", path[100];
  Buf file;
  Zone *z;
  Err err = {0};
  CHECK(mkdtemp(dir) != NULL);
  setenv("TZDIR", dir, 1);
  CHECK(!zone_open(STR("Europe/Paris"), &z, &err) && err.code == ERR_NOT_FOUND);
  CHECK(strstr(err.text, "install tzdata") != NULL);
  zone_file(&file, NULL, 0, "CET-1CEST,M3.5.0,M10.5.0/3");
  snprintf(path, sizeof path, "%s/Here", dir);
  CHECK(file_write(path, buf_view(&file), &err));
  CHECK(zone_open(STR("Here"), &z, &err) && zone_offset(z, seconds("2026-07-01T00:00:00Z")) == 7200);
  zone_free(z);
  snprintf(path, sizeof path, "%s/UTC", dir);
  CHECK(file_write(path, STR("TZif nonsense"), &err));
  CHECK(!zone_open(STR("Europe/Paris"), &z, &err) && strstr(err.text, "there is no time zone") != NULL);
  snprintf(path, sizeof path, "%s/Bad", dir);
  CHECK(file_write(path, STR("TZif nonsense"), &err));
  CHECK(!zone_open(STR("Bad"), &z, &err) && err.code == ERR_CORRUPT && strstr(err.text, "Bad: ") != NULL);
  snprintf(path, sizeof path, "rm -r %s", dir);
  CHECK(system(path) == 0);
  unsetenv("TZDIR");
  buf_deinit(&file);
}

/* ---- cron expressions --------------------------------------------------------------------- */

/* The next `count` times after `from`, joined by spaces, must be `want`. With a database of our own: "Here". */
static void expect_times(const char *cron, const char *zone, const char *from, const char *want) {
  CronTimes *c;
  Err err = {0};
  int64_t at = 0;
  Buf got = {0};
  CHECK(time_parse(str_of(from), &at));
  if (!cron_parse(str_of(cron), str_of(zone), &c, &err)) {
    fprintf(stderr, "%s: %s\n", cron, err.text);
    CHECK(false);
    return;
  }
  for (size_t count = (strlen(want) + 1) / 21; count > 0; count--) {
    at = cron_next(c, at);
    time_print(at, &got);
    if (count > 1) buf_byte(&got, ' ');
  }
  CHECK_STR(buf_view(&got), str_of(want));
  buf_deinit(&got);
  cron_free(c);
}

static void cron_fields(void) {
  expect_times("0 6 * * *", "", "2026-11-20T05:59:59Z", "2026-11-20T06:00:00Z 2026-11-21T06:00:00Z");
  expect_times("0 6 * * *", "UTC", "2026-11-20T06:00:00Z", "2026-11-21T06:00:00Z");
  expect_times("*/20 * * * *", "", "2026-11-20T23:30:00.5Z", "2026-11-20T23:40:00Z 2026-11-21T00:00:00Z");
  expect_times("5/20 * * * *", "", "2026-11-20T00:00:00Z", "2026-11-20T00:05:00Z 2026-11-20T00:25:00Z");
  expect_times("0 9-17/4 * * mon-fri", "", "2026-11-20T13:00:00Z", "2026-11-20T17:00:00Z 2026-11-23T09:00:00Z");
  expect_times("15,45 0 1 jan,JUL *", "", "2026-11-20T00:00:00Z",
               "2027-01-01T00:15:00Z 2027-01-01T00:45:00Z 2027-07-01T00:15:00Z");
  expect_times("0 0 29 2 *", "", "2026-11-20T00:00:00Z", "2028-02-29T00:00:00Z 2032-02-29T00:00:00Z");
  expect_times("0 0 * * fri-sun", "", "2026-11-20T00:00:00Z",
               "2026-11-21T00:00:00Z 2026-11-22T00:00:00Z 2026-11-27T00:00:00Z");
  expect_times("0 0 * * 7", "", "2026-11-20T00:00:00Z", "2026-11-22T00:00:00Z");
  expect_times("0 0 * * 0", "", "2026-11-20T00:00:00Z", "2026-11-22T00:00:00Z");
  expect_times("  0  0 \t1 * *  ", "", "2026-11-20T00:00:00Z", "2026-12-01T00:00:00Z");
}

/* Vixie's rule: both day fields restricted: either will do; one begins with a star: both must fit. */
static void cron_day_rule(void) {
  expect_times("0 0 13 * fri", "", "2026-11-12T12:00:00Z",
               "2026-11-13T00:00:00Z 2026-11-20T00:00:00Z 2026-11-27T00:00:00Z 2026-12-04T00:00:00Z "
               "2026-12-11T00:00:00Z 2026-12-13T00:00:00Z");
  expect_times("0 0 */2 * mon", "", "2026-11-02T12:00:00Z", "2026-11-09T00:00:00Z 2026-11-23T00:00:00Z");
  expect_times("0 0 29 2 */7", "", "2026-11-02T12:00:00Z", "2032-02-29T00:00:00Z 2060-02-29T00:00:00Z");
}

static void cron_nicknames(void) {
  expect_times("@hourly", "", "2026-11-20T23:30:00Z", "2026-11-21T00:00:00Z");
  expect_times("@daily", "", "2026-11-20T23:30:00Z", "2026-11-21T00:00:00Z");
  expect_times("@weekly", "", "2026-11-20T23:30:00Z", "2026-11-22T00:00:00Z");
  expect_times("@monthly", "", "2026-11-20T23:30:00Z", "2026-12-01T00:00:00Z");
  expect_times("@yearly", "", "2026-11-20T23:30:00Z", "2027-01-01T00:00:00Z");
}

static void cron_clock_changes(void) {
  char dir[] = "/tmp/z8-zones-XXXXXX", path[100];
  Buf file;
  Err err = {0};
  CHECK(mkdtemp(dir) != NULL);
  setenv("TZDIR", dir, 1);
  zone_file(&file, NULL, 0, "CET-1CEST,M3.5.0,M10.5.0/3");
  snprintf(path, sizeof path, "%s/Here", dir);
  CHECK(file_write(path, buf_view(&file), &err));
  buf_deinit(&file);
  /* 02:30 is skipped: at the first moment after it */
  expect_times("30 2 * * *", "Here", "2026-03-28T00:00:00Z",
               "2026-03-28T01:30:00Z 2026-03-29T01:00:00Z 2026-03-30T00:30:00Z");
  /* several that are skipped are one, and one that the change falls on is not taken again */
  expect_times("0,20,40 2,3 * * *", "Here", "2026-03-29T00:00:00Z", "2026-03-29T01:00:00Z 2026-03-29T01:20:00Z");
  /* 02:30 comes twice: taken once */
  expect_times("30 2 * * *", "Here", "2026-10-24T12:00:00Z", "2026-10-25T00:30:00Z 2026-10-26T01:30:00Z");
  expect_times("30 2 * * *", "Here", "2026-10-25T01:10:00Z", "2026-10-26T01:30:00Z");
  /* where the hour is `*` time goes on */
  expect_times("*/30 * * * *", "Here", "2026-10-25T00:00:00Z",
               "2026-10-25T00:30:00Z 2026-10-25T01:00:00Z 2026-10-25T01:30:00Z 2026-10-25T02:00:00Z");
  expect_times("0 6 * * *", "Here", "2026-10-24T12:00:00Z", "2026-10-25T05:00:00Z");
  expect_times("0 6 * * *", "Here", "2026-07-01T12:00:00Z", "2026-07-02T04:00:00Z");
  snprintf(path, sizeof path, "rm -r %s", dir);
  CHECK(system(path) == 0);
  unsetenv("TZDIR");
}

static void expect_error(const char *cron, const char *part) {
  CronTimes *c = NULL;
  Err err = {0};
  bool ok = cron_parse(str_of(cron), STR(""), &c, &err);
  CHECK(!ok && err.code == ERR_INVALID && strstr(err.text, part) != NULL);
  if (ok || strstr(err.text, part) == NULL) fprintf(stderr, "%s: %s\n", cron, ok ? "parsed" : err.text);
  cron_free(c);
}

static void cron_errors(void) {
  expect_error("", "fewer than five");
  expect_error("* * * *", "fewer than five");
  expect_error("* * * * * *", "more than five");
  expect_error("60 * * * *", "the minute \"60\"");
  expect_error("* 24 * * *", "the hour \"24\"");
  expect_error("* * 0 * *", "the day of the month \"0\"");
  expect_error("* * * 13 *", "1-12 or jan-dec");
  expect_error("* * * * 8", "0-7 or sun-sat");
  expect_error("* * * mon *", "neither a number nor a name");
  expect_error("5-1 * * * *", "ends before it begins");
  expect_error("*/0 * * * *", "step");
  expect_error("*/x * * * *", "step");
  expect_error("1, * * * *", "neither a number nor a name");
  expect_error("-5 * * * *", "neither a number nor a name");
  expect_error("1-2-3 * * * *", "neither a number nor a name");
  expect_error("99999999999 * * * *", "neither a number nor a name");
  expect_error("0 0 31 2 *", "no calendar has");
  expect_error("0 0 30,31 feb *", "no calendar has");
  expect_error("0 0 31 4,6,9,11 *", "no calendar has");
  expect_error("@reboot", "none of @hourly");
  CronTimes *c = NULL;
  Err err = {0};
  CHECK(!cron_parse(STR("@daily"), STR("No/Where"), &c, &err) && err.code == ERR_NOT_FOUND && c == NULL);
}

static void cron_ends(void) {
  CronTimes *c;
  Err err = {0};
  CHECK(cron_parse(STR("@yearly"), STR(""), &c, &err));
  CHECK(cron_next(c, INT64_MAX) == 0);
  CHECK(cron_next(c, INT64_MIN) == 0);
  CHECK(cron_next(c, seconds("9998-06-01T00:00:00Z") * 1000000) == 0);
  CHECK(cron_next(c, 0) == INT64_C(31536000000000));
  cron_free(c);
}

int main(void) {
  RUN_TEST(zones_from_changes_and_footer);
  RUN_TEST(local_times);
  RUN_TEST(footers);
  RUN_TEST(damaged_zones);
  RUN_TEST(zone_names);
  RUN_TEST(zone_database);
  RUN_TEST(cron_fields);
  RUN_TEST(cron_day_rule);
  RUN_TEST(cron_nicknames);
  RUN_TEST(cron_clock_changes);
  RUN_TEST(cron_errors);
  RUN_TEST(cron_ends);
  return TEST_END();
}
