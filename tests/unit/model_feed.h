/* For tests of providers: calls from JSON, replies fed whole, byte by byte and in random cuts, and damaged ones. */
#ifndef Z8_MODEL_FEED_H
#define Z8_MODEL_FEED_H

#include "test.h"
#include "vm/base/cbor.h"
#include "vm/base/mem.h"
#include "vm/effects/model_impl.h"

static inline void feed_encode(const char *json, Buf *out) {
  Err err = {0};
  if (!cbor_from_json(str_of(json), out, &err)) fprintf(stderr, "%s: %s\n", json, err.text);
  CHECK(err.code == ERR_NONE);
}

/* The body the call becomes, or the error's text. */
static inline void feed_request(const char *call_json, ModelHttp *http, Buf *body) {
  Buf call = {0};
  Err err = {0};
  feed_encode(call_json, &call);
  if (model_request(buf_view(&call), http, &err)) buf_str(body, buf_view(&http->body));
  else buf_text(body, err.text);
  buf_deinit(&call);
}

static inline void expect_body(const char *call_json, const char *want) {
  ModelHttp http;
  Buf body = {0}, parsed = {0};
  feed_request(call_json, &http, &body);
  CHECK_STR(buf_view(&body), str_of(want));
  Err err;
  CHECK(want[0] != '{' || cbor_from_json(buf_view(&body), &parsed, &err));
  model_http_deinit(&http);
  buf_deinit(&body);
  buf_deinit(&parsed);
}

static inline Str feed_header(const ModelHttp *http, const char *name) {
  for (uint32_t i = 0; i < http->header_count; i++) {
    if (strcmp(http->headers[i].name, name) == 0) return http->headers[i].value;
  }
  return (Str){0};
}

static inline void feed_json(Str value, Buf *out) {
  Err err;
  if (!value.at) buf_text(out, "absent");
  else CHECK(cbor_to_json(value, out, &err));
}

/* ok: text | calls | stop | refusal | input cached cache_write output reasoning exact | raw
** else: outcome code class wait_us */
static inline void feed_summary(const char *outcome, Str value, Buf *out) {
  static const char *const fields[] = {"text", "calls", "stop", "refusal"};
  static const char *const counts[] = {"input", "cached", "cache_write", "output", "reasoning", "exact"};
  if (strcmp(outcome, "ok") != 0) {
    CborReader r = cbor_reader(value);
    CborItem item;
    uint64_t count;
    Str code, message, data;
    Err err;
    CHECK(cbor_next(&r, &item, &err) && item.n == CBOR_TAG_ERROR);
    CHECK(cbor_array(&r, &count, &err) && cbor_text(&r, &code, &err) && cbor_text(&r, &message, &err));
    CHECK(cbor_skip(&r, &data, &err));
    buf_format(out, "%s " STR_FMT " " STR_FMT " ", outcome, STR_ARG(code), STR_ARG(value_get_text(data, "class")));
    feed_json(value_get(data, "wait_us"), out);
    return;
  }
  for (size_t i = 0; i < COUNT_OF(fields); i++) {
    feed_json(value_get(value, fields[i]), out);
    buf_text(out, " | ");
  }
  for (size_t i = 0; i < COUNT_OF(counts); i++) {
    feed_json(value_get(value_get(value, "usage"), counts[i]), out);
    buf_byte(out, ' ');
  }
  Str raw;
  buf_text(out, "| ");
  if (value_bytes(value_get(value, "raw"), &raw)) buf_str(out, raw);
  else buf_text(out, "nil");
}

static inline uint32_t feed_random(uint32_t *seed) { return *seed = *seed * 1664525u + 1013904223u, *seed >> 8; }

/* cut 0: all at once; 1: single bytes; else random pieces. */
static inline void feed_once(Str call, int status, Str bytes, uint32_t cut, bool lost, Buf *out, Buf *text) {
  ModelReader *r = model_reader_new(call);
  Buf value = {0};
  uint32_t seed = cut;
  model_reader_status(r, status);
  for (size_t at = 0; at < bytes.size;) {
    size_t size = cut == 0 ? bytes.size : cut == 1 ? 1 : 1 + feed_random(&seed) % 40;
    if (size > bytes.size - at) size = bytes.size - at;
    char *piece = mem_alloc(size); /* of its own, so that reading beyond is seen */
    memcpy(piece, bytes.at + at, size);
    bool more = model_reader_feed(r, (Str){piece, size}, text);
    mem_free(piece);
    at += size;
    if (!more) break;
  }
  const char *outcome = model_reader_end(r, lost, true, STR("reset by peer"), &value);
  feed_summary(outcome, buf_view(&value), out);
  buf_deinit(&value);
  model_reader_free(r);
}

static inline void expect_reply(const char *call_json, int status, const char *bytes, bool lost, const char *want) {
  Buf call = {0};
  feed_encode(call_json, &call);
  for (uint32_t cut = 0; cut < 12; cut++) {
    Buf got = {0}, text = {0};
    feed_once(buf_view(&call), status, str_of(bytes), cut, lost, &got, &text);
    CHECK_STR(buf_view(&got), str_of(want));
    buf_deinit(&got);
    buf_deinit(&text);
  }
  buf_deinit(&call);
}

/* Every cut-off and many a changed byte of a stream: any outcome will do, a crash will not. */
static inline void damage(const char *call_json, const char *bytes) {
  Buf call = {0};
  size_t size = strlen(bytes);
  uint32_t seed = 7;
  feed_encode(call_json, &call);
  for (size_t i = 0; i < 2 * size + 400; i++) {
    Buf got = {0}, text = {0}, copy = {0};
    buf_put(&copy, bytes, i < size ? i : size);
    for (uint32_t k = 0; i >= size && k < 1 + i % 5; k++)
      copy.at[feed_random(&seed) % size] = (char)"\"{}[]:,\\0a\n\xff\x00-"[feed_random(&seed) % 14];
    feed_once(buf_view(&call), 200, buf_view(&copy), 2 + (uint32_t)i, i % 3 == 0, &got, &text);
    CHECK(got.size > 0);
    buf_deinit(&got);
    buf_deinit(&text);
    buf_deinit(&copy);
  }
  buf_deinit(&call);
}

#endif
