/* What an application costs the store: streams, random keys, pages, jobs, sleeping runs, an opening after a kill;
** beside raw SQLite rows of the same size in groups of 256. Usage: bench_store_app [part …], of which there are: rows
** keys read jobs runs open. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <sqlite3.h>
#include "vm/base/file.h"
#include "vm/base/hash.h"
#include "vm/base/mem.h"
#include "vm/store/store.h"

enum { GROUP = 256, ROW_BYTES = 210 };
static char dir[] = "/tmp/z8-bench-XXXXXX";
static char bytes[1 << 16];

static double seconds(int64_t from_us) { return (double)(clock_monotonic_us() - from_us) / 1e6; }

/* Of this process: says what reading costs on a machine that is busy with other things too. */
static double cpu_seconds(void) {
  struct timespec t;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
  return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void must(bool ok, const Err *err) {
  if (ok) return;
  fprintf(stderr, "bench_store_app: %s\n", err->text);
  exit(1);
}

static uint64_t chance = 1;
static uint64_t any(uint64_t below) {
  chance = chance * UINT64_C(6364136223846793005) + 1442695040888963407;
  return (chance >> 33) % below;
}

static void remove_files(void) {
  static const char *const names[] = {"z8.db", "z8.db-wal", "z8.db-shm", "raw.db", "raw.db-wal", "raw.db-shm"};
  char path[256];
  for (size_t i = 0; i < COUNT_OF(names); i++) {
    snprintf(path, sizeof path, "%s/%s", dir, names[i]);
    unlink(path);
  }
}

static Store *open_store(bool fresh) {
  Store *store;
  Err err;
  if (fresh) remove_files();
  must(store_open_sqlite(dir, NULL, &store, &err), &err);
  return store;
}

static void commit(Store *store, StoreGroup *g) {
  Err err;
  must(store_commit(store, g, &err), &err);
}

static uint64_t resident_bytes(void) {
  FILE *f = fopen("/proc/self/statm", "r");
  unsigned long long all = 0, resident = 0;
  if (!f || fscanf(f, "%llu %llu", &all, &resident) != 2) resident = 0;
  if (f) fclose(f);
  return resident * (uint64_t)sysconf(_SC_PAGESIZE);
}

/* ---- raw ---- */

static int on_wal(void *context, sqlite3 *db, const char *name, int pages) {
  (void)context, (void)name;
  if (pages >= 1000) sqlite3_wal_checkpoint_v2(db, "main", SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
  return SQLITE_OK;
}

static double cpu_each; /* microseconds of processor time a row took, last time */

static double raw_rows(double budget) {
  char path[256];
  sqlite3 *db;
  sqlite3_stmt *begin, *add, *end;
  remove_files();
  snprintf(path, sizeof path, "%s/raw.db", dir);
  sqlite3_open(path, &db);
  sqlite3_exec(db,
               "PRAGMA page_size=8192; PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA cache_size=-65536;"
               "CREATE TABLE log(gid INTEGER PRIMARY KEY, bytes BLOB)",
               NULL, NULL, NULL);
  sqlite3_wal_hook(db, on_wal, NULL);
  sqlite3_prepare_v2(db, "BEGIN IMMEDIATE", -1, &begin, NULL);
  sqlite3_prepare_v2(db, "INSERT INTO log VALUES(?,?)", -1, &add, NULL);
  sqlite3_prepare_v2(db, "COMMIT", -1, &end, NULL);
  int64_t from = clock_monotonic_us(), gid = 0;
  double cpu = cpu_seconds();
  while (seconds(from) < budget) {
    sqlite3_step(begin);
    sqlite3_reset(begin);
    for (int i = 0; i < GROUP; i++) {
      sqlite3_bind_int64(add, 1, ++gid);
      sqlite3_bind_blob(add, 2, bytes, ROW_BYTES + 40, SQLITE_STATIC);
      sqlite3_step(add);
      sqlite3_reset(add);
    }
    sqlite3_step(end);
    sqlite3_reset(end);
  }
  double rate = (double)gid / seconds(from);
  cpu_each = (cpu_seconds() - cpu) * 1e6 / (double)gid;
  sqlite3_finalize(begin);
  sqlite3_finalize(add);
  sqlite3_finalize(end);
  sqlite3_close(db);
  return rate;
}

/* ---- streams ---- */

static void make_streams(Store *store, uint64_t count) {
  static StreamRow rows[4096];
  static char keys[4096][24];
  for (uint64_t done = 0; done < count;) {
    uint32_t n = 0;
    for (; n < 4096 && done < count; n++, done++) {
      snprintf(keys[n], sizeof keys[n], "account-%08x", (uint32_t)(done * 2654435761u));
      rows[n] = (StreamRow){.number = store_next_run(store) + n, .key = str_of(keys[n])};
    }
    commit(store, &(StoreGroup){.streams = rows, .stream_count = n});
  }
}

/* Rows a second, one of a random stream each; the longest commit in *worst, in seconds. */
static double stream_rows(Store *store, uint64_t streams, double budget, double *worst) {
  static LogRow rows[GROUP];
  uint64_t count = 0;
  double cpu = cpu_seconds();
  int64_t from = clock_monotonic_us();
  *worst = 0;
  while (seconds(from) < budget) {
    for (int i = 0; i < GROUP; i++) rows[i] = (LogRow){.run = 1 + any(streams), .bytes = {bytes, ROW_BYTES}};
    int64_t begun = clock_monotonic_us();
    commit(store, &(StoreGroup){.rows = rows, .row_count = GROUP});
    if (seconds(begun) > *worst) *worst = seconds(begun);
    count += GROUP;
  }
  cpu_each = (cpu_seconds() - cpu) * 1e6 / (double)count;
  return (double)count / seconds(from);
}

static void bench_rows(void) {
  static const uint64_t sizes[] = {256, 10000, 100000, 1000000};
  double raw = 0, worst;
  for (int turn = 0; turn < 2; turn++) {
    double r = raw_rows(1);
    if (r > raw) raw = r;
  }
  printf("raw rows, %d a transaction: %.0f/s, cpu %.2f us each\n", GROUP, raw, cpu_each);
  for (size_t i = 0; i < COUNT_OF(sizes); i++) {
    Store *store = open_store(true);
    make_streams(store, sizes[i]);
    double rate = stream_rows(store, sizes[i], 3, &worst);
    printf("rows over %7d streams: %.0f/s, %.2f of raw, cpu %.2f us each, the longest commit %.1f ms\n", (int)sizes[i],
           rate, rate / raw, cpu_each, worst * 1e3);
    store_close(store);
  }
}

/* ---- random keys ---- */

static void bench_keys(void) {
  enum { TOTAL = 3000000, STEP = 500000 };
  static KvRow kv[GROUP];
  static uint64_t keys[GROUP][2];
  static LogRow rows[GROUP];
  double raw = raw_rows(1);
  Store *store = open_store(true);
  make_streams(store, 10000);
  printf("raw rows: %.0f/s, cpu %.2f us each\n", raw, cpu_each);
  double cpu = cpu_seconds();
  int64_t from = clock_monotonic_us();
  for (uint64_t done = GROUP; done <= TOTAL; done += GROUP) {
    for (int i = 0; i < GROUP; i++) {
      keys[i][0] = any(UINT64_MAX) << 32 | any(UINT64_MAX), keys[i][1] = any(UINT64_MAX);
      kv[i] = (KvRow){SPACE_REPLY, {(char *)keys[i], 16}, {bytes, 60}};
      rows[i] = (LogRow){.run = 1 + any(10000), .bytes = {bytes, ROW_BYTES}};
    }
    commit(store, &(StoreGroup){.kv = kv, .kv_count = GROUP, .rows = rows, .row_count = GROUP});
    if (done / STEP == (done - GROUP) / STEP) continue;
    printf("a row and a random 16-byte key each, after %.1f million: %.0f/s, %.3f of raw, cpu %.2f us each\n",
           (double)done / 1e6, STEP / seconds(from), STEP / seconds(from) / raw, (cpu_seconds() - cpu) * 1e6 / STEP);
    from = clock_monotonic_us();
    cpu = cpu_seconds();
  }
  from = clock_monotonic_us();
  store_close(store);
  printf("closed, with all keys in the index: %.0f ms\n", seconds(from) * 1e3);
  from = clock_monotonic_us();
  store = open_store(false);
  printf("opened: %.0f ms\n", seconds(from) * 1e3);
  store_close(store);
}

/* ---- reading ---- */

static bool add_size(void *context, const LogRow *row) {
  *(uint64_t *)context += row->bytes.size;
  return true;
}

/* `streams` of `each` rows, interleaved, with pages of 64. */
static Store *fill_streams(uint64_t streams, uint64_t each) {
  static LogRow rows[GROUP];
  static PageRow pages[GROUP];
  Store *store = open_store(true);
  make_streams(store, streams);
  uint32_t n = 0, paged = 0;
  for (uint64_t k = 1; k <= each; k++) {
    for (uint64_t s = 1; s <= streams; s++) {
      uint64_t gid = store_last_gid(store) + n + 1;
      rows[n++] = (LogRow){.run = s, .bytes = {bytes, ROW_BYTES}};
      if (k % 64 == 0) pages[paged++] = (PageRow){.stream = s, .through = gid, .bytes = {bytes, 64 * ROW_BYTES}};
      if (n < GROUP && (k < each || s < streams)) continue;
      commit(store, &(StoreGroup){.rows = rows, .row_count = n, .pages = pages, .page_count = paged});
      n = paged = 0;
    }
  }
  store_close(store);
  return open_store(false);
}

static void bench_read(void) {
  Err err;
  Buf keep = {0};
  StreamRow row;
  char key[24];
  Store *store = fill_streams(20, 10000);
  uint64_t size = 0;
  double cpu = cpu_seconds();
  int64_t from = clock_monotonic_us();
  for (uint64_t s = 1; s <= 20; s++) must(store_stream_read(store, s, 0, add_size, &size, &err), &err);
  printf("streams of 10000 rows with pages: %.2f million rows/s (by cpu time %.2f)\n", 20 * 10000 / seconds(from) / 1e6,
         20 * 10000 / (cpu_seconds() - cpu) / 1e6);
  store_close(store);
  store = fill_streams(5000, 100);
  for (uint64_t after = 0; after < 2; after++) {
    from = clock_monotonic_us();
    cpu = cpu_seconds();
    for (uint64_t i = 0; i < 5000; i++) {
      uint64_t n = i * 2477 % 5000;
      snprintf(key, sizeof key, "account-%08x", (uint32_t)(n * 2654435761u));
      must(store_stream_find(store, str_of(key), &row, &keep, &err), &err);
      must(store_stream_read(store, row.number, after ? row.last_gid - 5000 : 0, add_size, &size, &err), &err);
    }
    printf("a stream of 100 rows found and read%s: %.1f us (cpu %.1f)\n", after ? ", the last one only" : "",
           seconds(from) * 1e6 / 5000, (cpu_seconds() - cpu) * 1e6 / 5000);
  }
  size = 0;
  from = clock_monotonic_us();
  must(store_log_from(store, 0, add_size, &size, &err), &err);
  printf("the whole log: %.2f million rows/s\n", 500000 / seconds(from) / 1e6);
  store_close(store);
  buf_deinit(&keep);
}

/* ---- jobs ---- */

typedef struct Taken {
  JobRow rows[GROUP];
  uint32_t count;
} Taken;
static bool take_job(void *context, const JobRow *row) {
  Taken *t = context;
  t->rows[t->count] = *row;
  JobRow *mine = &t->rows[t->count++];
  mine->worker = mine->queue = mine->input = mine->meta = mine->unique = mine->note = (Str){0};
  return true;
}

static void bench_jobs(void) {
  enum { MANY = 100000 };
  static JobRow jobs[GROUP];
  static Taken taken;
  Err err;
  Store *store = open_store(true);
  double cpu = cpu_seconds();
  int64_t from = clock_monotonic_us(), due;
  for (uint64_t done = 0; done < MANY; done += GROUP) {
    for (uint64_t i = 0; i < GROUP; i++) {
      jobs[i] = (JobRow){.number = done + i + 1,
                         .worker = STR("Mail"),
                         .queue = STR("default"),
                         .state = JOB_AVAILABLE,
                         .priority = (uint8_t)any(3),
                         .due_us = (int64_t)done,
                         .input = {bytes, 100},
                         .meta = {bytes, 60}};
      memcpy(jobs[i].id.byte, &(uint64_t){__builtin_bswap64(done + i)}, 8);
    }
    commit(store, &(StoreGroup){.jobs = jobs, .job_count = GROUP});
  }
  printf("jobs enqueued, %d a transaction: %.0f/s, cpu %.2f us each\n", GROUP, MANY / seconds(from),
         (cpu_seconds() - cpu) * 1e6 / MANY);
  from = clock_monotonic_us();
  cpu = cpu_seconds();
  uint64_t ended = 0;
  for (uint64_t lease = 1;; lease++) {
    taken.count = 0;
    must(store_job_due(store, STR("default"), INT64_MAX, 64, take_job, &taken, &err), &err);
    if (taken.count == 0) break;
    for (int ending = 0; ending < 2; ending++) {
      for (uint32_t i = 0; i < taken.count; i++) {
        taken.rows[i].state = (uint8_t)(ending ? JOB_DONE : JOB_EXECUTING);
        taken.rows[i].lease = lease;
      }
      commit(store, &(StoreGroup){.job_updates = taken.rows, .job_update_count = taken.count});
    }
    must(store_job_next_due(store, STR("default"), 0, &due, &err), &err);
    ended += taken.count;
  }
  printf("jobs found, leased and ended, 64 a transaction: %.0f/s, cpu %.2f us each\n", (double)ended / seconds(from),
         (cpu_seconds() - cpu) * 1e6 / (double)ended);
  store_close(store);
}

/* ---- sleeping runs ---- */

static bool count_run(void *context, const RunRow *row) {
  (void)row;
  ++*(uint64_t *)context;
  return true;
}

static void make_runs(Store *store, uint64_t count, bool due) {
  static RunRow runs[4096];
  for (uint64_t done = 0; done < count;) {
    uint32_t n = 0;
    for (; n < 4096 && done < count; n++, done++) {
      runs[n] = (RunRow){.number = store_next_run(store) + n,
                         .entry = STR("Approval"),
                         .status = RUN_STATUS_PARKED,
                         .wake_us = due ? 1 + (int64_t)any(1000) : INT64_C(1) << 60};
      memcpy(runs[n].id.byte, &(uint64_t){__builtin_bswap64(store_next_run(store) + n)}, 8);
    }
    commit(store, &(StoreGroup){.created = runs, .created_count = n});
  }
}

static void bench_runs(void) {
  Err err;
  Store *store = open_store(true);
  uint64_t count = 0;
  int64_t wake;
  make_runs(store, 900000, false);
  make_runs(store, 100000, true);
  store_close(store);
  int64_t from = clock_monotonic_us();
  store = open_store(false);
  must(store_run_each(store, 1, STORE_RESUMABLE, count_run, &count, &err), &err);
  must(store_run_next_wake(store, &wake, &err), &err);
  printf("a million sleeping runs: opened, %d to be taken up, next wake found in %.1f ms\n", (int)count,
         seconds(from) * 1e3);
  from = clock_monotonic_us();
  must(store_run_due(store, 1000, UINT32_MAX, count_run, &count, &err), &err);
  printf("100000 of them due: listed at %.0f/s\n", (double)count / seconds(from));
  store_close(store);
}

/* ---- an opening ---- */

static void bench_open(void) {
  enum { STREAMS = 1000000, TAIL = 1 << 18 };
  static LogRow rows[GROUP];
  fflush(stdout);
  pid_t child = fork();
  if (child == 0) {
    Store *store = open_store(true);
    make_streams(store, STREAMS);
    for (int done = 0; done < TAIL; done += GROUP) {
      for (int i = 0; i < GROUP; i++) rows[i] = (LogRow){.run = 1 + any(STREAMS), .bytes = {bytes, ROW_BYTES}};
      commit(store, &(StoreGroup){.rows = rows, .row_count = GROUP});
    }
    _exit(0); /* killed */
  }
  waitpid(child, NULL, 0);
  uint64_t before = resident_bytes();
  for (int turn = 0; turn < 2; turn++) {
    int64_t from = clock_monotonic_us();
    Store *store = open_store(false);
    printf("a million streams, killed with a quarter million rows written: open after %.0f ms, %.0f bytes a stream\n",
           seconds(from) * 1e3, (double)(resident_bytes() - before) / STREAMS);
    if (turn == 1) {
      double worst, rate = stream_rows(store, STREAMS, 2, &worst);
      printf("  after %.0f rows/s over them: %.0f bytes a stream, caches and all\n", rate,
             (double)(resident_bytes() - before) / STREAMS);
    }
    store_close(store);
  }
}

int main(int argc, char **argv) {
  static const struct {
    const char *name;
    void (*run)(void);
  } parts[] = {{"rows", bench_rows}, {"keys", bench_keys}, {"read", bench_read},
               {"jobs", bench_jobs}, {"runs", bench_runs}, {"open", bench_open}};
  if (!mkdtemp(dir)) return 1;
  memset(bytes, 'r', sizeof bytes);
  for (size_t i = 0; i < COUNT_OF(parts); i++) {
    bool wanted = argc == 1;
    for (int a = 1; a < argc; a++) wanted = wanted || strcmp(argv[a], parts[i].name) == 0;
    if (wanted) parts[i].run();
  }
  remove_files();
  rmdir(dir);
  return 0;
}
