/* Queues: how many of their jobs may execute, how often they may begin, and which are next. */
#include <stdlib.h>

#include "vm/base/cbor.h"
#include "vm/base/hash.h"
#include "vm/base/mem.h"
#include "vm/runtime/jobs_impl.h"

/* ---- which there are -------------------------------------------------------------- */

Queue *queue_find(const Jobs *jobs, Str name) { return table_get(jobs->by_name, name); }

Queue *queue_get(Jobs *jobs, Str name) {
  Queue *q = queue_find(jobs, name);
  if (q != NULL) return q;
  q = MEM_NEW(Queue);
  char *copy = mem_alloc(name.size + 1);
  if (name.size > 0) memcpy(copy, name.at, name.size);
  q->name = (Str){copy, name.size};
  q->declared = QUEUE_CONCURRENCY;
  q->look = true;
  Queue **end = &jobs->queues;
  while (*end != NULL) end = &(*end)->next;
  *end = q;
  table_set(jobs->by_name, q->name, q);
  return q;
}

void queues_free(Jobs *jobs) {
  for (Queue *q = jobs->queues; q != NULL;) {
    Queue *next = q->next;
    mem_free((void *)(uintptr_t)q->name.at);
    mem_free(q);
    q = next;
  }
  jobs->queues = NULL;
}

static void queue_declare(Jobs *jobs, const Bundle *b, const BundleQueue *declared) {
  Queue *q = queue_get(jobs, bundle_text(b, declared->name));
  q->declared = declared->concurrency;
  q->global = declared->global;
  q->limit_count = declared->limit_count;
  q->limit_per_us = declared->limit_per_us;
}

/* New code may do what the old one could not: every queue is looked at. */
void queues_activate(Jobs *jobs) {
  const Bundle *b = jobs->app->bundle;
  queue_get(jobs, STR("default"));
  for (Queue *q = jobs->queues; q != NULL; q = q->next) {
    q->declared = QUEUE_CONCURRENCY;
    q->global = q->limit_count = 0;
    q->look = true;
  }
  for (uint32_t i = 0; i < b->worker_count; i++) queue_get(jobs, bundle_text(b, b->workers[i].queue));
  for (uint32_t i = 0; i < b->queue_count; i++) queue_declare(jobs, b, &b->queues[i]);
}

/* ---- what is kept of them: [paused, scale, [first, last, count, …]] -------------------- */

void queue_keep(Jobs *jobs, Queue *q) {
  Buf entry = {0};
  cbor_put_array(&entry, 3);
  cbor_put_bool(&entry, q->paused);
  cbor_put_uint(&entry, q->scale);
  cbor_put_array(&entry, 3 * (uint64_t)q->window.count);
  for (uint32_t i = 0; i < q->window.count; i++) {
    cbor_put_int(&entry, q->window.pieces[i].first_us);
    cbor_put_int(&entry, q->window.pieces[i].last_us);
    cbor_put_uint(&entry, q->window.pieces[i].count);
  }
  grouping_kv(app_grouping(jobs->app), SPACE_QUEUE, q->name, buf_view(&entry));
  buf_deinit(&entry);
  q->kept = true;
}

static bool window_read(CborReader *r, Window *w, Err *err) {
  uint64_t count = 0;
  if (!cbor_array(r, &count, err) || count % 3 != 0 || count / 3 > WINDOW_PARTS + 1) return false;
  w->count = (uint32_t)(count / 3);
  for (uint32_t i = 0; i < w->count; i++) {
    WindowPiece *p = &w->pieces[i];
    if (!cbor_int(r, &p->first_us, err) || !cbor_int(r, &p->last_us, err)) return false;
    if (!cbor_uint(r, &p->count, err)) return false;
  }
  return true;
}

static bool queue_read(Queue *q, Str entry, Err *err) {
  CborReader r = cbor_reader(entry);
  CborItem paused;
  uint64_t count, scale;
  if (!cbor_array(&r, &count, err) || count != 3 || !cbor_next(&r, &paused, err) || !cbor_uint(&r, &scale, err))
    return false;
  q->paused = paused.kind == CBOR_BOOL && paused.n != 0;
  q->scale = scale <= UINT32_MAX ? (uint32_t)scale : 0;
  q->kept = true;
  return window_read(&r, &q->window, err);
}

