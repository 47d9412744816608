/* Any words as code: the verifier refuses them, or both loops run them to the same end, tick for tick, and no harm is
** done. The tables around the code are good, so that the fuzzer works on the code.
 */
#include "tests/unit/asm.h"
#include "vm/core/heap.h"
#include "vm/core/image.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static Asm *tables(void) {
  Asm *a = asm_new();
  asm_shape(a, "Pair", "left right");
  asm_type(a, TYPE_INT);
  asm_type(a, TYPE_STRING);
  a->types[asm_type(a, TYPE_LIST)].elem = 1;
  a->types[asm_type(a, TYPE_RECORD)].shape = 0;
  asm_site(a, 0, EFFECT_NOW);
  asm_site(a, 1, EFFECT_PRINT);
  asm_text(a,
           ".fn main regs=12 cache=4 flags=6\nLOADK 0 i4611686018427387904\nLOADK 0 1.5\nLOADK 0 "
           "\"left\"\nLOADK 0 \"a longer text, with \xc3\xa9\"\nRETNIL\n"
           ".fn one params=1 regs=8 cache=4 flags=6\nRET 0\n.fn two params=2 min=1 regs=8 "
           "cache=4\nRET 0\n.fn held captures=1 regs=8 flags=4\nRET 0\n");
  return a;
}

/* First byte of a chunk: how many words the function gets; then the words. */
static void put_code(Asm *a, const uint8_t *data, size_t size) {
  a->b.code_count = 0;
  for (uint32_t fn = 0; fn < a->b.fn_count; fn++) {
    uint32_t words = size ? data[0] % 64u + 1 : 1, at = a->b.code_count;
    if (size) data++, size--;
    a->fns[fn].code = at;
    a->fns[fn].code_count = words;
    for (uint32_t i = 0; i < words; i++) {
      uint32_t w = OP_RETNIL;
      size_t n = size < 4 ? size : 4;
      if (n) w = 0, memcpy(&w, data, n);
      data += n, size -= n;
      a->code[a->b.code_count++] = w;
    }
    if (fn == 0 && words > 6) {
      a->handlers[0] =
          (BundleHandler){1, words / 2, words - 1, 3, words % 2 ? HANDLER_CATCH : HANDLER_FINALLY};
      a->fns[0].handlers = (Range32){0, 1};
      a->b.handler_count = 1;
    }
  }
}

/* At a park the machine is thrown away and restored from its image. */
static Machine *restored(const Program *p, Machine *m) {
  Buf image = {0};
  Hash256 state;
  Str extra;
  Err err;
  Machine *copy;
  image_save(m, STR(""), &image, &state);
  if (!image_load(p, buf_view(&image), &copy, &extra, &err)) abort();
  buf_deinit(&image);
  machine_free(m);
  return copy;
}

/* Plain: the goto loop in one go. Else: the switch loop in slices of one tick, restored at each park. */
static uint64_t run(const Program *p, bool plain, Hash256 *state) {
  Machine *m = machine_new(p);
  fiber_new(m, 0, NULL, 0);
  Buf image = {0};
  m->ticks_limit = 2000;
  m->charged_limit = 1 << 16;
  Stop stop = STOP_DONE;
  for (int i = 0; i < 6; i++) {
    do {
      m->slice_end = plain ? UINT64_MAX : m->ticks + 1;
      stop = (plain ? interp_run : interp_run_switch)(m, m->fibers[0]);
    } while (stop == STOP_SLICE);
    if (stop != STOP_EFFECT && stop != STOP_PARALLEL) break;
    if (!plain) m = restored(p, m);
    fiber_answer(m, m->fibers[0], i % 2 ? value_float(m, 0.5) : value_small_int(i));
  }
  image_save(m, STR(""), &image, state);
  uint64_t ticks = m->ticks * 16 + stop;
  buf_deinit(&image);
  machine_free(m);
  return ticks;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  Asm *a = tables();
  Program *p;
  Err err;
  Hash256 x, y;
  put_code(a, data, size);
  if (program_new(&a->b, &p, &err)) {
    uint64_t once = run(p, true, &x), again = run(p, false, &y);
    if (once != again || memcmp(x.byte, y.byte, 32) != 0) abort();
    program_free(p);
  }
  asm_free(a);
  return 0;
}
