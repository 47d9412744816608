/* A run's journal as steps. */
#include "vm/cli/story.h"

#include "vm/base/cbor.h"
#include "vm/base/hash.h"
#include "vm/base/mem.h"
#include "vm/base/text.h"
#include "vm/run/conversation.h"
#include "vm/runtime/error_value.h"
#include "vm/runtime/offline.h"

/* ---- values ---------------------------------------------------------------------- */

void story_json(const Story *story, Str value, Buf *out) {
  Buf keep = {0};
  Str whole;
  Err ignored;
  size_t before = out->size;
  if (value.size == 0) return;
  if (!journal_value(node_store(story->cli->node), value, &keep, &whole, &ignored) ||
      !cbor_to_json(whole, out, &ignored)) {
    out->size = before;
    buf_text(out, "null");
  }
  buf_deinit(&keep);
}

static void whole_put(const Story *story, Str value, Buf *out) {
  Buf keep = {0};
  Str whole;
  Err ignored;
  if (value.size > 0 && journal_value(node_store(story->cli->node), value, &keep, &whole, &ignored))
    buf_str(out, whole);
  buf_deinit(&keep);
}

Str story_field(Str map, const char *key) {
  Str value = map.size > 0 ? cbor_map_get(map, str_of(key)) : (Str){0}, text;
  CborReader r = cbor_reader(value);
  Err ignored;
  return value.at != NULL && cbor_text(&r, &text, &ignored) ? text : (Str){0};
}

bool story_flag(Str map, const char *key) {
  return map.size > 0 && str_equal(cbor_map_get(map, str_of(key)), STR("\xf5"));
}

void story_print(Str value, Buf *out) {
  CborReader r = cbor_reader(value);
  Str text;
  Err ignored;
  size_t before = out->size;
  if (cbor_text(&r, &text, &ignored)) {
    buf_str(out, text);
  } else if (!cbor_to_json(value, out, &ignored)) {
    out->size = before;
    buf_text(out, "null");
  }
}

StoryItems story_items(Str list) {
  CborReader r = cbor_reader(list);
  uint64_t count;
  Err ignored;
  if (list.size == 0 || !cbor_array(&r, &count, &ignored)) return (StoryItems){0};
  return (StoryItems){r.at, r.end, count};
}

bool story_next(StoryItems *items, Str *item) {
  CborReader r = {items->at, items->end, items->at};
  Err ignored;
  if (items->left == 0 || !cbor_skip(&r, item, &ignored)) return false;
  items->at = r.at;
  items->left--;
  return true;
}

Str story_item(Str list, uint64_t n) {
  StoryItems items = story_items(list);
  Str item;
  for (uint64_t i = 0; story_next(&items, &item); i++)
    if (i == n) return item;
  return (Str){0};
}

/* ---- steps ----------------------------------------------------------------------- */

Step *story_find(Story *story, uint64_t seq) {
  uint32_t low = 0, high = story->count;
  while (low < high) {
    uint32_t middle = low + (high - low) / 2;
    if (story->steps[middle].seq < seq) low = middle + 1;
    else high = middle;
  }
  return low < story->count && story->steps[low].seq == seq ? &story->steps[low] : NULL;
}

static Step *step_new(Story *story, StepKind kind, uint64_t seq, int64_t at) {
  story->steps = mem_grow(story->steps, &story->cap, story->count + 1, sizeof *story->steps);
  Step *s = &story->steps[story->count++];
  *s = (Step){.kind = kind, .seq = seq, .at = at, .wanted_by = NOBODY};
  return s;
}

static bool of_models(uint64_t kind) { return kind >= EFFECT_MODEL && kind <= EFFECT_REMEMBER; }

