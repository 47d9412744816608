/* The handling of one event: its place in its line, its run, its row in SPACE_DELIVERY. */
#include "vm/base/cbor.h"
#include "vm/base/hash.h"
#include "vm/base/mem.h"
#include "vm/runtime/handlers_impl.h"

static const Str encoded_nil = {"\xf6", 1};

/* ---- rows ---------------------------------------------------------------- */

static Str delivery_key(Handler *x, uint64_t position) {
  Buf *key = &x->all->kv;
  buf_clear(key);
  buf_str(key, x->name);
  buf_byte(key, 0);
  for (int n = 7; n >= 0; n--) buf_byte(key, (uint8_t)(position >> (8 * n)));
  return buf_view(key);
}

enum { DELIVERY_ITEMS = 6 };

static void delivery_save(Delivery *d, Str note) {
  Handlers *h = d->handler->all;
  buf_clear(&h->value);
  cbor_put_array(&h->value, DELIVERY_ITEMS);
  cbor_put_uint(&h->value, d->state);
  cbor_put_uint(&h->value, d->key);
  cbor_put_uint(&h->value, d->run);
  cbor_put_int(&h->value, d->state == DELIVERY_BACKOFF ? d->deadline.due_us : 0);
  cbor_put_uint(&h->value, d->seq);
  cbor_put_text(&h->value, note);
  grouping_kv(app_grouping(h->app), SPACE_DELIVERY, delivery_key(d->handler, d->position), buf_view(&h->value));
}

static bool delivery_decode(Str value, Delivery *d, int64_t *due_us) {
  CborReader r = cbor_reader(value);
  Err ignored;
  uint64_t items, state;
  bool ok = cbor_array(&r, &items, &ignored) && items == DELIVERY_ITEMS && cbor_uint(&r, &state, &ignored) &&
            cbor_uint(&r, &d->key, &ignored) && cbor_uint(&r, &d->run, &ignored) && cbor_int(&r, due_us, &ignored) &&
            cbor_uint(&r, &d->seq, &ignored) && state <= DELIVERY_DEAD;
  if (ok) d->state = (uint8_t)state;
  return ok;
}

/* ---- letters without a run ---------------------------------------------------- */

typedef struct Strays {
  bool (*each)(void *context, const StrayLetter *letter);
  void *context;
} Strays;

static bool stray_see(void *context, Str key, Str value) {
  const Strays *strays = context;
  Delivery d = {0};
  int64_t due_us;
  CborReader r = cbor_reader(value);
  Err ignored;
  uint64_t items;
  StrayLetter letter = {0};
  bool stray = key.size >= 9 && delivery_decode(value, &d, &due_us) && d.state == DELIVERY_DEAD && d.run == 0;
  if (!stray || !cbor_array(&r, &items, &ignored)) return true;
  for (uint32_t i = 0; i + 1 < DELIVERY_ITEMS; i++)
    if (!cbor_skip(&r, NULL, &ignored)) return true;
  if (!cbor_text(&r, &letter.note, &ignored)) return true;
  letter.handler = (Str){key.at, key.size - 9};
  for (size_t i = key.size - 8; i < key.size; i++) letter.position = letter.position << 8 | (uint8_t)key.at[i];
  return strays->each(strays->context, &letter);
}

bool handlers_strays(Store *store, bool (*each)(void *context, const StrayLetter *letter), void *context, Err *err) {
  Strays strays = {each, context};
  return store_kv_each(store, SPACE_DELIVERY, (Str){0}, (Str){0}, stray_see, &strays, err);
}

/* ---- lines and places ------------------------------------------------------- */

void line_ready(Handler *x, Line *line) {
  if (line->ready) return;
  line->ready = true;
  line->next_ready = NULL;
  *x->ready_end = line;
  x->ready_end = &line->next_ready;
}

static Line *line_of(Handler *x, uint64_t key) {
  Line *line = table_get(x->lines, table_key64(&key));
  if (line != NULL) return line;
  line = MEM_NEW(Line);
  line->key = key;
  line->end = &line->first;
  table_set(x->lines, table_key64(&line->key), line);
  return line;
}

