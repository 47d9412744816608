/* Deciders: life, calls, states in and out, views. */
#include "vm/base/mem.h"
#include "vm/run/decider_impl.h"
#include "vm/run/state.h" /* missing_argument */

enum { OUT_KEPT = 1 << 20 /* bytes of a buffer that are worth keeping */ };
#define LIVE_BYTES (LIMIT_LIVE_MEMORY / 2) /* several deciders are at work at once, and states are small */

Decider *decider_new(const Program *program) {
  Decider *d = MEM_NEW(Decider);
  d->program = program;
  d->b = program_bundle(program);
  d->m = machine_new(program);
  d->m->heap->live_limit = LIVE_BYTES;
  d->fiber = fiber_idle(d->m);
  d->side = fiber_idle(d->m);
  d->agent = NONE_INDEX;
  d->plans = mem_alloc(sizeof *d->plans * ((size_t)d->b->shape_count + 1));
  return d;
}

void decider_free(Decider *d) {
  if (!d) return;
  for (uint32_t i = 0; i < d->b->shape_count; i++) wire_plan_free(d->plans[i]);
  fold_entries_free(d);
  mem_free(d->plans);
  mem_free(d->entries);
  mem_free(d->events);
  mem_free(d->jobs);
  buf_deinit(&d->trail);
  buf_deinit(&d->out);
  buf_deinit(&d->reply);
  buf_deinit(&d->meta);
  buf_deinit(&d->config);
  words_deinit(&d->said);
  words_deinit(&d->aside);
  words_deinit(&d->inner);
  buf_deinit(&d->misfit);
  buf_deinit(&d->path);
  machine_free(d->m);
  mem_free(d);
}

Machine *decider_machine(Decider *d) { return d->m; }

uint64_t decider_spent(Decider *d) {
  uint64_t spent = d->spent;
  d->spent = 0;
  return spent;
}

void decider_configure(Decider *d, Str map) {
  buf_clear(&d->config);
  buf_str(&d->config, map);
  machine_config(d->m, buf_view(&d->config));
}

/* ---- small things the other files need ---- */

const WirePlan *decider_plan(Decider *d, uint32_t shape) {
  if (UNLIKELY(!d->plans[shape])) d->plans[shape] = wire_plan_new(d->b, shape);
  return d->plans[shape];
}

bool decider_is_record(Value v, uint32_t shape) {
  return value_is_kind(v, OBJ_RECORD) && ((const RecordObj *)value_obj(v))->shape == shape;
}

Str decider_shape_name(const Decider *d, uint32_t shape) { return bundle_text(d->b, d->b->shapes[shape].name); }
Str decider_agent_name(const Decider *d) { return bundle_text(d->b, d->b->agents[d->agent].name); }

bool decider_get(Decider *d, Str bytes, Value *out, Err *err) {
  *out = VALUE_NIL;
  return bytes.size == 0 || wire_get(d->m, bytes, out, err);
}

/* ---- calls ---- */

Value decider_stopped(Decider *d, Fiber *f, Stop stop) {
  Machine *m = d->m;
  Value error = f->result;
  if (stop != STOP_FAULT) {
    FaultCode code = stop == STOP_LIVE ? FAULT_LIVE : FAULT_IMPURE;
    fiber_rest(f);
    m->heap->over_live = false;
    error = stop == STOP_LIVE ? error_fault(m, NULL, code, "%zu MB", m->heap->live_limit >> 20)
                              : error_fault(m, NULL, code, "pure code asked for an effect");
  }
  fiber_rest(f);
  return error;
}

/* A decision may be resting on the other fiber: what it has used so far is kept for it. */
bool decider_call(Decider *d, uint32_t fn, const Value *args, uint32_t count, Value *result) {
  Machine *m = d->m;
  uint64_t ticks = m->ticks, limit = m->ticks_limit, slice = m->slice_end, charged = m->charged;
  m->ticks = m->charged = 0;
  m->ticks_limit = LIMIT_DECIDE_TICKS;
  m->slice_end = UINT64_MAX;
  fiber_recall(m, d->side, fn, args, count);
  Stop stop = interp_run(m, d->side);
  *result = stop == STOP_DONE ? d->side->result : decider_stopped(d, d->side, stop);
  fiber_rest(d->side);
  d->spent += m->ticks;
  m->ticks = ticks;
  m->ticks_limit = limit;
  m->slice_end = slice;
  m->charged = charged;
  return stop == STOP_DONE;
}

