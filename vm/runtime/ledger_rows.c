/* The ledger's rows: accounts [window, nanodollars, tokens, calls, heirs]; holds [sent, attempt, expected…, most…,
** usage…, nanodollars, book, resume, [account, window, alone, …]]. */
#include "vm/base/cbor.h"
#include "vm/base/mem.h"
#include "vm/runtime/ledger_impl.h"

void key_u64(Buf *out, uint64_t n) {
  for (int shift = 56; shift >= 0; shift -= 8) buf_byte(out, (uint8_t)(n >> shift));
}

uint64_t key_u64_at(const char *at) {
  uint64_t n = 0;
  for (int i = 0; i < 8; i++) n = n << 8 | (uint8_t)at[i];
  return n;
}

static void amounts_put(Buf *out, Amounts a) {
  cbor_put_int(out, a.nanodollars);
  cbor_put_int(out, a.tokens);
  cbor_put_int(out, a.calls);
}

static bool amounts_get(CborReader *r, Amounts *a) {
  Err ignored;
  return cbor_int(r, &a->nanodollars, &ignored) && cbor_int(r, &a->tokens, &ignored) &&
         cbor_int(r, &a->calls, &ignored);
}

/* ---- accounts ------------------------------------------------------------------ */

enum { ACCOUNT_PARTS = 5 };

void account_put(Ledger *l, const Account *a) {
  Buf *value = &l->value;
  buf_clear(value);
  cbor_put_array(value, ACCOUNT_PARTS);
  cbor_put_int(value, a->window_us);
  amounts_put(value, a->spent);
  cbor_put_uint(value, a->heirs);
  grouping_kv(l->grouping, SPACE_LEDGER, a->key, buf_view(value));
}

bool account_decode(Str value, Account *a) {
  CborReader r = cbor_reader(value);
  uint64_t count, heirs;
  Err ignored;
  bool ok = cbor_array(&r, &count, &ignored) && count == ACCOUNT_PARTS && cbor_int(&r, &a->window_us, &ignored) &&
            amounts_get(&r, &a->spent) && cbor_uint(&r, &heirs, &ignored) && heirs <= UINT32_MAX;
  if (ok) a->heirs = (uint32_t)heirs;
  return ok;
}

/* ---- loading --------------------------------------------------------------------- */

typedef struct Keys { /* of scopes, back to back */
  Buf bytes;
} Keys;

static bool key_add(void *context, Str key, Str value) {
  Keys *keys = context;
  (void)value;
  if (key.size == SCOPE_KEY_BYTES) buf_str(&keys->bytes, key);
  return true;
}

/* Not known counts as not over: the run may be one that is being made. */
static bool owner_over(Ledger *l, Str key) {
  RunRow row;
  Uuid id;
  Buf keep = {0};
  Err ignored;
  memcpy(id.byte, key.at + 1, sizeof id.byte);
  bool over = store_run_by_id(l->store, id, &row, &keep, &ignored) && run_status_over(row.status);
  buf_deinit(&keep);
  return over;
}

bool ledger_load(Ledger *l, Err *err) {
  static const char prefix[] = {KEY_SCOPE};
  Keys keys = {0};
  bool ok = store_kv_each(l->store, SPACE_LEDGER, (Str){prefix, 1}, (Str){0}, key_add, &keys, err);
  for (size_t at = 0; ok && at < keys.bytes.size; at += SCOPE_KEY_BYTES) {
    Str key = {keys.bytes.at + at, SCOPE_KEY_BYTES};
    Account *a = ledger_account(l, key);
    a->over = owner_over(l, key);
    account_leave(l, a);
  }
  buf_deinit(&keys.bytes);
  l->loaded = ok;
  return ok;
}

/* ---- holds ------------------------------------------------------------------------- */

enum { HOLD_PARTS = 16, HELD_PARTS = 3 };

static Str hold_key(Ledger *l, uint64_t run, uint64_t seq) {
  buf_clear(&l->key);
  key_u64(&l->key, run);
  key_u64(&l->key, seq);
  return buf_view(&l->key);
}

void ledger_hold_put(Ledger *l, const HoldRow *row, const Hold *hold) {
  Buf *value = &l->value;
  buf_clear(value);
  cbor_put_array(value, HOLD_PARTS);
  cbor_put_bool(value, row->sent);
  cbor_put_uint(value, row->attempt);
  amounts_put(value, hold->expected);
  amounts_put(value, hold->most);
  cbor_put_int(value, hold->usage.input);
  cbor_put_int(value, hold->usage.cached);
  cbor_put_int(value, hold->usage.cache_write);
  cbor_put_int(value, hold->usage.output);
  cbor_put_int(value, hold->nanodollars);
  cbor_put_bytes(value, hold->book);
  cbor_put_bytes(value, row->resume);
  cbor_put_array(value, HELD_PARTS * (uint64_t)hold->count);
  for (uint32_t i = 0; i < hold->count; i++) {
    cbor_put_bytes(value, hold->accounts[i].account->key);
    cbor_put_int(value, hold->accounts[i].window_us);
    cbor_put_bool(value, hold->accounts[i].alone);
  }
  grouping_kv(l->grouping, SPACE_HOLD, hold_key(l, row->run, row->seq), buf_view(value));
}

