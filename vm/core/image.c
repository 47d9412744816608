/* Writing an image: children before parents, so that references only point back.
** What a run cannot see is not in it: capacity, indexes, hashes, ropes, garbage. */
#include "vm/core/image.h"

#include "vm/base/hash.h"
#include "vm/base/mem.h"
#include "vm/core/image_format.h"
#include "vm/core/program.h"
#include "vm/core/semantics.h"

typedef struct Visit { /* an object whose children are being written */
  Obj *o;
  uint32_t next; /* child, or place in a map's entries */
} Visit;

typedef struct Save {
  Machine *m;
  Buf *out;
  uint32_t *ids; /* per 8 bytes of heap: id + 1, or BUSY */
  Visit *stack;
  uint32_t stack_count, stack_cap;
  uint64_t count;
} Save;

enum { COLLECT_FROM = 16 << 10 };
#define BUSY UINT32_MAX

static void put32(Buf *out, uint32_t n) {
  buf_put(out, &n, 4);
} /* little-endian hosts only: base.h says so */
static void put64(Buf *out, uint64_t n) { buf_put(out, &n, 8); }
static void put_padded(Buf *out, const void *bytes, size_t size) {
  static const char zeros[8];
  buf_put(out, bytes, size);
  buf_put(out, zeros, (8 - (size & 7)) & 7);
}

/* A rope that has been written out stands for its string. */
static Value seen_through(Value v) {
  while (value_is_kind(v, OBJ_ROPE) && ((RopeObj *)value_obj(v))->right == VALUE_NIL)
    v = ((RopeObj *)value_obj(v))->left;
  return v;
}

static uint32_t *id_of(Save *s, const Obj *o) {
  return &s->ids[(size_t)((const char *)o - s->m->heap->start) / 8];
}

static Value word_of(Save *s, Value v) {
  v = seen_through(v);
  if (!value_is_obj(v)) return v;
  if (value_obj(v)->flags & OBJ_CONST)
    return (uint64_t)const_index(v) << IMAGE_REF_SHIFT | IMAGE_REF_CONST;
  uint32_t id = *id_of(s, value_obj(v));
  return id == BUSY || id == 0 ? VALUE_NIL : (uint64_t)(id - 1) << IMAGE_REF_SHIFT;
}

/* ---- objects ---- */

static void put_words(Save *s, const Value *at, uint32_t count) {
  for (uint32_t i = 0; i < count; i++) put64(s->out, word_of(s, at[i]));
}

static void put_entries(Save *s, Value map) {
  Value pair[2];
  for (uint32_t cursor = 0; map_next(map, &cursor, &pair[0], &pair[1]);) put_words(s, pair, 2);
}

static void put_text(Save *s, Obj *o) {
  if (o->kind == OBJ_STRING) {
    put_padded(s->out, ((StringObj *)o)->bytes, o->size);
    return;
  }
  char *at = buf_more(s->out, ((size_t)o->size + 7) & ~(size_t)7);
  if (!at) return;
  memset(at + (o->size & ~7u), 0, o->size & 7 ? 8 : 0);
  rope_write((Value)(uintptr_t)o, at);
  s->out->size += ((size_t)o->size + 7) & ~(size_t)7;
}

