// What a person sees of ai_agents on the command line: the page of a run, text as it comes, approvals, costs.
import { spawn } from "node:child_process";
import { writeFileSync, readFileSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { run, expect, expectEqual } from "../support/harness.mjs";
import { modelServer } from "../support/model_server.mjs";
import { lines, pause, until } from "../support/served.mjs";

const secret = "test-key";

// A program in a directory of its own, and the verbs there.
class Place {
  children = [];
  constructor(h, dir) {
    Object.assign(this, { h, dir, data: join(dir, "d"), env: { NO_COLOR: "1", KEY: secret, USER: "tess", Z8_DIR: join(dir, "d") } });
  }
  z8(words, env = {}) {
    return run(this.h.z8, words, { env: { ...this.env, ...env } });
  }
  async ok(...words) {
    const r = await this.z8(words);
    expect(r.code === 0, `z8 ${words.join(" ")}: exit ${r.code ?? r.signal}: ${r.stdout}${r.stderr}`);
    return r.stdout;
  }
  async fails(status, says, ...words) {
    const r = await this.z8(words), said = r.stdout + r.stderr;
    expect(r.code === status && says.test(said), `z8 ${words.join(" ")}: exit ${r.code ?? r.signal}, not ${status} with ${says}: ${said}`);
    return r;
  }
  rows = async (...words) => lines(await this.ok(...words, "--json"));
  write(source, name = "p.z8") {
    writeFileSync(join(this.dir, name), source);
    return join(this.dir, name);
  }
  // Runs it to its end.
  async run(source, ...options) {
    const r = await this.z8(["run", ...options, this.write(source)]);
    return { ...r, id: /^run ([0-9a-f-]{36})$/m.exec(r.stderr)?.[1] };
  }
  // Runs beside the test, from which what it said so far can be read.
  spawn(...words) {
    const child = spawn(this.h.z8, words, { env: { ...process.env, ...this.env } });
    child.out = child.err = "";
    child.stdout.on("data", (d) => (child.out += d));
    child.stderr.on("data", (d) => (child.err += d));
    child.on("close", (code, signal) => (child.ended = { code, signal }));
    this.children.push(child);
    return child;
  }
  async end(child) {
    await until("the end of a process", () => child.ended, 30);
    return child.ended.code;
  }
  async agentRun(name) {
    return (await this.rows("runs")).find((r) => r.workflow === name)?.run;
  }
  async inspect(name) {
    const id = await this.agentRun(name);
    return { id, text: await this.ok("inspect", id), json: JSON.parse(await this.ok("inspect", id, "--json")) };
  }
  close() {
    for (const child of this.children) if (!child.ended) child.kill("SIGKILL");
  }
}

const place = (h, name, body, more = {}) => ({
  name, ...more,
  test: async ({ dir }) => {
    const p = new Place(h, dir);
    try { await body(p, dir); } finally { p.close(); }
  },
});
const withModel = (h, name, script, body, more) => place(h, name, async (p, dir) => {
  const server = await modelServer({ script });
  try { await body(p, server, dir); } finally { await server.close(); }
}, more);

const has = (text, ...parts) => { for (const part of parts) expect(part instanceof RegExp ? part.test(text) : text.includes(part), `no ${part} in:\n${text}`); };
const remote = (server, more = "") => `model remote:
  provider: openai
  url: "${server.url("openai")}"
  name: "gpt-test"
  api_key: secret("KEY")
  price: { input: 0.25d, output: 2.00d, cached: 0.025d }
${more}`;

const triage = `
model mini:
  provider: offline
  name: "mini"
  price: { input: 0.25d, output: 2.00d }
  script: [ {text: "I look her up.", calls: [{name: "LookupCustomer", arguments: {id: "c1"}}]}, {text: "An expert may know.", calls: [{name: "Expert", arguments: {query: "is it double?"}}]}, {calls: [{name: "LookupCustomer", arguments: {}}]}, {answer: {label: "billing", score: 3}} ]

model other:
  provider: offline
  name: "other"
  script: [ "It is double." ]

type Verdict:
  label: "billing" | "technical"
  score: int where score > 0

## Finds a customer.
tool LookupCustomer(id: string) -> map:
  effect read
  perform: return {name: "Ada", id: id}

## Knows about charges.
ai_agent Expert:
  model: other
  prompt: "You are an expert."

ai_agent Triage:
  model: mini
  prompt: "You are a triage assistant."
  tools: [ LookupCustomer, Expert ]
  answer: Verdict
  budget: { usd: 0.50d, tokens: 40_000 }

print((ask Triage(query: "double charged")).label)
`;

const asking = (more = "") => `
model clerk:
  provider: offline
  name: "clerk"
  script: [ {text: "They paid twice.", calls: [{name: "Refund", arguments: {amount: 30, customer: "ada"}}]}, "All is settled." ]

## Pays money back.
tool Refund(amount: int, customer: string) -> map:
  effect irreversible
  ask "Refund \${amount} to \${customer}?" within 8h
  perform: return {paid: amount, to: customer}

ai_agent Clerk:
  model: clerk
  prompt: "You refund."
  tools: [ Refund ]
${more}
print(ask Clerk(query: "twice!"))
`;

export default (h) => [
  place(h, "inspect shows who asked, what was known, thought, done, and what it cost", async (p) => {
    const r = await p.run(triage);
    expectEqual(r.stdout, "billing\n", r.stderr);
    const { text, json, id } = await p.inspect("Triage");
    const expert = await p.agentRun("Expert");
    has(text, /^agent +Triage: model mini, strategy react/m, /^tools +LookupCustomer, Expert$/m, new RegExp(`^asked by +run ${r.id}#\\d+, a script$`, "m"),
      /query +double charged/, /model +offline: no model/, /system +You are a triage assistant\./, /model mini \(step\): \d+ tokens in, \d+ out, \$0\.0/,
      /says +I look her up\./, /wants +LookupCustomer \{"id":"c1"\}/, /tool LookupCustomer\(id: "c1"\)/, /because +I look her up\./,
      /gives +\{"name":"Ada","id":"c1"\}/, /agent Expert\(query: "is it double\?"\)/, new RegExp(`run +${expert}`), /told +LookupCustomer: The arguments do not fit/,
      /budget: at most \$0\.50, 40000 tokens/, /^answer +\{"label":"billing","score":3\}$/m, /^complete +yes$/m, /^totals +4 calls of models/m, /^seal +state [0-9a-f]{64}$/m, /chain [0-9a-f]{64}$/m);
    expectEqual(text.split("You are a triage assistant.").length, 2, "the system prompt is said once");
    expect(text.split("\n").every((l) => l.length < 500), "a line is too long");
    expectEqual(json.run, id);
    for (const field of ["agent", "model", "strategy", "asked_by", "arguments", "answer", "complete", "reason", "waits", "steps", "totals", "seal"]) expect(field in json, `no ${field}`);
    expectEqual(JSON.stringify([json.agent, json.model, json.arguments.query, json.answer, json.complete]), JSON.stringify(["Triage", "mini", "double charged", { label: "billing", score: 3 }, true]));
    const calls = json.steps.filter((s) => s.kind === "model"), tool = json.steps.find((s) => s.kind === "tool"), child = json.steps.find((s) => s.kind === "run");
    expectEqual(calls.length, 4);
    expectEqual(JSON.stringify(calls[0].tools), '["LookupCustomer","Expert"]');
    expectEqual(JSON.stringify(calls.map((c) => c.new.length)), "[1,1,1,1]", "what is new in each");
    expectEqual(JSON.stringify([tool.wanted_by, tool.call, child.run]), JSON.stringify([calls[0].seq, 0, expert]));
    for (const c of calls) {
      const usd = (c.usage.input * 0.25 + c.usage.output * 2) / 1e6;
      expect(Math.abs(c.usd - usd) < 2e-9, `${JSON.stringify(c.usage)} costs ${c.usd}, not ${usd}`);
    }
    const sum = (pick) => calls.reduce((n, c) => n + pick(c), 0);
    expectEqual(json.totals.input, sum((c) => c.usage.input));
    expect(Math.abs(json.totals.usd - sum((c) => c.usd)) < 1e-9, "the total is not the sum");
  }),

  withModel(h, "inspect shows errors, waits between attempts, stand-ins, and cached tokens",
    [{ error: { status: 429, headers: { "retry-after": "1" }, message: "slow down" } }, { error: { status: 503, message: "busy" } },
      { text: "Here.", usage: { input: 1000, cached: 400, output: 10 } }],
    async (p, server) => {
      const r = await p.run(`${remote(server, "  max_attempts: 2\n  fallback: [ second ]")}
${remote(server).replace("model remote", "model second")}
ai_agent A:
  model: remote
  prompt: "p"
print(ask A(query: "q"))
`);
      expectEqual(r.stdout, "Here.\n", r.stderr);
      const { text, json } = await p.inspect("A");
      has(text, /failed +model_rate_limited: /, /slept 1s/, /note fallback: remote failed with/, /model +openai gpt-test/, /model second \(answer\): 1000 tokens in \(400 cached\), 10 out, \$0\.00018, /, /3 calls of models \(2 failed\)/);
      const answered = json.steps.filter((s) => s.kind === "model").at(-1);
      expectEqual(answered.usd, 0.00018);
      expectEqual(json.steps.find((s) => s.kind === "note").about, "fallback");
      expectEqual(json.steps.find((s) => s.kind === "wait").outcome, "ok");
      server.check();
    }),

  place(h, "calls of models and notes read well in ordinary runs too, and the log has no long lines", async (p) => {
    const r = await p.run(`model m:
  provider: offline
  name: "m"
  script: [ "one", "two" ]

fn long() -> string:
  return ["word" for i in range(2000)].join(" ")

spec = {provider: "offline", name: "m", script: ["one", "two"]}
a = model.ask({...spec, messages: [{role: "user", content: "hello \${long()}"}]})
b = model.ask({...spec, messages: [{role: "user", content: "hello \${long()}"}, {role: "assistant", content: a.text}, {role: "user", content: "and more"}]})
agent.note("vote", "2 of 3 say so", {n: 2})
print(b.text)
`);
    expectEqual(r.code, 0, r.stderr);
    const text = await p.ok("inspect", r.id);
    has(text, /model m: \d+ tokens in/, /told +and more/, /says +two/, /note vote: 2 of 3 say so/, /2 calls of models: /);
    expectEqual(text.split("hello").length, 2, "a message is shown once");
    const log = await p.ok("log", r.id);
    has(log, /operands offline m after [0-9a-f]{8} user: and more/);
    expect(log.split("\n").every((l) => l.length < 1200), "a line of the log is too long");
  }),

  withModel(h, "text is shown as it comes, before the answer is there; a broken one is marked",
    [{ text: "This one comes in pieces.", piece_ms: 150 }, { text: "This one is going to break", piece_ms: 20, cut: "middle" }, { text: "This one is whole.", piece_ms: 20 }],
    async (p, server) => {
      const file = p.write(`${remote(server)}
ai_agent A:
  model: remote
  prompt: "p"
print(ask A(query: "q"))
print(ask A(query: "r"))
`);
      const child = p.spawn("run", "--stream", file);
      await until("text before the end", () => child.err.includes("This one") && !child.out.includes("This one"));
      expect(!child.ended, "it ended before its text came");
      expectEqual(await p.end(child), 0, child.err);
      expectEqual(child.out, "This one comes in pieces.\nThis one is whole.\n");
      has(child.err, /^This one comes in pieces\.$/m, /\(broke off\)$/m, /^\(asked again\) This one is whole\.$/m);
      server.check();
    }),

  withModel(h, "what was streamed before a crash is asked again, and says so",
    [{ text: "This will not be told to its end.", piece_ms: 150 }, { text: "This is the answer.", piece_ms: 20 }],
    async (p, server) => {
      const child = p.spawn("run", "--stream", p.write(`${remote(server)}
ai_agent A:
  model: remote
  prompt: "p"
print(ask A(query: "q"))
`));
      await until("text", () => child.err.includes("This will"));
      child.kill("SIGKILL");
      await p.end(child);
      const r = await p.z8(["recover", "--stream"]);
      expect(r.code === 0 && r.stdout === "This is the answer.\n", r.stdout + r.stderr);
      has(r.stderr, /^\(asked again\) This is the answer\.$/m);
      const total = (await p.rows("costs")).at(-1).total;
      expect(total.uncertain_calls === 1 && total.calls === 2, JSON.stringify(total));
    }),

  withModel(h, "streams that come at once bear names; --json gives lines; without a terminal nothing is shown unasked",
    (r) => ({ text: `${r.messages.at(-1).content} says a longer text.`, piece_ms: 60 }),
    async (p, server) => {
      const source = `${remote(server)}
ai_agent Left:
  model: remote
  prompt: "p"
ai_agent Right:
  model: remote
  prompt: "p"
parallel:
  a = ask Left(query: "one")
  b = ask Right(query: "two")
print(a, b)
`;
      const shown = await p.run(source, "--stream");
      expect(shown.code === 0 && /\[(Left|Right)\] /.test(shown.stderr), shown.stderr);
      const quiet = await p.run(source);
      expect(quiet.code === 0 && !quiet.stderr.includes("says"), quiet.stderr);
      const json = lines((await p.run(source, "--stream", "--json")).stdout), pieces = json.filter((l) => "stream" in l);
      expect(pieces.length > 2 && pieces.every((l) => l.run && Number.isInteger(l.seq) && l.attempt === 0 && l.model === "remote"), JSON.stringify(pieces));
      for (const agent of ["Left", "Right"]) {
        const own = pieces.filter((l) => l.agent === agent);
        expectEqual(own.map((l) => l.stream).join(""), `${agent === "Left" ? "one" : "two"} says a longer text.`);
        expectEqual(own.at(-1).end, "answered");
      }
    }),

  withModel(h, "tail follows another process: prints, logs, text, ends; one run or all",
    (r) => ({ text: `Answer to ${r.messages.at(-1).content}.`, piece_ms: 120 }),
    async (p, server) => {
      await p.fails(1, /serve|recover/, "tail");
      const child = p.spawn("run", p.write(`${remote(server)}
ai_agent A:
  model: remote
  prompt: "p"
workflow Other:
  sleep 20ms
  log("elsewhere")
  return 1
go = await signal go
o = start Other()
print(ask A(query: "q"))
print(await(o))
fail = await signal fail
raise "boom", message: "it broke"
`));
      const id = (await until("the run", async () => (await p.rows("runs").catch(() => []))[0]?.run));
      const all = p.spawn("tail"), one = p.spawn("tail", id), json = p.spawn("tail", "--json");
      await pause(300);
      await p.ok("signal", id, "go");
      await until("text in a follower", () => /Answer/.test(all.out) && /Answer/.test(one.out) && /"stream":/.test(json.out));
      expect(!child.out.includes("Answer"), "the text came only with the print");
      await until("all of it", () => /^1$/m.test(one.out));
      has(all.out, /^elsewhere$/m, /^Answer to q\.\n/m, /^run [0-9a-f-]{36} done$/m);
      await p.ok("signal", id, "fail");
      expectEqual(await p.end(one), 1, one.err);
      has(one.out, new RegExp(`run ${id} failed: boom it broke`));
      expectEqual(await p.end(child), 1);
      expectEqual(await p.end(all), 0);
      has(all.err, /has ended/);
      await p.end(json);
      const said = lines(json.out);
      for (const key of ["stream", "print", "log", "status"]) expect(said.some((l) => key in l), `no ${key}: ${json.out}`);
    }),

  place(h, "a follower that does not read is told what it missed, and nobody waits for it", async (p) => {
    const child = p.spawn("run", p.write(`go = await signal go
text = ["${"x".repeat(100)}" for i in range(20)].join(" ")
for i in range(4000): print(i, text)
last = await signal last
print("the end")
`));
    const id = await until("the run", async () => (await p.rows("runs").catch(() => []))[0]?.run);
    const slow = p.spawn("tail", id);
    await pause(200);
    slow.kill("SIGSTOP");
    await p.ok("signal", id, "go");
    await until("all prints", () => child.out.includes("\n3999 "), 40);
    slow.kill("SIGCONT");
    await until("what came before", () => slow.out.length > 1e6, 30);
    await p.ok("signal", id, "last");
    expectEqual(await p.end(slow), 0, slow.err);
    expectEqual(await p.end(child), 0);
    has(slow.out, /^\(\d+ lines or pieces of text left out here: /m, /^the end$/m);
    const numbers = [...slow.out.matchAll(/^(\d+) x/gm)].map((m) => Number(m[1]));
    expect(numbers.length > 100 && numbers.length < 4000 && numbers.every((n, i) => i === 0 || n > numbers[i - 1]), `${numbers.length} lines came`);
  }),

  place(h, "approvals: listed, allowed with other arguments by the process that holds the directory", async (p) => {
    const child = p.spawn("run", p.write(asking()));
    const [asked] = await until("the question", async () => { const r = await p.z8(["approvals", "--json"]); const l = r.code === 0 ? lines(r.stdout) : []; return l.length && l; });
    expectEqual(JSON.stringify([asked.tool, asked.question, asked.arguments, asked.asked_by]), JSON.stringify(["Refund", "Refund 30 to ada?", { amount: 30, customer: "ada" }, "Clerk"]));
    expect(asked.since && asked.expires && asked.approval === `${asked.run}#${asked.seq}`, JSON.stringify(asked));
    has(await p.ok("approvals"), asked.approval, 'Refund  {"amount":30,"customer":"ada"}', "Refund 30 to ada?", "asked by Clerk");
    const note = (await p.rows("runs")).find((r) => r.workflow === "Clerk").note;
    has(note, /approval of Refund/);
    has(await p.ok("inspect", asked.run), /asks a person about Refund: Refund 30 to ada\?/, /decided +nobody yet/, /waits for/);
    await p.fails(2, /JSON/, "approve", asked.approval, "--edit", "20");
    await p.fails(1, /fit/, "approve", asked.approval, "--edit", '{"amount": "much"}');
    await p.fails(1, /nothing waits|never was/, "approve", `${asked.run}#1`);
    has(await p.ok("approve", asked.run.slice(0, 30), "--edit", '{"amount": 20}', "--why", "less"), /^edited .*the run goes on$/m);
    expectEqual(await p.end(child), 0, child.err);
    expectEqual(child.out, "All is settled.\n");
    const { text, json } = await p.inspect("Clerk");
    has(text, /decided +edited by tess: less/, /edited to +\{"amount":20,"customer":"ada"\}/, /gives +\{"paid":20,"to":"ada"\}/);
    const step = json.steps.find((s) => s.kind === "approval");
    expectEqual(JSON.stringify([step.verdict, step.by, step.why, step.decided]), JSON.stringify(["edited", "tess", "less", { amount: 20, customer: "ada" }]));
    expectEqual(await p.ok("approvals"), "nothing waits for a decision\n");
    await p.fails(1, /no decision/, "deny", asked.run);
  }),

  place(h, "approvals: refused where nobody runs the directory; recover goes on, and says when a person is awaited", async (p) => {
    const child = p.spawn("run", p.write(asking()));
    const [asked] = await until("the question", async () => { const r = await p.z8(["approvals", "--json"]); const l = r.code === 0 ? lines(r.stdout) : []; return l.length && l; });
    child.kill("SIGTERM");
    await p.end(child);
    const waits = await p.z8(["recover", "--wait", "0s"]);
    expectEqual(waits.code, 5, waits.stderr);
    has(waits.stderr, /approval of Refund/);
    has(await p.ok("deny", asked.approval, "--why", "not today", "--as", "Boss"), /^denied .*z8 recover/m);
    await p.fails(1, /nothing waits/, "deny", asked.approval);
    await p.ok("recover");
    const { text, json } = await p.inspect("Clerk");
    has(text, /decided +denied by Boss: not today/, /told +Refund: .*refused.*not today/);
    expect(!json.steps.some((s) => s.kind === "tool"), "it was done all the same");
    expectEqual(json.answer, "All is settled.");
  }),

  place(h, "of more values than are read as one list none is taken", async (p) => {
    const list = `{type: "array", items: {type: "object", properties: {a: {type: "integer"}}}}`;
    const shown = (n) => `print(schema.read(list.repeat("{\\"a\\": 1}", ${n}).join(" "), ${list}).ok)`;
    has((await p.run(`${shown(4000)}\n${shown(6000)}\n`)).stdout, "true\nfalse\n");
  }),

  place(h, "approvals that nobody decided: the page says whether their time was over", async (p) => {
    await p.run(`tool Pay(n: int) -> int:
  effect irreversible
  perform: return n
fn later(): sleep 50ms
workflow Loser():
  race:
    approve "a?" for Pay(n: 1) within 8h
    later()
workflow Branch():
  parallel:
    a = approve "b?" for Pay(n: 1)
    b = fails()
  return [a, b]
fn fails():
  sleep 50ms
  raise "no"
workflow Late():
  return approve "c?" for Pay(n: 1) within 50ms
for w in [start Loser(), start Branch(), start Late()]: try await(w)
`);
    for (const [name, why] of [["Loser", "it was no longer wanted"], ["Branch", "it was no longer wanted"], ["Late", "the time was over"]]) {
      const { text, json } = await p.inspect(name), step = json.steps.find((s) => s.kind === "approval");
      has(text, `decided    nobody: ${why}\n`);
      expectEqual(JSON.stringify([step.verdict, step.undecided]), JSON.stringify([null, why]));
    }
  }),

  place(h, "runs says all that a run waits for: a limit, and what it asks people", async (p) => {
    const child = p.spawn("run", p.write(`tool Few(n: int) -> int:
  effect read
  limit "few" 1 per 1m
  perform: return n
tool Pay(n: int) -> int:
  effect irreversible
  perform: return n
workflow Both():
  parallel:
    a = approve "a?" for Pay(n: 1)
    b = Few(n: 2)
  return [a, b]
workflow Four():
  return parallel for i in range(4): approve "a?" for Pay(n: i)
Few(n: 1)
a = start Both()
b = start Four()
await(a)
`));
    const noted = (rows, name) => rows.find((r) => r.workflow === name)?.note ?? "";
    const rows = await until("both", async () => {
      const r = await p.z8(["runs", "--json"]), l = r.code === 0 ? lines(r.stdout) : [];
      return noted(l, "Both").includes("; ") && noted(l, "Four").includes("…") && l;
    });
    has(noted(rows, "Both"), /^#\d+ waiting \d+ s for limit few, 1 of 1 requests per 1m; #\d+ approval of Pay$/);
    has(noted(rows, "Four"), /^#1 approval of Pay; #2 approval of Pay; #3 approval of Pay …$/);
    child.kill("SIGTERM");
    await p.end(child);
  }),

  place(h, "approvals: what a run asks that is to be cancelled is not decided any more", async (p) => {
    const child = p.spawn("run", p.write(`tool Pay(n: int) -> int:
  effect irreversible
  perform:
    print("paid \${n}")
    return n
workflow One(n: int):
  return approve "a?" for Pay(n: n)
workflow Two():
  parallel:
    a = approve "a?" for Pay(n: 3)
    await signal go
  return a
hs = [start One(1), start One(2), start Two()]
for h in hs: try await(h)
`));
    const asked = await until("the questions", async () => { const l = await p.z8(["approvals", "--json"]).then((r) => (r.code === 0 ? lines(r.stdout) : [])); return l.length === 3 && l; });
    child.kill("SIGKILL");
    await p.end(child);
    const [one, other, two] = [1, 2, 3].map((n) => asked.find((a) => a.arguments.n === n));
    await p.ok("cancel", one.run);
    await p.fails(1, /is to be cancelled/, "approve", one.approval);
    await p.fails(1, /is to be cancelled/, "deny", one.run);
    await p.ok("signal", two.run, "go"); // it would be in the middle of a step: what follows is mail
    await p.ok("cancel", two.run);
    await p.fails(1, /is to be cancelled/, "approve", two.approval);
    expectEqual((await p.rows("approvals")).map((a) => a.approval).join(), other.approval);
    await p.ok("deny", other.run);
    await p.fails(1, /nothing waits/, "deny", other.approval);
    expectEqual(await p.ok("approvals"), "nothing waits for a decision\n");
    const end = await p.z8(["recover"]);
    expect(end.code === 0 && !end.stdout.includes("paid"), end.stdout + end.stderr);
    const ended = (await p.rows("runs")).map((r) => `${r.workflow} ${r.status}`).sort().join();
    expectEqual(ended, " done,One cancelled,One done,Two cancelled");
  }),

  place(h, "ask: an agent of what is served, or of the directory alone", async (p) => {
    const file = p.write(asking(`
model echo:
  provider: offline
  script: [ "It is written." ]

ai_agent Scribe(query: string, due: time, copies: int = 1, amounts: list[decimal] = [], per: {amount: decimal, from: time}? = nil):
  model: echo
  prompt: "You write \${copies} by \${due}: \${amounts}."
`));
    await p.fails(1, /no run|no application/, "ask", "Clerk", "twice!");
    const serving = p.spawn("serve", file);
    await until("it to serve", () => serving.err.includes("serving"));
    const question = { query: "a deed", due: "2026-11-20T08:00:00Z", amounts: [1, "2.50"], per: { amount: 1.5, from: "2026-11-20T08:00:00Z" } };
    expectEqual(await p.ok("ask", "Scribe", JSON.stringify(question)), "It is written.\n");
    const said = JSON.parse(await p.ok("ask", "Scribe", JSON.stringify(question), "--json", "--tenant", "acme"));
    expectEqual(JSON.stringify([said.status, said.answer]), '["done","It is written."]');
    const { text, json } = await p.inspect("Scribe");
    has(text, /^asked by +a person \(`z8 ask`\)$/m, /^  amounts +\[/m, "You write 1 by");
    expect(!("copies" in json.arguments) && !/^  (copies|conversation|details) /m.test(text), "what was left out is shown");
    expect((await p.rows("costs")).some((r) => r.tenant === "acme" && r.calls === 1), "whose call it was");
    await p.fails(1, /there is no ai_agent Scrib; there is .*Clerk.*Scribe|there is no ai_agent Scrib; there is .*Scribe.*Clerk/, "ask", "Scrib", "x");
    await p.fails(1, /Scribe needs `due`: time/, "ask", "Scribe", "a deed");
    await p.fails(1, /`due` of Scribe must be time, and this is .*yesterday/, "ask", "Scribe", '{"query": "a", "due": "yesterday"}');
    await p.fails(1, /`amounts\[1\]` of Scribe must be decimal/, "ask", "Scribe", '{"query": "a", "due": "2026-11-20T08:00:00Z", "amounts": [1, "x"]}');
    await p.fails(1, /`per\.amount` of Scribe must be decimal/, "ask", "Scribe", '{"query": "a", "due": "2026-11-20T08:00:00Z", "per": {"amount": true, "from": "2026-11-20T08:00:00Z"}}');
    await p.fails(1, /Scribe has no field `when`; it has query, due, copies, amounts, per/, "ask", "Scribe", '{"query": "a", "when": 1}');
    await p.fails(1, /JSON, line 1, column 2/, "ask", "Scribe", "{");
    await p.fails(2, /ask takes|usage|AGENT/i, "ask");
    const waiting = p.spawn("ask", "Clerk", "twice!");
    const [asked] = await until("the question", async () => { const l = await p.rows("approvals"); return l.length && l; });
    await p.ok("approve", asked.approval);
    expectEqual(await p.end(waiting), 0, waiting.err);
    expectEqual(waiting.out, "All is settled.\n");
    const left = p.spawn("ask", "Clerk", "twice!");
    await until("the question", async () => (await p.rows("approvals")).length);
    serving.kill("SIGTERM");
    expectEqual(await p.end(left), 1, left.out);
    has(left.err, /stopped before the answer came; `z8 inspect [0-9a-f-]{36}` has the answer once/);
    expectEqual(await p.end(serving), 0, serving.err);
    expectEqual(await p.ok("ask", "Scribe", JSON.stringify(question)), "It is written.\n");
    const parked = await p.fails(5, /waits for\n.*approval of Refund/, "ask", "Clerk", "twice!");
    has(parked.stderr, /it waits; `z8 inspect/);
    expectEqual((await p.rows("approvals")).length, 2, "both wait still");
  }),

  place(h, "tenants have budgets and limits of their own", async (p) => {
    const file = p.write(`
model echo:
  provider: offline
  script: [ "yes" ]

budget Daily: { calls: 2 per 1d, by: [tenant, agent] }
limit Pace: { provider: offline, requests: 3 per 1h, by: [tenant] }

ai_agent First:
  model: echo
  prompt: "p"

ai_agent Second:
  model: echo
  prompt: "p"
`);
    const serving = p.spawn("serve", file);
    await until("it to serve", () => serving.err.includes("serving"));
    const yes = async (agent, ...more) => expectEqual(await p.ok("ask", agent, "q", ...more), "yes\n");
    for (const tenant of ["acme", "acme", "globex", "globex"]) await yes("First", "--tenant", tenant);
    await p.fails(1, /Daily/, "ask", "First", "q", "--tenant", "acme");
    await p.fails(1, /no control characters/, "ask", "First", "q", "--tenant", "a\tb");
    await yes("First"); // of the tenant default
    await yes("Second", "--tenant", "acme");
    const paced = p.spawn("ask", "Second", "q", "--tenant", "acme");
    await until("a wait for the limit", async () => (await p.rows("runs")).some((r) => /waiting .* Pace.*3 of 3 requests per 1h/.test(r.note ?? "")));
    await yes("Second", "--tenant", "globex");
    const rows = await p.rows("costs", "--by", "tenant");
    expectEqual(JSON.stringify(rows.filter((r) => r.tenant).map((r) => [r.tenant, r.calls])), '[["acme",3],["default",1],["globex",3]]');
    serving.kill("SIGTERM");
    expectEqual(await p.end(paced), 1, paced.out);
    expectEqual(await p.end(serving), 0, serving.err);
  }),

  place(h, "costs: by day, tenant, agent and model; the sums agree with the pages", async (p) => {
    expectEqual((await p.z8(["costs"])).code, 1, "there is no directory");
    await p.run(triage);
    const { json } = await p.inspect("Triage");
    const rows = await p.rows("costs"), total = rows.at(-1).total;
    const own = rows.find((r) => r.agent === "Triage");
    expectEqual(JSON.stringify([own.tenant, own.model, own.calls, own.input, own.output]), JSON.stringify(["default", "mini", 4, json.totals.input, json.totals.output]));
    expect(Math.abs(own.usd - json.totals.usd) < 1e-9 && own.uncertain_calls === 0 && own.reserved_usd === 0, JSON.stringify(own));
    expect(/^\d{4}-\d\d-\d\d$/.test(own.day) && total.calls === 5, JSON.stringify(rows));
    const models = await p.rows("costs", "--by", "model");
    expectEqual(JSON.stringify(models.map((m) => m.model ?? "total")), '["mini","other","total"]');
    expect(!("agent" in models[0]), JSON.stringify(models[0]));
    expectEqual((await p.rows("costs", "--since", "2999-01-01")).length, 1, "only the total");
    expectEqual(await p.ok("costs", "--since", "2999-01-01"), "no model was asked since 2999-01-01\n");
    has(await p.ok("costs", "--by", "agent"), /^agent +calls +tokens in/m, /^Triage +4 /m, /^total +5 /m);
    await p.fails(2, /day,tenant,agent,model/, "costs", "--by", "colour");
    await p.fails(2, /date/, "costs", "--since", "yesterday");
  }),

  withModel(h, "costs while calls are on their way, and of calls whose answer was lost",
    (r) => (r.n === 1 ? { text: "slow", delay_ms: 1500 } : { text: "x", cut: "headers" }),
    async (p, server) => {
      const child = p.spawn("run", p.write(`${remote(server, "  max_attempts: 1\n  max_tokens: 1_000")}
ai_agent A:
  model: remote
  prompt: "p"
print(ask A(query: "q"))
r = try ask A(query: "r")
print(r.ok)
`));
      const reserved = await until("a reservation", async () => { const r = await p.z8(["costs", "--json"]); return r.code === 0 && lines(r.stdout).at(-1).total.reserved_usd; });
      expect(reserved >= 0.002, `${reserved}`);
      expectEqual(await p.end(child), 0, child.err);
      const total = (await p.rows("costs")).at(-1).total;
      expect(total.reserved_usd === 0 && total.calls === 2 && total.uncertain_calls === 1 && total.uncertain_usd > 0 && total.usd >= total.uncertain_usd, JSON.stringify(total));
    }),

  withModel(h, "inspect says what its sum has not: answers that were lost, calls that were dropped or refused by a budget",
    (r) => (r.n === 2 ? { text: "x", cut: "headers" } : { text: "yes", delay_ms: r.n === 3 ? 1000 : 0 }),
    async (p, server) => {
      const r = await p.run(`${remote(server, "  max_attempts: 1\n  max_tokens: 100")}
fn one() -> string:
  r = try model.call(remote(), {messages: [{role: "user", content: "q"}]})
  if r.ok: return "ok"
  return r.error.code
fn soon() -> string:
  sleep 100ms
  return "dropped"
fn raced() -> string:
  return race:
    one()
    soon()
budget { calls: 3 }: print(one(), one(), raced(), one())
`);
      expectEqual(r.stdout, "ok model_network dropped budget_exhausted\n", r.stderr);
      const text = await p.ok("inspect", r.id), { totals } = JSON.parse(await p.ok("inspect", r.id, "--json"));
      has(text, /^3 calls of models \(1 failed\): \d+ tokens in, \d+ out, \$[0-9.]+; 1 lost, charged as uncertain in `z8 costs`; 1 dropped, .*; 1 refused by a budget$/m);
      expectEqual(JSON.stringify([totals.calls, totals.failed, totals.lost, totals.dropped, totals.refused]), "[3,1,1,1,1]");
      const { total } = (await p.rows("costs")).at(-1);
      expect(total.uncertain_calls === 1 && total.usd - total.uncertain_usd >= totals.usd, JSON.stringify([total, totals]));
    }),

  withModel(h, "runs says what a waiting agent waits for: a limit", (r) => `answer ${r.n}`,
    async (p, server) => {
      const child = p.spawn("run", p.write(`${remote(server, "  limit: { requests: 1 per 3s }")}
ai_agent A:
  model: remote
  prompt: "p"
print(ask A(query: "one"))
print(ask A(query: "two"))
`));
      const note = await until("the wait", async () => { const r = await p.z8(["runs", "--json"]); return r.code === 0 && lines(r.stdout).map((l) => l.note).find((n) => /waiting/.test(n)); });
      has(note, /remote/, /1 of 1/);
      const waiting = (await p.rows("runs")).findLast((r) => r.workflow === "A");
      has(await p.ok("inspect", waiting.run), /waits for\n.*waiting/);
      expectEqual(await p.end(child), 0, child.err);
    }),

  place(h, "serve wants the keys of its models; doctor says which are set and never their values", async (p) => {
    const source = `model m:
  provider: anthropic
  name: "x"
  api_key: secret("MY_KEY")
model n:
  provider: offline
  name: "y"
ai_agent A:
  model: m
  prompt: "p"
worker W(n: int):
  perform(job): print(job.n)
`;
    const file = p.write(source);
    const r = await p.z8(["serve", file]);
    expect(r.code === 1 && /the model m has no key: set MY_KEY in the environment/.test(r.stderr), r.stdout + r.stderr);
    const usual = p.write('ai_agent A:\n  model: smart\n  prompt: "p"\n', "q.z8");
    const s = await p.z8(["serve", usual], { ANTHROPIC_API_KEY: "", OPENAI_API_KEY: "" });
    expect(s.code === 1 && /the model smart has no key: set ANTHROPIC_API_KEY or OPENAI_API_KEY/.test(s.stderr), s.stdout + s.stderr);
    mkdirSync(p.data, { recursive: true });
    writeFileSync(join(p.data, "secrets"), "MY_KEY=very-private\n");
    const child = p.spawn("serve", file);
    await until("it to serve", () => child.err.includes("serving"));
    const said = await p.ok("doctor");
    has(said, /model +m \(anthropic\): MY_KEY is set/, /model +n \(offline\) needs no key/);
    expect(!said.includes("very-private"), "a key was shown");
    child.kill("SIGTERM");
    await p.end(child);
    writeFileSync(join(p.data, "secrets"), "");
    has(await p.ok("doctor"), /note +model +m \(anthropic\): MY_KEY is not set/);
  }),
];
