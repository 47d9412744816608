/* The verifier: what a bundle's code must satisfy before it runs. After it, no
** instruction can leave its function, read a register that is not there or not
** yet written, index a table out of bounds, or perform an effect in a function
** that did not declare it. What depends on values (tags, bounds, shapes, limits)
** the loop checks. Linear in the code: one worklist pass over definedness. */
#ifndef Z8_VERIFY_H
#define Z8_VERIFY_H

#include "vm/bundle/bundle.h"

MUST_USE bool verify_bundle(const Bundle *bundle, Err *err);
#endif
