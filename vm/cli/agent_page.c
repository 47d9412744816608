/* The page of a run of an ai_agent. */
#include "vm/cli/agent_page.h"

#include "vm/base/cbor.h"
#include "vm/base/hash.h"
#include "vm/base/text.h"
#include "vm/cli/provenance.h"
#include "vm/cli/step_text.h"
#include "vm/runtime/error_value.h"

const BundleAiAgent *agent_of(const Story *story) {
  const Bundle *b = story->bundle;
  for (uint32_t i = 0; b != NULL && i < b->ai_agent_count; i++) {
    const BundleAiAgent *agent = &b->ai_agents[i];
    if (str_equal(bundle_text(b, b->workflows[agent->workflow].name), story->row->entry)) return agent;
  }
  return NULL;
}

/* ---- how it began ---------------------------------------------------------------- */

static bool parent_put(const Story *story, Buf *out) {
  RunRow row;
  Buf keep = {0};
  Err ignored;
  char id[37];
  Store *store = node_store(story->cli->node);
  bool found = story->has_parent && store_run_get(store, story->row->parent, &row, &keep, &ignored);
  if (found) {
    uuid_text(row.id, id);
    buf_format(out, "run %s#%" PRIu64 ", " STR_FMT, id, story->parent_seq,
               STR_ARG(row.entry.size > 0 ? row.entry : STR("a script")));
  }
  buf_deinit(&keep);
  return found;
}

/* A command, an event or a job: what bears the id that the run names as its cause. */
static bool cause_put(const Story *story, Buf *out) {
  static const char *const words[] = {"run", "command", "event", "job"};
  static const Uuid none;
  Provenance *p = NULL;
  Err ignored;
  char id[37];
  if (memcmp(&story->cause, &none, sizeof none) == 0) return false;
  uuid_text(story->cause, id);
  if (!provenance_load(node_store(story->cli->node), str_of(id), &p, &ignored)) return false;
  const ProvenanceNode *n = provenance_node(p, provenance_start(p));
  buf_format(out, "%s " STR_FMT " %s", words[n->kind], STR_ARG(n->name), id);
  if (n->where.size > 0 && n->kind != NODE_RUN) buf_format(out, " of " STR_FMT, STR_ARG(n->where));
  provenance_free(p);
  return true;
}

void trigger_put(const Story *story, Buf *out) {
  static const Uuid none;
  if (parent_put(story, out) || cause_put(story, out)) return;
  bool outside = !story->has_parent && memcmp(&story->cause, &none, sizeof none) == 0;
  buf_text(out, outside ? "a person (`z8 ask`)" : "nothing that is on record here");
}

void agent_arguments(const Story *story, const BundleAiAgent *agent, void (*each)(void *context, Str name, Str value),
                     void *context) {
  const Bundle *b = story->bundle;
  const BundleFn *fn = &b->fns[b->workflows[agent->workflow].fn];
  StoryItems items = story_items(buf_view(&story->arguments));
  Str value;
  for (uint32_t i = 0; i < fn->params.count && story_next(&items, &value); i++) {
    if (!argument_left_out(value)) each(context, bundle_text(b, b->fields[fn->params.first + i].name), value);
  }
}

static void argument_put(void *context, Str name, Str value) {
  Buf *out = context, text = {0}, label = {0};
  buf_format(&label, STR_FMT, STR_ARG(name));
  buf_byte(&label, 0);
  story_print(value, &text);
  labelled_put(out, 2, label.at, buf_view(&text), TEXT_SHOWN);
  buf_deinit(&label);
  buf_deinit(&text);
}

static void line_put(Buf *out, const char *name, Str value) {
  if (value.size > 0) buf_format(out, "%-10s " STR_FMT "\n", name, STR_ARG(value));
}

static void declared_put(const Story *story, const BundleAiAgent *agent, Buf *out) {
  const Bundle *b = story->bundle;
  buf_format(out, "%-10s " STR_FMT ": model " STR_FMT ", strategy " STR_FMT ", %u iterations at most\n", "agent",
             STR_ARG(bundle_text(b, agent->name)), STR_ARG(bundle_text(b, agent->model)),
             STR_ARG(agent->strategy == NONE_INDEX ? STR("react") : bundle_text(b, agent->strategy)),
             agent->max_iterations);
  if (agent->tools.count == 0) return;
  buf_format(out, "%-10s ", "tools");
  for (uint32_t i = 0; i < agent->tools.count; i++)
    buf_format(out, "%s" STR_FMT, i > 0 ? ", " : "", STR_ARG(bundle_text(b, b->indexes[agent->tools.first + i])));
  buf_byte(out, '\n');
}

