/* OpenAI's chat completions, and the many servers that speak almost the same.
**
** What "almost" means, and is put up with: usage missing or in every chunk; tool calls without ids, without index, all
** with index 0, or whole in one chunk; arguments as an object; "stop" as the reason although there are calls; no
** [DONE], or no reason before it; content as a list of parts; the function_call of old; an answer at once although a
** stream was asked for, and the other way round. */
#include "vm/base/json.h"
#include "vm/effects/model_impl.h"
#include "vm/effects/model_schema.h"

#define INDEX_OWN (UINT64_C(1) << 40) /* from here on: of calls that came without one */

/* ---- the request ------------------------------------------------------------------ */

static void put_tool_calls(Buf *b, const ModelMessage *m) {
  json_member(b, "tool_calls");
  buf_byte(b, '[');
  for (uint32_t i = 0; i < m->call_count; i++) {
    Buf arguments = {0};
    model_arguments(&arguments, &m->calls[i]);
    json_item(b);
    buf_byte(b, '{');
    json_member_text(b, "id", m->calls[i].id);
    json_member_text(b, "type", STR("function"));
    json_member(b, "function");
    buf_byte(b, '{');
    json_member_text(b, "name", m->calls[i].name);
    json_member_text(b, "arguments", buf_view(&arguments));
    buf_text(b, "}}");
    buf_deinit(&arguments);
  }
  buf_byte(b, ']');
}

static void put_assistant(Buf *b, const ModelMessage *m) {
  json_member_text(b, "role", STR("assistant"));
  json_member(b, "content");
  if (m->content.at || m->call_count == 0) model_content(b, m->content);
  else buf_text(b, "null");
  if (m->call_count > 0) put_tool_calls(b, m);
}

static void put_message(Buf *b, const ModelMessage *m) {
  json_item(b);
  buf_byte(b, '{');
  switch (m->role) {
    case ROLE_USER:
      json_member_text(b, "role", STR("user"));
      json_member(b, "content");
      model_content(b, m->content);
      break;
    case ROLE_ASSISTANT: put_assistant(b, m); break;
    case ROLE_TOOL:
      json_member_text(b, "role", STR("tool"));
      json_member_text(b, "tool_call_id", m->id);
      json_member(b, "content");
      model_tool_content(b, m);
      break;
  }
  buf_byte(b, '}');
}

static void put_messages(Buf *b, const ModelCall *c) {
  json_member(b, "messages");
  buf_byte(b, '[');
  if (c->system.at) {
    buf_byte(b, '{');
    json_member_text(b, "role", STR("system"));
    json_member_text(b, "content", c->system);
    buf_byte(b, '}');
  }
  for (uint32_t i = 0; i < c->message_count; i++) put_message(b, &c->messages[i]);
  buf_byte(b, ']');
}

static void put_tools(Buf *b, const ModelCall *c) {
  if (c->tool_count == 0) return;
  json_member(b, "tools");
  buf_byte(b, '[');
  for (uint32_t i = 0; i < c->tool_count; i++) {
    json_item(b);
    buf_byte(b, '{');
    json_member_text(b, "type", STR("function"));
    json_member(b, "function");
    buf_byte(b, '{');
    json_member_text(b, "name", c->tools[i].name);
    if (c->tools[i].description.at) json_member_text(b, "description", c->tools[i].description);
    json_member_raw(b, "parameters", c->tools[i].schema);
    buf_text(b, "}}");
  }
  buf_byte(b, ']');
}

static void put_choice(Buf *b, const ModelCall *c) {
  static const char *const words[] = {[CHOICE_AUTO] = "auto", [CHOICE_NONE] = "none", [CHOICE_REQUIRED] = "required"};
  if (c->choice == CHOICE_UNSET) return;
  json_member(b, "tool_choice");
  if (c->choice != CHOICE_TOOL) {
    json_put_string(b, str_of(words[c->choice]));
    return;
  }
  buf_byte(b, '{');
  json_member_text(b, "type", STR("function"));
  json_member(b, "function");
  buf_byte(b, '{');
  json_member_text(b, "name", c->choice_name);
  buf_text(b, "}}");
}

static void put_answer(Buf *b, const ModelCall *c) {
  if (!c->answer_schema.at) return;
  json_member(b, "response_format");
  buf_byte(b, '{');
  json_member_text(b, "type", STR("json_schema"));
  json_member(b, "json_schema");
  buf_byte(b, '{');
  json_member_text(b, "name", c->answer_name);
  json_member(b, "schema");
  json_member_bool(b, "strict", schema_strict(c->answer_schema, b));
  buf_text(b, "}}");
}

