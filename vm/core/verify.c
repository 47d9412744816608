/* The verifier. One pass over each function's words checks every operand against
** the tables; a second follows the jumps and proves that registers are written
** before they are read. Frames that may be kept are filled on entry, so their
** functions need only the first pass. */
#include "vm/core/verify.h"

#include "vm/base/mem.h"
#include "vm/base/text.h"

typedef struct Defined { uint64_t bit[4]; } Defined; /* a bit a register */

typedef struct Check {
  const Bundle *b;
  const BundleFn *fn;
  const uint32_t *code;
  uint32_t index;    /* of the function */
  uint32_t pc;       /* of the instruction looked at */
  uint8_t *mark;     /* per word: START, TARGET, RANGE */
  uint32_t *slot;    /* per word: index in states, for targets */
  Defined *states;
  uint32_t *work;
  uint8_t *seen;     /* per state: 1 reached, 2 waiting in work */
  uint32_t work_count, state_count;
  uint64_t steps;
  Err *err;
} Check;

enum { START = 1, TARGET = 2, RANGE = 4 };

static bool refuse(const Check *c, const char *what) {
  Str name = bundle_text(c->b, c->fn->name);
  FAIL(c->err, ERR_CORRUPT, "function %" PRIu32 " (" STR_FMT "), word %" PRIu32 ": %s", c->index,
       STR_ARG(name), c->pc, what);
  return false;
}

#define NEED(condition, what)                        \
  do {                                               \
    if (UNLIKELY(!(condition))) return refuse(c, what); \
  } while (0)

typedef struct Ins { /* one instruction, decoded */
  Op op;
  uint32_t a, b, cc, words;
  uint32_t ext, ext2;
} Ins;

static Ins ins_at(const uint32_t *at) {
  uint32_t w = *at;
  Ins i = {.op = (Op)(w & 0xff), .a = (w >> 8) & 0xff, .b = (w >> 16) & 0xff, .cc = w >> 24};
  i.words = op_info[i.op].words;
  i.ext = i.words > 1 ? at[1] : 0;
  i.ext2 = i.words > 2 ? at[2] : 0;
  return i;
}

/* The word a jump goes to, before it is known to be one of the function's; false: no jump. */
static bool ins_target(const Ins *i, uint32_t pc, const uint32_t *at, int64_t *target) {
  const OpInfo *info = &op_info[i->op];
  int64_t next = (int64_t)pc + i->words;
  if (info->a == ROLE_J24) *target = next + ((int32_t)*at >> 8);
  else if (info->b == ROLE_J16) *target = next + (int16_t)(*at >> 16);
  else if (info->ext == EXT_JUMP) *target = next + (int32_t)i->ext;
  else return false;
  return true;
}

static bool ins_ends(Op op) {
  return op == OP_JMP || op == OP_LOOP || op == OP_RET || op == OP_RETNIL || op == OP_RAISE ||
         op == OP_RERAISE || op == OP_FAULT;
}

/* Only these jump back: they count a tick. */
static bool ins_ticks(Op op) {
  return op == OP_LOOP || op == OP_FORNEXT || op == OP_ITERNEXT || op == OP_ITERNEXT2;
}

/* ---- what an instruction touches ---- */

typedef struct Span { uint32_t first, count; } Span;
typedef struct Touch {
  Span read[4], write[2];
} Touch;

static void touch_roles(const Ins *i, Touch *t) {
  const OpInfo *info = &op_info[i->op];
  uint8_t roles[3] = {info->a, info->b, info->c};
  uint32_t regs[3] = {i->a, i->b, i->cc}, writes = 0;
  for (int n = 0; n < 3; n++) {
    if (roles[n] == ROLE_R || roles[n] == ROLE_RW) t->read[n] = (Span){regs[n], 1};
    if ((roles[n] == ROLE_W || roles[n] == ROLE_RW) && writes < 2)
      t->write[writes++] = (Span){regs[n], 1};
  }
}

