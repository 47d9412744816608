/* Reading, over the read-only connection. Its lock is held while a statement is used and
** never while a caller's function runs, so that function may read too.
**
** A run's rows are chained backwards, so they are fetched from the last one on and given
** from the first one on. A run that has the store to itself has its rows side by side:
** the walk then steps one cursor down the table, and looks rows up only across gaps. */
#include "vm/store/sqlite_impl.h"
#include "vm/base/mem.h"

enum {
  PAGE_RUNS = 256,       /* runs fetched under one lock */
  NEAR_ROWS = 8,         /* a gap this small is stepped over */
  KEEP_BYTES = 256 << 20 /* of one run's rows in memory; older ones are fetched a second time */
};

/* ---- statements ---- */

static sqlite3_stmt *read_begin(SqliteStore *s, ReadStatement which) {
  pthread_mutex_lock(&s->read_lock);
  return s->read[which];
}

/* rc: of the last step. ROW and DONE are fine. */
static bool read_end(SqliteStore *s, sqlite3_stmt *q, int rc, const char *doing, Err *err) {
  sqlite3_reset(q);
  bool ok =
      rc == SQLITE_ROW || rc == SQLITE_DONE || sqlite_failed(s->reader, rc, s->path, doing, err);
  sqlite3_clear_bindings(q);
  pthread_mutex_unlock(&s->read_lock);
  return ok;
}

static Str column_bytes(sqlite3_stmt *q, int column) {
  const void *bytes = sqlite3_column_blob(q, column);
  return (Str){bytes, (size_t)sqlite3_column_bytes(q, column)};
}

static bool column_fixed(sqlite3_stmt *q, int column, void *out, size_t size) {
  Str bytes = column_bytes(q, column);
  if (bytes.size != size) return false;
  memcpy(out, bytes.at, size);
  return true;
}

static bool fail_corrupt(SqliteStore *s, const char *what, uint64_t number, Err *err) {
  FAIL(err, ERR_CORRUPT,
       "%s: %s %" PRIu64 " is not what it should be; restore the file from a backup", s->path, what,
       number);
  return false;
}

/* ---- runs ---- */

static bool run_from_row(sqlite3_stmt *q, RunRow *r) {
  *r = (RunRow){.number = (uint64_t)sqlite3_column_int64(q, 0),
                .entry = column_bytes(q, 3),
                .parent = (uint64_t)sqlite3_column_int64(q, 4),
                .status = (RunStatus)sqlite3_column_int(q, 5),
                .started_us = sqlite3_column_int64(q, 6),
                .ended_us = sqlite3_column_int64(q, 7),
                .wake_us = sqlite3_column_int64(q, 8),
                .last_gid = (uint64_t)sqlite3_column_int64(q, 9),
                .records = (uint64_t)sqlite3_column_int64(q, 10),
                .note = column_bytes(q, 11)};
  return r->number > 0 && r->status >= RUN_STATUS_RUNNING && r->status <= RUN_STATUS_KILLED &&
         column_fixed(q, 1, r->id.byte, sizeof r->id.byte) &&
         column_fixed(q, 2, r->bundle.byte, sizeof r->bundle.byte);
}

static bool run_get(SqliteStore *s, uint64_t number, int *found, RunRow *out, Buf *keep, Err *err) {
  sqlite3_stmt *q = read_begin(s, READ_RUN);
  bind_int(q, 1, number);
  int rc = sqlite3_step(q);
  bool sound = rc != SQLITE_ROW || run_from_row(q, out);
  *found = rc == SQLITE_ROW;
  if (rc == SQLITE_ROW && sound) run_row_keep(out, keep);
  if (!read_end(s, q, rc, "reading a run", err)) return false;
  if (!sound) return fail_corrupt(s, "the row of run number", number, err);
  if (*found) sqlite_tail(s, number, &out->last_gid);
  return true;
}

