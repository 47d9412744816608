/* z8 approvals, approve, deny: what runs ask people, and the answers. */
#include <stdlib.h>

#include "vm/base/cbor.h"
#include "vm/base/hash.h"
#include "vm/base/text.h"
#include "vm/cli/cli.h"
#include "vm/runtime/approvals.h"

/* ---- the list -------------------------------------------------------------------- */

typedef struct ApprovalsPage {
  Cli *cli;
  uint64_t count;
} ApprovalsPage;

static void approval_id(const Approval *a, Buf *out) {
  char id[37];
  uuid_text(a->run, id);
  buf_format(out, "%s#%" PRIu64, id, a->seq);
}

static void approval_json(const Approval *a, Buf *out) {
  char id[37];
  Buf name = {0};
  uuid_text(a->run, id);
  approval_id(a, &name);
  buf_byte(out, '{');
  json_text(out, "approval", buf_view(&name));
  json_text(out, "run", str_of(id));
  json_number(out, "seq", a->seq);
  json_text(out, "asked_by", a->entry);
  json_text(out, "tenant", a->tenant);
  json_text(out, "tool", a->tool);
  json_text(out, "question", a->question);
  json_value(out, "arguments", a->arguments);
  json_time(out, "since", a->asked_us);
  json_time(out, "expires", a->due_us);
  buf_text(out, "}\n");
  buf_deinit(&name);
}

static void second_print(int64_t us, Buf *out) { time_print(us - us % 1000000, out); }

static void approval_text(const Approval *a, Buf *out) {
  Buf json = {0};
  Err ignored;
  approval_id(a, out);
  buf_format(out, "  " STR_FMT "  ", STR_ARG(a->tool));
  if (cbor_to_json(a->arguments, &json, &ignored)) buf_str(out, buf_view(&json));
  buf_text(out, "\n  ");
  output_safe(out, a->question);
  buf_format(out, "\n  asked by " STR_FMT, STR_ARG(a->entry.size > 0 ? a->entry : STR("a script")));
  if (!str_equal(a->tenant, STR("default"))) buf_format(out, " of " STR_FMT, STR_ARG(a->tenant));
  buf_text(out, " since ");
  second_print(a->asked_us, out);
  if (a->due_us != 0) {
    buf_text(out, ", until ");
    second_print(a->due_us, out);
  }
  buf_byte(out, '\n');
  buf_deinit(&json);
}

static bool approvals_row(void *context, const Approval *a) {
  ApprovalsPage *page = context;
  page->count++;
  if (page->cli->json) approval_json(a, &page->cli->out);
  else approval_text(a, &page->cli->out);
  return true;
}

int verb_approvals(Cli *cli) {
  ApprovalsPage page = {.cli = cli};
  Err err = {0};
  int status = EXIT_DONE;
  if (session_open(cli, &status) != SESSION_OPEN) return status;
  if (!approvals_each(node_store(cli->node), approvals_row, &page, &err)) return output_err(cli, &err);
  if (cli->json) return EXIT_DONE;
  if (page.count == 0) buf_text(&cli->out, "nothing waits for a decision\n");
  else buf_text(&cli->out, "`z8 approve RUN#SEQ` lets one happen, `z8 deny RUN#SEQ` refuses it\n");
  return EXIT_DONE;
}

/* ---- which one is meant ---------------------------------------------------------- */

typedef struct Open { /* the questions of one run */
  Uuid run;
  uint64_t seq; /* the last one's */
  uint32_t count;
} Open;

static bool open_row(void *context, const Approval *a) {
  Open *open = context;
  if (memcmp(&a->run, &open->run, sizeof a->run) != 0) return true;
  open->seq = a->seq;
  open->count++;
  return true;
}