static void line_enter(Delivery *d) {
  Line *line = line_of(d->handler, d->key);
  d->line = line;
  d->next = NULL;
  *line->end = d;
  line->end = &d->next;
}

static void ready_leave(Handler *x, const Line *line) {
  for (Line **link = &x->ready; *link != NULL; link = &(*link)->next_ready) {
    if (*link != line) continue;
    *link = line->next_ready;
    if (*link == NULL) x->ready_end = link;
    return;
  }
}

/* Only the first one of a line ever leaves it. The next one's time has come. */
static void line_leave(Delivery *d) {
  Line *line = d->line;
  if (line == NULL) return;
  ASSERT(line->first == d);
  d->line = NULL;
  line->first = d->next;
  if (line->first != NULL) {
    line_ready(d->handler, line);
    return;
  }
  if (line->ready) ready_leave(d->handler, line);
  table_set(d->handler->lines, table_key64(&line->key), NULL);
  mem_free(line);
}

static void place_give(Delivery *d, bool has) {
  if (has && !d->place) d->handler->running++;
  if (!has && d->place) d->handler->running--;
  d->place = has;
}

/* Counts follow the state. */
static void state_set(Delivery *d, DeliveryState state) {
  uint32_t *const counts[] = {&d->handler->waiting, NULL, &d->handler->backoff, &d->handler->dead};
  if (counts[d->state] != NULL) (*counts[d->state])--;
  if (counts[state] != NULL) (*counts[state])++;
  d->state = (uint8_t)state;
}

static Delivery *delivery_new(Handler *x, uint64_t position, uint64_t key) {
  Delivery *d = MEM_NEW(Delivery);
  d->handler = x;
  d->position = position;
  d->key = key;
  x->waiting++;
  table_set(x->deliveries, table_key64(&d->position), d);
  return d;
}

static void delivery_free(Delivery *d) {
  Handler *x = d->handler;
  deadlines_drop(&x->all->deadlines, &d->deadline);
  place_give(d, false);
  state_set(d, DELIVERY_RUNNING); /* not counted */
  if (d->run != 0) table_set(x->all->by_run, table_key64(&d->run), NULL);
  table_set(x->deliveries, table_key64(&d->position), NULL);
  mem_free(d);
}

/* ---- taking ------------------------------------------------------------------- */

/* One key a stream, unless the handler names fields of its events. */
uint64_t event_key(const Handler *x, const StoredEvent *event) {
  const Bundle *b = x->all->app->bundle;
  uint64_t hash = event->stream;
  if (x->sub->keys.count == 0) return hash;
  hash = 0;
  for (uint32_t n = 0; n < x->sub->keys.count; n++) {
    Str field = cbor_map_get(event->data, bundle_text(b, b->indexes[x->sub->keys.first + n]));
    hash = hash * UINT64_C(0x9e3779b97f4a7c15) + hash_bytes(field.at, field.size);
  }
  return hash;
}

Delivery *delivery_take(Handler *x, const StoredEvent *event) {
  Delivery *d = delivery_new(x, event->position, event_key(x, event));
  line_enter(d);
  if (d->line->first != d) delivery_save(d, (Str){0});
  return d;
}

/* ---- beginning ------------------------------------------------------------------ */

static Uuid handling_id(const Delivery *d, int64_t at_us) {
  Sha256 s;
  sha256_begin(&s);
  sha256_add(&s, d->handler->name);
  sha256_add(&s, (Str){"\0", 1});
  sha256_add(&s, table_key64(&d->position));
  return uuid_v7(at_us, sha256_end(&s).byte);
}

static void input_put(Buf *out, Str event, Str meta) {
  buf_clear(out);
  cbor_put_array(out, 2);
  buf_str(out, event);
  buf_str(out, meta);
}

static void put_uuid(Buf *out, Uuid id) { cbor_put_bytes(out, (Str){(const char *)id.byte, sizeof id.byte}); }

