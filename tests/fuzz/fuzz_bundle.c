/* Any bytes as a bundle: refused, or shown, verified and run on the switch loop for a little while, every effect
** answered with nil and every branch abandoned. A bundle that verifies may fault but never crash. */
#include "vm/bundle/bundle.h"
#include "vm/core/heap.h"
#include "vm/core/machine.h"
#include "vm/core/verify.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { TICKS = 3000, STOPS = 40 };
static const uint64_t MEMORY = 4u << 20;

static void run_fiber(Machine *m, Fiber *f) {
  for (int stops = 0; stops < STOPS; stops++) {
    Stop stop = interp_run_switch(m, f);
    if (stop == STOP_DONE || stop == STOP_FAULT || stop == STOP_LIVE) return;
    if (stop == STOP_EFFECT || stop == STOP_PARALLEL) fiber_answer(m, f, VALUE_NIL);
  }
}

/* The function as the host would call it: too few arguments are the host's own mistake, so all are
 * given. */
static void run_function(const Program *program, uint32_t fn) {
  const BundleFn *entry = &program_bundle(program)->fns[fn];
  Value args[256];
  if (entry->captures > 0) return;
  for (uint32_t i = 0; i < entry->params.count; i++) args[i] = value_small_int(i);
  Machine *m = machine_new(program);
  m->ticks_limit = TICKS;
  m->slice_end = UINT64_MAX;
  m->charged_limit = MEMORY;
  m->roots[1] = list_new(m, 0); /* a decide may say what it decides */
  run_fiber(m, fiber_new(m, fn, args, entry->params.count));
  machine_free(m);
}

static void run_bundle(const Bundle *bundle) {
  Program *program;
  Err err = {0};
  if (!verify_bundle(bundle, &err)) return;
  if (!program_new(bundle, &program, &err)) return;
  for (uint32_t fn = 0; fn < bundle->fn_count && fn < 12; fn++) run_function(program, fn);
  program_free(program);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  Arena arena;
  Bundle bundle;
  Err err = {0};
  arena_init(&arena);
  if (bundle_read((Str){(const char *)data, size}, &arena, &bundle, &err)) {
    Buf text = {.max = 1u << 20};
    bundle_dump(&bundle, &text);
    buf_deinit(&text);
    run_bundle(&bundle);
  }
  arena_deinit(&arena);
  return 0;
}
