/* The memory back end's streams, pages, keys and values, and jobs. */
#include "vm/store/memory_impl.h"
#include <stdlib.h>

/* ---- what a group may hold ---- */

bool memory_is_stream(const MemoryStore *m, const StoreGroup *g, uint64_t number) {
  if (number <= m->number_count) return m->numbers[number - 1].stream;
  for (uint32_t i = 0; i < g->stream_count; i++) {
    if (g->streams[i].number == number) return true;
  }
  return false;
}

static uint64_t row_run(const MemoryStore *m, const StoreGroup *g, uint64_t gid) {
  return gid <= m->row_count ? m->rows[gid - 1]->row.run : g->rows[gid - 1 - m->row_count].run;
}

/* Gid of the last row that the stream's pages have, those of the group before page i among them. */
static uint64_t paged_through(const MemoryStore *m, const StoreGroup *g, uint32_t i) {
  uint64_t stream = g->pages[i].stream;
  while (i-- > 0) {
    if (g->pages[i].stream == stream) return g->pages[i].through;
  }
  if (stream > m->number_count) return 0;
  uint64_t page = m->streams[m->numbers[stream - 1].index].page;
  return page ? m->pages[page - 1].through : 0;
}

bool memory_pages_fit(const MemoryStore *m, const StoreGroup *g, Err *err) {
  for (uint32_t i = 0; i < g->page_count; i++) {
    const PageRow *page = &g->pages[i];
    if (!memory_is_stream(m, g, page->stream) || row_run(m, g, page->through) != page->stream ||
        paged_through(m, g, i) >= page->through)
      return refuse_page(page->stream, page->through, err);
  }
  return true;
}

bool memory_leases_hold(const MemoryStore *m, const StoreGroup *g, Err *err) {
  for (uint32_t i = 0; i < g->job_update_count; i++) {
    const JobRow *r = &g->job_updates[i];
    uint64_t lease = r->number <= m->job_count ? m->jobs[r->number - 1].row.lease
                                               : g->jobs[r->number - 1 - m->job_count].lease;
    for (uint32_t k = 0; k < i; k++) {
      if (g->job_updates[k].number == r->number) lease = g->job_updates[k].lease;
    }
    if (lease > r->lease) return refuse_lease(r->number, r->lease, err);
  }
  return true;
}

/* ---- storing it ---- */

static void add_stream(MemoryStore *m, const StreamRow *r) {
  m->streams = mem_grow(m->streams, &m->stream_cap, m->stream_count + 1, sizeof *m->streams);
  m->streams[m->stream_count++] = (StreamRow){.number = r->number, .key = memory_keep(m, r->key)};
}

static void add_page(MemoryStore *m, PageRow *page) {
  StreamRow *stream = &m->streams[m->numbers[page->stream - 1].index];
  page->id = m->page_count + 1;
  page->prev = stream->page;
  stream->page = page->id;
  m->pages = mem_grow(m->pages, &m->page_cap, m->page_count + 1, sizeof *m->pages);
  m->pages[m->page_count] = *page;
  m->pages[m->page_count++].bytes = memory_keep(m, page->bytes);
}

/* Space and key as one key. */
static Str kv_key(uint8_t space, Str key, Buf *whole) {
  buf_clear(whole);
  buf_byte(whole, space);
  buf_str(whole, key);
  return buf_view(whole);
}

static MemoryValue *value_at(uint64_t number) { return (MemoryValue *)(uintptr_t)number; }

static void set_kv(MemoryStore *m, const KvRow *row, Buf *whole) {
  Str key = kv_key(row->space, row->key, whole);
  MemoryValue *old = value_at(key_set_get(&m->values, key));
  if (row->value.at) {
    MemoryValue *mine = mem_alloc(sizeof *mine + row->value.size);
    mine->size = row->value.size;
    if (row->value.size) memcpy(mine->bytes, row->value.at, row->value.size);
    key_set_put(&m->values, key, (uint64_t)(uintptr_t)mine);
  } else {
    key_set_remove(&m->values, key);
  }
  mem_free(old);
}

static void set_available(MemoryStore *m, uint32_t index, bool was, bool is) {
  if (is && !was) {
    m->available = mem_grow(m->available, &m->available_cap, m->available_count + 1, sizeof *m->available);
    m->available[m->available_count++] = index;
  }
  for (uint32_t i = 0; was && !is && i < m->available_count; i++) {
    if (m->available[i] != index) continue;
    m->available[i] = m->available[--m->available_count];
    break;
  }
}

