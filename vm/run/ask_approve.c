/* Approvals: a person decides whether a tool is called.
**
** The decision and the call that follows it are one commit. That holds because
**   - the answer puts its fiber first in the queue, so no other one runs, or asks for a commit, in between;
**   - the step is not ended by its slice until that fiber has acted: called a tool, come to wait, or ended
**     (approval_acted; step.c);
**   - the caller takes records between steps only.
** So no journal says that somebody approved without saying what came of it. Code that does something else first has
** DECIDED_TICKS and DECIDED_ASKS for it, for checks and notes; then it is code as any other, and may be interrupted. */
#include "vm/run/state.h"

enum { DECIDED_TICKS = 10000000, DECIDED_ASKS = 16 };

static bool operands_sound(Run *run, Fiber *f, int64_t *us) {
  Machine *m = run->machine;
  Value within = machine_ask_arg(m, f, 1);
  if (within != VALUE_NIL && !ask_duration(run, f, within, us)) return false;
  if (value_is_text(machine_ask_arg(m, f, 0)) && value_is_kind(machine_ask_arg(m, f, 2), OBJ_RECORD)) return true;
  strand_raise(run, f->id, error_fault(m, f, FAULT_TYPE, "approve takes a question and the tool's arguments"));
  return false;
}

void ask_approve(Run *run, Fiber *f) {
  Buf *operands = &run->scratch;
  Str name = bundle_text(run->bundle, run->bundle->tools[run->machine->ask.operand].name);
  int64_t us = 0;
  uint64_t seq;
  char key[96];
  if (!operands_sound(run, f, &us) || !ask_operands(run, f, 0, operands)) return;
  if (memory_recalls(run, f, EFFECT_APPROVE, CLASS_NONE, name, buf_view(operands))) return;
  if (!ask_put(run, f, name, buf_view(operands), &seq)) return;
  FirstAsked first = memory_asked(run, seq, buf_view(operands));
  run_key(run, first.seq, key);
  bool timed = machine_ask_arg(run->machine, f, 1) != VALUE_NIL;
  ask_wait(run, f, &(Request){.kind = REQUEST_APPROVAL, .seq = seq, .effect = EFFECT_APPROVE, .target = name,
                              .operands = buf_view(operands), .key = str_of(key), .timeout_us = us,
                              .due_us = timed ? ask_due(first.at_us, us) : 0, .resend = first.seq != seq});
}

/* ---- the decision ---- */

/* The third of the operands. */
static Str arguments_of(const Wait *wait) {
  CborReader r = cbor_reader(wait->operands);
  uint64_t count;
  Str item = {0};
  Err ignored;
  if (!cbor_array(&r, &count, &ignored) || count != 3) return (Str){0};
  for (int i = 0; i < 3; i++) {
    if (!cbor_skip(&r, &item, &ignored)) return (Str){0};
  }
  return item;
}

/* The shape of what was asked about: the record still stands in the fiber's registers. */
static uint32_t asked_shape(Run *run, const Wait *wait) {
  Value v = machine_ask_arg(run->machine, fiber_by_id(run->machine, wait->fiber), 2);
  return value_is_kind(v, OBJ_RECORD) ? ((const RecordObj *)value_obj(v))->shape : NONE_INDEX;
}

/* A record of that shape, and one that the program itself could have made. */
static bool arguments_fit(Run *run, const Wait *wait, Str given, Err *err) {
  Decider *d = run_decider(run);
  uint32_t shape = asked_shape(run, wait);
  Buf made = {0};
  Refusal refusal;
  bool ok = false;
  if (shape == NONE_INDEX) FAIL(err, ERR_CORRUPT, "what the approval is about is not known");
  else if (!decider_admit(d, shape, given, 0, false, &made, &refusal))
    FAIL(err, ERR_INVALID, "the arguments do not fit: " STR_FMT, STR_ARG(refusal.message));
  else if (!str_equal(buf_view(&made), given))
    FAIL(err, ERR_INVALID, "the arguments are not a record of what was asked about");
  else ok = true;
  buf_deinit(&made);
  return ok;
}

static bool decision_sound(Run *run, const Wait *wait, Str decision, Err *err) {
  CborReader r = cbor_reader(cbor_map_get(decision, STR("verdict")));
  Str given = cbor_map_get(decision, STR("arguments")), verdict;
  Err ignored;
  if (r.at == r.end || !cbor_text(&r, &verdict, &ignored)) verdict = (Str){"", 0};
  if (str_equal(verdict, STR("approved"))) {
    if (str_equal(given, arguments_of(wait))) return true;
    FAIL(err, ERR_INVALID, "the approved arguments are not those that were asked about");
    return false;
  }
  if (str_equal(verdict, STR("edited"))) return arguments_fit(run, wait, given, err);
  if (str_equal(verdict, STR("denied"))) {
    bool none = given.at == NULL || str_equal(given, (Str){"\xf6", 1});
    return none || arguments_fit(run, wait, given, err);
  }
  FAIL(err, ERR_INVALID, "a decision is approved, denied or edited");
  return false;
}

bool approval_sound(Run *run, const Wait *wait, Str outcome, Str value, Err *err) {
  if (!str_equal(outcome, STR("ok"))) return true;
  if (!str_equal(value, (Str){"\xf6", 1})) return decision_sound(run, wait, value, err);
  if (wait->due_us != 0) return true;
  FAIL(err, ERR_INVALID, "this approval has no end of its time: it needs a decision");
  return false;
}

void approval_answered(Run *run, const Wait *wait, Value v) {
  run_strand(run, wait->fiber)->on = FIBER_ON_NOTHING;
  fiber_answer(run->machine, fiber_by_id(run->machine, wait->fiber), v);
  run_ready_first(run, wait->fiber);
  run->decided = wait->fiber;
  run->decided_asks = 0;
  run->decided_end = run->machine->ticks + DECIDED_TICKS;
}

bool approval_acted(Run *run, uint32_t fiber, Stop stop) {
  if (stop != STOP_EFFECT || run->ended || run->diverged || ++run->decided_asks > DECIDED_ASKS) return true;
  const Strand *s = fiber < run->strand_count ? run->strands[fiber] : NULL;
  return !s || s->on != FIBER_ON_NOTHING || ask_site(run)->kind == EFFECT_TOOL;
}
