/* The decider: admission, folding, decisions, and what each refuses. */
#include "decider_program.h"
#include "test.h"
#include "vm/base/cbor.h"
#include "vm/run/decider_impl.h"

static Account *account;
static Decider *d;
static Buf work, text, admitted;
static Refusal no;
static Decision out;
static Err err;

static Str json(const char *source) { /* as encoded bytes */
  buf_clear(&work);
  if (!cbor_from_json(str_of(source), &work, &err)) fprintf(stderr, "test: %s: %s\n", source, err.text);
  return buf_view(&work);
}
static Str as_json(Str value) {
  buf_clear(&text);
  if (!cbor_to_json(value, &text, &err)) fprintf(stderr, "test: not a value: %s\n", err.text);
  return buf_view(&text);
}
static Str state(void) {
  Buf bytes = {0};
  CHECK(decider_save(d, &bytes));
  Str said = as_json(buf_view(&bytes));
  buf_deinit(&bytes);
  return said;
}
static void begin(void) {
  account = account_new();
  d = decider_new(account->program);
  CHECK(decider_load(d, 0, (Str){0}, &err));
}
static void end(void) {
  decider_free(d);
  account_free(account);
  buf_deinit(&work), buf_deinit(&text), buf_deinit(&admitted);
}
static bool admit(uint32_t shape, const char *source, uint64_t version) {
  buf_clear(&admitted);
  return decider_admit(d, shape, json(source), version, false, &admitted, &no);
}
/* Admits and decides to the end. */
static void decide(uint32_t shape, const char *source) {
  out = (Decision){0};
  if (!admit(shape, source, 1)) fprintf(stderr, "test: %s: " STR_FMT "\n", source, STR_ARG(no.message));
  CHECK(decider_decide(d, shape, buf_view(&admitted), (Str){0}, 0, &out) == DECIDE_DONE);
}
static void decided(uint32_t shape, const char *source) {
  decide(shape, source);
  if (out.refused) fprintf(stderr, "test: %s: " STR_FMT "\n", source, STR_ARG(out.refusal.message));
  CHECK(!out.refused);
  decider_settle(d, true);
}
static bool has(Str s, const char *part) {
  size_t n = strlen(part);
  for (size_t i = 0; i + n <= s.size; i++)
    if (memcmp(s.at + i, part, n) == 0) return true;
  fprintf(stderr, "\"" STR_FMT "\" has no \"%s\"\n", STR_ARG(s), part);
  return false;
}
static Str record(uint32_t shape, const char *fields, uint64_t version) { /* of fields as JSON, kept in `admitted` */
  Str map = json(fields);
  CborReader r = cbor_reader(map);
  CborItem item;
  uint64_t count = 0;
  CHECK(cbor_next(&r, &item, &err) && cbor_array(&r, &count, &err));
  buf_clear(&admitted);
  cbor_put_tag(&admitted, CBOR_TAG_RECORD);
  cbor_put_array(&admitted, count + 2);
  cbor_put_text(&admitted, bundle_text(&account->a->b, account->a->shapes[shape].stored_name));
  cbor_put_uint(&admitted, version);
  buf_put(&admitted, r.at, (size_t)(r.end - r.at));
  return buf_view(&admitted);
}
static bool fold(uint32_t shape, const char *fields, uint64_t version) {
  Str bytes = record(shape, fields, version);
  Str type = bundle_text(&account->a->b, account->a->shapes[shape].stored_name);
  return decider_fold(d, type, version, bytes, (Str){0}, &err);
}

/* ---- admission ---- */

static void test_admit(void) {
  begin();
  CHECK(admit(DEPOSIT, "{\"amount\": 5, \"account_id\": \"a\"}", 1));
  CHECK_STR(as_json(buf_view(&admitted)), STR("{\"account_id\":\"a\",\"amount\":5}"));
  Buf again = {0};
  CHECK(decider_admit(d, DEPOSIT, buf_view(&admitted), 1, true, &again, &no));
  CHECK_STR(buf_view(&again), buf_view(&admitted));
  buf_clear(&again);
  CHECK(decider_admit(d, DEPOSIT, buf_view(&admitted), 0, false, &again, &no));
  CHECK_STR(buf_view(&again), buf_view(&admitted));
  buf_deinit(&again);
  CHECK(admit(WITHDRAW, "{\"amount\": 5, \"account_id\": \"a\"}", 1));
  CHECK_STR(as_json(buf_view(&admitted)), STR("{\"account_id\":\"a\",\"amount\":5,\"how\":\"cash\"}"));
  CHECK(admit(WITHDRAW, "{\"amount\": 5, \"account_id\": \"a\", \"how\": null}", 1));
  CHECK(has(as_json(buf_view(&admitted)), "\"cash\""));
  end();
}

