/* What is known of variables along the paths through a body: whether each is set
** and what it holds. A level is a stretch of a path; the first change of a
** variable in it saves the state before, so that leaving costs only what changed.
** Paths that meet again are merged: set if set on all, of the joined type.
**
** Loops are walked once: before it, loop_begin forgets what the loop may change. */
#include "compiler/check/checker.h"

Level flow_open(Checker *c) {
  Level level = {c->trail_count, c->level};
  c->level = ++c->level_next;
  return level;
}

static void flow_save(Checker *c, Variable *v) {
  if (v->level == c->level) return;
  GROW(c, c->trail, c->trail_count, c->trail_cap);
  c->trail[c->trail_count++] = (Saved){v, v->flow, v->set, v->level};
  v->level = c->level;
}

void flow_set(Checker *c, Variable *v, Type *type) {
  flow_save(c, v);
  v->flow = type;
  v->set = true;
  v->symbol.type = type_join(c->types, v->symbol.type, type);
}

/* Same value, better known. */
void flow_narrow(Checker *c, Variable *v, Type *type) {
  if (v->flow == type) return;
  flow_save(c, v);
  v->flow = type;
}

void flow_drop(Checker *c, Level level) {
  while (c->trail_count > level.mark) {
    Saved *s = &c->trail[--c->trail_count];
    s->variable->flow = s->flow;
    s->variable->set = s->set;
    s->variable->level = s->level;
  }
  c->level = level.outer;
}

/* The outer level takes the changes over: what it had not saved itself it saves now, with the older
 * state. */
void flow_keep(Checker *c, Level level) {
  uint32_t kept = level.mark;
  for (uint32_t i = level.mark; i < c->trail_count; i++) {
    Saved *s = &c->trail[i];
    s->variable->level = level.outer;
    if (s->level != level.outer) c->trail[kept++] = *s;
  }
  c->trail_count = kept;
  c->level = level.outer;
}

/* ---- merging paths ---- */

/* Merges nest, but a break reaches over those between it and its loop: then the item is looked for.
 */
static Merged *merge_find(Merge *m, const Variable *v) {
  if (!v->merge) return NULL;
  if (v->merge == m && v->merge_index < m->count && m->items[v->merge_index].variable == v) {
    return &m->items[v->merge_index];
  }
  for (uint32_t i = 0; i < m->count; i++) {
    if (m->items[i].variable == v) return &m->items[i];
  }
  return NULL;
}

static Merged *merge_item(Checker *c, Merge *m, Variable *v) {
  Merged *found = merge_find(m, v);
  if (found) return found;
  GROW(c, m->items, m->count, m->cap);
  m->items[m->count] =
      (Merged){.variable = v, .set = true, .outer = v->merge, .outer_index = v->merge_index};
  v->merge = m;
  v->merge_index = m->count;
  return &m->items[m->count++];
}

/* The state reached now joins, as one more path since the level. */
void merge_copy(Checker *c, Merge *m, Level level) {
  if (!c->frame->reachable) return;
  m->paths++;
  for (uint32_t i = level.mark; i < c->trail_count; i++) {
    Variable *v = c->trail[i].variable;
    Merged *item = merge_item(c, m, v);
    if (item->last == m->paths) continue; /* saved at several levels: its state now counts once */
    item->last = m->paths;
    item->paths++;
    item->set = item->set && v->set;
    item->flow = type_join(c->types, item->flow, v->flow);
  }
}

void merge_path(Checker *c, Merge *m, Level level) {
  merge_copy(c, m, level);
  flow_drop(c, level);
}

void merge_end(Checker *c, Merge *m) {
  c->frame->reachable = m->paths > 0;
  for (uint32_t i = 0; i < m->count; i++) {
    Merged *item = &m->items[i];
    Variable *v = item->variable;
    bool everywhere = item->paths == m->paths;
    flow_save(c, v);
    v->set = item->set && (everywhere || v->set);
    v->flow = everywhere ? item->flow : type_join(c->types, item->flow, v->flow);
    v->merge = item->outer;
    v->merge_index = item->outer_index;
  }
}

