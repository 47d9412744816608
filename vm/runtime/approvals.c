/* Rows of approvals: [number, entry, tenant, tool, question, arguments, hash, asked, due]. */
#include "vm/runtime/approvals.h"

#include "vm/base/cbor.h"
#include "vm/base/mem.h"
#include "vm/runtime/app.h"
#include "vm/runtime/ledger_impl.h"
#include "vm/runtime/mail.h"
#include "vm/runtime/schedule.h"
#include "vm/runtime/testing.h"

/* ---- rows ------------------------------------------------------------------------------- */

enum { APPROVAL_KEY = sizeof(Uuid) + 8 };

static void approval_key(Uuid run, uint64_t seq, Buf *key) {
  buf_clear(key);
  buf_put(key, run.byte, sizeof run.byte);
  key_u64(key, seq);
}

static void approval_encode(const Approval *a, Buf *out) {
  cbor_put_array(out, 9);
  cbor_put_uint(out, a->number);
  cbor_put_text(out, a->entry);
  cbor_put_text(out, a->tenant);
  cbor_put_text(out, a->tool);
  cbor_put_text(out, a->question);
  cbor_put_bytes(out, a->arguments);
  cbor_put_bytes(out, (Str){(const char *)a->hash.byte, sizeof a->hash.byte});
  cbor_put_int(out, a->asked_us);
  cbor_put_int(out, a->due_us);
}

static bool approval_decode(Str key, Str value, Approval *a) {
  CborReader r = cbor_reader(value);
  uint64_t count;
  Str hash;
  Err e;
  bool ok = key.size == APPROVAL_KEY && cbor_array(&r, &count, &e) && count == 9 &&
            cbor_uint(&r, &a->number, &e) && cbor_text(&r, &a->entry, &e) && cbor_text(&r, &a->tenant, &e) &&
            cbor_text(&r, &a->tool, &e) && cbor_text(&r, &a->question, &e) && cbor_bytes(&r, &a->arguments, &e) &&
            cbor_bytes(&r, &hash, &e) && hash.size == sizeof a->hash.byte && cbor_int(&r, &a->asked_us, &e) &&
            cbor_int(&r, &a->due_us, &e);
  if (!ok) return false;
  memcpy(a->run.byte, key.at, sizeof a->run.byte);
  memcpy(a->hash.byte, hash.at, sizeof a->hash.byte);
  a->seq = key_u64_at(key.at + sizeof a->run.byte);
  return true;
}

static bool approval_damaged(Err *err) {
  FAIL(err, ERR_CORRUPT, "what the store has of an approval cannot be read");
  return false;
}

bool approval_get(Store *store, Uuid run, uint64_t seq, Approval *out, Buf *keep, Err *err) {
  Buf key = {0};
  approval_key(run, seq, &key);
  bool ok = store_kv_get(store, SPACE_APPROVAL, buf_view(&key), keep, err) &&
            (approval_decode(buf_view(&key), buf_view(keep), out) || approval_damaged(err));
  buf_deinit(&key);
  return ok;
}

typedef struct Each {
  bool (*each)(void *context, const Approval *approval);
  void *context;
  Buf cancelled; /* see mail_cancels */
  bool broken;
} Each;

static bool row_each(void *context, Str key, Str value) {
  Each *e = context;
  Approval a;
  e->broken = !approval_decode(key, value, &a);
  return !e->broken && (mail_cancels_run(&e->cancelled, a.number) || e->each(e->context, &a));
}

bool approvals_each(Store *store, bool (*each)(void *context, const Approval *approval), void *context, Err *err) {
  Each e = {.each = each, .context = context};
  bool ok = mail_cancels(store, &e.cancelled, err) &&
            store_kv_each(store, SPACE_APPROVAL, (Str){0}, (Str){0}, row_each, &e, err) &&
            (!e.broken || approval_damaged(err));
  buf_deinit(&e.cancelled);
  return ok;
}

/* ---- asking ---------------------------------------------------------------------------------- */

static bool is_stored(Scheduler *s, Uuid run, uint64_t seq) {
  Approval a;
  Buf keep = {0};
  Err ignored;
  bool is = approval_get(s->store, run, seq, &a, &keep, &ignored);
  buf_deinit(&keep);
  return is;
}

/* [question, within, arguments] */
static void operands_read(Str operands, Approval *a) {
  CborReader r = cbor_reader(operands);
  uint64_t count;
  Err e;
  a->question = STR("");
  a->arguments = STR("\xf6");
  if (!cbor_array(&r, &count, &e) || count < 3) return;
  if (!cbor_text(&r, &a->question, &e)) a->question = STR("");
  CborReader after = cbor_reader(operands);
  bool ok = cbor_array(&after, &count, &e) && cbor_skip(&after, NULL, &e) && cbor_skip(&after, NULL, &e);
  if (!ok || !cbor_skip(&after, &a->arguments, &e)) a->arguments = STR("\xf6");
}

