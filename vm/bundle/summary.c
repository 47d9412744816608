/* What a disassembly begins with: what the bundle declares, and the settings that
** decide how it is run, in the words of the program. */
#include "vm/base/text.h"
#include "vm/bundle/format.h"

typedef struct Aside { /* what stands in the parentheses behind a name */
  Buf *out;
  bool any;
} Aside;

static void aside(Aside *a) {
  buf_text(a->out, a->any ? ", " : " (");
  a->any = true;
}

static void aside_text(Aside *a, const char *text) {
  aside(a);
  buf_text(a->out, text);
}

static void aside_duration(Aside *a, const char *what, int64_t us) {
  aside(a);
  buf_format(a->out, "%s ", what);
  duration_print(us, a->out);
}

static void aside_end(Aside *a) { buf_text(a->out, a->any ? ")\n" : "\n"); }

static Str text_of(const Bundle *b, uint32_t constant) { return bundle_text(b, constant); }

static Str shape_name(const Bundle *b, uint32_t shape) {
  return bundle_text(b, b->shapes[shape].name);
}

/* ---- settings ---- */

static void aside_names(Aside *a, const Bundle *b, Range32 names) {
  for (uint32_t i = 0; i < names.count; i++) {
    buf_format(a->out, "%s" STR_FMT, i == 0 ? " by " : ", ",
               STR_ARG(text_of(b, b->indexes[names.first + i])));
  }
}

static void aside_attempts(Aside *a, const BundleAttempts *t) {
  aside(a);
  buf_format(a->out, "at most %" PRIu32 " attempts", t->max_attempts);
  aside_duration(a, "backoff", t->backoff_min_us);
  buf_text(a->out, "..");
  duration_print(t->backoff_max_us, a->out);
  if (t->unless != NONE_INDEX) aside_text(a, "unless");
  if (t->timeout_us > 0) aside_duration(a, "timeout", t->timeout_us);
}

/* ---- agents and routers ---- */

static void put_state(const Bundle *b, const BundleShape *state, Buf *out) {
  buf_text(out, " {");
  for (uint32_t i = 0; i < state->fields.count; i++) {
    buf_format(out, "%s" STR_FMT, i > 0 ? ", " : " ",
               STR_ARG(text_of(b, b->fields[state->fields.first + i].name)));
  }
  buf_text(out, " }");
}

static void put_clauses(const Bundle *b, const char *word, Range32 clauses, Buf *out) {
  for (uint32_t i = 0; i < clauses.count; i++) {
    const BundleClause *c = &b->clauses[clauses.first + i];
    buf_format(out, "  %s " STR_FMT "%s%s: " STR_FMT "\n", word, STR_ARG(shape_name(b, c->shape)),
               c->guard != NONE_INDEX ? " when" : "", c->uses_meta ? " with meta" : "",
               STR_ARG(text_of(b, b->fns[c->fn].name)));
  }
}

static void put_agent(const Bundle *b, const BundleAgent *agent, Buf *out) {
  Aside a = {.out = out};
  buf_format(out, "agent " STR_FMT, STR_ARG(text_of(b, agent->name)));
  put_state(b, &b->shapes[agent->state], out);
  if (agent->snapshot_every > 0) {
    aside(&a);
    buf_format(out, "snapshot every %" PRIu32 " events", agent->snapshot_every);
  }
  if (agent->lifespan_us > 0) aside_duration(&a, "lifespan", agent->lifespan_us);
  aside_text(&a, "code ");
  Str code = text_of(b, agent->code);
  for (size_t i = 0; i < code.size && i < 4; i++) buf_format(out, "%02x", (uint8_t)code.at[i]);
  aside_end(&a);
  put_clauses(b, "decide", agent->decides, out);
  put_clauses(b, "evolve", agent->evolves, out);
  for (uint32_t i = 0; i < agent->views.count; i++) {
    const BundleView *view = &b->views[agent->views.first + i];
    buf_format(out, "  view " STR_FMT ": " STR_FMT "\n", STR_ARG(text_of(b, view->name)),
               STR_ARG(text_of(b, b->fns[view->fn].name)));
  }
  for (uint32_t i = 0; i < agent->invariants.count; i++) {
    const BundleInvariant *invariant = &b->invariants[agent->invariants.first + i];
    buf_format(out, "  invariant: " STR_FMT, STR_ARG(text_of(b, b->fns[invariant->fn].name)));
    if (invariant->message != NONE_INDEX)
      buf_format(out, ", \"" STR_FMT "\"", STR_ARG(text_of(b, invariant->message)));
    buf_byte(out, '\n');
  }
}

