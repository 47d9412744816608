/* Verbs whose answer comes after a commit: carried out by the process that holds the directory, or by
** one made here for as long as it takes. */
#include "vm/base/mem.h"
#include "vm/cli/live.h"
#include "vm/cli/run_page.h"
#include "vm/runtime/app.h"
#include "vm/runtime/control.h"

static Scheduler *local; /* the one to be stopped when the local verb is done */

void later_done(Later *later, int status) {
  Cli *cli = later->cli;
  mem_free(later->work);
  later->work = NULL;
  later->done = true;
  later->status = status;
  if (cli->finished != NULL) cli->finished(cli, status); /* frees both */
  else if (local != NULL) scheduler_stop(local);
}

void later_detach(Cli *guest, void (*finished)(Cli *guest, int status)) { guest->finished = finished; }

/* For another process: what is not done at once is left to the rounds. */
static int guest_begin(Cli *cli, bool (*begin)(Later *, struct App *, Err *)) {
  Err err = {0};
  Later *later = MEM_NEW(Later);
  later->cli = cli;
  cli->later = later;
  App *app = scheduler_app(cli->scheduler);
  if (app == NULL || app_program(app) == NULL) {
    FAIL(&err, ERR_NOT_FOUND, "the process that holds the directory runs no application");
  } else if (begin(later, app, &err)) {
    if (!later->done) return EXIT_LATER;
    int status = later->status;
    mem_free(later);
    cli->later = NULL;
    return status;
  }
  mem_free(later->work);
  mem_free(later);
  cli->later = NULL;
  return output_err(cli, &err);
}

static bool stored_application(Cli *cli, App *app, Err *err) {
  Hash256 bundle;
  if (app_program(app) != NULL) return true;
  if (app_stored_bundle(node_store(cli->node), &bundle)) return app_activate(app, bundle, err);
  FAIL(err, ERR_NOT_FOUND, "%s holds no application yet: `z8 serve FILE` or `z8 run FILE` makes one active", cli->dir);
  return false;
}

/* Until it is done, or cannot be done here. */
static void local_run(Live *live, Later *later) {
  Err err = {0};
  ScheduleResult result = scheduler_run(live->scheduler, 0, later->patience_us, &err);
  bool waits = result == SCHEDULE_PARKED || result == SCHEDULE_STUCK;
  if (later->done) return;
  if (result == SCHEDULE_FAILED) output_err(live->cli, &err);
  if (waits) report_parked(live->cli);
  asked_stopped(live, waits ? EXIT_PERSON : EXIT_FAILED, waits ? "it waits" : "stopped before the answer came");
  if (later->done) return;
  later->status = output_error(live->cli, EXIT_FAILED, "stopped before the answer came; it may have been carried out");
}

static int local_begin(Live *live, bool (*begin)(Later *, struct App *, Err *)) {
  Err err = {0};
  Later later = {.cli = live->cli, .patience_us = PATIENCE_FOR_EVER};
  App *app = scheduler_app(live->scheduler);
  if (!stored_application(live->cli, app, &err) || !begin(&later, app, &err)) {
    mem_free(later.work);
    return output_err(live->cli, &err);
  }
  local = live->scheduler;
  if (!later.done) local_run(live, &later);
  local = NULL;
  return later.status;
}

int later_run(Cli *cli, bool (*begin)(Later *later, struct App *app, Err *err)) {
  Live live = {.aside = true};
  int status = EXIT_FAILED;
  if (cli->scheduler != NULL) return guest_begin(cli, begin);
  if (control_listens(cli->dir)) {
    if (session_open(cli, &status) != SESSION_OPEN) return status;
    session_close(cli); /* its holder ended meanwhile */
  }
  if (live_open(&live, cli, true, &status)) status = local_begin(&live, begin);
  if (live.cli != NULL) live_close(&live);
  return status;
}
