/* Calls of models, budgets, approvals and fits, as one run asks for them. Where the language has no words for an effect
** yet to be called by, a function of that name stands in: its one effect is changed into that kind. */
#include "attempts_world.h"
#include "damage.h"
#include "vm/core/heap.h"
#include "vm/run/conversation.h"

/* ---- effects by other names ---- */

static const struct { const char *fn; uint8_t was, kind; } stand_ins[] = {
    {"approval", EFFECT_RECALL, EFFECT_APPROVE}, {"budget_open", EFFECT_MODEL, EFFECT_BUDGET},
    {"budget_close", EFFECT_BUDGET_LEFT, EFFECT_BUDGET_END}, {"fitted", EFFECT_MODEL, EFFECT_FIT}};
#define STAND_INS                                                        \
  "fn approval(q: any, w: any, a: any) -> any: return agent.recall(q, w, a)\n"  \
  "fn budget_open(limits: any) -> any: return model.ask(limits)\n"              \
  "fn budget_close(): return budget.left()\n"                            \
  "fn fitted(v: any) -> any: return model.ask(v)\n"

static uint32_t shape_named(const Bundle *b, const char *name) {
  for (uint32_t i = 0; i < b->shape_count; i++)
    if (str_equal(bundle_text(b, b->shapes[i].name), str_of(name))) return i;
  return 0;
}

static void stand_in(Bundle *b, BundleSite *site, uint32_t *operand) {
  Str fn = bundle_text(b, b->fns[site->fn].name);
  for (uint32_t i = 0; i < COUNT_OF(stand_ins); i++) {
    if (site->kind != stand_ins[i].was || !str_equal(fn, str_of(stand_ins[i].fn))) continue;
    site->kind = stand_ins[i].kind;
    *operand = site->kind == EFFECT_FIT ? shape_named(b, "Verdict") : 0;
  }
}

static void patch(Bundle *b) {
  for (uint32_t at = 0; at < b->code_count; at += op_info[b->code[at] & 0xff].words) {
    if ((b->code[at] & 0xff) == OP_EFFECT) stand_in(b, &b->sites[b->code[at + 1]], &b->code[at + 2]);
  }
}

/* ---- looking ---- */

/* A field of the first open request whose kind and effect are these, as JSON in w->said. */
static Str open_part(World *w, EffectKind effect, bool scopes) {
  RunOutput out = {0};
  Err ignored;
  run_open_requests(w->run, &out);
  buf_clear(&w->said);
  for (uint32_t i = 0; i < out.count && w->said.size == 0; i++) {
    const Request *r = &out.requests[i];
    Str bytes = scopes ? r->scopes : r->operands;
    if (r->effect == effect && bytes.size) CHECK(cbor_to_json(bytes, &w->said, &ignored));
  }
  run_output_deinit(&out);
  return buf_view(&w->said);
}

static Str waits(World *w) {
  buf_clear(&w->said);
  run_waits(w->run, &w->said);
  return buf_view(&w->said);
}

typedef struct Reading {
  Conversation *c;
  Buf calls; /* as JSON, a line each */
} Reading;

static bool reading_row(void *context, const LogRow *row) {
  Reading *reading = context;
  Str rest = row->bytes;
  Err err;
  while (rest.size > 0) {
    size_t size = 0;
    int shift = 0;
    do size |= (size_t)((uint8_t)*rest.at & 0x7f) << shift, shift += 7;
    while ((uint8_t)(rest.size--, *rest.at++) & 0x80);
    Record r;
    Buf call = {0};
    if (!record_decode((Str){rest.at, size}, &r, &err)) return false;
    rest.at += size;
    rest.size -= size;
    Record_ANSWERED a = r.ANSWERED;
    if (r.kind == RECORD_ANSWERED) conversation_answered(reading->c, a.ref, a.outcome, a.value);
    if (r.kind == RECORD_ASKED && r.ASKED.kind == EFFECT_MODEL) {
      CHECK(conversation_asked(reading->c, r.seq, r.ASKED.operands, &call, &err));
      CHECK(cbor_to_json(buf_view(&call), &reading->calls, &err));
      buf_byte(&reading->calls, '\n');
    }
    buf_deinit(&call);
  }
  return true;
}

