/* z8 doctor: is everything in order, here and on this machine? */
#include <dlfcn.h>
#include <stdarg.h>
#include <sys/statvfs.h>

#include "vm/base/hash.h"
#include "vm/cli/cli.h"
#include "vm/cli/model_keys.h"
#include "vm/runtime/app.h"
#include "vm/runtime/offline.h"
#include "vm/runtime/workers.h"

typedef struct Doctor {
  Cli *cli;
  uint64_t runs, records, images;
  bool broken, troubled;
} Doctor;

typedef enum { VERDICT_OK, VERDICT_NOTE, VERDICT_BROKEN } Verdict;

static void finding(Doctor *d, Verdict v, const char *check, const char *format, ...)
    PRINTF_LIKE(4, 5);
static void finding(Doctor *d, Verdict v, const char *check, const char *format, ...) {
  static const char *const words[] = {"ok", "note", "broken"};
  static const char *const colours[] = {"\033[32m", "\033[33m", "\033[1;31m"};
  Buf text = {0}, *out = &d->cli->out;
  va_list args;
  va_start(args, format);
  buf_vformat(&text, format, args);
  va_end(args);
  if (v == VERDICT_BROKEN) d->broken = true;
  if (d->cli->json) {
    buf_byte(out, '{');
    json_text(out, "check", str_of(check));
    json_text(out, "verdict", str_of(words[v]));
    json_text(out, "detail", buf_view(&text));
    buf_text(out, "}\n");
  } else {
    buf_format(out, "%s%-6s%s  %-10s %.*s\n", d->cli->colour ? colours[v] : "", words[v],
               d->cli->colour ? "\033[0m" : "", check, STR_ARG(buf_view(&text)));
  }
  buf_deinit(&text);
}

/* ---- the machine ------------------------------------------------------------------ */

static void library_check(Doctor *d, const char *name, const char *needed_for) {
  void *library = dlopen(name, RTLD_LAZY | RTLD_LOCAL);
  if (library != NULL) finding(d, VERDICT_OK, "library", "%s (%s)", name, needed_for);
  else finding(d, VERDICT_NOTE, "library", "%s is missing: %s will not work", name, needed_for);
  if (library != NULL) dlclose(library);
}

static void disk_check(Doctor *d) {
  struct statvfs disk;
  const char *dir = d->cli->dir;
  if (statvfs(dir, &disk) != 0) return;
  uint64_t free_mb = (uint64_t)disk.f_bavail * disk.f_frsize >> 20;
  finding(d, free_mb < 256 ? VERDICT_NOTE : VERDICT_OK, "disk", "%" PRIu64 " MB free for %s",
          free_mb, dir);
}

static void machine_check(Doctor *d) {
  finding(d, VERDICT_OK, "machine", "%u core%s", workers_cores(), workers_cores() == 1 ? "" : "s");
  library_check(d, "libcurl.so.4", "http");
  disk_check(d);
}

/* ---- the directory ------------------------------------------------------------------ */

static void chain_check(Doctor *d, const RunRow *row, const char *id) {
  uint64_t records = 0;
  Err err;
  if (journal_verify(node_store(d->cli->node), row->number, &records, &err)) d->records += records;
  else finding(d, VERDICT_BROKEN, "journal", "run %s: %s", id, err.text);
}

static void bundle_check(Doctor *d, const RunRow *row, const char *id) {
  const Program *program;
  Err err;
  if (!node_program(d->cli->node, row->bundle, &program, &err))
    finding(d, VERDICT_BROKEN, "bundle", "of run %s: %s", id, err.text);
}

/* An image of the latest state must belong to the end of the journal. An older one is only never
 * used. */
