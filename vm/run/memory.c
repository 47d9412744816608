/* The memory of a run with attempts (memory.h). All of it follows from the journal: what was asked
** and confirmed, in that order; so it is in images, and replay comes to the same. */
#include "vm/run/memory.h"

#include "vm/base/hash.h"
#include "vm/journal/diverge.h"
#include "vm/run/state.h"

enum { OUTCOME_OPEN, OUTCOME_OK, OUTCOME_ERROR };
enum { OPERANDS_KEPT = 1024 /* longer ones are kept as their SHA-256 */ };
#define GROUP_SITE (UINT64_C(1) << 63) /* a place where branches begin: function and pc below it */

typedef struct Remembered {
  uint64_t first, latest; /* seq when it was first asked, and in the attempt that asked last; first 0: see may_differ */
  int64_t at_us;          /* when it was first asked */
  uint32_t attempt;       /* which asked it first */
  uint8_t kind, outcome;
  bool failed; /* OPEN, ERROR: and it is known not to have happened */
  bool maybe;  /* once it was sent, or asked for, and what came of it was not known */
  bool done;   /* ERROR: and there is no asking again */
  bool hashed;
  Str operands, value; /* owned; value: what it confirmed, or the error that was raised */
} Remembered;

typedef struct Place {
  uint64_t lineage, site;
  uint32_t met; /* how often this attempt came by */
  uint32_t count, cap;
  Remembered *at; /* by how often an attempt had come by */
} Place;

typedef struct Spot {
  uint32_t place, ordinal;
} Spot;

typedef struct Asked { /* by rising seq; an entry whose `latest` is another one is out of date */
  uint64_t seq;
  Spot spot;
} Asked;

typedef struct Doubt { /* an error, or a "not now", after which the fiber has done nothing yet in this attempt */
  uint32_t fiber;
  Spot spot;
} Doubt;

struct Memory {
  Place *places; uint32_t place_count, place_cap;
  uint32_t *slots; uint32_t slot_cap; /* a hash table of place numbers + 1; a power of two */
  Asked *asked; uint32_t asked_count, asked_cap;
  Doubt *doubts; uint32_t doubt_count, doubt_cap;
  Spot asking;                        /* from memory_recalls to memory_asked */
  bool is_asking;
};

/* ---- places ---- */

static Str owned(Str s) {
  char *copy = mem_alloc(s.size + 1);
  if (s.size) memcpy(copy, s.at, s.size);
  return (Str){copy, s.size};
}

static void disown(Str *s) {
  mem_free((void *)(uintptr_t)s->at);
  *s = (Str){0};
}

Memory *memory_new(void) { return MEM_NEW(Memory); }

void memory_free(Memory *m) {
  if (!m) return;
  for (uint32_t p = 0; p < m->place_count; p++) {
    for (uint32_t i = 0; i < m->places[p].count; i++) {
      disown(&m->places[p].at[i].operands);
      disown(&m->places[p].at[i].value);
    }
    mem_free(m->places[p].at);
  }
  mem_free(m->places);
  mem_free(m->slots);
  mem_free(m->asked);
  mem_free(m->doubts);
  mem_free(m);
}

static uint64_t mixed(uint64_t a, uint64_t b) {
  uint64_t both[2] = {a, b};
  return hash_bytes(both, sizeof both);
}

static void slot_take(Memory *m, uint32_t place) {
  uint64_t at = mixed(m->places[place].lineage, m->places[place].site);
  while (m->slots[at & (m->slot_cap - 1)]) at++;
  m->slots[at & (m->slot_cap - 1)] = place + 1;
}

static void slots_grow(Memory *m) {
  mem_free(m->slots);
  m->slot_cap = m->slot_cap ? m->slot_cap * 2 : 16;
  m->slots = mem_alloc(m->slot_cap * sizeof *m->slots);
  for (uint32_t p = 0; p < m->place_count; p++) slot_take(m, p);
}

