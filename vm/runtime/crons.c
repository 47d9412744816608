/* Crons: ticks that are due become runs. SPACE_CRON has the moment up to which a cron's ticks are taken. */
#include "vm/base/cron_times.h"

#include "vm/base/cbor.h"
#include "vm/base/mem.h"
#include "vm/runtime/jobs.h"
#include "vm/runtime/schedule.h"

enum { TICKS_MAX = 1000 /* that are made up for */, MISSED_SKIP = 0, MISSED_ONCE, MISSED_ALL };
#define LATE_US INT64_C(60000000) /* a tick that is taken later than that was missed */

typedef struct Cron {
  Str name; /* in the bundle */
  CronTimes *times;
  int64_t taken_us; /* ticks up to here are taken */
  int64_t next_us;  /* the next one; 0: there is none */
  uint8_t missed;
} Cron;

struct Crons {
  App *app;
  Cron *list;
  uint32_t count;
};

Crons *crons_new(App *app) {
  Crons *crons = MEM_NEW(Crons);
  crons->app = app;
  return crons;
}

static void list_clear(Crons *crons) {
  for (uint32_t i = 0; i < crons->count; i++) cron_free(crons->list[i].times);
  mem_free(crons->list);
  crons->list = NULL;
  crons->count = 0;
}

void crons_free(Crons *crons) {
  if (crons == NULL) return;
  list_clear(crons);
  mem_free(crons);
}

/* ---- what is kept -------------------------------------------------------------------- */

static void taken_put(Crons *crons, const Cron *c) {
  Buf value = {0};
  cbor_put_int(&value, c->taken_us);
  grouping_kv(app_grouping(crons->app), SPACE_CRON, c->name, buf_view(&value));
  buf_deinit(&value);
}

static bool taken_read(Crons *crons, Cron *c, Err *err) {
  Buf value = {0};
  bool found = store_kv_get(app_store(crons->app), SPACE_CRON, c->name, &value, err), ok = true;
  if (found) {
    CborReader r = cbor_reader(buf_view(&value));
    ok = cbor_int(&r, &c->taken_us, err);
    if (!ok) err_context(err, "what the store has of the cron " STR_FMT " cannot be read", STR_ARG(c->name));
  } else if (err->code == ERR_NOT_FOUND) {
    c->taken_us = app_now(crons->app); /* a new one begins now */
    taken_put(crons, c);
  } else {
    ok = false;
  }
  buf_deinit(&value);
  return ok;
}

static bool forget_other(void *context, Str key, Str value) {
  Crons *crons = context;
  (void)value;
  for (uint32_t i = 0; i < crons->count; i++)
    if (str_equal(crons->list[i].name, key)) return true;
  grouping_kv(app_grouping(crons->app), SPACE_CRON, key, (Str){0});
  return true;
}

/* ---- the active bundle ----------------------------------------------------------------- */

static bool cron_activate(Crons *crons, const BundleCron *b, Cron *c, Err *err) {
  const Bundle *bundle = crons->app->bundle;
  *c = (Cron){.name = bundle_text(bundle, b->name), .missed = b->missed};
  if (!cron_parse(bundle_text(bundle, b->text), bundle_text(bundle, b->zone), &c->times, err)) {
    err_context(err, STR_FMT, STR_ARG(c->name));
    return false;
  }
  if (!taken_read(crons, c, err)) return false;
  c->next_us = cron_next(c->times, c->taken_us);
  return true;
}

bool crons_activate(Crons *crons, Err *err) {
  const Bundle *b = crons->app->bundle;
  bool ok = true;
  list_clear(crons);
  if (!crons->app->options.crons) return true;
  crons->list = mem_alloc((b->cron_count + 1) * sizeof *crons->list);
  for (; ok && crons->count < b->cron_count; crons->count++)
    ok = cron_activate(crons, &b->crons[crons->count], &crons->list[crons->count], err);
  return ok && store_kv_each(app_store(crons->app), SPACE_CRON, (Str){0}, (Str){0}, forget_other, crons, err);
}

/* ---- ticks ------------------------------------------------------------------------------- */

static bool tick_begin(Crons *crons, const Cron *c, Err *err) {
  App *app = crons->app;
  Slot *slot;
  Buf input = {0};
  Err why;
  cbor_put_array(&input, 0);
  SlotHead head = {.id = app_uuid(app), .bundle = app->bundle->id, .entry = c->name, .input = buf_view(&input)};
  bool ok = slot_begin(app->scheduler, &head, &slot, &why);
  buf_deinit(&input);
  if (ok) return true;
  if (why.code == ERR_IO || why.code == ERR_FULL) {
    *err = why;
    return false;
  }
  scheduler_notice(app->scheduler, "a tick of " STR_FMT " cannot begin: %s", STR_ARG(c->name), why.text);
  return true;
}

/* How many ticks are due, those that were missed among them, TICKS_MAX at most; *dropped: how many more there were. */
static uint32_t ticks_all(const Cron *c, int64_t now_us, uint64_t *dropped) {
  uint64_t count = 0;
  for (int64_t at = c->next_us; at != 0 && at <= now_us; at = cron_next(c->times, at)) count++;
  *dropped = count > TICKS_MAX ? count - TICKS_MAX : 0;
  return (uint32_t)(count - *dropped);
}

/* One that is due and not late; of several the latest. */
static bool tick_in_time(const Cron *c, int64_t now_us) {
  int64_t from = now_us - LATE_US > c->taken_us ? now_us - LATE_US : c->taken_us;
  int64_t at = cron_next(c->times, from);
  return at != 0 && at <= now_us;
}

static uint32_t ticks_due(Crons *crons, const Cron *c, int64_t now_us) {
  uint64_t dropped = 0;
  if (c->missed == MISSED_SKIP) return tick_in_time(c, now_us) ? 1 : 0;
  if (c->missed == MISSED_ONCE) return 1;
  uint32_t count = ticks_all(c, now_us, &dropped);
  if (dropped > 0)
    scheduler_notice(crons->app->scheduler,
                     "%" PRIu64 " ticks of " STR_FMT " were missed: the latest %d are made up for", dropped + count,
                     STR_ARG(c->name), TICKS_MAX);
  return count;
}

static bool cron_collect(Crons *crons, Cron *c, int64_t now_us, Err *err) {
  if (c->next_us == 0 || c->next_us > now_us) return true;
  uint32_t count = ticks_due(crons, c, now_us);
  c->taken_us = now_us;
  c->next_us = cron_next(c->times, now_us);
  taken_put(crons, c);
  for (; count > 0; count--)
    if (!tick_begin(crons, c, err)) return false;
  return true;
}

bool crons_collect(Crons *crons, int64_t now_us, Err *err) {
  for (uint32_t i = 0; i < crons->count; i++)
    if (!cron_collect(crons, &crons->list[i], now_us, err)) return false;
  return true;
}

/* Nobody waits for it: that it failed is said here. */
void crons_over(Crons *crons, Slot *slot) {
  if (slot->status == RUN_STATUS_DONE || slot->status == RUN_STATUS_CANCELLED) return;
  scheduler_notice(crons->app->scheduler, "a tick of " STR_FMT " %s%s%s", STR_ARG(slot->entry),
                   run_status_word(slot->status), slot->note != NULL ? ": " : "", slot->note != NULL ? slot->note : "");
}

int64_t crons_next_due(const Crons *crons) {
  int64_t next = 0;
  for (uint32_t i = 0; i < crons->count; i++) {
    int64_t at = crons->list[i].next_us;
    if (at != 0 && (next == 0 || at < next)) next = at;
  }
  return next;
}