typedef struct QueuesLoad {
  Jobs *jobs;
  Err *err;
  bool ok;
} QueuesLoad;

static bool queue_load(void *context, Str key, Str value) {
  QueuesLoad *load = context;
  if (queue_read(queue_get(load->jobs, key), value, load->err)) return true;
  FAIL(load->err, ERR_CORRUPT, "what the store has of queue " STR_FMT " cannot be read", STR_ARG(key));
  load->ok = false;
  return false;
}

bool queues_load(Jobs *jobs, Err *err) {
  QueuesLoad load = {jobs, err, true};
  return store_kv_each(app_store(jobs->app), SPACE_QUEUE, (Str){0}, (Str){0}, queue_load, &load, err) && load.ok;
}

/* ---- room ---------------------------------------------------------------------------- */

uint32_t queue_concurrency(const Queue *q) {
  uint32_t n = q->scale != 0 ? q->scale : q->declared;
  return q->global != 0 && q->global < n ? q->global : n;
}

static uint64_t window_count(const Queue *q, int64_t now_us) {
  uint64_t count = 0;
  for (uint32_t i = 0; i < q->window.count; i++)
    if (q->window.pieces[i].last_us > now_us - q->limit_per_us) count += q->window.pieces[i].count;
  return count;
}

/* When the first of what fills the window leaves it. */
static int64_t window_opens(const Queue *q, int64_t now_us) {
  for (uint32_t i = 0; i < q->window.count; i++)
    if (q->window.pieces[i].last_us > now_us - q->limit_per_us) return q->window.pieces[i].last_us + q->limit_per_us;
  return now_us;
}

static void window_add(Queue *q, int64_t now_us, uint32_t started) {
  Window *w = &q->window;
  uint32_t gone = 0;
  while (gone < w->count && w->pieces[gone].last_us <= now_us - q->limit_per_us) gone++;
  if (gone == 0 && w->count == WINDOW_PARTS + 1) { /* the clock went back: two pieces are one */
    w->pieces[1].first_us = w->pieces[0].first_us;
    w->pieces[1].count += w->pieces[0].count;
    gone = 1;
  }
  w->count -= gone;
  memmove(w->pieces, w->pieces + gone, w->count * sizeof *w->pieces);
  WindowPiece *last = w->count > 0 ? &w->pieces[w->count - 1] : NULL;
  if (last != NULL && now_us - last->first_us < q->limit_per_us / WINDOW_PARTS) {
    last->count += started;
    if (now_us > last->last_us) last->last_us = now_us;
    return;
  }
  w->pieces[w->count++] = (WindowPiece){now_us, now_us, started};
}

uint32_t queue_room(const Queue *q, int64_t now_us) {
  uint32_t concurrency = queue_concurrency(q);
  uint64_t room = q->executing < concurrency ? concurrency - q->executing : 0;
  if (q->paused || room == 0) return 0;
  if (q->limit_count != 0) {
    uint64_t used = window_count(q, now_us);
    uint64_t left = used < q->limit_count ? q->limit_count - used : 0;
    if (left < room) room = left;
  }
  return room < QUEUE_PICK_MAX ? (uint32_t)room : QUEUE_PICK_MAX;
}

/* ---- when to look ------------------------------------------------------------------------ */

void queue_placed(Queue *q, int64_t due_us) {
  if (!q->placed || due_us < q->placed_us) q->placed_us = due_us;
  q->placed = true;
}

void queue_committed(Queue *q, int64_t now_us) {
  if (!q->placed) return;
  q->placed = false;
  if (q->placed_us <= now_us) q->look = true;
  else if (q->next_due_us == 0 || q->placed_us < q->next_due_us) q->next_due_us = q->placed_us;
}

