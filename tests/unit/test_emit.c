/* What is emitted for the shapes of code that have to be fast: counted in the disassembly. */
#include "test.h"

#include "compiler/compile.h"
#include "vm/core/verify.h"

static bool read_program(void *context, Str path, Arena *arena, Str *text, Err *err) {
  (void)path, (void)arena, (void)err;
  *text = str_of(context);
  return true;
}

/* The disassembly of the function called `f`, without its head. Empty if the program is wrong. */
static char code[20000];

static void emitted_at(const char *program, const char *head);

static void emitted(const char *program) { emitted_at(program, "\nfn f("); }

static void emitted_at(const char *program, const char *head) {
  Arena arena;
  Compilation c;
  Buf out = {0};
  Err err = {0};
  char source[4000];
  code[0] = 0;
  snprintf(source, sizeof source, "%s", program);
  arena_init(&arena);
  if (compile(&arena, STR("f.z8"), (SourceReader){read_program, source}, (CompileOptions){0}, &c)) {
    CHECK(verify_bundle(&c.bundle, &err));
    bundle_dump(&c.bundle, &out);
    buf_byte(&out, 0);
    const char *start = strstr(out.at, head);
    const char *end = start != NULL ? strstr(start + 1, "\n\n") : NULL;
    if (start != NULL)
      snprintf(code, sizeof code, "%.*s", end != NULL ? (int)(end - start) : 20000, start);
  } else {
    diag_render(&c.diags, false, &out);
    fprintf(stderr, "%.*s\n", (int)out.size, out.at);
  }
  buf_deinit(&out);
  arena_deinit(&arena);
}

static int count(const char *word) {
  int n = 0;
  for (const char *at = code; (at = strstr(at, word)) != NULL; at++) n++;
  return n;
}

static int instructions(void) {
  int n = 0;
  for (const char *at = code; (at = strchr(at, '\n')) != NULL; at++) {
    n += strncmp(at, "\n     ", 6) == 0 && strstr(at, "  ") != NULL && at[9] != '|' &&
         at[8] >= '0' && at[8] <= '9';
  }
  return n;
}

static void test_sum_is_one_instruction(void) {
  emitted("fn f(a: int, b: int):\n  x = a\n  x = a + b\n  x += 1\n  return x\nprint(f(1, 2))\n");
  CHECK(count(" ADD ") == 1 && count(" ADDI ") == 1 && count(" MOVE ") == 1);
  CHECK(count(" CHECK ") == 0); /* only called by name, with ints */
  CHECK(instructions() == 4);
}

static void test_unsure_arguments_are_checked(void) {
  emitted("fn f(a: int): return a\nfn g(x): return f(x)\nprint(g(1))\n");
  CHECK(count(" CHECK ") == 1);
  emitted("fn f(a: int): return a\nh = f\nprint(h(1))\n");
  CHECK(count(" CHECK ") == 1);
}

static void test_recursion(void) {
  emitted(
      "fn f(n: int) -> int:\n  if n < 2: return n\n  return f(n - 1) + f(n - 2)\nprint(f(9))\n");
  CHECK(count(" CHECK ") == 0 && count(" MOVE") == 0 && count(" JGEI ") == 1 &&
        instructions() == 8);
}

static void test_element_update(void) {
  emitted(
      "fn f(n: int):\n  a = [0]\n  for i in range(n): a[i] = a[i] + 1\n  return a\nprint(f(1))\n");
  CHECK(count(" GETI ") == 1 && count(" ADDI ") == 1 && count(" SETI ") == 1 &&
        count(" FORNEXT ") == 1);
  CHECK(count(" MOVESH ") == 0 && count(" OWN") == 0 && count(" LOOP ") == 0);
}

static void test_record_slots(void) {
  emitted(
      "type P: x: int, y: int\nfn f(n: int):\n  p = P(x: 1, y: n)\n  p.x += p.y\n  return "
      "p.x\nprint(f(2))\n");
  CHECK(count(" NEWREC ") == 1 && count(" GETSLOT ") == 3 && count(" SETSLOT ") == 1 &&
        count(" CALL ") == 0);
}

static void test_literals_held_in_loops(void) {
  emitted(
      "fn f(n: int):\n  t = 0.0\n  for i in range(n): t = t * 0.5 + 0.25\n  return "
      "t\nprint(f(1))\n");
  const char *top = strstr(code, "FORPREP");
  CHECK(top != NULL && strstr(top, "LOADK") == NULL);
}

