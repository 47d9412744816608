/* What a model said, made a record of this program. A function of its operand: nothing is recorded. */
#include "vm/run/state.h"

/* One for each run, as it has a machine of its own; what it knows are the program and the configuration. */
Decider *run_decider(Run *run) {
  if (!run->decider) {
    run->decider = decider_new(run->program);
    decider_configure(run->decider, run->head.HEAD.config);
  }
  return run->decider;
}

static Value misfit(Run *run, Fiber *f, const Refusal *refusal) {
  Value data = VALUE_NIL;
  Err err;
  if (refusal->data.at && !wire_get(run->machine, refusal->data, &data, &err)) data = VALUE_NIL;
  return error_new(run->machine, f, refusal->code, refusal->message, data, true);
}

/* The work is the run's own: it is charged the ticks of the constructors, which are the same wherever it runs. */
void ask_fit(Run *run, Fiber *f) {
  Machine *m = run->machine;
  uint32_t shape = m->ask.operand;
  Value v = machine_ask_arg(m, f, 0);
  Buf *value = &run->scratch, made = {0};
  const char *why;
  Refusal refusal;
  Err err;
  if (value_is_kind(v, OBJ_RECORD) && ((const RecordObj *)value_obj(v))->shape == shape) {
    ask_done(run, f, v);
    return;
  }
  buf_clear(value);
  if (!wire_put(m, v, value, &why)) {
    strand_raise(run, f->id, error_fault(m, f, FAULT_VALUE, "%s", why));
    return;
  }
  Decider *d = run_decider(run);
  (void)decider_spent(d); /* on decisions that were looked at: they are not the run's */
  bool ok = decider_admit(d, shape, buf_view(value), 0, false, &made, &refusal);
  m->ticks += decider_spent(d) + value->size / 64;
  if (!ok) strand_raise(run, f->id, misfit(run, f, &refusal));
  else if (wire_get(m, buf_view(&made), &v, &err)) ask_done(run, f, v);
  else strand_raise(run, f->id, error_fault(m, f, FAULT_INTERNAL, "%s", err.text));
  buf_deinit(&made);
}
