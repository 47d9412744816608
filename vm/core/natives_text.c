/* The module text: looking for, cutting, joining and filling. Positions count
** characters; inside, offsets are bytes. Unicode tables are natives_unicode.c's. */
#include "vm/core/natives.h"

#include "vm/base/mem.h"
#include "vm/core/program.h"

static uint32_t chars_of(Value v) { return ((const StringObj *)value_obj(v))->chars; }

/* The two strings of a call, both flat. */
static bool two_texts(Machine *m, Value *args, const char *first, const char *second,
                      Value *result) {
  return arg_text(m, &args[0], first, result) && arg_text(m, &args[1], second, result);
}

static const char *find_from(Str text, size_t from, Str part) {
  if (part.size == 1)
    return from < text.size ? memchr(text.at + from, part.at[0], text.size - from) : NULL;
  return memmem(text.at + from, text.size - from, part.at, part.size);
}

static Value char_index(Value text, size_t offset) {
  Str s = text_of(text);
  return value_small_int((int64_t)(text_is_plain(text) ? offset : utf8_count((Str){s.at, offset})));
}

/* ---- asking ---- */

NATIVE_BODY(text_len) {
  if (!value_is_text(args[0]))
    return arg_mismatch(m, "text.len: the text", "a string", args[0], result);
  *result = value_small_int(string_chars(m, &args[0]));
  return true;
}

NATIVE_BODY(text_is_empty) {
  if (!arg_text(m, &args[0], "text.is_empty: the text", result)) return false;
  *result = value_bool(value_obj(args[0])->size == 0);
  return true;
}

NATIVE_BODY(text_contains) {
  if (!two_texts(m, args, "text.contains: the text", "text.contains: the part", result))
    return false;
  Str s = text_of(args[0]), part = text_of(args[1]);
  machine_work(m, s.size);
  *result = value_bool(part.size == 0 || find_from(s, 0, part) != NULL);
  return true;
}

static bool starts_with(Str s, Str part) {
  return s.size >= part.size && (part.size == 0 || memcmp(s.at, part.at, part.size) == 0);
}
static bool ends_with(Str s, Str part) {
  return s.size >= part.size && starts_with((Str){s.at + s.size - part.size, part.size}, part);
}

NATIVE_BODY(text_starts_with) {
  if (!two_texts(m, args, "text.starts_with: the text", "text.starts_with: the start", result))
    return false;
  *result = value_bool(starts_with(text_of(args[0]), text_of(args[1])));
  return true;
}

NATIVE_BODY(text_ends_with) {
  if (!two_texts(m, args, "text.ends_with: the text", "text.ends_with: the end", result))
    return false;
  *result = value_bool(ends_with(text_of(args[0]), text_of(args[1])));
  return true;
}

NATIVE_BODY(text_index_of) {
  int64_t from = 0;
  if (!two_texts(m, args, "text.index_of: the text", "text.index_of: the part", result))
    return false;
  if (arg_given(args, count, 2) && !arg_int(m, args[2], "text.index_of: the start", &from, result))
    return false;
  Str s = text_of(args[0]), part = text_of(args[1]);
  int64_t chars = chars_of(args[0]);
  if (from < 0) from = from < -chars ? 0 : from + chars;
  machine_work(m, s.size);
  *result = VALUE_NIL;
  if (from > chars) return true;
  size_t start = text_is_plain(args[0]) ? (size_t)from : utf8_offset(s, (size_t)from);
  const char *at = part.size ? find_from(s, start, part) : s.at + start;
  if (at) *result = char_index(args[0], (size_t)(at - s.at));
  return true;
}

static void bytes_reverse(char *to, Str s) {
  for (size_t i = 0; i < s.size; i++) to[i] = s.at[s.size - 1 - i];
}

/* The last one is the first one of both read backwards: linear, whatever the texts are. */
static size_t find_last(Str s, Str part) {
  if (part.size == 0) return s.size;
  if (part.size > s.size) return SIZE_MAX;
  char *back = mem_alloc(s.size + part.size);
  bytes_reverse(back, s);
  bytes_reverse(back + s.size, part);
  const char *at = memmem(back, s.size, back + s.size, part.size);
  size_t offset = at ? s.size - part.size - (size_t)(at - back) : SIZE_MAX;
  mem_free(back);
  return offset;
}

