/* Values: numbers as words and boxes, equality and order across kinds, keys, print. */
#include "asm.h"
#include "test.h"
#include "vm/core/heap.h"

typedef struct World { Asm *a; Program *p; Machine *m; } World;

static World world_begin(void) {
  World w = {.a = asm_new()};
  Err err;
  asm_text(w.a, ".fn main regs=2\nRETNIL");
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

static void check_float(Machine *m, double f) {
  double back = 0;
  Value v = value_float(m, f);
  CHECK(value_to_float(v, &back));
  CHECK(memcmp(&back, &f, 8) == 0 || (f != f && back != back));
  CHECK(value_type(v) == TYPE_FLOAT);
}

static void test_floats(void) {
  World w = world_begin();
  const double some[] = {0.0,
                         -0.0,
                         1.0,
                         -1.0,
                         0.1,
                         1e22,
                         1e300,
                         -1e300,
                         1e-300,
                         5e-324,
                         1.7976931348623157e308,
                         0x1p-255,
                         0x1p-256,
                         0x1.fffffffffffffp256,
                         0x1p257,
                         -0x1p-255,
                         3.14159};
  for (size_t i = 0; i < COUNT_OF(some); i++) check_float(w.m, some[i]);
  uint64_t bits = 1;
  for (int i = 0; i < 20000; i++) { /* every exponent, many mantissas */
    double f;
    bits = bits * 6364136223846793005u + 1442695040888963407u;
    memcpy(&f, &bits, 8);
    if (f == f) check_float(w.m, f);
  }
  double nan = __builtin_nan("");
  uint64_t word;
  Value v = value_float(w.m, -nan);
  memcpy(&word, (const char *)value_obj(v) + 8, 8);
  CHECK(word == 0x7ff8000000000000u);
  CHECK(!value_equal(v, v));
  CHECK(value_equal(value_float(w.m, 0.0), value_float(w.m, -0.0)));
  world_end(&w);
}

static void test_ints(void) {
  World w = world_begin();
  const int64_t some[] = {
      0,         1,        -1, SMALL_INT_MAX, SMALL_INT_MIN, SMALL_INT_MAX + 1, SMALL_INT_MIN - 1,
      INT64_MAX, INT64_MIN};
  for (size_t i = 0; i < COUNT_OF(some); i++) {
    int64_t back = 0;
    Value v = value_int(w.m, some[i]);
    CHECK(value_to_int(v, &back) && back == some[i]);
    CHECK(value_is_int(v) == (some[i] >= SMALL_INT_MIN && some[i] <= SMALL_INT_MAX));
    w.m->roots[0] = v;
    for (size_t j = 0; j < COUNT_OF(some); j++) {
      int want = some[i] < some[j] ? -1 : some[i] > some[j];
      Value other = value_int(w.m, some[j]);
      CHECK(value_compare(w.m->roots[0], other) == want);
    }
  }
  world_end(&w);
}

static void test_across(void) {
  World w = world_begin();
  Machine *m = w.m;
  Decimal half, two;
  CHECK(decimal_parse(STR("0.5"), &half) && decimal_parse(STR("2.00"), &two));
  m->roots[0] = decimal_value(m, half);
  m->roots[1] = decimal_value(m, two);
  CHECK(value_equal(m->roots[0], value_float(m, 0.5)));
  CHECK(value_equal(value_small_int(2), m->roots[1]));
  CHECK(value_compare(m->roots[0], value_small_int(1)) == -1);
  CHECK(value_compare(value_float(m, 2.5), m->roots[1]) == 1);
  m->roots[2] = value_int(m, INT64_MAX);
  m->roots[3] = value_float(m, 9223372036854775808.0);
  CHECK(value_compare(m->roots[2], m->roots[3]) == -1 &&
        value_compare(m->roots[3], m->roots[2]) == 1);
  CHECK(value_compare(value_small_int((int64_t)1 << 53), value_float(m, 9007199254740993.0)) == 0);
  CHECK(value_compare(value_small_int(((int64_t)1 << 53) + 1),
                      value_float(m, 9007199254740992.0)) == 1);
  CHECK(value_compare(value_small_int(1), value_float(m, __builtin_nan(""))) == 2);
  CHECK(value_compare(value_small_int(1), VALUE_NIL) == 2);
  CHECK(!value_equal(value_small_int(1), VALUE_TRUE));
  world_end(&w);
}

static void test_containers(void) {
  World w = world_begin();
  Machine *m = w.m;
  for (int r = 0; r < 2; r++) { /* the same pairs in two orders */
    m->roots[r] = map_new(m, 0);
    for (int i = 0; i < 40; i++)
      map_set(m, &m->roots[r], value_small_int(r ? 39 - i : i), value_small_int(i * (r ? -1 : 1)));
  }
  CHECK(!value_equal(m->roots[0], m->roots[1]));
  for (int i = 0; i < 40; i++) map_set(m, &m->roots[1], value_small_int(i), value_small_int(i));
  CHECK(value_equal(m->roots[0], m->roots[1]));
  CHECK(!value_can_key(m->roots[0]) && !value_can_key(value_float(m, 1.5)) &&
        value_can_key(VALUE_TRUE));
  Value deep = list_new(m, 0), other = list_new(m, 0);
  for (int i = 0; i < 3000; i++) {
    m->roots[2] = deep, m->roots[3] = other;
    deep = list_from(m, &m->roots[2], 1);
    m->roots[2] = deep;
    other = list_from(m, &m->roots[3], 1);
    deep = m->roots[2];
  }
  CompareWork work = {.max = UINT32_MAX};
  CHECK(!value_equal_bounded(deep, other, &work) && work.deep);
  work = (CompareWork){.max = 10};
  CHECK(!value_equal_bounded(m->roots[0], m->roots[1], &work) && work.long_);
  world_end(&w);
}

int main(void) {
  RUN_TEST(test_floats);
  RUN_TEST(test_ints);
  RUN_TEST(test_across);
  RUN_TEST(test_containers);
  return TEST_END();
}