static void row_put(Scheduler *s, const Slot *slot, const Request *r) {
  Buf key = {0}, value = {0};
  Approval a = {.number = slot->number, .entry = slot->entry, .tenant = slot_tenant(slot), .tool = r->target,
                .asked_us = clock_now(&s->clock), .due_us = r->due_us};
  operands_read(r->operands, &a);
  a.hash = sha256(a.arguments);
  approval_key(slot->id, r->seq, &key);
  approval_encode(&a, &value);
  grouping_kv(s->grouping, SPACE_APPROVAL, buf_view(&key), buf_view(&value));
  buf_deinit(&key);
  buf_deinit(&value);
}

static void row_drop(Scheduler *s, Uuid run, uint64_t seq) {
  Buf key = {0};
  approval_key(run, seq, &key);
  grouping_kv(s->grouping, SPACE_APPROVAL, buf_view(&key), (Str){0});
  buf_deinit(&key);
}

void approval_ask(Scheduler *s, Slot *slot, const Request *r, bool open) {
  slot->approvals++;
  if (!open || !is_stored(s, slot->id, r->seq)) row_put(s, slot, r);
}

/* A test's people answer at once. */
static bool answered_in_test(Scheduler *s, Slot *slot, const Request *r) {
  Buf value = {0};
  struct Testing *t = s->app != NULL ? s->app->testing : NULL;
  Approval a = {0};
  const Program *program;
  Err err;
  if (t == NULL || !node_program(s->node, slot->bundle, &program, &err)) return false;
  operands_read(r->operands, &a);
  bool yes = testing_approve(t, program, slot->number, r, a.arguments, &value);
  if (yes) inbox_answer(slot, r->seq, "ok", buf_view(&value), false);
  buf_deinit(&value);
  return yes;
}

void approval_leave(Scheduler *s, Slot *slot, const Request *r) {
  if (answered_in_test(s, slot, r)) return;
  if (r->due_us != 0) timers_add(s->timers, (Timer){r->due_us, slot->number, r->seq});
}

void approval_drop(Scheduler *s, Slot *slot, uint64_t seq) {
  if (slot->approvals > 0) slot->approvals--;
  row_drop(s, slot->id, seq);
}

typedef struct Seqs {
  uint64_t at[64];
  uint32_t count;
} Seqs;

static bool seq_add(void *context, Str key, Str value) {
  Seqs *seqs = context;
  (void)value;
  if (key.size == APPROVAL_KEY) seqs->at[seqs->count++] = key_u64_at(key.at + sizeof(Uuid));
  return seqs->count < COUNT_OF(seqs->at);
}

/* What was open when it ended without an answer. */
void approvals_over(Scheduler *s, Slot *slot) {
  Str prefix = {(const char *)slot->id.byte, sizeof slot->id.byte};
  Seqs seqs = {0};
  Err err;
  if (slot->approvals == 0 || !run_status_over(slot->status)) return;
  if (!store_kv_each(s->store, SPACE_APPROVAL, prefix, (Str){0}, seq_add, &seqs, &err)) s->failed = true;
  for (uint32_t i = 0; i < seqs.count; i++) row_drop(s, slot->id, seqs.at[i]);
}

/* ---- of a run that nobody runs ---------------------------------------------------------------- */

typedef struct Gone {
  const RunOutput *open;
  Buf *keys;
} Gone;

static bool gone_add(void *context, Str key, Str value) {
  Gone *g = context;
  (void)value;
  if (key.size != APPROVAL_KEY) return true;
  uint64_t seq = key_u64_at(key.at + sizeof(Uuid));
  for (uint32_t i = 0; i < g->open->count; i++)
    if (g->open->requests[i].kind == REQUEST_APPROVAL && g->open->requests[i].seq == seq) return true;
  buf_put(g->keys, key.at, key.size);
  return true;
}

bool approvals_gone(Store *store, Uuid run, const RunOutput *open, ApprovalsGone *out, Err *err) {
  Gone g = {open, &out->keys};
  Str prefix = {(const char *)run.byte, sizeof run.byte};
  if (!store_kv_each(store, SPACE_APPROVAL, prefix, (Str){0}, gone_add, &g, err)) return false;
  for (size_t at = 0; at < out->keys.size; at += APPROVAL_KEY) {
    out->rows = mem_grow(out->rows, &out->cap, out->count + 1, sizeof *out->rows);
    out->rows[out->count++] = (KvRow){SPACE_APPROVAL, {(const char *)out->keys.at + at, APPROVAL_KEY}, {0}};
  }
  return true;
}

void approvals_gone_deinit(ApprovalsGone *gone) {
  buf_deinit(&gone->keys);
  mem_free(gone->rows);
}

typedef struct Waits {
  Scheduler *s;
  bool any;
} Waits;

static bool waits_ours(void *context, const Approval *a) {
  Waits *w = context;
  w->any = run_ours(w->s, a->number);
  return !w->any;
}

bool approvals_wait(Scheduler *s) {
  Waits w = {s, false};
  Err err;
  if (!approvals_each(s->store, waits_ours, &w, &err)) scheduler_notice(s, "%s", err.text);
  return w.any;
}
