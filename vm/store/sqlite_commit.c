/* Writing: one group, one transaction, one sync.
**
** The hot path only appends to the log: sqlite_tails.c says how the rows of runs and streams learn of it.
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

int write_run(SqliteStore *s, WriteStatement which) { return run_statement(s->write[which]); }

int write_number(SqliteStore *s, WriteStatement which, uint64_t *out, bool *found) {
  sqlite3_stmt *stmt = s->write[which];
  int rc = sqlite3_step(stmt);
  if (rc == SQLITE_ROW) *out = column_number(stmt, 0);
  if (found) *found = rc == SQLITE_ROW;
  int reset = sqlite3_reset(stmt);
  return rc == SQLITE_ROW || rc == SQLITE_DONE ? SQLITE_OK : reset;
}

int write_meta(SqliteStore *s, const char *name, Str value) {
  sqlite3_stmt *q = s->write[WRITE_SET_META];
  sqlite3_bind_text(q, 1, name, -1, SQLITE_STATIC);
  bind_bytes(q, 2, value.at, value.size);
  return run_statement(q);
}

int write_number_setting(SqliteStore *s, const char *name, uint64_t number) {
  char text[24];
  snprintf(text, sizeof text, "%" PRIu64, number);
  return write_meta(s, name, str_of(text));
}

int write_setting_get(SqliteStore *s, const char *name, uint64_t *out) {
  sqlite3_bind_text(s->write[WRITE_GET_SETTING], 1, name, -1, SQLITE_STATIC);
  return write_number(s, WRITE_GET_SETTING, out, NULL);
}

/* A part of the group makes no sense with what is there: refusal says why. */
static int refused(SqliteStore *s) {
  ASSERT(s->refusal.code == ERR_INVALID);
  return SQLITE_CONSTRAINT;
}

/* ---- runs and their rows ---- */

static int add_run(SqliteStore *s, const StoreGroup *g, const RunRow *r) {
  Tail *t;
  int rc = tail_load(s, r->number, &t);
  if (rc != SQLITE_OK) return rc;
  sqlite3_stmt *q = s->write[WRITE_ADD_RUN];
  bind_int(q, 1, r->number);
  bind_bytes(q, 2, r->id.byte, sizeof r->id.byte);
  bind_bytes(q, 3, r->bundle.byte, sizeof r->bundle.byte);
  bind_text(q, 4, r->entry);
  bind_int(q, 5, r->parent);
  bind_int(q, 6, r->status);
  sqlite3_bind_int64(q, 7, r->started_us);
  sqlite3_bind_int64(q, 8, r->ended_us);
  sqlite3_bind_int64(q, 9, r->wake_us);
  bind_int(q, 10, tail_last(t, g));
  bind_int(q, 11, r->records);
  bind_text(q, 12, r->note);
  rc = run_statement(q);
  if ((rc & 0xff) == SQLITE_CONSTRAINT && !refuse_run_id(r->id, &s->refusal)) return refused(s);
  return rc;
}

static int add_row(SqliteStore *s, StoreGroup *g, uint32_t i) {
  LogRow *row = &g->rows[i];
  Tail *t;
  int rc = tail_load(s, row->run, &t);
  if (rc != SQLITE_OK) return rc;
  row->gid = s->next_gid + i;
  row->prev = tail_last(t, g);
  t->group_row = i + 1;
  sqlite3_stmt *q = s->write[WRITE_ADD_ROW];
  bind_int(q, 1, row->gid);
  bind_int(q, 2, row->run);
  bind_int(q, 3, row->prev);
  bind_bytes(q, 4, row->head.byte, sizeof row->head.byte);
  bind_bytes(q, 5, row->bytes.at, row->bytes.size);
  return run_statement(q);
}

