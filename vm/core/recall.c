/* Calls from outside the loop, made again and again on one fiber: decide and evolve, constructors of messages. */
#include "vm/base/mem.h"
#include "vm/core/loop.h"
#include "vm/core/program.h"

enum { HEAP_KEPT = 1 << 20 /* bytes of a heap without anything in it */ };

Fiber *fiber_idle(Machine *m) {
  Fiber *f = fiber_new(m, m->bundle->script, NULL, 0);
  bool ok = fiber_frames_room(f) && fiber_room(f, LIMIT_REGISTERS + 6);
  ASSERT(ok);
  fiber_rest(f);
  return f;
}

void fiber_rest(Fiber *f) {
  f->frame_count = 0;
  f->status = FIBER_DONE;
  f->raised = false;
  f->result = VALUE_NIL;
}

/* A fault before the first instruction. */
static void recall_refuse(Machine *m, Fiber *f, uint32_t fn, uint32_t count) {
  Str name = bundle_text(m->bundle, m->bundle->fns[fn].name);
  f->result = error_fault(m, NULL, FAULT_ARGUMENTS, STR_FMT " takes %d to %d arguments and was given %" PRIu32,
                          STR_ARG(name), m->program->fns[fn].min_args, m->program->fns[fn].params, count);
  f->raised = true;
}

void fiber_recall(Machine *m, Fiber *f, uint32_t fn, const Value *args, uint32_t count) {
  const FnInfo *info = &m->program->fns[fn];
  ASSERT(f->frame_cap > 0 && info->regs <= f->stack_cap);
  fiber_rest(f);
  f->status = FIBER_READY;
  if (UNLIKELY(info->captures != 0 || count < info->min_args || count > info->params)) {
    recall_refuse(m, f, fn, count);
    return;
  }
  if (UNLIKELY(f->stack + info->regs > f->stack_end)) {
    bool ok = fiber_room(f, info->regs);
    ASSERT(ok);
  }
  Value *at = f->stack;
  uint32_t i = 0;
  for (; i < count; i++) at[i] = args[i];
  for (; i < info->params; i++) at[i] = VALUE_MISSING;
  for (; i < info->regs; i++) at[i] = VALUE_NIL;
  f->frames[0] = (Frame){.fn = fn, .flags = FRAME_BOTTOM | FRAME_PURE};
  f->frame_count = 1;
}

bool machine_fits(Machine *m, Fiber *f, Value v, uint32_t type) {
  bool fit = false;
  m->running = f;
  bool known = op_type_is(m, v, type, &fit);
  f->result = VALUE_NIL;
  return known && fit;
}

void machine_type_text(const Bundle *b, uint32_t type, Buf *out) { type_text_print(b, type, out); }
void machine_value_text(const Machine *m, Value v, Buf *out) { buf_text(out, value_brief(m, v, true).text); }

Value error_data(Value error) { return ((const ErrorObj *)value_obj(error))->data; }
Str error_at(Value error) {
  Value at = ((const ErrorObj *)value_obj(error))->at;
  if (!value_is_kind(at, OBJ_STRING)) return (Str){0};
  return (Str){((const StringObj *)value_obj(at))->bytes, value_obj(at)->size};
}

static void values_clear(Value *at, size_t count) {
  for (size_t i = 0; i < count; i++) at[i] = VALUE_NIL;
}

void machine_clear(Machine *m) {
  values_clear(m->roots, COUNT_OF(m->roots));
  values_clear(m->temp, COUNT_OF(m->temp));
  m->saved_count = m->held_count = 0;
  for (uint32_t i = 0; i < m->fiber_count; i++) {
    Fiber *f = m->fibers[i];
    if (!f) continue;
    fiber_rest(f);
    if (m->heap->size > HEAP_KEPT) values_clear(f->stack, (size_t)(f->stack_end - f->stack));
  }
  m->heap->over_live = false;
  if (m->heap->size <= HEAP_KEPT) return;
  size_t limit = m->heap->live_limit;
  uint64_t collections = m->heap->collections;
  heap_free(m->heap);
  m->heap = heap_new(0);
  m->heap->live_limit = limit;
  m->heap->collections = collections;
}