static Touch ins_touches(const Check *c, const Ins *i) {
  Touch t = {0};
  touch_roles(i, &t);
  switch (i->op) {
    case OP_CALL:
    case OP_CALLN:
    case OP_CALLM:
    case OP_EFFECT:
    case OP_PARALLEL: t.read[0] = (Span){i->a, i->b}; break;
    case OP_CALLV: t.read[0] = (Span){i->a, i->b + 1}; break;
    case OP_PARFOR: t.read[0] = (Span){i->a, 3}; break;
    case OP_NEWLIST: case OP_CONCAT: case OP_CLOSURE: t.read[1] = (Span){i->b, i->cc}; break;
    case OP_NEWREC: t.read[1] = (Span){i->b, c->b->shapes[i->ext].fields.count}; break;
    case OP_SLICE: t.read[2] = (Span){i->cc, 2}; break;
    case OP_FORPREP: t.read[0] = (Span){i->a, 3}; t.write[0] = (Span){i->a + 3, 1}; break;
    case OP_FORNEXT: t.read[0] = (Span){i->a, 3}; t.write[0] = (Span){i->a + 3, 1}; break;
    case OP_ITERPREP: t.read[0] = (Span){0, 0}; t.write[0] = (Span){i->a, 2}; break;
    case OP_ITERNEXT: t.read[0] = (Span){i->a, 2}; t.write[0] = (Span){i->a + 2, 1}; break;
    case OP_ITERNEXT2: t.read[0] = (Span){i->a, 2}; t.write[0] = (Span){i->a + 2, 2}; break;
    default: break;
  }
  return t;
}

static bool span_fits(const Check *c, Span s) {
  return s.count == 0 || s.first + s.count <= c->fn->regs;
}

static bool check_registers(Check *c, const Ins *i) {
  Touch t = ins_touches(c, i);
  for (size_t n = 0; n < COUNT_OF(t.read); n++)
    NEED(span_fits(c, t.read[n]), "a register is not there");
  for (size_t n = 0; n < COUNT_OF(t.write); n++)
    NEED(span_fits(c, t.write[n]), "a register is not there");
  /* what is written besides: the value of a map's entry, whatever the loop's own form */
  if (i->op == OP_ITERNEXT) NEED(i->a + 4 <= c->fn->regs, "a register is not there");
  return true;
}

/* ---- operands ---- */

static bool is_string(const Bundle *b, uint32_t index) {
  return index < b->const_count && b->consts[index].kind == CONST_STRING;
}

static bool takes(const BundleFn *fn, uint32_t count) {
  return count >= fn->min_args && count <= fn->params.count;
}

static bool check_call(Check *c, const Ins *i) {
  NEED(i->ext < c->b->fn_count, "no such function");
  const BundleFn *callee = &c->b->fns[i->ext];
  NEED(callee->captures == 0, "a closure's function is called without its values");
  NEED(takes(callee, i->b), "a call with a wrong number of arguments");
  NEED(!(callee->flags & FN_EFFECTS) || (c->fn->flags & FN_EFFECTS),
       "a call of a function with effects from one without");
  return true;
}

static bool check_native(Check *c, const Ins *i) {
  NEED(i->ext < NATIVE_COUNT, "no such native");
  const NativeInfo *n = &native_info[i->ext];
  NEED(i->b >= n->min && i->b <= n->max, "a native with a wrong number of arguments");
  return true;
}

static bool check_effect_operand(Check *c, const Ins *i, uint8_t kind, uint32_t args) {
  const Bundle *b = c->b;
  switch ((EffectKind)kind) {
    case EFFECT_TOOL:
      NEED(i->ext2 < b->tool_count, "no such tool");
      NEED(args < b->fns[b->tools[i->ext2].perform].params.count, "a tool with too many arguments");
      return true;
    case EFFECT_RUN_START:
    case EFFECT_RUN_CALL: NEED(i->ext2 < b->workflow_count, "no such workflow"); return true;
    case EFFECT_FOREIGN: NEED(i->ext2 < b->extern_count, "no such extern"); return true;
    case EFFECT_HTTP:
    case EFFECT_FILE_READ:
    case EFFECT_FILE_WRITE:
    case EFFECT_SIGNAL_WAIT:
    case EFFECT_SIGNAL_SEND:
    case EFFECT_PATCHED:
    case EFFECT_DEPRECATE_PATCH:
      NEED(is_string(b, i->ext2), "an effect's name is not a string");
      return true;
    case EFFECT_DISPATCH:
    case EFFECT_ENQUEUE:
      NEED(is_string(b, i->ext2), "an effect's name is not a string");
      NEED(args == 2, "an effect with a wrong number of operands");
      return true;
    case EFFECT_VIEW:
    case EFFECT_TEST:
      NEED(is_string(b, i->ext2), "an effect's name is not a string");
      NEED(args >= 1, "an effect with a wrong number of operands");
      return true;
    case EFFECT_SNOOZE:
    case EFFECT_GIVE_UP: NEED(args == 1, "an effect with a wrong number of operands"); return true;
    case EFFECT_MODEL:
      NEED(is_string(b, i->ext2), "an effect's name is not a string");
      NEED(args == 1, "an effect with a wrong number of operands");
      return true;
    case EFFECT_APPROVE:
      NEED(i->ext2 < b->tool_count, "no such tool");
      NEED(args == 3, "an effect with a wrong number of operands");
      return true;
    case EFFECT_FIT:
      NEED(i->ext2 < b->shape_count, "no such shape");
      NEED(args == 1, "an effect with a wrong number of operands");
      return true;
    case EFFECT_BUDGET: NEED(args == 1, "an effect with a wrong number of operands"); return true;
    case EFFECT_NOTE:
    case EFFECT_RECALL: NEED(args == 3, "an effect with a wrong number of operands"); return true;
    case EFFECT_REMEMBER: NEED(args == 4, "an effect with a wrong number of operands"); return true;
    case EFFECT_BUDGET_END:
    case EFFECT_BUDGET_LEFT: NEED(args == 0, "an effect with a wrong number of operands"); return true;
    case EFFECT_STUB: NEED(is_string(b, i->ext2), "an effect's name is not a string"); return true;
    default: return true;
  }
}

