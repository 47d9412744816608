/* Bytes nobody vouches for, to a bundle. Each member is bounded as it is read; the
** first thing that is wrong is kept with its place, and reading stops there.
**
** A pool is made only when the bytes left could hold that many items, so memory
** stays within a constant factor of the input. Texts point into one copy of it. */
#include "lang/tables.h"
#include "vm/base/hash.h"
#include "vm/base/text.h"
#include "vm/bundle/format.h"

typedef struct Reader {
  const uint8_t *at, *end, *start;
  Bundle *bundle;
  Err *err;
  bool failed;
  const char *pool; /* being read */
  uint32_t item;
} Reader;

static void reader_fail(Reader *r, const char *what) {
  if (r->failed) return;
  r->failed = true;
  FAIL(r->err, ERR_CORRUPT, "bundle: %s %" PRIu32 ", byte %zu: %s", r->pool, r->item,
       (size_t)(r->at - r->start), what);
}

static uint32_t get_fixed(Reader *r) {
  if (r->failed || r->end - r->at < 4) {
    reader_fail(r, "the bytes end here");
    return 0;
  }
  const uint8_t *p = r->at;
  r->at += 4;
  return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static uint8_t get_raw(Reader *r) {
  if (r->failed || r->at == r->end) {
    reader_fail(r, "the bytes end here");
    return 0;
  }
  return *r->at++;
}

static uint8_t get_byte(Reader *r, uint32_t max) {
  uint8_t byte = get_raw(r);
  if (byte > max) reader_fail(r, "a kind or flag that is not known");
  return r->failed ? 0 : byte;
}

static uint64_t get_varint(Reader *r) {
  uint64_t n = 0;
  for (uint32_t shift = 0;; shift += 7) {
    uint8_t byte = get_raw(r);
    if (r->failed) return 0;
    n |= (uint64_t)(byte & 0x7f) << shift;
    if (shift == 63 && byte > 1) break;
    if (byte < 0x80) {
      if (byte != 0 || shift == 0) return n;
      break;
    }
    if (shift == 63) break;
  }
  reader_fail(r, "a number is not in its shortest form");
  return 0;
}

static uint32_t get_number(Reader *r, uint32_t max) {
  uint64_t n = get_varint(r);
  if (n > max) reader_fail(r, "a number is too large");
  return r->failed ? 0 : (uint32_t)n;
}

static int64_t get_signed(Reader *r) {
  uint64_t n = get_varint(r);
  return (int64_t)((n >> 1) ^ (0 - (n & 1)));
}

static uint32_t get_index(Reader *r, uint32_t count) {
  uint64_t n = get_varint(r);
  if (n >= count) reader_fail(r, "an index is out of range");
  return r->failed ? 0 : (uint32_t)n;
}

static uint32_t get_index_or(Reader *r, uint32_t count) {
  uint64_t n = get_varint(r);
  if (n > count) reader_fail(r, "an index is out of range");
  return r->failed || n == 0 ? NONE_INDEX : (uint32_t)(n - 1);
}

static void check_text(Reader *r, uint32_t constant) {
  if (r->failed || constant == NONE_INDEX) return;
  if (r->bundle->consts[constant].kind != CONST_STRING) reader_fail(r, "a name is not a string");
}

static uint32_t get_text(Reader *r) {
  uint32_t n = get_index(r, r->bundle->const_count);
  check_text(r, n);
  return n;
}

static uint32_t get_text_or(Reader *r) {
  uint32_t n = get_index_or(r, r->bundle->const_count);
  check_text(r, n);
  return n;
}

static Range32 get_range(Reader *r, uint32_t count) {
  uint64_t first = get_varint(r), items = get_varint(r);
  if (first > count || items > count - first) reader_fail(r, "a range leaves its pool");
  return r->failed ? (Range32){0, 0} : (Range32){(uint32_t)first, (uint32_t)items};
}

static Str get_bytes(Reader *r) {
  uint64_t size = get_varint(r);
  if (!r->failed && size > (uint64_t)(r->end - r->at))
    reader_fail(r, "a text is longer than the bytes left");
  if (r->failed) return (Str){0};
  Str bytes = {(const char *)r->at, (size_t)size};
  r->at += size;
  return bytes;
}

static Str get_utf8(Reader *r) {
  Str text = get_bytes(r);
  if (!r->failed && !utf8_valid(text)) reader_fail(r, "a text is not UTF-8");
  return text;
}

static double get_float(Reader *r) {
  uint64_t low = get_fixed(r), bits = low | (uint64_t)get_fixed(r) << 32;
  bool nan = (bits & 0x7ff0000000000000) == 0x7ff0000000000000 && (bits & 0x000fffffffffffff) != 0;
  if (nan && bits != 0x7ff8000000000000) reader_fail(r, "a NaN is not the one NaN");
  double f;
  memcpy(&f, &bits, sizeof f);
  return f;
}

static void get_const(Reader *r, BundleConst *c) {
  Decimal decimal;
  c->kind = get_byte(r, CONST_BOOL);
  switch ((ConstKind)c->kind) {
    case CONST_INT:
    case CONST_DURATION: c->i = get_signed(r); break;
    case CONST_FLOAT: c->f = get_float(r); break;
    case CONST_STRING: c->text = get_utf8(r); break;
    case CONST_BYTES: c->text = get_bytes(r); break;
    case CONST_DECIMAL:
      c->text = get_utf8(r);
      if (!r->failed && !decimal_parse(c->text, &decimal))
        reader_fail(r, "a decimal cannot be read");
      break;
    case CONST_NIL: break;
    case CONST_BOOL: c->i = get_byte(r, 1); break;
  }
}

/* ---- pools ---- */

/* Room for `count` items of which each takes at least `least` bytes here. */
static void *pool_begin(Reader *r, Arena *arena, const char *pool, uint32_t count, size_t least,
                        size_t item_size) {
  r->pool = pool;
  r->item = 0;
  if (count > (size_t)(r->end - r->at) / least) reader_fail(r, "more items than bytes");
  return r->failed ? NULL : arena_alloc(arena, (size_t)count * item_size);
}

static void get_code(Reader *r, Arena *arena, Bundle *b) {
  b->code = pool_begin(r, arena, "code", b->code_count, 4, sizeof(uint32_t));
  for (uint32_t i = 0; !r->failed && i < b->code_count; i++) b->code[i] = get_fixed(r);
}

static void get_consts(Reader *r, Arena *arena, Bundle *b) {
  b->consts = pool_begin(r, arena, "const", b->const_count, 1, sizeof(BundleConst));
  for (; !r->failed && r->item < b->const_count; r->item++) get_const(r, &b->consts[r->item]);
}

static void get_indexes(Reader *r, Arena *arena, Bundle *b) {
  b->indexes = pool_begin(r, arena, "index", b->index_count, 1, sizeof(uint32_t));
  for (; !r->failed && r->item < b->index_count; r->item++) {
    b->indexes[r->item] = get_index_or(r, NONE_INDEX);
  }
  b->patches = pool_begin(r, arena, "patch", b->patch_count, 1, sizeof(uint32_t));
  for (; !r->failed && r->item < b->patch_count; r->item++) b->patches[r->item] = get_text(r);
}

#define SECTION(pool, array, Type)                              \
  static void get_##pool(Reader *r, Type *item) {               \
    const Bundle *b = r->bundle;                                \
    (void)b;
#define TEXT(m) item->m = get_text(r);
#define TEXT_OR(m) item->m = get_text_or(r);
#define INDEX(m, pool) item->m = get_index(r, b->pool##_count);
#define INDEX_OR(m, pool) item->m = get_index_or(r, b->pool##_count);
#define RANGE(m, pool) item->m = get_range(r, b->pool##_count);
#define BYTE(m, max) item->m = get_byte(r, max);
#define NUMBER(m, max) item->m = get_number(r, max);
#define SIGNED(m) item->m = get_signed(r);
#define BODY(m) item->m = get_utf8(r);
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

/* The least bytes an item can take: a byte each member, two a range. */
#define SECTION(pool, array, Type) enum { least_##pool = 0
#define TEXT(m) +1
#define TEXT_OR(m) +1
#define INDEX(m, pool) +1
#define INDEX_OR(m, pool) +1
#define RANGE(m, pool) +2
#define BYTE(m, max) +1
#define NUMBER(m, max) +1
#define SIGNED(m) +1
#define BODY(m) +1
#define END(pool) };
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

static void get_sections(Reader *r, Arena *arena, Bundle *b) {
#define SECTION(pool, array, Type)                                                     \
  b->array = pool_begin(r, arena, #pool, b->pool##_count, least_##pool, sizeof(Type)); \
  for (; !r->failed && r->item < b->pool##_count; r->item++) get_##pool(r, &b->array[r->item]);
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

static void get_head(Reader *r, Bundle *b) {
  r->pool = "head";
  if (r->end - r->at < 4 || memcmp(r->at, BUNDLE_MAGIC, 4) != 0) {
    reader_fail(r, "this is not a Z8 bundle");
    return;
  }
  r->at += 4;
  if (get_fixed(r) != BUNDLE_FORMAT) reader_fail(r, "a bundle format this z8 does not know");
#define POOL(pool) b->pool##_count = get_fixed(r);
  BUNDLE_POOLS(POOL)
#undef POOL
  b->name = get_fixed(r);
  b->script = get_fixed(r);
}

static void check_head(Reader *r, const Bundle *b) {
  r->pool = "head";
  r->item = 0;
  if (b->name >= b->const_count || b->script >= b->fn_count) {
    reader_fail(r, "an index is out of range");
  } else {
    check_text(r, b->name);
  }
  if (r->at != r->end) reader_fail(r, "bytes follow the bundle");
}

bool bundle_read(Str bytes, Arena *arena, Bundle *bundle, Err *err) {
  *bundle = (Bundle){0};
  if (bytes.size > LIMIT_BUNDLE_BYTES) {
    FAIL(err, ERR_CORRUPT, "bundle: larger than %" PRIu64 " bytes", LIMIT_BUNDLE_BYTES);
    return false;
  }
  Str copy = arena_str(arena, bytes);
  const uint8_t *p = (const uint8_t *)copy.at;
  Reader r = {.at = p, .end = p + copy.size, .start = p, .bundle = bundle, .err = err};
  get_head(&r, bundle);
  get_code(&r, arena, bundle);
  get_consts(&r, arena, bundle);
  get_indexes(&r, arena, bundle);
  get_sections(&r, arena, bundle);
  if (!r.failed) check_head(&r, bundle);
  if (r.failed || !bundle_wellformed(bundle, err)) return false;
  bundle->id = sha256(copy);
  return true;
}
