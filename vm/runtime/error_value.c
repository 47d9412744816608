/* Errors as encoded values. */
#include "vm/runtime/error_value.h"

#include "vm/base/cbor.h"

void error_encode_data(Buf *out, Str code, Str message, Str data) {
  cbor_put_tag(out, CBOR_TAG_ERROR);
  cbor_put_array(out, 4);
  cbor_put_text(out, code);
  cbor_put_text(out, message);
  buf_str(out, data);
  cbor_put_nil(out);
}

void error_encode(Buf *out, Str code, Str message) { error_encode_data(out, code, message, STR("\xf6")); }

bool error_decode(Str value, ErrorParts *out) {
  CborReader r = cbor_reader(value);
  CborItem item;
  Err ignored;
  uint64_t count;
  if (!cbor_next(&r, &item, &ignored) || item.kind != CBOR_TAG || item.n != CBOR_TAG_ERROR)
    return false;
  if (!cbor_array(&r, &count, &ignored) || count < 3) return false;
  if (!cbor_text(&r, &out->code, &ignored) || !cbor_text(&r, &out->message, &ignored)) return false;
  if (!cbor_skip(&r, &out->data, &ignored)) return false;
  out->at = (Str){0};
  if (count > 3 && cbor_next(&r, &item, &ignored) && item.kind == CBOR_TEXT) out->at = item.bytes;
  return true;
}

void error_line_split(Str line, Str *code, Str *message) {
  size_t size = 0;
  while (size < line.size && ((line.at[size] >= 'a' && line.at[size] <= 'z') || line.at[size] == '_' ||
                              (line.at[size] >= '0' && line.at[size] <= '9')))
    size++;
  bool coded = size > 0 && (size == line.size || line.at[size] == ':');
  *code = coded ? (Str){line.at, size} : STR("job_dead");
  *message = coded ? (Str){line.at + size, line.size - size} : line;
  while (coded && message->size > 0 && (*message->at == ':' || *message->at == ' ')) message->at++, message->size--;
}
