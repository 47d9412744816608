/* Last rows: where the chain of each run and stream ends.
**
** The hot path only appends to the log, so the `last_gid` in the row of a run or stream is behind; `tails`
** knows better. It is brought up to date where that row is written anyway, and else in the background: when
** many rows are behind, each commit takes some of the numbers that are (in order, so that a page of the file is
** written once for all of its rows) along in its own transaction. When all of them were, meta's indexed_gid
** says so, and an opening reads the log from there on only.
**
** A tail takes 16 bytes, in chunks that exist only where a number was touched since the opening. */
#include "vm/store/sqlite_impl.h"
#include "vm/base/mem.h"

enum {
  FLUSH_ROWS = 1 << 17,   /* behind: an opening reads some twice that at most, in a tenth of a second or two */
  FLUSH_BYTES = 64 << 20,
  FLUSH_EARLY = 1 << 15,  /* rows behind that are worth it when they are of few: */
  FLUSH_SHARE = 16,       /* so many rows for each number */
  FLUSH_LEAST = 64,       /* numbers taken along by a small commit; a large one takes two a row */
  FLUSH_LOOK = 1 << 16    /* tails looked at by one commit */
};

/* ---- the table ---- */

static Tail *tail_find(const SqliteStore *s, uint64_t number) {
  uint64_t chunk = number / CHUNK_TAILS;
  return chunk < s->tail_chunks && s->tails[chunk] ? &s->tails[chunk][number % CHUNK_TAILS] : NULL;
}

static Tail *tail_make(SqliteStore *s, uint64_t number) {
  uint32_t chunk = (uint32_t)(number / CHUNK_TAILS);
  Tail *t = tail_find(s, number);
  if (t) return t;
  pthread_mutex_lock(&s->tail_lock);
  if (chunk >= s->tail_chunks) {
    s->tails = mem_grow(s->tails, &s->tail_cap, chunk + 1, sizeof *s->tails);
    s->tail_chunks = chunk + 1;
  }
  s->tails[chunk] = mem_alloc(CHUNK_TAILS * sizeof **s->tails);
  pthread_mutex_unlock(&s->tail_lock);
  return tail_find(s, number);
}

void tails_free(SqliteStore *s) {
  for (uint32_t i = 0; i < s->tail_chunks; i++) mem_free(s->tails[i]);
  mem_free(s->tails);
}

void sqlite_tail(SqliteStore *s, uint64_t number, uint64_t *last) {
  pthread_mutex_lock(&s->tail_lock);
  const Tail *t = tail_find(s, number);
  if (t && t->known) *last = t->last;
  pthread_mutex_unlock(&s->tail_lock);
}

static void set_dirty(SqliteStore *s, Tail *t, bool dirty) {
  if (t->dirty && !dirty) s->dirty_count--;
  if (!t->dirty && dirty) s->dirty_count++;
  t->dirty = dirty;
}

int tail_load(SqliteStore *s, uint64_t number, Tail **out) {
  Tail *t = tail_make(s, number);
  uint64_t last = 0;
  bool found;
  *out = t;
  if (t->known || number >= s->next_run) return SQLITE_OK; /* a new one has no rows before this group */
  bind_int(s->write[WRITE_GET_STREAM_LAST], 1, number);
  int rc = write_number(s, WRITE_GET_STREAM_LAST, &last, &found);
  uint8_t kind = TAIL_STREAM;
  if (rc == SQLITE_OK && !found) {
    kind = TAIL_RUN;
    bind_int(s->write[WRITE_GET_RUN_LAST], 1, number);
    rc = write_number(s, WRITE_GET_RUN_LAST, &last, NULL);
  }
  if (rc != SQLITE_OK) return rc;
  pthread_mutex_lock(&s->tail_lock);
  t->last = last;
  t->kind = kind;
  t->known = true;
  pthread_mutex_unlock(&s->tail_lock);
  return SQLITE_OK;
}

uint64_t tail_last(const Tail *t, const StoreGroup *g) {
  return t->group_row ? g->rows[t->group_row - 1].gid : t->last;
}

/* ---- after a group ---- */

