/* Jobs that execute: a run begins or goes on, and its row changes in the same commits as its journal. */
#include "vm/runtime/jobs.h"

#include "vm/base/cbor.h"
#include "vm/base/hash.h"
#include "vm/base/mem.h"
#include "vm/runtime/jobs_impl.h"

static const Str encoded_nil = {"\xf6", 1};

/* ---- life ------------------------------------------------------------------- */

Jobs *jobs_new(App *app) {
  Jobs *jobs = MEM_NEW(Jobs);
  jobs->app = app;
  jobs->by_name = table_new();
  jobs->executing = table_new();
  jobs->changed = table_new();
  jobs->missing = table_new();
  jobs->next_number = jobs->fresh_number = store_next_job(app_store(app));
  arena_init(&jobs->arena);
  return jobs;
}

void jobs_free(Jobs *jobs) {
  uint32_t at = 0;
  Str key;
  void *value;
  if (jobs == NULL) return;
  while (table_next(jobs->executing, &at, &key, &value)) mem_free(value);
  table_free(jobs->executing);
  queues_free(jobs);
  table_free(jobs->by_name);
  table_free(jobs->changed);
  table_free(jobs->missing);
  decider_free(jobs->desk);
  mem_free(jobs->enqueued.at);
  mem_free(jobs->telling.at);
  arena_deinit(&jobs->arena);
  buf_deinit(&jobs->bytes);
  buf_deinit(&jobs->meta);
  buf_deinit(&jobs->swept);
  mem_free(jobs);
}

Decider *jobs_desk(Jobs *jobs) {
  if (jobs->program == jobs->app->program) return jobs->desk;
  decider_free(jobs->desk);
  jobs->program = jobs->app->program;
  jobs->desk = app_decider(jobs->app);
  return jobs->desk;
}

/* ---- leases ----------------------------------------------------------------- */

Exec *exec_find(const Jobs *jobs, Uuid id) { return table_get(jobs->executing, job_id_key(&id)); }

Exec *exec_add(Jobs *jobs, const JobRow *row) {
  Exec *e = MEM_NEW(Exec);
  e->row = *row;
  e->queue = queue_get(jobs, row->queue);
  e->queue->executing++;
  e->row.state = JOB_EXECUTING;
  e->row.lease++;
  e->row.ended_us = 0;
  e->row.worker = e->row.queue = e->row.input = e->row.meta = e->row.note = (Str){0};
  if (row->unique.size == sizeof e->key) memcpy(e->key, row->unique.at, sizeof e->key);
  e->row.unique = row->unique.size == sizeof e->key ? (Str){e->key, sizeof e->key} : (Str){0};
  table_set(jobs->executing, job_id_key(&row->id), e);
  return e;
}

void job_update(Jobs *jobs, const JobRow *row) {
  JobRow update = *row;
  update.input = update.meta = (Str){0};
  grouping_job_update(app_grouping(jobs->app), &update);
}

void exec_leave(Jobs *jobs, Exec *e) {
  job_update(jobs, &e->row);
  if (e->row.state == JOB_AVAILABLE) queue_placed(e->queue, e->row.due_us);
  e->queue->executing--;
  table_set(jobs->executing, job_id_key(&e->row.id), NULL);
  mem_free(e);
}

/* ---- what cannot be done ---------------------------------------------------------- */

static void awaiters_error(Jobs *jobs, Uuid id, Str code, Str message) {
  Buf error = {0};
  error_encode(&error, code, message);
  awaiters_tell(jobs->app->scheduler, id, "error", buf_view(&error));
  buf_deinit(&error);
}

void job_dead(Jobs *jobs, JobRow *row, Str code, Str message) {
  char id[37];
  Buf note = {0};
  buf_str(&note, code);
  if (message.size > 0) buf_format(&note, ": " STR_FMT, STR_ARG(message));
  row->state = JOB_DEAD;
  row->note = buf_view(&note);
  unique_leave(jobs, row, false);
  job_update(jobs, row);
  awaiters_error(jobs, row->id, code, message);
  uuid_text(row->id, id);
  scheduler_notice(jobs->app->scheduler, "job %s is among the dead letters: " STR_FMT, id, STR_ARG(row->note));
  row->note = (Str){0};
  buf_deinit(&note);
}

static bool store_broken(const Err *err) { return err->code == ERR_IO || err->code == ERR_FULL; }

/* It was leased, and there is no way to go on: a person may fix what it is and ask again. */
static bool exec_lost(Jobs *jobs, Exec *e, Err *err) {
  if (store_broken(err)) return false;
  Exec lost = *e;
  lost.row.unique.at = lost.key;
  e->queue->executing--;
  table_set(jobs->executing, job_id_key(&lost.row.id), NULL);
  mem_free(e);
  job_dead(jobs, &lost.row, STR("job_stopped"), str_of(err->text));
  return true;
}

