/* Entries stand in one array in the order they came; a second array of their numbers is the
** hash index (linear probing, at most two thirds full). A removed entry stays as a gap until the
** next growth, so that a walk may remove what it stands on. */
#include "vm/base/table.h"
#include "vm/base/hash.h"
#include "vm/base/mem.h"

enum { SMALL_KEY = 16 };

typedef struct Entry {
  void *value; /* NULL: removed */
  uint64_t hash;
  size_t size;
  union {
    char small[SMALL_KEY];
    char *large;
  } key;
} Entry;

struct Table {
  Entry *entries;
  uint32_t *index; /* entry number + 1; 0 is free */
  uint32_t used, cap, count, index_mask;
};

Table *table_new(void) { return MEM_NEW(Table); }

static void entry_drop(Entry *e) {
  if (e->value && e->size > SMALL_KEY) mem_free(e->key.large);
  e->value = NULL;
}

void table_free(Table *t) {
  if (!t) return;
  for (uint32_t i = 0; i < t->used; i++) entry_drop(&t->entries[i]);
  mem_free(t->entries);
  mem_free(t->index);
  mem_free(t);
}

static inline const char *entry_key(const Entry *e) {
  return e->size > SMALL_KEY ? e->key.large : e->key.small;
}

static Entry *entry_find(const Table *t, Str key, uint64_t hash) {
  if (!t->index) return NULL;
  for (uint32_t i = (uint32_t)hash & t->index_mask; t->index[i]; i = (i + 1) & t->index_mask) {
    Entry *e = &t->entries[t->index[i] - 1];
    if (e->hash == hash && e->value && str_equal((Str){entry_key(e), e->size}, key)) return e;
  }
  return NULL;
}

void *table_get(const Table *t, Str key) {
  Entry *e = entry_find(t, key, hash_bytes(key.at, key.size));
  return e ? e->value : NULL;
}

static void index_add(Table *t, uint32_t entry) {
  uint32_t i = (uint32_t)t->entries[entry].hash & t->index_mask;
  while (t->index[i]) i = (i + 1) & t->index_mask;
  t->index[i] = entry + 1;
}

/* Makes room for one more: closes the gaps and builds the index anew, larger if need be. */
static void table_rebuild(Table *t) {
  uint32_t kept = 0;
  for (uint32_t i = 0; i < t->used; i++) {
    if (t->entries[i].value) t->entries[kept++] = t->entries[i];
  }
  t->used = kept;
  if (kept >= t->cap / 2) t->entries = mem_grow(t->entries, &t->cap, t->cap + 1, sizeof(Entry));
  uint32_t size = 16;
  while (size / 3 * 2 < t->cap) size *= 2;
  mem_free(t->index);
  t->index = mem_alloc(size * sizeof *t->index);
  t->index_mask = size - 1;
  for (uint32_t i = 0; i < kept; i++) index_add(t, i);
}

static void entry_set_key(Entry *e, Str key) {
  e->size = key.size;
  if (key.size > SMALL_KEY) e->key.large = mem_alloc(key.size);
  if (key.size) memcpy(key.size > SMALL_KEY ? e->key.large : e->key.small, key.at, key.size);
}

void table_set(Table *t, Str key, void *value) {
  uint64_t hash = hash_bytes(key.at, key.size);
  Entry *e = entry_find(t, key, hash);
  if (e && value) {
    e->value = value;
  } else if (e) {
    entry_drop(e);
    t->count--;
  } else if (value) {
    if (t->used == t->cap) table_rebuild(t);
    e = &t->entries[t->used];
    entry_set_key(e, key);
    e->hash = hash;
    e->value = value;
    index_add(t, t->used++);
    t->count++;
  }
}

uint32_t table_count(const Table *t) { return t->count; }

bool table_next(const Table *t, uint32_t *cursor, Str *key, void **value) {
  while (*cursor < t->used) {
    const Entry *e = &t->entries[(*cursor)++];
    if (!e->value) continue;
    if (key) *key = (Str){entry_key(e), e->size};
    if (value) *value = e->value;
    return true;
  }
  return false;
}
