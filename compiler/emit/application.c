/* The application's declarations to the bundle's tables: agents, routers, handlers,
** workers, queues, ticks and tests of the program's own files, imported ones too.
** Each is a root: what it reaches is emitted. What is not said has its default here. */
#include "compiler/emit/emitter.h"

#define SECOND_US INT64_C(1000000)
enum { CONCURRENCY_MAX = 1 << 20, QUEUE_CONCURRENCY = 10, PRIORITY = 5, PRIORITY_MAX = 9 };

/* How often what says nothing is tried. */
static const BundleAttempts worker_attempts = {20, SECOND_US, 3600 * SECOND_US, NONE_INDEX, 0};
static const BundleAttempts handler_attempts = {20, SECOND_US, 300 * SECOND_US, NONE_INDEX, 0};

/* ---- settings ---- */

const Setting *setting_find(const Decl *decl, const char *name) {
  for (const Setting *s = decl->settings; s != NULL; s = s->next) {
    if (str_equal(s->name->text, str_of(name))) return s;
  }
  return NULL;
}

int64_t folded_number(const Expr *e, int64_t fallback) {
  return e != NULL && (e->kind == EXPR_INT || e->kind == EXPR_DURATION) ? e->integer : fallback;
}

static uint32_t setting_count(const Decl *decl, const char *name, uint32_t fallback, uint32_t max) {
  const Setting *s = setting_find(decl, name);
  int64_t n = s != NULL ? folded_number(s->first, fallback) : fallback;
  return n < 0 ? 0 : n > max ? max : (uint32_t)n;
}

static int64_t setting_duration(const Decl *decl, const char *name) {
  const Setting *s = setting_find(decl, name);
  int64_t us = s != NULL ? folded_number(s->first, 0) : 0;
  return us < 0 ? 0 : us;
}

static bool setting_says(const Decl *decl, const char *name, const char *word) {
  const Setting *s = setting_find(decl, name);
  return s != NULL && s->first != NULL && s->first->kind == EXPR_NAME &&
         str_equal(s->first->name->text, str_of(word));
}

/* `backoff a..b unless c`, behind max_attempts or on a line of its own. */
static void backoff_read(Emitter *e, const Setting *s, BundleAttempts *a) {
  if (s == NULL) return;
  a->backoff_min_us = folded_number(s->second, a->backoff_min_us);
  if (s->third != NULL) a->backoff_max_us = folded_number(s->third, a->backoff_max_us);
  else if (s->second != NULL) a->backoff_max_us = a->backoff_min_us;
  if (a->backoff_max_us < a->backoff_min_us) a->backoff_max_us = a->backoff_min_us;
  if (s->function != NULL) a->unless = fn_index(e, s->function);
}

BundleAttempts attempts_read(Emitter *e, const Decl *decl, BundleAttempts fallback) {
  BundleAttempts a = fallback;
  const Setting *s = setting_find(decl, "max_attempts");
  if (s != NULL) a.max_attempts = (uint32_t)folded_number(s->first, a.max_attempts);
  if (a.max_attempts == 0) a.max_attempts = 1;
  backoff_read(e, setting_find(decl, "backoff"), &a);
  backoff_read(e, s, &a);
  a.timeout_us = setting_duration(decl, "timeout");
  return a;
}

static Range32 names_add(Emitter *e, const NameList *names) {
  Range32 range = {e->out->index_count, 0};
  for (; names != NULL; names = names->next, range.count++)
    index_add(e, const_name(e, names->name));
  return range;
}

/* ---- agents ---- */

static bool reads_meta(const Function *fn) {
  return fn != NULL && fn->meta != NULL && (fn->meta->reads > 0 || fn->meta->captured);
}

static Range32 clauses_add(Emitter *e, const Decl *members, DeclKind kind) {
  Range32 range = {e->out->clause_count, 0};
  for (const Decl *m = members; m != NULL; m = m->next) {
    if (m->kind != kind) continue;
    const Function *guard = m->check_function;
    BundleClause clause = {
        .shape = shape_index(e, m->symbol->decl),
        .guard = guard != NULL ? fn_index(e, m->check_function) : NONE_INDEX,
        .fn = fn_index(e, m->function),
        .uses_meta = reads_meta(m->function) || reads_meta(guard)};
    *PUSH_ITEM(e, e->out->clauses, e->out->clause_count, e->clause_cap) = clause;
    range.count++;
  }
  return range;
}

static Range32 views_add(Emitter *e, const Decl *members) {
  Range32 range = {e->out->view_count, 0};
  for (const Decl *m = members; m != NULL; m = m->next) {
    if (m->kind != DECL_VIEW) continue;
    BundleView view = {.name = const_name(e, m->name), .fn = fn_index(e, m->function)};
    *PUSH_ITEM(e, e->out->views, e->out->view_count, e->view_cap) = view;
    range.count++;
  }
  return range;
}

