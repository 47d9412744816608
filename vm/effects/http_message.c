/* HTTP requests and replies as data. */
#include "vm/effects/http_message.h"

#include <strings.h>

#include "lang/tables.h"
#include "vm/base/cbor.h"
#include "vm/base/text.h"

/* ---- requests ---------------------------------------------------------------- */

static bool name_equal(Str a, Str b) {
  return a.size == b.size && strncasecmp(a.at, b.at, a.size) == 0;
}

static bool token_char(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
         (c != 0 && strchr("!#$%&'*+-.^_`|~", c) != NULL);
}

static bool is_token(Str s) {
  for (size_t i = 0; i < s.size; i++)
    if (!token_char(s.at[i])) return false;
  return s.size > 0 && s.size <= 200;
}

/* No control characters: a value cannot begin a header of its own. */
static bool is_plain(Str s) {
  for (size_t i = 0; i < s.size; i++)
    if (((unsigned char)s.at[i] < 0x20 && s.at[i] != '\t') || s.at[i] == 0x7f) return false;
  return true;
}

static bool text_of(Str value, Str *out) {
  CborReader r = cbor_reader(value);
  Err ignored;
  return value.at != NULL && cbor_text(&r, out, &ignored);
}

static bool is_nil(Str value) {
  return value.at == NULL || (value.size == 1 && (uint8_t)value.at[0] == 0xf6);
}

static bool method_read(Str map, HttpRequest *out, Err *err) {
  if (text_of(cbor_map_get(map, STR("method")), &out->method) && is_token(out->method) &&
      out->method.size <= 32)
    return true;
  FAIL(err, ERR_INVALID, "an http request needs a method, like \"GET\"");
  return false;
}

static bool url_read(Str map, HttpRequest *out, Err *err) {
  Str url;
  if (!text_of(cbor_map_get(map, STR("url")), &url)) {
    FAIL(err, ERR_INVALID, "an http request needs a url, a string");
    return false;
  }
  bool scheme = url.size > 8 &&
                (strncasecmp(url.at, "http://", 7) == 0 || strncasecmp(url.at, "https://", 8) == 0);
  if (!scheme || !is_plain(url) || url.size > 65536 || memchr(url.at, ' ', url.size) != NULL) {
    Str shown = http_origin(url);
    FAIL(err, ERR_INVALID,
         "this is no http url%s" STR_FMT
         "; it begins with http:// or https:// and has no spaces "
         "(url.encode helps)",
         shown.size > 0 ? ": " : "", STR_ARG(shown));
    return false;
  }
  buf_str(&out->url, url);
  buf_byte(&out->url, 0);
  return true;
}

/* Strings as they are; ints, floats and bools as they print. */
static bool header_value(HttpRequest *out, Str value, Str *text, Err *err) {
  CborReader r = cbor_reader(value);
  CborItem item;
  if (!cbor_next(&r, &item, err)) return false;
  *text = item.bytes;
  if (item.kind == CBOR_TEXT) return true;
  size_t start = out->texts.size;
  bool plain = item.kind == CBOR_UINT || item.kind == CBOR_NEGINT || item.kind == CBOR_FLOAT ||
               item.kind == CBOR_BOOL;
  if (!plain || buf_more(&out->texts, 64) == NULL || !cbor_to_json(value, &out->texts, err)) {
    FAIL(err, ERR_INVALID, "a header's value must be a string or a number");
    return false;
  }
  *text = (Str){out->texts.at + start, out->texts.size - start};
  return true;
}

static bool header_add(HttpRequest *out, Str name, Str value, Err *err) {
  Str text;
  if (out->header_count == HTTP_HEADERS_MAX) {
    FAIL(err, ERR_LIMIT, "an http request takes at most %d headers", HTTP_HEADERS_MAX);
    return false;
  }
  if (!header_value(out, value, &text, err)) return false;
  if (!is_token(name) || !is_plain(text)) {
    FAIL(err, ERR_INVALID,
         "a header's name is letters, digits and dashes, and its value one line: %.*s",
         is_plain(name) && name.size < 60 ? (int)name.size : 0, name.at);
    return false;
  }
  out->headers[out->header_count++] = (HttpHeader){name, text};
  return true;
}

