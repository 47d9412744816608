/* The offline provider: its script, its rules, the smallest values of schemas; and estimates of tokens. */
#include "model_feed.h"
#include "vm/effects/model_estimate.h"
#include "vm/effects/model_instance.h"
#include "vm/effects/model_offline.h"

#define CALL "{\"provider\":\"offline\","
#define USER(text) "{\"role\":\"user\",\"content\":\"" text "\"}"
#define TOOL(name, what, schema) "{\"name\":\"" name "\",\"description\":\"" what "\",\"schema\":\"" schema "\"}"
#define ID_SCHEMA "{\\\"type\\\":\\\"object\\\",\\\"properties\\\":{\\\"id\\\":{\\\"type\\\":\\\"string\\\"}}," \
  "\\\"required\\\":[\\\"id\\\"]}"

/* Without the numbers of usage and raw, which is never there: text | calls | stop. Or the error's text. */
static void offline(const char *call_json, Buf *got) {
  Buf call = {0}, value = {0};
  feed_encode(call_json, &call);
  const char *outcome = model_offline(buf_view(&call), &value);
  if (strcmp(outcome, "ok") == 0) {
    feed_json(value_get(buf_view(&value), "text"), got);
    buf_text(got, " | ");
    feed_json(value_get(buf_view(&value), "calls"), got);
    buf_byte(got, ' ');
    buf_str(got, value_get_text(buf_view(&value), "stop"));
  } else {
    feed_json(buf_view(&value), got);
  }
  buf_deinit(&call);
  buf_deinit(&value);
}

static void expect(const char *call_json, const char *want) {
  Buf got = {0}, again = {0};
  offline(call_json, &got);
  offline(call_json, &again);
  CHECK_STR(buf_view(&got), str_of(want));
  CHECK_STR(buf_view(&again), str_of(want));
  buf_deinit(&got);
  buf_deinit(&again);
}

static void expect_part(const char *call_json, const char *part) {
  Buf got = {0};
  offline(call_json, &got);
  CHECK(memmem(got.at, got.size, part, strlen(part)));
  if (!memmem(got.at, got.size, part, strlen(part))) fprintf(stderr, STR_FMT "\n", STR_ARG(buf_view(&got)));
  buf_deinit(&got);
}

/* -- the script -- */

#define SCRIPT "\"script\":[\"one\",{\"calls\":[{\"name\":\"T\",\"arguments\":{\"a\":1}},{\"name\":\"U\"}," \
  "{\"name\":\"V\"," \
  "\"arguments\":\"{oops\"}],\"text\":\"two\"},{\"answer\":{\"b\":[2]}},7],"

static void follows_a_script(void) {
  expect(CALL SCRIPT "\"messages\":[" USER("q") "]}", "\"one\" | [] end");
  expect(CALL SCRIPT "\"messages\":[" USER("q") ",{\"role\":\"assistant\",\"content\":\"one\"}," USER("r") "]}",
         "\"two\" | [{\"id\":\"call_1\",\"name\":\"T\",\"arguments\":{\"a\":1}},{\"id\":\"call_2\",\"name\":\"U\","
         "\"arguments\":{}},"
         "{\"id\":\"call_3\",\"name\":\"V\",\"arguments\":null,\"invalid\":\"{oops\"}] calls");
  expect(CALL SCRIPT "\"messages\":[" USER("q") ",{\"role\":\"assistant\"},"
    "{\"role\":\"assistant\"}]}", "\"{\\\"b\\\":[2]}\" | [] end");
  expect_part(CALL SCRIPT "\"messages\":[{\"role\":\"assistant\"},{\"role\":\"assistant\"},{\"role\":\"assistant\"}]}",
              "answer 4 of the offline script is neither a string nor");
  expect_part(CALL "\"script\":[\"x\"],\"messages\":[{\"role\":\"assistant\"}]}",
              "\"model_invalid\",\"message\":\"the offline script has 1 answers,"
              " and this conversation asks for number 2");
  expect_part(CALL "\"script\":7,\"messages\":[" USER("q") "]}", "the offline script must be a list of answers");
  expect_part(CALL "\"script\":[{\"calls\":[{}]}],\"messages\":[" USER("q") "]}", "has no name");
}

