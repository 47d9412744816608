/* Builders of statements. */
#include "compiler/front/ast_build.h"

static Stmt *stmt_new(Build *b, StmtKind kind, Span span) {
  Stmt *s = ARENA_NEW(b->arena, Stmt);
  s->kind = kind;
  s->span = span;
  return s;
}

/* A header's span: its word up to the last thing before the colon. */
static Stmt *header_new(Build *b, StmtKind kind, Tok t, const Expr *last, Stmt *body) {
  Stmt *s = stmt_new(b, kind, last ? span_join(t.span, last->span) : t.span);
  s->body = body;
  return s;
}

StmtList ast_stmts(Stmt *stmt) { return (StmtList){stmt, stmt}; }

StmtList ast_stmts_add(StmtList list, Stmt *stmt) {
  list.last->next = stmt;
  list.last = stmt;
  return list;
}

void ast_unit_stmt(Build *b, Stmt *stmt) {
  if (b->last_stmt) b->last_stmt->next = stmt;
  else b->unit->script = stmt;
  b->last_stmt = stmt;
}

Stmt *ast_bad(Build *b, Tok t, Stmt *body) {
  Stmt *s = stmt_new(b, STMT_BAD, t.span);
  s->body = body;
  return s;
}

/* ---- simple statements ---- */

Stmt *ast_stmt_expr(Build *b, Expr *value) {
  Stmt *s = stmt_new(b, STMT_EXPR, value->span);
  s->value = value;
  return s;
}

static bool is_name(const Expr *e) { return e && e->kind == EXPR_NAME && !e->parenthesised; }

static const Expr *bad_list_target(const Expr *list) {
  const Expr *rest = NULL;
  for (const Expr *e = list->first; e; e = e->next) {
    bool spread = e->kind == EXPR_SPREAD;
    if (spread && rest) return e;
    if (spread) rest = e;
    if (spread ? e->operand && !is_name(e->operand) : !is_name(e)) return e;
  }
  return NULL;
}

static const Expr *bad_map_target(const Expr *map) {
  for (const Arg *arg = map->args; arg; arg = arg->next) {
    bool keyed = arg->name || (arg->key && arg->key->kind == EXPR_STRING);
    if (!keyed || !is_name(arg->value)) return arg->value;
  }
  return NULL;
}

/* What stands left of `=` is read as an expression first; this says which ones are places. */
static void check_target(Build *b, const Expr *target) {
  const Expr *bad = target;
  switch (target->kind) {
    case EXPR_NAME:
    case EXPR_BAD:
      return;
    case EXPR_MEMBER:
    case EXPR_INDEX:
      if (!target->safe) return;
      DIAG_ADD0(b->diags, DIAG_SAFE_TARGET, target->span);
      return;
    case EXPR_LIST:
      bad = bad_list_target(target);
      break;
    case EXPR_MAP:
      bad = bad_map_target(target);
      break;
    case EXPR_CALL: {
      Diag *diag = DIAG_ADD0(b->diags, DIAG_ASSIGN_TARGET, target->span);
      diag_label(diag, STR("the result of a call is a value, not a place"));
      return;
    }
    default:
      break;
  }
  if (bad) DIAG_ADD0(b->diags, DIAG_ASSIGN_TARGET, bad->span);
}

Stmt *ast_assign(Build *b, Expr *target, TypeExpr *type) {
  check_target(b, target);
  Stmt *s = stmt_new(b, STMT_ASSIGN, target->span);
  s->target = target;
  s->type = type;
  if (type && target->kind != EXPR_NAME) DIAG_ADD0(b->diags, DIAG_TYPED_TARGET, target->span);
  return s;
}

Stmt *ast_assign_value(Build *b, Stmt *assign, Expr *value) {
  (void)b;
  assign->span = span_join(assign->span, value->span);
  assign->value = value;
  return assign;
}

Stmt *ast_assign_op(Build *b, Expr *target, Tok op, Expr *value) {
  Stmt *s = ast_assign(b, target, NULL);
  if (target->kind == EXPR_LIST || target->kind == EXPR_MAP) {
    DIAG_ADD0(b->diags, DIAG_ASSIGN_TARGET, target->span);
  }
  s->op = (uint8_t)op.op;
  return ast_assign_value(b, s, value);
}

Stmt *ast_word_stmt(Build *b, StmtKind kind, Tok t) { return stmt_new(b, kind, t.span); }

Stmt *ast_return(Build *b, Tok t, Expr *value) {
  Stmt *s = header_new(b, STMT_RETURN, t, value, NULL);
  s->value = value;
  return s;
}

Stmt *ast_assert(Build *b, Tok t, Expr *cond, Expr *message) {
  Stmt *s = header_new(b, STMT_ASSERT, t, message ? message : cond, NULL);
  s->cond = cond;
  s->value = message;
  return s;
}

static void check_raise(Build *b, const Arg *arg) {
  Name *message = name_intern(b->names, STR("message")), *data = name_intern(b->names, STR("data"));
  const Arg *seen[2] = {NULL, NULL};
  for (; arg; arg = arg->next) {
    Span span = arg->name ? arg->name_span : arg->value->span;
    bool known = arg->name && (arg->name == message || arg->name == data);
    size_t which = arg->name == data;
    if (!known || seen[which]) DIAG_ADD0(b->diags, DIAG_RAISE_ARGUMENT, span);
    if (known) seen[which] = arg;
  }
}

