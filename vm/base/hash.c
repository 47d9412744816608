/* Digests and ids. libcrypto's low-level SHA-256 is used on purpose: the EVP layer costs
** more than hashing the hundred bytes of a usual record. */
#define OPENSSL_SUPPRESS_DEPRECATED
#include "vm/base/hash.h"
#include <openssl/sha.h>
#include "vm/base/text.h"

_Static_assert(sizeof(SHA256_CTX) <= sizeof(Sha256), "Sha256 holds libcrypto's state");

void sha256_begin(Sha256 *s) { SHA256_Init((SHA256_CTX *)(void *)s); }

void sha256_add(Sha256 *s, Str bytes) {
  if (bytes.size) SHA256_Update((SHA256_CTX *)(void *)s, bytes.at, bytes.size);
}

Hash256 sha256_end(Sha256 *s) {
  Hash256 out;
  SHA256_Final(out.byte, (SHA256_CTX *)(void *)s);
  return out;
}

Hash256 sha256(Str bytes) {
  Sha256 s;
  sha256_begin(&s);
  sha256_add(&s, bytes);
  return sha256_end(&s);
}

static Str hash_view(const Hash256 *hash) {
  return (Str){(const char *)hash->byte, sizeof hash->byte};
}

static void hmac_begin(Sha256 *s, const uint8_t key[64], uint8_t pad) {
  uint8_t block[64];
  for (size_t i = 0; i < sizeof block; i++) block[i] = key[i] ^ pad;
  sha256_begin(s);
  sha256_add(s, (Str){(const char *)block, sizeof block});
}

Hash256 hmac_sha256(Str key, Str bytes) {
  uint8_t block[64] = {0};
  Hash256 inner;
  Sha256 s;
  if (key.size > sizeof block) {
    inner = sha256(key);
    memcpy(block, inner.byte, sizeof inner.byte);
  } else if (key.size) {
    memcpy(block, key.at, key.size);
  }
  hmac_begin(&s, block, 0x36);
  sha256_add(&s, bytes);
  inner = sha256_end(&s);
  hmac_begin(&s, block, 0x5c);
  sha256_add(&s, hash_view(&inner));
  return sha256_end(&s);
}

static char hex_digit(unsigned nibble) { return "0123456789abcdef"[nibble & 15]; }

void hash256_text(Hash256 hash, char out[65]) {
  for (size_t i = 0; i < sizeof hash.byte; i++) {
    out[2 * i] = hex_digit(hash.byte[i] >> 4);
    out[2 * i + 1] = hex_digit(hash.byte[i]);
  }
  out[64] = 0;
}

/* -- hash_bytes: 64 x 64 -> 128 bit products folded; three reads of 8 bytes a round -- */

#define MIX_A UINT64_C(0x9e3779b97f4a7c15)
#define MIX_B UINT64_C(0xd6e8feb86659fd93)
#define MIX_C UINT64_C(0xa0761d6478bd642f)

static inline uint64_t fold(uint64_t a, uint64_t b) {
  __extension__ unsigned __int128 product = (unsigned __int128)a * b;
  return (uint64_t)product ^ (uint64_t)(product >> 64);
}

/* Little-endian whatever the machine, so that hashes may be stored. */
static inline uint64_t read64(const uint8_t *p) {
  uint64_t n;
  memcpy(&n, p, sizeof n);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
  n = __builtin_bswap64(n);
#endif
  return n;
}

static inline uint64_t read32(const uint8_t *p) {
  uint32_t n;
  memcpy(&n, p, sizeof n);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
  n = __builtin_bswap32(n);
#endif
  return n;
}

uint64_t hash_bytes(const void *bytes, size_t size) {
  const uint8_t *p = bytes;
  uint64_t h = MIX_A ^ fold(size ^ MIX_B, MIX_C), a = 0, b = 0;
  if (size > 16) {
    const uint8_t *last = p + size - 16;
    for (; p < last; p += 16) h = fold(read64(p) ^ MIX_B, read64(p + 8) ^ h) ^ MIX_C;
    a = read64(last);
    b = read64(last + 8);
  } else if (size >= 8) {
    a = read64(p);
    b = read64(p + size - 8);
  } else if (size >= 4) {
    a = read32(p);
    b = read32(p + size - 4);
  } else if (size > 0) {
    a = (uint64_t)p[0] << 16 | (uint64_t)p[size >> 1] << 8 | p[size - 1];
  }
  h = fold(a ^ MIX_B, b ^ h);
  return fold(h ^ MIX_A, h + MIX_C + size);
}

/* -- UUIDs -- */

Uuid uuid_v7(int64_t us, const uint8_t random[10]) {
  Uuid id;
  uint64_t ms = us < 0 ? 0 : (uint64_t)us / 1000;
  for (int i = 0; i < 6; i++) id.byte[i] = (uint8_t)(ms >> (40 - 8 * i));
  memcpy(id.byte + 6, random, 10);
  id.byte[6] = (uint8_t)((id.byte[6] & 0x0f) | 0x70);
  id.byte[8] = (uint8_t)((id.byte[8] & 0x3f) | 0x80);
  return id;
}

static bool dash_before(size_t byte) { return byte == 4 || byte == 6 || byte == 8 || byte == 10; }

void uuid_text(Uuid id, char out[37]) {
  char *p = out;
  for (size_t i = 0; i < sizeof id.byte; i++) {
    if (dash_before(i)) *p++ = '-';
    *p++ = hex_digit(id.byte[i] >> 4);
    *p++ = hex_digit(id.byte[i]);
  }
  *p = 0;
}

bool uuid_parse(Str text, Uuid *out) {
  if (text.size != 36) return false;
  const char *p = text.at;
  for (size_t i = 0; i < sizeof out->byte; i++) {
    if (dash_before(i) && *p++ != '-') return false;
    int high = hex_value(*p++), low = hex_value(*p++);
    if (high < 0 || low < 0) return false;
    out->byte[i] = (uint8_t)(high << 4 | low);
  }
  return true;
}
