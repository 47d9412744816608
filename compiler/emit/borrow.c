/* Which variables may hold a part of another one's value without marking it shared.
**
** `b = bodies[i]` gives the record a second home, so that `bodies[i].x = 1` would copy
** it from then on. But where b is only looked at, and for the last time before
** anything is updated by way of `bodies`, nobody can tell: b then borrows.
**
** The function is walked once in the order of its text. A read inside a loop that
** does not hold the assignment counts as one at the end of the outermost such loop:
** the next round would come back to it. */
#include "compiler/emit/emitter.h"

enum { DEPTH_MAX = 64, UPDATES_SEEN = 200 };

typedef struct LoopMark {
  uint32_t end;
} LoopMark;

typedef struct Loan { /* a variable assigned once, a part of another one */
  Symbol *symbol, *root;
  uint32_t begin, last, depth;
  LoopMark *last_loop;
  bool good;
} Loan;

typedef struct Update { /* something reached from `root` changes in place */
  const Symbol *root;
  uint32_t at;
} Update;

typedef struct Survey {
  Emitter *e;
  const Expr *root; /* the statement's whole value: a change by itself is its last act */
  bool nested;      /* some change is only a part of its statement: see careful_begin */
  uint32_t now, depth;
  LoopMark *loops[DEPTH_MAX];
  Loan *loans;
  uint32_t loan_count, loan_cap;
  Update *updates;
  uint32_t update_count, update_cap;
} Survey;

/* ---- the walk ---- */

static void look(Expr *e, void *context);
static void look_block(Survey *s, Stmt *stmt);

static Symbol *root_of(const Expr *path) {
  while (path->kind == EXPR_MEMBER || path->kind == EXPR_INDEX) path = path->left;
  bool variable =
      path->kind == EXPR_NAME && path->symbol != NULL && path->symbol->kind == SYMBOL_VARIABLE;
  return variable ? path->symbol : NULL;
}

static void note_update(Survey *s, const Expr *path) {
  const Symbol *root = root_of(path);
  if (root == NULL) return;
  *PUSH_ITEM(s->e, s->updates, s->update_count, s->update_cap) = (Update){root, ++s->now};
}

static void note_read(Survey *s, const Symbol *symbol) {
  if (symbol == NULL || symbol->kind != SYMBOL_VARIABLE || symbol->index == 0) return;
  Loan *loan = &s->loans[symbol->index - 1];
  loan->last = ++s->now;
  if (s->depth > loan->depth) loan->last_loop = s->loops[loan->depth];
}

static void loop_open(Survey *s) {
  if (s->depth < DEPTH_MAX) s->loops[s->depth] = ARENA_NEW(s->e->arena, LoopMark);
  s->depth++;
}

static void loop_close(Survey *s) {
  s->depth--;
  if (s->depth < DEPTH_MAX) s->loops[s->depth]->end = ++s->now;
}

static void look_one(Survey *s, Expr *e) {
  if (e != NULL) look(e, s);
}

static void look_comprehension(Survey *s, Expr *e) {
  look_one(s, e->iter);
  loop_open(s);
  look_one(s, e->cond);
  look_one(s, e->operand);
  loop_close(s);
}

static void look(Expr *e, void *context) {
  Survey *s = context;
  if (e->kind == EXPR_NAME) {
    note_read(s, e->symbol);
  } else if (e->kind == EXPR_COMPREHENSION) {
    look_comprehension(s, e);
  } else {
    expr_parts(e, look, s);
    const Expr *changed = e->kind == EXPR_CALL ? call_changes(e) : NULL;
    if (changed != NULL) note_update(s, changed);
    if (changed != NULL && e != s->root) s->nested = true;
  }
}

/* ---- statements ---- */

static bool lends(const Survey *s, const Stmt *stmt) {
  const Expr *target = stmt->target, *value = stmt->value;
  if (stmt->op != 0 || target->kind != EXPR_NAME || s->depth >= DEPTH_MAX) return false;
  const Symbol *v = target->symbol;
  if (v == NULL || v->kind != SYMBOL_VARIABLE || v->writes != 1 || v->changed || v->captured ||
      v->parameter)
    return false;
  bool part = value->kind == EXPR_INDEX ||
              (value->kind == EXPR_MEMBER && value->resolution != MEMBER_SYMBOL);
  const Symbol *root = part ? root_of(value) : NULL;
  return root != NULL && root != v && v->index == 0 && !type_plain(value->type);
}

