/* The table of natives and what their bodies share. */
#include "vm/core/natives.h"

#include "vm/core/loop.h"

NativeFn *const native_table[] = {
#define NATIVE(id, ...) [NATIVE_##id] = native_##id,
#include "lang/natives.def"
#undef NATIVE
    [NATIVE_COUNT] = NULL,
};

/* ---- faults about arguments ---- */

Str record_name(const Machine *m, Value v) {
  const Bundle *b = m->bundle;
  uint32_t shape = ((RecordObj *)value_obj(v))->shape;
  return b && shape < b->shape_count ? bundle_text(b, b->shapes[shape].name) : STR("record");
}

bool arg_mismatch(Machine *m, const char *what, const char *wanted, Value got, Value *result) {
  if (value_is_kind(got, OBJ_SEALED)) {
    return native_fault(m, result, FAULT_SEALED, "%s is sealed, and cannot be read or changed",
                        what);
  }
  Brief shown = value_brief(m, got == VALUE_MISSING ? VALUE_NIL : got, true);
  return native_fault(m, result, FAULT_TYPE, "%s must be %s, and this is %s", what, wanted,
                      shown.text);
}

/* ---- arguments ---- */

bool arg_text(Machine *m, Value *arg, const char *what, Value *result) {
  if (LIKELY(value_is_kind(*arg, OBJ_STRING))) return true;
  if (!value_is_kind(*arg, OBJ_ROPE)) return arg_mismatch(m, what, "a string", *arg, result);
  *arg = value_settle(m, *arg);
  return true;
}

Str text_of(Value v) {
  const StringObj *s = (const StringObj *)value_obj(v);
  ASSERT(s->head.kind == OBJ_STRING);
  return (Str){s->bytes, s->head.size};
}

bool arg_int(Machine *m, Value arg, const char *what, int64_t *out, Value *result) {
  return value_to_int(arg, out) || arg_mismatch(m, what, "an int", arg, result);
}

bool arg_int_in(Machine *m, Value arg, const char *what, int64_t low, int64_t high, int64_t *out,
                Value *result) {
  if (!arg_int(m, arg, what, out, result)) return false;
  if (*out >= low && *out <= high) return true;
  return native_fault(m, result, FAULT_VALUE,
                      "%s must be from %" PRId64 " to %" PRId64 ", and this is %" PRId64, what, low,
                      high, *out);
}

bool arg_bool(Machine *m, Value arg, const char *what, bool *out, Value *result) {
  *out = arg == VALUE_TRUE;
  return value_is_bool(arg) || arg_mismatch(m, what, "true or false", arg, result);
}

bool arg_float(Machine *m, Value arg, const char *what, double *out, Value *result) {
  int64_t i;
  if (value_to_float(arg, out)) return true;
  if (value_to_int(arg, &i)) *out = (double)i;
  else if (value_is_kind(arg, OBJ_DECIMAL)) *out = decimal_to_float(value_decimal(arg));
  else return arg_mismatch(m, what, "a number", arg, result);
  return true;
}

bool arg_decimal(Machine *m, Value arg, const char *what, Decimal *out, Value *result) {
  int64_t i;
  if (value_is_kind(arg, OBJ_DECIMAL)) *out = value_decimal(arg);
  else if (value_to_int(arg, &i)) *out = decimal_from_int(i);
  else return arg_mismatch(m, what, "a decimal or an int", arg, result);
  return true;
}

uint64_t range_length(const RangeObj *r) {
  if (r->step > 0 ? r->from >= r->to : r->from <= r->to) return 0;
  bool up = r->step > 0;
  uint64_t span = up ? (uint64_t)r->to - (uint64_t)r->from : (uint64_t)r->from - (uint64_t)r->to;
  uint64_t step = up ? (uint64_t)r->step : -(uint64_t)r->step;
  return (span - 1) / step + 1;
}

