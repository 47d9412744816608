/* Reading an image. Nothing in it is believed: every count is held against the bytes
** that are left, every reference against what came before, every frame against the
** code. What passes can be run without harm; that it is the right state is for the
** chain head and the replay to say. */
#include "vm/base/hash.h"
#include "vm/base/mem.h"
#include "vm/core/image.h"
#include "vm/core/image_format.h"
#include "vm/core/loop.h"
#include "vm/core/program.h"
#include "vm/core/semantics.h"

typedef struct Load {
  const Program *program;
  const uint8_t *at, *end;
  Machine *m;
  Value *objects;
  uint64_t count, done; /* objects; those made so far */
  Err *err;
} Load;

static bool refuse(Load *l, const char *what) {
  FAIL(l->err, ERR_CORRUPT, "image: %s", what);
  return false;
}

#define NEED(condition, what)                           \
  do {                                                  \
    if (UNLIKELY(!(condition))) return refuse(l, what); \
  } while (0)

static size_t left(const Load *l) { return (size_t)(l->end - l->at); }

static bool take(Load *l, void *to, size_t size) {
  NEED(left(l) >= size, "it is cut short");
  memcpy(to, l->at, size);
  l->at += size;
  return true;
}

/* ---- values ---- */

static bool word_value(Load *l, Value word, bool missing_fits, Value *out) {
  *out = word;
  if (value_is_int(word) || value_is_flonum(word)) return true;
  if (!value_is_obj(word)) {
    NEED(word == VALUE_NIL || value_is_bool(word) || (word == VALUE_MISSING && missing_fits),
         "a word that is no value");
    return true;
  }
  uint64_t index = word >> IMAGE_REF_SHIFT;
  if (word & IMAGE_REF_CONST) {
    NEED(index < program_const_count(l->program), "a constant that is not there");
    *out = program_const(l->program, (uint32_t)index);
    NEED(value_is_obj(*out), "a constant that needs no reference");
    return true;
  }
  NEED(index < l->done, "a reference that does not point back");
  *out = l->objects[index];
  return true;
}

static bool take_words(Load *l, Value *to, uint64_t count, bool missing_fits) {
  NEED(count <= left(l) / 8, "it is cut short");
  for (uint64_t i = 0; i < count; i++) {
    Value word;
    memcpy(&word, l->at, 8);
    l->at += 8;
    if (!word_value(l, word, missing_fits, &to[i])) return false;
  }
  return true;
}

/* ---- objects. The heap has room for all of them: nothing moves ---- */

static bool take_float(Load *l, int64_t bits, Value *out) {
  double f;
  Value word;
  memcpy(&f, &bits, 8);
  NEED(!flonum_encode(f, &word) && (f == f || bits == 0x7ff8000000000000), "a float in a box");
  *out = value_float(l->m, f);
  return true;
}

static bool take_number(Load *l, const Obj *head, Value *out) {
  int64_t i;
  if (!take(l, &i, 8)) return false;
  NEED(head->size == 0, "a size");
  if (head->kind == OBJ_FLOAT) return take_float(l, i, out);
  NEED(head->kind != OBJ_INT || i > SMALL_INT_MAX || i < SMALL_INT_MIN, "a small int in a box");
  if (head->kind == OBJ_TIME) *out = time_new(l->m, i);
  else *out = head->kind == OBJ_INT ? value_int(l->m, i) : duration_new(l->m, i);
  return true;
}

static bool take_decimal(Load *l, const Obj *head, Value *out) {
  uint64_t low;
  int64_t high;
  if (!take(l, &low, 8) || !take(l, &high, 8)) return false;
  __extension__ typedef __int128 Wide;
  __extension__ typedef unsigned __int128 Bits;
  Decimal d = {(Wide)((Bits)(uint64_t)high << 64 | low), head->aux};
  NEED(head->size == 0 && decimal_fits(d), "a decimal of more than 34 digits");
  *out = decimal_value(l->m, d);
  return true;
}

