/* Who sends, decides, emits and folds which message: routers, and the rules that need the whole
 * program. */
#include "compiler/check/checker.h"
#include "vm/base/table.h"

/* ---- what is known of a message ---- */

Message *message_of(Checker *c, const Symbol *symbol) {
  Str key = {(const char *)&symbol, sizeof symbol};
  Message *m = table_get(c->messages, key);
  if (m) return m;
  m = ARENA_NEW(c->arena, Message);
  m->symbol = symbol;
  table_set(c->messages, key, m);
  return m;
}

typedef struct ClauseKey {
  const Decl *owner;
  const Symbol *symbol;
  uint64_t kind;
} ClauseKey;

Decl *clause_of(Checker *c, const Decl *owner, const Symbol *symbol, DeclKind kind) {
  ClauseKey key = {owner, symbol, kind};
  return table_get(c->clauses, (Str){(const char *)&key, sizeof key});
}

/* The first clause of that owner for that message, if this is not it; NULL: it is, and is kept. */
const Decl *clause_record(Checker *c, const Decl *owner, Decl *clause) {
  ClauseKey key = {owner, clause->symbol, clause->kind};
  Message *m = message_of(c, clause->symbol);
  const Decl *first = clause_of(c, owner, clause->symbol, clause->kind);
  if (first) return first;
  table_set(c->clauses, (Str){(const char *)&key, sizeof key}, clause);
  if (clause->kind != DECL_DECIDE) return NULL;
  m->deciders++;
  if (!m->decider) m->decider = owner;
  return NULL;
}

static Str view_key(const Decl *agent, const Name *name, const void *pair[2]) {
  pair[0] = agent;
  pair[1] = name;
  return (Str){(const char *)pair, 2 * sizeof *pair};
}

/* The agent's view of that name; views are kept with view_record, which gives the first where there
 * is one. */
const Decl *view_of(Checker *c, const Decl *agent, const Name *name) {
  const void *pair[2];
  return table_get(c->clauses, view_key(agent, name, pair));
}

const Decl *view_record(Checker *c, const Decl *agent, Decl *view) {
  const void *pair[2];
  const Decl *first = view_of(c, agent, view->name);
  if (!first) table_set(c->clauses, view_key(agent, view->name, pair), view);
  return first;
}

/* ---- names of a kind ---- */

Str symbol_phrase(const Symbol *symbol) {
  static const char *const words[] = {
      [SYMBOL_VARIABLE] = "a variable", [SYMBOL_FN] = "a function",
      [SYMBOL_CONST] = "a constant",    [SYMBOL_CONFIG] = "a configuration value",
      [SYMBOL_TYPE] = "a type",         [SYMBOL_WORKFLOW] = "a workflow",
      [SYMBOL_TOOL] = "a tool",         [SYMBOL_EXTERN] = "a native function",
      [SYMBOL_NATIVE] = "a built-in",   [SYMBOL_EFFECT] = "a built-in",
      [SYMBOL_MODULE] = "a module",     [SYMBOL_AGENT] = "an agent",
      [SYMBOL_VIEW] = "a view",         [SYMBOL_ROUTER] = "a router",
      [SYMBOL_HANDLER] = "a handler",   [SYMBOL_WORKER] = "a worker",
      [SYMBOL_FIELD] = "a field"};
  const Decl *decl = symbol->kind == SYMBOL_TYPE ? symbol->decl : NULL;
  if (decl && decl->kind == DECL_COMMAND) return STR("a command");
  if (decl && decl->kind == DECL_EVENT) return STR("an event");
  return str_of(words[symbol->kind]);
}

static void report_wrong_kind(Checker *c, const Name *name, Span span, const Symbol *symbol,
                              Str wanted) {
  Diag *diag = REPORT(c, WRONG_KIND, span, name->text, symbol_phrase(symbol), wanted);
  if (symbol->span.size)
    report_note(c, diag, symbol->span, "`" STR_FMT "` is declared here", STR_ARG(name->text));
}

static void report_none(Checker *c, const Name *name, Span span, SymbolKind kind) {
  static const char *const nouns[] = {
      [SYMBOL_AGENT] = "agent",     [SYMBOL_ROUTER] = "router", [SYMBOL_TOOL] = "tool",
      [SYMBOL_HANDLER] = "handler", [SYMBOL_FN] = "function",   [SYMBOL_WORKER] = "worker"};
  Buf near = {0};
  for (uint32_t i = 0; i < c->binding_count; i++) {
    const Symbol *s = c->bindings[i]->binding;
    if (s && s->kind == kind) buf_put(&near, &c->bindings[i]->text, sizeof(Str));
  }
  Diag *diag = REPORT(c, UNKNOWN_DECLARED, span, str_of(nouns[kind]), name->text);
  report_nearest(c, diag, name->text, (const Str *)(void *)near.at, near.size / sizeof(Str));
  buf_deinit(&near);
}

