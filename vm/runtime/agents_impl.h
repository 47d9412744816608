/* What the files of agents share: the cache of instances, the seats, the rows of the round. Private to agents*.c,
** agent_*.c.
**
** An instance's state is in one of two places: as bytes (`state`), or in the decider of its seat. While it is
** seated the bytes may be stale (Seat.stale) and are made anew when it must leave the seat. Instances that
** the round has changed (`touched`) and those with a decision going on (`held`) are never forgotten. */
#ifndef Z8_AGENTS_IMPL_H
#define Z8_AGENTS_IMPL_H

#include "vm/base/table.h"
#include "vm/runtime/agents.h"
#include "vm/runtime/schedule.h"

enum {
  SEATS = 8,           /* deciders kept; more are made while long decisions hold theirs */
  SEATS_MAX = 256,
  NAMES_KEPT = 1024    /* streams whose key is kept by number, for handlers */
};

typedef struct Seat {
  Decider *decider;
  Instance *who; /* NULL: free */
  uint64_t used;
  bool stale;    /* the bytes of `who` are older than what is in the decider */
  bool held;     /* a decision is going on */
} Seat;

struct Instance {
  Instance *newer, *older; /* among those of its agent, by use */
  Instance *next;          /* in its bucket */
  Seat *seat;              /* or NULL */
  char *state;             /* owned; size 0: the initial one */
  uint32_t state_size, state_cap;
  uint32_t hash, agent;
  uint32_t fresh;          /* its last row of this round, from 1; 0: none */
  uint32_t unpaged;        /* rows since the last page */
  uint64_t stream;         /* 0: nothing of it is stored */
  uint64_t version, records;
  uint64_t snapshot;       /* version of the stored snapshot, 0: none that is good */
  uint64_t last_gid, durable_gid, page_gid;
  int64_t used_us;
  Hash256 head;
  bool touched;
  uint16_t key_size;
  char key[];
};

typedef struct AgentInfo { /* of an agent of the active bundle */
  const BundleAgent *agent;
  Str name, code;
  bool evolve_meta;     /* a clause of evolve reads meta */
  Instance *newest, *oldest;
} AgentInfo;

/* A row of the round. Bytes stand in Agents.rows at `at`, so that they may move while the round grows. */
typedef struct FreshRow {
  LogRow row;
  size_t at, size;
  uint32_t before; /* the stream's row before in this round, from 1; 0: none */
  uint32_t events;
} FreshRow;

typedef struct StreamName {
  uint64_t stream;
  char *text; /* owned: key, agent, tenant */
  Str key, agent, tenant;
} StreamName;

struct Agents {
  App *app;
  AgentInfo *infos;
  uint32_t info_count;
  Instance **buckets; /* a power of two of them */
  uint32_t bucket_count;
  Seat *seats[SEATS_MAX];
  uint32_t seat_count;
  uint64_t clock; /* of Seat.used */
  AgentCounts counts;

  Instance **touched;
  uint32_t touched_count, touched_cap;
  FreshRow *fresh;
  uint32_t fresh_count, fresh_cap;
  const LogRow **with_events;
  uint32_t with_count, with_cap;
  uint32_t *chain; /* of rows for a page */
  uint32_t chain_cap;
  bool over; /* the rows are those of a round that is committed */
  Buf rows, record, scratch, page;
  StreamName names[NAMES_KEPT];
};

/* ---- agents.c ---- */
Instance *instance_new(Agents *a, uint32_t agent, Str key, uint32_t hash);
void instance_forget(Agents *a, Instance *i);
void instance_touch(Agents *a, Instance *i);
/* A seat that holds nobody, or whose holder could leave. ERR_BUSY: all deciders have decisions going on. */
MUST_USE bool seat_take(Agents *a, Instance *i, Seat **out, Err *err);
void seat_leave(Seat *seat); /* what is in the decider is dropped */
void instance_state_set(Agents *a, Instance *i, Str state);
Str stream_key_tenant(Str stream_key, Str *key); /* "default" without a tab */

/* ---- agent_load.c ---- */
/* Fills a new instance from the store; it has a seat then. One that the store does not have stays as new. */
MUST_USE bool instance_load(Agents *a, Instance *i, Err *err);
void instance_snapshot(Agents *a, Instance *i, Str state);

/* ---- agent_events.c ---- */
typedef struct RowReader {
  Str rest;
  Record_ACCEPTED accepted; /* of the command last met; decoded only if `commands` */
  bool commands, any;
  Record_HAPPENED event;
  uint64_t seq;
} RowReader;
/* The next event of a row or page. False: the end, or err is filled. */
bool row_event(RowReader *r, Err *err);
Accepted accepted_of(const Record_ACCEPTED *r, Str tenant);
void names_clear(Agents *a);

#endif
