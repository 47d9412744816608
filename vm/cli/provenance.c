/* Two walks over the log: the id's own row, then all rows of its correlation. */
#include "vm/cli/provenance.h"

#include <string.h>

#include "vm/base/arena.h"
#include "vm/base/cbor.h"
#include "vm/base/hash.h"
#include "vm/base/mem.h"
#include "vm/base/table.h"
#include "vm/journal/chain.h"
#include "vm/journal/record.h"

struct Provenance {
  Store *store;
  Arena arena;
  ProvenanceNode *nodes;
  uint32_t count, cap, start;
  Table *by_id; /* index + 1 */
  Err *err;
  bool ok;

  Str wanted; /* the beginning of an id, as text */
  uint8_t low[16], high[16];
  Uuid found, correlation;
  uint32_t matches;
};

static const Uuid no_uuid;
static bool uuid_is(Uuid a, Uuid b) { return memcmp(a.byte, b.byte, sizeof a.byte) == 0; }

/* ---- the first walk: what bears the id --------------------------------------------- */

static bool in_range(const Provenance *p, Uuid id) {
  return memcmp(id.byte, p->low, 16) >= 0 && memcmp(id.byte, p->high, 16) <= 0;
}

static void match(Provenance *p, Uuid id, Uuid correlation) {
  if (!in_range(p, id) || (p->matches > 0 && uuid_is(p->found, id))) return;
  p->matches++;
  p->found = id;
  p->correlation = uuid_is(correlation, no_uuid) ? id : correlation;
}

/* A NOTE that holds a UUID's bytes, or zero. */
static Uuid note_uuid(Str note) {
  CborReader r = cbor_reader(note);
  Str bytes;
  Err ignored;
  Uuid id = no_uuid;
  if (note.at != NULL && cbor_bytes(&r, &bytes, &ignored) && bytes.size == 16) memcpy(id.byte, bytes.at, 16);
  return id;
}

typedef void OnRecord(Provenance *p, const Record *record, const Record *accepted, uint64_t owner);

/* The records of one row that provenance knows of. */
static bool row_records(Provenance *p, const LogRow *row, OnRecord *each) {
  Str bytes = row->bytes, one;
  Record record, accepted = {0};
  bool broken = false;
  uint64_t number, seq;
  Err ignored;
  while (frame_next(&bytes, &one, &broken)) {
    if (!record_scan(one, &number, &seq)) return false;
    bool known = number == RECORD_HEAD || number == RECORD_ACCEPTED || number == RECORD_HAPPENED;
    if (!known || !record_decode(one, &record, &ignored)) continue;
    if (record.kind == RECORD_ACCEPTED) accepted = record;
    each(p, &record, &accepted, row->run);
  }
  return !broken;
}

static void first_record(Provenance *p, const Record *r, const Record *accepted, uint64_t owner) {
  (void)owner;
  if (r->kind == RECORD_HEAD) match(p, r->HEAD.run, note_uuid(r->HEAD.correlation));
  if (r->kind == RECORD_ACCEPTED) match(p, r->ACCEPTED.id, r->ACCEPTED.correlation);
  if (r->kind == RECORD_HAPPENED) match(p, r->HAPPENED.id, accepted->ACCEPTED.correlation);
}

/* The first four bytes of the id stand in the row, or it is not there. */
static bool first_row(void *context, const LogRow *row) {
  Provenance *p = context;
  if (row->bytes.size > 0 && memmem(row->bytes.at, row->bytes.size, p->low, 4) != NULL)
    row_records(p, row, first_record);
  return true;
}

