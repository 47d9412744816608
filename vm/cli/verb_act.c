/* z8 signal, cancel, resolve: an event for a run, delivered by the process that runs it, or put in
** its journal for the next one that will. */
#include <stdlib.h>

#include "vm/base/cbor.h"
#include "vm/base/file.h"
#include "vm/base/hash.h"
#include "vm/base/text.h"
#include "vm/cli/cli.h"
#include "vm/runtime/offline.h"

static void act_report(Cli *cli, const RunRow *row, const char *what) {
  char id[37];
  uuid_text(row->id, id);
  if (!cli->json) {
    buf_format(&cli->out, "%s run %s%s\n", what, id,
               cli->scheduler == NULL ? "; `z8 recover` goes on with it" : "");
    return;
  }
  buf_byte(&cli->out, '{');
  json_text(&cli->out, "run", str_of(id));
  json_name(&cli->out, "delivered");
  buf_text(&cli->out, "true}\n");
}

static bool act_deliver(Cli *cli, const RunRow *row, Record *event, Err *err) {
  char id[37];
  if (run_status_over(row->status)) {
    uuid_text(row->id, id);
    FAIL(err, ERR_INVALID, "run %s is over: %s", id, run_status_word(row->status));
    return false;
  }
  return cli->scheduler != NULL ? scheduler_deliver(cli->scheduler, row->number, event, err)
                                : offline_deliver(cli->node, row, event, err);
}

/* Finds the run, delivers, says so. */
static int act(Cli *cli, const char *run, Record *event, const char *what) {
  RunRow row;
  Buf keep = {0};
  Err err = {0};
  int status = EXIT_DONE;
  bool ok = session_run(cli, run, &row, &keep, &err) && act_deliver(cli, &row, event, &err);
  if (ok) act_report(cli, &row, what);
  else status = output_err(cli, &err);
  buf_deinit(&keep);
  return status;
}

static bool json_operand(Cli *cli, const char *text, Buf *value, int *status) {
  Err err;
  if (cbor_from_json(str_of(text), value, &err)) return true;
  *status = output_error(cli, EXIT_USAGE,
                         "this is not JSON (a string needs quotes: '\"text\"'): %s", err.text);
  return false;
}

/* ---- signal ---------------------------------------------------------------------- */

/* Without --id each signal is one of its own. */
static void signal_id(const Cli *cli, Buf *out) {
  char text[37];
  uint8_t chance[10];
  if (args_has(&cli->args, OPTION_ID)) {
    buf_text(out, cli->args.values[OPTION_ID]);
    return;
  }
  random_bytes(chance, sizeof chance);
  uuid_text(uuid_v7(clock_now_us(), chance), text);
  buf_text(out, text);
}

int verb_signal(Cli *cli) {
  Buf value = {0}, id = {0};
  const Args *args = &cli->args;
  int status = EXIT_DONE;
  if (json_operand(cli, args->word_count > 2 ? args->words[2] : "null", &value, &status) &&
      session_open(cli, &status) == SESSION_OPEN) {
    signal_id(cli, &id);
    Record event = {
        .kind = RECORD_SIGNALLED,
        .SIGNALLED = {
            .name = str_of(args->words[1]), .id = buf_view(&id), .value = buf_view(&value)}};
    status = utf8_valid(event.SIGNALLED.name) && utf8_valid(event.SIGNALLED.id)
                 ? act(cli, args->words[0], &event, "signal delivered to")
                 : output_error(cli, EXIT_USAGE, "the name of a signal is text");
  }
  buf_deinit(&value);
  buf_deinit(&id);
  return status;
}

/* ---- cancel ---------------------------------------------------------------------- */

int verb_cancel(Cli *cli) {
  int status = EXIT_DONE;
  const char *why = cli->args.values[OPTION_WHY];
  Record event = {.kind = RECORD_CANCEL_ASKED,
                  .CANCEL_ASKED = {.why = str_of(why != NULL ? why : "asked by the operator")}};
  if (!utf8_valid(event.CANCEL_ASKED.why)) return output_error(cli, EXIT_USAGE, "--why takes text");
  if (session_open(cli, &status) != SESSION_OPEN) return status;
  return act(cli, cli->args.words[0], &event, "cancellation delivered to");
}

/* ---- resolve --------------------------------------------------------------------- */

static bool command_parse(const char *word, Buf *run, uint64_t *seq) {
  const char *mark = strrchr(word, '#');
  int64_t n;
  if (mark == NULL || !int_parse(str_of(mark + 1), &n) || n < 0) return false;
  buf_put(run, word, (size_t)(mark - word));
  buf_byte(run, 0);
  *seq = (uint64_t)n;
  return true;
}

static bool outcome_read(Cli *cli, Record *event, Buf *value, int *status) {
  bool confirmed = args_has(&cli->args, OPTION_CONFIRMED);
  if (confirmed == args_has(&cli->args, OPTION_ABSENT)) {
    *status = output_error(cli, EXIT_USAGE,
                           "say what happened: --confirmed JSON (its result) or --absent");
    return false;
  }
  event->RESOLVED.outcome = confirmed ? STR("confirmed") : STR("absent");
  if (!json_operand(cli, confirmed ? cli->args.values[OPTION_CONFIRMED] : "null", value, status))
    return false;
  event->RESOLVED.value = buf_view(value);
  return true;
}

int verb_resolve(Cli *cli) {
  Buf run = {0}, value = {0};
  int status = EXIT_DONE;
  Record event = {.kind = RECORD_RESOLVED, .RESOLVED = {.by = str_of(session_user())}};
  if (!command_parse(cli->args.words[0], &run, &event.RESOLVED.ref))
    status = output_error(cli, EXIT_USAGE, "which command? RUN#SEQ, as `z8 inspect RUN` shows it");
  else if (outcome_read(cli, &event, &value, &status) && session_open(cli, &status) == SESSION_OPEN)
    status = act(cli, run.at, &event, "outcome settled in");
  buf_deinit(&run);
  buf_deinit(&value);
  return status;
}
