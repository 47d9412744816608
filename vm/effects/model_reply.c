/* A reply as it grows out of pieces, and as the encoded value it becomes in the end. */
#include "vm/base/mem.h"
#include "vm/effects/model_estimate.h"
#include "vm/effects/model_impl.h"

static Str view(const Buf *b) { return b->size > 0 ? buf_view(b) : (Str){"", 0}; }

/* -- growing -- */

void model_reply_text(ModelReader *r, Str utf8) {
  if (utf8.size == 0) return;
  r->begun = true;
  buf_str(&r->reply.text, utf8);
  if (r->out) buf_str(r->out, utf8);
}

void model_reply_refusal(ModelReader *r, Str utf8) {
  r->begun = r->reply.has_refusal = true;
  buf_str(&r->reply.refusal, utf8);
}

ReplyCall *model_reply_call(ModelReader *r, uint64_t index) {
  for (uint32_t i = r->reply.call_count; i > 0; i--)
    if (r->reply.calls[i - 1].index == index) return &r->reply.calls[i - 1];
  return model_reply_call_new(r, index);
}

ReplyCall *model_reply_call_new(ModelReader *r, uint64_t index) {
  ModelReply *reply = &r->reply;
  r->begun = true;
  if (reply->call_count == MODEL_CALLS_MAX) {
    model_fail(r, MODEL_REPLY, RETRY_UNKNOWN, "the reply has more than %d tool calls", MODEL_CALLS_MAX);
    return NULL;
  }
  reply->calls = mem_grow(reply->calls, &reply->call_cap, reply->call_count + 1, sizeof *reply->calls);
  reply->calls[reply->call_count].index = index;
  return &reply->calls[reply->call_count++];
}

/* Only brackets and strings are looked at, each byte once however the text is cut. */
static void scan(ReplyCall *call, Str part) {
  for (size_t i = 0; i < part.size; i++) {
    char c = part.at[i];
    if (call->escaped) call->escaped = false;
    else if (call->in_string && c == '\\') call->escaped = true;
    else if (c == '"') call->in_string = !call->in_string;
    if (call->in_string || c == '"') continue;
    if (c == '{' || c == '[') call->depth++;
    if ((c == '}' || c == ']') && call->depth > 0) call->whole = --call->depth == 0;
  }
}

void model_reply_arguments(ReplyCall *call, Str value) {
  Str text;
  Err ignored;
  size_t before = call->arguments.size;
  if (value_text(value, &text)) buf_str(&call->arguments, text);
  else if (value_is_map(value) && !cbor_to_json(value, &call->arguments, &ignored)) call->arguments.size = before;
  if (call->arguments.size > before)
    scan(call, (Str){call->arguments.at + before, call->arguments.size - before});
}

void model_reply_arguments_clear(ReplyCall *call) {
  buf_clear(&call->arguments);
  call->depth = 0;
  call->in_string = call->escaped = call->whole = false;
}

void model_reply_set(Buf *field, Str value) {
  if (value.size == 0) return;
  buf_clear(field);
  buf_str(field, value);
}

void model_reply_drop_calls(ModelReply *reply) {
  for (uint32_t i = 0; i < reply->call_count; i++) {
    buf_deinit(&reply->calls[i].id);
    buf_deinit(&reply->calls[i].name);
    buf_deinit(&reply->calls[i].arguments);
    reply->calls[i] = (ReplyCall){0};
  }
  reply->call_count = 0;
}

void model_reply_deinit(ModelReply *reply) {
  model_reply_drop_calls(reply);
  mem_free(reply->calls);
  buf_deinit(&reply->text);
  buf_deinit(&reply->refusal);
  buf_deinit(&reply->raw);
  buf_deinit(&reply->model);
  buf_deinit(&reply->id);
  *reply = (ModelReply){0};
}

/* -- usage -- */

bool model_usage_field(Str usage, const char *name, uint64_t *out) {
  double number;
  if (!value_number(value_get(usage, name), &number) || !(number >= 0 && number < 9e15)) return false;
  *out = (uint64_t)number;
  return true;
}

static bool usage_either(Str usage, const char *one, const char *other, uint64_t *out) {
  return model_usage_field(usage, one, out) || model_usage_field(usage, other, out);
}

static Str details(Str usage, const char *one, const char *other) {
  Str map = value_get(usage, one);
  return value_is_map(map) ? map : value_get(usage, other);
}

