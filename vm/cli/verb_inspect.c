/* z8 inspect: one run as a readable record: what it is, what it did and where in the source,
** why, what it waits for, how it ended. */
#include "vm/base/cbor.h"
#include "vm/base/hash.h"
#include "vm/base/json.h"
#include "vm/base/mem.h"
#include "vm/base/text.h"
#include "vm/cli/cli.h"
#include "vm/cli/run_page.h"
#include "vm/cli/stream_page.h"
#include "vm/runtime/error_value.h"
#include "vm/runtime/offline.h"

/* ---- what it did, gathered --------------------------------------------------- */

typedef struct Step { /* a command and what came of it; the texts are JSON, owned */
  uint64_t seq;
  uint8_t kind; /* EffectKind; 0: a signal that came */
  uint64_t site;
  int64_t at, answered;
  Buf target, operands, because, outcome, value;
  Buf mark; /* not empty: no command, but something that befell the run, in a sentence */
  uint32_t attempts;
} Step;

typedef struct Page {
  Cli *cli;
  const RunRow *row;
  const Bundle *bundle; /* NULL: it is not in the store */
  Step *steps;
  uint32_t count, cap;
  uint64_t reads, signals, marks;
  Buf entry, input, config, parent, semantics, result;
  bool has_parent;
  uint64_t generation;
} Page;

static void value_json(Page *page, Str value, Buf *out) {
  Buf keep = {0};
  Str whole;
  Err ignored;
  size_t before = out->size;
  if (value.size == 0) return;
  if (!journal_value(node_store(page->cli->node), value, &keep, &whole, &ignored) ||
      !cbor_to_json(whole, out, &ignored)) {
    out->size = before;
    buf_text(out, "null");
  }
  buf_deinit(&keep);
}

static Step *step_find(Page *page, uint64_t seq) {
  uint32_t low = 0, high = page->count;
  while (low < high) {
    uint32_t middle = low + (high - low) / 2;
    if (page->steps[middle].seq < seq) low = middle + 1;
    else high = middle;
  }
  return low < page->count && page->steps[low].seq == seq ? &page->steps[low] : NULL;
}

static void step_add(Page *page, const Record *r) {
  page->steps = mem_grow(page->steps, &page->cap, page->count + 1, sizeof *page->steps);
  Step *s = &page->steps[page->count++];
  *s = (Step){
      .seq = r->seq, .kind = (uint8_t)r->ASKED.kind, .site = r->ASKED.site, .at = r->ASKED.at};
  buf_str(&s->target, r->ASKED.target);
  value_json(page, r->ASKED.operands, &s->operands);
  value_json(page, r->ASKED.because, &s->because);
}

static void signal_add(Page *page, const Record *r) {
  page->steps = mem_grow(page->steps, &page->cap, page->count + 1, sizeof *page->steps);
  Step *s = &page->steps[page->count++];
  *s = (Step){.seq = r->seq, .at = r->SIGNALLED.at};
  buf_str(&s->target, r->SIGNALLED.name);
  value_json(page, r->SIGNALLED.value, &s->operands);
  page->signals++;
}

static Buf *mark_add(Page *page, const Record *r, int64_t at) {
  page->steps = mem_grow(page->steps, &page->cap, page->count + 1, sizeof *page->steps);
  Step *s = &page->steps[page->count++];
  *s = (Step){.seq = r->seq, .at = at};
  page->marks++;
  return &s->mark;
}

static void error_say(Str error, Buf *out) {
  ErrorParts parts;
  if (!error_decode(error, &parts)) return;
  buf_format(out, ": " STR_FMT, STR_ARG(parts.code));
  if (parts.message.size > 0) buf_format(out, " (" STR_FMT ")", STR_ARG(parts.message));
}

static void retried_add(Page *page, const Record *r) {
  Buf *mark = mark_add(page, r, r->RETRIED.at);
  buf_format(mark, "attempt %" PRIu64 " " STR_FMT, r->RETRIED.attempt, STR_ARG(r->RETRIED.why));
  error_say(r->RETRIED.error, mark);
  buf_text(mark, "; the next one after ");
  duration_print((int64_t)r->RETRIED.wait_us, mark);
}

