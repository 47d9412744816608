/* Words, registers, jumps, places: the lowest layer of emission. Where no path
** leads (`dead`), nothing is written, so callers need not think of it. */
#include "compiler/emit/emitter.h"
#include "vm/base/text.h"

uint32_t code_here(const Body *b) { return b->e->out->code_count - b->start; }

/* ---- registers ---- */

static void tell_registers(Body *b) {
  if (b->told) return;
  b->told = b->e->failed = true;
  DIAG_ADD(b->e->diags, DIAG_TOO_MANY_REGISTERS, b->fn->span, b->fn->name);
}

uint8_t regs_take(Body *b, uint32_t count) {
  if (b->next + count > LIMIT_REGISTERS) {
    tell_registers(b);
    b->top = LIMIT_REGISTERS;
    return b->next < LIMIT_REGISTERS ? (uint8_t)b->next : LIMIT_REGISTERS - 1;
  }
  uint8_t first = (uint8_t)b->next;
  for (uint32_t i = 0; i < count; i++) b->is_var[first + i] = b->borrowed[first + i] = false;
  b->next = (uint16_t)(b->next + count);
  if (b->next > b->top) b->top = b->next;
  return first;
}

uint8_t reg_take(Body *b) { return regs_take(b, 1); }

void regs_release(Body *b, uint32_t mark) {
  b->next = (uint16_t)(mark > b->pinned ? mark : b->pinned);
}

/* ---- places ---- */

void place_at(Body *b, Span span) {
  if (span.size > 0 || span.at > 0) b->place = span.at;
}

static const uint32_t *source_lines(Body *b) {
  const Source *s = b->source;
  if (s->lines == NULL) (void)diag_place(b->e->diags, s->base);
  return s->lines;
}

static uint32_t line_search(const uint32_t *lines, uint32_t count, uint32_t offset) {
  uint32_t low = 0, high = count; /* lines[low] <= offset < lines[high] */
  while (high - low > 1) {
    uint32_t middle = low + (high - low) / 2;
    if (lines[middle] <= offset) low = middle;
    else high = middle;
  }
  return low;
}

void place_line(Body *b, uint32_t at, uint32_t *line, uint32_t *column) {
  const Source *s = b->source;
  const uint32_t *lines = source_lines(b);
  *line = *column = 1;
  if (lines == NULL || at < s->base || at - s->base > s->text.size) return;
  uint32_t offset = at - s->base, i = b->line < s->line_count ? b->line : 0;
  for (int near = 0; near < 8 && i + 1 < s->line_count && lines[i + 1] <= offset; near++)
    i++; /* mostly the next */
  bool here = lines[i] <= offset && (i + 1 == s->line_count || lines[i + 1] > offset);
  if (!here) i = line_search(lines, s->line_count, offset);
  b->line = i;
  Str before = {s->text.at + lines[i], offset - lines[i]};
  *line = i + 1;
  *column = (uint32_t)(text_is_ascii(before) ? before.size : utf8_count(before)) + 1;
}

static void add_line(Body *b) {
  Bundle *out = b->e->out;
  BundleLine line = {.pc = code_here(b)};
  place_line(b, b->place, &line.line, &line.column);
  b->placed = b->place;
  bool first = out->line_count == b->first_line;
  if (!first && out->lines[out->line_count - 1].line == line.line &&
      out->lines[out->line_count - 1].column == line.column)
    return;
  *PUSH_ITEM(b->e, out->lines, out->line_count, b->e->line_cap) = line;
}

/* ---- words ---- */

static bool too_large(Body *b) {
  if (b->too_large) return true;
  uint32_t total = b->e->out->code_count;
  if (LIKELY(total - b->start < LIMIT_STRAIGHT_LINE - 8 && total < LIMIT_BUNDLE_BYTES / 8))
    return false;
  b->too_large = b->dead = b->e->failed = true;
  DIAG_ADD(b->e->diags, DIAG_FUNCTION_TOO_LARGE, b->fn->span, b->fn->name);
  return true;
}

static bool op_ends(Op op) {
  return op == OP_JMP || op == OP_LOOP || op == OP_RET || op == OP_RETNIL || op == OP_RAISE ||
         op == OP_RERAISE || op == OP_FAULT;
}

static void word(Body *b, uint32_t w) {
  *PUSH_ITEM(b->e, b->e->out->code, b->e->out->code_count, b->e->code_cap) = w;
}