static void head_put(const Story *story, const BundleAiAgent *agent, Buf *out) {
  char id[37], bundle[65];
  const RunRow *row = story->row;
  Buf text = {0};
  uuid_text(row->id, id);
  hash256_text(row->bundle, bundle);
  line_put(out, "run", str_of(id));
  declared_put(story, agent, out);
  line_put(out, "status", str_of(run_status_word(row->status)));
  line_put(out, "note", row->note);
  trigger_put(story, &text);
  line_put(out, "asked by", buf_view(&text));
  buf_clear(&text);
  time_print(row->started_us, &text);
  line_put(out, "started", buf_view(&text));
  buf_clear(&text);
  if (row->ended_us != 0) time_print(row->ended_us, &text);
  line_put(out, "ended", buf_view(&text));
  line_put(out, "bundle", str_of(bundle));
  buf_deinit(&text);
}

/* ---- what it knew ---------------------------------------------------------------- */

static const Step *first_call(const Story *story) {
  for (uint32_t i = 0; i < story->count; i++)
    if (story->steps[i].model != NULL) return &story->steps[i];
  return NULL;
}

static void turn_put(Str turn, Buf *out) {
  static const char *const keys[] = {"question", "answer"};
  for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
    Buf text = {0};
    Str value = cbor_map_get(turn, str_of(keys[i]));
    if (value.size > 0) story_print(value, &text);
    labelled_put(out, 2, i == 0 ? "earlier" : "  answer", buf_view(&text), VALUE_SHOWN);
    buf_deinit(&text);
  }
}

/* False: no conversation was remembered. */
static bool memory_put(const Story *story, Buf *out) {
  bool any = false;
  Str turn;
  for (uint32_t i = 0; i < story->count; i++) {
    if (story->steps[i].effect != EFFECT_RECALL) continue;
    StoryItems turns = story_items(buf_view(&story->steps[i].answer));
    for (; story_next(&turns, &turn); any = true) turn_put(turn, out);
  }
  return any;
}

typedef struct Given {
  Str text;
  bool found;
} Given;

static void given_compare(void *context, Str name, Str value) {
  Given *given = context;
  CborReader r = cbor_reader(value);
  Str text;
  Err ignored;
  (void)name;
  if (cbor_text(&r, &text, &ignored) && str_equal(text, given->text)) given->found = true;
}

/* The messages of its first call, but for those that the page has shown: what is remembered, and an argument alone. */
static void asked_put(const Story *story, const BundleAiAgent *agent, Str list, bool remembered, Buf *out) {
  StoryItems items = story_items(list);
  Str message;
  while (story_next(&items, &message)) {
    Given given = {.text = story_field(message, "content")};
    agent_arguments(story, agent, given_compare, &given);
    if ((remembered && items.left > 0) || given.found || given.text.size == 0) continue;
    labelled_put(out, 2, "asked", given.text, TEXT_SHOWN);
  }
}

/* Who is behind the model's name. */
static void model_put(const ModelStep *m, Buf *out) {
  Buf text = {0};
  if (str_equal(buf_view(&m->provider), STR("offline")))
    buf_text(&text, "offline: no model, its answers are written down");
  else buf_format(&text, STR_FMT " " STR_FMT, STR_ARG(buf_view(&m->provider)), STR_ARG(buf_view(&m->name)));
  labelled_put(out, 2, "model", buf_view(&text), VALUE_SHOWN);
  buf_deinit(&text);
}

static void facts_put(const Story *story, const BundleAiAgent *agent, Buf *out) {
  const Step *first = first_call(story);
  buf_text(out, "\nwhat it was given\n");
  agent_arguments(story, agent, argument_put, out);
  bool remembered = memory_put(story, out);
  if (first == NULL) return;
  const ModelStep *m = first->model;
  model_put(m, out);
  if (m->system.size > 0) labelled_put(out, 2, "system", buf_view(&m->system), TEXT_SHOWN);
  asked_put(story, agent, buf_view(&m->news), remembered, out);
}

/* ---- how it ended ---------------------------------------------------------------- */

/* With `details: true` the result is {answer, complete, reason, usage, usd, calls, strategy, repaired}. */
static bool with_details(Str result) {
  static const char *const keys[] = {"answer", "complete", "usage", "usd", "calls", "strategy"};
  for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
    if (cbor_map_get(result, str_of(keys[i])).at == NULL) return false;
  return true;
}

static bool note_is(const Step *s, const char *kind, Str *text) {
  StoryItems items = story_items(buf_view(&s->asked));
  Str item, word;
  Err ignored;
  if (s->effect != EFFECT_NOTE || !story_next(&items, &item)) return false;
  CborReader r = cbor_reader(item);
  if (!cbor_text(&r, &word, &ignored) || !str_equal(word, str_of(kind)) || !story_next(&items, &item)) return false;
  r = cbor_reader(item);
  return cbor_text(&r, text, &ignored);
}

