/* What a refusal says. */
#include <stdarg.h>

#include "vm/run/decider_impl.h"

void words_deinit(Words *w) {
  buf_deinit(&w->code);
  buf_deinit(&w->message);
  buf_deinit(&w->data);
}

static void words_begin(Words *w, Str code) {
  buf_clear(&w->code);
  buf_clear(&w->message);
  buf_clear(&w->data);
  buf_str(&w->code, code);
}

static bool words_end(const Words *w, Refusal *out, bool fault) {
  *out = (Refusal){.code = buf_view(&w->code), .message = buf_view(&w->message), .fault = fault};
  if (w->data.size > 0) out->data = buf_view(&w->data);
  return false;
}

static bool words_say(Words *w, Refusal *out, bool fault, const char *code, const char *format, va_list args) {
  words_begin(w, str_of(code));
  buf_vformat(&w->message, format, args);
  return words_end(w, out, fault);
}

bool words_refuse(Words *w, Refusal *out, const char *code, const char *format, ...) {
  va_list args;
  va_start(args, format);
  words_say(w, out, false, code, format, args);
  va_end(args);
  return false;
}

bool words_fault(Words *w, Refusal *out, const char *code, const char *format, ...) {
  va_list args;
  va_start(args, format);
  words_say(w, out, true, code, format, args);
  va_end(args);
  return false;
}

/* Whether its code is one of the machine's own. */
bool error_is_fault(Value error) {
  Str code = error_code(error);
  for (int i = 0; i < FAULT_COUNT; i++) {
    if (str_equal(str_of(fault_info[i].code), code)) return true;
  }
  return false;
}

static void put_message(Value error, Buf *out) {
  if (str_equal(error_code(error), str_of(fault_info[FAULT_FUEL].code)))
    buf_format(out, "it takes more than %" PRIu64 " ticks; is a loop endless?", (uint64_t)LIMIT_DECIDE_TICKS);
  else buf_str(out, error_message(error));
}

static void put_place(Value error, Buf *out) {
  Str at = error_at(error);
  if (at.size > 0) buf_format(out, ", at " STR_FMT, STR_ARG(at));
}

void words_of_error(Value error, Buf *out) {
  buf_format(out, STR_FMT ": ", STR_ARG(error_code(error)));
  put_message(error, out);
  put_place(error, out);
}

bool words_error(Decider *d, Words *w, Refusal *out, Value error, const char *format, ...) {
  bool fault = error_is_fault(error);
  const char *why;
  words_begin(w, error_code(error));
  if (fault) {
    va_list args;
    va_start(args, format);
    buf_vformat(&w->message, format, args);
    va_end(args);
    buf_text(&w->message, ": ");
  }
  put_message(error, &w->message);
  if (fault) put_place(error, &w->message);
  if (error_data(error) != VALUE_NIL && !wire_put(d->m, error_data(error), &w->data, &why)) buf_clear(&w->data);
  return words_end(w, out, fault);
}