NATIVE_BODY(text_last_index_of) {
  if (!two_texts(m, args, "text.last_index_of: the text", "text.last_index_of: the part", result))
    return false;
  machine_work(m, text_of(args[0]).size);
  size_t offset = find_last(text_of(args[0]), text_of(args[1]));
  *result = offset == SIZE_MAX ? VALUE_NIL : char_index(args[0], offset);
  return true;
}

static uint64_t count_parts(Str s, Str part, uint64_t limit) {
  uint64_t n = 0;
  for (const char *at; n < limit && (at = find_from(s, 0, part)) != NULL; n++) {
    size_t past = (size_t)(at - s.at) + part.size;
    s = (Str){s.at + past, s.size - past};
  }
  return n;
}

static bool refuse_empty(Machine *m, Value v, const char *what, Value *result) {
  return value_obj(v)->size > 0 ||
         native_fault(m, result, FAULT_VALUE, "%s must not be empty", what);
}

NATIVE_BODY(text_count) {
  if (!two_texts(m, args, "text.count: the text", "text.count: the part", result)) return false;
  if (!refuse_empty(m, args[1], "text.count: the part", result)) return false;
  machine_work(m, text_of(args[0]).size);
  *result = value_small_int((int64_t)count_parts(text_of(args[0]), text_of(args[1]), UINT64_MAX));
  return true;
}

NATIVE_BODY(text_is_ascii) {
  if (!arg_text(m, &args[0], "text.is_ascii: the text", result)) return false;
  *result = value_bool(text_is_plain(args[0]));
  return true;
}

NATIVE_BODY(text_is_digits) {
  if (!arg_text(m, &args[0], "text.is_digits: the text", result)) return false;
  Str s = text_of(args[0]);
  size_t i = 0;
  machine_work(m, s.size);
  while (i < s.size && s.at[i] >= '0' && s.at[i] <= '9') i++;
  *result = value_bool(s.size > 0 && i == s.size);
  return true;
}

/* ---- cutting ---- */

/* Appends bytes [from, to) of the text to the list in m->temp[0]. */
static bool push_part(Machine *m, Value *text, size_t from, size_t to, Value *result) {
  if (list_count(m->temp[0]) >= LIMIT_VALUE_BYTES / sizeof(Value)) {
    m->temp[0] = VALUE_NIL;
    return native_fault(m, result, FAULT_SIZE, "256 MB");
  }
  Value part = string_part(m, text, from, to - from);
  list_push(m, &m->temp[0], part);
  return live_room(m, result);
}

static bool list_done(Machine *m, Value *result) {
  *result = m->temp[0];
  m->temp[0] = VALUE_NIL;
  return true;
}

static bool split_at(Machine *m, Value *args, uint64_t cuts, Value *result) {
  size_t from = 0;
  m->temp[0] = list_new(m, (uint32_t)cuts + 1);
  for (uint64_t i = 0; i < cuts; i++) {
    Str s = text_of(args[0]), separator = text_of(args[1]);
    size_t to = (size_t)(find_from(s, from, separator) - s.at), next = to + separator.size;
    if (!push_part(m, &args[0], from, to, result)) return false;
    from = next;
  }
  return push_part(m, &args[0], from, text_of(args[0]).size, result) && list_done(m, result);
}

NATIVE_BODY(text_split) {
  int64_t limit = INT64_MAX;
  if (!arg_given(args, count, 1)) {
    if (!arg_given(args, count, 2)) return native_text_words(m, args, 1, result);
    return native_fault(m, result, FAULT_VALUE, "text.split: a number of cuts needs a separator");
  }
  if (!two_texts(m, args, "text.split: the text", "text.split: the separator", result))
    return false;
  if (!refuse_empty(m, args[1], "text.split: the separator", result)) return false;
  if (arg_given(args, count, 2) &&
      !arg_int_in(m, args[2], "text.split: the number of cuts", 0, INT64_MAX, &limit, result))
    return false;
  Str s = text_of(args[0]);
  machine_work(m, s.size);
  uint64_t cuts = count_parts(s, text_of(args[1]), (uint64_t)limit);
  if (!room_for(m, (cuts + 1) * sizeof(Value), result)) return false;
  return split_at(m, args, cuts, result);
}

