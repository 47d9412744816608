/* Calls to models over libcurl, on the I/O thread: thousands that wait for slow replies, or thousands a second
** (shards.h).
**
** Silent repetition. libcurl (seen with 7.88: Curl_retry_request) sends a request anew on a fresh connection if a used
** one ends before any byte of the answer came; a POST too, and also when the request had been sent in whole: the server
** may have read and billed it. Idle connections that the server closed are found before use, so this is a race, but
** one that makes a call nobody recorded. It asks on_ready before each sending; there a second one is refused once
** bytes of the first have left, and the outcome is "unknown". What failed before a byte left is sent again.
** tests/unit/test_model_http.c has a server that does this.
**
** HTTP/1.1 is spoken also where a server offers HTTP/2. There many calls would share a connection, and the memory of
** its TLS (45 KB), but its fate as well: one that breaks would leave all of them unknown. And libcurl 7.88 resets each
** stream whose end comes in a frame of its own, which servers take for an attack: a thousand calls, and they hang up.
**
** Lanes. A call is "starting" until its connection stands. Only LANE_STARTS calls of a lane start at a time (a lane is
** the hosts with the same hash), because each look-up of a name is a thread and each connect a place in a server's
** queue; a host that does not answer does not keep calls to others waiting.
**
** When a reader has all it needs its outcome leaves at once; the tail of the stream is read so that the connection can
** be used again. */
#include <stdlib.h>
#include <strings.h>
#include <sys/resource.h>

#include "vm/base/file.h"
#include "vm/base/mem.h"
#include "vm/effects/connection.h"
#include "vm/effects/http_message.h"
#include "vm/effects/model_impl.h"
#include "vm/effects/shards.h"
#include "vm/effects/work.h"

enum {
  LANES = 64,
  LANE_STARTS = 64,
  HANDLES_KEPT_MAX = 128,
  READ_BYTES = 2048, /* kept by every call that waits */
  LINES_MAX = 12,
  TAIL_BYTES_MAX = 256 << 10
};
#define MODEL_TIMEOUT_US INT64_C(600000000)
#define IDLE_US INT64_C(120000000)
#define TAIL_US INT64_C(2000000)
#define RESUME_EVERY_US INT64_C(1000000)
#define TICK_US INT64_C(1000000)
#define TIDY_US INT64_C(60000000)

typedef struct Call {
  ModelClient *client;
  Job *job; /* NULL: the outcome has left, only the tail is read */
  ModelReader *reader;
  Shard *shard; /* NULL: it waits in its lane */
  CURL *easy;
  ModelHttp http;
  struct curl_slist lines[LINES_MAX];
  Buf line_texts;
  ConnectionGuard guard;
  uint32_t lane, sendings;
  bool starting, repeated; /* libcurl wanted to send it a second time */
  bool over;               /* the reader needs nothing more */
  size_t tail;
  ModelText shown;
  uint64_t resume_ticket, resume_after;
  int64_t heard_us, resume_us; /* the last byte, the last word on how to take it up; 0: none yet */
  char error[CURL_ERROR_SIZE];
  struct Call *next, **link; /* in the client's list or its lane's */
} Call;

typedef struct Lane {
  uint32_t starting;
  Call *first, **end;
} Lane;

struct ModelClient {
  Effects *effects;
  CurlApi api;
  bool begun, loaded;
  Err load_error;
  CURLSH *share; /* names that were looked up, sessions of TLS */
  Shards *shards;
  CURL *idle[HANDLES_KEPT_MAX];
  uint32_t idle_count, call_count;
  Call *calls;
  Lane lanes[LANES];
  bool lane_free; /* a place in one has become free */
  int64_t now_us, tick_us;
  Buf text;
};

/* ---- life ------------------------------------------------------------------------------- */

ModelClient *model_client_new(Effects *e) {
  ModelClient *c = MEM_NEW(ModelClient);
  c->effects = e;
  for (size_t i = 0; i < LANES; i++) c->lanes[i].end = &c->lanes[i].first;
  return c;
}

