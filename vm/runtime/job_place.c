/* Enqueuing: from a decision, from a run, from outside. A job's row goes into the group of whoever asks. */
#include "vm/base/cbor.h"
#include "vm/base/hash.h"
#include "vm/base/mem.h"
#include "vm/runtime/jobs_impl.h"

enum { SWEEP_ENTRIES = 1000, UNIQUE_KEY = sizeof(Hash256) };
#define SWEEP_EVERY_US INT64_C(60000000)

static bool uuid_none(Uuid id) {
  static const Uuid none;
  return memcmp(&id, &none, sizeof id) == 0;
}

bool worker_find(const Bundle *bundle, Str name, uint32_t *index) {
  for (uint32_t i = 0; i < bundle->worker_count; i++) {
    *index = i;
    if (str_equal(bundle_text(bundle, bundle->workers[i].name), name)) return true;
  }
  return false;
}

/* ---- options ------------------------------------------------------------------- */

typedef struct JobOptions {
  bool has_in, has_at;
  int64_t in_us, at_us;
  int64_t priority;
  Str queue;
} JobOptions;

static bool option_wrong(Err *err, Str name, const char *wanted) {
  FAIL(err, ERR_INVALID, "the option `" STR_FMT "` of enqueue %s", STR_ARG(name), wanted);
  return false;
}

static bool tagged_int(Str value, uint64_t tag, int64_t *out) {
  CborReader r = cbor_reader(value);
  CborItem item;
  Err ignored;
  return cbor_next(&r, &item, &ignored) && item.kind == CBOR_TAG && item.n == tag && cbor_int(&r, out, &ignored);
}

static bool queue_option(JobOptions *o, Str value) {
  CborReader r = cbor_reader(value);
  Err ignored;
  if (!cbor_text(&r, &o->queue, &ignored) || o->queue.size == 0 || o->queue.size > QUEUE_NAME_MAX) return false;
  for (size_t i = 0; i < o->queue.size; i++)
    if ((uint8_t)o->queue.at[i] < 0x20 || o->queue.at[i] == 0x7f) return false;
  return true;
}

static bool option_take(JobOptions *o, Str name, Str value, Err *err) {
  CborReader r = cbor_reader(value);
  Err ignored;
  if (str_equal(value, STR("\xf6"))) return true; /* nil: not given */
  if (str_equal(name, STR("schedule_in"))) {
    o->has_in = tagged_int(value, CBOR_TAG_DURATION, &o->in_us) && o->in_us >= 0;
    return o->has_in || option_wrong(err, name, "takes a duration that is not negative, like minutes(5)");
  }
  if (str_equal(name, STR("at"))) {
    o->has_at = tagged_int(value, CBOR_TAG_TIME, &o->at_us);
    return o->has_at || option_wrong(err, name, "takes a time");
  }
  if (str_equal(name, STR("priority"))) {
    bool ok = cbor_int(&r, &o->priority, &ignored) && o->priority >= 0 && o->priority < PRIORITIES;
    return ok || option_wrong(err, name, "takes a whole number from 0 (first) to 9");
  }
  if (str_equal(name, STR("queue")))
    return queue_option(o, value) || option_wrong(err, name, "takes a queue's name: 1 to 200 bytes, no line breaks");
  return option_wrong(err, name, "is not known: there are schedule_in, at, priority and queue");
}

static bool map_begin(CborReader *r, uint64_t *pairs) {
  CborItem item;
  Err ignored;
  uint64_t count;
  if (!cbor_next(r, &item, &ignored) || item.kind != CBOR_TAG || item.n != CBOR_TAG_MAP) return false;
  if (!cbor_array(r, &count, &ignored) || count % 2 != 0) return false;
  *pairs = count / 2;
  return true;
}

static bool options_read(const BundleWorker *w, Str queue, Str options, JobOptions *o, Err *err) {
  CborReader r = cbor_reader(options);
  uint64_t pairs = 0;
  Str name, value;
  *o = (JobOptions){.priority = w->priority, .queue = queue};
  if (options.size == 0 || str_equal(options, STR("\xf6"))) return true;
  bool ok = map_begin(&r, &pairs);
  if (!ok) FAIL(err, ERR_INVALID, "the options of enqueue are a map");
  for (; ok && pairs > 0; pairs--)
    ok = cbor_text(&r, &name, err) && cbor_skip(&r, &value, err) && option_take(o, name, value, err);
  if (!ok || !o->has_in || !o->has_at) return ok;
  FAIL(err, ERR_INVALID, "a job has `schedule_in` or `at`, not both");
  return false;
}

