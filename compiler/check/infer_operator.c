/* Operators: which kinds they work on and what they give. A union is tried member
** by member; only where no combination works is it an error. */
#include "compiler/check/checker.h"

static const char *const binary_words[] = {
    [BIN_ADD] = "+",      [BIN_SUB] = "-",         [BIN_MUL] = "*",   [BIN_DIV] = "/",
    [BIN_IDIV] = "//",    [BIN_MOD] = "%",         [BIN_EQ] = "is",   [BIN_NE] = "is not",
    [BIN_LT] = "<",       [BIN_LE] = "<=",         [BIN_GT] = ">",    [BIN_GE] = ">=",
    [BIN_IN] = "in",      [BIN_NOT_IN] = "not in", [BIN_AND] = "and", [BIN_OR] = "or",
    [BIN_COALESCE] = "??"};

static bool kind_is_number(TypeKind k) {
  return k == TYPE_INT || k == TYPE_FLOAT || k == TYPE_DECIMAL;
}

static TypeKind plain_kind(const Type *t) {
  if (t->kind != TYPE_LITERAL) return t->kind;
  return t->literal->kind == EXPR_STRING ? TYPE_STRING
         : t->literal->kind == EXPR_BOOL ? TYPE_BOOL
                                         : TYPE_INT;
}

static Type *number_result(Checker *c, BinaryOp op, TypeKind a, TypeKind b) {
  if (a == TYPE_DECIMAL || b == TYPE_DECIMAL)
    return a == TYPE_FLOAT || b == TYPE_FLOAT ? NULL : c->t_decimal;
  if (op == BIN_DIV || a == TYPE_FLOAT || b == TYPE_FLOAT) return c->t_float;
  return c->t_int;
}

static Type *duration_result(Checker *c, BinaryOp op, TypeKind a, TypeKind b) {
  bool both = a == TYPE_DURATION && b == TYPE_DURATION;
  bool add = op == BIN_ADD || op == BIN_SUB;
  if (both && (add || op == BIN_MOD)) return c->t_duration;
  if (both && op == BIN_DIV) return c->t_float;
  if (both && op == BIN_IDIV) return c->t_int;
  if (a == TYPE_TIME && b == TYPE_DURATION && add) return c->t_time;
  if (a == TYPE_DURATION && b == TYPE_TIME && op == BIN_ADD) return c->t_time;
  if (a == TYPE_TIME && b == TYPE_TIME && op == BIN_SUB) return c->t_duration;
  if (a == TYPE_DURATION && kind_is_number(b) && (op == BIN_MUL || op == BIN_DIV || op == BIN_IDIV))
    return c->t_duration;
  return b == TYPE_DURATION && kind_is_number(a) && op == BIN_MUL ? c->t_duration : NULL;
}

/* Of two simple types; NULL where the operator faults for sure. */
static Type *arithmetic_pair(Checker *c, BinaryOp op, Type *ta, Type *tb) {
  TypeKind a = plain_kind(ta), b = plain_kind(tb);
  if (a == TYPE_ANY || b == TYPE_ANY) return c->t_any;
  if (kind_is_number(a) && kind_is_number(b)) return number_result(c, op, a, b);
  if (a == TYPE_DURATION || b == TYPE_DURATION || a == TYPE_TIME)
    return duration_result(c, op, a, b);
  if (op != BIN_ADD) return NULL;
  if (a == TYPE_STRING && b == TYPE_STRING) return c->t_string;
  if (a == TYPE_BYTES && b == TYPE_BYTES) return c->t_bytes;
  if (a == TYPE_LIST && b == TYPE_LIST)
    return type_list(c->types, type_join(c->types, ta->elem, tb->elem));
  return NULL;
}

static uint32_t member_count(const Type *t) { return t->kind == TYPE_UNION ? t->member_count : 1; }
static Type *member_at(Type *t, uint32_t i) { return t->kind == TYPE_UNION ? t->members[i] : t; }

static Type *arithmetic_type(Checker *c, BinaryOp op, Type *a, Type *b) {
  if (a->kind != TYPE_UNION && b->kind != TYPE_UNION) return arithmetic_pair(c, op, a, b);
  Type *joined = NULL;
  for (uint32_t i = 0; i < member_count(a); i++) {
    for (uint32_t j = 0; j < member_count(b); j++) {
      joined =
          type_join(c->types, joined, arithmetic_pair(c, op, member_at(a, i), member_at(b, j)));
    }
  }
  return joined;
}

