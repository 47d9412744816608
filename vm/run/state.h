/* What a run knows besides its machine: who waits for what, tool calls in
** progress, groups of parallel branches, patch decisions, queued signals, attempts.
** Private to vm/run. All of it is part of the state hash (state.c), so it holds
** nothing that depends on threads, addresses or the order of unrelated things. */
#ifndef Z8_RUN_STATE_H
#define Z8_RUN_STATE_H

#include <stdio.h>

#include "vm/base/mem.h"
#include "vm/core/heap.h"
#include "vm/core/wire.h"
#include "vm/run/conversation.h"
#include "vm/run/decider.h"
#include "vm/run/memory.h"
#include "vm/run/run.h"

#define NO_GROUP UINT32_MAX
#define NO_FIBER UINT32_MAX
enum { ARGS_MAX = 256 }; /* above LIMIT_ARGUMENTS and any function's registers */

/* A command not yet answered. Kept by rising seq. A dropped one stays until its late answer comes. One block
** with its strings. */
typedef struct Wait {
  uint64_t seq;
  uint32_t fiber;
  uint8_t kind;         /* RequestKind of the request that is open */
  uint8_t effect;       /* EffectKind */
  uint8_t effect_class;
  bool dropped;
  uint32_t extern_index;
  int64_t timeout_us, due_us;
  Uuid run;
  uint32_t limit_count;
  int64_t limit_per_us;
  Str target, operands, scopes, key;
  char bytes[];         /* of the strings */
} Wait;

typedef enum {
  FIBER_ON_NOTHING, /* ready, running or over */
  FIBER_ON_ANSWER,  /* command `seq` */
  FIBER_ON_SIGNAL,  /* `signal`, until timer `timer_seq` if not 0 */
  FIBER_ON_GROUP,   /* its branches */
  FIBER_ON_AWAITS,  /* all or any of `awaits` */
  FIBER_ON_PERSON   /* the unknown outcome of its innermost tool call */
} FiberWait;

typedef enum { TOOL_ADMITTING, TOOL_PERFORMING, TOOL_CHECKING, TOOL_RETRYING, TOOL_RECHECKING, TOOL_STUCK } ToolPhase;

typedef struct ToolCall {
  uint64_t seq;      /* of the command that is the intent */
  uint32_t tool;     /* index in the bundle */
  uint32_t attempt;  /* of perform, from 1 */
  uint32_t checks;   /* of check so far */
  uint32_t sends;    /* effects of this attempt that were given a key */
  uint8_t phase;     /* ToolPhase */
  bool interrupted;  /* the process ended during this attempt: it does not count against max_attempts */
  uint32_t scopes;   /* budgets around the call: what a body that was abandoned left open goes */
} ToolCall;

typedef struct Scope { /* a budget that is open */
  uint64_t seq; /* of the BUDGET that opened it; in another attempt that of the first */
  Str limits;   /* owned: an encoded map {usd: decimal, tokens: int, calls: int} of those that are given */
} Scope;

typedef struct Awaited {
  uint64_t seq;
  uint8_t outcome; /* 0 open, 1 ok, 2 error */
  Str value;       /* owned, encoded */
} Awaited;

typedef struct Strand { /* the run's side of a fiber */
  uint32_t group, index; /* the group it is a branch of, and which */
  uint8_t on;            /* FiberWait */
  uint8_t await_any;
  bool cancelled;        /* it was told to stop */
  bool cancel_due;       /* …but is shielded until its tool's outcome is known */
  uint64_t seq, timer_seq;
  uint32_t waits_group;
  uint32_t signal;       /* constant: the name */
  Awaited *awaits; uint32_t await_count;
  ToolCall *tools; uint32_t tool_count, tool_cap;
  Scope *scopes; uint32_t scope_count, scope_cap;
  uint32_t inherited;    /* the first ones of them are its parent's, and not its to close */
  uint64_t lineage;      /* of a run with attempts: which branch of which branch it is, in every attempt the same */
} Strand;

typedef struct Group {
  uint32_t parent;       /* fiber */
  uint8_t op, mode;      /* OP_PARALLEL or OP_PARFOR; 0 all, 1 settle, 2 race */
  uint32_t total, next, running, limit;
  uint32_t decided;      /* index of the race's winner or of the first that failed; NO_GROUP: none */
  uint32_t *children;    /* fiber ids by index */
  uint64_t lineage;      /* of a run with attempts: what its branches' are made of */
} Group;

