/* compiler/check: what the checker decides about agents, routers, handlers, workers and tests, as the emitter reads it. */
#include "test.h"

#include "compiler/compile.h"

typedef struct File {
  const char *path, *text;
} File;

static bool read_file(void *context, Str path, Arena *arena, Str *text, Err *err) {
  (void)arena;
  for (const File *f = context; f->path != NULL; f++) {
    if (!str_equal(path, str_of(f->path))) continue;
    *text = str_of(f->text);
    return true;
  }
  FAIL(err, ERR_NOT_FOUND, "there is no such file");
  return false;
}

static Arena arena;
static Compilation made;

static bool checked_files(const File *files) {
  arena_init(&arena);
  bool good = compile(&arena, STR("app.z8"), (SourceReader){read_file, (void *)(uintptr_t)files},
                      (CompileOptions){.check_only = true}, &made);
  Buf out = {0};
  if (made.diags.first != NULL) diag_render(&made.diags, false, &out);
  if (!good) fprintf(stderr, "%.*s\n", (int)out.size, out.at);
  buf_deinit(&out);
  return good;
}

static bool checked(const char *text) {
  return checked_files((const File[]){{"app.z8", text}, {NULL, NULL}});
}

static void done(void) { arena_deinit(&arena); }

/* The declaration of that name and kind, in the root file or one of its imports. */
static Decl *declared(DeclKind kind, const char *name) {
  for (Unit *unit = made.units; unit != NULL; unit = unit->next) {
    for (Decl *d = unit->decls; d != NULL; d = d->next) {
      if (d->kind == kind && (name == NULL || (d->name && str_equal(d->name->text, str_of(name))))) return d;
    }
  }
  return NULL;
}

static Decl *member(const Decl *owner, DeclKind kind, uint32_t which) {
  for (Decl *m = owner ? owner->members : NULL; m != NULL; m = m->next) {
    if (m->kind == kind && which-- == 0) return m;
  }
  return NULL;
}

static uint32_t field_count(const Field *f) {
  uint32_t count = 0;
  for (; f != NULL; f = f->next) count++;
  return count;
}

static bool has_field(const Decl *decl, const char *name) {
  for (const Field *f = decl ? decl->fields : NULL; f != NULL; f = f->next) {
    if (str_equal(f->name->text, str_of(name))) return true;
  }
  return false;
}

static const char account[] =
    "agent Account:\n"
    "  state { owner, balance: 0 }\n"
    "  invariant balance >= 0, \"never below zero\"\n"
    "  decide Open(cmd) when owner is nil:\n"
    "    emit Opened(owner: cmd.owner)\n"
    "  decide Withdraw(amount) when amount > available():\n"
    "    reject \"insufficient_funds\"\n"
    "  decide Withdraw(amount):\n"
    "    emit Withdrawn(amount: amount)\n"
    "    enqueue Receipt(amount: amount) priority: 1\n"
    "    reply meta.time\n"
    "  evolve Opened(e): owner = e.owner\n"
    "  evolve Withdrawn(amount):\n"
    "    if amount is 0: return\n"
    "    balance -= amount\n"
    "  view available(): return balance\n"
    "router App:\n"
    "  identify Account by account_id\n"
    "  dispatch [ Open, Withdraw ] -> Account\n"
    "worker Receipt:\n"
    "  unique by amount within 1h\n"
    "  perform(job): print(job.amount, job.note)\n";

/* ---- messages that are not declared -------------------------------------------- */

static void test_implied_messages(void) {
  CHECK(checked(account));
  Decl *open = declared(DECL_COMMAND, "Open"), *withdrawn = declared(DECL_EVENT, "Withdrawn");
  Decl *receipt = declared(DECL_WORKER, "Receipt");
  CHECK(open != NULL && open->implied && open->function != NULL && open->symbol != NULL);
  CHECK(open != NULL && field_count(open->fields) == 2 && has_field(open, "owner") && has_field(open, "account_id"));
  CHECK(withdrawn != NULL && field_count(withdrawn->fields) == 1 && has_field(withdrawn, "amount"));
  CHECK(withdrawn != NULL && withdrawn->fields->value != NULL && withdrawn->fields->value->kind == EXPR_NIL);
  CHECK(receipt != NULL && !receipt->declared && has_field(receipt, "amount") && has_field(receipt, "note"));
  done();
}

static void test_whole_binding_hidden_by_another_name(void) {
  CHECK(checked("agent A:\n  state { n: 0 }\n"
                "  decide Add(e): emit Added(xs: [e.inner for e in e.list])\n"
                "  evolve Added(e): n = len(e.xs)\n"));
  Decl *add = declared(DECL_COMMAND, "Add");
  CHECK(has_field(add, "list") && !has_field(add, "inner"));
  done();
}

