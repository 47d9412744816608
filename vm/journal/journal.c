/* The cursor over recorded history, and appending once it is used up.
**
** `next` counts what was taken. PATCH records stand where they were decided but are
** found by id, so the cursor looks past them (`ahead`), and they are taken wherever
** they stand. A record that agrees costs one encoding and one memcmp; only a difference
** decodes what is recorded. */
#include "vm/journal/journal_impl.h"
#include "lang/tables.h"
#include "vm/base/mem.h"
#include "vm/journal/chain.h"
#include "vm/journal/diverge.h"

enum { LOOK_AHEAD = 256 /* how far a question is looked for after a difference */ };

/* ---- life ---- */

Journal *journal_new(Hash256 tenant_key) {
  Journal *j = MEM_NEW(Journal);
  j->tenant_key = tenant_key;
  j->same_code = true;
  j->given_index = NO_ENTRY;
  return j;
}

Journal *journal_resume(Hash256 tenant_key, uint64_t seq, Hash256 head) {
  Journal *j = journal_new(tenant_key);
  j->seq = seq;
  j->head = head;
  return j;
}

static void unsaved_deinit(Unsaved *u) {
  buf_deinit(&u->row);
  buf_deinit(&u->blobs);
  mem_free(u->ids);
  mem_free(u->ends);
}

static void divergence_clear(Divergence *d) {
  buf_deinit(&d->recorded);
  buf_deinit(&d->current);
  buf_deinit(&d->agreed);
}

void journal_free(Journal *j) {
  if (!j) return;
  buf_deinit(&j->bytes);
  mem_free(j->entries);
  mem_free(j->patches);
  for (uint32_t i = 0; i < REFS_MAX; i++) buf_deinit(&j->fetched[i]);
  buf_deinit(&j->scratch);
  unsaved_deinit(&j->put);
  unsaved_deinit(&j->taken);
  divergence_clear(&j->divergence);
  mem_free(j);
}

/* ---- where it stands ---- */

/* The next entry that is met by position. */
static inline uint32_t ahead(const Journal *j) {
  uint32_t i = j->next;
  while (i < j->count && j->entries[i].kind == RECORD_PATCH) i++;
  return i;
}

bool journal_live(const Journal *j) { return ahead(j) == j->count; }

uint64_t journal_seq(const Journal *j) {
  uint32_t i = ahead(j);
  return i < j->count ? i : j->seq;
}

/* In the middle of history it is made again: nobody asks there but to look into something. */
Hash256 journal_head(const Journal *j) {
  Hash256 head = {{0}};
  if (j->next == j->count) return j->head;
  for (uint32_t i = 0; i < j->next; i++) head = chain_next(i, &head, entry_bytes(j, i));
  return head;
}

uint64_t journal_position(const Journal *j) { return j->next < j->count ? j->next : j->seq; }
void journal_read_only(Journal *j) { j->read_only = true; }
const Divergence *journal_divergence(const Journal *j) { return &j->divergence; }
uint64_t journal_notes(const Journal *j) { return j->notes; }

static void take(Journal *j, uint32_t index) {
  if (j->entries[index].kind == RECORD_HEAD && index > 0) j->generation++;
  j->next = index + 1;
}

/* ---- giving recorded records ---- */

static bool blob_put_back(Journal *j, Str *value, Buf *keep, Err *err) {
  if (!record_is_blob(*value, NULL)) return true;
  if (!j->store) {
    FAIL(err, ERR_NOT_FOUND, "a blob is named, and there is no store to read it from");
    return false;
  }
  return journal_value(j->store, *value, keep, value, err);
}

static bool blobs_put_back(Journal *j, Record *r, Err *err) {
  const RecordInfo *info = record_info(r->kind);
  uint32_t used = 0;
  for (uint32_t i = 0; i < info->field_count; i++) {
    const RecordField *field = &info->fields[i];
    if (field->type != FIELD_VALUE && field->type != FIELD_VALUES && field->type != FIELD_NOTE)
      continue;
    Str *value = (Str *)(void *)((char *)r + field->offset);
    if (value->size == RECORD_BLOB_REF && !blob_put_back(j, value, &j->fetched[used++], err))
      return false;
  }
  return true;
}

static void damaged(Journal *j, uint32_t index, const Err *err) {
  if (j->divergence.kind != DIVERGE_NONE) return;
  j->divergence.kind = DIVERGE_DAMAGED;
  j->divergence.seq = index;
  j->divergence.damage = *err;
  buf_str(&j->divergence.recorded, entry_bytes(j, index));
  if (index > 0) buf_str(&j->divergence.agreed, entry_bytes(j, index - 1));
}

