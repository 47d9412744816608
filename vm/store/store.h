/* The store: where bytes are kept. It knows rows, not records.
**
** One writer at a time: store_commit puts a whole group in one transaction, which
** is durable when it returns (SQLite: WAL, synchronous=FULL, one connection that
** writes and checkpoints). Reading may be done from any thread. A failed commit
** for any reason but a refused group is fatal to the store: it refuses everything
** after it, and the caller stops and says so (nothing was acknowledged).
**
** Runs and streams (agent instances) bear numbers of one dense sequence, in order of creation. The
** history of either is the rows of the log with its number, chained backwards by `prev`, so that the
** hot path only appends. Positions (gid) follow commit order. Pages are copies of a stream's rows,
** many in one, so that a long stream is read in few steps; like images they are caches, never truth.
** Everything else that must change together with the log (snapshots, checkpoints, replies by
** idempotency key …) is a small key-value table, a `space` for each use; jobs have a table of their
** own because they are looked up by queue, priority and time. */
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
  RUN_STATUS_KILLED,
  RUN_STATUS_DEAD /* a job or an event's handling whose attempts are used up: among the dead letters; not over */
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
  int64_t wake_us;   /* PARKED: earliest timer, 0 if none; below 0: it must be in memory (STORE_RESUMABLE) */
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

/* ---- streams ---- */
typedef struct StreamRow {
  uint64_t number;
  Str key;           /* unique: what the router's prefix and the id make; at most LIMIT_KEY_BYTES */
  uint64_t last_gid; /* the last row */
  uint64_t page;     /* the last page's id, 0: none */
} StreamRow;

typedef struct PageRow {
  uint64_t id;      /* given by the store */
  uint64_t stream;
  uint64_t prev;    /* the stream's page before, 0: none */
  uint64_t through; /* gid of the last row copied */
  Str bytes;        /* the rows' bytes, one after another: still framed records */
} PageRow;

/* ---- key and value ---- */
typedef enum {
  SPACE_SNAPSHOT = 1, /* key: the stream's number, 8 bytes big-endian */
  SPACE_REPLY,        /* key: the command's id: the stored result of a dispatch */
  SPACE_HANDLER,      /* key: the handler's name: its checkpoint */
  SPACE_DELIVERY,     /* key: handler's name, 0, position 8 bytes big-endian: an event being handled, or dead */
  SPACE_QUEUE,        /* key: the queue's name: what an operator set */
  SPACE_CRON,         /* key: the cron's name: the last tick taken */
  SPACE_UNIQUE,       /* key: 32 bytes of hash: the job that holds a unique key, and until when */
  SPACE_APP,          /* key: a word: which bundle is active … */
  SPACE_LEDGER,       /* key: an account of the ledger (vm/runtime/ledger.h): what was spent; or a model: its surplus */
  SPACE_BOOK,         /* key: UTC day, tenant, agent, model: what their calls of models cost */
  SPACE_HOLD,         /* key: run's number, seq, 8 bytes big-endian each: a call of a model that is not settled */
  SPACE_LIMIT,        /* key: a limit (vm/runtime/limits.h): what its window holds */
  SPACE_APPROVAL,     /* key: run's id, seq 8 bytes big-endian: what a person is asked */
  SPACE_CONVERSATION  /* key: tenant, 0, agent, 0, conversation, 0, number 8 bytes big-endian: a turn; without a number:
                         which is the last */
} StoreSpace;
typedef struct KvRow {
  uint8_t space; /* StoreSpace */
  Str key;
  Str value; /* at == NULL: the entry goes */
} KvRow;

/* ---- jobs ---- */
typedef enum {
  JOB_AVAILABLE = 1, /* to be done as soon as it is due and there is room */
  JOB_EXECUTING,     /* leased */
  JOB_DONE,
  JOB_CANCELLED,
  JOB_DEAD           /* attempts used up */
} JobState;
typedef struct JobRow {
  uint64_t number; /* dense, from 1: store_next_job */
  Uuid id;         /* also the id of the run that does it */
  Str worker, queue;
  uint8_t state;    /* JobState */
  uint8_t priority; /* 0 first … 9 */
  int64_t due_us;   /* not before */
  int64_t enqueued_us, ended_us;
  uint32_t attempt; /* that was begun last; 0: none yet */
  uint64_t lease;   /* fencing token of the last lease, rising; an end with an older one is refused */
  uint64_t run;     /* number of its run, 0: none yet */
  Str input;        /* encoded job; kept until it is over */
  Str meta;         /* encoded: causation, correlation, tenant, actor, bundle */
  Str unique;       /* SPACE_UNIQUE key it holds, or empty */
  Str note;         /* the last error, one line */
} JobRow;

/* What a commit holds. The caller owns everything; the store copies while committing. gid and prev of rows are filled
** by the store. Order within a group is kept. */
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
  StreamRow *streams;
  uint32_t stream_count; /* new ones; with `created` they take the next numbers, in any order without a gap */
  PageRow *pages;
  uint32_t page_count;   /* id and prev are filled by the store; the stream's row learns its last page */
  KvRow *kv;
  uint32_t kv_count;     /* in order */
  JobRow *jobs;
  uint32_t job_count;    /* new ones: number must be the next ones */
  JobRow *job_updates;
  uint32_t job_update_count; /* state, priority, due, attempt, lease, run, ended, unique, note of existing jobs; input
                                and meta too, each where it is given (at != NULL); both are emptied where the state
                                is over. Refused as a whole (ERR_INVALID) if the
                                stored lease is newer than the update's */
  const char *meta;
  Str meta_value; /* a setting that changes with all this; NULL: none does */
} StoreGroup;

