/* A machine as bytes: canonical, so that its SHA-256 is the run's state hash.
**
** The image is written by walking from fixed roots (fibers by id, their frames
** from the bottom, m->roots), copying each object once. Constants are references
** to the program. Ropes are flattened, spare capacity and hash indexes dropped,
** shared bits kept. It does not depend on when the heap was last collected, on
** addresses, on the build of the loop, or on whether the machine was itself
** restored from an image.
**
** Layout (integers little-endian): magic "Z8IM", format u16, semantics u16, bundle
** id 32, then sections, then SHA-256 of all before. Loading checks everything: an
** image is a cache, and a bad one is refused, never trusted. */
#ifndef Z8_IMAGE_H
#define Z8_IMAGE_H

#include "vm/core/machine.h"

/* `extra` is vm/run's own state, carried along and hashed. */
void image_save(Machine *m, Str extra, Buf *out, Hash256 *state);
/* A machine of the program from bytes nobody vouches for. *extra points into bytes. */
MUST_USE bool image_load(const Program *program, Str bytes, Machine **out, Str *extra, Err *err);
#endif
