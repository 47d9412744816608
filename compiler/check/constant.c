/* Constant expressions, folded to literals: numbers, text, lists and maps of them,
** other constants, operators, and the makers of durations. */
#include "compiler/check/checker.h"
#include "vm/base/text.h"

enum { CONST_DEPTH_MAX = 300 };

bool literal_equal(const Expr *a, const Expr *b) {
  if (!a || !b || a->kind != b->kind) return false;
  switch (a->kind) {
    case EXPR_NIL:
      return true;
    case EXPR_BOOL:
      return a->boolean == b->boolean;
    case EXPR_INT:
    case EXPR_DURATION:
      return a->integer == b->integer;
    case EXPR_FLOAT:
      return a->number == b->number;
    case EXPR_STRING:
    case EXPR_DECIMAL:
      return str_equal(a->text, b->text);
    default:
      return false;
  }
}

typedef struct Fold {
  Checker *c;
  DiagId id;
  bool quiet; /* what is no constant is no error */
} Fold;

static Expr *fold(Fold *f, Expr *e);

static Expr *make(Fold *f, const Expr *at, ExprKind kind, Type *type) {
  Expr *e = ARENA_NEW(f->c->arena, Expr);
  e->kind = kind;
  e->span = at->span;
  e->type = type;
  return e;
}

static Expr *make_int(Fold *f, const Expr *at, ExprKind kind, int64_t i) {
  Expr *e = make(f, at, kind, kind == EXPR_INT ? f->c->t_int : f->c->t_duration);
  e->integer = i;
  return e;
}

static Expr *make_float(Fold *f, const Expr *at, double d) {
  Expr *e = make(f, at, EXPR_FLOAT, f->c->t_float);
  e->number = d;
  return e;
}

static Expr *make_bool(Fold *f, const Expr *at, bool b) {
  Expr *e = make(f, at, EXPR_BOOL, f->c->t_bool);
  e->boolean = b;
  return e;
}

static Expr *make_text(Fold *f, const Expr *at, ExprKind kind, Buf *buf) {
  Expr *e = make(f, at, kind, kind == EXPR_STRING ? f->c->t_string : f->c->t_decimal);
  e->text = arena_str(f->c->arena, buf_view(buf));
  buf_deinit(buf);
  return e;
}

static Expr *refuse(Fold *f, const Expr *e) {
  if (e->kind != EXPR_BAD && !f->quiet) checker_report(f->c, f->id, e->span, 0, NULL);
  return NULL;
}

static Expr *overflow(Fold *f, const Expr *e) {
  if (!f->quiet) REPORT(f->c, INT_OVERFLOW, e->span, source_text(f->c, e->span));
  return NULL;
}

/* ---- operators ---- */

static bool int_operator(BinaryOp op, int64_t a, int64_t b, int64_t *out) {
  switch (op) {
    case BIN_ADD:
      return !__builtin_add_overflow(a, b, out);
    case BIN_SUB:
      return !__builtin_sub_overflow(a, b, out);
    case BIN_MUL:
      return !__builtin_mul_overflow(a, b, out);
    case BIN_IDIV:
      if (a == INT64_MIN && b == -1) return false;
      *out = a / b - ((a % b != 0) && ((a < 0) != (b < 0)));
      return true;
    case BIN_MOD:
      *out = b == -1 ? 0 : a % b;
      if (*out != 0 && ((*out < 0) != (b < 0))) *out += b;
      return true;
    default:
      return false;
  }
}

static Expr *fold_ints(Fold *f, const Expr *e, int64_t a, int64_t b) {
  int64_t out = 0;
  if (b == 0 && (e->op == BIN_DIV || e->op == BIN_IDIV || e->op == BIN_MOD)) return refuse(f, e);
  if (e->op == BIN_DIV) return make_float(f, e, (double)a / (double)b);
  return int_operator((BinaryOp)e->op, a, b, &out) ? make_int(f, e, EXPR_INT, out) : overflow(f, e);
}