static bool take_text(Load *l, const Obj *head, Value *out) {
  uint64_t padded = image_fixed(head->kind, head->size);
  NEED(padded <= left(l), "it is cut short");
  Str text = {(const char *)l->at, head->size};
  for (uint64_t i = head->size; i < padded; i++) NEED(l->at[i] == 0, "padding");
  l->at += padded;
  if (head->kind == OBJ_BYTES) {
    *out = bytes_new(l->m, text);
    return true;
  }
  NEED(utf8_valid(text), "text that is not UTF-8");
  *out = string_new(l->m, text);
  return true;
}

static bool take_list(Load *l, const Obj *head, Value *out) {
  *out = list_new(l->m, head->size);
  if (head->size && !take_words(l, list_items(*out), head->size, false)) return false;
  value_obj(*out)->size = head->size;
  return true;
}

static bool take_map(Load *l, const Obj *head, Value *out) {
  *out = map_new(l->m, head->size);
  for (uint32_t i = 0; i < head->size; i++) {
    Value pair[2];
    if (!take_words(l, pair, 2, false)) return false;
    NEED(value_can_key(pair[0]), "a key of a wrong kind");
    map_set(l->m, out, pair[0], pair[1]);
    NEED(map_count(*out) == i + 1, "a key that stands twice");
  }
  return true;
}

static bool take_record(Load *l, const Obj *head, Value *out) {
  uint32_t shape[2];
  Value fields[256];
  if (!take(l, shape, 8)) return false;
  NEED(shape[1] == 0 && shape[0] < l->program->bundle->shape_count, "a record of no shape");
  NEED(head->size == l->program->bundle->shapes[shape[0]].fields.count &&
           head->size <= COUNT_OF(fields),
       "a record with other fields than its shape");
  if (!take_words(l, fields, head->size, false)) return false;
  *out = record_new(l->m, shape[0], fields, head->size);
  return true;
}

static bool take_closure(Load *l, const Obj *head, Value *out) {
  uint32_t fn[2];
  Value captures[256];
  if (!take(l, fn, 8)) return false;
  NEED(fn[1] == 0 && fn[0] < l->program->bundle->fn_count, "a function that is not there");
  NEED(head->size == l->program->fns[fn[0]].captures, "a function with other captured values");
  if (!take_words(l, captures, head->size, true)) return false;
  return op_closure(l->m, out, captures, fn[0], head->size);
}

static bool take_handle(Load *l, const Obj *head, Value *out) {
  uint8_t run[16];
  uint64_t seq;
  Value name;
  if (!take(l, run, 16) || !take(l, &seq, 8) || !take_words(l, &name, 1, false)) return false;
  NEED(head->size == 0 && value_is_kind(name, OBJ_STRING), "a handle of a wrong form");
  *out = handle_new(l->m, run, seq, STR(""));
  ((HandleObj *)value_obj(*out))->name = name;
  return true;
}

static bool sealed_fits(Value parts) {
  if (!value_is_kind(parts, OBJ_LIST)) return false;
  for (uint32_t i = 0; i < list_count(parts); i++) {
    Value part = list_at(parts, i);
    if (value_is_kind(part, OBJ_STRING)) continue;
    if (!value_is_kind(part, OBJ_LIST) || list_count(part) != 1 ||
        !value_is_kind(list_at(part, 0), OBJ_STRING))
      return false;
  }
  return true;
}

static bool take_sealed(Load *l, const Obj *head, Value *out) {
  Value parts;
  if (!take_words(l, &parts, 1, false)) return false;
  NEED(head->size == 0 && sealed_fits(parts), "a sealed value of a wrong form");
  *out = sealed_from(l->m, &parts);
  return true;
}

static bool take_error(Load *l, const Obj *head, Value *out) {
  Value at[4];
  NEED(head->aux <= 1 && head->size == 0, "an error of a wrong form");
  if (!take_words(l, at, 4, false)) return false;
  *out = error_value(l->m, at[0], at[1], at[2], at[3], head->aux);
  return true;
}

