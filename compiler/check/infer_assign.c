/* Assignment: to names, to paths (`m.k[i] = v`), to patterns of lists and maps. A
** change in place counts as one of the variable at the path's root. */
#include "compiler/check/checker.h"

static void report_assign_declaration(Checker *c, const Symbol *symbol, Name *name, Span span) {
  static const char *const words[] = {[SYMBOL_FN] = "a function",
                                [SYMBOL_CONST] = "a constant",
                                [SYMBOL_CONFIG] = "a configuration value",
                                [SYMBOL_TYPE] = "a type",
                                [SYMBOL_WORKFLOW] = "a workflow",
                                [SYMBOL_TOOL] = "a tool",
                                [SYMBOL_EXTERN] = "a native function",
                                [SYMBOL_MODULE] = "an imported module",
                                [SYMBOL_NATIVE] = "a built-in",
                                [SYMBOL_EFFECT] = "a built-in",
                                [SYMBOL_VARIABLE] = "a variable",
                                [SYMBOL_AGENT] = "an agent",
                                [SYMBOL_VIEW] = "a view",
                                [SYMBOL_ROUTER] = "a router",
                                [SYMBOL_HANDLER] = "a handler",
                                [SYMBOL_WORKER] = "a worker",
                                [SYMBOL_FIELD] = "a field"};
  Diag *diag = REPORT(c, ASSIGN_DECLARATION, span, name->text, str_of(words[symbol->kind]));
  if (symbol->span.size)
    report_note(c, diag, symbol->span, "`" STR_FMT "` is declared here", STR_ARG(name->text));
}

static void report_query_assigns(Checker *c, Name *name, Span span) {
  Diag *diag = REPORT(c, QUERY_ASSIGNS, span, name->text);
  report_help(c, diag, "a query only reads; change `" STR_FMT "` in the workflow's own body",
              STR_ARG(name->text));
}

static void report_lost(Checker *c, Variable *inner, Span span) {
  const Symbol *s = &inner->symbol;
  const char *place = s->owner->kind == FNKIND_LAMBDA ? "a function" : "this branch";
  Diag *diag = REPORT(c, CHANGE_LOST, span, s->name->text, str_of(place));
  report_help(c, diag, "values are copied into it; return the new value instead");
}

/* A variable of a body around, about to change in the current one. NULL if it cannot. */
static Variable *outer_changed(Checker *c, Symbol *symbol, Name *name, Span span) {
  Function *here = current_function(c);
  if (here->kind == FNKIND_QUERY) return report_query_assigns(c, name, span), NULL;
  Variable *outer = (Variable *)symbol;
  if (!outer->set && here->kind == FNKIND_BRANCH) return variable_declare(c, name, span, false);
  Variable *inner = variable_here(c, symbol, span);
  if (!c->frame->exports) report_lost(c, inner, span);
  return inner;
}

static Variable *assign_target(Checker *c, Name *name, Span span) {
  Symbol *symbol = scope_find(c, name);
  if (symbol && symbol->kind == SYMBOL_VARIABLE) {
    if (symbol->owner == current_function(c)) return (Variable *)symbol;
    return outer_changed(c, symbol, name, span);
  }
  if (symbol && symbol->decl) return report_assign_declaration(c, symbol, name, span), NULL;
  return variable_declare(c, name, span, false);
}

Variable *assign_name(Checker *c, Name *name, Span span, Type *type, Expr *target) {
  if (name_is_wild(name)) return NULL;
  Variable *v = assign_target(c, name, span);
  if (!v) return NULL;
  if (target) {
    target->symbol = &v->symbol;
    fit_require(c, target, type, v->declared ? v->declared : c->t_any, DIAG_ASSIGN_TYPE, name->text,
                v->symbol.span, "its type is given here");
    target->type = type;
  }
  if (v->symbol.writes++ > 0 || v->symbol.parameter) v->symbol.changed = true;
  flow_set(c, v, v->declared && type_fit(type, v->declared) != FIT_YES ? v->declared : type);
  return v;
}

