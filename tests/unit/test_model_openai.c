/* Chat completions and the Responses API against bytes as servers send them: each fed whole, byte by byte and in
** random cuts with the same result; damaged; cut off everywhere. And every row of what errors mean. */
#include <stdlib.h>

#include "test.h"
#include "vm/base/cbor.h"
#include "vm/base/text.h"
#include "vm/effects/model_impl.h"
#include "vm/effects/model_schema.h"

#define CHAT "{\"provider\":\"openai\",\"name\":\"gpt-4.1\",\"api_key\":\"sk-test\",\"stream\":true," \
             "\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]}"
#define RESP "{\"provider\":\"openai_responses\",\"name\":\"gpt-5\",\"api_key\":\"sk-test\",\"stream\":true," \
             "\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]}"
#define BACK "{\"provider\":\"openai_responses\",\"name\":\"gpt-5\",\"background\":true," \
             "\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]}"

static uint64_t state = 88172645463325252u;
static uint64_t chance(uint64_t below) {
  state ^= state << 13;
  state ^= state >> 7;
  state ^= state << 17;
  return state % below;
}

static Str view(const Buf *b) { return b->size > 0 ? buf_view(b) : (Str){"", 0}; }

static void encoded(const char *json, Buf *out) {
  Err err;
  bool ok = cbor_from_json(str_of(json), out, &err);
  if (!ok) fprintf(stderr, "%s\n%s\n", err.text, json);
  CHECK(ok);
}

/* ---- one reply, and how it is cut ------------------------------------------------------ */

typedef enum { WHOLE, BYTES, CUTS } How;
typedef struct Got {
  const char *outcome;
  Buf value, shown, json; /* shown: text as it came; json: of the value */
  bool has_resume;
  uint64_t after;
  char id[64];
} Got;

static void got_deinit(Got *g) {
  buf_deinit(&g->value);
  buf_deinit(&g->shown);
  buf_deinit(&g->json);
}

/* Exactly sized copies, so that a sanitizer sees what reads beyond. */
static bool feed_part(ModelReader *r, Str part, Buf *text) {
  char *copy = malloc(part.size > 0 ? part.size : 1);
  if (part.size > 0) memcpy(copy, part.at, part.size);
  bool more = model_reader_feed(r, (Str){copy, part.size}, text);
  free(copy);
  return more;
}

static void feed_all(ModelReader *r, Str body, How how, Buf *text) {
  size_t at = 0;
  bool more = true;
  while (at < body.size && more) {
    size_t size = how == WHOLE ? body.size : how == BYTES ? 1 : 1 + chance(40);
    if (size > body.size - at) size = body.size - at;
    more = feed_part(r, (Str){body.at + at, size}, text);
    at += size;
  }
}

/* Headers: "name: value" on lines. */
static void feed_headers(ModelReader *r, const char *headers) {
  while (*headers) {
    const char *colon = strstr(headers, ": "), *end = strchr(headers, '\n');
    if (!end) end = headers + strlen(headers);
    model_reader_header(r, (Str){headers, (size_t)(colon - headers)}, (Str){colon + 2, (size_t)(end - colon - 2)});
    headers = *end ? end + 1 : end;
  }
}

static const char *last_id(ModelReader *r, Got *g) {
  Str id;
  g->has_resume = model_reader_resume(r, &id, &g->after);
  if (g->has_resume && id.size < sizeof g->id) memcpy(g->id, id.at, id.size);
  return g->id;
}

static Got run(const char *call, int status, const char *headers, Str body, How how, bool lost) {
  Got g = {0};
  Buf c = {0};
  Str whole;
  Err err;
  encoded(call, &c);
  ModelReader *r = model_reader_new(buf_view(&c));
  buf_deinit(&c); /* nothing of the call is needed any more */
  if (status > 0) model_reader_status(r, status);
  feed_headers(r, headers);
  feed_all(r, body, how, &g.shown);
  g.outcome = model_reader_end(r, lost, true, STR("connection reset"), &g.value);
  last_id(r, &g);
  CborReader read = cbor_reader(view(&g.value));
  CHECK(cbor_skip(&read, &whole, &err) && whole.size == g.value.size);
  if (!strcmp(g.outcome, "ok")) CHECK(cbor_to_json(view(&g.value), &g.json, &err));
  model_reader_free(r);
  return g;
}

/* The parts of an error: [code, message, data, nil]. */
static Str error_part(const Got *g, uint32_t index) {
  CborReader r = cbor_reader(view(&g->value));
  CborItem tag;
  uint64_t count;
  Str part = {0};
  Err err;
  bool ok = cbor_next(&r, &tag, &err) && tag.kind == CBOR_TAG && tag.n == CBOR_TAG_ERROR && cbor_array(&r, &count, &err);
  for (uint32_t i = 0; ok && i <= index; i++) ok = cbor_skip(&r, &part, &err);
  CHECK(ok);
  return part;
}
static Str error_text(const Got *g, uint32_t index) {
  Str text = {0};
  CHECK(value_text(error_part(g, index), &text));
  return text;
}
static Str error_data(const Got *g, const char *name) { return value_get(error_part(g, 2), name); }

/* The same by every way of cutting; the last is given back. */
static Got run_cut(const char *call, int status, const char *headers, Str body, bool lost) {
  Got first = run(call, status, headers, body, WHOLE, lost);
  for (int i = 0; i < 12; i++) {
    Got g = run(call, status, headers, body, i == 0 ? BYTES : CUTS, lost);
    CHECK_STR(str_of(g.outcome), str_of(first.outcome));
    CHECK_STR(view(&g.value), view(&first.value));
    CHECK_STR(view(&g.shown), view(&first.shown));
    got_deinit(&first);
    first = g;
  }
  return first;
}

/* Reply without the parts that are the same in all: text, calls, stop, usage as JSON. */
static void check_reply(const char *call, const char *body, const char *text, const char *calls, const char *stop,
                        const char *usage) {
  Got g = run_cut(call, 200, "", str_of(body), false);
  Buf json = {0};
  Str got;
  Err err;
  CHECK_STR(str_of(g.outcome), STR("ok"));
  if (strcmp(g.outcome, "ok") != 0) {
    Str why = error_text(&g, 1);
    fprintf(stderr, "%.*s\n%s\n", STR_ARG(why), body);
    got_deinit(&g);
    return;
  }
  got = value_get_text(view(&g.value), "text");
  CHECK_STR(got, str_of(text));
  got = value_get_text(view(&g.value), "stop");
  CHECK_STR(got, str_of(stop));
  CHECK(cbor_to_json(value_get(view(&g.value), "calls"), &json, &err));
  CHECK_STR(view(&json), str_of(calls));
  buf_clear(&json);
  if (usage) {
    CHECK(cbor_to_json(value_get(view(&g.value), "usage"), &json, &err));
    CHECK_STR(view(&json), str_of(usage));
  }
  buf_deinit(&json);
  got_deinit(&g);
}

/* ---- requests -------------------------------------------------------------------------- */

static void check_request(const char *call, const char *method, const char *url, const char *body) {
  Buf c = {0};
  ModelHttp http;
  Err err = {0};
  encoded(call, &c);
  bool ok = model_request(buf_view(&c), &http, &err);
  if (!ok) fprintf(stderr, "%s\n", err.text);
  CHECK(ok);
  if (ok) {
    CHECK_STR(str_of(http.method), str_of(method));
    CHECK_STR(str_of(http.url.at), str_of(url));
    CHECK_STR(view(&http.body), str_of(body));
    model_http_deinit(&http);
  }
  buf_deinit(&c);
}

static void check_refused(const char *call, const char *why) {
  Buf c = {0};
  ModelHttp http;
  Err err = {0};
  encoded(call, &c);
  CHECK(!model_request(buf_view(&c), &http, &err));
  if (!strstr(err.text, why)) fprintf(stderr, "%s: got \"%s\"\n", why, err.text);
  CHECK(strstr(err.text, why) != NULL);
  ModelReader *r = model_reader_new(buf_view(&c)); /* and it can be read without harm */
  Buf value = {0};
  CHECK(!model_reader_feed(r, STR("data: {}\n\n"), &value));
  CHECK_STR(str_of(model_reader_end(r, false, true, STR(""), &value)), STR("error"));
  model_reader_free(r);
  buf_deinit(&value);
  buf_deinit(&c);
}

static void test_chat_request(void) {
  check_request(CHAT, "POST", "https://api.openai.com/v1/chat/completions",
                "{\"model\":\"gpt-4.1\",\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}],\"max_completion_tokens\":4096,\"stream\":true,"
                "\"stream_options\":{\"include_usage\":true}}");
  check_request(
      "{\"provider\":\"openai\",\"url\":\"http://h:8000\",\"name\":\"m\",\"system\":\"be \\\"brief\\\"\","
      "\"messages\":[{\"role\":\"user\",\"content\":\"hi\"},{\"role\":\"assistant\",\"content\":null,\"calls\":[{\"id\":\"a\","
      "\"name\":\"f\",\"arguments\":{\"x\":1,\"y\":[true,null]}},{\"id\":\"b\",\"name\":\"f\",\"arguments\":null,\"invalid\":"
      "\"{oops\"}]},{\"role\":\"tool\",\"id\":\"a\",\"name\":\"f\",\"content\":{\"n\":2}},{\"role\":\"tool\",\"id\":\"b\","
      "\"content\":\"no\",\"error\":true},{\"role\":\"assistant\",\"content\":\"done\"}],"
      "\"tools\":[{\"name\":\"f\",\"description\":\"does\",\"schema\":\"{\\\"type\\\": \\\"object\\\"}\"}],\"choice\":\"f\","
      "\"answer\":{\"name\":\"A\",\"schema\":\"{\\\"type\\\":\\\"object\\\"}\"},\"max_tokens\":9,\"temperature\":0.5,"
      "\"seed\":7,\"stop\":[\"END\"],\"effort\":\"low\"}",
      "POST", "http://h:8000/v1/chat/completions",
      "{\"model\":\"m\",\"messages\":[{\"role\":\"system\",\"content\":\"be \\\"brief\\\"\"},{\"role\":\"user\","
      "\"content\":\"hi\"},{\"role\":\"assistant\",\"content\":null,\"tool_calls\":[{\"id\":\"a\",\"type\":\"function\","
      "\"function\":{\"name\":\"f\",\"arguments\":\"{\\\"x\\\":1,\\\"y\\\":[true,null]}\"}},{\"id\":\"b\",\"type\":"
      "\"function\",\"function\":{\"name\":\"f\",\"arguments\":\"{}\"}}]},{\"role\":\"tool\",\"tool_call_id\":\"a\","
      "\"content\":\"{\\\"n\\\":2}\"},{\"role\":\"tool\",\"tool_call_id\":\"b\",\"content\":\"Error: no\"},"
      "{\"role\":\"assistant\",\"content\":\"done\"}],\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\","
      "\"description\":\"does\",\"parameters\":{\"type\": \"object\"}}}],\"tool_choice\":{\"type\":\"function\","
      "\"function\":{\"name\":\"f\"}},\"response_format\":{\"type\":\"json_schema\",\"json_schema\":{\"name\":\"A\","
      "\"schema\":{\"type\":\"object\"},\"strict\":false}},\"max_tokens\":9,\"temperature\":0.5,\"seed\":7,"
      "\"reasoning_effort\":\"low\",\"stop\":[\"END\"]}");
}

