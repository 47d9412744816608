/* The natives, each called on its own: no compiler, no loop. Arguments are written
** as a JSON list, in which the strings "d:1.50" "t:2026-01-01" "u:5s" "b:00ff"
** "r:0,5,2" stand for a decimal, a time, a duration, bytes and a range. The answer
** is compared as print shows it inside a list; a fault as "code: message". */
#include <utf8proc.h>

#include "asm.h"
#include "test.h"
#include "vm/core/machine.h"
#include "vm/core/heap.h"
#include "vm/core/wire.h"

typedef struct World {
  Asm *a;
  Program *p;
  Machine *m;
  Fiber *f;
} World;

static World world;

static void world_begin(void) {
  Err err;
  world.a = asm_new();
  asm_shape(world.a, "Point", "x y");
  world.a->shapes[asm_shape(world.a, "Paid", "amount")].kind = SHAPE_EVENT;
  world.a->shapes[asm_shape(world.a, "Mail", "to")].kind = SHAPE_JOB;
  asm_text(world.a, ".fn main regs=64 flags=4\nRETNIL\n");
  if (!program_new(&world.a->b, &world.p, &err)) {
    fprintf(stderr, "refused: %s\n", err.text);
    abort();
  }
  world.m = machine_new(world.p);
  world.f = fiber_new(world.m, 0, NULL, 0);
  world.m->running = world.f;
}

static void world_end(void) {
  machine_free(world.m);
  program_free(world.p);
  asm_free(world.a);
}

static NativeId native_by_name(const char *name) {
  for (int i = 0; i < NATIVE_COUNT; i++) {
    char full[80];
    snprintf(full, sizeof full, "%s.%s", native_info[i].module, native_info[i].name);
    if (strcmp(full, name) == 0) return (NativeId)i;
  }
  fprintf(stderr, "no native %s\n", name);
  abort();
}

/* The value that a string with a mark stands for; v is a root. */
static void unmark(Machine *m, Value *v) {
  if (!value_is_kind(*v, OBJ_STRING)) return;
  char copy[200] = {0};
  Str s = string_text(m, v);
  if (s.size < 2 || s.at[1] != ':' || s.size >= sizeof copy) return;
  memcpy(copy, s.at, s.size);
  Str rest = {copy + 2, s.size - 2};
  int64_t us, r[3];
  Decimal d;
  Buf bytes = {0};
  if (copy[0] == 'd' && decimal_parse(rest, &d)) *v = decimal_value(m, d);
  if (copy[0] == 't' && time_parse(rest, &us)) *v = time_new(m, us);
  if (copy[0] == 'u' && duration_parse(rest, &us)) *v = duration_new(m, us);
  if (copy[0] == 'b' && hex_decode(rest, &bytes)) *v = bytes_new(m, buf_view(&bytes));
  if (copy[0] == 'r' && sscanf(rest.at, "%ld,%ld,%ld", &r[0], &r[1], &r[2]) == 3) *v = range_new(m, r[0], r[1], r[2]);
  buf_deinit(&bytes);
}

static void unmark_items(Machine *m, Value *list) {
  for (uint32_t i = 0; i < list_count(*list); i++) {
    m->roots[7] = list_at(*list, i);
    unmark(m, &m->roots[7]);
    list_set(*list, i, m->roots[7]);
  }
}

static Value *registers(void) { return world.f->stack + world.f->frames[0].base; }

static uint32_t load_arguments(const char *json) {
  Machine *m = world.m;
  Buf why = {0};
  m->roots[6] = VALUE_NIL;
  if (!wire_from_json(m, str_of(json), &m->roots[6], &why)) {
    fprintf(stderr, "bad arguments %s: %.*s\n", json, STR_ARG(buf_view(&why)));
    abort();
  }
  uint32_t count = list_count(m->roots[6]);
  for (uint32_t i = 0; i < count; i++) {
    registers()[i] = list_at(m->roots[6], i);
    unmark(m, &registers()[i]);
    if (value_is_kind(registers()[i], OBJ_LIST)) {
      value_own(m, &registers()[i]);
      unmark_items(m, &registers()[i]);
    }
  }
  return count;
}

/* The answer as text; *first as well, which a native that changes has changed. */
static void call(const char *name, const char *json, char out[2000], char first[2000]) {
  NativeId id = native_by_name(name);
  uint32_t count = load_arguments(json);
  if (native_info[id].flags & NATIVE_CHANGES) value_own(world.m, registers());
  Value result = VALUE_NIL;
  Buf text = {0}, changed = {0};
  CHECK(count >= native_info[id].min && count <= native_info[id].max);
  world.m->ticks = 0; /* each call has the whole budget */
  bool ok = native_table[id](world.m, registers(), count, &result);
  if (ok && value_is_kind(result, OBJ_BYTES)) {
    const BytesObj *bytes = (const BytesObj *)value_obj(result);
    buf_text(&text, "bytes(\"");
    hex_encode((Str){(const char *)bytes->bytes, bytes->head.size}, &text);
    buf_text(&text, "\")");
  } else if (ok) value_print(world.m, result, true, &text);
  else buf_format(&text, "%.*s: %.*s", STR_ARG(error_code(result)), STR_ARG(error_message(result)));
  value_print(world.m, registers()[0], true, &changed);
  snprintf(out, 2000, "%.*s", STR_ARG(buf_view(&text)));
  if (first) snprintf(first, 2000, "%.*s", STR_ARG(buf_view(&changed)));
  buf_deinit(&text);
  buf_deinit(&changed);
}

static void gives(int line, const char *name, const char *json, const char *want) {
  char got[2000];
  call(name, json, got, NULL);
  if (strcmp(got, want) == 0) return;
  test_checks_failed++;
  fprintf(stderr, "line %d: %s%s gave %s, want %s\n", line, name, json, got, want);
}

static void changes(int line, const char *name, const char *json, const char *want, const char *left) {
  char got[2000], first[2000];
  call(name, json, got, first);
  if (strcmp(got, want) == 0 && strcmp(first, left) == 0) return;
  test_checks_failed++;
  fprintf(stderr, "line %d: %s%s gave %s and left %s, want %s and %s\n", line, name, json, got, first, want, left);
}

#define GIVES(name, json, want) gives(__LINE__, name, json, want)
#define CHANGES(name, json, want, left) changes(__LINE__, name, json, want, left)

