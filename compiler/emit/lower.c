/* Statements. */
#include "compiler/emit/emitter.h"

void block(Body *b, Stmt *s) {
  while (s != NULL && !b->dead) {
    uint32_t run = path_run(s);
    if (run > 1) {
      s = path_run_emit(b, s, run);
    } else {
      stmt(b, s);
      s = s->next;
    }
  }
}

/* The source's own words, for messages. */
Str span_text(const Body *b, Span span) {
  uint32_t at = span.at - b->source->base;
  if (span.at < b->source->base || at + span.size > b->source->text.size) return (Str){"", 0};
  return (Str){b->source->text.at + at, span.size};
}

/* ---- assignment ---- */

/* A variable with a declared type holds nothing else; where the checker was not sure, the run is.
 */
static bool variable_unsure(const Symbol *symbol, const Type *type) {
  const Type *wanted = symbol->type;
  if (wanted == NULL || wanted->kind == TYPE_ANY) return false;
  return type == NULL || type_fit(type, wanted) != FIT_YES;
}

void variable_check(Body *b, const Symbol *symbol, uint8_t reg, const Type *type) {
  if (variable_unsure(symbol, type))
    emit_ext(b, OP_CHECK, reg, 0, 0, type_index(b->e, symbol->type));
}

static void assign_value(Body *b, Symbol *symbol, Expr *value, const Type *type) {
  bool born;
  uint8_t reg = var_target(b, symbol, &born);
  if (variable_unsure(symbol, type)) {
    uint8_t checked = reg_take(b);
    expr_to(b, value, checked, USE_OWN);
    variable_check(b, symbol, checked, type);
    emit(b, OP_MOVE, reg, checked, 0);
  } else {
    bool borrows = symbol->index != 0; /* see borrow.c */
    expr_to(b, value, reg, borrows ? USE_BORROW : USE_OWN);
    b->borrowed[reg] = borrows;
  }
  if (born) var_born(b, reg);
}

/* `xs += ys` appends in place where nobody else holds xs. */
static void list_extend(Body *b, uint8_t reg, Stmt *s) {
  Expr *only = s->value->kind == EXPR_LIST ? s->value->first : NULL;
  if (only != NULL && only->next == NULL && only->kind != EXPR_SPREAD) {
    path_push(b, s->target, only);
    return;
  }
  uint8_t from = expr_any(b, s->value, USE_BORROW);
  if (from == reg) {
    from = reg_take(b);
    emit(b, OP_MOVESH, from, reg, 0);
  }
  emit(b, OP_EXTEND, reg, from, 0);
}

static bool is_list(const Type *t) { return t != NULL && t->kind == TYPE_LIST; }

static void assign_op(Body *b, Symbol *symbol, Stmt *s) {
  uint8_t reg = var_read(b, symbol);
  BinaryOp op = (BinaryOp)(s->op - 1);
  if (op == BIN_COALESCE) {
    Label end = {0};
    jump_to(b, OP_JNOTNIL, reg, 0, &end);
    assign_value(b, symbol, s->value, s->value->type);
    label_here(b, &end);
  } else if (op == BIN_ADD && is_list(symbol->type) && is_list(s->value->type)) {
    list_extend(b, reg, s);
  } else if (variable_unsure(symbol, s->target->type)) {
    uint8_t checked = reg_take(b);
    binary_op(b, op, checked, reg, s->value, s->span);
    variable_check(b, symbol, checked, s->target->type);
    emit(b, OP_MOVE, reg, checked, 0);
  } else {
    binary_op(b, op, reg, reg, s->value, s->span);
  }
}

static void assign_stmt(Body *b, Stmt *s) {
  Expr *target = s->target;
  if (target->kind == EXPR_MEMBER || target->kind == EXPR_INDEX) {
    path_assign(b, s);
  } else if (target->kind != EXPR_NAME) {
    destructure(b, target, s->value);
  } else if (target->symbol == NULL || target->symbol->kind != SYMBOL_VARIABLE) {
    expr_drop(b, s->value);
  } else if (s->op > 0) {
    assign_op(b, target->symbol, s);
  } else {
    assign_value(b, target->symbol, s->value, target->type);
  }
}

/* ---- if ---- */

static void under_patch(Body *b, Str id, Stmt *body) {
  uint32_t outer = b->patch;
  if (id.at != NULL) b->patch = const_text(b->e, id);
  block(b, body);
  b->patch = outer;
}

static void if_stmt(Body *b, Stmt *s) {
  Label end = {0};
  while (s != NULL) {
    Label no = {0};
    Str denied = patch_of(s->cond, false);
    place_at(b, s->span);
    careful_begin(b, NULL, s->cond);
    cond_jump(b, s->cond, false, &no);
    under_patch(b, patch_of(s->cond, true), s->body);
    Stmt *rest = s->otherwise;
    if (rest != NULL) jump_to(b, OP_JMP, 0, 0, &end);
    label_here(b, &no);
    bool chain = rest != NULL && rest->kind == STMT_IF && rest->next == NULL && denied.at == NULL;
    if (!chain && rest != NULL) under_patch(b, denied, rest);
    s = chain && !b->dead ? rest : NULL;
  }
  label_here(b, &end);
}

/* ---- return ---- */

