/* The cache of agent instances: found by key, seated in deciders, forgotten least used first. */
#include "vm/base/hash.h"
#include "vm/base/mem.h"
#include "vm/runtime/agents_impl.h"

enum { BUCKETS_MIN = 1024 };
#define CACHE_BYTES (UINT64_C(64) << 20)

/* ---- life ---------------------------------------------------------------- */

Agents *agents_new(App *app) {
  Agents *a = MEM_NEW(Agents);
  a->app = app;
  a->bucket_count = BUCKETS_MIN;
  a->buckets = mem_alloc(a->bucket_count * sizeof *a->buckets);
  return a;
}

static void seats_free(Agents *a) {
  for (uint32_t i = 0; i < a->seat_count; i++) {
    if (a->seats[i]->who != NULL) seat_leave(a->seats[i]);
    decider_free(a->seats[i]->decider);
    mem_free(a->seats[i]);
  }
  a->seat_count = 0;
}

static void instances_free(Agents *a) {
  for (uint32_t i = 0; i < a->info_count; i++)
    while (a->infos[i].oldest != NULL) instance_forget(a, a->infos[i].oldest);
}

void agents_free(Agents *a) {
  if (a == NULL) return;
  instances_free(a);
  seats_free(a);
  names_clear(a);
  mem_free(a->infos);
  mem_free(a->buckets);
  mem_free(a->touched);
  mem_free(a->fresh);
  mem_free(a->with_events);
  mem_free(a->chain);
  buf_deinit(&a->rows);
  buf_deinit(&a->record);
  buf_deinit(&a->scratch);
  buf_deinit(&a->page);
  mem_free(a);
}

AgentCounts agents_counts(const Agents *a) { return a->counts; }
uint64_t instance_version(const Instance *i) { return i->version; }
uint64_t instance_durable(const Instance *i) { return i->durable_gid; }
uint64_t instance_gid(const Instance *i) { return i->last_gid; }
bool instance_held(const Instance *i) { return i->seat != NULL && i->seat->held; }

/* ---- lists by use ---------------------------------------------------------- */

static void list_leave(Agents *a, Instance *i) {
  AgentInfo *info = &a->infos[i->agent];
  *(i->newer != NULL ? &i->newer->older : &info->newest) = i->older;
  *(i->older != NULL ? &i->older->newer : &info->oldest) = i->newer;
  i->newer = i->older = NULL;
}

static void list_enter(Agents *a, Instance *i) {
  AgentInfo *info = &a->infos[i->agent];
  i->older = info->newest;
  *(info->newest != NULL ? &info->newest->newer : &info->oldest) = i;
  info->newest = i;
}

static void instance_used(Agents *a, Instance *i) {
  i->used_us = app_now(a->app);
  if (i->newer == NULL) return;
  list_leave(a, i);
  list_enter(a, i);
}

/* ---- buckets ----------------------------------------------------------------- */

static uint32_t key_hash(Str key) { return (uint32_t)(hash_bytes(key.at, key.size) >> 16); }
static Str instance_key(const Instance *i) { return (Str){i->key, i->key_size}; }

static Instance **bucket_of(Agents *a, uint32_t hash) { return &a->buckets[hash & (a->bucket_count - 1)]; }

static Instance *bucket_find(Agents *a, Str key, uint32_t hash) {
  for (Instance *i = *bucket_of(a, hash); i != NULL; i = i->next)
    if (i->hash == hash && str_equal(instance_key(i), key)) return i;
  return NULL;
}

static void buckets_double(Agents *a) {
  Instance **old = a->buckets;
  uint32_t count = a->bucket_count;
  a->bucket_count *= 2;
  a->buckets = mem_alloc(a->bucket_count * sizeof *a->buckets);
  for (uint32_t b = 0; b < count; b++) {
    for (Instance *i = old[b], *next; i != NULL; i = next) {
      Instance **to = bucket_of(a, i->hash);
      next = i->next;
      i->next = *to;
      *to = i;
    }
  }
  mem_free(old);
}

