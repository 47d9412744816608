/* Asking agents and people, budgets, and what tests say of models. */
#include "compiler/check/made.h"

/* ---- ask ---- */

static void report_not_agent(Checker *c, const Expr *e) {
  if (e->resolution == CALL_BAD) return;
  Diag *diag = REPORT(c, ASK_NOT_AGENT, e->left->span, source_text(c, e->left->span));
  if (e->symbol && e->symbol->span.size)
    report_note(c, diag, e->symbol->span, "it is declared here");
}

static bool wants_details(const Expr *e) {
  const Decl *agent = e->symbol->decl;
  const Field *f = agent->fields;
  for (const Arg *arg = e->args; arg && f; arg = arg->next, f = f->next) {
    if (name_is(f->name, "details")) return arg->value != NULL;
  }
  return false;
}

/* What a call gives that is, or is not, an agent's; `type` is what was found so far. */
Type *ask_infer(Checker *c, Expr *e, Type *type) {
  const AiAgent *ai = e->resolution == CALL_WORKFLOW ? e->symbol->decl->ai : NULL;
  if (e->asks && !ai) {
    report_not_agent(c, e);
    return type;
  }
  if (!ai) return type;
  if (!e->asks) {
    Diag *diag = REPORT(c, AGENT_NOT_ASKED, e->left->span, e->symbol->name->text);
    if (diag) diag_fix(diag, diag_format(c->diags, "ask " STR_FMT, STR_ARG(e->symbol->name->text)));
  }
  if (wants_details(e)) return c->t_any;
  return ai->answer_type ? ai->answer_type : c->t_string;
}

/* dispatch Triage.StartRun(query: "…") is start Triage(query: "…"). */
bool start_run_rewrite(Checker *c, Expr *e) {
  Expr *call = e->operand, *member = call->kind == EXPR_CALL ? call->left : NULL;
  if (!member || member->kind != EXPR_MEMBER || member->left->kind != EXPR_NAME) return false;
  const Symbol *symbol = scope_find(c, member->left->name);
  if (!symbol || !symbol->decl || !symbol->decl->ai || !name_is(member->name, "StartRun"))
    return false;
  call->left = member->left;
  call->asks = true;
  e->kind = EXPR_START;
  return true;
}

/* ---- approve ---- */

static void question_require(Checker *c, Expr *question) {
  expr_require(c, question, c->t_string, DIAG_ARGUMENT_TYPE, STR("the question of `approve`"),
               (Span){0}, NULL);
}

/* The tool's own name, with its arguments as a record of them. */
static Symbol *approved_tool(Checker *c, Expr *e) {
  Expr *call = e->operand;
  Symbol *symbol =
      call->left->kind == EXPR_NAME ? scope_resolve(c, call->left->name, call->left->span) : NULL;
  if (symbol && symbol->kind == SYMBOL_TOOL && symbol->decl->arguments) return symbol;
  if (symbol || call->left->kind != EXPR_NAME)
    REPORT(c, APPROVE_NOT_TOOL, call->left->span, source_text(c, call->left->span));
  return NULL;
}

static Type *approve_type(Checker *c) {
  const char *text = "() -> {verdict: string, value: any, by: string, why: any}";
  return type_optional(c->types, signature_parse(c, str_of(text))->result);
}

/* As it is written it becomes approval.decided(APPROVE, r -> Tool.act(r, why)); what is made by the `ask` of a tool is
** the effect itself. */
Type *approve_infer(Checker *c, Expr *e) {
  purity_effect(c, e->span, STR("approve"));
  if (e->asks) {
    e->symbol = scope_find(c, e->name);
    question_require(c, e->left);
    expr_infer(c, e->operand, NULL);
    if (e->high) duration_require(c, e->high, "the time of `within`");
    return c->t_any;
  }
  Symbol *tool = approved_tool(c, e);
  if (!tool) {
    question_require(c, e->left);
    for (Arg *arg = e->operand->args; arg; arg = arg->next) expr_infer(c, arg->value, NULL);
    return c->t_any;
  }
  Expr *effect = ARENA_NEW(c->arena, Expr), *because = e->because;
  Name *r = made_label(c, STR("r"));
  *effect = *e;
  effect->next = effect->because = NULL;
  effect->asks = true;
  effect->name = tool->decl->name;
  effect->operand =
      made_call(c, e->operand->span, made_name(c, e->operand->span, tool->decl->arguments->name),
                e->operand->args);
  Arg *act = made_arg(c, NULL, made_name(c, e->span, r));
  act->next = made_arg(c, NULL, because ? because : made_nil(c, e->span));
  Expr *call = made_call(c, e->span, made_name(c, e->span, tool->decl->act->name), act);
  Arg *args = made_arg(c, NULL, effect);
  args->next = made_arg(c, NULL, made_lambda(c, e->span, r, call));
  Expr *next = e->next;
  *e = *made_library_call(c, e->span, "approval", "decided", args);
  e->next = next;
  expr_infer(c, e, NULL);
  return approve_type(c);
}

/* ---- fit ---- */

Type *fit_infer(Checker *c, Expr *e) {
  purity_effect(c, e->span, STR("fit"));
  e->symbol = scope_find(c, e->name);
  expr_infer(c, e->operand, NULL);
  if (!e->symbol || !e->symbol->type) return c->t_any;
  const Decl *decl = e->symbol->type->decl;
  if (decl && decl->function) purity_edge(c, decl_body(decl), e->span, EDGE_DYNAMIC);
  return e->symbol->type;
}

/* ---- budget {…}: ---- */

