/* A node with an application, for tests of vm/runtime's agents, bus and handlers: a program from source, commands as JSON
** from outside, what came back as JSON. Closed and opened again it is the same node after a stop. */
#ifndef Z8_BUS_WORLD_H
#define Z8_BUS_WORLD_H

#include "tests/unit/test.h"

#include <stdlib.h>
#include <unistd.h>

#include "compiler/compile.h"
#include "vm/base/cbor.h"
#include "vm/base/file.h"
#include "vm/base/mem.h"
#include "vm/runtime/agents.h"
#include "vm/runtime/bus.h"
#include "vm/runtime/handlers.h"
#include "vm/runtime/schedule.h"

#define NEED(cond) do { bool ready_ = (cond); CHECK(ready_ && #cond); if (!ready_) return; } while (0)
#define CHECK_HAS(got, part) do { Str g_ = (got); if (memmem(g_.at, g_.size, part, strlen(part)) == NULL) { \
  test_checks_failed++; fprintf(stderr, "%s:%d: \"%.*s\" has no \"%s\"\n", __FILE__, __LINE__, STR_ARG(g_), part); } } \
  while (0)

typedef struct Code { /* a program */
  Arena arena;
  Compilation *c;
  Buf bytes;
  const char *text;
} Code;

typedef struct World {
  Node *node;
  Scheduler *s;
  App *app;
  Buf printed, notices;
  int flushes; /* stop before this many rounds are over; 0: never */
} World;

static const char *world_vfs; /* of the nodes that are opened from now on; NULL: the system's */

typedef struct Got { /* what a command gave; text is JSON */
  bool came, ok;
  Buf text, raw;
} Got;

static bool code_read(void *context, Str path, Arena *arena, Str *text, Err *err) {
  Code *code = context;
  (void)path, (void)arena, (void)err;
  *text = str_of(code->text);
  return true;
}

static bool code_make(Code *code, const char *text) {
  Buf said = {0};
  *code = (Code){.text = text};
  arena_init(&code->arena);
  code->c = ARENA_NEW(&code->arena, Compilation);
  bool ok = compile(&code->arena, STR("app.z8"), (SourceReader){code_read, code}, (CompileOptions){0}, code->c);
  diag_render(&code->c->diags, false, &said);
  if (said.size > 0) fprintf(stderr, STR_FMT, STR_ARG(buf_view(&said)));
  if (ok) bundle_write(&code->c->bundle, &code->bytes);
  buf_deinit(&said);
  return ok;
}

static void code_done(Code *code) {
  buf_deinit(&code->bytes);
  arena_deinit(&code->arena);
}

static void world_output(void *context, Uuid run, EffectKind kind, Str text) {
  World *w = context;
  (void)run, (void)kind;
  buf_str(&w->printed, text);
  buf_byte(&w->printed, ';');
}

static void world_notice(void *context, Str text) {
  World *w = context;
  buf_str(&w->notices, text);
  buf_byte(&w->notices, '\n');
}

static void world_flush(void *context) {
  World *w = context;
  if (w->flushes > 0 && --w->flushes == 0) scheduler_stop(w->s);
}

/* Opens the node; the application is active only after world_activate. */
static bool world_open(World *w, const char *dir, SchedulerOptions options) {
  Err err = {0};
  NodeOptions node = {.dir = dir != NULL ? dir : "/nowhere", .memory = dir == NULL, .fixed_key = true,
                      .vfs = world_vfs};
  *w = (World){0};
  options.app = true;
  options.output = world_output;
  options.notice = world_notice;
  options.flush = world_flush;
  options.context = w;
  if (options.threads == 0) options.threads = 1;
  bool ok = node_open(&node, &w->node, &err) && scheduler_new(w->node, &options, &w->s, &err);
  if (!ok) fprintf(stderr, "%s\n", err.text);
  if (ok) w->app = scheduler_app(w->s);
  return ok;
}

static bool world_activate(World *w, Code *code, Err *err) {
  const Program *program;
  return node_program_add(w->node, &code->c->bundle, buf_view(&code->bytes), &program, err) &&
         app_activate(w->app, code->c->bundle.id, err);
}

