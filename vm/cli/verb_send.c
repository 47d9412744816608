/* z8 dispatch, view, enqueue: work for the application. */
#include <stdlib.h>

#include "vm/base/cbor.h"
#include "vm/base/json.h"
#include "vm/base/mem.h"
#include "vm/base/text.h"
#include "vm/cli/cli.h"
#include "vm/runtime/bus.h"
#include "vm/runtime/error_value.h"
#include "vm/runtime/jobs.h"

/* What a verb made of its arguments; kept while it works. */
typedef struct Sending {
  Command command;
  Str worker;
  Buf data, options, handlers;
} Sending;

static void sending_free(Sending *s) {
  buf_deinit(&s->data);
  buf_deinit(&s->options);
  buf_deinit(&s->handlers);
}

/* ---- options ----------------------------------------------------------------- */

static bool usage(Cli *cli, int *status, const char *text) {
  *status = output_error(cli, EXIT_USAGE, "%s", text);
  return false;
}

Str option_text(const Cli *cli, OptionId id) {
  return args_has(&cli->args, id) ? str_of(cli->args.values[id]) : (Str){0};
}

bool words_utf8(const Cli *cli) {
  for (uint32_t i = 0; i < OPTION_COUNT; i++) {
    if (cli->args.values[i] != NULL && !utf8_valid(str_of(cli->args.values[i]))) return false;
  }
  for (uint32_t i = 0; i < cli->args.word_count; i++) {
    if (!utf8_valid(str_of(cli->args.words[i]))) return false;
  }
  return true;
}

bool words_fit(const Cli *cli, Err *err) {
  if (!words_utf8(cli)) FAIL(err, ERR_INVALID, "an argument is not UTF-8");
  else if (!tenant_valid(option_text(cli, OPTION_TENANT)))
    FAIL(err, ERR_INVALID, "a tenant's name has at most 128 bytes and no control characters");
  else return true;
  return false;
}

static Str actor_of(const Cli *cli) {
  return args_has(&cli->args, OPTION_ACTOR) ? option_text(cli, OPTION_ACTOR) : str_of(session_user());
}

/* The fields, as a JSON object; none: {}. */
static bool fields_read(Cli *cli, uint32_t word, Buf *out, int *status) {
  Err err;
  Str json = cli->args.word_count > word ? str_of(cli->args.words[word]) : STR("{}");
  size_t at = 0;
  while (at < json.size && (json.at[at] == ' ' || json.at[at] == '\n' || json.at[at] == '\t')) at++;
  if (at == json.size || json.at[at] != '{')
    return usage(cli, status, "the fields are a JSON object: '{\"account_id\": \"a\", \"amount\": 50}'");
  if (cbor_from_json(json, out, &err)) return true;
  *status = output_error(cli, EXIT_USAGE, "the fields are not JSON: %s", err.text);
  return false;
}

static bool duration_option(Cli *cli, OptionId id, int64_t *us, int *status) {
  if (!args_has(&cli->args, id)) return true;
  if (duration_parse(option_text(cli, id), us) && *us > 0) return true;
  *status = output_error(cli, EXIT_USAGE, "--%s takes a duration, like 30s or 5m", option_info[id].name);
  return false;
}

/* "Mailer,Books" as an encoded array. */
static void handlers_encode(Str names, Buf *out) {
  uint64_t count = 1;
  for (size_t i = 0; i < names.size; i++) count += names.at[i] == ',';
  cbor_put_array(out, count);
  for (const char *at = names.at, *end = names.at + names.size; count > 0; count--) {
    const char *stop = memchr(at, ',', (size_t)(end - at));
    if (stop == NULL) stop = end;
    cbor_put_text(out, (Str){at, (size_t)(stop - at)});
    at = stop + 1;
  }
}

static void consistency_read(Cli *cli, Sending *s) {
  Str how = option_text(cli, OPTION_CONSISTENCY);
  s->command.consistency = CONSISTENCY_EVENTUAL;
  if (how.size == 0 || str_equal(how, STR("eventual"))) return;
  s->command.consistency = str_equal(how, STR("strong")) ? CONSISTENCY_STRONG : CONSISTENCY_HANDLERS;
  if (s->command.consistency == CONSISTENCY_STRONG) return;
  handlers_encode(how, &s->handlers);
  s->command.handlers = buf_view(&s->handlers);
}

static bool dispatch_read(Cli *cli, Sending *s, int *status) {
  int64_t version = ANY_VERSION;
  if (!words_utf8(cli)) return usage(cli, status, "an argument is not UTF-8");
  if (!fields_read(cli, 1, &s->data, status)) return false;
  if (args_has(&cli->args, OPTION_EXPECT) && (!int_parse(option_text(cli, OPTION_EXPECT), &version) || version < 0))
    return usage(cli, status, "--expect takes a version: how many events the agent has");
  s->command = (Command){.name = str_of(cli->args.words[0]),
                         .data = buf_view(&s->data),
                         .idempotency_key = option_text(cli, OPTION_KEY),
                         .expected_version = version,
                         .returning_state = args_has(&cli->args, OPTION_STATE),
                         .actor = actor_of(cli),
                         .tenant = option_text(cli, OPTION_TENANT)};
  consistency_read(cli, s);
  return duration_option(cli, OPTION_TIMEOUT, &s->command.timeout_us, status);
}

/* ---- answers ----------------------------------------------------------------- */