/* RUN alone: it must ask one thing only. */
static bool open_find(Cli *cli, const RunRow *row, ApprovalDecision *d, Err *err) {
  char id[37];
  Open open = {.run = row->id};
  if (!approvals_each(node_store(cli->node), open_row, &open, err)) return false;
  d->seq = open.seq;
  uuid_text(row->id, id);
  if (open.count == 0 && !approvals_cancelled(node_store(cli->node), row, err))
    FAIL(err, ERR_NOT_FOUND, "run %s waits for no decision; `z8 approvals` lists what does", id);
  if (open.count > 1)
    FAIL(err, ERR_INVALID, "run %s asks %u things: name one as RUN#SEQ; `z8 approvals` lists them", id, open.count);
  return open.count == 1;
}

static bool approval_named(Cli *cli, const char *word, ApprovalDecision *d, RunRow *row, Buf *keep, Err *err) {
  const char *mark = strrchr(word, '#');
  Buf run = {0};
  int64_t seq = 0;
  buf_put(&run, word, mark != NULL ? (size_t)(mark - word) : strlen(word));
  buf_byte(&run, 0);
  bool ok = mark == NULL || (int_parse(str_of(mark + 1), &seq) && seq >= 0);
  if (!ok) FAIL(err, ERR_INVALID, "which question? RUN#SEQ, as `z8 approvals` shows it");
  ok = ok && session_run(cli, run.at, row, keep, err);
  if (ok) d->run = row->id;
  d->seq = (uint64_t)seq;
  buf_deinit(&run);
  return ok && (mark != NULL || open_find(cli, row, d, err));
}

/* ---- deciding -------------------------------------------------------------------- */

static void decided_report(Cli *cli, const ApprovalDecision *d) {
  char id[37];
  uuid_text(d->run, id);
  if (cli->json) {
    buf_byte(&cli->out, '{');
    json_text(&cli->out, "run", str_of(id));
    json_number(&cli->out, "seq", d->seq);
    json_text(&cli->out, "verdict", d->verdict);
    json_text(&cli->out, "by", d->by);
    json_name(&cli->out, "delivered");
    buf_text(&cli->out, "true}\n");
    return;
  }
  buf_format(&cli->out, STR_FMT " %s#%" PRIu64 "; %s\n", STR_ARG(d->verdict), id, d->seq,
             cli->scheduler != NULL ? "the run goes on" : "the run goes on with `z8 recover`");
}

static int decide(Cli *cli, ApprovalDecision *d) {
  RunRow row;
  Buf keep = {0};
  Err err = {0};
  int status = EXIT_DONE;
  bool ok = approval_named(cli, cli->args.words[0], d, &row, &keep, &err) &&
            approval_decide(cli->scheduler, cli->node, d, &err);
  if (ok) decided_report(cli, d);
  else status = output_err(cli, &err);
  buf_deinit(&keep);
  return status;
}

static bool edit_valid(const char *edit) {
  Buf value = {0};
  Err ignored;
  bool ok = edit[strspn(edit, " \t\n")] == '{' && cbor_from_json(str_of(edit), &value, &ignored);
  buf_deinit(&value);
  return ok;
}

static int verdict(Cli *cli, Str word) {
  const char *edit = cli->args.values[OPTION_EDIT], *why = cli->args.values[OPTION_WHY];
  int status = EXIT_DONE;
  if (!words_utf8(cli)) return output_error(cli, EXIT_USAGE, "an argument is not UTF-8");
  if (edit != NULL && !edit_valid(edit))
    return output_error(cli, EXIT_USAGE, "--edit takes a JSON object of the arguments that change: '{\"amount\": 20}'");
  /* Said here, so that it is this user's name also where another process delivers it. */
  if (!args_has(&cli->args, OPTION_AS))
    cli->args.values[OPTION_AS] = session_user();
  if (session_open(cli, &status) != SESSION_OPEN) return status;
  ApprovalDecision d = {.verdict = edit != NULL ? STR("edited") : word, .by = str_of(cli->args.values[OPTION_AS])};
  if (edit != NULL) d.arguments = str_of(edit);
  if (why != NULL) d.why = str_of(why);
  return decide(cli, &d);
}

int verb_approve(Cli *cli) { return verdict(cli, STR("approved")); }

int verb_deny(Cli *cli) { return verdict(cli, STR("denied")); }