/* The first word of an instruction; false where nothing is to be emitted. */
static bool first_word(Body *b, uint32_t w) {
  if (b->dead || too_large(b)) return false;
  if (UNLIKELY(b->place != b->placed)) add_line(b);
  word(b, w);
  if (op_ends((Op)(w & 0xff))) b->dead = true;
  return true;
}

void emit(Body *b, Op op, uint32_t a, uint32_t bb, uint32_t c) {
  first_word(b, (uint32_t)op | a << 8 | bb << 16 | c << 24);
}

void emit_wide(Body *b, Op op, uint32_t a, int32_t wide) {
  first_word(b, (uint32_t)op | a << 8 | ((uint32_t)wide & 0xffff) << 16);
}

void emit_ext(Body *b, Op op, uint32_t a, uint32_t bb, uint32_t c, uint32_t ext) {
  if (first_word(b, (uint32_t)op | a << 8 | bb << 16 | c << 24)) word(b, ext);
}

void emit_effect_word(Body *b, uint32_t a, uint32_t count, uint32_t because, uint32_t site,
                      uint32_t operand) {
  if (!first_word(b, (uint32_t)OP_EFFECT | a << 8 | count << 16 | because << 24)) return;
  word(b, site);
  word(b, operand);
}

uint32_t cache_slot(Body *b) {
  return b->caches < 256 ? b->caches++ : 255; /* the last one is shared by all that come late */
}

/* ---- constants ---- */

void load_const(Body *b, uint8_t target, uint32_t constant) {
  if (constant <= UINT16_MAX) emit_wide(b, OP_LOADK, target, (int32_t)constant);
  else emit_ext(b, OP_LOADKX, target, 0, 0, constant);
}

void load_int(Body *b, uint8_t target, int64_t i) {
  if (i >= INT16_MIN && i <= INT16_MAX) emit_wide(b, OP_LOADI, target, (int32_t)i);
  else load_const(b, target, const_int(b->e, i));
}

void load_text(Body *b, uint8_t target, Str text) { load_const(b, target, const_text(b->e, text)); }

/* ---- jumps ---- */

static void jump_note(Body *b, Label *label, uint32_t at) {
  Jump *jump = b->e->spare_jumps;
  if (jump != NULL) b->e->spare_jumps = jump->next;
  else jump = ARENA_NEW(b->e->arena, Jump);
  *jump = (Jump){at, b->place, label->jumps};
  label->jumps = jump;
}

void jump_to(Body *b, Op op, uint32_t a, uint32_t bb, Label *label) {
  uint32_t at = code_here(b);
  if (!first_word(b, (uint32_t)op | a << 8 | bb << 16)) return;
  if (op_info[op].ext == EXT_JUMP) word(b, 0);
  jump_note(b, label, at);
}

static void tell_distance(Body *b, uint32_t place) {
  if (!b->too_large && !b->e->failed)
    DIAG_ADD(b->e->diags, DIAG_BLOCK_TOO_LARGE, ((Span){place, 1}), b->fn->name);
  b->e->failed = true;
}

/* Makes the jump at `at` go to `target`. */
static void jump_patch(Body *b, uint32_t at, uint32_t target, uint32_t place) {
  uint32_t *code = b->e->out->code + b->start + at;
  const OpInfo *info = &op_info[*code & 0xff];
  int64_t distance = (int64_t)target - at - info->words;
  if (info->ext == EXT_JUMP) {
    code[1] = (uint32_t)(int32_t)distance;
  } else if (info->a == ROLE_J24) {
    *code = (*code & 0xff) | (uint32_t)distance << 8;
  } else {
    if (distance < INT16_MIN || distance > INT16_MAX) tell_distance(b, place);
    *code = (*code & 0xffff) | ((uint32_t)distance & 0xffff) << 16;
  }
}

void label_here(Body *b, Label *label) {
  uint32_t here = code_here(b);
  if (label->jumps == NULL) return;
  for (Jump *jump = label->jumps, *next; jump != NULL; jump = next) {
    next = jump->next;
    jump_patch(b, jump->at, here, jump->place);
    jump->next = b->e->spare_jumps;
    b->e->spare_jumps = jump;
  }
  label->jumps = NULL;
  b->dead = b->too_large;
}

void jump_back(Body *b, Op op, uint32_t a, uint32_t top) {
  uint32_t at = code_here(b);
  if (first_word(b, (uint32_t)op | a << 8)) jump_patch(b, at, top, b->place);
}
