/* Calls to models over real sockets: a server on loopback that plays scenes, named by the first part of the path. */
#include "model_feed.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "loopback.h"
#include "vm/base/file.h"
#include "vm/effects/effect.h"

static Loopback server;
static Effects *effects;
static atomic_bool keep_silent; /* scene "reused": what comes on a used connection is not answered */
static char last_request[4096];
static pthread_mutex_t last_lock = PTHREAD_MUTEX_INITIALIZER; /* connections have a thread each */

/* ---- the scenes ---------------------------------------------------------------------- */

#define HEAD(status) "HTTP/1.1 " status " X\r\nContent-Type: application/json\r\nx-request-id: req_7\r\n"
#define CLOSED "Connection: close\r\n\r\n"
#define STREAM "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
#define CHUNK(text) "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"" text "\"}}]}"
#define STOPPED "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n"
#define WHOLE                                                                                                  \
  "{\"id\":\"c1\",\"model\":\"m1\",\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":" \
  "\"Fine.\"},\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":2}}"
#define ERROR_BODY(type, text) "{\"error\":{\"type\":\"" type "\",\"message\":\"" text "\"}}"

typedef enum { THEN_CLOSE, THEN_KEEP, THEN_HANG } Then;
typedef struct Scene {
  const char *name;
  Then then;
  const char *pieces[9]; /* sent one after the other, with a little time between */
} Scene;

