/* Calls as deltas and back (conversation.h). */
#include "vm/run/conversation.h"

#include "vm/base/hash.h"
#include "vm/base/mem.h"

enum { WORTH_NAMING = 64 /* a shorter value is repeated */ };
#define KEPT_MAX ((size_t)1 << 30) /* bytes that a reader keeps of one run */

/* ---- names ---- */

void name_set_deinit(NameSet *names) {
  mem_free(names->at);
  mem_free(names->slots);
  *names = (NameSet){0};
}

void name_set_clear(NameSet *names) {
  names->count = 0;
  if (names->slots) memset(names->slots, 0, names->slot_count * sizeof *names->slots);
}

/* Where it is, or would be. A name is a hash already. */
static uint32_t *slot_of(const NameSet *names, ValueName name) {
  uint64_t at;
  memcpy(&at, name.byte, sizeof at);
  for (;; at++) {
    uint32_t *slot = &names->slots[at & (names->slot_count - 1)];
    if (*slot == 0 || memcmp(&names->at[*slot - 1], &name, sizeof name) == 0) return slot;
  }
}

uint32_t name_set_find(const NameSet *names, ValueName name) {
  return names->slot_count ? *slot_of(names, name) - 1 : NAME_NONE; /* an empty slot: 0 - 1 is NAME_NONE */
}

static void slots_grow(NameSet *names) {
  mem_free(names->slots);
  names->slot_count = names->slot_count ? names->slot_count * 2 : 32;
  names->slots = mem_alloc(names->slot_count * sizeof *names->slots);
  memset(names->slots, 0, names->slot_count * sizeof *names->slots);
  for (uint32_t i = 0; i < names->count; i++) *slot_of(names, names->at[i]) = i + 1;
}

uint32_t name_set_add(NameSet *names, ValueName name) {
  if ((names->count + 1) * 2 > names->slot_count) slots_grow(names);
  uint32_t *slot = slot_of(names, name);
  if (*slot) return *slot - 1;
  names->at = mem_grow(names->at, &names->cap, names->count + 1, sizeof *names->at);
  names->at[names->count] = name;
  *slot = ++names->count;
  return names->count - 1;
}

static ValueName name_of(Hash256 hash) {
  ValueName name;
  memcpy(name.byte, hash.byte, sizeof name.byte);
  return name;
}

static void name_put(ValueName name, Buf *out) {
  cbor_put_bytes(out, (Str){(const char *)name.byte, sizeof name.byte});
}

static Hash256 link_none(void) { return sha256((Str){"", 0}); }

static Hash256 link_next(Hash256 before, Str message) {
  Sha256 s;
  sha256_begin(&s);
  sha256_add(&s, (Str){(const char *)before.byte, sizeof before.byte});
  sha256_add(&s, message);
  return sha256_end(&s);
}

/* ---- walking ---- */

/* The pairs of an encoded map; *count of them. */
static bool map_open(Str map, CborReader *r, uint64_t *count) {
  CborItem item;
  Err ignored;
  *r = cbor_reader(map);
  if (!cbor_next(r, &item, &ignored) || item.kind != CBOR_TAG || item.n != CBOR_TAG_MAP) return false;
  if (!cbor_array(r, count, &ignored) || *count % 2) return false;
  *count /= 2;
  return true;
}

static bool list_open(Str list, CborReader *r, uint64_t *count) {
  Err ignored;
  *r = cbor_reader(list);
  return cbor_array(r, count, &ignored);
}

static bool part(CborReader *r, Str *whole) {
  Err ignored;
  return cbor_skip(r, whole, &ignored);
}

static const Str key_messages = {"\x68messages", 9};
static const Str encoded_nil = {"\xf6", 1};

static void map_begin(Buf *out, uint64_t pairs) {
  cbor_put_tag(out, CBOR_TAG_MAP);
  cbor_put_array(out, pairs * 2);
}

/* ---- writing ---- */

static void fresh_put(Hash256 hash, Buf *fresh) { buf_put(fresh, hash.byte, NAME_SIZE); }

