/* Literals held in registers. A loop that multiplies by 0.5 need not load it each
** time round: at the outermost loop the literals that stand as operands inside it
** are loaded once, into registers that are then only read. */
#include "compiler/emit/emitter.h"

static bool same_literal(const Expr *a, const Expr *b) {
  if (a->kind != b->kind) return false;
  switch (a->kind) {
    case EXPR_INT:
    case EXPR_DURATION: return a->integer == b->integer;
    case EXPR_FLOAT: return memcmp(&a->number, &b->number, sizeof a->number) == 0;
    case EXPR_STRING:
    case EXPR_DECIMAL: return str_equal(a->text, b->text);
    case EXPR_BOOL: return a->boolean == b->boolean;
    default: return a->kind == EXPR_NIL;
  }
}

int hold_find(const Body *b, const Expr *literal) {
  for (uint32_t i = 0; i < b->held_count; i++) {
    if (same_literal(b->held[i], literal)) return b->held_reg[i];
  }
  return -1;
}

static void hold(Body *b, Expr *literal) {
  if (b->held_count == COUNT_OF(b->held) || b->next > 200 || hold_find(b, literal) >= 0) return;
  uint8_t reg = reg_take(b);
  expr_to(b, literal, reg, USE_BORROW);
  b->is_var[reg] = true;
  b->held[b->held_count] = literal;
  b->held_reg[b->held_count++] = reg;
}

/* Small ints that the instruction itself can hold need no register. */
static bool immediate(const Expr *literal, BinaryOp op, bool right) {
  if (literal->kind != EXPR_INT || literal->integer < -127 || literal->integer > 127) return false;
  bool comparison = op >= BIN_EQ && op <= BIN_GE;
  return comparison || op == BIN_ADD || (op == BIN_SUB && right);
}

static void hold_operand(Body *b, Expr *e, BinaryOp op, bool right) {
  Expr *literal = literal_of(b, e);
  if (literal != NULL && !immediate(literal, op, right)) hold(b, literal);
}

static void look(Expr *e, void *context) {
  Body *b = context;
  bool operator=
      e->kind == EXPR_BINARY && e->op != BIN_AND && e->op != BIN_OR && e->op != BIN_COALESCE;
  if (operator) {
    if (literal_of(b, e) != NULL) return;
    hold_operand(b, e->left, (BinaryOp)e->op, false);
    hold_operand(b, e->right, (BinaryOp)e->op, true);
  } else if (e->kind == EXPR_INDEX) {
    Expr *key = literal_of(b, e->right);
    if (key != NULL) hold(b, key);
  }
  expr_parts(e, look, context);
}

/* The operands of `x *= 2` and its kin, which stand in no expression, and what is stored: `xs[i] =
 * false`. */
static void look_updates(Body *b, Stmt *s) {
  for (; s != NULL; s = s->next) {
    bool part =
        s->kind == STMT_ASSIGN && (s->target->kind == EXPR_INDEX || s->target->kind == EXPR_MEMBER);
    Expr *stored = part && s->op == 0 ? literal_of(b, s->value) : NULL;
    if (stored != NULL) hold(b, stored);
    if (s->kind == STMT_ASSIGN && s->op > 0) hold_operand(b, s->value, (BinaryOp)(s->op - 1), true);
    look_updates(b, s->body);
    look_updates(b, s->otherwise);
  }
}

uint32_t hold_begin(Body *b, Expr *cond, Stmt *body) {
  if (b->dead || b->loop != NULL || b->held_count > 0) return 0;
  if (cond != NULL) look(cond, b);
  block_parts(body, look, b);
  look_updates(b, body);
  return b->held_count;
}

void hold_end(Body *b, uint32_t count) {
  if (count == 0) return;
  for (uint32_t i = 0; i < b->held_count; i++) b->is_var[b->held_reg[i]] = false;
  b->held_count = 0;
}
