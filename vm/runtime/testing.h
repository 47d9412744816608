/* A test's world: what answers its given, when, stub and calls, and stands in for its tools.
**
** It is outside the node: where a test is crashed on purpose it lives on, as the real world would. So a
** tool's call is known by its idempotency key: sent again after a crash it is the same call, with the same
** answer, and counted once. given and when work on agents alone, with deciders of the world's own: no router, no
** stream, nothing stored.
**
** The same for models (`stub model`, testing_world.c): their calls pass the gate's ledger, with tokens that are
** estimated, and no limit; and for the people who approve. */
#ifndef Z8_TESTING_H
#define Z8_TESTING_H

#include "vm/runtime/app.h"

typedef struct Testing Testing;
Testing *testing_new(void);
void testing_free(Testing *t);
/* Stands in for the world of this application from now on; again after each crash. */
void testing_attach(Testing *t, App *app);

/* ---- private to vm/runtime ---- */
bool testing_stubbed(const Testing *t, Str tool);
/* TEST is answered at once, STUB after the commit. */
bool testing_ask(Testing *t, struct Slot *slot, const Request *r, Buf *value, const char **outcome);
/* A STUB that was open when its run was taken up: nobody knows what became of it. */
void testing_ask_open(Testing *t, struct Slot *slot, const Request *r);
bool testing_model_stubbed(const Testing *t, Str model);
/* What stands in for the model says to a call: the outcome, as a provider's. */
const char *testing_model(Testing *t, Str model, Str key, Str call, Buf *value);
/* What the people of the test say to `r`; false: they are not stubbed. nil: they let the time pass. */
bool testing_approve(Testing *t, const Program *program, uint64_t run, const Request *r, Str arguments, Buf *value);
void testing_committed(Testing *t);
void testing_refused(Testing *t);
#endif
