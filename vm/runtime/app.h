/* The application on a node: agents, router, handlers, workers, queues and crons of the ACTIVE bundle.
**
** Runs are pinned to their bundles; all this follows the active one (app_activate). It is part of the
** scheduler's rounds (scheduler.h) and has no thread or lock of its own: the scheduler calls it at fixed
** points of each round, on its own thread, in this order:
**
**   app_collect        what is due begins: jobs with room in their queue, deliveries to handlers, cron ticks,
**                      commands of outside callers
**   (runs are stepped) a run's DISPATCH, VIEW, ENQUEUE, TEST, STUB come to app_ask while it is quiescent; the answer is
**                      delivered to the run at once, so that what it asked, what was done and what it was told are
**                      one commit. One such answer a run and round: the others wait for the next one.
**   app_attempt        a job's run asks for its next turn, or is dead
**   app_over           a run of a job, handler or cron ended: its row changes in the same commit as its last record
**   (commit)
**   app_committed      now it is durable: replies leave, new events go to handlers, strong waits are looked at
**   app_refused        the store refused or failed: nothing was
**
** Everything durable goes through the round's Grouping. */
#ifndef Z8_APP_H
#define Z8_APP_H

#include "vm/base/table.h"
#include "vm/bundle/bundle.h"
#include "vm/run/run.h"
#include "vm/runtime/grouping.h"
#include "vm/runtime/scheduler.h"

typedef struct App App;
struct Slot;

typedef struct AppOptions {
  bool crons;      /* `serve`: ticks are taken */
  uint64_t cache;  /* bytes that agents' instances may take in memory; 0: 64 MB */
  uint32_t recent; /* events kept in memory for handlers that are not behind; 0: 65536 */
} AppOptions;

App *app_new(Scheduler *s, const AppOptions *options);
void app_free(App *app);

/* Makes the bundle (a program of the node) the active one, from the next round on; it is kept in the store (SPACE_APP
** "active"). ERR_VERSION: messages of newer versions are stored than it knows, naming them. Handlers that the store has
** and the bundle has not are kept, idle, and said in a notice. */
MUST_USE bool app_activate(App *app, Hash256 bundle, Err *err);
/* What was put so far is durable when it returns: z8 serve says that it serves afterwards. */
MUST_USE bool app_settle(App *app, Err *err);
/* The bundle that was active when the store was last used; false: none. */
bool app_stored_bundle(Store *store, Hash256 *bundle);
const Program *app_program(const App *app); /* NULL: none is active */

/* ---- called by the scheduler ---- */
MUST_USE bool app_collect(App *app, int64_t now_us, Err *err);
/* False: no answer yet; it comes later through slot_answer. */
bool app_ask(App *app, struct Slot *slot, const Request *r, Buf *value, const char **outcome);
/* A request that was open when its run was taken up: it has been carried out (its commit had the command). */
void app_ask_open(App *app, struct Slot *slot, const Request *r);
void app_drop(App *app, struct Slot *slot, uint64_t seq); /* nobody waits for the answer any more */
/* TURN, DEAD; again with r->resend when it is taken up. */
void app_attempt(App *app, struct Slot *slot, const Request *r);
void app_over(App *app, struct Slot *slot); /* of a job, handler or cron; slot->status may be DIVERGED */
MUST_USE bool app_committed(App *app, Err *err);
void app_refused(App *app);
/* Something can be done at once (app_collect would begin something). */
bool app_ready(const App *app);
/* When something is due by itself: a job, a tick, the end of a wait; 0: nothing is. */
int64_t app_next_due(App *app);
/* Answers for a run that is not here any more, when asked later. */

/* ---- its parts, private to vm/runtime ---- */
typedef struct Agents Agents;     /* agents.c: instances, their state, what is cached of them */
typedef struct Bus Bus;           /* bus.c: commands in, replies out, strong waits */
typedef struct Handlers Handlers; /* handlers.c */
typedef struct Jobs Jobs;         /* jobs.c: queues */
typedef struct Crons Crons;       /* crons.c */
struct Testing;                   /* testing.c: set while a test runs */

/* Rising ids: the last one, and chance to go on with. */
typedef struct Ids {
  int64_t us;
  uint64_t high, low; /* its 12 + 62 bits of chance */
  uint8_t chance[512];
  uint32_t left;      /* bytes of it */
  uint64_t drawn;     /* how often it was filled */
} Ids;

struct App {
  Scheduler *scheduler;
  AppOptions options;
  const Program *program;
  const Bundle *bundle;
  Buf config; /* the program's, an encoded map, as it was when it became active */
  Agents *agents;
  Bus *bus;
  Handlers *handlers;
  Jobs *jobs;
  Crons *crons;
  struct Testing *testing; /* or NULL */
  Table *versions; /* of messages appended: the highest of each stored name, above 1 */
  Ids ids;
};
/* A decider of the active program, with its configuration. The caller's to free. */
struct Decider *app_decider(const App *app);
Store *app_store(const App *app);
Grouping *app_grouping(const App *app);
int64_t app_now(const App *app);
Uuid app_uuid(App *app); /* a new UUIDv7, rising; seeded nodes: derived */
/* A message of that version is appended in this round: what a rollback must know (SPACE_APP "versions"). */
void app_note_version(App *app, Str type, uint64_t version);
#endif
