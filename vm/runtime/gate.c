/* Calls: asked, reserved, dropped, forgotten. */
#include "vm/runtime/gate_impl.h"

#include "vm/base/cbor.h"
#include "vm/base/mem.h"
#include "vm/runtime/app.h"
#include "vm/runtime/testing.h"

typedef struct CallKey {
  uint64_t run, seq;
} CallKey;

static Str call_key(const CallKey *key) { return (Str){(const char *)key, sizeof *key}; }

Call *gate_call(const Gate *g, uint64_t run, uint64_t seq) {
  CallKey key = {run, seq};
  return table_get(g->calls, call_key(&key));
}

/* ---- life of a call ------------------------------------------------------------------- */

Call *gate_call_new(Gate *g, Slot *slot, uint64_t run, uint64_t seq) {
  Call *c = MEM_NEW(Call);
  CallKey key = {run, seq};
  c->run = c->turn.run = run;
  c->seq = seq;
  c->slot = slot;
  if (slot != NULL) {
    c->next = slot->calls;
    slot->calls = c;
  }
  table_set(g->calls, call_key(&key), c);
  return c;
}

static void slot_unlink(Call *c) {
  if (c->slot == NULL) return;
  Call **link = &c->slot->calls;
  while (*link != c) link = &(*link)->next;
  *link = c->next;
  c->slot = NULL;
}

static void call_release(Call *c) {
  hold_deinit(&c->hold);
  mem_free(c->limits);
  mem_free(c->uses);
  mem_free(c->names);
  buf_deinit(&c->resume);
  mem_free(c);
}

void gate_call_free(Gate *g, Call *c) {
  CallKey key = {c->run, c->seq};
  g->loaded -= c->state == CALL_LOADED && c->loaded;
  call_unqueue(g, c);
  slot_unlink(c);
  table_set(g->calls, call_key(&key), NULL);
  call_release(c);
}

/* It never left, and will not. */
static void call_cancel(Gate *g, Call *c) {
  if (!c->tool && c->state != CALL_BUDGET) {
    ledger_release(g->ledger, &c->hold);
    ledger_hold_drop(g->ledger, c->run, c->seq);
  }
  g->settled |= !c->tool; /* who waited behind it may pass */
  gate_call_free(g, c);
}

void call_hold_put(Gate *g, const Call *c) {
  if (c->tool) return;
  bool sent = c->state == CALL_CHOSEN || c->state == CALL_SENT;
  ledger_hold_put(g->ledger, &(HoldRow){c->run, c->seq, sent, c->attempt, buf_view(&c->resume)}, &c->hold);
}

void call_chosen(Gate *g, Call *c) {
  c->state = CALL_CHOSEN;
  g->chosen = mem_grow(g->chosen, &g->chosen_cap, g->chosen_count + 2, sizeof *g->chosen);
  g->chosen[g->chosen_count++] = c->run;
  g->chosen[g->chosen_count++] = c->seq;
  call_hold_put(g, c);
}

/* ---- the gate --------------------------------------------------------------------------- */

static bool run_over(Store *store, uint64_t number) {
  RunRow row;
  Buf keep = {0};
  Err ignored;
  bool over = store_run_get(store, number, &row, &keep, &ignored) && run_status_over(row.status);
  buf_deinit(&keep);
  return over;
}

/* Its run is over: nobody will ask again. */
static void hold_orphan(Gate *g, const HoldRow *row, Hold *hold) {
  if (row->sent) ledger_settle(g->ledger, hold, &hold->usage, hold->nanodollars, true);
  else ledger_release(g->ledger, hold);
  ledger_hold_drop(g->ledger, row->run, row->seq);
}

static void hold_loaded(void *context, const HoldRow *row, Hold *hold) {
  Scheduler *s = context;
  if (run_over(s->store, row->run)) {
    hold_orphan(s->gate, row, hold);
    return;
  }
  Call *c = gate_call_new(s->gate, NULL, row->run, row->seq);
  c->loaded = true;
  s->gate->loaded++;
  c->was_sent = row->sent;
  c->attempt = row->attempt;
  c->hold = *hold;
  buf_str(&c->resume, row->resume);
}

bool gate_new(Scheduler *s, Gate **out, Err *err) {
  Gate *g = *out = MEM_NEW(Gate);
  g->ledger = ledger_new(s->store, s->grouping);
  g->limits = limits_new(s->store, s->grouping);
  g->calls = table_new();
  g->waiting_end = &g->waiting;
  return ledger_load(g->ledger, err) && ledger_holds(g->ledger, hold_loaded, s, err);
}

void gate_free(Gate *g) {
  uint32_t at = 0;
  void *call;
  if (g == NULL) return;
  while (table_next(g->calls, &at, NULL, &call)) call_release(call);
  table_free(g->calls);
  ledger_free(g->ledger);
  limits_free(g->limits);
  mem_free(g->queued);
  mem_free(g->let_go);
  mem_free(g->chosen);
  mem_free(g);
}

