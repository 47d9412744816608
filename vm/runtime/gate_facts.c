/* What a call says of itself, and which accounts and limits follow from that. */
#include "vm/base/cbor.h"
#include "vm/base/mem.h"
#include "vm/effects/model.h"
#include "vm/runtime/gate_impl.h"

enum { NAME_BYTES = 128 };

/* ---- facts -------------------------------------------------------------------------- */

static Str map_text(Str map, Str name) {
  CborReader r = cbor_reader(cbor_map_get(map, name));
  Str text = {0};
  Err ignored;
  return r.at < r.end && cbor_text(&r, &text, &ignored) ? text : (Str){0};
}

static int64_t map_int(Str map, Str name, int64_t missing) {
  CborReader r = cbor_reader(cbor_map_get(map, name));
  int64_t n = 0;
  Err ignored;
  return r.at < r.end && cbor_int(&r, &n, &ignored) && n >= 0 ? n : missing;
}

static bool map_true(Str map, Str name) {
  Str value = cbor_map_get(map, name);
  return value.size == 1 && (uint8_t)value.at[0] == 0xf5;
}

static Str call_map(Str operands) {
  CborReader r = cbor_reader(operands);
  uint64_t count;
  Str map = {0};
  Err ignored;
  return cbor_array(&r, &count, &ignored) && count > 0 && cbor_skip(&r, &map, &ignored) ? map : STR("\xf6");
}

void facts_read(const Slot *slot, const Request *r, Facts *out) {
  Str map = call_map(r->operands);
  Price price = price_read(cbor_map_get(map, STR("price")));
  *out = (Facts){.map = map, .model = map_text(map, STR("model")), .agent = map_text(map, STR("agent")),
                 .provider = map_text(map, STR("provider")), .tenant = slot_tenant(slot), .price = price};
  if (out->model.size == 0) out->model = r->target.size > 0 ? r->target : map_text(map, STR("name"));
  ModelTokens tokens = model_tokens(map);
  out->prompt = (int64_t)tokens.likely;
  out->prompt_most = (int64_t)tokens.most;
  out->answer = map_int(map, STR("max_tokens"), MODEL_ANSWER_TOKENS);
  out->implicit = map_true(map, STR("implicit"));
}

/* ---- keys ----------------------------------------------------------------------------- */

/* Names come from programs: no key grows with them, and none has a zero byte but between them. */
static void key_name(Buf *key, Str name) {
  size_t size = name.size < NAME_BYTES ? name.size : NAME_BYTES;
  for (size_t i = 0; i < size; i++) buf_byte(key, (uint8_t)name.at[i] < ' ' ? '?' : (uint8_t)name.at[i]);
  buf_byte(key, 0);
}

static void key_begin(Buf *key, char kind, Str name, char part) {
  buf_clear(key);
  buf_byte(key, (uint8_t)kind);
  key_name(key, name);
  buf_byte(key, (uint8_t)part);
}

void facts_charger(const Facts *f, Buf *out) {
  key_name(out, f->provider);
  key_name(out, f->model);
}

/* One pool for each of what `by` says. */
static void key_by(Buf *key, const BundleAllowance *a, const Facts *f) {
  if (a->by & BY_TENANT) key_name(key, f->tenant);
  if (a->by & BY_AGENT) key_name(key, f->agent);
  if (a->by & BY_MODEL) key_name(key, f->model);
  if (a->by & BY_PROVIDER) key_name(key, f->provider);
}

static bool filter(const Bundle *b, uint32_t constant, Str is) {
  return constant == NONE_INDEX || str_equal(bundle_text(b, constant), is);
}

static bool applies(const Bundle *b, const BundleAllowance *a, AllowanceKind kind, const Facts *f) {
  return a->kind == kind && a->tool == NONE_INDEX && filter(b, a->provider, f->provider) &&
         filter(b, a->model, f->model) && filter(b, a->agent, f->agent);
}

/* ---- accounts --------------------------------------------------------------------------- */

static void use_add(Call *c, const AccountUse *use) {
  uint32_t cap = c->use_count;
  c->uses = mem_grow(c->uses, &cap, c->use_count + 1, sizeof *c->uses);
  c->uses[c->use_count++] = *use;
}

static int64_t limit_or_none(int64_t n) { return n < 0 ? NO_BOUND : n; }