#define RULES "\"script\":{\"rules\":[{\"when\":\"weather\",\"calls\":[{\"name\":\"Weather\"}]}," \
  "{\"when\":\"weather\",\"text\":\"Sunny.\"},{\"when\":\"pirate\",\"text\":\"Arr.\"},{\"answer\":{\"n\":1}}]},"

static void follows_rules(void) {
  expect(CALL RULES "\"messages\":[" USER("the weather?") "]}",
         "\"\" | [{\"id\":\"call_1\",\"name\":\"Weather\",\"arguments\":{}}] calls");
  expect(CALL RULES "\"messages\":[" USER("the weather?") ",{\"role\":\"assistant\",\"calls\":[{\"id\":\"call_1\","
         "\"name\":\"Weather\",\"arguments\":{}}]},{\"role\":\"tool\",\"id\":\"call_1\",\"content\":\"x\"}]}",
         "\"Sunny.\" | [] end");
  expect(CALL RULES "\"system\":\"Talk like a pirate.\",\"messages\":[" USER("hi") "]}", "\"Arr.\" | [] end");
  expect(CALL RULES "\"messages\":[" USER("hi") "]}", "\"{\\\"n\\\":1}\" | [] end");
  expect_part(CALL "\"script\":{\"rules\":[{\"when\":\"a\",\"text\":\"b\"}]},\"messages\":[" USER("x") "]}",
              "no rule of the offline script fits");
  expect_part(CALL "\"script\":{},\"messages\":[" USER("x") "]}", "must be a list of answers, or {rules");
}

#define TURNS "\"script\":{\"rules\":[{\"when\":\"weather\",\"turns\":[{\"calls\":[{\"name\":\"W\"}]}," \
  "{\"calls\":[{\"name\":\"V\"}]},\"Sunny.\"]}]},"
#define SAID "{\"role\":\"assistant\",\"calls\":[{\"id\":\"1\",\"name\":\"W\",\"arguments\":{}}]}"
#define GOT "{\"role\":\"tool\",\"id\":\"1\",\"content\":\"x\"}"

/* The turns of a rule are counted from the question on, whatever was said before it. */
static void follows_turns(void) {
  expect(CALL TURNS "\"messages\":[" USER("hi") "," SAID "," GOT "," USER("the weather?") "," SAID "," GOT "]}",
         "\"\" | [{\"id\":\"call_3\",\"name\":\"V\",\"arguments\":{}}] calls");
  expect(CALL TURNS "\"messages\":[" USER("the weather?") "," SAID "," GOT "," SAID "," GOT "]}",
         "\"Sunny.\" | [] end");
  expect_part(CALL TURNS "\"messages\":[" USER("the weather?") "," SAID "," SAID "," SAID "]}",
              "has 3 turns, and this conversation asks for number 4");
}

/* -- the rules -- */

static void answers_in_words(void) {
  expect(CALL "\"messages\":[" USER("Why is the sky blue?") "]}",
         "\"This is the offline provider, not a model: it answers by fixed rules. The question was \\\"Why is the "
         "sky blue?\\\".\""
         " | [] end");
  expect(CALL "\"messages\":[" USER("Look at c1") ",{\"role\":\"assistant\",\"calls\":[{\"id\":\"a\","
    "\"name\":\"Look\",\"arguments\":{}}]},"
         "{\"role\":\"tool\",\"id\":\"a\",\"name\":\"Look\",\"content\":{\"name\":\"Ada\"}},"
         "{\"role\":\"tool\",\"id\":\"b\",\"content\":\"gone\",\"error\":true}],"
         "\"tools\":[" TOOL("Look", "", ID_SCHEMA) "]}",
         "\"This is the offline provider, not a model: it answers by fixed rules. The question was \\\"Look at "
         "c1\\\". Tools "
         "returned: Look: {\\\"name\\\":\\\"Ada\\\"}; a tool failed: gone.\" | [] end");
}

