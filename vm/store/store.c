/* The interface's front: hands each call to the back end, and holds what both share. */
#include "vm/store/store_impl.h"
#include "lang/tables.h"
#include "vm/base/hash.h"
#include "vm/base/mem.h"

const char *run_status_word(RunStatus s) {
  switch (s) {
    case RUN_STATUS_RUNNING:
      return "running";
    case RUN_STATUS_PARKED:
      return "parked";
    case RUN_STATUS_DONE:
      return "done";
    case RUN_STATUS_FAILED:
      return "failed";
    case RUN_STATUS_CANCELLED:
      return "cancelled";
    case RUN_STATUS_DIVERGED:
      return "diverged";
    case RUN_STATUS_STUCK:
      return "stuck";
    case RUN_STATUS_KILLED:
      return "killed";
    case RUN_STATUS_DEAD:
      return "dead";
  }
  return "?";
}

/* ---- groups ---- */

/* Capacity is the power of two that holds blob_count, so that no field has to say it. */
void store_group_blob(StoreGroup *g, Hash256 id, Str bytes) {
  uint32_t n = g->blob_count;
  if ((n & (n - 1)) == 0) {
    uint32_t cap = n ? 2 * n : 1;
    g->blob_ids = mem_realloc(g->blob_ids, cap * sizeof *g->blob_ids);
    g->blobs = mem_realloc(g->blobs, cap * sizeof *g->blobs);
  }
  g->blob_ids[n] = id;
  g->blobs[n] = bytes;
  g->blob_count = n + 1;
}

void store_group_deinit(StoreGroup *g) {
  mem_free(g->blob_ids);
  mem_free(g->blobs);
  g->blob_ids = NULL;
  g->blobs = NULL;
  g->blob_count = 0;
}

/* ---- what a group may hold ---- */

static bool known(uint64_t number, uint64_t limit, const char *what, Err *err) {
  if (number > 0 && number < limit) return true;
  FAIL(err, ERR_INVALID, "%s of number %" PRIu64 ", and the next one to be made is %" PRIu64, what, number, limit);
  return false;
}

/* New runs and streams together bear the next numbers, each once. */
static bool is_next(uint8_t *taken, uint64_t number, uint64_t next, uint64_t limit, const char *what, Err *err) {
  if (number >= next && number < limit && !taken[number - next]) {
    taken[number - next] = 1;
    return true;
  }
  FAIL(err, ERR_INVALID, "%s number %" PRIu64 " is not the next one, which is %" PRIu64, what, number, next);
  return false;
}

static bool check_numbers(const StoreGroup *g, uint64_t next, uint64_t limit, Err *err) {
  if (limit == next) return true;
  uint8_t *taken = mem_alloc(limit - next);
  bool ok = true;
  for (uint32_t i = 0; ok && i < g->created_count; i++)
    ok = is_next(taken, g->created[i].number, next, limit, "run", err);
  for (uint32_t i = 0; ok && i < g->stream_count; i++)
    ok = is_next(taken, g->streams[i].number, next, limit, "stream", err);
  mem_free(taken);
  return ok;
}

static bool check_streams(const StoreGroup *g, StoreNext next, uint64_t limit, Err *err) {
  for (uint32_t i = 0; i < g->stream_count; i++) {
    size_t size = g->streams[i].key.size;
    if (size > 0 && size <= LIMIT_KEY_BYTES) continue;
    FAIL(err, ERR_INVALID, "the key of stream number %" PRIu64 " has %zu bytes, and 1 to %d are allowed",
         g->streams[i].number, size, (int)LIMIT_KEY_BYTES);
    return false;
  }
  for (uint32_t i = 0; i < g->page_count; i++) {
    if (!known(g->pages[i].stream, limit, "a page", err)) return false;
    if (g->pages[i].through == 0 || g->pages[i].through >= next.gid + g->row_count)
      return refuse_page(g->pages[i].stream, g->pages[i].through, err);
  }
  return true;
}

static bool check_job(const JobRow *r, Err *err) {
  bool ok = r->state >= JOB_AVAILABLE && r->state <= JOB_DEAD && r->priority < PRIORITIES && r->lease <= INT64_MAX;
  if (!ok)
    FAIL(err, ERR_INVALID, "job number %" PRIu64 " has state %d, priority %d, lease %" PRIu64 ": one of them cannot be",
         r->number, r->state, r->priority, r->lease);
  return ok;
}

