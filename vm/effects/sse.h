/* Streams cut into events: server-sent events as the WHATWG describes them (CR, LF or CRLF, comments, data on several
** lines, a byte order mark, bytes cut anywhere), or one text a line (NDJSON). Nothing is known of what is inside.
** `id` and `retry` fields are ignored: nobody reconnects by them here. */
#ifndef Z8_SSE_H
#define Z8_SSE_H

#include "vm/base/buf.h"

typedef enum { SSE_EVENTS, SSE_LINES } SseKind;

typedef struct Sse {
  SseKind kind;
  size_t max;     /* bytes one event may have with its name */
  Buf line, data, name;
  bool after_cr;  /* a LF now belongs to the line end that was */
  bool begun;     /* past where a byte order mark may stand */
  bool has_data;
} Sse;

/* name is "" for an event without one, and for lines. Both are gone after the call. False: no more is wanted. */
typedef bool SseEvent(void *context, Str name, Str data);
typedef enum { SSE_MORE, SSE_STOPPED, SSE_TOO_LARGE } SseResult;

void sse_init(Sse *s, SseKind kind, size_t max);
void sse_deinit(Sse *s);
/* Empty events and empty lines are not given. */
SseResult sse_feed(Sse *s, Str bytes, SseEvent *event, void *context);
/* The end of the bytes. An event that lacks its empty line is given as well: servers forget it. */
SseResult sse_end(Sse *s, SseEvent *event, void *context);

#endif
