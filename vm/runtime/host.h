/* What a run may read of the node without waiting: the clock, the environment,
** which secrets there are; and a run's configuration.
**
** The clock is the system's, or with a seed a virtual one: it stands still but for
** a microsecond at each reading of a run, and moves to the next timer when nothing
** else can happen. Readings are counted per run and rounds end at the latest of
** them, so no reading depends on what another thread did. */
#ifndef Z8_HOST_H
#define Z8_HOST_H

#include "vm/run/run.h"
#include "vm/runtime/node.h"

typedef struct Clock {
  bool virtual_time;
  int64_t now_us; /* virtual: as of this round */
} Clock;

typedef struct Host {
  RunHost calls; /* given to the run; context is this Host */
  Node *node;
  const Clock *clock;
  int64_t readings; /* virtual: in this round */
} Host;

void clock_begin(Clock *clock, bool virtual_time);
int64_t clock_now(const Clock *clock);
void host_init(Host *host, Node *node, const Clock *clock);
/* At the end of a round: the virtual clock is now at the latest reading. */
void host_settle(Host *host, int64_t *latest_us);

/* The values of a bundle's `config` declarations: Z8_NAME in the environment, else the default, as an encoded map.
** ERR_INVALID names what is missing or does not fit its type. */
/* `args`: an encoded array for args(), or empty. */
MUST_USE bool config_read(const Bundle *bundle, Str args, Buf *out, Err *err);

#endif
