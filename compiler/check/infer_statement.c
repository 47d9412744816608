/* Statements: what may stand where, and how each changes what is known after it. */
#include "compiler/check/checker.h"

/* ---- branches of one path ---- */

static void if_check(Checker *c, Stmt *s) {
  Merge merge = {0};
  bool entry = c->frame->reachable;
  Level chain = flow_open(c);
  for (;;) {
    condition_check(c, s->cond);
    Level arm = flow_open(c);
    narrow_condition(c, s->cond, true);
    block_check(c, s->body);
    merge_copy(c, &merge, chain);
    flow_drop(c, arm);
    c->frame->reachable = entry;
    narrow_condition(c, s->cond, false);
    Stmt *otherwise = s->otherwise;
    if (!otherwise || otherwise->kind != STMT_IF || otherwise->next) break;
    s = otherwise;
  }
  block_check(c, s->otherwise);
  merge_path(c, &merge, chain);
  merge_end(c, &merge);
  c->frame->reachable = c->frame->reachable && entry;
}

/* ---- loops ---- */

static void loop_enter(Checker *c, Loop *loop, Stmt *s, bool endless) {
  *loop = (Loop){.outer = c->frame->loop, .endless = endless};
  loop_begin(c, s);
  loop->level = flow_open(c);
  c->frame->loop = loop;
}

static void loop_leave(Checker *c, Loop *loop, Stmt *s, bool entry) {
  c->frame->loop = loop->outer;
  flow_drop(c, loop->level);
  c->frame->reachable = entry;
  if (loop->endless) merge_end(c, &loop->exits);
  c->frame->reachable = c->frame->reachable && entry;
  loop_end(c, s);
}

static void for_check(Checker *c, Stmt *s) {
  Loop loop;
  bool entry = c->frame->reachable;
  uint32_t scope = scope_open(c);
  Expr *iter = s->value;
  Type *type = expr_infer(c, iter, NULL);
  loop_enter(c, &loop, s, false);
  for_variables(c, s->fields, iter, type);
  block_check(c, s->body);
  loop_leave(c, &loop, s, entry);
  scope_close_block(c, scope);
}

static void while_check(Checker *c, Stmt *s) {
  Loop loop;
  bool entry = c->frame->reachable;
  bool endless = s->cond->kind == EXPR_BOOL && s->cond->boolean;
  loop_enter(c, &loop, s, endless);
  if (endless) s->cond->type = c->t_bool;
  else condition_check(c, s->cond);
  narrow_condition(c, s->cond, true);
  block_check(c, s->body);
  loop_leave(c, &loop, s, entry);
  if (!endless && !loop.left) narrow_condition(c, s->cond, false);
}

static void loop_check(Checker *c, Stmt *s) {
  Loop loop;
  bool entry = c->frame->reachable;
  if (s->value)
    expr_require(c, s->value, c->t_int, DIAG_INT_WANTED, STR("the bound of a loop"), (Span){0},
                 NULL);
  loop_enter(c, &loop, s, true);
  block_check(c, s->body);
  loop_leave(c, &loop, s, entry);
}

static bool crosses_branch(Checker *c) {
  for (Frame *f = c->frame; f && f->body->function.kind == FNKIND_BRANCH; f = f->outer) {
    if (f->outer && f->outer->loop) return true;
  }
  return false;
}

static void break_check(Checker *c, Stmt *s) {
  Loop *loop = c->frame->loop;
  bool is_break = s->kind == STMT_BREAK;
  if (!loop) {
    Str word = is_break ? STR("break") : STR("continue");
    if (crosses_branch(c)) REPORT(c, LEAVES_BRANCH, s->span, word);
    else if (is_break) REPORT0(c, BREAK_OUTSIDE, s->span);
    else REPORT0(c, CONTINUE_OUTSIDE, s->span);
  } else if (is_break) {
    loop->left = true;
    if (loop->endless) merge_copy(c, &loop->exits, loop->level);
  }
  c->frame->reachable = false;
}

/* ---- return, raise, assert ---- */

