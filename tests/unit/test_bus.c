/* vm/runtime: agents, bus and handlers. Each fault that peers are known for and that concerns these is a test here. */
#include "bus_world.h"

#include <sqlite3.h>

#include "tests/support/faulty_vfs.h"
#include "vm/base/hash.h"
#include "vm/runtime/deadlines.h"

/* ---- the bank ------------------------------------------------------------------- */

#define BANK_TYPES \
  "command Open(account_id: string, owner: string)\n" \
  "command Deposit(account_id: string, amount: int where amount > 0)\n" \
  "command Withdraw(account_id: string, amount: int where amount > 0)\n" \
  "command Spin(account_id: string, n: int)\n" \
  "command Touch(account_id: string)\n" \
  "command Overdraw(account_id: string)\n" \
  "event Opened(owner: string)\n" \
  "event Deposited(amount: int)\n" \
  "event Withdrawn(amount: int)\n" \
  "event Spun(sum: int)\n" \
  "\n"

#define BANK_AGENT(settings, deposited) \
  "agent Account:\n" \
  settings \
  "  state { owner: \"\", balance: 0, status: \"new\" }\n" \
  "  invariant balance >= 0, \"never below zero\"\n" \
  "  decide Open(cmd) when status is \"new\":\n" \
  "    emit Opened(owner: cmd.owner)\n" \
  "    reply \"opened\"\n" \
  "  decide Deposit(amount) when status is \"open\":\n" \
  "    emit Deposited(amount: amount)\n" \
  "    reply balance + amount\n" \
  "  decide Withdraw(amount) when amount > balance:\n" \
  "    reject \"insufficient_funds\", data: { short: amount - balance }\n" \
  "  decide Withdraw(amount):\n" \
  "    emit Withdrawn(amount: amount)\n" \
  "  decide Overdraw():\n" \
  "    emit Withdrawn(amount: balance + 1)\n" \
  "  decide Touch():\n" \
  "    reply \"touched\"\n" \
  "  decide Spin(n):\n" \
  "    s = 0\n" \
  "    for i in range(n): s = s + i % 7\n" \
  "    emit Spun(sum: s)\n" \
  "    reply s\n" \
  "  evolve Opened(e):\n" \
  "    owner = e.owner\n" \
  "    status = \"open\"\n" \
  "  evolve Deposited(amount):\n" \
  "    " deposited "\n" \
  "  evolve Withdrawn(amount):\n" \
  "    balance -= amount\n" \
  "  evolve Spun(sum):\n" \
  "    balance += sum - sum\n" \
  "  view available(): return balance\n" \
  "  view all(): return { owner: owner, balance: balance, status: status }\n" \
  "\n"

#define BANK_ROUTER \
  "router Bank:\n" \
  "  validate every command\n" \
  "  identify Account by account_id, prefix \"account-\"\n" \
  "  dispatch [Open, Deposit, Withdraw, Spin, Touch, Overdraw] -> Account\n" \
  "\n" \
  "start Bank\n\n"

static const char bank[] = BANK_TYPES BANK_AGENT("  snapshot every 5 events\n", "balance += amount") BANK_ROUTER;

static const SchedulerOptions seeded = {.seeded = true, .seed = {{7}}};

/* ---- commands -------------------------------------------------------------------- */

static void test_commands(void) {
  Code code;
  World w;
  NEED(code_make(&code, bank) && world_start(&w, NULL, &code, seeded));
  CHECK_STR(ask(&w, "Open", "{\"account_id\":\"a\",\"owner\":\"Ada\"}", NULL),
            STR("ok {\"reply\":\"opened\",\"version\":1,\"events\":[{\"owner\":\"Ada\"}]}"));
  CHECK_STR(ask(&w, "Deposit", "{\"account_id\":\"a\",\"amount\":50}", NULL),
            STR("ok {\"reply\":50,\"version\":2,\"events\":[{\"amount\":50}]}"));
  CHECK_STR(ask(&w, "Withdraw", "{\"account_id\":\"a\",\"amount\":80}", NULL), STR("insufficient_funds"));
  CHECK_STR(ask(&w, "Open", "{\"account_id\":\"a\",\"owner\":\"Bob\"}", NULL), STR("unhandled"));
  CHECK_STR(ask(&w, "Deposit", "{\"account_id\":\"a\",\"amount\":-1}", NULL), STR("invalid_message"));
  CHECK_STR(ask(&w, "Deposit", "{\"account_id\":\"a\"}", NULL), STR("invalid_message"));
  CHECK_STR(ask(&w, "Deposit", "{\"account_id\":\"\",\"amount\":1}", NULL), STR("no_identity"));
  CHECK_STR(ask(&w, "Deposit", "{\"account_id\":\"a\\tb\",\"amount\":1}", NULL), STR("no_identity"));
  CHECK_STR(ask(&w, "Nothing", "{}", NULL), STR("unknown_command"));
  CHECK_STR(ask(&w, "Overdraw", "{\"account_id\":\"a\"}", NULL), STR("invariant_violated"));
  CHECK_STR(ask(&w, "Touch", "{\"account_id\":\"a\"}", NULL), STR("ok {\"reply\":\"touched\",\"version\":2,\"events\":[]}"));
  CHECK_STR(look(&w, "Account", "a", "available", ""), STR("50"));
  CHECK_STR(look(&w, "Account", "nobody", "available", ""), STR("0"));
  CHECK_STR(look(&w, "Account", "a", "missing", ""), STR("unknown_view"));
  world_stop(&w);
  code_done(&code);
}