/* New ones were written with their last row, and so were those whose row was. */
static void tails_written(SqliteStore *s, const StoreGroup *g) {
  for (uint32_t i = 0; i < g->created_count; i++) {
    Tail *t = tail_make(s, g->created[i].number);
    t->kind = TAIL_RUN;
    set_dirty(s, t, false);
  }
  for (uint32_t i = 0; i < g->stream_count; i++) {
    Tail *t = tail_make(s, g->streams[i].number);
    t->kind = TAIL_STREAM;
    set_dirty(s, t, false);
  }
  for (uint32_t i = 0; i < g->updated_count; i++) set_dirty(s, tail_find(s, g->updated[i].number), false);
  for (uint32_t i = 0; i < g->page_count; i++) set_dirty(s, tail_find(s, g->pages[i].stream), false);
}

void tails_commit(SqliteStore *s, const StoreGroup *g) {
  pthread_mutex_lock(&s->tail_lock);
  for (uint32_t i = 0; i < g->row_count; i++) {
    Tail *t = tail_find(s, g->rows[i].run);
    t->last = g->rows[i].gid;
    t->known = true;
    t->group_row = 0;
    set_dirty(s, t, true);
    s->behind_bytes += g->rows[i].bytes.size;
  }
  pthread_mutex_unlock(&s->tail_lock);
  tails_written(s, g);
}

void tails_refuse(SqliteStore *s, const StoreGroup *g) {
  for (uint32_t i = 0; i < g->row_count; i++) {
    Tail *t = tail_find(s, g->rows[i].run);
    if (t) t->group_row = 0;
  }
}

/* ---- bringing the file's rows up to date ---- */

static int write_last(SqliteStore *s, uint64_t number, Tail *t, uint64_t last) {
  int rc = SQLITE_OK;
  if (t->kind != TAIL_RUN) {
    bind_int(s->write[WRITE_SET_STREAM_LAST], 1, number);
    bind_int(s->write[WRITE_SET_STREAM_LAST], 2, last);
    rc = write_run(s, WRITE_SET_STREAM_LAST);
    if (rc != SQLITE_OK || t->kind == TAIL_STREAM) return rc;
    t->kind = sqlite3_changes(s->writer) > 0 ? TAIL_STREAM : TAIL_RUN; /* a row that only recovery has seen */
    if (t->kind == TAIL_STREAM) return rc;
  }
  bind_int(s->write[WRITE_SET_RUN_LAST], 1, number);
  bind_int(s->write[WRITE_SET_RUN_LAST], 2, last);
  return write_run(s, WRITE_SET_RUN_LAST);
}

static void flush_begin(SqliteStore *s) {
  s->flush.to = s->next_gid - 1;
  s->flush.at = 1;
  s->flush.bytes = s->behind_bytes;
  s->flush.run = s->next_run;
  s->flush.streams = s->streams;
}

/* All are told. How many streams there were up to which number goes with it, so that an opening counts the new ones. */
static int flush_end(SqliteStore *s) {
  int rc = write_number_setting(s, "indexed_gid", s->flush.to);
  if (rc == SQLITE_OK) rc = write_number_setting(s, "counted_number", s->flush.run - 1);
  if (rc == SQLITE_OK) rc = write_number_setting(s, "counted_streams", s->flush.streams);
  if (rc != SQLITE_OK) return rc;
  s->indexed_gid = s->flush.to;
  s->behind_bytes -= s->flush.bytes;
  s->flush.to = 0;
  return rc;
}

/* Up to `most` of them, from flush.at on. g: the group in whose transaction this is, or NULL. */
static int flush_part(SqliteStore *s, const StoreGroup *g, uint64_t most, uint64_t look) {
  int rc = SQLITE_OK;
  for (; rc == SQLITE_OK && s->flush.at < s->flush.run && most > 0 && look > 0; look--) {
    Tail *t = tail_find(s, s->flush.at);
    if (!t) {
      s->flush.at = (s->flush.at / CHUNK_TAILS + 1) * CHUNK_TAILS;
      continue;
    }
    if (t->dirty) {
      rc = write_last(s, s->flush.at, t, tail_last(t, g));
      set_dirty(s, t, false); /* a row of this very group makes it so again: tails_commit */
      most--;
    }
    s->flush.at++;
  }
  return rc == SQLITE_OK && s->flush.at >= s->flush.run ? flush_end(s) : rc;
}

