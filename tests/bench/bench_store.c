/* The store and the journal beside what they stand on: raw SQLite doing the same commits
** with the same durability, in the same run. Usage: bench_store [directory]. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <sqlite3.h>
#include "lang/tables.h"
#include "vm/base/file.h"
#include "vm/base/mem.h"
#include "vm/journal/journal.h"
#include "vm/store/count_vfs.h"

enum { ROW_BYTES = 250 };
static char row_bytes[ROW_BYTES];

static double seconds(int64_t from_us) { return (double)(clock_monotonic_us() - from_us) / 1e6; }

static void stop(const char *what, const char *why) {
  fprintf(stderr, "bench_store: %s: %s\n", what, why);
  exit(1);
}

static void remove_files(const char *dir) {
  static const char *const names[] = {"z8.db",  "z8.db-wal",  "z8.db-shm",
                                      "raw.db", "raw.db-wal", "raw.db-shm"};
  char path[512];
  for (size_t i = 0; i < COUNT_OF(names); i++) {
    snprintf(path, sizeof path, "%s/%s", dir, names[i]);
    unlink(path);
  }
}

typedef struct Speed {
  double rows, commits;
  uint64_t syncs;
} Speed;

/* ---- raw: one table, one blob a row, the same settings and the same checkpoints ---- */

static int on_wal(void *context, sqlite3 *db, const char *name, int pages) {
  (void)name;
  if (pages >= 4000) sqlite3_wal_checkpoint_v2(db, "main", SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
  (void)context;
  return SQLITE_OK;
}

static Speed raw(const char *dir, uint32_t batch, double budget) {
  char path[512];
  sqlite3 *db;
  sqlite3_stmt *begin, *add, *commit;
  CountVfs *vfs = count_vfs_new(NULL);
  snprintf(path, sizeof path, "%s/raw.db", dir);
  if (sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX,
                      count_vfs_name(vfs)))
    stop("raw", sqlite3_errmsg(db));
  sqlite3_exec(db,
               "PRAGMA page_size=8192; PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA "
               "cache_size=-65536;"
               "CREATE TABLE log(gid INTEGER PRIMARY KEY, bytes BLOB)",
               NULL, NULL, NULL);
  sqlite3_wal_hook(db, on_wal, NULL);
  sqlite3_prepare_v2(db, "BEGIN IMMEDIATE", -1, &begin, NULL);
  sqlite3_prepare_v2(db, "INSERT INTO log VALUES(?,?)", -1, &add, NULL);
  sqlite3_prepare_v2(db, "COMMIT", -1, &commit, NULL);
  uint64_t commits = 0, gid = 0;
  int64_t from = clock_monotonic_us();
  for (; seconds(from) < budget; commits++) {
    int rc = sqlite3_step(begin);
    sqlite3_reset(begin);
    for (uint32_t i = 0; i < batch; i++) {
      sqlite3_bind_int64(add, 1, (sqlite3_int64)++gid);
      sqlite3_bind_blob(add, 2, row_bytes, ROW_BYTES, SQLITE_STATIC);
      rc |= sqlite3_step(add);
      sqlite3_reset(add);
    }
    rc |= sqlite3_step(commit);
    sqlite3_reset(commit);
    if (rc != SQLITE_DONE) stop("raw", sqlite3_errmsg(db));
  }
  Speed s = {(double)gid / seconds(from), (double)commits / seconds(from), count_vfs_syncs(vfs)};
  sqlite3_finalize(begin);
  sqlite3_finalize(add);
  sqlite3_finalize(commit);
  sqlite3_close(db);
  count_vfs_free(vfs);
  return s;
}

/* ---- the store: as many runs as rows, each with its chain head ---- */

static Store *open_store(const char *dir) {
  Store *store;
  Err err;
  remove_files(dir);
  if (!store_open_sqlite(dir, NULL, &store, &err)) stop("store", err.text);
  return store;
}

static void make_runs(Store *store, uint32_t count) {
  Err err;
  RunRow *rows = mem_alloc(count * sizeof *rows);
  for (uint32_t i = 0; i < count; i++) {
    rows[i] = (RunRow){.number = i + 1, .entry = STR("Main"), .status = RUN_STATUS_RUNNING};
    memcpy(rows[i].id.byte, &i, sizeof i);
  }
  if (!store_commit(store, &(StoreGroup){.created = rows, .created_count = count}, &err))
    stop("store", err.text);
  mem_free(rows);
}

static Speed stored(const char *dir, uint32_t batch, double budget) {
  Err err;
  Store *store = open_store(dir);
  LogRow *rows = mem_alloc(batch * sizeof *rows);
  make_runs(store, batch);
  uint64_t before = store_stats(store).syncs, commits = 0;
  int64_t from = clock_monotonic_us();
  for (; seconds(from) < budget; commits++) {
    for (uint32_t i = 0; i < batch; i++)
      rows[i] = (LogRow){.run = i + 1, .bytes = {row_bytes, ROW_BYTES - 40}};
    if (!store_commit(store, &(StoreGroup){.rows = rows, .row_count = batch}, &err))
      stop("store", err.text);
  }
  double took = seconds(from);
  Speed s = {(double)commits * batch / took, (double)commits / took,
             store_stats(store).syncs - before};
  mem_free(rows);
  store_close(store);
  return s;
}

