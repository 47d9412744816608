/* The store: where bytes are kept. It knows rows, not records.
**
** One writer at a time: store_commit puts a whole group in one transaction, which
** is durable when it returns (SQLite: WAL, synchronous=FULL, one connection that
** writes and checkpoints). Reading may be done from any thread. A failed commit
** for any reason but a refused group is fatal to the store: it refuses everything
** after it, and the caller stops and says so (nothing was acknowledged).
**
** Runs bear a dense number within a store, in order of creation. A run's history
** is the rows with its number, chained backwards by `prev`, so that the hot path
** only appends. Positions (gid) follow commit order. */
#ifndef Z8_STORE_H
#define Z8_STORE_H

#include "vm/base/base.h"
#include "vm/base/buf.h"
#include "vm/base/err.h"

typedef enum {
  RUN_STATUS_RUNNING = 1,
  RUN_STATUS_PARKED,
  RUN_STATUS_DONE,
  RUN_STATUS_FAILED,
  RUN_STATUS_CANCELLED,
  RUN_STATUS_DIVERGED,
  RUN_STATUS_STUCK /* an unknown outcome needs a person */,
  RUN_STATUS_KILLED
} RunStatus;
const char *run_status_word(RunStatus s);
static inline bool run_status_over(RunStatus s) {
  return s == RUN_STATUS_DONE || s == RUN_STATUS_FAILED || s == RUN_STATUS_CANCELLED ||
         s == RUN_STATUS_KILLED;
}

typedef struct RunRow {
  uint64_t number; /* dense, from 1 */
  Uuid id;
  Hash256 bundle;
  Str entry;       /* workflow's name; "" for a script */
  uint64_t parent; /* number of the parent run, 0 if none */
  RunStatus status;
  int64_t started_us, ended_us;
  int64_t wake_us;   /* PARKED: earliest timer, 0 if none */
  uint64_t last_gid; /* the last row */
  uint64_t records;  /* as of the last status change */
  Str note;          /* why it is stuck, diverged, failed: one line */
} RunRow;

typedef struct LogRow { /* all records of one run in one commit */
  uint64_t gid, prev;   /* prev: the run's row before, 0 if none */
  uint64_t run;
  Str bytes;    /* framed records: varint length, bytes, … */
  Hash256 head; /* the run's chain after them */
} LogRow;

typedef struct ImageRow {
  uint64_t run, seq; /* of the last record before the image */
  Hash256 head;      /* the chain there */
  Str bytes;
} ImageRow;

/* What a commit holds. The caller owns everything; the store copies while committing. gid and prev
*of
** rows are filled by the store. Order within a group is kept. */
typedef struct StoreGroup {
  RunRow *created;
  uint32_t created_count; /* number must be the next ones: store_next_run */
  LogRow *rows;
  uint32_t row_count;
  RunRow *updated;
  uint32_t updated_count; /* status, ended, wake, records, note of existing runs */
  ImageRow *images;
  uint32_t image_count; /* replaces the run's image */
  Hash256 *blob_ids;
  Str *blobs;
  uint32_t blob_count; /* kept once by id */
  Hash256 *bundle_ids;
  Str *bundles;
  uint32_t bundle_count;
  const char *meta;
  Str meta_value; /* a setting that changes with all this; NULL: none does */
} StoreGroup;

/* Appends a blob; bytes stay the caller's. The arrays it makes are freed by store_group_deinit
*(blobs only:
** the others are whoever's they are). A group whose blob_count is set to 0 may be used again. */
void store_group_blob(StoreGroup *group, Hash256 id, Str bytes);
void store_group_deinit(StoreGroup *group);

typedef struct Store Store;
typedef struct StoreStats {
  uint64_t commits, rows, syncs;
} StoreStats;

/* Opens or makes DIR/z8.db (schema versioned). `vfs` NULL for the default; tests give their own. */
MUST_USE bool store_open_sqlite(const char *dir, const char *vfs, Store **out, Err *err);
/* For tests and benches that need no disk: the same interface in memory. */
Store *store_open_memory(void);
void store_close(Store *store);

uint64_t store_next_run(Store *store);
MUST_USE bool store_commit(Store *store, StoreGroup *group, Err *err);
StoreStats store_stats(const Store *store);

/* ---- reading. Strs given out live until *keep is cleared or freed; keep is the caller's. ---- */
MUST_USE bool store_run_get(Store *store, uint64_t number, RunRow *out, Buf *keep,
                            Err *err); /* ERR_NOT_FOUND */
/* By id text or a prefix of it (at least 4 characters) that is unambiguous. */
MUST_USE bool store_run_find(Store *store, Str id_or_prefix, RunRow *out, Buf *keep, Err *err);
MUST_USE bool store_run_by_id(Store *store, Uuid id, RunRow *out, Buf *keep, Err *err);
/* Every run in order of number, from `from`; `each` returns false to stop. status 0: all;
 * STORE_UNFINISHED: not over. */
enum { STORE_UNFINISHED = 255 };
MUST_USE bool store_run_each(Store *store, uint64_t from, int status,
                             bool (*each)(void *context, const RunRow *row), void *context,
                             Err *err);
/* A run's rows from first to last. Row bytes are valid during the call. */
MUST_USE bool store_log_each(Store *store, uint64_t run,
                             bool (*each)(void *context, const LogRow *row), void *context,
                             Err *err);
/* Its last row only. NOT_FOUND: it has none. */
MUST_USE bool store_log_last(Store *store, uint64_t run, LogRow *out, Buf *keep, Err *err);
MUST_USE bool store_image_get(Store *store, uint64_t run, ImageRow *out, Buf *keep,
                              Err *err); /* NOT_FOUND: none */
MUST_USE bool store_blob_get(Store *store, Hash256 id, Buf *out, Err *err);
MUST_USE bool store_bundle_get(Store *store, Hash256 id, Buf *out, Err *err);
/* Small settings of the store itself. */
MUST_USE bool store_meta_get(Store *store, const char *name, Buf *out, Err *err); /* NOT_FOUND */
MUST_USE bool store_meta_set(Store *store, const char *name, Str value, Err *err);
#endif
