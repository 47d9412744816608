/* Parts of containers: reading them, and updating them where they stand. An
** update of `m.k[i].f` makes each container on the way unshared within the one
** before, from the variable on, so that nobody else sees it. */
#include "compiler/emit/emitter.h"

void field_get(Body *b, uint8_t target, uint8_t object, uint32_t name) {
  emit_ext(b, OP_GETF, target, object, cache_slot(b), name);
}

void field_set(Body *b, uint8_t object, uint32_t name, uint8_t value) {
  emit_ext(b, OP_SETF, object, value, cache_slot(b), name);
}

static bool is_variable(const Expr *e) {
  return e->kind == EXPR_NAME && e->symbol != NULL && e->symbol->kind == SYMBOL_VARIABLE;
}

static Decl *slot_decl(const Expr *e) {
  bool known = e->kind == EXPR_MEMBER && e->resolution == MEMBER_SLOT && e->left->type != NULL &&
               e->left->type->kind == TYPE_RECORD;
  return known ? e->left->type->decl : NULL;
}

/* ---- reading ---- */

/* The object is read at once, so it needs no copy even where the statement changes it. */
static uint8_t object_any(Body *b, Expr *e) {
  return is_variable(e) ? var_read(b, e->symbol) : expr_any(b, e, USE_BORROW);
}

void member_to(Body *b, Expr *e, uint8_t target) {
  uint8_t object = object_any(b, e->left);
  Decl *decl = slot_decl(e);
  place_at(b, e->name_span);
  if (decl != NULL && !e->safe) {
    emit_ext(b, OP_GETSLOT, target, object, e->slot, shape_index(b->e, decl));
  } else {
    emit_ext(b, e->safe ? OP_GETFQ : OP_GETF, target, object, cache_slot(b),
             const_name(b->e, e->name));
  }
}

void index_to(Body *b, Expr *e, uint8_t target) {
  bool copied = b->careful && expr_changes(e->right);
  uint8_t object = copied ? expr_any(b, e->left, USE_BORROW) : object_any(b, e->left);
  uint8_t key = expr_any(b, e->right, USE_BORROW);
  place_at(b, e->span);
  emit(b, e->safe ? OP_GETIQ : OP_GETI, target, object, key);
}

void slice_to(Body *b, Expr *e, uint8_t target) {
  uint8_t object = expr_any(b, e->left, USE_BORROW), bounds = regs_take(b, 2);
  if (e->low != NULL) expr_to(b, e->low, bounds, USE_BORROW);
  else emit(b, OP_LOADNIL, bounds, 0, 0);
  if (e->high != NULL) expr_to(b, e->high, (uint8_t)(bounds + 1), USE_BORROW);
  else emit(b, OP_LOADNIL, bounds + 1u, 0, 0);
  place_at(b, e->span);
  emit(b, OP_SLICE, target, object, bounds);
}

/* ---- updating ---- */

bool path_is_variable(const Expr *e) {
  while (e->kind == EXPR_MEMBER || e->kind == EXPR_INDEX) e = e->left;
  return is_variable(e);
}

static Expr *path_root(Expr *e) {
  while (e->kind == EXPR_MEMBER || e->kind == EXPR_INDEX) e = e->left;
  return e;
}

static uint8_t path_key(Body *b, Expr *e) {
  return e->kind == EXPR_INDEX ? expr_any(b, e->right, USE_BORROW) : 0;
}

static void own_step(Body *b, Expr *e, uint8_t target, uint8_t object, uint8_t key) {
  place_at(b, e->kind == EXPR_MEMBER ? e->name_span : e->span);
  if (e->kind == EXPR_INDEX) emit(b, OP_OWNI, target, object, key);
  else emit_ext(b, OP_OWNF, target, object, cache_slot(b), const_name(b->e, e->name));
}

