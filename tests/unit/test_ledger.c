/* vm/runtime/ledger.h, prices.h: money, accounts, holds, books. */
#include "test.h"

#include "vm/base/cbor.h"
#include "vm/base/mem.h"
#include "vm/base/text.h"
#include "vm/runtime/ledger.h"

#define DAY INT64_C(86400000000)

/* ---- prices --------------------------------------------------------------------------- */

static void decimal_pair(Buf *out, const char *name, const char *number) {
  Decimal d = {0};
  CHECK(decimal_parse(str_of(number), &d));
  cbor_put_text(out, str_of(name));
  cbor_put_decimal(out, d);
}

static Price price_of(const char *input, const char *output, const char *cached) {
  Buf map = {0};
  cbor_put_tag(&map, CBOR_TAG_MAP);
  cbor_put_array(&map, cached != NULL ? 6 : 4);
  decimal_pair(&map, "input", input);
  decimal_pair(&map, "output", output);
  if (cached != NULL) decimal_pair(&map, "cached", cached);
  Price p = price_read(buf_view(&map));
  buf_deinit(&map);
  return p;
}

static void test_prices(void) {
  Price p = price_of("0.25", "2.00", "0.025");
  CHECK(p.known && p.input == 250000 && p.output == 2000000 && p.cached == 25000 && p.cache_write == 250000);
  CHECK(price_cost(&p, &(Usage){.input = 1000000}) == 250000000);
  CHECK(price_cost(&p, &(Usage){.input = 1000000, .cached = 1000000}) == 25000000);
  CHECK(price_cost(&p, &(Usage){.input = 10, .cached = 4, .cache_write = 3, .output = 1}) ==
        6 * 250 + 4 * 25 + 2000);
  CHECK(price_cost(&p, &(Usage){.input = 5, .cached = 900}) == 125); /* no more is cached than there is */
  Price tiny = price_of("0.0001", "0.0000001", NULL);
  CHECK(tiny.input == 100 && tiny.output == 1); /* a tenth of a picodollar is one */
  CHECK(price_cost(&tiny, &(Usage){.output = 1}) == 1);
  Price huge = price_of("9000000000000", "9000000000000", NULL);
  CHECK(price_cost(&huge, &(Usage){.input = INT64_MAX / 2, .output = INT64_MAX / 2}) == INT64_MAX);
  CHECK(!price_read(STR("\xf6")).known && !price_read((Str){0}).known);
  CHECK(price_cost(&(Price){0}, &(Usage){.input = 1000}) == 0);
}

static void test_dollars(void) {
  static const struct { int64_t nano; const char *text; } cases[] = {
      {0, "0.00"}, {1, "0.000000001"}, {500000000, "0.50"}, {INT64_C(12345000000), "12.345"}};
  for (size_t i = 0; i < COUNT_OF(cases); i++) {
    Buf text = {0}, value = {0};
    dollars_print(cases[i].nano, &text);
    CHECK_STR(buf_view(&text), str_of(cases[i].text));
    dollars_put(cases[i].nano, &value);
    CHECK(dollars_read(buf_view(&value)) == cases[i].nano);
    buf_deinit(&text);
    buf_deinit(&value);
  }
  CHECK(dollars_read(STR("\x05")) == INT64_C(5000000000) && dollars_read(STR("\xf6")) == -1 && dollars_read(STR("\x20")) == -1);
}

/* ---- accounts ---------------------------------------------------------------------------- */

typedef struct Fixture {
  Store *store;
  Grouping *grouping;
  Ledger *ledger;
} Fixture;

static void fixture_open(Fixture *f) {
  Err err = {0};
  f->grouping = grouping_new();
  f->ledger = ledger_new(f->store, f->grouping);
  CHECK(ledger_load(f->ledger, &err));
}

static void fixture_close(Fixture *f) {
  ledger_free(f->ledger);
  grouping_free(f->grouping);
}

static void fixture_commit(Fixture *f) {
  Err err = {0};
  CHECK(store_commit(f->store, grouping_group(f->grouping), &err));
  grouping_clear(f->grouping);
}

