/* Decisions: a clause is found, decides, its events are folded, invariants are looked at.
**
**   GUARD --holds--> DECIDE --returned--> FOLD (once an event) --> INVARIANT (once each) --> done
**     |                 |                   |                         |
**     +-- none --> refused <---- a fault, a limit, a refusal ---------+       the state is as before
**
** Each is a call on one fiber, which stops at the end of a slice and is gone on with by decider_go. */
#include "vm/base/mem.h"
#include "vm/run/decider_impl.h"

enum { SAID_EVENT, SAID_REPLY, SAID_REFUSAL, SAID_JOB }; /* natives_decide.c */

static const BundleClause *clause_at(const Decider *d, uint32_t i) {
  return &d->b->clauses[d->b->agents[d->agent].decides.first + i];
}

static Str clause_name(const Decider *d) { return decider_shape_name(d, d->going.shape); }

/* ---- ends ---- */

static void going_end(Decider *d) {
  Machine *m = d->m;
  fiber_rest(d->fiber);
  m->roots[ROOT_SAID] = m->roots[ROOT_MESSAGE] = m->roots[ROOT_META] = m->roots[ROOT_DECIDED] = VALUE_NIL;
  d->going = (Going){0};
}

static void go_back(Decider *d) {
  d->m->roots[ROOT_STATE] = d->m->roots[ROOT_BEFORE];
  d->m->roots[ROOT_BEFORE] = VALUE_NIL;
}

/* The refusal has been said. Always false: there is nothing to go on with. */
static bool refused(Decider *d, Decision *out) {
  Refusal refusal = out->refusal;
  go_back(d);
  going_end(d);
  *out = (Decision){.refused = true, .refusal = refusal};
  return false;
}

static bool call_begin(Decider *d, Phase phase, uint32_t fn, const Value *args, uint32_t count) {
  d->going.phase = phase;
  fiber_recall(d->m, d->fiber, fn, args, count);
  return true;
}

/* ---- guards and the decide ---- */

static bool meta_read(Decider *d, Decision *out) {
  Err err;
  Going *g = &d->going;
  if (g->meta_read) return true;
  g->meta_read = true;
  if (decider_get(d, g->meta, &d->m->roots[ROOT_META], &err)) return true;
  words_fault(&d->said, &out->refusal, "invalid_message", "the meta of a command cannot be read: %s", err.text);
  return refused(d, out);
}

static bool decide_call(Decider *d, Phase phase, Decision *out) {
  Machine *m = d->m;
  const BundleClause *clause = clause_at(d, d->going.clause);
  if (clause->uses_meta && !meta_read(d, out)) return false;
  if (phase == PHASE_DECIDE) {
    Value list = list_new(m, 4);
    m->roots[ROOT_SAID] = list;
  }
  Value args[3] = {m->roots[ROOT_STATE], m->roots[ROOT_MESSAGE], clause->uses_meta ? m->roots[ROOT_META] : VALUE_NIL};
  return call_begin(d, phase, phase == PHASE_GUARD ? clause->guard : clause->fn, args, 3);
}

static void place_put(const Decider *d, uint32_t fn, Buf *out) {
  const BundleFn *f = &d->b->fns[fn];
  if (f->source < d->b->source_count) buf_str(out, bundle_text(d->b, d->b->sources[f->source].path));
  buf_format(out, ":%" PRIu32, bundle_line(d->b, f, 0).line);
}

static bool unhandled(Decider *d, Decision *out) {
  uint32_t count = d->b->agents[d->agent].decides.count, tried = 0;
  Buf text = {.max = 1000};
  for (uint32_t i = 0; i < count; i++) {
    const BundleClause *clause = clause_at(d, i);
    if (clause->shape != d->going.shape) continue;
    buf_text(&text, tried++ == 0 ? ": the guard at " : " and that at ");
    place_put(d, clause->guard, &text);
  }
  if (tried == 0) {
    words_refuse(&d->said, &out->refusal, "unhandled", STR_FMT " has no `decide " STR_FMT "`",
                 STR_ARG(decider_agent_name(d)), STR_ARG(clause_name(d)));
  } else {
    words_refuse(&d->said, &out->refusal, "unhandled", "no `decide " STR_FMT "` of " STR_FMT " fits" STR_FMT
                 " %s not hold", STR_ARG(clause_name(d)), STR_ARG(decider_agent_name(d)), STR_ARG(buf_view(&text)),
                 tried == 1 ? "does" : "do");
  }
  buf_deinit(&text);
  return refused(d, out);
}