void model_usage_openai(ModelUsage *u, Str usage) {
  uint64_t total;
  if (!value_is_map(usage)) return;
  Str input = details(usage, "prompt_tokens_details", "input_tokens_details");
  Str output = details(usage, "completion_tokens_details", "output_tokens_details");
  u->has_input |= usage_either(usage, "prompt_tokens", "input_tokens", &u->input);
  u->has_output |= usage_either(usage, "completion_tokens", "output_tokens", &u->output);
  if (!usage_either(input, "cached_tokens", "cache_read_tokens", &u->cached))
    model_usage_field(usage, "prompt_cache_hit_tokens", &u->cached);
  usage_either(input, "cache_write_tokens", "cache_creation_tokens", &u->cache_write);
  model_usage_field(output, "reasoning_tokens", &u->reasoning);
  if (!model_usage_field(usage, "total_tokens", &total)) return;
  if (u->has_input && !u->has_output && total >= u->input) u->output = total - u->input, u->has_output = true;
  if (u->has_output && !u->has_input && total >= u->output) u->input = total - u->output, u->has_input = true;
}

static uint64_t estimate_output(const ModelReply *reply) {
  uint64_t tokens = estimate_text(view(&reply->text)) + estimate_text(view(&reply->refusal));
  for (uint32_t i = 0; i < reply->call_count; i++)
    tokens += 4 + estimate_text(view(&reply->calls[i].name)) + estimate_text(view(&reply->calls[i].arguments));
  return tokens > 0 ? tokens : 1;
}

static void usage_item(Buf *out, const char *name, uint64_t n) {
  cbor_put_text(out, str_of(name));
  cbor_put_uint(out, n);
}

static void usage_encode(const ModelReader *r, Buf *out) {
  const ModelUsage *u = &r->reply.usage;
  uint64_t input = u->has_input ? u->input : r->estimate;
  uint64_t output = u->has_output ? u->output : estimate_output(&r->reply);
  cbor_put_tag(out, CBOR_TAG_MAP);
  cbor_put_array(out, 12);
  usage_item(out, "input", input);
  usage_item(out, "cached", u->cached < input ? u->cached : input);
  usage_item(out, "cache_write", u->cache_write < input ? u->cache_write : input);
  usage_item(out, "output", output);
  usage_item(out, "reasoning", u->reasoning < output ? u->reasoning : output);
  cbor_put_text(out, STR("exact"));
  cbor_put_bool(out, u->has_input && u->has_output);
}

/* -- the reply -- */

/* Fields come from text that was checked; a field that a limit cut short may still end within a character. */
static void put_text(Buf *out, Str text) {
  if (utf8_valid(text)) cbor_put_text(out, text);
  else cbor_put_text(out, STR(""));
}

static void put_optional(Buf *out, const char *name, const Buf *field) {
  cbor_put_text(out, str_of(name));
  if (field->size > 0) put_text(out, view(field));
  else cbor_put_nil(out);
}

/* Some servers give no ids, and some the same to all. Replay needs the same again, so the ordinal in the conversation
** names such calls. */
void model_reply_call_id(const ModelReader *r, uint32_t at, Buf *out) {
  const ModelReply *reply = &r->reply;
  Str id = view(&reply->calls[at].id);
  bool ours = id.size == 0 || !utf8_valid(id);
  for (uint32_t i = 0; i < at && !ours; i++) ours = str_equal(view(&reply->calls[i].id), id);
  if (ours) buf_format(out, "call_%" PRIu64, r->earlier_calls + at + 1);
  else buf_str(out, id);
}

bool model_reply_call_named(const ModelReader *r, uint64_t index, Buf *id) {
  for (uint32_t i = r->reply.call_count; i > 0; i--) {
    if (r->reply.calls[i - 1].index != index) continue;
    model_reply_call_id(r, i - 1, id);
    return true;
  }
  return false;
}

static bool is_space(Str s) {
  for (size_t i = 0; i < s.size; i++)
    if (strchr(" \t\r\n", s.at[i]) == NULL || s.at[i] == 0) return false;
  return true;
}

/* The map, or false with out as it was. */
static bool put_arguments(Str json, Buf *out) {
  Buf value = {0};
  bool fine = is_space(json);
  if (fine) {
    cbor_put_tag(&value, CBOR_TAG_MAP);
    cbor_put_array(&value, 0);
  } else {
    fine = model_decode(json, &value) && value_is_map(buf_view(&value));
  }
  if (fine) buf_str(out, buf_view(&value));
  buf_deinit(&value);
  return fine;
}

