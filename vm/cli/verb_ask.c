/* z8 ask: a question to an AI agent, and its answer. The run belongs to the process that holds the directory, and goes
** on whatever becomes of who asked. */
#include "vm/base/cbor.h"
#include "vm/base/json.h"
#include "vm/base/mem.h"
#include "vm/cli/live.h"
#include "vm/run/decider.h"
#include "vm/runtime/app.h"
#include "vm/runtime/error_value.h"

enum { PATIENCE_US = 60000000 }; /* longer waits are for a process that serves, as with `z8 recover` */

/* One who waits for the end of a run; it is the work of its Later. */
typedef struct Asked {
  struct Asked *next;
  Later *later;
  Uuid run;
} Asked;

/* ---- the question --------------------------------------------------------- */

static void no_such_agent(const Bundle *b, Str name, Err *err) {
  Buf known = {.max = 400};
  for (uint32_t i = 0; i < b->ai_agent_count; i++) {
    if (i > 0) buf_text(&known, ", ");
    buf_str(&known, bundle_text(b, b->ai_agents[i].name));
  }
  if (b->ai_agent_count == 0) FAIL(err, ERR_NOT_FOUND, "the active program has no ai_agent");
  else FAIL(err, ERR_NOT_FOUND, "there is no ai_agent %.*s; there is " STR_FMT, name.size > 80 ? 80 : (int)name.size,
            name.at, STR_ARG(buf_view(&known)));
  buf_deinit(&known);
}

static const BundleAiAgent *agent_find(const Bundle *b, Str name, Err *err) {
  for (uint32_t i = 0; i < b->ai_agent_count; i++) {
    if (str_equal(bundle_text(b, b->ai_agents[i].name), name)) return &b->ai_agents[i];
  }
  no_such_agent(b, name, err);
  return NULL;
}

/* An object has arguments by name; anything else is text, for the first parameter. */
static bool arguments_read(Cli *cli, const Bundle *b, const BundleFn *fn, Buf *map, Err *err) {
  Str word = cli->args.word_count > 1 ? str_of(cli->args.words[1]) : STR("{}");
  size_t at = 0;
  while (at < word.size && (word.at[at] == ' ' || word.at[at] == '\n' || word.at[at] == '\t')) at++;
  if (at < word.size && word.at[at] == '{') return cbor_from_json(word, map, err);
  if (fn->params.count == 0) {
    FAIL(err, ERR_INVALID, "it takes no text");
    return false;
  }
  cbor_put_tag(map, CBOR_TAG_MAP);
  cbor_put_array(map, 2);
  cbor_put_text(map, bundle_text(b, b->fields[fn->params.first].name));
  cbor_put_text(map, word);
  return true;
}

/* The input of the run. False: *err says why. */
static bool input_make(Cli *cli, App *app, const BundleAiAgent *agent, Buf *input, Err *err) {
  const Bundle *b = program_bundle(app_program(app));
  uint32_t fn = b->workflows[agent->workflow].fn;
  Buf map = {0};
  Refusal refusal = {0};
  bool ok = arguments_read(cli, b, &b->fns[fn], &map, err);
  if (!ok) err_context(err, "the question to " STR_FMT, STR_ARG(bundle_text(b, agent->name)));
  if (ok) {
    Decider *d = app_decider(app);
    ok = decider_arguments(d, fn, buf_view(&map), input, &refusal);
    if (!ok) FAIL(err, ERR_INVALID, STR_FMT, STR_ARG(refusal.message));
    decider_free(d);
  }
  buf_deinit(&map);
  return ok;
}

static bool ask_begin(Later *later, App *app, Err *err) {
  Cli *cli = later->cli;
  Live *live = cli->live;
  Buf input = {0};
  const Bundle *b = program_bundle(app_program(app));
  if (!words_fit(cli, err)) return false;
  const BundleAiAgent *agent = agent_find(b, str_of(cli->args.words[0]), err);
  bool ok = agent != NULL && input_make(cli, app, agent, &input, err);
  if (ok) {
    Asked *asked = later->work = MEM_NEW(Asked);
    *asked = (Asked){.next = live->asked, .later = later};
    BeginOptions begin = {.bundle = b->id,
                          .entry = bundle_text(b, b->workflows[agent->workflow].name),
                          .input = buf_view(&input),
                          .tenant = option_text(cli, OPTION_TENANT)};
    later->patience_us = PATIENCE_US;
    ok = scheduler_begin(live->scheduler, &begin, &asked->run, err);
    if (ok) live->asked = asked;
  }
  buf_deinit(&input);
  return ok;
}

/* ---- the answer ----------------------------------------------------------- */

static void answer_json(Cli *cli, const char *id, const RunEnd *end) {
  buf_byte(&cli->out, '{');
  json_text(&cli->out, "run", str_of(id));
  json_text(&cli->out, "status", str_of(run_status_word(end->status)));
  json_value(&cli->out, end->status == RUN_STATUS_DONE ? "answer" : "error", end->value);
  buf_text(&cli->out, "}\n");
}

static void answer_text(Cli *cli, const char *id, const RunEnd *end) {
  CborReader r = cbor_reader(end->value);
  Err ignored;
  Str text;
  ErrorParts parts;
  if (end->status == RUN_STATUS_DONE) {
    if (cbor_text(&r, &text, &ignored)) buf_format(&cli->out, STR_FMT "\n", STR_ARG(text));
    else output_answer(cli, end->value);
  } else if (error_decode(end->value, &parts)) {
    output_error(cli, 0, STR_FMT ": " STR_FMT, STR_ARG(parts.code), STR_ARG(parts.message));
  } else {
    output_error(cli, 0, "the run is %s", run_status_word(end->status));
  }
  buf_format(&cli->err, "run %s\n", id);
}

static void asked_unlink(Live *live, Asked *asked) {
  Asked **link = &live->asked;
  while (*link != asked) link = &(*link)->next;
  *link = asked->next;
}

void asked_ended(Live *live, const RunEnd *end) {
  Asked *next;
  char id[37];
  uuid_text(end->run, id);
  for (Asked *a = live->asked; a != NULL; a = next) {
    Cli *cli = a->later->cli;
    next = a->next;
    if (memcmp(&a->run, &end->run, sizeof a->run) != 0) continue;
    asked_unlink(live, a);
    if (cli->json) answer_json(cli, id, end);
    else answer_text(cli, id, end);
    later_done(a->later, end->status == RUN_STATUS_DONE ? EXIT_DONE : EXIT_FAILED);
  }
}

void asked_stopped(Live *live, int status, const char *why) {
  while (live->asked != NULL) {
    Asked *a = live->asked;
    char id[37];
    uuid_text(a->run, id);
    live->asked = a->next;
    output_error(a->later->cli, status,
                 "%s; `z8 inspect %s` has the answer once `z8 recover` or `z8 serve` went on with it", why, id);
    later_done(a->later, status);
  }
}

int verb_ask(Cli *cli) { return later_run(cli, ask_begin); }
