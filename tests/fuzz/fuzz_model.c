/* Any bytes as what a model's provider sent, and as the call that is sent to it. The first byte says which provider and
** whether a stream was asked for; a line "status name: value" may follow. However the bytes are cut the outcome is the
** same one well-formed value, and a request has one-line headers and a body that is JSON. */
#include <stdlib.h>
#include <string.h>

#include "vm/base/cbor.h"
#include "vm/base/text.h"
#include "vm/effects/model.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const names[PROVIDER_COUNT] = {"openai", "openai_responses", "anthropic", "ollama", "offline"};

static void call_make(uint8_t kind, Buf *out) {
  cbor_put_tag(out, CBOR_TAG_MAP);
  cbor_put_array(out, 8);
  cbor_put_text(out, STR("provider"));
  cbor_put_text(out, str_of(names[kind / 2 % PROVIDER_COUNT]));
  cbor_put_text(out, STR("name"));
  cbor_put_text(out, STR("m"));
  cbor_put_text(out, STR("stream"));
  cbor_put_bool(out, kind % 2);
  cbor_put_text(out, STR("messages"));
  cbor_put_array(out, 1);
  cbor_put_tag(out, CBOR_TAG_MAP);
  cbor_put_array(out, 4);
  cbor_put_text(out, STR("role"));
  cbor_put_text(out, STR("user"));
  cbor_put_text(out, STR("content"));
  cbor_put_text(out, STR("hi"));
}

/* "429 retry-after: 5" gives a status and a header. */
static Str head_take(ModelReader *r, Str text) {
  const char *end = text.size > 0 ? memchr(text.at, '\n', text.size) : NULL;
  bool has = end && end - text.at > 4 && text.at[3] == ' ' && text.at[0] >= '1' && text.at[0] <= '5';
  model_reader_status(r, has ? (text.at[0] - '0') * 100 + (uint8_t)text.at[1] % 10 * 10 + (uint8_t)text.at[2] % 10 : 200);
  if (!has) return text;
  Str header = {text.at + 4, (size_t)(end - text.at) - 4};
  const char *colon = memchr(header.at, ':', header.size);
  size_t name = colon ? (size_t)(colon - header.at) : header.size;
  size_t value = name + 1 < header.size ? name + 1 : header.size;
  model_reader_header(r, (Str){header.at, name}, (Str){header.at + value, header.size - value});
  return (Str){end + 1, text.size - (size_t)(end + 1 - text.at)};
}

static const char *reply_read(uint8_t kind, Str text, size_t step, Buf *value) {
  Buf call = {0}, shown = {0};
  Str id, whole;
  uint64_t after;
  Err err;
  call_make(kind, &call);
  ModelReader *r = model_reader_new(buf_view(&call));
  text = head_take(r, text);
  for (bool more = true; text.size > 0 && more;) {
    size_t size = step < text.size ? step : text.size;
    more = model_reader_feed(r, (Str){text.at, size}, &shown);
    text = (Str){text.at + size, text.size - size};
  }
  if (shown.size > 0 && !utf8_valid(buf_view(&shown))) abort();
  (void)model_reader_resume(r, &id, &after);
  const char *outcome = model_reader_end(r, kind & 64, true, STR("lost"), value);
  CborReader read = cbor_reader(buf_view(value));
  if (!cbor_skip(&read, &whole, &err) || whole.size != value->size) abort();
  if (strcmp(outcome, "ok") && strcmp(outcome, "error") && strcmp(outcome, "unknown")) abort();
  model_reader_free(r);
  buf_deinit(&shown);
  buf_deinit(&call);
  return outcome;
}

static void reply_fuzz(uint8_t kind, Str text) {
  Buf whole = {0}, cut = {0};
  const char *one = reply_read(kind, text, SIZE_MAX, &whole), *other = reply_read(kind, text, 1 + kind % 7, &cut);
  if (strcmp(one, other) || !str_equal(buf_view(&whole), buf_view(&cut))) abort();
  buf_deinit(&whole);
  buf_deinit(&cut);
}

static void request_fuzz(Str call) {
  ModelHttp http;
  Buf value = {0};
  Err err;
  ModelTokens tokens = model_tokens(call);
  if (tokens.likely > tokens.most) abort();
  model_reader_free(model_reader_new(call));
  if (!model_request(call, &http, &err)) return;
  for (uint32_t i = 0; i < http.header_count; i++) {
    Str v = http.headers[i].value;
    if (v.size > 0 && (memchr(v.at, '\n', v.size) || memchr(v.at, '\r', v.size))) abort();
  }
  if (http.body.size > 0 && !cbor_from_json(buf_view(&http.body), &value, &err)) abort();
  model_http_deinit(&http);
  buf_deinit(&value);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  Str text = {(const char *)data, size};
  Buf value = {0};
  Err err;
  if (size == 0) return 0;
  if (data[0] == '{' && cbor_from_json(text, &value, &err)) request_fuzz(buf_view(&value)); /* a call as JSON */
  else request_fuzz(text);
  reply_fuzz(data[0], (Str){text.at + 1, size - 1});
  buf_deinit(&value);
  return 0;
}
