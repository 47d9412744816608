/* Calls of models by whole runs: source compiled, a node on disk, the gate and the ledger, HTTP to a server on
** loopback. Beside them, in the same process: the effects alone, and SQLite making commits with the same durability.
** Usage: bench_agents [calls] [waiting runs] [part]; parts: beside once paced late slow one ask asklate stream queue wait.
** The store is below $BENCH_DIR, else /tmp: on a file system in memory nothing waits for a disk. */
#include <malloc.h>
#include <poll.h>
#include <pthread.h>
#include <sqlite3.h>
#include <time.h>

#include "bench_peer.h"
#include "compiler/compile.h"
#include "vm/base/cbor.h"
#include "vm/base/mem.h"
#include "vm/effects/effect.h"
#include "vm/runtime/node.h"
#include "vm/runtime/scheduler.h"

/* PACED: 64 runs ask about 3000 times a second, so that what a call waits for is not the others. */
enum { AT_ONCE = 64, PACED_US = 20000, LATE_US = 50000, SLOW_US = 2000000 };

static const char source_form[] =
    "model m:\n"
    "  provider: openai\n"
    "  url: \"http://127.0.0.1:%d/v1\"\n"
    "  name: \"m\"\n"
    "  api_key: secret(\"BENCH_KEY\")\n"
    "  stream: %s\n"
    "  max_tokens: 200\n"
    "  price: { input: 0.25d, output: 2.00d }\n"
    "%s"
    "\n"
    "ai_agent Direct(query: string):\n"
    "  model: m\n"
    "  prompt: \"You are brief.\"\n"
    "\n"
    "workflow Calls(n: int, calls: int):\n"
    "  for i in range(calls):\n"
    "    model.call(m(), {messages: [{role: \"user\", content: \"run=${n}; how are you, for the time ${i}?\"}]})\n"
    "  return n\n"
    "\n"
    "workflow Apart(n: int, calls: int):\n"
    "  took: list[int] = []\n"
    "  for i in range(calls):\n"
    "    sleep 16ms\n"
    "    before = now()\n"
    "    model.call(m(), {messages: [{role: \"user\", content: \"how are you, for the time ${i}?\"}]})\n"
    "    took.push((now() - before).microseconds())\n"
    "  return took\n"
    "\n"
    "workflow Asks(n: int, calls: int):\n"
    "  for i in range(calls):\n"
    "    ask Direct(query: \"run=${n}; how are you, for the time ${i}?\")\n"
    "  return n\n";

static double now(void) { return (double)clock_monotonic_us() / 1e6; }

