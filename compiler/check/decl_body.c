/* Bodies: making them, walking them once, settling their results. A body whose
** result is wanted before its turn is walked on the spot, to a small depth. */
#include "compiler/check/checker.h"

enum { INFERRING_MAX = 24, ENSURE_DEPTH_MAX = 100 };

Body *body_new(Checker *c, FnKind kind, Str name, Span span, Decl *decl, Function *parent) {
  Body *body = ARENA_NEW(c->arena, Body);
  Function *f = &body->function;
  f->kind = (uint8_t)kind;
  f->name = name;
  f->span = span;
  f->decl = decl;
  f->parent = parent;
  f->unit = c->unit;
  f->last_capture = &f->captures;
  *c->last_function = f;
  c->last_function = &f->next;
  return body;
}

/* Variables of a declaration's parameters, whose types calls need before the body is walked. */
void declare_params(Checker *c, Body *body, Field *fields) {
  for (Field *f = fields; f; f = f->next) {
    Type *type = f->type ? type_resolve(c, f->type) : NULL;
    Variable *v = ARENA_NEW(c->arena, Variable);
    v->declared = type && type->kind != TYPE_ANY ? type : NULL;
    v->symbol = (Symbol){.kind = SYMBOL_VARIABLE,
                         .name = f->name,
                         .span = f->span,
                         .parameter = true,
                         .reg = -1,
                         .owner = &body->function,
                         .type = type ? type : c->t_any,
                         .writes = 1};
    v->symbol.next = body->function.locals;
    body->function.locals = &v->symbol;
    f->symbol = &v->symbol;
  }
  body->function.params = fields;
}

void body_open(Checker *c, Frame *frame, Body *body) {
  bool inner = c->frame && body_sees_outer(&body->function);
  *frame = (Frame){.body = body, .outer = c->frame, .reachable = true, .place = c->place};
  frame->races = inner ? c->frame->races : 0;
  frame->scope = scope_open(c);
  frame->level = flow_open(c);
  if (!inner) c->place = PURE_NONE;
  c->frame = frame;
}

static Symbol *turned_round(Symbol *list) {
  Symbol *turned = NULL;
  for (Symbol *next; list; list = next) {
    next = list->next;
    list->next = turned;
    turned = list;
  }
  return turned;
}

void body_close(Checker *c, Frame *frame) {
  Function *f = &frame->body->function;
  f->locals = turned_round(f->locals);
  scope_warn_unused(c, frame->body);
  flow_drop(c, frame->level);
  scope_close(c, frame->scope);
  c->place = frame->place;
  c->frame = frame->outer;
}

/* ---- parameters ---- */

static bool param_twice(Checker *c, const Field *f) {
  Symbol *before = f->name->binding;
  if (!before || before->kind != SYMBOL_VARIABLE || before->owner != current_function(c))
    return false;
  bool field = current_function(c)->kind == FNKIND_CONSTRUCTOR;
  Diag *diag = field ? REPORT(c, DUPLICATE_FIELD, f->span, f->name->text)
                     : REPORT(c, DUPLICATE_PARAMETER, f->span, f->name->text);
  report_note(c, diag, before->span, "the first `" STR_FMT "` is here", STR_ARG(f->name->text));
  return true;
}

static void param_default(Checker *c, Field *f) {
  Variable *v = (Variable *)f->symbol;
  Type *wanted = v && v->declared ? v->declared : c->t_any;
  expr_require(c, f->value, wanted, DIAG_DEFAULT_TYPE, f->name->text, f->span, NULL);
}

static void param_where(Checker *c, Field *f) {
  PurePlace outer = c->place;
  c->place = PURE_WHERE;
  Type *type = expr_infer(c, f->where, c->t_bool);
  c->place = outer;
  if (type_fit(type, c->t_bool) == FIT_NO && f->where->kind != EXPR_BAD) {
    REPORT(c, WHERE_NOT_BOOL, f->where->span, type_phrase(c, type));
  }
}

static void param_bind(Checker *c, Body *body, Field *f) {
  if (!f->symbol) {
    if (name_is_wild(f->name)) return;
    Variable *v = variable_declare(c, f->name, f->span, true);
    v->symbol.parameter = true;
    v->symbol.writes = 1;
    v->declared = f->type ? type_resolve(c, f->type) : NULL;
    v->symbol.type = v->declared ? v->declared : c->t_any;
    f->symbol = &v->symbol;
  } else {
    if (body->function.kind != FNKIND_CONSTRUCTOR || f->symbol->owner == &body->function)
      scope_bind(c, f->name, f->symbol);
    name_style_check(c, f->name, f->span, false,
                     body->function.kind == FNKIND_CONSTRUCTOR ? "a field" : "a parameter");
  }
  flow_set(c, (Variable *)f->symbol, f->symbol->type);
}

