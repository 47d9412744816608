/* Blocks hold up to 64 entries in order and are in order themselves. A full one is split, an empty one goes. */
#include "vm/store/key_set.h"
#include "vm/base/mem.h"

enum { BLOCK_ENTRIES = 64 };

typedef struct KeyEntry {
  uint64_t prefix; /* the first 8 bytes as a number: most comparisons need no more */
  uint64_t number;
  char *at;
  size_t size;
} KeyEntry;

struct KeyBlock {
  uint32_t count;
  KeyEntry entries[BLOCK_ENTRIES];
};

static uint64_t prefix_of(Str key) {
  uint64_t prefix = 0;
  for (size_t i = 0; i < 8; i++) prefix = prefix << 8 | (i < key.size ? (uint8_t)key.at[i] : 0);
  return prefix;
}

/* Below 0: the key is before the entry. */
static int order(uint64_t prefix, Str key, const KeyEntry *e) {
  if (prefix != e->prefix) return prefix < e->prefix ? -1 : 1;
  size_t size = key.size < e->size ? key.size : e->size;
  int by_bytes = size ? memcmp(key.at, e->at, size) : 0;
  return by_bytes != 0 ? by_bytes : (key.size > e->size) - (key.size < e->size);
}

/* The last block that begins at or before the key, or the first. */
static uint32_t find_block(const KeySet *set, uint64_t prefix, Str key) {
  uint32_t low = 0, high = set->block_count;
  while (high - low > 1) {
    uint32_t middle = low + (high - low) / 2;
    if (order(prefix, key, &set->blocks[middle]->entries[0]) < 0) high = middle;
    else low = middle;
  }
  return low;
}

/* The first entry of the block that is not before the key. */
static uint32_t find_entry(const KeyBlock *b, uint64_t prefix, Str key) {
  uint32_t low = 0, high = b->count;
  while (low < high) {
    uint32_t middle = low + (high - low) / 2;
    if (order(prefix, key, &b->entries[middle]) > 0) low = middle + 1;
    else high = middle;
  }
  return low;
}

/* Its entry, or NULL; *place is where it would be. */
static KeyEntry *find(const KeySet *set, uint64_t prefix, Str key, KeyPlace *place) {
  *place = (KeyPlace){0};
  if (set->block_count == 0) return NULL;
  place->block = find_block(set, prefix, key);
  KeyBlock *b = set->blocks[place->block];
  place->entry = find_entry(b, prefix, key);
  bool there = place->entry < b->count && order(prefix, key, &b->entries[place->entry]) == 0;
  return there ? &b->entries[place->entry] : NULL;
}

uint64_t key_set_get(const KeySet *set, Str key) {
  KeyPlace place;
  const KeyEntry *e = find(set, prefix_of(key), key, &place);
  return e ? e->number : 0;
}

static KeyBlock *add_block(KeySet *set, uint32_t at) {
  set->blocks = mem_grow(set->blocks, &set->block_cap, set->block_count + 1, sizeof(KeyBlock *));
  memmove(&set->blocks[at + 1], &set->blocks[at], (set->block_count - at) * sizeof(KeyBlock *));
  set->block_count++;
  return set->blocks[at] = MEM_NEW(KeyBlock);
}

/* A full block becomes two; the place may be in the second. */
static void split(KeySet *set, KeyPlace *place) {
  KeyBlock *second = add_block(set, place->block + 1), *first = set->blocks[place->block];
  second->count = first->count / 2;
  first->count -= second->count;
  memcpy(second->entries, &first->entries[first->count], second->count * sizeof(KeyEntry));
  if (place->entry <= first->count) return;
  place->entry -= first->count;
  place->block++;
}

void key_set_put(KeySet *set, Str key, uint64_t number) {
  uint64_t prefix = prefix_of(key);
  KeyPlace place;
  KeyEntry *e = find(set, prefix, key, &place);
  if (e) {
    e->number = number;
    return;
  }
  if (set->block_count == 0) add_block(set, 0);
  if (set->blocks[place.block]->count == BLOCK_ENTRIES) split(set, &place);
  KeyBlock *b = set->blocks[place.block];
  e = &b->entries[place.entry];
  memmove(e + 1, e, (b->count - place.entry) * sizeof *e);
  *e = (KeyEntry){.prefix = prefix, .number = number, .at = mem_alloc(key.size + 1), .size = key.size};
  if (key.size) memcpy(e->at, key.at, key.size);
  b->count++;
  set->count++;
}

void key_set_remove(KeySet *set, Str key) {
  KeyPlace place;
  KeyEntry *e = find(set, prefix_of(key), key, &place);
  if (!e) return;
  KeyBlock *b = set->blocks[place.block];
  mem_free(e->at);
  memmove(e, e + 1, (b->count - place.entry - 1) * sizeof *e);
  set->count--;
  if (--b->count > 0) return;
  mem_free(b);
  set->block_count--;
  memmove(&set->blocks[place.block], &set->blocks[place.block + 1],
          (set->block_count - place.block) * sizeof(KeyBlock *));
}

KeyPlace key_set_from(const KeySet *set, Str key) {
  KeyPlace place;
  find(set, prefix_of(key), key, &place);
  return place;
}

bool key_set_next(const KeySet *set, KeyPlace *place, Str *key, uint64_t *number) {
  while (place->block < set->block_count && place->entry >= set->blocks[place->block]->count) {
    place->block++;
    place->entry = 0;
  }
  if (place->block >= set->block_count) return false;
  const KeyEntry *e = &set->blocks[place->block]->entries[place->entry++];
  *key = (Str){e->at, e->size};
  *number = e->number;
  return true;
}

void key_set_deinit(KeySet *set) {
  for (uint32_t i = 0; i < set->block_count; i++) {
    for (uint32_t k = 0; k < set->blocks[i]->count; k++) mem_free(set->blocks[i]->entries[k].at);
    mem_free(set->blocks[i]);
  }
  mem_free(set->blocks);
  *set = (KeySet){0};
}
