/* Source to tree: what programs mean to the parser, and what it says of wrong ones. */
#include "test.h"

#include "ast_dump.h"
#include "compiler/diag.h"
#include "compiler/front/parse.h"
#include "vm/base/mem.h"

static Arena arena;
static Diags diags;
static Source source;
static Buf dumped;

static Unit *parse_bytes(Str text) {
  arena_deinit(&arena);
  arena_init(&arena);
  diags_init(&diags, &arena);
  source = (Source){.path = STR("t.z8"), .text = text, .base = 1};
  diags.sources = &source;
  diags.source_count = 1;
  return parse_unit(&arena, names_new(&arena), &diags, 0);
}

static Unit *parse(const char *text) { return parse_bytes(str_of(text)); }

static Str tree(const char *text) {
  Unit *unit = parse(text);
  buf_clear(&dumped);
  dump_unit(&dumped, unit);
  CHECK(diags.error_count == 0);
  return buf_view(&dumped);
}

/* The codes reported, in order of place: "74 32". */
static Str codes(const char *text) {
  parse(text);
  buf_clear(&dumped);
  for (const Diag *d = diags.first; d; d = d->next) {
    buf_format(&dumped, "%s%u", d == diags.first ? "" : " ", diag_info[d->id].number);
  }
  return buf_view(&dumped);
}

static void expressions(void) {
  CHECK_STR(tree("x = 1 + 2 * 3 - -4"), STR("assign x (- (+ 1 (* 2 3)) -4)\n"));
  CHECK_STR(tree("not a == b and c or d"), STR("expr (or (and (not (== a b)) c) d)\n"));
  CHECK_STR(tree("a ?? b + 1 > 2"), STR("expr (> (?? a (+ b 1)) 2)\n"));
  CHECK_STR(tree("-x.y(1)[2]"), STR("expr (neg ([] (call (. x y) 1) 2))\n"));
  CHECK_STR(tree("a is not b"), STR("expr (!= a b)\n"));
  CHECK_STR(tree("a not in b"), STR("expr (not-in a b)\n"));
  CHECK_STR(tree("xs |> f(1) |> g |> m.h"), STR("expr (call (. m h) (call g (call f xs 1)))\n"));
  CHECK_STR(tree("(a, b) -> a + b"), STR("expr (lambda [a b] (+ a b))\n"));
  CHECK_STR(tree("x -> y -> x"), STR("expr (lambda [x] (lambda [y] x))\n"));
  CHECK_STR(tree("try f() + 1"), STR("expr (try (+ (call f) 1))\n"));
  CHECK_STR(tree("m?.a?[1]"), STR("expr (?[] (?. m a) 1)\n"));
  CHECK_STR(
      tree("s[1:] + s[:2] + s[:] + s[a:b]"),
      STR("expr (+ (+ (+ (slice s from 1) (slice s to 2)) (slice s)) (slice s from a to b))\n"));
  CHECK_STR(tree("[f(x) for k, x in xs if p]"),
            STR("expr (comprehension (call f x) [k x] in xs if p)\n"));
  CHECK_STR(tree("{a, b: 1, \"c d\": 2, [e]: 3, ...f}"),
            STR("expr (map a: a b: 1 [\"c d\"]: 2 [e]: 3 (... f))\n"));
}

static void literals(void) {
  CHECK_STR(tree("[1_000, 0x1f, 1.5, 2e3, 12.50d, true, nil]"),
            STR("expr (list 1000 31 1.5 2000 12.50d true nil)\n"));
  CHECK_STR(tree("[250ms, 5s, 30m, 8h, 2d]"),
            STR("expr (list 250000us 5000000us 1800000000us 28800000000us 172800000000us)\n"));
  CHECK_STR(tree("-9223372036854775808"), STR("expr -9223372036854775808\n"));
  CHECK_STR(tree("5.max(3)"), STR("expr (call (. 5 max) 3)\n"));
  CHECK_STR(tree("\"a\\tb\\u{e9}\\$\""), STR("expr \"a\tb\xc3\xa9$\"\n"));
  CHECK_STR(tree("r\"a\\n${b}\""), STR("expr \"a\\n${b}\"\n"));
  CHECK_STR(tree("\"a${b + \"c${d}e\"}f\""),
            STR("expr (interp \"a\" (+ b (interp \"c\" d \"e\")) \"f\")\n"));
  CHECK_STR(tree("\"${a}\""), STR("expr (interp a)\n"));
  CHECK_STR(tree("x = \"\"\"\n    one\n      two\n\n    three\n    \"\"\""),
            STR("assign x \"one\\n  two\\n\\nthree\"\n"));
  CHECK_STR(tree("x = \"\"\"\r\n  a ${b}\r\n  c\r\n  \"\"\""),
            STR("assign x (interp \"a \" b \"\\nc\")\n"));
}

