/* vm/runtime: rounds, children, signals, parking; the same journals whatever the threads. */
#include "test.h"

#include <unistd.h>

#include "asm.h"
#include "vm/base/cbor.h"
#include "vm/base/file.h"
#include "vm/base/hash.h"
#include "vm/runtime/offline.h"
#include "vm/runtime/scheduler.h"
#include "vm/runtime/timers.h"
#include "vm/runtime/workers.h"

/* ---- programs ------------------------------------------------------------------- */

typedef struct Program_ {
  Asm *a;
  Bundle *bundle;
  Buf bytes;
} TestProgram;

/* fn 0 the script, fn 1 the workflow "Child". Sites in order: see each program. */
static uint32_t site(Asm *a, uint32_t fn, EffectKind kind, const char *target, uint32_t ordinal) {
  uint32_t i = asm_site(a, fn, kind);
  a->sites[i].ordinal = ordinal;
  if (target) a->sites[i].target = asm_string(a, target, strlen(target));
  return i;
}

static void program_make(TestProgram *p, Asm *a, const char *text) {
  p->a = a;
  p->bundle = asm_text(a, text);
  a->fns[0].kind = FNKIND_SCRIPT;
  if (a->b.fn_count > 1) {
    a->fns[1].kind = FNKIND_WORKFLOW;
    a->workflows[0] = (BundleWorkflow){.name = a->fns[1].name, .fn = 1, .doc = NONE_INDEX};
    a->b.workflow_count = 1;
  }
  for (uint32_t i = 0; i < a->b.site_count; i++)
    a->sites[i].id = bundle_site_id(&a->b, &a->sites[i]);
  p->bytes = (Buf){0};
  bundle_write(p->bundle, &p->bytes);
}

static void program_done(TestProgram *p) {
  buf_deinit(&p->bytes);
  asm_free(p->a);
}

/* Starts three children, awaits each; each child prints, sleeps longer than a second, gives n + 1.
 */
static void children_program(TestProgram *p) {
  Asm *a = asm_new();
  uint32_t pause = asm_const(a, (BundleConst){.kind = CONST_DURATION, .i = 1500000});
  char text[900];
  site(a, 0, EFFECT_RUN_START, "Child", 0);
  site(a, 0, EFFECT_RUN_AWAIT, NULL, 0);
  site(a, 0, EFFECT_PRINT, NULL, 0);
  site(a, 1, EFFECT_PRINT, NULL, 0);
  site(a, 1, EFFECT_SLEEP, NULL, 0);
  site(a, 1, EFFECT_NOW, NULL, 0);
  snprintf(
      text, sizeof text,
      ".fn main regs=8 flags=6\n"
      "LOADI 0 10\nEFFECT 0 1 0 0 0\nLOADI 1 20\nEFFECT 1 1 0 0 0\nLOADI 2 30\nEFFECT 2 1 0 0 0\n"
      "EFFECT 0 1 0 1 0\nEFFECT 1 1 0 1 0\nEFFECT 2 1 0 1 0\n"
      "EFFECT 0 3 0 2 0\nRETNIL\n"
      ".fn Child params=1 regs=6 flags=6\n"
      "MOVE 1 0\nEFFECT 1 1 0 3 0\nLOADK 1 %u\nEFFECT 1 1 0 4 0\nEFFECT 2 0 0 5 0\nADDI 0 0 1\nRET "
      "0\n",
      pause);
  program_make(p, a, text);
}

/* Waits for the signal "go" and prints it. */
static void signal_program(TestProgram *p) {
  Asm *a = asm_new();
  uint32_t go = asm_string(a, "go", 2);
  char text[300];
  site(a, 0, EFFECT_SIGNAL_WAIT, "go", 0);
  site(a, 0, EFFECT_PRINT, NULL, 0);
  snprintf(text, sizeof text,
           ".fn main regs=4 flags=6\nLOADNIL 0\nEFFECT 0 1 0 0 %u\nEFFECT 0 1 0 1 0\nRETNIL\n", go);
  program_make(p, a, text);
}

/* ---- running --------------------------------------------------------------------- */

typedef struct World {
  Node *node;
  Scheduler *s;
  Buf printed;
  uint32_t ended;
} World;

static void world_output(void *context, Uuid run, EffectKind kind, Str text) {
  World *w = context;
  (void)run;
  (void)kind;
  buf_str(&w->printed, text);
  buf_byte(&w->printed, ';');
}

static void world_ended(void *context, const RunEnd *end) {
  World *w = context;
  if (end->status == RUN_STATUS_DONE) w->ended++;
}

