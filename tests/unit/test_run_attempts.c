/* The attempts of jobs: what is done again and what is not, under which key, and how they end. */
#include "attempts_world.h"
#include "damage.h"

#define TOOLS                                                                                              \
  "tool Pay(n: int) -> int:\n  effect irreversible\n  max_attempts 1\n"                                    \
  "  perform: return http.post(\"http://x/pay\", json: {n}).json.n\n"                                      \
  "  check:\n    r = http.get(\"http://x/paid/${key}\")\n    if r.status is 404: return absent\n"          \
  "    return confirmed r.json.n\n"                                                                        \
  "tool Add(n: int) -> int:\n  effect reversible\n  max_attempts 1\n"                                      \
  "  perform:\n    r = http.post(\"http://x/add\", json: {n})\n    if r.status is 402: raise \"no\"\n"     \
  "    return r.json.n\n"                                                                                  \
  "tool Look(n: int) -> int:\n  effect read\n  max_attempts 1\n"                                           \
  "  perform: return http.get(\"http://x/look\").json.n\n"                                                 \
  "workflow Leaf(n: int): return n\n"
#define WORKER "worker W(n: any):\n  max_attempts 3 backoff 1s..4s\n  perform(job):\n"
#define REPLY(n) "{\"status\": 200, \"json\": {\"n\": " #n "}}"

/* ---- what is recalled ---- */

static void test_recalled(void) {
  World w;
  NEED(world_start(&w, TOOLS WORKER
                   "    print(\"begin\")\n"
                   "    a = Pay(job.n)\n"
                   "    b = Look(a)\n"
                   "    if b == 0: raise \"not yet\"\n"
                   "    return a + b\n"));
  CHECK_STR(left(&w), STR("print begin\nask http POST k2\n"));
  answer(&w, "http POST", "ok", REPLY(6));
  CHECK_STR(left(&w), STR("ask http GET k6\n")); /* the tool's own key, as it is the first thing it sends */
  answer(&w, "http GET", "ok", REPLY(0));
  CHECK_STR(left(&w), STR("turn 2 not yet: not yet\n"));
  CHECK(run_parked(w.run) && run_dormant(w.run));
  ring(&w);
  CHECK_HAS(left(&w), "ask http GET k"); /* read anew; nothing printed, nothing paid */
  CHECK(records(&w, "RECALLED") == 2);
  CHECK_HAS(buf_view(&w.said), "\"kind\":\"tool\"");
  answer(&w, "http GET", "ok", REPLY(1));
  CHECK_STR(ending(&w), STR("done 7"));
  CHECK(w.over && records(&w, "RETRIED") == 1);
  world_end(&w);
}

/* Every kind of command that leaves a trace is done once; what reads is made anew. */
static void test_each_kind(void) {
  World w;
  NEED(world_start(&w, TOOLS
                   "command Open(id: string)\nevent Opened(id: string)\n"
                   "agent Account:\n  state { id }\n  decide Open(cmd): emit Opened(id: cmd.id)\n"
                   "  evolve Opened(e): id = e.id\n  view name(): return id\n"
                   "router App:\n  identify Account by id\n  dispatch Open -> Account\n"
                   "worker Other(n: int):\n  perform(job): return 1\n" WORKER
                   "    log(\"a line\")\n"
                   "    r = http.post(\"http://x/raw\", json: {a: 1})\n"
                   "    file.write(\"/tmp/x\", \"y\")\n"
                   "    dispatch Open(id: \"A\")\n"
                   "    enqueue Other(n: 1)\n"
                   "    c = start Leaf(1)\n"
                   "    d = Leaf(2)\n"
                   "    sleep 5s\n"
                   "    s = await signal go\n"
                   "    signal ready(1) to c\n"
                   "    cancel c\n"
                   "    v = Account(\"A\").name()\n"
                   "    now()\n"
                   "    random(1000000)\n"
                   "    e = env(\"HOME\")\n"
                   "    n = http.get(\"http://x/ready\").json.n\n"
                   "    if n == 0: raise \"later\"\n"
                   "    return [r.status, d, s, v, n, e]\n"));
  answer(&w, "http POST", "ok", "{\"status\": 201}");
  answer(&w, "file.write", "ok", "null");
  answer(&w, "dispatch Open", "ok", "{\"reply\": null, \"version\": 1, \"events\": []}");
  answer(&w, "enqueue Other", "ok", "\"not a handle, and nobody minds\"");
  answer(&w, "await Leaf", "ok", "2");
  ring(&w);
  CHECK(world_deliver(&w, (Record){.kind = RECORD_SIGNALLED,
                                   .SIGNALLED = {.name = STR("go"), .id = STR("1"), .value = STR("\x18\x2a")}}));
  answer(&w, "view Account.name", "ok", "\"Ada\"");
  (void)left(&w);
  answer(&w, "http GET", "ok", REPLY(0));
  ring(&w);
  CHECK_HAS(left(&w), "turn 2 later: later\nask view Account.name k");
  answer(&w, "view Account.name", "ok", "\"Bob\"");
  answer(&w, "http GET", "ok", REPLY(3));
  CHECK_STR(ending(&w), STR("done [201,2,42,\"Bob\",3,\"/home\"]"));
  CHECK(records(&w, "RECALLED") == 11);
  CHECK(records(&w, "READ") == 6);
  world_end(&w);
}

