/* Which event a handler gets next: from the rows of the last rounds, which all handlers share, or, when it is
** behind them, from the log, a batch of rows at a time. */
#include "vm/base/mem.h"
#include "vm/journal/chain.h"
#include "vm/journal/record.h"
#include "vm/runtime/handlers_impl.h"

/* ---- positions ------------------------------------------------------------ */

/* The last row of which it has looked at every event. */
static uint64_t row_passed(const Handler *x) {
  return x->taken % 4096 == 4095 || x->taken == 0 ? x->taken / 4096 : x->taken / 4096 - 1;
}

static void row_pass(Handler *x, uint64_t gid) {
  if (x->taken < gid * 4096 + 4095) x->taken = gid * 4096 + 4095;
}

/* ---- recent rows ------------------------------------------------------------ */

static Recent *recent_at(const Handlers *h, uint32_t n) {
  return &h->recent[(h->recent_first + n) & (h->recent_cap - 1)];
}

static void recent_drop(Handlers *h) {
  Recent *first = recent_at(h, 0);
  h->base = first->row.gid;
  mem_free(first->bytes);
  h->recent_first = (h->recent_first + 1) & (h->recent_cap - 1);
  h->recent_count--;
}

static void recent_grow(Handlers *h) {
  uint32_t cap = h->recent_cap > 0 ? 2 * h->recent_cap : 256;
  Recent *more = mem_alloc(cap * sizeof *more);
  for (uint32_t n = 0; n < h->recent_count; n++) more[n] = *recent_at(h, n);
  mem_free(h->recent);
  h->recent = more;
  h->recent_cap = cap;
  h->recent_first = 0;
}

void feed_add(Handlers *h, const LogRow *row) {
  uint32_t most = h->app->options.recent > 0 ? h->app->options.recent : RECENT_ROWS;
  while (h->recent_count >= most) recent_drop(h);
  if (h->recent_count == h->recent_cap) recent_grow(h);
  Recent *r = recent_at(h, h->recent_count++);
  r->row = *row;
  r->bytes = mem_realloc(NULL, row->bytes.size);
  memcpy(r->bytes, row->bytes.at, row->bytes.size);
  r->row.bytes.at = r->bytes;
}

void feed_forget(Handlers *h) {
  uint64_t passed = UINT64_MAX;
  for (uint32_t i = 0; i < h->count; i++)
    if (h->at[i]->sub != NULL && row_passed(h->at[i]) < passed) passed = row_passed(h->at[i]);
  while (h->recent_count > 0 && recent_at(h, 0)->row.gid <= passed) recent_drop(h);
}

void feed_clear(Handlers *h) {
  while (h->recent_count > 0) recent_drop(h);
  mem_free(h->recent);
  h->recent = NULL;
  h->recent_cap = 0;
}

/* The first recent row after gid, as a place in the ring; recent_count if there is none. */
static uint32_t recent_after(const Handlers *h, uint64_t gid) {
  uint32_t low = 0, high = h->recent_count;
  while (low < high) {
    uint32_t middle = low + (high - low) / 2;
    if (recent_at(h, middle)->row.gid <= gid) low = middle + 1;
    else high = middle;
  }
  return low;
}

/* ---- events of a row ----------------------------------------------------------- */

typedef struct Seeking {
  const Handler *handler;
  uint64_t after;
  StoredEvent *out;
  bool found;
} Seeking;

static bool is_wanted(void *context, const StoredEvent *event) {
  Seeking *s = context;
  if (event->position <= s->after || table_get(s->handler->types, event->type) == NULL) return true;
  if (s->out != NULL) *s->out = *event;
  s->found = true;
  return false;
}

/* The next event of the row that it handles; otherwise the row is passed. */
static bool row_next(Handler *x, const LogRow *row, StoredEvent *out, Err *err) {
  Seeking s = {x, x->taken, out, false};
  if (!events_each(row, is_wanted, &s, err)) return false;
  if (s.found) x->taken = out->position;
  else row_pass(x, row->gid);
  return s.found;
}

/* ---- the log -------------------------------------------------------------------- */

void batch_clear(Batch *b) {
  mem_free(b->rows);
  mem_free(b->ends);
  buf_deinit(&b->bytes);
  *b = (Batch){0};
}

static bool of_stream(Str row) {
  Str record;
  bool broken;
  uint64_t number, seq;
  return frame_next(&row, &record, &broken) && record_scan(record, &number, &seq) &&
         (number == RECORD_STREAM || number == RECORD_ACCEPTED);
}

typedef struct Reading {
  Handler *handler;
  uint32_t seen;
  uint64_t last;
} Reading;

