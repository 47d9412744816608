/* The module bytes. Positions are byte positions; an element is an int from 0 to 255. */
#include "vm/core/natives.h"

/* Room for `size` bytes to be filled before anything else allocates. */
static uint8_t *bytes_begin(Machine *m, uint64_t size, Value *out, Value *result) {
  machine_work(m, size);
  if (!room_for(m, size, result)) return NULL;
  machine_charge(m, COST_TEXT + size);
  BytesObj *b = heap_take(m, object_round(sizeof(BytesObj) + size));
  b->head = (Obj){.kind = OBJ_BYTES, .size = (uint32_t)size};
  *out = (Value)(uintptr_t)b;
  return b->bytes;
}

NATIVE_BODY(bytes_len) {
  if (!arg_bytes(m, args[0], "bytes.len: the bytes", result)) return false;
  *result = value_small_int(value_obj(args[0])->size);
  return true;
}

NATIVE_BODY(bytes_is_empty) {
  if (!arg_bytes(m, args[0], "bytes.is_empty: the bytes", result)) return false;
  *result = value_bool(value_obj(args[0])->size == 0);
  return true;
}

static bool bytes_of_list(Machine *m, Value *args, Value *result) {
  Value made;
  uint32_t n = list_count(args[0]);
  uint8_t *out = bytes_begin(m, n, &made, result);
  if (!out) return false;
  for (uint32_t i = 0; i < n; i++) {
    int64_t byte;
    if (!arg_int_in(m, list_at(args[0], i), "bytes.from: an element", 0, 255, &byte, result))
      return false;
    out[i] = (uint8_t)byte;
  }
  *result = made;
  return true;
}

NATIVE_BODY(bytes_from) {
  *result = args[0];
  if (value_is_kind(args[0], OBJ_BYTES)) return true;
  if (value_is_text(args[0])) return native_text_bytes(m, args, 1, result);
  if (value_is_kind(args[0], OBJ_LIST) || value_is_kind(args[0], OBJ_RANGE)) {
    return arg_list(m, &args[0], "bytes.from: the value", result) && bytes_of_list(m, args, result);
  }
  return arg_mismatch(m, "bytes.from: the value", "a string, bytes or a list of ints", args[0],
                      result);
}

NATIVE_BODY(bytes_is_text) {
  if (!arg_bytes(m, args[0], "bytes.is_text: the bytes", result)) return false;
  machine_work(m, bytes_of(args[0]).size);
  *result = value_bool(utf8_valid(bytes_of(args[0])));
  return true;
}

NATIVE_BODY(bytes_text) {
  if (!arg_bytes(m, args[0], "bytes.text: the bytes", result)) return false;
  Str bytes = bytes_of(args[0]);
  machine_work(m, bytes.size);
  if (!utf8_valid(bytes))
    return native_fault(m, result, FAULT_PARSE, "bytes.text: the bytes are not UTF-8");
  size_t size = bytes.size, chars = utf8_count(bytes);
  Value made;
  if (!room_for(m, size, result)) return false;
  char *out = string_begin(m, size, chars, &made);
  if (size) memcpy(out, bytes_of(args[0]).at, size);
  *result = made;
  return true;
}

NATIVE_BODY(bytes_hex) {
  return arg_bytes(m, args[0], "bytes.hex: the bytes", result) &&
         native_hex_encode(m, args, 1, result);
}
NATIVE_BODY(bytes_base64) {
  return arg_bytes(m, args[0], "bytes.base64: the bytes", result) &&
         native_base64_encode(m, args, 1, result);
}

NATIVE_BODY(bytes_list) {
  Value made;
  if (!arg_bytes(m, args[0], "bytes.list: the bytes", result)) return false;
  if (!list_of_nils(m, bytes_of(args[0]).size, &made, result)) return false;
  Str s = bytes_of(args[0]);
  Value *items = list_items(made);
  for (size_t i = 0; i < s.size; i++) items[i] = value_small_int((uint8_t)s.at[i]);
  *result = made;
  return true;
}

NATIVE_BODY(bytes_get) {
  int64_t i;
  if (!arg_bytes(m, args[0], "bytes.get: the bytes", result)) return false;
  if (!arg_int(m, args[1], "bytes.get: the index", &i, result)) return false;
  Str s = bytes_of(args[0]);
  if (i < 0) i += (int64_t)s.size;
  *result = i >= 0 && i < (int64_t)s.size ? value_small_int((uint8_t)s.at[i]) : VALUE_NIL;
  return true;
}

NATIVE_BODY(bytes_slice) {
  uint32_t bounds[2];
  Value made;
  if (!arg_bytes(m, args[0], "bytes.slice: the bytes", result)) return false;
  if (!arg_bounds(m, args, count, "bytes.slice: a bound", value_obj(args[0])->size, bounds, result))
    return false;
  uint32_t size = bounds[1] - bounds[0];
  uint8_t *out = bytes_begin(m, size, &made, result);
  if (!out) return false;
  if (size) memcpy(out, bytes_of(args[0]).at + bounds[0], size);
  *result = made;
  return true;
}

NATIVE_BODY(bytes_concat) {
  uint64_t total = 0;
  Value made;
  for (uint32_t i = 0; i < count; i++) {
    if (!arg_bytes(m, args[i], "bytes.concat: an argument", result)) return false;
    total += value_obj(args[i])->size;
  }
  uint8_t *out = bytes_begin(m, total, &made, result);
  if (!out) return false;
  for (uint32_t i = 0; i < count; i++) {
    Str s = bytes_of(args[i]);
    if (s.size) memcpy(out, s.at, s.size);
    out += s.size;
  }
  *result = made;
  return true;
}