/* The next clause for the command from `from` on: its guard, or the clause itself. */
static bool clause_try(Decider *d, uint32_t from, Decision *out) {
  uint32_t count = d->b->agents[d->agent].decides.count;
  for (uint32_t i = from; i < count; i++) {
    if (clause_at(d, i)->shape != d->going.shape) continue;
    d->going.clause = i;
    return decide_call(d, clause_at(d, i)->guard == NONE_INDEX ? PHASE_DECIDE : PHASE_GUARD, out);
  }
  return unhandled(d, out);
}

static bool guard_over(Decider *d, Value result, Decision *out) {
  if (result == VALUE_TRUE) return decide_call(d, PHASE_DECIDE, out);
  if (result == VALUE_FALSE) return clause_try(d, d->going.clause + 1, out);
  words_fault(&d->said, &out->refusal, "not_a_bool", "the guard of `decide " STR_FMT "` of " STR_FMT
              " must be true or false", STR_ARG(clause_name(d)), STR_ARG(decider_agent_name(d)));
  return refused(d, out);
}

/* ---- what was said ---- */

static Value said_at(const Decider *d, uint32_t i) { return list_at(d->m->roots[ROOT_DECIDED], i); }
static int64_t said_kind(Value said) { return value_small(list_at(said, 0)); }
static Value said_part(Value said, uint32_t i) { return i < list_count(said) ? list_at(said, i) : VALUE_NIL; }

static Str text_part(Value v) {
  if (!value_is_kind(v, OBJ_STRING)) return (Str){0};
  return (Str){((const StringObj *)value_obj(v))->bytes, value_obj(v)->size};
}

/* `reject` as it was said. */
static bool refusal_said(Decider *d, Value said, Decision *out) {
  Words *w = &d->said;
  const char *why;
  Str code = text_part(said_part(said, 1)), message = text_part(said_part(said, 2));
  words_refuse(w, &out->refusal, "", "%s", "");
  buf_str(&w->code, code);
  buf_str(&w->message, message.size > 0 ? message : code);
  Value data = said_part(said, 3);
  if (data != VALUE_NIL && !wire_put(d->m, data, &w->data, &why))
    words_fault(w, &out->refusal, "bad_value", "the data of a `reject` of " STR_FMT " cannot leave it: %s",
                STR_ARG(decider_agent_name(d)), why);
  else
    out->refusal = (Refusal){.code = buf_view(&w->code), .message = buf_view(&w->message),
                             .data = w->data.size > 0 ? buf_view(&w->data) : (Str){0}};
  return refused(d, out);
}

static bool part_refused(Decider *d, const char *what, const char *why, Decision *out) {
  words_fault(&d->said, &out->refusal, "bad_value", "what `decide " STR_FMT "` of " STR_FMT " %s: %s",
              STR_ARG(clause_name(d)), STR_ARG(decider_agent_name(d)), what, why);
  return refused(d, out);
}

/* Encodings stand in d->out one after the other; until it is whole, `at` is how far from its beginning. */
static bool part_put(Decider *d, Value v, Str *where, const char **why) {
  size_t from = d->out.size;
  if (!wire_put(d->m, v, &d->out, why)) return false;
  *where = (Str){(const char *)(uintptr_t)from, d->out.size - from};
  return true;
}

static void part_settle(const Decider *d, Str *where) {
  where->at = where->size > 0 ? d->out.at + (uintptr_t)where->at : NULL;
}

