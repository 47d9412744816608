/* Expressions, by kind. See the three rules in emitter.h. */
#include "compiler/emit/emitter.h"

enum { ITEMS_AT_ONCE = 50 };

bool target_simple(const Body *b, uint8_t target) { return !b->is_var[target]; }

/* A register to build in: the target itself unless it holds a variable that must stay whole. */
static uint8_t build_in(Body *b, uint8_t target) {
  return target_simple(b, target) ? target : reg_take(b);
}

static void built(Body *b, uint8_t target, uint8_t reg) {
  if (reg != target) emit(b, OP_MOVE, target, reg, 0);
}

/* ---- literals and names ---- */

static void literal_to(Body *b, const Expr *e, uint8_t target) {
  switch (e->kind) {
    case EXPR_NIL: emit(b, OP_LOADNIL, target, 0, 0); return;
    case EXPR_BOOL: emit(b, e->boolean ? OP_LOADTRUE : OP_LOADFALSE, target, 0, 0); return;
    case EXPR_INT: load_int(b, target, e->integer); return;
    default: load_const(b, target, const_literal(b->e, e)); return;
  }
}

static void symbol_to(Body *b, Symbol *s, uint8_t target) {
  switch (s->kind) {
    case SYMBOL_FN: closure_to(b, s->decl->function, target); return;
    case SYMBOL_CONST: expr_to(b, s->constant, target, USE_BORROW); return;
    case SYMBOL_CONFIG: emit_ext(b, OP_CONFIG, target, 0, 0, config_index(b->e, s->decl)); return;
    case SYMBOL_VARIABLE:
    case SYMBOL_TYPE:
    case SYMBOL_WORKFLOW:
    case SYMBOL_TOOL:
    case SYMBOL_EXTERN:
    case SYMBOL_NATIVE:
    case SYMBOL_EFFECT:
    case SYMBOL_MODULE:
    case SYMBOL_AGENT: case SYMBOL_VIEW: case SYMBOL_ROUTER: case SYMBOL_HANDLER:
    case SYMBOL_WORKER: case SYMBOL_FIELD:
      emit(b, OP_LOADNIL, target, 0, 0);
      return;
  }
}

static bool is_variable(const Expr *e) {
  return e->kind == EXPR_NAME && e->symbol != NULL && e->symbol->kind == SYMBOL_VARIABLE;
}

static void name_to(Body *b, Expr *e, uint8_t target, Use use) {
  if (e->symbol == NULL) emit(b, OP_LOADNIL, target, 0, 0);
  else if (e->symbol->kind == SYMBOL_VARIABLE)
    move_value(b, target, var_read(b, e->symbol), e->type, use);
  else symbol_to(b, e->symbol, target);
}

/* ---- built values ---- */

static void interp_to(Body *b, Expr *e, uint8_t target) {
  uint16_t mark = b->next;
  uint32_t count = 0;
  for (Expr *part = e->first; part != NULL; part = part->next) {
    expr_to(b, part, reg_take(b), USE_BORROW);
    if (++count < ITEMS_AT_ONCE) continue;
    emit(b, OP_CONCAT, mark, mark, count); /* so far; then on with the rest */
    regs_release(b, mark + 1u);
    count = 1;
  }
  emit(b, OP_CONCAT, target, mark, count);
}

static void item_add(Body *b, Expr *item, uint8_t list) {
  uint16_t mark = b->next;
  bool spread = item->kind == EXPR_SPREAD;
  uint8_t reg = expr_any(b, spread ? item->operand : item, spread ? USE_BORROW : USE_OWN);
  emit(b, spread ? OP_EXTEND : OP_PUSH, list, reg, 0);
  regs_release(b, mark);
}

void list_to(Body *b, Expr *items, uint8_t target) {
  uint32_t whole = 0, at_once = 0;
  for (Expr *item = items; item != NULL; item = item->next, whole++) {
    bool simple = item->kind != EXPR_SPREAD && at_once == whole && whole < ITEMS_AT_ONCE;
    if (simple) at_once++;
  }
  uint8_t list = at_once == whole ? target : build_in(b, target);
  uint16_t mark = b->next;
  Expr *item = items;
  for (uint32_t i = 0; i < at_once; i++, item = item->next) expr_to(b, item, reg_take(b), USE_OWN);
  emit(b, OP_NEWLIST, list, at_once > 0 ? mark : 0, at_once);
  regs_release(b, mark);
  for (; item != NULL; item = item->next) item_add(b, item, list);
  built(b, target, list);
}

static void entry_add(Body *b, Arg *entry, uint8_t map) {
  uint16_t mark = b->next;
  if (entry->value->kind == EXPR_SPREAD) {
    emit(b, OP_EXTEND, map, expr_any(b, entry->value->operand, USE_BORROW), 0);
  } else if (entry->name != NULL) {
    field_set(b, map, const_name(b->e, entry->name), expr_any(b, entry->value, USE_OWN));
  } else if (entry->key->kind == EXPR_STRING) {
    field_set(b, map, const_text(b->e, entry->key->text), expr_any(b, entry->value, USE_OWN));
  } else {
    uint8_t key = expr_any(b, entry->key, USE_BORROW), value = expr_any(b, entry->value, USE_OWN);
    place_at(b, entry->key->span);
    emit(b, OP_SETI, map, key, value);
  }
  regs_release(b, mark);
}

