/* The modules error and handle. */
#include "vm/base/hash.h"
#include "vm/core/natives.h"

/* What `raise` makes. Its place is filled in when it is raised. */
NATIVE_BODY(error_make) {
  bool said = arg_given(args, count, 1);
  if (!arg_text(m, &args[0], "error.make: the code", result)) return false;
  if (value_obj(args[0])->size == 0)
    return native_fault(m, result, FAULT_VALUE, "error.make: the code must not be empty");
  if (said && !arg_text(m, &args[1], "error.make: the message", result)) return false;
  bool data = arg_given(args, count, 2);
  if (data) args[2] = value_settle(m, args[2]);
  *result = error_value(m, args[0], said ? args[1] : args[0], data ? shared(args[2]) : VALUE_NIL,
                        VALUE_NIL, true);
  return true;
}

static bool arg_handle(Machine *m, Value v, const char *what, Value *result) {
  return value_is_kind(v, OBJ_HANDLE) || arg_mismatch(m, what, "a handle of a run", v, result);
}

NATIVE_BODY(handle_id) {
  if (!arg_handle(m, args[0], "handle.id: the handle", result)) return false;
  Uuid id;
  char text[37];
  memcpy(id.byte, ((HandleObj *)value_obj(args[0]))->run, sizeof id.byte);
  uuid_text(id, text);
  *result = string_new(m, str_of(text));
  return true;
}

NATIVE_BODY(handle_workflow) {
  if (!arg_handle(m, args[0], "handle.workflow: the handle", result)) return false;
  *result = ((HandleObj *)value_obj(args[0]))->name;
  return true;
}
