/* UTF-8: checking, counting and stepping. Runs of ASCII are taken eight bytes at a time. */
#include "vm/base/text.h"

#define HIGH_BITS UINT64_C(0x8080808080808080)

static inline uint64_t word_at(const char *p) {
  uint64_t w;
  memcpy(&w, p, sizeof w);
  return w;
}

static inline const char *ascii_skip(const char *p, const char *end) {
  while (end - p >= 8 && !(word_at(p) & HIGH_BITS)) p += 8;
  while (p < end && (unsigned char)*p < 0x80) p++;
  return p;
}

bool text_is_ascii(Str s) {
  if (s.size == 0) return true;
  return ascii_skip(s.at, s.at + s.size) == s.at + s.size;
}

/* Bytes of the character that starts at p (not ASCII), 0 if it is not well-formed. The second
** byte's range rules out what is overlong, a surrogate or past U+10FFFF (Unicode table 3-7). */
static size_t sequence_size(const unsigned char *p, const unsigned char *end) {
  unsigned low = 0x80, high = 0xbf;
  size_t size;
  if (p[0] < 0xc2) return 0;
  if (p[0] < 0xe0) {
    size = 2;
  } else if (p[0] < 0xf0) {
    size = 3;
    if (p[0] == 0xe0) low = 0xa0;
    if (p[0] == 0xed) high = 0x9f;
  } else if (p[0] < 0xf5) {
    size = 4;
    if (p[0] == 0xf0) low = 0x90;
    if (p[0] == 0xf4) high = 0x8f;
  } else {
    return 0;
  }
  if ((size_t)(end - p) < size || p[1] < low || p[1] > high) return 0;
  for (size_t i = 2; i < size; i++) {
    if ((p[i] & 0xc0) != 0x80) return 0;
  }
  return size;
}

bool utf8_valid(Str s) {
  if (s.size == 0) return true;
  const char *p = s.at, *end = s.at + s.size;
  while ((p = ascii_skip(p, end)) < end) {
    size_t size = sequence_size((const unsigned char *)p, (const unsigned char *)end);
    if (size == 0) return false;
    p += size;
  }
  return true;
}

static inline bool starts_character(char c) { return (c & 0xc0) != 0x80; }

/* Bytes of a word that continue a character: top bit set, next one clear. */
static inline unsigned continuations(uint64_t w) {
  uint64_t marks = (w >> 7) & (~w >> 6) & UINT64_C(0x0101010101010101);
  return (unsigned)((marks * UINT64_C(0x0101010101010101)) >> 56);
}

size_t utf8_count(Str s) {
  size_t count = 0, i = 0;
  for (; i + 8 <= s.size; i += 8) count += 8 - continuations(word_at(s.at + i));
  for (; i < s.size; i++) count += starts_character(s.at[i]);
  return count;
}

size_t utf8_offset(Str s, size_t character) {
  size_t i = 0;
  while (i + 8 <= s.size) {
    size_t here = 8 - continuations(word_at(s.at + i));
    if (here > character) break;
    character -= here;
    i += 8;
  }
  for (; i < s.size; i++) {
    if (starts_character(s.at[i]) && character-- == 0) return i;
  }
  return s.size;
}

size_t utf8_put(char out[4], uint32_t code) {
  if (code < 0x80) {
    out[0] = (char)code;
    return 1;
  }
  size_t size = code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
  for (size_t i = size - 1; i > 0; i--, code >>= 6) out[i] = (char)(0x80 | (code & 0x3f));
  static const uint8_t lead[5] = {0, 0, 0xc0, 0xe0, 0xf0};
  out[0] = (char)(lead[size] | code);
  return size;
}

uint32_t utf8_next(Str s, size_t *at) {
  ASSERT(*at < s.size);
  const unsigned char *p = (const unsigned char *)s.at + *at;
  size_t size = p[0] < 0x80 ? 1 : p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
  ASSERT(size <= s.size - *at);
  *at += size;
  uint32_t code = size == 1 ? p[0] : p[0] & (0x7fu >> size);
  for (size_t i = 1; i < size; i++) code = code << 6 | (p[i] & 0x3f);
  return code;
}