void ledger_hold_drop(Ledger *l, uint64_t run, uint64_t seq) {
  grouping_kv(l->grouping, SPACE_HOLD, hold_key(l, run, seq), (Str){0});
}

static bool usage_get(CborReader *r, Usage *u) {
  Err ignored;
  return cbor_int(r, &u->input, &ignored) && cbor_int(r, &u->cached, &ignored) &&
         cbor_int(r, &u->cache_write, &ignored) && cbor_int(r, &u->output, &ignored);
}

static bool bool_get(CborReader *r, bool *b) {
  CborItem item;
  Err ignored;
  if (!cbor_next(r, &item, &ignored) || item.kind != CBOR_BOOL) return false;
  *b = item.n != 0;
  return true;
}

static Str str_own(Str s) {
  char *copy = mem_alloc(s.size + 1);
  if (s.size > 0) memcpy(copy, s.at, s.size);
  return (Str){copy, s.size};
}

static bool hold_accounts_get(Ledger *l, CborReader *r, Hold *hold) {
  uint64_t count;
  Err ignored;
  if (!cbor_array(r, &count, &ignored) || count % HELD_PARTS != 0 || count > (uint64_t)(r->end - r->at)) return false;
  hold->accounts = mem_alloc((size_t)(count / HELD_PARTS + 1) * sizeof *hold->accounts);
  for (; count > 0; count -= HELD_PARTS) {
    Str key;
    int64_t window_us;
    bool alone;
    if (!cbor_bytes(r, &key, &ignored) || !cbor_int(r, &window_us, &ignored) || !bool_get(r, &alone)) return false;
    Account *a = ledger_account(l, key);
    hold->accounts[hold->count++] = (HoldAccount){a, window_us, alone};
  }
  return true;
}

/* It will not be heard of again, and what it is charged is known. */
static void hold_lost(Hold *hold) {
  hold->most = (Amounts){hold->nanodollars, amount_add(hold->usage.input, hold->usage.output), 1};
  for (uint32_t i = 0; i < hold->count; i++) hold->accounts[i].alone = false;
}

static bool hold_decode(Ledger *l, Str value, HoldRow *row, Hold *hold) {
  CborReader r = cbor_reader(value);
  uint64_t count, attempt;
  Str book;
  Err ignored;
  bool ok = cbor_array(&r, &count, &ignored) && count == HOLD_PARTS && bool_get(&r, &row->sent) &&
            cbor_uint(&r, &attempt, &ignored) && amounts_get(&r, &hold->expected) && amounts_get(&r, &hold->most) &&
            usage_get(&r, &hold->usage) && cbor_int(&r, &hold->nanodollars, &ignored) &&
            cbor_bytes(&r, &book, &ignored) && cbor_bytes(&r, &row->resume, &ignored);
  if (!ok || !hold_accounts_get(l, &r, hold)) return false;
  row->attempt = (uint32_t)attempt;
  hold->book = str_own(book);
  if (row->resume.size == 0) hold_lost(hold);
  for (uint32_t i = 0; i < hold->count; i++) account_hold(&hold->accounts[i], hold);
  return true;
}

typedef struct HoldsRead {
  Ledger *ledger;
  void (*each)(void *context, const HoldRow *row, Hold *hold);
  void *context;
  Buf rows; /* key and value, each as bytes */
} HoldsRead;

static bool hold_row(void *context, Str key, Str value) {
  HoldsRead *h = context;
  cbor_put_bytes(&h->rows, key);
  cbor_put_bytes(&h->rows, value);
  return true;
}

static bool hold_load(HoldsRead *h, Str key, Str value, Err *err) {
  HoldRow row = {0};
  Hold hold = {0};
  bool ok = key.size == 16 && hold_decode(h->ledger, value, &row, &hold);
  if (!ok) {
    hold_deinit(&hold);
    FAIL(err, ERR_CORRUPT, "what the store has of calls of models in flight cannot be read");
    return false;
  }
  row.run = key_u64_at(key.at);
  row.seq = key_u64_at(key.at + 8);
  h->each(h->context, &row, &hold);
  return true;
}

bool ledger_holds(Ledger *l, void (*each)(void *context, const HoldRow *row, Hold *hold), void *context, Err *err) {
  HoldsRead h = {.ledger = l, .each = each, .context = context};
  bool ok = store_kv_each(l->store, SPACE_HOLD, (Str){0}, (Str){0}, hold_row, &h, err);
  CborReader r = cbor_reader(buf_view(&h.rows));
  while (ok && r.at < r.end) {
    Str key, value;
    ok = cbor_bytes(&r, &key, err) && cbor_bytes(&r, &value, err) && hold_load(&h, key, value, err);
  }
  buf_deinit(&h.rows);
  return ok;
}