static bool check_jobs(const StoreGroup *g, uint64_t next, Err *err) {
  for (uint32_t i = 0; i < g->job_count; i++) {
    if (g->jobs[i].number != next + i) {
      FAIL(err, ERR_INVALID, "job number %" PRIu64 " is not the next one, which is %" PRIu64, g->jobs[i].number,
           next + i);
      return false;
    }
    if (!check_job(&g->jobs[i], err)) return false;
  }
  for (uint32_t i = 0; i < g->job_update_count; i++) {
    if (!known(g->job_updates[i].number, next + g->job_count, "a job's update", err) ||
        !check_job(&g->job_updates[i], err))
      return false;
  }
  return true;
}

static bool check_kv(const StoreGroup *g, Err *err) {
  for (uint32_t i = 0; i < g->kv_count; i++) {
    if (g->kv[i].space != 0) continue;
    FAIL(err, ERR_INVALID, "a value without a space to keep it in");
    return false;
  }
  return true;
}

bool store_group_check(const StoreGroup *g, StoreNext next, Err *err) {
  uint64_t limit = next.run + g->created_count + g->stream_count;
  if (!check_numbers(g, next.run, limit, err)) return false;
  for (uint32_t i = 0; i < g->row_count; i++) {
    if (!known(g->rows[i].run, limit, "a row", err)) return false;
  }
  for (uint32_t i = 0; i < g->updated_count; i++) {
    if (!known(g->updated[i].number, limit, "an update", err)) return false;
  }
  for (uint32_t i = 0; i < g->image_count; i++) {
    if (!known(g->images[i].run, limit, "an image", err)) return false;
  }
  return check_streams(g, next, limit, err) && check_jobs(g, next.job, err) && check_kv(g, err);
}

/* ---- rows ---- */

static void keep_texts(Str *const *texts, int count, Buf *keep) {
  size_t at = 0;
  buf_clear(keep);
  for (int i = 0; i < count; i++) buf_str(keep, *texts[i]);
  for (int i = 0; i < count; i++) {
    texts[i]->at = keep->at + at;
    at += texts[i]->size;
  }
}

void run_row_keep(RunRow *row, Buf *keep) { keep_texts((Str *[]){&row->entry, &row->note}, 2, keep); }
void stream_row_keep(StreamRow *row, Buf *keep) { keep_texts((Str *[]){&row->key}, 1, keep); }

void job_texts(JobRow *row, Str *texts[JOB_TEXTS]) {
  Str *const all[JOB_TEXTS] = {&row->worker, &row->queue, &row->input, &row->meta, &row->unique, &row->note};
  memcpy(texts, all, sizeof all);
}

void job_row_keep(JobRow *row, Buf *keep) {
  Str *texts[JOB_TEXTS];
  job_texts(row, texts);
  keep_texts(texts, JOB_TEXTS, keep);
}

int str_order(Str a, Str b) {
  size_t size = a.size < b.size ? a.size : b.size;
  int order = size ? memcmp(a.at, b.at, size) : 0;
  return order != 0 ? order : (a.size > b.size) - (a.size < b.size);
}

/* ---- what is not there ---- */

bool fail_no_run(uint64_t number, Err *err) {
  FAIL(err, ERR_NOT_FOUND, "there is no run number %" PRIu64, number);
  return false;
}

bool fail_no_image(uint64_t run, Err *err) {
  FAIL(err, ERR_NOT_FOUND, "run number %" PRIu64 " has no image", run);
  return false;
}

bool fail_no_blob(const char *what, Hash256 id, Err *err) {
  char text[65];
  hash256_text(id, text);
  FAIL(err, ERR_NOT_FOUND, "there is no %s %s in the store", what, text);
  return false;
}

bool fail_no_meta(const char *name, Err *err) {
  FAIL(err, ERR_NOT_FOUND, "the store has no setting `%s`", name);
  return false;
}

bool fail_no_stream(uint64_t number, Err *err) {
  FAIL(err, ERR_NOT_FOUND, "there is no stream number %" PRIu64, number);
  return false;
}

bool fail_no_key(Str key, Err *err) {
  FAIL(err, ERR_NOT_FOUND, "there is no stream `" STR_FMT "`", STR_ARG(key));
  return false;
}

bool fail_no_kv(StoreSpace space, Err *err) {
  FAIL(err, ERR_NOT_FOUND, "there is nothing of that key in space %d", (int)space);
  return false;
}

bool fail_no_job(uint64_t number, Err *err) {
  FAIL(err, ERR_NOT_FOUND, "there is no job number %" PRIu64, number);
  return false;
}

bool fail_no_job_id(Uuid id, Err *err) {
  char text[37];
  uuid_text(id, text);
  FAIL(err, ERR_NOT_FOUND, "there is no job %s", text);
  return false;
}

bool fail_no_row(uint64_t gid, Err *err) {
  FAIL(err, ERR_NOT_FOUND, "the log has no row %" PRIu64, gid);
  return false;
}