/* ---- going on ------------------------------------------------------------------------ */

/* The turn that the run waits for, as it asked for it. */
static void turn_grant(Scheduler *s, Slot *slot, Exec *e) {
  RunOutput open = {0};
  run_open_requests(slot->run, &open);
  for (uint32_t i = 0; i < open.count; i++) {
    const Request *r = &open.requests[i];
    if (r->kind != REQUEST_TURN) continue;
    e->row.attempt = r->attempt;
    slot_answer(s, slot->number, r->seq, "ok", encoded_nil);
    break;
  }
  run_output_deinit(&open);
}

bool job_go_on(Jobs *jobs, Exec *e, Err *err) {
  Scheduler *s = jobs->app->scheduler;
  Slot *slot = NULL;
  e->granting = true;
  bool ok = slot_by_number(s, e->row.run) != NULL || scheduler_resume(s, e->row.run, err);
  if (ok) slot = slot_by_number(s, e->row.run);
  ok = ok && (slot->over || slot_wake(slot, err));
  e->granting = false;
  if (!ok) return exec_lost(jobs, e, err);
  if (!slot->over && slot->quiescent) turn_grant(s, slot, e);
  job_update(jobs, &e->row);
  return true;
}

bool job_take_up(Jobs *jobs, const JobRow *row, Err *err) {
  Scheduler *s = jobs->app->scheduler;
  Exec *e = exec_add(jobs, row);
  if (slot_by_number(s, row->run) == NULL && !scheduler_resume(s, row->run, err)) return exec_lost(jobs, e, err);
  e = exec_find(jobs, row->id); /* it may be over by now */
  if (e != NULL) job_update(jobs, &e->row);
  return true;
}

/* ---- from the scheduler: attempts and ends ------------------------------------------------ */

/* The row of a run that holds no place: its turn had not come, or a person brought it back from the dead. */
static bool row_of_run(Jobs *jobs, const Slot *slot, JobRow *row, Buf *keep) {
  Err err;
  if (store_job_by_id(app_store(jobs->app), slot->id, row, keep, &err)) return row->run == slot->number;
  if (err.code != ERR_NOT_FOUND) {
    jobs->app->scheduler->failed = true;
    scheduler_notice(jobs->app->scheduler, "a job's row cannot be read: %s", err.text);
  }
  return false;
}

static void attempt_over(Jobs *jobs, Slot *slot, const Request *r) {
  Exec *e = exec_find(jobs, slot->id);
  JobRow row;
  Buf keep = {0};
  if (e != NULL && r->resend) { /* it has its turn, and does not know yet */
    if (!e->granting) {
      e->row.attempt = r->attempt;
      slot_answer(jobs->app->scheduler, slot->number, r->seq, "ok", encoded_nil);
    }
    return;
  }
  if (e != NULL) {
    e->row.state = JOB_AVAILABLE;
    e->row.due_us = r->due_us;
    e->row.note = r->note;
    exec_leave(jobs, e);
  } else if (row_of_run(jobs, slot, &row, &keep) && !(row.state == JOB_AVAILABLE && row.due_us == r->due_us)) {
    row.state = JOB_AVAILABLE;
    row.due_us = r->due_us;
    row.note = r->note;
    job_update(jobs, &row);
    queue_placed(queue_get(jobs, row.queue), row.due_us);
  }
  buf_deinit(&keep);
}

static void attempts_used_up(Jobs *jobs, Slot *slot, const Request *r) {
  Exec *e = exec_find(jobs, slot->id);
  JobRow row = {0};
  Buf keep = {0};
  Str code, message;
  bool known = e != NULL || (row_of_run(jobs, slot, &row, &keep) && row.state != JOB_DEAD);
  error_line_split(r->note, &code, &message);
  if (e != NULL) {
    Exec dead = *e;
    dead.row.unique.at = dead.key;
    e->queue->executing--;
    table_set(jobs->executing, job_id_key(&slot->id), NULL);
    mem_free(e);
    job_dead(jobs, &dead.row, code, message);
  } else if (known) {
    job_dead(jobs, &row, code, message);
  }
  buf_deinit(&keep);
}

void jobs_attempt(Jobs *jobs, Slot *slot, const Request *r) {
  if (r->kind == REQUEST_TURN) attempt_over(jobs, slot, r);
  else attempts_used_up(jobs, slot, r);
}