static void targets(void) {
  CHECK_STR(tree("{a, b: c} = m"), STR("assign (map a: a b: c) m\n"));
  CHECK_STR(tree("[a, ...b] = xs"), STR("assign (list a (... b)) xs\n"));
  CHECK_STR(tree("m.k[i].f = 1"), STR("assign (. ([] (. m k) i) f) 1\n"));
}

static void blocks(void) {
  CHECK_STR(tree("x: int? = 1"), STR("assign x : int? 1\n"));
  CHECK_STR(tree("x += 1"), STR("assign += x 1\n"));
  CHECK_STR(tree("if a: b()\nelif c:\n  d()\nelse: pass\n"),
            STR("if a\n  expr (call b)\nelse\n  if c\n    expr (call d)\n  else\n    pass\n"));
  CHECK_STR(tree("for i, x in xs: if_ = x\nwhile true: break"),
            STR("for [i x] xs\n  assign if_ x\nwhile true\n  break\n"));
  CHECK_STR(tree("loop max 3:\n  continue\nloop: pass"), STR("loop 3\n  continue\nloop\n  pass\n"));
  CHECK_STR(tree("try:\n  f()\ncatch e when e.code is \"a\": g()\ncatch: raise\nfinally: h()"),
            STR("try\n  expr (call f)\ncatch e when (== (. e code) \"a\")\n  expr (call g)\ncatch "
                "-\n  raise\n"
                "finally\n  expr (call h)\n"));
  CHECK_STR(tree("raise \"a\", message: \"b\", data: {c: 1}"),
            STR("raise \"a\" message: \"b\" data: (map c: 1)\n"));
}

static void patterns(void) {
  CHECK_STR(tree("match s:\n  Circle(r, x: 1): pass\n  {kind: \"a\", side, \"b c\": _}: pass\n"),
            STR("match s\narm <record Circle <bind r> x: <value 1>>\n  pass\n"
                "arm <map kind: <value \"a\"> side: <bind side> \"b c\": <_>>\n  pass\n"));
  CHECK_STR(tree("match s:\n  [a, ...]: pass\n  [..., b]: pass\n  0 | -1 | MAX: pass\n  n when n > "
                 "1: pass\n"),
            STR("match s\narm <list <bind a> <rest>>\n  pass\narm <list <rest> <bind b>>\n  pass\n"
                "arm <or <value 0> <value -1> <value MAX>>\n  pass\narm <bind n> when (> n 1)\n  "
                "pass\n"));
}

static void durable(void) {
  CHECK_STR(tree("x = await signal go within 8h"),
            STR("assign x (await-signal go within 28800000000us)\n"));
  CHECK_STR(tree("await all [start A(), b]"), STR("expr (await-all (list (start (call A)) b))\n"));
  CHECK_STR(tree("Wire(a: 1) because why"), STR("expr (call Wire a: 1 because why)\n"));
  CHECK_STR(tree("signal go({a: 1}) to run because \"x\""),
            STR("signal go to run (map a: 1) because \"x\"\n"));
  CHECK_STR(tree("xs = parallel for x in xs limit 8: f(x)"),
            STR("assign xs (parallel-for [x] in xs limit 8\n  expr (call f x))\n"));
  CHECK_STR(tree("x = race:\n  a()\n  branch:\n    sleep 5s\n    nil\n"),
            STR("assign x (race\n  branch\n    expr (call a)\n  branch\n    sleep 5000000us\n    "
                "expr nil)\n"));
  CHECK_STR(tree("parallel settle:\n  a = f()\n  branch: g()"),
            STR("parallel settle\n  assign a (call f)\n  branch\n    expr (call g)\n"));
}

