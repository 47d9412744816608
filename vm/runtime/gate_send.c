/* Calls that leave, and what they cost. */
#include "vm/base/cbor.h"
#include "vm/base/mem.h"
#include "vm/runtime/app.h"
#include "vm/runtime/gate_impl.h"
#include "vm/runtime/testing.h"

static const Str encoded_nil = {"\xf6", 1};

/* ---- leaving --------------------------------------------------------------------------- */

static Str only_operand(Str operands) {
  CborReader r = cbor_reader(operands);
  uint64_t count;
  Str map = {0};
  Err ignored;
  return cbor_array(&r, &count, &ignored) && count > 0 && cbor_skip(&r, &map, &ignored) ? map : encoded_nil;
}

/* A test without a stub for the model never reaches a server, and needs no key. */
static void operands_offline(Str operands, Buf *out) {
  Buf provider = {0}, keyless = {0};
  cbor_put_text(&provider, STR("offline"));
  map_with(only_operand(operands), STR("api_key"), encoded_nil, &keyless);
  cbor_put_array(out, 1);
  map_with(buf_view(&keyless), STR("provider"), buf_view(&provider), out);
  buf_deinit(&provider);
  buf_deinit(&keyless);
}

static void operands_resumed(Str operands, Str resume, Buf *out) {
  cbor_put_array(out, 1);
  map_with(only_operand(operands), STR("resume"), resume, out);
}

static void answer_stubbed(Scheduler *s, const Call *c, const Request *r) {
  EffectOutcome o = {.run = c->run, .seq = c->seq};
  o.outcome = testing_model(s->app->testing, c->model, r->key, only_operand(r->operands), &o.value);
  outcome_deliver(s, &o);
}

static void submit(Scheduler *s, const Call *c, const Request *r) {
  Buf operands = {0};
  Request to = *r;
  bool test = s->app != NULL && s->app->testing != NULL;
  if (c->resume.size > 0) operands_resumed(r->operands, buf_view(&c->resume), &operands);
  else if (test) operands_offline(r->operands, &operands);
  if (operands.size > 0) to.operands = buf_view(&operands);
  effect_submit(s, c->slot, &to);
  buf_deinit(&operands);
}

static void tool_send(Scheduler *s, Call *c, const Request *r) {
  Slot *slot = c->slot;
  uint64_t seq = c->seq;
  bool again = c->again;
  gate_call_free(s->gate, c);
  if (again) effect_again(s, slot, r);
  else inbox_answer(slot, seq, "ok", encoded_nil, true);
}

void call_send(Scheduler *s, Call *c, const Request *r) {
  if (c->tool) {
    tool_send(s, c, r);
    return;
  }
  c->state = CALL_SENT;
  if (c->stub) answer_stubbed(s, c, r);
  else submit(s, c, r);
}

void gate_leave(Scheduler *s, const Slot *slot, const Request *r) {
  Call *c = slot->calls != NULL ? gate_call(s->gate, slot->number, r->seq) : NULL;
  if (c != NULL && c->state == CALL_CHOSEN) call_send(s, c, r);
}

/* ---- out of a queue ------------------------------------------------------------------------ */

static const Request *request_of(const RunOutput *open, uint64_t seq) {
  for (uint32_t i = 0; i < open->count; i++)
    if (open->requests[i].seq == seq && open->requests[i].kind == REQUEST_EFFECT) return &open->requests[i];
  return NULL;
}

/* The run knows what it asked; it may have to come back into memory for that. */
static void call_send_later(Scheduler *s, Call *c) {
  RunOutput open = {0};
  Err err;
  if (c->tool && !c->again) {
    call_send(s, c, NULL);
    return;
  }
  if (!slot_wake(c->slot, &err)) {
    scheduler_notice(s, "a run whose call may leave cannot be woken: %s", err.text);
    return;
  }
  run_open_requests(c->slot->run, &open);
  const Request *r = request_of(&open, c->seq);
  slot_calm(c->slot);
  if (r != NULL) call_send(s, c, r);
  run_output_deinit(&open);
}

/* Who is away is asked when it is back. */
void gate_committed(Scheduler *s) {
  Gate *g = s->gate;
  uint32_t kept = 0;
  for (uint32_t i = 0; i + 1 < g->chosen_count; i += 2) {
    uint64_t run = g->chosen[i], seq = g->chosen[i + 1];
    Call *c = gate_call(g, run, seq);
    if (c == NULL || c->state != CALL_CHOSEN || c->slot == NULL) continue;
    if (!c->slot->away) {
      call_send_later(s, c);
      continue;
    }
    g->chosen[kept++] = run;
    g->chosen[kept++] = seq;
  }
  g->chosen_count = kept;
}

/* ---- costs ---------------------------------------------------------------------------------- */

static void cost_all(Call *c) { /* nobody knows: with an answer as long as it may be */
  c->cost = c->hold.usage;
  c->nanodollars = c->hold.nanodollars;
  c->uncertain = true;
}