static bool not_admitted(uint32_t shape, const char *source, uint64_t version, const char *code, const char *why) {
  bool refused = !admit(shape, source, version);
  return refused && !no.fault && str_equal(no.code, str_of(code)) && has(no.message, why) && admitted.size == 0;
}

static void test_admit_refused(void) {
  begin();
  CHECK(not_admitted(DEPOSIT, "{\"account_id\": \"a\"}", 1, "invalid_message", "Deposit needs `amount`: int"));
  CHECK(not_admitted(DEPOSIT, "{\"account_id\": \"a\", \"amount\": \"x\"}", 1, "invalid_message",
                     "`amount` of Deposit must be int, and this is string \"x\""));
  CHECK(not_admitted(DEPOSIT, "{\"account_id\": \"a\", \"amount\": null}", 1, "invalid_message", "must be int"));
  CHECK(not_admitted(DEPOSIT, "{\"account_id\": \"a\", \"amount\": -1}", 1, "invalid_message",
                     "Deposit: amount does not satisfy: amount > 0"));
  CHECK(not_admitted(DEPOSIT, "{\"account_id\": \"a\", \"amuont\": 1}", 1, "invalid_message",
                     "Deposit has no field `amuont`; it has account_id, amount"));
  CHECK(not_admitted(DEPOSIT, "[1, 2]", 1, "invalid_message", "a record or a map"));
  CHECK(not_admitted(DEPOSIT, "7", 1, "invalid_message", "a record or a map"));
  CHECK(not_admitted(DEPOSIT, "{}", 2, "newer_message", "Deposit is of version 2, and this program knows version 1"));
  Str other = record(OPEN, "{\"account_id\": \"a\"}", 1);
  Buf copy = {0}, made = {0};
  buf_str(&copy, other);
  CHECK(!decider_admit(d, DEPOSIT, buf_view(&copy), 1, true, &made, &no));
  CHECK(has(no.message, "a Deposit is wanted, and this is a Open"));
  buf_deinit(&copy), buf_deinit(&made);
  end();
}

/* What JSON or another bundle's records cannot say is read as the field's type. */
static void test_admit_coerced(void) {
  begin();
  CHECK(admit(NOTE, "{\"note\": 1, \"address\": {\"street\": \"Low\", \"number\": 12.5}}", 1));
  CHECK_STR(as_json(buf_view(&admitted)), STR("{\"note\":1,\"address\":{\"street\":\"Low\",\"number\":12.5}}"));
  CHECK(admit(NOTE, "{\"note\": 1, \"address\": {\"street\": \"Low\", \"number\": \"7.00\"}}", 1));
  CHECK(has(as_json(buf_view(&admitted)), "7.00"));
  CHECK(admit(NOTE, "{\"note\": 1}", 1));
  CHECK_STR(as_json(buf_view(&admitted)), STR("{\"note\":1,\"address\":null}"));
  CHECK(not_admitted(NOTE, "{\"note\": 1, \"address\": {\"street\": \"Low\"}}", 1, "invalid_message",
                     "`address` of Note: Address needs `number`"));
  CHECK(not_admitted(NOTE, "{\"note\": 1, \"address\": 5}", 1, "invalid_message",
                     "`address` of Note must be Address?"));
  end();
}