static void exhausted_add(Page *page, const Record *r) {
  Buf *mark = mark_add(page, r, r->EXHAUSTED.at);
  buf_format(mark, "attempt %" PRIu64 " was the last one", r->EXHAUSTED.attempt);
  error_say(r->EXHAUSTED.error, mark);
}

static void recalled_add(Page *page, const Record *r) {
  const EffectInfo *effect = effect_info(r->RECALLED.kind);
  Buf *mark = mark_add(page, r, 0);
  buf_format(mark, "%s: as confirmed in #%" PRIu64 ", not done again", effect ? effect->word : "an effect",
             r->RECALLED.ref);
}

static void step_outcome(Page *page, uint64_t ref, Str outcome, Str value, int64_t at) {
  Step *s = step_find(page, ref);
  if (s == NULL) return;
  buf_clear(&s->outcome);
  buf_clear(&s->value);
  buf_str(&s->outcome, outcome);
  value_json(page, value, &s->value);
  s->answered = at;
}

static void head_take(Page *page, const Record_HEAD *h) {
  char id[37];
  page->generation = h->generation;
  buf_clear(&page->input);
  buf_clear(&page->config);
  buf_clear(&page->semantics);
  value_json(page, h->input, &page->input);
  value_json(page, h->config, &page->config);
  buf_str(&page->semantics, h->semantics);
  CborReader r = cbor_reader(h->parent);
  uint64_t count, seq;
  Str bytes;
  Err ignored;
  page->has_parent = h->parent.size > 0 && cbor_array(&r, &count, &ignored) &&
                     cbor_bytes(&r, &bytes, &ignored) && bytes.size == 16 &&
                     cbor_uint(&r, &seq, &ignored);
  if (!page->has_parent) return;
  Uuid parent;
  memcpy(parent.byte, bytes.at, 16);
  uuid_text(parent, id);
  buf_clear(&page->parent);
  buf_format(&page->parent, "%s#%" PRIu64, id, seq);
}

