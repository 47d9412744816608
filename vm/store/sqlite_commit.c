/* Writing: one group, one transaction, one sync.
**
** The hot path only appends to the log: the run's own row learns its last_gid when its
** status changes, before a checkpoint and at close. Until then `tails` knows it; after a
** crash sqlite_recover reads the log above meta's indexed_gid and knows it again.
**
** Any failure but a refused group kills the store: after a failed sync nobody can say
** what is on the disk, and SQLite's page cache may hold what is not. */
#include "vm/store/sqlite_impl.h"
#include "vm/base/mem.h"

enum {
  CHECKPOINT_RETRY = 1000, /* a reader held the WAL: try again this much later */
  TRUNCATE_PAGES =
      12000 /* readers kept it from starting over for long: insist on it once they are gone */
};

/* ---- death ---- */

static bool refuse_if_dead(const SqliteStore *s, Err *err) {
  if (s->dead.code == ERR_NONE) return true;
  *err = s->dead;
  err_context(err, "the store stopped accepting anything after an earlier failure");
  return false;
}

static bool die(SqliteStore *s, int rc, const char *doing, Err *err) {
  sqlite_failed(s->writer, rc, s->path, doing, err);
  if (err->code == ERR_INVALID || err->code == ERR_NOT_FOUND) err->code = ERR_IO;
  s->dead = *err;
  return false;
}

/* ---- statements ---- */

static int run_statement(sqlite3_stmt *stmt) {
  int rc = sqlite3_step(stmt);
  int reset = sqlite3_reset(stmt);
  return rc == SQLITE_DONE || rc == SQLITE_ROW ? SQLITE_OK : reset != SQLITE_OK ? reset : rc;
}

static int run_write(SqliteStore *s, WriteStatement which) {
  return run_statement(s->write[which]);
}

static int read_number(SqliteStore *s, WriteStatement which, uint64_t *out) {
  sqlite3_stmt *stmt = s->write[which];
  int rc = sqlite3_step(stmt);
  if (rc == SQLITE_ROW) *out = (uint64_t)sqlite3_column_int64(stmt, 0);
  int reset = sqlite3_reset(stmt);
  return rc == SQLITE_ROW || rc == SQLITE_DONE ? SQLITE_OK : reset;
}

/* ---- tails ---- */

static Tail *tail_of(SqliteStore *s, uint64_t run) {
  uint32_t i = (uint32_t)run;
  if (i >= s->tail_count) {
    pthread_mutex_lock(&s->tail_lock);
    s->tails = mem_grow(s->tails, &s->tail_cap, i + 1, sizeof *s->tails);
    s->tail_count = i + 1;
    pthread_mutex_unlock(&s->tail_lock);
  }
  return &s->tails[i];
}

void sqlite_tail(SqliteStore *s, uint64_t run, uint64_t *last) {
  pthread_mutex_lock(&s->tail_lock);
  if (run < s->tail_count && s->tails[run].known) *last = s->tails[run].last;
  pthread_mutex_unlock(&s->tail_lock);
}

static void tail_set(SqliteStore *s, uint64_t run, uint64_t last, bool dirty) {
  Tail *t = tail_of(s, run);
  pthread_mutex_lock(&s->tail_lock);
  t->last = last;
  t->known = true;
  pthread_mutex_unlock(&s->tail_lock);
  if (dirty && !t->dirty) {
    s->dirty = mem_grow(s->dirty, &s->dirty_cap, s->dirty_count + 1, sizeof *s->dirty);
    s->dirty[s->dirty_count++] = run;
  }
  t->dirty = dirty || t->dirty;
}

/* The run's last row before this group; for a run not seen since opening, from the file. */
static int tail_load(SqliteStore *s, uint64_t run, Tail **out) {
  Tail *t = tail_of(s, run);
  *out = t;
  if (t->known) return SQLITE_OK;
  uint64_t last = 0;
  bind_int(s->write[WRITE_GET_LAST], 1, run);
  int rc = read_number(s, WRITE_GET_LAST, &last);
  if (rc == SQLITE_OK) tail_set(s, run, last, false);
  return rc;
}

/* ---- parts of a group ---- */

