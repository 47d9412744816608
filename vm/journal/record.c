/* The codec of records, made from lang/records.def: each pass over the table below
** makes one function per record. Encoding is on the path of every durable step, so
** it first bounds the size, then writes straight into the buffer.
**
** Values inside a record are copied as they are: whoever encoded them (wire.h) is
** bound to the same canonical CBOR. A value left out is written as nil, a left out
** array of values as the empty array. */
#include "vm/journal/record.h"
#include "lang/tables.h"
#include "vm/base/hash.h"
#include "vm/base/json.h"
#include "vm/base/text.h"

/* ---- the table as data ---- */

#define RECORD(rname, number, cls, what)   \
  static const char what_##rname[] = what; \
  enum { class_of_##rname = RECORD_CLASS_##cls };
#define FIELD(type, name)
#define END(rname)
#include "lang/records.def"
#undef RECORD
#undef FIELD
#undef END

const RecordInfo *record_info(uint64_t number) {
  switch (number) {
#define RECORD(rname, wire_number, cls, meaning) \
  case wire_number: {                            \
    typedef Record_##rname Here;                 \
    enum { base = offsetof(Record, rname) };     \
    static const RecordField fields[] = {
#define FIELD(type, name) {#name, FIELD_##type, base + offsetof(Here, name)},
#define END(rname)                                                                    \
  }                                                                                   \
  ;                                                                                   \
  static const RecordInfo info = {#rname,           what_##rname,     RECORD_##rname, \
                                  class_of_##rname, COUNT_OF(fields), fields};        \
  return &info;                                                                       \
  }
#include "lang/records.def"
#undef RECORD
#undef FIELD
#undef END
    default:
      return NULL;
  }
}

/* ---- encoding ---- */

enum { HEAD_MAX = 9 /* bytes of the longest CBOR head */, CBOR_NULL = 0xf6 };

static inline size_t bound_U64(uint64_t n) {
  (void)n;
  return HEAD_MAX;
}
static inline size_t bound_I64(int64_t n) {
  (void)n;
  return HEAD_MAX;
}
static inline size_t bound_TEXT(Str s) { return HEAD_MAX + s.size; }
static inline size_t bound_HASH(Hash256 h) { return HEAD_MAX + sizeof h; }
static inline size_t bound_UUID(Uuid u) { return HEAD_MAX + sizeof u; }
static inline size_t bound_VALUE(Str s) { return 1 + s.size; }
static inline size_t bound_VALUES(Str s) { return 1 + s.size; }
static inline size_t bound_NOTE(Str s) { return 1 + s.size; }

/* The shortest head, as cbor_put_uint writes it, but into room that is known to be there. */
static inline uint8_t *put_head(uint8_t *p, uint8_t major, uint64_t n) {
  if (LIKELY(n < 24)) {
    *p++ = (uint8_t)(major | n);
    return p;
  }
  unsigned size = n <= 0xff ? 1 : n <= 0xffff ? 2 : n <= 0xffffffff ? 4 : 8;
  *p++ = (uint8_t)(major | (size == 1 ? 24 : size == 2 ? 25 : size == 4 ? 26 : 27));
  uint64_t big_endian = __builtin_bswap64(n << (64 - 8 * size));
  memcpy(p, &big_endian,
         sizeof big_endian); /* up to 7 bytes too many: the bound has room for them */
  return p + size;
}

static inline uint8_t *put_raw(uint8_t *p, const void *bytes, size_t size) {
  if (size) memcpy(p, bytes, size);
  return p + size;
}

static inline uint8_t *put_U64(uint8_t *p, uint64_t n) { return put_head(p, 0x00, n); }
static inline uint8_t *put_I64(uint8_t *p, int64_t n) {
  return n < 0 ? put_head(p, 0x20, (uint64_t)(-(n + 1))) : put_head(p, 0x00, (uint64_t)n);
}
static inline uint8_t *put_TEXT(uint8_t *p, Str s) {
  return put_raw(put_head(p, 0x60, s.size), s.at, s.size);
}
static inline uint8_t *put_HASH(uint8_t *p, Hash256 h) {
  return put_raw(put_head(p, 0x40, sizeof h), &h, sizeof h);
}
static inline uint8_t *put_UUID(uint8_t *p, Uuid u) {
  return put_raw(put_head(p, 0x40, sizeof u), &u, sizeof u);
}
static inline uint8_t *put_or(uint8_t *p, Str s, uint8_t absent) {
  if (s.size) return put_raw(p, s.at, s.size);
  *p = absent;
  return p + 1;
}
static inline uint8_t *put_VALUE(uint8_t *p, Str s) { return put_or(p, s, CBOR_NULL); }
static inline uint8_t *put_VALUES(uint8_t *p, Str s) { return put_or(p, s, 0x80); }
static inline uint8_t *put_NOTE(uint8_t *p, Str s) { return put_or(p, s, CBOR_NULL); }

#define RECORD(rname, number, cls, what)                        \
  static inline size_t bound_##rname(const Record_##rname *r) { \
    size_t n = 3 * HEAD_MAX + 8;
#define FIELD(type, name) n += bound_##type(r->name);
#define END(rname) \
  return n;        \
  }
#include "lang/records.def"
#undef RECORD
#undef FIELD
#undef END

#define RECORD(rname, number, cls, what) \
  static inline uint8_t *encode_##rname(uint8_t *p, const Record_##rname *r) {
#define FIELD(type, name) p = put_##type(p, r->name);
#define END(rname) \
  return p;        \
  }
