/* Signals and other runs: waited for, begun, awaited. */
#include "vm/run/state.h"

/* ---- signals ---- */

static bool signal_take(Run *run, Str name, uint64_t seq, Value *value) {
  for (uint32_t i = 0; i < run->signal_count; i++) {
    if (!str_equal(run->signals[i].name, name)) continue;
    Signal signal = run->signals[i];
    memmove(&run->signals[i], &run->signals[i + 1], (--run->signal_count - i) * sizeof signal);
    Err err;
    bool ok = wire_get(run->machine, signal.value, value, &err);
    ASSERT(ok); /* it was decoded when it arrived */
    memory_confirm(run, seq, signal.value);
    mem_free((void *)(uintptr_t)signal.name.at);
    mem_free((void *)(uintptr_t)signal.value.at);
    return true;
  }
  return false;
}

void ask_signal(Run *run, Fiber *f) {
  Machine *m = run->machine;
  Strand *s = run_strand(run, f->id);
  Str name = bundle_text(run->bundle, m->ask.operand);
  Buf operands = {0};
  uint64_t seq;
  int64_t us = 0;
  Value within = ask_count(run) ? machine_ask_arg(m, f, 0) : VALUE_NIL;
  if (within != VALUE_NIL && !ask_duration(run, f, within, &us)) goto out;
  if (!ask_operands(run, f, 0, &operands)) goto out;
  if (memory_recalls(run, f, EFFECT_SIGNAL_WAIT, CLASS_NONE, name, buf_view(&operands))) goto out;
  if (!ask_put(run, f, name, buf_view(&operands), &seq)) goto out;
  FirstAsked first = memory_asked(run, seq, buf_view(&operands));
  Value value;
  if (signal_take(run, name, seq, &value)) {
    fiber_answer(m, f, value);
    run_ready_first(run, f->id);
    goto out;
  }
  s->on = FIBER_ON_SIGNAL;
  s->seq = seq;
  s->signal = m->ask.operand;
  s->timer_seq = 0;
  if (within != VALUE_NIL) {
    s->timer_seq = seq;
    wait_add(run, &(Request){.kind = REQUEST_TIMER, .seq = seq, .effect = EFFECT_SIGNAL_WAIT,
                             .due_us = ask_due(first.at_us, us), .timeout_us = us}, f->id);
  }
out:
  buf_deinit(&operands);
}

/* The oldest strand that waits for the name gets it. False: nobody does. */
bool ask_signal_arrived(Run *run, Str name, Str bytes) {
  for (uint32_t i = 0; i < run->strand_count; i++) {
    Strand *s = run->strands[i];
    if (!s || s->on != FIBER_ON_SIGNAL || !str_equal(bundle_text(run->bundle, s->signal), name)) continue;
    if (s->timer_seq) {
      Wait *w = wait_find(run, s->timer_seq);
      if (w) {
        request_put(run, &(Request){.kind = REQUEST_DROP, .seq = w->seq, .effect = w->effect});
        wait_remove(run, w->seq);
      }
    }
    Value v;
    Err err;
    bool ok = wire_get(run->machine, bytes, &v, &err);
    ASSERT(ok);
    memory_confirm(run, s->seq, bytes);
    strand_answer(run, i, v);
    return true;
  }
  return false;
}

/* ---- other runs ---- */

/* The handle is known before anything is started. */
static void started(Run *run, Fiber *f, uint64_t seq, Uuid child, Str name) {
  Value handle = handle_new(run->machine, child.byte, seq, name);
  Buf bytes = {0};
  const char *why;
  if (run->attempts && wire_put(run->machine, handle, &bytes, &why)) memory_confirm(run, seq, buf_view(&bytes));
  buf_deinit(&bytes);
  fiber_answer(run->machine, f, handle);
  run_ready_first(run, f->id);
}

void ask_start(Run *run, Fiber *f, EffectKind kind) {
  const BundleWorkflow *w = &run->bundle->workflows[run->machine->ask.operand];
  Str name = bundle_text(run->bundle, w->name);
  Buf operands = {0}, scopes = {0};
  uint64_t seq;
  if (!ask_operands(run, f, 0, &operands)) goto out;
  if (memory_recalls(run, f, kind, CLASS_NONE, name, buf_view(&operands))) goto out;
  if (!ask_put(run, f, name, buf_view(&operands), &seq)) goto out;
  FirstAsked first = memory_asked(run, seq, buf_view(&operands));
  scopes_put(run, run_strand(run, f->id), &scopes);
  Request request = {.kind = REQUEST_START, .seq = seq, .effect = (uint8_t)kind, .target = name,
                     .operands = buf_view(&operands), .scopes = buf_view(&scopes),
                     .run = run_child_id(run, first.seq, first.at_us),
                     .resend = first.seq != seq};
  send_keep(run, &request);
  if (kind == EFFECT_RUN_START) {
    started(run, f, seq, request.run, name);
  } else {
    request.kind = REQUEST_AWAIT;
    request.operands = request.scopes = (Str){0};
    ask_wait(run, f, &request);
  }
out:
  buf_deinit(&operands);
  buf_deinit(&scopes);
}

