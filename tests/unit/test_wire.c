/* Values as CBOR and as JSON, both ways. */
#include "asm.h"
#include "test.h"
#include "vm/core/wire.h"

typedef struct World { Asm *a; Program *p; Machine *m; } World;

static World world_begin(void) {
  World w = {.a = asm_new()};
  Err err;
  asm_shape(w.a, "Point", "x y");
  asm_text(w.a, ".fn main regs=2\nRETNIL\n.fn f regs=1\nRETNIL");
  bool ok = program_new(&w.a->b, &w.p, &err);
  ASSERT(ok);
  w.m = machine_new(w.p);
  return w;
}
static void world_end(World *w) {
  machine_free(w->m);
  program_free(w->p);
  asm_free(w->a);
}

/* Encoded, decoded and printed. */
static void round_trip(World *w, const char *want) {
  Buf bytes = {0}, again = {0}, text = {0};
  const char *why = NULL;
  Err err;
  CHECK(wire_put(w->m, w->m->roots[0], &bytes, &why));
  CHECK(wire_get(w->m, buf_view(&bytes), &w->m->roots[1], &err));
  CHECK(w->m->held_count == 0);
  CHECK(wire_put(w->m, w->m->roots[1], &again, &why));
  CHECK_STR(buf_view(&again), buf_view(&bytes));
  value_print(w->m, w->m->roots[1], true, &text);
  CHECK_STR(buf_view(&text), str_of(want));
  for (size_t size = 0; size < bytes.size; size++) {
    CHECK(!wire_get(w->m, (Str){bytes.at, size}, &w->m->roots[1], &err));
  }
  for (size_t i = 0; i < bytes.size * 8; i++) { /* any answer, but no harm */
    bytes.at[i / 8] ^= (char)(1 << i % 8);
    (void)!wire_get(w->m, buf_view(&bytes), &w->m->roots[1], &err);
    bytes.at[i / 8] ^= (char)(1 << i % 8);
  }
  buf_deinit(&bytes);
  buf_deinit(&again);
  buf_deinit(&text);
}

static void test_scalars(void) {
  World w = world_begin();
  Value *v = &w.m->roots[0];
  *v = VALUE_NIL, round_trip(&w, "nil");
  *v = VALUE_TRUE, round_trip(&w, "true");
  *v = value_int(w.m, INT64_MIN), round_trip(&w, "-9223372036854775808");
  *v = value_int(w.m, INT64_MAX), round_trip(&w, "9223372036854775807");
  *v = value_float(w.m, 0.0), round_trip(&w, "0.0");
  *v = value_float(w.m, -0.0), round_trip(&w, "-0.0");
  *v = value_float(w.m, 1e300), round_trip(&w, "1e300");
  *v = value_float(w.m, 0.1), round_trip(&w, "0.1");
  *v = string_new(w.m, STR("h\xc3\xa9llo")), round_trip(&w, "\"h\xc3\xa9llo\"");
  *v = bytes_new(w.m, STR("abc")), round_trip(&w, "<3 bytes>");
  *v = duration_new(w.m, 5000000), round_trip(&w, "5s");
  *v = time_new(w.m, 0), round_trip(&w, "1970-01-01T00:00:00Z");
  *v = range_new(w.m, 1, 9, 2), round_trip(&w, "range(1, 9, 2)");
  Decimal d;
  CHECK(decimal_parse(STR("12345678901234567890.50"), &d));
  *v = decimal_value(w.m, d), round_trip(&w, "12345678901234567890.50");
  *v = sealed_secret(w.m, STR("KEY")), round_trip(&w, "******");
  *v = error_new(w.m, NULL, STR("code"), STR("text"), VALUE_NIL, true),
  round_trip(&w, "code: text");
  const uint8_t run[16] = {1, 2, 3};
  *v = handle_new(w.m, run, 7, STR("Work")),
  round_trip(&w, "<run 01020300-0000-0000-0000-000000000000>");
  world_end(&w);
}

