/* z8 test: the `test` blocks of files, on all cores, and what came of them. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#include "vm/base/cbor.h"
#include "vm/base/file.h"
#include "vm/base/mem.h"
#include "vm/base/text.h"
#include "vm/cli/cover.h"
#include "vm/cli/run_page.h"
#include "vm/cli/test_run.h"
#include "vm/runtime/error_value.h"

typedef struct TestFile {
  const char *path;
  Loaded loaded;
  uint8_t *cover;
} TestFile;

typedef struct Suite {
  Cli *cli;
  TestFile *files;
  uint32_t file_count;
  TestCase *cases;
  uint32_t count, cap;
  uint32_t left_out; /* by --filter */
  atomic_uint next;
} Suite;

/* ---- which tests ----------------------------------------------------------------- */

static bool contains(Str text, const char *part) {
  size_t size = strlen(part);
  return size == 0 || (text.size >= size && memmem(text.at, text.size, part, size) != NULL);
}

static void file_cases(Suite *suite, TestFile *file) {
  const Cli *cli = suite->cli;
  const Bundle *b = file->loaded.bundle;
  const char *filter = cli->args.values[OPTION_FILTER];
  for (uint32_t i = 0; i < b->test_count; i++) {
    if (filter != NULL && !contains(bundle_text(b, b->tests[i].name), filter)) {
      suite->left_out++;
      continue;
    }
    suite->cases = mem_grow(suite->cases, &suite->cap, suite->count + 1, sizeof *suite->cases);
    suite->cases[suite->count++] =
        (TestCase){.bundle = b,
                   .bytes = buf_view(&file->loaded.bytes),
                   .cover = file->cover,
                   .test = i,
                   .file = file->path,
                   .crashes = b->tests[i].crashes || args_has(&cli->args, OPTION_CRASH_EVERYWHERE)};
  }
}

static bool suite_load(Suite *suite, const char *const *paths, uint32_t count) {
  bool ok = true, cover = args_has(&suite->cli->args, OPTION_COVER);
  suite->files = mem_alloc(count * sizeof *suite->files);
  for (uint32_t i = 0; i < count; i++) {
    TestFile *file = &suite->files[suite->file_count++];
    *file = (TestFile){.path = paths[i]};
    if (!load_program(suite->cli, paths[i], &file->loaded)) {
      ok = false;
      continue;
    }
    if (cover) file->cover = mem_alloc(file->loaded.bundle->code_count + 1);
    if (cover) memset(file->cover, 0, file->loaded.bundle->code_count + 1);
    file_cases(suite, file);
  }
  return ok;
}

static void suite_deinit(Suite *suite) {
  for (uint32_t i = 0; i < suite->count; i++) test_case_deinit(&suite->cases[i]);
  for (uint32_t i = 0; i < suite->file_count; i++) {
    mem_free(suite->files[i].cover);
    loaded_deinit(&suite->files[i].loaded);
  }
  mem_free(suite->cases);
  mem_free(suite->files);
}

/* ---- running --------------------------------------------------------------------- */

static void *suite_worker(void *context) {
  Suite *suite = context;
  for (;;) {
    uint32_t i = atomic_fetch_add(&suite->next, 1);
    if (i >= suite->count) return NULL;
    test_run(&suite->cases[i]);
  }
}

static void suite_run(Suite *suite, uint32_t threads) {
  pthread_t others[64];
  uint32_t started = 0;
  if (threads > suite->count) threads = suite->count;
  while (started + 1 < threads && started < COUNT_OF(others) &&
         pthread_create(&others[started], NULL, suite_worker, suite) == 0)
    started++;
  suite_worker(suite);
  for (uint32_t i = 0; i < started; i++) pthread_join(others[i], NULL);
}

/* ---- one result as text ------------------------------------------------------------ */

static Str name_of(const TestCase *t) { return bundle_text(t->bundle, t->bundle->tests[t->test].name); }

/* What went wrong, without place: one line or several. */
static void reason_put(const TestCase *t, Buf *out) {
  ErrorParts parts;
  if (t->crashed_at > 0)
    buf_format(out, "with a crash %s commit %u: ", t->crashed_at % 2 == 1 ? "right after" : "some time after",
               (t->crashed_at + 1) / 2);
  if (t->message.size > 0) buf_str(out, buf_view(&t->message));
  else if (!error_decode(buf_view(&t->error), &parts)) buf_format(out, "it ended as %s", run_status_word(t->status));
  else if (str_equal(parts.code, STR("expectation_failed"))) buf_str(out, parts.message);
  else buf_format(out, STR_FMT ": " STR_FMT, STR_ARG(parts.code), STR_ARG(parts.message));
}