static void put_object(Save *s, Obj *o) {
  bool container = o->kind == OBJ_LIST || o->kind == OBJ_MAP || o->kind == OBJ_RECORD;
  Obj head = {.kind = o->kind == OBJ_ROPE ? OBJ_STRING : o->kind,
              .flags = container ? o->flags & OBJ_SHARED : 0,
              .size = o->size};
  if (o->kind == OBJ_DECIMAL || o->kind == OBJ_ERROR) head.aux = o->aux;
  buf_put(s->out, &head, 8);
  switch ((ObjKind)o->kind) {
    case OBJ_FLOAT:
    case OBJ_INT:
    case OBJ_TIME:
    case OBJ_DURATION: buf_put(s->out, o + 1, 8); break;
    case OBJ_DECIMAL: buf_put(s->out, o + 1, 16); break;
    case OBJ_RANGE: buf_put(s->out, o + 1, 24); break;
    case OBJ_STRING: case OBJ_ROPE: put_text(s, o); break;
    case OBJ_BYTES: put_padded(s->out, ((BytesObj *)o)->bytes, o->size); break;
    case OBJ_LIST: put_words(s, list_items((Value)(uintptr_t)o), o->size); break;
    case OBJ_MAP: put_entries(s, (Value)(uintptr_t)o); break;
    case OBJ_RECORD: case OBJ_CLOSURE:
      put32(s->out, ((RecordObj *)o)->shape);
      put32(s->out, 0);
      put_words(s, ((RecordObj *)o)->field, o->size);
      break;
    case OBJ_HANDLE:
      buf_put(s->out, ((HandleObj *)o)->run, 16);
      put64(s->out, ((HandleObj *)o)->seq);
      put_words(s, &((HandleObj *)o)->name, 1);
      break;
    case OBJ_SEALED: put_words(s, &((SealedObj *)o)->parts, 1); break;
    case OBJ_ERROR: put_words(s, &((ErrorObj *)o)->code, 4); break;
    case OBJ_ARRAY: case OBJ_TABLE: UNREACHABLE();
  }
  *id_of(s, o) = (uint32_t)++s->count;
}
_Static_assert(offsetof(RecordObj, shape) == offsetof(ClosureObj, fn) &&
                   offsetof(RecordObj, field) == offsetof(ClosureObj, capture),
               "records and closures are laid out alike");

/* ---- the walk ---- */

static bool next_entry(Visit *v, Value *child) {
  Value key, item;
  uint32_t cursor = v->next >> 1;
  if (!map_next((Value)(uintptr_t)v->o, &cursor, &key, &item)) return false;
  *child = v->next & 1 ? item : key;
  v->next = v->next & 1 ? cursor << 1 : (cursor - 1) << 1 | 1;
  return true;
}

static bool next_child(Visit *v, Value *child) {
  const Value *at = NULL;
  uint32_t count = v->o->size;
  switch ((ObjKind)v->o->kind) {
    case OBJ_LIST: at = list_items((Value)(uintptr_t)v->o); break;
    case OBJ_MAP: return next_entry(v, child);
    case OBJ_RECORD: case OBJ_CLOSURE: at = ((RecordObj *)v->o)->field; break;
    case OBJ_HANDLE: at = &((HandleObj *)v->o)->name, count = 1; break;
    case OBJ_SEALED: at = &((SealedObj *)v->o)->parts, count = 1; break;
    case OBJ_ERROR: at = &((ErrorObj *)v->o)->code, count = 4; break;
    case OBJ_FLOAT:
    case OBJ_INT:
    case OBJ_DECIMAL:
    case OBJ_STRING:
    case OBJ_ROPE:
    case OBJ_BYTES:
    case OBJ_TIME:
    case OBJ_DURATION: case OBJ_RANGE: case OBJ_ARRAY: case OBJ_TABLE: count = 0; break;
  }
  if (v->next >= count) return false;
  *child = at[v->next++];
  return true;
}

static bool has_children(const Obj *o) { return image_words(o->kind, 1) != 0; }

static void visit_push(Save *s, Obj *o) {
  if (s->stack_count == s->stack_cap)
    s->stack = mem_grow(s->stack, &s->stack_cap, s->stack_count + 1, sizeof *s->stack);
  s->stack[s->stack_count++] = (Visit){o, 0};
  *id_of(s, o) = BUSY;
}

/* Meets a value: leaves are written at once, others wait for their children. Something that is met
** again while it waits contains itself; only code that no compiler makes can do that, and it ends as nil. */
static void meet(Save *s, Value v) {
  v = seen_through(v);
  if (!value_is_obj(v) || (value_obj(v)->flags & OBJ_CONST) || *id_of(s, value_obj(v))) return;
  if (has_children(value_obj(v))) visit_push(s, value_obj(v));
  else put_object(s, value_obj(v));
}

static void save_value(Save *s, Value v) {
  meet(s, v);
  while (s->stack_count > 0) {
    Value child;
    Visit *top = &s->stack[s->stack_count - 1];
    if (next_child(top, &child)) {
      meet(s, child);
    } else {
      s->stack_count--;
      put_object(s, top->o);
    }
  }
}