static Expr *fold_floats(Fold *f, const Expr *e, double a, double b) {
  switch (e->op) {
    case BIN_ADD:
      return make_float(f, e, a + b);
    case BIN_SUB:
      return make_float(f, e, a - b);
    case BIN_MUL:
      return make_float(f, e, a * b);
    case BIN_DIV:
      return b == 0 ? refuse(f, e) : make_float(f, e, a / b);
    default:
      return refuse(f, e);
  }
}

static Expr *fold_decimals(Fold *f, const Expr *e, Decimal a, Decimal b) {
  Decimal out;
  bool good = false;
  Buf text = {0};
  if (e->op == BIN_ADD) good = decimal_add(a, b, &out);
  else if (e->op == BIN_SUB) good = decimal_sub(a, b, &out);
  else if (e->op == BIN_MUL) good = decimal_mul(a, b, &out);
  else if (e->op == BIN_DIV) good = decimal_div(a, b, &out);
  if (!good) return refuse(f, e);
  decimal_print(out, &text);
  return make_text(f, e, EXPR_DECIMAL, &text);
}

static double as_float(const Expr *e) {
  return e->kind == EXPR_INT ? (double)e->integer : e->number;
}

static bool as_decimal(const Expr *e, Decimal *out) {
  if (e->kind == EXPR_DECIMAL) return decimal_parse(e->text, out);
  *out = decimal_from_int(e->integer);
  return e->kind == EXPR_INT;
}

static bool is_number(const Expr *e) { return e->kind == EXPR_INT || e->kind == EXPR_FLOAT; }

static Expr *fold_durations(Fold *f, const Expr *e, const Expr *a, const Expr *b) {
  int64_t out = 0;
  bool both = a->kind == EXPR_DURATION && b->kind == EXPR_DURATION;
  bool add = e->op == BIN_ADD || e->op == BIN_SUB, times = e->op == BIN_MUL && a->kind != b->kind;
  bool part =
      e->op == BIN_IDIV && a->kind == EXPR_DURATION && b->kind == EXPR_INT && b->integer != 0;
  bool ints = (a->kind == EXPR_INT || a->kind == EXPR_DURATION) &&
              (b->kind == EXPR_INT || b->kind == EXPR_DURATION);
  if (!((both && add) || (ints && times) || part)) return refuse(f, e);
  if (!int_operator((BinaryOp)e->op, a->integer, b->integer, &out)) return overflow(f, e);
  return make_int(f, e, EXPR_DURATION, out);
}

static Expr *fold_joined(Fold *f, const Expr *e, const Expr *a, const Expr *b) {
  Buf text = {0};
  if (e->op != BIN_ADD) return refuse(f, e);
  buf_str(&text, a->text);
  buf_str(&text, b->text);
  return make_text(f, e, EXPR_STRING, &text);
}

static Expr *fold_binary(Fold *f, Expr *e) {
  Expr *a = fold(f, e->left), *b = a ? fold(f, e->right) : NULL;
  Decimal x, y;
  if (!a || !b) return NULL;
  if (a->kind == EXPR_BOOL && b->kind == EXPR_BOOL && (e->op == BIN_AND || e->op == BIN_OR)) {
    return make_bool(f, e, e->op == BIN_AND ? a->boolean && b->boolean : a->boolean || b->boolean);
  }
  if (e->op > BIN_MOD) return refuse(f, e);
  if (a->kind == EXPR_INT && b->kind == EXPR_INT) return fold_ints(f, e, a->integer, b->integer);
  if (is_number(a) && is_number(b)) return fold_floats(f, e, as_float(a), as_float(b));
  if (a->kind == EXPR_STRING && b->kind == EXPR_STRING) return fold_joined(f, e, a, b);
  if (a->kind == EXPR_DURATION || b->kind == EXPR_DURATION) return fold_durations(f, e, a, b);
  return as_decimal(a, &x) && as_decimal(b, &y) ? fold_decimals(f, e, x, y) : refuse(f, e);
}

