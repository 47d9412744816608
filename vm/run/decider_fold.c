/* Folding: an event into the state, by the clause for its type.
**
** An evolve changes the state in place, so one that fails half way would leave half a change. Instead of
** keeping a copy for each event, the state is kept every so often and the events since are logged as bytes: after a
** failure they are folded again from there. */
#include "vm/base/mem.h"
#include "vm/run/decider_impl.h"

enum {
  LOG_BYTES = 256 << 10, /* of events between two kept states */
  ENTRIES_MAX = 512      /* types and versions remembered */
};

/* ---- the clause for a type ---- */

static uint32_t event_shape(const Bundle *b, Str type) {
  for (uint32_t i = 0; i < b->shape_count; i++) {
    const BundleShape *s = &b->shapes[i];
    if (s->kind == SHAPE_EVENT && str_equal(bundle_text(b, s->stored_name), type)) return i;
  }
  return NONE_INDEX;
}

static void entry_clause(const Decider *d, FoldEntry *e) {
  const BundleAgent *agent = &d->b->agents[d->agent];
  e->fn = NONE_INDEX;
  for (uint32_t i = 0; i < agent->evolves.count && e->shape != NONE_INDEX; i++) {
    const BundleClause *clause = &d->b->clauses[agent->evolves.first + i];
    if (clause->shape != e->shape) continue;
    e->fn = clause->fn;
    e->uses_meta = clause->uses_meta != 0;
    return;
  }
}

void fold_entries_free(Decider *d) {
  for (uint32_t i = 0; i < d->entry_count; i++) mem_free((void *)(uintptr_t)d->entries[i].type.at);
  d->entry_count = d->entry_last = 0;
}

static FoldEntry *entry_new(Decider *d, Str type, uint64_t version) {
  if (d->entry_count == ENTRIES_MAX) fold_entries_free(d); /* types come from outside */
  d->entries = mem_grow(d->entries, &d->entry_cap, d->entry_count + 1, sizeof *d->entries);
  d->entry_last = d->entry_count++;
  char *text = mem_alloc(type.size + 1);
  if (type.size > 0) memcpy(text, type.at, type.size);
  FoldEntry *e = &d->entries[d->entry_last];
  *e = (FoldEntry){.type = {text, type.size}, .version = version, .agent = d->agent};
  e->shape = event_shape(d->b, e->type);
  entry_clause(d, e);
  return e;
}

static inline bool entry_is(const Decider *d, const FoldEntry *e, Str type, uint64_t version) {
  return e->version == version && e->agent == d->agent && str_equal(e->type, type);
}

static inline const FoldEntry *entry_find(Decider *d, Str type, uint64_t version) {
  if (LIKELY(d->entry_last < d->entry_count) && LIKELY(entry_is(d, &d->entries[d->entry_last], type, version)))
    return &d->entries[d->entry_last];
  for (uint32_t i = 0; i < d->entry_count; i++) {
    if (!entry_is(d, &d->entries[i], type, version)) continue;
    d->entry_last = i;
    return &d->entries[i];
  }
  return entry_new(d, type, version);
}

const FoldEntry *fold_entry_of(Decider *d, uint32_t shape) {
  const BundleShape *s = &d->b->shapes[shape];
  return entry_find(d, bundle_text(d->b, s->stored_name), s->version);
}

/* ---- evolve ---- */

static bool evolve_failed(Decider *d, uint32_t shape, Stop stop, Value *error) {
  Machine *m = d->m;
  Str state = decider_shape_name(d, shape);
  *error = stop == STOP_DONE ? error_fault(m, NULL, FAULT_TYPE, "an evolve gives the new state, a " STR_FMT,
                                           STR_ARG(state))
                             : decider_stopped(d, d->side, stop);
  fiber_rest(d->side);
  return false;
}

/* decider_call without what a decision on the other fiber would need: none is going on while events are folded here. */
bool fold_value(Decider *d, const FoldEntry *entry, Value event, Value meta, Value *error) {
  Machine *m = d->m;
  uint32_t shape = d->b->agents[d->agent].state;
  Value args[3] = {m->roots[ROOT_STATE], event, meta};
  m->ticks = m->charged = 0;
  m->ticks_limit = LIMIT_DECIDE_TICKS;
  m->slice_end = UINT64_MAX;
  fiber_recall(m, d->side, entry->fn, args, 3);
  Stop stop = interp_run(m, d->side);
  Value result = d->side->result;
  if (UNLIKELY(stop != STOP_DONE || !decider_is_record(result, shape)))
    return evolve_failed(d, shape, stop, error);
  m->roots[ROOT_STATE] = result;
  return true;
}

/* ---- the log ---- */

static void log_text(Buf *trail, Str s) {
  buf_put(trail, &s.size, sizeof s.size);
  buf_str(trail, s);
}

