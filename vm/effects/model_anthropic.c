/* Anthropic's Messages API. What is peculiar to it:
**
** - max_tokens must be given, the system text stands apart, and roles alternate: what follows one another from the
**   same side is one message, and the results of a batch of calls come first in theirs.
** - An answer is a list of blocks. Thinking must go back with its signature as it came, so a list that text and calls
**   do not say in full is kept in `raw` (JSON, the list) and goes back byte by byte.
** - input_tokens leaves out what was read from or written to the cache; the usage in message_delta is a total.
** - An `error` event may come after status 200. Before the first block nothing of the answer had begun. */
#include "vm/base/json.h"
#include "vm/base/mem.h"
#include "vm/effects/model_impl.h"
#include "vm/effects/model_schema.h"

enum { BLOCKS_MAX = 4 * MODEL_CALLS_MAX };

/* -- the request -- */

static void put_cache_control(Buf *out) { json_member_raw(out, "cache_control", STR("{\"type\":\"ephemeral\"}")); }

static bool is_blank(Str text) {
  for (size_t i = 0; i < text.size; i++) {
    if ((uint8_t)text.at[i] > ' ') return false;
  }
  return true;
}

/* Text blocks that are blank are refused by the API: none is written then. */
static void put_text_block(Buf *out, Str text, bool cached) {
  if (is_blank(text)) return;
  json_item(out);
  buf_text(out, "{\"type\":\"text\"");
  json_member_text(out, "text", text);
  if (cached) put_cache_control(out);
  buf_byte(out, '}');
}

/* Ids of calls that another provider made may hold what this one refuses. */
static void id_clean(Str id, Buf *clean) {
  for (size_t i = 0; i < id.size; i++) {
    char c = id.at[i];
    bool fine = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
    buf_byte(clean, fine ? (uint8_t)c : '_');
  }
  if (id.size == 0) buf_text(clean, "call");
}

static void put_id(Buf *out, const char *name, Str id) {
  Buf clean = {0};
  id_clean(id, &clean);
  json_member_text(out, name, buf_view(&clean));
  buf_deinit(&clean);
}

static void put_result(Buf *out, const ModelMessage *m, bool cached) {
  json_item(out);
  buf_text(out, "{\"type\":\"tool_result\"");
  put_id(out, "tool_use_id", m->id);
  json_member(out, "content");
  model_content(out, m->content);
  if (m->error) json_member_bool(out, "is_error", true);
  if (cached) put_cache_control(out);
  buf_byte(out, '}');
}

static void put_call(Buf *out, const ModelToolCall *call) {
  json_item(out);
  buf_text(out, "{\"type\":\"tool_use\"");
  put_id(out, "id", call->id);
  json_member_text(out, "name", call->name);
  json_member(out, "input");
  model_arguments(out, call);
  buf_byte(out, '}');
}

/* The items of a JSON list without its brackets; false: it is none. */
static bool put_raw(Buf *out, Str raw) {
  Str first;
  if (raw.size < 2 || raw.at[0] != '[' || raw.at[raw.size - 1] != ']' || !json_slice_item(raw, 0, &first)) return false;
  json_item(out);
  buf_put(out, raw.at + 1, raw.size - 2);
  return true;
}

static void put_assistant(Buf *out, const ModelMessage *m) {
  Buf text = {0};
  if (m->raw.at && put_raw(out, m->raw)) return;
  model_content_text(&text, m->content);
  put_text_block(out, buf_view(&text), false);
  for (uint32_t i = 0; i < m->call_count; i++) put_call(out, &m->calls[i]);
  buf_deinit(&text);
}

/* Messages from..end of the user's side, results first. The last of all blocks may carry the mark for the cache. */
static void put_user(Buf *out, const ModelMessage *from, const ModelMessage *end, bool cached) {
  const ModelMessage *last_text = NULL, *last_result = NULL;
  for (const ModelMessage *m = from; m < end; m++) {
    Buf text = {0};
    if (m->role == ROLE_TOOL) last_result = m;
    else model_content_text(&text, m->content);
    if (!is_blank(buf_view(&text))) last_text = m;
    buf_deinit(&text);
  }
  for (const ModelMessage *m = from; m < end; m++) {
    if (m->role == ROLE_TOOL) put_result(out, m, cached && !last_text && m == last_result);
  }
  for (const ModelMessage *m = from; m < end; m++) {
    if (m->role == ROLE_TOOL) continue;
    Buf text = {0};
    model_content_text(&text, m->content);
    put_text_block(out, buf_view(&text), cached && m == last_text);
    buf_deinit(&text);
  }
}