static size_t instance_bytes(const Instance *i) { return sizeof *i + i->key_size + i->state_cap; }

Instance *instance_new(Agents *a, uint32_t agent, Str key, uint32_t hash) {
  Instance *i = mem_alloc(sizeof *i + key.size);
  i->agent = agent;
  i->hash = hash;
  i->key_size = (uint16_t)key.size;
  memcpy(i->key, key.at, key.size);
  if (a->counts.instances >= a->bucket_count) buckets_double(a);
  i->next = *bucket_of(a, hash);
  *bucket_of(a, hash) = i;
  list_enter(a, i);
  i->used_us = app_now(a->app);
  a->counts.instances++;
  a->counts.bytes += instance_bytes(i);
  return i;
}

void instance_forget(Agents *a, Instance *i) {
  Instance **at = bucket_of(a, i->hash);
  while (*at != i) at = &(*at)->next;
  *at = i->next;
  list_leave(a, i);
  if (i->seat != NULL) seat_leave(i->seat);
  a->counts.instances--;
  a->counts.bytes -= instance_bytes(i);
  mem_free(i->state);
  mem_free(i);
}

/* ---- seats --------------------------------------------------------------------- */

/* A buffer that is a bit too large is kept: states of one agent are of one size, more or less. */
void instance_state_set(Agents *a, Instance *i, Str state) {
  if (state.size > i->state_cap || i->state_cap > 2 * state.size + 64) {
    a->counts.bytes -= i->state_cap;
    mem_free(i->state);
    i->state = state.size > 0 ? mem_realloc(NULL, state.size) : NULL;
    i->state_cap = (uint32_t)state.size;
    a->counts.bytes += i->state_cap;
  }
  if (state.size > 0) memcpy(i->state, state.at, state.size);
  i->state_size = (uint32_t)state.size;
}

void seat_leave(Seat *seat) {
  seat->who->seat = NULL;
  seat->who = NULL;
  seat->stale = seat->held = false;
}

/* Its holder leaves, with its state as bytes. A state that was only folded and cannot be encoded is forgotten: the
** store has what it is made of. False: the round has decided with it, so it must stay. */
static bool seat_empty(Agents *a, Seat *seat) {
  Instance *i = seat->who;
  if (i == NULL) return true;
  buf_clear(&a->scratch);
  if (seat->stale && !decider_save(seat->decider, &a->scratch)) {
    if (!i->touched) instance_forget(a, i);
    return !i->touched;
  }
  if (seat->stale) instance_state_set(a, i, buf_view(&a->scratch));
  seat_leave(seat);
  return true;
}

static Seat *seat_new(Agents *a) {
  Seat *seat = MEM_NEW(Seat);
  seat->decider = app_decider(a->app);
  a->seats[a->seat_count++] = seat;
  return seat;
}

static Seat *seat_free_or_oldest(Agents *a) {
  Seat *best = NULL;
  for (uint32_t n = 0; n < a->seat_count; n++) {
    Seat *seat = a->seats[n];
    if (!seat->held && (best == NULL || seat->used < best->used)) best = seat;
  }
  if (best != NULL && a->seat_count >= SEATS) {
    if (seat_empty(a, best)) return best;
    best->used = ++a->clock;
  }
  return a->seat_count < SEATS_MAX ? seat_new(a) : NULL;
}

bool seat_take(Agents *a, Instance *i, Seat **out, Err *err) {
  Seat *best = seat_free_or_oldest(a);
  if (best == NULL) {
    FAIL(err, ERR_BUSY, "%d decisions are going on at once", SEATS_MAX);
    return false;
  }
  best->who = i;
  best->used = ++a->clock;
  i->seat = best;
  *out = best;
  return true;
}

