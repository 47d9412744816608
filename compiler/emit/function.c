/* One function: its registers, what it checks on entry, its body, its entry in the bundle. */
#include "compiler/emit/emitter.h"

bool field_optional(const Field *f) {
  const Type *type = f->symbol != NULL ? f->symbol->type : NULL;
  if (f->value != NULL) return true;
  if (f->type != NULL && f->type->kind == TEXPR_OPTIONAL) return true; /* `any?` is any, yet */
  if (type == NULL) return false;
  if (type->kind == TYPE_NIL) return true;
  for (uint32_t i = 0; i < type->member_count; i++) {
    if (type->members[i]->kind == TYPE_NIL) return true;
  }
  return false;
}

static uint32_t field_entry(Emitter *e, const Field *f) {
  Type *type = f->symbol != NULL ? f->symbol->type : NULL;
  bool typed = f->type != NULL;
  return field_add(
      e, &(BundleField){.name = const_name(e, f->name),
                        .type = typed ? type_index(e, type) : type_simple_index(e, TYPE_ANY),
                        .optional = field_optional(f),
                        .doc = const_text_or(e, f->doc)});
}

/* The types first: a union's or object's own parts must not stand in the midst of these. */
Range32 fields_add(Emitter *e, const Field *fields) {
  for (const Field *f = fields; f != NULL; f = f->next) {
    if (f->type != NULL && f->symbol != NULL) type_index(e, f->symbol->type);
  }
  Range32 range = {e->out->field_count, 0};
  for (const Field *f = fields; f != NULL; f = f->next, range.count++) field_entry(e, f);
  return range;
}

/* ---- registers that are there from the start ---- */

static void bind_fixed(Body *b, Symbol *symbol, bool borrowed) {
  uint8_t reg = reg_take(b);
  b->pinned = b->next;
  if (symbol == NULL) return;
  var_bind(b, symbol, reg);
  b->borrowed[reg] = borrowed && !type_plain(symbol->type);
}

static void bind_params(Body *b, BundleFn *out) {
  Function *fn = b->fn;
  for (Field *f = fn->params; f != NULL; f = f->next) {
    /* an evolve owns the state it is given, and gives it back: it is updated where it is */
    bool own = fn->kind == FNKIND_EVOLVE && f->symbol == fn->state;
    bind_fixed(b, f->symbol, !own);
  }
  if (fn->key != NULL) bind_fixed(b, fn->key, false);
  for (Capture *c = fn->captures; c != NULL; c = c->next, out->captures++) {
    bind_fixed(b, c->inner, fn->kind == FNKIND_QUERY);
  }
}

/* Variables that queries look at have their place before they have a value. */
static void bind_queried(Body *b) {
  if (b->fn->kind != FNKIND_WORKFLOW) return;
  for (Decl *q = b->fn->decl->members; q != NULL; q = q->next) {
    if (q->function == NULL) continue;
    b->suspends = true;
    for (Capture *c = q->function->captures; c != NULL; c = c->next) {
      if (c->outer->reg < 0) bind_fixed(b, c->outer, false);
    }
  }
}

/* What a branch gives to the outside may never have been set in it: nil, as the frame is filled. So is what the last
** `when` of a test gave, before there is one. */
static void bind_results(Body *b) {
  if (b->fn->outcome != NULL && b->fn->outcome->reg < 0) bind_fixed(b, b->fn->outcome, false);
  for (uint32_t i = 0; i < b->fn->result_count; i++) {
    if (b->fn->results[i]->reg < 0) bind_fixed(b, b->fn->results[i], false);
  }
  if (b->fn->kind == FNKIND_BRANCH) b->suspends = true;
}

/* ---- entry ---- */

static void param_constraint(Body *b, const Field *f, uint8_t reg) {
  Label holds = {0};
  uint16_t mark = b->next;
  place_at(b, f->where->span);
  careful_begin(b, NULL, f->where);
  cond_jump(b, f->where, true, &holds);
  uint8_t text = regs_take(b, 3);
  load_text(b, text, f->name->text);
  load_text(b, (uint8_t)(text + 1), STR(" = "));
  emit(b, OP_MOVE, text + 2u, reg, 0);
  uint8_t rest = regs_take(b, 2);
  load_text(b, rest, STR(" does not satisfy: "));
  load_text(b, (uint8_t)(rest + 1), span_text(b, f->where->span));
  emit(b, OP_CONCAT, text, text, 5);
  emit(b, OP_FAULT, text, FAULT_CONSTRAINT, 0);
  regs_release(b, mark);
  label_here(b, &holds);
}