/* Runs of one side become a message each; one that says nothing is left out, and its neighbours are one run then.
** In a loop with tools the whole conversation comes again next time: its end is marked for the cache. */
static bool put_messages(const ModelCall *call, Buf *out, Err *err) {
  const ModelMessage *all = call->messages, *end = all + call->message_count;
  bool open = false, open_user = false, loop = false;
  for (const ModelMessage *m = all; m < end; m++) loop |= m->role == ROLE_TOOL;
  buf_byte(out, '[');
  for (const ModelMessage *m = all; m < end;) {
    bool user = m->role != ROLE_ASSISTANT;
    const ModelMessage *next = m;
    Buf blocks = {0};
    while (next < end && (next->role != ROLE_ASSISTANT) == user) {
      if (!user) put_assistant(&blocks, next);
      next++;
    }
    if (user) put_user(&blocks, m, next, loop && next == end);
    if (blocks.size && (!open || open_user != user)) {
      if (open) buf_text(out, "]}");
      json_item(out);
      buf_text(out, user ? "{\"role\":\"user\",\"content\":[" : "{\"role\":\"assistant\",\"content\":[");
      open = true;
      open_user = user;
    }
    if (blocks.size) json_item(out);
    if (blocks.size) buf_str(out, buf_view(&blocks));
    buf_deinit(&blocks);
    m = next;
  }
  buf_text(out, open ? "]}]" : "]");
  if (!open) FAIL(err, ERR_INVALID, "there is nothing to send: Anthropic wants at least one message with text in it");
  return open;
}

static void put_system(const ModelCall *call, Buf *out) {
  if (is_blank(call->system)) return;
  json_member(out, "system");
  buf_byte(out, '[');
  put_text_block(out, call->system, true);
  buf_byte(out, ']');
}

/* Tools come before the system text in the cached prefix: the mark is on the last of both. */
static void put_tools(const ModelCall *call, Buf *out) {
  if (call->tool_count == 0) return;
  json_member(out, "tools");
  buf_byte(out, '[');
  for (uint32_t i = 0; i < call->tool_count; i++) {
    const ModelTool *t = &call->tools[i];
    json_item(out);
    buf_byte(out, '{');
    json_member_text(out, "name", t->name);
    if (t->description.size) json_member_text(out, "description", t->description);
    json_member_raw(out, "input_schema", t->schema);
    if (i + 1 == call->tool_count && is_blank(call->system)) put_cache_control(out);
    buf_byte(out, '}');
  }
  buf_byte(out, ']');
}

static void put_choice(const ModelCall *call, Buf *out) {
  static const char *const types[] = {[CHOICE_AUTO] = "auto", [CHOICE_NONE] = "none", [CHOICE_REQUIRED] = "any",
                                      [CHOICE_TOOL] = "tool"};
  if (call->tool_count == 0 || call->choice == CHOICE_UNSET) return;
  json_member(out, "tool_choice");
  buf_byte(out, '{');
  json_member_text(out, "type", str_of(types[call->choice]));
  if (call->choice == CHOICE_TOOL) json_member_text(out, "name", call->choice_name);
  buf_byte(out, '}');
}

static bool put_output_config(const ModelCall *call, Buf *out, Err *err) {
  bool ok = true;
  if (!call->effort.at && !call->answer_schema.at) return true;
  json_member(out, "output_config");
  buf_byte(out, '{');
  if (call->effort.at) json_member_text(out, "effort", call->effort);
  if (call->answer_schema.at) {
    json_member(out, "format");
    buf_text(out, "{\"type\":\"json_schema\"");
    json_member(out, "schema");
    ok = schema_plain(call->answer_schema, out, err);
    buf_byte(out, '}');
  }
  buf_byte(out, '}');
  return ok;
}

