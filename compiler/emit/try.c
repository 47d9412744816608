/* try, raise. A guard is a stretch of code under a handler. A `finally` body is
** emitted three times: on the way out at the end, inline before each jump or return
** that leaves, and in the handler that a fault enters. While it runs inline its own
** guard has a hole there. */
#include "compiler/emit/emitter.h"

static void guard_open(Body *b, Guard *g, HandlerKind kind, Stmt *final) {
  *g = (Guard){.outer = b->guard,
               .kind = (uint8_t)kind,
               .final = final,
               .loop = b->loop,
               .patch = b->patch,
               .caught = b->caught,
               .start = code_here(b)};
  b->guard = g;
}

static void guard_pause(Body *b, Guard *g) {
  if (code_here(b) <= g->start) return;
  Piece *piece = ARENA_NEW(b->e->arena, Piece);
  *piece = (Piece){g->start, code_here(b), g->pieces};
  g->pieces = piece;
}

static void guard_close(Body *b, Guard *g) {
  guard_pause(b, g);
  b->guard = g->outer;
}

/* The handler is here. False if nothing can come to it. */
static bool handler_begin(Body *b, const Guard *g, uint8_t reg) {
  if (g->pieces == NULL || b->too_large) return false;
  b->dead = false;
  for (const Piece *p = g->pieces; p != NULL; p = p->next) {
    BundleHandler h = {
        .start = p->start, .end = p->end, .target = code_here(b), .reg = reg, .kind = g->kind};
    *PUSH_ITEM(b->e, b->e->out->handlers, b->e->out->handler_count, b->e->handler_cap) = h;
  }
  return true;
}

/* ---- leaving ---- */

static bool any_final(const Body *b, const Guard *stop) {
  for (const Guard *g = b->guard; g != stop; g = g->outer) {
    if (g->final != NULL) return true;
  }
  return false;
}

/* The body of a finally stands outside its own try: that is how it is seen from there. */
static void final_inline(Body *b, const Guard *g) {
  Guard *guard = b->guard;
  LoopScope *loop = b->loop;
  uint32_t patch = b->patch;
  int caught = b->caught;
  b->guard = g->outer;
  b->loop = g->loop;
  b->patch = g->patch;
  b->caught = g->caught;
  block(b, g->final);
  b->guard = guard;
  b->loop = loop;
  b->patch = patch;
  b->caught = caught;
}

void guards_leave(Body *b, Guard *stop) {
  if (!any_final(b, stop)) return;
  for (Guard *g = b->guard; g != stop; g = g->outer) {
    guard_pause(b, g);
    g->start = UINT32_MAX; /* closed until guards_return */
    if (g->final != NULL) final_inline(b, g);
  }
}

void guards_return(Body *b, Guard *stop) {
  for (Guard *g = b->guard; g != stop; g = g->outer) {
    if (g->start == UINT32_MAX) g->start = code_here(b);
  }
}

/* ---- try ---- */

static void catch_arm(Body *b, Arm *arm, uint8_t error, Label *end) {
  Label next = {0};
  int outer = b->caught;
  b->caught = error;
  if (arm->symbol != NULL) var_bind(b, arm->symbol, error);
  careful_begin(b, NULL, arm->guard);
  if (arm->guard != NULL) cond_jump(b, arm->guard, false, &next);
  block(b, arm->body);
  jump_to(b, OP_JMP, 0, 0, end);
  b->caught = outer;
  var_unbind(b, arm->symbol);
  label_here(b, &next);
}

static void catch_part(Body *b, Stmt *s, const Guard *g) {
  Label end = {0};
  uint16_t mark = b->next;
  jump_to(b, OP_JMP, 0, 0, &end);
  uint8_t error = reg_take(b);
  if (handler_begin(b, g, error)) {
    for (Arm *arm = s->arms; arm != NULL; arm = arm->next) {
      if (!b->dead) catch_arm(b, arm, error, &end);
    }
    emit(b, OP_RERAISE, error, 0, 0);
  }
  regs_release(b, mark);
  label_here(b, &end);
}

static void final_part(Body *b, Stmt *s, const Guard *g) {
  Label end = {0};
  uint16_t mark = b->next;
  block(b, s->final);
  jump_to(b, OP_JMP, 0, 0, &end);
  uint8_t fault = reg_take(b);
  if (handler_begin(b, g, fault)) {
    block(b, s->final);
    emit(b, OP_RERAISE, fault, 0, 0);
  }
  regs_release(b, mark);
  label_here(b, &end);
}

