// `z8 test` and `z8 new` as a user has them: which tests, what is said of them, in text, JSON, JUnit and coverage.
import { writeFileSync, readFileSync, existsSync } from "node:fs";
import { join } from "node:path";
import { run, expect, expectEqual } from "../support/harness.mjs";
import { lines } from "../support/served.mjs";

const PROGRAM = `command Put(id: string, n: int)
event Stored(n: int)
agent Box:
  state { total: 0 }
  decide Put(n) when n > 100:
    reject "too_much", message: "\${n} is <too> & \\"much\\""
  decide Put(n):
    emit Stored(n: n)
    reply total
  evolve Stored(n): total += n
  view sum() -> int:
    if total > 1000:
      return 1000
    return total
router Boxes:
  identify Box by id
  dispatch Put -> Box
start Boxes

fn unused(x):
  y = x + 1
  return y

test "it adds up":
  dispatch Put(id: "a", n: 1)
  dispatch Put(id: "a", n: 2)
  expect Box("a").sum() is 3

test "it adds up, given":
  given Box: Stored(n: 5)
  when Put(n: 7)
  then Stored(n: 7)
  then reply 5
  then state { total: 12 }
`;
const FAILING = PROGRAM + `
test "wrong sum":
  dispatch Put(id: "a", n: 1)
  print("so far", Box("a").sum())
  expect Box("a").sum() is 5, "the sum"

test "wrong event":
  when Put(n: 7)
  then Stored(n: 8)

test "refused <&> \\"so\\"":
  dispatch Put(id: "a", n: 101)

test "nothing comes":
  x = await signal never
`;
const ENDLESS = `
every "0 0 * * *": print("tick")
test "nothing comes, with a cron":
  x = await signal never
`;

const project = (dir, source, name = "p.z8") => { writeFileSync(join(dir, name), source); return join(dir, name); };
const z8test = (h, dir, ...words) => run(h.z8, ["test", ...words], { cwd: dir, seconds: 120 });
const test = (name, body) => ({ name, test: body });