static void declarations(void) {
  CHECK_STR(tree("## Adds.\n## Two.\npure fn add(a: int, b = 2) -> int?: return a\n"),
            STR("pure fn add [a:int b=2] -> int? doc \"Adds.\\nTwo.\"\n  return a\n"));
  CHECK_STR(
      tree("type P: x: int, race: string\ntype Q:\n  ## the side\n  loop: float where loop > 0\n"),
      STR("type P [x:int race:string]\ntype Q [loop:float where (> loop 0) doc \"the side\"]\n"));
  CHECK_STR(tree("type T = \"a\" | list[int?] | fn(int) -> {a: P}"),
            STR("type T -> (\"a\"|list[int?]|fn(int)->{a:P})\n"));
  CHECK_STR(tree("event E version 2 as \"b.e\" (a: int)\nupcast E from 1 (old): return old\n"),
            STR("event E \"b.e\" [a:int] = 2\nupcast E from 1 [old]\n  return old\n"));
  CHECK_STR(tree("extern \"m\":\n  fn f(x: float) -> float\n  fn g()\n"),
            STR("extern - \"m\"\n  member fn f [x:float] -> float\n  member fn g\n"));
  CHECK_STR(
      tree("import \"a/b\" as c\nimport std.text as t\nconfig x: int = 1\nconst Y = 2"),
      STR("import c \"a/b\"\nimport t standard \"std.text\"\nconfig x -> int = 1\nconst Y = 2\n"));
  CHECK_STR(
      tree("tool W(a: int) -> {b: int}:\n  effect: read\n  max_attempts 5 backoff 1s..5m unless "
           "e.code in []\n"
           "  limit \"n\" 2 per 1s\n  perform: return 1\n  check:\n    return confirmed {b: 1}\n"),
      STR("tool W [a:int] -> {b:int}\n  setting effect read\n"
          "  setting max_attempts 5 second 1000000us third 300000000us unless (in (. e code) "
          "(list))\n"
          "  setting limit \"n\" second 2 third 1000000us\n  return 1\n  check\n"
          "    return (call confirmed (map b: 1))\n"));
  CHECK_STR(tree("workflow F(a):\n  x = a\n  query q(): return x\n  return x\n"),
            STR("workflow F [a]\n  assign x a\n  return x\n  member query q\n  return x\n"));
}

static void agents(void) {
  CHECK_STR(tree("agent A:\n  snapshot every 10 events\n  lifespan: 5m\n  state {\n    id,\n    n: 0,\n"
                 "    xs: list[int] = []\n  }\n  invariant n >= 0, \"low\"\n"
                 "  decide Add(by) when by > 0:\n    emit Added(by: by)\n    reply by\n"
                 "  decide Add: reject \"no\", data: {n}\n  evolve Added(e): n += e.by\n"
                 "  view twice(): return n * 2\n"),
            STR("agent A [id n=0 xs:list[int]=(list)]\n  setting snapshot 10\n  setting lifespan 300000000us\n"
                "  member invariant - \"low\" = (>= n 0)\n"
                "  member decide Add [by] when (> by 0)\n  emit (call Added by: by)\n  reply by\n"
                "  member decide Add\n  reject \"no\" data: (map n: n)\n"
                "  member evolve Added [e]\n  assign += n (. e by)\n"
                "  member view twice\n  return (* n 2)\n"));
}

static void routers(void) {
  CHECK_STR(tree("router R:\n  validate every command\n  identify A by id, prefix \"a-\"\n"
                 "  dispatch [Open, Close] -> A\n  dispatch Add -> A\n  before every command: Check\n"
                 "  before [Add]: Limit\nstart R\n"),
            STR("router R\n  setting validate\n  member identify A \"a-\" of id\n"
                "  member route A of Open Close\n  member route A of Add\n  member before Check\n"
                "  member before Limit of Add\nstart R\n"));
  CHECK_STR(tree("x = try dispatch Add(id: 1) with timeout: 5s, returning: state because \"y\"\n"
                 "y = dispatch Add(id: 1).reply\nz = (dispatch c with actor: \"a\").reply\n"),
            STR("assign x (try (dispatch (call Add id: 1) timeout: 5000000us returning: state because \"y\"))\n"
                "assign y (. (dispatch (call Add id: 1)) reply)\n"
                "assign z (. (dispatch c actor: \"a\") reply)\n"));
}

