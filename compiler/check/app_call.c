/* dispatch, enqueue and their options; Agent(id).view(…); calls(Tool). */
#include "compiler/check/checker.h"

/* ---- options ---- */

typedef enum {
  OPTION_CONSISTENCY,
  OPTION_RETURNING,
  OPTION_DURATION,
  OPTION_TIME,
  OPTION_PRIORITY,
  OPTION_STRING,
  OPTION_INT,
  OPTION_MAP
} OptionKind;
typedef struct Option {
  const char *name;
  OptionKind kind;
} Option;
static const Option dispatch_options[] = {
    {"consistency", OPTION_CONSISTENCY},
    {"timeout", OPTION_DURATION},
    {"returning", OPTION_RETURNING},
    {"idempotency_key", OPTION_STRING},
    {"expected_version", OPTION_INT},
    {"metadata", OPTION_MAP},
    {"actor", OPTION_STRING},
};
static const Option enqueue_options[] = {
    {"schedule_in", OPTION_DURATION},
    {"at", OPTION_TIME},
    {"priority", OPTION_PRIORITY},
    {"queue", OPTION_STRING},
};

static void word_to_string(Checker *c, Expr *e) {
  *e = (Expr){.kind = EXPR_STRING,
              .span = e->span,
              .next = e->next,
              .text = e->name->text,
              .type = c->t_string};
}

/* A bare word, unless it is a name of something here. */
static bool word_is(Checker *c, Expr *e, const char *word) {
  return e->kind == EXPR_NAME && name_is(e->name, word) && !scope_find(c, e->name);
}

static void report_word(Checker *c, const Expr *e, Str option, Str words) {
  if (e->kind != EXPR_BAD) REPORT(c, OPTION_WORD, e->span, option, words);
}

static void handler_names(Checker *c, Expr *list) {
  for (Expr *item = list->first; item; item = item->next) {
    if (item->kind != EXPR_NAME) {
      expr_infer(c, item, c->t_string);
      if (item->kind != EXPR_STRING)
        report_word(c, item, STR("consistency"), STR("eventual, strong or a list of handlers"));
      continue;
    }
    declared_named(c, item->name, item->span, SYMBOL_HANDLER);
    word_to_string(c, item);
  }
  list->type = type_list(c->types, c->t_string);
}

static void consistency_check(Checker *c, Expr *e) {
  if (word_is(c, e, "strong") || word_is(c, e, "eventual")) {
    word_to_string(c, e);
    return;
  }
  if (e->kind == EXPR_LIST) {
    handler_names(c, e);
    return;
  }
  bool literal = e->kind == EXPR_STRING && !str_equal(e->text, STR("strong")) &&
                 !str_equal(e->text, STR("eventual"));
  bool name = e->kind == EXPR_NAME && !scope_find(c, e->name);
  if (!name) {
    Type *type = expr_infer(c, e, NULL);
    if (!literal && (type_fit(type, c->t_string) != FIT_NO || type_fit(type, c->t_list) != FIT_NO))
      return;
  }
  report_word(c, e, STR("consistency"), STR("eventual, strong or a list of handlers"));
}

static void returning_check(Checker *c, Expr *e) {
  if (word_is(c, e, "state")) word_to_string(c, e);
  else if (e->kind == EXPR_STRING && str_equal(e->text, STR("state"))) expr_infer(c, e, NULL);
  else report_word(c, e, STR("returning"), STR("state"));
}

static Type *option_wanted(Checker *c, OptionKind kind) {
  switch (kind) {
    case OPTION_TIME:
      return type_simple(c->types, TYPE_TIME);
    case OPTION_PRIORITY:
    case OPTION_INT:
      return c->t_int;
    case OPTION_MAP:
      return c->t_map;
    default:
      return c->t_string;
  }
}

