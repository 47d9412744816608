/* A verified bundle made ready: constants become values in one block that no run
** may write to, functions become the few bytes a call reads. */
#include "vm/core/program.h"

#include "vm/base/hash.h"
#include "vm/base/mem.h"
#include "vm/core/verify.h"

/* ---- constants ---- */

static size_t const_bytes(const BundleConst *c) {
  switch ((ConstKind)c->kind) {
    case CONST_NIL: case CONST_BOOL: return 0;
    case CONST_INT: case CONST_FLOAT: case CONST_DURATION: return 8 + 16;
    case CONST_DECIMAL: return 8 + sizeof(DecimalObj);
    case CONST_STRING: return 8 + object_round(sizeof(StringObj) + c->text.size);
    case CONST_BYTES: return 8 + object_round(sizeof(BytesObj) + c->text.size);
  }
  UNREACHABLE();
}

typedef struct Block {
  char *next;
} Block;

static void *block_take(Block *b, ObjKind kind, size_t bytes, size_t size, uint32_t index) {
  *(uint64_t *)(void *)b->next = index;
  Obj *o = (Obj *)(void *)(b->next + 8);
  *o = (Obj){.kind = (uint8_t)kind, .flags = OBJ_SHARED | OBJ_CONST, .size = (uint32_t)size};
  b->next += 8 + bytes;
  return o;
}

static Value const_string(Block *b, Str text, uint32_t index) {
  StringObj *s = block_take(b, OBJ_STRING, object_round(sizeof *s + text.size), text.size, index);
  if (text.size) memcpy(s->bytes, text.at, text.size);
  bool ascii = text_is_ascii(text);
  s->chars = (uint32_t)(ascii ? text.size : utf8_count(text));
  if (ascii) s->head.flags |= OBJ_ASCII;
  string_hash((Value)(uintptr_t)s);
  return (Value)(uintptr_t)s;
}

static Value const_int(Block *b, ObjKind kind, int64_t i, uint32_t index) {
  if (kind == OBJ_INT && i >= SMALL_INT_MIN && i <= SMALL_INT_MAX) return value_small_int(i);
  IntObj *o = block_take(b, kind, sizeof *o, 0, index);
  o->i = i;
  return (Value)(uintptr_t)o;
}

static Value const_float(Block *b, double f, uint32_t index) {
  Value v;
  if (flonum_encode(f, &v)) return v;
  FloatObj *o = block_take(b, OBJ_FLOAT, sizeof *o, 0, index);
  o->f = f;
  return (Value)(uintptr_t)o;
}

/* The text has been checked to be a decimal. */
static Value const_decimal(Block *b, Str text, uint32_t index) {
  Decimal d = {0};
  bool ok = decimal_parse(text, &d);
  ASSERT(ok);
  DecimalObj *o = block_take(b, OBJ_DECIMAL, sizeof *o, 0, index);
  o->head.aux = d.scale;
  o->low = (uint64_t)d.coefficient;
  o->high = (int64_t)(d.coefficient >> 64);
  return (Value)(uintptr_t)o;
}

static Value const_value(Block *b, const BundleConst *c, uint32_t index) {
  switch ((ConstKind)c->kind) {
    case CONST_NIL: return VALUE_NIL;
    case CONST_BOOL: return value_bool(c->i != 0);
    case CONST_INT: return const_int(b, OBJ_INT, c->i, index);
    case CONST_DURATION: return const_int(b, OBJ_DURATION, c->i, index);
    case CONST_FLOAT: return const_float(b, c->f, index);
    case CONST_DECIMAL: return const_decimal(b, c->text, index);
    case CONST_STRING: return const_string(b, c->text, index);
    case CONST_BYTES: {
      BytesObj *o =
          block_take(b, OBJ_BYTES, object_round(sizeof *o + c->text.size), c->text.size, index);
      if (c->text.size) memcpy(o->bytes, c->text.at, c->text.size);
      return (Value)(uintptr_t)o;
    }
  }
  UNREACHABLE();
}

