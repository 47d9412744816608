/* HTTP over libcurl's multi interface, on the I/O thread.
**
** Certificates are always verified. Connections are kept and used again, but for
** irreversible calls: on a connection that turns out dead libcurl sends a request
** anew by itself, and "sent twice" must not be possible there. Redirects are followed
** here, for reads only, so that what is secret does not travel to another host. */
#include <poll.h>
#include <stdio.h>

#include "vm/base/file.h"
#include "vm/base/mem.h"
#include "vm/effects/connection.h"
#include "vm/effects/http_message.h"
#include "vm/effects/work.h"

enum { REDIRECTS_MAX = 10, HANDLES_KEPT = 64, CONNECTIONS_MAX = 256, CONNECTIONS_PER_HOST = 64 };
#define HTTP_TIMEOUT_US INT64_C(30000000)

typedef struct Transfer {
  Http *http;
  Job *job;
  CURL *easy;
  struct curl_slist *lines; /* headers as sent */
  HttpRequest request;
  HttpReply reply;
  Str operands;
  uint32_t redirects;
  bool elsewhere;          /* a redirect led to another host: nothing secret goes there */
  bool too_large;          /* why a callback broke the transfer off */
  ConnectionGuard guard;
  char error[CURL_ERROR_SIZE];
  struct Transfer *next, **link;
} Transfer;

struct Http {
  Effects *effects;
  CurlApi api;
  bool loaded;
  Err load_error;
  CURLM *multi;
  CURL *idle[HANDLES_KEPT];
  uint32_t idle_count;
  Transfer *active;
};

/* ---- life --------------------------------------------------------------------- */

static void http_load(Http *h) {
  h->loaded = curl_api_load(&h->api, &h->load_error);
  h->multi = h->loaded ? h->api.multi_init() : NULL;
  if (h->multi == NULL) return;
  h->api.multi_setopt(h->multi, CURLMOPT_MAX_TOTAL_CONNECTIONS, (long)CONNECTIONS_MAX);
  h->api.multi_setopt(h->multi, CURLMOPT_MAX_HOST_CONNECTIONS, (long)CONNECTIONS_PER_HOST);
  h->api.multi_setopt(h->multi, CURLMOPT_MAXCONNECTS, (long)CONNECTIONS_MAX);
}

Http *http_new(Effects *e) {
  Http *h = MEM_NEW(Http);
  h->effects = e;
  http_load(h);
  return h;
}

static CURL *handle_take(Http *h) {
  return h->idle_count > 0 ? h->idle[--h->idle_count] : h->api.easy_init();
}

static void handle_give(Http *h, CURL *easy) {
  if (h->idle_count == HANDLES_KEPT) {
    h->api.easy_cleanup(easy);
    return;
  }
  h->api.easy_reset(easy);
  h->idle[h->idle_count++] = easy;
}

/* Everything but the job. */
static void transfer_free(Transfer *t) {
  Http *h = t->http;
  if (t->link != NULL) {
    *t->link = t->next;
    if (t->next != NULL) t->next->link = t->link;
  }
  if (t->easy != NULL) {
    h->api.multi_remove_handle(h->multi, t->easy);
    handle_give(h, t->easy);
  }
  if (t->lines != NULL) h->api.slist_free_all(t->lines);
  http_request_deinit(&t->request);
  http_reply_deinit(&t->reply);
  mem_free(t);
}

void http_free(Http *h) {
  while (h->active != NULL) {
    Job *job = h->active->job;
    transfer_free(h->active);
    job_free(job);
  }
  while (h->idle_count > 0) h->api.easy_cleanup(h->idle[--h->idle_count]);
  if (h->multi != NULL) h->api.multi_cleanup(h->multi);
  mem_free(h);
}

/* ---- what libcurl calls --------------------------------------------------------- */

static size_t on_header(char *bytes, size_t size, size_t count, void *context) {
  Transfer *t = context;
  if (http_reply_line(&t->reply, (Str){bytes, size * count})) return size * count;
  t->too_large = true;
  return 0;
}

static size_t on_body(char *bytes, size_t size, size_t count, void *context) {
  Transfer *t = context;
  if (t->reply.body.size + size * count > LIMIT_HTTP_BODY_BYTES) {
    t->too_large = true;
    return 0;
  }
  buf_put(&t->reply.body, bytes, size * count);
  return size * count;
}

/* ---- sending ---------------------------------------------------------------------- */

static bool is_method(const Transfer *t, const char *method) {
  return str_equal(t->request.method, str_of(method));
}

