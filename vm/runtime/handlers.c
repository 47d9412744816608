/* Handlers in the rounds: who may take what, and how far each one is. */
#include "vm/runtime/handlers.h"

#include "vm/base/cbor.h"
#include "vm/base/mem.h"
#include "vm/core/machine.h"
#include "vm/runtime/handlers_impl.h"

/* ---- life ---------------------------------------------------------------- */

Handlers *handlers_new(App *app) {
  Handlers *h = MEM_NEW(Handlers);
  h->app = app;
  h->by_run = table_new();
  return h;
}

static void handler_free(Handler *x) {
  deliveries_free(x);
  batch_clear(&x->batch);
  table_free(x->types);
  table_free(x->lines);
  table_free(x->deliveries);
  mem_free(x->name_text);
  mem_free(x);
}

void handlers_free(Handlers *h) {
  if (h == NULL) return;
  for (uint32_t i = 0; i < h->count; i++) handler_free(h->at[i]);
  mem_free(h->at);
  feed_clear(h);
  decider_free(h->desk);
  table_free(h->by_run);
  deadlines_deinit(&h->deadlines);
  buf_deinit(&h->data);
  buf_deinit(&h->meta);
  buf_deinit(&h->input);
  buf_deinit(&h->entry);
  buf_deinit(&h->keep);
  buf_deinit(&h->kv);
  buf_deinit(&h->value);
  mem_free(h);
}

Handler *handler_by_name(const Handlers *h, Str name) {
  for (uint32_t i = 0; i < h->count; i++)
    if (str_equal(h->at[i]->name, name)) return h->at[i];
  return NULL;
}

static Handler *handler_add(Handlers *h, Str name) {
  Handler *x = MEM_NEW(Handler);
  x->all = h;
  x->name_text = mem_alloc(name.size + 1);
  memcpy(x->name_text, name.at, name.size);
  x->name = (Str){x->name_text, name.size};
  x->types = table_new();
  x->lines = table_new();
  x->deliveries = table_new();
  x->ready_end = &x->ready;
  h->at = mem_grow(h->at, &h->cap, h->count + 1, sizeof(Handler *));
  h->at[h->count++] = x;
  return x;
}

/* ---- its place in the log ---------------------------------------------------- */

void handler_save(Handler *x) {
  Buf value = {0};
  cbor_put_array(&value, 1);
  cbor_put_uint(&value, x->taken);
  grouping_kv(app_grouping(x->all->app), SPACE_HANDLER, x->name, buf_view(&value));
  buf_deinit(&value);
  x->stored = x->taken;
}

static bool position_decode(Str value, uint64_t *position) {
  CborReader r = cbor_reader(value);
  Err ignored;
  uint64_t items;
  return cbor_array(&r, &items, &ignored) && items >= 1 && cbor_uint(&r, position, &ignored);
}

/* New to the store: from the first event, or from the next one. */
static bool handler_place(Handler *x, Err *err) {
  App *app = x->all->app;
  Buf value = {0};
  Err missing = {0};
  bool found = store_kv_get(app_store(app), SPACE_HANDLER, x->name, &value, &missing);
  bool ok = found ? position_decode(buf_view(&value), &x->taken) : missing.code == ERR_NOT_FOUND;
  if (!ok && !found) *err = missing;
  else if (!ok) FAIL(err, ERR_CORRUPT, "the place of handler " STR_FMT " in the log cannot be read", STR_ARG(x->name));
  if (ok && !found) {
    x->taken = x->sub->from_current ? store_last_gid(app_store(app)) * 4096 + 4095 : 0;
    handler_save(x);
  }
  x->stored = x->taken;
  buf_deinit(&value);
  return ok && deliveries_load(x, err);
}

/* ---- another bundle -------------------------------------------------------------- */

static void types_fill(Handler *x, const Bundle *b) {
  table_free(x->types);
  x->types = table_new();
  for (uint32_t n = 0; x->sub != NULL && n < x->sub->clauses.count; n++) {
    uint32_t at = x->sub->clauses.first + n;
    Str name = bundle_text(b, b->shapes[b->clauses[at].shape].stored_name);
    if (table_get(x->types, name) == NULL) table_set(x->types, name, (void *)(uintptr_t)(at + 1));
  }
}

static bool handler_activate(Handlers *h, const BundleSubscriber *sub, Err *err) {
  Str name = bundle_text(h->app->bundle, sub->name);
  Handler *x = handler_by_name(h, name);
  bool fresh = x == NULL;
  if (fresh) x = handler_add(h, name);
  x->sub = sub;
  types_fill(x, h->app->bundle);
  if (fresh) return handler_place(x, err);
  deliveries_revive(x);
  return true;
}

