/* vm/runtime: handlers and strong consistency. What Commanded and its kin are known to get wrong here is a test each. */
#include "bus_world.h"

#include "vm/journal/chain.h"

#define TYPES \
  "command Put(id: string, n: int)\n" \
  "command Spin(id: string, n: int)\n" \
  "command Mark(id: string)\n" \
  "event Added(n: int)\n" \
  "event Marked()\n" \
  "agent Box:\n" \
  "  state { total: 0 }\n" \
  "  decide Put(n):\n" \
  "    emit Added(n: n)\n" \
  "    reply n\n" \
  "  decide Mark(): emit Marked()\n" \
  "  decide Spin(n):\n" \
  "    s = 0\n" \
  "    for i in range(n): s = s + i % 7\n" \
  "    emit Added(n: 1000)\n" \
  "    reply s\n" \
  "  evolve Added(e): total += e.n\n" \
  "  evolve Marked(): total += 0\n" \
  "  view sum(): return total\n" \
  "router R:\n" \
  "  identify Box by id\n" \
  "  dispatch [Put, Mark, Spin] -> Box\n" \
  "start R\n\n"

static const SchedulerOptions seeded = {.seeded = true, .seed = {{9}}};

static const Command plain = {.expected_version = ANY_VERSION};
static const Command strong = {.expected_version = ANY_VERSION, .consistency = CONSISTENCY_STRONG};

static Str put(World *w, const char *id, int n, const Command *c) {
  char json[80];
  snprintf(json, sizeof json, "{\"id\":\"%s\",\"n\":%d}", id, n);
  return ask(w, "Put", json, c);
}

/* Rounds, and the time that retries wait for. */
static void world_wait(World *w, int64_t us) {
  Err err = {0};
  CHECK(scheduler_run(w->s, 0, us, &err) != SCHEDULE_FAILED);
}

typedef struct Found {
  Str name;
  HandlerInfo info;
} Found;
static bool found_one(void *context, const HandlerInfo *info) {
  Found *f = context;
  if (!str_equal(f->name, info->name)) return true;
  f->info = *info;
  return false;
}
static HandlerInfo handler(World *w, const char *name) {
  Found f = {.name = str_of(name)};
  handlers_each(w->app->handlers, found_one, &f);
  return f.info;
}

/* ---- in order, once, from the start or from now ------------------------------------- */

static const char seeing[] =
    TYPES
    "handler Seen:\n"
    "  on Added(e): print(\"${meta.stream} ${meta.number} ${e.n}\")\n";

static void test_order(void) {
  Code code;
  World w;
  NEED(code_make(&code, seeing) && world_start(&w, NULL, &code, seeded));
  for (int n = 1; n <= 3; n++) CHECK_HAS(put(&w, "a", n, &plain), "ok");
  CHECK_HAS(ask(&w, "Mark", "{\"id\":\"a\"}", NULL), "ok");
  CHECK_HAS(put(&w, "b", 4, &plain), "ok");
  CHECK_STR(buf_view(&w.printed), STR("a 1 1;a 2 2;a 3 3;b 1 4;"));
  HandlerInfo info = handler(&w, "Seen");
  CHECK(info.running == 0 && info.waiting == 0 && info.dead == 0 && info.done == info.taken && info.taken > 4096);
  world_stop(&w);
  code_done(&code);
}

