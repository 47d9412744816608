/* Model calls: the providers and what they can do, requests by whom they go to, and the reader that all replies go
** through. What is special to a provider is behind its table of functions. */
#include "vm/effects/model.h"

#include "lang/tables.h"
#include "vm/base/mem.h"
#include "vm/effects/model_impl.h"

enum { ERROR_BODY_BYTES = 1 << 20, FIRST_BYTES = 64 };

static const Provider *const providers[PROVIDER_COUNT] = {
    [PROVIDER_OPENAI] = &provider_openai,       [PROVIDER_RESPONSES] = &provider_responses,
    [PROVIDER_ANTHROPIC] = &provider_anthropic, [PROVIDER_OLLAMA] = &provider_ollama,
    [PROVIDER_OFFLINE] = &provider_offline,
};

bool provider_by_name(Str name, ProviderId *out) {
  for (uint32_t i = 0; i < PROVIDER_COUNT; i++) {
    if (!str_equal(name, str_of(provider_info[i].name))) continue;
    *out = (ProviderId)i;
    return true;
  }
  return false;
}

/* ---- requests ------------------------------------------------------------------ */

bool model_request(Str call, ModelHttp *out, Err *err) {
  ModelCall c;
  *out = (ModelHttp){.method = "POST"};
  bool ok = model_call_read(call, &c, err);
  if (ok) {
    out->stream = c.stream;
    buf_more(&out->texts, c.key.size + 512); /* so that no copy of the key is left behind by growing */
    ok = providers[c.provider]->request(&c, out, err);
  }
  if (ok && (out->body.full || out->url.full || out->texts.full)) {
    FAIL(err, ERR_LIMIT, "a model call of more than %zu bytes cannot be sent", BUF_MAX);
    ok = false;
  }
  model_call_deinit(&c);
  if (!ok) model_http_deinit(out);
  return ok;
}

static void wipe(Buf *buf) {
  if (buf->at) explicit_bzero(buf->at, buf->size);
  buf_deinit(buf);
}

void model_http_deinit(ModelHttp *http) {
  wipe(&http->url);
  wipe(&http->body);
  wipe(&http->texts);
  http->header_count = 0;
}

/* ---- a reader's life ------------------------------------------------------------- */

static void reader_prepare(ModelReader *r, const ModelCall *c) {
  r->stream = c->stream;
  r->background = c->background || c->resume_id.at;
  for (uint32_t i = 0; i < c->message_count; i++) r->earlier_calls += c->messages[i].call_count;
  if (!c->resume_id.at) return;
  r->has_resume = true;
  buf_str(&r->resume_id, c->resume_id);
  r->has_after = r->resumed = c->has_after;
  r->resume_after = c->resume_after;
}

ModelReader *model_reader_new(Str call) {
  ModelReader *r = MEM_NEW(ModelReader);
  ModelCall c;
  Err err;
  bool ok = model_call_read(call, &c, &err);
  r->id = ok ? c.provider : PROVIDER_OPENAI;
  r->provider = providers[r->id];
  r->state = mem_alloc(r->provider->state_size + 1);
  r->estimate = model_estimate(call);
  sse_init(&r->splitter, r->provider->framing, LIMIT_HTTP_BODY_BYTES);
  model_waits_init(&r->waits);
  if (ok) reader_prepare(r, &c);
  else model_fail(r, MODEL_INVALID, RETRY_NEVER, "%s", err.text);
  model_call_deinit(&c);
  return r;
}

void model_reader_free(ModelReader *r) {
  if (!r) return;
  if (r->provider->deinit) r->provider->deinit(r);
  mem_free(r->state);
  model_reply_deinit(&r->reply);
  sse_deinit(&r->splitter);
  buf_deinit(&r->failure.message);
  buf_deinit(&r->resume_id);
  buf_deinit(&r->body);
  buf_deinit(&r->scratch);
  buf_deinit(&r->request_id);
  buf_deinit(&r->encoding);
  buf_deinit(&r->first);
  mem_free(r);
}

bool model_reader_resume(const ModelReader *r, Str *id, uint64_t *after) {
  if (!r->has_resume) return false;
  *id = buf_view(&r->resume_id);
  *after = r->has_after ? r->resume_after : 0;
  return true;
}

/* ---- status, headers, bytes --------------------------------------------------------- */

void model_reader_status(ModelReader *r, int status) {
  r->status = status;
  buf_clear(&r->encoding); /* it was of an interim reply */
}