static void check_url(const char *base, const char *want) {
  Buf call = {0};
  buf_format(&call, "{\"provider\":\"openai\",\"url\":\"%s\",\"name\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"\"}]}",
             base);
  buf_byte(&call, 0);
  check_request(call.at, "POST", want, "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"\"}],\"max_tokens\":4096}");
  buf_deinit(&call);
}

static void one_schema(const char *schema, const char *want) {
  Buf out = {0};
  CHECK(schema_strict(str_of(schema), &out) == (want != NULL));
  CHECK_STR(buf_view(&out), str_of(want ? want : schema));
  buf_deinit(&out);
}

static void test_strict_schemas(void) {
  one_schema("{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"integer\",\"minimum\":1},"
             "\"b\":{\"anyOf\":[{\"type\":\"string\"},{\"type\":\"null\"}]}},\"required\":[\"a\"]}",
             "{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"integer\",\"minimum\":1},"
             "\"b\":{\"anyOf\":[{\"type\":\"string\"},{\"type\":\"null\"}]}},"
             "\"required\":[\"a\",\"b\"],\"additionalProperties\":false}");
  one_schema("{\"items\":{\"properties\":{},\"additionalProperties\":false},\"type\":\"array\"}",
             "{\"items\":{\"properties\":{},\"required\":[],\"additionalProperties\":false},\"type\":\"array\"}");
  one_schema("{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"integer\"}},\"required\":[]}", NULL);
  one_schema("{\"type\":\"object\",\"properties\":{\"a\":{}},\"required\":[\"a\"]}", NULL);
  one_schema("{\"type\":\"object\",\"additionalProperties\":{\"type\":\"integer\"}}", NULL);
  one_schema("{\"type\":\"object\"}", NULL);
  one_schema("{\"allOf\":[{\"type\":\"string\"}]}", NULL);
  one_schema("{\"type\":", NULL);
  one_schema("[1]", NULL);
}

static void test_urls(void) {
  check_url("http://h", "http://h/v1/chat/completions");
  check_url("http://h/", "http://h/v1/chat/completions");
  check_url("http://h:1/v1", "http://h:1/v1/chat/completions");
  check_url("http://h/v1/", "http://h/v1/chat/completions");
  check_url("https://h/api/v1", "https://h/api/v1/chat/completions");
  check_url("https://h/v1beta/openai/", "https://h/v1beta/openai/chat/completions");
  check_url("https://h/openai/v1?api-version=1", "https://h/openai/v1/chat/completions?api-version=1");
  check_url("https://h?a=b", "https://h/v1/chat/completions?a=b");
}

static void test_key_in_header_only(void) {
  Buf c = {0};
  ModelHttp http;
  Err err;
  encoded(CHAT, &c);
  CHECK(model_request(buf_view(&c), &http, &err));
  CHECK(http.header_count == 2 && http.stream);
  CHECK_STR(str_of(http.headers[0].name), STR("content-type"));
  CHECK_STR(http.headers[0].value, STR("application/json"));
  CHECK_STR(str_of(http.headers[1].name), STR("authorization"));
  CHECK_STR(http.headers[1].value, STR("Bearer sk-test"));
  CHECK(!memmem(http.body.at, http.body.size, "sk-test", 7));
  model_http_deinit(&http);
  buf_deinit(&c);
}

#define WITH(more) "{\"provider\":\"openai\",\"name\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"x\"}]," more "}"

static void test_refused(void) {
  check_refused("[]", "is a map");
  check_refused("{}", "no provider");
  check_refused("{\"provider\":\"opneai\"}", "\"opneai\"");
  check_refused("{\"provider\":\"openai\"}", "name");
  check_refused("{\"provider\":\"openai\",\"name\":\"m\"}", "messages");
  check_refused("{\"provider\":\"openai\",\"name\":\"m\",\"messages\":[]}", "at least one message");
  check_refused("{\"provider\":\"openai\",\"name\":\"m\",\"messages\":[{\"role\":\"system\"}]}", "role");
  check_refused("{\"provider\":\"openai\",\"name\":\"m\",\"messages\":[{\"role\":\"tool\",\"content\":1}]}", "without the id");
  check_refused("{\"provider\":\"openai\",\"name\":\"m\",\"messages\":[{\"role\":\"assistant\",\"calls\":[{}]}]}", "id or name");
  check_refused("{\"provider\":\"openai\",\"name\":\"m\",\"messages\":[{\"role\":\"assistant\",\"calls\":[{\"id\":\"a\","
                "\"name\":\"b\",\"arguments\":\"{}\"}]}]}", "no map");
  check_refused(WITH("\"url\":\"ftp://h\""), "http://");
  check_refused(WITH("\"url\":\"http://h/a b\""), "http://");
  check_refused(WITH("\"url\":\"http:///v1\""), "http://");
  check_refused(WITH("\"url\":\"https://\""), "http://");
  check_refused(WITH("\"api_key\":\"a\\r\\nb: c\""), "api_key");
  check_refused(WITH("\"tools\":[{\"name\":\"a b\",\"schema\":\"{}\"}]"), "a tool's name");
  check_refused(WITH("\"tools\":[{\"name\":\"f\",\"schema\":\"[]\"}]"), "JSON object");
  check_refused(WITH("\"tools\":[{\"name\":\"f\",\"schema\":\"{\"}]"), "JSON object");
  check_refused(WITH("\"choice\":\"required\""), "no tools");
  check_refused(WITH("\"choice\":\"f\""), "not among");
  check_refused(WITH("\"answer\":{\"name\":\"f\",\"schema\":\"1\"}"), "schema");
  check_refused(WITH("\"answer\":{\"name\":\"\",\"schema\":\"{}\"}"), "name for its answer");
  check_refused(WITH("\"max_tokens\":0"), "above zero");
  check_refused(WITH("\"max_tokens\":\"9\""), "max_tokens");
  check_refused(WITH("\"temperature\":\"hot\""), "temperature");
  check_refused(WITH("\"stop\":[\"\"]"), "stop");
  check_refused(WITH("\"effort\":\"max\""), "effort");
  check_refused(WITH("\"background\":true"), "no \"background\"");
  check_refused(WITH("\"resume\":{\"id\":\"r\"}"), "no \"resume\"");
  check_refused("{\"provider\":\"openai_responses\",\"name\":\"m\",\"messages\":[{\"role\":\"user\"}],\"seed\":1}", "\"seed\"");
  check_refused("{\"provider\":\"openai_responses\",\"name\":\"m\",\"messages\":[{\"role\":\"user\"}],\"stop\":[\"a\"]}",
                "\"stop\"");
  check_refused("{\"provider\":\"openai_responses\",\"name\":\"m\",\"resume\":{\"id\":\"\"}}", "no id");
}

/* ---- chat: streams ----------------------------------------------------------------------- */

#define CHUNK(delta) "data: {\"id\":\"chatcmpl-1\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"gpt-4.1-x\"," \
  "\"choices\":[{\"index\":0,\"delta\":" delta ",\"logprobs\":null,\"finish_reason\":null}],\"usage\":null,\"obfuscation\":\"aB\"}\n\n"
#define REASON(reason) "data: {\"id\":\"chatcmpl-1\",\"model\":\"gpt-4.1-x\",\"choices\":[{\"index\":0,\"delta\":{}," \
  "\"finish_reason\":\"" reason "\"}],\"usage\":null}\n\n"
#define USAGE "data: {\"id\":\"chatcmpl-1\",\"model\":\"gpt-4.1-x\",\"choices\":[],\"usage\":{\"prompt_tokens\":100," \
  "\"completion_tokens\":20,\"total_tokens\":120,\"prompt_tokens_details\":{\"cached_tokens\":64,\"audio_tokens\":0}," \
  "\"completion_tokens_details\":{\"reasoning_tokens\":5}}}\n\n"
#define DONE "data: [DONE]\n\n"
#define USED "{\"input\":100,\"cached\":64,\"cache_write\":0,\"output\":20,\"reasoning\":5,\"exact\":true}"

static const char text_stream[] = CHUNK("{\"role\":\"assistant\",\"content\":\"\",\"refusal\":null}") CHUNK("{\"content\":\"Hel\"}")
    CHUNK("{\"content\":\"lo \\u20ac \xe2\x82\xac\"}") REASON("stop") USAGE DONE;
static const char calls_stream[] =
    CHUNK("{\"role\":\"assistant\",\"content\":null,\"tool_calls\":[{\"index\":0,\"id\":\"call_a\",\"type\":\"function\","
          "\"function\":{\"name\":\"add\",\"arguments\":\"\"}}]}")
    CHUNK("{\"tool_calls\":[{\"index\":0,\"function\":{\"arguments\":\"{\\\"x\\\"\"}}]}")
    CHUNK("{\"tool_calls\":[{\"index\":1,\"id\":\"call_b\",\"type\":\"function\",\"function\":{\"name\":\"now\",\"arguments\":\"\"}}]}")
    CHUNK("{\"tool_calls\":[{\"index\":0,\"function\":{\"arguments\":\": 1}\"}},{\"index\":1,\"function\":{\"arguments\":\"{}\"}}]}")
    REASON("tool_calls") USAGE DONE;
