/* Deterministic CBOR, written and read. Nothing here formats, allocates or recurses: a record is
** a few dozen of these calls and a million records go by in a second. */
#include "vm/base/cbor.h"
#include "lang/tables.h"
#include "vm/base/text.h"

enum {
  MAJOR_UINT,
  MAJOR_NEGINT,
  MAJOR_BYTES,
  MAJOR_TEXT,
  MAJOR_ARRAY,
  MAJOR_MAP,
  MAJOR_TAG,
  MAJOR_OTHER
};
enum { INFO_1 = 24, INFO_2, INFO_4, INFO_8 }; /* bytes of argument that follow the head */
enum { HEAD_FALSE = 0xf4, HEAD_TRUE, HEAD_NIL, HEAD_HALF = 0xf9, HEAD_SINGLE, HEAD_DOUBLE };
#define HALF_NAN 0x7e00

/* -- writing -- */

static inline void put_big_endian(char *p, uint64_t n, unsigned size) {
  for (unsigned i = 0; i < size; i++) p[i] = (char)(n >> (8 * (size - 1 - i)));
}

static inline void put_sized(Buf *out, unsigned head, uint64_t n, unsigned size) {
  char *p = buf_room(out, size + 1);
  if (UNLIKELY(!p)) return;
  *p = (char)head;
  put_big_endian(p + 1, n, size);
  out->size += size + 1;
}

static inline void put_head(Buf *out, unsigned major, uint64_t n) {
  unsigned head = major << 5;
  if (LIKELY(n < 24)) buf_byte(out, (uint8_t)(head | n));
  else if (n <= UINT8_MAX) put_sized(out, head | INFO_1, n, 1);
  else if (n <= UINT16_MAX) put_sized(out, head | INFO_2, n, 2);
  else if (n <= UINT32_MAX) put_sized(out, head | INFO_4, n, 4);
  else put_sized(out, head | INFO_8, n, 8);
}

void cbor_put_uint(Buf *out, uint64_t n) { put_head(out, MAJOR_UINT, n); }

void cbor_put_int(Buf *out, int64_t n) {
  if (n >= 0) put_head(out, MAJOR_UINT, (uint64_t)n);
  else put_head(out, MAJOR_NEGINT, ~(uint64_t)n);
}

void cbor_put_bytes(Buf *out, Str bytes) {
  put_head(out, MAJOR_BYTES, bytes.size);
  buf_put(out, bytes.at, bytes.size);
}

void cbor_put_text(Buf *out, Str utf8) {
  put_head(out, MAJOR_TEXT, utf8.size);
  buf_put(out, utf8.at, utf8.size);
}

void cbor_put_array(Buf *out, uint64_t count) { put_head(out, MAJOR_ARRAY, count); }
void cbor_put_tag(Buf *out, uint64_t tag) { put_head(out, MAJOR_TAG, tag); }
void cbor_put_bool(Buf *out, bool b) { buf_byte(out, b ? HEAD_TRUE : HEAD_FALSE); }
void cbor_put_nil(Buf *out) { buf_byte(out, HEAD_NIL); }

/* -- the three widths of a float, as bits -- */

static inline uint64_t bits_of_double(double f) {
  uint64_t bits;
  memcpy(&bits, &f, sizeof bits);
  return bits;
}

static inline double double_of_bits(uint64_t bits) {
  double f;
  memcpy(&f, &bits, sizeof f);
  return f;
}

/* Whether a double that is no NaN is exact with `exponent_bits` and `mantissa_bits`; *out gets
** the narrow form. Below the normal range the mantissa shifts right, and must lose only zeros. */
static inline bool narrow(uint64_t bits, unsigned exponent_bits, unsigned mantissa_bits,
                          uint64_t *out) {
  int bias = (1 << (exponent_bits - 1)) - 1;
  int exponent = (int)(bits >> 52 & 0x7ff);
  uint64_t mantissa = bits & 0xfffffffffffff, sign = bits >> 63 << (exponent_bits + mantissa_bits);
  unsigned drop = 52 - mantissa_bits;
  *out = sign;
  if (exponent == 0) return mantissa == 0; /* zero; a subnormal double is below both narrow forms */
  if (exponent == 0x7ff) {
    *out |= (((uint64_t)1 << exponent_bits) - 1) << mantissa_bits;
    return true; /* an infinity */
  }
  exponent += bias - 1023;
  if (exponent > 2 * bias) return false;
  if (exponent <= 0) {
    mantissa |= (uint64_t)1 << 52;
    drop += (unsigned)(1 - exponent);
    exponent = 0;
    if (drop > 52) return false;
  }
  *out |= (uint64_t)exponent << mantissa_bits | mantissa >> drop;
  return (mantissa & (((uint64_t)1 << drop) - 1)) == 0;
}

