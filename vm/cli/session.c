/* The data directory of a verb: opened here, or the verb is carried out by the process that has it.
 */
#include <stdlib.h>
#include <unistd.h>

#include "vm/base/cbor.h"
#include "vm/base/hash.h"
#include "vm/base/mem.h"
#include "vm/cli/live.h"
#include "vm/runtime/control.h"

const char *session_dir(const Cli *cli) {
  const char *from_env = getenv("Z8_DIR");
  if (args_has(&cli->args, OPTION_DIR)) return cli->args.values[OPTION_DIR];
  return from_env != NULL && from_env[0] != 0 ? from_env : ".z8";
}

const char *session_user(void) {
  const char *user = getenv("USER");
  return user != NULL && user[0] != 0 && utf8_valid(str_of(user)) ? user : "operator";
}

/* ---- asking another process ---------------------------------------------- */

/* The other process may stand in another folder. */
static void option_encode(const Cli *cli, OptionId id, Buf *words) {
  Buf option = {0};
  const char *value = cli->args.values[id];
  char *here = id == OPTION_WITH && value[0] != '/' ? getcwd(NULL, 0) : NULL;
  buf_format(&option, "--%s", option_info[id].name);
  if (option_info[id].argument != NULL)
    buf_format(&option, "=%s%s%s", here ? here : "", here ? "/" : "", value);
  cbor_put_text(words, buf_view(&option));
  free(here);
  buf_deinit(&option);
}

/* The command line again, without what only concerns this process. */
void session_request(const Cli *cli, Buf *out) {
  Buf words = {0};
  uint64_t count = 1;
  cbor_put_text(&words, str_of(verb_info[cli->args.verb].name));
  for (uint32_t i = 0; i < OPTION_COUNT; i++) {
    if (!args_has(&cli->args, (OptionId)i) || i == OPTION_DIR) continue;
    option_encode(cli, (OptionId)i, &words);
    count++;
  }
  for (uint32_t i = 0; i < cli->args.word_count; i++, count++)
    cbor_put_text(&words, str_of(cli->args.words[i]));
  cbor_put_array(out, count);
  buf_str(out, buf_view(&words));
  buf_deinit(&words);
}

static bool answer_decode(Cli *cli, Str answer, int *status, Err *err) {
  CborReader r = cbor_reader(answer);
  uint64_t count, code;
  Str out, errors;
  if (!cbor_array(&r, &count, err) || !cbor_uint(&r, &code, err) || !cbor_bytes(&r, &out, err) ||
      !cbor_bytes(&r, &errors, err))
    return false;
  buf_str(&cli->out, out);
  buf_str(&cli->err, errors);
  *status = (int)code;
  return true;
}

static bool ask_holder(Cli *cli, int *status, Err *err) {
  Buf request = {0}, answer = {0};
  session_request(cli, &request);
  bool ok = control_ask(cli->dir, buf_view(&request), &answer, err) &&
            answer_decode(cli, buf_view(&answer), status, err);
  buf_deinit(&request);
  buf_deinit(&answer);
  return ok;
}

/* ---- being asked --------------------------------------------------------- */

typedef struct Words {
  char **at;
  uint32_t count;
} Words;

static bool request_decode(Str request, Words *words, Err *err) {
  CborReader r = cbor_reader(request);
  uint64_t count;
  Str word;
  if (!cbor_array(&r, &count, err)) return false;
  if (count > ARGS_WORDS_MAX) {
    FAIL(err, ERR_LIMIT, "too many words");
    return false;
  }
  words->at = mem_alloc((size_t)(count + 1) * sizeof(char *));
  for (uint64_t i = 0; i < count; i++) {
    if (!cbor_text(&r, &word, err)) return false;
    words->at[words->count] = mem_alloc(word.size + 1);
    memcpy(words->at[words->count++], word.at, word.size);
  }
  return true;
}

static bool may_be_asked(VerbId verb) {
  return verb == VERB_RUNS || verb == VERB_INSPECT || verb == VERB_LOG || verb == VERB_REPLAY ||
         verb == VERB_SIGNAL || verb == VERB_CANCEL || verb == VERB_RESOLVE || verb == VERB_DOCTOR ||
         verb == VERB_DISPATCH || verb == VERB_VIEW || verb == VERB_ENQUEUE || verb == VERB_JOBS ||
         verb == VERB_QUEUE || verb == VERB_DEAD || verb == VERB_TRACE || verb == VERB_CAUSES ||
         verb == VERB_EFFECTS || verb == VERB_HANDLERS || verb == VERB_APPROVALS || verb == VERB_APPROVE ||
         verb == VERB_DENY || verb == VERB_COSTS || verb == VERB_ASK;
}