static void option_value(Checker *c, const Option *o, Expr *e) {
  Str name = str_of(o->name);
  if (o->kind == OPTION_CONSISTENCY) consistency_check(c, e);
  else if (o->kind == OPTION_RETURNING) returning_check(c, e);
  else if (o->kind == OPTION_DURATION) duration_require(c, e, o->name);
  else expr_require(c, e, option_wanted(c, o->kind), DIAG_OPTION_TYPE, name, (Span){0}, NULL);
  bool small = e->kind == EXPR_UNARY || (e->kind == EXPR_INT && e->integer > 9);
  if (o->kind == OPTION_PRIORITY && small)
    REPORT(c, SETTING_RANGE, e->span, STR("priority"), STR("a whole number from 0 (first) to 9"));
}

static const Option *option_find(Checker *c, const Option *options, size_t count, const Arg *arg,
                                 Str what) {
  Str names[8];
  for (size_t i = 0; i < count; i++) {
    names[i] = str_of(options[i].name);
    if (str_equal(names[i], arg->name->text)) return &options[i];
  }
  Diag *diag = REPORT(c, UNKNOWN_OPTION, arg->name_span, what, arg->name->text);
  report_nearest(c, diag, arg->name->text, names, count);
  return NULL;
}

static const Arg *option_given(const Arg *args, const Arg *until, const Name *name) {
  for (; args && args != until; args = args->next) {
    if (args->name == name) return args;
  }
  return NULL;
}

static const Arg *option_by(const Arg *args, const char *name) {
  for (; args; args = args->next) {
    if (args->name && name_is(args->name, name)) return args;
  }
  return NULL;
}

static void options_check(Checker *c, Expr *e, const Option *options, size_t count, Str what) {
  for (Arg *arg = e->args; arg; arg = arg->next) {
    const Option *o = arg->name ? option_find(c, options, count, arg, what) : NULL;
    const Arg *before = arg->name ? option_given(e->args, arg, arg->name) : NULL;
    if (before) {
      Diag *diag = REPORT(c, DUPLICATE_ARGUMENT, arg->name_span, arg->name->text);
      report_note(c, diag, before->name_span, "it is already given here");
    }
    if (o) option_value(c, o, arg->value);
    else expr_infer(c, arg->value, NULL);
  }
  if (!e->args) return;
  e->right = ARENA_NEW(c->arena, Expr);
  *e->right = (Expr){.kind = EXPR_MAP, .span = e->span, .args = e->args, .type = c->t_map};
}

/* ---- dispatch ---- */

static void report_not_routed(Checker *c, const Expr *e, const Decl *command) {
  Diag *diag = REPORT(c, NOT_ROUTED, e->operand->span, command->name->text);
  const Message *m = message_of(c, command->symbol);
  const char *agent = "Agent";
  Str name = m->decider ? m->decider->name->text : str_of(agent);
  report_help(c, diag, "a router says it: dispatch [" STR_FMT "] -> " STR_FMT,
              STR_ARG(command->name->text), STR_ARG(name));
}

static Type *answer_type(Checker *c, const Expr *e) {
  const Arg *returning = option_by(e->args, "returning");
  const char *text = returning ? "() -> {reply: any, version: int, events: list, state: any}"
                               : "() -> {reply: any, version: int, events: list}";
  return signature_parse(c, str_of(text))->result;
}

static void dispatch_operand(Checker *c, Expr *e) {
  Expr *command = e->operand;
  Type *type = expr_infer(c, command, NULL);
  const Decl *decl = type->kind == TYPE_RECORD ? type->decl : NULL;
  if (decl && decl->kind == DECL_COMMAND) {
    e->symbol = decl->symbol;
    if (!message_of(c, decl->symbol)->routed.size) report_not_routed(c, e, decl);
  } else if (type->kind != TYPE_ANY && type->kind != TYPE_UNION && command->kind != EXPR_BAD) {
    Diag *diag = REPORT(c, DISPATCH_NOT_COMMAND, command->span, type_phrase(c, type));
    if (decl)
      report_note(c, diag, decl->name_span, "`" STR_FMT "` is declared here",
                  STR_ARG(decl->name->text));
  }
}

static void because_infer(Checker *c, Expr *e) {
  if (!e->because) return;
  if (expr_infer(c, e->because, NULL)->kind == TYPE_SEALED)
    REPORT(c, SEALED_PRINTED, e->because->span, STR("because"));
}

