/* The pipeline: read the root file and what it imports, parse, check, emit. */
#ifndef Z8_COMPILE_H
#define Z8_COMPILE_H

#include "compiler/check/check.h"
#include "compiler/diag.h"
#include "vm/base/arena.h"
#include "vm/base/err.h"
#include "vm/bundle/bundle.h"

/* How a file's text is found. The path is relative to the root file's folder, '/' separated. Returns
** false (and fills err) if it cannot be read; the text must live as long as the compilation. */
typedef struct SourceReader {
  bool (*read)(void *context, Str path, Arena *arena, Str *text, Err *err);
  void *context;
} SourceReader;

typedef struct CompileOptions {
  bool strict;
  bool check_only; /* stop after the checker */
} CompileOptions;

typedef struct Compilation {
  Arena *arena;
  Diags diags;
  Unit *units;
  Checked checked;
  Bundle bundle; /* set when no error was found and not check_only */
} Compilation;

/* Everything lives in the arena. True when there is no error (warnings may be). */
MUST_USE bool compile(Arena *arena, Str root_path, SourceReader reader, CompileOptions options,
                      Compilation *out);

/* Standard library source by module name ("text"); at == NULL if there is none. Embedded at build. */
Str stdlib_source(Str module);
#endif