static const char two_calls[] = "[{\"id\":\"call_a\",\"name\":\"add\",\"arguments\":{\"x\":1}},"
                                "{\"id\":\"call_b\",\"name\":\"now\",\"arguments\":{}}]";

static void test_chat_streams(void) {
  check_reply(CHAT, text_stream, "Hello \xe2\x82\xac \xe2\x82\xac", "[]", "end", USED);
  check_reply(CHAT, calls_stream, "", two_calls, "calls", USED);
  check_reply(CHAT, CHUNK("{\"content\":\"a\"}") REASON("length") USAGE DONE, "a", "[]", "length", USED);
  check_reply(CHAT, REASON("content_filter") USAGE DONE, "", "[]", "filter", USED);
  check_reply(CHAT, REASON("stop") USAGE DONE, "", "[]", "end", USED);
  check_reply(CHAT, CHUNK("{\"content\":\"a\"}") REASON("who_knows") USAGE DONE, "a", "[]", "other", USED);
  Got g = run_cut(CHAT, 200, "x-request-id: req_9", str_of(text_stream), false);
  CHECK_STR(view(&g.shown), STR("Hello \xe2\x82\xac \xe2\x82\xac"));
  CHECK_STR(value_get_text(view(&g.value), "model"), STR("gpt-4.1-x"));
  CHECK_STR(value_get_text(view(&g.value), "id"), STR("chatcmpl-1"));
  CHECK_STR(value_get_text(view(&g.value), "request_id"), STR("req_9"));
  CHECK(value_is_nil(value_get(view(&g.value), "raw")) && value_is_nil(value_get(view(&g.value), "refusal")));
  got_deinit(&g);
  g = run_cut(CHAT, 200, "", STR(CHUNK("{\"refusal\":\"I \"}") CHUNK("{\"refusal\":\"won't\"}") REASON("stop") DONE), false);
  CHECK_STR(value_get_text(view(&g.value), "refusal"), STR("I won't"));
  CHECK_STR(value_get_text(view(&g.value), "stop"), STR("refusal"));
  got_deinit(&g);
}

/* What servers that are almost like it do. */
static void test_chat_compatible(void) {
  /* CRLF, CR, comments, a byte order mark, event names, data in two lines, no space, [DONE] or empty line at the end */
  check_reply(CHAT, "\xef\xbb\xbf: hello\r\n\r\nevent: message\r\ndata:{\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\r\n\r\n"
                    ": ping\r\n\r\ndata: {\"choices\":[{\"delta\":\r\ndata: {\"content\":\"b\"},\"finish_reason\":\"stop\"}]}\r\n\r\n",
              "ab", "[]", "end", NULL);
  check_reply(CHAT, "data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\r\rdata: {\"choices\":[{\"delta\":{},"
                    "\"finish_reason\":\"stop\"}]}", "a", "[]", "end", NULL);
  check_reply(CHAT, CHUNK("{\"content\":\"a\"}") DONE, "a", "[]", "end", NULL); /* no reason */
  check_reply(CHAT, CHUNK("{\"content\":\"a\"}") "data: \n\n" REASON("stop") "data: [DONE]", "a", "[]", "end", NULL);
  /* usage in every chunk: the last counts; with nil within; only a total */
  check_reply(CHAT, "data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}],\"usage\":{\"prompt_tokens\":7,\"completion_tokens\":1}}\n\n"
                    "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":7,"
                    "\"completion_tokens\":2.0,\"prompt_tokens_details\":null,\"completion_tokens_details\":{\"reasoning_tokens\":null}}}\n\n",
              "a", "[]", "end", "{\"input\":7,\"cached\":0,\"cache_write\":0,\"output\":2,\"reasoning\":0,\"exact\":true}");
  check_reply(CHAT, "data: {\"choices\":[{\"delta\":{\"content\":\"a\"},\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":7,"
                    "\"total_tokens\":12}}\n\n", "a", "[]", "end",
              "{\"input\":7,\"cached\":0,\"cache_write\":0,\"output\":5,\"reasoning\":0,\"exact\":true}");
  check_reply(CHAT, "data: {\"choices\":[{\"delta\":{\"content\":\"a\"},\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":-1,"
                    "\"completion_tokens\":\"x\"}}\n\n", "a", "[]", "end", NULL);
  /* a call whole in one chunk, without id, arguments an object, and "stop" although there is a call */
  check_reply(CHAT, CHUNK("{\"tool_calls\":[{\"index\":0,\"function\":{\"name\":\"f\",\"arguments\":{\"a\":[1,\"z\"]}}}]}") REASON("stop"),
              "", "[{\"id\":\"call_1\",\"name\":\"f\",\"arguments\":{\"a\":[1,\"z\"]}}]", "calls", NULL);
  /* no index: by id, by name, in pieces */
  check_reply(CHAT, CHUNK("{\"tool_calls\":[{\"id\":\"p\",\"function\":{\"name\":\"f\",\"arguments\":\"{\"}}]}")
                    CHUNK("{\"tool_calls\":[{\"function\":{\"arguments\":\"}\"}}]}")
                    CHUNK("{\"tool_calls\":[{\"id\":\"q\",\"function\":{\"name\":\"f\",\"arguments\":\"{}\"}}]}")
                    CHUNK("{\"tool_calls\":[{\"function\":{\"name\":\"g\",\"arguments\":\"{}\"}},{\"function\":{\"name\":\"h\"}}]}")
                    REASON("tool_calls"),
              "", "[{\"id\":\"p\",\"name\":\"f\",\"arguments\":{}},{\"id\":\"q\",\"name\":\"f\",\"arguments\":{}},"
                  "{\"id\":\"call_3\",\"name\":\"g\",\"arguments\":{}},{\"id\":\"call_4\",\"name\":\"h\",\"arguments\":{}}]", "calls", NULL);
  /* index 0 for all: told apart by id, and without ids by whole arguments */
  check_reply(CHAT, CHUNK("{\"tool_calls\":[{\"index\":0,\"id\":\"p\",\"function\":{\"name\":\"f\",\"arguments\":\"{}\"}}]}")
                    CHUNK("{\"tool_calls\":[{\"index\":0,\"id\":\"q\",\"function\":{\"name\":\"f\",\"arguments\":\"{\\\"b\\\":\"}}]}")
                    CHUNK("{\"tool_calls\":[{\"index\":0,\"function\":{\"arguments\":\"2}\"}}]}") REASON("tool_calls"),
              "", "[{\"id\":\"p\",\"name\":\"f\",\"arguments\":{}},{\"id\":\"q\",\"name\":\"f\",\"arguments\":{\"b\":2}}]", "calls", NULL);
  check_reply(CHAT, CHUNK("{\"tool_calls\":[{\"index\":0,\"function\":{\"name\":\"f\",\"arguments\":\"{\\\"s\\\":\\\"}\"}}]}")
                    CHUNK("{\"tool_calls\":[{\"index\":0,\"function\":{\"name\":\"f\",\"arguments\":\"\\\"}\"}}]}")
                    CHUNK("{\"tool_calls\":[{\"index\":0,\"function\":{\"name\":\"f\",\"arguments\":\"{}\"}}]}") REASON("tool_calls"),
              "", "[{\"id\":\"call_1\",\"name\":\"f\",\"arguments\":{\"s\":\"}\"}},{\"id\":\"call_2\",\"name\":\"f\",\"arguments\":{}}]",
              "calls", NULL);
  /* the same id for two calls */
  check_reply(CHAT, CHUNK("{\"tool_calls\":[{\"index\":0,\"id\":\"p\",\"function\":{\"name\":\"f\"}},{\"index\":1,\"id\":\"p\","
                          "\"function\":{\"name\":\"g\"}}]}") REASON("tool_calls"),
              "", "[{\"id\":\"p\",\"name\":\"f\",\"arguments\":{}},{\"id\":\"call_2\",\"name\":\"g\",\"arguments\":{}}]", "calls", NULL);
  /* arguments that are no object */
  check_reply(CHAT, CHUNK("{\"tool_calls\":[{\"index\":0,\"id\":\"p\",\"function\":{\"name\":\"f\",\"arguments\":\"{\\\"a\\\": tru\"}},"
                          "{\"index\":1,\"id\":\"q\",\"function\":{\"name\":\"f\",\"arguments\":\"[1]\"}}]}") REASON("length"),
              "", "[{\"id\":\"p\",\"name\":\"f\",\"arguments\":null,\"invalid\":\"{\\\"a\\\": tru\"},"
                  "{\"id\":\"q\",\"name\":\"f\",\"arguments\":null,\"invalid\":\"[1]\"}]", "length", NULL);
  /* content in parts, reasoning fields, the call of old, half a surrogate, bytes that are no UTF-8 */
  check_reply(CHAT, CHUNK("{\"reasoning_content\":\"hm\",\"reasoning\":\"hm\"}")
                    CHUNK("{\"content\":[{\"type\":\"text\",\"text\":\"a\"},{\"type\":\"thinking\",\"text\":\"no\"},{\"text\":\"b\"},7]}")
                    CHUNK("{\"function_call\":{\"name\":\"f\",\"arguments\":\"{\\\"a\\\"\"}}")
                    CHUNK("{\"function_call\":{\"arguments\":\":1}\"}}") REASON("function_call"),
              "ab", "[{\"id\":\"call_1\",\"name\":\"f\",\"arguments\":{\"a\":1}}]", "calls", NULL);
  check_reply(CHAT, CHUNK("{\"content\":\"x\\ud83d\"}") CHUNK("{\"content\":\"\\ude00 \\ud83d\\ude00 \xff\\\\ud83d\"}") REASON("stop"),
              "x\xef\xbf\xbd\xef\xbf\xbd \xf0\x9f\x98\x80 \xef\xbf\xbd\\ud83d", "[]", "end", NULL);
  /* a second choice is nobody's, null and other kinds everywhere */
  check_reply(CHAT, "data: {\"choices\":[{\"index\":1,\"delta\":{\"content\":\"no\"}},{\"index\":0,\"delta\":{\"content\":\"yes\"},"
                    "\"finish_reason\":\"stop\"}]}\n\n", "yes", "[]", "end", NULL);
  check_reply(CHAT, "data: {\"choices\":null,\"model\":5,\"usage\":[]}\n\ndata: []\n\ndata: 7\n\ndata: {\"choices\":[null,3,{\"delta\":[],"
                    "\"message\":1}]}\n\n" CHUNK("{\"content\":7,\"tool_calls\":[null,[],{\"index\":0,\"function\":3}],\"refusal\":1}")
                    REASON("stop"), "", "[{\"id\":\"call_1\",\"name\":\"\",\"arguments\":{}}]", "calls", NULL);
}

