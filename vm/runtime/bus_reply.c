/* Results: kept with their commit where they must be given again, given out when it is durable, and for strong
** consistency only when the handlers have caught up, or will not. */
#include "vm/base/cbor.h"
#include "vm/base/hash.h"
#include "vm/base/mem.h"
#include "vm/runtime/bus_impl.h"

/* ---- stored results --------------------------------------------------------- */

/* By idempotency key: 16 bytes over tenant and key. By command id: the id. */
void reply_key(const Order *o, uint8_t key[16]) {
  Sha256 s;
  Str tenant = o->c.tenant.size > 0 ? o->c.tenant : STR("default");
  sha256_begin(&s);
  sha256_add(&s, tenant);
  sha256_add(&s, STR("\t"));
  sha256_add(&s, o->c.idempotency_key);
  Hash256 h = sha256_end(&s);
  memcpy(key, h.byte, 16);
}

/* A key names one act: this command to this instance. */
uint64_t reply_check(const Order *o) {
  uint64_t name = hash_bytes(o->c.name.at, o->c.name.size), key = hash_bytes(o->key.at, o->key.size);
  uint64_t both = name ^ (key << 1 | key >> 63);
  return both != 0 ? both : 1;
}

enum { REPLY_ITEMS = 4 };

void reply_keep(Bus *b, Str key, uint64_t check, const Outcome *out) {
  buf_clear(&b->work);
  cbor_put_array(&b->work, REPLY_ITEMS);
  cbor_put_int(&b->work, app_now(b->app));
  cbor_put_uint(&b->work, check);
  cbor_put_uint(&b->work, out->position);
  cbor_put_bytes(&b->work, buf_view(&b->value));
  grouping_kv(app_grouping(b->app), SPACE_REPLY, key, buf_view(&b->work));
}

typedef struct Kept {
  int64_t at_us;
  uint64_t check, position;
  Str value;
} Kept;

static bool kept_decode(Str bytes, Kept *k) {
  CborReader r = cbor_reader(bytes);
  Err ignored;
  uint64_t items;
  return cbor_array(&r, &items, &ignored) && items == REPLY_ITEMS && cbor_int(&r, &k->at_us, &ignored) &&
         cbor_uint(&r, &k->check, &ignored) && cbor_uint(&r, &k->position, &ignored) &&
         cbor_bytes(&r, &k->value, &ignored);
}

bool reply_find(Bus *b, Str key, uint64_t check, Outcome *out, bool *other, Err *err) {
  Str stored;
  Kept k;
  buf_clear(&b->work);
  if (!grouping_kv_get(app_grouping(b->app), SPACE_REPLY, key, &stored)) {
    if (!store_kv_get(app_store(b->app), SPACE_REPLY, key, &b->work, err)) return false;
    stored = buf_view(&b->work);
  }
  err->code = ERR_NOT_FOUND;
  if (stored.at == NULL || !kept_decode(stored, &k)) return false;
  if (k.check != check) {
    *other = true;
    return false;
  }
  buf_clear(&b->value);
  buf_str(&b->value, k.value);
  *out = (Outcome){.ok = true, .position = k.position};
  return true;
}

/* ---- pruning ------------------------------------------------------------------ */

enum { PRUNE_MANY = 64, KEY_ROOM = 64 };
#define PRUNE_EVERY_US INT64_C(10000)

typedef struct Pruning {
  Bus *bus;
  int64_t before_us;
  uint32_t seen;
} Pruning;

static bool prune_one(void *context, Str key, Str value) {
  Pruning *p = context;
  Bus *b = p->bus;
  Kept k;
  buf_clear(&b->prune_after);
  buf_str(&b->prune_after, key);
  if (!kept_decode(value, &k) || k.at_us < p->before_us)
    grouping_kv(app_grouping(b->app), SPACE_REPLY, buf_view(&b->prune_after), (Str){0});
  return ++p->seen < PRUNE_MANY;
}

/* A few at a time, around and around in order of key, when nothing else waits. */
void replies_prune(Bus *b, int64_t now_us) {
  Pruning p = {.bus = b, .before_us = now_us - REPLY_KEPT_US};
  Err ignored;
  char room[KEY_ROOM];
  if (now_us - b->pruned_us < PRUNE_EVERY_US) return;
  b->pruned_us = now_us;
  Str after = buf_view(&b->prune_after);
  if (after.size > sizeof room) after.size = 0;
  if (after.size > 0) memcpy(room, after.at, after.size);
  bool ok = store_kv_each(app_store(b->app), SPACE_REPLY, (Str){0}, (Str){room, after.size}, prune_one, &p, &ignored);
  if (ok && p.seen < PRUNE_MANY) buf_clear(&b->prune_after); /* that was the end: from the start next time */
}

/* ---- replies of the round -------------------------------------------------------- */

