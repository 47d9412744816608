/* Requests: what must be done before the commit that records them (other runs of this
** store, the application), and what may be done only after it (everything else). */
#include "vm/base/cbor.h"
#include "vm/base/mem.h"
#include "vm/runtime/app.h"
#include "vm/runtime/approvals.h"
#include "vm/runtime/remember.h"
#include "vm/runtime/schedule.h"

/* ---- before -------------------------------------------------------------- */

static void person_wanted(Slot *slot, const Request *r) {
  char id[37];
  uuid_text(slot->id, id);
  slot_person(slot, 1);
  slot_note(slot,
            "the outcome of #%" PRIu64 " is unknown: z8 resolve %s#%" PRIu64
            " --confirmed JSON | --absent",
            r->seq, id, r->seq);
  scheduler_notice(slot->scheduler, "run %s is stuck: %s", id, slot->note);
}

/* ---- the application: what it answers is on record in the same commit ------ */

static bool app_effect(uint8_t effect) {
  return effect == EFFECT_DISPATCH || effect == EFFECT_VIEW || effect == EFFECT_ENQUEUE || effect == EFFECT_TEST ||
         effect == EFFECT_STUB;
}

/* Answered from the store, with or without an application. */
static bool store_effect(uint8_t effect) {
  return effect == EFFECT_BUDGET_LEFT || effect == EFFECT_RECALL || effect == EFFECT_REMEMBER;
}

static bool for_app(const Request *r) { return r->kind == REQUEST_EFFECT && app_effect(r->effect); }
static bool for_store(const Request *r) { return r->kind == REQUEST_EFFECT && store_effect(r->effect); }
static bool for_model(const Request *r) { return r->kind == REQUEST_EFFECT && r->effect == EFFECT_MODEL; }

static Str text_keep(char **at, Str s) {
  if (s.at == NULL || s.size == 0) return s;
  memcpy(*at, s.at, s.size);
  s.at = *at;
  *at += s.size;
  return s;
}

static void ask_queue(Slot *slot, const Request *r) {
  AppAsk *ask = mem_alloc(sizeof *ask + r->target.size + r->operands.size + r->scopes.size + r->key.size +
                          r->note.size);
  char *at = (char *)(ask + 1);
  ask->request = *r;
  ask->request.target = text_keep(&at, r->target);
  ask->request.operands = text_keep(&at, r->operands);
  ask->request.scopes = text_keep(&at, r->scopes);
  ask->request.key = text_keep(&at, r->key);
  ask->request.note = text_keep(&at, r->note);
  *slot->asks_end = ask;
  slot->asks_end = &ask->next;
}

void ask_too_dear(Slot *slot, uint64_t seq, Str error) {
  ask_queue(slot, &(Request){.kind = REQUEST_EFFECT, .seq = seq, .effect = EFFECT_MODEL, .operands = error});
}

/* True: it was not handed over yet, and now never is. */
static bool ask_drop(Slot *slot, uint64_t seq) {
  for (AppAsk **link = &slot->asks; *link != NULL; link = &(*link)->next) {
    AppAsk *ask = *link;
    if (ask->request.seq != seq) continue;
    *link = ask->next;
    if (slot->asks_end == &ask->next) slot->asks_end = link;
    mem_free(ask);
    return true;
  }
  return false;
}

void asks_clear(Slot *slot) {
  while (slot->asks != NULL) ask_drop(slot, slot->asks->request.seq);
}

/* The node was started without an application. */
static const char *app_missing(const Request *r, Buf *value) {
  char text[160];
  int size = snprintf(text, sizeof text, "%s needs an application, and this process runs none: z8 serve does",
                      effect_info(r->effect)->word);
  error_encode(value, STR("no_application"), (Str){text, (size_t)size});
  return "error";
}

