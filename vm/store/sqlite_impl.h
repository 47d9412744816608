/* The inside of the SQLite back end: store_sqlite.c opens and closes, sqlite_commit.c
** writes, sqlite_read.c reads.
**
** Two connections. The writer is used only by whoever calls store_commit and
** store_meta_set, one thread at a time; it alone writes and checkpoints. The reader is
** read-only and guarded by read_lock. What both need to know of a run's last row is in
** `tails`, guarded by tail_lock. */
#ifndef Z8_SQLITE_IMPL_H
#define Z8_SQLITE_IMPL_H

#include <pthread.h>
#include "vm/store/count_vfs.h"
#include "vm/store/schema.h"
#include "vm/store/store_impl.h"

/* Statements live as long as the store. STATEMENT(name, sql) */
#define WRITE_STATEMENTS(STATEMENT)                                                                                \
  STATEMENT(BEGIN, "BEGIN IMMEDIATE")                                                                              \
  STATEMENT(COMMIT, "COMMIT")                                                                                      \
  STATEMENT(ROLLBACK, "ROLLBACK")                                                                                  \
  STATEMENT(ADD_ROW, "INSERT INTO log(gid, run, prev, head, bytes) VALUES(?,?,?,?,?)")                             \
  STATEMENT(ADD_RUN, "INSERT INTO run(number, id, bundle, entry, parent, status, started, ended, wake, last_gid,"  \
                     " records, note) VALUES(?,?,?,?,?,?,?,?,?,?,?,?)")                                            \
  STATEMENT(SET_RUN, "UPDATE run SET status=?2, ended=?3, wake=?4, records=?5, note=?6, last_gid=?7"               \
                     " WHERE number=?1")                                                                           \
  STATEMENT(SET_LAST, "UPDATE run SET last_gid=?2 WHERE number=?1")                                                \
  STATEMENT(GET_LAST, "SELECT last_gid FROM run WHERE number=?")                                                   \
  STATEMENT(SET_IMAGE, "INSERT INTO image(run, seq, head, bytes) VALUES(?,?,?,?) ON CONFLICT(run) DO UPDATE SET"   \
                       " seq=excluded.seq, head=excluded.head, bytes=excluded.bytes")                              \
  STATEMENT(ADD_BLOB, "INSERT OR IGNORE INTO blob(id, bytes) VALUES(?,?)")                                         \
  STATEMENT(ADD_BUNDLE, "INSERT OR IGNORE INTO bundle(id, bytes) VALUES(?,?)")                                     \
  STATEMENT(SET_META, "INSERT INTO meta(name, value) VALUES(?,?) ON CONFLICT(name) DO UPDATE SET"                  \
                      " value=excluded.value")                                                                     \
  STATEMENT(MAX_RUN, "SELECT coalesce(max(number), 0) FROM run")                                                   \
  STATEMENT(MAX_GID, "SELECT coalesce(max(gid), 0) FROM log")                                                      \
  STATEMENT(GET_INDEXED, "SELECT CAST(value AS INTEGER) FROM meta WHERE name='indexed_gid'")                       \
  STATEMENT(TAIL, "SELECT gid, run FROM log WHERE gid > ? ORDER BY gid")

#define RUN_COLUMNS "number, id, bundle, entry, parent, status, started, ended, wake, last_gid, records, note"
#define READ_STATEMENTS(STATEMENT)                                                                               \
  STATEMENT(RUN, "SELECT " RUN_COLUMNS " FROM run WHERE number=?")                                               \
  STATEMENT(RUN_RANGE, "SELECT " RUN_COLUMNS " FROM run WHERE id >= ? AND id <= ? LIMIT 2")                      \
  STATEMENT(RUNS, "SELECT " RUN_COLUMNS " FROM run WHERE number >= ? ORDER BY number")                           \
  STATEMENT(RUNS_OPEN, "SELECT " RUN_COLUMNS " FROM run WHERE status IN (1, 2, 6, 7) AND number >= ?"            \
                       " ORDER BY number")                                                                       \
  STATEMENT(RUNS_STATUS, "SELECT " RUN_COLUMNS " FROM run WHERE number >= ? AND status=? ORDER BY number")       \
  STATEMENT(ROW, "SELECT gid, run, prev, head, bytes FROM log WHERE gid=?")                                      \
  STATEMENT(ROWS_BACK, "SELECT gid, run, prev, head, bytes FROM log WHERE gid <= ? ORDER BY gid DESC")           \
  STATEMENT(IMAGE, "SELECT seq, head, bytes FROM image WHERE run=?")                                             \
  STATEMENT(BLOB, "SELECT bytes FROM blob WHERE id=?")                                                           \
  STATEMENT(BUNDLE, "SELECT bytes FROM bundle WHERE id=?")                                                       \
  STATEMENT(META, "SELECT value FROM meta WHERE name=?")

