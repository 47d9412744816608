/* Calls. Arguments are evaluated straight into the callee's window; the result
** lands in its first register, which is the target where that is free to be one. */
#include "compiler/emit/emitter.h"

/* ---- windows ---- */

uint8_t window_begin(Body *b, uint8_t target) {
  if (target + 1u == b->next && target_simple(b, target)) b->next = target;
  return (uint8_t)b->next;
}

static void window_end(Body *b, uint8_t base, uint8_t target, bool wanted) {
  if (wanted && base != target) emit(b, OP_MOVE, target, base, 0);
}

uint32_t args_to(Body *b, Arg *args, Use use) {
  uint32_t count = 0;
  for (; args != NULL; args = args->next, count++) {
    uint8_t reg = reg_take(b);
    if (args->value == NULL) emit(b, OP_LOADMISS, reg, 0, 0);
    else expr_to(b, args->value, reg, use);
  }
  return count;
}

/* The result has a register even when there is no argument. */
static void result_room(Body *b, uint8_t base) {
  if (b->next <= base) reg_take(b);
}

void call_static(Body *b, Function *fn, uint8_t base, uint32_t count) {
  uint32_t callee = fn_index(b->e, fn);
  result_room(b, base);
  if (!b->dead)
    *PUSH_ITEM(b->e, b->e->edges, b->e->edge_count, b->e->edge_cap) = (Edge){b->index, callee};
  emit_ext(b, OP_CALL, base, count, 0, callee);
}

void native_call(Body *b, NativeId native, uint8_t base, uint32_t count) {
  result_room(b, base);
  emit_ext(b, OP_CALLN, base, count, 0, (uint32_t)native);
}

/* ---- closures ---- */

static uint8_t captures_to(Body *b, const Function *fn, uint32_t *count) {
  uint8_t first = 0;
  for (const Capture *c = fn->captures; c != NULL; c = c->next, ++*count) {
    uint8_t from = var_read(b, c->outer), reg;
    if (fn->captures->next == NULL) { /* the only one: from where it is */
      if (!type_plain(c->outer->type)) emit(b, OP_SHARE, from, 0, 0);
      ++*count;
      return from;
    }
    reg = reg_take(b);
    move_value(b, reg, from, c->outer->type, USE_OWN);
    if (*count == 0) first = reg;
  }
  return first;
}

void closure_to(Body *b, Function *fn, uint8_t target) {
  uint16_t mark = b->next;
  uint32_t count = 0;
  uint8_t first = captures_to(b, fn, &count);
  emit_ext(b, OP_CLOSURE, target, first, count, fn_index(b->e, fn));
  regs_release(b, mark);
}

/* ---- natives ---- */

/* One that updates its first argument: that one is made unshared where it lives, and given as it
 * is. */
static void changing_call(Body *b, NativeId native, Expr *object, Arg *args, uint8_t base) {
  uint8_t first = reg_take(b);
  uint32_t count = args_to(b, args, USE_OWN) + 1;
  uint16_t mark = b->next;
  emit(b, OP_MOVE, first, path_own(b, object), 0);
  regs_release(b, mark);
  native_call(b, native, base, count);
}

static bool is_push(NativeId native) { return native == NATIVE_list_push; }

static void native_to(Body *b, Expr *e, uint8_t target, bool wanted) {
  bool method = e->resolution == CALL_NATIVE_METHOD;
  NativeId native = e->symbol->native;
  Expr *object = method ? e->left->left : e->args != NULL ? e->args->value : NULL;
  Arg *rest = method ? e->args : e->args != NULL ? e->args->next : NULL;
  bool changes = (native_info[native].flags & NATIVE_CHANGES) != 0 && object != NULL;
  if (changes && is_push(native) && rest != NULL && rest->value != NULL && !b->careful) {
    path_push(b, object, rest->value);
    if (wanted) emit(b, OP_LOADNIL, target, 0, 0);
    return;
  }
  uint8_t base = window_begin(b, target);
  if (changes) {
    changing_call(b, native, object, rest, base);
  } else {
    uint32_t count = 0;
    if (method) {
      expr_to(b, object, reg_take(b), USE_BORROW);
      count++;
    }
    count += args_to(b, e->args, USE_BORROW);
    place_at(b, e->span);
    native_call(b, native, base, count);
  }
  window_end(b, base, target, wanted);
}

/* ---- methods whose receiver is known only at run time ---- */

static void method_args(Body *b, Expr *e, Label *nil) {
  Expr *object = e->left->left;
  bool changes = method_may_change(e->left->name) && path_is_variable(object);
  uint8_t first = reg_take(b);
  if (!changes || e->left->safe) expr_to(b, object, first, USE_BORROW);
  if (e->left->safe) jump_to(b, OP_JNIL, first, 0, nil);
  uint32_t count = args_to(b, e->args, changes ? USE_OWN : USE_BORROW) + 1;
  uint16_t mark = b->next;
  if (changes) emit(b, OP_MOVE, first, path_own(b, object), 0);
  regs_release(b, mark);
  place_at(b, e->left->name_span);
  emit_ext(b, OP_CALLM, first, count, changes, method_name(b->e, e->left->name));
  b->suspends = true;
}

static void method_to(Body *b, Expr *e, uint8_t target, bool wanted) {
  uint8_t base = window_begin(b, target);
  Label nil = {0};
  method_args(b, e, &nil); /* a nil receiver is already the result */
  label_here(b, &nil);
  window_end(b, base, target, wanted);
}

/* ---- records ---- */

