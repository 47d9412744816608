/* Records: the structs, encoder and decoder made from lang/records.def. A record
** is a CBOR array [number, seq, fields…]. VALUE fields hold encoded language values
** (vm/core/wire.h); the journal never looks inside but for blobs. */
#ifndef Z8_RECORD_H
#define Z8_RECORD_H

#include "vm/base/cbor.h"

typedef enum {
  RECORD_CLASS_HEAD,
  RECORD_CLASS_COMMAND,
  RECORD_CLASS_EVENT,
  RECORD_CLASS_FUSED,
  RECORD_CLASS_STATE
} RecordClass;
typedef enum {
#define RECORD(name, number, cls, what) RECORD_##name = number,
#define FIELD(type, name)
#define END(name)
#include "lang/records.def"
#undef RECORD
#undef FIELD
#undef END
} RecordKind;

#define RECORD_U64 uint64_t
#define RECORD_I64 int64_t
#define RECORD_TEXT Str
#define RECORD_HASH Hash256
#define RECORD_UUID Uuid
#define RECORD_VALUE Str  /* one encoded item */
#define RECORD_VALUES Str /* one encoded array */
#define RECORD_NOTE Str   /* one encoded item, or at == NULL */
#define RECORD(name, number, cls, what) typedef struct Record_##name {
#define FIELD(type, name) RECORD_##type name;
#define END(name) } Record_##name;
#include "lang/records.def"
#undef RECORD
#undef FIELD
#undef END

typedef struct Record {
  RecordKind kind;
  uint64_t seq;
  union {
#define RECORD(name, number, cls, what) Record_##name name;
#define FIELD(type, name)
#define END(name)
#include "lang/records.def"
#undef RECORD
#undef FIELD
#undef END
  };
} Record;

typedef enum {
  FIELD_U64,
  FIELD_I64,
  FIELD_TEXT,
  FIELD_HASH,
  FIELD_UUID,
  FIELD_VALUE,
  FIELD_VALUES,
  FIELD_NOTE
} FieldType;
typedef struct RecordField { const char *name; uint8_t type; uint16_t offset; } RecordField;
typedef struct RecordInfo {
  const char *name, *what;
  uint8_t number, record_class, field_count;
  const RecordField *fields;
} RecordInfo;
const RecordInfo *record_info(uint64_t number); /* NULL if unknown */

void record_encode(const Record *record, Buf *out);
size_t record_bound(const Record *record); /* at least the bytes record_encode will need */
/* Strs of the result point into bytes. Untrusted input. */
MUST_USE bool record_decode(Str bytes, Record *out, Err *err);
/* The number and seq of an encoded record, without looking further. */
bool record_scan(Str bytes, uint64_t *number, uint64_t *seq);
/* An encoded integer that is all of `bytes`: a record's last field, cut off. */
bool record_tail_int(Str bytes, int64_t *out);

/* A blob's reference, CBOR_TAG_BLOB over 32 bytes, in the place of a large value. */
enum { RECORD_BLOB_REF = 37 };
bool record_is_blob(Str value, Hash256 *id); /* id may be NULL */
void record_blob_ref(Hash256 id, char out[RECORD_BLOB_REF]);

/* One JSON object: {"seq":…,"record":"ASKED",…}; effect kinds as words. Blobs are shown as {"blob":"…"}. */
MUST_USE bool record_to_json(const Record *record, Buf *out, Err *err);
#endif