/* A call needs a descriptor for as long as it takes, and the usual soft limit is 1024. */
static void descriptors_raise(void) {
  struct rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == limit.rlim_max) return;
  limit.rlim_cur = limit.rlim_max;
  (void)setrlimit(RLIMIT_NOFILE, &limit);
}

static void call_over(void *context, CURL *easy, CURLcode code);

static bool client_begin(ModelClient *c) {
  if (c->begun) return c->loaded;
  c->begun = true;
  descriptors_raise();
  if (!curl_api_load(&c->api, &c->load_error)) return false;
  if (!shards_open(&c->api, call_over, c, &c->shards, &c->load_error)) return false;
  c->share = c->api.share_init();
  if (c->share != NULL) {
    c->api.share_setopt(c->share, CURLSHOPT_SHARE, CURL_LOCK_DATA_DNS);
    c->api.share_setopt(c->share, CURLSHOPT_SHARE, CURL_LOCK_DATA_SSL_SESSION);
  }
  return c->loaded = true;
}

static void call_unlink(Call *call) {
  if (call->link == NULL) return;
  *call->link = call->next;
  if (call->next != NULL) call->next->link = call->link;
  call->link = NULL;
}

static void call_link(Call *call) {
  ModelClient *c = call->client;
  call->next = c->calls;
  call->link = &c->calls;
  if (c->calls != NULL) c->calls->link = &call->next;
  c->calls = call;
}

/* Its connection stands, or it has failed: another of its lane may start. */
static void call_started(Call *call) {
  if (!call->starting) return;
  call->starting = false;
  call->client->lanes[call->lane].starting--;
  call->client->lane_free = true;
}

static void handle_give(ModelClient *c, CURL *easy) {
  (void)c->api.easy_setopt(easy, CURLOPT_ERRORBUFFER, NULL); /* it was the call's */
  if (c->idle_count < HANDLES_KEPT_MAX) c->idle[c->idle_count++] = easy;
  else c->api.easy_cleanup(easy);
}

static void lines_wipe(Call *call) {
  if (call->line_texts.at != NULL) explicit_bzero(call->line_texts.at, call->line_texts.size);
  buf_deinit(&call->line_texts);
}

/* Everything but the job and its reader. */
static void call_free(Call *call) {
  ModelClient *c = call->client;
  call_started(call);
  call_unlink(call);
  if (call->shard != NULL) {
    shards_remove(call->shard, call->easy);
    handle_give(c, call->easy);
    c->call_count--;
  }
  lines_wipe(call);
  model_http_deinit(&call->http);
  buf_deinit(&call->shown.held);
  mem_free(call);
}

static void call_abandon(Call *call) {
  Job *job = call->job;
  model_reader_free(call->reader);
  call_free(call);
  if (job != NULL) job_free(job);
}

void model_client_free(ModelClient *c) {
  while (c->calls != NULL) call_abandon(c->calls);
  for (size_t i = 0; i < LANES; i++)
    for (Call *call; (call = c->lanes[i].first) != NULL;) {
      c->lanes[i].first = call->next;
      call_abandon(call);
    }
  while (c->idle_count > 0) c->api.easy_cleanup(c->idle[--c->idle_count]);
  shards_close(c->shards);
  if (c->share != NULL) c->api.share_cleanup(c->share);
  buf_deinit(&c->text);
  mem_free(c);
}

/* ---- how it ended -------------------------------------------------------------------------- */

/* How far a background response has come: if it breaks, the owner takes it up from there. */
static void resume_say(Call *call, bool last) {
  ModelClient *c = call->client;
  Buf value = {0};
  Str id;
  uint64_t after;
  if (!model_reader_resume(call->reader, &id, &after)) return;
  if (call->resume_us > 0 && (after == call->resume_after || (!last && c->now_us - call->resume_us < RESUME_EVERY_US)))
    return;
  call->resume_us = c->now_us;
  call->resume_after = after;
  cbor_put_tag(&value, CBOR_TAG_MAP);
  cbor_put_array(&value, 4);
  cbor_put_text(&value, STR("id"));
  cbor_put_text(&value, id);
  cbor_put_text(&value, STR("after"));
  cbor_put_uint(&value, after);
  job_progress(c->effects, call->job, &call->resume_ticket, "resume", &value);
}

