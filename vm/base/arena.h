/* An arena: allocate freely, free once. Memory is zeroed and 16-byte aligned. */
#ifndef Z8_ARENA_H
#define Z8_ARENA_H
#include "vm/base/base.h"
typedef struct ArenaChunk ArenaChunk;
typedef struct Arena {
  ArenaChunk *chunks;
  char *next, *end;
  size_t total; /* bytes taken from the host */
} Arena;
void arena_init(Arena *arena);
void arena_deinit(Arena *arena);
void *arena_more(Arena *arena, size_t size); /* slow path of arena_alloc */
static inline void *arena_alloc(Arena *arena, size_t size) {
  size = (size + 15 + !size) & ~(size_t)15;
  if (LIKELY((size_t)(arena->end - arena->next) >= size)) {
    void *p = arena->next;
    arena->next += size;
    return p;
  }
  return arena_more(arena, size);
}
#define ARENA_NEW(arena, Type) ((Type *)arena_alloc(arena, sizeof(Type)))
#define ARENA_ARRAY(arena, Type, count) ((Type *)arena_alloc(arena, sizeof(Type) * (size_t)(count)))
Str arena_str(Arena *arena, Str s); /* a copy, terminated too */
#endif