/* An event of the shape of today's program, whoever made it. */
static bool event_admit(Handler *x, const BundleClause *clause, const StoredEvent *e, Str *note) {
  Handlers *h = x->all;
  Refusal refusal;
  bool own = memcmp(&e->bundle, &h->app->bundle->id, sizeof e->bundle) == 0;
  buf_clear(&h->data);
  if (decider_admit(h->desk, clause->shape, e->data, e->version, own, &h->data, &refusal)) return true;
  *note = refusal.message;
  return false;
}

static bool run_begin_for(Delivery *d, const StoredEvent *event, Err *err) {
  Handler *x = d->handler;
  Handlers *h = x->all;
  StoredEvent e = *event;
  Slot *slot;
  if (!agents_stream_name(h->app->agents, e.stream, &e.key, &e.agent, &e.tenant, err)) return false;
  buf_clear(&h->meta);
  event_meta(&e, &h->meta);
  input_put(&h->input, buf_view(&h->data), buf_view(&h->meta));
  buf_clear(&h->entry);
  buf_str(&h->entry, x->name);
  buf_byte(&h->entry, '.');
  buf_str(&h->entry, e.type);
  buf_clear(&h->meta);
  put_uuid(&h->meta, e.id);
  size_t cut = h->meta.size;
  put_uuid(&h->meta, e.correlation);
  SlotHead head = {.id = handling_id(d, e.at_us), .bundle = h->app->bundle->id, .entry = buf_view(&h->entry),
                   .input = buf_view(&h->input), .tenant = e.tenant, .causation = {h->meta.at, cut},
                   .correlation = {h->meta.at + cut, h->meta.size - cut}};
  if (!slot_begin(h->app->scheduler, &head, &slot, err)) return false;
  d->run = slot->number;
  table_set(h->by_run, table_key64(&d->run), d);
  return true;
}

void delivery_begin(Delivery *d, const StoredEvent *event) {
  Handler *x = d->handler;
  Handlers *h = x->all;
  uintptr_t clause = x->sub != NULL ? (uintptr_t)table_get(x->types, event->type) : 0;
  Str note = STR("the active program does not handle this event");
  Err err;
  bool ok = clause != 0 && event_admit(x, &h->app->bundle->clauses[clause - 1], event, &note);
  if (ok && !run_begin_for(d, event, &err)) {
    ok = false;
    note = str_of(err.text);
  }
  if (!ok) {
    scheduler_notice(h->app->scheduler, "handler " STR_FMT " cannot begin with the event at position %" PRIu64
                     ": " STR_FMT "; it is among the dead letters until there is another program", STR_ARG(x->name),
                     d->position, STR_ARG(note));
    delivery_dead(d, note);
    return;
  }
  place_give(d, true);
  state_set(d, DELIVERY_RUNNING);
  delivery_save(d, (Str){0});
}

void delivery_go(Delivery *d, Err *err) {
  Handler *x = d->handler;
  StoredEvent event;
  if (d->state == DELIVERY_BACKOFF) {
    deadlines_drop(&x->all->deadlines, &d->deadline);
    place_give(d, true);
    state_set(d, DELIVERY_RUNNING);
    delivery_save(d, (Str){0});
    d->answering = true; /* taking its run up says once more that it waits */
    slot_answer(x->all->app->scheduler, d->run, d->seq, "ok", encoded_nil);
    d->answering = false;
  } else if (d->state == DELIVERY_WAITING && x->sub != NULL && feed_event(x, d->position, &event, err)) {
    delivery_begin(d, &event);
  }
}

/* ---- after an attempt -------------------------------------------------------------- */

void delivery_backoff(Delivery *d, uint64_t seq, int64_t due_us, Str note) {
  Handler *x = d->handler;
  bool known = d->state == DELIVERY_BACKOFF && d->seq == seq && d->deadline.due_us == due_us;
  if (known || d->answering || d->state == DELIVERY_WAITING) return; /* known: said again when its run was taken up */
  place_give(d, false);
  state_set(d, DELIVERY_BACKOFF);
  d->seq = seq;
  deadlines_set(&x->all->deadlines, &d->deadline, due_us);
  delivery_save(d, note);
}

