/* vm/runtime/gate.h: calls of models through budgets and limits, with the offline provider; approvals; conversations.
** Time is virtual. */
#include "bus_world.h"

#include "vm/runtime/approvals.h"
#include "vm/runtime/ledger.h"

#define SECOND INT64_C(1000000)

static SchedulerOptions seeded(void) { return (SchedulerOptions){.seeded = true, .seed = {{7}}}; }
static Str printed(World *w) { return buf_view(&w->printed); }

static Uuid begin_script(World *w, Code *code) {
  Err err = {0};
  Uuid id;
  BeginOptions begin = {.bundle = code->c->bundle.id, .entry = STR(""), .input = STR("\x80")};
  CHECK(scheduler_begin(w->s, &begin, &id, &err));
  return id;
}

static ScheduleResult run_all(World *w, int64_t patience_us) {
  Err err = {0};
  ScheduleResult r = scheduler_run(w->s, 0, patience_us, &err);
  if (r == SCHEDULE_FAILED) fprintf(stderr, "scheduler: %s\n", err.text);
  return r;
}

/* ---- what the books say ------------------------------------------------------------------ */

static bool cost_add(void *context, const CostRow *row) {
  CostRow *sum = context;
  sum->calls += row->calls;
  sum->input += row->input;
  sum->output += row->output;
  sum->nanodollars += row->nanodollars;
  sum->uncertain_calls += row->uncertain_calls;
  sum->reserved_nanodollars += row->reserved_nanodollars;
  return true;
}

static CostRow costs_of(World *w) {
  CostRow sum = {0};
  Err err = {0};
  CHECK(ledger_costs_each(w->s->store, 0, cost_add, &sum, &err));
  return sum;
}

static bool row_count(void *context, Str key, Str value) {
  (void)key, (void)value;
  ++*(uint32_t *)context;
  return true;
}

static uint32_t rows_of(World *w, StoreSpace space, const char *prefix) {
  uint32_t count = 0;
  Err err = {0};
  CHECK(store_kv_each(w->s->store, space, str_of(prefix), (Str){0}, row_count, &count, &err));
  return count;
}

/* ---- limits -------------------------------------------------------------------------------- */

#define MODEL "model small:\n  provider: offline\n  name: \"x\"\n  max_tokens: 100\n  price: { input: 1.0d, output: 2.0d }\n"
#define CALL "model.ask({...(small()), messages: [{role: \"user\", content: \"hello\"}]})"

static const char limited_program[] =
    MODEL "  limit: { requests: 2 per 10s }\n"
    "from = now()\n"
    "for i in [1, 2, 3, 4, 5]:\n"
    "  _ = " CALL "\n"
    "  print(round((now() - from) / 1s))\n";

static void limits_hold_calls_back(void) {
  World w;
  Code code;
  NEED(code_make(&code, limited_program) && world_start(&w, NULL, &code, seeded()));
  begin_script(&w, &code);
  CHECK(run_all(&w, PATIENCE_FOR_EVER) == SCHEDULE_OVER);
  CHECK_STR(printed(&w), STR("0;0;10;10;20;"));
  CHECK(costs_of(&w).calls == 5 && rows_of(&w, SPACE_HOLD, "") == 0 && rows_of(&w, SPACE_LIMIT, "m") == 1);
  world_stop(&w);
  code_done(&code);
}

static void waiting_is_told(void) {
  World w;
  Code code;
  Buf text = {0};
  NEED(code_make(&code, limited_program) && world_start(&w, NULL, &code, seeded()));
  begin_script(&w, &code);
  CHECK(run_all(&w, 0) == SCHEDULE_PARKED);
  scheduler_waiting(w.s, 1, &text);
  CHECK_HAS(buf_view(&text), "waiting 10 s for model small, 2 of 2 requests per 10s");
  CHECK(rows_of(&w, SPACE_HOLD, "") == 1);
  buf_deinit(&text);
  world_stop(&w);
  code_done(&code);
}