static bool check_effect(Check *c, const Ins *i) {
  NEED(c->fn->flags & FN_EFFECTS, "an effect in a function that declares none");
  NEED(i->ext < c->b->site_count && c->b->sites[i->ext].fn == c->index,
       "an effect's site belongs elsewhere");
  NEED(i->cc <= 1 && i->cc <= i->b, "an effect's because");
  return check_effect_operand(c, i, c->b->sites[i->ext].kind, i->b - i->cc);
}

static bool check_ext(Check *c, const Ins *i) {
  const Bundle *b = c->b;
  switch ((Ext)op_info[i->op].ext) {
    case EXT_NONE: case EXT_JUMP: return true;
    case EXT_FN: NEED(i->ext < b->fn_count, "no such function"); return true;
    case EXT_NATIVE: return check_native(c, i);
    case EXT_NAME: NEED(is_string(b, i->ext), "a name is not a string"); return true;
    case EXT_SHAPE: NEED(i->ext < b->shape_count, "no such shape"); return true;
    case EXT_TYPE: NEED(i->ext < b->type_count, "no such type"); return true;
    case EXT_CONST: NEED(i->ext < b->const_count, "no such constant"); return true;
    case EXT_CONFIG: NEED(i->ext < b->config_count, "no such config"); return true;
    case EXT_EFFECT: return check_effect(c, i);
  }
  return refuse(c, "operand");
}

/* What the roles do not say. */
static bool check_special(Check *c, const Ins *i) {
  switch (i->op) {
    case OP_CALL: return check_call(c, i);
    case OP_CALLV:
      NEED(c->fn->flags & (FN_MAY_SUSPEND | FN_PURE),
           "a call of a function value in a frame that is not filled");
      return true;
    case OP_CALLM: NEED(i->b >= 1 && i->cc <= 1, "a method without a receiver"); return true;
    case OP_CLOSURE:
      NEED(c->b->fns[i->ext].captures == i->cc, "a closure with a wrong number of values");
      return true;
    case OP_GETF:
    case OP_GETFQ:
    case OP_SETF:
    case OP_OWNF: NEED(i->cc < c->fn->cache_count, "no such cache slot"); return true;
    case OP_GETSLOT:
    case OP_SETSLOT: NEED(i->cc < c->b->shapes[i->ext].fields.count, "no such field"); return true;
    case OP_FAULT: NEED(i->b < FAULT_COUNT, "no such fault"); return true;
    case OP_PARALLEL:
      NEED((c->fn->flags & FN_EFFECTS) && i->b >= 1 && i->cc <= 2,
           "branches in a function without effects");
      return true;
    case OP_PARFOR:
      NEED((c->fn->flags & FN_EFFECTS) && i->b <= 1, "branches in a function without effects");
      return true;
    default: return true;
  }
}