/* Whatever is changed of a message, it is admitted or refused, and what is admitted can be admitted again. */
static void test_admit_damaged(void) {
  begin();
  Buf bytes = {0}, made = {0};
  CHECK(admit(NOTE, "{\"note\": [1, {\"a\": \"bcd\"}], \"address\": {\"street\": \"Low\", \"number\": 12.5}}", 1));
  for (size_t i = 0; i < admitted.size * 24; i++) {
    buf_clear(&bytes), buf_clear(&made);
    buf_str(&bytes, buf_view(&admitted));
    bytes.at[i / 24] = (char)(i % 24 < 8 ? bytes.at[i / 24] ^ (1 << i % 8) : (int)(i * 41));
    if (i % 24 == 23) bytes.size = i / 24;
    bool ok = decider_admit(d, NOTE, buf_view(&bytes), i % 3, i & 1, &made, &no);
    CHECK(ok ? made.size > 0 : no.message.size > 0 && made.size == 0);
    CHECK(decider_decide(d, NOTE, buf_view(&bytes), buf_view(&bytes), 0, &out) == DECIDE_DONE);
    decider_settle(d, false);
  }
  CHECK_STR(state(), STR("{\"id\":null,\"balance\":0,\"notes\":[]}"));
  buf_deinit(&bytes), buf_deinit(&made);
  end();
}

/* ---- what a router asks ---- */

static Str identity(const char *source, bool *ok) {
  static Buf name;
  buf_clear(&name);
  *ok = decider_identity(d, &account->routes[0], json(source), &name, &no);
  return buf_view(&name);
}

static void test_identity(void) {
  bool ok;
  begin();
  CHECK_STR(identity("{\"account_id\": \"a b\"}", &ok), STR("a b"));
  CHECK(ok);
  CHECK_STR(identity("{\"account_id\": -17}", &ok), STR("-17"));
  CHECK(ok);
  static const char *const bad[][2] = {{"{}", "not given"}, {"{\"account_id\": null}", "not given"},
                                       {"{\"account_id\": \"\"}", "empty"},
                                       {"{\"account_id\": 1.5}", "a string or an int"},
                                       {"{\"account_id\": \"a\\tb\"}", "control"}, {"[1]", "not given"}};
  for (size_t i = 0; i < COUNT_OF(bad); i++) {
    identity(bad[i][0], &ok);
    CHECK(!ok && str_equal(no.code, STR("no_identity")) && has(no.message, bad[i][1]));
  }
  char longer[700];
  snprintf(longer, sizeof longer, "{\"account_id\": \"%0511d\"}", 7);
  identity(longer, &ok);
  CHECK(!ok && has(no.message, "longer"));
  CHECK(admit(DEPOSIT, "{\"account_id\": \"a\", \"amount\": 1}", 1));
  CHECK(decider_before(d, &account->routes[0], buf_view(&admitted), (Str){0}, &no));
  CHECK(admit(DEPOSIT, "{\"account_id\": \"blocked\", \"amount\": 1}", 1));
  CHECK(!decider_before(d, &account->routes[0], buf_view(&admitted), (Str){0}, &no));
  CHECK(str_equal(no.code, STR("forbidden")) && str_equal(no.message, STR("not you")) && !no.fault);
  CHECK(!decider_before(d, &account->routes[0], buf_view(&admitted), STR("\xff"), &no) && no.fault);
  end();
}

static void test_unique(void) {
  Hash256 a, b, c;
  begin();
  CHECK(admit(RECEIPT, "{\"amount\": 3}", 1));
  CHECK_STR(as_json(buf_view(&admitted)), STR("{\"amount\":3,\"copies\":5}"));
  CHECK(decider_unique(d, &account->workers[0], buf_view(&admitted), &a));
  CHECK(admit(RECEIPT, "{\"amount\": 3, \"copies\": 1}", 1));
  CHECK(decider_unique(d, &account->workers[0], buf_view(&admitted), &b));
  CHECK(admit(RECEIPT, "{\"amount\": 4}", 1));
  CHECK(decider_unique(d, &account->workers[0], buf_view(&admitted), &c));
  CHECK(memcmp(&a, &b, sizeof a) == 0 && memcmp(&a, &c, sizeof a) != 0);
  account->workers[0].unique.count = 0;
  CHECK(!decider_unique(d, &account->workers[0], buf_view(&admitted), &a));
  end();
}

/* ---- decisions ---- */

