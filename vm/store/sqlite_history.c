/* Reading the log: the history of one run or stream, or all of it in order.
**
** A history is chained backwards, so its rows are fetched from the last one on and given
** from the first one on. Who has the store to itself has its rows side by side:
** the walk then steps one cursor down the table, and looks rows up only across gaps. A stream's pages hold
** many rows in one; only the rows after its last page are walked.
**
** A long history is read a part at a time, so that neither other readers nor the WAL wait for its end: rows and
** pages never change, and what comes after is not asked for. */
#include "vm/store/sqlite_impl.h"
#include "vm/base/mem.h"

enum {
  NEAR_ROWS = 8,          /* a gap this small is stepped over */
  HOLD_ROWS = 256,        /* looked at under one lock */
  KEEP_BYTES = 256 << 20, /* of one history's rows in memory; older ones are fetched a second time */
  BATCH_ROWS = 256, BATCH_BYTES = 1 << 20, /* of log_from */
  BATCH_PAGES = 32, BATCH_PAGE_BYTES = 256 << 10
};

typedef struct KeptRow {
  uint64_t gid, prev;
  Hash256 head;
  size_t offset, size; /* in History.bytes; size NOT_KEPT: to be fetched again */
} KeptRow;
#define NOT_KEPT SIZE_MAX

typedef struct History { /* newest first */
  SqliteStore *store;
  uint64_t number;
  uint64_t floor; /* rows after this one only */
  KeptRow *rows;
  uint32_t count, cap;
  Buf bytes;
} History;

static void history_deinit(History *h) {
  mem_free(h->rows);
  buf_deinit(&h->bytes);
}

/* ---- the walk back ---- */

static bool history_add(History *h, sqlite3_stmt *q, uint64_t gid, Err *err) {
  KeptRow row = {.gid = gid, .prev = column_number(q, 2), .offset = h->bytes.size};
  Str bytes = column_bytes(q, 4);
  if (column_number(q, 1) != h->number || row.prev >= gid || bytes.size == 0 ||
      !column_fixed(q, 3, row.head.byte, sizeof row.head.byte)) {
    return fail_corrupt(h->store, "row of the log", gid, err);
  }
  row.size = h->bytes.size + bytes.size > KEEP_BYTES && h->count > 0 ? NOT_KEPT : bytes.size;
  if (row.size != NOT_KEPT) buf_str(&h->bytes, bytes);
  h->rows = mem_grow(h->rows, &h->cap, h->count + 1, sizeof *h->rows);
  h->rows[h->count++] = row;
  return true;
}

/* One cursor down the table from `gid`, as long as the rows are near one another. */
static bool walk_near(History *h, uint64_t *gid, uint32_t *left, Err *err) {
  SqliteStore *s = h->store;
  sqlite3_stmt *q = s->read[READ_ROWS_BACK];
  uint64_t want = *gid, newest = want;
  bool ok = true;
  int rc = SQLITE_DONE;
  bind_int(q, 1, want);
  while (ok && *left > 0 && want > h->floor && newest - want <= NEAR_ROWS && (rc = sqlite3_step(q)) == SQLITE_ROW) {
    uint64_t here = column_number(q, 0);
    if (here > want) continue;
    if (here < want) {
      ok = fail_corrupt(s, "a missing row of the log:", want, err);
      break;
    }
    ok = history_add(h, q, want, err);
    newest = want;
    (*left)--;
    if (ok) want = h->rows[h->count - 1].prev;
  }
  sqlite3_reset(q);
  if (!ok) return false;
  if (rc == SQLITE_DONE && *left > 0 && want > h->floor && newest - want <= NEAR_ROWS) {
    return fail_corrupt(s, "a missing row of the log:", want, err);
  }
  if (rc != SQLITE_ROW && rc != SQLITE_DONE) return sqlite_failed(s->reader, rc, s->path, "reading the log", err);
  *gid = want;
  return true;
}