/* The outcome leaves; the call stays. */
static void call_tell(Call *call, bool lost, bool sent, const char *why) {
  Job *job = call->job;
  model_work_text(call->client->effects, job, &call->shown, (Str){0}, true);
  resume_say(call, true);
  call->job = NULL;
  model_work_done(call->client->effects, job, call->reader, lost, sent, why);
  call->reader = NULL;
}

/* What asking again will not help. */
static void fail_for_good(Call *call, CURLcode code, const char *why) {
  switch (code) {
    case CURLE_URL_MALFORMAT:
    case CURLE_UNSUPPORTED_PROTOCOL:
      model_fail(call->reader, MODEL_INVALID, RETRY_NEVER, "the url cannot be called: %s", why);
      return;
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
      model_fail(call->reader, MODEL_NETWORK, RETRY_NEVER, "the server is not who it should be: %s", why);
      return;
    default:
      if (call->guard.refused) model_fail(call->reader, MODEL_NETWORK, RETRY_NEVER, "%s", why);
  }
}

static void call_lost(Call *call, CURLcode code) {
  ModelClient *c = call->client;
  bool sent = call->repeated || connection_sent(&c->api, call->easy, code);
  const char *why = call->repeated ? "the server had closed it already; it was not sent again"
                                   : connection_why(&c->api, &call->guard, code, call->error);
  if (!sent) fail_for_good(call, code, why);
  call_tell(call, true, sent, why);
}

static void call_over(void *context, CURL *easy, CURLcode code) {
  ModelClient *c = context;
  Call *call = NULL;
  c->api.easy_getinfo(easy, CURLINFO_PRIVATE, &call);
  if (call->job != NULL && (code == CURLE_OK || call->over)) call_tell(call, false, true, "");
  else if (call->job != NULL) call_lost(call, code);
  call_free(call);
}

/* ---- what libcurl calls ------------------------------------------------------------------------ */

static Str trimmed(Str s) {
  while (s.size > 0 && (uint8_t)s.at[s.size - 1] <= ' ') s.size--;
  while (s.size > 0 && (uint8_t)s.at[0] <= ' ') s = (Str){s.at + 1, s.size - 1};
  return s;
}

static void header_line(Call *call, Str line) {
  char name[64];
  const char *colon = memchr(line.at, ':', line.size);
  size_t size = colon != NULL ? (size_t)(colon - line.at) : 0;
  if (size == 0 || size > sizeof name) return;
  for (size_t i = 0; i < size; i++)
    name[i] = (char)(line.at[i] >= 'A' && line.at[i] <= 'Z' ? line.at[i] + 32 : line.at[i]);
  model_reader_header(call->reader, (Str){name, size}, trimmed((Str){colon + 1, line.size - size - 1}));
}

static size_t on_header(char *bytes, size_t size, size_t count, void *context) {
  Call *call = context;
  Str line = {bytes, size * count};
  call->heard_us = call->client->now_us;
  if (call->reader == NULL) return line.size; /* a trailer behind what was needed */
  if (line.size > 12 && memcmp(line.at, "HTTP/", 5) == 0) {
    const char *space = memchr(line.at, ' ', line.size - 3);
    if (space != NULL) model_reader_status(call->reader, (int)strtol(space + 1, NULL, 10));
  } else {
    header_line(call, line);
  }
  return line.size;
}

static size_t on_body(char *bytes, size_t size, size_t count, void *context) {
  Call *call = context;
  ModelClient *c = call->client;
  call->heard_us = c->now_us;
  if (call->over) return (call->tail += size * count) <= TAIL_BYTES_MAX ? size * count : 0;
  buf_clear(&c->text);
  call->over = !model_reader_feed(call->reader, (Str){bytes, size * count}, &c->text);
  model_work_text(c->effects, call->job, &call->shown, buf_view(&c->text), false);
  resume_say(call, false);
  if (call->over) call_tell(call, false, true, "");
  return size * count;
}

