/* Messages that are used and not declared. One walk over the program finds who uses which name as a command or event
** and declares the missing ones; a second one finds their fields: the named arguments they are made with, the
** parameters that bind them, what is read of them through a whole binding, and what identifies an instance. Jobs of
** workers without a field list get theirs in the same way. Every field is `any` and may be left out. */
#include "compiler/check/checker.h"
#include "vm/base/table.h"

typedef struct Walk {
  Checker *c;
  bool fields; /* the second walk */
  Unit *unit;
  Decl **last_decl; /* the end of the unit's declarations */
  Name *whole;      /* the name that holds a whole message here, or NULL… */
  Decl *message;    /* …and that message or worker, if its fields are implied */
  Table *seen;      /* of (Decl, Name): the fields there are */
} Walk;

static void walk_expr(Walk *w, Expr *e);
static void walk_block(Walk *w, Stmt *s);

/* ---- fields ---- */

static void field_add(Walk *w, Decl *decl, Name *name, Span span) {
  const void *pair[2] = {decl, name};
  Str key = {(const char *)pair, sizeof pair};
  if (name_is_wild(name) || table_get(w->seen, key)) return;
  Field *field = ARENA_NEW(w->c->arena, Field);
  Expr *value = ARENA_NEW(w->c->arena, Expr);
  *value = (Expr){.kind = EXPR_NIL, .span = span};
  *field = (Field){.name = name, .span = span, .value = value};
  Field *last = table_get(w->seen, (Str){(const char *)&pair[0], sizeof pair[0]});
  if (last) last->next = field;
  else decl->fields = field;
  table_set(w->seen, key, field);
  table_set(w->seen, (Str){(const char *)&pair[0], sizeof pair[0]}, field);
}

bool decl_is_implied(const Decl *decl) {
  return decl && (decl->implied || (decl->kind == DECL_WORKER && !decl->declared));
}

static Decl *implied_named(const Name *name) {
  const Symbol *symbol = name ? name->binding : NULL;
  return symbol && decl_is_implied(symbol->decl) ? symbol->decl : NULL;
}

static void call_fields(Walk *w, const Expr *call) {
  Decl *decl = call->left && call->left->kind == EXPR_NAME ? implied_named(call->left->name) : NULL;
  for (const Arg *arg = decl ? call->args : NULL; arg; arg = arg->next) {
    if (arg->name) field_add(w, decl, arg->name, arg->name_span);
  }
}

static void pattern_fields(Walk *w, const Pattern *p, Decl *decl) {
  for (const Pattern *item = p->items; item; item = item->next) {
    if (decl && item->field) field_add(w, decl, item->field, item->span);
  }
}

static void walk_pattern(Walk *w, const Pattern *p) {
  if (p->kind == PATTERN_RECORD) pattern_fields(w, p, implied_named(p->name));
  for (const Pattern *item = p->items; item; item = item->next) walk_pattern(w, item);
}

/* ---- uses of messages ---- */

static bool upper_case(const Name *name) {
  return name->text.size > 0 && name->text.at[0] >= 'A' && name->text.at[0] <= 'Z';
}

static void message_use(Walk *w, Name *name, Span span, DeclKind kind) {
  if (w->fields || !name || name->binding || !upper_case(name)) return;
  Decl *decl = ARENA_NEW(w->c->arena, Decl);
  *decl = (Decl){.kind = kind,
                 .span = span,
                 .name_span = span,
                 .name = name,
                 .implied = true,
                 .unit = w->unit};
  *w->last_decl = decl;
  w->last_decl = &decl->next;
  declare_message(w->c, decl);
}

static void call_use(Walk *w, const Expr *e, DeclKind kind) {
  if (e && e->kind == EXPR_CALL && e->left->kind == EXPR_NAME)
    message_use(w, e->left->name, e->left->span, kind);
}

static void args_use(Walk *w, const Arg *arg, DeclKind kind) {
  for (; arg; arg = arg->next) call_use(w, arg->value, kind);
}

/* ---- expressions ---- */

static void walk_args(Walk *w, Arg *arg) {
  for (; arg; arg = arg->next) {
    if (arg->key) walk_expr(w, arg->key);
    if (arg->value) walk_expr(w, arg->value);
  }
}