static uint8_t own_root(Body *b, Expr *root) {
  uint8_t reg;
  if (is_variable(root)) {
    reg = var_read(b, root->symbol);
  } else {
    reg = reg_take(b);
    expr_to(b, root, reg, USE_OWN);
  }
  emit(b, OP_OWN, reg, 0, 0);
  return reg;
}

uint8_t path_own(Body *b, Expr *e) {
  Expr *steps[64]; /* from the last to the first; deeper ones are taken in turns */
  uint8_t keys[64];
  uint32_t count = 0;
  Expr *at = e;
  for (; (at->kind == EXPR_MEMBER || at->kind == EXPR_INDEX) && count < COUNT_OF(steps);
       at = at->left)
    steps[count++] = at;
  bool more = at->kind == EXPR_MEMBER || at->kind == EXPR_INDEX;
  for (uint32_t i = count; i-- > 0;) keys[i] = path_key(b, steps[i]);
  uint8_t object = more ? path_own(b, at) : own_root(b, at);
  for (uint32_t i = count; i-- > 0;) {
    uint8_t part = reg_take(b);
    own_step(b, steps[i], part, object, keys[i]);
    object = part;
  }
  return object;
}

/* The container that the last step updates: a variable as it is (the update itself copies if it
 * must). */
static uint8_t path_container(Body *b, Expr *e) {
  return is_variable(e) ? var_read(b, e->symbol) : path_own(b, e);
}

/* The value to store, in no register that the update changes. */
static uint8_t stored_value(Body *b, Expr *value, Expr *path) {
  Expr *root = path_root(path);
  uint8_t reg = expr_any(b, value, USE_OWN);
  if (!is_variable(root) || root->symbol->reg != reg) return reg;
  uint8_t copy = reg_take(b);
  move_value(b, copy, reg, value->type, USE_OWN);
  return copy;
}

static bool decl_constrained(const Decl *decl) {
  for (const Field *f = decl->fields; f != NULL; f = f->next) {
    if (f->where != NULL) return true;
  }
  return false;
}

static Field *decl_field(const Decl *decl, uint32_t slot) {
  Field *f = decl->fields;
  for (; f != NULL && slot > 0; slot--) f = f->next;
  return f;
}

/* A record with constraints is made anew with the new field, to see that it may be so. */
static void constrained_check(Body *b, const Decl *decl, uint8_t object, uint32_t slot,
                              uint8_t value) {
  uint16_t mark = b->next;
  uint32_t count = 0;
  for (const Field *f = decl->fields; f != NULL; f = f->next, count++) {
    uint8_t reg = reg_take(b);
    if (count == slot) emit(b, OP_MOVE, reg, value, 0);
    else emit_ext(b, OP_GETSLOT, reg, object, count, shape_index(b->e, (Decl *)decl));
  }
  call_static(b, decl->function, (uint8_t)mark, count);
  regs_release(b, mark);
}

static void slot_set(Body *b, Decl *decl, uint8_t object, uint32_t slot, uint8_t value,
                     const Type *type) {
  Field *field = decl_field(decl, slot);
  Type *wanted = field->symbol != NULL ? field->symbol->type : NULL;
  if (decl_constrained(decl)) constrained_check(b, decl, object, slot, value);
  else if (wanted != NULL && wanted->kind != TYPE_ANY &&
           (type == NULL || type_fit(type, wanted) != FIT_YES)) {
    emit_ext(b, OP_CHECK, value, 0, 0, type_index(b->e, wanted));
  }
  emit_ext(b, OP_SETSLOT, object, value, slot, shape_index(b->e, decl));
}

static bool through_slot(const Expr *path) {
  for (; path->kind == EXPR_MEMBER || path->kind == EXPR_INDEX; path = path->left) {
    if (slot_decl(path) != NULL) return true;
  }
  return false;
}

