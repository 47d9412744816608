/* What a model may call, made callable with what a model sends. For a tool Wire(account, amount):
**
** type Wire.arguments: account, amount its parameters as a record: types, defaults, constraints
**   fn Wire.act(r, why): return Wire(r.account, r.amount) because why
**   fn Wire.question(account, amount): …       where it has `ask`
**   fn Wire.called(arguments, why): return Wire.act(FIT arguments, why)
**
** and where a person is to be asked first, instead of the last one
**
** fn Wire.put(r, why): return approval.permitted(APPROVE(Wire.question(r…), within, r), x -> Wire.act(x, why))
**   fn Wire.called(arguments, why): return Wire.put(FIT arguments, why)
**
** Workflows and ai_agents that are called likewise. `approve … for Wire(…)` uses the record and Wire.act, too. */
#include "compiler/check/made.h"

typedef struct Companions {
  Checker *c;
  Decl *decl; /* of the tool */
  Span span;
  Decl *arguments, *act;
} Companions;

static Decl *function_made(const Companions *k, const char *what, Field *params, Expr *value) {
  Decl *fn = made_decl(k->c, k->decl->unit, DECL_FN, k->span,
                       made_dotted(k->c, k->decl->name->text, what));
  fn->fields = params;
  fn->body = made_return(k->c, k->span, value);
  return fn;
}

/* The parameters r (a record of the arguments) and why. */
static Field *record_params(const Companions *k, Name *r, Name *why) {
  Field *first = made_field(k->c, k->span, r, made_type(k->c, k->span, k->arguments->name), NULL);
  first->next = made_field(k->c, k->span, why, NULL, made_nil(k->c, k->span));
  return first;
}

static bool is_hidden_param(const Decl *decl, const Field *f) {
  return decl->ai && (name_is(f->name, "conversation") || name_is(f->name, "details"));
}

/* r.account, r.amount */
static Arg *fields_of(const Companions *k, Name *r) {
  MadeMap args = {0};
  for (const Field *f = k->decl->fields; f; f = f->next) {
    if (is_hidden_param(k->decl, f)) continue;
    Expr *field = made_member(k->c, k->span, made_name(k->c, k->span, r), f->name);
    made_add(&args, made_arg(k->c, NULL, field));
  }
  return args.first;
}

static Expr *call_of(const Companions *k, const Decl *fn, Arg *args) {
  return made_call(k->c, k->span, made_name(k->c, k->span, fn->name), args);
}

static Arg *two(const Companions *k, Expr *first, Name *why) {
  Arg *arg = made_arg(k->c, NULL, first);
  arg->next = made_arg(k->c, NULL, made_name(k->c, k->span, why));
  return arg;
}

static void arguments_make(Companions *k) {
  Checker *c = k->c;
  Field **last;
  k->arguments = made_decl(c, k->decl->unit, DECL_TYPE, k->span,
                           made_dotted(c, k->decl->name->text, "arguments"));
  k->arguments->fields = fields_clone(c, k->decl->fields, false);
  for (last = &k->arguments->fields; *last;) {
    if (is_hidden_param(k->decl, *last)) *last = (*last)->next;
    else last = &(*last)->next;
  }
}

static void act_make(Companions *k) {
  Checker *c = k->c;
  Name *r = made_label(c, STR("r")), *why = made_label(c, STR("why"));
  Expr *call = made_call(c, k->span, made_name(c, k->span, k->decl->name), fields_of(k, r));
  call->because = made_name(c, k->span, why);
  call->asks = k->decl->ai != NULL;
  k->act = function_made(k, "act", record_params(k, r, why), call);
}

static Expr *question_of(const Companions *k, const Setting *ask, Name *r) {
  Decl *question =
      function_made(k, "question", fields_clone(k->c, k->decl->fields, true), ask->first);
  return call_of(k, question, fields_of(k, r));
}

static Decl *put_make(Companions *k, const Setting *ask) {
  Checker *c = k->c;
  Name *r = made_label(c, STR("r")), *why = made_label(c, STR("why")), *x = made_label(c, STR("x"));
  Expr *approve = made_nil(c, k->span);
  *approve = (Expr){.kind = EXPR_APPROVE,
                    .span = k->span,
                    .left = question_of(k, ask, r),
                    .operand = made_name(c, k->span, r),
                    .high = ask->second,
                    .name = k->decl->name,
                    .asks = true};
  Expr *act = made_lambda(c, k->span, x, call_of(k, k->act, two(k, made_name(c, k->span, x), why)));
  Arg *args = made_arg(c, NULL, approve);
  args->next = made_arg(c, NULL, act);
  return function_made(k, "put", record_params(k, r, why),
                       made_library_call(c, k->span, "approval", "permitted", args));
}

static void called_make(Companions *k, const Decl *next) {
  Checker *c = k->c;
  Name *arguments = made_label(c, STR("arguments")), *why = made_label(c, STR("why"));
  Field *params = made_field(c, k->span, arguments, NULL, NULL);
  params->next = made_field(c, k->span, why, NULL, made_nil(c, k->span));
  Expr *fit = made_fit(c, k->span, k->arguments->name, made_name(c, k->span, arguments));
  k->decl->called = function_made(k, "called", params, call_of(k, next, two(k, fit, why)));
}

void companions_make(Checker *c, Decl *decl) {
  if (decl->called || !decl->name) return;
  Companions k = {.c = c, .decl = decl, .span = decl->name_span};
  const Setting *ask = decl->kind == DECL_TOOL ? setting_named(decl, "ask") : NULL;
  arguments_make(&k);
  act_make(&k);
  decl->arguments = k.arguments;
  decl->act = k.act;
  called_make(&k, ask ? put_make(&k, ask) : k.act);
}