/* The declaration of that kind by that name; NULL: told. */
Symbol *declared_named(Checker *c, Name *name, Span span, SymbolKind kind) {
  static const char *const wanted[] = {
      [SYMBOL_AGENT] = "an agent",    [SYMBOL_ROUTER] = "a router", [SYMBOL_TOOL] = "a tool",
      [SYMBOL_HANDLER] = "a handler", [SYMBOL_FN] = "a function",   [SYMBOL_WORKER] = "a worker"};
  Symbol *symbol = scope_find(c, name);
  if (symbol && symbol->kind == kind) {
    symbol->reads++;
    return symbol;
  }
  if (symbol) report_wrong_kind(c, name, span, symbol, str_of(wanted[kind]));
  else report_none(c, name, span, kind);
  return NULL;
}

static void report_message_kind(Checker *c, const Name *name, Span span, const Symbol *symbol,
                                DeclKind kind) {
  bool command = kind == DECL_COMMAND;
  Diag *diag = REPORT(c, MESSAGE_KIND, span, name->text,
                      command ? STR("a command") : STR("an event"), symbol_phrase(symbol));
  report_note(c, diag, symbol->span,
              symbol->decl->implied ? "it is not declared, and this use makes it %s"
                                    : "it is declared here",
              command ? "an event" : "a command");
}

/* The command or event of that name; NULL: told. */
Symbol *message_named(Checker *c, Name *name, Span span, DeclKind kind) {
  Symbol *symbol = scope_find(c, name);
  const Decl *decl = symbol && symbol->kind == SYMBOL_TYPE ? symbol->decl : NULL;
  if (!symbol) return scope_resolve(c, name, span), NULL;
  if (decl && decl->kind == kind) {
    alias_type(c, symbol);
    return symbol;
  }
  if (decl && (decl->kind == DECL_COMMAND || decl->kind == DECL_EVENT))
    report_message_kind(c, name, span, symbol, kind);
  else
    report_wrong_kind(c, name, span, symbol,
                      kind == DECL_COMMAND ? STR("a command") : STR("an event"));
  return NULL;
}

/* ---- identify ---- */

static const Field *message_field(const Decl *decl, const Name *name) {
  const Field *f = decl->fields;
  while (f && f->name != name) f = f->next;
  return f;
}

Diag *report_fields_nearest(Checker *c, Diag *diag, Name *wanted, const Decl *decl) {
  Buf near = {0};
  for (const Field *f = decl->fields; f; f = f->next) buf_put(&near, &f->name->text, sizeof(Str));
  report_nearest(c, diag, wanted->text, (const Str *)(void *)near.at, near.size / sizeof(Str));
  buf_deinit(&near);
  return diag;
}

/* A float never does, though a whole one would pass for an int. */
bool type_names_instance(Checker *c, const Type *type) {
  return type->kind != TYPE_FLOAT && type->kind != TYPE_DECIMAL &&
         (type_fit(type, c->t_string) != FIT_NO || type_fit(type, c->t_int) != FIT_NO);
}

static void identity_check(Checker *c, const Decl *identify, const NameList *command) {
  const NameList *by = identify->names;
  const Decl *decl = command->symbol->decl;
  const Field *f = by ? message_field(decl, by->name) : NULL;
  if (!by) return;
  if (!f) {
    Diag *diag = REPORT(c, IDENTITY_FIELD, by->span, decl->name->text, by->name->text);
    report_fields_nearest(c, diag, by->name, decl);
    report_note(c, diag, decl->name_span, "`" STR_FMT "` is declared here",
                STR_ARG(decl->name->text));
    return;
  }
  const Type *type = f->symbol && f->symbol->type ? f->symbol->type : c->t_any;
  if (type_names_instance(c, type)) return;
  Diag *diag =
      REPORT(c, IDENTITY_TYPE, by->span, by->name->text, decl->name->text, type_phrase(c, type));
  report_note(c, diag, f->span, "the field is declared here");
}

static void identify_resolve(Checker *c, const Decl *router, Decl *m) {
  m->symbol = declared_named(c, m->name, m->name_span, SYMBOL_AGENT);
  const Decl *first = m->symbol ? clause_record(c, router, m) : NULL;
  if (!first) return;
  Diag *diag =
      REPORT(c, CLAUSE_TWICE, m->name_span, router->name->text, STR("identify"), m->name->text);
  report_note(c, diag, first->name_span, "the first one is here");
}

/* ---- routes ---- */