static void calls_tools(void) {
#define TOOLS "\"tools\":[" TOOL("Weather", "Tells the weather.", ID_SCHEMA) "," \
  "" TOOL("LookupCustomer", "Finds one.", ID_SCHEMA) "]"
  expect(CALL "\"messages\":[" USER("customers like c1 complain") "]," TOOLS "}",
         "\"\" | [{\"id\":\"call_1\",\"name\":\"LookupCustomer\",\"arguments\":{\"id\":\"c1\"}}] calls");
  expect_part(CALL "\"messages\":[" USER("nothing in common") "]," TOOLS "}", "[] end");
  expect_part(CALL "\"choice\":\"none\",\"messages\":[" USER("the weather") "]," TOOLS "}", "[] end");
  expect(CALL "\"choice\":\"required\",\"messages\":[" USER("nothing") "]," TOOLS "}",
         "\"\" | [{\"id\":\"call_1\",\"name\":\"Weather\",\"arguments\":{\"id\":\"offline id\"}}] calls");
  expect(CALL "\"choice\":\"LookupCustomer\",\"messages\":[" USER("weather in \\\"Rome, Italy\\\" or 'Oslo'") "],"
    "" TOOLS "}",
         "\"\" | [{\"id\":\"call_1\",\"name\":\"LookupCustomer\",\"arguments\":{\"id\":\"Rome, Italy\"}}] calls");
  /* once for each question; ids go on counting */
  expect(CALL "\"messages\":[" USER("weather x1") ",{\"role\":\"assistant\",\"calls\":[{\"id\":\"call_1\","
    "\"name\":\"Weather\","
         "\"arguments\":{}}]},{\"role\":\"tool\",\"id\":\"call_1\",\"content\":\"wet\"}," USER("weather x2") "],"
         "" TOOLS "}",
         "\"\" | [{\"id\":\"call_2\",\"name\":\"Weather\",\"arguments\":{\"id\":\"x2\"}}] calls");
}

static void answers_by_schema(void) {
#define VERDICT "\"answer\":{\"name\":\"Verdict\",\"schema\":\"{\\\"type\\\":\\\"object\\\"," \
  "\\\"properties\\\":{\\\"kind\\\":{\\\"enum\\\":" \
  "[\\\"billing\\\",\\\"other\\\"]},\\\"why\\\":{\\\"type\\\":\\\"string\\\"}},\\\"required\\\":[\\\"kind\\\"," \
    "\\\"why\\\"]}\"}"
  expect(CALL "\"messages\":[" USER("other \\\"thing\\\"") "]," VERDICT "}",
         "\"{\\\"kind\\\":\\\"billing\\\",\\\"why\\\":\\\"offline why\\\"}\" | [] end");
  expect_part(CALL "\"messages\":[" USER("weather x1") "]," TOOLS "," VERDICT "}", "\"name\":"
    "\"Weather\""); /* first the tool */
}

static void counts_and_cuts(void) {
  Buf call = {0}, value = {0};
  feed_encode(CALL "\"messages\":[" USER("Why?") "]}", &call);
  CHECK(strcmp(model_offline(buf_view(&call), &value), "ok") == 0);
  Str usage = value_get(buf_view(&value), "usage");
  int64_t input = 0, output = 0;
  CHECK(value_integer(value_get(usage, "input"), &input) && (uint64_t)input == model_estimate(buf_view(&call)));
  CHECK(value_integer(value_get(usage, "output"), &output));
  CHECK((uint64_t)output == estimate_text(value_get_text(buf_view(&value), "text")) && output > 10);
  CHECK(value_true(value_get(usage, "exact")));
  CHECK_STR(value_get_text(buf_view(&value), "model"), STR("offline"));
  buf_deinit(&call);
  buf_deinit(&value);
  expect(CALL "\"max_tokens\":5,\"messages\":[" USER("Why?") "]}", "\"This is the offline \" | [] length");
}

static void streams_words(void) {
  Str text = STR("One two,  three\nfour-and-a-word-that-goes-on-and-on-and-on-and-on-for-ever "
    "\xe4\xba\x8c\xe4\xba\x8c");
  Buf pieces = {0};
  size_t count = 0;
  for (size_t at = 0, size; (size = model_offline_piece(text, at)) > 0; at += size, count++) {
    CHECK(utf8_valid((Str){text.at + at, size}));
    buf_put(&pieces, text.at + at, size);
  }
  CHECK_STR(buf_view(&pieces), text);
  CHECK(count == 6 && model_offline_piece(text, 0) == 4);
  buf_deinit(&pieces);
}

