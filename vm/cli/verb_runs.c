/* z8 runs: the list. */
#include "vm/base/hash.h"
#include "vm/base/text.h"
#include "vm/cli/cli.h"

typedef struct RunsPage {
  Cli *cli;
  uint64_t count;
} RunsPage;

/* What a run that is here has got to; the store knows it as of the last change of status. */
static uint64_t records_of(Cli *cli, const RunRow *row) {
  bool here = cli->scheduler != NULL && scheduler_number(cli->scheduler, row->id) != 0;
  Run *run = here ? scheduler_find(cli->scheduler, row->number) : NULL;
  return run != NULL ? journal_seq(run_journal(run)) : row->records;
}

static void first_line(const Buf *lines, Buf *out) {
  const char *end = lines->size > 0 ? memchr(lines->at, '\n', lines->size) : NULL;
  buf_put(out, lines->at, end != NULL ? (size_t)(end - lines->at) : lines->size);
  if (end != NULL && end + 1 < lines->at + lines->size) buf_text(out, " …");
}

/* Why it is as it is; of one that only waits, what for: a limit or a budget before anything else. */
static void note_of(Cli *cli, const RunRow *row, Buf *out) {
  bool here = cli->scheduler != NULL && scheduler_number(cli->scheduler, row->id) != 0;
  Buf waits = {0};
  if (row->note.size > 0 || run_status_over(row->status) || !here) {
    buf_str(out, row->note);
    return;
  }
  scheduler_waiting(cli->scheduler, row->number, &waits);
  Run *run = waits.size == 0 ? scheduler_find(cli->scheduler, row->number) : NULL;
  if (run != NULL) run_waits(run, &waits);
  first_line(&waits, out);
  buf_deinit(&waits);
}

static void row_json(Cli *cli, const RunRow *row) {
  char id[37], bundle[65];
  Buf *out = &cli->out, note = {0};
  uuid_text(row->id, id);
  hash256_text(row->bundle, bundle);
  buf_byte(out, '{');
  json_text(out, "run", str_of(id));
  json_text(out, "status", str_of(run_status_word(row->status)));
  json_text(out, "workflow", row->entry);
  json_text(out, "bundle", str_of(bundle));
  json_time(out, "started", row->started_us);
  json_time(out, "ended", row->ended_us);
  json_number(out, "records", records_of(cli, row));
  json_time(out, "wakes", row->wake_us > 0 ? row->wake_us : 0);
  note_of(cli, row, &note);
  json_text(out, "note", buf_view(&note));
  buf_deinit(&note);
  buf_text(out, "}\n");
}

static void row_text(Cli *cli, const RunRow *row) {
  char id[37];
  Buf started = {0}, note = {0};
  note_of(cli, row, &note);
  uuid_text(row->id, id);
  time_print(row->started_us - row->started_us % 1000000, &started);
  Str entry = row->entry.size > 0 ? row->entry : STR("(script)");
  buf_format(&cli->out, "%s  %-9s  %-20.*s  " STR_FMT "  %7" PRIu64 "  " STR_FMT "\n", id,
             run_status_word(row->status), STR_ARG(entry), STR_ARG(buf_view(&started)),
             records_of(cli, row), STR_ARG(buf_view(&note)));
  buf_deinit(&note);
  buf_deinit(&started);
}

static bool runs_row(void *context, const RunRow *row) {
  RunsPage *page = context;
  Cli *cli = page->cli;
  if (page->count++ == 0 && !cli->json) {
    Buf line = {0};
    buf_format(&line, "%-36s  %-9s  %-20s  %-20s  %7s  %s", "run", "status", "workflow", "started",
               "records", "note");
    buf_byte(&line, 0);
    output_bold(&cli->out, cli->colour, line.at);
    buf_byte(&cli->out, '\n');
    buf_deinit(&line);
  }
  if (cli->json) row_json(cli, row);
  else row_text(cli, row);
  return true;
}

int verb_runs(Cli *cli) {
  RunsPage page = {.cli = cli};
  Err err = {0};
  int status = EXIT_DONE;
  if (session_open(cli, &status) != SESSION_OPEN) return status;
  if (!store_run_each(node_store(cli->node), 1, 0, runs_row, &page, &err))
    return output_err(cli, &err);
  if (page.count == 0 && !cli->json) buf_text(&cli->out, "there are no runs yet\n");
  return EXIT_DONE;
}