static int set_run(SqliteStore *s, const StoreGroup *g, const RunRow *r) {
  Tail *t;
  int rc = tail_load(s, r->number, &t);
  if (rc != SQLITE_OK) return rc;
  sqlite3_stmt *q = s->write[WRITE_SET_RUN];
  bind_int(q, 1, r->number);
  bind_int(q, 2, r->status);
  sqlite3_bind_int64(q, 3, r->ended_us);
  sqlite3_bind_int64(q, 4, r->wake_us);
  bind_int(q, 5, r->records);
  bind_text(q, 6, r->note);
  bind_int(q, 7, tail_last(t, g));
  rc = run_statement(q);
  if (rc == SQLITE_OK && sqlite3_changes(s->writer) == 0 && !refuse_no_run(r->number, &s->refusal)) return refused(s);
  return rc;
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
  return write_run(s, which);
}

/* ---- streams ---- */

static int add_stream(SqliteStore *s, const StoreGroup *g, const StreamRow *r) {
  Tail *t;
  int rc = tail_load(s, r->number, &t);
  if (rc != SQLITE_OK) return rc;
  sqlite3_stmt *q = s->write[WRITE_ADD_STREAM];
  bind_int(q, 1, r->number);
  bind_bytes(q, 2, r->key.at, r->key.size);
  bind_int(q, 3, tail_last(t, g));
  rc = run_statement(q);
  if ((rc & 0xff) == SQLITE_CONSTRAINT && !refuse_key(r->key, &s->refusal)) return refused(s);
  return rc;
}

/* A page goes on where the one before ended, and ends with a row of its stream. */
static int page_place(SqliteStore *s, PageRow *page, bool *sound) {
  sqlite3_stmt *q = s->write[WRITE_PAGE_PLACE];
  bind_int(q, 1, page->stream);
  bind_int(q, 2, page->through);
  int rc = sqlite3_step(q);
  *sound = rc == SQLITE_ROW && column_number(q, 2) == page->stream && column_number(q, 1) < page->through;
  if (rc == SQLITE_ROW) page->prev = column_number(q, 0);
  int reset = sqlite3_reset(q);
  return rc == SQLITE_ROW || rc == SQLITE_DONE ? SQLITE_OK : reset;
}

static int add_page(SqliteStore *s, StoreGroup *g, uint32_t i) {
  PageRow *page = &g->pages[i];
  Tail *t;
  bool sound;
  int rc = tail_load(s, page->stream, &t);
  if (rc == SQLITE_OK) rc = page_place(s, page, &sound);
  if (rc != SQLITE_OK) return rc;
  if (!sound && !refuse_page(page->stream, page->through, &s->refusal)) return refused(s);
  page->id = s->next_page + i;
  sqlite3_stmt *q = s->write[WRITE_ADD_PAGE];
  bind_int(q, 1, page->id);
  bind_int(q, 2, page->stream);
  bind_int(q, 3, page->prev);
  bind_int(q, 4, page->through);
  bind_bytes(q, 5, page->bytes.at, page->bytes.size);
  rc = run_statement(q);
  if (rc != SQLITE_OK) return rc;
  bind_int(s->write[WRITE_SET_STREAM_PAGE], 1, page->stream);
  bind_int(s->write[WRITE_SET_STREAM_PAGE], 2, page->id);
  bind_int(s->write[WRITE_SET_STREAM_PAGE], 3, tail_last(t, g));
  return write_run(s, WRITE_SET_STREAM_PAGE);
}

/* ---- keys and values, jobs ---- */

static int set_kv(SqliteStore *s, const KvRow *kv) {
  if (keys_scattered(kv->space)) return SQLITE_OK; /* keys_write has done it */
  WriteStatement which = kv->value.at ? WRITE_SET_KV : WRITE_DROP_KV;
  bind_int(s->write[which], 1, kv->space);
  bind_bytes(s->write[which], 2, kv->key.at, kv->key.size);
  if (kv->value.at) bind_bytes(s->write[which], 3, kv->value.at, kv->value.size);
  return write_run(s, which);
}

