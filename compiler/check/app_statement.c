/* Statements of clauses and tests: what a decision says, how a job ends, what a test is given and
 * expects. */
#include "compiler/check/checker.h"

/* ---- made nodes ---- */

static Arg *arg_new(Checker *c, Expr *value) {
  Arg *arg = ARENA_NEW(c->arena, Arg);
  arg->value = value;
  return arg;
}

static Expr *nil_new(Checker *c, Span span) {
  Expr *e = ARENA_NEW(c->arena, Expr);
  *e = (Expr){.kind = EXPR_NIL, .span = span, .type = c->t_nil};
  return e;
}

/* A call of one of the natives of `decide`, which no program can name. */
void expr_rewrite_native(Checker *c, Expr *e, NativeId native, Arg *args) {
  Expr *callee = ARENA_NEW(c->arena, Expr);
  Symbol *symbol = native_symbol_of(c, native);
  *callee = (Expr){.kind = EXPR_NAME, .span = e->span, .symbol = symbol, .type = c->t_any};
  callee->name = c->name_decide;
  *e = (Expr){.kind = EXPR_CALL,
              .span = e->span,
              .next = e->next,
              .left = callee,
              .args = args,
              .symbol = symbol,
              .resolution = CALL_NATIVE,
              .type = c->t_nil};
}

static void statement_native(Checker *c, Stmt *s, NativeId native, Arg *args) {
  Expr *call = ARENA_NEW(c->arena, Expr);
  *call = (Expr){.span = s->span};
  expr_rewrite_native(c, call, native, args);
  s->kind = STMT_EXPR;
  s->value = call;
  s->args = NULL;
}

/* ---- emit, reply, reject ---- */

static bool in_decide(Checker *c, const Stmt *s, const char *word) {
  const Function *f = current_function(c);
  if (f->kind == FNKIND_DECIDE) return true;
  Diag *diag = REPORT(c, EMIT_OUTSIDE, s->span, str_of(word));
  for (; f && body_sees_outer(f); f = f->parent) {
    if (f->parent && f->parent->kind == FNKIND_DECIDE)
      report_help(c, diag, "take it out of this inner function or branch");
  }
  return false;
}

static bool is_message(const Type *type, DeclKind kind) {
  return type->kind == TYPE_RECORD && type->decl && type->decl->kind == kind;
}

/* The declaration a value is surely a record of, if it is the wanted kind of message; NULL where only the run can
** tell. *good: no error was told. */
static const Decl *message_required(Checker *c, Expr *e, DeclKind kind, DiagId id, bool *good) {
  Type *type = expr_infer(c, e, NULL);
  *good = true;
  if (is_message(type, kind)) return type->decl;
  if (type->kind == TYPE_ANY || type->kind == TYPE_UNION || e->kind == EXPR_BAD) return NULL;
  Diag *diag = checker_report(c, id, e->span, 1, (const Str[]){type_phrase(c, type)});
  if (type->decl) {
    report_note(c, diag, type->decl->name_span, "`" STR_FMT "` is %s",
                STR_ARG(type->decl->name->text),
                type->decl->kind == DECL_COMMAND  ? "a command"
                : type->decl->kind == DECL_EVENT  ? "an event"
                : type->decl->kind == DECL_WORKER ? "a worker"
                                                  : "a type");
  }
  *good = false;
  return NULL;
}

/* given, when and then work on the agent alone: what a message needs elsewhere may be left out. */
static const Decl *test_message(Checker *c, Expr *e, DeclKind kind, DiagId id) {
  const Expr *outer = c->partial;
  bool good;
  c->partial = e;
  const Decl *message = message_required(c, e, kind, id, &good);
  c->partial = outer;
  return message;
}

static void emit_check(Checker *c, Stmt *s) {
  bool good;
  bool here = in_decide(c, s, "emit");
  const Decl *event = message_required(c, s->value, DECL_EVENT, DIAG_EMIT_NOT_EVENT, &good);
  if (!here) return;
  if (event) evolve_warn(c, s->value, c->frame->body->agent, event->symbol);
  statement_native(c, s, NATIVE_decide_emit, arg_new(c, s->value));
}

static void reply_check(Checker *c, Stmt *s) {
  bool here = in_decide(c, s, "reply");
  expr_infer(c, s->value, NULL);
  if (here) statement_native(c, s, NATIVE_decide_reply, arg_new(c, s->value));
}

/* After a refusal the decision is over: a `return` follows. */
static void reject_ends(Checker *c, Stmt *s) {
  Stmt *end = ARENA_NEW(c->arena, Stmt);
  *end = (Stmt){.kind = STMT_RETURN, .span = s->span, .next = s->next};
  s->next = end;
}

static Expr *named_value(const Arg *arg, const char *name) {
  for (; arg; arg = arg->next) {
    if (arg->name && name_is(arg->name, name)) return arg->value;
  }
  return NULL;
}

static void code_require(Checker *c, Expr *code, const char *of) {
  Type *type = expr_infer(c, code, NULL);
  if (type_fit(type, c->t_string) == FIT_NO && code->kind != EXPR_BAD)
    REPORT(c, REJECT_CODE, code->span, str_of(of), type_phrase(c, type));
}