typedef enum {
#define STATEMENT(name, sql) WRITE_##name,
  WRITE_STATEMENTS(STATEMENT)
#undef STATEMENT
  WRITE_COUNT
} WriteStatement;
typedef enum {
#define STATEMENT(name, sql) READ_##name,
  READ_STATEMENTS(STATEMENT)
#undef STATEMENT
  READ_COUNT
} ReadStatement;

/* A run's last row, as far as this process knows: the run's own row in the file may be behind. */
typedef struct Tail {
  uint64_t last;       /* gid, committed */
  uint32_t group_row;  /* while committing: index + 1 of its latest row in the group */
  bool known, dirty;   /* dirty: the run's row is behind */
} Tail;

/* 8 MB of WAL: then it starts over in blocks that exist already, which are cheaper to sync than new ones. */
enum { CHECKPOINT_PAGES = 1000 };

typedef struct SqliteStore {
  Store base;
  CountVfs *vfs;
  char *path;
  sqlite3 *writer, *reader;
  sqlite3_stmt *write[WRITE_COUNT], *read[READ_COUNT];
  pthread_mutex_t read_lock, tail_lock;

  Tail *tails; uint32_t tail_count, tail_cap; /* by run number */
  uint64_t *dirty; uint32_t dirty_count, dirty_cap;
  uint64_t next_run, next_gid;
  uint64_t indexed_gid;  /* rows up to here are in the runs' rows */
  int wal_pages;         /* in the WAL after the last commit */
  int checkpoint_at;     /* pages at which to checkpoint next */
  uint64_t commits, rows;
  bool wrote;            /* a store that was only read is not touched when it is closed */
  Err dead;              /* code NONE while alive */
} SqliteStore;

static inline SqliteStore *sqlite_store(Store *store) { return (SqliteStore *)(void *)store; }

/* Binds, by position. Column and parameter types of SQLite are signed: numbers here never pass 2^63. */
static inline void bind_int(sqlite3_stmt *s, int at, uint64_t n) { sqlite3_bind_int64(s, at, (sqlite3_int64)n); }
static inline void bind_bytes(sqlite3_stmt *s, int at, const void *bytes, size_t size) {
  sqlite3_bind_blob64(s, at, size ? bytes : "", size, SQLITE_STATIC);
}

/* ---- sqlite_commit.c ---- */
bool sqlite_commit(Store *store, StoreGroup *group, Err *err);
bool sqlite_meta_set(Store *store, const char *name, Str value, Err *err);
/* At opening: numbers to go on with, and the rows that the runs' rows do not know of yet. */
MUST_USE bool sqlite_recover(SqliteStore *s, Err *err);
/* Brings the runs' rows up to date and empties the WAL. */
MUST_USE bool sqlite_settle(SqliteStore *s, Err *err);

/* ---- sqlite_read.c ---- */
bool sqlite_run_get(Store *store, uint64_t number, RunRow *out, Buf *keep, Err *err);
bool sqlite_run_range(Store *store, Uuid low, Uuid high, int *found, RunRow *out, Buf *keep, Err *err);
bool sqlite_run_each(Store *store, uint64_t from, int status, RunEach *each, void *context, Err *err);
bool sqlite_log_each(Store *store, uint64_t run, LogEach *each, void *context, Err *err);
bool sqlite_log_last(Store *store, uint64_t run, LogRow *out, Buf *keep, Err *err);
bool sqlite_image_get(Store *store, uint64_t run, ImageRow *out, Buf *keep, Err *err);
bool sqlite_blob_get(Store *store, Hash256 id, Buf *out, Err *err);
bool sqlite_bundle_get(Store *store, Hash256 id, Buf *out, Err *err);
bool sqlite_meta_get(Store *store, const char *name, Buf *out, Err *err);
/* The last row of a run: *last is left alone when this process does not know better than the file. */
void sqlite_tail(SqliteStore *s, uint64_t run, uint64_t *last);
#endif
