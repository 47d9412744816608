/* Ollama's own API, POST /api/chat: one JSON text a line. What is peculiar to it:
**
** - Arguments of calls are objects, calls have no ids (older servers) and are answered by the tool's name.
** - A prompt that is too long would be cut in silence: `truncate` and `shift` false make it say so.
** - An error may come as a line after status 200 (model.c sees to it). Counts of zero are left out.
** - Thinking has a field of its own; a message that has some is kept in `raw` (JSON) and goes back as it came. */
#include "vm/base/json.h"
#include "vm/effects/model_impl.h"

/* -- the request -- */

static void put_tools(const ModelCall *call, Buf *out) {
  if (call->tool_count == 0 || call->choice == CHOICE_NONE) return; /* there is no choice: none means none are shown */
  json_member(out, "tools");
  buf_byte(out, '[');
  for (uint32_t i = 0; i < call->tool_count; i++) {
    const ModelTool *t = &call->tools[i];
    json_item(out);
    buf_text(out, "{\"type\":\"function\",\"function\":{");
    json_member_text(out, "name", t->name);
    if (t->description.size) json_member_text(out, "description", t->description);
    json_member_raw(out, "parameters", t->schema);
    buf_text(out, "}}");
  }
  buf_byte(out, ']');
}

static void put_calls(const ModelMessage *m, Buf *out) {
  if (m->call_count == 0) return;
  json_member(out, "tool_calls");
  buf_byte(out, '[');
  for (uint32_t i = 0; i < m->call_count; i++) {
    json_item(out);
    buf_text(out, "{\"function\":{");
    json_member_text(out, "name", m->calls[i].name);
    json_member(out, "arguments");
    model_arguments(out, &m->calls[i]);
    buf_text(out, "}}");
  }
  buf_byte(out, ']');
}

/* The name of the tool an answer belongs to: told, or found by the call's id among earlier ones. */
static Str tool_name(const ModelCall *call, const ModelMessage *answer) {
  if (answer->name.size) return answer->name;
  for (const ModelMessage *m = answer; m-- > call->messages;) {
    for (uint32_t i = 0; i < m->call_count; i++) {
      if (str_equal(m->calls[i].id, answer->id)) return m->calls[i].name;
    }
  }
  return answer->id;
}

/* An error has no field: it is said in words. */
static void put_tool_answer(const ModelCall *call, const ModelMessage *m, Buf *out) {
  Buf text = {0};
  if (m->error) buf_text(&text, "Error: ");
  model_content_text(&text, m->content);
  buf_text(out, "{\"role\":\"tool\"");
  json_member_text(out, "tool_name", tool_name(call, m));
  json_member_text(out, "content", buf_view(&text));
  buf_byte(out, '}');
  buf_deinit(&text);
}

static bool is_object(Str json) {
  Buf value = {0};
  Err ignored;
  bool ok = cbor_from_json(json, &value, &ignored) && value_is_map(buf_view(&value));
  buf_deinit(&value);
  return ok;
}

static void put_message(const ModelCall *call, const ModelMessage *m, Buf *out) {
  json_item(out);
  if (m->role == ROLE_TOOL) {
    put_tool_answer(call, m, out);
    return;
  }
  if (m->raw.at && is_object(m->raw)) {
    buf_str(out, m->raw);
    return;
  }
  buf_text(out, m->role == ROLE_USER ? "{\"role\":\"user\"" : "{\"role\":\"assistant\"");
  json_member(out, "content");
  model_content(out, m->content);
  put_calls(m, out);
  buf_byte(out, '}');
}

static void put_messages(const ModelCall *call, Buf *out) {
  json_member(out, "messages");
  buf_byte(out, '[');
  if (call->system.size) {
    buf_text(out, "{\"role\":\"system\"");
    json_member_text(out, "content", call->system);
    buf_byte(out, '}');
  }
  for (uint32_t i = 0; i < call->message_count; i++) put_message(call, &call->messages[i], out);
  buf_byte(out, ']');
}

static void put_options(const ModelCall *call, Buf *out) {
  json_member(out, "options");
  buf_byte(out, '{');
  json_member_int(out, "num_predict", call->max_tokens);
  if (call->has_temperature) json_member_float(out, "temperature", call->temperature);
  if (call->has_seed) json_member_int(out, "seed", call->seed);
  if (call->stop_count) {
    json_member(out, "stop");
    buf_byte(out, '[');
    for (uint32_t i = 0; i < call->stop_count; i++) {
      json_item(out);
      json_put_string(out, call->stops[i]);
    }
    buf_byte(out, ']');
  }
  buf_byte(out, '}');
}