/* A run is started: nobody waits for it, and no version or key of an instance is meant. */
static Type *start_run_infer(Checker *c, Expr *e) {
  for (const Arg *arg = e->args; arg; arg = arg->next) {
    if (arg->name) (void)option_find(c, NULL, 0, arg, STR("dispatch ….StartRun"));
  }
  e->args = NULL;
  return expr_infer(c, e, NULL);
}

Type *dispatch_infer(Checker *c, Expr *e) {
  if (start_run_rewrite(c, e)) return start_run_infer(c, e);
  purity_effect(c, e->span, STR("dispatch"));
  dispatch_operand(c, e);
  options_check(c, e, dispatch_options, COUNT_OF(dispatch_options), STR("dispatch"));
  because_infer(c, e);
  return answer_type(c, e);
}

/* ---- enqueue ---- */

static void schedule_check(Checker *c, const Expr *e) {
  const Arg *in = option_by(e->args, "schedule_in"), *at = option_by(e->args, "at");
  if (!in || !at) return;
  Diag *diag = REPORT0(c, OPTION_CONFLICT, at->name_span);
  report_note(c, diag, in->name_span, "the other one is here");
}

static bool enqueue_operand(Checker *c, Expr *e) {
  Expr *job = e->operand;
  Type *type = expr_infer(c, job, NULL);
  bool good = job->kind == EXPR_CALL && job->resolution == CALL_CONSTRUCT && job->symbol &&
              job->symbol->kind == SYMBOL_WORKER;
  if (good) e->symbol = job->symbol;
  else if (type->kind != TYPE_ANY || (job->kind == EXPR_CALL && job->resolution != CALL_BAD))
    REPORT(c, ENQUEUE_NOT_WORKER, job->span, type_phrase(c, type));
  return good;
}

/* In a decide a job is part of the decision. */
static void enqueue_decided(Checker *c, Expr *e) {
  Arg *args = ARENA_NEW(c->arena, Arg), *options = ARENA_NEW(c->arena, Arg);
  if (c->statement != e) REPORT0(c, ENQUEUE_VALUE, e->span);
  args->value = e->operand;
  args->next = options;
  options->value = e->right;
  if (!e->right) {
    options->value = ARENA_NEW(c->arena, Expr);
    *options->value = (Expr){.kind = EXPR_NIL, .span = e->span, .type = c->t_nil};
  }
  expr_rewrite_native(c, e, NATIVE_decide_enqueue, args);
}

Type *enqueue_infer(Checker *c, Expr *e) {
  bool decided = current_function(c)->kind == FNKIND_DECIDE && c->place == PURE_NONE;
  if (!decided) purity_effect(c, e->span, STR("enqueue"));
  bool good = enqueue_operand(c, e);
  options_check(c, e, enqueue_options, COUNT_OF(enqueue_options), STR("enqueue"));
  schedule_check(c, e);
  because_infer(c, e);
  if (!decided) return type_handle(c->types, NULL);
  if (good) enqueue_decided(c, e);
  return c->t_nil;
}

/* ---- Agent(id).view(…) ---- */

static void report_no_view(Checker *c, const Expr *member, const Decl *agent) {
  Buf near = {0};
  for (const Decl *m = agent->members; m; m = m->next) {
    if (m->kind == DECL_VIEW) buf_put(&near, &m->name->text, sizeof(Str));
  }
  Diag *diag = REPORT(c, UNKNOWN_VIEW, member->name_span, agent->name->text, member->name->text);
  report_nearest(c, diag, member->name->text, (const Str *)(void *)near.at,
                 near.size / sizeof(Str));
  report_note(c, diag, agent->name_span, "`" STR_FMT "` is declared here",
              STR_ARG(agent->name->text));
  buf_deinit(&near);
}

/* The one argument that names the instance. */
static Arg *instance_id(Checker *c, Expr *instance, const Decl *agent) {
  Arg *id = instance->args;
  Type *type = c->t_any;
  for (Arg *arg = id; arg; arg = arg->next) type = expr_infer(c, arg->value, NULL);
  bool one = id && !id->next && !id->name && id->value->kind != EXPR_SPREAD;
  bool fits = type_names_instance(c, type);
  if (one && (fits || id->value->kind == EXPR_BAD)) return id;
  uint32_t count = 0;
  for (const Arg *arg = id; arg; arg = arg->next) count++;
  REPORT(c, AGENT_ID, instance->span, agent->name->text,
         one ? type_phrase(c, type) : count_text(c, count, "argument"));
  return NULL;
}

