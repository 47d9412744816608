/* A run's heap: bump allocation, copied when full (Cheney), no cycles, no host
** pointers. Object layouts stand here, so that natives and containers share them.
**
** Any function that takes a Machine may allocate, and any allocation may move
** every object: a C function keeps no Obj pointer across one. It reads again from
** a register, m->roots or m->temp, or reserves room first (heap_reserve). */
#ifndef Z8_HEAP_H
#define Z8_HEAP_H

#include "vm/base/text.h"
#include "vm/core/machine.h"

typedef struct Heap {
  char *next, *end; /* the room that is left */
  char *start;      /* of the space in use */
  char *spare;      /* the other space, or NULL */
  size_t size, spare_size;
  size_t live;       /* bytes found alive by the last collection */
  size_t live_limit; /* LIMIT_LIVE_MEMORY unless the node says less */
  size_t reserved;   /* hostile build: what heap_reserve promised */
  uint64_t collections;
  bool over_live;
} Heap;

Heap *heap_new(size_t bytes);
void heap_free(Heap *heap);
/* Moves everything reachable to a space with room for `need` more. */
void heap_collect(Machine *m, size_t need);
/* Makes the room without judging it; heap_reserve without its limits. */
void heap_room(Machine *m, size_t bytes);
void *heap_take_slow(Machine *m, size_t bytes);

/* Bump allocation; bytes is a multiple of 8, at least 16. Not zeroed. May move everything. */
static inline void *heap_take(Machine *m, size_t bytes) {
#ifndef Z8_HOSTILE
  Heap *h = m->heap;
  if (LIKELY((size_t)(h->end - h->next) >= bytes)) {
    void *p = h->next;
    h->next += bytes;
    return p;
  }
#endif
  return heap_take_slow(m, bytes);
}
static inline size_t object_round(size_t bytes) {
  return bytes < 16 ? 16 : (bytes + 7) & ~(size_t)7;
}
/* Bytes of the object on the heap. */
size_t object_bytes(const Obj *o);

/* Room for `bytes` more without any move until they are used up. The only function that collects.
** False past LIMIT_VALUE_BYTES: the caller faults (SIZE). The node's live limit is no fault: it ends the run at the
** next tick (STOP_LIVE). */
MUST_USE bool heap_reserve(Machine *m, size_t bytes);

/* Adds to the abstract cost, by what the language did, never by what the allocator did. */
static inline void machine_charge(Machine *m, uint64_t bytes) {
  m->charged += bytes;
  if (UNLIKELY(m->charged > m->charged_limit)) m->trip = 0; /* faults at the next tick */
}

