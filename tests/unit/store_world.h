/* For tests of the store: every back end, one group in a line, and the whole content of a store as text. */
#ifndef Z8_STORE_WORLD_H
#define Z8_STORE_WORLD_H

#include "tests/unit/test.h"
#include "tests/support/faulty_vfs.h"
#include "vm/base/hash.h"
#include "vm/store/store.h"

static FaultyVfs *vfs; /* a disk in memory for the SQLite back end */

static inline Store *open_sqlite(void) {
  Store *store = NULL;
  Err err = {0};
  bool ok = store_open_sqlite("s", "faulty", &store, &err);
  CHECK(ok);
  if (!ok) fprintf(stderr, "  %s\n", err.text);
  return store;
}

static inline Hash256 head_of(uint64_t n) { return sha256((Str){(const char *)&n, sizeof n}); }

static inline Uuid id_of(uint64_t n) {
  Uuid id = {{0x01, 0x92, 0xf3}};
  for (int i = 0; i < 8; i++) id.byte[15 - i] = (uint8_t)(n >> (8 * i));
  return id;
}

static inline RunRow run_of(uint64_t number, RunStatus status, int64_t wake_us) {
  return (RunRow){.number = number,
                  .id = id_of(number),
                  .entry = STR("Main"),
                  .bundle = head_of(1),
                  .status = status,
                  .started_us = 5,
                  .wake_us = wake_us,
                  .note = STR("note")};
}

static inline LogRow row_of(uint64_t number, Str bytes) {
  return (LogRow){.run = number, .bytes = bytes, .head = head_of(bytes.size)};
}

static inline JobRow job_of(uint64_t number, const char *queue, uint8_t priority, int64_t due_us) {
  return (JobRow){.number = number,
                  .id = id_of(1000000 + number),
                  .worker = STR("Mail"),
                  .queue = str_of(queue),
                  .state = JOB_AVAILABLE,
                  .priority = priority,
                  .due_us = due_us,
                  .enqueued_us = 3,
                  .input = STR("input"),
                  .meta = STR("meta"),
                  .unique = STR("u"),
                  .note = STR("")};
}

static inline bool commit_ok(Store *store, StoreGroup *g) {
  Err err = {0};
  bool ok = store_commit(store, g, &err);
  CHECK(ok);
  if (!ok) fprintf(stderr, "  %s\n", err.text);
  return ok;
}

/* Refused, with these words in its message. */
static inline bool refuses(Store *store, StoreGroup *g, const char *words) {
  Err err = {0};
  bool refused = !store_commit(store, g, &err) && err.code == ERR_INVALID && strstr(err.text, words);
  if (!refused) fprintf(stderr, "  code %d: %s\n", err.code, err.text);
  return refused;
}

static inline bool join(void *context, const LogRow *row) {
  buf_format(context, "%" PRIu64 ":" STR_FMT " ", row->gid, STR_ARG(row->bytes));
  return true;
}

static inline bool join_run(void *context, const RunRow *r) {
  buf_format(context, "%" PRIu64 " ", r->number);
  return true;
}

static inline void runs_are(Store *store, int status, const char *want) {
  Buf text = {0};
  Err err;
  CHECK(store_run_each(store, 1, status, join_run, &text, &err));
  CHECK_STR(buf_view(&text), str_of(want));
  buf_deinit(&text);
}

static inline void runs_due(Store *store, int64_t now, uint32_t limit, const char *want) {
  Buf text = {0};
  Err err;
  CHECK(store_run_due(store, now, limit, join_run, &text, &err));
  CHECK_STR(buf_view(&text), str_of(want));
  buf_deinit(&text);
}

/* ---- all there is, as text; the same for every back end ---- */

static inline void dump_bytes(Buf *out, Str s) {
  Hash256 h = sha256(s);
  buf_format(out, " %zu:%02x%02x%02x", s.size, h.byte[0], h.byte[1], h.byte[2]);
}

static inline bool dump_run(void *context, const RunRow *r) {
  buf_format(context, "run %" PRIu64 " %d last %" PRIu64 " wake %" PRId64 " ended %" PRId64 " records %" PRIu64,
             r->number, r->status, r->last_gid, r->wake_us, r->ended_us, r->records);
  dump_bytes(context, r->entry);
  dump_bytes(context, r->note);
  buf_byte(context, '\n');
  return true;
}

