/* Commands through the bus on the SQLite store, beside raw SQLite doing as many rows with the same durability in the same
** run; instances cold, from snapshots, many at once. Usage: bench_bus [seconds] [agents] [part], 2 and 100000 unless said;
** parts: accepted cold streams handlers agents. */
#include <malloc.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "compiler/compile.h"
#include "vm/base/cbor.h"
#include "vm/base/file.h"
#include "vm/base/mem.h"
#include "vm/runtime/agents.h"
#include "vm/runtime/bus.h"
#include "vm/runtime/schedule.h"

#define BANK(settings) \
  "command Open(account_id: string)\n" \
  "command Deposit(account_id: string, amount: int where amount > 0)\n" \
  "event Opened(account_id: string)\n" \
  "event Deposited(amount: int)\n" \
  "agent Account:\n" \
  settings \
  "  state { account_id: \"\", balance: 0, status: \"new\" }\n" \
  "  invariant balance >= 0, \"never below zero\"\n" \
  "  decide Open(cmd) when status is \"new\": emit Opened(account_id: cmd.account_id)\n" \
  "  decide Deposit(amount) when status is \"open\":\n" \
  "    emit Deposited(amount: amount)\n" \
  "    reply balance + amount\n" \
  "  evolve Opened(e):\n" \
  "    account_id = e.account_id\n" \
  "    status = \"open\"\n" \
  "  evolve Deposited(amount): balance += amount\n" \
  "  view available(): return balance\n" \
  "router Bank:\n" \
  "  validate every command\n" \
  "  identify Account by account_id, prefix \"account-\"\n" \
  "  dispatch [Open, Deposit] -> Account\n" \
  "start Bank\n"

static double now(void) { return (double)clock_monotonic_us() / 1e6; }

/* Of this process: says what a thing costs when others use the machine too. */
static double cpu(void) {
  struct timespec t;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
  return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void stop(const char *what, const char *why) {
  fprintf(stderr, "bench_bus: %s: %s\n", what, why);
  exit(1);
}

/* ---- raw --------------------------------------------------------------------- */

static double raw(const char *dir, uint32_t batch, int row_bytes, double budget) {
  char path[300];
  sqlite3 *db;
  sqlite3_stmt *add;
  char *bytes = mem_alloc((size_t)row_bytes);
  snprintf(path, sizeof path, "%s/raw.db", dir);
  unlink(path);
  if (sqlite3_open(path, &db)) stop("raw", sqlite3_errmsg(db));
  sqlite3_exec(db, "PRAGMA page_size=8192; PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA "
               "cache_size=-65536; CREATE TABLE log(gid INTEGER PRIMARY KEY, bytes BLOB)", NULL, NULL, NULL);
  sqlite3_prepare_v2(db, "INSERT INTO log(bytes) VALUES(?)", -1, &add, NULL);
  uint64_t rows = 0;
  double from = now();
  while (now() - from < budget) {
    sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL);
    for (uint32_t i = 0; i < batch; i++, rows++) {
      sqlite3_bind_blob(add, 1, bytes, row_bytes, SQLITE_STATIC);
      sqlite3_step(add);
      sqlite3_reset(add);
    }
    if (sqlite3_exec(db, "COMMIT", NULL, NULL, NULL)) stop("raw", sqlite3_errmsg(db));
  }
  double rate = (double)rows / (now() - from);
  sqlite3_finalize(add);
  sqlite3_close(db);
  mem_free(bytes);
  unlink(path);
  return rate;
}

/* ---- a node ---------------------------------------------------------------------- */

static Arena arena;
static const char *source;

static bool read_source(void *context, Str path, Arena *to, Str *text, Err *err) {
  (void)context, (void)path, (void)to, (void)err;
  *text = str_of(source);
  return true;
}

typedef struct Bank {
  Node *node;
  Scheduler *s;
  App *app;
} Bank;

static void remove_store(const char *dir) {
  static const char *const names[] = {"z8.db", "z8.db-wal", "z8.db-shm", "lock", "control.sock"};
  char path[300];
  for (size_t i = 0; i < COUNT_OF(names); i++) {
    snprintf(path, sizeof path, "%s/%s", dir, names[i]);
    unlink(path);
  }
}

static void notice(void *context, Str text) {
  (void)context;
  fprintf(stderr, STR_FMT "\n", STR_ARG(text));
}

