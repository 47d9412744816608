/* vm/effects against a server on loopback, files in a temporary folder, and the real helper. */
#include "test.h"

#include <poll.h>
#include <stdlib.h>

#include "loopback.h"
#include "vm/base/cbor.h"
#include "vm/base/file.h"
#include "vm/base/mem.h"
#include "vm/effects/effect.h"
#include "vm/effects/http_message.h"
#include "vm/effects/secrets.h"

static Loopback server;
static Effects *effects;

static bool secret(void *context, Str name, Buf *value) {
  (void)context;
  if (!str_equal(name, STR("TOKEN"))) return false;
  buf_text(value, "hunter2hunter2");
  return true;
}

/* ---- asking and waiting ------------------------------------------------------- */

static void put_pair(Buf *b, const char *name, const char *value) {
  cbor_put_text(b, str_of(name));
  cbor_put_text(b, str_of(value));
}

typedef struct Ask {
  const char *method, *path;
  EffectClass class_;
  const char *header, *header_value;
  bool sealed_header;
  const char *json;
  int64_t timeout_us;
  int port;
} Ask;

static void sealed_put(Buf *b) {
  cbor_put_tag(b, CBOR_TAG_SEALED);
  cbor_put_array(b, 2);
  cbor_put_text(b, STR("Bearer "));
  cbor_put_array(b, 1);
  cbor_put_text(b, STR("TOKEN"));
}

static void operands_put(const Ask *a, Buf *out) {
  char url[256];
  Err err;
  Buf items = {0};
  uint64_t count = 4;
  snprintf(url, sizeof url, "http://127.0.0.1:%d%s", a->port ? a->port : server.port, a->path);
  put_pair(&items, "method", a->method);
  put_pair(&items, "url", url);
  if (a->header) {
    cbor_put_text(&items, STR("headers"));
    cbor_put_tag(&items, CBOR_TAG_MAP);
    cbor_put_array(&items, 2);
    cbor_put_text(&items, str_of(a->header));
    if (a->sealed_header) sealed_put(&items);
    else cbor_put_text(&items, str_of(a->header_value));
    count += 2;
  }
  if (a->json) {
    cbor_put_text(&items, STR("json"));
    CHECK(cbor_from_json(str_of(a->json), &items, &err));
    count += 2;
  }
  cbor_put_array(out, 1);
  cbor_put_tag(out, CBOR_TAG_MAP);
  cbor_put_array(out, count);
  buf_str(out, buf_view(&items));
  buf_deinit(&items);
}

static bool wait_outcome(EffectOutcome *out) {
  for (int i = 0; i < 100; i++) {
    struct pollfd p = {effects_fd(effects), POLLIN, 0};
    if (effects_next(effects, out)) return true;
    poll(&p, 1, 100);
  }
  return false;
}

static EffectOutcome ask(const Ask *a) {
  Buf operands = {0};
  EffectOutcome out = {0};
  operands_put(a, &operands);
  EffectRequest r = {.run = 7,
                     .seq = 9,
                     .effect = EFFECT_HTTP,
                     .effect_class = (uint8_t)a->class_,
                     .target = str_of(a->method),
                     .operands = buf_view(&operands),
                     .key = STR("key-1"),
                     .timeout_us = a->timeout_us};
  effects_submit(effects, &r);
  CHECK(wait_outcome(&out));
  CHECK(out.run == 7 && out.seq == 9);
  buf_deinit(&operands);
  return out;
}

static void json_of(Str value, Buf *out) {
  Err err;
  buf_clear(out);
  CHECK(cbor_to_json(value, out, &err));
  buf_byte(out, 0);
}

static bool says(EffectOutcome *o, const char *outcome, const char *part) {
  Buf json = {0};
  json_of(buf_view(&o->value), &json);
  bool ok = o->outcome && strcmp(o->outcome, outcome) == 0 && strstr(json.at, part) != NULL;
  if (!ok) fprintf(stderr, "  got %s: %s\n  want %s: %s\n", o->outcome, json.at, outcome, part);
  buf_deinit(&json);
  buf_deinit(&o->value);
  return ok;
}

