/* Encoded language values (vm/core/wire.h has the forms): decimals, a map's field, and values as
** JSON. Recursion here is at most LIMIT_VALUE_DEPTH deep. */
#include "lang/tables.h"
#include "vm/base/cbor.h"
#include "vm/base/hash.h"
#include "vm/base/json.h"

__extension__ typedef __int128 Wide;
__extension__ typedef unsigned __int128 UWide;

enum { TAG_BIGNUM = 2, TAG_BIGNUM_NEGATIVE = 3, DIGITS = 34, SCALE_MAX = 6144 };

static bool refuse(Err *err, const char *why) {
  FAIL(err, ERR_CORRUPT, "%s", why);
  return false;
}

/* -- decimals -- */

static void put_bignum(Buf *out, UWide n, bool minus) {
  char bytes[16];
  size_t at = sizeof bytes;
  for (; n; n >>= 8) bytes[--at] = (char)(uint8_t)n;
  cbor_put_tag(out, minus ? TAG_BIGNUM_NEGATIVE : TAG_BIGNUM);
  cbor_put_bytes(out, (Str){bytes + at, sizeof bytes - at});
}

void cbor_put_decimal(Buf *out, Decimal d) {
  Wide c = d.coefficient;
  cbor_put_tag(out, CBOR_TAG_DECIMAL);
  cbor_put_array(out, 2);
  cbor_put_int(out, -(int64_t)d.scale);
  if (c >= INT64_MIN && c <= INT64_MAX) cbor_put_int(out, (int64_t)c);
  else put_bignum(out, c < 0 ? ~(UWide)c : (UWide)c, c < 0);
}

static bool bignum(CborReader *r, bool minus, Wide *out, Err *err) {
  Str bytes;
  UWide n = 0;
  if (!cbor_bytes(r, &bytes, err)) return false;
  if (bytes.size < 8 || bytes.size > 15 || bytes.at[0] == 0)
    return refuse(err, "a bignum of a wrong size");
  for (size_t i = 0; i < bytes.size; i++) n = n << 8 | (uint8_t)bytes.at[i];
  if (n <= INT64_MAX) return refuse(err, "a bignum that is a plain integer");
  *out = minus ? -1 - (Wide)n : (Wide)n;
  return true;
}

bool cbor_decimal_body(CborReader *r, Decimal *d, Err *err) {
  uint64_t count;
  int64_t exponent, small;
  CborItem item;
  if (!cbor_array(r, &count, err)) return false;
  if (count != 2) return refuse(err, "a decimal that is not a pair");
  if (!cbor_int(r, &exponent, err)) return false;
  if (exponent > 0 || exponent < -SCALE_MAX) return refuse(err, "a decimal's scale out of range");
  CborReader ahead = *r;
  if (!cbor_next(&ahead, &item, err)) return false;
  if (item.kind == CBOR_TAG && (item.n == TAG_BIGNUM || item.n == TAG_BIGNUM_NEGATIVE)) {
    *r = ahead;
    if (!bignum(r, item.n == TAG_BIGNUM_NEGATIVE, &d->coefficient, err)) return false;
  } else {
    if (!cbor_int(r, &small, err)) return false;
    d->coefficient = small;
  }
  d->scale = (uint16_t)-exponent;
  return decimal_fits(*d) || refuse(err, "a decimal of more than 34 digits");
}

/* -- a field of a map or record -- */

/* The reader at the first pair of a map or record, and how many items the pairs are. */
static bool pairs_begin(CborReader *r, uint64_t tag, uint64_t *count, Err *err) {
  if (!cbor_array(r, count, err)) return false;
  if (tag == CBOR_TAG_RECORD) {
    if (*count < 2 || !cbor_skip(r, NULL, err) || !cbor_skip(r, NULL, err)) {
      return refuse(err, "a record without a name");
    }
    *count -= 2;
  }
  return *count % 2 == 0 || refuse(err, "a map with a key and no value");
}

/* Is the encoded item this text? */
static bool is_text(Str encoded, Str text) {
  size_t head = encoded.size - text.size;
  if (encoded.size <= text.size || memcmp(encoded.at + head, text.at, text.size) != 0) return false;
  CborReader r = cbor_reader(encoded);
  CborItem item;
  Err ignored;
  return cbor_next(&r, &item, &ignored) && item.kind == CBOR_TEXT && item.bytes.size == text.size;
}

