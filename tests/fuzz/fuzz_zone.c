/* Any bytes as a TZif file, or as a cron expression: refused, or what is asked of it holds together. */
#include <stdlib.h>
#include "vm/base/cron_times.h"
#include "vm/base/zone.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_local(const Zone *z, int64_t local) {
  int64_t utc, again;
  ZoneFit fit = zone_utc(z, local, &utc, &again);
  int64_t shown = utc + zone_offset(z, utc);
  if (fit == ZONE_SKIPPED ? shown <= local : shown != local) abort();
  if (fit == ZONE_TWICE && (again <= utc || again + zone_offset(z, again) != local)) abort();
  if (fit == ZONE_SKIPPED && utc - 1 + zone_offset(z, utc - 1) >= local) abort();
}

static void check_zone(Str bytes) {
  static const int64_t times[] = {INT64_MIN, -5000000000, -1, 0, 1000000000, 1790000000, 4000000000, INT64_MAX};
  Zone *z;
  Err err;
  if (!zone_read(bytes, &z, &err)) return;
  for (size_t i = 0; i < sizeof times / sizeof *times; i++) {
    int32_t offset = zone_offset(z, times[i]);
    if (offset < -90000 || offset > 94000) abort();
    int64_t next = zone_next_change(z, times[i]);
    if (next <= times[i] && times[i] != INT64_MAX) abort();
  }
  for (int64_t local = 1700000000; local < 1800000000; local += 4999999) check_local(z, local);
  zone_free(z);
}

static void check_cron(Str text) {
  CronTimes *c;
  Err err;
  int64_t at = INT64_C(1790000000000000);
  if (!cron_parse(text, (Str){0}, &c, &err)) return;
  for (int i = 0; i < 20 && at != 0; i++) {
    int64_t next = cron_next(c, at);
    if (next != 0 && (next <= at || next % 60000000 != 0)) abort();
    at = next;
  }
  cron_free(c);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  Str bytes = {(const char *)data, size};
  if (size > 0 && data[0] == 'T') check_zone(bytes);
  else check_cron(bytes);
  return 0;
}