/* ---- http --------------------------------------------------------------------- */

static void test_get(void) {
  EffectOutcome o = ask(&(Ask){.method = "GET", .path = "/json", .class_ = CLASS_READ});
  Str map = buf_view(&o.value);
  CHECK(o.outcome && strcmp(o.outcome, "ok") == 0);
  Buf json = {0};
  json_of(cbor_map_get(map, STR("json")), &json);
  CHECK(strcmp(json.at, "{\"a\":[1,2.5,\"x\"]}") == 0);
  json_of(cbor_map_get(cbor_map_get(map, STR("headers")), STR("content-type")), &json);
  CHECK(strcmp(json.at, "\"application/json\"") == 0);
  buf_deinit(&json);
  buf_deinit(&o.value);
}

static void test_statuses(void) {
  EffectOutcome o = ask(&(Ask){.method = "GET", .path = "/status/503", .class_ = CLASS_READ});
  CHECK(says(&o, "ok", "503"));
  o = ask(&(Ask){.method = "DELETE", .path = "/nowhere", .class_ = CLASS_REVERSIBLE});
  CHECK(says(&o, "ok", "404"));
  o = ask(&(Ask){.method = "HEAD", .path = "/json", .class_ = CLASS_READ});
  CHECK(says(&o, "ok", "\"body\":\"\""));
}

static void test_post_and_key(void) {
  EffectOutcome o = ask(
      &(Ask){.method = "POST", .path = "/echo", .class_ = CLASS_REVERSIBLE, .json = "{\"n\":1}"});
  CHECK(says(&o, "ok", "\"Idempotency-Key\":\"key-1\""));
  o = ask(
      &(Ask){.method = "POST", .path = "/echo", .class_ = CLASS_REVERSIBLE, .json = "{\"n\":1}"});
  CHECK(says(&o, "ok", "\"Content-Type\":\"application/json\""));
  o = ask(&(Ask){.method = "POST",
                 .path = "/echo",
                 .class_ = CLASS_IRREVERSIBLE,
                 .header = "idempotency-key",
                 .header_value = "mine"});
  CHECK(says(&o, "ok", "\"idempotency-key\":\"mine\""));
  o = ask(&(Ask){.method = "GET", .path = "/echo", .class_ = CLASS_READ});
  Buf json = {0};
  json_of(buf_view(&o.value), &json);
  CHECK(strstr(json.at, "Idempotency-Key") == NULL);
  CHECK(strstr(json.at, "\"x-twice\":\"a, b\"") != NULL);
  buf_deinit(&json);
  buf_deinit(&o.value);
}

static void test_secrets(void) {
  Ask a = {.method = "GET",
           .path = "/echo",
           .class_ = CLASS_READ,
           .header = "X-Token",
           .sealed_header = true};
  EffectOutcome o = ask(&a);
  CHECK(says(&o, "ok", "\"X-Token\":\"Bearer hunter2hunter2\""));
  a.path = "/to/echo"; /* the same host: the header goes along */
  o = ask(&a);
  CHECK(says(&o, "ok", "hunter2"));
  a.path = "/other";
  o = ask(&a);
  Buf json = {0};
  json_of(buf_view(&o.value), &json);
  CHECK(strstr(json.at, "hunter2") == NULL);
  buf_deinit(&json);
  buf_deinit(&o.value);
}

static void test_redirects(void) {
  EffectOutcome o = ask(&(Ask){.method = "GET", .path = "/to/json", .class_ = CLASS_READ});
  CHECK(says(&o, "ok", "200"));
  o = ask(&(Ask){.method = "POST", .path = "/to/json", .class_ = CLASS_REVERSIBLE});
  CHECK(says(&o, "ok", "302"));
}

