/* What people are asked by runs: `approve`. A row (SPACE_APPROVAL) from the commit of the question to the commit of the
** answer, whoever gives it: a person, or the time that was set. A run that waits for one is parked, not stuck. */
#ifndef Z8_APPROVALS_H
#define Z8_APPROVALS_H

#include "vm/run/run.h"
#include "vm/runtime/scheduler.h"

typedef struct Approval {
  Uuid run;
  uint64_t number, seq; /* the run's; the question's */
  Str entry, tenant, tool, question;
  Str arguments; /* encoded: a record, or a map */
  Hash256 hash;  /* SHA-256 of arguments */
  int64_t asked_us, due_us; /* due 0: never */
} Approval;
/* In order of run and question; without those of runs that mail tells to be cancelled. */
MUST_USE bool approvals_each(Store *store, bool (*each)(void *context, const Approval *approval), void *context,
                             Err *err);
MUST_USE bool approval_get(Store *store, Uuid run, uint64_t seq, Approval *out, Buf *keep, Err *err); /* NOT_FOUND */

typedef struct ApprovalDecision {
  Uuid run;
  uint64_t seq;
  Str verdict;   /* "approved" "denied" "edited" */
  Str arguments; /* edited: JSON object of the arguments that change; else at == NULL */
  Str by, why;   /* why: or at == NULL */
} ApprovalDecision;
/* Somebody asked to cancel the run, and it is not over: what it asked is not to be decided any more. err says so. */
bool approvals_cancelled(Store *store, const RunRow *row, Err *err);
/* Delivers it: through the scheduler if there is one, else to a run that nobody runs. ERR_NOT_FOUND: nothing waits
** there (any more). ERR_INVALID: its time is over, its run is to be cancelled, or what was edited does not fit. */
MUST_USE bool approval_decide(Scheduler *s, Node *node, const ApprovalDecision *decision, Err *err);

/* ---- private to vm/runtime ---- */
struct Slot;
/* Before the commit; `open`: it may have its row already. */
void approval_ask(Scheduler *s, struct Slot *slot, const Request *r, bool open);
void approval_leave(Scheduler *s, struct Slot *slot, const Request *r); /* after it: its timer */
void approval_drop(Scheduler *s, struct Slot *slot, uint64_t seq);
/* Of a run that nobody runs: the rows of what it does not ask any more, to go in the commit that has why. */
typedef struct ApprovalsGone {
  Buf keys; /* owned */
  KvRow *rows; /* owned */
  uint32_t count, cap;
} ApprovalsGone;
MUST_USE bool approvals_gone(Store *store, Uuid run, const RunOutput *open, ApprovalsGone *out, Err *err);
void approvals_gone_deinit(ApprovalsGone *gone);
void approvals_over(Scheduler *s, struct Slot *slot); /* the run is */
bool approvals_wait(Scheduler *s); /* does one of this scheduler's runs wait for one? */
/* {verdict, arguments, by, why}; parts that are absent are nil. */
void approval_answer(Str verdict, Str arguments, Str by, Str why, Buf *out);
/* The arguments with those of an encoded map in their place, made a record of the same shape by the run's program. */
MUST_USE bool approval_edited(const Program *program, Str arguments, Str changes, Buf *out, Err *err);
#endif
