/* Lines from instructions: a line is reached when one of the instructions it became was executed. Declarations of
** messages, records and state do nothing by themselves, and are not counted. */
#include "vm/cli/cover.h"

#include "vm/base/buf.h"
#include "vm/base/mem.h"

typedef enum { LINE_NONE, LINE_MISSED, LINE_REACHED } LineState;

static uint32_t line_count(Str text) {
  uint32_t count = 2;
  for (size_t i = 0; i < text.size; i++) count += text.at[i] == '\n';
  return count;
}

static bool holds_code(const BundleFn *fn) {
  bool no_script = fn->kind == FNKIND_SCRIPT && fn->code_count == 1; /* its end */
  return fn->kind != FNKIND_CONSTRUCTOR && !no_script;
}

static void fn_lines(const Bundle *b, const BundleFn *fn, const uint8_t *reached, uint8_t *lines, uint32_t count) {
  for (uint32_t pc = 0; pc < fn->code_count;) {
    uint32_t word = b->code[fn->code + pc];
    uint8_t op = (uint8_t)(word & 0xff);
    if (op >= OP_COUNT) return;
    uint32_t line = bundle_line(b, fn, pc).line;
    bool there = reached[fn->code + pc] != 0;
    if (line < count && lines[line] != LINE_REACHED) lines[line] = there ? LINE_REACHED : LINE_MISSED;
    pc += op_info[op].words;
  }
}

static void missing_put(const uint8_t *lines, uint32_t count, Buf *out) {
  for (uint32_t i = 1; i < count; i++) {
    if (lines[i] != LINE_MISSED) continue;
    uint32_t last = i;
    for (uint32_t j = i + 1; j < count && lines[j] != LINE_REACHED; j++)
      if (lines[j] == LINE_MISSED) last = j;
    buf_format(out, last > i ? "%s%u-%u" : "%s%u", out->size > 0 ? ", " : "", i, last);
    i = last;
  }
}

static bool is_library(Str path) { return path.size > 4 && memcmp(path.at, "std/", 4) == 0; }

void cover_report(const Bundle *b, const uint8_t *reached,
                  void (*each)(void *context, const CoverFile *file, Str missing), void *context) {
  for (uint32_t s = 0; s < b->source_count; s++) {
    CoverFile file = {.path = bundle_text(b, b->sources[s].path)};
    uint32_t count = line_count(b->sources[s].text);
    Buf missing = {0};
    if (is_library(file.path)) continue;
    uint8_t *lines = mem_alloc(count);
    memset(lines, LINE_NONE, count);
    for (uint32_t i = 0; i < b->fn_count; i++)
      if (b->fns[i].source == s && holds_code(&b->fns[i])) fn_lines(b, &b->fns[i], reached, lines, count);
    for (uint32_t i = 0; i < count; i++) {
      file.lines += lines[i] != LINE_NONE;
      file.reached += lines[i] == LINE_REACHED;
    }
    missing_put(lines, count, &missing);
    each(context, &file, buf_view(&missing));
    buf_deinit(&missing);
    mem_free(lines);
  }
}