static void args_walk(Checker *c, Arg *arg) {
  for (; arg; arg = arg->next) expr_infer(c, arg->value, NULL);
}

static void reject_check(Checker *c, Stmt *s) {
  bool here = in_decide(c, s, "reject");
  code_require(c, s->value, "a `reject`");
  args_walk(c, s->args); /* their names the parser has checked */
  if (!here) return;
  Expr *message = named_value(s->args, "message"), *data = named_value(s->args, "data");
  Arg *args = arg_new(c, s->value);
  args->next = arg_new(c, message ? message : nil_new(c, s->span));
  args->next->next = arg_new(c, data ? data : nil_new(c, s->span));
  statement_native(c, s, NATIVE_decide_reject, args);
  reject_ends(c, s);
}

/* ---- snooze, cancel in a job ---- */

static void snooze_check(Checker *c, Stmt *s) {
  purity_effect(c, s->span, STR("snooze"));
  if (current_function(c)->kind != FNKIND_JOB) REPORT0(c, SNOOZE_OUTSIDE, s->span);
  duration_require(c, s->value, "the time of `snooze`");
  if (s->because) expr_infer(c, s->because, NULL);
  c->frame->reachable = false;
}

/* `cancel "why"` in a worker's perform. False: it cancels a run like everywhere. */
bool give_up_check(Checker *c, Stmt *s) {
  if (current_function(c)->kind != FNKIND_JOB) return false;
  purity_effect(c, s->span, STR("cancel"));
  Type *type = expr_infer(c, s->value, NULL);
  if (type->kind != TYPE_HANDLE) {
    if (type_fit(type, c->t_string) == FIT_NO && s->value->kind != EXPR_BAD)
      REPORT(c, GIVE_UP_WHY, s->value->span, type_phrase(c, type));
    c->frame->reachable = false;
  }
  if (s->because) expr_infer(c, s->because, NULL);
  return true;
}

/* ---- tests ---- */

static bool in_test(Checker *c, const Stmt *s, const char *word) {
  purity_effect(c, s->span, str_of(word));
  if (current_function(c)->kind == FNKIND_TEST) return true;
  REPORT(c, TEST_OUTSIDE, s->span, str_of(word));
  return false;
}

/* agent: whose events they are, or NULL */
static void events_check(Checker *c, Arg *args, const Decl *agent) {
  for (Arg *arg = args; arg; arg = arg->next) {
    const Decl *event = test_message(c, arg->value, DECL_EVENT, DIAG_EMIT_NOT_EVENT);
    if (event && agent) evolve_warn(c, arg->value, agent, event->symbol);
  }
}

static bool name_char(char ch) {
  return (ch >= 'a' && ch <= 'z') || (ch >= 'A' && ch <= 'Z') || (ch >= '0' && ch <= '9') ||
         ch == '_';
}

/* The place of the name in `given Account: …` and `stub tool Name -> …`. */
static Span name_place(Checker *c, const Stmt *s) {
  Str text = source_text(c, s->span), name = s->name->text;
  for (size_t i = 1; i + name.size <= text.size; i++) {
    bool alone = !name_char(text.at[i - 1]) &&
                 (i + name.size == text.size || !name_char(text.at[i + name.size]));
    if (alone && memcmp(text.at + i, name.at, name.size) == 0)
      return (Span){s->span.at + (uint32_t)i, (uint32_t)name.size};
  }
  return s->span;
}

static void given_check(Checker *c, Stmt *s) {
  bool here = in_test(c, s, "given");
  Symbol *agent = declared_named(c, s->name, name_place(c, s), SYMBOL_AGENT);
  events_check(c, s->args, agent ? agent->decl : NULL);
  if (here) c->frame->body->tested = agent ? agent->decl : NULL;
}

static Variable *outcome_variable(Checker *c) {
  Function *f = current_function(c);
  if (f->outcome) return (Variable *)f->outcome;
  Variable *v = ARENA_NEW(c->arena, Variable);
  v->symbol = (Symbol){
      .kind = SYMBOL_VARIABLE, .name = c->name_outcome, .span = f->span, .owner = f, .reg = -1};
  v->quiet = v->hidden = true;
  v->symbol.next = f->locals;
  f->locals = &v->symbol;
  return (Variable *)(f->outcome = &v->symbol);
}

/* Which agent the command of a `when` is for: the one that was given, or the only one that decides
 * it. */
static void when_agent(Checker *c, const Stmt *s, const Symbol *command) {
  const Message *m = message_of(c, command);
  const Decl *given = c->frame->body->tested;
  if (given ? clause_of(c, given, command, DECL_DECIDE) != NULL : m->deciders == 1) {
    if (!given) c->frame->body->tested = m->decider;
    return;
  }
  if (given || m->deciders == 0) {
    Diag *diag = REPORT(c, WHEN_NOT_DECIDED, s->value->span,
                        given ? str_join3(c, "`", given->name->text, "`") : STR("any agent"),
                        command->name->text);
    if (given)
      report_note(c, diag, given->name_span, "`" STR_FMT "` is declared here",
                  STR_ARG(given->name->text));
    return;
  }
  Diag *diag = REPORT(c, WHEN_AMBIGUOUS, s->value->span, command->name->text);
  report_help(c, diag, "say which is meant with `given Agent:` and the events before");
}