NATIVE_BODY(text_split_once) {
  if (!two_texts(m, args, "text.split_once: the text", "text.split_once: the separator", result))
    return false;
  if (!refuse_empty(m, args[1], "text.split_once: the separator", result)) return false;
  machine_work(m, text_of(args[0]).size);
  *result = VALUE_NIL;
  if (!find_from(text_of(args[0]), 0, text_of(args[1]))) return true;
  return split_at(m, args, 1, result);
}

NATIVE_BODY(text_lines) {
  if (!arg_text(m, &args[0], "text.lines: the text", result)) return false;
  size_t from = 0, size = text_of(args[0]).size;
  machine_work(m, size);
  m->temp[0] = list_new(m, 0);
  while (from < size) {
    Str s = text_of(args[0]);
    const char *at = memchr(s.at + from, '\n', size - from);
    size_t to = at ? (size_t)(at - s.at) : size, next = at ? to + 1 : size;
    if (at && to > from && s.at[to - 1] == '\r') to--;
    if (!push_part(m, &args[0], from, to, result)) return false;
    from = next;
  }
  return list_done(m, result);
}

/* Bytes of white space that start at `at`: 0 if it is none. */
size_t space_size(Str s, size_t at) {
  uint8_t c = (uint8_t)s.at[at];
  if (c < 0x80) return c == ' ' || (c >= '\t' && c <= '\r');
  size_t next = at;
  uint32_t code = utf8_next(s, &next);
  bool space = code == 0x85 || code == 0xa0 || code == 0x1680 ||
               (code >= 0x2000 && code <= 0x200a) || code == 0x2028 || code == 0x2029 ||
               code == 0x202f || code == 0x205f || code == 0x3000;
  return space ? next - at : 0;
}

static size_t char_size(Str s, size_t at) {
  size_t next = at;
  utf8_next(s, &next);
  return next - at;
}

NATIVE_BODY(text_words) {
  if (!arg_text(m, &args[0], "text.words: the text", result)) return false;
  size_t at = 0, size = text_of(args[0]).size;
  machine_work(m, size);
  m->temp[0] = list_new(m, 0);
  while (at < size) {
    Str s = text_of(args[0]);
    for (size_t n; at < size && (n = space_size(s, at)) > 0;) at += n;
    size_t from = at;
    while (at < size && !space_size(s, at)) at += char_size(s, at);
    if (at > from && !push_part(m, &args[0], from, at, result)) return false;
  }
  return list_done(m, result);
}

NATIVE_BODY(text_chars) {
  if (!arg_text(m, &args[0], "text.chars: the text", result)) return false;
  uint32_t chars = chars_of(args[0]);
  Value list;
  if (!list_of_nils(m, chars, &list, result)) return false;
  if (text_is_plain(args[0])) {
    const char *s = text_of(args[0]).at;
    Value *items = list_items(list);
    for (uint32_t i = 0; i < chars; i++) items[i] = m->program->chars[(uint8_t)s[i]];
    *result = list;
    return true;
  }
  m->temp[0] = list;
  for (size_t at = 0, i = 0; i < chars; i++) {
    size_t size = char_size(text_of(args[0]), at);
    Value c = string_part(m, &args[0], at, size);
    list_set(m->temp[0], (uint32_t)i, c);
    if (!live_room(m, result)) return false;
    at += size;
  }
  return list_done(m, result);
}

NATIVE_BODY(text_codes) {
  if (!arg_text(m, &args[0], "text.codes: the text", result)) return false;
  Value list;
  if (!list_of_nils(m, chars_of(args[0]), &list, result)) return false;
  Str s = text_of(args[0]);
  Value *items = list_items(list);
  for (size_t at = 0, i = 0; at < s.size; i++)
    items[i] = value_small_int((int64_t)utf8_next(s, &at));
  *result = list;
  return true;
}

NATIVE_BODY(text_bytes) {
  if (!arg_text(m, &args[0], "text.bytes: the text", result)) return false;
  Buf copy = {.max = LIMIT_VALUE_BYTES};
  machine_work(m, text_of(args[0]).size);
  buf_str(&copy, text_of(args[0]));
  return bytes_take(m, &copy, result);
}