static void test_implied_across_files(void) {
  const File files[] = {{"app.z8", "import \"accounts\"\n"
                                   "router App:\n  identify Account by id\n  dispatch Deposit -> Account\n"
                                   "print((dispatch Deposit(id: \"a\", amount: 5, note: \"x\")).version)\n"},
                        {"accounts.z8", "agent Account:\n  state { balance: 0 }\n"
                                        "  decide Deposit(amount): emit Deposited(amount: amount)\n"
                                        "  evolve Deposited(amount): balance += amount\n"},
                        {NULL, NULL}};
  CHECK(checked_files(files));
  Decl *deposit = declared(DECL_COMMAND, "Deposit");
  CHECK(deposit != NULL && deposit->implied && field_count(deposit->fields) == 3);
  CHECK(made.diags.warning_count == 0);
  done();
}

/* ---- what functions take, and what names became --------------------------------- */

static void test_hidden_parameters(void) {
  CHECK(checked(account));
  Decl *agent = declared(DECL_AGENT, "Account"), *decide = member(agent, DECL_DECIDE, 1);
  const Function *f = decide->function, *guard = decide->check_function;
  CHECK(f->kind == FNKIND_DECIDE && guard != NULL && guard->kind == FNKIND_GUARD);
  CHECK(field_count(f->params) == 3 && f->params->symbol == f->state && f->params->next->symbol == f->message &&
        f->params->next->next->symbol == f->meta);
  CHECK(f->params->type == NULL && f->params->value == NULL);
  CHECK(f->asserted_pure && guard->asserted_pure && f->meta->reads == 0);
  CHECK(f->state->type != NULL && f->state->type->kind == TYPE_RECORD && f->state->type->decl == agent);
  CHECK(member(agent, DECL_DECIDE, 2)->function->meta->reads == 1);
  const Function *view = member(agent, DECL_VIEW, 0)->function, *invariant = member(agent, DECL_INVARIANT, 0)->function;
  CHECK(view->kind == FNKIND_VIEW && field_count(view->params) == 1 && invariant->kind == FNKIND_INVARIANT);
  CHECK(agent->function->kind == FNKIND_CONSTRUCTOR && field_count(agent->function->params) == 2);
  CHECK_STR(agent->function->name, STR("Account.state"));
  Decl *worker = declared(DECL_WORKER, "Receipt");
  CHECK(worker->function->kind == FNKIND_CONSTRUCTOR && worker->check_function->kind == FNKIND_JOB);
  CHECK(field_count(worker->check_function->params) == 2);
  CHECK_STR(worker->check_function->params->name->text, STR("job"));
  done();
}

/* amount > available() became message.amount > Account.available(state). */
static void test_names_became_members(void) {
  CHECK(checked(account));
  Decl *agent = declared(DECL_AGENT, "Account");
  const Function *guard = member(agent, DECL_DECIDE, 1)->check_function;
  const Expr *left = guard->expr->left, *right = guard->expr->right;
  CHECK(left->kind == EXPR_MEMBER && left->resolution == MEMBER_SLOT && left->left->symbol == guard->message);
  CHECK(right->kind == EXPR_CALL && right->resolution == CALL_FUNCTION && right->args->value->symbol == guard->state);
  const Function *evolve = member(agent, DECL_EVOLVE, 1)->function;
  const Stmt *update = evolve->body->next;
  CHECK(update->kind == STMT_ASSIGN && update->target->kind == EXPR_MEMBER && update->target->slot == 1);
  CHECK(update->target->left->symbol == evolve->state && evolve->state->changed);
  CHECK(update->next != NULL && update->next->kind == STMT_RETURN && update->next->value->symbol == evolve->state);
  CHECK(evolve->body->body->kind == STMT_RETURN && evolve->body->body->value->symbol == evolve->state);
  done();
}

static void test_decisions_became_calls(void) {
  CHECK(checked(account));
  Decl *agent = declared(DECL_AGENT, "Account");
  const Stmt *s = member(agent, DECL_DECIDE, 1)->function->body;
  CHECK(s->kind == STMT_EXPR && s->value->resolution == CALL_NATIVE && s->value->symbol->native == NATIVE_decide_reject);
  CHECK(s->next != NULL && s->next->kind == STMT_RETURN && s->next->value == NULL);
  s = member(agent, DECL_DECIDE, 2)->function->body;
  CHECK(s->value->symbol->native == NATIVE_decide_emit && s->value->args->value->resolution == CALL_CONSTRUCT);
  const Expr *enqueue = s->next->value;
  CHECK(enqueue->symbol->native == NATIVE_decide_enqueue && enqueue->args->next->value->kind == EXPR_MAP);
  CHECK(s->next->next->value->symbol->native == NATIVE_decide_reply);
  done();
}

