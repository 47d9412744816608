/* An agent instance as a page: folded here, by the code that is active, from what is committed. Nothing is changed. */
#include "vm/cli/stream_page.h"

#include "vm/base/cbor.h"
#include "vm/base/hash.h"
#include "vm/base/text.h"
#include "vm/journal/chain.h"
#include "vm/journal/journal.h"
#include "vm/journal/record.h"
#include "vm/run/decider.h"
#include "vm/runtime/agents.h"

enum { EVENTS_SHOWN = 10 };

/* ---- finding ----------------------------------------------------------------------- */

/* As the bus makes it: another tenant's keys have its name and a tab before them. */
static void key_make(const Cli *cli, const char *word, Buf *out) {
  const char *tenant = cli->args.values[OPTION_TENANT];
  if (tenant != NULL && strcmp(tenant, "default") != 0) buf_format(out, "%s\t", tenant);
  buf_text(out, word);
}

static bool may_be_id(const char *word) { return word[strspn(word, "0123456789abcdefABCDEF-")] == 0; }

bool named_find(Cli *cli, const char *word, Named *out, Err *err) {
  Buf key = {0};
  Err run = {0};
  bool tenant = args_has(&cli->args, OPTION_TENANT);
  *out = (Named){0};
  if (!utf8_valid(str_of(word)) || (tenant && !utf8_valid(str_of(cli->args.values[OPTION_TENANT])))) {
    FAIL(err, ERR_INVALID, "an argument is not UTF-8");
    return false;
  }
  if (!tenant && session_run(cli, word, &out->run, &out->keep, &run)) return true;
  if (run.code != ERR_NONE && run.code != ERR_NOT_FOUND && run.code != ERR_INVALID) {
    *err = run;
    return false;
  }
  key_make(cli, word, &key);
  buf_clear(&out->keep);
  out->stream = store_stream_find(node_store(cli->node), buf_view(&key), &out->row, &out->keep, err);
  buf_deinit(&key);
  if (out->stream || err->code != ERR_NOT_FOUND) return out->stream;
  if (run.code == ERR_INVALID && may_be_id(word)) *err = run;
  else if (tenant) FAIL(err, ERR_NOT_FOUND, "%s has no agent instance %s", cli->args.values[OPTION_TENANT], word);
  else
    FAIL(err, ERR_NOT_FOUND, "there is no run and no agent instance %s; `z8 runs` lists runs, and an instance's name "
         "is its key with the prefix of its router: account-ada", word);
  return false;
}

void named_deinit(Named *named) { buf_deinit(&named->keep); }

/* ---- records ------------------------------------------------------------------------ */

typedef struct Records {
  bool (*each)(void *context, const Record *record);
  void *context;
  Err *err;
  bool ok;
} Records;

static bool records_row(void *context, const LogRow *row) {
  Records *r = context;
  Str rest = row->bytes, bytes;
  Record record;
  bool broken = false;
  while (frame_next(&rest, &bytes, &broken)) {
    r->ok = record_decode(bytes, &record, r->err);
    if (!r->ok) return false;
    if (!r->each(r->context, &record)) return false;
  }
  if (broken) FAIL(r->err, ERR_CORRUPT, "a row of the stream cannot be read");
  r->ok = !broken;
  return r->ok;
}

bool stream_records(Store *store, uint64_t stream, bool (*each)(void *context, const Record *record), void *context,
                    Err *err) {
  Records r = {each, context, err, true};
  return store_stream_read(store, stream, 0, records_row, &r, err) && r.ok;
}

/* ---- the page ------------------------------------------------------------------------- */

typedef struct StreamPage {
  Cli *cli;
  Decider *decider; /* NULL: it cannot be folded, and note says why */
  Str agent, tenant; /* agent: in agent_keep */
  Buf agent_keep, state, meta, note;
  int64_t began_us;
  uint64_t version; /* events */
  uint64_t shown;   /* the first event that is listed */
  Record_ACCEPTED command; /* of the record in hand */
} StreamPage;

static void unfoldable(StreamPage *page, const char *text) {
  decider_free(page->decider);
  page->decider = NULL;
  buf_text(&page->note, text);
}

/* The active bundle's code for it. */
static void decider_begin(StreamPage *page) {
  const Program *program;
  Hash256 active;
  Err err = {0};
  if (!app_stored_bundle(node_store(page->cli->node), &active) ||
      !node_program(page->cli->node, active, &program, &err)) {
    unfoldable(page, err.code != ERR_NONE ? err.text : "no application is active here");
    return;
  }
  const Bundle *b = program_bundle(program);
  for (uint32_t i = 0; i < b->agent_count; i++) {
    if (!str_equal(bundle_text(b, b->agents[i].name), page->agent)) continue;
    page->decider = decider_new(program);
    if (!decider_load(page->decider, i, (Str){0}, &err)) unfoldable(page, err.text);
    return;
  }
  unfoldable(page, "the active program has no such agent");
}

static void event_fold(StreamPage *page, const Record_HAPPENED *e) {
  const Record_ACCEPTED *c = &page->command;
  Accepted accepted = {.id = c->id, .causation = c->causation, .correlation = c->correlation, .actor = c->actor,
                       .tenant = page->tenant, .metadata = c->metadata, .at_us = c->at};
  Err err = {0};
  if (page->decider == NULL) return;
  buf_clear(&page->meta);
  command_meta(&accepted, &page->meta);
  if (!decider_fold(page->decider, e->type, e->version, e->data, buf_view(&page->meta), &err)) {
    err_context(&err, "event %" PRIu64 " (" STR_FMT ")", e->number, STR_ARG(e->type));
    unfoldable(page, err.text);
  }
}

