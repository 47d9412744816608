/* Pages about runs. */
#include "vm/cli/run_page.h"

#include "vm/base/cbor.h"
#include "vm/base/hash.h"
#include "vm/base/text.h"
#include "vm/runtime/error_value.h"

/* ---- places --------------------------------------------------------------- */

static bool number_after(Str *rest, uint32_t *out) {
  size_t colon = rest->size;
  int64_t n;
  while (colon > 0 && rest->at[colon - 1] != ':') colon--;
  if (colon == 0 || !int_parse((Str){rest->at + colon, rest->size - colon}, &n) || n < 0 ||
      n > INT32_MAX)
    return false;
  *out = (uint32_t)n;
  rest->size = colon - 1;
  return true;
}

bool at_parse(Str at, AtPlace *out) {
  const char *open = at.size > 0 ? memchr(at.at, '(', at.size) : NULL;
  *out = (AtPlace){0};
  if (open == NULL || at.at[at.size - 1] != ')') return false;
  size_t before = (size_t)(open - at.at);
  Str inside = {open + 1, at.size - before - 2};
  out->function = (Str){at.at, before > 0 ? before - 1 : 0};
  if (!number_after(&inside, &out->column) || !number_after(&inside, &out->line)) return false;
  out->path = inside;
  return true;
}

static bool source_find(const Bundle *b, Str path, Str *text) {
  for (uint32_t i = 0; i < b->source_count; i++) {
    if (!str_equal(bundle_text(b, b->sources[i].path), path)) continue;
    *text = b->sources[i].text;
    return true;
  }
  return false;
}

static bool line_find(Str text, uint32_t line, Str *out) {
  for (uint32_t n = 1; text.size > 0; n++) {
    const char *end = memchr(text.at, '\n', text.size);
    size_t size = end != NULL ? (size_t)(end - text.at) : text.size;
    if (n == line) {
      *out = (Str){text.at, size > 0 && text.at[size - 1] == '\r' ? size - 1 : size};
      return true;
    }
    size_t step = end != NULL ? size + 1 : size;
    text = (Str){text.at + step, text.size - step};
  }
  return false;
}

void report_source_line(Buf *out, const Bundle *bundle, Str path, uint32_t line, uint32_t column) {
  Str text, source;
  if (!source_find(bundle, path, &text) || !line_find(text, line, &source)) return;
  buf_format(out, "%5u | " STR_FMT "\n", line, STR_ARG(source));
  if (column > 0 && column < 200) buf_format(out, "      | %*s^\n", (int)column - 1, "");
}

/* ---- failures ------------------------------------------------------------- */

static void failure_data(Buf *out, Str data) {
  Buf json = {0};
  Err ignored;
  if (data.size > 0 && cbor_to_json(data, &json, &ignored) &&
      !str_equal(buf_view(&json), STR("null")))
    buf_format(out, "  data: " STR_FMT "\n", STR_ARG(buf_view(&json)));
  buf_deinit(&json);
}

void report_failure(Buf *out, bool colour, const Bundle *bundle, RunStatus status, Str value) {
  ErrorParts parts;
  AtPlace place;
  if (!error_decode(value, &parts)) {
    buf_format(out, "the run ended as %s\n", run_status_word(status));
    return;
  }
  buf_format(out, "%s%s[" STR_FMT "]%s: " STR_FMT "\n", colour ? "\033[1;31m" : "",
             status == RUN_STATUS_FAILED ? "fault" : run_status_word(status), STR_ARG(parts.code),
             colour ? "\033[0m" : "", STR_ARG(parts.message));
  if (parts.at.size > 0) buf_format(out, "  at " STR_FMT "\n", STR_ARG(parts.at));
  Str first = parts.at; /* `at` may hold the callers too, one a line */
  const char *end = first.size > 0 ? memchr(first.at, '\n', first.size) : NULL;
  if (end != NULL) first.size = (size_t)(end - first.at);
  if (at_parse(first, &place))
    report_source_line(out, bundle, place.path, place.line, place.column);
  failure_data(out, parts.data);
}

/* ---- what waits ------------------------------------------------------------ */

typedef struct ParkedPage {
  Cli *cli;
} ParkedPage;

static void waits_put(Cli *cli, const RunRow *row, Buf *out) {
  Run *run = cli->scheduler != NULL ? scheduler_find(cli->scheduler, row->number) : NULL;
  Buf waits = {0};
  if (run == NULL) return;
  run_waits(run, &waits);
  for (Str rest = buf_view(&waits); rest.size > 0;) {
    const char *end = memchr(rest.at, '\n', rest.size);
    size_t size = end != NULL ? (size_t)(end - rest.at) : rest.size;
    buf_format(out, "  %.*s\n", (int)size, rest.at);
    size_t step = end != NULL ? size + 1 : size;
    rest = (Str){rest.at + step, rest.size - step};
  }
  buf_deinit(&waits);
}

static bool parked_row(void *context, const RunRow *row) {
  ParkedPage *page = context;
  char id[37];
  uuid_text(row->id, id);
  if (scheduler_find(page->cli->scheduler, row->number) == NULL) return true;
  bool calm = row->status == RUN_STATUS_RUNNING || row->status == RUN_STATUS_PARKED;
  buf_format(&page->cli->err, "run %s %s\n", id, calm ? "waits for" : run_status_word(row->status));
  waits_put(page->cli, row, &page->cli->err);
  return true;
}

void report_parked(Cli *cli) {
  ParkedPage page = {cli};
  Err ignored;
  if (cli->json) return;
  if (!store_run_each(node_store(cli->node), 1, STORE_UNFINISHED, parked_row, &page, &ignored))
    return;
}
