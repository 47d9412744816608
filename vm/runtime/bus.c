/* The bus: what comes in, and its turn in the rounds. */
#include "vm/runtime/bus.h"

#include "vm/base/cbor.h"
#include "vm/base/mem.h"
#include "vm/core/machine.h"
#include "vm/runtime/bus_impl.h"

/* ---- calls: orders that own their strings --------------------------------- */

static const size_t strings_of_order[] = {
    offsetof(Order, c.name),   offsetof(Order, c.data),   offsetof(Order, c.idempotency_key),
    offsetof(Order, c.actor),  offsetof(Order, c.tenant), offsetof(Order, c.handlers),
    offsetof(Order, c.metadata), offsetof(Order, id),     offsetof(Order, key),
    offsetof(Order, meta)};

static Str *order_str(Order *o, size_t n) { return (Str *)(void *)((char *)o + strings_of_order[n]); }

Call *call_new(const Order *o) {
  Order copy = *o;
  size_t size = 0;
  for (size_t n = 0; n < COUNT_OF(strings_of_order); n++) size += order_str(&copy, n)->size;
  Call *call = mem_realloc(NULL, sizeof *call + size);
  char *at = call->bytes;
  call->next = NULL;
  call->o = copy;
  for (size_t n = 0; n < COUNT_OF(strings_of_order); n++) {
    Str *s = order_str(&call->o, n);
    if (s->size > 0) memcpy(at, s->at, s->size);
    s->at = at;
    at += s->size;
  }
  return call;
}

void call_put(CallList *list, Call *call) {
  if (list->first == NULL) list->end = &list->first;
  call->next = NULL;
  *list->end = call;
  list->end = &call->next;
  list->count++;
}

Call *call_take(CallList *list) {
  Call *call = list->first;
  if (call == NULL) return NULL;
  list->first = call->next;
  if (list->first == NULL) list->end = &list->first;
  list->count--;
  return call;
}

static void calls_free(CallList *list) {
  Call *call;
  while ((call = call_take(list)) != NULL) mem_free(call);
}

/* ---- life ------------------------------------------------------------------ */

Bus *bus_new(App *app) {
  Bus *b = MEM_NEW(Bus);
  b->app = app;
  b->deciding_end = &b->deciding;
  b->waits_end = &b->waits;
  return b;
}

static void routes_free(Bus *b) {
  decider_free(b->desk);
  table_free(b->by_command);
  table_free(b->views);
  mem_free(b->routes);
  mem_free(b->view_agents);
  b->desk = NULL;
  b->by_command = b->views = NULL;
  b->routes = NULL;
  b->view_agents = NULL;
}

static void deciding_free(Deciding *d) {
  calls_free(&d->line);
  mem_free(d->call);
  mem_free(d);
}

void bus_free(Bus *b) {
  if (b == NULL) return;
  for (Deciding *d = b->deciding, *next; d != NULL; d = next) {
    next = d->next;
    deciding_free(d);
  }
  routes_free(b);
  calls_free(&b->queue);
  waits_free(b);
  mem_free(b->replies);
  mem_free(b->event_ids);
  mem_free(b->answered);
  buf_deinit(&b->bytes);
  buf_deinit(&b->value);
  buf_deinit(&b->data);
  buf_deinit(&b->name);
  buf_deinit(&b->meta);
  buf_deinit(&b->work);
  buf_deinit(&b->prune_after);
  mem_free(b);
}

/* ---- another bundle ------------------------------------------------------------ */

/* Decisions that are going on are made again by the new code; what they had admitted is admitted again. */
void bus_stop(Bus *b) {
  CallList again = {0};
  Call *call;
  for (Deciding *d = b->deciding, *next; d != NULL; d = next) {
    next = d->next;
    agents_abandon(b->app->agents, d->who);
    call_put(&again, d->call);
    while ((call = call_take(&d->line)) != NULL) call_put(&again, call);
    d->call = NULL;
    deciding_free(d);
  }
  b->deciding = NULL;
  b->deciding_end = &b->deciding;
  while ((call = call_take(&b->queue)) != NULL) call_put(&again, call);
  b->queue = again;
  if (again.first == NULL) b->queue.end = &b->queue.first;
  for (call = b->queue.first; call != NULL; call = call->next) call->o.admitted = call->o.c.trusted = false;
}

/* Does code that decides on the command, or folds what it decides, read meta? */
static bool route_meta(const Bundle *b, const BundleRoute *route) {
  const BundleAgent *agent = &b->agents[route->agent];
  for (uint32_t n = 0; n < agent->evolves.count; n++)
    if (b->clauses[agent->evolves.first + n].uses_meta) return true;
  for (uint32_t n = 0; n < agent->decides.count; n++) {
    const BundleClause *clause = &b->clauses[agent->decides.first + n];
    if (clause->shape == route->command && clause->uses_meta) return true;
  }
  return route->before.count > 0;
}

static bool router_active(const Bundle *b, const BundleRouter *router) {
  bool any = false;
  for (uint32_t n = 0; n < b->router_count; n++) any = any || b->routers[n].started;
  return router->started || !any;
}