static void failure_text(const TestCase *t, Buf *out, bool colour) {
  ErrorParts parts;
  AtPlace place;
  Buf reason = {0};
  reason_put(t, &reason);
  buf_format(out, "%sFAILED%s " STR_FMT " (%s)\n  " STR_FMT "\n", colour ? "\033[31m" : "", colour ? "\033[0m" : "",
             STR_ARG(name_of(t)), t->file, STR_ARG(buf_view(&reason)));
  if (error_decode(buf_view(&t->error), &parts) && at_parse(parts.at, &place)) {
    buf_format(out, "  at " STR_FMT ":%u:%u\n", STR_ARG(place.path), place.line, place.column);
    report_source_line(out, t->bundle, place.path, place.line, place.column);
  }
  if (t->printed.size > 0) buf_format(out, "  it printed:\n" STR_FMT, STR_ARG(buf_view(&t->printed)));
  buf_deinit(&reason);
}

static void passed_text(const TestCase *t, Buf *out, bool colour) {
  buf_format(out, "%sok%s     " STR_FMT, colour ? "\033[32m" : "", colour ? "\033[0m" : "", STR_ARG(name_of(t)));
  if (t->crash_points > 0) buf_format(out, " (%u crashes survived)", t->crash_points);
  buf_byte(out, '\n');
}

static void result_json(const TestCase *t, Buf *out) {
  ErrorParts parts;
  Buf reason = {0};
  bool error = error_decode(buf_view(&t->error), &parts) && !t->passed;
  if (!t->passed) reason_put(t, &reason);
  buf_byte(out, '{');
  json_text(out, "test", name_of(t));
  json_text(out, "file", str_of(t->file));
  json_text(out, "status", t->passed ? STR("passed") : STR("failed"));
  json_number(out, "ms", (uint64_t)(t->took_us / 1000));
  json_number(out, "crashes", t->crash_points);
  json_text(out, "message", buf_view(&reason));
  json_text(out, "at", error ? parts.at : (Str){0});
  buf_text(out, "}\n");
  buf_deinit(&reason);
}

/* ---- JUnit ------------------------------------------------------------------------- */

/* U+FFFE and U+FFFF. */
static bool no_character(Str text, size_t i) {
  return text.size - i >= 3 && memcmp(text.at + i, "\xef\xbf", 2) == 0 && (unsigned char)text.at[i + 2] >= 0xbe;
}

/* XML 1.0 has no place for most control characters, even written as numbers, and for two others. */
static void xml_put(Buf *out, Str text) {
  for (size_t i = 0; i < text.size; i++) {
    char c = text.at[i];
    if (no_character(text, i)) {
      buf_byte(out, '?');
      i += 2;
      continue;
    }
    if (c == '<') buf_text(out, "&lt;");
    else if (c == '>') buf_text(out, "&gt;");
    else if (c == '&') buf_text(out, "&amp;");
    else if (c == '"') buf_text(out, "&quot;");
    else if (c == '\n') buf_text(out, "&#10;");
    else if ((unsigned char)c < 0x20 && c != '\t') buf_byte(out, '?');
    else buf_byte(out, (uint8_t)c);
  }
}

static void junit_case(const TestCase *t, Buf *out) {
  Buf reason = {0};
  buf_text(out, "    <testcase classname=\"");
  xml_put(out, str_of(t->file));
  buf_text(out, "\" name=\"");
  xml_put(out, name_of(t));
  buf_format(out, "\" time=\"%.3f\"", (double)t->took_us / 1e6);
  if (t->passed) {
    buf_text(out, "/>\n");
    return;
  }
  reason_put(t, &reason);
  buf_text(out, ">\n      <failure message=\"");
  xml_put(out, buf_view(&reason));
  buf_text(out, "\">");
  buf_clear(&reason);
  failure_text(t, &reason, false);
  xml_put(out, buf_view(&reason));
  buf_text(out, "</failure>\n    </testcase>\n");
  buf_deinit(&reason);
}