static void subscribers(void) {
  CHECK_STR(tree("handler H: on E(e): print(e)\n"), STR("handler H\n  member on E [e]\n  expr (call print e)\n"));
  CHECK_STR(tree("handler H:\n  from origin\n  concurrency 4 by a, b\n  max_attempts 3 backoff 1s..2s\n"
                 "  on E(a): pass\n  on F:\n    pass\n"),
            STR("handler H\n  setting from origin\n  setting concurrency 4 by a b\n"
                "  setting max_attempts 3 second 1000000us third 2000000us\n"
                "  member on E [a]\n  pass\n  member on F\n  pass\n"));
}

static void jobs(void) {
  CHECK_STR(tree("worker W(a: int):\n  queue \"q\"\n  unique by a within 1h replace\n  perform(job):\n"
                 "    snooze 5m\n    cancel \"x\"\nqueue \"q\":\n  concurrency 3\n  limit 10 per 1s\n"),
            STR("worker W [a:int] perform [job]\n  setting queue \"q\"\n"
                "  setting unique second 3600000000us by a replace\n  snooze 300000000us\n  cancel \"x\"\n"
                "queue - \"q\"\n  setting concurrency 3\n  setting limit second 10 third 1000000us\n"));
  CHECK_STR(tree("every \"0 6 * * *\" in \"Europe/Paris\" missed all: enqueue D()\n"),
            STR("every - \"0 6 * * *\" in \"Europe/Paris\" missed 2\n  expr (enqueue (call D))\n"));
  CHECK_STR(tree("h = enqueue W(a: 1) schedule_in: 5m, priority: 1\nr = await enqueue W(a: 2)\n"),
            STR("assign h (enqueue (call W a: 1) schedule_in: 300000000us priority: 1)\n"
                "assign r (await (enqueue (call W a: 2)))\n"));
}

static void program_tests(void) {
  CHECK_STR(tree("test \"t\" with crashes:\n  given A: [E(n: 1), F()]\n  when C(n: 2)\n  then E(n: 2), F()\n"
                 "  then reject \"no\", data: 1\n  then reply 3\n  then state {n: 1}\n  then nothing\n"
                 "  stub tool T -> [1, raise \"x\", lost]\n  stub tool U -> {a: 1}\n"
                 "  for i in [1]:\n    expect i is 1, \"one\"\n"),
            STR("test - \"t\" crashes\n  given A (call E n: 1) (call F)\n  when (call C n: 2)\n"
                "  then (call E n: 2) (call F)\n  then reject \"no\" data: 1\n  then reply 3\n"
                "  then state (map n: 1)\n  then nothing\n  stub T 1 raise \"x\" lost\n  stub U (map a: 1)\n"
                "  for [i] (list 1)\n    expect (== i 1) \"one\"\n"));
}

/* The new words are names wherever they are not words. */
static void application_names(void) {
  CHECK(parse("agent = 1\nrouter = 2\nqueue = 3\nstate = 4\nreply = 5\ntest = 6\non = 7\nby = 8\nwith = 9\n"
              "view = 1\nat = 2\nevery = 3\nbefore = 4\nemit = 5\nthen = 6\nstub = 7\nnothing = 8\nmissed = 9\n"
              "expect = 1\ngiven = 2\ndecide = 3\nf(with: 1, by: 2, on: state.reply)\nx = {test, agent: worker}\n"
              "reply.emit(1)\nqueue(\"x\")\ntest[0] = 1\nexpect - 1\n") != NULL);
  CHECK(diags.error_count == 0);
}

