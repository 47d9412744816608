/* Pages about runs: how one failed, what waits. */
#ifndef Z8_RUN_PAGE_H
#define Z8_RUN_PAGE_H

#include "vm/cli/cli.h"

/* The error of a run that did not end well: code, message, and where, with the source line. */
void report_failure(Buf *out, bool colour, const Bundle *bundle, RunStatus status, Str value);
/* A line of source with a mark below the column; nothing if the bundle has no such place. */
void report_source_line(Buf *out, const Bundle *bundle, Str path, uint32_t line, uint32_t column);
/* The runs that are not over and why, one line each, on err. */
void report_parked(Cli *cli);

/* A place in an error's `at`: "fn (file:line:column)". */
typedef struct AtPlace {
  Str function, path;
  uint32_t line, column;
} AtPlace;
bool at_parse(Str at, AtPlace *out);

#endif
