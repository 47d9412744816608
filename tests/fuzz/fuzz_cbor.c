/* Any bytes as CBOR: refused, or every item written again gives the same bytes. What is one whole
** item may also be looked into as a value: as JSON, by field, as a decimal. */
#include <stdlib.h>
#include "vm/base/cbor.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void put_item(Buf *out, const CborItem *item) {
  switch (item->kind) {
  case CBOR_UINT: cbor_put_uint(out, item->n); break;
  case CBOR_NEGINT: cbor_put_int(out, -1 - (int64_t)item->n); break;
  case CBOR_BYTES: cbor_put_bytes(out, item->bytes); break;
  case CBOR_TEXT: cbor_put_text(out, item->bytes); break;
  case CBOR_ARRAY: cbor_put_array(out, item->n); break;
  case CBOR_TAG: cbor_put_tag(out, item->n); break;
  case CBOR_FLOAT: cbor_put_float(out, item->f); break;
  case CBOR_BOOL: cbor_put_bool(out, item->n != 0); break;
  case CBOR_NIL: cbor_put_nil(out); break;
  }
}

/* As many items as can be read, written again. */
static void copy_items(Str bytes) {
  CborReader r = cbor_reader(bytes);
  CborItem item;
  Buf out = {0};
  Err err = {0};
  while (r.at < r.end && cbor_next(&r, &item, &err)) put_item(&out, &item);
  if (r.at < r.end && err.code != ERR_CORRUPT) abort();
  size_t read = (size_t)(r.at - r.start);
  if (!str_equal(buf_view(&out), (Str){bytes.at, read})) abort();
  buf_deinit(&out);
}

static void check_decimal(Str bytes) {
  CborReader r = cbor_reader(bytes);
  CborItem item;
  Decimal d;
  Buf out = {0};
  Err err;
  if (!cbor_next(&r, &item, &err) || item.kind != CBOR_TAG || item.n != CBOR_TAG_DECIMAL) return;
  if (!cbor_decimal_body(&r, &d, &err)) return;
  cbor_put_decimal(&out, d);
  if (!str_equal(buf_view(&out), (Str){bytes.at, (size_t)((const char *)r.at - bytes.at)})) abort();
  buf_deinit(&out);
}

static void check_value(Str bytes) {
  CborReader r = cbor_reader(bytes);
  Str whole;
  Buf json = {0}, back = {0};
  Err err = {0};
  if (!cbor_skip(&r, &whole, &err)) return;
  (void)cbor_map_get(whole, STR("a"));
  if (cbor_to_json(whole, &json, &err) && !cbor_from_json(buf_view(&json), &back, &err)) {
    if (err.code != ERR_INVALID) abort(); /* deeper than JSON may be */
  }
  buf_deinit(&json);
  buf_deinit(&back);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  Str bytes = {(const char *)data, size};
  copy_items(bytes);
  check_decimal(bytes);
  check_value(bytes);
  return 0;
}
