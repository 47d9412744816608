/* Most records are of a hundred bytes or two, so a call of the digest costs as much as
** the hashing: small records are hashed as one piece. */
#include "vm/journal/chain.h"
#include "vm/base/hash.h"

enum { FIRST = 0x01, LATER = 0x02, SMALL = 512 };

Hash256 chain_next_in_place(uint64_t seq, const Hash256 *before, char *record, size_t size) {
  char *start = record - 1;
  if (seq > 0) {
    start = record - CHAIN_ROOM;
    memcpy(start + 1, before->byte, sizeof before->byte);
  }
  *start = seq > 0 ? LATER : FIRST;
  return sha256((Str){start, (size_t)(record - start) + size});
}

static Hash256 chain_in_pieces(uint64_t seq, const Hash256 *before, Str record) {
  Sha256 s;
  char mark = seq > 0 ? LATER : FIRST;
  sha256_begin(&s);
  sha256_add(&s, (Str){&mark, 1});
  if (seq > 0) sha256_add(&s, (Str){(const char *)before->byte, sizeof before->byte});
  sha256_add(&s, record);
  return sha256_end(&s);
}

Hash256 chain_next(uint64_t seq, const Hash256 *before, Str record) {
  char piece[CHAIN_ROOM + SMALL];
  if (record.size > SMALL) return chain_in_pieces(seq, before, record);
  if (record.size) memcpy(piece + CHAIN_ROOM, record.at, record.size);
  return chain_next_in_place(seq, before, piece + CHAIN_ROOM, record.size);
}

void frame_put(Buf *row, Str record) {
  uint64_t n = record.size;
  for (; n >= 0x80; n >>= 7) buf_byte(row, (uint8_t)(n | 0x80));
  buf_byte(row, (uint8_t)n);
  buf_str(row, record);
}

bool frame_next(Str *row, Str *record, bool *broken) {
  uint64_t size = 0;
  size_t i = 0;
  *broken = false;
  if (row->size == 0) return false;
  for (;; i++) {
    if (i == row->size || i == 5) goto broken;
    uint8_t byte = (uint8_t)row->at[i];
    size |= (uint64_t)(byte & 0x7f) << (7 * i);
    if (byte < 0x80) {
      if (byte == 0 && i > 0) goto broken; /* not the shortest */
      break;
    }
  }
  if (size > row->size - i - 1) goto broken;
  *record = (Str){row->at + i + 1, size};
  *row = (Str){row->at + i + 1 + size, row->size - i - 1 - size};
  return true;
broken:
  *broken = true;
  return false;
}
