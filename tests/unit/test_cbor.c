/* Deterministic CBOR: every form written and read back, and everything not canonical refused. */
#include "test.h"
#include "vm/base/cbor.h"

static void hex_of(const Buf *bytes, Buf *hex) {
  buf_clear(hex);
  hex_encode(buf_view(bytes), hex);
}

static void same_hex(Buf *bytes, const char *want) {
  Buf hex = {0};
  hex_of(bytes, &hex);
  CHECK_STR(buf_view(&hex), str_of(want));
  buf_deinit(&hex);
  buf_clear(bytes);
}

/* -- writing: most from RFC 8949 appendix A -- */

static const struct {
  int64_t n;
  const char *hex;
} ints[] = {
    {0, "00"}, {1, "01"}, {10, "0a"}, {23, "17"}, {24, "1818"}, {25, "1819"}, {100, "1864"}, {255, "18ff"},
    {256, "190100"}, {1000, "1903e8"}, {65535, "19ffff"}, {65536, "1a00010000"}, {1000000, "1a000f4240"},
    {4294967295, "1affffffff"}, {4294967296, "1b0000000100000000"}, {1000000000000, "1b000000e8d4a51000"},
    {INT64_MAX, "1b7fffffffffffffff"}, {-1, "20"}, {-10, "29"}, {-24, "37"}, {-25, "3818"}, {-100, "3863"},
    {-256, "38ff"}, {-257, "390100"}, {-1000, "3903e7"}, {-65537, "3a00010000"}, {INT64_MIN, "3b7fffffffffffffff"},
};

static const struct {
  double f;
  const char *hex;
} floats[] = {
    {0.0, "f90000"}, {-0.0, "f98000"}, {1.0, "f93c00"}, {1.1, "fb3ff199999999999a"}, {1.5, "f93e00"},
    {65504.0, "f97bff"}, {65505.0, "fa477fe100"}, {65536.0, "fa47800000"}, {100000.0, "fa47c35000"},
    {3.4028234663852886e+38, "fa7f7fffff"}, {3.4028234663852888e+38, "fb47efffffe0000001"},
    {6.8056469327705772e+38, "fb47ffffffe0000000"}, {1.0e+300, "fb7e37e43c8800759c"},
    {5.960464477539063e-8, "f90001"}, {6.097555160522461e-5, "f903ff"}, {0.00006103515625, "f90400"},
    {0x1p-25, "fa33000000"}, {8.940696716308594e-8, "fa33c00000"}, {1.401298464324817e-45, "fa00000001"},
    {7.006492321624085e-46, "fb3690000000000000"}, {1.1754943508222875e-38, "fa00800000"},
    {1.1754942106924411e-38, "fa007fffff"}, {5e-324, "fb0000000000000001"}, {-4.0, "f9c400"}, {-4.1, "fbc010666666666666"},
    {0x1p-24, "f90001"}, {0x1.8p-24, "fa33c00000"}, {0x1.004p0, "f93c01"}, {0x1.002p0, "fa3f801000"},
    {0x1.000002p0, "fa3f800001"}, {0x1.000001p0, "fb3ff0000010000000"},
};

static double bits(uint64_t n) {
  double f;
  memcpy(&f, &n, sizeof f);
  return f;
}

static void writing(void) {
  Buf out = {0};
  for (size_t i = 0; i < COUNT_OF(ints); i++) {
    cbor_put_int(&out, ints[i].n);
    same_hex(&out, ints[i].hex);
  }
  for (size_t i = 0; i < COUNT_OF(floats); i++) {
    cbor_put_float(&out, floats[i].f);
    same_hex(&out, floats[i].hex);
  }
  const uint64_t infinity = UINT64_C(0x7ff) << 52;
  cbor_put_float(&out, bits(infinity));
  cbor_put_float(&out, bits(infinity | UINT64_C(1) << 63));
  cbor_put_float(&out, bits(infinity | 1)); /* every NaN is one */
  cbor_put_float(&out, bits(UINT64_C(0xffffffffffffffff)));
  same_hex(&out, "f97c00f9fc00f97e00f97e00");
  cbor_put_uint(&out, UINT64_MAX);
  cbor_put_bool(&out, false);
  cbor_put_bool(&out, true);
  cbor_put_nil(&out);
  same_hex(&out, "1bfffffffffffffffff4f5f6");
  cbor_put_text(&out, STR("\xc3\xbc"));
  cbor_put_bytes(&out, STR("\x01\x02\x03\x04"));
  cbor_put_array(&out, 25);
  cbor_put_tag(&out, 40010);
  cbor_put_tag(&out, 1);
  same_hex(&out, "62c3bc44010203049819d99c4ac1");
  buf_deinit(&out);
}