static const Scene scenes[] = {
    {"whole", THEN_KEEP, {HEAD("200") "Content-Length: 170\r\n\r\n" WHOLE}},
    {"awkward",
     THEN_KEEP,
     {STREAM "Transfer-Encoding: chunked\r\n\r", "\n3",
      "f\r\n: hello\r\n\r\ndata: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Gr", "\xc3\r\n1",
      "7\r\n\xbc\xc3\x9f dich\"}}]}\r\n\r\ndata: \r", "\n2\r\n[D\r\n8\r\nONE]\r\n\r\n\r", "\n0\r\n\r\n"}},
    {"before", THEN_CLOSE, {NULL}},
    {"headers", THEN_CLOSE, {STREAM "Transfer-Encoding: chunked\r\n\r\n"}},
    {"empty", THEN_CLOSE, {STREAM CLOSED}},
    {"middle", THEN_CLOSE, {STREAM CLOSED CHUNK("one ") "\n\n", CHUNK("two") "\n\n", "data: {\"cho"}},
    {"chunked-middle", THEN_CLOSE, {STREAM "Transfer-Encoding: chunked\r\n\r\n3c\r\n" CHUNK("one ") "\n\n\r\n3"}},
    {"no-done", THEN_CLOSE, {STREAM CLOSED CHUNK("one ") "\n\n", CHUNK("two") "\n\n", STOPPED}},
    {"late-end", THEN_HANG, {STREAM CLOSED CHUNK("one ") "\n\n", STOPPED "data: [DONE]\n\n"}},
    {"in-stream",
     THEN_CLOSE,
     {STREAM CLOSED CHUNK("one") "\n\n", "data: " ERROR_BODY("server_error", "we broke") "\n\n"}},
    {"first-in-stream",
     THEN_CLOSE,
     {"HTTP/1.1 200 OK\r\n" CLOSED "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\","
      "\"message\":\"Overloaded\"}}\n\n"}},
    {"rubbish", THEN_CLOSE, {"\x01\x02 what\r\n\r\n"}},
    {"page", THEN_CLOSE, {"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n" CLOSED "<html>Welcome</html>"}},
    {"interim", THEN_CLOSE, {"HTTP/1.1 103 Early\r\nx-a: 1\r\n\r\n", HEAD("200") CLOSED WHOLE}},
    {"after-s", THEN_CLOSE, {HEAD("429") "Retry-After: 7\r\n" CLOSED ERROR_BODY("rate", "slow down")}},
    {"after-ms",
     THEN_CLOSE,
     {HEAD("429") "Retry-After: 9\r\nretry-after-ms: 1250\r\n" CLOSED ERROR_BODY("rate", "slow")}},
    {"after-date",
     THEN_CLOSE,
     {HEAD("503") "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\nretry-after: Sun, 06 Nov 1994 08:50:07 GMT\r\n" CLOSED
                  "busy"}},
    {"anthropic-reset",
     THEN_CLOSE,
     {HEAD("429") "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\nanthropic-ratelimit-requests-remaining: 0\r\n"
                  "anthropic-ratelimit-requests-reset: 1994-11-06T08:49:57Z\r\n" CLOSED
                  "{\"type\":\"error\",\"error\":{\"type\":\"rate_limit_error\",\"message\":\"wait\"}}"}},
    {"openai-reset",
     THEN_CLOSE,
     {HEAD("429") "x-ratelimit-remaining-tokens: 0\r\nx-ratelimit-reset-tokens: 1m2.5s\r\n"
                  "x-ratelimit-remaining-requests: 9\r\nx-ratelimit-reset-requests: 6h\r\n" CLOSED ERROR_BODY("rate",
                                                                                                              "slow")}},
    {"in-words", THEN_CLOSE, {HEAD("429") CLOSED ERROR_BODY("rate", "Please try again in 41.724s.")}},
    {"retry-anyway",
     THEN_CLOSE,
     {HEAD("400") "x-should-retry: true\r\nretry-after: 1\r\n" CLOSED ERROR_BODY("x", "y")}},
    {"quota",
     THEN_CLOSE,
     {HEAD("429") "Retry-After: 7\r\n" CLOSED "{\"error\":{\"code\":\"insufficient_quota\",\"message\":\"pay\"}}"}},
    {"no-retry", THEN_CLOSE, {HEAD("500") "x-should-retry: false\r\n" CLOSED ERROR_BODY("server_error", "no")}},
    {"fails", THEN_CLOSE, {HEAD("500") CLOSED "<html><title>Oops</title>"}},
    {"denied", THEN_CLOSE, {HEAD("401") CLOSED ERROR_BODY("auth", "Incorrect API key: hunter2hunter2")}},
    {"moved", THEN_CLOSE, {HEAD("307") "Location: /whole/chat/completions\r\n" CLOSED}},
    {"hang", THEN_HANG, {NULL}},
    {"stall", THEN_HANG, {STREAM CLOSED CHUNK("one ") "\n\n"}},
    {"anthropic",
     THEN_CLOSE,
     {"HTTP/1.1 200 OK\r\n" CLOSED "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"m\","
      "\"usage\":{\"input_tokens\":5,\"cache_read_input_tokens\":4}}}\n\nevent: content_block_start\ndata: {\"type\":"
      "\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\n",
      "event: content_block_delta\ndata: "
      "{\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\","
      "\"text\":\"Hello\"}}\n\n",
      "event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":0}\n\n"
      "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"},\"usage\":"
      "{\"output_tokens\":3}}\n\nevent: message_stop\ndata: {\"type\":\"message_stop\"}\n\n"}},
    {"ollama",
     THEN_CLOSE,
     {"HTTP/1.1 200 OK\r\n" CLOSED "{\"message\":{\"content\":\"He\"},\"done\":false}\n{\"mess",
      "age\":{\"content\":\"y\"},\"done\":true,\"done_reason\":\"stop\",\"prompt_eval_count\":3,\"eval_count\":1}\n"}},
    {"background",
     THEN_CLOSE,
     {STREAM CLOSED "event: response.created\ndata: {\"type\":\"response.created\",\"sequence_number\":0,\"response\":"
                    "{\"id\":\"resp_1\",\"status\":\"queued\"}}\n\n",
      "event: response.output_text.delta\ndata: {\"type\":\"response.output_text.delta\",\"sequence_number\":5,"
      "\"output_index\":0,\"delta\":\"half\"}\n\n"}},
};

static void huge(int fd) {
  char *block = malloc(1 << 20);
  memset(block, ' ', 1 << 20);
  loop_put(fd, STREAM CLOSED, strlen(STREAM CLOSED));
  for (int i = 0; i < 70; i++) loop_put(fd, block, 1 << 20);
  free(block);
}

static bool play(LoopClient *c, const Scene *scene) {
  for (size_t i = 0; i < COUNT_OF(scene->pieces) && scene->pieces[i]; i++) {
    if (i > 0) usleep(4000);
    loop_put(c->fd, scene->pieces[i], strlen(scene->pieces[i]));
  }
  if (scene->then == THEN_HANG) usleep(1500000);
  return scene->then == THEN_KEEP;
}

