/* What the bodies of the natives (lang/natives.def) share: reading and checking
** arguments, text under construction, bounded comparison.
**
** A checking helper says on failure who wanted what: `what` is "text.split: the
** separator", and the fault reads "text.split: the separator must be a string,
** and this is int 3". It sets *result and returns false; the native returns that.
**
** Arguments are registers, so they are roots: after anything that may allocate, a
** native reads them again from `args`. */
#ifndef Z8_NATIVES_H
#define Z8_NATIVES_H

#include "vm/core/cost.h"
#include "vm/core/heap.h"

#define UNUSED __attribute__((unused))
#define NATIVE_BODY(id)                                                          \
  bool native_##id(Machine *m UNUSED, Value *args UNUSED, uint32_t count UNUSED, \
                   Value *result UNUSED)

#define NATIVE(id, ...) NativeFn native_##id;
#include "lang/natives.def"
#undef NATIVE

/* Was argument i given (nil counts as not given)? */
static inline bool arg_given(const Value *args, uint32_t count, uint32_t i) {
  return i < count && args[i] != VALUE_MISSING && args[i] != VALUE_NIL;
}

/* The fault of an argument of the wrong kind; a sealed one is refused as such. Returns false. */
bool arg_mismatch(Machine *m, const char *what, const char *wanted, Value got, Value *result);

/* A string. A rope is flattened in place, so that text_of reads it. May allocate. */
bool arg_text(Machine *m, Value *arg, const char *what, Value *result);
/* The bytes of a flat string, until the next allocation. */
Str text_of(Value v);
static inline bool text_is_plain(Value v) { return (value_obj(v)->flags & OBJ_ASCII) != 0; }
bool arg_int(Machine *m, Value arg, const char *what, int64_t *out, Value *result);
/* An int within bounds; outside it is a bad_value that names them. */
bool arg_int_in(Machine *m, Value arg, const char *what, int64_t low, int64_t high, int64_t *out,
                Value *result);
bool arg_bool(Machine *m, Value arg, const char *what, bool *out, Value *result);
/* An int, float or decimal, as a float. */
bool arg_float(Machine *m, Value arg, const char *what, double *out, Value *result);
/* A decimal, or an int as one. */
bool arg_decimal(Machine *m, Value arg, const char *what, Decimal *out, Value *result);
/* A list; a range is made into one in place. May allocate. */
bool arg_list(Machine *m, Value *arg, const char *what, Value *result);
bool arg_map(Machine *m, Value arg, const char *what, Value *result);
bool arg_bytes(Machine *m, Value arg, const char *what, Value *result);
Str bytes_of(Value v);
/* A string or bytes, as bytes. May allocate; *out is good until the next allocation. */
bool arg_data(Machine *m, Value *arg, const char *what, Str *out, Value *result);
bool arg_time(Machine *m, Value arg, const char *what, int64_t *us, Value *result);
bool arg_duration(Machine *m, Value arg, const char *what, int64_t *us, Value *result);

/* Room for a value of so many bytes; false with the fault when a limit stands against it. */
bool room_for(Machine *m, uint64_t bytes, Value *result);
/* Whether the run is still within the node's live limit: for loops that allocate many small values. */
bool live_room(Machine *m, Value *result);
/* A flat string of `size` bytes (within LIMIT_VALUE_BYTES) to be filled at once, before anything else
** allocates; `chars` characters. Charged like any string. */
char *string_begin(Machine *m, size_t size, size_t chars, Value *out);
/* *result = the text in buf, which is freed. Faults when buf is full. */
bool string_take(Machine *m, Buf *buf, Value *result);
bool bytes_take(Machine *m, Buf *buf, Value *result);

/* An element that now stands in two places. */
static inline Value shared(Value v) {
  if (value_is_obj(v) && !(value_obj(v)->flags & OBJ_SHARED)) value_share(v);
  return v;
}
/* A list of `count` nils to be filled in place before anything else allocates. */
bool list_of_nils(Machine *m, uint64_t count, Value *out, Value *result);

/* Comparing within what is left of the run's ticks. Begin, compare any number of times, end: it charges
** the work and faults if a comparison had to stop. */
CompareWork compare_begin(const Machine *m);
bool compare_end(Machine *m, const CompareWork *work, const char *what, Value *result);

/* Index bounds of a slice: nil means the end; negatives count from the back; always 0 <= from <= to <= length. */
bool arg_bounds(Machine *m, const Value *args, uint32_t count, const char *what, uint32_t length,
                uint32_t bounds[2], Value *result);

/* How many ints a range has. */
uint64_t range_length(const RangeObj *r);
/* The fault of a value that cannot be a map's key. */
bool key_refuse(Machine *m, const char *what, Value v, Value *result);

/* Bytes of the white space character at `at`, 0 if it is none. */
size_t space_size(Str s, size_t at);

/* The fault of two values that cannot be ordered. */
bool unordered(Machine *m, const char *what, Value a, Value b, Value *result);

/* The declared name of a record's type. */
Str record_name(const Machine *m, Value v);
/* Bodies that two modules share, with the name they report. */
bool list_sort_by(Machine *m, Value *list, Value *keys, bool descending, const char *what,
                  Value *result);
bool float_to_int(Machine *m, double f, const char *what, Value *result);
bool number_fixed(Machine *m, Value *args, const char *name, Value *result);
bool number_whole(Machine *m, Value v, Rounding rounding, const char *name, Value *result);
/* The int of a decimal cut so. */
bool decimal_cut(Machine *m, Decimal d, Rounding rounding, const char *what, Value *result);
bool decimal_read(Str text, Decimal *out);
/* From, to and step of range's arguments. */
bool range_read(Machine *m, Value *args, uint32_t count, int64_t out[3], Value *result);
/* The least (sign -1) or greatest (1) of at least one value. */
bool extreme_of(Machine *m, const Value *items, uint32_t count, int sign, const char *what,
                Value *result);
/* Elements [from, to) of *list, which is a root, as a new list. */
bool list_copy(Machine *m, Value *list, uint32_t from, uint32_t to, Value *out, Value *result);
/* The sum or product of a list. */
bool list_fold(Machine *m, Value *list, bool add, const char *what, Value *result);

#endif