static void program_consts(Program *p) {
  const Bundle *b = p->bundle;
  size_t bytes = 130 * (8 + 24);
  for (uint32_t i = 0; i < b->const_count; i++) bytes += const_bytes(&b->consts[i]);
  p->block_size = bytes;
  p->block = mem_alloc(bytes);
  p->consts = mem_alloc(sizeof(Value) * (b->const_count + 1));
  Block block = {p->block};
  for (uint32_t i = 0; i < b->const_count; i++)
    p->consts[i] = const_value(&block, &b->consts[i], i);
  for (uint32_t c = 0; c < 128; c++) {
    char text = (char)c;
    p->chars[c] = const_string(&block, (Str){&text, 1}, b->const_count + c);
  }
  p->empty = const_string(&block, STR(""), b->const_count + 128);
  p->zero = const_float(&block, 0.0, b->const_count + 129);
  ASSERT(block.next <= p->block + bytes);
}

Value program_const(const Program *p, uint32_t index) {
  uint32_t own = p->bundle->const_count;
  if (index < own) return p->consts[index];
  if (index - own < 128) return p->chars[index - own];
  return index - own == 128 ? p->empty : p->zero;
}

/* ---- functions ---- */

static void program_fns(Program *p) {
  const Bundle *b = p->bundle;
  p->fns = mem_alloc(sizeof(FnInfo) * (b->fn_count + 1));
  for (uint32_t i = 0; i < b->fn_count; i++) {
    const BundleFn *fn = &b->fns[i];
    p->fns[i] = (FnInfo){.code = b->code + fn->code,
                         .code_count = fn->code_count,
                         .cache = p->cache_total,
                         .regs = fn->regs,
                         .params = (uint8_t)fn->params.count,
                         .captures = fn->captures,
                         .quick = (uint8_t)fn->params.count,
                         .min_args = fn->min_args,
                         .flags = fn->flags,
                         .kind = fn->kind,
                         .frame_flags = fn->flags & FN_PURE ? FRAME_PURE : 0};
    p->cache_total += fn->cache_count;
  }
}

static void program_widths(Program *p) {
  const Bundle *b = p->bundle;
  p->width = mem_alloc(b->code_count + 1);
  for (uint32_t i = 0; i < b->fn_count; i++) {
    const BundleFn *fn = &b->fns[i];
    for (uint32_t pc = 0; pc < fn->code_count;) {
      uint8_t words = op_info[b->code[fn->code + pc] & 0xff].words;
      p->width[fn->code + pc] = words;
      pc += words;
    }
  }
}

/* ---- which frames are filled ----
** A frame that may be kept must hold nothing but what execution put there, so those on the way to a suspension are
** filled on entry: functions that may suspend, that call values or methods, and all that call such. */

typedef struct Callers { /* edges from callee to caller, as lists in arrays */
  uint32_t *first, *next, *caller, *work;
  uint32_t count, waiting;
} Callers;

static void fill_mark(Program *p, Callers *c, uint32_t fn) {
  FnInfo *info = &p->fns[fn];
  if (info->quick == FILLED || (info->flags & FN_PURE)) return;
  info->quick = FILLED;
  c->work[c->waiting++] = fn;
}

static void fill_scan(Program *p, Callers *c, uint32_t fn) {
  const FnInfo *info = &p->fns[fn];
  if (info->flags & FN_MAY_SUSPEND) fill_mark(p, c, fn);
  for (uint32_t pc = 0; pc < info->code_count; pc += op_info[info->code[pc] & 0xff].words) {
    uint8_t op = info->code[pc] & 0xff;
    if (op == OP_CALLV || op == OP_CALLM) fill_mark(p, c, fn);
    if (op != OP_CALL) continue;
    uint32_t callee = info->code[pc + 1];
    c->caller[c->count] = fn;
    c->next[c->count] = c->first[callee];
    c->first[callee] = ++c->count;
  }
}

