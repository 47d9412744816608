/* Bundles: round trip, every truncation refused, damaged bytes never accepted as something else. */
#include "test.h"

#include "compiler/compile.h"
#include "vm/base/hash.h"
#include "vm/bundle/format.h"

/* A program with something of every pool. */
static const char program[] =
    "config bank: string = \"http://127.0.0.1:1\"\n"
    "const RATE = 0.25\n"
    "type Point: x: int where x >= 0, y: int = 2\n"
    "command Pay(amount: decimal where amount > 0.0d, mode: \"fast\" | \"slow\")\n"
    "event Paid version 2 as \"bank.paid\" (amount: int, note: string?, owner_name: string?)\n"
    "upcast Paid from 1 (old): return {amount: old.amount, note: nil}\n"
    "extern \"libm.so.6\":\n"
    "  fn cbrt(x: float) -> float\n"
    "## Moves money.\n"
    "tool Wire(account: string, amount: int) -> { id: string }:\n"
    "  effect irreversible\n"
    "  timeout 30s\n"
    "  max_attempts 5 backoff 1s..5m unless e.code in [\"declined\"]\n"
    "  limit \"bank\" 10 per 1s\n"
    "  perform:\n"
    "    r = http.post(\"${bank}/wires\", json: {account, amount}, headers: {\"Idempotency-Key\": "
    "key})\n"
    "    return {id: r.json.id}\n"
    "  check:\n"
    "    r = http.get(\"${bank}/wires/${key}\")\n"
    "    if r.status is 404: return absent\n"
    "    return confirmed {id: r.json.id}\n"
    "workflow Day(n: int):\n"
    "  done = 0\n"
    "  if patched(\"v2\"): sleep 5s\n"
    "  for i in range(n):\n"
    "    Wire(account: \"a\", amount: i) because \"due\"\n"
    "    done += 1\n"
    "  return done\n"
    "  query progress(): return done\n"
    "command Open(account_id: string)\n"
    "agent Account:\n"
    "  snapshot every 100 events\n"
    "  lifespan 10m\n"
    "  state { balance: 0, owner }\n"
    "  invariant balance >= 0, \"never below zero\"\n"
    "  decide Open(cmd) when owner is nil:\n"
    "    emit Opened(owner_name: meta.actor)\n"
    "  decide Open(cmd): reject \"open\"\n"
    "  evolve Opened(owner_name):\n"
    "    owner = owner_name\n"
    "  evolve Paid(amount):\n"
    "    balance += amount\n"
    "  view available(less: int = 0): return balance - less\n"
    "pure fn allowed(cmd, meta):\n"
    "  if meta.actor is nil: raise \"nobody\"\n"
    "router App:\n"
    "  validate every command\n"
    "  identify Account by account_id, prefix \"acc-\"\n"
    "  dispatch Open -> Account\n"
    "  before every command: allowed\n"
    "start App\n"
    "handler Mailer:\n"
    "  from current\n"
    "  consistency strong\n"
    "  concurrency 4 by owner_name\n"
    "  max_attempts 3 backoff 1s..5m unless e.code is \"declined\"\n"
    "  on Opened(e): enqueue Mail(to: e.owner_name)\n"
    "  on Paid(e): pass\n"
    "worker Mail(to: any):\n"
    "  queue \"mailers\"\n"
    "  priority 1\n"
    "  timeout 30s\n"
    "  unique by to within 1h replace\n"
    "  perform(job): return meta.id\n"
    "queue \"mailers\":\n"
    "  concurrency 2\n"
    "  global 8\n"
    "  limit 100 per 1m\n"
    "every \"0 6 * * *\" in \"Europe/Paris\" missed all: enqueue Mail(to: \"all\")\n"
    "every \"0 6 * * *\": print(\"six\")\n"
    "test \"it opens\" with crashes:\n"
    "  given Account: Paid(amount: 1)\n"
    "  when Open(account_id: \"a\")\n"
    "  then Opened(owner_name: nil)\n"
    "fn any_len(x): return x.len()\n"
    "p = Point(x: 1)\n"
    "try: p.x = any_len(\"abc\")\n"
    "catch e: print(e.message, RATE, 1h, Pay(amount: 1.5d, mode: \"fast\"))\n"
    "finally: print(cbrt(8.0), Paid(amount: 1))\n"
    "run = start Day(2)\n"
    "print(await(run), p.y)\n";