/* ---- state ---- */

/* Whatever was going on is dropped. Buffers that one large instance needed are not kept for the others. */
static void decider_clear(Decider *d) {
  const struct Heap *heap = d->m->heap;
  machine_clear(d->m);
  if (d->m->heap != heap) {
    d->m->config = VALUE_NIL;
    if (d->config.size > 0) machine_config(d->m, buf_view(&d->config));
  }
  fold_log_clear(d);
  d->agent = NONE_INDEX;
  d->pending = false;
  d->going = (Going){0};
  if (d->out.cap > OUT_KEPT) buf_deinit(&d->out);
  if (d->reply.cap > OUT_KEPT) buf_deinit(&d->reply);
  if (d->trail.cap > OUT_KEPT) buf_deinit(&d->trail);
}

static bool load_failed(const Decider *d, uint32_t shape, Value error, Err *err) {
  Buf why = {.max = 400};
  words_of_error(error, &why);
  FAIL(err, ERR_INVALID, STR_FMT " cannot be made: " STR_FMT, STR_ARG(decider_shape_name(d, shape)),
       STR_ARG(buf_view(&why)));
  buf_deinit(&why);
  return false;
}

/* The record that the shape's constructor makes of nothing. */
static bool state_initial(Decider *d, uint32_t shape, Err *err) {
  Value result, missing[CALL_ARGS];
  uint32_t fn = d->b->shapes[shape].constructor, count = fn < d->b->fn_count ? d->b->fns[fn].params.count : 0;
  if (fn >= d->b->fn_count)
    return FAIL(err, ERR_INVALID, STR_FMT " has no initial state", STR_ARG(decider_agent_name(d))), false;
  for (uint32_t i = 0; i < count; i++) missing[i] = VALUE_MISSING;
  if (!decider_call(d, fn, missing, count, &result)) return load_failed(d, shape, result, err);
  if (!decider_is_record(result, shape)) {
    FAIL(err, ERR_INVALID, STR_FMT " has no initial state", STR_ARG(decider_agent_name(d)));
    return false;
  }
  d->m->roots[ROOT_STATE] = result;
  value_own(d->m, &d->m->roots[ROOT_STATE]);
  return true;
}

/* The field of that name in a record of an older form of the state, or in a map. */
static bool part_find(const Bundle *b, Value from, Str name, Value *out) {
  if (value_is_kind(from, OBJ_MAP)) return map_find_text(from, name, out);
  const RecordObj *r = (const RecordObj *)value_obj(from);
  const BundleShape *s = &b->shapes[r->shape];
  for (uint32_t i = 0; i < s->fields.count; i++) {
    if (!str_equal(bundle_text(b, b->fields[s->fields.first + i].name), name)) continue;
    *out = r->field[i];
    return true;
  }
  return false;
}

/* Stored by another bundle: by name, over the initial state. */
static bool state_adopt(Decider *d, uint32_t shape, Str bytes, Err *err) {
  Machine *m = d->m;
  Value v;
  if (!wire_get(m, bytes, &v, err)) return err_context(err, "the state"), false;
  if (!value_is_kind(v, OBJ_MAP) && !value_is_kind(v, OBJ_RECORD))
    return FAIL(err, ERR_CORRUPT, "the state of an instance is no record"), false;
  m->roots[ROOT_WORK] = v;
  if (!state_initial(d, shape, err)) return false;
  RecordObj *state = (RecordObj *)value_obj(m->roots[ROOT_STATE]);
  for (uint32_t i = 0; i < state->head.size; i++) { /* nothing here moves */
    Str name = bundle_text(d->b, d->b->fields[d->b->shapes[shape].fields.first + i].name);
    if (!part_find(d->b, m->roots[ROOT_WORK], name, &v)) continue;
    value_share(v);
    state->field[i] = v;
  }
  m->roots[ROOT_WORK] = VALUE_NIL;
  return true;
}