typedef struct Patch {
  uint32_t id; /* constant */
  bool value;
  bool unwritten; /* decided false in the middle of history: its record is put when the journal is live */
} Patch;

typedef struct Signal { /* arrived, not yet awaited */
  Str name, value; /* owned */
} Signal;

/* A run of a job, or of an event's handling: it is tried several times (attempts.c). */
typedef enum {
  ATTEMPT_RUNNING,
  ATTEMPT_WAITING, /* for the turn of attempt `number` */
  ATTEMPT_DEAD,    /* attempt `number` was the last one */
  ATTEMPT_STUCK    /* …and it would have done another thing under a key that is used */
} AttemptPhase;
typedef enum { LEAVE_NOT, LEAVE_SNOOZE, LEAVE_GIVE_UP } AttemptLeave;

typedef struct Attempts {
  const BundleAttempts *rules; /* of the bundle */
  uint32_t number;             /* of the attempt that is made, or will be made next; from 1 */
  uint32_t first, last;        /* numbers of this round's: a revived run begins another round */
  uint8_t phase;               /* AttemptPhase */
  uint8_t leaving;             /* AttemptLeave: what the code asked for; its `finally` blocks are still running */
  bool timed;                  /* the attempt's timer is set, under timer_seq */
  bool timed_out;              /* it rang: the attempt is being cancelled */
  uint64_t timer_seq;
  uint64_t seq;                /* of the RETRIED or EXHAUSTED record it waits behind */
  int64_t snooze_us;
  Buf why;                     /* plain text: why it gave up */
  Buf error;                   /* encoded: how the last attempt ended; empty: it snoozed */
  Buf note;                    /* the same in one line, made when it is needed */
  Memory *memory;
} Attempts;

struct Run {
  const Program *program;
  const Bundle *bundle;
  const RunHost *host;
  Journal *journal;
  Machine *machine;
  bool other_code;

  Uuid id;
  uint64_t generation;
  char key[64]; uint32_t key_size; /* how idempotency keys begin */
  Record head;          /* its strings are owned, in head_bytes */
  Buf head_bytes;
  int64_t now_us;       /* the latest time on record */
  uint64_t delivered;   /* events so far */
  uint64_t draws;       /* random numbers drawn */
  bool fresh;           /* what is being asked now was never asked before: its requests leave */
  uint64_t settled;     /* records before this seq were durable when the step began */
  bool began;           /* budgets are due with the next step: no event has given any */
  bool cancelling, ended, diverged, park_due, commit_due;
  RunStatus status;
  Buf result;           /* encoded, once ended */

  Strand **strands; uint32_t strand_count, strand_cap; /* by fiber id */
  /* Both lose their first items all the time, so they begin anywhere in their blocks (strand.c). */
  uint32_t *ready; uint32_t ready_count, ready_cap;    /* first in, first out */
  void *ready_block;
  Wait **waits; uint32_t wait_count, wait_cap;
  void *wait_block;
  Group **groups; uint32_t group_count, group_cap;     /* by id; NULL when over */
  Patch *patches; uint32_t patch_count, patch_cap;
  Signal *signals; uint32_t signal_count, signal_cap;
  uint64_t *signal_ids; uint32_t signal_id_count, signal_id_cap; /* hashes of ids seen */
  /* Sends since the last delivery: on recovery they are made again (their receivers know them by id). */
  Wait **sends; uint32_t send_count, send_cap;

  Attempts *attempts;   /* NULL: it has none; it is then as if there were no such thing */
  NameSet known;          /* what calls of models have put in this journal, whatever the generation (conversation.h) */
  Decider *decider;     /* makes records of what models say; NULL until needed. Nothing of it is state */
  uint32_t decided;     /* the fiber that a person's decision lets go on, until it acts on it (ask_approve.c) */
  uint32_t decided_asks; /* what it has asked for since */
  uint64_t decided_end; /* ticks: it is not interrupted before */

  RunOutput *out;       /* of the step in progress */
  RunOutput early;      /* asked for while an event was applied: the next step gives it out first */
  Buf scratch;          /* operands or a result being encoded, from its making to its record */
};