bool fail_no_records(uint64_t number, Err *err) {
  FAIL(err, ERR_NOT_FOUND, "run number %" PRIu64 " has no records", number);
  return false;
}

/* ---- what makes no sense with what is there ---- */

bool refuse_run_id(Uuid id, Err *err) {
  char text[37];
  uuid_text(id, text);
  FAIL(err, ERR_INVALID, "there is a run %s already", text);
  return false;
}

bool refuse_job_id(Uuid id, Err *err) {
  char text[37];
  uuid_text(id, text);
  FAIL(err, ERR_INVALID, "there is a job %s already", text);
  return false;
}

bool refuse_key(Str key, Err *err) {
  FAIL(err, ERR_INVALID, "there is a stream `" STR_FMT "` already", STR_ARG(key));
  return false;
}

bool refuse_no_run(uint64_t number, Err *err) {
  FAIL(err, ERR_INVALID, "an update of number %" PRIu64 ", which is not a run", number);
  return false;
}

bool refuse_lease(uint64_t number, uint64_t lease, Err *err) {
  FAIL(err, ERR_INVALID, "job number %" PRIu64 " was leased anew: what lease %" PRIu64 " has to say comes too late",
       number, lease);
  return false;
}

bool refuse_page(uint64_t stream, uint64_t through, Err *err) {
  FAIL(err, ERR_INVALID, "a page of number %" PRIu64 " through row %" PRIu64 ": it must be a stream, the row one of its"
       " own, and later than what its pages have", stream, through);
  return false;
}

/* ---- ids by prefix ---- */

