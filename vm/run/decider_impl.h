/* What the files of the decider share. Private to decider*.c, their tests and benchmarks.
**
** The state in roots[ROOT_STATE] is owned by whoever folds: evolve changes it in place. Where it must be had again,
** it is marked shared and kept in roots[ROOT_BEFORE]: the next change then copies the record and, one level at a time,
** what it touches. A decision keeps it so until it is settled; folding stored events keeps it so
** for some hundred kilobytes of them, and a log of those, so that one that fails leaves the state as it was. */
#ifndef Z8_DECIDER_IMPL_H
#define Z8_DECIDER_IMPL_H

#include "vm/core/wire.h"
#include "vm/run/decider.h"

enum {
  ROOT_STATE,   /* the instance's state, or nil */
  ROOT_SAID,    /* what a decide says goes here (natives_decide.c); nil outside of one */
  ROOT_MESSAGE, /* the command being decided on */
  ROOT_META,    /* its meta */
  ROOT_BEFORE,  /* the state to go back to */
  ROOT_EVENT,   /* the stored event being folded */
  ROOT_DECIDED, /* what a decide said, once it has returned */
  ROOT_WORK     /* a value in hand */
};
enum { CALL_ARGS = 256 /* above LIMIT_ARGUMENTS */ };

typedef struct Words { /* of one refusal */
  Buf code, message, data;
} Words;

typedef struct FoldEntry { /* what to do with stored events of one type and version, for one agent */
  Str type; /* owned; "" where it is not known to the program */
  uint64_t version;
  uint32_t agent;
  uint32_t shape; /* NONE_INDEX: no such event */
  uint32_t fn;    /* of evolve; NONE_INDEX: nobody evolves it */
  bool uses_meta;
} FoldEntry;

typedef enum { PHASE_IDLE, PHASE_GUARD, PHASE_DECIDE, PHASE_FOLD, PHASE_INVARIANT } Phase;
typedef struct Going { /* the decision that is going on */
  Phase phase;
  uint32_t shape;
  uint32_t clause;    /* within the agent's decides */
  uint32_t item;      /* of what was said: the event being folded */
  uint32_t invariant;
  uint32_t events, jobs; /* that it decided */
  uint64_t ticks, charged;
  Str meta;           /* bytes, until a clause reads them */
  bool meta_read;
} Going;

struct Decider {
  const Program *program;
  const Bundle *b;
  Machine *m;
  Fiber *fiber; /* of decisions, which may rest between two slices */
  Fiber *side;  /* of all that ends at once */
  uint32_t agent; /* NONE_INDEX: no state */
  WirePlan **plans; /* by shape; NULL until needed */
  FoldEntry *entries;
  uint32_t entry_count, entry_cap, entry_last;
  Buf trail;      /* events since roots[ROOT_BEFORE] was kept, by decider_fold */
  bool logging;
  bool pending;   /* a decision is not settled yet */
  uint64_t spent; /* ticks of calls on the side since they were last asked for */
  uint32_t depth; /* records within records that are being made of maps */
  Words said, aside;
  Buf misfit, path; /* the part of a field that cannot be had as it must be, as text; where in the field it is */
  uint32_t misfit_type;
  Words inner;    /* why a record within a message could not be made */
  Buf out, reply; /* encodings of the decision's parts */
  Buf config;     /* as given; again on the machine whenever that has a new heap */
  Buf meta;       /* a copy, while a decision may be continued */
  DecidedEvent *events;
  uint32_t event_cap;
  DecidedJob *jobs;
  uint32_t job_cap;
  Going going;
};

/* ---- calls (decider.c) ---- */
/* Calls on the side fiber, to the end. False: *result is the error. Root it before anything is allocated. */
bool decider_call(Decider *d, uint32_t fn, const Value *args, uint32_t count, Value *result);
/* The error of a fiber that stopped otherwise than by returning; the fiber then rests. */
Value decider_stopped(Decider *d, Fiber *f, Stop stop);
const WirePlan *decider_plan(Decider *d, uint32_t shape);
bool decider_is_record(Value v, uint32_t shape);
Str decider_shape_name(const Decider *d, uint32_t shape);
Str decider_agent_name(const Decider *d);
/* The encoded bytes, or nil for none. False: damaged. */
bool decider_get(Decider *d, Str bytes, Value *out, Err *err);

/* ---- refusals (decider_words.c) ---- */
void words_deinit(Words *w);
/* The refusal is of `code`, and its message of the format; always false. */
bool words_refuse(Words *w, Refusal *out, const char *code, const char *format, ...) PRINTF_LIKE(4, 5);
bool words_fault(Words *w, Refusal *out, const char *code, const char *format, ...) PRINTF_LIKE(4, 5);
/* An error that the program raised itself is the refusal; one of the machine's own is a fault, and what failed is said
** before its message. */
bool words_error(Decider *d, Words *w, Refusal *out, Value error, const char *format, ...) PRINTF_LIKE(5, 6);
/* "code: message, at f (file:line:col)" for an error that is not passed on as it is. */
void words_of_error(Value error, Buf *out);
bool error_is_fault(Value error);

/* ---- fields (decider_coerce.c) ---- */
typedef struct Whole { /* what is made of a map: a message, or the arguments of a function */
  Str name;
  Range32 fields;
} Whole;
/* Refused: `map` has a key that is no field. */
bool whole_keys_known(Decider *d, const Whole *whole, Value map, Words *w, Refusal *out);
/* Holds one value for each field, in their order, MISSING for those left out; refused: one is missing or does not fit.
** *from is a root: making a value may move it. */
bool whole_hold(Decider *d, const Whole *whole, const Value *from, Words *w, Refusal *out);

/* ---- messages (decider_admit.c) ---- */
/* How strange the given fields may be: a command's must be known and fit; a stored event's that the shape has no more
** are left out. */
typedef enum { MAKE_STRICT, MAKE_STORED } Make;
/* Makes *message, a root (a record or map made under `version`; 0: under the present one), a record of the shape:
** upcasts, fields by name, constructor. */
bool message_make(Decider *d, uint32_t shape, uint64_t version, Make make, Value *message, Words *w, Refusal *out);
/* The record of that shape that is encoded so. */
bool message_get(Decider *d, uint32_t shape, Str data, uint64_t version, Make make, Value *root, Words *w,
                 Refusal *out);

/* ---- folding (decider_fold.c) ---- */
/* The clause for events of that shape. */
const FoldEntry *fold_entry_of(Decider *d, uint32_t shape);
void fold_entries_free(Decider *d);
void fold_log_clear(Decider *d); /* nothing is gone back to any more */
/* Calls evolve on the state. False: *error, and the state may be changed. For tests and benchmarks too. */
bool fold_value(Decider *d, const FoldEntry *entry, Value event, Value meta, Value *error);

/* ---- the state's size (decider_size.c) ---- */
/* NULL: the value can be stored and takes at most LIMIT_STATE_BYTES; else why not. */
const char *state_unfit(const Decider *d, Value state);

#endif
