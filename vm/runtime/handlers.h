/* Handlers: durable subscribers of the log.
**
** The handling of an event is a run of its own ("Handler.event"), begun in the same commit that moves the
** handler past the event, so the two cannot disagree: SPACE_HANDLER holds `taken`, the position up to
** which events were taken, SPACE_DELIVERY those of them that are not done. Events of one key are handled
** one after another, in order; of several keys up to `concurrency` at once. A handling that is over
** without an error is forgotten (its run's journal stays); one whose attempts are used up stays as a dead
** letter, does not block its key, and holds back nobody but those who asked for strong consistency, who
** are told.
**
** A handler that keeps up is fed from the rounds' own rows; one that is behind reads the log. */
#ifndef Z8_HANDLERS_H
#define Z8_HANDLERS_H

#include "vm/runtime/agents.h"

Handlers *handlers_new(App *app);
void handlers_free(Handlers *h);
MUST_USE bool handlers_activate(Handlers *h, Err *err);
MUST_USE bool handlers_collect(Handlers *h, Err *err);        /* begins runs for events that may be handled now */
void handlers_attempt(Handlers *h, struct Slot *slot, const Request *r);
void handlers_over(Handlers *h, struct Slot *slot);
MUST_USE bool handlers_committed(Handlers *h, Err *err);      /* agents_fresh has what is new */
bool handlers_ready(const Handlers *h);
int64_t handlers_next_due(const Handlers *h);

/* Has the handler (every strong one: name empty) done the events of that row up to the position, of those it handles?
** The position is the last event of a command; others, of other keys, are not waited for. Names of those that have not
** are added to `late`, those with one of them among the dead letters to `dead`, comma-separated; either may be NULL. */
bool handlers_reached(Handlers *h, Str name, uint64_t position, Buf *late, Buf *dead);
bool handlers_has(const Handlers *h, Str name);
/* Are there handlers of that name (empty: strong ones) at all? */
bool handlers_wanted(const Handlers *h, Str name);

/* Does the caller's run (or the one it was started by, and so on) handle an event for one of them? Then waiting for it
** would never end. */
bool handlers_inside(Handlers *h, Uuid caller, Str name);

typedef struct HandlerInfo { /* for the CLI and the control room */
  Str name;
  uint64_t taken, done; /* positions; done: all up to it are done */
  uint32_t running, waiting, dead;
  bool strong;
} HandlerInfo;
void handlers_each(Handlers *h, bool (*each)(void *context, const HandlerInfo *info), void *context);

/* Dead letters that have no run: events whose payload fits nothing that the handler could begin with. They are tried
** again when another program becomes active. Strs are valid during the call. */
typedef struct StrayLetter {
  Str handler, note;
  uint64_t position;
} StrayLetter;
MUST_USE bool handlers_strays(Store *store, bool (*each)(void *context, const StrayLetter *letter), void *context,
                              Err *err);
#endif
