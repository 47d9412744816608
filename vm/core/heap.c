/* The collector and the constructors of scalar objects.
**
** Two spaces. What is reachable from the roots is copied to the other one, in
** the order it is met (Cheney): no recursion, no marks, and garbage costs nothing.
** The size follows what was alive; when a collection happens is nobody's business,
** so nothing a program can see depends on it. */
#include "vm/core/heap.h"

#include "vm/base/mem.h"
#include "vm/core/cost.h"
#include "vm/core/program.h"

enum { HEAP_FIRST = 8 << 10, HEAP_NURSERY = 256 << 10, HEAP_SPARE_MAX = 64 << 20 };

Heap *heap_new(size_t bytes) {
  Heap *h = MEM_NEW(Heap);
  h->size = bytes < HEAP_FIRST ? HEAP_FIRST : object_round(bytes);
  h->start = h->next = mem_alloc(h->size);
  h->end = h->start + h->size;
  h->live_limit = LIMIT_LIVE_MEMORY;
  return h;
}

void heap_free(Heap *heap) {
  if (!heap) return;
  mem_free(heap->start);
  mem_free(heap->spare);
  mem_free(heap);
}

size_t object_bytes(const Obj *o) {
  size_t n = o->size;
  switch ((ObjKind)o->kind) {
    case OBJ_FLOAT: case OBJ_INT: case OBJ_TIME: case OBJ_DURATION: return 16;
    case OBJ_DECIMAL: return sizeof(DecimalObj);
    case OBJ_STRING: return object_round(sizeof(StringObj) + n);
    case OBJ_ROPE: return sizeof(RopeObj);
    case OBJ_BYTES: return object_round(sizeof(BytesObj) + n);
    case OBJ_ARRAY: return object_round(sizeof(ArrayObj) + n * 8);
    case OBJ_LIST: return sizeof(ListObj);
    case OBJ_TABLE: return object_round(sizeof(TableObj) + n * 4);
    case OBJ_MAP: return sizeof(MapObj);
    case OBJ_RECORD: return object_round(sizeof(RecordObj) + n * 8);
    case OBJ_CLOSURE: return object_round(sizeof(ClosureObj) + n * 8);
    case OBJ_HANDLE: return sizeof(HandleObj);
    case OBJ_SEALED: return sizeof(SealedObj);
    case OBJ_ERROR: return sizeof(ErrorObj);
    case OBJ_RANGE: return sizeof(RangeObj);
  }
  UNREACHABLE();
}

/* ---- copying ---- */

typedef struct Copy {
  uintptr_t from;
  size_t from_size;
  char *next;
} Copy;

static void copy_value(Copy *c, Value *slot) {
  Value v = *slot;
  while (value_is_kind(v, OBJ_ROPE) && ((RopeObj *)value_obj(v))->right == VALUE_NIL)
    v = *slot = ((RopeObj *)value_obj(v))->left;
  if (!value_is_obj(v) || (uintptr_t)v - c->from >= c->from_size)
    return; /* a word, or a constant */
  Obj *o = value_obj(v);
  if (o->flags & OBJ_MOVED) {
    *slot = ((Value *)o)[1];
    return;
  }
  size_t bytes = object_bytes(o);
  Obj *to = (Obj *)(void *)c->next;
  memcpy(to, o, bytes);
  c->next += bytes;
  o->flags |= OBJ_MOVED;
  *slot = ((Value *)o)[1] = (Value)(uintptr_t)to;
}

static void copy_values(Copy *c, Value *at, size_t count) {
  for (size_t i = 0; i < count; i++) copy_value(c, at + i);
}

static void copy_children(Copy *c, Obj *o) {
  switch ((ObjKind)o->kind) {
    case OBJ_FLOAT:
    case OBJ_INT:
    case OBJ_TIME:
    case OBJ_DURATION:
    case OBJ_DECIMAL:
    case OBJ_STRING:
    case OBJ_BYTES: case OBJ_TABLE: case OBJ_RANGE: break;
    case OBJ_ROPE: copy_values(c, &((RopeObj *)o)->left, 2); break;
    case OBJ_ARRAY: copy_values(c, ((ArrayObj *)o)->at, o->size); break;
    case OBJ_LIST: copy_value(c, &((ListObj *)o)->array); break;
    case OBJ_MAP: copy_values(c, &((MapObj *)o)->entries, 2); break;
    case OBJ_RECORD: copy_values(c, ((RecordObj *)o)->field, o->size); break;
    case OBJ_CLOSURE: copy_values(c, ((ClosureObj *)o)->capture, o->size); break;
    case OBJ_HANDLE: copy_value(c, &((HandleObj *)o)->name); break;
    case OBJ_SEALED: copy_value(c, &((SealedObj *)o)->parts); break;
    case OBJ_ERROR: copy_values(c, &((ErrorObj *)o)->code, 4); break;
  }
}

