/* The heart: runs ready fibers until all of them wait. */
#include "vm/run/state.h"

enum {
  SCRATCH_KEPT = 1 << 16, /* more is given back after a step */
  REPLAY_SLICE = 1000000  /* ticks: beyond its history a run that is replayed goes on when it is its turn */
};

/* ---- how a fiber stopped ---- */

static void main_over(Run *run, Fiber *f) {
  if (run->attempts && attempts_over(run, f)) return;
  if (f->status == FIBER_DONE) {
    run_end(run, RUN_STATUS_DONE, f->result);
  } else {
    bool cancelled = run->cancelling && str_equal(error_code(f->result), STR("cancelled"));
    run_end(run, cancelled ? RUN_STATUS_CANCELLED : RUN_STATUS_FAILED, f->result);
  }
}

static void fiber_over(Run *run, Fiber *f) {
  Strand *s = run_strand(run, f->id);
  s->on = FIBER_ON_NOTHING;
  if (s->group == NO_GROUP) main_over(run, f);
  else group_child_over(run, f);
}

/* New budgets between two effects. */
static void refuel(Machine *m) {
  m->ticks_limit = m->ticks + LIMIT_TICKS;
  m->charged = 0;
  m->charged_limit = LIMIT_NEW_MEMORY;
}

static void killed(Run *run, const char *why) {
  Value error = error_fault(run->machine, NULL, FAULT_LIVE, "%s", why);
  if (!attempts_killed(run, error)) run_end(run, RUN_STATUS_KILLED, error);
}

/* What leaves none is code like any other: a loop of it ends with the run's ticks. */
static bool leaves_record(const Run *run) {
  EffectKind kind = (EffectKind)ask_site(run)->kind;
  return kind != EFFECT_FIT && kind != EFFECT_BUDGET_END;
}

static void stopped(Run *run, Fiber *f, Stop stop) {
  switch (stop) {
    case STOP_DONE: case STOP_FAULT: fiber_over(run, f); return;
    case STOP_EFFECT:
      if (leaves_record(run)) refuel(run->machine);
      run_ask(run, f);
      return;
    case STOP_PARALLEL: group_begin(run, f); return;
    case STOP_RETURN: tool_returned(run, f); return;
    case STOP_RAISE: tool_raised(run, f); return;
    case STOP_LIVE: case STOP_SLICE: break; /* run_ready_fibers sees to them */
  }
}

static bool cancelled_in_queue(Run *run, Fiber *f) {
  Strand *s = run_strand(run, f->id);
  if (!s->cancel_due || strand_shielded(run, s) || f->status != FIBER_READY) return false;
  return true;
}

static StepResult outcome(const Run *run) {
  if (run->diverged) {
    return journal_divergence(run->journal)->kind == DIVERGE_NONE ? STEP_HISTORY_END : STEP_DIVERGED;
  }
  return run->ended ? STEP_ENDED : STEP_WAITING;
}

/* Of history: that it came to its limit here too. */
static bool was_killed(Run *run) {
  const Record *recorded = journal_peek(run->journal);
  Record event;
  return recorded && recorded->kind == RECORD_KILLED && journal_event(run->journal, &event);
}

static void live_limit(Run *run) {
  char size[32];
  snprintf(size, sizeof size, "%" PRIu64 " MB", LIMIT_LIVE_MEMORY >> 20);
  if (journal_live(run->journal) || !was_killed(run)) {
    Record r = {.kind = RECORD_KILLED, .KILLED = {.why = str_of(size), .at = run->host->now_us(run->host->context)}};
    if (!run_put(run, &r)) return;
  }
  killed(run, size);
}