/* All calls on record, expanded, in w->said. */
static Str calls_read(World *w) {
  Reading reading = {.c = conversation_new()};
  Err err;
  CHECK(store_log_each(w->store, 1, reading_row, &reading, &err));
  buf_clear(&w->said);
  buf_str(&w->said, buf_view(&reading.calls));
  buf_deinit(&reading.calls);
  conversation_free(reading.c);
  return buf_view(&w->said);
}

/* ---- calls ---- */

#define WORKER "worker W(n: any):\n  max_attempts 3 backoff 1s..4s\n  perform(job):\n"
#define TALK                                                                                          \
  "fn ask(messages: any):\n"                                                                          \
  "  system = text.repeat(\"s\", 100)\n"                                                              \
  "  return model.ask({model: \"fast\", provider: \"offline\", name: \"m\", system, messages})\n"
#define TEXT(t) "{\"text\": \"" t "\", \"calls\": [], \"stop\": \"end\"}"

static const char talk[] = TALK WORKER
    "    messages = [{role: \"user\", content: \"one\"}]\n"
    "    r = ask(messages)\n"
    "    messages.push({role: \"assistant\", content: r.text})\n"
    "    messages.push({role: \"user\", content: \"two\"})\n"
    "    r = ask(messages)\n"
    "    if http.get(\"http://x\").json.n == 0: raise \"later\"\n"
    "    messages.push({role: \"assistant\", content: r.text})\n"
    "    messages.push({role: \"user\", content: \"three\"})\n"
    "    return ask(messages).text\n";

static void test_deltas(void) {
  World w;
  NEED(world_start(&w, talk));
  CHECK_STR(left(&w), STR("ask model fast k1\n"));
  CHECK(!run_parked(w.run) && run_parkable(w.run));
  CHECK_STR(waits(&w), STR("#1 model fast (offline m)\n"));
  answer(&w, "model", "ok", TEXT("hi"));
  CHECK(records(&w, "ASKED") == 2);
  CHECK_HAS(buf_view(&w.said), "\"target\":\"fast\"");
  CHECK_HAS(buf_view(&w.said), "\"system\":{\"known\":\"");
  CHECK_HAS(buf_view(&w.said), "\"new\":[{\"role\":\"user\",\"content\":\"two\"}]}");
  CHECK_HAS(open_part(&w, EFFECT_MODEL, false),
            "\"messages\":[{\"role\":\"user\",\"content\":\"one\"},{\"role\":\"assistant\",\"content\":\"hi\"},"
            "{\"role\":\"user\",\"content\":\"two\"}]}]");
  answer(&w, "model", "ok", TEXT("ho"));
  answer(&w, "GET", "ok", "{\"json\": {\"n\": 0}}");
  CHECK(world_deliver(&w, (Record){.kind = RECORD_CANCEL_ASKED, .CANCEL_ASKED = {.why = STR("enough")}}));
  CHECK(w.over);
  world_end(&w);
}

/* Another attempt: calls that were confirmed are recalled, the next one goes on from what they left on record. */
static void test_recalled(void) {
  World w;
  NEED(world_start(&w, talk));
  answer(&w, "model", "ok", TEXT("hi"));
  answer(&w, "model", "ok", TEXT("ho"));
  answer(&w, "GET", "ok", "{\"json\": {\"n\": 0}}");
  ring(&w);
  CHECK(records(&w, "RECALLED") == 2);
  answer(&w, "GET", "ok", "{\"json\": {\"n\": 1}}");
  CHECK(records(&w, "ASKED") > 3);
  CHECK_HAS(buf_view(&w.said), "\"new\":[{\"role\":\"user\",\"content\":\"three\"}]}");
  answer(&w, "model", "ok", TEXT("hm"));
  CHECK_STR(ending(&w), STR("done \"hm\""));
  Str read = calls_read(&w);
  CHECK_HAS(read, "{\"role\":\"assistant\",\"content\":\"ho\"},{\"role\":\"user\",\"content\":\"three\"}]}\n");
  CHECK(memmem(read.at, read.size, "known", 5) == NULL);
  world_end(&w);
}

