/* Bundle to canonical bytes: the layout is in format.h, the pools in sections.def. */
#include "vm/base/hash.h"
#include "vm/bundle/format.h"

static void put_fixed(Buf *out, uint32_t n) {
  uint8_t bytes[4] = {(uint8_t)n, (uint8_t)(n >> 8), (uint8_t)(n >> 16), (uint8_t)(n >> 24)};
  buf_put(out, bytes, sizeof bytes);
}

static void put_varint(Buf *out, uint64_t n) {
  for (; n >= 0x80; n >>= 7) buf_byte(out, (uint8_t)(n | 0x80));
  buf_byte(out, (uint8_t)n);
}

static void put_signed(Buf *out, int64_t n) {
  put_varint(out, ((uint64_t)n << 1) ^ (n < 0 ? UINT64_MAX : 0));
}

static void put_optional(Buf *out, uint32_t index) {
  put_varint(out, index == NONE_INDEX ? 0 : (uint64_t)index + 1);
}

static void put_bytes(Buf *out, Str bytes) {
  put_varint(out, bytes.size);
  buf_str(out, bytes);
}

static void put_float(Buf *out, double f) {
  uint64_t bits;
  memcpy(&bits, &f, sizeof bits);
  put_fixed(out, (uint32_t)bits);
  put_fixed(out, (uint32_t)(bits >> 32));
}

static void put_const(Buf *out, const BundleConst *c) {
  buf_byte(out, c->kind);
  switch ((ConstKind)c->kind) {
    case CONST_INT:
    case CONST_DURATION: put_signed(out, c->i); break;
    case CONST_FLOAT: put_float(out, c->f); break;
    case CONST_STRING:
    case CONST_BYTES:
    case CONST_DECIMAL: put_bytes(out, c->text); break;
    case CONST_NIL: break;
    case CONST_BOOL: buf_byte(out, c->i != 0); break;
  }
}

#define SECTION(pool, array, Type) static void put_##pool(Buf *out, const Type *item) {
#define TEXT(m) put_varint(out, item->m);
#define TEXT_OR(m) put_optional(out, item->m);
#define INDEX(m, pool) put_varint(out, item->m);
#define INDEX_OR(m, pool) put_optional(out, item->m);
#define RANGE(m, pool) put_varint(out, item->m.first), put_varint(out, item->m.count);
#define BYTE(m, max) buf_byte(out, item->m);
#define NUMBER(m, max) put_varint(out, item->m);
#define SIGNED(m) put_signed(out, item->m);
#define BODY(m) put_bytes(out, item->m);
#define END(pool) }
#include "vm/bundle/sections.def"
#undef SECTION
#undef TEXT
#undef TEXT_OR
#undef INDEX
#undef INDEX_OR
#undef RANGE
#undef BYTE
#undef NUMBER
#undef SIGNED
#undef BODY
#undef END

static void put_head(const Bundle *b, Buf *out) {
  buf_put(out, BUNDLE_MAGIC, 4);
  put_fixed(out, BUNDLE_FORMAT);
#define POOL(pool) put_fixed(out, b->pool##_count);
  BUNDLE_POOLS(POOL)
#undef POOL
  put_fixed(out, b->name);
  put_fixed(out, b->script);
}

static void put_pools(const Bundle *b, Buf *out) {
  for (uint32_t i = 0; i < b->code_count; i++) put_fixed(out, b->code[i]);
  for (uint32_t i = 0; i < b->const_count; i++) put_const(out, &b->consts[i]);
  for (uint32_t i = 0; i < b->index_count; i++) put_optional(out, b->indexes[i]);
  for (uint32_t i = 0; i < b->patch_count; i++) put_varint(out, b->patches[i]);
#define SECTION(pool, array, Type) \
  for (uint32_t i = 0; i < b->pool##_count; i++) put_##pool(out, &b->array[i]);
#define TEXT(m)
#define TEXT_OR(m)
#define INDEX(m, pool)
#define INDEX_OR(m, pool)
#define RANGE(m, pool)
#define BYTE(m, max)
#define NUMBER(m, max)
#define SIGNED(m)
#define BODY(m)
#define END(pool)
#include "vm/bundle/sections.def"
}

void bundle_write(Bundle *bundle, Buf *out) {
  size_t start = out->size;
  put_head(bundle, out);
  put_pools(bundle, out);
  if (!out->full) bundle->id = sha256((Str){out->at + start, out->size - start});
}
