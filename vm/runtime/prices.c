/* Decimals in, integers from there on. */
#include "vm/runtime/prices.h"

#include "vm/base/cbor.h"
#include "vm/base/text.h"

__extension__ typedef __int128 Wide;

int64_t amount_add(int64_t a, int64_t b) {
  int64_t sum;
  return __builtin_add_overflow(a, b, &sum) ? INT64_MAX : sum;
}

int64_t amount_less(int64_t a, int64_t b) { return a > b ? a - b : 0; }

static int64_t saturated(Wide n) { return n > INT64_MAX ? INT64_MAX : n < 0 ? 0 : (int64_t)n; }

/* ---- reading ----------------------------------------------------------------- */

static bool float_decimal(double f, Decimal *out) {
  Buf text = {0};
  float_print(f, &text); /* the shortest text: what was written */
  bool ok = decimal_parse(buf_view(&text), out);
  buf_deinit(&text);
  return ok;
}

static bool number_read(Str value, Decimal *out) {
  CborReader r = cbor_reader(value);
  CborItem item;
  Err ignored;
  if (value.size == 0 || !cbor_next(&r, &item, &ignored)) return false;
  switch (item.kind) {
    case CBOR_UINT:
      if (item.n > INT64_MAX) return false;
      *out = decimal_from_int((int64_t)item.n);
      return true;
    case CBOR_FLOAT: return float_decimal(item.f, out);
    case CBOR_TAG: return item.n == CBOR_TAG_DECIMAL && cbor_decimal_body(&r, out, &ignored);
    default: return false;
  }
}

/* The number in units of 10^-scale; -1: it is none, or below 0. */
static int64_t units_read(Str value, uint16_t scale, Rounding rounding) {
  Decimal d, rounded;
  if (!number_read(value, &d) || d.coefficient < 0 || !decimal_round(d, scale, rounding, &rounded)) return -1;
  return rounded.scale == scale ? saturated(rounded.coefficient) : INT64_MAX; /* too large for so many places */
}

int64_t dollars_read(Str value) { return units_read(value, 9, ROUND_FLOOR); }

Price price_read(Str map) {
  int64_t input = units_read(cbor_map_get(map, STR("input")), 6, ROUND_CEILING);
  int64_t output = units_read(cbor_map_get(map, STR("output")), 6, ROUND_CEILING);
  int64_t cached = units_read(cbor_map_get(map, STR("cached")), 6, ROUND_CEILING);
  int64_t cache_write = units_read(cbor_map_get(map, STR("cache_write")), 6, ROUND_CEILING);
  Price p = {.known = input >= 0 || output >= 0, .input = input < 0 ? 0 : input, .output = output < 0 ? 0 : output};
  p.cached = cached < 0 ? p.input : cached;
  p.cache_write = cache_write < 0 ? p.input : cache_write;
  return p;
}

static int64_t count_read(Str map, Str name) {
  CborReader r = cbor_reader(cbor_map_get(map, name));
  int64_t n = 0;
  Err ignored;
  return r.at < r.end && cbor_int(&r, &n, &ignored) && n > 0 ? n : 0;
}

bool usage_read(Str map, Usage *out) {
  CborReader r = cbor_reader(map);
  CborItem item;
  Err ignored;
  *out = (Usage){0};
  if (map.size == 0 || !cbor_next(&r, &item, &ignored) || item.kind != CBOR_TAG || item.n != CBOR_TAG_MAP) return false;
  *out = (Usage){count_read(map, STR("input")), count_read(map, STR("cached")), count_read(map, STR("cache_write")),
                 count_read(map, STR("output")), false};
  Str exact = cbor_map_get(map, STR("exact"));
  out->exact = exact.size == 1 && (uint8_t)exact.at[0] == 0xf5;
  return true;
}

/* ---- costs -------------------------------------------------------------------- */

int64_t price_cost(const Price *p, const Usage *u) {
  if (!p->known) return 0;
  int64_t cached = u->cached < u->input ? u->cached : u->input;
  int64_t room = u->input - cached, written = u->cache_write < room ? u->cache_write : room;
  Wide pico = (Wide)(room - written) * p->input + (Wide)cached * p->cached + (Wide)written * p->cache_write +
              (Wide)u->output * p->output;
  return saturated((pico + 999) / 1000);
}

static Decimal dollars(int64_t nanodollars, uint16_t least) {
  Decimal d = {nanodollars, 9};
  while (d.scale > least && d.coefficient % 10 == 0) d = (Decimal){d.coefficient / 10, (uint16_t)(d.scale - 1)};
  return d;
}

void dollars_put(int64_t nanodollars, Buf *out) { cbor_put_decimal(out, dollars(nanodollars, 0)); }
void dollars_print(int64_t nanodollars, Buf *out) { decimal_print(dollars(nanodollars, 2), out); }
