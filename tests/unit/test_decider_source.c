/* The decider with agents as people write them: compiled from source. */
#include "test.h"

#include "compiler/compile.h"
#include "vm/base/cbor.h"
#include "vm/run/decider_impl.h"

static Arena arena;
static Compilation compiled;
static Program *program;
static Decider *d;
static Buf given, data, text, meta;
static Decision out;
static Refusal no;
static Err err;

static bool read_program(void *context, Str path, Arena *into, Str *source, Err *why) {
  (void)path, (void)into, (void)why;
  *source = str_of(context);
  return true;
}

static bool begin(const char *source) {
  static char copy[8000];
  snprintf(copy, sizeof copy, "%s", source);
  arena_init(&arena);
  if (!compile(&arena, STR("bank.z8"), (SourceReader){read_program, copy}, (CompileOptions){0}, &compiled)) {
    Buf why = {0};
    diag_render(&compiled.diags, false, &why);
    fprintf(stderr, STR_FMT, STR_ARG(buf_view(&why)));
    buf_deinit(&why);
    return false;
  }
  if (!program_new(&compiled.bundle, &program, &err)) return false;
  d = decider_new(program);
  return decider_load(d, 0, (Str){0}, &err);
}
static void end(void) {
  decider_free(d);
  program_free(program);
  arena_deinit(&arena);
  d = NULL, program = NULL;
  buf_deinit(&given), buf_deinit(&data), buf_deinit(&text), buf_deinit(&meta);
}
static uint32_t shape(const char *name) {
  for (uint32_t i = 0; i < compiled.bundle.shape_count; i++) {
    if (str_equal(bundle_text(&compiled.bundle, compiled.bundle.shapes[i].name), str_of(name))) return i;
  }
  fprintf(stderr, "no shape %s\n", name);
  return 0;
}
static Str as_json(Str value) {
  buf_clear(&text);
  if (!cbor_to_json(value, &text, &err)) fprintf(stderr, "not a value: %s\n", err.text);
  return buf_view(&text);
}
static Str state(void) {
  Buf bytes = {0};
  CHECK(decider_save(d, &bytes));
  Str said = as_json(buf_view(&bytes));
  buf_deinit(&bytes);
  return said;
}
static bool admit(const char *name, const char *source, uint64_t version) {
  buf_clear(&given), buf_clear(&data);
  CHECK(cbor_from_json(str_of(source), &given, &err));
  return decider_admit(d, shape(name), buf_view(&given), version, false, &data, &no);
}
static Str actor(void) {
  buf_clear(&meta);
  CHECK(cbor_from_json(STR("{\"actor\": \"ann\", \"id\": \"7\"}"), &meta, &err));
  return buf_view(&meta);
}
/* Admits, decides and settles; false: refused, with what is in `out`. */
static bool decided(const char *name, const char *source) {
  if (!admit(name, source, 1)) fprintf(stderr, "%s: " STR_FMT "\n", name, STR_ARG(no.message));
  CHECK(decider_decide(d, shape(name), buf_view(&data), actor(), 0, &out) == DECIDE_DONE);
  if (!out.refused) decider_settle(d, true);
  return !out.refused;
}

static const char bank[] =
    "command OpenAccount(account_id: string)\n"
    "command Deposit(account_id: string, amount: int where amount > 0)\n"
    "event Deposited(amount: int)\n"
    "event Renamed version 3 as \"bank.renamed\" (name: string, at: int = 7)\n"
    "upcast Renamed from 1 (old): return {title: old.to}\n"
    "upcast Renamed from 2 (old): return Renamed(name: old.title)\n"
    "agent Account:\n"
    "  state { account_id, balance: 0, status: \"new\", notes: [], seen: {} }\n"
    "  invariant balance >= 0, \"never below zero\"\n"
    "  invariant balance < 1000\n"
    "  decide OpenAccount(cmd) when status is \"new\":\n"
    "    emit AccountOpened(account_id: cmd.account_id)\n"
    "    reply \"opened\"\n"
    "  decide Deposit(amount) when status is \"open\":\n"
    "    emit Deposited(amount: amount)\n"
    "  decide Withdraw(amount) when amount > balance + 100:\n"
    "    reject \"insufficient_funds\", data: { short: amount - balance }\n"
    "  decide Withdraw(amount):\n"
    "    emit Withdrawn(amount: amount)\n"
    "    enqueue Receipt(amount: amount) priority: 1\n"
    "  decide Note(text):\n"
    "    emit Noted(text: text)\n"
    "    emit Noted(text: \"${text} by ${meta.actor}\")\n"
    "  decide Rename(to):\n"
    "    emit Renamed(name: to)\n"
    "  evolve AccountOpened(e):\n"
    "    account_id = e.account_id\n"
    "    status = \"open\"\n"
    "  evolve Deposited(amount):\n"
    "    balance += amount\n"
    "  evolve Withdrawn(amount):\n"
    "    balance -= amount\n"
    "  evolve Noted(text):\n"
    "    notes.push(text)\n"
    "    seen[text] = seen.get(text, 0) + 1\n"
    "    assert len(notes) < 5, \"enough\"\n"
    "  evolve Renamed(name):\n"
    "    notes = [\"${name} ${meta.actor}\"]\n"
    "  view available(more: int = 0): return balance + more\n"
    "worker Receipt(amount: int):\n"
    "  unique by amount within 1h\n"
    "  perform(job): print(job.amount)\n"
    "router App:\n"
    "  validate every command\n"
    "  identify Account by account_id, prefix \"account-\"\n"
    "  dispatch [OpenAccount, Deposit, Withdraw, Note, Rename] -> Account\n"
    "start App\n";