/* A window goes on after a restart, and so does the queue. */
static void a_restart_keeps_the_window(void) {
  World w;
  Code code;
  char room[64];
  const char *dir = dir_new(room);
  NEED(code_make(&code, limited_program) && world_start(&w, dir, &code, seeded()));
  begin_script(&w, &code);
  CHECK(run_all(&w, 0) == SCHEDULE_PARKED);
  int64_t now = w.s->clock.now_us;
  world_stop(&w);
  SchedulerOptions later = seeded();
  later.start_us = now + 4 * SECOND;
  NEED(world_start(&w, dir, &code, later));
  CHECK(run_all(&w, 0) == SCHEDULE_PARKED);
  CHECK_STR(printed(&w), STR(""));
  CHECK(run_all(&w, PATIENCE_FOR_EVER) == SCHEDULE_OVER);
  CHECK_STR(printed(&w), STR("10;10;20;"));
  CHECK(costs_of(&w).calls == 5 && costs_of(&w).uncertain_calls == 0);
  world_stop(&w);
  dir_gone(dir);
  code_done(&code);
}

/* ---- budgets ------------------------------------------------------------------------------- */

static void budgets_refuse(void) {
  World w;
  Code code;
  NEED(code_make(&code,
                 MODEL "budget { usd: 0.001d, calls: 3 }:\n"
                       "  for i in [1, 2, 3, 4]:\n"
                       "    r = try " CALL "\n"
                       "    print(r.ok, r.error?.code)\n"
                       "  left = budget.left()\n"
                       "  print(left.calls, left.spent.calls, left.spent.usd > 0.0d, left.usd < 0.001d, left.tokens)\n"
                       "print(budget.left().spent.calls)\n") &&
       world_start(&w, NULL, &code, seeded()));
  begin_script(&w, &code);
  CHECK(run_all(&w, 0) == SCHEDULE_OVER);
  CHECK_STR(printed(&w), STR("true nil;true nil;true nil;false budget_exhausted;0 3 true true nil;0;"));
  CHECK(costs_of(&w).calls == 3 && rows_of(&w, SPACE_LEDGER, "") == 0);
  world_stop(&w);
  code_done(&code);
}

/* Together they would be too much, one after the other they are not: they wait for each other. */
static void calls_of_one_budget_wait(void) {
  World w;
  Code code;
  NEED(code_make(&code,
                 MODEL "budget { tokens: 290 }:\n"
                       "  rs = parallel for i in [1, 2, 3, 4] limit 4: try " CALL "\n"
                       "  print(rs.map(r -> r.ok))\n") &&
       world_start(&w, NULL, &code, seeded()));
  begin_script(&w, &code);
  CHECK(run_all(&w, 0) == SCHEDULE_OVER);
  CHECK_STR(printed(&w), STR("[true, true, true, true];"));
  CHECK(costs_of(&w).calls == 4);
  world_stop(&w);
  code_done(&code);
}

static void declared_budgets(void) {
  World w;
  Code code;
  NEED(code_make(&code,
                 "budget Day: { calls: 2 per 1d, by: [tenant, model] }\n" MODEL
                 "for i in [1, 2, 3]:\n"
                 "  r = try " CALL "\n"
                 "  print(r.ok)\n"
                 "sleep 24h\n"
                 "r = try " CALL "\n"
                 "print(r.ok)\n") &&
       world_start(&w, NULL, &code, seeded()));
  begin_script(&w, &code);
  CHECK(run_all(&w, PATIENCE_FOR_EVER) == SCHEDULE_OVER);
  CHECK_STR(printed(&w), STR("true;true;false;true;"));
  world_stop(&w);
  code_done(&code);
}

/* ---- crashes --------------------------------------------------------------------------------- */

typedef struct Crash {
  int left; /* looks until the process dies; below 0: it does not */
} Crash;

static Crash crash;

static bool crash_now(void *context) {
  (void)context;
  return crash.left >= 0 && crash.left-- == 0;
}