/* What an attempt asks differently is stuck if it was confirmed, and simply asked if it was not. */
static void test_other_operands(void) {
  World w;
  const char *source = TALK WORKER
      "    n = http.get(\"http://x\").json.n\n    r = ask([n])\n    if r.text is \"again\": raise \"again\"\n"
      "    return r.text\n";
  NEED(world_start(&w, source));
  answer(&w, "GET", "ok", "{\"json\": {\"n\": 1}}");
  answer(&w, "model", "unknown", "null");
  CHECK_HAS(left(&w), "turn 2 model_network: ");
  ring(&w);
  answer(&w, "GET", "ok", "{\"json\": {\"n\": 2}}");
  answer(&w, "model", "ok", TEXT("again"));
  ring(&w);
  answer(&w, "GET", "ok", "{\"json\": {\"n\": 3}}");
  CHECK_HAS(ending(&w), "stuck {\"code\":\"operand_changed\"");
  world_end(&w);
}

/* A lost reply is an error like another, in a tool's body too; a line of the record is not dealing with it. */
static void test_errors(void) {
  World w;
  NEED(world_start(&w, TALK
                   "tool Think(n: int) -> any:\n  effect irreversible\n  max_attempts 1\n"
                   "  perform:\n    r = try ask([n])\n    http.post(\"http://x/pay\", json: {n})\n"
                   "    return [r.ok, r.error?.code, r.error?.data?.class]\n" WORKER
                   "    a = try ask([1])\n"
                   "    agent.note(\"failed\", a.error.code)\n"
                   "    b = try ask([2])\n"
                   "    c = Think(3)\n"
                   "    return [a.error.code, a.error.data.class, b.error.code, c]\n"));
  answer(&w, "model", "unknown", "null");
  answer(&w, "model", "error", "model_overloaded");
  CHECK_STR(left(&w), STR("ask model fast k1\nask model fast k4\nask model fast k7\n"));
  answer(&w, "model", "interrupted", "null");
  CHECK_STR(left(&w), STR("ask http POST k6\n")); /* the tool's own key is for what the tool does */
  answer(&w, "POST", "ok", "{\"status\": 200}");
  CHECK_STR(ending(&w), STR("done [\"model_network\",\"unknown\",\"model_overloaded\","
                            "[false,\"model_network\",\"unknown\"]]"));
  world_end(&w);
}

static void test_bad_calls(void) {
  World w;
  NEED(world_start(&w, WORKER
                   "    x = job.n\n    a = try model.ask({messages: x})\n"
                   "    b = try agent.recall(\"A\", \"c\", -x)\n"
                   "    return [a.error.code, b.error.code]\n"));
  CHECK_STR(ending(&w), STR("done [\"bad_value\",\"type_mismatch\"]"));
  world_end(&w);
}

static void test_timeout(void) {
  World w;
  RunOutput out = {0};
  NEED(world_start(&w, WORKER "    return model.ask({model: \"m\", messages: [], timeout: 90s}).text\n"));
  run_open_requests(w.run, &out);
  CHECK(out.count == 1 && out.requests[0].timeout_us == 90000000);
  CHECK(out.requests[0].effect_class == CLASS_REVERSIBLE && out.requests[0].scopes.size == 0);
  run_output_deinit(&out);
  world_end(&w);
}

/* ---- generations ---- */

/* The journal goes on, and so does what is known. */
static void test_generations(void) {
  World w;
  Err err;
  NEED(world_compile(&w, TALK "workflow Talk(n: int, list: any):\n  r = ask(list)\n"
                         "  if n > 0: return r.text\n  continue_as_new(1, list)\n"));
  NEED(world_begin_with(&w, "Talk", STR("\x82\x00\x81\x61x"), &err));
  answer(&w, "model", "ok", TEXT("hi"));
  CHECK(records(&w, "ASKED") == 2);
  CHECK_HAS(buf_view(&w.said), "\"new\":[]}");
  answer(&w, "model", "ok", TEXT("ho"));
  CHECK_STR(ending(&w), STR("done \"ho\""));
  world_end(&w);
}