static double cpu(void) {
  struct timespec t;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
  return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void stop(const char *what, const char *why) {
  fprintf(stderr, "bench_agents: %s: %s\n", what, why);
  exit(1);
}

/* Bytes of memory that are this process's own. */
static double memory(void) {
  char line[200];
  double kb = 0, part;
  FILE *f = fopen("/proc/self/status", "r");
  while (f && fgets(line, sizeof line, f))
    if (sscanf(line, "RssAnon: %lf kB", &part) == 1 || sscanf(line, "RssShmem: %lf kB", &part) == 1) kb += part;
  if (f) fclose(f);
  return kb * 1024;
}

/* ---- a node ---------------------------------------------------------------------- */

typedef struct World {
  const char *dir;
  Peer *peer;
  Arena arena;
  Compilation program;
  Buf text, bytes;
  Node *node;
  Scheduler *s;
  uint32_t ended, most;
  atomic_uint begun; /* up to `most` between rounds */
  double begun_at;
  uint64_t pieces;
} World;

static uint32_t next_run; /* runs are told apart by the server over all parts */

static bool source_read(void *context, Str path, Arena *arena, Str *text, Err *err) {
  World *w = context;
  (void)path, (void)arena, (void)err;
  *text = buf_view(&w->text);
  return true;
}

/* What a run of Apart measured. */
static void took_add(Peer *p, Str value) {
  CborReader r = cbor_reader(value);
  uint64_t count;
  int64_t us;
  Err err;
  uint32_t at = atomic_load(&p->gap_count);
  if (!cbor_array(&r, &count, &err)) return;
  for (; count > 0 && at < PEER_GAPS_MAX && cbor_int(&r, &us, &err); count--) p->gaps_us[at++] = (float)us;
  atomic_store(&p->gap_count, at);
}

static void world_ended(void *context, const RunEnd *end) {
  World *w = context;
  if (end->status != RUN_STATUS_DONE) {
    Buf json = {0};
    Err err;
    if (cbor_to_json(end->value, &json, &err)) fprintf(stderr, STR_FMT "\n", STR_ARG(buf_view(&json)));
    stop("a run", "it did not end well");
  }
  if (end->child) return;
  w->ended++;
  took_add(w->peer, end->value);
}

static void world_notice(void *context, Str text) {
  (void)context;
  fprintf(stderr, STR_FMT "\n", STR_ARG(text));
}

static void world_stream(void *context, const StreamPiece *piece) {
  (void)piece;
  ((World *)context)->pieces++;
}

static void world_flush(void *context);

static void world_compile(World *w, bool stream, const char *more) {
  const Program *program;
  Err err = {0};
  Buf said = {0};
  SourceReader reader = {source_read, w};
  buf_format(&w->text, source_form, w->peer->port, stream ? "true" : "false", more);
  arena_init(&w->arena);
  if (!compile(&w->arena, STR("agents.z8"), reader, (CompileOptions){0}, &w->program)) {
    diag_render(&w->program.diags, false, &said);
    buf_byte(&said, 0);
    stop("compile", said.at);
  }
  bundle_write(&w->program.bundle, &w->bytes);
  if (!node_program_add(w->node, &w->program.bundle, buf_view(&w->bytes), &program, &err)) stop("program", err.text);
}

/* `more`: settings of the model. */
static void world_open(World *w, Peer *peer, const char *dir, bool stream, const char *more) {
  Err err = {0};
  NodeOptions node = {.dir = dir};
  SchedulerOptions o = {.ended = world_ended, .notice = world_notice, .stream = world_stream,
                        .flush = world_flush, .context = w};
  *w = (World){.dir = dir, .peer = peer};
  if (!node_open(&node, &w->node, &err) || !scheduler_new(w->node, &o, &w->s, &err)) stop("open", err.text);
  world_compile(w, stream, more);
}

static void world_close(World *w) {
  static const char *const names[] = {"z8.db", "z8.db-wal", "z8.db-shm", "lock", "control.sock"};
  char path[300];
  scheduler_free(w->s);
  node_close(w->node);
  arena_deinit(&w->arena);
  buf_deinit(&w->text);
  buf_deinit(&w->bytes);
  for (size_t i = 0; i < COUNT_OF(names); i++) {
    snprintf(path, sizeof path, "%s/%s", w->dir, names[i]);
    unlink(path);
  }
}

static void begin(World *w, const char *entry, uint32_t runs, uint32_t calls) {
  for (uint32_t i = 0; i < runs; i++) {
    Buf input = {0};
    Uuid id;
    Err err = {0};
    cbor_put_array(&input, 2);
    cbor_put_uint(&input, next_run++ % PEER_RUNS_MAX);
    cbor_put_uint(&input, calls);
    BeginOptions o = {.bundle = w->program.bundle.id, .entry = str_of(entry), .input = buf_view(&input)};
    if (!scheduler_begin(w->s, &o, &id, &err)) stop("begin", err.text);
    buf_deinit(&input);
  }
}

/* They come one after the other, not all at once. */
static void world_flush(void *context) {
  enum { A_ROUND = 100 };
  World *w = context;
  uint32_t done = atomic_load(&w->begun), some = w->most - done < A_ROUND ? w->most - done : A_ROUND;
  if (done == w->most) return;
  begin(w, "Calls", some, 1);
  w->begun_at = now();
  atomic_store(&w->begun, done + some);
}

static ScheduleResult go_on(World *w, int64_t patience_us) {
  Err err = {0};
  ScheduleResult result = scheduler_run(w->s, 0, patience_us, &err);
  if (result == SCHEDULE_FAILED) stop("run", err.text);
  return result;
}

static void go(World *w) {
  if (go_on(w, 60000000) != SCHEDULE_OVER) stop("run", "not all are over");
}

static double query(World *w, const char *sql) {
  char path[300];
  sqlite3 *db;
  sqlite3_stmt *q;
  snprintf(path, sizeof path, "%s/z8.db", w->dir);
  if (sqlite3_open_v2(path, &db, SQLITE_OPEN_READONLY, NULL)) stop("size", sqlite3_errmsg(db));
  if (sqlite3_prepare_v2(db, sql, -1, &q, NULL)) stop("size", sqlite3_errmsg(db));
  sqlite3_step(q);
  double n = sqlite3_column_double(q, 0);
  sqlite3_finalize(q);
  sqlite3_close(db);
  return n;
}

/* ---- how fast ------------------------------------------------------------------------ */

static int by_size(const void *a, const void *b) {
  float x = *(const float *)a, y = *(const float *)b;
  return (x > y) - (x < y);
}

static double gap_ms(Peer *p, double part) {
  uint32_t count = atomic_load(&p->gap_count);
  qsort(p->gaps_us, count, sizeof *p->gaps_us, by_size);
  return count > 0 ? (double)p->gaps_us[(uint32_t)((double)(count - 1) * part)] / 1e3 : 0;
}

/* Calls a second. */
static double measure(World *w, const char *entry, uint32_t runs, uint32_t calls, int64_t delay_us) {
  Peer *p = w->peer;
  atomic_store(&p->delay_us, delay_us);
  begin(w, entry, runs, 2); /* what happens once: libcurl, connections, the first pages of the store */
  go(w);
  begin(w, entry, runs, calls);
  atomic_store(&p->gap_count, 0);
  StoreStats before = store_stats(node_store(w->node));
  double bytes = query(w, "SELECT sum(length(bytes) + length(head)) FROM log"), from = now(), used = cpu();
  go(w);
  double took = now() - from, n = (double)runs * calls;
  used = cpu() - used;
  StoreStats after = store_stats(node_store(w->node));
  bytes = query(w, "SELECT sum(length(bytes) + length(head)) FROM log") - bytes;
  printf("    %.0f calls/s; beyond the server's time median %.2f ms, p99 %.2f ms\n"
         "    a call: %.0f us of CPU, %.3f commits, %.3f syncs, %.0f bytes of journal\n",
         n / took, gap_ms(p, 0.5), gap_ms(p, 0.99), used * 1e6 / n, (double)(after.commits - before.commits) / n,
         (double)(after.syncs - before.syncs) / n, bytes / n);
  return n / took;
}

/* ---- beside them ------------------------------------------------------------------------ */

static double raw_commits(const char *dir, double budget) {
  char path[300], bytes[1024] = {0};
  sqlite3 *db;
  sqlite3_stmt *add;
  snprintf(path, sizeof path, "%s/raw.db", dir);
  if (sqlite3_open(path, &db)) stop("raw", sqlite3_errmsg(db));
  sqlite3_exec(db, "PRAGMA page_size=8192; PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA cache_size=-65536; "
               "CREATE TABLE log(gid INTEGER PRIMARY KEY, bytes BLOB)", NULL, NULL, NULL);
  sqlite3_prepare_v2(db, "INSERT INTO log(bytes) VALUES(?)", -1, &add, NULL);
  uint64_t rows = 0;
  double from = now();
  for (; now() - from < budget; rows++) {
    sqlite3_bind_blob(add, 1, bytes, sizeof bytes, SQLITE_STATIC);
    sqlite3_step(add);
    sqlite3_reset(add);
  }
  double rate = (double)rows / (now() - from);
  sqlite3_finalize(add);
  sqlite3_close(db);
  unlink(path);
  return rate;
}

static void effect_ask(Effects *e, int port, uint64_t seq) {
  Buf json = {0}, operands = {0};
  Err err;
  buf_format(&json,
             "[{\"provider\":\"openai\",\"url\":\"http://127.0.0.1:%d/v1\",\"name\":\"m\","
             "\"api_key\":\"sk-bench-0123456789\",\"max_tokens\":200,"
             "\"messages\":[{\"role\":\"user\",\"content\":\"how are you, for the time %" PRIu64 "?\"}]}]",
             port, seq);
  if (!cbor_from_json(buf_view(&json), &operands, &err)) stop("operands", err.text);
  effects_submit(e, &(EffectRequest){.run = 1, .seq = seq, .effect = EFFECT_MODEL, .effect_class = CLASS_REVERSIBLE,
                                     .operands = buf_view(&operands)});
  buf_deinit(&json);
  buf_deinit(&operands);
}

static double effects_alone(Peer *p, uint64_t calls) {
  Effects *e;
  Err err;
  uint64_t asked = 0;
  if (!effects_new(&(EffectOptions){.allow_loopback = true}, &e, &err)) stop("effects", err.text);
  atomic_store(&p->delay_us, 0);
  double from = now();
  while (asked < AT_ONCE) effect_ask(e, p->port, asked++);
  for (uint64_t got = 0; got < calls; got++) {
    EffectOutcome o;
    while (!effects_next(e, &o)) poll(&(struct pollfd){effects_fd(e), POLLIN, 0}, 1, 1000);
    if (strcmp(o.outcome, "ok") != 0) stop("effects", o.outcome);
    buf_deinit(&o.value);
    if (asked < calls) effect_ask(e, p->port, asked++);
  }
  double rate = (double)calls / (now() - from);
  effects_free(e);
  return rate;
}

typedef struct Case {
  const char *part, *entry, *told;
  uint32_t runs, share; /* of the calls: one in so many */
  int64_t delay_us;     /* of the server, in the mean */
} Case;

static const Case cases[] = {
    {"once", "Calls", "model.call, 64 runs, each asking at once again (floor: 3000 calls/s, 0.25x of the effects alone)", AT_ONCE, 1, 0},
    {"apart", "Apart", "model.call, 64 runs that sleep 16 ms before each, as the program sees it (floor: 3000 calls/s, 1 ms median)", AT_ONCE, 2, 0},
    {"paced", "Calls", "model.call, 64 runs, paced by a server that takes 20 ms in the mean", AT_ONCE, 2, PACED_US},
    {"late", "Calls", "model.call, 64 runs, a server that takes 50 ms in the mean", AT_ONCE, 4, LATE_US},
    {"slow", "Calls", "model.call, 64 runs, a server that takes 2 s in the mean", AT_ONCE, 200, SLOW_US},
    {"one", "Calls", "model.call, one run", 1, 16, 0},
    {"ask", "Asks", "ask of an ai_agent, 64 runs", AT_ONCE, 4, 0},
    {"asklate", "Asks", "ask of an ai_agent, 64 runs, a server that takes 50 ms in the mean", AT_ONCE, 8, LATE_US}};

static bool asked_for(const char *part, const char *name) { return part == NULL || strcmp(part, name) == 0; }

static void rate(Peer *p, const char *dir, uint32_t calls, const char *part) {
  World w;
  double alone = 0, commits = 0;
  if (asked_for(part, "beside")) {
    alone = effects_alone(p, calls);
    commits = raw_commits(dir, 1);
    printf("the effects alone: %.0f calls/s, %u at a time; SQLite alone: %.0f commits/s\n", alone, AT_ONCE, commits);
  }
  world_open(&w, p, dir, false, "  limit: { requests: 100_000_000 per 1m }\n");
  for (size_t i = 0; i < COUNT_OF(cases); i++) {
    const Case *c = &cases[i];
    if (!asked_for(part, c->part)) continue;
    printf("%s:\n", c->told);
    if (c->delay_us == PACED_US || c->delay_us == LATE_US)
      printf("    a commit of SQLite alone takes %.2f ms just now\n", 1e3 / raw_commits(dir, 0.5));
    double each = measure(&w, c->entry, c->runs, calls / c->share / c->runs + 1, c->delay_us);
    if (i == 0 && alone > 0)
      printf("    %.2fx of the effects alone, %.2f calls for each commit SQLite makes\n", each / alone, each / commits);
  }
  world_close(&w);
  if (!asked_for(part, "stream")) return;
  world_open(&w, p, dir, true, "");
  printf("model.call, streamed, %u runs:\n", AT_ONCE);
  (void)measure(&w, "Calls", AT_ONCE, calls / AT_ONCE, 0);
  printf("    %.2f pieces of text told a call\n", (double)w.pieces / (double)(calls / AT_ONCE * AT_ONCE));
  world_close(&w);
}

/* ---- how much memory ---------------------------------------------------------------------- */

enum { SETTLE_S = 4 };

/* All have begun, and whatever follows from that is done. */
static void *watch_main(void *context) {
  World *w = context;
  while (atomic_load(&w->begun) < w->most) usleep(10000);
  sleep(SETTLE_S);
  scheduler_stop(w->s);
  return NULL;
}

/* As `z8 serve`: goes on while nothing happens. */
static double serve(World *w, uint32_t runs) {
  pthread_t thread;
  double from = now();
  w->most = runs;
  if (pthread_create(&thread, NULL, watch_main, w) != 0) stop("thread", "cannot be made");
  if (go_on(w, PATIENCE_SERVE) != SCHEDULE_STOPPED) stop("memory", "nobody waits");
  pthread_join(thread, NULL);
  return w->begun_at - from;
}

static void told(const char *what, uint32_t runs, double before, double allocated) {
  struct mallinfo2 m = mallinfo2();
  printf("%u runs %s: %.1f KB of the process each, %.1f KB of that in use\n", runs, what,
         (memory() - before) / runs / 1024, ((double)(m.uordblks + m.hblkhd) - allocated) / runs / 1024);
}

static double allocated(void) {
  struct mallinfo2 m = mallinfo2();
  return (double)(m.uordblks + m.hblkhd);
}

typedef struct Waiting {
  World *w;
  uint32_t runs;
  double before, used, released_at;
} Waiting;

static void *waiting_main(void *context) {
  Waiting *h = context;
  Peer *p = h->w->peer;
  while (atomic_load(&p->asked) < h->runs) usleep(10000);
  sleep(SETTLE_S);
  told("waiting for replies (floor 32 KB)", h->runs, h->before, h->used);
  h->released_at = now();
  atomic_store(&p->hold, false);
  return NULL;
}

static void waiting(Peer *p, const char *dir, uint32_t runs) {
  World w;
  pthread_t thread;
  world_open(&w, p, dir, false, "");
  begin(&w, "Calls", AT_ONCE, 10);
  go(&w);
  atomic_store(&p->hold, true);
  atomic_store(&p->asked, 0);
  Waiting h = {&w, runs, memory(), allocated(), 0};
  if (pthread_create(&thread, NULL, waiting_main, &h) != 0) stop("thread", "cannot be made");
  double from = now();
  w.most = runs;
  go(&w);
  double over = now();
  pthread_join(thread, NULL);
  printf("    begun and asked at %.0f/s; answered all at once: %.0f/s to their end\n", runs / (w.begun_at - from),
         runs / (over - h.released_at));
  world_close(&w);
}

static void queued(Peer *p, const char *dir, uint32_t runs) {
  World w;
  world_open(&w, p, dir, false, "  limit: { requests: 64 per 24h }\n");
  begin(&w, "Calls", AT_ONCE, 1);
  go(&w);
  double before = memory(), used = allocated(), took = serve(&w, runs);
  told("queued behind a limit (floor 8 KB)", runs, before, used);
  printf("    begun and queued at %.0f/s\n", runs / took);
  world_close(&w);
}

/* Memory is measured in a process of its own, made before this one has used any. */
static void apart(void (*part)(Peer *p, const char *dir, uint32_t runs), const char *dir, uint32_t runs) {
  int status;
  fflush(stdout);
  pid_t child = fork();
  if (child == 0) {
    Peer *p = peer_start(0);
    part(p, dir, runs);
    peer_stop(p);
    fflush(stdout);
    _exit(0);
  }
  waitpid(child, &status, 0);
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) stop("memory", "a part failed");
}

