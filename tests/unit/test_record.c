/* Records: every kind comes back as it went in, in one form only, and bytes of nobody's making are refused. */
#include "tests/unit/test.h"
#include "lang/tables.h"
#include "vm/journal/chain.h"
#include "vm/journal/record.h"

/* [1, "a"] and friends as encoded values */
static const char list_bytes[] = "\x82\x01\x61\x61";
#define LIST ((Str){list_bytes, 4})
#define ONE ((Str){"\x01", 1})

static Hash256 hash_of(uint8_t byte) {
  Hash256 h;
  memset(&h, byte, sizeof h);
  return h;
}

/* A record of each kind with every field set to something of its type. */
static Record sample(const RecordInfo *info, uint64_t seed) {
  Record r = {.kind = (RecordKind)info->number, .seq = seed};
  for (uint32_t i = 0; i < info->field_count; i++) {
    void *at = (char *)&r + info->fields[i].offset;
    uint64_t n = seed * 7919 + i;
    switch ((FieldType)info->fields[i].type) {
      case FIELD_U64: *(uint64_t *)at = n; break;
      case FIELD_I64: *(int64_t *)at = seed % 2 ? -(int64_t)n : (int64_t)n; break;
      case FIELD_TEXT: *(Str *)at = seed % 3 ? STR("täxt") : STR(""); break;
      case FIELD_HASH: *(Hash256 *)at = hash_of((uint8_t)n); break;
      case FIELD_UUID: memset(at, (int)(n & 0xff), sizeof(Uuid)); break;
      case FIELD_VALUE: *(Str *)at = ONE; break;
      case FIELD_VALUES: *(Str *)at = LIST; break;
      case FIELD_NOTE: *(Str *)at = seed % 2 ? LIST : (Str){0}; break;
    }
  }
  return r;
}

static bool field_equal(const RecordField *f, const Record *a, const Record *b) {
  const char *x = (const char *)a + f->offset, *y = (const char *)b + f->offset;
  switch ((FieldType)f->type) {
    case FIELD_U64: case FIELD_I64: return memcmp(x, y, 8) == 0;
    case FIELD_HASH: return memcmp(x, y, 32) == 0;
    case FIELD_UUID: return memcmp(x, y, 16) == 0;
    case FIELD_TEXT: case FIELD_VALUE: case FIELD_VALUES: case FIELD_NOTE:
      return str_equal(*(const Str *)(const void *)x, *(const Str *)(const void *)y);
  }
  return false;
}

static void test_round_trip(void) {
  Buf b = {0}, again = {0};
  Err err;
  uint32_t kinds = 0;
  for (uint64_t number = 0; number < 300; number++) {
    const RecordInfo *info = record_info(number);
    if (!info) continue;
    kinds++;
    for (uint64_t seed = 0; seed < 40; seed++) {
      Record r = sample(info, seed << seed % 30), got;
      buf_clear(&b);
      record_encode(&r, &b);
      CHECK(b.size <= record_bound(&r));
      bool ok = record_decode(buf_view(&b), &got, &err);
      CHECK(ok);
      if (!ok) fprintf(stderr, "  %s: %s\n", info->name, err.text);
      CHECK(got.kind == r.kind && got.seq == r.seq);
      for (uint32_t i = 0; i < info->field_count; i++) CHECK(field_equal(&info->fields[i], &r, &got));
      buf_clear(&again);
      record_encode(&got, &again);
      CHECK_STR(buf_view(&again), buf_view(&b));
      uint64_t n, seq;
      CHECK(record_scan(buf_view(&b), &n, &seq) && n == number && seq == r.seq);
    }
  }
  CHECK(kinds == 24);
  buf_deinit(&b);
  buf_deinit(&again);
}

static void test_wire_form(void) {
  Buf b = {0};
  Record r = {.kind = RECORD_PATCH, .seq = 300, .PATCH = {.id = STR("v2"), .value = 1}};
  record_encode(&r, &b);
  CHECK_STR(buf_view(&b), STR("\x84\x15\x19\x01\x2c\x62v2\x01")); /* [21, 300, "v2", 1] */
  buf_deinit(&b);
}

static void test_left_out(void) {
  Buf b = {0};
  Err err;
  Record r = {.kind = RECORD_ASKED, .ASKED = {.kind = EFFECT_HTTP, .target = STR("t")}}, got;
  record_encode(&r, &b);
  CHECK(record_decode(buf_view(&b), &got, &err));
  CHECK(got.ASKED.because.at == NULL && got.ASKED.because.size == 0);
  CHECK_STR(got.ASKED.operands, STR("\x80"));
  buf_deinit(&b);
}

static void refuse(Str bytes, ErrCode code) {
  Err err = {0};
  Record r;
  CHECK(!record_decode(bytes, &r, &err));
  CHECK(err.code == code);
}

