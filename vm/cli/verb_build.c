/* z8 build and z8 disasm: bundles, as bytes and as text. */
#include <sys/stat.h>

#include "vm/base/file.h"
#include "vm/base/hash.h"
#include "vm/cli/cli.h"
#include "vm/core/verify.h"

/* DIR means its main.z8; none means this folder's. */
static void source_path(const Cli *cli, Buf *out) {
  struct stat info;
  const char *given = cli->args.word_count > 0 ? cli->args.words[0] : "main.z8";
  buf_text(out, given);
  if (stat(given, &info) == 0 && S_ISDIR(info.st_mode)) buf_text(out, "/main.z8");
  buf_byte(out, 0);
}

static void output_path(const Cli *cli, Str source, Buf *out) {
  if (args_has(&cli->args, OPTION_OUTPUT)) {
    buf_text(out, cli->args.values[OPTION_OUTPUT]);
  } else {
    bool plain = source.size > 3 && memcmp(source.at + source.size - 3, ".z8", 3) == 0;
    buf_str(out, plain ? (Str){source.at, source.size - 3} : source);
    buf_text(out, ".z8b");
  }
  buf_byte(out, 0);
}

static void build_report(Cli *cli, const Loaded *loaded, const char *file) {
  char id[65];
  hash256_text(loaded->bundle->id, id);
  if (!cli->json) {
    buf_format(&cli->out, "%s: %zu bytes, bundle %s\n", file, loaded->bytes.size, id);
    return;
  }
  buf_byte(&cli->out, '{');
  json_text(&cli->out, "bundle", str_of(id));
  json_text(&cli->out, "file", str_of(file));
  json_number(&cli->out, "bytes", loaded->bytes.size);
  buf_text(&cli->out, "}\n");
}

int verb_build(Cli *cli) {
  Buf source = {0}, target = {0};
  Loaded loaded = {0};
  Err err;
  int status = EXIT_FAILED;
  source_path(cli, &source);
  if (!load_program(cli, source.at, &loaded)) goto out;
  if (!verify_bundle(loaded.bundle, &err)) { /* nobody is given what no machine would run */
    output_err(cli, &err);
    goto out;
  }
  output_path(cli, str_of(source.at), &target);
  if (!file_write(target.at, buf_view(&loaded.bytes), &err)) {
    output_err(cli, &err);
    goto out;
  }
  build_report(cli, &loaded, target.at);
  status = EXIT_DONE;
out:
  loaded_deinit(&loaded);
  buf_deinit(&source);
  buf_deinit(&target);
  return status;
}

int verb_disasm(Cli *cli) {
  Loaded loaded = {0};
  int status = EXIT_FAILED;
  if (load_program(cli, cli->args.words[0], &loaded)) {
    bundle_dump(loaded.bundle, &cli->out);
    status = EXIT_DONE;
  }
  loaded_deinit(&loaded);
  return status;
}