bool queue_due(const Queue *q, int64_t now_us, int64_t *due_us) {
  *due_us = 0;
  if (q->paused || q->executing >= queue_concurrency(q)) return false;
  bool any = q->look || (q->next_due_us != 0 && q->next_due_us <= now_us);
  if (!any) *due_us = q->next_due_us;
  else if (queue_room(q, now_us) == 0) *due_us = window_opens(q, now_us);
  return any && queue_room(q, now_us) > 0;
}

/* ---- picking ------------------------------------------------------------------------------ */

typedef struct Picked {
  Jobs *jobs;
  Buf rows; /* JobRow, their texts in jobs->arena */
  uint32_t room;
  uint32_t found, seen; /* of the priority that is asked for */
  bool full;            /* it has more than there is room for */
  bool more;            /* one of them has */
} Picked;

/* Each missing worker is said once for each bundle that is activated. */
static void worker_missing(Jobs *jobs, const JobRow *row) {
  if (table_get(jobs->missing, row->worker) != NULL) return;
  table_set(jobs->missing, row->worker, jobs);
  scheduler_notice(jobs->app->scheduler,
                   "queue " STR_FMT " has jobs of worker " STR_FMT
                   ", which the active program does not have: they wait until one has it",
                   STR_ARG(row->queue), STR_ARG(row->worker));
}

static bool pick_row(void *context, const JobRow *row) {
  Picked *p = context;
  Jobs *jobs = p->jobs;
  uint32_t worker;
  p->seen++;
  if (table_get(jobs->changed, table_key64(&row->number)) != NULL || exec_find(jobs, row->id) != NULL) return true;
  if (!worker_find(jobs->app->bundle, row->worker, &worker)) {
    worker_missing(jobs, row);
    return true;
  }
  if (p->found == p->room) {
    p->full = true;
    return false;
  }
  JobRow copy = *row;
  copy.worker = arena_str(&jobs->arena, row->worker);
  copy.queue = arena_str(&jobs->arena, row->queue);
  copy.input = arena_str(&jobs->arena, row->input);
  copy.meta = arena_str(&jobs->arena, row->meta);
  copy.unique = arena_str(&jobs->arena, row->unique);
  copy.note = (Str){0};
  buf_put(&p->rows, &copy, sizeof copy);
  p->found++;
  return true;
}

/* Who has waited long rises: a step of priority is worth a minute. */
static int row_order(const void *a, const void *b) {
  const JobRow *x = a, *y = b;
  int64_t rank_x = x->due_us + x->priority * RISE_US, rank_y = y->due_us + y->priority * RISE_US;
  if (rank_x != rank_y) return rank_x < rank_y ? -1 : 1;
  if (x->priority != y->priority) return x->priority < y->priority ? -1 : 1;
  return (x->number > y->number) - (x->number < y->number);
}

/* The first of one priority. Rows that may not be picked are passed over, so more are read than are wanted. */
static bool pick_priority(Picked *p, const Queue *q, uint8_t priority, int64_t now_us, Err *err) {
  Store *store = app_store(p->jobs->app);
  size_t before = p->rows.size;
  for (uint32_t limit = p->room + 1;; limit *= 8) {
    p->rows.size = before;
    p->found = p->seen = 0;
    p->full = false;
    if (!store_job_due_of(store, q->name, priority, now_us, limit, pick_row, p, err)) return false;
    if (p->full || p->seen < limit || limit > UINT32_MAX / 8) break;
  }
  p->more = p->more || p->full;
  return true;
}

/* Of the first of each priority that are due the first `room`. */
static bool pick(Picked *p, const Queue *q, int64_t now_us, Err *err) {
  for (uint8_t priority = 0; priority < PRIORITIES; priority++)
    if (!pick_priority(p, q, priority, now_us, err)) return false;
  size_t count = p->rows.size / sizeof(JobRow);
  if (count > 1) qsort(p->rows.at, count, sizeof(JobRow), row_order);
  if (count <= p->room) return true;
  p->rows.size = p->room * sizeof(JobRow);
  p->more = true;
  return true;
}

/* ---- beginning ----------------------------------------------------------------------------- */