static bool put_body(const ModelCall *call, Buf *out, Err *err) {
  buf_byte(out, '{');
  json_member_text(out, "model", call->name);
  json_member_int(out, "max_tokens", call->max_tokens);
  put_tools(call, out);
  put_system(call, out);
  json_member(out, "messages");
  if (!put_messages(call, out, err)) return false;
  put_choice(call, out);
  if (!put_output_config(call, out, err)) return false;
  if (call->has_temperature) json_member_float(out, "temperature", call->temperature);
  if (call->stop_count) {
    json_member(out, "stop_sequences");
    buf_byte(out, '[');
    for (uint32_t i = 0; i < call->stop_count; i++) {
      json_item(out);
      json_put_string(out, call->stops[i]);
    }
    buf_byte(out, ']');
  }
  if (call->stream) json_member_bool(out, "stream", true);
  buf_byte(out, '}');
  return true;
}

static bool request(const ModelCall *call, ModelHttp *out, Err *err) {
  if (call->has_temperature && call->temperature > 1) {
    FAIL(err, ERR_INVALID, "a temperature of %g is too high: Anthropic takes 0 to 1", call->temperature);
    return false;
  }
  model_url(out, call->url, "/v1/messages");
  model_header(out, "content-type", "", STR("application/json"));
  model_header(out, "anthropic-version", "", STR("2023-06-01"));
  if (call->key.at) model_header(out, "x-api-key", "", call->key);
  return put_body(call, &out->body, err);
}

/* -- the reply: blocks -- */

typedef enum { BLOCK_TEXT, BLOCK_THINKING, BLOCK_CALL, BLOCK_OTHER } BlockKind;
typedef struct Block {
  uint64_t index;
  BlockKind kind;
  bool changed;        /* BLOCK_OTHER: its input came in pieces */
  Buf text, signature; /* text or thinking; of a call the input it began with, of another block its pieces */
  Buf start, citations;
} Block;

typedef struct State {
  Block *blocks;
  uint32_t count, cap;
  uint64_t input, written, read; /* tokens */
  bool paused;
} State;

static void deinit(ModelReader *r) {
  State *s = r->state;
  for (uint32_t i = 0; i < s->count; i++) {
    Block *b = &s->blocks[i];
    buf_deinit(&b->text);
    buf_deinit(&b->signature);
    buf_deinit(&b->start);
    buf_deinit(&b->citations);
  }
  mem_free(s->blocks);
  s->blocks = NULL;
  s->count = s->cap = 0;
}

static Block *block_find(ModelReader *r, uint64_t index) {
  State *s = r->state;
  for (uint32_t i = s->count; i-- > 0;) {
    if (s->blocks[i].index == index) return &s->blocks[i];
  }
  return NULL;
}

static Block *block_new(ModelReader *r, uint64_t index, BlockKind kind) {
  State *s = r->state;
  if (s->count >= BLOCKS_MAX) {
    model_fail(r, MODEL_REPLY, RETRY_UNKNOWN, "the answer has more than %d blocks", BLOCKS_MAX);
    return NULL;
  }
  s->blocks = mem_grow(s->blocks, &s->cap, s->count + 1, sizeof *s->blocks);
  Block *b = &s->blocks[s->count++];
  *b = (Block){.index = index, .kind = kind};
  return b;
}

static BlockKind block_kind(Str type) {
  if (str_equal(type, STR("text"))) return BLOCK_TEXT;
  if (str_equal(type, STR("thinking"))) return BLOCK_THINKING;
  return str_equal(type, STR("tool_use")) ? BLOCK_CALL : BLOCK_OTHER;
}

static void call_begin(ModelReader *r, Block *b, Str value) {
  ReplyCall *call = model_reply_call(r, b->index);
  Str input = value_get(value, "input");
  Err ignored;
  if (!call) return;
  model_reply_set(&call->id, value_get_text(value, "id"));
  model_reply_set(&call->name, value_get_text(value, "name"));
  if (!value_is_nil(input) && !cbor_to_json(input, &b->text, &ignored)) buf_clear(&b->text);
}