bool sqlite_run_get(Store *store, uint64_t number, RunRow *out, Buf *keep, Err *err) {
  int found;
  if (number > INT64_MAX) return fail_no_run(number, err);
  if (!run_get(sqlite_store(store), number, &found, out, keep, err)) return false;
  return found ? true : fail_no_run(number, err);
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

typedef struct RunPage {
  RunRow rows[PAGE_RUNS];
  uint32_t count;
  Buf texts; /* entry and note of each, one after the other */
} RunPage;

static bool page_read(SqliteStore *s, RunPage *page, uint64_t from, int status, Err *err) {
  ReadStatement which = status == 0                  ? READ_RUNS
                        : status == STORE_UNFINISHED ? READ_RUNS_OPEN
                                                     : READ_RUNS_STATUS;
  sqlite3_stmt *q = read_begin(s, which);
  int rc = SQLITE_DONE;
  bool sound = true;
  page->count = 0;
  buf_clear(&page->texts);
  bind_int(q, 1, from);
  if (which == READ_RUNS_STATUS) sqlite3_bind_int(q, 2, status);
  while (sound && page->count < PAGE_RUNS && (rc = sqlite3_step(q)) == SQLITE_ROW) {
    RunRow *r = &page->rows[page->count++];
    sound = run_from_row(q, r);
    buf_str(&page->texts, r->entry);
    buf_str(&page->texts, r->note);
  }
  if (!read_end(s, q, rc, "listing the runs", err)) return false;
  return sound || fail_corrupt(s, "the row of run number", page->rows[page->count - 1].number, err);
}

bool sqlite_run_each(Store *store, uint64_t from, int status, RunEach *each, void *context,
                     Err *err) {
  SqliteStore *s = sqlite_store(store);
  RunPage *page = MEM_NEW(RunPage);
  bool ok = true, more = from <= INT64_MAX;
  while (more && (ok = page_read(s, page, from, status, err))) {
    size_t at = 0;
    more = page->count == PAGE_RUNS;
    for (uint32_t i = 0; i < page->count; i++) {
      RunRow *r = &page->rows[i];
      r->entry.at = page->texts.at + at;
      r->note.at = r->entry.at + r->entry.size;
      at += r->entry.size + r->note.size;
      from = r->number + 1;
      sqlite_tail(s, r->number, &r->last_gid);
      if (!each(context, r)) {
        more = false;
        break;
      }
    }
  }
  buf_deinit(&page->texts);
  mem_free(page);
  return ok;
}

/* ---- a run's rows ---- */

typedef struct KeptRow {
  uint64_t gid, prev;
  Hash256 head;
  size_t offset, size; /* in History.bytes; size NOT_KEPT: to be fetched again */
} KeptRow;
#define NOT_KEPT SIZE_MAX

typedef struct History { /* newest first */
  KeptRow *rows;
  uint32_t count, cap;
  Buf bytes;
} History;

static bool history_add(SqliteStore *s, History *h, sqlite3_stmt *q, uint64_t gid, uint64_t run,
                        Err *err) {
  KeptRow row = {.gid = gid, .prev = (uint64_t)sqlite3_column_int64(q, 2), .offset = h->bytes.size};
  Str bytes = column_bytes(q, 4);
  if ((uint64_t)sqlite3_column_int64(q, 1) != run || row.prev >= gid || bytes.size == 0 ||
      !column_fixed(q, 3, row.head.byte, sizeof row.head.byte)) {
    return fail_corrupt(s, "row of the log", gid, err);
  }
  row.size = h->bytes.size + bytes.size > KEEP_BYTES && h->count > 0 ? NOT_KEPT : bytes.size;
  if (row.size != NOT_KEPT) buf_str(&h->bytes, bytes);
  h->rows = mem_grow(h->rows, &h->cap, h->count + 1, sizeof *h->rows);
  h->rows[h->count++] = row;
  return true;
}

/* One cursor down the table from `gid`, as long as the run's rows are near one another. */
static bool walk_near(SqliteStore *s, History *h, uint64_t run, uint64_t *gid, Err *err) {
  sqlite3_stmt *q = s->read[READ_ROWS_BACK];
  uint64_t want = *gid, newest = want;
  bool ok = true;
  int rc = SQLITE_DONE;
  bind_int(q, 1, want);
  while (ok && want != 0 && newest - want <= NEAR_ROWS && (rc = sqlite3_step(q)) == SQLITE_ROW) {
    uint64_t here = (uint64_t)sqlite3_column_int64(q, 0);
    if (here > want) continue;
    if (here < want) {
      ok = fail_corrupt(s, "a missing row of the log:", want, err);
      break;
    }
    ok = history_add(s, h, q, want, run, err);
    newest = want;
    if (ok) want = h->rows[h->count - 1].prev;
  }
  sqlite3_reset(q);
  if (ok && rc == SQLITE_DONE && want != 0 && newest - want <= NEAR_ROWS) {
    return fail_corrupt(s, "a missing row of the log:", want, err);
  }
  if (ok && rc != SQLITE_ROW && rc != SQLITE_DONE)
    return sqlite_failed(s->reader, rc, s->path, "reading the log", err);
  *gid = want;
  return ok;
}

static bool history_read(SqliteStore *s, History *h, uint64_t run, uint64_t last, Err *err) {
  bool ok = true;
  pthread_mutex_lock(&s->read_lock);
  while (ok && last != 0) ok = walk_near(s, h, run, &last, err);
  pthread_mutex_unlock(&s->read_lock);
  if (ok && h->bytes.full) ok = fail_corrupt(s, "the size of the log of run number", run, err);
  return ok;
}

static bool row_again(SqliteStore *s, const KeptRow *kept, Buf *bytes, Err *err) {
  sqlite3_stmt *q = read_begin(s, READ_ROW);
  bind_int(q, 1, kept->gid);
  int rc = sqlite3_step(q);
  buf_clear(bytes);
  if (rc == SQLITE_ROW) buf_str(bytes, column_bytes(q, 4));
  if (!read_end(s, q, rc, "reading the log", err)) return false;
  return rc == SQLITE_ROW || fail_corrupt(s, "a missing row of the log:", kept->gid, err);
}

static bool history_give(SqliteStore *s, const History *h, uint64_t run, LogEach *each,
                         void *context, Err *err) {
  Buf again = {0};
  bool ok = true;
  for (uint32_t i = h->count; ok && i-- > 0;) {
    const KeptRow *kept = &h->rows[i];
    LogRow row = {.gid = kept->gid, .prev = kept->prev, .run = run, .head = kept->head};
    if (kept->size == NOT_KEPT) {
      if (!(ok = row_again(s, kept, &again, err))) break;
      row.bytes = buf_view(&again);
    } else {
      row.bytes = (Str){h->bytes.at + kept->offset, kept->size};
    }
    if (!each(context, &row)) break;
  }
  buf_deinit(&again);
  return ok;
}

bool sqlite_log_last(Store *store, uint64_t run, LogRow *out, Buf *keep, Err *err) {
  SqliteStore *s = sqlite_store(store);
  RunRow row;
  if (!sqlite_run_get(store, run, &row, keep, err)) return false;
  buf_clear(keep);
  sqlite3_stmt *q = read_begin(s, READ_ROW);
  bind_int(q, 1, row.last_gid);
  int rc = sqlite3_step(q);
  bool found = rc == SQLITE_ROW, sound = false;
  *out = (LogRow){.gid = row.last_gid, .run = run};
  if (found) {
    out->prev = (uint64_t)sqlite3_column_int64(q, 2);
    sound = column_fixed(q, 3, out->head.byte, sizeof out->head.byte);
    buf_str(keep, column_bytes(q, 4));
  }
  out->bytes = buf_view(keep);
  if (!read_end(s, q, rc, "reading the log", err)) return false;
  if (!found) return FAIL(err, ERR_NOT_FOUND, "run number %" PRIu64 " has no records", run), false;
  return sound || fail_corrupt(s, "row of the log", row.last_gid, err);
}

bool sqlite_log_each(Store *store, uint64_t run, LogEach *each, void *context, Err *err) {
  SqliteStore *s = sqlite_store(store);
  RunRow row;
  Buf keep = {0};
  History h = {0};
  bool ok = sqlite_run_get(store, run, &row, &keep, err) &&
            history_read(s, &h, run, row.last_gid, err) &&
            history_give(s, &h, run, each, context, err);
  mem_free(h.rows);
  buf_deinit(&h.bytes);
  buf_deinit(&keep);
  return ok;
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
    out->seq = (uint64_t)sqlite3_column_int64(q, 0);
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

bool sqlite_meta_get(Store *store, const char *name, Buf *out, Err *err) {
  SqliteStore *s = sqlite_store(store);
  sqlite3_stmt *q = read_begin(s, READ_META);
  bool ok;
  sqlite3_bind_text(q, 1, name, -1, SQLITE_STATIC);
  int rc = get_bytes(s, q, out, &ok, err);
  return ok && (rc == SQLITE_ROW || fail_no_meta(name, err));
}