static void refuses_bad_calls(void) {
  Buf value = {0};
  CHECK(strcmp(model_offline(STR("\xff\x00"), &value), "error") == 0);
  buf_deinit(&value);
  expect_part(CALL "\"messages\":[]}", "\"class\":\"never\"");
  expect_part(CALL "\"messages\":[" USER("q") "],\"answer\":{\"name\":\"A\","
    "\"schema\":\"{\\\"required\\\":[\\\"a\\\"],\\\"properties\\\":"
              "{\\\"a\\\":{\\\"$ref\\\":\\\"#\\\"}}}\"}}", "has no end");
  ModelHttp http;
  Buf body = {0};
  feed_request(CALL "\"messages\":[" USER("q") "]}", &http, &body);
  CHECK(body.size && body.at[0] == 't'); /* it sends nothing */
  buf_deinit(&body);
}

/* Encoded calls cut anywhere and with bytes changed: any outcome, no crash. */
static void survives_damage(void) {
  Buf call = {0};
  uint32_t seed = 11;
  feed_encode(CALL SCRIPT "\"messages\":[" USER("weather 'x' 12") ",{\"role\":\"assistant\",\"content\":\"one\"}],"
    "" TOOLS "," VERDICT
              ",\"max_tokens\":99}", &call);
  for (size_t i = 0; i < call.size + 3000; i++) {
    Buf value = {0}, copy = {0};
    buf_put(&copy, call.at, i < call.size ? i : call.size);
    for (uint32_t k = 0; i >= call.size && k < 1 + i % 3; k++)
      copy.at[feed_random(&seed) % call.size] ^= (char)(1u << feed_random(&seed) % 8);
    const char *outcome = model_offline(buf_view(&copy), &value);
    CHECK(value.size > 0 && (strcmp(outcome, "ok") == 0 || strcmp(outcome, "error") == 0));
    buf_deinit(&value);
    buf_deinit(&copy);
  }
  buf_deinit(&call);
}

/* Schemas and patterns likewise. */
static void survives_damaged_schemas(void) {
  const char *schema = "{\"type\":\"object\",\"required\":[\"a\",\"b\",\"c\"],"
    "\"properties\":{\"a\":{\"$ref\":\"#/$defs/D\"},"
                       "\"b\":{\"type\":\"array\",\"minItems\":2,\"items\":{\"type\":\"integer\",\"minimum\":-5,"
                       "\"multipleOf\":3}},"
                       "\"c\":{\"type\":\"string\",\"pattern\":\"^[a-z]{2}(x|\\\\d+)$\"}},"
                       "\"$defs\":{\"D\":{\"type\":\"string\","
                       "\"minLength\":3,\"maxLength\":5}}}";
  uint32_t seed = 5;
  for (int i = 0; i < 6000; i++) {
    Buf copy = {0}, value = {0};
    Hints hints;
    Err err;
    buf_text(&copy, schema);
    for (int k = 0; k < 1 + i % 4; k++)
      copy.at[feed_random(&seed) % copy.size] = (char)"\"{}[]:,\\0a9#$e-x"[feed_random(&seed) % 16];
    hints_read(&hints, buf_view(&copy));
    bool ok = schema_instance(buf_view(&copy), STR("f"), i % 2 ? &hints : NULL, &value, &err);
    CHECK(ok == (value.size > 0));
    buf_clear(&value);
    (void)pattern_instance(buf_view(&copy), &value);
    buf_deinit(&copy);
    buf_deinit(&value);
  }
}

/* -- instances -- */

static void instance_with(const char *schema, const char *message, const char *want) {
  Buf value = {0}, json = {0};
  Hints hints;
  Err err = {0};
  hints_read(&hints, str_of(message));
  bool ok = schema_instance(str_of(schema), STR("f"), *message ? &hints : NULL, &value, &err);
  if (ok) feed_json(buf_view(&value), &json);
  else buf_text(&json, err.text);
  CHECK_STR(buf_view(&json), str_of(want));
  buf_deinit(&value);
  buf_deinit(&json);
}
static void instance(const char *schema, const char *want) { instance_with(schema, "", want); }