static void test_in_loops_and_tries(void) {
  CHECK(checked("agent A:\n  state { n: int = 0, xs: list = [] }\n"
                "  decide Add(by):\n"
                "    for x in xs:\n"
                "      if x > by: reject \"big\"\n"
                "    emit Added(by: by)\n"
                "  evolve Added(by):\n"
                "    try: n += by\n"
                "    catch: n = 0\n"
                "    finally: xs.push(by)\n"
                "    while n > 100: n -= 1\n"
                "    xs[0] = [x + n for x in xs]\n"));
  const Function *evolve = member(declared(DECL_AGENT, "A"), DECL_EVOLVE, 0)->function;
  const Stmt *caught = evolve->body->arms->body;
  CHECK(caught->target->resolution == MEMBER_SLOT && caught->target->left->symbol == evolve->state);
  CHECK(evolve->body->next->body->target->resolution == MEMBER_SLOT);
  done();
}

/* ---- dispatch, enqueue, views, tests --------------------------------------------- */

static const char script[] =
    "handler Mailer:\n  on Opened(e): print(e.owner)\n"
    "tool Wire(amount: int) -> string:\n  perform: return \"x\"\n"
    "r = dispatch Open(account_id: \"a\", owner: \"Ada\") with consistency: [Mailer], returning: state\n"
    "h = enqueue Receipt(amount: 1, note: \"\") schedule_in: 5m\n"
    "print(r.state, h, Account(\"a\").available())\n"
    "test \"refused\":\n"
    "  given Account: Opened(owner: \"Ada\")\n"
    "  when Withdraw(amount: 5)\n"
    "  then reject \"insufficient_funds\"\n"
    "  stub tool Wire -> [ \"a\", raise \"declined\", lost ]\n"
    "  expect calls(Wire) is 0\n";

static void with_script(char *text, size_t size) { snprintf(text, size, "%s%s", account, script); }

static void test_script_of_an_application(void) {
  char text[4000];
  with_script(text, sizeof text);
  CHECK(checked(text));
  const Stmt *s = made.checked.script->body;
  const Expr *dispatch = s->value, *enqueue = s->next->value;
  CHECK(dispatch->kind == EXPR_DISPATCH && dispatch->symbol == declared(DECL_COMMAND, "Open")->symbol);
  CHECK(dispatch->right->kind == EXPR_MAP && dispatch->args->value->kind == EXPR_LIST);
  CHECK_STR(dispatch->args->value->first->text, STR("Mailer"));
  CHECK(dispatch->args->next->value->kind == EXPR_STRING);
  CHECK(enqueue->symbol == declared(DECL_WORKER, "Receipt")->symbol && enqueue->right->kind == EXPR_MAP);
  const Expr *view = s->next->next->value->args->next->next->value;
  CHECK(view->resolution == CALL_VIEW && view->symbol->kind == SYMBOL_VIEW);
  CHECK(view->symbol->agent == declared(DECL_AGENT, "Account") && view->args->value->kind == EXPR_STRING);
  done();
}

static void test_test_statements(void) {
  char text[4000];
  with_script(text, sizeof text);
  CHECK(checked(text));
  const Decl *test = declared(DECL_TEST, NULL);
  CHECK(test->function->kind == FNKIND_TEST && test->function->params == NULL && test->function->effects);
  CHECK(test->function->outcome != NULL && test->function->outcome->writes == 1 && test->function->outcome->reads == 1);
  const Stmt *s = test->body;
  while (s->next != NULL) s = s->next;
  const Expr *calls = s->cond->left;
  CHECK(calls->resolution == CALL_CALLS && calls->args->value->kind == EXPR_STRING);
  done();
}

static void test_routes(void) {
  CHECK(checked(account));
  const Decl *router = declared(DECL_ROUTER, "App"), *route = member(router, DECL_ROUTE, 0);
  CHECK(route->symbol == declared(DECL_AGENT, "Account")->symbol);
  CHECK(route->names->symbol == declared(DECL_COMMAND, "Open")->symbol && route->names->next->symbol != NULL);
  CHECK(member(router, DECL_IDENTIFY, 0)->symbol == route->symbol);
  done();
}

int main(void) {
  RUN_TEST(test_implied_messages);
  RUN_TEST(test_whole_binding_hidden_by_another_name);
  RUN_TEST(test_implied_across_files);
  RUN_TEST(test_hidden_parameters);
  RUN_TEST(test_names_became_members);
  RUN_TEST(test_decisions_became_calls);
  RUN_TEST(test_in_loops_and_tries);
  RUN_TEST(test_script_of_an_application);
  RUN_TEST(test_test_statements);
  RUN_TEST(test_routes);
  return TEST_END();
}