static void test_lost_calls(void) {
  EffectOutcome o =
      ask(&(Ask){.method = "POST", .path = "/x", .class_ = CLASS_IRREVERSIBLE, .port = 1});
  CHECK(says(&o, "error", "http_failed"));
  o = ask(&(Ask){.method = "POST", .path = "/lost", .class_ = CLASS_IRREVERSIBLE});
  CHECK(says(&o, "unknown", "may have happened"));
  o = ask(&(Ask){.method = "GET", .path = "/lost", .class_ = CLASS_READ});
  CHECK(says(&o, "error", "http_failed"));
  o = ask(
      &(Ask){.method = "POST", .path = "/slow", .class_ = CLASS_REVERSIBLE, .timeout_us = 80000});
  CHECK(says(&o, "unknown", "timeout"));
  o = ask(&(Ask){.method = "GET", .path = "/slow", .class_ = CLASS_READ, .timeout_us = 80000});
  CHECK(says(&o, "error", "timeout"));
  o = ask(&(Ask){.method = "GET", .path = "/rubbish", .class_ = CLASS_READ});
  CHECK(says(&o, "error", "http_failed"));
  o = ask(&(Ask){.method = "GET", .path = "/large/68000000", .class_ = CLASS_READ});
  CHECK(says(&o, "error", "64 MB"));
}

static void test_lost_is_sent_once(void) {
  int before = atomic_load(&server.hits);
  EffectOutcome o = ask(&(Ask){.method = "POST", .path = "/lost", .class_ = CLASS_IRREVERSIBLE});
  CHECK(says(&o, "unknown", ""));
  CHECK(atomic_load(&server.hits) == before + 1);
}

static void test_connection_reuse(void) {
  EffectOutcome o = ask(&(Ask){.method = "GET", .path = "/json", .class_ = CLASS_READ});
  buf_deinit(&o.value);
  int before = atomic_load(&server.connections);
  for (int i = 0; i < 20; i++) {
    o = ask(&(Ask){.method = "GET", .path = "/json", .class_ = CLASS_READ});
    buf_deinit(&o.value);
  }
  CHECK(atomic_load(&server.connections) - before <= 1);
}

static void test_bodies(void) {
  EffectOutcome o = ask(&(Ask){.method = "GET", .path = "/binary", .class_ = CLASS_READ});
  CborReader r = cbor_reader(cbor_map_get(buf_view(&o.value), STR("body")));
  Str bytes = {0};
  Err err;
  CHECK(cbor_bytes(&r, &bytes, &err) && bytes.size == 3);
  buf_deinit(&o.value);
  o = ask(&(Ask){.method = "GET", .path = "/large/300000", .class_ = CLASS_READ});
  CHECK(o.value.size > 300000);
  buf_deinit(&o.value);
}

static void test_bad_requests(void) {
  EffectOutcome o = ask(&(Ask){.method = "GET", .path = " /x", .class_ = CLASS_READ});
  CHECK(says(&o, "error", "bad_value"));
  o = ask(&(Ask){.method = "GET",
                 .path = "/x",
                 .class_ = CLASS_READ,
                 .header = "X-A",
                 .header_value = "1\r\nX-B: 2"});
  CHECK(says(&o, "error", "bad_value"));
  o = ask(&(Ask){.method = "G T", .path = "/x", .class_ = CLASS_READ});
  CHECK(says(&o, "error", "bad_value"));
  EffectRequest r = {.run = 7,
                     .seq = 9,
                     .effect = EFFECT_HTTP,
                     .effect_class = CLASS_READ,
                     .operands = STR("\x81\xff")};
  EffectOutcome out = {0};
  effects_submit(effects, &r);
  CHECK(wait_outcome(&out));
  CHECK(says(&out, "error", "bad_value"));
}

static void test_many_at_once(void) {
  enum { COUNT = 300 };
  bool seen[COUNT] = {0};
  EffectOutcome o;
  for (uint64_t i = 0; i < COUNT; i++) {
    Buf operands = {0};
    operands_put(&(Ask){.method = "GET", .path = "/json"}, &operands);
    effects_submit(effects, &(EffectRequest){.run = 1,
                                             .seq = i,
                                             .effect = EFFECT_HTTP,
                                             .effect_class = CLASS_READ,
                                             .operands = buf_view(&operands)});
    buf_deinit(&operands);
  }
  for (int i = 0; i < COUNT; i++) {
    CHECK(wait_outcome(&o));
    CHECK(o.seq < COUNT && !seen[o.seq] && strcmp(o.outcome, "ok") == 0);
    seen[o.seq] = true;
    buf_deinit(&o.value);
  }
}