static void makes_smallest_values(void) {
  instance("", "\"offline f\"");
  instance("true", "\"offline f\"");
  instance("{}", "\"offline f\"");
  instance("{\"type\":\"object\"}", "{}");
  instance("{\"type\":[\"null\",\"boolean\"]}", "false");
  instance("{\"type\":\"null\"}", "null");
  instance("{\"const\":{\"a\":1}}", "{\"a\":1}");
  instance("{\"type\":\"string\",\"default\":\"d\"}", "\"d\"");
  instance("{\"type\":\"integer\"}", "0");
  instance("{\"type\":\"integer\",\"minimum\":3}", "3");
  instance("{\"type\":\"integer\",\"exclusiveMinimum\":3,\"multipleOf\":5}", "5");
  instance("{\"type\":\"integer\",\"maximum\":-2}", "-2");
  instance("{\"type\":\"number\",\"minimum\":0.25}", "0.25");
  instance("{\"type\":\"number\",\"exclusiveMinimum\":0,\"maximum\":0.5}", "0.25");
  instance("{\"type\":\"number\",\"exclusiveMaximum\":0}", "-1");
  instance("{\"type\":\"string\",\"maxLength\":4}", "\"offl\"");
  instance("{\"type\":\"string\",\"minLength\":12}", "\"offline f...\"");
  instance("{\"type\":\"string\",\"format\":\"date-time\"}", "\"1970-01-01T00:00:00Z\"");
  instance("{\"type\":\"string\",\"pattern\":\"^[A-Z]{2}-\\\\d+$\"}", "\"AA-0\"");
  instance("{\"type\":\"array\",\"items\":{\"type\":\"string\"}}", "[]");
  instance("{\"type\":\"array\",\"minItems\":3,\"items\":{\"type\":\"integer\",\"minimum\":1}}", "[1,2,3]");
  instance("{\"type\":\"array\",\"minItems\":2,\"prefixItems\":[{\"type\":\"null\"}],\"items\":{\"type\":\"string\"}}",
           "[null,\"offline f 2\"]");
  instance("{\"properties\":{\"a\":{\"type\":\"integer\"},\"b\":{}},\"required\":[\"b\",\"b\",\"c\"]}",
           "{\"b\":\"offline b\",\"c\":\"offline c\"}");
  instance("{\"anyOf\":[{\"$ref\":\"#/$defs/D\"}],\"$defs\":{\"D\":{\"type\":\"object\",\"required\":[\"next\"],"
    "\"properties\":"
           "{\"next\":{\"anyOf\":[{\"type\":\"null\"},{\"$ref\":\"#/$defs/D\"}]}}}}}", "{\"next\":null}");
}

static void where(const char *type, const char *words, const char *want) {
  char schema[200];
  snprintf(schema, sizeof schema, "{\"type\":\"%s\",\"description\":\"%s\"}", type, words);
  instance(schema, want);
}

/* What a `where` asks stands in the description. */
static void keeps_to_a_where(void) {
  where("integer", "f in range(1, 6)", "1");
  where("integer", "From 1 to 5. (f in range(2, 6))", "2");
  where("integer", "f in range(6)", "0");
  where("integer", "f > 3 and f < 9", "4");
  where("integer", "f <= -2", "-2");
  where("integer", "f < 0 or f > 40_000", "-1");
  where("integer", "f == 7", "7");
  where("integer", "f is 8", "8");
  where("integer", "f >= 40_000", "40000");
  where("number", "f > 0.5 and f <= 0.75", "0.625");
  where("number", "f >= 0.25d", "0.25");
  where("string", "len(f) > 11", "\"offline f...\"");
  where("string", "len(f) in range(1, 5)", "\"offl\"");
  where("array", "len(f) > 1", "[\"offline f\",\"offline f 2\"]");
  where("integer", "ff > 3, f.x > 4, not f > 5, len(f) > 6, f > g, f >, f", "0");
  where("string", "f > 3", "\"offline f\"");
  where("string", "base64", "\"b2ZmbGluZQ==\"");
  where("string", "a length of time, like 30s, 5m, 8h or 2d", "\"1s\"");
}