static bool read_program(void *context, Str path, Arena *arena, Str *text, Err *err) {
  (void)context, (void)path, (void)arena, (void)err;
  *text = (Str){program, sizeof program - 1};
  return true;
}

static Arena sample_arena;
static Buf sample; /* its bytes */

static bool sample_make(void) {
  Compilation c;
  arena_init(&sample_arena);
  bool good = compile(&sample_arena, STR("sample.z8"), (SourceReader){read_program, NULL},
                      (CompileOptions){0}, &c);
  if (good) {
    bundle_write(&c.bundle, &sample);
    return true;
  }
  Buf text = {0};
  diag_render(&c.diags, false, &text);
  fprintf(stderr, "%.*s\n", (int)text.size, text.at);
  buf_deinit(&text);
  return false;
}

static bool reads(Str bytes, Err *err) {
  Arena arena;
  Bundle bundle;
  arena_init(&arena);
  bool good = bundle_read(bytes, &arena, &bundle, err);
  if (good) { /* what was read is written back the same */
    Buf again = {0};
    bundle_write(&bundle, &again);
    CHECK(str_equal(buf_view(&again), bytes));
    buf_deinit(&again);
  }
  arena_deinit(&arena);
  return good;
}

static void test_round_trip(void) {
  Arena arena;
  Bundle bundle;
  Err err = {0};
  arena_init(&arena);
  CHECK(bundle_read(buf_view(&sample), &arena, &bundle, &err));
  CHECK_STR(bundle_text(&bundle, bundle.name), STR("sample.z8"));
  Hash256 hash = sha256(buf_view(&sample));
  CHECK(memcmp(&hash, &bundle.id, sizeof hash) == 0);
  CHECK(bundle.tool_count == 1 && bundle.workflow_count == 1 && bundle.query_count == 1);
  CHECK(bundle.shape_count == 7 && bundle.config_count == 1 && bundle.extern_count == 1);
  CHECK(bundle.patch_count == 1 && bundle.method_count > 0 && bundle.handler_count > 0);
  CHECK((uintptr_t)bundle.code % 4 == 0);
  arena_deinit(&arena);
  CHECK(reads(buf_view(&sample), &err));
}

static void test_lines(void) {
  Arena arena;
  Bundle bundle;
  Err err = {0};
  arena_init(&arena);
  CHECK(bundle_read(buf_view(&sample), &arena, &bundle, &err));
  const BundleFn *script = &bundle.fns[bundle.script];
  uint32_t last = 0;
  for (uint32_t pc = 0; pc < script->code_count; pc++) {
    BundleLine line = bundle_line(&bundle, script, pc);
    CHECK(line.line > 0 && line.column > 0 && line.line <= 90);
    last = line.line;
  }
  CHECK(last > 80);
  arena_deinit(&arena);
}

