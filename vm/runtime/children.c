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
                   .scopes = r->scopes,
                   .parent_seq = r->seq};
  Slot *child;
  RunRow row;
  Err err;
  if (slot_by_id(s, r->run) != NULL) return;
  if (r->resend && known_run(s, r->run, &row)) {
    if (!run_status_over(row.status) && !row_dormant(s, &row) && !scheduler_resume(s, row.number, &err))
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

void awaiter_drop(Scheduler *s, uint64_t number, const Request *r) {
  Awaiter *first = table_get(s->awaiters, uuid_key(&r->run)), **link = &first;
  while (*link != NULL) {
    Awaiter *a = *link;
    if (a->number == number && a->seq == r->seq) {
      *link = a->next;
      mem_free(a);
    } else {
      link = &a->next;
    }
  }
  table_set(s->awaiters, uuid_key(&r->run), first);
}

static void await_failed(Slot *to, uint64_t seq, const char *format, Uuid id, const char *why) {
  Buf error = {0};
  lost_child(&error, format, id, why);
  inbox_answer(to, seq, "error", buf_view(&error), false);
  buf_deinit(&error);
}

static void no_such_run(Scheduler *s, Slot *parent, const Request *r) {
  const char *why = table_get(s->refused, uuid_key(&r->run));
  if (why != NULL) await_failed(parent, r->seq, "the run %s could not be started: %s", r->run, why);
  else await_failed(parent, r->seq, "there is no run %s %s", r->run, "in this data directory");
}

/* What those were told who awaited it when it died. */
static void dead_answer(Slot *to, uint64_t seq, const JobRow *job) {
  Buf error = {0};
  Str code, message;
  error_line_split(job->note, &code, &message);
  error_encode(&error, code, message);
  inbox_answer(to, seq, "error", buf_view(&error), false);
  buf_deinit(&error);
}

/* A job is awaited before a run does it, or after it was over without one. False: there is no such job. */
static bool job_await(Scheduler *s, Slot *to, const Request *r) {
  JobRow job;
  Buf keep = {0}, why = {0};
  Err err;
  bool found = store_job_by_id(s->store, r->run, &job, &keep, &err);
  if (!found && err.code != ERR_NOT_FOUND) s->failed = true;
  if (found && (job.state == JOB_AVAILABLE || job.state == JOB_EXECUTING)) {
    awaiter_add(s, to, r);
  } else if (found && job.state == JOB_DEAD) {
    dead_answer(to, r->seq, &job);
  } else if (found) {
    buf_format(&why, "%s" STR_FMT, job.note.size > 0 ? ": " : "", STR_ARG(job.note));
    buf_byte(&why, 0);
    const char *how = job.state == JOB_CANCELLED ? "the job %s was cancelled%s"
                                                 : "the job %s is done, and its result is not kept%s";
    await_failed(to, r->seq, how, r->run, why.at);
  }
  buf_deinit(&keep);
  buf_deinit(&why);
  return found || s->failed;
}

void child_await(Scheduler *s, Slot *parent, const Request *r) {
  RunRow row = {0};
  Err err;
  Slot *child = slot_by_id(s, r->run);
  if (child == NULL && !known_run(s, r->run, &row)) {
    if (!s->failed && !job_await(s, parent, r)) no_such_run(s, parent, r);
  } else if (child == NULL && run_status_over(row.status)) {
    answer_from_store(s, parent, r->seq, &row);
  } else if (child != NULL ? child->dead : row.status == RUN_STATUS_DEAD) {
    if (!job_await(s, parent, r)) await_failed(parent, r->seq, "the run %s is among the dead letters%s", r->run, "");
  } else {
    awaiter_add(s, parent, r);
    if (child == NULL && !row_dormant(s, &row) && !scheduler_resume(s, row.number, &err))
      scheduler_notice(s, "a run that another one awaits cannot be continued: %s", err.text);
  }
}

static Awaiter *awaiters_take(Scheduler *s, Uuid id) {
  Awaiter *a = table_get(s->awaiters, uuid_key(&id));
  if (a != NULL) table_set(s->awaiters, uuid_key(&id), NULL);
  return a;
}

/* The one awaiting that goes next, or NULL; *a is used up. */
static Slot *awaiter_next(Scheduler *s, Awaiter **a, uint64_t *seq) {
  Slot *to = NULL;
  while (*a != NULL && to == NULL) {
    Awaiter *next = (*a)->next;
    to = slot_by_number(s, (*a)->number);
    if (to != NULL && to->over) to = NULL;
    *seq = (*a)->seq;
    mem_free(*a);
    *a = next;
  }
  return to;
}

bool child_ended(Scheduler *s, Slot *child) {
  Awaiter *a = awaiters_take(s, child->id);
  bool told = a != NULL;
  uint64_t seq;
  Str value;
  Slot *to;
  RunStatus status = run_status(child->run, &value);
  while ((to = awaiter_next(s, &a, &seq)) != NULL) ending_answer(to, seq, child->id, status, value);
  return told;
}

void awaiters_tell(Scheduler *s, Uuid id, const char *outcome, Str value) {
  Awaiter *a = awaiters_take(s, id);
  uint64_t seq;
  Slot *to;
  while ((to = awaiter_next(s, &a, &seq)) != NULL) inbox_answer(to, seq, outcome, value, false);
}

/* A dormant parent that is not this scheduler's (one of its children alone was recovered) is left to whoever
** takes up the rest. */
static void parent_needed(Scheduler *s, RunRow *row) {
  Err err;
  if (row_dormant(s, row)) {
    if (!scheduler_resume(s, row->number, &err))
      scheduler_notice(s, "a run whose child ended cannot be continued: %s", err.text);
    return;
  }
  row->wake_us = AWAKE_WAITS;
  grouping_updated(s->grouping, row);
}

void child_ending(Scheduler *s, Slot *child) {
  RunRow row;
  Buf keep = {0};
  Err err;
  if (child->parent == 0 || child->parent == s->parent_over || slot_by_number(s, child->parent) != NULL) return;
  if (!store_run_get(s->store, child->parent, &row, &keep, &err)) s->failed = true;
  else if (run_status_over(row.status)) s->parent_over = row.number;
  else if (row.status == RUN_STATUS_PARKED && row.wake_us >= 0) parent_needed(s, &row);
  buf_deinit(&keep);
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