static void order_check(Checker *c, const Body *body, const Field *f, const Field *optional) {
  bool by_place = body->function.kind == FNKIND_FN || body->function.kind == FNKIND_LAMBDA;
  if (!by_place || !optional || param_optional(f)) return;
  Diag *diag = REPORT(c, REQUIRED_AFTER_DEFAULT, f->span, f->name->text, optional->name->text);
  report_note(c, diag, optional->span, "this one may be left out");
}

void body_params(Checker *c, Body *body, Field *fields) {
  const Field *optional = NULL;
  body->function.params = fields;
  for (Field *f = fields; f; f = f->next) {
    if (f->value) param_default(c, f);
    param_twice(c, f);
    param_bind(c, body, f);
    order_check(c, body, f, optional);
    if (param_optional(f)) optional = f;
    if (f->where) param_where(c, f);
  }
}

/* ---- the walk ---- */

static bool result_required(const Function *f) {
  return f->kind == FNKIND_FN || f->kind == FNKIND_WORKFLOW || f->kind == FNKIND_PERFORM ||
         f->kind == FNKIND_QUERY || f->kind == FNKIND_VIEW;
}

void body_settle(Checker *c, Frame *frame) {
  Function *f = &frame->body->function;
  Type *returns = frame->returns;
  if (frame->reachable) returns = type_join(c->types, returns, c->t_nil);
  bool declared = f->decl && f->decl->type && result_required(f) && f->result;
  if (!declared) f->result = returns ? returns : c->t_nil;
  else if (frame->reachable && type_fit(c->t_nil, f->result) == FIT_NO && f->body) {
    Diag *diag =
        REPORT(c, MISSING_RETURN, f->decl->name_span, f->decl->name->text, type_text(c, f->result));
    report_help(c, diag,
                "end it with `return …` or `raise …` on every path, or declare " STR_FMT "?",
                STR_ARG(type_text(c, f->result)));
  }
}

static void body_inside(Checker *c, Body *body) {
  Frame frame;
  Function *f = &body->function;
  body_open(c, &frame, body);
  if (f->key) {
    ((Variable *)f->key)->set = true;
    ((Variable *)f->key)->flow = c->t_string;
  }
  body_params(c, body, f->params);
  clause_bind(c, body);
  if (f->kind == FNKIND_GUARD || f->kind == FNKIND_INVARIANT) condition_check(c, f->expr), f->result = c->t_bool;
  else if (f->expr) f->result = expr_infer(c, f->expr, f->kind == FNKIND_UNLESS ? c->t_bool : NULL);
  block_check(c, f->body);
  if (f->kind == FNKIND_EVOLVE) evolve_ends(c, f);
  else if (!f->expr && f->kind != FNKIND_CONSTRUCTOR) body_settle(c, &frame);
  if (f->kind == FNKIND_WORKFLOW) {
    for (Decl *q = f->decl->members; q; q = q->next) {
      if (q->function) body_walk(c, decl_body(q));
    }
  }
  body_close(c, &frame);
}

void body_walk(Checker *c, Body *body) {
  if (body->state != BODY_NEW) return;
  Unit *unit = c->unit;
  uint32_t mark = scope_open(c);
  body->state = BODY_OPEN;
  if (body->function.unit != unit) unit_enter(c, body->function.unit);
  body_inside(c, body);
  if (body->function.unit != unit) unit_leave(c, mark);
  c->unit = unit;
  body->state = BODY_DONE;
}

void body_ensure(Checker *c, Body *body) {
  if (body->function.result || body->state != BODY_NEW || body->function.kind == FNKIND_QUERY)
    return;
  if (c->inferring >= INFERRING_MAX || c->depth >= ENSURE_DEPTH_MAX) return;
  uint32_t depth = c->depth;
  c->inferring++;
  c->depth = 0;
  body_walk(c, body);
  c->depth = depth;
  c->inferring--;
}

Type *body_function_type(Checker *c, Body *body, Decl *decl) {
  uint32_t count = 0, min = 0;
  for (Field *f = body->function.params; f; f = f->next) count++;
  Type **params = ARENA_ARRAY(c->arena, Type *, count + 1);
  count = 0;
  for (Field *f = body->function.params; f; f = f->next) {
    params[count++] = f->symbol && f->symbol->type ? f->symbol->type : c->t_any;
    if (!param_optional(f)) min = count;
  }
  if (decl) body_ensure(c, body);
  return type_function(c->types, params, count, min,
                       body->function.result ? body->function.result : c->t_any);
}