NATIVE_BODY(text_slice) {
  uint32_t bounds[2];
  if (!arg_text(m, &args[0], "text.slice: the text", result)) return false;
  if (!arg_bounds(m, args, count, "text.slice: a bound", chars_of(args[0]), bounds, result))
    return false;
  machine_work(m, text_of(args[0]).size);
  *result = string_slice(m, &args[0], bounds[0], bounds[1]);
  return true;
}

/* ---- trimming ---- */

/* Is the character at `at` to go: white space, or one of the set? Gives its size, or 0. */
static size_t trimmed_size(Str s, size_t at, const Str *set) {
  if (!set) return space_size(s, at);
  size_t size = char_size(s, at);
  Str c = {s.at + at, size};
  for (size_t i = 0; i < set->size; i += char_size(*set, i)) {
    if (starts_with((Str){set->at + i, set->size - i}, c)) return size;
  }
  return 0;
}

static size_t char_before(Str s, size_t at) {
  do at--;
  while (at > 0 && ((uint8_t)s.at[at] & 0xc0) == 0x80);
  return at;
}

enum { TRIM_START = 1, TRIM_END = 2 };

static bool trim(Machine *m, Value *args, uint32_t count, int ends, const char *what,
                 Value *result) {
  bool has_set = arg_given(args, count, 1);
  if (!arg_text(m, &args[0], what, result)) return false;
  if (has_set && !arg_text(m, &args[1], what, result)) return false;
  Str s = text_of(args[0]), set = has_set ? text_of(args[1]) : (Str){0};
  const Str *chars = has_set ? &set : NULL;
  size_t from = 0, to = s.size;
  machine_work(m, has_set ? s.size * (set.size / 16 + 1) : s.size);
  for (size_t n; (ends & TRIM_START) && from < to && (n = trimmed_size(s, from, chars)) > 0;)
    from += n;
  while ((ends & TRIM_END) && to > from && trimmed_size(s, char_before(s, to), chars))
    to = char_before(s, to);
  *result = string_part(m, &args[0], from, to - from);
  return true;
}

NATIVE_BODY(text_trim) {
  return trim(m, args, count, TRIM_START | TRIM_END, "text.trim: the text", result);
}
NATIVE_BODY(text_trim_start) {
  return trim(m, args, count, TRIM_START, "text.trim_start: the text", result);
}
NATIVE_BODY(text_trim_end) {
  return trim(m, args, count, TRIM_END, "text.trim_end: the text", result);
}

NATIVE_BODY(text_remove_prefix) {
  if (!two_texts(m, args, "text.remove_prefix: the text", "text.remove_prefix: the start", result))
    return false;
  Str s = text_of(args[0]), part = text_of(args[1]);
  size_t from = starts_with(s, part) ? part.size : 0;
  *result = string_part(m, &args[0], from, s.size - from);
  return true;
}

NATIVE_BODY(text_remove_suffix) {
  if (!two_texts(m, args, "text.remove_suffix: the text", "text.remove_suffix: the end", result))
    return false;
  Str s = text_of(args[0]), part = text_of(args[1]);
  *result = string_part(m, &args[0], 0, ends_with(s, part) ? s.size - part.size : s.size);
  return true;
}

/* ---- making ---- */

/* Room for a text of that many bytes, or the fault. Moves everything. */
static bool text_room(Machine *m, uint64_t size, Value *result) {
  machine_work(m, size);
  return room_for(m, size, result);
}

static void replace_write(char *out, Str s, Str old, Str new, uint64_t cuts) {
  size_t from = 0;
  for (uint64_t i = 0; i < cuts; i++) {
    size_t at = (size_t)(find_from(s, from, old) - s.at);
    memcpy(out, s.at + from, at - from);
    out += at - from;
    if (new.size) memcpy(out, new.at, new.size);
    out += new.size;
    from = at + old.size;
  }
  if (s.size > from) memcpy(out, s.at + from, s.size - from);
}

