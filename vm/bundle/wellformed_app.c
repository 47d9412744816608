/* What the tables of an application must satisfy beyond the bounds of each member:
** every function is of the kind its place asks and takes what it is called with,
** every message is of its kind, whatever is named is there. */
#include "vm/bundle/format.h"

enum { CODE_HASH_BYTES = 32 };

static bool kind_of(const Bundle *b, uint32_t fn, FnKind kind, uint32_t params) {
  return fn < b->fn_count && b->fns[fn].kind == kind && b->fns[fn].params.count == params &&
         b->fns[fn].captures == 0;
}

static bool shape_of(const Bundle *b, uint32_t shape, ShapeKind kind) {
  return b->shapes[shape].kind == kind;
}

/* One name is one constant, so names are compared by number. */
static bool has_field(const Bundle *b, uint32_t shape, uint32_t name) {
  Range32 fields = b->shapes[shape].fields;
  for (uint32_t i = 0; i < fields.count; i++) {
    if (b->fields[fields.first + i].name == name) return true;
  }
  return false;
}

static bool is_text(const Bundle *b, uint32_t constant) {
  return constant < b->const_count && b->consts[constant].kind == CONST_STRING;
}

static const char *attempts_wrong(const Bundle *b, const BundleAttempts *a) {
  if (a->max_attempts == 0) return "it may never be tried";
  if (a->timeout_us < 0 || a->backoff_min_us < 0 || a->backoff_max_us < a->backoff_min_us)
    return "times";
  return a->unless == NONE_INDEX || kind_of(b, a->unless, FNKIND_UNLESS, 1) ? NULL : "unless";
}

typedef struct ClauseForm { /* what the clauses of a place are like */
  ShapeKind message;
  FnKind fn;
  uint32_t params;
  bool guarded;
} ClauseForm;
static const ClauseForm decides = {SHAPE_COMMAND, FNKIND_DECIDE, 3, true};
static const ClauseForm evolves = {SHAPE_EVENT, FNKIND_EVOLVE, 3, false};
static const ClauseForm ons = {SHAPE_EVENT, FNKIND_ON, 2, false};

static const char *clauses_wrong(const Bundle *b, Range32 range, const ClauseForm *form) {
  for (uint32_t i = 0; i < range.count; i++) {
    const BundleClause *c = &b->clauses[range.first + i];
    if (!shape_of(b, c->shape, form->message)) return "a clause's message";
    if (!kind_of(b, c->fn, form->fn, form->params)) return "a clause's function";
    if (c->guard == NONE_INDEX) continue;
    if (!form->guarded || !kind_of(b, c->guard, FNKIND_GUARD, form->params))
      return "a clause's guard";
  }
  return NULL;
}

/* ---- agents ---- */

static const char *views_wrong(const Bundle *b, const BundleAgent *a) {
  for (uint32_t i = 0; i < a->views.count; i++) {
    uint32_t fn = b->views[a->views.first + i].fn, params = b->fns[fn].params.count;
    if (params == 0 || !kind_of(b, fn, FNKIND_VIEW, params)) return "a view's function";
  }
  for (uint32_t i = 0; i < a->invariants.count; i++) {
    if (!kind_of(b, b->invariants[a->invariants.first + i].fn, FNKIND_INVARIANT, 1))
      return "an invariant's function";
  }
  return NULL;
}

static const char *agent_wrong(const Bundle *b, const BundleAgent *a) {
  const BundleConst *code = &b->consts[a->code];
  const char *what;
  if (!shape_of(b, a->state, SHAPE_STATE)) return "its state is not one";
  if (b->fns[b->shapes[a->state].constructor].min_args != 0)
    return "its state cannot be made of nothing";
  if (code->kind != CONST_BYTES || code->text.size != CODE_HASH_BYTES) return "the hash of its code";
  if (a->lifespan_us < 0) return "times";
  if ((what = clauses_wrong(b, a->decides, &decides)) != NULL) return what;
  if ((what = clauses_wrong(b, a->evolves, &evolves)) != NULL) return what;
  return views_wrong(b, a);
}

/* ---- routers ---- */

static const char *route_wrong(const Bundle *b, const BundleRoute *r) {
  if (!shape_of(b, r->command, SHAPE_COMMAND)) return "it routes no command";
  if (!has_field(b, r->command, r->field)) return "its command has no such field";
  for (uint32_t i = 0; i < r->before.count; i++) {
    uint32_t fn = b->indexes[r->before.first + i];
    if (!kind_of(b, fn, FNKIND_FN, 1) && !kind_of(b, fn, FNKIND_FN, 2))
      return "what runs before is no function of a command and its meta";
  }
  return NULL;
}

/* ---- handlers, workers, queues ---- */

static const char *subscriber_wrong(const Bundle *b, const BundleSubscriber *s) {
  if (s->concurrency == 0) return "it may never run";
  for (uint32_t i = 0; i < s->keys.count; i++) {
    if (!is_text(b, b->indexes[s->keys.first + i])) return "a key is no name";
  }
  const char *what = clauses_wrong(b, s->clauses, &ons);
  return what != NULL ? what : attempts_wrong(b, &s->attempts);
}

