/* vm/effects/model.h: the most tokens a prompt can be. What is likely is tested with the offline provider, who counts
** by it. */
#include "model_feed.h"

/* A call of one message whose content this is. */
static ModelTokens tokens_of(Str content) {
  Buf call = {0};
  cbor_put_tag(&call, CBOR_TAG_MAP);
  cbor_put_array(&call, 2);
  cbor_put_text(&call, STR("messages"));
  cbor_put_array(&call, 1);
  cbor_put_tag(&call, CBOR_TAG_MAP);
  cbor_put_array(&call, 2);
  cbor_put_text(&call, STR("content"));
  buf_str(&call, content);
  ModelTokens t = model_tokens(buf_view(&call));
  CHECK(t.likely == model_estimate(buf_view(&call)) && t.likely <= t.most);
  buf_deinit(&call);
  return t;
}

static ModelTokens tokens_of_text(Str text) {
  Buf content = {0};
  cbor_put_text(&content, text);
  ModelTokens t = tokens_of(buf_view(&content));
  buf_deinit(&content);
  return t;
}

/* ---- text --------------------------------------------------------------------------- */

/* A dictionary that knows no pair of bytes makes a token of each. */
static void no_text_is_more_than_its_bytes(void) {
  static const char *const texts[] = {
      "", "a", "The customer was charged twice.", "\n\n\n\t\r\n", "{}[](),.;:!?", "1234567890", "AAAAAAAAAAAAAAAA",
      "\xd0\x9a\xd0\xbb\xd0\xb8\xd0\xb5\xd0\xbd\xd1\x82", "\xe5\xae\xa2\xe6\x88\xb7\xe5\x86\x99\xe9\x81\x93",
      "\xf0\x9f\x8e\x89\xf0\x9f\x94\xa5\xf0\x9f\x91\xa9\xe2\x80\x8d\xf0\x9f\x91\xa7", "\xe1\x88\xb0\xe1\x88\x8b\xe1\x88\x9d"};
  uint64_t empty = tokens_of_text(STR("")).most;
  for (size_t i = 0; i < COUNT_OF(texts); i++) {
    uint64_t most = tokens_of_text(str_of(texts[i])).most;
    CHECK(most >= strlen(texts[i]) && most == empty + strlen(texts[i]));
  }
}

static void random_text_is_bounded(void) {
  static const char *const pieces[] = {"a", "Z", " ", "\n", "7", "-", "\"", "\xc3\xa9", "\xe4\xba\x8c", "\xf0\x9f\x98\x80"};
  uint32_t seed = 5;
  for (int round = 0; round < 2000; round++) {
    Buf text = {0};
    for (uint32_t n = feed_random(&seed) % 60; n > 0; n--) buf_text(&text, pieces[feed_random(&seed) % COUNT_OF(pieces)]);
    CHECK(tokens_of_text(buf_view(&text)).most >= text.size);
    buf_deinit(&text);
  }
}

/* ---- values ------------------------------------------------------------------------- */

static void random_value(Buf *out, uint32_t *seed, int depth);

static void random_text(Buf *out, uint32_t *seed) {
  char text[24];
  size_t size = feed_random(seed) % sizeof text;
  for (size_t i = 0; i < size; i++) text[i] = (char)(feed_random(seed) % 127 + 1);
  cbor_put_text(out, (Str){text, size});
}

static void random_number(Buf *out, uint32_t *seed) {
  union {
    uint64_t bits;
    double f;
  } any = {(uint64_t)feed_random(seed) << 40 ^ (uint64_t)feed_random(seed) << 20 ^ feed_random(seed)};
  switch (feed_random(seed) % 4) {
    case 0: cbor_put_int(out, (int64_t)(any.bits >> feed_random(seed) % 64)); break;
    case 1: cbor_put_int(out, -1 - (int64_t)(any.bits >> 1 >> feed_random(seed) % 63)); break;
    case 2: cbor_put_float(out, any.f - any.f == 0 ? any.f : -1.0 / 3); break;
    case 3: cbor_put_decimal(out, (Decimal){-(int64_t)(any.bits >> 1), (uint16_t)(feed_random(seed) % 200)}); break;
  }
}