/* ---- keys ---- */

/* Sent, and the attempt was over before the answer: it goes out again, under its first key. */
static void test_asked_again(void) {
  World w;
  NEED(world_start(&w, TOOLS
                   "worker W(n: any):\n  max_attempts 3 backoff 1s..4s\n  timeout 30s\n  perform(job):\n"
                   "    a = Add(job.n)\n    r = http.post(\"http://x/raw\", json: {a})\n    return r.json.n\n"));
  CHECK_STR(left(&w), STR("timer 30000\nask http POST k1\n"));
  ring(&w);
  CHECK_STR(left(&w), STR("drop http\nturn 2 timeout: the attempt took longer than 30s\n"));
  CHECK_HAS((records(&w, "RETRIED"), buf_view(&w.said)), "\"why\":\"timeout\"");
  Str was = left(&w);
  (void)was;
  int64_t now = w.now;
  answer(&w, "turn", "ok", "null"); /* its turn came, whatever the clock says */
  CHECK(w.now < now + 1000000);
  CHECK_HAS(left(&w), "ask http POST k1\n");
  open_remove(&w, 2); /* the one of the first attempt is never answered */
  answer(&w, "http POST", "ok", REPLY(2));
  CHECK_HAS(left(&w), "ask http POST k");
  ring(&w);
  open_remove(&w, open_find(&w, "ask http")->seq);
  ring(&w);
  Str line = left(&w);
  CHECK_HAS(line, "turn 3");
  CHECK_HAS(line, "ask http POST k12\n"); /* the first attempt that came so far was the second */
  Open *o = open_find(&w, "ask http");
  CHECK(o != NULL && o->resend);
  world_end(&w);
}

/* The answer to what an earlier attempt sent comes late: it is on record, and known from then on. */
static void test_late_answer(void) {
  World w;
  NEED(world_start(&w,
                   "worker W(n: any):\n  max_attempts 3 backoff 1s..4s\n  timeout 30s\n"
                   "  perform(job): return http.post(\"http://x/raw\", json: {n: job.n}).json.n\n"));
  ring(&w);
  CHECK(!w.over && records(&w, "CANCELLED") == 1);
  answer(&w, "ask http POST", "ok", REPLY(9));
  CHECK(records(&w, "DISCARDED") == 1);
  ring(&w);
  CHECK_STR(ending(&w), STR("done 9"));
  world_end(&w);
}

/* A server that is busy has done nothing, or does not know: 503 is no result to be recalled. */
static void test_busy_server(void) {
  World w;
  NEED(world_start(&w, WORKER
                   "    r = http.post(\"http://x/raw\", json: {n: job.n})\n"
                   "    if r.status is not 200: raise \"status_${r.status}\"\n"
                   "    return r.json.n\n"));
  CHECK_STR(left(&w), STR("ask http POST k1\n"));
  answer(&w, "http POST", "ok", "{\"status\": 503}");
  ring(&w);
  CHECK_HAS(left(&w), "ask http POST k1\n");
  answer(&w, "http POST", "ok", "{\"status\": 409}");
  ring(&w);
  CHECK_STR(left(&w), STR("turn 3 status_409: status_409\ndead 3 status_409: status_409\n")); /* that is an answer */
  world_end(&w);
}

/* Unless the code has acted upon it: then that is how it was. */
static void test_busy_dealt_with(void) {
  World w;
  NEED(world_start(&w, TOOLS WORKER
                   "    r = http.post(\"http://x/raw\", json: {n: 1})\n"
                   "    if r.status is 503: Pay(1)\n"
                   "    return http.post(\"http://x/other\", json: {n: 1}).json.n\n"));
  answer(&w, "POST", "ok", "{\"status\": 503}");
  answer(&w, "POST", "ok", REPLY(1));
  answer(&w, "POST", "error", "http_failed");
  ring(&w);
  CHECK(records(&w, "RECALLED") == 2);
  answer(&w, "POST", "ok", REPLY(2));
  CHECK_STR(ending(&w), STR("done 2"));
  world_end(&w);
}

/* ---- errors ---- */

/* An error that ended the attempt is asked for again; one that was dealt with is not. */
static void test_errors(void) {
  World w;
  NEED(world_start(&w, TOOLS WORKER
                   "    a = try Add(1)\n"
                   "    b = 1\n    if not a.ok: b = Pay(2)\n"
                   "    return Add(3) + b\n"));
  CHECK_STR(left(&w), STR("ask http POST k1\n"));
  answer(&w, "http POST", "ok", "{\"status\": 402}");
  CHECK_STR(left(&w), STR("ask http POST k5\n"));
  answer(&w, "http POST", "ok", REPLY(20));
  answer(&w, "http POST", "ok", "{\"status\": 402}");
  CHECK_HAS(left(&w), "turn 2 no: no\n");
  ring(&w);
  CHECK_HAS(left(&w), "ask http POST k9\n"); /* Add(3) under its first key; neither Add(1) nor Pay */
  CHECK(records(&w, "RECALLED") == 2);
  answer(&w, "http POST", "ok", REPLY(30));
  CHECK_STR(ending(&w), STR("done 50"));
  world_end(&w);
}