static bool instance_seat(Agents *a, Instance *i, Err *err) {
  Seat *seat = i->seat;
  if (seat != NULL) {
    if (!seat->held) seat->used = ++a->clock;
    return true;
  }
  if (!seat_take(a, i, &seat, err)) return false;
  if (decider_load(seat->decider, i->agent, (Str){i->state, i->state_size}, err)) return true;
  seat_leave(seat);
  return false;
}

Decider *agents_seat(Agents *a, Instance *i) {
  Err ignored;
  if (instance_held(i) || !instance_seat(a, i, &ignored)) return NULL;
  return i->seat->decider;
}

void agents_hold(Agents *a, Instance *i, bool held) {
  (void)a;
  ASSERT(i->seat != NULL);
  i->seat->held = held;
}

/* Its decider is in the middle of a decision that will not end: the state is read from the store again. */
void agents_abandon(Agents *a, Instance *i) {
  i->seat->held = false;
  if (!i->touched) instance_forget(a, i);
}

bool agents_state(Agents *a, Instance *i, Buf *out, Err *err) {
  if (!instance_seat(a, i, err)) return false;
  if (decider_save(i->seat->decider, out)) return true;
  FAIL(err, ERR_LIMIT, "the state cannot be encoded");
  return false;
}

/* ---- finding ------------------------------------------------------------------- */

static bool other_agent(Agents *a, const Instance *i, uint32_t agent, Err *err) {
  Str key;
  (void)stream_key_tenant(instance_key(i), &key);
  FAIL(err, ERR_INVALID, "`" STR_FMT "` is an instance of " STR_FMT ", and not of " STR_FMT
       ": give the agents different prefixes", STR_ARG(key), STR_ARG(a->infos[i->agent].name),
       STR_ARG(a->infos[agent].name));
  return false;
}

bool agents_find(Agents *a, uint32_t agent, Str key, Instance **out, Err *err) {
  ASSERT(agent < a->info_count && key.size > 0);
  if (key.size > LIMIT_KEY_BYTES) {
    FAIL(err, ERR_LIMIT, "an instance's key of %zu bytes is longer than %d", key.size, (int)LIMIT_KEY_BYTES);
    return false;
  }
  uint32_t hash = key_hash(key);
  Instance *i = bucket_find(a, key, hash);
  if (i != NULL) {
    if (i->agent != agent) return other_agent(a, i, agent, err);
    instance_used(a, i);
    *out = i;
    return instance_seat(a, i, err);
  }
  i = instance_new(a, agent, key, hash);
  if (!instance_load(a, i, err)) {
    instance_forget(a, i);
    return false;
  }
  *out = i;
  return true;
}

/* ---- forgetting ---------------------------------------------------------------- */

static bool may_go(const Instance *i) { return !i->touched && !instance_held(i); }

static Instance *least_used(Agents *a) {
  Instance *least = NULL;
  for (uint32_t n = 0; n < a->info_count; n++) {
    Instance *i = a->infos[n].oldest;
    while (i != NULL && instance_held(i)) i = i->newer; /* few are */
    if (i != NULL && may_go(i) && (least == NULL || i->used_us < least->used_us)) least = i;
  }
  return least;
}

static void trim_lifespan(Agents *a, AgentInfo *info, int64_t now_us) {
  int64_t life = info->agent->lifespan_us;
  if (life == 0) return;
  for (Instance *i = info->oldest, *next; i != NULL && i->used_us + life <= now_us; i = next) {
    next = i->newer;
    if (may_go(i)) instance_forget(a, i);
  }
}

void agents_trim(Agents *a, int64_t now_us) {
  uint64_t cache = a->app->options.cache > 0 ? a->app->options.cache : CACHE_BYTES;
  Instance *i;
  for (uint32_t n = 0; n < a->info_count; n++) trim_lifespan(a, &a->infos[n], now_us);
  while (a->counts.bytes > cache && (i = least_used(a)) != NULL) instance_forget(a, i);
}

/* ---- rounds -------------------------------------------------------------------- */

void instance_touch(Agents *a, Instance *i) {
  if (i->touched) return;
  i->touched = true;
  a->touched = mem_grow(a->touched, &a->touched_cap, a->touched_count + 1, sizeof *a->touched);
  a->touched[a->touched_count++] = i;
}

