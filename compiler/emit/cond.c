/* Conditions and operators. A condition becomes jumps: comparisons fuse with them,
** and take small ints as they stand. */
#include "compiler/emit/emitter.h"

static bool is_int(const Expr *e) { return e->type != NULL && e->type->kind == TYPE_INT; }

static bool is_nil(Body *b, Expr *e) {
  Expr *literal = literal_of(b, e);
  return literal != NULL && literal->kind == EXPR_NIL;
}

/* ---- comparisons as jumps ---- */

/* `x op small`, jump if it is `when`. Only the form that jumps if true exists: what NaN makes of its opposite is
** another thing than false, so the other form jumps over a jump unless x is an int. */
static void jump_small(Body *b, Op op, uint8_t reg, int64_t small, bool when, bool exact,
                       Op opposite, Label *to) {
  if (when || exact) {
    jump_to(b, when ? op : opposite, reg, (uint32_t)small & 0xff, to);
    return;
  }
  Label over = {0};
  jump_to(b, op, reg, (uint32_t)small & 0xff, &over);
  jump_to(b, OP_JMP, 0, 0, to);
  label_here(b, &over);
}

static Op small_form(BinaryOp op) {
  switch (op) {
    case BIN_EQ: return OP_JEQI;
    case BIN_NE: return OP_JNEI;
    case BIN_LT: return OP_JLTI;
    case BIN_LE: return OP_JLEI;
    case BIN_GT: return OP_JGTI;
    default: return OP_JGEI;
  }
}

static BinaryOp opposite_of(BinaryOp op) {
  switch (op) {
    case BIN_EQ: return BIN_NE;
    case BIN_NE: return BIN_EQ;
    case BIN_LT: return BIN_GE;
    case BIN_LE: return BIN_GT;
    case BIN_GT: return BIN_LE;
    default: return BIN_LT;
  }
}

static BinaryOp turned(BinaryOp op) { /* a op b is b turned a */
  switch (op) {
    case BIN_LT: return BIN_GT;
    case BIN_LE: return BIN_GE;
    case BIN_GT: return BIN_LT;
    case BIN_GE: return BIN_LE;
    default: return op;
  }
}

static void compare_small(Body *b, BinaryOp op, Expr *e, int64_t small, bool when, Label *to) {
  uint16_t mark = b->next;
  uint8_t reg = expr_any(b, e, USE_BORROW);
  bool exact = op == BIN_EQ || op == BIN_NE || is_int(e);
  jump_small(b, small_form(op), reg, small, when, exact, small_form(opposite_of(op)), to);
  regs_release(b, mark);
}

static void compare_regs(Body *b, BinaryOp op, uint8_t l, uint8_t r, bool when, Label *to) {
  switch (op) {
    case BIN_EQ: jump_to(b, when ? OP_JEQ : OP_JNE, l, r, to); return;
    case BIN_NE: jump_to(b, when ? OP_JNE : OP_JEQ, l, r, to); return;
    case BIN_LT: jump_to(b, when ? OP_JLT : OP_JNLT, l, r, to); return;
    case BIN_LE: jump_to(b, when ? OP_JLE : OP_JNLE, l, r, to); return;
    case BIN_GT: jump_to(b, when ? OP_JLT : OP_JNLT, r, l, to); return;
    default: jump_to(b, when ? OP_JLE : OP_JNLE, r, l, to); return;
  }
}

static bool compare_nil(Body *b, Expr *e, bool when, Label *to) {
  bool equal = e->op == BIN_EQ;
  Expr *other = is_nil(b, e->right) ? e->left : is_nil(b, e->left) ? e->right : NULL;
  if (other == NULL || (!equal && e->op != BIN_NE)) return false;
  uint16_t mark = b->next;
  uint8_t reg = expr_any(b, other, USE_BORROW);
  jump_to(b, equal == when ? OP_JNIL : OP_JNOTNIL, reg, 0, to);
  regs_release(b, mark);
  return true;
}

static void compare_jump(Body *b, Expr *e, bool when, Label *to) {
  int64_t small;
  uint16_t mark = b->next;
  BinaryOp op = (BinaryOp)e->op;
  if (compare_nil(b, e, when, to)) return;
  if (literal_small(b, e->right, &small)) {
    compare_small(b, op, e->left, small, when, to);
  } else if (literal_small(b, e->left, &small)) {
    compare_small(b, turned(op), e->right, small, when, to);
  } else {
    uint8_t l = expr_any(b, e->left, USE_BORROW), r = expr_any(b, e->right, USE_BORROW);
    place_at(b, e->span);
    compare_regs(b, op, l, r, when, to);
  }
  regs_release(b, mark);
}

/* ---- conditions ---- */

static void jump_both(Body *b, Expr *e, bool when, Label *to) {
  bool short_value = e->op == BIN_OR; /* the value that settles it at the left */
  if (when == short_value) {
    cond_jump(b, e->left, when, to);
    cond_jump(b, e->right, when, to);
    return;
  }
  Label over = {0};
  cond_jump(b, e->left, short_value, &over);
  cond_jump(b, e->right, when, to);
  label_here(b, &over);
}

static void jump_bool(Body *b, Expr *e, bool when, Label *to) {
  uint16_t mark = b->next;
  uint8_t reg = expr_any(b, e, USE_BORROW);
  place_at(b, e->span);
  jump_to(b, when ? OP_JT : OP_JF, reg, 0, to);
  regs_release(b, mark);
}