static void test_core(void) {
  GIVES("core.len", "[\"héllo\"]", "5");
  GIVES("core.len", "[[1, 2, 3]]", "3");
  GIVES("core.len", "[{\"a\": 1}]", "1");
  GIVES("core.len", "[\"b:0102\"]", "2");
  GIVES("core.len", "[\"r:0,10,3\"]", "4");
  GIVES("core.len", "[5]", "type_mismatch: len: the value must be a string, list, map or bytes, and this is int 5");
  GIVES("core.str", "[1.5]", "\"1.5\"");
  GIVES("core.str", "[[1, \"a\", null]]", "\"[1, \\\"a\\\", nil]\"");
  GIVES("core.repr", "[\"a\"]", "\"\\\"a\\\"\"");
  GIVES("core.int", "[\"42\"]", "42");
  GIVES("core.int", "[-3.9]", "-3");
  GIVES("core.int", "[\"d:3.99\"]", "3");
  GIVES("core.int", "[true]", "1");
  GIVES("core.int", "[\"4x\"]", "bad_value: int: the text must be a whole number of 64 bits, and this is string \"4x\"");
  GIVES("core.int", "[1e30]", "overflow: the result does not fit in a 64-bit int: int(1e30)");
  GIVES("core.float", "[\"1e3\"]", "1000.0");
  GIVES("core.float", "[2]", "2.0");
  GIVES("core.decimal", "[\"12.50\"]", "12.50");
  GIVES("core.decimal", "[0.1]", "0.1");
  GIVES("core.bool", "[\"true\"]", "true");
  GIVES("core.bool", "[\"yes\"]", "bad_value: bool: the text must be true or false, and this is string \"yes\"");
  GIVES("core.type", "[\"u:5s\"]", "\"duration\"");
  GIVES("core.type", "[\"r:0,1,1\"]", "\"list\"");
  GIVES("core.range", "[1, 4]", "range(1, 4)");
  GIVES("core.range", "[1, 4, 0]", "bad_value: range: the step must not be 0");
  GIVES("core.min", "[3, 1, 2]", "1");
  GIVES("core.max", "[[3, 1.5, \"d:3.25\"]]", "3.25");
  GIVES("core.min", "[[]]", "bad_value: min: the list is empty");
  GIVES("core.max", "[1, \"a\"]", "type_mismatch: max: string \"a\" and int 1 have no order");
  GIVES("core.abs", "[-5]", "5");
  GIVES("core.abs", "[\"u:-5s\"]", "5s");
  GIVES("core.abs", "[-9223372036854775808]", "overflow: the result does not fit in a 64-bit int: abs(-9223372036854775808)");
  GIVES("core.sum", "[[1, 2, 3]]", "6");
  GIVES("core.sum", "[[]]", "0");
  GIVES("core.sum", "[[1, 0.5]]", "1.5");
  GIVES("core.sum", "[[\"u:5s\", \"u:10s\"]]", "15s");
  GIVES("core.sum", "[[\"d:0.10\", \"d:0.20\", 1]]", "1.30");
  GIVES("core.sum", "[[9223372036854775807, 1]]", "overflow: the result does not fit in a 64-bit int: 9223372036854775807 + 1");
  GIVES("core.sum", "[[\"a\"]]", "type_mismatch: sum must be given numbers, and this is string \"a\"");
  GIVES("core.ord", "[\"é\"]", "233");
  GIVES("core.chr", "[233]", "\"é\"");
  GIVES("core.chr", "[55296]", "bad_value: chr: 55296 is half of a surrogate pair, no character");
  GIVES("core.seconds", "[90]", "1m30s");
  GIVES("core.milliseconds", "[1.5]", "1ms500us");
  GIVES("core.days", "[2]", "2d");
  GIVES("core.days", "[9223372036854775807]", "overflow: the result does not fit in a 64-bit int: days(9223372036854775807)");
}

static void test_rounding(void) {
  GIVES("core.round", "[2.5]", "3");
  GIVES("core.round", "[-2.5]", "-3");
  GIVES("core.round", "[0.49999999999999994]", "0");
  GIVES("core.round", "[2.675, 2]", "2.67");
  GIVES("core.round", "[1.005, 2]", "1.0");
  GIVES("core.round", "[0.125, 2]", "0.13");
  GIVES("core.round", "[1234567.891, -3]", "1235000.0");
  GIVES("core.round", "[1250, -2]", "1300");
  GIVES("core.round", "[-1250, -2]", "-1300");
  GIVES("core.round", "[\"d:2.345\", 2]", "2.35");
  GIVES("core.round", "[9223372036854775807, -1]", "overflow: the result does not fit in a 64-bit int: round");
  GIVES("core.floor", "[-1.5]", "-2");
  GIVES("core.ceil", "[-1.5]", "-1");
  GIVES("core.floor", "[\"d:-1.5\"]", "-2");
  GIVES("math.trunc", "[-1.5]", "-1");
  GIVES("core.floor", "[1e300]", "overflow: the result does not fit in a 64-bit int: floor(1e300)");
  GIVES("float.fixed", "[2.675, 2]", "\"2.67\"");
  GIVES("float.fixed", "[0.5, 0]", "\"1\"");
  GIVES("float.fixed", "[-0.001, 2]", "\"0.00\"");
  GIVES("float.fixed", "[-1.5, 3]", "\"-1.500\"");
  GIVES("float.fixed", "[1e22, 1]", "\"10000000000000000000000.0\"");
  GIVES("float.fixed", "[5e-324, 3]", "\"0.000\"");
  GIVES("int.fixed", "[-7, 2]", "\"-7.00\"");
  GIVES("decimal.fixed", "[\"d:1.005\", 2]", "\"1.01\"");
  GIVES("text.fixed", "[\"d:1.5\", 40]", "\"1.5000000000000000000000000000000000000000\"");
}