static Str own(const char *text) {
  size_t size = strlen(text);
  char *copy = mem_alloc(size + 1);
  memcpy(copy, text, size);
  return (Str){copy, size};
}

static Hold hold_new(const char *book) { return (Hold){.book = own(book)}; }

static AccountUse scope_use(Fixture *f, uint64_t seq, int64_t tokens) {
  Uuid run = {{1}};
  Account *account = ledger_scope(f->ledger, run, seq);
  return (AccountUse){.account = account, .name = STR("budget"), .limit = {NO_BOUND, tokens, NO_BOUND}};
}

static Amounts amounts(int64_t n) { return (Amounts){n * 10, n, 1}; }
static const Want *between(int64_t expected, int64_t most) {
  static Want want;
  want = (Want){amounts(expected), amounts(most)};
  return &want;
}
static const Want *tokens(int64_t n) { return between(n, n); }

static void test_reserve(void) {
  Fixture f = {.store = store_open_memory()};
  uint32_t which;
  fixture_open(&f);
  AccountUse use = scope_use(&f, 5, 100);
  Hold a = hold_new("12345678t"), b = hold_new("12345678t"), c = hold_new("12345678t");
  CHECK(ledger_reserve(f.ledger, &use, 1, tokens(101), &a, &which) == RESERVE_NEVER && which == 0);
  CHECK(ledger_reserve(f.ledger, &use, 1, tokens(60), &a, &which) == RESERVE_DONE);
  CHECK(ledger_reserve(f.ledger, &use, 1, tokens(60), &b, &which) == RESERVE_WAIT);
  ledger_wait(&use, 1, tokens(60));
  CHECK(ledger_reserve(f.ledger, &use, 1, tokens(10), &c, &which) == RESERVE_WAIT); /* nobody is passed */
  ledger_wait_over(&use, 1);
  CHECK(ledger_reserve(f.ledger, &use, 1, tokens(40), &c, &which) == RESERVE_DONE);
  CHECK(account_reserved(use.account).tokens == 100);
  ledger_settle(f.ledger, &a, &(Usage){.input = 20, .output = 5}, 77, false);
  CHECK(account_spent(use.account).tokens == 25 && account_spent(use.account).nanodollars == 77);
  CHECK(account_spent(use.account).calls == 1 && account_reserved(use.account).tokens == 40);
  ledger_release(f.ledger, &c);
  CHECK(account_reserved(use.account).tokens == 0);
  CHECK(ledger_reserve(f.ledger, &use, 1, tokens(76), &b, &which) == RESERVE_NEVER);
  CHECK(ledger_reserve(f.ledger, &use, 1, tokens(75), &b, &which) == RESERVE_DONE);
  ledger_release(f.ledger, &b);
  fixture_close(&f);
  store_close(f.store);
}

/* Who waits for room in a small budget is passed in the larger one around it, and nowhere else. */
static void test_line(void) {
  Fixture f = {.store = store_open_memory()};
  uint32_t which;
  fixture_open(&f);
  AccountUse small = scope_use(&f, 5, 100), large = scope_use(&f, 6, 1000), both[] = {large, small};
  Hold a = hold_new("12345678t"), b = hold_new("12345678t"), c = hold_new("12345678t"), d = hold_new("12345678t");
  CHECK(ledger_reserve(f.ledger, both, 2, tokens(60), &a, &which) == RESERVE_DONE);
  CHECK(ledger_reserve(f.ledger, both, 2, tokens(60), &b, &which) == RESERVE_WAIT);
  ledger_wait(both, 2, tokens(60));
  CHECK(ledger_reserve(f.ledger, &small, 1, tokens(10), &c, &which) == RESERVE_WAIT);
  CHECK(ledger_reserve(f.ledger, &large, 1, tokens(900), &c, &which) == RESERVE_DONE);
  ledger_wait_over(both, 2);
  ledger_settle(f.ledger, &a, &(Usage){0}, 0, false);
  CHECK(ledger_reserve(f.ledger, both, 2, tokens(101), &b, &which) == RESERVE_NEVER && which == 1);
  CHECK(ledger_reserve(f.ledger, both, 2, tokens(100), &b, &which) == RESERVE_DONE); /* there was room in both */
  ledger_release(f.ledger, &b);
  b = hold_new("12345678t");
  CHECK(ledger_reserve(f.ledger, &large, 1, tokens(50), &d, &which) == RESERVE_DONE);
  CHECK(ledger_reserve(f.ledger, both, 2, tokens(60), &b, &which) == RESERVE_WAIT); /* now it is the large one */
  ledger_wait(both, 2, tokens(60));
  CHECK(ledger_reserve(f.ledger, &small, 1, tokens(10), &a, &which) == RESERVE_WAIT); /* its place here is kept */
  ledger_wait_over(both, 2);
  ledger_release(f.ledger, &c);
  ledger_release(f.ledger, &d);
  hold_deinit(&a), hold_deinit(&b);
  fixture_close(&f);
  store_close(f.store);
}

