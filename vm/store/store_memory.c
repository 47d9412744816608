/* The store without a disk, for tests and benches. Nothing is freed before the store
** is: what was given out to another thread stays valid, and simplicity is the point.
** Its tenant key is fixed, so that two runs of one test make the same blob ids. */
#include <pthread.h>
#include "vm/base/hash.h"
#include "vm/base/mem.h"
#include "vm/base/table.h"
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

typedef struct MemoryStore {
  Store base;
  pthread_mutex_t lock;
  RunRow *runs;
  uint32_t run_count, run_cap; /* number - 1 */
  MemoryRow **rows;
  uint32_t row_count, row_cap; /* gid - 1 */
  ImageRow *images;
  uint32_t image_cap;             /* by run number; bytes.at == NULL: none */
  Table *by_id;                   /* run ids to run numbers, as pointers */
  Table *blobs, *bundles, *metas; /* to Kept */
  Kept *kept;
  uint64_t commits;
} MemoryStore;

static inline MemoryStore *memory(Store *store) { return (MemoryStore *)(void *)store; }
static inline Str key_of(const void *bytes, size_t size) { return (Str){bytes, size}; }

static Kept *keep_bytes(MemoryStore *m, Str bytes) {
  Kept *k = mem_alloc(sizeof *k + bytes.size);
  k->size = bytes.size;
  if (bytes.size) memcpy(k->bytes, bytes.at, bytes.size);
  k->next = m->kept;
  m->kept = k;
  return k;
}

static Str keep_str(MemoryStore *m, Str s) {
  Kept *k = keep_bytes(m, s);
  return (Str){k->bytes, k->size};
}

/* ---- commit ---- */

static void keep_once(MemoryStore *m, Table *t, const Hash256 *id, Str bytes) {
  Str key = key_of(id, sizeof *id);
  if (!table_get(t, key)) table_set(t, key, keep_bytes(m, bytes));
}

static void add_run(MemoryStore *m, const RunRow *r) {
  m->runs = mem_grow(m->runs, &m->run_cap, m->run_count + 1, sizeof *m->runs);
  RunRow *mine = &m->runs[m->run_count++];
  *mine = *r;
  mine->entry = keep_str(m, r->entry);
  mine->note = keep_str(m, r->note);
  mine->last_gid = 0;
  table_set(m->by_id, key_of(&r->id, sizeof r->id), (void *)(uintptr_t)r->number);
}

static void add_row(MemoryStore *m, LogRow *row) {
  RunRow *run = &m->runs[row->run - 1];
  row->gid = m->row_count + 1;
  row->prev = run->last_gid;
  MemoryRow *mine = mem_alloc(sizeof *mine + row->bytes.size);
  mine->row = *row;
  if (row->bytes.size) memcpy(mine->bytes, row->bytes.at, row->bytes.size);
  mine->row.bytes.at = mine->bytes;
  m->rows = mem_grow(m->rows, &m->row_cap, m->row_count + 1, sizeof *m->rows);
  m->rows[m->row_count++] = mine;
  run->last_gid = row->gid;
}

static void set_run(MemoryStore *m, const RunRow *r) {
  RunRow *mine = &m->runs[r->number - 1];
  mine->status = r->status;
  mine->ended_us = r->ended_us;
  mine->wake_us = r->wake_us;
  mine->records = r->records;
  mine->note = keep_str(m, r->note);
}

static void set_image(MemoryStore *m, const ImageRow *image) {
  m->images = mem_grow(m->images, &m->image_cap, (uint32_t)image->run + 1, sizeof *m->images);
  m->images[image->run] = *image;
  m->images[image->run].bytes = keep_str(m, image->bytes);
}

static bool ids_are_new(MemoryStore *m, const StoreGroup *g, Err *err) {
  for (uint32_t i = 0; i < g->created_count; i++) {
    bool known = table_get(m->by_id, key_of(&g->created[i].id, sizeof(Uuid))) != NULL;
    for (uint32_t k = 0; !known && k < i; k++)
      known = memcmp(&g->created[k].id, &g->created[i].id, sizeof(Uuid)) == 0;
    if (!known) continue;
    FAIL(err, ERR_INVALID, "a run of this id exists already");
    return false;
  }
  return true;
}