/* A decide, an evolve and what begins by itself give nothing back. */
static bool gives_nothing(const Function *f) {
  return f->kind == FNKIND_DECIDE || f->kind == FNKIND_EVOLVE || f->kind == FNKIND_ON || f->kind == FNKIND_TICK ||
         f->kind == FNKIND_TEST;
}

static void report_gives_nothing(Checker *c, const Stmt *s, const Function *f) {
  static const char *const words[] = {[FNKIND_DECIDE] = "a `decide`",
                                      [FNKIND_EVOLVE] = "an `evolve`",
                                      [FNKIND_ON] = "an `on`",
                                      [FNKIND_TICK] = "an `every`",
                                      [FNKIND_TEST] = "a test"};
  Diag *diag = REPORT(c, CLAUSE_RETURN, s->value->span, str_of(words[f->kind]));
  if (f->kind == FNKIND_DECIDE) report_help(c, diag, "`reply` answers the sender");
  if (f->kind == FNKIND_EVOLVE) report_help(c, diag, "assign the state's fields: balance = balance + amount");
}

static void return_value(Checker *c, Stmt *s, Function *f) {
  Type *wanted = f->decl && f->decl->type && f->kind != FNKIND_CHECK ? f->result : NULL;
  if (!s->value) {
    if (wanted && type_fit(c->t_nil, wanted) == FIT_NO) {
      REPORT(c, RETURN_NOTHING, s->span, f->name, type_text(c, wanted));
    }
    c->frame->returns = type_join(c->types, c->frame->returns, c->t_nil);
    return;
  }
  Type *type = wanted ? expr_require(c, s->value, wanted, DIAG_RETURN_TYPE, f->decl->name->text,
                                     f->decl->type->span, "the result's type is declared here")
                      : expr_infer(c, s->value, NULL);
  c->frame->returns = type_join(c->types, c->frame->returns, type);
}

static void return_check(Checker *c, Stmt *s) {
  Function *f = current_function(c);
  if (f->kind == FNKIND_SCRIPT || f->kind == FNKIND_BRANCH) {
    if (s->value) expr_infer(c, s->value, NULL);
    if (f->kind == FNKIND_SCRIPT) REPORT0(c, RETURN_OUTSIDE, s->span);
    else REPORT(c, LEAVES_BRANCH, s->span, STR("return"));
  } else if (gives_nothing(f)) {
    if (s->value) {
      expr_infer(c, s->value, NULL);
      report_gives_nothing(c, s, f);
    }
    if (f->kind == FNKIND_EVOLVE) evolve_returns(c, s);
  } else return_value(c, s, f);
  c->frame->reachable = false;
}

static void raise_arguments(Checker *c, Stmt *s) {
  for (Arg *arg = s->args; arg; arg = arg->next) {
    expr_infer(c, arg->value, NULL); /* their names the parser has checked */
  }
}

static void raise_check(Checker *c, Stmt *s) {
  if (s->value) {
    Type *type = expr_infer(c, s->value, NULL);
    bool fits = type_fit(type, c->t_string) != FIT_NO || type_fit(type, c->t_error) != FIT_NO;
    if (!fits && s->value->kind != EXPR_BAD)
      REPORT(c, RAISE_CODE, s->value->span, type_phrase(c, type));
  } else if (c->frame->catches == 0) REPORT0(c, RAISE_OUTSIDE, s->span);
  raise_arguments(c, s);
  c->frame->reachable = false;
}

static void assert_check(Checker *c, Stmt *s) {
  condition_check(c, s->cond);
  if (s->value) expr_infer(c, s->value, NULL);
  narrow_condition(c, s->cond, true);
}

/* ---- try ---- */

typedef struct Touched { /* variables changed in a stretch */
  Variable **items;
  uint32_t count;
} Touched;

static Touched touched_since(Checker *c, Level level) {
  Touched t = {ARENA_ARRAY(c->arena, Variable *, c->trail_count - level.mark + 1), 0};
  for (uint32_t i = level.mark; i < c->trail_count; i++) t.items[t.count++] = c->trail[i].variable;
  return t;
}

/* An error may have come at any point of the stretch: what it changed may or may not have changed.
 */
static void blur(Checker *c, const Touched *touched) {
  for (uint32_t i = 0; i < touched->count; i++) {
    Variable *v = touched->items[i];
    flow_narrow(c, v, v->declared ? v->declared : v->flow ? c->t_any : NULL);
  }
}