/* Caught, said, and raised again: nothing was done about it, so it is tried again. */
static void test_error_said(void) {
  World w;
  NEED(world_start(&w, TOOLS WORKER
                   "    try: return Add(1)\n"
                   "    catch e:\n      print(\"failed\")\n      raise \"other\"\n"));
  answer(&w, "http POST", "ok", "{\"status\": 402}");
  CHECK_HAS(left(&w), "print failed\nturn 2 other: other\n");
  ring(&w);
  CHECK_STR(left(&w), STR("ask http POST k1\n"));
  answer(&w, "http POST", "ok", REPLY(7));
  CHECK_STR(ending(&w), STR("done 7"));
  world_end(&w);
}

/* The same error raised again after an act: it is still what the attempt ended with. */
static void test_error_raised_again(void) {
  World w;
  NEED(world_start(&w, TOOLS WORKER
                   "    try: return Add(1)\n"
                   "    catch e:\n      Pay(0)\n      raise e\n"));
  answer(&w, "http POST", "ok", "{\"status\": 402}");
  answer(&w, "http POST", "ok", REPLY(0));
  ring(&w);
  (void)left(&w);
  answer(&w, "http POST k1", "ok", REPLY(7));
  CHECK_STR(ending(&w), STR("done 7"));
  world_end(&w);
}

/* A branch's error belongs to who joined the branches. */
static void test_error_in_branch(void) {
  World w;
  NEED(world_start(&w, TOOLS WORKER
                   "    parallel settle:\n      a = Add(1)\n      b = Add(2)\n"
                   "    Pay(3)\n"
                   "    x = http.get(\"http://x\").json.n\n"
                   "    if x == 0: raise \"later\"\n"
                   "    return [a.ok, b.ok, x]\n"));
  answer(&w, "POST k1", "ok", "{\"status\": 402}");
  answer(&w, "POST k3", "ok", REPLY(2));
  answer(&w, "POST", "ok", REPLY(3));
  answer(&w, "GET", "ok", REPLY(0));
  ring(&w);
  (void)left(&w);
  CHECK(records(&w, "RECALLED") == 3);
  answer(&w, "GET", "ok", REPLY(1));
  CHECK_STR(ending(&w), STR("done [false,true,1]"));
  world_end(&w);
}

/* A refused command did not happen: the next attempt may ask another one. */
static void test_refused(void) {
  World w;
  NEED(world_start(&w,
                   "command Open(id: string)\nevent Opened(id: string)\n"
                   "agent Account:\n  state { id }\n  decide Open(cmd): emit Opened(id: cmd.id)\n  evolve Opened(e): id = e.id\n"
                   "router App:\n  identify Account by id\n  dispatch Open -> Account\n" WORKER
                   "    name = http.get(\"http://x\").body\n"
                   "    return (dispatch Open(id: name)).version\n"));
  answer(&w, "GET", "ok", "{\"body\": \"A\"}");
  answer(&w, "dispatch Open", "error", "taken");
  CHECK_HAS(left(&w), "turn 2 taken: taken\n");
  ring(&w);
  answer(&w, "GET", "ok", "{\"body\": \"B\"}");
  CHECK_HAS(left(&w), "ask dispatch Open k10\n"); /* another act, another key */
  answer(&w, "dispatch Open", "ok", "{\"version\": 1}");
  CHECK_STR(ending(&w), STR("done 1"));
  world_end(&w);
}

/* ---- one key, one act ---- */

static const char changing[] =
    "tool Pay(n: int, to: string) -> int:\n  effect irreversible\n"
    "  perform: return http.post(\"http://x/pay\", json: {n, to}).json.n\n" WORKER
    "    price = http.get(\"http://x/price\").json.n\n"
    "    Pay(price, \"shop\")\n"
    "    raise \"oops\"\n";

static void test_operand_changed(void) {
  World w;
  NEED(world_start(&w, changing));
  answer(&w, "GET", "ok", REPLY(5));
  answer(&w, "POST", "ok", REPLY(1));
  ring(&w);
  (void)left(&w);
  answer(&w, "GET", "ok", REPLY(6));
  CHECK(!w.over && open_find(&w, "turn") == NULL);
  CHECK_HAS(ending(&w), "stuck {\"code\":\"operand_changed\"");
  CHECK_HAS(buf_view(&w.said), "tool Pay was asked with other operands in attempt 1 (#3): operands[0] was 5 and is now 6");
  CHECK_HAS(buf_view(&w.said), "job.z8:8:");
  CHECK_HAS(left(&w), "dead 2 operand_changed: ");
  CHECK(records(&w, "EXHAUSTED") == 1);
  buf_clear(&w.said);
  run_waits(w.run, &w.said);
  CHECK_HAS(buf_view(&w.said), "operand_changed");
  /* a person sees to it that it can go on */
  CHECK(world_deliver(&w, (Record){.kind = RECORD_REVIVED, .REVIVED = {.by = STR("ada")}}));
  answer(&w, "GET", "ok", REPLY(5));
  CHECK_HAS(left(&w), "turn 4 oops: oops\n");
  CHECK(world_deliver(&w, (Record){.kind = RECORD_CANCEL_ASKED, .CANCEL_ASKED = {.why = STR("enough")}}));
  CHECK(w.over);
  CHECK_HAS(ending(&w), "cancelled {\"code\":\"cancelled\",\"message\":\"the run was cancelled: enough\"");
  world_end(&w);
}

