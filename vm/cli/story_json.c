/* A run as one JSON document. */
#include "vm/cli/story_json.h"

#include "vm/base/cbor.h"
#include "vm/base/hash.h"
#include "vm/base/json.h"
#include "vm/cli/agent_page.h"
#include "vm/runtime/error_value.h"

/* ---- pieces ---------------------------------------------------------------------- */

static void json_raw(Buf *out, const char *name, const Buf *json) {
  json_name(out, name);
  buf_str(out, json->size > 0 ? buf_view(json) : STR("null"));
}

/* null for an empty one. */
static void json_maybe(Buf *out, const char *name, Str text) {
  if (text.size > 0) {
    json_text(out, name, text);
    return;
  }
  json_name(out, name);
  buf_text(out, "null");
}

static void json_encoded(Buf *out, const char *name, Str value) {
  if (value.size > 0) json_value(out, name, value);
  else json_maybe(out, name, (Str){0});
}

static void json_flag(Buf *out, const char *name, bool flag) {
  json_name(out, name);
  buf_text(out, flag ? "true" : "false");
}

static void json_dollars(Buf *out, const char *name, bool known, int64_t nanodollars) {
  json_name(out, name);
  if (known) dollars_print(nanodollars, out);
  else buf_text(out, "null");
}

static void json_uuid(Buf *out, const char *name, bool known, Uuid id) {
  char text[37];
  uuid_text(id, text);
  json_maybe(out, name, known ? str_of(text) : (Str){0});
}

static void usage_json(Buf *out, const Usage *u) {
  json_number(out, "input", (uint64_t)u->input);
  json_number(out, "cached", (uint64_t)u->cached);
  json_number(out, "cache_write", (uint64_t)u->cache_write);
  json_number(out, "output", (uint64_t)u->output);
}

static void waits_json(const Buf *waits, Buf *out) {
  json_name(out, "waits");
  buf_byte(out, '[');
  for (Str rest = buf_view(waits); rest.size > 0;) {
    const char *end = memchr(rest.at, '\n', rest.size);
    size_t size = end != NULL ? (size_t)(end - rest.at) : rest.size;
    if (out->at[out->size - 1] != '[') buf_byte(out, ',');
    json_put_string(out, (Str){rest.at, size});
    size_t step = end != NULL ? size + 1 : size;
    rest = (Str){rest.at + step, rest.size - step};
  }
  buf_byte(out, ']');
}

/* ---- steps by kind --------------------------------------------------------------- */

static const char *kind_word(const Step *s) {
  if (s->kind == STEP_SIGNAL) return "signal";
  if (s->kind == STEP_MARK) return "event";
  switch (s->effect) {
    case EFFECT_MODEL: return "model";
    case EFFECT_NOTE: return "note";
    case EFFECT_APPROVE: return "approval";
    case EFFECT_TOOL: return "tool";
    case EFFECT_SLEEP: return "wait";
    case EFFECT_RUN_CALL:
    case EFFECT_RUN_START: return "run";
    case EFFECT_BUDGET: return "budget";
    case EFFECT_RECALL:
    case EFFECT_REMEMBER: return "memory";
    default: return "effect";
  }
}

static void model_error_json(const ModelStep *m, Buf *out) {
  ErrorParts parts;
  json_name(out, "error");
  if (!m->failed || !error_decode(buf_view(&m->reply), &parts)) {
    buf_text(out, "null");
    return;
  }
  buf_byte(out, '{');
  json_text(out, "code", parts.code);
  json_text(out, "message", parts.message);
  json_maybe(out, "class", parts.data.size > 0 ? story_field(parts.data, "class") : (Str){0});
  buf_byte(out, '}');
}