static void block_begin(ModelReader *r, uint64_t index, Str json, Str value) {
  Block *b = block_new(r, index, block_kind(value_get_text(value, "type")));
  if (!b) return;
  r->begun = true;
  Str text = value_get_text(value, "text");
  switch (b->kind) {
  case BLOCK_TEXT:
    buf_str(&b->text, text);
    if (text.size) model_reply_text(r, text);
    break;
  case BLOCK_THINKING:
    buf_str(&b->text, value_get_text(value, "thinking"));
    buf_str(&b->signature, value_get_text(value, "signature"));
    break;
  case BLOCK_CALL: call_begin(r, b, value); break;
  case BLOCK_OTHER: buf_str(&b->start, json); break;
  }
}

static void block_input(ModelReader *r, Block *b, Str piece) {
  if (b->kind == BLOCK_CALL) {
    ReplyCall *call = model_reply_call(r, b->index);
    if (call) buf_str(&call->arguments, piece);
  } else {
    b->changed |= piece.size > 0;
    buf_str(&b->text, piece);
  }
}

static void block_delta(ModelReader *r, uint64_t index, Str json, Str delta) {
  Block *b = block_find(r, index);
  Str type = value_get_text(delta, "type"), slice;
  bool text = str_equal(type, STR("text_delta"));
  if (!b && text) b = block_new(r, index, BLOCK_TEXT); /* some servers do not begin blocks */
  if (!b) return;
  if (text) {
    Str piece = value_get_text(delta, "text");
    buf_str(&b->text, piece);
    if (piece.size) model_reply_text(r, piece);
  } else if (str_equal(type, STR("input_json_delta"))) {
    block_input(r, b, value_get_text(delta, "partial_json"));
  } else if (str_equal(type, STR("thinking_delta"))) {
    buf_str(&b->text, value_get_text(delta, "thinking"));
  } else if (str_equal(type, STR("signature_delta"))) {
    buf_str(&b->signature, value_get_text(delta, "signature"));
  } else if (str_equal(type, STR("citations_delta")) && json_slice(json, STR("delta"), &slice) &&
             json_slice(slice, STR("citation"), &slice)) {
    json_item(&b->citations);
    buf_str(&b->citations, slice);
  }
}

/* -- the reply: raw -- */

static Str object_or_empty(Str json) {
  Buf value = {0};
  bool ok = json.size && model_decode(json, &value) && value_is_map(buf_view(&value));
  buf_deinit(&value);
  return ok ? json : STR("{}");
}

static void raw_text(Buf *raw, const Block *b) {
  if (is_blank(buf_view(&b->text))) return;
  json_item(raw);
  buf_text(raw, "{\"type\":\"text\"");
  json_member_text(raw, "text", buf_view(&b->text));
  if (b->citations.size) {
    json_member(raw, "citations");
    buf_byte(raw, '[');
    buf_str(raw, buf_view(&b->citations));
    buf_byte(raw, ']');
  }
  buf_byte(raw, '}');
}

static void raw_thinking(Buf *raw, const Block *b) {
  json_item(raw);
  buf_text(raw, "{\"type\":\"thinking\"");
  json_member_text(raw, "thinking", buf_view(&b->text));
  json_member_text(raw, "signature", buf_view(&b->signature));
  buf_byte(raw, '}');
}

/* With the id that its result will carry. The API refuses two blocks of one id and a result that names none, and signs
** nothing but thinking: what the server gave twice, or not at all, is replaced here. */
static void raw_call(Buf *raw, const ReplyCall *call, Str id) {
  json_item(raw);
  buf_text(raw, "{\"type\":\"tool_use\"");
  json_member_text(raw, "id", id);
  json_member_text(raw, "name", buf_view(&call->name));
  json_member_raw(raw, "input", object_or_empty(buf_view(&call->arguments)));
  buf_byte(raw, '}');
}

/* Another block that asks for something to be called, with the input that came in pieces. */
static void raw_asking(Buf *raw, const Block *b, Str input) {
  static const char *const names[] = {"type", "id", "name", "server_name"};
  Str slice;
  json_item(raw);
  buf_byte(raw, '{');
  for (size_t i = 0; i < COUNT_OF(names); i++) {
    if (json_slice(buf_view(&b->start), str_of(names[i]), &slice)) json_member_raw(raw, names[i], slice);
  }
  json_member_raw(raw, "input", object_or_empty(input));
  buf_byte(raw, '}');
}