static int nibble_of(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

/* The first and last id that begin with the text. */
static bool prefix_range(Str text, Uuid *low, Uuid *high) {
  uint32_t nibbles = 0;
  memset(low, 0x00, sizeof *low);
  memset(high, 0xff, sizeof *high);
  for (size_t i = 0; i < text.size; i++) {
    bool dash = i == 8 || i == 13 || i == 18 || i == 23;
    int digit = nibble_of(text.at[i]);
    if (dash ? text.at[i] != '-' : digit < 0) return false;
    if (dash) continue;
    if (nibbles == 32) return false;
    uint8_t *l = &low->byte[nibbles / 2], *h = &high->byte[nibbles / 2];
    bool first = nibbles++ % 2 == 0;
    *l = (uint8_t)(first ? digit << 4 : *l | digit);
    *h = (uint8_t)(first ? digit << 4 | 0x0f : *l);
  }
  return true;
}

bool store_run_find(Store *store, Str text, RunRow *out, Buf *keep, Err *err) {
  Uuid low, high;
  int found = 0;
  if (text.size < 4 || text.size > 36 || !prefix_range(text, &low, &high)) {
    FAIL(err, ERR_INVALID,
         "`" STR_FMT "` is not a run's id, nor the first four characters or more of one",
         STR_ARG(text));
    return false;
  }
  if (!store->ops->run_range(store, low, high, &found, out, keep, err)) return false;
  if (found == 1) return true;
  if (found == 0) FAIL(err, ERR_NOT_FOUND, "there is no run `" STR_FMT "`", STR_ARG(text));
  else
    FAIL(err, ERR_INVALID, "more than one run's id begins with `" STR_FMT "`: give more of it",
         STR_ARG(text));
  return false;
}

bool store_run_by_id(Store *store, Uuid id, RunRow *out, Buf *keep, Err *err) {
  char text[37];
  int found = 0;
  if (!store->ops->run_range(store, id, id, &found, out, keep, err)) return false;
  if (found == 1) return true;
  uuid_text(id, text);
  FAIL(err, ERR_NOT_FOUND, "there is no run %s", text);
  return false;
}

/* ---- dispatch ---- */

void store_close(Store *store) {
  if (store) store->ops->close(store);
}

uint64_t store_next_run(Store *store) { return store->ops->next(store).run; }
uint64_t store_next_job(Store *store) { return store->ops->next(store).job; }
uint64_t store_last_gid(Store *store) { return store->ops->next(store).gid - 1; }
StoreCounts store_counts(Store *store) { return store->ops->counts(store); }
StoreStats store_stats(const Store *store) { return store->ops->stats(store); }

bool store_commit(Store *store, StoreGroup *group, Err *err) {
  return store->ops->commit(store, group, err);
}

bool store_run_get(Store *store, uint64_t number, RunRow *out, Buf *keep, Err *err) {
  return store->ops->run_get(store, number, out, keep, err);
}

bool store_run_each(Store *store, uint64_t from, int status, RunEach *each, void *context,
                    Err *err) {
  return store->ops->run_each(store, from, status, each, context, err);
}

bool store_run_due(Store *store, int64_t now_us, uint32_t limit, RunEach *each, void *context, Err *err) {
  return store->ops->run_due(store, now_us, limit, each, context, err);
}

bool store_run_next_wake(Store *store, int64_t *wake_us, Err *err) {
  return store->ops->run_next_wake(store, wake_us, err);
}

bool store_log_each(Store *store, uint64_t run, LogEach *each, void *context, Err *err) {
  return store->ops->log_each(store, run, each, context, err);
}

bool store_log_last(Store *store, uint64_t run, LogRow *out, Buf *keep, Err *err) {
  return store->ops->log_last(store, run, out, keep, err);
}

bool store_log_from(Store *store, uint64_t after, LogEach *each, void *context, Err *err) {
  return store->ops->log_from(store, after, each, context, err);
}

bool store_log_get(Store *store, uint64_t gid, LogRow *out, Buf *keep, Err *err) {
  return store->ops->log_get(store, gid, out, keep, err);
}

bool store_image_get(Store *store, uint64_t run, ImageRow *out, Buf *keep, Err *err) {
  return store->ops->image_get(store, run, out, keep, err);
}

bool store_blob_get(Store *store, Hash256 id, Buf *out, Err *err) {
  return store->ops->blob_get(store, id, out, err);
}
bool store_bundle_get(Store *store, Hash256 id, Buf *out, Err *err) {
  return store->ops->bundle_get(store, id, out, err);
}

/* ---- streams ---- */

bool store_stream_get(Store *store, uint64_t number, StreamRow *out, Buf *keep, Err *err) {
  return store->ops->stream_get(store, number, out, keep, err);
}

bool store_stream_find(Store *store, Str key, StreamRow *out, Buf *keep, Err *err) {
  return store->ops->stream_find(store, key, out, keep, err);
}

/* Where a list of keys begins: with the prefix, or with the least key after `after`. */
static Str list_from(Str prefix, Str after, Buf *from) {
  if (after.size == 0 || str_order(after, prefix) < 0) return prefix;
  buf_str(from, after);
  buf_byte(from, 0);
  return buf_view(from);
}

bool store_stream_each(Store *store, Str prefix, Str after, StreamEach *each, void *context, Err *err) {
  Buf from = {0};
  bool ok = store->ops->stream_each(store, prefix, list_from(prefix, after, &from), each, context, err);
  buf_deinit(&from);
  return ok;
}

bool store_stream_read(Store *store, uint64_t number, uint64_t after, LogEach *each, void *context, Err *err) {
  return store->ops->stream_read(store, number, after, each, context, err);
}

/* ---- keys, values and settings ---- */

bool store_kv_get(Store *store, StoreSpace space, Str key, Buf *out, Err *err) {
  return store->ops->kv_get(store, space, key, out, err);
}

bool store_kv_each(Store *store, StoreSpace space, Str prefix, Str after, KvEach *each, void *context, Err *err) {
  Buf from = {0};
  bool ok = store->ops->kv_each(store, space, prefix, list_from(prefix, after, &from), each, context, err);
  buf_deinit(&from);
  return ok;
}

bool store_meta_get(Store *store, const char *name, Buf *out, Err *err) {
  return store->ops->meta_get(store, name, out, err);
}
bool store_meta_set(Store *store, const char *name, Str value, Err *err) {
  return store->ops->meta_set(store, name, value, err);
}

/* ---- jobs ---- */

bool store_job_get(Store *store, uint64_t number, JobRow *out, Buf *keep, Err *err) {
  return store->ops->job_get(store, number, out, keep, err);
}

bool store_job_by_id(Store *store, Uuid id, JobRow *out, Buf *keep, Err *err) {
  return store->ops->job_by_id(store, id, out, keep, err);
}

bool store_job_due(Store *store, Str queue, int64_t now_us, uint32_t limit, JobEach *each, void *context, Err *err) {
  return store->ops->job_due(store, queue, ANY_PRIORITY, now_us, limit, each, context, err);
}

bool store_job_due_of(Store *store, Str queue, uint8_t priority, int64_t now_us, uint32_t limit, JobEach *each,
                      void *context, Err *err) {
  return store->ops->job_due(store, queue, priority, now_us, limit, each, context, err);
}

bool store_job_waiting(Store *store, Str queue, uint64_t *count, Err *err) {
  return store->ops->job_waiting(store, queue, count, err);
}

bool store_job_next_due(Store *store, Str queue, int64_t now_us, int64_t *due_us, Err *err) {
  return store->ops->job_next_due(store, queue, now_us, due_us, err);
}

bool store_job_each(Store *store, uint64_t from, uint8_t state, JobEach *each, void *context, Err *err) {
  return store->ops->job_each(store, from, state, each, context, err);
}
