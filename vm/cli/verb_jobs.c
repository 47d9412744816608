/* z8 jobs, queue, dead, handlers: what waits, and what a person may do about it. */
#include <stdio.h>
#include <stdlib.h>

#include "vm/base/hash.h"
#include "vm/base/mem.h"
#include "vm/base/text.h"
#include "vm/cli/cli.h"
#include "vm/runtime/handlers.h"
#include "vm/runtime/jobs.h"
#include "vm/runtime/offline.h"

static const char *const job_states[] = {"", "available", "executing", "done", "cancelled", "dead"};

static Str word_at(const Cli *cli, uint32_t i) {
  return i < cli->args.word_count ? str_of(cli->args.words[i]) : (Str){0};
}

static void time_text(int64_t us, Buf *out) {
  if (us == 0) buf_byte(out, '-');
  else time_print(us - us % 1000000, out);
}

/* ---- jobs: the list ------------------------------------------------------------- */

typedef struct JobsPage {
  Cli *cli;
  uint64_t count;
} JobsPage;

static void job_json(Cli *cli, const JobRow *row) {
  char id[37];
  Buf *out = &cli->out;
  uuid_text(row->id, id);
  buf_byte(out, '{');
  json_text(out, "job", str_of(id));
  json_text(out, "worker", row->worker);
  json_text(out, "queue", row->queue);
  json_text(out, "state", str_of(job_states[row->state]));
  json_number(out, "priority", row->priority);
  json_number(out, "attempt", row->attempt);
  json_time(out, "due", row->due_us);
  json_time(out, "enqueued", row->enqueued_us);
  json_time(out, "ended", row->ended_us);
  json_text(out, "note", row->note);
  buf_text(out, "}\n");
}

static void job_text(Cli *cli, const JobRow *row) {
  char id[37];
  Buf due = {0};
  uuid_text(row->id, id);
  time_text(row->due_us, &due);
  buf_format(&cli->out, "%s  %-9s  %-20.*s  %-12.*s  %u  %7u  %-20.*s  " STR_FMT "\n", id, job_states[row->state],
             STR_ARG(row->worker), STR_ARG(row->queue), row->priority, row->attempt, STR_ARG(buf_view(&due)),
             STR_ARG(row->note));
  buf_deinit(&due);
}

static bool job_row(void *context, const JobRow *row) {
  JobsPage *page = context;
  Cli *cli = page->cli;
  const char *queue = cli->args.values[OPTION_QUEUE];
  if (queue != NULL && !str_equal(row->queue, str_of(queue))) return true;
  if (page->count++ == 0 && !cli->json) {
    char line[160];
    snprintf(line, sizeof line, "%-36s  %-9s  %-20s  %-12s  %s  %7s  %-20s  %s", "job", "state", "worker", "queue",
             "p", "attempt", "due", "note");
    output_bold(&cli->out, cli->colour, line);
    buf_byte(&cli->out, '\n');
  }
  if (cli->json) job_json(cli, row);
  else job_text(cli, row);
  return true;
}

static bool state_read(Cli *cli, uint8_t *state, int *status) {
  *state = 0;
  const char *word = cli->args.values[OPTION_STATUS];
  for (uint8_t i = 1; word != NULL && i < COUNT_OF(job_states); i++) {
    if (strcmp(word, job_states[i]) == 0) *state = i;
  }
  if (word == NULL || *state != 0) return true;
  *status = output_error(cli, EXIT_USAGE, "--status takes available, executing, done, cancelled or dead");
  return false;
}

static int jobs_list(Cli *cli) {
  JobsPage page = {.cli = cli};
  Err err = {0};
  int status = EXIT_DONE;
  uint8_t state;
  if (!state_read(cli, &state, &status) || session_open(cli, &status) != SESSION_OPEN) return status;
  if (!store_job_each(node_store(cli->node), 1, state, job_row, &page, &err)) return output_err(cli, &err);
  if (page.count == 0 && !cli->json) buf_text(&cli->out, "there are no such jobs\n");
  return EXIT_DONE;
}

