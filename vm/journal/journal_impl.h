/* A journal's inside, shared by journal.c (the cursor, appending) and journal_load.c. */
#ifndef Z8_JOURNAL_IMPL_H
#define Z8_JOURNAL_IMPL_H

#include "vm/journal/journal.h"

#define NO_ENTRY UINT32_MAX

typedef struct Entry { /* a recorded record */
  uint32_t offset, size; /* in `bytes` */
  uint8_t kind, record_class;
} Entry;

typedef struct PatchEntry { /* a recorded PATCH */
  uint32_t index;      /* of its entry */
  uint32_t generation; /* HEADs before it, less one: ids are decided anew in each generation */
  bool value, consumed;
} PatchEntry;

typedef struct Unsaved { /* what was put and not taken; offsets because buffers move */
  Buf row, blobs;
  Hash256 *ids; uint32_t id_cap;
  uint64_t *ends; uint32_t end_cap; /* blob i is blobs[ends[i - 1]..ends[i]) */
  uint32_t blob_count;
} Unsaved;

enum { REFS_MAX = 16 }; /* values of one record */

struct Journal {
  Hash256 tenant_key;
  Store *store; /* where blobs of the history are; NULL for a new run's */
  bool same_code, read_only;

  Buf bytes; /* history: rows as they are in the store */
  Entry *entries; uint32_t count, entry_cap;
  PatchEntry *patches; uint32_t patch_count, patch_cap;
  uint32_t next;       /* first entry not taken */
  uint32_t generation;

  Record given;        /* the decoded entry `given_index`, with blobs in place */
  uint32_t given_index;
  Buf fetched[REFS_MAX];

  uint64_t seq;        /* of the next record, once live */
  Hash256 head;        /* the chain before it */
  Buf scratch;         /* CHAIN_ROOM bytes, then a record being compared or put */
  char refs[REFS_MAX][RECORD_BLOB_REF];
  Unsaved put, taken;

  Divergence divergence;
  uint64_t notes;
};

static inline Str entry_bytes(const Journal *j, uint32_t index) {
  return (Str){j->bytes.at + j->entries[index].offset, j->entries[index].size};
}
#endif
