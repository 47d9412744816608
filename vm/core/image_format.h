/* The bytes of an image, for the two files that write and read it (integers
** little-endian):
**
**   "Z8IM"  format u16  semantics u16  bundle id [32]
**   ticks u64  ticks_limit u64  charged u64  charged_limit u64
**   objects u64, each: kind u8  flags u8 (SHARED)  aux u16  size u32, then by kind
**     FLOAT INT TIME DURATION  8 bytes            DECIMAL (aux: scale)  16
**     STRING BYTES  size bytes, zeros to 8        LIST  size words      MAP  size pairs of words
** RECORD CLOSURE shape or function u32, 0 u32, size words HANDLE run [16], seq u64, word
**     SEALED  word        ERROR (aux: catchable)  4 words               RANGE  24
**   fiber_count u32  alive u32, each: id u32  status dest raised 0 (u8)
**     frames u32, each: fn u32  pc u32  base u32  ret u8  flags u8  0 u16
**     words u32, the words, result word
**   config word  roots 8 words  extra u64 size and bytes, zeros to 8
**   SHA-256 of all before
**
** A word is a value, but for references: n << 4 is the n-th object (from 0; only
** ones written before it, so there can be no cycle), n << 4 | 8 constant n. */
#ifndef Z8_IMAGE_FORMAT_H
#define Z8_IMAGE_FORMAT_H

#include "vm/core/heap.h"

enum {
  IMAGE_FORMAT = 1,
  IMAGE_HEAD = 40,
  IMAGE_REF_SHIFT = 4,
  IMAGE_REF_CONST = 8,
  IMAGE_FIBERS_MAX = 1 << 24
};

/* Words of values that follow an object's fixed part; all of them for kinds that have no other. */
static inline uint64_t image_words(uint8_t kind, uint32_t size) {
  switch (kind) {
    case OBJ_LIST: case OBJ_RECORD: case OBJ_CLOSURE: return size;
    case OBJ_MAP: return (uint64_t)size * 2;
    case OBJ_HANDLE: case OBJ_SEALED: return 1;
    case OBJ_ERROR: return 4;
    default: return 0;
  }
}

/* Bytes of the fixed part, after the header. */
static inline uint64_t image_fixed(uint8_t kind, uint32_t size) {
  switch (kind) {
    case OBJ_FLOAT:
    case OBJ_INT:
    case OBJ_TIME:
    case OBJ_DURATION:
    case OBJ_RECORD:
    case OBJ_CLOSURE: return 8;
    case OBJ_DECIMAL: return 16;
    case OBJ_HANDLE: case OBJ_RANGE: return 24;
    case OBJ_STRING: case OBJ_BYTES: return ((uint64_t)size + 7) & ~(uint64_t)7;
    default: return 0;
  }
}

#endif