NATIVE_BODY(bytes_repeat) {
  int64_t times;
  uint64_t size;
  Value made;
  if (!arg_bytes(m, args[0], "bytes.repeat: the bytes", result)) return false;
  if (!arg_int_in(m, args[1], "bytes.repeat: how often", 0, INT64_MAX, &times, result))
    return false;
  uint32_t one = value_obj(args[0])->size;
  if (__builtin_mul_overflow((uint64_t)one, (uint64_t)times, &size)) size = UINT64_MAX;
  uint8_t *out = bytes_begin(m, size, &made, result);
  if (!out) return false;
  const char *source = bytes_of(args[0]).at;
  for (uint64_t at = 0; at < size; at += one) memcpy(out + at, source, one);
  *result = made;
  return true;
}

NATIVE_BODY(bytes_reverse) {
  Value made;
  if (!arg_bytes(m, args[0], "bytes.reverse: the bytes", result)) return false;
  uint32_t size = value_obj(args[0])->size;
  uint8_t *out = bytes_begin(m, size, &made, result);
  if (!out) return false;
  const char *source = bytes_of(args[0]).at;
  for (uint32_t i = 0; i < size; i++) out[i] = (uint8_t)source[size - 1 - i];
  *result = made;
  return true;
}

/* ---- finding ---- */

static bool two_bytes(Machine *m, const Value *args, const char *what, Value *result) {
  return arg_bytes(m, args[0], what, result) && arg_bytes(m, args[1], what, result);
}

static int64_t find_bytes(Str s, Str part, size_t from) {
  if (part.size == 0) return (int64_t)from;
  const char *at = memmem(s.at + from, s.size - from, part.at, part.size);
  return at ? at - s.at : -1;
}

NATIVE_BODY(bytes_contains) {
  if (!two_bytes(m, args, "bytes.contains: an argument", result)) return false;
  machine_work(m, bytes_of(args[0]).size);
  *result = value_bool(find_bytes(bytes_of(args[0]), bytes_of(args[1]), 0) >= 0);
  return true;
}

NATIVE_BODY(bytes_index_of) {
  int64_t from = 0;
  if (!two_bytes(m, args, "bytes.index_of: an argument", result)) return false;
  if (arg_given(args, count, 2) && !arg_int(m, args[2], "bytes.index_of: the start", &from, result))
    return false;
  Str s = bytes_of(args[0]);
  if (from < 0) from = from < -(int64_t)s.size ? 0 : from + (int64_t)s.size;
  machine_work(m, s.size);
  int64_t at = from > (int64_t)s.size ? -1 : find_bytes(s, bytes_of(args[1]), (size_t)from);
  *result = at < 0 ? VALUE_NIL : value_small_int(at);
  return true;
}

NATIVE_BODY(bytes_starts_with) {
  if (!two_bytes(m, args, "bytes.starts_with: an argument", result)) return false;
  Str s = bytes_of(args[0]), part = bytes_of(args[1]);
  *result = value_bool(s.size >= part.size && memcmp(s.at, part.at, part.size) == 0);
  return true;
}

NATIVE_BODY(bytes_ends_with) {
  if (!two_bytes(m, args, "bytes.ends_with: an argument", result)) return false;
  Str s = bytes_of(args[0]), part = bytes_of(args[1]);
  *result =
      value_bool(s.size >= part.size && memcmp(s.at + s.size - part.size, part.at, part.size) == 0);
  return true;
}

/* ---- as numbers ---- */

NATIVE_BODY(bytes_to_int) {
  bool little = false;
  if (!arg_bytes(m, args[0], "bytes.to_int: the bytes", result)) return false;
  if (arg_given(args, count, 1) && !arg_bool(m, args[1], "bytes.to_int: little", &little, result))
    return false;
  Str s = bytes_of(args[0]);
  if (s.size > 8)
    return native_fault(m, result, FAULT_VALUE, "bytes.to_int: %zu bytes are more than 8", s.size);
  uint64_t n = 0;
  for (size_t i = 0; i < s.size; i++) n = n << 8 | (uint8_t)s.at[little ? s.size - 1 - i : i];
  if (n > INT64_MAX) return native_fault(m, result, FAULT_OVERFLOW, "bytes.to_int");
  *result = value_int(m, (int64_t)n);
  return true;
}

NATIVE_BODY(bytes_from_int) {
  int64_t n, size;
  bool little = false;
  uint8_t bytes[8];
  if (!arg_int_in(m, args[0], "bytes.from_int: the int", 0, INT64_MAX, &n, result)) return false;
  if (!arg_int_in(m, args[1], "bytes.from_int: the size", 1, 8, &size, result)) return false;
  if (arg_given(args, count, 2) && !arg_bool(m, args[2], "bytes.from_int: little", &little, result))
    return false;
  if (size < 8 && n >> (8 * size)) {
    return native_fault(m, result, FAULT_OVERFLOW, "bytes.from_int(%" PRId64 ", %" PRId64 ")", n,
                        size);
  }
  for (int64_t i = 0; i < size; i++)
    bytes[little ? i : size - 1 - i] = (uint8_t)((uint64_t)n >> (8 * i));
  *result = bytes_new(m, (Str){(const char *)bytes, (size_t)size});
  return true;
}