static bool headers_read(Str map, HttpRequest *out, Err *err) {
  Str headers = cbor_map_get(map, STR("headers")), name, value;
  CborItem item;
  uint64_t count;
  if (is_nil(headers)) return true;
  CborReader r = cbor_reader(headers);
  out->texts.max = 0;
  if (buf_more(&out->texts, HTTP_HEADERS_MAX * 64) == NULL)
    return false; /* so that it never moves */
  if (!cbor_next(&r, &item, err) || item.kind != CBOR_TAG || item.n != CBOR_TAG_MAP ||
      !cbor_array(&r, &count, err)) {
    FAIL(err, ERR_INVALID, "headers must be a map of names to strings");
    return false;
  }
  for (uint64_t i = 0; i < count / 2; i++) {
    if (!cbor_text(&r, &name, err) || !cbor_skip(&r, &value, err)) {
      FAIL(err, ERR_INVALID, "a header's name must be a string");
      return false;
    }
    if (!is_nil(value) && !header_add(out, name, value, err)) return false;
  }
  return true;
}

static bool body_read(Str map, HttpRequest *out, Err *err) {
  Str json = cbor_map_get(map, STR("json")), body = cbor_map_get(map, STR("body"));
  CborItem item;
  if (!is_nil(json)) {
    out->has_body = true;
    out->body_type = "application/json";
    return cbor_to_json(json, &out->body, err);
  }
  if (is_nil(body)) return true;
  CborReader r = cbor_reader(body);
  if (!cbor_next(&r, &item, err)) return false;
  if (item.kind != CBOR_TEXT && item.kind != CBOR_BYTES) {
    FAIL(err, ERR_INVALID, "body must be a string or bytes; `json:` takes any value");
    return false;
  }
  out->has_body = true;
  out->body_type =
      item.kind == CBOR_TEXT ? "text/plain; charset=utf-8" : "application/octet-stream";
  buf_str(&out->body, item.bytes);
  return true;
}

static bool timeout_read(Str map, HttpRequest *out, Err *err) {
  Str timeout = cbor_map_get(map, STR("timeout"));
  CborItem item;
  if (is_nil(timeout)) return true;
  CborReader r = cbor_reader(timeout);
  if (cbor_next(&r, &item, err) && item.kind == CBOR_TAG && item.n == CBOR_TAG_DURATION &&
      cbor_int(&r, &out->timeout_us, err) && out->timeout_us > 0)
    return true;
  FAIL(err, ERR_INVALID, "timeout must be a duration, like 10s");
  return false;
}

bool http_request_read(Str operands, HttpRequest *out, Err *err) {
  CborReader r = cbor_reader(operands);
  uint64_t count;
  Str map;
  *out = (HttpRequest){0};
  if (!cbor_array(&r, &count, err) || count < 1 || !cbor_skip(&r, &map, err)) {
    FAIL(err, ERR_INVALID, "an http request is a map");
    return false;
  }
  return method_read(map, out, err) && url_read(map, out, err) && headers_read(map, out, err) &&
         body_read(map, out, err) && timeout_read(map, out, err);
}

bool http_request_has(const HttpRequest *r, Str name) {
  for (uint32_t i = 0; i < r->header_count; i++)
    if (name_equal(r->headers[i].name, name)) return true;
  return false;
}

static void wipe(Buf *buf) {
  if (buf->at != NULL) explicit_bzero(buf->at, buf->size);
  buf_deinit(buf);
}

void http_request_deinit(HttpRequest *r) {
  wipe(&r->url);
  wipe(&r->texts);
  wipe(&r->body);
}

Str http_origin(Str url) {
  const char *slashes = url.size > 3 ? memmem(url.at, url.size, "://", 3) : NULL;
  if (slashes == NULL || !is_plain(url) || !utf8_valid(url)) return (Str){0};
  size_t start = (size_t)(slashes - url.at) + 3, end = start;
  while (end < url.size && url.at[end] != '/' && url.at[end] != '?' && url.at[end] != '#') end++;
  if (memchr(url.at, '@', end) != NULL)
    return (Str){url.at, start - 3}; /* a password may stand before the host */
  return (Str){url.at, end < 200 ? end : 200};
}

/* ---- replies -------------------------------------------------------------------- */

static Str trimmed(Str s) {
  while (s.size > 0 && strchr(" \t\r\n", s.at[s.size - 1]) != NULL && s.at[s.size - 1] != 0)
    s.size--;
  while (s.size > 0 && (s.at[0] == ' ' || s.at[0] == '\t')) s = (Str){s.at + 1, s.size - 1};
  return s;
}

static void reply_begin(HttpReply *reply) {
  buf_clear(&reply->names);
  buf_clear(&reply->values);
  reply->header_count = 0;
}