static void refusal_put(Cli *cli, Str error) {
  ErrorParts parts;
  if (cli->json) {
    buf_byte(&cli->out, '{');
    json_value(&cli->out, "error", error);
    buf_text(&cli->out, "}\n");
  } else if (error_decode(error, &parts)) {
    output_error(cli, EXIT_FAILED, "refused: " STR_FMT "%s" STR_FMT, STR_ARG(parts.code),
                 parts.message.size > 0 ? ": " : "", STR_ARG(parts.message));
  } else {
    output_error(cli, EXIT_FAILED, "refused");
  }
}

void output_answer(Cli *cli, Str value) {
  Err ignored;
  size_t before = cli->out.size;
  if (!cbor_to_json(value, &cli->out, &ignored)) {
    cli->out.size = before;
    buf_text(&cli->out, "null");
  }
  buf_byte(&cli->out, '\n');
}

static void answered(void *context, const CommandResult *result) {
  Later *later = context;
  if (result->ok) output_answer(later->cli, result->value);
  else refusal_put(later->cli, result->value);
  later_done(later, result->ok ? EXIT_DONE : EXIT_FAILED);
}

/* ---- the verbs --------------------------------------------------------------- */

static bool dispatch_begin(Later *later, App *app, Err *err) {
  Sending s = {0};
  int status = EXIT_DONE;
  bool read = dispatch_read(later->cli, &s, &status);
  bool ok = !read || bus_dispatch(app, &s.command, answered, later, err);
  sending_free(&s);
  if (!read) later_done(later, status);
  return ok;
}

int verb_dispatch(Cli *cli) { return later_run(cli, dispatch_begin); }

static bool view_args(Cli *cli, Buf *out, int *status) {
  Err err;
  cbor_put_array(out, cli->args.word_count - 3);
  for (uint32_t i = 3; i < cli->args.word_count; i++) {
    if (cbor_from_json(str_of(cli->args.words[i]), out, &err)) continue;
    *status = output_error(cli, EXIT_USAGE, "argument %u of the view is not JSON (a string needs quotes): %s", i - 2,
                           err.text);
    return false;
  }
  return true;
}

static bool view_begin(Later *later, App *app, Err *err) {
  Cli *cli = later->cli;
  Buf args = {0};
  int status = EXIT_DONE;
  bool read = words_utf8(cli) ? view_args(cli, &args, &status) : usage(cli, &status, "an argument is not UTF-8");
  bool ok = !read || bus_view(app, str_of(cli->args.words[0]), str_of(cli->args.words[1]),
                              str_of(cli->args.words[2]), buf_view(&args), option_text(cli, OPTION_TENANT), answered,
                              later, err);
  buf_deinit(&args);
  if (!read) later_done(later, status);
  return ok;
}

int verb_view(Cli *cli) { return later_run(cli, view_begin); }

static void option_put(Buf *out, uint64_t *count, const char *name) {
  *count += 1;
  cbor_put_text(out, str_of(name));
}

/* {schedule_in, at, priority} as jobs.h wants them. */
static bool job_options(Cli *cli, Buf *out, int *status) {
  Buf entries = {0};
  uint64_t count = 0;
  int64_t us = 0, priority = 0;
  bool ok = duration_option(cli, OPTION_IN, &us, status);
  if (ok && us > 0) {
    option_put(&entries, &count, "schedule_in");
    cbor_put_tag(&entries, CBOR_TAG_DURATION);
    cbor_put_int(&entries, us);
  }
  if (ok && args_has(&cli->args, OPTION_AT)) {
    ok = time_parse(option_text(cli, OPTION_AT), &us) || usage(cli, status, "--at takes a time: 2026-11-20T08:00:00Z");
    option_put(&entries, &count, "at");
    cbor_put_tag(&entries, CBOR_TAG_TIME);
    cbor_put_int(&entries, us);
  }
  if (ok && args_has(&cli->args, OPTION_PRIORITY)) {
    bool number = int_parse(option_text(cli, OPTION_PRIORITY), &priority) && priority >= 0 && priority <= 9;
    ok = number || usage(cli, status, "--priority takes a number from 0 (first) to 9");
    option_put(&entries, &count, "priority");
    cbor_put_int(&entries, priority);
  }
  cbor_put_tag(out, CBOR_TAG_MAP);
  cbor_put_array(out, count * 2);
  buf_str(out, buf_view(&entries));
  buf_deinit(&entries);
  return ok;
}

static void enqueued(void *context, bool ok, Str value) {
  Later *later = context;
  Cli *cli = later->cli;
  CborReader r = cbor_reader(value);
  Err ignored;
  Str id = {0};
  if (!ok) {
    refusal_put(cli, value);
  } else if (!cbor_text(&r, &id, &ignored)) {
    output_answer(cli, value);
  } else if (cli->json) {
    buf_byte(&cli->out, '{');
    json_text(&cli->out, "job", id);
    buf_text(&cli->out, "}\n");
  } else {
    buf_format(&cli->out, "job " STR_FMT "\n", STR_ARG(id));
  }
  later_done(later, ok ? EXIT_DONE : EXIT_FAILED);
}

static bool enqueue_begin(Later *later, App *app, Err *err) {
  Cli *cli = later->cli;
  Sending s = {0};
  int status = EXIT_DONE;
  if (!words_fit(cli, err)) return false;
  bool read = fields_read(cli, 1, &s.data, &status) && job_options(cli, &s.options, &status);
  bool ok = !read || jobs_enqueue(app, str_of(cli->args.words[0]), buf_view(&s.data), buf_view(&s.options),
                                  option_text(cli, OPTION_TENANT), actor_of(cli), enqueued, later, err);
  sending_free(&s);
  if (!read) later_done(later, status);
  return ok;
}

int verb_enqueue(Cli *cli) { return later_run(cli, enqueue_begin); }