static bool answer(LoopClient *c, char *request, size_t head, size_t whole) {
  const char *name = strchr(request, '/') + 1;
  size_t size = strcspn(name, "/");
  int one = 1;
  (void)head, (void)whole;
  setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  pthread_mutex_lock(&last_lock);
  snprintf(last_request, sizeof last_request, "%s", request);
  pthread_mutex_unlock(&last_lock);
  if (strncmp(name, "huge", 4) == 0) return huge(c->fd), false;
  if (strncmp(name, "reused", 6) == 0) {
    if (c->requests > 1 && atomic_load(&keep_silent)) return false;
    return play(c, &scenes[0]);
  }
  for (size_t i = 0; i < COUNT_OF(scenes); i++)
    if (strlen(scenes[i].name) == size && strncmp(scenes[i].name, name, size) == 0) return play(c, &scenes[i]);
  fprintf(stderr, "no scene: %.60s\n", name);
  return false;
}

/* ---- asking ------------------------------------------------------------------------------ */

static bool secret(void *context, Str name, Buf *value) {
  (void)context;
  if (!str_equal(name, STR("KEY"))) return false;
  buf_text(value, "hunter2hunter2");
  return true;
}

typedef struct Ask {
  const char *provider, *scene, *more, *secret; /* more: members of the call, with a comma behind */
  int64_t timeout_us;
  int port;
  const char *scheme;
} Ask;

static void operands_make(const Ask *a, Buf *out) {
  Buf json = {0}, call = {0};
  CborReader r;
  CborItem item;
  Err err;
  buf_format(&json,
             "{\"provider\":\"%s\",\"url\":\"%s://127.0.0.1:%d/%s\",\"name\":\"m\",%s\"messages\":[{\"role\":"
             "\"user\",\"content\":\"hi\"}]}",
             a->provider ? a->provider : "openai", a->scheme ? a->scheme : "http", a->port ? a->port : server.port,
             a->scene, a->more ? a->more : "");
  buf_byte(&json, 0);
  feed_encode(json.at, &call);
  r = cbor_reader(buf_view(&call));
  CHECK(cbor_next(&r, &item, &err) && item.n == CBOR_TAG_MAP && cbor_next(&r, &item, &err)); /* tag, count */
  cbor_put_array(out, 1);
  cbor_put_tag(out, CBOR_TAG_MAP);
  cbor_put_array(out, item.n + 2);
  buf_put(out, r.at, (size_t)(r.end - r.at));
  cbor_put_text(out, STR("api_key"));
  cbor_put_tag(out, CBOR_TAG_SEALED);
  cbor_put_array(out, 1);
  cbor_put_array(out, 1);
  cbor_put_text(out, str_of(a->secret ? a->secret : "KEY"));
  buf_deinit(&json);
  buf_deinit(&call);
}

static void submit(Effects *e, const Ask *a, uint64_t seq) {
  Buf operands = {0};
  operands_make(a, &operands);
  effects_submit(e, &(EffectRequest){.run = 7,
                                     .seq = seq,
                                     .effect = EFFECT_MODEL,
                                     .effect_class = CLASS_REVERSIBLE,
                                     .target = STR("m"),
                                     .operands = buf_view(&operands),
                                     .timeout_us = a->timeout_us});
  buf_deinit(&operands);
}

static bool outcome_take(Effects *e, EffectOutcome *out) {
  for (int i = 0; i < 200; i++) {
    struct pollfd p = {effects_fd(e), POLLIN, 0};
    if (effects_next(e, out)) return true;
    poll(&p, 1, 50);
  }
  return false;
}

/* outcome, summary as model_feed.h has it, then "~" and the texts that came before, and "@" with where to resume. */
static void finish(Effects *e, Buf *got) {
  EffectOutcome o = {0};
  Buf text = {0}, resume = {0};
  for (;;) {
    CHECK(outcome_take(e, &o));
    if (!o.more) break;
    if (strcmp(o.outcome, "text") == 0) buf_str(&text, buf_view(&o.value));
    else buf_clear(&resume), feed_json(buf_view(&o.value), &resume);
    buf_deinit(&o.value);
  }
  feed_summary(o.outcome, buf_view(&o.value), got);
  CHECK(!memmem(o.value.at, o.value.size, "hunter2", 7));
  if (text.size > 0) buf_byte(got, '~');
  if (text.size > 0) buf_str(got, buf_view(&text));
  if (resume.size > 0) buf_byte(got, '@');
  if (resume.size > 0) buf_str(got, buf_view(&resume));
  buf_deinit(&text);
  buf_deinit(&resume);
  buf_deinit(&o.value);
}

