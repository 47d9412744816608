/* The turns of conversations, as rows. */
#include "vm/runtime/remember.h"

#include "vm/base/cbor.h"
#include "vm/runtime/error_value.h"
#include "vm/runtime/ledger_impl.h"

enum { NAME_BYTES_MAX = 512, RECALL_MOST = 10000 };

typedef struct Talk { /* one conversation */
  Store *store;
  Grouping *grouping;
  Buf key;
  size_t base; /* of the key, without a number */
  bool failed;
} Talk;

/* ---- rows --------------------------------------------------------------------------------- */

static bool row_get(Talk *t, Buf *out) {
  Str pending;
  Err err = {0};
  buf_clear(out);
  if (grouping_kv_get(t->grouping, SPACE_CONVERSATION, buf_view(&t->key), &pending)) {
    buf_str(out, pending);
    return pending.at != NULL;
  }
  bool found = store_kv_get(t->store, SPACE_CONVERSATION, buf_view(&t->key), out, &err);
  t->failed |= !found && err.code != ERR_NOT_FOUND;
  return found;
}

static void key_head(Talk *t) { t->key.size = t->base; }

static void key_turn(Talk *t, uint64_t number) {
  key_head(t);
  key_u64(&t->key, number);
}

static uint64_t last_number(Talk *t) {
  Buf row = {0};
  uint64_t n = 0;
  Err ignored;
  key_head(t);
  if (row_get(t, &row)) {
    CborReader r = cbor_reader(buf_view(&row));
    if (!cbor_uint(&r, &n, &ignored)) n = 0;
  }
  buf_deinit(&row);
  return n;
}

/* ---- asking ---------------------------------------------------------------------------------- */

static void recall(Talk *t, uint64_t most, Buf *value) {
  Buf row = {0}, turns = {0};
  uint64_t last = last_number(t), count = 0;
  if (most > RECALL_MOST) most = RECALL_MOST;
  for (uint64_t n = last > most ? last - most + 1 : 1; n <= last; n++) {
    key_turn(t, n);
    if (!row_get(t, &row)) continue;
    buf_str(&turns, buf_view(&row));
    count++;
  }
  cbor_put_array(value, count);
  buf_str(value, buf_view(&turns));
  buf_deinit(&row);
  buf_deinit(&turns);
}

static void turn_encode(Str question, Str answer, int64_t now_us, Buf *out) {
  cbor_put_tag(out, CBOR_TAG_MAP);
  cbor_put_array(out, 6);
  cbor_put_text(out, STR("question"));
  buf_str(out, question);
  cbor_put_text(out, STR("answer"));
  buf_str(out, answer);
  cbor_put_text(out, STR("at"));
  cbor_put_tag(out, CBOR_TAG_TIME);
  cbor_put_int(out, now_us);
}

static void remember(Talk *t, Str question, Str answer, int64_t now_us, Buf *value) {
  Buf row = {0}, head = {0};
  uint64_t number = last_number(t) + 1;
  cbor_put_uint(&head, number);
  key_head(t);
  grouping_kv(t->grouping, SPACE_CONVERSATION, buf_view(&t->key), buf_view(&head));
  turn_encode(question, answer, now_us, &row);
  key_turn(t, number);
  grouping_kv(t->grouping, SPACE_CONVERSATION, buf_view(&t->key), buf_view(&row));
  cbor_put_nil(value);
  buf_deinit(&row);
  buf_deinit(&head);
}

static bool name_add(Talk *t, Str name) {
  bool fits = name.size > 0 && name.size <= NAME_BYTES_MAX && memchr(name.at, 0, name.size) == NULL;
  buf_str(&t->key, name);
  buf_byte(&t->key, 0);
  return fits;
}

static const char *refused(Buf *value) {
  buf_clear(value);
  error_encode(value, STR("bad_value"),
               STR("a conversation is of an agent and has a name, both text of 1 to 512 bytes"));
  return "error";
}

const char *conversation_ask(Store *store, Grouping *grouping, Str tenant, int64_t now_us, const Request *r, Buf *value,
                             bool *failed) {
  Talk t = {.store = store, .grouping = grouping};
  CborReader reader = cbor_reader(r->operands);
  uint64_t count, most;
  Str agent = {0}, conversation = {0}, question, answer;
  Err e;
  bool ok = cbor_array(&reader, &count, &e) && count >= 3 && cbor_text(&reader, &agent, &e) &&
            cbor_text(&reader, &conversation, &e);
  ok = name_add(&t, tenant) && ok && name_add(&t, agent) && name_add(&t, conversation);
  t.base = t.key.size;
  if (ok && r->effect == EFFECT_RECALL && (ok = cbor_uint(&reader, &most, &e))) {
    recall(&t, most, value);
  } else if (ok) {
    ok = count >= 4 && cbor_skip(&reader, &question, &e) && cbor_skip(&reader, &answer, &e);
    if (ok) remember(&t, question, answer, now_us, value);
  }
  buf_deinit(&t.key);
  *failed |= t.failed;
  return ok ? "ok" : refused(value);
}