AgentEnd agent_end(const Story *story) {
  AgentEnd end = {.over = run_status_over(story->row->status)};
  Str result = buf_view(&story->ended);
  ErrorParts parts;
  end.complete = story->row->status == RUN_STATUS_DONE;
  if (end.over && !end.complete) {
    if (result.size > 0 && error_decode(result, &parts)) end.reason = parts.code;
    return end;
  }
  end.answer = result;
  for (uint32_t i = 0; i < story->count; i++)
    if (note_is(&story->steps[i], "incomplete", &end.reason)) end.complete = false;
  if (result.size > 0 && with_details(result)) {
    end.answer = cbor_map_get(result, STR("answer"));
    end.complete = story_flag(result, "complete");
    end.reason = story_field(result, "reason");
  }
  return end;
}

bool seal_read(const Story *story, char state[65], char chain[65]) {
  LogRow row;
  Buf keep = {0};
  Err ignored;
  hash256_text(story->state, state);
  bool ok = store_log_last(node_store(story->cli->node), story->row->number, &row, &keep, &ignored);
  if (ok) hash256_text(row.head, chain);
  buf_deinit(&keep);
  return ok;
}

static void answer_put(const Story *story, Buf *out) {
  AgentEnd end = agent_end(story);
  Buf text = {0};
  if (!end.over) return;
  buf_byte(out, '\n');
  if (end.answer.size > 0) {
    story_print(end.answer, &text);
    labelled_put(out, 0, "answer", buf_view(&text), 10 * TEXT_SHOWN);
  } else if (story->result.size > 0) {
    labelled_put(out, 0, "error", buf_view(&story->result), TEXT_SHOWN);
  }
  buf_clear(&text);
  buf_text(&text, end.complete ? "yes" : "no");
  if (!end.complete && end.reason.size > 0) buf_format(&text, ": " STR_FMT, STR_ARG(end.reason));
  labelled_put(out, 0, "complete", buf_view(&text), TEXT_SHOWN);
  buf_deinit(&text);
}

static bool asked_others(const Story *story) {
  for (uint32_t i = 0; i < story->count; i++)
    if (story->steps[i].has_child) return true;
  return false;
}

static void totals_put(const Story *story, Buf *out) {
  ModelTotals t = story_totals(story);
  const RunRow *row = story->row;
  Buf text = {0};
  calls_put(&text, &t);
  buf_text(&text, ", ");
  t.usage.exact = true;
  usage_put(&text, &t.usage, t.priced, t.nanodollars);
  if (asked_others(story)) buf_text(&text, " (without those of the runs it started)");
  if (row->ended_us > row->started_us) {
    buf_text(&text, ", ");
    duration_print(whole_ms(row->ended_us - row->started_us), &text);
  }
  unsummed_put(&text, &t);
  labelled_put(out, 0, "totals", buf_view(&text), VALUE_SHOWN);
  buf_deinit(&text);
}

static void seal_put(const Story *story, Buf *out) {
  char state[65], chain[65];
  if (!story->sealed || !seal_read(story, state, chain)) return;
  buf_format(out, "%-10s state %s\n%-10s chain %s\n", "seal", state, "", chain);
}

/* ---- the page -------------------------------------------------------------------- */

/* What the page says elsewhere: the budget that every agent has, what it remembered, and keeps. */
static bool said_elsewhere(const Step *s) {
  if (s->effect == EFFECT_BUDGET) return str_equal(buf_view(&s->operands), STR("[{}]"));
  return s->effect == EFFECT_RECALL || s->effect == EFFECT_REMEMBER;
}

static void waits_put(const Buf *waits, Buf *out) {
  if (waits->size == 0) return;
  buf_text(out, "\nwaits for\n");
  for (Str rest = buf_view(waits); rest.size > 0;) {
    const char *end = memchr(rest.at, '\n', rest.size);
    size_t size = end != NULL ? (size_t)(end - rest.at) : rest.size;
    buf_format(out, "  %.*s\n", (int)size, rest.at);
    size_t step = end != NULL ? size + 1 : size;
    rest = (Str){rest.at + step, rest.size - step};
  }
}

void agent_page(const Story *story, const BundleAiAgent *agent, const Buf *waits, Buf *out) {
  const Step *first = first_call(story);
  head_put(story, agent, out);
  facts_put(story, agent, out);
  buf_text(out, "\nwhat it did\n");
  for (uint32_t i = 0; i < story->count; i++)
    if (!said_elsewhere(&story->steps[i]))
      step_text(story, &story->steps[i], story->row->started_us, &story->steps[i] == first, out);
  waits_put(waits, out);
  answer_put(story, out);
  totals_put(story, out);
  seal_put(story, out);
}
