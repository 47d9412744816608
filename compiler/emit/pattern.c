/* match and destructuring. Arms are tried in order; a test that fails jumps to the
** next arm. What a pattern binds is marked shared: the whole keeps it too. */
#include "compiler/emit/emitter.h"

static void pattern_test(Body *b, Pattern *p, uint8_t reg, const Type *type, Label *fail);

/* ---- variables ---- */

static void bind_all(Body *b, Pattern *p) {
  for (; p != NULL; p = p->next) {
    bool binds = p->kind == PATTERN_BIND || p->kind == PATTERN_REST;
    if (binds && p->symbol != NULL && p->symbol->reg < 0) var_bind(b, p->symbol, reg_take(b));
    bind_all(b, p->items);
  }
}

static void unbind_all(Body *b, Pattern *p) {
  for (; p != NULL; p = p->next) {
    if (p->kind == PATTERN_BIND || p->kind == PATTERN_REST) var_unbind(b, p->symbol);
    unbind_all(b, p->items);
  }
}

/* ---- parts ---- */

typedef struct Part { /* where a part of the subject is */
  Op op;            /* GETSLOT, GETF, GETI */
  uint32_t a, ext;  /* slot and shape; name; register of the index */
} Part;

static void part_get(Body *b, uint8_t target, uint8_t object, const Part *part) {
  if (part->op == OP_GETI) emit(b, OP_GETI, target, object, part->a);
  else if (part->op == OP_GETF) field_get(b, target, object, part->ext);
  else emit_ext(b, part->op, target, object, part->a, part->ext);
}

static void part_test(Body *b, Pattern *item, uint8_t object, const Part *part, const Type *type,
                      Label *fail) {
  if (item->kind == PATTERN_WILD || (item->kind == PATTERN_BIND && item->symbol == NULL)) return;
  uint16_t mark = b->next;
  bool bind = item->kind == PATTERN_BIND;
  uint8_t reg = bind ? (uint8_t)item->symbol->reg : reg_take(b);
  part_get(b, reg, object, part);
  if (!bind) pattern_test(b, item, reg, type, fail);
  else if (!type_plain(item->symbol->type)) emit(b, OP_SHARE, reg, 0, 0);
  regs_release(b, mark);
}

/* ---- kinds of pattern ---- */

static void value_test(Body *b, Pattern *p, uint8_t reg, const Type *type, Label *fail) {
  Expr *value = p->symbol != NULL && p->symbol->constant != NULL ? p->symbol->constant : p->value;
  Expr *literal = literal_of(b, value);
  uint16_t mark = b->next;
  int64_t small;
  if (literal != NULL && literal->kind == EXPR_NIL) {
    jump_to(b, OP_JNOTNIL, reg, 0, fail);
  } else if (literal != NULL && literal->kind == EXPR_BOOL && type != NULL &&
             type->kind == TYPE_BOOL) {
    jump_to(b, literal->boolean ? OP_JF : OP_JT, reg, 0, fail);
  } else if (literal_small(b, value, &small)) {
    jump_to(b, OP_JNEI, reg, (uint32_t)small & 0xff, fail);
  } else {
    jump_to(b, OP_JNE, reg, expr_any(b, value, USE_BORROW), fail);
  }
  regs_release(b, mark);
}

static void type_test(Body *b, uint8_t reg, uint32_t type, Label *fail) {
  uint8_t fits = reg_take(b);
  emit_ext(b, OP_TYPEIS, fits, reg, 0, type);
  jump_to(b, OP_JF, fits, 0, fail);
  regs_release(b, fits);
}

static Decl *record_decl(const Pattern *p) {
  const Symbol *s = p->symbol;
  if (s == NULL) return NULL;
  return s->type != NULL && s->type->kind == TYPE_RECORD ? s->type->decl : s->decl;
}

