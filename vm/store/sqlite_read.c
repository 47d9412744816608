/* Reading one thing, over the read-only connection, and what all reading shares. */
#include <sched.h>
#include "vm/store/sqlite_impl.h"

/* ---- statements ---- */

static void read_lock(SqliteStore *s) {
  __atomic_fetch_add(&s->read_waiting, 1, __ATOMIC_RELAXED);
  pthread_mutex_lock(&s->read_lock);
  __atomic_fetch_sub(&s->read_waiting, 1, __ATOMIC_RELAXED);
}

sqlite3_stmt *read_begin(SqliteStore *s, ReadStatement which) {
  read_lock(s);
  return s->read[which];
}

bool read_end(SqliteStore *s, sqlite3_stmt *q, int rc, const char *doing, Err *err) {
  sqlite3_reset(q);
  bool ok =
      rc == SQLITE_ROW || rc == SQLITE_DONE || sqlite_failed(s->reader, rc, s->path, doing, err);
  sqlite3_clear_bindings(q);
  pthread_mutex_unlock(&s->read_lock);
  return ok;
}

bool read_hold(SqliteStore *s, Err *err) {
  read_lock(s);
  int rc = sqlite3_step(s->read[READ_BEGIN]);
  sqlite3_reset(s->read[READ_BEGIN]);
  if (rc == SQLITE_DONE) return true;
  sqlite_failed(s->reader, rc, s->path, "reading it", err);
  pthread_mutex_unlock(&s->read_lock);
  return false;
}

void read_release(SqliteStore *s) {
  sqlite3_step(s->read[READ_END]); /* nothing was written: it cannot matter how it ends */
  sqlite3_reset(s->read[READ_END]);
  pthread_mutex_unlock(&s->read_lock);
  if (__atomic_load_n(&s->read_waiting, __ATOMIC_RELAXED) > 0) sched_yield(); /* this thread would have it again */
}

bool fail_corrupt(SqliteStore *s, const char *what, uint64_t number, Err *err) {
  FAIL(err, ERR_CORRUPT,
       "%s: %s %" PRIu64 " is not what it should be; restore the file from a backup", s->path, what,
       number);
  return false;
}

/* ---- rows ---- */

bool run_from_row(sqlite3_stmt *q, RunRow *r) {
  *r = (RunRow){.number = column_number(q, 0),
                .entry = column_bytes(q, 3),
                .parent = column_number(q, 4),
                .status = (RunStatus)sqlite3_column_int(q, 5),
                .started_us = sqlite3_column_int64(q, 6),
                .ended_us = sqlite3_column_int64(q, 7),
                .wake_us = sqlite3_column_int64(q, 8),
                .last_gid = column_number(q, 9),
                .records = column_number(q, 10),
                .note = column_bytes(q, 11)};
  return r->number > 0 && r->status >= RUN_STATUS_RUNNING && r->status <= RUN_STATUS_DEAD &&
         column_fixed(q, 1, r->id.byte, sizeof r->id.byte) &&
         column_fixed(q, 2, r->bundle.byte, sizeof r->bundle.byte);
}

bool stream_from_row(sqlite3_stmt *q, StreamRow *r) {
  *r = (StreamRow){.number = column_number(q, 0),
                   .key = column_bytes(q, 1),
                   .last_gid = column_number(q, 2),
                   .page = column_number(q, 3)};
  return r->number > 0;
}

bool job_from_row(sqlite3_stmt *q, JobRow *r) {
  *r = (JobRow){.number = column_number(q, 0),
                .worker = column_bytes(q, 2),
                .queue = column_bytes(q, 3),
                .state = (uint8_t)sqlite3_column_int(q, 4),
                .priority = (uint8_t)sqlite3_column_int(q, 5),
                .due_us = sqlite3_column_int64(q, 6),
                .enqueued_us = sqlite3_column_int64(q, 7),
                .ended_us = sqlite3_column_int64(q, 8),
                .attempt = (uint32_t)sqlite3_column_int64(q, 9),
                .lease = column_number(q, 10),
                .run = column_number(q, 11),
                .input = column_bytes(q, 12),
                .meta = column_bytes(q, 13),
                .unique = column_bytes(q, 14),
                .note = column_bytes(q, 15)};
  return r->number > 0 && r->state >= JOB_AVAILABLE && r->state <= JOB_DEAD && r->priority < PRIORITIES &&
         column_fixed(q, 1, r->id.byte, sizeof r->id.byte);
}

/* ---- runs ---- */

