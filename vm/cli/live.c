/* A process that runs: output as it becomes durable, ends, Ctrl-C. */
#include "vm/cli/live.h"

#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "vm/base/json.h"
#include "vm/base/text.h"
#include "vm/cli/run_page.h"
#include "vm/runtime/error_value.h"

/* ---- what runs say -------------------------------------------------------- */

/* After each round what was said goes out. */
static void live_flush(void *context) {
  Live *live = context;
  if (live->cli->out.size > 0) output_flush(STDOUT_FILENO, &live->cli->out);
  if (live->cli->err.size > 0) output_flush(STDERR_FILENO, &live->cli->err);
}

/* A line of another kind ends the one that a stream is in; at once, as it may go elsewhere. */
static void stream_break(Live *live) {
  if (!live->show.mid_line) return;
  stream_show_break(&live->show, &live->cli->err);
  output_flush(STDERR_FILENO, &live->cli->err);
}

static void live_output(void *context, Uuid run, EffectKind kind, Str text) {
  Live *live = context;
  Cli *cli = live->cli;
  char id[37];
  followers_output(live->followers, run, kind, text);
  stream_break(live);
  if (!cli->json || live->aside) {
    Buf *to = kind == EFFECT_LOG || live->aside ? &cli->err : &cli->out;
    buf_str(to, text);
    buf_byte(to, '\n');
    return;
  }
  uuid_text(run, id);
  buf_byte(&cli->out, '{');
  json_text(&cli->out, kind == EFFECT_LOG ? "log" : "print", text);
  json_text(&cli->out, "run", str_of(id));
  buf_text(&cli->out, "}\n");
}

static void live_notice(void *context, Str text) {
  Live *live = context;
  followers_notice(live->followers, text);
  stream_break(live);
  output_error(live->cli, 0, STR_FMT, STR_ARG(text));
}

/* Shown at once: a piece that waits for the next round would not be live. */
static void live_stream(void *context, const StreamPiece *piece) {
  Live *live = context;
  followers_stream(live->followers, piece);
  if (!live->stream) return;
  if (live->cli->json) stream_json(piece, &live->cli->out);
  else stream_show(&live->show, piece, &live->cli->err);
  live_flush(live);
}

static void ended_json(Cli *cli, const char *id, RunStatus status, Str value) {
  buf_byte(&cli->out, '{');
  json_text(&cli->out, "run", str_of(id));
  json_text(&cli->out, "status", str_of(run_status_word(status)));
  json_value(&cli->out, status == RUN_STATUS_DONE ? "result" : "error", value);
  buf_text(&cli->out, "}\n");
}

/* A child's end is its parent's business: only one that nobody awaits is mentioned. */
static void ended_text(Live *live, const RunEnd *end, const char *id) {
  Cli *cli = live->cli;
  ErrorParts parts;
  bool quiet = end->status == RUN_STATUS_DONE || end->awaited;
  if (quiet) return;
  if (end->status == RUN_STATUS_DIVERGED) {
    run_explain(end->live, NULL, &cli->err);
  } else if (end->child && error_decode(end->value, &parts)) {
    buf_format(&cli->err, "run %s %s: " STR_FMT "\n", id, run_status_word(end->status),
               STR_ARG(parts.message));
  } else {
    report_failure(&cli->err, cli->colour_err, program_bundle(run_machine(end->live)->program),
                   end->status, end->value);
  }
}

static void live_ended(void *context, const RunEnd *end) {
  Live *live = context;
  char id[37];
  uuid_text(end->run, id);
  followers_ended(live->followers, end);
  asked_ended(live, end);
  stream_break(live);
  if (memcmp(end->run.byte, live->watched.byte, sizeof end->run.byte) == 0)
    live->status = end->status;
  bool failed = end->status == RUN_STATUS_FAILED || end->status == RUN_STATUS_KILLED;
  if (failed && !end->child) live->failed++;
  if (live->cli->json && !live->aside) ended_json(live->cli, id, end->status, end->value);
  else ended_text(live, end, id);
}

static void live_waiting(void *context) {
  Live *live = context;
  report_parked(live->cli);
  live_flush(live);
}

/* ---- opening -------------------------------------------------------------- */

static Scheduler *signalled_scheduler; /* a signal handler has no other way to reach it */

static void stop_handler(int number) {
  (void)number;
  if (signalled_scheduler != NULL) scheduler_stop(signalled_scheduler);
}

static void signals_set(Scheduler *s) {
  struct sigaction action = {.sa_handler = stop_handler};
  signalled_scheduler = s;
  if (s == NULL) return;
  sigaction(SIGINT, &action, NULL);
  sigaction(SIGTERM, &action, NULL);
  sigaction(SIGHUP, &action, NULL);
}

static bool hex_seed(const char *text, Hash256 *seed) {
  Buf bytes = {0};
  bool ok = hex_decode(str_of(text), &bytes) && bytes.size <= sizeof seed->byte;
  if (ok && bytes.size > 0) memcpy(seed->byte, bytes.at, bytes.size);
  buf_deinit(&bytes);
  return ok;
}