static void fresh_finish(Agents *a) {
  a->with_count = 0;
  for (uint32_t n = 0; n < a->fresh_count; n++) {
    FreshRow *f = &a->fresh[n];
    f->row.bytes = (Str){a->rows.at + f->at, f->size};
    if (f->events == 0) continue;
    a->with_events = mem_grow(a->with_events, &a->with_cap, a->with_count + 1, sizeof *a->with_events);
    a->with_events[a->with_count++] = &f->row;
  }
}

static void fresh_clear(Agents *a) {
  a->fresh_count = a->with_count = 0;
  buf_clear(&a->rows);
  a->over = false;
}

void agents_committed(Agents *a) {
  for (uint32_t n = 0; n < a->touched_count; n++) {
    Instance *i = a->touched[n];
    i->touched = false;
    i->fresh = 0;
    i->durable_gid = i->last_gid;
  }
  a->touched_count = 0;
  if (a->over) fresh_clear(a); /* they are of an earlier round */
  fresh_finish(a);
  a->over = true;
  agents_trim(a, app_now(a->app));
}

/* What the round changed is read from the store again when it is next asked for. */
void agents_refused(Agents *a) {
  for (uint32_t n = 0; n < a->touched_count; n++) instance_forget(a, a->touched[n]);
  a->touched_count = 0;
  fresh_clear(a);
  names_clear(a);
}

uint32_t agents_fresh(const Agents *a, const LogRow *const **rows) {
  *rows = a->with_events;
  return a->with_count;
}

/* ---- another bundle --------------------------------------------------------------- */

static bool reads_meta(const Bundle *b, const BundleAgent *agent) {
  for (uint32_t n = 0; n < agent->evolves.count; n++)
    if (b->clauses[agent->evolves.first + n].uses_meta) return true;
  return false;
}

static AgentInfo *infos_new(const Bundle *b) {
  AgentInfo *infos = mem_alloc((b->agent_count + 1) * sizeof *infos);
  for (uint32_t n = 0; n < b->agent_count; n++) {
    const BundleAgent *agent = &b->agents[n];
    infos[n] = (AgentInfo){.agent = agent, .name = bundle_text(b, agent->name), .code = bundle_text(b, agent->code),
                           .evolve_meta = reads_meta(b, agent)};
  }
  return infos;
}

/* The agent of that name, if its states are folded by the same code. */
static bool same_code(const AgentInfo *old, const AgentInfo *infos, uint32_t count, uint32_t *out) {
  for (uint32_t n = 0; n < count; n++) {
    if (!str_equal(old->name, infos[n].name) || !str_equal(old->code, infos[n].code)) continue;
    *out = n;
    return true;
  }
  return false;
}

/* Oldest first, so that the order by use is kept. */
static void instances_move(Agents *a, AgentInfo *old, AgentInfo *infos, uint32_t count) {
  uint32_t to = 0;
  AgentInfo *mine = a->infos;
  bool same = same_code(old, infos, count, &to);
  for (Instance *i; (i = old->oldest) != NULL;) {
    if (!same) {
      instance_forget(a, i);
      continue;
    }
    list_leave(a, i);
    i->agent = to;
    a->infos = infos;
    list_enter(a, i);
    a->infos = mine;
  }
}

void agents_activate(Agents *a) {
  const Bundle *b = a->app->bundle;
  for (uint32_t n = 0; n < a->seat_count; n++) {
    ASSERT(!a->seats[n]->held); /* bus_stop has seen to it */
    (void)seat_empty(a, a->seats[n]);
  }
  seats_free(a);
  AgentInfo *infos = infos_new(b);
  for (uint32_t n = 0; n < a->info_count; n++) instances_move(a, &a->infos[n], infos, b->agent_count);
  mem_free(a->infos);
  a->infos = infos;
  a->info_count = b->agent_count;
}
