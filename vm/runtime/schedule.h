/* What the files of the scheduler share. Private to vm/runtime.
**
** A slot is a run that is here. Its life:
**
**        begin, resume                    event (slot_wake)
**   (new) ----------> ready --turn--> waiting <----------> parked (no Run in memory)
**                     ^  |  ^            |  long wait
**                     |  |  +---- event -+
**            slice -- away (on a thread of its own while rounds go on)
**   and from a turn: over (ended, diverged), when its last commit is made.
**
** Parked runs whose waits need nobody in memory are dormant: an image and a row in the store, and no
** slot (dormant.c). A slot whose row still says so gets another status with the next commit, so that
** what is decided for it while it is here is not forgotten by a crash. */
#ifndef Z8_SCHEDULE_H
#define Z8_SCHEDULE_H

#include <stdatomic.h>
#include <stdio.h>

#include "vm/base/hash.h"
#include "vm/base/table.h"
#include "vm/effects/effect.h"
#include "vm/runtime/control.h"
#include "vm/runtime/error_value.h"
#include "vm/runtime/grouping.h"
#include "vm/runtime/host.h"
#include "vm/runtime/gate.h"
#include "vm/runtime/mail.h"
#include "vm/runtime/scheduler.h"
#include "vm/runtime/timers.h"
#include "vm/runtime/workers.h"

typedef struct Slot Slot;
struct App;

/* An event on its way to a run. One block: the strings of the record stand behind it. */
typedef struct Inbox {
  Record record;
  bool timer;      /* a DROP takes it back */
  bool letter;     /* it is in scheduler->mail until it is on record */
  bool call;       /* the outcome of a model's call: taken, the call is settled */
  struct Inbox *next;
} Inbox;

struct Slot {
  Scheduler *scheduler;
  uint8_t entry_kind; /* EntryKind of its bundle's entry: whose run it is */
  uint64_t number;
  Uuid id;
  Hash256 bundle;
  Str entry;       /* owned */
  uint64_t parent; /* number, 0: none */
  int64_t started_us;
  uint64_t records; /* as of the last image */
  const Bundle *program_bundle;
  Run *run; /* NULL: parked out of memory */
  Host host;
  Inbox *inbox, **inbox_end;
  struct AppAsk *asks, **asks_end; /* asked of the application, not handed to it yet; in order */
  RunOutput *outs;
  uint32_t out_count, out_cap; /* of this turn, in order */
  uint32_t out_before;         /* outs whose part before the commit is done */
  uint32_t resolved;           /* unknown outcomes settled in this turn */
  uint32_t letters;            /* that this turn put on record */
  uint64_t *settles;           /* calls of models whose outcomes this turn took */
  uint32_t settle_count, settle_cap;
  struct Call *calls;          /* at the gate (gate_impl.h) */
  uint32_t approvals;          /* of it that are open */
  StepResult result;
  bool quiescent;        /* an event may be delivered */
  bool ready;            /* in scheduler->ready */
  bool calm;             /* in scheduler->calm */
  bool touched, in_turn; /* in scheduler->touched, ->turn */
  bool away;             /* being stepped by away.c: only its inbox may be touched */
  bool sliced;           /* its last turn used up its slice */
  bool dead;             /* its attempts are used up: it waits for a person to ask for more */
  bool settled;          /* it is over, and what follows from that is in the round's group */
  bool over;
  bool created;       /* its row goes with the next commit */
  uint32_t persons;   /* unknown outcomes a person must settle */
  RunStatus status, stored; /* as it is; as the store has it */
  int64_t wake_us;          /* of its row while it is PARKED, see RunRow; AWAKE_WAITS: it is not dormant */
  int64_t stored_wake_us;
  int64_t calm_us;  /* since when it waits; on the monotonic clock */
  uint64_t imaged;  /* records in the image that the store has, 0: none that is known */
  char *note; /* owned */
  Slot *next_away;
};
enum { AWAKE_WAITS = -1 };

typedef struct SlotList {
  Slot **at;
  uint32_t count, cap;
} SlotList;

/* Who waits for the end of a run or job. */
typedef struct Awaiter {
  uint64_t number, seq;
  struct Awaiter *next;
} Awaiter;

/* A request to the application that could not be handed over at once. One block, its strings behind it. */
typedef struct AppAsk {
  Request request;
  struct AppAsk *next;
} AppAsk;

typedef struct Away Away; /* away.c */

