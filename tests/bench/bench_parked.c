/* Many parked runs: what each costs in memory, how soon a killed node is ready again, how fast those that are due
** are woken. Two processes, one after the other: the first begins the runs, parks them and is killed with -9; the
** second opens what is left. Usage: bench_parked [runs] [due]; the store is in the current folder. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "compiler/compile.h"
#include "vm/base/cbor.h"
#include "vm/base/file.h"
#include "vm/runtime/scheduler.h"

enum { RUNS = 1000000, BATCH = 1000, MARGIN_S = 3 };

static const char source[] =
    "workflow Sleeper(n: int, name: string, ms: int):\n"
    "  seen = {n, name}\n"
    "  sleep milliseconds(ms)\n"
    "  return seen.n\n"
    "\n"
    "workflow Approval(n: int, name: string):\n"
    "  seen = {n, name}\n"
    "  verdict = await signal verdict within 48h\n"
    "  return [seen.n, verdict]\n";

static double seconds(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void stop(const char *what, const char *why) {
  fprintf(stderr, "bench_parked: %s: %s\n", what, why);
  exit(1);
}

/* Bytes of memory that are this process's own, caches and all. */
static double memory(void) {
  char line[200];
  double kb = 0, part;
  FILE *f = fopen("/proc/self/status", "r");
  while (f && fgets(line, sizeof line, f)) {
    if (sscanf(line, "RssAnon: %lf kB", &part) == 1 || sscanf(line, "RssShmem: %lf kB", &part) == 1) kb += part;
  }
  if (f) fclose(f);
  return kb * 1024;
}

/* ---- the node ---- */

typedef struct World {
  Arena arena;
  Compilation *program;
  Buf bytes;
  Node *node;
  Scheduler *s;
  uint32_t ended;
} World;

static void world_ended(void *context, const RunEnd *end) {
  if (end->status != RUN_STATUS_DONE) stop("a run", "it did not end well");
  ((World *)context)->ended++;
}

static void world_notice(void *context, Str text) {
  (void)context;
  fprintf(stderr, STR_FMT "\n", STR_ARG(text));
}

static bool source_read(void *context, Str path, Arena *arena, Str *text, Err *err) {
  (void)context, (void)path, (void)arena, (void)err;
  *text = str_of(source);
  return true;
}

/* As `z8 serve` does: all that the store has is this process's. */
static uint32_t world_open(World *w) {
  Err err = {0};
  uint32_t resumed, failed;
  NodeOptions node = {.dir = "parked"};
  SchedulerOptions o = {.ended = world_ended, .notice = world_notice, .context = w};
  if (!node_open(&node, &w->node, &err) || !scheduler_new(w->node, &o, &w->s, &err) ||
      !scheduler_resume_all(w->s, &resumed, &failed, &err)) stop("open", err.text);
  if (failed != 0) stop("open", "runs cannot be continued");
  return resumed;
}

static void world_compile(World *w) {
  const Program *program;
  Err err = {0};
  Buf said = {0};
  SourceReader reader = {source_read, NULL};
  arena_init(&w->arena);
  w->program = ARENA_NEW(&w->arena, Compilation);
  if (!compile(&w->arena, STR("parked.z8"), reader, (CompileOptions){0}, w->program)) {
    diag_render(&w->program->diags, false, &said);
    buf_byte(&said, 0);
    stop("compile", said.at);
  }
  bundle_write(&w->program->bundle, &w->bytes);
  if (!node_program_add(w->node, &w->program->bundle, buf_view(&w->bytes), &program, &err)) stop("program", err.text);
}