static void command_add(Story *story, const Record *r) {
  Step *s = step_new(story, STEP_COMMAND, r->seq, r->ASKED.at);
  s->effect = (uint8_t)r->ASKED.kind;
  s->site = r->ASKED.site;
  buf_str(&s->target, r->ASKED.target);
  story_json(story, r->ASKED.because, &s->because);
  if (of_models(s->effect) || s->effect == EFFECT_TOOL || s->effect == EFFECT_RUN_CALL)
    whole_put(story, r->ASKED.operands, &s->asked);
  if (s->effect == EFFECT_MODEL) story_model_asked(story, s, buf_view(&s->asked));
  else story_json(story, r->ASKED.operands, &s->operands);
}

static void signal_add(Story *story, const Record *r) {
  Step *s = step_new(story, STEP_SIGNAL, r->seq, r->SIGNALLED.at);
  buf_str(&s->target, r->SIGNALLED.name);
  story_json(story, r->SIGNALLED.value, &s->operands);
  story->signals++;
}

static void step_outcome(Story *story, uint64_t ref, Str outcome, Str value, int64_t at) {
  Step *s = story_find(story, ref);
  if (s == NULL) return;
  buf_clear(&s->outcome);
  buf_clear(&s->value);
  buf_clear(&s->answer);
  buf_str(&s->outcome, outcome);
  s->answered = at;
  if (of_models(s->effect)) whole_put(story, value, &s->answer);
  if (s->model == NULL) {
    story_json(story, value, &s->value);
    return;
  }
  story_model_answered(s, outcome, buf_view(&s->answer));
  conversation_answered(story->conversation, ref, outcome, buf_view(&s->answer));
}

/* ---- what befell it -------------------------------------------------------------- */

static Buf *mark_add(Story *story, const Record *r, int64_t at) {
  story->marks++;
  return &step_new(story, STEP_MARK, r->seq, at)->mark;
}

static void error_say(Str error, Buf *out) {
  ErrorParts parts;
  if (!error_decode(error, &parts)) return;
  buf_format(out, ": " STR_FMT, STR_ARG(parts.code));
  if (parts.message.size > 0) buf_format(out, " (" STR_FMT ")", STR_ARG(parts.message));
}

static void retried_add(Story *story, const Record *r) {
  Buf *mark = mark_add(story, r, r->RETRIED.at);
  buf_format(mark, "attempt %" PRIu64 " " STR_FMT, r->RETRIED.attempt, STR_ARG(r->RETRIED.why));
  error_say(r->RETRIED.error, mark);
  buf_text(mark, "; the next one after ");
  duration_print((int64_t)r->RETRIED.wait_us, mark);
}

static void exhausted_add(Story *story, const Record *r) {
  Buf *mark = mark_add(story, r, r->EXHAUSTED.at);
  buf_format(mark, "attempt %" PRIu64 " was the last one", r->EXHAUSTED.attempt);
  error_say(r->EXHAUSTED.error, mark);
}

static void recalled_add(Story *story, const Record *r) {
  const EffectInfo *effect = effect_info(r->RECALLED.kind);
  Buf *mark = mark_add(story, r, 0);
  buf_format(mark, "%s: as confirmed in #%" PRIu64 ", not done again", effect ? effect->word : "an effect",
             r->RECALLED.ref);
}

/* ---- records --------------------------------------------------------------------- */

/* A NOTE of 16 bytes. */
static bool note_id(Str note, Uuid *id) {
  CborReader r = cbor_reader(note);
  Str bytes;
  Err ignored;
  if (note.size == 0 || !cbor_bytes(&r, &bytes, &ignored) || bytes.size != sizeof id->byte) return false;
  memcpy(id->byte, bytes.at, sizeof id->byte);
  return true;
}

static void parent_take(Story *story, Str parent) {
  CborReader r = cbor_reader(parent);
  uint64_t count;
  Str bytes;
  Err ignored;
  char id[37];
  story->has_parent = parent.size > 0 && cbor_array(&r, &count, &ignored) && cbor_bytes(&r, &bytes, &ignored) &&
                      bytes.size == 16 && cbor_uint(&r, &story->parent_seq, &ignored);
  if (!story->has_parent) return;
  memcpy(story->parent_id.byte, bytes.at, 16);
  uuid_text(story->parent_id, id);
  buf_clear(&story->parent);
  buf_format(&story->parent, "%s#%" PRIu64, id, story->parent_seq);
}