/* How many of the messages are on record, and under what name. */
static bool base_find(const NameSet *known, Str list, uint64_t *base, ValueName *name, Buf *fresh) {
  CborReader r;
  uint64_t count;
  Str message;
  Hash256 link = link_none();
  *base = 0;
  if (!list_open(list, &r, &count)) return false;
  for (uint64_t i = 0; i < count; i++) {
    if (!part(&r, &message)) return false;
    link = link_next(link, message);
    if (name_set_find(known, name_of(link)) == NAME_NONE) continue;
    *base = i + 1;
    *name = name_of(link);
  }
  if (count > 0) fresh_put(link, fresh);
  return true;
}

static bool messages_put(const NameSet *known, Str list, Buf *out, Buf *fresh) {
  CborReader r;
  uint64_t count, base;
  ValueName name;
  if (!base_find(known, list, &base, &name, fresh) || !list_open(list, &r, &count)) return false;
  for (uint64_t i = 0; i < base; i++) {
    if (!part(&r, NULL)) return false;
  }
  map_begin(out, 2);
  cbor_put_text(out, STR("base"));
  if (base) name_put(name, out);
  else cbor_put_nil(out);
  cbor_put_text(out, STR("new"));
  cbor_put_array(out, count - base);
  buf_put(out, r.at, (size_t)(r.end - r.at));
  return true;
}

static void value_put(const NameSet *known, Str value, Buf *out, Buf *fresh) {
  Hash256 hash;
  if (value.size > WORTH_NAMING) {
    hash = sha256(value);
    if (name_set_find(known, name_of(hash)) != NAME_NONE) {
      cbor_put_tag(out, CBOR_TAG_KNOWN);
      name_put(name_of(hash), out);
      return;
    }
    fresh_put(hash, fresh);
  }
  buf_str(out, value);
}

bool conversation_delta(const NameSet *known, Str call, Buf *delta, Buf *fresh, Err *err) {
  CborReader r;
  uint64_t count;
  Str key, value;
  if (!map_open(call, &r, &count)) return FAIL(err, ERR_INVALID, "a call of a model is a map"), false;
  map_begin(delta, count);
  for (uint64_t i = 0; i < count; i++) {
    if (!part(&r, &key) || !part(&r, &value)) return FAIL(err, ERR_INVALID, "a call of a model is a map"), false;
    buf_str(delta, key);
    if (!str_equal(key, key_messages) || str_equal(value, encoded_nil)) {
      value_put(known, value, delta, fresh);
    } else if (!messages_put(known, value, delta, fresh)) {
      FAIL(err, ERR_INVALID, "the messages of a call are a list");
      return false;
    }
  }
  return true;
}

/* ---- replies ---- */

static bool given(Str value) {
  return value.at != NULL && !str_equal(value, encoded_nil) && !str_equal(value, (Str){"\x80", 1});
}

static bool assistant_put(Str reply, Buf *out) {
  Str text = cbor_map_get(reply, STR("text"));
  Str calls = cbor_map_get(reply, STR("calls")), raw = cbor_map_get(reply, STR("raw"));
  if (text.at == NULL) return false;
  map_begin(out, 2u + given(calls) + given(raw));
  cbor_put_text(out, STR("role"));
  cbor_put_text(out, STR("assistant"));
  cbor_put_text(out, STR("content"));
  buf_str(out, text);
  if (given(calls)) cbor_put_text(out, STR("calls")), buf_str(out, calls);
  if (given(raw)) cbor_put_text(out, STR("raw")), buf_str(out, raw);
  return true;
}

static bool list_link(Str list, Hash256 *link) {
  CborReader r;
  uint64_t count;
  Str message;
  *link = link_none();
  if (!list_open(list, &r, &count)) return false;
  for (uint64_t i = 0; i < count; i++) {
    if (!part(&r, &message)) return false;
    *link = link_next(*link, message);
  }
  return true;
}

bool conversation_replied(Str call, Str reply, ValueName *name) {
  Str list = cbor_map_get(call, STR("messages"));
  Buf message = {0};
  Hash256 link;
  bool ok = list.at != NULL && list_link(list, &link) && assistant_put(reply, &message);
  if (ok) *name = name_of(link_next(link, buf_view(&message)));
  buf_deinit(&message);
  return ok;
}

/* ---- reading ---- */

#define NO_NODE UINT32_MAX