/* ---- budgets ---- */

static void test_scopes(void) {
  World w;
  NEED(world_start(&w, STAND_INS TALK
                   "workflow Leaf(n: int): return n\n"
                   "tool Think(n: int) -> any:\n  effect reversible\n  max_attempts 2 backoff 1s..1s\n"
                   "  perform:\n    budget_open({calls: n})\n    ask([n])\n    budget_close()\n"
                   "    budget_close()\n    return http.post(\"http://x\", json: {n}).json.n\n" WORKER
                   "    budget_open({usd: 0.5, tokens: 9})\n"
                   "    ask([1])\n"
                   "    parallel:\n"
                   "      budget_open({usd: 1})\n"
                   "      budget_close()\n"
                   "    Think(7)\n"
                   "    l = Leaf(1)\n"
                   "    budget_close()\n"
                   "    budget_close()\n"
                   "    return ask([l]).text\n"));
  CHECK_HAS(open_part(&w, EFFECT_MODEL, true), ",1,{\"usd\":0.5,\"tokens\":9}]]");
  answer(&w, "model", "ok", TEXT("hi"));
  CHECK_HAS(open_part(&w, EFFECT_MODEL, true), ",1,{\"usd\":0.5,\"tokens\":9}],[");
  CHECK_HAS(buf_view(&w.said), ",{\"calls\":7}]]");
  answer(&w, "model", "ok", TEXT("hi"));
  answer(&w, "POST", "unknown", "null"); /* the body is abandoned, and tried again */
  ring(&w);
  Str scopes = open_part(&w, EFFECT_MODEL, true);
  CHECK_HAS(scopes, "{\"calls\":7}]]");
  const char *first = memmem(scopes.at, scopes.size, "calls", 5);
  CHECK(first && !memmem(first + 5, scopes.size - (size_t)(first + 5 - scopes.at), "calls", 5));
  answer(&w, "model", "ok", TEXT("hi"));
  answer(&w, "POST", "ok", "{\"status\": 200, \"json\": {\"n\": 1}}");
  CHECK_HAS(open_part(&w, EFFECT_RUN_CALL, true), ",1,{\"usd\":0.5,\"tokens\":9}]]"); /* the start, a send */
  answer(&w, "await Leaf", "ok", "2");
  CHECK_STR(open_part(&w, EFFECT_MODEL, true), STR(""));
  answer(&w, "model", "ok", TEXT("over"));
  CHECK_STR(ending(&w), STR("done \"over\""));
  world_end(&w);
}

static void test_branch_scopes(void) {
  World w;
  NEED(world_start(&w, STAND_INS TALK WORKER
                   "    budget_open({})\n"
                   "    parallel for i in [1, 2]:\n"
                   "      budget_close()\n"
                   "      budget_open({calls: i})\n"
                   "      ask([i])\n"
                   "    left = budget.left()\n"
                   "    return left.calls\n"));
  CHECK_HAS(open_part(&w, EFFECT_MODEL, true), ",1,{}],[");
  answer(&w, "model", "ok", TEXT("hi"));
  CHECK_HAS(open_part(&w, EFFECT_MODEL, true), "{\"calls\":2}]]");
  answer(&w, "model", "ok", TEXT("hi"));
  CHECK_HAS(open_part(&w, EFFECT_BUDGET_LEFT, true), ",1,{}]]");
  answer(&w, "budget.left", "ok", "{\"calls\": 4}");
  CHECK_STR(ending(&w), STR("done 4"));
  world_end(&w);
}

/* Each attempt is under the budget that the first one opened. */
static void test_budget_attempts(void) {
  World w;
  NEED(world_start(&w, STAND_INS TALK WORKER
                   "    budget_open({calls: 5})\n    print(\"x\")\n"
                   "    return ask([http.get(\"http://x\").json.n]).text\n"));
  answer(&w, "GET", "error", "http_failed");
  ring(&w);
  answer(&w, "GET", "ok", "{\"json\": {\"n\": 1}}");
  CHECK_HAS(open_part(&w, EFFECT_MODEL, true), ",1,{\"calls\":5}]]");
  CHECK(records(&w, "ASKED") == 6);
  world_end(&w);
}