static void random_other(Buf *out, uint32_t *seed) {
  static const uint64_t tags[] = {CBOR_TAG_TIME, CBOR_TAG_DURATION};
  char bytes[40] = {0};
  switch (feed_random(seed) % 4) {
    case 0: cbor_put_bool(out, false); break;
    case 1: cbor_put_nil(out); break;
    case 2: cbor_put_bytes(out, (Str){bytes, feed_random(seed) % sizeof bytes}); break;
    case 3:
      cbor_put_tag(out, tags[feed_random(seed) % 2]);
      cbor_put_int(out, -(int64_t)((uint64_t)feed_random(seed) << feed_random(seed) % 33));
      break;
  }
}

static void random_container(Buf *out, uint32_t *seed, int depth) {
  uint32_t count = feed_random(seed) % 5, kind = feed_random(seed) % 4;
  if (kind == 0) {
    cbor_put_tag(out, CBOR_TAG_ERROR);
    cbor_put_array(out, 4);
    for (int i = 0; i < 4; i++) random_value(out, seed, depth - 1);
    return;
  }
  if (kind > 1) cbor_put_tag(out, kind == 2 ? CBOR_TAG_MAP : CBOR_TAG_RECORD);
  cbor_put_array(out, kind == 1 ? count : 2 * count + (kind == 3 ? 2 : 0));
  if (kind == 3) cbor_put_text(out, STR("R")), cbor_put_nil(out);
  for (uint32_t i = 0; i < count; i++) {
    if (kind > 1 && feed_random(seed) % 4 == 0) cbor_put_int(out, -(int64_t)feed_random(seed));
    else if (kind > 1) random_text(out, seed);
    random_value(out, seed, depth - 1);
  }
}

static void random_value(Buf *out, uint32_t *seed, int depth) {
  switch (depth == 0 ? feed_random(seed) % 3 : feed_random(seed) % 6) {
    case 0: random_text(out, seed); break;
    case 1: random_number(out, seed); break;
    case 2: random_other(out, seed); break;
    default: random_container(out, seed, depth); break;
  }
}

/* Results of tools and arguments of calls leave as JSON. Writers of JSON differ in spaces: between any two of them. */
static void random_values_are_bounded_by_their_json(void) {
  uint32_t seed = 11, read = 0;
  for (int round = 0; round < 5000 && test_checks_failed == 0; round++) {
    Buf value = {0}, json = {0};
    Err err = {0};
    cbor_put_array(&value, 1); /* a text by itself would be no JSON */
    random_value(&value, &seed, 4);
    uint64_t most = tokens_of(buf_view(&value)).most;
    if (cbor_to_json(buf_view(&value), &json, &err)) read++;
    CHECK(most >= json.size);
    if (most < json.size) fprintf(stderr, "%" PRIu64 " for " STR_FMT "\n", most, STR_ARG(buf_view(&json)));
    buf_deinit(&value);
    buf_deinit(&json);
  }
  CHECK(read > 2500);
}

static void values_at_their_longest(void) {
  static const double longest[] = {-2.2250738585072014e-308, -1.7976931348623157e308, 5e-324, 123456789012345680000.0};
  for (size_t i = 0; i < COUNT_OF(longest); i++) {
    Buf value = {0}, json = {0};
    Err err = {0};
    cbor_put_array(&value, 100);
    for (int k = 0; k < 100; k++) cbor_put_float(&value, longest[i]);
    CHECK(cbor_to_json(buf_view(&value), &json, &err) && tokens_of(buf_view(&value)).most >= json.size + 100);
    buf_deinit(&value);
    buf_deinit(&json);
  }
  Buf small = {0}, json = {0};
  Err err = {0};
  cbor_put_decimal(&small, (Decimal){-7, 6144}); /* without exponent: thousands of zeros */
  CHECK(cbor_to_json(buf_view(&small), &json, &err) && json.size > 6000 && tokens_of(buf_view(&small)).most >= json.size);
  buf_deinit(&small);
  buf_deinit(&json);
}

/* ---- calls -------------------------------------------------------------------------- */

/* All strings of a request's body, and its schemas as text: what a model may get to see of it. */
static uint64_t texts_of(Str body) {
  Buf value = {0};
  Err err = {0};
  uint64_t bytes = 0;
  CborItem item;
  CHECK(cbor_from_json(body, &value, &err));
  CborReader r = cbor_reader(buf_view(&value));
  while (r.at < r.end && cbor_next(&r, &item, &err))
    if (item.kind == CBOR_TEXT) bytes += item.bytes.size;
  buf_deinit(&value);
  return bytes;
}