/* The job as the active bundle has it: of another bundle's making it is checked and upcast. */
static bool job_data(Jobs *jobs, const JobRow *row, uint32_t worker, const JobMeta *m, Buf *out, Refusal *refusal) {
  if (memcmp(&m->bundle, &jobs->app->bundle->id, sizeof m->bundle) == 0) {
    buf_str(out, row->input);
    return true;
  }
  Buf data = {0};
  bool ok = job_admit(jobs, worker, row->input, false, &data, refusal);
  if (ok) buf_str(out, buf_view(&data));
  buf_deinit(&data);
  return ok;
}

/* [job, meta], and the run that does it. */
static bool job_begin(Jobs *jobs, const JobRow *row, const JobMeta *m, Slot **slot, Refusal *refusal, Err *err) {
  const Bundle *b = jobs->app->bundle;
  uint32_t index;
  ASSERT(worker_find(b, row->worker, &index));
  const BundleWorker *w = &b->workers[index];
  Buf *input = &jobs->bytes;
  buf_clear(input);
  cbor_put_array(input, 2);
  if (!job_data(jobs, row, index, m, input, refusal)) return false;
  if (w->uses_meta) {
    cbor_put_tag(input, CBOR_TAG_MAP);
    cbor_put_array(input, 12);
    buf_str(input, m->pairs);
  } else {
    cbor_put_nil(input);
  }
  SlotHead head = {.id = row->id, .bundle = b->id, .entry = row->worker, .input = buf_view(input), .tenant = m->tenant,
                   .causation = buf_view(&m->causation), .correlation = buf_view(&m->correlation)};
  *refusal = (Refusal){0};
  return slot_begin(jobs->app->scheduler, &head, slot, err);
}

static bool row_begin(Jobs *jobs, JobRow *row, Err *err) {
  JobMeta m = {0};
  Refusal refusal = {0};
  Slot *slot = NULL;
  Err why = {0};
  bool read = job_meta_read(row->meta, &m, &why);
  if (read && job_begin(jobs, row, &m, &slot, &refusal, &why)) {
    row->run = slot->number;
    row->attempt = 1;
    job_update(jobs, &exec_add(jobs, row)->row);
  } else if (why.code == ERR_IO || why.code == ERR_FULL) {
    *err = why;
    job_meta_deinit(&m);
    return false;
  } else if (refusal.code.size > 0) {
    job_dead(jobs, row, refusal.code, refusal.message);
  } else {
    job_dead(jobs, row, STR("job_stopped"), str_of(why.text));
  }
  job_meta_deinit(&m);
  return true;
}

/* It has a run: an attempt was made, and the next one's turn has come. */
static bool row_go_on(Jobs *jobs, const JobRow *row, Err *err) { return job_go_on(jobs, exec_add(jobs, row), err); }

static bool picked_begin(Jobs *jobs, Queue *q, const Picked *p, int64_t now_us, Err *err) {
  JobRow *rows = (JobRow *)(void *)p->rows.at;
  uint32_t count = (uint32_t)(p->rows.size / sizeof *rows);
  for (uint32_t i = 0; i < count; i++)
    if (rows[i].run == 0 ? !row_begin(jobs, &rows[i], err) : !row_go_on(jobs, &rows[i], err)) return false;
  if (count > 0 && q->limit_count != 0) {
    window_add(q, now_us, count);
    queue_keep(jobs, q);
  }
  return true;
}

bool queue_collect(Jobs *jobs, Queue *q, int64_t now_us, Err *err) {
  if (q->next_due_us != 0 && q->next_due_us <= now_us) q->look = true;
  if (!q->look) return true;
  Picked p = {.jobs = jobs, .room = queue_room(q, now_us)};
  if (p.room == 0) return true;
  bool ok = pick(&p, q, now_us, err) && picked_begin(jobs, q, &p, now_us, err);
  q->look = p.more;
  q->next_due_us = 0;
  if (ok && !p.more) ok = store_job_next_due(app_store(jobs->app), q->name, now_us, &q->next_due_us, err);
  buf_deinit(&p.rows);
  arena_deinit(&jobs->arena);
  arena_init(&jobs->arena);
  return ok;
}
