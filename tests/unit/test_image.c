/* Images: the same state, the same bytes, however it came about; and rubbish is refused. */
#include "asm.h"
#include "test.h"
#include "vm/base/hash.h"
#include "vm/core/heap.h"
#include "vm/core/image.h"

static const char *const program_text =
    ".fn main regs=16 cache=4 flags=6\n"
    "LOADI 0 0\nLOADI 1 40\nLOADI 2 1\nNEWLIST 4 0 0\nNEWMAP 5 0\nLOADK 6 \"\"\nFORPREP 0 @end\n"
    "top:\nPUSH 4 3\nLOADK 7 \"key\"\nCONCAT 8 7 1\nMOVE 8 3\nCONCAT 7 7 2\nNEWLIST 9 7 2\nSETI 5 "
    "7 9\nLOADK 10 \"0123456789\"\nADD 6 6 10\n"
    "EFFECT 11 0 0 0 0\nFORNEXT 0 @top\nend:\n"
    "NEWREC 7 4 0\nMOVESH 8 7\nCLOSURE 9 7 2 &pair\nLOADK 10 i9223372036854775807\nNEG 11 "
    "10\nNEWLIST 4 4 8\nEFFECT 4 0 0 0 0\n"
    "CLOSURE 9 7 2 &pair\nCALLV 9 0\nRET 6\n"
    ".fn pair captures=2 regs=6 flags=6\nLOADI 3 7\nEFFECT 4 0 0 1 0\nEFFECT 3 1 0 1 0\nRET 0\n";

typedef struct World { Asm *a; Program *p; } World;

static void world_begin(World *w) {
  Err err = {0};
  w->a = asm_new();
  asm_shape(w->a, "Pair", "left right");
  asm_site(w->a, 0, EFFECT_NOW);
  asm_site(w->a, 1, EFFECT_NOW);
  asm_text(w->a, program_text);
  bool ok = program_new(&w->a->b, &w->p, &err);
  if (!ok) fprintf(stderr, "%s\n", err.text);
  CHECK(ok);
}
static void world_end(World *w) {
  program_free(w->p);
  asm_free(w->a);
}

static Value answer(Machine *m, uint32_t step) {
  return step % 3 == 0 ? value_float(m, 1e300) : time_new(m, step);
}

/* Runs in three ways side by side: as it is, collected at each park, restored at each park by the
 * other loop. */
static void test_parks(void) {
  World w;
  world_begin(&w);
  Machine *plain = machine_new(w.p), *other = machine_new(w.p);
  fiber_new(plain, 0, NULL, 0);
  fiber_new(other, 0, NULL, 0);
  Stop stop;
  uint32_t step = 0;
  for (;; step++) {
    Buf a = {0}, b = {0};
    Hash256 x, y;
    Str extra;
    Err err;
    stop = interp_run(plain, plain->fibers[0]);
    Stop second = interp_run_switch(other, other->fibers[0]);
    CHECK(stop == second);
    if (step % 2) heap_collect(other, 0);
    image_save(plain, STR("extra!"), &a, &x);
    image_save(other, STR("extra!"), &b, &y);
    CHECK(a.size == b.size && memcmp(x.byte, y.byte, 32) == 0);
    Machine *copy = NULL;
    CHECK(image_load(w.p, buf_view(&b), &copy, &extra, &err));
    if (!copy) fprintf(stderr, "%s\n", err.text);
    if (!copy) break;
    CHECK_STR(extra, STR("extra!"));
    machine_free(other);
    other = copy;
    buf_deinit(&a);
    buf_deinit(&b);
    if (stop != STOP_EFFECT) break;
    fiber_answer(plain, plain->fibers[0], answer(plain, step));
    fiber_answer(other, other->fibers[0], answer(other, step));
  }
  CHECK(stop == STOP_DONE && step == 43);
  CHECK(plain->ticks == other->ticks);
  machine_free(plain);
  machine_free(other);
  world_end(&w);
}

static void run_on(Machine *m) {
  for (uint32_t i = 0; i < m->fiber_count; i++) {
    Fiber *f = m->fibers[i];
    if (!f) continue;
    m->ticks_limit = m->ticks + 10000;
    for (int n = 0; n < 60; n++) {
      if (f->status == FIBER_BLOCKED) fiber_answer(m, f, value_small_int(1));
      if (f->status != FIBER_READY) break;
      interp_run_switch(m, f);
    }
  }
}

static void seal(Buf *image) {
  Hash256 sum = sha256((Str){image->at, image->size - 32});
  memcpy(image->at + image->size - 32, sum.byte, 32);
}

/* Flips every byte, with a good checksum: refused, or a machine that can be run and freed. */
static void test_rubbish(void) {
  World w;
  world_begin(&w);
  Machine *m = machine_new(w.p), *copy;
  Fiber *f = fiber_new(m, 0, NULL, 0);
  Hash256 state;
  Str extra;
  Err err;
  for (int i = 0; i < 3; i++) {
    CHECK(interp_run(m, f) == STOP_EFFECT);
    fiber_answer(m, f, value_float(m, -0.0));
  }
  CHECK(interp_run(m, f) == STOP_EFFECT);
  Buf image = {0};
  image_save(m, STR(""), &image, &state);
  uint32_t taken = 0;
  for (size_t i = 0; i + 32 < image.size; i++) {
    for (int bit = 0; bit < 8; bit += 1) {
      image.at[i] ^= (char)(1 << bit);
      seal(&image);
      if (image_load(w.p, buf_view(&image), &copy, &extra, &err)) {
        taken++;
        run_on(copy);
        machine_free(copy);
      }
      image.at[i] ^= (char)(1 << bit);
    }
  }
  for (size_t size = 0; size < image.size; size++) {
    CHECK(!image_load(w.p, (Str){image.at, size}, &copy, &extra, &err));
  }
  CHECK(taken > 0);
  buf_deinit(&image);
  machine_free(m);
  world_end(&w);
}

int main(void) {
  RUN_TEST(test_parks);
  RUN_TEST(test_rubbish);
  return TEST_END();
}
