/* The inside of the memory back end: store_memory.c has runs, rows and what is kept by hash; memory_app.c has
** streams, keys and values, and jobs. Everything is guarded by one lock, which is never held while a caller's
** function runs. */
#ifndef Z8_MEMORY_IMPL_H
#define Z8_MEMORY_IMPL_H

#include <pthread.h>
#include "vm/base/mem.h"
#include "vm/base/table.h"
#include "vm/store/key_set.h"
#include "vm/store/store_impl.h"

typedef struct MemoryRow { /* the bytes follow */
  LogRow row;
  char bytes[];
} MemoryRow;

typedef struct Kept { /* an owned Str; the bytes follow */
  struct Kept *next;  /* of all that were ever made, for store_close */
  size_t size;
  char bytes[];
} Kept;

typedef struct MemoryNumber { /* of a run or a stream */
  bool stream;
  uint32_t index; /* in runs or streams */
  uint64_t last_gid;
} MemoryNumber;

typedef struct MemoryValue { /* the bytes follow */
  size_t size;
  char bytes[];
} MemoryValue;

typedef struct MemoryJob {
  JobRow row;
  char *bytes; /* of its texts */
} MemoryJob;

typedef struct MemoryStore {
  Store base;
  pthread_mutex_t lock;
  MemoryNumber *numbers;
  uint32_t number_count, number_cap; /* number - 1 */
  RunRow *runs;
  uint32_t run_count, run_cap;
  MemoryRow **rows;
  uint32_t row_count, row_cap; /* gid - 1 */
  ImageRow *images;
  uint32_t image_cap;             /* by run number; bytes.at == NULL: none */
  StreamRow *streams;
  uint32_t stream_count, stream_cap;
  PageRow *pages;
  uint32_t page_count, page_cap;  /* id - 1 */
  MemoryJob *jobs;
  uint32_t job_count, job_cap;    /* number - 1 */
  uint32_t *available;            /* indexes of the jobs that are, in no order */
  uint32_t available_count, available_cap;
  Table *by_id, *by_key, *by_job_id; /* to numbers, as pointers */
  KeySet values;                     /* space and key to MemoryValue, as numbers */
  Table *blobs, *bundles, *metas; /* to Kept */
  Kept *kept;
  uint64_t commits;
} MemoryStore;

static inline MemoryStore *memory(Store *store) { return (MemoryStore *)(void *)store; }
static inline Str key_of(const void *bytes, size_t size) { return (Str){bytes, size}; }
static inline uint64_t table_number(const Table *t, Str key) { return (uint64_t)(uintptr_t)table_get(t, key); }
Str memory_keep(MemoryStore *m, Str s); /* a copy that lives as long as the store */

/* ---- memory_app.c ---- */
/* Can the group's pages be stored, its updates of jobs? Nothing is changed. */
MUST_USE bool memory_pages_fit(const MemoryStore *m, const StoreGroup *g, Err *err);
MUST_USE bool memory_leases_hold(const MemoryStore *m, const StoreGroup *g, Err *err);
void memory_app_store(MemoryStore *m, StoreGroup *g); /* after its rows */
void memory_app_free(MemoryStore *m);
/* Is this number, which may be one of the group's new ones, a stream? */
bool memory_is_stream(const MemoryStore *m, const StoreGroup *g, uint64_t number);
/* Rows of a number after gid `floor` up to `last`, oldest first. *more: nobody said stop. */
void memory_rows(MemoryStore *m, uint64_t last, uint64_t floor, LogEach *each, void *context, bool *more);

bool memory_stream_get(Store *store, uint64_t number, StreamRow *out, Buf *keep, Err *err);
bool memory_stream_find(Store *store, Str key, StreamRow *out, Buf *keep, Err *err);
bool memory_stream_each(Store *store, Str prefix, Str from, StreamEach *each, void *context, Err *err);
bool memory_stream_read(Store *store, uint64_t number, uint64_t after, LogEach *each, void *context, Err *err);
bool memory_kv_get(Store *store, StoreSpace space, Str key, Buf *out, Err *err);
bool memory_kv_each(Store *store, StoreSpace space, Str prefix, Str from, KvEach *each, void *context, Err *err);
bool memory_job_get(Store *store, uint64_t number, JobRow *out, Buf *keep, Err *err);
bool memory_job_by_id(Store *store, Uuid id, JobRow *out, Buf *keep, Err *err);
bool memory_job_due(Store *store, Str queue, int priority, int64_t now_us, uint32_t limit, JobEach *each,
                    void *context, Err *err);
bool memory_job_waiting(Store *store, Str queue, uint64_t *count, Err *err);
bool memory_job_next_due(Store *store, Str queue, int64_t now_us, int64_t *due_us, Err *err);
bool memory_job_each(Store *store, uint64_t from, uint8_t state, JobEach *each, void *context, Err *err);
#endif