static void test_containers(void) {
  World w = world_begin();
  Value *v = &w.m->roots[0];
  const Value fields[2] = {value_small_int(1), VALUE_NIL};
  *v = list_new(w.m, 0);
  for (int i = 0; i < 20; i++) {
    list_push(w.m, v, value_small_int(i * i * 100));
  }
  w.m->roots[2] = map_new(w.m, 0);
  for (int i = 0; i < 30; i++) {
    char key[16];
    snprintf(key, sizeof key, "k%d", i);
    map_set_text(w.m, &w.m->roots[2], str_of(key), value_small_int(i));
  }
  CHECK(map_count(w.m->roots[2]) == 30);
  Value got = VALUE_NIL;
  CHECK(map_find_text(w.m->roots[2], STR("k17"), &got) && got == value_small_int(17));
  CHECK(map_remove(w.m, &w.m->roots[2], string_new(w.m, STR("k3"))));
  list_truncate(*v, 1);
  list_push(w.m, v, record_new(w.m, 0, fields, 2));
  *v = list_from(w.m, v, 1);
  round_trip(&w, "[[0, Point(x: 1, y: nil)]]");
  *v = w.m->roots[2];
  for (int i = 4; i < 30; i++) {
    char key[16];
    snprintf(key, sizeof key, "k%d", i);
    w.m->roots[3] = string_new(w.m, str_of(key));
    CHECK(map_remove(w.m, v, w.m->roots[3]));
  }
  round_trip(&w, "{k0: 0, k1: 1, k2: 2}");
  world_end(&w);
}

static void test_refusals(void) {
  World w = world_begin();
  const char *why = NULL;
  Buf out = {0};
  Err err;
  Value v = VALUE_NIL;
  w.m->roots[0] = list_new(w.m, 0);
  for (int i = 0; i < 1100; i++) w.m->roots[0] = list_from(w.m, &w.m->roots[0], 1);
  CHECK(!wire_put(w.m, w.m->roots[0], &out, &why) && out.size == 0 && strstr(why, "deep"));
  CHECK(!wire_get(w.m, STR("\x82\x01"), &v, &err));
  CHECK(!wire_get(w.m, STR("\x18\x01"), &v, &err));
  CHECK(!wire_get(w.m, STR("\xd9\x9c\x4a\x84\x01\x01\x01\x01"), &v, &err)); /* the same key twice */
  CHECK(!wire_get(w.m, STR("\x01\x01"), &v, &err));
  CHECK(!wire_get(w.m, STR("\x9b\x00\xff\xff\xff\xff\xff\xff\xff"), &v, &err));
  buf_deinit(&out);
  world_end(&w);
}

static void json_trip(World *w, const char *text, const char *want) {
  Buf why = {0}, out = {0};
  const char *cannot = NULL;
  bool ok = wire_from_json(w->m, str_of(text), &w->m->roots[0], &why);
  if (!ok) CHECK_STR(buf_view(&why), str_of(want));
  if (ok) CHECK(wire_to_json(w->m, w->m->roots[0], false, &out, &cannot));
  if (ok) CHECK_STR(buf_view(&out), str_of(want));
  buf_deinit(&why);
  buf_deinit(&out);
}

static void test_json(void) {
  World w = world_begin();
  json_trip(&w, "[1, 1.0, \"a\\n\", null, true, {\"b\": {}, \"a\": []}]",
            "[1,1.0,\"a\\n\",null,true,{\"b\":{},\"a\":[]}]");
  json_trip(&w, "{\"a\":1,\"b\":2,\"a\":3}", "{\"a\":3,\"b\":2}");
  Buf why = {0};
  CHECK(!wire_from_json(w.m, STR("[1,"), &w.m->roots[0], &why) && why.size > 0);
  CHECK(w.m->held_count == 0);
  const char *cannot = NULL;
  Buf out = {0};
  CHECK(!wire_to_json(w.m, value_float(w.m, __builtin_nan("")), false, &out, &cannot) && cannot);
  CHECK(wire_from_json(w.m, STR("{\"a\":[1,{}]}"), &w.m->roots[0], &why));
  CHECK(wire_to_json(w.m, w.m->roots[0], true, &out, &cannot));
  CHECK_STR(buf_view(&out), STR("{\n  \"a\": [\n    1,\n    {}\n  ]\n}"));
  buf_deinit(&why);
  buf_deinit(&out);
  world_end(&w);
}

int main(void) {
  RUN_TEST(test_scalars);
  RUN_TEST(test_containers);
  RUN_TEST(test_refusals);
  RUN_TEST(test_json);
  return TEST_END();
}