static bool list_of_range(Machine *m, Value *arg, Value *result) {
  RangeObj range = *(RangeObj *)value_obj(*arg);
  uint64_t count = range_length(&range);
  Value list;
  if (!list_of_nils(m, count, &list, result)) return false;
  Value *items = list_items(list);
  bool small = range.from >= SMALL_INT_MIN && range.from <= SMALL_INT_MAX &&
               range.to >= SMALL_INT_MIN && range.to <= SMALL_INT_MAX;
  *arg = list;
  for (uint64_t i = 0; i < count; i++) {
    int64_t n = (int64_t)((uint64_t)range.from + i * (uint64_t)range.step);
    if (small) {
      items[i] = value_small_int(n);
    } else { /* may be boxed, and boxing may move the list */
      Value boxed = value_int(m, n);
      list_set(*arg, (uint32_t)i, boxed);
    }
  }
  return true;
}

bool arg_list(Machine *m, Value *arg, const char *what, Value *result) {
  if (LIKELY(value_is_kind(*arg, OBJ_LIST))) return true;
  if (value_is_kind(*arg, OBJ_RANGE)) return list_of_range(m, arg, result);
  return arg_mismatch(m, what, "a list", *arg, result);
}

bool arg_map(Machine *m, Value arg, const char *what, Value *result) {
  return value_is_kind(arg, OBJ_MAP) || arg_mismatch(m, what, "a map", arg, result);
}

bool arg_bytes(Machine *m, Value arg, const char *what, Value *result) {
  return value_is_kind(arg, OBJ_BYTES) || arg_mismatch(m, what, "bytes", arg, result);
}

Str bytes_of(Value v) {
  const BytesObj *b = (const BytesObj *)value_obj(v);
  return (Str){(const char *)b->bytes, b->head.size};
}

bool arg_data(Machine *m, Value *arg, const char *what, Str *out, Value *result) {
  if (value_is_kind(*arg, OBJ_BYTES)) *out = bytes_of(*arg);
  else if (!value_is_text(*arg)) return arg_mismatch(m, what, "a string or bytes", *arg, result);
  else if (!arg_text(m, arg, what, result)) return false;
  else *out = text_of(*arg);
  return true;
}

bool arg_time(Machine *m, Value arg, const char *what, int64_t *us, Value *result) {
  if (!value_is_kind(arg, OBJ_TIME)) return arg_mismatch(m, what, "a time", arg, result);
  *us = ((IntObj *)value_obj(arg))->i;
  return true;
}

bool arg_duration(Machine *m, Value arg, const char *what, int64_t *us, Value *result) {
  if (!value_is_kind(arg, OBJ_DURATION)) return arg_mismatch(m, what, "a duration", arg, result);
  *us = ((IntObj *)value_obj(arg))->i;
  return true;
}

/* One bound of a slice: nil or missing gives `fallback`; negatives count from the back; then clamped. */
static bool bound_read(Machine *m, Value v, const char *what, uint32_t length, uint32_t fallback,
                       uint32_t *out, Value *result) {
  int64_t i;
  *out = fallback;
  if (v == VALUE_NIL || v == VALUE_MISSING) return true;
  if (!value_to_int(v, &i)) return arg_mismatch(m, what, "an int or nil", v, result);
  if (i < 0) i = i < -(int64_t)length ? 0 : i + (int64_t)length;
  *out = i > (int64_t)length ? length : (uint32_t)i;
  return true;
}

bool arg_bounds(Machine *m, const Value *args, uint32_t count, const char *what, uint32_t length,
                uint32_t bounds[2], Value *result) {
  Value from = count > 1 ? args[1] : VALUE_NIL, to = count > 2 ? args[2] : VALUE_NIL;
  if (!bound_read(m, from, what, length, 0, &bounds[0], result)) return false;
  if (!bound_read(m, to, what, length, length, &bounds[1], result)) return false;
  if (bounds[1] < bounds[0]) bounds[1] = bounds[0];
  return true;
}