static void routes_enter(Bus *b, const Bundle *bundle, const BundleRouter *router) {
  for (uint32_t n = 0; n < router->routes.count; n++) {
    uint32_t at = router->routes.first + n;
    const BundleRoute *route = &bundle->routes[at];
    b->routes[at] = (RouteInfo){route, bundle_text(bundle, route->prefix), route_meta(bundle, route)};
    Str name = bundle_text(bundle, bundle->shapes[route->command].name);
    table_set(b->by_command, name, (void *)(uintptr_t)(at + 1));
  }
}

static void views_enter(Bus *b, const Bundle *bundle, uint32_t agent) {
  const BundleAgent *a = &bundle->agents[agent];
  for (uint32_t n = 0; n < a->views.count; n++) {
    uint32_t at = a->views.first + n;
    buf_clear(&b->work);
    buf_str(&b->work, bundle_text(bundle, a->name));
    buf_byte(&b->work, '.');
    buf_str(&b->work, bundle_text(bundle, bundle->views[at].name));
    table_set(b->views, buf_view(&b->work), (void *)(uintptr_t)(at + 1));
    b->view_agents[at] = agent;
  }
}

void bus_activate(Bus *b) {
  const Bundle *bundle = b->app->bundle;
  routes_free(b);
  b->desk = app_decider(b->app);
  b->by_command = table_new();
  b->views = table_new();
  b->routes = mem_alloc((bundle->route_count + 1) * sizeof *b->routes);
  b->view_agents = mem_alloc((bundle->view_count + 1) * sizeof *b->view_agents);
  for (uint32_t n = 0; n < bundle->router_count; n++)
    if (router_active(bundle, &bundle->routers[n])) routes_enter(b, bundle, &bundle->routers[n]);
  for (uint32_t n = 0; n < bundle->agent_count; n++) views_enter(b, bundle, n);
}

/* ---- outside callers ----------------------------------------------------------- */

static bool may_enter(App *app, Err *err) {
  if (app->program == NULL) FAIL(err, ERR_INVALID, "no application is active on this node");
  else if (app->bus->queue.count >= QUEUE_MAX)
    FAIL(err, ERR_LIMIT, "%d commands wait already: try again later", (int)QUEUE_MAX);
  else return true;
  return false;
}

bool bus_dispatch(App *app, const Command *command, Done *done, void *context, Err *err) {
  if (!may_enter(app, err)) return false;
  Order o = {.c = *command, .asker = {.done = done, .context = context}};
  call_put(&app->bus->queue, call_new(&o));
  return true;
}

bool bus_view(App *app, Str agent, Str id, Str view, Str args, Str tenant, Done *done, void *context, Err *err) {
  if (!may_enter(app, err)) return false;
  Buf name = {0};
  buf_format(&name, STR_FMT "." STR_FMT, STR_ARG(agent), STR_ARG(view));
  Order o = {.c = {.name = buf_view(&name), .data = args, .tenant = tenant},
             .asker = {.done = done, .context = context}, .view = true, .id = id};
  call_put(&app->bus->queue, call_new(&o));
  buf_deinit(&name);
  return true;
}

/* ---- rounds ---------------------------------------------------------------------- */

static bool call_carry(Bus *b, Call *call, Err *err) {
  Outcome out = {0};
  Carry carry = bus_carry(b, &call->o, &out, err);
  if (carry == CARRIED) bus_reply(b, &call->o, &out);
  mem_free(call);
  return carry != CARRY_FAILED;
}

/* Each long decision gets its slice in turn; not all in every round, so that others need not wait. */
static bool deciding_go(Bus *b, Err *err) {
  for (uint32_t n = 0; n < ROUND_SLICES && b->deciding != NULL; n++) {
    Deciding *d = b->deciding;
    bool over;
    if (!bus_decide_on(b, d, &over, err)) return false;
    b->deciding = d->next;
    if (b->deciding == NULL) b->deciding_end = &b->deciding;
    d->next = NULL;
    if (over) {
      deciding_free(d);
    } else {
      *b->deciding_end = d;
      b->deciding_end = &d->next;
    }
  }
  return true;
}

bool bus_collect(Bus *b, int64_t now_us, Err *err) {
  b->slices = 0;
  if (b->fatal.code != ERR_NONE) {
    *err = b->fatal;
    return false;
  }
  if (b->reply_count > 0) replies_give(b); /* the last round had nothing to commit: all that they saw is durable */
  agents_trim(b->app->agents, now_us); /* views fill the cache too, and commit nothing */
  waits_expire(b, now_us);
  if (!deciding_go(b, err)) return false;
  for (uint32_t n = 0; n < ROUND_COMMANDS && b->slices < ROUND_SLICES; n++) {
    Call *call = call_take(&b->queue);
    if (call == NULL) break;
    if (!call_carry(b, call, err)) return false;
  }
  if (b->queue.count == 0) replies_prune(b, now_us);
  answered_look(b);
  return true;
}

bool bus_ready(const Bus *b) {
  return b->queue.count > 0 || b->deciding != NULL || b->reply_count > 0 || b->fatal.code != ERR_NONE;
}

int64_t bus_next_due(const Bus *b) {
  const Deadline *first = deadlines_first(&b->deadlines);
  return first != NULL ? first->due_us : 0;
}

void bus_handlers_moved(Bus *b) { b->moved = true; }

void bus_drop(Bus *b, uint64_t run, uint64_t seq) { waits_drop(b, run, seq); }
