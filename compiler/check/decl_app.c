/* The application's declarations: their names and bodies (app_declare), what they refer to (app_resolve), and the
** walk of them (app_check). Rules that need the whole program are in router.c. */
#include "compiler/check/checker.h"
#include "vm/base/table.h"

static Str dotted(Checker *c, Str owner, const char *middle, const Name *name) {
  return diag_format(c->diags, STR_FMT "%s" STR_FMT, STR_ARG(owner), middle, STR_ARG(name->text));
}

static Span member_span(const Decl *m) { return m->name ? m->name_span : m->span; }

/* ---- declaring ---- */

static Body *member_body(Checker *c, Decl *member, FnKind kind, Str name, PurePlace place) {
  Body *body = body_new(c, kind, name, member_span(member), member, NULL);
  body->function.asserted_pure = place != PURE_NONE;
  body->place = (uint8_t)place;
  return body;
}

static void declare_guard(Checker *c, Decl *decide, Str name) {
  if (!decide->guard) return;
  Body *guard = member_body(c, decide, FNKIND_GUARD, str_join3(c, "", name, ".when"), PURE_GUARD);
  guard->function.expr = decide->guard;
  decide->check_function = &guard->function;
}

/* The how-manieth of that name this is, from 1. */
static uint32_t name_number(Checker *c, Str name) {
  uint32_t *count = table_get(c->names, name);
  if (!count) {
    count = ARENA_NEW(c->arena, uint32_t);
    table_set(c->names, name, count);
  }
  return ++*count;
}

static void declare_clause(Checker *c, Decl *m, Str prefix, FnKind kind, PurePlace place) {
  Str name = dotted(c, prefix, kind == FNKIND_EVOLVE ? ".evolve " : ".", m->name);
  uint32_t number = name_number(c, name);
  if (number > 1) name = diag_format(c->diags, STR_FMT "#%u", STR_ARG(name), number);
  Body *body = member_body(c, m, kind, name, place);
  body->function.body = m->body;
  m->function = &body->function;
  declare_guard(c, m, name);
}

static void declare_view(Checker *c, Decl *agent, Decl *m, Str prefix) {
  Symbol *symbol = ARENA_NEW(c->arena, Symbol);
  *symbol = (Symbol){.kind = SYMBOL_VIEW,
                     .name = m->name,
                     .span = m->name_span,
                     .decl = m,
                     .agent = agent,
                     .reg = -1};
  Body *body = member_body(c, m, FNKIND_VIEW, dotted(c, prefix, ".", m->name), PURE_VIEW);
  body->function.body = m->body;
  m->function = &body->function;
  m->symbol = symbol;
  symbol->next = agent->symbol->next;
  agent->symbol->next = symbol;
}

static void declare_member(Checker *c, Decl *owner, Decl *m, Str prefix, uint32_t number) {
  m->unit = owner->unit;
  switch (m->kind) {
    case DECL_DECIDE:
      declare_clause(c, m, prefix, FNKIND_DECIDE, PURE_DECIDE);
      return;
    case DECL_EVOLVE:
      declare_clause(c, m, prefix, FNKIND_EVOLVE, PURE_EVOLVE);
      return;
    case DECL_ON:
      declare_clause(c, m, prefix, FNKIND_ON, PURE_NONE);
      return;
    case DECL_VIEW:
      declare_view(c, owner, m, prefix);
      return;
    case DECL_INVARIANT: {
      Str name = diag_format(c->diags, STR_FMT ".invariant#%u", STR_ARG(prefix), number);
      Body *body = member_body(c, m, FNKIND_INVARIANT, name, PURE_INVARIANT);
      body->function.expr = m->value;
      m->function = &body->function;
      return;
    }
    default:
      return;
  }
}

static void declare_members(Checker *c, Decl *owner, Str prefix) {
  uint32_t invariants = 0;
  for (Decl *m = owner->members; m; m = m->next) {
    invariants += m->kind == DECL_INVARIANT;
    declare_member(c, owner, m, prefix, invariants);
  }
}