static bool memory_commit(Store *store, StoreGroup *g, Err *err) {
  MemoryStore *m = memory(store);
  pthread_mutex_lock(&m->lock);
  bool ok = store_group_check(g, m->run_count + 1, err) && ids_are_new(m, g, err);
  if (ok) {
    for (uint32_t i = 0; i < g->bundle_count; i++)
      keep_once(m, m->bundles, &g->bundle_ids[i], g->bundles[i]);
    for (uint32_t i = 0; i < g->blob_count; i++)
      keep_once(m, m->blobs, &g->blob_ids[i], g->blobs[i]);
    for (uint32_t i = 0; i < g->created_count; i++) add_run(m, &g->created[i]);
    for (uint32_t i = 0; i < g->row_count; i++) add_row(m, &g->rows[i]);
    for (uint32_t i = 0; i < g->updated_count; i++) set_run(m, &g->updated[i]);
    for (uint32_t i = 0; i < g->image_count; i++) set_image(m, &g->images[i]);
    if (g->meta) table_set(m->metas, str_of(g->meta), keep_bytes(m, g->meta_value));
    m->commits++;
  }
  pthread_mutex_unlock(&m->lock);
  return ok;
}

static bool memory_meta_set(Store *store, const char *name, Str value, Err *err) {
  MemoryStore *m = memory(store);
  (void)err;
  pthread_mutex_lock(&m->lock);
  table_set(m->metas, str_of(name), keep_bytes(m, value));
  pthread_mutex_unlock(&m->lock);
  return true;
}

/* ---- reading ---- */

/* A copy of run `number`; false if there is none. */
static bool run_copy(MemoryStore *m, uint64_t number, RunRow *out) {
  pthread_mutex_lock(&m->lock);
  bool found = number > 0 && number <= m->run_count;
  if (found) *out = m->runs[number - 1];
  pthread_mutex_unlock(&m->lock);
  return found;
}

static bool memory_run_get(Store *store, uint64_t number, RunRow *out, Buf *keep, Err *err) {
  if (!run_copy(memory(store), number, out)) return fail_no_run(number, err);
  run_row_keep(out, keep);
  return true;
}

static bool another_in_range(const MemoryStore *m, uint32_t i, Uuid low, Uuid high) {
  for (; i < m->run_count; i++) {
    const Uuid *id = &m->runs[i].id;
    if (memcmp(id, &low, sizeof low) >= 0 && memcmp(id, &high, sizeof high) <= 0) return true;
  }
  return false;
}

static bool memory_run_range(Store *store, Uuid low, Uuid high, int *found, RunRow *out, Buf *keep,
                             Err *err) {
  MemoryStore *m = memory(store);
  (void)err;
  *found = 0;
  pthread_mutex_lock(&m->lock);
  uint64_t exact = (uint64_t)(uintptr_t)table_get(m->by_id, key_of(&low, sizeof low));
  if (exact && memcmp(&low, &high, sizeof low) == 0) {
    *out = m->runs[exact - 1];
    *found = 1;
  }
  for (uint32_t i = 0; *found == 0 && i < m->run_count; i++) {
    const RunRow *r = &m->runs[i];
    if (memcmp(&r->id, &low, sizeof low) < 0 || memcmp(&r->id, &high, sizeof high) > 0) continue;
    *out = *r;
    *found = another_in_range(m, i + 1, low, high) ? 2 : 1;
  }
  pthread_mutex_unlock(&m->lock);
  if (*found) run_row_keep(out, keep);
  return true;
}

static bool memory_run_each(Store *store, uint64_t from, int status, RunEach *each, void *context,
                            Err *err) {
  RunRow row;
  (void)err;
  for (uint64_t n = from ? from : 1; run_copy(memory(store), n, &row); n++) {
    bool wanted = status == 0 || (status == STORE_UNFINISHED ? !run_status_over(row.status)
                                                             : (int)row.status == status);
    if (wanted && !each(context, &row)) break;
  }
  return true;
}

static bool memory_log_each(Store *store, uint64_t run, LogEach *each, void *context, Err *err) {
  MemoryStore *m = memory(store);
  MemoryRow **chain = NULL;
  uint32_t count = 0, cap = 0;
  RunRow row;
  if (!run_copy(m, run, &row)) return fail_no_run(run, err);
  pthread_mutex_lock(&m->lock);
  for (uint64_t gid = row.last_gid; gid != 0; gid = chain[count++]->row.prev) {
    chain = mem_grow(chain, &cap, count + 1, sizeof *chain);
    chain[count] = m->rows[gid - 1];
  }
  pthread_mutex_unlock(&m->lock);
  while (count-- > 0) {
    if (!each(context, &chain[count]->row)) break;
  }
  mem_free(chain);
  return true;
}