// Well-formed enough for a reader of JUnit: one root, tags that close, attributes quoted, entities known, no raw signs.
function xmlCheck(text) {
  const open = [], tests = [], failures = [];
  const entity = /&(?!(lt|gt|amp|quot|apos|#\d+|#x[0-9a-f]+);)/i;
  const token = /<\?xml version="1\.0" encoding="UTF-8"\?>|<(\/?)([a-z]+)((?: [a-z]+="[^"<]*")*)(\/?)>|[^<]+/gy;
  let at = 0, roots = 0;
  for (let m; at < text.length && (m = token.exec(text)); at = token.lastIndex) {
    expect(!entity.test(m[0]), `an entity in ${m[0]}`);
    expect(!/[\0-\x08\x0b\x0c\x0e-\x1f]/.test(m[0]), "a control character");
    if (!m[2]) { expect(open.length || !m[0].trim() || m[0].startsWith("<?"), `text outside: ${m[0]}`); continue; }
    if (m[1]) { expectEqual(open.pop(), m[2], "closing tag"); continue; }
    if (!open.length) roots++;
    const attributes = Object.fromEntries([...m[3].matchAll(/ ([a-z]+)="([^"]*)"/g)].map((a) => [a[1], a[2]]));
    if (m[2] === "testcase") tests.push(attributes);
    if (m[2] === "failure") failures.push(attributes);
    if (!m[4]) open.push(m[2]);
  }
  expectEqual(at, text.length, `not XML from ${text.slice(at, at + 80)}`);
  expect(open.length === 0 && roots === 1, `open: ${open}, roots: ${roots}`);
  return { tests, failures };
}

export default (h) => [
  test("names, filters, and files of the folder", async ({ dir }) => {
    project(dir, PROGRAM);
    project(dir, 'test "another file":\n  expect 1 + 1 is 2\n', "q.z8");
    const all = await z8test(h, dir);
    expect(all.code === 0 && /^3 passed, 0 failed/m.test(all.stdout), `${all.code} ${all.stdout}${all.stderr}`);
    const some = await z8test(h, dir, "--filter", "given");
    expect(some.code === 0 && /^1 passed, 0 failed/m.test(some.stdout) && !some.stdout.includes("another"), some.stdout);
    const none = await z8test(h, dir, "--filter", "no such");
    expect(none.code === 1 && /no test's name/.test(none.stderr), `${none.code} ${none.stderr}`);
    const one = await z8test(h, dir, "q.z8", "--threads", "1");
    expect(one.code === 0 && /^1 passed/m.test(one.stdout), one.stdout);
    expectEqual((await z8test(h, dir, "--threads", "0")).code, 2, "--threads 0");
    project(dir, 'print("x")\n', "r.z8");
    const empty = await z8test(h, dir, "r.z8");
    expect(empty.code === 1 && /no `test/.test(empty.stderr), `${empty.code} ${empty.stderr}`);
    const missing = await z8test(h, dir, "none.z8");
    expect(missing.code === 1 && missing.stderr.includes("none.z8"), missing.stderr);
  }),
  test("a failing test shows both sides, the place and what was printed", async ({ dir }) => {
    project(dir, FAILING);
    const r = await z8test(h, dir, "p.z8");
    expectEqual(r.code, 1, r.stdout + r.stderr);
    const part = (name) => r.stdout.split(/^(?=FAILED|ok )/m).find((p) => p.includes(name)) ?? "";
    const place = (text) => FAILING.split("\n").findIndex((l) => l.includes(text)) + 1;
    const sum = part("wrong sum");
    expect(/the sum \(Box\("a"\)\.sum\(\) is 5\): expected 5, and got 1/.test(sum), sum);
    expect(sum.includes(`p.z8:${place("is 5, ")}:`) && /\^/.test(sum) && /it printed:\nso far 1/.test(sum), sum);
    const event = part("wrong event");
    expect(/Stored\(n: 8\).*Stored\(n: 7\)/.test(event) && event.includes(`p.z8:${place("then Stored(n: 8)")}:`), event);
    const refused = part("refused <&>");
    expect(/too_much: 101 is <too> & "much"/.test(refused) && refused.includes(`p.z8:${place("n: 101")}:`), refused);
    expect(/never comes/.test(part("nothing comes")), r.stdout);
    expect(/^2 passed, 4 failed/m.test(r.stdout), r.stdout);
    const endless = await z8test(h, dir, project(dir, ENDLESS, "e.z8"));
    expect(endless.code === 1 && /four years/.test(endless.stdout), `${endless.code ?? endless.signal} ${endless.stdout.slice(0, 400)}${endless.stderr}`);
  }),
  test("--json and --junit", async ({ dir }) => {
    project(dir, FAILING);
    const r = await z8test(h, dir, "--json", "--junit", "out.xml", "p.z8");
    expectEqual(r.code, 1, r.stdout + r.stderr);
    const results = lines(r.stdout).filter((t) => t.test); // a warning comes first
    expectEqual(results.map((t) => t.status).join(), "passed,passed,failed,failed,failed,failed");
    for (const t of results) for (const field of ["test", "file", "status", "ms", "crashes", "message", "at"]) expect(field in t, `no ${field}`);
    const { tests, failures } = xmlCheck(readFileSync(join(dir, "out.xml"), "utf8"));
    expectEqual(tests.length, 6);
    expectEqual(failures.length, 4);
    expectEqual(tests[4].name, "refused &lt;&amp;&gt; &quot;so&quot;");
    project(dir, PROGRAM);
    expectEqual((await z8test(h, dir, "--junit", "good.xml", "p.z8")).code, 0);
    expectEqual(xmlCheck(readFileSync(join(dir, "good.xml"), "utf8")).failures.length, 0);
    const nowhere = await z8test(h, dir, "--junit", "no/such/folder.xml", "p.z8");
    expect(nowhere.code === 1 && nowhere.stderr.includes("folder.xml"), `${nowhere.code} ${nowhere.stderr}`);
  }),
  test("what is printed within a test is safe in XML", async ({ dir }) => {
    project(dir, 'test "odd":\n  print("\\u{1} \\u{1b}[31m \\u{fffe} ]]> é \\u{1f600}")\n  expect false\n');
    const r = await z8test(h, dir, "--junit", "out.xml", "p.z8");
    expectEqual(r.code, 1, r.stdout + r.stderr);
    const text = readFileSync(join(dir, "out.xml"), "utf8");
    xmlCheck(text);
    expect(text.includes("é") && text.includes("\u{1f600}") && !/[\ufffe\uffff]/.test(text), text);
  }),
  test("--cover counts lines, and names those that were not reached", async ({ dir }) => {
    project(dir, PROGRAM);
    const line = (text) => PROGRAM.split("\n").findIndex((l) => l.includes(text)) + 1;
    const r = await z8test(h, dir, "--cover", "p.z8");
    expectEqual(r.code, 0, r.stdout + r.stderr);
    const missing = /not reached: (.*)$/m.exec(r.stdout)?.[1];
    const want = [line("reject"), line("return 1000")];
    expectEqual(missing?.split(", ").flatMap((p) => { const [a, b] = p.split("-").map(Number); return b ? Array.from({ length: b - a + 1 }, (_, i) => a + i) : [a]; })
      .filter((n) => n < line("fn unused")).join(), want.join(), r.stdout);
    const cover = lines((await z8test(h, dir, "--cover", "--json", "p.z8")).stdout).find((l) => l.cover);
    expect(cover.cover === "p.z8" && cover.lines > cover.reached && cover.reached > 8, JSON.stringify(cover));
    const given = lines((await z8test(h, dir, "--cover", "--json", "--filter", "given", "p.z8")).stdout).find((l) => l.cover);
    expect(given.reached < cover.reached, `${given.reached} of ${cover.reached}`);
  }),
  test("--crash-everywhere crashes every test, and a test that cannot stand it says at which commit", async ({ dir }) => {
    project(dir, PROGRAM + '\ntest "with a job":\n  expect await(enqueue Twice(n: 4)) is 8\n' +
      "worker Twice(n: int):\n  perform(job): return job.n * 2\n");
    const r = await z8test(h, dir, "--crash-everywhere", "--json", "p.z8");
    expectEqual(r.code, 0, r.stdout + r.stderr);
    const results = lines(r.stdout);
    expect(results.every((t) => t.crashes >= 2), r.stdout);
    expect(results[0].crashes > results[1].crashes, `a dispatch commits more than nothing: ${r.stdout}`);
    const calm = lines((await z8test(h, dir, "--json", "p.z8")).stdout);
    expect(calm.every((t) => t.crashes === 0), "crashes without being asked");
    // A read tool is asked again after a crash, and this stub then says something else.
    project(dir, `tool Look() -> int:
  effect read
  max_attempts 3
  perform: return 1
test "frail" with crashes:
  stub tool Look -> [1, lost, 3]
  a = Look()
  b = Look()
  print(a, b)
  expect calls(Look) is 2
`);
    const frail = await z8test(h, dir, "p.z8");
    expect(frail.code === 1, frail.stdout);
  }),
  test("a file that does not compile fails, the others are run", async ({ dir }) => {
    project(dir, PROGRAM);
    project(dir, 'test "broken":\n  expect 1 +\n', "bad.z8");
    const r = await z8test(h, dir, "p.z8", "bad.z8");
    expect(r.code === 1 && /Z8-E/.test(r.stderr) && /bad\.z8/.test(r.stderr) && /^2 passed/m.test(r.stdout), `${r.code} ${r.stdout}${r.stderr}`);
  }),
  test("a test has no network, no memory of another test, and its own time", async ({ dir }) => {
    project(dir, `
test "no network":
  r = try http.get("http://127.0.0.1:9/x")
  expect r.ok is false
test "time":
  a = now()
  sleep 2d
  expect now() - a >= 2d
test "time again":
  expect now() < time.parse("2026-01-02T00:00:00Z"), "\${now()}"
`);
    const began = Date.now();
    const r = await z8test(h, dir, "p.z8");
    expect(r.code === 0, r.stdout + r.stderr);
    expect(Date.now() - began < 20000, "two days took long");
    expect(!existsSync(join(dir, ".z8")), "a test left a data directory");
  }),
  test("tests that loop, bomb or fault end alone", async ({ dir }) => {
    project(dir, `
fn down(n: int) -> int: return 1 + down(n + 1)
test "deep": down(0)
test "bomb":
  s = "xxxxxxxx"
  while true: s = s + s
test "good": expect true
`);
    const r = await z8test(h, dir, "p.z8");
    expect(r.code === 1 && /^1 passed, 2 failed/m.test(r.stdout), r.stdout + r.stderr);
    expect(/limit_depth/.test(r.stdout) && /limit_/.test(r.stdout), r.stdout);
  }),
  test("new makes an application whose tests pass, that runs, serves and is refused twice", async ({ dir }) => {
    expectEqual((await run(h.z8, ["new", "hello"], { cwd: dir })).code, 0);
    const cwd = join(dir, "hello");
    const tests = await run(h.z8, ["test"], { cwd, seconds: 120 });
    expect(tests.code === 0 && /^[1-9]\d* passed, 0 failed/m.test(tests.stdout), tests.stdout + tests.stderr);
    const r = await run(h.z8, ["run", "main.z8"], { cwd });
    expect(r.code === 0 && /first stands at 12/.test(r.stdout) && /hello: first rose by 12/.test(r.stdout), r.stdout + r.stderr);
    const d = await run(h.z8, ["dispatch", "Add", '{"counter_id": "a", "by": 5}'], { cwd });
    expectEqual(JSON.parse(d.stdout).reply, 5, d.stderr);
    const v = await run(h.z8, ["view", "Counter", "a", "total"], { cwd });
    expectEqual(v.stdout.trim(), "5", v.stderr);
    const strict = await run(h.z8, ["check", "--strict"], { cwd });
    expectEqual(strict.code, 0, strict.stderr);
  }),
];