static Uuid job_correlation(const JobRow *row, Uuid *cause) {
  CborReader r = cbor_reader(row->meta);
  uint64_t count;
  CborItem item;
  Str name, value;
  Err ignored;
  Uuid correlation = no_uuid;
  *cause = no_uuid;
  if (!cbor_next(&r, &item, &ignored) || item.kind != CBOR_TAG || !cbor_array(&r, &count, &ignored)) return correlation;
  for (; count >= 2; count -= 2) {
    if (!cbor_text(&r, &name, &ignored) || !cbor_skip(&r, &value, &ignored)) break;
    CborReader v = cbor_reader(value);
    Str text;
    Uuid id;
    if (!cbor_text(&v, &text, &ignored) || !uuid_parse(text, &id)) continue;
    if (str_equal(name, STR("correlation"))) correlation = id;
    if (str_equal(name, STR("causation"))) *cause = id;
  }
  return correlation;
}

static bool first_job(void *context, const JobRow *row) {
  Provenance *p = context;
  Uuid cause;
  if (in_range(p, row->id)) match(p, row->id, job_correlation(row, &cause));
  return true;
}

static bool range_read(Provenance *p, Str id, Err *err) {
  uint32_t digits = 0;
  memset(p->low, 0, 16);
  memset(p->high, 0xff, 16);
  for (size_t i = 0; i < id.size; i++) {
    int value = hex_value(id.at[i]);
    if (id.at[i] == '-') continue;
    if (value < 0 || digits == 32) {
      FAIL(err, ERR_INVALID, "an id has hex digits and dashes, and this is " STR_FMT, STR_ARG(id));
      return false;
    }
    uint32_t shift = digits % 2 == 0 ? 4 : 0;
    p->low[digits / 2] = (uint8_t)(p->low[digits / 2] | value << shift);
    p->high[digits / 2] = (uint8_t)((p->high[digits / 2] & (shift ? 0x0f : 0xf0)) | value << shift);
    digits++;
  }
  if (digits >= 8) return true;
  FAIL(err, ERR_INVALID, "give at least 8 characters of the id");
  return false;
}

static bool find(Provenance *p, Str id, Err *err) {
  if (!range_read(p, id, err) || !store_log_from(p->store, 0, first_row, p, err) ||
      !store_job_each(p->store, 1, 0, first_job, p, err))
    return false;
  if (p->matches == 1) return true;
  FAIL(err, p->matches == 0 ? ERR_NOT_FOUND : ERR_INVALID,
       p->matches == 0 ? "no event, command, job or run bears the id " STR_FMT
                       : "several ids begin with " STR_FMT ": give more of it",
       STR_ARG(id));
  return false;
}

/* ---- the second walk: all of its correlation ----------------------------------------- */

static Str id_key(const Uuid *id) { return (Str){(const char *)id->byte, 16}; }

static void add(Provenance *p, ProvenanceNode node) {
  uintptr_t known = (uintptr_t)table_get(p->by_id, id_key(&node.id));
  if (known != 0) { /* a job and the run that does it have one id: the run is the job's */
    if (node.kind == NODE_RUN || p->nodes[known - 1].kind == NODE_RUN) p->nodes[known - 1].kind = NODE_JOB;
    if (node.kind == NODE_JOB) p->nodes[known - 1].where = arena_str(&p->arena, node.where);
    return;
  }
  node.name = arena_str(&p->arena, node.name);
  node.where = arena_str(&p->arena, node.where);
  p->nodes = mem_grow(p->nodes, &p->cap, p->count + 1, sizeof *p->nodes);
  p->nodes[p->count++] = node;
  table_set(p->by_id, id_key(&node.id), (void *)(uintptr_t)p->count);
}

static Str stream_key(Provenance *p, uint64_t stream, Buf *keep) {
  StreamRow row;
  Err ignored;
  return store_stream_get(p->store, stream, &row, keep, &ignored) ? row.key : (Str){0};
}

static void run_add(Provenance *p, const Record *r, uint64_t number) {
  RunRow row = {0};
  Buf keep = {0};
  Err ignored;
  bool known = store_run_get(p->store, number, &row, &keep, &ignored);
  add(p, (ProvenanceNode){.kind = NODE_RUN,
                          .id = r->HEAD.run,
                          .cause = note_uuid(r->HEAD.causation),
                          .name = r->HEAD.entry.size > 0 ? r->HEAD.entry : STR("(script)"),
                          .where = known ? str_of(run_status_word(row.status)) : (Str){0},
                          .at_us = r->HEAD.at});
  buf_deinit(&keep);
}