static bool batch_row(void *context, const LogRow *row) {
  Reading *r = context;
  Batch *b = &r->handler->batch;
  r->last = row->gid;
  if (of_stream(row->bytes)) {
    b->rows = mem_grow(b->rows, &b->cap, b->count + 1, sizeof *b->rows);
    b->ends = mem_grow(b->ends, &b->end_cap, b->count + 1, sizeof *b->ends);
    buf_str(&b->bytes, row->bytes);
    b->rows[b->count] = *row;
    b->ends[b->count++] = b->bytes.size;
  }
  return ++r->seen < 16 * BATCH_ROWS && b->count < BATCH_ROWS && b->bytes.size < (8u << 20);
}

/* False: the log has nothing more, or err is filled. */
static bool batch_read(Handler *x, Err *err) {
  Batch *b = &x->batch;
  Reading r = {.handler = x, .last = row_passed(x)};
  b->count = b->at = 0;
  buf_clear(&b->bytes);
  if (!store_log_from(app_store(x->all->app), r.last, batch_row, &r, err)) return false;
  for (uint32_t n = 0; n < b->count; n++) {
    size_t at = n > 0 ? b->ends[n - 1] : 0;
    b->rows[n].bytes = (Str){b->bytes.at + at, b->ends[n] - at};
  }
  if (b->count == 0) row_pass(x, r.last); /* only runs' rows */
  if (r.seen == 0) row_pass(x, x->all->base);
  return r.seen > 0;
}

static bool behind(const Handler *x) { return row_passed(x) < x->all->base; }

static bool log_next(Handler *x, StoredEvent *out, Err *err) {
  Batch *b = &x->batch;
  while (behind(x) || b->at < b->count) {
    for (; b->at < b->count; b->at++) {
      if (row_next(x, &b->rows[b->at], out, err)) return true;
      if (err->code != ERR_NONE) return false;
    }
    if (!behind(x)) break;
    if (!batch_read(x, err) && err->code != ERR_NONE) return false;
  }
  batch_clear(b);
  return false;
}

/* ---- next ------------------------------------------------------------------------- */

static bool recent_next(Handler *x, StoredEvent *out, Err *err) {
  Handlers *h = x->all;
  uint32_t n = recent_after(h, row_passed(x));
  for (; n < h->recent_count; n++) {
    if (row_next(x, &recent_at(h, n)->row, out, err)) return true;
    if (err->code != ERR_NONE) return false;
  }
  return false;
}

bool feed_next(Handler *x, StoredEvent *out, Err *err) {
  err->code = ERR_NONE;
  if ((behind(x) || x->batch.count > 0) && log_next(x, out, err)) return true;
  return err->code == ERR_NONE && recent_next(x, out, err);
}

void feed_skip(Handler *x) {
  StoredEvent event;
  Err ignored = {0};
  if (x->sub == NULL || behind(x) || x->batch.count > 0) return;
  if (recent_next(x, &event, &ignored)) x->taken = event.position - 1; /* one for it, to be taken in the next round */
}

bool feed_waiting(const Handler *x) { return row_passed(x) < x->all->last_gid || x->batch.at < x->batch.count; }

bool feed_concerns(const Handler *x, uint64_t gid) {
  const Handlers *h = x->all;
  uint32_t n = recent_after(h, gid - 1);
  Err ignored;
  if (n >= h->recent_count || recent_at(h, n)->row.gid != gid) return true;
  Seeking s = {x, 0, NULL, false};
  return !events_each(&recent_at(h, n)->row, is_wanted, &s, &ignored) || s.found;
}

typedef struct Picking {
  uint64_t position;
  StoredEvent *out;
  bool found;
} Picking;

static bool is_at(void *context, const StoredEvent *event) {
  Picking *p = context;
  if (event->position != p->position) return true;
  *p->out = *event;
  p->found = true;
  return false;
}

bool feed_event(Handler *x, uint64_t position, StoredEvent *out, Err *err) {
  Handlers *h = x->all;
  LogRow row;
  Picking p = {position, out, false};
  uint64_t gid = position / 4096;
  uint32_t n = recent_after(h, gid - 1);
  if (n < h->recent_count && recent_at(h, n)->row.gid == gid) row = recent_at(h, n)->row;
  else if (!store_log_get(app_store(h->app), gid, &row, &h->keep, err)) return false;
  if (!events_each(&row, is_at, &p, err)) return false;
  if (!p.found) FAIL(err, ERR_CORRUPT, "there is no event at position %" PRIu64, position);
  return p.found;
}