/* ---- changes in place ---- */

static Expr *path_root(Expr *e) {
  while (e->kind == EXPR_MEMBER || e->kind == EXPR_INDEX) e = e->left;
  return e;
}

static Type *container_with(Checker *c, Type *type, Type *added) {
  if (type->kind == TYPE_LIST) return type_list(c->types, type_join(c->types, type->elem, added));
  if (type->kind == TYPE_MAP) return type_map(c->types, type_join(c->types, type->elem, added));
  return type;
}

static void declared_elem_check(Checker *c, Variable *v, Expr *value) {
  Type *d = v->declared;
  if (!d || !value || (d->kind != TYPE_LIST && d->kind != TYPE_MAP)) return;
  fit_require(c, value, value->type, d->elem, DIAG_ELEMENT_TYPE, (Str){0}, v->symbol.span,
              "the variable's type is given here");
}

/* A field of a record keeps its declared type, so whatever holds the record keeps its own. */
static bool through_record(const Expr *path, const Expr *root) {
  for (; path != root; path = path->left) {
    if (path->kind == EXPR_MEMBER && path->resolution == MEMBER_SLOT) return true;
  }
  return false;
}

/* The root's type after xs.push(v) (path is the root), xs[i] = v (`assigned`, one step) or a change further in. */
static Type *root_type(Checker *c, Type *flow, const Expr *path, const Expr *root, Type *added, bool assigned) {
  bool near = path == root || (assigned && path->left == root);
  if (through_record(path, root)) return flow;
  if (near && flow->kind != TYPE_OBJECT) return added ? container_with(c, flow, added) : flow;
  if (flow->kind == TYPE_LIST) return c->t_list;
  if (flow->kind == TYPE_MAP) return c->t_map;
  return flow->kind == TYPE_OBJECT || flow->kind == TYPE_UNION ? c->t_any : flow;
}

static void path_changed_by(Checker *c, Expr *path, Type *added, Expr *value, bool assigned) {
  Expr *root = path_root(path);
  if (root->kind != EXPR_NAME || !root->symbol) return;
  if (root->symbol->kind == SYMBOL_CONST || root->symbol->kind == SYMBOL_CONFIG) {
    report_assign_declaration(c, root->symbol, root->name, root->span);
    return;
  }
  if (root->symbol->kind != SYMBOL_VARIABLE) return;
  Variable *v = (Variable *)root->symbol;
  if (!state_may_change(c, v, path)) return;
  Function *here = current_function(c);
  bool captured = v->quiet && v->symbol.owner == here && body_sees_outer(here) &&
                  v->symbol.writes == 0 && !v->symbol.changed;
  if (captured && here->kind == FNKIND_QUERY) report_query_assigns(c, root->name, root->span);
  else if (captured && !c->frame->exports) report_lost(c, v, root->span);
  v->symbol.changed = true;
  if (path == root) declared_elem_check(c, v, value);
  if (v->flow) flow_set(c, v, root_type(c, v->flow, path, root, added, assigned));
}

void path_changed(Checker *c, Expr *path, Type *added, Expr *value) {
  path_changed_by(c, path, added, value, false);
}

static void path_assign(Checker *c, Expr *target, Type *type, Expr *value) {
  Expr *root = path_root(target);
  if (root->kind != EXPR_NAME) {
    if (root->kind != EXPR_BAD) REPORT0(c, BAD_TARGET, target->span);
    return;
  }
  bool elem = target->left == root;
  path_changed_by(c, target, type, NULL, true);
  if (elem && root->symbol && root->symbol->kind == SYMBOL_VARIABLE && value) {
    declared_elem_check(c, (Variable *)root->symbol, value);
  }
}

/* ---- destructuring ---- */

static void target_assign(Checker *c, Expr *target, Type *type, Expr *value);

