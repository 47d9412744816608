/* Ollama's /api/chat: what is sent, and what lines become. */
#include "model_feed.h"

#define CALL "{\"provider\":\"ollama\",\"name\":\"q\",\"stream\":true,"
#define PLAIN CALL "\"messages\":[{\"role\":\"user\",\"content\":\"Hi\"}]}"
#define ONCE "{\"provider\":\"ollama\",\"name\":\"q\",\"messages\":[{\"role\":\"user\",\"content\":\"Hi\"}]}"
#define LINE(message) "{\"model\":\"q:7b\",\"created_at\":\"2026-01-01T00:00:00Z\",\"message\":" message "," \
  "\"done\":false}\n"
#define TEXT(text) LINE("{\"role\":\"assistant\",\"content\":\"" text "\"}")
#define DONE(reason) "{\"model\":\"q:7b\",\"message\":{\"role\":\"assistant\",\"content\":\"\"},\"done\":true," \
  "\"done_reason\":\"" \
  reason "\",\"total_duration\":5191566416,\"prompt_eval_count\":26,\"eval_count\":298,\"eval_duration\":4799921000}\n"

static void sends_a_plain_call(void) {
  ModelHttp http;
  Buf body = {0};
  feed_request(PLAIN, &http, &body);
  CHECK_STR(str_of(http.url.at), STR("http://localhost:11434/api/chat"));
  CHECK_STR(feed_header(&http, "content-type"), STR("application/json"));
  CHECK(!feed_header(&http, "authorization").at && http.stream);
  CHECK_STR(buf_view(&body), STR("{\"model\":\"q\",\"messages\":[{\"role\":\"user\",\"content\":\"Hi\"}],"
                                 "\"options\":{\"num_predict\":4096},\"truncate\":false,\"shift\":false,\"stream\":true}"));
  model_http_deinit(&http);
  buf_clear(&body);
  feed_request("{\"provider\":\"ollama\",\"url\":\"https://ollama.com/api\",\"api_key\":\"k\",\"name\":\"q\","
               "\"messages\":[{\"role\":\"user\",\"content\":\"Hi\"}]}", &http, &body);
  CHECK_STR(str_of(http.url.at), STR("https://ollama.com/api/chat"));
  CHECK_STR(feed_header(&http, "authorization"), STR("Bearer k"));
  model_http_deinit(&http);
  buf_deinit(&body);
}

static void sends_all_of_it(void) {
  expect_body("{\"provider\":\"ollama\",\"name\":\"q\",\"system\":\"S\",\"max_tokens\":7,\"temperature\":0,\"seed\":3,"
              "\"stop\":[\"a\",\"b\"],\"effort\":\"high\",\"answer\":{\"name\":\"A\","
              "\"schema\":\"{\\\"type\\\":\\\"object\\\"}\"},"
              "\"tools\":[{\"name\":\"Look\",\"description\":\"Looks.\","
              "\"schema\":\"{\\\"type\\\":\\\"object\\\"}\"}],\"messages\":["
              "{\"role\":\"user\",\"content\":\"q\"},{\"role\":\"assistant\",\"content\":\"\","
              "\"calls\":[{\"id\":\"call_1\","
              "\"name\":\"Look\",\"arguments\":{\"k\":1}}]},{\"role\":\"tool\",\"id\":\"call_1\","
              "\"content\":{\"v\":1}},"
              "{\"role\":\"tool\",\"id\":\"call_1\",\"name\":\"Look\",\"content\":\"no\",\"error\":true},"
              "{\"role\":\"assistant\",\"content\":\"x\",\"raw\":\"{\\\"role\\\": \\\"assistant\\\"}\"},"
              "{\"role\":\"assistant\",\"content\":\"y\",\"raw\":\"[1]\"}]}",
              "{\"model\":\"q\",\"messages\":[{\"role\":\"system\",\"content\":\"S\"},{\"role\":\"user\","
              "\"content\":\"q\"},"
              "{\"role\":\"assistant\",\"content\":\"\",\"tool_calls\":[{\"function\":{\"name\":\"Look\","
              "\"arguments\":{\"k\":1}}}]},"
              "{\"role\":\"tool\",\"tool_name\":\"Look\",\"content\":\"{\\\"v\\\":1}\"},"
              "{\"role\":\"tool\",\"tool_name\":\"Look\",\"content\":\"Error: no\"},{\"role\": \"assistant\"},"
              "{\"role\":\"assistant\",\"content\":\"y\"}],\"tools\":[{\"type\":\"function\","
              "\"function\":{\"name\":\"Look\","
              "\"description\":\"Looks.\",\"parameters\":{\"type\":\"object\"}}}],\"format\":{\"type\":\"object\"},"
              "\"think\":\"high\",\"options\":{\"num_predict\":7,\"temperature\":0.0,\"seed\":3,\"stop\":[\"a\","
              "\"b\"]},"
              "\"truncate\":false,\"shift\":false,\"stream\":false}");
}

