/* Runs and each other: starting, awaiting, signalling, cancelling. Asking and getting
** are in one store, so a start is in the same commit as the run it makes, and a signal
** in the same as its receipt wherever the receiver can take it at once. */
#include "vm/base/cbor.h"
#include "vm/base/mem.h"
#include "vm/journal/chain.h"
#include "vm/runtime/schedule.h"

static Str uuid_key(const Uuid *id) { return (Str){(const char *)id->byte, sizeof id->byte}; }

/* ---- starting ------------------------------------------------------------ */

/* A store that cannot be read is no answer: then nothing more is put on record. */
static bool known_run(Scheduler *s, Uuid id, RunRow *row) {
  Buf keep = {0};
  Err err;
  bool found = store_run_by_id(s->store, id, row, &keep, &err);
  if (!found && err.code != ERR_NOT_FOUND) s->failed = true;
  buf_deinit(&keep);
  return found;
}

static void refused_keep(Scheduler *s, const Request *r, const Err *err) {
  char *text = mem_alloc(strlen(err->text) + 1);
  memcpy(text, err->text, strlen(err->text));
  mem_free(table_get(s->refused, uuid_key(&r->run)));
  table_set(s->refused, uuid_key(&r->run), text);
  scheduler_notice(s, "a run of " STR_FMT " could not be started: %s", STR_ARG(r->target),
                   err->text);
}

/* The child's id follows from the command: asked again after a crash it is found to be there. */
void child_start(Scheduler *s, Slot *parent, const Request *r) {
  SlotHead head = {.id = r->run,
                   .bundle = parent->bundle,
                   .entry = r->target,
                   .input = r->operands,
                   .parent = parent,
                   .parent_seq = r->seq};
  Slot *child;
  RunRow row;
  Err err;
  if (slot_by_id(s, r->run) != NULL) return;
  if (r->resend && known_run(s, r->run, &row)) {
    if (!run_status_over(row.status) && !scheduler_resume(s, row.number, &err))
      scheduler_notice(s, "a child run cannot be continued: %s", err.text);
    return;
  }
  if (!slot_begin(s, &head, &child, &err)) refused_keep(s, r, &err);
}

/* ---- how a run ended ----------------------------------------------------- */

typedef struct Ending {
  Store *store;
  RunStatus status;
  Buf value;
  bool found;
} Ending;

static bool last_record(Str rest, Str *out) {
  Str record;
  bool broken = false, any = false;
  while (frame_next(&rest, &record, &broken)) {
    *out = record;
    any = true;
  }
  return any && !broken;
}

static bool ending_row(void *context, const LogRow *row) {
  Ending *e = context;
  Record record;
  Str bytes, value;
  Buf keep = {0};
  Err ignored;
  if (last_record(row->bytes, &bytes) && record_decode(bytes, &record, &ignored) &&
      record.kind == RECORD_ENDED &&
      journal_value(e->store, record.ENDED.result, &keep, &value, &ignored)) {
    buf_clear(&e->value);
    buf_str(&e->value, value);
    e->found = true;
  }
  buf_deinit(&keep);
  return true;
}

static void lost_child(Buf *out, const char *format, Uuid id, const char *why) {
  char text[37];
  Buf message = {0};
  uuid_text(id, text);
  buf_format(&message, format, text, why);
  error_encode(out, STR("child_failed"), buf_view(&message));
  buf_deinit(&message);
}

/* A run that failed gives its own error; one that was cancelled or killed, an error that says so.
 */
static void ending_answer(Slot *to, uint64_t seq, Uuid child, RunStatus status, Str value) {
  Buf error = {0};
  CborReader r = cbor_reader(value);
  CborItem item;
  Err ignored;
  if (status == RUN_STATUS_DONE) {
    inbox_answer(to, seq, "ok", value, false);
    return;
  }
  bool is_error =
      cbor_next(&r, &item, &ignored) && item.kind == CBOR_TAG && item.n == CBOR_TAG_ERROR;
  if (status == RUN_STATUS_FAILED && is_error) buf_str(&error, value);
  else
    lost_child(&error, "the run %s was %s", child,
               status == RUN_STATUS_KILLED ? "ended by the node" : "cancelled");
  inbox_answer(to, seq, "error", buf_view(&error), false);
  buf_deinit(&error);
}

static void answer_from_store(Scheduler *s, Slot *to, uint64_t seq, const RunRow *row) {
  Ending e = {.store = s->store, .status = row->status};
  Err err;
  if (!store_log_each(s->store, row->number, ending_row, &e, &err)) {
    s->failed = true;
  } else if (e.found) {
    ending_answer(to, seq, row->id, row->status, buf_view(&e.value));
  } else {
    Buf error = {0};
    lost_child(&error, "the journal of run %s does not say how it %s", row->id, "ended");
    inbox_answer(to, seq, "error", buf_view(&error), false);
    buf_deinit(&error);
  }
  buf_deinit(&e.value);
}

/* ---- awaiting ------------------------------------------------------------ */

