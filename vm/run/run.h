/* One run: a pure function of (bundle, input, history).
**
** run_step executes to quiescence: every fiber waits for something. What it asked
** for stands in the journal as commands and in `out` as requests; the caller makes
** the records durable and only then lets the requests leave (output commit). When
** something comes back or arrives the caller gives it to run_deliver, one at a
** time, and steps again. No thread, clock or socket is in here: the clock and other
** local reads come through RunHost, and are recorded.
**
** Replay is the same code over a journal with history: run_replay steps and
** delivers recorded events until the history is used up, and no request comes out
** but those still open at its end (run_open_requests).
**
** Runs of a worker's job and of a handler's event have attempts (BundleAttempts): an attempt that
** raises is followed by another one, in the same run and journal. What an earlier attempt confirmed is
** not done again: the command at the same place (lineage of its fiber, site, how often there) gives
** its recorded result (RECALLED); one that was sent and not confirmed is sent under its first key; reads
** are made anew. If an operand differs from the first attempt's the run is stuck (operand_changed):
** one key must name one act.
**
** A run is used by one thread at a time and shares only its Program. */
#ifndef Z8_RUN_H
#define Z8_RUN_H

#include "vm/core/machine.h"
#include "vm/journal/journal.h"

/* Local reads, answered at once. The functions must not call back into the run. */
typedef struct RunHost {
  void *context;
  int64_t (*now_us)(void *context);
  bool (*env)(void *context, Str name, Buf *value);   /* false: not set */
  bool (*has_secret)(void *context, Str name);
  bool (*stubbed)(void *context, Str tool); /* a test answers for this tool; NULL: none is */
} RunHost;

typedef enum {
  REQUEST_EFFECT,   /* perform it, answer with run_deliver(ANSWERED) */
  REQUEST_TIMER,    /* at due_us deliver ANSWERED with value nil */
  REQUEST_OUTPUT,   /* PRINT, LOG: text, when durable; no answer */
  REQUEST_START,    /* make the child run `run` of workflow `target` with operands */
  REQUEST_AWAIT,    /* when run `run` ends deliver ANSWERED with its result or error */
  REQUEST_SIGNAL,   /* deliver SIGNALLED to run `run` */
  REQUEST_CANCEL,   /* deliver CANCEL_ASKED to run `run` */
  REQUEST_DROP,     /* the command `seq` is not wanted any more; its answer may still come, as a late one */
  REQUEST_ADMIT,    /* tool `key` has a limit: when limit `target` (limit_count 0: it has none of its own) and those
                       declared for the tool admit it deliver ANSWERED with nil */
  REQUEST_PERSON,   /* an unknown outcome: a person must settle command `seq` */
  REQUEST_TURN,     /* a job or handling whose attempt failed or was snoozed: not before due_us, and when it is its
                       turn, deliver ANSWERED with nil: the next attempt begins. `attempt` is that one's number */
  REQUEST_APPROVAL, /* a person decides on command `seq`: deliver ANSWERED with {verdict, arguments, by, why}, or with
                       nil at due_us (0: never). `target` is the tool, operands (question, within, arguments). A DROP
                       follows with the commit in which the answer is on record */
  REQUEST_DEAD      /* its attempts are used up: deliver REVIVED when a person asks for another one */
} RequestKind;

typedef struct Request {
  RequestKind kind;
  uint64_t seq;           /* the command's */
  uint8_t effect;         /* EffectKind */
  uint8_t effect_class;   /* EffectClass of the call: its own, or of the tool around it */
  uint32_t extern_index;  /* FOREIGN: in the bundle */
  Str target;             /* effect's target, signal's name, workflow's name, limit's name */
  Str operands;           /* encoded array; OUTPUT: the text, SIGNAL: the encoded value */
  Str scopes;             /* MODEL, BUDGET_LEFT, START: the budgets around, outermost first: an encoded list of
                             [run (16 bytes), seq, limits map]; empty: none */
  Str key;                /* idempotency key for what leaves (of the tool around it, or the command's own) */
  int64_t timeout_us;     /* 0: the effect's default */
  int64_t due_us;         /* TIMER */
  Uuid run;               /* START, AWAIT, SIGNAL, CANCEL: which */
  uint32_t limit_count; int64_t limit_per_us; /* ADMIT */
  uint32_t attempt; Str note; /* TURN, DEAD: its number; the last error in one line, or empty. STUB: which check it
                                 stands for, 0: perform */
  bool resend;            /* open since before a crash, or asked by an earlier attempt under this key: it may have been
                             sent already */
} Request;

/* What came out of one step. Cleared and filled by run_step; strings live until the next step. */
typedef struct RunOutput {
  Request *requests; uint32_t count, cap;
  Buf bytes; /* the strings */
} RunOutput;
void run_output_deinit(RunOutput *out);

