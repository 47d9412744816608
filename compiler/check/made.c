/* Nodes that nobody wrote, and trees written once that stand in two places. */
#include "compiler/check/made.h"

Name *made_label(Checker *c, Str text) {
  Name *name = ARENA_NEW(c->arena, Name);
  name->text = text;
  return name;
}

Name *made_dotted(Checker *c, Str before, const char *after) {
  return made_label(c, diag_format(c->diags, STR_FMT ".%s", STR_ARG(before), after));
}

/* ---- expressions ---- */

static Expr *made(Checker *c, ExprKind kind, Span span) {
  Expr *e = ARENA_NEW(c->arena, Expr);
  e->kind = kind;
  e->span = span;
  return e;
}

Expr *made_name(Checker *c, Span span, Name *name) {
  Expr *e = made(c, EXPR_NAME, span);
  e->name = name;
  return e;
}

Expr *made_text(Checker *c, Span span, Str text) {
  Expr *e = made(c, EXPR_STRING, span);
  e->text = text.at ? text : STR("");
  return e;
}

Expr *made_int(Checker *c, Span span, int64_t i) {
  Expr *e = made(c, EXPR_INT, span);
  e->integer = i;
  return e;
}

Expr *made_bool(Checker *c, Span span, bool b) {
  Expr *e = made(c, EXPR_BOOL, span);
  e->boolean = b;
  return e;
}

Expr *made_nil(Checker *c, Span span) { return made(c, EXPR_NIL, span); }

Expr *made_member(Checker *c, Span span, Expr *object, Name *name) {
  Expr *e = made(c, EXPR_MEMBER, span);
  e->left = object;
  e->name = name;
  e->name_span = span;
  return e;
}

Expr *made_call(Checker *c, Span span, Expr *callee, Arg *args) {
  Expr *e = made(c, EXPR_CALL, span);
  e->left = callee;
  e->args = args;
  return e;
}

Expr *made_library_call(Checker *c, Span span, const char *module, const char *name, Arg *args) {
  Expr *object = made_name(c, span, made_label(c, str_of(module)));
  return made_call(c, span, made_member(c, span, object, made_label(c, str_of(name))), args);
}

Expr *made_lambda(Checker *c, Span span, Name *parameter, Expr *value) {
  Expr *e = made(c, EXPR_LAMBDA, span);
  e->operand = value;
  if (parameter) e->fields = made_field(c, span, parameter, NULL, NULL);
  return e;
}

Expr *made_fit(Checker *c, Span span, Name *type, Expr *value) {
  Expr *e = made(c, EXPR_FIT, span);
  e->name = type;
  e->operand = value;
  return e;
}

/* ---- lists of them ---- */

Arg *made_arg(Checker *c, Name *name, Expr *value) {
  Arg *arg = ARENA_NEW(c->arena, Arg);
  arg->name = name;
  arg->name_span = value->span;
  arg->value = value;
  return arg;
}

void made_add(MadeMap *map, Arg *arg) {
  if (!map->last) map->last = &map->first;
  *map->last = arg;
  map->last = &arg->next;
}

void made_entry(Checker *c, MadeMap *map, const char *key, Expr *value) {
  made_add(map, made_arg(c, made_label(c, str_of(key)), value));
}

Expr *made_map(Checker *c, Span span, const MadeMap *map) {
  Expr *e = made(c, EXPR_MAP, span);
  e->args = map->first;
  return e;
}

void made_item(MadeList *list, Expr *item) {
  if (!list->last) list->last = &list->first;
  *list->last = item;
  list->last = &item->next;
}

Expr *made_list(Checker *c, Span span, const MadeList *list) {
  Expr *e = made(c, EXPR_LIST, span);
  e->first = list->first;
  return e;
}

/* ---- statements and declarations ---- */

Stmt *made_return(Checker *c, Span span, Expr *value) {
  Stmt *s = ARENA_NEW(c->arena, Stmt);
  s->kind = STMT_RETURN;
  s->span = span;
  s->value = value;
  return s;
}

TypeExpr *made_type(Checker *c, Span span, Name *name) {
  TypeExpr *t = ARENA_NEW(c->arena, TypeExpr);
  t->kind = TEXPR_NAME;
  t->span = span;
  t->name = name;
  return t;
}

Field *made_field(Checker *c, Span span, Name *name, TypeExpr *type, Expr *value) {
  Field *f = ARENA_NEW(c->arena, Field);
  *f = (Field){.name = name, .span = span, .type = type, .value = value};
  return f;
}

Decl *made_decl(Checker *c, Unit *unit, DeclKind kind, Span span, Name *name) {
  Decl *decl = ARENA_NEW(c->arena, Decl), **last = &unit->decls;
  *decl = (Decl){
      .kind = kind, .span = span, .name_span = span, .name = name, .made = true, .unit = unit};
  while (*last) last = &(*last)->next;
  *last = decl;
  return decl;
}

/* ---- the same once more ---- */

static Arg *args_clone(Checker *c, const Arg *args) {
  Arg *first = NULL, **last = &first;
  for (; args; args = args->next) {
    Arg *copy = ARENA_NEW(c->arena, Arg);
    *copy = *args;
    copy->key = expr_clone(c, args->key);
    copy->value = expr_clone(c, args->value);
    copy->next = NULL;
    *last = copy;
    last = &copy->next;
  }
  return first;
}

static Expr *list_clone(Checker *c, const Expr *items) {
  Expr *first = NULL, **last = &first;
  for (; items; items = items->next) {
    *last = expr_clone(c, items);
    last = &(*last)->next;
  }
  return first;
}

/* Bodies of statements do not stand where this is used: in defaults, constraints and questions. */
Expr *expr_clone(Checker *c, const Expr *e) {
  if (!e) return NULL;
  Expr *copy = ARENA_NEW(c->arena, Expr);
  *copy = *e;
  copy->next = NULL;
  copy->left = expr_clone(c, e->left);
  copy->right = expr_clone(c, e->right);
  copy->low = expr_clone(c, e->low);
  copy->high = expr_clone(c, e->high);
  copy->operand = expr_clone(c, e->operand);
  copy->iter = expr_clone(c, e->iter);
  copy->cond = expr_clone(c, e->cond);
  copy->because = expr_clone(c, e->because);
  copy->first = list_clone(c, e->first);
  copy->args = args_clone(c, e->args);
  copy->fields = fields_clone(c, e->fields, false);
  return copy;
}

Field *fields_clone(Checker *c, const Field *fields, bool bare) {
  Field *first = NULL, **last = &first;
  for (; fields; fields = fields->next) {
    Field *copy = made_field(c, fields->span, fields->name, fields->type, NULL);
    copy->doc = fields->doc;
    if (!bare) {
      copy->value = expr_clone(c, fields->value);
      copy->where = expr_clone(c, fields->where);
    }
    *last = copy;
    last = &copy->next;
  }
  return first;
}