#include "lang/records.def"
#undef RECORD
#undef FIELD
#undef END

/* How many items the array of each record holds: number, seq and its fields. */
#define RECORD(rname, number, cls, what) enum { items_of_##rname = 2
#define FIELD(type, name) +1
#define END(rname) \
  }                \
  ;
#include "lang/records.def"
#undef RECORD
#undef FIELD
#undef END

size_t record_bound(const Record *record) {
  switch (record->kind) {
#define RECORD(rname, number, cls, what) \
  case RECORD_##rname:                   \
    return bound_##rname(&record->rname);
#define FIELD(type, name)
#define END(rname)
#include "lang/records.def"
#undef RECORD
#undef FIELD
#undef END
  }
  UNREACHABLE();
}

static inline uint8_t *put_start(uint8_t *p, uint64_t items, uint64_t number, uint64_t seq) {
  return put_head(put_head(put_head(p, 0x80, items), 0x00, number), 0x00, seq);
}

static uint8_t *encode_fields(uint8_t *p, const Record *record) {
  switch (record->kind) {
#define RECORD(rname, number, cls, what) \
  case RECORD_##rname:                   \
    return encode_##rname(put_start(p, items_of_##rname, number, record->seq), &record->rname);
#define FIELD(type, name)
#define END(rname)
#include "lang/records.def"
#undef RECORD
#undef FIELD
#undef END
  }
  UNREACHABLE();
}

void record_encode(const Record *record, Buf *out) {
  uint8_t *start = (uint8_t *)buf_more(out, record_bound(record));
  if (!start) return; /* out is full, and says so */
  out->size += (size_t)(encode_fields(start, record) - start);
}

/* ---- decoding ---- */

static bool field_fail(Err *err, const char *field) {
  err_context(err, "field `%s`", field);
  return false;
}

