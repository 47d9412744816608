/* Effects: everything that reaches outside, each at a site of its own. */
#include "compiler/emit/emitter.h"

typedef struct Ask { /* an effect under way */
  uint8_t kind;
  uint32_t target;  /* constant for the site, or NONE_INDEX */
  uint32_t operand; /* the second ext word */
} Ask;

void effect_ask(Body *b, uint8_t kind, uint32_t target, uint32_t operand, uint8_t base,
                uint32_t count, Expr *because, Span span) {
  if (because != NULL) expr_to(b, because, reg_take(b), USE_OWN);
  if (b->next <= base) reg_take(b);
  b->effects = true;
  place_at(b, span);
  if (b->dead) return;
  uint32_t site = site_add(b, kind, target);
  emit_effect_word(b, base, count + (because != NULL), because != NULL, site, operand);
}

static void ask(Body *b, const Ask *a, uint8_t base, uint32_t count, Expr *because, Span span) {
  effect_ask(b, a->kind, a->target, a->operand, base, count, because, span);
}

static void landed(Body *b, uint8_t base, uint8_t target) {
  if (base != target) emit(b, OP_MOVE, target, base, 0);
}

/* ---- http ---- */

static void request_field(Body *b, uint8_t map, const char *name, Expr *value) {
  uint16_t mark = b->next;
  field_set(b, map, const_text(b->e, str_of(name)), expr_any(b, value, USE_OWN));
  regs_release(b, mark);
}

static void request_method(Body *b, uint8_t map, Str method) {
  uint16_t mark = b->next;
  uint8_t reg = reg_take(b);
  load_text(b, reg, method);
  field_set(b, map, const_text(b->e, STR("method")), reg);
  regs_release(b, mark);
}

/* The one operand: a map of what was given. */
static void request_to(Body *b, const Expr *e, uint8_t map, Str method) {
  static const char *const names[] = {"method", "url", "headers", "json", "body", "timeout"};
  uint32_t i = method.size > 0 ? 1 : 0;
  emit(b, OP_NEWMAP, map, 6, 0);
  if (method.size > 0) request_method(b, map, method);
  for (const Arg *arg = e->args; arg != NULL && i < COUNT_OF(names); arg = arg->next, i++) {
    if (arg->value != NULL) request_field(b, map, names[i], arg->value);
  }
}

static Str http_method(Body *b, const Expr *e) {
  if (e->symbol->effect_arg.size > 0) return e->symbol->effect_arg;
  Expr *literal = e->args != NULL && e->args->value != NULL ? literal_of(b, e->args->value) : NULL;
  return literal != NULL && literal->kind == EXPR_STRING ? literal->text : (Str){"", 0};
}

static void http_to(Body *b, Expr *e, uint8_t base) {
  uint8_t map = reg_take(b);
  uint32_t method = const_text(b->e, http_method(b, e));
  request_to(b, e, map, e->symbol->effect_arg);
  Ask a = {EFFECT_HTTP, method, method};
  ask(b, &a, base, 1, e->because, e->span);
}

/* ---- built-in effects and declared ones ---- */

static void builtin_to(Body *b, Expr *e, uint8_t base) {
  const Symbol *s = e->symbol;
  if (s->effect == EFFECT_HTTP) {
    http_to(b, e, base);
    return;
  }
  bool named = s->effect == EFFECT_FILE_READ || s->effect == EFFECT_FILE_WRITE || s->effect == EFFECT_MODEL;
  uint32_t name = named ? const_text(b->e, s->effect_arg) : NONE_INDEX;
  Ask a = {s->effect, name, named ? name : 0};
  uint32_t count = args_to(b, e->args, USE_OWN);
  if (s->effect == EFFECT_NOTE && count == 2) emit(b, OP_LOADNIL, reg_take(b), 0, 0), count++;
  ask(b, &a, base, count, e->because, e->span);
}

static void declared_to(Body *b, Expr *e, uint8_t base, uint8_t kind, uint32_t index) {
  Ask a = {kind, const_name(b->e, e->symbol->name), index};
  uint32_t count = args_to(b, e->args, USE_OWN);
  ask(b, &a, base, count, e->because, e->span);
}

static void patch_to(Body *b, const Expr *e, uint8_t base, uint8_t kind) {
  uint32_t id = patch_id(b->e, e->args->value->text);
  Ask a = {kind, id, id};
  ask(b, &a, base, 0, NULL, e->span);
}

