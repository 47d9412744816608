/* Cron expressions: `0 6 * * mon-fri` as moments of time.
**
** Five fields: minute 0-59, hour 0-23, day of the month 1-31, month 1-12 or jan-dec, day of the week 0-7 or
** sun-sat (0 and 7 are Sunday). Each is `*`, a number or name, a range a-b, any of them with a step `/n`, or a list of
** such with commas. As in Vixie's cron a day fits when either day field does, if neither begins with `*`, and else when
** both do. @hourly @daily @midnight @weekly @monthly @yearly @annually stand for expressions.
**
** Clocks that change: a time that the change to summer time skips is taken at the first moment after it; one that
** comes twice is taken once, but where the hour is `*` both times: who says "every five minutes" means it. */
#ifndef Z8_CRON_TIMES_H
#define Z8_CRON_TIMES_H

#include "vm/base/base.h"
#include "vm/base/err.h"

typedef struct CronTimes CronTimes;

/* zone: a name in the system's database (zone.h), "" for UTC. ERR_INVALID says which field is wrong, how, and what it
** may be, also of dates that never come (31 February); the errors of zone_open are those of the zone. */
MUST_USE bool cron_parse(Str text, Str zone, CronTimes **out, Err *err);
void cron_free(CronTimes *c); /* NULL is fine */
/* The next time strictly after `after_us`, in microseconds since 1970; 0: none before the year 9999. */
int64_t cron_next(const CronTimes *c, int64_t after_us);

#endif
