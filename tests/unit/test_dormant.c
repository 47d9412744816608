/* vm/runtime: what waits long is in the store alone, and is there again when something is for it; what
** computes long keeps nobody waiting; what a round's group holds. */
#include "test.h"

#include <stdlib.h>
#include <unistd.h>

#include "compiler/compile.h"
#include "vm/base/cbor.h"
#include "vm/base/json.h"
#include "vm/journal/chain.h"
#include "vm/runtime/app.h"
#include "vm/runtime/schedule.h"

/* ---- a node with one program --------------------------------------------------- */

static const char source[] =
    "workflow Child(n: int):\n"
    "  sleep 5s\n"
    "  return n\n"
    "\n"
    "workflow Family(count: int):\n"
    "  xs = parallel for i in range(count): Child(i)\n"
    "  return len(xs) * 100 + xs[count - 1]\n"
    "\n"
    "workflow Approval():\n"
    "  verdict = await signal go within 8h\n"
    "  return verdict\n"
    "\n"
    "workflow Boss():\n"
    "  return [Approval(), 7]\n"
    "\n"
    "workflow Waits(id: any):\n"
    "  try:\n"
    "    return await(id)\n"
    "  catch e:\n"
    "    return \"${e.code}: ${e.message}\"\n"
    "\n"
    "workflow Loops():\n"
    "  n = 0\n"
    "  while true: n = (n + 1) % 1000\n"
    "  return n\n"
    "\n"
    "workflow Hoards():\n"
    "  all = []\n"
    "  while true: all.push(\"${len(all)} ${len(all)} ${len(all)}\")\n"
    "  return all\n"
    "\n"
    "tool Step(n: int) -> int:\n"
    "  perform: return n + 1\n"
    "\n"
    "workflow Steps(count: int):\n"
    "  n = 0\n"
    "  for i in range(count): n = Step(n)\n"
    "  return n\n"
    "\n"
    "command Add(id: string, n: int)\n"
    "event Added(n: int)\n"
    "\n"
    "agent Sum:\n"
    "  state { total: int = 0 }\n"
    "  decide Add(n):\n"
    "    emit Added(n: n)\n"
    "    reply total + n\n"
    "  evolve Added(n):\n"
    "    total += n\n"
    "  view total_now() -> int:\n"
    "    return total\n"
    "\n"
    "router Sums:\n"
    "  identify Sum by id\n"
    "  dispatch Add -> Sum\n"
    "\n"
    "start Sums\n"
    "\n"
    "workflow Asks():\n"
    "  xs = parallel for i in range(5): dispatch Add(id: \"a\", n: i + 1)\n"
    "  return [[x.reply for x in xs], Sum(\"a\").total_now()]\n";

typedef struct World {
  Node *node;
  Scheduler *s;
  uint64_t stop_at_end_of; /* number of a run: when it is over the scheduler is stopped */
  char last[200];          /* what the run that ended last gave, as JSON */
  uint32_t ended;
  uint32_t rounds_left;    /* 0: as many as it takes */
} World;

static Arena program_arena;
static Compilation *program;
static Buf program_bytes;

static bool source_read(void *context, Str path, Arena *arena, Str *text, Err *err) {
  (void)context, (void)path, (void)arena, (void)err;
  *text = str_of(source);
  return true;
}

static bool program_ready(void) {
  Buf said = {0};
  SourceReader reader = {source_read, NULL};
  arena_init(&program_arena);
  program = ARENA_NEW(&program_arena, Compilation);
  bool ok = compile(&program_arena, STR("dormant.z8"), reader, (CompileOptions){0}, program);
  diag_render(&program->diags, false, &said);
  if (!ok) fprintf(stderr, STR_FMT, STR_ARG(buf_view(&said)));
  if (ok) bundle_write(&program->bundle, &program_bytes);
  buf_deinit(&said);
  return ok;
}