/* ---- layouts. Sizes are in 8-byte words after the header unless said ---- */
typedef struct StringObj {
  Obj head; /* size: bytes; OBJ_ASCII */
  uint32_t chars;
  uint32_t hash; /* 0: not yet */
  char bytes[];
} StringObj;
typedef struct RopeObj {
  Obj head;          /* size: bytes in all */
  Value left, right; /* right == VALUE_NIL: flattened, left is the string */
} RopeObj;
typedef struct BytesObj {
  Obj head;
  uint8_t bytes[];
} BytesObj;
typedef struct FloatObj {
  Obj head;
  double f;
} FloatObj;
typedef struct IntObj {
  Obj head;
  int64_t i;
} IntObj; /* also TIME and DURATION, in microseconds */
typedef struct DecimalObj {
  Obj head; /* aux: scale */
  uint64_t low;
  int64_t high;
} DecimalObj; /* coefficient: 128 bits two's complement; at most 34 digits */
typedef struct ArrayObj {
  Obj head; /* size: capacity in values */
  Value at[];
} ArrayObj;
typedef struct ListObj {
  Obj head;    /* size: count */
  Value array; /* OBJ_ARRAY or nil when empty */
} ListObj;
typedef struct MapEntry {
  Value key, value;
} MapEntry; /* key == VALUE_MISSING: removed */
typedef struct MapObj {
  Obj head;      /* size: live entries */
  uint32_t used; /* entries in table, removed ones too */
  uint32_t spare;
  Value entries; /* OBJ_ARRAY of key, value, …; nil when empty */
  Value index;   /* OBJ_TABLE or nil when small */
} MapObj;
typedef struct TableObj {
  Obj head;        /* size: slots, a power of two */
  uint32_t slot[]; /* entry + 1, 0 empty; rebuilt, never imaged */
} TableObj;
typedef struct RecordObj {
  Obj head; /* size: fields */
  uint32_t shape;
  uint32_t key; /* record_key(shape), for field caches */
  Value field[];
} RecordObj;
static inline uint32_t record_key(uint32_t shape) { return (shape + 1) << 8; }
typedef struct ClosureObj {
  Obj head; /* size: captures */
  uint32_t fn;
  uint32_t pad;
  Value capture[];
} ClosureObj;
typedef struct HandleObj {
  Obj head;
  uint8_t run[16];
  uint64_t seq; /* of the command that started it */
  Value name;
} HandleObj;
/* A sealed value never holds plaintext: it is a template whose parts are strings and names of secrets, resolved by
** vm/effects just before an effect leaves. parts: a list of strings and, for a secret, [name]. */
typedef struct SealedObj {
  Obj head;
  Value parts;
} SealedObj;
typedef struct ErrorObj {
  Obj head; /* aux: 1 if catchable */
  Value code, message, data, at;
} ErrorObj;
typedef struct RangeObj {
  Obj head;
  int64_t from, to, step;
} RangeObj;

/* ---- constructors: allocate, charge, and return the value; bytes are copied. They never fail: room past the limits
** is the business of the callers that can grow without bound (heap_reserve first). ----
 */
Value string_new(Machine *m, Str utf8); /* must be valid UTF-8 */
Value bytes_new(Machine *m, Str bytes);
Value list_new(Machine *m, uint32_t capacity);
Value map_new(Machine *m, uint32_t capacity);
Value record_new(Machine *m, uint32_t shape, const Value *fields,
                 uint32_t count); /* fields must be rooted or immediate */
Value time_new(Machine *m, int64_t us);
Value duration_new(Machine *m, int64_t us);
Value handle_new(Machine *m, const uint8_t run[16], uint64_t seq, Str name);
Value sealed_secret(Machine *m, Str name);

/* ---- reading ---- */
Str string_text(
    Machine *m,
    Value *v); /* of a string or a rope, flattened in place into *v (may allocate, once) */
uint32_t list_count(Value list);
Value list_at(Value list, uint32_t i);
uint32_t map_count(Value map);
bool map_find(Value map, Value key, Value *out);
bool map_find_text(Value map, Str key, Value *out);
bool map_next(Value map, uint32_t *cursor, Value *key,
              Value *value); /* in insertion order; cursor from 0 */

/* ---- building: only on containers just made here (unshared). May move; `container` is re-read through the pointer,
** which must be a root (m->temp or a register). ---- */
void list_push(Machine *m, Value *list, Value v);
void map_set(Machine *m, Value *map, Value key, Value v);
void map_set_text(Machine *m, Value *map, Str key, Value v);

/* Lists. In place, unshared ones only; `list` as above. list_insert: i <= count. list_remove: i <
 * count. */
Value list_from(Machine *m, const Value *items, uint32_t count); /* items rooted or immediate */
void list_insert(Machine *m, Value *list, uint32_t i, Value v);
void list_remove(Value list, uint32_t i);
void list_set(Value list, uint32_t i, Value v); /* v is not a rope */
void list_truncate(Value list, uint32_t count);
void list_extend(Machine *m, Value *list, Value *other); /* other: rooted */
static inline Value *list_items(Value list) { /* until the next allocation; NULL-like when empty */
  ListObj *l = (ListObj *)value_obj(list);
  return l->array == VALUE_NIL ? NULL : ((ArrayObj *)value_obj(l->array))->at;
}
bool map_remove(Machine *m, Value *map, Value key); /* false: it was not there */
int64_t map_entry(Value map, Value key);            /* its index in map_items, or -1 */
MapEntry *map_items(Value map); /* with removed ones, key MISSING; until the next allocation */
Value map_copy(Machine *m, Value *map, uint32_t more); /* with room for more entries */
/* An unshared copy if it is shared (or constant), else the value itself. Children of a copy become
 * shared. */