/* Takes the row with copies of its texts. */
static void put_job(MemoryJob *job, const JobRow *row) {
  JobRow mine = *row;
  Str *texts[JOB_TEXTS];
  size_t size = 0, at = 0;
  job_texts(&mine, texts);
  for (int i = 0; i < JOB_TEXTS; i++) size += texts[i]->size;
  char *bytes = mem_alloc(size + 1);
  for (int i = 0; i < JOB_TEXTS; i++) {
    if (texts[i]->size) memcpy(bytes + at, texts[i]->at, texts[i]->size);
    texts[i]->at = bytes + at;
    at += texts[i]->size;
  }
  mem_free(job->bytes);
  *job = (MemoryJob){.row = mine, .bytes = bytes};
}

static void add_job(MemoryStore *m, const JobRow *r) {
  m->jobs = mem_grow(m->jobs, &m->job_cap, m->job_count + 1, sizeof *m->jobs);
  put_job(&m->jobs[m->job_count], r);
  set_available(m, m->job_count++, false, r->state == JOB_AVAILABLE);
}

static void set_job(MemoryStore *m, const JobRow *r) {
  MemoryJob *job = &m->jobs[r->number - 1];
  JobRow row = job->row;
  set_available(m, (uint32_t)r->number - 1, row.state == JOB_AVAILABLE, r->state == JOB_AVAILABLE);
  row.state = r->state;
  row.priority = r->priority;
  row.due_us = r->due_us;
  row.ended_us = r->ended_us;
  row.attempt = r->attempt;
  row.lease = r->lease;
  row.run = r->run;
  row.unique = r->unique;
  row.note = r->note;
  if (r->input.at != NULL) row.input = r->input;
  if (r->meta.at != NULL) row.meta = r->meta;
  if (job_state_over(r->state)) row.input = row.meta = STR("");
  put_job(job, &row);
}

void memory_app_store(MemoryStore *m, StoreGroup *g) {
  Buf whole = {0};
  for (uint32_t i = 0; i < g->stream_count; i++) add_stream(m, &g->streams[i]);
  for (uint32_t i = 0; i < g->page_count; i++) add_page(m, &g->pages[i]);
  for (uint32_t i = 0; i < g->kv_count; i++) set_kv(m, &g->kv[i], &whole);
  for (uint32_t i = 0; i < g->job_count; i++) add_job(m, &g->jobs[i]);
  for (uint32_t i = 0; i < g->job_update_count; i++) set_job(m, &g->job_updates[i]);
  buf_deinit(&whole);
}

void memory_app_free(MemoryStore *m) {
  KeyPlace place = {0};
  Str key;
  uint64_t value;
  while (key_set_next(&m->values, &place, &key, &value)) mem_free(value_at(value));
  key_set_deinit(&m->values);
  for (uint32_t i = 0; i < m->job_count; i++) mem_free(m->jobs[i].bytes);
  mem_free(m->jobs);
  mem_free(m->available);
  mem_free(m->streams);
  mem_free(m->pages);
  table_free(m->by_key);
  table_free(m->by_job_id);
}

/* ---- streams ---- */

static void stream_at(const MemoryStore *m, uint32_t index, StreamRow *out) {
  *out = m->streams[index];
  out->last_gid = m->numbers[out->number - 1].last_gid;
}

static bool stream_copy(MemoryStore *m, uint64_t number, StreamRow *out) {
  pthread_mutex_lock(&m->lock);
  bool found = number > 0 && number <= m->number_count && m->numbers[number - 1].stream;
  if (found) stream_at(m, m->numbers[number - 1].index, out);
  pthread_mutex_unlock(&m->lock);
  return found;
}

bool memory_stream_get(Store *store, uint64_t number, StreamRow *out, Buf *keep, Err *err) {
  if (!stream_copy(memory(store), number, out)) return fail_no_stream(number, err);
  stream_row_keep(out, keep);
  return true;
}

bool memory_stream_find(Store *store, Str key, StreamRow *out, Buf *keep, Err *err) {
  MemoryStore *m = memory(store);
  pthread_mutex_lock(&m->lock);
  uint64_t number = table_number(m->by_key, key);
  pthread_mutex_unlock(&m->lock);
  if (number == 0) return fail_no_key(key, err);
  return memory_stream_get(store, number, out, keep, err);
}