static void bank_open(Bank *b, const char *dir, const char *text, uint64_t cache) {
  static Compilation c;
  Buf bytes = {0};
  Err err = {0};
  const Program *program;
  source = text;
  arena_init(&arena);
  if (!compile(&arena, STR("bank.z8"), (SourceReader){read_source, NULL}, (CompileOptions){0}, &c)) {
    diag_render(&c.diags, false, &bytes);
    stop("compile", bytes.at);
  }
  bundle_write(&c.bundle, &bytes);
  NodeOptions node = {.dir = dir};
  SchedulerOptions o = {.threads = 1, .app = true, .agent_cache = cache, .notice = notice};
  if (!node_open(&node, &b->node, &err) || !scheduler_new(b->node, &o, &b->s, &err) ||
      !node_program_add(b->node, &c.bundle, buf_view(&bytes), &program, &err))
    stop("node", err.text);
  b->app = scheduler_app(b->s);
  if (!app_activate(b->app, c.bundle.id, &err)) stop("activate", err.text);
  buf_deinit(&bytes);
}

static void bank_close(Bank *b) {
  scheduler_free(b->s);
  node_close(b->node);
  arena_deinit(&arena);
}

/* ---- callers ------------------------------------------------------------------------ */

typedef struct Load {
  Bank *bank;
  const char *command;
  uint32_t accounts, next;
  bool in_order, keys;
  uint64_t left, done, failed;
  double until; /* or until `left` is 0 */
  float *took;
  uint64_t took_count, took_cap;
  uint64_t chance;
} Load;

typedef struct Caller {
  Load *load;
  double sent;
} Caller;

static uint64_t chance(Load *l) {
  l->chance ^= l->chance << 13;
  l->chance ^= l->chance >> 7;
  l->chance ^= l->chance << 17;
  return l->chance;
}

static void caller_send(Caller *caller);

static void caller_done(void *context, const CommandResult *result) {
  Caller *caller = context;
  Load *l = caller->load;
  double t = now();
  l->done++;
  if (!result->ok && l->failed++ == 0) {
    Buf text = {0};
    Err err;
    if (cbor_to_json(result->value, &text, &err)) fprintf(stderr, "refused: " STR_FMT "\n", STR_ARG(buf_view(&text)));
    buf_deinit(&text);
  }
  if (l->took_count < l->took_cap) l->took[l->took_count++] = (float)(t - caller->sent);
  if (l->left > 0 && (l->until == 0 || t < l->until)) caller_send(caller);
}

static void caller_send(Caller *caller) {
  Load *l = caller->load;
  char id[24], key[40];
  Buf data = {0};
  Err err;
  bool deposit = l->command[0] == 'D';
  uint64_t n = l->in_order ? l->next++ : chance(l) % l->accounts;
  int size = snprintf(id, sizeof id, "acc-%06" PRIu64, n);
  l->left--;
  cbor_put_tag(&data, CBOR_TAG_RECORD);
  cbor_put_array(&data, deposit ? 6 : 4);
  cbor_put_text(&data, str_of(l->command));
  cbor_put_uint(&data, 1);
  cbor_put_text(&data, STR("account_id"));
  cbor_put_text(&data, (Str){id, (size_t)size});
  if (deposit) {
    cbor_put_text(&data, STR("amount"));
    cbor_put_uint(&data, 1 + n % 100);
  }
  Command c = {.name = str_of(l->command), .version = 1, .data = buf_view(&data), .expected_version = ANY_VERSION};
  if (l->keys) {
    size = snprintf(key, sizeof key, "%016" PRIx64 "%016" PRIx64, chance(l), chance(l));
    c.idempotency_key = (Str){key, (size_t)size};
  }
  caller->sent = now();
  if (!bus_dispatch(l->bank->app, &c, caller_done, caller, &err)) stop("dispatch", err.text);
  buf_deinit(&data);
}

/* Commands a second. */
static double load_run(Load *l, uint32_t callers) {
  Caller *all = mem_alloc(callers * sizeof *all);
  Err err = {0};
  double from = now();
  l->chance = 88172645463325252u;
  for (uint32_t i = 0; i < callers && l->left > 0; i++) {
    all[i].load = l;
    caller_send(&all[i]);
  }
  if (scheduler_run(l->bank->s, 0, 0, &err) == SCHEDULE_FAILED) stop("run", err.text);
  double took = now() - from;
  mem_free(all);
  if (l->failed > 0) stop("commands", "some were refused");
  return (double)l->done / took;
}

static void open_all(Bank *b, uint32_t first, uint32_t accounts) {
  Load l = {.bank = b, .command = "Open", .accounts = accounts, .in_order = true, .next = first,
            .left = accounts - first};
  (void)load_run(&l, 1024);
}

static int by_time(const void *a, const void *b) {
  float x = *(const float *)a, y = *(const float *)b;
  return (x > y) - (x < y);
}