static void world_ended(void *context, const RunEnd *end) {
  World *w = context;
  Buf json = {0};
  Err ignored;
  w->ended++;
  if (cbor_to_json(end->value, &json, &ignored))
    snprintf(w->last, sizeof w->last, STR_FMT, STR_ARG(buf_view(&json)));
  if (w->stop_at_end_of != 0 && scheduler_number(w->s, end->run) == w->stop_at_end_of) scheduler_stop(w->s);
  buf_deinit(&json);
}

static void world_flush(void *context) {
  World *w = context;
  if (w->rounds_left > 0 && --w->rounds_left == 0) scheduler_stop(w->s);
}

static void world_notice(void *context, Str text) {
  (void)context;
  fprintf(stderr, "notice: " STR_FMT "\n", STR_ARG(text));
}

static bool world_open(World *w, const char *dir, SchedulerOptions o) {
  Err err = {0};
  const Program *p;
  NodeOptions node = {.dir = dir ? dir : "/nowhere", .memory = dir == NULL, .fixed_key = true};
  *w = (World){0};
  o.ended = world_ended;
  o.notice = world_notice;
  o.flush = world_flush;
  o.context = w;
  bool ok = node_open(&node, &w->node, &err) && scheduler_new(w->node, &o, &w->s, &err) &&
            node_program_add(w->node, &program->bundle, buf_view(&program_bytes), &p, &err) &&
            (!o.app || app_activate(scheduler_app(w->s), program->bundle.id, &err));
  if (!ok) fprintf(stderr, "%s\n", err.text);
  return ok;
}

static void world_close(World *w) {
  scheduler_free(w->s);
  node_close(w->node);
}

/* The arguments as JSON. Gives the run's number. */
static uint64_t world_begin(World *w, const char *entry, const char *input) {
  Buf bytes = {0};
  Uuid id;
  Err err = {0};
  CHECK(cbor_from_json(str_of(input), &bytes, &err));
  BeginOptions begin = {.bundle = program->bundle.id, .entry = str_of(entry), .input = buf_view(&bytes)};
  bool ok = scheduler_begin(w->s, &begin, &id, &err);
  if (!ok) fprintf(stderr, "%s\n", err.text);
  CHECK(ok);
  buf_deinit(&bytes);
  return scheduler_number(w->s, id);
}

static uint32_t resume_all(World *w) {
  uint32_t resumed = 0, failed = 0;
  Err err = {0};
  CHECK(scheduler_resume_all(w->s, &resumed, &failed, &err));
  CHECK(failed == 0);
  return resumed;
}

static ScheduleResult go(World *w, int64_t patience_us) {
  Err err = {0};
  ScheduleResult r = scheduler_run(w->s, 0, patience_us, &err);
  if (r == SCHEDULE_FAILED) fprintf(stderr, "%s\n", err.text);
  return r;
}

static RunRow row_of(World *w, uint64_t number) {
  RunRow row = {0};
  Buf keep = {0};
  Err err;
  CHECK(store_run_get(node_store(w->node), number, &row, &keep, &err));
  buf_deinit(&keep);
  return row;
}

static bool give_signal(World *w, uint64_t number) {
  Err err = {0};
  Record event = {.kind = RECORD_SIGNALLED, .SIGNALLED = {.name = STR("go"), .id = STR("one"), .value = STR("\x05")}};
  bool ok = scheduler_deliver(w->s, number, &event, &err);
  if (!ok) fprintf(stderr, "%s\n", err.text);
  return ok;
}

static const SchedulerOptions virtual_time = {.seeded = true, .threads = 1};

/* ---- dormancy ---------------------------------------------------------------------- */