typedef struct Node { /* a message, and by `before` the list that ends with it */
  uint32_t before;
  Hash256 link;
  Str message; /* owned */
} Node;

typedef struct Sent { /* a call, by rising seq, for its answer */
  uint64_t seq;
  uint32_t node; /* of its list */
} Sent;

struct Conversation {
  NameSet values, lists;
  Str *value; uint32_t value_cap;   /* by index in values; owned */
  uint32_t *list; uint32_t list_cap; /* by index in lists: nodes */
  Node *nodes; uint32_t node_count, node_cap;
  Sent *sent; uint32_t sent_count, sent_cap;
  size_t kept; /* bytes */
};

Conversation *conversation_new(void) { return MEM_NEW(Conversation); }

void conversation_free(Conversation *c) {
  if (!c) return;
  for (uint32_t i = 0; i < c->values.count; i++) mem_free((void *)(uintptr_t)c->value[i].at);
  for (uint32_t i = 0; i < c->node_count; i++) mem_free((void *)(uintptr_t)c->nodes[i].message.at);
  name_set_deinit(&c->values);
  name_set_deinit(&c->lists);
  mem_free(c->value);
  mem_free(c->list);
  mem_free(c->nodes);
  mem_free(c->sent);
  mem_free(c);
}

static bool strange(Err *err, const char *what) {
  FAIL(err, ERR_CORRUPT, "a recorded call of a model: %s", what);
  return false;
}

static Str keep(Conversation *c, Str s) {
  char *copy = mem_alloc(s.size + 1);
  memcpy(copy, s.at, s.size);
  c->kept += s.size + sizeof(Node);
  return (Str){copy, s.size};
}

static bool room(const Conversation *c, size_t size, Err *err) {
  if (c->kept < KEPT_MAX && size < KEPT_MAX - c->kept) return true;
  FAIL(err, ERR_LIMIT, "the calls of one run are larger than %zu MB", KEPT_MAX >> 20);
  return false;
}

static uint32_t node_add(Conversation *c, uint32_t before, Str message) {
  Hash256 link = before == NO_NODE ? link_none() : c->nodes[before].link;
  c->nodes = mem_grow(c->nodes, &c->node_cap, c->node_count + 1, sizeof *c->nodes);
  c->nodes[c->node_count] = (Node){before, link_next(link, message), keep(c, message)};
  return c->node_count++;
}

static void list_name(Conversation *c, uint32_t node) {
  if (node == NO_NODE) return;
  uint32_t i = name_set_add(&c->lists, name_of(c->nodes[node].link));
  c->list = mem_grow(c->list, &c->list_cap, c->lists.count, sizeof *c->list);
  c->list[i] = node;
}

static void value_name(Conversation *c, Str value) {
  uint32_t count = c->values.count;
  uint32_t i = name_set_add(&c->values, name_of(sha256(value)));
  if (i < count) return;
  c->value = mem_grow(c->value, &c->value_cap, c->values.count, sizeof *c->value);
  c->value[i] = keep(c, value);
}

static bool name_get(CborReader *r, ValueName *name) {
  Str bytes;
  Err ignored;
  if (!cbor_bytes(r, &bytes, &ignored) || bytes.size != sizeof name->byte) return false;
  memcpy(name->byte, bytes.at, sizeof name->byte);
  return true;
}

static bool base_get(const Conversation *c, Str base, uint32_t *node, Err *err) {
  CborReader r = cbor_reader(base);
  ValueName name;
  *node = NO_NODE;
  if (str_equal(base, encoded_nil)) return true;
  if (!name_get(&r, &name)) return strange(err, "its base is no name");
  uint32_t i = name_set_find(&c->lists, name);
  if (i == NAME_NONE) return strange(err, "it goes on from messages that are not on record");
  *node = c->list[i];
  return true;
}

/* The list that ends with the node. */
static void list_put(const Conversation *c, uint32_t node, Buf *out) {
  uint32_t count = 0;
  for (uint32_t n = node; n != NO_NODE; n = c->nodes[n].before) count++;
  uint32_t *order = mem_alloc((count + 1) * sizeof *order);
  for (uint32_t n = node, i = count; n != NO_NODE; n = c->nodes[n].before) order[--i] = n;
  cbor_put_array(out, count);
  for (uint32_t i = 0; i < count; i++) buf_str(out, c->nodes[order[i]].message);
  mem_free(order);
}

