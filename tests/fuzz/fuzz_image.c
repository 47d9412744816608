/* Any bytes as an image: refused, or a machine that can be run on, saved again and freed. The bytes get a good head
** and checksum, so that the fuzzer works on what lies behind them. */
#include "tests/unit/asm.h"
#include "vm/base/hash.h"
#include "vm/core/heap.h"
#include "vm/core/image.h"
#include "vm/core/semantics.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static Program *target_program(void) {
  static Program *program;
  if (program) return program;
  Asm *a = asm_new();
  Err err;
  asm_shape(a, "Pair", "left right");
  asm_site(a, 0, EFFECT_NOW);
  asm_site(a, 1, EFFECT_NOW);
  asm_text(a,
           ".fn main regs=16 cache=4 flags=6\nLOADI 0 0\nLOADI 1 9\nLOADI 2 1\nNEWLIST 4 0 "
           "0\nNEWMAP 5 0\nFORPREP 0 @end\n"
           "top:\nPUSH 4 3\nMOVE 7 3\nEFFECT 11 0 0 0 0\nADD 7 7 11\nSETI 5 3 7\nSETF 5 7 1 "
           "\"key\"\nGETF 8 5 0 \"key\"\nFORNEXT 0 @top\nend:\n"
           "ITERPREP 0 4\nt:\nITERNEXT 0 @e\nLOOP @t\ne:\nCLOSURE 9 4 2 &pair\nCALLV 9 0\nRET 9\n"
           ".fn pair captures=2 regs=6 flags=6\nEFFECT 4 0 0 1 0\nEQ 3 0 4\nCONCAT 3 0 5\nNEWREC 3 "
           "0 0\nRET 3\n");
  if (!program_new(&a->b, &program, &err)) abort();
  return program;
}

static void run_on(Machine *m) {
  uint32_t count = m->fiber_count < 8 ? m->fiber_count : 8;
  for (uint32_t i = 0; i < count; i++) {
    Fiber *f = m->fibers[i];
    if (!f) continue;
    m->ticks_limit = m->ticks + 1000;
    for (int n = 0; n < 8 && (f->status == FIBER_BLOCKED || f->status == FIBER_READY); n++) {
      if (f->status == FIBER_BLOCKED) fiber_answer(m, f, value_small_int(1));
      interp_run_switch(m, f);
    }
  }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  const Program *program = target_program();
  Buf image = {0}, again = {0};
  uint16_t versions[2] = {1, SEMANTICS_NUMBER};
  buf_text(&image, "Z8IM");
  buf_put(&image, versions, 4);
  buf_put(&image, program_bundle(program)->id.byte, 32);
  buf_put(&image, data, size);
  Hash256 sum = sha256(buf_view(&image));
  buf_put(&image, sum.byte, 32);
  Machine *m;
  Str extra;
  Err err;
  if (image_load(program, buf_view(&image), &m, &extra, &err)) {
    image_save(m, extra, &again, &sum);
    run_on(m);
    machine_free(m);
  }
  buf_deinit(&image);
  buf_deinit(&again);
  return 0;
}
