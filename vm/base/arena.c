/* An arena is a list of chunks, each twice the one before up to some megabytes. Chunks come
** zeroed and are never reused, so arena_alloc has nothing to clear. Large ones are mapped on
** huge pages: a compilation of 100 000 lines would else spend a quarter of its time in page faults. */
#include <sys/mman.h>

#include "vm/base/arena.h"
#include "vm/base/mem.h"

enum { CHUNK_FIRST = 4096, CHUNK_LAST = 16 << 20, HUGE_FROM = 4 << 20, HUGE_PAGE = 2 << 20 };

struct ArenaChunk {
  ArenaChunk *before;
  size_t size;   /* of what follows */
  void *mapping; /* where its mapping begins, NULL if it is from mem_alloc */
  size_t mapped;
};
_Static_assert(sizeof(ArenaChunk) % 16 == 0, "what follows a chunk's head is 16-byte aligned");

void arena_init(Arena *arena) { *arena = (Arena){0}; }

void arena_deinit(Arena *arena) {
  for (ArenaChunk *chunk = arena->chunks; chunk;) {
    ArenaChunk *before = chunk->before;
    if (chunk->mapping) munmap(chunk->mapping, chunk->mapped);
    else mem_free(chunk);
    chunk = before;
  }
  *arena = (Arena){0};
}

/* Aligned to a huge page; NULL where the system gives no mapping. */
static ArenaChunk *chunk_map(size_t size) {
  size_t mapped = size + HUGE_PAGE;
  char *mapping = mmap(NULL, mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (mapping == MAP_FAILED) return NULL;
  char *aligned = (char *)(((uintptr_t)mapping + HUGE_PAGE - 1) & ~(uintptr_t)(HUGE_PAGE - 1));
  (void)madvise(aligned, size, MADV_HUGEPAGE);
  ArenaChunk *chunk = (ArenaChunk *)aligned;
  chunk->mapping = mapping;
  chunk->mapped = mapped;
  return chunk;
}

static ArenaChunk *chunk_new(Arena *arena, size_t size) {
  ArenaChunk *chunk = size >= HUGE_FROM ? chunk_map(sizeof *chunk + size) : NULL;
  if (!chunk) chunk = mem_alloc(sizeof *chunk + size);
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