static bool argument_fits(Body *b, const Field *f, const Arg *arg) {
  Type *wanted = f->symbol != NULL ? f->symbol->type : NULL;
  if (f->where != NULL) return false;
  if (arg == NULL || arg->value == NULL) return f->value == NULL || literal_of(b, f->value) != NULL;
  return wanted == NULL || wanted->kind == TYPE_ANY ||
         (arg->value->type != NULL && type_fit(arg->value->type, wanted) == FIT_YES);
}

/* Whether all that the constructor would do is known to be nothing. */
static bool construct_plain(Body *b, const Decl *decl, const Arg *args) {
  for (const Field *f = decl->fields; f != NULL; f = f->next) {
    if (!argument_fits(b, f, args)) return false;
    args = args != NULL ? args->next : NULL;
  }
  return true;
}

static void construct_to(Body *b, Expr *e, uint8_t target, bool wanted) {
  Decl *decl = e->symbol->decl;
  Arg *arg = e->args;
  if (!construct_plain(b, decl, arg)) {
    uint8_t base = window_begin(b, target);
    uint32_t count = args_to(b, arg, USE_BORROW);
    place_at(b, e->span);
    call_static(b, decl->function, base, count);
    window_end(b, base, target, wanted);
    return;
  }
  uint16_t first = b->next;
  uint32_t count = 0;
  for (Field *f = decl->fields; f != NULL; f = f->next, count++) {
    uint8_t reg = reg_take(b);
    if (arg != NULL && arg->value != NULL) expr_to(b, arg->value, reg, USE_OWN);
    else if (f->value != NULL) expr_to(b, f->value, reg, USE_OWN);
    else emit(b, OP_LOADNIL, reg, 0, 0);
    arg = arg != NULL ? arg->next : NULL;
  }
  emit_ext(b, OP_NEWREC, target, count > 0 ? first : 0, 0, shape_index(b->e, decl));
}

/* ---- messages of tests ---- */

bool function_is_partial(const Function *fn) {
  return fn->kind == FNKIND_CONSTRUCTOR && fn->decl != NULL && fn->decl->function != fn;
}

static Function *partial_of(Emitter *e, Decl *decl) {
  for (uint32_t i = 0; i < e->partial_count; i++) {
    if (e->partials[i]->decl == decl) return e->partials[i];
  }
  Function *fn = ARENA_NEW(e->arena, Function);
  size_t size = decl->function->name.size;
  char *name = arena_alloc(e->arena, size + 8);
  memcpy(name, decl->function->name.at, size);
  memcpy(name + size, ".partial", 8);
  *fn = *decl->function;
  fn->name = (Str){name, size + 8};
  fn->index = 0;
  *PUSH_ITEM(e, e->partials, e->partial_count, e->partial_cap) = fn;
  return fn;
}

static bool lacks_field(const Decl *decl, const Arg *arg) {
  for (const Field *f = decl->fields; f != NULL; f = f->next) {
    if ((arg == NULL || arg->value == NULL) && !field_optional(f)) return true;
    arg = arg != NULL ? arg->next : NULL;
  }
  return false;
}

void construct_partial(Body *b, Expr *e, uint8_t target) {
  bool message = e->kind == EXPR_CALL && e->resolution == CALL_CONSTRUCT && e->symbol != NULL;
  if (!message || !lacks_field(e->symbol->decl, e->args)) {
    expr_to(b, e, target, USE_OWN);
    return;
  }
  uint16_t mark = b->next;
  uint8_t base = (uint8_t)mark;
  uint32_t count = args_to(b, e->args, USE_BORROW);
  place_at(b, e->span);
  call_static(b, partial_of(b->e, e->symbol->decl), base, count);
  emit(b, OP_MOVE, target, base, 0);
  regs_release(b, mark);
}

/* ---- all calls ---- */

static void function_to(Body *b, Expr *e, uint8_t target, bool wanted) {
  uint8_t base = window_begin(b, target);
  uint32_t count = 0;
  if (e->resolution == CALL_FUNCTION_METHOD) {
    expr_to(b, e->left->left, reg_take(b), USE_BORROW);
    count++;
  }
  count += args_to(b, e->args, USE_BORROW);
  place_at(b, e->span);
  call_static(b, e->symbol->decl->function, base, count);
  window_end(b, base, target, wanted);
}

static void value_to(Body *b, Expr *e, uint8_t target, bool wanted) {
  uint8_t base = window_begin(b, target);
  expr_to(b, e->left, reg_take(b), USE_BORROW);
  uint32_t count = args_to(b, e->args, USE_BORROW);
  place_at(b, e->span);
  emit(b, OP_CALLV, base, count, 0);
  b->suspends = true;
  window_end(b, base, target, wanted);
}

bool call_fresh(Body *b, const Expr *e) {
  const Symbol *native = native_symbol(e);
  return native != NULL ? native_gives_own(b->e, native->native) : e->resolution != CALL_METHOD;
}

void call_to(Body *b, Expr *e, uint8_t target, bool wanted) {
  switch ((CallKind)e->resolution) {
    case CALL_FUNCTION:
    case CALL_FUNCTION_METHOD: function_to(b, e, target, wanted); return;
    case CALL_VALUE: value_to(b, e, target, wanted); return;
    case CALL_NATIVE:
    case CALL_NATIVE_METHOD: native_to(b, e, target, wanted); return;
    case CALL_METHOD: method_to(b, e, target, wanted); return;
    case CALL_CONSTRUCT: construct_to(b, e, target, wanted); return;
    case CALL_EFFECT: case CALL_TOOL: case CALL_WORKFLOW: case CALL_EXTERN: case CALL_PATCHED:
    case CALL_DEPRECATE_PATCH: case CALL_VIEW: case CALL_CALLS: effect_to(b, e, target); return;
    case CALL_BAD:
    case CALL_UPCAST: emit(b, OP_LOADNIL, target, 0, 0); return;
  }
}