static StepResult run_ready_fibers(Run *run, uint64_t ticks) {
  Machine *m = run->machine;
  uint64_t end = ticks ? m->ticks + ticks : UINT64_MAX;
  uint64_t generation = run->generation;
  while (run->ready_count > 0 && !run->diverged && !run->ended) {
    uint32_t id = run_ready_take(run);
    Fiber *f = fiber_by_id(m, id);
    if (!f || f->status == FIBER_DONE || f->status == FIBER_FAULTED) continue;
    if (cancelled_in_queue(run, f)) {
      run_strand(run, id)->cancel_due = false;
      fiber_raise(m, f, error_fault(m, f, FAULT_CANCELLED, "%s", ""));
    }
    m->slice_end = id == run->decided && run->decided_end > end ? run->decided_end : end;
    Stop stop = m->switch_loop ? interp_run_switch(m, f) : interp_run(m, f);
    if (stop == STOP_SLICE) {
      run_ready_first(run, id);
      return STEP_SLICE;
    }
    if (stop == STOP_LIVE) live_limit(run);
    else stopped(run, f, stop);
    if (id == run->decided && approval_acted(run, id, stop)) run->decided = NO_FIBER;
    if (run->generation != generation) return STEP_CONTINUED;
    if (attempts_resting(run)) break; /* the machine is another one */
    if (run->commit_due && journal_live(run->journal)) {
      run->commit_due = false;
      return STEP_COMMIT;
    }
  }
  return outcome(run);
}

/* ---- parking ---- */

static bool long_wait(const Wait *w) {
  if (w->dropped || w->effect == 0) return true; /* nobody waits for it; of an attempt */
  switch ((RequestKind)w->kind) {
    case REQUEST_TIMER: return w->timeout_us >= 1000000;
    case REQUEST_AWAIT: case REQUEST_APPROVAL: return true;
    default: return false;
  }
}

bool run_parked(const Run *run) {
  if (run->ended || run->ready_count > 0) return false;
  for (uint32_t i = 0; i < run->wait_count; i++) {
    if (!long_wait(run->waits[i])) return false;
  }
  return true;
}

/* Once after every delivery that leaves only long waits: proves, on replay, an image taken here. */
static void park(Run *run) {
  Record r = {.kind = RECORD_PARKED};
  Buf image = {0};
  run_image(run, &image, &r.PARKED.state);
  buf_deinit(&image);
  r.PARKED.ticks = run->machine->ticks;
  const Record *recorded = journal_peek(run->journal);
  if (recorded && recorded->kind == RECORD_PARKED && run->other_code) {
    r.PARKED.state = recorded->PARKED.state;
    r.PARKED.ticks = recorded->PARKED.ticks;
  }
  (void)run_put(run, &r);
}

/* The id of a child has in it which command made it; when that was need not be known. */
static bool is_child(const Run *run, Value handle, Uuid id) {
  if (!value_is_kind(handle, OBJ_HANDLE)) return false;
  const HandleObj *h = (const HandleObj *)value_obj(handle);
  Uuid child = run_child_id(run, h->seq, 0);
  return memcmp(h->run, id.byte, sizeof id.byte) == 0 && memcmp(child.byte + 8, id.byte + 8, 8) == 0;
}

/* Does it wait for a run that it started itself? */
static bool awaits_child(const Run *run, const Wait *w) {
  if (w->effect == EFFECT_RUN_CALL) return true;
  Value over = machine_ask_arg(run->machine, run->machine->fibers[w->fiber], 0);
  if (!value_is_kind(over, OBJ_LIST)) return is_child(run, over, w->run);
  for (uint32_t i = 0; i < list_count(over); i++) {
    if (is_child(run, list_at(over, i), w->run)) return true;
  }
  return false;
}

/* The late result of a dropped await is on record as discarded: who dropped it must be here when it comes. */
static bool awaits_children_only(const Run *run) {
  for (uint32_t i = 0; i < run->wait_count; i++) {
    const Wait *w = run->waits[i];
    if (w->kind == REQUEST_AWAIT && (w->dropped || !awaits_child(run, w))) return false;
  }
  return true;
}

bool run_dormant(const Run *run) { return run_parked(run) && awaits_children_only(run); }

bool run_parkable(const Run *run) {
  if (run->ended || run->ready_count > 0) return false;
  for (uint32_t i = 0; i < run->wait_count; i++) {
    const Wait *w = run->waits[i];
    bool model = w->kind == REQUEST_EFFECT && w->effect == EFFECT_MODEL;
    if (!model && w->kind != REQUEST_ADMIT && !long_wait(w)) return false;
  }
  return awaits_children_only(run);
}

