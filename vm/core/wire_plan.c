/* Records of a known shape, decoded at sight: head and names of fields are compared as bytes, small values read in
** place. */
#include "vm/base/mem.h"
#include "vm/core/wire.h"

struct WirePlan {
  uint32_t shape, fields;
  Buf text;     /* the head, then each field's name, as encoded */
  uint32_t *at; /* fields + 2: where each of those begins, and the end */
};

WirePlan *wire_plan_new(const Bundle *b, uint32_t shape) {
  const BundleShape *s = &b->shapes[shape];
  WirePlan *plan = MEM_NEW(WirePlan);
  plan->shape = shape;
  plan->fields = s->fields.count;
  plan->at = mem_alloc(sizeof(uint32_t) * ((size_t)s->fields.count + 2));
  cbor_put_tag(&plan->text, CBOR_TAG_RECORD);
  cbor_put_array(&plan->text, 2 + (uint64_t)s->fields.count * 2);
  cbor_put_text(&plan->text, bundle_text(b, s->stored_name));
  cbor_put_uint(&plan->text, s->version);
  for (uint32_t i = 0; i < s->fields.count; i++) {
    plan->at[i + 1] = (uint32_t)plan->text.size;
    cbor_put_text(&plan->text, bundle_text(b, b->fields[s->fields.first + i].name));
  }
  plan->at[s->fields.count + 1] = (uint32_t)plan->text.size;
  return plan;
}

void wire_plan_free(WirePlan *plan) {
  if (!plan) return;
  buf_deinit(&plan->text);
  mem_free(plan->at);
  mem_free(plan);
}

/* Piece i of the plan stands at r, which moves past it. */
static inline bool piece_next(const WirePlan *plan, uint32_t i, CborReader *r) {
  uint32_t from = plan->at[i], size = plan->at[i + 1] - from;
  if ((size_t)(r->end - r->at) < size || memcmp(r->at, plan->text.at + from, size) != 0) return false;
  r->at += size;
  return true;
}

bool wire_plan_begins(const WirePlan *plan, Str bytes) {
  CborReader r = cbor_reader(bytes);
  return piece_next(plan, 0, &r);
}

/* Ints of up to two bytes, nil and bools; what is not canonical is left to the reader, who refuses it. */
static inline bool value_at_sight(CborReader *r, Value *out) {
  size_t left = (size_t)(r->end - r->at);
  uint32_t head = left > 0 ? r->at[0] : 0xff, info = head & 0x1f, n = info, size = 1;
  if (head >= 0x40) {
    if (head < 0xf4 || head > 0xf6) return false;
    *out = head == 0xf6 ? VALUE_NIL : value_bool(head == 0xf5);
    r->at++;
    return true;
  }
  if (info == 24 && left > 1) n = r->at[1], size = 2;
  else if (info == 25 && left > 2) n = (uint32_t)r->at[1] << 8 | r->at[2], size = 3;
  if (size == 1 ? info > 23 : size == 2 ? n < 24 : n < 256) return false;
  *out = value_small_int(head < 0x20 ? (int64_t)n : -1 - (int64_t)n);
  r->at += size;
  return true;
}

static bool fields_get(Machine *m, const WirePlan *plan, CborReader *r) {
  Err ignored;
  Value v;
  for (uint32_t i = 0; i < plan->fields; i++) {
    if (!piece_next(plan, i + 1, r)) return false;
    if (!value_at_sight(r, &v) && !wire_get_part(m, r, &v, &ignored)) return false;
    machine_hold(m, v);
  }
  return r->at == r->end;
}

bool wire_get_planned(Machine *m, const WirePlan *plan, Str bytes, Value *out) {
  CborReader r = cbor_reader(bytes);
  if (bytes.size > LIMIT_VALUE_BYTES || !piece_next(plan, 0, &r)) return false;
  uint32_t base = m->held_count;
  bool ok = fields_get(m, plan, &r);
  if (ok) *out = record_new(m, plan->shape, m->held + base, plan->fields);
  m->held_count = base;
  return ok;
}
