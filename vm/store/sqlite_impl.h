/* The inside of the SQLite back end: store_sqlite.c opens and closes, sqlite_commit.c writes, sqlite_tails.c keeps
** last rows and recovers them, sqlite_keys.c has keys that come at random, sqlite_read.c gets one thing,
** sqlite_history.c reads the log, sqlite_each.c lists.
**
** Two connections. The writer is used only by whoever calls store_commit and
** store_meta_set, one thread at a time; it alone writes and checkpoints. The reader is
** read-only and guarded by read_lock. What both need to know beside the file (last rows in `tails`, keys in
** `keys.fresh`) is guarded by tail_lock. */
#ifndef Z8_SQLITE_IMPL_H
#define Z8_SQLITE_IMPL_H

#include <pthread.h>
#include "vm/store/count_vfs.h"
#include "vm/store/key_set.h"
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
  STATEMENT(SET_RUN_LAST, "UPDATE run SET last_gid=?2 WHERE number=?1")                                            \
  STATEMENT(GET_RUN_LAST, "SELECT last_gid FROM run WHERE number=?")                                               \
  STATEMENT(ADD_STREAM, "INSERT INTO stream(number, key, last_gid, page) VALUES(?,?,?,0)")                         \
  STATEMENT(SET_STREAM_LAST, "UPDATE stream SET last_gid=?2 WHERE number=?1")                                      \
  STATEMENT(GET_STREAM_LAST, "SELECT last_gid FROM stream WHERE number=?")                                         \
  STATEMENT(PAGE_PLACE, "SELECT s.page, coalesce(p.through, 0), coalesce(l.run, 0) FROM stream s"                  \
                        " LEFT JOIN page p ON p.id = s.page LEFT JOIN log l ON l.gid = ?2 WHERE s.number = ?1")    \
  STATEMENT(ADD_PAGE, "INSERT INTO page(id, stream, prev, through, bytes) VALUES(?,?,?,?,?)")                      \
  STATEMENT(SET_STREAM_PAGE, "UPDATE stream SET page=?2, last_gid=?3 WHERE number=?1")                             \
  STATEMENT(SET_IMAGE, "INSERT INTO image(run, seq, head, bytes) VALUES(?,?,?,?) ON CONFLICT(run) DO UPDATE SET"   \
                       " seq=excluded.seq, head=excluded.head, bytes=excluded.bytes")                              \
  STATEMENT(ADD_BLOB, "INSERT OR IGNORE INTO blob(id, bytes) VALUES(?,?)")                                         \
  STATEMENT(ADD_BUNDLE, "INSERT OR IGNORE INTO bundle(id, bytes) VALUES(?,?)")                                     \
  STATEMENT(SET_KV, "REPLACE INTO kv(space, key, value) VALUES(?,?,?)")                                            \
  STATEMENT(DROP_KV, "DELETE FROM kv WHERE space=? AND key=?")                                                     \
  STATEMENT(ADD_KEY, "INSERT INTO scattered(seq, value, key) VALUES(?,?,?)")                                       \
  STATEMENT(SET_KEY, "UPDATE scattered SET value=?2 WHERE seq=?1")                                                 \
  STATEMENT(DROP_KEY, "DELETE FROM scattered WHERE seq=?")                                                         \
  STATEMENT(FIND_KEY, "SELECT seq FROM scattered_index WHERE key=?")                                               \
  STATEMENT(INDEX_KEY, "REPLACE INTO scattered_index(key, seq) VALUES(?,?)")                                       \
  STATEMENT(UNINDEX_KEY, "DELETE FROM scattered_index WHERE key=?")                                                \
  STATEMENT(ADD_JOB, "INSERT INTO job(number, id, worker, queue, state, priority, due, enqueued, ended, attempt,"  \
                     " lease, run, input, meta, uniq, note) VALUES(?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)")              \
  STATEMENT(SET_JOB, "UPDATE job SET state=?2, priority=?3, due=?4, ended=?5, attempt=?6, lease=?7, run=?8,"       \
                     " uniq=?9, note=?10, input=coalesce(?11, input), meta=coalesce(?12, meta)"                    \
                     " WHERE number=?1 AND lease <= ?7")                                                           \
  STATEMENT(END_JOB, "UPDATE job SET state=?2, priority=?3, due=?4, ended=?5, attempt=?6, lease=?7, run=?8,"       \
                     " uniq=?9, note=?10, input=x'', meta=x'' WHERE number=?1 AND lease <= ?7")                    \
  STATEMENT(SET_META, "INSERT INTO meta(name, value) VALUES(?,?) ON CONFLICT(name) DO UPDATE SET"                  \
                      " value=excluded.value")                                                                     \
  STATEMENT(MAX_RUN, "SELECT max(coalesce((SELECT max(number) FROM run), 0),"                                      \
                     " coalesce((SELECT max(number) FROM stream), 0))")                                            \
  STATEMENT(MAX_GID, "SELECT coalesce(max(gid), 0) FROM log")                                                      \
  STATEMENT(MAX_JOB, "SELECT coalesce(max(number), 0) FROM job")                                                   \
  STATEMENT(MAX_PAGE, "SELECT coalesce(max(id), 0) FROM page")                                                     \
  STATEMENT(MAX_KEY, "SELECT coalesce(max(seq), 0) FROM scattered")                                                \
  STATEMENT(GET_SETTING, "SELECT CAST(value AS INTEGER) FROM meta WHERE name=?")                                   \
  STATEMENT(COUNT_STREAMS, "SELECT count(*) FROM stream WHERE number > ?")                                         \
  STATEMENT(TAIL, "SELECT gid, run, length(bytes) FROM log WHERE gid > ? ORDER BY gid")                            \
  STATEMENT(KEYS_TAIL, "SELECT seq, key FROM scattered WHERE seq > ? ORDER BY seq")