static bool is_negative(const Expr *known) {
  return known->kind == EXPR_INT ? known->integer < 0 : known->text.size && known->text.at[0] == '-';
}

/* Nothing is an amount, too: then nothing may be asked. */
static void bound_check(Checker *c, const Arg *arg) {
  bool usd = str_equal(entry_name(arg), STR("usd"));
  Expr *e = arg->value;
  if (usd && e->kind != EXPR_NIL) c->dollars = true;
  const Type *wanted = usd ? c->t_decimal : c->t_int;
  if (!e->type || e->kind == EXPR_BAD) return;
  const Expr *known = constant_known(c, e);
  bool wrong = type_fit(e->type, wanted) == FIT_NO || e->type == c->t_float;
  if (!wrong && !(known && is_negative(known))) return;
  REPORT(c, BOUND_AMOUNT, e->span,
         usd ? STR("an amount of dollars, like 0.50d") : STR("a whole number, from 0 on"));
}

void budget_check(Checker *c, Stmt *s) {
  static const char *const keys[] = {"usd", "tokens", "calls"};
  purity_effect(c, s->span, STR("budget"));
  expr_infer(c, s->value, NULL);
  if (s->value->kind != EXPR_MAP || s->value->args)
    keys_known(c, s->value, keys, COUNT_OF(keys), "budget");
  for (const Arg *arg = s->value->kind == EXPR_MAP ? s->value->args : NULL; arg; arg = arg->next) {
    if (arg->value->kind != EXPR_SPREAD) bound_check(c, arg);
  }
  if (!s->final) { /* the same as try: … finally: the scope is over */
    s->final = ARENA_NEW(c->arena, Stmt);
    *s->final = (Stmt){.kind = STMT_END_BUDGET, .span = s->span};
  }
  block_check(c, s->body);
}

/* ---- stub model, stub approve ---- */

static Expr *stub_map(Checker *c, const Arg *arg, const char *kind, const char *key, Expr *value) {
  MadeMap map = {0};
  Span span = arg->value ? arg->value->span : (Span){0};
  made_entry(c, &map, "kind", made_text(c, span, str_of(kind)));
  if (key) made_entry(c, &map, key, value);
  return made_map(c, span, &map);
}

/* {name, arguments: {…}}: nothing is checked, because a model may call anything. Arguments by place get the names of
** the tool's parameters. */
static Expr *stub_call(Checker *c, Expr *call) {
  const Symbol *symbol = call->left->kind == EXPR_NAME ? scope_find(c, call->left->name) : NULL;
  const Field *f = symbol && symbol->decl ? symbol->decl->fields : NULL;
  MadeMap map = {0}, arguments = {0};
  for (Arg *arg = call->args, *next; arg; arg = next, f = f ? f->next : NULL) {
    next = arg->next;
    arg->next = NULL;
    if (!arg->name && f) arg->name = f->name;
    if (arg->name) made_add(&arguments, arg);
  }
  made_entry(c, &map, "name", made_text(c, call->left->span, source_text(c, call->left->span)));
  made_entry(c, &map, "arguments", made_map(c, call->span, &arguments));
  return made_map(c, call->span, &map);
}

static Expr *stub_calls(Checker *c, const Arg *arg) {
  MadeList calls = {0};
  for (Arg *item = arg->items; item; item = item->next) {
    if (item->value->kind == EXPR_CALL) made_item(&calls, stub_call(c, item->value));
  }
  return stub_map(c, arg, "calls", "calls", made_list(c, arg->value->span, &calls));
}

static Expr *model_answer(Checker *c, Arg *arg) {
  switch ((StubKind)arg->stub) {
    case STUB_CALLS:
      return stub_calls(c, arg);
    case STUB_RAISE:
      return stub_map(c, arg, "raise", "code", arg->value);
    case STUB_LOST:
      return stub_map(c, arg, "lost", NULL, NULL);
    case STUB_VALUE:
      break;
  }
  bool text = arg->value->kind == EXPR_STRING || arg->value->kind == EXPR_INTERP;
  return stub_map(c, arg, text ? "text" : "value", text ? "text" : "value", arg->value);
}

static Expr *verdict_map(Checker *c, const Arg *arg, Str verdict) {
  return stub_map(c, arg, "verdict", "verdict", made_text(c, arg->value->span, verdict));
}

static Expr *approve_answer(Checker *c, Arg *arg) {
  Expr *e = arg->value;
  if (arg->stub == STUB_VALUE && e->kind == EXPR_STRING) {
    if (str_equal(e->text, STR("approve"))) return verdict_map(c, arg, STR("approved"));
    if (str_equal(e->text, STR("deny"))) return verdict_map(c, arg, STR("denied"));
  }
  if (arg->stub == STUB_VALUE && e->kind == EXPR_NIL)
    return stub_map(c, arg, "timeout", NULL, NULL);
  if (arg->stub == STUB_VALUE && e->kind == EXPR_MAP) {
    MadeMap map = {0};
    made_entry(c, &map, "kind", made_text(c, e->span, STR("verdict")));
    *map.last = e->args;
    return made_map(c, e->span, &map);
  }
  if (e->kind != EXPR_BAD) REPORT0(c, STUB_APPROVE, e->span);
  return stub_map(c, arg, "timeout", NULL, NULL);
}

void stub_answers_check(Checker *c, Stmt *s) {
  MadeList list = {0};
  for (Arg *arg = s->args; arg; arg = arg->next)
    made_item(&list, s->test == STUB_MODEL ? model_answer(c, arg) : approve_answer(c, arg));
  s->value = made_list(c, s->span, &list);
  expr_infer(c, s->value, NULL);
}
