/* The scheduler: many runs, one store, one order.
**
** It works in rounds:
**
**   1  events that arrived (outcomes, timers, ends of children, signals, control
**      requests) are put in the inboxes of their runs, in order of arrival
**   2  every ready run is stepped, on several threads when more than one is ready;
**      what a run asks of other runs of this node (a child to start, a signal) is
**      done now, so that asking and getting share one commit
**   3  one group with everything put goes to the store
**   4  only then do requests leave, in order of (run, command): output, effects
**
** so that nothing leaves before what it depends on is durable. Which thread
** stepped a run cannot be seen in any journal. Everything but step 2 is done on the
** thread that calls. A run that waits long keeps an image in the store and nothing
** in memory but its waits. */
#ifndef Z8_SCHEDULER_H
#define Z8_SCHEDULER_H

#include "vm/run/run.h"
#include "vm/runtime/node.h"

typedef struct RunEnd {
  Uuid run;
  RunStatus status;
  Str value; /* encoded: its result or error */
  Run *live;
  bool child;   /* another run started it */
  bool awaited; /* and has been given the end */
} RunEnd;

/* Text of a model's answer as it comes: provisional, the reply on record is what counts. A call that gave some text
** ends with a piece without: its reply has come, or it broke off and what came of it counts for nothing. */
typedef enum { PIECE_TEXT, PIECE_ENDED, PIECE_BROKEN } PieceKind;
typedef struct StreamPiece {
  PieceKind kind;
  Uuid run;
  uint64_t seq;
  uint32_t attempt; /* how often this call was asked again before: then the text begins anew */
  Str agent, model, text;
} StreamPiece;

typedef struct SchedulerOptions {
  uint32_t threads; /* 0: one per core */
  bool seeded; /* virtual clock, derived ids, sorted arrivals: journals are functions of the seed */
  Hash256 seed;
  int64_t start_us;         /* where the virtual clock begins; 0: 2026-01-01 */
  bool switch_vm;           /* runs use the switch build of the loop */
  bool park_restore;        /* every park goes through an image at once */
  uint64_t slice;           /* ticks a run may use in a round; 0: 1 000 000 */
  bool listen;              /* on the directory's socket */
  const char *extern_allow; /* libraries for `extern`, ':'-separated; NULL: the system's */
  /* What a run prints or logs, once it is durable. */
  void (*output)(void *context, Uuid run, EffectKind kind, Str text);
  void (*stream)(void *context, const StreamPiece *piece);
  /* A run is over (or diverged), and that is durable. */
  void (*ended)(void *context, const RunEnd *end);
  /* After each round, before any waiting: what was said may be written out. */
  void (*flush)(void *context);
  /* All that is left waits for signals or people, and has for a moment. */
  void (*waiting)(void *context);
  /* Something the operator should know: one line. */
  void (*notice)(void *context, Str text);
  /* A control request came over the socket; the answer goes back (control.h). */
  void (*control)(void *context, Str request, Buf *answer);
  /* For tests of crashes: asked twice for each commit, when it is durable, and when all that it allowed has been done.
  ** True: the process dies here: scheduler_run returns SCHEDULE_STOPPED at once, nothing more is stored or done. */
  bool (*crash)(void *context);
  void *context;
  /* The application: an App is made (app.h) and takes part in the rounds. */
  bool app, crons;
  uint64_t agent_cache; /* bytes; 0: the default */
} SchedulerOptions;

typedef struct Scheduler Scheduler;

MUST_USE bool scheduler_new(Node *node, const SchedulerOptions *options, Scheduler **out, Err *err);
/* Runs that are not over stay as they are in the store. */
void scheduler_free(Scheduler *s);

typedef struct BeginOptions {
  Hash256 bundle;
  Str entry; /* "" for the script */
  Str input; /* encoded array */
  Str args;  /* encoded array of strings for args(), or empty */
  Str tenant; /* or empty: "default" */
} BeginOptions;
/* A new run, ready for the next round. */
MUST_USE bool scheduler_begin(Scheduler *s, const BeginOptions *options, Uuid *id, Err *err);
/* Takes up a run of the store where its history ends. Fine if it is here already. */
MUST_USE bool scheduler_resume(Scheduler *s, uint64_t number, Err *err);
/* All that are not over. A run that cannot be taken up is noted and left; *failed counts them. */
MUST_USE bool scheduler_resume_all(Scheduler *s, uint32_t *resumed, uint32_t *failed, Err *err);

/* Events from outside (a control request, or a verb that holds the directory itself). RESOLVED, SIGNALLED,
** CANCEL_ASKED; strings are copied. They take part in the next round. */
MUST_USE bool scheduler_deliver(Scheduler *s, uint64_t number, const Record *event, Err *err);

typedef enum {
  SCHEDULE_OVER,    /* the run asked for (or every run) is over */
  SCHEDULE_PARKED,  /* all that is left waits for signals, or for longer than patience_us */
  SCHEDULE_STUCK,   /* all that is left waits for a person: an unknown outcome, an approval */
  SCHEDULE_STOPPED, /* scheduler_stop was called: all is committed */
  SCHEDULE_FAILED   /* the store failed: nothing after the last commit was promised to anyone */
} ScheduleResult;
enum {
  PATIENCE_FOR_EVER = -1,
  PATIENCE_SERVE = -2 /* goes on even when there is nothing at all to wait for, until scheduler_stop */
};
typedef struct ScheduleCounts {
  uint32_t hosted, stuck, diverged, corrupt;
} ScheduleCounts;
ScheduleCounts scheduler_counts(const Scheduler *s);
/* Rounds until run `target` (0: every run) is over. patience_us: how long a sleep is waited for;
** PATIENCE_FOR_EVER waits for signals too. */
ScheduleResult scheduler_run(Scheduler *s, uint64_t target, int64_t patience_us, Err *err);
/* Async-signal-safe: finish the round, commit, return. */
void scheduler_stop(Scheduler *s);

/* The socket it listens on, or NULL: for answers that come later (control.h). */
struct Control;
struct Control *scheduler_control(Scheduler *s);

struct App;
struct App *scheduler_app(Scheduler *s); /* NULL without SchedulerOptions.app */

/* What its calls wait for before they leave, one line each: limits, budgets. Nothing for a run that is not here. */
void scheduler_waiting(Scheduler *s, uint64_t number, Buf *out);

/* The number of a run that is here, 0 if it is not. */
uint64_t scheduler_number(Scheduler *s, Uuid id);
/* A run that is here: its live Run (loaded if parked), or NULL. Between rounds only. */
Run *scheduler_find(Scheduler *s, uint64_t number);

#endif