static void test_refused(void) {
  refuse(STR(""), ERR_CORRUPT);
  refuse(STR("\x01"), ERR_CORRUPT);
  refuse(STR("\x84\x15\x00\x62v2"), ERR_CORRUPT);                       /* cut off */
  refuse(STR("\x84\x15\x00\x62v2\x01\x00"), ERR_CORRUPT);               /* more after it */
  refuse(STR("\x83\x15\x00\x62v2"), ERR_CORRUPT);                       /* a field too few */
  refuse(STR("\x84\x15\x18\x00\x62v2\x01"), ERR_CORRUPT);               /* seq not in its shortest form */
  refuse(STR("\x84\x15\x00\x42v2\x01"), ERR_CORRUPT);                   /* bytes for a text */
  refuse(STR("\x84\x15\x00\x62v\xff\x01"), ERR_CORRUPT);                /* not UTF-8 */
  refuse(STR("\x84\x15\x00\x62v2\x20"), ERR_CORRUPT);                   /* a negative U64 */
  refuse(STR("\x84\x18\xc8\x00\x62v2\x01"), ERR_VERSION);               /* kind 200 */
  refuse(STR("\x85\x18\x42\x00\x01\xf6\x00"), ERR_CORRUPT);             /* CONTINUED: input is no array */
}

/* Every prefix and every byte changed: an answer, never a crash (sanitizers watch). */
static void test_bent(void) {
  Buf b = {0}, json = {0};
  Err err;
  Record r = sample(record_info(RECORD_ASKED), 12345), got;
  record_encode(&r, &b);
  for (size_t size = 0; size < b.size; size++) CHECK(!record_decode((Str){b.at, size}, &got, &err));
  for (size_t i = 0; i < b.size; i++) {
    char was = b.at[i];
    for (int v = 0; v < 256; v++) {
      b.at[i] = (char)v;
      buf_clear(&json);
      if (record_decode(buf_view(&b), &got, &err)) (void)!record_to_json(&got, &json, &err);
    }
    b.at[i] = was;
  }
  buf_deinit(&b);
  buf_deinit(&json);
}

static void test_json(void) {
  Buf b = {0};
  Err err;
  char ref[RECORD_BLOB_REF];
  record_blob_ref(hash_of(0xab), ref);
  Record r = {.kind = RECORD_ASKED, .seq = 4,
              .ASKED = {.kind = EFFECT_HTTP, .site = 9, .fiber = 1, .delivered = 2, .target = STR("GET"),
                        .operands = LIST, .because = (Str){ref, sizeof ref}, .at = 2000000}};
  CHECK(record_to_json(&r, &b, &err));
  CHECK_STR(buf_view(&b),
            STR("{\"seq\":4,\"record\":\"ASKED\",\"kind\":\"http\",\"site\":9,\"fiber\":1,\"delivered\":2,"
                "\"target\":\"GET\",\"operands\":[1,\"a\"],\"because\":{\"blob\":\"abababababababababababababababab"
                "abababababababababababababababab\"},\"at\":\"1970-01-01T00:00:02Z\"}"));
  buf_deinit(&b);
}

static void test_blob_ref(void) {
  char ref[RECORD_BLOB_REF];
  Hash256 id = hash_of(7), got;
  Err err;
  Str whole;
  record_blob_ref(id, ref);
  CHECK(record_is_blob((Str){ref, sizeof ref}, &got) && memcmp(&id, &got, sizeof id) == 0);
  CHECK(!record_is_blob(LIST, NULL));
  CborReader reader = cbor_reader((Str){ref, sizeof ref});
  CHECK(cbor_skip(&reader, &whole, &err) && whole.size == RECORD_BLOB_REF);
}

static void test_frames(void) {
  Buf row = {0}, large = {0};
  bool broken;
  Str rest, record;
  for (int i = 0; i < 300; i++) buf_byte(&large, 'x');
  frame_put(&row, STR("a"));
  frame_put(&row, buf_view(&large));
  rest = buf_view(&row);
  CHECK(frame_next(&rest, &record, &broken) && str_equal(record, STR("a")));
  CHECK(frame_next(&rest, &record, &broken) && str_equal(record, buf_view(&large)));
  CHECK(!frame_next(&rest, &record, &broken) && !broken);
  rest = (Str){row.at, row.size - 1};
  CHECK(frame_next(&rest, &record, &broken));
  CHECK(!frame_next(&rest, &record, &broken) && broken);
  Str bad[] = {STR("\x80"), STR("\x80\x00"), STR("\xff\xff\xff\xff\xff\xff\x01"), STR("\x05zz")};
  for (size_t i = 0; i < COUNT_OF(bad); i++) CHECK(!frame_next(&bad[i], &record, &broken) && broken);
  buf_deinit(&row);
  buf_deinit(&large);
}

static void test_chain(void) {
  char room[CHAIN_ROOM + 4] = {0};
  memcpy(room + CHAIN_ROOM, "abcd", 4);
  Hash256 before = hash_of(3), a, b;
  for (uint64_t seq = 0; seq < 2; seq++) {
    a = chain_next(seq, &before, STR("abcd"));
    b = chain_next_in_place(seq, &before, room + CHAIN_ROOM, 4);
    CHECK(memcmp(&a, &b, sizeof a) == 0);
  }
  b = chain_next(0, &before, STR("abcd"));
  CHECK(memcmp(&a, &b, sizeof a) != 0);
}

int main(void) {
  RUN_TEST(test_round_trip);
  RUN_TEST(test_wire_form);
  RUN_TEST(test_left_out);
  RUN_TEST(test_refused);
  RUN_TEST(test_bent);
  RUN_TEST(test_json);
  RUN_TEST(test_blob_ref);
  RUN_TEST(test_frames);
  RUN_TEST(test_chain);
  return TEST_END();
}
