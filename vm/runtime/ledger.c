/* Accounts: what is reserved, what was spent. */
#include "vm/base/mem.h"
#include "vm/runtime/ledger_impl.h"

/* ---- amounts ------------------------------------------------------------------ */

Amounts amounts_add(Amounts a, Amounts b) {
  return (Amounts){amount_add(a.nanodollars, b.nanodollars), amount_add(a.tokens, b.tokens),
                   amount_add(a.calls, b.calls)};
}

static Amounts amounts_less(Amounts a, Amounts b) {
  return (Amounts){amount_less(a.nanodollars, b.nanodollars), amount_less(a.tokens, b.tokens),
                   amount_less(a.calls, b.calls)};
}

static bool within(int64_t amount, int64_t limit) { return limit == NO_BOUND || amount <= limit; }

static bool any(Amounts a) { return a.nanodollars != 0 || a.tokens != 0 || a.calls != 0; }

static bool amounts_fit(Amounts a, Amounts limit) {
  return within(a.nanodollars, limit.nanodollars) && within(a.tokens, limit.tokens) && within(a.calls, limit.calls);
}

/* ---- life ---------------------------------------------------------------------- */

Ledger *ledger_new(Store *store, Grouping *grouping) {
  Ledger *l = MEM_NEW(Ledger);
  l->store = store;
  l->grouping = grouping;
  l->accounts = table_new();
  l->owners = table_new();
  l->books = table_new();
  l->learned = table_new();
  return l;
}

static void account_free(Account *a) {
  mem_free((char *)(uintptr_t)a->key.at);
  mem_free(a);
}

void ledger_free(Ledger *l) {
  uint32_t at = 0;
  void *account;
  if (l == NULL) return;
  while (table_next(l->accounts, &at, NULL, &account)) account_free(account);
  table_free(l->accounts);
  table_free(l->owners);
  books_free(l);
  learned_free(l);
  buf_deinit(&l->key);
  buf_deinit(&l->value);
  mem_free(l);
}

bool ledger_failed(const Ledger *l) { return l->failed; }

/* ---- accounts -------------------------------------------------------------------- */

static Str owner_of(const Account *a) { return (Str){a->key.at + 1, 16}; }
static bool is_scope(Str key) { return key.size == SCOPE_KEY_BYTES && key.at[0] == KEY_SCOPE; }

static void owner_add(Ledger *l, Account *a) {
  a->next = table_get(l->owners, owner_of(a));
  table_set(l->owners, owner_of(a), a);
}

static Account *account_new(Ledger *l, Str key) {
  Account *a = MEM_NEW(Account);
  char *copy = mem_alloc(key.size);
  memcpy(copy, key.at, key.size);
  a->key = (Str){copy, key.size};
  table_set(l->accounts, a->key, a);
  if (is_scope(key)) owner_add(l, a);
  return a;
}

Account *ledger_account(Ledger *l, Str key) {
  Account *a = table_get(l->accounts, key);
  Err err = {0};
  if (a != NULL) return a;
  a = account_new(l, key);
  if (l->loaded && is_scope(key)) return a;
  buf_clear(&l->value);
  bool found = store_kv_get(l->store, SPACE_LEDGER, a->key, &l->value, &err);
  if (found ? !account_decode(buf_view(&l->value), a) : err.code != ERR_NOT_FOUND) l->failed = true;
  return a;
}

Account *ledger_scope(Ledger *l, Uuid run, uint64_t seq) {
  buf_clear(&l->key);
  buf_byte(&l->key, KEY_SCOPE);
  buf_put(&l->key, run.byte, sizeof run.byte);
  key_u64(&l->key, seq);
  return ledger_account(l, buf_view(&l->key));
}

/* Holds of the window before count there, and that is over. */
static void window_begin(Account *a, int64_t window_us) {
  if (window_us <= a->window_us) return;
  a->window_us = window_us;
  a->spent = a->expected = a->reserved = (Amounts){0};
  a->alone = 0;
}

int64_t window_of(int64_t per_us, int64_t now_us) { return per_us > 0 ? now_us / per_us * per_us : 0; }

void ledger_windows(const AccountUse *uses, uint32_t count, int64_t now_us) {
  for (uint32_t i = 0; i < count; i++)
    if (uses[i].per_us > 0) window_begin(uses[i].account, window_of(uses[i].per_us, now_us));
}

Account *ledger_pool(Ledger *l, Str key, int64_t *window_us) {
  buf_clear(&l->key);
  buf_byte(&l->key, KEY_POOL);
  buf_str(&l->key, key);
  Account *a = ledger_account(l, buf_view(&l->key));
  window_begin(a, *window_us);
  *window_us = a->window_us;
  return a;
}

Amounts account_spent(const Account *a) { return a->spent; }
Amounts account_expected(const Account *a) { return a->expected; }
Amounts account_reserved(const Account *a) { return a->reserved; }
bool account_alone(const Account *a) { return a->alone > 0; }

/* ---- ends of scopes ------------------------------------------------------------------ */

static void owner_remove(Ledger *l, Account *a) {
  Account *first = table_get(l->owners, owner_of(a)), **link = &first;
  while (*link != a) link = &(*link)->next;
  *link = a->next;
  table_set(l->owners, owner_of(a), first);
}