static void test_drop(void) {
  Buf operands = {0};
  EffectOutcome o = {0};
  int64_t start = clock_monotonic_us();
  operands_put(&(Ask){.method = "GET", .path = "/slow"}, &operands);
  effects_submit(effects, &(EffectRequest){.run = 3,
                                           .seq = 4,
                                           .effect = EFFECT_HTTP,
                                           .effect_class = CLASS_READ,
                                           .operands = buf_view(&operands)});
  usleep(50000);
  effects_drop(effects, 3, 4);
  CHECK(wait_outcome(&o));
  CHECK(clock_monotonic_us() - start < 350000);
  CHECK(says(&o, "error", "not wanted"));
  buf_deinit(&operands);
}

/* ---- files ---------------------------------------------------------------------- */

static char folder[] = "/tmp/z8-effects-XXXXXX";

static EffectOutcome file_ask(EffectKind kind, const char *which, const char *name,
                              const char *data) {
  Buf operands = {0};
  char path[200];
  EffectOutcome o = {0};
  snprintf(path, sizeof path, "%s%s", folder, name);
  cbor_put_array(&operands, data ? 2 : 1);
  cbor_put_text(&operands, str_of(path));
  if (data) cbor_put_text(&operands, str_of(data));
  effects_submit(effects, &(EffectRequest){.run = 1,
                                           .seq = 1,
                                           .effect = (uint8_t)kind,
                                           .effect_class = CLASS_READ,
                                           .target = str_of(which),
                                           .operands = buf_view(&operands)});
  CHECK(wait_outcome(&o));
  buf_deinit(&operands);
  return o;
}

static void test_files(void) {
  CHECK(mkdtemp(folder) != NULL);
  EffectOutcome o = file_ask(EFFECT_FILE_WRITE, "write", "/a.txt", "one\ntwo\r\n");
  CHECK(says(&o, "ok", "null"));
  o = file_ask(EFFECT_FILE_WRITE, "append", "/a.txt", "three");
  CHECK(says(&o, "ok", "null"));
  o = file_ask(EFFECT_FILE_READ, "text", "/a.txt", NULL);
  CHECK(says(&o, "ok", "one\\ntwo\\r\\nthree"));
  o = file_ask(EFFECT_FILE_READ, "lines", "/a.txt", NULL);
  CHECK(says(&o, "ok", "[\"one\",\"two\",\"three\"]"));
  o = file_ask(EFFECT_FILE_READ, "exists", "/b.txt", NULL);
  CHECK(says(&o, "ok", "false"));
  o = file_ask(EFFECT_FILE_READ, "list", "", NULL);
  CHECK(says(&o, "ok", "[\"a.txt\"]"));
  o = file_ask(EFFECT_FILE_READ, "text", "/b.txt", NULL);
  CHECK(says(&o, "error", "file_failed"));
  o = file_ask(EFFECT_FILE_WRITE, "delete", "/a.txt", NULL);
  CHECK(says(&o, "ok", "null"));
  o = file_ask(EFFECT_FILE_WRITE, "delete", "/a.txt", NULL);
  CHECK(says(&o, "ok", "null"));
  rmdir(folder);
}

/* ---- extern ----------------------------------------------------------------------- */

static EffectOutcome foreign_ask(const char *library, const char *symbol, const uint8_t *kinds,
                                 uint32_t count, uint8_t result, Buf *operands,
                                 int64_t timeout_us) {
  EffectOutcome o = {0};
  effects_submit(effects, &(EffectRequest){.run = 1,
                                           .seq = 1,
                                           .effect = EFFECT_FOREIGN,
                                           .effect_class = CLASS_REVERSIBLE,
                                           .operands = buf_view(operands),
                                           .library = str_of(library),
                                           .symbol = str_of(symbol),
                                           .param_kinds = kinds,
                                           .param_count = count,
                                           .result_kind = result,
                                           .timeout_us = timeout_us});
  CHECK(wait_outcome(&o));
  buf_clear(operands);
  return o;
}