static void report_arithmetic(Checker *c, BinaryOp op, Type *a, Type *b, Expr *left, Expr *right,
                              Span span) {
  TypeKind ka = plain_kind(a), kb = plain_kind(b);
  if ((left && left->kind == EXPR_BAD) || (right && right->kind == EXPR_BAD)) return;
  if ((ka == TYPE_DECIMAL && kb == TYPE_FLOAT) || (ka == TYPE_FLOAT && kb == TYPE_DECIMAL)) {
    Diag *diag = REPORT(c, DECIMAL_FLOAT, span, str_of(binary_words[op]));
    report_help(c, diag,
                "write the float as a decimal (0.5d), or convert one side: decimal(x), float(x)");
  } else if (op == BIN_ADD && (ka == TYPE_STRING) != (kb == TYPE_STRING)) {
    Diag *diag = REPORT(c, TEXT_PLUS, span, type_phrase(c, ka == TYPE_STRING ? b : a));
    report_help(c, diag, "put it into the text with \"… ${x}\", or convert it with str(x)");
  } else {
    Diag *diag = REPORT(c, OPERATOR_TYPES, span, str_of(binary_words[op]), type_phrase(c, a),
                        type_phrase(c, b));
    if (type_may_be_nil(a) || type_may_be_nil(b))
      report_help(c, diag, "give nil a value first: x ?? 0");
  }
}

static void zero_check(Checker *c, BinaryOp op, const Type *a, const Expr *right) {
  bool divides = op == BIN_DIV || op == BIN_IDIV || op == BIN_MOD;
  if (!divides || !right || right->kind != EXPR_INT || right->integer != 0) return;
  if (plain_kind(a) == TYPE_INT || plain_kind(a) == TYPE_DECIMAL)
    REPORT0(c, DIVIDE_BY_ZERO, right->span);
}

/* ---- comparing ---- */

static bool pair_ordered(TypeKind a, TypeKind b) {
  if (a == TYPE_ANY || b == TYPE_ANY) return true;
  if (kind_is_number(a) && kind_is_number(b)) return true;
  if (a != b) return false;
  return a == TYPE_STRING || a == TYPE_TIME || a == TYPE_DURATION || a == TYPE_BYTES ||
         a == TYPE_LIST || a == TYPE_BOOL;
}

static void order_check(Checker *c, BinaryOp op, Type *a, Type *b, Span span) {
  for (uint32_t i = 0; i < member_count(a); i++) {
    for (uint32_t j = 0; j < member_count(b); j++) {
      if (pair_ordered(plain_kind(member_at(a, i)), plain_kind(member_at(b, j)))) return;
    }
  }
  REPORT(c, NOT_ORDERED, span, str_of(binary_words[op]), type_phrase(c, a), type_phrase(c, b));
}

static bool pair_may_equal(Type *a, Type *b) {
  TypeKind ka = plain_kind(a), kb = plain_kind(b);
  if (kind_is_number(ka) && kind_is_number(kb)) return true;
  bool shapes = (ka == TYPE_OBJECT && (kb == TYPE_MAP || kb == TYPE_RECORD)) ||
                (kb == TYPE_OBJECT && (ka == TYPE_MAP || ka == TYPE_RECORD));
  if (shapes || (ka == kb && (ka == TYPE_OBJECT || ka == TYPE_LIST || ka == TYPE_MAP))) return true;
  return type_fit(a, b) != FIT_NO || type_fit(b, a) != FIT_NO;
}

static void equal_check(Checker *c, Expr *e, Type *a, Type *b) {
  if (a->kind == TYPE_SEALED || b->kind == TYPE_SEALED) {
    Expr *other = a->kind == TYPE_SEALED ? e->right : e->left;
    if (other->kind != EXPR_NIL) REPORT0(c, SEALED_COMPARED, e->span);
    return;
  }
  for (uint32_t i = 0; i < member_count(a); i++) {
    for (uint32_t j = 0; j < member_count(b); j++) {
      if (pair_may_equal(member_at(a, i), member_at(b, j))) return;
    }
  }
  REPORT(c, COMPARISON_CONSTANT, e->span, type_phrase(c, a), type_phrase(c, b),
         e->op == BIN_EQ ? STR("false") : STR("true"));
}

