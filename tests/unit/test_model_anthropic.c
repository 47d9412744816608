/* The Messages API: what is sent, and what recorded-like answers become. */
#include "model_feed.h"
#include "vm/effects/model_schema.h"

#define CALL "{\"provider\":\"anthropic\",\"name\":\"claude-x\",\"api_key\":\"sk-1\",\"stream\":true,"
#define PLAIN CALL "\"messages\":[{\"role\":\"user\",\"content\":\"Hi\"}]}"
#define EVENT(type, rest) "event: " type "\ndata: {\"type\":\"" type "\"" rest "}\n\n"
#define START EVENT("message_start", ",\"message\":{\"id\":\"msg_1\",\"type\":\"message\",\"role\":\"assistant\"," \
  "\"model\":\"claude-x-1\",\"content\":[],\"stop_reason\":null,\"usage\":{\"input_tokens\":10," \
  "\"cache_creation_input_tokens\":5,\"cache_read_input_tokens\":100,\"output_tokens\":3}}")
#define BLOCK(n, block) EVENT("content_block_start", ",\"index\":" n ",\"content_block\":" block)
#define DELTA(n, delta) EVENT("content_block_delta", ",\"index\":" n ",\"delta\":" delta)
#define TEXT(n, text) DELTA(n, "{\"type\":\"text_delta\",\"text\":\"" text "\"}")
#define INPUT(n, json) DELTA(n, "{\"type\":\"input_json_delta\",\"partial_json\":\"" json "\"}")
#define STOP(n) EVENT("content_block_stop", ",\"index\":" n)
#define END(reason) EVENT("message_delta", ",\"delta\":{\"stop_reason\":\"" reason "\",\"stop_sequence\":null}," \
  "\"usage\":{\"output_tokens\":42}") EVENT("message_stop", "")
#define PING EVENT("ping", "")

/* -- requests -- */

static void sends_a_plain_call(void) {
  ModelHttp http;
  Buf body = {0};
  feed_request(PLAIN, &http, &body);
  CHECK_STR(str_of(http.url.at), STR("https://api.anthropic.com/v1/messages"));
  CHECK_STR(str_of(http.method), STR("POST"));
  CHECK_STR(feed_header(&http, "x-api-key"), STR("sk-1"));
  CHECK_STR(feed_header(&http, "anthropic-version"), STR("2023-06-01"));
  CHECK_STR(feed_header(&http, "content-type"), STR("application/json"));
  CHECK(http.stream);
  CHECK_STR(buf_view(&body), STR("{\"model\":\"claude-x\",\"max_tokens\":4096,\"messages\":[{\"role\":\"user\","
                                 "\"content\":[{\"type\":\"text\",\"text\":\"Hi\"}]}],\"stream\":true}"));
  model_http_deinit(&http);
  buf_deinit(&body);
}

static void sends_settings(void) {
  expect_body("{\"provider\":\"anthropic\",\"name\":\"m\",\"url\":\"http://h/v1\",\"system\":\"Be brief.\","
    "\"max_tokens\":9,"
              "\"temperature\":0.5,\"stop\":[\"END\"],\"effort\":\"low\",\"messages\":[{\"role\":\"user\","
              "\"content\":\"q\"}],"
              "\"tools\":[{\"name\":\"Look\",\"description\":\"Looks.\",\"schema\":\"{\\\"type\\\":\\\"object\\\"}\"}],"
              "\"choice\":\"required\",\"answer\":{\"name\":\"A\",\"schema\":\"{\\\"type\\\":\\\"object\\\","
              "\\\"properties\\\":"
              "{\\\"minimum\\\":{\\\"type\\\":\\\"integer\\\",\\\"minimum\\\":1}}}\"}}",
              "{\"model\":\"m\",\"max_tokens\":9,\"tools\":[{\"name\":\"Look\",\"description\":\"Looks.\","
              "\"input_schema\":"
              "{\"type\":\"object\"}}],\"system\":[{\"type\":\"text\",\"text\":\"Be brief.\",\"cache_control\":"
              "{\"type\":\"ephemeral\"}}],\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"text\","
              "\"text\":\"q\"}]}],"
              "\"tool_choice\":{\"type\":\"any\"},\"output_config\":{\"effort\":\"low\","
              "\"format\":{\"type\":\"json_schema\","
              "\"schema\":{\"type\":\"object\",\"properties\":{\"minimum\":{\"type\":\"integer\"}},"
              "\"additionalProperties\":false}}},\"temperature\":0.5,\"stop_sequences\":[\"END\"]}");
  expect_body(CALL "\"temperature\":1.5,\"messages\":[{\"role\":\"user\",\"content\":\"q\"}]}",
              "a temperature of 1.5 is too high: Anthropic takes 0 to 1");
  expect_body(CALL "\"messages\":[{\"role\":\"user\",\"content\":\"  \"}]}",
              "there is nothing to send: Anthropic wants at least one message with text in it");
}

