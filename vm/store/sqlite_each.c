/* Lists. Rows are copied out in batches, each under one lock; then they are given to the caller without it, whose
** function may read and even commit. A batch goes on where the one before ended, by key, so that what changed
** in between is seen or not, and nothing is given twice or left out. */
#include "vm/store/sqlite_impl.h"
#include "vm/base/mem.h"

enum { BATCH_ROWS = 256, BATCH_BYTES = 1 << 20 };

/* Texts of a batch stand one after another in one buffer, which moves while it grows: each row's are pointed to when
** it is given. */
static void text_next(Str *text, const Buf *texts, size_t *at) {
  text->at = texts->at + *at;
  *at += text->size;
}

static bool list_end(SqliteStore *s, sqlite3_stmt *q, int rc, const Buf *texts, Err *err) {
  if (!read_end(s, q, rc, "listing what is there", err)) return false;
  if (!texts->full) return true;
  FAIL(err, ERR_LIMIT, "%s: what is to be listed is larger than memory allows", s->path);
  return false;
}

/* ---- runs ---- */

typedef struct RunBatch {
  RunRow rows[BATCH_ROWS];
  uint32_t count;
  Buf texts; /* entry and note of each */
} RunBatch;

/* Of a bound statement, which it ends. */
static bool runs_read(SqliteStore *s, sqlite3_stmt *q, RunBatch *b, Err *err) {
  int rc = SQLITE_DONE;
  bool sound = true;
  b->count = 0;
  buf_clear(&b->texts);
  while (sound && b->count < BATCH_ROWS && (rc = sqlite3_step(q)) == SQLITE_ROW) {
    RunRow *r = &b->rows[b->count++];
    sound = run_from_row(q, r);
    buf_str(&b->texts, r->entry);
    buf_str(&b->texts, r->note);
  }
  if (!list_end(s, q, rc, &b->texts, err)) return false;
  return sound || fail_corrupt(s, "the row of run number", b->rows[b->count - 1].number, err);
}

static bool runs_give(SqliteStore *s, RunBatch *b, RunEach *each, void *context) {
  size_t at = 0;
  for (uint32_t i = 0; i < b->count; i++) {
    RunRow *r = &b->rows[i];
    text_next(&r->entry, &b->texts, &at);
    text_next(&r->note, &b->texts, &at);
    sqlite_tail(s, r->number, &r->last_gid);
    if (!each(context, r)) return false;
  }
  return true;
}

static ReadStatement runs_of(int status) {
  switch (status) {
    case 0:
      return READ_RUNS;
    case STORE_UNFINISHED:
      return READ_RUNS_OPEN;
    case STORE_RESUMABLE:
      return READ_RUNS_RESUMABLE;
    case RUN_STATUS_DEAD:
      return READ_RUNS_DEAD;
    default:
      return READ_RUNS_STATUS;
  }
}

bool sqlite_run_each(Store *store, uint64_t from, int status, RunEach *each, void *context,
                     Err *err) {
  SqliteStore *s = sqlite_store(store);
  RunBatch *b = MEM_NEW(RunBatch);
  ReadStatement which = runs_of(status);
  bool ok = true, more = from <= INT64_MAX;
  while (more) {
    sqlite3_stmt *q = read_begin(s, which);
    bind_int(q, 1, from);
    if (which == READ_RUNS_STATUS) sqlite3_bind_int(q, 2, status);
    ok = runs_read(s, q, b, err);
    more = ok && runs_give(s, b, each, context) && b->count == BATCH_ROWS;
    if (more) from = b->rows[b->count - 1].number + 1;
  }
  buf_deinit(&b->texts);
  mem_free(b);
  return ok;
}

/* Where a list by time goes on: after `number` at `us`, and when those are all given, after `us`. */
typedef struct Moment {
  int64_t us;
  uint64_t number; /* 0: go on after the time */
} Moment;

static sqlite3_stmt *due_begin(SqliteStore *s, ReadStatement later, ReadStatement same, const Moment *m, int64_t now_us,
                               uint32_t most) {
  sqlite3_stmt *q = read_begin(s, m->number ? same : later);
  sqlite3_bind_int64(q, 1, m->us);
  if (m->number) bind_int(q, 2, m->number);
  else sqlite3_bind_int64(q, 2, now_us);
  bind_int(q, 3, most);
  return q;
}

/* False: there are no more. */
static bool due_on(Moment *m, bool over, int64_t us, uint64_t number) {
  if (over && m->number == 0) return false;
  m->number = over ? 0 : number;
  if (!over) m->us = us;
  return true;
}