static int add_job(SqliteStore *s, const JobRow *r) {
  sqlite3_stmt *q = s->write[WRITE_ADD_JOB];
  bind_int(q, 1, r->number);
  bind_bytes(q, 2, r->id.byte, sizeof r->id.byte);
  bind_text(q, 3, r->worker);
  bind_text(q, 4, r->queue);
  bind_int(q, 5, r->state);
  bind_int(q, 6, r->priority);
  sqlite3_bind_int64(q, 7, r->due_us);
  sqlite3_bind_int64(q, 8, r->enqueued_us);
  sqlite3_bind_int64(q, 9, r->ended_us);
  bind_int(q, 10, r->attempt);
  bind_int(q, 11, r->lease);
  bind_int(q, 12, r->run);
  bind_bytes(q, 13, r->input.at, r->input.size);
  bind_bytes(q, 14, r->meta.at, r->meta.size);
  bind_bytes(q, 15, r->unique.at, r->unique.size);
  bind_text(q, 16, r->note);
  int rc = run_statement(q);
  if ((rc & 0xff) == SQLITE_CONSTRAINT && !refuse_job_id(r->id, &s->refusal)) return refused(s);
  return rc;
}

static void bind_if_given(sqlite3_stmt *q, int at, Str bytes) {
  if (bytes.at != NULL) bind_bytes(q, at, bytes.at, bytes.size);
  else sqlite3_bind_null(q, at);
}

/* The lease is looked at by the very statement that changes the row. */
static int set_job(SqliteStore *s, const JobRow *r) {
  sqlite3_stmt *q = s->write[job_state_over(r->state) ? WRITE_END_JOB : WRITE_SET_JOB];
  bind_int(q, 1, r->number);
  bind_int(q, 2, r->state);
  bind_int(q, 3, r->priority);
  sqlite3_bind_int64(q, 4, r->due_us);
  sqlite3_bind_int64(q, 5, r->ended_us);
  bind_int(q, 6, r->attempt);
  bind_int(q, 7, r->lease);
  bind_int(q, 8, r->run);
  bind_bytes(q, 9, r->unique.at, r->unique.size);
  bind_text(q, 10, r->note);
  if (!job_state_over(r->state)) {
    bind_if_given(q, 11, r->input);
    bind_if_given(q, 12, r->meta);
  }
  int rc = run_statement(q);
  if (rc == SQLITE_OK && sqlite3_changes(s->writer) == 0 && !refuse_lease(r->number, r->lease, &s->refusal))
    return refused(s);
  return rc;
}

/* ---- a group ---- */

/* Rows before whose they are: a new run or stream is written once, knowing its last row. */
static int write_log(SqliteStore *s, StoreGroup *g) {
  int rc = SQLITE_OK;
  for (uint32_t i = 0; rc == SQLITE_OK && i < g->row_count; i++) rc = add_row(s, g, i);
  for (uint32_t i = 0; rc == SQLITE_OK && i < g->created_count; i++) rc = add_run(s, g, &g->created[i]);
  for (uint32_t i = 0; rc == SQLITE_OK && i < g->stream_count; i++) rc = add_stream(s, g, &g->streams[i]);
  for (uint32_t i = 0; rc == SQLITE_OK && i < g->updated_count; i++) rc = set_run(s, g, &g->updated[i]);
  for (uint32_t i = 0; rc == SQLITE_OK && i < g->page_count; i++) rc = add_page(s, g, i);
  return rc;
}

static int write_group(SqliteStore *s, StoreGroup *g) {
  int rc = SQLITE_OK;
  for (uint32_t i = 0; rc == SQLITE_OK && i < g->bundle_count; i++) {
    rc = add_by_hash(s, WRITE_ADD_BUNDLE, &g->bundle_ids[i], g->bundles[i]);
  }
  for (uint32_t i = 0; rc == SQLITE_OK && i < g->blob_count; i++) {
    rc = add_by_hash(s, WRITE_ADD_BLOB, &g->blob_ids[i], g->blobs[i]);
  }
  if (rc == SQLITE_OK) rc = write_log(s, g);
  for (uint32_t i = 0; rc == SQLITE_OK && i < g->image_count; i++) rc = set_image(s, &g->images[i]);
  if (rc == SQLITE_OK) rc = keys_write(s, g);
  for (uint32_t i = 0; rc == SQLITE_OK && i < g->kv_count; i++) rc = set_kv(s, &g->kv[i]);
  for (uint32_t i = 0; rc == SQLITE_OK && i < g->job_count; i++) rc = add_job(s, &g->jobs[i]);
  for (uint32_t i = 0; rc == SQLITE_OK && i < g->job_update_count; i++) rc = set_job(s, &g->job_updates[i]);
  if (rc == SQLITE_OK && g->meta) rc = write_meta(s, g->meta, g->meta_value);
  return rc;
}

