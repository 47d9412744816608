/* Machines and fibers: birth, calls from outside the loop, answers, end. */
#include "vm/base/mem.h"
#include "vm/core/loop.h"
#include "vm/core/program.h"

enum { STACK_FIRST = 64, STACK_SLACK = 512, FRAMES_FIRST = 8 };

Machine *machine_new(const Program *program) {
  Machine *m = MEM_NEW(Machine);
  m->program = program;
  m->bundle = program->bundle;
  m->heap = heap_new(0);
  m->ticks_limit = LIMIT_TICKS;
  m->slice_end = UINT64_MAX;
  m->charged_limit = LIMIT_NEW_MEMORY;
  m->cache = mem_alloc(sizeof(uint32_t) * (program->cache_total + 1));
  m->scratch.max = LIMIT_VALUE_BYTES;
  m->config = VALUE_NIL;
  for (size_t i = 0; i < COUNT_OF(m->roots); i++) m->roots[i] = VALUE_NIL;
  for (size_t i = 0; i < COUNT_OF(m->temp); i++) m->temp[i] = VALUE_NIL;
  return m;
}

static void fiber_free(Fiber *f) {
  if (!f) return;
  mem_free(f->frames);
  mem_free(f->stack);
  mem_free(f);
}

void machine_free(Machine *m) {
  if (!m) return;
  for (uint32_t i = 0; i < m->fiber_count; i++) fiber_free(m->fibers[i]);
  mem_free(m->fibers);
  mem_free(m->cache);
  mem_free(m->held);
  buf_deinit(&m->scratch);
  heap_free(m->heap);
  mem_free(m);
}

/* ---- stack ---- */

bool fiber_room(Fiber *f, uint32_t words) {
  if (words > LIMIT_STACK_SLOTS) return false;
  if (words > f->stack_cap) {
    uint32_t old = f->stack_cap;
    uint32_t want = words < STACK_FIRST ? STACK_FIRST : words;
    size_t end = old ? (size_t)(f->stack_end - f->stack) : 0;
    f->stack = mem_grow(f->stack, &f->stack_cap, want, sizeof(Value));
    f->stack_end = f->stack + end;
    for (uint32_t i = old; i < f->stack_cap; i++) f->stack[i] = VALUE_NIL;
  }
  uint32_t end = words + STACK_SLACK < f->stack_cap ? words + STACK_SLACK : f->stack_cap;
  if (f->stack_end < f->stack + end) f->stack_end = f->stack + end;
  return true;
}

bool fiber_frames_room(Fiber *f) {
  if (f->frame_count >= LIMIT_DEPTH) return false;
  uint32_t want = f->frame_count + 1 < FRAMES_FIRST ? FRAMES_FIRST : f->frame_count + 1;
  if (want > f->frame_cap) f->frames = mem_grow(f->frames, &f->frame_cap, want, sizeof(Frame));
  return true;
}

/* A frame at `base` whose arguments stand there; the rest becomes what a fresh frame holds. */
bool fiber_push(Machine *m, Fiber *f, uint32_t fn, uint32_t base, uint32_t count, uint8_t flags) {
  const FnInfo *info = &m->program->fns[fn];
  if (!fiber_frames_room(f) || !fiber_room(f, base + info->regs)) return false;
  uint8_t below = f->frame_count ? f->frames[f->frame_count - 1].flags & FRAME_PURE : 0;
  Value *at = f->stack + base;
  for (uint32_t i = count; i < info->params; i++) at[i] = VALUE_MISSING;
  uint32_t given = count > info->params ? count : info->params;
  for (uint32_t i = given; i < info->regs; i++) at[i] = VALUE_NIL;
  f->frames[f->frame_count++] =
      (Frame){.fn = fn, .base = base, .flags = (uint8_t)(flags | below | info->frame_flags)};
  return true;
}

/* ---- birth ---- */