bool sqlite_run_due(Store *store, int64_t now_us, uint32_t limit, RunEach *each, void *context, Err *err) {
  SqliteStore *s = sqlite_store(store);
  RunBatch *b = MEM_NEW(RunBatch);
  Moment at = {0};
  bool ok = true, more = limit > 0;
  while (more) {
    uint32_t most = limit < BATCH_ROWS ? limit : BATCH_ROWS;
    ok = runs_read(s, due_begin(s, READ_RUNS_DUE, READ_RUNS_DUE_SAME, &at, now_us, most), b, err);
    limit -= ok ? b->count : 0;
    more = ok && runs_give(s, b, each, context) && limit > 0;
    const RunRow *last = &b->rows[b->count ? b->count - 1 : 0];
    more = more && due_on(&at, b->count < most, last->wake_us, last->number);
  }
  buf_deinit(&b->texts);
  mem_free(b);
  return ok;
}

/* ---- streams ---- */

typedef struct StreamBatch {
  StreamRow rows[BATCH_ROWS];
  uint32_t count;
  Buf texts, from;
  bool over; /* nothing after it */
} StreamBatch;

static bool streams_read(SqliteStore *s, StreamBatch *b, Str prefix, Err *err) {
  sqlite3_stmt *q = read_begin(s, READ_STREAMS);
  int rc = SQLITE_DONE;
  bool sound = true;
  b->count = 0;
  b->over = true;
  buf_clear(&b->texts);
  bind_bytes(q, 1, b->from.at, b->from.size);
  while ((rc = sqlite3_step(q)) == SQLITE_ROW) {
    StreamRow *r = &b->rows[b->count];
    sound = stream_from_row(q, r);
    if (!sound || !str_begins(r->key, prefix)) break;
    buf_str(&b->texts, r->key);
    b->over = ++b->count < BATCH_ROWS;
    if (!b->over) break;
  }
  if (!list_end(s, q, rc, &b->texts, err)) return false;
  return sound || fail_corrupt(s, "the row of stream number", b->rows[b->count].number, err);
}

/* The least key after this one. */
static void key_after(Buf *from, Str key) {
  buf_clear(from);
  buf_str(from, key);
  buf_byte(from, 0);
}

bool sqlite_stream_each(Store *store, Str prefix, Str from, StreamEach *each, void *context, Err *err) {
  SqliteStore *s = sqlite_store(store);
  StreamBatch *b = MEM_NEW(StreamBatch);
  bool ok = true, more = true;
  buf_str(&b->from, from);
  while (more && (ok = streams_read(s, b, prefix, err))) {
    size_t at = 0;
    for (uint32_t i = 0; more && i < b->count; i++) {
      text_next(&b->rows[i].key, &b->texts, &at);
      sqlite_tail(s, b->rows[i].number, &b->rows[i].last_gid);
      more = each(context, &b->rows[i]);
    }
    more = more && !b->over;
    if (more) key_after(&b->from, b->rows[b->count - 1].key);
  }
  buf_deinit(&b->texts);
  buf_deinit(&b->from);
  mem_free(b);
  return ok;
}

/* ---- keys and values ---- */

typedef struct KvBatch {
  struct { size_t key, value; } sizes[BATCH_ROWS];
  uint32_t count;
  Buf texts, from;
  bool over;
} KvBatch;

static bool kv_read(SqliteStore *s, StoreSpace space, KvBatch *b, Str prefix, Err *err) {
  sqlite3_stmt *q = read_begin(s, READ_KVS);
  int rc = SQLITE_DONE;
  b->count = 0;
  b->over = true;
  buf_clear(&b->texts);
  bind_int(q, 1, space);
  bind_bytes(q, 2, b->from.at, b->from.size);
  while ((rc = sqlite3_step(q)) == SQLITE_ROW) {
    Str key = column_bytes(q, 0), value = column_bytes(q, 1);
    if (!str_begins(key, prefix)) break;
    buf_str(&b->texts, key);
    buf_str(&b->texts, value);
    b->sizes[b->count].key = key.size;
    b->sizes[b->count++].value = value.size;
    b->over = b->count < BATCH_ROWS && b->texts.size < BATCH_BYTES;
    if (!b->over) break;
  }
  return list_end(s, q, rc, &b->texts, err);
}

bool sqlite_kv_each(Store *store, StoreSpace space, Str prefix, Str from, KvEach *each, void *context, Err *err) {
  SqliteStore *s = sqlite_store(store);
  if (keys_scattered((uint8_t)space)) return keys_each(s, space, prefix, from, each, context, err);
  KvBatch *b = MEM_NEW(KvBatch);
  bool ok = true, more = true;
  buf_str(&b->from, from);
  while (more && (ok = kv_read(s, space, b, prefix, err))) {
    size_t at = 0;
    Str key = {0};
    for (uint32_t i = 0; more && i < b->count; i++) {
      key.size = b->sizes[i].key;
      Str value = {.size = b->sizes[i].value};
      text_next(&key, &b->texts, &at);
      text_next(&value, &b->texts, &at);
      more = each(context, key, value);
    }
    more = more && !b->over;
    if (more) key_after(&b->from, key);
  }
  buf_deinit(&b->texts);
  buf_deinit(&b->from);
  mem_free(b);
  return ok;
}

