/* Calls of models as deltas and back: what is named and what is repeated, and that rubbish is refused. */
#include <stdlib.h>

#include "tests/unit/test.h"

#include "vm/base/mem.h"
#include "vm/run/conversation.h"

/* A writer and a reader side by side: whatever is written must be read back the same. */
typedef struct Pair {
  NameSet known;
  Conversation *reader;
  Buf call, delta, fresh, back;
  uint64_t seq;
} Pair;

static void pair_begin(Pair *p) {
  *p = (Pair){0};
  p->reader = conversation_new();
}

static void pair_end(Pair *p) {
  name_set_deinit(&p->known);
  conversation_free(p->reader);
  buf_deinit(&p->call);
  buf_deinit(&p->delta);
  buf_deinit(&p->fresh);
  buf_deinit(&p->back);
}

static void known(Pair *p, Str names) {
  for (size_t at = 0; at < names.size; at += NAME_SIZE) {
    ValueName name;
    memcpy(&name, names.at + at, sizeof name);
    name_set_add(&p->known, name);
  }
}

static void from_json(const char *json, Buf *out) {
  Err err;
  buf_clear(out);
  CHECK(cbor_from_json(str_of(json), out, &err));
}

/* Its delta as JSON, in p->fresh; false: refused. */
static bool asks(Pair *p, const char *json) {
  Err err = {0};
  Buf operands = {0};
  from_json(json, &p->call);
  buf_clear(&p->delta);
  buf_clear(&p->fresh);
  buf_clear(&p->back);
  if (!conversation_delta(&p->known, buf_view(&p->call), &p->delta, &p->fresh, &err)) return false;
  known(p, buf_view(&p->fresh));
  cbor_put_array(&operands, 1);
  buf_str(&operands, buf_view(&p->delta));
  CHECK(conversation_asked(p->reader, ++p->seq, buf_view(&operands), &p->back, &err));
  CHECK_STR(buf_view(&p->back), buf_view(&p->call));
  buf_clear(&p->fresh);
  CHECK(cbor_to_json(buf_view(&p->delta), &p->fresh, &err));
  buf_deinit(&operands);
  return true;
}

static bool gets(Pair *p, const char *json) {
  Buf reply = {0};
  ValueName name;
  from_json(json, &reply);
  bool ok = conversation_replied(buf_view(&p->call), buf_view(&reply), &name);
  if (ok) name_set_add(&p->known, name);
  conversation_answered(p->reader, p->seq, STR("ok"), buf_view(&reply));
  buf_deinit(&reply);
  return ok;
}

static bool has(Str text, const char *part) { return memmem(text.at, text.size, part, strlen(part)) != NULL; }

#define LONG "0123456789012345678901234567890123456789012345678901234567890123456789"
#define ONE "{\"role\":\"user\",\"content\":\"one\"}"
#define TWO "{\"role\":\"user\",\"content\":\"two\"}"

static void test_turns(void) {
  Pair p;
  pair_begin(&p);
  CHECK(asks(&p, "{\"model\":\"fast\",\"system\":\"" LONG "\",\"messages\":[" ONE "]}"));
  CHECK_STR(buf_view(&p.fresh), STR("{\"model\":\"fast\",\"system\":\"" LONG
                                    "\",\"messages\":{\"base\":null,\"new\":[" ONE "]}}"));
  CHECK(gets(&p, "{\"text\":\"hi\",\"calls\":[],\"stop\":\"end\",\"raw\":null}"));
  CHECK(asks(&p, "{\"model\":\"fast\",\"system\":\"" LONG "\",\"messages\":[" ONE
                 ",{\"role\":\"assistant\",\"content\":\"hi\"}," TWO "]}"));
  CHECK(has(buf_view(&p.fresh), "\"system\":{\"known\":\""));
  CHECK(has(buf_view(&p.fresh), "\"new\":[" TWO "]}") && !has(buf_view(&p.fresh), "\"base\":null"));
  CHECK(gets(&p, "{\"text\":\"a\",\"calls\":[{\"id\":\"1\"}],\"raw\":\"xx\"}"));
  CHECK(asks(&p, "{\"messages\":[" ONE ",{\"role\":\"assistant\",\"content\":\"hi\"}," TWO
                 ",{\"role\":\"assistant\",\"content\":\"a\",\"calls\":[{\"id\":\"1\"}],\"raw\":\"xx\"}]}"));
  CHECK(has(buf_view(&p.fresh), "\"new\":[]}"));
  pair_end(&p);
}

/* The same again, another way on from an earlier point, a list that was cut, no list, an empty one. */
static void test_branches(void) {
  Pair p;
  pair_begin(&p);
  CHECK(asks(&p, "{\"messages\":[" ONE "," TWO "]}"));
  CHECK(asks(&p, "{\"messages\":[" ONE "," TWO "]}"));
  CHECK(has(buf_view(&p.fresh), "\"new\":[]}"));
  CHECK(asks(&p, "{\"messages\":[" ONE "," ONE "]}"));
  CHECK(has(buf_view(&p.fresh), "\"base\":null")); /* [ONE] alone was no list */
  CHECK(asks(&p, "{\"messages\":[" ONE "]}"));
  CHECK(asks(&p, "{\"messages\":[" ONE ",1]}"));
  CHECK(has(buf_view(&p.fresh), "\"new\":[1]}"));
  CHECK(asks(&p, "{\"messages\":[]}"));
  CHECK_STR(buf_view(&p.fresh), STR("{\"messages\":{\"base\":null,\"new\":[]}}"));
  CHECK(asks(&p, "{\"messages\":null}"));
  CHECK(asks(&p, "{\"tools\":[]}"));
  CHECK(asks(&p, "{}"));
  CHECK(!asks(&p, "{\"messages\":{\"base\":null,\"new\":[]}}"));
  CHECK(!asks(&p, "[]"));
  pair_end(&p);
}

