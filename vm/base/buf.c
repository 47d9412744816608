/* Buffers double until their maximum. Once `full`, nothing more goes in, even what would
** still fit: a text with a hole in it is worse than one cut short. */
#include "vm/base/buf.h"
#include <stdio.h>
#include "vm/base/mem.h"

void buf_deinit(Buf *buf) {
  mem_free(buf->at);
  *buf = (Buf){.max = buf->max};
}

char *buf_more(Buf *buf, size_t size) {
  size_t max = buf->max ? buf->max : BUF_MAX;
  if (buf->full || buf->size > max || size > max - buf->size) {
    buf->full = true;
    buf->cap = buf->size; /* so that the inline paths come here too */
    return NULL;
  }
  if (buf->cap - buf->size < size || !buf->at) {
    size_t cap = buf->cap < 64 ? 64 : buf->cap * 2;
    if (cap < buf->size + size) cap = buf->size + size;
    if (cap > max) cap = max;
    buf->at = mem_realloc(buf->at, cap);
    buf->cap = cap;
  }
  return buf->at + buf->size;
}

void buf_put(Buf *buf, const void *bytes, size_t size) {
  if (size == 0) return;
  char *room = buf_room(buf, size);
  if (!room) return;
  memcpy(room, bytes, size);
  buf->size += size;
}

void buf_vformat(Buf *buf, const char *format, va_list args) {
  char small[256];
  va_list again;
  va_copy(again, args);
  int size = vsnprintf(small, sizeof small, format, args);
  ASSERT(size >= 0);
  if ((size_t)size < sizeof small) {
    buf_put(buf, small, (size_t)size);
  } else {
    char *large = mem_alloc((size_t)size + 1);
    vsnprintf(large, (size_t)size + 1, format, again);
    buf_put(buf, large, (size_t)size);
    mem_free(large);
  }
  va_end(again);
}

void buf_format(Buf *buf, const char *format, ...) {
  va_list args;
  va_start(args, format);
  buf_vformat(buf, format, args);
  va_end(args);
}