/* Rows from `last` down to the floor. */
static bool history_read(History *h, uint64_t last, Err *err) {
  bool ok = true;
  while (ok && last > h->floor) {
    uint32_t left = HOLD_ROWS;
    if (!read_hold(h->store, err)) return false;
    while (ok && left > 0 && last > h->floor) ok = walk_near(h, &last, &left, err);
    read_release(h->store);
  }
  if (ok && h->bytes.full) ok = fail_corrupt(h->store, "the size of the log of number", h->number, err);
  return ok;
}

/* ---- giving them ---- */

static bool row_again(SqliteStore *s, const KeptRow *kept, Buf *bytes, Err *err) {
  sqlite3_stmt *q = read_begin(s, READ_ROW);
  bind_int(q, 1, kept->gid);
  int rc = sqlite3_step(q);
  buf_clear(bytes);
  if (rc == SQLITE_ROW) buf_str(bytes, column_bytes(q, 4));
  if (!read_end(s, q, rc, "reading the log", err)) return false;
  return rc == SQLITE_ROW || fail_corrupt(s, "a missing row of the log:", kept->gid, err);
}

/* *more: nobody said stop. */
static bool history_give(const History *h, LogEach *each, void *context, bool *more, Err *err) {
  Buf again = {0};
  bool ok = true;
  for (uint32_t i = h->count; ok && *more && i-- > 0;) {
    const KeptRow *kept = &h->rows[i];
    LogRow row = {.gid = kept->gid, .prev = kept->prev, .run = h->number, .head = kept->head};
    if (kept->size == NOT_KEPT) {
      if (!(ok = row_again(h->store, kept, &again, err))) break;
      row.bytes = buf_view(&again);
    } else {
      row.bytes = (Str){h->bytes.at + kept->offset, kept->size};
    }
    *more = each(context, &row);
  }
  buf_deinit(&again);
  return ok;
}

static bool rows_between(SqliteStore *s, uint64_t number, uint64_t floor, uint64_t last, LogEach *each, void *context,
                         bool *more, Err *err) {
  History h = {.store = s, .number = number, .floor = floor};
  bool ok = history_read(&h, last, err) && history_give(&h, each, context, more, err);
  history_deinit(&h);
  return ok;
}

/* ---- by number ---- */

/* The last row of a run or stream. */
static bool number_last(SqliteStore *s, uint64_t number, uint64_t *last, Err *err) {
  *last = UINT64_MAX;
  if (number > INT64_MAX) return fail_no_run(number, err);
  sqlite_tail(s, number, last);
  if (*last != UINT64_MAX) return true;
  sqlite3_stmt *q = read_begin(s, READ_LAST);
  bind_int(q, 1, number);
  int rc = sqlite3_step(q);
  if (rc == SQLITE_ROW) *last = column_number(q, 0);
  if (!read_end(s, q, rc, "reading a run", err)) return false;
  sqlite_tail(s, number, last); /* a row may have come meanwhile */
  return rc == SQLITE_ROW ? true : fail_no_run(number, err);
}

bool sqlite_log_each(Store *store, uint64_t run, LogEach *each, void *context, Err *err) {
  SqliteStore *s = sqlite_store(store);
  uint64_t last;
  bool more = true;
  return number_last(s, run, &last, err) && rows_between(s, run, 0, last, each, context, &more, err);
}

static bool row_get(SqliteStore *s, uint64_t gid, bool *found, LogRow *out, Buf *keep, Err *err) {
  sqlite3_stmt *q = read_begin(s, READ_ROW);
  bind_int(q, 1, gid);
  int rc = sqlite3_step(q);
  bool sound = false;
  *out = (LogRow){.gid = gid};
  *found = rc == SQLITE_ROW;
  buf_clear(keep);
  if (*found) {
    out->run = column_number(q, 1);
    out->prev = column_number(q, 2);
    sound = column_fixed(q, 3, out->head.byte, sizeof out->head.byte);
    buf_str(keep, column_bytes(q, 4));
  }
  out->bytes = buf_view(keep);
  if (!read_end(s, q, rc, "reading the log", err)) return false;
  return !*found || sound || fail_corrupt(s, "row of the log", gid, err);
}

