/* Builders of the application: agents, routers, handlers, workers, queues, crons, tests. */
#include "compiler/front/ast_build.h"

NamesList ast_names(Build *b, NamesList list, Tok name) {
  NameList *item = ARENA_NEW(b->arena, NameList);
  item->name = name.name;
  item->span = name.span;
  if (list.last) list.last->next = item;
  else list.first = item;
  list.last = item;
  return list;
}

static bool spells(Tok word, const char *text) {
  return str_equal(word.name->text, str_of(text));
}

static Tok no_name(Tok at) { return (Tok){.span = {at.span.at, 0}}; }

/* A member that another kind of declaration would have: told once, and left out. */
static bool belongs(Build *b, DeclKind owner, Tok t) {
  if (b->body == owner) return true;
  complain_setting(b, t.name, t.span);
  return false;
}

/* ---- agent ---- */

Decl *ast_agent_state(Build *b, Decl *agent, Tok t, FieldList fields) {
  if (!belongs(b, DECL_AGENT, t)) return agent;
  if (agent->fields) complain_twice(b, t.span, agent->fields->span, STR("state"));
  else agent->fields = fields.first;
  return agent;
}

Field *ast_state_field(Build *b, Tok name, TypeExpr *type, Expr *value) {
  return ast_field(b, name, type, value, NULL);
}

Decl *ast_invariant(Build *b, Tok t, Expr *cond, Tok message) {
  Decl *decl = ast_declare(b, DECL_INVARIANT, t, no_name(t));
  decl->name = NULL;
  decl->span = span_join(t.span, cond->span);
  decl->value = cond;
  if (message.span.size > 0) decl->text = literal_text(b, message);
  return decl;
}

Decl *ast_clause(Build *b, DeclKind kind, Tok t, Tok name, FieldList params, Expr *guard,
                 Stmt *body) {
  Decl *decl = ast_declare(b, kind, t, name);
  decl->fields = params.first;
  decl->guard = guard;
  decl->body = body;
  return decl;
}

/* ---- router ---- */

Decl *ast_identify(Build *b, Tok t, Tok agent, NamesList by, const Tok *word, Tok prefix) {
  Decl *decl = ast_declare(b, DECL_IDENTIFY, t, agent);
  decl->names = by.first;
  decl->span = span_join(t.span, word ? prefix.span : by.last->span);
  if (word && !spells(*word, "prefix"))
    DIAG_ADD(b->diags, DIAG_EXPECTED, word->span, STR("`prefix`"),
             diag_format(b->diags, "`" STR_FMT "`", STR_ARG(word->name->text)));
  if (word) decl->text = literal_text(b, prefix);
  return decl;
}

Decl *ast_route(Build *b, Tok t, NamesList commands, Tok agent) {
  Decl *decl = ast_declare(b, DECL_ROUTE, t, agent);
  decl->names = commands.first;
  return decl;
}

NamesList ast_every_command(Build *b, Tok every, Tok command) {
  if (!spells(every, "every") || !spells(command, "command"))
    DIAG_ADD(b->diags, DIAG_EXPECTED, span_join(every.span, command.span), STR("`every command`"),
             diag_format(b->diags, "`" STR_FMT " " STR_FMT "`", STR_ARG(every.name->text),
                         STR_ARG(command.name->text)));
  return (NamesList){0};
}

Decl *ast_before(Build *b, Tok t, NamesList commands, Tok function) {
  Decl *decl = ast_declare(b, DECL_BEFORE, t, function);
  decl->names = commands.first;
  return decl;
}

/* ---- worker, queue, every, start ---- */

Decl *ast_worker_perform(Build *b, Decl *worker, Tok t, FieldList params, Stmt *body) {
  if (!belongs(b, DECL_WORKER, t)) return worker;
  if (worker->body) {
    complain_twice(b, t.span, worker->check_span, STR("perform"));
    return worker;
  }
  worker->params = params.first;
  worker->body = body;
  worker->check_span = t.span;
  return worker;
}

Decl *ast_quoted(Build *b, DeclKind kind, Tok t, Tok text) {
  Decl *decl = ast_declare(b, kind, t, (Tok){.span = text.span});
  decl->name = NULL;
  decl->text = literal_text(b, text);
  return decl;
}

static uint8_t missed_ticks(Build *b, Tok word) {
  if (word.span.size == 0 || spells(word, "once")) return MISSED_ONCE;
  if (spells(word, "skip")) return MISSED_SKIP;
  if (!spells(word, "all"))
    DIAG_ADD(b->diags, DIAG_EXPECTED, word.span, STR("`skip`, `once` or `all`"),
             diag_format(b->diags, "`" STR_FMT "`", STR_ARG(word.name->text)));
  return MISSED_ALL;
}

Decl *ast_every(Build *b, Tok t, Tok text, Tok zone, Tok missed, Stmt *body) {
  Decl *decl = ast_quoted(b, DECL_EVERY, t, text);
  if (zone.span.size > 0) decl->zone = literal_text(b, zone);
  decl->missed = missed_ticks(b, missed);
  decl->body = body;
  return decl;
}

