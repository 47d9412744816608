/* A run's heap: bump allocation, copied when full (Cheney), no cycles, no host
** pointers. Object layouts stand here, so that natives and containers share them.
**
** Any function that takes a Machine may allocate, and any allocation may move
** every object: a C function keeps no Obj pointer across one. It reads again from
** a register, m->roots or m->temp, or reserves room first (heap_reserve). */
#ifndef Z8_HEAP_H
#define Z8_HEAP_H

#include "vm/core/machine.h"

typedef struct Heap Heap;

/* Room for `bytes` more without any move until they are used up. The only function that collects.
** False past the node's live limit or LIMIT_VALUE_BYTES: the caller faults (LIVE or SIZE). */
MUST_USE bool heap_reserve(Machine *m, size_t bytes);

/* Adds to the abstract cost, by what the language did, never by what the allocator did. */
static inline void machine_charge(Machine *m, uint64_t bytes) { m->charged += bytes; }

/* ---- layouts. Sizes are in 8-byte words after the header unless said ---- */
typedef struct StringObj { Obj head; /* size: bytes; OBJ_ASCII */ uint32_t chars; uint32_t hash; /* 0: not yet */ char bytes[]; } StringObj;
typedef struct RopeObj { Obj head; /* size: bytes in all */ Value left, right; /* right == VALUE_NIL: flattened, left is the string */ } RopeObj;
typedef struct BytesObj { Obj head; uint8_t bytes[]; } BytesObj;
typedef struct FloatObj { Obj head; double f; } FloatObj;
typedef struct IntObj { Obj head; int64_t i; } IntObj;   /* also TIME and DURATION, in microseconds */
typedef struct DecimalObj { Obj head; /* aux: scale */ uint64_t low; int64_t high; } DecimalObj; /* coefficient: 128 bits two's complement; at most 34 digits */
typedef struct ArrayObj { Obj head; /* size: capacity in values */ Value at[]; } ArrayObj;
typedef struct ListObj { Obj head; /* size: count */ Value array; /* OBJ_ARRAY or nil when empty */ } ListObj;
typedef struct MapEntry { Value key, value; } MapEntry; /* key == VALUE_MISSING: removed */
typedef struct MapObj { Obj head; /* size: live entries */ uint32_t used; /* entries in table, removed ones too */ uint32_t spare; Value entries; /* OBJ_ARRAY of key, value, …; nil when empty */ Value index; /* OBJ_TABLE or nil when small */ } MapObj;
typedef struct TableObj { Obj head; /* size: slots, a power of two */ uint32_t slot[]; /* entry + 1, 0 empty; rebuilt, never imaged */ } TableObj;
typedef struct RecordObj { Obj head; /* aux unused; size: fields */ uint32_t shape; uint32_t pad; Value field[]; } RecordObj;
typedef struct ClosureObj { Obj head; /* size: captures */ uint32_t fn; uint32_t pad; Value capture[]; } ClosureObj;
typedef struct HandleObj { Obj head; uint8_t run[16]; uint64_t seq; /* of the command that started it */ Value name; } HandleObj;
/* A sealed value never holds plaintext: it is a template whose parts are strings and names of secrets,
** resolved by vm/effects just before an effect leaves. parts: a list of strings and, for a secret, [name]. */
typedef struct SealedObj { Obj head; Value parts; } SealedObj;
typedef struct ErrorObj { Obj head; /* aux: 1 if catchable */ Value code, message, data, at; } ErrorObj;
typedef struct RangeObj { Obj head; int64_t from, to, step; } RangeObj;

/* ---- constructors: allocate, charge, and return the value; bytes are copied. They never fail: room past
** the limits is the business of the callers that can grow without bound (heap_reserve first). ---- */
Value string_new(Machine *m, Str utf8); /* must be valid UTF-8 */
Value bytes_new(Machine *m, Str bytes);
Value list_new(Machine *m, uint32_t capacity);
Value map_new(Machine *m, uint32_t capacity);
Value record_new(Machine *m, uint32_t shape, const Value *fields, uint32_t count); /* fields must be rooted or immediate */
Value time_new(Machine *m, int64_t us);
Value duration_new(Machine *m, int64_t us);
Value handle_new(Machine *m, const uint8_t run[16], uint64_t seq, Str name);
Value sealed_secret(Machine *m, Str name);

/* ---- reading ---- */
Str string_text(Machine *m, Value *v); /* of a string or a rope, flattened in place into *v (may allocate, once) */
uint32_t list_count(Value list);
Value list_at(Value list, uint32_t i);
uint32_t map_count(Value map);
bool map_find(Value map, Value key, Value *out);
bool map_find_text(Value map, Str key, Value *out);
bool map_next(Value map, uint32_t *cursor, Value *key, Value *value); /* in insertion order; cursor from 0 */

/* ---- building: only on containers just made here (unshared). May move; `container` is re-read through
** the pointer, which must be a root (m->temp or a register). ---- */
void list_push(Machine *m, Value *list, Value v);
void map_set(Machine *m, Value *map, Value key, Value v);
void map_set_text(Machine *m, Value *map, Str key, Value v);

void value_share(Value v);
/* As print shows it; strings quoted when `quoted`. Bounded by LIMIT_VALUE_DEPTH; sealed parts show as ******. */
void value_print(const Machine *m, Value v, bool quoted, Buf *out);

/* ---- natives ---- */
/* A native's body: borrowed arguments (registers, so they are roots and may be re-read after an
** allocation), result in *result. False: *result is an error value from error_fault. It charges
** ceil(bytes/64) ticks of bulk work through machine_work BEFORE doing it. */
typedef bool NativeFn(Machine *m, Value *args, uint32_t count, Value *result);
extern NativeFn *const native_table[];
static inline void machine_work(Machine *m, uint64_t bytes) { m->ticks += bytes / 64; }
/* Fails the native: sets *result and returns false. */
bool native_fault(Machine *m, Value *result, FaultCode code, const char *format, ...) PRINTF_LIKE(4, 5);

#endif