static inline bool dump_stream(void *context, const StreamRow *r) {
  buf_format(context, "stream %" PRIu64 " last %" PRIu64 " page %" PRIu64, r->number, r->last_gid, r->page);
  dump_bytes(context, r->key);
  buf_byte(context, '\n');
  return true;
}

static inline bool dump_row(void *context, const LogRow *r) {
  buf_format(context, "row %" PRIu64 " of %" PRIu64 " after %" PRIu64 " %02x", r->gid, r->run, r->prev,
             r->head.byte[0]);
  dump_bytes(context, r->bytes);
  buf_byte(context, '\n');
  return true;
}

static inline bool dump_kv(void *context, Str key, Str value) {
  buf_text(context, "kv");
  dump_bytes(context, key);
  dump_bytes(context, value);
  buf_byte(context, '\n');
  return true;
}

static inline bool dump_job(void *context, const JobRow *r) {
  buf_format(context,
             "job %" PRIu64 " %02x state %d priority %d due %" PRId64 " ended %" PRId64 " attempt %u lease %" PRIu64
             " run %" PRIu64,
             r->number, r->id.byte[15], r->state, r->priority, r->due_us, r->ended_us, r->attempt, r->lease, r->run);
  const Str texts[] = {r->worker, r->queue, r->input, r->meta, r->unique, r->note};
  for (size_t i = 0; i < COUNT_OF(texts); i++) dump_bytes(context, texts[i]);
  buf_byte(context, '\n');
  return true;
}

static inline bool dump_stream_rows(void *context, const StreamRow *r) {
  void **both = context;
  Err err;
  for (uint64_t after = 0; after < 40; after += 13) {
    buf_format(both[1], "read %" PRIu64 " after %" PRIu64 "\n", r->number, after);
    CHECK(store_stream_read(both[0], r->number, after, dump_row, both[1], &err));
  }
  return true;
}

static inline void dump_store(Store *store, Buf *out) {
  static const int statuses[] = {
      0, STORE_UNFINISHED, STORE_RESUMABLE, RUN_STATUS_DONE, RUN_STATUS_DEAD, RUN_STATUS_PARKED};
  Err err;
  int64_t when;
  void *both[] = {store, out};
  StoreCounts counts = store_counts(store);
  buf_clear(out);
  buf_format(
      out, "%" PRIu64 " runs %" PRIu64 " streams %" PRIu64 " jobs, next %" PRIu64 " %" PRIu64 ", gid %" PRIu64 "\n",
      counts.runs, counts.streams, counts.jobs, store_next_run(store), store_next_job(store), store_last_gid(store));
  for (size_t i = 0; i < COUNT_OF(statuses); i++) CHECK(store_run_each(store, 1, statuses[i], dump_run, out, &err));
  CHECK(store_run_due(store, 50, 1000, dump_run, out, &err) && store_run_next_wake(store, &when, &err));
  buf_format(out, "wake %" PRId64 "\n", when);
  CHECK(store_stream_each(store, STR(""), STR(""), dump_stream, out, &err));
  CHECK(store_stream_each(store, STR(""), STR(""), dump_stream_rows, both, &err));
  CHECK(store_log_from(store, 0, dump_row, out, &err));
  for (uint64_t n = 1; n < store_next_run(store); n++) CHECK(store_log_each(store, n, dump_row, out, &err));
  for (StoreSpace space = SPACE_SNAPSHOT; space <= SPACE_APP; space++)
    CHECK(store_kv_each(store, space, STR(""), STR(""), dump_kv, out, &err));
  for (uint8_t state = 0; state <= JOB_DEAD; state++) CHECK(store_job_each(store, 1, state, dump_job, out, &err));
  CHECK(store_job_due(store, STR("a"), 50, 1000, dump_job, out, &err));
  CHECK(store_job_next_due(store, STR("a"), 50, &when, &err));
  buf_format(out, "due %" PRId64 "\n", when);
}
#endif