/* Large operands are known by their hash; what is said to people may differ. */
static void test_large_operands(void) {
  World w;
  NEED(world_start(&w, WORKER
                   "    n = http.get(\"http://x\").json.n\n"
                   "    print(\"try ${n}\")\n"
                   "    http.post(\"http://x/raw\", body: text.repeat(\"x\", 3000 + n))\n"
                   "    raise \"oops\"\n"));
  answer(&w, "GET", "ok", REPLY(1));
  answer(&w, "POST", "ok", REPLY(1));
  ring(&w);
  answer(&w, "GET", "ok", REPLY(1));
  CHECK(records(&w, "RETRIED") == 2);
  ring(&w);
  (void)left(&w);
  answer(&w, "GET", "ok", REPLY(2));
  CHECK_HAS(left(&w), "print try 2\ndead 3 operand_changed: ");
  CHECK_HAS(ending(&w), "too large to be shown");
  world_end(&w);
}

/* ---- tools with unknown outcomes ---- */

/* Shielded: the attempt's time is up, but what became of the payment is found out first. */
static void test_timeout_shielded(void) {
  World w;
  NEED(world_start(&w, TOOLS
                   "worker W(n: any):\n  max_attempts 2 backoff 1s..1s\n  timeout 30s\n  perform(job):\n"
                   "    try: return Pay(job.n)\n    finally: print(\"over\")\n"));
  ring(&w);
  CHECK_STR(left(&w), STR("timer 30000\nask http POST k1\n")); /* nothing is dropped */
  answer(&w, "POST", "unknown", "null");
  CHECK_HAS(left(&w), "ask http GET k1\n");
  answer(&w, "GET", "ok", REPLY(8));
  CHECK_STR(left(&w), STR("print over\nturn 2 timeout: the attempt took longer than 30s\n"));
  ring(&w);
  CHECK_STR(ending(&w), STR("done 8"));
  CHECK_STR(left(&w), STR("timer 30000\nprint over\ndrop attempt\n")); /* on another way: a place of its own */
  CHECK(records(&w, "RECALLED") == 1);
  world_end(&w);
}

/* It was known not to have been done, and waited for another try: the next attempt does it, under the same key. */
static void test_irreversible_not_done(void) {
  World w;
  NEED(world_start(&w,
                   "tool Pay(n: int) -> int:\n  effect irreversible\n  max_attempts 5 backoff 1m..1m\n"
                   "  perform: return http.post(\"http://x/pay\", json: {n}).json.n\n"
                   "worker W(n: any):\n  max_attempts 3 backoff 1s..1s\n  timeout 30s\n  perform(job): return Pay(job.n)\n"));
  answer(&w, "POST", "error", "http_failed"); /* it could not be sent */
  (void)left(&w);
  ring(&w); /* the attempt's time */
  CHECK_HAS(left(&w), "turn 2 timeout");
  ring(&w);
  CHECK_HAS(left(&w), "ask http POST k1\n");
  answer(&w, "POST", "ok", REPLY(4));
  CHECK_STR(ending(&w), STR("done 4"));
  world_end(&w);
}

/* A reversible one that was cut off goes out again; if it then fails for certain, the first time may still have done
** it: another amount under its key is refused. */
static void test_maybe_done(void) {
  World w;
  NEED(world_start(&w, TOOLS
                   "worker W(n: any):\n  max_attempts 4 backoff 1s..1s\n  timeout 30s\n"
                   "  perform(job): return Add(http.get(\"http://x\").json.n)\n"));
  answer(&w, "GET", "ok", REPLY(1));
  ring(&w);
  open_remove(&w, open_find(&w, "ask http POST")->seq);
  ring(&w);
  answer(&w, "GET", "ok", REPLY(1));
  answer(&w, "POST", "ok", "{\"status\": 402}");
  CHECK_HAS(left(&w), "turn 3 no: no\n");
  ring(&w);
  answer(&w, "GET", "ok", REPLY(2));
  CHECK_HAS(ending(&w), "stuck ");
  world_end(&w);
}

/* ---- branches ---- */

/* A branch is known by where it was begun, in whatever order the branches go. */
static void test_lineage(void) {
  World w;
  NEED(world_start(&w, TOOLS WORKER
                   "    xs = parallel for i in [10, 20, 30]: Add(i)\n"
                   "    ys = parallel for i in [1, 2]:\n"
                   "      zs = parallel for j in [1, 2]: Add(100 * i + j)\n"
                   "      zs[0] + zs[1]\n"
                   "    if http.get(\"http://x\").json.n == 0: raise \"later\"\n"
                   "    return [xs, ys]\n"));
  CHECK_STR(left(&w), STR("ask http POST k1\nask http POST k3\nask http POST k5\n"));
  answer(&w, "k5", "ok", REPLY(30));
  answer(&w, "k1", "ok", REPLY(10));
  answer(&w, "k3", "ok", REPLY(20));
  for (int i = 0; i < 4; i++) answer(&w, "POST", "ok", REPLY(1));
  answer(&w, "GET", "ok", REPLY(0));
  ring(&w);
  CHECK(records(&w, "RECALLED") == 7);
  answer(&w, "GET", "ok", REPLY(1));
  CHECK_STR(ending(&w), STR("done [[10,20,30],[2,2]]"));
  world_end(&w);
}