/* ---- fibers and roots ---- */

static uint32_t fiber_words(const Machine *m, const Fiber *f) {
  uint32_t end = 0;
  for (uint32_t i = 0; i < f->frame_count; i++) {
    uint32_t top = f->frames[i].base + m->program->fns[f->frames[i].fn].regs;
    if (top > end) end = top;
  }
  return end;
}

static void save_objects(Save *s) {
  Machine *m = s->m;
  for (uint32_t i = 0; i < m->fiber_count; i++) {
    const Fiber *f = m->fibers[i];
    if (!f) continue;
    uint32_t words = fiber_words(m, f);
    for (uint32_t w = 0; w < words; w++) save_value(s, f->stack[w]);
    save_value(s, f->result);
  }
  save_value(s, m->config);
  for (size_t i = 0; i < COUNT_OF(m->roots); i++) save_value(s, m->roots[i]);
}

/* Where the answer goes: of the instruction that waits. f->dest may still be that of a call which has left its frame
** since, and nobody will ask for it. */
static uint8_t answer_register(const Save *s, const Fiber *f) {
  if (f->status != FIBER_BLOCKED) return 0;
  const Frame *fr = &f->frames[f->frame_count - 1];
  return (uint8_t)(*program_before(s->m->program, fr->fn, fr->pc) >> 8);
}

static void put_fiber(Save *s, const Fiber *f) {
  Buf *out = s->out;
  put32(out, f->id);
  uint8_t small[4] = {f->status, answer_register(s, f), f->raised, 0};
  buf_put(out, small, 4);
  put32(out, f->frame_count);
  for (uint32_t i = 0; i < f->frame_count; i++) {
    const Frame *fr = &f->frames[i];
    uint8_t rest[4] = {fr->ret, fr->flags, 0, 0};
    put32(out, fr->fn);
    put32(out, fr->pc);
    put32(out, fr->base);
    buf_put(out, rest, 4);
  }
  uint32_t words = fiber_words(s->m, f);
  put32(out, words);
  put_words(s, f->stack, words);
  put_words(s, &f->result, 1);
}

static void put_roots(Save *s, Str extra) {
  Machine *m = s->m;
  uint32_t alive = 0;
  for (uint32_t i = 0; i < m->fiber_count; i++) alive += m->fibers[i] != NULL;
  put32(s->out, m->fiber_count);
  put32(s->out, alive);
  for (uint32_t i = 0; i < m->fiber_count; i++) {
    if (m->fibers[i]) put_fiber(s, m->fibers[i]);
  }
  put_words(s, &m->config, 1);
  put_words(s, m->roots, COUNT_OF(m->roots));
  put64(s->out, extra.size);
  put_padded(s->out, extra.at, extra.size);
}

static void put_head(Save *s) {
  uint16_t versions[2] = {IMAGE_FORMAT, SEMANTICS_NUMBER};
  buf_put(s->out, "Z8IM", 4);
  buf_put(s->out, versions, 4);
  buf_put(s->out, s->m->bundle->id.byte, 32);
  put64(s->out, s->m->ticks);
  put64(s->out, s->m->ticks_limit);
  put64(s->out, s->m->charged);
  put64(s->out, s->m->charged_limit);
}

void image_save(Machine *m, Str extra, Buf *out, Hash256 *state) {
  if ((size_t)(m->heap->next - m->heap->start) > COLLECT_FROM) heap_collect(m, 0);
  Save s = {.m = m, .out = out};
  size_t start = out->size;
  s.ids = mem_alloc(((size_t)(m->heap->next - m->heap->start) / 8 + 1) * sizeof *s.ids);
  put_head(&s);
  size_t count_at = out->size;
  put64(out, 0);
  save_objects(&s);
  if (!out->full) memcpy(out->at + count_at, &s.count, 8);
  put_roots(&s, extra);
  *state = sha256((Str){out->at + start, out->size - start});
  buf_put(out, state->byte, sizeof state->byte);
  mem_free(s.ids);
  mem_free(s.stack);
}