static bool flush_due(const SqliteStore *s) {
  uint64_t behind = s->next_gid - 1 - s->indexed_gid;
  return behind >= s->flush.rows || s->behind_bytes >= FLUSH_BYTES ||
         (behind >= FLUSH_EARLY && (uint64_t)s->dirty_count * FLUSH_SHARE <= behind);
}

int tails_flush_some(SqliteStore *s, const StoreGroup *g) {
  if (s->flush.to == 0) {
    if (!flush_due(s)) return SQLITE_OK;
    flush_begin(s);
  }
  uint64_t most = g->row_count > FLUSH_LEAST / 2 ? 2 * (uint64_t)g->row_count : s->flush.least;
  return flush_part(s, g, most, FLUSH_LOOK);
}

int tails_flush_all(SqliteStore *s) {
  if (s->indexed_gid == s->next_gid - 1) return SQLITE_OK;
  flush_begin(s);
  int rc = write_run(s, WRITE_BEGIN);
  if (rc == SQLITE_OK) rc = flush_part(s, NULL, UINT64_MAX, UINT64_MAX);
  return rc == SQLITE_OK ? write_run(s, WRITE_COMMIT) : rc;
}

/* ---- recovery ---- */

static int recover_tails(SqliteStore *s) {
  sqlite3_stmt *q = s->write[WRITE_TAIL];
  bind_int(q, 1, s->indexed_gid);
  int rc;
  while ((rc = sqlite3_step(q)) == SQLITE_ROW) {
    uint64_t number = column_number(q, 1);
    if (number == 0 || number >= s->next_run) {
      rc = SQLITE_CORRUPT;
      break;
    }
    Tail *t = tail_make(s, number);
    t->last = column_number(q, 0);
    t->known = true;
    set_dirty(s, t, true);
    s->behind_bytes += column_number(q, 2);
  }
  int reset = sqlite3_reset(q);
  return rc == SQLITE_DONE ? SQLITE_OK : rc == SQLITE_CORRUPT ? rc : reset;
}

static int recover_counts(SqliteStore *s) {
  uint64_t number = 0, before = 0, since = 0;
  int rc = write_setting_get(s, "counted_number", &number);
  if (rc == SQLITE_OK) rc = write_setting_get(s, "counted_streams", &before);
  bind_int(s->write[WRITE_COUNT_STREAMS], 1, number);
  if (rc == SQLITE_OK) rc = write_number(s, WRITE_COUNT_STREAMS, &since, NULL);
  s->streams = before + since;
  return rc == SQLITE_OK && s->streams >= s->next_run ? SQLITE_CORRUPT : rc;
}

bool sqlite_recover(SqliteStore *s, Err *err) {
  uint64_t last_run = 0, last_gid = 0, last_job = 0, last_page = 0;
  int rc = write_number(s, WRITE_MAX_RUN, &last_run, NULL);
  if (rc == SQLITE_OK) rc = write_number(s, WRITE_MAX_GID, &last_gid, NULL);
  if (rc == SQLITE_OK) rc = write_number(s, WRITE_MAX_JOB, &last_job, NULL);
  if (rc == SQLITE_OK) rc = write_number(s, WRITE_MAX_PAGE, &last_page, NULL);
  if (rc == SQLITE_OK) rc = write_setting_get(s, "indexed_gid", &s->indexed_gid);
  if (rc == SQLITE_OK && (last_run > UINT32_MAX - 2 || s->indexed_gid > last_gid)) rc = SQLITE_CORRUPT;
  s->next_run = last_run + 1;
  s->next_gid = last_gid + 1;
  s->next_job = last_job + 1;
  s->next_page = last_page + 1;
  s->flush.rows = FLUSH_ROWS;
  s->flush.least = FLUSH_LEAST;
  if (rc == SQLITE_OK) rc = recover_counts(s);
  if (rc == SQLITE_OK) rc = recover_tails(s);
  if (rc == SQLITE_OK) rc = keys_recover(s);
  return rc == SQLITE_OK || sqlite_failed(s->writer, rc, s->path, "reading what is in it", err);
}