static void test_decide(void) {
  begin();
  decide(OPEN, "{\"account_id\": \"a\"}");
  CHECK(!out.refused && out.event_count == 1 && out.job_count == 0);
  CHECK_STR(out.events[0].type, STR("Opened"));
  CHECK(out.events[0].version == 1);
  CHECK_STR(as_json(out.events[0].data), STR("{\"account_id\":\"a\"}"));
  CHECK_STR(as_json(out.reply), STR("\"opened\""));
  decider_settle(d, true);
  decided(DEPOSIT, "{\"account_id\": \"a\", \"amount\": 50}");
  CHECK(out.reply.at == NULL);
  decide(WITHDRAW, "{\"account_id\": \"a\", \"amount\": 20}");
  CHECK(out.event_count == 1 && out.job_count == 1 && out.jobs[0].worker == 0);
  CHECK_STR(as_json(out.jobs[0].data), STR("{\"amount\":20,\"copies\":5}"));
  CHECK_STR(as_json(out.jobs[0].options), STR("{\"priority\":1}"));
  decider_settle(d, true);
  CHECK_STR(state(), STR("{\"id\":\"a\",\"balance\":30,\"notes\":[]}"));
  decide(DEPOSIT, "{\"account_id\": \"a\", \"amount\": 1}");
  CHECK_STR(state(), STR("{\"id\":\"a\",\"balance\":31,\"notes\":[]}"));
  decider_settle(d, false);
  CHECK_STR(state(), STR("{\"id\":\"a\",\"balance\":30,\"notes\":[]}"));
  for (int i = 0; i < 3; i++) decided(NOTE, "{\"note\": [1, {}]}");
  CHECK_STR(state(), STR("{\"id\":\"a\",\"balance\":30,\"notes\":[[1,{}],[1,{}],[1,{}]]}"));
  end();
}

static void refused_with(const char *code, bool fault, const char *why) {
  CHECK(out.refused && out.refusal.fault == fault && out.event_count == 0 && out.job_count == 0);
  CHECK_STR(out.refusal.code, str_of(code));
  CHECK(has(out.refusal.message, why));
  CHECK_STR(state(), STR("{\"id\":\"a\",\"balance\":30,\"notes\":[]}"));
}

static void test_refused(void) {
  begin();
  decided(OPEN, "{\"account_id\": \"a\"}");
  decided(DEPOSIT, "{\"account_id\": \"a\", \"amount\": 30}");
  decide(WITHDRAW, "{\"account_id\": \"a\", \"amount\": 80}");
  refused_with("insufficient_funds", false, "insufficient_funds");
  CHECK_STR(as_json(out.refusal.data), STR("{\"short\":80}"));
  decide(OPEN, "{\"account_id\": \"b\"}");
  refused_with("unhandled", false, "no `decide Open` of Account fits: the guard at test.z8:");
  decide(RECEIPT, "{\"amount\": 3}");
  refused_with("unhandled", false, "Account has no `decide Receipt`");
  decide(ODD, "{\"n\": 3}");
  refused_with("type_mismatch", true, "the guard of `decide Odd` of Account failed");
  CHECK(has(out.refusal.message, "at g_odd (test.z8"));
  decide(WITHDRAW, "{\"account_id\": \"a\", \"amount\": -2000}");
  refused_with("invariant_violated", false, "invariant 2 of Account does not hold");
  CHECK(out.refusal.data.at == NULL);
  decide(SPIN, "{\"n\": 5}");
  refused_with("type_mismatch", true, "an evolve after `decide Spin` of Account failed: type_mismatch:");
  decide(SPIN, "{\"n\": -1}");
  refused_with("limit_instructions", true, "it takes more than 50000000 ticks");
  account->clauses[3].guard = account->clauses[2].guard; /* nothing fits */
  account->clauses[2].guard = account_fn(account, "g_odd");
  CHECK(decider_decide(d, WITHDRAW, STR("\xf6"), (Str){0}, 0, &out) == DECIDE_DONE);
  refused_with("invalid_message", false, "a Withdraw is a record");
  end();
}

static void test_invariant_message(void) {
  begin();
  decide(WITHDRAW, "{\"account_id\": \"a\", \"amount\": 0}");
  CHECK(!out.refused);
  account->clauses[2].fn = account->clauses[3].fn; /* the refusing clause withdraws */
  decide(WITHDRAW, "{\"account_id\": \"a\", \"amount\": 7}");
  CHECK(out.refused && str_equal(out.refusal.code, STR("invariant_violated")));
  CHECK_STR(out.refusal.message, STR("never below zero"));
  CHECK_STR(state(), STR("{\"id\":null,\"balance\":0,\"notes\":[]}"));
  end();
}

