/* Outcomes on their way to the owner: a queue under a lock, and a descriptor that is readable while it is not empty.
**
** Progress waits there as one item a request and kind: what comes while the owner has not fetched it joins it, so the
** queue is never longer than a few items a request in flight. */
#ifndef Z8_OUTBOX_H
#define Z8_OUTBOX_H

#include <pthread.h>

#include "vm/base/err.h"
#include "vm/effects/effect.h"

typedef struct Outbox {
  pthread_mutex_t lock;
  EffectOutcome *items; /* number n is at n % cap; cap is a power of two */
  uint64_t first, end;
  uint32_t cap;
  int fd;
} Outbox;

MUST_USE bool outbox_init(Outbox *box, Err *err);
void outbox_deinit(Outbox *box);
void outbox_put(Outbox *box, EffectOutcome *o); /* takes the value */
/* Progress; value is taken. `ticket` is 0 at first and kept by the caller for this request and kind. If the last such
** item is still there, the value is appended to its own (`joins`) or takes its place. */
void outbox_progress(Outbox *box, uint64_t *ticket, bool joins, EffectOutcome *o);
bool outbox_take(Outbox *box, EffectOutcome *out); /* false: it is empty */

#endif
