/* The application put together, and which bundle it follows. */
#include "vm/runtime/app.h"


#include <stdio.h>

#include "vm/base/cbor.h"
#include "vm/base/file.h"
#include "vm/base/hash.h"
#include "vm/base/mem.h"
#include "vm/core/machine.h"
#include "vm/run/decider.h"
#include "vm/runtime/agents.h"
#include "vm/runtime/bus.h"
#include "vm/runtime/handlers.h"
#include "vm/runtime/jobs.h"
#include "vm/runtime/schedule.h"
#include "vm/runtime/testing.h"

/* ---- life ---------------------------------------------------------------- */

App *app_new(Scheduler *s, const AppOptions *options) {
  App *app = MEM_NEW(App);
  app->scheduler = s;
  if (options != NULL) app->options = *options;
  app->versions = table_new();
  app->agents = agents_new(app);
  app->bus = bus_new(app);
  app->handlers = handlers_new(app);
  app->jobs = jobs_new(app);
  app->crons = crons_new(app);
  return app;
}

void app_free(App *app) {
  if (app == NULL) return;
  crons_free(app->crons);
  jobs_free(app->jobs);
  bus_free(app->bus);
  handlers_free(app->handlers);
  agents_free(app->agents);
  table_free(app->versions);
  buf_deinit(&app->config);
  mem_free(app);
}

Decider *app_decider(const App *app) {
  Decider *d = decider_new(app->program);
  decider_configure(d, buf_view(&app->config));
  return d;
}

Store *app_store(const App *app) { return app->scheduler->store; }
Grouping *app_grouping(const App *app) { return app->scheduler->grouping; }
int64_t app_now(const App *app) { return clock_now(&app->scheduler->clock); }
const Program *app_program(const App *app) { return app->program; }

/* ---- ids ------------------------------------------------------------------- */

/* With a seed chance is derived from how often it was drawn, so ids are too. */
static void ids_fill(App *app) {
  Ids *ids = &app->ids;
  char what[40];
  int size = snprintf(what, sizeof what, "ids %" PRIu64, ids->drawn++);
  Hash256 h = scheduler_chance(app->scheduler, (Str){what, (size_t)size});
  memcpy(ids->chance, h.byte, sizeof h.byte);
  if (!app->scheduler->options.seeded) random_bytes(ids->chance, sizeof ids->chance); /* a call for many */
  ids->left = app->scheduler->options.seeded ? sizeof h.byte : sizeof ids->chance;
}

static uint64_t ids_draw(App *app, uint32_t bytes) {
  Ids *ids = &app->ids;
  uint64_t n = 0;
  if (ids->left < bytes) ids_fill(app);
  for (uint32_t i = 0; i < bytes; i++) n = n << 8 | ids->chance[--ids->left];
  return n;
}

/* Within one millisecond the chance of the last id goes on by a random step (RFC 9562, method 2). */
static void ids_step(App *app) {
  Ids *ids = &app->ids;
  int64_t us = app_now(app);
  if (us / 1000 > ids->us / 1000) {
    ids->us = us;
    ids->high = ids_draw(app, 2) & 0x7ff; /* room above for those that follow */
    ids->low = ids_draw(app, 8) >> 2;
    return;
  }
  ids->low += 1 + ids_draw(app, 4);
  if (ids->low >> 62 == 0) return;
  ids->low &= (UINT64_C(1) << 62) - 1;
  if (++ids->high <= 0xfff) return;
  ids->high = 0;
  ids->us += 1000;
}

Uuid app_uuid(App *app) {
  uint8_t chance[10];
  ids_step(app);
  chance[0] = (uint8_t)(app->ids.high >> 8);
  chance[1] = (uint8_t)app->ids.high;
  for (int i = 0; i < 8; i++) chance[2 + i] = (uint8_t)(app->ids.low >> (8 * (7 - i)));
  return uuid_v7(app->ids.us, chance);
}

/* ---- versions of messages ----------------------------------------------------- */

static void versions_put(App *app) {
  Buf map = {0};
  uint32_t at = 0;
  Str name;
  void *version;
  cbor_put_tag(&map, CBOR_TAG_MAP);
  cbor_put_array(&map, 2 * (uint64_t)table_count(app->versions));
  while (table_next(app->versions, &at, &name, &version)) {
    cbor_put_text(&map, name);
    cbor_put_uint(&map, (uintptr_t)version);
  }
  grouping_kv(app_grouping(app), SPACE_APP, STR("versions"), buf_view(&map));
  buf_deinit(&map);
}