static bool memory_log_last(Store *store, uint64_t run, LogRow *out, Buf *keep, Err *err) {
  MemoryStore *m = memory(store);
  RunRow row;
  buf_clear(keep);
  if (!run_copy(m, run, &row)) return fail_no_run(run, err);
  if (row.last_gid == 0) return FAIL(err, ERR_NOT_FOUND, "run number %" PRIu64 " has no records", run), false;
  pthread_mutex_lock(&m->lock);
  *out = m->rows[row.last_gid - 1]->row;
  pthread_mutex_unlock(&m->lock);
  buf_str(keep, out->bytes);
  out->bytes = buf_view(keep);
  return true;
}

static bool memory_image_get(Store *store, uint64_t run, ImageRow *out, Buf *keep, Err *err) {
  MemoryStore *m = memory(store);
  buf_clear(keep);
  pthread_mutex_lock(&m->lock);
  bool found = run < m->image_cap && m->images[run].bytes.at;
  if (found) *out = m->images[run];
  pthread_mutex_unlock(&m->lock);
  if (!found) return fail_no_image(run, err);
  buf_str(keep, out->bytes);
  out->bytes = buf_view(keep);
  return true;
}

static bool get_kept(MemoryStore *m, const Table *t, Str key, Buf *out) {
  pthread_mutex_lock(&m->lock);
  const Kept *k = table_get(t, key);
  pthread_mutex_unlock(&m->lock);
  if (k) buf_put(out, k->bytes, k->size);
  return k != NULL;
}

static bool memory_blob_get(Store *store, Hash256 id, Buf *out, Err *err) {
  return get_kept(memory(store), memory(store)->blobs, key_of(&id, sizeof id), out) ||
         fail_no_blob("blob", id, err);
}

static bool memory_bundle_get(Store *store, Hash256 id, Buf *out, Err *err) {
  return get_kept(memory(store), memory(store)->bundles, key_of(&id, sizeof id), out) ||
         fail_no_blob("bundle", id, err);
}

static bool memory_meta_get(Store *store, const char *name, Buf *out, Err *err) {
  return get_kept(memory(store), memory(store)->metas, str_of(name), out) ||
         fail_no_meta(name, err);
}

static uint64_t memory_next_run(Store *store) { return memory(store)->run_count + 1; }

static StoreStats memory_stats(const Store *store) {
  const MemoryStore *m = (const MemoryStore *)(const void *)store;
  return (StoreStats){.commits = m->commits, .rows = m->row_count};
}

/* ---- life ---- */

static void memory_close(Store *store) {
  MemoryStore *m = memory(store);
  for (uint32_t i = 0; i < m->row_count; i++) mem_free(m->rows[i]);
  for (Kept *k = m->kept, *next; k; k = next) {
    next = k->next;
    mem_free(k);
  }
  mem_free(m->rows);
  mem_free(m->runs);
  mem_free(m->images);
  table_free(m->by_id);
  table_free(m->blobs);
  table_free(m->bundles);
  table_free(m->metas);
  pthread_mutex_destroy(&m->lock);
  mem_free(m);
}

static const StoreOps memory_ops = {
    .close = memory_close,
    .next_run = memory_next_run,
    .commit = memory_commit,
    .stats = memory_stats,
    .run_get = memory_run_get,
    .run_range = memory_run_range,
    .run_each = memory_run_each,
    .log_each = memory_log_each,
    .log_last = memory_log_last,
    .image_get = memory_image_get,
    .blob_get = memory_blob_get,
    .bundle_get = memory_bundle_get,
    .meta_get = memory_meta_get,
    .meta_set = memory_meta_set,
};

Store *store_open_memory(void) {
  MemoryStore *m = MEM_NEW(MemoryStore);
  m->base.ops = &memory_ops;
  pthread_mutex_init(&m->lock, NULL);
  m->by_id = table_new();
  m->blobs = table_new();
  m->bundles = table_new();
  m->metas = table_new();
  Hash256 key = sha256(STR("the memory store's tenant key"));
  table_set(m->metas, STR("tenant_key"), keep_bytes(m, key_of(&key, sizeof key)));
  return &m->base;
}
