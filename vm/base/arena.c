/* An arena is a list of chunks, each twice the one before up to a megabyte. Chunks come
** zeroed from mem_alloc and are never reused, so arena_alloc has nothing to clear. */
#include "vm/base/arena.h"
#include "vm/base/mem.h"

enum { CHUNK_FIRST = 4096, CHUNK_LAST = 1 << 20 };

struct ArenaChunk {
  ArenaChunk *before;
  size_t size; /* of what follows */
};
_Static_assert(sizeof(ArenaChunk) % 16 == 0, "what follows a chunk's head is 16-byte aligned");

void arena_init(Arena *arena) { *arena = (Arena){0}; }

void arena_deinit(Arena *arena) {
  for (ArenaChunk *chunk = arena->chunks; chunk;) {
    ArenaChunk *before = chunk->before;
    mem_free(chunk);
    chunk = before;
  }
  *arena = (Arena){0};
}

static ArenaChunk *chunk_new(Arena *arena, size_t size) {
  ArenaChunk *chunk = mem_alloc(sizeof *chunk + size);
  chunk->size = size;
  arena->total += size;
  return chunk;
}

void *arena_more(Arena *arena, size_t size) {
  ASSERT(size < SIZE_MAX / 2);
  size_t usual = arena->chunks ? arena->chunks->size * 2 : CHUNK_FIRST;
  if (usual > CHUNK_LAST) usual = CHUNK_LAST;
  if (size > usual / 2 && arena->chunks) { /* its own chunk, behind the one being filled */
    ArenaChunk *chunk = chunk_new(arena, size);
    chunk->before = arena->chunks->before;
    arena->chunks->before = chunk;
    return chunk + 1;
  }
  ArenaChunk *chunk = chunk_new(arena, size > usual ? size : usual);
  chunk->before = arena->chunks;
  arena->chunks = chunk;
  arena->next = (char *)(chunk + 1) + size;
  arena->end = (char *)(chunk + 1) + chunk->size;
  return chunk + 1;
}

Str arena_str(Arena *arena, Str s) {
  char *copy = arena_alloc(arena, s.size + 1);
  if (s.size) memcpy(copy, s.at, s.size);
  return (Str){copy, s.size};
}