/* An answer at once: asked for or not. And a stream that was not asked for. */
static void test_chat_whole(void) {
  static const char body[] =
      " {\"id\":\"c\",\"model\":\"m1\",\"error\":null,\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":\"Hi\","
      "\"refusal\":null,\"tool_calls\":[{\"id\":\"a\",\"type\":\"function\",\"function\":{\"name\":\"f\",\"arguments\":\"{\\\"x\\\":1.5}\"}}]},"
      "\"finish_reason\":\"tool_calls\"}],\"usage\":{\"prompt_tokens\":100,\"completion_tokens\":20,"
      "\"prompt_tokens_details\":{\"cached_tokens\":64},\"completion_tokens_details\":{\"reasoning_tokens\":5}}}\r\n";
  const char *calls = "[{\"id\":\"a\",\"name\":\"f\",\"arguments\":{\"x\":1.5}}]";
  check_reply(WITH("\"stream\":false"), body, "Hi", calls, "calls", USED);
  check_reply(CHAT, body, "Hi", calls, "calls", USED);
  check_reply(WITH("\"stream\":false"), text_stream, "Hello \xe2\x82\xac \xe2\x82\xac", "[]", "end", USED);
  check_reply(CHAT, "{\"choices\":[{\"message\":{\"content\":\"a\"}}]}", "a", "[]", "end", NULL);
  /* each item is a call of its own: the tool's name as id of both, the same index, neither, the same arguments */
#define WHOLE_CALLS(items) "{\"choices\":[{\"message\":{\"tool_calls\":[" items "]},\"finish_reason\":\"tool_calls\"}]}"
#define LOOK(head, n) "{" head "\"function\":{\"name\":\"Look\",\"arguments\":\"{\\\"x\\\":" n "}\"}}"
  const char *two = "[{\"id\":\"Look\",\"name\":\"Look\",\"arguments\":{\"x\":1}},"
                    "{\"id\":\"call_2\",\"name\":\"Look\",\"arguments\":{\"x\":2}}]";
  check_reply(CHAT, WHOLE_CALLS(LOOK("\"id\":\"Look\",", "1") "," LOOK("\"id\":\"Look\",", "2")), "", two, "calls", NULL);
  check_reply(WITH("\"stream\":false"), WHOLE_CALLS(LOOK("\"index\":0,\"id\":\"Look\",", "1") ","
              LOOK("\"index\":0,\"id\":\"Look\",", "2")), "", two, "calls", NULL);
  check_reply(CHAT, WHOLE_CALLS(LOOK("", "1") "," LOOK("", "1") ",7"), "",
              "[{\"id\":\"call_1\",\"name\":\"Look\",\"arguments\":{\"x\":1}},"
              "{\"id\":\"call_2\",\"name\":\"Look\",\"arguments\":{\"x\":1}}]", "calls", NULL);
  /* in a stream, too, what begins behind whole arguments is another call's; pieces with id and name again are not */
  check_reply(CHAT, CHUNK("{\"tool_calls\":[" LOOK("\"id\":\"Look\",", "1") "," LOOK("\"id\":\"Look\",", "2") "]}") REASON("tool_calls"),
              "", two, "calls", NULL);
  check_reply(CHAT, CHUNK("{\"tool_calls\":[{\"id\":\"p\",\"function\":{\"name\":\"f\",\"arguments\":\"{\\\"x\\\":\"}}]}")
                    CHUNK("{\"tool_calls\":[{\"id\":\"p\",\"function\":{\"name\":\"f\",\"arguments\":\"{}}\"}}]}")
                    CHUNK("{\"tool_calls\":[{\"id\":\"p\",\"function\":{\"name\":\"f\",\"arguments\":\"\"}}]}") REASON("tool_calls"),
              "", "[{\"id\":\"p\",\"name\":\"f\",\"arguments\":{\"x\":{}}}]", "calls", NULL);
}

/* Ids that servers leave out go on counting through the conversation, so that replay and answers agree. */
static void test_ids_count_on(void) {
  check_reply("{\"provider\":\"openai\",\"name\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"x\"},{\"role\":\"assistant\","
              "\"calls\":[{\"id\":\"call_1\",\"name\":\"f\",\"arguments\":{}},{\"id\":\"call_2\",\"name\":\"f\",\"arguments\":{}}]},"
              "{\"role\":\"tool\",\"id\":\"call_1\",\"content\":\"1\"},{\"role\":\"tool\",\"id\":\"call_2\",\"content\":\"1\"}]}",
              CHUNK("{\"tool_calls\":[{\"function\":{\"name\":\"f\",\"arguments\":\"{}\"}}]}") REASON("stop"), "",
              "[{\"id\":\"call_3\",\"name\":\"f\",\"arguments\":{}}]", "calls", NULL);
}

/* ---- what breaks ------------------------------------------------------------------------- */

static void check_failure(const char *call, int status, const char *headers, const char *body, bool lost, const char *code,
                          const char *retry, int64_t wait_us) {
  Got g = run_cut(call, status, headers, str_of(body), lost);
  int64_t wait = -1;
  bool bad = !strcmp(g.outcome, "ok");
  CHECK(!bad);
  if (!bad) {
    CHECK_STR(str_of(g.outcome), !strcmp(retry, "unknown") ? STR("unknown") : STR("error"));
    Str got_code = error_text(&g, 0), got_retry = value_get_text(error_part(&g, 2), "class");
    CHECK(value_integer(error_data(&g, "wait_us"), &wait));
    bad = !str_equal(got_code, str_of(code)) || !str_equal(got_retry, str_of(retry)) || (wait_us >= 0 && wait != wait_us);
    CHECK_STR(got_code, str_of(code));
    CHECK_STR(got_retry, str_of(retry));
    if (wait_us >= 0) CHECK(wait == wait_us);
    CHECK(error_text(&g, 1).size > 0);
  }
  if (bad) fprintf(stderr, "  for HTTP %d, %s\n  wait %" PRId64 "\n  %s\n", status, headers, wait, body);
  got_deinit(&g);
}

#define ERROR(message, type, code) "{\"error\":{\"message\":\"" message "\",\"type\":\"" type "\",\"param\":null,\"code\":" code "}}"

static void test_error_table(void) {
  static const struct {
    int status;
    const char *body, *code, *retry;
  } rows[] = {
      {401, ERROR("Incorrect API key provided", "invalid_request_error", "\"invalid_api_key\""), "model_auth", "never"},
      {401, "", "model_auth", "never"},
      {403, ERROR("Country not supported", "request_forbidden", "\"unsupported_country_region_territory\""), "model_auth", "never"},
      {403, "<html><title>Forbidden</title></html>", "model_auth", "never"},
      {404, ERROR("no such model", "invalid_request_error", "\"model_not_found\""), "model_invalid", "never"},
      {404, "404 page not found", "model_invalid", "never"},
      {400, ERROR("bad", "invalid_request_error", "null"), "model_invalid", "never"},
      {400, ERROR("bad schema", "invalid_request_error", "\"invalid_json_schema\""), "model_invalid", "never"},
      {400, ERROR("This model's maximum context length is 8192 tokens", "invalid_request_error", "\"context_length_exceeded\""),
       "model_context", "never"},
      {400, ERROR("This model's maximum context length is 8192 tokens", "BadRequestError", "400"), "model_context", "never"},
      {400, "{\"error\":\"prompt is too long: 9 > 8\"}", "model_context", "never"},
      {413, "", "model_context", "never"},
      {429, ERROR("Request too large for gpt-4 on tokens per min (TPM)", "tokens", "\"rate_limit_exceeded\""), "model_context", "never"},
      {400, ERROR("flagged", "invalid_request_error", "\"content_policy_violation\""), "model_refused", "never"},
      {400, ERROR("filtered", "invalid_request_error", "\"content_filter\""), "model_refused", "never"},
      {400, ERROR("flagged", "invalid_request_error", "\"invalid_prompt\""), "model_refused", "never"},
      {422, "{\"detail\":\"field required\"}", "model_invalid", "never"},
      {429, ERROR("slow", "requests", "\"rate_limit_exceeded\""), "model_rate_limited", "wait"},
      {429, ERROR("You can add a payment method at https://platform.openai.com/account/billing", "tokens", "\"rate_limit_exceeded\""),
       "model_rate_limited", "wait"},
      {429, "", "model_rate_limited", "wait"},
      {429, ERROR("You exceeded your current quota", "insufficient_quota", "\"insufficient_quota\""), "model_quota", "never"},
      {429, ERROR("x", "insufficient_quota", "null"), "model_quota", "never"},
      {429, ERROR("x", "y", "\"credit_balance_exhausted\""), "model_quota", "never"},
      {429, ERROR("You exceeded your current quota, please check your plan", "rate_limit_error", "null"), "model_quota", "never"},
      {429, "{\"error\":{\"type\":\"rate_limit_error\",\"message\":\"x\",\"details\":{\"error_code\":\"enforced_spend_limit_reached\"}}}",
       "model_quota", "never"},
      {400, ERROR("You have reached your specified API usage limits", "invalid_request_error", "null"), "model_quota", "never"},
      {400, ERROR("Billing hard limit has been reached", "invalid_request_error", "\"billing_hard_limit_reached\""), "model_quota", "never"},
      {400, ERROR("Your credit balance is too low to access the API", "invalid_request_error", "null"), "model_quota", "never"},
      {402, ERROR("Insufficient Balance", "unknown_error", "\"invalid_request_error\""), "model_quota", "never"},
      {402, "", "model_quota", "never"},
      {408, "", "model_server", "unknown"},
      {409, "", "model_server", "wait"},
      {500, ERROR("The server had an error", "server_error", "null"), "model_server", "wait"},
      {502, "<html><head><TITLE>502 Bad Gateway</TITLE></head></html>", "model_server", "wait"},
      {503, ERROR("Slow down", "server_error", "\"slow_down\""), "model_overloaded", "wait"},
      {503, "", "model_overloaded", "wait"},
      {504, "", "model_server", "unknown"},
      {524, "", "model_server", "unknown"},
      {529, "{\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"Overloaded\"}}", "model_overloaded", "wait"},
      {400, "[{\"error\":{\"code\":400,\"message\":\"API key not valid\",\"status\":\"INVALID_ARGUMENT\"}}]", "model_invalid", "never"},
      {307, "", "model_invalid", "never"},
      {500, "\xff\xfe\x00", "model_server", "wait"},
  };
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    check_failure(CHAT, rows[i].status, "", rows[i].body, false, rows[i].code, rows[i].retry, 0);
    check_failure(RESP, rows[i].status, "", rows[i].body, true, rows[i].code, rows[i].retry, 0);
  }
}

