/* How calls of models are kept in a journal: what stands there already is named, not repeated, so that a conversation
** of n turns takes n messages and not n² of them.
**
** A call is an encoded map (vm/effects/model.h). Its delta is the same map, but
**   messages   {base: bytes(16) or nil, new: the messages after it}; base names the longest beginning of the list that
**              is on record: the list of an earlier call, or such a list followed by the assistant message of its reply
**   any other top-level value of more than 64 bytes that is on record already: CBOR_TAG_KNOWN over its name
**
** A name is the first 16 bytes of a SHA-256: of a value's encoding, or for a list of messages of its last link, where
** the link of no messages is SHA-256 of nothing, and that of one more is SHA-256 (link ‖ its encoding).
** The assistant message of a reply is {role: "assistant", content: its text, calls, raw}, the last two left out where
** the reply has none. A name is known from the record on that holds what it names: the ASKED of a call with its list
** and its long values, the ANSWERED "ok" of one. No machine, journal or run is known here. */
#ifndef Z8_CONVERSATION_H
#define Z8_CONVERSATION_H

#include "lang/tables.h"
#include "vm/base/cbor.h"

enum { NAME_SIZE = 16 };
typedef struct ValueName {
  uint8_t byte[NAME_SIZE];
} ValueName;

/* ---- names: a set in order of arrival ---- */
typedef struct NameSet {
  ValueName *at; uint32_t count, cap;
  uint32_t *slots; uint32_t slot_count; /* a hash table of indexes + 1; a power of two */
} NameSet;
#define NAME_NONE UINT32_MAX
void name_set_deinit(NameSet *names);
void name_set_clear(NameSet *names);
uint32_t name_set_find(const NameSet *names, ValueName name); /* its index, or NAME_NONE */
uint32_t name_set_add(NameSet *names, ValueName name);        /* its index, now or since */

/* ---- writing ---- */
/* Appends the delta of a call to `delta`, and to `fresh` (16 bytes each) what its record makes known. ERR_INVALID: it
** is no map, or its messages are no list. */
MUST_USE bool conversation_delta(const NameSet *known, Str call, Buf *delta, Buf *fresh, Err *err);
/* The name of the call's messages with the assistant message of the reply behind them. False: neither is what it
** should be, and nothing becomes known. */
bool conversation_replied(Str call, Str reply, ValueName *name);

/* ---- reading ---- */
/* Expands the deltas of one run's journal, given its records from the first on; values that are kept as blobs are to
** be fetched before (journal_value). Believes nothing. */
typedef struct Conversation Conversation;
Conversation *conversation_new(void);
void conversation_free(Conversation *c);
/* The operands of an ASKED of kind MODEL: appends the whole call. ERR_CORRUPT: it is no delta, or names what was not
** there; ERR_LIMIT: more than a journal of one run is taken to hold. */
MUST_USE bool conversation_asked(Conversation *c, uint64_t seq, Str operands, Buf *call, Err *err);
/* An ANSWERED; of other commands, and of what is no reply, it is passed over. */
void conversation_answered(Conversation *c, uint64_t ref, Str outcome, Str value);

#endif