/* ---- what a loop may change ---- */

static void collect_block(Checker *c, Changes *out, Stmt *body);
static void collect_expr(Checker *c, Changes *out, Expr *e);

static Name *path_root(const Expr *e) {
  while (e && (e->kind == EXPR_MEMBER || e->kind == EXPR_INDEX)) e = e->left;
  return e && e->kind == EXPR_NAME ? e->name : NULL;
}

static void collect_change(Checker *c, Changes *out, Name *name, Change change) {
  if (!name) return;
  change.name = name;
  GROW(c, out->items, out->count, out->cap);
  out->items[out->count++] = change;
}

static void collect_target(Checker *c, Changes *out, Expr *target) {
  if (!target) return;
  if (target->kind == EXPR_NAME)
    collect_change(c, out, target->name, (Change){.span = target->span});
  else if (target->kind == EXPR_SPREAD) collect_target(c, out, target->operand);
  else if (target->kind == EXPR_LIST) {
    for (Expr *e = target->first; e; e = e->next) collect_target(c, out, e);
  } else if (target->kind == EXPR_MAP) {
    for (Arg *a = target->args; a; a = a->next) collect_target(c, out, a->value);
  } else collect_change(c, out, path_root(target), (Change){.in_place = true, .path = target});
}

static void collect_args(Checker *c, Changes *out, Arg *args) {
  for (; args; args = args->next) {
    collect_expr(c, out, args->key);
    collect_expr(c, out, args->value);
  }
}

static void collect_call(Checker *c, Changes *out, Expr *e) {
  if (e->left && e->left->kind == EXPR_MEMBER && method_changes(c, e->left->name->text)) {
    collect_change(c, out, path_root(e->left->left), (Change){.in_place = true, .path = e->left->left});
    if (e->args)
      collect_change(c, out, path_root(e->args->value),
                     (Change){.in_place = true}); /* list.push(xs, v) */
  }
  collect_args(c, out, e->args);
}

static void collect_expr(Checker *c, Changes *out, Expr *e) {
  for (; e && c->depth < 400; e = e->left) {
    if (e->kind == EXPR_NAME || e->kind <= EXPR_STRING) return;
    c->depth++;
    if (e->kind == EXPR_CALL) collect_call(c, out, e);
    if (e->kind == EXPR_MAP) collect_args(c, out, e->args);
    if (e->kind == EXPR_RACE || e->kind == EXPR_PARALLEL_FOR) collect_block(c, out, e->body);
    for (Expr *item = e->first; item; item = item->next) collect_expr(c, out, item);
    collect_expr(c, out, e->right);
    collect_expr(c, out, e->operand);
    collect_expr(c, out, e->iter);
    collect_expr(c, out, e->cond);
    c->depth--;
  }
}

static void collect_statement(Checker *c, Changes *out, Stmt *s);

static void collect_loop(Checker *c, Changes *out, Stmt *s) {
  GROW(c, out->loops, out->loop_count, out->loop_cap);
  uint32_t at = out->loop_count++;
  out->loops[at] = (LoopChanges){s, out->count, 0};
  collect_block(c, out, s->body);
  if (s->kind == STMT_WHILE) collect_expr(c, out, s->cond);
  out->loops[at].end = out->count;
}

static void collect_assign(Checker *c, Changes *out, Stmt *s) {
  if (s->target && s->target->kind == EXPR_NAME) {
    collect_change(c, out, s->target->name,
                   (Change){.value = s->value, .span = s->target->span, .op = s->op});
  } else collect_target(c, out, s->target);
}