static void remote_tools(void) {
  CHECK_STR(tree("tool W(a: int):\n  perform post \"http://x\"\n"),
            STR("tool W [a:int]\n"
                "  assign (reply) (call (. http post) \"http://x\" json: (map a: a) headers: (map "
                "[\"Idempotency-Key\"]: key))\n"
                "  if (>= (. (reply) status) 400)\n"
                "    raise \"remote_status\" data: (map status: (. (reply) status) body: (. "
                "(reply) body))\n"
                "  return (. (reply) json)\n"));
}

static void soft_words(void) {
  CHECK_STR(tree("race: int = 3\nloop: Horse? = nil\nloop: x = 3"),
            STR("assign race : int 3\nassign loop : Horse? nil\nloop\n  assign x 3\n"));
  CHECK_STR(tree("sleep = 1\nsignal = sleep\nstart = start(limit)\nparallel.race = loop"),
            STR("assign sleep 1\nassign signal sleep\nassign start (call start limit)\nassign (. "
                "parallel race) loop\n"));
  CHECK_STR(tree("m.in = m.match\n{in: 1, is: 2}\nf(from: to)"),
            STR("assign (. m in) (. m match)\nexpr (map in: 1 is: 2)\nexpr (call f from: to)\n"));
  CHECK_STR(tree("cancel(x)\ncancel (x)\nall[0]\nawait all"),
            STR("expr (call cancel x)\ncancel x\nexpr ([] all 0)\nexpr (await all)\n"));
}

static void layout(void) {
  CHECK_STR(tree("x = f(\n  1,\n\n  # why\n  2,\n)\ny = 1"),
            STR("assign x (call f 1 2)\nassign y 1\n"));
  CHECK_STR(tree("x = a\n  # a comment\n  .b()\n  |> c"),
            STR("assign x (call c (call (. a b)))\n"));
  CHECK_STR(tree("if a:\r\n  b()\r\n\r\n  c()\r\nd()"),
            STR("if a\n  expr (call b)\n  expr (call c)\nexpr (call d)\n"));
  CHECK_STR(tree(""), STR(""));
  CHECK_STR(tree("\n\n# nothing\n"), STR(""));
}

static void several_errors(void) {
  CHECK_STR(
      codes("if a\n  x = 1 +\n  y = 2\nfn f(:\n  z = 'a'\n  return\nprint \"x\"\nif b = 1: c()\n"
            "xs = [1,\nok = 2\nelse_ = 'b'\ntype P: x: int\n"),
      STR("74 78 6 33 81 40 33 6"));
  CHECK_STR(codes("if a = 1:\n  b()\nelif c:\n  d()\nelse:\n  e()\nf(\n"), STR("40 33"));
  CHECK_STR(codes("try:\n  f()\ncatch (e):\n  g()\nfinally:\n  h()\n"), STR("101"));
  CHECK_STR(codes("match x y:\n  1: a()\n  2: b()\nz = 1 2\n"), STR("79 79"));
  CHECK_STR(codes("tool T(a b):\n  timeout 5s\n  perform:\n    return 1\nx = 1 2\n"), STR("80 79"));
  CHECK_STR(codes("type T(a):\n  x: int\n  y: int\nx = 1 2\n"), STR("108 79"));
  CHECK_STR(codes("a = 1\n    b = 2\n    c = 3 4\nd = 5 6"), STR("31 79 79"));
  CHECK_STR(codes("fn f():\nfn g():\n  if x:\n"), STR("32 32"));
}

/* Bytes nobody would write: an answer every time, and in bounded time and stack. */
static Str repeated(const char *text, size_t times) {
  size_t size = strlen(text);
  char *bytes = mem_alloc(size * times + 1);
  for (size_t i = 0; i < times; i++) memcpy(bytes + i * size, text, size);
  return (Str){bytes, size * times};
}

static void check_repeated(const char *text, size_t times, uint32_t errors) {
  Str bytes = repeated(text, times);
  parse_bytes(bytes);
  CHECK((diags.error_count > 0) == (errors > 0));
  mem_free((char *)(uintptr_t)bytes.at);
}