/* A family of sleepers: nothing of it is in memory, and it comes to its end. */
static void family(const char *dir, bool whole, int count, uint32_t stay) {
  World w;
  char input[20], result[20];
  snprintf(input, sizeof input, "[%d]", count);
  snprintf(result, sizeof result, "%d", count * 100 + count - 1);
  CHECK(world_open(&w, dir, virtual_time));
  if (whole) CHECK(resume_all(&w) == 0);
  uint64_t main = world_begin(&w, "Family", input);
  CHECK(go(&w, 0) == SCHEDULE_PARKED);
  CHECK(w.s->slot_count == stay && w.s->awake_count == 0 && w.s->dormant_count == (uint64_t)count + 1 - stay);
  CHECK(timers_count(w.s->timers) == 0 && table_count(w.s->awaiters) == stay * (uint32_t)count);
  CHECK(scheduler_counts(w.s).hosted == (uint32_t)count + 1);
  RunRow row = row_of(&w, main + 1);
  CHECK(row.status == RUN_STATUS_PARKED && row.wake_us > 0);
  CHECK((row_of(&w, main).wake_us < 0) == (stay > 0));
  Run *looked = scheduler_find(w.s, main + 1); /* a visit: it stays where it is */
  CHECK(looked != NULL && memcmp(row.id.byte, run_id(looked).byte, 16) == 0 && w.s->slot_count == stay);
  CHECK(go(&w, 1000000) == SCHEDULE_PARKED); /* five seconds are more than one */
  CHECK(go(&w, 10000000) == SCHEDULE_OVER && w.ended == (uint32_t)count + 1);
  CHECK_STR(str_of(w.last), str_of(result));
  CHECK(w.s->dormant_count == 0 && w.s->slot_count == 0);
  world_close(&w);
}

static void test_family(void) {
  for (int whole = 0; whole < 2; whole++) {
    char dir[] = "/tmp/z8-dormant-XXXXXX";
    CHECK(mkdtemp(dir) != NULL);
    family(NULL, whole, 20, 0);
    family(dir, whole, 20, 0);
    family(NULL, whole, 100, 1); /* who awaits many stays */
  }
}

/* A start takes up nothing of what is dormant; what is due comes by itself. */
static void test_restart(void) {
  char dir[] = "/tmp/z8-dormant-XXXXXX";
  World w;
  CHECK(mkdtemp(dir) != NULL);
  CHECK(world_open(&w, dir, virtual_time));
  world_begin(&w, "Family", "[3]");
  CHECK(go(&w, 0) == SCHEDULE_PARKED);
  world_close(&w);
  CHECK(world_open(&w, dir, virtual_time));
  CHECK(resume_all(&w) == 4 && w.s->slot_count == 0);
  CHECK(go(&w, 0) == SCHEDULE_PARKED && w.ended == 0);
  CHECK(go(&w, PATIENCE_FOR_EVER) == SCHEDULE_OVER && w.ended == 4);
  CHECK_STR(str_of(w.last), STR("302"));
  world_close(&w);
}

/* A signal finds a dormant run; its dormant parent is there when it ends. */
static void test_signal(void) {
  World w;
  CHECK(world_open(&w, NULL, virtual_time));
  uint64_t boss = world_begin(&w, "Boss", "[]");
  CHECK(go(&w, 0) == SCHEDULE_PARKED && w.s->slot_count == 0);
  CHECK(give_signal(&w, boss + 1));
  CHECK(go(&w, 0) == SCHEDULE_OVER && w.ended == 2);
  CHECK_STR(str_of(w.last), STR("[5,7]"));
  CHECK(timers_count(w.s->timers) == 0);
  world_close(&w);
}

