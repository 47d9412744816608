/* The pipeline on one page: the library's modules, the root file and what it imports
** are read and parsed, each once; then everything is checked, then emitted.
**
** A file whose syntax is wrong would make the checker complain about names that were
** meant to be declared there, so the checker waits until everything parses. */
#include "compiler/compile.h"

#include "compiler/emit/emit.h"
#include "compiler/front/parse.h"
#include "lang/tables.h"
#include "vm/base/mem.h"
#include "vm/base/table.h"

/* Modules that may have a part in Z8; those without one are all natives or effects. */
static const char *const modules[] = {
    "text", "list",   "map", "bytes", "time", "duration", "decimal", "int",  "float", "math",
    "json", "base64", "hex", "hash",  "url",  "error",    "handle",  "http", "file",  "core"};
/* Those that only a program with models needs: reading them takes longer than many a program. */
static const char *const model_modules[] = {"model", "agent",  "schema", "tolerant", "approval",
                                            "judge", "tree",   "graph",  "strategy"};

/* A file that was met: read once, whoever imports it. */
typedef struct File {
  Str path;
  Unit *unit;
  bool loading;          /* it or what it imports is being read: importing it again is a cycle */
  const struct File *by; /* who imported it first */
  uint32_t depth;
} File;

typedef struct Pipeline {
  Compilation *out;
  SourceReader reader;
  Names *names;
  Table *files; /* path -> File */
  uint32_t source_cap;
  uint32_t base; /* of the next source */
  Unit **last;
} Pipeline;

/* ---- sources ---- */

static bool source_add(Pipeline *p, Str path, Str text, bool standard, uint32_t *index) {
  Diags *diags = &p->out->diags;
  if (text.size > LIMIT_SOURCE_BYTES || p->base > UINT32_MAX / 2) return false;
  if (diags->source_count == p->source_cap) {
    uint32_t cap = p->source_cap ? p->source_cap * 2 : 32;
    Source *grown = ARENA_ARRAY(p->out->arena, Source, cap);
    if (diags->source_count > 0) memcpy(grown, diags->sources, diags->source_count * sizeof *grown);
    diags->sources = grown;
    p->source_cap = cap;
  }
  *index = diags->source_count++;
  diags->sources[*index] =
      (Source){.path = path, .text = text, .base = p->base, .standard = standard};
  p->base += (uint32_t)text.size + 1;
  return true;
}

static void unit_append(Pipeline *p, Unit *unit) {
  *p->last = unit;
  p->last = &unit->next;
}

static void load_standard(Pipeline *p, const char *const *names, size_t count) {
  for (size_t i = 0; i < count; i++) {
    Str text = stdlib_source(str_of(names[i]));
    uint32_t index;
    Str path = diag_format(&p->out->diags, "std/%s.z8", names[i]);
    if (!text.at || !source_add(p, path, text, true, &index)) continue;
    unit_append(p, parse_unit(p->out->arena, p->names, &p->out->diags, index));
  }
}

/* The program's own units are last in the order: it is the one in which they run. */
static void load_models(Pipeline *p) {
  bool needed = false;
  Unit **first = &p->out->units;
  while (*first && (*first)->standard) first = &(*first)->next;
  for (const Unit *unit = *first; unit; unit = unit->next) needed |= unit->models;
  if (!needed) return;
  Unit *own = *first, **last = p->last;
  p->last = first;
  load_standard(p, model_modules, COUNT_OF(model_modules));
  *p->last = own;
  p->last = last;
}

/* ---- paths ---- */

static bool ends_with(Str text, Str end) {
  return text.size >= end.size && memcmp(text.at + text.size - end.size, end.at, end.size) == 0;
}

/* Drops the last folder of a path that ends in '/'; false if there is none to drop. */
static bool drop_folder(Buf *path) {
  Str whole = buf_view(path);
  if (whole.size == 0 || str_equal(whole, STR("../")) || ends_with(whole, STR("/../")))
    return false;
  path->size--;
  while (path->size > 0 && path->at[path->size - 1] != '/') path->size--;
  return true;
}

/* Where an import leads: the importer's folder, then the path, without `.` and `..`. */
static Str import_path(Arena *arena, Str importer, Str text) {
  Buf path = {0};
  size_t folder = importer.size;
  while (folder > 0 && importer.at[folder - 1] != '/') folder--;
  buf_put(&path, importer.at, folder);
  for (size_t at = 0; at < text.size;) {
    const char *slash = memchr(text.at + at, '/', text.size - at);
    size_t end = slash ? (size_t)(slash - text.at) : text.size;
    Str part = {text.at + at, end - at};
    at = end + 1;
    if (part.size == 0 || str_equal(part, STR("."))) continue;
    if (str_equal(part, STR("..")) && drop_folder(&path)) continue;
    buf_str(&path, part);
    if (slash || str_equal(part, STR(".."))) buf_byte(&path, '/');
  }
  if (!ends_with(buf_view(&path), STR(".z8"))) buf_text(&path, ".z8");
  Str whole = arena_str(arena, buf_view(&path));
  buf_deinit(&path);
  return whole;
}

