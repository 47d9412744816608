/* The loop. Its body is in interp_body.h and stands here twice: dispatched by
** computed goto, and by a switch for sanitizers, fuzzing and doubt. The two must do
** the same, tick for tick. What surrounds calls is here; what an instruction does
** when it is not the common case is in ops_*.c. */
#include "vm/core/cost.h"
#include "vm/core/loop.h"
#include "vm/core/program.h"

/* ---- calls ---- */

static bool call_room(Machine *m, uint32_t words) {
  Fiber *f = m->running;
  if (fiber_frames_room(f) && fiber_room(f, words)) return true;
  return op_fault(m, FAULT_DEPTH, "%" PRIu64, LIMIT_DEPTH);
}

/* Parameters not given, and for frames that may be kept, everything else. */
static void call_fill(const FnInfo *fn, Value *window, uint32_t given) {
  uint32_t i = given;
  for (; i < fn->params; i++) window[i] = VALUE_MISSING;
  if (fn->quick != FILLED) return;
  for (; i < fn->regs; i++) window[i] = VALUE_NIL;
}

static bool arguments_fault(Machine *m, uint32_t fn, uint32_t count) {
  const FnInfo *info = &m->program->fns[fn];
  Str name = bundle_text(m->bundle, m->bundle->fns[fn].name);
  return op_fault(m, FAULT_ARGUMENTS, STR_FMT " takes %d to %d arguments and was given %d",
                  STR_ARG(name), info->min_args, info->params, (int)count);
}

static bool impure_fault(Machine *m, uint32_t fn) {
  Str name = bundle_text(m->bundle, m->bundle->fns[fn].name);
  return op_fault(m, FAULT_IMPURE, STR_FMT " performs effects and was called below a pure function",
                  STR_ARG(name));
}

/* A frame `offset` above the caller's base, its arguments in place. Captures follow the parameters.
 */
static bool call_push(Machine *m, Fiber *f, uint32_t fn, uint32_t offset, uint32_t count,
                      Value closure) {
  const FnInfo *callee = &m->program->fns[fn];
  Frame *fr = &f->frames[f->frame_count - 1];
  if (count < callee->min_args || count > callee->params) return arguments_fault(m, fn, count);
  if ((callee->flags & FN_EFFECTS) && (fr->flags & FRAME_PURE)) return impure_fault(m, fn);
  uint32_t base = fr->base + offset;
  if (f->stack + base + callee->regs > f->stack_end || f->frame_count >= f->frame_cap) {
    if (!call_room(m, base + callee->regs)) return false;
    fr = &f->frames[f->frame_count - 1];
  }
  Value *window = f->stack + base;
  if (count != callee->quick) call_fill(callee, window, count);
  if (callee->captures)
    memcpy(window + callee->params, ((ClosureObj *)value_obj(closure))->capture,
           callee->captures * sizeof(Value));
  fr[1] = (Frame){
      .fn = fn, .base = base, .flags = (uint8_t)((fr->flags & FRAME_PURE) | callee->frame_flags)};
  f->frame_count++;
  return true;
}

static bool call_closure(Machine *m, Fiber *f, const Frame *fr, uint64_t w) {
  uint32_t a = (uint32_t)(w >> 8) & 0xff, count = (uint32_t)(w >> 16) & 0xff;
  Value v = f->stack[fr->base + a];
  if (!value_is_kind(v, OBJ_CLOSURE))
    return op_fault(m, FAULT_NOT_CALLABLE, "%s", value_brief(m, v, true).text);
  uint32_t fn = ((const ClosureObj *)value_obj(v))->fn;
  if (!call_push(m, f, fn, a + 1, count, v)) return false;
  f->frames[f->frame_count - 1].ret = (uint8_t)a;
  return true;
}

typedef enum { METHOD_FAULT, METHOD_DONE, METHOD_PUSHED, METHOD_FIELD } Method;

static Method call_native(Machine *m, Fiber *f, uint32_t native, Value *args, uint32_t count) {
  const NativeInfo *info = &native_info[native];
  if (count < info->min || count > info->max) {
    op_fault(m, FAULT_ARGUMENTS, "%s.%s takes %d to %d arguments and was given %d", info->module,
             info->name, info->min, info->max, (int)count);
    return METHOD_FAULT;
  }
  Value result = VALUE_NIL;
  if (info->flags & NATIVE_CHANGES) value_own(m, args);
  if (!native_table[native](m, args, count, &result)) {
    f->result = result;
    return METHOD_FAULT;
  }
  args[0] = result;
  return METHOD_DONE;
}

