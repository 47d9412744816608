/* The mind of agent instances: decide and evolve, a pure function
**
**   (state, command) -> (events, reply, jobs) or a refusal        (state, event) -> state
**
** (Chassaing's "decider"). A Decider is one machine of one program that holds the state of one
** instance at a time: decider_load takes a state in, decider_save gives it back as bytes. Nothing is
** journaled, stored or sent here, and no clock is read: vm/runtime makes a decision durable, or drops it.
**
** Commands and jobs come from anywhere (another bundle, a socket), so decider_admit makes a record of
** this program of whatever is given: upcasts, defaults, types, `where`. Used by one thread at a time;
** several deciders of one Program may work at once. */
#ifndef Z8_DECIDER_H
#define Z8_DECIDER_H

#include "vm/core/machine.h"

typedef struct Decider Decider;
Decider *decider_new(const Program *program);
void decider_free(Decider *d);
/* The values of the program's `config`, as an encoded map by name; copied. Guards, decides, views, middleware and
** `where` may read them; evolve may not, the compiler sees to that: a state follows from its events alone. */
void decider_configure(Decider *d, Str map);

/* What is decided or admitted is said in these words. Strs live until the decider's next call that may
** change them, and are encoded values unless said otherwise. */
typedef struct Refusal {
  Str code, message; /* plain text */
  Str data;          /* or at == NULL */
  bool fault;        /* not a `reject`: the code of the agent failed (a limit, a type …) */
} Refusal;

/* ---- commands and jobs ---- */
/* Makes the message of shape `shape` from `data`: an encoded record or map, made under `version` of it. *data_out
** is its canonical encoding at the shape's present version. With `trusted` a record of this bundle's own shape and
** version is taken as it is. False: refused (`invalid_message` names the field). */
MUST_USE bool decider_admit(Decider *d, uint32_t shape, Str data, uint64_t version, bool trusted, Buf *data_out,
                            Refusal *refusal);
/* The input of a run of that function, from an encoded map of its parameters by name. Refused as messages are. */
MUST_USE bool decider_arguments(Decider *d, uint32_t fn, Str data, Buf *input, Refusal *refusal);
/* The text by which a route's field names the instance: of a string as it is, of an int in decimal. Refused
** (`no_identity`) where it is nil, empty, too long, has control characters, or is of another kind. */
MUST_USE bool decider_identity(Decider *d, const BundleRoute *route, Str data, Buf *text, Refusal *refusal);
/* The route's middleware, in order; what one of them raises is the refusal. */
MUST_USE bool decider_before(Decider *d, const BundleRoute *route, Str data, Str meta, Refusal *refusal);
/* The hash that says two jobs of the worker are the same: SHA-256 over worker and unique fields. False: the worker's
** jobs are not unique. */
bool decider_unique(Decider *d, const BundleWorker *worker, Str data, Hash256 *key);

/* ---- state ---- */
/* Takes in the state of an instance of agent `agent` (index in the bundle); empty bytes: the initial one. Fields the
** state has no more are left out, new ones take their default. */
MUST_USE bool decider_load(Decider *d, uint32_t agent, Str state, Err *err);
/* A record. False: it cannot be stored (only folding by other code than decided can bring that about). */
bool decider_save(Decider *d, Buf *state);
/* Folds one stored event in: `type` is the stored name; an older version is upcast first; one that nobody evolves
** leaves the state as it is. meta is an encoded map, or empty where no clause reads it. ERR_INVALID: the code failed,
** or the payload does not fit; the state is as before. */
MUST_USE bool decider_fold(Decider *d, Str type, uint64_t version, Str data, Str meta, Err *err);

/* ---- decisions ---- */
typedef struct DecidedEvent {
  Str type; /* stored name, plain text */
  uint64_t version;
  Str data;
} DecidedEvent;
typedef struct DecidedJob {
  uint32_t worker; /* index in the bundle */
  Str data, options; /* options: an encoded map or at == NULL */
} DecidedJob;
typedef struct Decision {
  bool refused;
  Refusal refusal;
  Str reply; /* at == NULL: none */
  DecidedEvent *events;
  uint32_t event_count;
  DecidedJob *jobs;
  uint32_t job_count;
} Decision;
typedef enum { DECIDE_DONE, DECIDE_SLICE /* its ticks are used up: decider_go again */ } DecideResult;
/* The instance in here decides on a command as decider_admit gave it; meta is an encoded map. The first clause whose
** guard holds is taken, else the refusal is `unhandled`, with what was tried. Its events are folded, invariants are
** checked; a refused decision leaves the state as it was. Ends within LIMIT_DECIDE_TICKS, whatever the code does. */
DecideResult decider_decide(Decider *d, uint32_t shape, Str data, Str meta, uint64_t ticks, Decision *out);
DecideResult decider_go(Decider *d, uint64_t ticks, Decision *out);
/* After a decision that was not refused: false takes its events back out of the state (it could not be stored). */
void decider_settle(Decider *d, bool stored);
/* A view of the state. args: an encoded array. */
MUST_USE bool decider_view(Decider *d, uint32_t view_fn, Str args, Buf *value, Refusal *refusal);

/* Ticks that guards, constructors, upcasts and views took since this was last asked for: those of the code itself, so
** they are the same on every machine. */
uint64_t decider_spent(Decider *d);

Machine *decider_machine(Decider *d); /* its state is roots[0]; for tests and benchmarks */
#endif