/* ---- jobs cancel, retry ---------------------------------------------------------- */

/* By id or the beginning of one. */
typedef struct JobSearch {
  Str wanted;
  Uuid found;
  uint32_t count;
} JobSearch;

static bool job_matches(void *context, const JobRow *row) {
  JobSearch *search = context;
  char id[37];
  uuid_text(row->id, id);
  if (search->wanted.size > 36 || memcmp(id, search->wanted.at, search->wanted.size) != 0) return true;
  search->found = row->id;
  search->count++;
  return search->count < 2;
}

static bool job_find(Cli *cli, Str wanted, Uuid *out, Err *err) {
  JobSearch search = {.wanted = wanted};
  if (wanted.size < 4) {
    FAIL(err, ERR_INVALID, "which job? its id, or at least 4 characters of it; `z8 jobs` lists them");
    return false;
  }
  if (!store_job_each(node_store(cli->node), 1, 0, job_matches, &search, err)) return false;
  *out = search.found;
  if (search.count == 1) return true;
  FAIL(err, search.count == 0 ? ERR_NOT_FOUND : ERR_INVALID,
       search.count == 0 ? "there is no job " STR_FMT "; `z8 jobs` lists them"
                         : "several jobs begin with " STR_FMT ": give more of the id",
       STR_ARG(wanted));
  return false;
}

static void acted(Later *later, const char *what, Str on) {
  Cli *cli = later->cli;
  if (cli->json) buf_text(&cli->out, "{\"done\":true}\n");
  else buf_format(&cli->out, "%s " STR_FMT "\n", what, STR_ARG(on));
  later_done(later, EXIT_DONE);
}

static bool jobs_act(Later *later, App *app, Err *err) {
  Cli *cli = later->cli;
  bool cancel = str_equal(word_at(cli, 0), STR("cancel"));
  const char *why = cli->args.values[OPTION_WHY];
  Uuid id;
  if (!cancel && !str_equal(word_at(cli, 0), STR("retry"))) {
    later_done(later, output_error(cli, EXIT_USAGE, "z8 jobs, z8 jobs cancel ID, z8 jobs retry ID"));
    return true;
  }
  if (!job_find(cli, word_at(cli, 1), &id, err)) return false;
  bool ok = cancel ? job_cancel(app, id, str_of(why != NULL ? why : "asked by the operator"), err)
                   : job_retry(app, id, str_of(session_user()), err);
  if (ok) acted(later, cancel ? "cancelled job" : "another try for job", word_at(cli, 1));
  return ok;
}

int verb_jobs(Cli *cli) { return cli->args.word_count == 0 ? jobs_list(cli) : later_run(cli, jobs_act); }

/* ---- queue ----------------------------------------------------------------------- */

static bool queue_row(void *context, const QueueInfo *q) {
  Cli *cli = context;
  Buf due = {0};
  if (cli->json) {
    buf_byte(&cli->out, '{');
    json_text(&cli->out, "queue", q->name);
    json_number(&cli->out, "concurrency", q->concurrency);
    json_number(&cli->out, "executing", q->executing);
    json_number(&cli->out, "available", q->available);
    json_name(&cli->out, "paused");
    buf_text(&cli->out, q->paused ? "true" : "false");
    json_time(&cli->out, "next_due", q->next_due_us);
    buf_text(&cli->out, "}\n");
    return true;
  }
  time_text(q->next_due_us, &due);
  buf_format(&cli->out, "%-20.*s  %11u%s  %9u  %9" PRIu64 "  %-6s  " STR_FMT "\n", STR_ARG(q->name), q->concurrency,
             q->scaled ? "*" : " ", q->executing, q->available, q->paused ? "paused" : "", STR_ARG(buf_view(&due)));
  buf_deinit(&due);
  return true;
}