static void image_check(Doctor *d, const RunRow *row, const char *id) {
  ImageRow image;
  Buf keep = {0};
  Replayed r;
  Err err;
  if (store_image_get(node_store(d->cli->node), row->number, &image, &keep, &err)) {
    d->images++;
    bool used = row->status == RUN_STATUS_PARKED && image.seq + 1 == row->records;
    if (used && offline_replay(d->cli->node, row, NULL, false, &r, &err)) {
      Hash256 head = journal_head(run_journal(r.run));
      if (memcmp(&head, &image.head, sizeof head) != 0)
        finding(d, VERDICT_BROKEN, "image", "of run %s does not belong to its journal", id);
      run_free(r.run);
    }
  }
  buf_deinit(&keep);
}

static void status_check(Doctor *d, const RunRow *row, const char *id) {
  bool person = row->status == RUN_STATUS_STUCK || row->status == RUN_STATUS_DIVERGED;
  if (!person) return;
  d->troubled = true;
  finding(d, VERDICT_NOTE, "run", "%s is %s: " STR_FMT, id, run_status_word(row->status),
          STR_ARG(row->note));
}

static bool run_check(void *context, const RunRow *row) {
  Doctor *d = context;
  char id[37];
  uuid_text(row->id, id);
  d->runs++;
  chain_check(d, row, id);
  bundle_check(d, row, id);
  image_check(d, row, id);
  status_check(d, row, id);
  return true;
}

/* ---- models of the active program --------------------------------------------------- */

static void key_check(void *context, const ModelKey *key) {
  Doctor *d = context;
  Str provider = key->provider.size > 0 ? key->provider : STR("by the keys there are");
  if (key->variable.size == 0) {
    finding(d, VERDICT_OK, "model", STR_FMT " (" STR_FMT ") needs no key", STR_ARG(key->model), STR_ARG(provider));
  } else if (key->set) {
    finding(d, VERDICT_OK, "model", STR_FMT " (" STR_FMT "): " STR_FMT " is set", STR_ARG(key->model),
            STR_ARG(provider), STR_ARG(key->variable));
  } else {
    finding(d, VERDICT_NOTE, "model", STR_FMT " (" STR_FMT "): %s" STR_FMT " is not set", STR_ARG(key->model),
            STR_ARG(provider), key->provider.size == 0 ? "neither ANTHROPIC_API_KEY nor " : "", STR_ARG(key->variable));
  }
}

static void models_check(Doctor *d) {
  const Program *program;
  Hash256 bundle;
  Err ignored;
  if (app_stored_bundle(node_store(d->cli->node), &bundle) && node_program(d->cli->node, bundle, &program, &ignored))
    model_keys_each(d->cli->node, program_bundle(program), key_check, d);
}

static int directory_check(Doctor *d) {
  Err err = {0};
  if (!store_run_each(node_store(d->cli->node), 1, 0, run_check, d, &err)) {
    finding(d, VERDICT_BROKEN, "store", "%s", err.text);
  } else {
    finding(d, VERDICT_OK, "store", "%" PRIu64 " run%s, %" PRIu64 " records, %" PRIu64 " image%s",
            d->runs, d->runs == 1 ? "" : "s", d->records, d->images, d->images == 1 ? "" : "s");
  }
  models_check(d);
  return d->broken ? EXIT_INTEGRITY : EXIT_DONE;
}

int verb_doctor(Cli *cli) {
  Doctor d = {.cli = cli};
  NodeOptions options = {.dir = cli->dir, .must_exist = true};
  Err err = {0};
  int status;
  if (cli->node == NULL && !session_node(cli, &options, &err)) {
    if (err.code == ERR_BUSY && session_open(cli, &status) == SESSION_REMOTE) return status;
    machine_check(&d);
    if (err.code == ERR_NOT_FOUND)
      finding(&d, VERDICT_OK, "directory", "there is none yet at %s", cli->dir);
    else finding(&d, VERDICT_BROKEN, "directory", "%s", err.text);
    return err.code == ERR_CORRUPT ? EXIT_INTEGRITY : d.broken ? EXIT_FAILED : EXIT_DONE;
  }
  machine_check(&d);
  finding(&d, VERDICT_OK, "directory", "%s%s", cli->dir,
          cli->scheduler != NULL ? ", held by a running process" : "");
  return directory_check(&d);
}
