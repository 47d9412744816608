/* Between testing.c and testing_world.c. */
#ifndef Z8_TESTING_IMPL_H
#define Z8_TESTING_IMPL_H

#include "vm/base/cbor.h"
#include "vm/runtime/testing.h"

/* Models and people, as a test says they are. Each answer is given to one call, known by its key. */
typedef struct World World;
World *world_new(void);
void world_free(World *world);
/* TEST "stub model", "stub approve", "calls model". False: it is none of these, or cannot be read. */
bool world_ask(World *world, Str word, CborReader *operands, Buf *value);
World *testing_world(const Testing *t);
#endif
