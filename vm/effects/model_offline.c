/* The offline provider: a script, or fixed rules. model_offline.h says which. */
#include "vm/effects/model_offline.h"

#include "vm/base/text.h"
#include "vm/effects/model_estimate.h"
#include "vm/effects/model_impl.h"
#include "vm/effects/model_instance.h"

enum { EXCERPT_MAX = 200, RESULTS_MAX = 8, PIECE_MAX = 48 }; /* bytes; tools told of; bytes */

typedef struct Answer {
  ModelCall call;
  Str encoded;           /* the call */
  Buf question;          /* the last user message */
  uint32_t asked;        /* where it stands; message_count if there is none */
  uint64_t turns, calls; /* assistant messages, and tool calls in them */
  bool called;           /* since the question */
  Buf text, list;        /* list: encoded calls */
  uint64_t list_count;
  ModelStop stop;
} Answer;

/* -- the conversation -- */

static void conversation_read(Answer *a) {
  const ModelCall *call = &a->call;
  a->asked = call->message_count;
  for (uint32_t i = 0; i < call->message_count; i++) {
    const ModelMessage *m = &call->messages[i];
    if (m->role == ROLE_USER) a->asked = i;
    if (m->role == ROLE_USER) a->called = false;
    if (m->role != ROLE_ASSISTANT) continue;
    a->turns++;
    a->calls += m->call_count;
    a->called |= m->call_count > 0;
  }
  if (a->asked < call->message_count) model_content_text(&a->question, call->messages[a->asked].content);
}

/* -- tool calls -- */

/* arguments: an encoded map; {} where it is none. invalid.at not NULL: the text a model wrote instead. */
static void call_put(Answer *a, Str name, Str arguments, Str invalid) {
  Buf *out = &a->list;
  cbor_put_tag(out, CBOR_TAG_MAP);
  cbor_put_array(out, invalid.at ? 8 : 6);
  cbor_put_text(out, STR("id"));
  Buf id = {0};
  buf_format(&id, "offline_%" PRIu64, a->calls + ++a->list_count);
  cbor_put_text(out, buf_view(&id));
  buf_deinit(&id);
  cbor_put_text(out, STR("name"));
  cbor_put_text(out, name);
  cbor_put_text(out, STR("arguments"));
  if (invalid.at) {
    cbor_put_nil(out);
    cbor_put_text(out, STR("invalid"));
    cbor_put_text(out, invalid);
  } else if (value_is_map(arguments)) {
    buf_str(out, arguments);
  } else {
    cbor_put_tag(out, CBOR_TAG_MAP);
    cbor_put_array(out, 0);
  }
}

static bool tool_call(Answer *a, const ModelTool *tool, Err *err) {
  Buf arguments = {0};
  Hints hints;
  hints_read(&hints, buf_view(&a->question));
  bool ok = schema_instance(tool->schema, tool->name, &hints, &arguments, err);
  if (ok) {
    call_put(a, tool->name, buf_view(&arguments), (Str){0});
    a->stop = STOP_CALLS;
  }
  buf_deinit(&arguments);
  return ok;
}

/* The tool to be called, or NULL. */
static const ModelTool *tool_chosen(const Answer *a) {
  const ModelCall *call = &a->call;
  bool must = call->choice == CHOICE_REQUIRED;
  if (call->choice == CHOICE_NONE || call->tool_count == 0) return NULL;
  for (uint32_t i = 0; call->choice == CHOICE_TOOL && i < call->tool_count; i++) {
    if (str_equal(call->tools[i].name, call->choice_name)) return &call->tools[i];
  }
  if (a->called && !must) return NULL;
  for (uint32_t i = 0; i < call->tool_count; i++) {
    const ModelTool *t = &call->tools[i];
    Str question = buf_view(&a->question);
    if (question.size > EXCERPT_MAX * 20) question.size = EXCERPT_MAX * 20; /* words are bytes here: cut anywhere */
    if (words_shared(t->name, question) || words_shared(t->description, question)) return t;
  }
  return must ? &call->tools[0] : NULL;
}

/* -- texts -- */

/* On one line, cut where it is long. */
static void excerpt(Buf *out, Str text) {
  size_t size = text.size;
  if (size > EXCERPT_MAX) {
    size = EXCERPT_MAX;
    while (size && (text.at[size] & 0xc0) == 0x80) size--;
  }
  for (size_t i = 0; i < size; i++) buf_byte(out, (uint8_t)text.at[i] < ' ' ? ' ' : (uint8_t)text.at[i]);
  if (size < text.size) buf_text(out, " ...");
}