static void cost_usage(Call *c, const Usage *usage) {
  c->cost = *usage;
  c->nanodollars = price_cost(&c->price, usage);
}

static bool is_true(Str value) { return value.size == 1 && (uint8_t)value.at[0] == 0xf5; }

/* Was it surely not billed? It was not sent, or a server said no to it. */
static bool not_billed(Str data) {
  CborReader r = cbor_reader(cbor_map_get(data, STR("status")));
  int64_t status;
  Err ignored;
  if (!is_true(cbor_map_get(data, STR("sent")))) return true;
  return r.at < r.end && cbor_int(&r, &status, &ignored) && status >= 400;
}

static void cost_of_error(Call *c, const char *outcome, Str data) {
  Usage usage;
  bool known = usage_read(cbor_map_get(data, STR("usage")), &usage) && usage.exact;
  bool unknown = strcmp(outcome, "unknown") == 0;
  c->told = known;
  if (known) cost_usage(c, &usage);
  else if (!unknown && not_billed(data)) cost_usage(c, &(Usage){0});
  else cost_all(c);
}

static void call_arrived(Call *c, const EffectOutcome *o) {
  Str value = buf_view(&o->value);
  ErrorParts parts;
  Usage usage;
  c->arrived = true;
  bool ok = c->told = strcmp(o->outcome, "ok") == 0;
  if (!ok) cost_of_error(c, o->outcome, error_decode(value, &parts) ? parts.data : encoded_nil);
  else if (usage_read(cbor_map_get(value, STR("usage")), &usage)) cost_usage(c, &usage);
  else cost_all(c);
}

/* A connection that broke, and not the answer made in the background: the same call goes on, under its hold. */
bool gate_take_up(Scheduler *s, const EffectOutcome *o) {
  enum { TAKEN_UP_MAX = 3 }; /* without anything new */
  Call *c = gate_call(s->gate, o->run, o->seq);
  if (c == NULL || c->state != CALL_SENT || c->slot == NULL || c->resume.size == 0) return false;
  if (strcmp(o->outcome, "unknown") != 0 || c->taken_up == TAKEN_UP_MAX) return false;
  c->taken_up++;
  call_send_later(s, c);
  return true;
}

static void piece_put(Scheduler *s, const Call *c, PieceKind kind, Str text) {
  StreamPiece piece = {kind, c->slot->id, c->seq, c->attempt, c->agent, c->model, text};
  s->options.stream(s->options.context, &piece);
}

bool gate_outcome(Scheduler *s, const EffectOutcome *o) {
  Call *c = gate_call(s->gate, o->run, o->seq);
  if (c == NULL || c->state != CALL_SENT) return false;
  if (c->streamed && c->slot != NULL)
    piece_put(s, c, strcmp(o->outcome, "ok") == 0 ? PIECE_ENDED : PIECE_BROKEN, (Str){0});
  call_arrived(c, o);
  return true;
}

/* What was counted beforehand is what it was. */
static void limits_correct(Gate *g, const Call *c) {
  uint64_t tokens = (uint64_t)amount_add(c->cost.input, c->cost.output);
  for (uint32_t i = 0; i < c->limit_count; i++) {
    const LimitUse *use = &c->limits[i];
    if (!use->limit->tokens || tokens == use->want || c->stub) continue;
    limit_correct(use->limit, use->at_us, use->want, tokens);
    limits_keep(g->limits, use->limit);
  }
}

static void call_settle(Scheduler *s, Call *c) {
  Gate *g = s->gate;
  limits_correct(g, c);
  if (c->told && !c->counted) ledger_learn(g->ledger, c->charger, &c->cost, &c->most);
  ledger_settle(g->ledger, &c->hold, &c->cost, c->nanodollars, c->uncertain);
  ledger_hold_drop(g->ledger, c->run, c->seq);
  g->settled = true;
  gate_call_free(g, c);
}

void gate_settle(Scheduler *s, uint64_t run, uint64_t seq) {
  Call *c = gate_call(s->gate, run, seq);
  if (c != NULL && c->state == CALL_SENT && c->arrived) call_settle(s, c);
}

void call_lost(Scheduler *s, Call *c) {
  cost_all(c);
  call_settle(s, c);
}

/* ---- on its way -------------------------------------------------------------------------------- */

static void progress_text(Scheduler *s, Call *c, Str text) {
  if (s->options.stream == NULL || c->slot == NULL) return;
  c->streamed = true;
  piece_put(s, c, PIECE_TEXT, text);
}

void gate_progress(Scheduler *s, const EffectOutcome *o) {
  Call *c = gate_call(s->gate, o->run, o->seq);
  if (c == NULL || c->state != CALL_SENT) return;
  if (strcmp(o->outcome, "text") == 0) {
    progress_text(s, c, buf_view(&o->value));
  } else if (strcmp(o->outcome, "resume") == 0) {
    buf_clear(&c->resume);
    buf_str(&c->resume, buf_view(&o->value));
    c->taken_up = 0;
    call_hold_put(s->gate, c);
  }
}
