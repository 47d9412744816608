/* The run's side of fibers: which are ready, what each waits for, the commands
** still unanswered. */
#include "vm/run/state.h"

Strand *run_strand(Run *run, uint32_t fiber) {
  if (fiber >= run->strand_count) {
    uint32_t need = fiber + 1;
    run->strands = mem_grow(run->strands, &run->strand_cap, need, sizeof *run->strands);
    while (run->strand_count < need) run->strands[run->strand_count++] = NULL;
  }
  Strand *s = run->strands[fiber];
  if (!s) {
    s = MEM_NEW(Strand);
    s->group = NO_GROUP;
    s->waits_group = NO_GROUP;
    run->strands[fiber] = s;
  }
  return s;
}

void strand_free(Strand *s) {
  if (!s) return;
  for (uint32_t i = 0; i < s->await_count; i++) mem_free((void *)(uintptr_t)s->awaits[i].value.at);
  mem_free(s->awaits);
  mem_free(s->tools);
  scopes_trim(s, 0);
  mem_free(s->scopes);
  mem_free(s);
}

void group_free(Group *g) {
  if (!g) return;
  mem_free(g->children);
  mem_free(g);
}

/* ---- readiness ---- */

/* Room for one more after `count` items at `at`, which may begin anywhere in the block: where they are now. They
** are moved to its start only when as many have gone from there, so an item costs the same however many wait. */
static void *row_room(void **block, uint32_t *cap, void *at, uint32_t count, size_t item) {
  size_t gap = at ? (size_t)((char *)at - (char *)*block) / item : 0;
  if (gap + count < *cap) return at;
  if (gap > count) return memmove(*block, at, count * item);
  *block = mem_grow(*block, cap, (uint32_t)gap + count + 1, item);
  return (char *)*block + gap * item;
}

static void ready_room(Run *run) {
  run->ready = row_room(&run->ready_block, &run->ready_cap, run->ready, run->ready_count, sizeof *run->ready);
}

void run_ready(Run *run, uint32_t fiber) {
  ready_room(run);
  run->ready[run->ready_count++] = fiber;
}

void run_ready_first(Run *run, uint32_t fiber) {
  if (run->ready != run->ready_block) {
    run->ready--;
  } else {
    ready_room(run);
    memmove(run->ready + 1, run->ready, run->ready_count * sizeof *run->ready);
  }
  run->ready_count++;
  run->ready[0] = fiber;
}

uint32_t run_ready_take(Run *run) {
  run->ready_count--;
  return *run->ready++;
}

void strand_answer(Run *run, uint32_t fiber, Value v) {
  run_strand(run, fiber)->on = FIBER_ON_NOTHING;
  fiber_answer(run->machine, fiber_by_id(run->machine, fiber), v);
  run_ready(run, fiber);
}

void strand_raise(Run *run, uint32_t fiber, Value error) {
  run_strand(run, fiber)->on = FIBER_ON_NOTHING;
  fiber_raise(run->machine, fiber_by_id(run->machine, fiber), error);
  run_ready(run, fiber);
}

/* ---- waits ---- */

static Str block_copy(char **next, Str s) {
  if (!s.at) return (Str){0};
  Str copy = {*next, s.size};
  if (s.size) memcpy(*next, s.at, s.size);
  *next += s.size;
  return copy;
}

Wait *wait_new(const Request *r, uint32_t fiber) {
  Wait *w = mem_alloc(sizeof *w + r->target.size + r->operands.size + r->scopes.size + r->key.size);
  w->seq = r->seq;
  w->fiber = fiber;
  w->kind = (uint8_t)r->kind;
  w->effect = r->effect;
  w->effect_class = r->effect_class;
  w->extern_index = r->extern_index;
  w->timeout_us = r->timeout_us;
  w->due_us = r->due_us;
  w->run = r->run;
  w->limit_count = r->limit_count;
  w->limit_per_us = r->limit_per_us;
  char *next = w->bytes;
  w->target = block_copy(&next, r->target);
  w->operands = block_copy(&next, r->operands);
  w->scopes = block_copy(&next, r->scopes);
  w->key = block_copy(&next, r->key);
  return w;
}

void wait_free(Wait *w) { mem_free(w); }

Request wait_request(const Wait *w) {
  return (Request){.kind = (RequestKind)w->kind, .seq = w->seq, .effect = w->effect,
                   .effect_class = w->effect_class, .extern_index = w->extern_index,
                   .target = w->target, .operands = w->operands, .scopes = w->scopes, .key = w->key,
                   .timeout_us = w->timeout_us, .due_us = w->due_us, .run = w->run,
                   .limit_count = w->limit_count, .limit_per_us = w->limit_per_us};
}