static bool job_options(Jobs *jobs, uint32_t worker, Str options, JobOptions *o, Err *err) {
  const Bundle *b = jobs->app->bundle;
  const BundleWorker *w = &b->workers[worker];
  return options_read(w, bundle_text(b, w->queue), options, o, err);
}

bool jobs_check(Jobs *jobs, uint32_t worker, Str options, Err *err) {
  JobOptions o;
  return job_options(jobs, worker, options, &o, err);
}

/* Not before now; a wait beyond the end of time never ends. */
static int64_t due_time(const JobOptions *o, int64_t now_us) {
  int64_t due = o->has_at ? o->at_us : now_us;
  if (o->has_in && __builtin_add_overflow(now_us, o->in_us, &due)) due = INT64_MAX;
  return due > now_us ? due : now_us;
}

/* ---- admission -------------------------------------------------------------------- */

static uint64_t job_version(const Bundle *b, uint32_t shape, Str data) {
  CborReader r = cbor_reader(data);
  CborItem item;
  uint64_t count, version;
  Str name;
  Err ignored;
  if (cbor_next(&r, &item, &ignored) && item.kind == CBOR_TAG && item.n == CBOR_TAG_RECORD &&
      cbor_array(&r, &count, &ignored) && cbor_text(&r, &name, &ignored) && cbor_uint(&r, &version, &ignored))
    return version;
  return b->shapes[shape].version;
}

bool job_admit(Jobs *jobs, uint32_t worker, Str data, bool trusted, Buf *out, Refusal *refusal) {
  const Bundle *b = jobs->app->bundle;
  uint32_t shape = b->workers[worker].shape;
  return decider_admit(jobs_desk(jobs), shape, data, job_version(b, shape, data), trusted, out, refusal);
}

/* ---- meta ------------------------------------------------------------------------ */

static void pair_text(Buf *out, const char *name, Str text) {
  cbor_put_text(out, str_of(name));
  if (text.size > 0) cbor_put_text(out, text);
  else cbor_put_nil(out);
}

static void pair_uuid(Buf *out, const char *name, Uuid id) {
  char text[37];
  uuid_text(id, text);
  pair_text(out, name, uuid_none(id) ? (Str){0} : str_of(text));
}

static void meta_put(Buf *out, const NewJob *job, Uuid id, int64_t now_us, const Hash256 *bundle) {
  cbor_put_tag(out, CBOR_TAG_MAP);
  cbor_put_array(out, 14);
  pair_uuid(out, "id", id);
  cbor_put_text(out, STR("time"));
  cbor_put_tag(out, CBOR_TAG_TIME);
  cbor_put_int(out, now_us);
  pair_text(out, "actor", job->actor);
  pair_text(out, "tenant", job->tenant.size > 0 ? job->tenant : STR("default"));
  pair_uuid(out, "causation", job->causation);
  pair_uuid(out, "correlation", uuid_none(job->correlation) ? id : job->correlation);
  cbor_put_text(out, STR("bundle"));
  cbor_put_bytes(out, (Str){(const char *)bundle->byte, sizeof bundle->byte});
}

static void uuid_take(Buf *out, Str value) {
  CborReader r = cbor_reader(value);
  Str text;
  Uuid id;
  Err ignored;
  if (cbor_text(&r, &text, &ignored) && uuid_parse(text, &id)) cbor_put_bytes(out, job_id_key(&id));
}

static bool meta_pair(JobMeta *m, Str name, Str value) {
  CborReader r = cbor_reader(value);
  Str text;
  Err ignored;
  if (str_equal(name, STR("tenant"))) return cbor_text(&r, &m->tenant, &ignored);
  if (str_equal(name, STR("causation"))) uuid_take(&m->causation, value);
  if (str_equal(name, STR("correlation"))) uuid_take(&m->correlation, value);
  if (!str_equal(name, STR("bundle"))) return true;
  if (!cbor_bytes(&r, &text, &ignored) || text.size != sizeof m->bundle) return false;
  memcpy(m->bundle.byte, text.at, text.size);
  return true;
}

bool job_meta_read(Str meta, JobMeta *out, Err *err) {
  CborReader r = cbor_reader(meta);
  uint64_t pairs = 0;
  Str name, value;
  bool ok = map_begin(&r, &pairs) && pairs == 7;
  const char *start = (const char *)r.at;
  for (; ok && pairs > 0; pairs--) {
    if (pairs == 1) out->pairs = (Str){start, (size_t)((const char *)r.at - start)};
    ok = cbor_text(&r, &name, err) && cbor_skip(&r, &value, err) && meta_pair(out, name, value);
  }
  if (!ok) FAIL(err, ERR_CORRUPT, "what the store has of the job's origin cannot be read");
  return ok;
}

