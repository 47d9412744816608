/* Between the files of the gate. */
#ifndef Z8_GATE_IMPL_H
#define Z8_GATE_IMPL_H

#include "vm/base/table.h"
#include "vm/runtime/gate.h"
#include "vm/runtime/ledger.h"
#include "vm/runtime/limits.h"
#include "vm/runtime/map_with.h"
#include "vm/runtime/schedule.h"

typedef enum {
  CALL_LOADED, /* of an earlier life: its run is not here yet */
  CALL_BUDGET, /* waits until others settle */
  CALL_LIMIT,  /* in the queue of a limit */
  CALL_CHOSEN, /* leaves when the commit is made */
  CALL_SENT
} CallState;

typedef struct LimitUse {
  Limit *limit;
  uint8_t breadth; /* whose limit it is: see gate_facts.c */
  uint64_t want;
  int64_t at_us; /* where it was counted */
} LimitUse;

/* A call of a model, or a tool's wish to be admitted. */
typedef struct Call {
  LimitTurn turn; /* first: a turn in a queue is its call */
  uint64_t run, seq;
  Slot *slot; /* NULL: not here, or gone */
  struct Call *next; /* of the slot */
  struct Call *next_waiting; /* for a budget */
  uint8_t state; /* CallState */
  bool tool;     /* ADMIT: no model is called */
  bool again;    /* …and what is admitted is an effect that is sent again */
  bool stub;     /* a test answers */
  bool counted;  /* by ourselves (offline, in a test): what is expected is the most it can be */
  bool loaded;   /* from a hold of an earlier life */
  bool was_sent, arrived, uncertain;
  bool told; /* what arrived was charged: what its model charges is known from now on */
  bool streamed; /* a piece of its text was told */
  uint32_t attempt; /* how often it was asked again */
  uint32_t taken_up; /* how often since it last brought something */
  uint32_t limit_count, use_count;
  LimitUse *limits; /* the narrowest first */
  uint32_t place;   /* LIMIT: in the queue of limits[place]; those before are held */
  AccountUse *uses; /* until it has reserved */
  Want want;
  Hold hold;
  Price price;
  Usage expected;
  Usage most; /* what it is thought to use at most, without what was learned */
  Usage cost; /* once arrived: what is charged */
  int64_t nanodollars;
  Str agent, model, book, charger; /* one block, owned: behind `names`; charger: see ledger_learned */
  char *names;
  Buf resume; /* encoded {id, after} */
} Call;

struct Gate {
  Ledger *ledger;
  Limits *limits;
  Table *calls; /* by run and seq */
  Call *waiting, **waiting_end; /* for a budget, in order */
  Limit **queued; /* limits that somebody waits for */
  uint64_t turns; /* counts those who began to wait */
  Limit **let_go; /* what those who passed held meanwhile */
  uint32_t let_go_count, let_go_cap;
  uint32_t queued_count, queued_cap;
  uint64_t *chosen; /* run, seq, … : left to gate_committed if they are CHOSEN still */
  uint32_t chosen_count, chosen_cap;
  uint32_t loaded;   /* calls that are LOADED */
  bool settled;      /* something did, since gate_retry */
  bool told_offline; /* the notice was given */
};

/* ---- gate_facts.c: what a call says of itself ---- */
typedef struct Facts {
  Str map; /* the call */
  Str model, agent, provider, tenant;
  int64_t prompt, prompt_most, answer; /* tokens: about, and at most */
  Price price;
  bool implicit;
} Facts;
void facts_read(const Slot *slot, const Request *r, Facts *out);
void facts_charger(const Facts *facts, Buf *out); /* appends a name for who charges */
void facts_accounts(Gate *gate, const Slot *slot, const Facts *facts, Str scopes, int64_t now_us, Call *call);
void facts_limits(Gate *gate, const Slot *slot, const Facts *facts, Call *call);
void tool_limits(Gate *gate, const Slot *slot, const Request *r, Call *call);
/* Each scope of an encoded list, outermost first. */
typedef struct Scope {
  Account *account;
  Amounts limit;
} Scope;
void scopes_each(Gate *gate, Str scopes, void (*each)(void *context, const Scope *scope), void *context);

/* ---- gate.c ---- */
Call *gate_call(const Gate *gate, uint64_t run, uint64_t seq);
Call *gate_call_new(Gate *gate, Slot *slot, uint64_t run, uint64_t seq);
void gate_call_free(Gate *gate, Call *call);
void call_chosen(Gate *gate, Call *call);
void call_hold_put(Gate *gate, const Call *call);

/* ---- gate_wait.c: queues ---- */
/* It has reserved: it is admitted, or waits. */
void call_limits(Scheduler *s, Call *call);
void call_budget(Gate *gate, Call *call); /* waits for others to settle */
void call_unqueue(Gate *gate, Call *call);

/* ---- gate_send.c ---- */
void call_send(Scheduler *s, Call *call, const Request *r);
/* Charges for what was sent before and is not known of. */
void call_lost(Scheduler *s, Call *call);

/* The answer to a call that is too dear. */
void gate_refusal(const Call *call, const AccountUse *use, Buf *value);
#endif
