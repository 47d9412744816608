/* What is known before the program runs: literals, and what an expression may change. */
#include "compiler/emit/emitter.h"

/* ---- literals ---- */

static Expr *literal_new(Body *b, const Expr *like, ExprKind kind) {
  Expr *e = ARENA_NEW(b->e->arena, Expr);
  e->kind = kind;
  e->span = like->span;
  e->type = like->type;
  return e;
}

/* Sums that overflow are not folded: they fault when they run. */
static Expr *fold_int(Body *b, const Expr *e, int64_t i) {
  Expr *folded = literal_new(b, e, EXPR_INT);
  folded->integer = i;
  return folded;
}

static Expr *fold_float(Body *b, const Expr *e, double f) {
  Expr *folded = literal_new(b, e, EXPR_FLOAT);
  folded->number = f;
  return folded;
}

static Expr *fold_text(Body *b, const Expr *e, Str left, Str right) {
  if (left.size + right.size > 4096) return NULL;
  char *bytes = arena_alloc(b->e->arena, left.size + right.size + 1);
  memcpy(bytes, left.at != NULL ? left.at : "", left.size);
  memcpy(bytes + left.size, right.at != NULL ? right.at : "", right.size);
  Expr *folded = literal_new(b, e, EXPR_STRING);
  folded->text = (Str){bytes, left.size + right.size};
  return folded;
}

static Expr *fold_binary(Body *b, const Expr *e, const Expr *left, const Expr *right) {
  int64_t i = 0;
  if (left->kind != right->kind) return NULL;
  if (left->kind == EXPR_STRING && e->op == BIN_ADD)
    return fold_text(b, e, left->text, right->text);
  if (left->kind == EXPR_INT) {
    if (e->op == BIN_ADD)
      return __builtin_add_overflow(left->integer, right->integer, &i) ? NULL : fold_int(b, e, i);
    if (e->op == BIN_SUB)
      return __builtin_sub_overflow(left->integer, right->integer, &i) ? NULL : fold_int(b, e, i);
    if (e->op == BIN_MUL)
      return __builtin_mul_overflow(left->integer, right->integer, &i) ? NULL : fold_int(b, e, i);
  }
  if (left->kind == EXPR_FLOAT) {
    if (e->op == BIN_ADD) return fold_float(b, e, left->number + right->number);
    if (e->op == BIN_SUB) return fold_float(b, e, left->number - right->number);
    if (e->op == BIN_MUL) return fold_float(b, e, left->number * right->number);
  }
  return NULL;
}

static Expr *fold_minus(Body *b, const Expr *e, const Expr *operand) {
  if (operand->kind == EXPR_INT && operand->integer != INT64_MIN)
    return fold_int(b, e, -operand->integer);
  return operand->kind == EXPR_FLOAT ? fold_float(b, e, -operand->number) : NULL;
}

static bool is_literal(const Expr *e) {
  switch (e->kind) {
    case EXPR_NIL:
    case EXPR_BOOL:
    case EXPR_INT:
    case EXPR_FLOAT:
    case EXPR_DECIMAL:
    case EXPR_STRING:
    case EXPR_DURATION: return true;
    default: return false;
  }
}

/* The depth keeps a long chain of operators from being walked again at each of them. */
static Expr *literal_within(Body *b, Expr *e, int depth) {
  if (is_literal(e)) return e;
  if (e->kind == EXPR_NAME || (e->kind == EXPR_MEMBER && e->resolution == MEMBER_SYMBOL)) {
    Symbol *s = e->symbol;
    return s != NULL && s->kind == SYMBOL_CONST && s->constant != NULL && is_literal(s->constant)
               ? s->constant
               : NULL;
  }
  if (depth == 0) return NULL;
  if (e->kind == EXPR_UNARY && e->op == UNARY_NEG) {
    Expr *operand = literal_within(b, e->operand, depth - 1);
    return operand != NULL ? fold_minus(b, e, operand) : NULL;
  }
  if (e->kind != EXPR_BINARY || (e->op != BIN_ADD && e->op != BIN_SUB && e->op != BIN_MUL))
    return NULL;
  Expr *right = literal_within(b, e->right, depth - 1);
  Expr *left = right != NULL ? literal_within(b, e->left, depth - 1) : NULL;
  return left != NULL ? fold_binary(b, e, left, right) : NULL;
}

Expr *literal_of(Body *b, Expr *e) { return literal_within(b, e, 3); }

bool literal_small(Body *b, Expr *e, int64_t *i) {
  Expr *literal = literal_of(b, e);
  if (literal == NULL || literal->kind != EXPR_INT) return false;
  *i = literal->integer;
  return *i >= INT8_MIN && *i <= INT8_MAX;
}

/* ---- natives ---- */

const Symbol *native_symbol(const Expr *call) {
  bool native = call->kind == EXPR_CALL &&
                (call->resolution == CALL_NATIVE || call->resolution == CALL_NATIVE_METHOD);
  return native ? call->symbol : NULL;
}

/* Whether what the native gives is new, and no part or twin of another value: so says the type of its result. What a
** native that removes gives has left its container. */
bool native_gives_own(Emitter *e, NativeId native) {
  if (e->native_keeps[native] == 0) {
    const NativeInfo *info = &native_info[native];
    const char *arrow = strstr(info->signature, "-> ");
    bool part = arrow == NULL || strncmp(arrow + 3, "any", 3) == 0;
    e->native_keeps[native] = part && !(info->flags & NATIVE_CHANGES) ? 2 : 1;
  }
  return e->native_keeps[native] == 1;
}

bool method_may_change(const Name *name) {
  for (uint32_t i = 0; i < (uint32_t)NATIVE_COUNT; i++) {
    const NativeInfo *info = &native_info[i];
    if ((info->flags & NATIVE_CHANGES) && str_equal(str_of(info->name), name->text)) return true;
  }
  return false;
}

/* ---- changes ---- */

const Expr *call_changes(const Expr *e) {
  const Symbol *native = native_symbol(e);
  if (native != NULL) {
    if (!(native_info[native->native].flags & NATIVE_CHANGES)) return NULL;
    if (e->resolution == CALL_NATIVE_METHOD) return e->left->left;
    return e->args != NULL ? e->args->value : NULL;
  }
  bool method = e->resolution == CALL_METHOD && e->left->kind == EXPR_MEMBER &&
                method_may_change(e->left->name);
  return method ? e->left->left : NULL;
}

static void look(Expr *e, void *context) {
  bool *found = context;
  if (*found) return;
  if (e->kind == EXPR_CALL && call_changes(e) != NULL) *found = true;
  else expr_parts(e, look, context);
}

bool expr_changes(Expr *e) {
  bool found = false;
  if (e != NULL) look(e, &found);
  return found;
}

void careful_begin(Body *b, Expr *root, Expr *other) {
  b->careful = false;
  if (b->careless) return;
  if (root != NULL) expr_parts(root, look, &b->careful);
  if (!b->careful) b->careful = expr_changes(other);
}