bool sqlite_run_get(Store *store, uint64_t number, RunRow *out, Buf *keep, Err *err) {
  SqliteStore *s = sqlite_store(store);
  if (number > INT64_MAX) return fail_no_run(number, err);
  sqlite3_stmt *q = read_begin(s, READ_RUN);
  bind_int(q, 1, number);
  int rc = sqlite3_step(q);
  bool sound = rc != SQLITE_ROW || run_from_row(q, out);
  if (rc == SQLITE_ROW && sound) run_row_keep(out, keep);
  if (!read_end(s, q, rc, "reading a run", err)) return false;
  if (!sound) return fail_corrupt(s, "the row of run number", number, err);
  if (rc != SQLITE_ROW) return fail_no_run(number, err);
  sqlite_tail(s, number, &out->last_gid);
  return true;
}

bool sqlite_run_range(Store *store, Uuid low, Uuid high, int *found, RunRow *out, Buf *keep,
                      Err *err) {
  SqliteStore *s = sqlite_store(store);
  sqlite3_stmt *q = read_begin(s, READ_RUN_RANGE);
  bool sound = true;
  int rc;
  *found = 0;
  bind_bytes(q, 1, low.byte, sizeof low.byte);
  bind_bytes(q, 2, high.byte, sizeof high.byte);
  while ((rc = sqlite3_step(q)) == SQLITE_ROW) {
    if ((*found)++ > 0) continue;
    sound = run_from_row(q, out);
    if (sound) run_row_keep(out, keep);
  }
  if (!read_end(s, q, rc, "looking for a run", err)) return false;
  if (!sound) return fail_corrupt(s, "the row of run number", out->number, err);
  if (*found) sqlite_tail(s, out->number, &out->last_gid);
  return true;
}

/* The one number that a bound statement selects; NULL gives 0. */
static bool get_number(SqliteStore *s, sqlite3_stmt *q, int64_t *out, Err *err) {
  int rc = sqlite3_step(q);
  *out = rc == SQLITE_ROW ? sqlite3_column_int64(q, 0) : 0;
  return read_end(s, q, rc, "looking for what is due", err);
}

bool sqlite_run_next_wake(Store *store, int64_t *wake_us, Err *err) {
  SqliteStore *s = sqlite_store(store);
  return get_number(s, read_begin(s, READ_NEXT_WAKE), wake_us, err);
}

/* ---- streams ---- */

static bool get_stream(SqliteStore *s, sqlite3_stmt *q, bool *found, StreamRow *out, Buf *keep, Err *err) {
  int rc = sqlite3_step(q);
  bool sound = rc != SQLITE_ROW || stream_from_row(q, out);
  *found = rc == SQLITE_ROW;
  if (*found && sound) stream_row_keep(out, keep);
  if (!read_end(s, q, rc, "reading a stream", err)) return false;
  if (!sound) return fail_corrupt(s, "the row of stream number", out->number, err);
  if (*found) sqlite_tail(s, out->number, &out->last_gid);
  return true;
}

bool sqlite_stream_get(Store *store, uint64_t number, StreamRow *out, Buf *keep, Err *err) {
  SqliteStore *s = sqlite_store(store);
  bool found;
  if (number > INT64_MAX) return fail_no_stream(number, err);
  sqlite3_stmt *q = read_begin(s, READ_STREAM);
  bind_int(q, 1, number);
  return get_stream(s, q, &found, out, keep, err) && (found || fail_no_stream(number, err));
}

bool sqlite_stream_find(Store *store, Str key, StreamRow *out, Buf *keep, Err *err) {
  SqliteStore *s = sqlite_store(store);
  bool found;
  sqlite3_stmt *q = read_begin(s, READ_STREAM_KEY);
  bind_bytes(q, 1, key.at, key.size);
  return get_stream(s, q, &found, out, keep, err) && (found || fail_no_key(key, err));
}

/* ---- jobs ---- */

static bool get_job(SqliteStore *s, sqlite3_stmt *q, bool *found, JobRow *out, Buf *keep, Err *err) {
  int rc = sqlite3_step(q);
  bool sound = rc != SQLITE_ROW || job_from_row(q, out);
  *found = rc == SQLITE_ROW;
  if (*found && sound) job_row_keep(out, keep);
  if (!read_end(s, q, rc, "reading a job", err)) return false;
  return sound || fail_corrupt(s, "the row of job number", out->number, err);
}

bool sqlite_job_get(Store *store, uint64_t number, JobRow *out, Buf *keep, Err *err) {
  SqliteStore *s = sqlite_store(store);
  bool found;
  if (number > INT64_MAX) return fail_no_job(number, err);
  sqlite3_stmt *q = read_begin(s, READ_JOB);
  bind_int(q, 1, number);
  return get_job(s, q, &found, out, keep, err) && (found || fail_no_job(number, err));
}