/* Words in use: up to the highest end of any frame. A caller may reach above its callee. */
static uint32_t stack_extent(const Machine *m, const Fiber *f) {
  uint32_t end = 0;
  for (uint32_t i = f->frame_count; i-- > 0;) {
    const Frame *fr = &f->frames[i];
    uint32_t top = fr->base + m->program->fns[fr->fn].regs;
    if (top > end) end = top;
    if (fr->base + LIMIT_REGISTERS < end) break;
  }
  return end;
}

static void copy_stack(Machine *m, Copy *c, Fiber *f) {
  uint32_t used = stack_extent(m, f);
  ASSERT(used <= f->stack_cap);
  copy_values(c, f->stack, used);
  for (Value *v = f->stack + used; v < f->stack_end; v++) *v = VALUE_NIL;
  uint32_t slack = used + 512 < f->stack_cap ? used + 512 : f->stack_cap;
  if (f->stack_end > f->stack + slack) f->stack_end = f->stack + slack;
  copy_value(c, &f->result);
}

static void copy_roots(Machine *m, Copy *c) {
  for (uint32_t i = 0; i < m->fiber_count; i++) {
    if (m->fibers[i]) copy_stack(m, c, m->fibers[i]);
  }
  copy_value(c, &m->config);
  copy_values(c, m->roots, COUNT_OF(m->roots));
  copy_values(c, m->temp, COUNT_OF(m->temp));
  copy_values(c, m->saved, m->saved_count);
  copy_values(c, m->held, m->held_count);
}

static void heap_move(Machine *m, size_t size) {
  Heap *h = m->heap;
  char *to = h->spare_size == size ? h->spare : NULL;
  if (!to) {
    mem_free(h->spare);
    to = mem_alloc(size);
  }
  h->spare = NULL;
  h->spare_size = 0;
  Copy c = {(uintptr_t)h->start, (size_t)(h->next - h->start), to};
  copy_roots(m, &c);
  for (char *at = to; at < c.next; at += object_bytes((Obj *)(void *)at)) {
    copy_children(&c, (Obj *)(void *)at);
  }
  if (h->size > HEAP_SPARE_MAX) mem_free(h->start);
  else h->spare = h->start, h->spare_size = h->size;
  h->start = to;
  h->size = size;
  h->end = to + size;
  h->next = c.next;
  h->live = (size_t)(c.next - to);
  h->collections++;
}

static size_t size_above(size_t bytes) {
  size_t size = HEAP_FIRST;
  while (size < bytes) size *= 2;
  return size;
}

/* The other space has room for all that is used (most of it garbage, as a rule) and grows while
** it is small, or when a third of it was alive last time. */
void heap_collect(Machine *m, size_t need) {
  Heap *h = m->heap;
  size_t used = (size_t)(h->next - h->start), size = h->size;
#ifndef Z8_HOSTILE
  if (size < HEAP_NURSERY) size *= 2;
#endif
  size_t wanted = h->live * 3 + need;
  if (size < wanted || size < used) size = size_above(wanted > used ? wanted : used);
  heap_move(m, size);
  if ((size_t)(h->end - h->next) < need) heap_move(m, size_above(h->live * 2 + need));
  if (h->live > h->live_limit) {
    h->over_live = true;
    m->trip = 0;
  }
}

void heap_room(Machine *m, size_t bytes) {
  Heap *h = m->heap;
#ifdef Z8_HOSTILE
  if (h->reserved >= bytes) return; /* promised already: a constructor inside a reservation */
  heap_collect(m, bytes);
  h->reserved = bytes;
#else
  if ((size_t)(h->end - h->next) < bytes) heap_collect(m, bytes);
#endif
}

void *heap_take_slow(Machine *m, size_t bytes) {
  Heap *h = m->heap;
#ifdef Z8_HOSTILE
  if (h->reserved < bytes) heap_room(m, bytes);
  h->reserved -= bytes;
#else
  heap_collect(m, bytes);
#endif
  void *p = h->next;
  h->next += bytes;
  ASSERT(h->next <= h->end);
  return p;
}

bool heap_reserve(Machine *m, size_t bytes) {
  if (bytes > LIMIT_VALUE_BYTES + 4096) return false;
  heap_room(m, bytes);
  return true;
}

void machine_hold(Machine *m, Value v) {
  if (m->held_count == m->held_cap)
    m->held = mem_grow(m->held, &m->held_cap, m->held_count + 1, sizeof *m->held);
  m->held[m->held_count++] = v;
}

/* ---- scalars ---- */

static void *object_new(Machine *m, ObjKind kind, size_t bytes, uint32_t size) {
  Obj *o = heap_take(m, bytes);
  *o = (Obj){.kind = (uint8_t)kind, .size = size};
  return o;
}