static void test_options(void) {
  Code code;
  World w;
  Command c = {.expected_version = ANY_VERSION, .returning_state = true};
  NEED(code_make(&code, bank) && world_start(&w, NULL, &code, seeded));
  CHECK_HAS(ask(&w, "Open", "{\"account_id\":\"a\",\"owner\":\"Ada\"}", &c),
            "\"state\":{\"owner\":\"Ada\",\"balance\":0,\"status\":\"open\"}");
  c = (Command){.expected_version = 0};
  CHECK_STR(ask(&w, "Deposit", "{\"account_id\":\"a\",\"amount\":1}", &c), STR("wrong_version"));
  c.expected_version = 1;
  CHECK_HAS(ask(&w, "Deposit", "{\"account_id\":\"a\",\"amount\":1}", &c), "\"version\":2");
  CHECK_STR(ask(&w, "Deposit", "{\"account_id\":\"a\",\"amount\":1}", &c), STR("wrong_version"));
  c = (Command){.expected_version = ANY_VERSION, .metadata = STR("\x01")};
  CHECK_STR(ask(&w, "Deposit", "{\"account_id\":\"a\",\"amount\":1}", &c), STR("invalid_message"));
  c = (Command){.expected_version = ANY_VERSION, .consistency = CONSISTENCY_HANDLERS, .handlers = STR("\x81\x61X")};
  CHECK_STR(ask(&w, "Deposit", "{\"account_id\":\"a\",\"amount\":1}", &c), STR("unknown_handler"));
  world_stop(&w);
  code_done(&code);
}

/* Two versions expected at once: one of them is told. Both were put in before either was looked at. */
static void test_race(void) {
  Code code;
  World w;
  Got one, two;
  Err err;
  Command c = {.expected_version = 1};
  NEED(code_make(&code, bank) && world_start(&w, NULL, &code, seeded));
  (void)ask(&w, "Open", "{\"account_id\":\"a\",\"owner\":\"Ada\"}", NULL);
  CHECK(send(&w, "Deposit", "{\"account_id\":\"a\",\"amount\":1}", &c, &one, &err));
  CHECK(send(&w, "Deposit", "{\"account_id\":\"a\",\"amount\":2}", &c, &two, &err));
  (void)world_run(&w);
  CHECK(one.came && one.ok && two.came && !two.ok);
  CHECK_STR(look(&w, "Account", "a", "available", ""), STR("1"));
  got_free(&one);
  got_free(&two);
  world_stop(&w);
  code_done(&code);
}

/* Tenants see nothing of each other, and no name reaches another one's instances. */
static void test_tenants(void) {
  Code code;
  World w;
  Command c = {.expected_version = ANY_VERSION, .tenant = STR("acme")};
  NEED(code_make(&code, bank) && world_start(&w, NULL, &code, seeded));
  CHECK_HAS(ask(&w, "Open", "{\"account_id\":\"a\",\"owner\":\"Ada\"}", NULL), "\"version\":1");
  CHECK_HAS(ask(&w, "Open", "{\"account_id\":\"a\",\"owner\":\"Acme\"}", &c), "\"version\":1");
  CHECK_HAS(ask(&w, "Deposit", "{\"account_id\":\"a\",\"amount\":7}", &c), "\"version\":2");
  CHECK_STR(look(&w, "Account", "a", "available", ""), STR("0"));
  CHECK_STR(look(&w, "Account", "a", "available", "default"), STR("0"));
  CHECK_STR(look(&w, "Account", "a", "available", "acme"), STR("7"));
  c.tenant = STR("ac\tme");
  CHECK_STR(ask(&w, "Touch", "{\"account_id\":\"a\"}", &c), STR("invalid_tenant"));
  c.tenant = STR("acme");
  c.idempotency_key = STR("k");
  CHECK_HAS(ask(&w, "Deposit", "{\"account_id\":\"a\",\"amount\":1}", &c), "\"version\":3");
  c.tenant = (Str){0};
  CHECK_HAS(ask(&w, "Deposit", "{\"account_id\":\"a\",\"amount\":1}", &c), "\"version\":2"); /* a key is its tenant's */
  world_stop(&w);
  code_done(&code);
}

/* ---- idempotency ------------------------------------------------------------------ */