static bool get_U64(CborReader *r, uint64_t *n, Err *err) { return cbor_uint(r, n, err); }
static bool get_I64(CborReader *r, int64_t *n, Err *err) { return cbor_int(r, n, err); }
static bool get_TEXT(CborReader *r, Str *s, Err *err) { return cbor_text(r, s, err); }
static bool get_fixed(CborReader *r, void *out, size_t size, Err *err) {
  Str bytes;
  if (!cbor_bytes(r, &bytes, err)) return false;
  if (bytes.size != size) {
    FAIL(err, ERR_CORRUPT, "%zu bytes where there should be %zu", bytes.size, size);
    return false;
  }
  memcpy(out, bytes.at, size);
  return true;
}
static bool get_HASH(CborReader *r, Hash256 *h, Err *err) {
  return get_fixed(r, h, sizeof *h, err);
}
static bool get_UUID(CborReader *r, Uuid *u, Err *err) { return get_fixed(r, u, sizeof *u, err); }
static bool get_VALUE(CborReader *r, Str *s, Err *err) { return cbor_skip(r, s, err); }

static bool get_VALUES(CborReader *r, Str *s, Err *err) {
  if (!cbor_skip(r, s, err)) return false;
  if (((uint8_t)s->at[0] & 0xe0) == 0x80 || record_is_blob(*s, NULL)) return true;
  FAIL(err, ERR_CORRUPT, "not an array of values");
  return false;
}

static bool get_NOTE(CborReader *r, Str *s, Err *err) {
  if (!cbor_skip(r, s, err)) return false;
  if (s->size == 1 && (uint8_t)s->at[0] == CBOR_NULL) *s = (Str){0};
  return true;
}

#define RECORD(rname, number, cls, what) \
  static bool decode_##rname(CborReader *reader, Record_##rname *r, Err *err) {
#define FIELD(type, name) \
  if (!get_##type(reader, &r->name, err)) return field_fail(err, #name);
#define END(rname) \
  return true;     \
  }
#include "lang/records.def"
#undef RECORD
#undef FIELD
#undef END