static uint32_t place_add(Memory *m, uint64_t lineage, uint64_t site) {
  m->places = mem_grow(m->places, &m->place_cap, m->place_count + 1, sizeof *m->places);
  m->places[m->place_count++] = (Place){.lineage = lineage, .site = site};
  if (m->place_count * 2 > m->slot_cap) slots_grow(m);
  else slot_take(m, m->place_count - 1);
  return m->place_count - 1;
}

static uint32_t place_find(Memory *m, uint64_t lineage, uint64_t site) {
  uint64_t at = mixed(lineage, site);
  for (uint32_t n; m->slot_cap && (n = m->slots[at & (m->slot_cap - 1)]) != 0; at++) {
    if (m->places[n - 1].lineage == lineage && m->places[n - 1].site == site) return n - 1;
  }
  return place_add(m, lineage, site);
}

static Remembered *spot_at(const Memory *m, Spot spot) { return &m->places[spot.place].at[spot.ordinal]; }

static const Asked *asked_find(const Memory *m, uint64_t seq) {
  uint32_t low = 0, high = m->asked_count;
  while (low < high) {
    uint32_t middle = low + (high - low) / 2;
    if (m->asked[middle].seq < seq) low = middle + 1;
    else high = middle;
  }
  bool there = low < m->asked_count && m->asked[low].seq == seq && spot_at(m, m->asked[low].spot)->latest == seq;
  return there ? &m->asked[low] : NULL;
}

static Memory *memory_of(const Run *run) { return run->attempts ? run->attempts->memory : NULL; }

/* ---- what is remembered ---- */

/* What only looks is done again; an await finds what it awaits as it is. */
static bool leaves_trace(EffectKind kind, EffectClass effect_class) {
  switch (kind) {
    case EFFECT_RUN_AWAIT: case EFFECT_AWAIT_ALL: case EFFECT_AWAIT_ANY: case EFFECT_TEST: case EFFECT_STUB:
      return false;
    default: return effect_class != CLASS_READ;
  }
}

/* Does it change anything but this run's own course? After an error, only this says that the code has dealt with it:
** a line in the log does not. */
static bool is_act(EffectKind kind) {
  switch (kind) {
    case EFFECT_PRINT: case EFFECT_LOG: case EFFECT_NOTE: case EFFECT_SLEEP: case EFFECT_SIGNAL_WAIT:
    case EFFECT_BUDGET:
      return false;
    default: return true;
  }
}

/* No key has left for it that another act could take, or it may be repeated: it may be asked with other operands. */
static bool may_differ(const Remembered *r) {
  return !is_act((EffectKind)r->kind) || (r->outcome == OUTCOME_OPEN && (r->failed || r->kind == EFFECT_MODEL));
}

static void operands_keep(Remembered *r, Str operands) {
  Hash256 h;
  disown(&r->operands);
  r->hashed = operands.size > OPERANDS_KEPT;
  if (r->hashed) h = sha256(operands);
  r->operands = owned(r->hashed ? (Str){(const char *)h.byte, sizeof h.byte} : operands);
}

static bool operands_same(const Remembered *r, Str operands) {
  if (!r->hashed) return str_equal(r->operands, operands);
  Hash256 h = sha256(operands);
  return str_equal(r->operands, (Str){(const char *)h.byte, sizeof h.byte});
}

/* It will be asked again, under its key. */
static void outcome_forget(Remembered *r) {
  disown(&r->value);
  r->outcome = OUTCOME_OPEN;
}

/* As if it had never been asked. */
static void forget(Remembered *r) {
  outcome_forget(r);
  r->first = 0;
  r->failed = r->maybe = false;
}

/* "Too early", "too many", "not available", "my own fault": whoever says so has not done it, or does not know. Under
** its key it may be asked again. */
static bool http_not_now(Str response) {
  CborReader r = cbor_reader(cbor_map_get(response, STR("status")));
  int64_t status;
  Err ignored;
  if (r.at == r.end || !cbor_int(&r, &status, &ignored)) return false;
  return status == 408 || status == 425 || status == 429 || status >= 500;
}

static bool doubtful(const Remembered *r) {
  return r->outcome == OUTCOME_ERROR ? !r->done : r->kind == EFFECT_HTTP && http_not_now(r->value);
}