static void test_origin(void) {
  Code first, more;
  World w;
  char room[64];
  const char *dir = dir_new(room);
  static const char both[] =
      TYPES
      "handler Late:\n  from origin\n  on Added(e): print(\"late ${e.n}\")\n"
      "handler Now:\n  from current\n  on Added(e): print(\"now ${e.n}\")\n";
  NEED(code_make(&first, TYPES) && code_make(&more, both) && world_start(&w, dir, &first, (SchedulerOptions){0}));
  for (int n = 1; n <= 3; n++) CHECK_HAS(put(&w, "a", n, &plain), "ok");
  world_stop(&w);
  NEED(world_start(&w, dir, &more, (SchedulerOptions){0}));
  (void)world_run(&w);
  CHECK_STR(buf_view(&w.printed), STR("late 1;late 2;late 3;")); /* behind: it reads the log */
  CHECK_HAS(put(&w, "a", 4, &plain), "ok");
  CHECK_STR(buf_view(&w.printed), STR("late 1;late 2;late 3;late 4;now 4;"));
  world_stop(&w);
  NEED(world_start(&w, dir, &more, (SchedulerOptions){0}));
  (void)world_run(&w);
  CHECK_STR(buf_view(&w.printed), STR("")); /* nothing twice */
  world_stop(&w);
  NEED(world_start(&w, dir, &first, (SchedulerOptions){0})); /* the program without them: they are kept */
  CHECK_HAS(buf_view(&w.notices), "handler Late is not in the active program");
  CHECK_HAS(put(&w, "a", 5, &plain), "ok");
  world_stop(&w);
  NEED(world_start(&w, dir, &more, (SchedulerOptions){0}));
  (void)world_run(&w);
  CHECK_STR(buf_view(&w.printed), STR("late 5;now 5;"));
  world_stop(&w);
  code_done(&first);
  code_done(&more);
  dir_gone(dir);
}

/* Stopped after each round there is: each event is handled once all the same. */
static void test_stops(void) {
  Code code;
  World w;
  char room[64];
  const char *dir = dir_new(room);
  Got got[6];
  Err err;
  int seen = 0;
  NEED(code_make(&code, seeing));
  for (int n = 0; n < 6; n++) {
    char json[40];
    NEED(world_start(&w, dir, &code, (SchedulerOptions){0}));
    snprintf(json, sizeof json, "{\"id\":\"s%d\",\"n\":%d}", n % 2, n);
    CHECK(send(&w, "Put", json, NULL, &got[n], &err));
    for (int rounds = 0; rounds < n; rounds++)
      CHECK(app_collect(w.app, app_now(w.app), &err) && round_commit(w.s, &err));
    for (const char *p = w.printed.at; p != NULL && p < w.printed.at + w.printed.size; p++) seen += *p == ';';
    got_free(&got[n]);
    world_stop(&w);
  }
  NEED(world_start(&w, dir, &code, (SchedulerOptions){0}));
  (void)world_run(&w);
  for (const char *p = w.printed.at; p != NULL && p < w.printed.at + w.printed.size; p++) seen += *p == ';';
  CHECK(seen == 5); /* the first one was never looked at: nobody was told that it was accepted */
  CHECK(handler(&w, "Seen").waiting == 0 && handler(&w, "Seen").running == 0);
  world_stop(&w);
  code_done(&code);
  dir_gone(dir);
}

/* ---- poison ------------------------------------------------------------------------- */

static const char poisoned[] =
    TYPES
    "handler Careful:\n"
    "  consistency strong\n"
    "  concurrency 2\n"
    "  max_attempts 3 backoff 1s..4s\n"
    "  on Added(e):\n"
    "    if e.n < 0: raise \"bad_number\"\n"
    "    print(\"${meta.stream} ${e.n}\")\n";

static bool count_discarded(void *context, const LogRow *row) {
  Str rest = row->bytes, record;
  bool broken;
  uint64_t number, seq;
  while (frame_next(&rest, &record, &broken))
    if (record_scan(record, &number, &seq) && number == RECORD_DISCARDED) (*(uint32_t *)context)++;
  return true;
}

