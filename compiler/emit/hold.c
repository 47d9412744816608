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
    default: return false;
  }
}

int hold_find(const Body *b, const Expr *literal) {
  for (uint32_t i = 0; i < b->held_count; i++) {
    if (same_literal(b->held[i], literal)) return b->held_reg[i];
  }
  return -1;
}

static void hold(Body *b, Expr *literal) {
  bool kind = literal->kind == EXPR_INT || literal->kind == EXPR_FLOAT || literal->kind == EXPR_STRING ||
              literal->kind == EXPR_DECIMAL || literal->kind == EXPR_DURATION;
  if (!kind || b->held_count == COUNT_OF(b->held) || b->next > 200 || hold_find(b, literal) >= 0) return;
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

static void look(Body *b, Expr *e);

static void look_all(Body *b, Expr *e) {
  for (; e != NULL; e = e->next) look(b, e);
}

static void look_args(Body *b, Arg *arg) {
  for (; arg != NULL; arg = arg->next) {
    look(b, arg->key);
    look(b, arg->value);
  }
}

static void look_binary(Body *b, Expr *e) {
  if (literal_of(b, e) != NULL) return;
  if (e->op != BIN_AND && e->op != BIN_OR && e->op != BIN_COALESCE) {
    hold_operand(b, e->left, (BinaryOp)e->op, false);
    hold_operand(b, e->right, (BinaryOp)e->op, true);
  }
  look(b, e->left);
  look(b, e->right);
}

static void look_index(Body *b, Expr *e) {
  Expr *literal = literal_of(b, e->right);
  if (literal != NULL) hold(b, literal);
  else look(b, e->right);
  look(b, e->left);
}

static void look(Body *b, Expr *e) {
  if (e == NULL) return;
  switch (e->kind) {
    case EXPR_NIL: case EXPR_BOOL: case EXPR_INT: case EXPR_FLOAT: case EXPR_DECIMAL: case EXPR_STRING:
    case EXPR_DURATION: case EXPR_NAME: case EXPR_LAMBDA: case EXPR_RACE: case EXPR_PARALLEL_FOR:
    case EXPR_BAD: return;
    case EXPR_INTERP: case EXPR_LIST: look_all(b, e->first); return;
    case EXPR_MEMBER: look(b, e->left); return;
    case EXPR_INDEX: look_index(b, e); return;
    case EXPR_SLICE:
      look(b, e->left);
      look(b, e->low);
      look(b, e->high);
      return;
    case EXPR_CALL:
      look(b, e->left);
      look_args(b, e->args);
      return;
    case EXPR_MAP: look_args(b, e->args); return;
    case EXPR_SPREAD: case EXPR_UNARY: case EXPR_TRY: case EXPR_START: look(b, e->operand); return;
    case EXPR_BINARY: look_binary(b, e); return;
    case EXPR_AWAIT: return;
    case EXPR_COMPREHENSION:
      look(b, e->iter);
      look(b, e->cond);
      look(b, e->operand);
      return;
  }
}

static void look_arms(Body *b, Arm *arm);

static void look_block(Body *b, Stmt *s) {
  for (; s != NULL && b->held_count < COUNT_OF(b->held); s = s->next) {
    if (s->kind == STMT_PARALLEL) continue;
    if (s->kind == STMT_ASSIGN && s->op > 0) hold_operand(b, s->value, (BinaryOp)(s->op - 1), true);
    look(b, s->target);
    look(b, s->value);
    look(b, s->cond);
    look_block(b, s->body);
    look_block(b, s->otherwise);
    look_arms(b, s->arms);
  }
}

static void look_arms(Body *b, Arm *arm) {
  for (; arm != NULL; arm = arm->next) {
    look(b, arm->guard);
    look_block(b, arm->body);
  }
}

uint32_t hold_begin(Body *b, Expr *cond, Stmt *body) {
  if (b->dead || b->loop != NULL || b->held_count > 0) return 0;
  look(b, cond);
  look_block(b, body);
  return b->held_count;
}

void hold_end(Body *b, uint32_t count) {
  if (count == 0) return;
  for (uint32_t i = 0; i < b->held_count; i++) b->is_var[b->held_reg[i]] = false;
  b->held_count = 0;
}
