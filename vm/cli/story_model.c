/* Calls of models in a run's journal: what was new in each, what it cost, and what was done because of it. */
#include "vm/base/cbor.h"
#include "vm/base/hash.h"
#include "vm/base/json.h"
#include "vm/base/mem.h"
#include "vm/cli/story.h"
#include "vm/run/conversation.h"
#include "vm/runtime/error_value.h"

/* ---- asked ----------------------------------------------------------------------- */

/* False: it was seen before. */
static bool seen_add(Story *story, Str value) {
  Hash256 hash = sha256(value);
  for (uint32_t i = 0; i < story->seen_count; i++)
    if (memcmp(&story->seen[i], &hash, sizeof hash) == 0) return false;
  story->seen = mem_grow(story->seen, &story->seen_cap, story->seen_count + 1, sizeof *story->seen);
  story->seen[story->seen_count++] = hash;
  return true;
}

static void tools_take(Story *story, Str tools, Buf *out) {
  StoryItems items = story_items(tools);
  Str tool;
  if (items.left == 0 || !seen_add(story, tools)) return;
  buf_byte(out, '[');
  for (bool first = true; story_next(&items, &tool); first = false) {
    if (!first) buf_byte(out, ',');
    json_put_string(out, story_field(tool, "name"));
  }
  buf_byte(out, ']');
}

static void call_take(Story *story, ModelStep *m, Str call) {
  Str system = story_field(call, "system");
  buf_str(&m->provider, story_field(call, "provider"));
  buf_str(&m->name, story_field(call, "name"));
  buf_str(&m->agent, story_field(call, "agent"));
  buf_str(&m->purpose, story_field(call, "purpose"));
  if (system.size > 0 && seen_add(story, system)) buf_str(&m->system, system);
  tools_take(story, cbor_map_get(call, STR("tools")), &m->tools);
  m->price = price_read(cbor_map_get(call, STR("price")));
}

void story_model_asked(Story *story, Step *step, Str operands) {
  Buf call = {0};
  Err ignored;
  ModelStep *m = step->model = MEM_NEW(ModelStep);
  if (conversation_asked(story->conversation, step->seq, operands, &call, &ignored)) {
    Str messages = cbor_map_get(story_item(operands, 0), STR("messages"));
    call_take(story, m, buf_view(&call));
    if (messages.size > 0) buf_str(&m->news, cbor_map_get(messages, STR("new")));
  } else {
    m->broken = true;
  }
  buf_deinit(&call);
}

/* ---- answered -------------------------------------------------------------------- */

/* As the books have it (gate_send.c): not known to be answered or not, or broken off after it was sent. */
static bool is_lost(const ModelStep *m, Str outcome, Str data) {
  CborReader r = cbor_reader(cbor_map_get(data, STR("status")));
  int64_t status;
  Err ignored;
  if (m->used && m->usage.exact) return false;
  if (str_equal(outcome, STR("unknown"))) return true;
  bool refused = r.at < r.end && cbor_int(&r, &status, &ignored) && status >= 400;
  return story_flag(data, "sent") && !refused;
}

void story_model_answered(Step *step, Str outcome, Str value) {
  ModelStep *m = step->model;
  ErrorParts parts;
  buf_clear(&m->reply);
  buf_str(&m->reply, value);
  m->dropped = str_equal(outcome, STR("cancelled"));
  m->failed = !str_equal(outcome, STR("ok"));
  Str holder = value;
  if (m->failed && !error_decode(value, &parts)) return;
  if (m->failed) holder = parts.data;
  Str usage = holder.size > 0 ? cbor_map_get(holder, STR("usage")) : (Str){0};
  m->used = usage.size > 0 && usage_read(usage, &m->usage);
  m->refused = m->failed && str_equal(parts.code, STR("budget_exhausted"));
  m->lost = m->failed && holder.size > 0 && is_lost(m, outcome, holder);
  if (m->used && m->price.known && !m->lost) m->nanodollars = price_cost(&m->price, &m->usage);
}