static void test_borrowed_parts(void) {
  const char *start =
      "type P: x: int\nfn f(ps: list[P]):\n  t = 0\n  for i in range(1):\n    p = ps[i]\n";
  char program[400];
  snprintf(program, sizeof program,
           "%s    t += p.x\n    ps[i].x = 5\n  return t\nprint(f([P(x: 1)]))\n", start);
  emitted(program);
  CHECK(count(" SHARE ") == 1); /* the parameter, once */
  snprintf(program, sizeof program,
           "%s    ps[i].x = 5\n    t += p.x\n  return t\nprint(f([P(x: 1)]))\n", start);
  emitted(program);
  CHECK(count(" SHARE ") == 2); /* p is read after the update */
}

static void test_run_of_updates_owns_once(void) {
  emitted(
      "fn f(n: int):\n  a = [{x: 0, y: 0}]\n  a[n].x = n + 1\n  a[n].y = n + 2\n  return "
      "a\nprint(f(0))\n");
  CHECK(count(" OWNI ") == 1 && count(" SETF ") == 4);
}

/* ---- the application ---- */

static const char account[] =
    "command Deposit(account_id: string, amount: int)\n"
    "event Deposited(amount: int)\n"
    "agent Account:\n"
    "  state { balance: 0, log: list = [], open }\n"
    "  decide Deposit(amount) when amount > 0: emit Deposited(amount: amount)\n"
    "  evolve Deposited(amount): balance += amount\n";

static void test_evolve_in_place(void) {
  emitted_at(account, "\nevolve Account.evolve Deposited(");
  CHECK(count(" GETSLOT ") == 2 && count(" ADD ") == 1 && count(" SETSLOT ") == 1);
  CHECK(count(" RET ") == 1 && instructions() == 5);
  CHECK(count(" SHARE ") == 0 && count(" OWN") == 0 && count(" CHECK ") == 0);
}

static void test_evolve_of_parts(void) {
  char program[1000];
  snprintf(program, sizeof program, "%s  evolve Noted(text): log.push(text)\n", account);
  emitted_at(program, "\nevolve Account.evolve Noted(");
  CHECK(count(" PUSH ") == 1 && count(" OWN ") == 1 && count(" OWNF ") == 1);
  CHECK(count(" SHARE ") == 1); /* the text, which the event keeps too */
}

static void test_guards_give_bools(void) {
  emitted_at(account, "\nguard Account.Deposit.when(");
  CHECK(count(" GETSLOT ") == 1 && count(" LT ") == 1 && count(" RET ") == 1);
  char program[1000];
  snprintf(program, sizeof program, "%s  invariant open\n", account);
  emitted_at(program, "\ninvariant Account.invariant#1(");
  CHECK(count(" JF ") == 1 && count(" LOADTRUE ") == 1 && count(" LOADFALSE ") == 1);
}

static void test_decide_says(void) {
  emitted_at(account, "\ndecide Account.Deposit(");
  CHECK(count(" NEWREC ") == 1 && count(" decide.emit") == 1 && count(" CALL ") == 0);
  CHECK(count(" SETSLOT ") == 0 && count(" EFFECT ") == 0);
}

static void test_dispatch_options(void) {
  char program[1500];
  snprintf(program, sizeof program,
           "%srouter App:\n  identify Account by account_id\n  dispatch Deposit -> Account\n"
           "fn f(c: Deposit):\n  dispatch c with consistency: strong, timeout: 5s because \"due\"\n"
           "f(Deposit(account_id: \"a\", amount: 1))\n",
           account);
  emitted(program);
  CHECK(count(" dispatch Deposit ") == 1 && count(".consistency") == 1 && count("\"strong\"") == 1);
  CHECK(count(" (3) 1 dispatch") == 1); /* the command, the options, the because */
}

/* ---- the hash of what folding runs ---- */

static Hash256 code_of(const char *program) {
  Arena arena;
  Compilation c;
  Buf text = {0};
  Hash256 hash = {{0}};
  arena_init(&arena);
  bool good = compile(&arena, STR("f.z8"), (SourceReader){read_program, (void *)(uintptr_t)program},
                      (CompileOptions){0}, &c);
  CHECK(good && c.bundle.agent_count == 1);
  if (!good) {
    diag_render(&c.diags, false, &text);
    fprintf(stderr, "%.*s\n", STR_ARG(buf_view(&text)));
  } else {
    Str kept = bundle_text(&c.bundle, c.bundle.agents[0].code);
    CHECK(kept.size == sizeof hash.byte);
    memcpy(hash.byte, kept.at, sizeof hash.byte);
  }
  buf_deinit(&text);
  arena_deinit(&arena);
  return hash;
}