/* Entry `index` decoded; kept until another one is asked for. NULL: it is damaged. */
static const Record *give(Journal *j, uint32_t index) {
  Err err;
  if (j->given_index == index) return &j->given;
  j->given_index = NO_ENTRY;
  if (!record_decode(entry_bytes(j, index), &j->given, &err) ||
      !blobs_put_back(j, &j->given, &err)) {
    damaged(j, index, &err);
    return NULL;
  }
  j->given_index = index;
  return &j->given;
}

const Record *journal_peek(Journal *j) {
  uint32_t i = ahead(j);
  return i < j->count ? give(j, i) : NULL;
}

uint64_t journal_peek_asked(const Journal *j) {
  uint32_t i = ahead(j);
  uint64_t items, number, seq, kind;
  Err ignored;
  if (i == j->count || j->entries[i].kind != RECORD_ASKED) return 0;
  CborReader r = cbor_reader(entry_bytes(j, i));
  bool ok = cbor_array(&r, &items, &ignored) && cbor_uint(&r, &number, &ignored) &&
            cbor_uint(&r, &seq, &ignored) && cbor_uint(&r, &kind, &ignored); /* ASKED's first field */
  return ok ? kind : 0;
}

/* Where a command or a state says when it was: its last field. */
static int64_t *last_at(Record *r) {
  switch (r->kind) {
    case RECORD_ASKED:
      return &r->ASKED.at;
    case RECORD_TOOL_ATTEMPT:
      return &r->TOOL_ATTEMPT.at;
    case RECORD_ENDED:
      return &r->ENDED.at;
    case RECORD_CONTINUED:
      return &r->CONTINUED.at;
    case RECORD_RETRIED:
      return &r->RETRIED.at;
    case RECORD_EXHAUSTED:
      return &r->EXHAUSTED.at;
    case RECORD_HEAD:
    case RECORD_TOOL_DONE:
    case RECORD_TOOL_UNKNOWN:
    case RECORD_CANCELLED:
    case RECORD_PATCH:
    case RECORD_READ:
    case RECORD_RECALLED:
    case RECORD_ANSWERED:
    case RECORD_SIGNALLED:
    case RECORD_CANCEL_ASKED:
    case RECORD_RESOLVED:
    case RECORD_DISCARDED:
    case RECORD_KILLED:
    case RECORD_REVIVED:
    case RECORD_PARKED:
    case RECORD_STREAM: /* of streams, which are folded and never walked */
    case RECORD_ACCEPTED:
    case RECORD_HAPPENED:
      return NULL;
  }
  UNREACHABLE();
}

bool journal_event(Journal *j, Record *out) {
  uint32_t i = ahead(j);
  if (i == j->count || j->entries[i].record_class != RECORD_CLASS_EVENT) return false;
  if (j->divergence.kind != DIVERGE_NONE || !give(j, i)) return false;
  *out = j->given;
  take(j, i);
  return true;
}

/* ---- encoding with blobs cut out ---- */

static void unsaved_blob(Unsaved *u, Hash256 id, Str bytes) {
  for (uint32_t i = 0; i < u->blob_count; i++) {
    if (memcmp(&u->ids[i], &id, sizeof id) == 0) return;
  }
  u->ids = mem_grow(u->ids, &u->id_cap, u->blob_count + 1, sizeof *u->ids);
  u->ends = mem_grow(u->ends, &u->end_cap, u->blob_count + 1, sizeof *u->ends);
  buf_str(&u->blobs, bytes);
  u->ids[u->blob_count] = id;
  u->ends[u->blob_count++] = u->blobs.size;
}

static void blobs_cut(Journal *j, Record *r, bool keep) {
  const RecordInfo *info = record_info(r->kind);
  Str key = {(const char *)j->tenant_key.byte, sizeof j->tenant_key.byte};
  uint32_t used = 0;
  for (uint32_t i = 0; i < info->field_count; i++) {
    const RecordField *field = &info->fields[i];
    if (field->type != FIELD_VALUE && field->type != FIELD_VALUES && field->type != FIELD_NOTE)
      continue;
    Str *value = (Str *)(void *)((char *)r + field->offset);
    if (value->size < LIMIT_BLOB_BYTES) continue;
    Hash256 id = hmac_sha256(key, *value);
    if (keep) unsaved_blob(&j->put, id, *value);
    record_blob_ref(id, j->refs[used]);
    *value = (Str){j->refs[used++], RECORD_BLOB_REF};
  }
}