static void test_waits(void) {
  static const struct {
    const char *headers, *message;
    int64_t wait_us;
  } rows[] = {
      {"retry-after-ms: 1500.5\nretry-after: 9", "", 1500500},
      {"retry-after: 2", "", 2000000},
      {"retry-after: 0.25", "", 250000},
      {"retry-after: 86400", "", INT64_C(86400000000)},
      {"retry-after: 99999999999", "", INT64_C(31) * 86400 * 1000000},
      {"retry-after: -1", "", 0},
      {"retry-after: soon", "", 0},
      {"retry-after-ms: x", "", 0},
      {"date: Fri, 20 Nov 2026 10:00:00 GMT\nretry-after: Fri, 20 Nov 2026 10:01:30 GMT", "", 90000000},
      {"retry-after: Fri, 20 Nov 2026 10:01:30 GMT\ndate: Fri, 20 Nov 2026 10:01:31 GMT", "", 0},
      {"retry-after: Fri, 20 Foo 2026 10:01:30 GMT", "", 0},
      {"retry-after: Mon, 01 Jan 2001 00:00:00 GMT", "", 0},
      {"x-ratelimit-remaining-requests: 0\nx-ratelimit-reset-requests: 6m0s\nx-ratelimit-remaining-tokens: 5\n"
       "x-ratelimit-reset-tokens: 9h", "", 360000000},
      {"x-ratelimit-remaining-tokens: 0\nx-ratelimit-reset-tokens: 20ms", "", 20000},
      {"x-ratelimit-remaining-tokens: 0\nx-ratelimit-reset-tokens: 1m1.5s", "", 61500000},
      {"x-ratelimit-remaining-requests: -1\nx-ratelimit-reset-requests: -1", "", 0},
      {"x-ratelimit-remaining-requests: 0\nx-ratelimit-reset-requests: 0", "", 0},
      {"date: Fri, 20 Nov 2026 10:00:00 GMT\nanthropic-ratelimit-input-tokens-remaining: 0\n"
       "anthropic-ratelimit-input-tokens-reset: 2026-11-20T10:00:07Z\nanthropic-ratelimit-output-tokens-remaining: 5\n"
       "anthropic-ratelimit-output-tokens-reset: 2026-11-20T11:00:07Z", "", 7000000},
      {"", "Rate limit reached. Please try again in 41.724s. Visit", 41724000},
      {"", "Please try again in 120ms.", 120000},
      {"", "Please retry after 20 seconds.", 20000000},
      {"", "Try again in 1m30s", 90000000},
      {"", "Try again in a while", 0},
      {"retry-after: 3", "Please try again in 41.724s", 3000000},
  };
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    Buf body = {0};
    buf_format(&body, ERROR("%s", "requests", "\"rate_limit_exceeded\""), rows[i].message);
    buf_byte(&body, 0);
    check_failure(CHAT, 429, rows[i].headers, body.at, false, "model_rate_limited", "wait", rows[i].wait_us);
    buf_deinit(&body);
  }
  check_failure(CHAT, 429, "x-should-retry: false", "", false, "model_rate_limited", "never", 0);
  check_failure(CHAT, 500, "x-should-retry: false", "", false, "model_server", "never", 0);
  check_failure(CHAT, 400, "x-should-retry: true\nretry-after: 1", "", false, "model_invalid", "wait", 1000000);
  check_failure(CHAT, 504, "x-should-retry: true", "", false, "model_server", "wait", 0);
  check_failure(CHAT, 429, "x-should-retry: true\nretry-after: 1", ERROR("x", "insufficient_quota", "null"), false,
                "model_quota", "never", 0);
}

static void check_words(const char *call, int status, const char *headers, const char *body, const char *want) {
  Got g = run_cut(call, status, headers, str_of(body), false);
  CHECK(strcmp(g.outcome, "ok") != 0);
  if (strcmp(g.outcome, "ok") != 0) CHECK_STR(error_text(&g, 1), str_of(want));
  got_deinit(&g);
}

static void test_error_words(void) {
  static const struct {
    const char *body, *words;
  } rows[] = {
      {"{\"detail\":[{\"loc\":[\"body\"],\"msg\":\"field required\"}]}", "body: field required"},
      {"{\"detail\":[{\"loc\":[\"body\",\"messages\",0,\"role\"],\"msg\":\"no role\",\"type\":\"value_error\"},7,{\"msg\":\"and more\"}]}",
       "body.messages.0.role: no role; and more"},
      {"{\"detail\":\"text\"}", "text"},
      {"{\"detail\":{\"msg\":\"in a map\"}}", "in a map"},
      {"{\"errors\":[{\"message\":\"xx\"}]}", "xx"},
      {"{\"errors\":[\"a\",\"\",\"b\",\"c\",\"d\",\"e\"]}", "a; b; c; d"},
      {"{\"error\":[{\"message\":\"of a list\"}]}", "of a list"},
      {"{\"error\":{\"detail\":[{\"loc\":[],\"msg\":\"deep\"}]}}", "deep"},
      {"{\"msg\":\"short\"}", "short"},
      {"{\"title\":\"Bad Request\",\"errors\":{}}", "Bad Request"},
      {"{\"message\":\"first\",\"errors\":[\"second\"]}", "first"},
      {"{\"detail\":[[[[[[[[\"too deep\"]]]]]]]]}", "the provider gave an error without a word on it"},
      {"{\"detail\":[{\"loc\":[\"body\"]}],\"errors\":7}", "the provider gave an error without a word on it"},
  };
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    Buf want = {0};
    buf_format(&want, "%s (openai, HTTP 422)", rows[i].words);
    buf_byte(&want, 0);
    check_words(CHAT, 422, "", rows[i].body, want.at);
    buf_deinit(&want);
  }
  check_failure(CHAT, 422, "", "{\"detail\":[{\"msg\":\"prompt is too long\"}]}", false, "model_context", "never", 0);
  check_words(CHAT, 500, "content-encoding: gzip", "\x1f\x8b\x08\x01", "its words are encoded as gzip, which was not asked for (openai, HTTP 500)");
}

/* What came instead of an answer is said. */
static void test_no_answer(void) {
  static const char *const providers[] = {"openai", "openai_responses", "anthropic", "ollama"};
  for (size_t i = 0; i < COUNT_OF(providers); i++) {
    for (int stream = 0; stream < 2; stream++) {
      Buf call = {0};
      buf_format(&call, "{\"provider\":\"%s\",\"name\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"x\"}],\"stream\":%s}",
                 providers[i], stream ? "true" : "false");
      buf_byte(&call, 0);
#define NO_ANSWER(headers, body, want) check_words(call.at, 200, headers, body, "the reply is no answer: " want)
      NO_ANSWER("content-encoding: gzip", "\x1f\x8b\x08\x01\x02\xff", "it is encoded as gzip, which was not asked for");
      NO_ANSWER("content-encoding: br", "\x0b\x05\x80{\x03", "it is encoded as br, which was not asked for");
      NO_ANSWER("content-encoding: identity", "null", "it is null");
      NO_ANSWER("", " \"hello\" \n", "it is \"hello\"");
      NO_ANSWER("", "17", "it is 17");
      buf_deinit(&call);
    }
  }
  check_words(WITH("\"stream\":false"), 200, "", "\x1f\x8b\x08\x01\x02\xff", "the reply is no answer: it begins with the bytes 1f 8b 08 01 02 ff");
  check_words(CHAT, 200, "", "Welcome to this server, of which the first page is here:\nand a second line follows",
              "the reply is no answer: it begins with Welcome to this server, of which the first page is here:");
  check_words(CHAT, 200, "", "OK\n", "the reply is no answer: it is OK");
  check_words(CHAT, 200, "", "a\nb", "the reply is no answer: it begins with a");
  check_words(CHAT, 200, "", ": ping\n\n", "the stream ended without an answer");
  check_words(CHAT, 200, "", "data: {\"choices\":[]}\n\n", "the stream ended without an answer");
  check_words(CHAT, 200, "", "{\"choices\":[", "the answer is no JSON");
  /* what a proxy has unpacked already, under a header that it left */
  Got g = run_cut(CHAT, 200, "content-encoding: gzip", STR(CHUNK("{\"content\":\"a\"}") REASON("stop")), false);
  CHECK_STR(str_of(g.outcome), STR("ok"));
  got_deinit(&g);
}