static void map_to(Body *b, Expr *e, uint8_t target) {
  uint32_t count = 0;
  for (Arg *entry = e->args; entry != NULL; entry = entry->next) count++;
  uint8_t map = count == 0 ? target : build_in(b, target);
  emit(b, OP_NEWMAP, map, count > UINT8_MAX ? UINT8_MAX : count, 0);
  for (Arg *entry = e->args; entry != NULL; entry = entry->next) entry_add(b, entry, map);
  built(b, target, map);
}

static void unary_to(Body *b, Expr *e, uint8_t target) {
  uint8_t reg = expr_any(b, e->operand, USE_BORROW);
  place_at(b, e->span);
  emit(b, e->op == UNARY_NEG ? OP_NEG : OP_NOT, target, reg, 0);
}

/* ---- the two ways in ---- */

/* What was read out of a container stays there too. */
static void share_part(Body *b, const Expr *e, uint8_t target, Use use) {
  if ((use == USE_OWN || b->careful) && !type_plain(e->type)) emit(b, OP_SHARE, target, 0, 0);
}

static void part_to(Body *b, Expr *e, uint8_t target, Use use) {
  if (e->kind == EXPR_MEMBER && e->resolution == MEMBER_SYMBOL) {
    if (e->symbol != NULL) symbol_to(b, e->symbol, target);
    return;
  }
  if (e->kind == EXPR_MEMBER) member_to(b, e, target);
  else index_to(b, e, target);
  share_part(b, e, target, use);
}

static void kind_to(Body *b, Expr *e, uint8_t target, Use use) {
  switch (e->kind) {
    case EXPR_NIL:
    case EXPR_BOOL:
    case EXPR_INT:
    case EXPR_FLOAT:
    case EXPR_DECIMAL:
    case EXPR_STRING:
    case EXPR_DURATION: literal_to(b, e, target); return;
    case EXPR_INTERP: interp_to(b, e, target); return;
    case EXPR_NAME: name_to(b, e, target, use); return;
    case EXPR_MEMBER:
    case EXPR_INDEX: part_to(b, e, target, use); return;
    case EXPR_SLICE: slice_to(b, e, target); return;
    case EXPR_CALL:
      call_to(b, e, target, true);
      if (!call_fresh(b, e)) share_part(b, e, target, use);
      return;
    case EXPR_LIST: list_to(b, e->first, target); return;
    case EXPR_MAP: map_to(b, e, target); return;
    case EXPR_SPREAD: expr_to(b, e->operand, target, use); return;
    case EXPR_LAMBDA: closure_to(b, e->function, target); return;
    case EXPR_UNARY: unary_to(b, e, target); return;
    case EXPR_BINARY: binary_to(b, e, target); return;
    case EXPR_COMPREHENSION: comprehension_to(b, e, target); return;
    case EXPR_TRY: try_to(b, e, target); return;
    case EXPR_AWAIT: await_to(b, e, target); return;
    case EXPR_START: start_to(b, e, target); return;
    case EXPR_DISPATCH: dispatch_to(b, e, target); return;
    case EXPR_ENQUEUE: enqueue_to(b, e, target); return;
    case EXPR_APPROVE: approve_to(b, e, target); return;
    case EXPR_FIT: fit_to(b, e, target); return;
    case EXPR_PARALLEL_FOR: parallel_for_to(b, e, target); return;
    case EXPR_RACE: race_to(b, e, target); return;
    case EXPR_BAD: emit(b, OP_LOADNIL, target, 0, 0); return;
  }
}

void expr_to(Body *b, Expr *e, uint8_t target, Use use) {
  uint16_t mark = b->next;
  Expr *literal = e->kind == EXPR_UNARY || e->kind == EXPR_BINARY ? literal_of(b, e) : NULL;
  if (literal != NULL) literal_to(b, literal, target);
  else kind_to(b, e, target, use);
  regs_release(b, mark);
}

uint8_t expr_any(Body *b, Expr *e, Use use) {
  if (is_variable(e)) {
    uint8_t reg = var_read(b, e->symbol);
    bool plain = type_plain(e->type);
    if (plain || !b->careful) {
      if (!plain && use == USE_OWN) emit(b, OP_SHARE, reg, 0, 0);
      return reg;
    }
  }
  Expr *literal = b->held_count > 0 ? literal_of(b, e) : NULL;
  int held = literal != NULL ? hold_find(b, literal) : -1;
  if (held >= 0) return (uint8_t)held;
  uint8_t reg = reg_take(b);
  expr_to(b, e, reg, use);
  return reg;
}

void expr_drop(Body *b, Expr *e) {
  uint16_t mark = b->next;
  if (e->kind == EXPR_CALL) call_to(b, e, reg_take(b), false);
  else if (!is_variable(e) && literal_of(b, e) == NULL) expr_to(b, e, reg_take(b), USE_BORROW);
  regs_release(b, mark);
}