void app_note_version(App *app, Str type, uint64_t version) {
  if (version <= 1 || (uintptr_t)table_get(app->versions, type) >= version) return;
  table_set(app->versions, type, (void *)(uintptr_t)version);
  versions_put(app);
}

static bool versions_damaged(Err *err) {
  FAIL(err, ERR_CORRUPT, "the store's list of message versions cannot be read");
  return false;
}

static bool versions_read(App *app, Err *err) {
  Buf stored = {0};
  Err missing = {0};
  Str name;
  uint64_t tag, count, version;
  CborItem item;
  table_free(app->versions);
  app->versions = table_new();
  if (!store_kv_get(app_store(app), SPACE_APP, STR("versions"), &stored, &missing)) {
    buf_deinit(&stored);
    if (missing.code == ERR_NOT_FOUND) return true;
    *err = missing;
    return false;
  }
  CborReader r = cbor_reader(buf_view(&stored));
  bool ok = cbor_next(&r, &item, err) && item.kind == CBOR_TAG && (tag = item.n) == CBOR_TAG_MAP &&
            cbor_array(&r, &count, err);
  for (; ok && count >= 2; count -= 2) {
    ok = cbor_text(&r, &name, err) && cbor_uint(&r, &version, err);
    if (ok) table_set(app->versions, name, (void *)(uintptr_t)version);
  }
  buf_deinit(&stored);
  return ok || versions_damaged(err);
}

static const BundleShape *message_of(const Bundle *b, Str stored_name) {
  for (uint32_t i = 0; i < b->shape_count; i++) {
    const BundleShape *s = &b->shapes[i];
    if ((s->kind == SHAPE_COMMAND || s->kind == SHAPE_EVENT) && str_equal(bundle_text(b, s->stored_name), stored_name))
      return s;
  }
  return NULL;
}

/* Is there anything stored that only newer code than this understands? */
static bool versions_known(App *app, const Bundle *b, Err *err) {
  Buf newer = {0};
  uint32_t at = 0, count = 0;
  Str name;
  void *version;
  while (table_next(app->versions, &at, &name, &version)) {
    const BundleShape *s = message_of(b, name);
    if (s == NULL || s->version >= (uintptr_t)version) continue;
    if (count++ < 8)
      buf_format(&newer, "%s" STR_FMT " version %u (here %u)", count > 1 ? ", " : "", STR_ARG(name),
                 (uint32_t)(uintptr_t)version, s->version);
  }
  if (count > 0)
    FAIL(err, ERR_VERSION, "messages of newer versions are stored than this program knows: " STR_FMT
         "; start the newer program, or declare these versions with their upcasts", STR_ARG(buf_view(&newer)));
  buf_deinit(&newer);
  return count == 0;
}

/* ---- the active bundle ------------------------------------------------------------ */

bool app_stored_bundle(Store *store, Hash256 *bundle) {
  Buf stored = {0};
  Err ignored;
  bool ok = store_kv_get(store, SPACE_APP, STR("active"), &stored, &ignored) && stored.size == sizeof *bundle;
  if (ok) memcpy(bundle->byte, stored.at, sizeof *bundle);
  buf_deinit(&stored);
  return ok;
}

static void active_keep(App *app, Hash256 bundle) {
  Str bytes, pending;
  Hash256 stored;
  if (node_bundle_take(app->scheduler->node, bundle, &bytes)) grouping_bundle(app_grouping(app), bundle, bytes);
  bool changing = grouping_kv_get(app_grouping(app), SPACE_APP, STR("active"), &pending);
  if (!changing && app_stored_bundle(app_store(app), &stored) && memcmp(&stored, &bundle, sizeof bundle) == 0) return;
  grouping_kv(app_grouping(app), SPACE_APP, STR("active"), (Str){(const char *)bundle.byte, sizeof bundle});
}

static bool config_take(App *app, const Bundle *b, Err *err) {
  Buf config = {0};
  if (!config_read(b, (Str){0}, &config, err)) {
    buf_deinit(&config);
    return false;
  }
  buf_deinit(&app->config);
  app->config = config;
  return true;
}

