/* The hash chain over a run's records, and the framing of records in a log row.
**
**   h_0 = SHA-256(0x01 | first record)      h_n = SHA-256(0x02 | h_{n-1} | record n)
**   row = (varint size, record), …          varint: 7 bits a byte, low first, shortest form */
#ifndef Z8_CHAIN_H
#define Z8_CHAIN_H

#include "vm/base/buf.h"

/* The head after `record`, the run's record number seq. */
Hash256 chain_next(uint64_t seq, const Hash256 *before, Str record);

/* The same where the record stands in memory with CHAIN_ROOM writable bytes before it: one hash call
** over one piece. What is in the room is overwritten. */
enum { CHAIN_ROOM = 33 };
Hash256 chain_next_in_place(uint64_t seq, const Hash256 *before, char *record, size_t size);

void frame_put(Buf *row, Str record);
/* The next record of a row; false at its end, and with *broken set where the bytes are no frame. */
bool frame_next(Str *row, Str *record, bool *broken);
#endif