static int by_key(const void *a, const void *b) {
  return str_order(((const StreamRow *)a)->key, ((const StreamRow *)b)->key);
}

bool memory_stream_each(Store *store, Str prefix, Str from, StreamEach *each, void *context, Err *err) {
  MemoryStore *m = memory(store);
  StreamRow *found = NULL;
  uint32_t count = 0, cap = 0;
  (void)err;
  pthread_mutex_lock(&m->lock);
  for (uint32_t i = 0; i < m->stream_count; i++) {
    if (!str_begins(m->streams[i].key, prefix) || str_order(m->streams[i].key, from) < 0) continue;
    found = mem_grow(found, &cap, count + 1, sizeof *found);
    stream_at(m, i, &found[count++]);
  }
  pthread_mutex_unlock(&m->lock);
  if (count > 1) qsort(found, count, sizeof *found, by_key);
  for (uint32_t i = 0; i < count; i++) {
    if (!each(context, &found[i])) break;
  }
  mem_free(found);
  return true;
}

/* The page's rows; of one that begins before `after` the rows one by one. */
static void page_give(MemoryStore *m, const PageRow *page, uint64_t before, uint64_t after, LogEach *each,
                      void *context, bool *more) {
  LogRow row = {.gid = page->through, .prev = before, .run = page->stream, .bytes = page->bytes};
  if (before < after) memory_rows(m, page->through, after, each, context, more);
  else *more = each(context, &row);
}

bool memory_stream_read(Store *store, uint64_t number, uint64_t after, LogEach *each, void *context, Err *err) {
  MemoryStore *m = memory(store);
  StreamRow stream;
  PageRow *pages = NULL;
  uint32_t count = 0, cap = 0;
  uint64_t before = 0, newest = after;
  bool more = true;
  if (!stream_copy(m, number, &stream)) return fail_no_stream(number, err);
  pthread_mutex_lock(&m->lock);
  for (uint64_t id = stream.page; id != 0; id = m->pages[id - 1].prev) {
    if ((before = m->pages[id - 1].through) <= after) break;
    pages = mem_grow(pages, &cap, count + 1, sizeof *pages);
    pages[count++] = m->pages[id - 1];
    before = 0;
  }
  pthread_mutex_unlock(&m->lock);
  if (count > 0) newest = pages[0].through;
  while (more && count-- > 0) {
    page_give(m, &pages[count], before, after, each, context, &more);
    before = pages[count].through;
  }
  if (more) memory_rows(m, stream.last_gid, newest, each, context, &more);
  mem_free(pages);
  return true;
}

/* ---- keys and values ---- */

bool memory_kv_get(Store *store, StoreSpace space, Str key, Buf *out, Err *err) {
  MemoryStore *m = memory(store);
  Buf whole = {0};
  pthread_mutex_lock(&m->lock);
  const MemoryValue *value = value_at(key_set_get(&m->values, kv_key((uint8_t)space, key, &whole)));
  if (value) buf_put(out, value->bytes, value->size);
  pthread_mutex_unlock(&m->lock);
  buf_deinit(&whole);
  return value ? true : fail_no_kv(space, err);
}

/* Copies the first entry of a whole key from `from` on that begins with the whole prefix. */
static bool kv_next(MemoryStore *m, Str prefix, Str from, Buf *key, Buf *value) {
  Str found_key;
  uint64_t found;
  buf_clear(key);
  buf_clear(value);
  pthread_mutex_lock(&m->lock);
  KeyPlace place = key_set_from(&m->values, from);
  bool is = key_set_next(&m->values, &place, &found_key, &found) && str_begins(found_key, prefix);
  if (is) {
    buf_str(key, found_key);
    buf_put(value, value_at(found)->bytes, value_at(found)->size);
  }
  pthread_mutex_unlock(&m->lock);
  return is;
}

bool memory_kv_each(Store *store, StoreSpace space, Str prefix, Str from, KvEach *each, void *context, Err *err) {
  Buf key = {0}, value = {0}, next = {0}, whole = {0};
  (void)err;
  kv_key((uint8_t)space, prefix, &whole);
  kv_key((uint8_t)space, from, &next);
  while (kv_next(memory(store), buf_view(&whole), buf_view(&next), &key, &value)) {
    if (!each(context, (Str){key.at + 1, key.size - 1}, buf_view(&value))) break;
    buf_clear(&next);
    buf_str(&next, buf_view(&key));
    buf_byte(&next, 0);
  }
  buf_deinit(&key);
  buf_deinit(&value);
  buf_deinit(&next);
  buf_deinit(&whole);
  return true;
}