Stmt *ast_raise(Build *b, Tok t, Expr *code, ArgList args) {
  Stmt *s = header_new(b, STMT_RAISE, t, args.last ? args.last->value : code, NULL);
  s->value = code;
  s->args = args.first;
  check_raise(b, args.first);
  return s;
}

Stmt *ast_asking(Build *b, StmtKind kind, Tok t, Expr *value, Expr *because) {
  Stmt *s = header_new(b, kind, t, value, NULL);
  s->value = value;
  s->because = because;
  return s;
}

Stmt *ast_signal(Build *b, Tok t, Tok name, Expr *value, Expr *handle, Expr *because) {
  Stmt *s = header_new(b, STMT_SIGNAL, t, handle, NULL);
  s->name = name.name;
  s->value = value;
  s->cond = handle;
  s->because = because;
  return s;
}

Stmt *ast_continue_as_new(Build *b, Tok t, ArgList args, Expr *because) {
  Stmt *s = header_new(b, STMT_CONTINUE_AS_NEW, t, args.last ? args.last->value : NULL, NULL);
  s->args = args.first;
  s->because = because;
  return s;
}

/* ---- compound statements ---- */

Stmt *ast_if(Build *b, Tok t, Expr *cond, Stmt *body) {
  Stmt *s = header_new(b, STMT_IF, t, cond, body);
  s->cond = cond;
  return s;
}

/* An elif hangs below the one before, so a chain is as deep as it is long: `op` of the first
** counts what later passes must recurse through. */
StmtList ast_elif(Build *b, StmtList chain, Stmt *elif) {
  if (chain.first->op == UINT8_MAX) {
    DIAG_ADD(b->diags, DIAG_TOO_DEEP, elif->span, STR("255"), STR("elif's after one if"));
    return chain;
  }
  chain.first->op++;
  chain.last->otherwise = elif;
  chain.last = elif;
  return chain;
}

Stmt *ast_else(StmtList chain, Stmt *body) {
  chain.last->otherwise = body;
  return chain.first;
}

Stmt *ast_for(Build *b, Tok t, Field *vars, Expr *value, Stmt *body) {
  Stmt *s = header_new(b, STMT_FOR, t, value, body);
  s->fields = vars;
  s->value = value;
  return s;
}

Stmt *ast_while(Build *b, Tok t, Expr *cond, Stmt *body) {
  Stmt *s = header_new(b, STMT_WHILE, t, cond, body);
  s->cond = cond;
  return s;
}

Stmt *ast_loop(Build *b, Tok t, Expr *max, Stmt *body) {
  Stmt *s = header_new(b, STMT_LOOP, t, max, body);
  s->value = max;
  return s;
}

Stmt *ast_parallel(Build *b, Tok t, Tok settle, Stmt *branches) {
  Stmt *s = header_new(b, STMT_PARALLEL, t, NULL, branches);
  s->settle = settle.span.size > 0;
  return s;
}

Stmt *ast_branch(Build *b, Tok t, Stmt *body) { return header_new(b, STMT_BRANCH, t, NULL, body); }

Stmt *ast_match(Build *b, Tok t, Expr *value, Arm *arms) {
  Stmt *s = header_new(b, STMT_MATCH, t, value, NULL);
  s->value = value;
  s->arms = arms;
  return s;
}

Arm *ast_arm(Build *b, Pattern *pattern, Expr *guard, Stmt *body) {
  Arm *arm = ARENA_NEW(b->arena, Arm);
  arm->span = guard ? span_join(pattern->span, guard->span) : pattern->span;
  arm->pattern = pattern;
  arm->guard = guard;
  arm->body = body;
  return arm;
}

ArmList ast_arms(Arm *arm) { return (ArmList){arm, arm}; }

ArmList ast_arms_add(ArmList list, Arm *arm) {
  if (!arm) return list;
  if (list.last) list.last->next = arm;
  else list.first = arm;
  list.last = arm;
  return list;
}

/* ---- try: catches are put in front while they come, and turned round at the end ---- */

Stmt *ast_try_block(Build *b, Tok t, Stmt *body) { return header_new(b, STMT_TRY, t, NULL, body); }

Stmt *ast_try_catch(Stmt *stmt, Arm *arm) {
  arm->next = stmt->arms;
  stmt->arms = arm;
  return stmt;
}

Arm *ast_catch(Build *b, Tok t, const Tok *name, Expr *guard, Stmt *body) {
  Arm *arm = ARENA_NEW(b->arena, Arm);
  arm->span = guard  ? span_join(t.span, guard->span)
              : name ? span_join(t.span, name->span)
                     : t.span;
  arm->guard = guard;
  arm->body = body;
  if (!name) return arm;
  arm->name = name->name;
  arm->name_span = name->span;
  return arm;
}

static Arm *turned_round(Arm *arms) {
  Arm *turned = NULL;
  while (arms) {
    Arm *next = arms->next;
    arms->next = turned;
    turned = arms;
    arms = next;
  }
  return turned;
}

Stmt *ast_try_end(Build *b, Stmt *stmt) {
  if (!stmt->arms) DIAG_ADD0(b->diags, DIAG_TRY_ALONE, stmt->span);
  stmt->arms = turned_round(stmt->arms);
  return stmt;
}

Stmt *ast_try_finally(Build *b, Stmt *stmt, Stmt *body) {
  (void)b;
  stmt->final = body;
  stmt->arms = turned_round(stmt->arms);
  return stmt;
}