Str cbor_map_get(Str map, Str key) {
  CborReader r = cbor_reader(map);
  CborItem item;
  Str name, value;
  uint64_t count;
  Err ignored;
  if (map.size == 0 || !cbor_next(&r, &item, &ignored) || item.kind != CBOR_TAG) return (Str){0};
  if (item.n != CBOR_TAG_MAP && item.n != CBOR_TAG_RECORD) return (Str){0};
  if (!pairs_begin(&r, item.n, &count, &ignored)) return (Str){0};
  for (; count > 0 && cbor_pass(&r, &name); count -= 2) {
    if (is_text(name, key)) return cbor_skip(&r, &value, &ignored) ? value : (Str){0};
    if (!cbor_pass(&r, &value)) break;
  }
  return (Str){0};
}

/* -- as JSON -- */

typedef struct Printer {
  CborReader r;
  Buf *out;
  Err *err;
  uint32_t depth;
} Printer;

static bool print_value(Printer *p);

static bool print_list(Printer *p, uint64_t count) {
  buf_byte(p->out, '[');
  for (uint64_t i = 0; i < count; i++) {
    if (i) buf_byte(p->out, ',');
    if (!print_value(p)) return false;
  }
  buf_byte(p->out, ']');
  return true;
}

/* A map's key is text, a bool, an int or a time. Anything else must be refused: a container as a key would be
** quoted once more at each level, and double in size each time. */
static bool key_sound(const CborItem *item, Err *err) {
  bool tagged = item->kind == CBOR_TAG && item->n == CBOR_TAG_TIME;
  bool plain = item->kind == CBOR_BOOL || item->kind == CBOR_UINT || item->kind == CBOR_NEGINT;
  return tagged || plain || refuse(err, "a map whose key is neither text nor bool, int or time");
}

/* JSON names are strings: a key of another kind is printed and then quoted. */
static bool print_key(Printer *p) {
  Buf *out = p->out, key = {0};
  CborReader ahead = p->r;
  CborItem item;
  if (!cbor_next(&ahead, &item, p->err)) return false;
  if (LIKELY(item.kind == CBOR_TEXT)) {
    p->r = ahead;
    json_put_string(out, item.bytes);
    return true;
  }
  if (!key_sound(&item, p->err)) return false;
  p->out = &key;
  bool ok = print_value(p);
  p->out = out;
  if (ok && key.size && key.at[0] == '"') buf_str(out, buf_view(&key));
  else if (ok) json_put_string(out, buf_view(&key));
  buf_deinit(&key);
  return ok;
}

static bool print_pairs(Printer *p, uint64_t tag) {
  uint64_t count;
  if (!pairs_begin(&p->r, tag, &count, p->err)) return false;
  buf_byte(p->out, '{');
  for (uint64_t i = 0; i < count; i += 2) {
    if (i) buf_byte(p->out, ',');
    if (!print_key(p)) return false;
    buf_byte(p->out, ':');
    if (!print_value(p)) return false;
  }
  buf_byte(p->out, '}');
  return true;
}

/* A tuple of ours as an object with the given names. */
static bool print_named(Printer *p, const char *const *names, uint64_t want) {
  uint64_t count;
  if (!cbor_array(&p->r, &count, p->err)) return false;
  if (count != want) return refuse(p->err, "a tuple of a wrong size");
  for (uint64_t i = 0; i < count; i++) {
    buf_byte(p->out, i ? ',' : '{');
    json_put_string(p->out, str_of(names[i]));
    buf_byte(p->out, ':');
    if (!print_value(p)) return false;
  }
  buf_byte(p->out, '}');
  return true;
}

static bool print_handle(Printer *p) {
  uint64_t count, seq;
  Str run, workflow;
  char id[37];
  Uuid uuid;
  if (!cbor_array(&p->r, &count, p->err) || !cbor_bytes(&p->r, &run, p->err)) return false;
  if (count != 3 || run.size != sizeof uuid.byte) return refuse(p->err, "a handle of a wrong form");
  if (!cbor_uint(&p->r, &seq, p->err) || !cbor_text(&p->r, &workflow, p->err)) return false;
  memcpy(uuid.byte, run.at, sizeof uuid.byte);
  uuid_text(uuid, id);
  buf_str(p->out, STR("{\"run\":\""));
  buf_text(p->out, id);
  buf_str(p->out, STR("\",\"seq\":"));
  int_print((int64_t)seq, p->out);
  buf_str(p->out, STR(",\"workflow\":"));
  json_put_string(p->out, workflow);
  buf_byte(p->out, '}');
  return true;
}