static void route_command(Checker *c, const Decl *router, const Decl *route, NameList *n) {
  n->symbol = message_named(c, n->name, n->span, DECL_COMMAND);
  if (!n->symbol) return;
  Message *m = message_of(c, n->symbol);
  if (m->routed.size) {
    Diag *diag = REPORT(c, ROUTED_TWICE, n->span, n->name->text);
    report_note(c, diag, m->routed, "it goes to `" STR_FMT "` here", STR_ARG(m->route->name->text));
    return;
  }
  m->routed = n->span;
  m->route = route;
  m->router = router;
}

static void route_resolve(Checker *c, const Decl *router, Decl *route) {
  route->symbol = declared_named(c, route->name, route->name_span, SYMBOL_AGENT);
  for (NameList *n = route->names; n; n = n->next) route_command(c, router, route, n);
  if (!route->symbol) return;
  const Decl *identify = clause_of(c, router, route->symbol, DECL_IDENTIFY);
  if (!identify) {
    Diag *diag = REPORT(c, NO_IDENTITY, route->name_span, router->name->text, route->name->text);
    report_help(c, diag, "add a line such as: identify " STR_FMT " by id",
                STR_ARG(route->name->text));
  }
  for (const NameList *n = identify ? route->names : NULL; n; n = n->next) {
    if (n->symbol) identity_check(c, identify, n);
  }
}

static void before_function(Checker *c, const Decl *before) {
  const Decl *fn = before->symbol->decl;
  uint32_t count = 0, min = 0;
  for (const Field *f = fn->fields; f; f = f->next) {
    count++;
    if (!param_optional(f)) min = count;
  }
  if (count < 2 || min > 2) {
    Diag *diag = REPORT(c, BEFORE_PARAMETERS, before->name_span, before->name->text);
    report_note(c, diag, fn->name_span, "`" STR_FMT "` is declared here",
                STR_ARG(before->name->text));
  }
  Body *body = decl_body(fn);
  if (body->place == PURE_NONE) body->place = PURE_BEFORE;
  body->function.asserted_pure = true;
}

static void before_resolve(Checker *c, const Decl *router, Decl *before) {
  before->symbol = declared_named(c, before->name, before->name_span, SYMBOL_FN);
  if (before->symbol) before_function(c, before);
  for (NameList *n = before->names; n; n = n->next) {
    n->symbol = message_named(c, n->name, n->span, DECL_COMMAND);
    if (n->symbol && message_of(c, n->symbol)->router != router)
      REPORT(c, BEFORE_NOT_ROUTED, n->span, n->name->text, router->name->text);
  }
}

static void members_resolve(Checker *c, Decl *router, DeclKind kind) {
  for (Decl *m = router->members; m; m = m->next) {
    if (m->kind != kind) continue;
    if (kind == DECL_IDENTIFY) identify_resolve(c, router, m);
    else if (kind == DECL_ROUTE) route_resolve(c, router, m);
    else before_resolve(c, router, m);
  }
}

static void start_resolve(Checker *c, Decl *start) {
  start->symbol = declared_named(c, start->name, start->name_span, SYMBOL_ROUTER);
  if (!start->symbol) return;
  ClauseKey key = {NULL, start->symbol, DECL_START};
  Str bytes = {(const char *)&key, sizeof key};
  const Decl *first = table_get(c->clauses, bytes);
  if (!first) {
    table_set(c->clauses, bytes, start);
    return;
  }
  Diag *diag = REPORT(c, START_TWICE, start->span, start->name->text);
  report_note(c, diag, first->span, "the first one is here");
}

static void quoted_twice(Checker *c, Table *seen, Decl *decl, const char *noun) {
  Decl *first = table_get(seen, decl->text);
  if (!first) {
    table_set(seen, decl->text, decl);
    return;
  }
  Diag *diag = REPORT(c, NAME_TWICE, decl->name_span, str_of(noun), decl->text);
  report_note(c, diag, first->name_span, "the first one is here");
}

/* After all types are known, before any body is walked. */
void routers_resolve(Checker *c, Unit *units) {
  Table *tests = table_new(), *queues = table_new();
  for (Unit *unit = units; unit; unit = unit->next) {
    c->unit = unit;
    for (Decl *d = unit->decls; d; d = d->next) {
      if (d->kind == DECL_TEST) quoted_twice(c, tests, d, "tests");
      if (d->kind == DECL_QUEUE) quoted_twice(c, queues, d, "queues");
      if (d->kind == DECL_START && d->name) start_resolve(c, d);
      if (d->kind != DECL_ROUTER || !d->symbol) continue;
      members_resolve(c, d, DECL_IDENTIFY);
      members_resolve(c, d, DECL_ROUTE);
      members_resolve(c, d, DECL_BEFORE);
      c->routers++;
    }
  }
  table_free(tests);
  table_free(queues);
}