typedef enum {
  STEP_WAITING,    /* quiescent: needs an event. run_parked says whether it is a long wait */
  STEP_COMMIT,     /* records must be durable before it may go on: commit, then step again */
  STEP_SLICE,      /* its slice is used up: step again when it is its turn */
  STEP_ENDED,      /* done, failed, cancelled or killed; the ENDED record is put */
  STEP_CONTINUED,  /* continue_as_new: this generation is over, the next one begins: step again */
  STEP_DIVERGED,   /* journal_divergence says how */
  STEP_HISTORY_END /* read-only replay reached the end of history */
} StepResult;

typedef struct RunHead { /* what a new run is */
  Uuid id;
  Str entry;           /* see bundle_entry */
  Str input;           /* encoded array of arguments */
  Str config;          /* encoded map of the config values it may read */
  Hash256 seed;        /* of its randomness */
  int64_t at_us;
  Str tenant;          /* "default" */
  Str parent;          /* encoded [run bytes(16), seq], or at == NULL */
  Str causation, correlation; /* encoded, or at == NULL */
} RunHead;

typedef struct Run Run;

extern const uint8_t missing_argument[4]; /* how an argument that is left out stands in `input` */
bool argument_left_out(Str encoded);

/* A new run: puts its HEAD. The journal becomes the run's. Fails if the bundle has no such entry or the input
** does not fit it. */
MUST_USE bool run_begin(const Program *program, const RunHost *host, Journal *journal, const RunHead *head,
                        Run **out, Err *err);
/* A run with history; nothing is executed yet. other_code: the program is not the recorded bundle. */
MUST_USE bool run_load(const Program *program, const RunHost *host, Journal *journal, bool other_code,
                       Run **out, Err *err);
/* From an image; the caller has checked that bundle and chain head match. */
MUST_USE bool run_restore(const Program *program, const RunHost *host, Journal *journal, Str image,
                          Run **out, Err *err);
void run_free(Run *run);

/* Executes at most `ticks` (0: no bound). */
StepResult run_step(Run *run, uint64_t ticks, RunOutput *out);
/* Steps and delivers recorded events until the history is used up or differs. WAITING, SLICE, ENDED, COMMIT:
** as run_step, the history being used up. HISTORY_END: read-only journals. */
StepResult run_replay(Run *run, RunOutput *out);
/* After run_replay or run_restore: the requests that were asked before and are still unanswered. */
void run_open_requests(Run *run, RunOutput *out);

/* Hands one event in: ANSWERED, SIGNALLED, CANCEL_ASKED, RESOLVED, REVIVED, KILLED (seq and `at` are set here). It is
** put in the journal; step afterwards. An answer nobody waits for is recorded as DISCARDED. False with err if
** the event makes no sense for this run (RESOLVED of what is not unknown…): nothing is recorded. */
MUST_USE bool run_deliver(Run *run, Record *event, Err *err);

/* Pure: the query `name` of the run's workflow, its answer as an encoded value. */
MUST_USE bool run_query(Run *run, Str name, Str args, Buf *value, Err *err);

Journal *run_journal(Run *run);
Machine *run_machine(Run *run);
Uuid run_id(const Run *run);
const Record *run_head(const Run *run); /* its HEAD record, of this generation: tenant, causation, correlation … */
Str run_scopes(const Run *run); /* the budgets it began within, as Request.scopes; empty: none */
uint64_t run_generation(const Run *run);
/* The effect `seq` is about to be sent again, and a tool with a limit performs it: what to ask the limit first. */
bool run_admission(const Run *run, uint64_t seq, Request *out);
/* All waits are long ones (a sleep of a second or more, a signal, another run, a person, an approval): worth an
** image. */
bool run_parked(const Run *run);
int64_t run_wake_us(const Run *run);   /* the earliest timer, or end of a wait for approval; 0 if none */
/* Nothing in memory needs to know it: it waits for timers, signals, its own children, a turn, a person or an
** approval only. */
bool run_dormant(const Run *run);
/* Dormant but for calls of models and waits for limits: it may leave memory while slow replies or limits are waited
** for. */
bool run_parkable(const Run *run);
/* Canonical state of machine and run. */
void run_image(Run *run, Buf *out, Hash256 *state);
/* After STEP_ENDED: how, and the encoded result or error. While its attempts are used up: DEAD, or STUCK where an
** operand changed, and the last error. */
RunStatus run_status(const Run *run, Str *result);
/* What it waits for, one line each, for `inspect` and `runs`. */
void run_waits(Run *run, Buf *out);
/* The divergence as a page of text: both sides with source lines, the last agreed record, the first differing
** operand, the likely cause, what to run next; or as JSON. `recorded` may be NULL when the old bundle is gone. */
void run_explain(Run *run, const Bundle *recorded, Buf *out);
void run_explain_json(Run *run, const Bundle *recorded, Buf *out);
#endif