static bool has_due(const Wait *w) {
  return !w->dropped && (w->kind == REQUEST_TIMER || (w->kind == REQUEST_APPROVAL && w->due_us != 0));
}

int64_t run_wake_us(const Run *run) {
  int64_t wake = 0;
  for (uint32_t i = 0; i < run->wait_count; i++) {
    const Wait *w = run->waits[i];
    if (has_due(w) && (wake == 0 || w->due_us < wake)) wake = w->due_us;
  }
  return wake;
}

StepResult run_step(Run *run, uint64_t ticks, RunOutput *out) {
  out->count = 0;
  buf_clear(&out->bytes);
  run->out = out;
  requests_early(run);
  run->settled = journal_seq(run->journal);
  if (run->ended || run->diverged) {
    run->out = NULL;
    requests_fix(out);
    return outcome(run);
  }
  if (run->began) {
    run->began = false;
    refuel(run->machine);
  }
  StepResult result = run_ready_fibers(run, ticks);
  if (result == STEP_CONTINUED && run->ended) result = STEP_ENDED;
  if (result == STEP_WAITING && run->park_due && run_parked(run)) {
    run->park_due = false;
    park(run);
    result = outcome(run);
  }
  run->out = NULL;
  requests_fix(out);
  if (run->scratch.cap > SCRATCH_KEPT) buf_deinit(&run->scratch);
  return result;
}

/* ---- delivery ---- */

static void sends_clear(Run *run) {
  for (uint32_t i = 0; i < run->send_count; i++) wait_free(run->sends[i]);
  run->send_count = 0;
}

/* An event being handed in: what it answers, and its value where that is used at once. Nothing is made on the
** heap between decoding and using it. */
typedef struct Delivery {
  Wait *wait;
  Value value;
} Delivery;

static bool value_sound(Run *run, Str value, Delivery *d, Err *err) {
  return wire_get(run->machine, value, &d->value, err);
}

static Str owned(Str s) {
  char *copy = mem_alloc(s.size + 1);
  if (s.size) memcpy(copy, s.at, s.size);
  return (Str){copy, s.size};
}

static bool signal_seen(Run *run, Str id) {
  uint64_t h = hash_bytes(id.at, id.size);
  for (uint32_t i = 0; i < run->signal_id_count; i++) {
    if (run->signal_ids[i] == h) return true;
  }
  run->signal_ids = mem_grow(run->signal_ids, &run->signal_id_cap, run->signal_id_count + 1, sizeof h);
  run->signal_ids[run->signal_id_count++] = h;
  return false;
}

static void signal_keep(Run *run, Str name, Str value) {
  if (ask_signal_arrived(run, name, value)) return;
  run->signals = mem_grow(run->signals, &run->signal_cap, run->signal_count + 1, sizeof *run->signals);
  run->signals[run->signal_count++] = (Signal){owned(name), owned(value)};
}

/* An answer whose wait is gone or dropped becomes DISCARDED; one that never was is refused. */
static bool answer_target(Run *run, Record *event, Delivery *d, Err *err) {
  d->wait = wait_find(run, event->ANSWERED.ref);
  if (!d->wait) {
    FAIL(err, ERR_NOT_FOUND, "nothing of this run waits for an answer to #%" PRIu64, event->ANSWERED.ref);
    return false;
  }
  if (d->wait->dropped) {
    Record_ANSWERED a = event->ANSWERED;
    *event = (Record){.kind = RECORD_DISCARDED, .DISCARDED = {a.ref, a.outcome, a.value, a.at}};
  }
  return true;
}

static bool answer_sound(Run *run, const Record *event, const Wait *wait, Err *err) {
  if (event->kind != RECORD_ANSWERED || wait->kind != REQUEST_APPROVAL) return true; /* a late one is none any more */
  return approval_sound(run, wait, event->ANSWERED.outcome, event->ANSWERED.value, err);
}