static void refuses_what_it_has_not(void) {
  ModelHttp http;
  Buf body = {0};
  feed_request(CALL "\"tools\":[{\"name\":\"T\",\"schema\":\"{}\"}],\"choice\":\"required\","
    "\"messages\":[{\"role\":\"user\","
               "\"content\":\"q\"}]}", &http, &body);
  CHECK(body.size && memmem(body.at, body.size, "choice", 6) && body.at[0] != '{');
  buf_deinit(&body);
  expect_body("{\"provider\":\"ollama\",\"name\":\"q\",\"tools\":[{\"name\":\"T\",\"schema\":\"{}\"}],"
    "\"choice\":\"none\","
              "\"messages\":[{\"role\":\"user\",\"content\":\"q\"}]}",
              "{\"model\":\"q\",\"messages\":[{\"role\":\"user\",\"content\":\"q\"}],\"options\":{\"num_predict\":4096},\"truncate\":false,"
              "\"shift\":false,"
              "\"stream\":false}");
}

static void reads_text(void) {
  const char *stream = TEXT("The ") TEXT("sky\\n") TEXT("\\u00e9") DONE("stop");
  expect_reply(PLAIN, 200, stream, false, "\"The sky\\n\xc3\xa9\" | [] | \"end\" | null | 26 0 0 298 0 true | nil");
  expect_reply(PLAIN, 200, TEXT("a") DONE("length"), true, "\"a\" | [] | \"length\" | null | 26 0 0 298 0 true | nil");
  expect_reply(PLAIN, 200, DONE("load"), false, "\"\" | [] | \"other\" | null | 26 0 0 298 0 true | nil");
  damage(PLAIN, stream);
}

/* Counts of zero are left out: then numbers are estimates. */
static void misses_counts(void) {
  expect_reply(PLAIN, 200, TEXT("a") "{\"done\":true}", false, "\"a\" | [] | \"end\" | null | 8 0 0 1 0 false | nil");
}

static void reads_calls(void) {
  const char *stream = TEXT("")
      LINE("{\"role\":\"assistant\",\"content\":\"\",\"tool_calls\":[{\"function\":{\"name\":\"Look\","
      "\"arguments\":{\"a\":{\"b\":1}}}},"
           "{\"function\":{\"index\":0,\"name\":\"Now\",\"arguments\":{}}}]}")
      LINE("{\"role\":\"assistant\",\"content\":\"\",\"tool_calls\":[{\"id\":\"x9\","
      "\"function\":{\"name\":\"Text\",\"arguments\":\"{\\\"c\\\":2}\"}},"
           "{\"function\":{\"name\":\"Bad\",\"arguments\":[1]}},{\"function\":{\"name\":\"None\"}}]}") DONE("stop");
  expect_reply(PLAIN, 200, stream, false,
               "\"\" | [{\"id\":\"call_1\",\"name\":\"Look\",\"arguments\":{\"a\":{\"b\":1}}},"
               "{\"id\":\"call_2\",\"name\":\"Now\",\"arguments\":{}},{\"id\":\"x9\",\"name\":\"Text\","
               "\"arguments\":{\"c\":2}},"
               "{\"id\":\"call_4\",\"name\":\"Bad\",\"arguments\":null,\"invalid\":\"[1]\"},"
               "{\"id\":\"call_5\",\"name\":\"None\",\"arguments\":{}}] | \"calls\" | null | 26 0 0 298 0 true | nil");
  damage(PLAIN, stream);
  /* ids go on counting where the conversation stands */
  expect_reply(CALL "\"messages\":[{\"role\":\"user\",\"content\":\"q\"},{\"role\":\"assistant\","
    "\"calls\":[{\"id\":\"call_1\","
               "\"name\":\"Look\",\"arguments\":{}}]},{\"role\":\"tool\",\"id\":\"call_1\",\"content\":\"v\"}]}", 200,
               LINE("{\"tool_calls\":[{\"function\":{\"name\":\"Look\",\"arguments\":{}}}]}") DONE("stop"), false,
               "\"\" | [{\"id\":\"call_2\",\"name\":\"Look\",\"arguments\":{}}] | \"calls\" | null | 26 0 0 298 0 "
               "true | nil");
}

