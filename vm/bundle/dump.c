/* The disassembler. Each function: its header, its registers, then its code under
** the source lines it was made from:
**
**   fn add(a, b: int) -> int   [bank.z8, 2 of 5 registers are parameters, pure]
**      3 | return a + b
**           0  ADD       r2 a b
**           1  RET       r2
**
** It trusts nothing about the code (it may be shown before verification): what does
** not decode is shown as words. */
#include "vm/base/text.h"
#include "vm/bundle/format.h"

typedef struct Dump {
  const Bundle *b;
  const BundleFn *fn;
  const uint32_t *code;
  uint8_t *targets; /* per word: whether a jump or handler goes there */
  Buf *out;
  Str text;         /* of the function's source */
} Dump;

static void pad_to(Buf *out, size_t start, size_t width) {
  while (out->size - start < width && !out->full) buf_byte(out, ' ');
}

static bool is_name(Str s) {
  if (s.size == 0 || s.size > 60) return false;
  for (size_t i = 0; i < s.size; i++) {
    char c = s.at[i];
    if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
          (i > 0 && c >= '0' && c <= '9'))) {
      return false;
    }
  }
  return true;
}

static void put_quoted(Buf *out, Str s) {
  size_t shown = s.size <= 60 ? s.size : 57;
  while (shown < s.size && shown > 0 && ((uint8_t)s.at[shown] & 0xc0) == 0x80) shown--;
  buf_byte(out, '"');
  for (size_t i = 0; i < shown; i++) {
    uint8_t c = (uint8_t)s.at[i];
    if (c == '\n') buf_text(out, "\\n");
    else if (c == '"' || c == '\\') buf_format(out, "\\%c", c);
    else if (c < 32 || c == 127) buf_format(out, "\\u{%x}", c);
    else buf_byte(out, c);
  }
  buf_text(out, shown < s.size ? "...\"" : "\"");
}

static void put_const(const Bundle *b, uint32_t index, Buf *out) {
  if (index >= b->const_count) {
    buf_format(out, "k%" PRIu32 "?", index);
    return;
  }
  const BundleConst *c = &b->consts[index];
  switch ((ConstKind)c->kind) {
    case CONST_INT: buf_format(out, "%" PRId64, c->i); break;
    case CONST_FLOAT: float_print(c->f, out); break;
    case CONST_STRING: put_quoted(out, c->text); break;
    case CONST_BYTES: buf_format(out, "bytes(%zu)", c->text.size); break;
    case CONST_DECIMAL: buf_format(out, STR_FMT "d", STR_ARG(c->text)); break;
    case CONST_DURATION: duration_print(c->i, out); break;
    case CONST_NIL: buf_text(out, "nil"); break;
    case CONST_BOOL: buf_text(out, c->i ? "true" : "false"); break;
  }
}

/* ---- types ---- */

static void put_type_within(const Bundle *b, uint32_t index, size_t limit, Buf *out);

#define TYPE_TEXT_MAX 400 /* a type is cut off after so many bytes */

static void put_union(const Bundle *b, const BundleType *t, size_t limit, Buf *out) {
  for (uint32_t i = 0; i < t->members.count && out->size <= limit; i++) {
    if (i > 0) buf_text(out, " | ");
    put_type_within(b, b->indexes[t->members.first + i], limit, out);
  }
}

static void put_object(const Bundle *b, const BundleType *t, size_t limit, Buf *out) {
  buf_text(out, "{");
  for (uint32_t i = 0; i < t->fields.count && out->size <= limit; i++) {
    const BundleField *f = &b->fields[t->fields.first + i];
    buf_format(out, "%s" STR_FMT "%s: ", i > 0 ? ", " : " ", STR_ARG(bundle_text(b, f->name)),
               f->optional ? "?" : "");
    put_type_within(b, f->type, limit, out);
  }
  buf_text(out, " }");
}

