/* parallel, parallel for, race: each branch is a body of its own. What a branch
** of parallel assigns is seen outside afterwards; the others only give a value. */
#include "compiler/check/checker.h"

/* The expression that gives a block its value: see Function.value_expr. */
Expr *value_of_block(const Stmt *body) {
  while (body && body->next) body = body->next;
  if (!body) return NULL;
  if (body->kind == STMT_EXPR) return body->value;
  bool plain = body->kind == STMT_ASSIGN && !body->op && body->target->kind == EXPR_NAME;
  return plain ? body->value : NULL;
}

static Expr *value_of_one(Stmt *s) {
  Stmt alone = *s;
  alone.next = NULL;
  return value_of_block(&alone);
}

static Body *branch_new(Checker *c, Stmt *s) {
  Body *body =
      body_new(c, FNKIND_BRANCH, inner_name(c, "branch"), s->span, NULL, current_function(c));
  Function *f = &body->function;
  s->function = f;
  f->single = s->kind != STMT_BRANCH;
  f->body = f->single ? s : s->body;
  f->value_expr = f->single ? value_of_one(s) : value_of_block(s->body);
  purity_edge(c, body, s->span, EDGE_INNER);
  return body;
}

static void branch_walk(Checker *c, Body *body) {
  Function *f = &body->function;
  if (f->single) statement_check(c, f->body);
  else block_check(c, f->body);
  f->result = f->value_expr && f->value_expr->type ? f->value_expr->type : c->t_nil;
}

/* ---- parallel ---- */

typedef struct Result {
  Variable *inner;
  Type *type;
} Result;

static bool result_of_branch(const Variable *v) {
  return !v->scoped && !v->symbol.parameter && (v->symbol.writes > 0 || v->symbol.changed);
}

/* What the branch assigned, while its state still stands. */
static Result *results_gather(Checker *c, Function *f) {
  uint32_t count = 0;
  for (Symbol *s = f->locals; s; s = s->next) count += result_of_branch((Variable *)s);
  Result *results = ARENA_ARRAY(c->arena, Result, count + 1);
  f->results = ARENA_ARRAY(c->arena, Symbol *, count + 1);
  f->result_targets = ARENA_ARRAY(c->arena, Symbol *, count + 1);
  for (Symbol *s = f->locals; s; s = s->next) {
    Variable *v = (Variable *)s;
    if (!result_of_branch(v)) continue;
    bool surely = v->set || !c->frame->reachable;
    Type *type = v->flow ? v->flow : c->t_any;
    results[f->result_count] = (Result){v, surely ? type : type_optional(c->types, type)};
    f->results[f->result_count++] = s;
    v->quiet = true;
  }
  return results;
}

static void result_assign(Checker *c, Stmt *parallel, Function *f, uint32_t i,
                          const Result *result) {
  Symbol *inner = &result->inner->symbol;
  Type *type = parallel->settle ? outcome_type(c, result->type) : result->type;
  Variable *target = assign_name(c, inner->name, inner->span, type, NULL);
  if (!target) return;
  f->result_targets[i] = &target->symbol;
  target->symbol.reads += inner->reads;
  if (target->parallel == parallel) {
    Diag *diag = REPORT(c, BRANCH_CONFLICT, inner->span, inner->name->text);
    report_help(
        c, diag,
        "which one would stay? give each branch a name of its own and join them afterwards");
  }
  target->parallel = parallel;
}

static void settle_shape_check(Checker *c, const Stmt *s) {
  const Stmt *one = s->kind == STMT_BRANCH ? s->body : s;
  bool single = s->kind != STMT_BRANCH || (one && !one->next);
  bool plain = one && (one->kind == STMT_EXPR || one->kind == STMT_BAD ||
                       (one->kind == STMT_ASSIGN && !one->op && one->target->kind == EXPR_NAME));
  if (!single || !plain) REPORT0(c, SETTLE_BRANCH, s->span);
}

void parallel_check(Checker *c, Stmt *stmt) {
  uint32_t count = 0, at = 0;
  purity_effect(c, stmt->span, STR("parallel"));
  for (Stmt *s = stmt->body; s; s = s->next) count++;
  Result **results = ARENA_ARRAY(c->arena, Result *, count + 1);
  for (Stmt *s = stmt->body; s; s = s->next) {
    Frame frame;
    if (stmt->settle) settle_shape_check(c, s);
    Body *body = branch_new(c, s);
    body_open(c, &frame, body);
    frame.exports = true;
    branch_walk(c, body);
    results[at++] = results_gather(c, &body->function);
    body_close(c, &frame);
  }
  at = 0;
  for (Stmt *s = stmt->body; s; s = s->next, at++) {
    for (uint32_t i = 0; i < s->function->result_count; i++)
      result_assign(c, stmt, s->function, i, &results[at][i]);
  }
}

/* ---- race, parallel for ---- */

static Type *race_infer(Checker *c, Expr *e) {
  Type *joined = NULL;
  uint32_t count = 0;
  for (Stmt *s = e->body; s; s = s->next, count++) {
    Frame frame;
    Body *body = branch_new(c, s);
    body_open(c, &frame, body);
    frame.races++;
    branch_walk(c, body);
    body_close(c, &frame);
    joined = type_join(c->types, joined, body->function.result);
  }
  if (count == 1) REPORT0(c, RACE_OF_ONE, e->span);
  return joined ? joined : c->t_nil;
}

static Type *parallel_for_infer(Checker *c, Expr *e) {
  Frame frame;
  Type *type = expr_infer(c, e->iter, NULL), *key = c->t_any;
  Type *elem = element_type(c, type, false, &key);
  if (e->fields && e->fields->next) REPORT0(c, PARALLEL_ONE, e->fields->next->span);
  if (!elem && e->iter->kind != EXPR_BAD)
    REPORT(c, NOT_ITERABLE, e->iter->span, type_phrase(c, type));
  if (e->high)
    expr_require(c, e->high, c->t_int, DIAG_INT_WANTED, STR("the limit"), (Span){0}, NULL);
  Body *body =
      body_new(c, FNKIND_BRANCH, inner_name(c, "each"), e->span, NULL, current_function(c));
  e->function = &body->function;
  body->function.body = e->body;
  body->function.value_expr = value_of_block(e->body);
  purity_edge(c, body, e->span, EDGE_INNER);
  body_open(c, &frame, body);
  body_params(c, body, e->fields);
  if (e->fields && e->fields->symbol)
    flow_set(c, (Variable *)e->fields->symbol, elem ? elem : c->t_any);
  block_check(c, e->body);
  body->function.result = body->function.value_expr && body->function.value_expr->type
                              ? body->function.value_expr->type
                              : c->t_nil;
  body_close(c, &frame);
  Type *one = body->function.result;
  return type_list(c->types, e->settle ? outcome_type(c, one) : one);
}

Type *concurrent_infer(Checker *c, Expr *e) {
  purity_effect(c, e->span, e->kind == EXPR_RACE ? STR("race") : STR("parallel"));
  return e->kind == EXPR_RACE ? race_infer(c, e) : parallel_for_infer(c, e);
}
