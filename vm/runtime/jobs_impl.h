/* What the files of jobs share. Private to jobs.c, job_place.c, queues.c and jobs_admin.c.
**
** A job's row and what changes it:
**
**   (none) --job_place--> AVAILABLE --queue_collect--> EXECUTING --jobs_over--> DONE, CANCELLED
**                            ^  |                       |     |
**                            |  +-- job_cancel          |     +-- attempts used up --> DEAD --job_retry--> …
**                            +------ attempt over ------+
**
** In memory there is only what executes (Exec) and what is known of each queue. An AVAILABLE row is found by asking the
** store, which shows what is committed: rows of this round cannot be picked in it, and those that it has changed
** (`changed`) are left alone until it is over. */
#ifndef Z8_JOBS_IMPL_H
#define Z8_JOBS_IMPL_H

#include "vm/base/arena.h"
#include "vm/base/table.h"
#include "vm/run/decider.h"
#include "vm/runtime/jobs.h"
#include "vm/runtime/schedule.h"

enum {
  QUEUE_CONCURRENCY = 10,  /* of one that is not declared */
  QUEUE_NAME_MAX = 200,    /* bytes */
  QUEUE_PICK_MAX = 1024,   /* jobs of one queue that begin in one round */
  WINDOW_PARTS = 64,
  PRIORITIES = 10
};
#define RISE_US INT64_C(60000000) /* a job that has waited so long is ahead of a newer one of one step more */

/* How many jobs began lately. A sliding window in at most WINDOW_PARTS pieces and one: the jobs of a piece count until
** its last one leaves the window, so no window ever has more than the limit, and the whole is small enough to be kept
** with every commit. */
typedef struct WindowPiece {
  int64_t first_us, last_us;
  uint64_t count;
} WindowPiece;
typedef struct Window {
  WindowPiece pieces[WINDOW_PARTS + 1];
  uint32_t count;
} Window;

typedef struct Queue {
  Str name; /* owned */
  uint32_t declared, global, limit_count;
  int64_t limit_per_us;
  uint32_t scale; /* 0: as declared */
  bool paused;
  bool kept;      /* has an entry in SPACE_QUEUE: all queues that ever had a job have one */
  Window window;
  uint32_t executing;
  bool look;           /* the store may have jobs that are due */
  int64_t next_due_us; /* while not `look`: when the next one is; 0: none waits */
  bool placed;         /* this round's group has jobs of it that will be AVAILABLE, */
  int64_t placed_us;   /* the first of them due then */
  struct Queue *next;
} Queue;

/* A job that holds a place in its queue. */
typedef struct Exec {
  JobRow row; /* as it was last put into a group; no texts but `unique`, which is in key */
  char key[sizeof(Hash256)];
  Queue *queue;
  bool granting; /* being given its turn: what its run asked before is known */
} Exec;

/* Somebody outside waits until his job is durable. */
typedef struct Enqueued {
  Uuid id;
  void (*done)(void *context, bool ok, Str value);
  void *context;
} Enqueued;
typedef struct EnqueuedList {
  Enqueued *at;
  uint32_t count, cap;
} EnqueuedList;

struct Jobs {
  App *app;
  bool loaded;          /* queues and executing jobs of the store are known */
  Queue *queues;        /* in order of first use */
  Table *by_name;       /* Queue */
  Table *executing;     /* by id: Exec */
  Table *changed;       /* numbers of rows that this round's group changes */
  Table *missing;       /* workers that the active bundle has not, and somebody was told */
  uint64_t next_number; /* of a new row */
  uint64_t fresh_number; /* rows from here on are not committed */
  Decider *desk;        /* of `program`: admits jobs */
  const Program *program;
  EnqueuedList enqueued, telling;
  Arena arena; /* of one look at a queue */
  Buf bytes, meta; /* scratch */
  Buf swept;   /* the last unique key looked at */
  int64_t swept_us;
};

static inline Str job_id_key(const Uuid *id) { return (Str){(const char *)id->byte, sizeof id->byte}; }

/* ---- jobs.c ---- */
Decider *jobs_desk(Jobs *jobs);
/* Queues and what executes, from the store, once. */
MUST_USE bool jobs_load(Jobs *jobs, Err *err);
Exec *exec_find(const Jobs *jobs, Uuid id);
/* Leases the row: EXECUTING under a new lease, with a place in its queue. Its row is not in the group. */
Exec *exec_add(Jobs *jobs, const JobRow *row);
/* The row goes into the group and its place is given back. */
void exec_leave(Jobs *jobs, Exec *e);
void job_update(Jobs *jobs, const JobRow *row); /* the row goes into the group; its input and meta stay as they are */
/* DEAD with an error of that code; who awaits it is told. The row's texts are the caller's. */
void job_dead(Jobs *jobs, JobRow *row, Str code, Str message);
/* Gives the run of the leased job the turn it waits for. False: the store cannot be read. */
MUST_USE bool job_go_on(Jobs *jobs, Exec *e, Err *err);
/* Takes up the run of a row that was EXECUTING when the last process ended. */
MUST_USE bool job_take_up(Jobs *jobs, const JobRow *row, Err *err);

/* ---- job_place.c ---- */
bool worker_find(const Bundle *bundle, Str name, uint32_t *index);
/* Makes a job of the active bundle of whatever is given: a record or map of another one, or from outside. */
MUST_USE bool job_admit(Jobs *jobs, uint32_t worker, Str data, bool trusted, Buf *out, Refusal *refusal);
/* The unique key is free again if this job holds it. Within its time it stays held by one that is done. */
void unique_leave(Jobs *jobs, JobRow *row, bool done);
/* Takes the worker's unique key for a job that gets another round. ERR_INVALID: somebody else has it. */
MUST_USE bool unique_again(Jobs *jobs, JobRow *row, char key[sizeof(Hash256)], Err *err);
void uniques_sweep(Jobs *jobs, int64_t now_us);
/* The parts of JobRow.meta: an encoded map {id, time, actor, tenant, causation, correlation, bundle}. */
typedef struct JobMeta {
  Str tenant;                 /* plain text */
  Buf causation, correlation; /* encoded bytes, or empty */
  Hash256 bundle;             /* that the input was made under */
  Str pairs;                  /* all but `bundle`, encoded: six names with their values */
} JobMeta;
MUST_USE bool job_meta_read(Str meta, JobMeta *out, Err *err); /* job_meta_deinit in any case */
void job_meta_deinit(JobMeta *m);

/* ---- queues.c ---- */
Queue *queue_get(Jobs *jobs, Str name); /* made where there is none */
Queue *queue_find(const Jobs *jobs, Str name);
void queue_keep(Jobs *jobs, Queue *q); /* its entry goes into the group */
MUST_USE bool queues_load(Jobs *jobs, Err *err);
void queues_activate(Jobs *jobs);
void queues_free(Jobs *jobs);
uint32_t queue_concurrency(const Queue *q); /* as it is now: scaled, or declared, within `global` */
uint32_t queue_room(const Queue *q, int64_t now_us);
void queue_placed(Queue *q, int64_t due_us); /* the group has an AVAILABLE job of it, due then */
void queue_committed(Queue *q, int64_t now_us);
/* When queue_collect may find something: now (true), or *due_us, 0: not before something else happens. */
bool queue_due(const Queue *q, int64_t now_us, int64_t *due_us);
MUST_USE bool queue_collect(Jobs *jobs, Queue *q, int64_t now_us, Err *err);

#endif