static uint32_t wait_index(const Run *run, uint64_t seq) {
  uint32_t low = 0, high = run->wait_count;
  if (high > 0 && run->waits[high - 1]->seq < seq) return high;
  while (low < high) {
    uint32_t middle = low + (high - low) / 2;
    if (run->waits[middle]->seq < seq) low = middle + 1;
    else high = middle;
  }
  return low;
}

Wait *wait_find(Run *run, uint64_t seq) {
  uint32_t i = wait_index(run, seq);
  return i < run->wait_count && run->waits[i]->seq == seq ? run->waits[i] : NULL;
}

void wait_insert(Run *run, Wait *w) {
  uint32_t i = wait_index(run, w->seq);
  run->waits = row_room(&run->wait_block, &run->wait_cap, run->waits, run->wait_count, sizeof(Wait *));
  memmove(run->waits + i + 1, run->waits + i, (run->wait_count - i) * sizeof(Wait *));
  run->waits[i] = w;
  run->wait_count++;
}

/* Registers the wait and lets the request out. */
Wait *wait_add(Run *run, const Request *request, uint32_t fiber) {
  Wait *w = wait_new(request, fiber);
  ASSERT(!wait_find(run, request->seq));
  wait_insert(run, w);
  request_put(run, request);
  return w;
}

Wait *wait_take(Run *run, uint64_t seq) {
  uint32_t i = wait_index(run, seq), after = run->wait_count - i - 1;
  ASSERT(i < run->wait_count && run->waits[i]->seq == seq);
  Wait *w = run->waits[i];
  run->wait_count--;
  if (i < after) memmove(run->waits + 1, run->waits, i * sizeof(Wait *)), run->waits++;
  else memmove(run->waits + i, run->waits + i + 1, after * sizeof(Wait *));
  return w;
}

void wait_remove(Run *run, uint64_t seq) { wait_free(wait_take(run, seq)); }

/* A called run ends with the branch that called it; a started one does not. A later attempt may ask for it again, and
** then it must still be there: so in a run with attempts it ends with the run, unless it lost a race. */
static bool call_ends(const Run *run, const Wait *w, Str why) {
  if (w->effect != EFFECT_RUN_CALL) return false;
  return !run->attempts || run->cancelling || str_equal(why, STR(WHY_RACE));
}

void wait_drop(Run *run, Wait *w, Str why) {
  Record r = {.kind = RECORD_CANCELLED, .CANCELLED = {.ref = w->seq, .why = why}};
  if (!run_put(run, &r)) return;
  request_put(run, &(Request){.kind = REQUEST_DROP, .seq = w->seq, .effect = w->effect});
  if (call_ends(run, w, why)) {
    send_keep(run, &(Request){.kind = REQUEST_CANCEL, .seq = w->seq, .effect = EFFECT_RUN_CALL, .run = w->run});
  }
  bool may_come = w->kind == REQUEST_EFFECT || w->kind == REQUEST_AWAIT;
  if (may_come) w->dropped = true;
  else wait_remove(run, w->seq);
}

/* ---- requests: nothing leaves for a command that history has; what is still open at its end comes from
** run_open_requests ---- */

static Str out_copy(RunOutput *out, Str s) {
  if (!s.at) return (Str){0};
  size_t at = out->bytes.size;
  buf_put(&out->bytes, s.at, s.size);
  return (Str){(const char *)(at + 1), s.size}; /* offset + 1 until the step's end: the buffer may move */
}

static void out_fix(const RunOutput *out, Str *s) {
  if (s->at) s->at = out->bytes.at + ((uintptr_t)s->at - 1);
}

void requests_fix(RunOutput *out) {
  for (uint32_t i = 0; i < out->count; i++) {
    out_fix(out, &out->requests[i].target);
    out_fix(out, &out->requests[i].operands);
    out_fix(out, &out->requests[i].scopes);
    out_fix(out, &out->requests[i].key);
    out_fix(out, &out->requests[i].note);
  }
}

void requests_early(Run *run) {
  requests_fix(&run->early);
  for (uint32_t i = 0; i < run->early.count; i++) request_put(run, &run->early.requests[i]);
  run->early.count = 0;
  buf_clear(&run->early.bytes);
}

void request_put(Run *run, const Request *request) {
  RunOutput *out = run->out ? run->out : &run->early;
  if (!run->fresh) return;
  out->requests = mem_grow(out->requests, &out->cap, out->count + 1, sizeof *out->requests);
  Request r = *request;
  r.target = out_copy(out, r.target);
  r.operands = out_copy(out, r.operands);
  r.scopes = out_copy(out, r.scopes);
  r.key = out_copy(out, r.key);
  r.note = out_copy(out, r.note);
  out->requests[out->count++] = r;
}