static void test_text(void) {
  GIVES("text.upper", "[\"straße été\"]", "\"STRASSE ÉTÉ\"");
  GIVES("text.lower", "[\"ABC É\"]", "\"abc é\"");
  GIVES("text.casefold", "[\"Straße\"]", "\"strasse\"");
  GIVES("text.title", "[\"the quick-brown o'neil fox\"]", "\"The Quick-Brown O'neil Fox\"");
  GIVES("text.capitalize", "[\"hELLO\"]", "\"Hello\"");
  GIVES("text.normalize", "[\"e\\u0301\"]", "\"é\"");
  GIVES("text.normalize", "[\"ﬁ\", \"NFKC\"]", "\"fi\"");
  GIVES("text.normalize", "[\"é\", \"X\"]", "bad_value: text.normalize: the form must be NFC, NFD, NFKC or NFKD");
  GIVES("text.trim", "[\" \\t a b\\n\"]", "\"a b\"");
  GIVES("text.trim", "[\"xxhixx\", \"x\"]", "\"hi\"");
  GIVES("text.trim_start", "[\"\\u00a0 é \"]", "\"é \"");
  GIVES("text.trim_end", "[\"é…é\", \"é\"]", "\"é…\"");
  GIVES("text.trim", "[\"   \"]", "\"\"");
  GIVES("text.split", "[\"a,b,,c\", \",\"]", "[\"a\", \"b\", \"\", \"c\"]");
  GIVES("text.split", "[\" a  b \"]", "[\"a\", \"b\"]");
  GIVES("text.split", "[\"a::b::c\", \"::\", 1]", "[\"a\", \"b::c\"]");
  GIVES("text.split", "[\"\", \",\"]", "[\"\"]");
  GIVES("text.split", "[\"abc\", \"\"]", "bad_value: text.split: the separator must not be empty");
  GIVES("text.split", "[\"abc\", 3]", "type_mismatch: text.split: the separator must be a string, and this is int 3");
  GIVES("text.split_once", "[\"k=v=w\", \"=\"]", "[\"k\", \"v=w\"]");
  GIVES("text.split_once", "[\"kv\", \"=\"]", "nil");
  GIVES("text.lines", "[\"a\\r\\nb\\n\\nc\\n\"]", "[\"a\", \"b\", \"\", \"c\"]");
  GIVES("text.words", "[\" one\\u2003two\\n three\"]", "[\"one\", \"two\", \"three\"]");
  GIVES("text.chars", "[\"aé☃\"]", "[\"a\", \"é\", \"☃\"]");
  GIVES("text.codes", "[\"aé\"]", "[97, 233]");
  GIVES("text.contains", "[\"hello\", \"ell\"]", "true");
  GIVES("text.starts_with", "[\"hello\", \"he\"]", "true");
  GIVES("text.ends_with", "[\"hello\", \"he\"]", "false");
  GIVES("text.index_of", "[\"héhé\", \"hé\"]", "0");
  GIVES("text.index_of", "[\"héhé\", \"hé\", 1]", "2");
  GIVES("text.index_of", "[\"hehe\", \"he\", -2]", "2");
  GIVES("text.index_of", "[\"hehe\", \"x\"]", "nil");
  GIVES("text.index_of", "[\"abc\", \"\", 3]", "3");
  GIVES("text.last_index_of", "[\"ababa\", \"aba\"]", "2");
  GIVES("text.last_index_of", "[\"ab\", \"abc\"]", "nil");
  GIVES("text.count", "[\"aaaa\", \"aa\"]", "2");
  GIVES("text.replace", "[\"a-b-c\", \"-\", \"++\"]", "\"a++b++c\"");
  GIVES("text.replace", "[\"a-b-c\", \"-\", \"\", 1]", "\"ab-c\"");
  GIVES("text.replace", "[\"aé\", \"é\", \"e\"]", "\"ae\"");
  GIVES("text.remove_prefix", "[\"foobar\", \"foo\"]", "\"bar\"");
  GIVES("text.remove_suffix", "[\"foobar\", \"foo\"]", "\"foobar\"");
  GIVES("text.repeat", "[\"ab\", 3]", "\"ababab\"");
  GIVES("text.repeat", "[\"ab\", 0]", "\"\"");
  GIVES("text.repeat", "[\"ab\", -1]", "bad_value: text.repeat: how often must be from 0 to 9223372036854775807, and this is -1");
  GIVES("text.repeat", "[\"ab\", 1000000000000]", "limit_size: one value would be larger than the limit of 256 MB");
  GIVES("text.pad_start", "[\"7\", 3, \"0\"]", "\"007\"");
  GIVES("text.pad_end", "[\"ab\", 7, \"é-\"]", "\"abé-é-é\"");
  GIVES("text.center", "[\"ab\", 5]", "\" ab  \"");
  GIVES("text.slice", "[\"héllo\", 1, -1]", "\"éll\"");
  GIVES("text.slice", "[\"héllo\", null, 2]", "\"hé\"");
  GIVES("text.slice", "[\"abc\", 2, 1]", "\"\"");
  GIVES("text.reverse", "[\"aé☃\"]", "\"☃éa\"");
  GIVES("text.to_int", "[\"-12\"]", "-12");
  GIVES("text.to_int", "[\"ff\", 16]", "255");
  GIVES("text.to_int", "[\"12 \"]", "nil");
  GIVES("text.to_int", "[\"-9223372036854775808\"]", "-9223372036854775808");
  GIVES("text.to_int", "[\"9223372036854775808\"]", "nil");
  GIVES("text.to_float", "[\"1.5\"]", "1.5");
  GIVES("text.to_float", "[\"x\"]", "nil");
  GIVES("text.to_decimal", "[\"1.50\"]", "1.50");
  GIVES("text.is_digits", "[\"123\"]", "true");
  GIVES("text.is_letters", "[\"été\"]", "true");
  GIVES("text.is_letters", "[\"a1\"]", "false");
  GIVES("text.is_space", "[\" \\u3000\"]", "true");
  GIVES("text.is_ascii", "[\"é\"]", "false");
  GIVES("text.is_empty", "[\"\"]", "true");
  GIVES("text.width", "[\"a漢\"]", "3");
  GIVES("text.len", "[\"a漢\"]", "2");
}