static Fiber *fiber_make(Machine *m) {
  Fiber *f = MEM_NEW(Fiber);
  f->id = m->fiber_count;
  f->result = VALUE_NIL;
  m->fibers = mem_grow(m->fibers, &m->fiber_cap, m->fiber_count + 1, sizeof *m->fibers);
  m->fibers[m->fiber_count++] = f;
  return f;
}

/* A fiber that is born with a fault to raise, when the call cannot be made. */
static void fiber_stillborn(Machine *m, Fiber *f, const char *why) {
  f->frame_count = 0;
  f->result = error_fault(m, NULL, FAULT_ARGUMENTS, "%s", why);
  f->raised = true;
}

static bool count_fits(const FnInfo *info, uint32_t count) {
  return count >= info->min_args && count <= info->params;
}

Fiber *fiber_new(Machine *m, uint32_t fn, const Value *args, uint32_t count) {
  Fiber *f = fiber_make(m);
  const FnInfo *info = &m->program->fns[fn];
  bool fits =
      info->captures ? count == (uint32_t)info->params + info->captures : count_fits(info, count);
  if (!fits) {
    fiber_stillborn(m, f, "the function takes another number of arguments");
    return f;
  }
  bool ok = fiber_room(f, (uint32_t)info->regs + 1);
  ASSERT(ok);
  for (uint32_t i = 0; i < count; i++) f->stack[i] = args[i];
  ok = fiber_push(m, f, fn, 0, count, FRAME_BOTTOM);
  ASSERT(ok);
  return f;
}

Fiber *fiber_new_closure(Machine *m, Value closure, const Value *args, uint32_t count) {
  Fiber *f = fiber_make(m);
  if (!value_is_kind(closure, OBJ_CLOSURE)) {
    fiber_stillborn(m, f, "only a function can be run as a branch");
    return f;
  }
  const ClosureObj *c = (const ClosureObj *)value_obj(closure);
  const FnInfo *info = &m->program->fns[c->fn];
  if (!count_fits(info, count)) {
    fiber_stillborn(m, f, "the function takes another number of arguments");
    return f;
  }
  bool ok = fiber_room(f, (uint32_t)info->regs + 1);
  ASSERT(ok);
  for (uint32_t i = 0; i < count; i++) f->stack[i] = args[i];
  for (uint32_t i = 0; i < info->captures; i++) f->stack[info->params + i] = c->capture[i];
  for (uint32_t i = count; i < info->params; i++) f->stack[i] = VALUE_MISSING;
  ok = fiber_push(m, f, c->fn, 0, (uint32_t)info->params + info->captures, FRAME_BOTTOM);
  ASSERT(ok);
  return f;
}

void fiber_reap(Machine *m, Fiber *f) {
  m->fibers[f->id] = NULL;
  fiber_free(f);
}

Fiber *fiber_by_id(Machine *m, uint32_t id) { return id < m->fiber_count ? m->fibers[id] : NULL; }

/* ---- questions and answers ---- */

static const uint32_t *frame_ask(const Machine *m, const Frame *fr) {
  const uint32_t *at = program_before(m->program, fr->fn, fr->pc);
  if (!at) return NULL;
  uint8_t op = *at & 0xff;
  return op == OP_EFFECT || op == OP_PARALLEL || op == OP_PARFOR ? at : NULL;
}

/* The frame that holds the instruction the fiber waits at: the top one while it is blocked, else the one under the
** topmost call from outside. */
static const Frame *asking_frame(const Machine *m, const Fiber *f) {
  for (uint32_t i = f->frame_count; i-- > 0;) {
    bool top = i + 1 == f->frame_count;
    bool under_call = !top && (f->frames[i + 1].flags & FRAME_BOUNDARY);
    if (((top && f->status == FIBER_BLOCKED) || under_call) && frame_ask(m, &f->frames[i])) {
      return &f->frames[i];
    }
  }
  return NULL;
}