bool decider_load(Decider *d, uint32_t agent, Str state, Err *err) {
  ASSERT(agent < d->b->agent_count);
  decider_clear(d);
  d->agent = agent;
  uint32_t shape = d->b->agents[agent].state;
  bool ok = state.size == 0 ? state_initial(d, shape, err)
                            : wire_get_planned(d->m, decider_plan(d, shape), state, &d->m->roots[ROOT_STATE]) ||
                                  state_adopt(d, shape, state, err);
  if (!ok) decider_clear(d);
  return ok;
}

/* Where a decision is going on, the state is the one before it. */
static Value *state_now(Decider *d) {
  ASSERT(d->agent != NONE_INDEX);
  return &d->m->roots[d->going.phase == PHASE_IDLE ? ROOT_STATE : ROOT_BEFORE];
}

bool decider_save(Decider *d, Buf *state) {
  const char *why;
  return wire_put(d->m, *state_now(d), state, &why);
}

/* ---- views ---- */

/* Whether an argument that was left out stands next. */
static bool arg_missing(const CborReader *r) {
  size_t left = (size_t)(r->end - r->at);
  return left >= sizeof missing_argument && memcmp(r->at, missing_argument, sizeof missing_argument) == 0;
}

static bool view_args(Decider *d, uint32_t fn, Str args, uint32_t *count, Refusal *out) {
  CborReader r = cbor_reader(args);
  uint64_t given = 0;
  Value v;
  Err err;
  uint32_t most = d->b->fns[fn].params.count;
  Str name = bundle_text(d->b, d->b->fns[fn].name);
  if (args.size > 0 && !cbor_array(&r, &given, &err))
    return words_refuse(&d->aside, out, "wrong_arguments", "the arguments of a view are a list: %s", err.text);
  if (most == 0 || given > most - 1)
    return words_refuse(&d->aside, out, "wrong_arguments",
                        STR_FMT " takes at most %" PRIu32 " arguments and was given %" PRIu64, STR_ARG(name),
                        most > 0 ? most - 1 : 0, given);
  for (uint64_t i = 0; i < given; i++) {
    bool left_out = arg_missing(&r) && i + 1 >= d->b->fns[fn].min_args; /* one with a default */
    if (left_out) {
      r.at += sizeof missing_argument;
      v = VALUE_MISSING;
    }
    if (!left_out && !wire_get_part(d->m, &r, &v, &err))
      return words_refuse(&d->aside, out, "wrong_arguments", STR_FMT ": argument %" PRIu64 ": %s", STR_ARG(name),
                          i + 1, err.text);
    machine_hold(d->m, v);
  }
  *count = (uint32_t)given;
  return r.at == r.end || words_refuse(&d->aside, out, "wrong_arguments", "bytes after the arguments of a view");
}

static bool view_call(Decider *d, uint32_t fn, Str args, Buf *value, Refusal *out) {
  Machine *m = d->m;
  const char *why;
  uint32_t base = m->held_count, count = 0;
  Value result;
  value_share(*state_now(d));
  machine_hold(m, *state_now(d));
  if (!view_args(d, fn, args, &count, out)) return false;
  Str name = bundle_text(d->b, d->b->fns[fn].name);
  if (count + 1 < d->b->fns[fn].min_args)
    return words_refuse(&d->aside, out, "wrong_arguments", STR_FMT " needs %d arguments and was given %" PRIu32,
                        STR_ARG(name), d->b->fns[fn].min_args - 1, count);
  if (!decider_call(d, fn, m->held + base, count + 1, &result))
    return words_error(d, &d->aside, out, result, "the view " STR_FMT " failed", STR_ARG(name));
  return wire_put(m, result, value, &why) ||
         words_fault(&d->aside, out, "bad_value", "what the view " STR_FMT " gives cannot leave it: %s",
                     STR_ARG(name), why);
}

bool decider_view(Decider *d, uint32_t view_fn, Str args, Buf *value, Refusal *refusal) {
  ASSERT(view_fn < d->b->fn_count);
  uint32_t base = d->m->held_count;
  bool ok = view_call(d, view_fn, args, value, refusal);
  d->m->held_count = base;
  return ok;
}