/* The first walk. Strs of a record live until the row's end, and a command and its events stand in one row. */
static bool fold_record(void *context, const Record *r) {
  StreamPage *page = context;
  if (r->kind == RECORD_STREAM) {
    buf_str(&page->agent_keep, r->STREAM.agent);
    page->agent = buf_view(&page->agent_keep);
    page->began_us = r->STREAM.at;
    decider_begin(page);
  } else if (r->kind == RECORD_ACCEPTED) {
    page->command = r->ACCEPTED;
  } else if (r->kind == RECORD_HAPPENED) {
    page->version = r->HAPPENED.number;
    event_fold(page, &r->HAPPENED);
  }
  return true;
}

static void event_json(StreamPage *page, const Record_HAPPENED *e) {
  Buf *out = &page->cli->out;
  char id[37], command[37];
  uuid_text(e->id, id);
  uuid_text(page->command.id, command);
  if (out->at[out->size - 1] == '}') buf_byte(out, ',');
  buf_byte(out, '{');
  json_number(out, "number", e->number);
  json_text(out, "event", e->type);
  json_number(out, "version", e->version);
  json_value(out, "data", e->data);
  json_text(out, "id", str_of(id));
  json_text(out, "command", str_of(command));
  json_text(out, "command_type", page->command.type);
  json_text(out, "actor", page->command.actor);
  json_time(out, "at", page->command.at);
  buf_byte(out, '}');
}

static void event_text(StreamPage *page, const Record_HAPPENED *e) {
  Buf *out = &page->cli->out, data = {0}, at = {0};
  Err ignored;
  if (!cbor_to_json(e->data, &data, &ignored)) buf_clear(&data);
  time_print(page->command.at, &at);
  buf_format(out, "%6s%-5" PRIu64 " " STR_FMT, "#", e->number, STR_ARG(e->type));
  if (e->version > 1) buf_format(out, " version %" PRIu64, e->version);
  buf_format(out, " " STR_FMT "\n             " STR_FMT " by " STR_FMT " at " STR_FMT "\n", STR_ARG(buf_view(&data)),
             STR_ARG(page->command.type), STR_ARG(page->command.actor), STR_ARG(buf_view(&at)));
  buf_deinit(&data);
  buf_deinit(&at);
}

/* The second. */
static bool list_record(void *context, const Record *r) {
  StreamPage *page = context;
  if (r->kind == RECORD_ACCEPTED) page->command = r->ACCEPTED;
  if (r->kind != RECORD_HAPPENED || r->HAPPENED.number < page->shown) return true;
  if (page->cli->json) event_json(page, &r->HAPPENED);
  else event_text(page, &r->HAPPENED);
  return true;
}

static void state_json(const StreamPage *page, Buf *out) {
  Err ignored;
  if (page->state.size == 0 || !cbor_to_json(buf_view(&page->state), out, &ignored)) {
    buf_clear(out);
    buf_text(out, "null");
  }
}

static void head_put(StreamPage *page, Str key, Str state) {
  Buf *out = &page->cli->out, began = {0};
  if (page->cli->json) {
    buf_byte(out, '{');
    json_text(out, "key", key);
    json_text(out, "agent", page->agent);
    json_text(out, "tenant", page->tenant);
    json_number(out, "version", page->version);
    json_time(out, "began", page->began_us);
    json_text(out, "note", buf_view(&page->note));
    json_name(out, "state");
    buf_str(out, state);
    json_name(out, "events");
    buf_byte(out, '[');
    return;
  }
  time_print(page->began_us, &began);
  buf_format(out, "agent      " STR_FMT "\nkey        " STR_FMT "\ntenant     " STR_FMT "\nbegan      " STR_FMT
             "\nversion    %" PRIu64 "\n", STR_ARG(page->agent), STR_ARG(key), STR_ARG(page->tenant),
             STR_ARG(buf_view(&began)), page->version);
  if (page->note.size > 0)
    buf_format(out, "state      (cannot be folded: " STR_FMT ")\n", STR_ARG(buf_view(&page->note)));
  else
    buf_format(out, "state      " STR_FMT "\n", STR_ARG(state));
  buf_format(out, "\nthe last events (%" PRIu64 " of %" PRIu64 ")\n", page->version - page->shown + 1, page->version);
  buf_deinit(&began);
}

/* Key without its tenant. */
static Str key_of(const StreamRow *row, Str *tenant) {
  const char *tab = memchr(row->key.at, '\t', row->key.size);
  *tenant = tab != NULL ? (Str){row->key.at, (size_t)(tab - row->key.at)} : STR("default");
  return tab != NULL ? (Str){tab + 1, row->key.size - tenant->size - 1} : row->key;
}

int stream_inspect(Cli *cli, const StreamRow *row) {
  StreamPage page = {.cli = cli};
  Store *store = node_store(cli->node);
  Buf state = {0};
  Err err = {0};
  Str key = key_of(row, &page.tenant);
  bool ok = stream_records(store, row->number, fold_record, &page, &err);
  if (ok) {
    if (page.decider != NULL && !decider_save(page.decider, &page.state))
      unfoldable(&page, "the state is too large to be kept");
    state_json(&page, &state);
    page.shown = page.version > EVENTS_SHOWN ? page.version - EVENTS_SHOWN + 1 : 1;
    head_put(&page, key, buf_view(&state));
    ok = stream_records(store, row->number, list_record, &page, &err);
    if (cli->json) buf_text(&cli->out, "]}\n");
  }
  decider_free(page.decider);
  buf_deinit(&page.agent_keep);
  buf_deinit(&page.state);
  buf_deinit(&page.meta);
  buf_deinit(&page.note);
  buf_deinit(&state);
  return ok ? EXIT_DONE : output_err(cli, &err);
}
