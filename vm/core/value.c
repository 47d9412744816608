/* What values are to the language: kinds, numbers, equality, order, hash, print. */
#include "vm/core/value.h"

#include "vm/base/hash.h"
#include "vm/base/mem.h"
#include "vm/core/heap.h"

TypeKind value_type(Value v) {
  if (value_is_int(v)) return TYPE_INT;
  if (value_is_flonum(v)) return TYPE_FLOAT;
  if (!value_is_obj(v)) return value_is_bool(v) ? TYPE_BOOL : TYPE_NIL;
  switch ((ObjKind)value_obj(v)->kind) {
    case OBJ_FLOAT: return TYPE_FLOAT;
    case OBJ_INT: return TYPE_INT;
    case OBJ_DECIMAL: return TYPE_DECIMAL;
    case OBJ_STRING: case OBJ_ROPE: return TYPE_STRING;
    case OBJ_BYTES: return TYPE_BYTES;
    case OBJ_LIST: case OBJ_RANGE: return TYPE_LIST;
    case OBJ_MAP: return TYPE_MAP;
    case OBJ_RECORD: return TYPE_RECORD;
    case OBJ_TIME: return TYPE_TIME;
    case OBJ_DURATION: return TYPE_DURATION;
    case OBJ_CLOSURE: return TYPE_FUNCTION;
    case OBJ_HANDLE: return TYPE_HANDLE;
    case OBJ_SEALED: return TYPE_SEALED;
    case OBJ_ERROR: return TYPE_ERROR;
    case OBJ_ARRAY: case OBJ_TABLE: break; /* inside others */
  }
  UNREACHABLE();
}

bool value_to_int(Value v, int64_t *out) {
  if (value_is_int(v)) return *out = value_small(v), true;
  if (!value_is_kind(v, OBJ_INT)) return false;
  *out = ((const IntObj *)value_obj(v))->i;
  return true;
}

bool value_to_float(Value v, double *out) {
  if (value_is_flonum(v)) return *out = flonum_decode(v), true;
  if (!value_is_kind(v, OBJ_FLOAT)) return false;
  *out = ((const FloatObj *)value_obj(v))->f;
  return true;
}

bool value_can_key(Value v) {
  if (value_is_int(v) || value_is_bool(v)) return true;
  if (!value_is_obj(v)) return false;
  uint8_t kind = value_obj(v)->kind;
  return kind == OBJ_STRING || kind == OBJ_ROPE || kind == OBJ_INT || kind == OBJ_TIME ||
         kind == OBJ_DURATION;
}

/* ---- numbers ---- */

enum { UNORDERED = 2 };

static int order(bool less, bool greater) { return less ? -1 : greater; }

static bool value_is_number(Value v) {
  if (value_is_int(v) || value_is_flonum(v)) return true;
  return value_is_kind(v, OBJ_FLOAT) || value_is_kind(v, OBJ_INT) || value_is_kind(v, OBJ_DECIMAL);
}

/* Exact: a double cannot hold every int, so the float is taken apart, not the int rounded. */
static int int_compare_float(int64_t i, double f) {
  if (f != f) return UNORDERED;
  if (f >= 9223372036854775808.0) return -1;
  if (f < -9223372036854775808.0) return 1;
  int64_t whole = (int64_t)f;
  if (i != whole) return order(i < whole, true);
  double rest = f - (double)whole;
  return order(rest > 0, rest < 0);
}

static int decimal_compare_value(Decimal d, Value b) {
  int64_t i;
  double f;
  if (value_to_int(b, &i)) return decimal_compare(d, decimal_from_int(i));
  if (!value_to_float(b, &f)) return decimal_compare(d, value_decimal(b));
  bool ordered = true;
  int c = decimal_compare_float(d, f, &ordered);
  return ordered ? c : UNORDERED;
}

static int reversed(int c) { return c == UNORDERED ? c : -c; }