static void doubt_add(Memory *m, uint32_t fiber, Spot spot) {
  m->doubts = mem_grow(m->doubts, &m->doubt_cap, m->doubt_count + 1, sizeof *m->doubts);
  m->doubts[m->doubt_count++] = (Doubt){fiber, spot};
}

static void doubts_settle(Memory *m, uint32_t fiber) {
  uint32_t kept = 0;
  for (uint32_t i = 0; i < m->doubt_count; i++) {
    if (m->doubts[i].fiber != fiber) m->doubts[kept++] = m->doubts[i];
  }
  m->doubt_count = kept;
}

/* ---- asking ---- */

/* The first spot at which the operands differ, in words. */
static void difference(const Remembered *r, Str operands, Buf *out) {
  Divergence d = {0};
  DivergeSpot spot;
  Record was = {.kind = RECORD_ASKED, .ASKED = {.operands = r->operands}}, now = was;
  now.ASKED.operands = operands;
  if (!r->hashed) {
    record_encode(&was, &d.recorded);
    record_encode(&now, &d.current);
  }
  if (diverge_spot(&d, &spot)) {
    buf_format(out, STR_FMT " was " STR_FMT " and is now " STR_FMT, STR_ARG(buf_view(&spot.path)),
               STR_ARG(buf_view(&spot.recorded)), STR_ARG(buf_view(&spot.current)));
  } else {
    buf_text(out, "they are too large to be shown here");
  }
  diverge_spot_deinit(&spot);
  buf_deinit(&d.recorded);
  buf_deinit(&d.current);
}

/* Under one key two acts: nothing here can say which is right. */
static void stuck(Run *run, Fiber *f, const Remembered *r, Str target, Str operands) {
  Buf text = {0};
  buf_format(&text, "%s%s" STR_FMT " was asked with other operands in attempt %u (#%" PRIu64 "): ",
             effect_info(r->kind)->word, target.size ? " " : "", STR_ARG(target), r->attempt, r->first);
  difference(r, operands, &text);
  buf_format(&text, "; in attempt %u it would do another thing under the same key", run->attempts->number);
  strand_raise(run, f->id, error_fault(run->machine, f, FAULT_ATTEMPT, STR_FMT, STR_ARG(buf_view(&text))));
  buf_deinit(&text);
}

static void recall(Run *run, Fiber *f, Spot spot) {
  Memory *m = run->attempts->memory;
  const Remembered *r = spot_at(m, spot);
  const BundleSite *site = &run->bundle->sites[run->machine->ask.site];
  Value v;
  Err err;
  Record record = {.kind = RECORD_RECALLED,
                   .RECALLED = {.kind = r->kind, .site = site->id, .fiber = f->id, .ref = r->first}};
  if (!run_put(run, &record)) return;
  if (!wire_get(run->machine, r->value, &v, &err)) {
    strand_raise(run, f->id, error_fault(run->machine, f, FAULT_INTERNAL, "%s", err.text));
    return;
  }
  if (doubtful(r)) doubt_add(m, f->id, spot);
  if (r->outcome == OUTCOME_OK) {
    fiber_answer(run->machine, f, v);
    run_ready_first(run, f->id);
  } else {
    strand_raise(run, f->id, ask_refusal(run, record.RECALLED.kind, v));
  }
}

bool memory_recalls(Run *run, Fiber *f, EffectKind kind, EffectClass effect_class, Str target, Str operands) {
  Memory *m = memory_of(run);
  if (!m) return false;
  const Strand *s = run_strand(run, f->id);
  m->is_asking = false;
  if (s->lineage == 0 || s->tool_count > 0 || !leaves_trace(kind, effect_class)) return false;
  if (is_act(kind)) doubts_settle(m, f->id);
  Spot spot = {place_find(m, s->lineage, run->machine->ask.site), 0};
  Place *place = &m->places[spot.place];
  spot.ordinal = place->met++;
  m->asking = spot;
  m->is_asking = true;
  if (spot.ordinal >= place->count) return false;
  Remembered *r = &place->at[spot.ordinal];
  if (kind != EFFECT_SIGNAL_WAIT && !operands_same(r, operands)) {
    if (!may_differ(r)) return stuck(run, f, r, target, operands), true;
    forget(r);
    return false;
  }
  if (r->outcome == OUTCOME_OPEN) return false;
  recall(run, f, spot);
  return true;
}