static Range32 invariants_add(Emitter *e, const Decl *members) {
  Range32 range = {e->out->invariant_count, 0};
  for (const Decl *m = members; m != NULL; m = m->next) {
    if (m->kind != DECL_INVARIANT) continue;
    BundleInvariant invariant = {.fn = fn_index(e, m->function),
                                 .message = const_text_or(e, m->text)};
    *PUSH_ITEM(e, e->out->invariants, e->out->invariant_count, e->invariant_cap) = invariant;
    range.count++;
  }
  return range;
}

static void agent_add(Emitter *e, Decl *decl) {
  BundleAgent agent = {
      .name = const_name(e, decl->name),
      .doc = const_text_or(e, decl->doc),
      .state = shape_index(e, decl),
      .decides = clauses_add(e, decl->members, DECL_DECIDE),
      .evolves = clauses_add(e, decl->members, DECL_EVOLVE),
      .views = views_add(e, decl->members),
      .invariants = invariants_add(e, decl->members),
      .snapshot_every = setting_count(decl, "snapshot", 0, UINT32_MAX),
      .lifespan_us = setting_duration(decl, "lifespan"),
      .code = NONE_INDEX}; /* known once all is emitted: evolving_hash */
  uint32_t index = e->out->agent_count;
  *PUSH_ITEM(e, e->agent_decls, index, e->agent_decl_cap) = decl;
  *PUSH_ITEM(e, e->out->agents, e->out->agent_count, e->agent_cap) = agent;
}

/* ---- routers ---- */

static uint32_t agent_index(const Emitter *e, const Symbol *agent) {
  uint32_t i = 0;
  while (i < e->out->agent_count && e->agent_decls[i]->symbol != agent) i++;
  ASSERT(i < e->out->agent_count);
  return i;
}

static const Decl *identify_of(const Decl *router, const Symbol *agent) {
  const Decl *m = router->members;
  while (m != NULL && (m->kind != DECL_IDENTIFY || m->symbol != agent)) m = m->next;
  return m;
}

static bool names_have(const NameList *names, const Symbol *symbol) {
  for (; names != NULL; names = names->next) {
    if (names->symbol == symbol) return true;
  }
  return false;
}

/* In the order written: those that name the command, and those that are before every one. */
static Range32 befores_add(Emitter *e, const Decl *router, const Symbol *command) {
  Range32 range = {e->out->index_count, 0};
  for (const Decl *m = router->members; m != NULL; m = m->next) {
    if (m->kind != DECL_BEFORE || (m->names != NULL && !names_have(m->names, command))) continue;
    index_add(e, fn_index(e, m->symbol->decl->function));
    range.count++;
  }
  return range;
}

static void route_add(Emitter *e, const Decl *router, const Symbol *agent, const Symbol *command) {
  const Decl *identify = identify_of(router, agent);
  if (identify == NULL) return; /* the checker has refused it */
  BundleRoute route = {.command = shape_index(e, command->decl),
                       .agent = agent_index(e, agent),
                       .field = const_name(e, identify->names->name),
                       .prefix = const_text(e, identify->text),
                       .before = befores_add(e, router, command)};
  *PUSH_ITEM(e, e->out->routes, e->out->route_count, e->route_cap) = route;
}

static bool is_started(const Emitter *e, const Symbol *router) {
  for (const Unit *u = e->checked->units; u != NULL; u = u->next) {
    for (const Decl *d = u->decls; d != NULL; d = d->next) {
      if (d->kind == DECL_START && d->symbol == router) return true;
    }
  }
  return false;
}

static void router_add(Emitter *e, const Decl *decl) {
  BundleRouter router = {.name = const_name(e, decl->name),
                         .validate = setting_find(decl, "validate") != NULL,
                         .started = is_started(e, decl->symbol)};
  router.routes.first = e->out->route_count;
  for (const Decl *m = decl->members; m != NULL; m = m->next) {
    if (m->kind != DECL_ROUTE) continue;
    for (const NameList *n = m->names; n != NULL; n = n->next)
      route_add(e, decl, m->symbol, n->symbol);
  }
  router.routes.count = e->out->route_count - router.routes.first;
  *PUSH_ITEM(e, e->out->routers, e->out->router_count, e->router_cap) = router;
}

/* ---- handlers, workers, queues, ticks, tests ---- */

static void handler_add(Emitter *e, const Decl *decl) {
  const Setting *concurrency = setting_find(decl, "concurrency");
  uint32_t at_once = setting_count(decl, "concurrency", 1, CONCURRENCY_MAX);
  BundleSubscriber s = {.name = const_name(e, decl->name),
                        .doc = const_text_or(e, decl->doc),
                        .from_current = setting_says(decl, "from", "current"),
                        .strong = setting_says(decl, "consistency", "strong"),
                        .concurrency = at_once > 0 ? at_once : 1,
                        .clauses = clauses_add(e, decl->members, DECL_ON),
                        .attempts = attempts_read(e, decl, handler_attempts)};
  s.keys = names_add(e, concurrency != NULL ? concurrency->names : NULL);
  *PUSH_ITEM(e, e->out->subscribers, e->out->subscriber_count, e->subscriber_cap) = s;
}