void try_stmt(Body *b, Stmt *s) {
  Guard final, caught;
  if (s->final != NULL) guard_open(b, &final, HANDLER_FINALLY, s->final);
  if (s->arms != NULL) {
    guard_open(b, &caught, HANDLER_CATCH, NULL);
    block(b, s->body);
    guard_close(b, &caught);
    catch_part(b, s, &caught);
  } else {
    block(b, s->body);
  }
  if (s->final == NULL) return;
  guard_close(b, &final);
  final_part(b, s, &final);
}

/* ---- try EXPR ---- */

static void outcome_field(Body *b, uint8_t map, const char *name, int value, Op load) {
  uint16_t mark = b->next;
  uint8_t reg = value >= 0 ? (uint8_t)value : reg_take(b);
  if (value < 0) emit(b, load, reg, 0, 0);
  field_set(b, map, const_text(b->e, str_of(name)), reg);
  regs_release(b, mark);
}

/* {ok, value, error} in map; `value` is the register of the one that is not nil. */
static void outcome(Body *b, uint8_t map, bool ok, uint8_t value) {
  emit(b, OP_NEWMAP, map, 3, 0);
  outcome_field(b, map, "ok", -1, ok ? OP_LOADTRUE : OP_LOADFALSE);
  outcome_field(b, map, "value", ok ? value : -1, OP_LOADNIL);
  outcome_field(b, map, "error", ok ? -1 : value, OP_LOADNIL);
}

void try_to(Body *b, Expr *e, uint8_t target) {
  Guard g;
  Label end = {0};
  uint8_t map = reg_take(b), value = reg_take(b);
  guard_open(b, &g, HANDLER_CATCH, NULL);
  expr_to(b, e->operand, value, USE_OWN);
  guard_close(b, &g);
  outcome(b, map, true, value);
  jump_to(b, OP_JMP, 0, 0, &end);
  if (handler_begin(b, &g, value)) outcome(b, map, false, value);
  label_here(b, &end);
  emit(b, OP_MOVE, target, map, 0);
}

/* ---- raise and faults ---- */

static Expr *raise_part(const Stmt *s, const char *name, uint32_t position) {
  for (const Arg *arg = s->args; arg != NULL; arg = arg->next) {
    if (arg->name != NULL ? str_equal(arg->name->text, str_of(name)) : position == 0)
      return arg->value;
    if (arg->name == NULL) position--;
  }
  return NULL;
}

static void error_make(Body *b, Stmt *s, uint8_t base) {
  static const char *const names[] = {"message", "data"};
  uint32_t count = 1;
  expr_to(b, s->value, base, USE_OWN);
  for (uint32_t i = 0; i < COUNT_OF(names); i++) {
    Expr *part = raise_part(s, names[i], i);
    uint8_t reg = reg_take(b);
    if (part != NULL) expr_to(b, part, reg, USE_OWN);
    else emit(b, OP_LOADNIL, reg, 0, 0);
    if (part != NULL) count = i + 2;
  }
  native_call(b, NATIVE_error_make, base, count);
}

void raise_stmt(Body *b, Stmt *s) {
  uint16_t mark = b->next;
  const Type *type = s->value != NULL ? s->value->type : NULL;
  if (s->value == NULL) {
    if (b->caught >= 0) emit(b, OP_RAISE, (uint32_t)b->caught, 0, 0);
    return;
  }
  if (type != NULL && type->kind == TYPE_ERROR) {
    emit(b, OP_RAISE, expr_any(b, s->value, USE_BORROW), 0, 0);
    regs_release(b, mark);
    return;
  }
  Label made = {0};
  uint8_t base = reg_take(b);
  bool text = type != NULL && (type->kind == TYPE_STRING || type->kind == TYPE_LITERAL);
  if (!text) { /* an error raised again, or a code */
    uint8_t is = reg_take(b);
    expr_to(b, s->value, base, USE_BORROW);
    emit_ext(b, OP_TYPEIS, is, base, 0, type_simple_index(b->e, TYPE_ERROR));
    jump_to(b, OP_JT, is, 0, &made);
    regs_release(b, is);
  }
  error_make(b, s, base);
  label_here(b, &made);
  place_at(b, s->span);
  emit(b, OP_RAISE, base, 0, 0);
  regs_release(b, mark);
}

void fault_text(Body *b, FaultCode code, Str text) {
  uint16_t mark = b->next;
  uint8_t reg = reg_take(b);
  load_text(b, reg, text);
  emit(b, OP_FAULT, reg, (uint32_t)code, 0);
  regs_release(b, mark);
}