static Remembered *remembered_new(Memory *m, Spot spot) {
  Place *place = &m->places[spot.place];
  place->at = mem_grow(place->at, &place->cap, place->count + 1, sizeof *place->at);
  place->at[place->count] = (Remembered){0};
  return &place->at[place->count++];
}

FirstAsked memory_asked(Run *run, uint64_t seq, Str operands) {
  Memory *m = memory_of(run);
  if (!m || !m->is_asking) return (FirstAsked){seq, run->now_us, false};
  m->is_asking = false;
  bool new = m->asking.ordinal == m->places[m->asking.place].count;
  Remembered *r = new ? remembered_new(m, m->asking) : spot_at(m, m->asking);
  if (r->first == 0) {
    r->first = seq;
    r->at_us = run->now_us;
    r->attempt = run->attempts->number;
    r->kind = run->bundle->sites[run->machine->ask.site].kind;
    operands_keep(r, operands);
  } else if (r->kind != EFFECT_TOOL && !r->failed) {
    r->maybe = true; /* a tool says so itself (memory_maybe) */
  }
  r->latest = seq;
  r->failed = false;
  m->asked = mem_grow(m->asked, &m->asked_cap, m->asked_count + 1, sizeof *m->asked);
  m->asked[m->asked_count++] = (Asked){seq, m->asking};
  return (FirstAsked){r->first, r->at_us, r->maybe};
}

uint64_t memory_first(const Run *run, uint64_t seq) {
  const Memory *m = memory_of(run);
  const Asked *a = m ? asked_find(m, seq) : NULL;
  return a ? spot_at(m, a->spot)->first : seq;
}

/* ---- outcomes ---- */

static void settle(Remembered *r, uint8_t outcome, Str value) {
  disown(&r->value);
  r->value = owned(value);
  r->outcome = outcome;
}

void memory_confirm(Run *run, uint64_t seq, Str value) {
  Memory *m = memory_of(run);
  const Asked *a = m ? asked_find(m, seq) : NULL;
  if (a) settle(spot_at(m, a->spot), OUTCOME_OK, value);
}

void memory_answer(Run *run, uint32_t fiber, uint64_t seq, Str value) {
  Memory *m = memory_of(run);
  const Asked *a = m ? asked_find(m, seq) : NULL;
  if (!a) return;
  settle(spot_at(m, a->spot), OUTCOME_OK, value);
  if (doubtful(spot_at(m, a->spot))) doubt_add(m, fiber, a->spot);
}

void memory_late(Run *run, uint64_t seq, Str value) {
  Memory *m = memory_of(run);
  const Asked *a = m ? asked_find(m, seq) : NULL;
  if (!a) return;
  Remembered *r = spot_at(m, a->spot);
  settle(r, OUTCOME_OK, value);
  if (doubtful(r)) outcome_forget(r);
}

void memory_maybe(Run *run, uint64_t seq) {
  Memory *m = memory_of(run);
  const Asked *a = m ? asked_find(m, seq) : NULL;
  if (a) spot_at(m, a->spot)->maybe = true;
}

void memory_error(Run *run, uint32_t fiber, uint64_t seq, Value error, ErrorMeans means) {
  Memory *m = memory_of(run);
  const Asked *a = m ? asked_find(m, seq) : NULL;
  Buf bytes = {0};
  const char *why;
  if (a && wire_put(run->machine, error, &bytes, &why)) {
    Remembered *r = spot_at(m, a->spot);
    settle(r, OUTCOME_ERROR, buf_view(&bytes));
    r->maybe |= means == ERROR_MAYBE;
    r->failed = means == ERROR_NOT_DONE && !r->maybe;
    r->done = means == ERROR_DONE;
    if (doubtful(r)) doubt_add(m, fiber, a->spot);
  }
  buf_deinit(&bytes);
}

/* ---- branches ---- */

uint64_t memory_branch(uint64_t group, uint32_t index) { return group ? mixed(group, index) | 1 : 0; }