static void jump_binary(Body *b, Expr *e, bool when, Label *to) {
  switch ((BinaryOp)e->op) {
    case BIN_AND: case BIN_OR: jump_both(b, e, when, to); return;
    case BIN_EQ:
    case BIN_NE:
    case BIN_LT:
    case BIN_LE:
    case BIN_GT:
    case BIN_GE:
      compare_jump(b, e, when, to);
      return;
    case BIN_NOT_IN:
    case BIN_IN:
    case BIN_ADD:
    case BIN_SUB:
    case BIN_MUL:
    case BIN_DIV:
    case BIN_IDIV:
    case BIN_MOD:
    case BIN_COALESCE: jump_bool(b, e, when, to); return;
  }
}

void cond_jump(Body *b, Expr *e, bool when, Label *to) {
  Expr *literal = literal_of(b, e);
  if (literal != NULL && literal->kind == EXPR_BOOL) {
    if (literal->boolean == when) jump_to(b, OP_JMP, 0, 0, to);
  } else if (e->kind == EXPR_UNARY && e->op == UNARY_NOT) {
    cond_jump(b, e->operand, !when, to);
  } else if (e->kind == EXPR_BINARY) {
    jump_binary(b, e, when, to);
  } else {
    jump_bool(b, e, when, to);
  }
}

/* A bool in target, by way of jumps. */
void cond_value(Body *b, Expr *e, uint8_t target) {
  Label no = {0}, end = {0};
  cond_jump(b, e, false, &no);
  emit(b, OP_LOADTRUE, target, 0, 0);
  jump_to(b, OP_JMP, 0, 0, &end);
  label_here(b, &no);
  emit(b, OP_LOADFALSE, target, 0, 0);
  label_here(b, &end);
}

/* ---- operators ---- */

void binary_regs(Body *b, BinaryOp op, uint8_t t, uint8_t l, uint8_t r) {
  switch (op) {
    case BIN_ADD: emit(b, OP_ADD, t, l, r); return;
    case BIN_SUB: emit(b, OP_SUB, t, l, r); return;
    case BIN_MUL: emit(b, OP_MUL, t, l, r); return;
    case BIN_DIV: emit(b, OP_DIV, t, l, r); return;
    case BIN_IDIV: emit(b, OP_IDIV, t, l, r); return;
    case BIN_MOD: emit(b, OP_MOD, t, l, r); return;
    case BIN_EQ: emit(b, OP_EQ, t, l, r); return;
    case BIN_NE: emit(b, OP_NE, t, l, r); return;
    case BIN_LT: emit(b, OP_LT, t, l, r); return;
    case BIN_LE: emit(b, OP_LE, t, l, r); return;
    case BIN_GT: emit(b, OP_LT, t, r, l); return;
    case BIN_GE: emit(b, OP_LE, t, r, l); return;
    case BIN_IN: emit(b, OP_IN, t, l, r); return;
    case BIN_NOT_IN:
      emit(b, OP_IN, t, l, r);
      emit(b, OP_NOT, t, t, 0);
      return;
    case BIN_AND: case BIN_OR: case BIN_COALESCE: return; /* they are jumps */
  }
}

/* The small int that x + e or x - e adds, if it is one. -0 is no +0 to a float. */
static bool added_small(Body *b, BinaryOp op, Expr *e, int64_t *small) {
  if (op != BIN_ADD && op != BIN_SUB) return false;
  if (!literal_small(b, e, small)) return false;
  if (op == BIN_ADD) return true;
  *small = -*small;
  return *small != 0 && *small <= INT8_MAX;
}

void binary_op(Body *b, BinaryOp op, uint8_t target, uint8_t left, Expr *right, Span span) {
  int64_t small;
  uint16_t mark = b->next;
  if (added_small(b, op, right, &small)) {
    place_at(b, span);
    emit(b, OP_ADDI, target, left, (uint32_t)small & 0xff);
    return;
  }
  uint8_t r = expr_any(b, right, USE_BORROW);
  place_at(b, span);
  binary_regs(b, op, target, left, r);
  regs_release(b, mark);
}

/* `a ?? b`: b is evaluated only if a is nil. */
static void coalesce_to(Body *b, Expr *e, uint8_t target) {
  uint16_t mark = b->next;
  Label nil = {0}, end = {0};
  uint8_t left = expr_any(b, e->left, USE_BORROW);
  jump_to(b, OP_JNIL, left, 0, &nil);
  move_value(b, target, left, e->left->type, USE_OWN);
  jump_to(b, OP_JMP, 0, 0, &end);
  regs_release(b, mark);
  label_here(b, &nil);
  expr_to(b, e->right, target, USE_OWN);
  label_here(b, &end);
}

static bool surely_number(const Expr *e) {
  return e->type != NULL && (e->type->kind == TYPE_INT || e->type->kind == TYPE_FLOAT);
}

void binary_to(Body *b, Expr *e, uint8_t target) {
  BinaryOp op = (BinaryOp)e->op;
  uint16_t mark = b->next;
  int64_t small;
  if (op == BIN_COALESCE) {
    coalesce_to(b, e, target);
  } else if (op == BIN_AND || op == BIN_OR) {
    cond_value(b, e, target);
  } else if (op == BIN_ADD && literal_small(b, e->left, &small) && surely_number(e->right)) {
    binary_op(b, op, target, expr_any(b, e->right, USE_BORROW), e->left, e->span);
    regs_release(b, mark);
  } else {
    uint8_t left = expr_any(b, e->left, USE_BORROW);
    binary_op(b, op, target, left, e->right, e->span);
    regs_release(b, mark);
  }
}
