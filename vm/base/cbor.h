/* Deterministic CBOR (RFC 8949 section 4.2.1): shortest heads, definite lengths.
** Writers append to a Buf; the reader walks bytes nobody vouches for and refuses
** what is not canonical. Floats take the shortest of half, single, double that is
** exact; NaN is f97e00. Maps of plain CBOR are not used (wire.h says why). */
#ifndef Z8_CBOR_H
#define Z8_CBOR_H
#include "vm/base/buf.h"
#include "vm/base/err.h"
#include "vm/base/text.h"
enum { CBOR_TAG_DECIMAL = 4, CBOR_TAG_MAP = 40010, CBOR_TAG_RECORD = 40011, CBOR_TAG_TIME = 40012,
       CBOR_TAG_DURATION = 40013, CBOR_TAG_HANDLE = 40014, CBOR_TAG_SEALED = 40015, CBOR_TAG_ERROR = 40016,
       CBOR_TAG_RANGE = 40017, CBOR_TAG_BLOB = 40020 /* bytes(32): stands for a value kept as a blob */,
       CBOR_TAG_KNOWN = 40021 /* bytes(16): stands for a value on record before, see vm/run/conversation.h */ };
void cbor_put_uint(Buf *out, uint64_t n);
void cbor_put_int(Buf *out, int64_t n);
void cbor_put_bytes(Buf *out, Str bytes);
void cbor_put_text(Buf *out, Str utf8);
void cbor_put_array(Buf *out, uint64_t count); /* then its items */
void cbor_put_tag(Buf *out, uint64_t tag);     /* then its item */
void cbor_put_float(Buf *out, double f);
void cbor_put_bool(Buf *out, bool b);
void cbor_put_nil(Buf *out);
/* Tag 4 [-scale, coefficient]; a coefficient past 64 bits is a bignum (tag 2 or 3, no leading zero bytes). */
void cbor_put_decimal(Buf *out, Decimal d);

typedef enum { CBOR_UINT, CBOR_NEGINT /* value -1 - n, n <= INT64_MAX */, CBOR_BYTES, CBOR_TEXT, CBOR_ARRAY,
               CBOR_TAG, CBOR_FLOAT, CBOR_BOOL, CBOR_NIL } CborKind;
typedef struct CborItem {
  CborKind kind;
  uint64_t n;  /* UINT, NEGINT, ARRAY's count, TAG's number, BOOL */
  double f;
  Str bytes;   /* BYTES, TEXT (valid UTF-8): points into the input */
} CborItem;
typedef struct CborReader {
  const uint8_t *at, *end, *start;
} CborReader;
static inline CborReader cbor_reader(Str bytes) {
  const uint8_t *p = (const uint8_t *)(bytes.at ? bytes.at : "");
  return (CborReader){p, p + bytes.size, p};
}
/* The next head (and string). An array's items and a tag's item follow as further calls. */
MUST_USE bool cbor_next(CborReader *r, CborItem *item, Err *err);
/* Typed shorthands; false if the next item is something else. */
MUST_USE bool cbor_uint(CborReader *r, uint64_t *n, Err *err);
MUST_USE bool cbor_int(CborReader *r, int64_t *n, Err *err);
MUST_USE bool cbor_text(CborReader *r, Str *text, Err *err);
MUST_USE bool cbor_bytes(CborReader *r, Str *bytes, Err *err);
MUST_USE bool cbor_array(CborReader *r, uint64_t *count, Err *err);
/* What follows tag 4, whose head has been read. */
MUST_USE bool cbor_decimal_body(CborReader *r, Decimal *d, Err *err);
/* Skips one whole item (depth at most LIMIT_VALUE_DEPTH and a few for what encloses it) and gives its bytes;
** whole may be NULL. */
MUST_USE bool cbor_skip(CborReader *r, Str *whole, Err *err);
/* The same without judging the item, and many times as fast: for what is only passed on the way to something else. What
** it gives is to be read with the functions above. False: it goes past the end. */
MUST_USE bool cbor_pass(CborReader *r, Str *whole);
/* An encoded language value (vm/core/wire.h) as JSON text, for the CLI and for requests. Sealed parts
** come out as "******", times as ISO 8601, durations as "5s", decimals as numbers, bytes as base64, records as
** objects, keys that are not text as the text of their JSON; nan and infinities fail. */
MUST_USE bool cbor_to_json(Str value, Buf *out, Err *err);
/* JSON text as an encoded language value. Of equal names the first gives the place and the last the value. */
MUST_USE bool cbor_from_json(Str json, Buf *out, Err *err);
/* A field of an encoded map or record; value.at == NULL when absent. The fields before it are not judged. */
Str cbor_map_get(Str map, Str key);
#endif
