/* The tree's own shape, for those who only look for something in it. Bodies of
** lambdas, branches and parallel for are functions of their own and not entered. */
#include "compiler/emit/emitter.h"

static void see_one(Expr *e, PartFn *see, void *context) {
  if (e != NULL) see(e, context);
}

static void see_args(Arg *arg, PartFn *see, void *context) {
  for (; arg != NULL; arg = arg->next) {
    see_one(arg->key, see, context);
    see_one(arg->value, see, context);
  }
}

void expr_parts(Expr *e, PartFn *see, void *context) {
  switch (e->kind) {
    case EXPR_NIL:
    case EXPR_BOOL:
    case EXPR_INT:
    case EXPR_FLOAT:
    case EXPR_DECIMAL:
    case EXPR_STRING:
    case EXPR_DURATION: case EXPR_NAME: case EXPR_LAMBDA: case EXPR_RACE: case EXPR_BAD: return;
    case EXPR_INTERP:
    case EXPR_LIST:
    case EXPR_MEMBER:
    case EXPR_INDEX:
    case EXPR_SLICE:
    case EXPR_CALL:
    case EXPR_MAP:
    case EXPR_SPREAD:
    case EXPR_UNARY:
    case EXPR_BINARY:
    case EXPR_COMPREHENSION:
    case EXPR_TRY:
    case EXPR_AWAIT: case EXPR_START: case EXPR_PARALLEL_FOR: case EXPR_APPROVE: case EXPR_FIT: break;
    case EXPR_DISPATCH:
    case EXPR_ENQUEUE: /* the options are in `right`, of the same Args */
      see_one(e->operand, see, context);
      see_one(e->right, see, context);
      see_one(e->because, see, context);
      return;
  }
  see_one(e->left, see, context);
  see_one(e->right, see, context);
  see_one(e->low, see, context);
  see_one(e->high, see, context);
  see_one(e->iter, see, context);
  see_one(e->cond, see, context);
  see_one(e->operand, see, context);
  for (Expr *item = e->first; item != NULL; item = item->next) see(item, context);
  see_args(e->args, see, context);
  see_one(e->because, see, context);
}

static void see_arms(Arm *arm, PartFn *see, void *context) {
  for (; arm != NULL; arm = arm->next) {
    see_one(arm->guard, see, context);
    block_parts(arm->body, see, context);
  }
}

void block_parts(Stmt *s, PartFn *see, void *context) {
  for (; s != NULL; s = s->next) {
    if (s->kind == STMT_PARALLEL) continue;
    see_one(s->target, see, context);
    see_one(s->value, see, context);
    see_one(s->cond, see, context);
    see_one(s->because, see, context);
    see_args(s->args, see, context);
    block_parts(s->body, see, context);
    block_parts(s->otherwise, see, context);
    block_parts(s->final, see, context);
    see_arms(s->arms, see, context);
  }
}
