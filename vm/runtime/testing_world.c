/* Models and people of a test. */
#include <stdio.h>

#include "vm/base/mem.h"
#include "vm/base/table.h"
#include "vm/effects/model_estimate.h"
#include "vm/effects/model.h"
#include "vm/runtime/approvals.h"
#include "vm/runtime/error_value.h"
#include "vm/runtime/testing_impl.h"

typedef struct Script { /* what one of them says, in order; the last is repeated */
  Buf answers;          /* an encoded list */
  uint64_t count, next;
  uint64_t asked;
  Table *keys; /* index of its answer + 1, by the call's key */
} Script;

struct World {
  Table *models; /* Script by name */
  Script *people; /* or NULL */
};

World *world_new(void) {
  World *w = MEM_NEW(World);
  w->models = table_new();
  return w;
}

static void script_free(Script *s) {
  if (s == NULL) return;
  buf_deinit(&s->answers);
  table_free(s->keys);
  mem_free(s);
}

void world_free(World *w) {
  uint32_t at = 0;
  void *script;
  if (w == NULL) return;
  while (table_next(w->models, &at, NULL, &script)) script_free(script);
  table_free(w->models);
  script_free(w->people);
  mem_free(w);
}

/* ---- scripts -------------------------------------------------------------------------------- */

static bool answers_take(CborReader *r, Script *s) {
  Str list;
  Err e;
  uint64_t count;
  if (!cbor_skip(r, &list, &e)) return false;
  CborReader items = cbor_reader(list);
  if (!cbor_array(&items, &count, &e) || count == 0) return false;
  buf_clear(&s->answers);
  buf_str(&s->answers, list);
  s->count = count;
  s->next = 0; /* stubbed anew it begins with its first answer; calls that were made stay counted */
  return true;
}

static Script *script_of(World *w, Str model) {
  Script *s = table_get(w->models, model);
  if (s != NULL) return s;
  s = MEM_NEW(Script);
  s->keys = table_new();
  table_set(w->models, model, s);
  return s;
}

static Str answer_at(const Script *s, uint64_t index) {
  CborReader r = cbor_reader(buf_view(&s->answers));
  uint64_t count;
  Str answer = {0};
  Err e;
  if (!cbor_array(&r, &count, &e)) return answer;
  if (index >= s->count) index = s->count - 1;
  for (uint64_t i = 0; i <= index; i++)
    if (!cbor_skip(&r, &answer, &e)) return (Str){0};
  return answer;
}

/* Asked again after a crash it is the same call. */
static Str answer_to(Script *s, Str key, uint64_t *number) {
  uintptr_t index = (uintptr_t)table_get(s->keys, key);
  if (index == 0) {
    index = (uintptr_t)++s->next;
    s->asked++;
    table_set(s->keys, key, (void *)index);
  }
  *number = index;
  return answer_at(s, index - 1);
}

bool world_ask(World *w, Str word, CborReader *r, Buf *value) {
  Str model;
  Err e;
  if (str_equal(word, STR("stub approve"))) {
    if (w->people == NULL) w->people = MEM_NEW(Script), w->people->keys = table_new();
    cbor_put_nil(value);
    return answers_take(r, w->people);
  }
  if (!str_equal(word, STR("stub model")) && !str_equal(word, STR("calls model"))) return false;
  if (!cbor_text(r, &model, &e)) return false;
  Script *s = script_of(w, model);
  if (str_equal(word, STR("calls model"))) {
    cbor_put_uint(value, s->asked);
    return true;
  }
  cbor_put_nil(value);
  return answers_take(r, s);
}

/* ---- answers --------------------------------------------------------------------------------- */

static Str text_of(Str map, Str name) {
  CborReader r = cbor_reader(cbor_map_get(map, name));
  Str text = {0};
  Err e;
  return r.at < r.end && cbor_text(&r, &text, &e) ? text : (Str){0};
}

static void pair(Buf *out, const char *name, Str encoded) {
  cbor_put_text(out, str_of(name));
  buf_str(out, encoded);
}

static void pair_text(Buf *out, const char *name, Str text) {
  cbor_put_text(out, str_of(name));
  cbor_put_text(out, text);
}

static void usage_put(Buf *out, uint64_t input, uint64_t output) {
  cbor_put_text(out, STR("usage"));
  cbor_put_tag(out, CBOR_TAG_MAP);
  cbor_put_array(out, 12);
  cbor_put_text(out, STR("input")), cbor_put_uint(out, input);
  cbor_put_text(out, STR("cached")), cbor_put_uint(out, 0);
  cbor_put_text(out, STR("cache_write")), cbor_put_uint(out, 0);
  cbor_put_text(out, STR("output")), cbor_put_uint(out, output);
  cbor_put_text(out, STR("reasoning")), cbor_put_uint(out, 0);
  cbor_put_text(out, STR("exact")), cbor_put_bool(out, true);
}