static int number_compare(Value a, Value b) {
  int64_t i = 0, j = 0;
  double f = 0, g = 0;
  if (value_is_kind(a, OBJ_DECIMAL)) return decimal_compare_value(value_decimal(a), b);
  if (value_is_kind(b, OBJ_DECIMAL)) return reversed(decimal_compare_value(value_decimal(b), a));
  bool a_int = value_to_int(a, &i), b_int = value_to_int(b, &j);
  if (a_int && b_int) return order(i < j, i > j);
  if (!a_int) value_to_float(a, &f);
  if (!b_int) value_to_float(b, &g);
  if (a_int) return int_compare_float(i, g);
  if (b_int) return reversed(int_compare_float(j, f));
  return f != f || g != g ? UNORDERED : order(f < g, f > g);
}

/* ---- texts ---- */

/* The text of a string, or of a rope written into `scratch`. */
static Str text_of(Value v, Buf *scratch) {
  if (value_is_kind(v, OBJ_ROPE)) {
    char *at = buf_more(scratch, value_obj(v)->size);
    if (!at) return (Str){0};
    rope_write(v, at);
    return (Str){at, value_obj(v)->size};
  }
  return (Str){((const StringObj *)value_obj(v))->bytes, value_obj(v)->size};
}

static int bytes_compare(Str a, Str b) {
  size_t n = a.size < b.size ? a.size : b.size;
  int c = n ? memcmp(a.at, b.at, n) : 0;
  if (c) return c < 0 ? -1 : 1;
  return order(a.size < b.size, a.size > b.size);
}

static int text_compare(Value a, Value b) {
  Buf x = {0}, y = {0};
  int c = bytes_compare(text_of(a, &x), text_of(b, &y));
  buf_deinit(&x);
  buf_deinit(&y);
  return c;
}

static Str bytes_of(Value v) {
  return (Str){(const char *)((const BytesObj *)value_obj(v))->bytes, value_obj(v)->size};
}

/* ---- equality ---- */

static bool equal_at(Value a, Value b, CompareWork *w, uint32_t depth);

static bool items_equal(const Value *a, const Value *b, uint32_t count, CompareWork *w,
                        uint32_t depth) {
  for (uint32_t i = 0; i < count; i++) {
    if (!equal_at(a[i], b[i], w, depth)) return false;
  }
  return true;
}

static bool maps_equal(Value a, Value b, CompareWork *w, uint32_t depth) {
  if (map_count(a) != map_count(b)) return false;
  Value key, x, y;
  for (uint32_t cursor = 0; map_next(a, &cursor, &key, &x);) {
    if (!map_find(b, key, &y) || !equal_at(x, y, w, depth)) return false;
  }
  return true;
}

static bool ranges_equal(Value a, Value b) {
  return memcmp((const char *)value_obj(a) + 8, (const char *)value_obj(b) + 8,
                sizeof(RangeObj) - 8) == 0;
}

/* Same kind, different objects. Sealed values are equal to nothing: comparing would be a question.
 */
static bool objects_equal(Value a, Value b, CompareWork *w, uint32_t depth) {
  const Obj *x = value_obj(a), *y = value_obj(b);
  switch ((ObjKind)x->kind) {
    case OBJ_STRING: case OBJ_ROPE: return x->size == y->size && text_compare(a, b) == 0;
    case OBJ_BYTES: return bytes_compare(bytes_of(a), bytes_of(b)) == 0;
    case OBJ_TIME: case OBJ_DURATION: return ((const IntObj *)x)->i == ((const IntObj *)y)->i;
    case OBJ_LIST:
      return x->size == y->size && items_equal(list_items(a), list_items(b), x->size, w, depth);
    case OBJ_MAP: return maps_equal(a, b, w, depth);
    case OBJ_RECORD: {
      const RecordObj *r = (const RecordObj *)x, *s = (const RecordObj *)y;
      return r->shape == s->shape && items_equal(r->field, s->field, x->size, w, depth);
    }
    case OBJ_CLOSURE: {
      const ClosureObj *r = (const ClosureObj *)x, *s = (const ClosureObj *)y;
      return r->fn == s->fn && items_equal(r->capture, s->capture, x->size, w, depth);
    }
    case OBJ_HANDLE:
      return memcmp(((const HandleObj *)x)->run, ((const HandleObj *)y)->run, 16) == 0;
    case OBJ_ERROR:
      return items_equal(&((const ErrorObj *)x)->code, &((const ErrorObj *)y)->code, 4, w, depth);
    case OBJ_RANGE: return ranges_equal(a, b);
    case OBJ_FLOAT:
    case OBJ_INT:
    case OBJ_DECIMAL:
    case OBJ_SEALED:
    case OBJ_ARRAY:
    case OBJ_TABLE: return false;
  }
  return false;
}