static bool messages_get(Conversation *c, Str delta, uint32_t *node, Buf *out, Err *err) {
  Str fresh = cbor_map_get(delta, STR("new")), base = cbor_map_get(delta, STR("base")), message;
  CborReader r;
  uint64_t count;
  if (fresh.at == NULL || base.at == NULL || !list_open(fresh, &r, &count)) return strange(err, "its messages");
  if (!room(c, fresh.size + count * sizeof(Node), err) || !base_get(c, base, node, err)) return false;
  for (uint64_t i = 0; i < count; i++) {
    if (!part(&r, &message)) return strange(err, "its messages");
    *node = node_add(c, *node, message);
  }
  list_put(c, *node, out);
  return true;
}

static bool value_get(Conversation *c, Str value, Buf *out, Err *err) {
  CborReader r = cbor_reader(value);
  CborItem item;
  Err ignored;
  ValueName name;
  if (!cbor_next(&r, &item, &ignored) || item.kind != CBOR_TAG || item.n != CBOR_TAG_KNOWN) {
    if (value.size > WORTH_NAMING) value_name(c, value);
    buf_str(out, value);
    return true;
  }
  if (!name_get(&r, &name)) return strange(err, "a value's name");
  uint32_t i = name_set_find(&c->values, name);
  if (i == NAME_NONE) return strange(err, "it names a value that is not on record");
  buf_str(out, c->value[i]);
  return true;
}

static bool delta_get(Conversation *c, Str delta, uint32_t *node, Buf *call, Err *err) {
  CborReader r;
  uint64_t count;
  Str key, value;
  if (!map_open(delta, &r, &count)) return strange(err, "it is no map");
  map_begin(call, count);
  for (uint64_t i = 0; i < count; i++) {
    if (!part(&r, &key) || !part(&r, &value)) return strange(err, "it is cut off");
    bool messages = str_equal(key, key_messages) && !str_equal(value, encoded_nil);
    buf_str(call, key);
    if (!(messages ? messages_get(c, value, node, call, err) : value_get(c, value, call, err))) return false;
  }
  return true;
}

static void sent_add(Conversation *c, uint64_t seq, uint32_t node) {
  if (c->sent_count && c->sent[c->sent_count - 1].seq >= seq) return;
  c->sent = mem_grow(c->sent, &c->sent_cap, c->sent_count + 1, sizeof *c->sent);
  c->sent[c->sent_count++] = (Sent){seq, node};
}

bool conversation_asked(Conversation *c, uint64_t seq, Str operands, Buf *call, Err *err) {
  CborReader r;
  uint64_t count;
  Str delta;
  uint32_t node = NO_NODE;
  size_t before = call->size, max = call->max;
  if (!list_open(operands, &r, &count) || count != 1 || !part(&r, &delta)) return strange(err, "it is no list of one");
  if (!room(c, delta.size, err)) return false;
  if (!max || max > before + LIMIT_VALUE_BYTES) call->max = before + LIMIT_VALUE_BYTES;
  bool ok = delta_get(c, delta, &node, call, err);
  call->max = max;
  if (ok && call->full) ok = strange(err, "it is too large");
  if (!ok) return call->size = before, call->full = false, false;
  list_name(c, node);
  sent_add(c, seq, node);
  return true;
}

static const Sent *sent_find(const Conversation *c, uint64_t seq) {
  uint32_t low = 0, high = c->sent_count;
  while (low < high) {
    uint32_t middle = low + (high - low) / 2;
    if (c->sent[middle].seq < seq) low = middle + 1;
    else high = middle;
  }
  return low < c->sent_count && c->sent[low].seq == seq ? &c->sent[low] : NULL;
}

void conversation_answered(Conversation *c, uint64_t ref, Str outcome, Str value) {
  const Sent *sent = sent_find(c, ref);
  Buf message = {0};
  Err ignored;
  if (sent && str_equal(outcome, STR("ok")) && room(c, value.size, &ignored) && assistant_put(value, &message)) {
    list_name(c, node_add(c, sent->node, buf_view(&message)));
  }
  buf_deinit(&message);
}