/* us 0: waits for a signal. */
static void begin(World *w, int64_t n, int64_t us) {
  char name[40];
  Buf input = {0};
  Uuid id;
  Err err = {0};
  int size = snprintf(name, sizeof name, "customer %d", (int)n);
  cbor_put_array(&input, us ? 3 : 2);
  cbor_put_int(&input, n);
  cbor_put_text(&input, (Str){name, (size_t)size});
  if (us) cbor_put_int(&input, us / 1000);
  BeginOptions o = {.bundle = w->program->bundle.id, .entry = us ? STR("Sleeper") : STR("Approval"),
                    .input = buf_view(&input)};
  if (!scheduler_begin(w->s, &o, &id, &err)) stop("begin", err.text);
  buf_deinit(&input);
}

static void settle(World *w) {
  Err err = {0};
  if (scheduler_run(w->s, 0, 0, &err) == SCHEDULE_FAILED) stop("run", err.text);
}

/* ---- the first life ---- */

static double begin_all(World *w, int from, int to, int64_t due_at_us) {
  double start = seconds();
  for (int n = from; n < to; n++) {
    int64_t us = due_at_us ? due_at_us - clock_now_us() : n % 2 ? 0 : INT64_C(86400000000) + n;
    begin(w, n, us);
    if (n % BATCH == BATCH - 1 || n == to - 1) settle(w);
  }
  return (to - from) / (seconds() - start);
}

static void first_life(int runs, int due, int fd) {
  World w = {0};
  world_open(&w);
  world_compile(&w);
  double before = memory();
  double rate = begin_all(&w, 0, runs - due, 0);
  int64_t due_at = clock_now_us() + (int64_t)(due / rate * 2e6) + MARGIN_S * 1000000;
  begin_all(&w, runs - due, runs, due_at);
  printf("%d runs begun and parked: %.0f/s; %.0f bytes of memory each in the process that did it (floor 200), %.0f MB in all\n",
         runs, rate, (memory() - before) / runs, memory() / 1e6);
  if (scheduler_counts(w.s).hosted != (uint32_t)runs) stop("counts", "some are missing");
  fflush(stdout);
  if (write(fd, &due_at, sizeof due_at) != sizeof due_at) stop("pipe", "broken");
  kill(getpid(), SIGKILL);
}

/* ---- the second ---- */

static void wait_until(int64_t us) {
  while (clock_now_us() < us) usleep(10000);
}

static void second_life(int runs, int due, int64_t due_at) {
  World w = {0};
  wait_until(due_at + 100000);
  double before = memory(), start = seconds();
  if (world_open(&w) != (uint32_t)runs) stop("open", "some are missing");
  double ready = seconds() - start;
  double idle = memory() - before;
  start = seconds();
  settle(&w);
  double took = seconds() - start;
  if (w.ended != (uint32_t)due) stop("due", "not all came to their end");
  printf("killed with -9; ready again after %.2f s (floor 2 s), with %.0f bytes of memory for each run (floor 200)\n",
         ready, idle / runs);
  printf("%d due at once: %.0f/s woken and run to their end (floor 20000); then %.0f bytes for each that still waits\n",
         due, due / took, (memory() - before) / (runs - due));
  fflush(stdout);
  scheduler_free(w.s);
  node_close(w.node);
}

int main(int argc, char **argv) {
  int runs = argc > 1 ? atoi(argv[1]) : RUNS, due = argc > 2 ? atoi(argv[2]) : runs / 10, pipe_fd[2], status;
  int64_t due_at;
  if (system("rm -rf parked") != 0 || pipe(pipe_fd) != 0) stop("folder", "cannot be made");
  printf("parked runs on SQLite, WAL, synchronous=FULL\n");
  fflush(stdout);
  pid_t child = fork();
  if (child == 0) first_life(runs, due, pipe_fd[1]);
  close(pipe_fd[1]);
  bool told = read(pipe_fd[0], &due_at, sizeof due_at) == sizeof due_at;
  waitpid(child, &status, 0);
  if (!told) return 1;
  child = fork();
  if (child == 0) {
    second_life(runs, due, due_at);
    return 0;
  }
  waitpid(child, &status, 0);
  if (system("rm -rf parked") != 0) return 1;
  return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}
