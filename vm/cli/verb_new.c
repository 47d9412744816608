/* z8 new: a small project that runs at once. */
#include <errno.h>
#include <sys/stat.h>

#include "vm/base/file.h"
#include "vm/cli/cli.h"

static const char main_text[] =
    "# Run it with `z8 run main.z8`. Stop it in the middle, with Ctrl-C or kill -9: `z8 recover` "
    "goes on\n"
    "# where it was, and greets nobody twice.\n"
    "\n"
    "config greeting: string = \"hello\"       # Z8_GREETING=salut z8 run main.z8\n"
    "\n"
    "workflow Greet(names: list[string]):\n"
    "  count = 0\n"
    "  for name in names:\n"
    "    print(\"${greeting}, ${name}\")\n"
    "    sleep 300ms\n"
    "    count += 1\n"
    "  return count\n"
    "\n"
    "n = Greet([\"Ada\", \"Alan\", \"Grace\"])\n"
    "print(\"greeted ${n}\")\n";

static bool name_fits(const char *name) {
  size_t size = strlen(name);
  return size > 0 && size < 200 && strcmp(name, ".") != 0 && strcmp(name, "..") != 0;
}

static bool write_in(const char *folder, const char *name, const char *text, Err *err) {
  Buf path = {0};
  buf_format(&path, "%s/%s", folder, name);
  buf_byte(&path, 0);
  bool ok = file_write(path.at, str_of(text), err);
  buf_deinit(&path);
  return ok;
}

int verb_new(Cli *cli) {
  const char *name = cli->args.words[0];
  struct stat info;
  Err err = {0};
  if (!name_fits(name))
    return output_error(cli, EXIT_USAGE, "the name of a project is that of a new folder");
  if (stat(name, &info) == 0) return output_error(cli, EXIT_FAILED, "%s is there already", name);
  if (!dir_make(name, &err) || !write_in(name, "main.z8", main_text, &err) ||
      !write_in(name, ".gitignore", ".z8/\n*.z8b\n", &err))
    return output_err(cli, &err);
  if (!cli->json) {
    buf_format(&cli->out, "made %s/main.z8. Next: cd %s && z8 run main.z8\n", name, name);
    return EXIT_DONE;
  }
  buf_byte(&cli->out, '{');
  json_text(&cli->out, "project", str_of(name));
  buf_text(&cli->out, "}\n");
  return EXIT_DONE;
}