static void awaiter_add(Scheduler *s, Slot *parent, const Request *r) {
  Awaiter **link, *first = table_get(s->awaiters, uuid_key(&r->run));
  Awaiter *a = MEM_NEW(Awaiter);
  a->number = parent->number;
  a->seq = r->seq;
  if (first == NULL) {
    table_set(s->awaiters, uuid_key(&r->run), a);
    return;
  }
  for (link = &first->next; *link != NULL;) link = &(*link)->next;
  *link = a;
}

static void no_such_run(Scheduler *s, Slot *parent, const Request *r) {
  Buf error = {0};
  const char *why = table_get(s->refused, uuid_key(&r->run));
  if (why != NULL) lost_child(&error, "the run %s could not be started: %s", r->run, why);
  else lost_child(&error, "there is no run %s %s", r->run, "in this data directory");
  inbox_answer(parent, r->seq, "error", buf_view(&error), false);
  buf_deinit(&error);
}

void child_await(Scheduler *s, Slot *parent, const Request *r) {
  RunRow row;
  Err err;
  Slot *child = slot_by_id(s, r->run);
  if (child == NULL && !known_run(s, r->run, &row)) {
    no_such_run(s, parent, r);
  } else if (child == NULL && run_status_over(row.status)) {
    answer_from_store(s, parent, r->seq, &row);
  } else {
    awaiter_add(s, parent, r);
    if (child == NULL && !scheduler_resume(s, row.number, &err))
      scheduler_notice(s, "a run that another one awaits cannot be continued: %s", err.text);
  }
}

bool child_ended(Scheduler *s, Slot *child) {
  Awaiter *a = table_get(s->awaiters, uuid_key(&child->id));
  Str value;
  RunStatus status = run_status(child->run, &value);
  if (a == NULL) return false;
  table_set(s->awaiters, uuid_key(&child->id), NULL);
  while (a != NULL) {
    Awaiter *next = a->next;
    Slot *to = slot_by_number(s, a->number);
    if (to != NULL && !to->over) ending_answer(to, a->seq, child->id, status, value);
    mem_free(a);
    a = next;
  }
  return true;
}

/* ---- signals and cancellation -------------------------------------------- */

/* At once, so that it shares the sender's commit. False: the receiver is in the middle of
 * something. */
static bool deliver_now(Slot *to, Record *event) {
  Err err;
  if (!to->quiescent || to->inbox != NULL || to->over) return false;
  if (!slot_wake(to, &err)) {
    if (err.code == ERR_IO) to->scheduler->failed = true; /* else it would be lost */
    scheduler_notice(to->scheduler, "a parked run cannot be woken: %s", err.text);
    return true;
  }
  if (!run_deliver(to->run, event, &err)) {
    scheduler_notice(to->scheduler, "a signal was refused: %s", err.text);
    return true;
  }
  to->quiescent = false;
  if (to->status == RUN_STATUS_PARKED) to->status = RUN_STATUS_RUNNING;
  slot_touch(to);
  slot_ready(to);
  return true;
}

static Slot *receiver(Scheduler *s, const Request *r) {
  RunRow row;
  Err err;
  Slot *to = slot_by_id(s, r->run);
  if (to != NULL) return to->over ? NULL : to;
  if (!known_run(s, r->run, &row) || run_status_over(row.status)) return NULL;
  if (scheduler_resume(s, row.number, &err)) return slot_by_number(s, row.number);
  if (err.code == ERR_IO) s->failed = true;
  scheduler_notice(s, "the receiver of a signal cannot be continued: %s", err.text);
  return NULL;
}

static void undelivered(Scheduler *s, Slot *from, const Request *r) {
  char sender[37], target[37];
  if (r->effect == EFFECT_RUN_CALL) return; /* it ended by itself, in time */
  if (r->resend) return; /* most likely it was delivered, and the run is over since */
  uuid_text(from->id, sender);
  uuid_text(r->run, target);
  scheduler_notice(s, "run %s sent %s" STR_FMT " to run %s, which is over or not here", sender,
                   r->kind == REQUEST_SIGNAL ? "signal " : "cancel", STR_ARG(r->target), target);
}

void run_send(Scheduler *s, Slot *from, const Request *r) {
  char id[64], sender[37];
  Buf origin = {0};
  Slot *to = receiver(s, r);
  if (to == NULL) {
    undelivered(s, from, r);
    return;
  }
  uuid_text(from->id, sender);
  int size = snprintf(id, sizeof id, "%s#%" PRIu64, sender, r->seq);
  cbor_put_array(&origin, 2);
  cbor_put_bytes(&origin, uuid_key(&from->id));
  cbor_put_uint(&origin, r->seq);
  Record event = {.kind = RECORD_CANCEL_ASKED,
                  .CANCEL_ASKED = {.why = STR("another run asked"), .from = buf_view(&origin)}};
  if (r->kind == REQUEST_SIGNAL)
    event = (Record){.kind = RECORD_SIGNALLED,
                     .SIGNALLED = {.name = r->target,
                                   .id = {id, (size_t)size},
                                   .value = r->operands,
                                   .from = buf_view(&origin)}};
  if (!deliver_now(to, &event)) { /* it must not get lost, whatever becomes of the sender */
    mail_put(&s->mail, to->number, &event);
    s->mail_changed = true;
    inbox_put(to, &event, false, true);
  }
  buf_deinit(&origin);
}