static void account_close(Ledger *l, Account *a) {
  grouping_kv(l->grouping, SPACE_LEDGER, a->key, (Str){0});
  owner_remove(l, a);
  table_set(l->accounts, a->key, NULL);
  account_free(a);
}

void account_leave(Ledger *l, Account *a) {
  if (a->over && a->holds == 0 && a->waiters == 0 && a->heirs == 0) account_close(l, a);
}

void ledger_heir(Ledger *l, Account *a, int change) {
  if (change < 0 && a->heirs == 0) return; /* begun when heirs were not counted */
  a->heirs += (uint32_t)change;
  account_put(l, a);
  account_leave(l, a);
}

void ledger_run_over(Ledger *l, Uuid run) {
  Account *next;
  for (Account *a = table_get(l->owners, (Str){(const char *)run.byte, sizeof run.byte}); a != NULL; a = next) {
    next = a->next;
    a->over = true;
    account_leave(l, a);
  }
}

/* ---- holding -------------------------------------------------------------------------- */

static Amounts held_amounts(const HoldAccount *held, const Hold *hold) {
  return held->alone ? hold->expected : hold->most;
}

void account_hold(const HoldAccount *held, const Hold *hold) {
  Account *a = held->account;
  a->holds++;
  window_begin(a, held->window_us); /* nothing was settled in it before the process died */
  if (a->window_us != held->window_us) return;
  a->expected = amounts_add(a->expected, hold->expected);
  a->reserved = amounts_add(a->reserved, held_amounts(held, hold));
  a->alone += held->alone;
}

static void account_unhold(Ledger *l, Account *a) {
  a->holds--;
  account_leave(l, a);
}

static void account_settle(Ledger *l, const HoldAccount *held, const Hold *hold, Amounts spent) {
  Account *a = held->account;
  if (a->window_us == held->window_us) {
    a->expected = amounts_less(a->expected, hold->expected);
    a->reserved = amounts_less(a->reserved, held_amounts(held, hold));
    a->alone -= held->alone;
    a->spent = amounts_add(a->spent, spent);
    if (any(spent) && (!a->over || a->heirs > 0)) account_put(l, a);
  }
  account_unhold(l, a);
}

/* Whether it fits now, once others have settled, or never. */
static Reserve use_judge(const AccountUse *use, const Want *want) {
  const Account *a = use->account;
  Amounts least = amounts_add(a->spent, want->expected);
  if (!amounts_fit(least, use->limit)) return RESERVE_NEVER;
  bool room = amounts_fit(amounts_add(least, a->reserved), use->limit);
  return room && a->alone == 0 && a->line == 0 ? RESERVE_DONE : RESERVE_WAIT;
}

static Reserve uses_judge(const AccountUse *uses, uint32_t count, const Want *want, uint32_t *which) {
  Reserve worst = RESERVE_DONE;
  for (uint32_t i = 0; i < count; i++) {
    Reserve r = use_judge(&uses[i], want);
    if (r <= worst) continue;
    worst = r;
    *which = i;
  }
  return worst;
}

static bool use_alone(const AccountUse *use, const Want *want) {
  const Account *a = use->account;
  return !amounts_fit(amounts_add(amounts_add(a->spent, a->reserved), want->most), use->limit);
}

Reserve ledger_reserve(Ledger *l, const AccountUse *uses, uint32_t count, const Want *want, Hold *hold,
                       uint32_t *which) {
  (void)l;
  *which = 0;
  Reserve r = uses_judge(uses, count, want, which);
  if (r != RESERVE_DONE) return r;
  hold->expected = want->expected;
  hold->most = want->most;
  hold->count = count;
  hold->accounts = count > 0 ? mem_alloc(count * sizeof *hold->accounts) : NULL;
  for (uint32_t i = 0; i < count; i++) {
    Account *a = uses[i].account; /* its window may have begun while the call waited */
    hold->accounts[i] = (HoldAccount){a, a->window_us, use_alone(&uses[i], want)};
    account_hold(&hold->accounts[i], hold);
  }
  return RESERVE_DONE;
}

void ledger_wait(AccountUse *uses, uint32_t count, const Want *want) {
  for (uint32_t i = 0; i < count; i++) {
    AccountUse *use = &uses[i];
    use->waits |= use_judge(use, want) != RESERVE_DONE;
    use->account->line += use->waits;
    use->account->waiters++;
  }
}

void ledger_wait_over(AccountUse *uses, uint32_t count) {
  for (uint32_t i = 0; i < count; i++) {
    uses[i].account->line -= uses[i].waits;
    uses[i].account->waiters--;
  }
}

void hold_deinit(Hold *hold) {
  mem_free(hold->accounts);
  mem_free((char *)(uintptr_t)hold->book.at);
  *hold = (Hold){0};
}

void ledger_release(Ledger *l, Hold *hold) {
  for (uint32_t i = 0; i < hold->count; i++) account_settle(l, &hold->accounts[i], hold, (Amounts){0});
  hold_deinit(hold);
}

void ledger_settle(Ledger *l, Hold *hold, const Usage *usage, int64_t nanodollars, bool uncertain) {
  Amounts spent = {nanodollars, amount_add(usage->input, usage->output), 1};
  for (uint32_t i = 0; i < hold->count; i++) account_settle(l, &hold->accounts[i], hold, spent);
  book_add(l, hold->book, usage, nanodollars, uncertain);
  hold_deinit(hold);
}