static bool request(const ModelCall *call, ModelHttp *out, Err *err) {
  Buf *body = &out->body;
  (void)err;
  model_url(out, call->url, "/api/chat");
  model_header(out, "content-type", "", STR("application/json"));
  if (call->key.at) model_header(out, "authorization", "Bearer ", call->key);
  buf_byte(body, '{');
  json_member_text(body, "model", call->name);
  put_messages(call, body);
  put_tools(call, body);
  if (call->answer_schema.at) json_member_raw(body, "format", call->answer_schema);
  if (call->effort.at) json_member_text(body, "think", call->effort);
  put_options(call, body);
  json_member_bool(body, "truncate", false);
  json_member_bool(body, "shift", false);
  json_member_bool(body, "stream", call->stream); /* streaming is what it does if nothing is said */
  buf_byte(body, '}');
  return true;
}

/* -- the reply -- */

typedef struct State {
  Buf thinking;
} State;

static void deinit(ModelReader *r) {
  State *s = r->state;
  buf_deinit(&s->thinking);
}

/* Calls come whole; the ordinal in the reply is their number. */
static void take_call(ModelReader *r, Str call) {
  Str function = value_get(call, "function"), arguments = value_get(function, "arguments"), text;
  Err ignored;
  ReplyCall *c = model_reply_call(r, r->reply.call_count);
  if (!c) return;
  model_reply_set(&c->id, value_get_text(call, "id"));
  model_reply_set(&c->name, value_get_text(function, "name"));
  if (value_text(arguments, &text)) buf_str(&c->arguments, text);
  else if (!value_is_nil(arguments) && !cbor_to_json(arguments, &c->arguments, &ignored)) buf_clear(&c->arguments);
}

static void take_message(ModelReader *r, Str message) {
  State *s = r->state;
  Str thinking = value_get_text(message, "thinking"), call;
  ValueList calls;
  if (thinking.size) r->begun = true;
  buf_str(&s->thinking, thinking);
  model_reply_text(r, value_get_text(message, "content"));
  if (!value_list(value_get(message, "tool_calls"), &calls)) return;
  while (!r->over && value_next(&calls, &call)) take_call(r, call);
}

static void put_raw_call(const ReplyCall *c, Buf *out) {
  Buf value = {0};
  Str arguments = c->arguments.size ? buf_view(&c->arguments) : STR("{}");
  json_item(out);
  buf_byte(out, '{');
  if (c->id.size) json_member_text(out, "id", buf_view(&c->id));
  json_member(out, "function");
  buf_byte(out, '{');
  json_member_text(out, "name", buf_view(&c->name));
  bool ok = model_decode(arguments, &value) && value_is_map(buf_view(&value));
  json_member_raw(out, "arguments", ok ? arguments : STR("{}"));
  buf_text(out, "}}");
  buf_deinit(&value);
}

static void put_raw(ModelReader *r) {
  State *s = r->state;
  Buf *raw = &r->reply.raw;
  buf_clear(raw);
  buf_text(raw, "{\"role\":\"assistant\"");
  json_member_text(raw, "content", buf_view(&r->reply.text));
  json_member_text(raw, "thinking", buf_view(&s->thinking));
  if (r->reply.call_count) {
    json_member(raw, "tool_calls");
    buf_byte(raw, '[');
    for (uint32_t i = 0; i < r->reply.call_count; i++) put_raw_call(&r->reply.calls[i], raw);
    buf_byte(raw, ']');
  }
  buf_byte(raw, '}');
  r->reply.has_raw = true;
}

static ModelStop stop_of(Str reason) {
  if (reason.size == 0 || str_equal(reason, STR("stop"))) return STOP_END;
  return str_equal(reason, STR("length")) ? STOP_LENGTH : STOP_OTHER; /* load, unload: nothing was generated */
}

static void take_done(ModelReader *r, Str value) {
  ModelUsage *u = &r->reply.usage;
  State *s = r->state;
  r->reply.stop = stop_of(value_get_text(value, "done_reason"));
  u->has_input |= model_usage_field(value, "prompt_eval_count", &u->input);
  u->has_output |= model_usage_field(value, "eval_count", &u->output);
  r->complete = r->over = true;
  if (s->thinking.size) put_raw(r);
}

static void event(ModelReader *r, Str name, Str json, Str value) {
  (void)name;
  (void)json;
  model_reply_set(&r->reply.model, value_get_text(value, "model"));
  take_message(r, value_get(value, "message"));
  if (!r->over && value_true(value_get(value, "done"))) take_done(r, value);
}

static void whole(ModelReader *r, Str json, Str value) {
  if (!value_is_map(value_get(value, "message"))) {
    model_fail(r, MODEL_REPLY, RETRY_UNKNOWN, "the answer has no message; is this Ollama's /api/chat?");
    return;
  }
  event(r, STR(""), json, value);
  if (!r->over) take_done(r, value); /* it is all there is, whether it says so or not */
}

const Provider provider_ollama = {.request = request,
                                  .framing = SSE_LINES,
                                  .state_size = sizeof(State),
                                  .deinit = deinit,
                                  .event = event,
                                  .whole = whole};