/* The process ends right after the commit of a child's end: the parent, dormant until then, is told after the
** restart. `alone`: the child was recovered without the parent. */
static void child_then_crash(bool alone) {
  char dir[] = "/tmp/z8-dormant-XXXXXX";
  World w;
  Err err;
  CHECK(mkdtemp(dir) != NULL);
  CHECK(world_open(&w, dir, virtual_time));
  uint64_t boss = world_begin(&w, "Boss", "[]");
  CHECK(go(&w, 0) == SCHEDULE_PARKED);
  world_close(&w);

  CHECK(world_open(&w, dir, virtual_time));
  if (alone) CHECK(scheduler_resume(w.s, boss + 1, &err));
  else CHECK(resume_all(&w) == 2);
  w.stop_at_end_of = boss + 1;
  CHECK(give_signal(&w, boss + 1));
  CHECK(go(&w, 0) == SCHEDULE_STOPPED && w.ended == 1);
  world_close(&w);

  CHECK(world_open(&w, dir, virtual_time));
  RunRow row = row_of(&w, boss);
  CHECK(row_of(&w, boss + 1).status == RUN_STATUS_DONE);
  CHECK(row.status == RUN_STATUS_RUNNING || (row.status == RUN_STATUS_PARKED && row.wake_us < 0));
  CHECK(resume_all(&w) == 1);
  CHECK(go(&w, 0) == SCHEDULE_OVER);
  CHECK_STR(str_of(w.last), STR("[5,7]"));
  world_close(&w);
}

static void test_child_then_crash(void) {
  child_then_crash(false);
  child_then_crash(true);
}

/* ---- awaiting jobs ------------------------------------------------------------------- */

static const char job_text[] = "01890a5d-ac96-774b-bcce-b302099a8057";

static void job_put(World *w, JobState state) {
  Err err = {0};
  JobRow job = {.number = 1, .worker = STR("Mail"), .queue = STR("default"), .state = (uint8_t)state,
                .input = STR("\x80"), .meta = STR(""), .unique = STR(""), .note = STR("too late")};
  StoreGroup group = {.jobs = &job, .job_count = 1};
  CHECK(uuid_parse(str_of(job_text), &job.id));
  CHECK(store_commit(node_store(w->node), &group, &err));
}

/* A job that no run does yet is awaited, also across a restart. */
static void test_await_job(void) {
  char dir[] = "/tmp/z8-dormant-XXXXXX";
  World w;
  Uuid id;
  CHECK(mkdtemp(dir) != NULL && uuid_parse(str_of(job_text), &id));
  CHECK(world_open(&w, dir, virtual_time));
  job_put(&w, JOB_AVAILABLE);
  uint64_t run = world_begin(&w, "Waits", "[\"01890a5d-ac96-774b-bcce-b302099a8057\"]");
  CHECK(go(&w, 0) == SCHEDULE_PARKED && w.s->slot_count == 1);
  world_close(&w);
  CHECK(world_open(&w, dir, virtual_time));
  CHECK(row_of(&w, run).wake_us < 0 && resume_all(&w) == 1);
  CHECK(go(&w, 0) == SCHEDULE_PARKED);
  awaiters_tell(w.s, id, "ok", STR("\x18\x2a"));
  CHECK(go(&w, 0) == SCHEDULE_OVER);
  CHECK_STR(str_of(w.last), STR("42"));
  world_close(&w);
}

static void test_await_job_over(void) {
  World w;
  CHECK(world_open(&w, NULL, virtual_time));
  job_put(&w, JOB_CANCELLED);
  world_begin(&w, "Waits", "[\"01890a5d-ac96-774b-bcce-b302099a8057\"]");
  CHECK(go(&w, 0) == SCHEDULE_OVER);
  CHECK_STR(str_of(w.last),
            STR("\"child_failed: the job 01890a5d-ac96-774b-bcce-b302099a8057 was cancelled: too late\""));
  world_begin(&w, "Waits", "[\"01890a5d-ac96-774b-bcce-b302099a8058\"]");
  CHECK(go(&w, 0) == SCHEDULE_OVER);
  CHECK(strstr(w.last, "there is no run 01890a5d-ac96-774b-bcce-b302099a8058") != NULL);
  world_close(&w);
}

/* ---- asking the application ----------------------------------------------------------- */

