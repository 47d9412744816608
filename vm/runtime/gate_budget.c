/* What programs are told of budgets: what is left, and what does not fit. */
#include "vm/base/cbor.h"
#include "vm/runtime/gate_impl.h"

/* ---- what is left ------------------------------------------------------------------------ */

typedef struct Left {
  Amounts left, spent;
} Left;

static int64_t left_of(int64_t before, int64_t limit, int64_t used) {
  if (limit == NO_BOUND) return before;
  int64_t left = amount_less(limit, used);
  return before == NO_BOUND || left < before ? left : before;
}

static void left_scope(void *context, const Scope *scope) {
  Left *l = context;
  Amounts used = amounts_add(account_spent(scope->account), account_expected(scope->account));
  l->spent = account_spent(scope->account);
  l->left = (Amounts){left_of(l->left.nanodollars, scope->limit.nanodollars, used.nanodollars),
                      left_of(l->left.tokens, scope->limit.tokens, used.tokens),
                      left_of(l->left.calls, scope->limit.calls, used.calls)};
}

static void amount_put(Buf *out, const char *name, int64_t n, bool money) {
  cbor_put_text(out, str_of(name));
  if (n == NO_BOUND) cbor_put_nil(out);
  else if (money) dollars_put(n, out);
  else cbor_put_int(out, n);
}

static void amounts_map(Buf *out, Amounts a, uint64_t more) {
  cbor_put_tag(out, CBOR_TAG_MAP);
  cbor_put_array(out, 6 + 2 * more);
  amount_put(out, "usd", a.nanodollars, true);
  amount_put(out, "tokens", a.tokens, false);
  amount_put(out, "calls", a.calls, false);
}

void gate_left(Scheduler *s, const Request *r, Buf *value) {
  Left l = {.left = {NO_BOUND, NO_BOUND, NO_BOUND}};
  scopes_each(s->gate, r->scopes, left_scope, &l);
  amounts_map(value, l.left, 1);
  cbor_put_text(value, STR("spent"));
  amounts_map(value, l.spent, 0);
}

/* ---- what does not fit ----------------------------------------------------------------------- */

typedef struct Excess {
  const char *unit;
  bool money;
  int64_t limit, spent, reserved, wanted;
  bool held; /* it would fit but for what is reserved */
} Excess;

static bool over(int64_t limit, int64_t spent, int64_t wanted) {
  return limit != NO_BOUND && amount_add(spent, wanted) > limit;
}

/* What it does not fit: what is spent, or what is reserved besides by calls that were interrupted. */
static Excess excess_of(const AccountUse *use, Amounts want) {
  Amounts spent = account_spent(use->account), told = account_expected(use->account), limit = use->limit;
  Amounts used = spent;
  for (int i = 0; i < 3; i++) {
    bool all = i == 2 && account_alone(use->account);
    if (over(limit.nanodollars, used.nanodollars, want.nanodollars) || (all && limit.nanodollars != NO_BOUND))
      return (Excess){"usd", true, limit.nanodollars, spent.nanodollars, told.nanodollars, want.nanodollars,
                      i > 0};
    if (over(limit.tokens, used.tokens, want.tokens) || (all && limit.tokens != NO_BOUND))
      return (Excess){"tokens", false, limit.tokens, spent.tokens, told.tokens, want.tokens, i > 0};
    if (over(limit.calls, used.calls, want.calls)) break;
    used = amounts_add(spent, account_reserved(use->account));
  }
  bool held = !over(limit.calls, spent.calls, want.calls);
  return (Excess){"calls", false, limit.calls, spent.calls, told.calls, want.calls, held};
}

static void number_print(Buf *out, int64_t n, const Excess *e) {
  if (e->money) dollars_print(n, out);
  else buf_format(out, "%" PRId64, n);
}

static void excess_message(const AccountUse *use, const Excess *e, Buf *out) {
  bool scope = str_equal(use->name, STR("budget"));
  buf_format(out, "%s" STR_FMT " of ", scope ? "the " : "budget ", STR_ARG(use->name));
  number_print(out, e->limit, e);
  buf_format(out, " %s does not allow this call: ", e->unit);
  number_print(out, e->spent, e);
  buf_text(out, " are spent, and it may take ");
  number_print(out, e->wanted, e);
  if (!e->held) return;
  buf_text(out, "; ");
  number_print(out, e->reserved, e);
  buf_text(out, " are reserved for calls that were interrupted, which `z8 recover` goes on with");
}

static void excess_data(const AccountUse *use, const Excess *e, Buf *out) {
  cbor_put_tag(out, CBOR_TAG_MAP);
  cbor_put_array(out, 14);
  cbor_put_text(out, STR("class"));
  cbor_put_text(out, STR("never"));
  cbor_put_text(out, STR("account"));
  cbor_put_text(out, use->name);
  cbor_put_text(out, STR("unit"));
  cbor_put_text(out, str_of(e->unit));
  amount_put(out, "limit", e->limit, e->money);
  amount_put(out, "spent", e->spent, e->money);
  amount_put(out, "reserved", e->reserved, e->money);
  amount_put(out, "wanted", e->wanted, e->money);
}

void gate_refusal(const Call *c, const AccountUse *use, Buf *value) {
  Excess e = excess_of(use, c->want.expected);
  Buf message = {0}, data = {0};
  excess_message(use, &e, &message);
  excess_data(use, &e, &data);
  error_encode_data(value, STR("budget_exhausted"), buf_view(&message), buf_view(&data));
  buf_deinit(&message);
  buf_deinit(&data);
}