static void ends_with_hostile_schemas(void) {
  const char *endless = "the smallest value of the schema of \"f\" is too large or has no end; let what refers to "
    "itself be "
                        "optional";
  instance("{\"$ref\":\"#\"}", endless);
  instance("{\"type\":\"array\",\"minItems\":1e300,\"items\":{\"$ref\":\"#\"}}", endless);
  instance("{\"type\":\"array\",\"minItems\":1000000000}", endless);
  instance("{\"type\":\"string\",\"minLength\":1000000000}", endless);
  instance("{\"required\":[\"a\",\"b\"],\"properties\":{\"a\":{\"$ref\":\"#\"},\"b\":{\"$ref\":\"#\"}}}", endless);
  instance("{\"$ref\":\"http://elsewhere\",\"type\":7,\"required\":3,\"properties\":[]}", "{}");
  instance("{\"type\":\"integer\",\"minimum\":1e300,\"maximum\":\"x\"}", "9223372036854775807");
  instance("{\"type\":", "the schema of \"f\": JSON, line 1, column 9: the text ends where a value is expected");
}

static void takes_hints(void) {
#define FIELDS "{\"properties\":{\"amount\":{\"type\":\"number\",\"minimum\":1},\"who\":{\"type\":\"string\"}," \
  "\"n\":{\"type\":\"integer\"}}," \
  "\"required\":[\"who\",\"amount\",\"n\"]}"
  instance_with(FIELDS, "Refund -3 or $1,250.50 to c1, 2 times", "{\"who\":\"c1\",\"amount\":1250.5,\"n\":-3}");
  instance_with(FIELDS, "don't say \"x y\" 'til it's 7", "{\"who\":\"x y\",\"amount\":7,\"n\":0}");
  instance_with(FIELDS, "order 4711", "{\"who\":\"4711\",\"amount\":1,\"n\":0}");
  instance_with("{\"type\":\"string\",\"enum\":[\"low\",\"high\"]}", "it is HIGH time", "\"high\"");
  instance_with("{\"type\":\"string\",\"format\":\"email\"}", "c1 or ada@x.org.", "\"ada@x.org\"");
  instance_with("{\"type\":\"string\",\"format\":\"date\"}", "since 2026-02-03 'x'", "\"2026-02-03\"");
  instance_with("{\"type\":\"string\",\"maxLength\":3}", "'long one' a1", "\"a1\"");
  instance_with("{\"type\":\"string\"}", "see https://x.org/a?b", "\"offline f\"");
  instance_with("{\"type\":\"string\"}", "\xe2\x80\x9cmots\xe2\x80\x9d", "\"mots\"");
  CHECK(words_shared(STR("lookup_customers"), STR("A "
    "customer!")) && words_shared(STR("HTTPRefund"), STR("httprefund")));
  CHECK(!words_shared(STR("Get the weather"), STR("with the for to 12")) && !words_shared(STR(""), STR("x")));
}

static void pattern(const char *p, const char *want) {
  Buf out = {0};
  bool ok = pattern_instance(str_of(p), &out);
  CHECK(ok == (want != NULL));
  if (want) CHECK_STR(buf_view(&out), str_of(want));
  buf_deinit(&out);
}

static void makes_patterns(void) {
  pattern("^(foo|b{3})?x[^a0]+\\.(?:y|z){2}$", "x .yy");
  pattern("[\\d-]{3}\\w\\S", "000aa");
  pattern("a|b", "a");
  pattern("[]x]", "]");
  pattern("[\xc3\xa9]\xc3\xa8{2}", "\xc3\xa9\xc3\xa8\xc3\xa8");
  pattern("", "");
  pattern("(?=x)", NULL);
  pattern("a{99999999999}", NULL);
  pattern("(a", NULL);
  pattern("a)", NULL);
  pattern("[a", NULL);
  pattern("\\", NULL);
  pattern("*", NULL);
  pattern("((((a{4000}){4000}){4000}){4000})", NULL);
  pattern("((((((((((((((((((((((((((((((((((((((((a", NULL);
}