/* ---- jobs ---- */

typedef struct JobBatch {
  JobRow rows[BATCH_ROWS];
  uint32_t count;
  Buf texts;
  bool over;
} JobBatch;

/* Up to `most` of a bound statement, which it ends. */
static bool jobs_read(SqliteStore *s, sqlite3_stmt *q, uint32_t most, JobBatch *b, Err *err) {
  int rc = SQLITE_DONE;
  bool sound = true;
  b->count = 0;
  b->over = true;
  buf_clear(&b->texts);
  while (sound && (rc = sqlite3_step(q)) == SQLITE_ROW) {
    Str *texts[JOB_TEXTS];
    JobRow *r = &b->rows[b->count++];
    sound = job_from_row(q, r);
    job_texts(r, texts);
    for (int i = 0; i < JOB_TEXTS; i++) buf_str(&b->texts, *texts[i]);
    b->over = b->count < most && b->texts.size < BATCH_BYTES;
    if (!b->over) break;
  }
  if (!list_end(s, q, rc, &b->texts, err)) return false;
  return sound || fail_corrupt(s, "the row of job number", b->rows[b->count - 1].number, err);
}

static bool jobs_give(JobBatch *b, JobEach *each, void *context) {
  size_t at = 0;
  for (uint32_t i = 0; i < b->count; i++) {
    Str *texts[JOB_TEXTS];
    job_texts(&b->rows[i], texts);
    for (int k = 0; k < JOB_TEXTS; k++) text_next(texts[k], &b->texts, &at);
    if (!each(context, &b->rows[i])) return false;
  }
  return true;
}

static ReadStatement jobs_of(uint8_t state) {
  if (state == 0) return READ_JOBS;
  return job_state_over(state) ? READ_JOBS_STATE : READ_JOBS_OPEN;
}

bool sqlite_job_each(Store *store, uint64_t from, uint8_t state, JobEach *each, void *context, Err *err) {
  SqliteStore *s = sqlite_store(store);
  JobBatch *b = MEM_NEW(JobBatch);
  bool ok = true, more = from <= INT64_MAX;
  while (more) {
    sqlite3_stmt *q = read_begin(s, jobs_of(state));
    bind_int(q, 1, from);
    if (state != 0) sqlite3_bind_int(q, 2, state);
    ok = jobs_read(s, q, BATCH_ROWS, b, err);
    more = ok && jobs_give(b, each, context) && !b->over;
    if (more) from = b->rows[b->count - 1].number + 1;
  }
  buf_deinit(&b->texts);
  mem_free(b);
  return ok;
}

/* One priority after the other, so that jobs of a higher one that are not due yet are not even looked at. */
static bool due_of_priority(SqliteStore *s, Str queue, int priority, int64_t now_us, uint32_t *limit, JobBatch *b,
                            JobEach *each, void *context, bool *more, Err *err) {
  Moment at = {.us = INT64_MIN};
  for (bool on = true; on && *more;) {
    uint32_t most = *limit < BATCH_ROWS ? *limit : BATCH_ROWS;
    sqlite3_stmt *q = due_begin(s, READ_JOBS_DUE, READ_JOBS_DUE_SAME, &at, now_us, most);
    bind_text(q, 4, queue);
    sqlite3_bind_int(q, 5, priority);
    if (!jobs_read(s, q, most, b, err)) return false;
    *limit -= b->count;
    *more = jobs_give(b, each, context) && *limit > 0;
    const JobRow *last = &b->rows[b->count ? b->count - 1 : 0];
    on = due_on(&at, b->over, last->due_us, last->number);
  }
  return true;
}

bool sqlite_job_due(Store *store, Str queue, int priority, int64_t now_us, uint32_t limit, JobEach *each,
                    void *context, Err *err) {
  SqliteStore *s = sqlite_store(store);
  JobBatch *b = MEM_NEW(JobBatch);
  bool ok = true, more = limit > 0;
  int first = priority == ANY_PRIORITY ? 0 : priority, end = priority == ANY_PRIORITY ? PRIORITIES : priority + 1;
  for (int of = first; ok && more && of < end; of++) {
    ok = due_of_priority(s, queue, of, now_us, &limit, b, each, context, &more, err);
  }
  buf_deinit(&b->texts);
  mem_free(b);
  return ok;
}