void jobs_over(Jobs *jobs, Slot *slot) {
  Exec *e = exec_find(jobs, slot->id);
  JobRow row;
  Buf keep = {0};
  if (e != NULL) row = e->row;
  else if (!row_of_run(jobs, slot, &row, &keep)) return;
  bool done = slot->status == RUN_STATUS_DONE;
  row.state = done ? JOB_DONE : slot->status == RUN_STATUS_CANCELLED ? JOB_CANCELLED : JOB_DEAD;
  row.ended_us = run_status_over(slot->status) ? app_now(jobs->app) : 0;
  row.note = !done && slot->note != NULL ? str_of(slot->note) : (Str){0};
  unique_leave(jobs, &row, done);
  if (e != NULL) {
    e->row = row;
    exec_leave(jobs, e);
  } else {
    job_update(jobs, &row);
  }
  buf_deinit(&keep);
}

/* ---- from the application ------------------------------------------------------------------ */

static bool row_keep(void *context, const JobRow *row) {
  Jobs *jobs = context;
  JobRow *copy = ARENA_NEW(&jobs->arena, JobRow);
  *copy = *row;
  copy->queue = arena_str(&jobs->arena, row->queue);
  copy->unique = arena_str(&jobs->arena, row->unique);
  copy->worker = copy->input = copy->meta = copy->note = (Str){0};
  buf_put(&jobs->bytes, &copy, sizeof copy);
  return true;
}

/* What executed when the last process ended goes on, and keeps its place. */
static bool executing_load(Jobs *jobs, Err *err) {
  buf_clear(&jobs->bytes);
  bool ok = store_job_each(app_store(jobs->app), 1, JOB_EXECUTING, row_keep, jobs, err);
  size_t count = jobs->bytes.size / sizeof(JobRow *);
  JobRow **rows = mem_alloc(jobs->bytes.size + 1);
  if (count > 0) memcpy(rows, jobs->bytes.at, jobs->bytes.size);
  for (size_t i = 0; ok && i < count; i++) ok = job_take_up(jobs, rows[i], err);
  mem_free(rows);
  arena_deinit(&jobs->arena);
  arena_init(&jobs->arena);
  return ok;
}

bool jobs_load(Jobs *jobs, Err *err) {
  if (jobs->loaded) return true;
  jobs->loaded = queues_load(jobs, err) && executing_load(jobs, err);
  return jobs->loaded;
}

bool jobs_activate(Jobs *jobs, Err *err) {
  table_free(jobs->missing);
  jobs->missing = table_new();
  if (!jobs_load(jobs, err)) return false;
  queues_activate(jobs);
  return true;
}

/* Who waits outside may ask for more while he is told. */
static void enqueued_tell(Jobs *jobs) {
  EnqueuedList list = jobs->enqueued;
  Buf text = {0};
  jobs->enqueued = jobs->telling;
  jobs->enqueued.count = 0;
  for (uint32_t i = 0; i < list.count; i++) {
    char id[37];
    uuid_text(list.at[i].id, id);
    buf_clear(&text);
    cbor_put_text(&text, str_of(id));
    list.at[i].done(list.at[i].context, true, buf_view(&text));
  }
  jobs->telling = list;
  buf_deinit(&text);
}

bool jobs_collect(Jobs *jobs, int64_t now_us, Err *err) {
  /* nothing will be committed: who was given a job that is there already need not wait */
  if (jobs->enqueued.count > 0 && grouping_empty(app_grouping(jobs->app))) enqueued_tell(jobs);
  for (Queue *q = jobs->queues; q != NULL; q = q->next)
    if (!queue_collect(jobs, q, now_us, err)) return false;
  uniques_sweep(jobs, now_us);
  return true;
}

bool jobs_committed(Jobs *jobs, Err *err) {
  int64_t now = app_now(jobs->app);
  (void)err;
  jobs->fresh_number = jobs->next_number;
  if (table_count(jobs->changed) > 0) {
    table_free(jobs->changed);
    jobs->changed = table_new();
  }
  for (Queue *q = jobs->queues; q != NULL; q = q->next) queue_committed(q, now);
  if (jobs->enqueued.count > 0) enqueued_tell(jobs);
  return true;
}

bool jobs_ready(const Jobs *jobs) {
  int64_t now = app_now(jobs->app), due;
  if (jobs->enqueued.count > 0) return true;
  for (const Queue *q = jobs->queues; q != NULL; q = q->next)
    if (queue_due(q, now, &due)) return true;
  return false;
}

int64_t jobs_next_due(Jobs *jobs) {
  int64_t now = app_now(jobs->app), next = 0, due;
  for (const Queue *q = jobs->queues; q != NULL; q = q->next) {
    if (queue_due(q, now, &due)) due = now;
    if (due != 0 && (next == 0 || due < next)) next = due;
  }
  return next;
}