static inline bool narrow_to_half(uint64_t bits, uint64_t *out) { return narrow(bits, 5, 10, out); }
static inline bool narrow_to_single(uint64_t bits, uint64_t *out) {
  return narrow(bits, 8, 23, out);
}
static inline bool is_nan_bits(uint64_t bits) { return (bits << 1) > UINT64_C(0xffe0000000000000); }

static double widen_half(uint64_t half) {
  uint64_t sign = (half & 0x8000) << 48, exponent = half >> 10 & 0x1f, mantissa = half & 0x3ff;
  if (exponent == 0x1f) return double_of_bits(sign | UINT64_C(0x7ff) << 52 | mantissa << 42);
  if (exponent) return double_of_bits(sign | (exponent + 1023 - 15) << 52 | mantissa << 42);
  double f = (double)mantissa * 0x1p-24;
  return sign ? -f : f;
}

static double widen_single(uint64_t single) {
  uint32_t bits = (uint32_t)single;
  float f;
  memcpy(&f, &bits, sizeof f);
  return (double)f;
}

void cbor_put_float(Buf *out, double f) {
  uint64_t bits = bits_of_double(f), small;
  if (is_nan_bits(bits)) put_sized(out, HEAD_HALF, HALF_NAN, 2);
  else if (narrow_to_half(bits, &small)) put_sized(out, HEAD_HALF, small, 2);
  else if (narrow_to_single(bits, &small)) put_sized(out, HEAD_SINGLE, small, 4);
  else put_sized(out, HEAD_DOUBLE, bits, 8);
}

/* -- reading -- */

__attribute__((cold, noinline)) static bool refuse(const CborReader *r, Err *err, const char *why) {
  FAIL(err, ERR_CORRUPT, "CBOR at byte %zu: %s", (size_t)(r->at - r->start), why);
  return false;
}

/* The big-endian argument after the head; r->at stays at the head until all is well. */
static inline uint64_t argument(const uint8_t *p, unsigned size) {
  uint64_t n = 0;
  for (unsigned i = 0; i < size; i++) n = n << 8 | p[i];
  return n;
}

static bool next_float(CborReader *r, unsigned info, uint64_t n, CborItem *item, Err *err) {
  uint64_t small;
  item->kind = CBOR_FLOAT;
  if (info == INFO_2) {
    item->f = widen_half(n);
    if ((n & 0x7fff) > 0x7c00 && n != HALF_NAN) return refuse(r, err, "a NaN other than f97e00");
    return true;
  }
  item->f = info == INFO_4 ? widen_single(n) : double_of_bits(n);
  uint64_t bits = bits_of_double(item->f);
  if (is_nan_bits(bits)) return refuse(r, err, "a NaN other than f97e00");
  if (narrow_to_half(bits, &small) || (info == INFO_8 && narrow_to_single(bits, &small))) {
    return refuse(r, err, "a float longer than it needs to be");
  }
  return true;
}

static bool next_other(CborReader *r, unsigned info, uint64_t n, CborItem *item, Err *err) {
  if (info >= INFO_2) return next_float(r, info, n, item, err);
  switch (info | MAJOR_OTHER << 5) {
  case HEAD_FALSE:
  case HEAD_TRUE:
    item->kind = CBOR_BOOL;
    item->n = info & 1;
    return true;
  case HEAD_NIL: item->kind = CBOR_NIL; return true;
  default: return refuse(r, err, "a simple value that is not used");
  }
}

static bool next_string(CborReader *r, CborItem *item, const uint8_t **p, Err *err) {
  if (item->n > (uint64_t)(r->end - *p)) return refuse(r, err, "a string that goes past the end");
  item->bytes = (Str){(const char *)*p, (size_t)item->n};
  if (item->kind == CBOR_TEXT && !utf8_valid(item->bytes))
    return refuse(r, err, "text that is not UTF-8");
  *p += item->n;
  return true;
}

/* What a head and its argument mean; *p stands after them. */
static inline bool next_body(CborReader *r, unsigned major, CborItem *item, const uint8_t **p,
                             Err *err) {
  switch (major) {
  case MAJOR_UINT: item->kind = CBOR_UINT; return true;
  case MAJOR_NEGINT:
    item->kind = CBOR_NEGINT;
    return item->n <= INT64_MAX || refuse(r, err, "an integer below 64 bits");
  case MAJOR_BYTES: item->kind = CBOR_BYTES; return next_string(r, item, p, err);
  case MAJOR_TEXT: item->kind = CBOR_TEXT; return next_string(r, item, p, err);
  case MAJOR_ARRAY: /* an item takes a byte at least, so the count may be trusted for its size */
    item->kind = CBOR_ARRAY;
    return item->n <= (uint64_t)(r->end - *p) || refuse(r, err, "an array that goes past the end");
  case MAJOR_TAG: item->kind = CBOR_TAG; return true;
  default: return refuse(r, err, "a plain map, which is not used");
  }
}

static const uint64_t shortest_from[4] = {24, UINT64_C(1) << 8, UINT64_C(1) << 16,
                                          UINT64_C(1) << 32};