static bool equal_at(Value a, Value b, CompareWork *w, uint32_t depth) {
  if (w->deep || w->long_) return false;
  if (++w->steps > w->max) w->long_ = true;
  if (depth > LIMIT_VALUE_DEPTH) w->deep = true;
  if (a == b)
    return !value_is_kind(a, OBJ_FLOAT) ||
           ((const FloatObj *)value_obj(a))->f == ((const FloatObj *)value_obj(a))->f;
  if (value_is_number(a)) return value_is_number(b) && number_compare(a, b) == 0;
  if (!value_is_obj(a) || !value_is_obj(b)) return false;
  if (value_is_text(a) && value_is_text(b)) return objects_equal(a, b, w, depth);
  if (value_obj(a)->kind != value_obj(b)->kind) return false;
  return objects_equal(a, b, w, depth + 1) && !w->deep && !w->long_;
}

bool value_equal_bounded(Value a, Value b, CompareWork *work) { return equal_at(a, b, work, 0); }

bool value_equal(Value a, Value b) {
  CompareWork w = {.max = UINT32_MAX};
  return equal_at(a, b, &w, 0);
}

/* ---- order ---- */

static int compare_at(Value a, Value b, CompareWork *w, uint32_t depth);

static int lists_compare(Value a, Value b, CompareWork *w, uint32_t depth) {
  uint32_t m = list_count(a), n = list_count(b);
  for (uint32_t i = 0; i < m && i < n; i++) {
    int c = compare_at(list_at(a, i), list_at(b, i), w, depth);
    if (c) return c;
  }
  return order(m < n, m > n);
}

static int compare_at(Value a, Value b, CompareWork *w, uint32_t depth) {
  if (++w->steps > w->max) w->long_ = true;
  if (depth > LIMIT_VALUE_DEPTH) w->deep = true;
  if (w->deep || w->long_) return UNORDERED;
  if (value_is_number(a)) return value_is_number(b) ? number_compare(a, b) : UNORDERED;
  if (value_is_bool(a)) return value_is_bool(b) ? order(a < b, a > b) : UNORDERED;
  if (!value_is_obj(a) || !value_is_obj(b)) return a == b ? 0 : UNORDERED;
  if (value_is_text(a)) return value_is_text(b) ? text_compare(a, b) : UNORDERED;
  const Obj *x = value_obj(a), *y = value_obj(b);
  if (x->kind != y->kind) return UNORDERED;
  if (x->kind == OBJ_TIME || x->kind == OBJ_DURATION) {
    int64_t i = ((const IntObj *)x)->i, j = ((const IntObj *)y)->i;
    return order(i < j, i > j);
  }
  if (x->kind == OBJ_BYTES) return bytes_compare(bytes_of(a), bytes_of(b));
  return x->kind == OBJ_LIST ? lists_compare(a, b, w, depth + 1) : UNORDERED;
}

int value_compare_bounded(Value a, Value b, CompareWork *work) { return compare_at(a, b, work, 0); }

int value_compare(Value a, Value b) {
  CompareWork w = {.max = UINT32_MAX};
  return compare_at(a, b, &w, 0);
}

/* ---- hash ---- */

static uint64_t mix(uint64_t x) {
  x *= 0x9e3779b97f4a7c15u;
  return x ^ (x >> 32);
}

uint64_t value_hash(Value v) {
  int64_t i;
  if (value_is_kind(v, OBJ_STRING)) return string_hash(v);
  if (value_to_int(v, &i)) return mix((uint64_t)i);
  if (value_is_kind(v, OBJ_TIME) || value_is_kind(v, OBJ_DURATION)) {
    return mix((uint64_t)((const IntObj *)value_obj(v))->i ^ value_obj(v)->kind);
  }
  ASSERT(value_is_bool(v));
  return mix(v);
}