struct Scheduler {
  Node *node;
  Store *store;
  SchedulerOptions options;
  Clock clock;
  Table *by_number, *by_id; /* slots */
  SlotList ready;           /* to be stepped in the next round */
  SlotList turn;            /* stepped in this one */
  SlotList touched; /* besides: began, were taken up or given an event; part of the next commit */
  uint64_t *calm;
  uint32_t calm_count, calm_cap; /* numbers: quiescent since the last look at who is parked */
  int64_t calm_looked_us; /* when they were last looked at, on the monotonic clock */
  int64_t calm_next_us;   /* before that nobody of them is worth a look */
  uint32_t slot_count, stuck_count, diverged_count, corrupt_count;
  uint32_t awake_count; /* slots with a Run in memory */
  uint32_t left_count;  /* Runs that left memory since it was given back to the system */
  /* Dormant runs. All the store's are this scheduler's once it has taken up all that is not over (`whole`); else only
  ** those that were here. */
  bool whole;
  uint64_t first_number;    /* runs from here on were begun by this scheduler */
  Table *adopted;           /* by number: older ones that were here and are dormant; when not `whole` */
  uint64_t dormant_count;
  int64_t next_wake_us;     /* when the first of them is due (or earlier), 0: none is; if wake_known */
  bool wake_known;
  Slot *visitor;            /* a dormant run that somebody looks at (scheduler_find) */
  uint64_t parent_over;     /* the number of a run that is known to be over, 0: none */
  uint64_t next_number, begun;
  Timers *timers;
  struct Gate *gate; /* calls of models, tools with limits */
  Table *awaiters;  /* by id of the awaited run: Awaiter */
  Table *refused;   /* by id: why a child could not be started */
  Workers *workers; /* made when first needed */
  Away *away;       /* made when first needed */
  Effects *effects; /* made when first needed */
  EffectOutcome *arrived;
  uint32_t arrived_count, arrived_cap; /* seeded: until all have come */
  uint32_t in_flight;
  Control *control;
  Buf mail; /* letters that are not on record with their receivers */
  bool mail_changed; /* since the last commit */
  atomic_bool stopping;
  int64_t looked_us; /* when the socket was last looked at */
  int stop_fd;       /* an eventfd */
  Grouping *grouping; /* what this round will commit */
  struct App *app;           /* or NULL: this node has no application */
  uint64_t rounds;           /* that committed something or stepped a run; for tests */
  bool failed;
  bool crashed; /* SchedulerOptions.crash said so: nothing more is done */
};

/* ---- slots.c ---- */
void slot_after_step(Slot *slot); /* what its result means for the slot */
Slot *slot_by_number(Scheduler *s, uint64_t number);
Slot *slot_by_id(Scheduler *s, Uuid id);
void slot_list_add(SlotList *list, Slot *slot);
void slot_ready(Slot *slot);
void slot_free(Slot *slot);
Slot *slot_new(Scheduler *s, const RunRow *row);
/* Loads a parked run again. */
MUST_USE bool slot_wake(Slot *slot, Err *err);
void slot_evict(Slot *slot);
/* Takes up a run of the store, whose row is given (it lives until the call is over). */
MUST_USE bool slot_take_up(Scheduler *s, const RunRow *row, Err *err);
/* Its Run as its image has it, without entering it anywhere. False: there is no image that fits, or it is broken. */
MUST_USE bool slot_restore(Slot *slot, const Program *program, Err *err);
Str slot_tenant(const Slot *slot); /* of a slot with a Run */
/* The correlation id of all that it causes: its own, or else its id. */
Uuid slot_correlation(const Slot *slot);
RunOutput *slot_out(Slot *slot);
void slot_note(Slot *slot, const char *format, ...) PRINTF_LIKE(2, 3);
void slot_touch(Slot *slot);
void slot_person(Slot *slot, int change);
Hash256 scheduler_chance(Scheduler *s, Str what);
typedef struct SlotHead {
  Uuid id;
  Hash256 bundle;
  Str entry, input, args;
  Slot *parent;
  uint64_t parent_seq;
  Str tenant;                 /* "" : the parent's, else "default" */
  Str causation, correlation; /* encoded UUID bytes, or empty: the parent's, else none */
  Str scopes;                 /* the budgets it begins in, as in Request.scopes; or empty */
} SlotHead;
MUST_USE bool slot_begin(Scheduler *s, const SlotHead *head, Slot **out, Err *err);

