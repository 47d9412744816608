/* Clauses: decide, evolve, on, perform, and with them guards, views and invariants. What they see is handed to them
** in parameters nobody wrote: the state, the message, its meta. A name that stands for a field of one of them is
** bound to a Binding while the body is walked, and rewritten where it is met. */
#include "compiler/check/checker.h"

Field *clause_params(const Decl *clause) {
  return clause->kind == DECL_WORKER ? clause->params : clause->fields;
}

static const char *const whole_names[] = {"cmd", "e", "event", "job", "msg", "old"};

bool name_is_whole(const Name *name) {
  for (size_t i = 0; i < COUNT_OF(whole_names); i++) {
    if (name_is(name, whole_names[i])) return true;
  }
  return false;
}

const Field *clause_whole(const Decl *clause) {
  const Field *f = clause_params(clause);
  return f && !f->next && name_is_whole(f->name) ? f : NULL;
}

/* ---- hidden parameters ---- */

static Variable *hidden_add(Checker *c, Body *body, Name *name, Span span, Type *type) {
  Function *f = &body->function;
  Variable *v = ARENA_NEW(c->arena, Variable);
  Field *field = ARENA_NEW(c->arena, Field), **last = &f->params;
  v->symbol = (Symbol){.kind = SYMBOL_VARIABLE,
                       .name = name,
                       .span = span,
                       .owner = f,
                       .parameter = true,
                       .type = type,
                       .reg = -1,
                       .writes = 1};
  v->quiet = v->hidden = true;
  v->declared = type->kind == TYPE_RECORD ? type : NULL;
  v->symbol.next = f->locals;
  f->locals = &v->symbol;
  *field = (Field){.name = name, .span = span, .symbol = &v->symbol};
  while (*last) last = &(*last)->next;
  *last = field;
  return v;
}

void state_parameter(Checker *c, Body *body, const Decl *agent) {
  Variable *v = hidden_add(c, body, c->name_state, body->function.span, agent->symbol->type);
  v->state = true;
  body->agent = agent;
  body->function.state = &v->symbol;
}

static void message_parameter(Checker *c, Body *body, const Decl *clause, Type *type) {
  const Field *whole = clause_whole(clause);
  Variable *v = hidden_add(c, body, whole ? whole->name : c->name_message,
                           whole ? whole->span : body->function.span, type);
  v->hidden = !whole;
  body->function.message = &v->symbol;
}

/* ---- what a clause's parameters may be ---- */

static const Field *field_named(const Field *f, const Name *name) {
  while (f && f->name != name) f = f->next;
  return f;
}

static void report_no_field(Checker *c, const Field *param, const Field *params,
                            const Decl *message) {
  Buf near = {0};
  for (const Field *f = message->fields; f; f = f->next)
    buf_put(&near, &f->name->text, sizeof(Str));
  Diag *diag = REPORT(c, CLAUSE_FIELD, param->span, message->name->text, param->name->text);
  if (name_is(param->name, "meta"))
    report_help(c, diag, "`meta` is there without being a parameter");
  else
    report_nearest(c, diag, param->name->text, (const Str *)(void *)near.at,
                   near.size / sizeof(Str));
  report_note(c, diag, message->name_span, "`" STR_FMT "` is declared here",
              STR_ARG(message->name->text));
  if (!params->next && diag && !diag->label.size && !diag->help.size) {
    const char *whole = message->kind == DECL_COMMAND  ? "cmd"
                        : message->kind == DECL_WORKER ? "job"
                                                       : "e";
    report_help(c, diag, "a sole parameter called `%s` binds the whole of it", whole);
  }
  buf_deinit(&near);
}

static void report_hides(Checker *c, const Field *param, const Field *state, bool view) {
  Diag *diag = REPORT(c, HIDES_STATE, param->span, param->name->text);
  report_note(c, diag, state->span, "the state field is here");
  if (view) report_help(c, diag, "give the parameter a name of its own");
  else
    report_help(c, diag, "bind the whole message, (cmd), and read cmd." STR_FMT,
                STR_ARG(param->name->text));
}