/* A poison event stops nobody but its own key, and that only until it is among the dead letters. */
static void test_poison(void) {
  Code code;
  World w;
  NEED(code_make(&code, poisoned) && world_start(&w, NULL, &code, seeded));
  CHECK_HAS(put(&w, "a", -1, &plain), "ok");
  CHECK_HAS(put(&w, "a", 2, &plain), "ok");
  CHECK_HAS(put(&w, "b", 3, &plain), "ok");
  CHECK_STR(buf_view(&w.printed), STR("b 3;"));
  HandlerInfo info = handler(&w, "Careful");
  CHECK(info.dead == 0 && info.waiting == 2 && info.done < info.taken);
  world_wait(&w, INT64_C(3600) * 1000000);
  CHECK_STR(buf_view(&w.printed), STR("b 3;a 2;"));
  info = handler(&w, "Careful");
  CHECK(info.dead == 1 && info.waiting == 0 && info.running == 0);
  Err err;
  uint32_t discarded = 0; /* each turn was given once, though its run had left memory meanwhile */
  CHECK(store_log_from(node_store(w.node), 0, count_discarded, &discarded, &err) && discarded == 0);
  world_stop(&w);
  code_done(&code);
}

static bool revive_dead(void *context, const RunRow *row) {
  uint64_t *number = context;
  if (row->status == RUN_STATUS_DEAD) *number = row->number;
  return true;
}

/* Dead letters survive a restart, and are forgotten once they are handled after all. */
static void test_dead(void) {
  static const char flaky[] =
      TYPES
      "handler Careful:\n"
      "  max_attempts 1\n"
      "  on Added(e):\n"
      "    if Box(\"switch\").sum() is 0: raise \"not_yet\"\n"
      "    print(\"${meta.stream} ${e.n}\")\n";
  Code code;
  World w;
  char room[64];
  const char *dir = dir_new(room);
  Err err = {0};
  uint64_t number = 0;
  NEED(code_make(&code, flaky) && world_start(&w, dir, &code, (SchedulerOptions){0}));
  CHECK_HAS(put(&w, "a", 1, &plain), "ok");
  CHECK(handler(&w, "Careful").dead == 1);
  world_stop(&w);
  NEED(world_start(&w, dir, &code, (SchedulerOptions){0}));
  CHECK(handler(&w, "Careful").dead == 1);
  CHECK_HAS(put(&w, "switch", 7, &plain), "ok");
  CHECK(store_run_each(node_store(w.node), 1, 0, revive_dead, &number, &err) && number != 0);
  Record revived = {.kind = RECORD_REVIVED, .REVIVED = {.by = STR("test")}};
  CHECK(scheduler_deliver(w.s, number, &revived, &err));
  (void)world_run(&w);
  CHECK_HAS(buf_view(&w.printed), "a 1;");
  CHECK(handler(&w, "Careful").dead == 0);
  world_stop(&w);
  code_done(&code);
  dir_gone(dir);
}

/* A handler leaves the program and comes back: what it had begun goes on meanwhile, what waited goes on then. */
static void test_leaves(void) {
  Code with, without;
  World w;
  Err err;
  NEED(code_make(&with, poisoned) && code_make(&without, TYPES) && world_start(&w, NULL, &with, seeded));
  CHECK_HAS(put(&w, "a", -1, &plain), "ok");
  CHECK_HAS(put(&w, "a", 2, &plain), "ok");
  NEED(world_activate(&w, &without, &err));
  world_wait(&w, INT64_C(3600) * 1000000);
  HandlerInfo info = handler(&w, "Careful");
  CHECK(info.dead == 1 && info.waiting == 1);
  CHECK_STR(buf_view(&w.printed), STR(""));
  CHECK_HAS(put(&w, "a", 3, &strong), "ok"); /* it is nobody's business now */
  NEED(world_activate(&w, &with, &err));
  (void)world_run(&w);
  CHECK_STR(buf_view(&w.printed), STR("a 2;a 3;"));
  world_stop(&w);
  code_done(&with);
  code_done(&without);
}

static bool stray_one(void *context, const StrayLetter *letter) {
  uint32_t *count = context;
  CHECK_STR(letter->handler, STR("Seen"));
  CHECK(letter->position == 4097 && letter->note.size > 0);
  return ++*count > 0;
}

