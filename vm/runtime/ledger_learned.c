/* What models charge beyond the most that was thought: rows 'm', provider, model: [input, output]. */
#include "vm/base/cbor.h"
#include "vm/base/mem.h"
#include "vm/runtime/ledger_impl.h"

enum { LEARNED_KEPT = 4096 };
static const Learned untold = {UNTOLD_TOKENS, 0};

/* ---- rows ---------------------------------------------------------------------- */

void learned_free(Ledger *l) {
  uint32_t at = 0;
  void *entry;
  while (table_next(l->learned, &at, NULL, &entry)) mem_free(entry);
  table_free(l->learned);
}

static bool learned_decode(Str value, Learned *out) {
  CborReader r = cbor_reader(value);
  uint64_t count;
  Err ignored;
  return cbor_array(&r, &count, &ignored) && count == 2 && cbor_int(&r, &out->input, &ignored) &&
         cbor_int(&r, &out->output, &ignored) && out->input >= 0 && out->output >= 0;
}

static void learned_put(Ledger *l, Str key, const Learned *entry) {
  buf_clear(&l->value);
  cbor_put_array(&l->value, 2);
  cbor_put_int(&l->value, entry->input);
  cbor_put_int(&l->value, entry->output);
  grouping_kv(l->grouping, SPACE_LEDGER, key, buf_view(&l->value));
}

static Str learned_key(Ledger *l, Str model) {
  buf_clear(&l->key);
  buf_byte(&l->key, KEY_MODEL);
  buf_str(&l->key, model);
  return buf_view(&l->key);
}

/* False: no reply of it was charged yet. */
static bool learned_read(Ledger *l, Str key, Learned *entry) {
  Str value;
  Err err = {0};
  if (!grouping_kv_get(l->grouping, SPACE_LEDGER, key, &value)) {
    buf_clear(&l->value);
    if (!store_kv_get(l->store, SPACE_LEDGER, key, &l->value, &err)) {
      l->failed |= err.code != ERR_NOT_FOUND;
      return false;
    }
    value = buf_view(&l->value);
  }
  if (learned_decode(value, entry)) return true;
  l->failed = true;
  return false;
}

static Learned *learned_of(Ledger *l, Str key) {
  Learned *entry = table_get(l->learned, key);
  if (entry != NULL) return entry;
  if (table_count(l->learned) >= LEARNED_KEPT) {
    learned_free(l);
    l->learned = table_new();
  }
  entry = MEM_NEW(Learned);
  if (!learned_read(l, key, entry)) *entry = untold;
  table_set(l->learned, key, entry);
  return entry;
}

Learned ledger_learned(Ledger *l, Str model) { return *learned_of(l, learned_key(l, model)); }

/* ---- learning -------------------------------------------------------------------- */

static int64_t surplus_next(int64_t before, int64_t now, bool exact) {
  if (now >= before) return now;
  int64_t less = before - (before + 7) / 8;
  if (now > less || !exact) return before;
  return less;
}

void ledger_learn(Ledger *l, Str model, const Usage *charged, const Usage *most) {
  Str key = learned_key(l, model);
  Learned *entry = learned_of(l, key), before = *entry;
  bool told = before.input != UNTOLD_TOKENS;
  int64_t input = amount_less(charged->input, most->input), output = amount_less(charged->output, most->output);
  entry->input = surplus_next(told ? before.input : 0, input, charged->exact);
  entry->output = surplus_next(before.output, output, charged->exact);
  if (entry->input != before.input || entry->output != before.output) learned_put(l, key, entry);
}
