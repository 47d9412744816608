/* What the files of handlers share. Private to handler*.c.
**
** A delivery's life, each step in one commit with what causes it:
**
**   (event) --take--> WAITING --its key is free, there is a place--> RUNNING --over--> (forgotten)
**                        |                                            |   ^  \
**                        +-- the payload does not fit --> DEAD <------+   |   TURN
**                                                          used up        +-- BACKOFF
**
** A line is the events of one key that are not done, in order; only its first one is at work. One in BACKOFF keeps its
** line and gives its place away; a dead one is out of its line. */
#ifndef Z8_HANDLERS_IMPL_H
#define Z8_HANDLERS_IMPL_H

#include "vm/base/table.h"
#include "vm/runtime/bus.h"
#include "vm/runtime/deadlines.h"
#include "vm/runtime/handlers.h"
#include "vm/runtime/schedule.h"

enum {
  WINDOW = 16384,     /* events a handler takes ahead because those before them of their key are not done */
  BATCH_ROWS = 256,   /* of the log, read at once by a handler that is behind */
  RECENT_ROWS = 65536
};

typedef enum { DELIVERY_WAITING, DELIVERY_RUNNING, DELIVERY_BACKOFF, DELIVERY_DEAD } DeliveryState;

typedef struct Line Line;
typedef struct Handler Handler;
typedef struct Delivery {
  Deadline deadline; /* first: found through it. BACKOFF: of its next attempt */
  Handler *handler;
  struct Delivery *next; /* in its line */
  Line *line;        /* NULL: dead, or revived */
  uint64_t position, key;
  uint64_t run, seq; /* run 0: none was begun. seq: of the turn it asked for */
  uint8_t state;     /* DeliveryState */
  bool place;        /* holds one of the handler's */
  bool answering;    /* its turn is being given */
} Delivery;

struct Line {
  Line *next_ready;
  Delivery *first, **end;
  uint64_t key;
  bool ready; /* in handler->ready */
};

typedef struct Batch { /* rows of agents' streams, copied */
  LogRow *rows;
  size_t *ends;
  uint32_t count, cap, end_cap, at;
  Buf bytes;
} Batch;

struct Handler {
  Handlers *all;
  const BundleSubscriber *sub; /* NULL: the active bundle has it no more */
  char *name_text;             /* owned */
  Str name;
  Table *types;                /* stored names of events it handles: clause + 1 */
  Table *lines, *deliveries;   /* by key, by position */
  Line *ready, **ready_end;    /* lines whose first event can be worked on, first come first served */
  uint64_t taken, stored;      /* positions: as it is, as the store has it */
  Batch batch;                 /* of the log, while it is behind */
  uint32_t running, waiting, backoff, dead;
};

typedef struct Recent { /* a committed row; its bytes are owned */
  LogRow row;
  char *bytes;
} Recent;

struct Handlers {
  App *app;
  Decider *desk;     /* makes events of today's shape of stored ones */
  Handler **at;
  uint32_t count, cap;
  Table *by_run;     /* numbers of runs: deliveries */
  Deadlines deadlines;
  Recent *recent;    /* rows of streams after gid `base`, oldest first, in a ring */
  uint32_t recent_first, recent_count, recent_cap;
  uint64_t base, last_gid; /* last_gid: of the last row of a stream that is known */
  Buf data, meta, input, entry, keep, kv, value;
};

/* ---- handlers.c ---- */
Handler *handler_by_name(const Handlers *h, Str name);
void handler_save(Handler *x); /* its position, into the group */

/* ---- handler_feed.c: which event is next ---- */
/* The next event after `taken`, of those it handles; taken is moved past those it does not. False: none is known,
** or err is filled. What it points to lives until the next call for this handler. */
MUST_USE bool feed_next(Handler *x, StoredEvent *out, Err *err);
/* Moves past what does not concern it, as far as rows are in memory. */
void feed_skip(Handler *x);
bool feed_waiting(const Handler *x); /* there are rows it has not looked at */
void feed_add(Handlers *h, const LogRow *row);
void feed_forget(Handlers *h);       /* rows that everybody has passed */
void feed_clear(Handlers *h);
/* Does a handled event stand in that row? True too where the row is not in memory. */
bool feed_concerns(const Handler *x, uint64_t gid);
void batch_clear(Batch *b);
/* The event at a position, read from the store. */
MUST_USE bool feed_event(Handler *x, uint64_t position, StoredEvent *out, Err *err);

/* ---- handler_deliver.c: one event's handling ---- */
Delivery *delivery_take(Handler *x, const StoredEvent *event); /* a new one, at the end of its line */
void delivery_begin(Delivery *d, const StoredEvent *event);    /* its run; or it is dead at once */
void delivery_go(Delivery *d, Err *err);                       /* from its line: begin, or the next attempt */
void delivery_dead(Delivery *d, Str note);
void delivery_done(Delivery *d);
void delivery_backoff(Delivery *d, uint64_t seq, int64_t due_us, Str note);
MUST_USE bool deliveries_load(Handler *x, Err *err);
void deliveries_revive(Handler *x); /* those that wait, and dead ones that never had a run: there is other code now */
void deliveries_free(Handler *x);
void line_ready(Handler *x, Line *line);
uint64_t event_key(const Handler *x, const StoredEvent *event);

#endif