static bool event_put(Decider *d, Value said, Decision *out) {
  Value event = said_part(said, 1);
  const char *why;
  if (!value_is_kind(event, OBJ_RECORD)) return part_refused(d, "emits is no event", "it is no record", out);
  const BundleShape *s = &d->b->shapes[((const RecordObj *)value_obj(event))->shape];
  if (out->event_count >= LIMIT_COMMAND_EVENTS) {
    words_fault(&d->said, &out->refusal, "limit_events",
                "`decide " STR_FMT "` of " STR_FMT " emits more than %d events", STR_ARG(clause_name(d)),
                STR_ARG(decider_agent_name(d)), (int)LIMIT_COMMAND_EVENTS);
    return refused(d, out);
  }
  d->events = mem_grow(d->events, &d->event_cap, out->event_count + 1, sizeof *d->events);
  DecidedEvent *e = &d->events[out->event_count];
  *e = (DecidedEvent){.type = bundle_text(d->b, s->stored_name), .version = s->version};
  if (!part_put(d, event, &e->data, &why)) return part_refused(d, "emits cannot be stored", why, out);
  out->event_count++;
  return true;
}

static bool worker_of(const Bundle *b, Value job, uint32_t *worker) {
  if (!value_is_kind(job, OBJ_RECORD)) return false;
  for (*worker = 0; *worker < b->worker_count; ++*worker) {
    if (b->workers[*worker].shape == ((const RecordObj *)value_obj(job))->shape) return true;
  }
  return false;
}

static bool job_put(Decider *d, Value said, Decision *out) {
  Value options = said_part(said, 2);
  const char *why;
  d->jobs = mem_grow(d->jobs, &d->job_cap, out->job_count + 1, sizeof *d->jobs);
  DecidedJob *job = &d->jobs[out->job_count];
  *job = (DecidedJob){0};
  if (!worker_of(d->b, said_part(said, 1), &job->worker))
    return part_refused(d, "enqueues is no job", "it is no record of a worker's", out);
  if (!part_put(d, said_part(said, 1), &job->data, &why) ||
      (options != VALUE_NIL && !part_put(d, options, &job->options, &why)))
    return part_refused(d, "enqueues cannot be stored", why, out);
  out->job_count++;
  return true;
}

static bool reply_put(Decider *d, Value said, Decision *out) {
  const char *why;
  buf_clear(&d->reply);
  if (!wire_put(d->m, said_part(said, 1), &d->reply, &why)) return part_refused(d, "replies cannot be sent", why, out);
  out->reply = buf_view(&d->reply);
  return true;
}

static bool said_put(Decider *d, Value said, Decision *out) {
  switch (said_kind(said)) {
    case SAID_EVENT: return event_put(d, said, out);
    case SAID_REPLY: return reply_put(d, said, out);
    case SAID_JOB: return job_put(d, said, out);
    default: return refusal_said(d, said, out);
  }
}

static void parts_settle(Decider *d, Decision *out) {
  for (uint32_t i = 0; i < out->event_count; i++) part_settle(d, &d->events[i].data);
  for (uint32_t i = 0; i < out->job_count; i++) {
    part_settle(d, &d->jobs[i].data);
    part_settle(d, &d->jobs[i].options);
  }
  out->events = d->events;
  out->jobs = d->jobs;
}

/* ---- folding, invariants, the end ---- */

static bool state_check(Decider *d, Decision *out) {
  const char *why = state_unfit(d, d->m->roots[ROOT_STATE]);
  if (!why) return true;
  words_fault(&d->said, &out->refusal, "limit_state", "the state of " STR_FMT " cannot be kept: %s",
              STR_ARG(decider_agent_name(d)), why);
  return refused(d, out);
}

/* The decision stands. Its parts were encoded when the decide returned. */
static bool done(Decider *d, Decision *out) {
  uint32_t events = out->event_count, jobs = out->job_count;
  if (events > 0 && !state_check(d, out)) return false;
  *out = (Decision){.event_count = events, .job_count = jobs,
                    .reply = d->reply.size > 0 ? buf_view(&d->reply) : (Str){0}};
  parts_settle(d, out);
  going_end(d);
  d->pending = true;
  return false;
}

