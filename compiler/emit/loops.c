/* Loops. `for` over range(…) counts in registers of its own; any other walks the
** value as it was, which ITERPREP marks shared. */
#include "compiler/emit/emitter.h"

typedef struct Walk { /* a loop over something, open */
  uint8_t base;
  bool counted;
  uint32_t top;
  Span span;
  Label over;
  Field *fields;
  LoopScope loop;
} Walk;

static void loop_enter(Body *b, LoopScope *loop) {
  loop->outer = b->loop;
  loop->guard = b->guard;
  b->loop = loop;
}

static void loop_leave(Body *b) { b->loop = b->loop->outer; }

/* ---- walks ---- */

static bool is_range(const Expr *iter, const Field *fields) {
  const Symbol *native = native_symbol(iter);
  if (native == NULL || native->native != NATIVE_core_range || iter->resolution != CALL_NATIVE)
    return false;
  if (fields != NULL && fields->next != NULL) return false;
  for (const Arg *arg = iter->args; arg != NULL; arg = arg->next) {
    if (arg->value == NULL) return false;
  }
  return iter->args != NULL;
}

static void range_to(Body *b, const Expr *iter, uint8_t base) {
  const Arg *first = iter->args, *second = first->next,
            *third = second != NULL ? second->next : NULL;
  if (second != NULL) expr_to(b, first->value, base, USE_BORROW);
  else load_int(b, base, 0);
  expr_to(b, second != NULL ? second->value : first->value, (uint8_t)(base + 1), USE_BORROW);
  if (third != NULL) expr_to(b, third->value, (uint8_t)(base + 2), USE_BORROW);
  else load_int(b, (uint8_t)(base + 2), 1);
}

static void walk_variable(Body *b, const Field *f, uint8_t reg) {
  if (f == NULL || f->symbol == NULL) return;
  var_bind(b, f->symbol, reg);
  if (type_plain(f->symbol->type)) return;
  if (f->symbol->changed) emit(b, OP_SHARE, reg, 0, 0);
  else b->borrowed[reg] = true; /* it still belongs to what is walked */
}

static void walk_begin(Body *b, Walk *w, Expr *iter, Field *fields) {
  w->fields = fields;
  w->base = regs_take(b, 4);
  w->counted = is_range(iter, fields);
  if (w->counted) range_to(b, iter, w->base);
  else emit(b, OP_ITERPREP, w->base, expr_any(b, iter, USE_BORROW), 0);
  regs_release(b, w->base + 4u);
  place_at(b, iter->span);
  if (w->counted) jump_to(b, OP_FORPREP, w->base, 0, &w->over);
  w->top = w->loop.top = code_here(b);
  w->loop.back = !w->counted;
  bool two = fields != NULL && fields->next != NULL;
  if (!w->counted) jump_to(b, two ? OP_ITERNEXT2 : OP_ITERNEXT, w->base, 0, &w->over);
  walk_variable(b, fields, (uint8_t)(w->base + (w->counted ? 3 : 2)));
  if (two) walk_variable(b, fields->next, (uint8_t)(w->base + 3));
  loop_enter(b, &w->loop);
}

static void walk_end(Body *b, Walk *w, uint16_t mark) {
  loop_leave(b);
  label_here(b, &w->loop.nexts);
  place_at(b, w->span); /* where an endless loop is said to be */
  if (w->counted) jump_back(b, OP_FORNEXT, w->base, w->top);
  else jump_back(b, OP_LOOP, 0, w->top);
  label_here(b, &w->over);
  label_here(b, &w->loop.breaks);
  for (Field *f = w->fields; f != NULL; f = f->next) var_unbind(b, f->symbol);
  regs_release(b, mark);
}

void for_stmt(Body *b, Stmt *s) {
  uint16_t mark = b->next;
  Walk w = {.span = s->span};
  uint32_t held = hold_begin(b, NULL, s->body);
  walk_begin(b, &w, s->value, s->fields);
  block(b, s->body);
  walk_end(b, &w, mark);
  hold_end(b, held);
}

/* `[operand for fields in iter if cond]` */
void comprehension_to(Body *b, Expr *e, uint8_t target) {
  uint8_t list = target_simple(b, target) ? target : reg_take(b);
  uint16_t mark = b->next;
  Walk w = {.span = e->span};
  emit(b, OP_NEWLIST, list, 0, 0);
  walk_begin(b, &w, e->iter, e->fields);
  if (e->cond != NULL) cond_jump(b, e->cond, false, &w.loop.nexts);
  uint16_t inside = b->next;
  emit(b, OP_PUSH, list, expr_any(b, e->operand, USE_OWN), 0);
  regs_release(b, inside);
  walk_end(b, &w, mark);
  if (list != target) emit(b, OP_MOVE, target, list, 0);
}

/* ---- while, loop ---- */

void while_stmt(Body *b, Stmt *s) {
  LoopScope loop = {.back = true};
  Label over = {0};
  uint16_t mark = b->next;
  uint32_t held = hold_begin(b, s->cond, s->body);
  loop.top = code_here(b);
  place_at(b, s->span);
  careful_begin(b, NULL, s->cond);
  cond_jump(b, s->cond, false, &over);
  loop_enter(b, &loop);
  block(b, s->body);
  loop_leave(b);
  place_at(b, s->span);
  jump_back(b, OP_LOOP, 0, loop.top);
  label_here(b, &over);
  label_here(b, &loop.breaks);
  regs_release(b, mark);
  hold_end(b, held);
}

static void endless(Body *b, Stmt *s) {
  LoopScope loop = {.back = true};
  loop.top = code_here(b);
  loop_enter(b, &loop);
  block(b, s->body);
  loop_leave(b);
  place_at(b, s->span);
  jump_back(b, OP_LOOP, 0, loop.top);
  label_here(b, &loop.breaks);
}

/* `loop max n`: a count in registers of its own; past it the fault that names the bound. */
static void bounded(Body *b, Stmt *s) {
  LoopScope loop = {.back = false};
  Label over = {0};
  uint8_t base = regs_take(b, 4);
  load_int(b, base, 0);
  expr_to(b, s->value, (uint8_t)(base + 1), USE_BORROW);
  load_int(b, (uint8_t)(base + 2), 1);
  place_at(b, s->span);
  jump_to(b, OP_FORPREP, base, 0, &over);
  loop.top = code_here(b);
  loop_enter(b, &loop);
  block(b, s->body);
  loop_leave(b);
  label_here(b, &loop.nexts);
  place_at(b, s->span);
  jump_back(b, OP_FORNEXT, base, loop.top);
  label_here(b, &over);
  emit(b, OP_FAULT, base + 1u, FAULT_LOOP, 0);
  label_here(b, &loop.breaks);
}

void loop_stmt(Body *b, Stmt *s) {
  uint16_t mark = b->next;
  uint32_t held = hold_begin(b, NULL, s->body);
  if (s->value != NULL) bounded(b, s);
  else endless(b, s);
  regs_release(b, mark);
  hold_end(b, held);
}

void break_stmt(Body *b, Stmt *s) {
  LoopScope *loop = b->loop;
  if (loop == NULL) return;
  guards_leave(b, loop->guard);
  if (s->kind == STMT_BREAK) jump_to(b, OP_JMP, 0, 0, &loop->breaks);
  else if (loop->back) jump_back(b, OP_LOOP, 0, loop->top);
  else jump_to(b, OP_JMP, 0, 0, &loop->nexts);
  guards_return(b, loop->guard);
}