#define TEXT "\xe5\xae\xa2\xe6\x88\xb7 said: \\\"Why was I charged twice for order 4711?\\\"\\n"
#define SCHEMA "{\\\"type\\\":\\\"object\\\",\\\"properties\\\":{\\\"id\\\":{\\\"type\\\":\\\"string\\\"},\\\"n\\\":{\\\"type\\\":" \
  "[\\\"integer\\\",\\\"null\\\"]}},\\\"required\\\":[\\\"id\\\"]}"
#define REQUEST(more) "\"name\":\"m\",\"api_key\":\"k\",\"system\":\"" TEXT "\",\"messages\":[" \
  "{\"role\":\"user\",\"content\":\"" TEXT TEXT "\"}," \
  "{\"role\":\"assistant\",\"content\":\"x\",\"calls\":[{\"id\":\"call_1\",\"name\":\"Find\",\"arguments\":" \
  "{\"id\":\"4711\",\"deep\":{\"a\":[1,2.5,true,null,\"" TEXT "\"]}}}]}," \
  "{\"role\":\"tool\",\"id\":\"call_1\",\"name\":\"Find\",\"content\":{\"rows\":[[-1,2],[3,\"" TEXT "\"]]},\"error\":true}," \
  "{\"role\":\"user\",\"content\":\"and now?\"}]," \
  "\"tools\":[{\"name\":\"Find\",\"description\":\"" TEXT "\",\"schema\":\"" SCHEMA "\"}]" more "}"

/* Words of the protocol are no part of a prompt: what is left out below. */
static void whole_requests_are_bounded(void) {
  static const struct {
    const char *provider, *call;
    uint64_t words; /* at least, of roles, names of fields and settings in the body */
  } cases[] = {{"openai", REQUEST(""), 150}, {"anthropic", REQUEST(""), 150}, {"ollama", REQUEST(""), 100},
               {"openai", REQUEST(",\"answer\":{\"name\":\"A\",\"schema\":\"" SCHEMA "\"}"), 150}};
  for (size_t i = 0; i < COUNT_OF(cases); i++) {
    Buf json = {0}, call = {0}, body = {0};
    ModelHttp http;
    buf_format(&json, "{\"provider\":\"%s\",%s", cases[i].provider, cases[i].call);
    buf_byte(&json, 0);
    feed_request(json.at, &http, &body);
    feed_encode(json.at, &call);
    ModelTokens t = model_tokens(buf_view(&call));
    uint64_t bytes = texts_of(buf_view(&body));
    CHECK(t.likely <= t.most && t.most + cases[i].words >= bytes && t.most < 3 * bytes);
    for (size_t cut = 0; cut < call.size; cut++) {
      ModelTokens part = model_tokens((Str){call.at, cut});
      CHECK(part.likely <= part.most);
    }
    model_http_deinit(&http);
    buf_deinit(&json);
    buf_deinit(&call);
    buf_deinit(&body);
  }
}

static void what_goes_back_as_it_came_is_bounded(void) {
  Buf call = {0};
  char raw[3000];
  memset(raw, 'x', sizeof raw);
  cbor_put_tag(&call, CBOR_TAG_MAP);
  cbor_put_array(&call, 2);
  cbor_put_text(&call, STR("messages"));
  cbor_put_array(&call, 1);
  cbor_put_tag(&call, CBOR_TAG_MAP);
  cbor_put_array(&call, 4);
  cbor_put_text(&call, STR("content"));
  cbor_put_text(&call, STR("short"));
  cbor_put_text(&call, STR("raw"));
  cbor_put_bytes(&call, (Str){raw, sizeof raw});
  ModelTokens t = model_tokens(buf_view(&call));
  CHECK(t.most >= sizeof raw && t.likely >= sizeof raw / 4 && t.likely < sizeof raw);
  buf_deinit(&call);
}

int main(void) {
  RUN_TEST(no_text_is_more_than_its_bytes);
  RUN_TEST(random_text_is_bounded);
  RUN_TEST(random_values_are_bounded_by_their_json);
  RUN_TEST(values_at_their_longest);
  RUN_TEST(whole_requests_are_bounded);
  RUN_TEST(what_goes_back_as_it_came_is_bounded);
  return TEST_END();
}
