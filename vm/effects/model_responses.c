/* OpenAI's Responses API: items instead of messages, and answers that can be taken up again.
**
** Nothing is kept at the provider unless the call runs in the background, where it must be. So what a model thought
** travels with the conversation: output items go into `raw` byte by byte and back with the next call. A stream tells
** everything twice, in pieces and whole in its last event; the pieces are for whoever watches, the last event
** counts. */
#include <stdlib.h>

#include "vm/base/mem.h"
#include "vm/effects/model_impl.h"
#include "vm/effects/model_schema.h"

enum { ITEMS_MAX = 4096 };

typedef struct Item { /* an output item that was told to be done */
  uint64_t index;
  Buf json;
} Item;
typedef struct State {
  Item *items;
  uint32_t item_count, item_cap;
  bool stored; /* at the provider: what has an id can be referred to */
} State;

/* ---- the request ------------------------------------------------------------------ */

static void put_message(Buf *b, const char *role, Str content) {
  json_item(b);
  buf_byte(b, '{');
  json_member_text(b, "role", str_of(role));
  json_member(b, "content");
  model_content(b, content);
  buf_byte(b, '}');
}

static void put_call(Buf *b, const ModelToolCall *call) {
  Buf arguments = {0};
  model_arguments(&arguments, call);
  json_item(b);
  buf_byte(b, '{');
  json_member_text(b, "type", STR("function_call"));
  json_member_text(b, "call_id", call->id);
  json_member_text(b, "name", call->name);
  json_member_text(b, "arguments", buf_view(&arguments));
  buf_byte(b, '}');
  buf_deinit(&arguments);
}

/* The items as they came, byte by byte. False: raw is not what we made. */
static bool put_raw(Buf *b, Str raw) {
  Buf value = {0};
  Str item;
  Err ignored;
  JsonSlices slices;
  bool some = false;
  if (cbor_from_json(raw, &value, &ignored)) {
    json_slices_begin(&slices, raw);
    for (; json_slices_next(&slices, &item); some = true) {
      json_item(b);
      buf_str(b, item);
    }
    json_slices_end(&slices);
  }
  buf_deinit(&value);
  return some;
}

static void put_assistant(Buf *b, const ModelMessage *m) {
  if (m->raw.at && put_raw(b, m->raw)) return;
  if (m->content.at || m->call_count == 0) put_message(b, "assistant", m->content);
  for (uint32_t i = 0; i < m->call_count; i++) put_call(b, &m->calls[i]);
}

static void put_output(Buf *b, const ModelMessage *m) {
  json_item(b);
  buf_byte(b, '{');
  json_member_text(b, "type", STR("function_call_output"));
  json_member_text(b, "call_id", m->id);
  json_member(b, "output");
  model_tool_content(b, m);
  buf_byte(b, '}');
}

static void put_input(Buf *b, const ModelCall *c) {
  json_member(b, "input");
  buf_byte(b, '[');
  for (uint32_t i = 0; i < c->message_count; i++) {
    const ModelMessage *m = &c->messages[i];
    switch (m->role) {
      case ROLE_USER: put_message(b, "user", m->content); break;
      case ROLE_ASSISTANT: put_assistant(b, m); break;
      case ROLE_TOOL: put_output(b, m); break;
    }
  }
  buf_byte(b, ']');
}