/* The results of a batch first and in one message, though a text came between; a blank message is left out. */
static void joins_one_side(void) {
  expect_body("{\"provider\":\"anthropic\",\"name\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"a\"},"
              "{\"role\":\"user\",\"content\":\"b\"},{\"role\":\"assistant\",\"content\":\"\",\"calls\":["
              "{\"id\":\"x.1\",\"name\":\"T\",\"arguments\":{\"k\":1}},{\"id\":\"y\",\"name\":\"T\",\"arguments\":null,"
              "\"invalid\":\"{oops\"}]},{\"role\":\"tool\",\"id\":\"x.1\",\"name\":\"T\",\"content\":{\"v\":[1]}},"
              "{\"role\":\"user\",\"content\":\"and?\"},{\"role\":\"tool\",\"id\":\"y\",\"name\":\"T\","
              "\"content\":\"no\","
              "\"error\":true},{\"role\":\"assistant\",\"content\":\"\"},{\"role\":\"user\",\"content\":\"so\"}]}",
              "{\"model\":\"m\",\"max_tokens\":4096,\"messages\":[{\"role\":\"user\","
              "\"content\":[{\"type\":\"text\",\"text\":\"a\"},"
              "{\"type\":\"text\",\"text\":\"b\"}]},{\"role\":\"assistant\",\"content\":[{\"type\":\"tool_use\","
              "\"id\":\"x_1\","
              "\"name\":\"T\",\"input\":{\"k\":1}},{\"type\":\"tool_use\",\"id\":\"y\",\"name\":\"T\",\"input\":{}}]},"
              "{\"role\":\"user\",\"content\":[{\"type\":\"tool_result\",\"tool_use_id\":\"x_1\","
              "\"content\":\"{\\\"v\\\":[1]}\"},"
              "{\"type\":\"tool_result\",\"tool_use_id\":\"y\",\"content\":\"no\",\"is_error\":true},"
              "{\"type\":\"text\",\"text\":\"and?\"},{\"type\":\"text\",\"text\":\"so\",\"cache_control\":"
              "{\"type\":\"ephemeral\"}}]}]}");
}

static void sends_raw_as_it_came(void) {
  expect_body("{\"provider\":\"anthropic\",\"name\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"a\"},"
              "{\"role\":\"assistant\",\"content\":\"t\",\"raw\":\"[{\\\"type\\\": \\\"thinking\\\","
              "\\\"signature\\\":\\\"A\\\\/=\\\"}]\"},"
              "{\"role\":\"assistant\",\"content\":\"u\",\"raw\":\"rubbish\"}]}",
              "{\"model\":\"m\",\"max_tokens\":4096,\"messages\":[{\"role\":\"user\","
              "\"content\":[{\"type\":\"text\",\"text\":\"a\"}]},"
              "{\"role\":\"assistant\",\"content\":[{\"type\": \"thinking\",\"signature\":\"A\\/=\"},"
              "{\"type\":\"text\",\"text\":\"u\"}]}]}");
}

/* -- streams -- */

static void reads_text(void) {
  const char *stream = START PING BLOCK("0", "{\"type\":\"text\",\"text\":\"\"}") TEXT("0", "Hel") TEXT("0", "lo "
    "\\u00e9")
      STOP("0") END("end_turn");
  expect_reply(PLAIN, 200, stream, false, "\"Hello \xc3\xa9\" | [] | \"end\" | null | 115 100 5 42 0 true | nil");
  expect_reply(PLAIN, 200, stream, true, "\"Hello \xc3\xa9\" | [] | \"end\" | null | 115 100 5 42 0 true | nil");
  damage(PLAIN, stream);
}

