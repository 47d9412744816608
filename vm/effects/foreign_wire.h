/* What the node and the extern helper say to each other: over a socket pair, frames of
** a 4-byte size (the machine's order) and CBOR.
**
**   request   [library, symbol, kinds bytes, result kind, any path, [arguments]]
**   reply     ["ok", value] or ["error", message] */
#ifndef Z8_FOREIGN_WIRE_H
#define Z8_FOREIGN_WIRE_H

#include "vm/base/base.h"

enum { FOREIGN_FD = 3, FOREIGN_PARAMS = 32, FOREIGN_FRAME_MAX = 64 << 20 };

/* Is the library one the default allow-list takes: a plain soname, no path? */
static inline bool foreign_is_soname(Str name) {
  if (name.size == 0 || name.size > 200) return false;
  for (size_t i = 0; i < name.size; i++) {
    char c = name.at[i];
    bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                 c == '.' || c == '_' || c == '-' || c == '+';
    if (!plain) return false;
  }
  return memmem(name.at, name.size, ".so", 3) != NULL;
}

#endif
