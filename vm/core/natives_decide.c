/* The module decide: what a decision says. No program names these; the compiler
** makes them of emit, reply, reject and enqueue in an agent's `decide`.
**
** They are pure: each appends to the list in m->roots[1], where whoever runs the
** decision finds it afterwards, in the order said:
**
**   [0, event]   [1, reply]   [2, code, message, data]   [3, job, options]
**
** Where that root is no list, nobody asked for a decision: a fault. */
#include "vm/core/natives.h"

enum { SAY_EVENT, SAY_REPLY, SAY_REFUSAL, SAY_JOB, SAY_ROOT = 1 };

static bool may_say(Machine *m, const char *what, Value *result) {
  if (LIKELY(value_is_kind(m->roots[SAY_ROOT], OBJ_LIST))) return true;
  return native_fault(m, result, FAULT_IMPURE,
                      "`%s` belongs to an agent's decide, and this is not one", what);
}

/* The parts are registers. Each has a second home from here on. */
static bool say(Machine *m, int kind, Value *args, uint32_t count, Value *result) {
  uint64_t said = list_count(m->roots[SAY_ROOT]);
  if ((said + 1) * sizeof(Value) > LIMIT_VALUE_BYTES)
    return native_fault(m, result, FAULT_SIZE, "256 MB");
  temps_save(m, 0, 1);
  m->temp[0] = list_new(m, count + 1);
  list_push(m, &m->temp[0], value_small_int(kind));
  for (uint32_t i = 0; i < count; i++) {
    if (args[i] == VALUE_MISSING) args[i] = VALUE_NIL;
    args[i] = value_settle(m, args[i]);
    list_push(m, &m->temp[0], shared(args[i]));
  }
  list_push(m, &m->roots[SAY_ROOT], m->temp[0]);
  temps_restore(m, 0, 1);
  *result = VALUE_NIL;
  return true;
}

/* A record of a message that is of this kind. */
static bool is_message(const Machine *m, Value v, ShapeKind kind) {
  if (!value_is_kind(v, OBJ_RECORD)) return false;
  uint32_t shape = ((const RecordObj *)value_obj(v))->shape;
  return shape < m->bundle->shape_count && m->bundle->shapes[shape].kind == kind;
}

NATIVE_BODY(decide_emit) {
  if (!may_say(m, "emit", result)) return false;
  if (!is_message(m, args[0], SHAPE_EVENT))
    return arg_mismatch(m, "emit: what is emitted", "an event", args[0], result);
  return say(m, SAY_EVENT, args, 1, result);
}

NATIVE_BODY(decide_reply) {
  return may_say(m, "reply", result) && say(m, SAY_REPLY, args, 1, result);
}

NATIVE_BODY(decide_reject) {
  if (!may_say(m, "reject", result)) return false;
  if (!arg_text(m, &args[0], "reject: the code", result)) return false;
  if (value_obj(args[0])->size == 0)
    return native_fault(m, result, FAULT_VALUE, "reject: the code must not be empty");
  if (arg_given(args, count, 1) && !arg_text(m, &args[1], "reject: the message", result))
    return false;
  return say(m, SAY_REFUSAL, args, count, result);
}

NATIVE_BODY(decide_enqueue) {
  if (!may_say(m, "enqueue", result)) return false;
  if (!is_message(m, args[0], SHAPE_JOB))
    return arg_mismatch(m, "enqueue: what is enqueued", "a worker's job", args[0], result);
  if (arg_given(args, count, 1) && !arg_map(m, args[1], "enqueue: the options", result))
    return false;
  return say(m, SAY_JOB, args, count, result);
}