static bool binds(const Field *fields, const Name *name) {
  for (; fields; fields = fields->next) {
    if (fields->name == name) return true;
  }
  return false;
}

static bool is_whole(const Walk *w, const Expr *e) {
  return w->whole && w->message && e && e->kind == EXPR_NAME && e->name == w->whole;
}

/* cmd.items.push(x) reads `items`; cmd.get("x") is a method of the record itself. */
static void member_field(Walk *w, const Expr *e) {
  if (is_whole(w, e->left)) field_add(w, w->message, e->name, e->name_span);
}

static void walk_parts(Walk *w, Expr *e) {
  bool method = e->kind == EXPR_CALL && e->left->kind == EXPR_MEMBER && is_whole(w, e->left->left);
  if (e->left && !method) walk_expr(w, e->left);
  if (e->right) walk_expr(w, e->right);
  if (e->low) walk_expr(w, e->low);
  if (e->high) walk_expr(w, e->high);
  if (e->iter) walk_expr(w, e->iter);
  Name *whole = w->whole;
  if (whole && binds(e->fields, whole)) w->whole = NULL;
  if (e->cond) walk_expr(w, e->cond);
  if (e->operand) walk_expr(w, e->operand);
  for (Expr *item = e->first; item; item = item->next) walk_expr(w, item);
  walk_block(w, e->body);
  w->whole = whole;
  walk_args(w, e->args);
  if (e->because) walk_expr(w, e->because);
}

static void walk_expr(Walk *w, Expr *e) {
  if (e->kind <= EXPR_DURATION || e->kind == EXPR_NAME || e->kind == EXPR_BAD) return;
  if (e->kind == EXPR_DISPATCH) call_use(w, e->operand, DECL_COMMAND);
  if (w->fields && e->kind == EXPR_CALL) call_fields(w, e);
  if (w->fields && e->kind == EXPR_MEMBER) member_field(w, e);
  walk_parts(w, e);
}

/* ---- statements ---- */

static void statement_use(Walk *w, const Stmt *s) {
  if (s->kind == STMT_EMIT) call_use(w, s->value, DECL_EVENT);
  if (s->kind == STMT_WHEN) call_use(w, s->value, DECL_COMMAND);
  if (s->kind == STMT_GIVEN || (s->kind == STMT_THEN && s->test == THEN_EVENTS))
    args_use(w, s->args, DECL_EVENT);
}

/* `{a, b} = cmd`, `match cmd: {a, b}: …` */
static void taken_apart(Walk *w, const Stmt *s) {
  if (!w->fields || !is_whole(w, s->value)) return;
  if (s->kind == STMT_ASSIGN && s->target->kind == EXPR_MAP) {
    for (const Arg *arg = s->target->args; arg; arg = arg->next) {
      if (arg->name) field_add(w, w->message, arg->name, arg->name_span);
    }
  }
  for (const Arm *arm = s->kind == STMT_MATCH ? s->arms : NULL; arm; arm = arm->next) {
    if (arm->pattern && arm->pattern->kind == PATTERN_MAP)
      pattern_fields(w, arm->pattern, w->message);
  }
}

static void walk_arms(Walk *w, Arm *arm) {
  Name *whole = w->whole;
  for (; arm; arm = arm->next) {
    if (whole && arm->name == whole) w->whole = NULL;
    if (w->fields && arm->pattern) walk_pattern(w, arm->pattern);
    if (arm->guard) walk_expr(w, arm->guard);
    walk_block(w, arm->body);
    w->whole = whole;
  }
}

static void walk_statement(Walk *w, Stmt *s) {
  statement_use(w, s);
  taken_apart(w, s);
  if (s->target) walk_expr(w, s->target);
  if (s->value) walk_expr(w, s->value);
  if (s->cond) walk_expr(w, s->cond);
  if (s->because) walk_expr(w, s->because);
  walk_args(w, s->args);
  Name *whole = w->whole;
  if (whole && binds(s->fields, whole)) w->whole = NULL;
  walk_block(w, s->body);
  w->whole = whole;
  walk_arms(w, s->arms);
  walk_block(w, s->final);
}