static void test_foreign(void) {
  static const uint8_t one_float[] = {TYPE_FLOAT}, one_int[] = {TYPE_INT},
                       one_text[] = {TYPE_STRING};
  Buf args = {0};
  cbor_put_array(&args, 1);
  cbor_put_float(&args, 27.0);
  EffectOutcome o = foreign_ask("libm.so.6", "cbrt", one_float, 1, TYPE_FLOAT, &args, 0);
  CHECK(says(&o, "ok", "3.0"));
  cbor_put_array(&args, 1);
  cbor_put_text(&args, STR("four"));
  o = foreign_ask("libc.so.6", "strlen", one_text, 1, TYPE_INT, &args, 0);
  CHECK(says(&o, "ok", "4"));
  cbor_put_array(&args, 1);
  cbor_put_int(&args, 8); /* a wrong signature: not a pointer */
  o = foreign_ask("libc.so.6", "strlen", one_int, 1, TYPE_INT, &args, 0);
  CHECK(says(&o, "unknown", "the helper process"));
  cbor_put_array(&args, 1);
  cbor_put_text(&args, STR("again"));
  o = foreign_ask("libc.so.6", "strlen", one_text, 1, TYPE_INT, &args, 0);
  CHECK(says(&o, "ok", "5"));
  cbor_put_array(&args, 1);
  cbor_put_int(&args, 5);
  o = foreign_ask("libc.so.6", "sleep", one_int, 1, TYPE_INT, &args, 100000);
  CHECK(says(&o, "unknown", "in time"));
  cbor_put_array(&args, 0);
  o = foreign_ask("/tmp/evil.so", "f", NULL, 0, TYPE_INT, &args, 0);
  CHECK(says(&o, "error", "not allowed"));
  cbor_put_array(&args, 0);
  o = foreign_ask("libm.so.6", "no_such_function", NULL, 0, TYPE_INT, &args, 0);
  CHECK(says(&o, "error", "no function named"));
  cbor_put_array(&args, 1);
  cbor_put_text(&args, STR("x"));
  o = foreign_ask("libm.so.6", "cbrt", one_float, 1, TYPE_FLOAT, &args, 0);
  CHECK(says(&o, "error", "argument 1 must be float"));
  buf_deinit(&args);
}

/* ---- secrets as such ---------------------------------------------------------------- */

static void test_masking(void) {
  Secrets s = {0};
  Buf value = {0}, masked = {0};
  Str out;
  Err err = {0};
  sealed_put(&value);
  CHECK(secrets_resolve(&s, buf_view(&value), secret, NULL, &out, &err));
  CborReader r = cbor_reader(out);
  Str text = {0};
  CHECK(cbor_text(&r, &text, &err));
  CHECK_STR(text, STR("Bearer hunter2hunter2"));
  secrets_mask(&s, STR("token hunter2hunter2!"), &masked);
  CHECK_STR(buf_view(&masked), STR("token ******!"));
  buf_clear(&masked);
  Buf held = {0};
  const char *pieces = "hunt hunter2hunter2hunter hunter2hunter";
  for (const char *at = pieces; *at; at++) secrets_mask_piece(&s, &held, (Str){at, 1}, false, &masked);
  CHECK_STR(buf_view(&masked), STR("hunt ******hunter "));
  secrets_mask_piece(&s, &held, (Str){0}, true, &masked);
  CHECK_STR(buf_view(&masked), STR("hunt ******hunter hunter2hunter"));
  buf_deinit(&held);
  secrets_wipe(&s);
  CHECK(!secrets_resolve(&s, buf_view(&value), NULL, NULL, &out, &err));
  CHECK(strstr(err.text, "TOKEN") != NULL);
  secrets_wipe(&s);
  buf_deinit(&value);
  buf_deinit(&masked);
}

