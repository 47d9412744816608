/* Which lines of a program's sources its tests reached. */
#ifndef Z8_COVER_H
#define Z8_COVER_H

#include "vm/bundle/bundle.h"

typedef struct CoverFile {
  Str path;
  uint32_t lines, reached; /* lines that hold code */
} CoverFile;
/* `reached`: a byte for each word of the bundle's code. For each source file of the program itself, not the library's:
** counts, and the lines that were not reached as "3-5, 9" appended to missing. */
void cover_report(const Bundle *bundle, const uint8_t *reached,
                  void (*each)(void *context, const CoverFile *file, Str missing), void *context);
#endif
