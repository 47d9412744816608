/* Allocation. Every caller may rely on a result, so running out ends the process here,
** with words; budgets that a guest could exhaust fault long before. */
#include "vm/base/mem.h"
#include <stdio.h>
#ifdef __GLIBC__
#include <malloc.h>
#endif
#include <stdlib.h>

NO_RETURN void assert_failed(const char *what, const char *file, int line) {
  fprintf(stderr, "z8: internal error: %s (%s:%d). Please report this.\n", what, file, line);
  fflush(stderr);
  abort();
}

NO_RETURN static void out_of_memory(size_t size) {
  fprintf(stderr, "z8: out of memory: the system refused %zu bytes\n", size);
  fflush(stderr);
  abort();
}

void *mem_alloc(size_t size) {
  void *p = calloc(1, size ? size : 1);
  if (UNLIKELY(!p)) out_of_memory(size);
  return p;
}

void *mem_realloc(void *old, size_t size) {
  void *p = realloc(old, size ? size : 1);
  if (UNLIKELY(!p)) out_of_memory(size);
  return p;
}

void mem_free(void *p) { free(p); }

void *mem_grow(void *old, uint32_t *cap, uint32_t need, size_t item) {
  if (need <= *cap) return old;
  uint64_t count = *cap ? *cap : 8;
  while (count < need) count *= 2;
  if (count > UINT32_MAX) count = UINT32_MAX;
  if (item && count > SIZE_MAX / 2 / item) out_of_memory(SIZE_MAX);
  char *p = mem_realloc(old, (size_t)count * item);
  memset(p + (size_t)*cap * item, 0, (size_t)(count - *cap) * item);
  *cap = (uint32_t)count;
  return p;
}

void mem_trim(void) {
#ifdef __GLIBC__
  malloc_trim(0);
#endif
}