static void test_dump(void) {
  Arena arena;
  Bundle bundle;
  Err err = {0};
  Buf out = {0};
  arena_init(&arena);
  CHECK(bundle_read(buf_view(&sample), &arena, &bundle, &err));
  bundle_dump(&bundle, &out);
  buf_byte(&out, 0);
  CHECK(strstr(out.at, "perform Wire.perform(account: string, amount: int, key: string)") != NULL);
  CHECK(strstr(out.at, "for i in range(n):") != NULL);
  CHECK(strstr(out.at, "EFFECT") != NULL && strstr(out.at, "under v2") != NULL);
  CHECK(strstr(out.at, "-> L") != NULL && strstr(out.at, "finally [") != NULL);
  static const char *const lines[] = {
      "\nagent Account { balance, owner } (snapshot every 100 events, lifespan 10m, code ",
      "\n  decide Open when with meta: Account.Open\n",
      "\n  decide Open: Account.Open#2\n",
      "\n  evolve Paid: Account.evolve Paid\n",
      "\n  view available: Account.available\n",
      ", \"never below zero\"\n",
      "\nrouter App (started, validates every command)\n",
      "\n  Open -> Account by account_id, prefix \"acc-\", before it allowed\n",
      "\nhandler Mailer (from current, consistency strong, concurrency 4 by owner_name, at most 3 "
      "attempts, backoff 1s..5m, unless)\n",
      "\n  on Paid: Mailer.Paid\n",
      "\nworker Mail (queue \"mailers\", priority 1, unique by to within 1h replace, at most 20 "
      "attempts, backoff 1s..1h, timeout 30s)\n",
      "\nqueue \"mailers\" (concurrency 2, global 8, limit 100 per 1m)\n",
      "\nevery \"0 6 * * *\" in \"Europe/Paris\" missed all\n",
      "\nevery \"0 6 * * *\" #2 in \"UTC\" missed once\n",
      "\ntest \"it opens\" with crashes\n",
      "\nguard Account.Open.when(",
      "\ninvariant Account.invariant#1("};
  for (size_t i = 0; i < COUNT_OF(lines); i++) {
    if (strstr(out.at, lines[i]) == NULL) fprintf(stderr, "missing:%s\n", lines[i]);
    CHECK(strstr(out.at, lines[i]) != NULL);
  }
  buf_deinit(&out);
  arena_deinit(&arena);
}

static void test_application(void) {
  Arena arena;
  Bundle b;
  Err err = {0};
  arena_init(&arena);
  CHECK(bundle_read(buf_view(&sample), &arena, &b, &err));
  CHECK(b.agent_count == 1 && b.route_count == 1 && b.router_count == 1 && b.subscriber_count == 1);
  CHECK(b.worker_count == 1 && b.queue_count == 1 && b.cron_count == 2 && b.test_count == 1);
  CHECK(b.clause_count == 6 && b.view_count == 1 && b.invariant_count == 1);
  const BundleAgent *agent = &b.agents[0];
  CHECK(agent->snapshot_every == 100 && agent->lifespan_us == INT64_C(600000000));
  CHECK(agent->decides.count == 2 && agent->evolves.count == 2);
  CHECK(b.shapes[agent->state].kind == SHAPE_STATE);
  CHECK_STR(bundle_text(&b, b.shapes[agent->state].name), STR("Account.state"));
  const BundleWorker *w = &b.workers[0];
  CHECK(w->priority == 1 && w->uses_meta && w->replace && w->unique_us == INT64_C(3600000000));
  CHECK(w->attempts.max_attempts == 20 && w->attempts.timeout_us == 30000000);
  const BundleSubscriber *s = &b.subscribers[0];
  CHECK(s->from_current && s->strong && s->concurrency == 4 && s->keys.count == 1);
  CHECK(s->attempts.max_attempts == 3 && s->attempts.unless != NONE_INDEX);
  CHECK(b.queues[0].limit_count == 100 && b.queues[0].limit_per_us == 60000000);
  CHECK(b.crons[0].missed == 2 && b.crons[1].missed == 1 && b.tests[0].crashes);
  CHECK(b.routers[0].started && b.routers[0].validate);
  arena_deinit(&arena);
}

static bool enters(const Bundle *b, const char *name, EntryKind kind, uint32_t index, FnKind fn) {
  BundleEntry e = {0};
  bool attempts = kind == ENTRY_JOB || kind == ENTRY_ON;
  return bundle_entry(b, str_of(name), &e) && e.kind == kind && e.index == index &&
         b->fns[e.fn].kind == fn && (e.attempts != NULL) == attempts;
}