static void test_bad_budgets(void) {
  World w;
  NEED(world_start(&w, STAND_INS WORKER
                   "    codes = []\n"
                   "    for l in [{usd: -1}, {tokens: 1.5}, {calls: \"3\"}, {euro: 3}, 5, {usd: math.nan},\n"
                   "              {calls: -1}]:\n"
                   "      codes.push((try budget_open(l)).error.code)\n"
                   "    deep = 0\n"
                   "    while (try budget_open({usd: 1.0d, calls: nil})).ok: deep = deep + 1\n"
                   "    return [codes.unique(), deep]\n"));
  CHECK_STR(ending(&w), STR("done [[\"bad_value\"],64]"));
  world_end(&w);
}

/* What a child begins with comes before its own. */
static void test_head_scopes(void) {
  World w;
  Buf config = {0};
  Uuid parent = {{7}};
  Err err;
  NEED(world_compile(&w, STAND_INS TALK "workflow Child():\n  budget_open({calls: 1})\n  return ask([1]).text\n"));
  cbor_put_tag(&config, CBOR_TAG_MAP);
  cbor_put_array(&config, 2);
  cbor_put_text(&config, STR("budget()"));
  cbor_put_array(&config, 1);
  cbor_put_array(&config, 3);
  cbor_put_bytes(&config, (Str){(const char *)parent.byte, 16});
  cbor_put_uint(&config, 44);
  CHECK(cbor_from_json(STR("{\"usd\": 3}"), &config, &err));
  RunHead head = {.id = uuid_v7(w.now, parent.byte), .entry = STR("Child"), .input = STR("\x80"),
                  .config = buf_view(&config), .at_us = w.now, .tenant = STR("default")};
  Journal *journal = journal_new(tenant);
  NEED(run_begin(w.program, &w.host, journal, &head, &w.run, &err));
  world_go(&w);
  CHECK_HAS(open_part(&w, EFFECT_MODEL, true), ",44,{\"usd\":3}],[");
  CHECK_HAS(buf_view(&w.said), ",1,{\"calls\":1}]]");
  buf_deinit(&config);
  world_end(&w);
}

/* ---- approvals ---- */

#define REFUND                                                                                        \
  STAND_INS "type Args: amount: int, to: string\n"                                                    \
  "tool Refund(amount: int, to: string) -> any:\n  effect irreversible\n"                             \
  "  perform: return http.post(\"http://x\", json: {amount, to}).json.n\n"
#define ASKS                                                                                          \
  "    d = approval(\"Refund ${job.n}\\nnow?\", 8h, Args(amount: job.n, to: \"ada\"))\n"              \
  "    if d is nil: return \"too late\"\n"                                                            \
  "    agent.note(\"decided\", d.verdict)\n"                                                          \
  "    if d.verdict is \"denied\": return d.why\n"                                                    \
  "    Refund(d.arguments.amount, d.arguments.to)\n"

/* A decision as it is delivered. type: of the record; amount: text or a number. */
static void decision(Buf *out, const char *verdict, const char *type, int64_t amount, const char *text) {
  buf_clear(out);
  cbor_put_tag(out, CBOR_TAG_MAP);
  cbor_put_array(out, 6);
  cbor_put_text(out, STR("verdict"));
  cbor_put_text(out, str_of(verdict));
  cbor_put_text(out, STR("why"));
  cbor_put_text(out, STR("no money"));
  cbor_put_text(out, STR("arguments"));
  cbor_put_tag(out, CBOR_TAG_RECORD);
  cbor_put_array(out, 6);
  cbor_put_text(out, str_of(type));
  cbor_put_uint(out, 1);
  cbor_put_text(out, STR("amount"));
  if (text) cbor_put_text(out, str_of(text));
  else cbor_put_int(out, amount);
  cbor_put_text(out, STR("to"));
  cbor_put_text(out, STR("ada"));
}

