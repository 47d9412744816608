/* Budgets: scopes of a strand, within which calls of models count. What they hold and what is left of them is the
** business of who performs the calls; here is only which are open around whom.
**
** Those that a run begins with come with its head, in the configuration under `budget()`, a name that no `config` can
** have. Branches begin with their parent's. A tool's call remembers how many there were: a body that is abandoned runs
** no `finally`, so what it had opened is closed for it. */
#include "vm/run/state.h"

/* ---- the scopes of a strand ---- */

void scopes_open(Strand *s, uint64_t seq, Str limits) {
  char *copy = mem_alloc(limits.size + 1);
  if (limits.size) memcpy(copy, limits.at, limits.size);
  s->scopes = mem_grow(s->scopes, &s->scope_cap, s->scope_count + 1, sizeof *s->scopes);
  s->scopes[s->scope_count++] = (Scope){seq, {copy, limits.size}};
}

void scopes_trim(Strand *s, uint32_t count) {
  while (s->scope_count > count) mem_free((void *)(uintptr_t)s->scopes[--s->scope_count].limits.at);
}

void scopes_inherit(Strand *branch, const Strand *parent) {
  for (uint32_t i = 0; i < parent->scope_count; i++) {
    scopes_open(branch, parent->scopes[i].seq, parent->scopes[i].limits);
  }
  branch->inherited = branch->scope_count;
}

/* ---- as bytes ---- */

static bool scope_item(CborReader *r) {
  uint64_t items, seq;
  Str id;
  Err ignored;
  return cbor_array(r, &items, &ignored) && items == 3 && cbor_bytes(r, &id, &ignored) && id.size == sizeof(Uuid) &&
         cbor_uint(r, &seq, &ignored) && cbor_skip(r, NULL, &ignored);
}

Str run_scopes(const Run *run) { return cbor_map_get(run->head.HEAD.config, STR("budget()")); }

/* How many the run began with, and their encodings. What is no such list is none. */
static uint64_t head_scopes(const Run *run, Str *items) {
  CborReader r = cbor_reader(run_scopes(run));
  uint64_t count;
  Err ignored;
  *items = (Str){"", 0};
  if (r.at == r.end || !cbor_array(&r, &count, &ignored)) return 0;
  const char *first = (const char *)r.at;
  for (uint64_t i = 0; i < count; i++) {
    if (!scope_item(&r)) return 0;
  }
  *items = (Str){first, (size_t)((const char *)r.at - first)};
  return count;
}

void scopes_put(const Run *run, const Strand *s, Buf *out) {
  Str items;
  uint64_t count = head_scopes(run, &items);
  if (count + s->scope_count == 0) return;
  cbor_put_array(out, count + s->scope_count);
  buf_str(out, items);
  for (uint32_t i = 0; i < s->scope_count; i++) {
    cbor_put_array(out, 3);
    cbor_put_bytes(out, (Str){(const char *)run->id.byte, sizeof run->id.byte});
    cbor_put_uint(out, s->scopes[i].seq);
    buf_str(out, s->scopes[i].limits);
  }
}

/* ---- limits ---- */

static bool money(Value v, Decimal *out) {
  int64_t i;
  double f;
  Buf text = {0};
  if (value_is_kind(v, OBJ_DECIMAL)) return *out = value_decimal(v), out->coefficient >= 0;
  if (value_to_int(v, &i)) return *out = decimal_from_int(i), i >= 0;
  if (!value_to_float(v, &f) || !(f >= 0) || f - f != 0) return false;
  float_print(f, &text); /* the shortest text: what was written */
  bool ok = decimal_parse(buf_view(&text), out);
  buf_deinit(&text);
  return ok;
}

static bool limit_put(Str name, Value v, Buf *out) {
  Decimal usd;
  int64_t n;
  bool ok = str_equal(name, STR("usd")) ? money(v, &usd) : value_to_int(v, &n) && n >= 0;
  if (!ok) return false;
  cbor_put_text(out, name);
  if (str_equal(name, STR("usd"))) cbor_put_decimal(out, usd);
  else cbor_put_int(out, n);
  return true;
}

static bool is_limit(Machine *m, Value key) {
  if (!value_is_text(key)) return false;
  Str name = string_text(m, &key);
  return str_equal(name, STR("usd")) || str_equal(name, STR("tokens")) || str_equal(name, STR("calls"));
}

static const char *limits_put(Machine *m, Value map, Buf *out) {
  static const Str names[] = {{"usd", 3}, {"tokens", 6}, {"calls", 5}};
  Buf pairs = {0};
  uint64_t count = 0;
  const char *why = NULL;
  Value key, v;
  for (uint32_t cursor = 0; map_next(map, &cursor, &key, &v);) {
    if (!is_limit(m, key)) why = "a budget has `usd`, `tokens` and `calls`";
  }
  for (uint32_t i = 0; i < COUNT_OF(names) && !why; i++) {
    if (!map_find_text(map, names[i], &v) || v == VALUE_NIL) continue;
    count++;
    if (limit_put(names[i], v, &pairs)) continue;
    why = i == 0 ? "`usd` of a budget is an amount of 0 or more"
                 : "`tokens` and `calls` of a budget are ints of 0 or more";
  }
  cbor_put_tag(out, CBOR_TAG_MAP);
  cbor_put_array(out, count * 2);
  buf_str(out, buf_view(&pairs));
  buf_deinit(&pairs);
  return why;
}

/* ---- the effects ---- */

static bool budget_sound(Run *run, Fiber *f, Buf *limits) {
  Value map = machine_ask_arg(run->machine, f, 0);
  Str items;
  uint64_t open = head_scopes(run, &items) + run_strand(run, f->id)->scope_count;
  const char *why = NULL;
  if (!value_is_kind(map, OBJ_MAP)) why = "a budget is a map of its limits";
  else why = limits_put(run->machine, map, limits);
  if (!why && open < LIMIT_BUDGETS) return true;
  if (why) strand_raise(run, f->id, error_fault(run->machine, f, FAULT_VALUE, "%s", why));
  else strand_raise(run, f->id, error_fault(run->machine, f, FAULT_VALUE, "budgets are nested more than %d deep",
                                            (int)LIMIT_BUDGETS));
  return false;
}

/* It is never confirmed, so each attempt records it again, under the seq of the first: a budget is for all attempts. */
void ask_budget(Run *run, Fiber *f) {
  Buf limits = {0}, *operands = &run->scratch;
  Str none = {"", 0};
  uint64_t seq;
  if (budget_sound(run, f, &limits) && ask_operands(run, f, 0, operands) &&
      !memory_recalls(run, f, EFFECT_BUDGET, CLASS_NONE, none, buf_view(operands)) &&
      ask_put(run, f, none, buf_view(operands), &seq)) {
    FirstAsked first = memory_asked(run, seq, buf_view(operands));
    scopes_open(run_strand(run, f->id), first.seq, buf_view(&limits));
    ask_done(run, f, VALUE_NIL);
  }
  buf_deinit(&limits);
}

/* In a `finally`, so it may come when nothing is open: what was is closed already, or is not this code's to close. */
void ask_budget_end(Run *run, Fiber *f) {
  Strand *s = run_strand(run, f->id);
  uint32_t floor = s->inherited;
  if (s->tool_count && s->tools[s->tool_count - 1].scopes > floor) floor = s->tools[s->tool_count - 1].scopes;
  if (s->scope_count > floor) scopes_trim(s, s->scope_count - 1);
  ask_done(run, f, VALUE_NIL);
}
