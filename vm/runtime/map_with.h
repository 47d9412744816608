/* An encoded map with one entry more. */
#ifndef Z8_MAP_WITH_H
#define Z8_MAP_WITH_H

#include "vm/base/buf.h"

/* The map with `name` set to an encoded value, in the place of what was there; what is no map stays as it is. */
void map_with(Str map, Str name, Str value, Buf *out);
#endif
