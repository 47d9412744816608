/* Which secrets the models of a program need, and whether they are there. Never their values. */
#ifndef Z8_MODEL_KEYS_H
#define Z8_MODEL_KEYS_H

#include "vm/bundle/bundle.h"
#include "vm/runtime/node.h"

typedef struct ModelKey {
  Str model, provider; /* provider empty: by the keys there are */
  Str variable;        /* what its secret is called; empty: it needs none */
  bool set;
} ModelKey;
void model_keys_each(Node *node, const Bundle *bundle, void (*each)(void *context, const ModelKey *key), void *context);
/* False: one is missing; says which, and what to do. */
MUST_USE bool model_keys_check(Node *node, const Bundle *bundle, Err *err);

#endif