static void same_name_check(Checker *c, const Expr *e) {
  const Expr *l = e->left, *r = e->right;
  if (l->kind != EXPR_NAME || r->kind != EXPR_NAME || !l->symbol || l->symbol != r->symbol) return;
  if (l->symbol->kind != SYMBOL_VARIABLE || l->type == c->t_float || l->type == c->t_any)
    return; /* nan */
  bool truth = e->op == BIN_EQ || e->op == BIN_LE || e->op == BIN_GE;
  REPORT(c, COMPARED_WITH_ITSELF, e->span, l->name->text, truth ? STR("true") : STR("false"));
}

static void in_check(Checker *c, Expr *e, Type *a, Type *b) {
  if (e->right->kind == EXPR_BAD) return;
  if (b->kind == TYPE_STRING && type_fit(a, c->t_string) == FIT_NO && a->kind != TYPE_SEALED) {
    REPORT(c, IN_TEXT, e->left->span, type_phrase(c, a));
    return;
  }
  for (uint32_t i = 0; i < member_count(b); i++) {
    TypeKind k = plain_kind(member_at(b, i));
    if (k == TYPE_ANY || k == TYPE_LIST || k == TYPE_MAP || k == TYPE_STRING || k == TYPE_OBJECT ||
        k == TYPE_RECORD || k == TYPE_BYTES)
      return;
  }
  REPORT(c, IN_TYPE, e->right->span, type_phrase(c, b));
}

/* ---- and, or, ?? ---- */

static Type *logic_infer(Checker *c, Expr *e) {
  condition_check(c, e->left);
  Level level = flow_open(c);
  narrow_condition(c, e->left, e->op == BIN_AND);
  condition_check(c, e->right);
  flow_drop(c, level);
  return c->t_bool;
}

static Type *coalesce_infer(Checker *c, Expr *e) {
  Type *left = expr_infer(c, e->left, NULL);
  Type *right = expr_infer(c, e->right, NULL);
  if (left->kind == TYPE_NIL) return right;
  if (left->kind != TYPE_ANY && !type_may_be_nil(left) && e->left->kind != EXPR_BAD) {
    REPORT(c, NEVER_NIL, e->left->span, type_phrase(c, left), STR("??"));
  }
  return type_join(c->types, type_without_nil(c, left), right);
}

Type *binary_type(Checker *c, BinaryOp op, Type *a, Type *b, Expr *left, Expr *right, Span span) {
  Type *type = arithmetic_type(c, op, a, b);
  if (type) {
    zero_check(c, op, a, right);
    return type;
  }
  report_arithmetic(c, op, a, b, left, right, span);
  return c->t_any;
}

static Type *binary_infer(Checker *c, Expr *e) {
  if (e->op == BIN_AND || e->op == BIN_OR) return logic_infer(c, e);
  if (e->op == BIN_COALESCE) return coalesce_infer(c, e);
  Type *a = expr_infer(c, e->left, NULL);
  Type *b = expr_infer(c, e->right, e->op == BIN_EQ || e->op == BIN_NE ? a : NULL);
  if (e->op <= BIN_MOD) return binary_type(c, (BinaryOp)e->op, a, b, e->left, e->right, e->span);
  if (e->op == BIN_EQ || e->op == BIN_NE) equal_check(c, e, a, b);
  else if (e->op == BIN_IN || e->op == BIN_NOT_IN) in_check(c, e, a, b);
  else if (a->kind == TYPE_SEALED || b->kind == TYPE_SEALED) REPORT0(c, SEALED_COMPARED, e->span);
  else order_check(c, (BinaryOp)e->op, a, b, e->span);
  if (e->op <= BIN_GE) same_name_check(c, e);
  return c->t_bool;
}

static Type *negate_infer(Checker *c, Expr *e) {
  Type *type = expr_infer(c, e->operand, NULL);
  bool fits = false;
  for (uint32_t i = 0; i < member_count(type); i++) {
    TypeKind k = plain_kind(member_at(type, i));
    fits = fits || k == TYPE_ANY || kind_is_number(k) || k == TYPE_DURATION;
  }
  if (!fits && e->operand->kind != EXPR_BAD)
    REPORT(c, NEGATE_TYPE, e->operand->span, type_phrase(c, type));
  if (type->kind == TYPE_LITERAL) return c->t_int;
  return fits && type->kind != TYPE_UNION ? type : c->t_any;
}

Type *operator_infer(Checker *c, Expr *e) {
  if (e->kind == EXPR_BINARY) return binary_infer(c, e);
  if (e->op == UNARY_NEG) return negate_infer(c, e);
  condition_check(c, e->operand);
  return c->t_bool;
}