static Expr *fold_unary(Fold *f, Expr *e) {
  Expr *a = fold(f, e->operand);
  if (!a) return NULL;
  if (e->op == UNARY_NOT) return a->kind == EXPR_BOOL ? make_bool(f, e, !a->boolean) : refuse(f, e);
  if (a->kind == EXPR_INT || a->kind == EXPR_DURATION) {
    return a->integer == INT64_MIN ? overflow(f, e) : make_int(f, e, a->kind, -a->integer);
  }
  if (a->kind == EXPR_FLOAT) return make_float(f, e, -a->number);
  if (a->kind != EXPR_DECIMAL) return refuse(f, e);
  Buf text = {0};
  bool negative = a->text.size && a->text.at[0] == '-';
  if (!negative) buf_byte(&text, '-');
  buf_put(&text, a->text.at + negative, a->text.size - negative);
  return make_text(f, e, EXPR_DECIMAL, &text);
}

/* ---- text, containers, names, calls ---- */

static bool part_print(const Expr *e, Buf *out) {
  switch (e->kind) {
    case EXPR_NIL:
      buf_text(out, "nil");
      return true;
    case EXPR_BOOL:
      buf_text(out, e->boolean ? "true" : "false");
      return true;
    case EXPR_INT:
      buf_format(out, "%" PRId64, e->integer);
      return true;
    case EXPR_FLOAT:
      float_print(e->number, out);
      return true;
    case EXPR_DURATION:
      duration_print(e->integer, out);
      return true;
    case EXPR_STRING:
    case EXPR_DECIMAL:
      buf_str(out, e->text);
      return true;
    default:
      return false;
  }
}

static Expr *fold_interp(Fold *f, Expr *e) {
  Buf text = {0};
  for (Expr *part = e->first; part; part = part->next) {
    Expr *folded = fold(f, part);
    if (folded && part_print(folded, &text)) continue;
    buf_deinit(&text);
    return folded ? refuse(f, part) : NULL;
  }
  return make_text(f, e, EXPR_STRING, &text);
}

static Expr *fold_list(Fold *f, Expr *e) {
  Expr *list = make(f, e, EXPR_LIST, e->type), **last = &list->first;
  for (Expr *item = e->first; item; item = item->next) {
    Expr *folded = item->kind == EXPR_SPREAD ? refuse(f, item) : fold(f, item);
    if (!folded) return NULL;
    *last = ARENA_NEW(f->c->arena, Expr);
    **last = *folded; /* a constant may stand in several lists */
    (*last)->next = NULL;
    last = &(*last)->next;
  }
  return list;
}

static Expr *fold_map(Fold *f, Expr *e) {
  Expr *map = make(f, e, EXPR_MAP, e->type);
  Arg **last = &map->args;
  for (Arg *arg = e->args; arg; arg = arg->next) {
    Expr *value = arg->value->kind == EXPR_SPREAD ? refuse(f, arg->value) : fold(f, arg->value);
    Expr *key = value && arg->key ? fold(f, arg->key) : NULL;
    if (!value || (arg->key && !key)) return NULL;
    *last = ARENA_NEW(f->c->arena, Arg);
    **last = (Arg){.name = arg->name, .name_span = arg->name_span, .key = key, .value = value};
    last = &(*last)->next;
  }
  return map;
}

static Expr *fold_name(Fold *f, Expr *e) {
  Symbol *symbol = e->symbol;
  if (!symbol)
    return e->kind == EXPR_NAME && e->type == f->c->t_any ? NULL : refuse(f, e); /* unknown: told */
  if (symbol->kind != SYMBOL_CONST) return refuse(f, e);
  Expr *value = constant_of(f->c, symbol);
  if (!value) return NULL;
  Expr *copy = make(f, e, value->kind, value->type);
  *copy = *value;
  copy->next = NULL;
  return copy;
}