/* OpenAI has renamed max_tokens and refuses the old name for newer models; the others mostly know only that. */
static bool is_openai(Str url) {
  static const Str hosts[] = {{"://api.openai.com", 17}, {".openai.azure.com", 17}};
  for (size_t i = 0; i < COUNT_OF(hosts); i++)
    if (memmem(url.at, url.size, hosts[i].at, hosts[i].size)) return true;
  return false;
}

static void put_knobs(Buf *b, const ModelCall *c) {
  json_member_int(b, is_openai(c->url) ? "max_completion_tokens" : "max_tokens", c->max_tokens);
  if (c->has_temperature) json_member_float(b, "temperature", c->temperature);
  if (c->has_seed) json_member_int(b, "seed", c->seed);
  if (c->effort.at) json_member_text(b, "reasoning_effort", c->effort);
  if (c->stop_count > 0) {
    json_member(b, "stop");
    buf_byte(b, '[');
    for (uint32_t i = 0; i < c->stop_count; i++) {
      json_item(b);
      json_put_string(b, c->stops[i]);
    }
    buf_byte(b, ']');
  }
  if (!c->stream) return;
  json_member_bool(b, "stream", true);
  json_member(b, "stream_options");
  buf_text(b, "{\"include_usage\":true}");
}

void model_openai_address(const ModelCall *c, const char *path, ModelHttp *out) {
  model_url(out, c->url, model_url_has_path(c->url) ? path + strlen("/v1") : path);
  model_header(out, "content-type", "", STR("application/json"));
  if (c->key.at) model_header(out, "authorization", "Bearer ", c->key);
}

static bool request(const ModelCall *c, ModelHttp *out, Err *err) {
  Buf *b = &out->body;
  (void)err; /* everything in a call has its place here */
  model_openai_address(c, "/v1/chat/completions", out);
  buf_byte(b, '{');
  json_member_text(b, "model", c->name);
  put_messages(b, c);
  put_tools(b, c);
  put_choice(b, c);
  put_answer(b, c);
  put_knobs(b, c);
  buf_byte(b, '}');
  return true;
}

/* ---- tool calls --------------------------------------------------------------------- */

static ReplyCall *call_by_id(ModelReader *r, Str id) {
  for (uint32_t i = r->reply.call_count; i > 0 && id.size > 0; i--)
    if (str_equal(buf_view(&r->reply.calls[i - 1].id), id)) return &r->reply.calls[i - 1];
  return NULL;
}

static ReplyCall *call_own(ModelReader *r) { return model_reply_call_new(r, INDEX_OWN + r->reply.call_count); }

static bool begins_object(Str arguments) {
  Str text;
  if (!value_text(arguments, &text)) return value_is_map(arguments);
  while (text.size > 0 && (uint8_t)text.at[0] <= ' ') text = (Str){text.at + 1, text.size - 1};
  return text.size > 0 && text.at[0] == '{';
}

/* Without an index: an id known already, or nothing that begins a call, goes on with one; all else is new. Servers that
** take the tool's name for an id repeat it: arguments that begin behind whole ones are another call's. */
static ReplyCall *call_unnumbered(ModelReader *r, Str id, Str name, Str arguments) {
  ReplyCall *same = call_by_id(r, id);
  if (same && !(name.size > 0 && same->whole && begins_object(arguments))) return same;
  if (id.size > 0 || name.size > 0 || r->reply.call_count == 0) return call_own(r);
  return &r->reply.calls[r->reply.call_count - 1];
}

/* With an index that another call has already: told by a new id, or by a name behind arguments that are whole. */
static ReplyCall *call_numbered(ModelReader *r, uint64_t index, Str id, Str name) {
  ReplyCall *call = model_reply_call(r, index);
  if (!call) return NULL;
  bool other_id = id.size > 0 && call->id.size > 0 && !str_equal(buf_view(&call->id), id);
  bool again = id.size == 0 && name.size > 0 && call->name.size > 0 && call->whole;
  return other_id || again ? model_reply_call_new(r, index) : call;
}

/* In a whole reply each item is a call of its own, whatever it has for id and index; in a stream it is a piece. */
static void take_call(ModelReader *r, Str item, bool piece) {
  Str function = value_get(item, "function"), index_value = value_get(item, "index");
  Str id = value_get_text(item, "id"), name = value_get_text(function, "name");
  int64_t index;
  if (!value_is_map(item)) return;
  bool numbered = value_integer(index_value, &index) && index >= 0;
  ReplyCall *call = !piece     ? call_own(r)
                    : numbered ? call_numbered(r, (uint64_t)index, id, name)
                               : call_unnumbered(r, id, name, value_get(function, "arguments"));
  if (!call) return;
  if (call->id.size == 0) model_reply_set(&call->id, id);
  if (call->name.size == 0) model_reply_set(&call->name, name);
  model_reply_arguments(call, value_get(function, "arguments"));
}