static int add_run(SqliteStore *s, const RunRow *r) {
  sqlite3_stmt *q = s->write[WRITE_ADD_RUN];
  bind_int(q, 1, r->number);
  bind_bytes(q, 2, r->id.byte, sizeof r->id.byte);
  bind_bytes(q, 3, r->bundle.byte, sizeof r->bundle.byte);
  sqlite3_bind_text64(q, 4, r->entry.size ? r->entry.at : "", r->entry.size, SQLITE_STATIC,
                      SQLITE_UTF8);
  bind_int(q, 5, r->parent);
  bind_int(q, 6, r->status);
  sqlite3_bind_int64(q, 7, r->started_us);
  sqlite3_bind_int64(q, 8, r->ended_us);
  sqlite3_bind_int64(q, 9, r->wake_us);
  bind_int(q, 10, 0);
  bind_int(q, 11, r->records);
  sqlite3_bind_text64(q, 12, r->note.size ? r->note.at : "", r->note.size, SQLITE_STATIC,
                      SQLITE_UTF8);
  return run_statement(q);
}

static int add_row(SqliteStore *s, StoreGroup *g, uint32_t i) {
  LogRow *row = &g->rows[i];
  Tail *t;
  int rc = tail_load(s, row->run, &t);
  if (rc != SQLITE_OK) return rc;
  row->gid = s->next_gid + i;
  row->prev = t->group_row ? g->rows[t->group_row - 1].gid : t->last;
  t->group_row = i + 1;
  sqlite3_stmt *q = s->write[WRITE_ADD_ROW];
  bind_int(q, 1, row->gid);
  bind_int(q, 2, row->run);
  bind_int(q, 3, row->prev);
  bind_bytes(q, 4, row->head.byte, sizeof row->head.byte);
  bind_bytes(q, 5, row->bytes.at, row->bytes.size);
  return run_statement(q);
}

static int set_run(SqliteStore *s, StoreGroup *g, const RunRow *r) {
  Tail *t;
  int rc = tail_load(s, r->number, &t);
  if (rc != SQLITE_OK) return rc;
  sqlite3_stmt *q = s->write[WRITE_SET_RUN];
  bind_int(q, 1, r->number);
  bind_int(q, 2, r->status);
  sqlite3_bind_int64(q, 3, r->ended_us);
  sqlite3_bind_int64(q, 4, r->wake_us);
  bind_int(q, 5, r->records);
  sqlite3_bind_text64(q, 6, r->note.size ? r->note.at : "", r->note.size, SQLITE_STATIC,
                      SQLITE_UTF8);
  bind_int(q, 7, t->group_row ? g->rows[t->group_row - 1].gid : t->last);
  return run_statement(q);
}

static int set_image(SqliteStore *s, const ImageRow *image) {
  sqlite3_stmt *q = s->write[WRITE_SET_IMAGE];
  bind_int(q, 1, image->run);
  bind_int(q, 2, image->seq);
  bind_bytes(q, 3, image->head.byte, sizeof image->head.byte);
  bind_bytes(q, 4, image->bytes.at, image->bytes.size);
  return run_statement(q);
}

static int add_by_hash(SqliteStore *s, WriteStatement which, const Hash256 *id, Str bytes) {
  bind_bytes(s->write[which], 1, id->byte, sizeof id->byte);
  bind_bytes(s->write[which], 2, bytes.at, bytes.size);
  return run_write(s, which);
}

static int set_meta(SqliteStore *s, const char *name, Str value) {
  sqlite3_stmt *q = s->write[WRITE_SET_META];
  sqlite3_bind_text(q, 1, name, -1, SQLITE_STATIC);
  bind_bytes(q, 2, value.at, value.size);
  return run_statement(q);
}