static void reads_calls(void) {
  const char *stream = START BLOCK("0", "{\"type\":\"text\",\"text\":\"\"}") TEXT("0", "Let me see.") STOP("0")
      BLOCK("1", "{\"type\":\"tool_use\",\"id\":\"toolu_1\",\"name\":\"Look\",\"input\":{}}") INPUT("1", "")
      INPUT("1", "{\\\"id\\\": \\\"c") INPUT("1", "1\\\"}") STOP("1")
      BLOCK("2", "{\"type\":\"tool_use\",\"id\":\"toolu_2\",\"name\":\"Now\",\"input\":{}}") INPUT("2", "") STOP("2")
      BLOCK("3", "{\"type\":\"tool_use\",\"id\":\"toolu_3\",\"name\":\"All\","
      "\"input\":{\"a\":[1]}}") STOP("3") END("tool_use");
  expect_reply(PLAIN, 200, stream, false,
               "\"Let me see.\" | [{\"id\":\"toolu_1\",\"name\":\"Look\",\"arguments\":{\"id\":\"c1\"}},"
               "{\"id\":\"toolu_2\",\"name\":\"Now\",\"arguments\":{}},"
               "{\"id\":\"toolu_3\",\"name\":\"All\",\"arguments\":{\"a\":[1]}}] | \"calls\" | null | 115 100 5 "
               "42 0 true | nil");
  damage(PLAIN, stream);
}

/* Thinking with its signature, redacted thinking and a server's tool come back as they were, in their order. */
static void keeps_thinking(void) {
  const char *stream = START BLOCK("0", "{\"type\":\"thinking\",\"thinking\":\"\",\"signature\":\"\"}")
      DELTA("0", "{\"type\":\"thinking_delta\",\"thinking\":\"Hm,\\n\"}") DELTA("0", "{\"type\":"
      "\"thinking_delta\",\"thinking\":\"so.\"}")
      DELTA("0", "{\"type\":\"signature_delta\",\"signature\":\"EqQB+/==\"}") STOP("0")
      BLOCK("1", "{\"type\":\"redacted_thinking\", \"data\":\"Zm9v\\/\"}") STOP("1")
      BLOCK("2", "{\"type\":\"server_tool_use\",\"id\":\"srv_1\",\"name\":\"web_search\",\"input\":{}}")
      INPUT("2", "{\\\"q\\\":1}") STOP("2")
      BLOCK("3", "{\"type\":\"text\",\"text\":\"\"}") DELTA("3", "{\"type\":\"citations_delta\","
      "\"citation\":{\"url\":\"u\"}}")
      TEXT("3", "Yes") STOP("3")
      BLOCK("4", "{\"type\":\"tool_use\",\"id\":\"t\",\"name\":\"Look\","
      "\"input\":{}}") INPUT("4", "{\\\"a\\\":") STOP("4") END("max_tokens");
  const char *raw = "[{\"type\":\"thinking\",\"thinking\":\"Hm,\\nso.\",\"signature\":\"EqQB+/==\"},"
                    "{\"type\":\"redacted_thinking\", \"data\":\"Zm9v\\/\"},"
                    "{\"type\":\"server_tool_use\",\"id\":\"srv_1\",\"name\":\"web_search\",\"input\":{\"q\":1}},"
                    "{\"type\":\"text\",\"text\":\"Yes\",\"citations\":[{\"url\":\"u\"}]},"
                    "{\"type\":\"tool_use\",\"id\":\"t\",\"name\":\"Look\",\"input\":{}}]";
  Buf want = {0};
  buf_text(&want, "\"Yes\" | [{\"id\":\"t\",\"name\":\"Look\",\"arguments\":null,"
    "\"invalid\":\"{\\\"a\\\":\"}] | \"length\" | null | "
                  "115 100 5 42 0 true | ");
  buf_text(&want, raw);
  buf_byte(&want, 0);
  expect_reply(PLAIN, 200, stream, false, want.at);
  buf_deinit(&want);
  damage(PLAIN, stream);
}

static void knows_stops(void) {
#define SAYS(reason) START BLOCK("0", "{\"type\":\"text\",\"text\":\"x\"}") STOP("0") END(reason)
#define USED " | 115 100 5 42 0 true | "
  expect_reply(PLAIN, 200, SAYS("stop_sequence"), false, "\"x\" | [] | \"end\" | null" USED "nil");
  expect_reply(PLAIN, 200, SAYS("model_context_window_exceeded"), false, "\"x\" | [] | \"length\" | null" USED "nil");
  expect_reply(PLAIN, 200, SAYS("pause_turn"), false,
               "\"x\" | [] | \"other\" | null" USED "[{\"type\":\"text\",\"text\":\"x\"}]");
  expect_reply(PLAIN, 200, SAYS("refusal"), false,
               "\"x\" | [] | \"refusal\" | \"the model refused and gave no reason\"" USED "nil");
  expect_reply(PLAIN, 200, START EVENT("message_delta", ",\"delta\":{\"stop_reason\":\"refusal\","
    "\"stop_details\":{\"category\":"
               "\"bio\",\"explanation\":\"No.\"}},\"usage\":{\"output_tokens\":1}") EVENT("message_stop", ""), false,
               "\"\" | [] | \"refusal\" | \"No.\" | 115 100 5 1 0 true | nil");
}