static Str log_take(Str *rest) {
  Str s = {rest->at + sizeof s.size, 0};
  memcpy(&s.size, rest->at, sizeof s.size);
  *rest = (Str){s.at + s.size, rest->size - sizeof s.size - s.size};
  return s;
}

void fold_log_clear(Decider *d) {
  d->logging = false;
  buf_clear(&d->trail);
  d->m->roots[ROOT_BEFORE] = VALUE_NIL;
}

/* The event will be folded: from here on it is part of the log, unless that fails. */
static void log_event(Decider *d, Str type, uint64_t version, Str data, Str meta) {
  Machine *m = d->m;
  if (!d->logging || d->trail.size > LOG_BYTES) {
    fold_log_clear(d);
    value_share(m->roots[ROOT_STATE]);
    m->roots[ROOT_BEFORE] = m->roots[ROOT_STATE];
    d->logging = true;
  }
  buf_put(&d->trail, &version, sizeof version);
  log_text(&d->trail, type);
  log_text(&d->trail, data);
  log_text(&d->trail, meta);
}

/* ---- stored events ---- */

static bool fold_refused(const Refusal *refusal, Err *err) {
  FAIL(err, ERR_INVALID, STR_FMT, STR_ARG(refusal->message));
  return false;
}

static bool event_get(Decider *d, const FoldEntry *e, Str data, Err *err) {
  Refusal refusal;
  Value *root = &d->m->roots[ROOT_EVENT];
  if (LIKELY(e->version == d->b->shapes[e->shape].version) &&
      LIKELY(wire_get_planned(d->m, decider_plan(d, e->shape), data, root))) {
    value_share(*root);
    return true;
  }
  return message_get(d, e->shape, data, e->version, MAKE_STORED, root, &d->aside, &refusal) ||
         fold_refused(&refusal, err);
}

static bool meta_get(Decider *d, Str meta, Err *err) {
  return decider_get(d, meta, &d->m->roots[ROOT_META], err) || (err_context(err, "meta"), false);
}

static bool fold_failed(Decider *d, const FoldEntry *e, Value error, Err *err) {
  Buf why = {.max = 400};
  words_of_error(error, &why);
  FAIL(err, ERR_INVALID, "`evolve " STR_FMT "` of " STR_FMT " failed: " STR_FMT,
       STR_ARG(decider_shape_name(d, e->shape)), STR_ARG(decider_agent_name(d)), STR_ARG(buf_view(&why)));
  buf_deinit(&why);
  return false;
}

static bool fold_event(Decider *d, const FoldEntry *e, Str data, Str meta, Err *err) {
  Machine *m = d->m;
  Value error;
  if (!event_get(d, e, data, err)) return false;
  if (e->uses_meta && !meta_get(d, meta, err)) return false;
  Value about = e->uses_meta ? m->roots[ROOT_META] : VALUE_NIL;
  bool ok = fold_value(d, e, m->roots[ROOT_EVENT], about, &error) || fold_failed(d, e, error, err);
  m->roots[ROOT_EVENT] = VALUE_NIL;
  if (e->uses_meta) m->roots[ROOT_META] = VALUE_NIL;
  return ok;
}

/* Back to the kept state, then what was folded since up to `size` bytes of the log: it went well before. */
static void log_replay(Decider *d, size_t size) {
  Str rest = {d->trail.at, size};
  Err ignored;
  d->trail.size = size;
  d->m->roots[ROOT_STATE] = d->m->roots[ROOT_BEFORE];
  while (rest.size > 0) {
    uint64_t version;
    memcpy(&version, rest.at, sizeof version);
    rest = (Str){rest.at + sizeof version, rest.size - sizeof version};
    Str type = log_take(&rest), data = log_take(&rest), meta = log_take(&rest);
    if (!fold_event(d, entry_find(d, type, version), data, meta, &ignored)) return;
  }
}

static bool newer_event(const Decider *d, const FoldEntry *e, Err *err) {
  FAIL(err, ERR_VERSION, "an event " STR_FMT " of version %" PRIu64 " is stored, and this program knows version %"
       PRIu32 ": deploy the newer program", STR_ARG(e->type), e->version, d->b->shapes[e->shape].version);
  return false;
}

bool decider_fold(Decider *d, Str type, uint64_t version, Str data, Str meta, Err *err) {
  ASSERT(d->agent != NONE_INDEX && d->going.phase == PHASE_IDLE);
  const FoldEntry *e = entry_find(d, type, version);
  if (UNLIKELY(e->fn == NONE_INDEX)) return true;
  if (UNLIKELY(version > d->b->shapes[e->shape].version)) return newer_event(d, e, err);
  d->pending = false;
  if (!e->uses_meta) meta = (Str){0};
  log_event(d, type, version, data, meta);
  size_t size = sizeof version + 3 * sizeof(size_t) + type.size + data.size + meta.size;
  if (LIKELY(fold_event(d, e, data, meta, err))) return true;
  log_replay(d, d->trail.size - size);
  return false;
}
