/* The loop's body, compiled by interp.c once for each way of dispatch.
**
** Locals: pc, the next word; base, register 0 of the frame; k, the constants; fr and
** fi, the frame and its function; w, the instruction. SAVE puts pc where the rest
** of the machine finds it, before anything that may fault, stop or look at frames;
** LOAD takes all of them up again after frames changed. A slow path is a call that
** returns false on a fault. Only calls and loops look at the ticks, and operations
** whose work grows with their operands.
**
** A conditional jump ends in two dispatches, one for each arm: with one the
** compiler makes the address of the next instruction depend on the condition. */

#define A_INDEX ((uint32_t)(w >> 8) & 0xff)
#define B_INDEX ((uint32_t)(w >> 16) & 0xff)
#define C_INDEX ((uint32_t)(w >> 24))
#define RA base[w >> 8 & 0xff]
#define RB base[w >> 16 & 0xff]
#define RC base[w >> 24]
#define KX ((uint32_t)(w >> 16))
#define I16 ((int16_t)(w >> 16))
#define J24 ((int32_t)(uint32_t)w >> 8)
#define EXT (*pc++)
#define SAVE() (fr->pc = (uint32_t)(pc - fi->code))
#define LOAD()                                  \
  do {                                          \
    fr = &f->frames[f->frame_count - 1];        \
    fi = &fns[fr->fn];                          \
    base = f->stack + fr->base;                 \
    pc = fi->code + fr->pc;                     \
  } while (0)
#define SLOW(call)                              \
  do {                                          \
    SAVE();                                     \
    if (UNLIKELY(!(call))) goto fault;          \
  } while (0)
#define FAULT_WITH(...)                         \
  do {                                          \
    SAVE();                                     \
    op_fault(m, __VA_ARGS__);                   \
    goto fault;                                 \
  } while (0)
#define TICK()                                           \
  do {                                                   \
    if (UNLIKELY(++m->ticks >= m->trip)) goto tick;      \
  } while (0)
#define WORKED() /* after every operation that may have added to the ticks */ \
  do {                                                   \
    if (UNLIKELY(m->ticks >= m->trip)) goto worked;      \
  } while (0)
#define BRANCH(condition, offset)               \
  do {                                          \
    if (condition) {                            \
      pc += (offset);                           \
      NEXT;                                     \
    }                                           \
    NEXT;                                       \
  } while (0)
#define BOTH_INT(x, y) LIKELY(((x) & (y) & 1) != 0)
#define BOTH_FLONUM(x, y) (((x) & (y) & 2) != 0 && (((x) | (y)) & 1) == 0)
/* Ints and floats as words in any mix: their tags are not 00. */
#define BOTH_NUMBER(x, y) (((x) & 3) != 0 && ((y) & 3) != 0)
#define FLOAT_RESULT(expression)                \
  do {                                          \
    Value result_;                              \
    if (LIKELY(flonum_encode((expression), &result_))) { \
      RA = result_;                             \
      NEXT;                                     \
    }                                           \
  } while (0)
#define SLOW_BRANCH(call, condition, offset) \
  do {                                       \
    SLOW(call);                              \
    if (condition) pc += (offset);           \
    WORKED();                                \
    NEXT;                                    \
  } while (0)
#define COMPARE_JUMP(operator, or_equal, sense)                                    \
  do {                                                                             \
    Value x = RA, y = RB;                                                          \
    int32_t offset = (int32_t)EXT;                                                 \
    bool less;                                                                     \
    if (BOTH_INT(x, y)) BRANCH((sense) == ((int64_t)x operator (int64_t)y), offset); \
    if (BOTH_FLONUM(x, y))                                                         \
      BRANCH((sense) == (flonum_decode(x) operator flonum_decode(y)), offset);     \
    SLOW_BRANCH(op_less(m, x, y, (or_equal), &less), (sense) == less, offset);     \
  } while (0)