/* Blobs and bundles first: nothing in the log may name what is not there. */
static int write_group(SqliteStore *s, StoreGroup *g) {
  int rc = SQLITE_OK;
  for (uint32_t i = 0; rc == SQLITE_OK && i < g->bundle_count; i++) {
    rc = add_by_hash(s, WRITE_ADD_BUNDLE, &g->bundle_ids[i], g->bundles[i]);
  }
  for (uint32_t i = 0; rc == SQLITE_OK && i < g->blob_count; i++) {
    rc = add_by_hash(s, WRITE_ADD_BLOB, &g->blob_ids[i], g->blobs[i]);
  }
  for (uint32_t i = 0; rc == SQLITE_OK && i < g->created_count; i++)
    rc = add_run(s, &g->created[i]);
  for (uint32_t i = 0; rc == SQLITE_OK && i < g->row_count; i++) rc = add_row(s, g, i);
  for (uint32_t i = 0; rc == SQLITE_OK && i < g->updated_count; i++)
    rc = set_run(s, g, &g->updated[i]);
  for (uint32_t i = 0; rc == SQLITE_OK && i < g->image_count; i++) rc = set_image(s, &g->images[i]);
  if (rc == SQLITE_OK && g->meta) rc = set_meta(s, g->meta, g->meta_value);
  return rc;
}

/* ---- the runs' rows and the WAL ---- */

static int set_indexed(SqliteStore *s, uint64_t gid) {
  char text[24];
  snprintf(text, sizeof text, "%" PRIu64, gid);
  return set_meta(s, "indexed_gid", str_of(text));
}

static int flush_tails(SqliteStore *s) {
  if (s->dirty_count == 0) return SQLITE_OK;
  int rc = run_write(s, WRITE_BEGIN);
  for (uint32_t i = 0; rc == SQLITE_OK && i < s->dirty_count; i++) {
    if (!s->tails[s->dirty[i]].dirty) continue; /* an update has told its row since */
    bind_int(s->write[WRITE_SET_LAST], 1, s->dirty[i]);
    bind_int(s->write[WRITE_SET_LAST], 2, s->tails[s->dirty[i]].last);
    rc = run_write(s, WRITE_SET_LAST);
  }
  if (rc == SQLITE_OK) rc = set_indexed(s, s->next_gid - 1);
  if (rc == SQLITE_OK) rc = run_write(s, WRITE_COMMIT);
  if (rc != SQLITE_OK) return rc;
  for (uint32_t i = 0; i < s->dirty_count; i++) s->tails[s->dirty[i]].dirty = false;
  s->dirty_count = 0;
  s->indexed_gid = s->next_gid - 1;
  return SQLITE_OK;
}

/* Many runs with few rows each: an update a run would cost more than reading the log again does. */
static bool flush_worthwhile(const SqliteStore *s) {
  uint64_t behind = s->next_gid - 1 - s->indexed_gid;
  return s->dirty_count * UINT64_C(8) <= behind || behind >= 1u << 18;
}

static int checkpoint(SqliteStore *s, int mode) {
  int pages = 0, moved = 0;
  sqlite3_busy_timeout(s->writer, 0); /* never wait for a reader here */
  int rc = sqlite3_wal_checkpoint_v2(s->writer, "main", mode, &pages, &moved);
  sqlite3_busy_timeout(s->writer, 5000);
  if ((rc & 0xff) == SQLITE_BUSY) rc = SQLITE_OK;
  s->checkpoint_at = pages == moved ? CHECKPOINT_PAGES : s->wal_pages + CHECKPOINT_RETRY;
  return rc;
}

static int checkpoint_if_due(SqliteStore *s) {
  if (s->wal_pages < s->checkpoint_at) return SQLITE_OK;
  int rc = flush_worthwhile(s) ? flush_tails(s) : SQLITE_OK;
  if (rc != SQLITE_OK) return rc;
  return checkpoint(
      s, s->wal_pages >= TRUNCATE_PAGES ? SQLITE_CHECKPOINT_TRUNCATE : SQLITE_CHECKPOINT_PASSIVE);
}

bool sqlite_settle(SqliteStore *s, Err *err) {
  if (s->dead.code != ERR_NONE) return refuse_if_dead(s, err);
  int rc = flush_tails(s);
  if (rc == SQLITE_OK) rc = checkpoint(s, SQLITE_CHECKPOINT_TRUNCATE);
  return rc == SQLITE_OK || die(s, rc, "closing it", err);
}

/* ---- commit ---- */

