/* Commands: from wherever, to the agent instance that a router names, and back.
**
** One command is one commit over its events, its stored reply (where it has an idempotency key or waits
** for handlers), the jobs it enqueued and what inline work adds. Commands of one round share the store's
** transaction, and one that is refused changes nothing for the others. A reply, refusal or view leaves
** only after all that it saw is durable.
**
** An instance handles one command at a time. Long decisions are continued in later rounds, and nobody else
** waits for them. */
#ifndef Z8_BUS_H
#define Z8_BUS_H

#include "vm/runtime/app.h"

typedef enum { CONSISTENCY_EVENTUAL, CONSISTENCY_STRONG, CONSISTENCY_HANDLERS } Consistency;
enum { ANY_VERSION = -1 };

typedef struct Command {
  Str name;             /* of its shape */
  uint64_t version;     /* of the message */
  Str data;             /* encoded record or map */
  bool trusted;         /* made by code of the active bundle itself */
  Uuid id;              /* zero: the bus gives one */
  Str idempotency_key;  /* empty: none. The same key and tenant give the stored result again, for 7 days at least */
  int64_t expected_version; /* events of the instance, or ANY_VERSION: else the refusal is `wrong_version` */
  uint8_t consistency;
  Str handlers;         /* CONSISTENCY_HANDLERS: encoded array of names */
  int64_t timeout_us;   /* of waiting for handlers; 0: 5 s. At its end: `consistency_timeout`, with who is late */
  bool returning_state;
  Str actor, tenant;    /* tenant "" is "default" */
  Uuid causation, correlation; /* zero: none (a command that begins something: its own id) */
  Str metadata;         /* encoded map, or empty */
  Uuid caller;          /* the run that dispatches, zero: none: for strong_in_handler */
} Command;

typedef struct CommandResult {
  bool ok;   /* else value is an encoded error */
  Str value; /* encoded map {reply, version, events}, with `state` where asked for */
} CommandResult;

/* At most 128 bytes of UTF-8, and no control characters: they keep keys apart. */
bool tenant_valid(Str tenant);

/* A command of a caller outside any run. `done` is called on the scheduler's thread when the result is durable; it may
** call bus_dispatch again. Strings are copied. False: refused before it was looked at (ERR_LIMIT: the bus is full, try
** again later). */
MUST_USE bool bus_dispatch(App *app, const Command *command, void (*done)(void *context, const CommandResult *result),
                           void *context, Err *err);
/* A view, the same way. */
MUST_USE bool bus_view(App *app, Str agent, Str id, Str view, Str args, Str tenant,
                       void (*done)(void *context, const CommandResult *result), void *context, Err *err);

/* ---- private to vm/runtime ---- */
Bus *bus_new(App *app);
void bus_free(Bus *bus);
void bus_stop(Bus *bus);     /* the program will change: decisions that are going on begin again */
void bus_activate(Bus *bus); /* app->program has changed */
MUST_USE bool bus_collect(Bus *bus, int64_t now_us, Err *err);
bool bus_ask(Bus *bus, struct Slot *slot, const Request *r, Buf *value, const char **outcome); /* DISPATCH, VIEW */
void bus_ask_open(Bus *bus, struct Slot *slot, const Request *r);
void bus_drop(Bus *bus, uint64_t run, uint64_t seq);
MUST_USE bool bus_committed(Bus *bus, Err *err);
void bus_refused(Bus *bus);
void bus_handlers_moved(Bus *bus); /* a handler's position moved, or one died: strong waits are looked at */
bool bus_ready(const Bus *bus);
int64_t bus_next_due(const Bus *bus);
#endif