static void test_idempotency(void) {
  Code code;
  World w;
  char room[64];
  const char *dir = dir_new(room);
  Got one, two;
  Err err;
  Command c = {.expected_version = ANY_VERSION, .idempotency_key = STR("req-7")};
  NEED(code_make(&code, bank) && world_start(&w, dir, &code, (SchedulerOptions){0}));
  (void)ask(&w, "Open", "{\"account_id\":\"a\",\"owner\":\"Ada\"}", NULL);
  (void)ask(&w, "Open", "{\"account_id\":\"b\",\"owner\":\"Bob\"}", NULL);
  CHECK(send(&w, "Deposit", "{\"account_id\":\"a\",\"amount\":5}", &c, &one, &err)); /* twice in one round */
  CHECK(send(&w, "Deposit", "{\"account_id\":\"a\",\"amount\":5}", &c, &two, &err));
  (void)world_run(&w);
  CHECK(one.ok && two.ok);
  CHECK_STR(buf_view(&one.text), buf_view(&two.text));
  CHECK_STR(look(&w, "Account", "a", "available", ""), STR("5"));
  CHECK_HAS(ask(&w, "Deposit", "{\"account_id\":\"a\",\"amount\":5}", &c), "\"version\":2");
  CHECK_STR(ask(&w, "Deposit", "{\"account_id\":\"b\",\"amount\":5}", &c), STR("idempotency_key_reused"));
  CHECK_STR(ask(&w, "Withdraw", "{\"account_id\":\"a\",\"amount\":5}", &c), STR("idempotency_key_reused"));
  c.idempotency_key = STR("req-8"); /* a refusal is not kept: it did nothing */
  CHECK_STR(ask(&w, "Withdraw", "{\"account_id\":\"a\",\"amount\":6}", &c), STR("insufficient_funds"));
  (void)ask(&w, "Deposit", "{\"account_id\":\"a\",\"amount\":5}", NULL);
  CHECK_HAS(ask(&w, "Withdraw", "{\"account_id\":\"a\",\"amount\":6}", &c), "ok");
  world_stop(&w);
  c.idempotency_key = STR("req-7");
  NEED(world_start(&w, dir, &code, (SchedulerOptions){0}));
  CHECK_HAS(ask(&w, "Deposit", "{\"account_id\":\"a\",\"amount\":5}", &c), "\"version\":2"); /* after a restart */
  CHECK_STR(look(&w, "Account", "a", "available", ""), STR("4"));
  world_stop(&w);
  got_free(&one);
  got_free(&two);
  code_done(&code);
  dir_gone(dir);
}

static void test_prune(void) {
  Code code;
  World w;
  Command c = {.expected_version = ANY_VERSION};
  char key[20];
  NEED(code_make(&code, bank) && world_start(&w, NULL, &code, seeded));
  (void)ask(&w, "Open", "{\"account_id\":\"a\",\"owner\":\"Ada\"}", NULL);
  for (int n = 0; n < 100; n++) {
    snprintf(key, sizeof key, "k%d", n);
    c.idempotency_key = str_of(key);
    CHECK_HAS(ask(&w, "Deposit", "{\"account_id\":\"a\",\"amount\":1}", &c), "ok");
  }
  world_sleep(&w, INT64_C(6) * 86400 * 1000000); /* six days: all are there */
  CHECK_HAS(ask(&w, "Deposit", "{\"account_id\":\"a\",\"amount\":1}", &c), "\"version\":101");
  world_sleep(&w, INT64_C(2) * 86400 * 1000000);
  for (int n = 0; n < 8; n++) { /* idle rounds take some away each */
    world_sleep(&w, 1000000);
    (void)world_run(&w);
  }
  CHECK_HAS(ask(&w, "Deposit", "{\"account_id\":\"a\",\"amount\":1}", &c), "\"version\":102");
  world_stop(&w);
  code_done(&code);
}

/* ---- streams: snapshots, pages, restarts, other code -------------------------------- */

static void deposit_many(World *w, int count) {
  Got *got = mem_alloc((size_t)count * sizeof *got);
  Err err;
  for (int n = 0; n < count; n++) {
    CHECK(send(w, "Deposit", "{\"account_id\":\"a\",\"amount\":1}", NULL, &got[n], &err));
    if (n % 70 == 69) (void)world_run(w); /* more rows than a page in one round */
  }
  (void)world_run(w);
  for (int n = 0; n < count; n++) {
    CHECK(got[n].came && got[n].ok);
    got_free(&got[n]);
  }
  mem_free(got);
}

static void stream_program(const char *text, uint64_t folds) {
  Code code, other;
  World w;
  char room[64];
  const char *dir = dir_new(room);
  NEED(code_make(&code, text) && world_start(&w, dir, &code, (SchedulerOptions){0}));
  (void)ask(&w, "Open", "{\"account_id\":\"a\",\"owner\":\"Ada\"}", NULL);
  deposit_many(&w, 333);
  world_stop(&w);
  NEED(world_start(&w, dir, &code, (SchedulerOptions){0}));
  CHECK_STR(look(&w, "Account", "a", "available", ""), STR("333"));
  CHECK(agents_counts(w.app->agents).folds == folds); /* a snapshot is used, or every event is folded */
  deposit_many(&w, 3);
  uint64_t records = 0;
  Err err = {0};
  CHECK(journal_verify(node_store(w.node), 1, &records, &err) && records == 1 + 2 * 337); /* one chain, whole */
  if (err.code != ERR_NONE) fprintf(stderr, "%s\n", err.text);
  world_stop(&w);
  /* evolve code that changed folds again by itself */
  NEED(code_make(&other, BANK_TYPES BANK_AGENT("  snapshot every 5 events\n", "balance += 2 * amount") BANK_ROUTER));
  NEED(world_start(&w, dir, &other, (SchedulerOptions){0}));
  CHECK_STR(look(&w, "Account", "a", "available", ""), STR("672"));
  Err changed;
  CHECK(world_activate(&w, &code, &changed)); /* and back, while the node runs */
  CHECK_STR(look(&w, "Account", "a", "available", ""), STR("336"));
  world_stop(&w);
  code_done(&code);
  code_done(&other);
  dir_gone(dir);
}

static void test_snapshots(void) { stream_program(bank, 4); }
static void test_pages(void) {
  stream_program(BANK_TYPES BANK_AGENT("", "balance += amount") BANK_ROUTER, 334);
}