/* Who is within its reservation goes beside others; who is not goes alone, whatever the others give back meanwhile. */
static void test_alone(void) {
  Fixture f = {.store = store_open_memory()};
  uint32_t which;
  fixture_open(&f);
  AccountUse use = scope_use(&f, 5, 100);
  Account *a = use.account;
  Hold one = hold_new("12345678t"), two = hold_new("12345678t"), late = hold_new("12345678t");
  CHECK(ledger_reserve(f.ledger, &use, 1, between(10, 60), &one, &which) == RESERVE_DONE);
  CHECK(account_reserved(a).tokens == 60 && account_expected(a).tokens == 10 && !account_alone(a));
  CHECK(ledger_reserve(f.ledger, &use, 1, between(41, 41), &two, &which) == RESERVE_WAIT);
  CHECK(ledger_reserve(f.ledger, &use, 1, between(10, 60), &two, &which) == RESERVE_DONE && account_alone(a));
  CHECK(account_expected(a).tokens == 20 && account_reserved(a).calls == 2);
  CHECK(ledger_reserve(f.ledger, &use, 1, between(1, 1), &late, &which) == RESERVE_WAIT);
  ledger_settle(f.ledger, &one, &(Usage){.input = 10}, 1, false);
  CHECK(ledger_reserve(f.ledger, &use, 1, between(1, 1), &late, &which) == RESERVE_WAIT);
  ledger_settle(f.ledger, &two, &(Usage){.input = 55}, 1, false);
  CHECK(!account_alone(a) && account_reserved(a).tokens == 0 && account_expected(a).tokens == 0);
  CHECK(account_spent(a).tokens == 65);
  CHECK(ledger_reserve(f.ledger, &use, 1, between(35, 1000), &late, &which) == RESERVE_DONE && account_alone(a));
  ledger_release(f.ledger, &late);
  CHECK(!account_alone(a) && account_reserved(a).tokens == 0);
  CHECK(ledger_reserve(f.ledger, &use, 1, between(36, 36), &two, &which) == RESERVE_NEVER);
  fixture_close(&f);
  store_close(f.store);
}

/* Inside there is room, outside somebody is alone. */
static void test_nested(void) {
  Fixture f = {.store = store_open_memory()};
  uint32_t which;
  fixture_open(&f);
  AccountUse outer = scope_use(&f, 1, 100), inner[] = {outer, scope_use(&f, 2, 1000)};
  inner[1].limit = (Amounts){NO_BOUND, NO_BOUND, 5};
  Hold a = hold_new("12345678t"), b = hold_new("12345678t");
  CHECK(ledger_reserve(f.ledger, inner, 2, between(10, 500), &a, &which) == RESERVE_DONE);
  CHECK(a.accounts[0].alone && !a.accounts[1].alone); /* calls are exact */
  CHECK(ledger_reserve(f.ledger, &inner[1], 1, between(10, 500), &b, &which) == RESERVE_DONE);
  ledger_release(f.ledger, &b);
  b = hold_new("12345678t");
  CHECK(ledger_reserve(f.ledger, inner, 2, between(10, 10), &b, &which) == RESERVE_WAIT && which == 0);
  ledger_release(f.ledger, &a);
  CHECK(ledger_reserve(f.ledger, inner, 2, between(10, 10), &b, &which) == RESERVE_DONE);
  ledger_release(f.ledger, &b);
  fixture_close(&f);
  store_close(f.store);
}

