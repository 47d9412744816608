/* A set of byte strings in order, each with a number: blocks of a few dozen entries, found by two binary searches.
** Keys are copied. Not thread safe: sqlite_keys.c has the lock. */
#ifndef Z8_KEY_SET_H
#define Z8_KEY_SET_H

#include "vm/base/base.h"

typedef struct KeyBlock KeyBlock;
typedef struct KeySet { /* zeroed: empty */
  KeyBlock **blocks;
  uint32_t block_count, block_cap;
  uint32_t count;
} KeySet;
void key_set_deinit(KeySet *set);

uint64_t key_set_get(const KeySet *set, Str key); /* 0: it is not there */
void key_set_put(KeySet *set, Str key, uint64_t number); /* number > 0; replaces */
void key_set_remove(KeySet *set, Str key);

/* Where an entry is; good until the set changes. */
typedef struct KeyPlace {
  uint32_t block, entry;
} KeyPlace;
KeyPlace key_set_from(const KeySet *set, Str key); /* of the first entry that is not before key */
/* The entry there, and steps on. False: that was the last one. */
bool key_set_next(const KeySet *set, KeyPlace *place, Str *key, uint64_t *number);
#endif