/* ---- room and construction ---- */

bool live_room(Machine *m, Value *result) {
  if (LIKELY(!m->heap->over_live)) return true;
  return native_fault(m, result, FAULT_LIVE, "%zu MB", m->heap->live_limit >> 20);
}

bool room_for(Machine *m, uint64_t bytes, Value *result) {
  if (bytes > LIMIT_VALUE_BYTES) return native_fault(m, result, FAULT_SIZE, "256 MB");
  bool room = heap_reserve(m, object_round((size_t)bytes + 64));
  return room || native_fault(m, result, FAULT_LIVE, "%zu MB", m->heap->live_limit >> 20);
}

char *string_begin(Machine *m, size_t size, size_t chars, Value *out) {
  ASSERT(size <= LIMIT_VALUE_BYTES);
  machine_charge(m, COST_TEXT + size);
  StringObj *s = heap_take(m, object_round(sizeof(StringObj) + size));
  s->head =
      (Obj){.kind = OBJ_STRING, .flags = size == chars ? OBJ_ASCII : 0, .size = (uint32_t)size};
  s->chars = (uint32_t)chars;
  s->hash = 0;
  *out = (Value)(uintptr_t)s;
  return s->bytes;
}

bool string_take(Machine *m, Buf *buf, Value *result) {
  bool fits = !buf->full && room_for(m, buf->size, result);
  if (buf->full) native_fault(m, result, FAULT_SIZE, "256 MB");
  if (fits) *result = string_new(m, buf_view(buf));
  buf_deinit(buf);
  return fits;
}

bool bytes_take(Machine *m, Buf *buf, Value *result) {
  bool fits = !buf->full && room_for(m, buf->size, result);
  if (buf->full) native_fault(m, result, FAULT_SIZE, "256 MB");
  if (fits) *result = bytes_new(m, buf_view(buf));
  buf_deinit(buf);
  return fits;
}

bool list_of_nils(Machine *m, uint64_t count, Value *out, Value *result) {
  uint64_t bytes = count * sizeof(Value);
  if (count > LIMIT_VALUE_BYTES / sizeof(Value)) bytes = LIMIT_VALUE_BYTES + 1;
  machine_work(m, bytes);
  if (!room_for(m, bytes + 64, result)) return false;
  *out = list_new(m, (uint32_t)count);
  machine_charge(m, count * COST_ELEMENT);
  Value *items = list_items(*out);
  for (uint64_t i = 0; i < count; i++) items[i] = VALUE_NIL;
  value_obj(*out)->size = (uint32_t)count;
  return true;
}

/* ---- comparison ---- */

/* Values that share parts can be larger to walk than to hold: what is left of the ticks bounds it. */
CompareWork compare_begin(const Machine *m) {
  uint64_t left = m->ticks_limit > m->ticks ? m->ticks_limit - m->ticks : 0;
  return (CompareWork){.max = (left + 1) * (64 / WORK_COMPARE)};
}

bool compare_end(Machine *m, const CompareWork *work, const char *what, Value *result) {
  machine_work(m, work->steps * WORK_COMPARE);
  if (work->deep) {
    return native_fault(m, result, FAULT_VALUE,
                        "%s: a value nested more than %d deep cannot be compared", what,
                        (int)LIMIT_VALUE_DEPTH);
  }
  if (work->long_) {
    return native_fault(m, result, FAULT_FUEL, "%" PRIu64, m->ticks_limit);
  }
  return true;
}

bool unordered(Machine *m, const char *what, Value a, Value b, Value *result) {
  Brief x = value_brief(m, a, true), y = value_brief(m, b, true);
  return native_fault(m, result, FAULT_TYPE, "%s: %s and %s have no order", what, x.text, y.text);
}

bool key_refuse(Machine *m, const char *what, Value v, Value *result) {
  return arg_mismatch(m, what, "a string, int, bool, time or duration to be a key", v, result);
}
