/* The intern table: one struct per spelling, found by an open-addressed table of
** pointers. Words of the language are put in first, so that a look-up tells them. */
#include "compiler/front/token.h"
#include "vm/base/arena.h"

struct Names {
  Arena *arena;
  Name **slots;
  uint32_t mask, count;
};

static uint64_t load(const char *at, size_t size) {
  uint64_t word = 0;
  memcpy(&word, at, size);
  return word;
}

/* Eight bytes a step; most names take one. */
static uint32_t name_hash(const char *at, size_t size) {
  uint64_t h = size * 0x9e3779b97f4a7c15u;
  while (size > 8) {
    h = (h ^ load(at, 8)) * 0xd6e8feb86659fd93u;
    h ^= h >> 32;
    at += 8;
    size -= 8;
  }
  h = (h ^ load(at, size)) * 0xd6e8feb86659fd93u;
  return (uint32_t)(h ^ h >> 32);
}

static void names_grow(Names *names) {
  uint32_t capacity = (names->mask + 1) * 2;
  Name **slots = ARENA_ARRAY(names->arena, Name *, capacity);
  for (uint32_t i = 0; i <= names->mask; i++) {
    Name *name = names->slots[i];
    if (!name) continue;
    uint32_t at = name->hash & (capacity - 1);
    while (slots[at]) at = (at + 1) & (capacity - 1);
    slots[at] = name;
  }
  names->slots = slots;
  names->mask = capacity - 1;
}

static Name *name_make(Names *names, Str text, uint32_t hash, uint32_t slot) {
  Name *name = ARENA_NEW(names->arena, Name);
  name->text = arena_str(names->arena, text);
  name->hash = hash;
  names->slots[slot] = name;
  if (++names->count > names->mask / 2) names_grow(names);
  return name;
}

Name *name_intern(Names *names, Str text) {
  uint32_t hash = name_hash(text.at, text.size);
  for (uint32_t at = hash & names->mask;; at = (at + 1) & names->mask) {
    Name *name = names->slots[at];
    if (!name) return name_make(names, text, hash, at);
    if (name->hash == hash && str_equal(name->text, text)) return name;
  }
}

Names *names_new(Arena *arena) {
  Names *names = ARENA_NEW(arena, Names);
  *names = (Names){.arena = arena, .mask = 1023};
  names->slots = ARENA_ARRAY(arena, Name *, 1024);
  for (uint16_t word = WORD_NONE + 1; word_info[word].text; word++) {
    name_intern(names, str_of(word_info[word].text))->word = word;
  }
  return names;
}