static uint32_t strays(World *w) {
  uint32_t count = 0;
  Err err;
  return handlers_strays(app_store(w->app), stray_one, &count, &err) ? count : UINT32_MAX;
}

/* An event that does not fit what the program says it is: no run can begin, others go on, another program heals it. */
static void test_misfit(void) {
  static const char text[] =
      "command Put(id: string, n: int)\n"
      "command Mark(id: string)\n"
      "event Added(n: string)\n"
      "event Marked()\n"
      "agent Box:\n"
      "  state { total: 0 }\n"
      "  decide Put(n): emit Added(n: \"${n}\")\n"
      "  decide Mark(): emit Marked()\n"
      "  evolve Added(e): total += len(e.n)\n"
      "  evolve Marked(): total += 0\n"
      "router R:\n"
      "  identify Box by id\n"
      "  dispatch [Put, Mark] -> Box\n"
      "start R\n"
      "handler Seen:\n"
      "  on Added(e): print(\"text ${e.n}\")\n";
  Code first, second;
  World w;
  Err err;
  NEED(code_make(&first, TYPES) && code_make(&second, text) && world_start(&w, NULL, &first, seeded));
  CHECK_HAS(put(&w, "a", 1, &plain), "ok");
  NEED(world_activate(&w, &second, &err));
  CHECK_HAS(put(&w, "b", 2, &plain), "ok");
  CHECK_STR(buf_view(&w.printed), STR("text 2;"));
  CHECK_HAS(buf_view(&w.notices), "handler Seen cannot begin with the event at position 4097");
  CHECK(handler(&w, "Seen").dead == 1 && strays(&w) == 1);
  Code healed;
  NEED(code_make(&healed, seeing) && world_activate(&w, &healed, &err));
  (void)world_run(&w);
  CHECK_STR(buf_view(&w.printed), STR("text 2;a 1 1;"));
  CHECK(handler(&w, "Seen").dead == 0 && strays(&w) == 0);
  world_stop(&w);
  code_done(&first);
  code_done(&second);
  code_done(&healed);
}

/* ---- strong consistency ------------------------------------------------------------------ */

static void test_strong(void) {
  Code code;
  World w;
  NEED(code_make(&code, poisoned) && world_start(&w, NULL, &code, seeded));
  CHECK_HAS(put(&w, "a", 1, &strong), "ok {\"reply\":1");
  CHECK_STR(buf_view(&w.printed), STR("a 1;")); /* it was handled before the answer came */
  CHECK_HAS(ask(&w, "Mark", "{\"id\":\"a\"}", &strong), "ok"); /* nobody handles it: what a filter leaves out is seen */
  CHECK_HAS(put(&w, "b", -1, &plain), "ok");
  CHECK_HAS(put(&w, "a", 2, &strong), "ok"); /* another key in trouble is not waited for */
  world_stop(&w);
  code_done(&code);
}

/* Who is late is named, and who has a dead letter of it; the result is in the error's data. */
static void test_strong_late(void) {
  Code code;
  World w;
  Got g;
  Err err;
  ErrorParts parts;
  NEED(code_make(&code, poisoned) && world_start(&w, NULL, &code, seeded));
  Command c = strong;
  c.timeout_us = 2000000;
  CHECK(send(&w, "Put", "{\"id\":\"a\",\"n\":-5}", &c, &g, &err));
  (void)world_run(&w);
  CHECK(!g.came);
  world_wait(&w, 2500000);
  CHECK(g.came && !g.ok && error_decode(buf_view(&g.raw), &parts));
  CHECK_STR(parts.code, STR("consistency_timeout"));
  CHECK_HAS(parts.message, "not handled in time by Careful");
  CHECK_HAS(buf_view(&g.text), "\"result\":{\"reply\":-5,\"version\":1");
  got_free(&g);
  c.timeout_us = INT64_C(3600) * 1000000;
  CHECK(send(&w, "Put", "{\"id\":\"b\",\"n\":-6}", &c, &g, &err));
  world_wait(&w, INT64_C(1800) * 1000000);
  CHECK(g.came && !g.ok && error_decode(buf_view(&g.raw), &parts));
  CHECK_STR(parts.code, STR("dead_lettered"));
  CHECK_HAS(parts.message, "among the dead letters of Careful");
  got_free(&g);
  CHECK_HAS(put(&w, "c", 1, &strong), "ok"); /* old dead letters do not spoil what comes after them */
  world_stop(&w);
  code_done(&code);
}