/* Another agent with the same prefix must not fold this one's events. */
static void test_other_agent(void) {
  static const char two[] =
      BANK_TYPES BANK_AGENT("", "balance += amount")
      "command Note(account_id: string)\n"
      "event Noted()\n"
      "agent Diary:\n"
      "  state { n: 0 }\n"
      "  decide Note(): emit Noted()\n"
      "  evolve Noted(): n += 1\n"
      "\n"
      "router Bank:\n"
      "  identify Account by account_id, prefix \"account-\"\n"
      "  identify Diary by account_id, prefix \"account-\"\n"
      "  dispatch [Open, Deposit, Withdraw, Spin, Touch, Overdraw] -> Account\n"
      "  dispatch Note -> Diary\n"
      "start Bank\n";
  Code code;
  World w;
  NEED(code_make(&code, two) && world_start(&w, NULL, &code, seeded));
  (void)ask(&w, "Open", "{\"account_id\":\"a\",\"owner\":\"Ada\"}", NULL);
  CHECK_STR(ask(&w, "Note", "{\"account_id\":\"a\"}", NULL), STR("broken_instance"));
  CHECK_HAS(ask(&w, "Note", "{\"account_id\":\"n\"}", NULL), "\"version\":1");
  world_stop(&w);
  code_done(&code);
}

/* Idle instances leave memory: by lifespan, and by bytes. */
static void test_memory(void) {
  Code code;
  World w;
  char json[80];
  SchedulerOptions o = seeded;
  o.agent_cache = 20000;
  NEED(code_make(&code, BANK_TYPES BANK_AGENT("  lifespan 10m\n", "balance += amount") BANK_ROUTER) &&
      world_start(&w, NULL, &code, o));
  for (int n = 0; n < 300; n++) {
    snprintf(json, sizeof json, "{\"account_id\":\"a%d\",\"owner\":\"Ada\"}", n);
    CHECK_HAS(ask(&w, "Open", json, NULL), "opened");
  }
  AgentCounts counts = agents_counts(w.app->agents);
  CHECK(counts.bytes <= 20000 && counts.instances > 10 && counts.instances < 300);
  CHECK_HAS(ask(&w, "Deposit", "{\"account_id\":\"a0\",\"amount\":5}", NULL), "\"version\":2"); /* read again */
  world_sleep(&w, INT64_C(11) * 60 * 1000000);
  CHECK_HAS(ask(&w, "Deposit", "{\"account_id\":\"a0\",\"amount\":5}", NULL), "\"version\":3");
  CHECK(agents_counts(w.app->agents).instances <= 2);
  world_stop(&w);
  code_done(&code);
}

/* ---- instances out of order ----------------------------------------------------------- */

/* Code that cannot fold what is stored stops that instance alone, says which event it was, and other code heals it. */
static void test_poison(void) {
  static const char wrong[] = BANK_TYPES BANK_AGENT("", "balance += [amount][amount - 50]") BANK_ROUTER;
  Code right, other;
  World w;
  Err err;
  Got g;
  NEED(code_make(&right, bank) && code_make(&other, wrong) && world_start(&w, NULL, &right, seeded));
  (void)ask(&w, "Open", "{\"account_id\":\"a\",\"owner\":\"Ada\"}", NULL);
  (void)ask(&w, "Open", "{\"account_id\":\"b\",\"owner\":\"Bob\"}", NULL);
  (void)ask(&w, "Deposit", "{\"account_id\":\"a\",\"amount\":51}", NULL);
  NEED(world_activate(&w, &other, &err));
  CHECK(send(&w, "Touch", "{\"account_id\":\"a\"}", NULL, &g, &err));
  (void)world_run(&w);
  CHECK(g.came && !g.ok);
  CHECK_HAS(buf_view(&g.text), "broken_instance");
  CHECK_HAS(buf_view(&g.text), "`account-a`: event 2 (Deposited)");
  got_free(&g);
  CHECK_HAS(ask(&w, "Deposit", "{\"account_id\":\"b\",\"amount\":50}", NULL), "\"version\":2");
  CHECK_STR(ask(&w, "Deposit", "{\"account_id\":\"b\",\"amount\":99}", NULL), STR("index_out_of_range"));
  CHECK_STR(look(&w, "Account", "b", "available", ""), STR("50")); /* a decision that fails changes nothing */
  NEED(world_activate(&w, &right, &err));
  CHECK_STR(look(&w, "Account", "a", "available", ""), STR("51"));
  world_stop(&w);
  code_done(&right);
  code_done(&other);
}

static void spoil(const char *dir, const char *sql) {
  char path[100];
  sqlite3 *db;
  snprintf(path, sizeof path, "%s/z8.db", dir);
  CHECK(sqlite3_open(path, &db) == SQLITE_OK && sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK);
  sqlite3_close(db);
}

