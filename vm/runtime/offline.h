/* What can be done to a run while no process runs it: an event is put in its journal, and the
** next `recover` goes on from there. And reading a run again without touching anything. */
#ifndef Z8_OFFLINE_H
#define Z8_OFFLINE_H

#include "vm/run/run.h"
#include "vm/runtime/node.h"

/* Walks the run's history, puts the event at its end and commits. Nothing is executed beyond. A run that was
** interrupted in the middle of a step must finish that first: the event is kept as mail (mail.h). */
MUST_USE bool offline_deliver(Node *node, const RunRow *row, Record *event, Err *err);
/* And changes an entry of the store with it; `also` may be NULL. */
MUST_USE bool offline_deliver_with(Node *node, const RunRow *row, Record *event, KvRow *also, Err *err);

typedef struct Replayed {
  Run *run;          /* where its history ends; owned: run_free */
  StepResult result; /* ENDED, HISTORY_END, WAITING or DIVERGED */
  uint64_t records;  /* walked */
  Hash256 state;     /* of machine and run there */
} Replayed;
/* Re-runs history, its own code or `program` (NULL: its own), performing nothing and writing
 * nothing. */
MUST_USE bool offline_replay(Node *node, const RunRow *row, const Program *program, bool switch_vm,
                             Replayed *out, Err *err);

/* Records of a run from first to last, as stored; `each` returns false to stop. */
MUST_USE bool offline_records(Store *store, uint64_t number,
                              bool (*each)(void *context, const Record *record), void *context,
                              Err *err);

#endif