static void test_entries(void) {
  Arena arena;
  Bundle b;
  Err err = {0};
  BundleEntry e;
  arena_init(&arena);
  CHECK(bundle_read(buf_view(&sample), &arena, &b, &err));
  CHECK(enters(&b, "", ENTRY_SCRIPT, 0, FNKIND_SCRIPT));
  CHECK(enters(&b, "Day", ENTRY_WORKFLOW, 0, FNKIND_WORKFLOW));
  CHECK(enters(&b, "Mail", ENTRY_JOB, 0, FNKIND_JOB));
  CHECK(enters(&b, "every \"0 6 * * *\"", ENTRY_TICK, 0, FNKIND_TICK));
  CHECK(enters(&b, "every \"0 6 * * *\" #2", ENTRY_TICK, 1, FNKIND_TICK));
  CHECK(enters(&b, "Mailer.Opened", ENTRY_ON, 0, FNKIND_ON));
  CHECK(enters(&b, "Mailer.bank.paid", ENTRY_ON, 0, FNKIND_ON)); /* the stored name */
  CHECK(enters(&b, "test \"it opens\"", ENTRY_TEST, 0, FNKIND_TEST));
  static const char *const none[] = {"Mailer.Paid", "Mailer", "Mailer.", "it opens", "test \"", "test \"\"",
                                     "Account", "mailers", "every \"0 6 * * *\" #3", "day"};
  for (size_t i = 0; i < COUNT_OF(none); i++) CHECK(!bundle_entry(&b, str_of(none[i]), &e));
  arena_deinit(&arena);
}

/* Whether a bundle is refused with these words once `place` holds `value`. */
static bool refuses_with(Bundle *b, const char *says) {
  Err err = {0};
  Buf bytes = {0};
  Arena arena;
  Bundle again;
  arena_init(&arena);
  bundle_write(b, &bytes);
  bool refused = !bundle_read(buf_view(&bytes), &arena, &again, &err) && err.code == ERR_CORRUPT &&
                 strstr(err.text, says) != NULL;
  if (!refused) fprintf(stderr, "wanted %s, and got %s\n", says, err.text);
  buf_deinit(&bytes);
  arena_deinit(&arena);
  return refused;
}

#define REFUSES(place, value, says)  \
  do {                               \
    __typeof__(place) kept = place;  \
    place = (__typeof__(place))(value); \
    CHECK(refuses_with(&b, says));   \
    place = kept;                    \
  } while (0)

static void test_wrong_application(void) {
  Arena arena;
  Bundle b;
  Err err = {0};
  arena_init(&arena);
  CHECK(bundle_read(buf_view(&sample), &arena, &b, &err));
  BundleAgent *a = &b.agents[0];
  BundleClause *decide = &b.clauses[a->decides.first], *evolve = &b.clauses[a->evolves.first];
  BundleClause *on = &b.clauses[b.subscribers[0].clauses.first];
  REFUSES(a->state, evolve->shape, "agent 0: its state is not one");
  REFUSES(a->code, b.name, "agent 0: the hash of its code");
  REFUSES(a->code, b.const_count, "an index is out of range");
  REFUSES(a->lifespan_us, -1, "agent 0: times");
  REFUSES(b.fns[b.shapes[a->state].constructor].min_args, 1, "cannot be made of nothing");
  REFUSES(decide->shape, evolve->shape, "agent 0: a clause's message");
  REFUSES(decide->fn, evolve->fn, "agent 0: a clause's function");
  REFUSES(decide->guard, decide->fn, "agent 0: a clause's guard");
  REFUSES(evolve->shape, decide->shape, "agent 0: a clause's message");
  REFUSES(evolve->guard, decide->guard, "agent 0: a clause's guard");
  REFUSES(evolve->fn, b.fn_count, "an index is out of range");
  REFUSES(on->fn, evolve->fn, "subscriber 0: a clause's function");
  REFUSES(on->uses_meta, 2, "a kind or flag");
  REFUSES(b.views[0].fn, decide->fn, "agent 0: a view's function");
  REFUSES(b.invariants[0].fn, decide->fn, "agent 0: an invariant's function");
  REFUSES(a->decides.count, b.clause_count, "agent 0: ranges overlap");
  REFUSES(a->views.count, 9, "a range leaves its pool");
  REFUSES(b.routes[0].command, evolve->shape, "route 0: it routes no command");
  REFUSES(b.routes[0].field, b.agents[0].name, "route 0: its command has no such field");
  REFUSES(b.routes[0].agent, 1, "an index is out of range");
  REFUSES(b.indexes[b.routes[0].before.first], decide->fn, "route 0: what runs before");
  REFUSES(b.subscribers[0].concurrency, 0, "subscriber 0: it may never run");
  REFUSES(b.subscribers[0].attempts.max_attempts, 0, "subscriber 0: it may never be tried");
  REFUSES(b.subscribers[0].attempts.backoff_max_us, 1, "subscriber 0: times");
  REFUSES(b.subscribers[0].attempts.unless, decide->fn, "subscriber 0: unless");
  REFUSES(b.indexes[b.subscribers[0].keys.first], b.const_count, "subscriber 0: a key is no name");
  REFUSES(b.workers[0].shape, evolve->shape, "worker 0: its job's shape");
  REFUSES(b.workers[0].name, b.agents[0].name, "worker 0: its job's shape");
  REFUSES(b.workers[0].fn, on->fn, "worker 0: its function");
  REFUSES(b.workers[0].priority, 10, "a kind or flag");
  REFUSES(b.workers[0].unique_us, -1, "worker 0: times");
  REFUSES(b.workers[0].attempts.timeout_us, -1, "worker 0: times");
  REFUSES(b.indexes[b.workers[0].unique.first], b.name, "worker 0: its job has no such field");
  REFUSES(b.queues[0].concurrency, 0, "queue 0: it may never run");
  REFUSES(b.queues[0].limit_per_us, 0, "queue 0: limit");
  REFUSES(b.crons[0].missed, 3, "a kind or flag");
  REFUSES(b.crons[0].fn, b.script, "cron 0: its function");
  REFUSES(b.tests[0].fn, b.script, "test 0: its function");
  arena_deinit(&arena);
}