void job_meta_deinit(JobMeta *m) {
  buf_deinit(&m->causation);
  buf_deinit(&m->correlation);
}

/* ---- unique keys: SPACE_UNIQUE has [job id, number, until]; until 0: while the job is open ---------- */

typedef struct Holder {
  Uuid id;
  uint64_t number;
  int64_t until_us;
} Holder;

static void holder_put(Jobs *jobs, Str key, const Holder *h) {
  Buf entry = {0};
  cbor_put_array(&entry, 3);
  cbor_put_bytes(&entry, job_id_key(&h->id));
  cbor_put_uint(&entry, h->number);
  cbor_put_int(&entry, h->until_us);
  grouping_kv(app_grouping(jobs->app), SPACE_UNIQUE, key, buf_view(&entry));
  buf_deinit(&entry);
}

static bool holder_read(Str entry, Holder *h) {
  CborReader r = cbor_reader(entry);
  uint64_t count;
  Str id;
  Err ignored;
  bool ok = cbor_array(&r, &count, &ignored) && count == 3 && cbor_bytes(&r, &id, &ignored) &&
            id.size == sizeof h->id && cbor_uint(&r, &h->number, &ignored) && cbor_int(&r, &h->until_us, &ignored);
  if (ok) memcpy(h->id.byte, id.at, sizeof h->id);
  return ok;
}

static bool holder_over(const Holder *h, int64_t now_us) { return h->until_us != 0 && h->until_us <= now_us; }

/* Who has the key, this round's decisions included. *held: somebody. False: the store cannot be read. */
static bool holder_find(Jobs *jobs, Str key, Holder *h, bool *held, Err *err) {
  Str entry;
  Buf stored = {0};
  *held = false;
  if (grouping_kv_get(app_grouping(jobs->app), SPACE_UNIQUE, key, &entry)) {
    *held = entry.at != NULL && holder_read(entry, h) && !holder_over(h, app_now(jobs->app));
    return true;
  }
  bool ok = store_kv_get(app_store(jobs->app), SPACE_UNIQUE, key, &stored, err);
  if (ok) *held = holder_read(buf_view(&stored), h) && !holder_over(h, app_now(jobs->app));
  buf_deinit(&stored);
  return ok || err->code == ERR_NOT_FOUND;
}

void unique_leave(Jobs *jobs, JobRow *row, bool done) {
  Holder h;
  bool held;
  Err err;
  if (row->unique.size == 0) return;
  if (!holder_find(jobs, row->unique, &h, &held, &err)) {
    jobs->app->scheduler->failed = true;
    return;
  }
  bool mine = held && memcmp(&h.id, &row->id, sizeof h.id) == 0;
  if (mine && (!done || h.until_us == 0)) grouping_kv(app_grouping(jobs->app), SPACE_UNIQUE, row->unique, (Str){0});
  row->unique = (Str){0};
}

bool unique_again(Jobs *jobs, JobRow *row, char key[UNIQUE_KEY], Err *err) {
  Hash256 hash;
  uint32_t worker;
  Holder h;
  bool held;
  const Bundle *b = jobs->app->bundle;
  if (row->unique.size > 0 || b == NULL || !worker_find(b, row->worker, &worker)) return true;
  if (!decider_unique(jobs_desk(jobs), &b->workers[worker], row->input, &hash)) return true;
  memcpy(key, hash.byte, UNIQUE_KEY);
  row->unique = (Str){key, UNIQUE_KEY};
  if (!holder_find(jobs, row->unique, &h, &held, err)) return false;
  if (held && memcmp(&h.id, &row->id, sizeof h.id) != 0) {
    char id[37];
    uuid_text(h.id, id);
    FAIL(err, ERR_INVALID, "job %s has the same unique fields and was enqueued since: cancel one of them", id);
    return false;
  }
  holder_put(jobs, row->unique, &(Holder){row->id, row->number, 0});
  return true;
}

typedef struct Sweep {
  Jobs *jobs;
  int64_t now_us;
  uint32_t seen;
} Sweep;

static bool sweep_entry(void *context, Str key, Str value) {
  Sweep *s = context;
  Holder h;
  if (holder_read(value, &h) && holder_over(&h, s->now_us))
    grouping_kv(app_grouping(s->jobs->app), SPACE_UNIQUE, key, (Str){0});
  buf_clear(&s->jobs->swept);
  buf_str(&s->jobs->swept, key);
  return ++s->seen < SWEEP_ENTRIES;
}