/* Is there a row of the run's log with two answers? */
static bool row_answers(void *context, const LogRow *row) {
  uint32_t *most = context, answers = 0;
  Str rest = row->bytes, bytes;
  Record record;
  bool broken = false;
  Err err;
  while (frame_next(&rest, &bytes, &broken)) {
    CHECK(record_decode(bytes, &record, &err));
    answers += record.kind == RECORD_ANSWERED;
  }
  CHECK(!broken);
  if (answers > *most) *most = answers;
  return true;
}

/* Five branches ask at once: one is answered in each round, in order, each exactly once, wherever the process ends
** and whatever was already asked then (what is open when a run is taken up is answered at once). */
static void asks(uint32_t rounds) {
  char dir[] = "/tmp/z8-dormant-XXXXXX";
  World w;
  SchedulerOptions o = virtual_time;
  uint32_t most = 0;
  Err err;
  o.app = true;
  CHECK(mkdtemp(dir) != NULL);
  CHECK(world_open(&w, dir, o));
  world_begin(&w, "Asks", "[]");
  w.rounds_left = rounds;
  ScheduleResult r = go(&w, PATIENCE_FOR_EVER);
  CHECK(r == (rounds > 0 ? SCHEDULE_STOPPED : SCHEDULE_OVER));
  if (rounds > 0) {
    world_close(&w);
    CHECK(world_open(&w, dir, o));
    if (resume_all(&w) == 0) world_begin(&w, "Asks", "[]"); /* it died before the first commit */
    CHECK(go(&w, PATIENCE_FOR_EVER) == SCHEDULE_OVER);
  }
  CHECK_STR(str_of(w.last), STR("[[1,3,6,10,15],15]"));
  CHECK(store_log_each(node_store(w.node), 1, row_answers, &most, &err) && (most == 1 || rounds > 0));
  world_close(&w);
}

static void test_asks(void) {
  for (uint32_t rounds = 0; rounds < 7; rounds++) asks(rounds);
}

/* A node without an application says so. */
static void test_asks_nobody(void) {
  World w;
  CHECK(world_open(&w, NULL, virtual_time));
  world_begin(&w, "Asks", "[]");
  CHECK(go(&w, 0) == SCHEDULE_OVER);
  CHECK(strstr(w.last, "no_application") != NULL && strstr(w.last, "z8 serve") != NULL);
  world_close(&w);
}

/* ---- isolation ------------------------------------------------------------------------- */

/* One run computes without end while another makes its steps, each a commit: rounds of the other do not wait
** for it. No time is measured: it computes far longer than the steps take. */
static void beside(const char *hog, uint32_t threads) {
  enum { STEPS = 300 };
  World w;
  CHECK(world_open(&w, NULL, (SchedulerOptions){.threads = threads}));
  uint64_t loops = world_begin(&w, hog, "[]");
  w.stop_at_end_of = world_begin(&w, "Steps", "[300]");
  uint64_t before = store_stats(node_store(w.node)).commits;
  CHECK(go(&w, PATIENCE_FOR_EVER) == SCHEDULE_STOPPED);
  CHECK(w.ended == 1);
  CHECK_STR(str_of(w.last), STR("300"));
  CHECK(store_stats(node_store(w.node)).commits - before >= STEPS && w.s->rounds >= STEPS);
  CHECK(slot_by_number(w.s, loops) != NULL && scheduler_find(w.s, loops) != NULL);
  CHECK(w.s->away == NULL || threads > 1);
  world_close(&w);
}

static void test_beside(void) {
  beside("Loops", 1);
  beside("Loops", 2);
  beside("Hoards", 2);
}

