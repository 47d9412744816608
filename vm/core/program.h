/* What vm/core keeps of a program besides its bundle: constants as values, one
** compact line per function, where instructions start. Read-only once made. */
#ifndef Z8_PROGRAM_H
#define Z8_PROGRAM_H

#include "vm/core/heap.h"

typedef struct FnInfo { /* what a call needs, in half a cache line */
  const uint32_t *code;
  uint32_t cache; /* its first slot in machine->cache */
  uint8_t regs, params, captures, min_args;
  uint8_t flags;       /* FN_* */
  uint8_t frame_flags; /* FRAME_PURE or 0 */
  uint8_t kind;
  uint8_t quick; /* arguments with which a call has nothing to fill; FILLED: the whole frame is,
                    always */
  uint32_t code_count;
  uint32_t padding[2];
} FnInfo;

enum { FILLED = 255 };

struct Program {
  const Bundle *bundle;
  FnInfo *fns;
  Value *consts;
  uint8_t *cover; /* a byte for each word of the bundle's code, set where it is reached; NULL: nobody asks */
  uint32_t cache_total;
  uint32_t *methods; /* indexes of bundle->methods, sorted by (name, kind) as numbers */
  uint8_t *width;    /* per code word: words of the instruction that starts there, 0 inside one */
  char *block;       /* the constants: each object behind a word that holds its index */
  size_t block_size;
  Value chars[128];  /* strings of one ASCII character, constants from bundle->const_count on */
  Value empty;       /* "", after them */
  Value zero;        /* 0.0, the last */
};

/* Constants by the numbers images give them: the bundle's, then `chars`, `empty`, `zero`. */
static inline uint32_t program_const_count(const Program *p) {
  return p->bundle->const_count + 130;
}
Value program_const(const Program *p, uint32_t index);
static inline uint32_t const_index(Value v) { return (uint32_t)((uint64_t *)(uintptr_t)v)[-1]; }

/* NULL when receivers of that kind have no such method. */
const BundleMethod *program_method(const Program *p, uint32_t name, TypeKind kind);
/* The instruction that ends where word `pc` of the function begins; NULL if none does. */
const uint32_t *program_before(const Program *p, uint32_t fn, uint32_t pc);
bool program_starts(const Program *p, uint32_t fn, uint32_t pc);
/* The slot of the field a shape calls so; -1 if it has none. */
int32_t shape_slot(const Bundle *b, uint32_t shape, Str name);

#endif