static double percentile(Load *l, double p) {
  qsort(l->took, l->took_count, sizeof *l->took, by_time);
  return l->took_count > 0 ? (double)l->took[(uint64_t)((double)(l->took_count - 1) * p)] * 1e3 : 0;
}

/* ---- what is measured ------------------------------------------------------------------ */

static double row_size(const char *dir) {
  char path[300];
  sqlite3 *db;
  sqlite3_stmt *q;
  snprintf(path, sizeof path, "%s/z8.db", dir);
  if (sqlite3_open_v2(path, &db, SQLITE_OPEN_READONLY, NULL)) stop("size", sqlite3_errmsg(db));
  sqlite3_prepare_v2(db, "SELECT avg(length(bytes) + length(head)) FROM (SELECT * FROM log ORDER BY gid DESC LIMIT 9999)",
                     -1, &q, NULL);
  sqlite3_step(q);
  double size = sqlite3_column_double(q, 0);
  sqlite3_finalize(q);
  sqlite3_close(db);
  return size;
}

static void accepted(const char *dir, double budget) {
  Bank b;
  float *took = mem_alloc(4000000 * sizeof *took);
  double best = 0, best_keys = 0, best_raw = 0, p99 = 1e9, p50 = 0, alone = 1e9, lone = 1e9;
  bank_open(&b, dir, BANK(""), 0);
  open_all(&b, 0, 10000);
  double size = row_size(dir);
  for (int turn = 0; turn < 3; turn++) {
    double r = raw(dir, 256, (int)size, budget / 2);
    double before = cpu();
    Load many = {.bank = &b, .command = "Deposit", .accounts = 10000, .left = UINT64_MAX, .until = now() + budget};
    double m = load_run(&many, 256), each = (cpu() - before) * 1e6 / (double)many.done;
    before = cpu();
    Load keys = {.bank = &b, .command = "Deposit", .accounts = 10000, .keys = true, .left = UINT64_MAX,
                 .until = now() + budget};
    double k = load_run(&keys, 256), each_key = (cpu() - before) * 1e6 / (double)keys.done;
    Load some = {.bank = &b, .command = "Deposit", .accounts = 10000, .left = UINT64_MAX, .until = now() + budget / 2,
                 .took = took, .took_cap = 4000000};
    (void)load_run(&some, 64);
    double l = percentile(&some, 0.99);
    Load one = {.bank = &b, .command = "Deposit", .accounts = 10000, .left = UINT64_MAX, .until = now() + budget / 2};
    double o = 1e6 / load_run(&one, 1), c = 1e6 / raw(dir, 1, (int)size, budget / 2);
    if (r > best_raw) best_raw = r;
    if (m > best) best = m;
    if (k > best_keys) best_keys = k;
    if (l < p99) p99 = l, p50 = percentile(&some, 0.5);
    if (o < alone) alone = o;
    if (c < lone) lone = c;
    printf("  raw %.0f rows/s | 256 callers %.0f/s, %.1f us of CPU each | with keys %.0f/s, %.1f us | 64 callers p99 %.2f ms | "
           "one caller %.0f us, a lone commit %.0f us\n", r, m, each, k, each_key, l, o, c);
  }
  printf("commands accepted, best of three: %.0f/s, %.3fx of raw's %.0f rows/s of %.0f bytes (floor 0.08x)\n", best,
         best / best_raw, best_raw, size);
  printf("  with an idempotency key each: %.0f/s, %.3fx (floor 0.04x)\n", best_keys, best_keys / best_raw);
  printf("  64 callers: p50 %.2f ms, p99 %.2f ms (floor 20 ms); one caller %.2fx of a lone commit (floor 1.5x)\n", p50, p99,
         alone / lone);
  bank_close(&b);
  mem_free(took);
  remove_store(dir);
}

static double find_us(Bank *b, uint32_t first, uint32_t count) {
  Instance *i;
  Err err;
  char key[40];
  double from = cpu();
  for (uint32_t n = first; n < first + count; n++) {
    int size = snprintf(key, sizeof key, "account-acc-%06u", n);
    if (!agents_find(b->app->agents, 0, (Str){key, (size_t)size}, &i, &err)) stop("find", err.text);
  }
  return (cpu() - from) * 1e6 / count;
}

static void grow_to(Bank *b, uint32_t accounts, uint64_t events) {
  for (uint64_t n = 1; n < events; n++) {
    Load l = {.bank = b, .command = "Deposit", .accounts = accounts, .in_order = true, .left = accounts};
    (void)load_run(&l, accounts);
  }
}