static int guest_run(Cli *guest, const Words *words, Err *err) {
  if (!args_parse((int)words->count, (const char *const *)words->at, &guest->args, err))
    return EXIT_USAGE;
  if (may_be_asked(guest->args.verb)) return cli_dispatch(guest);
  if (guest->args.verb == VERB_TAIL && !guest->args.help) return EXIT_FOLLOW;
  FAIL(err, ERR_DENIED, "a running process does not do this for another");
  return EXIT_USAGE;
}

/* A verb carried out for another process, from its request to its answer. */
typedef struct Guest {
  Cli cli; /* first: later_done knows the guest by it */
  Words words;
  Control *control;
  ControlTicket ticket;
} Guest;

static void guest_answer(Guest *guest, int status, Buf *answer) {
  cbor_put_array(answer, 3);
  cbor_put_uint(answer, (uint64_t)status);
  cbor_put_bytes(answer, buf_view(&guest->cli.out));
  cbor_put_bytes(answer, buf_view(&guest->cli.err));
}

static void guest_free(Guest *guest) {
  for (uint32_t i = 0; i < guest->words.count; i++) mem_free(guest->words.at[i]);
  mem_free(guest->words.at);
  args_deinit(&guest->cli.args);
  buf_deinit(&guest->cli.out);
  buf_deinit(&guest->cli.err);
  mem_free(guest->cli.later);
  mem_free(guest);
}

static void guest_finished(Cli *cli, int status) {
  Guest *guest = (Guest *)(void *)cli;
  Buf answer = {0};
  guest_answer(guest, status, &answer);
  control_reply(guest->control, guest->ticket, buf_view(&answer));
  buf_deinit(&answer);
  guest_free(guest);
}

/* A follower needs no guest: its connection stays, and the live process feeds it. */
static bool guest_follows(Live *live, Guest *guest, int *status) {
  return guest->cli.args.verb == VERB_TAIL && followers_add(&live->followers, &guest->cli, status);
}

void session_control(void *context, Str request, Buf *answer) {
  Live *live = context;
  Guest *guest = MEM_NEW(Guest);
  Err err = {0};
  int status = EXIT_USAGE;
  guest->cli = (Cli){.node = live->cli->node, .scheduler = live->scheduler, .live = live};
  guest->control = scheduler_control(live->scheduler);
  if (request_decode(request, &guest->words, &err)) status = guest_run(&guest->cli, &guest->words, &err);
  if (status == EXIT_FOLLOW && guest_follows(live, guest, &status)) {
    guest_free(guest);
    return;
  }
  if (status == EXIT_LATER) {
    guest->ticket = control_defer(guest->control);
    later_detach(&guest->cli, guest_finished);
    return;
  }
  if (err.code != ERR_NONE) output_error(&guest->cli, status, "%s", err.text);
  guest_answer(guest, status, answer);
  guest_free(guest);
}

/* ---- opening ------------------------------------------------------------- */

enum { HOLD_TRIES = 100, HOLD_PAUSE_US = 20000 };

bool session_node(Cli *cli, const NodeOptions *options, Err *err) {
  for (int i = 0; i < HOLD_TRIES; i++) {
    if (node_open(options, &cli->node, err)) return true;
    if (err->code != ERR_BUSY || control_listens(cli->dir)) return false;
    usleep(HOLD_PAUSE_US);
  }
  return false;
}

SessionResult session_open(Cli *cli, int *status) {
  NodeOptions options = {.dir = cli->dir, .must_exist = true};
  Err err = {0}, asked = {0};
  if (cli->node != NULL || session_node(cli, &options, &err)) return SESSION_OPEN;
  if (err.code == ERR_BUSY && ask_holder(cli, status, &asked)) return SESSION_REMOTE;
  *status = output_err(cli, &err);
  return SESSION_FAILED;
}

void session_close(Cli *cli) {
  node_close(cli->node);
  cli->node = NULL;
}

/* ---- finding runs -------------------------------------------------------- */

typedef struct Last {
  uint64_t number;
} Last;

static bool last_row(void *context, const RunRow *row) {
  Last *last = context;
  if (row->parent == 0) last->number = row->number;
  return true;
}

bool session_run(Cli *cli, const char *name, RunRow *row, Buf *keep, Err *err) {
  Store *store = node_store(cli->node);
  Last last = {0};
  if (strcmp(name, "last") != 0) {
    if (store_run_find(store, str_of(name), row, keep, err)) return true;
    if (err->code == ERR_NOT_FOUND)
      FAIL(err, ERR_NOT_FOUND, "there is no run %s; `z8 runs` lists them", name);
    return false;
  }
  if (!store_run_each(store, 1, 0, last_row, &last, err)) return false;
  if (last.number != 0) return store_run_get(store, last.number, row, keep, err);
  FAIL(err, ERR_NOT_FOUND, "there are no runs yet");
  return false;
}