static bool invariant_next(Decider *d, uint32_t from, Decision *out) {
  const BundleAgent *agent = &d->b->agents[d->agent];
  d->going.invariant = from;
  if (from >= agent->invariants.count || out->event_count == 0) return done(d, out);
  value_share(d->m->roots[ROOT_STATE]);
  const BundleInvariant *invariant = &d->b->invariants[agent->invariants.first + from];
  return call_begin(d, PHASE_INVARIANT, invariant->fn, &d->m->roots[ROOT_STATE], 1);
}

static bool invariant_over(Decider *d, Value result, Decision *out) {
  const BundleInvariant *invariant =
      &d->b->invariants[d->b->agents[d->agent].invariants.first + d->going.invariant];
  Str message = bundle_text(d->b, invariant->message);
  if (result == VALUE_TRUE) return invariant_next(d, d->going.invariant + 1, out);
  if (result != VALUE_FALSE)
    words_fault(&d->said, &out->refusal, "not_a_bool", "invariant %" PRIu32 " of " STR_FMT " must be true or false",
                d->going.invariant + 1, STR_ARG(decider_agent_name(d)));
  else if (message.size > 0) words_refuse(&d->said, &out->refusal, "invariant_violated", STR_FMT, STR_ARG(message));
  else
    words_refuse(&d->said, &out->refusal, "invariant_violated", "invariant %" PRIu32 " of " STR_FMT " does not hold",
                 d->going.invariant + 1, STR_ARG(decider_agent_name(d)));
  return refused(d, out);
}

/* The next event that somebody evolves, from item `from` of what was said on. */
static bool fold_next(Decider *d, uint32_t from, Decision *out) {
  Machine *m = d->m;
  for (uint32_t i = from; i < list_count(m->roots[ROOT_DECIDED]); i++) {
    Value said = said_at(d, i);
    if (said_kind(said) != SAID_EVENT) continue;
    Value event = said_part(said, 1);
    const FoldEntry *e = fold_entry_of(d, ((const RecordObj *)value_obj(event))->shape);
    if (e->fn == NONE_INDEX) continue;
    if (e->uses_meta && !meta_read(d, out)) return false;
    event = said_part(said_at(d, i), 1); /* the meta may have moved it */
    d->going.item = i;
    Value args[3] = {m->roots[ROOT_STATE], event, e->uses_meta ? m->roots[ROOT_META] : VALUE_NIL};
    return call_begin(d, PHASE_FOLD, e->fn, args, 3);
  }
  return invariant_next(d, 0, out);
}

static bool fold_over(Decider *d, Value result, Decision *out) {
  uint32_t shape = d->b->agents[d->agent].state;
  if (decider_is_record(result, shape)) {
    d->m->roots[ROOT_STATE] = result;
    return fold_next(d, d->going.item + 1, out);
  }
  words_fault(&d->said, &out->refusal, "type_mismatch", "an `evolve` of " STR_FMT " gives no " STR_FMT,
              STR_ARG(decider_agent_name(d)), STR_ARG(decider_shape_name(d, shape)));
  return refused(d, out);
}

static bool decide_over(Decider *d, Decision *out) {
  Machine *m = d->m;
  m->roots[ROOT_DECIDED] = m->roots[ROOT_SAID];
  m->roots[ROOT_SAID] = VALUE_NIL;
  uint32_t count = list_count(m->roots[ROOT_DECIDED]);
  for (uint32_t i = 0; i < count; i++) {
    if (said_kind(said_at(d, i)) == SAID_REFUSAL) return refusal_said(d, said_at(d, i), out);
  }
  for (uint32_t i = 0; i < count; i++) {
    if (!said_put(d, said_at(d, i), out)) return false;
  }
  d->going.events = out->event_count;
  d->going.jobs = out->job_count;
  return fold_next(d, 0, out);
}

/* ---- going ---- */