void model_reader_header(ModelReader *r, Str name, Str value) {
  static const char *const ids[] = {"x-request-id", "request-id", "apim-request-id", "x-amzn-requestid"};
  for (size_t i = 0; i < COUNT_OF(ids); i++)
    if (r->request_id.size == 0 && str_equal(name, str_of(ids[i])) && value.size <= 256 && utf8_valid(value))
      buf_str(&r->request_id, value);
  if (str_equal(name, STR("content-encoding")) && !str_equal(value, STR("identity")) && value.size <= FIRST_BYTES &&
      utf8_valid(value))
    model_reply_set(&r->encoding, value);
  model_waits_header(&r->waits, name, value);
}

static bool is_error(const ModelReader *r) { return r->status != 0 && (r->status < 200 || r->status > 299); }

static bool begins(Str s, const char *part) {
  size_t size = strlen(part);
  return s.size >= size && memcmp(s.at, part, size) == 0;
}

/* True: it was an error, and is dealt with. */
static bool take_error(ModelReader *r, Str value) {
  Str error = value_get(value, "error");
  if (r->provider->own_errors || value_is_nil(error)) return false;
  model_fail_by(r, value);
  return true;
}

/* Of what came, as much as one line can show: all of it, its beginning, or bytes. */
static void no_answer(ModelReader *r, Str body) {
  Buf shown = {0};
  while (body.size > 0 && body.size < FIRST_BYTES && (uint8_t)body.at[body.size - 1] <= ' ') body.size--;
  bool more = body.size >= FIRST_BYTES;
  Str line = {body.at, more ? FIRST_BYTES : body.size};
  const char *end = line.size > 0 ? memchr(line.at, '\n', line.size) : NULL;
  if (end) line.size = (size_t)(end - line.at);
  while (more && line.size + 4 > FIRST_BYTES && !utf8_valid(line)) line.size--; /* a character cut in two */
  while (line.size > 0 && (uint8_t)line.at[line.size - 1] <= ' ') line.size--;
  more |= line.size < body.size;
  bool text = utf8_valid(line);
  for (size_t i = 0; i < line.size; i++) text &= (uint8_t)line.at[i] >= ' ';
  if (r->encoding.size > 0) {
    buf_format(&shown, "it is encoded as " STR_FMT ", which was not asked for", STR_ARG(buf_view(&r->encoding)));
  } else if (text) {
    buf_format(&shown, "it %s " STR_FMT, more ? "begins with" : "is", STR_ARG(line));
  } else {
    buf_text(&shown, "it begins with the bytes");
    for (size_t i = 0; i < body.size && i < 8; i++) buf_format(&shown, " %02x", (uint8_t)body.at[i]);
  }
  model_fail(r, MODEL_REPLY, RETRY_UNKNOWN, "the reply is no answer: " STR_FMT, STR_ARG(buf_view(&shown)));
  buf_deinit(&shown);
}

/* Fields of events, and comments. */
static bool begins_events(Str s) {
  static const char *const fields[] = {"data:", "event:", "id:", "retry:", ":"};
  for (size_t i = 0; i < COUNT_OF(fields); i++)
    if (begins(s, fields[i])) return true;
  return false;
}

static bool on_event(void *context, Str name, Str data) {
  ModelReader *r = context;
  if (begins(data, "[DONE]")) {
    r->over = true;
    return false;
  }
  buf_clear(&r->scratch);
  if (!model_decode(data, &r->scratch)) {
    if (r->encoding.size > 0 && !r->begun) no_answer(r, data);
    else if (!r->ending) /* at the end it is only cut off */
      model_fail(r, MODEL_REPLY, RETRY_UNKNOWN, "the stream of the answer holds what is no JSON");
    return !r->over;
  }
  Str value = buf_view(&r->scratch);
  r->evented |= value_is_map(value);
  if (!take_error(r, value)) r->provider->event(r, name, data, value);
  return !r->over;
}

static void feed_stream(ModelReader *r, Str bytes) {
  size_t room = r->first.size < FIRST_BYTES ? FIRST_BYTES - r->first.size : 0;
  buf_put(&r->first, bytes.at, bytes.size < room ? bytes.size : room);
  if (sse_feed(&r->splitter, bytes, on_event, r) == SSE_TOO_LARGE)
    model_fail(r, MODEL_REPLY, RETRY_UNKNOWN, "one event of the answer is larger than %zu bytes",
               (size_t)LIMIT_HTTP_BODY_BYTES);
}

/* Past a byte order mark and space. */
static Str body_start(const ModelReader *r) {
  Str s = r->body.size > 0 ? buf_view(&r->body) : (Str){"", 0};
  if (begins(s, "\xef\xbb\xbf")) s = (Str){s.at + 3, s.size - 3};
  while (s.size > 0 && strchr(" \t\r\n", s.at[0]) && s.at[0] != 0) s = (Str){s.at + 1, s.size - 1};
  return s;
}