/* Many calls in two scopes within one, in any order; each costs at most what it was thought to. In no account is more
** spent than there is, but for what one call cost beyond what was expected of it. */
enum { FLYING = 12 };
typedef struct Flight {
  Hold hold;
  int64_t cost;
  bool up;
} Flight;

static uint32_t chance(uint32_t *seed, uint32_t below) {
  *seed = *seed * 1664525u + 1013904223u;
  return (*seed >> 8) % below;
}

/* Gives by how much it may go beyond; -1: it did not leave. */
static int64_t flight_begin(Fixture *f, const AccountUse *uses, Flight *flight, uint32_t *seed) {
  uint32_t which;
  int64_t expected = 1 + chance(seed, 40), most = expected + chance(seed, 3) * chance(seed, 200);
  Hold hold = hold_new("12345678t");
  if (ledger_reserve(f->ledger, uses, 2, between(expected, most), &hold, &which) != RESERVE_DONE) {
    hold_deinit(&hold);
    return -1;
  }
  *flight = (Flight){hold, 1 + chance(seed, (uint32_t)most), true};
  return most - expected;
}

static void flight_end(Fixture *f, Flight *flight, uint32_t *seed) {
  flight->up = false;
  if (chance(seed, 8) == 0) ledger_release(f->ledger, &flight->hold);
  else ledger_settle(f->ledger, &flight->hold, &(Usage){.input = flight->cost}, 0, false);
}

static void test_any_order(void) {
  uint32_t seed = 3;
  for (int round = 0; round < 400; round++) {
    Fixture f = {.store = store_open_memory()};
    fixture_open(&f);
    AccountUse outer = scope_use(&f, 1, 200 + chance(&seed, 800)), inner[2][2];
    for (uint64_t i = 0; i < 2; i++) inner[i][0] = outer, inner[i][1] = scope_use(&f, 2 + i, 100 + chance(&seed, 500));
    Flight flights[FLYING] = {0};
    int64_t beyond = 0;
    for (int step = 0; step < 300; step++) {
      Flight *flight = &flights[chance(&seed, FLYING)];
      if (flight->up) {
        flight_end(&f, flight, &seed);
        continue;
      }
      int64_t by = flight_begin(&f, inner[chance(&seed, 2)], flight, &seed);
      if (by > beyond) beyond = by;
    }
    for (int i = 0; i < FLYING; i++)
      if (flights[i].up) flight_end(&f, &flights[i], &seed);
    const AccountUse *all[] = {&outer, &inner[0][1], &inner[1][1]};
    for (size_t i = 0; i < COUNT_OF(all); i++) {
      const Account *a = all[i]->account;
      CHECK(account_spent(a).tokens <= all[i]->limit.tokens + beyond);
      CHECK(account_reserved(a).tokens == 0 && account_expected(a).tokens == 0 && !account_alone(a));
    }
    fixture_close(&f);
    store_close(f.store);
  }
}

/* ---- what models charge --------------------------------------------------------------- */

static uint32_t rows_pending(Fixture *f) {
  uint32_t pending = !grouping_empty(f->grouping);
  fixture_commit(f);
  return pending;
}

static void learn(Fixture *f, int64_t input, int64_t output, bool exact) {
  ledger_learn(f->ledger, STR("p\0m"), &(Usage){.input = input, .output = output, .exact = exact},
               &(Usage){.input = 100, .output = 50});
}