/* -- reading -- */

static bool unhex(const char *hex, Buf *out) {
  buf_clear(out);
  return hex_decode(str_of(hex), out);
}

static void reading(void) {
  Buf in = {0};
  Err err = {0};
  CborItem item;
  for (size_t i = 0; i < COUNT_OF(ints); i++) {
    int64_t n = 0;
    CHECK(unhex(ints[i].hex, &in));
    CborReader r = cbor_reader(buf_view(&in));
    CHECK(cbor_int(&r, &n, &err) && n == ints[i].n && r.at == r.end);
  }
  for (size_t i = 0; i < COUNT_OF(floats); i++) {
    CHECK(unhex(floats[i].hex, &in));
    CborReader r = cbor_reader(buf_view(&in));
    CHECK(cbor_next(&r, &item, &err) && item.kind == CBOR_FLOAT && r.at == r.end);
    CHECK(memcmp(&item.f, &floats[i].f, sizeof item.f) == 0);
  }
  buf_deinit(&in);
}

static void shorthands(void) {
  Buf in = {0};
  Err err = {0};
  Str text, bytes, whole;
  uint64_t n, count;
  CHECK(unhex("8518ff63616263420102c1f9fc0080", &in));
  CborReader r = cbor_reader(buf_view(&in)), again = r;
  CHECK(cbor_array(&r, &count, &err) && count == 5);
  CHECK(!cbor_text(&r, &text, &err) && err.code == ERR_CORRUPT); /* stays where it was */
  CHECK(cbor_uint(&r, &n, &err) && n == 255);
  CHECK(cbor_text(&r, &text, &err));
  CHECK_STR(text, STR("abc"));
  CHECK(cbor_bytes(&r, &bytes, &err));
  CHECK_STR(bytes, STR("\1\2"));
  CHECK(cbor_skip(&r, &whole, &err) && whole.size == 4); /* a tag and its item */
  CHECK(cbor_skip(&r, &whole, &err) && whole.size == 1 && r.at == r.end);
  CHECK(cbor_skip(&again, &whole, &err) && whole.size == in.size);
  CHECK(!cbor_skip(&again, NULL, &err));
  buf_deinit(&in);
}

static const char *const refused[] = {
    "", "18", "19", "1900", "1a000000", "1b00000000000000", "1817", "1800", "190017", "1900ff", "1a00000100", "1a0000ffff",
    "1b0000000000000000", "1b00000000ffffffff", "3817", "3900ff", "3a0000ffff", "3b00000000ffffffff",
    "3bffffffffffffffff", "3b8000000000000000",                       /* below 64 bits */
    "1c", "1d", "1e", "1f", "3c", "3f", "5c", "5f", "5f4100ff", "7f", "7f6161ff", "9c", "9f", "9fff", "bf", "bfff", "dc",
    "df", "fc", "fd", "fe", "ff",                                      /* reserved and indefinite */
    "41", "4201", "5818", "580100", "590001", "5a00000001", "5bffffffffffffffff", "5b7fffffffffffffff", "61", "6261",
    "7801", "780161", "7bffffffffffffffff", "61ff", "62c080", "62c3", "63eda080", "64f4908080", "6180", /* strings */
    "81", "8201", "9801", "981800", "9affffffff", "9bffffffffffffffff", "98180000", /* arrays past the end */
    "a0", "a10000", "b8",                                              /* plain maps */
    "c1", "d801", "d80100", "d817", "d9001800", "da00009c4a80",        /* tags */
    "f7", "e0", "f3", "f0", "f800", "f814", "f820", "f8ff", "f8",      /* simple values */
    "f9", "f97e", "f97e01", "f97c01", "f9fe00", "f97fff", "fa7fc00000", "fa7f800001", "fb7ff8000000000000",
    "fb7ff0000000000001", "fbfff8000000000000",                        /* NaNs */
    "fa00000000", "fa3f800000", "fa7f800000", "faff800000", "fa33800000", "fa477fe000", "fb0000000000000000",
    "fb8000000000000000", "fb3ff0000000000000", "fb7ff0000000000000", "fb3ff0000020000000", "fb47efffffe0000000",
    "fb36a0000000000000", "fa", "fa000000", "fb", "fb00000000000000",  /* floats too wide or cut short */
};