static void group_over(SqliteStore *s, const StoreGroup *g, bool committed) {
  for (uint32_t i = 0; i < g->row_count; i++) {
    Tail *t = g->rows[i].run < s->tail_count ? &s->tails[g->rows[i].run] : NULL;
    if (t) t->group_row = 0;
    if (committed) tail_set(s, g->rows[i].run, g->rows[i].gid, true);
  }
  for (uint32_t i = 0; committed && i < g->updated_count; i++)
    s->tails[g->updated[i].number].dirty = false;
}

static bool group_refused(SqliteStore *s, StoreGroup *g, int rc, Err *err) {
  group_over(s, g, false);
  if ((rc & 0xff) != SQLITE_CONSTRAINT) {
    die(s, rc, "storing a commit, which did not take place", err);
    run_write(s, WRITE_ROLLBACK); /* may fail as well: nothing is written after this */
    return false;
  }
  sqlite_failed(s->writer, rc, s->path, "a run of this id exists already", err);
  int undone = run_write(s, WRITE_ROLLBACK);
  return undone == SQLITE_OK ? false : die(s, undone, "undoing a refused commit", err);
}

bool sqlite_commit(Store *store, StoreGroup *g, Err *err) {
  SqliteStore *s = sqlite_store(store);
  if (!refuse_if_dead(s, err) || !store_group_check(g, s->next_run, err)) return false;
  s->wrote = true;
  int rc = run_write(s, WRITE_BEGIN);
  if (rc == SQLITE_OK) rc = write_group(s, g);
  if (rc == SQLITE_OK) rc = run_write(s, WRITE_COMMIT);
  if (rc != SQLITE_OK) return group_refused(s, g, rc, err);
  group_over(s, g, true);
  s->next_gid += g->row_count;
  s->next_run += g->created_count;
  __atomic_fetch_add(&s->commits, 1, __ATOMIC_RELAXED);
  __atomic_fetch_add(&s->rows, g->row_count, __ATOMIC_RELAXED);
  rc = checkpoint_if_due(s);
  Err later; /* this group is durable: the next one is refused */
  if (rc != SQLITE_OK) die(s, rc, "checkpointing", &later);
  return true;
}

bool sqlite_meta_set(Store *store, const char *name, Str value, Err *err) {
  SqliteStore *s = sqlite_store(store);
  if (!refuse_if_dead(s, err)) return false;
  s->wrote = true;
  int rc = set_meta(s, name, value);
  return rc == SQLITE_OK || die(s, rc, "storing a setting", err);
}

/* ---- recovery ---- */

static int recover_tails(SqliteStore *s) {
  sqlite3_stmt *q = s->write[WRITE_TAIL];
  bind_int(q, 1, s->indexed_gid);
  int rc;
  while ((rc = sqlite3_step(q)) == SQLITE_ROW) {
    uint64_t gid = (uint64_t)sqlite3_column_int64(q, 0), run = (uint64_t)sqlite3_column_int64(q, 1);
    if (run == 0 || run >= s->next_run) {
      rc = SQLITE_CORRUPT;
      break;
    }
    tail_set(s, run, gid, true);
  }
  int reset = sqlite3_reset(q);
  return rc == SQLITE_DONE ? SQLITE_OK : rc == SQLITE_CORRUPT ? rc : reset;
}

bool sqlite_recover(SqliteStore *s, Err *err) {
  uint64_t last_run = 0, last_gid = 0;
  int rc = read_number(s, WRITE_MAX_RUN, &last_run);
  if (rc == SQLITE_OK) rc = read_number(s, WRITE_MAX_GID, &last_gid);
  if (rc == SQLITE_OK) rc = read_number(s, WRITE_GET_INDEXED, &s->indexed_gid);
  if (rc == SQLITE_OK && (last_run > UINT32_MAX - 2 || s->indexed_gid > last_gid))
    rc = SQLITE_CORRUPT;
  s->next_run = last_run + 1;
  s->next_gid = last_gid + 1;
  if (rc == SQLITE_OK) rc = recover_tails(s);
  return rc == SQLITE_OK || sqlite_failed(s->writer, rc, s->path, "reading what is in it", err);
}