/* An elif chain is walked as a list: it may be long. */
static void walk_block(Walk *w, Stmt *body) {
  for (Stmt *s = body; s; s = s->next) {
    walk_statement(w, s);
    for (Stmt *other = s->otherwise; other; other = other->otherwise) {
      if (other->kind != STMT_IF || other->next) {
        walk_block(w, other);
        break;
      }
      walk_statement(w, other);
    }
  }
}

/* ---- declarations ---- */

static void clause_walk(Walk *w, Decl *clause, Name *message) {
  Field *params = clause_params(clause);
  Decl *decl = w->fields ? implied_named(message) : NULL;
  const Field *whole = clause_whole(clause);
  for (const Field *f = decl && !whole ? params : NULL; f; f = f->next) {
    if (!name_is(f->name, "meta")) field_add(w, decl, f->name, f->span);
  }
  w->whole = whole ? whole->name : NULL;
  w->message = decl;
  if (clause->guard) walk_expr(w, clause->guard);
  walk_block(w, clause->body);
  w->whole = NULL;
}

/* Commands are used by being routed; the field by which their agent is identified is one of theirs.
 */
static void router_walk(Walk *w, const Decl *router) {
  for (const Decl *route = router->members; route; route = route->next) {
    if (route->kind != DECL_ROUTE) continue;
    const Decl *identify = router->members;
    while (identify && (identify->kind != DECL_IDENTIFY || identify->name != route->name))
      identify = identify->next;
    for (const NameList *n = route->names; n; n = n->next) {
      message_use(w, n->name, n->span, DECL_COMMAND);
      Decl *decl = w->fields && identify && identify->names ? implied_named(n->name) : NULL;
      if (decl) field_add(w, decl, identify->names->name, identify->names->span);
    }
  }
}

static void fields_walk(Walk *w, Field *f) {
  for (; f; f = f->next) {
    if (f->value) walk_expr(w, f->value);
    if (f->where) walk_expr(w, f->where);
  }
}

static void decl_walk(Walk *w, Decl *decl);

static void members_walk(Walk *w, Decl *decl) {
  static const uint8_t kinds[] = {
      [DECL_DECIDE] = DECL_COMMAND, [DECL_EVOLVE] = DECL_EVENT, [DECL_ON] = DECL_EVENT};
  for (Decl *m = decl->members; m; m = m->next) {
    if (m->kind != DECL_DECIDE && m->kind != DECL_EVOLVE && m->kind != DECL_ON) {
      decl_walk(w, m);
      continue;
    }
    message_use(w, m->name, m->name_span, (DeclKind)kinds[m->kind]);
    clause_walk(w, m, m->name);
  }
}

static void decl_walk(Walk *w, Decl *decl) {
  fields_walk(w, decl->fields);
  if (decl->kind == DECL_AGENT || decl->kind == DECL_HANDLER || decl->kind == DECL_WORKFLOW)
    members_walk(w, decl);
  else if (decl->kind == DECL_ROUTER) router_walk(w, decl);
  if (decl->kind == DECL_WORKER) {
    clause_walk(w, decl, decl->name);
    return;
  }
  if (decl->value) walk_expr(w, decl->value);
  walk_block(w, decl->body);
  walk_block(w, decl->check);
}

static void units_walk(Walk *w, Unit *units) {
  for (Unit *unit = units; unit; unit = unit->next) {
    if (unit->standard) continue;
    w->unit = w->c->unit = unit;
    w->last_decl = &unit->decls;
    while (*w->last_decl) w->last_decl = &(*w->last_decl)->next;
    for (Decl *d = unit->decls; d; d = d->next) {
      if (!d->implied) decl_walk(w, d);
    }
    walk_block(w, unit->script);
  }
}

static bool has_application(const Unit *units) {
  while (units && !units->application) units = units->next;
  return units != NULL;
}

void implied_declare(Checker *c, Unit *units) {
  if (!has_application(units)) return;
  Walk w = {.c = c, .seen = table_new()};
  units_walk(&w, units);
  w.fields = true;
  units_walk(&w, units);
  table_free(w.seen);
}