static void head_take(Story *story, const Record_HEAD *h) {
  Buf *again[] = {&story->input, &story->config, &story->arguments};
  for (size_t i = 0; i < sizeof again / sizeof *again; i++) buf_clear(again[i]);
  story->generation = h->generation;
  story_json(story, h->input, &story->input);
  story_json(story, h->config, &story->config);
  whole_put(story, h->input, &story->arguments);
  if (!note_id(h->causation, &story->cause)) story->cause = (Uuid){0};
  parent_take(story, h->parent);
}

static void ended_take(Story *story, const Record_ENDED *e) {
  buf_clear(&story->result);
  buf_clear(&story->ended);
  story_json(story, e->result, &story->result);
  whole_put(story, e->result, &story->ended);
  story->state = e->state;
  story->sealed = true;
}

static bool story_record(void *context, const Record *r) {
  Story *story = context;
  Step *s;
  switch (r->kind) {
    case RECORD_HEAD:
      head_take(story, &r->HEAD);
      break;
    case RECORD_ASKED:
      command_add(story, r);
      break;
    case RECORD_TOOL_ATTEMPT:
      if ((s = story_find(story, r->TOOL_ATTEMPT.ref)) != NULL) s->attempts = (uint32_t)r->TOOL_ATTEMPT.attempt;
      break;
    case RECORD_TOOL_DONE:
      step_outcome(story, r->TOOL_DONE.ref, r->TOOL_DONE.outcome, r->TOOL_DONE.result, 0);
      break;
    case RECORD_TOOL_UNKNOWN:
      step_outcome(story, r->TOOL_UNKNOWN.ref, STR("unknown"), r->TOOL_UNKNOWN.error, 0);
      break;
    case RECORD_CANCELLED:
      step_outcome(story, r->CANCELLED.ref, STR("cancelled"), (Str){0}, 0);
      break;
    case RECORD_ANSWERED:
      step_outcome(story, r->ANSWERED.ref, r->ANSWERED.outcome, r->ANSWERED.value, r->ANSWERED.at);
      break;
    case RECORD_READ:
      story->reads++;
      break;
    case RECORD_SIGNALLED:
      signal_add(story, r);
      break;
    case RECORD_ENDED:
      ended_take(story, &r->ENDED);
      break;
    case RECORD_RETRIED:
      retried_add(story, r);
      break;
    case RECORD_EXHAUSTED:
      exhausted_add(story, r);
      break;
    case RECORD_RECALLED:
      recalled_add(story, r);
      break;
    case RECORD_REVIVED:
      buf_format(mark_add(story, r, r->REVIVED.at), "another attempt was asked for by " STR_FMT,
                 STR_ARG(r->REVIVED.by));
      break;
    case RECORD_STREAM: /* an agent's, not a run's */
    case RECORD_ACCEPTED:
    case RECORD_HAPPENED:
    case RECORD_PATCH:
    case RECORD_CANCEL_ASKED:
    case RECORD_RESOLVED:
    case RECORD_DISCARDED:
    case RECORD_KILLED:
    case RECORD_PARKED:
    case RECORD_CONTINUED:
      break;
  }
  return true;
}

/* ---- runs it started ------------------------------------------------------------- */

typedef struct Children {
  Story *story;
  Uuid child;
} Children;

static bool child_head(void *context, const Record *r) {
  const Children *children = context;
  Story head = {.cli = children->story->cli};
  if (r->kind == RECORD_HEAD) parent_take(&head, r->HEAD.parent);
  Step *s = head.has_parent ? story_find(children->story, head.parent_seq) : NULL;
  if (s != NULL) {
    s->has_child = true;
    s->child = children->child;
  }
  buf_deinit(&head.parent);
  return false;
}

