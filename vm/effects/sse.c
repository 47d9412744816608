/* Streams cut into events, one line at a time. Whole lines within one piece are not copied. */
#include "vm/effects/sse.h"

void sse_init(Sse *s, SseKind kind, size_t max) { *s = (Sse){.kind = kind, .max = max}; }

void sse_deinit(Sse *s) {
  buf_deinit(&s->line);
  buf_deinit(&s->data);
  buf_deinit(&s->name);
}

static Str view(const Buf *b) { return b->size > 0 ? buf_view(b) : (Str){"", 0}; }

static bool is_blank(Str s) {
  for (size_t i = 0; i < s.size; i++)
    if (s.at[i] != ' ' && s.at[i] != '\t') return false;
  return true;
}

/* The empty line: what was collected is one event. */
static SseResult dispatch(Sse *s, SseEvent *event, void *context) {
  bool more = !s->has_data || is_blank(view(&s->data)) || event(context, view(&s->name), view(&s->data));
  buf_clear(&s->data);
  buf_clear(&s->name);
  s->has_data = false;
  return more ? SSE_MORE : SSE_STOPPED;
}

/* "field: value"; one space after the colon is no part of the value. */
static void field(Sse *s, Str line) {
  const char *colon = memchr(line.at, ':', line.size);
  size_t size = colon ? (size_t)(colon - line.at) : line.size;
  Str name = {line.at, size};
  Str value = colon ? (Str){colon + 1, line.size - size - 1} : (Str){"", 0};
  if (value.size > 0 && value.at[0] == ' ') value = (Str){value.at + 1, value.size - 1};
  if (str_equal(name, STR("data"))) {
    if (s->has_data) buf_byte(&s->data, '\n');
    buf_str(&s->data, value);
    s->has_data = true;
  } else if (str_equal(name, STR("event"))) {
    buf_clear(&s->name);
    buf_str(&s->name, value);
  }
}

static SseResult line_end(Sse *s, Str line, SseEvent *event, void *context) {
  if (!s->begun && line.size >= 3 && memcmp(line.at, "\xef\xbb\xbf", 3) == 0)
    line = (Str){line.at + 3, line.size - 3};
  s->begun = true;
  if (s->kind == SSE_LINES) return is_blank(line) || event(context, STR(""), line) ? SSE_MORE : SSE_STOPPED;
  if (line.size == 0) return dispatch(s, event, context);
  field(s, line);
  return s->data.size + s->name.size > s->max ? SSE_TOO_LARGE : SSE_MORE;
}

static size_t line_size(Str bytes) {
  for (size_t i = 0; i < bytes.size; i++)
    if (bytes.at[i] == '\n' || bytes.at[i] == '\r') return i;
  return bytes.size;
}

/* The line that ends here: what is left of earlier pieces, and this. */
static SseResult line_take(Sse *s, Str part, SseEvent *event, void *context) {
  if (s->line.size == 0) return line_end(s, part, event, context);
  buf_str(&s->line, part);
  SseResult result = line_end(s, buf_view(&s->line), event, context);
  buf_clear(&s->line);
  return result;
}

SseResult sse_feed(Sse *s, Str bytes, SseEvent *event, void *context) {
  while (bytes.size > 0) {
    bool rest_of_crlf = s->after_cr && bytes.at[0] == '\n';
    s->after_cr = false;
    if (rest_of_crlf) {
      bytes = (Str){bytes.at + 1, bytes.size - 1};
      continue;
    }
    size_t size = line_size(bytes);
    if (s->line.size + size > s->max) return SSE_TOO_LARGE;
    if (size == bytes.size) {
      buf_str(&s->line, bytes);
      return SSE_MORE;
    }
    s->after_cr = bytes.at[size] == '\r';
    SseResult result = line_take(s, (Str){bytes.at, size}, event, context);
    if (result != SSE_MORE) return result;
    bytes = (Str){bytes.at + size + 1, bytes.size - size - 1};
  }
  return SSE_MORE;
}

SseResult sse_end(Sse *s, SseEvent *event, void *context) {
  SseResult result = SSE_MORE;
  if (s->line.size > 0) result = line_take(s, (Str){"", 0}, event, context);
  if (result == SSE_MORE && s->kind == SSE_EVENTS) result = dispatch(s, event, context);
  return result;
}
