/* Running a test: a node, a scheduler and an application made for it, and thrown away.
**
** With crashes it is first run on SQLite to count its commits; then once for each two points of every
** commit (it is durable but nothing it allowed was done; all of that was done) up to there, where the process
** is lost: node and scheduler are dropped as they are, opened again, and the test has to pass all the same. */
#include "vm/cli/test_run.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "vm/base/file.h"
#include "vm/base/hash.h"
#include "vm/base/mem.h"
#include "vm/runtime/app.h"
#include "vm/runtime/testing.h"

enum { CRASH_POINTS_MAX = 2000, TEST_NAME_MAX = 1024, COMMITS_MAX = 200000 };
#define TIME_MAX_US (4 * INT64_C(366) * 86400 * 1000000) /* of a test's own time: with crons it never stands still */

typedef struct World { /* of one run of a test */
  TestCase *test;
  const char *dir; /* NULL: in memory */
  Node *node;
  Scheduler *scheduler;
  Testing *testing;
  Uuid run;
  uint32_t lives;    /* processes so far */
  int64_t clock_us;  /* where the last one's virtual clock stood */
  int64_t began_us;  /* where the first one's began */
  uint32_t points;   /* crash points passed */
  uint32_t crash_at; /* the one to crash at; 0: none */
  bool crashed, ended;
  const char *endless; /* why it was stopped, or NULL */
  RunStatus status;
  Buf error, printed;
} World;

static void world_output(void *context, Uuid run, EffectKind kind, Str text) {
  World *w = context;
  (void)run;
  (void)kind;
  if (w->printed.size > (1u << 20)) return;
  buf_str(&w->printed, text);
  buf_byte(&w->printed, '\n');
}

static void world_ended(void *context, const RunEnd *end) {
  World *w = context;
  if (memcmp(end->run.byte, w->run.byte, sizeof w->run.byte) != 0) return;
  w->ended = true;
  w->status = end->status;
  buf_clear(&w->error);
  buf_str(&w->error, end->value);
}

/* At every commit. */
static bool world_crash(void *context) {
  World *w = context;
  w->points++;
  int64_t took_us = app_now(scheduler_app(w->scheduler)) - w->began_us;
  if (w->points / 2 > COMMITS_MAX) w->endless = "it took more than 200000 commits";
  else if (took_us > TIME_MAX_US) w->endless = "it took more than four years";
  if (w->endless != NULL) scheduler_stop(w->scheduler);
  if (w->crash_at == 0 || w->points != w->crash_at) return false;
  w->crashed = true;
  return true;
}

static Str test_name(const TestCase *t) { return bundle_text(t->bundle, t->bundle->tests[t->test].name); }

/* Each process draws chance of its own, or ids would come twice. */
static Hash256 world_seed(World *w) {
  Buf name = {0};
  buf_format(&name, "%u " STR_FMT, w->lives++, STR_ARG(test_name(w->test)));
  Hash256 seed = sha256(buf_view(&name));
  buf_deinit(&name);
  return seed;
}

static bool world_open(World *w, Err *err) {
  TestCase *t = w->test;
  const Program *program;
  NodeOptions node = {.dir = w->dir != NULL ? w->dir : "", .memory = w->dir == NULL, .fixed_key = true};
  SchedulerOptions options = {.threads = 1,
                              .seeded = true,
                              .seed = world_seed(w),
                              .start_us = w->clock_us,
                              .output = world_output,
                              .ended = world_ended,
                              .crash = world_crash,
                              .context = w,
                              .app = true,
                              .crons = true};
  if (!node_open(&node, &w->node, err) || !node_program_add(w->node, t->bundle, t->bytes, &program, err)) return false;
  if (t->cover != NULL) program_cover(program, t->cover);
  if (!scheduler_new(w->node, &options, &w->scheduler, err)) return false;
  if (w->lives == 1) w->began_us = app_now(scheduler_app(w->scheduler));
  testing_attach(w->testing, scheduler_app(w->scheduler));
  return app_activate(scheduler_app(w->scheduler), t->bundle->id, err);
}

static void world_close(World *w) {
  if (w->scheduler != NULL) w->clock_us = app_now(scheduler_app(w->scheduler));
  scheduler_free(w->scheduler);
  node_close(w->node);
  w->scheduler = NULL;
  w->node = NULL;
}

static bool world_begin(World *w, Err *err) {
  static const Str no_input = {"\x80", 1};
  char entry[TEST_NAME_MAX];
  int size = snprintf(entry, sizeof entry, "test \"" STR_FMT "\"", STR_ARG(test_name(w->test)));
  if (size < 0 || (size_t)size >= sizeof entry) {
    FAIL(err, ERR_LIMIT, "the name of a test has at most %d characters", TEST_NAME_MAX - 8);
    return false;
  }
  BeginOptions begin = {.bundle = w->test->bundle->id, .entry = {entry, (size_t)size}, .input = no_input};
  return scheduler_begin(w->scheduler, &begin, &w->run, err);
}