/* A run that computed without end when the process died holds up neither the start nor the others. */
static void test_loop_resumed(void) {
  char dir[] = "/tmp/z8-dormant-XXXXXX";
  World w;
  CHECK(mkdtemp(dir) != NULL);
  CHECK(world_open(&w, dir, (SchedulerOptions){.threads = 2}));
  uint64_t loops = world_begin(&w, "Loops", "[]");
  w.stop_at_end_of = world_begin(&w, "Steps", "[3]");
  CHECK(go(&w, PATIENCE_FOR_EVER) == SCHEDULE_STOPPED);
  world_close(&w);
  CHECK(world_open(&w, dir, (SchedulerOptions){.threads = 2}));
  CHECK(resume_all(&w) == 1 && slot_by_number(w.s, loops) != NULL && !slot_by_number(w.s, loops)->over);
  w.stop_at_end_of = world_begin(&w, "Steps", "[30]");
  CHECK(go(&w, PATIENCE_FOR_EVER) == SCHEDULE_STOPPED && w.ended == 1);
  world_close(&w);
}

/* All of them come to their ends, whoever steps them. */
static void test_away_ends(void) {
  World w;
  CHECK(world_open(&w, NULL, (SchedulerOptions){.threads = 3}));
  for (int i = 0; i < 20; i++) world_begin(&w, "Steps", i % 2 ? "[50]" : "[3000]");
  uint64_t loops = world_begin(&w, "Loops", "[]");
  Record kill = {.kind = RECORD_KILLED, .KILLED = {.why = STR("enough")}};
  w.stop_at_end_of = loops + 1;
  world_begin(&w, "Steps", "[1]");
  Err err;
  CHECK(go(&w, PATIENCE_FOR_EVER) == SCHEDULE_STOPPED);
  CHECK(scheduler_deliver(w.s, loops, &kill, &err)); /* in its turn */
  world_close(&w);
}

/* ---- a round's group ---------------------------------------------------------------------- */

static void test_grouping(void) {
  Grouping *g = grouping_new();
  char key[] = "key", value[] = "one";
  Str found;
  for (int round = 0; round < 3; round++) {
    CHECK(grouping_empty(g));
    CHECK(!grouping_kv_get(g, SPACE_APP, STR("key"), &found));
    memcpy(key, "key", 4);
    grouping_kv(g, SPACE_APP, str_of(key), str_of(value));
    memcpy(key, "???", 4); /* it was copied */
    grouping_kv(g, SPACE_QUEUE, STR("key"), STR("other"));
    CHECK(grouping_kv_get(g, SPACE_APP, STR("key"), &found));
    CHECK_STR(found, STR("one"));
    grouping_kv(g, SPACE_APP, STR("key"), (Str){0});
    CHECK(grouping_kv_get(g, SPACE_APP, STR("key"), &found) && found.at == NULL);
    CHECK(grouping_group(g)->kv_count == 2);
    for (int i = 0; i < 5000; i++) {
      char bytes[300];
      memset(bytes, 'a' + i % 26, sizeof bytes);
      grouping_row(g, &(LogRow){.run = 1, .bytes = {bytes, sizeof bytes}});
    }
    for (int i = 0; i < 5000; i += 777) {
      Str bytes = grouping_group(g)->rows[i].bytes;
      CHECK(bytes.size == 300 && bytes.at[0] == 'a' + i % 26 && bytes.at[299] == 'a' + i % 26);
    }
    grouping_meta(g, "mail", STR("letter"));
    grouping_job(g, &(JobRow){.number = 1, .worker = STR("W"), .queue = STR("q"), .note = STR("")});
    CHECK(!grouping_empty(g));
    grouping_clear(g);
  }
  grouping_free(g);
}

int main(void) {
  if (!program_ready()) return 1;
  RUN_TEST(test_grouping);
  RUN_TEST(test_family);
  RUN_TEST(test_restart);
  RUN_TEST(test_signal);
  RUN_TEST(test_child_then_crash);
  RUN_TEST(test_await_job);
  RUN_TEST(test_await_job_over);
  RUN_TEST(test_asks);
  RUN_TEST(test_asks_nobody);
  RUN_TEST(test_beside);
  RUN_TEST(test_loop_resumed);
  RUN_TEST(test_away_ends);
  arena_deinit(&program_arena);
  buf_deinit(&program_bytes);
  return TEST_END();
}