bool cbor_next(CborReader *r, CborItem *item, Err *err) {
  if (UNLIKELY(r->at >= r->end)) return refuse(r, err, "the end, where an item is expected");
  unsigned major = *r->at >> 5, info = *r->at & 0x1f;
  const uint8_t *p = r->at + 1;
  item->n = info;
  if (info >= INFO_1) {
    if (info > INFO_8) return refuse(r, err, "an indefinite or reserved length");
    unsigned size = 1u << (info - INFO_1);
    if ((size_t)(r->end - p) < size) return refuse(r, err, "a head cut short");
    item->n = argument(p, size);
    p += size;
    if (major != MAJOR_OTHER && item->n < shortest_from[info - INFO_1]) {
      return refuse(r, err, "a head longer than it needs to be");
    }
  }
  bool ok = major == MAJOR_OTHER ? next_other(r, info, item->n, item, err)
                                 : next_body(r, major, item, &p, err);
  if (LIKELY(ok)) r->at = p;
  return ok;
}

/* Reads an item of the wanted kind, or leaves the reader where it was. */
static bool next_of(CborReader *r, CborKind kind, const char *why, CborItem *item, Err *err) {
  const uint8_t *before = r->at;
  if (!cbor_next(r, item, err)) return false;
  if (LIKELY(item->kind == kind)) return true;
  r->at = before;
  return refuse(r, err, why);
}

bool cbor_uint(CborReader *r, uint64_t *n, Err *err) {
  CborItem item;
  if (!next_of(r, CBOR_UINT, "an unsigned integer is expected", &item, err)) return false;
  *n = item.n;
  return true;
}

bool cbor_int(CborReader *r, int64_t *n, Err *err) {
  CborItem item;
  const uint8_t *before = r->at;
  if (!cbor_next(r, &item, err)) return false;
  if ((item.kind != CBOR_UINT && item.kind != CBOR_NEGINT) || item.n > INT64_MAX) {
    r->at = before;
    return refuse(r, err, "an integer of 64 bits is expected");
  }
  *n = item.kind == CBOR_UINT ? (int64_t)item.n : -1 - (int64_t)item.n;
  return true;
}

bool cbor_text(CborReader *r, Str *text, Err *err) {
  CborItem item;
  if (!next_of(r, CBOR_TEXT, "text is expected", &item, err)) return false;
  *text = item.bytes;
  return true;
}

bool cbor_bytes(CborReader *r, Str *bytes, Err *err) {
  CborItem item;
  if (!next_of(r, CBOR_BYTES, "bytes are expected", &item, err)) return false;
  *bytes = item.bytes;
  return true;
}

bool cbor_array(CborReader *r, uint64_t *count, Err *err) {
  CborItem item;
  if (!next_of(r, CBOR_ARRAY, "an array is expected", &item, err)) return false;
  *count = item.n;
  return true;
}

/* Items still to come on each open level, instead of recursion. A tag is no level. What encloses
** a value (a record of the journal) may add a few levels to the value's own. */
bool cbor_skip(CborReader *r, Str *whole, Err *err) {
  uint64_t left[1024];
  const size_t deepest = LIMIT_VALUE_DEPTH + 8;
  const uint8_t *first = r->at;
  size_t depth = 0;
  ASSERT(deepest <= COUNT_OF(left));
  for (;;) {
    CborItem item;
    if (!cbor_next(r, &item, err)) return false;
    if (item.kind == CBOR_TAG) continue;
    if (item.kind == CBOR_ARRAY && item.n > 0) {
      if (depth == deepest) return refuse(r, err, "nesting that is too deep");
      left[depth++] = item.n;
      continue;
    }
    while (depth > 0 && --left[depth - 1] == 0) depth--;
    if (depth == 0) break;
  }
  if (whole) *whole = (Str){(const char *)first, (size_t)(r->at - first)};
  return true;
}

/* No level is kept: only how many items are still to come. */
bool cbor_pass(CborReader *r, Str *whole) {
  const uint8_t *p = r->at;
  for (uint64_t left = 1; left > 0; left--) {
    if (p >= r->end) return false;
    unsigned major = *p >> 5, info = *p & 0x1f;
    uint64_t n = info;
    p++;
    if (info >= INFO_1) {
      unsigned size = 1u << (info - INFO_1);
      if (info > INFO_8 || (size_t)(r->end - p) < size) return false;
      n = argument(p, size);
      p += size;
    }
    if (major == MAJOR_MAP || ((major == MAJOR_BYTES || major == MAJOR_TEXT || major == MAJOR_ARRAY) &&
                               n > (uint64_t)(r->end - p))) return false;
    if (major == MAJOR_BYTES || major == MAJOR_TEXT) p += n;
    else if (major == MAJOR_ARRAY) left += n;
    else if (major == MAJOR_TAG) left++;
  }
  *whole = (Str){(const char *)r->at, (size_t)(p - r->at)};
  r->at = p;
  return true;
}
