/* Replay of recorded runs, in this process: records a second of one core with the chain
** verified, from SQLite; and resuming a parked run from its image beside walking its history.
** The runs are made by the z8 binary itself ($Z8), in memory where there is a file system for
** that: making them is not what is measured. Usage: bench_replay [steps]. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include "vm/run/run.h"
#include "vm/runtime/node.h"

enum { ROUNDS = 5, STEPS = 50000, ANSWERS = 50000, PARKED_STEPS = 5000, RESTORES = 100 };

static char folder[64];

static void stop(const char *what, const char *why) {
  fprintf(stderr, "bench_replay: %s: %s\n", what, why);
  exit(1);
}

/* Of this thread, so that a busy machine takes nothing away. */
static double core_seconds(void) {
  struct timespec t;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static double median(double *x, int n) {
  for (int i = 0; i < n; i++) {
    for (int j = i + 1; j < n; j++) {
      if (x[j] < x[i]) { double t = x[i]; x[i] = x[j]; x[j] = t; }
    }
  }
  return x[n / 2];
}

/* ---- making the runs ---- */

static void folder_make(void) {
  struct stat info;
  bool memory = stat("/dev/shm", &info) == 0 && access("/dev/shm", W_OK) == 0;
  snprintf(folder, sizeof folder, "%s/z8-replay-XXXXXX", memory ? "/dev/shm" : "/tmp");
  if (!mkdtemp(folder) || chdir(folder) != 0) stop(folder, "cannot be made");
}

static void folder_remove(void) {
  char command[100];
  if (chdir("/") != 0 || !folder[0]) return;
  snprintf(command, sizeof command, "rm -r '%s'", folder);
  if (system(command) != 0) fprintf(stderr, "bench_replay: %s is left\n", folder);
}

static void write_file(const char *path, const char *text) {
  FILE *f = fopen(path, "w");
  if (!f || fputs(text, f) < 0 || fclose(f) != 0) stop(path, "cannot be written");
}

static void z8(const char *verb, const char *dir, const char *rest) {
  const char *binary = getenv("Z8");
  char command[1000];
  snprintf(command, sizeof command, "'%s' %s --dir %s %s >out.txt 2>&1", binary ? binary : "z8", verb, dir, rest);
  if (system(command) == 0) return;
  if (system("cat out.txt >&2") != 0) stop(command, "failed");
  stop(command, "failed");
}

static void make_steps(int steps) {
  char text[500];
  snprintf(text, sizeof text,
           "tool Step(n: int) -> int:\n  perform: return n + 1\n\n"
           "n = 0\nfor i in range(%d): n = Step(n)\nprint(n)\n", steps);
  write_file("steps.z8", text);
  z8("run", "steps", "steps.z8");
}

/* Each answer is a page of about 500 bytes. */
static void make_answers(int answers) {
  char text[500];
  for (size_t i = 0; i < sizeof text - 1; i++) text[i] = "abcdefghij {}:,\n"[i * 7 % 16];
  text[sizeof text - 1] = 0;
  write_file("page.txt", text);
  snprintf(text, sizeof text,
           "n = 0\nfor i in range(%d): n = n + len(file.read(\"page.txt\"))\nprint(n)\n", answers);
  write_file("answers.z8", text);
  z8("run", "answers", "answers.z8");
}

static void make_parked(void) {
  char text[600];
  snprintf(text, sizeof text,
           "tool Step(n: int) -> int:\n  perform: return n + 1\n\n"
           "workflow Waiter():\n  seen = []\n  n = 0\n  for i in range(%d):\n    n = Step(n)\n"
           "    if i %% 50 == 0: seen.push({n, name: \"item ${n}\"})\n"
           "  verdict = await signal verdict\n  return [n, len(seen), verdict]\n\n"
           "print(start Waiter())\n", PARKED_STEPS);
  write_file("parked.z8", text);
  z8("run", "parked", "parked.z8");
  z8("recover", "parked", "");
}

/* ---- reading them again ---- */

static int64_t no_time(void *context) { (void)context; return 0; }
static bool no_env(void *context, Str name, Buf *value) { (void)context; (void)name; (void)value; return false; }
static bool no_secret(void *context, Str name) { (void)context; (void)name; return false; }
static const RunHost host = {NULL, no_time, no_env, no_secret, NULL};

typedef struct Recorded {
  Node *node;
  const Program *program;
  RunRow row;
} Recorded;

static bool row_keep(void *context, const RunRow *row) {
  *(RunRow *)context = *row; /* its texts are not used */
  return true;
}

/* The last run of the folder: the only one, or the child. */
static Recorded recorded_open(const char *dir) {
  Recorded r = {0};
  Err err;
  NodeOptions options = {.dir = dir, .must_exist = true};
  if (!node_open(&options, &r.node, &err) ||
      !store_run_each(node_store(r.node), 0, 0, row_keep, &r.row, &err) ||
      !node_program(r.node, r.row.bundle, &r.program, &err)) stop(dir, err.text);
  return r;
}

static Journal *history(const Recorded *r) {
  Journal *journal;
  Err err;
  if (!journal_load(node_store(r->node), r->row.number, node_tenant_key(r->node), true, &journal, &err)) {
    stop("load", err.text);
  }
  journal_read_only(journal);
  return journal;
}

static Run *replayed(const Recorded *r, Journal *journal) {
  Run *run;
  Err err;
  RunOutput out = {0};
  if (!run_load(r->program, &host, journal, false, &run, &err)) stop("load", err.text);
  StepResult result;
  do result = run_replay(run, &out);
  while (result == STEP_COMMIT || result == STEP_SLICE || result == STEP_CONTINUED);
  if (result != STEP_ENDED && result != STEP_WAITING && result != STEP_HISTORY_END) stop("replay", "it diverges");
  if (!journal_live(journal)) stop("replay", "history is left");
  run_output_deinit(&out);
  return run;
}

static void bench_replay(const char *what, const char *dir, bool floored) {
  double load[ROUNDS], walk[ROUNDS], whole[ROUNDS], records = 0;
  Recorded r = recorded_open(dir);
  for (int i = 0; i < ROUNDS; i++) {
    double start = core_seconds();
    Journal *journal = history(&r);
    load[i] = core_seconds() - start;
    Run *run = replayed(&r, journal);
    walk[i] = core_seconds() - start - load[i];
    records = (double)journal_position(journal);
    run_free(run);
    whole[i] = core_seconds() - start;
  }
  double seconds = median(whole, ROUNDS);
  printf("  %-22s %7.0f records  %5.2f M records/s%s; loading and verifying %.2f us a record, running %.2f us\n",
         what, records, records / seconds / 1e6, floored ? " (floor 0.50, aim 1.00)" : "",
         median(load, ROUNDS) / records * 1e6, median(walk, ROUNDS) / records * 1e6);
  node_close(r.node);
}

/* ---- a parked run ---- */

static double restore_once(const Recorded *r, size_t *size) {
  ImageRow image;
  Buf keep = {0};
  Run *run;
  Err err;
  double start = core_seconds();
  if (!store_image_get(node_store(r->node), r->row.number, &image, &keep, &err)) stop("image", err.text);
  Journal *journal = journal_resume(node_tenant_key(r->node), image.seq + 1, image.head);
  if (!run_restore(r->program, &host, journal, image.bytes, &run, &err)) stop("restore", err.text);
  double took = core_seconds() - start;
  *size = image.bytes.size;
  Record verdict = {.kind = RECORD_SIGNALLED,
                    .SIGNALLED = {.name = STR("verdict"), .id = STR("1"), .value = {"\xf5", 1}}};
  RunOutput out = {0};
  if (!run_deliver(run, &verdict, &err)) stop("signal", err.text);
  if (run_step(run, 0, &out) != STEP_ENDED) stop("signal", "the run goes on");
  run_output_deinit(&out);
  run_free(run);
  buf_deinit(&keep);
  return took;
}

static void bench_resume(void) {
  double restore[RESTORES], walk[ROUNDS], records = 0;
  size_t size = 0;
  Recorded r = recorded_open("parked");
  for (int i = 0; i < RESTORES; i++) restore[i] = restore_once(&r, &size);
  for (int i = 0; i < ROUNDS; i++) {
    double start = core_seconds();
    Run *run = replayed(&r, history(&r));
    walk[i] = core_seconds() - start;
    records = (double)journal_position(run_journal(run));
    run_free(run);
  }
  double usual = median(restore, RESTORES), slowest = restore[RESTORES - 1]; /* sorted by now */
  printf("a parked run of %.0f records: from its image (%zu bytes) %.3f ms (floor 1 ms), slowest of %d %.3f ms; "
         "by replay %.2f ms\n",
         records, size, usual * 1e3, (int)RESTORES, slowest * 1e3, median(walk, ROUNDS) * 1e3);
  node_close(r.node);
}

int main(int argc, char **argv) {
  int steps = argc > 1 ? atoi(argv[1]) : STEPS;
  folder_make();
  atexit(folder_remove);
  make_steps(steps);
  make_answers(ANSWERS);
  make_parked();
  printf("replay from SQLite with its chain verified, one core, medians of %d\n", ROUNDS);
  bench_replay("tool calls", "steps", true);
  bench_replay("answers of 500 bytes", "answers", false);
  bench_resume();
  return 0;
}