NATIVE_BODY(text_replace) {
  int64_t limit = INT64_MAX;
  if (!two_texts(m, args, "text.replace: the text", "text.replace: what is replaced", result))
    return false;
  if (!arg_text(m, &args[2], "text.replace: the replacement", result)) return false;
  if (!refuse_empty(m, args[1], "text.replace: what is replaced", result)) return false;
  if (arg_given(args, count, 3) &&
      !arg_int_in(m, args[3], "text.replace: how many", 0, INT64_MAX, &limit, result))
    return false;
  machine_work(m, text_of(args[0]).size);
  uint64_t cuts = count_parts(text_of(args[0]), text_of(args[1]), (uint64_t)limit);
  *result = args[0];
  if (!cuts) return true;
  uint64_t size =
      text_of(args[0]).size + cuts * text_of(args[2]).size - cuts * text_of(args[1]).size;
  uint64_t chars = chars_of(args[0]) + cuts * chars_of(args[2]) - cuts * chars_of(args[1]);
  Value made;
  if (!text_room(m, size, result)) return false;
  char *out = string_begin(m, size, chars, &made);
  replace_write(out, text_of(args[0]), text_of(args[1]), text_of(args[2]), cuts);
  *result = made;
  return true;
}

/* Fills size bytes with the pattern at the front of them, by doubling. */
static void repeat_fill(char *out, size_t have, size_t size) {
  while (have < size) {
    size_t more = have < size - have ? have : size - have;
    memcpy(out + have, out, more);
    have += more;
  }
}

NATIVE_BODY(text_repeat) {
  int64_t times;
  if (!arg_text(m, &args[0], "text.repeat: the text", result)) return false;
  if (!arg_int_in(m, args[1], "text.repeat: how often", 0, INT64_MAX, &times, result)) return false;
  uint64_t one = text_of(args[0]).size, size;
  if (__builtin_mul_overflow(one, (uint64_t)times, &size)) size = UINT64_MAX;
  if (!text_room(m, size, result)) return false;
  if (size == 0) {
    *result = string_new(m, (Str){0});
    return true;
  }
  Value made;
  char *out = string_begin(m, size, (size_t)times * chars_of(args[0]), &made);
  memcpy(out, text_of(args[0]).at, one);
  repeat_fill(out, one, size);
  *result = made;
  return true;
}

typedef struct Fill { /* so many characters of a pattern, over and over */
  Str pattern;
  uint32_t chars; /* of the pattern */
  uint64_t whole, rest;
  size_t rest_bytes, bytes;
} Fill;

static Fill fill_of(Value pattern, uint64_t chars) {
  Fill f = {.pattern = text_of(pattern), .chars = chars_of(pattern)};
  f.whole = chars / f.chars;
  f.rest = chars % f.chars;
  f.rest_bytes = utf8_offset(f.pattern, (size_t)f.rest);
  f.bytes = (size_t)f.whole * f.pattern.size + f.rest_bytes;
  return f;
}

static char *fill_write(const Fill *f, char *out) {
  if (!f->bytes) return out;
  if (f->whole) {
    memcpy(out, f->pattern.at, f->pattern.size);
    repeat_fill(out, f->pattern.size, (size_t)f->whole * f->pattern.size);
  }
  memcpy(out + (size_t)f->whole * f->pattern.size, f->pattern.at, f->rest_bytes);
  return out + f->bytes;
}

typedef enum { PAD_START, PAD_END, PAD_BOTH } PadEnd;

static bool pad_write(Machine *m, Value *args, Value pattern, const uint64_t add[2],
                      Value *result) {
  m->temp[0] = pattern;
  Fill before = fill_of(pattern, add[0]), after = fill_of(pattern, add[1]);
  uint64_t size = text_of(args[0]).size + before.bytes + after.bytes;
  if (!text_room(m, size, result)) return false;
  Value made;
  char *out = string_begin(m, size, (size_t)(chars_of(args[0]) + add[0] + add[1]), &made);
  Str s = text_of(args[0]), again = text_of(m->temp[0]);
  before.pattern = after.pattern = again;
  out = fill_write(&before, out);
  if (s.size) memcpy(out, s.at, s.size);
  fill_write(&after, out + s.size);
  m->temp[0] = VALUE_NIL;
  *result = made;
  return true;
}