/* A partial index (schema.c) is used where its condition stands in the query word for word; the + keeps SQLite from
** beginning at 0 each time. What is due is listed in two steps, the rest of one moment and then later ones: a
** comparison of pairs would begin at the moment's first row each time. */
#define RUN_COLUMNS "number, id, bundle, entry, parent, status, started, ended, wake, last_gid, records, note"
#define JOB_COLUMNS                                                                                    \
  "number, id, worker, queue, state, priority, due, enqueued, ended, attempt, lease, run, input, meta," \
  " uniq, note"
#define READ_STATEMENTS(STATEMENT)                                                                               \
  STATEMENT(BEGIN, "BEGIN")                                                                                      \
  STATEMENT(END, "COMMIT")                                                                                       \
  STATEMENT(RUN, "SELECT " RUN_COLUMNS " FROM run WHERE number=?")                                               \
  STATEMENT(RUN_RANGE, "SELECT " RUN_COLUMNS " FROM run WHERE id >= ? AND id <= ? LIMIT 2")                      \
  STATEMENT(RUNS, "SELECT " RUN_COLUMNS " FROM run WHERE number >= ? ORDER BY number")                           \
  STATEMENT(RUNS_OPEN, "SELECT " RUN_COLUMNS " FROM run WHERE (status < 3 OR status > 5 AND status <> 8)"        \
                       " AND number >= ? ORDER BY number")                                                       \
  STATEMENT(RUNS_RESUMABLE, "SELECT " RUN_COLUMNS " FROM run WHERE (status = 1 OR status = 6 OR status = 7"      \
                            " OR status = 2 AND wake < 0) AND number >= ? ORDER BY number")                      \
  STATEMENT(RUNS_DEAD, "SELECT " RUN_COLUMNS " FROM run WHERE status = 9 AND number >= ? ORDER BY number")       \
  STATEMENT(RUNS_STATUS, "SELECT " RUN_COLUMNS " FROM run WHERE number >= ? AND status=? ORDER BY number")       \
  STATEMENT(RUNS_DUE, "SELECT " RUN_COLUMNS " FROM run WHERE status = 2 AND +wake > 0 AND wake > ?1"             \
                      " AND wake <= ?2 ORDER BY wake, number LIMIT ?3")                                          \
  STATEMENT(RUNS_DUE_SAME, "SELECT " RUN_COLUMNS " FROM run WHERE status = 2 AND +wake > 0 AND wake = ?1"        \
                           " AND number > ?2 ORDER BY number LIMIT ?3")                                          \
  STATEMENT(NEXT_WAKE, "SELECT min(wake) FROM run WHERE status = 2 AND +wake > 0")                               \
  STATEMENT(LAST, "SELECT last_gid FROM run WHERE number=?1 UNION ALL SELECT last_gid FROM stream"               \
                  " WHERE number=?1")                                                                            \
  STATEMENT(ROW, "SELECT gid, run, prev, head, bytes FROM log WHERE gid=?")                                      \
  STATEMENT(ROWS_BACK, "SELECT gid, run, prev, head, bytes FROM log WHERE gid <= ? ORDER BY gid DESC")           \
  STATEMENT(ROWS_ON, "SELECT gid, run, prev, head, bytes FROM log WHERE gid > ? AND gid <= ? ORDER BY gid")      \
  STATEMENT(STREAM, "SELECT number, key, last_gid, page FROM stream WHERE number=?")                             \
  STATEMENT(STREAM_KEY, "SELECT number, key, last_gid, page FROM stream WHERE key=?")                            \
  STATEMENT(STREAMS, "SELECT number, key, last_gid, page FROM stream WHERE key >= ? ORDER BY key")               \
  STATEMENT(PAGE_LINK, "SELECT stream, prev, through FROM page WHERE id=?")                                      \
  STATEMENT(PAGE_BYTES, "SELECT bytes FROM page WHERE id=?")                                                     \
  STATEMENT(KV, "SELECT value FROM kv WHERE space=? AND key=?")                                                  \
  STATEMENT(KVS, "SELECT key, value FROM kv WHERE space=? AND key >= ? ORDER BY key")                            \
  STATEMENT(KEY_VALUE, "SELECT value FROM scattered WHERE seq=?")                                                \
  STATEMENT(KEY, "SELECT s.value FROM scattered_index i JOIN scattered s ON s.seq = i.seq WHERE i.key=?")        \
  STATEMENT(KEYS, "SELECT i.key, s.value FROM scattered_index i JOIN scattered s ON s.seq = i.seq"               \
                  " WHERE i.key >= ? ORDER BY i.key")                                                            \
  STATEMENT(JOB, "SELECT " JOB_COLUMNS " FROM job WHERE number=?")                                               \
  STATEMENT(JOB_ID, "SELECT " JOB_COLUMNS " FROM job WHERE id=?")                                                \
  STATEMENT(JOBS, "SELECT " JOB_COLUMNS " FROM job WHERE number >= ? ORDER BY number")                           \
  STATEMENT(JOBS_OPEN, "SELECT " JOB_COLUMNS " FROM job WHERE (state < 3 OR state = 5) AND number >= ?"         \
                       " AND state=? ORDER BY number")                                                           \
  STATEMENT(JOBS_STATE, "SELECT " JOB_COLUMNS " FROM job WHERE number >= ? AND state=? ORDER BY number")         \
  STATEMENT(JOBS_DUE, "SELECT " JOB_COLUMNS " FROM job WHERE state = 1 AND queue=?4 AND priority=?5"             \
                      " AND due > ?1 AND due <= ?2 ORDER BY due, number LIMIT ?3")                               \
  STATEMENT(JOBS_DUE_SAME, "SELECT " JOB_COLUMNS " FROM job WHERE state = 1 AND queue=?4 AND priority=?5"        \
                           " AND due = ?1 AND number > ?2 ORDER BY number LIMIT ?3")                             \
  STATEMENT(JOBS_WAITING, "SELECT count(*) FROM job WHERE state = 1 AND queue=?")                                \
  STATEMENT(JOB_NEXT, "SELECT min(due) FROM job WHERE state = 1 AND queue=? AND priority=? AND due > ?")         \
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