static void keeps_thinking(void) {
  const char *stream = LINE("{\"role\":\"assistant\",\"content\":\"\",\"thinking\":\"Hm, \"}")
      LINE("{\"role\":\"assistant\",\"content\":\"\",\"thinking\":\"so.\"}") TEXT("Yes")
      LINE("{\"tool_calls\":[{\"function\":{\"name\":\"Look\",\"arguments\":{\"a\":1}}}]}") DONE("stop");
  expect_reply(PLAIN, 200, stream, false,
               "\"Yes\" | [{\"id\":\"call_1\",\"name\":\"Look\",\"arguments\":{\"a\":1}}] | \"calls\" | null | 26 "
               "0 0 298 0 true | "
               "{\"role\":\"assistant\",\"content\":\"Yes\",\"thinking\":\"Hm, so.\","
               "\"tool_calls\":[{\"function\":{\"name\":\"Look\","
               "\"arguments\":{\"a\":1}}}]}");
  damage(PLAIN, stream);
}

static void fails_within_streams(void) {
  expect_reply(PLAIN, 200, "{\"error\":\"model runner has unexpectedly stopped\"}\n", false, "error model_server "
    "wait 0");
  expect_reply(PLAIN, 200, TEXT("a") "{\"error\":\"an error was encountered while running the model\"}\n", false,
               "unknown model_server unknown 0");
  expect_reply(PLAIN, 200, TEXT("a"), true, "unknown model_network unknown 0");
  expect_reply(PLAIN, 200, TEXT("a"), false, "unknown model_network unknown 0");
  expect_reply(PLAIN, 404, "{\"error\":\"model \\\"q\\\" not found, try pulling it first\"}", false, "error "
    "model_invalid never 0");
  expect_reply(PLAIN, 400, "{\"error\":\"the input length exceeds the context length\"}", false, "error "
    "model_context never 0");
}

static void reads_whole_answers(void) {
  const char *answer = "{\"model\":\"q\",\"message\":{\"role\":\"assistant\",\"content\":\"{\\\"a\\\":1}\","
    "\"thinking\":\"t\"},"
                       "\"done\":true,\"done_reason\":\"stop\",\"prompt_eval_count\":2,\"eval_count\":3}";
  expect_reply(ONCE, 200, answer, false, "\"{\\\"a\\\":1}\" | [] | \"end\" | null | 2 0 0 3 0 true | {\"role\":"
    "\"assistant\","
               "\"content\":\"{\\\"a\\\":1}\",\"thinking\":\"t\"}");
  expect_reply(PLAIN, 200, answer, false, "\"{\\\"a\\\":1}\" | [] | \"end\" | null | 2 0 0 3 0 true | {\"role\":"
    "\"assistant\","
               "\"content\":\"{\\\"a\\\":1}\",\"thinking\":\"t\"}");
  expect_reply(ONCE, 200, "{\"models\":[]}", false, "unknown model_reply unknown 0");
  damage(ONCE, answer);
}

int main(void) {
  RUN_TEST(sends_a_plain_call);
  RUN_TEST(sends_all_of_it);
  RUN_TEST(refuses_what_it_has_not);
  RUN_TEST(reads_text);
  RUN_TEST(misses_counts);
  RUN_TEST(reads_calls);
  RUN_TEST(keeps_thinking);
  RUN_TEST(fails_within_streams);
  RUN_TEST(reads_whole_answers);
  return TEST_END();
}
