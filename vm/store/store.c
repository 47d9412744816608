/* The interface's front: hands each call to the back end, and holds what both share. */
#include "vm/store/store_impl.h"
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

static bool known(uint64_t run, uint64_t limit, const char *what, Err *err) {
  if (run > 0 && run < limit) return true;
  FAIL(err, ERR_INVALID, "%s of run number %" PRIu64 ", and the next one to be made is %" PRIu64,
       what, run, limit);
  return false;
}

bool store_group_check(const StoreGroup *g, uint64_t next_run, Err *err) {
  for (uint32_t i = 0; i < g->created_count; i++) {
    if (g->created[i].number == next_run + i) continue;
    FAIL(err, ERR_INVALID, "run number %" PRIu64 " is not the next one", g->created[i].number);
    return false;
  }
  uint64_t limit = next_run + g->created_count;
  for (uint32_t i = 0; i < g->row_count; i++) {
    if (!known(g->rows[i].run, limit, "a row", err)) return false;
  }
  for (uint32_t i = 0; i < g->updated_count; i++) {
    if (!known(g->updated[i].number, limit, "an update", err)) return false;
  }
  for (uint32_t i = 0; i < g->image_count; i++) {
    if (!known(g->images[i].run, limit, "an image", err)) return false;
  }
  return true;
}

void run_row_keep(RunRow *row, Buf *keep) {
  buf_clear(keep);
  buf_str(keep, row->entry);
  buf_str(keep, row->note);
  row->entry.at = keep->at;
  row->note.at = keep->at + row->entry.size;
}

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

uint64_t store_next_run(Store *store) { return store->ops->next_run(store); }
bool store_commit(Store *store, StoreGroup *group, Err *err) {
  return store->ops->commit(store, group, err);
}
StoreStats store_stats(const Store *store) { return store->ops->stats(store); }

bool store_run_get(Store *store, uint64_t number, RunRow *out, Buf *keep, Err *err) {
  return store->ops->run_get(store, number, out, keep, err);
}

bool store_run_each(Store *store, uint64_t from, int status, RunEach *each, void *context,
                    Err *err) {
  return store->ops->run_each(store, from, status, each, context, err);
}

bool store_log_each(Store *store, uint64_t run, LogEach *each, void *context, Err *err) {
  return store->ops->log_each(store, run, each, context, err);
}

bool store_log_last(Store *store, uint64_t run, LogRow *out, Buf *keep, Err *err) {
  return store->ops->log_last(store, run, out, keep, err);
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
bool store_meta_get(Store *store, const char *name, Buf *out, Err *err) {
  return store->ops->meta_get(store, name, out, err);
}
bool store_meta_set(Store *store, const char *name, Str value, Err *err) {
  return store->ops->meta_set(store, name, value, err);
}