/* Puts the answer on record. A run that takes no more events keeps nothing. */
static void ask_answered_now(Slot *slot, uint64_t seq, const char *outcome, Str value) {
  Err err;
  Record r = {.kind = RECORD_ANSWERED, .ANSWERED = {.ref = seq, .outcome = str_of(outcome), .value = value}};
  if (!run_deliver(slot->run, &r, &err)) {
    scheduler_notice(slot->scheduler, "an answer was refused: %s", err.text);
    return;
  }
  slot->quiescent = false;
  slot_ready(slot);
}

static const char *store_ask(Scheduler *s, const Slot *slot, const Request *r, Buf *value) {
  switch (r->effect) {
    case EFFECT_MODEL: buf_str(value, r->operands); return "error"; /* refused before */
    case EFFECT_BUDGET_LEFT: gate_left(s, r, value); return "ok";
    default:
      return conversation_ask(s->store, s->grouping, slot_tenant(slot), clock_now(&s->clock), r, value, &s->failed);
  }
}

/* One after the other, until one is answered at once: that is the run's event of this round. What is left waits
** until the run is quiescent again. */
static void asks_go(Scheduler *s, Slot *slot) {
  while (slot->asks != NULL && slot->quiescent && !slot->over) {
    Buf value = {0};
    const char *outcome = "ok";
    AppAsk *ask = slot->asks;
    slot->asks = ask->next;
    if (slot->asks == NULL) slot->asks_end = &slot->asks;
    bool answered = true;
    if (!app_effect(ask->request.effect)) outcome = store_ask(s, slot, &ask->request, &value);
    else if (s->app == NULL) outcome = app_missing(&ask->request, &value);
    else answered = app_ask(s->app, slot, &ask->request, &value, &outcome);
    if (answered) ask_answered_now(slot, ask->request.seq, outcome, buf_view(&value));
    buf_deinit(&value);
    mem_free(ask);
  }
}

/* Its attempts are used up, or the next one has to wait for its turn. */
static void attempt(Scheduler *s, Slot *slot, const Request *r) {
  if (r->kind == REQUEST_DEAD) {
    slot->dead = true;
    slot->status = RUN_STATUS_DEAD;
    slot_note(slot, STR_FMT, STR_ARG(r->note));
  }
  if (s->app != NULL) app_attempt(s->app, slot, r);
}

/* Nobody waits for it any more. */
static void drop_before(Scheduler *s, Slot *slot, const Request *r) {
  bool asked = ask_drop(slot, r->seq);
  gate_drop(s, slot, r->seq);
  if (r->effect == EFFECT_APPROVE) approval_drop(s, slot, r->seq);
  if (app_effect(r->effect) && !asked && s->app != NULL) app_drop(s->app, slot, r->seq);
}

static void effect_before(Scheduler *s, Slot *slot, const Request *r) {
  if (slot->over) return;
  if (for_app(r) || for_store(r)) ask_queue(slot, r);
  else if (for_model(r)) gate_ask(s, slot, r, false);
}

static void before_commit(Scheduler *s, Slot *slot, const Request *r) {
  switch (r->kind) {
    case REQUEST_START:
      child_start(s, slot, r);
      return;
    case REQUEST_SIGNAL:
    case REQUEST_CANCEL:
      run_send(s, slot, r);
      return;
    case REQUEST_PERSON:
      person_wanted(slot, r);
      return;
    case REQUEST_TURN:
    case REQUEST_DEAD:
      attempt(s, slot, r);
      return;
    case REQUEST_DROP:
      drop_before(s, slot, r);
      return;
    case REQUEST_EFFECT:
      effect_before(s, slot, r);
      return;
    case REQUEST_ADMIT:
      if (!slot->over) gate_admit(s, slot, r, false);
      return;
    case REQUEST_APPROVAL:
      if (!slot->over) approval_ask(s, slot, r, false);
      return;
    case REQUEST_TIMER:
    case REQUEST_OUTPUT:
    case REQUEST_AWAIT:
      return;
  }
}