void value_own(Machine *m, Value *container);
Value container_copy(Machine *m, Value *from); /* of a list, map or record */
bool value_is_container(Value v);              /* list, map or record */
/* The string of a rope, else v itself: ropes live in registers only, never in containers. May
 * allocate. */
Value value_settle(Machine *m, Value v);

Value error_value(Machine *m, Value code, Value message, Value data, Value at, bool catchable);
Value range_new(Machine *m, int64_t from, int64_t to, int64_t step);
Value sealed_from(Machine *m, const Value *parts); /* a rooted list of strings and [name] */
/* Puts a value on the stack of scratch roots: for building values from the leaves up. */
void machine_hold(Machine *m, Value v);
uint64_t range_count(const RangeObj *r);
int64_t range_at(const RangeObj *r, uint64_t i); /* i < range_count */
Value decimal_value(Machine *m, Decimal d);
Decimal value_decimal(Value v);             /* of an OBJ_DECIMAL */
static inline bool value_is_text(Value v) { /* a string, or a rope that stands for one */
  return value_is_kind(v, OBJ_STRING) || value_is_kind(v, OBJ_ROPE);
}

enum { ROPE_FROM = 256 }; /* a rope has more bytes than this */

/* Text. Indexes count characters. Arguments that are Value pointers are roots. */
uint32_t string_chars(Machine *m, Value *v);
Value string_at(Machine *m, Value *v, uint32_t i);                    /* i < chars */
Value string_slice(Machine *m, Value *v, uint32_t from, uint32_t to); /* from <= to <= chars */
Value string_concat(Machine *m, Value *a, Value *b); /* may be a rope; a + b <= LIMIT_VALUE_BYTES */
Value string_part(Machine *m, Value *v, size_t offset,
                  size_t size); /* bytes of *v at character bounds */
uint32_t string_hash(Value string);
void rope_write(Value rope, char *out); /* its size bytes */

/* Sets temp slots aside over a stretch that may collect: where they wait they are roots too, so that what comes back
** has moved with the rest. Pairs nest. */
static inline void temps_save(Machine *m, uint32_t first, uint32_t count) {
  ASSERT(m->saved_count + count <= COUNT_OF(m->saved));
  for (uint32_t i = 0; i < count; i++) m->saved[m->saved_count++] = m->temp[first + i];
}
static inline void temps_restore(Machine *m, uint32_t first, uint32_t count) {
  m->saved_count -= count;
  for (uint32_t i = 0; i < count; i++) m->temp[first + i] = m->saved[m->saved_count + i];
}

void value_share(Value v);
/* As print shows it; strings quoted when `quoted`. Bounded by LIMIT_VALUE_DEPTH; sealed parts show
 * as ******. */
void value_print(const Machine *m, Value v, bool quoted, Buf *out);

/* ---- natives ---- */
/* A native's body: borrowed arguments (registers, so they are roots and may be re-read after an
** allocation), result in *result. False: *result is an error value from error_fault. It charges
** ceil(bytes/64) ticks of bulk work through machine_work BEFORE doing it. */
typedef bool NativeFn(Machine *m, Value *args, uint32_t count, Value *result);
extern NativeFn *const native_table[];
static inline void machine_work(Machine *m, uint64_t bytes) { m->ticks += bytes / 64; }
/* Fails the native: sets *result and returns false. */
bool native_fault(Machine *m, Value *result, FaultCode code, const char *format, ...)
    PRINTF_LIKE(4, 5);

#endif