static void call_encode(const ModelReader *r, uint32_t at, Buf *out) {
  const ReplyCall *call = &r->reply.calls[at];
  Buf arguments = {0}, id = {0};
  bool fine = put_arguments(view(&call->arguments), &arguments);
  cbor_put_tag(out, CBOR_TAG_MAP);
  cbor_put_array(out, fine ? 6 : 8);
  cbor_put_text(out, STR("id"));
  model_reply_call_id(r, at, &id);
  cbor_put_text(out, buf_view(&id));
  cbor_put_text(out, STR("name"));
  put_text(out, view(&call->name));
  cbor_put_text(out, STR("arguments"));
  if (fine) {
    buf_str(out, buf_view(&arguments));
  } else {
    cbor_put_nil(out);
    cbor_put_text(out, STR("invalid"));
    put_text(out, view(&call->arguments));
  }
  buf_deinit(&arguments);
  buf_deinit(&id);
}

static const char *stop_name(const ModelReply *reply) {
  static const char *const names[] = {[STOP_NONE] = "other",     [STOP_END] = "end",       [STOP_CALLS] = "calls",
                                      [STOP_LENGTH] = "length",  [STOP_REFUSAL] = "refusal", [STOP_FILTER] = "filter",
                                      [STOP_OTHER] = "other"};
  ModelStop stop = reply->stop;
  bool plain = stop == STOP_NONE || stop == STOP_END || stop == STOP_CALLS;
  if (plain && reply->call_count > 0) stop = STOP_CALLS;
  else if (plain && reply->has_refusal) stop = STOP_REFUSAL;
  else if (stop == STOP_CALLS) stop = STOP_END; /* said, but there are none */
  return names[stop];
}

void model_reply_encode(ModelReader *r, Buf *out) {
  const ModelReply *reply = &r->reply;
  cbor_put_tag(out, CBOR_TAG_MAP);
  cbor_put_array(out, 18);
  cbor_put_text(out, STR("text"));
  put_text(out, view(&reply->text));
  cbor_put_text(out, STR("calls"));
  cbor_put_array(out, reply->call_count);
  for (uint32_t i = 0; i < reply->call_count; i++) call_encode(r, i, out);
  cbor_put_text(out, STR("stop"));
  cbor_put_text(out, str_of(stop_name(reply)));
  cbor_put_text(out, STR("refusal"));
  if (reply->has_refusal) put_text(out, view(&reply->refusal));
  else cbor_put_nil(out);
  cbor_put_text(out, STR("raw"));
  if (reply->has_raw) cbor_put_bytes(out, view(&reply->raw));
  else cbor_put_nil(out);
  put_optional(out, "model", &reply->model);
  put_optional(out, "id", &reply->id);
  put_optional(out, "request_id", &r->request_id);
  cbor_put_text(out, STR("usage"));
  usage_encode(r, out);
}

/* -- the error -- */

static const char *const error_names[] = {
    [MODEL_ERROR_NONE] = "model_reply",          [MODEL_AUTH] = "model_auth",
    [MODEL_INVALID] = "model_invalid",           [MODEL_CONTEXT] = "model_context",
    [MODEL_REFUSED] = "model_refused",           [MODEL_RATE_LIMITED] = "model_rate_limited",
    [MODEL_OVERLOADED] = "model_overloaded",     [MODEL_SERVER] = "model_server",
    [MODEL_NETWORK] = "model_network",           [MODEL_QUOTA] = "model_quota",
    [MODEL_REPLY] = "model_reply",
};
static const char *const retry_names[] = {"never", "wait", "unknown"};

/* Usage where anything may have been billed: told, or for a begun answer estimated. */
static void error_usage(const ModelReader *r, Buf *out) {
  const ModelUsage *u = &r->reply.usage;
  cbor_put_text(out, STR("usage"));
  if (r->begun || u->has_input || u->has_output) usage_encode(r, out);
  else cbor_put_nil(out);
}

static void data_encode(ModelReader *r, bool sent, Buf *out) {
  cbor_put_tag(out, CBOR_TAG_MAP);
  cbor_put_array(out, 14);
  cbor_put_text(out, STR("class"));
  cbor_put_text(out, str_of(retry_names[r->failure.retry]));
  cbor_put_text(out, STR("wait_us"));
  cbor_put_int(out, r->failure.wait_us);
  cbor_put_text(out, STR("status"));
  if (r->status > 0) cbor_put_int(out, r->status);
  else cbor_put_nil(out);
  put_optional(out, "request_id", &r->request_id);
  cbor_put_text(out, STR("sent"));
  cbor_put_bool(out, sent);
  error_usage(r, out);
  put_optional(out, "partial", &r->reply.text);
}

void model_error_encode(ModelReader *r, bool sent, Buf *out) {
  cbor_put_tag(out, CBOR_TAG_ERROR);
  cbor_put_array(out, 4);
  cbor_put_text(out, str_of(error_names[r->failure.code]));
  put_text(out, view(&r->failure.message));
  data_encode(r, sent, out);
  cbor_put_nil(out);
}