bool gate_failed(const Gate *g) { return ledger_failed(g->ledger) || limits_failed(g->limits); }

/* ---- asking -------------------------------------------------------------------------------- */

static Str name_take(char **at, Str name) {
  if (name.size > 0) memcpy(*at, name.at, name.size);
  Str kept = {*at, name.size};
  *at += name.size;
  return kept;
}

static void call_names(Call *c, const Facts *f, int64_t now_us) {
  Buf keys = {0};
  book_key(now_us, f->tenant, f->agent, f->model, &keys);
  size_t book = keys.size;
  facts_charger(f, &keys);
  c->names = mem_alloc(f->agent.size + f->model.size + keys.size + 1);
  char *at = c->names;
  c->agent = name_take(&at, f->agent);
  c->model = name_take(&at, f->model);
  c->book = name_take(&at, (Str){keys.at, book});
  c->charger = name_take(&at, (Str){keys.at + book, keys.size - book});
  buf_deinit(&keys);
}

static void notice_offline(Scheduler *s, const Facts *f) {
  Gate *g = s->gate;
  if (g->told_offline || !f->implicit || !str_equal(f->provider, STR("offline"))) return;
  g->told_offline = true;
  scheduler_notice(s, "no key of a model is set (ANTHROPIC_API_KEY, OPENAI_API_KEY …): answers come from the offline "
                      "provider, which is not a model");
}

/* Will any call of this process settle? Those of runs that are not here, and are not to come, will not. */
static bool others_settle(const Scheduler *s) {
  const Gate *g = s->gate;
  uint32_t at = 0;
  void *call;
  if (g->loaded == 0 || s->whole) return true;
  while (table_next(g->calls, &at, NULL, &call)) {
    const Call *c = call;
    if (!c->tool && c->state > CALL_BUDGET) return true;
  }
  return false;
}

static Amounts call_amounts(const Call *c, const Usage *usage) {
  return (Amounts){price_cost(&c->price, usage), amount_add(usage->input, usage->output), 1};
}

static void call_lost_costs(Call *c, const Usage *usage) {
  c->hold.usage = *usage;
  c->hold.nanodollars = price_cost(&c->price, usage);
}

/* What was learned since it began to wait counts too. A model that is known to charge more than can be thought does so
** for a reply that is lost. */
static void call_most(Gate *g, Call *c) {
  c->want.most = c->want.expected;
  call_lost_costs(c, &c->expected);
  if (c->counted) return;
  Learned learned = ledger_learned(g->ledger, c->charger);
  Usage most = c->most;
  most.input = amount_add(most.input, learned.input);
  most.output = amount_add(most.output, learned.output);
  if (most.cache_write > 0) most.cache_write = most.input;
  c->want.most = call_amounts(c, &most);
  if (learned.input > 0 && learned.input != UNTOLD_TOKENS) call_lost_costs(c, &most);
}

/* True: it has its place: reserved, or waiting. False: refused, `use` is what it does not fit. */
static bool call_reserve(Scheduler *s, Call *c, uint32_t *use) {
  Gate *g = s->gate;
  call_most(g, c);
  ledger_windows(c->uses, c->use_count, clock_now(&s->clock));
  switch (ledger_reserve(g->ledger, c->uses, c->use_count, &c->want, &c->hold, use)) {
    case RESERVE_NEVER: return false;
    case RESERVE_WAIT:
      if (!others_settle(s)) return false;
      call_budget(g, c);
      return true;
    case RESERVE_DONE: break;
  }
  mem_free(c->uses);
  c->uses = NULL;
  c->use_count = 0;
  char *book = mem_alloc(c->book.size + 1);
  memcpy(book, c->book.at, c->book.size);
  c->hold.book = (Str){book, c->book.size};
  call_limits(s, c);
  return true;
}

/* On record in the commit of its question if it was asked in this round, else when the run takes it. */
static void call_refused(Scheduler *s, Call *c, uint32_t use, bool fresh) {
  Buf error = {0};
  Slot *slot = c->slot;
  uint64_t seq = c->seq;
  gate_refusal(c, &c->uses[use], &error);
  gate_call_free(s->gate, c);
  if (fresh) ask_too_dear(slot, seq, buf_view(&error));
  else inbox_answer(slot, seq, "error", buf_view(&error), false);
  buf_deinit(&error);
}

static void call_place(Scheduler *s, Call *c, bool fresh) {
  uint32_t use;
  if (!call_reserve(s, c, &use)) call_refused(s, c, use, fresh);
}

static bool stubbed(const Scheduler *s, const Facts *f) {
  return s->app != NULL && s->app->testing != NULL && testing_model_stubbed(s->app->testing, f->model);
}

static bool counted(const Scheduler *s, const Facts *f) {
  bool test = s->app != NULL && s->app->testing != NULL;
  return test || str_equal(f->provider, STR("offline"));
}

static Usage usage_of(const Facts *f, int64_t prompt) {
  Usage u = {.input = prompt, .output = f->answer};
  if (f->price.cache_write > f->price.input) u.cache_write = prompt; /* the dearest it can be */
  return u;
}