bool sqlite_log_last(Store *store, uint64_t run, LogRow *out, Buf *keep, Err *err) {
  SqliteStore *s = sqlite_store(store);
  uint64_t last;
  bool found;
  if (!number_last(s, run, &last, err)) return false;
  if (last == 0) return fail_no_records(run, err);
  if (!row_get(s, last, &found, out, keep, err)) return false;
  return (found && out->run == run) || fail_corrupt(s, "row of the log", last, err);
}

bool sqlite_log_get(Store *store, uint64_t gid, LogRow *out, Buf *keep, Err *err) {
  bool found;
  if (gid > INT64_MAX) return fail_no_row(gid, err);
  return row_get(sqlite_store(store), gid, &found, out, keep, err) && (found || fail_no_row(gid, err));
}

/* ---- the whole log ---- */

typedef struct LogBatch {
  LogRow rows[BATCH_ROWS];
  uint32_t count;
  Buf bytes;
  bool over;
} LogBatch;

static bool log_batch(SqliteStore *s, uint64_t after, uint64_t through, LogBatch *b, Err *err) {
  sqlite3_stmt *q = read_begin(s, READ_ROWS_ON);
  int rc = SQLITE_DONE;
  bool sound = true;
  b->count = 0;
  b->over = true;
  buf_clear(&b->bytes);
  bind_int(q, 1, after);
  bind_int(q, 2, through);
  while (sound && (rc = sqlite3_step(q)) == SQLITE_ROW) {
    LogRow *r = &b->rows[b->count++];
    *r = (LogRow){.gid = column_number(q, 0), .run = column_number(q, 1), .prev = column_number(q, 2),
                  .bytes = column_bytes(q, 4)};
    sound = r->run > 0 && r->prev < r->gid && column_fixed(q, 3, r->head.byte, sizeof r->head.byte);
    buf_str(&b->bytes, r->bytes);
    b->over = b->count < BATCH_ROWS && b->bytes.size < BATCH_BYTES;
    if (!b->over) break;
  }
  if (!read_end(s, q, rc, "reading the log", err)) return false;
  return (sound && !b->bytes.full) || fail_corrupt(s, "row of the log", b->rows[b->count - 1].gid, err);
}

/* Up to the row that is the last one now: a log that is written to meanwhile has an end all the same. */
bool sqlite_log_from(Store *store, uint64_t after, LogEach *each, void *context, Err *err) {
  SqliteStore *s = sqlite_store(store);
  uint64_t through = __atomic_load_n(&s->next_gid, __ATOMIC_ACQUIRE) - 1;
  LogBatch *b = MEM_NEW(LogBatch);
  bool ok = true, more = after < through;
  while (more && (ok = log_batch(s, after, through, b, err))) {
    size_t at = 0;
    for (uint32_t i = 0; more && i < b->count; i++) {
      b->rows[i].bytes.at = b->bytes.at + at;
      at += b->rows[i].bytes.size;
      after = b->rows[i].gid;
      more = each(context, &b->rows[i]);
    }
    more = more && !b->over;
  }
  buf_deinit(&b->bytes);
  mem_free(b);
  return ok;
}

/* ---- a stream's pages ---- */

typedef struct PageRef {
  uint64_t id, through;
} PageRef;
typedef struct Pages { /* newest first */
  PageRef *refs;
  uint32_t count, cap;
  uint64_t before; /* gid of the last row before the first of them */
} Pages;

static bool page_link(SqliteStore *s, uint64_t stream, uint64_t id, uint64_t *prev, uint64_t *through, Err *err) {
  sqlite3_stmt *q = s->read[READ_PAGE_LINK];
  bind_int(q, 1, id);
  int rc = sqlite3_step(q);
  bool sound = rc == SQLITE_ROW && column_number(q, 0) == stream && column_number(q, 1) < id;
  if (sound) *prev = column_number(q, 1), *through = column_number(q, 2);
  sqlite3_reset(q);
  if (rc != SQLITE_ROW && rc != SQLITE_DONE) return sqlite_failed(s->reader, rc, s->path, "reading a page", err);
  return sound || fail_corrupt(s, "page", id, err);
}