static bool queue_act(Later *later, App *app, Err *err) {
  Cli *cli = later->cli;
  Str what = word_at(cli, 0), name = word_at(cli, 1);
  int64_t count = -1;
  bool scale = str_equal(what, STR("scale")), pause = str_equal(what, STR("pause"));
  if (what.size == 0) {
    if (!cli->json)
      buf_format(&cli->out, "%-20s  %12s  %9s  %9s  %-6s  %s\n", "queue", "concurrency ", "executing", "available", "",
                 "next due");
    bool ok = queues_each(app, queue_row, cli, err);
    if (ok) later_done(later, EXIT_DONE);
    return ok;
  }
  bool known = scale || pause || str_equal(what, STR("resume"));
  bool number = !scale || (int_parse(word_at(cli, 2), &count) && count >= 0 && count <= 1000);
  if (!known || name.size == 0 || !number || (!scale && cli->args.word_count > 2)) {
    later_done(later, output_error(cli, EXIT_USAGE, "z8 queue pause NAME, resume NAME, scale NAME N (0 to 1000)"));
    return true;
  }
  bool ok = scale ? queue_scale(app, name, (uint32_t)count, err) : queue_pause(app, name, pause, err);
  if (ok) acted(later, scale ? "scaled queue" : pause ? "paused queue" : "resumed queue", name);
  return ok;
}

int verb_queue(Cli *cli) { return later_run(cli, queue_act); }

/* ---- dead letters ------------------------------------------------------------------ */

typedef struct DeadPage {
  Cli *cli;
  uint64_t *numbers; /* of all of them, for --all */
  uint32_t count, cap;
  bool list;
} DeadPage;

static void dead_put(Cli *cli, const RunRow *row, bool head) {
  char id[37];
  uuid_text(row->id, id);
  if (cli->json) {
    buf_byte(&cli->out, '{');
    json_text(&cli->out, "run", str_of(id));
    json_text(&cli->out, "what", row->entry);
    json_time(&cli->out, "started", row->started_us);
    json_text(&cli->out, "note", row->note);
    buf_text(&cli->out, "}\n");
    return;
  }
  if (head) buf_format(&cli->out, "%-36s  %-28s  %s\n", "id", "what", "last error");
  buf_format(&cli->out, "%s  %-28.*s  " STR_FMT "\n", id, STR_ARG(row->entry), STR_ARG(row->note));
}

static bool dead_row(void *context, const RunRow *row) {
  DeadPage *page = context;
  page->numbers = mem_grow(page->numbers, &page->cap, page->count + 1, sizeof *page->numbers);
  page->numbers[page->count] = row->number;
  if (page->list) dead_put(page->cli, row, page->count == 0);
  page->count++;
  return true;
}

static bool dead_stray(void *context, const StrayLetter *letter) {
  DeadPage *page = context;
  Cli *cli = page->cli;
  Buf name = {0};
  buf_format(&name, STR_FMT "@%" PRIu64, STR_ARG(letter->handler), letter->position);
  if (cli->json) {
    buf_byte(&cli->out, '{');
    json_name(&cli->out, "run");
    buf_text(&cli->out, "null");
    json_text(&cli->out, "what", buf_view(&name));
    json_text(&cli->out, "note", letter->note);
    buf_text(&cli->out, "}\n");
  } else {
    buf_format(&cli->out, "%-36s  %-28.*s  " STR_FMT "\n", "(until another program is active)",
               STR_ARG(buf_view(&name)), STR_ARG(letter->note));
  }
  page->count++;
  buf_deinit(&name);
  return true;
}

