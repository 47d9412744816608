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
  uint64_t since;        /* assistant messages since the question */
  bool called;           /* since the question */
  ModelReader r;         /* the reply; no byte is ever read */
} Answer;

/* -- the conversation -- */

static void conversation_read(Answer *a) {
  const ModelCall *call = &a->call;
  a->asked = call->message_count;
  for (uint32_t i = 0; i < call->message_count; i++) {
    const ModelMessage *m = &call->messages[i];
    if (m->role == ROLE_USER) a->asked = i;
    if (m->role == ROLE_USER) a->called = false, a->since = 0;
    if (m->role != ROLE_ASSISTANT) continue;
    a->turns++;
    a->since++;
    a->calls += m->call_count;
    a->called |= m->call_count > 0;
  }
  if (a->asked < call->message_count) model_content_text(&a->question, call->messages[a->asked].content);
}

/* -- tool calls -- */

static bool call_add(Answer *a, Str name, Str arguments, Err *err) {
  ReplyCall *call = model_reply_call(&a->r, a->r.reply.call_count);
  Str text;
  if (!call) {
    FAIL(err, ERR_INVALID, "an answer of the offline script has more than %d calls", MODEL_CALLS_MAX);
    return false;
  }
  a->r.reply.stop = STOP_CALLS;
  buf_str(&call->name, name);
  if (value_text(arguments, &text)) buf_str(&call->arguments, text); /* what a model wrote that is no object */
  else if (value_is_map(arguments)) return cbor_to_json(arguments, &call->arguments, err);
  return true;
}

static bool tool_call(Answer *a, const ModelTool *tool, Err *err) {
  Buf arguments = {0};
  Hints hints;
  hints_read(&hints, buf_view(&a->question));
  bool ok = schema_instance(tool->schema, tool->name, &hints, &arguments, err) &&
            call_add(a, tool->name, buf_view(&arguments), err);
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
    buf_str(&a->r.reply.text, told++ ? STR("; ") : STR(" Tools returned: "));
    buf_str(&a->r.reply.text, m->name.size ? m->name : STR("a tool"));
    buf_str(&a->r.reply.text, m->error ? STR(" failed: ") : STR(": "));
    excerpt(&a->r.reply.text, buf_view(&content));
    buf_deinit(&content);
  }
  if (left) buf_format(&a->r.reply.text, "; and %" PRIu32 " more", left);
  if (told) buf_byte(&a->r.reply.text, '.');
}

static void text_say(Answer *a) {
  buf_text(&a->r.reply.text, "This is the offline provider, not a model: it answers by fixed rules.");
  if (a->question.size) {
    buf_text(&a->r.reply.text, " The question was \"");
    excerpt(&a->r.reply.text, buf_view(&a->question));
    buf_text(&a->r.reply.text, "\".");
  }
  results_say(a);
}

/* -- a script -- */

static bool script_calls(Answer *a, Str calls, Err *err) {
  ValueList list;
  Str item;
  if (!value_list(calls, &list)) return false;
  while (value_next(&list, &item)) {
    Str name = value_get_text(item, "name");
    if (name.size == 0) {
      FAIL(err, ERR_INVALID, "a call in the offline script has no name; write {name: \"Tool\", arguments: {...}}");
      return false;
    }
    if (!call_add(a, name, value_get(item, "arguments"), err)) return false;
  }
  return true;
}

static bool script_item(Answer *a, Str item, Err *err) {
  Str text, calls = value_get(item, "calls"), answer = value_get(item, "answer");
  err->code = ERR_NONE;
  if (value_text(item, &text)) {
    buf_str(&a->r.reply.text, text);
    return true;
  }
  buf_str(&a->r.reply.text, value_get_text(item, "text"));
  if (value_is_list(calls) && script_calls(a, calls, err)) return true;
  if (answer.at) return cbor_to_json(answer, &a->r.reply.text, err);
  if (err->code == ERR_NONE && a->r.reply.text.size > 0) return true;
  if (err->code == ERR_NONE)
    FAIL(err, ERR_INVALID, "answer %" PRIu64 " of the offline script is neither a string nor {text: \"…\"} nor "
                           "{calls: [...]} nor {answer: VALUE}", a->turns + 1);
  return false;
}

static bool says(Str text, Str part) {
  return part.size == 0 || (text.size >= part.size && memmem(text.at, text.size, part.at, part.size) != NULL);
}

