/* A value: one 64-bit word.
**
**   ...xxx1  an int of 63 bits (wider ints are boxed: OBJ_INT)
**   ...xx10  a float whose exponent is common, moved and rotated so that its own bits
**            are the tag (other floats, 0.0 too, are boxed: OBJ_FLOAT)
**   ...x100  nil, false, true, MISSING
**   ...x000  a heap object or a constant, 8-byte aligned
**
** Values are immutable to the language and acyclic. A container may be updated
** in place while its SHARED bit is off; the compiler emits SHARE when a reference
** is duplicated, a copy marks the children it now shares, and the bit never goes
** off again. Constants are born shared and live in the Program, not the heap. */
#ifndef Z8_VALUE_H
#define Z8_VALUE_H

#include "lang/tables.h"
#include "vm/base/base.h"

typedef uint64_t Value;

#define VALUE_NIL     ((Value)0x04)
#define VALUE_FALSE   ((Value)0x0c)
#define VALUE_TRUE    ((Value)0x14)
#define VALUE_MISSING ((Value)0x1c) /* an argument not given; never seen by a program */

typedef enum {
  OBJ_FLOAT, OBJ_INT, OBJ_DECIMAL, OBJ_STRING, OBJ_ROPE, OBJ_BYTES, OBJ_ARRAY, OBJ_LIST, OBJ_TABLE,
  OBJ_MAP, OBJ_RECORD, OBJ_TIME, OBJ_DURATION, OBJ_CLOSURE, OBJ_HANDLE, OBJ_SEALED, OBJ_ERROR, OBJ_RANGE
} ObjKind;

enum { OBJ_SHARED = 1, OBJ_CONST = 2, OBJ_ASCII = 4, OBJ_MOVED = 8 };

typedef struct Obj { /* every object's first word */
  uint8_t kind;  /* ObjKind */
  uint8_t flags; /* OBJ_* */
  uint16_t aux;
  uint32_t size; /* by kind: bytes of a string, fields of a record, … */
} Obj;

static inline bool value_is_int(Value v) { return (v & 1) != 0; }
static inline bool value_is_flonum(Value v) { return (v & 3) == 2; }
static inline bool value_is_obj(Value v) { return (v & 7) == 0; }
static inline Obj *value_obj(Value v) { return (Obj *)(uintptr_t)v; }
static inline bool value_is_kind(Value v, ObjKind k) { return value_is_obj(v) && value_obj(v)->kind == k; }
static inline bool value_is_bool(Value v) { return v == VALUE_TRUE || v == VALUE_FALSE; }
static inline Value value_bool(bool b) { return b ? VALUE_TRUE : VALUE_FALSE; }

#define SMALL_INT_MAX ((int64_t)0x3fffffffffffffff)
#define SMALL_INT_MIN (-SMALL_INT_MAX - 1)
static inline Value value_small_int(int64_t i) { return ((uint64_t)i << 1) | 1; }
static inline int64_t value_small(Value v) { return (int64_t)v >> 1; }

/* A float as a word. Adding the offset brings the exponents of 2^-255 … 2^256 to where their first two
** bits are 1 0, and rotating by three brings those two to the end: they are the tag, no mask is needed.
** All others are boxed, 0.0 too (a constant of the program, so that it costs no memory). */
#define FLONUM_OFFSET ((uint64_t)0x100 << 52)

static inline bool flonum_encode(double f, Value *out) {
  uint64_t bits;
  memcpy(&bits, &f, sizeof bits);
  bits += FLONUM_OFFSET;
  *out = (bits << 3) | (bits >> 61);
  return LIKELY((*out & 3) == 2);
}
static inline double flonum_decode(Value v) {
  uint64_t bits = ((v >> 3) | (v << 61)) - FLONUM_OFFSET;
  double f;
  memcpy(&f, &bits, sizeof f);
  return f;
}

/* The rest of the object layouts and constructors are in heap.h. */

typedef struct Machine Machine;

/* What a value is, in the language's words: "int", "string", "list", "Account" for a record. */
TypeKind value_type(Value v);

/* Numbers. value_int also reads a boxed int; value_float reads either form of float. */
bool value_to_int(Value v, int64_t *out);
bool value_to_float(Value v, double *out); /* floats only */
Value value_int(Machine *m, int64_t i);    /* may allocate */
Value value_float(Machine *m, double f);   /* may allocate; NaN is made canonical */

/* By value across int, float and decimal; maps as sets; NaN equals nothing. Bounded by LIMIT_VALUE_DEPTH. */
bool value_equal(Value a, Value b);
/* -1, 0, 1; 2 when the two cannot be ordered (different kinds, NaN). */
int value_compare(Value a, Value b);
/* Equal values hash alike. Of what may be a key. */
uint64_t value_hash(Value v);
/* Strings, ints, bools, times and durations may be keys of maps. */
bool value_can_key(Value v);

/* A comparison that may have to stop: values share parts, so a small heap can hold a tree without end. */
typedef struct CompareWork {
  uint64_t steps, max; /* visited; at most */
  bool deep, long_;    /* why it stopped: nested past LIMIT_VALUE_DEPTH; more than max steps */
} CompareWork;
bool value_equal_bounded(Value a, Value b, CompareWork *work);
int value_compare_bounded(Value a, Value b, CompareWork *work);

#endif