static void refusing(void) {
  Buf in = {0};
  for (size_t i = 0; i < COUNT_OF(refused); i++) {
    Err err = {0};
    CHECK(unhex(refused[i], &in));
    CborReader r = cbor_reader(buf_view(&in));
    bool ok = cbor_skip(&r, NULL, &err);
    if (ok) fprintf(stderr, "should be refused: %s\n", refused[i]);
    CHECK(!ok && err.code == ERR_CORRUPT);
  }
  buf_deinit(&in);
}

static bool skips_nested(size_t depth, bool closed) {
  Buf in = {0};
  Err err;
  for (size_t i = 0; i < depth; i++) cbor_put_array(&in, 1);
  if (closed) cbor_put_nil(&in);
  CborReader r = cbor_reader(buf_view(&in));
  bool ok = cbor_skip(&r, NULL, &err);
  buf_deinit(&in);
  return ok;
}

static void nesting(void) {
  Buf in = {0};
  Err err;
  CHECK(skips_nested(1000, true));
  CHECK(!skips_nested(1100, true));
  CHECK(!skips_nested(1000000, true));
  CHECK(!skips_nested(1000, false));
  for (int i = 0; i < 100000; i++) cbor_put_tag(&in, 1); /* tags upon tags are long, not deep */
  cbor_put_nil(&in);
  CborReader r = cbor_reader(buf_view(&in));
  CHECK(cbor_skip(&r, NULL, &err));
  buf_deinit(&in);
}

/* -- language values -- */

static void as_json(Buf *value, const char *want) {
  Buf out = {0};
  Err err = {0};
  CHECK(cbor_to_json(buf_view(value), &out, &err));
  CHECK_STR(buf_view(&out), str_of(want));
  buf_deinit(&out);
  buf_clear(value);
}

static void decimal_round_trip(const char *text, const char *hex) {
  Buf out = {0}, back = {0};
  Err err = {0};
  Decimal d = {0}, read = {0};
  CborItem item;
  CHECK(decimal_parse(str_of(text), &d));
  cbor_put_decimal(&out, d);
  CborReader r = cbor_reader(buf_view(&out));
  CHECK(cbor_next(&r, &item, &err) && item.n == CBOR_TAG_DECIMAL && cbor_decimal_body(&r, &read, &err) && r.at == r.end);
  decimal_print(read, &back);
  CHECK_STR(buf_view(&back), str_of(text));
  CHECK(cbor_skip(&(CborReader){(const uint8_t *)out.at, (const uint8_t *)out.at + out.size, NULL}, NULL, &err));
  same_hex(&out, hex);
  buf_deinit(&back);
  buf_deinit(&out);
}

static void decimals(void) {
  decimal_round_trip("12.50", "c482211904e2");
  decimal_round_trip("0", "c4820000");
  decimal_round_trip("-0.001", "c4822220");
  decimal_round_trip("9223372036854775807", "c482001b7fffffffffffffff");
  decimal_round_trip("-9223372036854775808", "c482003b7fffffffffffffff");
  decimal_round_trip("9223372036854775808", "c48200c2488000000000000000");
  decimal_round_trip("-9223372036854775809", "c48200c3488000000000000000");
  decimal_round_trip("9999999999999999999999999999999999", "c48200c24f01ed09bead87c0378d8e63ffffffff");
  decimal_round_trip("-9999999999999999999999999999999.999", "c48222c34f01ed09bead87c0378d8e63fffffffe");
}

static const char *const bad_decimals[] = {
    "820100", "82391800" "00", "8100", "830000" "00", "8200c24101", "8200c2487fffffffffffffff", "8200c249008000000000000000",
    "8200c24f01ed09bead87c0378d8e6400000000", "8200c25000ed09bead87c0378d8e6400000000ff", "8200f93c00", "82f93c0000", "80",
    "8200c48200" "00", "82001b8000000000000000",
};

static void refusing_decimals(void) {
  Buf in = {0};
  for (size_t i = 0; i < COUNT_OF(bad_decimals); i++) {
    Err err = {0};
    Decimal d;
    CHECK(unhex(bad_decimals[i], &in));
    CborReader r = cbor_reader(buf_view(&in));
    CHECK(!cbor_decimal_body(&r, &d, &err) && err.code == ERR_CORRUPT);
  }
  buf_deinit(&in);
}

static void put_map(Buf *out, uint64_t pairs) {
  cbor_put_tag(out, CBOR_TAG_MAP);
  cbor_put_array(out, pairs * 2);
}

