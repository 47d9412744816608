/* The store without a disk, for tests and benches: the same promises, simply kept. Rows, pages and what is kept by
** hash are not freed before the store is, so what was given out to another thread stays valid.
** Its tenant key is fixed, so that two runs of one test make the same blob ids. */
#include "vm/store/memory_impl.h"
#include <stdlib.h>
#include "vm/base/hash.h"

static Kept *keep_bytes(MemoryStore *m, Str bytes) {
  Kept *k = mem_alloc(sizeof *k + bytes.size);
  k->size = bytes.size;
  if (bytes.size) memcpy(k->bytes, bytes.at, bytes.size);
  k->next = m->kept;
  m->kept = k;
  return k;
}

Str memory_keep(MemoryStore *m, Str s) {
  if (s.size == 0) return STR("");
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
  m->numbers[r->number - 1] = (MemoryNumber){.index = m->run_count};
  RunRow *mine = &m->runs[m->run_count++];
  *mine = *r;
  mine->entry = memory_keep(m, r->entry);
  mine->note = memory_keep(m, r->note);
  mine->last_gid = 0;
}

static void add_row(MemoryStore *m, LogRow *row) {
  MemoryNumber *number = &m->numbers[row->run - 1];
  row->gid = m->row_count + 1;
  row->prev = number->last_gid;
  MemoryRow *mine = mem_alloc(sizeof *mine + row->bytes.size);
  mine->row = *row;
  if (row->bytes.size) memcpy(mine->bytes, row->bytes.at, row->bytes.size);
  mine->row.bytes.at = mine->bytes;
  m->rows = mem_grow(m->rows, &m->row_cap, m->row_count + 1, sizeof *m->rows);
  m->rows[m->row_count++] = mine;
  number->last_gid = row->gid;
}

static void set_run(MemoryStore *m, const RunRow *r) {
  RunRow *mine = &m->runs[m->numbers[r->number - 1].index];
  mine->status = r->status;
  mine->ended_us = r->ended_us;
  mine->wake_us = r->wake_us;
  mine->records = r->records;
  mine->note = memory_keep(m, r->note);
}

static void set_image(MemoryStore *m, const ImageRow *image) {
  m->images = mem_grow(m->images, &m->image_cap, (uint32_t)image->run + 1, sizeof *m->images);
  m->images[image->run] = *image;
  m->images[image->run].bytes = memory_keep(m, image->bytes);
}

/* ---- ids and keys, each of which there is once ---- */

static bool claim(Table *t, Str key, uint64_t number) {
  if (table_get(t, key)) return false;
  table_set(t, key, (void *)(uintptr_t)number);
  return true;
}

typedef struct Claimed {
  uint32_t runs, streams, jobs;
} Claimed;

static void unclaim(MemoryStore *m, const StoreGroup *g, Claimed c) {
  while (c.runs-- > 0) table_set(m->by_id, key_of(&g->created[c.runs].id, sizeof(Uuid)), NULL);
  while (c.streams-- > 0) table_set(m->by_key, g->streams[c.streams].key, NULL);
  while (c.jobs-- > 0) table_set(m->by_job_id, key_of(&g->jobs[c.jobs].id, sizeof(Uuid)), NULL);
}

static bool claim_numbers(MemoryStore *m, const StoreGroup *g, Claimed *c, Err *err) {
  for (; c->runs < g->created_count; c->runs++) {
    const RunRow *r = &g->created[c->runs];
    if (!claim(m->by_id, key_of(&r->id, sizeof r->id), r->number)) return refuse_run_id(r->id, err);
  }
  for (; c->streams < g->stream_count; c->streams++) {
    const StreamRow *r = &g->streams[c->streams];
    if (!claim(m->by_key, r->key, r->number)) return refuse_key(r->key, err);
  }
  return true;
}

static bool claim_jobs(MemoryStore *m, const StoreGroup *g, Claimed *c, Err *err) {
  for (; c->jobs < g->job_count; c->jobs++) {
    const JobRow *r = &g->jobs[c->jobs];
    if (!claim(m->by_job_id, key_of(&r->id, sizeof r->id), r->number)) return refuse_job_id(r->id, err);
  }
  return true;
}