static const Field *record_field(const Decl *decl, const Pattern *item, uint32_t position,
                                 uint32_t *slot) {
  const Field *f = decl->fields;
  for (*slot = 0; f != NULL; f = f->next, ++*slot) {
    if (item->field != NULL ? f->name == item->field : *slot == position) return f;
  }
  return NULL;
}

static void record_test(Body *b, Pattern *p, uint8_t reg, const Type *type, Label *fail) {
  Decl *decl = record_decl(p);
  if (decl == NULL) return;
  bool known = type != NULL && type->kind == TYPE_RECORD && type->decl == decl;
  Type *wanted = type_record(b->e->checked->types, decl);
  if (!known) type_test(b, reg, type_index(b->e, wanted), fail);
  uint32_t position = 0, slot;
  for (Pattern *item = p->items; item != NULL; item = item->next, position++) {
    const Field *f = record_field(decl, item, position, &slot);
    if (f == NULL) continue;
    Part part = {OP_GETSLOT, slot, shape_index(b->e, decl)};
    part_test(b, item, reg, &part, f->symbol != NULL ? f->symbol->type : NULL, fail);
  }
}

static uint32_t item_key(Body *b, const Pattern *item) {
  return item->field != NULL ? const_name(b->e, item->field) : const_text(b->e, item->key);
}

static void map_test(Body *b, Pattern *p, uint8_t reg, Label *fail) {
  uint32_t any = type_simple_index(b->e, TYPE_ANY);
  BundleType object = {
      .kind = TYPE_OBJECT, .elem = NONE_INDEX, .shape = NONE_INDEX, .literal = NONE_INDEX};
  object.fields.first = b->e->out->field_count;
  for (Pattern *item = p->items; item != NULL; item = item->next, object.fields.count++) {
    field_add(b->e, &(BundleField){.name = item_key(b, item), .type = any, .doc = NONE_INDEX});
  }
  type_test(b, reg, type_add(b->e, &object), fail);
  for (Pattern *item = p->items; item != NULL; item = item->next) {
    Part part = {OP_GETF, 0, item_key(b, item)};
    part_test(b, item, reg, &part, NULL, fail);
  }
}

/* Length of the list in reg: exactly `count`, or at least so many. */
static void length_test(Body *b, uint8_t reg, uint32_t count, bool at_least, Label *fail) {
  if (at_least && count == 0) return;
  uint16_t mark = b->next;
  uint8_t length = reg_take(b);
  emit(b, OP_MOVE, length, reg, 0);
  native_call(b, NATIVE_core_len, length, 1);
  if (count > INT8_MAX) {
    uint8_t wanted = reg_take(b);
    load_int(b, wanted, count);
    jump_to(b, at_least ? OP_JLT : OP_JNE, length, wanted, fail);
  } else {
    jump_to(b, at_least ? OP_JLTI : OP_JNEI, length, count, fail);
  }
  regs_release(b, mark);
}

static void rest_bind(Body *b, uint8_t target, uint8_t list, uint32_t before, uint32_t after) {
  uint16_t mark = b->next;
  uint8_t bounds = regs_take(b, 2);
  load_int(b, bounds, before);
  if (after > 0) load_int(b, (uint8_t)(bounds + 1), -(int64_t)after);
  else emit(b, OP_LOADNIL, bounds + 1u, 0, 0);
  emit(b, OP_SLICE, target, list, bounds);
  regs_release(b, mark);
}

static void element_test(Body *b, Pattern *item, uint8_t reg, int64_t index, const Type *type,
                         Label *fail) {
  uint16_t mark = b->next;
  uint8_t key = reg_take(b);
  if (item->kind != PATTERN_WILD) load_int(b, key, index);
  Part part = {OP_GETI, key, 0};
  part_test(b, item, reg, &part, type, fail);
  regs_release(b, mark);
}