static void list_targets(Checker *c, Expr *target, Type *type, Expr *value) {
  Type *elem = type->kind == TYPE_LIST ? type->elem : c->t_any;
  if (type_fit(type, c->t_list) == FIT_NO && value->kind != EXPR_BAD) {
    REPORT(c, DESTRUCTURE_TYPE, value->span, type_phrase(c, type), STR("list"));
  }
  target->type = type;
  for (Expr *item = target->first; item; item = item->next) {
    if (item->kind != EXPR_SPREAD) target_assign(c, item, elem, value);
    else if (item->operand) target_assign(c, item->operand, type_list(c->types, elem), value);
  }
}

static Type *destructured_field(Checker *c, Type *type, const Arg *arg) {
  if (!arg->name) return c->t_any;
  if (type->kind == TYPE_RECORD) {
    Expr member = {.kind = EXPR_MEMBER, .name = arg->name, .name_span = arg->name_span};
    Type *found = field_type(c, type, arg->name, &member);
    return found ? found : c->t_any;
  }
  Type *found = type->kind == TYPE_ANY ? NULL : field_type(c, type, arg->name, NULL);
  return found ? found : c->t_any;
}

static void map_targets(Checker *c, Expr *target, Type *type, Expr *value) {
  bool fits =
      type_fit(type, c->t_map) != FIT_NO || type->kind == TYPE_RECORD || type->kind == TYPE_ERROR;
  for (uint32_t i = 0; i < type->member_count; i++)
    fits = fits || type->members[i]->kind == TYPE_RECORD;
  if (!fits && value->kind != EXPR_BAD)
    REPORT(c, DESTRUCTURE_TYPE, value->span, type_phrase(c, type), STR("map or record"));
  target->type = type;
  for (Arg *arg = target->args; arg; arg = arg->next) {
    target_assign(c, arg->value, fits ? destructured_field(c, type, arg) : c->t_any, value);
  }
}

/* A name that stands for a field of the state or the message is a path. */
static bool bound_target(Checker *c, Expr *target) {
  Binding *binding = binding_named(c, target->name);
  if (binding) binding_rewrite(c, target, binding);
  return binding != NULL;
}

static void target_assign(Checker *c, Expr *target, Type *type, Expr *value) {
  switch (target->kind) {
    case EXPR_NAME:
      if (bound_target(c, target)) {
        target_assign(c, target, type, value);
        return;
      }
      assign_name(c, target->name, target->span, type, target);
      return;
    case EXPR_LIST:
      list_targets(c, target, type, value);
      return;
    case EXPR_MAP:
      map_targets(c, target, type, value);
      return;
    case EXPR_MEMBER:
    case EXPR_INDEX: {
      Type *wanted = expr_infer(c, target, NULL);
      if (target->resolution == MEMBER_SLOT && target->kind == EXPR_MEMBER) {
        fit_require(c, target, type, wanted, DIAG_ASSIGN_TYPE, target->name->text, (Span){0}, NULL);
      }
      path_assign(c, target, type, NULL);
      return;
    }
    case EXPR_BAD:
      return;
    default:
      return; /* the parser said so */
  }
}

/* ---- the statement ---- */

/* The object of a path is read; its last step is what changes. A key of a map may be new. */
static Type *path_step_type(Checker *c, Expr *target) {
  if (target->kind == EXPR_INDEX) return expr_infer(c, target, NULL);
  return member_infer(c, target);
}

static void assign_path(Checker *c, Stmt *s) {
  Expr *target = s->target;
  Type *old = target->type = path_step_type(c, target);
  bool slot = target->kind == EXPR_MEMBER && target->resolution == MEMBER_SLOT;
  Type *type = expr_infer(c, s->value, slot ? old : NULL);
  if (s->op) type = binary_type(c, (BinaryOp)(s->op - 1), old, type, target, s->value, s->span);
  if (slot) {
    fit_require(c, s->value, type, old, DIAG_ASSIGN_TYPE, target->name->text, (Span){0}, NULL);
  }
  path_assign(c, target, type, s->op ? NULL : s->value);
}