/* The pages with rows after `after`, from the stream's last one back. */
static bool pages_find(SqliteStore *s, uint64_t stream, uint64_t id, uint64_t after, Pages *pages, Err *err) {
  bool ok = true;
  while (ok && id != 0) {
    if (!read_hold(s, err)) return false;
    for (uint32_t left = HOLD_ROWS; ok && id != 0 && left > 0; left--) {
      PageRef ref = {.id = id};
      ok = page_link(s, stream, id, &id, &ref.through, err);
      if (ok && ref.through <= after) {
        pages->before = ref.through;
        id = 0;
      } else if (ok) {
        pages->refs = mem_grow(pages->refs, &pages->cap, pages->count + 1, sizeof *pages->refs);
        pages->refs[pages->count++] = ref;
      }
    }
    read_release(s);
  }
  return ok;
}

/* Bytes of some pages, oldest first: how many in *count. sizes has room for BATCH_PAGES. */
static bool pages_fetch(SqliteStore *s, const Pages *pages, uint32_t from, Buf *bytes, size_t *sizes, uint32_t *count,
                        Err *err) {
  sqlite3_stmt *q = s->read[READ_PAGE_BYTES];
  bool ok = true;
  *count = 0;
  buf_clear(bytes);
  if (!read_hold(s, err)) return false;
  while (ok && *count < from && *count < BATCH_PAGES && bytes->size < BATCH_PAGE_BYTES) {
    const PageRef *ref = &pages->refs[from - 1 - *count];
    bind_int(q, 1, ref->id);
    int rc = sqlite3_step(q);
    Str page = rc == SQLITE_ROW ? column_bytes(q, 0) : (Str){0};
    buf_str(bytes, page);
    sizes[(*count)++] = page.size;
    sqlite3_reset(q);
    if (rc == SQLITE_DONE) ok = fail_corrupt(s, "page", ref->id, err);
    else if (rc != SQLITE_ROW) ok = sqlite_failed(s->reader, rc, s->path, "reading a page", err);
  }
  read_release(s);
  return ok && (!bytes->full || fail_corrupt(s, "page", pages->refs[from - *count].id, err));
}

static bool pages_give(SqliteStore *s, uint64_t stream, const Pages *pages, LogEach *each, void *context, bool *more,
                       Err *err) {
  Buf bytes = {0};
  size_t sizes[BATCH_PAGES];
  uint64_t prev = pages->before;
  bool ok = true;
  for (uint32_t from = pages->count, count; ok && *more && from > 0; from -= count) {
    size_t at = 0;
    ok = pages_fetch(s, pages, from, &bytes, sizes, &count, err);
    for (uint32_t i = 0; ok && *more && i < count; i++) {
      uint64_t through = pages->refs[from - 1 - i].through;
      LogRow row = {.gid = through, .prev = prev, .run = stream, .bytes = {bytes.at + at, sizes[i]}};
      at += sizes[i];
      prev = through;
      *more = each(context, &row);
    }
  }
  buf_deinit(&bytes);
  return ok;
}

/* A page does not say where one row ends: of one that begins before `after` the rows are walked one by one. */
static bool pages_read(SqliteStore *s, uint64_t stream, Pages *pages, uint64_t *after, LogEach *each, void *context,
                       bool *more, Err *err) {
  if (pages->count == 0) return true;
  uint64_t newest = pages->refs[0].through;
  if (pages->before < *after) {
    uint64_t through = pages->refs[pages->count - 1].through;
    pages->count--;
    pages->before = through;
    if (!rows_between(s, stream, *after, through, each, context, more, err)) return false;
  }
  *after = newest;
  return pages_give(s, stream, pages, each, context, more, err);
}

bool sqlite_stream_read(Store *store, uint64_t number, uint64_t after, LogEach *each, void *context, Err *err) {
  SqliteStore *s = sqlite_store(store);
  StreamRow row;
  Buf keep = {0};
  Pages pages = {0};
  bool more = true;
  bool ok = sqlite_stream_get(store, number, &row, &keep, err);
  if (ok && row.last_gid > after) {
    ok = pages_find(s, number, row.page, after, &pages, err) &&
         pages_read(s, number, &pages, &after, each, context, &more, err) &&
         (!more || rows_between(s, number, after, row.last_gid, each, context, &more, err));
  }
  mem_free(pages.refs);
  buf_deinit(&keep);
  return ok;
}