/* Totals that grow are not added; a server that repeats the prompt as zero does not erase it. */
static void counts_once(void) {
  expect_reply(PLAIN, 200, START BLOCK("0", "{\"type\":\"text\",\"text\":\"x\"}") STOP("0")
               EVENT("message_delta", ",\"delta\":{\"stop_reason\":null},\"usage\":{\"output_tokens\":20,"
               "\"input_tokens\":0}")
               EVENT("message_delta", ",\"delta\":{\"stop_reason\":\"end_turn\"},\"usage\":{\"output_tokens\":50,"
                     "\"input_tokens\":10,\"cache_read_input_tokens\":null,"
                     "\"output_tokens_details\":{\"thinking_tokens\":30}}")
               EVENT("message_stop", ""), false, "\"x\" | [] | \"end\" | null | 115 100 5 50 30 true | nil");
}

static void fails_within_streams(void) {
#define OVERLOADED EVENT("error", ",\"error\":{\"type\":\"overloaded_error\",\"message\":\"Overloaded\"}")
  expect_reply(PLAIN, 200, OVERLOADED, false, "error model_overloaded wait 0");
  expect_reply(PLAIN, 200, PING START PING OVERLOADED, false, "error model_overloaded wait 0");
  expect_reply(PLAIN, 200, EVENT("error", ""), false, "error model_server wait 0");
  expect_reply(PLAIN, 200, START BLOCK("0", "{\"type\":\"thinking\",\"thinking\":\"\"}") OVERLOADED, false,
               "unknown model_overloaded unknown 0");
  expect_reply(PLAIN, 200, START BLOCK("0", "{\"type\":\"text\",\"text\":\"\"}") TEXT("0", "Hel") OVERLOADED, false,
               "unknown model_overloaded unknown 0");
  expect_reply(PLAIN, 200, START BLOCK("0", "{\"type\":\"text\",\"text\":\"\"}") TEXT("0", "Hel"), true,
               "unknown model_network unknown 0");
  expect_reply(PLAIN, 200, START BLOCK("0", "{\"type\":\"text\",\"text\":\"\"}") TEXT("0", "Hel"), false,
               "unknown model_network unknown 0");
}

/* -- answers in one piece -- */

#define ONCE "{\"provider\":\"anthropic\",\"name\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"Hi\"}]}"

/* Blocks that go back have the ids that the results will carry: one for each, of letters that the API takes. */
static void sets_ids_in_raw(void) {
#define THOUGHT "{\"type\":\"thinking\",\"thinking\":\"x\",\"signature\":\"A\"}"
#define ASKS(id, n) "{\"type\":\"tool_use\",\"id\":\"" id "\",\"name\":\"Look\",\"input\":{\"x\":" n "}}"
#define IN(index, block) BLOCK(index, block) STOP(index)
#define ASKED "\"\" | [{\"id\":\"a\",\"name\":\"Look\",\"arguments\":{\"x\":1}},{\"id\":\"call_2\",\"name\":\"Look\",\"arguments\":{\"x\":2}}," \
  "{\"id\":\"b:1\",\"name\":\"Look\",\"arguments\":{\"x\":3}},{\"id\":\"call_4\",\"name\":\"Look\",\"arguments\":{\"x\":4}}] | \"calls\" | null | "
#define RAW "[" THOUGHT "," ASKS("a", "1") "," ASKS("call_2", "2") "," ASKS("b_1", "3") "," ASKS("call_4", "4") "]"
  expect_reply(ONCE, 200, "{\"content\":[" THOUGHT "," ASKS("a", "1") "," ASKS("a", "2") "," ASKS("b:1", "3") "," ASKS("", "4")
               "],\"stop_reason\":\"tool_use\",\"usage\":{\"input_tokens\":7,\"output_tokens\":8}}", false, ASKED "7 0 0 8 0 true | " RAW);
  expect_reply(PLAIN, 200, START IN("0", THOUGHT) IN("1", ASKS("a", "1")) IN("2", ASKS("a", "2")) IN("3", ASKS("b:1", "3"))
               IN("4", ASKS("", "4")) END("tool_use"), false, ASKED "115 100 5 42 0 true | " RAW);
}