/* What a decide may do that is refused, each time with the state as it was. */
static void test_faults(void) {
  static const struct { const char *fn, *code, *why; bool fault; } cases[] = {
      {"d_flood", "limit_events", "`decide Odd` of Account emits more than 4095 events", true},
      {"d_bomb", "limit_live", "`decide Odd` of Account failed", true},
      {"d_raise", "too_late", "it is over", false},
      {"d_reply", "bad_value", "`decide Odd` of Account replies cannot be sent: a function", true},
      {"d_keep", "bad_value", "`decide Odd` of Account emits cannot be stored: a function", true},
  };
  begin();
  account->clauses[5].guard = NONE_INDEX;
  decided(OPEN, "{\"account_id\": \"a\"}");
  decided(DEPOSIT, "{\"account_id\": \"a\", \"amount\": 30}");
  decider_machine(d)->heap->live_limit = 8u << 20;
  for (size_t i = 0; i < COUNT_OF(cases); i++) {
    account->clauses[5].fn = account_fn(account, cases[i].fn);
    decide(ODD, "{\"n\": 5000}");
    refused_with(cases[i].code, cases[i].fault, cases[i].why);
    CHECK(i != 2 || str_equal(as_json(out.refusal.data), STR("5000")));
  }
  account->clauses[5].fn = account_fn(account, "d_flood");
  decided(WITHDRAW, "{\"account_id\": \"a\", \"amount\": 30}");
  decide(ODD, "{\"n\": 20}");
  CHECK(!out.refused && out.event_count == 20 && str_equal(as_json(out.events[19].data), STR("{\"amount\":1}")));
  decider_settle(d, true);
  CHECK_STR(state(), STR("{\"id\":\"a\",\"balance\":210,\"notes\":[]}"));
  end();
}

static void test_slices(void) {
  begin();
  CHECK(admit(SPIN, "{\"n\": 1000}", 1));
  Str data = buf_view(&admitted);
  uint32_t slices = 1;
  DecideResult r = decider_decide(d, SPIN, data, (Str){0}, 100, &out);
  while (r == DECIDE_SLICE) {
    Buf other = {0}; /* something else is admitted in between */
    if (slices == 2) memset(admitted.at, 0, admitted.size);
    CHECK(decider_admit(d, DEPOSIT, json("{\"account_id\": \"z\", \"amount\": 1}"), 1, false, &other, &no));
    buf_deinit(&other);
    slices++;
    r = decider_go(d, 100, &out);
  }
  CHECK(slices > 9 && slices < 13 && !out.refused && out.event_count == 1);
  CHECK_STR(as_json(out.events[0].data), STR("{\"n\":1000}"));
  decider_settle(d, true);
  CHECK_STR(state(), STR("{\"id\":null,\"balance\":99,\"notes\":[]}"));
  CHECK(admit(SPIN, "{\"n\": -1}", 1));
  r = decider_decide(d, SPIN, buf_view(&admitted), (Str){0}, 1000000, &out);
  for (slices = 1; r == DECIDE_SLICE; slices++) r = decider_go(d, 1000000, &out);
  CHECK(slices == 50 && out.refused && str_equal(out.refusal.code, STR("limit_instructions")));
  r = decider_decide(d, SPIN, buf_view(&admitted), (Str){0}, 1000, &out);
  CHECK(r == DECIDE_SLICE); /* given up for another, then by loading */
  decided(SPIN, "{\"n\": 3}");
  r = decider_decide(d, SPIN, buf_view(&admitted), (Str){0}, 2, &out);
  CHECK(r == DECIDE_SLICE);
  CHECK_STR(state(), STR("{\"id\":null,\"balance\":99,\"notes\":[]}"));
  CHECK(decider_load(d, 0, (Str){0}, &err));
  decided(SPIN, "{\"n\": 3}");
  end();
}

/* ---- state ---- */

