/* z8 inspect: one run as a readable record: what it is, what it did and where in the source,
** why, what it waits for, how it ended. */
#include "vm/base/hash.h"
#include "vm/base/text.h"
#include "vm/cli/agent_page.h"
#include "vm/cli/run_page.h"
#include "vm/cli/step_text.h"
#include "vm/cli/story_json.h"
#include "vm/cli/stream_page.h"

/* ---- the page of a run that is no ai_agent's ----------------------------------- */

static void line_put(Buf *out, const char *name, Str value) {
  if (value.size > 0) buf_format(out, "%-10s " STR_FMT "\n", name, STR_ARG(value));
}

static void short_put(Buf *out, const Buf *text, size_t most) {
  size_t size = text->size;
  if (size > most) {
    size = most;
    while (size > 0 && ((unsigned char)text->at[size] & 0xc0) == 0x80) size--;
  }
  buf_put(out, text->at, size);
  if (size < text->size) buf_text(out, "…");
}

static void command_text(const Story *story, const Step *s, Buf *out) {
  Buf place = {0};
  const EffectInfo *effect = s->kind == STEP_COMMAND ? effect_info(s->effect) : NULL;
  story_place(story, s->site, &place);
  buf_format(out, "%6s%-5" PRIu64 " %-16.*s %s", "#", s->seq, STR_ARG(buf_view(&place)),
             effect != NULL ? effect->word : "signal received");
  if (s->target.size > 0) buf_format(out, " " STR_FMT, STR_ARG(buf_view(&s->target)));
  buf_byte(out, ' ');
  short_put(out, &s->operands, 120);
  if (s->outcome.size > 0) {
    buf_format(out, " -> " STR_FMT " ", STR_ARG(buf_view(&s->outcome)));
    short_put(out, &s->value, 120);
  } else if (effect != NULL && effect->how == HOW_ASK && s->effect != EFFECT_RUN_START) {
    buf_text(out, " -> (open)");
  }
  if (s->attempts > 1) buf_format(out, " (attempt %u)", s->attempts);
  if (s->because.size > 0) buf_format(out, "\n             because " STR_FMT, STR_ARG(buf_view(&s->because)));
  buf_byte(out, '\n');
  buf_deinit(&place);
}

static void run_step_text(const Story *story, const Step *s, Buf *out) {
  if (s->kind == STEP_MARK)
    buf_format(out, "%6s%-5" PRIu64 " -- " STR_FMT "\n", "#", s->seq, STR_ARG(buf_view(&s->mark)));
  else if (s->effect == EFFECT_MODEL || s->effect == EFFECT_NOTE || s->effect == EFFECT_APPROVE)
    step_text(story, s, story->row->started_us, false, out);
  else command_text(story, s, out);
}

static void head_text(const Story *story, Buf *out) {
  char id[37], bundle[65];
  Buf time = {0};
  const RunRow *row = story->row;
  uuid_text(row->id, id);
  hash256_text(row->bundle, bundle);
  line_put(out, "run", str_of(id));
  line_put(out, "status", str_of(run_status_word(row->status)));
  line_put(out, "note", row->note);
  line_put(out, "workflow", row->entry.size > 0 ? row->entry : STR("(script)"));
  line_put(out, "input", buf_view(&story->input));
  line_put(out, "config", story->config.size > 2 ? buf_view(&story->config) : (Str){0});
  time_print(row->started_us, &time);
  line_put(out, "started", buf_view(&time));
  buf_clear(&time);
  if (row->ended_us != 0) time_print(row->ended_us, &time);
  line_put(out, "ended", buf_view(&time));
  line_put(out, "parent", buf_view(&story->parent));
  line_put(out, "bundle", str_of(bundle));
  if (story->generation > 0) buf_format(out, "%-10s %" PRIu64 "\n", "generation", story->generation);
  buf_deinit(&time);
}

static void models_text(const Story *story, Buf *out) {
  ModelTotals t = story_totals(story);
  if (t.calls + t.refused == 0) return;
  t.usage.exact = true;
  buf_byte(out, '\n');
  calls_put(out, &t);
  buf_text(out, ": ");
  usage_put(out, &t.usage, t.priced, t.nanodollars);
  unsummed_put(out, &t);
  buf_byte(out, '\n');
}

static void page_text(const Story *story, const Buf *waits, Buf *out) {
  head_text(story, out);
  buf_format(out,
             "\nwhat it did (%" PRIu64 " commands, %" PRIu64 " local reads, %" PRIu64
             " signals received)\n",
             story->count - story->signals - story->marks, story->reads, story->signals);
  for (uint32_t i = 0; i < story->count; i++) run_step_text(story, &story->steps[i], out);
  models_text(story, out);
  if (waits->size > 0) buf_format(out, "\nwaits for\n" STR_FMT, STR_ARG(buf_view(waits)));
  if (story->result.size > 0)
    buf_format(out, "\nresult     " STR_FMT "\n", STR_ARG(buf_view(&story->result)));
}

/* ---- the verb ------------------------------------------------------------------------- */

static int inspect_run(Cli *cli, const RunRow *row) {
  Story story;
  Buf waits = {0};
  Err err = {0};
  bool ok = story_load(cli, row, &story, &err);
  if (ok) {
    const BundleAiAgent *agent = agent_of(&story);
    story_waits(&story, &waits);
    if (cli->json) story_document(&story, &waits, &cli->out);
    else if (agent != NULL) agent_page(&story, agent, &waits, &cli->out);
    else page_text(&story, &waits, &cli->out);
  }
  story_deinit(&story);
  buf_deinit(&waits);
  return ok ? EXIT_DONE : output_err(cli, &err);
}

int verb_inspect(Cli *cli) {
  Named named;
  Err err = {0};
  int status = EXIT_DONE;
  if (session_open(cli, &status) != SESSION_OPEN) return status;
  if (!named_find(cli, cli->args.words[0], &named, &err)) status = output_err(cli, &err);
  else status = named.stream ? stream_inspect(cli, &named.row) : inspect_run(cli, &named.run);
  named_deinit(&named);
  return status;
}