/* A list or map inside a record holds what the record's declaration says. */
static void element_check(Body *b, const Expr *container, uint8_t value, const Type *type) {
  const Type *t = container->type;
  bool typed =
      t != NULL && (t->kind == TYPE_LIST || t->kind == TYPE_MAP) && t->elem->kind != TYPE_ANY;
  if (!typed || (type != NULL && type_fit(type, t->elem) == FIT_YES) || !through_slot(container))
    return;
  emit_ext(b, OP_CHECK, value, 0, 0, type_index(b->e, t->elem));
}

static void part_set(Body *b, Expr *target, uint8_t object, uint8_t key, uint8_t value,
                     const Type *type) {
  Decl *decl = slot_decl(target);
  if (decl == NULL) element_check(b, target->left, value, type);
  place_at(b, target->kind == EXPR_MEMBER ? target->name_span : target->span);
  if (decl != NULL) slot_set(b, decl, object, target->slot, value, type);
  else if (target->kind == EXPR_MEMBER) field_set(b, object, const_name(b->e, target->name), value);
  else emit(b, OP_SETI, object, key, value);
}

static void part_get(Body *b, Expr *target, uint8_t reg, uint8_t object, uint8_t key, bool safe) {
  Decl *decl = slot_decl(target);
  place_at(b, target->kind == EXPR_MEMBER ? target->name_span : target->span);
  if (decl != NULL) emit_ext(b, OP_GETSLOT, reg, object, target->slot, shape_index(b->e, decl));
  else if (target->kind == EXPR_INDEX) emit(b, safe ? OP_GETIQ : OP_GETI, reg, object, key);
  else
    emit_ext(b, safe ? OP_GETFQ : OP_GETF, reg, object, cache_slot(b),
             const_name(b->e, target->name));
}

/* `path ??= value`: the path is read, and only where it is nil walked again to be updated. */
static void part_default(Body *b, Stmt *s) {
  Label end = {0};
  uint8_t object = object_any(b, s->target->left), key = path_key(b, s->target), reg = reg_take(b);
  part_get(b, s->target, reg, object, key, true);
  jump_to(b, OP_JNOTNIL, reg, 0, &end);
  path_store(b, s->target, stored_value(b, s->value, s->target), s->value->type);
  label_here(b, &end);
}

/* The type of `a op b`, where it is easy to know. */
static Type *updated_type(const Stmt *s) {
  Type *a = s->target->type, *b = s->value->type;
  if (a == NULL || b == NULL) return NULL;
  bool int_b = b->kind == TYPE_INT || (b->kind == TYPE_LITERAL && b->literal->kind == EXPR_INT);
  if (a->kind == TYPE_INT && int_b && s->op - 1 != BIN_DIV) return a;
  if (a->kind == TYPE_FLOAT && (int_b || b->kind == TYPE_FLOAT)) return a;
  return a->kind == b->kind && (a->kind == TYPE_STRING || a->kind == TYPE_DECIMAL) ? a : NULL;
}

/* The operand first: it may share what the path then has to own. `held`: the container's register, if it is owned
** already, else -1. */
static void part_update(Body *b, Stmt *s, int held) {
  BinaryOp op = (BinaryOp)(s->op - 1);
  int64_t small;
  bool literal = literal_small(b, s->value, &small);
  uint8_t right = literal ? 0 : expr_any(b, s->value, USE_BORROW);
  uint8_t key = path_key(b, s->target);
  uint8_t object = held >= 0 ? (uint8_t)held : path_container(b, s->target->left),
          reg = reg_take(b);
  part_get(b, s->target, reg, object, key, false);
  place_at(b, s->span);
  if (literal) binary_op(b, op, reg, reg, s->value, s->span);
  else binary_regs(b, op, reg, reg, right);
  part_set(b, s->target, object, key, reg, updated_type(s));
}

void path_store(Body *b, Expr *target, uint8_t value, const Type *type) {
  uint8_t key = path_key(b, target);
  part_set(b, target, path_container(b, target->left), key, value, type);
}