static bool check_unused(Check *c, const Ins *i, uint32_t w) {
  const OpInfo *info = &op_info[i->op];
  if (info->a == ROLE_J24) return true;
  bool wide = info->b == ROLE_J16 || info->b == ROLE_K16 || info->b == ROLE_I16;
  NEED(info->a != ROLE___ || i->a == 0, "an unused operand is not zero");
  NEED(info->b != ROLE___ || i->b == 0, "an unused operand is not zero");
  NEED(wide || info->c != ROLE___ || i->cc == 0, "an unused operand is not zero");
  if (info->b == ROLE_K16) NEED(w >> 16 < c->b->const_count, "no such constant");
  return true;
}

static bool check_instruction(Check *c) {
  uint32_t w = c->code[c->pc];
  NEED((w & 0xff) < OP_COUNT, "no such instruction");
  NEED(c->fn->code_count - c->pc >= op_info[w & 0xff].words, "the last instruction is cut short");
  Ins i = ins_at(c->code + c->pc);
  c->mark[c->pc] |= START;
  if (!check_unused(c, &i, w) || !check_ext(c, &i) || !check_registers(c, &i) ||
      !check_special(c, &i))
    return false;
  int64_t target;
  if (ins_target(&i, c->pc, c->code + c->pc, &target)) {
    NEED(target >= 0 && target < c->fn->code_count, "a jump leaves the function");
    NEED(target > c->pc || ins_ticks(i.op), "a jump back that counts no tick");
    c->mark[target] |= TARGET;
  }
  NEED(c->pc + i.words < c->fn->code_count || ins_ends(i.op), "the code runs past its end");
  c->pc += i.words;
  return true;
}

static bool check_handlers(Check *c) {
  const BundleHandler *h = c->b->handlers + c->fn->handlers.first;
  uint32_t n = c->fn->code_count;
  for (uint32_t i = 0; i < c->fn->handlers.count; i++, h++) {
    c->pc = h->start;
    NEED(h->start < h->end && h->end <= n && h->target < n && h->reg < c->fn->regs,
         "a handler leaves the function");
    NEED((c->mark[h->start] & START) && (h->end == n || (c->mark[h->end] & START)),
         "a handler cuts an instruction");
    c->mark[h->start] |= RANGE;
    c->mark[h->target] |= TARGET;
  }
  return true;
}

static bool check_structure(Check *c) {
  for (c->pc = 0; c->pc < c->fn->code_count;) {
    if (!check_instruction(c)) return false;
  }
  if (!check_handlers(c)) return false;
  for (c->pc = 0; c->pc < c->fn->code_count; c->pc++) {
    NEED(!(c->mark[c->pc] & TARGET) || (c->mark[c->pc] & START), "a jump into an instruction");
  }
  return true;
}

/* ---- written before read ---- */

static void defined_add(Defined *d, Span s) {
  for (uint32_t r = s.first; r < s.first + s.count; r++) d->bit[r >> 6] |= (uint64_t)1 << (r & 63);
}

static bool defined_has(const Defined *d, Span s) {
  for (uint32_t r = s.first; r < s.first + s.count; r++) {
    if (!(d->bit[r >> 6] >> (r & 63) & 1)) return false;
  }
  return true;
}

enum { REACHED = 1, WAITING = 2 };

static void flow_to(Check *c, uint32_t pc, const Defined *d) {
  uint32_t s = c->slot[pc];
  Defined *state = &c->states[s];
  bool changed = !(c->seen[s] & REACHED);
  for (int i = 0; i < 4; i++) {
    uint64_t both = changed && !(c->seen[s] & REACHED) ? d->bit[i] : state->bit[i] & d->bit[i];
    if (both != state->bit[i]) changed = true;
    state->bit[i] = both;
  }
  c->seen[s] |= REACHED;
  if (!changed || (c->seen[s] & WAITING)) return;
  c->seen[s] |= WAITING;
  c->work[c->work_count++] = pc;
}

/* Along a straight run registers only gain values, so what reaches a handler is what held where the
** run, or the handler's range, began. */
static void flow_to_handlers(Check *c, uint32_t pc, const Defined *d) {
  const BundleHandler *h = c->b->handlers + c->fn->handlers.first;
  for (uint32_t i = 0; i < c->fn->handlers.count; i++, h++) {
    if (pc < h->start || pc >= h->end) continue;
    Defined at = *d;
    defined_add(&at, (Span){h->reg, 1});
    flow_to(c, h->target, &at);
  }
  c->steps += c->fn->handlers.count;
}