static void test_load(void) {
  Buf kept = {0};
  begin();
  decided(OPEN, "{\"account_id\": \"a\"}");
  decided(NOTE, "{\"note\": 4}");
  CHECK(decider_save(d, &kept));
  CHECK(decider_load(d, 0, (Str){0}, &err));
  CHECK_STR(state(), STR("{\"id\":null,\"balance\":0,\"notes\":[]}"));
  CHECK(decider_load(d, 0, buf_view(&kept), &err));
  CHECK_STR(state(), STR("{\"id\":\"a\",\"balance\":0,\"notes\":[4]}"));
  decided(NOTE, "{\"note\": 5}");
  CHECK_STR(state(), STR("{\"id\":\"a\",\"balance\":0,\"notes\":[4,5]}"));
  /* of an older form: one field gone, one new */
  CHECK(decider_load(d, 0, record(STATE, "{\"id\": \"b\", \"color\": 1, \"notes\": [3]}", 1), &err));
  CHECK_STR(state(), STR("{\"id\":\"b\",\"balance\":0,\"notes\":[3]}"));
  decided(NOTE, "{\"note\": 5}");
  CHECK_STR(state(), STR("{\"id\":\"b\",\"balance\":0,\"notes\":[3,5]}"));
  CHECK(!decider_load(d, 0, json("[1]"), &err) && strstr(err.text, "no record"));
  for (size_t i = 0; i < kept.size * 16; i++) {
    Buf bytes = {0};
    buf_str(&bytes, buf_view(&kept));
    bytes.at[i / 16] = (char)(i % 16 < 8 ? bytes.at[i / 16] ^ (1 << i % 8) : (int)(i * 37));
    if (i % 16 == 15) bytes.size = i / 16;
    if (decider_load(d, 0, buf_view(&bytes), &err)) {
      fold(DEPOSITED, "{\"amount\": 3}", 1);
      fold(NOTED, "{\"note\": 3}", 1);
      decide(NOTE, "{\"note\": 5}");
      decider_settle(d, true);
    }
    buf_deinit(&bytes);
  }
  CHECK(decider_load(d, 0, buf_view(&kept), &err));
  CHECK_STR(state(), STR("{\"id\":\"a\",\"balance\":0,\"notes\":[4]}"));
  buf_deinit(&kept);
  end();
}

static void test_fold(void) {
  begin();
  CHECK(fold(OPENED, "{\"account_id\": \"a\"}", 1));
  for (int i = 0; i < 1000; i++) CHECK(fold(DEPOSITED, "{\"amount\": 3}", 1));
  CHECK(fold(WITHDRAWN, "{\"amount\": 70000}", 1));
  CHECK(decider_fold(d, STR("Whatever"), 9, STR("rubbish"), (Str){0}, &err)); /* nobody evolves it */
  CHECK_STR(state(), STR("{\"id\":\"a\",\"balance\":-67000,\"notes\":[]}"));
  CHECK(!fold(DEPOSITED, "{\"amount\": 3}", 2) && err.code == ERR_VERSION);
  CHECK(!fold(DEPOSITED, "{\"amount\": \"x\"}", 1) && strstr(err.text, "`evolve Deposited` of Account failed"));
  CHECK(fold(DEPOSITED, "{\"amount\": 4, \"color\": 1}", 1)); /* a field that is no more */
  CHECK_STR(state(), STR("{\"id\":\"a\",\"balance\":-66996,\"notes\":[]}"));
  end();
}

/* An evolve that fails after it has changed something. */
static void test_fold_fails(void) {
  begin();
  CHECK(fold(OPENED, "{\"account_id\": \"a\"}", 1));
  for (int i = 0; i < 20; i++) {
    CHECK(fold(NOTED, "{\"note\": [1, 2]}", 1));
    CHECK(fold(DEPOSITED, "{\"amount\": 1}", 1));
    CHECK(!fold(SPUN, "{\"n\": 5}", 1) && strstr(err.text, "evolve Spun"));
    CHECK(!fold(SPUN, "{\"m\": 5}", 1));
  }
  CHECK(has(state(), "{\"id\":\"a\",\"balance\":20,\"notes\":[[1,2],[1,2],"));
  /* more than the log keeps */
  Str data = record(NOTED, "{\"note\": \"0123456789012345678901234567890123456789012345678901234567890123456789\"}", 1);
  for (int i = 0; i < 20000; i++) {
    if (!decider_fold(d, STR("Noted"), 1, data, (Str){0}, &err)) CHECK(false);
    if (i % 5000 == 0 || i == 19999) {
      Buf spun = {0};
      buf_put(&spun, "\xd9\x9c\x4b\x84\x64Spun\x01\x61n\x05", 13);
      CHECK(!decider_fold(d, STR("Spun"), 1, buf_view(&spun), (Str){0}, &err));
      buf_deinit(&spun);
    }
  }
  const Value v = decider_machine(d)->roots[0];
  CHECK(((const RecordObj *)value_obj(v))->field[1] == value_small_int(20));
  CHECK(list_count(((const RecordObj *)value_obj(v))->field[2]) == 20020);
  CHECK(decider_machine(d)->heap->collections > 5 && decider_machine(d)->heap->size < 32u << 20);
  CHECK(decider_load(d, 0, (Str){0}, &err) && decider_machine(d)->heap->size <= 1u << 20); /* given back */
  end();
}

