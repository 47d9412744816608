/* Any bytes as the recorded calls of one run (vm/run/conversation.h). Read as a sequence of CBOR items they are fed to the
** reader as commands and replies: it believes nothing. And each item that is a call makes the round: its delta against
** all that came before, expanded again, is the same call. */
#include <stdlib.h>

#include "vm/run/conversation.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { ITEMS_MAX = 64 };

static void believe_nothing(Str bytes) {
  Conversation *c = conversation_new();
  CborReader r = cbor_reader(bytes);
  Str item;
  Err err;
  for (uint64_t seq = 1; seq < ITEMS_MAX && r.at < r.end && cbor_skip(&r, &item, &err); seq++) {
    Buf call = {0};
    if (seq % 3 == 0) conversation_answered(c, seq - 1, STR("ok"), item);
    else if (conversation_asked(c, seq, item, &call, &err) && call.size == 0) abort();
    buf_deinit(&call);
  }
  conversation_free(c);
}

static void name_all(NameSet *known, const Buf *fresh) {
  for (size_t at = 0; at < fresh->size; at += NAME_SIZE) {
    ValueName name;
    memcpy(name.byte, fresh->at + at, sizeof name.byte);
    (void)name_set_add(known, name);
  }
}

/* False: it is no call. */
static bool go_round(Conversation *c, NameSet *known, uint64_t seq, Str call) {
  Buf operands = {0}, fresh = {0}, back = {0};
  Err err;
  cbor_put_array(&operands, 1);
  bool ok = conversation_delta(known, call, &operands, &fresh, &err);
  if (ok) {
    if (!conversation_asked(c, seq, buf_view(&operands), &back, &err)) abort();
    if (!str_equal(buf_view(&back), call)) abort();
    name_all(known, &fresh);
  }
  buf_deinit(&operands);
  buf_deinit(&fresh);
  buf_deinit(&back);
  return ok;
}

static void reply(Conversation *c, NameSet *known, uint64_t seq, Str call, Str value) {
  ValueName name;
  conversation_answered(c, seq, STR("ok"), value);
  if (conversation_replied(call, value, &name)) (void)name_set_add(known, name);
}

static void rounds(Str bytes) {
  Conversation *c = conversation_new();
  NameSet known = {0};
  CborReader r = cbor_reader(bytes);
  Str item, last = {0};
  Err err;
  for (uint64_t seq = 1; seq < ITEMS_MAX && r.at < r.end && cbor_skip(&r, &item, &err); seq++) {
    if (last.at) reply(c, &known, seq - 1, last, item);
    last = go_round(c, &known, seq, item) ? item : (Str){0};
  }
  name_set_deinit(&known);
  conversation_free(c);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  Str bytes = {(const char *)data, size};
  believe_nothing(bytes);
  rounds(bytes);
  return 0;
}