static void usage_sum(ModelTotals *t, const ModelStep *m) {
  t->usage.input = amount_add(t->usage.input, m->usage.input);
  t->usage.cached = amount_add(t->usage.cached, m->usage.cached);
  t->usage.cache_write = amount_add(t->usage.cache_write, m->usage.cache_write);
  t->usage.output = amount_add(t->usage.output, m->usage.output);
  t->nanodollars = amount_add(t->nanodollars, m->nanodollars);
}

ModelTotals story_totals(const Story *story) {
  ModelTotals t = {0};
  for (uint32_t i = 0; i < story->count; i++) {
    const ModelStep *m = story->steps[i].model;
    if (m == NULL) continue;
    t.calls += !m->refused;
    t.failed += m->failed && !m->refused && !m->dropped;
    t.lost += m->lost;
    t.dropped += m->dropped;
    t.refused += m->refused;
    t.priced |= m->price.known;
    if (!m->lost) usage_sum(&t, m);
  }
  return t;
}

/* ---- matching -------------------------------------------------------------------- */

/* A call that was made, and one that a reply wanted: the same name, and each operand among the arguments. */
static bool same_arguments(const Step *s, Str call) {
  StoryItems operands = story_items(buf_view(&s->asked));
  Str arguments = cbor_map_get(call, STR("arguments")), operand, key, value;
  CborReader r;
  CborItem item;
  uint64_t count;
  Err ignored;
  if (arguments.size == 0) return operands.left == 0;
  while (story_next(&operands, &operand)) {
    bool found = str_equal(operand, STR("\xf6")); /* nil: it was not given */
    r = cbor_reader(arguments);
    if (!cbor_next(&r, &item, &ignored) || item.kind != CBOR_TAG || !cbor_array(&r, &count, &ignored)) return false;
    for (uint64_t i = 0; i + 1 < count && !found; i += 2) {
      if (!cbor_skip(&r, &key, &ignored) || !cbor_skip(&r, &value, &ignored)) return false;
      found = str_equal(value, operand);
    }
    if (!found) return false;
  }
  return true;
}

static bool taken(const Story *story, uint32_t by, uint32_t at, uint32_t until) {
  for (uint32_t i = by + 1; i < until; i++) {
    const Step *s = &story->steps[i];
    if (s->wanted_by == by && s->wanted_at == at && s->effect != EFFECT_APPROVE) return true;
  }
  return false;
}

static bool wanted_find(const Story *story, uint32_t by, uint32_t at, bool strict, uint32_t *which) {
  StoryItems calls = story_items(cbor_map_get(buf_view(&story->steps[by].model->reply), STR("calls")));
  const Step *s = &story->steps[at];
  Str call;
  for (*which = 0; story_next(&calls, &call); ++*which) {
    if (!str_equal(story_field(call, "name"), buf_view(&s->target))) continue;
    if (strict && !same_arguments(s, call)) continue;
    if (!taken(story, by, *which, at)) return true;
  }
  return false;
}

enum { REPLIES_SEARCHED = 64 };

static void step_match(Story *story, uint32_t at) {
  Step *s = &story->steps[at];
  for (int strict = 1; strict >= 0; strict--) {
    uint32_t searched = 0;
    for (uint32_t by = at; by-- > 0 && searched < REPLIES_SEARCHED;) {
      const ModelStep *m = story->steps[by].model;
      if (m == NULL || m->failed || m->reply.size == 0) continue;
      searched++;
      if (!wanted_find(story, by, at, strict == 1, &s->wanted_at)) continue;
      s->wanted_by = by;
      return;
    }
  }
}

void story_match(Story *story) {
  bool models = false;
  for (uint32_t i = 0; i < story->count; i++) {
    const Step *s = &story->steps[i];
    models |= s->model != NULL;
    if (models && (s->effect == EFFECT_TOOL || s->effect == EFFECT_RUN_CALL || s->effect == EFFECT_APPROVE))
      step_match(story, i);
  }
}
