/* z8 serve: an application, until it is stopped. */
#include "vm/base/hash.h"
#include "vm/cli/live.h"
#include "vm/cli/model_keys.h"
#include "vm/runtime/app.h"
#include "vm/runtime/host.h"

static bool has_parts(const Bundle *b) {
  uint32_t of_agents = b->ai_agent_count + b->agent_count + b->router_count;
  return of_agents + b->subscriber_count + b->worker_count + b->cron_count > 0;
}

/* Before anything is made active: jobs whose configuration is missing would fail one by one. */
static bool serve_check(const Bundle *b, Err *err) {
  Buf config = {0};
  bool configured = config_read(b, (Str){0}, &config, err);
  buf_deinit(&config);
  if (!configured || has_parts(b)) return configured;
  FAIL(err, ERR_INVALID,
       STR_FMT " declares no agent, handler, worker or `every`: there is nothing to serve; `z8 run` runs its script",
       STR_ARG(bundle_text(b, b->name)));
  return false;
}

/* The file's program, or the one that was active here before. */
static bool serve_program(Live *live, Loaded *loaded, const Program **program, Err *err) {
  Cli *cli = live->cli;
  Hash256 bundle;
  if (cli->args.word_count > 0)
    return node_program_add(cli->node, loaded->bundle, buf_view(&loaded->bytes), program, err);
  if (app_stored_bundle(node_store(cli->node), &bundle)) return node_program(cli->node, bundle, program, err);
  FAIL(err, ERR_NOT_FOUND, "no application was active in %s yet: z8 serve FILE", cli->dir);
  return false;
}

static bool serve_activate(Live *live, Loaded *loaded, Err *err) {
  App *app = scheduler_app(live->scheduler);
  const Program *program;
  if (!serve_program(live, loaded, &program, err)) return false;
  const Bundle *b = program_bundle(program);
  return serve_check(b, err) && model_keys_check(live->cli->node, b, err) && app_activate(app, b->id, err) &&
         app_settle(app, err);
}

static void count_put(Buf *out, uint32_t count, const char *noun, bool *first) {
  if (count == 0) return;
  buf_format(out, "%s%u %s%s", *first ? "" : ", ", count, noun, count == 1 ? "" : "s");
  *first = false;
}

static void serve_json(Cli *cli, const Bundle *b, uint32_t resumed) {
  char id[65];
  hash256_text(b->id, id);
  buf_byte(&cli->out, '{');
  json_text(&cli->out, "serving", bundle_text(b, b->name));
  json_text(&cli->out, "bundle", str_of(id));
  json_text(&cli->out, "dir", str_of(cli->dir));
  json_number(&cli->out, "resumed", resumed);
  buf_text(&cli->out, "}\n");
}

static void serve_say(Live *live, uint32_t resumed) {
  Cli *cli = live->cli;
  const Bundle *b = program_bundle(app_program(scheduler_app(live->scheduler)));
  bool first = true;
  if (cli->json) {
    serve_json(cli, b, resumed);
    return;
  }
  buf_format(&cli->err, "serving " STR_FMT ": ", STR_ARG(bundle_text(b, b->name)));
  count_put(&cli->err, b->agent_count, "agent", &first);
  count_put(&cli->err, b->subscriber_count, "handler", &first);
  count_put(&cli->err, b->worker_count, "worker", &first);
  count_put(&cli->err, b->cron_count, "cron", &first);
  count_put(&cli->err, b->ai_agent_count, "ai_agent", &first);
  count_put(&cli->err, b->model_count, "model", &first);
  count_put(&cli->err, b->workflow_count - b->ai_agent_count, "workflow", &first);
  buf_format(&cli->err, "; state in %s", cli->dir);
  if (resumed > 0) buf_format(&cli->err, "; %u run%s taken up", resumed, resumed == 1 ? "" : "s");
  buf_text(&cli->err, "\n");
}

static int serve_run(Live *live, Loaded *loaded) {
  uint32_t resumed = 0, failed = 0;
  Err err = {0};
  if (!serve_activate(live, loaded, &err) || !scheduler_resume_all(live->scheduler, &resumed, &failed, &err))
    return output_err(live->cli, &err);
  serve_say(live, resumed);
  ScheduleResult result = scheduler_run(live->scheduler, 0, PATIENCE_SERVE, &err);
  if (result == SCHEDULE_FAILED) return output_err(live->cli, &err);
  if (!live->cli->json) buf_text(&live->cli->err, "stopped; everything accepted is stored\n");
  return EXIT_DONE;
}

int verb_serve(Cli *cli) {
  Loaded loaded = {0};
  Live live = {.serve = true};
  int status = EXIT_FAILED;
  bool file = cli->args.word_count > 0;
  if (!file || load_program(cli, cli->args.words[0], &loaded)) {
    if (live_open(&live, cli, !file, &status)) status = serve_run(&live, &loaded);
    if (live.cli != NULL) live_close(&live);
    session_close(cli); /* its programs point into loaded */
  }
  if (file) loaded_deinit(&loaded);
  return status;
}