static void results_say(Answer *a) {
  uint32_t told = 0, left = 0;
  for (uint32_t i = a->asked < a->call.message_count ? a->asked : 0; i < a->call.message_count; i++) {
    const ModelMessage *m = &a->call.messages[i];
    if (m->role != ROLE_TOOL) continue;
    if (told == RESULTS_MAX) {
      left++;
      continue;
    }
    Buf content = {0};
    model_content_text(&content, m->content);
    buf_str(&a->text, told++ ? STR("; ") : STR(" Tools returned: "));
    buf_str(&a->text, m->name.size ? m->name : STR("a tool"));
    buf_str(&a->text, m->error ? STR(" failed: ") : STR(": "));
    excerpt(&a->text, buf_view(&content));
    buf_deinit(&content);
  }
  if (left) buf_format(&a->text, "; and %" PRIu32 " more", left);
  if (told) buf_byte(&a->text, '.');
}

static void text_say(Answer *a) {
  buf_text(&a->text, "This is the offline provider, not a model: it answers by fixed rules.");
  if (a->question.size) {
    buf_text(&a->text, " The question was \"");
    excerpt(&a->text, buf_view(&a->question));
    buf_text(&a->text, "\".");
  }
  results_say(a);
}

/* -- a script -- */

static bool script_calls(Answer *a, Str calls, Err *err) {
  ValueList list;
  Str item, name, text;
  if (!value_list(calls, &list)) return false;
  while (value_next(&list, &item)) {
    name = value_get_text(item, "name");
    if (name.size == 0) {
      FAIL(err, ERR_INVALID, "a call in the offline script has no name; write {name: \"Tool\", arguments: {...}}");
      return false;
    }
    if (!value_text(value_get(item, "arguments"), &text)) text = (Str){0};
    call_put(a, name, value_get(item, "arguments"), text);
  }
  if (a->list_count) a->stop = STOP_CALLS;
  return true;
}

static bool script_item(Answer *a, Str item, Err *err) {
  Str text, calls = value_get(item, "calls"), answer = value_get(item, "answer");
  err->code = ERR_NONE;
  if (value_text(item, &text)) {
    buf_str(&a->text, text);
    return true;
  }
  buf_str(&a->text, value_get_text(item, "text"));
  if (value_is_list(calls) && script_calls(a, calls, err)) return true;
  if (answer.at) return cbor_to_json(answer, &a->text, err);
  if (err->code == ERR_NONE)
    FAIL(err, ERR_INVALID, "answer %" PRIu64 " of the offline script is neither a string nor {calls: [...]} nor "
                           "{answer: VALUE}", a->turns + 1);
  return false;
}

static bool script_answer(Answer *a, Str script, Err *err) {
  ValueList list;
  Str item = {0};
  uint64_t count = 0;
  if (!value_list(script, &list)) {
    FAIL(err, ERR_INVALID, "the offline script must be a list of answers");
    return false;
  }
  for (; value_next(&list, &item); count++) {
    if (count == a->turns) return script_item(a, item, err);
  }
  FAIL(err, ERR_INVALID, "the offline script has %" PRIu64 " answers, and this conversation asks for number %" PRIu64
                         "; add one, or ask less often", count, a->turns + 1);
  return false;
}

/* -- the answer -- */

static bool rules_answer(Answer *a, Err *err) {
  const ModelTool *tool = tool_chosen(a);
  Buf value = {0};
  if (tool) return tool_call(a, tool, err);
  if (!a->call.answer_schema.at) {
    text_say(a);
    return true;
  }
  bool ok = schema_instance(a->call.answer_schema, a->call.answer_name, NULL, &value, err) &&
            cbor_to_json(buf_view(&value), &a->text, err);
  buf_deinit(&value);
  return ok;
}

size_t model_offline_piece(Str text, size_t at) {
  size_t end = at;
  while (end < text.size && (uint8_t)text.at[end] > ' ' && end - at < PIECE_MAX) end++;
  while (end < text.size && (text.at[end] & 0xc0) == 0x80) end++;
  while (end < text.size && (uint8_t)text.at[end] <= ' ') end++;
  return end - at;
}