static void model_json(const Step *s, Buf *out) {
  const ModelStep *m = s->model;
  Str reply = m->failed ? (Str){0} : buf_view(&m->reply);
  json_maybe(out, "model", s->target.size > 0 ? buf_view(&s->target) : buf_view(&m->name));
  json_maybe(out, "provider", buf_view(&m->provider));
  json_maybe(out, "name", buf_view(&m->name));
  json_maybe(out, "purpose", buf_view(&m->purpose));
  json_maybe(out, "system", buf_view(&m->system));
  json_raw(out, "tools", &m->tools);
  json_encoded(out, "new", buf_view(&m->news));
  json_maybe(out, "text", story_field(reply, "text"));
  json_encoded(out, "calls", reply.size > 0 ? cbor_map_get(reply, STR("calls")) : (Str){0});
  json_maybe(out, "stop", story_field(reply, "stop"));
  json_maybe(out, "refusal", story_field(reply, "refusal"));
  model_error_json(m, out);
  json_name(out, "usage");
  buf_text(out, m->used ? "{" : "null");
  if (m->used) {
    usage_json(out, &m->usage);
    json_flag(out, "exact", m->usage.exact);
    buf_byte(out, '}');
  }
  json_dollars(out, "usd", m->price.known && m->used && !m->lost, m->nanodollars);
  json_name(out, "took_us");
  if (s->answered >= s->at && s->answered != 0) buf_format(out, "%" PRId64, s->answered - s->at);
  else buf_text(out, "null");
}

static Str operand(const Step *s, uint64_t n) { return story_item(buf_view(&s->asked), n); }

static void note_json(const Step *s, Buf *out) {
  Buf text = {0};
  static const char *const names[] = {"about", "text"};
  for (uint32_t i = 0; i < 2; i++) {
    buf_clear(&text);
    if (operand(s, i).size > 0) story_print(operand(s, i), &text);
    json_maybe(out, names[i], buf_view(&text));
  }
  json_encoded(out, "data", operand(s, 2));
  buf_deinit(&text);
}

static void approval_json(const Story *story, const Step *s, Buf *out) {
  Str answer = buf_view(&s->answer);
  Buf question = {0};
  const char *undecided = approval_undecided(story, s);
  if (operand(s, 0).size > 0) story_print(operand(s, 0), &question);
  json_maybe(out, "question", buf_view(&question));
  json_encoded(out, "within", operand(s, 1));
  json_encoded(out, "arguments", operand(s, 2));
  json_maybe(out, "verdict", story_field(answer, "verdict"));
  json_maybe(out, "by", story_field(answer, "by"));
  json_maybe(out, "why", story_field(answer, "why"));
  json_maybe(out, "undecided", undecided != NULL ? str_of(undecided) : (Str){0});
  json_encoded(out, "decided", answer.size > 0 ? cbor_map_get(answer, STR("arguments")) : (Str){0});
  buf_deinit(&question);
}

/* What every command has. */
static void command_json(const Story *story, const Step *s, Buf *out) {
  Buf place = {0};
  const EffectInfo *effect = s->kind == STEP_COMMAND ? effect_info(s->effect) : NULL;
  story_place(story, s->site, &place);
  json_text(out, "effect", str_of(effect != NULL ? effect->word : "signal received"));
  json_text(out, "target", buf_view(&s->target));
  json_text(out, "place", buf_view(&place));
  if (s->model == NULL) json_raw(out, "operands", &s->operands);
  json_raw(out, "because", &s->because);
  json_text(out, "outcome", buf_view(&s->outcome));
  if (s->model == NULL) json_raw(out, "value", &s->value);
  json_time(out, "at", s->at);
  json_time(out, "answered", s->answered);
  buf_deinit(&place);
}

static void step_json(const Story *story, const Step *s, Buf *out) {
  buf_byte(out, '{');
  json_number(out, "seq", s->seq);
  json_text(out, "kind", str_of(kind_word(s)));
  if (s->kind == STEP_MARK) {
    json_text(out, "note", buf_view(&s->mark));
    json_time(out, "at", s->at);
    buf_byte(out, '}');
    return;
  }
  command_json(story, s, out);
  if (s->attempts > 0) json_number(out, "attempts", s->attempts);
  if (s->has_child) json_uuid(out, "run", true, s->child);
  if (s->wanted_by != NOBODY) {
    json_number(out, "wanted_by", story->steps[s->wanted_by].seq);
    json_number(out, "call", s->wanted_at);
  }
  if (s->model != NULL) model_json(s, out);
  else if (s->effect == EFFECT_NOTE) note_json(s, out);
  else if (s->effect == EFFECT_APPROVE) approval_json(story, s, out);
  buf_byte(out, '}');
}