static bool updates_are_runs(MemoryStore *m, const StoreGroup *g, Err *err) {
  for (uint32_t i = 0; i < g->updated_count; i++) {
    if (memory_is_stream(m, g, g->updated[i].number)) return refuse_no_run(g->updated[i].number, err);
  }
  return true;
}

/* In the order in which the other back end would find it out. */
static bool group_accepted(MemoryStore *m, const StoreGroup *g, Err *err) {
  StoreNext next = {.run = m->number_count + 1, .job = m->job_count + 1, .gid = m->row_count + 1};
  Claimed claimed = {0};
  if (!store_group_check(g, next, err)) return false;
  if (claim_numbers(m, g, &claimed, err) && updates_are_runs(m, g, err) && memory_pages_fit(m, g, err) &&
      claim_jobs(m, g, &claimed, err) && memory_leases_hold(m, g, err))
    return true;
  unclaim(m, g, claimed);
  return false;
}

static void group_store(MemoryStore *m, StoreGroup *g) {
  uint32_t numbers = m->number_count + g->created_count + g->stream_count;
  for (uint32_t i = 0; i < g->bundle_count; i++) keep_once(m, m->bundles, &g->bundle_ids[i], g->bundles[i]);
  for (uint32_t i = 0; i < g->blob_count; i++) keep_once(m, m->blobs, &g->blob_ids[i], g->blobs[i]);
  m->numbers = mem_grow(m->numbers, &m->number_cap, numbers, sizeof *m->numbers);
  m->number_count = numbers;
  for (uint32_t i = 0; i < g->created_count; i++) add_run(m, &g->created[i]);
  for (uint32_t i = 0; i < g->stream_count; i++) {
    const StreamRow *r = &g->streams[i];
    m->numbers[r->number - 1] = (MemoryNumber){.stream = true, .index = m->stream_count + i};
  }
  for (uint32_t i = 0; i < g->row_count; i++) add_row(m, &g->rows[i]);
  for (uint32_t i = 0; i < g->updated_count; i++) set_run(m, &g->updated[i]);
  for (uint32_t i = 0; i < g->image_count; i++) set_image(m, &g->images[i]);
  memory_app_store(m, g);
  if (g->meta) table_set(m->metas, str_of(g->meta), keep_bytes(m, g->meta_value));
  m->commits++;
}