static void test_upcast(void) {
  Str meta;
  Buf copy = {0};
  begin();
  meta = json("{\"by\": 4}");
  buf_str(&copy, meta);
  CHECK(decider_fold(d, STR("Moved"), 1, record(MOVED, "{\"to\": \"Rome\", \"old\": 1}", 1), buf_view(&copy), &err));
  CHECK_STR(state(), STR("{\"id\":\"Rome\",\"balance\":4,\"notes\":[]}"));
  CHECK(decider_fold(d, STR("Moved"), 2, record(MOVED, "{\"place\": \"Oslo\"}", 2), buf_view(&copy), &err));
  CHECK(decider_fold(d, STR("Moved"), 3, record(MOVED, "{\"place\": \"Bonn\", \"at\": 2}", 3), buf_view(&copy), &err));
  CHECK_STR(state(), STR("{\"id\":\"Bonn\",\"balance\":4,\"notes\":[]}"));
  CHECK(!decider_fold(d, STR("Moved"), 1, record(MOVED, "{\"from\": \"Rome\"}", 1), buf_view(&copy), &err));
  CHECK(strstr(err.text, "the upcast of Moved from version 1 failed"));
  CHECK(!decider_fold(d, STR("Moved"), 3, record(MOVED, "{\"place\": \"Rome\", \"at\": 2}", 3), STR("\xff"), &err));
  CHECK(!decider_fold(d, STR("Moved"), 3, record(MOVED, "{\"place\": \"Rome\", \"at\": 2}", 3), (Str){0}, &err));
  CHECK_STR(state(), STR("{\"id\":\"Bonn\",\"balance\":4,\"notes\":[]}"));
  buf_clear(&admitted);
  CHECK(decider_admit(d, MOVED, json("{\"to\": \"Rome\"}"), 1, false, &admitted, &no));
  CHECK_STR(as_json(buf_view(&admitted)), STR("{\"place\":\"Rome\",\"at\":7}"));
  buf_clear(&admitted); /* an event's field that is no more, as a handler gets it */
  CHECK(decider_admit(d, MOVED, json("{\"place\": \"Rome\", \"color\": 7}"), 3, false, &admitted, &no));
  CHECK_STR(as_json(buf_view(&admitted)), STR("{\"place\":\"Rome\",\"at\":null}"));
  buf_deinit(&copy);
  end();
}

/* Damaged events never harm: folded or refused, and the state is one or the other. */
static void test_fold_damaged(void) {
  static const uint32_t shapes[] = {OPENED, DEPOSITED, NOTED, MOVED};
  static const char *const fields[] = {"{\"account_id\": \"a\"}", "{\"amount\": 300}",
                                       "{\"note\": [1.5, {\"a\": null}]}",
                                       "{\"place\": \"x\", \"at\": true}"};
  Buf bytes = {0}, meta = {0};
  begin();
  buf_str(&meta, json("{\"by\": 4}"));
  for (size_t s = 0; s < COUNT_OF(shapes); s++) {
    const BundleShape *shape = &account->a->shapes[shapes[s]];
    Str good = record(shapes[s], fields[s], shape->version), type = bundle_text(&account->a->b, shape->stored_name);
    for (size_t i = 0; i < good.size * 24; i++) {
      buf_clear(&bytes);
      buf_str(&bytes, good);
      bytes.at[i / 24] = (char)(i % 24 < 8 ? bytes.at[i / 24] ^ (1 << i % 8) : (int)(i * 29));
      if (i % 24 == 23) bytes.size = i / 24;
      bool ok = decider_fold(d, type, 1 + i % 3 % shape->version, buf_view(&bytes), buf_view(&meta), &err);
      if (!ok) CHECK(err.text[0] != 0);
    }
  }
  CHECK(decider_load(d, 0, (Str){0}, &err) && fold(DEPOSITED, "{\"amount\": 3}", 1));
  CHECK_STR(state(), STR("{\"id\":null,\"balance\":3,\"notes\":[]}"));
  buf_deinit(&bytes), buf_deinit(&meta);
  end();
}

