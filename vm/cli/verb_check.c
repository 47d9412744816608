/* z8 check: compile without output. */
#include <dirent.h>
#include <stdlib.h>

#include "vm/base/mem.h"
#include "vm/cli/cli.h"

typedef struct Names {
  char **at;
  uint32_t count, cap;
} Names;

static bool is_source(const char *name) {
  size_t size = strlen(name);
  return size > 3 && name[0] != '.' && strcmp(name + size - 3, ".z8") == 0;
}

static int name_order(const void *a, const void *b) {
  return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The sources of the current folder, sorted. */
static void names_here(Names *names) {
  DIR *dir = opendir(".");
  struct dirent *entry;
  while (dir != NULL && (entry = readdir(dir)) != NULL) {
    if (!is_source(entry->d_name)) continue;
    names->at = mem_grow(names->at, &names->cap, names->count + 1, sizeof *names->at);
    char *copy = mem_alloc(strlen(entry->d_name) + 1);
    memcpy(copy, entry->d_name, strlen(entry->d_name));
    names->at[names->count++] = copy;
  }
  if (dir != NULL) closedir(dir);
  if (names->count > 0) qsort(names->at, names->count, sizeof *names->at, name_order);
}

static void names_deinit(Names *names) {
  for (uint32_t i = 0; i < names->count; i++) mem_free(names->at[i]);
  mem_free(names->at);
}

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
  Names names = {0};
  names_here(&names);
  int status = names.count > 0
                   ? check_files(cli, (const char *const *)names.at, names.count)
                   : output_error(cli, EXIT_FAILED, "there is no .z8 file in this folder");
  names_deinit(&names);
  return status;
}
