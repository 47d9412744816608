/* The books: what calls of models cost, by day, tenant, agent and model. */
#include "vm/base/cbor.h"
#include "vm/base/mem.h"
#include "vm/runtime/ledger_impl.h"

enum { BOOKS_KEPT = 4096 };
#define DAY_US (INT64_C(86400) * 1000000)

/* 8 bytes big-endian of the day's number, then tenant, 0, agent, 0, model: names have no control characters. */
void book_key(int64_t now_us, Str tenant, Str agent, Str model, Buf *out) {
  buf_clear(out);
  key_u64(out, (uint64_t)(now_us / DAY_US));
  buf_str(out, tenant);
  buf_byte(out, 0);
  buf_str(out, agent);
  buf_byte(out, 0);
  buf_str(out, model);
}

static Str part_take(Str *rest) {
  const char *end = rest->size > 0 ? memchr(rest->at, 0, rest->size) : NULL;
  Str part = {rest->at, end != NULL ? (size_t)(end - rest->at) : rest->size};
  size_t used = part.size + (end != NULL);
  *rest = (Str){rest->at + used, rest->size - used};
  return part;
}

static bool book_names(Str key, CostRow *row) {
  if (key.size < 8) return false;
  Str rest = {key.at + 8, key.size - 8};
  row->day_us = (int64_t)key_u64_at(key.at) * DAY_US;
  row->tenant = part_take(&rest);
  row->agent = part_take(&rest);
  row->model = part_take(&rest);
  return true;
}

static bool book_decode(Str value, CostRow *row) {
  CborReader r = cbor_reader(value);
  uint64_t count;
  Err e;
  return cbor_array(&r, &count, &e) && count == 7 && cbor_int(&r, &row->calls, &e) && cbor_int(&r, &row->input, &e) &&
         cbor_int(&r, &row->cached, &e) && cbor_int(&r, &row->output, &e) && cbor_int(&r, &row->nanodollars, &e) &&
         cbor_int(&r, &row->uncertain_calls, &e) && cbor_int(&r, &row->uncertain_nanodollars, &e);
}

static void book_encode(const CostRow *row, Buf *out) {
  buf_clear(out);
  cbor_put_array(out, 7);
  cbor_put_int(out, row->calls);
  cbor_put_int(out, row->input);
  cbor_put_int(out, row->cached);
  cbor_put_int(out, row->output);
  cbor_put_int(out, row->nanodollars);
  cbor_put_int(out, row->uncertain_calls);
  cbor_put_int(out, row->uncertain_nanodollars);
}

void books_free(Ledger *l) {
  uint32_t at = 0;
  void *row;
  while (table_next(l->books, &at, NULL, &row)) mem_free(row);
  table_free(l->books);
}

static void book_read(Ledger *l, Str key, CostRow *row) {
  Str pending;
  Err err = {0};
  bool found = grouping_kv_get(l->grouping, SPACE_BOOK, key, &pending);
  if (!found) {
    buf_clear(&l->value);
    if (!store_kv_get(l->store, SPACE_BOOK, key, &l->value, &err)) {
      l->failed |= err.code != ERR_NOT_FOUND;
      return;
    }
    pending = buf_view(&l->value);
  }
  l->failed |= !book_decode(pending, row);
}

/* Kept from round to round: the store's reader would look at pages anew after each commit. */
static CostRow *book_of(Ledger *l, Str key) {
  CostRow *row = table_get(l->books, key);
  if (row != NULL) return row;
  if (table_count(l->books) >= BOOKS_KEPT) {
    books_free(l);
    l->books = table_new();
  }
  row = MEM_NEW(CostRow);
  book_read(l, key, row);
  table_set(l->books, key, row);
  return row;
}