/* As put_result will write it. */
static bool id_of(const ModelReader *r, const Block *b, Buf *id) {
  Buf given = {0};
  bool call = b->kind == BLOCK_CALL && model_reply_call_named(r, b->index, &given);
  if (call) id_clean(buf_view(&given), id);
  buf_deinit(&given);
  return call;
}

static void raw_block(ModelReader *r, const Block *b) {
  Buf *raw = &r->reply.raw, id = {0};
  switch (b->kind) {
  case BLOCK_TEXT: raw_text(raw, b); break;
  case BLOCK_THINKING: raw_thinking(raw, b); break;
  case BLOCK_CALL:
    if (id_of(r, b, &id)) raw_call(raw, model_reply_call(r, b->index), buf_view(&id));
    buf_deinit(&id);
    break;
  case BLOCK_OTHER:
    if (b->changed) {
      raw_asking(raw, b, buf_view(&b->text));
    } else {
      json_item(raw);
      buf_str(raw, buf_view(&b->start));
    }
  }
}

/* Text, then calls: text and calls of the reply say it all. Anything else has to go back as it came. */
static bool is_plain(const State *s) {
  for (uint32_t i = 0; i < s->count; i++) {
    const Block *b = &s->blocks[i];
    bool text = b->kind == BLOCK_TEXT && i == 0 && b->citations.size == 0;
    if (!text && b->kind != BLOCK_CALL) return false;
  }
  return !s->paused;
}

static void finish(ModelReader *r) {
  State *s = r->state;
  for (uint32_t i = 0; i < s->count; i++) {
    const Block *b = &s->blocks[i];
    ReplyCall *call = b->kind == BLOCK_CALL ? model_reply_call(r, b->index) : NULL;
    if (call && call->arguments.size == 0) buf_str(&call->arguments, buf_view(&b->text));
  }
  if (r->reply.has_raw || is_plain(s)) return;
  buf_clear(&r->reply.raw);
  buf_byte(&r->reply.raw, '[');
  for (uint32_t i = 0; i < s->count; i++) raw_block(r, &s->blocks[i]);
  buf_byte(&r->reply.raw, ']');
  r->reply.has_raw = r->reply.raw.size > 2;
}

/* -- the reply: the rest -- */

static void larger(Str usage, const char *name, uint64_t *n, bool *told) {
  uint64_t found;
  if (!model_usage_field(usage, name, &found)) return;
  *told = true;
  if (found > *n) *n = found;
}

/* Totals so far. Of the prompt the larger count stands: some servers repeat it as 0. What message_start says of the
** output is only its first tokens, so `last` tells whether to believe it. */
static void take_usage(ModelReader *r, Str usage, bool last) {
  State *s = r->state;
  ModelUsage *u = &r->reply.usage;
  uint64_t output;
  Str details = value_get(usage, "output_tokens_details");
  larger(usage, "input_tokens", &s->input, &u->has_input);
  bool ignored = false;
  larger(usage, "cache_creation_input_tokens", &s->written, &ignored);
  larger(usage, "cache_read_input_tokens", &s->read, &ignored);
  u->cached = s->read;
  u->cache_write = s->written;
  u->input = s->input + s->written + s->read;
  (void)model_usage_field(details, "thinking_tokens", &u->reasoning);
  if (!last || !model_usage_field(usage, "output_tokens", &output)) return;
  u->output = output;
  u->has_output = true;
}