/* The last row of a run or stream, as far as this process knows: its own row in the file may be behind. */
typedef struct Tail {
  uint64_t last;       /* gid, committed */
  uint32_t group_row;  /* while committing: index + 1 of its latest row in the group */
  uint8_t kind;        /* TailKind */
  bool known, dirty;   /* dirty: the row in the file is behind */
} Tail;
typedef enum { TAIL_UNKNOWN, TAIL_RUN, TAIL_STREAM } TailKind;
_Static_assert(sizeof(Tail) <= 16, "one for each of a million");
enum { CHUNK_TAILS = 1024 }; /* allocated together; numbers that are never touched have none */

typedef struct KeyWord { /* what a group says of a key */
  const KvRow *row;
  uint64_t added;        /* seq of its new row, 0: it has none */
} KeyWord;

/* 8 MB of WAL: then it starts over in blocks that exist already, which are cheaper to sync than new ones. */
enum { CHECKPOINT_PAGES = 1000 };

typedef struct SqliteStore {
  Store base;
  CountVfs *vfs;
  char *path;
  sqlite3 *writer, *reader;
  sqlite3_stmt *write[WRITE_COUNT], *read[READ_COUNT];
  pthread_mutex_t read_lock, tail_lock;
  int read_waiting;      /* threads that want read_lock */

  Tail **tails; uint32_t tail_chunks, tail_cap; /* by number / CHUNK_TAILS */
  uint32_t dirty_count;
  uint64_t next_run, next_job, next_gid; /* atomic: read by any thread */
  uint64_t next_page;
  uint64_t streams;      /* atomic: how many there are */
  uint64_t indexed_gid;  /* rows up to here are in the rows of runs and streams */
  uint64_t behind_bytes; /* of the rows after it */
  struct {               /* bringing them up to date, a part with each commit */
    uint64_t to, at;     /* rows up to gid `to`, 0: not going on; number to go on with */
    uint64_t bytes, run, streams; /* behind_bytes, next_run, streams when it began */
    uint64_t rows, least; /* when it begins, how much a small commit takes along; tests set them low */
  } flush;
  struct {               /* sqlite_keys.c */
    KeySet fresh;        /* those that the index has not yet, to seq; guarded by tail_lock */
    uint64_t next_seq, round_seq; /* round_seq: next_seq when this round began */
    uint32_t held;       /* how many there may be; tests set it low */
    Buf from, next_from; /* where the round goes on, and after this group */
    Buf whole;
    uint64_t added, swept; bool round_over; /* of this group */
    struct KeyWord *words; uint32_t word_count, word_cap;
  } keys;
  int wal_pages;         /* in the WAL after the last commit */
  int checkpoint_at;     /* pages at which to checkpoint next */
  uint64_t commits, rows;
  bool wrote;            /* a store that was only read is not touched when it is closed */
  Err refusal;           /* why the group is refused, when a part of it answered SQLITE_CONSTRAINT */
  Err dead;              /* code NONE while alive */
} SqliteStore;