static void reads_whole_answers(void) {
  const char *plain = "{\"id\":\"msg_1\",\"type\":\"message\",\"model\":\"m\",\"content\":[{\"type\":\"text\","
    "\"text\":\"A\"},"
                      "{\"type\":\"tool_use\",\"id\":\"t\",\"name\":\"Look\",\"input\":{\"a\":{\"b\":2}}}],"
                      "\"stop_reason\":\"tool_use\","
                      "\"usage\":{\"input_tokens\":7,\"output_tokens\":8}}";
  expect_reply(ONCE, 200, plain, false,
               "\"A\" | [{\"id\":\"t\",\"name\":\"Look\",\"arguments\":{\"a\":{\"b\":2}}}] | \"calls\" | null | 7 "
               "0 0 8 0 true | nil");
  damage(ONCE, plain);
  expect_reply(ONCE, 200, "{\"content\": [ {\"type\":\"thinking\", \"thinking\":\"x\",\"signature\":\"\\u0041\"},"
               "{\"type\":\"text\",\"text\":\"A\"} ],\"stop_reason\":\"end_turn\",\"usage\":{\"input_tokens\":7,"
               "\"output_tokens\":8}}",
               false, "\"A\" | [] | \"end\" | null | 7 0 0 8 0 true | [ {\"type\":\"thinking\","
               " \"thinking\":\"x\",\"signature\":"
               "\"\\u0041\"},{\"type\":\"text\",\"text\":\"A\"} ]");
  expect_reply(ONCE, 200, "{\"content\":7}", false, "unknown model_reply unknown 0");
  expect_reply(ONCE, 200, "{\"content\":[7,null,{\"type\":3},{\"type\":\"text\",\"text\":5}],"
    "\"stop_reason\":\"end_turn\"}", false,
               "\"\" | [] | \"end\" | null | 8 0 0 1 0 false | [7,null,{\"type\":3},{\"type\":\"text\",\"text\":5}]");
}

static void classifies_errors(void) {
#define ERROR(type, message) "{\"type\":\"error\",\"error\":{\"type\":\"" type "\",\"message\":\"" message "\"}," \
  "\"request_id\":\"r\"}"
  expect_reply(ONCE, 401, ERROR("authentication_error", "invalid x-api-key"), false, "error model_auth never 0");
  expect_reply(ONCE, 529, ERROR("overloaded_error", "Overloaded"), false, "error model_overloaded wait 0");
  expect_reply(ONCE, 400, ERROR("invalid_request_error", "Your credit balance is too low to access"), false,
               "error model_quota never 0");
  expect_reply(ONCE, 400, ERROR("invalid_request_error", "prompt is too long: 201000 tokens > 200000 maximum"), false,
               "error model_context never 0");
}

static void one_schema(const char *schema, const char *want) {
  Buf out = {0};
  Err err;
  CHECK(schema_plain(str_of(schema), &out, &err));
  CHECK_STR(buf_view(&out), str_of(want));
  buf_clear(&out);
  for (size_t i = 0; i < strlen(schema); i++) CHECK(!schema_plain((Str){schema, i}, &out, &err));
  buf_clear(&out);
  CHECK(!schema_plain(STR("{\"type\":\"object\",\"additionalProperties\":{\"type\":\"number\"}}"), &out, &err));
  CHECK(strstr(err.text, "map of any names"));
  CHECK(!schema_plain(STR("{\"items\":{\"type\":\"object\"}}"), &out, &err));
  buf_deinit(&out);
}

static void strips_schemas(void) {
  one_schema("{\"type\":\"array\",\"minItems\":3,\"items\":{\"type\":\"string\",\"maxLength\":3,"
    "\"enum\":[\"minimum\"]}}",
             "{\"type\":\"array\",\"items\":{\"type\":\"string\",\"enum\":[\"minimum\"]}}");
  one_schema("{\"minItems\":1,\"oneOf\":[{\"properties\":{\"a\":{\"const\":{\"minimum\":1}}}},{\"type\":\"null\"}]}",
             "{\"minItems\":1,\"anyOf\":[{\"properties\":{\"a\":{\"const\":{\"minimum\":1}}},"
             "\"additionalProperties\":false},"
             "{\"type\":\"null\"}]}");
  one_schema("{\"multipleOf\":2, \"type\" : \"integer\" }", "{\"type\":\"integer\"}");
}

int main(void) {
  RUN_TEST(sends_a_plain_call);
  RUN_TEST(sends_settings);
  RUN_TEST(joins_one_side);
  RUN_TEST(sends_raw_as_it_came);
  RUN_TEST(reads_text);
  RUN_TEST(reads_calls);
  RUN_TEST(keeps_thinking);
  RUN_TEST(knows_stops);
  RUN_TEST(counts_once);
  RUN_TEST(fails_within_streams);
  RUN_TEST(reads_whole_answers);
  RUN_TEST(sets_ids_in_raw);
  RUN_TEST(classifies_errors);
  RUN_TEST(strips_schemas);
  return TEST_END();
}