static void put_type_within(const Bundle *b, uint32_t index, size_t limit, Buf *out) {
  if (index >= b->type_count) {
    buf_format(out, "type%" PRIu32 "?", index);
    return;
  }
  const BundleType *t = &b->types[index];
  if (out->size > limit) return;
  const char *word = type_kind_word((TypeKind)t->kind);
  switch ((TypeKind)t->kind) {
    case TYPE_LIST:
    case TYPE_MAP:
      buf_format(out, "%s[", word);
      put_type_within(b, t->elem, limit, out);
      buf_byte(out, ']');
      break;
    case TYPE_RECORD: buf_str(out, bundle_text(b, b->shapes[t->shape].name)); break;
    case TYPE_LITERAL: put_const(b, t->literal, out); break;
    case TYPE_UNION: put_union(b, t, limit, out); break;
    case TYPE_OBJECT: put_object(b, t, limit, out); break;
    case TYPE_ANY: case TYPE_NIL: case TYPE_BOOL: case TYPE_INT: case TYPE_FLOAT: case TYPE_DECIMAL:
    case TYPE_STRING: case TYPE_BYTES: case TYPE_TIME: case TYPE_DURATION: case TYPE_FUNCTION:
    case TYPE_HANDLE: case TYPE_SEALED: case TYPE_ERROR: buf_text(out, word); break;
  }
}

static void put_type(const Bundle *b, uint32_t index, Buf *out) {
  size_t limit = out->size + TYPE_TEXT_MAX;
  put_type_within(b, index, limit, out);
  if (out->size > limit) buf_text(out, "...");
}

/* ---- instructions ---- */

static uint32_t part_a(uint32_t w) { return w >> 8 & 0xff; }
static uint32_t part_b(uint32_t w) { return w >> 16 & 0xff; }
static uint32_t part_c(uint32_t w) { return w >> 24; }
static int32_t part_wide(uint32_t w) { return (int16_t)(w >> 16); }
static int32_t part_far(uint32_t w) { return (int32_t)w >> 8; }

/* Words of the instruction at pc; 0 if there is none. */
static uint32_t instruction_words(const Dump *d, uint32_t pc) {
  uint32_t op = d->code[pc] & 0xff;
  if (op >= OP_COUNT || op_info[op].words > d->fn->code_count - pc) return 0;
  return op_info[op].words;
}

/* Where the instruction at pc may jump, relative to the function; false if it does not. */
static bool jump_target(const Dump *d, uint32_t pc, uint32_t *target) {
  const OpInfo *info = &op_info[d->code[pc] & 0xff];
  int64_t distance;
  if (info->a == ROLE_J24) distance = part_far(d->code[pc]);
  else if (info->b == ROLE_J16) distance = part_wide(d->code[pc]);
  else if (info->ext == EXT_JUMP) distance = (int32_t)d->code[pc + 1];
  else return false;
  int64_t to = (int64_t)pc + info->words + distance;
  if (to < 0 || to > UINT32_MAX) return false;
  *target = (uint32_t)to;
  return true;
}

static void put_register(const Dump *d, uint32_t r) {
  if (r < d->fn->params.count) {
    Str name = bundle_text(d->b, d->b->fields[d->fn->params.first + r].name);
    if (is_name(name)) {
      buf_str(d->out, name);
      return;
    }
  }
  buf_format(d->out, "r%" PRIu32, r);
}

static void put_operand(const Dump *d, uint8_t role, uint32_t w, uint32_t value) {
  Buf *out = d->out;
  switch ((Role)role) {
    case ROLE___: case ROLE_J16: case ROLE_J24: return;
    case ROLE_R: case ROLE_W: case ROLE_RW:
      buf_byte(out, ' ');
      put_register(d, value);
      return;
    case ROLE_U8: buf_format(out, " %" PRIu32, value); return;
    case ROLE_I8: buf_format(out, " %d", (int8_t)value); return;
    case ROLE_I16: buf_format(out, " %" PRId32, part_wide(w)); return;
    case ROLE_ARGS: buf_format(out, " (%" PRIu32 ")", value); return;
    case ROLE_K16:
      buf_byte(out, ' ');
      put_const(d->b, w >> 16, out);
      return;
  }
}

static Str fn_name(const Bundle *b, uint32_t fn) {
  return fn < b->fn_count ? bundle_text(b, b->fns[fn].name) : STR("?");
}