/* [{name, arguments}] as [{id, name, arguments}]; ids say which answer and which of its calls. */
static void calls_put(Str list, uint64_t answer, Buf *out) {
  CborReader r = cbor_reader(list);
  uint64_t count = 0;
  Str call;
  Err e;
  if (list.size == 0 || !cbor_array(&r, &count, &e)) count = 0;
  cbor_put_array(out, count);
  for (uint64_t i = 0; i < count && cbor_skip(&r, &call, &e); i++) {
    char id[48];
    int size = snprintf(id, sizeof id, "call_%" PRIu64 "_%" PRIu64, answer, i + 1);
    cbor_put_tag(out, CBOR_TAG_MAP);
    cbor_put_array(out, 6);
    pair_text(out, "id", (Str){id, (size_t)size});
    pair_text(out, "name", text_of(call, STR("name")));
    pair(out, "arguments", cbor_map_get(call, STR("arguments")));
  }
}

static void reply_put(Str text, Str calls, uint64_t answer, Str call, Buf *value) {
  static const Str nil = {"\xf6", 1};
  cbor_put_tag(value, CBOR_TAG_MAP);
  cbor_put_array(value, 18);
  pair_text(value, "text", text);
  cbor_put_text(value, STR("calls"));
  calls_put(calls, answer, value);
  pair_text(value, "stop", calls.size > 0 ? STR("calls") : STR("end"));
  pair(value, "refusal", nil);
  pair(value, "raw", nil);
  pair_text(value, "model", STR("stub"));
  pair(value, "id", nil);
  pair(value, "request_id", nil);
  usage_put(value, model_estimate(call), estimate_text(text) + (calls.size > 0 ? estimate_value(calls) : 0));
}

static void error_put(Str code, bool wait, bool unknown, Buf *value) {
  Buf data = {0};
  cbor_put_tag(&data, CBOR_TAG_MAP);
  cbor_put_array(&data, 6);
  pair_text(&data, "class", unknown ? STR("unknown") : wait ? STR("wait") : STR("never"));
  cbor_put_text(&data, STR("wait_us")), cbor_put_uint(&data, 0);
  cbor_put_text(&data, STR("sent")), cbor_put_bool(&data, unknown);
  error_encode_data(value, code, unknown ? STR("the test lost the reply") : STR("the test says so"), buf_view(&data));
  buf_deinit(&data);
}

static bool is_wait(Str code) {
  return str_equal(code, STR("model_rate_limited")) || str_equal(code, STR("model_overloaded")) ||
         str_equal(code, STR("model_server"));
}

static void value_reply(Str answer, uint64_t number, Str call, Buf *value) {
  Buf json = {0};
  Err e;
  if (!cbor_to_json(cbor_map_get(answer, STR("value")), &json, &e)) buf_text(&json, e.text);
  reply_put(buf_view(&json), (Str){0}, number, call, value);
  buf_deinit(&json);
}

const char *testing_model(Testing *t, Str model, Str key, Str call, Buf *value) {
  Script *s = script_of(testing_world(t), model);
  uint64_t number;
  Str answer = answer_to(s, key, &number), kind = text_of(answer, STR("kind")), code = text_of(answer, STR("code"));
  if (str_equal(kind, STR("lost"))) {
    error_put(STR("model_network"), false, true, value);
    return "unknown";
  }
  if (str_equal(kind, STR("raise"))) {
    error_put(code, is_wait(code), false, value);
    return "error";
  }
  if (str_equal(kind, STR("value"))) value_reply(answer, number, call, value);
  else reply_put(text_of(answer, STR("text")), cbor_map_get(answer, STR("calls")), number, call, value);
  return "ok";
}

bool testing_model_stubbed(const Testing *t, Str model) {
  const Script *s = table_get(testing_world(t)->models, model);
  return s != NULL && s->count > 0;
}

/* ---- people ------------------------------------------------------------------------------------ */

static Str verdict_of(Str answer) {
  Str verdict = text_of(answer, STR("verdict"));
  if (str_equal(verdict, STR("approve"))) return STR("approved");
  if (str_equal(verdict, STR("deny"))) return STR("denied");
  return str_equal(verdict, STR("edit")) ? STR("edited") : verdict;
}

bool testing_approve(Testing *t, const Program *program, uint64_t run, const Request *r, Str arguments, Buf *value) {
  Script *s = testing_world(t)->people;
  char own[48];
  Buf edited = {0};
  Err err;
  if (s == NULL) return false;
  int size = snprintf(own, sizeof own, "%" PRIu64 "#%" PRIu64, run, r->seq);
  uint64_t number;
  Str key = r->key.size > 0 ? r->key : (Str){own, (size_t)size};
  Str answer = answer_to(s, key, &number), why = text_of(answer, STR("why"));
  Str changes = cbor_map_get(answer, STR("arguments")), verdict = verdict_of(answer);
  if (str_equal(text_of(answer, STR("kind")), STR("timeout"))) {
    cbor_put_nil(value);
    return true;
  }
  if (str_equal(verdict, STR("edited")) && !approval_edited(program, arguments, changes, &edited, &err)) {
    verdict = STR("denied");
    why = str_of(err.text);
  }
  approval_answer(verdict, edited.size > 0 ? buf_view(&edited) : arguments, STR("test"), why, value);
  buf_deinit(&edited);
  return true;
}