static void param_check(Checker *c, const Field *param, const Field *params, const Decl *message,
                        const Decl *agent) {
  const Field *first = field_named(params, param->name);
  const Field *state = agent ? field_named(agent->fields, param->name) : NULL;
  if (name_is_wild(param->name)) return;
  if (param->type || param->value || param->where)
    REPORT(c, CLAUSE_PLAIN, param->span, param->name->text);
  if (first != param) {
    Diag *diag = REPORT(c, DUPLICATE_PARAMETER, param->span, param->name->text);
    report_note(c, diag, first->span, "the first `" STR_FMT "` is here",
                STR_ARG(param->name->text));
  } else if (state) {
    report_hides(c, param, state, false);
  } else if (message && !field_named(message->fields, param->name)) {
    report_no_field(c, param, params, message);
  }
}

static void params_check(Checker *c, const Decl *clause, const Decl *message, const Decl *agent) {
  const Field *params = clause_params(clause), *whole = clause_whole(clause);
  if (whole) message = NULL;
  for (const Field *f = params; f; f = f->next) param_check(c, f, params, message, agent);
}

/* ---- resolving: what the functions of a clause take ---- */

static void function_parameters(Checker *c, Body *body, const Decl *clause, Type *message,
                                const Decl *agent) {
  if (agent) state_parameter(c, body, agent);
  message_parameter(c, body, clause, message);
  body->clause = clause;
  body->function.meta = &hidden_add(c, body, c->name_meta, body->function.span, c->t_map)->symbol;
}

/* message: its symbol, or NULL if there is none (told). */
void clause_resolve(Checker *c, Decl *clause, Symbol *message, const Decl *agent) {
  Type *type = message && message->type ? message->type : c->t_any;
  bool job = clause->kind == DECL_WORKER;
  Function *main = job ? clause->check_function : clause->function;
  params_check(c, clause, message ? message->decl : NULL, agent);
  if (main) function_parameters(c, (Body *)main, clause, type, agent);
  if (!job && clause->check_function)
    function_parameters(c, (Body *)clause->check_function, clause, type, agent);
}

void view_resolve(Checker *c, Decl *view, const Decl *agent) {
  Body *body = decl_body(view);
  declare_params(c, body, view->fields);
  body->function.params = NULL;
  state_parameter(c, body, agent);
  body->function.params->next = view->fields;
  if (view->type) body->function.result = type_resolve(c, view->type);
  for (const Field *f = view->fields; f; f = f->next) {
    const Field *state = field_named(agent->fields, f->name);
    if (state) report_hides(c, f, state, true);
  }
}

/* ---- binding: while a body is walked ---- */

static void bind_field(Checker *c, const Field *field, Span span, Symbol *record, uint32_t slot,
                       bool state) {
  Binding *b = ARENA_NEW(c->arena, Binding);
  b->symbol = (Symbol){.kind = SYMBOL_FIELD,
                       .name = field->name,
                       .span = span,
                       .owner = current_function(c),
                       .reg = -1};
  b->record = record;
  b->slot = slot;
  b->state = state;
  scope_bind(c, field->name, &b->symbol);
}

static void bind_state(Checker *c, const Body *body) {
  uint32_t slot = 0;
  for (const Field *f = body->agent->fields; f; f = f->next, slot++) {
    const Symbol *bound = f->name->binding;
    bool twice = bound && bound->kind == SYMBOL_FIELD && bound->owner == &body->function;
    if (!twice) bind_field(c, f, f->span, body->function.state, slot, true);
  }
  for (const Symbol *view = body->agent->symbol->next; view; view = view->next) {
    Symbol *alias = ARENA_NEW(c->arena, Symbol);
    *alias = *view;
    alias->owner = current_function(c);
    scope_bind(c, view->name, alias);
  }
}