void dispatch_before_commit(Scheduler *s, Slot *slot) {
  for (uint32_t o = slot->out_before; o < slot->out_count; o++)
    for (uint32_t i = 0; i < slot->outs[o].count; i++) before_commit(s, slot, &slot->outs[o].requests[i]);
  slot->out_before = slot->out_count;
  asks_go(s, slot);
}

/* ---- the world ----------------------------------------------------------- */

static bool secret_for_effects(void *context, Str name, Buf *value) {
  return node_secret(context, name, value);
}

static bool effects_ready(Scheduler *s, Err *err) {
  if (s->effects != NULL) return true;
  EffectOptions options = {.allow_loopback = true,
                           .extern_allow = s->options.extern_allow,
                           .secret = secret_for_effects,
                           .context = s->node};
  return effects_new(&options, &s->effects, err);
}

enum { FOREIGN_PARAMS_MAX = 32 };

static void foreign_fill(const Bundle *b, uint32_t index, EffectRequest *e,
                         uint8_t kinds[FOREIGN_PARAMS_MAX]) {
  const BundleExtern *x = &b->externs[index];
  e->library = bundle_text(b, x->library);
  e->symbol = bundle_text(b, x->name);
  e->param_count = x->params.count < FOREIGN_PARAMS_MAX ? x->params.count : FOREIGN_PARAMS_MAX;
  for (uint32_t i = 0; i < e->param_count; i++)
    kinds[i] = b->types[b->fields[x->params.first + i].type].kind;
  e->param_kinds = kinds;
  e->result_kind = b->types[x->result].kind;
}

static void effect_refuse(Scheduler *s, const Slot *slot, const Request *r, const Err *err) {
  EffectOutcome o = {.run = slot->number, .seq = r->seq, .outcome = "error"};
  error_encode(&o.value, STR("http_failed"), str_of(err->text));
  outcome_deliver(s, &o);
}

void effect_submit(Scheduler *s, Slot *slot, const Request *r) {
  uint8_t kinds[FOREIGN_PARAMS_MAX];
  Err err;
  EffectRequest e = {.run = slot->number,
                     .seq = r->seq,
                     .effect = r->effect,
                     .effect_class = r->effect_class,
                     .target = r->target,
                     .operands = r->operands,
                     .key = r->key,
                     .timeout_us = r->timeout_us};
  if (r->effect == EFFECT_FOREIGN) foreign_fill(slot->program_bundle, r->extern_index, &e, kinds);
  if (!effects_ready(s, &err)) {
    effect_refuse(s, slot, r, &err);
    return;
  }
  effects_submit(s->effects, &e);
  s->in_flight++;
}

/* It was asked before a crash and may have been sent. What may be repeated is; for what may not, the answer is that
** nobody knows, and the run's own books (check, or a person) take over. */
void effect_again(Scheduler *s, Slot *slot, const Request *r) {
  if (r->effect_class != CLASS_IRREVERSIBLE) {
    effect_submit(s, slot, r);
    return;
  }
  Buf error = {0};
  error_encode(&error, STR("unknown"),
               STR("the process ended while this was in flight: it may have happened"));
  inbox_answer(slot, r->seq, "interrupted", buf_view(&error), false);
  buf_deinit(&error);
}

/* ---- after --------------------------------------------------------------- */

static void drop(Scheduler *s, Slot *slot, const Request *r) {
  const EffectInfo *info = effect_info(r->effect);
  bool world = info != NULL && info->how == HOW_ASK && r->effect != EFFECT_SLEEP;
  timers_drop(s->timers, slot->number, r->seq);
  inbox_drop_timer(slot, r->seq);
  /* With a seed nothing is cut short: whether it came before the end would depend on the network.
   */
  if (world && s->effects != NULL && !s->options.seeded)
    effects_drop(s->effects, slot->number, r->seq);
}

static void output(Scheduler *s, Slot *slot, const Request *r) {
  if (s->options.output != NULL)
    s->options.output(s->options.context, slot->id, (EffectKind)r->effect, r->operands);
}