static void line_add(Transfer *t, Str name, Str value) {
  Buf line = {0};
  buf_format(&line, STR_FMT "%s" STR_FMT, STR_ARG(name), value.size > 0 ? ": " : ";",
             STR_ARG(value));
  buf_byte(&line, 0);
  t->lines = t->http->api.slist_append(t->lines, line.at);
  explicit_bzero(line.at, line.size);
  buf_deinit(&line);
}

static bool is_credential(Str name) {
  return (name.size == 13 && strncasecmp(name.at, "authorization", 13) == 0) ||
         (name.size == 6 && strncasecmp(name.at, "cookie", 6) == 0) ||
         (name.size == 19 && strncasecmp(name.at, "proxy-authorization", 19) == 0);
}

static void lines_make(Transfer *t) {
  const HttpRequest *r = &t->request;
  const EffectRequest *e = &t->job->request;
  for (uint32_t i = 0; i < r->header_count; i++) {
    bool secret =
        is_credential(r->headers[i].name) || secrets_in(&t->job->secrets, r->headers[i].value);
    if (!t->elsewhere || !secret) line_add(t, r->headers[i].name, r->headers[i].value);
  }
  if (r->has_body && !http_request_has(r, STR("content-type")))
    line_add(t, STR("Content-Type"), str_of(r->body_type));
  if (e->effect_class != CLASS_READ && e->key.size > 0 &&
      !http_request_has(r, STR("idempotency-key")))
    line_add(t, STR("Idempotency-Key"), e->key);
  if (!http_request_has(r, STR("user-agent"))) line_add(t, STR("User-Agent"), STR("z8"));
  t->lines = t->http->api.slist_append(t->lines, "Expect:"); /* no round trip before a body */
}

#define SET(option, value) (void)t->http->api.easy_setopt(t->easy, CURLOPT_##option, value)

static void set_body(Transfer *t, const char *method) {
  bool bodies = is_method(t, "POST") || is_method(t, "PUT") || is_method(t, "PATCH");
  if (is_method(t, "HEAD")) {
    SET(NOBODY, 1L);
  } else {
    if (t->request.has_body || bodies) {
      SET(POSTFIELDS, t->request.body.size > 0 ? t->request.body.at : "");
      SET(POSTFIELDSIZE_LARGE, (curl_off_t)t->request.body.size);
    }
    SET(CUSTOMREQUEST, method);
  }
}

static int64_t timeout_left(const Transfer *t) {
  int64_t given = t->request.timeout_us > 0        ? t->request.timeout_us
                  : t->job->request.timeout_us > 0 ? t->job->request.timeout_us
                                                   : HTTP_TIMEOUT_US;
  return given - (clock_monotonic_us() - t->job->started_us);
}

static void set_limits(Transfer *t) {
  connection_prepare(&t->http->api, t->easy);
  connection_guard(&t->http->api, t->easy, &t->guard);
  connection_timeout(&t->http->api, t->easy, timeout_left(t));
  if (t->job->request.effect_class == CLASS_IRREVERSIBLE) SET(FRESH_CONNECT, 1L);
}

static void set_callbacks(Transfer *t) {
  SET(PRIVATE, t);
  SET(ERRORBUFFER, t->error);
  SET(HEADERFUNCTION, on_header);
  SET(HEADERDATA, t);
  SET(WRITEFUNCTION, on_body);
  SET(WRITEDATA, t);
}

static void transfer_send(Transfer *t, const char *url) {
  char method[40];
  snprintf(method, sizeof method, STR_FMT, STR_ARG(t->request.method));
  SET(URL, url); /* copied by libcurl, as the method is */
  SET(ACCEPT_ENCODING, "");
  lines_make(t);
  SET(HTTPHEADER, t->lines);
  set_limits(t);
  set_callbacks(t);
  set_body(t, method);
  t->http->api.multi_add_handle(t->http->multi, t->easy);
}

static void transfer_link(Transfer *t) {
  Http *h = t->http;
  t->next = h->active;
  t->link = &h->active;
  if (h->active != NULL) h->active->link = &t->next;
  h->active = t;
}

void http_start(Http *h, Job *job) {
  Err err;
  Str operands;
  if (h->multi == NULL) {
    job_failed(h->effects, job, "error", "http_failed", "%s", h->load_error.text);
    return;
  }
  if (!job_operands(h->effects, job, &operands)) return;
  Transfer *t = MEM_NEW(Transfer);
  t->http = h;
  t->job = job;
  t->guard.allow_private = effects_options(h->effects)->allow_loopback;
  if (!http_request_read(operands, &t->request, &err)) {
    transfer_free(t);
    job_failed(h->effects, job, "error", "bad_value", "%s", err.text);
    return;
  }
  t->easy = handle_take(h);
  transfer_link(t);
  transfer_send(t, t->request.url.at);
}