/* The connection stands and the request is about to leave. */
static int on_ready(void *context, char *there, char *here, int port_there, int port_here) {
  Call *call = context;
  long bytes = 0;
  (void)there, (void)here, (void)port_there, (void)port_here;
  call_started(call);
  call->client->api.easy_getinfo(call->easy, CURLINFO_REQUEST_SIZE, &bytes);
  call->repeated = call->sendings++ > 0 && bytes > 0;
  return call->repeated ? CURL_PREREQFUNC_ABORT : CURL_PREREQFUNC_OK;
}

/* ---- starting -------------------------------------------------------------------------------- */

#define SET(option, value) (void)c->api.easy_setopt(easy, CURLOPT_##option, value)

/* Everything that is the same for all calls is set once in a handle's life. */
static CURL *handle_take(ModelClient *c) {
  if (c->idle_count > 0) return c->idle[--c->idle_count];
  CURL *easy = c->api.easy_init();
  if (easy == NULL) return NULL;
  connection_prepare(&c->api, easy);
  SET(BUFFERSIZE, (long)READ_BYTES);
  SET(UPLOAD_BUFFERSIZE, 16384L);
  SET(TCP_KEEPALIVE, 1L);
  SET(SUPPRESS_CONNECT_HEADERS, 1L); /* a proxy's answer is not the model's */
  SET(HEADERFUNCTION, on_header);
  SET(WRITEFUNCTION, on_body);
  SET(PREREQFUNCTION, on_ready);
  if (c->share != NULL) SET(SHARE, c->share);
  return easy;
}

static void line_add(Call *call, uint32_t *count, const char *name, Str value) {
  ASSERT(*count < LINES_MAX);
  struct curl_slist *line = &call->lines[*count];
  line->data = call->line_texts.at + call->line_texts.size;
  buf_format(&call->line_texts, "%s%s" STR_FMT, name, value.size > 0 ? ": " : ":", STR_ARG(value));
  buf_byte(&call->line_texts, 0);
  if (*count > 0) call->lines[*count - 1].next = line;
  ++*count;
}

/* libcurl only reads the list; in room made at once no copy of the key is left behind. */
static void lines_make(Call *call) {
  uint32_t count = 0;
  size_t size = 64;
  for (uint32_t i = 0; i < call->http.header_count; i++)
    size += strlen(call->http.headers[i].name) + call->http.headers[i].value.size + 4;
  buf_more(&call->line_texts, size);
  for (uint32_t i = 0; i < call->http.header_count; i++)
    line_add(call, &count, call->http.headers[i].name, call->http.headers[i].value);
  line_add(call, &count, "User-Agent", STR("z8"));
  line_add(call, &count, "Expect", (Str){"", 0}); /* no round trip before a body */
}

static void handle_fill(Call *call) {
  ModelClient *c = call->client;
  CURL *easy = call->easy;
  const EffectRequest *r = &call->job->request;
  int64_t given = r->timeout_us > 0 ? r->timeout_us : MODEL_TIMEOUT_US;
  lines_make(call);
  if (strcmp(call->http.method, "GET") == 0) {
    SET(HTTPGET, 1L);
  } else {
    SET(POST, 1L);
    SET(POSTFIELDSIZE_LARGE, (curl_off_t)call->http.body.size);
    SET(POSTFIELDS, call->http.body.size > 0 ? call->http.body.at : "");
  }
  SET(URL, call->http.url.at);
  SET(HTTPHEADER, call->lines);
  SET(PRIVATE, call);
  SET(ERRORBUFFER, call->error);
  SET(HEADERDATA, call);
  SET(WRITEDATA, call);
  SET(PREREQDATA, call);
  connection_guard(&c->api, easy, &call->guard);
  connection_timeout(&c->api, easy, given - (c->now_us - call->job->started_us));
}