static void test_list(void) {
  GIVES("list.get", "[[1, 2], -1]", "2");
  GIVES("list.get", "[[1, 2], 5, 9]", "9");
  GIVES("list.first", "[[]]", "nil");
  GIVES("list.last", "[\"r:0,5,1\"]", "4");
  GIVES("list.slice", "[[1, 2, 3, 4], 1, -1]", "[2, 3]");
  GIVES("list.take", "[[1, 2, 3], -2]", "[2, 3]");
  GIVES("list.drop", "[[1, 2, 3], 5]", "[]");
  GIVES("list.drop", "[[1, 2, 3], -1]", "[1, 2]");
  GIVES("list.concat", "[[1], [2, 3], \"r:4,6,1\"]", "[1, 2, 3, 4, 5]");
  GIVES("list.reverse", "[[1, 2, 3]]", "[3, 2, 1]");
  GIVES("list.flatten", "[[1, [2, [3]], []]]", "[1, 2, [3]]");
  GIVES("list.flatten", "[[1, [2, [3]]], 9]", "[1, 2, 3]");
  GIVES("list.flatten", "[[\"r:0,3,1\", [7]]]", "[0, 1, 2, 7]");
  GIVES("list.chunk", "[[1, 2, 3], 2]", "[[1, 2], [3]]");
  GIVES("list.chunk", "[[1], 0]", "bad_value: list.chunk: the size must be from 1 to 4294967295, and this is 0");
  GIVES("list.windows", "[[1, 2, 3], 2]", "[[1, 2], [2, 3]]");
  GIVES("list.windows", "[[1], 2]", "[]");
  GIVES("list.zip", "[[1, 2, 3], [\"a\", \"b\"]]", "[[1, \"a\"], [2, \"b\"]]");
  GIVES("list.enumerate", "[[\"a\", \"b\"], 1]", "[[1, \"a\"], [2, \"b\"]]");
  GIVES("list.range", "[5, 0, -2]", "[5, 3, 1]");
  GIVES("list.range", "[10000000000]", "limit_size: one value would be larger than the limit of 256 MB");
  GIVES("list.repeat", "[\"ab\", 2]", "[\"ab\", \"ab\"]");
  GIVES("list.compact", "[[null, 1, null]]", "[1]");
  GIVES("list.from", "[\"héy\"]", "[\"h\", \"é\", \"y\"]");
  GIVES("list.from", "[{\"a\": 1}]", "[[\"a\", 1]]");
  GIVES("list.product", "[[2, 3, 4]]", "24");
  GIVES("list.product", "[[]]", "1");
  GIVES("list.join", "[[\"a\", \"é\"], \", \"]", "\"a, é\"");
  GIVES("list.join", "[[1, \"a\", 2.5]]", "\"1a2.5\"");
  GIVES("list.join", "[[]]", "\"\"");
  CHANGES("list.push", "[[1], 2]", "nil", "[1, 2]");
  CHANGES("list.pop", "[[1, 2]]", "2", "[1]");
  CHANGES("list.pop", "[[]]", "index_out_of_range: list.pop: the list is empty", "[]");
  CHANGES("list.insert", "[[1, 3], 1, 2]", "nil", "[1, 2, 3]");
  CHANGES("list.insert", "[[1, 3], 2, 4]", "nil", "[1, 3, 4]");
  CHANGES("list.insert", "[[1, 3], 3, 4]", "index_out_of_range: list.insert: index 3 is outside a list of 2", "[1, 3]");
  CHANGES("list.remove_at", "[[1, 2, 3], -2]", "2", "[1, 3]");
  CHANGES("list.remove", "[[1, 2, 1], 1]", "true", "[2, 1]");
  CHANGES("list.remove", "[[1], 5]", "false", "[1]");
  CHANGES("list.extend", "[[1], [2, 3]]", "nil", "[1, 2, 3]");
  CHANGES("list.extend", "[[1], \"r:2,4,1\"]", "nil", "[1, 2, 3]");
  CHANGES("list.set", "[[1, 2], 0, \"x\"]", "nil", "[\"x\", 2]");
  CHANGES("list.swap", "[[1, 2, 3], 0, -1]", "nil", "[3, 2, 1]");
  CHANGES("list.clear", "[[1, 2]]", "nil", "[]");
}

static void test_sort_and_sets(void) {
  GIVES("list.sort", "[[3, 1, 2]]", "[1, 2, 3]");
  GIVES("list.sort", "[[3, 1, 2], true]", "[3, 2, 1]");
  GIVES("list.sort", "[[\"b\", \"a\", \"ab\"]]", "[\"a\", \"ab\", \"b\"]");
  GIVES("list.sort", "[[1.5, 1, \"d:1.2\"]]", "[1, 1.2, 1.5]");
  GIVES("list.sort", "[[[2, \"b\"], [1, \"c\"], [2, \"a\"]]]", "[[1, \"c\"], [2, \"a\"], [2, \"b\"]]");
  GIVES("list.sort", "[[1, \"a\"]]", "type_mismatch: list.sort: int 1 and string \"a\" have no order");
  GIVES("list.sort", "[\"r:5,0,-1\"]", "[1, 2, 3, 4, 5]");
  GIVES("list.sort_keys", "[[\"c\", \"a\", \"b\"], [1, 0, 0]]", "[\"a\", \"b\", \"c\"]");
  GIVES("list.sort_keys", "[[\"c\", \"a\", \"b\"], [1, 0, 0], true]", "[\"c\", \"a\", \"b\"]");
  GIVES("list.sort_keys", "[[1], []]", "bad_value: list.sort_keys: 1 elements, and 0 keys");
  GIVES("list.is_sorted", "[[1, 2, 2]]", "true");
  GIVES("list.contains", "[[1, 2], 2.0]", "true");
  GIVES("list.contains", "[[[1, {\"a\": 2}]], [1, {\"a\": 2}]]", "true");
  GIVES("list.index_of", "[[\"a\", \"b\"], \"b\"]", "1");
  GIVES("list.index_of", "[[1, 2, 1], 1, 1]", "2");
  GIVES("list.last_index_of", "[[1, 2, 1], 1]", "2");
  GIVES("list.last_index_of", "[[1, 2], 3]", "nil");
  GIVES("list.count", "[[1, 2, 1.0], 1]", "2");
  GIVES("list.unique", "[[1, 1.0, \"a\", \"d:1.00\", \"a\", [1], [1]]]", "[1, \"a\", [1]]");
  GIVES("list.without", "[[1, 2, 3], [2]]", "[1, 3]");
  GIVES("list.common", "[[1, 2, 3], [3, 1]]", "[1, 3]");
  GIVES("list.frequencies", "[[\"a\", \"b\", \"a\"]]", "{a: 2, b: 1}");
  GIVES("list.frequencies", "[[1.5]]",
        "type_mismatch: list.frequencies: an element must be a string, int, bool, time or duration to be a key, and this is float 1.5");
  GIVES("list.min", "[[3, 1]]", "1");
  GIVES("list.max", "[[[1, 2], [1, 3]]]", "[1, 3]");
}

