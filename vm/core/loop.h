/* What interp.c, ops.c, unwind.c and fiber.c say to each other. An op returns
** false when it faulted; the error is then in m->running->result, ready to unwind.
** Operands are pointers to registers, because an allocation may move what they
** hold; the result may be one of them. */
#ifndef Z8_LOOP_H
#define Z8_LOOP_H

#include "vm/core/heap.h"

/* Faults in the running fiber; always false. */
bool op_fault(Machine *m, FaultCode code, const char *format, ...) PRINTF_LIKE(3, 4);
bool op_fault_about(Machine *m, FaultCode code, Value about);
bool op_config(Machine *m, Value *a, uint32_t index);
bool op_shape_fault(Machine *m, Value v, uint32_t shape);
/* A value for a message: at most 60 bytes of it, its kind in front when `kind`. */
typedef struct Brief { char text[96]; } Brief;
Brief value_brief(const Machine *m, Value v, bool kind);

/* Only containers have a use for the bit; keeping it off the rest keeps images alike. */
static inline void share(Value v) {
  if (!value_is_obj(v)) return;
  Obj *o = value_obj(v);
  const uint32_t containers = 1u << OBJ_LIST | 1u << OBJ_MAP | 1u << OBJ_RECORD;
  if (containers >> o->kind & 1 && !(o->flags & OBJ_SHARED)) o->flags |= OBJ_SHARED;
}

/* arithmetic (ops_number.c) */
bool op_add(Machine *m, Value *a, Value *b, Value *c);
bool op_sub(Machine *m, Value *a, Value *b, Value *c);
bool op_mul(Machine *m, Value *a, Value *b, Value *c);
bool op_div(Machine *m, Value *a, Value *b, Value *c);
bool op_idiv(Machine *m, Value *a, Value *b, Value *c);
bool op_mod(Machine *m, Value *a, Value *b, Value *c);
bool op_neg(Machine *m, Value *a, Value *b);
bool op_equal(Machine *m, Value b, Value c, bool *equal);
/* -1, 0, 1; 2 with NaN. Faults when the two cannot be ordered. */
bool op_order(Machine *m, Value b, Value c, int *order);
bool op_less(Machine *m, Value b, Value c, bool or_equal, bool *less);
bool op_for_prep(Machine *m, Value *a, bool *enter);
bool op_for_next(Machine *m, Value *a, bool *again);

/* containers (ops_container.c) */
bool op_in(Machine *m, Value *a, Value *b, Value *c);
bool op_get_index(Machine *m, Value *a, Value *b, Value *c, bool optional);
bool op_set_index(Machine *m, Value *a, Value *b, Value *c);
bool op_get_field(Machine *m, Value *a, Value *b, Value name, bool optional, uint32_t *cache);
bool op_set_field(Machine *m, Value *a, Value *b, Value name, uint32_t *cache);
bool op_own(Machine *m, Value *a);
bool op_own_index(Machine *m, Value *a, Value *b, Value *c);
bool op_own_field(Machine *m, Value *a, Value *b, Value name, uint32_t *cache);
bool op_push(Machine *m, Value *a, Value *b);
bool op_extend(Machine *m, Value *a, Value *b);
bool op_new_list(Machine *m, Value *a, Value *b, uint32_t count);
bool op_slice(Machine *m, Value *a, Value *b, Value *c);
bool op_concat(Machine *m, Value *a, Value *b, uint32_t count);
bool op_iter_prep(Machine *m, Value *a, Value *b);
bool op_iter_next(Machine *m, Value *a, bool two, bool *over);
bool op_closure(Machine *m, Value *a, Value *b, uint32_t fn, uint32_t count);
void settle_all(Machine *m, Value *at, uint32_t count); /* registers that hold ropes */

/* types (ops_type.c) */
bool op_type_is(Machine *m, Value v, uint32_t type, bool *fits);
bool op_check(Machine *m, Value *v, uint32_t type);
void type_text_print(const Bundle *b, uint32_t type, Buf *out);

/* errors (unwind.c) */
bool op_raise(Machine *m, Value *a);
void error_place(Machine *m,
                 Fiber *f); /* the error in f->result keeps the place where it was raised first */
typedef enum { UNWOUND_HANDLED, UNWOUND_BOUNDARY, UNWOUND_BOTTOM } Unwound;
Unwound fiber_unwind(Machine *m, Fiber *f); /* with the error in f->result */
/* After ticks reached m->trip: what the loop does now. */
typedef enum { TICK_GO_ON, TICK_SLICE, TICK_LIVE, TICK_FAULT } Tick;
Tick machine_tick(Machine *m);
Tick machine_worked(Machine *m); /* after bulk work between two ticks */
void machine_set_trip(Machine *m);

/* frames (fiber.c) */
bool fiber_room(Fiber *f, uint32_t words);   /* false past LIMIT_STACK_SLOTS */
bool fiber_frames_room(Fiber *f);            /* false past LIMIT_DEPTH */
bool fiber_push(Machine *m, Fiber *f, uint32_t fn, uint32_t base, uint32_t count, uint8_t flags);

#endif