static void test_learned(void) {
  Fixture f = {.store = store_open_memory()};
  fixture_open(&f);
  CHECK(ledger_learned(f.ledger, STR("p\0m")).input == UNTOLD_TOKENS && rows_pending(&f) == 0);
  learn(&f, 90, 50, true);
  CHECK(ledger_learned(f.ledger, STR("p\0m")).input == 0 && ledger_learned(f.ledger, STR("q")).input == UNTOLD_TOKENS);
  CHECK(rows_pending(&f) == 1);
  learn(&f, 100, 7, true); /* the ordinary case writes nothing more */
  CHECK(rows_pending(&f) == 0);
  learn(&f, 5100, 60, true);
  CHECK(ledger_learned(f.ledger, STR("p\0m")).input == 5000 && ledger_learned(f.ledger, STR("p\0m")).output == 10);
  CHECK(rows_pending(&f) == 1);
  learn(&f, 4900, 60, true);
  learn(&f, 20, 20, false); /* nobody said how much */
  CHECK(ledger_learned(f.ledger, STR("p\0m")).input == 5000 && rows_pending(&f) == 0);
  fixture_close(&f);

  fixture_open(&f);
  CHECK(ledger_learned(f.ledger, STR("p\0m")).input == 5000 && ledger_learned(f.ledger, STR("p\0m")).output == 10);
  learn(&f, 20, 20, true);
  CHECK(ledger_learned(f.ledger, STR("p\0m")).input == 4375);
  int times = 1;
  while (ledger_learned(f.ledger, STR("p\0m")).input > 0 && times < 100) learn(&f, 20, 20, true), times++;
  CHECK(times < 60 && ledger_learned(f.ledger, STR("p\0m")).output == 0);
  fixture_close(&f);
  store_close(f.store);
}

static void test_learned_untold(void) {
  Fixture f = {.store = store_open_memory()};
  fixture_open(&f);
  learn(&f, 20, 20, false); /* a reply without usage tells too that nothing more is known */
  CHECK(ledger_learned(f.ledger, STR("p\0m")).input == 0 && rows_pending(&f) == 1);
  grouping_kv(f.grouping, SPACE_LEDGER, STR("mx"), STR("\x82\x20\x01"));
  fixture_commit(&f);
  CHECK(ledger_learned(f.ledger, STR("x")).input == UNTOLD_TOKENS && ledger_failed(f.ledger));
  fixture_close(&f);
  store_close(f.store);
}

/* Another window begins with nothing, and what is settled late counts where it was reserved. */
static void test_window(void) {
  Fixture f = {.store = store_open_memory()};
  uint32_t which;
  int64_t day1 = DAY, day2 = 2 * DAY, back = DAY;
  fixture_open(&f);
  AccountUse use = {.account = ledger_pool(f.ledger, STR("p"), &day1), .limit = {NO_BOUND, 100, NO_BOUND}};
  Hold a = hold_new("12345678t"), b = hold_new("12345678t");
  CHECK(ledger_reserve(f.ledger, &use, 1, tokens(90), &a, &which) == RESERVE_DONE);
  CHECK(ledger_pool(f.ledger, STR("p"), &day2) == use.account); /* who waited meanwhile is reserved in this one */
  CHECK(ledger_reserve(f.ledger, &use, 1, tokens(90), &b, &which) == RESERVE_DONE);
  ledger_settle(f.ledger, &a, &(Usage){.input = 90}, 1, false);
  CHECK(account_spent(use.account).tokens == 0 && account_reserved(use.account).tokens == 90);
  CHECK(ledger_pool(f.ledger, STR("p"), &back) == use.account && back == day2);
  ledger_settle(f.ledger, &b, &(Usage){.input = 9}, 1, false);
  CHECK(account_spent(use.account).tokens == 9);
  fixture_close(&f);
  store_close(f.store);
}

/* ---- rows ---------------------------------------------------------------------------------- */

typedef struct Loaded {
  Ledger *ledger;
  HoldRow row;
  uint32_t count;
} Loaded;

static void hold_loaded(void *context, const HoldRow *row, Hold *hold) {
  Loaded *l = context;
  l->row = *row;
  l->count++;
  CHECK(hold->expected.tokens == 60 && hold->most.tokens == 60 && hold->usage.output == 50 && hold->count == 1);
  ledger_settle(l->ledger, hold, &hold->usage, 600, true);
}

typedef struct Costs {
  CostRow last;
  uint32_t count;
} Costs;

static bool cost_row(void *context, const CostRow *row) {
  Costs *c = context;
  c->last = *row;
  c->count++;
  CHECK_STR(row->tenant, STR("acme"));
  CHECK_STR(row->agent, STR("Triage"));
  CHECK_STR(row->model, STR("fast"));
  return true;
}