static void put_route(const Bundle *b, const BundleRoute *r, Buf *out) {
  buf_format(out, "  " STR_FMT " -> " STR_FMT " by " STR_FMT, STR_ARG(shape_name(b, r->command)),
             STR_ARG(text_of(b, b->agents[r->agent].name)), STR_ARG(text_of(b, r->field)));
  if (text_of(b, r->prefix).size > 0)
    buf_format(out, ", prefix \"" STR_FMT "\"", STR_ARG(text_of(b, r->prefix)));
  for (uint32_t i = 0; i < r->before.count; i++) {
    buf_format(out, "%s" STR_FMT, i == 0 ? ", before it " : ", ",
               STR_ARG(text_of(b, b->fns[b->indexes[r->before.first + i]].name)));
  }
  buf_byte(out, '\n');
}

static void put_router(const Bundle *b, const BundleRouter *router, Buf *out) {
  Aside a = {.out = out};
  buf_format(out, "router " STR_FMT, STR_ARG(text_of(b, router->name)));
  if (router->started) aside_text(&a, "started");
  if (router->validate) aside_text(&a, "validates every command");
  aside_end(&a);
  for (uint32_t i = 0; i < router->routes.count; i++)
    put_route(b, &b->routes[router->routes.first + i], out);
}

/* ---- handlers, workers, queues, ticks, tests ---- */

static void put_subscriber(const Bundle *b, const BundleSubscriber *s, Buf *out) {
  Aside a = {.out = out};
  buf_format(out, "handler " STR_FMT, STR_ARG(text_of(b, s->name)));
  aside_text(&a, s->from_current ? "from current" : "from origin");
  if (s->strong) aside_text(&a, "consistency strong");
  aside(&a);
  buf_format(out, "concurrency %" PRIu32, s->concurrency);
  aside_names(&a, b, s->keys);
  aside_attempts(&a, &s->attempts);
  aside_end(&a);
  put_clauses(b, "on", s->clauses, out);
}

static void put_worker(const Bundle *b, const BundleWorker *w, Buf *out) {
  Aside a = {.out = out};
  buf_format(out, "worker " STR_FMT, STR_ARG(text_of(b, w->name)));
  aside(&a);
  buf_format(out, "queue \"" STR_FMT "\", priority %u", STR_ARG(text_of(b, w->queue)), w->priority);
  if (w->unique.count > 0) {
    aside_text(&a, "unique");
    aside_names(&a, b, w->unique);
    if (w->unique_us > 0) buf_text(out, " within "), duration_print(w->unique_us, out);
    if (w->replace) buf_text(out, " replace");
  }
  aside_attempts(&a, &w->attempts);
  aside_end(&a);
}

static void put_queue(const Bundle *b, const BundleQueue *q, Buf *out) {
  Aside a = {.out = out};
  buf_format(out, "queue \"" STR_FMT "\"", STR_ARG(text_of(b, q->name)));
  aside(&a);
  buf_format(out, "concurrency %" PRIu32, q->concurrency);
  if (q->global > 0) buf_format(out, ", global %" PRIu32, q->global);
  if (q->limit_count > 0) {
    buf_format(out, ", limit %" PRIu32, q->limit_count);
    buf_text(out, " per ");
    duration_print(q->limit_per_us, out);
  }
  aside_end(&a);
}

static void put_cron(const Bundle *b, const BundleCron *c, Buf *out) {
  static const char *const missed[] = {"skip", "once", "all"};
  Str zone = text_of(b, c->zone);
  buf_format(out, STR_FMT " in \"" STR_FMT "\" missed %s\n", STR_ARG(text_of(b, c->name)),
             STR_ARG(zone.size > 0 ? zone : STR("UTC")), missed[c->missed]);
}

/* ---- models, ai_agents, limits and budgets ---- */

static void aside_bound(Aside *a, int64_t amount, const char *what, int64_t per_us) {
  if (amount == 0) return;
  aside(a);
  buf_format(a->out, "%" PRId64 " %s", amount, what);
  if (per_us == 0) return;
  buf_text(a->out, " per ");
  duration_print(per_us, a->out);
}

static void put_model(const Bundle *b, const BundleModel *m, Buf *out) {
  Aside a = {.out = out};
  buf_format(out, "model " STR_FMT, STR_ARG(text_of(b, m->name)));
  aside(&a);
  if (m->provider != NONE_INDEX) buf_str(out, text_of(b, m->provider));
  else buf_text(out, "by the environment's keys");
  aside_bound(&a, m->requests, "requests", m->requests_per_us);
  aside_bound(&a, m->tokens, "tokens", m->tokens_per_us);
  for (uint32_t i = 0; i < m->fallbacks.count; i++)
    buf_format(out, "%s" STR_FMT, i == 0 ? ", fallback " : ", ",
               STR_ARG(text_of(b, b->indexes[m->fallbacks.first + i])));
  aside_end(&a);
}