static void param_default(Body *b, const Field *f, uint8_t reg) {
  Label given = {0};
  jump_to(b, OP_JARG, reg, 0, &given);
  careful_begin(b, NULL, f->value);
  if (f->value != NULL) {
    b->is_var[reg] = false; /* nothing to keep */
    expr_to(b, f->value, reg, USE_OWN);
    b->is_var[reg] = true;
  } else {
    emit(b, OP_LOADNIL, reg, 0, 0);
  }
  label_here(b, &given);
}

static bool param_typed(const Body *b, const Field *f) {
  return f->type != NULL && f->symbol->type != NULL && f->symbol->type->kind != TYPE_ANY &&
         !b->fn->proven;
}

/* What is given is checked like elsewhere. */
static void param_partial(Body *b, const Field *f, uint8_t reg) {
  Label given = {0}, end = {0};
  jump_to(b, OP_JARG, reg, 0, &given);
  emit(b, OP_LOADNIL, reg, 0, 0);
  jump_to(b, OP_JMP, 0, 0, &end);
  label_here(b, &given);
  if (param_typed(b, f)) emit_ext(b, OP_CHECK, reg, 0, 0, type_index(b->e, f->symbol->type));
  if (f->where != NULL) param_constraint(b, f, reg);
  label_here(b, &end);
}

static void param_enter(Body *b, const Field *f) {
  if (f->symbol == NULL) return;
  uint8_t reg = (uint8_t)f->symbol->reg;
  place_at(b, f->span);
  if (f->symbol->changed && b->borrowed[reg]) {
    emit(b, OP_SHARE, reg, 0, 0); /* the caller's value stays as it is */
    b->borrowed[reg] = false;
  }
  if (function_is_partial(b->fn) && !field_optional(f)) {
    param_partial(b, f, reg);
    return;
  }
  if (field_optional(f)) param_default(b, f, reg);
  if (param_typed(b, f)) emit_ext(b, OP_CHECK, reg, 0, 0, type_index(b->e, f->symbol->type));
  if (f->where != NULL) param_constraint(b, f, reg);
}

/* ---- bodies ---- */

static void construct_body(Body *b) {
  uint32_t count = 0;
  for (Field *f = b->fn->params; f != NULL; f = f->next, count++) {
    if (f->symbol != NULL && b->borrowed[f->symbol->reg])
      emit(b, OP_SHARE, (uint32_t)f->symbol->reg, 0, 0);
  }
  uint8_t record = reg_take(b);
  emit_ext(b, OP_NEWREC, record, 0, 0, shape_index(b->e, b->fn->decl));
  emit(b, OP_RET, record, 0, 0);
}

static void results_return(Body *b) {
  uint32_t count = b->fn->result_count;
  if (count == 1) {
    uint8_t reg = (uint8_t)b->fn->results[0]->reg;
    if (b->borrowed[reg]) emit(b, OP_SHARE, reg, 0, 0);
    emit(b, OP_RET, reg, 0, 0);
    return;
  }
  uint16_t first = b->next;
  for (uint32_t i = 0; i < count; i++) {
    const Symbol *s = b->fn->results[i];
    move_value(b, reg_take(b), (uint8_t)s->reg, s->type, USE_OWN);
  }
  emit(b, OP_NEWLIST, first, first, count);
  emit(b, OP_RET, first, 0, 0);
}

/* The last statement of a branch gives it its value. */
static void value_stmt(Body *b, Stmt *s) {
  if (b->dead) return;
  if (s->kind == STMT_EXPR) {
    place_at(b, s->span);
    careful_begin(b, NULL, s->value);
    return_value(b, s->value);
  } else {
    stmt(b, s);
    if (s->target->kind == EXPR_NAME && s->target->symbol != NULL) return_value(b, s->target);
  }
}

static void branch_body(Body *b) {
  Function *fn = b->fn;
  bool valued = fn->value_expr != NULL && fn->result_count == 0;
  for (Stmt *s = fn->body; s != NULL; s = fn->single ? NULL : s->next) {
    bool last = fn->single || s->next == NULL;
    if (valued && last) value_stmt(b, s);
    else stmt(b, s);
  }
  if (fn->result_count > 0) results_return(b);
}