static bool take_range(Load *l, const Obj *head, Value *out) {
  int64_t v[3];
  if (!take(l, v, 24)) return false;
  NEED(head->size == 0 && v[2] != 0, "a range of a wrong form");
  *out = range_new(l->m, v[0], v[1], v[2]);
  return true;
}

static bool take_body(Load *l, const Obj *head, Value *out) {
  switch ((ObjKind)head->kind) {
    case OBJ_FLOAT:
    case OBJ_INT:
    case OBJ_TIME:
    case OBJ_DURATION: return take_number(l, head, out);
    case OBJ_DECIMAL: return take_decimal(l, head, out);
    case OBJ_STRING: case OBJ_BYTES: return take_text(l, head, out);
    case OBJ_LIST: return take_list(l, head, out);
    case OBJ_MAP: return take_map(l, head, out);
    case OBJ_RECORD: return take_record(l, head, out);
    case OBJ_CLOSURE: return take_closure(l, head, out);
    case OBJ_HANDLE: return take_handle(l, head, out);
    case OBJ_SEALED: return take_sealed(l, head, out);
    case OBJ_ERROR: return take_error(l, head, out);
    case OBJ_RANGE: return take_range(l, head, out);
    case OBJ_ROPE: case OBJ_ARRAY: case OBJ_TABLE: break;
  }
  return refuse(l, "an object of no kind");
}

static bool take_object(Load *l) {
  Obj head;
  Value v;
  if (!take(l, &head, 8)) return false;
  bool container = head.kind == OBJ_LIST || head.kind == OBJ_MAP || head.kind == OBJ_RECORD;
  NEED(head.flags == 0 || (head.flags == OBJ_SHARED && container), "flags");
  NEED(head.aux == 0 || head.kind == OBJ_DECIMAL || head.kind == OBJ_ERROR, "flags");
  if (!take_body(l, &head, &v)) return false;
  if (head.flags) share(v);
  l->objects[l->done++] = v;
  return true;
}

/* An upper bound of what the objects take on the heap, from their headers alone. */
static bool measure(Load *l, size_t *bytes) {
  const uint8_t *at = l->at;
  *bytes = 4096;
  for (uint64_t i = 0; i < l->count; i++) {
    Obj head;
    NEED((size_t)(l->end - at) >= 8, "it is cut short");
    memcpy(&head, at, 8);
    uint64_t body = image_fixed(head.kind, head.size) + image_words(head.kind, head.size) * 8;
    NEED(body <= (size_t)(l->end - at) - 8, "it is cut short");
    at += 8 + body;
    *bytes += 256 + body * 3;
  }
  return true;
}

static bool take_objects(Load *l) {
  size_t bytes;
  if (!take(l, &l->count, 8)) return false;
  NEED(l->count <= left(l) / 8, "more objects than bytes");
  if (!measure(l, &bytes)) return false;
  heap_free(l->m->heap);
  l->m->heap = heap_new(bytes);
  l->m->heap->reserved = bytes;
  l->objects = mem_alloc((l->count + 1) * sizeof(Value));
  while (l->done < l->count) {
    if (!take_object(l)) return false;
  }
  l->m->heap->reserved = 0;
  return true;
}

/* ---- fibers ---- */

static bool is_ask(const uint32_t *at) {
  if (!at) return false;
  uint8_t op = *at & 0xff;
  return op == OP_EFFECT || op == OP_PARALLEL || op == OP_PARFOR;
}