static void values_as_json(void) {
  Buf v = {0};
  put_map(&v, 3);
  cbor_put_text(&v, STR("b"));
  cbor_put_int(&v, -5);
  cbor_put_int(&v, 7); /* a key that is no text */
  cbor_put_float(&v, 0.5);
  cbor_put_text(&v, STR("\""));
  cbor_put_bytes(&v, STR("\1\2\3"));
  as_json(&v, "{\"b\":-5,\"7\":0.5,\"\\\"\":\"AQID\"}");
  cbor_put_tag(&v, CBOR_TAG_RECORD);
  cbor_put_array(&v, 4);
  cbor_put_text(&v, STR("Account"));
  cbor_put_int(&v, 1);
  cbor_put_text(&v, STR("id"));
  cbor_put_text(&v, STR("x"));
  as_json(&v, "{\"id\":\"x\"}");
  cbor_put_array(&v, 4);
  cbor_put_tag(&v, CBOR_TAG_TIME);
  cbor_put_int(&v, 1000000);
  cbor_put_tag(&v, CBOR_TAG_DURATION);
  cbor_put_int(&v, 5000000);
  cbor_put_decimal(&v, (Decimal){1250, 2});
  cbor_put_tag(&v, CBOR_TAG_SEALED);
  cbor_put_array(&v, 2);
  cbor_put_text(&v, STR("Bearer "));
  cbor_put_array(&v, 1);
  cbor_put_text(&v, STR("key"));
  as_json(&v, "[\"1970-01-01T00:00:01Z\",\"5s\",12.50,\"******\"]");
  cbor_put_tag(&v, CBOR_TAG_RANGE);
  cbor_put_array(&v, 3);
  for (int i = 0; i < 3; i++) cbor_put_int(&v, i);
  as_json(&v, "{\"from\":0,\"to\":1,\"step\":2}");
  buf_deinit(&v);
}

static void values_without_json(void) {
  Buf v = {0}, out = {0};
  Err err = {0};
  cbor_put_float(&v, bits(UINT64_C(0x7ff) << 52));
  CHECK(!cbor_to_json(buf_view(&v), &out, &err) && err.code == ERR_INVALID);
  buf_clear(&v);
  cbor_put_tag(&v, 99);
  cbor_put_nil(&v);
  CHECK(!cbor_to_json(buf_view(&v), &out, &err) && err.code == ERR_CORRUPT);
  buf_clear(&v);
  cbor_put_nil(&v);
  cbor_put_nil(&v);
  CHECK(!cbor_to_json(buf_view(&v), &out, &err)); /* more than one */
  buf_clear(&v);
  for (int i = 0; i < 1001; i++) cbor_put_array(&v, 1);
  cbor_put_nil(&v);
  CHECK(!cbor_to_json(buf_view(&v), &out, &err));
  buf_deinit(&v);
  buf_deinit(&out);
}

static void fields(void) {
  Buf v = {0};
  put_map(&v, 3);
  cbor_put_int(&v, 1);
  cbor_put_text(&v, STR("no"));
  cbor_put_text(&v, STR("a"));
  cbor_put_array(&v, 1);
  cbor_put_nil(&v);
  cbor_put_text(&v, STR("b"));
  cbor_put_bool(&v, true);
  CHECK_STR(cbor_map_get(buf_view(&v), STR("a")), STR("\x81\xf6"));
  CHECK_STR(cbor_map_get(buf_view(&v), STR("b")), STR("\xf5"));
  CHECK(!cbor_map_get(buf_view(&v), STR("c")).at);
  CHECK(!cbor_map_get(STR("\xf6"), STR("c")).at && !cbor_map_get(STR(""), STR("c")).at);
  CHECK(!cbor_map_get((Str){v.at, v.size - 1}, STR("b")).at); /* cut short */
  buf_clear(&v);
  cbor_put_tag(&v, CBOR_TAG_RECORD);
  cbor_put_array(&v, 4);
  cbor_put_text(&v, STR("a"));
  cbor_put_int(&v, 1);
  cbor_put_text(&v, STR("a"));
  cbor_put_int(&v, 2);
  CHECK_STR(cbor_map_get(buf_view(&v), STR("a")), STR("\x02"));
  buf_deinit(&v);
}

int main(void) {
  RUN_TEST(writing);
  RUN_TEST(reading);
  RUN_TEST(shorthands);
  RUN_TEST(refusing);
  RUN_TEST(nesting);
  RUN_TEST(decimals);
  RUN_TEST(refusing_decimals);
  RUN_TEST(values_as_json);
  RUN_TEST(values_without_json);
  RUN_TEST(fields);
  return TEST_END();
}