static bool decide(World *w, uint64_t seq, const char *verdict, const char *type, int64_t amount, const char *text) {
  Buf value = {0};
  decision(&value, verdict, type, amount, text);
  bool ok = world_deliver(w, (Record){.kind = RECORD_ANSWERED,
                                      .ANSWERED = {.ref = seq, .outcome = STR("ok"), .value = buf_view(&value)}});
  buf_deinit(&value);
  if (ok) open_remove(w, seq);
  return ok;
}

static void test_approved(void) {
  World w;
  NEED(world_start(&w, REFUND WORKER ASKS "    return \"done\"\n"));
  CHECK_STR(left(&w), STR("approval Refund k1\n"));
  CHECK(run_parked(w.run) && run_dormant(w.run) && run_parkable(w.run));
  CHECK(run_wake_us(w.run) > w.now + INT64_C(7) * 3600 * 1000000);
  CHECK_HAS(waits(&w), "#1 approval of Refund: Refund 1 now? (until 2023-11-15T");
  CHECK(!decide(&w, 1, "approved", "Args", 2, NULL));
  CHECK_STR(buf_view(&w.said), STR("the approved arguments are not those that were asked about"));
  CHECK(!decide(&w, 1, "edited", "Args", 0, "many"));
  CHECK_STR(buf_view(&w.said),
            STR("the arguments do not fit: `amount` of Args must be int, and this is string \"many\""));
  CHECK(!decide(&w, 1, "edited", "Other", 2, NULL));
  CHECK(!decide(&w, 1, "denied", "Other", 2, NULL));
  CHECK(!decide(&w, 1, "maybe", "Args", 1, NULL));
  CHECK_STR(buf_view(&w.said), STR("a decision is approved, denied or edited"));
  CHECK(records(&w, "ANSWERED") == 0);
  CHECK(decide(&w, 1, "approved", "Args", 1, NULL));
  CHECK_HAS(left(&w), "drop approve\nask http POST k");
  CHECK(!decide(&w, 1, "approved", "Args", 1, NULL)); /* it is decided */
  answer(&w, "POST", "ok", "{\"json\": {\"n\": 1}}");
  CHECK_STR(ending(&w), STR("done \"done\""));
  world_end(&w);
}

static void test_edited_and_denied(void) {
  World w;
  NEED(world_start(&w, REFUND WORKER ASKS ASKS "    return \"done\"\n"));
  CHECK(decide(&w, 1, "edited", "Args", 2, NULL));
  answer(&w, "POST", "ok", "{\"json\": {\"n\": 1}}");
  (void)records(&w, "ASKED");
  CHECK_HAS(buf_view(&w.said), "\"operands\":[2,\"ada\"]");
  Open *o = open_find(&w, "approval");
  NEED(o != NULL);
  CHECK(decide(&w, o->seq, "denied", "Args", 1, NULL));
  CHECK_STR(ending(&w), STR("done \"no money\""));
  world_end(&w);
}

/* Its time is over; or it has none, and then only a decision will do. */
static void test_approval_time(void) {
  World w;
  NEED(world_start(&w, REFUND WORKER ASKS "    return 1\n"));
  w.now = open_find(&w, "approval")->due_us;
  answer(&w, "approval", "ok", "null");
  CHECK_STR(ending(&w), STR("done \"too late\""));
  world_end(&w);
  NEED(world_start(&w, REFUND WORKER "    return approval(\"?\", nil, Args(amount: 1, to: \"b\"))\n"));
  CHECK(run_wake_us(w.run) == 0);
  CHECK(!world_deliver(&w, (Record){.kind = RECORD_ANSWERED,
                                    .ANSWERED = {.ref = 1, .outcome = STR("ok"), .value = STR("\xf6")}}));
  (void)left(&w);
  CHECK(world_deliver(&w, (Record){.kind = RECORD_KILLED, .KILLED = {.why = STR("512 MB")}}));
  CHECK_HAS(left(&w), "drop approve\n");
  world_end(&w);
}