static void catch_arm(Checker *c, Arm *arm, const Touched *touched) {
  uint32_t scope = scope_open(c);
  blur(c, touched);
  if (arm->name && !name_is_wild(arm->name)) {
    Variable *v = variable_declare(c, arm->name, arm->name_span, true);
    arm->symbol = &v->symbol;
    v->symbol.writes = 1;
    v->quiet = true;
    flow_set(c, v, c->t_error);
  }
  if (arm->guard) {
    PurePlace outer = c->place;
    c->place = PURE_GUARD;
    condition_check(c, arm->guard);
    c->place = outer;
    narrow_condition(c, arm->guard, true);
  }
  c->frame->catches++;
  block_check(c, arm->body);
  c->frame->catches--;
  scope_close_block(c, scope);
}

static void catches_check(Checker *c, Stmt *s, const Touched *touched, Merge *merge, bool entry) {
  const Arm *caught_all = NULL;
  for (Arm *arm = s->arms; arm; arm = arm->next) {
    if (caught_all) {
      Diag *diag = REPORT0(c, UNREACHABLE_CATCH, arm->span);
      report_note(c, diag, caught_all->span, "this one already catches every error");
    }
    if (!arm->guard) caught_all = arm;
    Level level = flow_open(c);
    c->frame->reachable = entry;
    catch_arm(c, arm, touched);
    merge_path(c, merge, level);
  }
}

/* `finally` runs on every way out; what it assigns itself stays. */
static void finally_check(Checker *c, Stmt *final, const Touched *touched) {
  bool entry = c->frame->reachable;
  Level outer = flow_open(c);
  blur(c, touched);
  for (uint32_t i = 0; i < touched->count; i++)
    touched->items[i]->set = touched->items[i]->set && entry;
  c->frame->reachable = true;
  Level inner = flow_open(c);
  block_check(c, final);
  Touched own = touched_since(c, inner);
  Type **types = ARENA_ARRAY(c->arena, Type *, own.count + 1);
  for (uint32_t i = 0; i < own.count; i++) types[i] = own.items[i]->set ? own.items[i]->flow : NULL;
  bool ends = c->frame->reachable;
  flow_drop(c, inner);
  flow_drop(c, outer);
  for (uint32_t i = 0; i < own.count; i++) {
    if (types[i]) flow_set(c, own.items[i], types[i]);
  }
  c->frame->reachable = entry && ends;
}

static void try_check(Checker *c, Stmt *s) {
  Merge merge = {0};
  bool entry = c->frame->reachable;
  Level level = flow_open(c);
  block_check(c, s->body);
  Touched touched = touched_since(c, level);
  merge_path(c, &merge, level);
  catches_check(c, s, &touched, &merge, entry);
  merge_end(c, &merge);
  if (s->final) finally_check(c, s->final, &touched);
}

/* ---- effects that are statements ---- */

static void handle_check(Checker *c, Expr *e, DiagId id) {
  Type *type = expr_infer(c, e, NULL);
  bool fits = type_fit(type, type_handle(c->types, NULL)) != FIT_NO ||
              type_fit(type, c->t_string) != FIT_NO;
  if (!fits && e->kind != EXPR_BAD)
    checker_report(c, id, e->span, 1, (const Str[]){type_phrase(c, type)});
}

static void signal_check(Checker *c, Stmt *s) {
  purity_effect(c, s->span, STR("signal"));
  if (s->value) expr_infer(c, s->value, NULL);
  if (s->cond) handle_check(c, s->cond, DIAG_SIGNAL_TARGET);
}

static void continue_check(Checker *c, Stmt *s) {
  Function *f = current_function(c);
  purity_effect(c, s->span, STR("continue_as_new"));
  if (f->kind != FNKIND_WORKFLOW) {
    REPORT0(c, CONTINUE_AS_NEW_OUTSIDE, s->span);
    for (Arg *arg = s->args; arg; arg = arg->next) expr_infer(c, arg->value, NULL);
  } else
    fields_call(c, &s->args, f->decl->fields, f->decl->name->text, f->decl->name_span, s->span);
  c->frame->reachable = false;
}