static bool path_is_good(Str text) {
  bool absolute = text.size > 0 && (text.at[0] == '/' || text.at[0] == '\\');
  return text.size > 0 && !absolute && text.at[text.size - 1] != '/' &&
         !memchr(text.at, 0, text.size) && !memchr(text.at, '\\', text.size) &&
         !memchr(text.at, ':', text.size);
}

/* ---- files ---- */

static void tell_cycle(Pipeline *p, const File *to, const File *from, Span span) {
  Diags *diags = &p->out->diags;
  Str chain = to->path;
  for (const File *file = from; file && file != to; file = file->by) {
    chain = diag_format(diags, STR_FMT " -> " STR_FMT, STR_ARG(file->path), STR_ARG(chain));
  }
  chain = diag_format(diags, STR_FMT " -> " STR_FMT, STR_ARG(to->path), STR_ARG(chain));
  DIAG_ADD(diags, DIAG_IMPORT_CYCLE, span, chain);
}

static bool module_is_known(Str name, Str *nearest) {
  Str names[COUNT_OF(modules)];
  for (size_t i = 0; i < COUNT_OF(modules); i++) {
    names[i] = str_of(modules[i]);
    if (str_equal(names[i], name)) return true;
  }
  for (size_t i = 0; i < COUNT_OF(model_modules); i++) {
    if (str_equal(str_of(model_modules[i]), name)) return true;
  }
  for (size_t i = 0; i < NATIVE_COUNT; i++) {
    if (str_equal(str_of(native_info[i].module), name)) return true;
  }
  *nearest = diag_nearest(name, names, COUNT_OF(names));
  return false;
}

static void check_module(Pipeline *p, const Decl *decl) {
  Str name = {decl->text.at + 4, decl->text.size - 4}, nearest = {0}; /* behind "std." */
  if (module_is_known(name, &nearest)) return;
  Diag *diag = DIAG_ADD(&p->out->diags, DIAG_IMPORT_MODULE, decl->span, name);
  if (!nearest.at) return;
  diag_label(diag,
             diag_format(&p->out->diags, "did you mean `std." STR_FMT "`?", STR_ARG(nearest)));
}

static File *file_load(Pipeline *p, Str path, const File *by, Span span);

static void import_load(Pipeline *p, const File *file, Decl *decl) {
  Diags *diags = &p->out->diags;
  if (decl->standard) check_module(p, decl);
  if (decl->standard || !decl->text.at) return;
  if (!path_is_good(decl->text)) {
    DIAG_ADD0(diags, DIAG_IMPORT_PATH, decl->span);
    return;
  }
  if (file->depth >= LIMIT_NESTING) {
    DIAG_ADD(diags, DIAG_TOO_DEEP, decl->span, STR("200"), STR("imports one inside the other"));
    return;
  }
  Str path = import_path(p->out->arena, file->path, decl->text);
  File *to = table_get(p->files, path);
  if (!to) to = file_load(p, path, file, decl->span);
  else if (to->loading) tell_cycle(p, to, file, decl->span);
  decl->imported = to->unit;
}

static void tell_unreadable(Pipeline *p, Str path, Span span, Str why) {
  DIAG_ADD(&p->out->diags, DIAG_IMPORT_UNREADABLE, span, path, why);
}

/* Reads and parses a file, then what it imports, which therefore comes first in the order. */
static File *file_load(Pipeline *p, Str path, const File *by, Span span) {
  File *file = ARENA_NEW(p->out->arena, File);
  *file = (File){.path = path, .by = by, .loading = true, .depth = by ? by->depth + 1 : 0};
  table_set(p->files, path, file);
  Str text = {0};
  Err err = {0};
  uint32_t index;
  if (!p->reader.read(p->reader.context, path, p->out->arena, &text, &err)) {
    tell_unreadable(p, path, span,
                    err.code == ERR_NOT_FOUND ? STR("there is no such file") : str_of(err.text));
  } else if (!source_add(p, path, text, false, &index)) {
    tell_unreadable(p, path, span, STR("it is larger than a source file may be (64 MB)"));
  } else {
    file->unit = parse_unit(p->out->arena, p->names, &p->out->diags, index);
    for (Decl *decl = file->unit->decls; decl; decl = decl->next) {
      if (decl->kind == DECL_IMPORT) import_load(p, file, decl);
    }
    unit_append(p, file->unit);
  }
  file->loading = false;
  return file;
}

bool compile(Arena *arena, Str root_path, SourceReader reader, CompileOptions options,
             Compilation *out) {
  *out = (Compilation){.arena = arena};
  Diags *diags = &out->diags;
  diags_init(diags, arena);
  Pipeline p = {.out = out,
                .reader = reader,
                .names = names_new(arena),
                .files = table_new(),
                .base = 1,
                .last = &out->units};
  load_standard(&p, modules, COUNT_OF(modules));
  file_load(&p, root_path, NULL, (Span){0, 0});
  load_models(&p);
  table_free(p.files);
  if (diags->error_count > 0) return false;
  check_program(arena, diags, out->units, (CheckOptions){.strict = options.strict}, &out->checked);
  if (diags->error_count > 0 || (options.strict && diags->warning_count > 0)) return false;
  return options.check_only || emit_bundle(arena, diags, &out->checked, root_path, &out->bundle);
}