/* A rule that calls tools is for the question, not for what the tools then said: it would go on for ever. */
static bool rule_fits(const Answer *a, Str rule) {
  Str when = value_get(rule, "when"), part;
  if (a->called && value_is_list(value_get(rule, "calls"))) return false;
  if (value_is_nil(when)) return true;
  return value_text(when, &part) &&
         (says(buf_view(&a->question), part) || (a->call.system.at && says(a->call.system, part)));
}

static bool item_at(Str list_value, uint64_t at, Str *item, uint64_t *count) {
  ValueList list;
  *count = 0;
  if (!value_list(list_value, &list)) return false;
  for (; value_next(&list, item); (*count)++) {
    if (*count == at) return true;
  }
  return false;
}

static bool script_rule(Answer *a, Str rule, Err *err) {
  Str turns = value_get(rule, "turns"), item = {0};
  uint64_t count;
  if (!value_is_list(turns)) return script_item(a, rule, err);
  if (item_at(turns, a->since, &item, &count)) return script_item(a, item, err);
  FAIL(err, ERR_INVALID, "a rule of the offline script has %" PRIu64 " turns, and this conversation asks for number %"
                         PRIu64 "; add one, or ask less often", count, a->since + 1);
  return false;
}

static bool script_rules(Answer *a, Str rules, Err *err) {
  ValueList list;
  Str rule;
  if (!value_list(rules, &list)) {
    FAIL(err, ERR_INVALID, "the offline script must be a list of answers, or {rules: [{when: \"…\", …}]}");
    return false;
  }
  while (value_next(&list, &rule)) {
    if (!value_is_map(rule)) break;
    if (rule_fits(a, rule)) return script_rule(a, rule, err);
  }
  FAIL(err, ERR_INVALID, "no rule of the offline script fits this message; a last one without `when` fits always");
  return false;
}

static bool script_answer(Answer *a, Str script, Err *err) {
  Str item = {0};
  uint64_t count;
  if (!value_is_list(script)) return script_rules(a, value_get(script, "rules"), err);
  if (item_at(script, a->turns, &item, &count)) return script_item(a, item, err);
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
            cbor_to_json(buf_view(&value), &a->r.reply.text, err);
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
  ModelReply *reply = &a->r.reply;
  Str text = buf_view(&reply->text);
  uint64_t tokens = 0;
  for (size_t at = 0, size; (size = model_offline_piece(text, at)) > 0; at += size) {
    tokens += estimate_text((Str){text.at + at, size});
    if (tokens <= (uint64_t)a->call.max_tokens) continue;
    reply->text.size = at;
    reply->stop = STOP_LENGTH;
    return;
  }
}

static void count(Answer *a) {
  ModelReply *reply = &a->r.reply;
  reply->usage.input = model_estimate(a->encoded);
  reply->usage.output = estimate_text(buf_view(&reply->text));
  for (uint32_t i = 0; i < reply->call_count; i++) {
    const ReplyCall *call = &reply->calls[i];
    reply->usage.output += 4 + estimate_text(buf_view(&call->name)) + estimate_text(buf_view(&call->arguments));
  }
  reply->usage.has_input = reply->usage.has_output = true; /* by its own count, and there is no other */
}

static bool answer(Answer *a, Err *err) {
  Str script = value_get(a->encoded, "script");
  a->r.reply.stop = STOP_END;
  if (!model_call_read(a->encoded, &a->call, err)) return false;
  conversation_read(a);
  if (!(value_is_nil(script) ? rules_answer(a, err) : script_answer(a, script, err))) return false;
  a->r.earlier_calls = a->calls;
  model_reply_set(&a->r.reply.model, STR("offline"));
  cut(a);
  count(a);
  return true;
}

const char *model_offline(Str call, Buf *value) {
  Answer a = {.encoded = call};
  Err err = {0};
  bool ok = answer(&a, &err);
  if (ok) {
    model_reply_encode(&a.r, value);
  } else {
    model_reply_deinit(&a.r.reply); /* nothing was used */
    a.r.begun = false;
    a.r.failure.code = MODEL_INVALID;
    buf_text(&a.r.failure.message, err.text);
    model_error_encode(&a.r, false, value);
  }
  model_reply_deinit(&a.r.reply);
  model_call_deinit(&a.call);
  buf_deinit(&a.r.failure.message);
  buf_deinit(&a.question);
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