static bool world_rounds(World *w, Err *err) {
  uint64_t target = scheduler_number(w->scheduler, w->run);
  ScheduleResult result = scheduler_run(w->scheduler, target, PATIENCE_FOR_EVER, err);
  if (w->crashed || w->ended) return true;
  if (result == SCHEDULE_FAILED) return false;
  if (w->endless != NULL) FAIL(err, ERR_INVALID, "%s; does it wait for something that never comes?", w->endless);
  else FAIL(err, ERR_INVALID, result == SCHEDULE_STUCK ? "the test waits for a person: an outcome is unknown"
                                                  : "the test waits for something that never comes");
  return false;
}

/* The process is lost; another one takes up what is in the directory. */
static bool world_again(World *w, Err *err) {
  uint32_t resumed, failed;
  RunRow row;
  Buf keep = {0};
  world_close(w);
  w->crashed = false;
  if (!world_open(w, err)) return false;
  if (w->run.byte[0] == 0 || !store_run_by_id(node_store(w->node), w->run, &row, &keep, err)) {
    buf_deinit(&keep);
    return world_begin(w, err); /* it had not begun */
  }
  bool over = run_status_over(row.status);
  buf_deinit(&keep);
  if (over) { /* its end was durable, and told nobody yet */
    w->ended = true;
    w->status = row.status;
    return true;
  }
  return scheduler_resume_all(w->scheduler, &resumed, &failed, err);
}

static bool world_run(World *w, Err *err) {
  if (!world_open(w, err) || !world_begin(w, err)) return false;
  for (;;) {
    if (!world_rounds(w, err)) return false;
    if (w->ended) return true;
    if (!world_again(w, err)) return false;
    if (w->ended) return true;
  }
}

static void world_deinit(World *w) {
  world_close(w);
  testing_free(w->testing);
  buf_deinit(&w->error);
  buf_deinit(&w->printed);
}

/* ---- once -------------------------------------------------------------------------- */

static void outcome_keep(TestCase *t, World *w, bool ran, const Err *err) {
  t->status = w->status;
  t->passed = ran && w->status == RUN_STATUS_DONE;
  if (t->passed) return;
  buf_clear(&t->error);
  buf_clear(&t->message);
  buf_clear(&t->printed);
  if (!ran) buf_text(&t->message, err->text);
  buf_str(&t->error, buf_view(&w->error));
  buf_str(&t->printed, buf_view(&w->printed));
}

/* *points: how many crash points there were. */
static void run_once(TestCase *t, const char *dir, uint32_t crash_at, uint32_t *points) {
  World w = {.test = t, .dir = dir, .crash_at = crash_at, .testing = testing_new()};
  Err err = {0};
  bool ran = world_run(&w, &err);
  *points = w.points;
  outcome_keep(t, &w, ran, &err);
  world_deinit(&w);
}

/* ---- with crashes --------------------------------------------------------------------- */

/* A folder of its own; memory-backed where the system has one, since nothing of it is kept. */
static bool folder_make(Buf *path) {
  const char *base = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : getenv("TMPDIR");
  buf_clear(path);
  buf_format(path, "%s/z8-test-XXXXXX", base != NULL && base[0] != 0 ? base : "/tmp");
  buf_byte(path, 0);
  return mkdtemp(path->at) != NULL;
}

static void folder_remove(const char *path) {
  static const char *const files[] = {"z8.db", "z8.db-wal", "z8.db-shm", "lock", "control.sock"};
  char name[4096];
  for (size_t i = 0; i < COUNT_OF(files); i++) {
    snprintf(name, sizeof name, "%s/%s", path, files[i]);
    unlink(name);
  }
  rmdir(path);
}

static void run_on_disk(TestCase *t, uint32_t crash_at, uint32_t *points) {
  Buf path = {0};
  if (folder_make(&path)) {
    run_once(t, path.at, crash_at, points);
    folder_remove(path.at);
  } else {
    t->passed = false;
    buf_text(&t->message, "cannot make a folder for the test's store");
  }
  buf_deinit(&path);
}

static void run_with_crashes(TestCase *t) {
  uint32_t points = 0, ignored;
  run_on_disk(t, 0, &points);
  if (points > CRASH_POINTS_MAX) points = CRASH_POINTS_MAX;
  for (uint32_t i = 1; t->passed && i <= points; i++) {
    run_on_disk(t, i, &ignored);
    if (t->passed) t->crash_points = i;
    else t->crashed_at = i;
  }
}

void test_run(TestCase *t) {
  uint32_t points;
  int64_t began = clock_monotonic_us();
  run_once(t, NULL, 0, &points);
  if (t->passed && t->crashes) run_with_crashes(t);
  t->took_us = clock_monotonic_us() - began;
}

void test_case_deinit(TestCase *t) {
  buf_deinit(&t->error);
  buf_deinit(&t->message);
  buf_deinit(&t->printed);
}
