/* z8: the one binary. Parses the command line, runs the verb, prints what it said. */
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "vm/cli/cli.h"
#include "vm/effects/effect.h"

typedef int VerbFn(Cli *cli);
static VerbFn *const verb_functions[VERB_COUNT] = {
#define VERB(id, function, ...) function,
#include "vm/cli/verbs.def"
#undef VERB
};

int cli_dispatch(Cli *cli) {
  cli->json = args_has(&cli->args, OPTION_JSON);
  cli->dir = session_dir(cli);
  if (cli->args.help) {
    args_help_verb(cli->args.verb, &cli->out);
    return EXIT_DONE;
  }
  return verb_functions[cli->args.verb](cli);
}

static int cli_main(int argc, const char *const *argv) {
  Cli cli = {0};
  Err err = {0};
  int status;
  cli.colour = output_colour(STDOUT_FILENO);
  cli.colour_err = output_colour(STDERR_FILENO);
  if (args_parse(argc, argv, &cli.args, &err)) status = cli_dispatch(&cli);
  else status = output_error(&cli, EXIT_USAGE, "%s", err.text);
  output_flush(STDERR_FILENO, &cli.err);
  if (!output_flush(STDOUT_FILENO, &cli.out) && status == EXIT_DONE) status = EXIT_FAILED;
  session_close(&cli);
  args_deinit(&cli.args);
  buf_deinit(&cli.out);
  buf_deinit(&cli.err);
  return status;
}

int main(int argc, char **argv) {
  static const char *const help[] = {"help"};
  signal(SIGPIPE, SIG_IGN);
  signal(SIGXFSZ, SIG_IGN); /* a file at its limit is an error like a full disk */
  if (argc == 2 && strcmp(argv[1], "--extern-helper") == 0) return extern_helper_main();
  if (argc < 2) return cli_main(1, help);
  return cli_main(argc - 1, (const char *const *)argv + 1);
}