/* ---- expressions as statements ---- */

bool expr_is_pure_value(const Expr *e) {
  switch (e->kind) {
    case EXPR_CALL:
      return (e->resolution == CALL_NATIVE || e->resolution == CALL_NATIVE_METHOD) && e->symbol &&
             !(native_info[e->symbol->native].flags & NATIVE_CHANGES);
    case EXPR_TRY:
    case EXPR_AWAIT:
    case EXPR_START:
    case EXPR_PARALLEL_FOR:
    case EXPR_RACE:
    case EXPR_DISPATCH:
    case EXPR_ENQUEUE:
    case EXPR_APPROVE:
    case EXPR_FIT:
    case EXPR_BAD:
      return false;
    case EXPR_COMPREHENSION:
      return expr_is_pure_value(e->operand);
    case EXPR_BINARY:
      return expr_is_pure_value(e->left) && expr_is_pure_value(e->right);
    default:
      return true;
  }
}

static void expression_check(Checker *c, Stmt *s) {
  Expr *e = s->value;
  bool bare = e->kind == EXPR_NAME, enqueue = e->kind == EXPR_ENQUEUE;
  c->statement = e;
  expr_infer(c, e, NULL);
  c->statement = NULL;
  if (enqueue) return;
  if (current_function(c)->value_expr == e || !expr_is_pure_value(e)) return;
  if (bare && e->kind == EXPR_NAME && !e->symbol) return; /* told already */
  Diag *diag = REPORT0(c, UNUSED_RESULT, e->span);
  if (e->kind == EXPR_BINARY && e->op == BIN_EQ)
    report_help(c, diag, "an assignment is written with one `=`");
  else if (e->kind == EXPR_CALL)
    report_help(c, diag, "this call only computes: assign what it gives");
}

void statement_check(Checker *c, Stmt *s) {
  switch (s->kind) {
    case STMT_EXPR:
      expression_check(c, s);
      return;
    case STMT_ASSIGN:
      assign_check(c, s);
      return;
    case STMT_IF:
      if_check(c, s);
      return;
    case STMT_FOR:
      for_check(c, s);
      return;
    case STMT_WHILE:
      while_check(c, s);
      return;
    case STMT_LOOP:
      loop_check(c, s);
      return;
    case STMT_BREAK:
    case STMT_CONTINUE:
      break_check(c, s);
      return;
    case STMT_RETURN:
      return_check(c, s);
      return;
    case STMT_PASS:
    case STMT_BAD:
      return;
    case STMT_ASSERT:
      assert_check(c, s);
      return;
    case STMT_MATCH:
      match_check(c, s);
      return;
    case STMT_RAISE:
      raise_check(c, s);
      return;
    case STMT_TRY:
      try_check(c, s);
      return;
    case STMT_PARALLEL:
      parallel_check(c, s);
      return;
    case STMT_BRANCH:
      block_check(c, s->body);
      return; /* misplaced: the parser has said so */
    case STMT_SLEEP:
      purity_effect(c, s->span, STR("sleep"));
      duration_require(c, s->value, "the time of `sleep`");
      break;
    case STMT_SIGNAL:
      signal_check(c, s);
      break;
    case STMT_CANCEL:
      if (give_up_check(c, s)) return;
      purity_effect(c, s->span, STR("cancel"));
      handle_check(c, s->value, DIAG_CANCEL_TARGET);
      break;
    case STMT_CONTINUE_AS_NEW:
      continue_check(c, s);
      return;
    case STMT_BUDGET:
      budget_check(c, s);
      return;
    case STMT_END_BUDGET:
      return;
    default:
      app_statement(c, s);
      return;
  }
  if (s->because) expr_infer(c, s->because, NULL);
}

void block_check(Checker *c, Stmt *body) {
  for (; body; body = body->next) {
    if (UNLIKELY(!c->frame->reachable) && !c->frame->dead_told && body->kind != STMT_BAD) {
      REPORT0(c, UNREACHABLE_CODE, body->span);
      c->frame->dead_told = true;
    }
    statement_check(c, body);
  }
  c->frame->dead_told = false;
}