static void test_account(void) {
  CHECK(begin(bank));
  if (!d) return;
  CHECK(!decided("Deposit", "{\"account_id\": \"a\", \"amount\": 5}") && str_equal(out.refusal.code, STR("unhandled")));
  CHECK_STR(out.refusal.message, STR("no `decide Deposit` of Account fits: the guard at bank.z8:14 does not hold"));
  CHECK(decided("OpenAccount", "{\"account_id\": \"a\"}") && str_equal(as_json(out.reply), STR("\"opened\"")));
  CHECK(decided("Deposit", "{\"account_id\": \"a\", \"amount\": 50}"));
  CHECK(decided("Withdraw", "{\"account_id\": \"a\", \"amount\": 20}") && out.job_count == 1);
  CHECK_STR(as_json(out.jobs[0].data), STR("{\"amount\":20}"));
  CHECK_STR(as_json(out.jobs[0].options), STR("{\"priority\":1}"));
  CHECK(!decided("Withdraw", "{\"account_id\": \"a\", \"amount\": 131}"));
  CHECK_STR(as_json(out.refusal.data), STR("{\"short\":101}"));
  CHECK(!decided("Withdraw", "{\"account_id\": \"a\", \"amount\": 130}"));
  CHECK_STR(out.refusal.message, STR("never below zero"));
  CHECK(!decided("Deposit", "{\"account_id\": \"a\", \"amount\": 1000}"));
  CHECK_STR(out.refusal.message, STR("invariant 2 of Account does not hold"));
  CHECK(!decided("Withdraw", "{\"account_id\": \"a\"}") && out.refusal.fault); /* nil > balance */
  CHECK(decided("Note", "{\"account_id\": \"a\", \"text\": \"x\"}") && out.event_count == 2);
  CHECK_STR(as_json(out.events[1].data), STR("{\"text\":\"x by ann\"}"));
  CHECK_STR(state(), STR("{\"account_id\":\"a\",\"balance\":30,\"status\":\"open\",\"notes\":[\"x\",\"x by ann\"],"
                         "\"seen\":{\"x\":1,\"x by ann\":1}}"));
  CHECK(decided("Rename", "{\"account_id\": \"a\", \"to\": \"mine\"}"));
  CHECK_STR(out.events[0].type, STR("bank.renamed"));
  CHECK_STR(as_json(out.events[0].data), STR("{\"name\":\"mine\",\"at\":7}"));
  CHECK_STR(state(), STR("{\"account_id\":\"a\",\"balance\":30,\"status\":\"open\",\"notes\":[\"mine ann\"],"
                         "\"seen\":{\"x\":1,\"x by ann\":1}}"));
  end();
}

/* What the compiler shares and owns must let a decision be taken back, whatever was changed within the state. */
static void test_taken_back(void) {
  CHECK(begin(bank));
  if (!d) return;
  CHECK(decided("Note", "{\"text\": \"a\"}"));
  static const char before[] = "{\"account_id\":null,\"balance\":0,\"status\":\"new\",\"notes\":[\"a\",\"a by ann\"],"
                               "\"seen\":{\"a\":1,\"a by ann\":1}}";
  CHECK(admit("Note", "{\"text\": \"a\"}", 1));
  CHECK(decider_decide(d, shape("Note"), buf_view(&data), actor(), 0, &out) == DECIDE_DONE && !out.refused);
  CHECK_STR(state(), STR("{\"account_id\":null,\"balance\":0,\"status\":\"new\","
                         "\"notes\":[\"a\",\"a by ann\",\"a\",\"a by ann\"],"
                         "\"seen\":{\"a\":2,\"a by ann\":2}}"));
  decider_settle(d, false);
  CHECK_STR(state(), str_of(before));
  Buf event = {0};
  CHECK(decider_admit(d, shape("Noted"), STR("\xd9\x9c\x4a\x82\x64text\x61q"), 1, false, &event, &no));
  CHECK(decider_fold(d, STR("Noted"), 1, buf_view(&event), (Str){0}, &err));
  CHECK(decider_fold(d, STR("Noted"), 1, buf_view(&event), (Str){0}, &err));
  for (int i = 0; i < 3; i++) {
    CHECK(!decider_fold(d, STR("Noted"), 1, buf_view(&event), (Str){0}, &err));
    CHECK(strstr(err.text, "assertion_failed: enough, at Account.evolve Noted (bank.z8:") != NULL);
    CHECK(!decided("Note", "{\"text\": \"a\"}") && out.refusal.fault);
    CHECK_STR(out.refusal.code, STR("assertion_failed"));
  }
  CHECK_STR(state(), STR("{\"account_id\":null,\"balance\":0,\"status\":\"new\","
                         "\"notes\":[\"a\",\"a by ann\",\"q\",\"q\"],"
                         "\"seen\":{\"a\":1,\"a by ann\":1,\"q\":2}}"));
  buf_deinit(&event);
  end();
}