/* Servers stream without being asked and do not although asked, under any content type. But an event never begins like
** a JSON text or a page. */
static void sniff(ModelReader *r) {
  Str start = body_start(r);
  if (start.size == 0) buf_clear(&r->body); /* or endless space would be looked through again and again */
  if (start.size == 0 || (start.size < 3 && (uint8_t)start.at[0] == 0xef)) return;
  bool text = start.at[0] == '{' || start.at[0] == '[' || start.at[0] == '<';
  r->sniffed = true;
  r->as_stream = r->provider->framing == SSE_LINES ? r->stream && start.at[0] != '<' : !text;
  if (!r->as_stream) return;
  feed_stream(r, start);
  buf_deinit(&r->body);
}

bool model_reader_feed(ModelReader *r, Str bytes, Buf *text) {
  if (r->over || bytes.size == 0) return !r->over;
  r->fed += bytes.size;
  if (r->fed > LIMIT_HTTP_BODY_BYTES) {
    model_fail(r, MODEL_REPLY, RETRY_UNKNOWN, "the answer is larger than %zu bytes",
               (size_t)LIMIT_HTTP_BODY_BYTES);
    return false;
  }
  if (is_error(r)) {
    buf_str(&r->body, bytes);
    return r->body.size < ERROR_BODY_BYTES;
  }
  r->out = text;
  if (r->as_stream) {
    feed_stream(r, bytes);
  } else {
    buf_str(&r->body, bytes);
    if (!r->sniffed) sniff(r);
  }
  r->out = NULL;
  return !r->over;
}

/* ---- the end --------------------------------------------------------------------------- */

static void end_stream(ModelReader *r) {
  r->ending = true;
  if (!r->over) sse_end(&r->splitter, on_event, r);
  if (r->failure.code == MODEL_ERROR_NONE && r->provider->finish) r->provider->finish(r);
}

/* A page instead of an answer comes of a wrong url and costs nothing; half an answer may. */
static void end_whole(ModelReader *r, bool lost) {
  Str body = body_start(r);
  Buf value = {0};
  bool json = body.size > 0 && (body.at[0] == '{' || body.at[0] == '[');
  if (model_decode(body, &value)) {
    if (!json) no_answer(r, body);
    else if (!take_error(r, buf_view(&value))) r->provider->whole(r, body, buf_view(&value));
  } else if (!lost) {
    bool page = body.size > 0 && body.at[0] == '<';
    if (body.size > 0 && !page && (!json || r->encoding.size > 0)) no_answer(r, body);
    model_fail(r, MODEL_REPLY, page ? RETRY_NEVER : RETRY_UNKNOWN, "%s",
               body.size == 0 ? "the answer is empty"
               : page         ? "a web page came instead of an answer; is the url right?"
                              : "the answer is no JSON");
  }
  buf_deinit(&value);
}

static void end_lost(ModelReader *r, bool sent, Str why) {
  int size = why.size < 400 ? (int)why.size : 400;
  if (!sent) model_fail(r, MODEL_NETWORK, RETRY_WAIT, "the request did not leave: %.*s", size, why.at ? why.at : "");
  else
    model_fail(r, MODEL_NETWORK, RETRY_UNKNOWN, "the connection broke %s: %.*s",
               r->begun ? "within the answer" : "before the answer", size, why.at ? why.at : "");
}

static void end_incomplete(ModelReader *r, bool lost, bool sent, Str why) {
  if (lost || r->status == 0) end_lost(r, sent, lost ? why : STR("no answer came"));
  else if (r->begun) model_fail(r, MODEL_NETWORK, RETRY_UNKNOWN, "the stream ended before the answer did");
  else if (r->as_stream && !r->evented && !(r->provider->framing == SSE_EVENTS && begins_events(buf_view(&r->first))))
    no_answer(r, buf_view(&r->first));
  else model_fail(r, MODEL_REPLY, RETRY_UNKNOWN, "the stream ended without an answer");
}

const char *model_reader_end(ModelReader *r, bool lost, bool sent, Str why, Buf *value) {
  sent |= r->status != 0;
  if (r->failure.code == MODEL_ERROR_NONE) {
    if (is_error(r)) model_fail_body(r, body_start(r));
    else if (r->as_stream) end_stream(r);
    else if (r->sniffed || (r->status != 0 && !lost)) end_whole(r, lost);
  }
  if (r->failure.code == MODEL_ERROR_NONE && !r->complete) end_incomplete(r, lost, sent, why);
  r->over = true;
  if (r->failure.code == MODEL_ERROR_NONE) {
    model_reply_encode(r, value);
    return "ok";
  }
  model_error_encode(r, sent, value);
  return r->failure.retry == RETRY_UNKNOWN ? "unknown" : "error";
}