static void lend(Survey *s, const Stmt *stmt) {
  Loan loan = {.symbol = stmt->target->symbol,
               .root = root_of(stmt->value),
               .begin = ++s->now,
               .depth = s->depth};
  *PUSH_ITEM(s->e, s->loans, s->loan_count, s->loan_cap) = loan;
  loan.symbol->index = s->loan_count;
}

static void look_target(Survey *s, Expr *target) {
  if (target->kind == EXPR_MEMBER || target->kind == EXPR_INDEX) {
    look(target, s);
    note_update(s, target);
  } else if (target->kind == EXPR_LIST) {
    for (Expr *item = target->first; item != NULL; item = item->next) look_target(s, item);
  } else if (target->kind == EXPR_MAP) {
    for (Arg *arg = target->args; arg != NULL; arg = arg->next) look_target(s, arg->value);
  }
}

static void look_assign(Survey *s, Stmt *stmt) {
  s->root = stmt->value;
  look_one(s, stmt->value);
  look_target(s, stmt->target);
  if (stmt->target->kind == EXPR_NAME && stmt->op > 0) {
    look(stmt->target, s);
    note_update(s, stmt->target);
  }
  if (lends(s, stmt)) lend(s, stmt);
}

static void look_arms(Survey *s, Arm *arm) {
  for (; arm != NULL; arm = arm->next) {
    s->root = NULL;
    look_one(s, arm->guard);
    look_block(s, arm->body);
  }
}

static void look_loop(Survey *s, Stmt *stmt) {
  s->root = NULL;
  look_one(s, stmt->value);
  loop_open(s);
  look_one(s, stmt->cond);
  look_block(s, stmt->body);
  loop_close(s);
}

static void look_stmt(Survey *s, Stmt *stmt) {
  if (stmt->kind == STMT_ASSIGN) {
    look_assign(s, stmt);
    return;
  }
  if (stmt->kind == STMT_FOR || stmt->kind == STMT_WHILE || stmt->kind == STMT_LOOP) {
    look_loop(s, stmt);
    return;
  }
  if (stmt->kind == STMT_PARALLEL) return;
  s->root = stmt->kind == STMT_EXPR ? stmt->value : NULL;
  look_one(s, stmt->value);
  look_one(s, stmt->cond);
  look_one(s, stmt->because);
  for (Arg *arg = stmt->args; arg != NULL; arg = arg->next) look_one(s, arg->value);
  look_block(s, stmt->body);
  look_block(s, stmt->otherwise);
  look_arms(s, stmt->arms);
  look_block(s, stmt->final);
}

static void look_block(Survey *s, Stmt *stmt) {
  for (; stmt != NULL; stmt = stmt->next) look_stmt(s, stmt);
}

/* ---- the verdict ---- */

static uint32_t first_after(const Survey *s, uint32_t at) {
  uint32_t low = 0, high = s->update_count;
  while (low < high) {
    uint32_t middle = low + (high - low) / 2;
    if (s->updates[middle].at <= at) low = middle + 1;
    else high = middle;
  }
  return low;
}

/* Whether something is updated by way of `root`, or of what root itself borrows from, while the
 * loan runs. */
static bool updated(const Survey *s, const Loan *loan, const Symbol *root) {
  uint32_t last = loan->last, seen = 0;
  if (loan->last_loop != NULL && loan->last_loop->end > last) last = loan->last_loop->end;
  for (int links = 0; root != NULL; links++) {
    if (links > 8) return true;
    for (uint32_t i = first_after(s, loan->begin); i < s->update_count && s->updates[i].at <= last;
         i++) {
      if (s->updates[i].root == root || ++seen > UPDATES_SEEN) return true;
    }
    root =
        root->index != 0 && s->loans[root->index - 1].good ? s->loans[root->index - 1].root : NULL;
  }
  return false;
}

void borrows_find(Body *b) {
  Survey s = {.e = b->e};
  if (b->fn->single || b->fn->body == NULL) return;
  look_block(&s, b->fn->body);
  b->careless = !s.nested;
  for (uint32_t i = 0; i < s.loan_count; i++)
    s.loans[i].good = !updated(&s, &s.loans[i], s.loans[i].root);
  for (uint32_t i = 0; i < s.loan_count; i++) s.loans[i].symbol->index = s.loans[i].good;
}