static const char *worker_wrong(const Bundle *b, const BundleWorker *w) {
  if (!shape_of(b, w->shape, SHAPE_JOB) || b->shapes[w->shape].name != w->name)
    return "its job's shape";
  if (!kind_of(b, w->fn, FNKIND_JOB, 2)) return "its function";
  if (w->unique_us < 0) return "times";
  for (uint32_t i = 0; i < w->unique.count; i++) {
    if (!has_field(b, w->shape, b->indexes[w->unique.first + i]))
      return "its job has no such field";
  }
  return attempts_wrong(b, &w->attempts);
}

static const char *queue_wrong(const Bundle *b, const BundleQueue *q) {
  (void)b;
  if (q->concurrency == 0) return "it may never run";
  return (q->limit_count > 0) == (q->limit_per_us > 0) && q->limit_per_us >= 0 ? NULL : "limit";
}

static const char *cron_wrong(const Bundle *b, const BundleCron *c) {
  return kind_of(b, c->fn, FNKIND_TICK, 0) ? NULL : "its function";
}

static const char *test_wrong(const Bundle *b, const BundleTest *t) {
  return kind_of(b, t->fn, FNKIND_TEST, 0) ? NULL : "its function";
}

/* ---- models and their agents ---- */

static bool texts(const Bundle *b, Range32 names) {
  for (uint32_t i = 0; i < names.count; i++) {
    if (!is_text(b, b->indexes[names.first + i])) return false;
  }
  return true;
}

/* Both or neither, and none below zero; forever: the amount may be without a time. */
static bool bound_sound(int64_t amount, int64_t per_us, bool forever) {
  if (amount < 0 || per_us < 0) return false;
  return amount > 0 ? per_us > 0 || forever : per_us == 0;
}

static const char *model_wrong(const Bundle *b, const BundleModel *m) {
  if (m->fn >= b->fn_count || b->fns[m->fn].min_args != 0) return "its function";
  if (!bound_sound(m->requests, m->requests_per_us, false) || !bound_sound(m->tokens, m->tokens_per_us, false))
    return "limit";
  return texts(b, m->fallbacks) ? NULL : "a fallback is no name";
}

static const char *ai_agent_wrong(const Bundle *b, const BundleAiAgent *a) {
  if (b->workflows[a->workflow].name != a->name) return "its workflow";
  return texts(b, a->tools) ? NULL : "a tool is no name";
}

static const char *allowance_wrong(const Bundle *b, const BundleAllowance *a) {
  (void)b;
  bool budget = a->kind == ALLOWANCE_BUDGET;
  if (!bound_sound(a->requests, a->requests_per_us, budget) || !bound_sound(a->tokens, a->tokens_per_us, budget) ||
      !bound_sound(a->nanodollars, a->nanodollars_per_us, budget))
    return "bounds";
  if (!budget && a->nanodollars > 0) return "a limit counts no money";
  if (a->tool != NONE_INDEX && (budget || a->tokens > 0)) return "a tool has requests only";
  return a->requests > 0 || a->tokens > 0 || a->nanodollars > 0 ? NULL : "it bounds nothing";
}

/* ---- the walk ---- */

typedef struct Claims { /* items of pools that ranges have claimed so far */
  uint64_t indexes, clauses, views, invariants, routes;
} Claims;

static bool claims_fit(const Bundle *b, const Claims *c) {
  return c->indexes <= b->index_count && c->clauses <= b->clause_count &&
         c->views <= b->view_count && c->invariants <= b->invariant_count &&
         c->routes <= b->route_count;
}

/* Each table's line adds what it claims before anything of it is walked: no range is walked twice. */
#define EACH(pool, array, claim)                                           \
  for (uint32_t i = 0; i < b->pool##_count; i++) {                         \
    claim;                                                                 \
    if (!claims_fit(b, &c)) what = "ranges overlap";                       \
    if (what == NULL) what = pool##_wrong(b, &b->array[i]);                \
    if (what == NULL) continue;                                            \
    FAIL(err, ERR_CORRUPT, "bundle: %s %" PRIu32 ": %s", #pool, i, what); \
    return false;                                                          \
  }

bool bundle_application_wellformed(const Bundle *b, uint64_t *indexes, Err *err) {
  Claims c = {.indexes = *indexes};
  const char *what = NULL;
  EACH(agent, agents,
       (c.clauses += (uint64_t)b->agents[i].decides.count + b->agents[i].evolves.count,
        c.views += b->agents[i].views.count, c.invariants += b->agents[i].invariants.count))
  EACH(route, routes, c.indexes += b->routes[i].before.count)
  for (uint32_t i = 0; i < b->router_count; i++) c.routes += b->routers[i].routes.count;
  EACH(subscriber, subscribers,
       (c.clauses += b->subscribers[i].clauses.count, c.indexes += b->subscribers[i].keys.count))
  EACH(worker, workers, c.indexes += b->workers[i].unique.count)
  EACH(queue, queues, (void)0)
  EACH(cron, crons, (void)0)
  EACH(test, tests, (void)0)
  EACH(model, models, c.indexes += b->models[i].fallbacks.count)
  EACH(ai_agent, ai_agents, c.indexes += b->ai_agents[i].tools.count)
  EACH(allowance, allowances, (void)0)
  *indexes = c.indexes;
  if (claims_fit(b, &c)) return true;
  FAIL(err, ERR_CORRUPT, "bundle: router 0: ranges overlap");
  return false;
}
#undef EACH