static void take_stop(ModelReader *r, Str value) {
  static const struct {
    const char *name;
    ModelStop stop;
  } stops[] = {{"end_turn", STOP_END}, {"stop_sequence", STOP_END}, {"max_tokens", STOP_LENGTH},
               {"model_context_window_exceeded", STOP_LENGTH}, {"tool_use", STOP_CALLS}, {"refusal", STOP_REFUSAL}};
  Str reason = value_get_text(value, "stop_reason"), details = value_get(value, "stop_details");
  if (!reason.at) return;
  State *s = r->state;
  s->paused = str_equal(reason, STR("pause_turn"));
  r->reply.stop = STOP_OTHER;
  for (size_t i = 0; i < COUNT_OF(stops); i++) {
    if (str_equal(reason, str_of(stops[i].name))) r->reply.stop = stops[i].stop;
  }
  r->complete = true;
  if (r->reply.stop != STOP_REFUSAL || r->reply.has_refusal) return;
  Str why = value_get_text(details, "explanation");
  if (why.size == 0) why = value_get_text(details, "category");
  model_reply_refusal(r, why.size ? why : STR("the model refused and gave no reason"));
}

static bool index_of(Str value, uint64_t *index) {
  int64_t n;
  if (!value_integer(value_get(value, "index"), &n) || n < 0) return false;
  *index = (uint64_t)n;
  return true;
}

static void take_message(ModelReader *r, Str message, bool last) {
  model_reply_set(&r->reply.id, value_get_text(message, "id"));
  model_reply_set(&r->reply.model, value_get_text(message, "model"));
  take_usage(r, value_get(message, "usage"), last);
}

static void event(ModelReader *r, Str name, Str json, Str value) {
  Str type = value_get_text(value, "type"), slice = {0};
  uint64_t index;
  if (type.size == 0) type = name;
  if (str_equal(type, STR("error"))) { /* with nothing under "error", or model.c had taken it */
    model_fail_by(r, value);
  } else if (str_equal(type, STR("message_start"))) {
    take_message(r, value_get(value, "message"), false);
  } else if (str_equal(type, STR("content_block_start"))) {
    if (index_of(value, &index) && json_slice(json, STR("content_block"), &slice))
      block_begin(r, index, slice, value_get(value, "content_block"));
  } else if (str_equal(type, STR("content_block_delta"))) {
    if (index_of(value, &index)) block_delta(r, index, json, value_get(value, "delta"));
  } else if (str_equal(type, STR("message_delta"))) {
    take_usage(r, value_get(value, "usage"), true);
    take_stop(r, value_get(value, "delta"));
  } else if (str_equal(type, STR("message_stop"))) {
    r->complete = r->over = true;
    finish(r);
  }
}

/* The list of blocks as it came, byte by byte; of calls the id is set as in raw_call. */
static void raw_whole(ModelReader *r, Str content, Str list) {
  State *s = r->state;
  Buf *raw = &r->reply.raw, id = {0};
  ValueList l;
  Str block, json;
  JsonSlices slices;
  bool changed = false;
  if (!value_list(list, &l)) return;
  buf_clear(raw);
  buf_byte(raw, '[');
  json_slices_begin(&slices, content);
  for (uint32_t i = 0; json_slices_next(&slices, &json) && value_next(&l, &block); i++) {
    buf_clear(&id);
    bool call = i < s->count && id_of(r, &s->blocks[i], &id) && !str_equal(value_get_text(block, "id"), buf_view(&id));
    json_item(raw);
    if (call) json_put_with(raw, json, "id", buf_view(&id));
    else buf_str(raw, json);
    changed |= call;
  }
  json_slices_end(&slices);
  buf_byte(raw, ']');
  if (!changed) model_reply_set(raw, content);
  buf_deinit(&id);
  r->reply.has_raw = true;
}

static void whole(ModelReader *r, Str json, Str value) {
  Str content, block;
  ValueList list;
  if (!value_list(value_get(value, "content"), &list) || !json_slice(json, STR("content"), &content)) {
    model_fail(r, MODEL_REPLY, RETRY_UNKNOWN, "the answer has no list of content blocks; is this a Messages API?");
    return;
  }
  take_message(r, value, true);
  take_stop(r, value);
  for (uint64_t i = 0; !r->over && value_next(&list, &block); i++) block_begin(r, i, (Str){0}, block);
  if (!is_plain(r->state)) raw_whole(r, content, value_get(value, "content"));
  r->complete = r->over = true;
  finish(r);
}

const Provider provider_anthropic = {.request = request,
                                     .framing = SSE_EVENTS,
                                     .state_size = sizeof(State),
                                     .deinit = deinit,
                                     .event = event,
                                     .whole = whole,
                                     .finish = finish};