static void rubbish(void) {
  check_repeated("(", 100000, 1);
  check_repeated("not ", 100000, 1);
  check_repeated("-", 100001, 1);
  check_repeated("x -> ", 50000, 1);
  check_repeated("1 + ", 100000, 1);
  check_repeated("a.", 100000, 1);
  check_repeated("\"${", 100000, 1);
  check_repeated("if a: for b in c: ", 20000, 1);
  check_repeated("for b in c: ", 20000, 1);
  check_repeated("if a: b\nelif c: d\n", 2, 0);
  check_repeated("x = 1\n", 100000, 0);
  check_repeated("\"\"\"", 100001, 1);
  check_repeated("{", 1000, 1);
  check_repeated("int?", 1000, 1);
  check_repeated("'", 100000, 1);
  check_repeated("\x01", 1000, 1);
  check_repeated("#", 100000, 0);
  check_repeated("// a\n", 50000, 1);
  parse_bytes((Str){"a\0b", 3});
  CHECK(diags.error_count == 1);
  parse_bytes((Str){"\xff\xfe", 2});
  CHECK(diags.error_count == 1);
  parse_bytes((Str){0});
  CHECK(diags.error_count == 0);
}

static void deep_chains(void) {
  Str text = repeated("1 + ", 900);
  Buf bytes = {0};
  buf_str(&bytes, text);
  buf_text(&bytes, "1");
  parse_bytes(buf_view(&bytes));
  CHECK(diags.error_count == 0); /* long sums are fine */
  buf_deinit(&bytes);
  mem_free((char *)(uintptr_t)text.at);
}

static void nearest(void) {
  const Str words[] = {STR("account_id"), STR("amount"), STR("balance")};
  CHECK_STR(diag_nearest(STR("acount_id"), words, 3), STR("account_id"));
  CHECK_STR(diag_nearest(STR("Balance"), words, 3), STR("balance"));
  CHECK_STR(diag_nearest(STR("amuont"), words, 3), STR("amount"));
  CHECK(diag_nearest(STR("x"), words, 3).at == NULL);
  CHECK(diag_nearest(STR("timeout"), words, 3).at == NULL);
}

static void rendering(void) {
  parse("x = f(1\ny = 2\n");
  Buf out = {0};
  diag_render(&diags, false, &out);
  CHECK_STR(
      buf_view(&out),
      STR("error[Z8-E0033]: this `(` is never closed\n  t.z8:1:6\n    1 | x = f(1\n      |      ^\n"
          "  note: this line stands no deeper, so it is read as the next statement\n"
          "  t.z8:2:1\n    2 | y = 2\n      | ^\n"));
  buf_clear(&out);
  diag_render_json(&diags, &out);
  CHECK_STR(
      buf_view(&out),
      STR("{\"code\":\"Z8-E0033\",\"severity\":\"error\",\"message\":\"this `(` is never closed\","
          "\"file\":\"t.z8\",\"line\":1,\"column\":6,\"end_line\":1,\"end_column\":7,\"notes\":[{"
          "\"message\":"
          "\"this line stands no deeper, so it is read as the next "
          "statement\",\"file\":\"t.z8\",\"line\":2,"
          "\"column\":1,\"end_line\":2,\"end_column\":2}]}\n"));
  buf_clear(&out);
  CHECK(diag_explain(STR("Z8-E0033"), &out) && diag_explain(STR("33"), &out));
  CHECK(!diag_explain(STR("E9999"), &out) && !diag_explain(STR("x"), &out));
  buf_deinit(&out);
}

int main(void) {
  RUN_TEST(expressions);
  RUN_TEST(literals);
  RUN_TEST(targets);
  RUN_TEST(blocks);
  RUN_TEST(patterns);
  RUN_TEST(durable);
  RUN_TEST(declarations);
  RUN_TEST(agents);
  RUN_TEST(routers);
  RUN_TEST(subscribers);
  RUN_TEST(jobs);
  RUN_TEST(program_tests);
  RUN_TEST(application_names);
  RUN_TEST(remote_tools);
  RUN_TEST(soft_words);
  RUN_TEST(layout);
  RUN_TEST(several_errors);
  RUN_TEST(rubbish);
  RUN_TEST(deep_chains);
  RUN_TEST(nearest);
  RUN_TEST(rendering);
  arena_deinit(&arena);
  buf_deinit(&dumped);
  return TEST_END();
}