static void cold(const char *dir) {
  Bank b;
  for (int snapshots = 0; snapshots < 2; snapshots++) {
    const char *text = snapshots ? BANK("  snapshot every 50 events\n") : BANK("");
    bank_open(&b, dir, text, 0);
    open_all(&b, 0, 500);
    grow_to(&b, 500, 100);
    bank_close(&b);
    bank_open(&b, dir, text, 0);
    (void)find_us(&b, 0, 20); /* the first ones open files */
    double first = find_us(&b, 20, 480), us = 0;
    b.app->options.cache = 1; /* nothing stays: what is read again is in the pages that SQLite keeps */
    for (int pass = 0; pass < 20; pass++) {
      agents_trim(b.app->agents, 0);
      us += find_us(&b, 0, 500) / 20;
    }
    printf("a cold agent of 100 events, %s: %.1f us (floor %d us); the very first time %.1f us\n",
           snapshots ? "from a snapshot" : "from its rows", us, snapshots ? 30 : 100, first);
    bank_close(&b);
    remove_store(dir);
  }
}

static void long_stream(const char *dir, uint64_t events) {
  Bank b;
  bank_open(&b, dir, BANK(""), 0);
  open_all(&b, 0, 1);
  Load l = {.bank = &b, .command = "Deposit", .accounts = 1, .left = events - 1};
  double rate = load_run(&l, 256);
  bank_close(&b);
  bank_open(&b, dir, BANK(""), 0);
  double best = 1e12;
  for (int turn = 0; turn < 3; turn++) {
    double us = find_us(&b, 0, 1);
    if (us < best) best = us;
    bank_close(&b);
    bank_open(&b, dir, BANK(""), 0);
  }
  printf("a stream of %" PRIu64 " events: appended at %.0f/s, folded from the store at %.2f M/s (floor 1.5 M/s for 10 000)\n",
         events, rate, (double)events / best);
  bank_close(&b);
  remove_store(dir);
}

/* Events from the commit of their commands to the end of their handling; each is a run of its own. */
static void handlers(const char *dir) {
  enum { EVENTS = 20000 };
  Bank b;
  bank_open(&b, dir, BANK("") "handler Seen:\n  concurrency 64\n  on Deposited(e):\n    x = e.amount\n", 0);
  open_all(&b, 0, 1000);
  Load l = {.bank = &b, .command = "Deposit", .accounts = 1000, .left = EVENTS};
  double before = cpu(), rate = load_run(&l, 256);
  printf("a handler of trivial work, 64 at once, keeping up: %.0f events/s, %.1f us of CPU each with their commands\n", rate,
         (cpu() - before) * 1e6 / EVENTS);
  bank_close(&b);
  remove_store(dir);
}

static void many_agents(const char *dir, uint32_t agents) {
  Bank b;
  bank_open(&b, dir, BANK(""), UINT64_C(4) << 30);
  for (uint32_t first = 0, count = 10000; count <= agents; first = count, count *= 10) {
    double from = now();
    open_all(&b, first, count);
    double opened = (count - first) / (now() - from);
    Load l = {.bank = &b, .command = "Deposit", .accounts = count, .left = 100000};
    double rate = load_run(&l, 256);
    AgentCounts counts = agents_counts(b.app->agents);
    struct mallinfo2 m = mallinfo2();
    printf("%u live agents: opened at %.0f/s, commands at %.0f/s, %.0f bytes each (all of the process: %.0f)\n", count, opened,
           rate, (double)counts.bytes / (double)counts.instances, (double)(m.uordblks + m.hblkhd) / count);
  }
  bank_close(&b);
  remove_store(dir);
}

int main(int argc, char **argv) {
  char room[] = "/tmp/z8-bench-bus-XXXXXX";
  double budget = argc > 1 ? strtod(argv[1], NULL) : 2;
  uint32_t agents = argc > 2 ? (uint32_t)strtoul(argv[2], NULL, 10) : 100000;
  const char *dir = mkdtemp(room);
  if (dir == NULL) stop("bench", "no directory");
  setvbuf(stdout, NULL, _IOLBF, 0);
  const char *part = argc > 3 ? argv[3] : NULL;
  if (part == NULL || strcmp(part, "accepted") == 0) accepted(dir, budget);
  if (part == NULL || strcmp(part, "cold") == 0) cold(dir);
  for (uint64_t events = 100; events <= (uint64_t)agents; events *= 10)
    if ((part == NULL || strcmp(part, "streams") == 0) && events != 1000) long_stream(dir, events);
  if (part == NULL || strcmp(part, "handlers") == 0) handlers(dir);
  if (part == NULL || strcmp(part, "agents") == 0) many_agents(dir, agents);
  rmdir(dir);
  return 0;
}
