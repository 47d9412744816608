/* What a person does with jobs and queues. Each is one commit, made before the answer. */
#include "vm/base/hash.h"
#include "vm/base/mem.h"
#include "vm/runtime/jobs_impl.h"

/* What was put into the group becomes durable with whatever else is in it. */
static bool now_durable(Jobs *jobs, Err *err) { return round_commit(jobs->app->scheduler, err); }

/* ---- queues ------------------------------------------------------------------------- */

static bool jobs_waiting(Jobs *jobs, const Queue *q, QueueInfo *info, Err *err) {
  Store *store = app_store(jobs->app);
  return store_job_waiting(store, q->name, &info->available, err) &&
         store_job_next_due(store, q->name, 0, &info->next_due_us, err);
}

bool queues_each(App *app, bool (*each)(void *context, const QueueInfo *info), void *context, Err *err) {
  Jobs *jobs = app->jobs;
  if (!jobs_load(jobs, err)) return false;
  for (Queue *q = jobs->queues; q != NULL; q = q->next) {
    QueueInfo info = {.name = q->name, .concurrency = queue_concurrency(q), .global = q->global,
                      .executing = q->executing, .paused = q->paused, .scaled = q->scale != 0};
    if (!jobs_waiting(jobs, q, &info, err)) return false;
    if (!each(context, &info)) return true;
  }
  return true;
}

static bool queue_named(Jobs *jobs, Str name, Queue **out, Err *err) {
  Buf names = {0};
  if (!jobs_load(jobs, err)) return false;
  *out = queue_find(jobs, name);
  if (*out != NULL) return true;
  for (Queue *q = jobs->queues; q != NULL; q = q->next)
    buf_format(&names, "%s" STR_FMT, names.size > 0 ? ", " : "", STR_ARG(q->name));
  FAIL(err, ERR_NOT_FOUND, "there is no queue " STR_FMT "; there are: " STR_FMT, STR_ARG(name),
       STR_ARG(buf_view(&names)));
  buf_deinit(&names);
  return false;
}

bool queue_pause(App *app, Str queue, bool paused, Err *err) {
  Queue *q;
  if (!queue_named(app->jobs, queue, &q, err)) return false;
  q->paused = paused;
  queue_keep(app->jobs, q);
  return now_durable(app->jobs, err);
}

bool queue_scale(App *app, Str queue, uint32_t concurrency, Err *err) {
  Queue *q;
  if (!queue_named(app->jobs, queue, &q, err)) return false;
  q->scale = concurrency;
  queue_keep(app->jobs, q);
  return now_durable(app->jobs, err);
}

/* ---- jobs ------------------------------------------------------------------------------ */

static bool job_find(Jobs *jobs, Uuid id, JobRow *row, Buf *keep, Err *err) {
  return jobs_load(jobs, err) && store_job_by_id(app_store(jobs->app), id, row, keep, err);
}

static bool job_is(Err *err, const char *what) {
  FAIL(err, ERR_INVALID, "the job %s", what);
  return false;
}

static void awaiters_cancelled(Jobs *jobs, Uuid id, Str why) {
  char text[37];
  Buf error = {0}, message = {0};
  uuid_text(id, text);
  buf_format(&message, "the job %s was cancelled%s" STR_FMT, text, why.size > 0 ? ": " : "", STR_ARG(why));
  error_encode(&error, STR("child_failed"), buf_view(&message));
  awaiters_tell(jobs->app->scheduler, id, "error", buf_view(&error));
  buf_deinit(&error);
  buf_deinit(&message);
}

/* No run knows of it. */
static bool row_cancel(Jobs *jobs, JobRow *row, Str why, Err *err) {
  row->state = JOB_CANCELLED;
  row->ended_us = app_now(jobs->app);
  row->note = why;
  unique_leave(jobs, row, false);
  job_update(jobs, row);
  if (!now_durable(jobs, err)) return false;
  awaiters_cancelled(jobs, row->id, why);
  return true;
}

bool job_cancel(App *app, Uuid id, Str why, Err *err) {
  JobRow row;
  Buf keep = {0};
  Record event = {.kind = RECORD_CANCEL_ASKED, .CANCEL_ASKED = {.why = why}};
  bool ok = job_find(app->jobs, id, &row, &keep, err);
  if (ok && (row.state == JOB_DONE || row.state == JOB_CANCELLED))
    ok = job_is(err, row.state == JOB_DONE ? "is done" : "is cancelled already");
  else if (ok && row.run == 0) ok = row_cancel(app->jobs, &row, why, err);
  else if (ok) ok = scheduler_deliver(app->scheduler, row.run, &event, err);
  buf_deinit(&keep);
  return ok;
}

static bool row_due_now(Jobs *jobs, JobRow *row, Err *err) {
  row->state = JOB_AVAILABLE;
  row->due_us = app_now(jobs->app);
  row->ended_us = 0;
  job_update(jobs, row);
  queue_placed(queue_get(jobs, row->queue), row->due_us);
  return now_durable(jobs, err);
}

static bool run_is_dead(Jobs *jobs, uint64_t number, bool *dead, Err *err) {
  RunRow row;
  Buf keep = {0};
  bool ok = store_run_get(app_store(jobs->app), number, &row, &keep, err);
  *dead = ok && row.status == RUN_STATUS_DEAD;
  if (ok && run_status_over(row.status)) ok = job_is(err, "has a run that is over: enqueue it anew");
  buf_deinit(&keep);
  return ok;
}

/* Its run goes on at once: what a person asks for does not wait for room. The lease and the event are one commit. */
static bool row_revive(Jobs *jobs, JobRow *row, Str by, Err *err) {
  bool dead;
  Record event = {.kind = RECORD_REVIVED, .REVIVED = {.by = by}};
  if (!run_is_dead(jobs, row->run, &dead, err)) return false;
  if (!dead) return job_take_up(jobs, row, err) && now_durable(jobs, err);
  Exec *e = exec_add(jobs, row);
  e->row.attempt++;
  job_update(jobs, &e->row);
  if (scheduler_deliver(jobs->app->scheduler, row->run, &event, err)) return true;
  e = exec_find(jobs, row->id);
  if (e == NULL) return false;
  e->row.state = JOB_DEAD; /* as it was */
  exec_leave(jobs, e);
  return false;
}

static bool row_retry(Jobs *jobs, JobRow *row, Str by, Err *err) {
  char key[sizeof(Hash256)];
  if (row->state == JOB_EXECUTING) return job_is(err, "is being executed");
  if (row->state == JOB_DONE || row->state == JOB_CANCELLED) return job_is(err, "is over: enqueue it anew");
  if (row->state == JOB_AVAILABLE) return row_due_now(jobs, row, err);
  if (!unique_again(jobs, row, key, err)) return false;
  return row->run == 0 ? row_due_now(jobs, row, err) : row_revive(jobs, row, by, err);
}

bool job_retry(App *app, Uuid id, Str by, Err *err) {
  JobRow row;
  Buf keep = {0};
  bool ok = job_find(app->jobs, id, &row, &keep, err) && row_retry(app->jobs, &row, by, err);
  buf_deinit(&keep);
  return ok;
}