static bool pad(Machine *m, Value *args, uint32_t count, PadEnd where, const char *what,
                Value *result) {
  int64_t width;
  bool given = arg_given(args, count, 2);
  if (!arg_text(m, &args[0], what, result)) return false;
  if (!arg_int_in(m, args[1], what, 0, (int64_t)LIMIT_VALUE_BYTES, &width, result)) return false;
  if (given && (!arg_text(m, &args[2], what, result) || !refuse_empty(m, args[2], what, result)))
    return false;
  uint64_t chars = chars_of(args[0]);
  *result = args[0];
  if ((uint64_t)width <= chars) return true;
  uint64_t more = (uint64_t)width - chars, add[2] = {0, 0};
  if (where == PAD_START) add[0] = more;
  else if (where == PAD_END) add[1] = more;
  else add[0] = more / 2, add[1] = more - more / 2;
  return pad_write(m, args, given ? args[2] : m->program->chars[' '], add, result);
}

NATIVE_BODY(text_pad_start) {
  return pad(m, args, count, PAD_START, "text.pad_start: an argument", result);
}
NATIVE_BODY(text_pad_end) {
  return pad(m, args, count, PAD_END, "text.pad_end: an argument", result);
}
NATIVE_BODY(text_center) {
  return pad(m, args, count, PAD_BOTH, "text.center: an argument", result);
}

NATIVE_BODY(text_reverse) {
  if (!arg_text(m, &args[0], "text.reverse: the text", result)) return false;
  Value made;
  size_t size = text_of(args[0]).size;
  if (!text_room(m, size, result)) return false;
  char *out = string_begin(m, size, chars_of(args[0]), &made) + size;
  Str s = text_of(args[0]);
  for (size_t at = 0, n; at < size; at += n) {
    n = char_size(s, at);
    out -= n;
    memcpy(out, s.at + at, n);
  }
  *result = made;
  return true;
}

/* ---- list.join: here, because it is about text ---- */

typedef struct JoinSize {
  uint64_t bytes, chars;
  bool texts; /* all elements are strings */
} JoinSize;

static JoinSize join_measure(Value list) {
  JoinSize j = {.texts = true};
  uint32_t count = list_count(list);
  const Value *items = list_items(list);
  for (uint32_t i = 0; i < count && j.texts; i++) {
    j.texts = value_is_kind(items[i], OBJ_STRING);
    if (!j.texts) break;
    j.bytes += value_obj(items[i])->size;
    j.chars += chars_of(items[i]);
  }
  return j;
}

static void join_write(char *out, Value list, Str separator) {
  uint32_t count = list_count(list);
  const Value *items = list_items(list);
  for (uint32_t i = 0; i < count; i++) {
    if (i && separator.size) {
      memcpy(out, separator.at, separator.size);
      out += separator.size;
    }
    Str s = text_of(items[i]);
    memcpy(out, s.at, s.size);
    out += s.size;
  }
}

/* Some elements are not strings: each as print shows it. */
static bool join_mixed(Machine *m, Value *list, Str separator, Value *result) {
  Buf out = {.max = LIMIT_VALUE_BYTES};
  for (uint32_t i = 0; i < list_count(*list) && !out.full; i++) {
    Value v = list_at(*list, i);
    if (value_is_kind(v, OBJ_SEALED)) {
      buf_deinit(&out);
      return arg_mismatch(m, "list.join: an element", "readable", v, result);
    }
    if (i) buf_str(&out, separator);
    value_print(m, v, false, &out);
  }
  machine_work(m, out.size);
  return string_take(m, &out, result);
}

NATIVE_BODY(list_join) {
  bool given = arg_given(args, count, 1);
  if (!arg_list(m, &args[0], "list.join: the list", result)) return false;
  if (given && !arg_text(m, &args[1], "list.join: the separator", result)) return false;
  uint64_t gaps = list_count(args[0]) ? list_count(args[0]) - 1 : 0;
  JoinSize j = join_measure(args[0]);
  if (!j.texts) return join_mixed(m, &args[0], given ? text_of(args[1]) : (Str){0}, result);
  if (given) j.bytes += gaps * text_of(args[1]).size, j.chars += gaps * chars_of(args[1]);
  if (!text_room(m, j.bytes, result)) return false;
  Value made;
  char *out = string_begin(m, j.bytes, j.chars, &made);
  join_write(out, args[0], given ? text_of(args[1]) : (Str){0});
  *result = made;
  return true;
}