/* A decision holds for all attempts; one that is not wanted any more is taken back. */
static void test_approval_attempts(void) {
  World w;
  NEED(world_start(&w, REFUND
                   "worker W(n: any):\n  max_attempts 3 backoff 1s..1s\n  timeout 9h\n  perform(job):\n" ASKS
                   "    raise \"oops\"\n"));
  CHECK(decide(&w, open_find(&w, "approval")->seq, "approved", "Args", 1, NULL));
  answer(&w, "POST", "ok", "{\"json\": {\"n\": 1}}");
  (void)left(&w);
  ring(&w);
  CHECK(records(&w, "RECALLED") == 3); /* decision, note, refund */
  Str line = left(&w);
  CHECK(memmem(line.at, line.size, "approval", 8) == NULL);
  world_end(&w);
  NEED(world_start(&w, REFUND WORKER ASKS "    return 1\n"));
  (void)left(&w);
  CHECK(world_deliver(&w, (Record){.kind = RECORD_CANCEL_ASKED, .CANCEL_ASKED = {.why = STR("enough")}}));
  CHECK_HAS(left(&w), "drop approve\n");
  world_end(&w);
}

/* However small the slice: what is decided is on record with what comes of it. */
static void test_one_commit(void) {
  World w;
  RunOutput out = {0};
  Buf value = {0};
  Err err;
  LogRow row = {.run = 1};
  StoreGroup group = {0};
  NEED(world_start(&w, REFUND WORKER
                   "    parallel:\n"
                   "      for i in [1, 2, 3]:\n        try model.ask({messages: []})\n        Refund(i, \"bob\")\n"
                   "      if job.n == 1:\n        d = approval(\"?\", 8h, Args(amount: 1, to: \"ada\"))\n"
                   "        for i in range(2000): x = i + 1\n"
                   "        agent.note(\"decided\", d.verdict)\n"
                   "        Refund(d.arguments.amount, d.arguments.to)\n"
                   "    return 1\n"));
  Open *o = open_find(&w, "approval");
  NEED(o != NULL);
  decision(&value, "approved", "Args", 1, NULL);
  Record event = {.kind = RECORD_ANSWERED,
                  .ANSWERED = {.ref = o->seq, .outcome = STR("ok"), .value = buf_view(&value)}};
  NEED(run_deliver(w.run, &event, &err));
  (void)run_step(w.run, 1, &out);
  CHECK(journal_take(run_journal(w.run), &row, &group));
  CHECK(memmem(row.bytes.at, row.bytes.size, "approved", 8) && memmem(row.bytes.at, row.bytes.size, "decided", 7));
  CHECK(memmem(row.bytes.at, row.bytes.size, "\x66Refund", 7) != NULL); /* the target of the intent */
  CHECK(out.count >= 1 && out.requests[0].kind == REQUEST_DROP && out.requests[0].seq == event.ANSWERED.ref);
  store_group_deinit(&group);
  run_output_deinit(&out);
  buf_deinit(&value);
  world_end(&w);
}

/* ---- fits ---- */

static void test_fit(void) {
  World w;
  NEED(world_start(&w, STAND_INS
                   "type Part: name: string\n"
                   "type Verdict: label: string, score: float = 0.5 where score <= 1, at: time?, cost: decimal = 1.0d, "
                   "parts: list[Part] = []\n" WORKER
                   "    a = fitted({label: \"x\", cost: 2.5, at: \"2026-01-02T00:00:00Z\", parts: [{name: \"p\"}]})\n"
                   "    b = fitted({label: \"y\"})\n"
                   "    c = fitted(b)\n"
                   "    said = []\n"
                   "    for v in [{label: 1}, {}, {label: \"x\", score: 2}, {label: \"x\", oops: 1}, 5,\n"
                   "              {label: \"x\", parts: [{name: \"p\"}, {name: 3}]},\n"
                   "              {label: \"x\", parts: [{name: \"p\"}, 5]}]:\n"
                   "      e = (try fitted(v)).error\n"
                   "      said.push(e.message)\n"
                   "    return [\"${a.at}\", a.cost, a.parts[0].name, b.score, c == b, said]\n"));
  CHECK_HAS(ending(&w), "done [\"2026-01-02T00:00:00Z\",2.5,\"p\",0.5,true,[");
  CHECK_HAS(ending(&w), "\"`parts[1]` of Verdict: `name` of Part must be string, and this is int 3\"");
  CHECK_HAS(ending(&w), "\"`parts[1]` of Verdict must be Part, and this is int 5\"");
  CHECK_HAS(ending(&w), "\"Verdict: score = 2 does not satisfy: score <= 1\"");
  CHECK(records(&w, "ASKED") == 0);
  world_end(&w);
}