static bool junit_write(const Suite *suite, const char *path, Err *err) {
  Buf out = {0};
  buf_text(&out, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n");
  for (uint32_t f = 0; f < suite->file_count; f++) {
    uint32_t tests = 0, failures = 0;
    int64_t took = 0;
    for (uint32_t i = 0; i < suite->count; i++) {
      if (suite->cases[i].file != suite->files[f].path) continue;
      tests++;
      failures += !suite->cases[i].passed;
      took += suite->cases[i].took_us;
    }
    buf_text(&out, "  <testsuite name=\"");
    xml_put(&out, str_of(suite->files[f].path));
    buf_format(&out, "\" tests=\"%u\" failures=\"%u\" time=\"%.3f\">\n", tests, failures, (double)took / 1e6);
    for (uint32_t i = 0; i < suite->count; i++)
      if (suite->cases[i].file == suite->files[f].path) junit_case(&suite->cases[i], &out);
    buf_text(&out, "  </testsuite>\n");
  }
  buf_text(&out, "</testsuites>\n");
  bool ok = file_write(path, buf_view(&out), err);
  buf_deinit(&out);
  return ok;
}

/* ---- coverage ------------------------------------------------------------------------ */

static void cover_line(void *context, const CoverFile *file, Str missing) {
  Cli *cli = context;
  double percent = file->lines > 0 ? 100.0 * file->reached / file->lines : 100.0;
  if (cli->json) {
    buf_byte(&cli->out, '{');
    json_text(&cli->out, "cover", file->path);
    json_number(&cli->out, "lines", file->lines);
    json_number(&cli->out, "reached", file->reached);
    json_text(&cli->out, "missing", missing);
    buf_text(&cli->out, "}\n");
    return;
  }
  buf_format(&cli->out, "%5.1f%% of " STR_FMT " (%u of %u lines)", percent, STR_ARG(file->path), file->reached,
             file->lines);
  if (missing.size > 0) buf_format(&cli->out, "; not reached: " STR_FMT, STR_ARG(missing));
  buf_byte(&cli->out, '\n');
}

static void cover_put(Suite *suite) {
  for (uint32_t i = 0; i < suite->file_count; i++)
    if (suite->files[i].cover != NULL)
      cover_report(suite->files[i].loaded.bundle, suite->files[i].cover, cover_line, suite->cli);
}

/* ---- all of it ------------------------------------------------------------------------- */

static uint32_t results_put(Suite *suite) {
  Cli *cli = suite->cli;
  uint32_t failed = 0;
  for (uint32_t i = 0; i < suite->count; i++) {
    const TestCase *t = &suite->cases[i];
    failed += !t->passed;
    if (cli->json) result_json(t, &cli->out);
    else if (t->passed) passed_text(t, &cli->out, cli->colour);
    else failure_text(t, &cli->out, cli->colour);
  }
  return failed;
}

static int suite_report(Suite *suite, bool loaded, int64_t took_us) {
  Cli *cli = suite->cli;
  Err err = {0};
  uint32_t failed = results_put(suite);
  cover_put(suite);
  const char *junit = cli->args.values[OPTION_JUNIT];
  if (junit != NULL && !junit_write(suite, junit, &err)) return output_err(cli, &err);
  if (!cli->json)
    buf_format(&cli->out, "%u passed, %u failed in %.2f s\n", suite->count - failed, failed, (double)took_us / 1e6);
  if (suite->count == 0 && loaded)
    return output_error(cli, EXIT_FAILED,
                        suite->left_out > 0 ? "no test's name contains that"
                                            : "there is no `test \"…\":` in these files");
  return failed > 0 || !loaded ? EXIT_FAILED : EXIT_DONE;
}

static bool threads_read(Cli *cli, uint32_t *threads, int *status) {
  int64_t n = sysconf(_SC_NPROCESSORS_ONLN);
  const char *wanted = cli->args.values[OPTION_THREADS];
  if (wanted != NULL && (!int_parse(str_of(wanted), &n) || n < 1 || n > 64)) {
    *status = output_error(cli, EXIT_USAGE, "--threads takes a number from 1 to 64");
    return false;
  }
  *threads = n < 1 ? 1 : n > 64 ? 64 : (uint32_t)n;
  return true;
}

static int test_files(Cli *cli, const char *const *paths, uint32_t count) {
  Suite suite = {.cli = cli};
  uint32_t threads;
  int status;
  if (!threads_read(cli, &threads, &status)) return status;
  int64_t began = clock_monotonic_us();
  bool loaded = suite_load(&suite, paths, count);
  suite_run(&suite, threads);
  status = suite_report(&suite, loaded, clock_monotonic_us() - began);
  suite_deinit(&suite);
  return status;
}

int verb_test(Cli *cli) {
  if (cli->args.word_count > 0) return test_files(cli, cli->args.words, cli->args.word_count);
  Sources sources = {0};
  sources_here(&sources);
  int status = sources.count > 0 ? test_files(cli, (const char *const *)sources.at, sources.count)
                                 : output_error(cli, EXIT_FAILED, "there is no .z8 file in this folder");
  sources_deinit(&sources);
  return status;
}