/* A function kept in a field: r.f(x). The field's value takes the receiver's place. */
static Method call_field(Machine *m, Value *receiver, Value name) {
  Value v = VALUE_NIL;
  if (value_is_kind(*receiver, OBJ_MAP)) {
    if (!map_find(*receiver, name, &v)) v = VALUE_NIL;
  } else if (value_is_kind(*receiver, OBJ_RECORD)) {
    const RecordObj *r = (const RecordObj *)value_obj(*receiver);
    int32_t slot = shape_slot(m->bundle, r->shape, string_text(m, &name));
    if (slot >= 0) v = r->field[slot];
  }
  if (!value_is_kind(v, OBJ_CLOSURE)) {
    op_fault(m, FAULT_METHOD, "%s has no method " STR_FMT, value_brief(m, *receiver, true).text,
             STR_ARG(string_text(m, &name)));
    return METHOD_FAULT;
  }
  *receiver = v;
  return METHOD_FIELD;
}

static Method call_method(Machine *m, Fiber *f, uint64_t w, uint32_t name) {
  uint32_t a = (uint32_t)(w >> 8) & 0xff, count = (uint32_t)(w >> 16) & 0xff;
  Value *args = f->stack + f->frames[f->frame_count - 1].base + a;
  const BundleMethod *method = program_method(m->program, name, value_type(args[0]));
  if (!method) return call_field(m, args, m->program->consts[name]);
  if (method->native) return call_native(m, f, method->target, args, count);
  if (!call_push(m, f, method->target, a, count, VALUE_NIL)) return METHOD_FAULT;
  f->frames[f->frame_count - 1].ret = (uint8_t)a;
  return METHOD_PUSHED;
}

/* The last frame, or one called from outside, ends: the loop does too. */
static Stop frame_leave(Fiber *f, const Frame *fr, Value v) {
  bool boundary = fr->flags & FRAME_BOUNDARY;
  f->result = v;
  f->frame_count--;
  f->status = boundary ? FIBER_BLOCKED : FIBER_DONE;
  return boundary ? STOP_RETURN : STOP_DONE;
}

/* ---- common cases ---- */

/* A field cache holds, of a record, its shape's key and the slot, so that the difference to the key of the record at
** hand is the slot, or large; of a map, the high bit and an entry, whose key is looked at again. NULL sends to the
** slow path, which fills the cache. */
static inline Value *entry_cached(Value v, Value name, uint32_t cached) {
  if (!(cached & 0x80000000u) || !value_is_kind(v, OBJ_MAP)) return NULL;
  MapObj *map = (MapObj *)value_obj(v);
  uint32_t i = cached & 0x7fffffffu;
  if (i >= map->used) return NULL;
  MapEntry *e = (MapEntry *)(void *)((ArrayObj *)value_obj(map->entries))->at + i;
  return e->key == name ? &e->value : NULL;
}

static inline Value *field_cached(Value v, Value name, uint32_t cached) {
  if (!value_is_kind(v, OBJ_RECORD)) return entry_cached(v, name, cached);
  RecordObj *r = (RecordObj *)value_obj(v);
  uint32_t slot = cached - r->key;
  return LIKELY(slot < 256) ? &r->field[slot] : NULL;
}

static inline double number_quick(Value v) {
  return value_is_int(v) ? (double)value_small(v) : flonum_decode(v);
}

/* 1 and 0 where one look tells whether a value fits, else -1. */
static inline int type_quick(const BundleType *t, Value v) {
  switch ((TypeKind)t->kind) {
    case TYPE_ANY: return 1;
    case TYPE_RECORD:
      return value_is_kind(v, OBJ_RECORD) && ((const RecordObj *)value_obj(v))->shape == t->shape;
    case TYPE_INT: return value_is_int(v) ? 1 : -1;
    case TYPE_FLOAT: return (v & 3) != 0 ? 1 : -1;
    case TYPE_STRING: return value_is_kind(v, OBJ_STRING) ? 1 : -1;
    case TYPE_BOOL: return value_is_bool(v);
    case TYPE_NIL: return v == VALUE_NIL;
    default: return -1;
  }
}