/* What branches of a tool's body do belongs to the tool's outcome: they have no lineage. */
uint64_t memory_group(Run *run, const Fiber *parent) {
  Memory *m = memory_of(run);
  if (!m) return 0;
  const Strand *s = run_strand(run, parent->id);
  if (s->lineage == 0 || s->tool_count > 0) return 0;
  const Frame *fr = &parent->frames[parent->frame_count - 1];
  uint64_t site = GROUP_SITE | (uint64_t)fr->fn << 32 | fr->pc;
  uint32_t place = place_find(m, s->lineage, site);
  return mixed(mixed(s->lineage, site), m->places[place].met++) | 1;
}

void memory_joined(Run *run, uint32_t group) {
  Memory *m = memory_of(run);
  for (uint32_t i = 0; m && i < m->doubt_count; i++) {
    uint32_t fiber = m->doubts[i].fiber;
    const Strand *s = fiber < run->strand_count ? run->strands[fiber] : NULL;
    if (s && s->group == group) m->doubts[i].fiber = run->groups[group]->parent;
  }
}

/* ---- attempts ---- */

/* Of an encoded error: code, message and data; the place may have been filled in since. */
static Str error_core(Str error) {
  CborReader r = cbor_reader(error);
  CborItem item;
  uint64_t count;
  Err ignored;
  if (!cbor_next(&r, &item, &ignored) || item.kind != CBOR_TAG || item.n != CBOR_TAG_ERROR) return error;
  if (!cbor_array(&r, &count, &ignored)) return error;
  for (int i = 0; i < 3; i++) {
    if (!cbor_skip(&r, NULL, &ignored)) return error;
  }
  return (Str){error.at, (size_t)((const char *)r.at - error.at)};
}

static void asked_prune(Memory *m) {
  uint32_t kept = 0;
  for (uint32_t i = 0; i < m->asked_count; i++) {
    if (spot_at(m, m->asked[i].spot)->latest == m->asked[i].seq) m->asked[kept++] = m->asked[i];
  }
  m->asked_count = kept;
}

/* The error that nothing was done about comes first. */
static bool doubts_forget(Memory *m, Str error) {
  bool found = false;
  for (uint32_t i = 0; i < m->doubt_count; i++) {
    Remembered *r = spot_at(m, m->doubts[i].spot);
    found = found || (r->outcome == OUTCOME_ERROR && str_equal(error_core(r->value), error_core(error)));
    outcome_forget(r);
  }
  m->doubt_count = 0;
  return found;
}

/* The last of those that the attempt did something about, and raised again all the same. */
static Remembered *raised_again(const Memory *m, Str error) {
  Remembered *last = NULL;
  for (uint32_t p = 0; p < m->place_count; p++) {
    for (uint32_t i = 0; i < m->places[p].count; i++) {
      Remembered *r = &m->places[p].at[i];
      if (r->outcome != OUTCOME_ERROR || r->done || (last && last->latest > r->latest)) continue;
      if (str_equal(error_core(r->value), error_core(error))) last = r;
    }
  }
  return last;
}

void memory_attempt_over(Run *run, Str error) {
  Memory *m = run->attempts->memory;
  if (!doubts_forget(m, error)) {
    Remembered *r = raised_again(m, error);
    if (r) outcome_forget(r);
  }
  for (uint32_t p = 0; p < m->place_count; p++) m->places[p].met = 0;
  asked_prune(m);
}

void memory_open_calls(Run *run, void (*each)(Run *run, uint64_t seq, Uuid child)) {
  const Memory *m = memory_of(run);
  for (uint32_t p = 0; m && p < m->place_count; p++) {
    for (uint32_t i = 0; i < m->places[p].count; i++) {
      const Remembered *r = &m->places[p].at[i];
      if (r->kind == EFFECT_RUN_CALL && r->outcome == OUTCOME_OPEN) {
        each(run, r->latest, run_child_id(run, r->first, r->at_us));
      }
    }
  }
}

/* ---- as bytes: [places, doubts, lineages of fibers, lineages of groups] ---- */