static bool memory_commit(Store *store, StoreGroup *g, Err *err) {
  MemoryStore *m = memory(store);
  pthread_mutex_lock(&m->lock);
  bool ok = group_accepted(m, g, err);
  if (ok) group_store(m, g);
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

/* ---- runs ---- */

static void copy_at(const MemoryStore *m, uint32_t index, RunRow *out) {
  *out = m->runs[index];
  out->last_gid = m->numbers[out->number - 1].last_gid;
}

/* A copy of run `number`; false if there is none. Its texts live as long as the store. */
static bool run_copy(MemoryStore *m, uint64_t number, RunRow *out) {
  pthread_mutex_lock(&m->lock);
  bool found = number > 0 && number <= m->number_count && !m->numbers[number - 1].stream;
  if (found) copy_at(m, m->numbers[number - 1].index, out);
  pthread_mutex_unlock(&m->lock);
  return found;
}

static bool memory_run_get(Store *store, uint64_t number, RunRow *out, Buf *keep, Err *err) {
  if (!run_copy(memory(store), number, out)) return fail_no_run(number, err);
  run_row_keep(out, keep);
  return true;
}

static bool in_range(const RunRow *r, Uuid low, Uuid high) {
  return memcmp(&r->id, &low, sizeof low) >= 0 && memcmp(&r->id, &high, sizeof high) <= 0;
}

static bool memory_run_range(Store *store, Uuid low, Uuid high, int *found, RunRow *out, Buf *keep,
                             Err *err) {
  MemoryStore *m = memory(store);
  (void)err;
  *found = 0;
  pthread_mutex_lock(&m->lock);
  if (memcmp(&low, &high, sizeof low) == 0) {
    uint64_t exact = table_number(m->by_id, key_of(&low, sizeof low));
    if (exact) copy_at(m, m->numbers[exact - 1].index, out);
    *found = exact != 0;
  } else {
    for (uint32_t i = 0; *found < 2 && i < m->run_count; i++) {
      if (in_range(&m->runs[i], low, high) && (*found)++ == 0) copy_at(m, i, out);
    }
  }
  pthread_mutex_unlock(&m->lock);
  if (*found) run_row_keep(out, keep);
  return true;
}

static bool wanted(const RunRow *r, int status) {
  if (status == 0) return true;
  if (status == STORE_UNFINISHED) return !run_status_over(r->status);
  if (status == STORE_RESUMABLE) return run_resumable(r);
  return (int)r->status == status;
}

/* The next run of a number from `from` on that is wanted. */
static bool next_run(MemoryStore *m, uint64_t from, int status, RunRow *out) {
  bool found = false;
  pthread_mutex_lock(&m->lock);
  for (uint64_t n = from ? from : 1; !found && n <= m->number_count; n++) {
    if (m->numbers[n - 1].stream) continue;
    copy_at(m, m->numbers[n - 1].index, out);
    found = wanted(out, status);
  }
  pthread_mutex_unlock(&m->lock);
  return found;
}

static bool memory_run_each(Store *store, uint64_t from, int status, RunEach *each, void *context,
                            Err *err) {
  RunRow row;
  (void)err;
  for (; next_run(memory(store), from, status, &row); from = row.number + 1) {
    if (!each(context, &row)) break;
  }
  return true;
}

static bool sleeps(const RunRow *r) { return r->status == RUN_STATUS_PARKED && r->wake_us > 0; }

static int by_wake(const void *a, const void *b) {
  const RunRow *x = a, *y = b;
  if (x->wake_us != y->wake_us) return x->wake_us < y->wake_us ? -1 : 1;
  return (x->number > y->number) - (x->number < y->number);
}

static bool memory_run_due(Store *store, int64_t now_us, uint32_t limit, RunEach *each, void *context, Err *err) {
  MemoryStore *m = memory(store);
  RunRow *due = NULL;
  uint32_t count = 0, cap = 0;
  (void)err;
  pthread_mutex_lock(&m->lock);
  for (uint32_t i = 0; i < m->run_count; i++) {
    if (!sleeps(&m->runs[i]) || m->runs[i].wake_us > now_us) continue;
    due = mem_grow(due, &cap, count + 1, sizeof *due);
    copy_at(m, i, &due[count++]);
  }
  pthread_mutex_unlock(&m->lock);
  if (count > 1) qsort(due, count, sizeof *due, by_wake);
  for (uint32_t i = 0; i < count && i < limit; i++) {
    if (!each(context, &due[i])) break;
  }
  mem_free(due);
  return true;
}

static bool memory_run_next_wake(Store *store, int64_t *wake_us, Err *err) {
  MemoryStore *m = memory(store);
  (void)err;
  *wake_us = 0;
  pthread_mutex_lock(&m->lock);
  for (uint32_t i = 0; i < m->run_count; i++) {
    const RunRow *r = &m->runs[i];
    if (sleeps(r) && (*wake_us == 0 || r->wake_us < *wake_us)) *wake_us = r->wake_us;
  }
  pthread_mutex_unlock(&m->lock);
  return true;
}

/* ---- the log ---- */

void memory_rows(MemoryStore *m, uint64_t last, uint64_t floor, LogEach *each, void *context, bool *more) {
  MemoryRow **chain = NULL;
  uint32_t count = 0, cap = 0;
  pthread_mutex_lock(&m->lock);
  for (uint64_t gid = last; gid > floor; gid = chain[count++]->row.prev) {
    chain = mem_grow(chain, &cap, count + 1, sizeof *chain);
    chain[count] = m->rows[gid - 1];
  }
  pthread_mutex_unlock(&m->lock);
  while (*more && count-- > 0) *more = each(context, &chain[count]->row);
  mem_free(chain);
}

/* The last row of a run or stream. */
static bool number_last(MemoryStore *m, uint64_t number, uint64_t *last) {
  pthread_mutex_lock(&m->lock);
  bool found = number > 0 && number <= m->number_count;
  if (found) *last = m->numbers[number - 1].last_gid;
  pthread_mutex_unlock(&m->lock);
  return found;
}

static bool memory_log_each(Store *store, uint64_t run, LogEach *each, void *context, Err *err) {
  uint64_t last;
  bool more = true;
  if (!number_last(memory(store), run, &last)) return fail_no_run(run, err);
  memory_rows(memory(store), last, 0, each, context, &more);
  return true;
}

static bool row_at(MemoryStore *m, uint64_t gid, LogRow *out) {
  pthread_mutex_lock(&m->lock);
  bool found = gid > 0 && gid <= m->row_count;
  if (found) *out = m->rows[gid - 1]->row;
  pthread_mutex_unlock(&m->lock);
  return found;
}

static bool memory_log_get(Store *store, uint64_t gid, LogRow *out, Buf *keep, Err *err) {
  buf_clear(keep);
  if (!row_at(memory(store), gid, out)) return fail_no_row(gid, err);
  buf_str(keep, out->bytes);
  out->bytes = buf_view(keep);
  return true;
}

static bool memory_log_last(Store *store, uint64_t run, LogRow *out, Buf *keep, Err *err) {
  uint64_t last;
  if (!number_last(memory(store), run, &last)) return fail_no_run(run, err);
  if (last == 0) return fail_no_records(run, err);
  return memory_log_get(store, last, out, keep, err);
}

static bool memory_log_from(Store *store, uint64_t after, LogEach *each, void *context, Err *err) {
  MemoryStore *m = memory(store);
  LogRow row;
  (void)err;
  pthread_mutex_lock(&m->lock);
  uint64_t through = m->row_count;
  pthread_mutex_unlock(&m->lock);
  while (after < through && row_at(m, ++after, &row) && each(context, &row)) continue;
  return true;
}

/* ---- the rest ---- */

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

static StoreNext memory_next(Store *store) {
  MemoryStore *m = memory(store);
  pthread_mutex_lock(&m->lock);
  StoreNext next = {.run = m->number_count + 1, .job = m->job_count + 1, .gid = m->row_count + 1};
  pthread_mutex_unlock(&m->lock);
  return next;
}

static StoreCounts memory_counts(Store *store) {
  MemoryStore *m = memory(store);
  pthread_mutex_lock(&m->lock);
  StoreCounts counts = {.runs = m->run_count, .streams = m->stream_count, .jobs = m->job_count};
  pthread_mutex_unlock(&m->lock);
  return counts;
}

static StoreStats memory_stats(const Store *store) {
  const MemoryStore *m = (const MemoryStore *)(const void *)store;
  return (StoreStats){.commits = m->commits, .rows = m->row_count};
}

/* ---- life ---- */

static void memory_close(Store *store) {
  MemoryStore *m = memory(store);
  for (uint32_t i = 0; i < m->row_count; i++) mem_free(m->rows[i]);
  memory_app_free(m);
  for (Kept *k = m->kept, *next; k; k = next) {
    next = k->next;
    mem_free(k);
  }
  mem_free(m->rows);
  mem_free(m->runs);
  mem_free(m->numbers);
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
    .next = memory_next,
    .counts = memory_counts,
    .commit = memory_commit,
    .stats = memory_stats,
    .run_get = memory_run_get,
    .run_range = memory_run_range,
    .run_each = memory_run_each,
    .run_due = memory_run_due,
    .run_next_wake = memory_run_next_wake,
    .log_each = memory_log_each,
    .log_last = memory_log_last,
    .log_from = memory_log_from,
    .log_get = memory_log_get,
    .image_get = memory_image_get,
    .blob_get = memory_blob_get,
    .bundle_get = memory_bundle_get,
    .stream_get = memory_stream_get,
    .stream_find = memory_stream_find,
    .stream_each = memory_stream_each,
    .stream_read = memory_stream_read,
    .kv_get = memory_kv_get,
    .kv_each = memory_kv_each,
    .job_get = memory_job_get,
    .job_by_id = memory_job_by_id,
    .job_due = memory_job_due,
    .job_waiting = memory_job_waiting,
    .job_next_due = memory_job_next_due,
    .job_each = memory_job_each,
    .meta_get = memory_meta_get,
    .meta_set = memory_meta_set,
};

Store *store_open_memory(void) {
  MemoryStore *m = MEM_NEW(MemoryStore);
  m->base.ops = &memory_ops;
  pthread_mutex_init(&m->lock, NULL);
  m->by_id = table_new();
  m->by_key = table_new();
  m->by_job_id = table_new();
  m->blobs = table_new();
  m->bundles = table_new();
  m->metas = table_new();
  Hash256 key = sha256(STR("the memory store's tenant key"));
  table_set(m->metas, STR("tenant_key"), keep_bytes(m, key_of(&key, sizeof key)));
  return &m->base;
}