static void test_map(void) {
  GIVES("map.get", "[{\"a\": 1}, \"a\"]", "1");
  GIVES("map.get", "[{\"a\": 1}, \"b\", 7]", "7");
  GIVES("map.get", "[{\"a\": 1}, 1.5]", "type_mismatch: map.get: the key must be a string, int, bool, time or duration to be a key, and this is float 1.5");
  GIVES("map.dig", "[{\"a\": [{\"b\": 5}]}, [\"a\", 0, \"b\"]]", "5");
  GIVES("map.dig", "[{\"a\": []}, [\"a\", 0, \"b\"], \"none\"]", "\"none\"");
  GIVES("map.has", "[{\"a\": null}, \"a\"]", "true");
  GIVES("map.keys", "[{\"b\": 1, \"a\": 2}]", "[\"b\", \"a\"]");
  GIVES("map.values", "[{\"b\": 1, \"a\": 2}]", "[1, 2]");
  GIVES("map.entries", "[{\"b\": 1}]", "[[\"b\", 1]]");
  GIVES("map.merge", "[{\"a\": 1}, {\"b\": 2}, {\"a\": 3}]", "{a: 3, b: 2}");
  GIVES("map.from_entries", "[[[\"a\", 1], [2, 3]]]", "{a: 1, 2: 3}");
  GIVES("map.from_entries", "[[[1]]]", "type_mismatch: map.from_entries: an entry must be a list of a key and a value, and this is list [1]");
  GIVES("map.pick", "[{\"a\": 1, \"b\": 2}, [\"b\", \"c\"]]", "{b: 2}");
  GIVES("map.without", "[{\"a\": 1, \"b\": 2}, [\"b\", \"c\"]]", "{a: 1}");
  GIVES("map.invert", "[{\"a\": 1, \"b\": 2}]", "{1: \"a\", 2: \"b\"}");
  GIVES("map.sort", "[{\"b\": 1, \"a\": 2}]", "{a: 2, b: 1}");
  GIVES("map.len", "[{\"b\": 1}]", "1");
  GIVES("map.is_empty", "[{}]", "true");
  CHANGES("map.set", "[{\"a\": 1}, \"b\", 2]", "nil", "{a: 1, b: 2}");
  CHANGES("map.remove", "[{\"a\": 1, \"b\": 2}, \"a\"]", "1", "{b: 2}");
  CHANGES("map.remove", "[{\"a\": 1}, \"x\"]", "nil", "{a: 1}");
  CHANGES("map.update", "[{\"a\": 1}, {\"a\": 2, \"c\": 3}]", "nil", "{a: 2, c: 3}");
  CHANGES("map.clear", "[{\"a\": 1}]", "nil", "{}");
}

static void test_record(void) {
  Machine *m = world.m;
  Value fields[2] = {value_small_int(3), value_small_int(4)}, result = VALUE_NIL;
  m->roots[5] = record_new(m, 0, fields, 2);
  registers()[0] = m->roots[5];
  registers()[1] = m->roots[4] = string_new(m, STR("y"));
  CHECK(native_table[NATIVE_map_get](m, registers(), 2, &result) && result == value_small_int(4));
  registers()[0] = m->roots[5];
  CHECK(native_table[NATIVE_map_from](m, registers(), 1, &result) && value_is_kind(result, OBJ_MAP) && map_count(result) == 2);
  registers()[0] = m->roots[5];
  CHECK(native_table[NATIVE_core_type](m, registers(), 1, &result));
  m->roots[3] = result;
  CHECK_STR(string_text(m, &m->roots[3]), STR("Point"));
}

static void test_bytes(void) {
  GIVES("text.bytes", "[\"é\"]", "bytes(\"c3a9\")");
  GIVES("bytes.from", "[[1, 255]]", "bytes(\"01ff\")");
  GIVES("bytes.from", "[[256]]", "bad_value: bytes.from: an element must be from 0 to 255, and this is 256");
  GIVES("bytes.text", "[\"b:c3a9\"]", "\"é\"");
  GIVES("bytes.text", "[\"b:ff\"]", "parse_error: bytes.text: the bytes are not UTF-8");
  GIVES("bytes.is_text", "[\"b:ff\"]", "false");
  GIVES("bytes.hex", "[\"b:00ff\"]", "\"00ff\"");
  GIVES("bytes.base64", "[\"b:00ff\"]", "\"AP8=\"");
  GIVES("bytes.list", "[\"b:0102\"]", "[1, 2]");
  GIVES("bytes.get", "[\"b:0102\", -1]", "2");
  GIVES("bytes.get", "[\"b:0102\", 2]", "nil");
  GIVES("bytes.slice", "[\"b:010203\", 1]", "bytes(\"0203\")");
  GIVES("bytes.concat", "[\"b:01\", \"b:02\"]", "bytes(\"0102\")");
  GIVES("bytes.repeat", "[\"b:01\", 3]", "bytes(\"010101\")");
  GIVES("bytes.reverse", "[\"b:0102\"]", "bytes(\"0201\")");
  GIVES("bytes.index_of", "[\"b:010203\", \"b:0203\"]", "1");
  GIVES("bytes.contains", "[\"b:010203\", \"b:04\"]", "false");
  GIVES("bytes.starts_with", "[\"b:0102\", \"b:01\"]", "true");
  GIVES("bytes.ends_with", "[\"b:0102\", \"b:01\"]", "false");
  GIVES("bytes.to_int", "[\"b:0100\"]", "256");
  GIVES("bytes.to_int", "[\"b:0100\", true]", "1");
  GIVES("bytes.from_int", "[258, 4]", "bytes(\"00000102\")");
  GIVES("bytes.from_int", "[258, 2, true]", "bytes(\"0201\")");
  GIVES("bytes.from_int", "[256, 1]", "overflow: the result does not fit in a 64-bit int: bytes.from_int(256, 1)");
}

static void test_math(void) {
  GIVES("math.sqrt", "[2]", "1.4142135623730951");
  GIVES("math.sqrt", "[-1]", "nan");
  GIVES("math.cbrt", "[27]", "3.0");
  GIVES("math.exp", "[1]", "2.718281828459045");
  GIVES("math.exp", "[-745]", "5e-324");
  GIVES("math.exp", "[1000]", "inf");
  GIVES("math.log", "[10]", "2.302585092994046");
  GIVES("math.log", "[8, 2]", "3.0");
  GIVES("math.log", "[0]", "-inf");
  GIVES("math.log10", "[1000]", "3.0");
  GIVES("math.pow", "[2, 62]", "4611686018427387904");
  GIVES("math.pow", "[2, 63]", "overflow: the result does not fit in a 64-bit int: math.pow(2, 63)");
  GIVES("math.pow", "[-2, 63]", "-9223372036854775808");
  GIVES("math.pow", "[2, -1]", "0.5");
  GIVES("math.pow", "[2, 0.5]", "1.4142135623730951");
  GIVES("math.pow", "[\"d:1.05\", 3]", "1.157625");
  GIVES("math.hypot", "[3, 4]", "5.0");
  GIVES("math.sin", "[1]", "0.8414709848078965");
  GIVES("math.cos", "[1]", "0.5403023058681398");
  GIVES("math.tan", "[1e22]", "-1.6287782256068988");
  GIVES("math.asin", "[2]", "nan");
  GIVES("math.acos", "[0]", "1.5707963267948966");
  GIVES("math.atan2", "[1, -1]", "2.356194490192345");
  GIVES("math.tanh", "[0.5]", "0.46211715726000974");
  GIVES("math.sign", "[-2.5]", "-1");
  GIVES("math.sign", "[\"d:0.00000000000000000000000001\"]", "1");
  GIVES("math.clamp", "[15, 0, 10]", "10");
  GIVES("math.clamp", "[5, 10, 0]", "bad_value: math.clamp: the least is above the greatest");
  GIVES("math.gcd", "[12, -18]", "6");
  GIVES("math.lcm", "[4, 6]", "12");
  GIVES("math.isqrt", "[9223372036854775807]", "3037000499");
  GIVES("math.factorial", "[20]", "2432902008176640000");
  GIVES("math.factorial", "[21]", "overflow: the result does not fit in a 64-bit int: math.factorial(21)");
  GIVES("int.parse", "[\"zz\", 36]", "1295");
  GIVES("int.format", "[-255, 16, 4]", "\"-00ff\"");
  GIVES("int.format", "[-9223372036854775808, 2]", "\"-1000000000000000000000000000000000000000000000000000000000000000\"");
  GIVES("int.group", "[-1234567]", "\"-1,234,567\"");
  GIVES("int.and", "[12, 10]", "8");
  GIVES("int.or", "[12, 10]", "14");
  GIVES("int.xor", "[12, 10]", "6");
  GIVES("int.not", "[0]", "-1");
  GIVES("int.shift_left", "[1, 63]", "-9223372036854775808");
  GIVES("int.shift_right", "[-8, 1]", "-4");
  GIVES("int.bit_count", "[255]", "8");
  GIVES("float.is_whole", "[1e300]", "true");
}