static void declare_agent(Checker *c, Decl *decl, Str prefix) {
  for (Field *f = decl->fields; f; f = f->next) {
    if (f->value) continue;
    f->value = ARENA_NEW(c->arena, Expr);
    *f->value = (Expr){.kind = EXPR_NIL, .span = f->span};
  }
  declare_name(c, decl, SYMBOL_AGENT);
  Body *state = declare_body(c, decl, FNKIND_CONSTRUCTOR, prefix, ".state");
  state->function.asserted_pure = true;
  state->place = PURE_DEFAULT;
  declare_members(c, decl, dotted(c, prefix, "", decl->name));
}

static void declare_worker(Checker *c, Decl *decl, Str prefix) {
  declare_name(c, decl, SYMBOL_WORKER);
  decl->declared = decl->declared || decl->fields;
  Body *job = declare_body(c, decl, FNKIND_CONSTRUCTOR, prefix, "");
  job->function.body = NULL;
  job->function.asserted_pure = true;
  job->place = PURE_DEFAULT;
  Body *perform = member_body(c, decl, FNKIND_JOB, dotted(c, prefix, "", decl->name), PURE_NONE);
  perform->function.name = str_join3(c, "", perform->function.name, ".perform");
  perform->function.body = decl->body;
  decl->check_function = &perform->function;
}

static void declare_test(Checker *c, Decl *decl, Str prefix) {
  Str name =
      diag_format(c->diags, STR_FMT "test \"" STR_FMT "\"", STR_ARG(prefix), STR_ARG(decl->text));
  Body *body = member_body(c, decl, FNKIND_TEST, name, PURE_NONE);
  body->function.body = decl->body;
  decl->function = &body->function;
}

/* As the bundle calls its cron: the text, and which of those with that text. */
static void declare_every(Checker *c, Decl *decl) {
  Str name = str_join3(c, "every \"", decl->text, "\"");
  uint32_t number = name_number(c, name);
  if (number > 1) name = diag_format(c->diags, STR_FMT " #%u", STR_ARG(name), number);
  Body *body = member_body(c, decl, FNKIND_TICK, name, PURE_NONE);
  body->function.body = decl->body;
  decl->function = &body->function;
}

void app_declare(Checker *c, Decl *decl, Str prefix) {
  switch (decl->kind) {
    case DECL_AGENT:
      if (decl->name) declare_agent(c, decl, prefix);
      return;
    case DECL_ROUTER:
      if (decl->name) declare_name(c, decl, SYMBOL_ROUTER);
      for (Decl *m = decl->members; m; m = m->next) m->unit = decl->unit;
      return;
    case DECL_HANDLER:
      if (!decl->name) return;
      declare_name(c, decl, SYMBOL_HANDLER);
      declare_members(c, decl, dotted(c, prefix, "", decl->name));
      return;
    case DECL_WORKER:
      if (decl->name) declare_worker(c, decl, prefix);
      return;
    case DECL_EVERY:
      declare_every(c, decl);
      return;
    case DECL_TEST:
      declare_test(c, decl, prefix);
      return;
    default:
      return;
  }
}

/* ---- resolving ---- */

static void report_member_twice(Checker *c, const Decl *owner, const Decl *m, const Decl *first,
                                const char *what) {
  Diag *diag =
      REPORT(c, CLAUSE_TWICE, m->name_span, owner->name->text, str_of(what), m->name->text);
  report_note(c, diag, first->name_span, "the first one is here");
}

static void resolve_clause(Checker *c, Decl *owner, Decl *m) {
  bool agent = owner->kind == DECL_AGENT;
  DeclKind kind = m->kind == DECL_DECIDE ? DECL_COMMAND : DECL_EVENT;
  Symbol *symbol = message_named(c, m->name, m->name_span, kind);
  m->symbol = symbol;
  clause_resolve(c, m, symbol, agent ? owner : NULL);
  if (!symbol) return;
  const Decl *first = clause_record(c, owner, m);
  if (first && m->kind != DECL_DECIDE)
    report_member_twice(c, owner, m, first, m->kind == DECL_ON ? "on" : "evolve");
}