bool http_reply_line(HttpReply *reply, Str line) {
  if (line.size >= 5 && memcmp(line.at, "HTTP/", 5) == 0) {
    reply_begin(reply);
    return true;
  }
  const char *colon = line.size > 0 ? memchr(line.at, ':', line.size) : NULL;
  if (colon == NULL) return true;
  size_t name_size = (size_t)(colon - line.at);
  Str name = {line.at, name_size}, value = trimmed((Str){colon + 1, line.size - name_size - 1});
  if (!is_token(name) || !utf8_valid(value))
    return true; /* not a header that a program could use */
  if (reply->header_count == HTTP_HEADERS_MAX ||
      reply->values.size + value.size > HTTP_HEADER_BYTES_MAX)
    return false;
  for (size_t i = 0; i < name.size; i++)
    buf_byte(&reply->names,
             (uint8_t)(name.at[i] >= 'A' && name.at[i] <= 'Z' ? name.at[i] + 32 : name.at[i]));
  buf_str(&reply->values, value);
  reply->ends[reply->header_count].name = (uint32_t)reply->names.size;
  reply->ends[reply->header_count++].value = (uint32_t)reply->values.size;
  return true;
}

static Str reply_name(const HttpReply *r, uint32_t i) {
  uint32_t start = i > 0 ? r->ends[i - 1].name : 0;
  return (Str){r->names.at + start, r->ends[i].name - start};
}

static Str reply_value(const HttpReply *r, uint32_t i) {
  uint32_t start = i > 0 ? r->ends[i - 1].value : 0;
  return r->values.at == NULL ? (Str){"", 0}
                              : (Str){r->values.at + start, r->ends[i].value - start};
}

bool http_reply_header(const HttpReply *r, Str name, Str *value) {
  for (uint32_t i = 0; i < r->header_count; i++) {
    if (!str_equal(reply_name(r, i), name)) continue;
    *value = reply_value(r, i);
    return true;
  }
  return false;
}

static bool seen_before(const HttpReply *r, uint32_t i) {
  for (uint32_t k = 0; k < i; k++)
    if (str_equal(reply_name(r, k), reply_name(r, i))) return true;
  return false;
}

/* Repeated ones are one value, joined as RFC 9110 joins them; cookies cannot be, so they stand on
 * lines. */
static void joined_value(const HttpReply *r, uint32_t first, Buf *out) {
  const char *glue = str_equal(reply_name(r, first), STR("set-cookie")) ? "\n" : ", ";
  Buf text = {0};
  buf_str(&text, reply_value(r, first));
  for (uint32_t k = first + 1; k < r->header_count; k++) {
    if (!str_equal(reply_name(r, k), reply_name(r, first))) continue;
    buf_text(&text, glue);
    buf_str(&text, reply_value(r, k));
  }
  cbor_put_text(out, buf_view(&text));
  buf_deinit(&text);
}

static void headers_encode(const HttpReply *r, Buf *out) {
  uint64_t distinct = 0;
  for (uint32_t i = 0; i < r->header_count; i++) distinct += !seen_before(r, i);
  cbor_put_tag(out, CBOR_TAG_MAP);
  cbor_put_array(out, 2 * distinct);
  for (uint32_t i = 0; i < r->header_count; i++) {
    if (seen_before(r, i)) continue;
    cbor_put_text(out, reply_name(r, i));
    joined_value(r, i, out);
  }
}

static bool is_json(const HttpReply *r) {
  Str type;
  if (!http_reply_header(r, STR("content-type"), &type)) return false;
  size_t size = 0;
  while (size < type.size && type.at[size] != ';' && type.at[size] != ' ') size++;
  type.size = size;
  return name_equal(type, STR("application/json")) || name_equal(type, STR("text/json")) ||
         (size > 5 && strncasecmp(type.at + size - 5, "+json", 5) == 0);
}

static void json_encode(const HttpReply *r, Buf *out) {
  Err ignored;
  size_t before = out->size;
  if (is_json(r) && cbor_from_json(buf_view(&r->body), out, &ignored)) return;
  out->size = before;
  cbor_put_nil(out);
}

void http_reply_encode(const HttpReply *r, Buf *out) {
  Str body = r->body.at != NULL ? buf_view(&r->body) : (Str){"", 0};
  cbor_put_tag(out, CBOR_TAG_MAP);
  cbor_put_array(out, 8);
  cbor_put_text(out, STR("status"));
  cbor_put_int(out, r->status);
  cbor_put_text(out, STR("headers"));
  headers_encode(r, out);
  cbor_put_text(out, STR("body"));
  if (utf8_valid(body)) cbor_put_text(out, body);
  else cbor_put_bytes(out, body);
  cbor_put_text(out, STR("json"));
  json_encode(r, out);
}

void http_reply_deinit(HttpReply *r) {
  buf_deinit(&r->names);
  buf_deinit(&r->values);
  buf_deinit(&r->body);
}
