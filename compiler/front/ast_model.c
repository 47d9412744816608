/* Builders of what has to do with models: their declarations, asking, approving, budgets. */
#include "compiler/front/ast_build.h"
#include "compiler/front/parse.h"

/* ---- declarations ---- */

/* A function whose first parameter is an agent's run. */
Decl *ast_strategy(Build *b, Tok t, Tok name, FieldList params, TypeExpr *result) {
  Decl *decl = ast_fn(b, t, name, params, result);
  decl->strategy = true;
  b->unit->models = true;
  return decl;
}

static Tok word(Build *b, Span span, const char *text) {
  return (Tok){.span = span, .name = name_intern(b->names, str_of(text))};
}

static bool is_own(const Field *f) {
  return str_equal(f->name->text, STR("conversation")) || str_equal(f->name->text, STR("details"));
}

/* Besides its own parameters (a query unless it says others) every ai_agent takes the id of a conversation, and
** whether more than the answer is wanted. */
Decl *ast_ai_agent(Build *b, Tok t, Tok name, FieldList params) {
  Decl *decl = ast_declare(b, DECL_AI_AGENT, t, name);
  Tok at = {.span = name.span};
  TypeExpr *text = ast_type_name(b, word(b, name.span, "string")),
           *flag = ast_type_name(b, word(b, name.span, "bool"));
  for (const Field *f = params.first; f; f = f->next) {
    if (is_own(f)) DIAG_ADD(b->diags, DIAG_AI_PARAMETER, f->span, f->name->text);
  }
  if (!params.first)
    params = ast_fields(params, ast_field(b, word(b, name.span, "query"), text, NULL, NULL));
  params = ast_fields(params, ast_field(b, word(b, name.span, "conversation"),
                                        ast_type_optional(b, text, at), ast_nil(b, at), NULL));
  params = ast_fields(
      params, ast_field(b, word(b, name.span, "details"), flag, ast_bool(b, at, false), NULL));
  return ast_signature(b, decl, params, NULL);
}

Decl *ast_answer(Build *b, Decl *agent, Tok t, TypeExpr *type) {
  if (b->body != DECL_AI_AGENT) complain_setting(b, t.name, t.span);
  else if (agent->type) complain_twice(b, t.span, agent->type->span, STR("answer"));
  else agent->type = type;
  return agent;
}

Decl *ast_allowance(Build *b, DeclKind kind, Tok t, Tok name, Expr *map) {
  Decl *decl = ast_declare(b, kind, t, name);
  decl->value = map;
  return decl;
}

/* ---- expressions ---- */

Expr *ast_ask(Build *b, Tok t, Expr *callee, ArgList args, Tok close) {
  Expr *call = ast_call(b, callee, args, close);
  call->span = span_join(t.span, close.span);
  call->asks = true;
  b->unit->models = true;
  return call;
}

Expr *ast_approve(Build *b, Tok t, Expr *question, Expr *call, Expr *within) {
  Expr *e = ast_nil(b, t);
  e->kind = EXPR_APPROVE;
  e->span = span_join(t.span, within ? within->span : call->span);
  e->left = question;
  e->operand = call;
  e->high = within;
  ast_hold(b, e, question);
  ast_hold(b, e, call);
  ast_hold(b, e, within);
  b->unit->models = true;
  return e;
}

/* `50 per 1m` is the list of both; where it may stand is known later. */
Expr *ast_rate(Build *b, Expr *amount, Expr *per) {
  ExprList items = ast_exprs(ast_exprs((ExprList){0}, amount), per);
  Expr *e = ast_list(b, (Tok){.span = amount->span}, items, (Tok){.span = per->span});
  e->rate = true;
  return e;
}

/* ---- statements ---- */

Stmt *ast_budget(Build *b, Tok t, Expr *map, Stmt *body) {
  Stmt *s = ast_word_stmt(b, STMT_BUDGET, t);
  s->span = span_join(t.span, map->span);
  s->value = map;
  s->body = body;
  b->unit->models = true;
  return s;
}

/* ---- tests ---- */

Arg *ast_stub_call(Build *b, Tok t, Expr *call) {
  Arg *one = ast_arg(b, NULL, call), *arg = ast_arg(b, NULL, call);
  (void)t;
  arg->stub = STUB_CALLS;
  arg->items = one;
  return arg;
}

/* Answers one after the other; where all are calls and the list is one answer itself, calls at
 * once. */
Arg *ast_stub_list(Build *b, ArgList answers) {
  Arg *list = ast_arg(b, NULL, answers.first->value);
  list->items = answers.first;
  return list;
}