/* Nothing to be copied before an update. The hostile build copies all the same, out of the loop. */
static inline bool already_own(Value v) {
#ifdef Z8_HOSTILE
  return !value_is_obj(v);
#else
  return !value_is_obj(v) || !(value_obj(v)->flags & OBJ_SHARED);
#endif
}

/* Equality that needs no work: two words, or two texts too short for either to have been a rope. Longer
** ones are charged, and the charge must not tell a rope from its string. */
static inline bool same_quick(Value x, Value y, bool *equal) {
  *equal = x == y;
  if (value_is_flonum(x) && value_is_flonum(y)) return true;
  if (!value_is_obj(x) || !value_is_obj(y)) {
    return !value_is_obj(x) && !value_is_obj(y) && !((x | y) & 3);
  }
  const StringObj *a = (const StringObj *)value_obj(x), *b = (const StringObj *)value_obj(y);
  if (a->head.kind != OBJ_STRING || b->head.kind != OBJ_STRING) return false;
  if (a->head.size > ROPE_FROM || b->head.size > ROPE_FROM) return false;
  *equal = a == b || (a->head.size == b->head.size && memcmp(a->bytes, b->bytes, a->head.size) == 0);
  return true;
}

/* Out of the loop with as little as can be: it decodes its operands again. */
typedef bool BinaryOp(Machine *m, Value *a, Value *b, Value *c);
static __attribute__((noinline)) bool slow_binary(Machine *m, Value *base, uint64_t w,
                                                  BinaryOp *op) {
  return op(m, &base[w >> 8 & 0xff], &base[w >> 16 & 0xff], &base[w >> 24]);
}

static __attribute__((noinline)) bool slow_get_field(Machine *m, Value *base, uint64_t w,
                                                     Value name, uint32_t *cache) {
  return op_get_field(m, &base[w >> 8 & 0xff], &base[w >> 16 & 0xff], name, false, cache);
}
static __attribute__((noinline)) bool slow_set_field(Machine *m, Value *base, uint64_t w,
                                                     Value name, uint32_t *cache) {
  return op_set_field(m, &base[w >> 8 & 0xff], &base[w >> 16 & 0xff], name, cache);
}

/* ---- the loops ---- */

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wpedantic"

#define LOOP_FUNCTION static Stop run_switch(Machine *m, Fiber *f)
#define DISPATCH_BEGIN      \
  next:                     \
  w = *pc++;                \
  switch ((Op)(w & 0xff)) {
#define DISPATCH_END }      \
  UNREACHABLE();
#define CASE(name) case OP_##name:
#define NEXT goto next
#include "vm/core/interp_body.h"
#undef LOOP_FUNCTION
#undef DISPATCH_BEGIN

/* The same with a note of each instruction: for the coverage of tests. */
#define LOOP_FUNCTION static Stop run_covered(Machine *m, Fiber *f)
#define DISPATCH_BEGIN                                                                \
  next: /* several threads may note the same one */                                   \
  __atomic_store_n(&m->program->cover[pc - m->bundle->code], 1, __ATOMIC_RELAXED);    \
  w = *pc++;                                                                          \
  switch ((Op)(w & 0xff)) {
#include "vm/core/interp_body.h"
#undef LOOP_FUNCTION
#undef DISPATCH_BEGIN
#undef DISPATCH_END
#undef CASE
#undef NEXT

Stop interp_run_switch(Machine *m, Fiber *f) {
  return UNLIKELY(m->program->cover != NULL) ? run_covered(m, f) : run_switch(m, f);
}

#ifdef Z8_SWITCH
Stop interp_run(Machine *m, Fiber *f) { return interp_run_switch(m, f); }
#else
#define LOOP_FUNCTION static Stop run_goto(Machine *m, Fiber *f)
#define DISPATCH_BEGIN NEXT;
#define DISPATCH_END
#define CASE(name) do_##name:
#define NEXT                                             \
  do {                                                   \
    pc++;                                                \
    w = pc[-1];                                          \
    goto *table[w & 0xff];                               \
  } while (0)
#define NEEDS_LABELS
#include "vm/core/interp_body.h"

Stop interp_run(Machine *m, Fiber *f) {
  return UNLIKELY(m->program->cover != NULL) ? run_covered(m, f) : run_goto(m, f);
}
#endif

#pragma GCC diagnostic pop