static inline SqliteStore *sqlite_store(Store *store) { return (SqliteStore *)(void *)store; }

/* Binds, by position. Column and parameter types of SQLite are signed: numbers here never pass 2^63. */
static inline void bind_int(sqlite3_stmt *s, int at, uint64_t n) { sqlite3_bind_int64(s, at, (sqlite3_int64)n); }
static inline void bind_bytes(sqlite3_stmt *s, int at, const void *bytes, size_t size) {
  sqlite3_bind_blob64(s, at, size ? bytes : "", size, SQLITE_STATIC);
}
static inline void bind_text(sqlite3_stmt *s, int at, Str text) {
  sqlite3_bind_text64(s, at, text.size ? text.at : "", text.size, SQLITE_STATIC, SQLITE_UTF8);
}
static inline uint64_t column_number(sqlite3_stmt *q, int column) { return (uint64_t)sqlite3_column_int64(q, column); }
static inline Str column_bytes(sqlite3_stmt *q, int column) {
  const void *bytes = sqlite3_column_blob(q, column);
  return (Str){bytes, (size_t)sqlite3_column_bytes(q, column)};
}
static inline bool column_fixed(sqlite3_stmt *q, int column, void *out, size_t size) {
  Str bytes = column_bytes(q, column);
  if (bytes.size != size) return false;
  memcpy(out, bytes.at, size);
  return true;
}

/* ---- sqlite_commit.c: the writer ---- */
bool sqlite_commit(Store *store, StoreGroup *group, Err *err);
bool sqlite_meta_set(Store *store, const char *name, Str value, Err *err);
/* Brings the rows of runs and streams up to date and empties the WAL. */
MUST_USE bool sqlite_settle(SqliteStore *s, Err *err);
/* One statement, bound already; the result code. */
int write_run(SqliteStore *s, WriteStatement which);
/* The number it selects; *found says whether there is a row, and may be NULL. */
int write_number(SqliteStore *s, WriteStatement which, uint64_t *out, bool *found);
int write_meta(SqliteStore *s, const char *name, Str value);
int write_number_setting(SqliteStore *s, const char *name, uint64_t number); /* of meta */
int write_setting_get(SqliteStore *s, const char *name, uint64_t *out);      /* left alone where there is none */

/* ---- sqlite_tails.c ---- */
/* At opening: numbers to go on with, and the rows that the file's rows do not know of yet. */
MUST_USE bool sqlite_recover(SqliteStore *s, Err *err);
/* The tail of a number as it was before this group; from the file when it was not seen since opening. */
int tail_load(SqliteStore *s, uint64_t number, Tail **out);
/* Its last row with those of this group. */
uint64_t tail_last(const Tail *t, const StoreGroup *g);
void tails_commit(SqliteStore *s, const StoreGroup *g); /* after the group is durable */
void tails_refuse(SqliteStore *s, const StoreGroup *g);
/* Within the transaction of a group, which is written: a part of what is behind, as large as the group is. */
int tails_flush_some(SqliteStore *s, const StoreGroup *g);
int tails_flush_all(SqliteStore *s);
void tails_free(SqliteStore *s);
/* For readers: *last is left alone when this process does not know better than the file. */
void sqlite_tail(SqliteStore *s, uint64_t number, uint64_t *last);

