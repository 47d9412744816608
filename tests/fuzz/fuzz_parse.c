/* Any bytes as source: lexer, layout, parser, the rendering of what they report, and,
** where it is linked, the checker on what parsed. */
#include "compiler/check/check.h"
#include "compiler/diag.h"
#include "compiler/front/parse.h"
#include "vm/base/arena.h"

#pragma weak check_program

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void render(Diags *diags) {
  Buf out = {0};
  diag_render(diags, (diags->error_count & 1) != 0, &out);
  buf_clear(&out);
  diag_render_json(diags, &out);
  buf_deinit(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  Arena arena;
  Diags diags;
  Checked checked;
  arena_init(&arena);
  diags_init(&diags, &arena);
  Source source = {.path = STR("fuzz.z8"), .text = {(const char *)data, size}, .base = 1};
  diags.sources = &source;
  diags.source_count = 1;
  Unit *unit = parse_unit(&arena, names_new(&arena), &diags, 0);
  if (check_program && diags.error_count == 0) {
    check_program(&arena, &diags, unit, (CheckOptions){.strict = false}, &checked);
  }
  render(&diags);
  arena_deinit(&arena);
  return 0;
}
