/* Time zones: how far the clocks of a place are from UTC, and when that changes.
**
** The system's database is read (TZif, RFC 8536: its transitions, and its footer, a POSIX rule, for all that comes
** after the last of them). Its bytes are trusted no more than any others. "UTC" needs no database and always works.
** This is the one place in vm/base whose answers depend on the machine: nothing that is replayed may use it. */
#ifndef Z8_ZONE_H
#define Z8_ZONE_H

#include "vm/base/base.h"
#include "vm/base/err.h"

typedef struct Zone Zone;

/* A zone by its name in the database, "Europe/Paris"; "" and "UTC" are UTC. The database is where $TZDIR says, else
** in the system's usual places. ERR_INVALID: that cannot be a zone's name; ERR_NOT_FOUND: the database has none of
** that name, or is not installed, and the message says which; ERR_CORRUPT: its file makes no sense. */
MUST_USE bool zone_open(Str name, Zone **out, Err *err);
/* From the bytes of a TZif file; they are the caller's again at once. */
MUST_USE bool zone_read(Str bytes, Zone **out, Err *err);
void zone_free(Zone *z); /* NULL is fine */

/* Seconds to add to UTC for what clocks show; times are seconds since 1970. */
int32_t zone_offset(const Zone *z, int64_t utc);
/* The first time after `utc` at which the offset may change; INT64_MAX: never. */
int64_t zone_next_change(const Zone *z, int64_t utc);

typedef enum {
  ZONE_ONCE,
  ZONE_SKIPPED, /* clocks never show it: *utc is the moment at which they were put forward over it */
  ZONE_TWICE    /* clocks were put back: *utc is the first of the two, *again the second */
} ZoneFit;
/* When clocks show `local` (seconds since 1970, as if it were UTC). */
ZoneFit zone_utc(const Zone *z, int64_t local, int64_t *utc, int64_t *again);

#endif