void return_reg(Body *b, uint8_t reg) {
  guards_leave(b, NULL);
  emit(b, OP_RET, reg, 0, 0);
  guards_return(b, NULL);
}

static bool result_checked(const Body *b, const Expr *value) {
  const Function *f = b->fn;
  bool kind = f->kind == FNKIND_FN || f->kind == FNKIND_WORKFLOW || f->kind == FNKIND_PERFORM ||
              f->kind == FNKIND_QUERY || f->kind == FNKIND_VIEW;
  if (!kind || f->decl == NULL || f->decl->type == NULL || f->result == NULL ||
      f->result->kind == TYPE_ANY)
    return false;
  return value->type == NULL || type_fit(value->type, f->result) != FIT_YES;
}

static bool has_final(const Body *b) {
  for (const Guard *g = b->guard; g != NULL; g = g->outer) {
    if (g->final != NULL) return true;
  }
  return false;
}

/* The function's own variable moves out; what belongs to others too, or is still to be looked at by a finally, is
** marked shared first. */
static uint8_t returned(Body *b, Expr *value) {
  bool variable =
      value->kind == EXPR_NAME && value->symbol != NULL && value->symbol->kind == SYMBOL_VARIABLE;
  if (has_final(b)) {
    uint8_t kept = reg_take(b);
    expr_to(b, value, kept, USE_OWN);
    return kept;
  }
  if (!variable) return expr_any(b, value, USE_OWN);
  uint8_t reg = var_read(b, value->symbol);
  if (b->borrowed[reg] && !type_plain(value->type)) emit(b, OP_SHARE, reg, 0, 0);
  return reg;
}

void return_value(Body *b, Expr *value) {
  uint16_t mark = b->next;
  uint8_t reg = returned(b, value);
  if (result_checked(b, value)) emit_ext(b, OP_CHECK, reg, 0, 0, type_index(b->e, b->fn->result));
  return_reg(b, reg);
  regs_release(b, mark);
}

static void return_stmt(Body *b, Stmt *s) {
  if (s->value != NULL) {
    return_value(b, s->value);
    return;
  }
  guards_leave(b, NULL);
  emit(b, OP_RETNIL, 0, 0, 0);
  guards_return(b, NULL);
}

/* ---- assert ---- */

static void assert_stmt(Body *b, Stmt *s) {
  Label holds = {0};
  uint16_t mark = b->next;
  cond_jump(b, s->cond, true, &holds);
  if (s->value != NULL) emit(b, OP_FAULT, expr_any(b, s->value, USE_BORROW), FAULT_ASSERT, 0);
  else fault_text(b, FAULT_ASSERT, span_text(b, s->cond->span));
  regs_release(b, mark);
  label_here(b, &holds);
}

/* ---- all ---- */

static void stmt_kind(Body *b, Stmt *s) {
  switch (s->kind) {
    case STMT_EXPR: expr_drop(b, s->value); return;
    case STMT_ASSIGN: assign_stmt(b, s); return;
    case STMT_IF: if_stmt(b, s); return;
    case STMT_FOR: for_stmt(b, s); return;
    case STMT_WHILE: while_stmt(b, s); return;
    case STMT_LOOP: loop_stmt(b, s); return;
    case STMT_BREAK:
    case STMT_CONTINUE: break_stmt(b, s); return;
    case STMT_RETURN: return_stmt(b, s); return;
    case STMT_ASSERT: assert_stmt(b, s); return;
    case STMT_MATCH: match_stmt(b, s); return;
    case STMT_RAISE: raise_stmt(b, s); return;
    case STMT_TRY: try_stmt(b, s); return;
    case STMT_PARALLEL: parallel_stmt(b, s); return;
    case STMT_SLEEP:
    case STMT_SIGNAL:
    case STMT_CANCEL:
    case STMT_SNOOZE:
    case STMT_CONTINUE_AS_NEW:
      effect_stmt(b, s);
      return;
    case STMT_GIVEN:
    case STMT_WHEN:
    case STMT_THEN:
    case STMT_STUB:
    case STMT_EXPECT: test_stmt(b, s); return;
    case STMT_BUDGET:
      budget_effect(b, s);
      try_stmt(b, s);
      return;
    case STMT_END_BUDGET: budget_effect(b, s); return;
    case STMT_PASS: case STMT_BRANCH: case STMT_BAD: return;
    case STMT_EMIT: case STMT_REPLY: case STMT_REJECT: return; /* calls by now: see check.h */
  }
}

static void stmt_careful(Body *b, Stmt *s) {
  bool own_root = s->kind == STMT_EXPR || s->kind == STMT_ASSIGN;
  if (own_root) careful_begin(b, s->value, s->target);
  else careful_begin(b, NULL, s->value);
  bool cond = s->kind == STMT_ASSERT || s->kind == STMT_SIGNAL || s->kind == STMT_EXPECT;
  if (!b->careful && cond)
    b->careful = expr_changes(s->cond);
  for (const Arg *arg = s->args; arg != NULL && !b->careful; arg = arg->next)
    b->careful = expr_changes(arg->value);
}

void stmt(Body *b, Stmt *s) {
  if (b->dead) return;
  uint16_t mark = b->next;
  place_at(b, s->span);
  stmt_careful(b, s);
  stmt_kind(b, s);
  regs_release(b, mark);
}
