/* A growing byte buffer with a declared maximum. Past it nothing is appended and
** `full` is set: check once at the end. A zeroed Buf has the maximum BUF_MAX. */
#ifndef Z8_BUF_H
#define Z8_BUF_H
#include <stdarg.h>
#include "vm/base/base.h"
#define BUF_MAX ((size_t)1 << 31)
typedef struct Buf {
  char *at;
  size_t size, cap, max; /* max 0 means BUF_MAX */
  bool full;
} Buf;
void buf_deinit(Buf *buf);
static inline void buf_clear(Buf *buf) { buf->size = 0; buf->full = false; }
char *buf_more(Buf *buf, size_t size); /* room for `size` bytes at the end (not yet counted); NULL when full */
/* The same, inline while there is room; then `buf->size += size` once written. */
static inline char *buf_room(Buf *buf, size_t size) {
  return LIKELY(buf->cap - buf->size >= size && size) ? buf->at + buf->size : buf_more(buf, size);
}
void buf_put(Buf *buf, const void *bytes, size_t size);
static inline void buf_str(Buf *buf, Str s) { buf_put(buf, s.at, s.size); }
static inline void buf_text(Buf *buf, const char *text) { buf_put(buf, text, strlen(text)); }
static inline void buf_byte(Buf *buf, uint8_t byte) {
  if (LIKELY(buf->size < buf->cap)) buf->at[buf->size++] = (char)byte;
  else buf_put(buf, &byte, 1);
}
void buf_format(Buf *buf, const char *format, ...) PRINTF_LIKE(2, 3);
void buf_vformat(Buf *buf, const char *format, va_list args);
static inline Str buf_view(const Buf *buf) { return (Str){buf->at, buf->size}; }
#endif