void book_add(Ledger *l, Str key, const Usage *u, int64_t nanodollars, bool uncertain) {
  CostRow *row = book_of(l, key);
  row->calls = amount_add(row->calls, 1);
  row->input = amount_add(row->input, u->input);
  row->cached = amount_add(row->cached, u->cached);
  row->output = amount_add(row->output, u->output);
  row->nanodollars = amount_add(row->nanodollars, nanodollars);
  row->uncertain_calls = amount_add(row->uncertain_calls, uncertain);
  row->uncertain_nanodollars = amount_add(row->uncertain_nanodollars, uncertain ? nanodollars : 0);
  book_encode(row, &l->value);
  grouping_kv(l->grouping, SPACE_BOOK, key, buf_view(&l->value));
}

/* ---- reading for people ------------------------------------------------------------ */

typedef struct Costs {
  Store *store;
  Table *reserved; /* by book: nanodollars of its holds, as int64_t * */
  bool (*each)(void *context, const CostRow *row);
  void *context;
  bool stop, broken;
} Costs;

static int64_t *reserved_of(Costs *c, Str book) {
  int64_t *sum = table_get(c->reserved, book);
  if (sum != NULL) return sum;
  sum = mem_alloc(sizeof *sum);
  table_set(c->reserved, book, sum);
  return sum;
}

/* Book and money of a hold's row. */
static bool hold_sum(void *context, Str key, Str value) {
  Costs *c = context;
  CborReader r = cbor_reader(value);
  uint64_t count;
  int64_t money = 0;
  Str book = {0};
  Err e;
  (void)key;
  bool ok = cbor_array(&r, &count, &e) && cbor_skip(&r, NULL, &e) && cbor_skip(&r, NULL, &e) &&
            cbor_int(&r, &money, &e);
  for (int i = 0; ok && i < 10; i++) ok = cbor_skip(&r, NULL, &e);
  ok = ok && cbor_bytes(&r, &book, &e);
  c->broken |= !ok;
  if (ok) *reserved_of(c, book) = amount_add(*reserved_of(c, book), money);
  return ok;
}

static bool book_row(void *context, Str key, Str value) {
  Costs *c = context;
  CostRow row = {0};
  c->broken = !book_names(key, &row) || !book_decode(value, &row);
  if (c->broken) return false;
  int64_t *reserved = table_get(c->reserved, key);
  if (reserved != NULL) {
    row.reserved_nanodollars = *reserved;
    *reserved = 0; /* told */
  }
  c->stop = !c->each(c->context, &row);
  return !c->stop;
}

/* Calls in flight whose book has no row yet. */
static void reserved_only(Costs *c, int64_t from_us) {
  uint32_t at = 0;
  Str key;
  void *sum;
  while (!c->stop && table_next(c->reserved, &at, &key, &sum)) {
    CostRow row = {.reserved_nanodollars = *(int64_t *)sum};
    if (row.reserved_nanodollars == 0 || !book_names(key, &row) || row.day_us + DAY_US <= from_us) continue;
    c->stop = !c->each(c->context, &row);
  }
}

static void costs_deinit(Costs *c) {
  uint32_t at = 0;
  void *sum;
  while (table_next(c->reserved, &at, NULL, &sum)) mem_free(sum);
  table_free(c->reserved);
}

bool ledger_costs_each(Store *store, int64_t from_us, bool (*each)(void *context, const CostRow *row), void *context,
                       Err *err) {
  Costs c = {.store = store, .reserved = table_new(), .each = each, .context = context};
  Buf from = {0};
  key_u64(&from, (uint64_t)(from_us / DAY_US));
  bool ok = store_kv_each(store, SPACE_HOLD, (Str){0}, (Str){0}, hold_sum, &c, err);
  ok = ok && (c.broken || store_kv_each(store, SPACE_BOOK, (Str){0}, buf_view(&from), book_row, &c, err));
  if (ok && c.broken) {
    FAIL(err, ERR_CORRUPT, "the books of model calls cannot be read");
    ok = false;
  }
  if (ok) reserved_only(&c, from_us);
  buf_deinit(&from);
  costs_deinit(&c);
  return ok;
}