static void self_assign_check(Checker *c, const Stmt *s) {
  bool same = !s->op && s->value->kind == EXPR_NAME && s->value->name == s->target->name;
  if (same && s->value->symbol && s->value->symbol->kind == SYMBOL_VARIABLE) {
    REPORT(c, SELF_ASSIGNMENT, s->target->span, s->target->name->text);
  }
}

/* `x += 1` where x is no variable: false, told. */
static bool compound_readable(Checker *c, Stmt *s) {
  const Symbol *symbol = scope_find(c, s->target->name);
  if (!symbol || symbol->kind == SYMBOL_VARIABLE) return true;
  if (symbol->decl) report_assign_declaration(c, symbol, s->target->name, s->target->span);
  else REPORT(c, READ_BEFORE_SET, s->target->span, s->target->name->text);
  expr_infer(c, s->value, NULL);
  return false;
}

static Type *compound_type(Checker *c, Stmt *s) {
  Type *old = expr_infer(c, s->target, NULL);
  if (s->target->symbol) s->target->symbol->reads--; /* counting up is no use by itself */
  if (s->op - 1 == BIN_COALESCE)
    return type_join(c->types, type_without_nil(c, old), expr_infer(c, s->value, NULL));
  Type *type = expr_infer(c, s->value, NULL);
  return binary_type(c, (BinaryOp)(s->op - 1), old, type, s->target, s->value, s->span);
}

static void declare_typed(Checker *c, Stmt *s, Type *declared) {
  Name *name = s->target->name;
  Symbol *symbol = scope_find(c, name);
  bool own = symbol && symbol->kind == SYMBOL_VARIABLE && symbol->owner == current_function(c);
  Variable *v = own ? (Variable *)symbol : NULL;
  if (own &&
      (v->declared ? v->declared != declared : v->symbol.writes > 0 || v->symbol.parameter)) {
    Diag *diag = REPORT(c, RETYPED, s->target->span, name->text);
    report_note(c, diag, symbol->span, "`" STR_FMT "` is declared here", STR_ARG(name->text));
    return;
  }
  if (!own && symbol && symbol->decl && symbol->kind != SYMBOL_VARIABLE) return;
  if (!v) v = variable_declare(c, name, s->target->span, false);
  v->declared = declared;
}

static void assign_to_name(Checker *c, Stmt *s) {
  Type *declared = s->type ? type_resolve(c, s->type) : NULL;
  Symbol *known = s->target->name->binding;
  Type *wanted = declared;
  if (s->op && !compound_readable(c, s)) return;
  if (!declared && known && known->kind == SYMBOL_VARIABLE && known->owner == current_function(c)) {
    wanted = ((Variable *)known)->declared;
  }
  Type *type = s->op ? compound_type(c, s) : expr_infer(c, s->value, wanted);
  if (declared) declare_typed(c, s, declared);
  Span at = s->target->span;
  if (wanted && type_fit(type, wanted) == FIT_NO) {
    Str name = s->target->name->text;
    fit_require(c, s->value, type, wanted, DIAG_ASSIGN_TYPE, name, (Span){0}, NULL);
    type = wanted;
  }
  self_assign_check(c, s);
  assign_name(c, s->target->name, at, type, s->target);
}

/* `x: int = 1` declares, and the name is taken. */
static void report_bound_typed(Checker *c, const Stmt *s) {
  Diag *diag = REPORT(c, RETYPED, s->target->span, s->target->name->text);
  report_help(c, diag, "the name stands for a field here, which has its type already");
}

void assign_check(Checker *c, Stmt *s) {
  Expr *target = s->target;
  if (target->kind == EXPR_NAME && bound_target(c, target)) {
    if (s->type) report_bound_typed(c, s);
    assign_path(c, s);
  } else if (target->kind == EXPR_NAME) {
    assign_to_name(c, s);
  } else if (target->kind == EXPR_MEMBER || target->kind == EXPR_INDEX) {
    assign_path(c, s);
  } else {
    Type *type = expr_infer(c, s->value, NULL);
    target_assign(c, target, type, s->value);
  }
}