static const char busy_program[] =
    MODEL "  limit: { requests: 3 per 1s }\n"
    "budget { tokens: 5_000 }:\n"
    "  rs = parallel for i in [1, 2, 3, 4, 5] limit 3: try " CALL "\n"
    "  print(rs.map(r -> r.ok))\n"
    "agent.remember(\"A\", \"c\", \"q\", \"a\")\n"
    "print(len(agent.recall(\"A\", \"c\", 5)))\n";

/* False: the process lived on to the end. */
static bool crashed_at(Code *code, const char *dir, int nth) {
  World w;
  SchedulerOptions options = seeded();
  options.crash = crash_now;
  crash.left = -1;
  if (!world_start(&w, dir, code, options)) return false;
  begin_script(&w, code);
  crash.left = nth;
  bool died = run_all(&w, PATIENCE_FOR_EVER) == SCHEDULE_STOPPED;
  int64_t now = w.s->clock.now_us;
  crash.left = -1;
  world_stop(&w);
  options.start_us = now;
  if (!world_start(&w, dir, code, options)) return false;
  CHECK(run_all(&w, PATIENCE_FOR_EVER) == SCHEDULE_OVER);
  CostRow sum = costs_of(&w);
  CHECK(sum.calls - sum.uncertain_calls == 5 || !died || sum.calls == 0);
  CHECK(sum.calls == 0 || (sum.calls - sum.uncertain_calls == 5 && sum.uncertain_calls <= 3));
  CHECK(sum.reserved_nanodollars == 0);
  CHECK(sum.calls == 0 || rows_of(&w, SPACE_CONVERSATION, "") == 2);
  CHECK(rows_of(&w, SPACE_HOLD, "") == 0 && rows_of(&w, SPACE_LEDGER, "") == 0);
  if (test_checks_failed > 0) fprintf(stderr, "crashed at %d: " STR_FMT " calls %d\n", nth, STR_ARG(printed(&w)), (int)sum.calls);
  world_stop(&w);
  return died;
}

static void crashes_lose_nothing(void) {
  Code code;
  char room[64];
  int nth = 0;
  NEED(code_make(&code, busy_program));
  for (bool died = true; died && test_checks_failed == 0; nth++) {
    const char *dir = dir_new(room);
    died = crashed_at(&code, dir, nth);
    dir_gone(dir);
  }
  CHECK(nth > 8);
  code_done(&code);
}

/* ---- one call ---------------------------------------------------------------------------------- */

static const char one_program[] = MODEL "r = try " CALL "\nprint(r.error?.message)\n";

typedef struct Marked {
  Ledger *ledger;
  uint32_t count;
} Marked;

static void hold_marked(void *context, const HoldRow *row, Hold *hold) {
  Marked *m = context;
  HoldRow with = *row;
  with.resume = STR("\xd9\x9c\x4a\x82\x62id\x61x"); /* {id: "x"} */
  CHECK(row->sent);
  ledger_hold_put(m->ledger, &with, hold);
  hold_deinit(hold);
  m->count++;
}

/* As if the provider had named the response before the process died. */
static void mark_resumable(const char *dir) {
  Err err = {0};
  Node *node;
  NodeOptions options = {.dir = dir, .fixed_key = true};
  NEED(node_open(&options, &node, &err));
  Grouping *g = grouping_new();
  Marked m = {.ledger = ledger_new(node_store(node), g)};
  CHECK(ledger_holds(m.ledger, hold_marked, &m, &err) && m.count == 1);
  CHECK(store_commit(node_store(node), grouping_group(g), &err));
  ledger_free(m.ledger);
  grouping_free(g);
  node_close(node);
}