static Amounts scope_limit(Str map) {
  return (Amounts){limit_or_none(dollars_read(cbor_map_get(map, STR("usd")))),
                   map_int(map, STR("tokens"), NO_BOUND), map_int(map, STR("calls"), NO_BOUND)};
}

void scopes_each(Gate *g, Str scopes, void (*each)(void *context, const Scope *scope), void *context) {
  CborReader r = cbor_reader(scopes);
  uint64_t count = 0, parts, seq;
  Str id, limits;
  Err ignored;
  if (scopes.size == 0 || !cbor_array(&r, &count, &ignored)) return;
  for (; count > 0; count--) {
    Uuid run;
    bool ok = cbor_array(&r, &parts, &ignored) && parts == 3 && cbor_bytes(&r, &id, &ignored) &&
              id.size == sizeof run.byte && cbor_uint(&r, &seq, &ignored) && cbor_skip(&r, &limits, &ignored);
    if (!ok) return;
    memcpy(run.byte, id.at, sizeof run.byte);
    Scope scope = {ledger_scope(g->ledger, run, seq), scope_limit(limits)};
    each(context, &scope);
  }
}

typedef struct Heirs {
  Ledger *ledger;
  int change;
} Heirs;

static void scope_heir(void *context, const Scope *scope) {
  const Heirs *h = context;
  ledger_heir(h->ledger, scope->account, h->change);
}

void gate_heir(Gate *g, Str scopes, int change) { scopes_each(g, scopes, scope_heir, &(Heirs){g->ledger, change}); }

static void scope_use(void *context, const Scope *scope) {
  use_add(context, &(AccountUse){.account = scope->account, .name = STR("budget"), .limit = scope->limit});
}

static void pool_use(Gate *g, const Facts *f, const Bundle *b, const BundleAllowance *a, char part, Amounts limit,
                     int64_t per_us, int64_t now_us, Call *c) {
  Buf key = {0};
  int64_t window_us = window_of(per_us, now_us);
  key_begin(&key, 'a', bundle_text(b, a->name), part);
  key_by(&key, a, f);
  Account *account = ledger_pool(g->ledger, buf_view(&key), &window_us);
  use_add(c, &(AccountUse){.account = account, .name = bundle_text(b, a->name), .limit = limit, .per_us = per_us});
  buf_deinit(&key);
}

void facts_accounts(Gate *g, const Slot *slot, const Facts *f, Str scopes, int64_t now_us, Call *c) {
  const Bundle *b = slot->program_bundle;
  const int64_t none = NO_BOUND;
  scopes_each(g, scopes, scope_use, c);
  for (uint32_t i = 0; i < b->allowance_count; i++) {
    const BundleAllowance *a = &b->allowances[i];
    if (!applies(b, a, ALLOWANCE_BUDGET, f)) continue;
    if (a->nanodollars > 0)
      pool_use(g, f, b, a, 'd', (Amounts){a->nanodollars, none, none}, a->nanodollars_per_us, now_us, c);
    if (a->tokens > 0) pool_use(g, f, b, a, 't', (Amounts){none, a->tokens, none}, a->tokens_per_us, now_us, c);
    if (a->requests > 0) pool_use(g, f, b, a, 'r', (Amounts){none, none, a->requests}, a->requests_per_us, now_us, c);
  }
}

/* ---- limits ------------------------------------------------------------------------------- */

/* Whose limit it is: one tenant's is narrower than a model's, and that than a provider's. */
typedef enum { BREADTH_OF_ONE, BREADTH_OF_MODEL, BREADTH_OF_ALL } LimitBreadth;

static LimitBreadth breadth_of(const BundleAllowance *a) {
  if (a->by != 0) return BREADTH_OF_ONE;
  bool one = a->model != NONE_INDEX || a->tool != NONE_INDEX || a->agent != NONE_INDEX;
  return one ? BREADTH_OF_MODEL : BREADTH_OF_ALL;
}

static bool key_after(Str a, Str b) {
  int order = memcmp(a.at, b.at, a.size < b.size ? a.size : b.size);
  return order != 0 ? order > 0 : a.size > b.size;
}

static bool is_after(const LimitUse *use, LimitBreadth breadth, const Limit *l) {
  return use->breadth != breadth ? use->breadth > breadth : key_after(use->limit->key, l->key);
}

typedef struct Rate {
  uint64_t most;
  int64_t per_us;
  bool tokens;
} Rate;