static bool flow_instruction(Check *c, const Ins *i, Defined *d) {
  Touch t = ins_touches(c, i);
  for (size_t n = 0; n < COUNT_OF(t.read); n++) {
    NEED(defined_has(d, t.read[n]), "a register is read before it is written");
  }
  int64_t target;
  bool jumps = ins_target(i, c->pc, c->code + c->pc, &target);
  bool writes_first = i->op == OP_FORNEXT; /* the others write only when they do not jump */
  if (jumps && !writes_first) flow_to(c, (uint32_t)target, d);
  for (size_t n = 0; n < COUNT_OF(t.write); n++) defined_add(d, t.write[n]);
  if (jumps && writes_first) flow_to(c, (uint32_t)target, d);
  return true;
}

static bool flow_block(Check *c, uint32_t start) {
  Defined d = c->states[c->slot[start]];
  for (c->pc = start;;) {
    Ins i = ins_at(c->code + c->pc);
    if (c->pc == start || (c->mark[c->pc] & RANGE)) flow_to_handlers(c, c->pc, &d);
    if (!flow_instruction(c, &i, &d)) return false;
    c->steps++;
    if (ins_ends(i.op)) return true;
    c->pc += i.words;
    if (c->mark[c->pc] & TARGET) {
      flow_to(c, c->pc, &d);
      return true;
    }
  }
}

static bool check_flow(Check *c) {
  uint64_t budget = (uint64_t)c->fn->code_count * 64 + (1u << 20);
  c->mark[0] |= TARGET;
  c->state_count = 0;
  for (uint32_t pc = 0; pc < c->fn->code_count; pc++) {
    if (c->mark[pc] & TARGET) c->slot[pc] = c->state_count++;
  }
  memset(c->seen, 0, c->state_count);
  Defined first = {0};
  defined_add(&first, (Span){0, c->fn->params.count + c->fn->captures});
  c->work_count = 0;
  flow_to(c, 0, &first);
  while (c->work_count > 0) {
    uint32_t pc = c->work[--c->work_count];
    c->seen[c->slot[pc]] &= (uint8_t)~WAITING;
    if (!flow_block(c, pc)) return false;
    NEED(c->steps < budget, "too many ways through the function");
  }
  return true;
}

/* ---- functions and tables ---- */

static bool check_fn(Check *c) {
  const BundleFn *fn = c->fn;
  c->pc = 0;
  c->steps = 0;
  NEED(fn->regs <= LIMIT_REGISTERS && fn->params.count + fn->captures <= fn->regs, "registers");
  NEED(fn->min_args <= fn->params.count, "parameters");
  NEED(fn->code_count > 0 && fn->code_count <= LIMIT_STRAIGHT_LINE, "size of the code");
  NEED(fn->cache_count <= 256, "cache slots");
  NEED(!(fn->flags & FN_PURE) || !(fn->flags & FN_EFFECTS), "a pure function with effects");
  NEED(!(fn->flags & FN_EFFECTS) || (fn->flags & FN_MAY_SUSPEND),
       "a function with effects whose frame is not filled");
  memset(c->mark, 0, fn->code_count);
  if (!check_structure(c)) return false;
  return (fn->flags & FN_MAY_SUSPEND) || check_flow(c);
}

static bool check_fns(const Bundle *b, Err *err) {
  uint32_t longest = 0;
  for (uint32_t i = 0; i < b->fn_count; i++) {
    if (b->fns[i].code_count > longest) longest = b->fns[i].code_count;
  }
  size_t n = (size_t)longest + 1;
  Check c = {.b = b, .err = err};
  c.mark = mem_alloc(n);
  c.seen = mem_alloc(n);
  c.slot = mem_alloc(n * sizeof *c.slot);
  c.work = mem_alloc(n * sizeof *c.work);
  c.states = mem_alloc(n * sizeof *c.states);
  bool ok = true;
  for (uint32_t i = 0; i < b->fn_count && ok; i++) {
    c.index = i;
    c.fn = &b->fns[i];
    c.code = b->code + c.fn->code;
    ok = check_fn(&c);
  }
  mem_free(c.mark);
  mem_free(c.seen);
  mem_free(c.slot);
  mem_free(c.work);
  mem_free(c.states);
  return ok;
}

static bool table_wrong(Err *err, const char *table, uint32_t index, const char *what) {
  FAIL(err, ERR_CORRUPT, "%s %" PRIu32 ": %s", table, index, what);
  return false;
}