static int64_t duration_unit(const Symbol *symbol) {
  static const struct {
    const char *name;
    int64_t us;
  } units[] = {{"seconds", 1000000},
               {"minutes", 60000000},
               {"hours", 3600000000},
               {"days", 86400000000},
               {"milliseconds", 1000}};
  for (size_t i = 0; symbol && symbol->kind == SYMBOL_NATIVE && i < COUNT_OF(units); i++) {
    if (strcmp(native_info[symbol->native].name, units[i].name) == 0) return units[i].us;
  }
  return 0;
}

static Expr *fold_call(Fold *f, Expr *e) {
  int64_t unit = e->resolution == CALL_NATIVE ? duration_unit(e->symbol) : 0, us = 0;
  if (!unit || !e->args || !e->args->value) return refuse(f, e);
  Expr *count = fold(f, e->args->value);
  if (!count) return NULL;
  if (count->kind != EXPR_INT) return refuse(f, e);
  return __builtin_mul_overflow(unit, count->integer, &us) ? overflow(f, e)
                                                           : make_int(f, e, EXPR_DURATION, us);
}

static Expr *fold(Fold *f, Expr *e) {
  switch (e->kind) {
    case EXPR_NIL:
    case EXPR_BOOL:
    case EXPR_INT:
    case EXPR_FLOAT:
    case EXPR_DECIMAL:
    case EXPR_STRING:
    case EXPR_DURATION:
      return e;
    case EXPR_INTERP:
      return fold_interp(f, e);
    case EXPR_NAME:
    case EXPR_MEMBER:
      return fold_name(f, e);
    case EXPR_LIST:
      return fold_list(f, e);
    case EXPR_MAP:
      return fold_map(f, e);
    case EXPR_UNARY:
      return fold_unary(f, e);
    case EXPR_BINARY:
      return fold_binary(f, e);
    case EXPR_CALL:
      return fold_call(f, e);
    default:
      return refuse(f, e);
  }
}

/* Walks the expression in the place kept for constants, where no variable is seen. */
Expr *constant_fold(Checker *c, Expr *expr, DiagId id) {
  Frame frame;
  Fold f = {.c = c, .id = id};
  uint32_t errors = c->diags->error_count;
  if (!expr->type) {
    body_open(c, &frame, c->constants);
    expr_infer(c, expr, NULL);
    body_close(c, &frame);
  }
  return c->diags->error_count == errors ? fold(&f, expr) : NULL;
}

/* What an expression whose type was found comes to; NULL if only the run can tell. */
const Expr *constant_known(Checker *c, Expr *expr) {
  Fold f = {.c = c, .quiet = true};
  return expr->type ? fold(&f, expr) : NULL;
}

/* Symbol.writes: 1 while it is being folded, 2 when done. */
Expr *constant_of(Checker *c, Symbol *symbol) {
  Decl *decl = symbol->decl;
  if (symbol->writes == 2 || !decl->value) return symbol->constant;
  if (symbol->writes == 1) {
    REPORT(c, CONST_CYCLE, decl->name_span, decl->name->text);
    return NULL;
  }
  if (c->inferring > CONST_DEPTH_MAX) {
    REPORT(c, TOO_DEEP, decl->name_span, STR("300"), STR("constants, each made of the next"));
    return NULL;
  }
  Unit *unit = c->unit;
  uint32_t mark = scope_open(c);
  if (decl->unit != unit) unit_enter(c, decl->unit);
  symbol->writes = 1;
  c->inferring++;
  symbol->constant = constant_fold(c, decl->value, DIAG_CONST_NOT_CONSTANT);
  c->inferring--;
  symbol->writes = 2;
  Type *type = decl->value->type ? decl->value->type : c->t_any;
  Type *declared = decl->type ? type_resolve(c, decl->type) : NULL;
  if (declared && decl->value->kind != EXPR_BAD) {
    fit_require(c, decl->value, type, declared, DIAG_ASSIGN_TYPE, decl->name->text,
                decl->type->span, NULL);
  }
  symbol->type = declared && type_fit(type, declared) != FIT_YES ? declared : type;
  if (decl->unit != unit) unit_leave(c, mark);
  c->unit = unit;
  return symbol->constant;
}