bool sqlite_job_by_id(Store *store, Uuid id, JobRow *out, Buf *keep, Err *err) {
  SqliteStore *s = sqlite_store(store);
  bool found;
  sqlite3_stmt *q = read_begin(s, READ_JOB_ID);
  bind_bytes(q, 1, id.byte, sizeof id.byte);
  return get_job(s, q, &found, out, keep, err) && (found || fail_no_job_id(id, err));
}

bool sqlite_job_waiting(Store *store, Str queue, uint64_t *count, Err *err) {
  SqliteStore *s = sqlite_store(store);
  int64_t n = 0;
  sqlite3_stmt *q = read_begin(s, READ_JOBS_WAITING);
  bind_text(q, 1, queue);
  bool ok = get_number(s, q, &n, err);
  *count = (uint64_t)n;
  return ok;
}

/* The index is by queue, priority and due time: one look a priority, and no index more to write. */
bool sqlite_job_next_due(Store *store, Str queue, int64_t now_us, int64_t *due_us, Err *err) {
  SqliteStore *s = sqlite_store(store);
  *due_us = 0;
  for (int priority = 0; priority < PRIORITIES; priority++) {
    int64_t due;
    sqlite3_stmt *q = read_begin(s, READ_JOB_NEXT);
    bind_text(q, 1, queue);
    sqlite3_bind_int(q, 2, priority);
    sqlite3_bind_int64(q, 3, now_us);
    if (!get_number(s, q, &due, err)) return false;
    if (due != 0 && (*due_us == 0 || due < *due_us)) *due_us = due;
  }
  return true;
}

/* ---- the rest ---- */

bool sqlite_image_get(Store *store, uint64_t run, ImageRow *out, Buf *keep, Err *err) {
  SqliteStore *s = sqlite_store(store);
  sqlite3_stmt *q = read_begin(s, READ_IMAGE);
  bind_int(q, 1, run);
  int rc = sqlite3_step(q);
  bool sound = true;
  *out = (ImageRow){.run = run};
  buf_clear(keep);
  if (rc == SQLITE_ROW) {
    out->seq = column_number(q, 0);
    sound = column_fixed(q, 1, out->head.byte, sizeof out->head.byte);
    buf_str(keep, column_bytes(q, 2));
    out->bytes = buf_view(keep);
  }
  if (!read_end(s, q, rc, "reading an image", err)) return false;
  if (!sound) return fail_corrupt(s, "the image of run number", run, err);
  return rc == SQLITE_ROW ? true : fail_no_image(run, err);
}

static int get_bytes(SqliteStore *s, sqlite3_stmt *q, Buf *out, bool *ok, Err *err) {
  int rc = sqlite3_step(q);
  if (rc == SQLITE_ROW) buf_str(out, column_bytes(q, 0));
  *ok = read_end(s, q, rc, "reading it", err);
  return rc;
}

static bool get_by_hash(Store *store, ReadStatement which, const char *what, Hash256 id, Buf *out,
                        Err *err) {
  SqliteStore *s = sqlite_store(store);
  sqlite3_stmt *q = read_begin(s, which);
  bool ok;
  bind_bytes(q, 1, id.byte, sizeof id.byte);
  int rc = get_bytes(s, q, out, &ok, err);
  return ok && (rc == SQLITE_ROW || fail_no_blob(what, id, err));
}

bool sqlite_blob_get(Store *store, Hash256 id, Buf *out, Err *err) {
  return get_by_hash(store, READ_BLOB, "blob", id, out, err);
}

bool sqlite_bundle_get(Store *store, Hash256 id, Buf *out, Err *err) {
  return get_by_hash(store, READ_BUNDLE, "bundle", id, out, err);
}

bool sqlite_kv_get(Store *store, StoreSpace space, Str key, Buf *out, Err *err) {
  SqliteStore *s = sqlite_store(store);
  if (keys_scattered((uint8_t)space)) return keys_get(s, space, key, out, err);
  sqlite3_stmt *q = read_begin(s, READ_KV);
  bool ok;
  bind_int(q, 1, space);
  bind_bytes(q, 2, key.at, key.size);
  int rc = get_bytes(s, q, out, &ok, err);
  return ok && (rc == SQLITE_ROW || fail_no_kv(space, err));
}

bool sqlite_meta_get(Store *store, const char *name, Buf *out, Err *err) {
  SqliteStore *s = sqlite_store(store);
  sqlite3_stmt *q = read_begin(s, READ_META);
  bool ok;
  sqlite3_bind_text(q, 1, name, -1, SQLITE_STATIC);
  int rc = get_bytes(s, q, out, &ok, err);
  return ok && (rc == SQLITE_ROW || fail_no_meta(name, err));
}