static bool each_handler(Bus *b, uint8_t consistency, Str handlers, bool (*each)(Bus *b, Str name, void *context),
                         void *context) {
  CborReader r = cbor_reader(handlers);
  Err ignored;
  uint64_t count;
  Str name;
  if (consistency == CONSISTENCY_STRONG) return each(b, (Str){0}, context);
  bool all = true;
  if (!cbor_array(&r, &count, &ignored)) return true;
  for (; count > 0 && cbor_text(&r, &name, &ignored); count--) all = each(b, name, context) && all;
  return all;
}

static bool not_wanted(Bus *b, Str name, void *context) {
  (void)context;
  return !handlers_wanted(b->app->handlers, name);
}

bool bus_awaits(Bus *b, const Order *o, const Outcome *out) {
  if (!out->ok || out->position == 0 || o->c.consistency == CONSISTENCY_EVENTUAL) return false;
  return !each_handler(b, o->c.consistency, o->c.handlers, not_wanted, NULL);
}

static size_t bytes_put(Bus *b, Str s) {
  size_t at = b->bytes.size;
  buf_str(&b->bytes, s);
  return at;
}

void bus_reply(Bus *b, const Order *o, const Outcome *out) {
  bool waits = bus_awaits(b, o, out);
  b->replies = mem_grow(b->replies, &b->reply_cap, b->reply_count + 1, sizeof *b->replies);
  Reply *r = &b->replies[b->reply_count++];
  *r = (Reply){.asker = o->asker, .id = o->c.id, .outcome = *out, .timeout_us = o->c.timeout_us,
               .consistency = waits ? o->c.consistency : CONSISTENCY_EVENTUAL};
  if (waits) {
    r->handlers_size = o->c.handlers.size;
    r->handlers_at = bytes_put(b, o->c.handlers);
  }
  r->size = b->value.size;
  r->at = bytes_put(b, buf_view(&b->value));
}

static void give(Bus *b, const Asker *a, Uuid id, bool stored, bool ok, Str value) {
  if (a->run == 0) {
    a->done(a->context, &(CommandResult){.ok = ok, .value = value});
    return;
  }
  slot_answer(b->app->scheduler, a->run, a->seq, ok ? "ok" : "error", value);
  if (!stored) return;
  b->answered = mem_grow(b->answered, &b->answered_cap, b->answered_count + 1, sizeof *b->answered);
  b->answered[b->answered_count++] = (Answered){id, a->run};
}

/* ---- waiting for handlers ----------------------------------------------------------- */

static void wait_free(Bus *b, StrongWait *w) {
  deadlines_drop(&b->deadlines, &w->deadline);
  *w->link = w->next;
  if (w->next != NULL) w->next->link = w->link;
  else b->waits_end = w->link;
  b->wait_count--;
  mem_free(w);
}

void waits_free(Bus *b) {
  while (b->waits != NULL) wait_free(b, b->waits);
  deadlines_deinit(&b->deadlines);
}

static void wait_add(Bus *b, const Reply *r) {
  StrongWait *w = mem_alloc(sizeof *w + r->handlers_size + r->size);
  char *at = (char *)(w + 1);
  if (r->handlers_size > 0) memcpy(at, b->bytes.at + r->handlers_at, r->handlers_size);
  memcpy(at + r->handlers_size, b->bytes.at + r->at, r->size);
  *w = (StrongWait){.link = b->waits_end, .asker = r->asker, .id = r->id, .stored = r->outcome.stored,
                    .consistency = r->consistency, .position = r->outcome.position,
                    .handlers = {at, r->handlers_size}, .value = {at + r->handlers_size, r->size}};
  *b->waits_end = w;
  b->waits_end = &w->next;
  b->wait_count++;
  int64_t timeout = r->timeout_us > 0 ? r->timeout_us : STRONG_TIMEOUT_US, now = app_now(b->app);
  deadlines_set(&b->deadlines, &w->deadline, timeout < INT64_MAX - now ? now + timeout : INT64_MAX);
}

typedef struct Reaching {
  uint64_t position;
  Buf *late, *dead;
} Reaching;

static bool reached(Bus *b, Str name, void *context) {
  Reaching *r = context;
  return handlers_reached(b->app->handlers, name, r->position, r->late, r->dead);
}

static void put_names(Buf *out, const char *name, Str list) {
  cbor_put_text(out, str_of(name));
  cbor_put_text(out, list);
}

/* The answer is in b->value. */
static void wait_over(Bus *b, StrongWait *w, bool ok) {
  Asker asker = w->asker;
  Uuid id = w->id;
  bool stored = w->stored;
  wait_free(b, w);
  give(b, &asker, id, stored, ok, buf_view(&b->value));
}