static bool print_moment(Printer *p, uint64_t tag) {
  int64_t us;
  if (!cbor_int(&p->r, &us, p->err)) return false;
  buf_byte(p->out, '"');
  if (tag == CBOR_TAG_TIME) time_print(us, p->out);
  else duration_print(us, p->out);
  buf_byte(p->out, '"');
  return true;
}

/* What stands for a value kept elsewhere. */
static bool print_name(Printer *p, const char *kind) {
  Str hash;
  if (!cbor_bytes(&p->r, &hash, p->err)) return false;
  buf_format(p->out, "{\"%s\":\"", kind);
  hex_encode(hash, p->out);
  buf_str(p->out, STR("\"}"));
  return true;
}

static bool print_tagged(Printer *p, uint64_t tag) {
  static const char *const error_names[] = {"code", "message", "data", "at"};
  static const char *const range_names[] = {"from", "to", "step"};
  Decimal d;
  switch (tag) {
  case CBOR_TAG_DECIMAL:
    if (!cbor_decimal_body(&p->r, &d, p->err)) return false;
    decimal_print(d, p->out);
    return true;
  case CBOR_TAG_MAP:
  case CBOR_TAG_RECORD: return print_pairs(p, tag);
  case CBOR_TAG_TIME:
  case CBOR_TAG_DURATION: return print_moment(p, tag);
  case CBOR_TAG_HANDLE: return print_handle(p);
  case CBOR_TAG_SEALED:
    buf_str(p->out, STR("\"******\""));
    return cbor_skip(&p->r, NULL, p->err);
  case CBOR_TAG_ERROR: return print_named(p, error_names, COUNT_OF(error_names));
  case CBOR_TAG_RANGE: return print_named(p, range_names, COUNT_OF(range_names));
  case CBOR_TAG_BLOB: return print_name(p, "blob");
  case CBOR_TAG_KNOWN: return print_name(p, "known");
  default: return refuse(p->err, "a tag that no value has");
  }
}

static bool print_number(Printer *p, const CborItem *item) {
  if (item->kind == CBOR_FLOAT) {
    if (!(item->f - item->f == 0)) {
      FAIL(p->err, ERR_INVALID, "JSON has no number for nan or an infinity");
      return false;
    }
    float_print(item->f, p->out);
  } else if (item->kind == CBOR_NEGINT) {
    int_print(-1 - (int64_t)item->n, p->out);
  } else if (item->n <= INT64_MAX) {
    int_print((int64_t)item->n, p->out);
  } else {
    return refuse(p->err, "an integer above 64 bits");
  }
  return true;
}

static void print_bytes(Printer *p, Str bytes) {
  buf_byte(p->out, '"');
  base64_encode(bytes, false, p->out);
  buf_byte(p->out, '"');
}

static bool print_item(Printer *p, const CborItem *item) {
  switch (item->kind) {
  case CBOR_UINT:
  case CBOR_NEGINT:
  case CBOR_FLOAT: return print_number(p, item);
  case CBOR_BYTES: print_bytes(p, item->bytes); return true;
  case CBOR_TEXT: json_put_string(p->out, item->bytes); return true;
  case CBOR_ARRAY: return print_list(p, item->n);
  case CBOR_TAG: return print_tagged(p, item->n);
  case CBOR_BOOL: buf_str(p->out, item->n ? STR("true") : STR("false")); return true;
  case CBOR_NIL: buf_str(p->out, STR("null")); return true;
  }
  UNREACHABLE();
}

static bool print_value(Printer *p) {
  CborItem item;
  if (!cbor_next(&p->r, &item, p->err)) return false;
  if (p->depth >= LIMIT_VALUE_DEPTH) return refuse(p->err, "a value that nests too deep");
  p->depth++;
  bool ok = print_item(p, &item);
  p->depth--;
  return ok;
}

bool cbor_to_json(Str value, Buf *out, Err *err) {
  Printer p = {cbor_reader(value), out, err, 0};
  if (!print_value(&p)) return false;
  if (p.r.at != p.r.end) return refuse(err, "bytes after the end of the value");
  if (!out->full) return true;
  FAIL(err, ERR_LIMIT, "the JSON text is larger than its limit");
  return false;
}
