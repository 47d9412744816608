/* A run's journal: recorded history to be walked again, then new records.
**
** While history lasts, journal_put compares what the code asks for with what is
** recorded (bytes first; the decoded records only if those differ), and
** journal_event gives the recorded events back; nothing leaves the process. At its
** end the journal is live: journal_put appends. A difference is a divergence: the
** journal keeps both sides (diverge.h) and the run goes no further. Changed code
** may differ in site only, which is a note.
**
** Chain: h_0 = SHA-256(0x01 | head record), h_n = SHA-256(0x02 | h_{n-1} | record).
** Values of LIMIT_BLOB_BYTES or more are kept once as blobs, id = HMAC-SHA-256(tenant
** key, bytes), and replaced by CBOR_TAG_BLOB in the record, so in the chain too. */
#ifndef Z8_JOURNAL_H
#define Z8_JOURNAL_H

#include "vm/base/hash.h"
#include "vm/journal/record.h"
#include "vm/store/store.h"

typedef enum { DIVERGE_NONE, DIVERGE_KIND, DIVERGE_SITE, DIVERGE_OPERAND, DIVERGE_EXTRA, DIVERGE_MISSING,
               DIVERGE_DELIVERY, DIVERGE_STATE, DIVERGE_RESULT, DIVERGE_PATCH,
               DIVERGE_DAMAGED /* a recorded record, or a blob of it, cannot be read */ } DivergeKind;
const char *diverge_word(DivergeKind kind);

typedef struct Divergence {
  DivergeKind kind;
  uint64_t seq;
  Buf recorded, current;   /* encoded records, blobs in their places; empty where there is none */
  Buf agreed;              /* the last record that agreed */
  Err damage;              /* DAMAGED: what cannot be read */
} Divergence;

typedef struct Journal Journal;

/* A new run's, live from the start. tenant_key makes blob ids. */
Journal *journal_new(Hash256 tenant_key);
/* One with history: rows are read from the store into memory and the chain is verified against each row's
** head (ERR_CORRUPT names the record). same_code: the code is the recorded one, so sites must agree too. */
MUST_USE bool journal_load(Store *store, uint64_t run, Hash256 tenant_key, bool same_code, Journal **out, Err *err);
/* History without its beginning, for a run that is resumed from an image: live at `seq` with that head. */
Journal *journal_resume(Hash256 tenant_key, uint64_t seq, Hash256 head);
void journal_free(Journal *j);

bool journal_live(const Journal *j);          /* no history left */
uint64_t journal_seq(const Journal *j);       /* the next record's seq */
Hash256 journal_head(const Journal *j);       /* chain after the last put or given record */
uint64_t journal_position(const Journal *j);  /* records walked or put so far */
/* No record will be put past the history: journal_put at its end returns false with kind NONE. For `z8 replay`. */
void journal_read_only(Journal *j);

/* Recorded records are given with their blobs in place. What they point to lives until another one is given.
** The next recorded record without taking it; NULL when live. PATCH records are passed over: they are known
** by id (journal_patch_ahead). */
const Record *journal_peek(Journal *j);
/* The effect kind of the next recorded record if that is an ASKED, else 0: cheaper than a peek. */
uint64_t journal_peek_asked(const Journal *j);
/* Puts record (its seq is set here; in history its `at` too, where that is the last field of a command or
** state). False: diverged (journal_divergence), or the end of a read-only history. A PATCH agrees with the
** recorded one of its id wherever that stands; in history without one, a false decision is passed over. */
MUST_USE bool journal_put(Journal *j, Record *record);
/* A recorded FUSED read answering this one, taken; false when live (the caller reads and puts) or diverged. */
MUST_USE bool journal_read(Journal *j, Record *question, Record *answer);
/* The next recorded record if it is an EVENT, taken; false otherwise. */
bool journal_event(Journal *j, Record *out);
/* Is a PATCH record for this id anywhere ahead in history? */
bool journal_patch_ahead(const Journal *j, Str id, bool *value);
const Divergence *journal_divergence(const Journal *j); /* never NULL; kind NONE while all agrees */
uint64_t journal_notes(const Journal *j); /* how many records agreed but for their site */
/* Declares one from outside: the code stopped while history has commands left, the state differs… */
void journal_diverge(Journal *j, DivergeKind kind, const Record *current);

/* What was put since the last take: framed records as a LogRow wants them (false if none). The blobs that
** they refer to are appended to the group. Everything stays valid until the next take or free. */
bool journal_take(Journal *j, LogRow *row, StoreGroup *group);

/* The value behind a blob reference (CBOR_TAG_BLOB), or the value itself. keep holds fetched bytes. */
MUST_USE bool journal_value(Store *store, Str value, Buf *keep, Str *out, Err *err);

/* Verifies a whole run's chain: count of records, or the first that is wrong. */
MUST_USE bool journal_verify(Store *store, uint64_t run, uint64_t *records, Err *err);
#endif