/* One process has more luck with the disk than another: take turns, and the best of each. */
static void compare(const char *dir, uint32_t batch, double budget) {
  Speed r = {0}, s = {0};
  for (int turn = 0; turn < 3; turn++) {
    remove_files(dir);
    Speed a = raw(dir, batch, budget), b = stored(dir, batch, budget);
    if (a.rows > r.rows) r = a;
    if (b.rows > s.rows) s = b;
  }
  printf(
      "batch %-4u raw %8.0f rows/s %6.0f commits/s %.2f syncs/commit | store %8.0f rows/s %6.0f "
      "commits/s %.2f "
      "syncs/commit | ratio %.2f\n",
      batch, r.rows, r.commits, (double)r.syncs / (r.commits * budget), s.rows, s.commits,
      (double)s.syncs / (s.commits * budget), s.rows / r.rows);
}

/* ---- the journal ---- */

static Buf operands;

static Record asked(uint64_t n) {
  return (Record){.kind = RECORD_ASKED,
                  .ASKED = {.kind = EFFECT_HTTP,
                            .site = 0x9f3a1b2c,
                            .fiber = 0,
                            .delivered = n / 2,
                            .target = STR("GET"),
                            .operands = buf_view(&operands),
                            .at = 1700000000000000 + (int64_t)n}};
}

static Record answered(uint64_t ref) {
  return (Record){.kind = RECORD_ANSWERED,
                  .ANSWERED = {.ref = ref,
                               .outcome = STR("ok"),
                               .value = buf_view(&operands),
                               .at = 1700000000000000 + (int64_t)ref}};
}

static void make_operands(void) {
  cbor_put_array(&operands, 1);
  cbor_put_tag(&operands, CBOR_TAG_MAP);
  cbor_put_array(&operands, 4);
  cbor_put_text(&operands, STR("method"));
  cbor_put_text(&operands, STR("GET"));
  cbor_put_text(&operands, STR("url"));
  cbor_put_text(&operands, STR("http://127.0.0.1:8080/orders/123456/lines"));
}

static void must(bool ok, const char *what) {
  if (!ok) stop("journal", what);
}

static void bench_put(void) {
  enum { MANY = 1000000 };
  Journal *j = journal_new((Hash256){{1}});
  LogRow row;
  StoreGroup g = {0};
  Buf size = {0};
  Record r = asked(0);
  record_encode(&r, &size);
  int64_t from = clock_monotonic_us();
  for (uint64_t i = 0; i < MANY; i++) {
    r = asked(i);
    must(journal_put(j, &r), "put");
    if (i % 64 == 63) must(journal_take(j, &row, &g), "take");
  }
  printf("journal_put, live, ASKED of %zu bytes: %.0f ns\n", size.size, seconds(from) * 1e9 / MANY);
  journal_free(j);
  buf_deinit(&size);
}

/* One run's history in the store: a row for each answer and the command after it. */
static void fill(Store *store, uint64_t pairs) {
  Err err;
  Journal *j = journal_new((Hash256){{1}});
  enum { BATCH = 256 };
  LogRow rows[BATCH];
  Buf bytes[BATCH] = {0};
  Record r = {.kind = RECORD_HEAD, .HEAD = {.entry = STR("Main"), .tenant = STR("default")}};
  make_runs(store, 1);
  must(journal_put(j, &r), "put");
  for (uint64_t i = 0; i < pairs; i += BATCH) {
    for (uint32_t k = 0; k < BATCH; k++) {
      r = asked(2 * (i + k));
      must(journal_put(j, &r), "put");
      r = answered(r.seq);
      must(journal_put(j, &r) && journal_take(j, &rows[k], &(StoreGroup){0}), "put");
      rows[k].run = 1;
      buf_clear(&bytes[k]);
      buf_str(&bytes[k], rows[k].bytes);
      rows[k].bytes = buf_view(&bytes[k]);
    }
    must(store_commit(store, &(StoreGroup){.rows = rows, .row_count = BATCH}, &err), err.text);
  }
  for (uint32_t k = 0; k < BATCH; k++) buf_deinit(&bytes[k]);
  journal_free(j);
}

static void replay(Journal *j, uint64_t pairs, uint64_t records) {
  Record head = *journal_peek(j), event;
  int64_t from = clock_monotonic_us();
  must(journal_put(j, &head), "head");
  for (uint64_t i = 0; i < pairs; i++) {
    Record r = asked(2 * i);
    must(journal_put(j, &r), "put in history");
    must(journal_event(j, &event), "event");
  }
  printf("replay: commands compared, events given: %.0f ns a record\n",
         seconds(from) * 1e9 / (double)records);
}

static void bench_load(const char *dir) {
  enum { PAIRS = 256 * 1000 };
  Err err;
  Journal *j;
  Store *store = open_store(dir);
  fill(store, PAIRS);
  uint64_t records = 2 * PAIRS + 1, count;
  double best = 1e9;
  for (int turn = 0; turn < 3; turn++) {
    int64_t from = clock_monotonic_us();
    must(journal_load(store, 1, (Hash256){{1}}, true, &j, &err), err.text);
    if (seconds(from) < best) best = seconds(from);
    if (turn < 2) journal_free(j);
  }
  printf("journal_load from SQLite, chain verified: %.0f records/s\n", (double)records / best);
  replay(j, PAIRS, records);
  journal_free(j);
  int64_t from = clock_monotonic_us();
  must(journal_verify(store, 1, &count, &err), err.text);
  printf("journal_verify, every record decoded: %.0f records/s\n", (double)count / seconds(from));
  store_close(store);
}

int main(int argc, char **argv) {
  char dir[] = "/tmp/z8-bench-XXXXXX";
  const char *where = argc > 1 ? argv[1] : mkdtemp(dir);
  if (!where) stop("bench", "no directory");
  memset(row_bytes, 'r', sizeof row_bytes);
  make_operands();
  compare(where, 1, 0.7);
  compare(where, 256, 0.7);
  bench_put();
  bench_load(where);
  remove_files(where);
  rmdir(where);
  return 0;
}