static void call_facts(Scheduler *s, Call *c, const Facts *f) {
  call_names(c, f, clock_now(&s->clock));
  c->price = f->price;
  c->most = usage_of(f, f->prompt_most);
  c->counted = counted(s, f);
}

static void call_begin(Scheduler *s, Slot *slot, const Request *r, uint32_t attempt) {
  Facts f;
  int64_t now = clock_now(&s->clock);
  Call *c = gate_call_new(s->gate, slot, slot->number, r->seq);
  facts_read(slot, r, &f);
  notice_offline(s, &f);
  call_facts(s, c, &f);
  c->attempt = attempt;
  c->stub = stubbed(s, &f);
  c->expected = usage_of(&f, f.prompt);
  c->want.expected = call_amounts(c, &c->expected);
  facts_accounts(s->gate, slot, &f, r->scopes, now, c);
  facts_limits(s->gate, slot, &f, c);
  call_place(s, c, true);
}

/* It was asked in an earlier life of the process, and has a hold. True: it goes on under that. */
static bool call_again(Scheduler *s, Slot *slot, const Request *r, Call *c) {
  Facts f;
  facts_read(slot, r, &f);
  bool same = c->was_sent && (c->resume.size > 0 || stubbed(s, &f)); /* a stub is outside: it knows the call */
  if (!same) return false;
  s->gate->loaded--;
  c->loaded = false;
  slot_unlink(c);
  c->slot = slot;
  c->next = slot->calls;
  slot->calls = c;
  call_facts(s, c, &f);
  c->stub = c->resume.size == 0;
  c->attempt++;
  call_chosen(s->gate, c);
  return true;
}

void gate_ask(Scheduler *s, Slot *slot, const Request *r, bool open) {
  Call *c = gate_call(s->gate, slot->number, r->seq);
  uint32_t attempt = 0;
  if (c != NULL && c->state != CALL_LOADED) return; /* it is on its way */
  if (c != NULL) {
    if (open && call_again(s, slot, r, c)) return;
    attempt = c->attempt + c->was_sent;
    if (c->was_sent) call_lost(s, c);
    else call_cancel(s->gate, c);
  }
  call_begin(s, slot, r, attempt);
}

void gate_admit(Scheduler *s, Slot *slot, const Request *r, bool again) {
  Call *c = gate_call(s->gate, slot->number, r->seq);
  if (c != NULL) return;
  c = gate_call_new(s->gate, slot, slot->number, r->seq);
  c->tool = true;
  c->again = again;
  tool_limits(s->gate, slot, r, c);
  call_limits(s, c);
}

/* ---- others settled --------------------------------------------------------------------------- */

/* All leave the line, and those that must wait on take their places again, in order. */
void gate_retry(Scheduler *s) {
  Gate *g = s->gate;
  if (!g->settled) return;
  g->settled = false;
  Call *line = g->waiting, *next;
  for (Call *c = line; c != NULL; c = c->next_waiting) ledger_wait_over(c->uses, c->use_count);
  g->waiting = NULL;
  g->waiting_end = &g->waiting;
  for (Call *c = line; c != NULL; c = next) {
    next = c->next_waiting;
    c->state = CALL_LOADED;
    if (c->slot == NULL) gate_call_free(g, c); /* its run was lost */
    else call_place(s, c, false);
  }
}

/* ---- ends --------------------------------------------------------------------------------------- */

static void call_end(Scheduler *s, Call *c) {
  if (c->state == CALL_SENT) return;
  if (c->state == CALL_LOADED && c->was_sent) call_lost(s, c);
  else call_cancel(s->gate, c);
}

void gate_drop(Scheduler *s, Slot *slot, uint64_t seq) {
  Call *c = table_count(s->gate->calls) > 0 ? gate_call(s->gate, slot->number, seq) : NULL;
  if (c != NULL) call_end(s, c);
}

/* Calls of an earlier life that the run does not wait for any more. */
static void loaded_end(Scheduler *s, uint64_t run) {
  uint32_t at = 0;
  void *call;
  while (s->gate->loaded > 0 && table_next(s->gate->calls, &at, NULL, &call)) {
    Call *c = call;
    if (c->run == run && c->state == CALL_LOADED) call_end(s, c);
  }
}

void gate_over(Scheduler *s, Slot *slot) {
  Call *next;
  for (Call *c = slot->calls; c != NULL; c = next) {
    next = c->next;
    call_end(s, c);
  }
  if (s->gate->loaded > 0) loaded_end(s, slot->number);
  if (!run_status_over(slot->status)) return;
  ledger_run_over(s->gate->ledger, slot->id);
  gate_heir(s->gate, run_scopes(slot->run), -1);
}

void gate_forget(Slot *slot) {
  Call *next;
  for (Call *c = slot->calls; c != NULL; c = next) {
    next = c->next;
    c->slot = NULL;
    c->next = NULL;
  }
  slot->calls = NULL;
}
