/* Jobs: rows of the store, each done by one run, through queues.
**
** A waiting job is a row and nothing else. When its queue has room it is leased (a rising token, and the
** attempt's number, in the same commit in which its run begins or goes on) and holds a place in the queue until the
** attempt ends. Between attempts it is a row again, its run parked. Of all that is due the queue takes the lowest
** priority number first, then the earliest; one that has waited long rises (a minute a step), so that nothing starves.
** After a crash the leases of the dead process are void: executing jobs go on where their runs stood.
**
** Enqueuing is part of whoever asks: its row is in the same commit as the command, decision or outside call. */
#ifndef Z8_JOBS_H
#define Z8_JOBS_H

#include "vm/base/cron_times.h" /* cron_parse, cron_next: the times of `every` */
#include "vm/runtime/app.h"

typedef struct NewJob {
  uint32_t worker;      /* in the active bundle */
  Str data;             /* encoded, admitted */
  Str options;          /* encoded map {schedule_in, at, priority, queue}, nil, or empty */
  Uuid id;              /* what follows from the command; zero: a new one */
  Str tenant, actor;
  Uuid causation, correlation;
} NewJob;
typedef struct JobPlaced {
  Uuid id;        /* the job's; of the one that holds the unique key where there was one */
  bool conflict;  /* there was one */
} JobPlaced;
/* ERR_INVALID: the options make no sense, the message says why. Nothing is in the group then. */
MUST_USE bool jobs_check(Jobs *jobs, uint32_t worker, Str options, Err *err);
/* Puts the job's row into the round's group; its errors are those of jobs_check, and of a store that cannot be read. */
MUST_USE bool jobs_place(Jobs *jobs, const NewJob *job, JobPlaced *placed, Err *err);
/* From outside: admits the data (a map or record), places it; `done` when durable. */
MUST_USE bool jobs_enqueue(App *app, Str worker, Str data, Str options, Str tenant, Str actor,
                           void (*done)(void *context, bool ok, Str value /* encoded id text, or error */),
                           void *context, Err *err);

Jobs *jobs_new(App *app);
void jobs_free(Jobs *jobs);
MUST_USE bool jobs_activate(Jobs *jobs, Err *err);
MUST_USE bool jobs_collect(Jobs *jobs, int64_t now_us, Err *err);
bool jobs_ask(Jobs *jobs, struct Slot *slot, const Request *r, Buf *value, const char **outcome); /* ENQUEUE */
void jobs_attempt(Jobs *jobs, struct Slot *slot, const Request *r);
void jobs_over(Jobs *jobs, struct Slot *slot);
MUST_USE bool jobs_committed(Jobs *jobs, Err *err);
bool jobs_ready(const Jobs *jobs);
int64_t jobs_next_due(Jobs *jobs);

/* ---- what a person does, by CLI or control room; each is one commit ---- */
typedef struct QueueInfo {
  Str name;
  uint32_t concurrency, global, executing;
  bool paused, scaled; /* scaled: an operator set the concurrency */
  uint64_t available;
  int64_t next_due_us;
} QueueInfo;
MUST_USE bool queues_each(App *app, bool (*each)(void *context, const QueueInfo *info), void *context, Err *err);
MUST_USE bool queue_pause(App *app, Str queue, bool paused, Err *err);
MUST_USE bool queue_scale(App *app, Str queue, uint32_t concurrency, Err *err); /* 0: as declared */
/* Cancels a job: a waiting one at once, an executing one through its run. */
MUST_USE bool job_cancel(App *app, Uuid id, Str why, Err *err);
/* Makes a waiting one due now; a dead one gets another round of attempts; its run remembers what was confirmed. */
MUST_USE bool job_retry(App *app, Uuid id, Str by, Err *err);

/* ---- crons.c ---- */
/* `every`: each tick is a run of the cron's entry, begun in the commit that stores in SPACE_CRON how far ticks are
** taken. A new cron begins with the moment it is first active; one that the active bundle has not is forgotten. A tick
** that is taken more than a minute late was missed (the node was not there): it is skipped, or of all that were missed
** one is taken, or each of them, the latest 1000 at most. */
Crons *crons_new(App *app);
void crons_free(Crons *crons);
MUST_USE bool crons_activate(Crons *crons, Err *err);
MUST_USE bool crons_collect(Crons *crons, int64_t now_us, Err *err);
void crons_over(Crons *crons, struct Slot *slot);
int64_t crons_next_due(const Crons *crons);
#endif