static void test_not_replies(void) {
  Pair p;
  pair_begin(&p);
  CHECK(asks(&p, "{\"messages\":[" ONE "]}"));
  CHECK(!gets(&p, "null") && !gets(&p, "[1]") && !gets(&p, "{\"stop\":\"end\"}"));
  conversation_answered(p.reader, 77, STR("ok"), (Str){"\xff\xff", 2});
  conversation_answered(p.reader, p.seq, STR("ok"), (Str){"\xff\xff", 2});
  conversation_answered(p.reader, p.seq, STR("error"), (Str){0});
  CHECK(asks(&p, "{\"x\":1}"));
  CHECK(!gets(&p, "{\"text\":\"hi\"}")); /* it had no messages */
  pair_end(&p);
}

/* A thousand messages of a turn each: the journal grows by what is new. */
static void test_growth(void) {
  Pair p;
  Buf call = {0};
  Err err;
  size_t most = 0;
  pair_begin(&p);
  for (uint64_t turn = 1; turn <= 300; turn++) {
    buf_clear(&p.delta);
    buf_clear(&p.fresh);
    buf_clear(&call);
    cbor_put_tag(&call, CBOR_TAG_MAP);
    cbor_put_array(&call, 2);
    cbor_put_text(&call, STR("messages"));
    cbor_put_array(&call, turn);
    for (uint64_t i = 0; i < turn; i++) cbor_put_uint(&call, i);
    CHECK(conversation_delta(&p.known, buf_view(&call), &p.delta, &p.fresh, &err));
    known(&p, buf_view(&p.fresh));
    if (p.delta.size > most) most = p.delta.size;
  }
  CHECK(most < 60);
  buf_deinit(&call);
  pair_end(&p);
}

/* ---- rubbish ---- */

static bool reads(Conversation *c, uint64_t seq, Str operands) {
  Buf call = {0};
  Err err = {0};
  bool ok = conversation_asked(c, seq, operands, &call, &err);
  CHECK(ok || (err.code == ERR_CORRUPT && call.size == 0));
  buf_deinit(&call);
  return ok;
}

static void test_strange(void) {
  Conversation *c = conversation_new();
  Buf b = {0};
  CHECK(!reads(c, 1, (Str){0}));
  CHECK(!reads(c, 1, STR("\x80")));
  CHECK(!reads(c, 1, STR("\x82\x01\x01")));
  from_json("[{\"messages\":{\"base\":\"x\",\"new\":[]}}]", &b);
  CHECK(!reads(c, 1, buf_view(&b)));
  from_json("[{\"messages\":[]}]", &b);
  CHECK(!reads(c, 1, buf_view(&b)));
  buf_clear(&b);
  cbor_put_array(&b, 1);
  cbor_put_tag(&b, CBOR_TAG_MAP);
  cbor_put_array(&b, 2);
  cbor_put_text(&b, STR("system"));
  cbor_put_tag(&b, CBOR_TAG_KNOWN);
  cbor_put_bytes(&b, STR("0123456789abcdef"));
  CHECK(!reads(c, 1, buf_view(&b)));
  b.size--;
  CHECK(!reads(c, 1, buf_view(&b)));
  conversation_free(c);
  buf_deinit(&b);
}

/* Any byte of a delta changed, and any end cut off: refused, or read as something else, and never more. */
static void test_damaged(void) {
  Pair p;
  Buf operands = {0};
  pair_begin(&p);
  CHECK(asks(&p, "{\"system\":\"" LONG "\",\"messages\":[" ONE "]}"));
  CHECK(gets(&p, "{\"text\":\"hi\"}"));
  CHECK(asks(&p, "{\"system\":\"" LONG "\",\"messages\":[" ONE
                 ",{\"role\":\"assistant\",\"content\":\"hi\"}," TWO "]}"));
  cbor_put_array(&operands, 1);
  buf_str(&operands, buf_view(&p.delta));
  for (size_t i = 0; i < operands.size; i++) {
    char was = operands.at[i];
    for (int bit = 0; bit < 8; bit++) {
      operands.at[i] = (char)(was ^ (1 << bit));
      (void)reads(p.reader, 100 + i, buf_view(&operands));
    }
    operands.at[i] = was;
    CHECK(!reads(p.reader, 1000, (Str){operands.at, i}));
  }
  CHECK(reads(p.reader, 1001, buf_view(&operands)));
  buf_deinit(&operands);
  pair_end(&p);
}

static void test_name_set(void) {
  NameSet set = {0};
  ValueName name = {{0}};
  CHECK(name_set_find(&set, name) == NAME_NONE);
  for (uint32_t i = 0; i < 1000; i++) {
    memcpy(name.byte, &i, sizeof i);
    CHECK(name_set_add(&set, name) == i);
  }
  for (uint32_t i = 0; i < 1000; i++) {
    memcpy(name.byte, &i, sizeof i);
    CHECK(name_set_add(&set, name) == i && name_set_find(&set, name) == i);
  }
  name_set_clear(&set);
  CHECK(name_set_find(&set, name) == NAME_NONE && set.count == 0);
  CHECK(name_set_add(&set, name) == 0);
  name_set_deinit(&set);
}

int main(void) {
  RUN_TEST(test_turns);
  RUN_TEST(test_branches);
  RUN_TEST(test_not_replies);
  RUN_TEST(test_growth);
  RUN_TEST(test_strange);
  RUN_TEST(test_damaged);
  RUN_TEST(test_name_set);
  return TEST_END();
}
