/* Agent instances: streams of the store, folded into states.
**
** An instance is found by its key, has its state as bytes or in one of a pool of deciders (the
** ones used last: a large state that is busy is neither decoded nor encoded for each command), and is
** forgotten, least used first, when all of them take more than the cache's bytes, or its lifespan is over.
** Forgetting costs nothing: the store has everything.
**
** Position of an event: gid * 4096 + its number within its row; rises in order of commit. */
#ifndef Z8_AGENTS_H
#define Z8_AGENTS_H

#include "vm/run/decider.h"
#include "vm/runtime/app.h"

typedef struct Instance Instance;
enum { PAGE_ROWS = 16 /* rows of a stream that make a page */ };

Agents *agents_new(App *app);
void agents_free(Agents *agents);
void agents_activate(Agents *agents); /* states folded by other code are dropped (BundleAgent.code) */

/* The instance of that key, new or old, with its state folded from snapshot, pages and rows. The agent that made the
** stream must be this one (ERR_INVALID names both). */
MUST_USE bool agents_find(Agents *agents, uint32_t agent, Str key, Instance **out, Err *err);
/* A decider that holds the instance's state. NULL: a decision of it is going on, or of so many others that none is
** free. */
Decider *agents_seat(Agents *agents, Instance *instance);
bool instance_held(const Instance *instance);
uint64_t instance_version(const Instance *instance); /* events, those of this round included */
uint64_t instance_durable(const Instance *instance); /* gid of its last row when it was last committed */
uint64_t instance_gid(const Instance *instance);     /* gid of its last row, this round's included */

/* Journals an accepted command and its decided events: rows, page, snapshot go to the grouping. event_ids has room for
** them. What was put is visible to later commands at once; agents_refused takes all of this round back. What
** agents_fit refuses (ERR_LIMIT: too many events, too large) must not come to it. */
typedef struct Accepted {
  Uuid id, causation, correlation;
  Str type, data, actor, tenant, metadata;
  uint64_t version;
  int64_t at_us;
} Accepted;
MUST_USE bool agents_fit(const Accepted *command, const Decision *decision, Err *err);
void agents_append(Agents *agents, Instance *instance, const Accepted *command, const Decision *decision,
                   Uuid *event_ids);
/* After agents_append, when the decision's strings are not needed any more: the state with its events is the
** instance's now (a snapshot is put if it is time); or, with `stored` false, the decision is dropped. */
void agents_settle(Agents *agents, Instance *instance, bool stored);
/* A decision needs more than one slice: the instance keeps its decider and its place in memory until it is released. */
void agents_hold(Agents *agents, Instance *instance, bool held);
/* The decision that is going on will not end (another bundle, a failed commit): between rounds only. The pointer is
** dead after it. */
void agents_abandon(Agents *agents, Instance *instance);
/* The state as a record, that of this round. */
MUST_USE bool agents_state(Agents *agents, Instance *instance, Buf *out, Err *err);
/* Forgets what is past its lifespan, or more than the cache holds. */
void agents_trim(Agents *agents, int64_t now_us);
void agents_committed(Agents *agents);
void agents_refused(Agents *agents);

/* An event as handlers, strong waits and the CLI see it. */
typedef struct StoredEvent {
  uint64_t position, stream, number; /* number: within its stream, from 1 */
  Str key, agent, tenant;
  Uuid id, command, correlation, causation;
  Str type, data, actor, metadata;
  uint64_t version;
  Hash256 bundle; /* whose code made it */
  int64_t at_us;
} StoredEvent;
/* Each event of a row of the log; false from `each` stops. Rows of runs have none. `key` and `agent` are empty: the
** row does not have them (agents_stream_name). */
MUST_USE bool events_each(const LogRow *row, bool (*each)(void *context, const StoredEvent *event), void *context,
                          Err *err);
/* Key, agent and tenant of a stream, from its first record; cached. Strs live until the next call. */
MUST_USE bool agents_stream_name(Agents *agents, uint64_t stream, Str *key, Str *agent, Str *tenant, Err *err);
/* The `meta` map of an event or command, encoded. An event's causation is its command. What evolve sees is the meta of
** the command that made the event, whenever it is folded: then, or after a restart. */
void event_meta(const StoredEvent *event, Buf *out);
void command_meta(const Accepted *command, Buf *out);
/* Rows of this round with events, in order, as they will be committed: for handlers. Valid until the next round. */
uint32_t agents_fresh(const Agents *agents, const LogRow *const **rows);
typedef struct AgentCounts {
  uint64_t instances, bytes, loads, folds;
} AgentCounts;
AgentCounts agents_counts(const Agents *agents);
#endif