static bool check_consts(const Bundle *b, Err *err) {
  Decimal ignored;
  for (uint32_t i = 0; i < b->const_count; i++) {
    const BundleConst *k = &b->consts[i];
    if (k->kind > CONST_BOOL) return table_wrong(err, "constant", i, "of no kind");
    if (k->text.size > LIMIT_VALUE_BYTES) return table_wrong(err, "constant", i, "too large");
    if (k->kind == CONST_STRING && !utf8_valid(k->text))
      return table_wrong(err, "constant", i, "not UTF-8");
    if (k->kind == CONST_DECIMAL && !decimal_parse(k->text, &ignored))
      return table_wrong(err, "constant", i, "not a decimal");
  }
  return true;
}

/* A function that is called from outside the code: nothing but arguments. */
static bool plain_fn(const Bundle *b, uint32_t fn, uint32_t params) {
  return fn < b->fn_count && b->fns[fn].captures == 0 && b->fns[fn].params.count == params;
}

static bool pure_fn(const Bundle *b, uint32_t fn) { return !(b->fns[fn].flags & FN_EFFECTS); }

static bool check_shapes(const Bundle *b, Err *err) {
  if (b->shape_count > 1u << 20)
    return table_wrong(err, "shape", 1u << 20, "too many"); /* field caches hold 23 bits */
  for (uint32_t i = 0; i < b->shape_count; i++) {
    const BundleShape *s = &b->shapes[i];
    if (s->constructor != NONE_INDEX && !plain_fn(b, s->constructor, s->fields.count)) {
      return table_wrong(err, "shape", i, "its constructor does not take its fields");
    }
    for (uint32_t u = 0; u < s->upcasts.count; u++) {
      uint32_t fn = b->indexes[s->upcasts.first + u];
      if (fn == NONE_INDEX) continue;
      if (!plain_fn(b, fn, 1) || !pure_fn(b, fn))
        return table_wrong(err, "shape", i, "an upcast is no pure function of one value");
    }
  }
  return true;
}

static bool check_tools(const Bundle *b, Err *err) {
  for (uint32_t i = 0; i < b->tool_count; i++) {
    const BundleTool *t = &b->tools[i];
    if (t->perform >= b->fn_count || b->fns[t->perform].params.count == 0)
      return table_wrong(err, "tool", i, "perform");
    uint32_t params = b->fns[t->perform].params.count;
    if (!plain_fn(b, t->perform, params))
      return table_wrong(err, "tool", i, "perform takes captured values");
    if (t->check != NONE_INDEX && !plain_fn(b, t->check, params))
      return table_wrong(err, "tool", i, "check takes other parameters than perform");
    if (t->unless == NONE_INDEX) continue;
    if (!plain_fn(b, t->unless, 1) || !pure_fn(b, t->unless))
      return table_wrong(err, "tool", i, "unless is no pure function of one value");
  }
  return true;
}

static bool check_workflows(const Bundle *b, Err *err) {
  for (uint32_t i = 0; i < b->workflow_count; i++) {
    const BundleWorkflow *w = &b->workflows[i];
    if (w->fn >= b->fn_count || b->fns[w->fn].captures != 0)
      return table_wrong(err, "workflow", i, "its function takes captured values");
    for (uint32_t q = 0; q < w->queries.count; q++) {
      const BundleQuery *query = &b->queries[w->queries.first + q];
      if (query->fn >= b->fn_count || !pure_fn(b, query->fn) ||
          b->fns[query->fn].captures != query->captures.count) {
        return table_wrong(err, "query", w->queries.first + q, "its function");
      }
      for (uint32_t r = 0; r < query->captures.count; r++) {
        if (b->indexes[query->captures.first + r] >= b->fns[w->fn].regs)
          return table_wrong(err, "query", q, "no such register");
      }
    }
  }
  return true;
}

static bool check_methods(const Bundle *b, Err *err) {
  for (uint32_t i = 0; i < b->method_count; i++) {
    const BundleMethod *method = &b->methods[i];
    bool ok = method->native
                  ? method->target < NATIVE_COUNT
                  : method->target < b->fn_count && b->fns[method->target].captures == 0 &&
                        b->fns[method->target].params.count > 0;
    if (!ok) return table_wrong(err, "method", i, "its function");
  }
  return true;
}

/* ---- the application ---- */