void path_assign(Body *b, Stmt *s) {
  if (s->op == 0) path_store(b, s->target, stored_value(b, s->value, s->target), s->value->type);
  else if (s->op - 1 == BIN_COALESCE) part_default(b, s);
  else part_update(b, s, -1);
}

/* ---- runs: `a[i].x = …`, `a[i].y = …` one after the other own a[i] once ---- */

static bool same_key(const Expr *a, const Expr *b) {
  if (a->kind != b->kind) return false;
  if (is_variable(a)) return a->symbol == b->symbol;
  if (a->kind == EXPR_INT) return a->integer == b->integer;
  return a->kind == EXPR_STRING && str_equal(a->text, b->text);
}

static bool same_path(const Expr *a, const Expr *b) {
  for (; a->kind == b->kind && !is_variable(a); a = a->left, b = b->left) {
    bool same = (a->kind == EXPR_MEMBER && a->name == b->name) ||
                (a->kind == EXPR_INDEX && same_key(a->right, b->right));
    if (!same) return false;
  }
  return is_variable(a) && is_variable(b) && a->symbol == b->symbol;
}

static void find_unquiet(Expr *e, void *context) {
  bool *unquiet = context;
  const Symbol *native = native_symbol(e);
  bool part = e->kind == EXPR_MEMBER || e->kind == EXPR_INDEX || e->kind == EXPR_BINARY ||
              e->kind == EXPR_UNARY;
  bool leaf = e->kind == EXPR_NAME || (e->kind >= EXPR_NIL && e->kind <= EXPR_DURATION);
  bool call = native != NULL && !(native_info[native->native].flags & NATIVE_CHANGES) &&
              type_plain(e->type);
  for (const Arg *arg = call ? e->args : NULL; arg != NULL; arg = arg->next) {
    if (arg->value == NULL || !type_plain(arg->value->type)) *unquiet = true;
  }
  if (!part && !leaf && !call) *unquiet = true;
  else if (!*unquiet) expr_parts(e, find_unquiet, unquiet);
}

/* Nothing in the value can share or change a container: parts are read, numbers are made. */
static bool quiet(Expr *value) {
  bool unquiet = false;
  bool arithmetic = value->kind == EXPR_BINARY && value->op <= BIN_MOD;
  if (!arithmetic && !type_plain(value->type)) return false;
  find_unquiet(value, &unquiet);
  return !unquiet;
}

static bool run_member(const Stmt *s) {
  bool path = s->kind == STMT_ASSIGN && s->target->kind == EXPR_MEMBER && s->op - 1 != BIN_COALESCE;
  return path && path_is_variable(s->target) && !is_variable(s->target->left) && quiet(s->value);
}

uint32_t path_run(const Stmt *s) {
  uint32_t count = 1;
  if (s->kind != STMT_ASSIGN || s->next == NULL || !run_member(s)) return 1;
  for (const Stmt *next = s->next; next != NULL && run_member(next); next = next->next, count++) {
    if (!same_path(s->target->left, next->target->left)) break;
  }
  return count;
}

Stmt *path_run_emit(Body *b, Stmt *s, uint32_t count) {
  uint16_t mark = b->next;
  b->careful = false;
  place_at(b, s->span);
  uint8_t object = path_own(b, s->target->left);
  regs_release(b, object + 1u);
  for (; count > 0; count--, s = s->next) {
    uint16_t inside = b->next;
    place_at(b, s->span);
    if (s->op == 0)
      part_set(b, s->target, object, 0, expr_any(b, s->value, USE_OWN), s->value->type);
    else part_update(b, s, object);
    regs_release(b, inside);
  }
  regs_release(b, mark);
  return s;
}

/* ---- lists ---- */

void path_push(Body *b, Expr *list, Expr *value) {
  uint8_t reg = stored_value(b, value, list);
  uint8_t object = path_container(b, list);
  element_check(b, list, reg, value->type);
  emit(b, OP_PUSH, object, reg, 0);
}
