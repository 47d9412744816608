/* Bytes as text: base64 (RFC 4648), hex, percent-encoding. Decoders take one spelling only:
** canonical padding, no stray bits, no spaces. They append, and on failure leave `out` as it was. */
#include "vm/base/text.h"

/* -- hex -- */

int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

void hex_encode(Str bytes, Buf *out) {
  char *room = buf_room(out, bytes.size * 2);
  if (!room) return;
  for (size_t i = 0; i < bytes.size; i++) {
    unsigned byte = (unsigned char)bytes.at[i];
    *room++ = "0123456789abcdef"[byte >> 4];
    *room++ = "0123456789abcdef"[byte & 15];
  }
  out->size += bytes.size * 2;
}

bool hex_decode(Str text, Buf *out) {
  if (text.size % 2) return false;
  if (text.size == 0) return true;
  char *room = buf_room(out, text.size / 2);
  if (!room) return false;
  for (size_t i = 0; i < text.size; i += 2) {
    int high = hex_value(text.at[i]), low = hex_value(text.at[i + 1]);
    if (high < 0 || low < 0) return false;
    *room++ = (char)(high << 4 | low);
  }
  out->size += text.size / 2;
  return true;
}

/* -- base64; the URL alphabet goes without padding -- */

static char base64_digit(unsigned six, bool url) {
  if (six < 26) return (char)('A' + six);
  if (six < 52) return (char)('a' + six - 26);
  if (six < 62) return (char)('0' + six - 52);
  if (six == 62) return url ? '-' : '+';
  return url ? '_' : '/';
}

static int base64_value(char c, bool url) {
  if (c >= 'A' && c <= 'Z') return c - 'A';
  if (c >= 'a' && c <= 'z') return c - 'a' + 26;
  if (c >= '0' && c <= '9') return c - '0' + 52;
  if (c == (url ? '-' : '+')) return 62;
  if (c == (url ? '_' : '/')) return 63;
  return -1;
}

void base64_encode(Str bytes, bool url, Buf *out) {
  for (size_t i = 0; i < bytes.size; i += 3) {
    size_t have = bytes.size - i < 3 ? bytes.size - i : 3;
    unsigned word = 0;
    char four[4];
    for (size_t k = 0; k < 3; k++)
      word = word << 8 | (k < have ? (unsigned char)bytes.at[i + k] : 0u);
    for (size_t k = 0; k < 4; k++)
      four[k] = k <= have ? base64_digit(word >> (18 - 6 * k) & 63, url) : '=';
    buf_put(out, four, url ? have + 1 : 4);
  }
}

/* One group of 2 to 4 digits as 1 to 3 bytes. */
static bool base64_group(Str digits, bool url, Buf *out) {
  unsigned word = 0;
  for (size_t k = 0; k < 4; k++) {
    int value = k < digits.size ? base64_value(digits.at[k], url) : 0;
    if (value < 0) return false;
    word = word << 6 | (unsigned)value;
  }
  size_t bytes = digits.size - 1;
  if (word & (0xffffffu >> (8 * bytes))) return false; /* bits that stand for nothing */
  char three[3] = {(char)(word >> 16), (char)(word >> 8), (char)word};
  buf_put(out, three, bytes);
  return true;
}

bool base64_decode(Str text, bool url, Buf *out) {
  size_t before = out->size;
  if (!url || (text.size % 4 == 0 && text.size && text.at[text.size - 1] == '=')) {
    if (text.size % 4) return false;
    for (int k = 0; k < 2 && text.size && text.at[text.size - 1] == '='; k++) text.size--;
  }
  bool ok = text.size % 4 != 1;
  for (size_t i = 0; ok && i < text.size; i += 4) {
    size_t have = text.size - i < 4 ? text.size - i : 4;
    ok = base64_group((Str){text.at + i, have}, url, out);
  }
  if (!ok) out->size = before;
  return ok;
}

/* -- percent-encoding -- */

static bool is_unreserved(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
         c == '.' || c == '_' || c == '~';
}

void percent_encode(Str bytes, Buf *out) {
  for (size_t i = 0; i < bytes.size; i++) {
    unsigned byte = (unsigned char)bytes.at[i];
    if (is_unreserved(bytes.at[i])) {
      buf_byte(out, (uint8_t)byte);
    } else {
      char three[3] = {'%', "0123456789ABCDEF"[byte >> 4], "0123456789ABCDEF"[byte & 15]};
      buf_put(out, three, 3);
    }
  }
}

bool percent_decode(Str text, bool plus_is_space, Buf *out) {
  size_t before = out->size;
  for (size_t i = 0; i < text.size; i++) {
    char c = text.at[i];
    if (c == '%') {
      int high = i + 2 < text.size ? hex_value(text.at[i + 1]) : -1;
      int low = high >= 0 ? hex_value(text.at[i + 2]) : -1;
      if (low < 0) {
        out->size = before;
        return false;
      }
      c = (char)(high << 4 | low);
      i += 2;
    } else if (c == '+' && plus_is_space) {
      c = ' ';
    }
    buf_byte(out, (uint8_t)c);
  }
  return true;
}