/* The frame must be what the instruction below it makes. */
static bool check_call(Load *l, const Frame *below, const Frame *fr) {
  const uint32_t *at = program_before(l->program, below->fn, below->pc);
  NEED(at != NULL, "a frame that no instruction called");
  uint32_t w = *at, a = (w >> 8) & 0xff, base = below->base + a;
  switch ((Op)(w & 0xff)) {
    case OP_CALL:
      NEED(fr->fn == at[1] && fr->base == base && fr->ret == a,
           "a frame that its call does not make");
      break;
    case OP_CALLV:
      NEED(fr->base == base + 1 && fr->ret == a, "a frame that its call does not make");
      break;
    case OP_CALLM:
      NEED((fr->base == base || fr->base == base + 1) && fr->ret == a,
           "a frame that its call does not make");
      break;
    default:
      NEED(is_ask(at) && (fr->flags & FRAME_BOUNDARY), "a frame that no instruction called");
      NEED(fr->base == below->base + l->program->fns[below->fn].regs && fr->ret == 0,
           "a frame that its call does not make");
      return true;
  }
  NEED(!(fr->flags & FRAME_BOUNDARY), "a frame that its call does not make");
  return true;
}

static bool check_frame(Load *l, const Fiber *f, uint32_t i) {
  const Frame *fr = &f->frames[i];
  const FnInfo *fn = &l->program->fns[fr->fn];
  uint8_t pure = i ? f->frames[i - 1].flags & FRAME_PURE : 0;
  NEED((fr->flags & FRAME_PURE) == (pure | fn->frame_flags), "a frame's flags");
  NEED(((fr->flags & FRAME_BOTTOM) != 0) == (i == 0) && fr->flags <= 7, "a frame's flags");
  if (i == 0) NEED(fr->base == 0 && !(fr->flags & FRAME_BOUNDARY) && fr->ret == 0, "a first frame");
  else if (!check_call(l, fr - 1, fr)) return false;
  bool top = i + 1 == f->frame_count;
  if (top && f->status == FIBER_BLOCKED)
    NEED(is_ask(program_before(l->program, fr->fn, fr->pc)), "a fiber that waits for nothing");
  else NEED(program_starts(l->program, fr->fn, fr->pc), "a place between instructions");
  return true;
}

static bool take_frames(Load *l, Fiber *f, uint32_t count, uint32_t *words) {
  NEED(count <= LIMIT_DEPTH && count <= left(l) / 16, "too many frames");
  if (count) f->frames = mem_grow(NULL, &f->frame_cap, count, sizeof(Frame));
  f->frame_count = count;
  *words = 0;
  for (uint32_t i = 0; i < count; i++) {
    uint32_t n[3];
    uint8_t rest[4];
    if (!take(l, n, 12) || !take(l, rest, 4)) return false;
    NEED(n[0] < l->program->bundle->fn_count && rest[2] == 0 && rest[3] == 0,
         "a function that is not there");
    NEED(n[2] < LIMIT_STACK_SLOTS, "a stack that is too deep");
    f->frames[i] = (Frame){.fn = n[0], .pc = n[1], .base = n[2], .ret = rest[0], .flags = rest[1]};
    if (!check_frame(l, f, i)) return false;
    uint32_t top = n[2] + l->program->fns[n[0]].regs;
    if (top > *words) *words = top;
  }
  return true;
}

/* The status and the rest must agree. */
static bool check_fiber(Load *l, Fiber *f, uint8_t dest) {
  bool error = value_is_kind(f->result, OBJ_ERROR);
  NEED(!f->raised || (error && f->status == FIBER_READY), "a fiber's error");
  switch ((FiberStatus)f->status) {
    case FIBER_READY: NEED(f->frame_count > 0 || f->raised, "a fiber without frames"); return true;
    case FIBER_BLOCKED: {
      NEED(f->frame_count > 0, "a fiber without frames");
      const Frame *fr = &f->frames[f->frame_count - 1];
      f->dest = (*program_before(l->program, fr->fn, fr->pc) >> 8) & 0xff;
      return true;
    }
    case FIBER_DONE:
      NEED(f->frame_count == 0 && dest == 0, "a fiber that has ended and not");
      return true;
    case FIBER_FAULTED:
      NEED(f->frame_count == 0 && error, "a fiber that has ended and not");
      return true;
  }
  return refuse(l, "a fiber's status");
}