/* One branch fails, the others are cancelled: the next attempt goes on with what is open, and a child is not lost. */
static void test_sibling(void) {
  World w;
  char child[8];
  NEED(world_start(&w, TOOLS WORKER
                   "    parallel:\n      a = Add(1)\n      b = Leaf(2)\n    return a + b\n"));
  Str line = left(&w);
  const char *at = memmem(line.at, line.size, "start Leaf ", 11);
  NEED(at != NULL);
  snprintf(child, sizeof child, "%.4s", at + 11);
  answer(&w, "POST", "ok", "{\"status\": 402}");
  CHECK_STR(left(&w), STR("drop call\nturn 2 no: no\n")); /* no cancel */
  open_remove(&w, open_find(&w, "await Leaf")->seq);
  ring(&w);
  line = left(&w);
  CHECK_HAS(line, "ask http POST k1\n");
  CHECK_HAS(line, "start Leaf ");
  CHECK_HAS(line, child);
  answer(&w, "await Leaf", "ok", "2");
  answer(&w, "POST", "ok", REPLY(3));
  CHECK_STR(ending(&w), STR("done 5"));
  world_end(&w);
}

/* What a dead or cancelled job still has running is told. */
static void test_calls_end(void) {
  World w;
  NEED(world_start(&w, TOOLS
                   "worker W(n: any):\n  max_attempts 1\n  timeout 30s\n  perform(job): return Leaf(1)\n"));
  ring(&w);
  CHECK_HAS(left(&w), "dead 1 timeout: ");
  open_remove(&w, open_find(&w, "await Leaf")->seq);
  CHECK(world_deliver(&w, (Record){.kind = RECORD_CANCEL_ASKED, .CANCEL_ASKED = {.why = STR("no use")}}));
  CHECK_HAS(left(&w), "cancel ");
  CHECK(w.over);
  world_end(&w);
}

/* A child that failed has done what it did: it is not begun again. */
static void test_child_failed(void) {
  World w;
  NEED(world_start(&w, TOOLS WORKER "    return Leaf(1)\n"));
  answer(&w, "await Leaf", "error", "broken");
  ring(&w);
  CHECK_HAS(left(&w), "turn 3 broken: broken\n");
  CHECK(records(&w, "RECALLED") == 1);
  world_end(&w);
}

/* ---- how it goes on, and ends ---- */

static void test_exhausted(void) {
  World w;
  int64_t wait[3];
  NEED(world_start(&w, "worker W(n: any):\n  max_attempts 4 backoff 1s..4s\n  perform(job): raise \"oops\"\n"));
  for (int i = 0; i < 3; i++) {
    wait[i] = open_find(&w, "turn")->due_us - w.now;
    ring(&w);
  }
  CHECK(wait[0] > 990000 && wait[0] <= 1250000);
  CHECK(wait[1] > 1990000 && wait[1] <= 2500000);
  CHECK(wait[2] > 3990000 && wait[2] <= 4000000);
  CHECK_STR(left(&w), STR("turn 2 oops: oops\nturn 3 oops: oops\nturn 4 oops: oops\ndead 4 oops: oops\n"));
  CHECK_HAS(ending(&w), "dead {\"code\":\"oops\"");
  CHECK(!w.over && run_parked(w.run) && run_dormant(w.run) && run_wake_us(w.run) == 0);
  CHECK(!world_deliver(&w, (Record){.kind = RECORD_ANSWERED, .ANSWERED = {.ref = 1, .outcome = STR("ok"), .value = STR("\xf6")}}));
  CHECK(world_deliver(&w, (Record){.kind = RECORD_REVIVED, .REVIVED = {.by = STR("ada")}}));
  CHECK_STR(left(&w), STR("turn 6 oops: oops\n"));
  CHECK(open_find(&w, "turn")->due_us - w.now <= 1250000); /* the waits begin anew, too */
  for (int i = 0; i < 3; i++) ring(&w);
  CHECK_HAS(left(&w), "dead 8 oops: oops\n");
  CHECK(world_deliver(&w, (Record){.kind = RECORD_CANCEL_ASKED, .CANCEL_ASKED = {.why = STR("enough")}}));
  CHECK(w.over);
  CHECK_HAS(ending(&w), "cancelled ");
  world_end(&w);
}

static void test_cancelled_between(void) {
  World w;
  NEED(world_start(&w, WORKER "    try: raise \"oops\"\n    finally: print(\"once\")\n"));
  CHECK(!world_deliver(&w, (Record){.kind = RECORD_REVIVED, .REVIVED = {.by = STR("ada")}}));
  CHECK_HAS(buf_view(&w.said), "only a run whose attempts are used up can be revived");
  (void)left(&w);
  CHECK(world_deliver(&w, (Record){.kind = RECORD_CANCEL_ASKED, .CANCEL_ASKED = {.why = STR("enough")}}));
  CHECK(w.over && left(&w).size == 0);
  CHECK_HAS(ending(&w), "cancelled ");
  world_end(&w);
}

