/* Requests: what must be done before the commit that records them (other runs of this
** store), and what may be done only after it (everything else). */
#include "vm/base/cbor.h"
#include "vm/base/mem.h"
#include "vm/runtime/schedule.h"

static const Str encoded_nil = {"\xf6", 1};

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

void dispatch_before_commit(Scheduler *s, Slot *slot) {
  for (uint32_t o = slot->out_before; o < slot->out_count; o++) {
    for (uint32_t i = 0; i < slot->outs[o].count; i++) {
      const Request *r = &slot->outs[o].requests[i];
      if (r->kind == REQUEST_START) child_start(s, slot, r);
      else if (r->kind == REQUEST_SIGNAL || r->kind == REQUEST_CANCEL) run_send(s, slot, r);
      else if (r->kind == REQUEST_PERSON) person_wanted(slot, r);
    }
  }
  slot->out_before = slot->out_count;
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

static void effect_refuse(Slot *slot, const Request *r, const Err *err) {
  Buf error = {0};
  error_encode(&error, STR("http_failed"), str_of(err->text));
  inbox_answer(slot, r->seq, "error", buf_view(&error), false);
  buf_deinit(&error);
}

static void effect_submit(Scheduler *s, Slot *slot, const Request *r) {
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
    effect_refuse(slot, r, &err);
    return;
  }
  effects_submit(s->effects, &e);
  s->in_flight++;
}

/* It was asked before a crash and may have been sent. What may be repeated is; for what may not,
 *the answer is
 ** that nobody knows, and the run's own books (check, or a person) take over. */
static void effect_again(Scheduler *s, Slot *slot, const Request *r) {
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

static void admit(Scheduler *s, Slot *slot, const Request *r) {
  int64_t now = clock_now(&s->clock);
  int64_t at = limits_admit(s->limits, r->target, r->limit_count, r->limit_per_us, now);
  if (at <= now) inbox_answer(slot, r->seq, "ok", encoded_nil, true);
  else timers_add(s->timers, (Timer){at, slot->number, r->seq});
}

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
      if (slot->over) return;
      if (r->resend) effect_again(s, slot, r);
      else effect_submit(s, slot, r);
      return;
    case REQUEST_TIMER:
      if (!slot->over) timers_add(s->timers, (Timer){r->due_us, slot->number, r->seq});
      return;
    case REQUEST_AWAIT:
      if (!slot->over) child_await(s, slot, r);
      return;
    case REQUEST_ADMIT:
      if (!slot->over) admit(s, slot, r);
      return;
    case REQUEST_DROP:
      drop(s, slot, r);
      return;
    case REQUEST_START:
    case REQUEST_SIGNAL:
    case REQUEST_CANCEL:
    case REQUEST_PERSON:
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

/* What is asked only now (`fresh`) waits for its commit; what was asked before may go at once. */
void dispatch_open(Scheduler *s, Slot *slot, const RunOutput *fresh, const RunOutput *open) {
  for (uint32_t i = 0; i < open->count; i++) {
    const Request *r = &open->requests[i];
    if (is_fresh(fresh, r)) continue;
    if (r->kind == REQUEST_START) child_start(s, slot, r);
    else if (r->kind == REQUEST_SIGNAL || r->kind == REQUEST_CANCEL) run_send(s, slot, r);
    else if (r->kind == REQUEST_PERSON) person_wanted(slot, r);
    else leave(s, slot, r);
  }
}