static void program_fill(Program *p) {
  const Bundle *b = p->bundle;
  Callers c = {0};
  c.first = mem_alloc(((size_t)b->fn_count + 1) * 4);
  c.work = mem_alloc(((size_t)b->fn_count + 1) * 4);
  c.next = mem_alloc(((size_t)b->code_count / 2 + 1) * 4);
  c.caller = mem_alloc(((size_t)b->code_count / 2 + 1) * 4);
  for (uint32_t i = 0; i < b->fn_count; i++) fill_scan(p, &c, i);
  while (c.waiting > 0) {
    for (uint32_t e = c.first[c.work[--c.waiting]]; e; e = c.next[e - 1])
      fill_mark(p, &c, c.caller[e - 1]);
  }
  mem_free(c.first);
  mem_free(c.work);
  mem_free(c.next);
  mem_free(c.caller);
}

bool program_starts(const Program *p, uint32_t fn, uint32_t pc) {
  return pc < p->fns[fn].code_count && p->width[p->bundle->fns[fn].code + pc] != 0;
}

const uint32_t *program_before(const Program *p, uint32_t fn, uint32_t pc) {
  if (pc > p->fns[fn].code_count) return NULL;
  for (uint32_t words = 1; words <= 3 && words <= pc; words++) {
    if (p->width[p->bundle->fns[fn].code + pc - words] == words)
      return p->fns[fn].code + pc - words;
  }
  return NULL;
}

/* ---- look-up ---- */

static uint64_t method_key(const BundleMethod *method) {
  return (uint64_t)method->name << 8 | method->kind;
}

static void program_methods(Program *p) {
  const Bundle *b = p->bundle;
  p->methods = mem_alloc(sizeof(uint32_t) * (b->method_count + 1));
  for (uint32_t i = 0; i < b->method_count; i++) { /* nearly sorted already: insertion */
    uint32_t at = i;
    while (at > 0 && method_key(&b->methods[p->methods[at - 1]]) > method_key(&b->methods[i])) {
      p->methods[at] = p->methods[at - 1];
      at--;
    }
    p->methods[at] = i;
  }
}

const BundleMethod *program_method(const Program *p, uint32_t name, TypeKind kind) {
  uint64_t key = (uint64_t)name << 8 | (uint64_t)kind;
  uint32_t low = 0, high = p->bundle->method_count;
  while (low < high) {
    uint32_t middle = low + (high - low) / 2;
    const BundleMethod *method = &p->bundle->methods[p->methods[middle]];
    if (method_key(method) == key) return method;
    if (method_key(method) < key) low = middle + 1;
    else high = middle;
  }
  return NULL;
}

int32_t shape_slot(const Bundle *b, uint32_t shape, Str name) {
  Range32 fields = b->shapes[shape].fields;
  for (uint32_t i = 0; i < fields.count; i++) {
    if (str_equal(bundle_text(b, b->fields[fields.first + i].name), name)) return (int32_t)i;
  }
  return -1;
}

/* ---- life ---- */

bool program_new(const Bundle *bundle, Program **out, Err *err) {
  if (!verify_bundle(bundle, err)) return false;
  Program *p = MEM_NEW(Program);
  p->bundle = bundle;
  program_consts(p);
  program_fns(p);
  program_fill(p);
  program_widths(p);
  program_methods(p);
  *out = p;
  return true;
}

void program_free(Program *program) {
  if (!program) return;
  mem_free(program->fns);
  mem_free(program->consts);
  mem_free(program->methods);
  mem_free(program->width);
  mem_free(program->block);
  mem_free(program);
}

const Bundle *program_bundle(const Program *program) { return program->bundle; }

/* Not part of what the program is: nothing that runs can see it. */
void program_cover(const Program *program, uint8_t *bytes) { ((Program *)(uintptr_t)program)->cover = bytes; }