static void test_cancelled_within(void) {
  World w;
  NEED(world_start(&w, TOOLS WORKER "    try: return Add(1)\n    finally: print(\"once\")\n"));
  CHECK(world_deliver(&w, (Record){.kind = RECORD_CANCEL_ASKED, .CANCEL_ASKED = {.why = STR("enough")}}));
  CHECK(w.over);
  CHECK_STR(left(&w), STR("ask http POST k1\ndrop http\nprint once\n"));
  world_end(&w);
}

static void test_unless(void) {
  World w;
  NEED(world_start(&w, TOOLS
                   "worker W(n: any):\n  max_attempts 9 backoff 1s..4s unless e.code is \"no\"\n  perform(job): return Add(1)\n"));
  answer(&w, "POST", "error", "http_failed");
  CHECK_HAS(left(&w), "turn 2 http_failed");
  ring(&w);
  answer(&w, "POST", "ok", "{\"status\": 402}");
  CHECK_HAS(left(&w), "dead 2 no: no\n");
  world_end(&w);
}

/* What no catch takes is not tried again, but is a dead letter and not lost. */
static void test_uncatchable(void) {
  World w;
  NEED(world_start(&w, "fn deep(n: int) -> int: return 1 + deep(n + 1)\n" WORKER "    return deep(1)\n"));
  CHECK_HAS(left(&w), "dead 1 limit_depth: ");
  world_end(&w);
}

static void test_snooze(void) {
  World w;
  NEED(world_start(&w, TOOLS
                   "worker W(n: any):\n  max_attempts 2 backoff 1s..1s\n  timeout 1h\n  perform(job):\n"
                   "    a = Pay(1)\n"
                   "    try:\n"
                   "      n = http.get(\"http://x\").json.n\n"
                   "      if n == 0: snooze 5m\n"
                   "      if n == 1: cancel \"no longer wanted: ${a}\"\n"
                   "    finally: print(\"cleaned ${n}\")\n"
                   "    return n\n"));
  answer(&w, "POST", "ok", REPLY(6));
  for (int i = 0; i < 3; i++) { /* more often than it may fail */
    answer(&w, "GET", "ok", REPLY(0));
    CHECK_HAS(left(&w), "drop attempt\nturn 1\n");
    int64_t wait = open_find(&w, "turn")->due_us - w.now;
    CHECK(wait > 299000000 && wait <= 300000000);
    ring(&w);
  }
  CHECK_HAS((records(&w, "RETRIED"), buf_view(&w.said)), "\"attempt\":1,\"why\":\"snoozed\",\"error\":null,\"wait_us\":300000000");
  answer(&w, "GET", "ok", REPLY(1));
  CHECK(w.over);
  CHECK_HAS(ending(&w), "cancelled {\"code\":\"cancelled\",\"message\":\"no longer wanted: 6\"");
  CHECK_HAS(left(&w), "print cleaned 1\n");
  world_end(&w);
}

/* ---- waits ---- */

/* A deadline that was set stays; a signal that came is not lost with the attempt. */
static void test_deadlines(void) {
  World w;
  NEED(world_start(&w,
                   "worker W(n: any):\n  max_attempts 9 backoff 1s..1s\n  timeout 30s\n  perform(job):\n"
                   "    a = await signal go within 1h\n"
                   "    sleep 45s\n"
                   "    return a\n"));
  int64_t due = open_find(&w, "timer 3600000")->due_us;
  ring(&w);
  CHECK(open_find(&w, "timer 3600000") != NULL);
  open_remove(&w, open_find(&w, "timer 3600000")->seq);
  ring(&w);
  CHECK(open_find(&w, "timer 3600000")->due_us == due);
  CHECK(run_parked(w.run) && run_dormant(w.run) && run_wake_us(w.run) < due);
  CHECK(world_deliver(&w, (Record){.kind = RECORD_SIGNALLED,
                                   .SIGNALLED = {.name = STR("go"), .id = STR("1"), .value = STR("\x18\x2a")}}));
  open_remove(&w, open_find(&w, "timer 3600000")->seq);
  due = open_find(&w, "timer 45000")->due_us;
  ring(&w); /* the attempt's time */
  ring(&w); /* its turn */
  CHECK(open_find(&w, "timer 45000")->due_us == due);
  ring(&w);
  CHECK_STR(ending(&w), STR("done 42"));
  world_end(&w);
}

/* ---- stubs ---- */

static bool stub_start(World *w, const char *source) {
  if (!world_compile(w, source)) return false;
  w->stub = "Pay";
  Err err = {0};
  bool ok = world_begin_with(w, "", STR("\x80"), &err);
  if (!ok) fprintf(stderr, "  %s\n", err.text);
  return ok;
}