static void put_effect(const Dump *d, const uint32_t *ext) {
  const Bundle *b = d->b;
  if (ext[0] >= b->site_count) {
    buf_format(d->out, " site %" PRIu32 "?", ext[0]);
    return;
  }
  const BundleSite *s = &b->sites[ext[0]];
  const EffectInfo *info = effect_info(s->kind);
  buf_format(d->out, " %s", info != NULL ? info->word : "?");
  if (s->target != NONE_INDEX) buf_format(d->out, " " STR_FMT, STR_ARG(bundle_text(b, s->target)));
  buf_format(d->out, "  ; site %08" PRIx32, s->id);
  if (s->patch != NONE_INDEX)
    buf_format(d->out, " under " STR_FMT, STR_ARG(bundle_text(b, s->patch)));
}

static void put_name(const Dump *d, uint32_t constant) {
  bool plain = constant < d->b->const_count && d->b->consts[constant].kind == CONST_STRING &&
               is_name(d->b->consts[constant].text);
  buf_byte(d->out, ' ');
  if (plain) buf_format(d->out, "." STR_FMT, STR_ARG(d->b->consts[constant].text));
  else put_const(d->b, constant, d->out);
}

static void put_ext(const Dump *d, uint8_t ext, const uint32_t *words) {
  const Bundle *b = d->b;
  Buf *out = d->out;
  uint32_t n = words[0];
  switch ((Ext)ext) {
    case EXT_NONE: case EXT_JUMP: return;
    case EXT_FN: buf_format(out, " " STR_FMT, STR_ARG(fn_name(b, n))); return;
    case EXT_NATIVE:
      if (n < (uint32_t)NATIVE_COUNT)
        buf_format(out, " %s.%s", native_info[n].module, native_info[n].name);
      else buf_format(out, " native %" PRIu32 "?", n);
      return;
    case EXT_NAME: put_name(d, n); return;
    case EXT_SHAPE:
      buf_format(out, " " STR_FMT,
                 STR_ARG(n < b->shape_count ? bundle_text(b, b->shapes[n].name) : STR("?")));
      return;
    case EXT_TYPE:
      buf_byte(out, ' ');
      put_type(b, n, out);
      return;
    case EXT_CONST:
      buf_byte(out, ' ');
      put_const(b, n, out);
      return;
    case EXT_CONFIG:
      buf_format(out, " " STR_FMT,
                 STR_ARG(n < b->config_count ? bundle_text(b, b->configs[n].name) : STR("?")));
      return;
    case EXT_EFFECT: put_effect(d, words); return;
  }
}

static void put_instruction(const Dump *d, uint32_t pc) {
  uint32_t w = d->code[pc];
  const OpInfo *info = &op_info[w & 0xff];
  uint32_t target;
  size_t start = d->out->size;
  buf_format(d->out, "%8" PRIu32 "  %s", pc, info->name);
  pad_to(d->out, start, 19);
  put_operand(d, info->a, w, part_a(w));
  put_operand(d, info->b, w, part_b(w));
  put_operand(d, info->c, w, part_c(w));
  put_ext(d, info->ext, d->code + pc + (info->words > 1));
  if (jump_target(d, pc, &target)) buf_format(d->out, " -> L%" PRIu32, target);
  buf_byte(d->out, '\n');
}

/* ---- functions ---- */

static void mark_targets(Dump *d) {
  for (uint32_t pc = 0; pc < d->fn->code_count;) {
    uint32_t words = instruction_words(d, pc), target;
    if (words == 0) break;
    if (jump_target(d, pc, &target) && target < d->fn->code_count) d->targets[target] = 1;
    pc += words;
  }
  for (uint32_t i = 0; i < d->fn->handlers.count; i++) {
    d->targets[d->b->handlers[d->fn->handlers.first + i].target] = 1;
  }
}

static void put_source_line(const Dump *d, uint32_t line, size_t *at, uint32_t *reached) {
  if (line < *reached) *at = 0, *reached = 1; /* jumps back are rare: handlers, finally */
  while (*reached < line && *at < d->text.size) {
    const char *end = memchr(d->text.at + *at, '\n', d->text.size - *at);
    *at = end == NULL ? d->text.size : (size_t)(end - d->text.at) + 1;
    ++*reached;
  }
  const char *start = d->text.at + *at;
  size_t left = d->text.size - *at;
  const char *end = left == 0 ? NULL : memchr(start, '\n', left);
  Str shown = {start, end == NULL ? left : (size_t)(end - start)};
  if (shown.size > 0 && shown.at[shown.size - 1] == '\r') shown.size--;
  buf_format(d->out, "%5" PRIu32 " | ", line);
  buf_str(d->out, shown);
  buf_byte(d->out, '\n');
}