static void test_decimal(void) {
  GIVES("decimal.round", "[\"d:2.345\", 2, \"half_even\"]", "2.34");
  GIVES("decimal.round", "[\"d:-2.5\"]", "-3");
  GIVES("decimal.round", "[\"d:2.1\", 0, \"up\"]", "3");
  GIVES("decimal.round", "[\"d:2.1\", 0, \"sideways\"]",
        "bad_value: decimal: the rounding must be half_up, half_even, down, up, floor or ceiling");
  GIVES("decimal.quantize", "[\"d:2.345\", \"d:0.1\"]", "2.3");
  GIVES("decimal.div", "[\"d:10.00\", 3, 2]", "3.33");
  GIVES("decimal.div", "[\"d:-10.00\", 3, 2, \"floor\"]", "-3.34");
  GIVES("decimal.div", "[1, 8, 2, \"half_even\"]", "0.12");
  GIVES("decimal.div", "[1, 0, 2]", "divide_by_zero: division by zero: decimal.div by 0");
  GIVES("decimal.div", "[1, 3, 34]", "0.3333333333333333333333333333333333");
  GIVES("decimal.div", "[10, 3, 34]", "decimal_range: a decimal holds 34 digits, and this needs more: decimal.div");
  GIVES("decimal.scale", "[\"d:1.500\"]", "3");
  GIVES("decimal.normalize", "[\"d:1.500\"]", "1.5");
  GIVES("decimal.units", "[\"d:12.5\", 2]", "1250");
  GIVES("decimal.units", "[\"d:12.505\", 2]", "bad_value: decimal.units: the decimal has more than 2 digits after the point");
  GIVES("decimal.from_units", "[-1250, 2]", "-12.50");
}

static void test_time(void) {
  GIVES("time.of", "[2026, 11, 20, 14, 5]", "2026-11-20T14:05:00Z");
  GIVES("time.of", "[2026, 2, 29]", "bad_value: time.of: month 2 of 2026 has no day 29");
  GIVES("time.parse", "[\"2026-11-20T14:05:00+02:00\"]", "2026-11-20T12:05:00Z");
  GIVES("time.parse", "[\"soon\"]", "parse_error: time.parse: \"soon\" is not a time like 2026-11-20T14:05:00Z");
  GIVES("time.parse", "[\"20 Nov 2026 02:05 PM\", \"%d %b %Y %I:%M %p\"]", "2026-11-20T14:05:00Z");
  GIVES("time.parse", "[\"2026-060\", \"%Y-%j\"]", "2026-03-01T00:00:00Z");
  GIVES("time.parse", "[\"1700000000\", \"%s\"]", "2023-11-14T22:13:20Z");
  GIVES("time.parse", "[\"31.02.2026\", \"%d.%m.%Y\"]", "parse_error: time.parse: \"31.02.2026\" is not a time of this pattern");
  GIVES("time.parse", "[\"x\", \"%Q\"]", "bad_value: time.parse: the pattern has a % that is followed by no known letter");
  GIVES("time.format", "[\"t:2026-11-20T14:05:09.25Z\", \"%A %e %B %Y, %I:%M:%S.%L %p, day %j\"]",
        "\"Friday 20 November 2026, 02:05:09.250 PM, day 324\"");
  GIVES("time.format", "[\"t:2026-11-20T23:00:00Z\", \"%F %T %z\", \"u:2h\"]", "\"2026-11-21 01:00:00 +02:00\"");
  GIVES("time.format", "[\"t:2026-11-20\"]", "\"2026-11-20T00:00:00Z\"");
  GIVES("time.parts", "[\"t:2026-11-20T14:05:00Z\"]",
        "{year: 2026, month: 11, day: 20, hour: 14, minute: 5, second: 0, microsecond: 0, weekday: 5, yearday: 324}");
  GIVES("time.week", "[\"t:2026-01-01\"]", "1");
  GIVES("time.week", "[\"t:2027-01-01\"]", "53");
  GIVES("time.week", "[\"t:2024-12-30\"]", "1");
  GIVES("time.date", "[\"t:2026-11-20T14:05:00Z\"]", "\"2026-11-20\"");
  GIVES("time.add_months", "[\"t:2026-01-31\", 1]", "2026-02-28T00:00:00Z");
  GIVES("time.add_months", "[\"t:2026-01-31\", -2]", "2025-11-30T00:00:00Z");
  GIVES("time.add_months", "[\"t:2026-01-31\", 120000]", "bad_value: time.add_months: outside the years 1 to 9999");
  GIVES("time.add", "[\"t:2026-01-01\", \"u:36h\"]", "2026-01-02T12:00:00Z");
  GIVES("time.since", "[\"t:2026-01-02\", \"t:2026-01-01\"]", "1d");
  GIVES("time.start_of", "[\"t:2026-11-20T14:05:09Z\", \"week\"]", "2026-11-16T00:00:00Z");
  GIVES("time.start_of", "[\"t:2026-11-20T14:05:09Z\", \"month\"]", "2026-11-01T00:00:00Z");
  GIVES("time.start_of", "[\"t:2026-11-20T14:05:09Z\", \"hour\"]", "2026-11-20T14:00:00Z");
  GIVES("time.unix", "[\"t:1969-12-31T23:59:59.5Z\"]", "-1");
  GIVES("time.from_unix", "[1.5]", "1970-01-01T00:00:01.500Z");
  GIVES("time.unix_ms", "[\"t:1970-01-01T00:00:01.5Z\"]", "1500");
  GIVES("time.is_leap_year", "[1900]", "false");
  GIVES("time.days_in_month", "[\"t:2024-02-10\"]", "29");
  GIVES("time.days_in_month", "[2025, 2]", "28");
  GIVES("duration.parse", "[\"1h30m\"]", "1h30m");
  GIVES("duration.seconds", "[\"u:90s\"]", "90.0");
  GIVES("duration.minutes", "[\"u:90s\"]", "1.5");
  GIVES("duration.parts", "[\"u:1d2h3m4s\"]", "{days: 1, hours: 2, minutes: 3, seconds: 4, microseconds: 0}");
  GIVES("duration.microseconds", "[\"u:1ms\"]", "1000");
}