/* A tool that a test answers for: no body, all the rest. */
static void test_stubs(void) {
  World w;
  NEED(stub_start(&w,
                  "tool Pay(n: int, m = 2) -> int:\n  effect reversible\n  max_attempts 3 backoff 1s..1s\n"
                  "  perform: return http.post(\"http://x\").json.n\n"
                  "print(Pay(1))\nprint(try Pay(2, 3))\n"));
  CHECK_STR(left(&w), STR("ask stub Pay k1\n"));
  answer(&w, "stub", "error", "busy");
  ring(&w);
  answer(&w, "stub", "unknown", "null");
  ring(&w);
  answer(&w, "stub", "ok", "7");
  CHECK_STR(left(&w), STR("timer 701\nask stub Pay k1\ntimer 799\nask stub Pay k1\nprint 7\nask stub Pay k14\n"));
  for (int i = 0; i < 3; i++) {
    answer(&w, "stub", "error", "busy");
    if (i < 2) ring(&w);
  }
  CHECK_HAS(left(&w), "print {ok: false, value: nil, error: busy: busy}\n");
  CHECK(w.over && records(&w, "TOOL_DONE") == 2);
  world_end(&w);
}

static void test_stub_lost(void) {
  World w;
  NEED(stub_start(&w,
                  "tool Pay(n: int) -> int:\n  effect irreversible\n"
                  "  perform: return http.post(\"http://x\").json.n\n"
                  "try:\n  parallel:\n    Pay(1)\n    sleepy()\n"
                  "catch e: print(e.code)\nprint(Pay(2))\n"
                  "fn sleepy():\n  sleep 1s\n  raise \"awake\"\n"));
  ring(&w);
  CHECK_STR(left(&w), STR("ask stub Pay k1\ntimer 1000\n")); /* shielded, stub or not */
  answer(&w, "stub", "unknown", "null");
  CHECK_STR(left(&w), STR("person Pay\n"));
  CHECK(world_deliver(&w, (Record){.kind = RECORD_RESOLVED, .RESOLVED = {.ref = 1, .outcome = STR("ok"), .value = STR("\x05"), .by = STR("ada")}}));
  CHECK_HAS(left(&w), "print awake\nask stub Pay k");
  answer(&w, "stub", "ok", "3");
  CHECK_STR(left(&w), STR("print 3\n"));
  world_end(&w);
}

/* A check is asked of the test as well: a value says that it was done, "absent" that it was not. */
static void test_stub_checked(void) {
  World w;
  NEED(stub_start(&w,
                  "tool Pay(n: int) -> int:\n  effect irreversible\n  max_attempts 2 backoff 1s..1s\n"
                  "  perform: return http.post(\"http://x\").json.n\n"
                  "  check: return confirmed http.get(\"http://x\").json.n\n"
                  "print(Pay(1))\nprint(Pay(2))\nprint(try Pay(3))\n"));
  answer(&w, "stub", "unknown", "null");
  CHECK_STR(left(&w), STR("ask stub Pay k1\nask stub Pay k1 1\n"));
  answer(&w, "stub", "ok", "7"); /* it was done */
  answer(&w, "stub", "unknown", "null");
  answer(&w, "stub", "unknown", "null"); /* the check's reply was lost */
  ring(&w);
  answer(&w, "stub", "error", "absent");
  ring(&w);
  answer(&w, "stub", "ok", "8");
  CHECK_HAS(left(&w), "print 8\n");
  for (int i = 0; i < 2; i++) {
    answer(&w, "stub", "unknown", "null");
    answer(&w, "stub", "error", "absent");
    if (i == 0) ring(&w);
  }
  CHECK_HAS(left(&w), "print {ok: false, value: nil, error: unknown: ");
  CHECK(w.over);
  world_end(&w);
}

/* ---- killed ---- */

/* The node ends an attempt in the middle of what it does: it is a dead letter, and may be revived. */
static void test_killed(void) {
  World w;
  NEED(world_start(&w,
                   "tool Pay(n: int) -> int:\n  effect irreversible\n  max_attempts 1\n"
                   "  perform: return http.post(\"http://pay\", json: {n}).json.n\n"
                   "  check: return confirmed http.get(\"http://check\").json.n\n"
                   "worker W(n: any):\n  max_attempts 5 backoff 1s..1s\n  timeout 1h\n  perform(job):\n"
                   "    first = http.post(\"http://first\").json.n\n"
                   "    xs = parallel for i in [1, 2]: part(i)\n"
                   "    return xs[0] + xs[1] + first\n"
                   "fn part(i):\n  if i is 1: return Pay(1)\n  return http.post(\"http://other\").json.n\n"));
  answer(&w, "POST", "ok", REPLY(100));
  (void)left(&w);
  CHECK(world_deliver(&w, (Record){.kind = RECORD_KILLED, .KILLED = {.why = STR("512 MB")}}));
  CHECK_HAS(ending(&w), "dead {\"code\":\"limit_live\"");
  CHECK(records(&w, "EXHAUSTED") == 1 && records(&w, "ENDED") == 0);
  CHECK(world_deliver(&w, (Record){.kind = RECORD_REVIVED, .REVIVED = {.by = STR("ada")}}));
  CHECK(records(&w, "RECALLED") == 1); /* the first POST; what may have been done is checked, the other sent again */
  CHECK_STR(left(&w), STR("drop attempt\ndrop http\ndrop http\n"
                          "dead 1 limit_live: the run holds more than the node's limit of 512 MB of live memory\n"
                          "timer 3600000\nask http GET k3\nask http POST k5\n"));
  world_end(&w);
}