/* The record as it stands in the chain, with CHAIN_ROOM before it. keep: its blobs are to be saved.
 */
static Str encode(Journal *j, const Record *record, bool keep) {
  Record cut;
  Buf *b = &j->scratch;
  buf_clear(b);
  size_t bound = record_bound(record);
  if (UNLIKELY(bound >= LIMIT_BLOB_BYTES)) {
    cut = *record;
    blobs_cut(j, &cut, keep);
    record = &cut;
  }
  if (buf_room(b, CHAIN_ROOM + bound)) {
    b->size = CHAIN_ROOM;
    record_encode(record, b);
  }
  ASSERT(!b->full); /* texts of a record are bounded by LIMIT_VALUE_BYTES, values are cut */
  return (Str){b->at + CHAIN_ROOM, b->size - CHAIN_ROOM};
}

/* ---- divergence ---- */

static DivergeLater look_ahead(Journal *j, const Record *current, uint32_t from) {
  Record later;
  Err ignored;
  DivergeLater found = LATER_AFTER_EVENTS;
  uint32_t end = j->count - from > LOOK_AHEAD ? from + LOOK_AHEAD : j->count;
  Str bytes = encode(j, current, false);
  Record cut; /* the current one as history would hold it */
  if (!record_decode(bytes, &cut, &ignored)) return LATER_NOT;
  for (uint32_t i = from; i < end; i++) {
    uint8_t record_class = j->entries[i].record_class;
    if (record_class != RECORD_CLASS_COMMAND && record_class != RECORD_CLASS_FUSED) continue;
    if (record_decode(entry_bytes(j, i), &later, &ignored) && diverge_same_question(&later, &cut))
      return found;
    if (j->entries[i].kind != RECORD_PATCH) found = LATER_AFTER_COMMANDS;
  }
  return LATER_NOT;
}

/* kind NONE: find out which. index: of the recorded record, j->count if none. */
static bool diverge(Journal *j, DivergeKind kind, uint32_t index, const Record *current) {
  Divergence *d = &j->divergence;
  if (d->kind != DIVERGE_NONE) return false;
  const Record *recorded = index < j->count ? give(j, index) : NULL;
  if (d->kind != DIVERGE_NONE) return false; /* it is damaged */
  if (kind == DIVERGE_NONE) {
    DivergeLater later = current && recorded ? look_ahead(j, current, index) : LATER_NOT;
    kind = diverge_classify(recorded, current, j->same_code, later);
  }
  d->kind = kind;
  d->seq = index < j->count ? index : j->seq;
  if (recorded) record_encode(recorded, &d->recorded);
  if (current) record_encode(current, &d->current);
  if (j->next > 0 && j->next <= j->count) buf_str(&d->agreed, entry_bytes(j, j->next - 1));
  return false;
}

void journal_diverge(Journal *j, DivergeKind kind, const Record *current) {
  if (kind != DIVERGE_NONE) diverge(j, kind, ahead(j), current);
}

/* ---- putting ---- */

static bool put_live(Journal *j, Record *record) {
  if (j->read_only) return false;
  record->seq = j->seq;
  Str bytes = encode(j, record, true);
  j->head = chain_next_in_place(j->seq, &j->head, j->scratch.at + CHAIN_ROOM, bytes.size);
  frame_put(&j->put.row, bytes);
  ASSERT(!j->put.row.full); /* the caller takes long before */
  j->seq++;
  j->next = j->count;
  return true;
}

/* Bytes of an encoded integer. */
static size_t int_size(int64_t n) {
  uint64_t least = n < 0 ? ~(uint64_t)n : (uint64_t)n;
  return least < 24 ? 1 : least <= UINT8_MAX ? 2 : least <= UINT16_MAX ? 3 : least <= UINT32_MAX ? 5 : 9;
}

/* Same bytes but for the time at the end: that is taken over. */
static bool agrees_but_time(Record *record, Str current, Str recorded) {
  int64_t *at = last_at(record), was;
  if (!at) return false;
  size_t same = current.size - int_size(*at);
  if (recorded.size <= same || memcmp(current.at, recorded.at, same) != 0) return false;
  if (!record_tail_int((Str){recorded.at + same, recorded.size - same}, &was)) return false;
  *at = was;
  return true;
}