/* ---- sqlite_keys.c: values by keys that come at random ---- */
bool keys_scattered(uint8_t space); /* are those of this space? */
int keys_write(SqliteStore *s, const StoreGroup *g); /* the group's, within its transaction */
void keys_commit(SqliteStore *s);   /* after it is durable, while the group is there */
int keys_sweep_all(SqliteStore *s);
int keys_recover(SqliteStore *s);
void keys_free(SqliteStore *s);
bool keys_get(SqliteStore *s, StoreSpace space, Str key, Buf *out, Err *err);
bool keys_each(SqliteStore *s, StoreSpace space, Str prefix, Str from, KvEach *each, void *context, Err *err);

/* ---- reading: the lock is held while a statement is used and never while a caller's function runs ---- */
sqlite3_stmt *read_begin(SqliteStore *s, ReadStatement which);
/* rc: of the last step. ROW and DONE are fine. */
MUST_USE bool read_end(SqliteStore *s, sqlite3_stmt *q, int rc, const char *doing, Err *err);
/* Several statements in one transaction, which spares each its own locks and look at the WAL. */
MUST_USE bool read_hold(SqliteStore *s, Err *err);
void read_release(SqliteStore *s);
bool fail_corrupt(SqliteStore *s, const char *what, uint64_t number, Err *err);
bool run_from_row(sqlite3_stmt *q, RunRow *r);
bool stream_from_row(sqlite3_stmt *q, StreamRow *r);
bool job_from_row(sqlite3_stmt *q, JobRow *r);

/* ---- sqlite_read.c ---- */
bool sqlite_run_get(Store *store, uint64_t number, RunRow *out, Buf *keep, Err *err);
bool sqlite_run_range(Store *store, Uuid low, Uuid high, int *found, RunRow *out, Buf *keep, Err *err);
bool sqlite_run_next_wake(Store *store, int64_t *wake_us, Err *err);
bool sqlite_image_get(Store *store, uint64_t run, ImageRow *out, Buf *keep, Err *err);
bool sqlite_blob_get(Store *store, Hash256 id, Buf *out, Err *err);
bool sqlite_bundle_get(Store *store, Hash256 id, Buf *out, Err *err);
bool sqlite_meta_get(Store *store, const char *name, Buf *out, Err *err);
bool sqlite_stream_get(Store *store, uint64_t number, StreamRow *out, Buf *keep, Err *err);
bool sqlite_stream_find(Store *store, Str key, StreamRow *out, Buf *keep, Err *err);
bool sqlite_kv_get(Store *store, StoreSpace space, Str key, Buf *out, Err *err);
bool sqlite_job_get(Store *store, uint64_t number, JobRow *out, Buf *keep, Err *err);
bool sqlite_job_by_id(Store *store, Uuid id, JobRow *out, Buf *keep, Err *err);
bool sqlite_job_waiting(Store *store, Str queue, uint64_t *count, Err *err);
bool sqlite_job_next_due(Store *store, Str queue, int64_t now_us, int64_t *due_us, Err *err);

/* ---- sqlite_history.c ---- */
bool sqlite_log_each(Store *store, uint64_t run, LogEach *each, void *context, Err *err);
bool sqlite_log_last(Store *store, uint64_t run, LogRow *out, Buf *keep, Err *err);
bool sqlite_log_from(Store *store, uint64_t after, LogEach *each, void *context, Err *err);
bool sqlite_log_get(Store *store, uint64_t gid, LogRow *out, Buf *keep, Err *err);
bool sqlite_stream_read(Store *store, uint64_t number, uint64_t after, LogEach *each, void *context, Err *err);

/* ---- sqlite_each.c ---- */
bool sqlite_run_each(Store *store, uint64_t from, int status, RunEach *each, void *context, Err *err);
bool sqlite_run_due(Store *store, int64_t now_us, uint32_t limit, RunEach *each, void *context, Err *err);
bool sqlite_stream_each(Store *store, Str prefix, Str from, StreamEach *each, void *context, Err *err);
bool sqlite_kv_each(Store *store, StoreSpace space, Str prefix, Str from, KvEach *each, void *context, Err *err);
bool sqlite_job_due(Store *store, Str queue, int priority, int64_t now_us, uint32_t limit, JobEach *each,
                    void *context, Err *err);
bool sqlite_job_each(Store *store, uint64_t from, uint8_t state, JobEach *each, void *context, Err *err);
#endif
