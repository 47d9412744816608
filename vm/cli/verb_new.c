/* z8 new: a small project that runs at once. */
#include <errno.h>
#include <sys/stat.h>

#include "vm/base/file.h"
#include "vm/cli/cli.h"

/* The project is a file of ours, so that it can be read, run and tested as one. */
__asm__(".section .rodata\nnew_main: .incbin \"vm/cli/new_main.z8\"\nnew_main_end: .byte 0\n.previous");
extern const char new_main[], new_main_end[];

static bool name_fits(const char *name) {
  size_t size = strlen(name);
  return size > 0 && size < 200 && strcmp(name, ".") != 0 && strcmp(name, "..") != 0;
}

static bool write_in(const char *folder, const char *name, Str text, Err *err) {
  Buf path = {0};
  buf_format(&path, "%s/%s", folder, name);
  buf_byte(&path, 0);
  bool ok = file_write(path.at, text, err);
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
  Str main_text = {new_main, (size_t)(new_main_end - new_main)};
  if (!dir_make(name, &err) || !write_in(name, "main.z8", main_text, &err) ||
      !write_in(name, ".gitignore", STR(".z8/\n*.z8b\n"), &err))
    return output_err(cli, &err);
  if (!cli->json) {
    buf_format(&cli->out, "made %s/main.z8. Next: cd %s && z8 test && z8 run main.z8\n", name, name);
    return EXIT_DONE;
  }
  buf_byte(&cli->out, '{');
  json_text(&cli->out, "project", str_of(name));
  buf_text(&cli->out, "}\n");
  return EXIT_DONE;
}
