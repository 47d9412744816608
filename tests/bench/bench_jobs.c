/* Durable jobs from end to end on SQLite: enqueued from outside by callers who each wait until their job is durable,
** done at concurrency 64, one run and one journal each. Mixed (enqueuing and doing at once), then each alone. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "compiler/compile.h"
#include "vm/base/cbor.h"
#include "vm/runtime/jobs.h"
#include "vm/runtime/node.h"

enum { JOBS = 60000, CALLERS = 256, ROUNDS = 3 };

static const char source_text[] =
    "queue \"bench\":\n  concurrency 64\n"
    "worker Trivial(n: int):\n  queue \"bench\"\n  perform(job): return job.n + 1\n";

static double seconds(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void must(bool ok, const Err *err) {
  if (ok) return;
  fprintf(stderr, "bench_jobs: %s\n", err->text);
  exit(1);
}

static bool source_read(void *context, Str path, Arena *arena, Str *text, Err *err) {
  (void)context, (void)path, (void)arena, (void)err;
  *text = str_of(source_text);
  return true;
}

typedef struct Bench {
  Node *node;
  Scheduler *s;
  App *app;
  uint32_t asked, placed, wanted, ended;
  double last_end;
} Bench;

static void bench_ended(void *context, const RunEnd *end) {
  Bench *b = context;
  if (end->status == RUN_STATUS_DONE) b->ended++;
  b->last_end = seconds();
}

static void enqueue_next(Bench *b);

static void placed(void *context, bool ok, Str value) {
  Bench *b = context;
  (void)value;
  if (!ok) exit(1);
  b->placed++;
  enqueue_next(b);
}

static void enqueue_next(Bench *b) {
  Buf data = {0};
  Err err;
  if (b->asked == b->wanted) return;
  cbor_put_tag(&data, CBOR_TAG_MAP);
  cbor_put_array(&data, 2);
  cbor_put_text(&data, STR("n"));
  cbor_put_uint(&data, b->asked++);
  must(jobs_enqueue(b->app, STR("Trivial"), buf_view(&data), (Str){0}, (Str){0}, (Str){0}, placed, b, &err), &err);
  buf_deinit(&data);
}

static void enqueue_all(Bench *b, uint32_t count) {
  b->wanted = b->asked + count;
  for (uint32_t i = 0; i < CALLERS; i++) enqueue_next(b);
}

static void run(Bench *b) {
  Err err = {0};
  must(scheduler_run(b->s, 0, 0, &err) != SCHEDULE_FAILED, &err);
}

static void bench_open(Bench *b, const char *dir, Compilation *c, Str bytes) {
  Err err;
  const Program *program;
  char command[200];
  snprintf(command, sizeof command, "rm -rf %s", dir);
  if (system(command) != 0) exit(1);
  *b = (Bench){0};
  SchedulerOptions options = {.app = true, .ended = bench_ended, .context = b};
  must(node_open(&(NodeOptions){.dir = dir}, &b->node, &err), &err);
  must(scheduler_new(b->node, &options, &b->s, &err), &err);
  b->app = scheduler_app(b->s);
  must(node_program_add(b->node, &c->bundle, bytes, &program, &err), &err);
  must(app_activate(b->app, c->bundle.id, &err), &err);
}

static void bench_close(Bench *b) {
  scheduler_free(b->s);
  node_close(b->node);
}

static double median(double *x, int n) {
  for (int i = 0; i < n; i++)
    for (int j = i + 1; j < n; j++)
      if (x[j] < x[i]) {
        double t = x[i];
        x[i] = x[j];
        x[j] = t;
      }
  return x[n / 2];
}

int main(void) {
  Arena arena;
  Buf bytes = {0};
  Err err = {0};
  double mixed[ROUNDS], in[ROUNDS], out[ROUNDS];
  uint64_t commits = 0, syncs = 0;
  arena_init(&arena);
  Compilation *c = ARENA_NEW(&arena, Compilation);
  if (!compile(&arena, STR("bench.z8"), (SourceReader){source_read, NULL}, (CompileOptions){0}, c)) return 1;
  bundle_write(&c->bundle, &bytes);
  for (int round = 0; round < ROUNDS; round++) {
    Bench b;
    bench_open(&b, "jobs", c, buf_view(&bytes));
    double start = seconds();
    enqueue_all(&b, JOBS);
    run(&b);
    mixed[round] = JOBS / (b.last_end - start);
    if (b.ended != JOBS || b.placed != JOBS) return 1;
    StoreStats stats = store_stats(node_store(b.node));
    commits = stats.commits, syncs = stats.syncs;
    must(queue_pause(b.app, STR("bench"), true, &err), &err);
    start = seconds();
    enqueue_all(&b, JOBS);
    run(&b);
    in[round] = JOBS / (seconds() - start);
    start = seconds();
    must(queue_pause(b.app, STR("bench"), false, &err), &err);
    run(&b);
    out[round] = JOBS / (b.last_end - start);
    if (b.ended != 2 * JOBS) return 1;
    bench_close(&b);
  }
  printf("durable jobs, medians of %d rounds of %d jobs, concurrency 64, %d callers, WAL, synchronous=FULL\n", ROUNDS,
         JOBS, CALLERS);
  printf("  from end to end: %.0f jobs/s (floor 10000); %" PRIu64 " commits, %" PRIu64 " fdatasyncs\n",
         median(mixed, ROUNDS), commits, syncs);
  printf("  enqueuing alone: %.0f jobs/s; doing what waits alone: %.0f jobs/s\n", median(in, ROUNDS),
         median(out, ROUNDS));
  buf_deinit(&bytes);
  arena_deinit(&arena);
  return 0;
}