/* No more than was allowed: budgets rely on it. */
static void cut(Answer *a) {
  Str text = buf_view(&a->text);
  uint64_t tokens = 0;
  if (a->call.max_tokens <= 0) return;
  for (size_t at = 0, size; (size = model_offline_piece(text, at)) > 0; at += size) {
    tokens += estimate_text((Str){text.at + at, size});
    if (tokens <= (uint64_t)a->call.max_tokens) continue;
    a->text.size = at;
    a->stop = STOP_LENGTH;
    a->list_count = 0;
    buf_clear(&a->list);
    return;
  }
}

static void put_usage(const Answer *a, Buf *out) {
  uint64_t output = estimate_text(buf_view(&a->text));
  if (a->list_count) output += estimate_value(buf_view(&a->list));
  const struct {
    const char *name;
    uint64_t n;
  } counts[] = {{"input", model_estimate(a->encoded)}, {"cached", 0}, {"cache_write", 0}, {"output", output},
                {"reasoning", 0}};
  cbor_put_tag(out, CBOR_TAG_MAP);
  cbor_put_array(out, 2 * COUNT_OF(counts) + 2);
  for (size_t i = 0; i < COUNT_OF(counts); i++) {
    cbor_put_text(out, str_of(counts[i].name));
    cbor_put_uint(out, counts[i].n);
  }
  cbor_put_text(out, STR("exact"));
  cbor_put_bool(out, true);
}

static void put_named(Buf *out, const char *name, Str text) {
  cbor_put_text(out, str_of(name));
  if (text.at) cbor_put_text(out, text);
  else cbor_put_nil(out);
}

static void reply_encode(const Answer *a, Buf *out) {
  const char *stop = a->stop == STOP_CALLS ? "calls" : a->stop == STOP_LENGTH ? "length" : "end";
  cbor_put_tag(out, CBOR_TAG_MAP);
  cbor_put_array(out, 18);
  put_named(out, "text", a->text.size ? buf_view(&a->text) : STR(""));
  cbor_put_text(out, STR("calls"));
  cbor_put_array(out, a->list_count);
  if (a->list_count) buf_str(out, buf_view(&a->list));
  put_named(out, "stop", str_of(stop));
  put_named(out, "refusal", (Str){0});
  put_named(out, "raw", (Str){0});
  put_named(out, "model", STR("offline"));
  put_named(out, "id", (Str){0});
  put_named(out, "request_id", (Str){0});
  cbor_put_text(out, STR("usage"));
  put_usage(a, out);
}

static void error_encode(const Err *err, Buf *out) {
  cbor_put_array(out, 4);
  cbor_put_text(out, STR("model_invalid"));
  cbor_put_text(out, str_of(err->text));
  cbor_put_tag(out, CBOR_TAG_MAP);
  cbor_put_array(out, 12);
  put_named(out, "class", STR("never"));
  cbor_put_text(out, STR("wait_us"));
  cbor_put_int(out, 0);
  put_named(out, "status", (Str){0});
  put_named(out, "request_id", (Str){0});
  cbor_put_text(out, STR("sent"));
  cbor_put_bool(out, false);
  put_named(out, "usage", (Str){0});
  cbor_put_nil(out);
}

const char *model_offline(Str call, Buf *value) {
  Answer a = {.encoded = call, .stop = STOP_END};
  Str script = value_get(call, "script");
  Err err = {0};
  bool ok = model_call_read(call, &a.call, &err);
  if (ok) {
    conversation_read(&a);
    ok = value_is_nil(script) ? rules_answer(&a, &err) : script_answer(&a, script, &err);
  }
  if (ok) {
    cut(&a);
    reply_encode(&a, value);
  } else {
    error_encode(&err, value);
  }
  model_call_deinit(&a.call);
  buf_deinit(&a.question);
  buf_deinit(&a.text);
  buf_deinit(&a.list);
  return ok ? "ok" : "error";
}

/* -- in the table of providers -- */

static bool request(const ModelCall *call, ModelHttp *out, Err *err) {
  (void)call;
  (void)out;
  FAIL(err, ERR_INVALID, "the offline provider sends nothing: model_offline gives its answer");
  return false;
}

static void event(ModelReader *r, Str name, Str json, Str value) {
  (void)name;
  (void)json;
  (void)value;
  model_fail(r, MODEL_REPLY, RETRY_NEVER, "the offline provider has no connection that could answer");
}

static void whole(ModelReader *r, Str json, Str value) { event(r, STR(""), json, value); }

const Provider provider_offline = {.request = request, .event = event, .whole = whole};
