/* What runs ask: a dispatch or a view is carried out while the run is quiescent, and its answer is in the commit of
** the question, so that nothing has to be remembered for exactly-once. What is answered later (strong waits, held
** instances) is kept in the store under the command's id until the run has it on record. */
#include "vm/base/cbor.h"
#include "vm/base/hash.h"
#include "vm/base/mem.h"
#include "vm/runtime/bus_impl.h"

/* The same for the same command of the same run, whoever carries it out and when. */
static Uuid command_id(const Slot *slot, Str key, int64_t at_us) {
  Buf name = {0};
  buf_put(&name, slot->id.byte, sizeof slot->id.byte);
  buf_str(&name, key);
  Hash256 h = sha256(buf_view(&name));
  buf_deinit(&name);
  return uuid_v7(at_us, h.byte);
}

/* ---- options ------------------------------------------------------------- */

static bool text_option(Str options, Str name, Str *out) {
  CborReader r = cbor_reader(cbor_map_get(options, name));
  Err ignored;
  return r.at < r.end && cbor_text(&r, out, &ignored);
}

static void consistency_option(Str options, Command *c) {
  Str value = cbor_map_get(options, STR("consistency")), word;
  if (text_option(options, STR("consistency"), &word)) {
    if (str_equal(word, STR("strong"))) c->consistency = CONSISTENCY_STRONG;
  } else if (value.size > 0 && (uint8_t)*value.at >> 5 == 4) {
    c->consistency = CONSISTENCY_HANDLERS;
    c->handlers = value;
  }
}

static void options_read(Str options, Command *c) {
  CborItem item;
  Err ignored;
  Str word;
  int64_t n;
  consistency_option(options, c);
  CborReader r = cbor_reader(cbor_map_get(options, STR("timeout")));
  if (r.at < r.end && cbor_next(&r, &item, &ignored) && item.kind == CBOR_TAG && item.n == CBOR_TAG_DURATION &&
      cbor_int(&r, &n, &ignored))
    c->timeout_us = n;
  r = cbor_reader(cbor_map_get(options, STR("expected_version")));
  if (r.at < r.end && cbor_int(&r, &n, &ignored)) c->expected_version = n;
  if (text_option(options, STR("idempotency_key"), &word)) c->idempotency_key = word;
  if (text_option(options, STR("actor"), &word)) c->actor = word;
  c->returning_state = text_option(options, STR("returning"), &word) && str_equal(word, STR("state"));
  Str metadata = cbor_map_get(options, STR("metadata"));
  if (metadata.size > 1) c->metadata = metadata;
}

/* ---- the order ---------------------------------------------------------------- */

/* The version a record says it is of; 0: it is no record. */
static uint64_t record_version(Str record) {
  CborReader r = cbor_reader(record);
  CborItem item;
  Err ignored;
  uint64_t count, version;
  Str name;
  bool ok = cbor_next(&r, &item, &ignored) && item.kind == CBOR_TAG && item.n == CBOR_TAG_RECORD &&
            cbor_array(&r, &count, &ignored) && cbor_text(&r, &name, &ignored) && cbor_uint(&r, &version, &ignored);
  return ok ? version : 0;
}

static bool operands_split(Str operands, Str *first, Str *second, Str *rest, uint64_t *rest_count) {
  CborReader r = cbor_reader(operands);
  Err ignored;
  uint64_t count;
  *second = *rest = (Str){0};
  if (!cbor_array(&r, &count, &ignored) || count < 1 || !cbor_skip(&r, first, &ignored)) return false;
  *rest = (Str){(const char *)r.at, (size_t)(r.end - r.at)};
  *rest_count = count - 1;
  return count < 2 || cbor_skip(&r, second, &ignored);
}