static bool same_code(const char *a, const char *b) {
  Hash256 x = code_of(a), y = code_of(b);
  return memcmp(x.byte, y.byte, sizeof x.byte) == 0;
}

#define FEE "fn fee(n: int) -> int:\n  if n > LIMIT: return 2\n  return n\nconst LIMIT = 70_000\n"
#define EVENTS "event Paid version 2 (amount: int, note: string = \"-\")\n" \
  "upcast Paid from 1 (old): return {amount: old.sum}\n"
#define AGENT "agent A:\n  state { n: 0, seen: [] }\n"
#define PAID "  evolve Paid(amount): n += fee(amount)\n"
#define SEEN "  evolve Seen(what): seen.push(what)\n"

static void test_code_is_the_same(void) {
  static const char base[] = FEE EVENTS AGENT PAID SEEN;
  static const char *const same[] = {
      FEE EVENTS AGENT SEEN PAID,                       /* another order */
      "\n\n# a comment\n" FEE EVENTS AGENT PAID SEEN,    /* other lines */
      "const OTHER = \"x\"\nfn other(a): return [a, OTHER, 1.5]\nprint(other(70_000))\n" FEE EVENTS AGENT PAID SEEN,
      FEE EVENTS AGENT PAID SEEN "  decide Pay(x): emit Paid(amount: fee(x))\n", /* fee checks its parameter now */
      FEE EVENTS AGENT "  snapshot every 5 events\n" PAID SEEN "  view total(): return n\n  invariant n >= 0\n",
      FEE EVENTS "type P: x: int\nworkflow W(): return P(x: 1)\n" AGENT PAID SEEN,
      FEE EVENTS AGENT PAID SEEN "agent B:\n  state { m: 1 }\n  evolve Paid(amount): m = amount\n"};
  for (size_t i = 0; i + 1 < COUNT_OF(same); i++) {
    if (!same_code(base, same[i])) fprintf(stderr, "changed by:\n%s\n", same[i]);
    CHECK(same_code(base, same[i]));
  }
}

static void test_code_changes(void) {
  static const char base[] = FEE EVENTS AGENT PAID SEEN;
  static const char *const other[] = {
      FEE EVENTS AGENT "  evolve Paid(amount): n -= fee(amount)\n" SEEN,
      "fn fee(n: int) -> int:\n  if n > LIMIT: return 3\n  return n\nconst LIMIT = 70_000\n" EVENTS AGENT PAID SEEN,
      "fn fee(n: int) -> int:\n  if n > LIMIT: return 2\n  return n\nconst LIMIT = 70_001\n" EVENTS AGENT PAID SEEN,
      "fn fee(n) -> int:\n  if n > LIMIT: return 2\n  return n\nconst LIMIT = 70_000\n" EVENTS AGENT PAID SEEN,
      FEE EVENTS "agent A:\n  state { n: 1, seen: [] }\n" PAID SEEN,           /* another beginning */
      FEE EVENTS "agent A:\n  state { n: 0, seen: [], more }\n" PAID SEEN,     /* another shape */
      FEE EVENTS "agent A:\n  state { seen: [], n: 0 }\n" PAID SEEN,
      FEE EVENTS AGENT PAID,                                                     /* an event no longer evolved */
      FEE EVENTS AGENT PAID "  evolve Saw(what): seen.push(what)\n",             /* another event */
      FEE "event Paid version 2 (amount: int, note: string = \"+\")\nupcast Paid from 1 (old): return {amount: "
          "old.sum}\n" AGENT PAID SEEN,                                          /* what a missing note is */
      FEE "event Paid version 2 (amount: int, note: string = \"-\")\nupcast Paid from 1 (old): return {amount: "
          "old.total}\n" AGENT PAID SEEN,                                        /* another upcast */
      FEE EVENTS AGENT "  evolve Paid(amount): n += fee(amount) + len(str(meta.time))\n" SEEN};
  for (size_t i = 0; i < COUNT_OF(other); i++) {
    if (same_code(base, other[i])) fprintf(stderr, "not changed by:\n%s\n", other[i]);
    CHECK(!same_code(base, other[i]));
  }
}