/* The process dies when the call may leave. What is asked again without the provider's word is charged twice. */
static CostRow died_in_flight(bool resumable) {
  World w;
  Code code;
  char room[64];
  const char *dir = dir_new(room);
  SchedulerOptions options = seeded();
  CostRow sum = {0};
  options.crash = crash_now;
  crash.left = -1;
  bool ok = code_make(&code, one_program) && world_start(&w, dir, &code, options);
  CHECK(ok);
  if (!ok) return sum;
  begin_script(&w, &code);
  crash.left = 0;
  for (uint32_t held = 0; held == 0 && crash.left >= 0;) {
    if (run_all(&w, 0) != SCHEDULE_STOPPED) break;
    held = rows_of(&w, SPACE_HOLD, "");
    world_stop(&w);
    if (held > 0 && resumable) mark_resumable(dir);
    crash.left = held > 0 ? -1 : 0;
    if (!world_start(&w, dir, &code, options)) return sum;
  }
  crash.left = -1;
  CHECK(run_all(&w, 0) == SCHEDULE_OVER);
  if (resumable) CHECK_HAS(printed(&w), "resum"); /* it was told; the offline provider knows no such thing */
  else CHECK_STR(printed(&w), STR("nil;"));
  CHECK(rows_of(&w, SPACE_HOLD, "") == 0);
  sum = costs_of(&w);
  world_stop(&w);
  dir_gone(dir);
  code_done(&code);
  return sum;
}

static void a_call_in_flight_is_charged(void) {
  CostRow sum = died_in_flight(false);
  CHECK(sum.calls == 2 && sum.uncertain_calls == 1 && sum.input == 16 && sum.reserved_nanodollars == 0);
}

static void a_call_is_taken_up_again(void) {
  CostRow sum = died_in_flight(true);
  CHECK(sum.calls == 1 && sum.uncertain_calls == 0);
}

/* Who is cancelled leaves the queue, and gives back what it reserved. */
static void a_queued_call_is_cancelled(void) {
  World w;
  Code code;
  Err err = {0};
  NEED(code_make(&code, limited_program) && world_start(&w, NULL, &code, seeded()));
  begin_script(&w, &code);
  CHECK(run_all(&w, 0) == SCHEDULE_PARKED && rows_of(&w, SPACE_HOLD, "") == 1);
  Record cancel = {.kind = RECORD_CANCEL_ASKED, .CANCEL_ASKED = {.why = STR("enough")}};
  CHECK(scheduler_deliver(w.s, 1, &cancel, &err));
  CHECK(run_all(&w, 0) == SCHEDULE_OVER);
  CHECK(rows_of(&w, SPACE_HOLD, "") == 0 && costs_of(&w).calls == 2 && costs_of(&w).reserved_nanodollars == 0);
  world_stop(&w);
  code_done(&code);
}

/* ---- approvals --------------------------------------------------------------------------------- */

static const char approval_program[] =
    "tool Refund(amount: int, note: string = \"\") -> string:\n"
    "  effect: irreversible\n"
    "  perform: return \"refunded ${amount}\"\n"
    "v = approve \"Refund 5?\" for Refund(amount: 5) within 8h\n"
    "print(v?.verdict, v?.by, v?.why)\n";

typedef struct Seen {
  Approval first;
  char question[40];
  uint32_t count;
} Seen;

static bool approval_seen(void *context, const Approval *a) {
  Seen *seen = context;
  if (seen->count++ == 0) {
    seen->first = *a;
    snprintf(seen->question, sizeof seen->question, STR_FMT, STR_ARG(a->question));
  }
  return true;
}

static Seen approvals_of(World *w) {
  Seen seen = {0};
  Err err = {0};
  CHECK(approvals_each(w->s->store, approval_seen, &seen, &err));
  return seen;
}

static void a_person_decides(void) {
  World w;
  Code code;
  Err err = {0};
  NEED(code_make(&code, approval_program) && world_start(&w, NULL, &code, seeded()));
  begin_script(&w, &code);
  CHECK(run_all(&w, 0) == SCHEDULE_STUCK);
  Seen seen = approvals_of(&w);
  CHECK(seen.count == 1);
  CHECK_STR(str_of(seen.question), STR("Refund 5?"));
  ApprovalDecision d = {.run = seen.first.run, .seq = seen.first.seq, .verdict = STR("edited"), .by = STR("ada"),
                        .arguments = STR("{\"amount\": \"much\"}"), .why = STR("why not")};
  CHECK(!approval_decide(w.s, w.node, &d, &err) && err.code == ERR_INVALID);
  CHECK(approvals_of(&w).count == 1);
  d.arguments = STR("{\"amount\": 3}");
  CHECK(approval_decide(w.s, w.node, &d, &err));
  CHECK(!approval_decide(w.s, w.node, &d, &err) && err.code == ERR_NOT_FOUND);
  CHECK(run_all(&w, 0) == SCHEDULE_OVER);
  CHECK_STR(printed(&w), STR("edited ada why not;"));
  CHECK(approvals_of(&w).count == 0);
  world_stop(&w);
  code_done(&code);
}