static void test_errors_within(void) {
  /* before anything came it may be tried again, afterwards it may have been paid for */
  check_failure(CHAT, 200, "", "data: " ERROR("Overloaded", "overloaded_error", "null") "\n\n", false, "model_overloaded", "wait", 0);
  check_failure(CHAT, 200, "retry-after: 4", CHUNK("{\"content\":\"a\"}") "data: " ERROR("Overloaded", "overloaded_error", "null") "\n\n",
                false, "model_overloaded", "unknown", 4000000);
  check_failure(CHAT, 200, "", "data: " ERROR("x", "y", "502") "\n\n", false, "model_server", "wait", 0);
  check_failure(CHAT, 200, "", "data: {\"error\":\"out of memory\"}\n\n", false, "model_server", "wait", 0);
  check_failure(CHAT, 200, "", ERROR("x", "y", "\"429\""), false, "model_rate_limited", "wait", 0);
  check_failure(CHAT, 200, "", CHUNK("{\"content\":\"a\"}") REASON("error"), false, "model_server", "unknown", 0);
  /* what cannot be read */
  check_failure(CHAT, 200, "", "<html><body>Login</body></html>", false, "model_reply", "never", 0);
  check_failure(CHAT, 200, "", "{\"choices\":[", false, "model_reply", "unknown", 0);
  check_failure(CHAT, 200, "", "{}", false, "model_reply", "unknown", 0);
  check_failure(CHAT, 200, "", "{\"choices\":[]}", false, "model_reply", "unknown", 0);
  check_failure(CHAT, 200, "", "", false, "model_reply", "unknown", 0);
  check_failure(CHAT, 200, "", "OK\n", false, "model_reply", "unknown", 0);
  check_failure(CHAT, 200, "", "data: nonsense\n\n", false, "model_reply", "unknown", 0);
  check_failure(CHAT, 200, "", DONE, false, "model_reply", "unknown", 0);
  /* what breaks off */
  check_failure(CHAT, 200, "", CHUNK("{\"content\":\"a\"}"), false, "model_network", "unknown", 0);
  check_failure(CHAT, 200, "", CHUNK("{\"content\":\"a\"}") "data: {\"cho", true, "model_network", "unknown", 0);
  check_failure(CHAT, 200, "", "{\"choices\":[", true, "model_network", "unknown", 0);
  check_failure(CHAT, 0, "", "", true, "model_network", "unknown", 0);
  check_failure(CHAT, 200, "", "", true, "model_network", "unknown", 0);
  Got g = run_cut(CHAT, 200, "x-request-id: r", STR(CHUNK("{\"content\":\"so far\"}")), true);
  CHECK_STR(value_get_text(error_part(&g, 2), "partial"), STR("so far"));
  CHECK_STR(value_get_text(error_part(&g, 2), "request_id"), STR("r"));
  CHECK(value_true(error_data(&g, "sent")) && value_is_map(error_data(&g, "usage")));
  CHECK(!value_true(value_get(error_data(&g, "usage"), "exact")));
  got_deinit(&g);
  g = run_cut(CHAT, 200, "", STR(CHUNK("{\"content\":\"all\"}") REASON("stop")), true); /* complete: no harm */
  CHECK_STR(str_of(g.outcome), STR("ok"));
  got_deinit(&g);
  g = run_cut(CHAT, 502, "", STR("<html><title> Bad\n Gateway</title>"), false);
  CHECK_STR(error_text(&g, 1), STR("Bad\n Gateway (openai, HTTP 502)"));
  got_deinit(&g);
}

static void test_not_sent(void) {
  Buf c = {0}, value = {0};
  encoded(CHAT, &c);
  ModelReader *r = model_reader_new(buf_view(&c));
  CHECK_STR(str_of(model_reader_end(r, true, false, STR("no such host"), &value)), STR("error"));
  Got g = {.value = value};
  CHECK_STR(error_text(&g, 0), STR("model_network"));
  CHECK_STR(error_text(&g, 1), STR("the request did not leave: no such host"));
  CHECK_STR(value_get_text(error_part(&g, 2), "class"), STR("wait"));
  CHECK(!value_true(error_data(&g, "sent")) && value_is_nil(error_data(&g, "status")));
  CHECK(value_is_nil(error_data(&g, "usage")) && value_is_nil(error_data(&g, "partial")));
  model_reader_free(r);
  got_deinit(&g);
  buf_deinit(&c);
}

/* ---- responses ---------------------------------------------------------------------------- */

static void test_responses_request(void) {
  check_request(RESP, "POST", "https://api.openai.com/v1/responses",
                "{\"model\":\"gpt-5\",\"input\":[{\"role\":\"user\",\"content\":\"hi\"}],\"max_output_tokens\":4096,\"include\":"
                "[\"reasoning.encrypted_content\"],\"store\":false,\"stream\":true}");
  check_request(BACK, "POST", "https://api.openai.com/v1/responses",
                "{\"model\":\"gpt-5\",\"input\":[{\"role\":\"user\",\"content\":\"hi\"}],\"max_output_tokens\":4096,\"include\":"
                "[\"reasoning.encrypted_content\"],\"store\":true,\"background\":true,\"stream\":true}");
  check_request("{\"provider\":\"openai_responses\",\"name\":\"gpt-5\",\"resume\":{\"id\":\"resp/1\",\"after\":42}}", "GET",
                "https://api.openai.com/v1/responses/resp%2F1?stream=true&starting_after=42", "");
  check_request("{\"provider\":\"openai_responses\",\"name\":\"m\",\"url\":\"https://h/v1?k=v\",\"resume\":{\"id\":\"r\"}}", "GET",
                "https://h/v1/responses/r?stream=true&k=v", "");
  check_request(
      "{\"provider\":\"openai_responses\",\"url\":\"http://h\",\"name\":\"gpt-4.1\",\"system\":\"s\",\"messages\":["
      "{\"role\":\"user\",\"content\":\"hi\"},"
      "{\"role\":\"assistant\",\"content\":\"lost\",\"raw\":\"[ {\\\"type\\\": \\\"reasoning\\\",\\\"n\\\":1.50} , {\\\"b\\\":\\\"\\\\u00e9\\\"} ]\"},"
      "{\"role\":\"assistant\",\"content\":null,\"raw\":\"[broken\",\"calls\":[{\"id\":\"a\",\"name\":\"f\",\"arguments\":{\"x\":1}}]},"
      "{\"role\":\"tool\",\"id\":\"a\",\"content\":\"1\"},{\"role\":\"assistant\",\"content\":\"t\",\"raw\":\"[]\"}],"
      "\"tools\":[{\"name\":\"f\",\"schema\":\"{}\"}],\"choice\":\"f\",\"answer\":{\"name\":\"A\",\"schema\":\"{}\"},"
      "\"max_tokens\":5,\"temperature\":1}",
      "POST", "http://h/v1/responses",
      "{\"model\":\"gpt-4.1\",\"instructions\":\"s\",\"input\":[{\"role\":\"user\",\"content\":\"hi\"},"
      "{\"type\": \"reasoning\",\"n\":1.50},{\"b\":\"\\u00e9\"},"
      "{\"type\":\"function_call\",\"call_id\":\"a\",\"name\":\"f\",\"arguments\":\"{\\\"x\\\":1}\"},"
      "{\"type\":\"function_call_output\",\"call_id\":\"a\",\"output\":\"1\"},{\"role\":\"assistant\",\"content\":\"t\"}],"
      "\"tools\":[{\"type\":\"function\",\"name\":\"f\",\"parameters\":{},\"strict\":false}],"
      "\"tool_choice\":{\"type\":\"function\",\"name\":\"f\"},\"text\":{\"format\":{\"type\":\"json_schema\",\"name\":\"A\","
      "\"schema\":{},\"strict\":false}},\"max_output_tokens\":5,\"temperature\":1.0,\"store\":false}");
}

#define EVENT(type, more) "event: " type "\ndata: {\"type\":\"" type "\"," more "}\n\n"
#define REASONING "{\"id\":\"rs_1\", \"type\":\"reasoning\",\"summary\":[],\"encrypted_content\":\"gAAA\\/+x\\u003d\",\"n\":1.0}"
#define LOST_THOUGHT "{\"id\":\"rs_0\",\"type\":\"reasoning\",\"summary\":[]}"
#define CALL_ITEM "{\"id\":\"fc_1\",\"type\":\"function_call\",\"status\":\"completed\",\"arguments\":\"{\\\"x\\\":1}\",\"call_id\":\"call_x\",\"name\":\"f\"}"
#define MESSAGE_ITEM "{\"id\":\"msg_1\",\"type\":\"message\",\"role\":\"assistant\",\"content\":[{\"type\":\"output_text\",\"annotations\":[],\"text\":\"Hello\"}]}"
#define RESP_USAGE "\"usage\":{\"input_tokens\":100,\"input_tokens_details\":{\"cached_tokens\":64,\"cache_write_tokens\":3}," \
  "\"output_tokens\":20,\"output_tokens_details\":{\"reasoning_tokens\":5},\"total_tokens\":120}"
#define HEAD(background) EVENT("response.created", "\"sequence_number\":0,\"response\":{\"id\":\"resp_1\",\"status\":\"queued\"," \
  "\"background\":" background ",\"error\":null,\"model\":\"gpt-5-x\",\"output\":[],\"usage\":null}")
#define RESP_PIECES \
  EVENT("response.output_item.added", "\"sequence_number\":1,\"output_index\":0,\"item\":{\"id\":\"rs_1\",\"type\":\"reasoning\",\"summary\":[]}") \
  EVENT("response.output_item.done", "\"sequence_number\":2,\"output_index\":0,\"item\":" REASONING) \
  EVENT("response.output_item.added", "\"sequence_number\":3,\"output_index\":1,\"item\":{\"type\":\"message\",\"content\":[]}") \
  EVENT("response.output_text.delta", "\"sequence_number\":4,\"output_index\":1,\"delta\":\"Hel\"") \
  EVENT("response.output_text.delta", "\"sequence_number\":5,\"output_index\":1,\"delta\":\"lo\"") \
  EVENT("response.who.knows", "\"sequence_number\":6,\"delta\":\"?\"") \
  EVENT("response.output_item.done", "\"sequence_number\":7,\"output_index\":1,\"item\":" MESSAGE_ITEM) \
  EVENT("response.output_item.added", "\"sequence_number\":8,\"output_index\":2,\"item\":{\"id\":\"fc_1\",\"type\":\"function_call\"," \
        "\"call_id\":\"call_x\",\"name\":\"f\",\"arguments\":\"\"}") \
  EVENT("response.function_call_arguments.delta", "\"sequence_number\":9,\"item_id\":\"fc_1\",\"output_index\":2,\"delta\":\"{\\\"x\\\"\"") \
  EVENT("response.function_call_arguments.delta", "\"sequence_number\":10,\"item_id\":\"fc_1\",\"output_index\":2,\"delta\":\":1}\"") \
  EVENT("response.function_call_arguments.done", "\"sequence_number\":11,\"output_index\":2,\"arguments\":\"{\\\"x\\\":1}\"") \
  EVENT("response.output_item.done", "\"sequence_number\":12,\"output_index\":2,\"item\":" CALL_ITEM)