static bool dispatch_order(Bus *b, Slot *slot, const Request *r, Order *o) {
  Str options, rest;
  uint64_t count;
  if (!operands_split(r->operands, &o->c.data, &options, &rest, &count)) return false;
  o->c.name = r->target;
  o->c.version = record_version(o->c.data);
  o->c.trusted = o->c.version > 0 && memcmp(&slot->bundle, &b->app->bundle->id, sizeof slot->bundle) == 0;
  o->c.expected_version = ANY_VERSION;
  if (options.size > 1) options_read(options, &o->c);
  o->c.causation = slot->id;
  o->c.correlation = slot_correlation(slot);
  o->c.caller = slot->id;
  o->c.id = command_id(slot, r->key, slot->started_us);
  return true;
}

/* Instances are named by strings or ints, as in a command's field. b->meta: the arguments. */
static bool view_order(Bus *b, const Request *r, Order *o) {
  Str id, options, rest;
  uint64_t count;
  CborItem item;
  Err ignored;
  if (!operands_split(r->operands, &id, &options, &rest, &count)) return false;
  CborReader reader = cbor_reader(id);
  o->view = true;
  o->c.name = r->target;
  buf_clear(&b->meta);
  cbor_put_array(&b->meta, count);
  buf_str(&b->meta, rest);
  o->c.data = buf_view(&b->meta);
  if (!cbor_next(&reader, &item, &ignored)) return false;
  buf_clear(&b->data);
  if (item.kind == CBOR_TEXT) buf_str(&b->data, item.bytes);
  else if (item.kind == CBOR_UINT) buf_format(&b->data, "%" PRIu64, item.n);
  else if (item.kind == CBOR_NEGINT) buf_format(&b->data, "%" PRId64, -1 - (int64_t)item.n);
  o->id = buf_view(&b->data);
  return true;
}

static bool order_make(Bus *b, Slot *slot, const Request *r, Order *o) {
  *o = (Order){.asker = {.run = slot->number, .seq = r->seq}, .c.tenant = slot_tenant(slot)};
  if (r->effect == EFFECT_VIEW ? view_order(b, r, o) : dispatch_order(b, slot, r, o)) return true;
  bus_errorf(b, "invalid_message", "a command or a view's arguments cannot be read");
  return false;
}

/* ---- asking ---------------------------------------------------------------------- */

static bool answer_now(Bus *b, bool ok, Buf *value, const char **outcome) {
  buf_str(value, buf_view(&b->value));
  *outcome = ok ? "ok" : "error";
  return true;
}

bool bus_ask(Bus *b, Slot *slot, const Request *r, Buf *value, const char **outcome) {
  Order o;
  Outcome out = {0};
  Err err = {0};
  if (r->resend) { /* an earlier attempt asked it, and did not live to see the answer */
    bus_ask_open(b, slot, r);
    return false;
  }
  if (!order_make(b, slot, r, &o)) return answer_now(b, false, value, outcome);
  Carry carry = bus_carry(b, &o, &out, &err);
  if (carry == CARRY_FAILED) { /* nothing more is committed: the next collect stops the node */
    b->fatal = err;
    return false;
  }
  if (carry == CARRY_LATER) return false;
  if (!bus_awaits(b, &o, &out)) return answer_now(b, out.ok, value, outcome);
  bus_reply(b, &o, &out);
  return false;
}

/* It may have been carried out: then its result is in the store. If it is not there it was not, because the result
** stays until the answer is on record. */
void bus_ask_open(Bus *b, Slot *slot, const Request *r) {
  Order o;
  Outcome out = {0};
  Err err = {0};
  bool other = false;
  Carry carry = CARRIED;
  if (order_make(b, slot, r, &o)) {
    o.late = true;
    Str id = {(const char *)o.c.id.byte, sizeof o.c.id.byte};
    bool found = !o.view && reply_find(b, id, 0, &out, &other, &err);
    out.stored = found;
    if (!found && !o.view && err.code != ERR_NOT_FOUND) carry = CARRY_FAILED;
    else if (!found) carry = bus_carry(b, &o, &out, &err);
  }
  if (carry == CARRY_FAILED) b->fatal = err;
  else if (carry == CARRIED) bus_reply(b, &o, &out);
}