static void put_ai_agent(const Bundle *b, const BundleAiAgent *agent, Buf *out) {
  Aside a = {.out = out};
  buf_format(out, "ai_agent " STR_FMT, STR_ARG(text_of(b, agent->name)));
  aside(&a);
  buf_format(out, "model " STR_FMT ", strategy " STR_FMT ", at most %" PRIu32 " iterations",
             STR_ARG(text_of(b, agent->model)), STR_ARG(text_of(b, agent->strategy)),
             agent->max_iterations);
  for (uint32_t i = 0; i < agent->tools.count; i++)
    buf_format(out, "%s" STR_FMT, i == 0 ? ", tools " : ", ", STR_ARG(text_of(b, b->indexes[agent->tools.first + i])));
  aside_end(&a);
}

static void put_allowance(const Bundle *b, const BundleAllowance *w, Buf *out) {
  static const char *const dimensions[] = {"tenant", "agent", "model", "provider"};
  Aside a = {.out = out};
  bool budget = w->kind == ALLOWANCE_BUDGET;
  buf_format(out, "%s " STR_FMT, budget ? "budget" : "limit", STR_ARG(text_of(b, w->name)));
  aside_bound(&a, w->requests, budget ? "calls" : "requests", w->requests_per_us);
  aside_bound(&a, w->tokens, "tokens", w->tokens_per_us);
  aside_bound(&a, w->nanodollars, "nanodollars", w->nanodollars_per_us);
  const uint32_t only[] = {w->provider, w->model, w->agent, w->tool};
  for (size_t i = 0; i < COUNT_OF(only); i++) {
    if (only[i] == NONE_INDEX) continue;
    aside(&a);
    buf_format(out, "of " STR_FMT, STR_ARG(text_of(b, only[i])));
  }
  for (size_t i = 0; i < COUNT_OF(dimensions); i++) {
    if (!(w->by >> i & 1)) continue;
    aside(&a);
    buf_format(out, "each %s", dimensions[i]);
  }
  aside_end(&a);
}

static void put_models(const Bundle *b, Buf *out) {
  for (uint32_t i = 0; i < b->model_count; i++) put_model(b, &b->models[i], out);
  for (uint32_t i = 0; i < b->ai_agent_count; i++) put_ai_agent(b, &b->ai_agents[i], out);
  for (uint32_t i = 0; i < b->allowance_count; i++) put_allowance(b, &b->allowances[i], out);
}

static void put_application(const Bundle *b, Buf *out) {
  for (uint32_t i = 0; i < b->agent_count; i++) put_agent(b, &b->agents[i], out);
  for (uint32_t i = 0; i < b->router_count; i++) put_router(b, &b->routers[i], out);
  for (uint32_t i = 0; i < b->subscriber_count; i++) put_subscriber(b, &b->subscribers[i], out);
  for (uint32_t i = 0; i < b->worker_count; i++) put_worker(b, &b->workers[i], out);
  for (uint32_t i = 0; i < b->queue_count; i++) put_queue(b, &b->queues[i], out);
  for (uint32_t i = 0; i < b->cron_count; i++) put_cron(b, &b->crons[i], out);
  for (uint32_t i = 0; i < b->test_count; i++) {
    buf_format(out, "test \"" STR_FMT "\"%s\n", STR_ARG(text_of(b, b->tests[i].name)),
               b->tests[i].crashes ? " with crashes" : "");
  }
}

/* ---- the whole ---- */

static void put_tool(const Bundle *b, const BundleTool *t, Buf *out) {
  buf_format(out, "tool " STR_FMT " (%s, at most %" PRIu32 " attempts)\n",
             STR_ARG(text_of(b, t->name)), effect_class_word((EffectClass)t->effect_class),
             t->max_attempts);
}

void bundle_summary(const Bundle *b, Buf *out) {
  buf_format(out,
             "bundle " STR_FMT " (format %d): %" PRIu32 " functions, %" PRIu32
             " words of code, %" PRIu32 " constants, %" PRIu32 " effect sites\n",
             STR_ARG(text_of(b, b->name)), BUNDLE_FORMAT, b->fn_count, b->code_count,
             b->const_count, b->site_count);
  for (uint32_t i = 0; i < b->workflow_count; i++)
    buf_format(out, "workflow " STR_FMT "\n", STR_ARG(text_of(b, b->workflows[i].name)));
  for (uint32_t i = 0; i < b->tool_count; i++) put_tool(b, &b->tools[i], out);
  put_application(b, out);
  put_models(b, out);
}