/* Keys whose time is over are forgotten a thousand a minute, while there is anything to do at all. */
void uniques_sweep(Jobs *jobs, int64_t now_us) {
  Sweep s = {.jobs = jobs, .now_us = now_us};
  Err ignored; /* it is tried again */
  Buf after = {0};
  if (now_us - jobs->swept_us < SWEEP_EVERY_US) return;
  jobs->swept_us = now_us;
  buf_str(&after, buf_view(&jobs->swept));
  if (store_kv_each(app_store(jobs->app), SPACE_UNIQUE, (Str){0}, buf_view(&after), sweep_entry, &s, &ignored) &&
      s.seen < SWEEP_ENTRIES)
    buf_clear(&jobs->swept);
  buf_deinit(&after);
}

/* ---- placing ------------------------------------------------------------------------- */

/* The job that is to be, whether it gets a row or takes the place of one. */
typedef struct Placing {
  const NewJob *job;
  JobOptions options;
  int64_t now_us;
  JobRow row;
} Placing;

static void row_fill(Jobs *jobs, Placing *p, Uuid id) {
  const Bundle *b = jobs->app->bundle;
  buf_clear(&jobs->meta);
  meta_put(&jobs->meta, p->job, id, p->now_us, &b->id);
  p->row = (JobRow){.id = id, .worker = bundle_text(b, b->workers[p->job->worker].name), .queue = p->options.queue,
                    .state = JOB_AVAILABLE, .priority = (uint8_t)p->options.priority,
                    .due_us = due_time(&p->options, p->now_us), .enqueued_us = p->now_us, .input = p->job->data,
                    .meta = buf_view(&jobs->meta)};
}

static void row_new(Jobs *jobs, Placing *p, Str unique) {
  Queue *q = queue_get(jobs, p->options.queue);
  row_fill(jobs, p, uuid_none(p->job->id) ? app_uuid(jobs->app) : p->job->id);
  p->row.number = jobs->next_number++;
  p->row.unique = unique;
  if (!q->kept) queue_keep(jobs, q);
  grouping_job(app_grouping(jobs->app), &p->row);
  queue_placed(q, p->row.due_us);
}

/* The one that waits gets the new input, priority and due time. One that a run does already is kept. */
static bool row_replace(Jobs *jobs, Placing *p, const Holder *h, Str unique, Err *err) {
  JobRow old;
  Buf keep = {0};
  Queue *q = NULL;
  bool fresh = h->number >= jobs->fresh_number, ok = true, waits = exec_find(jobs, h->id) == NULL;
  if (!fresh && waits) {
    ok = store_job_get(app_store(jobs->app), h->number, &old, &keep, err);
    waits = ok && old.state == JOB_AVAILABLE && old.run == 0;
    if (waits) q = queue_get(jobs, old.queue);
  }
  if (waits) {
    row_fill(jobs, p, h->id);
    p->row.number = h->number;
    p->row.unique = unique;
    if (!fresh) p->row.lease = old.lease;
    grouping_job_update(app_grouping(jobs->app), &p->row);
    table_set(jobs->changed, table_key64(&h->number), jobs);
    for (Queue *any = jobs->queues; any != NULL; any = any->next)
      if (any == q || q == NULL) queue_placed(any, p->row.due_us);
  }
  buf_deinit(&keep);
  return ok || err->code == ERR_NOT_FOUND;
}

static int64_t unique_until(const BundleWorker *w, int64_t now_us) {
  int64_t until;
  if (w->unique_us == 0) return 0;
  return __builtin_add_overflow(now_us, w->unique_us, &until) ? INT64_MAX : until;
}

bool jobs_place(Jobs *jobs, const NewJob *job, JobPlaced *placed, Err *err) {
  const BundleWorker *w = &jobs->app->bundle->workers[job->worker];
  Placing p = {.job = job, .now_us = app_now(jobs->app)};
  Holder h;
  Hash256 hash;
  Str key = {0};
  bool held = false;
  if (!job_options(jobs, job->worker, job->options, &p.options, err)) return false;
  if (decider_unique(jobs_desk(jobs), w, job->data, &hash)) key = (Str){(const char *)hash.byte, sizeof hash.byte};
  if (key.size > 0 && !holder_find(jobs, key, &h, &held, err)) return false;
  if (held) {
    *placed = (JobPlaced){.id = h.id, .conflict = true};
    return !w->replace || row_replace(jobs, &p, &h, key, err);
  }
  row_new(jobs, &p, key);
  if (key.size > 0) holder_put(jobs, key, &(Holder){p.row.id, p.row.number, unique_until(w, p.now_us)});
  *placed = (JobPlaced){.id = p.row.id};
  return true;
}

/* ---- from a run ----------------------------------------------------------------------- */