static bool decode_fields(CborReader *reader, uint64_t number, uint64_t items, Record *out,
                          Err *err) {
  switch (number) {
#define RECORD(rname, wire_number, cls, what)                  \
  case wire_number:                                            \
    if (items != items_of_##rname) break;                      \
    if (decode_##rname(reader, &out->rname, err)) return true; \
    err_context(err, #rname);                                  \
    return false;
#define FIELD(type, name)
#define END(rname)
#include "lang/records.def"
#undef RECORD
#undef FIELD
#undef END
    default:
      FAIL(err, ERR_VERSION,
           "record kind %" PRIu64 " is not known to this z8; a newer one wrote it", number);
      return false;
  }
  FAIL(err, ERR_CORRUPT, "%s with %" PRIu64 " items", record_info(number)->name, items);
  return false;
}

bool record_decode(Str bytes, Record *out, Err *err) {
  CborReader reader = cbor_reader(bytes);
  uint64_t items, number;
  memset(out, 0, sizeof *out);
  if (!cbor_array(&reader, &items, err) || !cbor_uint(&reader, &number, err) ||
      !cbor_uint(&reader, &out->seq, err)) {
    err_context(err, "record's start");
    return false;
  }
  if (!decode_fields(&reader, number, items, out, err)) return false;
  if (reader.at != reader.end) {
    FAIL(err, ERR_CORRUPT, "%zu bytes after the record's end", (size_t)(reader.end - reader.at));
    return false;
  }
  out->kind = (RecordKind)number;
  return true;
}

/* One head of major type `major` in its shortest form: what the loader needs millions of times. */
static bool scan_head(const uint8_t **at, const uint8_t *end, unsigned major, uint64_t *n) {
  const uint8_t *p = *at;
  if (p >= end || *p >> 5 != major) return false;
  unsigned info = *p++ & 31;
  if (info < 24) {
    *n = info;
  } else {
    static const uint64_t least[4] = {24, 0x100, 0x10000, 0x100000000};
    unsigned size = 1u << (info - 24);
    if (info > 27 || (size_t)(end - p) < size) return false;
    uint64_t value = 0;
    for (unsigned i = 0; i < size; i++) value = value << 8 | *p++;
    if (value < least[info - 24]) return false;
    *n = value;
  }
  *at = p;
  return true;
}

bool record_scan(Str bytes, uint64_t *number, uint64_t *seq) {
  const uint8_t *p = (const uint8_t *)bytes.at, *end = p + bytes.size;
  uint64_t items;
  return scan_head(&p, end, 4, &items) && scan_head(&p, end, 0, number) &&
         scan_head(&p, end, 0, seq);
}

bool record_tail_int(Str bytes, int64_t *out) {
  const uint8_t *p = (const uint8_t *)bytes.at, *end = p + bytes.size;
  uint64_t n;
  bool negative = bytes.size && *p >> 5 == 1;
  if (!scan_head(&p, end, negative, &n) || p != end || n > INT64_MAX) return false;
  *out = negative ? -(int64_t)n - 1 : (int64_t)n;
  return true;
}

/* ---- blobs ---- */

static const uint8_t blob_start[] = {0xd9, CBOR_TAG_BLOB >> 8, CBOR_TAG_BLOB & 0xff, 0x58, 32};
_Static_assert(sizeof blob_start + sizeof(Hash256) == RECORD_BLOB_REF,
               "a blob's reference in CBOR");

bool record_is_blob(Str value, Hash256 *id) {
  if (value.size != RECORD_BLOB_REF || memcmp(value.at, blob_start, sizeof blob_start) != 0)
    return false;
  if (id) memcpy(id->byte, value.at + sizeof blob_start, sizeof id->byte);
  return true;
}

void record_blob_ref(Hash256 id, char out[RECORD_BLOB_REF]) {
  memcpy(out, blob_start, sizeof blob_start);
  memcpy(out + sizeof blob_start, id.byte, sizeof id.byte);
}

/* ---- JSON ---- */

static bool json_value(Str value, Buf *out, Err *err) {
  Hash256 id;
  char text[65];
  if (!value.size) {
    buf_str(out, STR("null"));
    return true;
  }
  if (!record_is_blob(value, &id)) return cbor_to_json(value, out, err);
  hash256_text(id, text);
  buf_format(out, "{\"blob\":\"%s\"}", text);
  return true;
}

static void json_time(int64_t us, Buf *out) {
  Buf text = {0};
  time_print(us, &text);
  json_put_string(out, buf_view(&text));
  buf_deinit(&text);
}

static void json_number(const RecordField *field, uint64_t n, Buf *out) {
  const EffectInfo *effect = strcmp(field->name, "kind") == 0 ? effect_info(n) : NULL;
  if (effect) json_put_string(out, str_of(effect->word));
  else buf_format(out, "%" PRIu64, n);
}

static bool json_field(const RecordField *field, const void *at, Buf *out, Err *err) {
  char text[65];
  switch ((FieldType)field->type) {
    case FIELD_U64:
      json_number(field, *(const uint64_t *)at, out);
      return true;
    case FIELD_I64:
      json_time(*(const int64_t *)at, out);
      return true;
    case FIELD_TEXT:
      json_put_string(out, *(const Str *)at);
      return true;
    case FIELD_HASH:
      hash256_text(*(const Hash256 *)at, text);
      json_put_string(out, str_of(text));
      return true;
    case FIELD_UUID:
      uuid_text(*(const Uuid *)at, text);
      json_put_string(out, str_of(text));
      return true;
    case FIELD_VALUE:
    case FIELD_VALUES:
    case FIELD_NOTE:
      return json_value(*(const Str *)at, out, err);
  }
  UNREACHABLE();
}

bool record_to_json(const Record *record, Buf *out, Err *err) {
  const RecordInfo *info = record_info(record->kind);
  buf_format(out, "{\"seq\":%" PRIu64 ",\"record\":\"%s\"", record->seq, info->name);
  for (uint32_t i = 0; i < info->field_count; i++) {
    const RecordField *field = &info->fields[i];
    buf_format(out, ",\"%s\":", field->name);
    if (!json_field(field, (const char *)record + field->offset, out, err)) {
      err_context(err, "%s's %s", info->name, field->name);
      return false;
    }
  }
  buf_byte(out, '}');
  return true;
}