/* A parameter that names no field was told; it stands for anything. */
static void bind_unknown(Checker *c, const Field *param) {
  Variable *v = variable_declare(c, param->name, param->span, false);
  v->symbol.parameter = v->quiet = v->unknown = true;
  flow_set(c, v, c->t_any);
}

static void bind_message(Checker *c, const Body *body) {
  const Type *type = body->function.message->type;
  const Decl *message = type->kind == TYPE_RECORD ? type->decl : NULL;
  for (const Field *param = clause_params(body->clause); param; param = param->next) {
    uint32_t slot = 0;
    const Field *f = message ? message->fields : NULL;
    for (; f && f->name != param->name; f = f->next) slot++;
    if (name_is_wild(param->name)) continue;
    if (f) bind_field(c, param, param->span, body->function.message, slot, false);
    else bind_unknown(c, param);
  }
}

void clause_bind(Checker *c, Body *body) {
  if (body->agent) bind_state(c, body);
  if (body->clause && !clause_whole(body->clause)) bind_message(c, body);
}

/* ---- where a bound name is met ---- */

/* `balance` becomes `state.balance`. */
void binding_rewrite(Checker *c, Expr *e, Binding *binding) {
  Expr *record = ARENA_NEW(c->arena, Expr);
  *record = (Expr){.kind = EXPR_NAME, .span = e->span, .name = binding->record->name};
  *e = (Expr){.kind = EXPR_MEMBER,
              .span = e->span,
              .next = e->next,
              .name = e->name,
              .name_span = e->span,
              .left = record,
              .parenthesised = e->parenthesised};
  binding->symbol.reads++;
}

Binding *binding_named(Checker *c, Name *name) {
  Symbol *symbol = scope_find(c, name);
  return symbol && symbol->kind == SYMBOL_FIELD ? (Binding *)symbol : NULL;
}

/* Something below the state is about to change: path is `state`, or a part of it. False: told. */
bool state_may_change(Checker *c, const Variable *root, const Expr *path) {
  const Function *here = current_function(c);
  if (!root->state || (here->kind == FNKIND_EVOLVE && here->state == &root->symbol)) return true;
  const Expr *field = path;
  while (field->left && field->left->left) field = field->left;
  bool evolve = false;
  for (const Function *f = here; f; f = body_sees_outer(f) ? f->parent : NULL)
    evolve = evolve || f->kind == FNKIND_EVOLVE;
  Diag *diag = REPORT(c, STATE_ASSIGNED, field->span,
                      field->kind == EXPR_MEMBER ? field->name->text : STR("state"));
  if (evolve)
    report_help(c, diag,
                "inside a function written here the state is a copy: give the value back and "
                "assign it outside");
  else
    report_help(c, diag,
                "emit an event, and let its `evolve` change the state; or give the variable a name "
                "of its own");
  return false;
}

/* ---- an evolve gives the state ---- */

static Expr *state_read(Checker *c, const Function *f, Span span) {
  Expr *e = ARENA_NEW(c->arena, Expr);
  *e = (Expr){.kind = EXPR_NAME,
              .span = span,
              .name = f->state->name,
              .symbol = f->state,
              .type = f->state->type};
  f->state->reads++;
  return e;
}

void evolve_returns(Checker *c, Stmt *s) { s->value = state_read(c, current_function(c), s->span); }

void evolve_ends(Checker *c, Function *f) {
  Stmt **last = &f->body, *end = ARENA_NEW(c->arena, Stmt);
  Span span = f->span;
  for (; *last; last = &(*last)->next) span = (*last)->span;
  if (c->frame->reachable) {
    *end = (Stmt){.kind = STMT_RETURN, .span = span, .value = state_read(c, f, span)};
    *last = end;
  }
  f->result = f->state->type;
}