static void test_codecs(void) {
  GIVES("json.parse", "[\"{\\\"a\\\": [1, 2.0, null, true]}\"]", "{a: [1, 2.0, nil, true]}");
  GIVES("json.stringify", "[{\"a\": [1, 2.5, null]}]", "\"{\\\"a\\\":[1,2.5,null]}\"");
  GIVES("json.is_valid", "[\"[1,]\"]", "false");
  GIVES("json.is_valid", "[\" [1] \"]", "true");
  GIVES("base64.encode", "[\"hello\"]", "\"aGVsbG8=\"");
  GIVES("base64.decode", "[\"aGVsbG8=\"]", "bytes(\"68656c6c6f\")");
  GIVES("base64.decode", "[\"a\"]", "parse_error: base64.decode: the text is not base64");
  GIVES("base64.encode_url", "[\"b:fbff\"]", "\"-_8\"");
  GIVES("base64.decode_url", "[\"-_8\"]", "bytes(\"fbff\")");
  GIVES("hex.encode", "[\"b:00ff\"]", "\"00ff\"");
  GIVES("hex.decode", "[\"00fF\"]", "bytes(\"00ff\")");
  GIVES("hex.decode", "[\"0\"]", "parse_error: hex.decode: the text is not pairs of hexadecimal digits");
  GIVES("hash.sha256", "[\"abc\"]", "\"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad\"");
  GIVES("hash.hmac_sha256", "[\"key\", \"The quick brown fox jumps over the lazy dog\"]",
        "\"f7bc83f430538424b13298e6aa6fb143ef4d59a14946175997479dbc2d1a3cd8\"");
  GIVES("hash.crc32", "[\"123456789\"]", "3421780262");
}

static void test_url(void) {
  GIVES("url.encode", "[\"a b/é\"]", "\"a%20b%2F%C3%A9\"");
  GIVES("url.decode", "[\"a%20b%2F%C3%A9\"]", "\"a b/é\"");
  GIVES("url.decode", "[\"%zz\"]", "parse_error: url.decode: a % must be followed by two digits that give UTF-8");
  GIVES("url.parse", "[\"HTTP://u@Example.com:8080/a/b?x=1#top\"]",
        "{scheme: \"http\", user: \"u\", host: \"example.com\", port: 8080, path: \"/a/b\", query: \"x=1\", fragment: \"top\"}");
  GIVES("url.parse", "[\"/p?\"]", "{scheme: nil, user: nil, host: nil, port: nil, path: \"/p\", query: \"\", fragment: nil}");
  GIVES("url.parse", "[\"http://[::1]:80/\"]",
        "{scheme: \"http\", user: nil, host: \"[::1]\", port: 80, path: \"/\", query: nil, fragment: nil}");
  GIVES("url.parse", "[\"http://a:99999/\"]", "parse_error: url.parse: the port must be a number up to 65535");
  GIVES("url.parse", "[\"a b\"]", "parse_error: url.parse: a URL has no blanks or control characters");
  GIVES("url.build", "[{\"scheme\": \"https\", \"host\": \"x.org\", \"port\": 81, \"path\": \"a\", \"query\": {\"q\": \"1 2\"}}]",
        "\"https://x.org:81/a?q=1%202\"");
  GIVES("url.query", "[{\"a\": 1, \"b\": [\"x\", \"y z\"], \"c\": null}]", "\"a=1&b=x&b=y%20z\"");
  GIVES("url.parse_query", "[\"a=1&b=x&b=y+z&c&b=%41\"]", "{a: \"1\", b: [\"x\", \"y z\", \"A\"], c: \"\"}");
  GIVES("url.parse_query", "[\"a=%f\"]", "parse_error: url.parse_query: a % must be followed by two digits that give UTF-8");
}

/* RFC 3986, 5.4: the examples, normal and abnormal. */
static void test_url_join(void) {
  static const char *const cases[][2] = {
      {"g:h", "g:h"}, {"g", "http://a/b/c/g"}, {"./g", "http://a/b/c/g"}, {"g/", "http://a/b/c/g/"}, {"/g", "http://a/g"},
      {"//g", "http://g"}, {"?y", "http://a/b/c/d;p?y"}, {"g?y", "http://a/b/c/g?y"}, {"#s", "http://a/b/c/d;p?q#s"},
      {"g#s", "http://a/b/c/g#s"}, {"g?y#s", "http://a/b/c/g?y#s"}, {";x", "http://a/b/c/;x"}, {"g;x", "http://a/b/c/g;x"},
      {"", "http://a/b/c/d;p?q"}, {".", "http://a/b/c/"}, {"./", "http://a/b/c/"}, {"..", "http://a/b/"}, {"../", "http://a/b/"},
      {"../g", "http://a/b/g"}, {"../..", "http://a/"}, {"../../", "http://a/"}, {"../../g", "http://a/g"},
      {"../../../g", "http://a/g"}, {"/./g", "http://a/g"}, {"/../g", "http://a/g"}, {"g.", "http://a/b/c/g."},
      {"..g", "http://a/b/c/..g"}, {"./../g", "http://a/b/g"}, {"./g/.", "http://a/b/c/g/"}, {"g/./h", "http://a/b/c/g/h"},
      {"g/../h", "http://a/b/c/h"}, {"g;x=1/../y", "http://a/b/c/y"}, {"g?y/../x", "http://a/b/c/g?y/../x"}};
  for (size_t i = 0; i < COUNT_OF(cases); i++) {
    char json[200], want[200];
    snprintf(json, sizeof json, "[\"http://a/b/c/d;p?q\", \"%s\"]", cases[i][0]);
    snprintf(want, sizeof want, "\"%s\"", cases[i][1]);
    GIVES("url.join", json, want);
  }
  GIVES("url.join", "[\"/a\", \"b\"]", "parse_error: url.join: the base must have a scheme");
}