static bool child_row(void *context, const RunRow *row) {
  Children *children = context;
  Err ignored;
  if (row->parent != children->story->row->number) return true;
  children->child = row->id;
  /* One that cannot be read is a finding of `z8 doctor`, not of this page. */
  if (!offline_records(node_store(children->story->cli->node), row->number, child_head, children, &ignored))
    return true;
  return true;
}

static bool starts_runs(const Story *story) {
  for (uint32_t i = 0; i < story->count; i++)
    if (story->steps[i].effect == EFFECT_RUN_CALL || story->steps[i].effect == EFFECT_RUN_START) return true;
  return false;
}

/* ---- the whole ------------------------------------------------------------------- */

bool story_load(Cli *cli, const RunRow *row, Story *out, Err *err) {
  const Program *program;
  *out = (Story){.cli = cli, .row = row, .conversation = conversation_new()};
  Children children = {.story = out};
  if (node_program(cli->node, row->bundle, &program, err)) out->bundle = program_bundle(program);
  Store *store = node_store(cli->node);
  if (!offline_records(store, row->number, story_record, out, err)) return false;
  if (starts_runs(out) && !store_run_each(store, row->number, 0, child_row, &children, err)) return false;
  story_match(out);
  return true;
}

static void model_free(ModelStep *m) {
  Buf *bufs[] = {&m->provider, &m->name, &m->agent, &m->purpose, &m->system, &m->tools, &m->news, &m->reply};
  for (size_t i = 0; i < sizeof bufs / sizeof *bufs; i++) buf_deinit(bufs[i]);
  mem_free(m);
}

static void step_deinit(Step *s) {
  Buf *bufs[] = {&s->target, &s->operands, &s->because, &s->outcome, &s->value, &s->asked, &s->answer, &s->mark};
  for (size_t i = 0; i < sizeof bufs / sizeof *bufs; i++) buf_deinit(bufs[i]);
  if (s->model != NULL) model_free(s->model);
}

void story_deinit(Story *story) {
  Buf *bufs[] = {&story->input,  &story->config,    &story->parent,
                 &story->result, &story->arguments, &story->ended};
  for (uint32_t i = 0; i < story->count; i++) step_deinit(&story->steps[i]);
  for (size_t i = 0; i < sizeof bufs / sizeof *bufs; i++) buf_deinit(bufs[i]);
  mem_free(story->steps);
  mem_free(story->seen);
  conversation_free(story->conversation);
}

void story_place(const Story *story, uint64_t id, Buf *out) {
  const Bundle *b = story->bundle;
  for (uint32_t i = 0; b != NULL && i < b->site_count; i++) {
    if (b->sites[i].id != id) continue;
    Str path = bundle_text(b, b->sources[b->fns[b->sites[i].fn].source].path);
    buf_format(out, STR_FMT ":%u", STR_ARG(path), b->sites[i].line);
    return;
  }
}

/* The end of its time is an answer, and it is nothing; what a race or a cancellation dropped has none. */
const char *approval_undecided(const Story *story, const Step *s) {
  if (s->outcome.size == 0) return run_status_over(story->row->status) ? "the run ended first" : NULL;
  if (story_field(buf_view(&s->answer), "verdict").size > 0) return NULL;
  return str_equal(buf_view(&s->outcome), STR("ok")) ? "the time was over" : "it was no longer wanted";
}

void story_waits(Story *story, Buf *out) {
  Cli *cli = story->cli;
  const RunRow *row = story->row;
  Run *live = cli->scheduler != NULL ? scheduler_find(cli->scheduler, row->number) : NULL;
  Replayed r;
  Err ignored;
  if (live != NULL) {
    scheduler_waiting(cli->scheduler, row->number, out);
    run_waits(live, out);
  } else if (!run_status_over(row->status) && offline_replay(cli->node, row, NULL, false, &r, &ignored)) {
    run_waits(r.run, out);
    run_free(r.run);
  }
}