static void put_code(Dump *d) {
  uint32_t shown = 0, reached = 1;
  size_t at = 0;
  for (uint32_t pc = 0; pc < d->fn->code_count && !d->out->full;) {
    uint32_t line = bundle_line(d->b, d->fn, pc).line, words = instruction_words(d, pc);
    if (line != shown) put_source_line(d, shown = line, &at, &reached);
    if (d->targets[pc]) buf_format(d->out, "   L%" PRIu32 ":\n", pc);
    if (words == 0) {
      buf_format(d->out, "%8" PRIu32 "  word      %08" PRIx32 "\n", pc, d->code[pc]);
      words = 1;
    } else {
      put_instruction(d, pc);
    }
    pc += words;
  }
}

static void put_handlers(const Dump *d) {
  for (uint32_t i = 0; i < d->fn->handlers.count; i++) {
    const BundleHandler *h = &d->b->handlers[d->fn->handlers.first + i];
    buf_format(d->out, "     %s [%" PRIu32 ", %" PRIu32 ") -> L%" PRIu32 ", fault in r%u\n",
               h->kind == HANDLER_CATCH ? "catch" : "finally", h->start, h->end, h->target, h->reg);
  }
}

static const char *const kind_words[] = {"fn",      "lambda", "script", "workflow",
                                         "perform", "check",  "unless", "constructor",
                                         "query",   "branch", "upcast", "decide",
                                         "guard",   "evolve", "view",   "invariant",
                                         "on",      "job",    "tick",   "test"};
_Static_assert(COUNT_OF(kind_words) == FNKIND_TEST + 1, "a word for each kind");

static void put_params(const Dump *d) {
  for (uint32_t i = 0; i < d->fn->params.count; i++) {
    const BundleField *f = &d->b->fields[d->fn->params.first + i];
    buf_format(d->out, "%s" STR_FMT "%s: ", i > 0 ? ", " : "", STR_ARG(bundle_text(d->b, f->name)),
               f->optional ? "?" : "");
    put_type(d->b, f->type, d->out);
  }
}

static void put_fn_head(const Dump *d) {
  const BundleFn *fn = d->fn;
  buf_format(d->out, "\n%s " STR_FMT "(", kind_words[fn->kind],
             STR_ARG(bundle_text(d->b, fn->name)));
  put_params(d);
  buf_text(d->out, ") -> ");
  put_type(d->b, fn->result, d->out);
  buf_format(d->out, "   [" STR_FMT "; %u registers",
             STR_ARG(bundle_text(d->b, d->b->sources[fn->source].path)), fn->regs);
  if (fn->captures > 0)
    buf_format(d->out, ", %u captured from r%" PRIu32, fn->captures, fn->params.count);
  buf_format(d->out, "%s%s%s]\n", fn->flags & FN_PURE ? ", pure" : "",
             fn->flags & FN_EFFECTS ? ", effects" : "",
             fn->flags & FN_MAY_SUSPEND ? ", may suspend" : "");
}

static void put_fn(const Bundle *b, const BundleFn *fn, Arena *arena, Buf *out) {
  Dump d = {.b = b,
            .fn = fn,
            .code = b->code + fn->code,
            .out = out,
            .text = b->sources[fn->source].text};
  d.targets = ARENA_ARRAY(arena, uint8_t, fn->code_count);
  mark_targets(&d);
  put_fn_head(&d);
  put_code(&d);
  put_handlers(&d);
}

void bundle_dump(const Bundle *bundle, Buf *out) {
  bundle_summary(bundle, out);
  for (uint32_t i = 0; i < bundle->fn_count && !out->full; i++) {
    Arena arena;
    arena_init(&arena);
    put_fn(bundle, &bundle->fns[i], &arena, out);
    arena_deinit(&arena);
  }
}