static void list_test(Body *b, Pattern *p, uint8_t reg, const Type *type, Label *fail) {
  bool known = type != NULL && type->kind == TYPE_LIST, rest = false;
  uint32_t count = 0, before = 0, at = 0;
  for (Pattern *item = p->items; item != NULL; item = item->next) {
    if (item->kind != PATTERN_REST) count++;
    else rest = true;
    if (!rest) before++;
  }
  if (!known) type_test(b, reg, type_simple_index(b->e, TYPE_LIST), fail);
  length_test(b, reg, count, rest, fail);
  for (Pattern *item = p->items; item != NULL; item = item->next) {
    if (item->kind != PATTERN_REST) {
      element_test(b, item, reg, at < before ? (int64_t)at : (int64_t)at - count,
                   known ? type->elem : NULL, fail);
      at++;
    } else if (item->symbol != NULL) {
      rest_bind(b, (uint8_t)item->symbol->reg, reg, before, count - before);
    }
  }
}

static void or_test(Body *b, Pattern *p, uint8_t reg, const Type *type, Label *fail) {
  Label fits = {0};
  for (Pattern *item = p->items; item != NULL; item = item->next) {
    if (item->next == NULL) {
      pattern_test(b, item, reg, type, fail);
      break;
    }
    Label next = {0};
    pattern_test(b, item, reg, type, &next);
    jump_to(b, OP_JMP, 0, 0, &fits);
    label_here(b, &next);
  }
  label_here(b, &fits);
}

static void pattern_test(Body *b, Pattern *p, uint8_t reg, const Type *type, Label *fail) {
  if (p->kind != PATTERN_BIND && p->kind != PATTERN_WILD) place_at(b, p->span);
  switch (p->kind) {
    case PATTERN_WILD:
    case PATTERN_REST: return;
    case PATTERN_BIND:
      if (p->symbol != NULL) move_value(b, (uint8_t)p->symbol->reg, reg, p->symbol->type, USE_OWN);
      return;
    case PATTERN_VALUE: value_test(b, p, reg, type, fail); return;
    case PATTERN_RECORD: record_test(b, p, reg, type, fail); return;
    case PATTERN_MAP: map_test(b, p, reg, fail); return;
    case PATTERN_LIST: list_test(b, p, reg, type, fail); return;
    case PATTERN_OR: or_test(b, p, reg, type, fail); return;
  }
}

/* ---- match ---- */

static void arm_emit(Body *b, Arm *arm, uint8_t subject, bool own, const Type *type, Label *end) {
  uint16_t mark = b->next;
  Label next = {0};
  Pattern *p = arm->pattern;
  if (own && p->kind == PATTERN_BIND && p->symbol != NULL && p->symbol->reg < 0) {
    var_bind(b, p->symbol, subject); /* nobody else looks at the subject: it is the variable */
    if (!type_plain(p->symbol->type)) emit(b, OP_SHARE, subject, 0, 0);
  } else {
    bind_all(b, p);
    pattern_test(b, p, subject, type, &next);
  }
  careful_begin(b, NULL, arm->guard);
  if (arm->guard != NULL) cond_jump(b, arm->guard, false, &next);
  block(b, arm->body);
  jump_to(b, OP_JMP, 0, 0, end);
  unbind_all(b, p);
  regs_release(b, mark);
  label_here(b, &next);
}

void match_stmt(Body *b, Stmt *s) {
  uint16_t mark = b->next;
  Label end = {0};
  uint8_t subject = expr_any(b, s->value, USE_BORROW);
  bool own = !b->is_var[subject];
  for (Arm *arm = s->arms; arm != NULL; arm = arm->next) {
    if (!b->dead) arm_emit(b, arm, subject, own, s->value->type, &end);
  }
  place_at(b, s->span);
  emit(b, OP_FAULT, subject, FAULT_MATCH, 0);
  label_here(b, &end);
  regs_release(b, mark);
}

/* ---- destructuring ---- */

static void target_store(Body *b, Expr *target, uint8_t object, const Part *part);