static void test_messages(void) {
  CHECK(begin(bank));
  if (!d) return;
  CHECK(!admit("Deposit", "{\"account_id\": \"a\", \"amount\": 0}", 1));
  CHECK_STR(no.message, STR("Deposit: amount = 0 does not satisfy: amount > 0"));
  CHECK(!admit("Deposit", "{\"account_id\": \"a\"}", 1) && str_equal(no.message, STR("Deposit needs `amount`: int")));
  CHECK(!admit("Withdraw", "{\"amout\": 1}", 1) && str_equal(no.code, STR("invalid_message")));
  CHECK(admit("Renamed", "{\"to\": \"x\"}", 1));
  CHECK_STR(as_json(buf_view(&data)), STR("{\"name\":\"x\",\"at\":7}"));
  CHECK(decider_fold(d, STR("bank.renamed"), 3, buf_view(&data), actor(), &err));
  CHECK(admit("Renamed", "{\"title\": \"y\"}", 2));
  CHECK(decider_fold(d, STR("bank.renamed"), 3, buf_view(&data), actor(), &err));
  Str old = STR("\xd9\x9c\x4b\x84\x6c" "bank.renamed\x01\x62to\x61z");
  CHECK(decider_fold(d, STR("bank.renamed"), 1, old, actor(), &err));
  CHECK_STR(state(), STR("{\"account_id\":null,\"balance\":0,\"status\":\"new\",\"notes\":[\"z ann\"],\"seen\":{}}"));
  Buf value = {0}, name = {0};
  CHECK(decider_view(d, compiled.bundle.views[0].fn, STR("\x81\x05"), &value, &no));
  CHECK_STR(buf_view(&value), STR("\x05"));
  buf_clear(&value);
  CHECK(decider_view(d, compiled.bundle.views[0].fn, (Str){0}, &value, &no));
  CHECK(decider_view(d, compiled.bundle.views[0].fn, STR("\x81\xd9\x9c\x53\xf6"), &value, &no)); /* left out */
  CHECK_STR(buf_view(&value), STR("\x00\x00"));
  CHECK(admit("OpenAccount", "{\"account_id\": \"a\"}", 1));
  CHECK(decider_identity(d, &compiled.bundle.routes[0], buf_view(&data), &name, &no));
  CHECK_STR(buf_view(&name), STR("a"));
  buf_deinit(&value), buf_deinit(&name);
  end();
}

/* A state that was saved by other code: fields by name. */
static void test_new_state(void) {
  Buf kept = {0};
  CHECK(begin("agent A:\n  state { one: 1, two: [2], gone: 3 }\n  decide Go(n): emit Gone(n: n)\n"
              "  evolve Gone(n): two.push(n)\n"));
  if (!d) return;
  CHECK(decided("Go", "{\"n\": 5}") && decider_save(d, &kept));
  end();
  CHECK(begin("agent A:\n  state { three: {x: 1}, two: [], one }\n  decide Go(n): emit Gone(n: n)\n"
              "  evolve Gone(n):\n    two.push(n)\n    three.x += n\n"));
  if (!d) return;
  CHECK(decider_load(d, 0, buf_view(&kept), &err));
  CHECK_STR(state(), STR("{\"three\":{\"x\":1},\"two\":[2,5],\"one\":1}"));
  CHECK(decided("Go", "{\"n\": 6}"));
  CHECK_STR(state(), STR("{\"three\":{\"x\":7},\"two\":[2,5,6],\"one\":1}"));
  CHECK(decider_load(d, 0, (Str){0}, &err));
  CHECK_STR(state(), STR("{\"three\":{\"x\":1},\"two\":[],\"one\":null}"));
  buf_deinit(&kept);
  end();
}

int main(void) {
  RUN_TEST(test_account);
  RUN_TEST(test_taken_back);
  RUN_TEST(test_messages);
  RUN_TEST(test_new_state);
  return TEST_END();
}