static void place_save(const Place *p, Buf *out) {
  cbor_put_array(out, 3 + (uint64_t)p->count * 10);
  cbor_put_uint(out, p->lineage);
  cbor_put_uint(out, p->site);
  cbor_put_uint(out, p->met);
  for (uint32_t i = 0; i < p->count; i++) {
    const Remembered *r = &p->at[i];
    cbor_put_uint(out, r->first);
    cbor_put_uint(out, r->latest);
    cbor_put_int(out, r->at_us);
    cbor_put_uint(out, r->attempt);
    cbor_put_uint(out, r->kind);
    cbor_put_uint(out, r->outcome);
    cbor_put_uint(out, (uint64_t)(r->failed | (r->maybe ? 2 : 0) | (r->done ? 4 : 0)));
    cbor_put_uint(out, r->hashed);
    cbor_put_bytes(out, r->operands);
    if (r->outcome == OUTCOME_OPEN) cbor_put_nil(out);
    else cbor_put_bytes(out, r->value);
  }
}

static void lineages_save(const Run *run, Buf *out) {
  uint32_t strands = 0, groups = 0;
  for (uint32_t i = 0; i < run->strand_count; i++) strands += run->strands[i] != NULL;
  for (uint32_t i = 0; i < run->group_count; i++) groups += run->groups[i] != NULL;
  cbor_put_array(out, strands);
  for (uint32_t i = 0; i < run->strand_count; i++) {
    if (run->strands[i]) cbor_put_uint(out, run->strands[i]->lineage);
  }
  cbor_put_array(out, groups);
  for (uint32_t i = 0; i < run->group_count; i++) {
    if (run->groups[i]) cbor_put_uint(out, run->groups[i]->lineage);
  }
}

void memory_save(const Run *run, Buf *out) {
  const Memory *m = run->attempts->memory;
  cbor_put_array(out, 4);
  cbor_put_array(out, m->place_count);
  for (uint32_t i = 0; i < m->place_count; i++) place_save(&m->places[i], out);
  cbor_put_array(out, (uint64_t)m->doubt_count * 3);
  for (uint32_t i = 0; i < m->doubt_count; i++) {
    cbor_put_uint(out, m->doubts[i].fiber);
    cbor_put_uint(out, m->doubts[i].spot.place);
    cbor_put_uint(out, m->doubts[i].spot.ordinal);
  }
  lineages_save(run, out);
}

static bool damaged(Err *err) {
  FAIL(err, ERR_CORRUPT, "the image's run state is damaged: what its attempts remember");
  return false;
}

static bool get_count(CborReader *r, uint64_t of, uint64_t *count, Err *err) {
  if (!cbor_array(r, count, err)) return false;
  if (*count % of || *count > (uint64_t)(r->end - r->at)) return damaged(err);
  *count /= of;
  return true;
}

static bool get_u32(CborReader *r, uint64_t most, uint32_t *out, Err *err) {
  uint64_t n;
  if (!cbor_uint(r, &n, err)) return false;
  *out = (uint32_t)n;
  return n <= most || damaged(err);
}

static bool get_value(CborReader *r, uint8_t outcome, Str *out, Err *err) {
  CborItem item;
  if (!cbor_next(r, &item, err)) return false;
  bool open = outcome == OUTCOME_OPEN;
  if (item.kind != (open ? CBOR_NIL : CBOR_BYTES)) return damaged(err);
  if (!open) *out = owned(item.bytes);
  return true;
}

static bool remembered_load(CborReader *r, Remembered *e, Err *err) {
  uint32_t kind, outcome, flags, hashed;
  Str operands;
  if (!cbor_uint(r, &e->first, err) || !cbor_uint(r, &e->latest, err) || !cbor_int(r, &e->at_us, err)) return false;
  if (!get_u32(r, UINT32_MAX, &e->attempt, err) || !get_u32(r, UINT8_MAX, &kind, err)) return false;
  if (!get_u32(r, OUTCOME_ERROR, &outcome, err) || !get_u32(r, 7, &flags, err)) return false;
  if (!get_u32(r, 1, &hashed, err) || !cbor_bytes(r, &operands, err)) return false;
  if (!effect_info(kind)) return damaged(err);
  e->kind = (uint8_t)kind;
  e->outcome = (uint8_t)outcome;
  e->failed = flags & 1;
  e->maybe = (flags & 2) != 0;
  e->done = (flags & 4) != 0;
  e->hashed = hashed == 1;
  e->operands = owned(operands);
  return get_value(r, e->outcome, &e->value, err);
}