static void world_notice(void *context, Str text) {
  (void)context;
  fprintf(stderr, "notice: " STR_FMT "\n", STR_ARG(text));
}

static bool world_open(World *w, const char *dir, SchedulerOptions o) {
  Err err = {0};
  NodeOptions node = {.dir = dir ? dir : "/nowhere", .memory = dir == NULL, .fixed_key = true};
  *w = (World){0};
  o.output = world_output;
  o.ended = world_ended;
  o.notice = world_notice;
  o.context = w;
  bool ok = node_open(&node, &w->node, &err) && scheduler_new(w->node, &o, &w->s, &err);
  if (!ok) fprintf(stderr, "%s\n", err.text);
  return ok;
}

static void world_close(World *w) {
  scheduler_free(w->s);
  node_close(w->node);
  buf_deinit(&w->printed);
}

static bool world_begin(World *w, TestProgram *p) {
  const Program *program;
  Uuid id;
  Err err = {0};
  BeginOptions begin = {.bundle = p->bundle->id, .entry = STR(""), .input = STR("\x80")};
  bool ok = node_program_add(w->node, p->bundle, buf_view(&p->bytes), &program, &err) &&
            scheduler_begin(w->s, &begin, &id, &err);
  if (!ok) fprintf(stderr, "%s\n", err.text);
  return ok;
}

static bool row_hash(void *context, const LogRow *row) {
  Buf *all = context;
  buf_str(all, row->bytes);
  buf_put(all, row->head.byte, 32);
  return true;
}

/* The bytes of all journals, in order of run. */
static Hash256 journals(World *w) {
  Buf all = {0};
  Err err;
  for (uint64_t n = 1; n < store_next_run(node_store(w->node)); n++)
    CHECK(store_log_each(node_store(w->node), n, row_hash, &all, &err));
  Hash256 h = sha256(buf_view(&all));
  buf_deinit(&all);
  return h;
}

static Hash256 seeded(TestProgram *p, SchedulerOptions o) {
  World w;
  Err err = {0};
  Hash256 h = {0};
  o.seeded = true;
  memset(o.seed.byte, 7, 32);
  if (!world_open(&w, NULL, o)) return h;
  CHECK(world_begin(&w, p));
  CHECK(scheduler_run(w.s, 0, PATIENCE_FOR_EVER, &err) == SCHEDULE_OVER);
  CHECK(w.ended == 4);
  CHECK_STR(buf_view(&w.printed), STR("10;20;30;11 21 31;"));
  h = journals(&w);
  for (uint64_t n = 1; n <= 4; n++) { /* each replays to the same end */
    RunRow row;
    Buf keep = {0};
    Replayed r;
    CHECK(store_run_get(node_store(w.node), n, &row, &keep, &err));
    CHECK(row.status == RUN_STATUS_DONE);
    CHECK(offline_replay(w.node, &row, NULL, false, &r, &err) && r.result == STEP_ENDED &&
          r.records == row.records);
    if (r.run) run_free(r.run);
    buf_deinit(&keep);
  }
  world_close(&w);
  return h;
}

static void test_same_journals(void) {
  TestProgram p;
  children_program(&p);
  Hash256 one = seeded(&p, (SchedulerOptions){.threads = 1});
  Hash256 four = seeded(&p, (SchedulerOptions){.threads = 4});
  Hash256 other_loop = seeded(&p, (SchedulerOptions){.threads = 1, .switch_vm = true});
  Hash256 restored = seeded(&p, (SchedulerOptions){.threads = 4, .park_restore = true});
  Hash256 sliced = seeded(&p, (SchedulerOptions){.threads = 2, .slice = 1});
  CHECK(memcmp(&one, &four, sizeof one) == 0);
  CHECK(memcmp(&one, &other_loop, sizeof one) == 0);
  CHECK(memcmp(&one, &restored, sizeof one) == 0);
  (void)sliced; /* slices end rounds, so the virtual clock differs; that it ends well is what counts
                 */
  program_done(&p);
}

