/* The intern table: one struct per spelling, found by an open-addressed table of
** pointers. Words of the language are put in first, so that a look-up tells them. */
#include "compiler/front/token.h"
#include "vm/base/arena.h"

typedef struct Slot {
  uint32_t hash;
  Name *name; /* NULL: free */
} Slot;

struct Names {
  Arena *arena;
  Slot *slots;
  uint32_t mask, count;
};

static inline uint64_t load8(const char *at) {
  uint64_t word;
  memcpy(&word, at, 8);
  return word;
}

static inline uint64_t load4(const char *at) {
  uint32_t word;
  memcpy(&word, at, 4);
  return word;
}

/* The last bytes of a name, at most eight, read without a loop: loads that overlap. */
static inline uint64_t load_tail(const char *at, size_t size) {
  if (size >= 4) return load4(at) << 32 | load4(at + size - 4);
  if (size == 0) return 0;
  return (uint64_t)(uint8_t)at[0] << 16 | (uint64_t)(uint8_t)at[size / 2] << 8 |
         (uint8_t)at[size - 1];
}

static inline uint32_t name_hash(const char *at, size_t size) {
  uint64_t h = size * 0x9e3779b97f4a7c15u;
  while (size > 8) {
    h = (h ^ load8(at)) * 0xd6e8feb86659fd93u;
    h ^= h >> 32;
    at += 8;
    size -= 8;
  }
  h = (h ^ load_tail(at, size)) * 0xd6e8feb86659fd93u;
  return (uint32_t)(h ^ h >> 32);
}

static void names_grow(Names *names) {
  uint32_t capacity = (names->mask + 1) * 4;
  Slot *slots = ARENA_ARRAY(names->arena, Slot, capacity);
  for (uint32_t i = 0; i <= names->mask; i++) {
    Slot slot = names->slots[i];
    if (!slot.name) continue;
    uint32_t at = slot.hash & (capacity - 1);
    while (slots[at].name) at = (at + 1) & (capacity - 1);
    slots[at] = slot;
  }
  names->slots = slots;
  names->mask = capacity - 1;
}

/* The spelling stands right behind the struct: who has one at hand has both. */
static Name *name_make(Names *names, Str text, uint32_t hash, Slot *slot) {
  Name *name = arena_alloc(names->arena, sizeof(Name) + text.size + 1);
  char *copy = (char *)(name + 1);
  memcpy(copy, text.at, text.size);
  name->text = (Str){copy, text.size};
  name->hash = hash;
  *slot = (Slot){hash, name};
  if (++names->count > names->mask / 2) names_grow(names);
  return name;
}

Name *name_intern(Names *names, Str text) {
  uint32_t hash = name_hash(text.at, text.size);
  for (uint32_t at = hash & names->mask;; at = (at + 1) & names->mask) {
    Slot *slot = &names->slots[at];
    if (!slot->name) return name_make(names, text, hash, slot);
    if (slot->hash == hash && str_equal(slot->name->text, text)) return slot->name;
  }
}

Names *names_new(Arena *arena) {
  Names *names = ARENA_NEW(arena, Names);
  *names = (Names){.arena = arena, .mask = 1023};
  names->slots = ARENA_ARRAY(arena, Slot, 1024);
  for (uint16_t word = WORD_NONE + 1; word_info[word].text; word++) {
    name_intern(names, str_of(word_info[word].text))->word = word;
  }
  return names;
}
