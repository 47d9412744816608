/* Any text as a program: what compiles gives a bundle that reads back the same, verifies, and runs for a while
** without harm. A program that the checker passes and the verifier refuses is a bug of the emitter. */
#include <stdio.h>
#include <stdlib.h>

#include "compiler/compile.h"
#include "vm/core/machine.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { TICKS = 20000, STOPS = 60 };
static const uint64_t MEMORY = 8u << 20;

static bool read_source(void *context, Str path, Arena *arena, Str *text, Err *err) {
  (void)arena;
  if (!str_equal(path, STR("fuzz.z8"))) {
    FAIL(err, ERR_NOT_FOUND, "there is no such file");
    return false;
  }
  *text = *(const Str *)context;
  return true;
}

static void run_script(const Program *program, uint32_t script) {
  Machine *m = machine_new(program);
  m->ticks_limit = TICKS;
  m->slice_end = UINT64_MAX;
  m->charged_limit = MEMORY;
  Fiber *f = fiber_new(m, script, NULL, 0);
  for (int stops = 0; stops < STOPS; stops++) {
    Stop stop = interp_run_switch(m, f);
    if (stop == STOP_DONE || stop == STOP_FAULT || stop == STOP_LIVE) break;
    if (stop == STOP_EFFECT || stop == STOP_PARALLEL) fiber_answer(m, f, VALUE_NIL);
  }
  machine_free(m);
}

static void refused(const Err *err) {
  fprintf(stderr, "%s\n", err->text);
  abort();
}

static void bundle_try(Bundle *made) {
  Arena arena;
  Bundle bundle;
  Program *program;
  Err err = {0};
  Buf bytes = {0};
  arena_init(&arena);
  bundle_write(made, &bytes);
  if (!bundle_read(buf_view(&bytes), &arena, &bundle, &err)) refused(&err);
  if (!program_new(&bundle, &program, &err)) refused(&err);
  run_script(program, bundle.script);
  program_free(program);
  buf_deinit(&bytes);
  arena_deinit(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  Arena arena;
  Compilation c;
  Str text = {(const char *)data, size};
  arena_init(&arena);
  if (compile(&arena, STR("fuzz.z8"), (SourceReader){read_source, &text}, (CompileOptions){0}, &c))
    bundle_try(&c.bundle);
  arena_deinit(&arena);
  return 0;
}