/* A guard or an invariant gives a bool, or faults: any condition is one. */
static void condition_body(Body *b, Expr *e) {
  Label no = {0};
  bool compared = e->kind == EXPR_BINARY && e->op >= BIN_EQ && e->op <= BIN_NOT_IN;
  if (compared) { /* an instruction of its own */
    return_value(b, e);
    return;
  }
  cond_jump(b, e, false, &no);
  uint8_t answer = reg_take(b);
  emit(b, OP_LOADTRUE, answer, 0, 0);
  emit(b, OP_RET, answer, 0, 0);
  label_here(b, &no);
  emit(b, OP_LOADFALSE, answer, 0, 0);
  emit(b, OP_RET, answer, 0, 0);
}

static void body_emit(Body *b) {
  Function *fn = b->fn;
  for (Field *f = fn->params; f != NULL; f = f->next) param_enter(b, f);
  borrows_find(b);
  if (fn->kind == FNKIND_CONSTRUCTOR) {
    construct_body(b);
  } else if (fn->expr != NULL) {
    place_at(b, fn->expr->span);
    careful_begin(b, NULL, fn->expr);
    bool condition = fn->kind == FNKIND_GUARD || fn->kind == FNKIND_INVARIANT;
    if (condition) condition_body(b, fn->expr);
    else return_value(b, fn->expr);
  } else if (fn->kind == FNKIND_BRANCH) {
    branch_body(b);
  } else {
    block(b, fn->body);
  }
  emit(b, OP_RETNIL, 0, 0, 0);
}

/* ---- the entry ---- */

static bool kind_pure(const Function *fn) {
  return fn->asserted_pure || fn->kind == FNKIND_QUERY || fn->kind == FNKIND_UNLESS ||
         fn->kind == FNKIND_UPCAST || fn->kind == FNKIND_CONSTRUCTOR ||
         (fn->kind >= FNKIND_DECIDE && fn->kind <= FNKIND_INVARIANT);
}

static uint32_t min_args(const Function *fn) {
  uint32_t count = 0, min = 0;
  if (function_is_partial(fn)) return 0;
  for (const Field *f = fn->params; f != NULL; f = f->next) {
    count++;
    if (!field_optional(f)) min = count;
  }
  return fn->key != NULL ? count + 1 : min;
}

static BundleFn entry_begin(Emitter *e, Function *fn) {
  Bundle *out = e->out;
  bool constructor = fn->kind == FNKIND_CONSTRUCTOR && fn->decl != NULL;
  Type *result = constructor ? type_record(e->checked->types, fn->decl) : fn->result;
  BundleFn entry = {.name = const_text(e, fn->name),
                    .kind = fn->kind,
                    .min_args = (uint8_t)min_args(fn),
                    .code = out->code_count,
                    .result = type_index(e, result),
                    .source = source_index(e, fn->unit)};
  entry.params = fields_add(e, fn->params);
  if (fn->key != NULL) {
    uint32_t string = type_simple_index(e, TYPE_STRING);
    field_add(e,
              &(BundleField){.name = const_text(e, STR("key")), .type = string, .doc = NONE_INDEX});
    entry.params.count++;
  }
  entry.handlers.first = out->handler_count;
  entry.lines.first = out->line_count;
  return entry;
}

static void entry_end(Body *b, BundleFn *entry) {
  Bundle *out = b->e->out;
  entry->code_count = out->code_count - b->start;
  entry->handlers.count = out->handler_count - entry->handlers.first;
  entry->lines.count = out->line_count - entry->lines.first;
  entry->regs = (uint8_t)b->top;
  entry->cache_count = b->caches;
  entry->flags = kind_pure(b->fn) ? FN_PURE : 0;
  if (b->effects || (b->fn->effects && entry->flags == 0)) entry->flags |= FN_EFFECTS;
  if (b->suspends || (entry->flags & FN_EFFECTS)) entry->flags |= FN_MAY_SUSPEND;
}

void function_emit(Emitter *e, uint32_t index, Function *fn) {
  Body b = {.e = e, .fn = fn, .index = index, .patch = NONE_INDEX, .caught = -1};
  e->where = fn->span;
  BundleFn entry = entry_begin(e, fn);
  b.source = &e->diags->sources[fn->unit->source];
  b.start = entry.code;
  b.first_line = entry.lines.first;
  b.placed = UINT32_MAX;
  b.place = fn->span.at;
  *PUSH_ITEM(e, e->out->fns, e->out->fn_count, e->fn_cap) = entry;
  for (Symbol *s = fn->locals; s != NULL; s = s->next) s->reg = -1;
  bind_params(&b, &entry);
  bind_queried(&b);
  bind_results(&b);
  body_emit(&b);
  entry_end(&b, &entry);
  e->out->fns[index] = entry;
}