static bool stored_handler(void *context, Str key, Str value) {
  Handlers *h = context;
  (void)value;
  if (handler_by_name(h, key) == NULL) handler_add(h, key);
  return true;
}

/* Handlers of earlier programs: what they have begun is finished, what comes is left for the day they are back. */
static bool handlers_idle(Handlers *h, Err *err) {
  uint32_t known = h->count;
  if (!store_kv_each(app_store(h->app), SPACE_HANDLER, (Str){0}, (Str){0}, stored_handler, h, err)) return false;
  for (uint32_t i = known; i < h->count; i++)
    if (!handler_place(h->at[i], err)) return false;
  for (uint32_t i = 0; i < h->count; i++)
    if (h->at[i]->sub == NULL)
      scheduler_notice(h->app->scheduler, "handler " STR_FMT " is not in the active program: it is kept, and gets no "
                       "more events", STR_ARG(h->at[i]->name));
  return true;
}

bool handlers_activate(Handlers *h, Err *err) {
  const Bundle *b = h->app->bundle;
  decider_free(h->desk);
  h->desk = app_decider(h->app);
  if (h->count == 0) h->base = h->last_gid = store_last_gid(app_store(h->app));
  for (uint32_t i = 0; i < h->count; i++) {
    h->at[i]->sub = NULL;
    types_fill(h->at[i], b);
  }
  for (uint32_t i = 0; i < b->subscriber_count; i++)
    if (!handler_activate(h, &b->subscribers[i], err)) return false;
  return handlers_idle(h, err);
}

/* ---- rounds ------------------------------------------------------------------------ */

static bool has_place(const Handler *x) { return x->sub != NULL && x->running < x->sub->concurrency; }

static void turns_due(Handlers *h) {
  int64_t now = app_now(h->app);
  Deadline *first;
  while ((first = deadlines_first(&h->deadlines)) != NULL && first->due_us <= now) {
    Delivery *d = (Delivery *)(void *)first;
    Err ignored;
    deadlines_drop(&h->deadlines, first);
    if (d->line != NULL) line_ready(d->handler, d->line);
    else delivery_go(d, &ignored);
  }
}

static bool lines_go(Handler *x, Err *err) {
  err->code = ERR_NONE;
  while (x->ready != NULL && (has_place(x) || x->sub == NULL)) {
    Line *line = x->ready;
    x->ready = line->next_ready;
    if (x->ready == NULL) x->ready_end = &x->ready;
    line->ready = false;
    delivery_go(line->first, err);
    if (err->code != ERR_NONE) return false;
  }
  return true;
}

static bool events_take(Handler *x, Err *err) {
  StoredEvent event;
  uint64_t before = x->taken;
  bool any = false;
  err->code = ERR_NONE;
  while (has_place(x) && x->waiting < WINDOW && feed_next(x, &event, err)) {
    Delivery *d = delivery_take(x, &event);
    any = true;
    if (d->line->first == d) delivery_begin(d, &event);
  }
  if (err->code != ERR_NONE) return false;
  if (any || x->taken / 4096 - x->stored / 4096 > 4096) handler_save(x);
  if (x->taken != before) bus_handlers_moved(x->all->app->bus);
  return true;
}

bool handlers_collect(Handlers *h, Err *err) {
  turns_due(h);
  for (uint32_t i = 0; i < h->count; i++)
    if (!lines_go(h->at[i], err) || !events_take(h->at[i], err)) return false;
  feed_forget(h);
  return true;
}

static Delivery *delivery_of(Handlers *h, const Slot *slot) {
  return table_get(h->by_run, table_key64(&slot->number));
}

void handlers_attempt(Handlers *h, Slot *slot, const Request *r) {
  Delivery *d = delivery_of(h, slot);
  if (d == NULL) return;
  if (r->kind == REQUEST_TURN) delivery_backoff(d, r->seq, r->due_us, r->note);
  else delivery_dead(d, r->note);
  bus_handlers_moved(h->app->bus);
}

void handlers_over(Handlers *h, Slot *slot) {
  Delivery *d = delivery_of(h, slot);
  if (d == NULL) return;
  if (slot->status == RUN_STATUS_DONE || slot->status == RUN_STATUS_CANCELLED) delivery_done(d);
  else delivery_dead(d, str_of(slot->note != NULL ? slot->note : run_status_word(slot->status)));
  bus_handlers_moved(h->app->bus);
}

static bool anybody(const Handlers *h) {
  for (uint32_t i = 0; i < h->count; i++)
    if (h->at[i]->sub != NULL) return true;
  return false;
}

