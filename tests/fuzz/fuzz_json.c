/* Any bytes as JSON: refused with a place, or read, printed from the events, and read again to the
** same print. The encoded form must be canonical and print to a fixed point as well. */
#include <stdlib.h>
#include "vm/base/cbor.h"
#include "vm/base/json.h"
#include "vm/base/text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void print_scalar(const JsonReader *r, JsonEvent event, Buf *out) {
  switch (event) {
  case JSON_NAME:
  case JSON_STRING: json_put_string(out, r->string); break;
  case JSON_INT: int_print(r->integer, out); break;
  case JSON_FLOAT: float_print(r->number, out); break;
  case JSON_TRUE: buf_text(out, "true"); break;
  case JSON_FALSE: buf_text(out, "false"); break;
  case JSON_NULL: buf_text(out, "null"); break;
  case JSON_OBJECT: buf_byte(out, '{'); break;
  case JSON_ARRAY: buf_byte(out, '['); break;
  case JSON_OBJECT_END: buf_byte(out, '}'); break;
  case JSON_ARRAY_END: buf_byte(out, ']'); break;
  case JSON_END:
  case JSON_ERROR: break;
  }
}

/* Reads and prints without spaces; false when refused. */
static bool reprint(Str text, Buf *out) {
  JsonReader r;
  JsonEvent event;
  bool first = true;
  json_init(&r, text);
  for (;;) {
    event = json_next(&r);
    if (event == JSON_END || event == JSON_ERROR) break;
    bool closes = event == JSON_OBJECT_END || event == JSON_ARRAY_END;
    if (!first && !closes) buf_byte(out, ',');
    print_scalar(&r, event, out);
    if (event == JSON_NAME) buf_byte(out, ':');
    first = event == JSON_NAME || event == JSON_OBJECT || event == JSON_ARRAY;
  }
  uint32_t line = 0, column = 0;
  json_place(&r, &line, &column);
  if (line < 1 || column < 1 || (event == JSON_ERROR && !r.error)) abort();
  json_deinit(&r);
  return event == JSON_END;
}

static void check_encoded(Str text) {
  Buf bytes = {0}, json = {0}, again = {0}, last = {0};
  Err err;
  if (!cbor_from_json(text, &bytes, &err)) abort();
  CborReader r = cbor_reader(buf_view(&bytes));
  if (!cbor_skip(&r, NULL, &err) || r.at != r.end) abort();
  if (!cbor_to_json(buf_view(&bytes), &json, &err)) abort();
  if (!cbor_from_json(buf_view(&json), &again, &err) || !cbor_to_json(buf_view(&again), &last, &err)) abort();
  if (!str_equal(buf_view(&json), buf_view(&last)) || !str_equal(buf_view(&bytes), buf_view(&again))) abort();
  buf_deinit(&bytes);
  buf_deinit(&json);
  buf_deinit(&again);
  buf_deinit(&last);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  Str text = {(const char *)data, size};
  Buf once = {0}, twice = {0}, none = {0};
  Err err;
  if (reprint(text, &once)) {
    if (!reprint(buf_view(&once), &twice)) abort();
    if (!str_equal(buf_view(&once), buf_view(&twice))) abort();
    check_encoded(text);
  } else if (cbor_from_json(text, &none, &err) || none.size) {
    abort();
  }
  buf_deinit(&once);
  buf_deinit(&twice);
  buf_deinit(&none);
  return 0;
}