static bool call_send(Call *call) {
  ModelClient *c = call->client;
  call->easy = handle_take(c);
  if (call->easy == NULL) return false;
  handle_fill(call);
  bool tls = strncasecmp(call->http.url.at, "https:", 6) == 0;
  call->shard = shards_add(c->shards, call->easy, tls);
  if (call->shard == NULL) {
    handle_give(c, call->easy);
    return false;
  }
  c->call_count++;
  call->starting = true;
  c->lanes[call->lane].starting++;
  call_link(call);
  if (c->tick_us == 0 || c->tick_us > c->now_us + TICK_US) c->tick_us = c->now_us + TICK_US;
  return true;
}

static void call_refuse(Call *call, const char *why) {
  call_tell(call, true, false, why);
  call_free(call);
}

static void lane_turn(Lane *lane) {
  while (lane->first != NULL && lane->starting < LANE_STARTS) {
    Call *call = lane->first;
    lane->first = call->next;
    if (lane->first == NULL) lane->end = &lane->first;
    call->next = NULL;
    if (!call_send(call)) call_refuse(call, "libcurl has no room for it");
  }
}

static uint32_t lane_of(Str url) {
  uint32_t hash = 2166136261u;
  Str origin = http_origin(url);
  for (size_t i = 0; i < origin.size; i++) hash = (hash ^ (uint8_t)origin.at[i]) * 16777619u;
  return hash % LANES;
}

void model_client_start(ModelClient *c, Job *job, ModelReader *reader, ModelHttp *http) {
  Call *call = MEM_NEW(Call);
  *call = (Call){.client = c, .job = job, .reader = reader, .http = *http};
  call->guard.allow_private = effects_options(c->effects)->allow_loopback;
  c->now_us = clock_monotonic_us();
  if (!client_begin(c)) {
    call_refuse(call, c->load_error.text);
    return;
  }
  call->lane = lane_of(str_of(call->http.url.at));
  Lane *lane = &c->lanes[call->lane];
  *lane->end = call;
  lane->end = &call->next;
  lane_turn(lane);
}

/* ---- the thread's side --------------------------------------------------------------------------- */

int model_client_fd(const ModelClient *c) { return c->call_count > 0 ? shards_fd(c->shards) : -1; }

int64_t model_client_deadline_us(const ModelClient *c) {
  int64_t due = c->loaded ? shards_deadline_us(c->shards) : 0;
  if (c->lane_free) return c->now_us;
  return due == 0 || (c->tick_us != 0 && c->tick_us < due) ? c->tick_us : due;
}

/* An answer that has begun and then stands still is lost; one that has not begun may take all of its time, because a
** reply that is not streamed comes in one go at the end. */
static void calls_check(ModelClient *c) {
  int64_t given = effects_options(c->effects)->model_idle_us, idle = given > 0 ? given : IDLE_US;
  char why[80];
  for (Call *call = c->calls, *next; call != NULL; call = next) {
    next = call->next;
    if (call->heard_us == 0 || c->now_us - call->heard_us < (call->job != NULL ? idle : TAIL_US)) continue;
    snprintf(why, sizeof why, "nothing came for %" PRId64 " s", idle / 1000000);
    if (call->job != NULL) call_tell(call, true, true, why);
    call_free(call);
  }
}

static void tick(ModelClient *c) {
  if (c->tick_us != 0 && c->now_us < c->tick_us) return;
  calls_check(c);
  bool open = shards_tidy(c->shards);
  c->tick_us = c->call_count > 0 ? c->now_us + TICK_US : open ? c->now_us + TIDY_US : 0;
}

static bool lanes_turn(ModelClient *c) {
  if (!c->lane_free) return false;
  c->lane_free = false;
  bool any = false;
  for (size_t i = 0; i < LANES; i++) {
    any |= c->lanes[i].first != NULL;
    lane_turn(&c->lanes[i]);
  }
  return any;
}

void model_client_turn(ModelClient *c) {
  enum { ROUNDS_MAX = 16 };
  if (!c->loaded) return;
  bool more = true;
  for (int i = 0; i < ROUNDS_MAX && more; i++) {
    c->now_us = clock_monotonic_us();
    more = shards_turn(c->shards);
    more |= lanes_turn(c);
  }
  tick(c);
}