/* A handler far behind (just deployed) makes strong dispatches of its events late, and names itself. */
static void test_strong_behind(void) {
  Code first, more;
  World w;
  char room[64];
  const char *dir = dir_new(room);
  static const char slow[] = TYPES "handler Slow:\n  consistency strong\n  from origin\n  on Added(e): sleep 10s\n";
  NEED(code_make(&first, TYPES) && code_make(&more, slow) && world_start(&w, dir, &first, (SchedulerOptions){0}));
  for (int n = 0; n < 20; n++) CHECK_HAS(put(&w, "a", n, &strong), "ok"); /* nobody is strong */
  world_stop(&w);
  NEED(world_start(&w, dir, &more, (SchedulerOptions){0}));
  Command c = strong;
  c.timeout_us = 30000;
  Got g;
  Err err;
  CHECK(send(&w, "Put", "{\"id\":\"z\",\"n\":1}", &c, &g, &err));
  world_wait(&w, 100000);
  CHECK(g.came && !g.ok);
  CHECK_HAS(buf_view(&g.text), "Slow");
  got_free(&g);
  CHECK_HAS(ask(&w, "Mark", "{\"id\":\"z\"}", &c), "ok"); /* not of its business */
  world_stop(&w);
  code_done(&first);
  code_done(&more);
  dir_gone(dir);
}

/* Some handlers only. */
static void test_named(void) {
  static const char two[] =
      TYPES
      "handler Quick:\n  on Added(e): print(\"quick ${e.n}\")\n"
      "handler Slow:\n  consistency strong\n  on Added(e):\n    sleep 10s\n    print(\"slow ${e.n}\")\n";
  Code code;
  World w;
  Command c = {.expected_version = ANY_VERSION, .consistency = CONSISTENCY_HANDLERS, .handlers = STR("\x81\x65Quick")};
  NEED(code_make(&code, two) && world_start(&w, NULL, &code, seeded));
  CHECK_HAS(put(&w, "a", 1, &c), "ok");
  CHECK_STR(buf_view(&w.printed), STR("quick 1;"));
  world_stop(&w);
  code_done(&code);
}

/* A handling that dispatches strongly would wait for itself: it is told so at once, and nothing is appended. */
static void test_inside(void) {
  static const char text[] =
      TYPES
      "workflow Below(id: string):\n"
      "  dispatch Put(id: id, n: 50) with consistency: strong\n"
      "handler Echo:\n"
      "  consistency strong\n"
      "  max_attempts 1\n"
      "  on Marked(e):\n"
      "    try: dispatch Put(id: \"echo\", n: 1) with consistency: strong\n"
      "    catch x: print(x.code)\n"
      "    try: Below(\"echo\")\n"
      "    catch x: print(x.code)\n"
      "    r = dispatch Put(id: \"echo\", n: 2)\n"
      "    print(r.version)\n"
      "  on Added(e): print(\"added ${e.n}\")\n";
  Code code;
  World w;
  NEED(code_make(&code, text) && world_start(&w, NULL, &code, seeded));
  CHECK_HAS(ask(&w, "Mark", "{\"id\":\"a\"}", &strong), "ok");
  (void)world_run(&w);
  CHECK_STR(buf_view(&w.printed), STR("strong_in_handler;strong_in_handler;1;added 2;"));
  world_stop(&w);
  code_done(&code);
}