/* Bytes that are not ours are an error of that instance, never a fresh start and never a crash. */
static void test_damage(void) {
  static const char *const damage[] = {
      "UPDATE log SET bytes = zeroblob(30) WHERE gid = 2", "UPDATE log SET bytes = substr(bytes, 1, 90) WHERE gid = 3",
      "UPDATE log SET bytes = x'0a0b0c' WHERE gid = 1", "UPDATE log SET bytes = (SELECT bytes FROM log WHERE gid = 3)"
      " WHERE gid = 2", "DELETE FROM log WHERE gid = 2"};
  Code code;
  World w;
  NEED(code_make(&code, bank));
  for (size_t n = 0; n < COUNT_OF(damage); n++) {
    char room[64];
    const char *dir = dir_new(room);
    NEED(world_start(&w, dir, &code, (SchedulerOptions){0}));
    (void)ask(&w, "Open", "{\"account_id\":\"a\",\"owner\":\"Ada\"}", NULL);
    (void)ask(&w, "Deposit", "{\"account_id\":\"a\",\"amount\":5}", NULL);
    (void)ask(&w, "Deposit", "{\"account_id\":\"a\",\"amount\":5}", NULL);
    (void)ask(&w, "Open", "{\"account_id\":\"b\",\"owner\":\"Bob\"}", NULL);
    world_stop(&w);
    spoil(dir, damage[n]);
    NEED(world_start(&w, dir, &code, (SchedulerOptions){0}));
    CHECK_STR(ask(&w, "Touch", "{\"account_id\":\"a\"}", NULL), STR("broken_instance"));
    CHECK_HAS(ask(&w, "Touch", "{\"account_id\":\"b\"}", NULL), "ok");
    world_stop(&w);
    dir_gone(dir);
  }
  code_done(&code);
}

/* A snapshot that cannot be read is passed over: it is a cache. */
static void test_bad_snapshot(void) {
  Code code;
  World w;
  char room[64];
  const char *dir = dir_new(room);
  NEED(code_make(&code, bank) && world_start(&w, dir, &code, (SchedulerOptions){0}));
  (void)ask(&w, "Open", "{\"account_id\":\"a\",\"owner\":\"Ada\"}", NULL);
  deposit_many(&w, 9);
  world_stop(&w);
  spoil(dir, "UPDATE kv SET value = x'00' WHERE space = 1");
  NEED(world_start(&w, dir, &code, (SchedulerOptions){0}));
  CHECK_STR(look(&w, "Account", "a", "available", ""), STR("9"));
  world_stop(&w);
  code_done(&code);
  dir_gone(dir);
}

/* ---- a store that fails -------------------------------------------------------------------- */

/* At every operation of the store in turn: what was answered is there afterwards, all or nothing of each command, and who
** was not answered was told so. */
static bool failing_at(FaultyVfs *vfs, Code *code, const char *dir, FaultyMode mode, uint64_t nth) {
  World w;
  Err err;
  Got got[6] = {0};
  int accepted = 0;
  if (!world_start(&w, dir, code, (SchedulerOptions){0})) return true;
  (void)ask(&w, "Open", "{\"account_id\":\"a\",\"owner\":\"Ada\"}", NULL);
  faulty_vfs_arm(vfs, mode, nth);
  for (int n = 0; n < 6; n++) {
    CHECK(send(&w, "Deposit", "{\"account_id\":\"a\",\"amount\":1}", NULL, &got[n], &err));
    if (n % 2 == 1) (void)scheduler_run(w.s, 0, 0, &err);
    if (n % 2 == 1 && !got[n].came) break;
  }
  bool hit = faulty_vfs_hit(vfs);
  bool past = faulty_vfs_ops(vfs) < nth;
  for (int n = 0; n < 6; n++) {
    accepted += got[n].ok;
    if (got[n].came && !got[n].ok) CHECK_HAS(buf_view(&got[n].text), "store_failed");
    got_free(&got[n]);
  }
  CHECK(hit || accepted == 6);
  world_stop(&w);
  faulty_vfs_arm(vfs, mode, 0);
  faulty_vfs_restart(vfs, false, nth);
  if (!world_start(&w, dir, code, (SchedulerOptions){0})) return true;
  int64_t balance = -1;
  CHECK(int_parse(look(&w, "Account", "a", "available", ""), &balance) && balance >= accepted && balance % 2 == 0);
  uint64_t records = 0;
  CHECK(journal_verify(node_store(w.node), 1, &records, &err) && records == 3 + 2 * (uint64_t)balance);
  world_stop(&w);
  return past;
}

static void test_failing(void) {
  Code code;
  char room[64];
  NEED(code_make(&code, bank));
  world_vfs = "bus-faulty";
  for (int mode = FAULTY_IOERR; mode <= FAULTY_KILL; mode++) {
    bool over = false;
    uint64_t nth = 1;
    for (; !over && nth < 400 && test_checks_failed == 0; nth += 3) {
      FaultyVfs *vfs = faulty_vfs_new(world_vfs);
      const char *dir = dir_new(room);
      over = failing_at(vfs, &code, dir, (FaultyMode)mode, nth);
      dir_gone(dir);
      faulty_vfs_free(vfs);
    }
    CHECK(over && nth > 9);
  }
  world_vfs = NULL;
  code_done(&code);
}

/* ---- long decisions -------------------------------------------------------------------- */

