/* Allocation that never returns NULL: out of memory on the host aborts with a
** message. A guest cannot cause it (see lang/limits.def). Freed with mem_free. */
#ifndef Z8_MEM_H
#define Z8_MEM_H
#include "vm/base/base.h"
void *mem_alloc(size_t size);                     /* zeroed */
void *mem_realloc(void *old, size_t size);        /* what is new is not zeroed */
void mem_free(void *p);                           /* NULL is fine */
void mem_trim(void);                              /* much was freed: it goes back to the system; takes milliseconds */
#define MEM_NEW(Type) ((Type *)mem_alloc(sizeof(Type)))
/* Grows an array of `item` bytes so that `need` fit, doubling *cap; what is new is zeroed. */
void *mem_grow(void *old, uint32_t *cap, uint32_t need, size_t item);
#endif