static void short_or_long(const char *plain, const char *text, const char *want) {
  Secrets s = {0};
  Buf masked = {0}, held = {0}, one = {0};
  buf_text(&one, plain);
  s.plain = &one;
  s.count = 1;
  secrets_mask(&s, str_of(text), &masked);
  CHECK_STR(buf_view(&masked), str_of(want));
  buf_clear(&masked);
  for (const char *at = text; *at; at++) secrets_mask_piece(&s, &held, (Str){at, 1}, false, &masked);
  secrets_mask_piece(&s, &held, (Str){0}, true, &masked);
  CHECK_STR(buf_view(&masked), str_of(want));
  buf_deinit(&held), buf_deinit(&masked), buf_deinit(&one);
}

/* "sk-12345" in every place of a reply. */
static void put_reply(Buf *b, const char *in_texts) {
  cbor_put_tag(b, CBOR_TAG_MAP);
  cbor_put_array(b, 4);
  put_pair(b, "text", in_texts);
  cbor_put_text(b, STR("calls"));
  cbor_put_array(b, 1);
  cbor_put_tag(b, CBOR_TAG_MAP);
  cbor_put_array(b, 6);
  put_pair(b, "id", "call-sk-12345");
  put_pair(b, "name", "sk-12345-Look");
  cbor_put_text(b, STR("arguments"));
  cbor_put_tag(b, CBOR_TAG_MAP);
  cbor_put_array(b, 4);
  put_pair(b, "sk-12345", in_texts);
  cbor_put_text(b, STR("list"));
  cbor_put_array(b, 1);
  cbor_put_tag(b, CBOR_TAG_MAP);
  cbor_put_array(b, 2);
  put_pair(b, "name", in_texts);
}
static void put_error(Buf *b, const char *in_texts) {
  cbor_put_tag(b, CBOR_TAG_ERROR);
  cbor_put_array(b, 4);
  cbor_put_text(b, STR("sk-12345"));
  cbor_put_text(b, str_of(in_texts));
  cbor_put_nil(b);
  cbor_put_nil(b);
}

static void test_masking_of_texts_alone(void) {
  Buf one = {0}, value = {0}, want = {0}, masked = {0};
  buf_text(&one, "sk-12345");
  Secrets s = {.plain = &one, .count = 1};
  put_reply(&value, "a sk-12345 b");
  put_reply(&want, "a ****** b");
  secrets_mask_value(&s, buf_view(&value), &masked);
  CHECK_STR(buf_view(&masked), buf_view(&want));
  buf_clear(&value), buf_clear(&want), buf_clear(&masked);
  put_error(&value, "sk-12345");
  put_error(&want, "******");
  secrets_mask_value(&s, buf_view(&value), &masked);
  CHECK_STR(buf_view(&masked), buf_view(&want));
  buf_deinit(&one), buf_deinit(&value), buf_deinit(&want), buf_deinit(&masked);
  short_or_long("k", "class: unknown", "class: unknown");
  short_or_long("ollamas", "it is ollamas", "it is ollamas");
  short_or_long("ollamas8", "it is ollamas8", "it is ******");
  short_or_long("", "nothing", "nothing");
}

int main(int argc, char **argv) {
  if (argc == 2 && strcmp(argv[1], "--extern-helper") == 0) return extern_helper_main();
  EffectOptions options = {.allow_loopback = true, .secret = secret};
  Err err;
  loopback_start(&server);
  CHECK(effects_new(&options, &effects, &err));
  RUN_TEST(test_get);
  RUN_TEST(test_statuses);
  RUN_TEST(test_post_and_key);
  RUN_TEST(test_secrets);
  RUN_TEST(test_redirects);
  RUN_TEST(test_lost_calls);
  RUN_TEST(test_lost_is_sent_once);
  RUN_TEST(test_connection_reuse);
  RUN_TEST(test_bodies);
  RUN_TEST(test_bad_requests);
  RUN_TEST(test_many_at_once);
  RUN_TEST(test_drop);
  RUN_TEST(test_files);
  RUN_TEST(test_foreign);
  RUN_TEST(test_masking);
  RUN_TEST(test_masking_of_texts_alone);
  effects_free(effects);
  loopback_stop(&server);
  return TEST_END();
}