/* ---- jobs ---- */

static bool job_copy(MemoryStore *m, uint64_t number, JobRow *out, Buf *keep) {
  pthread_mutex_lock(&m->lock);
  bool found = number > 0 && number <= m->job_count;
  if (found) {
    *out = m->jobs[number - 1].row;
    job_row_keep(out, keep);
  }
  pthread_mutex_unlock(&m->lock);
  return found;
}

bool memory_job_get(Store *store, uint64_t number, JobRow *out, Buf *keep, Err *err) {
  return job_copy(memory(store), number, out, keep) || fail_no_job(number, err);
}

bool memory_job_by_id(Store *store, Uuid id, JobRow *out, Buf *keep, Err *err) {
  MemoryStore *m = memory(store);
  pthread_mutex_lock(&m->lock);
  uint64_t number = table_number(m->by_job_id, key_of(&id, sizeof id));
  pthread_mutex_unlock(&m->lock);
  return job_copy(m, number, out, keep) || fail_no_job_id(id, err);
}

typedef struct DueJob {
  uint64_t number;
  int64_t due_us;
  uint8_t priority;
} DueJob;

static int by_priority(const void *a, const void *b) {
  const DueJob *x = a, *y = b;
  if (x->priority != y->priority) return x->priority < y->priority ? -1 : 1;
  if (x->due_us != y->due_us) return x->due_us < y->due_us ? -1 : 1;
  return (x->number > y->number) - (x->number < y->number);
}

/* AVAILABLE jobs of the queue that are due by now; or, with `later`, those that are not. */
static DueJob *find_due(MemoryStore *m, Str queue, int64_t now_us, bool later, uint32_t *count) {
  DueJob *due = NULL;
  uint32_t cap = 0;
  *count = 0;
  pthread_mutex_lock(&m->lock);
  for (uint32_t i = 0; i < m->available_count; i++) {
    const JobRow *r = &m->jobs[m->available[i]].row;
    if ((r->due_us > now_us) != later || !str_equal(r->queue, queue)) continue;
    due = mem_grow(due, &cap, *count + 1, sizeof *due);
    due[(*count)++] = (DueJob){.number = r->number, .due_us = r->due_us, .priority = r->priority};
  }
  pthread_mutex_unlock(&m->lock);
  return due;
}

bool memory_job_due(Store *store, Str queue, int priority, int64_t now_us, uint32_t limit, JobEach *each,
                    void *context, Err *err) {
  uint32_t count;
  DueJob *due = find_due(memory(store), queue, now_us, false, &count);
  JobRow row;
  Buf keep = {0};
  (void)err;
  if (count > 1) qsort(due, count, sizeof *due, by_priority);
  for (uint32_t i = 0; i < count && limit > 0; i++) {
    if (priority != ANY_PRIORITY && due[i].priority != priority) continue;
    limit--;
    if (!job_copy(memory(store), due[i].number, &row, &keep) || !each(context, &row)) break;
  }
  buf_deinit(&keep);
  mem_free(due);
  return true;
}

bool memory_job_waiting(Store *store, Str queue, uint64_t *count, Err *err) {
  MemoryStore *m = memory(store);
  (void)err;
  *count = 0;
  pthread_mutex_lock(&m->lock);
  for (uint32_t i = 0; i < m->available_count; i++) *count += str_equal(m->jobs[m->available[i]].row.queue, queue);
  pthread_mutex_unlock(&m->lock);
  return true;
}

bool memory_job_next_due(Store *store, Str queue, int64_t now_us, int64_t *due_us, Err *err) {
  uint32_t count;
  DueJob *due = find_due(memory(store), queue, now_us, true, &count);
  (void)err;
  *due_us = 0;
  for (uint32_t i = 0; i < count; i++) {
    if (*due_us == 0 || due[i].due_us < *due_us) *due_us = due[i].due_us;
  }
  mem_free(due);
  return true;
}

bool memory_job_each(Store *store, uint64_t from, uint8_t state, JobEach *each, void *context, Err *err) {
  JobRow row;
  Buf keep = {0};
  (void)err;
  for (uint64_t n = from ? from : 1; job_copy(memory(store), n, &row, &keep); n++) {
    if ((state == 0 || row.state == state) && !each(context, &row)) break;
  }
  buf_deinit(&keep);
  return true;
}