/* Other code may ask at another site, and is otherwise the same. */
static bool agrees_but_site(Journal *j, Record *record, uint32_t index) {
  Record moved = *record, was;
  Err ignored;
  if (j->same_code || !record_decode(entry_bytes(j, index), &was, &ignored) ||
      was.kind != record->kind)
    return false;
  if (record->kind == RECORD_ASKED) {
    moved.ASKED.site = was.ASKED.site;
    moved.ASKED.at = was.ASKED.at;
  } else if (record->kind == RECORD_READ) {
    moved.READ.site = was.READ.site;
  } else if (record->kind == RECORD_RECALLED) {
    moved.RECALLED.site = was.RECALLED.site;
  } else {
    return false;
  }
  if (!str_equal(encode(j, &moved, false), entry_bytes(j, index))) return false;
  if (record->kind == RECORD_ASKED) record->ASKED.at = was.ASKED.at;
  j->notes++;
  return true;
}

static bool put_history(Journal *j, Record *record, uint32_t index) {
  record->seq = index;
  Str current = encode(j, record, false), recorded = entry_bytes(j, index);
  if (str_equal(current, recorded) || agrees_but_time(record, current, recorded) ||
      agrees_but_site(j, record, index)) {
    take(j, index);
    return true;
  }
  const Record *was = give(j, index);
  if (was && was->kind == record->kind && last_at(record)) *last_at(record) = *last_at(&j->given);
  return diverge(j, DIVERGE_NONE, index, record);
}

/* ---- patches ---- */

static bool patch_record(const Journal *j, const PatchEntry *p, Record *out) {
  Err ignored;
  return record_decode(entry_bytes(j, p->index), out, &ignored) && out->kind == RECORD_PATCH;
}

static PatchEntry *patch_find(const Journal *j, Str id) {
  Record r;
  for (uint32_t i = 0; i < j->patch_count; i++) {
    PatchEntry *p = &j->patches[i];
    if (p->consumed || p->generation != j->generation) continue;
    if (patch_record(j, p, &r) && str_equal(r.PATCH.id, id)) return p;
  }
  return NULL;
}

bool journal_patch_ahead(const Journal *j, Str id, bool *value) {
  PatchEntry *p = patch_find(j, id);
  if (p) *value = p->value;
  return p != NULL;
}

static bool put_patch(Journal *j, Record *record) {
  PatchEntry *p = patch_find(j, record->PATCH.id);
  uint32_t i = ahead(j);
  if (!p) {
    if (i == j->count) return put_live(j, record);
    record->seq = i;
    return record->PATCH.value == 0 || diverge(j, DIVERGE_PATCH, i, record);
  }
  record->seq = p->index;
  if (p->value != (record->PATCH.value != 0)) return diverge(j, DIVERGE_PATCH, p->index, record);
  p->consumed = true;
  if (p->index >= j->next && p->index < i) j->next = p->index + 1;
  return true;
}

bool journal_put(Journal *j, Record *record) {
  if (UNLIKELY(j->divergence.kind != DIVERGE_NONE)) return false;
  if (record->kind == RECORD_PATCH) return put_patch(j, record);
  uint32_t i = ahead(j);
  return i < j->count ? put_history(j, record, i) : put_live(j, record);
}

/* A read's answer is its last field: what is before it must agree. */
bool journal_read(Journal *j, Record *question, Record *answer) {
  uint32_t i = ahead(j);
  if (i == j->count || j->divergence.kind != DIVERGE_NONE) return false;
  question->seq = i;
  if (j->entries[i].kind != RECORD_READ) return diverge(j, DIVERGE_NONE, i, question);
  const Record *recorded = give(j, i);
  if (!recorded) return false;
  const Record_READ *was = &recorded->READ, *now = &question->READ;
  bool same_site = was->site == now->site;
  if (was->kind != now->kind || was->fiber != now->fiber ||
      !str_equal(was->operands, now->operands) || (!same_site && j->same_code)) {
    question->READ.value = was->value; /* so that it is not what differs */
    return diverge(j, DIVERGE_NONE, i, question);
  }
  j->notes += !same_site;
  *answer = *recorded;
  take(j, i);
  return true;
}

/* ---- taking ---- */

bool journal_take(Journal *j, LogRow *row, StoreGroup *group) {
  if (!j->put.row.size) return false;
  Unsaved saved = j->put;
  j->put = j->taken;
  j->taken = saved;
  buf_clear(&j->put.row);
  buf_clear(&j->put.blobs);
  j->put.blob_count = 0;
  row->bytes = buf_view(&saved.row);
  row->head = j->head;
  for (uint32_t i = 0; i < saved.blob_count; i++) {
    uint64_t start = i ? saved.ends[i - 1] : 0;
    store_group_blob(group, saved.ids[i], (Str){saved.blobs.at + start, saved.ends[i] - start});
  }
  return true;
}