/* ---- stops at every moment ------------------------------------------------------------ */

static const char eventful[] =
    TYPES
    "handler Seen:\n"
    "  consistency strong\n"
    "  max_attempts 3 backoff 1ms..2ms\n"
    "  on Added(e):\n"
    "    print(\"seen ${e.n}\")\n"
    "    if e.n < 10: dispatch Put(id: \"copy\", n: e.n + 100)\n"
    "workflow Work(name: string):\n"
    "  a = dispatch Put(id: name, n: 1) with consistency: strong\n"
    "  print(\"a ${a.version}\")\n"
    "  b = dispatch Spin(id: name, n: 400000)\n"
    "  print(\"b ${b.version}\")\n"
    "  c = dispatch Put(id: name, n: 2) with consistency: strong, idempotency_key: \"k\"\n"
    "  d = dispatch Put(id: name, n: 2) with consistency: strong, idempotency_key: \"k\"\n"
    "  print(\"${c.version} ${d.version} ${Box(name).sum()}\")\n"
    "  parallel:\n"
    "    dispatch Spin(id: name, n: 300000)\n"
    "    dispatch Put(id: name, n: 3) with consistency: strong\n"
    "    dispatch Put(id: name, n: 4)\n"
    "Work(\"a\")\n"
    "print(\"over ${Box(\"a\").sum()} ${Box(\"copy\").sum()}\")\n";

static uint32_t times(Str text, const char *word) {
  uint32_t count = 0;
  size_t size = strlen(word);
  for (size_t n = 0; n + size <= text.size; n++) count += memcmp(text.at + n, word, size) == 0;
  return count;
}

/* Stopped before round N and started again: every command is carried out once, every event handled once, and the runs
** get the answers they would have got. True: it was over before. */
static bool stopped_at(Code *code, const char *dir, int rounds) {
  World w;
  Err err = {0};
  Uuid id;
  Buf printed = {0};
  BeginOptions begin = {.bundle = code->c->bundle.id, .entry = STR(""), .input = STR("\x80")};
  if (!world_start(&w, dir, code, (SchedulerOptions){0})) abort();
  CHECK(scheduler_begin(w.s, &begin, &id, &err));
  w.flushes = rounds;
  ScheduleResult r = scheduler_run(w.s, 0, 1000000, &err);
  bool over = r != SCHEDULE_STOPPED;
  CHECK(r != SCHEDULE_FAILED);
  buf_str(&printed, buf_view(&w.printed));
  world_stop(&w);
  if (!world_start(&w, dir, code, (SchedulerOptions){0})) abort();
  if (store_counts(node_store(w.node)).runs == 0) CHECK(scheduler_begin(w.s, &begin, &id, &err)); /* not even begun */
  CHECK(scheduler_run(w.s, 0, 1000000, &err) != SCHEDULE_FAILED);
  CHECK_STR(look(&w, "Box", "a", "sum", ""), STR("2010"));
  CHECK_STR(look(&w, "Box", "copy", "sum", ""), STR("410"));
  buf_str(&printed, buf_view(&w.printed));
  Str all = buf_view(&printed);
  CHECK(times(all, "seen ") <= 10 && times(all, "a 1;") == 1 && times(all, "b 2;") == 1);
  CHECK(times(all, "3 3 1003;") == 1 && times(all, "over ") == 1);
  HandlerInfo info = handler(&w, "Seen");
  CHECK(info.waiting == 0 && info.running == 0 && info.dead == 0);
  if (test_checks_failed > 0) fprintf(stderr, "stopped before round %d: " STR_FMT "\n", rounds, STR_ARG(all));
  buf_deinit(&printed);
  world_stop(&w);
  return over;
}