/* A process that dies with a call in flight: the next one charges for it, once. */
static void test_rows(void) {
  Fixture f = {.store = store_open_memory()};
  uint32_t which;
  Err err = {0};
  Buf book = {0};
  Costs costs = {0};
  fixture_open(&f);
  AccountUse use = scope_use(&f, 5, 100);
  book_key(3 * DAY + 5, STR("acme"), STR("Triage"), STR("fast"), &book);
  Hold a = {.usage = {.input = 10, .output = 50}}, done = {0};
  char *key = mem_alloc(book.size);
  memcpy(key, book.at, book.size);
  a.book = (Str){key, book.size};
  key = mem_alloc(book.size);
  memcpy(key, book.at, book.size);
  done.book = (Str){key, book.size};
  CHECK(ledger_reserve(f.ledger, &use, 1, tokens(5), &done, &which) == RESERVE_DONE);
  ledger_settle(f.ledger, &done, &(Usage){.input = 3, .cached = 1, .output = 2}, 50, false);
  CHECK(ledger_reserve(f.ledger, &use, 1, tokens(60), &a, &which) == RESERVE_DONE);
  ledger_hold_put(f.ledger, &(HoldRow){7, 9, true, 2, STR("id")}, &a);
  fixture_commit(&f);
  CHECK(ledger_costs_each(f.store, 0, cost_row, &costs, &err) && costs.count == 1);
  CHECK(costs.last.calls == 1 && costs.last.nanodollars == 50 && costs.last.reserved_nanodollars == 600);
  hold_deinit(&a);
  fixture_close(&f);

  fixture_open(&f);
  Loaded loaded = {.ledger = f.ledger};
  CHECK(ledger_holds(f.ledger, hold_loaded, &loaded, &err) && loaded.count == 1);
  CHECK(loaded.row.run == 7 && loaded.row.seq == 9 && loaded.row.sent && loaded.row.attempt == 2);
  ledger_hold_drop(f.ledger, 7, 9);
  Account *account = scope_use(&f, 5, 100).account;
  CHECK(account_spent(account).tokens == 65 && account_spent(account).calls == 2 && account_reserved(account).tokens == 0);
  fixture_commit(&f);
  costs = (Costs){0};
  CHECK(ledger_costs_each(f.store, 3 * DAY, cost_row, &costs, &err) && costs.count == 1);
  CHECK(costs.last.day_us == 3 * DAY && costs.last.calls == 2 && costs.last.input == 13 && costs.last.cached == 1);
  CHECK(costs.last.output == 52 && costs.last.nanodollars == 650 && costs.last.reserved_nanodollars == 0);
  CHECK(costs.last.uncertain_calls == 1 && costs.last.uncertain_nanodollars == 600);
  costs = (Costs){0};
  CHECK(ledger_costs_each(f.store, 4 * DAY, cost_row, &costs, &err) && costs.count == 0);

  Uuid run = {{1}};
  Buf row = {0};
  ledger_run_over(f.ledger, run);
  fixture_commit(&f);
  CHECK(account_spent(scope_use(&f, 5, 100).account).tokens == 0);
  CHECK(!ledger_failed(f.ledger));
  buf_deinit(&row);
  buf_deinit(&book);
  fixture_close(&f);
  store_close(f.store);
}

/* Of a call that is lost what is expected is charged, so that is held; one that can be taken up holds all it held. */
typedef struct Reloaded {
  Ledger *ledger;
  Account *account;
  bool alone;
  int64_t reserved;
} Reloaded;

static void hold_reloaded(void *context, const HoldRow *row, Hold *hold) {
  Reloaded *r = context;
  CHECK(hold->count == 1 && hold->expected.tokens == 10);
  r->account = hold->accounts[0].account;
  r->alone = account_alone(r->account);
  r->reserved = account_reserved(r->account).tokens;
  CHECK(account_expected(r->account).tokens == 10);
  ledger_release(r->ledger, hold);
  CHECK(account_reserved(r->account).tokens == 0 && !account_alone(r->account));
  ledger_hold_drop(r->ledger, row->run, row->seq);
}