static void collect_statement(Checker *c, Changes *out, Stmt *s) {
  if (s->kind == STMT_FOR || s->kind == STMT_WHILE || s->kind == STMT_LOOP) {
    collect_loop(c, out, s);
    return;
  }
  if (s->kind == STMT_ASSIGN) collect_assign(c, out, s);
  collect_expr(c, out, s->value);
  collect_expr(c, out, s->cond);
  collect_args(c, out, s->args);
  collect_block(c, out, s->body);
  collect_block(c, out, s->final);
  for (Arm *arm = s->arms; arm; arm = arm->next) {
    collect_expr(c, out, arm->guard);
    collect_block(c, out, arm->body);
  }
}

/* An elif chain is walked as a list: it may be long. */
static void collect_block(Checker *c, Changes *out, Stmt *body) {
  for (; body; body = body->next) {
    collect_statement(c, out, body);
    for (Stmt *s = body->otherwise; s; s = s->otherwise) {
      if (s->kind != STMT_IF || s->next) {
        collect_block(c, out, s);
        break;
      }
      collect_expr(c, out, s->cond);
      collect_block(c, out, s->body);
    }
  }
}

static LoopChanges *changes_find(Changes *changes, const Stmt *loop) {
  for (uint32_t i = changes->cursor; i < changes->loop_count; i++) {
    if (changes->loops[i].loop == loop) return changes->cursor = i, &changes->loops[i];
  }
  return NULL;
}

/* What a call of a name surely gives: the result that function declares. NULL: not known yet. */
static Type *declared_result(Checker *c, const Expr *e) {
  const Symbol *f = e->kind == EXPR_CALL && e->left->kind == EXPR_NAME ? e->left->name->binding : NULL;
  bool known = f && f->kind == SYMBOL_FN && f->decl && f->decl->type && f->decl->type->kind == TEXPR_NAME;
  return known ? type_resolve(c, f->decl->type) : NULL;
}

/* Whether `value`, assigned with `op`, surely leaves in a variable of type `had` a value of that
 * same type. */
static bool change_keeps(Checker *c, const Type *had, const Change *change) {
  const Expr *e = change->value;
  if (!e) return false;
  bool sum = change->op == BIN_ADD + 1 || change->op == BIN_SUB + 1;
  if (sum && had->kind == TYPE_FLOAT) return true; /* a float, whatever is added, or it faults */
  if ((sum || !change->op) && declared_result(c, e) == had) return had->kind == TYPE_INT || !change->op;
  if (change->op == BIN_ADD + 1 && had->kind == TYPE_STRING) return true; /* or it faults */
  if (change->op == BIN_DIV + 1 || change->op == BIN_COALESCE + 1) return false;
  switch (e->kind) {
    case EXPR_INT:
      return had->kind == TYPE_INT || (had->kind == TYPE_DECIMAL && change->op);
    case EXPR_FLOAT:
      return had->kind == TYPE_FLOAT;
    case EXPR_DECIMAL:
      return had->kind == TYPE_DECIMAL;
    case EXPR_STRING:
    case EXPR_INTERP:
      return had->kind == TYPE_STRING && !change->op;
    case EXPR_BOOL:
      return had->kind == TYPE_BOOL;
    case EXPR_BINARY:
      if (e->op >= BIN_EQ && e->op <= BIN_NOT_IN) return had->kind == TYPE_BOOL;
      return e->op <= BIN_MUL && had->kind == TYPE_INT && e->left->kind == EXPR_NAME &&
             e->left->name == change->name && e->right->kind == EXPR_INT && !change->op;
    default:
      return false;
  }
}

static Type *type_loosened(Checker *c, Type *t) {
  if (t->kind == TYPE_LIST) return c->t_list;
  if (t->kind == TYPE_MAP) return c->t_map;
  return t->kind == TYPE_RECORD ? t : c->t_any;
}

