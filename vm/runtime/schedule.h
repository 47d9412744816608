/* What the files of the scheduler share. Private to vm/runtime.
**
** A slot is a run that is here. Its life:
**
**        begin, resume                    event (slot_wake)
**   (new) ----------> ready --turn--> waiting <----------> parked (no Run in memory)
**                       ^                |  long wait, idle
**                       +---- event -----+
**   and from a turn: over (ended, diverged), when its last commit is made */
#ifndef Z8_SCHEDULE_H
#define Z8_SCHEDULE_H

#include <stdatomic.h>
#include <stdio.h>

#include "vm/base/hash.h"
#include "vm/base/table.h"
#include "vm/effects/effect.h"
#include "vm/runtime/control.h"
#include "vm/runtime/error_value.h"
#include "vm/runtime/host.h"
#include "vm/runtime/limits.h"
#include "vm/runtime/mail.h"
#include "vm/runtime/scheduler.h"
#include "vm/runtime/timers.h"
#include "vm/runtime/workers.h"

typedef struct Slot Slot;

/* An event on its way to a run. One block: the strings of the record stand behind it. */
typedef struct Inbox {
  Record record;
  bool timer;      /* a DROP takes it back */
  bool letter;     /* it is in scheduler->mail until it is on record */
  struct Inbox *next;
} Inbox;

struct Slot {
  Scheduler *scheduler;
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
  RunOutput *outs;
  uint32_t out_count, out_cap; /* of this turn, in order */
  uint32_t out_before;         /* outs whose part before the commit is done */
  uint32_t resolved;           /* unknown outcomes settled in this turn */
  uint32_t letters;            /* that this turn put on record */
  StepResult result;
  bool quiescent;        /* an event may be delivered */
  bool ready;            /* in scheduler->ready */
  bool calm;             /* in scheduler->calm */
  bool touched, in_turn; /* in scheduler->touched, ->turn */
  bool over;
  bool created;       /* its row goes with the next commit */
  uint32_t persons;   /* unknown outcomes a person must settle */
  RunStatus status, stored; /* as it is; as the store has it */
  int64_t wake_us;
  char *note; /* owned */
};

typedef struct SlotList {
  Slot **at;
  uint32_t count, cap;
} SlotList;

/* Who waits for the end of a run. */
typedef struct Awaiter {
  uint64_t number, seq;
  struct Awaiter *next;
} Awaiter;

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
  uint32_t slot_count, stuck_count, diverged_count, corrupt_count;
  uint64_t next_number, begun;
  Timers *timers;
  Limits *limits;
  Table *awaiters;  /* by id of the awaited run: Awaiter */
  Table *refused;   /* by id: why a child could not be started */
  Workers *workers; /* made when first needed */
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
  StoreGroup group;
  uint32_t created_cap, row_cap, updated_cap, bundle_cap;
  bool failed;
};

/* ---- slots.c ---- */
void slot_after_step(Slot *slot); /* what its result means for the slot */
Slot *slot_by_number(Scheduler *s, uint64_t number);
Slot *slot_by_id(Scheduler *s, Uuid id);
void slot_list_add(SlotList *list, Slot *slot);
void slot_ready(Slot *slot);
void slot_free(Slot *slot);
/* Loads a parked run again. */
MUST_USE bool slot_wake(Slot *slot, Err *err);
void slot_evict(Slot *slot);
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
} SlotHead;
MUST_USE bool slot_begin(Scheduler *s, const SlotHead *head, Slot **out, Err *err);

/* ---- inbox.c ---- */
void inbox_put(Slot *slot, const Record *record, bool timer, bool letter);
void inbox_answer(Slot *slot, uint64_t seq, const char *outcome, Str value, bool timer);
void inbox_drop_timer(Slot *slot, uint64_t seq);
Inbox *inbox_take(Slot *slot);
void inbox_clear(Slot *slot);

/* ---- dispatch.c: what a turn asked for ---- */
void dispatch_before_commit(Scheduler *s, Slot *slot);
void dispatch_after_commit(Scheduler *s, Slot *slot);
/* Requests that were open when the run was taken up. */
void dispatch_open(Scheduler *s, Slot *slot, const RunOutput *fresh, const RunOutput *open);

/* ---- children.c: runs and each other ---- */
void child_start(Scheduler *s, Slot *parent, const Request *r);
void child_await(Scheduler *s, Slot *parent, const Request *r);
bool child_ended(Scheduler *s, Slot *child); /* tells who awaits it; false: nobody does */
void run_send(Scheduler *s, Slot *from, const Request *r);

/* ---- commit.c: one group, then what it allows ---- */
/* Of scheduler->turn and ->touched. False: the store failed, nothing left. */
MUST_USE bool round_commit(Scheduler *s, Err *err);
/* Images of the calm runs that are parked; their memory is given back. */
MUST_USE bool park_calm(Scheduler *s, Err *err);

/* ---- scheduler.c ---- */
void slot_mail(Slot *slot); /* what waited for it while nobody ran it */
void scheduler_notice(Scheduler *s, const char *format, ...) PRINTF_LIKE(2, 3);

#endif