/* Between two attempts there is nothing to revive. */
static void test_killed_between(void) {
  World w;
  NEED(world_start(&w, "worker W(n: any):\n  max_attempts 5 backoff 1s..1s\n  perform(job): raise \"no\"\n"));
  CHECK(world_deliver(&w, (Record){.kind = RECORD_KILLED, .KILLED = {.why = STR("512 MB")}}));
  CHECK_HAS(ending(&w), "killed {\"code\":\"limit_live\"");
  CHECK(w.over);
  world_end(&w);
}

/* ---- inputs ---- */

/* A job of an older version of its shape arrives as the present one. */
static void test_input(void) {
  World w;
  Buf input = {0};
  Err err = {0};
  NEED(world_compile(&w,
                     "event Moved version 2 (place: string, at: int)\n"
                     "upcast Moved from 1 (old):\n  return {place: old.to, at: 7}\n"
                     "handler H:\n  on Moved(place, at): print(\"${place} ${at}\")\n"));
  cbor_put_array(&input, 2);
  cbor_put_tag(&input, CBOR_TAG_RECORD);
  cbor_put_array(&input, 4);
  cbor_put_text(&input, STR("Moved"));
  cbor_put_uint(&input, 1);
  cbor_put_text(&input, STR("to"));
  cbor_put_text(&input, STR("Rome"));
  cbor_put_nil(&input);
  bool ok = world_begin_with(&w, "H.Moved", buf_view(&input), &err);
  if (!ok) fprintf(stderr, "  %s\n", err.text);
  NEED(ok);
  CHECK_STR(left(&w), STR("print Rome 7\n"));
  CHECK_HAS((records(&w, "HEAD"), buf_view(&w.said)), "\"place\":\"Rome\"");
  world_end(&w);
  buf_deinit(&input);
}

static void test_no_entry(void) {
  World w;
  Err err = {0};
  NEED(world_compile(&w, "print(1)\n"));
  CHECK(!world_begin_with(&w, "Nobody", STR("\x80"), &err));
  CHECK_HAS(str_of(err.text), "nothing named \"Nobody\"");
  world_end(&w);
}

/* A long life: what earlier attempts remember does not grow with attempts that do nothing new. */
static void test_many_attempts(void) {
  World w;
  Buf image = {0};
  Hash256 state;
  size_t first = 0;
  NEED(world_start(&w,
                   "worker W(n: any):\n  max_attempts 100 backoff 1s..1s\n  perform(job):\n"
                   "    for i in range(20): print(\"line ${i}\")\n    raise \"oops\"\n"));
  for (int i = 0; i < 40; i++) {
    buf_clear(&image);
    run_image(w.run, &image, &state);
    if (i == 0) first = image.size;
    CHECK(image.size <= first + 40);
    ring(&w);
  }
  CHECK(records(&w, "RECALLED") == 800);
  buf_deinit(&image);
  world_end(&w);
}

static void test_damaged_images(void) {
  World w;
  NEED(world_start(&w, TOOLS
                   "worker W(n: any):\n  max_attempts 3 backoff 1s..4s\n  timeout 30s\n  perform(job):\n"
                   "    a = try Add(1)\n"
                   "    parallel settle:\n      b = Add(2)\n      await signal go\n"
                   "    raise \"oops\"\n"));
  answer(&w, "POST", "ok", "{\"status\": 402}");
  answer(&w, "POST", "ok", "{\"status\": 402}");
  CHECK(damage_each(&w) > 50); /* texts, and numbers that mean nothing to it */
  ring(&w);
  CHECK(damage_each(&w) > 50);
  for (int i = 0; i < 8 && open_find(&w, "t") != NULL; i++) {
    if (open_find(&w, "ask http POST") != NULL) answer(&w, "ask http POST", "error", "http_failed");
    else ring(&w);
  }
  CHECK(damage_each(&w) > 50);
  world_end(&w);
}

int main(void) {
  RUN_TEST(test_recalled);
  RUN_TEST(test_each_kind);
  RUN_TEST(test_asked_again);
  RUN_TEST(test_late_answer);
  RUN_TEST(test_busy_server);
  RUN_TEST(test_busy_dealt_with);
  RUN_TEST(test_errors);
  RUN_TEST(test_error_said);
  RUN_TEST(test_error_raised_again);
  RUN_TEST(test_error_in_branch);
  RUN_TEST(test_refused);
  RUN_TEST(test_operand_changed);
  RUN_TEST(test_large_operands);
  RUN_TEST(test_timeout_shielded);
  RUN_TEST(test_irreversible_not_done);
  RUN_TEST(test_maybe_done);
  RUN_TEST(test_lineage);
  RUN_TEST(test_sibling);
  RUN_TEST(test_calls_end);
  RUN_TEST(test_child_failed);
  RUN_TEST(test_exhausted);
  RUN_TEST(test_cancelled_between);
  RUN_TEST(test_cancelled_within);
  RUN_TEST(test_unless);
  RUN_TEST(test_uncatchable);
  RUN_TEST(test_snooze);
  RUN_TEST(test_deadlines);
  RUN_TEST(test_stubs);
  RUN_TEST(test_stub_lost);
  RUN_TEST(test_stub_checked);
  RUN_TEST(test_killed);
  RUN_TEST(test_killed_between);
  RUN_TEST(test_input);
  RUN_TEST(test_no_entry);
  RUN_TEST(test_many_attempts);
  RUN_TEST(test_damaged_images);
  return TEST_END();
}