static bool place_load(Memory *m, CborReader *r, Err *err) {
  uint64_t items, lineage, site;
  uint32_t met;
  if (!cbor_array(r, &items, err)) return false;
  if (items < 3 || (items - 3) % 10 || items > (uint64_t)(r->end - r->at)) return damaged(err);
  if (!cbor_uint(r, &lineage, err) || !cbor_uint(r, &site, err) || !get_u32(r, UINT32_MAX, &met, err)) return false;
  uint32_t count = m->place_count, at = place_find(m, lineage, site);
  if (at != count) return damaged(err); /* it stands twice */
  m->places[at].met = met;
  for (uint64_t i = 0; i < (items - 3) / 10; i++) {
    if (!remembered_load(r, remembered_new(m, (Spot){at, 0}), err)) return false;
  }
  return (site & GROUP_SITE) || met <= m->places[at].count || damaged(err);
}

static int by_seq(const void *a, const void *b) {
  uint64_t x = ((const Asked *)a)->seq, y = ((const Asked *)b)->seq;
  return x < y ? -1 : x > y;
}

/* Who was asked as what follows from the places. */
static void asked_make(Memory *m) {
  for (uint32_t p = 0; p < m->place_count; p++) {
    for (uint32_t i = 0; i < m->places[p].count; i++) {
      m->asked = mem_grow(m->asked, &m->asked_cap, m->asked_count + 1, sizeof *m->asked);
      m->asked[m->asked_count++] = (Asked){m->places[p].at[i].latest, {p, i}};
    }
  }
  if (m->asked_count) qsort(m->asked, m->asked_count, sizeof *m->asked, by_seq);
}

static bool doubts_load(Memory *m, CborReader *r, Err *err) {
  uint64_t count;
  if (!get_count(r, 3, &count, err)) return false;
  for (uint64_t i = 0; i < count; i++) {
    Doubt d;
    if (!get_u32(r, UINT32_MAX, &d.fiber, err) || !get_u32(r, UINT32_MAX, &d.spot.place, err)) return false;
    if (!get_u32(r, UINT32_MAX, &d.spot.ordinal, err)) return false;
    if (d.spot.place >= m->place_count || d.spot.ordinal >= m->places[d.spot.place].count) return damaged(err);
    if (spot_at(m, d.spot)->outcome == OUTCOME_OPEN) return damaged(err);
    doubt_add(m, d.fiber, d.spot);
  }
  return true;
}

static bool lineages_load(Run *run, CborReader *r, Err *err) {
  uint64_t count, taken = 0;
  if (!get_count(r, 1, &count, err)) return false;
  for (uint32_t i = 0; i < run->strand_count; i++) {
    if (!run->strands[i]) continue;
    if (taken++ == count) return damaged(err);
    if (!cbor_uint(r, &run->strands[i]->lineage, err)) return false;
  }
  if (taken != count || !get_count(r, 1, &count, err)) return damaged(err);
  taken = 0;
  for (uint32_t i = 0; i < run->group_count; i++) {
    if (!run->groups[i]) continue;
    if (taken++ == count) return damaged(err);
    if (!cbor_uint(r, &run->groups[i]->lineage, err)) return false;
  }
  return taken == count || damaged(err);
}

bool memory_load(Run *run, CborReader *r, Err *err) {
  Memory *m = run->attempts->memory;
  uint64_t items, count;
  if (!cbor_array(r, &items, err) || !get_count(r, 1, &count, err)) return false;
  if (items != 4) return damaged(err);
  for (uint64_t i = 0; i < count; i++) {
    if (!place_load(m, r, err)) return false;
  }
  asked_make(m);
  return doubts_load(m, r, err) && lineages_load(run, r, err);
}