/* ---- the WAL ---- */

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
  return checkpoint(
      s, s->wal_pages >= TRUNCATE_PAGES ? SQLITE_CHECKPOINT_TRUNCATE : SQLITE_CHECKPOINT_PASSIVE);
}

bool sqlite_settle(SqliteStore *s, Err *err) {
  if (s->dead.code != ERR_NONE) return refuse_if_dead(s, err);
  int rc = tails_flush_all(s);
  if (rc == SQLITE_OK) rc = keys_sweep_all(s);
  if (rc == SQLITE_OK) rc = checkpoint(s, SQLITE_CHECKPOINT_TRUNCATE);
  return rc == SQLITE_OK || die(s, rc, "closing it", err);
}

/* ---- commit ---- */

static bool group_refused(SqliteStore *s, StoreGroup *g, int rc, Err *err) {
  tails_refuse(s, g);
  if ((rc & 0xff) != SQLITE_CONSTRAINT || s->refusal.code == ERR_NONE) {
    die(s, rc, "storing a commit, which did not take place", err);
    write_run(s, WRITE_ROLLBACK); /* may fail as well: nothing is written after this */
    return false;
  }
  *err = s->refusal;
  int undone = write_run(s, WRITE_ROLLBACK);
  return undone == SQLITE_OK ? false : die(s, undone, "undoing a refused commit", err);
}

static void group_done(SqliteStore *s, const StoreGroup *g) {
  tails_commit(s, g);
  keys_commit(s);
  s->next_page += g->page_count;
  __atomic_fetch_add(&s->next_gid, g->row_count, __ATOMIC_RELEASE);
  __atomic_fetch_add(&s->next_run, (uint64_t)g->created_count + g->stream_count, __ATOMIC_RELEASE);
  __atomic_fetch_add(&s->next_job, g->job_count, __ATOMIC_RELEASE);
  __atomic_fetch_add(&s->streams, g->stream_count, __ATOMIC_RELEASE);
  __atomic_fetch_add(&s->commits, 1, __ATOMIC_RELAXED);
  __atomic_fetch_add(&s->rows, g->row_count, __ATOMIC_RELAXED);
}

bool sqlite_commit(Store *store, StoreGroup *g, Err *err) {
  SqliteStore *s = sqlite_store(store);
  StoreNext next = {.run = s->next_run, .job = s->next_job, .gid = s->next_gid};
  if (!refuse_if_dead(s, err) || !store_group_check(g, next, err)) return false;
  s->wrote = true;
  s->refusal.code = ERR_NONE;
  int rc = write_run(s, WRITE_BEGIN);
  if (rc == SQLITE_OK) rc = write_group(s, g);
  if (rc == SQLITE_OK) rc = tails_flush_some(s, g);
  if (rc == SQLITE_OK) rc = write_run(s, WRITE_COMMIT);
  if (rc != SQLITE_OK) return group_refused(s, g, rc, err);
  group_done(s, g);
  rc = checkpoint_if_due(s);
  Err later; /* this group is durable: the next one is refused */
  if (rc != SQLITE_OK) die(s, rc, "checkpointing", &later);
  return true;
}

bool sqlite_meta_set(Store *store, const char *name, Str value, Err *err) {
  SqliteStore *s = sqlite_store(store);
  if (!refuse_if_dead(s, err)) return false;
  s->wrote = true;
  int rc = write_meta(s, name, value);
  return rc == SQLITE_OK || die(s, rc, "storing a setting", err);
}