/* ---- head.c: what a run is begun with ---- */
/* Everything of one generation goes: machine, strands, waits, groups, patches, attempts. */
void generation_free(Run *run);
MUST_USE bool generation_start(Run *run, Err *err); /* machine and main fiber for run->head */
/* Keeps the record and makes run->head point into what is kept. */
MUST_USE bool head_keep(Run *run, const Record *head, Err *err);
void head_patches(const Bundle *bundle, Buf *out); /* the ids of all patches it knows, encoded */
/* A machine with the configuration and nothing else. */
void machine_fresh(Run *run);
MUST_USE bool main_begin(Run *run, Err *err); /* the main fiber over the head's input */
/* The input with a message of an older version made one of the bundle's own. keep: where a new one is made. */
MUST_USE bool input_present(const Program *program, Str entry, Str config, Str input, Buf *keep, Str *out, Err *err);

/* ---- run.c ---- */
bool run_put(Run *run, Record *record);  /* false: diverged, or at the end of a read-only history */
int64_t run_time(const Run *run);        /* the time of the next command */
void run_identify(Run *run);             /* what follows from run->head */
void run_start_generation(Run *run);     /* of continue_as_new: run->scratch is its input */
void run_end(Run *run, RunStatus status, Value value);
void run_random(Run *run, uint8_t *out, size_t size);
void run_key(const Run *run, uint64_t seq, char out[96]);
/* Of the child that command `seq` asked for at that time. */
Uuid run_child_id(const Run *run, uint64_t seq, int64_t at_us);
/* Appends the value; an error that says why in its place where it cannot be stored: then false. */
bool run_encode(Run *run, Value v, Buf *out);

/* The machine's config values by index, from an encoded map by name (head.c). */
void machine_config(Machine *m, Str map);

/* ---- strand.c: fibers, readiness, waits ---- */
Strand *run_strand(Run *run, uint32_t fiber);
void run_ready(Run *run, uint32_t fiber);
void run_ready_first(Run *run, uint32_t fiber);
uint32_t run_ready_take(Run *run);
Wait *wait_add(Run *run, const Request *request, uint32_t fiber);
Wait *wait_find(Run *run, uint64_t seq);
void wait_insert(Run *run, Wait *wait);
Wait *wait_take(Run *run, uint64_t seq); /* no longer among the waits; the caller frees it */
void wait_remove(Run *run, uint64_t seq);
void wait_free(Wait *wait);
Wait *wait_new(const Request *request, uint32_t fiber);
void wait_drop(Run *run, Wait *wait, Str why); /* CANCELLED record and DROP request */
void request_put(Run *run, const Request *request);
void requests_early(Run *run); /* what was asked early, into run->out */
void requests_fix(RunOutput *out); /* turns offsets into pointers: once, when the step is over */
Request wait_request(const Wait *wait);
void strand_free(Strand *strand);
void strand_answer(Run *run, uint32_t fiber, Value v);
void strand_raise(Run *run, uint32_t fiber, Value error);
void group_free(Group *group);

/* ---- ask.c ---- */
void run_ask(Run *run, Fiber *fiber);
/* wait is taken from the waits already; v is `value` decoded, just now. */
void ask_answered(Run *run, const Wait *wait, Str outcome, Str value, Value v);
Value ask_refusal(Run *run, uint64_t effect, Value error); /* an error answer as it is raised here */
bool ask_signal_arrived(Run *run, Str name, Str value);
const BundleSite *ask_site(const Run *run);
uint32_t ask_count(const Run *run); /* of the operands, without the because */
/* The encoded operands of the fiber's EFFECT from argument `from`, as an array. False: the fiber was raised. */
bool ask_operands(Run *run, Fiber *fiber, uint32_t from, Buf *out);
bool ask_operand(Run *run, Fiber *fiber, uint32_t index, Buf *out);
/* Operands that must be something; false: the fiber was raised. */
bool ask_duration(Run *run, Fiber *fiber, Value v, int64_t *us);
bool ask_run_id(Run *run, Fiber *fiber, Value v, Uuid *id);
int64_t ask_due(int64_t from, int64_t us);
/* Puts the command; false when the run goes no further. *seq is its number. */
bool ask_put(Run *run, Fiber *fiber, Str target, Str operands, uint64_t *seq);
/* Registers the wait of a command the fiber is blocked on. */
void ask_wait(Run *run, Fiber *fiber, const Request *request);
void ask_done(Run *run, Fiber *fiber, Value v); /* it goes on at once, with that answer */
void ask_record(Run *run, Fiber *fiber, Str target, Str operands, Buf *because, Record *out);
void send_keep(Run *run, const Request *request); /* a send: it leaves, and again after a crash that came first */