static bool memory_only(const char *part) {
  return part != NULL && (strcmp(part, "queue") == 0 || strcmp(part, "wait") == 0);
}

int main(int argc, char **argv) {
  char room[200], command[256];
  uint32_t calls = argc > 1 ? (uint32_t)strtoul(argv[1], NULL, 10) : 40000;
  uint32_t runs = argc > 2 ? (uint32_t)strtoul(argv[2], NULL, 10) : 10000;
  const char *part = argc > 3 ? argv[3] : NULL, *base = getenv("BENCH_DIR");
  snprintf(room, sizeof room, "%s/z8-bench-agents-XXXXXX", base != NULL ? base : "/tmp");
  const char *dir = mkdtemp(room);
  if (dir == NULL) stop("bench", "no directory");
  setenv("BENCH_KEY", "sk-bench-0123456789", 1);
  setvbuf(stdout, NULL, _IOLBF, 0);
  if (asked_for(part, "queue")) apart(queued, dir, runs);
  if (asked_for(part, "wait")) apart(waiting, dir, runs);
  if (!memory_only(part)) {
    Peer *p = peer_start(0);
    rate(p, dir, calls, part);
    peer_stop(p);
  }
  snprintf(command, sizeof command, "rm -rf %s", dir);
  return system(command) == 0 ? 0 : 1;
}