static bool options_read(Live *live, SchedulerOptions *o, int *status) {
  const Args *args = &live->cli->args;
  int64_t threads = 0;
  bool in_front = !live->serve && (!live->aside || args->verb == VERB_ASK);
  live->stream = args_has(args, OPTION_STREAM) || (in_front && !live->cli->json && isatty(STDERR_FILENO) == 1);
  *o = (SchedulerOptions){.output = live_output,
                          .stream = live_stream,
                          .ended = live_ended,
                          .notice = live_notice,
                          .flush = live_flush,
                          .waiting = live_waiting,
                          .control = session_control,
                          .context = live,
                          .extern_allow = getenv("Z8_EXTERN")};
  o->app = true;
  o->crons = live->serve;
  if (live->serve || live->aside) o->waiting = NULL;
  o->switch_vm = args_has(args, OPTION_SWITCH_VM);
  o->park_restore = args_has(args, OPTION_PARK_RESTORE);
  o->seeded = args_has(args, OPTION_SEED);
  o->listen = !o->seeded && !live->aside && !args_has(args, OPTION_MEMORY);
  if (o->seeded && !hex_seed(args->values[OPTION_SEED], &o->seed)) {
    *status =
        output_error(live->cli, EXIT_USAGE, "--seed takes up to 64 hex digits, an even number");
    return false;
  }
  if (args_has(args, OPTION_THREADS) &&
      (!int_parse(str_of(args->values[OPTION_THREADS]), &threads) || threads < 1 ||
       threads > 256)) {
    *status = output_error(live->cli, EXIT_USAGE, "--threads takes a number from 1 to 256");
    return false;
  }
  o->threads = (uint32_t)threads;
  return true;
}

bool live_open(Live *live, Cli *cli, bool must_exist, int *status) {
  SchedulerOptions options;
  Err err = {0};
  *live = (Live){.cli = cli, .status = RUN_STATUS_RUNNING, .serve = live->serve, .aside = live->aside};
  if (!options_read(live, &options, status)) return false;
  NodeOptions node = {.dir = cli->dir,
                      .must_exist = must_exist,
                      .fixed_key = options.seeded,
                      .memory = args_has(&cli->args, OPTION_MEMORY)};
  if (!session_node(cli, &node, &err) ||
      !scheduler_new(cli->node, &options, &live->scheduler, &err)) {
    if (err.code == ERR_BUSY)
      err_context(&err,
                  "another z8 runs this directory (`z8 runs`, `z8 inspect`, `z8 signal` reach it)");
    *status = output_err(cli, &err);
    return false;
  }
  cli->scheduler = live->scheduler;
  cli->live = live;
  signals_set(live->scheduler);
  return true;
}

/* Z8_STATS=1, for benchmarks: what this process asked of the store. */
static void stats_put(Live *live) {
  const char *wanted = getenv("Z8_STATS");
  if (wanted == NULL || strcmp(wanted, "1") != 0) return;
  StoreStats stats = store_stats(node_store(live->cli->node));
  buf_format(&live->cli->err, "stats commits %" PRIu64 " rows %" PRIu64 " syncs %" PRIu64 "\n", stats.commits,
             stats.rows, stats.syncs);
}

void live_close(Live *live) {
  signals_set(NULL);
  stats_put(live);
  asked_stopped(live, EXIT_FAILED, "stopped before the answer came");
  followers_free(live->followers);
  stream_show_deinit(&live->show);
  scheduler_free(live->scheduler);
  live->cli->scheduler = NULL;
  live->cli->live = NULL;
  live_flush(live);
}

/* ---- running -------------------------------------------------------------- */

static int stopped(Live *live) {
  ScheduleCounts counts = scheduler_counts(live->scheduler);
  return output_error(live->cli, EXIT_FAILED,
                      "stopped; %u run%s can be continued with `z8 recover`", counts.hosted,
                      counts.hosted == 1 ? "" : "s");
}

static int over_status(const Live *live) {
  static const Uuid none;
  ScheduleCounts counts = scheduler_counts(live->scheduler);
  if (counts.diverged > 0) return EXIT_DIVERGED;
  if (counts.corrupt > 0) return EXIT_INTEGRITY;
  bool watching = memcmp(live->watched.byte, none.byte, sizeof none.byte) != 0;
  if (watching) return live->status == RUN_STATUS_DONE ? EXIT_DONE : EXIT_FAILED;
  return live->failed > 0 ? EXIT_FAILED : EXIT_DONE;
}

/* Runs that were started and not awaited may still wait for something. */
static void left_behind(Live *live) {
  uint32_t count = scheduler_counts(live->scheduler).hosted;
  if (count > 0 && !live->cli->json)
    buf_format(&live->cli->err, "%u run%s still wait%s; `z8 recover` goes on with %s\n", count,
               count == 1 ? "" : "s", count == 1 ? "s" : "", count == 1 ? "it" : "them");
}

int live_run(Live *live, uint64_t target, int64_t patience_us) {
  Err err = {0};
  ScheduleResult result = scheduler_run(live->scheduler, target, patience_us, &err);
  switch (result) {
    case SCHEDULE_OVER:
      left_behind(live);
      return over_status(live);
    case SCHEDULE_PARKED:
      report_parked(live->cli);
      return over_status(live) == EXIT_FAILED && live->failed == 0 ? EXIT_DONE : over_status(live);
    case SCHEDULE_STUCK:
      report_parked(live->cli);
      return EXIT_PERSON;
    case SCHEDULE_STOPPED:
      return stopped(live);
    case SCHEDULE_FAILED:
      break;
  }
  return output_error(live->cli, EXIT_FAILED, "%s", err.text);
}
