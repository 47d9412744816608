/* Reading a run's history: rows come in order, their records are chained as they come,
** and each row's head must be the chain after it. Loading makes only an index: a record is
** decoded when it is walked, so what is replayed is decoded once. Verifying decodes all. */
#include "vm/base/mem.h"
#include "vm/journal/chain.h"
#include "vm/journal/journal_impl.h"

/* ---- rows to records ---- */

typedef struct Walk {
  uint64_t seq; /* of the next record */
  uint32_t generation;
  Hash256 head;
  Journal *journal; /* NULL: only verify */
  Err *err;
  bool ok;
} Walk;

static bool walk_fail(Walk *w, ErrCode code, const char *what) {
  FAIL(w->err, code, "record %" PRIu64 " %s", w->seq, what);
  return w->ok = false;
}

static void walk_index(Walk *w, Str record, uint8_t kind, uint8_t record_class) {
  Journal *j = w->journal;
  j->entries = mem_grow(j->entries, &j->entry_cap, j->count + 1, sizeof *j->entries);
  j->entries[j->count++] = (Entry){.offset = (uint32_t)(record.at - j->bytes.at),
                                 .size = (uint32_t)record.size,
                                 .kind = kind,
                                 .record_class = record_class};
}

static bool walk_patch(Walk *w, Str record) {
  Record r;
  Journal *j = w->journal;
  if (!record_decode(record, &r, w->err)) return w->ok = false;
  j->patches = mem_grow(j->patches, &j->patch_cap, j->patch_count + 1, sizeof *j->patches);
  j->patches[j->patch_count++] = (PatchEntry){
      .index = (uint32_t)w->seq, .generation = w->generation, .value = r.PATCH.value != 0};
  return true;
}

/* Into the index when loading; looked at in full when verifying. */
static bool walk_keep(Walk *w, Str record, const RecordInfo *info) {
  Record r;
  if (!w->journal) {
    if (record_decode(record, &r, w->err)) return true;
    err_context(w->err, "record %" PRIu64, w->seq);
    return w->ok = false;
  }
  walk_index(w, record, info->number, info->record_class);
  return info->number != RECORD_PATCH || walk_patch(w, record);
}

static bool walk_record(Walk *w, Str record) {
  uint64_t number, seq;
  if (!record_scan(record, &number, &seq)) return walk_fail(w, ERR_CORRUPT, "is not a record");
  if (seq != w->seq) return walk_fail(w, ERR_CORRUPT, "bears another number");
  const RecordInfo *info = record_info(number);
  if (!info)
    return walk_fail(w, ERR_VERSION, "is of a kind this z8 does not know; a newer one wrote it");
  bool head = number == RECORD_HEAD || (number == RECORD_STREAM && !w->journal); /* of a run; or of a stream */
  if (seq == 0 && !head) return walk_fail(w, ERR_CORRUPT, "is not the head record");
  w->head = chain_next(seq, &w->head, record);
  if (number == RECORD_HEAD && seq > 0) w->generation++;
  if (!walk_keep(w, record, info)) return false;
  w->seq++;
  return true;
}

static bool row_head_wrong(Walk *w, uint64_t first, const LogRow *row) {
  if (first + 1 == w->seq) {
    FAIL(w->err, ERR_CORRUPT,
         "record %" PRIu64 " is not the one that was written (the chain breaks in row %" PRIu64
         " of the log)",
         first, row->gid);
  } else {
    FAIL(w->err, ERR_CORRUPT,
         "one of the records %" PRIu64 " to %" PRIu64
         " is not the one that was written (the "
         "chain breaks in row %" PRIu64 " of the log)",
         first, w->seq - 1, row->gid);
  }
  return w->ok = false;
}

static bool walk_row_bytes(Walk *w, Str rest, const LogRow *row) {
  uint64_t first = w->seq;
  bool broken;
  Str record;
  while (frame_next(&rest, &record, &broken)) {
    if (!walk_record(w, record)) return false;
  }
  if (broken) return walk_fail(w, ERR_CORRUPT, "is cut off or not framed");
  if (w->seq == first) return walk_fail(w, ERR_CORRUPT, "is missing: its row is empty");
  if (memcmp(&w->head, &row->head, sizeof w->head) != 0) return row_head_wrong(w, first, row);
  return true;
}

/* ---- loading ---- */

static bool load_row(void *context, const LogRow *row) {
  Walk *w = context;
  Buf *bytes = &w->journal->bytes;
  size_t start = bytes->size;
  buf_str(bytes, row->bytes);
  if (bytes->full) {
    FAIL(w->err, ERR_LIMIT, "the run's history is longer than %zu bytes", BUF_MAX);
    return w->ok = false;
  }
  return walk_row_bytes(w, (Str){bytes->at + start, bytes->size - start}, row);
}

bool journal_load(Store *store, uint64_t run, Hash256 tenant_key, bool same_code, Journal **out,
                  Err *err) {
  Journal *j = journal_new(tenant_key);
  Walk w = {.journal = j, .err = err, .ok = true};
  j->store = store;
  j->same_code = same_code;
  bool ok = store_log_each(store, run, load_row, &w, err) && w.ok;
  if (ok && w.seq == 0) {
    FAIL(err, ERR_NOT_FOUND, "the run has no records");
    ok = false;
  }
  if (!ok) {
    journal_free(j);
    return false;
  }
  j->seq = w.seq;
  j->head = w.head;
  *out = j;
  return true;
}

static bool verify_row(void *context, const LogRow *row) {
  return walk_row_bytes(context, row->bytes, row);
}

bool journal_verify(Store *store, uint64_t run, uint64_t *records, Err *err) {
  Walk w = {.err = err, .ok = true};
  if (!store_log_each(store, run, verify_row, &w, err) || !w.ok) return false;
  *records = w.seq;
  return true;
}

bool journal_value(Store *store, Str value, Buf *keep, Str *out, Err *err) {
  Hash256 id;
  *out = value;
  if (!record_is_blob(value, &id)) return true;
  buf_clear(keep);
  if (!store_blob_get(store, id, keep, err)) return false;
  *out = buf_view(keep);
  return true;
}
