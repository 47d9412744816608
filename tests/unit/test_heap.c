/* The heap: what is reachable survives any number of moves, sharing is kept, copies are made when
 * they must. */
#include "asm.h"
#include "test.h"
#include "vm/core/heap.h"

typedef struct World { Asm *a; Program *p; Machine *m; } World;

static World world_begin(void) {
  World w = {.a = asm_new()};
  Err err;
  asm_shape(w.a, "Pair", "left right");
  asm_text(w.a, ".fn main regs=4\nRETNIL");
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

static void test_survival(void) {
  World w = world_begin();
  Machine *m = w.m;
  m->roots[0] = list_new(m, 0);
  for (int i = 0; i < 2000; i++) {
    char text[32];
    snprintf(text, sizeof text, "number %d", i);
    m->roots[1] = string_new(m, str_of(text));
    m->roots[2] = value_float(m, 1e300 * i);
    m->roots[1] = record_new(m, 0, &m->roots[1], 2);
    list_push(m, &m->roots[0], m->roots[1]);
    (void)bytes_new(m, STR("garbage garbage garbage garbage"));
  }
  heap_collect(m, 0);
  heap_collect(m, 100000);
  for (int i = 0; i < 2000; i++) {
    char text[32];
    double f = 0;
    snprintf(text, sizeof text, "number %d", i);
    RecordObj *r = (RecordObj *)value_obj(list_at(m->roots[0], (uint32_t)i));
    CHECK_STR(string_text(m, &r->field[0]), str_of(text));
    CHECK(value_to_float(r->field[1], &f) && f == 1e300 * i);
  }
  m->roots[0] = m->roots[1] = m->roots[2] = VALUE_NIL;
  heap_collect(m, 0);
  CHECK(m->heap->live == 0);
  world_end(&w);
}

static void test_sharing(void) {
  World w = world_begin();
  Machine *m = w.m;
  m->roots[0] = list_new(m, 2);
  list_push(m, &m->roots[0], value_small_int(1));
  m->roots[1] = m->roots[0];
  value_own(m, &m->roots[0]);
  CHECK(m->roots[0] == m->roots[1]);
  value_share(m->roots[0]);
  heap_collect(m, 0);
  CHECK(m->roots[0] == m->roots[1]);
  value_own(m, &m->roots[0]);
  CHECK(m->roots[0] != m->roots[1]);
  list_push(m, &m->roots[0], value_small_int(2));
  CHECK(list_count(m->roots[0]) == 2 && list_count(m->roots[1]) == 1);
  world_end(&w);
}

static void test_ropes(void) {
  World w = world_begin();
  Machine *m = w.m;
  m->roots[0] = string_new(m, STR(""));
  m->roots[1] = string_new(m, STR("h\xc3\xa9llo "));
  for (int i = 0; i < 3000; i++) {
    m->roots[0] = i % 2 ? string_concat(m, &m->roots[0], &m->roots[1])
                        : string_concat(m, &m->roots[1], &m->roots[0]);
  }
  CHECK(value_is_kind(m->roots[0], OBJ_ROPE));
  m->roots[2] = m->roots[0];
  CHECK(string_chars(m, &m->roots[0]) == 3000 * 6);
  CHECK(value_is_kind(m->roots[0], OBJ_STRING));
  CHECK(value_equal(m->roots[0], m->roots[2]));
  heap_collect(m, 0);
  CHECK(m->roots[0] == m->roots[2]); /* a rope that was written out is its string */
  m->roots[3] = string_slice(m, &m->roots[0], 6001, 6005);
  CHECK_STR(string_text(m, &m->roots[3]), STR("\xc3\xa9llo"));
  world_end(&w);
}

static void test_maps(void) {
  World w = world_begin();
  Machine *m = w.m;
  m->roots[0] = map_new(m, 0);
  uint32_t seed = 7;
  uint8_t model[256] = {0};
  uint32_t live = 0;
  for (int i = 0; i < 20000; i++) {
    seed = seed * 1103515245 + 12345;
    uint32_t key = seed >> 16 & 255;
    if (seed >> 28 & 1) {
      map_set(m, &m->roots[0], value_small_int(key), value_small_int(i));
      live += !model[key];
      model[key] = 1;
    } else {
      CHECK(map_remove(m, &m->roots[0], value_small_int(key)) == (model[key] != 0));
      live -= model[key];
      model[key] = 0;
    }
    CHECK(map_count(m->roots[0]) == live);
  }
  Value out = VALUE_NIL;
  for (uint32_t key = 0; key < 256; key++)
    CHECK(map_find(m->roots[0], value_small_int(key), &out) == (model[key] != 0));
  world_end(&w);
}

static void test_limits(void) {
  World w = world_begin();
  Machine *m = w.m;
  CHECK(!heap_reserve(m, (size_t)1 << 32));
  CHECK(heap_reserve(m, 1 << 20));
  m->heap->live_limit = 4096;
  m->roots[0] = list_new(m, 4096);
  heap_collect(m, 0);
  CHECK(m->heap->over_live && m->trip == 0);
  CHECK(interp_run(m, fiber_new(m, 0, NULL, 0)) == STOP_DONE); /* no tick in it */
  world_end(&w);
}

int main(void) {
  RUN_TEST(test_survival);
  RUN_TEST(test_sharing);
  RUN_TEST(test_ropes);
  RUN_TEST(test_maps);
  RUN_TEST(test_limits);
  return TEST_END();
}
