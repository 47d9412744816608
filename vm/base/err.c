/* Operating errors. The first FAIL wins the place; contexts are put before its text. */
#include "vm/base/err.h"
#include <stdarg.h>
#include <stdio.h>

void err_set(Err *err, ErrCode code, const char *file, int line, const char *format, ...) {
  if (!err) return;
  char text[sizeof err->text]; /* an argument may be err->text itself */
  va_list args;
  va_start(args, format);
  vsnprintf(text, sizeof text, format, args);
  va_end(args);
  err->code = code;
  err->file = file;
  err->line = line;
  memcpy(err->text, text, sizeof text);
}

void err_context(Err *err, const char *format, ...) {
  if (!err) return;
  char text[sizeof err->text], whole[2 * sizeof err->text + 2];
  va_list args;
  va_start(args, format);
  vsnprintf(text, sizeof text, format, args);
  va_end(args);
  snprintf(whole, sizeof whole, "%s: %s", text, err->text);
  memcpy(err->text, whole, sizeof err->text);
  err->text[sizeof err->text - 1] = 0;
}