static void limit_add(Gate *g, Str key, Str name, LimitBreadth breadth, Rate rate, uint64_t want, Call *c) {
  if (rate.most == 0) return;
  Limit *l = limits_get(g->limits, key, name, rate.tokens, rate.most, rate.per_us);
  uint32_t cap = c->limit_count, at = c->limit_count++;
  c->limits = mem_grow(c->limits, &cap, c->limit_count, sizeof *c->limits);
  for (; at > 0 && is_after(&c->limits[at - 1], breadth, l); at--) c->limits[at] = c->limits[at - 1];
  c->limits[at] = (LimitUse){.limit = l, .breadth = (uint8_t)breadth, .want = want};
}

static Rate requests_rate(uint32_t most, int64_t per_us) { return (Rate){most, per_us, false}; }

static Rate tokens_rate(int64_t most, int64_t per_us) { return (Rate){(uint64_t)(most > 0 ? most : 0), per_us, true}; }

static const BundleModel *model_of(const Bundle *b, Str name) {
  for (uint32_t i = 0; i < b->model_count; i++)
    if (str_equal(bundle_text(b, b->models[i].name), name)) return &b->models[i];
  return NULL;
}

static void model_limits(Gate *g, const BundleModel *m, const Facts *f, uint64_t tokens, Call *c) {
  Buf key = {0}, name = {0};
  buf_format(&name, "model " STR_FMT, STR_ARG(f->model));
  key_begin(&key, 'm', f->model, 'r');
  limit_add(g, buf_view(&key), buf_view(&name), BREADTH_OF_MODEL, requests_rate(m->requests, m->requests_per_us), 1, c);
  key_begin(&key, 'm', f->model, 't');
  limit_add(g, buf_view(&key), buf_view(&name), BREADTH_OF_MODEL, tokens_rate(m->tokens, m->tokens_per_us), tokens, c);
  buf_deinit(&key);
  buf_deinit(&name);
}

static void allowance_limits(Gate *g, const Bundle *b, const BundleAllowance *a, const Facts *f, uint64_t tokens,
                             Call *c) {
  Buf key = {0}, name = {0};
  buf_format(&name, "limit " STR_FMT, STR_ARG(bundle_text(b, a->name)));
  key_begin(&key, 'l', bundle_text(b, a->name), 'r');
  key_by(&key, a, f);
  limit_add(g, buf_view(&key), buf_view(&name), breadth_of(a), requests_rate(a->requests, a->requests_per_us), 1, c);
  key_begin(&key, 'l', bundle_text(b, a->name), 't');
  key_by(&key, a, f);
  limit_add(g, buf_view(&key), buf_view(&name), breadth_of(a), tokens_rate(a->tokens, a->tokens_per_us), tokens, c);
  buf_deinit(&key);
  buf_deinit(&name);
}

void facts_limits(Gate *g, const Slot *slot, const Facts *f, Call *c) {
  const Bundle *b = slot->program_bundle;
  const BundleModel *m = model_of(b, f->model);
  uint64_t tokens = (uint64_t)amount_add(f->prompt, f->answer);
  if (m != NULL) model_limits(g, m, f, tokens, c);
  for (uint32_t i = 0; i < b->allowance_count; i++) {
    const BundleAllowance *a = &b->allowances[i];
    if (applies(b, a, ALLOWANCE_LIMIT, f)) allowance_limits(g, b, a, f, tokens, c);
  }
}

void tool_limits(Gate *g, const Slot *slot, const Request *r, Call *c) {
  const Bundle *b = slot->program_bundle;
  Facts f = {.tenant = slot_tenant(slot)};
  Buf key = {0}, name = {0};
  key_begin(&key, 't', r->target, 'r');
  buf_format(&name, "limit " STR_FMT, STR_ARG(r->target));
  limit_add(g, buf_view(&key), buf_view(&name), BREADTH_OF_MODEL, requests_rate(r->limit_count, r->limit_per_us), 1, c);
  for (uint32_t i = 0; i < b->allowance_count; i++) {
    const BundleAllowance *a = &b->allowances[i];
    bool of = a->kind == ALLOWANCE_LIMIT && a->tool != NONE_INDEX && str_equal(bundle_text(b, a->tool), r->key);
    if (of) allowance_limits(g, b, a, &f, 0, c);
  }
  buf_deinit(&key);
  buf_deinit(&name);
}