void delivery_dead(Delivery *d, Str note) {
  if (d->state == DELIVERY_DEAD) return;
  deadlines_drop(&d->handler->all->deadlines, &d->deadline);
  place_give(d, false);
  state_set(d, DELIVERY_DEAD);
  line_leave(d);
  delivery_save(d, note);
}

void delivery_done(Delivery *d) {
  Handler *x = d->handler;
  grouping_kv(app_grouping(x->all->app), SPACE_DELIVERY, delivery_key(x, d->position), (Str){0});
  line_leave(d);
  delivery_free(d);
}

/* ---- from the store ------------------------------------------------------------------ */

static uint64_t position_of_key(Str key) {
  uint64_t position = 0;
  for (size_t n = key.size - 8; n < key.size; n++) position = position << 8 | (uint8_t)key.at[n];
  return position;
}

static bool delivery_load(void *context, Str key, Str value) {
  Handler *x = context;
  Delivery stored;
  int64_t due_us = 0;
  if (key.size < 9 || !delivery_decode(value, &stored, &due_us)) {
    scheduler_notice(x->all->app->scheduler, "a delivery of handler " STR_FMT " cannot be read", STR_ARG(x->name));
    return true;
  }
  Delivery *d = delivery_new(x, position_of_key(key), stored.key);
  d->run = stored.run;
  d->seq = stored.seq;
  d->deadline.due_us = due_us;
  state_set(d, (DeliveryState)stored.state);
  if (d->run != 0) table_set(x->all->by_run, table_key64(&d->run), d);
  if (d->state != DELIVERY_DEAD) line_enter(d);
  return true;
}

/* What was at work goes on where its run stands; the scheduler has it, or takes it up now. */
static void delivery_take_up(Delivery *d) {
  Handlers *h = d->handler->all;
  Err err;
  if (d->state == DELIVERY_BACKOFF) {
    deadlines_set(&h->deadlines, &d->deadline, d->deadline.due_us);
    return;
  }
  if (d->state != DELIVERY_RUNNING) return;
  place_give(d, true);
  if (!scheduler_resume(h->app->scheduler, d->run, &err))
    scheduler_notice(h->app->scheduler, "the handling of an event by " STR_FMT " cannot be continued: %s",
                     STR_ARG(d->handler->name), err.text);
}

bool deliveries_load(Handler *x, Err *err) {
  uint32_t at = 0;
  void *value;
  buf_clear(&x->all->kv);
  buf_str(&x->all->kv, x->name);
  buf_byte(&x->all->kv, 0);
  Str prefix = buf_view(&x->all->kv);
  if (!store_kv_each(app_store(x->all->app), SPACE_DELIVERY, prefix, (Str){0}, delivery_load, x, err)) return false;
  while (table_next(x->deliveries, &at, NULL, &value)) delivery_take_up(value);
  deliveries_revive(x);
  return true;
}

static void lines_wake(Handler *x) {
  uint32_t at = 0;
  void *value;
  while (table_next(x->lines, &at, NULL, &value)) {
    Line *line = value;
    if (line->first->state == DELIVERY_WAITING) line_ready(x, line);
  }
}

void deliveries_revive(Handler *x) {
  uint32_t at = 0;
  void *value;
  lines_wake(x);
  while (table_next(x->deliveries, &at, NULL, &value)) {
    Delivery *d = value;
    if (d->state != DELIVERY_DEAD || d->run != 0 || x->sub == NULL) continue;
    state_set(d, DELIVERY_WAITING);
    line_enter(d);
    if (d->line->first == d) line_ready(x, d->line);
    delivery_save(d, (Str){0});
  }
}

void deliveries_free(Handler *x) {
  uint32_t at = 0;
  void *value;
  while (table_next(x->lines, &at, NULL, &value)) mem_free(value);
  at = 0;
  while (table_next(x->deliveries, &at, NULL, &value)) delivery_free(value);
}