/* Agent(id).view(args): asked by the name of both. */
static void view_to(Body *b, Expr *e, uint8_t base) {
  Str agent = e->symbol->agent->name->text, view = e->symbol->name->text;
  size_t size = agent.size + 1 + view.size;
  char *text = arena_alloc(b->e->arena, size);
  memcpy(text, agent.at, agent.size);
  text[agent.size] = '.';
  memcpy(text + agent.size + 1, view.at, view.size);
  uint32_t name = const_text(b->e, (Str){text, size});
  Ask a = {EFFECT_VIEW, name, name};
  uint32_t count = args_to(b, e->args, USE_OWN);
  ask(b, &a, base, count, e->because, e->span);
}

void effect_to(Body *b, Expr *e, uint8_t target) {
  uint8_t base = window_begin(b, target);
  Decl *decl = e->symbol != NULL ? e->symbol->decl : NULL;
  switch ((CallKind)e->resolution) {
    case CALL_EFFECT: builtin_to(b, e, base); break;
    case CALL_TOOL: declared_to(b, e, base, EFFECT_TOOL, tool_index(b->e, decl)); break;
    case CALL_WORKFLOW: declared_to(b, e, base, EFFECT_RUN_CALL, workflow_index(b->e, decl)); break;
    case CALL_EXTERN: declared_to(b, e, base, EFFECT_FOREIGN, extern_index(b->e, decl)); break;
    case CALL_PATCHED: patch_to(b, e, base, EFFECT_PATCHED); break;
    case CALL_DEPRECATE_PATCH: patch_to(b, e, base, EFFECT_DEPRECATE_PATCH); break;
    case CALL_VIEW: view_to(b, e, base); break;
    case CALL_CALLS: calls_to(b, e, base); break;
    case CALL_BAD: case CALL_FUNCTION: case CALL_VALUE: case CALL_NATIVE: case CALL_NATIVE_METHOD:
    case CALL_FUNCTION_METHOD: case CALL_METHOD: case CALL_CONSTRUCT: case CALL_UPCAST: break;
  }
  landed(b, base, target);
}

Str patch_of(Expr *cond, bool truth) {
  if (cond->kind == EXPR_UNARY && cond->op == UNARY_NOT) return patch_of(cond->operand, !truth);
  if (truth && cond->kind == EXPR_CALL && cond->resolution == CALL_PATCHED)
    return cond->args->value->text;
  if (cond->kind != EXPR_BINARY || (cond->op != (truth ? BIN_AND : BIN_OR))) return (Str){0};
  Str right = patch_of(cond->right, truth);
  return right.at != NULL ? right : patch_of(cond->left, truth);
}

/* ---- dispatch, enqueue: what is asked for, and a map of options or nil ---- */

static void asked_to(Body *b, Expr *e, uint8_t target, uint8_t kind) {
  uint8_t base = window_begin(b, target);
  bool named = e->symbol != NULL; /* which command it is may be known only at run time */
  uint32_t name = named ? const_name(b->e, e->symbol->name) : NONE_INDEX;
  Ask a = {kind, name, named ? name : const_text(b->e, STR(""))};
  expr_to(b, e->operand, reg_take(b), USE_OWN);
  uint8_t options = reg_take(b);
  if (e->right != NULL) expr_to(b, e->right, options, USE_OWN);
  else emit(b, OP_LOADNIL, options, 0, 0);
  ask(b, &a, base, 2, e->because, e->span);
  landed(b, base, target);
}

void dispatch_to(Body *b, Expr *e, uint8_t target) { asked_to(b, e, target, EFFECT_DISPATCH); }

void enqueue_to(Body *b, Expr *e, uint8_t target) { asked_to(b, e, target, EFFECT_ENQUEUE); }

/* ---- await, start ---- */

static void await_signal(Body *b, Expr *e, uint8_t base) {
  uint32_t name = const_name(b->e, e->name);
  Ask a = {EFFECT_SIGNAL_WAIT, name, name};
  uint8_t reg = reg_take(b);
  if (e->high != NULL) expr_to(b, e->high, reg, USE_OWN);
  else emit(b, OP_LOADNIL, reg, 0, 0);
  ask(b, &a, base, 1, e->because, e->span);
}