/* -- estimates -- */

/* true_count: by o200k, cl100k or Claude's old dictionary, the largest of them. */
static void near_to(const char *text, uint64_t true_count) {
  uint64_t got = estimate_text(str_of(text));
  CHECK(got * 3 >= true_count && got <= true_count * 3);
}

static void estimates_text(void) {
  near_to("The customer wrote that she had been charged twice for the same order,"
    " and that nobody had answered her messages.", 24);
  near_to("\xd0\x9a\xd0\xbb\xd0\xb8\xd0\xb5\xd0\xbd\xd1\x82\xd0\xba\xd0\xb0 "
    "\xd0\xbd\xd0\xb0\xd0\xbf\xd0\xb8\xd1\x81\xd0\xb0\xd0\xbb\xd0\xb0", 8);
  near_to("\xe5\xae\xa2\xe6\x88\xb7\xe5\x86\x99\xe9\x81\x93"
          "\xef\xbc\x8c\xe5\x90\x8c\xe4\xb8\x80\xe7\xac\x94\xe8\xae\xa2\xe5\x8d\x95", 11);
  near_to("{\"type\":\"object\",\"properties\":{\"customer_id\":{\"type\":\"string\"}}}", 16);
  near_to("018f3a2b-7c4d-7e5f-8a9b-000000000042", 26);
  near_to("1234567890 0987654321", 8);
  near_to("\xf0\x9f\x8e\x89\xf0\x9f\x94\xa5", 5);
  CHECK(estimate_text(STR("")) == 0 && estimate_text(STR("a")) == 1 && estimate_text(STR("\xff\xfe")) == 2);
  CHECK(estimate_text(STR("\xf0")) == 3); /* cut within a character */
}

static void estimates_calls(void) {
  static const char *const growing[] = {
      CALL "\"messages\":[" USER("hello") "]}",
      CALL "\"messages\":[" USER("hello") "," USER("hello") "]}",
      CALL "\"system\":\"Be brief and kind.\",\"messages\":[" USER("hello") "," USER("hello") "]}",
      CALL "\"system\":\"Be brief and kind.\",\"messages\":[" USER("hello") "," USER("hello") "],"
      "\"answer\":{\"name\":\"A\","
           "\"schema\":\"{\\\"type\\\":\\\"object\\\"}\"}}",
      CALL "\"system\":\"Be brief and kind.\",\"messages\":[" USER("hello") ",{\"role\":\"assistant\","
      "\"raw\":\"0123456789012345678901"
           "2345678901234567890123456789\",\"calls\":[{\"id\":\"a\",\"name\":\"b\",\"arguments\":{\"c\":[1,"
           "2]}}]}]," TOOLS "}",
      "{\"provider\":\"anthropic\",\"system\":\"Be brief and kind.\",\"messages\":[" USER("hello") "]," TOOLS "}"};
  uint64_t before = 0;
  for (size_t i = 0; i < COUNT_OF(growing); i++) {
    Buf call = {0};
    feed_encode(growing[i], &call);
    uint64_t got = model_estimate(buf_view(&call));
    CHECK(got > before);
    before = got;
    for (size_t cut = 0; cut < call.size; cut++) (void)model_estimate((Str){call.at, cut});
    buf_deinit(&call);
  }
}

int main(void) {
  RUN_TEST(follows_a_script);
  RUN_TEST(follows_rules);
  RUN_TEST(follows_turns);
  RUN_TEST(answers_in_words);
  RUN_TEST(calls_tools);
  RUN_TEST(answers_by_schema);
  RUN_TEST(counts_and_cuts);
  RUN_TEST(streams_words);
  RUN_TEST(refuses_bad_calls);
  RUN_TEST(makes_smallest_values);
  RUN_TEST(keeps_to_a_where);
  RUN_TEST(ends_with_hostile_schemas);
  RUN_TEST(takes_hints);
  RUN_TEST(makes_patterns);
  RUN_TEST(survives_damage);
  RUN_TEST(survives_damaged_schemas);
  RUN_TEST(estimates_text);
  RUN_TEST(estimates_calls);
  return TEST_END();
}