/* Appends a blob; bytes stay the caller's. The arrays it makes are freed by store_group_deinit (blobs only: the
** others are whoever's they are). A group whose blob_count is set to 0 may be used again. */
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

uint64_t store_next_run(Store *store); /* the next number, of runs and streams alike */
uint64_t store_next_job(Store *store);
uint64_t store_last_gid(Store *store); /* of the last committed row, 0: none */
MUST_USE bool store_commit(Store *store, StoreGroup *group, Err *err);
StoreStats store_stats(const Store *store);

/* ---- reading. Strs given out live until *keep is cleared or freed; keep is the caller's. ---- */
MUST_USE bool store_run_get(Store *store, uint64_t number, RunRow *out, Buf *keep,
                            Err *err); /* ERR_NOT_FOUND */
/* By id text or a prefix of it (at least 4 characters) that is unambiguous. */
MUST_USE bool store_run_find(Store *store, Str id_or_prefix, RunRow *out, Buf *keep, Err *err);
MUST_USE bool store_run_by_id(Store *store, Uuid id, RunRow *out, Buf *keep, Err *err);
/* Every run in order of number, from `from`; `each` returns false to stop. status 0: all;
 * STORE_UNFINISHED: not over (dead ones among them). STORE_RESUMABLE: those that an opening must take up: RUNNING,
 * STUCK, DIVERGED, and PARKED with a wake time below 0; a PARKED one with 0 or more is dormant, and a million of
 * them cost nothing here. */
enum { STORE_UNFINISHED = 255, STORE_RESUMABLE = 254 };
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
/* ---- streams ---- */
MUST_USE bool store_stream_get(Store *store, uint64_t number, StreamRow *out, Buf *keep, Err *err);
MUST_USE bool store_stream_find(Store *store, Str key, StreamRow *out, Buf *keep, Err *err); /* NOT_FOUND */
MUST_USE bool store_stream_each(Store *store, Str prefix, Str after, /* in order of key, keys beginning with prefix */
                                bool (*each)(void *context, const StreamRow *row), void *context, Err *err);
/* A stream's rows after gid `after` (0: all), from first to last, several rows joined in one LogRow where a page has
** them (then gid is that of the page's last, head is zero). Bytes are valid during the call. */
MUST_USE bool store_stream_read(Store *store, uint64_t number, uint64_t after,
                                bool (*each)(void *context, const LogRow *row), void *context, Err *err);
/* The log itself after gid `after`, in order of gid, of runs and streams. */
MUST_USE bool store_log_from(Store *store, uint64_t after, bool (*each)(void *context, const LogRow *row),
                             void *context, Err *err);
MUST_USE bool store_log_get(Store *store, uint64_t gid, LogRow *out, Buf *keep, Err *err);

/* ---- key and value ---- */
MUST_USE bool store_kv_get(Store *store, StoreSpace space, Str key, Buf *out, Err *err); /* NOT_FOUND */
/* In order of key, those that begin with prefix, beginning after `after` (empty: from the first). */
MUST_USE bool store_kv_each(Store *store, StoreSpace space, Str prefix, Str after,
                            bool (*each)(void *context, Str key, Str value), void *context, Err *err);

/* ---- jobs ---- */
MUST_USE bool store_job_get(Store *store, uint64_t number, JobRow *out, Buf *keep, Err *err);
MUST_USE bool store_job_by_id(Store *store, Uuid id, JobRow *out, Buf *keep, Err *err);
/* AVAILABLE jobs of the queue that are due at `now_us`, in order of priority, due time, number. */
MUST_USE bool store_job_due(Store *store, Str queue, int64_t now_us, uint32_t limit,
                            bool (*each)(void *context, const JobRow *row), void *context, Err *err);
/* The same, of one priority: the earliest due first. */
MUST_USE bool store_job_due_of(Store *store, Str queue, uint8_t priority, int64_t now_us, uint32_t limit,
                               bool (*each)(void *context, const JobRow *row), void *context, Err *err);
/* How many jobs of the queue are AVAILABLE, due or not. */
MUST_USE bool store_job_waiting(Store *store, Str queue, uint64_t *count, Err *err);
/* The earliest due time of an AVAILABLE job of the queue after now_us; 0: none. */
MUST_USE bool store_job_next_due(Store *store, Str queue, int64_t now_us, int64_t *due_us, Err *err);
/* state 0: all. In order of number, from `from`. */
MUST_USE bool store_job_each(Store *store, uint64_t from, uint8_t state,
                             bool (*each)(void *context, const JobRow *row), void *context, Err *err);

/* ---- runs that hold nothing ---- */
/* PARKED runs whose wake time is above 0 and not after now_us, earliest first. */
MUST_USE bool store_run_due(Store *store, int64_t now_us, uint32_t limit,
                            bool (*each)(void *context, const RunRow *row), void *context, Err *err);
MUST_USE bool store_run_next_wake(Store *store, int64_t *wake_us, Err *err); /* 0: none */
/* How many runs, streams and jobs there ever were; cheap. */
typedef struct StoreCounts {
  uint64_t runs, streams, jobs;
} StoreCounts;
StoreCounts store_counts(Store *store);

/* Small settings of the store itself. */
MUST_USE bool store_meta_get(Store *store, const char *name, Buf *out, Err *err); /* NOT_FOUND */
MUST_USE bool store_meta_set(Store *store, const char *name, Str value, Err *err);
#endif
