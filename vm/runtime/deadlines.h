/* Moments by which something must have happened, soonest first: a heap of records that live in what waits.
** Setting and dropping cost a few comparisons; nothing is allocated for one. The caller owns the records and
** drops one before it goes. Private to vm/runtime. */
#ifndef Z8_DEADLINES_H
#define Z8_DEADLINES_H

#include "vm/base/base.h"

typedef struct Deadline {
  int64_t due_us;
  uint32_t place; /* in the heap, from 1; 0: not in it */
} Deadline;

typedef struct Deadlines {
  Deadline **at;
  uint32_t count, cap;
} Deadlines;

void deadlines_deinit(Deadlines *d); /* the records are their owners' */
void deadlines_set(Deadlines *d, Deadline *deadline, int64_t due_us); /* moves it if it is in already */
void deadlines_drop(Deadlines *d, Deadline *deadline);                /* fine if it is not in */
static inline Deadline *deadlines_first(const Deadlines *d) { return d->count > 0 ? d->at[0] : NULL; }

#endif