static void test_sweep(void) {
  Code code;
  char room[64];
  int rounds = 1;
  NEED(code_make(&code, eventful));
  for (bool over = false; !over && rounds < 200 && test_checks_failed == 0; rounds++) {
    const char *dir = dir_new(room);
    over = stopped_at(&code, dir, rounds);
    dir_gone(dir);
  }
  CHECK(rounds > 15);
  code_done(&code);
}

/* ---- provenance -------------------------------------------------------------------------- */

typedef struct Chain {
  StoredEvent events[8];
  uint32_t count;
} Chain;

static bool chain_event(void *context, const StoredEvent *e) {
  Chain *c = context;
  if (c->count < COUNT_OF(c->events)) c->events[c->count++] = *e;
  return true;
}

static bool chain_row(void *context, const LogRow *row) {
  Err err;
  CHECK(events_each(row, chain_event, context, &err));
  return true;
}

/* event -> handling -> command -> event: one correlation, and each is caused by the one before. */
static void test_provenance(void) {
  static const char text[] =
      TYPES
      "handler Copy:\n"
      "  on Marked(): dispatch Put(id: \"copy\", n: 1)\n";
  Code code;
  World w;
  Chain c = {.count = 0};
  Err err;
  RunRow run;
  Buf keep = {0};
  Command command = {.expected_version = ANY_VERSION, .correlation = {{3, 3, 3}}, .tenant = STR("acme")};
  NEED(code_make(&code, text) && world_start(&w, NULL, &code, seeded));
  CHECK_HAS(ask(&w, "Mark", "{\"id\":\"a\"}", &command), "ok");
  CHECK(store_log_from(node_store(w.node), 0, chain_row, &c, &err));
  CHECK(c.count == 2);
  if (c.count == 2) {
    CHECK(memcmp(&c.events[1].correlation, &command.correlation, sizeof(Uuid)) == 0);
    CHECK(store_run_by_id(node_store(w.node), c.events[1].causation, &run, &keep, &err));
    CHECK_STR(run.entry, STR("Copy.Marked"));
  }
  CHECK_STR(look(&w, "Box", "copy", "sum", "acme"), STR("1")); /* within the tenant */
  CHECK_STR(look(&w, "Box", "copy", "sum", ""), STR("0"));
  buf_deinit(&keep);
  world_stop(&w);
  code_done(&code);
}

/* ---- keys --------------------------------------------------------------------------------- */

static void test_keys(void) {
  static const char text[] =
      TYPES
      "handler ByNumber:\n"
      "  concurrency 8 by n\n"
      "  on Added(e):\n"
      "    if meta.stream is \"slow\": sleep 10s\n"
      "    print(\"${meta.stream} ${e.n}\")\n";
  Code code;
  World w;
  NEED(code_make(&code, text) && world_start(&w, NULL, &code, seeded));
  CHECK_HAS(put(&w, "slow", 1, &plain), "ok");
  CHECK_HAS(put(&w, "b", 1, &plain), "ok"); /* the same key, of another stream: after it */
  CHECK_HAS(put(&w, "b", 2, &plain), "ok");
  CHECK_STR(buf_view(&w.printed), STR("b 2;"));
  world_wait(&w, 11000000);
  CHECK_STR(buf_view(&w.printed), STR("b 2;slow 1;b 1;"));
  world_stop(&w);
  code_done(&code);
}

int main(void) {
  RUN_TEST(test_order);
  RUN_TEST(test_origin);
  RUN_TEST(test_stops);
  RUN_TEST(test_poison);
  RUN_TEST(test_dead);
  RUN_TEST(test_leaves);
  RUN_TEST(test_misfit);
  RUN_TEST(test_strong);
  RUN_TEST(test_strong_late);
  RUN_TEST(test_strong_behind);
  RUN_TEST(test_named);
  RUN_TEST(test_inside);
  RUN_TEST(test_sweep);
  RUN_TEST(test_provenance);
  RUN_TEST(test_keys);
  return TEST_END();
}