static void destructure_list(Body *b, Expr *target, uint8_t list) {
  uint32_t count = 0, before = 0, at = 0;
  bool rest = false;
  for (Expr *item = target->first; item != NULL; item = item->next) {
    if (item->kind == EXPR_SPREAD) rest = true;
    else count++;
    if (!rest) before++;
  }
  Label unfit = {0}, fits = {0};
  bool known = target->type != NULL && target->type->kind == TYPE_LIST;
  if (!known) type_test(b, list, type_simple_index(b->e, TYPE_LIST), &unfit);
  length_test(b, list, count, rest, &unfit);
  if (unfit.jumps != NULL) {
    jump_to(b, OP_JMP, 0, 0, &fits);
    label_here(b, &unfit);
    emit(b, OP_FAULT, list, FAULT_MATCH, 0);
    label_here(b, &fits);
  }
  for (Expr *item = target->first; item != NULL; item = item->next) {
    uint16_t mark = b->next;
    uint8_t key = reg_take(b);
    if (item->kind != EXPR_SPREAD) {
      load_int(b, key, at < before ? (int64_t)at : (int64_t)at - count);
      at++;
      target_store(b, item, list, &(Part){OP_GETI, key, 0});
    } else if (item->operand != NULL) {
      rest_bind(b, key, list, before, count - before);
      target_store(b, item->operand, key, NULL);
    }
    regs_release(b, mark);
  }
}

static void destructure_map(Body *b, Expr *target, uint8_t map) {
  for (Arg *arg = target->args; arg != NULL; arg = arg->next) {
    uint16_t mark = b->next;
    bool text = arg->name == NULL && arg->key != NULL && arg->key->kind == EXPR_STRING;
    if (arg->name != NULL || text) {
      uint32_t name =
          arg->name != NULL ? const_name(b->e, arg->name) : const_text(b->e, arg->key->text);
      target_store(b, arg->value, map, &(Part){OP_GETF, 0, name});
    } else if (arg->key != NULL) {
      uint8_t key = expr_any(b, arg->key, USE_BORROW);
      target_store(b, arg->value, map, &(Part){OP_GETI, key, 0});
    }
    regs_release(b, mark);
  }
}

static void variable_store(Body *b, Expr *target, uint8_t object, const Part *part) {
  bool born;
  Symbol *symbol = target->symbol;
  if (symbol == NULL || symbol->kind != SYMBOL_VARIABLE) return;
  uint8_t reg = var_target(b, symbol, &born);
  if (part != NULL) part_get(b, reg, object, part);
  else emit(b, OP_MOVE, reg, object, 0);
  if (part != NULL && !type_plain(target->type)) emit(b, OP_SHARE, reg, 0, 0);
  variable_check(b, symbol, reg, target->type);
  if (born) var_born(b, reg);
}

/* Stores the part of `object` (or all of it, which nobody else holds: part NULL). */
static void target_store(Body *b, Expr *target, uint8_t object, const Part *part) {
  uint16_t mark = b->next;
  place_at(b, target->span);
  if (target->kind == EXPR_NAME) {
    variable_store(b, target, object, part);
    return;
  }
  uint8_t value = reg_take(b);
  if (part != NULL) part_get(b, value, object, part);
  else emit(b, OP_MOVE, value, object, 0);
  if (target->kind == EXPR_LIST) {
    destructure_list(b, target, value);
  } else if (target->kind == EXPR_MAP) {
    destructure_map(b, target, value);
  } else if (target->kind == EXPR_MEMBER || target->kind == EXPR_INDEX) {
    if (part != NULL) emit(b, OP_SHARE, value, 0, 0);
    path_store(b, target, value, NULL);
  }
  regs_release(b, mark);
}

void destructure(Body *b, Expr *target, Expr *value) {
  uint16_t mark = b->next;
  uint8_t whole = reg_take(b);
  expr_to(b, value, whole, USE_OWN);
  place_at(b, target->span);
  if (target->kind == EXPR_LIST) destructure_list(b, target, whole);
  else destructure_map(b, target, whole);
  regs_release(b, mark);
}
