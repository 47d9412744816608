/* SHA-256 (libcrypto), a fast non-cryptographic hash, UUIDv7. */
#ifndef Z8_HASH_H
#define Z8_HASH_H
#include "vm/base/base.h"
Hash256 sha256(Str bytes);
typedef struct Sha256 { uint64_t opaque[16]; } Sha256;
void sha256_begin(Sha256 *s);
void sha256_add(Sha256 *s, Str bytes);
Hash256 sha256_end(Sha256 *s);
Hash256 hmac_sha256(Str key, Str bytes);
void hash256_text(Hash256 hash, char out[65]);  /* lower-case hex */
uint64_t hash_bytes(const void *bytes, size_t size); /* fixed function, no seed: the same on every machine */
/* RFC 9562 version 7 from a time and 10 random bytes. */
Uuid uuid_v7(int64_t us, const uint8_t chance[10]);
void uuid_text(Uuid id, char out[37]);
bool uuid_parse(Str text, Uuid *out);
#endif
