/* A person's decision, on its way to the run. */
#include "vm/base/cbor.h"
#include "vm/base/file.h"
#include "vm/base/mem.h"
#include "vm/run/decider.h"
#include "vm/runtime/approvals.h"
#include "vm/runtime/ledger_impl.h"
#include "vm/runtime/mail.h"
#include "vm/runtime/offline.h"
#include "vm/runtime/schedule.h"

/* ---- the answer ---------------------------------------------------------------------------- */

static void text_or_nil(Buf *out, const char *name, Str text) {
  cbor_put_text(out, str_of(name));
  if (text.at != NULL) cbor_put_text(out, text);
  else cbor_put_nil(out);
}

void approval_answer(Str verdict, Str arguments, Str by, Str why, Buf *out) {
  cbor_put_tag(out, CBOR_TAG_MAP);
  cbor_put_array(out, 8);
  text_or_nil(out, "verdict", verdict);
  cbor_put_text(out, STR("arguments"));
  if (arguments.size > 0) buf_str(out, arguments);
  else cbor_put_nil(out);
  text_or_nil(out, "by", by);
  text_or_nil(out, "why", why);
}

/* ---- what was edited ------------------------------------------------------------------------- */

typedef struct Fields { /* of a record or a map */
  CborReader r;
  uint64_t left; /* fields */
  Str name;      /* of the record's shape */
  uint64_t version;
} Fields;

static bool fields_begin(Str value, Fields *f) {
  CborItem item;
  uint64_t count;
  Err e;
  *f = (Fields){.r = cbor_reader(value)};
  if (!cbor_next(&f->r, &item, &e) || item.kind != CBOR_TAG || !cbor_array(&f->r, &count, &e)) return false;
  if (item.n == CBOR_TAG_RECORD) {
    if (count < 2 || !cbor_text(&f->r, &f->name, &e) || !cbor_uint(&f->r, &f->version, &e)) return false;
    count -= 2;
  } else if (item.n != CBOR_TAG_MAP) {
    return false;
  }
  f->left = count / 2;
  return true;
}

static bool field_next(Fields *f, Str *name, Str *value) {
  CborReader name_reader;
  Str key;
  Err e;
  if (f->left == 0 || !cbor_skip(&f->r, &key, &e) || !cbor_skip(&f->r, value, &e)) return false;
  f->left--;
  name_reader = cbor_reader(key);
  return cbor_text(&name_reader, name, &e);
}

/* What is not given stays as it was asked. */
static bool merged(Fields asked, Str changes, Buf *out, Err *err) {
  Fields given;
  Buf pairs = {0};
  uint64_t count = 0;
  Str name, value;
  bool ok = fields_begin(changes, &given);
  if (!ok) FAIL(err, ERR_INVALID, "edited arguments are a JSON object of the arguments that change");
  while (ok && field_next(&asked, &name, &value)) {
    if (cbor_map_get(changes, name).at != NULL) continue;
    cbor_put_text(&pairs, name);
    buf_str(&pairs, value);
    count += 2;
  }
  while (ok && field_next(&given, &name, &value)) {
    cbor_put_text(&pairs, name);
    buf_str(&pairs, value);
    count += 2;
  }
  cbor_put_tag(out, CBOR_TAG_MAP);
  cbor_put_array(out, count);
  buf_str(out, buf_view(&pairs));
  buf_deinit(&pairs);
  return ok;
}

static uint32_t shape_of(const Bundle *b, Str name) {
  for (uint32_t i = 0; i < b->shape_count; i++)
    if (str_equal(bundle_text(b, b->shapes[i].name), name)) return i;
  return NONE_INDEX;
}

static bool admitted(const Program *program, uint32_t shape, Str map, uint64_t version, Buf *out, Err *err) {
  Decider *d = decider_new(program);
  Refusal refusal = {0};
  bool ok = decider_admit(d, shape, map, version, false, out, &refusal);
  if (!ok) FAIL(err, ERR_INVALID, "the edited arguments do not fit: " STR_FMT, STR_ARG(refusal.message));
  decider_free(d);
  return ok;
}

