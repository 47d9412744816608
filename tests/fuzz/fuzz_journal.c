/* Records and journals of nobody's making. The first byte chooses: one record, whose decoding
** must encode to the same bytes; or a log row, given a right or a wrong chain head, loaded and
** walked, agreeing or differing at some record. */
#include "lang/tables.h"
#include "vm/base/mem.h"
#include "vm/journal/chain.h"
#include "vm/journal/diverge.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const Hash256 key = {{4}};

static void one_record(Str bytes) {
  Record r;
  Err err;
  Buf again = {0}, json = {0};
  if (record_decode(bytes, &r, &err)) {
    record_encode(&r, &again);
    ASSERT(str_equal(buf_view(&again), bytes)); /* one form only */
    (void)!record_to_json(&r, &json, &err);
  }
  buf_deinit(&again);
  buf_deinit(&json);
}

static Hash256 head_after(Str rest) {
  Hash256 head = {{0}};
  Str record;
  bool broken;
  for (uint64_t seq = 0; frame_next(&rest, &record, &broken); seq++)
    head = chain_next(seq, &head, record);
  return head;
}

/* Walks as a run would that asks for just what is recorded; at record `differ` it asks for
 * something else. */
static void walk(Journal *j, uint64_t differ) {
  Record r, got;
  DivergeSpot spot;
  bool ok = true;
  while (ok && !journal_live(j)) {
    const Record *next = journal_peek(j);
    if (!next) break;
    r = *next;
    if (journal_position(j) == differ && r.kind == RECORD_ASKED)
      r.ASKED.operands = STR("\x81\x61\x62");
    if (journal_position(j) == differ && r.kind == RECORD_ENDED)
      r.ENDED.result = STR("\x82\x01\x02");
    if (record_info(r.kind)->record_class == RECORD_CLASS_EVENT) ok = journal_event(j, &got);
    else if (r.kind == RECORD_READ) ok = journal_read(j, &r, &got);
    else ok = journal_put(j, &r);
    if (!ok) ASSERT(journal_divergence(j)->kind != DIVERGE_NONE);
  }
  if (journal_divergence(j)->kind == DIVERGE_DAMAGED) ok = false;
  (void)diverge_spot(journal_divergence(j), &spot);
  diverge_spot_deinit(&spot);
  if (!ok || !journal_live(j)) return;
  r = (Record){.kind = RECORD_PATCH, .PATCH = {.id = STR("p"), .value = 1}};
  (void)!journal_put(j, &r);
}

static void one_row(Str bytes, bool right_head, bool same_code, uint64_t differ) {
  Store *store = store_open_memory();
  Journal *j = NULL;
  Err err;
  uint64_t count = 0;
  RunRow run = {.number = 1, .status = RUN_STATUS_RUNNING};
  LogRow row = {.run = 1, .bytes = bytes};
  if (right_head) row.head = head_after(bytes);
  StoreGroup g = {.created = &run, .created_count = 1, .rows = &row, .row_count = 1};
  bool stored = store_commit(store, &g, &err);
  ASSERT(stored);
  bool loaded = journal_load(store, 1, key, same_code, &j, &err);
  ASSERT(loaded || !journal_verify(store, 1, &count, &err)); /* verifying looks closer */
  if (loaded) {
    walk(j, differ);
    journal_free(j);
  }
  store_close(store);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (size == 0) return 0;
  Str rest = {(const char *)data + 1, size - 1};
  if (data[0] % 4 == 0) one_record(rest);
  else one_row(rest, data[0] % 4 != 1, data[0] & 8, data[0] >> 4);
  return 0;
}
