/* The entries are copied, but for the one that is replaced. */
#include "vm/runtime/map_with.h"

#include "vm/base/cbor.h"

static bool pairs_begin(Str map, CborReader *r, uint64_t *count) {
  CborItem item;
  Err ignored;
  *r = cbor_reader(map);
  return cbor_next(r, &item, &ignored) && item.kind == CBOR_TAG && item.n == CBOR_TAG_MAP &&
         cbor_array(r, count, &ignored);
}

void map_with(Str map, Str name, Str value, Buf *out) {
  CborReader r;
  Buf pairs = {0};
  uint64_t count = 0, kept = 2;
  Err ignored;
  if (!pairs_begin(map, &r, &count)) {
    buf_str(out, map);
    return;
  }
  cbor_put_text(&pairs, name);
  size_t own = pairs.size;
  buf_str(&pairs, value);
  for (; count >= 2; count -= 2) {
    Str key, item;
    if (!cbor_skip(&r, &key, &ignored) || !cbor_skip(&r, &item, &ignored)) break;
    if (str_equal(key, (Str){pairs.at, own})) continue;
    buf_str(&pairs, key);
    buf_str(&pairs, item);
    kept += 2;
  }
  cbor_put_tag(out, CBOR_TAG_MAP);
  cbor_put_array(out, kept);
  buf_str(out, buf_view(&pairs));
  buf_deinit(&pairs);
}