static bool gives(Effects *e, Ask a, const char *want) {
  Buf got = {0};
  submit(e, &a, 1);
  finish(e, &got);
  bool ok = got.size >= strlen(want) && memcmp(got.at, want, strlen(want)) == 0;
  if (!ok) fprintf(stderr, "  %s: got  " STR_FMT "\n  want %s\n", a.scene, STR_ARG(buf_view(&got)), want);
  buf_deinit(&got);
  return ok;
}

#define STREAMED "\"stream\":true,"
#define GIVES(want_, ...) CHECK(gives(effects, (Ask){__VA_ARGS__}, want_))

/* ---- answers -------------------------------------------------------------------------------- */

static void test_answers(void) {
  GIVES("\"Fine.\" | [] | \"end\" | null | 9 0 0 2 0 true |", .scene = "whole");
  CHECK(strstr(last_request, "POST /whole/chat/completions HTTP/1.1\r\n"));
  CHECK(strstr(last_request, "authorization: Bearer hunter2hunter2\r\n"));
  CHECK(strstr(last_request, "content-type: application/json\r\n") && !strstr(last_request, "Expect"));
  CHECK(!strstr(last_request, "Accept-Encoding"));
  GIVES("\"Fine.\"", .scene = "interim");
  GIVES("\"Gr\xc3\xbc\xc3\x9f dich\" | [] | \"end\"", .scene = "awkward", .more = STREAMED);
  GIVES("\"Hello\" | [] | \"end\" | null | 9 4 0 3 0 true |", .scene = "anthropic", .provider = "anthropic",
        .more = STREAMED);
  CHECK(strstr(last_request, "x-api-key: hunter2hunter2\r\n") && strstr(last_request, "anthropic-version: 2023-06-01"));
  GIVES("\"Hey\" | [] | \"end\" | null | 3 0 0 1 0 true | nil~Hey", .scene = "ollama", .provider = "ollama",
        .more = STREAMED);
}

static void test_endings(void) {
  GIVES("\"one two\" | [] | \"end\"", .scene = "no-done", .more = STREAMED);
  int64_t start = clock_monotonic_us();
  GIVES("\"one \" | [] | \"end\"", .scene = "late-end", .more = STREAMED); /* the end is not waited for */
  CHECK(clock_monotonic_us() - start < 1000000);
  GIVES("unknown model_network unknown 0", .scene = "before");
  GIVES("unknown model_network unknown 0", .scene = "headers", .more = STREAMED);
  GIVES("unknown model_", .scene = "empty", .more = STREAMED);
  GIVES("unknown model_network unknown 0~one two", .scene = "middle", .more = STREAMED);
  GIVES("unknown model_network unknown 0~one ", .scene = "chunked-middle", .more = STREAMED);
  GIVES("unknown model_network unknown", .scene = "rubbish");
  GIVES("error model_reply never", .scene = "page");
  GIVES("unknown model_reply", .scene = "huge", .more = STREAMED);
}

static void test_errors(void) {
  GIVES("unknown model_server unknown", .scene = "in-stream", .more = STREAMED);
  GIVES("error model_overloaded wait", .scene = "first-in-stream", .provider = "anthropic", .more = STREAMED);
  GIVES("error model_rate_limited wait 7000000", .scene = "after-s");
  GIVES("error model_rate_limited wait 1250000", .scene = "after-ms");
  GIVES("error model_overloaded wait 30000000", .scene = "after-date");
  GIVES("error model_rate_limited wait 20000000", .scene = "anthropic-reset", .provider = "anthropic");
  GIVES("error model_rate_limited wait 62500000", .scene = "openai-reset");
  GIVES("error model_rate_limited wait 41724000", .scene = "in-words");
  GIVES("error model_invalid wait 1000000", .scene = "retry-anyway");
  GIVES("error model_quota never 0", .scene = "quota");
  GIVES("error model_server never", .scene = "no-retry");
  GIVES("error model_server wait 0", .scene = "fails");
  GIVES("error model_auth never", .scene = "denied"); /* and without the key: finish() looks */
}