bool handlers_committed(Handlers *h, Err *err) {
  const LogRow *const *rows;
  uint32_t count = agents_fresh(h->app->agents, &rows);
  (void)err;
  if (count == 0) return true;
  h->last_gid = rows[count - 1]->gid;
  if (!anybody(h)) {
    h->base = h->last_gid;
    return true;
  }
  for (uint32_t i = 0; i < count; i++) feed_add(h, rows[i]);
  for (uint32_t i = 0; i < h->count; i++) feed_skip(h->at[i]);
  feed_forget(h);
  return true;
}

bool handlers_ready(const Handlers *h) {
  for (uint32_t i = 0; i < h->count; i++) {
    const Handler *x = h->at[i];
    if (has_place(x) && (x->ready != NULL || (x->waiting < WINDOW && feed_waiting(x)))) return true;
  }
  return false;
}

int64_t handlers_next_due(const Handlers *h) {
  const Deadline *first = deadlines_first(&h->deadlines);
  return first != NULL ? first->due_us : 0;
}

/* ---- asked by others --------------------------------------------------------------- */

bool handlers_has(const Handlers *h, Str name) {
  const Handler *x = handler_by_name(h, name);
  return x != NULL && x->sub != NULL;
}

static bool is_meant(const Handler *x, Str name) {
  return x->sub != NULL && (name.size == 0 ? x->sub->strong != 0 : str_equal(x->name, name));
}

bool handlers_wanted(const Handlers *h, Str name) {
  for (uint32_t i = 0; i < h->count; i++)
    if (is_meant(h->at[i], name)) return true;
  return false;
}

/* The events of one command are those of one row, up to the position. */
static void handler_look(const Handler *x, uint64_t position, bool *late, bool *dead) {
  uint64_t row = position / 4096 * 4096;
  if (x->taken < position) {
    *late = feed_concerns(x, position / 4096);
    return;
  }
  for (uint64_t p = row + 1; p <= position; p++) {
    const Delivery *d = table_get(x->deliveries, table_key64(&p));
    if (d == NULL) continue;
    if (d->state == DELIVERY_DEAD) *dead = true;
    else *late = true;
  }
}

static void name_add(Buf *list, Str name) {
  if (list == NULL) return;
  if (list->size > 0) buf_text(list, ", ");
  buf_str(list, name);
}

bool handlers_reached(Handlers *h, Str name, uint64_t position, Buf *late, Buf *dead) {
  bool all = true;
  for (uint32_t i = 0; i < h->count; i++) {
    bool is_late = false, is_dead = false;
    if (!is_meant(h->at[i], name)) continue;
    handler_look(h->at[i], position, &is_late, &is_dead);
    if (is_late) name_add(late, h->at[i]->name);
    if (is_dead) name_add(dead, h->at[i]->name);
    all = all && !is_late && !is_dead;
  }
  return all;
}

/* "Handler.event": the handler's name, if it is one that is meant. */
static bool entry_inside(Handlers *h, Str entry, Str name) {
  const char *dot = entry.size > 0 ? memchr(entry.at, '.', entry.size) : NULL;
  if (dot == NULL) return false;
  const Handler *x = handler_by_name(h, (Str){entry.at, (size_t)(dot - entry.at)});
  return x != NULL && is_meant(x, name);
}

bool handlers_inside(Handlers *h, Uuid caller, Str name) {
  Scheduler *s = h->app->scheduler;
  Slot *slot = slot_by_id(s, caller);
  Buf keep = {0};
  RunRow row = {0};
  Err ignored;
  bool inside = false, more = slot != NULL || store_run_by_id(s->store, caller, &row, &keep, &ignored);
  while (more) {
    uint64_t parent = slot != NULL ? slot->parent : row.parent;
    bool is_handling = slot == NULL || slot->entry_kind == ENTRY_ON;
    inside = is_handling && entry_inside(h, slot != NULL ? slot->entry : row.entry, name);
    if (inside || parent == 0) break;
    slot = slot_by_number(s, parent);
    more = slot != NULL || store_run_get(s->store, parent, &row, &keep, &ignored);
  }
  buf_deinit(&keep);
  return inside;
}

static uint64_t done_position(const Handler *x) {
  uint64_t done = x->taken;
  uint32_t at = 0;
  void *value;
  while (table_next(x->deliveries, &at, NULL, &value)) {
    const Delivery *d = value;
    if (d->state != DELIVERY_DEAD && d->position <= done) done = d->position - 1;
  }
  return done;
}

void handlers_each(Handlers *h, bool (*each)(void *context, const HandlerInfo *info), void *context) {
  for (uint32_t i = 0; i < h->count; i++) {
    const Handler *x = h->at[i];
    HandlerInfo info = {.name = x->name, .taken = x->taken, .done = done_position(x), .running = x->running,
                        .waiting = x->waiting + x->backoff, .dead = x->dead,
                        .strong = x->sub != NULL && x->sub->strong};
    if (!each(context, &info)) return;
  }
}
