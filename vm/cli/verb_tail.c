/* z8 tail: follows the process that holds the directory. */
#include <unistd.h>

#include "vm/base/cbor.h"
#include "vm/cli/cli.h"
#include "vm/runtime/control.h"

typedef struct Follow {
  Cli *cli;
  int status;
  bool answered; /* the last frame came */
} Follow;

/* [descriptor, bytes], or an answer, the last one. */
static bool follow_frame(void *context, Str frame) {
  Follow *f = context;
  CborReader r = cbor_reader(frame);
  uint64_t count, number;
  Str bytes, errors;
  Err ignored;
  if (!cbor_array(&r, &count, &ignored) || !cbor_uint(&r, &number, &ignored) || !cbor_bytes(&r, &bytes, &ignored))
    return false;
  f->answered = count == 3 && cbor_bytes(&r, &errors, &ignored);
  if (f->answered) {
    f->status = (int)number;
    buf_str(&f->cli->out, bytes);
    buf_str(&f->cli->err, errors);
    return false;
  }
  buf_str(&f->cli->out, bytes);
  return output_flush(number == STDERR_FILENO ? STDERR_FILENO : STDOUT_FILENO, &f->cli->out);
}

static int nobody(Cli *cli) {
  return output_error(cli, EXIT_FAILED,
                      "nobody runs anything in %s: start `z8 serve`, `z8 run FILE` or `z8 recover`, and follow that",
                      cli->dir);
}

/* The process is gone, or this one's reader is. */
static int follow_over(Cli *cli, const Follow *f, bool stopped) {
  if (f->answered) return f->status;
  if (stopped) return EXIT_FAILED;
  bool one = cli->args.word_count > 0;
  return output_error(cli, one ? EXIT_FAILED : EXIT_DONE, "the process that held %s has ended%s", cli->dir,
                      one ? " before the run was over; `z8 recover` goes on with it" : "");
}

int verb_tail(Cli *cli) {
  Follow follow = {.cli = cli, .status = EXIT_FAILED};
  Buf request = {0};
  Err err = {0};
  session_request(cli, &request);
  bool stopped = control_follow(cli->dir, buf_view(&request), follow_frame, &follow, &err);
  buf_deinit(&request);
  return err.code != ERR_NONE ? nobody(cli) : follow_over(cli, &follow, stopped);
}
