/* The gate: what a call of a model, or of a tool with a limit, passes before it leaves.
**
**             reserve (ledger.h)            admit (limits.h)          commit
**   asked ----------------------> reserved ----------------> chosen --------> sent --outcome--> settled
**     |  \                            \                                          (with the record that
**     |   waits for others to settle   waits in the queue of a limit               answers it)
**     refused: budget_exhausted
**
** A call waits for others, too, where one of them is alone (ledger.h): each that is settled or given up lets those who
** wait be judged anew, in order.
**
** What is asked, reserved and admitted at once is one commit; what has to wait gets a commit of its own before it
** leaves. A call in flight has a row (SPACE_HOLD): after a crash one that was sent is charged as uncertain, once, and
** asked again with a new hold, unless it can be re-attached to; one that was queued goes back to the queue. */
#ifndef Z8_GATE_H
#define Z8_GATE_H

#include "vm/effects/effect.h"
#include "vm/run/run.h"
#include "vm/runtime/scheduler.h"

typedef struct Gate Gate;
struct Slot;

MUST_USE bool gate_new(Scheduler *s, Gate **out, Err *err);
void gate_free(Gate *gate);

/* ---- before the commit ---- */
/* A MODEL effect. `open`: it was asked before this process took its run up. */
void gate_ask(Scheduler *s, struct Slot *slot, const Request *r, bool open);
void gate_admit(Scheduler *s, struct Slot *slot, const Request *r, bool again); /* ADMIT; again: see run_admission */
void gate_drop(Scheduler *s, struct Slot *slot, uint64_t seq);     /* nobody waits for it any more */
void gate_over(Scheduler *s, struct Slot *slot);                   /* the run's last record is in this commit */
void gate_heir(Gate *gate, Str scopes, int change); /* a run within these budgets begins (1), or is over (-1) */
/* The outcome's event was taken by the run: what it cost is in this commit. */
void gate_settle(Scheduler *s, uint64_t run, uint64_t seq);
/* Whose turn has come since others settled. */
void gate_retry(Scheduler *s);
/* BUDGET_LEFT. */
void gate_left(Scheduler *s, const Request *r, Buf *value);

/* ---- after it ---- */
void gate_leave(Scheduler *s, const struct Slot *slot, const Request *r); /* MODEL, ADMIT of this round */
void gate_committed(Scheduler *s); /* what was chosen from a queue leaves */

/* ---- between rounds ---- */
void gate_collect(Scheduler *s, int64_t now_us); /* whose time has come */
int64_t gate_next_due(Scheduler *s);             /* 0: nothing by itself */
/* What the request brought on its way. */
void gate_progress(Scheduler *s, const EffectOutcome *o);
/* A lost call that can be taken up where it was is sent again; true: this outcome is not its last. */
bool gate_take_up(Scheduler *s, const EffectOutcome *o);
/* Is it the outcome of a call that was sent? Then what it cost is known from now on, until gate_settle. */
bool gate_outcome(Scheduler *s, const EffectOutcome *o);
void gate_forget(struct Slot *slot); /* it goes; calls of it that were sent stay */
bool gate_failed(const Gate *gate);  /* the store could not be read */

/* Does one of its calls wait here, for a limit or a budget? Then it may leave memory at once. */
bool gate_queued(const struct Slot *slot);
#endif