#define COMPARE_IMMEDIATE(operator)                                               \
  do {                                                                            \
    Value x = RA, y = value_small_int((int8_t)(w >> 16));                         \
    int32_t offset = (int32_t)EXT;                                                \
    int order;                                                                    \
    if (LIKELY(x & 1)) BRANCH((int64_t)x operator (int64_t)y, offset);            \
    SLOW_BRANCH(op_order(m, x, y, &order), order != 2 && order operator 0, offset); \
  } while (0)
#define EQUAL_IMMEDIATE(sense)                                               \
  do {                                                                       \
    Value x = RA, y = value_small_int((int8_t)(w >> 16));                    \
    int32_t offset = (int32_t)EXT;                                           \
    bool equal;                                                              \
    if (LIKELY(x & 1)) BRANCH((x == y) == (sense), offset);                  \
    SLOW_BRANCH(op_equal(m, x, y, &equal), equal == (sense), offset);        \
  } while (0)
#define EQUAL_JUMP(sense)                                                    \
  do {                                                                       \
    Value x = RA, y = RB;                                                    \
    int32_t offset = (int32_t)EXT;                                           \
    bool equal;                                                              \
    if (BOTH_INT(x, y)) BRANCH((x == y) == (sense), offset);                 \
    if (same_quick(x, y, &equal)) BRANCH(equal == (sense), offset);          \
    SLOW_BRANCH(op_equal(m, x, y, &equal), equal == (sense), offset);        \
  } while (0)
#define EQUAL(sense)                                                         \
  do {                                                                       \
    Value x = RB, y = RC;                                                    \
    bool equal = x == y;                                                     \
    if (BOTH_INT(x, y) || same_quick(x, y, &equal)) {                        \
      RA = value_bool(equal == (sense));                                     \
      NEXT;                                                                  \
    }                                                                        \
    SLOW(op_equal(m, x, y, &equal));                                         \
    RA = value_bool(equal == (sense));                                       \
    WORKED();                                                                \
    NEXT;                                                                    \
  } while (0)