static bool page_record(void *context, const Record *r) {
  Page *page = context;
  Step *s;
  switch (r->kind) {
    case RECORD_HEAD:
      head_take(page, &r->HEAD);
      break;
    case RECORD_ASKED:
      step_add(page, r);
      break;
    case RECORD_TOOL_ATTEMPT:
      if ((s = step_find(page, r->TOOL_ATTEMPT.ref)) != NULL)
        s->attempts = (uint32_t)r->TOOL_ATTEMPT.attempt;
      break;
    case RECORD_TOOL_DONE:
      step_outcome(page, r->TOOL_DONE.ref, r->TOOL_DONE.outcome, r->TOOL_DONE.result, 0);
      break;
    case RECORD_TOOL_UNKNOWN:
      step_outcome(page, r->TOOL_UNKNOWN.ref, STR("unknown"), r->TOOL_UNKNOWN.error, 0);
      break;
    case RECORD_CANCELLED:
      step_outcome(page, r->CANCELLED.ref, STR("cancelled"), (Str){0}, 0);
      break;
    case RECORD_ANSWERED:
      step_outcome(page, r->ANSWERED.ref, r->ANSWERED.outcome, r->ANSWERED.value, r->ANSWERED.at);
      break;
    case RECORD_READ:
      page->reads++;
      break;
    case RECORD_SIGNALLED:
      signal_add(page, r);
      break;
    case RECORD_ENDED:
      buf_clear(&page->result);
      value_json(page, r->ENDED.result, &page->result);
      break;
    case RECORD_RETRIED:
      retried_add(page, r);
      break;
    case RECORD_EXHAUSTED:
      exhausted_add(page, r);
      break;
    case RECORD_RECALLED:
      recalled_add(page, r);
      break;
    case RECORD_REVIVED:
      buf_format(mark_add(page, r, r->REVIVED.at), "another attempt was asked for by " STR_FMT, STR_ARG(r->REVIVED.by));
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

static void page_deinit(Page *page) {
  for (uint32_t i = 0; i < page->count; i++) {
    Step *s = &page->steps[i];
    buf_deinit(&s->target);
    buf_deinit(&s->operands);
    buf_deinit(&s->because);
    buf_deinit(&s->outcome);
    buf_deinit(&s->value);
    buf_deinit(&s->mark);
  }
  mem_free(page->steps);
  buf_deinit(&page->entry);
  buf_deinit(&page->input);
  buf_deinit(&page->config);
  buf_deinit(&page->parent);
  buf_deinit(&page->semantics);
  buf_deinit(&page->result);
}

/* ---- where ---------------------------------------------------------------------- */

static const BundleSite *site_find(const Page *page, uint64_t id) {
  if (page->bundle == NULL) return NULL;
  for (uint32_t i = 0; i < page->bundle->site_count; i++)
    if (page->bundle->sites[i].id == id) return &page->bundle->sites[i];
  return NULL;
}

static void place_put(const Page *page, uint64_t id, Buf *out) {
  const BundleSite *site = site_find(page, id);
  if (site == NULL) return;
  const BundleFn *fn = &page->bundle->fns[site->fn];
  Str path = bundle_text(page->bundle, page->bundle->sources[fn->source].path);
  buf_format(out, STR_FMT ":%u", STR_ARG(path), site->line);
}

/* What it waits for: asked of the run itself, here or re-run. */
static void waits_find(Page *page, Buf *out) {
  Cli *cli = page->cli;
  Run *live = cli->scheduler != NULL ? scheduler_find(cli->scheduler, page->row->number) : NULL;
  Replayed r;
  Err ignored;
  if (live != NULL) {
    run_waits(live, out);
  } else if (!run_status_over(page->row->status) &&
             offline_replay(cli->node, page->row, NULL, false, &r, &ignored)) {
    run_waits(r.run, out);
    run_free(r.run);
  }
}

/* ---- as text ---------------------------------------------------------------------- */

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

static void step_text(const Page *page, const Step *s, Buf *out) {
  Buf place = {0};
  if (s->mark.size > 0) {
    buf_format(out, "%6s%-5" PRIu64 " -- " STR_FMT "\n", "#", s->seq, STR_ARG(buf_view(&s->mark)));
    return;
  }
  const EffectInfo *effect = effect_info(s->kind);
  place_put(page, s->site, &place);
  buf_format(out, "%6s%-5" PRIu64 " %-16.*s %s", "#", s->seq, STR_ARG(buf_view(&place)),
             effect != NULL ? effect->word : "signal received");
  if (s->target.size > 0) buf_format(out, " " STR_FMT, STR_ARG(buf_view(&s->target)));
  buf_byte(out, ' ');
  short_put(out, &s->operands, 120);
  bool sent = effect != NULL && effect->how == HOW_SEND;
  if (s->outcome.size > 0) {
    buf_format(out, " -> " STR_FMT " ", STR_ARG(buf_view(&s->outcome)));
    short_put(out, &s->value, 120);
  } else if (!sent && effect != NULL && effect->how == HOW_ASK && s->kind != EFFECT_RUN_START) {
    buf_text(out, " -> (open)");
  }
  if (s->attempts > 1) buf_format(out, " (attempt %u)", s->attempts);
  if (s->because.size > 0)
    buf_format(out, "\n             because " STR_FMT, STR_ARG(buf_view(&s->because)));
  buf_byte(out, '\n');
  buf_deinit(&place);
}

static void head_text(const Page *page, Buf *out) {
  char id[37], bundle[65];
  Buf time = {0};
  const RunRow *row = page->row;
  uuid_text(row->id, id);
  hash256_text(row->bundle, bundle);
  line_put(out, "run", str_of(id));
  line_put(out, "status", str_of(run_status_word(row->status)));
  line_put(out, "note", row->note);
  line_put(out, "workflow", row->entry.size > 0 ? row->entry : STR("(script)"));
  line_put(out, "input", buf_view(&page->input));
  line_put(out, "config", page->config.size > 2 ? buf_view(&page->config) : (Str){0});
  time_print(row->started_us, &time);
  line_put(out, "started", buf_view(&time));
  buf_clear(&time);
  if (row->ended_us != 0) time_print(row->ended_us, &time);
  line_put(out, "ended", buf_view(&time));
  line_put(out, "parent", buf_view(&page->parent));
  line_put(out, "bundle", str_of(bundle));
  if (page->generation > 0) buf_format(out, "%-10s %" PRIu64 "\n", "generation", page->generation);
  buf_deinit(&time);
}

static void page_text(Page *page, const Buf *waits, Buf *out) {
  head_text(page, out);
  buf_format(out,
             "\nwhat it did (%" PRIu64 " commands, %" PRIu64 " local reads, %" PRIu64
             " signals received)\n",
             page->count - page->signals - page->marks, page->reads, page->signals);
  for (uint32_t i = 0; i < page->count; i++) step_text(page, &page->steps[i], out);
  if (waits->size > 0) buf_format(out, "\nwaits for\n" STR_FMT, STR_ARG(buf_view(waits)));
  if (page->result.size > 0)
    buf_format(out, "\nresult     " STR_FMT "\n", STR_ARG(buf_view(&page->result)));
}

/* ---- as JSON ------------------------------------------------------------------------ */

static void json_raw(Buf *out, const char *name, const Buf *json) {
  json_name(out, name);
  buf_str(out, json->size > 0 ? buf_view(json) : STR("null"));
}

static void step_json(const Page *page, const Step *s, Buf *out) {
  Buf place = {0};
  const EffectInfo *effect = effect_info(s->kind);
  place_put(page, s->site, &place);
  buf_byte(out, '{');
  json_number(out, "seq", s->seq);
  if (s->mark.size > 0) {
    json_text(out, "note", buf_view(&s->mark));
    json_time(out, "at", s->at);
    buf_byte(out, '}');
    buf_deinit(&place);
    return;
  }
  json_text(out, "effect", str_of(effect != NULL ? effect->word : "signal received"));
  json_text(out, "target", buf_view(&s->target));
  json_text(out, "place", buf_view(&place));
  json_raw(out, "operands", &s->operands);
  json_raw(out, "because", &s->because);
  json_text(out, "outcome", buf_view(&s->outcome));
  json_raw(out, "value", &s->value);
  json_time(out, "at", s->at);
  json_time(out, "answered", s->answered);
  buf_byte(out, '}');
  buf_deinit(&place);
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

static void page_json(Page *page, const Buf *waits, Buf *out) {
  char id[37], bundle[65];
  const RunRow *row = page->row;
  uuid_text(row->id, id);
  hash256_text(row->bundle, bundle);
  buf_byte(out, '{');
  json_text(out, "run", str_of(id));
  json_text(out, "status", str_of(run_status_word(row->status)));
  json_text(out, "note", row->note);
  json_text(out, "workflow", row->entry);
  json_text(out, "bundle", str_of(bundle));
  json_time(out, "started", row->started_us);
  json_time(out, "ended", row->ended_us);
  json_text(out, "parent", buf_view(&page->parent));
  json_number(out, "generation", page->generation);
  json_raw(out, "input", &page->input);
  json_raw(out, "config", &page->config);
  json_raw(out, "result", &page->result);
  waits_json(waits, out);
  json_name(out, "steps");
  buf_byte(out, '[');
  for (uint32_t i = 0; i < page->count; i++) {
    if (i > 0) buf_byte(out, ',');
    step_json(page, &page->steps[i], out);
  }
  buf_text(out, "]}\n");
}

/* ---- the verb ------------------------------------------------------------------------- */

static int inspect_run(Cli *cli, const RunRow *row) {
  const Program *program;
  Page page = {.cli = cli, .row = row};
  Buf waits = {0};
  Err err = {0};
  if (node_program(cli->node, row->bundle, &program, &err)) page.bundle = program_bundle(program);
  bool ok = offline_records(node_store(cli->node), row->number, page_record, &page, &err);
  if (ok) {
    waits_find(&page, &waits);
    if (cli->json) page_json(&page, &waits, &cli->out);
    else page_text(&page, &waits, &cli->out);
  }
  page_deinit(&page);
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