static void leave(Scheduler *s, Slot *slot, const Request *r) {
  switch (r->kind) {
    case REQUEST_OUTPUT:
      output(s, slot, r);
      return;
    case REQUEST_EFFECT:
      if (slot->over || for_app(r) || for_store(r)) return;
      if (for_model(r)) gate_leave(s, slot, r);
      else if (r->resend) effect_again(s, slot, r);
      else effect_submit(s, slot, r);
      return;
    case REQUEST_TIMER:
      if (!slot->over) timers_add(s->timers, (Timer){r->due_us, slot->number, r->seq});
      return;
    case REQUEST_AWAIT:
      if (!slot->over) child_await(s, slot, r);
      return;
    case REQUEST_ADMIT:
      if (!slot->over) gate_leave(s, slot, r);
      return;
    case REQUEST_DROP:
      drop(s, slot, r);
      return;
    case REQUEST_APPROVAL:
      if (!slot->over) approval_leave(s, slot, r);
      return;
    case REQUEST_START:
    case REQUEST_SIGNAL:
    case REQUEST_CANCEL:
    case REQUEST_PERSON:
    case REQUEST_TURN:
    case REQUEST_DEAD:
      return; /* done before */
  }
}

void dispatch_after_commit(Scheduler *s, Slot *slot) {
  for (uint32_t o = 0; o < slot->out_count; o++)
    for (uint32_t i = 0; i < slot->outs[o].count; i++) leave(s, slot, &slot->outs[o].requests[i]);
  slot->out_count = slot->out_before = 0;
}

/* ---- open since before --------------------------------------------------- */

static bool is_fresh(const RunOutput *fresh, const Request *r) {
  for (uint32_t i = 0; i < fresh->count; i++)
    if (fresh->requests[i].seq == r->seq && fresh->requests[i].kind == r->kind) return true;
  return false;
}

/* What may be sent again is admitted by its tool's limit again; a test's answer comes from no server. */
static void sent_open(Scheduler *s, Slot *slot, const Request *r) {
  Request admit;
  bool again = r->effect_class != CLASS_IRREVERSIBLE && r->effect != EFFECT_STUB;
  if (again && run_admission(slot->run, r->seq, &admit)) gate_admit(s, slot, &admit, true);
  else leave(s, slot, r);
}

/* What has not left with certainty waits for the next commit. */
static void effect_open(Scheduler *s, Slot *slot, const Request *r) {
  if (for_model(r)) gate_ask(s, slot, r, true);
  else if (for_store(r)) ask_queue(slot, r);
  else if (!for_app(r)) sent_open(s, slot, r);
  else if (s->app != NULL) app_ask_open(s->app, slot, r);
  else ask_queue(slot, r); /* answered with the next commit */
}

static void open_again(Scheduler *s, Slot *slot, const Request *r) {
  switch (r->kind) {
    case REQUEST_START:
    case REQUEST_SIGNAL:
    case REQUEST_CANCEL:
    case REQUEST_PERSON:
    case REQUEST_TURN:
    case REQUEST_DEAD:
    case REQUEST_ADMIT:
      before_commit(s, slot, r);
      return;
    case REQUEST_EFFECT:
      effect_open(s, slot, r);
      return;
    case REQUEST_APPROVAL:
      approval_ask(s, slot, r, true);
      approval_leave(s, slot, r);
      return;
    case REQUEST_TIMER:
    case REQUEST_OUTPUT:
    case REQUEST_AWAIT:
    case REQUEST_DROP:
      leave(s, slot, r);
      return;
  }
}

/* What is asked only now (`fresh`) waits for its commit; what was asked before may go at once. */
void dispatch_open(Scheduler *s, Slot *slot, const RunOutput *fresh, const RunOutput *open) {
  for (uint32_t i = 0; i < open->count; i++) {
    if (!is_fresh(fresh, &open->requests[i])) open_again(s, slot, &open->requests[i]);
  }
}