static void resolve_view(Checker *c, Decl *agent, Decl *m) {
  const Decl *first = view_record(c, agent, m);
  if (first) report_member_twice(c, agent, m, first, "view");
  view_resolve(c, m, agent);
}

static void resolve_members(Checker *c, Decl *owner) {
  for (Decl *m = owner->members; m; m = m->next) {
    if (m->kind == DECL_VIEW) resolve_view(c, owner, m);
    else if (m->kind == DECL_INVARIANT) state_parameter(c, decl_body(m), owner);
    else resolve_clause(c, owner, m);
  }
}

void app_resolve(Checker *c, Decl *decl) {
  if (!decl->symbol) return;
  if (decl->kind == DECL_AGENT || decl->kind == DECL_WORKER) {
    decl->symbol->type = type_record(c->types, decl);
    declare_params(c, decl_body(decl), decl->fields);
  }
  if (decl->kind == DECL_AGENT || decl->kind == DECL_HANDLER) resolve_members(c, decl);
  if (decl->kind == DECL_WORKER) clause_resolve(c, decl, decl->symbol, NULL);
}

/* ---- checking ---- */

void message_fields_check(Checker *c, const Decl *decl) {
  static const char *const words[] = {
      [DECL_COMMAND] = "a command", [DECL_EVENT] = "an event", [DECL_WORKER] = "a job"};
  if (decl_is_implied(decl)) return;
  for (const Field *f = decl->fields; f; f = f->next) {
    if (!name_is_whole(f->name)) continue;
    Diag *diag = REPORT(c, RESERVED_FIELD, f->span, str_of(words[decl->kind]), f->name->text);
    report_help(c, diag, "give the field a longer name, such as `" STR_FMT "_id`",
                STR_ARG(f->name->text));
  }
}

static void members_walk(Checker *c, Decl *owner) {
  for (Decl *m = owner->members; m; m = m->next) {
    if (m->kind == DECL_VIEW) name_style_check(c, m->name, m->name_span, false, "a view");
    if (m->kind == DECL_DECIDE && m->check_function) body_walk(c, (Body *)m->check_function);
    if (m->function) body_walk(c, decl_body(m));
  }
}

static void agent_check(Checker *c, Decl *decl) {
  name_style_check(c, decl->name, decl->name_span, true, "an agent");
  settings_check(c, decl);
  body_walk(c, decl_body(decl));
  members_walk(c, decl);
}

static void worker_check(Checker *c, Decl *decl) {
  name_style_check(c, decl->name, decl->name_span, true, "a worker");
  message_fields_check(c, decl);
  settings_check(c, decl);
  body_walk(c, decl_body(decl));
  if (decl->body) body_walk(c, (Body *)decl->check_function);
  else REPORT(c, WORKER_NO_PERFORM, decl->name_span, decl->name->text);
}

void app_check(Checker *c, Decl *decl) {
  switch (decl->kind) {
    case DECL_AGENT:
      if (decl->symbol) agent_check(c, decl);
      return;
    case DECL_WORKER:
      if (decl->symbol) worker_check(c, decl);
      return;
    case DECL_HANDLER:
      if (!decl->symbol) return;
      name_style_check(c, decl->name, decl->name_span, true, "a handler");
      settings_check(c, decl);
      members_walk(c, decl);
      return;
    case DECL_ROUTER:
      if (decl->symbol) name_style_check(c, decl->name, decl->name_span, true, "a router");
      return;
    case DECL_QUEUE:
      settings_check(c, decl);
      return;
    case DECL_EVERY:
      cron_check(c, decl);
      body_walk(c, decl_body(decl));
      return;
    case DECL_TEST:
      body_walk(c, decl_body(decl));
      return;
    default:
      return;
  }
}
