/* What a back end is to store.c, and what back ends share. Private to vm/store. */
#ifndef Z8_STORE_IMPL_H
#define Z8_STORE_IMPL_H

#include "vm/store/store.h"

typedef bool RunEach(void *context, const RunRow *row);
typedef bool LogEach(void *context, const LogRow *row);
typedef bool StreamEach(void *context, const StreamRow *row);
typedef bool KvEach(void *context, Str key, Str value);
typedef bool JobEach(void *context, const JobRow *row);

typedef struct StoreNext { /* the numbers that come next */
  uint64_t run, job, gid;
} StoreNext;

typedef struct StoreOps {
  void (*close)(Store *store);
  StoreNext (*next)(Store *store);
  StoreCounts (*counts)(Store *store);
  bool (*commit)(Store *store, StoreGroup *group, Err *err);
  StoreStats (*stats)(const Store *store);
  bool (*run_get)(Store *store, uint64_t number, RunRow *out, Buf *keep, Err *err);
  /* ids from `low` to `high`, both included: how many there are (2: two or more), the first in *out */
  bool (*run_range)(Store *store, Uuid low, Uuid high, int *found, RunRow *out, Buf *keep, Err *err);
  bool (*run_each)(Store *store, uint64_t from, int status, RunEach *each, void *context, Err *err);
  bool (*run_due)(Store *store, int64_t now_us, uint32_t limit, RunEach *each, void *context, Err *err);
  bool (*run_next_wake)(Store *store, int64_t *wake_us, Err *err);
  bool (*log_each)(Store *store, uint64_t run, LogEach *each, void *context, Err *err);
  bool (*log_last)(Store *store, uint64_t run, LogRow *out, Buf *keep, Err *err);
  bool (*log_from)(Store *store, uint64_t after, LogEach *each, void *context, Err *err);
  bool (*log_get)(Store *store, uint64_t gid, LogRow *out, Buf *keep, Err *err);
  bool (*image_get)(Store *store, uint64_t run, ImageRow *out, Buf *keep, Err *err);
  bool (*blob_get)(Store *store, Hash256 id, Buf *out, Err *err);
  bool (*bundle_get)(Store *store, Hash256 id, Buf *out, Err *err);
  bool (*stream_get)(Store *store, uint64_t number, StreamRow *out, Buf *keep, Err *err);
  bool (*stream_find)(Store *store, Str key, StreamRow *out, Buf *keep, Err *err);
  /* keys from `from` on, in order, until one does not begin with prefix */
  bool (*stream_each)(Store *store, Str prefix, Str from, StreamEach *each, void *context, Err *err);
  bool (*stream_read)(Store *store, uint64_t number, uint64_t after, LogEach *each, void *context, Err *err);
  bool (*kv_get)(Store *store, StoreSpace space, Str key, Buf *out, Err *err);
  bool (*kv_each)(Store *store, StoreSpace space, Str prefix, Str from, KvEach *each, void *context, Err *err);
  bool (*job_get)(Store *store, uint64_t number, JobRow *out, Buf *keep, Err *err);
  bool (*job_by_id)(Store *store, Uuid id, JobRow *out, Buf *keep, Err *err);
  bool (*job_due)(Store *store, Str queue, int priority, int64_t now_us, uint32_t limit, JobEach *each,
                  void *context, Err *err);
  bool (*job_waiting)(Store *store, Str queue, uint64_t *count, Err *err);
  bool (*job_next_due)(Store *store, Str queue, int64_t now_us, int64_t *due_us, Err *err);
  bool (*job_each)(Store *store, uint64_t from, uint8_t state, JobEach *each, void *context, Err *err);
  bool (*meta_get)(Store *store, const char *name, Buf *out, Err *err);
  bool (*meta_set)(Store *store, const char *name, Str value, Err *err);
} StoreOps;

struct Store {
  const StoreOps *ops;
};

enum { PRIORITIES = 10, ANY_PRIORITY = -1 /* job_due: each of them, one after the other */ };
static inline bool job_state_over(uint8_t state) { return state == JOB_DONE || state == JOB_CANCELLED; }
/* Must it be taken up at an opening? */
static inline bool run_resumable(const RunRow *r) {
  return r->status == RUN_STATUS_RUNNING || r->status == RUN_STATUS_DIVERGED || r->status == RUN_STATUS_STUCK ||
         (r->status == RUN_STATUS_PARKED && r->wake_us < 0);
}
static inline bool str_begins(Str s, Str prefix) {
  return s.size >= prefix.size && (prefix.size == 0 || memcmp(s.at, prefix.at, prefix.size) == 0);
}
int str_order(Str a, Str b); /* by bytes, as SQLite orders blobs */

/* Does the group make sense for a store whose next numbers are these? What only the rows that are there can tell
** (ids and keys that are taken, leases, what a page follows) is the back end's. */
MUST_USE bool store_group_check(const StoreGroup *group, StoreNext next, Err *err);

/* The row's texts are copied into keep (cleared first) and point there. */
void run_row_keep(RunRow *row, Buf *keep);
void stream_row_keep(StreamRow *row, Buf *keep);
void job_row_keep(JobRow *row, Buf *keep);
/* The texts of a job in a fixed order, to copy them all. */
enum { JOB_TEXTS = 6 };
void job_texts(JobRow *row, Str *texts[JOB_TEXTS]);

/* ERR_NOT_FOUND in the same words from every back end. Always false. */
MUST_USE bool fail_no_run(uint64_t number, Err *err);
MUST_USE bool fail_no_image(uint64_t run, Err *err);
MUST_USE bool fail_no_blob(const char *what, Hash256 id, Err *err);
MUST_USE bool fail_no_meta(const char *name, Err *err);
MUST_USE bool fail_no_stream(uint64_t number, Err *err);
MUST_USE bool fail_no_key(Str key, Err *err);
MUST_USE bool fail_no_kv(StoreSpace space, Err *err);
MUST_USE bool fail_no_job(uint64_t number, Err *err);
MUST_USE bool fail_no_job_id(Uuid id, Err *err);
MUST_USE bool fail_no_row(uint64_t gid, Err *err);
MUST_USE bool fail_no_records(uint64_t number, Err *err);

/* ERR_INVALID: the group is refused as a whole, and the store goes on. Always false. */
MUST_USE bool refuse_run_id(Uuid id, Err *err);
MUST_USE bool refuse_job_id(Uuid id, Err *err);
MUST_USE bool refuse_key(Str key, Err *err);
MUST_USE bool refuse_no_run(uint64_t number, Err *err);    /* an update of what is a stream */
MUST_USE bool refuse_lease(uint64_t number, uint64_t lease, Err *err);
MUST_USE bool refuse_page(uint64_t stream, uint64_t through, Err *err);
#endif