static void nobody_decides(void) {
  World w;
  Code code;
  NEED(code_make(&code, approval_program) && world_start(&w, NULL, &code, seeded()));
  begin_script(&w, &code);
  CHECK(run_all(&w, PATIENCE_FOR_EVER) == SCHEDULE_OVER);
  CHECK_STR(printed(&w), STR("nil nil nil;"));
  CHECK(rows_of(&w, SPACE_APPROVAL, "") == 0);
  world_stop(&w);
  code_done(&code);
}

/* While nobody runs the directory. */
static void a_decision_meanwhile(void) {
  World w;
  Code code;
  char room[64];
  Err err = {0};
  const char *dir = dir_new(room);
  NEED(code_make(&code, approval_program) && world_start(&w, dir, &code, seeded()));
  begin_script(&w, &code);
  CHECK(run_all(&w, 0) == SCHEDULE_STUCK);
  Seen seen = approvals_of(&w);
  world_stop(&w);
  Node *node;
  NodeOptions options = {.dir = dir, .fixed_key = true};
  NEED(node_open(&options, &node, &err));
  ApprovalDecision d = {.run = seen.first.run, .seq = seen.first.seq, .verdict = STR("denied"), .by = STR("ada")};
  bool late = approval_decide(NULL, node, &d, &err); /* its virtual time may be over on the system's clock */
  CHECK(late || err.code == ERR_INVALID);
  if (late) CHECK(!approval_decide(NULL, node, &d, &err) && err.code == ERR_NOT_FOUND);
  node_close(node);
  NEED(world_start(&w, dir, &code, seeded()));
  CHECK(run_all(&w, PATIENCE_FOR_EVER) == SCHEDULE_OVER);
  CHECK_STR(printed(&w), str_of(late ? "denied ada nil;" : "nil nil nil;"));
  CHECK(rows_of(&w, SPACE_APPROVAL, "") == 0);
  world_stop(&w);
  dir_gone(dir);
  code_done(&code);
}

/* ---- conversations --------------------------------------------------------------------------------- */

static void conversations_go_on(void) {
  World w;
  Code code;
  NEED(code_make(&code,
                 "for i in [1, 2, 3, 4]: agent.remember(\"A\", \"c-1\", \"q${i}\", i)\n"
                 "print(agent.recall(\"A\", \"c-1\", 2).map(t -> \"${t.question} ${t.answer}\"))\n"
                 "print(agent.recall(\"B\", \"c-1\", 2), len(agent.recall(\"A\", \"c-1\", 20)))\n") &&
       world_start(&w, NULL, &code, seeded()));
  begin_script(&w, &code);
  CHECK(run_all(&w, 0) == SCHEDULE_OVER);
  CHECK_STR(printed(&w), STR("[\"q3 3\", \"q4 4\"];[] 4;"));
  world_stop(&w);
  code_done(&code);
}

int main(void) {
  RUN_TEST(limits_hold_calls_back);
  RUN_TEST(waiting_is_told);
  RUN_TEST(a_restart_keeps_the_window);
  RUN_TEST(budgets_refuse);
  RUN_TEST(calls_of_one_budget_wait);
  RUN_TEST(declared_budgets);
  RUN_TEST(crashes_lose_nothing);
  RUN_TEST(a_call_in_flight_is_charged);
  RUN_TEST(a_call_is_taken_up_again);
  RUN_TEST(a_queued_call_is_cancelled);
  RUN_TEST(a_person_decides);
  RUN_TEST(nobody_decides);
  RUN_TEST(a_decision_meanwhile);
  RUN_TEST(conversations_go_on);
  return TEST_END();
}