/* ---- the state's size ---- */

static void test_size(void) {
  begin();
  char *big = mem_alloc((6u << 20) + 100);
  size_t n = (size_t)sprintf(big, "{\"note\": \"");
  memset(big + n, 'x', 6u << 20);
  strcpy(big + n + (6u << 20), "\"}");
  decided(NOTE, big);
  decided(NOTE, big);
  decide(NOTE, big);
  CHECK(out.refused && out.refusal.fault && str_equal(out.refusal.code, STR("limit_state")));
  CHECK(has(out.refusal.message, "16 MB"));
  decided(NOTE, "{\"note\": 1}");
  mem_free(big);
  CHECK(decider_load(d, 0, (Str){0}, &err));
  /* a note that holds itself twice, and so on: its parts are shared, its encoding is not */
  Machine *m = decider_machine(d);
  m->roots[7] = list_new(m, 2);
  for (int i = 0; i < 40; i++) {
    value_share(m->roots[7]);
    m->roots[6] = m->roots[7];
    m->roots[7] = list_from(m, &m->roots[6], 2);
    const char *why = state_unfit(d, m->roots[7]);
    CHECK(i < 20 ? why == NULL : i < 25 || why != NULL);
  }
  m->roots[7] = list_new(m, 1);
  for (int i = 0; i < 1100; i++) {
    value_share(m->roots[7]);
    m->roots[7] = list_from(m, &m->roots[7], 1);
    CHECK((state_unfit(d, m->roots[7]) == NULL) == (i < 990) || (i >= 990 && i < 1005));
  }
  m->roots[6] = m->roots[7] = VALUE_NIL;
  end();
}

static void test_view(void) {
  Buf value = {0};
  begin();
  CHECK(fold(DEPOSITED, "{\"amount\": 30}", 1));
  uint32_t fn = account->views[0].fn;
  CHECK(decider_view(d, fn, json("[10]"), &value, &no));
  CHECK_STR(as_json(buf_view(&value)), STR("true"));
  buf_clear(&value);
  CHECK(!decider_view(d, fn, json("[\"x\"]"), &value, &no) && no.fault);
  CHECK(has(no.message, "the view v_over failed"));
  CHECK(!decider_view(d, fn, json("[1, 2]"), &value, &no) && has(no.message, "at most 1 arguments and was given 2"));
  CHECK(!decider_view(d, fn, (Str){0}, &value, &no) && has(no.message, "needs 1"));
  CHECK(!decider_view(d, fn, STR("\x81\xff"), &value, &no) && !decider_view(d, fn, STR("\x81\x01\x01"), &value, &no));
  CHECK(!decider_view(d, fn, STR("\x81\xd9\x9c\x53\xf6"), &value, &no)); /* left out, and it has no default */
  CHECK(value.size == 0 && decider_machine(d)->held_count == 0);
  CHECK_STR(state(), STR("{\"id\":null,\"balance\":30,\"notes\":[]}"));
  buf_deinit(&value);
  end();
}

int main(void) {
  RUN_TEST(test_admit);
  RUN_TEST(test_admit_refused);
  RUN_TEST(test_admit_coerced);
  RUN_TEST(test_admit_damaged);
  RUN_TEST(test_identity);
  RUN_TEST(test_unique);
  RUN_TEST(test_decide);
  RUN_TEST(test_refused);
  RUN_TEST(test_invariant_message);
  RUN_TEST(test_faults);
  RUN_TEST(test_slices);
  RUN_TEST(test_load);
  RUN_TEST(test_fold);
  RUN_TEST(test_fold_fails);
  RUN_TEST(test_upcast);
  RUN_TEST(test_fold_damaged);
  RUN_TEST(test_size);
  RUN_TEST(test_view);
  return TEST_END();
}