#define RESP_END(output) EVENT("response.completed", "\"sequence_number\":13,\"response\":{\"id\":\"resp_1\",\"status\":\"completed\"," \
  "\"error\":null,\"model\":\"gpt-5-x\",\"output\":[" output "]," RESP_USAGE "}")
#define RESP_CALLS "[{\"id\":\"call_x\",\"name\":\"f\",\"arguments\":{\"x\":1}}]"
#define RESP_USED "{\"input\":100,\"cached\":64,\"cache_write\":3,\"output\":20,\"reasoning\":5,\"exact\":true}"

static void check_raw(const char *call, const char *body, const char *want) {
  Got g = run_cut(call, 200, "", str_of(body), false);
  Str raw = {0};
  CHECK_STR(str_of(g.outcome), STR("ok"));
  if (want) CHECK(value_bytes(value_get(view(&g.value), "raw"), &raw));
  else CHECK(value_is_nil(value_get(view(&g.value), "raw")));
  if (want) CHECK_STR(raw, str_of(want));
  got_deinit(&g);
}

static void test_responses_streams(void) {
  const char *raw = "[" REASONING "," MESSAGE_ITEM "," CALL_ITEM "]";
  check_reply(RESP, HEAD("false") RESP_PIECES RESP_END(REASONING " , " MESSAGE_ITEM "," CALL_ITEM), "Hello", RESP_CALLS, "calls", RESP_USED);
  check_raw(RESP, HEAD("false") RESP_PIECES RESP_END(LOST_THOUGHT "," REASONING " , " MESSAGE_ITEM "," CALL_ITEM), raw);
  /* the last event without the output: the pieces count */
  check_reply(RESP, HEAD("false") RESP_PIECES RESP_END(""), "Hello", RESP_CALLS, "calls", RESP_USED);
  check_raw(RESP, HEAD("false") RESP_PIECES RESP_END(""), raw);
  /* no pieces at all, and no event names: the last event counts, and its text is shown */
  Got g = run_cut(RESP, 200, "", STR("data: {\"type\":\"response.completed\",\"response\":{\"status\":\"completed\",\"output\":["
                                     MESSAGE_ITEM "]}}\n\n"), false);
  CHECK_STR(view(&g.shown), STR("Hello"));
  got_deinit(&g);
  g = run_cut(RESP, 200, "", STR(HEAD("false") RESP_PIECES RESP_END(MESSAGE_ITEM)), false);
  CHECK_STR(view(&g.shown), STR("Hello")); /* once */
  CHECK_STR(value_get_text(view(&g.value), "id"), STR("resp_1"));
  CHECK_STR(value_get_text(view(&g.value), "model"), STR("gpt-5-x"));
  CHECK(!g.has_resume);
  got_deinit(&g);
  /* stored at the provider: thoughts can be referred to */
  check_raw(RESP, EVENT("response.completed", "\"response\":{\"store\":true,\"output\":[" LOST_THOUGHT "]}"), "[" LOST_THOUGHT "]");
  check_raw(RESP, EVENT("response.completed", "\"response\":{\"store\":false,\"output\":[" LOST_THOUGHT "]}"), NULL);
}

/* A result names its call: the items that go back have the ids under which the calls stand in the reply. */
static void test_responses_ids(void) {
#define CALL_OF(id, n) "{ " id "\"type\":\"function_call\", \"name\":\"f\",\"arguments\":\"{\\\"x\\\":" n "}\"}"
#define DONE_ITEM(index, item) EVENT("response.output_item.done", "\"output_index\":" index ",\"item\":" item)
  const char *calls = "[{\"id\":\"a\",\"name\":\"f\",\"arguments\":{\"x\":1}},{\"id\":\"call_2\",\"name\":\"f\",\"arguments\":{\"x\":2}},"
                      "{\"id\":\"call_3\",\"name\":\"f\",\"arguments\":{\"x\":3}}]";
  const char *raw = "[" REASONING "," CALL_OF("\"call_id\" : \"a\",", "1") "," CALL_OF("\"call_id\" : \"call_2\",", "2")
                    ",{\"call_id\":\"call_3\",\"type\":\"function_call\", \"name\":\"f\",\"arguments\":\"{\\\"x\\\":3}\"}]";
  const char *whole = "{\"status\":\"completed\",\"output\":[" LOST_THOUGHT "," REASONING "," CALL_OF("\"call_id\" : \"a\",", "1") ","
                      CALL_OF("\"call_id\" : \"a\",", "2") "," CALL_OF("", "3") "]}";
  const char *pieces = HEAD("false") DONE_ITEM("0", REASONING) DONE_ITEM("2", CALL_OF("\"call_id\" : \"a\",", "1"))
                       DONE_ITEM("3", CALL_OF("\"call_id\" : \"a\",", "2")) DONE_ITEM("4", CALL_OF("", "3")) RESP_END("");
  check_reply(RESP, whole, "", calls, "calls", NULL);
  check_raw(RESP, whole, raw);
  check_reply(RESP, pieces, "", calls, "calls", RESP_USED);
  check_raw(RESP, pieces, raw);
}

static void test_responses_ends(void) {
#define STATUS(status, more) "{\"id\":\"resp_1\",\"status\":\"" status "\"," more ",\"output\":[" MESSAGE_ITEM "]," RESP_USAGE "}"
  check_reply(RESP, STATUS("completed", "\"error\":null"), "Hello", "[]", "end", RESP_USED);
  check_reply(RESP, STATUS("incomplete", "\"incomplete_details\":{\"reason\":\"max_output_tokens\"}"), "Hello", "[]", "length", RESP_USED);
  check_reply(RESP, STATUS("incomplete", "\"incomplete_details\":{\"reason\":\"content_filter\"}"), "Hello", "[]", "filter", RESP_USED);
  check_reply(RESP, STATUS("incomplete", "\"incomplete_details\":null"), "Hello", "[]", "other", RESP_USED);
  check_reply(RESP, EVENT("response.incomplete", "\"response\":" STATUS("incomplete", "\"incomplete_details\":{\"reason\":\"max_output_tokens\"}")),
              "Hello", "[]", "length", RESP_USED);
  check_reply(RESP, "{\"status\":\"completed\",\"output\":[{\"type\":\"message\",\"content\":[{\"type\":\"refusal\",\"refusal\":\"no\"}]}]}",
              "", "[]", "refusal", NULL);
  check_failure(RESP, 200, "", "{\"status\":\"failed\",\"output\":[],\"error\":{\"code\":\"rate_limit_exceeded\",\"message\":\"Please try again in 2s\"}}",
                false, "model_rate_limited", "wait", 2000000);
  check_failure(RESP, 200, "", "{\"status\":\"failed\",\"output\":[],\"error\":{\"code\":\"insufficient_quota\",\"message\":\"x\"}}", false,
                "model_quota", "never", 0);
  check_failure(RESP, 200, "", "{\"status\":\"failed\",\"error\":{\"code\":\"server_error\",\"message\":\"x\"}}", false, "model_server", "wait", 0);
  check_failure(RESP, 200, "", "{\"status\":\"failed\",\"error\":{\"code\":\"invalid_prompt\",\"message\":\"x\"}}", false, "model_refused", "never", 0);
  check_failure(RESP, 200, "", "{\"status\":\"cancelled\"}", false, "model_server", "never", 0);
  check_failure(RESP, 200, "", "{\"status\":\"in_progress\",\"output\":[]}", false, "model_server", "unknown", 0);
  check_failure(RESP, 200, "", "{\"error\":{\"type\":\"overloaded_error\",\"message\":\"x\"}}", false, "model_overloaded", "wait", 0);
  check_failure(RESP, 200, "", "{\"choices\":[]}", false, "model_reply", "unknown", 0);
  check_failure(RESP, 200, "", HEAD("false") EVENT("response.failed", "\"response\":{\"status\":\"failed\",\"error\":{\"code\":\"server_error\"}}"),
                false, "model_server", "wait", 0);
  check_failure(RESP, 200, "", HEAD("false") RESP_PIECES EVENT("response.failed", "\"response\":{\"error\":{\"code\":\"server_error\"}}"),
                false, "model_server", "unknown", 0);
  check_failure(RESP, 200, "", EVENT("error", "\"code\":\"rate_limit_exceeded\",\"message\":\"m\",\"param\":null,\"sequence_number\":1"),
                false, "model_rate_limited", "wait", 0);
  check_failure(RESP, 200, "", "data: {\"error\":{\"message\":\"m\",\"code\":\"slow_down\"}}\n\n", false, "model_overloaded", "wait", 0);
  check_failure(RESP, 200, "", HEAD("false") RESP_PIECES, false, "model_network", "unknown", 0);
}