/* ---- the document ---------------------------------------------------------------- */

static void argument_json(void *context, Str name, Str value) {
  Buf *out = context, key = {0};
  buf_str(&key, name);
  buf_byte(&key, 0);
  json_encoded(out, key.at, value);
  buf_deinit(&key);
}

static void agent_json(const Story *story, const BundleAiAgent *agent, Buf *out) {
  const Bundle *b = story->bundle;
  AgentEnd end = agent_end(story);
  Buf trigger = {0};
  trigger_put(story, &trigger);
  json_text(out, "agent", bundle_text(b, agent->name));
  json_text(out, "model", bundle_text(b, agent->model));
  json_text(out, "strategy", agent->strategy == NONE_INDEX ? STR("react") : bundle_text(b, agent->strategy));
  json_number(out, "max_iterations", agent->max_iterations);
  json_text(out, "asked_by", buf_view(&trigger));
  json_name(out, "arguments");
  buf_byte(out, '{');
  agent_arguments(story, agent, argument_json, out);
  buf_byte(out, '}');
  json_encoded(out, "answer", end.answer);
  json_flag(out, "complete", end.complete);
  json_maybe(out, "reason", end.reason);
  buf_deinit(&trigger);
}

static void totals_json(const Story *story, Buf *out) {
  ModelTotals t = story_totals(story);
  const RunRow *row = story->row;
  if (t.calls + t.refused == 0) return;
  json_name(out, "totals");
  buf_byte(out, '{');
  json_number(out, "calls", t.calls);
  json_number(out, "failed", t.failed);
  json_number(out, "lost", t.lost);
  json_number(out, "dropped", t.dropped);
  json_number(out, "refused", t.refused);
  usage_json(out, &t.usage);
  json_dollars(out, "usd", t.priced, t.nanodollars);
  json_number(out, "took_us", row->ended_us > row->started_us ? (uint64_t)(row->ended_us - row->started_us) : 0);
  buf_byte(out, '}');
}

static void seal_json(const Story *story, Buf *out) {
  char state[65], chain[65];
  if (!story->sealed || !seal_read(story, state, chain)) return;
  json_name(out, "seal");
  buf_byte(out, '{');
  json_text(out, "state", str_of(state));
  json_text(out, "chain", str_of(chain));
  buf_byte(out, '}');
}

static void run_json(const Story *story, Buf *out) {
  char bundle[65];
  const RunRow *row = story->row;
  hash256_text(row->bundle, bundle);
  json_uuid(out, "run", true, row->id);
  json_text(out, "status", str_of(run_status_word(row->status)));
  json_text(out, "note", row->note);
  json_text(out, "workflow", row->entry);
  json_text(out, "bundle", str_of(bundle));
  json_time(out, "started", row->started_us);
  json_time(out, "ended", row->ended_us);
  json_text(out, "parent", buf_view(&story->parent));
  json_number(out, "generation", story->generation);
  json_raw(out, "input", &story->input);
  json_raw(out, "config", &story->config);
  json_raw(out, "result", &story->result);
}

void story_document(const Story *story, const Buf *waits, Buf *out) {
  const BundleAiAgent *agent = agent_of(story);
  buf_byte(out, '{');
  run_json(story, out);
  if (agent != NULL) agent_json(story, agent, out);
  waits_json(waits, out);
  json_name(out, "steps");
  buf_byte(out, '[');
  for (uint32_t i = 0; i < story->count; i++) {
    if (i > 0) buf_byte(out, ',');
    step_json(story, &story->steps[i], out);
  }
  buf_byte(out, ']');
  totals_json(story, out);
  seal_json(story, out);
  buf_text(out, "}\n");
}
