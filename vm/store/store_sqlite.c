/* Opening and closing the SQLite back end, and its settings.
**
** WAL with synchronous=FULL: a commit is durable when it returns. wal_autocheckpoint is
** off and only the writer checkpoints, between commits: SQLite before 3.51.3 can corrupt
** a database when two connections checkpoint and write at the same moment. */
#include "vm/store/sqlite_impl.h"
#include "vm/base/file.h"
#include "vm/base/mem.h"

static const char *const write_sql[WRITE_COUNT] = {
#define STATEMENT(name, sql) sql,
    WRITE_STATEMENTS(STATEMENT)
#undef STATEMENT
};
static const char *const read_sql[READ_COUNT] = {
#define STATEMENT(name, sql) sql,
    READ_STATEMENTS(STATEMENT)
#undef STATEMENT
};

/* page_size counts only for a new file. cell_size_check finds some corrupt pages when they are
 * read, not later. */
static const char writer_settings[] =
    "PRAGMA page_size = 8192; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA "
    "wal_autocheckpoint = 0;"
    "PRAGMA cache_size = -65536; PRAGMA temp_store = MEMORY; PRAGMA mmap_size = 0; PRAGMA "
    "cell_size_check = ON;"
    "PRAGMA journal_size_limit = 67108864; PRAGMA trusted_schema = OFF;";
static const char reader_settings[] =
    "PRAGMA query_only = ON; PRAGMA cache_size = -16384; PRAGMA temp_store = MEMORY; PRAGMA "
    "mmap_size = 0;"
    "PRAGMA cell_size_check = ON; PRAGMA trusted_schema = OFF;";

enum { BUSY_MS = 5000 };

/* ---- opening ---- */

static int on_wal(void *context, sqlite3 *db, const char *name, int pages) {
  (void)db, (void)name;
  ((SqliteStore *)context)->wal_pages = pages;
  return SQLITE_OK;
}