/* No record, so no new fuel; and what the constructor takes is the run's own. */
static void test_fit_fuel(void) {
  World w;
  NEED(world_start(&w, STAND_INS
                   "type Verdict: n: int where slow(n)\n"
                   "fn slow(n: int) -> bool:\n  sum = 0\n  for i in range(100000): sum = sum + i\n"
                   "  return sum > n\n" WORKER
                   "    print(\"here\")\n    for i in range(10): fitted({n: 1})\n    await signal go\n"));
  const Machine *m = run_machine(w.run);
  CHECK(m->ticks > 1000000 && m->ticks < 10000000);
  CHECK(records(&w, "ASKED") == 2);
  world_end(&w);
}

/* What is refused leaves no trace: the ticks of looking at it are nobody's. */
static void test_refused_untraced(void) {
  World w;
  NEED(world_start(&w, STAND_INS
                   "type Args: amount: int where slow(amount), to: string\n"
                   "type Verdict: n: int where n < 5\n"
                   "fn slow(n: int) -> bool:\n  sum = 0\n  for i in range(10000): sum = sum + i\n"
                   "  return n < 100\n"
                   "tool Refund(amount: int, to: string) -> any:\n  effect irreversible\n"
                   "  perform: return http.post(\"http://x\", json: {amount, to}).json.n\n" WORKER
                   "    approval(\"?\", 8h, Args(amount: 1, to: \"ada\"))\n    return fitted({n: 1}).n\n"));
  CHECK(!decide(&w, 1, "edited", "Args", 100, NULL));
  CHECK_HAS(buf_view(&w.said), "does not satisfy: slow(amount)");
  CHECK(!decide(&w, 1, "edited", "Args", 200, NULL));
  CHECK(decide(&w, 1, "edited", "Args", 99, NULL));
  CHECK_STR(ending(&w), STR("done 1"));
  world_end(&w);
}

/* ---- images ---- */

static void test_damaged_images(void) {
  World w;
  NEED(world_start(&w, REFUND TALK WORKER
                   "    budget_open({usd: 1})\n"
                   "    parallel:\n      ask([1])\n"
                   "      if job.n == 1:\n        budget_open({calls: 2})\n"
                   "        approval(\"?\", 8h, Args(amount: 1, to: \"a\"))\n"
                   "    return 1\n"));
  CHECK(damage_each(&w) > 50);
  world_end(&w);
}

int main(void) {
  world_patch = patch;
  RUN_TEST(test_deltas);
  RUN_TEST(test_recalled);
  RUN_TEST(test_other_operands);
  RUN_TEST(test_errors);
  RUN_TEST(test_bad_calls);
  RUN_TEST(test_timeout);
  RUN_TEST(test_generations);
  RUN_TEST(test_scopes);
  RUN_TEST(test_branch_scopes);
  RUN_TEST(test_budget_attempts);
  RUN_TEST(test_bad_budgets);
  RUN_TEST(test_head_scopes);
  RUN_TEST(test_approved);
  RUN_TEST(test_edited_and_denied);
  RUN_TEST(test_approval_time);
  RUN_TEST(test_approval_attempts);
  RUN_TEST(test_one_commit);
  RUN_TEST(test_fit);
  RUN_TEST(test_fit_fuel);
  RUN_TEST(test_refused_untraced);
  RUN_TEST(test_damaged_images);
  return TEST_END();
}