static void test_long(void) {
  Code code;
  World w;
  Got spin, after, other;
  Err err;
  NEED(code_make(&code, bank) && world_start(&w, NULL, &code, seeded));
  (void)ask(&w, "Open", "{\"account_id\":\"a\",\"owner\":\"Ada\"}", NULL);
  (void)ask(&w, "Open", "{\"account_id\":\"b\",\"owner\":\"Bob\"}", NULL);
  CHECK(send(&w, "Spin", "{\"account_id\":\"a\",\"n\":1000000}", NULL, &spin, &err));
  CHECK(send(&w, "Deposit", "{\"account_id\":\"a\",\"amount\":5}", NULL, &after, &err));
  CHECK(send(&w, "Deposit", "{\"account_id\":\"b\",\"amount\":5}", NULL, &other, &err));
  CHECK(bus_collect(w.app->bus, app_now(w.app), &err) && round_commit(w.s, &err));
  CHECK(other.came && !spin.came && !after.came); /* nobody else waits */
  (void)world_run(&w);
  CHECK(spin.came && spin.ok && after.came && after.ok);
  CHECK_HAS(buf_view(&spin.text), "\"version\":2");
  CHECK_HAS(buf_view(&after.text), "\"version\":3"); /* in order */
  got_free(&spin);
  got_free(&after);
  got_free(&other);
  CHECK_STR(ask(&w, "Spin", "{\"account_id\":\"a\",\"n\":1000000000}", NULL), STR("limit_instructions"));
  CHECK(send(&w, "Spin", "{\"account_id\":\"a\",\"n\":1000000}", NULL, &spin, &err));
  CHECK(send(&w, "Touch", "{\"account_id\":\"a\"}", NULL, &after, &err));
  CHECK(bus_collect(w.app->bus, app_now(w.app), &err) && round_commit(w.s, &err));
  bus_stop(w.app->bus); /* as when another bundle becomes active: it begins again */
  bus_activate(w.app->bus);
  (void)world_run(&w);
  CHECK(spin.ok && after.ok);
  CHECK_HAS(buf_view(&spin.text), "\"version\":4");
  got_free(&spin);
  got_free(&after);
  world_stop(&w);
  code_done(&code);
}

static void test_full(void) {
  Code code;
  World w;
  Err err = {0};
  Got *got = mem_alloc(70000 * sizeof *got);
  uint32_t in = 0;
  NEED(code_make(&code, bank) && world_start(&w, NULL, &code, seeded));
  while (in < 70000 && send(&w, "Touch", "{\"account_id\":\"a\"}", NULL, &got[in], &err)) in++;
  CHECK(in == 65536 && err.code == ERR_LIMIT);
  (void)world_run(&w);
  uint32_t came = 0;
  for (uint32_t n = 0; n < in; n++) {
    came += got[n].came && got[n].ok;
    got_free(&got[n]);
  }
  CHECK(came == in);
  mem_free(got);
  world_stop(&w);
  code_done(&code);
}

/* ---- events ------------------------------------------------------------------------------ */

typedef struct Seen {
  uint32_t count;
  uint64_t last;
  Uuid command, correlation, id;
  Buf meta;
} Seen;

static bool seen_event(void *context, const StoredEvent *e) {
  Seen *s = context;
  s->count++;
  CHECK(e->position > s->last && e->number == s->count);
  CHECK(memcmp(e->id.byte, s->id.byte, 16) > 0); /* ids rise */
  s->last = e->position;
  s->id = e->id;
  s->command = e->command;
  s->correlation = e->correlation;
  StoredEvent copy = *e;
  copy.key = STR("account-a");
  copy.tenant = STR("default");
  buf_clear(&s->meta);
  event_meta(&copy, &s->meta);
  return true;
}

static bool seen_row(void *context, const LogRow *row) {
  Err err;
  CHECK(events_each(row, seen_event, context, &err));
  return true;
}

static void test_events(void) {
  Code code;
  World w;
  Seen seen = {0};
  Buf json = {0};
  Err err;
  Str key, agent, tenant;
  Command c = {.expected_version = ANY_VERSION, .tenant = STR("default"), .actor = STR("ada"),
               .id = {{1, 2, 3}}, .correlation = {{4, 5, 6}}, .causation = {{7}}};
  NEED(code_make(&code, bank) && world_start(&w, NULL, &code, seeded));
  (void)ask(&w, "Open", "{\"account_id\":\"a\",\"owner\":\"Ada\"}", NULL);
  (void)ask(&w, "Deposit", "{\"account_id\":\"a\",\"amount\":5}", &c);
  CHECK(store_log_from(node_store(w.node), 0, seen_row, &seen, &err));
  CHECK(seen.count == 2 && seen.last == 2 * 4096 + 1);
  CHECK(memcmp(seen.command.byte, c.id.byte, 16) == 0 && memcmp(seen.correlation.byte, c.correlation.byte, 16) == 0);
  CHECK(cbor_to_json(buf_view(&seen.meta), &json, &err));
  CHECK_HAS(buf_view(&json), "\"actor\":\"ada\",\"tenant\":\"default\",\"causation\":\"01020300-");
  CHECK_HAS(buf_view(&json), "\"stream\":\"account-a\",\"number\":2,\"position\":8193");
  CHECK(agents_stream_name(w.app->agents, 1, &key, &agent, &tenant, &err));
  CHECK_STR(key, STR("account-a"));
  CHECK_STR(agent, STR("Account"));
  CHECK_STR(tenant, STR("default"));
  buf_deinit(&seen.meta);
  buf_deinit(&json);
  world_stop(&w);
  code_done(&code);
}

/* ---- meta, middleware, jobs ------------------------------------------------------------------- */