static void all_record(Provenance *p, const Record *r, const Record *accepted, uint64_t owner) {
  Buf keep = {0};
  Uuid correlation = accepted->ACCEPTED.correlation;
  if (r->kind == RECORD_HEAD) {
    correlation = note_uuid(r->HEAD.correlation);
    if (uuid_is(correlation, no_uuid)) correlation = r->HEAD.run;
    if (uuid_is(correlation, p->correlation)) run_add(p, r, owner);
  } else if (accepted->kind == RECORD_ACCEPTED) {
    if (uuid_is(correlation, no_uuid)) correlation = accepted->ACCEPTED.id;
    bool event = r->kind == RECORD_HAPPENED;
    if (uuid_is(correlation, p->correlation))
      add(p, (ProvenanceNode){.kind = event ? NODE_EVENT : NODE_COMMAND,
                              .id = event ? r->HAPPENED.id : r->ACCEPTED.id,
                              .cause = event ? accepted->ACCEPTED.id : r->ACCEPTED.causation,
                              .name = event ? r->HAPPENED.type : r->ACCEPTED.type,
                              .where = stream_key(p, owner, &keep),
                              .at_us = accepted->ACCEPTED.at});
  }
  buf_deinit(&keep);
}

static bool all_row(void *context, const LogRow *row) {
  Provenance *p = context;
  bool there = row->bytes.size > 0 && memmem(row->bytes.at, row->bytes.size, p->correlation.byte, 16) != NULL;
  if (there) row_records(p, row, all_record);
  return true;
}

static bool all_job(void *context, const JobRow *row) {
  static const char *const states[] = {"", "available", "executing", "done", "cancelled", "dead"};
  Provenance *p = context;
  Uuid cause, correlation = job_correlation(row, &cause);
  bool own = uuid_is(row->id, p->correlation);
  if (own || uuid_is(correlation, p->correlation) || table_get(p->by_id, id_key(&row->id)) != NULL)
    add(p, (ProvenanceNode){.kind = NODE_JOB,
                            .id = row->id,
                            .cause = cause,
                            .name = row->worker,
                            .where = str_of(states[row->state]),
                            .at_us = row->enqueued_us});
  return true;
}

bool provenance_load(Store *store, Str id, Provenance **out, Err *err) {
  Provenance *p = MEM_NEW(Provenance);
  p->store = store;
  p->by_id = table_new();
  arena_init(&p->arena);
  bool ok = find(p, id, err) && store_log_from(store, 0, all_row, p, err) &&
            store_job_each(store, 1, 0, all_job, p, err);
  uintptr_t start = ok ? (uintptr_t)table_get(p->by_id, id_key(&p->found)) : 0;
  if (ok && start == 0) {
    FAIL(err, ERR_CORRUPT, "what bears the id " STR_FMT " cannot be read", STR_ARG(id));
    ok = false;
  }
  p->start = (uint32_t)start - 1;
  if (ok) *out = p;
  else provenance_free(p);
  return ok;
}

void provenance_free(Provenance *p) {
  if (p == NULL) return;
  table_free(p->by_id);
  arena_deinit(&p->arena);
  mem_free(p->nodes);
  mem_free(p);
}

uint32_t provenance_count(const Provenance *p) { return p->count; }
const ProvenanceNode *provenance_node(const Provenance *p, uint32_t i) { return &p->nodes[i]; }
uint32_t provenance_start(const Provenance *p) { return p->start; }

uint32_t provenance_cause(const Provenance *p, uint32_t i) {
  uintptr_t at = (uintptr_t)table_get(p->by_id, id_key(&p->nodes[i].cause));
  return at == 0 || at - 1 == i ? UINT32_MAX : (uint32_t)at - 1;
}