static const char *clauses_wrong(const Bundle *b, Range32 clauses, uint32_t params, bool pure) {
  for (uint32_t i = 0; i < clauses.count; i++) {
    const BundleClause *c = &b->clauses[clauses.first + i];
    if (!plain_fn(b, c->fn, params)) return "a clause's function takes something else";
    if (pure && !pure_fn(b, c->fn)) return "a clause's function has effects";
    if (c->guard == NONE_INDEX) continue;
    if (!plain_fn(b, c->guard, params) || !pure_fn(b, c->guard))
      return "a guard is no pure function of what its clause takes";
  }
  return NULL;
}

static const char *agent_wrong(const Bundle *b, const BundleAgent *a) {
  uint32_t constructor = b->shapes[a->state].constructor;
  if (!pure_fn(b, constructor) || b->fns[constructor].min_args > 0)
    return "its state cannot be made of nothing";
  const char *what = clauses_wrong(b, a->decides, 3, true);
  if (what == NULL) what = clauses_wrong(b, a->evolves, 3, true);
  for (uint32_t i = 0; i < a->views.count && what == NULL; i++) {
    uint32_t fn = b->views[a->views.first + i].fn;
    if (b->fns[fn].params.count == 0 || b->fns[fn].captures > 0 || !pure_fn(b, fn))
      what = "a view is no pure function of the state";
  }
  for (uint32_t i = 0; i < a->invariants.count && what == NULL; i++) {
    uint32_t fn = b->invariants[a->invariants.first + i].fn;
    if (!plain_fn(b, fn, 1) || !pure_fn(b, fn))
      what = "an invariant is no pure function of the state";
  }
  return what;
}

static const char *before_wrong(const Bundle *b, const BundleRoute *r) {
  for (uint32_t i = 0; i < r->before.count; i++) {
    uint32_t fn = b->indexes[r->before.first + i];
    if ((!plain_fn(b, fn, 1) && !plain_fn(b, fn, 2)) || !pure_fn(b, fn))
      return "what runs before is no pure function of a command and its meta";
  }
  return NULL;
}

static bool unless_fits(const Bundle *b, const BundleAttempts *a) {
  return a->unless == NONE_INDEX || (plain_fn(b, a->unless, 1) && pure_fn(b, a->unless));
}

static bool check_agents(const Bundle *b, Err *err) {
  const char *what;
  for (uint32_t i = 0; i < b->agent_count; i++) {
    if ((what = agent_wrong(b, &b->agents[i])) != NULL) return table_wrong(err, "agent", i, what);
  }
  for (uint32_t i = 0; i < b->route_count; i++) {
    if ((what = before_wrong(b, &b->routes[i])) != NULL) return table_wrong(err, "route", i, what);
  }
  return true;
}

static bool check_entries(const Bundle *b, Err *err) {
  static const char unless[] = "unless is no pure function of one value";
  static const char other[] = "its function takes something else";
  for (uint32_t i = 0; i < b->subscriber_count; i++) {
    const BundleSubscriber *s = &b->subscribers[i];
    const char *what = clauses_wrong(b, s->clauses, 2, false);
    if (what != NULL) return table_wrong(err, "handler", i, what);
    if (!unless_fits(b, &s->attempts)) return table_wrong(err, "handler", i, unless);
  }
  for (uint32_t i = 0; i < b->worker_count; i++) {
    if (!plain_fn(b, b->workers[i].fn, 2)) return table_wrong(err, "worker", i, other);
    if (!unless_fits(b, &b->workers[i].attempts)) return table_wrong(err, "worker", i, unless);
  }
  for (uint32_t i = 0; i < b->cron_count; i++) {
    if (!plain_fn(b, b->crons[i].fn, 0)) return table_wrong(err, "cron", i, other);
  }
  for (uint32_t i = 0; i < b->test_count; i++) {
    if (!plain_fn(b, b->tests[i].fn, 0)) return table_wrong(err, "test", i, other);
  }
  return true;
}

bool verify_bundle(const Bundle *bundle, Err *err) {
  if (bundle->script >= bundle->fn_count || !plain_fn(bundle, bundle->script, 0)) {
    return table_wrong(err, "bundle", 0, "its script is no function without parameters");
  }
  return check_consts(bundle, err) && check_shapes(bundle, err) && check_tools(bundle, err) &&
         check_workflows(bundle, err) && check_agents(bundle, err) && check_entries(bundle, err) &&
         check_methods(bundle, err) && check_fns(bundle, err);
}