bool approval_edited(const Program *program, Str arguments, Str changes, Buf *out, Err *err) {
  Fields asked;
  Buf map = {0};
  if (!fields_begin(arguments, &asked)) {
    FAIL(err, ERR_INVALID, "there are no arguments to be edited");
    return false;
  }
  uint32_t shape = asked.name.at != NULL ? shape_of(program_bundle(program), asked.name) : NONE_INDEX;
  bool ok = merged(asked, changes, &map, err);
  if (ok && shape != NONE_INDEX) ok = admitted(program, shape, buf_view(&map), asked.version, out, err);
  else if (ok) buf_str(out, buf_view(&map));
  buf_deinit(&map);
  return ok;
}

static bool edited_json(Node *node, Hash256 bundle, Str arguments, Str json, Buf *out, Err *err) {
  const Program *program;
  Buf changes = {0};
  bool ok = cbor_from_json(json, &changes, err) && node_program(node, bundle, &program, err) &&
            approval_edited(program, arguments, buf_view(&changes), out, err);
  buf_deinit(&changes);
  return ok;
}

/* ---- deciding ----------------------------------------------------------------------------------- */

static bool verdict_fits(const ApprovalDecision *d, Err *err) {
  bool edited = str_equal(d->verdict, STR("edited"));
  bool known = edited || str_equal(d->verdict, STR("approved")) || str_equal(d->verdict, STR("denied"));
  if (known && edited == (d->arguments.at != NULL)) return true;
  FAIL(err, ERR_INVALID, "a decision is approved, denied, or edited with the arguments that change");
  return false;
}

static bool record_cancels(void *context, const Record *r) {
  bool *found = context;
  *found = r->kind == RECORD_CANCEL_ASKED;
  return !*found;
}

static bool letter_cancels(Store *store, uint64_t run) {
  Buf cancelled = {0};
  Err ignored;
  bool found = mail_cancels(store, &cancelled, &ignored) && mail_cancels_run(&cancelled, run);
  buf_deinit(&cancelled);
  return found;
}

static bool refuse_cancelled(Uuid run, Err *err) {
  char id[37];
  uuid_text(run, id);
  FAIL(err, ERR_INVALID, "the run %s is to be cancelled: nothing is decided there any more", id);
  return false;
}

bool approvals_cancelled(Store *store, const RunRow *row, Err *err) {
  bool recorded = false;
  Err ignored;
  if (run_status_over(row->status)) return false;
  bool found = letter_cancels(store, row->number) ||
               (offline_records(store, row->number, record_cancels, &recorded, &ignored) && recorded);
  return found && !refuse_cancelled(row->id, err);
}

static bool refuse_gone(const ApprovalDecision *d, Err *err) {
  char id[37];
  uuid_text(d->run, id);
  FAIL(err, ERR_NOT_FOUND,
       "nothing waits for a decision at %s#%" PRIu64 ": it was decided already, its time is over, or it never was", id,
       d->seq);
  return false;
}

static bool refuse_missing(Store *store, const ApprovalDecision *d, Err *err) {
  char id[37];
  RunRow row;
  Buf keep = {0};
  Err ignored;
  uuid_text(d->run, id);
  bool cancelled = store_run_find(store, str_of(id), &row, &keep, &ignored) && approvals_cancelled(store, &row, err);
  buf_deinit(&keep);
  return !cancelled && refuse_gone(d, err);
}