static void test_park_deliver_recover(void) {
  char dir[] = "/tmp/z8-scheduler-XXXXXX";
  TestProgram p;
  World w;
  RunRow row;
  Buf keep = {0};
  Err err = {0};
  uint32_t resumed, failed;
  CHECK(mkdtemp(dir) != NULL);
  signal_program(&p);
  CHECK(world_open(&w, dir, (SchedulerOptions){.threads = 1}));
  CHECK(world_begin(&w, &p));
  CHECK(scheduler_run(w.s, 0, 0, &err) == SCHEDULE_PARKED);
  CHECK(scheduler_counts(w.s).hosted == 1);
  world_close(&w);

  CHECK(world_open(&w, dir, (SchedulerOptions){.threads = 1}));
  CHECK(store_run_get(node_store(w.node), 1, &row, &keep, &err) && row.status == RUN_STATUS_PARKED);
  Record event = {.kind = RECORD_SIGNALLED,
                  .SIGNALLED = {.name = STR("go"), .id = STR("one"), .value = STR("\x05")}};
  CHECK(offline_deliver(w.node, &row, &event, &err));
  CHECK(store_run_get(node_store(w.node), 1, &row, &keep, &err) &&
        row.status == RUN_STATUS_RUNNING);
  CHECK(offline_deliver(w.node, &row, &event,
                        &err)); /* as mail now; the same signal again is taken once */
  world_close(&w);

  CHECK(world_open(&w, dir, (SchedulerOptions){.threads = 1}));
  CHECK(scheduler_resume_all(w.s, &resumed, &failed, &err) && resumed == 1 && failed == 0);
  CHECK(scheduler_run(w.s, 0, 0, &err) == SCHEDULE_OVER);
  CHECK_STR(buf_view(&w.printed), STR("5;"));
  world_close(&w);
  program_done(&p);
  buf_deinit(&keep);
}

static void test_live_signal(void) {
  TestProgram p;
  World w;
  Err err = {0};
  signal_program(&p);
  CHECK(world_open(&w, NULL, (SchedulerOptions){.threads = 1}));
  CHECK(world_begin(&w, &p));
  CHECK(scheduler_run(w.s, 0, 0, &err) ==
        SCHEDULE_PARKED); /* and out of memory: the event wakes it */
  Record bad = {.kind = RECORD_RESOLVED,
                .RESOLVED = {.ref = 3, .outcome = STR("absent"), .value = STR("\xf6")}};
  CHECK(!scheduler_deliver(w.s, 1, &bad, &err));
  Record event = {.kind = RECORD_SIGNALLED,
                  .SIGNALLED = {.name = STR("go"), .id = STR("x"), .value = STR("\x07")}};
  CHECK(scheduler_deliver(w.s, 1, &event, &err));
  CHECK(scheduler_run(w.s, 0, 0, &err) == SCHEDULE_OVER);
  CHECK_STR(buf_view(&w.printed), STR("7;"));
  world_close(&w);
  program_done(&p);
}

static void test_stop(void) {
  TestProgram p;
  World w;
  Err err = {0};
  signal_program(&p);
  CHECK(world_open(&w, NULL, (SchedulerOptions){.threads = 1}));
  CHECK(world_begin(&w, &p));
  scheduler_stop(w.s);
  CHECK(scheduler_run(w.s, 0, PATIENCE_FOR_EVER, &err) == SCHEDULE_STOPPED);
  world_close(&w);
  program_done(&p);
}

/* ---- parts ------------------------------------------------------------------------- */

static void test_timers(void) {
  Timers *t = timers_new();
  Timer out;
  for (uint64_t i = 0; i < 1000; i++) timers_add(t, (Timer){(int64_t)(i * 7919 % 1000), i % 3, i});
  for (uint64_t i = 0; i < 1000; i += 2) CHECK(timers_drop(t, i % 3, i));
  CHECK(!timers_drop(t, 0, 0) && timers_count(t) == 500);
  int64_t last = -1;
  for (int i = 0; i < 500; i++) {
    CHECK(timers_take(t, &out) && out.due_us >= last && out.seq % 2 == 1);
    last = out.due_us;
  }
  CHECK(!timers_take(t, &out));
  timers_free(t);
}

static void work_one(void *context, uint32_t index) { ((uint8_t *)context)[index]++; }

static void test_workers(void) {
  enum { COUNT = 5000 };
  static uint8_t done[COUNT];
  Workers *w = workers_new(4);
  for (int round = 0; round < 20; round++) workers_run(w, work_one, done, COUNT);
  for (int i = 0; i < COUNT; i++) CHECK(done[i] == 20);
  workers_free(w);
}

int main(void) {
  RUN_TEST(test_timers);
  RUN_TEST(test_workers);
  RUN_TEST(test_same_journals);
  RUN_TEST(test_live_signal);
  RUN_TEST(test_stop);
  RUN_TEST(test_park_deliver_recover);
  return TEST_END();
}