/* An error where nothing may be refused is a fault, whoever raised it; a decide's own `raise` is a refusal. */
static bool call_failed(Decider *d, Stop stop, Decision *out) {
  static const char *const what[] = {[PHASE_GUARD] = "the guard of", [PHASE_FOLD] = "an evolve after",
                                     [PHASE_INVARIANT] = "an invariant after"};
  Value error = decider_stopped(d, d->fiber, stop);
  Str agent = decider_agent_name(d), command = clause_name(d);
  if (d->going.phase == PHASE_DECIDE) {
    words_error(d, &d->said, &out->refusal, error, "`decide " STR_FMT "` of " STR_FMT " failed", STR_ARG(command),
                STR_ARG(agent));
    return refused(d, out);
  }
  Buf why = {.max = 600};
  words_of_error(error, &why);
  words_fault(&d->said, &out->refusal, "", "%s `decide " STR_FMT "` of " STR_FMT " failed: " STR_FMT,
              what[d->going.phase], STR_ARG(command), STR_ARG(agent), STR_ARG(buf_view(&why)));
  buf_deinit(&why);
  buf_str(&d->said.code, error_code(error));
  out->refusal.code = buf_view(&d->said.code);
  return refused(d, out);
}

static bool call_over(Decider *d, Decision *out) {
  Value result = d->fiber->result;
  switch (d->going.phase) {
    case PHASE_GUARD: return guard_over(d, result, out);
    case PHASE_DECIDE: return decide_over(d, out);
    case PHASE_FOLD: return fold_over(d, result, out);
    case PHASE_INVARIANT: return invariant_over(d, result, out);
    case PHASE_IDLE: break;
  }
  UNREACHABLE();
}

DecideResult decider_go(Decider *d, uint64_t ticks, Decision *out) {
  Machine *m = d->m;
  Going *g = &d->going;
  ASSERT(g->phase != PHASE_IDLE);
  *out = (Decision){.event_count = g->events, .job_count = g->jobs};
  m->ticks = g->ticks;
  m->charged = g->charged;
  m->ticks_limit = LIMIT_DECIDE_TICKS;
  m->slice_end = ticks > 0 && ticks < LIMIT_DECIDE_TICKS ? g->ticks + ticks : UINT64_MAX;
  Stop stop;
  do {
    stop = interp_run(m, d->fiber);
    if (stop == STOP_SLICE) break;
  } while (stop == STOP_DONE ? call_over(d, out) : call_failed(d, stop, out));
  g->ticks = stop == STOP_SLICE ? m->ticks : 0;
  g->charged = stop == STOP_SLICE ? m->charged : 0;
  return stop == STOP_SLICE ? DECIDE_SLICE : DECIDE_DONE;
}

/* The state is kept, and everybody else's claim on it is over. */
static void going_begin(Decider *d, uint32_t shape, Str meta) {
  Machine *m = d->m;
  if (d->going.phase != PHASE_IDLE) go_back(d); /* one that was given up */
  fold_log_clear(d);
  value_share(m->roots[ROOT_STATE]);
  m->roots[ROOT_BEFORE] = m->roots[ROOT_STATE];
  d->pending = false;
  buf_clear(&d->out);
  buf_clear(&d->reply);
  buf_clear(&d->meta);
  buf_str(&d->meta, meta); /* the caller's may be gone by the next slice */
  d->going = (Going){.shape = shape, .meta = buf_view(&d->meta)};
}

DecideResult decider_decide(Decider *d, uint32_t shape, Str data, Str meta, uint64_t ticks, Decision *out) {
  Machine *m = d->m;
  ASSERT(d->agent != NONE_INDEX && shape < d->b->shape_count);
  *out = (Decision){0};
  going_begin(d, shape, meta);
  if (!wire_get_planned(m, decider_plan(d, shape), data, &m->roots[ROOT_MESSAGE]) &&
      !message_get(d, shape, data, 0, MAKE_STRICT, &m->roots[ROOT_MESSAGE], &d->said, &out->refusal)) {
    refused(d, out);
    return DECIDE_DONE;
  }
  value_share(m->roots[ROOT_MESSAGE]);
  return clause_try(d, 0, out) ? decider_go(d, ticks, out) : DECIDE_DONE;
}

void decider_settle(Decider *d, bool stored) {
  if (!d->pending) return;
  d->pending = false;
  if (stored) d->m->roots[ROOT_BEFORE] = VALUE_NIL;
  else go_back(d);
}