/* ---- warnings about the whole ---- */

/* A name near it among those the agent has clauses for: it was probably meant. */
static void report_clause_nearest(Checker *c, Diag *diag, const Name *wanted, const Decl *agent,
                                  DeclKind kind) {
  Buf near = {0};
  for (const Decl *m = agent->members; m; m = m->next) {
    if (m->kind == kind) buf_put(&near, &m->name->text, sizeof(Str));
  }
  report_nearest(c, diag, wanted->text, (const Str *)(void *)near.at, near.size / sizeof(Str));
  buf_deinit(&near);
}

void made_note(Checker *c, const Symbol *event) {
  const Function *f = c->frame ? current_function(c) : NULL;
  while (f && body_sees_outer(f)) f = f->parent;
  if (f && f->kind != FNKIND_TEST) message_of(c, event)->made = true;
}

/* An event of the agent that it does not fold. */
void evolve_warn(Checker *c, const Expr *event, const Decl *agent, const Symbol *symbol) {
  if (clause_of(c, agent, symbol, DECL_EVOLVE)) return;
  Span span = event->kind == EXPR_CALL ? event->left->span : event->span;
  Diag *diag = REPORT(c, NOT_EVOLVED, span, agent->name->text, symbol->name->text);
  report_clause_nearest(c, diag, symbol->name, agent, DECL_EVOLVE);
}

/* A name near it that somebody does emit: it was probably meant. */
static void report_emitted_nearest(Checker *c, Diag *diag, const Symbol *event) {
  Buf near = {0};
  uint32_t cursor = 0;
  void *value;
  while (table_next(c->messages, &cursor, NULL, &value)) {
    const Message *m = value;
    if (m->made && m->symbol != event) buf_put(&near, &m->symbol->name->text, sizeof(Str));
  }
  report_nearest(c, diag, event->name->text, (const Str *)(void *)near.at, near.size / sizeof(Str));
  buf_deinit(&near);
}

static void clause_warn(Checker *c, const Decl *m) {
  const Message *message = message_of(c, m->symbol);
  if (m->kind == DECL_DECIDE) {
    if (c->routers && !message->routed.size)
      REPORT(c, DECIDE_NOT_ROUTED, m->name_span, m->name->text);
    return;
  }
  if (!m->symbol->decl->implied || message->made) return;
  Diag *diag = REPORT(c, NEVER_EMITTED, m->name_span, m->name->text);
  report_emitted_nearest(c, diag, m->symbol);
}

/* Clauses after one without a guard. */
static void reach_warn(Checker *c, const Decl *agent) {
  Table *taken = table_new();
  for (Decl *m = agent->members; m; m = m->next) {
    if (m->kind != DECL_DECIDE || !m->symbol) continue;
    Decl *all = table_get(taken, m->name->text);
    if (all) {
      Diag *diag = REPORT(c, CLAUSE_UNREACHABLE, m->name_span, m->name->text);
      report_note(c, diag, all->name_span, "this one has no guard, so it takes every `" STR_FMT "`",
                  STR_ARG(m->name->text));
    } else if (!m->guard) table_set(taken, m->name->text, m);
  }
  table_free(taken);
}

static void route_warn(Checker *c, const Decl *route) {
  for (const NameList *n = route->symbol ? route->names : NULL; n; n = n->next) {
    if (!n->symbol || clause_of(c, route->symbol->decl, n->symbol, DECL_DECIDE)) continue;
    Diag *diag = REPORT(c, NOT_DECIDED, n->span, route->name->text, n->name->text);
    report_clause_nearest(c, diag, n->name, route->symbol->decl, DECL_DECIDE);
    report_note(c, diag, route->symbol->span, "`" STR_FMT "` is declared here",
                STR_ARG(route->name->text));
  }
}

static void members_warn(Checker *c, const Decl *owner) {
  for (const Decl *m = owner->members; m; m = m->next) {
    bool clause = m->kind == DECL_DECIDE || m->kind == DECL_EVOLVE || m->kind == DECL_ON;
    if (clause && m->symbol && clause_of(c, owner, m->symbol, m->kind) == m) clause_warn(c, m);
    if (m->kind == DECL_ROUTE) route_warn(c, m);
  }
  if (owner->kind == DECL_AGENT) reach_warn(c, owner);
}

/* Not beside errors: what an error keeps from being seen is no news. */
void app_warn(Checker *c, Unit *units) {
  if (c->diags->error_count > 0) return;
  for (Unit *unit = units; unit; unit = unit->next) {
    c->unit = unit;
    for (Decl *d = unit->decls; d; d = d->next) members_warn(c, d);
  }
}