void await_to(Body *b, Expr *e, uint8_t target) {
  uint8_t base = window_begin(b, target);
  if (e->op == AWAIT_SIGNAL) {
    await_signal(b, e, base);
  } else {
    uint8_t kind = e->op == AWAIT_HANDLE ? EFFECT_RUN_AWAIT
                   : e->op == AWAIT_ALL  ? EFFECT_AWAIT_ALL
                                         : EFFECT_AWAIT_ANY;
    Ask a = {kind, NONE_INDEX, 0};
    expr_to(b, e->operand, reg_take(b), USE_OWN);
    ask(b, &a, base, 1, e->because, e->span);
  }
  landed(b, base, target);
}

void start_to(Body *b, Expr *e, uint8_t target) {
  Expr *call = e->operand;
  uint8_t base = window_begin(b, target);
  if (call->kind == EXPR_CALL && call->symbol != NULL && call->symbol->kind == SYMBOL_WORKFLOW) {
    Ask a = {EFFECT_RUN_START, const_name(b->e, call->symbol->name),
             workflow_index(b->e, call->symbol->decl)};
    uint32_t count = args_to(b, call->args, USE_OWN);
    ask(b, &a, base, count, e->because != NULL ? e->because : call->because, e->span);
  }
  landed(b, base, target);
}

/* ---- branches ---- */

static uint32_t branches_to(Body *b, Stmt *branches) {
  uint32_t count = 0;
  for (Stmt *s = branches; s != NULL; s = s->next, count++) closure_to(b, s->function, reg_take(b));
  return count;
}

void race_to(Body *b, Expr *e, uint8_t target) {
  uint8_t base = window_begin(b, target);
  uint32_t count = branches_to(b, e->body);
  place_at(b, e->span);
  b->effects = true;
  emit(b, OP_PARALLEL, base, count, 2);
  landed(b, base, target);
}

/* What is walked becomes a list, if it is not surely one. */
static void list_of(Body *b, Expr *iter, uint8_t reg) {
  const Symbol *native = native_symbol(iter);
  bool lazy = native != NULL && native->native == NATIVE_core_range;
  expr_to(b, iter, reg, USE_OWN);
  if (!lazy && iter->type != NULL && iter->type->kind == TYPE_LIST) return;
  uint16_t mark = b->next;
  uint8_t window = reg_take(b);
  emit(b, OP_MOVE, window, reg, 0);
  native_call(b, NATIVE_list_from, window, 1);
  emit(b, OP_MOVE, reg, window, 0);
  regs_release(b, mark);
}

void parallel_for_to(Body *b, Expr *e, uint8_t target) {
  uint8_t base = window_begin(b, target), list = regs_take(b, 3);
  list_of(b, e->iter, list);
  closure_to(b, e->function, (uint8_t)(list + 1));
  if (e->high != NULL) expr_to(b, e->high, (uint8_t)(list + 2), USE_BORROW);
  else emit(b, OP_LOADNIL, list + 2u, 0, 0);
  place_at(b, e->span);
  b->effects = true;
  emit(b, OP_PARFOR, list, e->settle, 0);
  landed(b, base, target);
}

/* What a branch assigned goes to the variables outside. */
static void result_out(Body *b, Symbol *target, uint8_t list, uint32_t index) {
  bool born;
  uint8_t reg = var_target(b, target, &born);
  uint16_t mark = b->next;
  uint8_t key = reg_take(b);
  load_int(b, key, index);
  emit(b, OP_GETI, reg, list, key);
  regs_release(b, mark);
  if (born) var_born(b, reg);
}

static void branch_results(Body *b, const Function *fn, uint8_t results, uint32_t index) {
  if (fn->result_count == 1) {
    if (fn->result_targets[0] != NULL) result_out(b, fn->result_targets[0], results, index);
    return;
  }
  uint8_t key = reg_take(b), list = reg_take(b);
  load_int(b, key, index);
  emit(b, OP_GETI, list, results, key);
  for (uint32_t i = 0; i < fn->result_count; i++) {
    if (fn->result_targets[i] != NULL) result_out(b, fn->result_targets[i], list, i);
  }
}

