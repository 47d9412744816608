/* Variables and their registers; how a value moves from one to another. */
#include "compiler/emit/emitter.h"

bool type_plain(const Type *type) {
  if (type == NULL) return false;
  switch (type->kind) {
    case TYPE_NIL:
    case TYPE_BOOL:
    case TYPE_INT:
    case TYPE_FLOAT:
    case TYPE_DECIMAL:
    case TYPE_STRING:
    case TYPE_BYTES:
    case TYPE_TIME:
    case TYPE_DURATION:
    case TYPE_LITERAL:
    case TYPE_HANDLE:
    case TYPE_ERROR:
    case TYPE_SEALED: case TYPE_FUNCTION: return true;
    case TYPE_ANY: case TYPE_LIST: case TYPE_MAP: case TYPE_RECORD: case TYPE_OBJECT: return false;
    case TYPE_UNION: break;
  }
  for (uint32_t i = 0; i < type->member_count; i++) {
    if (!type_plain(type->members[i])) return false;
  }
  return true;
}

Type *expr_type(const Expr *e) { return e->type; }

void move_value(Body *b, uint8_t target, uint8_t from, const Type *type, Use use) {
  bool share = (use == USE_OWN || b->careful) && !type_plain(type);
  if (target != from) emit(b, share ? OP_MOVESH : OP_MOVE, target, from, 0);
  else if (share) emit(b, OP_SHARE, from, 0, 0);
}

void var_bind(Body *b, Symbol *symbol, uint8_t reg) {
  symbol->reg = reg;
  b->is_var[reg] = true;
  b->borrowed[reg] = false;
}

void var_unbind(Body *b, Symbol *symbol) {
  if (symbol == NULL || symbol->reg < 0) return;
  b->is_var[symbol->reg] = false;
  symbol->reg = -1;
}

uint8_t var_pin(Body *b, Symbol *symbol) {
  uint8_t reg = reg_take(b);
  b->pinned = b->next;
  var_bind(b, symbol, reg);
  return reg;
}

uint8_t var_target(Body *b, Symbol *symbol, bool *born) {
  *born = symbol->reg < 0;
  if (!*born) return (uint8_t)symbol->reg;
  uint8_t reg = var_pin(b, symbol);
  /* Until it is born nobody can look at it, unless a handler of this function catches a fault
   * half-way. */
  b->is_var[reg] = b->guard != NULL;
  return reg;
}

void var_born(Body *b, uint8_t reg) { b->is_var[reg] = true; }

uint8_t var_read(Body *b, Symbol *symbol) {
  if (UNLIKELY(symbol->reg <
               0)) { /* on no path here: the checker lets it pass only where nothing leads */
    emit(b, OP_LOADNIL, var_pin(b, symbol), 0, 0);
  }
  return (uint8_t)symbol->reg;
}