/* Taken up again: what to ask for next is known at every cut, and the whole arrives though half was missed. */
static void test_background(void) {
  static const char head[] = HEAD("true");
  static const char all[] = HEAD("true") RESP_PIECES;
  Got g = run(BACK, 200, "", STR("event: response.created\ndata: {\"type\""), WHOLE, true);
  CHECK(!g.has_resume);
  got_deinit(&g);
  g = run(BACK, 200, "", str_of(head), WHOLE, true);
  CHECK(g.has_resume && !strcmp(g.id, "resp_1") && g.after == 0);
  CHECK_STR(str_of(g.outcome), STR("unknown"));
  got_deinit(&g);
  g = run(BACK, 200, "", str_of(all), CUTS, true);
  CHECK(g.has_resume && !strcmp(g.id, "resp_1") && g.after == 12);
  CHECK_STR(value_get_text(error_part(&g, 2), "partial"), STR("Hello"));
  got_deinit(&g);
  const char *again = "{\"provider\":\"openai_responses\",\"name\":\"gpt-5\",\"resume\":{\"id\":\"resp_1\",\"after\":4}}";
  g = run(again, 0, "", STR(""), WHOLE, true);
  CHECK(g.has_resume && !strcmp(g.id, "resp_1") && g.after == 4);
  got_deinit(&g);
  g = run_cut(again, 200, "", STR(EVENT("response.output_text.delta", "\"sequence_number\":5,\"output_index\":1,\"delta\":\"lo\"")
                                  RESP_END(REASONING "," MESSAGE_ITEM "," CALL_ITEM)), false);
  CHECK_STR(str_of(g.outcome), STR("ok"));
  CHECK_STR(view(&g.shown), STR("lo"));
  CHECK_STR(value_get_text(view(&g.value), "text"), STR("Hello"));
  got_deinit(&g);
  g = run_cut(again, 200, "", STR(RESP_END(MESSAGE_ITEM)), false);
  CHECK(g.shown.size == 0);
  got_deinit(&g);
}

/* ---- damage --------------------------------------------------------------------------------- */

/* Any bytes give one well-formed value and one of three outcomes (run checks); never more text than was there. */
static void damaged(const char *call, Str body) {
  char *copy = malloc(body.size);
  for (size_t i = 0; i < body.size; i++) { /* cut off at every byte, lost or ended */
    Got g = run(call, 200, "", (Str){body.at, i}, CUTS, i % 2);
    CHECK(!strcmp(g.outcome, "ok") || !strcmp(g.outcome, "error") || !strcmp(g.outcome, "unknown"));
    CHECK(g.shown.size <= body.size && utf8_valid(view(&g.shown)));
    got_deinit(&g);
  }
  for (int i = 0; i < 1500; i++) {
    memcpy(copy, body.at, body.size);
    for (uint64_t k = 1 + chance(3); k > 0; k--) copy[chance(body.size)] = (char)(chance(4) ? " \n\r{}[]\",:0x\\"[chance(14)] : (int)chance(256));
    Got g = run(call, 200, "", (Str){copy, body.size}, CUTS, chance(2));
    CHECK(utf8_valid(view(&g.shown)));
    got_deinit(&g);
  }
  free(copy);
}

static void test_damaged(void) {
  damaged(CHAT, str_of(text_stream));
  damaged(CHAT, str_of(calls_stream));
  damaged(RESP, STR(HEAD("true") RESP_PIECES RESP_END(REASONING "," MESSAGE_ITEM "," CALL_ITEM)));
  damaged(RESP, STR(STATUS("completed", "\"error\":null")));
}

/* More calls, deeper nesting and more bytes than anybody needs. */
static void test_bounds(void) {
  Buf body = {0};
  buf_text(&body, "data: {\"choices\":[{\"delta\":{\"tool_calls\":[");
  for (int i = 0; i <= MODEL_CALLS_MAX; i++) buf_format(&body, "%s{\"index\":%d}", i ? "," : "", i);
  buf_text(&body, "]}}]}\n\n");
  buf_byte(&body, 0);
  check_failure(CHAT, 200, "", body.at, false, "model_reply", "unknown", 0);
  buf_clear(&body);
  buf_text(&body, "data: ");
  for (int i = 0; i < 5000; i++) buf_byte(&body, '[');
  buf_text(&body, "\n\n");
  buf_byte(&body, 0);
  check_failure(CHAT, 200, "", body.at, false, "model_reply", "unknown", 0);
  buf_clear(&body);
  for (int i = 0; i < 1 << 20; i++) buf_byte(&body, 'a');
  Buf call = {0}, value = {0};
  encoded(CHAT, &call);
  ModelReader *r = model_reader_new(buf_view(&call));
  model_reader_status(r, 200);
  int fed = 0;
  while (fed < 100 && model_reader_feed(r, buf_view(&body), &value)) fed++;
  CHECK(fed == 64);
  CHECK_STR(str_of(model_reader_end(r, true, true, STR(""), &value)), STR("unknown"));
  model_reader_free(r);
  buf_deinit(&call);
  buf_deinit(&value);
  buf_deinit(&body);
}

/* ---- the splitter alone ----------------------------------------------------------------------- */

static bool note(void *context, Str name, Str data) {
  buf_format(context, "<" STR_FMT "|" STR_FMT ">", STR_ARG(name), STR_ARG(data));
  return !str_equal(data, STR("stop"));
}

static void check_split(SseKind kind, const char *text, const char *want) {
  for (int how = 0; how < 10; how++) {
    Sse s;
    Buf got = {0};
    SseResult result = SSE_MORE;
    Str rest = str_of(text);
    sse_init(&s, kind, 1000);
    while (rest.size > 0 && result == SSE_MORE) {
      size_t size = how == 0 ? rest.size : how == 1 ? 1 : 1 + chance(6);
      if (size > rest.size) size = rest.size;
      result = sse_feed(&s, (Str){rest.at, size}, note, &got);
      rest = (Str){rest.at + size, rest.size - size};
    }
    if (result == SSE_MORE) sse_end(&s, note, &got);
    CHECK_STR(view(&got), str_of(want));
    sse_deinit(&s);
    buf_deinit(&got);
  }
}

static void test_split(void) {
  check_split(SSE_EVENTS, "data: a\n\ndata:b\r\n\r\ndata:  c\r\r", "<|a><|b><| c>");
  check_split(SSE_EVENTS, "event: x\ndata: a\ndata\ndata: b\nid: 7\nretry: 9\n\n", "<x|a\n\nb>");
  check_split(SSE_EVENTS, ": c\n\n\n\nevent: only\n\nfoo: bar\n\ndata: \n\ndata: z", "<|z>");
  check_split(SSE_EVENTS, "data: a\n\ndata: stop\n\ndata: b\n\n", "<|a><|stop>");
  check_split(SSE_EVENTS, "\xef\xbb\xbf" "data: a\n\n\xef\xbb\xbf" "data: b\n\n", "<|a>");
  check_split(SSE_LINES, "{1}\r\n\n  \n{2}\r{3}", "<|{1}><|{2}><|{3}>");
  Sse s;
  Buf got = {0};
  sse_init(&s, SSE_EVENTS, 10);
  CHECK(sse_feed(&s, STR("data: 1234567"), note, &got) == SSE_TOO_LARGE);
  sse_deinit(&s);
  sse_init(&s, SSE_EVENTS, 10);
  CHECK(sse_feed(&s, STR("data: 12\ndata: 34\ndata: 56\ndata: 78\ndata: 9\n"), note, &got) == SSE_TOO_LARGE);
  CHECK(got.size == 0);
  sse_deinit(&s);
  buf_deinit(&got);
}

static void test_slices(void) {
  Str got = {0};
  CHECK(json_slice(STR(" { \"a\" : [1 , 2] , \"b\":\"x\\\"y\",\"a\": -1.50 }"), STR("a"), &got));
  CHECK_STR(got, STR("-1.50"));
  CHECK(json_slice(STR("{\"b\" : {\"c\": [ ]} ,\"d\":1}"), STR("b"), &got));
  CHECK_STR(got, STR("{\"c\": [ ]}"));
  CHECK(!json_slice(STR("[1]"), STR("b"), &got) && !json_slice(STR("{\"b\":"), STR("b"), &got));
  CHECK(json_slice_item(STR("[ 1 , {\"a\": 2} ,\"x\"]"), 1, &got));
  CHECK_STR(got, STR("{\"a\": 2}"));
  CHECK(!json_slice_item(STR("[1]"), 1, &got) && !json_slice_item(STR("{}"), 0, &got) && !json_slice_item(STR(""), 0, &got));
}

static void put_with(const char *object, const char *want) {
  Buf got = {0};
  json_put_with(&got, str_of(object), "id", STR("\"n"));
  CHECK_STR(buf_view(&got), str_of(want));
  buf_deinit(&got);
}
static void test_put_with(void) {
  put_with("{\"a\":{\"id\":1}, \"id\" : \"x\" ,\"b\":2}", "{\"a\":{\"id\":1}, \"id\" : \"\\\"n\" ,\"b\":2}");
  put_with("{\"id\":null}", "{\"id\":\"\\\"n\"}");
  put_with("{ \"a\":[1]}", "{\"id\":\"\\\"n\",\"a\":[1]}");
  put_with("{ }", "{\"id\":\"\\\"n\"}");
}

static void test_providers(void) {
  ProviderId id;
  for (uint32_t i = 0; i < PROVIDER_COUNT; i++) CHECK(provider_by_name(str_of(provider_info[i].name), &id) && id == i);
  CHECK(!provider_by_name(STR("openai_"), &id) && !provider_by_name(STR(""), &id));
  CHECK((provider_info[PROVIDER_RESPONSES].can & CAN_BACKGROUND) && !(provider_info[PROVIDER_OLLAMA].can & CAN_CHOICE));
}

int main(void) {
  RUN_TEST(test_providers);
  RUN_TEST(test_split);
  RUN_TEST(test_slices);
  RUN_TEST(test_put_with);
  RUN_TEST(test_chat_request);
  RUN_TEST(test_strict_schemas);
  RUN_TEST(test_urls);
  RUN_TEST(test_key_in_header_only);
  RUN_TEST(test_refused);
  RUN_TEST(test_chat_streams);
  RUN_TEST(test_chat_compatible);
  RUN_TEST(test_chat_whole);
  RUN_TEST(test_ids_count_on);
  RUN_TEST(test_error_table);
  RUN_TEST(test_waits);
  RUN_TEST(test_error_words);
  RUN_TEST(test_no_answer);
  RUN_TEST(test_errors_within);
  RUN_TEST(test_not_sent);
  RUN_TEST(test_responses_request);
  RUN_TEST(test_responses_streams);
  RUN_TEST(test_responses_ids);
  RUN_TEST(test_responses_ends);
  RUN_TEST(test_background);
  RUN_TEST(test_damaged);
  RUN_TEST(test_bounds);
  return TEST_END();
}