static bool event_sound(Run *run, Record *event, Delivery *d, Err *err) {
  switch (event->kind) {
    case RECORD_ANSWERED:
      return answer_target(run, event, d, err) && answer_sound(run, event, d->wait, err) &&
             value_sound(run, event->ANSWERED.value, d, err);
    case RECORD_DISCARDED:
      d->wait = wait_find(run, event->DISCARDED.ref);
      return true;
    case RECORD_SIGNALLED: return value_sound(run, event->SIGNALLED.value, d, err);
    case RECORD_RESOLVED:
      for (uint32_t i = 0; i < run->strand_count; i++) {
        Strand *s = run->strands[i];
        if (!s || s->on != FIBER_ON_PERSON || s->seq != event->RESOLVED.ref) continue;
        return value_sound(run, event->RESOLVED.value, d, err);
      }
      FAIL(err, ERR_NOT_FOUND, "no unknown outcome waits at #%" PRIu64 " of this run", event->RESOLVED.ref);
      return false;
    case RECORD_CANCEL_ASKED: case RECORD_KILLED: return true;
    case RECORD_REVIVED:
      if (attempts_resting(run) && run->attempts->phase != ATTEMPT_WAITING) return true;
      FAIL(err, ERR_INVALID, "only a run whose attempts are used up can be revived");
      return false;
    default: break;
  }
  FAIL(err, ERR_INVALID, "not an event");
  return false;
}

/* Too late for who asked; a later attempt may ask again. */
static void discarded(Run *run, const Record_DISCARDED *late, const Wait *wait) {
  if (!wait) return;
  if (str_equal(late->outcome, STR("ok"))) memory_late(run, wait->seq, late->value);
  wait_remove(run, wait->seq);
}

static void event_apply(Run *run, const Record *event, const Delivery *d) {
  Err err;
  switch (event->kind) {
    case RECORD_ANSWERED: {
      Wait *wait = wait_take(run, d->wait->seq);
      ask_answered(run, wait, event->ANSWERED.outcome, event->ANSWERED.value, d->value);
      wait_free(wait);
      return;
    }
    case RECORD_DISCARDED: discarded(run, &event->DISCARDED, d->wait); return;
    case RECORD_SIGNALLED: signal_keep(run, event->SIGNALLED.name, event->SIGNALLED.value); return;
    case RECORD_CANCEL_ASKED: cancel_run(run, event->CANCEL_ASKED.why); return;
    case RECORD_REVIVED: attempts_revived(run, event->seq); return;
    case RECORD_RESOLVED:
      if (!tool_resolve(run, event->RESOLVED.ref, event->RESOLVED.outcome, event->RESOLVED.value, &err)) {
        run->diverged = true;
      }
      return;
    case RECORD_KILLED: {
      char why[200];
      snprintf(why, sizeof why, STR_FMT, STR_ARG(event->KILLED.why));
      killed(run, why);
      return;
    }
    default: return;
  }
}

static void event_time(Record *event, int64_t at) {
  switch (event->kind) {
    case RECORD_ANSWERED: event->ANSWERED.at = at; return;
    case RECORD_DISCARDED: event->DISCARDED.at = at; return;
    case RECORD_SIGNALLED: event->SIGNALLED.at = at; return;
    case RECORD_CANCEL_ASKED: event->CANCEL_ASKED.at = at; return;
    case RECORD_RESOLVED: event->RESOLVED.at = at; return;
    case RECORD_KILLED: event->KILLED.at = at; return;
    case RECORD_REVIVED: event->REVIVED.at = at; return;
    default: return;
  }
}

static void event_begin(Run *run, int64_t at) {
  run->now_us = at;
  run->delivered++;
  run->park_due = true;
  sends_clear(run);
  refuel(run->machine);
}