static bool approval_open(Store *store, const ApprovalDecision *d, int64_t now_us, Approval *a, Buf *keep, Err *err) {
  Err missing = {0};
  if (!approval_get(store, d->run, d->seq, a, keep, &missing)) {
    if (missing.code == ERR_NOT_FOUND) return refuse_missing(store, d, err);
    *err = missing;
    return false;
  }
  if (letter_cancels(store, a->number)) return refuse_cancelled(d->run, err);
  if (a->due_us == 0 || now_us < a->due_us) return true;
  Buf due = {0};
  time_print(a->due_us, &due);
  FAIL(err, ERR_INVALID, "the time for this decision was over at " STR_FMT, STR_ARG(buf_view(&due)));
  buf_deinit(&due);
  return false;
}

/* One was given already, and its run is busy. */
static bool is_on_its_way(const Slot *slot, uint64_t seq) {
  for (const Inbox *event = slot->inbox; event != NULL; event = event->next)
    if (event->record.kind == RECORD_ANSWERED && event->record.ANSWERED.ref == seq) return true;
  return false;
}

static bool cancel_is_first(const Slot *slot) {
  for (const Inbox *event = slot->inbox; event != NULL; event = event->next)
    if (event->record.kind == RECORD_CANCEL_ASKED) return true;
  return false;
}

static bool deliver_here(Scheduler *s, const Approval *a, const Record *event, Str key, Str row, Err *err) {
  if (slot_by_number(s, a->number) == NULL && !scheduler_resume(s, a->number, err)) return false;
  Slot *slot = slot_by_number(s, a->number);
  if (slot == NULL || is_on_its_way(slot, a->seq))
    return refuse_gone(&(ApprovalDecision){.run = a->run, .seq = a->seq}, err);
  if (cancel_is_first(slot)) return refuse_cancelled(a->run, err);
  bool at_once = slot->quiescent && slot->inbox == NULL && !slot->over && !slot->away;
  if (at_once) grouping_kv(s->grouping, SPACE_APPROVAL, key, (Str){0}); /* on record with the decision */
  if (scheduler_deliver(s, a->number, event, err)) return true;
  if (at_once) grouping_kv(s->grouping, SPACE_APPROVAL, key, row);
  return false;
}

static bool deliver_there(Node *node, const RunRow *row, Record *event, Str key, Err *err) {
  KvRow gone = {SPACE_APPROVAL, key, (Str){0}};
  if (!run_status_over(row->status)) return offline_deliver_with(node, row, event, &gone, err);
  FAIL(err, ERR_INVALID, "the run is over: %s", run_status_word(row->status));
  return false;
}

static bool deliver(Scheduler *s, Node *node, const Approval *a, const RunRow *row, Str value, Str stored, Err *err) {
  Buf key = {0};
  Record event = {.kind = RECORD_ANSWERED, .ANSWERED = {.ref = a->seq, .outcome = STR("ok"), .value = value}};
  buf_put(&key, a->run.byte, sizeof a->run.byte);
  key_u64(&key, a->seq);
  bool ok = s != NULL ? deliver_here(s, a, &event, buf_view(&key), stored, err)
                      : deliver_there(node, row, &event, buf_view(&key), err);
  buf_deinit(&key);
  return ok;
}

bool approval_decide(Scheduler *s, Node *node, const ApprovalDecision *d, Err *err) {
  Approval a;
  RunRow row;
  Buf keep = {0}, run_keep = {0}, arguments = {0}, value = {0};
  int64_t now = s != NULL ? clock_now(&s->clock) : clock_now_us();
  bool edited = d->arguments.at != NULL;
  bool ok = verdict_fits(d, err) && approval_open(node_store(node), d, now, &a, &keep, err) &&
            store_run_get(node_store(node), a.number, &row, &run_keep, err) &&
            (!edited || edited_json(node, row.bundle, a.arguments, d->arguments, &arguments, err));
  if (ok) {
    approval_answer(d->verdict, edited ? buf_view(&arguments) : a.arguments, d->by, d->why, &value);
    ok = deliver(s, node, &a, &row, buf_view(&value), buf_view(&keep), err);
  }
  buf_deinit(&keep);
  buf_deinit(&run_keep);
  buf_deinit(&arguments);
  buf_deinit(&value);
  return ok;
}
