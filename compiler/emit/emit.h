/* Checked tree to bundle: registers, code, tables. Assumes a program without
** errors; only what the script, workflows, tools and queries reach is emitted. */
#ifndef Z8_EMIT_H
#define Z8_EMIT_H

#include "compiler/check/check.h"
#include "vm/bundle/bundle.h"

/* Reports only what cannot be known earlier: a function that needs more than LIMIT_REGISTERS
** registers, a program larger than a bundle may be. False if it did. */
MUST_USE bool emit_bundle(Arena *arena, Diags *diags, const Checked *checked, Str root_name,
                          Bundle *out);
#endif
