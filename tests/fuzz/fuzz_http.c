/* Any bytes as what a server sent, and as the operands of a request. The reply must become one
** well-formed value; the request must be read or refused, and no header may hold a line end. */
#include <stdlib.h>
#include <string.h>

#include "vm/base/cbor.h"
#include "vm/effects/http_message.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void reply_fuzz(Str text) {
  HttpReply reply = {.status = 200};
  Buf value = {0};
  Str whole;
  Err err;
  while (text.size > 0) {
    const char *end = memchr(text.at, '\n', text.size);
    size_t line = end != NULL ? (size_t)(end - text.at) + 1 : text.size;
    if (!http_reply_line(&reply, (Str){text.at, line})) break;
    text = (Str){text.at + line, text.size - line};
    if (line <= 2) break;
  }
  buf_str(&reply.body, text);
  http_reply_encode(&reply, &value);
  CborReader r = cbor_reader(buf_view(&value));
  if (!cbor_skip(&r, &whole, &err) || whole.size != value.size) abort();
  http_reply_deinit(&reply);
  buf_deinit(&value);
}

static void request_fuzz(Str operands) {
  HttpRequest request;
  Err err = {0};
  if (http_request_read(operands, &request, &err)) {
    for (uint32_t i = 0; i < request.header_count; i++) {
      HttpHeader h = request.headers[i];
      if (h.value.size > 0 &&
          (memchr(h.value.at, '\n', h.value.size) || memchr(h.value.at, '\r', h.value.size)))
        abort();
    }
    (void)http_origin((Str){request.url.at, request.url.size - 1});
  }
  http_request_deinit(&request);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  Str text = {(const char *)data, size};
  reply_fuzz(text);
  request_fuzz(text);
  (void)http_origin(text);
  return 0;
}