static bool ask_refused(Buf *value, const char **outcome, Str code, Str message) {
  buf_clear(value);
  error_encode(value, code, message);
  *outcome = "error";
  return true;
}

static void handle_put(Buf *out, Uuid id, uint64_t seq, Str worker) {
  cbor_put_tag(out, CBOR_TAG_HANDLE);
  cbor_put_array(out, 3);
  cbor_put_bytes(out, job_id_key(&id));
  cbor_put_uint(out, seq);
  cbor_put_text(out, worker);
}

static bool ask_operands(Str operands, Str *data, Str *options) {
  CborReader r = cbor_reader(operands);
  uint64_t count;
  Err ignored;
  *options = (Str){0};
  return cbor_array(&r, &count, &ignored) && count >= 1 && cbor_skip(&r, data, &ignored) &&
         (count < 2 || cbor_skip(&r, options, &ignored));
}

/* A store that cannot be read is no answer: nothing more is put on record. */
static bool ask_failed(Jobs *jobs, const Err *err, Buf *value, const char **outcome) {
  if (err->code != ERR_INVALID) {
    jobs->app->scheduler->failed = true;
    scheduler_notice(jobs->app->scheduler, "a job cannot be enqueued: %s", err->text);
  }
  return ask_refused(value, outcome, STR("invalid_job"), str_of(err->text));
}

bool jobs_ask(Jobs *jobs, Slot *slot, const Request *r, Buf *value, const char **outcome) {
  const Bundle *b = jobs->app->bundle;
  uint32_t worker;
  Str data, options;
  Refusal refusal;
  Err err = {0};
  JobPlaced placed;
  Buf admitted = {0};
  if (!worker_find(b, r->target, &worker) || !ask_operands(r->operands, &data, &options)) {
    Buf why = {0};
    buf_format(&why, "the active program has no worker " STR_FMT, STR_ARG(r->target));
    ask_refused(value, outcome, STR("unknown_worker"), buf_view(&why));
    buf_deinit(&why);
    return true;
  }
  bool own = memcmp(&slot->bundle, &b->id, sizeof b->id) == 0;
  bool ok = job_admit(jobs, worker, data, own, &admitted, &refusal);
  if (!ok) ask_refused(value, outcome, refusal.code, refusal.message);
  NewJob job = {.worker = worker, .data = buf_view(&admitted), .options = options, .tenant = slot_tenant(slot),
                .causation = slot->id, .correlation = slot_correlation(slot)};
  if (ok && !jobs_place(jobs, &job, &placed, &err)) {
    ask_failed(jobs, &err, value, outcome);
  } else if (ok) {
    *outcome = "ok";
    handle_put(value, placed.id, r->seq, r->target);
  }
  buf_deinit(&admitted);
  return true;
}

/* ---- from outside ------------------------------------------------------------------------ */

static bool unknown_worker(const Bundle *b, Str worker, Err *err) {
  Buf names = {0};
  for (uint32_t i = 0; b != NULL && i < b->worker_count; i++)
    buf_format(&names, "%s" STR_FMT, i > 0 ? ", " : "", STR_ARG(bundle_text(b, b->workers[i].name)));
  FAIL(err, ERR_NOT_FOUND, "the active program has no worker " STR_FMT "%s" STR_FMT, STR_ARG(worker),
       names.size > 0 ? "; it has " : "", STR_ARG(buf_view(&names)));
  buf_deinit(&names);
  return false;
}

bool jobs_enqueue(App *app, Str worker, Str data, Str options, Str tenant, Str actor,
                  void (*done)(void *context, bool ok, Str value), void *context, Err *err) {
  Jobs *jobs = app->jobs;
  uint32_t index;
  Refusal refusal;
  JobPlaced placed;
  Buf admitted = {0};
  if (app->bundle == NULL || !worker_find(app->bundle, worker, &index)) return unknown_worker(app->bundle, worker, err);
  bool ok = job_admit(jobs, index, data, false, &admitted, &refusal);
  if (!ok) FAIL(err, ERR_INVALID, STR_FMT ": " STR_FMT, STR_ARG(refusal.code), STR_ARG(refusal.message));
  NewJob job = {.worker = index, .data = buf_view(&admitted), .options = options, .tenant = tenant, .actor = actor};
  ok = ok && jobs_place(jobs, &job, &placed, err);
  buf_deinit(&admitted);
  if (!ok || done == NULL) return ok;
  EnqueuedList *list = &jobs->enqueued;
  list->at = mem_grow(list->at, &list->cap, list->count + 1, sizeof *list->at);
  list->at[list->count++] = (Enqueued){placed.id, done, context};
  return true;
}