/* What evolve saw of the command is what it sees again when the events are folded from the store. */
static void test_meta(void) {
  static const char text[] =
      "command Note(id: string, text: string)\n"
      "event Noted(text: string)\n"
      "agent Diary:\n"
      "  state { last: \"\" }\n"
      "  decide Note(text) when meta.actor is nil: reject \"who\"\n"
      "  decide Note(text):\n"
      "    emit Noted(text: \"${text} ${meta.actor} ${meta.id}\")\n"
      "  evolve Noted(e):\n"
      "    last = \"${e.text} ${meta.id} ${meta.time} ${meta.tenant} ${meta.causation} ${meta.metadata.ip}\"\n"
      "  view newest(): return last\n"
      "router R:\n"
      "  identify Diary by id\n"
      "  dispatch Note -> Diary\n"
      "start R\n";
  Code code;
  World w;
  char room[64];
  const char *dir = dir_new(room);
  Buf before = {0}, metadata = {0};
  Err err;
  NEED(code_make(&code, text) && world_start(&w, dir, &code, (SchedulerOptions){0}));
  CHECK_STR(ask(&w, "Note", "{\"id\":\"d\",\"text\":\"x\"}", NULL), STR("who"));
  CHECK(cbor_from_json(STR("{\"ip\":\"10.0.0.1\"}"), &metadata, &err));
  Command c = {.expected_version = ANY_VERSION, .actor = STR("ada"), .causation = {{9}}, .metadata = buf_view(&metadata)};
  CHECK_HAS(ask(&w, "Note", "{\"id\":\"d\",\"text\":\"x\"}", &c), "x ada 0");
  buf_str(&before, look(&w, "Diary", "d", "newest", ""));
  CHECK_HAS(buf_view(&before), "default 09000000-0000-0000-0000-000000000000 10.0.0.1");
  world_stop(&w);
  NEED(world_start(&w, dir, &code, (SchedulerOptions){0}));
  CHECK_STR(look(&w, "Diary", "d", "newest", ""), buf_view(&before));
  world_stop(&w);
  buf_deinit(&before);
  buf_deinit(&metadata);
  code_done(&code);
  dir_gone(dir);
}

static void test_middleware(void) {
  static const char text[] =
      BANK_TYPES BANK_AGENT("", "balance += amount")
      "fn authorize(command, meta):\n"
      "  if meta.actor is nil: raise \"forbidden\"\n"
      "fn sober(command, meta):\n"
      "  if command.amount > 100: raise \"too_much\"\n"
      "router Bank:\n"
      "  identify Account by account_id, prefix \"account-\"\n"
      "  dispatch [Open, Deposit, Withdraw, Spin, Touch, Overdraw] -> Account\n"
      "  before every command: authorize\n"
      "  before [Deposit]: sober\n"
      "start Bank\n";
  Code code;
  World w;
  Command c = {.expected_version = ANY_VERSION, .actor = STR("ada")};
  NEED(code_make(&code, text) && world_start(&w, NULL, &code, seeded));
  CHECK_STR(ask(&w, "Open", "{\"account_id\":\"a\",\"owner\":\"Ada\"}", NULL), STR("forbidden"));
  CHECK_HAS(ask(&w, "Open", "{\"account_id\":\"a\",\"owner\":\"Ada\"}", &c), "ok");
  CHECK_STR(ask(&w, "Deposit", "{\"account_id\":\"a\",\"amount\":500}", NULL), STR("forbidden")); /* in order */
  CHECK_STR(ask(&w, "Deposit", "{\"account_id\":\"a\",\"amount\":500}", &c), STR("too_much"));
  CHECK_HAS(ask(&w, "Deposit", "{\"account_id\":\"a\",\"amount\":50}", &c), "\"version\":2");
  world_stop(&w);
  code_done(&code);
}

/* A job that was decided on is in the commit of the decision; one that makes no sense takes the decision with it. */
static void test_jobs(void) {
  static const char text[] =
      "command Buy(id: string, priority: int)\n"
      "event Bought(n: int)\n"
      "worker Receipt(id: string):\n"
      "  perform(job): print(\"receipt ${job.id}\")\n"
      "agent Shop:\n"
      "  state { bought: 0 }\n"
      "  decide Buy(cmd):\n"
      "    emit Bought(n: 1)\n"
      "    enqueue Receipt(id: cmd.id)\n"
      "    enqueue Receipt(id: \"${cmd.id} again\") priority: cmd.priority\n"
      "  evolve Bought(e): bought += e.n\n"
      "  view count(): return bought\n"
      "router R:\n"
      "  identify Shop by id\n"
      "  dispatch Buy -> Shop\n"
      "start R\n";
  Code code;
  World w;
  NEED(code_make(&code, text) && world_start(&w, NULL, &code, seeded));
  CHECK_STR(ask(&w, "Buy", "{\"id\":\"s\",\"priority\":12}", NULL), STR("invalid_job"));
  CHECK_STR(look(&w, "Shop", "s", "count", ""), STR("0"));
  CHECK(store_counts(node_store(w.node)).jobs == 0);
  CHECK_HAS(ask(&w, "Buy", "{\"id\":\"s\",\"priority\":1}", NULL), "\"version\":1");
  CHECK_HAS(buf_view(&w.printed), "receipt s;");
  CHECK_HAS(buf_view(&w.printed), "receipt s again;");
  world_stop(&w);
  code_done(&code);
}

/* ---- deadlines ------------------------------------------------------------------------------------ */

static void test_deadlines(void) {
  enum { MANY = 500 };
  Deadlines heap = {0};
  Deadline at[MANY] = {{0}};
  uint64_t chance = 1;
  for (int turn = 0; turn < 20000; turn++) {
    chance = chance * UINT64_C(6364136223846793005) + 1442695040888963407u;
    Deadline *d = &at[chance >> 33 & 0xff];
    if (chance >> 60 < 5) deadlines_drop(&heap, d);
    else deadlines_set(&heap, d, (int64_t)(chance >> 40 & 0xffff));
  }
  int64_t before = -1;
  uint32_t count = 0;
  for (Deadline *d; (d = deadlines_first(&heap)) != NULL; count++) {
    CHECK(d->due_us >= before);
    before = d->due_us;
    deadlines_drop(&heap, d);
  }
  CHECK(count > 100);
  for (int n = 0; n < MANY; n++) CHECK(at[n].place == 0);
  deadlines_deinit(&heap);
}