/* ---- how it ended ------------------------------------------------------------------- */

static void transfer_failed(Transfer *t, CURLcode code) {
  Job *job = t->job;
  Http *h = t->http;
  bool sent = t->redirects > 0 || connection_sent(&h->api, t->easy, code);
  bool unknown = job->request.effect_class != CLASS_READ && sent;
  bool late = code == CURLE_OPERATION_TIMEDOUT;
  char why[CURL_ERROR_SIZE + 80];
  if (t->too_large)
    snprintf(why, sizeof why, "the reply is larger than the limit of %" PRIu64 " MB",
             LIMIT_HTTP_BODY_BYTES >> 20);
  else snprintf(why, sizeof why, "%s", connection_why(&h->api, &t->guard, code, t->error));
  Buf origin = {0};
  buf_str(&origin, http_origin(str_of(t->request.url.at)));
  Buf method = {0};
  buf_str(&method, t->request.method);
  transfer_free(t);
  job_failed(h->effects, job, unknown ? "unknown" : "error", late ? "timeout" : "http_failed",
             STR_FMT " " STR_FMT ": %s%s", STR_ARG(buf_view(&method)), STR_ARG(buf_view(&origin)),
             why, unknown ? "; it may have happened" : "");
  buf_deinit(&origin);
  buf_deinit(&method);
}

static bool is_redirect(const Transfer *t) {
  int64_t s = t->reply.status;
  bool read = is_method(t, "GET") || is_method(t, "HEAD") || is_method(t, "OPTIONS");
  return read && t->job->request.effect_class == CLASS_READ &&
         (s == 301 || s == 302 || s == 303 || s == 307 || s == 308);
}

/* True: on its way to the next place. */
static bool redirected(Transfer *t) {
  char *url = NULL;
  if (!is_redirect(t) || t->redirects >= REDIRECTS_MAX) return false;
  t->http->api.easy_getinfo(t->easy, CURLINFO_REDIRECT_URL, &url);
  if (url == NULL) return false;
  Buf next = {0};
  buf_text(&next, url);
  buf_byte(&next, 0);
  Str from = http_origin(str_of(t->request.url.at));
  if (!str_equal(from, http_origin(str_of(next.at)))) t->elsewhere = true;
  t->redirects++;
  t->http->api.multi_remove_handle(t->http->multi, t->easy);
  t->http->api.slist_free_all(t->lines);
  t->lines = NULL;
  t->http->api.easy_reset(t->easy);
  buf_clear(&t->reply.body);
  transfer_send(t, next.at);
  buf_deinit(&next);
  return true;
}

static void transfer_done(Transfer *t) {
  Http *h = t->http;
  Job *job = t->job;
  Buf value = {0};
  long status = 0;
  h->api.easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &status);
  t->reply.status = status;
  if (redirected(t)) return;
  http_reply_encode(&t->reply, &value);
  transfer_free(t);
  job_done(h->effects, job, "ok", &value);
}

static void finished(Http *h) {
  CURLMsg *message;
  int left;
  while ((message = h->api.multi_info_read(h->multi, &left)) != NULL) {
    Transfer *t = NULL;
    CURLcode code = message->data.result;
    if (message->msg != CURLMSG_DONE) continue;
    h->api.easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &t);
    if (code == CURLE_OK) transfer_done(t);
    else transfer_failed(t, code);
  }
}

/* ---- the thread's side ----------------------------------------------------------------- */

bool http_busy(const Http *h) { return h->active != NULL; }

void http_drop(Http *h, uint64_t run, uint64_t seq) {
  for (Transfer *t = h->active; t != NULL; t = t->next) {
    const EffectRequest *r = &t->job->request;
    if (r->run != run || r->seq != seq || r->effect_class != CLASS_READ) continue;
    Job *job = t->job;
    transfer_free(t);
    job_failed(h->effects, job, "error", "cancelled", "it was not wanted any more");
    return;
  }
}

void http_wait(Http *h, struct pollfd *others, uint32_t count, int timeout_ms) {
  struct curl_waitfd fds[4];
  int running;
  for (uint32_t i = 0; i < count && i < 4; i++)
    fds[i] = (struct curl_waitfd){.fd = others[i].fd, .events = CURL_WAIT_POLLIN};
  h->api.multi_perform(h->multi, &running);
  finished(h);
  if (h->active == NULL) timeout_ms = 0;
  h->api.multi_poll(h->multi, fds, count, timeout_ms < 0 || timeout_ms > 1000 ? 1000 : timeout_ms,
                    NULL);
  for (uint32_t i = 0; i < count && i < 4; i++) others[i].revents = fds[i].revents;
  h->api.multi_perform(h->multi, &running);
  finished(h);
}