Value machine_ask_arg(const Machine *m, const Fiber *f, uint32_t index) {
  const Frame *fr = asking_frame(m, f);
  ASSERT(fr);
  uint32_t a = (*frame_ask(m, fr) >> 8) & 0xff;
  ASSERT(a + index < m->program->fns[fr->fn].regs);
  return f->stack[fr->base + a + index];
}

void fiber_answer(Machine *m, Fiber *f, Value v) {
  ASSERT(f->status == FIBER_BLOCKED && f->frame_count > 0);
  const Frame *fr = &f->frames[f->frame_count - 1];
  const uint32_t *at = frame_ask(m, fr);
  ASSERT(at);
  f->stack[fr->base + ((*at >> 8) & 0xff)] = v;
  f->result = VALUE_NIL;
  f->status = FIBER_READY;
}

void fiber_raise(Machine *m, Fiber *f, Value error) {
  ASSERT(value_is_kind(error, OBJ_ERROR));
  f->result = error;
  error_place(m, f);
  f->raised = true;
  f->status = FIBER_READY;
}

void fiber_call(Machine *m, Fiber *f, uint32_t fn, const Value *args, uint32_t count) {
  ASSERT(f->status == FIBER_BLOCKED && f->frame_count > 0);
  const Frame *fr = &f->frames[f->frame_count - 1];
  uint32_t base = fr->base + m->program->fns[fr->fn].regs;
  const FnInfo *info = &m->program->fns[fn];
  f->status = FIBER_READY;
  Value held[256]; /* args may stand in this very stack */
  ASSERT(count_fits(info, count));
  for (uint32_t i = 0; i < count; i++) held[i] = args[i];
  if (!fiber_frames_room(f) || !fiber_room(f, base + info->regs)) {
    f->result = error_fault(m, f, FAULT_DEPTH, "%" PRIu64, LIMIT_DEPTH);
    f->raised = true;
    return;
  }
  memcpy(f->stack + base, held, count * sizeof(Value));
  bool ok = fiber_push(m, f, fn, base, count, FRAME_BOUNDARY);
  ASSERT(ok);
}

void fiber_abandon_call(Machine *m, Fiber *f) {
  (void)m;
  while (f->frame_count > 0) {
    if (f->frames[--f->frame_count].flags & FRAME_BOUNDARY) break;
  }
  f->raised = false;
  f->result = VALUE_NIL;
  f->status = FIBER_BLOCKED;
  if (f->frame_count > 0) {
    const uint32_t *at = frame_ask(m, &f->frames[f->frame_count - 1]);
    if (at) f->dest = (*at >> 8) & 0xff;
  }
}

/* ---- pure calls ---- */

static bool pure_failed(Machine *m, Fiber *f, Stop stop, Value *error) {
  if (stop == STOP_FAULT) *error = f->result;
  else if (stop == STOP_LIVE)
    *error = error_fault(m, f, FAULT_LIVE, "%" PRIu64 " bytes", (uint64_t)m->heap->live_limit);
  else *error = error_fault(m, f, FAULT_IMPURE, "pure code asked for an effect");
  return false;
}

/* The machine's own counters come back as they were: a query must leave no trace in the run. */
bool machine_call_pure(Machine *m, uint32_t fn, const Value *args, uint32_t count,
                       uint64_t ticks_max, Value *result, Value *error) {
  Machine before = *m;
  m->ticks = 0;
  m->ticks_limit = ticks_max;
  m->slice_end = UINT64_MAX;
  m->charged = 0;
  Fiber *f = fiber_new(m, fn, args, count);
  if (f->frame_count) f->frames[0].flags |= FRAME_PURE;
  Stop stop = interp_run(m, f);
  bool ok = stop == STOP_DONE || pure_failed(m, f, stop, error);
  if (ok) *result = f->result;
  fiber_reap(m, f);
  m->fiber_count = before.fiber_count;
  m->ticks = before.ticks;
  m->ticks_limit = before.ticks_limit;
  m->slice_end = before.slice_end;
  m->charged = before.charged;
  m->running = before.running;
  m->ask = before.ask;
  return ok;
}