/* ---- versions ------------------------------------------------------------------------------ */

#define VERSIONED(event, upcast, emit) \
  "command Add(id: string, n: int)\n" \
  event upcast \
  "agent Sum:\n" \
  "  state { total: 0 }\n" \
  "  decide Add(n): " emit "\n" \
  "  evolve Added(e): total += e.n\n" \
  "  view total_now(): return total\n" \
  "router R:\n" \
  "  identify Sum by id\n" \
  "  dispatch Add -> Sum\n" \
  "start R\n"

static void test_versions(void) {
  static const char first[] = VERSIONED("event Added(n: int)\n", "", "emit Added(n: n)");
  static const char second[] = VERSIONED("event Added version 2 (n: int, unit: string)\n",
                                         "upcast Added from 1 (old): return { n: old.n * 100, unit: \"cent\" }\n",
                                         "emit Added(n: n, unit: \"cent\")");
  Code one, two;
  World w;
  char room[64];
  const char *dir = dir_new(room);
  Err err = {0};
  NEED(code_make(&one, first) && code_make(&two, second) && world_start(&w, dir, &one, (SchedulerOptions){0}));
  CHECK_HAS(ask(&w, "Add", "{\"id\":\"s\",\"n\":2}", NULL), "ok");
  CHECK(world_activate(&w, &two, &err));
  CHECK_STR(look(&w, "Sum", "s", "total_now", ""), STR("200"));
  CHECK(world_activate(&w, &one, &err)); /* nothing newer is stored yet */
  CHECK(world_activate(&w, &two, &err));
  CHECK_HAS(ask(&w, "Add", "{\"id\":\"s\",\"n\":5}", NULL), "ok");
  CHECK(!world_activate(&w, &one, &err) && err.code == ERR_VERSION);
  CHECK_HAS(str_of(err.text), "Added version 2 (here 1)");
  world_stop(&w);
  Hash256 active;
  NEED(world_open(&w, dir, (SchedulerOptions){0}));
  CHECK(app_stored_bundle(node_store(w.node), &active) && memcmp(&active, &two.c->bundle.id, sizeof active) == 0);
  CHECK(!world_activate(&w, &one, &err) && err.code == ERR_VERSION); /* after a restart too */
  CHECK(app_activate(w.app, active, &err));                          /* its bytes are in the store */
  CHECK_STR(look(&w, "Sum", "s", "total_now", ""), STR("205"));
  world_stop(&w);
  code_done(&one);
  code_done(&two);
  dir_gone(dir);
}

/* ---- runs that dispatch ---------------------------------------------------------------------- */

static bool script_begin(World *w, Code *code) {
  Err err = {0};
  Uuid id;
  BeginOptions begin = {.bundle = code->c->bundle.id, .entry = STR(""), .input = STR("\x80")};
  bool ok = scheduler_begin(w->s, &begin, &id, &err);
  if (!ok) fprintf(stderr, "%s\n", err.text);
  return ok;
}

static void test_runs(void) {
  static const char text[] =
      BANK_TYPES BANK_AGENT("", "balance += amount") BANK_ROUTER
      "r = dispatch Open(account_id: \"a\", owner: \"Ada\")\n"
      "print(r.reply, r.version, len(r.events))\n"
      "dispatch Deposit(account_id: \"a\", amount: 5)\n"
      "try:\n"
      "  dispatch Withdraw(account_id: \"a\", amount: 8)\n"
      "catch e:\n"
      "  print(e.code, e.data.short)\n"
      "s = dispatch Deposit(account_id: \"a\", amount: 5) with returning: state, expected_version: 2\n"
      "print(s.state.balance)\n"
      "dispatch Spin(account_id: \"a\", n: 300000)\n"
      "print(Account(\"a\").available())\n";
  Code code;
  World w;
  NEED(code_make(&code, text) && world_start(&w, NULL, &code, seeded));
  CHECK(script_begin(&w, &code));
  (void)world_run(&w);
  CHECK_STR(buf_view(&w.printed), STR("opened 1 1;insufficient_funds 3;10;10;"));
  world_stop(&w);
  code_done(&code);
}

int main(void) {
  RUN_TEST(test_commands);
  RUN_TEST(test_options);
  RUN_TEST(test_race);
  RUN_TEST(test_tenants);
  RUN_TEST(test_idempotency);
  RUN_TEST(test_prune);
  RUN_TEST(test_snapshots);
  RUN_TEST(test_pages);
  RUN_TEST(test_other_agent);
  RUN_TEST(test_memory);
  RUN_TEST(test_poison);
  RUN_TEST(test_damage);
  RUN_TEST(test_bad_snapshot);
  RUN_TEST(test_failing);
  RUN_TEST(test_long);
  RUN_TEST(test_full);
  RUN_TEST(test_events);
  RUN_TEST(test_meta);
  RUN_TEST(test_middleware);
  RUN_TEST(test_jobs);
  RUN_TEST(test_deadlines);
  RUN_TEST(test_versions);
  RUN_TEST(test_runs);
  return TEST_END();
}
