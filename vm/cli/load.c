/* Programs from files: a source file is compiled with what it imports, a bundle is read.
**
** Imports are found beside the root file, and a bundle names its files relative to
** it, so that the same sources give the same bundle wherever they are compiled. */
#include <dirent.h>
#include <stdlib.h>

#include "compiler/compile.h"
#include "vm/base/file.h"
#include "vm/base/mem.h"
#include "vm/cli/cli.h"

typedef struct DiskSource {
  Str folder; /* with the last '/', or empty */
} DiskSource;

static bool disk_read(void *context, Str path, Arena *arena, Str *text, Err *err) {
  const DiskSource *disk = context;
  Buf bytes = {0}, full = {0};
  if (path.size == 0 || path.at[0] != '/') buf_str(&full, disk->folder);
  buf_str(&full, path);
  buf_byte(&full, 0);
  bool ok = memchr(path.at, 0, path.size) == NULL;
  if (!ok) FAIL(err, ERR_INVALID, "a file's name cannot hold a zero byte");
  ok = ok && file_read(full.at, LIMIT_SOURCE_BYTES, &bytes, err);
  if (ok) *text = arena_str(arena, buf_view(&bytes));
  buf_deinit(&bytes);
  buf_deinit(&full);
  return ok;
}

static void path_split(const char *path, Str *folder, Str *file) {
  const char *slash = strrchr(path, '/');
  size_t folder_size = slash != NULL ? (size_t)(slash - path) + 1 : 0;
  *folder = (Str){path, folder_size};
  *file = str_of(path + folder_size);
}

static void diagnostics_put(Cli *cli, Diags *diags) {
  if (diags->first == NULL) return;
  if (cli->json) {
    diag_render_json(diags, &cli->out);
    if (cli->out.size > 0 && cli->out.at[cli->out.size - 1] != '\n') buf_byte(&cli->out, '\n');
  } else diag_render(diags, cli->colour_err, &cli->err);
}

static bool source_compile(Cli *cli, const char *path, bool check_only, Arena *arena,
                           Compilation *out) {
  DiskSource disk;
  Str file;
  CompileOptions options = {.strict = args_has(&cli->args, OPTION_STRICT),
                            .check_only = check_only};
  path_split(path, &disk.folder, &file);
  bool ok = compile(arena, file, (SourceReader){disk_read, &disk}, options, out);
  diagnostics_put(cli, &out->diags);
  return ok;
}

static bool is_bundle(const char *path) {
  size_t size = strlen(path);
  return size > 4 && strcmp(path + size - 4, ".z8b") == 0;
}

static bool bundle_load(Cli *cli, const char *path, Loaded *out) {
  Err err;
  out->bundle = ARENA_NEW(&out->arena, Bundle);
  if (file_read(path, LIMIT_BUNDLE_BYTES, &out->bytes, &err) &&
      bundle_read(buf_view(&out->bytes), &out->arena, out->bundle, &err))
    return true;
  output_error(cli, EXIT_FAILED, "%s: %s", path, err.text);
  return false;
}

bool load_program(Cli *cli, const char *path, Loaded *out) {
  *out = (Loaded){0};
  arena_init(&out->arena);
  if (is_bundle(path)) return bundle_load(cli, path, out);
  Compilation *c = ARENA_NEW(&out->arena, Compilation);
  if (!source_compile(cli, path, false, &out->arena, c)) return false;
  out->bundle = &c->bundle;
  bundle_write(out->bundle, &out->bytes);
  return true;
}

void loaded_deinit(Loaded *loaded) {
  arena_deinit(&loaded->arena);
  buf_deinit(&loaded->bytes);
}

bool load_check(Cli *cli, const char *path, uint32_t *errors, uint32_t *warnings) {
  Arena arena;
  arena_init(&arena);
  Compilation *c = ARENA_NEW(&arena, Compilation);
  bool ok = source_compile(cli, path, false, &arena, c);
  *errors += c->diags.error_count;
  *warnings += c->diags.warning_count;
  arena_deinit(&arena);
  return ok;
}

/* ---- the files of a folder ---- */

static bool is_source(const char *name) {
  size_t size = strlen(name);
  return size > 3 && name[0] != '.' && strcmp(name + size - 3, ".z8") == 0;
}

static int name_order(const void *a, const void *b) {
  return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The sources of the current folder, sorted. */
void sources_here(Sources *sources) {
  DIR *dir = opendir(".");
  struct dirent *entry;
  while (dir != NULL && (entry = readdir(dir)) != NULL) {
    if (!is_source(entry->d_name)) continue;
    sources->at = mem_grow(sources->at, &sources->cap, sources->count + 1, sizeof *sources->at);
    char *copy = mem_alloc(strlen(entry->d_name) + 1);
    memcpy(copy, entry->d_name, strlen(entry->d_name));
    sources->at[sources->count++] = copy;
  }
  if (dir != NULL) closedir(dir);
  if (sources->count > 0) qsort(sources->at, sources->count, sizeof *sources->at, name_order);
}

void sources_deinit(Sources *sources) {
  for (uint32_t i = 0; i < sources->count; i++) mem_free(sources->at[i]);
  mem_free(sources->at);
}