/* strict must be said: left out it means true here, and the schema would have to be of the strict kind. */
static void put_tools(Buf *b, const ModelCall *c) {
  if (c->tool_count == 0) return;
  json_member(b, "tools");
  buf_byte(b, '[');
  for (uint32_t i = 0; i < c->tool_count; i++) {
    json_item(b);
    buf_byte(b, '{');
    json_member_text(b, "type", STR("function"));
    json_member_text(b, "name", c->tools[i].name);
    if (c->tools[i].description.at) json_member_text(b, "description", c->tools[i].description);
    json_member_raw(b, "parameters", c->tools[i].schema);
    json_member_bool(b, "strict", false);
    buf_byte(b, '}');
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
  json_member_text(b, "name", c->choice_name);
  buf_byte(b, '}');
}

static void put_answer(Buf *b, const ModelCall *c) {
  if (!c->answer_schema.at) return;
  json_member(b, "text");
  buf_byte(b, '{');
  json_member(b, "format");
  buf_byte(b, '{');
  json_member_text(b, "type", STR("json_schema"));
  json_member_text(b, "name", c->answer_name);
  json_member(b, "schema");
  json_member_bool(b, "strict", schema_strict(c->answer_schema, b));
  buf_text(b, "}}");
}

/* Models that think give it encrypted if asked, and the others refuse to be asked. */
static bool thinks(const ModelCall *c) {
  Str n = c->name;
  if (c->effort.at) return true;
  if (n.size > 1 && n.at[0] == 'o' && n.at[1] >= '1' && n.at[1] <= '9') return true;
  return n.size > 4 && memcmp(n.at, "gpt-", 4) == 0 && n.at[4] >= '5' && n.at[4] <= '9' &&
         !memmem(n.at, n.size, "chat", 4);
}

static void put_knobs(Buf *b, const ModelCall *c) {
  json_member_int(b, "max_output_tokens", c->max_tokens);
  if (c->has_temperature) json_member_float(b, "temperature", c->temperature);
  if (c->effort.at) {
    json_member(b, "reasoning");
    buf_byte(b, '{');
    json_member_text(b, "effort", c->effort);
    buf_byte(b, '}');
  }
  if (thinks(c)) {
    json_member(b, "include");
    buf_text(b, "[\"reasoning.encrypted_content\"]");
  }
  json_member_bool(b, "store", c->background);
  if (c->background) json_member_bool(b, "background", true);
  if (c->stream || c->background) json_member_bool(b, "stream", true);
}

static void request_resume(const ModelCall *c, ModelHttp *out) {
  Buf path = {0};
  buf_text(&path, "/v1/responses/");
  percent_encode(c->resume_id, &path);
  buf_text(&path, "?stream=true");
  if (c->has_after) buf_format(&path, "&starting_after=%" PRIu64, c->resume_after);
  buf_byte(&path, 0);
  out->method = "GET";
  out->stream = true;
  model_openai_address(c, path.at, out);
  buf_deinit(&path);
}

static bool request(const ModelCall *c, ModelHttp *out, Err *err) {
  Buf *b = &out->body;
  (void)err; /* everything in a call has its place here */
  if (c->resume_id.at) {
    request_resume(c, out);
    return true;
  }
  model_openai_address(c, "/v1/responses", out);
  out->stream = c->stream || c->background; /* a background answer tells its id in its first event */
  buf_byte(b, '{');
  json_member_text(b, "model", c->name);
  if (c->system.at) json_member_text(b, "instructions", c->system);
  put_input(b, c);
  put_tools(b, c);
  put_choice(b, c);
  put_answer(b, c);
  put_knobs(b, c);
  buf_byte(b, '}');
  return true;
}

/* ---- items --------------------------------------------------------------------------- */

static void deinit(ModelReader *r) {
  State *s = r->state;
  for (uint32_t i = 0; i < s->item_count; i++) buf_deinit(&s->items[i].json);
  mem_free(s->items);
}

static void take_call(ModelReader *r, uint64_t index, Str item) {
  ReplyCall *call = model_reply_call(r, index);
  Str arguments = value_get(item, "arguments"), text;
  if (!call) return;
  Str id = value_get_text(item, "call_id");
  model_reply_set(&call->id, id.size > 0 ? id : value_get_text(item, "id"));
  model_reply_set(&call->name, value_get_text(item, "name"));
  if (!value_is_map(arguments) && (!value_text(arguments, &text) || text.size == 0)) return;
  model_reply_arguments_clear(call);
  model_reply_arguments(call, arguments);
}

static void take_parts(ModelReader *r, Str item) {
  ValueList l;
  Str part;
  if (!value_list(value_get(item, "content"), &l)) return;
  while (value_next(&l, &part)) {
    Str refusal = value_get_text(part, "refusal");
    model_reply_text(r, value_get_text(part, "text"));
    if (refusal.size > 0) model_reply_refusal(r, refusal);
  }
}

static bool is_type(Str item, const char *type) { return str_equal(value_get_text(item, "type"), str_of(type)); }

/* Thoughts that are neither stored nor given encrypted cannot be sent back: the provider would not find them. */
static bool can_return(const State *s, Str item) {
  return s->stored || !is_type(item, "reasoning") || !value_is_nil(value_get(item, "encrypted_content"));
}

/* As it came, but for a call without a call_id or with that of another: the API takes a result by the call_id of
** exactly one call before it, so the item gets the one that the result will carry. Nothing signs it: what is encrypted
** are thoughts, which are items of their own. */
static void raw_add(ModelReader *r, uint64_t index, Str json, Str item) {
  Buf *raw = &r->reply.raw, id = {0};
  bool call = is_type(item, "function_call") && model_reply_call_named(r, index, &id);
  if (raw->size == 0) buf_byte(raw, '[');
  json_item(raw);
  if (!call || str_equal(value_get_text(item, "call_id"), buf_view(&id))) buf_str(raw, json);
  else json_put_with(raw, json, "call_id", buf_view(&id));
  buf_deinit(&id);
}

static void raw_end(ModelReader *r) {
  r->reply.has_raw = r->reply.raw.size > 0;
  if (r->reply.has_raw) buf_byte(&r->reply.raw, ']');
}

/* The slices of a JSON array, in one pass. */
static void raw_of_output(ModelReader *r, Str output_json, Str output) {
  ValueList l;
  Str item, json;
  JsonSlices slices;
  if (!value_list(output, &l)) return;
  json_slices_begin(&slices, output_json);
  for (uint64_t i = 0; json_slices_next(&slices, &json) && value_next(&l, &item); i++)
    if (can_return(r->state, item)) raw_add(r, i, json, item);
  json_slices_end(&slices);
  raw_end(r);
}

static int item_order(const void *a, const void *b) {
  const Item *x = a, *y = b;
  return x->index < y->index ? -1 : x->index > y->index;
}

static void raw_of_items(ModelReader *r) {
  State *s = r->state;
  Buf value = {0};
  if (s->item_count > 0) qsort(s->items, s->item_count, sizeof *s->items, item_order);
  for (uint32_t i = 0; i < s->item_count; i++) {
    buf_clear(&value);
    Str json = buf_view(&s->items[i].json);
    if (!model_decode(json, &value) || !can_return(s, buf_view(&value))) continue;
    raw_add(r, s->items[i].index, json, buf_view(&value));
  }
  raw_end(r);
  buf_deinit(&value);
}

/* ---- the whole response ----------------------------------------------------------------- */

/* What an object about the response says of it: ids, and whether it can be taken up again. */
static void take_head(ModelReader *r, Str response) {
  State *s = r->state;
  Str id = value_get_text(response, "id");
  bool plain = id.size > 0 && id.size <= 256;
  for (size_t i = 0; i < id.size; i++) plain &= id.at[i] > ' ' && id.at[i] < 0x7f;
  model_reply_set(&r->reply.id, id);
  model_reply_set(&r->reply.model, value_get_text(response, "model"));
  s->stored |= value_true(value_get(response, "store"));
  if (!plain || (!r->background && !value_true(value_get(response, "background")))) return;
  r->has_resume = true;
  model_reply_set(&r->resume_id, id);
}

/* The pieces give way to the whole. What was not shown before is shown now, unless the beginning went elsewhere. */
static void take_output(ModelReader *r, Str output_json, Str output) {
  ValueList l;
  Str item;
  Buf *out = r->out;
  if (!value_list(output, &l) || l.left == 0) {
    raw_of_items(r);
    return;
  }
  if (r->reply.text.size > 0 || r->resumed) r->out = NULL;
  buf_clear(&r->reply.text);
  buf_clear(&r->reply.refusal);
  r->reply.has_refusal = false;
  model_reply_drop_calls(&r->reply);
  for (uint64_t i = 0; value_next(&l, &item); i++) {
    if (is_type(item, "message")) take_parts(r, item);
    else if (is_type(item, "function_call")) take_call(r, i, item);
  }
  r->out = out;
  raw_of_output(r, output_json, output);
}

static void take_incomplete(ModelReader *r, Str response) {
  Str reason = value_get_text(value_get(response, "incomplete_details"), "reason");
  r->reply.stop = STOP_OTHER;
  if (str_equal(reason, STR("max_output_tokens"))) r->reply.stop = STOP_LENGTH;
  if (str_equal(reason, STR("content_filter"))) r->reply.stop = STOP_FILTER;
  r->complete = true;
}

/* HTTP 200 says nothing: only status does. */
static void take_status(ModelReader *r, Str response) {
  Str status = value_get_text(response, "status"), error = value_get(response, "error");
  if (str_equal(status, STR("failed")) || (!value_is_nil(error) && !status.at)) {
    model_fail_by(r, error);
  } else if (str_equal(status, STR("cancelled"))) {
    model_fail(r, MODEL_SERVER, RETRY_NEVER, "the response was cancelled at the provider");
  } else if (str_equal(status, STR("queued")) || str_equal(status, STR("in_progress"))) {
    model_fail(r, MODEL_SERVER, RETRY_UNKNOWN, "the response is still \"%.*s\"", STR_ARG(status));
  } else if (str_equal(status, STR("incomplete"))) {
    take_incomplete(r, response);
  } else {
    r->reply.stop = STOP_END;
    r->complete = true;
  }
}

static void take_response(ModelReader *r, Str json, Str response) {
  Str output_json = {0};
  take_head(r, response);
  model_usage_openai(&r->reply.usage, value_get(response, "usage"));
  (void)json_slice(json, STR("output"), &output_json);
  take_output(r, output_json, value_get(response, "output"));
  if (!r->over) take_status(r, response);
  r->over = true;
}

static void whole(ModelReader *r, Str json, Str value) {
  bool known = value_is_list(value_get(value, "output")) || value_get_text(value, "status").at ||
               !value_is_nil(value_get(value, "error"));
  if (known) take_response(r, json, value);
  else model_fail(r, MODEL_REPLY, RETRY_UNKNOWN, "the answer has neither \"output\" nor \"status\": it is no response");
}

/* ---- a stream of it ------------------------------------------------------------------------ */

/* Which call a piece belongs to; without a number to the last. */
static uint64_t index_of(const ModelReader *r, Str value) {
  int64_t index;
  if (value_integer(value_get(value, "output_index"), &index) && index >= 0) return (uint64_t)index;
  return r->reply.call_count > 0 ? r->reply.calls[r->reply.call_count - 1].index : 0;
}

static void on_text(ModelReader *r, Str json, Str value) {
  (void)json;
  model_reply_text(r, value_get_text(value, "delta"));
}

static void on_refusal(ModelReader *r, Str json, Str value) {
  (void)json;
  Str delta = value_get_text(value, "delta");
  if (delta.size > 0) model_reply_refusal(r, delta);
}

static void on_thought(ModelReader *r, Str json, Str value) {
  (void)json;
  (void)value;
  r->begun = true;
}

static void on_arguments(ModelReader *r, Str json, Str value) {
  (void)json;
  ReplyCall *call = model_reply_call(r, index_of(r, value));
  if (call) model_reply_arguments(call, value_get(value, "delta"));
}

static void on_arguments_done(ModelReader *r, Str json, Str value) {
  (void)json;
  ReplyCall *call = model_reply_call(r, index_of(r, value));
  if (!call) return;
  model_reply_arguments_clear(call);
  model_reply_arguments(call, value_get(value, "arguments"));
  model_reply_set(&call->name, value_get_text(value, "name"));
}

static void on_item(ModelReader *r, Str json, Str value) {
  (void)json;
  Str item = value_get(value, "item");
  if (is_type(item, "function_call")) take_call(r, index_of(r, value), item);
}

static void on_item_done(ModelReader *r, Str json, Str value) {
  State *s = r->state;
  Str item_json;
  on_item(r, json, value);
  if (s->item_count == ITEMS_MAX || !json_slice(json, STR("item"), &item_json)) return;
  s->items = mem_grow(s->items, &s->item_cap, s->item_count + 1, sizeof *s->items);
  Item *item = &s->items[s->item_count++];
  item->index = index_of(r, value);
  buf_str(&item->json, item_json);
}

static void on_head(ModelReader *r, Str json, Str value) {
  (void)json;
  take_head(r, value_get(value, "response"));
}

static void on_end(ModelReader *r, Str json, Str value) {
  Str response_json = {0};
  (void)json_slice(json, STR("response"), &response_json);
  take_response(r, response_json, value_get(value, "response"));
}

static void on_failed(ModelReader *r, Str json, Str value) {
  Str response = value_get(value, "response");
  (void)json;
  take_head(r, response);
  model_usage_openai(&r->reply.usage, value_get(response, "usage"));
  model_fail_by(r, value_get(response, "error"));
}

static void on_error(ModelReader *r, Str json, Str value) {
  (void)json;
  model_fail_by(r, value);
}

static const struct {
  const char *type;
  void (*on)(ModelReader *r, Str json, Str value);
} events[] = {
    {"response.output_text.delta", on_text},
    {"response.refusal.delta", on_refusal},
    {"response.reasoning_text.delta", on_thought},
    {"response.reasoning_summary_text.delta", on_thought},
    {"response.function_call_arguments.delta", on_arguments},
    {"response.function_call_arguments.done", on_arguments_done},
    {"response.output_item.added", on_item},
    {"response.output_item.done", on_item_done},
    {"response.created", on_head},
    {"response.queued", on_head},
    {"response.in_progress", on_head},
    {"response.completed", on_end},
    {"response.incomplete", on_end},
    {"response.failed", on_failed},
    {"response.cancelled", on_end},
    {"error", on_error},
};

static void event(ModelReader *r, Str name, Str json, Str value) {
  Str type = value_get_text(value, "type");
  int64_t number;
  if (type.size == 0) type = name;
  if (value_integer(value_get(value, "sequence_number"), &number) && number >= 0) {
    r->has_after = true;
    r->resume_after = (uint64_t)number;
  }
  for (size_t i = 0; i < COUNT_OF(events); i++) {
    if (!str_equal(type, str_of(events[i].type))) continue;
    events[i].on(r, json, value);
    return;
  }
  if (type.size == 0 && !value_is_nil(value_get(value, "error"))) model_fail_by(r, value);
}

const Provider provider_responses = {.request = request, .framing = SSE_EVENTS, .own_errors = true,
                                     .state_size = sizeof(State), .deinit = deinit, .event = event, .whole = whole};