void parallel_stmt(Body *b, Stmt *s) {
  uint16_t mark = b->next;
  uint32_t count = branches_to(b, s->body), index = 0;
  if (count == 0) return;
  place_at(b, s->span);
  b->effects = true;
  emit(b, OP_PARALLEL, mark, count, s->settle);
  for (Stmt *branch = s->body; branch != NULL; branch = branch->next, index++) {
    if (branch->function->result_count > 0)
      branch_results(b, branch->function, (uint8_t)mark, index);
  }
  regs_release(b, mark);
}

/* ---- people, forms, budgets ---- */

void approve_to(Body *b, Expr *e, uint8_t target) {
  uint8_t base = window_begin(b, target);
  Ask a = {EFFECT_APPROVE, const_name(b->e, e->symbol->name), tool_index(b->e, e->symbol->decl)};
  expr_to(b, e->left, reg_take(b), USE_OWN);
  if (e->high != NULL) expr_to(b, e->high, reg_take(b), USE_OWN);
  else emit(b, OP_LOADNIL, reg_take(b), 0, 0);
  expr_to(b, e->operand, reg_take(b), USE_OWN);
  ask(b, &a, base, 3, NULL, e->span);
  landed(b, base, target);
}

void fit_to(Body *b, Expr *e, uint8_t target) {
  uint8_t base = window_begin(b, target);
  Ask a = {EFFECT_FIT, const_name(b->e, e->name), shape_index(b->e, e->symbol->type->decl)};
  expr_to(b, e->operand, reg_take(b), USE_OWN);
  ask(b, &a, base, 1, NULL, e->span);
  landed(b, base, target);
}

void budget_effect(Body *b, Stmt *s) {
  uint16_t mark = b->next;
  bool begins = s->kind == STMT_BUDGET;
  Ask a = {begins ? EFFECT_BUDGET : EFFECT_BUDGET_END, NONE_INDEX, 0};
  if (begins) expr_to(b, s->value, reg_take(b), USE_OWN);
  ask(b, &a, (uint8_t)mark, begins, NULL, s->span);
  regs_release(b, mark);
}

/* ---- statements ---- */

static void signal_stmt(Body *b, Stmt *s, uint8_t base) {
  uint32_t name = const_name(b->e, s->name);
  Ask a = {EFFECT_SIGNAL_SEND, name, name};
  uint8_t value = reg_take(b);
  if (s->value != NULL) expr_to(b, s->value, value, USE_OWN);
  else emit(b, OP_LOADNIL, value, 0, 0);
  expr_to(b, s->cond, reg_take(b), USE_OWN);
  ask(b, &a, base, 2, s->because, s->span);
}

static void one_operand(Body *b, Stmt *s, uint8_t kind, uint8_t base) {
  Ask a = {kind, NONE_INDEX, 0};
  expr_to(b, s->value, reg_take(b), USE_OWN);
  ask(b, &a, base, 1, s->because, s->span);
}

/* In a job's own body: `cancel "why"`. */
static bool gives_up(const Body *b, const Stmt *s) {
  const Type *type = s->value->type;
  return b->fn->kind == FNKIND_JOB && (type == NULL || type->kind != TYPE_HANDLE);
}

static void last_of_job(Body *b, Stmt *s, uint8_t kind, uint8_t base) {
  one_operand(b, s, kind, base);
  emit(b, OP_RETNIL, 0, 0, 0); /* never reached: this attempt is over */
}

void effect_stmt(Body *b, Stmt *s) {
  uint16_t mark = b->next;
  uint8_t base = (uint8_t)mark;
  if (s->kind == STMT_SLEEP) {
    one_operand(b, s, EFFECT_SLEEP, base);
  } else if (s->kind == STMT_SNOOZE) {
    last_of_job(b, s, EFFECT_SNOOZE, base);
  } else if (s->kind == STMT_CANCEL && gives_up(b, s)) {
    last_of_job(b, s, EFFECT_GIVE_UP, base);
  } else if (s->kind == STMT_CANCEL) {
    one_operand(b, s, EFFECT_RUN_CANCEL, base);
  } else if (s->kind == STMT_SIGNAL) {
    signal_stmt(b, s, base);
  } else {
    Ask a = {EFFECT_CONTINUE_AS_NEW, NONE_INDEX, 0};
    uint32_t count = args_to(b, s->args, USE_OWN);
    ask(b, &a, base, count, s->because, s->span);
    emit(b, OP_RETNIL, 0, 0, 0); /* never reached: this generation is over */
  }
  regs_release(b, mark);
}