static void take_old_call(ModelReader *r, Str function) {
  if (!value_is_map(function)) return;
  ReplyCall *call = model_reply_call(r, 0);
  if (!call) return;
  if (call->name.size == 0) model_reply_set(&call->name, value_get_text(function, "name"));
  model_reply_arguments(call, value_get(function, "arguments"));
}

/* ---- the answer ------------------------------------------------------------------------ */

static void take_content(ModelReader *r, Str content) {
  ValueList l;
  Str text, part;
  if (value_text(content, &text)) {
    model_reply_text(r, text);
  } else if (value_list(content, &l)) {
    while (value_next(&l, &part)) {
      Str type = value_get_text(part, "type");
      if (!type.at || str_equal(type, STR("text"))) model_reply_text(r, value_get_text(part, "text"));
    }
  }
}

/* A delta of a stream, or the whole message. */
static void take_message(ModelReader *r, Str message, bool piece) {
  ValueList l;
  Str item, refusal = value_get_text(message, "refusal");
  take_content(r, value_get(message, "content"));
  if (refusal.size > 0) model_reply_refusal(r, refusal);
  if (value_list(value_get(message, "tool_calls"), &l))
    while (value_next(&l, &item)) take_call(r, item, piece);
  take_old_call(r, value_get(message, "function_call"));
  /* what it thinks is not kept, but it is paid for */
  if (value_get_text(message, "reasoning_content").size > 0 || value_get_text(message, "reasoning").size > 0)
    r->begun = true;
}

static void take_reason(ModelReader *r, Str reason) {
  static const struct {
    const char *word;
    ModelStop stop;
  } rows[] = {{"stop", STOP_END},           {"eos", STOP_END},          {"end_turn", STOP_END},
              {"tool_calls", STOP_CALLS},   {"tool_use", STOP_CALLS},   {"function_call", STOP_CALLS},
              {"length", STOP_LENGTH},      {"max_tokens", STOP_LENGTH}, {"model_length", STOP_LENGTH},
              {"content_filter", STOP_FILTER}, {"refusal", STOP_REFUSAL}};
  if (reason.size == 0) return;
  if (str_equal(reason, STR("error"))) {
    model_fail(r, MODEL_SERVER, RETRY_UNKNOWN, "the provider broke off its answer with an error");
    return;
  }
  r->complete = true;
  r->reply.stop = STOP_OTHER;
  for (size_t i = 0; i < COUNT_OF(rows); i++)
    if (str_equal(reason, str_of(rows[i].word))) r->reply.stop = rows[i].stop;
}

/* Of several choices the first: more are never asked for. */
static bool first_choice(Str value, Str *out) {
  ValueList l;
  int64_t index;
  if (!value_list(value_get(value, "choices"), &l)) return false;
  while (value_next(&l, out))
    if (value_is_map(*out) && (!value_integer(value_get(*out, "index"), &index) || index == 0)) return true;
  return false;
}

static bool take_chunk(ModelReader *r, Str value, bool piece) {
  Str choice;
  model_reply_set(&r->reply.model, value_get_text(value, "model"));
  model_reply_set(&r->reply.id, value_get_text(value, "id"));
  model_usage_openai(&r->reply.usage, value_get(value, "usage"));
  if (!first_choice(value, &choice)) return false;
  take_message(r, value_get(choice, "delta"), piece);
  take_message(r, value_get(choice, "message"), piece);
  take_reason(r, value_get_text(choice, "finish_reason"));
  return true;
}

static void event(ModelReader *r, Str name, Str json, Str value) {
  (void)name;
  (void)json;
  (void)take_chunk(r, value, true); /* chunks without a choice carry usage, or what a filter thinks of the prompt */
}

static void whole(ModelReader *r, Str json, Str value) {
  (void)json;
  if (take_chunk(r, value, false)) r->complete = true;
  else if (!r->over)
    model_fail(r, MODEL_REPLY, RETRY_UNKNOWN, "the answer has no \"choices\": it is no chat completion");
  if (r->reply.stop == STOP_NONE) r->reply.stop = STOP_END;
}

/* [DONE] without a reason before it. */
static void finish(ModelReader *r) {
  if (r->complete || !r->over || !r->begun) return;
  r->complete = true;
  r->reply.stop = STOP_END;
}

const Provider provider_openai = {.request = request, .framing = SSE_EVENTS, .event = event, .whole = whole,
                                  .finish = finish};
