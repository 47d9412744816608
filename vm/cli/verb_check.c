/* z8 check: compile without output. */
#include "vm/cli/cli.h"

static int check_files(Cli *cli, const char *const *paths, uint32_t count) {
  uint32_t errors = 0, warnings = 0;
  bool ok = true;
  for (uint32_t i = 0; i < count; i++) ok = load_check(cli, paths[i], &errors, &warnings) && ok;
  if (!cli->json && errors + warnings > 0)
    buf_format(&cli->err, "%u error%s, %u warning%s\n", errors, errors == 1 ? "" : "s", warnings,
               warnings == 1 ? "" : "s");
  else if (!cli->json)
    buf_format(&cli->out, "%u file%s: nothing wrong\n", count, count == 1 ? "" : "s");
  return ok ? EXIT_DONE : EXIT_FAILED;
}

int verb_check(Cli *cli) {
  if (cli->args.word_count > 0) return check_files(cli, cli->args.words, cli->args.word_count);
  Sources sources = {0};
  sources_here(&sources);
  int status = sources.count > 0
                   ? check_files(cli, (const char *const *)sources.at, sources.count)
                   : output_error(cli, EXIT_FAILED, "there is no .z8 file in this folder");
  sources_deinit(&sources);
  return status;
}