static Value box_int(Machine *m, ObjKind kind, int64_t i) {
  IntObj *o = object_new(m, kind, sizeof *o, 0);
  o->i = i;
  machine_charge(m, COST_BOX);
  return (Value)(uintptr_t)o;
}

Value value_int(Machine *m, int64_t i) {
  if (LIKELY(i >= SMALL_INT_MIN && i <= SMALL_INT_MAX)) return value_small_int(i);
  return box_int(m, OBJ_INT, i);
}

Value time_new(Machine *m, int64_t us) { return box_int(m, OBJ_TIME, us); }
Value duration_new(Machine *m, int64_t us) { return box_int(m, OBJ_DURATION, us); }

Value value_float(Machine *m, double f) {
  Value v;
  if (LIKELY(flonum_encode(f, &v))) return v;
  uint64_t bits;
  memcpy(&bits, &f, sizeof bits);
  if (bits == 0) return m->program->zero;
  FloatObj *o = object_new(m, OBJ_FLOAT, sizeof *o, 0);
  o->f = f;
  if (f != f) {
    uint64_t one_nan = 0x7ff8000000000000u;
    memcpy(&o->f, &one_nan, sizeof o->f);
  }
  machine_charge(m, COST_BOX);
  return (Value)(uintptr_t)o;
}

Value decimal_value(Machine *m, Decimal d) {
  DecimalObj *o = object_new(m, OBJ_DECIMAL, sizeof *o, 0);
  o->head.aux = d.scale;
  o->low = (uint64_t)d.coefficient;
  o->high = (int64_t)(d.coefficient >> 64);
  machine_charge(m, COST_DECIMAL);
  return (Value)(uintptr_t)o;
}

Decimal value_decimal(Value v) {
  const DecimalObj *o = (const DecimalObj *)value_obj(v);
  __extension__ typedef __int128 Wide;
  __extension__ typedef unsigned __int128 Bits;
  return (Decimal){(Wide)((Bits)(uint64_t)o->high << 64 | o->low), o->head.aux};
}

Value bytes_new(Machine *m, Str bytes) {
  BytesObj *o =
      object_new(m, OBJ_BYTES, object_round(sizeof *o + bytes.size), (uint32_t)bytes.size);
  if (bytes.size) memcpy(o->bytes, bytes.at, bytes.size);
  machine_charge(m, COST_TEXT + bytes.size);
  return (Value)(uintptr_t)o;
}

Value range_new(Machine *m, int64_t from, int64_t to, int64_t step) {
  RangeObj *o = object_new(m, OBJ_RANGE, sizeof *o, 0);
  o->from = from;
  o->to = to;
  o->step = step;
  machine_charge(m, COST_RANGE);
  return (Value)(uintptr_t)o;
}

Value handle_new(Machine *m, const uint8_t run[16], uint64_t seq, Str name) {
  heap_room(m, object_round(sizeof(StringObj) + name.size) + sizeof(HandleObj));
  Value text = string_new(m, name);
  HandleObj *o = object_new(m, OBJ_HANDLE, sizeof *o, 0);
  memcpy(o->run, run, 16);
  o->seq = seq;
  o->name = text;
  machine_charge(m, COST_HANDLE);
  return (Value)(uintptr_t)o;
}

/* Parts: the one-element list of the one-element list that names the secret. */
Value sealed_secret(Machine *m, Str name) {
  heap_room(m, object_round(sizeof(StringObj) + name.size) + 2 * (sizeof(ListObj) + 64) +
                   sizeof(SealedObj));
  Value text = string_new(m, name);
  Value inner = list_from(m, &text, 1);
  value_share(inner);
  Value parts = list_from(m, &inner, 1);
  value_share(parts);
  return sealed_from(m, &parts);
}

Value sealed_from(Machine *m, const Value *parts) {
  SealedObj *o = object_new(m, OBJ_SEALED, sizeof *o, 0);
  o->parts = *parts;
  machine_charge(m, COST_SEALED);
  return (Value)(uintptr_t)o;
}

Value error_value(Machine *m, Value code, Value message, Value data, Value at, bool catchable) {
  temps_save(m, 4, 4);
  m->temp[4] = code, m->temp[5] = message, m->temp[6] = data, m->temp[7] = at;
  heap_room(m, sizeof(ErrorObj));
  ErrorObj *o = object_new(m, OBJ_ERROR, sizeof *o, 0);
  memcpy(&o->code, &m->temp[4], 4 * sizeof(Value));
  o->head.aux = catchable;
  o->head.flags |= OBJ_SHARED;
  temps_restore(m, 4, 4);
  machine_charge(m, COST_ERROR);
  return (Value)(uintptr_t)o;
}
