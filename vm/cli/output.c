/* Text and JSON on their way out. */
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>

#include "vm/base/cbor.h"
#include "vm/base/json.h"
#include "vm/base/text.h"
#include "vm/cli/cli.h"

bool output_colour(int fd) {
  const char *no = getenv("NO_COLOR");
  const char *term = getenv("TERM");
  if (no != NULL && no[0] != 0) return false;
  return isatty(fd) == 1 && (term == NULL || strcmp(term, "dumb") != 0);
}

bool output_flush(int fd, Buf *buf) {
  size_t at = 0;
  while (at < buf->size) {
    ssize_t n = write(fd, buf->at + at, buf->size - at);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) break;
    at += (size_t)n;
  }
  bool all = at == buf->size;
  buf_clear(buf);
  return all;
}

int output_error(Cli *cli, int status, const char *format, ...) {
  va_list args;
  buf_text(&cli->err, cli->colour_err ? "\033[1;31mz8:\033[0m " : "z8: ");
  va_start(args, format);
  buf_vformat(&cli->err, format, args);
  va_end(args);
  buf_byte(&cli->err, '\n');
  return status;
}

int output_err(Cli *cli, const Err *err) {
  int status = err->code == ERR_CORRUPT    ? EXIT_INTEGRITY
               : err->code == ERR_DIVERGED ? EXIT_DIVERGED
                                           : EXIT_FAILED;
  return output_error(cli, status, "%s", err->text);
}

void output_bold(Buf *out, bool colour, const char *text) {
  buf_format(out, colour ? "\033[1m%s\033[0m" : "%s", text);
}

void output_safe(Buf *out, Str text) {
  for (size_t i = 0; i < text.size; i++) {
    unsigned char c = (unsigned char)text.at[i];
    bool second = c == 0xc2 && i + 1 < text.size && (unsigned char)text.at[i + 1] < 0xa0; /* U+0080 to U+009F */
    if (second) i++;
    else if ((c >= 0x20 && c != 0x7f) || c == '\n' || c == '\t') buf_byte(out, c);
  }
}

void json_name(Buf *out, const char *name) {
  char last = out->size > 0 ? out->at[out->size - 1] : '{';
  if (last != '{' && last != '[') buf_byte(out, ',');
  json_put_string(out, str_of(name));
  buf_byte(out, ':');
}

void json_text(Buf *out, const char *name, Str value) {
  json_name(out, name);
  json_put_string(out, value);
}

void json_number(Buf *out, const char *name, uint64_t value) {
  json_name(out, name);
  buf_format(out, "%" PRIu64, value);
}

void json_time(Buf *out, const char *name, int64_t us) {
  Buf text = {0};
  json_name(out, name);
  if (us == 0) {
    buf_text(out, "null");
    return;
  }
  time_print(us, &text);
  json_put_string(out, buf_view(&text));
  buf_deinit(&text);
}

void json_value(Buf *out, const char *name, Str value) {
  Err ignored;
  json_name(out, name);
  size_t before = out->size;
  if (cbor_to_json(value, out, &ignored)) return;
  out->size = before;
  buf_text(out, "null");
}