/* Whether the path goes through a field of a declared record, which keeps its type whatever changes in it. */
static Type *path_type(Checker *c, Type *root, const Expr *path, bool *record) {
  if (path->kind == EXPR_NAME) return root;
  if (path->kind != EXPR_MEMBER && path->kind != EXPR_INDEX) return c->t_any;
  Type *t = path_type(c, root, path->left, record);
  if (t->kind == TYPE_RECORD && path->kind == EXPR_MEMBER) *record = true;
  return t->kind == TYPE_LIST || t->kind == TYPE_MAP ? t->elem : c->t_any;
}

static Type *changed_within(Checker *c, Type *t, const Change *change) {
  bool record = false;
  if (change->path) path_type(c, t, change->path, &record);
  return record ? t : type_loosened(c, t);
}

static void forget(Checker *c, const Change *change) {
  Symbol *symbol = change->name->binding;
  if (!symbol || symbol->kind != SYMBOL_VARIABLE || symbol->owner != current_function(c)) return;
  Variable *v = (Variable *)symbol;
  if (!v->flow || v->flow == c->t_any) return;
  if (v->declared)
    flow_narrow(c, v, change->in_place ? changed_within(c, v->declared, change) : v->declared);
  else if (change->in_place) flow_narrow(c, v, changed_within(c, v->flow, change));
  else if (!change_keeps(c, v->flow, change)) flow_narrow(c, v, c->t_any);
  v->symbol.type = type_join(c->types, v->symbol.type, v->flow);
}

void loop_begin(Checker *c, Stmt *loop) {
  Frame *frame = c->frame;
  LoopChanges *found = frame->changes ? changes_find(frame->changes, loop) : NULL;
  if (!found) {
    frame->changes = ARENA_NEW(c->arena, Changes);
    collect_loop(c, frame->changes, loop);
    found = &frame->changes->loops[0];
  }
  for (uint32_t i = found->first; i < found->end; i++) forget(c, &frame->changes->items[i]);
}

/* Changes of the outermost loop serve the inner ones; a new outermost one collects its own. */
void loop_end(Checker *c, Stmt *loop) {
  Changes *changes = c->frame->changes;
  if (changes && changes->loop_count && changes->loops[0].loop == loop) c->frame->changes = NULL;
}

bool assigned_somewhere(Checker *c, const Name *name, Span *where) {
  Changes all = {0};
  collect_block(c, &all, current_function(c)->body);
  for (uint32_t i = 0; i < all.count; i++) {
    if (all.items[i].name != name || all.items[i].in_place) continue;
    *where = all.items[i].span;
    return true;
  }
  return false;
}

/* ---- narrowing by conditions ---- */

static Variable *narrowable(Checker *c, const Expr *e) {
  if (e->kind != EXPR_NAME || !e->symbol || e->symbol->kind != SYMBOL_VARIABLE) return NULL;
  Variable *v = (Variable *)e->symbol;
  return v->symbol.owner == current_function(c) && v->flow ? v : NULL;
}

static void narrow_nil(Checker *c, const Expr *e, bool nil) {
  Variable *v = narrowable(c, e);
  if (!v) return;
  if (!nil) flow_narrow(c, v, type_without_nil(c, v->flow));
  else if (v->flow->kind == TYPE_UNION) flow_narrow(c, v, c->t_nil);
}

void narrow_condition(Checker *c, Expr *cond, bool truth) {
  if (cond->kind == EXPR_UNARY && cond->op == UNARY_NOT) {
    narrow_condition(c, cond->operand, !truth);
  } else if (cond->kind == EXPR_BINARY && cond->op == (truth ? BIN_AND : BIN_OR)) {
    narrow_condition(c, cond->left, truth);
    narrow_condition(c, cond->right, truth);
  } else if (cond->kind == EXPR_BINARY && (cond->op == BIN_EQ || cond->op == BIN_NE)) {
    bool equal = (cond->op == BIN_EQ) == truth;
    if (cond->right->kind == EXPR_NIL) narrow_nil(c, cond->left, equal);
    else if (cond->left->kind == EXPR_NIL) narrow_nil(c, cond->right, equal);
  }
}