static bool open_one(SqliteStore *s, int flags, sqlite3 **db, Err *err) {
  int rc = sqlite3_open_v2(s->path, db, flags | SQLITE_OPEN_NOMUTEX, count_vfs_name(s->vfs));
  if (rc != SQLITE_OK) return sqlite_failed(*db, rc, s->path, "opening it", err);
  sqlite3_extended_result_codes(*db, 1);
  sqlite3_db_config(*db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
  sqlite3_db_config(*db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
  sqlite3_busy_timeout(*db, BUSY_MS);
  return true;
}

static bool apply(sqlite3 *db, const char *settings, const char *path, Err *err) {
  int rc = sqlite3_exec(db, settings, NULL, NULL, NULL);
  return rc == SQLITE_OK || sqlite_failed(db, rc, path, "opening it", err);
}

/* journal_mode answers with the mode it is in, and no error: look. */
static bool in_wal_mode(SqliteStore *s, Err *err) {
  sqlite3_stmt *q = NULL;
  int rc = sqlite3_prepare_v2(s->writer, "PRAGMA journal_mode", -1, &q, NULL);
  if (rc == SQLITE_OK) rc = sqlite3_step(q);
  const char *mode = rc == SQLITE_ROW ? (const char *)sqlite3_column_text(q, 0) : NULL;
  bool wal = mode && strcmp(mode, "wal") == 0;
  if (rc != SQLITE_ROW) sqlite_failed(s->writer, rc, s->path, "opening it", err);
  else if (!wal)
    FAIL(err, ERR_IO, "%s: SQLite cannot keep a write-ahead log there (a network drive?)", s->path);
  sqlite3_finalize(q);
  return wal;
}

static bool prepare(SqliteStore *s, sqlite3 *db, const char *const *sql, int count,
                    sqlite3_stmt **out, Err *err) {
  for (int i = 0; i < count; i++) {
    int rc = sqlite3_prepare_v3(db, sql[i], -1, SQLITE_PREPARE_PERSISTENT, &out[i], NULL);
    if (rc != SQLITE_OK) return sqlite_failed(db, rc, s->path, "opening it", err);
  }
  return true;
}

/* Whose file it is comes first: setting WAL would write to any. A new file takes its page size and WAL before it has
** tables. */
static bool open_writer(SqliteStore *s, Err *err) {
  int64_t version;
  if (!open_one(s, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, &s->writer, err) ||
      !schema_look(s->writer, s->path, &version, err) ||
      !apply(s->writer, writer_settings, s->path, err) || !in_wal_mode(s, err)) {
    return false;
  }
  sqlite3_wal_hook(s->writer, on_wal, s);
  return schema_bring_up(s->writer, s->path, version, err) &&
         prepare(s, s->writer, write_sql, WRITE_COUNT, s->write, err);
}

static bool open_reader(SqliteStore *s, Err *err) {
  return open_one(s, SQLITE_OPEN_READONLY, &s->reader, err) &&
         apply(s->reader, reader_settings, s->path, err) &&
         prepare(s, s->reader, read_sql, READ_COUNT, s->read, err);
}

/* ---- closing ---- */

static void close_one(sqlite3 *db, sqlite3_stmt **statements, int count) {
  for (int i = 0; i < count; i++) sqlite3_finalize(statements[i]);
  sqlite3_close(db);
}

static void sqlite_free(SqliteStore *s) {
  close_one(s->reader, s->read, READ_COUNT);
  close_one(s->writer, s->write, WRITE_COUNT);
  count_vfs_free(s->vfs);
  pthread_mutex_destroy(&s->read_lock);
  pthread_mutex_destroy(&s->tail_lock);
  tails_free(s);
  keys_free(s);
  mem_free(s->path);
  mem_free(s);
}

enum { SETTLE_PAGES = 128, SETTLE_ROWS = 2048 };

static void sqlite_close(Store *store) {
  SqliteStore *s = sqlite_store(store);
  Err ignored; /* all that was acknowledged is durable already; settling only spares the next opening
                  some reading, and for a little of it two syncs are too much */
  bool little = s->wal_pages < SETTLE_PAGES && s->next_gid - s->indexed_gid < SETTLE_ROWS &&
                s->keys.fresh.count < SETTLE_ROWS;
  if (s->wrote && !little && s->dead.code == ERR_NONE && !sqlite_settle(s, &ignored)) s->wrote = false;
  sqlite_free(s);
}

static StoreNext sqlite_next(Store *store) {
  SqliteStore *s = sqlite_store(store);
  return (StoreNext){.run = __atomic_load_n(&s->next_run, __ATOMIC_ACQUIRE),
                     .job = __atomic_load_n(&s->next_job, __ATOMIC_ACQUIRE),
                     .gid = __atomic_load_n(&s->next_gid, __ATOMIC_ACQUIRE)};
}

static StoreCounts sqlite_counts(Store *store) {
  uint64_t streams = __atomic_load_n(&sqlite_store(store)->streams, __ATOMIC_ACQUIRE); /* first: never more than all */
  StoreNext next = sqlite_next(store);
  return (StoreCounts){.runs = next.run - 1 - streams, .streams = streams, .jobs = next.job - 1};
}

static StoreStats sqlite_stats(const Store *store) {
  const SqliteStore *s = (const SqliteStore *)(const void *)store;
  return (StoreStats){.commits = __atomic_load_n(&s->commits, __ATOMIC_RELAXED),
                      .rows = __atomic_load_n(&s->rows, __ATOMIC_RELAXED),
                      .syncs = count_vfs_syncs(s->vfs)};
}

static const StoreOps sqlite_ops = {
    .close = sqlite_close,
    .next = sqlite_next,
    .counts = sqlite_counts,
    .commit = sqlite_commit,
    .stats = sqlite_stats,
    .run_get = sqlite_run_get,
    .run_range = sqlite_run_range,
    .run_each = sqlite_run_each,
    .run_due = sqlite_run_due,
    .run_next_wake = sqlite_run_next_wake,
    .log_each = sqlite_log_each,
    .log_last = sqlite_log_last,
    .log_from = sqlite_log_from,
    .log_get = sqlite_log_get,
    .image_get = sqlite_image_get,
    .blob_get = sqlite_blob_get,
    .bundle_get = sqlite_bundle_get,
    .stream_get = sqlite_stream_get,
    .stream_find = sqlite_stream_find,
    .stream_each = sqlite_stream_each,
    .stream_read = sqlite_stream_read,
    .kv_get = sqlite_kv_get,
    .kv_each = sqlite_kv_each,
    .job_get = sqlite_job_get,
    .job_by_id = sqlite_job_by_id,
    .job_due = sqlite_job_due,
    .job_waiting = sqlite_job_waiting,
    .job_next_due = sqlite_job_next_due,
    .job_each = sqlite_job_each,
    .meta_get = sqlite_meta_get,
    .meta_set = sqlite_meta_set,
};

bool store_open_sqlite(const char *dir, const char *vfs, Store **out, Err *err) {
  if (!vfs && !dir_make(dir, err)) return false;
  sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0); /* else each of its allocations takes a lock, to count; once is enough */
  SqliteStore *s = MEM_NEW(SqliteStore);
  size_t size = strlen(dir) + sizeof "/z8.db";
  s->base.ops = &sqlite_ops;
  s->path = mem_alloc(size);
  snprintf(s->path, size, "%s/z8.db", dir);
  s->checkpoint_at = CHECKPOINT_PAGES;
  pthread_mutex_init(&s->read_lock, NULL);
  pthread_mutex_init(&s->tail_lock, NULL);
  s->vfs = count_vfs_new(vfs);
  if (!s->vfs)
    FAIL(err, ERR_INVALID, "SQLite knows no file system called `%s`", vfs ? vfs : "default");
  if (!s->vfs || !open_writer(s, err) || !sqlite_recover(s, err) || !open_reader(s, err)) {
    sqlite_free(s);
    return false;
  }
  *out = &s->base;
  return true;
}