static bool take_fiber(Load *l, uint32_t *last) {
  uint32_t id, frames, words = 0, stored;
  uint8_t small[4];
  Machine *m = l->m;
  if (!take(l, &id, 4) || !take(l, small, 4) || !take(l, &frames, 4)) return false;
  NEED(id < m->fiber_count && (*last == NONE_INDEX || id > *last), "a fiber's number");
  NEED(small[0] <= FIBER_FAULTED && small[2] <= 1 && small[3] == 0, "a fiber's status");
  *last = id;
  Fiber *f = m->fibers[id] = MEM_NEW(Fiber);
  *f = (Fiber){.id = id, .status = small[0], .raised = small[2], .result = VALUE_NIL};
  if (!take_frames(l, f, frames, &words) || !take(l, &stored, 4)) return false;
  NEED(stored == words && words <= left(l) / 8, "a stack of another size than its frames");
  if (words && !fiber_room(f, words)) return refuse(l, "a stack that is too deep");
  if (!take_words(l, f->stack, words, true) || !take_words(l, &f->result, 1, false)) return false;
  return check_fiber(l, f, small[1]);
}

static bool take_fibers(Load *l) {
  uint32_t count, alive, last = NONE_INDEX;
  if (!take(l, &count, 4) || !take(l, &alive, 4)) return false;
  NEED(count <= IMAGE_FIBERS_MAX && alive <= count && alive <= left(l) / 24, "too many fibers");
  l->m->fibers = mem_grow(NULL, &l->m->fiber_cap, count + 1, sizeof(Fiber *));
  memset(l->m->fibers, 0, sizeof(Fiber *) * l->m->fiber_cap);
  l->m->fiber_count = count;
  for (uint32_t i = 0; i < alive; i++) {
    if (!take_fiber(l, &last)) return false;
  }
  return true;
}

/* ---- the whole ---- */

static bool take_head(Load *l, Str bytes) {
  uint16_t versions[2];
  char magic[4];
  Hash256 id;
  NEED(bytes.size >= IMAGE_HEAD + 32, "it is cut short");
  l->end -= 32;
  Hash256 sum = sha256((Str){bytes.at, bytes.size - 32});
  NEED(memcmp(sum.byte, l->end, 32) == 0, "its checksum differs");
  if (!take(l, magic, 4) || !take(l, versions, 4) || !take(l, id.byte, 32)) return false;
  NEED(memcmp(magic, "Z8IM", 4) == 0, "it is not an image");
  NEED(versions[0] == IMAGE_FORMAT && versions[1] == SEMANTICS_NUMBER, "it is of another version");
  NEED(memcmp(id.byte, l->program->bundle->id.byte, 32) == 0, "it is of another bundle");
  return true;
}

static bool take_machine(Load *l, Str *extra) {
  uint64_t counters[4], size;
  Machine *m = l->m;
  if (!take(l, counters, 32) || !take_objects(l) || !take_fibers(l)) return false;
  if (!take_words(l, &m->config, 1, false) || !take_words(l, m->roots, COUNT_OF(m->roots), false))
    return false;
  if (!take(l, &size, 8)) return false;
  NEED(size <= left(l), "it is cut short");
  *extra = (Str){(const char *)l->at, (size_t)size};
  uint64_t padded = (size + 7) & ~(uint64_t)7;
  NEED(padded == left(l), "bytes after its end");
  m->ticks = counters[0];
  m->ticks_limit = counters[1];
  m->charged = counters[2];
  m->charged_limit = counters[3];
  return true;
}

bool image_load(const Program *program, Str bytes, Machine **out, Str *extra, Err *err) {
  Load l = {.program = program,
            .at = (const uint8_t *)bytes.at,
            .end = (const uint8_t *)bytes.at + bytes.size,
            .err = err};
  if (!take_head(&l, bytes)) return false;
  l.m = machine_new(program);
  bool ok = take_machine(&l, extra);
  mem_free(l.objects);
  if (ok) *out = l.m;
  else machine_free(l.m);
  return ok;
}