static bool world_start(World *w, const char *dir, Code *code, SchedulerOptions options) {
  Err err = {0};
  uint32_t resumed, failed;
  if (!world_open(w, dir, options)) return false;
  bool ok = world_activate(w, code, &err) && scheduler_resume_all(w->s, &resumed, &failed, &err);
  if (!ok) fprintf(stderr, "%s\n", err.text);
  return ok;
}

static void world_stop(World *w) {
  scheduler_free(w->s);
  node_close(w->node);
  buf_deinit(&w->printed);
  buf_deinit(&w->notices);
}

/* Rounds until nothing is to be done. */
static ScheduleResult world_run(World *w) {
  Err err = {0};
  ScheduleResult r = scheduler_run(w->s, 0, 0, &err);
  if (r == SCHEDULE_FAILED) fprintf(stderr, "scheduler: %s\n", err.text);
  return r;
}

static inline void world_sleep(World *w, int64_t us) { /* of a seeded node */
  w->s->clock.now_us += us;
}

/* ---- commands ---------------------------------------------------------------- */

static void got_it(void *context, const CommandResult *result) {
  Got *g = context;
  Err err;
  g->came = true;
  g->ok = result->ok;
  buf_clear(&g->text);
  buf_clear(&g->raw);
  buf_str(&g->raw, result->value);
  if (!cbor_to_json(result->value, &g->text, &err)) buf_text(&g->text, err.text);
}

static void got_free(Got *g) {
  buf_deinit(&g->text);
  buf_deinit(&g->raw);
  *g = (Got){0};
}

/* Puts a command in; `c` may say more of it, or be NULL. */
static bool send(World *w, const char *name, const char *json, const Command *c, Got *g, Err *err) {
  Buf data = {0};
  Command command = c != NULL ? *c : (Command){.expected_version = ANY_VERSION};
  bool ok = cbor_from_json(str_of(json), &data, err);
  command.name = str_of(name);
  command.data = buf_view(&data);
  *g = (Got){0};
  ok = ok && bus_dispatch(w->app, &command, got_it, g, err);
  buf_deinit(&data);
  return ok;
}

/* The answer, `ok` or the error's code before it: `ok {"reply":…}`, `insufficient_funds`. The Str lives until the next
** call. */
static inline Str ask(World *w, const char *name, const char *json, const Command *c) {
  static Buf said;
  Got g;
  Err err = {0};
  ErrorParts parts;
  buf_clear(&said);
  if (!send(w, name, json, c, &g, &err)) buf_format(&said, "refused: %s", err.text);
  else (void)world_run(w);
  if (g.came && g.ok) buf_format(&said, "ok " STR_FMT, STR_ARG(buf_view(&g.text)));
  else if (g.came && error_decode(buf_view(&g.raw), &parts)) buf_format(&said, STR_FMT, STR_ARG(parts.code));
  got_free(&g);
  if (said.size == 0) buf_text(&said, "(no answer)");
  return buf_view(&said);
}

static inline Str look(World *w, const char *agent, const char *id, const char *view, const char *tenant) {
  static Buf said;
  Got g = {0};
  Err err = {0};
  ErrorParts parts;
  buf_clear(&said);
  if (!bus_view(w->app, str_of(agent), str_of(id), str_of(view), STR("\x80"), str_of(tenant), got_it, &g, &err))
    buf_text(&said, err.text);
  else (void)world_run(w);
  if (g.came && g.ok) buf_str(&said, buf_view(&g.text));
  else if (g.came && error_decode(buf_view(&g.raw), &parts)) buf_format(&said, STR_FMT, STR_ARG(parts.code));
  got_free(&g);
  return buf_view(&said);
}

/* ---- directories ------------------------------------------------------------------- */

static const char *dir_new(char room[64]) {
  snprintf(room, 64, "/tmp/z8-bus-XXXXXX");
  return mkdtemp(room);
}

static void dir_gone(const char *dir) {
  static const char *const names[] = {"z8.db", "z8.db-wal", "z8.db-shm", "lock", "control.sock"};
  char path[200];
  for (size_t n = 0; n < COUNT_OF(names); n++) {
    snprintf(path, sizeof path, "%s/%s", dir, names[n]);
    unlink(path);
  }
  rmdir(dir);
}
#endif