/* One command for each handle; `list` false: the single operand is the handle. */
void ask_await(Run *run, Fiber *f, EffectKind kind) {
  Machine *m = run->machine;
  Strand *s = run_strand(run, f->id);
  Value operand = machine_ask_arg(m, f, 0);
  bool single = kind == EFFECT_RUN_AWAIT;
  if (!single && !value_is_kind(operand, OBJ_LIST)) {
    strand_raise(run, f->id, error_fault(m, f, FAULT_TYPE, "%s takes a list of runs", effect_info(kind)->word));
    return;
  }
  uint32_t count = single ? 1 : list_count(operand);
  if (count == 0) {
    fiber_answer(m, f, kind == EFFECT_AWAIT_ALL ? list_new(m, 0) : VALUE_NIL);
    run_ready_first(run, f->id);
    return;
  }
  Uuid *ids = mem_alloc(count * sizeof *ids);
  for (uint32_t i = 0; i < count; i++) {
    operand = machine_ask_arg(m, f, 0);
    if (!ask_run_id(run, f, single ? operand : list_at(operand, i), &ids[i])) goto out;
  }
  s->on = single ? FIBER_ON_ANSWER : FIBER_ON_AWAITS;
  s->await_any = kind == EFFECT_AWAIT_ANY;
  if (!single) {
    s->awaits = mem_alloc(count * sizeof *s->awaits);
    s->await_count = count;
  }
  for (uint32_t i = 0; i < count; i++) {
    Buf operands = {0};
    cbor_put_array(&operands, 1);
    const char *why;
    operand = machine_ask_arg(m, f, 0);
    bool ok = wire_put(m, single ? operand : list_at(operand, i), &operands, &why);
    ASSERT(ok);
    uint64_t seq;
    if (ask_put(run, f, (Str){"", 0}, buf_view(&operands), &seq)) {
      if (single) s->seq = seq;
      else s->awaits[i].seq = seq;
      wait_add(run, &(Request){.kind = REQUEST_AWAIT, .seq = seq, .effect = (uint8_t)kind, .run = ids[i]}, f->id);
    }
    buf_deinit(&operands);
  }
out:
  mem_free(ids);
}

static void awaits_clear(Strand *s) {
  for (uint32_t i = 0; i < s->await_count; i++) mem_free((void *)(uintptr_t)s->awaits[i].value.at);
  mem_free(s->awaits);
  s->awaits = NULL;
  s->await_count = 0;
}

static void awaits_drop_rest(Run *run, Strand *s) {
  for (uint32_t i = 0; i < s->await_count; i++) {
    Wait *w = s->awaits[i].outcome == 0 ? wait_find(run, s->awaits[i].seq) : NULL;
    if (w) wait_drop(run, w, STR("another was enough"));
  }
}

static Value decoded(Run *run, Str bytes) {
  Value v;
  Err err;
  if (!wire_get(run->machine, bytes, &v, &err)) v = VALUE_NIL;
  return v;
}

static void awaits_all(Run *run, uint32_t fiber, Strand *s) {
  Machine *m = run->machine;
  m->roots[0] = list_new(m, s->await_count);
  for (uint32_t i = 0; i < s->await_count; i++) {
    Value v = decoded(run, s->awaits[i].value);
    list_push(m, &m->roots[0], v);
  }
  awaits_clear(s);
  Value list = m->roots[0];
  m->roots[0] = VALUE_NIL;
  strand_answer(run, fiber, list);
}

/* One of the runs a strand awaits has ended. */
void ask_await_came(Run *run, uint32_t fiber, uint64_t seq, bool ok, Str value, Value v) {
  Strand *s = run_strand(run, fiber);
  uint32_t open = 0;
  for (uint32_t i = 0; i < s->await_count; i++) {
    Awaited *a = &s->awaits[i];
    if (a->seq == seq) {
      a->outcome = ok ? 1 : 2;
      char *copy = mem_alloc(value.size + 1);
      memcpy(copy, value.at, value.size);
      a->value = (Str){copy, value.size};
    }
    if (a->outcome == 0) open++;
  }
  if (ok && !s->await_any) {
    if (open == 0) awaits_all(run, fiber, s);
    return;
  }
  awaits_drop_rest(run, s);
  awaits_clear(s);
  if (ok) strand_answer(run, fiber, v);
  else strand_raise(run, fiber, v);
}