bool app_activate(App *app, Hash256 bundle, Err *err) {
  const Program *program;
  if (!node_program(app->scheduler->node, bundle, &program, err)) return false;
  if (!versions_read(app, err) || !versions_known(app, program_bundle(program), err)) return false;
  if (app->program == program) return true;
  if (!config_take(app, program_bundle(program), err)) return false;
  bus_stop(app->bus);
  app->program = program;
  app->bundle = program_bundle(program);
  agents_activate(app->agents);
  bus_activate(app->bus);
  active_keep(app, bundle);
  return handlers_activate(app->handlers, err) && jobs_activate(app->jobs, err) && crons_activate(app->crons, err);
}

bool app_settle(App *app, Err *err) { return round_commit(app->scheduler, err); }

/* ---- rounds ------------------------------------------------------------------------ */

bool app_collect(App *app, int64_t now_us, Err *err) {
  if (app->program == NULL) return true;
  return bus_collect(app->bus, now_us, err) && handlers_collect(app->handlers, err) &&
         jobs_collect(app->jobs, now_us, err) && crons_collect(app->crons, now_us, err);
}

static bool refuse(Buf *value, const char **outcome, const char *code, const char *message) {
  error_encode(value, str_of(code), str_of(message));
  *outcome = "error";
  return true;
}

bool app_ask(App *app, Slot *slot, const Request *r, Buf *value, const char **outcome) {
  bool of_test = r->effect == EFFECT_TEST || r->effect == EFFECT_STUB;
  if (of_test && app->testing != NULL) return testing_ask(app->testing, slot, r, value, outcome);
  if (app->program == NULL)
    return refuse(value, outcome, "no_application", "no application is active on this node: start it with z8 serve");
  switch (r->effect) {
    case EFFECT_DISPATCH:
    case EFFECT_VIEW:
      return bus_ask(app->bus, slot, r, value, outcome);
    case EFFECT_ENQUEUE:
      return jobs_ask(app->jobs, slot, r, value, outcome);
    default:
      return refuse(value, outcome, "not_a_test", "this can be asked in a test only");
  }
}

void app_ask_open(App *app, Slot *slot, const Request *r) {
  if (r->effect == EFFECT_DISPATCH || r->effect == EFFECT_VIEW) {
    bus_ask_open(app->bus, slot, r);
    return;
  }
  if (r->effect == EFFECT_STUB && app->testing != NULL) {
    testing_ask_open(app->testing, slot, r);
    return;
  }
  Buf value = {0};
  const char *outcome;
  if (app_ask(app, slot, r, &value, &outcome))
    slot_answer(app->scheduler, slot->number, r->seq, outcome, buf_view(&value));
  buf_deinit(&value);
}

void app_drop(App *app, Slot *slot, uint64_t seq) { bus_drop(app->bus, slot->number, seq); }

void app_attempt(App *app, Slot *slot, const Request *r) {
  if (slot->entry_kind == ENTRY_JOB) jobs_attempt(app->jobs, slot, r);
  else if (slot->entry_kind == ENTRY_ON) handlers_attempt(app->handlers, slot, r);
}

void app_over(App *app, Slot *slot) {
  if (slot->entry_kind == ENTRY_JOB) jobs_over(app->jobs, slot);
  else if (slot->entry_kind == ENTRY_ON) handlers_over(app->handlers, slot);
  else if (slot->entry_kind == ENTRY_TICK) crons_over(app->crons, slot);
}

bool app_committed(App *app, Err *err) {
  if (app->testing != NULL) testing_committed(app->testing);
  if (app->program == NULL) return true;
  agents_committed(app->agents);
  return handlers_committed(app->handlers, err) && bus_committed(app->bus, err) && jobs_committed(app->jobs, err);
}

void app_refused(App *app) {
  if (app->testing != NULL) testing_refused(app->testing);
  bus_refused(app->bus);
  agents_refused(app->agents);
}

bool app_ready(const App *app) {
  return app->program != NULL && (bus_ready(app->bus) || handlers_ready(app->handlers) || jobs_ready(app->jobs));
}

static int64_t sooner(int64_t a, int64_t b) { return a == 0 || (b != 0 && b < a) ? b : a; }

int64_t app_next_due(App *app) {
  if (app->program == NULL) return 0;
  int64_t due = sooner(bus_next_due(app->bus), handlers_next_due(app->handlers));
  return sooner(sooner(due, jobs_next_due(app->jobs)), crons_next_due(app->crons));
}