/* Gives command `seq` of the run its answer; it is part of the run's next turn. For app: answers that come later. */
void slot_answer(Scheduler *s, uint64_t number, uint64_t seq, const char *outcome, Str value);
/* Tells who awaits the run or job `id` how it ended; "ok" or "error". For a job that ended without a run, or is
** dead. */
void awaiters_tell(Scheduler *s, Uuid id, const char *outcome, Str value);

/* ---- inbox.c ---- */
void inbox_put(Slot *slot, const Record *record, bool timer, bool letter);
void inbox_answer(Slot *slot, uint64_t seq, const char *outcome, Str value, bool timer);
/* An outcome of the outside world; `call`: of a model's call at the gate. */
void inbox_outcome(Slot *slot, uint64_t seq, const char *outcome, Str value, bool call);
void inbox_drop_timer(Slot *slot, uint64_t seq);
Inbox *inbox_take(Slot *slot);
void inbox_clear(Slot *slot);

/* ---- dispatch.c: what a turn asked for ---- */
void dispatch_before_commit(Scheduler *s, Slot *slot);
void dispatch_after_commit(Scheduler *s, Slot *slot);
/* Requests that were open when the run was taken up. */
void dispatch_open(Scheduler *s, Slot *slot, const RunOutput *fresh, const RunOutput *open);

/* What leaves. */
void effect_submit(Scheduler *s, Slot *slot, const Request *r);
void effect_again(Scheduler *s, Slot *slot, const Request *r); /* it may have been sent before */
/* A call of a model that the gate refuses: on record in the same commit as its question. */
void ask_too_dear(Slot *slot, uint64_t seq, Str error);

void asks_clear(Slot *slot); /* what it asked of the application and was not handed over */

/* ---- children.c: runs and each other ---- */
void child_start(Scheduler *s, Slot *parent, const Request *r);
void child_await(Scheduler *s, Slot *parent, const Request *r);
void child_ending(Scheduler *s, Slot *child); /* before the commit: a dormant parent is here when it ends */
bool child_ended(Scheduler *s, Slot *child); /* tells who awaits it; false: nobody does */
void awaiter_drop(Scheduler *s, uint64_t number, const Request *r);
void run_send(Scheduler *s, Slot *from, const Request *r);

/* ---- commit.c: one group, then what it allows ---- */
/* Of scheduler->turn and ->touched. False: the store failed, nothing left. */
MUST_USE bool round_commit(Scheduler *s, Err *err);
/* What is in the group goes to the store. */
MUST_USE bool group_commit(Scheduler *s, Err *err);
void group_updated(Scheduler *s, Slot *slot); /* its row, if it differs from the store's */

/* ---- dormant.c: who waits long gives its memory back ---- */
/* Images of the calm runs that are parked and have been calm for at least grace_us. */
MUST_USE bool park_calm(Scheduler *s, int64_t grace_us, Err *err);
/* While rounds follow one another: now and then, or when much memory is held. */
MUST_USE bool park_busy(Scheduler *s, Err *err);
void slot_calm(Slot *slot);
/* Memory of many runs that left goes back to the system; for when there is time. */
void memory_settle(Scheduler *s);
/* Is it dormant, and this scheduler's? The row is as the store has it. */
bool row_dormant(const Scheduler *s, const RunRow *row);
/* It is no longer: it was taken up. */
void dormant_leave(Scheduler *s, const RunRow *row);
/* Takes up dormant runs whose time has come, not more than memory should hold at once. */
MUST_USE bool dormant_wake(Scheduler *s, int64_t now_us, Err *err);
bool run_ours(const Scheduler *s, uint64_t number); /* here, or dormant and this scheduler's */
bool dormant_next(Scheduler *s, int64_t *wake_us); /* when the next one is due; false: none has a timer */

/* ---- away.c: long turns ---- */
/* Steps the run on another thread, for one slice; slot->outs has room for its output already. */
void away_send(Scheduler *s, Slot *slot);
Slot *away_next(Scheduler *s);              /* one that is back, or NULL */
void away_wait(Scheduler *s, Slot *slot);   /* until it is back: away_next gives it */
uint32_t away_count(const Scheduler *s);    /* out, or back and not fetched */
bool away_ready(const Scheduler *s);        /* one is back */
int away_fd(const Scheduler *s);            /* readable when one is back; -1: nobody was ever sent */
void away_free(Scheduler *s);

/* ---- scheduler.c ---- */
void outcome_deliver(Scheduler *s, EffectOutcome *o); /* takes its value */
void slot_mail(Slot *slot); /* what waited for it while nobody ran it */
void scheduler_notice(Scheduler *s, const char *format, ...) PRINTF_LIKE(2, 3);

#endif
