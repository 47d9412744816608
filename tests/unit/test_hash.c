/* SHA-256 and HMAC by their published vectors (FIPS 180-4, RFC 4231), the table hash, UUIDs (RFC 9562). */
#include "test.h"
#include "vm/base/buf.h"
#include "vm/base/hash.h"

static void same(Hash256 hash, const char *want) {
  char text[65];
  hash256_text(hash, text);
  CHECK_STR(str_of(text), str_of(want));
}

static void sha(void) {
  same(sha256(STR("")), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  same(sha256((Str){0}), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  same(sha256(STR("abc")), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  same(sha256(STR("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq")),
       "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
  Sha256 s;
  sha256_begin(&s);
  for (int i = 0; i < 100000; i++) sha256_add(&s, STR("aaaaaaaaaa"));
  same(sha256_end(&s), "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

static void hmac(void) {
  char key[131];
  memset(key, 0xaa, sizeof key);
  same(hmac_sha256(STR("Jefe"), STR("what do ya want for nothing?")),
       "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
  same(hmac_sha256(STR("\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b"), STR("Hi There")),
       "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
  same(hmac_sha256((Str){key, sizeof key}, STR("Test Using Larger Than Block-Size Key - Hash Key First")),
       "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
}

/* Each prefix hashes differently, in the low bits too; and the values never change. */
static void bytes(void) {
  char text[256];
  uint32_t buckets[64] = {0}, most = 0;
  for (size_t i = 0; i < sizeof text; i++) text[i] = (char)(i * 7);
  for (size_t i = 0; i < sizeof text; i++) {
    for (size_t k = i + 1; k < sizeof text; k++) CHECK(hash_bytes(text, i) != hash_bytes(text, k));
  }
  for (uint64_t i = 0; i < 64000; i++) buckets[hash_bytes(&i, sizeof i) % 64]++;
  for (size_t i = 0; i < 64; i++) most = buckets[i] > most ? buckets[i] : most;
  CHECK(most < 1200);
  CHECK(hash_bytes(NULL, 0) == hash_bytes("", 0));
  CHECK(hash_bytes("", 0) == UINT64_C(0x0db91a6e7a2aebfd) && hash_bytes("abc", 3) == UINT64_C(0xb52ebc2a57b9d3f9));
  CHECK(hash_bytes("the quick brown fox jumps over the lazy dog", 43) == UINT64_C(0x9245c6600f54b762));
}

static void uuids(void) {
  const uint8_t random[10] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01};
  char text[37];
  Uuid back;
  Uuid id = uuid_v7(INT64_C(0x017f22e279b0) * 1000 + 999, random);
  uuid_text(id, text);
  CHECK_STR(str_of(text), STR("017f22e2-79b0-7fff-bfff-ffffffffff01"));
  CHECK(uuid_parse(str_of(text), &back) && memcmp(&back, &id, sizeof id) == 0);
  CHECK(uuid_parse(STR("017F22E2-79B0-7FFF-BFFF-FFFFFFFFFF01"), &back) && memcmp(&back, &id, sizeof id) == 0);
  CHECK(!uuid_parse(STR(""), &back) && !uuid_parse(STR("017f22e279b07fffbfffffffffffff01"), &back));
  CHECK(!uuid_parse(STR("017f22e2-79b0-7fff-bfff-ffffffffff0g"), &back));
  CHECK(!uuid_parse(STR("017f22e2-79b0-7fff-bfff+ffffffffff01"), &back));
  CHECK(!uuid_parse(STR("017f22e2-79b0-7fff-bfff-ffffffffff012"), &back));
  uuid_text(uuid_v7(-5, random), text);
  CHECK(strncmp(text, "00000000-0000-7", 15) == 0);
}

int main(void) {
  RUN_TEST(sha);
  RUN_TEST(hmac);
  RUN_TEST(bytes);
  RUN_TEST(uuids);
  return TEST_END();
}