static void when_check(Checker *c, Stmt *s) {
  bool here = in_test(c, s, "when");
  const Decl *command = test_message(c, s->value, DECL_COMMAND, DIAG_DISPATCH_NOT_COMMAND);
  if (!here) return;
  if (command) when_agent(c, s, command->symbol);
  Variable *outcome = outcome_variable(c);
  outcome->symbol.writes++;
  outcome->symbol.changed = outcome->symbol.writes > 1;
  flow_set(c, outcome, c->t_any);
}

static void state_entry(Checker *c, const Arg *entry, const Decl *agent) {
  Span span = entry->name ? entry->name_span : entry->key ? entry->key->span : entry->value->span;
  Str text = entry->name                                     ? entry->name->text
             : entry->key && entry->key->kind == EXPR_STRING ? entry->key->text
                                                             : STR("");
  if (text.size == 0) return;
  Buf near = {0};
  bool known = false;
  for (const Field *f = agent->fields; f; f = f->next) {
    known = known || str_equal(f->name->text, text);
    buf_put(&near, &f->name->text, sizeof(Str));
  }
  if (!known) {
    Diag *diag = REPORT(c, STATE_FIELD, span, agent->name->text, text);
    report_nearest(c, diag, text, (const Str *)(void *)near.at, near.size / sizeof(Str));
  }
  buf_deinit(&near);
}

static void then_state(Checker *c, Stmt *s) {
  const Decl *agent = c->frame->body->tested;
  Type *type = expr_infer(c, s->value, NULL);
  if (s->value->kind != EXPR_MAP) {
    if (s->value->kind != EXPR_BAD) REPORT(c, THEN_STATE_MAP, s->value->span, type_phrase(c, type));
    return;
  }
  for (const Arg *entry = agent ? s->value->args : NULL; entry; entry = entry->next)
    state_entry(c, entry, agent);
}

static void then_value(Checker *c, Stmt *s) {
  switch ((ThenKind)s->test) {
    case THEN_EVENTS:
      events_check(c, s->args, NULL);
      return;
    case THEN_REJECT:
      code_require(c, s->value, "a `reject`");
      args_walk(c, s->args);
      return;
    case THEN_REPLY:
      expr_infer(c, s->value, NULL);
      return;
    case THEN_STATE:
      then_state(c, s);
      return;
    case THEN_NOTHING:
      return;
  }
}

static void then_check(Checker *c, Stmt *s) {
  bool here = in_test(c, s, "then");
  const Variable *outcome = here ? (const Variable *)current_function(c)->outcome : NULL;
  then_value(c, s);
  if (!here) return;
  if (!outcome || (!outcome->set && c->frame->reachable)) {
    Diag *diag = REPORT0(c, THEN_BEFORE_WHEN, s->span);
    report_help(c, diag, "`when Command(…)` comes first, on every path to here");
  } else current_function(c)->outcome->reads++;
}

static void stub_check(Checker *c, Stmt *s) {
  in_test(c, s, "stub");
  if (s->test != STUB_TOOL) {
    if (s->test == STUB_MODEL) (void)model_known(c, s->name, name_place(c, s));
    stub_answers_check(c, s);
    return;
  }
  Symbol *tool = declared_named(c, s->name, name_place(c, s), SYMBOL_TOOL);
  Type *result = tool && tool->decl->type ? tool->decl->function->result : NULL;
  for (Arg *arg = s->args; arg; arg = arg->next) {
    if (arg->stub == STUB_RAISE) code_require(c, arg->value, "a stub's `raise`");
    else if (arg->stub == STUB_VALUE && result)
      expr_require(c, arg->value, result, DIAG_STUB_TYPE, s->name->text, tool->decl->type->span,
                   "its result is declared here");
    else if (arg->stub == STUB_VALUE) expr_infer(c, arg->value, NULL);
  }
}

static void expect_check(Checker *c, Stmt *s) {
  in_test(c, s, "expect");
  condition_check(c, s->cond);
  if (s->value) expr_infer(c, s->value, NULL);
  narrow_condition(c, s->cond, true);
}

void app_statement(Checker *c, Stmt *s) {
  switch (s->kind) {
    case STMT_EMIT:
      emit_check(c, s);
      return;
    case STMT_REPLY:
      reply_check(c, s);
      return;
    case STMT_REJECT:
      reject_check(c, s);
      return;
    case STMT_SNOOZE:
      snooze_check(c, s);
      return;
    case STMT_GIVEN:
      given_check(c, s);
      return;
    case STMT_WHEN:
      when_check(c, s);
      return;
    case STMT_THEN:
      then_check(c, s);
      return;
    case STMT_STUB:
      stub_check(c, s);
      return;
    case STMT_EXPECT:
      expect_check(c, s);
      return;
    default:
      return;
  }
}