static void test_not_sent(void) {
  int before = atomic_load(&server.hits);
  GIVES("error model_network wait 0", .scene = "x", .port = 1);
  GIVES("error model_auth never", .scene = "x", .secret = "OTHER");
  GIVES("error model_invalid never", .scene = "x", .more = "\"seed\":\"x\",");
  GIVES("error model_invalid never", .scene = "x", .provider = "anthropic", .more = "\"temperature\":1.5,");
  Effects *careful;
  Err err;
  CHECK(effects_new(&(EffectOptions){.secret = secret}, &careful, &err));
  CHECK(gives(careful, (Ask){.scene = "whole"}, "error model_network never"));
  effects_free(careful);
  CHECK(atomic_load(&server.hits) == before);
  effects_submit(effects, &(EffectRequest){.run = 7, .effect = EFFECT_MODEL, .operands = STR("\x81\xff")});
  Buf got = {0};
  finish(effects, &got);
  CHECK_STR(buf_view(&got), STR("error model_invalid never 0"));
  buf_deinit(&got);
}

static void test_redirects(void) {
  int before = atomic_load(&server.hits);
  GIVES("error model_invalid never", .scene = "moved");
  CHECK(atomic_load(&server.hits) == before + 1);
}

static void test_time(void) {
  int64_t start = clock_monotonic_us();
  GIVES("unknown model_network unknown 0", .scene = "hang", .timeout_us = 200000);
  GIVES("unknown model_network unknown 0~one ", .scene = "stall", .more = STREAMED, .timeout_us = 200000);
  CHECK(clock_monotonic_us() - start < 1200000);
  Effects *hasty;
  Err err;
  EffectOptions options = {.allow_loopback = true, .secret = secret, .model_idle_us = 100000};
  CHECK(effects_new(&options, &hasty, &err));
  CHECK(gives(hasty, (Ask){.scene = "stall", .more = STREAMED}, "unknown model_network unknown 0~one "));
  effects_free(hasty);
}

/* A server that drops a used connection after it read the request: not sent a second time behind our back. */
static void test_sent_once(void) {
  GIVES("\"Fine.\"", .scene = "reused");
  int before = atomic_load(&server.hits);
  atomic_store(&keep_silent, true);
  GIVES("unknown model_network unknown 0", .scene = "reused");
  CHECK(atomic_load(&server.hits) == before + 1);
  atomic_store(&keep_silent, false);
  GIVES("\"Fine.\"", .scene = "reused");
}

static void test_connection_reuse(void) {
  GIVES("\"Fine.\"", .scene = "whole");
  int before = atomic_load(&server.connections);
  for (int i = 0; i < 10; i++) GIVES("\"Fine.\"", .scene = "whole");
  for (int i = 0; i < 10; i++) GIVES("\"Gr\xc3\xbc\xc3\x9f dich\"", .scene = "awkward", .more = STREAMED);
  /* an outcome does not wait for the last bytes of its stream, so the next call may need a second one */
  CHECK(atomic_load(&server.connections) - before <= 1);
}

/* ---- progress --------------------------------------------------------------------------------- */

static void test_slow_owner(void) {
  EffectOutcome o = {0};
  submit(effects, &(Ask){.scene = "middle", .more = STREAMED}, 3);
  usleep(200000);
  CHECK(effects_next(effects, &o) && o.more && o.seq == 3 && strcmp(o.outcome, "text") == 0);
  CHECK_STR(buf_view(&o.value), STR("one two"));
  buf_deinit(&o.value);
  CHECK(effects_next(effects, &o) && !o.more && strcmp(o.outcome, "unknown") == 0);
  buf_deinit(&o.value);
  CHECK(!effects_next(effects, &o));
}

static void test_resume(void) {
  GIVES("unknown model_network unknown 0~half@{\"id\":\"resp_1\",\"after\":5}", .scene = "background", .provider = "openai_responses",
        .more = "\"background\":true,");
  CHECK(strstr(last_request, "POST /background/responses "));
  GIVES("unknown", .scene = "background", .provider = "openai_responses",
        .more = "\"background\":true,\"resume\":{\"id\":\"resp_1\",\"after\":3},");
  CHECK(strstr(last_request, "GET /background/responses/resp_1?stream=true&starting_after=3 "));
}

static void test_drop(void) {
  Buf got = {0};
  submit(effects, &(Ask){.scene = "no-done", .more = STREAMED}, 1);
  effects_drop(effects, 7, 1);
  finish(effects, &got);
  CHECK(got.size > 9 && memcmp(got.at, "\"one two\"", 9) == 0);
  buf_deinit(&got);
}