static void worker_add(Emitter *e, Decl *decl) {
  const Setting *unique = setting_find(decl, "unique"), *queue = setting_find(decl, "queue");
  bool named = queue != NULL && queue->first != NULL && queue->first->kind == EXPR_STRING;
  BundleWorker w = {.name = const_name(e, decl->name),
                    .doc = const_text_or(e, decl->doc),
                    .shape = shape_index(e, decl),
                    .fn = fn_index(e, decl->check_function),
                    .uses_meta = reads_meta(decl->check_function),
                    .priority = (uint8_t)setting_count(decl, "priority", PRIORITY, PRIORITY_MAX),
                    .queue = const_text(e, named ? queue->first->text : STR("default")),
                    .attempts = attempts_read(e, decl, worker_attempts)};
  w.unique = names_add(e, unique != NULL ? unique->names : NULL);
  if (unique != NULL) {
    w.unique_us = folded_number(unique->second, 0);
    w.replace = unique->replace;
  }
  *PUSH_ITEM(e, e->out->workers, e->out->worker_count, e->worker_cap) = w;
}

static void queue_add(Emitter *e, const Decl *decl) {
  const Setting *limit = setting_find(decl, "limit");
  uint32_t at_once = setting_count(decl, "concurrency", QUEUE_CONCURRENCY, CONCURRENCY_MAX);
  BundleQueue q = {.name = const_text(e, decl->text),
                   .concurrency = at_once > 0 ? at_once : 1,
                   .global = setting_count(decl, "global", 0, CONCURRENCY_MAX)};
  int64_t count = limit != NULL ? folded_number(limit->second, 0) : 0;
  int64_t per_us = limit != NULL ? folded_number(limit->third, SECOND_US) : 0;
  if (count > 0 && per_us > 0) {
    q.limit_count = count > UINT32_MAX ? UINT32_MAX : (uint32_t)count;
    q.limit_per_us = per_us;
  }
  *PUSH_ITEM(e, e->out->queues, e->out->queue_count, e->queue_cap) = q;
}

static void cron_add(Emitter *e, const Decl *decl) {
  BundleCron c = {.name = const_text(e, decl->function->name),
                  .text = const_text(e, decl->text),
                  .zone = const_text(e, decl->zone),
                  .missed = decl->missed,
                  .fn = fn_index(e, decl->function)};
  *PUSH_ITEM(e, e->out->crons, e->out->cron_count, e->cron_cap) = c;
}

static void test_add(Emitter *e, const Decl *decl) {
  BundleTest t = {.name = const_text(e, decl->text),
                  .fn = fn_index(e, decl->function),
                  .crashes = decl->crashes};
  *PUSH_ITEM(e, e->out->tests, e->out->test_count, e->test_cap) = t;
}

/* ---- all ---- */

static void application_add(Emitter *e, Decl *decl) {
  switch (decl->kind) {
    case DECL_ROUTER: router_add(e, decl); return;
    case DECL_HANDLER: handler_add(e, decl); return;
    case DECL_WORKER: worker_add(e, decl); return;
    case DECL_QUEUE: queue_add(e, decl); return;
    case DECL_EVERY: cron_add(e, decl); return;
    case DECL_TEST: test_add(e, decl); return;
    case DECL_AGENT: /* before all others: routers refer to them */
    case DECL_FN: case DECL_CONST: case DECL_CONFIG: case DECL_IMPORT: case DECL_TYPE:
    case DECL_COMMAND: case DECL_EVENT: case DECL_UPCAST: case DECL_WORKFLOW: case DECL_QUERY:
    case DECL_TOOL: case DECL_EXTERN: case DECL_DECIDE: case DECL_EVOLVE: case DECL_VIEW:
    case DECL_INVARIANT: case DECL_IDENTIFY: case DECL_ROUTE: case DECL_BEFORE: case DECL_ON:
    case DECL_START:
    case DECL_MODEL: case DECL_AI_AGENT: case DECL_LIMIT: case DECL_BUDGET: return; /* model_tables.c */
  }
}

void application_declare(Emitter *e) {
  for (Unit *u = e->checked->units; u != NULL; u = u->next) {
    for (Decl *d = u->decls; d != NULL && !u->standard; d = d->next) {
      if (d->kind == DECL_AGENT) agent_add(e, d);
    }
  }
  for (Unit *u = e->checked->units; u != NULL; u = u->next) {
    for (Decl *d = u->decls; d != NULL && !u->standard; d = d->next) application_add(e, d);
  }
}