static bool dead_one(Cli *cli, const RunRow *row, bool retry, Err *err) {
  const char *why = cli->args.values[OPTION_WHY];
  Record event = retry ? (Record){.kind = RECORD_REVIVED, .REVIVED = {.by = str_of(session_user())}}
                       : (Record){.kind = RECORD_CANCEL_ASKED,
                                  .CANCEL_ASKED = {.why = str_of(why != NULL ? why : "dropped by the operator")}};
  if (row->status != RUN_STATUS_DEAD) {
    FAIL(err, ERR_INVALID, "this is no dead letter: it is %s", run_status_word(row->status));
    return false;
  }
  return cli->scheduler != NULL ? scheduler_deliver(cli->scheduler, row->number, &event, err)
                                : offline_deliver(cli->node, row, &event, err);
}

static int dead_act(Cli *cli, bool retry) {
  DeadPage page = {.cli = cli};
  Store *store = node_store(cli->node);
  Err err = {0};
  RunRow row;
  Buf keep = {0};
  bool all = args_has(&cli->args, OPTION_ALL), ok;
  if (all) ok = store_run_each(store, 1, RUN_STATUS_DEAD, dead_row, &page, &err);
  else if ((ok = session_run(cli, cli->args.words[1], &row, &keep, &err))) dead_row(&page, &row);
  for (uint32_t i = 0; ok && i < page.count; i++)
    ok = store_run_get(store, page.numbers[i], &row, &keep, &err) && dead_one(cli, &row, retry, &err);
  if (ok && !cli->json)
    buf_format(&cli->out, "%u %s\n", page.count, retry ? "to be tried again" : "dropped");
  mem_free(page.numbers);
  buf_deinit(&keep);
  return ok ? EXIT_DONE : output_err(cli, &err);
}

int verb_dead(Cli *cli) {
  DeadPage page = {.cli = cli, .list = true};
  Str what = word_at(cli, 0);
  bool retry = str_equal(what, STR("retry")), act = retry || str_equal(what, STR("drop"));
  Err err = {0};
  int status = EXIT_DONE;
  if (what.size > 0 && (!act || (cli->args.word_count == 2) == args_has(&cli->args, OPTION_ALL)))
    return output_error(cli, EXIT_USAGE, "z8 dead, z8 dead retry ID, z8 dead drop ID; --all instead of ID: every one");
  if (session_open(cli, &status) != SESSION_OPEN) return status;
  if (act) return dead_act(cli, retry);
  Store *store = node_store(cli->node);
  if (!store_run_each(store, 1, RUN_STATUS_DEAD, dead_row, &page, &err) ||
      !handlers_strays(store, dead_stray, &page, &err))
    status = output_err(cli, &err);
  else if (page.count == 0 && !cli->json) buf_text(&cli->out, "there are no dead letters\n");
  mem_free(page.numbers);
  return status;
}

/* ---- handlers ---------------------------------------------------------------------- */

static bool handler_row(void *context, const HandlerInfo *h) {
  Cli *cli = context;
  if (cli->json) {
    buf_byte(&cli->out, '{');
    json_text(&cli->out, "handler", h->name);
    json_number(&cli->out, "taken", h->taken);
    json_number(&cli->out, "done", h->done);
    json_number(&cli->out, "running", h->running);
    json_number(&cli->out, "waiting", h->waiting);
    json_number(&cli->out, "dead", h->dead);
    buf_text(&cli->out, "}\n");
    return true;
  }
  buf_format(&cli->out, "%-24.*s  %-8s  %14" PRIu64 "  %14" PRIu64 "  %7u  %7u  %4u\n", STR_ARG(h->name),
             h->strong ? "strong" : "eventual", h->taken, h->done, h->running, h->waiting, h->dead);
  return true;
}

static bool handlers_begin(Later *later, App *app, Err *err) {
  Cli *cli = later->cli;
  (void)err;
  if (!cli->json)
    buf_format(&cli->out, "%-24s  %-8s  %14s  %14s  %7s  %7s  %4s\n", "handler", "", "taken", "done", "running",
               "waiting", "dead");
  handlers_each(app->handlers, handler_row, cli);
  later_done(later, EXIT_DONE);
  return true;
}

int verb_handlers(Cli *cli) { return later_run(cli, handlers_begin); }
