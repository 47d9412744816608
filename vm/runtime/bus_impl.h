/* What the files of the bus share. Private to bus*.c.
**
**   bus_dispatch -> queue --collect--> carry --+--> refused, or decided and appended --> reply (after the commit)
**   a run's ask ----------------------> carry --+                                          |
**                                               +--> the instance is held: its line        +--> wait for handlers
**                                               +--> a long decision: `deciding`, a slice a round
**
** An Order borrows its strings while it is carried out; what must stay longer becomes a Call, one block with copies. */
#ifndef Z8_BUS_IMPL_H
#define Z8_BUS_IMPL_H

#include "vm/runtime/agents.h"
#include "vm/runtime/bus.h"
#include "vm/runtime/deadlines.h"
#include "vm/runtime/handlers.h"
#include "vm/runtime/jobs.h"
#include "vm/runtime/schedule.h"

enum {
  QUEUE_MAX = 65536,      /* commands of outside callers that wait to be looked at */
  ROUND_COMMANDS = 1024,  /* of them taken in a round */
  ROUND_SLICES = 4,       /* slices of long decisions in a round */
  SLICE_DECIDE = 200000,  /* ticks of one */
  LINE_MAX = 65536        /* commands that wait for one held instance */
};
#define STRONG_TIMEOUT_US INT64_C(5000000)
#define REPLY_KEPT_US INT64_C(604800000000) /* 7 days */

typedef void Done(void *context, const CommandResult *result);
typedef struct Asker { /* who gets the result: a caller, or command `seq` of a run */
  Done *done;
  void *context;
  uint64_t run, seq;
} Asker;

typedef struct Order {
  Command c;       /* data: as given; the shape's own encoding once it is admitted */
  Asker asker;
  bool view;       /* c.name is "Agent.view", c.data its arguments, `id` the instance */
  bool admitted;
  bool late;       /* of a run, and its answer is not in the commit of its question */
  Str id, key, meta;
  uint32_t route;
  int64_t at_us;
} Order;

typedef struct Call {
  struct Call *next;
  Order o;
  char bytes[];
} Call;
typedef struct CallList {
  Call *first, **end;
  uint32_t count;
} CallList;

typedef struct Deciding { /* a decision that takes more than one slice, and who waits for its instance */
  struct Deciding *next;
  Instance *who;
  Call *call;
  CallList line;
} Deciding;

typedef struct Outcome { /* of an order, in bus->value */
  bool ok;
  bool stored;       /* kept in the store under the command's id */
  uint64_t position; /* of its last event, 0: it has none */
} Outcome;

typedef struct Reply { /* goes out after the commit */
  Asker asker;
  Uuid id;
  Outcome outcome;
  uint8_t consistency;
  int64_t timeout_us;
  size_t handlers_at, handlers_size, at, size; /* in bus->bytes */
} Reply;

typedef struct StrongWait { /* for handlers; one block with its strings */
  Deadline deadline; /* first: found through it */
  struct StrongWait *next, **link;
  Asker asker;
  Uuid id;
  bool stored;
  uint8_t consistency;
  uint64_t position;
  Str handlers, value;
} StrongWait;

typedef struct Answered { /* whose stored result is not needed any more, once the run has it on record */
  Uuid id;
  uint64_t run;
} Answered;

typedef struct RouteInfo {
  const BundleRoute *route;
  Str prefix;
  bool meta;        /* somebody reads it */
} RouteInfo;

struct Bus {
  App *app;
  Decider *desk;     /* admits commands, names instances, runs middleware; never holds a state */
  RouteInfo *routes; /* by index of the bundle */
  Table *by_command; /* names of routed commands: route + 1 */
  Table *views;      /* "Agent.view": index in bundle->views + 1; */
  uint32_t *view_agents; /* of each of bundle->views */
  CallList queue;
  Deciding *deciding, **deciding_end;
  uint32_t slices;   /* used in this round */
  Reply *replies;
  uint32_t reply_count, reply_cap;
  Buf bytes;         /* of the replies */
  Buf value;         /* of the order that is carried out */
  Buf data, name, meta, work; /* scratch */
  Uuid *event_ids;
  uint32_t event_cap;
  StrongWait *waits, **waits_end;
  uint32_t wait_count;
  Deadlines deadlines;
  bool moved;        /* handlers went on since the waits were looked at */
  Answered *answered;
  uint32_t answered_count, answered_cap;
  Buf prune_after;   /* the last key looked at */
  int64_t pruned_us;
  Err fatal;         /* a read of the store failed while a run asked: the next round says so */
};

/* ---- bus.c ---- */
Call *call_new(const Order *o);
void call_put(CallList *list, Call *call);
Call *call_take(CallList *list);

/* ---- bus_carry.c ---- */
typedef enum {
  CARRIED, /* the outcome is in *out and bus->value */
  CARRY_LATER, /* it was copied and goes on by itself */
  CARRY_FAILED /* the store cannot be read: err */
} Carry;
Carry bus_carry(Bus *b, Order *o, Outcome *out, Err *err);
/* One more slice of a long decision, then those who waited for its instance. False: the store failed. */
MUST_USE bool bus_decide_on(Bus *b, Deciding *d, bool *over, Err *err);
void bus_error(Bus *b, Str code, Str message, Str data); /* into bus->value */
void bus_errorf(Bus *b, const char *code, const char *format, ...) PRINTF_LIKE(3, 4);

/* ---- bus_reply.c ---- */
void bus_reply(Bus *b, const Order *o, const Outcome *out);
bool bus_awaits(Bus *b, const Order *o, const Outcome *out); /* are there handlers to wait for? */
/* The stored result of a key or command id into bus->value. False: there is none, or the store failed (err->code). */
bool reply_find(Bus *b, Str key, uint64_t check, Outcome *out, bool *other, Err *err);
void reply_keep(Bus *b, Str key, uint64_t check, const Outcome *out);
void reply_key(const Order *o, uint8_t key[16]);
uint64_t reply_check(const Order *o);
void replies_prune(Bus *b, int64_t now_us);
void replies_give(Bus *b);
void answered_look(Bus *b); /* between rounds: forgets stored answers that runs have on record */
void waits_free(Bus *b);
void waits_expire(Bus *b, int64_t now_us);
void waits_drop(Bus *b, uint64_t run, uint64_t seq);

#endif
