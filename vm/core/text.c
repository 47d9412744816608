/* Strings. A string knows how many characters it has and whether all are ASCII, so
** that indexing one is a look. Joining two into more than 256 bytes makes a rope,
** written out when somebody reads it; nobody can tell, so what is charged depends
** on neither. Ropes are in registers only: a container stores the string. */
#include "vm/base/hash.h"
#include "vm/base/mem.h"
#include "vm/core/cost.h"
#include "vm/core/program.h"

static StringObj *string_of(Value v) { return (StringObj *)value_obj(v); }
static RopeObj *rope_of(Value v) { return (RopeObj *)value_obj(v); }
static size_t string_bytes(size_t size) { return object_round(sizeof(StringObj) + size); }

/* Not yet filled, the padding zero. */
static StringObj *string_take(Machine *m, size_t size) {
  StringObj *s = heap_take(m, string_bytes(size));
  s->head = (Obj){.kind = OBJ_STRING, .size = (uint32_t)size};
  s->hash = 0;
  return s;
}

static void string_measure(StringObj *s) {
  Str text = {s->bytes, s->head.size};
  bool ascii = text_is_ascii(text);
  s->chars = ascii ? s->head.size : (uint32_t)utf8_count(text);
  if (ascii) s->head.flags |= OBJ_ASCII;
}

Value string_new(Machine *m, Str utf8) {
  const Program *p = m->program;
  if (utf8.size == 0) return p->empty;
  if (utf8.size == 1 && !(utf8.at[0] & 0x80)) return p->chars[(uint8_t)utf8.at[0]];
  StringObj *s = string_take(m, utf8.size);
  memcpy(s->bytes, utf8.at, utf8.size);
  string_measure(s);
  machine_charge(m, COST_TEXT + utf8.size);
  return (Value)(uintptr_t)s;
}

uint32_t string_hash(Value string) {
  StringObj *s = string_of(string);
  if (s->hash) return s->hash;
  uint64_t h = hash_bytes(s->bytes, s->head.size);
  uint32_t folded = (uint32_t)(h ^ (h >> 32));
  s->hash = folded ? folded : 1;
  return s->hash;
}

/* ---- ropes ---- */

/* Writes the rope's text, from its end backwards: appending makes ropes that lean left, and so
** the stack of parts still to write stays short. */
void rope_write(Value rope, char *out) {
  Value *stack = NULL;
  uint32_t cap = 0, count = 0;
  size_t end = value_obj(rope)->size;
  stack = mem_grow(stack, &cap, 64, sizeof *stack);
  stack[count++] = rope;
  while (count) {
    Value v = stack[--count];
    while (value_is_kind(v, OBJ_ROPE)) {
      if (count == cap) stack = mem_grow(stack, &cap, count + 1, sizeof *stack);
      Value right = rope_of(v)->right;
      if (right == VALUE_NIL) {
        v = rope_of(v)->left;
      } else {
        stack[count++] = rope_of(v)->left;
        v = right;
      }
    }
    end -= string_of(v)->head.size;
    memcpy(out + end, string_of(v)->bytes, string_of(v)->head.size);
  }
  ASSERT(end == 0);
  mem_free(stack);
}

static Value rope_flatten(Machine *m, Value *v) {
  RopeObj *r = rope_of(*v);
  if (r->right == VALUE_NIL) return r->left;
  size_t size = r->head.size;
  heap_room(m, string_bytes(size));
  StringObj *s = string_take(m, size);
  rope_write(*v, s->bytes);
  string_measure(s);
  r = rope_of(*v);
  r->left = (Value)(uintptr_t)s;
  r->right = VALUE_NIL;
  return r->left;
}

Value value_settle(Machine *m, Value v) {
  if (!value_is_kind(v, OBJ_ROPE)) return v;
  temps_save(m, 0, 1);
  m->temp[0] = v;
  v = rope_flatten(m, &m->temp[0]);
  temps_restore(m, 0, 1);
  return v;
}

Str string_text(Machine *m, Value *v) {
  if (value_is_kind(*v, OBJ_ROPE)) *v = rope_flatten(m, v);
  ASSERT(value_is_kind(*v, OBJ_STRING));
  return (Str){string_of(*v)->bytes, string_of(*v)->head.size};
}

static Value concat_flat(Machine *m, const Value *a, const Value *b, size_t size) {
  StringObj *s = string_take(m, size); /* may move: a and b are read after it */
  const StringObj *x = string_of(*a), *y = string_of(*b);
  memcpy(s->bytes, x->bytes, x->head.size);
  memcpy(s->bytes + x->head.size, y->bytes, y->head.size);
  s->chars = x->chars + y->chars;
  s->head.flags = x->head.flags & y->head.flags & OBJ_ASCII;
  return (Value)(uintptr_t)s;
}

/* A loop that appends would be charged for the square of what it builds if each step paid for its
** whole result; the shorter side, and a little of the whole as work, keep it bounded. */
static void concat_charge(Machine *m, size_t a, size_t b) {
  machine_charge(m, COST_TEXT + COST_BOX + (a < b ? a : b));
  machine_work(m, (a + b) / 64);
}

Value string_concat(Machine *m, Value *a, Value *b) {
  size_t x = value_obj(*a)->size, y = value_obj(*b)->size;
  if (y == 0) return *a;
  if (x == 0) return *b;
  concat_charge(m, x, y);
  if (x + y <= ROPE_FROM) return concat_flat(m, a, b, x + y);
  RopeObj *r = heap_take(m, sizeof *r);
  r->head = (Obj){.kind = OBJ_ROPE, .size = (uint32_t)(x + y)};
  r->head.flags = value_obj(*a)->flags & value_obj(*b)->flags & OBJ_ASCII;
  r->left = *a;
  r->right = *b;
  return (Value)(uintptr_t)r;
}

/* ---- characters ---- */

uint32_t string_chars(Machine *m, Value *v) {
  if (value_obj(*v)->flags & OBJ_ASCII) return value_obj(*v)->size;
  string_text(m, v);
  return string_of(*v)->chars;
}

Value string_part(Machine *m, Value *v, size_t offset, size_t size) {
  Str text = string_text(m, v);
  ASSERT(offset + size <= text.size);
  if (size == text.size) return *v;
  if (size <= 1) {
    uint8_t byte = size ? (uint8_t)text.at[offset] : 0;
    return size ? m->program->chars[byte & 127] : m->program->empty;
  }
  bool ascii = string_of(*v)->head.flags & OBJ_ASCII;
  StringObj *s = string_take(m, size);
  memcpy(s->bytes, string_of(*v)->bytes + offset, size);
  if (ascii) s->chars = (uint32_t)size, s->head.flags |= OBJ_ASCII;
  else string_measure(s);
  machine_charge(m, COST_TEXT + size);
  return (Value)(uintptr_t)s;
}

static size_t char_offset(const StringObj *s, uint32_t i) {
  if (s->head.flags & OBJ_ASCII) return i;
  return utf8_offset((Str){s->bytes, s->head.size}, i);
}

Value string_slice(Machine *m, Value *v, uint32_t from, uint32_t to) {
  string_text(m, v);
  size_t start = char_offset(string_of(*v), from), end = char_offset(string_of(*v), to);
  return string_part(m, v, start, end - start);
}

Value string_at(Machine *m, Value *v, uint32_t i) { return string_slice(m, v, i, i + 1); }