/* The command is done and its events are there: whoever is told of the handlers must not send it again. */
static void wait_fail(Bus *b, StrongWait *w, const char *code, Str late, Str dead) {
  Buf message = {0}, data = {0};
  cbor_put_tag(&data, CBOR_TAG_MAP);
  cbor_put_array(&data, 8);
  put_names(&data, "late", late);
  put_names(&data, "dead", dead);
  cbor_put_text(&data, STR("position"));
  cbor_put_uint(&data, w->position);
  cbor_put_text(&data, STR("result"));
  buf_str(&data, w->value);
  buf_text(&message, "the command was accepted and its events are stored, but");
  if (late.size > 0) buf_format(&message, " not handled in time by " STR_FMT, STR_ARG(late));
  if (late.size > 0 && dead.size > 0) buf_text(&message, ", and");
  if (dead.size > 0) buf_format(&message, " among the dead letters of " STR_FMT, STR_ARG(dead));
  bus_error(b, str_of(code), buf_view(&message), buf_view(&data));
  buf_deinit(&message);
  buf_deinit(&data);
  wait_over(b, w, false);
}

/* Looks whether it is over. `late` and `dead` are scratch. */
static void wait_look(Bus *b, StrongWait *w, bool expired, Buf *late, Buf *dead) {
  Reaching r = {w->position, late, dead};
  buf_clear(late);
  buf_clear(dead);
  if (each_handler(b, w->consistency, w->handlers, reached, &r)) {
    buf_clear(&b->value);
    buf_str(&b->value, w->value);
    wait_over(b, w, true);
  } else if (dead->size > 0) {
    wait_fail(b, w, "dead_lettered", buf_view(late), buf_view(dead));
  } else if (expired) {
    wait_fail(b, w, "consistency_timeout", buf_view(late), buf_view(dead));
  }
}

static void waits_look(Bus *b) {
  Buf late = {0}, dead = {0};
  b->moved = false;
  for (StrongWait *w = b->waits, *next; w != NULL; w = next) {
    next = w->next;
    wait_look(b, w, false, &late, &dead);
  }
  buf_deinit(&late);
  buf_deinit(&dead);
}

void waits_expire(Bus *b, int64_t now_us) {
  Buf late = {0}, dead = {0};
  Deadline *first;
  while ((first = deadlines_first(&b->deadlines)) != NULL && first->due_us <= now_us)
    wait_look(b, (StrongWait *)(void *)first, true, &late, &dead);
  buf_deinit(&late);
  buf_deinit(&dead);
}

void waits_drop(Bus *b, uint64_t run, uint64_t seq) {
  for (StrongWait *w = b->waits, *next; w != NULL; w = next) {
    next = w->next;
    if (w->asker.run == run && w->asker.seq == seq) wait_free(b, w);
  }
}

/* ---- the commit ------------------------------------------------------------------------ */

/* A run that has its answer on record needs the stored one no more. That goes with a commit that is made anyway, if
** there is one soon. */
void answered_look(Bus *b) {
  enum { SOON = 64 };
  uint32_t kept = 0;
  if (b->answered_count < SOON && grouping_empty(app_grouping(b->app))) return;
  for (uint32_t n = 0; n < b->answered_count; n++) {
    Answered *a = &b->answered[n];
    Slot *slot = slot_by_number(b->app->scheduler, a->run);
    bool open = slot != NULL && (slot->inbox != NULL || slot->away || slot->ready || slot->touched);
    if (open) b->answered[kept++] = *a;
    else grouping_kv(app_grouping(b->app), SPACE_REPLY, (Str){(const char *)a->id.byte, sizeof a->id.byte}, (Str){0});
  }
  b->answered_count = kept;
}

void replies_give(Bus *b) {
  uint32_t count = b->reply_count;
  b->reply_count = 0; /* `done` may dispatch again, and it must not find these */
  for (uint32_t n = 0; n < count; n++) {
    const Reply *r = &b->replies[n];
    if (r->consistency != CONSISTENCY_EVENTUAL) wait_add(b, r);
    else give(b, &r->asker, r->id, r->outcome.stored, r->outcome.ok, (Str){b->bytes.at + r->at, r->size});
  }
  buf_clear(&b->bytes);
  if (count > 0 || b->moved) waits_look(b);
}

bool bus_committed(Bus *b, Err *err) {
  (void)err;
  replies_give(b);
  return true;
}

void bus_refused(Bus *b) {
  uint32_t count = b->reply_count;
  b->reply_count = 0;
  bus_errorf(b, "store_failed", "the store failed while the command was stored: it may or may not have been accepted. "
             "Ask again with the same idempotency key once the node is back");
  for (uint32_t n = 0; n < count; n++) {
    const Reply *r = &b->replies[n];
    if (r->asker.run == 0) give(b, &r->asker, r->id, false, false, buf_view(&b->value));
  }
  buf_clear(&b->bytes);
  bus_stop(b);
}
