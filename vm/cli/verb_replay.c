/* z8 replay: the same bytecode over recorded history, with no way to the outside. */
#include "vm/base/file.h"
#include "vm/base/hash.h"
#include "vm/cli/cli.h"
#include "vm/runtime/offline.h"

typedef struct Other { /* the code of --with */
  Loaded loaded;
  Program *program;
} Other;

static bool other_load(Cli *cli, Other *other) {
  Err err;
  if (!args_has(&cli->args, OPTION_WITH)) return true;
  if (!load_program(cli, cli->args.values[OPTION_WITH], &other->loaded)) return false;
  if (program_new(other->loaded.bundle, &other->program, &err)) return true;
  output_err(cli, &err);
  return false;
}

static void other_free(Other *other) {
  if (other->program != NULL) program_free(other->program);
  loaded_deinit(&other->loaded);
}

static void explained(Cli *cli, const RunRow *row, Run *run) {
  const Program *program = NULL;
  Err ignored;
  const Bundle *recorded =
      node_program(cli->node, row->bundle, &program, &ignored) ? program_bundle(program) : NULL;
  if (cli->json) run_explain_json(run, recorded, &cli->out);
  else run_explain(run, recorded, &cli->err);
}

static void replay_json(Cli *cli, const RunRow *row, const Replayed *r) {
  char id[37], state[65];
  uuid_text(row->id, id);
  hash256_text(r->state, state);
  buf_byte(&cli->out, '{');
  json_text(&cli->out, "run", str_of(id));
  json_number(&cli->out, "records", r->records);
  json_number(&cli->out, "effects", 0);
  if (r->result == STEP_DIVERGED) json_name(&cli->out, "state_hash"), buf_text(&cli->out, "null");
  else json_text(&cli->out, "state_hash", str_of(state));
  json_name(&cli->out, "divergence");
  if (r->result == STEP_DIVERGED) explained(cli, row, r->run);
  else buf_text(&cli->out, "null");
  buf_text(&cli->out, "}\n");
}

static void replay_text(Cli *cli, const RunRow *row, const Replayed *r, int64_t took_us) {
  char state[65];
  hash256_text(r->state, state);
  if (r->result == STEP_DIVERGED) {
    explained(cli, row, r->run);
    return;
  }
  buf_format(&cli->out,
             "records replayed   %" PRIu64
             " in %.1f ms\neffects performed  0\nstate hash         %s\n",
             r->records, (double)took_us / 1000.0, state);
  buf_format(&cli->out,
             r->result == STEP_ENDED ? "the run ended as it is recorded: %s\n"
                                     : "its history ends here: the run is %s\n",
             run_status_word(row->status));
}

static int replay_run(Cli *cli, const RunRow *row, const Program *program) {
  Replayed r;
  Err err = {0};
  int64_t start = clock_monotonic_us();
  if (!offline_replay(cli->node, row, program, args_has(&cli->args, OPTION_SWITCH_VM), &r, &err))
    return output_err(cli, &err);
  int64_t took = clock_monotonic_us() - start;
  if (cli->json) replay_json(cli, row, &r);
  else replay_text(cli, row, &r, took);
  run_free(r.run);
  return r.result == STEP_DIVERGED ? EXIT_DIVERGED : EXIT_DONE;
}

int verb_replay(Cli *cli) {
  Other other = {0};
  RunRow row;
  Buf keep = {0};
  Err err = {0};
  int status = EXIT_FAILED;
  SessionResult session = session_open(cli, &status);
  if (session == SESSION_OPEN) {
    if (!session_run(cli, cli->args.words[0], &row, &keep, &err)) status = output_err(cli, &err);
    else if (other_load(cli, &other)) status = replay_run(cli, &row, other.program);
    else status = EXIT_FAILED;
  }
  other_free(&other);
  buf_deinit(&keep);
  return status;
}