static void test_truncations(void) {
  for (size_t size = 0; size < sample.size; size++) {
    Err err = {0};
    CHECK(!reads((Str){sample.at, size}, &err));
    CHECK(err.code == ERR_CORRUPT && err.text[0] != 0);
  }
}

static void test_longer(void) {
  Err err = {0};
  Buf longer = {0};
  buf_str(&longer, buf_view(&sample));
  buf_byte(&longer, 0);
  CHECK(!reads(buf_view(&longer), &err));
  buf_deinit(&longer);
}

/* Each flipped byte gives an error or another bundle, whose own bytes these are. */
static void test_flips(void) {
  uint64_t seed = 88172645463325252u;
  for (int round = 0; round < 6000; round++) {
    Buf damaged = {0};
    buf_str(&damaged, buf_view(&sample));
    for (int flip = 0; flip <= round % 3; flip++) {
      seed ^= seed << 13, seed ^= seed >> 7, seed ^= seed << 17;
      damaged.at[seed % damaged.size] ^= (char)(1u << (seed >> 40) % 8);
    }
    Err err = {0};
    if (!reads(buf_view(&damaged), &err)) CHECK(err.code == ERR_CORRUPT);
    buf_deinit(&damaged);
  }
}

static void test_huge_counts(void) {
  for (size_t at = 8; at < BUNDLE_HEAD_BYTES; at += 4) {
    Buf damaged = {0};
    Err err = {0};
    buf_str(&damaged, buf_view(&sample));
    memset(damaged.at + at, 0xff, 4);
    CHECK(!reads(buf_view(&damaged), &err));
    buf_deinit(&damaged);
  }
}

int main(void) {
  if (!sample_make()) return 1;
  RUN_TEST(test_round_trip);
  RUN_TEST(test_lines);
  RUN_TEST(test_dump);
  RUN_TEST(test_application);
  RUN_TEST(test_entries);
  RUN_TEST(test_wrong_application);
  RUN_TEST(test_truncations);
  RUN_TEST(test_longer);
  RUN_TEST(test_flips);
  RUN_TEST(test_huge_counts);
  buf_deinit(&sample);
  arena_deinit(&sample_arena);
  return TEST_END();
}