LOOP_FUNCTION {
#ifdef NEEDS_LABELS
  static const void *const labels[] = {
#define OP(name, ...) &&do_##name,
#include "lang/opcodes.def"
#undef OP
  };
  const void *const *table = labels;
  __asm__("" : "+r"(table)); /* kept in a register, not computed at each jump */
#endif
  const FnInfo *const fns = m->program->fns;
  const Value *const k = m->program->consts;
  const uint32_t *pc;
  const FnInfo *fi;
  Value *base;
  Frame *fr;
  uint64_t w; /* 32 bits of it: wide, so that indexes need no widening */

  ASSERT(f->status == FIBER_READY);
  m->running = f;
  machine_set_trip(m);
  if (UNLIKELY(f->raised || f->frame_count == 0)) {
    f->raised = false;
    goto fault;
  }
  LOAD();
  DISPATCH_BEGIN

  CASE(LOADK) { RA = k[KX]; NEXT; }
  CASE(LOADKX) { RA = k[EXT]; NEXT; }
  CASE(LOADI) { RA = value_small_int(I16); NEXT; }
  CASE(LOADNIL) { RA = VALUE_NIL; NEXT; }
  CASE(LOADTRUE) { RA = VALUE_TRUE; NEXT; }
  CASE(LOADFALSE) { RA = VALUE_FALSE; NEXT; }
  CASE(LOADMISS) { RA = VALUE_MISSING; NEXT; }
  CASE(CONFIG) {
    uint32_t index = EXT;
    SLOW(op_config(m, &RA, index));
    NEXT;
  }
  CASE(MOVE) { RA = RB; NEXT; }
  CASE(MOVESH) { Value v = RB; share(v); RA = v; NEXT; }
  CASE(SHARE) { share(RA); NEXT; }

  CASE(ADD) {
    Value x = RB, y = RC;
    if (BOTH_INT(x, y)) {
      int64_t sum;
      if (LIKELY(!__builtin_add_overflow((int64_t)x, (int64_t)(y - 1), &sum))) {
        RA = (Value)sum;
        NEXT;
      }
    } else if (BOTH_FLONUM(x, y)) {
      FLOAT_RESULT(flonum_decode(x) + flonum_decode(y));
    } else if (BOTH_NUMBER(x, y)) {
      FLOAT_RESULT(number_quick(x) + number_quick(y));
    }
    SLOW(slow_binary(m, base, w, op_add));
    WORKED();
    NEXT;
  }
  CASE(SUB) {
    Value x = RB, y = RC;
    if (BOTH_INT(x, y)) {
      int64_t difference;
      if (LIKELY(!__builtin_sub_overflow((int64_t)x, (int64_t)(y - 1), &difference))) {
        RA = (Value)difference;
        NEXT;
      }
    } else if (BOTH_FLONUM(x, y)) {
      FLOAT_RESULT(flonum_decode(x) - flonum_decode(y));
    } else if (BOTH_NUMBER(x, y)) {
      FLOAT_RESULT(number_quick(x) - number_quick(y));
    }
    SLOW(slow_binary(m, base, w, op_sub));
    NEXT;
  }
  CASE(MUL) {
    Value x = RB, y = RC;
    if (BOTH_INT(x, y)) {
      int64_t product;
      if (LIKELY(!__builtin_mul_overflow((int64_t)(x - 1), value_small(y), &product))) {
        RA = (Value)product + 1;
        NEXT;
      }
    } else if (BOTH_FLONUM(x, y)) {
      FLOAT_RESULT(flonum_decode(x) * flonum_decode(y));
    } else if (BOTH_NUMBER(x, y)) {
      FLOAT_RESULT(number_quick(x) * number_quick(y));
    }
    SLOW(slow_binary(m, base, w, op_mul));
    NEXT;
  }
  CASE(DIV) {
    Value x = RB, y = RC;
    if (BOTH_INT(x, y)) {
      if (LIKELY(y != 1)) FLOAT_RESULT((double)value_small(x) / (double)value_small(y));
    } else if (BOTH_FLONUM(x, y)) {
      FLOAT_RESULT(flonum_decode(x) / flonum_decode(y));
    } else if (BOTH_NUMBER(x, y)) {
      FLOAT_RESULT(number_quick(x) / number_quick(y));
    }
    SLOW(slow_binary(m, base, w, op_div));
    NEXT;
  }
  CASE(IDIV) {
    Value x = RB, y = RC;
    if (BOTH_INT(x, y) && LIKELY((int64_t)y > 1)) {
      int64_t i = value_small(x), j = value_small(y), q = i / j;
      RA = value_small_int(q - (i % j < 0));
      NEXT;
    }
    SLOW(slow_binary(m, base, w, op_idiv));
    NEXT;
  }
  CASE(MOD) {
    Value x = RB, y = RC;
    if (BOTH_INT(x, y) && LIKELY((int64_t)y > 1)) {
      int64_t j = value_small(y), r = value_small(x) % j;
      RA = value_small_int(r < 0 ? r + j : r);
      NEXT;
    }
    SLOW(slow_binary(m, base, w, op_mod));
    NEXT;
  }
  CASE(ADDI) {
    Value x = RB;
    int64_t i = (int8_t)(w >> 24), sum;
    if (LIKELY(x & 1) && LIKELY(!__builtin_add_overflow((int64_t)x, i * 2, &sum))) {
      RA = (Value)sum;
      NEXT;
    }
    Value y = value_small_int(i);
    SLOW(op_add(m, &RA, &RB, &y));
    NEXT;
  }
  CASE(NEG) { SLOW(op_neg(m, &RA, &RB)); NEXT; }
  CASE(NOT) {
    Value v = RB;
    if (UNLIKELY(!value_is_bool(v))) FAULT_WITH(FAULT_NOT_BOOL, "%s", value_brief(m, v, true).text);
    RA = v ^ (VALUE_TRUE ^ VALUE_FALSE);
    NEXT;
  }

  CASE(EQ) { EQUAL(true); }
  CASE(NE) { EQUAL(false); }
  CASE(LT) {
    Value x = RB, y = RC;
    if (BOTH_INT(x, y)) { RA = value_bool((int64_t)x < (int64_t)y); NEXT; }
    if (BOTH_FLONUM(x, y)) { RA = value_bool(flonum_decode(x) < flonum_decode(y)); NEXT; }
    bool less;
    SLOW(op_less(m, x, y, false, &less));
    RA = value_bool(less);
    WORKED();
    NEXT;
  }
  CASE(LE) {
    Value x = RB, y = RC;
    if (BOTH_INT(x, y)) { RA = value_bool((int64_t)x <= (int64_t)y); NEXT; }
    if (BOTH_FLONUM(x, y)) { RA = value_bool(flonum_decode(x) <= flonum_decode(y)); NEXT; }
    bool less;
    SLOW(op_less(m, x, y, true, &less));
    RA = value_bool(less);
    WORKED();
    NEXT;
  }
  CASE(IN) { SLOW(op_in(m, &RA, &RB, &RC)); WORKED(); NEXT; }
  CASE(TYPEIS) {
    uint32_t type = EXT;
    int quick = type_quick(&m->bundle->types[type], RB);
    if (LIKELY(quick >= 0)) { RA = value_bool(quick); NEXT; }
    bool fits;
    SLOW(op_type_is(m, RB, type, &fits));
    RA = value_bool(fits);
    WORKED();
    NEXT;
  }

  CASE(JMP) { pc += J24; NEXT; }
  CASE(LOOP) { pc += J24; TICK(); NEXT; }
  CASE(JT) {
    Value v = RA;
    if (v == VALUE_TRUE) { pc += I16; NEXT; }
    if (LIKELY(v == VALUE_FALSE)) NEXT;
    FAULT_WITH(FAULT_NOT_BOOL, "%s", value_brief(m, v, true).text);
  }
  CASE(JF) {
    Value v = RA;
    if (v == VALUE_FALSE) { pc += I16; NEXT; }
    if (LIKELY(v == VALUE_TRUE)) NEXT;
    FAULT_WITH(FAULT_NOT_BOOL, "%s", value_brief(m, v, true).text);
  }
  CASE(JNIL) { BRANCH(RA == VALUE_NIL, I16); }
  CASE(JNOTNIL) { BRANCH(RA != VALUE_NIL, I16); }
  CASE(JARG) { BRANCH(RA != VALUE_MISSING, I16); }
  CASE(JEQ) { EQUAL_JUMP(true); }
  CASE(JNE) { EQUAL_JUMP(false); }
  CASE(JLT) { COMPARE_JUMP(<, false, true); }
  CASE(JLE) { COMPARE_JUMP(<=, true, true); }
  CASE(JNLT) { COMPARE_JUMP(<, false, false); }
  CASE(JNLE) { COMPARE_JUMP(<=, true, false); }
  CASE(JEQI) { EQUAL_IMMEDIATE(true); }
  CASE(JNEI) { EQUAL_IMMEDIATE(false); }
  CASE(JLTI) { COMPARE_IMMEDIATE(<); }
  CASE(JLEI) { COMPARE_IMMEDIATE(<=); }
  CASE(JGTI) { COMPARE_IMMEDIATE(>); }
  CASE(JGEI) { COMPARE_IMMEDIATE(>=); }

  CASE(FORPREP) {
    bool enter;
    int32_t offset = I16;
    SLOW(op_for_prep(m, &RA, &enter));
    BRANCH(!enter, offset);
  }
  CASE(FORNEXT) {
    Value *a = &RA;
    Value next = a[0], limit = a[1], step = a[2];
    int64_t sum;
    if (LIKELY(next & limit & step & 1) &&
        LIKELY(!__builtin_add_overflow((int64_t)next, (int64_t)(step - 1), &sum))) {
      if ((int64_t)step > 0 ? sum < (int64_t)limit : sum > (int64_t)limit) {
        a[0] = a[3] = (Value)sum;
        pc += I16;
        TICK();
        NEXT;
      }
      NEXT;
    }
    bool again;
    SLOW(op_for_next(m, a, &again));
    if (!again) NEXT;
    pc += I16;
    TICK();
    NEXT;
  }
  CASE(ITERPREP) { SLOW(op_iter_prep(m, &RA, &RB)); WORKED(); NEXT; }
  CASE(ITERNEXT) {
    Value *a = &RA;
    if (LIKELY(value_is_kind(a[0], OBJ_LIST) && (a[1] & 1))) {
      uint64_t i = (uint64_t)value_small(a[1]);
      const ListObj *list = (const ListObj *)value_obj(a[0]);
      if (i >= list->head.size) { pc += I16; TICK(); NEXT; }
      a[2] = ((const ArrayObj *)value_obj(list->array))->at[i];
      a[1] += 2;
      TICK();
      NEXT;
    }
    bool over;
    int32_t offset = I16;
    SLOW(op_iter_next(m, a, false, &over));
    if (over) { pc += offset; TICK(); NEXT; }
    TICK();
    NEXT;
  }
  CASE(ITERNEXT2) {
    bool over;
    int32_t offset = I16;
    SLOW(op_iter_next(m, &RA, true, &over));
    if (over) { pc += offset; TICK(); NEXT; }
    TICK();
    NEXT;
  }

  CASE(NEWLIST) { SLOW(op_new_list(m, &RA, &RB, C_INDEX)); NEXT; }
  CASE(NEWMAP) { Value map = map_new(m, B_INDEX); RA = map; NEXT; }
  CASE(NEWREC) {
    uint32_t shape = EXT;
    Value record = record_new(m, shape, &RB, m->bundle->shapes[shape].fields.count);
    RA = record;
    NEXT;
  }
  CASE(PUSH) {
    Value list = RA, v = RB;
    if (LIKELY(value_is_kind(list, OBJ_LIST) && !(value_obj(list)->flags & OBJ_SHARED) &&
        !value_is_kind(v, OBJ_ROPE))) {
      ListObj *l = (ListObj *)value_obj(list);
      uint32_t count = l->head.size;
      if (LIKELY(l->array != VALUE_NIL && count < value_obj(l->array)->size)) {
        ((ArrayObj *)value_obj(l->array))->at[count] = v;
        l->head.size = count + 1;
        machine_charge(m, COST_PUSH);
        NEXT;
      }
    }
    SLOW(op_push(m, &RA, &RB));
    WORKED();
    NEXT;
  }
  CASE(EXTEND) { SLOW(op_extend(m, &RA, &RB)); WORKED(); NEXT; }
  CASE(GETI) {
    Value b = RB, c = RC;
    if (LIKELY(value_is_kind(b, OBJ_LIST) && (c & 1))) {
      const ListObj *l = (const ListObj *)value_obj(b);
      uint64_t i = (uint64_t)value_small(c);
      if (LIKELY(i < l->head.size)) {
        RA = ((const ArrayObj *)value_obj(l->array))->at[i];
        NEXT;
      }
    }
    SLOW(op_get_index(m, &RA, &RB, &RC, false));
    NEXT;
  }
  CASE(GETIQ) { SLOW(op_get_index(m, &RA, &RB, &RC, true)); NEXT; }
  CASE(SETI) {
    Value a = RA, b = RB, v = RC;
    if (LIKELY(value_is_kind(a, OBJ_LIST) && (b & 1) && !(value_obj(a)->flags & OBJ_SHARED) &&
        !value_is_kind(v, OBJ_ROPE))) {
      ListObj *l = (ListObj *)value_obj(a);
      uint64_t i = (uint64_t)value_small(b);
      if (LIKELY(i < l->head.size)) {
        ((ArrayObj *)value_obj(l->array))->at[i] = v;
        NEXT;
      }
    }
    SLOW(op_set_index(m, &RA, &RB, &RC));
    WORKED();
    NEXT;
  }
  CASE(GETF) {
    Value b = RB;
    uint32_t *cache = m->cache + fi->cache + C_INDEX;
    if (LIKELY(value_is_kind(b, OBJ_RECORD))) {
      const RecordObj *r = (const RecordObj *)value_obj(b);
      uint32_t slot = *cache - r->key;
      if (LIKELY(slot < 256)) { RA = r->field[slot]; pc++; NEXT; }
    }
    Value name = k[EXT];
    const Value *entry = entry_cached(b, name, *cache);
    if (LIKELY(entry != NULL)) { RA = *entry; NEXT; }
    SLOW(slow_get_field(m, base, w, name, cache));
    NEXT;
  }
  CASE(GETFQ) {
    Value name = k[EXT];
    SLOW(op_get_field(m, &RA, &RB, name, true, m->cache + fi->cache + C_INDEX));
    NEXT;
  }
  CASE(GETSLOT) {
    Value b = RB;
    uint32_t shape = EXT;
    if (LIKELY(value_is_kind(b, OBJ_RECORD) && ((RecordObj *)value_obj(b))->shape == shape)) {
      RA = ((RecordObj *)value_obj(b))->field[C_INDEX];
      NEXT;
    }
    SLOW(op_shape_fault(m, b, shape));
    NEXT;
  }
  CASE(SETF) {
    Value a = RA, v = RB;
    uint32_t *cache = m->cache + fi->cache + C_INDEX;
    if (LIKELY(value_is_kind(a, OBJ_RECORD) && !value_is_kind(v, OBJ_ROPE))) {
      RecordObj *r = (RecordObj *)value_obj(a);
      uint32_t slot = *cache - r->key;
      if (LIKELY(slot < 256 && !(r->head.flags & OBJ_SHARED))) { r->field[slot] = v; pc++; NEXT; }
    }
    Value name = k[EXT];
    Value *entry = entry_cached(a, name, *cache);
    if (LIKELY(entry && !(value_obj(a)->flags & OBJ_SHARED) && !value_is_kind(v, OBJ_ROPE))) {
      *entry = v;
      NEXT;
    }
    SLOW(slow_set_field(m, base, w, name, cache));
    WORKED();
    NEXT;
  }
  CASE(SETSLOT) {
    Value a = RA;
    uint32_t shape = EXT;
    if (UNLIKELY(!value_is_kind(a, OBJ_RECORD) || ((RecordObj *)value_obj(a))->shape != shape)) {
      SLOW(op_shape_fault(m, a, shape));
    }
    if (UNLIKELY((value_obj(a)->flags & OBJ_SHARED) || value_is_kind(RB, OBJ_ROPE))) {
      settle_all(m, &RB, 1);
      value_own(m, &RA);
    }
    ((RecordObj *)value_obj(RA))->field[C_INDEX] = RB;
    WORKED();
    NEXT;
  }
  CASE(OWN) {
    if (LIKELY(already_own(RA))) NEXT;
    SLOW(op_own(m, &RA));
    WORKED();
    NEXT;
  }
  CASE(OWNI) {
    Value b = RB, c = RC;
    if (LIKELY(value_is_kind(b, OBJ_LIST) && (c & 1) && already_own(b))) {
      const ListObj *l = (const ListObj *)value_obj(b);
      uint64_t i = (uint64_t)value_small(c);
      if (LIKELY(i < l->head.size)) {
        Value part = ((const ArrayObj *)value_obj(l->array))->at[i];
        if (LIKELY(already_own(part))) { RA = part; NEXT; }
      }
    }
    SLOW(op_own_index(m, &RA, &RB, &RC));
    WORKED();
    NEXT;
  }
  CASE(OWNF) {
    Value b = RB, name = k[EXT];
    uint32_t *cache = m->cache + fi->cache + C_INDEX;
    Value *field = field_cached(b, name, *cache);
    if (LIKELY(field && already_own(b) && already_own(*field))) { RA = *field; NEXT; }
    SLOW(op_own_field(m, &RA, &RB, name, cache));
    WORKED();
    NEXT;
  }
  CASE(SLICE) { SLOW(op_slice(m, &RA, &RB, &RC)); WORKED(); NEXT; }
  CASE(CONCAT) { SLOW(op_concat(m, &RA, &RB, C_INDEX)); WORKED(); NEXT; }

  CASE(CALL) {
    uint32_t fn = EXT;
    const FnInfo *callee = &fns[fn];
    Value *window = &RA;
    if (UNLIKELY(window + callee->regs > f->stack_end || f->frame_count >= f->frame_cap)) {
      SLOW(call_room(m, fr->base + A_INDEX + callee->regs));
      LOAD();
      window = &RA;
    }
    fr->pc = (uint32_t)(pc - fi->code);
    Frame *top = fr + 1;
    top->fn = fn;
    top->base = fr->base + A_INDEX;
    top->ret = (uint8_t)A_INDEX;
    top->flags = (fr->flags & FRAME_PURE) | callee->frame_flags;
    f->frame_count++;
    if (UNLIKELY(B_INDEX != callee->quick)) call_fill(callee, window, B_INDEX);
    fr = top;
    fi = callee;
    base = window;
    pc = callee->code;
    TICK();
    NEXT;
  }
  CASE(CALLV) {
  call_value: {
    Value *window = &RA;
    if (LIKELY(value_is_kind(*window, OBJ_CLOSURE))) {
      const ClosureObj *closure = (const ClosureObj *)value_obj(*window++);
      const FnInfo *callee = &fns[closure->fn];
      if (LIKELY(B_INDEX == callee->quick && window + callee->regs <= f->stack_end &&
          f->frame_count < f->frame_cap)) {
        fr->pc = (uint32_t)(pc - fi->code);
        Frame *top = fr + 1;
        top->fn = closure->fn;
        top->base = fr->base + A_INDEX + 1;
        top->ret = (uint8_t)A_INDEX;
        top->flags = (fr->flags & FRAME_PURE) | callee->frame_flags;
        f->frame_count++;
        for (uint32_t i = 0; i < callee->captures; i++)
          window[callee->params + i] = closure->capture[i];
        fr = top;
        fi = callee;
        base = window;
        pc = callee->code;
        TICK();
        NEXT;
      }
    }
  }
    SLOW(call_closure(m, f, fr, w));
    LOAD();
    TICK();
    NEXT;
  }
  CASE(CALLM) {
    uint32_t name = EXT;
    SAVE();
    switch (call_method(m, f, w, name)) {
      case METHOD_FAULT: goto fault;
      case METHOD_DONE: break;
      case METHOD_PUSHED: LOAD(); break;
      case METHOD_FIELD: w -= 1u << 16; goto call_value; /* the receiver is no argument of it */
    }
    TICK();
    NEXT;
  }
  CASE(CALLN) {
    uint32_t native = EXT;
    Value *args = &RA, result = VALUE_NIL;
    SAVE();
    if (UNLIKELY(native_info[native].flags & NATIVE_CHANGES)) value_own(m, args);
    if (UNLIKELY(!native_table[native](m, args, B_INDEX, &result))) {
      f->result = result;
      goto fault;
    }
    RA = result;
    TICK();
    NEXT;
  }
  CASE(CLOSURE) {
    uint32_t fn = EXT;
    SLOW(op_closure(m, &RA, &RB, fn, C_INDEX));
    NEXT;
  }
  CASE(RET) {
    Value v = RA;
    if (UNLIKELY(fr->flags & (FRAME_BOUNDARY | FRAME_BOTTOM))) {
      SAVE();
      return frame_leave(f, fr, v);
    }
    uint32_t ret = fr->ret;
    f->frame_count--;
    fr--;
    fi = &fns[fr->fn];
    base = f->stack + fr->base;
    pc = fi->code + fr->pc;
    base[ret] = v;
    NEXT;
  }
  CASE(RETNIL) {
    if (LIKELY(!(fr->flags & (FRAME_BOUNDARY | FRAME_BOTTOM)))) {
      uint32_t ret = fr->ret;
      f->frame_count--;
      LOAD();
      base[ret] = VALUE_NIL;
      NEXT;
    }
    SAVE();
    return frame_leave(f, fr, VALUE_NIL);
  }

  CASE(CHECK) {
    uint32_t type = EXT;
    if (LIKELY(type_quick(&m->bundle->types[type], RA) == 1)) NEXT;
    SLOW(op_check(m, &RA, type));
    WORKED();
    NEXT;
  }
  CASE(RAISE) { SLOW(op_raise(m, &RA)); NEXT; }
  CASE(RERAISE) {
    Value v = RA;
    if (UNLIKELY(!value_is_kind(v, OBJ_ERROR))) {
      FAULT_WITH(FAULT_TYPE, "only an error can be raised again");
    }
    SAVE();
    f->result = v;
    goto fault;
  }
  CASE(FAULT) { SLOW(op_fault_about(m, (FaultCode)B_INDEX, RA)); NEXT; }

  CASE(EFFECT) {
    uint32_t site = EXT, operand = EXT;
    if (UNLIKELY(fr->flags & FRAME_PURE)) {
      FAULT_WITH(FAULT_IMPURE, "an effect was asked for below a pure function");
    }
    SAVE();
    m->ask = (Ask){.op = OP_EFFECT, .arg_count = (uint8_t)B_INDEX,
                 .has_because = C_INDEX == 1, .site = site, .operand = operand};
    f->dest = (uint8_t)A_INDEX;
    f->status = FIBER_BLOCKED;
    return STOP_EFFECT;
  }
  CASE(PARALLEL) {
    if (UNLIKELY(fr->flags & FRAME_PURE)) {
      FAULT_WITH(FAULT_IMPURE, "branches were asked for below a pure function");
    }
    SAVE();
    m->ask = (Ask){.op = OP_PARALLEL, .mode = (uint8_t)C_INDEX, .arg_count = (uint8_t)B_INDEX};
    f->dest = (uint8_t)A_INDEX;
    f->status = FIBER_BLOCKED;
    return STOP_PARALLEL;
  }
  CASE(PARFOR) {
    if (UNLIKELY(fr->flags & FRAME_PURE)) {
      FAULT_WITH(FAULT_IMPURE, "branches were asked for below a pure function");
    }
    SAVE();
    m->ask = (Ask){.op = OP_PARFOR, .mode = (uint8_t)B_INDEX, .arg_count = 3};
    f->dest = (uint8_t)A_INDEX;
    f->status = FIBER_BLOCKED;
    return STOP_PARALLEL;
  }

  DISPATCH_END

worked:
  SAVE();
  switch (machine_worked(m)) {
    case TICK_GO_ON: NEXT;
    case TICK_SLICE: return STOP_SLICE;
    case TICK_LIVE: return STOP_LIVE;
    case TICK_FAULT: goto fault;
  }
tick:
  SAVE();
  switch (machine_tick(m)) {
    case TICK_GO_ON: NEXT;
    case TICK_SLICE: return STOP_SLICE;
    case TICK_LIVE: return STOP_LIVE;
    case TICK_FAULT: break;
  }
fault:
  switch (fiber_unwind(m, f)) {
    case UNWOUND_HANDLED: break;
    case UNWOUND_BOUNDARY: return STOP_RAISE;
    case UNWOUND_BOTTOM: return STOP_FAULT;
  }
  LOAD();
  TICK(); /* a handler may stand before the fault */
  NEXT;
}

#undef A_INDEX
#undef B_INDEX
#undef C_INDEX
#undef RA
#undef RB
#undef RC
#undef KX
#undef I16
#undef J24
#undef EXT
#undef SAVE
#undef LOAD
#undef SLOW
#undef FAULT_WITH
#undef TICK
#undef WORKED
#undef BRANCH
#undef BOTH_INT
#undef BOTH_FLONUM
#undef BOTH_NUMBER
#undef FLOAT_RESULT
#undef COMPARE_JUMP
#undef COMPARE_IMMEDIATE
#undef SLOW_BRANCH
#undef EQUAL_IMMEDIATE
#undef EQUAL_JUMP
#undef EQUAL
#undef WORKED