/* e->left is MEMBER of a call of the agent's name. */
Type *view_call(Checker *c, Expr *e, Symbol *agent) {
  Expr *member = e->left, *instance = member->left;
  const Decl *view = view_of(c, agent->decl, member->name);
  agent->reads++;
  instance->type = member->type = c->t_any;
  member->resolution = MEMBER_BAD;
  purity_effect(c, e->span,
                diag_format(c->diags, STR_FMT "." STR_FMT, STR_ARG(agent->name->text),
                            STR_ARG(member->name->text)));
  Arg *id = instance_id(c, instance, agent->decl);
  if (!view) {
    report_no_view(c, member, agent->decl);
    for (Arg *arg = e->args; arg; arg = arg->next) expr_infer(c, arg->value, NULL);
    return c->t_any;
  }
  fields_call(c, &e->args, view->fields, view->name->text, view->name_span, e->span);
  purity_edge(c, decl_body(view), e->span, EDGE_DYNAMIC);
  body_ensure(c, decl_body(view));
  if (!id) return c->t_any;
  id->next = e->args;
  e->args = id;
  e->symbol = view->symbol;
  e->resolution = CALL_VIEW;
  return view->function->result ? view->function->result : c->t_any;
}

Symbol *view_instance(Checker *c, const Expr *e) {
  const Expr *instance = e->left->left;
  if (instance->kind != EXPR_CALL || instance->left->kind != EXPR_NAME || e->left->safe)
    return NULL;
  Symbol *symbol = scope_find(c, instance->left->name);
  return symbol && symbol->kind == SYMBOL_AGENT ? symbol : NULL;
}

/* A view called by its name in its own agent: a call of its function with the state at hand. */
Type *view_own_call(Checker *c, Expr *e, Symbol *alias) {
  const Decl *view = alias->decl;
  Function *f = current_function(c);
  while (!f->state && body_sees_outer(f) && f->parent) f = f->parent;
  fields_call(c, &e->args, view->fields, view->name->text, view->name_span, e->span);
  Arg *state = ARENA_NEW(c->arena, Arg);
  state->value = ARENA_NEW(c->arena, Expr);
  *state->value = (Expr){.kind = EXPR_NAME, .span = e->left->span, .name = c->name_state};
  expr_infer(c, state->value, NULL);
  state->next = e->args;
  e->args = state;
  e->symbol = view->symbol;
  e->resolution = CALL_FUNCTION;
  purity_edge(c, decl_body(view), e->span, EDGE_CALL);
  body_ensure(c, decl_body(view));
  return view->function->result ? view->function->result : c->t_any;
}

/* ---- calls(Tool) ---- */

bool is_calls(Checker *c, const Expr *e) {
  const Function *f = current_function(c);
  while (f && body_sees_outer(f)) f = f->parent;
  return f && f->kind == FNKIND_TEST && e->left->kind == EXPR_NAME &&
         name_is(e->left->name, "calls") && !scope_find(c, e->left->name);
}

Type *calls_infer(Checker *c, Expr *e) {
  Arg *arg = e->args;
  purity_effect(c, e->span, STR("calls"));
  if (!arg || arg->next || arg->name || arg->value->kind != EXPR_NAME) {
    REPORT0(c, CALLS_TOOL, e->span);
    return c->t_int;
  }
  const Symbol *symbol = scope_find(c, arg->value->name);
  bool model = c->declared && ((symbol && symbol->decl && symbol->decl->model) ||
                               (!symbol && model_is_default(arg->value->name)));
  e->op = model;
  if (!model && !declared_named(c, arg->value->name, arg->value->span, SYMBOL_TOOL)) return c->t_int;
  word_to_string(c, arg->value);
  e->left->type = c->t_any;
  e->resolution = CALL_CALLS;
  return c->t_int;
}
