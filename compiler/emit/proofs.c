/* Which functions need not check their parameters: those that are only called by
** name, each time with arguments whose types surely fit. A function that is used as
** a value, or called once with something unsure, checks. */
#include "compiler/emit/emitter.h"

static void loosen(const Symbol *symbol) {
  bool fn = symbol != NULL && symbol->kind == SYMBOL_FN && symbol->decl != NULL &&
            symbol->decl->function != NULL;
  if (fn) symbol->decl->function->proven = false;
}

static bool fits(const Field *f, const Expr *value) {
  const Type *wanted = f->symbol != NULL ? f->symbol->type : NULL;
  if (f->type == NULL || wanted == NULL || wanted->kind == TYPE_ANY) return true;
  return value->type != NULL && type_fit(value->type, wanted) == FIT_YES;
}

static void look(Expr *e, void *context);

static void look_call(Expr *e) {
  const Field *f = e->symbol->decl->fields;
  if (e->resolution == CALL_FUNCTION_METHOD && f != NULL) {
    if (!fits(f, e->left->left)) loosen(e->symbol);
    f = f->next;
  }
  for (const Arg *arg = e->args; arg != NULL && f != NULL; arg = arg->next, f = f->next) {
    if (arg->value != NULL && !fits(f, arg->value)) loosen(e->symbol);
  }
}

static void look(Expr *e, void *context) {
  bool call = e->kind == EXPR_CALL &&
              (e->resolution == CALL_FUNCTION || e->resolution == CALL_FUNCTION_METHOD);
  if (call && e->symbol != NULL && e->symbol->decl != NULL) {
    look_call(e);
    if (e->resolution == CALL_FUNCTION_METHOD) look(e->left->left, context);
    for (Arg *arg = e->args; arg != NULL; arg = arg->next) {
      if (arg->value != NULL) look(arg->value, context);
    }
    return;
  }
  if (e->kind == EXPR_NAME || (e->kind == EXPR_MEMBER && e->resolution == MEMBER_SYMBOL))
    loosen(e->symbol);
  else expr_parts(e, look, context);
}

static void look_fields(const Function *fn) {
  for (const Field *f = fn->params; f != NULL; f = f->next) {
    if (f->value != NULL) look(f->value, NULL);
    if (f->value != NULL && !fits(f, f->value) && fn->decl != NULL) loosen(fn->decl->symbol);
    if (f->where != NULL) look(f->where, NULL);
  }
}

/* What stands before commands is called with whatever came. */
static void look_befores(const Checked *checked) {
  for (const Unit *u = checked->units; u != NULL; u = u->next) {
    for (const Decl *d = u->decls; d != NULL; d = d->next) {
      if (d->kind != DECL_ROUTER) continue;
      for (const Decl *m = d->members; m != NULL; m = m->next) {
        if (m->kind == DECL_BEFORE) loosen(m->symbol);
      }
    }
  }
}

void proofs_find(const Checked *checked) {
  for (Function *fn = checked->functions; fn != NULL; fn = fn->next) {
    fn->proven = fn->kind == FNKIND_FN && fn->decl != NULL && !fn->unit->standard;
  }
  look_befores(checked);
  for (const Function *fn = checked->functions; fn != NULL; fn = fn->next) {
    look_fields(fn);
    if (fn->expr != NULL) look(fn->expr, NULL);
    if (fn->single && fn->body != NULL) {
      Stmt one = *fn->body;
      one.next = NULL;
      block_parts(&one, look, NULL);
    } else {
      block_parts(fn->body, look, NULL);
    }
  }
}