static AccountUse pool_use(Fixture *f, int64_t window_us) {
  Account *a = ledger_pool(f->ledger, STR("p"), &window_us);
  return (AccountUse){.account = a, .limit = {NO_BOUND, 100, NO_BOUND}};
}

static void reload(int64_t most, Str resume, int64_t window_us, Reloaded *out) {
  Fixture f = {.store = store_open_memory()};
  uint32_t which;
  Err err = {0};
  fixture_open(&f);
  AccountUse use = window_us > 0 ? pool_use(&f, window_us) : scope_use(&f, 5, 100);
  Hold hold = hold_new("12345678t");
  hold.usage = (Usage){.input = 4, .output = 6}; /* what is charged if nobody knows */
  CHECK(ledger_reserve(f.ledger, &use, 1, between(10, most), &hold, &which) == RESERVE_DONE);
  ledger_hold_put(f.ledger, &(HoldRow){7, 9, true, 0, resume}, &hold);
  fixture_commit(&f);
  hold_deinit(&hold);
  fixture_close(&f);
  fixture_open(&f);
  *out = (Reloaded){.ledger = f.ledger};
  CHECK(ledger_holds(f.ledger, hold_reloaded, out, &err));
  fixture_close(&f);
  store_close(f.store);
}

static void test_reloaded(void) {
  Reloaded r;
  for (int64_t window_us = 0; window_us <= DAY; window_us += DAY) { /* of a scope, and of a window that is not stored */
    reload(60, (Str){0}, window_us, &r);
    CHECK(r.reserved == 10 && !r.alone);
    reload(600, (Str){0}, window_us, &r);
    CHECK(r.reserved == 10 && !r.alone);
    reload(60, STR("id"), window_us, &r);
    CHECK(r.reserved == 60 && !r.alone);
    reload(600, STR("id"), window_us, &r);
    CHECK(r.reserved == 10 && r.alone);
  }
}

static void hold_any(void *context, const HoldRow *row, Hold *hold) {
  (void)row;
  ledger_release(context, hold);
}

/* A row with any byte changed, or cut: it is read or refused. */
static void test_damaged(void) {
  Fixture f = {.store = store_open_memory()};
  uint32_t which;
  Buf row = {0};
  fixture_open(&f);
  AccountUse use = scope_use(&f, 5, 100);
  Hold hold = hold_new("12345678t");
  CHECK(ledger_reserve(f.ledger, &use, 1, between(10, 600), &hold, &which) == RESERVE_DONE);
  ledger_hold_put(f.ledger, &(HoldRow){7, 9, true, 0, STR("id")}, &hold);
  Str key = STR("\0\0\0\0\0\0\0\7\0\0\0\0\0\0\0\11"), value;
  CHECK(grouping_kv_get(f.grouping, SPACE_HOLD, key, &value));
  if (value.size > 0) buf_str(&row, value);
  hold_deinit(&hold);
  fixture_close(&f);
  for (size_t i = 0; i < 2 * row.size; i++) {
    Err err = {0};
    fixture_open(&f);
    char *at = &row.at[i / 2], was = *at;
    *at = (char)(i % 2 ? was ^ 0x20 : was + 1);
    grouping_kv(f.grouping, SPACE_HOLD, key, i % 3 ? buf_view(&row) : (Str){row.at, i / 2});
    *at = was;
    fixture_commit(&f);
    if (!ledger_holds(f.ledger, hold_any, f.ledger, &err)) CHECK(err.code == ERR_CORRUPT);
    fixture_close(&f);
  }
  CHECK(row.size > 40);
  buf_deinit(&row);
  store_close(f.store);
}

int main(void) {
  RUN_TEST(test_prices);
  RUN_TEST(test_dollars);
  RUN_TEST(test_reserve);
  RUN_TEST(test_line);
  RUN_TEST(test_alone);
  RUN_TEST(test_nested);
  RUN_TEST(test_any_order);
  RUN_TEST(test_learned);
  RUN_TEST(test_learned_untold);
  RUN_TEST(test_window);
  RUN_TEST(test_rows);
  RUN_TEST(test_reloaded);
  RUN_TEST(test_damaged);
  return TEST_END();
}
