/* z8 run and z8 recover: the verbs that execute. */
#include "vm/base/cbor.h"
#include "vm/base/text.h"
#include "vm/cli/live.h"
#include "vm/runtime/app.h"

static const Str no_input = {"\x80", 1}; /* an empty array */

/* The run's id comes last on standard error, whatever happened. */
static void run_id_put(Cli *cli, Uuid id) {
  char text[37];
  uuid_text(id, text);
  buf_format(&cli->err, "run %s\n", text);
}

/* What stood after `--`, for args(). */
static bool script_args(Cli *cli, Buf *out) {
  cbor_put_array(out, cli->args.rest_count);
  for (uint32_t i = 0; i < cli->args.rest_count; i++) {
    Str arg = str_of(cli->args.rest[i]);
    if (!utf8_valid(arg)) return false;
    cbor_put_text(out, arg);
  }
  return true;
}

/* A program with agents, handlers or workers is what this directory runs from now on. */
static bool application_begin(Live *live, const Bundle *b, Err *err) {
  bool parts = b->agent_count + b->subscriber_count + b->worker_count > 0;
  return !parts || app_activate(scheduler_app(live->scheduler), b->id, err);
}

static int script_run(Live *live, const Loaded *loaded) {
  Cli *cli = live->cli;
  Buf args = {0};
  const Program *program;
  Err err = {0};
  if (!script_args(cli, &args)) {
    buf_deinit(&args);
    return output_error(cli, EXIT_USAGE, "an argument of the script is not UTF-8");
  }
  BeginOptions begin = {.bundle = loaded->bundle->id, .entry = STR(""), .input = no_input, .args = buf_view(&args)};
  if (!node_program_add(cli->node, loaded->bundle, buf_view(&loaded->bytes), &program, &err) ||
      !application_begin(live, loaded->bundle, &err) ||
      !scheduler_begin(live->scheduler, &begin, &live->watched, &err)) {
    buf_deinit(&args);
    return output_err(cli, &err);
  }
  buf_deinit(&args);
  int status = live_run(live, scheduler_number(live->scheduler, live->watched), PATIENCE_FOR_EVER);
  run_id_put(cli, live->watched);
  return status;
}

int verb_run(Cli *cli) {
  Loaded loaded = {0};
  Live live = {0};
  int status = EXIT_FAILED;
  if (load_program(cli, cli->args.words[0], &loaded)) {
    if (live_open(&live, cli, false, &status)) status = script_run(&live, &loaded);
    if (live.cli != NULL) live_close(&live);
    session_close(cli); /* its programs point into loaded */
  }
  loaded_deinit(&loaded);
  return status;
}

/* ---- recover --------------------------------------------------------------- */

static bool patience_read(Cli *cli, int64_t *us) {
  *us = INT64_C(60000000);
  if (!args_has(&cli->args, OPTION_WAIT)) return true;
  return duration_parse(str_of(cli->args.values[OPTION_WAIT]), us) && *us >= 0;
}

static bool recover_one(Live *live, uint64_t *target, int *status) {
  Cli *cli = live->cli;
  RunRow row;
  Buf keep = {0};
  Err err = {0};
  bool ok = session_run(cli, cli->args.words[0], &row, &keep, &err);
  if (ok) {
    *target = row.number;
    live->watched = row.id;
    ok = scheduler_resume(live->scheduler, row.number, &err);
  }
  if (!ok) *status = output_err(cli, &err);
  buf_deinit(&keep);
  return ok;
}

static bool recover_all(Live *live, uint32_t *failed, int *status) {
  uint32_t resumed;
  Err err = {0};
  Hash256 bundle;
  if (app_stored_bundle(node_store(live->cli->node), &bundle) &&
      !app_activate(scheduler_app(live->scheduler), bundle, &err)) {
    *status = output_err(live->cli, &err);
    return false;
  }
  if (!scheduler_resume_all(live->scheduler, &resumed, failed, &err)) {
    *status = output_err(live->cli, &err);
    return false;
  }
  if (!live->cli->json)
    buf_format(&live->cli->err, resumed == 0 ? "nothing to recover\n" : "recovering %u run%s\n",
               resumed, resumed == 1 ? "" : "s");
  return true;
}

static int recover_run(Live *live, int64_t patience) {
  uint64_t target = 0;
  uint32_t failed = 0;
  int status = EXIT_FAILED;
  bool one = live->cli->args.word_count > 0;
  if (one ? !recover_one(live, &target, &status) : !recover_all(live, &failed, &status))
    return status;
  status = live_run(live, target, patience);
  if (status == EXIT_DONE && failed > 0) status = EXIT_FAILED;
  return status;
}

int verb_recover(Cli *cli) {
  Live live = {0};
  int64_t patience;
  int status = EXIT_FAILED;
  if (!patience_read(cli, &patience))
    return output_error(cli, EXIT_USAGE, "--wait takes a duration, like 30s or 5m");
  if (live_open(&live, cli, true, &status)) status = recover_run(&live, patience);
  if (live.cli != NULL) live_close(&live);
  return status;
}