bool run_deliver(Run *run, Record *event, Err *err) {
  Delivery d = {NULL, VALUE_NIL};
  if (run->ended || run->diverged) {
    FAIL(err, ERR_INVALID, "the run is over");
    return false;
  }
  if (event->kind == RECORD_SIGNALLED && event->SIGNALLED.id.size && signal_seen(run, event->SIGNALLED.id)) return true;
  if (!event_sound(run, event, &d, err)) return false;
  int64_t at = run->host->now_us(run->host->context);
  event_time(event, at);
  if (!run_put(run, event)) {
    FAIL(err, ERR_INVALID, "the run's history is not used up");
    return false;
  }
  event_begin(run, at);
  event_apply(run, event, &d);
  return true;
}

/* ---- replay ---- */

static int64_t event_at(const Record *event) {
  switch (event->kind) {
    case RECORD_ANSWERED: return event->ANSWERED.at;
    case RECORD_DISCARDED: return event->DISCARDED.at;
    case RECORD_SIGNALLED: return event->SIGNALLED.at;
    case RECORD_CANCEL_ASKED: return event->CANCEL_ASKED.at;
    case RECORD_RESOLVED: return event->RESOLVED.at;
    case RECORD_KILLED: return event->KILLED.at;
    case RECORD_REVIVED: return event->REVIVED.at;
    default: return 0;
  }
}

/* The next recorded event. False: history holds something the code does not make, or nothing is left. */
static bool replay_event(Run *run) {
  Record event;
  Delivery d = {NULL, VALUE_NIL};
  Err err;
  if (!journal_event(run->journal, &event)) {
    if (!journal_live(run->journal)) {
      journal_diverge(run->journal, DIVERGE_MISSING, NULL);
      run->diverged = true;
    }
    return false;
  }
  run->fresh = false;
  if (event.kind == RECORD_SIGNALLED && event.SIGNALLED.id.size) (void)signal_seen(run, event.SIGNALLED.id);
  RecordKind kind = event.kind;
  if (!event_sound(run, &event, &d, &err) || event.kind != kind) {
    journal_diverge(run->journal, DIVERGE_DELIVERY, &event);
    run->diverged = true;
    return false;
  }
  event_begin(run, event_at(&event));
  event_apply(run, &event, &d);
  return true;
}

StepResult run_replay(Run *run, RunOutput *out) {
  for (;;) {
    StepResult result = run_step(run, REPLAY_SLICE, out);
    switch (result) {
      case STEP_SLICE: /* nothing was asked while history lasts, so the next step loses nothing */
        if (journal_live(run->journal)) return result;
        break;
      case STEP_WAITING:
        if (journal_live(run->journal)) return result;
        if (!replay_event(run)) return outcome(run) == STEP_WAITING ? STEP_WAITING : outcome(run);
        break;
      case STEP_CONTINUED:
        if (journal_live(run->journal)) return result;
        break;
      case STEP_ENDED: case STEP_DIVERGED: case STEP_HISTORY_END: case STEP_COMMIT:
        return result;
    }
  }
}

void run_open_requests(Run *run, RunOutput *out) {
  out->count = 0;
  buf_clear(&out->bytes);
  run->out = out;
  run->fresh = true;
  for (uint32_t i = 0; i < run->send_count; i++) {
    Request r = wait_request(run->sends[i]);
    r.resend = true;
    request_put(run, &r);
  }
  for (uint32_t i = 0; i < run->wait_count; i++) {
    if (run->waits[i]->dropped) continue;
    Request r = wait_request(run->waits[i]);
    if (r.kind == REQUEST_TURN) attempts_request(run, &r);
    r.resend = true;
    request_put(run, &r);
  }
  if (attempts_resting(run) && run->attempts->phase != ATTEMPT_WAITING) {
    Request dead = {.resend = true};
    attempts_request(run, &dead);
    request_put(run, &dead);
  }
  for (uint32_t i = 0; i < run->strand_count; i++) {
    Strand *s = run->strands[i];
    if (s && s->on == FIBER_ON_PERSON) {
      request_put(run, &(Request){.kind = REQUEST_PERSON, .seq = s->seq, .effect = EFFECT_TOOL, .resend = true});
    }
  }
  run->out = NULL;
  requests_fix(out);
}