static void test_offline(void) {
  GIVES("\"a long answer\" | [] | \"end\" | null | ", .scene = "x", .provider = "offline",
        .more = "\"stream\":true,\"script\":[\"a long answer\"],");
  Buf got = {0};
  submit(effects,
         &(Ask){.scene = "x", .provider = "offline", .more = "\"stream\":true,\"script\":[\"a long answer\"],"}, 1);
  finish(effects, &got);
  CHECK(memmem(got.at, got.size, "~a long answer", 14));
  buf_deinit(&got);
}

/* ---- many, and none left ------------------------------------------------------------------------ */

static void test_many_at_once(void) {
  enum { COUNT = 600 };
  static bool seen[COUNT];
  EffectOutcome o;
  for (uint64_t i = 0; i < COUNT; i++) submit(effects, &(Ask){.scene = "whole"}, i);
  for (int i = 0; i < COUNT; i++) {
    CHECK(outcome_take(effects, &o));
    CHECK(o.seq < COUNT && !seen[o.seq] && strcmp(o.outcome, "ok") == 0);
    seen[o.seq] = true;
    buf_deinit(&o.value);
  }
}

static void test_no_descriptor(void) {
  Effects *fresh;
  struct rlimit limit, none;
  Err err;
  CHECK(effects_new(&(EffectOptions){.allow_loopback = true, .secret = secret}, &fresh, &err));
  CHECK(gives(fresh, (Ask){.scene = "no-done", .more = STREAMED}, "\"one two\""));
  getrlimit(RLIMIT_NOFILE, &limit);
  none = (struct rlimit){3, limit.rlim_max};
  setrlimit(RLIMIT_NOFILE, &none);
  CHECK(gives(fresh, (Ask){.scene = "whole"}, "error model_network wait 0"));
  setrlimit(RLIMIT_NOFILE, &limit);
  CHECK(gives(fresh, (Ask){.scene = "whole"}, "\"Fine.\""));
  effects_free(fresh);
}

/* With openssl's own server, where there is one. */
static void test_self_signed(void) {
  char folder[] = "/tmp/z8-tls-XXXXXX", line[400] = "";
  int port = 0, pipes[2];
  CHECK(mkdtemp(folder) != NULL);
  snprintf(line, sizeof line,
           "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN=127.0.0.1 -keyout %s/k "
           "-out %s/c >/dev/null 2>&1",
           folder, folder);
  bool made = system(line) == 0 && pipe(pipes) == 0;
  pid_t child = made ? fork() : -1;
  if (child == 0) {
    dup2(pipes[1], 1);
    dup2(open("/dev/null", O_WRONLY), 2);
    if (chdir(folder) == 0)
      execlp("openssl", "openssl", "s_server", "-accept", "127.0.0.1:0", "-cert", "c", "-key", "k", "-www",
             (char *)NULL);
    _exit(1);
  }
  if (made) close(pipes[1]);
  FILE *said = made ? fdopen(pipes[0], "r") : NULL;
  while (said && port == 0 && fgets(line, sizeof line, said))
    if (strncmp(line, "ACCEPT", 6) == 0 && strrchr(line, ':')) port = atoi(strrchr(line, ':') + 1);
  if (port > 0) GIVES("error model_network never", .scene = "whole", .scheme = "https", .port = port);
  if (said) fclose(said);
  if (child > 0) kill(child, SIGKILL), waitpid(child, NULL, 0);
  snprintf(line, sizeof line, "rm -r %s", folder);
  CHECK(system(line) == 0);
}

int main(void) {
  Err err;
  EffectOptions options = {.allow_loopback = true, .secret = secret};
  server.answer = answer;
  loopback_start(&server);
  CHECK(effects_new(&options, &effects, &err));
  RUN_TEST(test_answers);
  RUN_TEST(test_endings);
  RUN_TEST(test_errors);
  RUN_TEST(test_not_sent);
  RUN_TEST(test_redirects);
  RUN_TEST(test_time);
  RUN_TEST(test_sent_once);
  RUN_TEST(test_connection_reuse);
  RUN_TEST(test_slow_owner);
  RUN_TEST(test_resume);
  RUN_TEST(test_drop);
  RUN_TEST(test_offline);
  RUN_TEST(test_many_at_once);
  RUN_TEST(test_no_descriptor);
  RUN_TEST(test_self_signed);
  effects_free(effects);
  loopback_stop(&server);
  return TEST_END();
}