static void test_error(void) {
  Value result = VALUE_NIL;
  uint32_t count = load_arguments("[\"declined\", \"the card was declined\", {\"left\": 3}]");
  CHECK(native_table[NATIVE_error_make](world.m, registers(), count, &result));
  CHECK(error_catchable(result));
  CHECK_STR(error_code(result), STR("declined"));
  CHECK_STR(error_message(result), STR("the card was declined"));
  GIVES("error.make", "[5]", "type_mismatch: error.make: the code must be a string, and this is int 5");
  GIVES("handle.id", "[5]", "type_mismatch: handle.id: the handle must be a handle of a run, and this is int 5");
}

/* A sealed value is refused by everything that reads text. */
static void test_sealed(void) {
  static const NativeId readers[] = {NATIVE_text_upper, NATIVE_core_str, NATIVE_base64_encode, NATIVE_hash_sha256,
                                     NATIVE_url_encode, NATIVE_core_len, NATIVE_json_parse, NATIVE_core_int};
  for (size_t i = 0; i < COUNT_OF(readers); i++) {
    Value result = VALUE_NIL;
    registers()[0] = sealed_secret(world.m, STR("TOKEN"));
    CHECK(!native_table[readers[i]](world.m, registers(), 1, &result));
    CHECK_STR(error_code(result), STR("sealed"));
  }
}

static bool say(NativeId id, uint32_t count) {
  Value result = VALUE_TRUE;
  return native_table[id](world.m, registers(), count, &result) && result == VALUE_NIL;
}

static void test_decide(void) {
  Machine *m = world.m;
  Value seven = value_small_int(7);
  Buf said = {0};
  GIVES("decide.reply", "[1]", "impure: `reply` belongs to an agent's decide, and this is not one");
  GIVES("decide.emit", "[1]", "impure: `emit` belongs to an agent's decide, and this is not one");
  GIVES("decide.reject", "[\"no\"]", "impure: `reject` belongs to an agent's decide, and this is not one");
  GIVES("decide.enqueue", "[1, null]", "impure: `enqueue` belongs to an agent's decide, and this is not one");
  m->roots[1] = list_new(m, 0);
  GIVES("decide.emit", "[5]", "type_mismatch: emit: what is emitted must be an event, and this is int 5");
  GIVES("decide.enqueue", "[5, null]", "type_mismatch: enqueue: what is enqueued must be a worker's job, and this is int 5");
  GIVES("decide.reject", "[\"\"]", "bad_value: reject: the code must not be empty");
  GIVES("decide.reject", "[\"no\", 5]", "type_mismatch: reject: the message must be a string, and this is int 5");
  registers()[0] = record_new(m, 0, (Value[]){seven, seven}, 2);
  CHECK(!say(NATIVE_decide_emit, 1)); /* a Point is no event */
  CHECK(list_count(m->roots[1]) == 0);
  registers()[0] = record_new(m, 1, &seven, 1);
  CHECK(say(NATIVE_decide_emit, 1));
  GIVES("decide.reply", "[{\"ok\": true}]", "nil");
  GIVES("decide.reject", "[\"no\", null, {\"short\": 2}]", "nil");
  registers()[0] = record_new(m, 2, &seven, 1), registers()[1] = VALUE_NIL;
  CHECK(say(NATIVE_decide_enqueue, 2));
  value_print(m, m->roots[1], true, &said);
  CHECK_STR(buf_view(&said), STR("[[0, Paid(amount: 7)], [1, {ok: true}], [2, \"no\", nil, {short: 2}], "
                                 "[3, Mail(to: 7), nil]]"));
  CHECK(value_obj(list_at(list_at(m->roots[1], 0), 1))->flags & OBJ_SHARED);
  buf_deinit(&said);
  m->roots[1] = VALUE_NIL;
}

/* Every native on every kind of argument: an answer or a fault, never more. */
static void test_any_argument(void) {
  static const char *const values[] = {"null", "true", "7", "-1", "1.5", "\"text\"", "\"\"", "[]", "[1, \"a\"]", "{}", "{\"k\": 1}",
                                       "\"d:1.5\"", "\"t:2026-01-01\"", "\"u:5s\"", "\"b:01\"", "\"r:0,3,1\"", "9223372036854775807"};
  enum { KINDS = COUNT_OF(values) };
  for (int id = 0; id < NATIVE_COUNT; id++) {
    for (int i = 0; i < KINDS * KINDS; i++) {
      char json[400], out[2000];
      uint32_t count = native_info[id].max < 3 ? native_info[id].max : 3;
      if (count < native_info[id].min) count = native_info[id].min;
      if (id == NATIVE_list_range && i / KINDS == KINDS - 1) continue;
      if (count == 0) snprintf(json, sizeof json, "[]");
      else if (count == 1) snprintf(json, sizeof json, "[%s]", values[i % KINDS]);
      else if (count == 2) snprintf(json, sizeof json, "[%s, %s]", values[i % KINDS], values[i / KINDS]);
      else snprintf(json, sizeof json, "[%s, %s, %s]", values[i % KINDS], values[i / KINDS], values[(i * 7 + 3) % KINDS]);
      char name[80];
      snprintf(name, sizeof name, "%s.%s", native_info[id].module, native_info[id].name);
      call(name, json, out, NULL);
      if (out[0] == 0) fprintf(stderr, "%s%s gave nothing\n", name, json);
      CHECK(out[0] != 0);
    }
  }
}

static void test_table(void) {
  for (int i = 0; i < NATIVE_COUNT; i++) {
    CHECK(native_table[i] != NULL);
    CHECK(native_info[i].min <= native_info[i].max);
    CHECK(native_info[i].signature[0] == '(' && strstr(native_info[i].signature, ") -> ") != NULL);
  }
  CHECK(native_table[NATIVE_COUNT] == NULL);
  CHECK_STR(str_of(utf8proc_unicode_version()), STR("15.0.0")); /* as semantics.h says */
}

int main(void) {
  world_begin();
  RUN_TEST(test_table);
  RUN_TEST(test_core);
  RUN_TEST(test_rounding);
  RUN_TEST(test_text);
  RUN_TEST(test_list);
  RUN_TEST(test_sort_and_sets);
  RUN_TEST(test_map);
  RUN_TEST(test_record);
  RUN_TEST(test_bytes);
  RUN_TEST(test_math);
  RUN_TEST(test_decimal);
  RUN_TEST(test_time);
  RUN_TEST(test_codecs);
  RUN_TEST(test_url);
  RUN_TEST(test_url_join);
  RUN_TEST(test_error);
  RUN_TEST(test_decide);
  RUN_TEST(test_sealed);
  RUN_TEST(test_any_argument);
  world_end();
  return TEST_END();
}