/* ---- roots ---- */

static bool read_two(void *context, Str path, Arena *arena, Str *text, Err *err) {
  (void)context, (void)arena, (void)err;
  *text = str_equal(path, STR("root.z8"))
              ? STR("import \"app\"\nprint(1)\n")
              : STR("event Told as \"told\" (x: int)\n"
                    "agent A:\n  state { n: 0 }\n  decide Tell(x): emit Told(x: x)\n  evolve Told(x): n = x\n"
                    "router R:\n  identify A by key\n  dispatch Tell -> A\n"
                    "handler H: \n  on Told(e): enqueue W(n: e.x)\n"
                    "worker W(n: int):\n  perform(job): return helper(job.n)\n"
                    "fn helper(n): return n\nfn unused(n): return n\n"
                    "queue \"q\":\n  concurrency 3\n"
                    "every \"0 0 * * *\": print(2)\ntest \"t\": expect 1 is 1\n");
  return true;
}

static void test_imported_declarations_are_roots(void) {
  Arena arena;
  Compilation c;
  Err err = {0};
  Buf text = {0};
  BundleEntry entry;
  arena_init(&arena);
  bool good = compile(&arena, STR("root.z8"), (SourceReader){read_two, NULL}, (CompileOptions){0}, &c);
  const Bundle *b = &c.bundle;
  CHECK(good);
  if (good) {
    CHECK(verify_bundle(b, &err));
    CHECK(b->agent_count == 1 && b->router_count == 1 && b->route_count == 1 && b->subscriber_count == 1);
    CHECK(b->worker_count == 1 && b->queue_count == 1 && b->cron_count == 1 && b->test_count == 1);
    CHECK(bundle_entry(b, STR("H.told"), &entry) && bundle_entry(b, STR("W"), &entry));
    CHECK_STR(bundle_text(b, b->workers[0].queue), STR("default"));
    CHECK(b->workers[0].priority == 5 && b->subscribers[0].concurrency == 1 && !b->routers[0].started);
  } else {
    diag_render(&c.diags, false, &text);
    fprintf(stderr, "%.*s\n", STR_ARG(buf_view(&text)));
  }
  buf_deinit(&text);
  arena_deinit(&arena);
}

/* ---- upcasts ---- */

static void test_upcasts_by_version(void) {
  Arena arena;
  Compilation c;
  arena_init(&arena);
  const char program[] =
      "event E version 4 (a: int)\nupcast E from 2 (old): return {a: old.x}\n"
      "upcast E from 3 (old): return {a: old.a + 1}\nprint(E(a: 1))\n";
  CHECK(compile(&arena, STR("f.z8"), (SourceReader){read_program, (void *)(uintptr_t)program},
                (CompileOptions){0}, &c));
  const BundleShape *s = &c.bundle.shapes[0];
  const uint32_t *upcasts = c.bundle.indexes + s->upcasts.first;
  CHECK(s->version == 4 && s->upcasts.count == 3);
  CHECK(upcasts[0] == NONE_INDEX && upcasts[1] != NONE_INDEX && upcasts[2] != NONE_INDEX);
  CHECK(c.bundle.fns[upcasts[1]].kind == FNKIND_UPCAST && upcasts[1] != upcasts[2]);
  arena_deinit(&arena);
}

int main(void) {
  RUN_TEST(test_sum_is_one_instruction);
  RUN_TEST(test_unsure_arguments_are_checked);
  RUN_TEST(test_recursion);
  RUN_TEST(test_element_update);
  RUN_TEST(test_record_slots);
  RUN_TEST(test_literals_held_in_loops);
  RUN_TEST(test_borrowed_parts);
  RUN_TEST(test_run_of_updates_owns_once);
  RUN_TEST(test_evolve_in_place);
  RUN_TEST(test_evolve_of_parts);
  RUN_TEST(test_guards_give_bools);
  RUN_TEST(test_decide_says);
  RUN_TEST(test_dispatch_options);
  RUN_TEST(test_code_is_the_same);
  RUN_TEST(test_code_changes);
  RUN_TEST(test_imported_declarations_are_roots);
  RUN_TEST(test_upcasts_by_version);
  return TEST_END();
}
