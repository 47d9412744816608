/* z8 runs: the list. */
#include <stdlib.h>

#include "vm/base/hash.h"
#include "vm/base/mem.h"
#include "vm/base/text.h"
#include "vm/cli/cli.h"
#include "vm/runtime/approvals.h"

typedef struct Question { /* what a run asks a person */
  uint64_t number, seq;
  Buf tool;
} Question;

typedef struct RunsPage {
  Cli *cli;
  uint64_t count;
  Question *questions; /* by number */
  uint32_t question_count, question_cap;
} RunsPage;

static bool question_add(void *context, const Approval *a) {
  RunsPage *page = context;
  page->questions =
      mem_grow(page->questions, &page->question_cap, page->question_count + 1, sizeof *page->questions);
  Question *q = &page->questions[page->question_count++];
  *q = (Question){.number = a->number, .seq = a->seq};
  buf_str(&q->tool, a->tool);
  return true;
}

static int question_order(const void *a, const void *b) {
  const Question *x = a, *y = b;
  if (x->number != y->number) return x->number < y->number ? -1 : 1;
  return (x->seq > y->seq) - (x->seq < y->seq);
}

static bool questions_load(RunsPage *page, Err *err) {
  if (!approvals_each(node_store(page->cli->node), question_add, page, err)) return false;
  if (page->question_count > 0)
    qsort(page->questions, page->question_count, sizeof *page->questions, question_order);
  return true;
}

static void questions_deinit(RunsPage *page) {
  for (uint32_t i = 0; i < page->question_count; i++) buf_deinit(&page->questions[i].tool);
  mem_free(page->questions);
}

static uint32_t question_first(const RunsPage *page, uint64_t number) {
  uint32_t low = 0, high = page->question_count;
  while (low < high) {
    uint32_t middle = low + (high - low) / 2;
    if (page->questions[middle].number < number) low = middle + 1;
    else high = middle;
  }
  return low;
}

/* A line for each. */
static void questions_put(const RunsPage *page, const RunRow *row, Buf *out) {
  for (uint32_t i = question_first(page, row->number); i < page->question_count; i++) {
    const Question *q = &page->questions[i];
    if (q->number != row->number) return;
    buf_format(out, "#%" PRIu64 " approval of " STR_FMT "\n", q->seq, STR_ARG(buf_view(&q->tool)));
  }
}

/* What a run that is here has got to; the store knows it as of the last change of status. */
static uint64_t records_of(Cli *cli, const RunRow *row) {
  bool here = cli->scheduler != NULL && scheduler_number(cli->scheduler, row->id) != 0;
  Run *run = here ? scheduler_find(cli->scheduler, row->number) : NULL;
  return run != NULL ? journal_seq(run_journal(run)) : row->records;
}

/* "a; b; c …" */
static void lines_joined(const Buf *lines, uint32_t most, Buf *out) {
  Str rest = buf_view(lines);
  for (uint32_t i = 0; i < most && rest.size > 0; i++) {
    const char *end = memchr(rest.at, '\n', rest.size);
    size_t size = end != NULL ? (size_t)(end - rest.at) : rest.size, step = end != NULL ? size + 1 : size;
    buf_format(out, "%s%.*s", i > 0 ? "; " : "", (int)size, rest.at);
    rest = (Str){rest.at + step, rest.size - step};
  }
  if (rest.size > 0) buf_text(out, " …");
}

/* Why it is as it is; of one that only waits, what for: a limit, a budget or a person before anything else. */
static void note_of(const RunsPage *page, const RunRow *row, Buf *out) {
  enum { TOLD = 3 };
  Cli *cli = page->cli;
  bool here = cli->scheduler != NULL && scheduler_number(cli->scheduler, row->id) != 0;
  Buf waits = {0};
  if (row->note.size > 0 || run_status_over(row->status)) {
    buf_str(out, row->note);
    return;
  }
  if (here) scheduler_waiting(cli->scheduler, row->number, &waits);
  questions_put(page, row, &waits);
  bool told = waits.size > 0;
  Run *run = here && !told ? scheduler_find(cli->scheduler, row->number) : NULL;
  if (run != NULL) run_waits(run, &waits);
  lines_joined(&waits, told ? TOLD : 1, out);
  buf_deinit(&waits);
}

static void row_json(const RunsPage *page, const RunRow *row) {
  Cli *cli = page->cli;
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
  note_of(page, row, &note);
  json_text(out, "note", buf_view(&note));
  buf_deinit(&note);
  buf_text(out, "}\n");
}

static void row_text(const RunsPage *page, const RunRow *row) {
  Cli *cli = page->cli;
  char id[37];
  Buf started = {0}, note = {0};
  note_of(page, row, &note);
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
  if (cli->json) row_json(page, row);
  else row_text(page, row);
  return true;
}

int verb_runs(Cli *cli) {
  RunsPage page = {.cli = cli};
  Err err = {0};
  int status = EXIT_DONE;
  if (session_open(cli, &status) != SESSION_OPEN) return status;
  bool ok = questions_load(&page, &err) && store_run_each(node_store(cli->node), 1, 0, runs_row, &page, &err);
  questions_deinit(&page);
  if (!ok) return output_err(cli, &err);
  if (page.count == 0 && !cli->json) buf_text(&cli->out, "there are no runs yet\n");
  return EXIT_DONE;
}