Decl *ast_start_decl(Build *b, Tok t, Tok name) { return ast_declare(b, DECL_START, t, name); }

/* ---- test ---- */

Decl *ast_test_head(Build *b, Tok t, Tok name, const Tok *with) {
  Decl *decl = ast_quoted(b, DECL_TEST, t, name);
  decl->crashes = with != NULL;
  if (with && !spells(*with, "crashes"))
    DIAG_ADD(b->diags, DIAG_EXPECTED, with->span, STR("`crashes`"),
             diag_format(b->diags, "`" STR_FMT "`", STR_ARG(with->name->text)));
  return decl;
}

static Stmt *said(Build *b, StmtKind kind, Span span) {
  Stmt *s = ARENA_NEW(b->arena, Stmt);
  s->kind = kind;
  s->span = span;
  b->unit->application = true;
  return s;
}

/* `given A: [B(), C()]` is `given A: B(), C()`: for a list over several lines. */
static Arg *listed(Build *b, ArgList args) {
  bool list = args.first && !args.first->next && !args.first->name && args.first->value->kind == EXPR_LIST;
  if (!list) return args.first;
  ArgList items = {0};
  for (Expr *e = args.first->value->first, *next; e; e = next) {
    next = e->next;
    e->next = NULL;
    items = ast_args(b, items, ast_arg(b, NULL, e));
  }
  return items.first;
}

static Span args_span(Tok t, const Arg *args) {
  Span span = t.span;
  for (; args; args = args->next) span = span_join(t.span, args->value->span);
  return span;
}

Stmt *ast_given(Build *b, Tok t, Tok agent, ArgList events) {
  Stmt *s = said(b, STMT_GIVEN, args_span(t, events.first));
  s->name = agent.name;
  s->args = listed(b, events);
  return s;
}

Stmt *ast_then(Build *b, Tok t, ThenKind kind, Expr *value, ArgList args) {
  Span span = value ? span_join(t.span, value->span) : args_span(t, args.first);
  Stmt *s = said(b, STMT_THEN, span);
  s->test = (uint8_t)kind;
  s->value = value;
  s->args = kind == THEN_EVENTS ? listed(b, args) : args.first;
  return s;
}

Arg *ast_stub_answer(Build *b, const Tok *raise, Expr *value) {
  Arg *arg = ast_arg(b, NULL, value);
  bool lost = value->kind == EXPR_NAME && str_equal(value->name->text, STR("lost"));
  arg->stub = raise ? STUB_RAISE : lost ? STUB_LOST : STUB_VALUE;
  return arg;
}

/* A list within the list is calls made at once. */
static void stub_nested(Build *b, Arg *answer) {
  if (answer->stub != STUB_VALUE || !answer->items) return;
  ArgList calls = {0};
  answer->stub = STUB_CALLS;
  for (Arg *item = answer->items, *next; item; item = next) {
    next = item->next;
    if (item->stub == STUB_CALLS && item->items && !item->items->next) calls = ast_args(b, calls, item->items);
    else
      DIAG_ADD(b->diags, DIAG_EXPECTED, item->value->span,
               STR("`call TOOL(…)`, as the others of this list"), STR("this"));
  }
  answer->items = calls.first;
}

/* One answer may be a list of them. */
static Arg *stub_answers(const Arg *first) {
  bool list = first && !first->next && first->items && first->stub == STUB_VALUE;
  return list ? first->items : (Arg *)(uintptr_t)first;
}

/* `stub tool X`, `stub model x`; `stub approve` has no name: then it is the word again. */
Stmt *ast_stub(Build *b, Tok t, Tok word, Tok name, ArgList answers) {
  Stmt *s = said(b, STMT_STUB, args_span(t, answers.first));
  bool named = name.span.at != word.span.at;
  s->name = name.name;
  s->args = stub_answers(answers.first);
  for (Arg *answer = s->args; answer; answer = answer->next) stub_nested(b, answer);
  s->test = spells(word, "model") ? STUB_MODEL : spells(word, "approve") ? STUB_APPROVE : STUB_TOOL;
  bool known = s->test != STUB_TOOL || spells(word, "tool");
  if (!known || named == (s->test == STUB_APPROVE))
    DIAG_ADD(b->diags, DIAG_EXPECTED, word.span, STR("`tool NAME`, `model NAME` or `approve`"),
             diag_format(b->diags, "`" STR_FMT "`", STR_ARG(word.name->text)));
  return s;
}

Stmt *ast_expect(Build *b, Tok t, Expr *cond, Expr *message) {
  Stmt *s = said(b, STMT_EXPECT, span_join(t.span, message ? message->span : cond->span));
  s->cond = cond;
  s->value = message;
  return s;
}

/* ---- what a decision says ---- */

Stmt *ast_said(Build *b, StmtKind kind, Tok t, Expr *value) {
  Stmt *s = said(b, kind, span_join(t.span, value->span));
  s->value = value;
  return s;
}

Stmt *ast_reject(Build *b, Tok t, Expr *code, ArgList args) {
  Stmt *s = ast_raise(b, t, code, args); /* the same names of arguments */
  s->kind = STMT_REJECT;
  return s;
}