/* ---- ask_runs.c, ask_code.c ---- */
void ask_signal(Run *run, Fiber *fiber);
void ask_start(Run *run, Fiber *fiber, EffectKind kind);
void ask_await(Run *run, Fiber *fiber, EffectKind kind);
void ask_await_came(Run *run, uint32_t fiber, uint64_t seq, bool ok, Str value, Value v); /* one of several */
void ask_patched(Run *run, Fiber *fiber, bool deprecated);
void ask_continue(Run *run, Fiber *fiber);

/* ---- ask_model.c ---- */
void ask_model(Run *run, Fiber *fiber);
void model_replied(Run *run, const Wait *wait, Str reply);
Value model_error(Run *run, const Fiber *fiber, Value error, bool lost); /* as it is raised */

/* ---- ask_budget.c ---- */
void ask_budget(Run *run, Fiber *fiber);
void ask_budget_end(Run *run, Fiber *fiber);
/* The budgets around the strand, those of the head first: see Request.scopes. None: nothing is appended. */
void scopes_put(const Run *run, const Strand *strand, Buf *out);
void scopes_inherit(Strand *branch, const Strand *parent);
void scopes_trim(Strand *strand, uint32_t count); /* the first `count` stay */
void scopes_open(Strand *strand, uint64_t seq, Str limits);

/* ---- ask_approve.c ---- */
void ask_approve(Run *run, Fiber *fiber);
/* Whether the answer is a decision on what was asked, or the end of its time. */
MUST_USE bool approval_sound(Run *run, const Wait *wait, Str outcome, Str value, Err *err);
void approval_answered(Run *run, const Wait *wait, Value v);
/* The fiber has stopped and was seen to: has it acted on the decision, or come to rest? */
bool approval_acted(Run *run, uint32_t fiber, Stop stop);

/* ---- ask_fit.c ---- */
void ask_fit(Run *run, Fiber *fiber);
Decider *run_decider(Run *run);

/* ---- tool.c ---- */
void tool_begin(Run *run, Fiber *fiber);
void tool_returned(Run *run, Fiber *fiber);
void tool_raised(Run *run, Fiber *fiber);
void tool_timer(Run *run, Fiber *fiber);      /* its retry timer or admission came */
void tool_lost(Run *run, Fiber *fiber, bool interrupted); /* an effect of its body has an unknown outcome */
MUST_USE bool tool_resolve(Run *run, uint64_t seq, Str outcome, Str value, Err *err);
bool strand_shielded(const Run *run, const Strand *strand);
bool tool_in_body(Run *run, const Strand *strand); /* frames of its innermost call stand on the fiber */
void tool_stub_answered(Run *run, Fiber *fiber, Str outcome, Value v);

/* ---- group.c ---- */
void group_begin(Run *run, Fiber *fiber);
void group_child_over(Run *run, Fiber *child);

/* ---- cancel.c ---- */
void cancel_strand(Run *run, uint32_t fiber, const char *why);
void cancel_rough(Run *run, const char *why); /* what is in flight is not wanted: the machine is about to go */
void cancel_run(Run *run, Str why);
#define WHY_RACE "the race is decided"

/* ---- attempts.c ---- */
void attempts_init(Run *run); /* if the head's entry has any */
void attempts_free(Run *run);
void attempts_started(Run *run, uint64_t seq);    /* record `seq` begins an attempt; its fiber is made */
bool attempts_over(Run *run, Fiber *main);        /* the main fiber is over; false: so is the run, as any other */
void attempts_leave(Run *run, Fiber *fiber, EffectKind kind, int64_t snooze_us, Str why); /* SNOOZE, GIVE_UP */
void attempts_answered(Run *run, const Wait *wait);
void attempts_revived(Run *run, uint64_t seq);
/* The node ends the run: the attempt is its last one, until a person asks. False: no attempt is being made. */
bool attempts_killed(Run *run, Value error);
void attempts_cancelled(Run *run, Str why);       /* no attempt is being made: the run ends */
void attempts_request(Run *run, Request *out);    /* TURN or DEAD, as the phase is, without what its wait knows */
void attempts_waits(Run *run, Buf *out);
void attempts_save(const Run *run, Buf *out);
MUST_USE bool attempts_load(Run *run, CborReader *r, Err *err); /* after everything else */
bool attempts_resting(const Run *run);            /* between two attempts, or dead */

/* ---- state.c ---- */
void state_save(const Run *run, Buf *out);
MUST_USE bool state_load(Run *run, Str bytes, Err *err);
MUST_USE bool state_sound(Run *run); /* sound.c */

#endif
