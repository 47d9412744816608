// What is promised of models, measured at a server that counts: runs are replayed without asking anybody, nothing that was
// confirmed is asked again after kill -9, journals grow by what is new, budgets are kept and limits too.
import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { expect, expectEqual } from "../support/harness.mjs";
import { pause, lines, Served, until } from "../support/served.mjs";
import { HOST, declared, modelled } from "../support/model_runs.mjs";

const json = (v) => JSON.stringify(v);
let seed = 20261129;
const chance = () => (seed = (seed * 1103515245 + 12345) % 2147483648) / 2147483648;
const PRICE = "{ input: 1.0d, output: 2.0d }"; // dollars per million tokens: 1 and 2 micro dollars a token
const microdollars = (usage) => (usage ? usage.input + 2 * usage.output : 0); // an answer that was an error costs nothing

// ---- replay ----

const STRATEGIES = { Direct: "direct", Cot: "cot", Votes: "cot(samples: 3)", Draft: 'cot(style: "draft")', React: "react", Tot: "tot(depth: 2)",
  Dfs: 'tot(depth: 2, search: "dfs")', Got: "got", Aot: "aot", Revise: "revise(rounds: 2)", Adaptive: "adaptive", Own: "Careful" };
const THINKING = `${HOST}${declared("fast", "openai", { price: PRICE })}
tool Look(id: int) -> string:
  effect read
  perform: return "thing \${id}"
fn told(name: string, d: map):
  print(json.stringify({name, answer: d.answer, strategy: d.strategy, tokens: d.usage.tokens, usd: d.usd, calls: d.calls}))
strategy Careful(run, tries: int = 2):
  said = parallel for i in range(tries): agent.think(run, agent.messages(run, "\${run.question} \${i}"), {purpose: "own"})
  return agent.finish(run, agent.messages(run), said[tries - 1], {strategy: "own"})
${Object.entries(STRATEGIES).map(([name, how]) => `
ai_agent ${name}(query: string):
  model: fast
  on_limit: answer
  strategy: ${how}${name === "React" ? "\n  tools: [Look]" : ""}
told("${name}", ask ${name}(query: "six times seven", details: true))
`).join("")}
`;
// Says something to every kind of question; what it says differs from call to call.
function thinks(r) {
  const n = r.n, last = r.messages.at(-1).content;
  if (r.tools.length && last.includes("six times")) return { text: "I look.", calls: [{ name: "Look", arguments: { id: 1 } }, { name: "Look", arguments: { id: 2 } }] };
  if (/score|Score/.test(last)) return `It is fair.\nScore: ${(n % 5) + 4}`;
  return `1. take ${n}\n2. take ${n + 1}\n3. rest\n#### ${40 + (n % 3)}\nAnswer: ${40 + (n % 3)}`;
}
const replays = (h) => modelled(h, "every strategy runs again from its journal, with the server gone", thinks, async (m, server) => {
  const told = await m.printed(THINKING);
  const spent = server.calls.reduce((sum, c) => sum + c.usage.input + c.usage.output, 0);
  await server.close();
  expectEqual(told.map((t) => t.name).join(" "), Object.keys(STRATEGIES).join(" "));
  expectEqual(told.reduce((sum, t) => sum + t.tokens, 0), spent, `tokens that all spent: ${json(told)}`);
  expectEqual(told.reduce((sum, t) => sum + t.calls, 0), server.calls.length, "calls");
  const usd = server.calls.reduce((sum, c) => sum + microdollars(c.usage), 0) / 1e6;
  expect(Math.abs(told.reduce((sum, t) => sum + Number(t.usd), 0) - usd) < 1e-9, `dollars: ${json(told)}, not ${usd}`);
  const runs = await m.runs();
  expect(runs.length > Object.keys(STRATEGIES).length, `${runs.length} runs`);
  for (const { run } of runs) {
    const again = await m.z8("replay", run, "--json"), r = JSON.parse(again.stdout || "{}");
    expect(again.code === 0 && r.effects === 0, `replay: ${again.stdout}${again.stderr}`);
  }
  return runs.length;
});

// ---- kills ----

const TALK = (turns) => `${HOST}${declared("fast", "openai", { price: PRICE, max_tokens: 300 })}
tool Note(n: int) -> int:
  effect read
  perform: return n
ai_agent Talk(query: string):
  model: fast
  tools: [Note]
  max_iterations: ${turns + 5}
d = ask Talk(query: "begin", details: true)
print(json.stringify(d))
`;
const turnOf = (r) => r.messages.filter((x) => x.role === "assistant").length;

// What was printed is on record; of a process that is killed it may not have arrived.
async function recorded(m) {
  const logs = await Promise.all((await m.runs()).map(({ run }) => m.log(run)));
  return logs.flat().filter((r) => r.record === "ASKED" && r.kind === "print").map((r) => JSON.parse(r.operands[0]));
}

async function killedAtRandom(m, file, window, most) {
  let kills = 0;
  for (let words = ["run", file]; kills < most; words = words.length ? ["recover"] : ["run", file]) {
    const ended = { is: false };
    const timer = pause(30 + chance() * window);
    try {
      await m.killedWhen(timer, ...words);
      kills++;
    } catch (e) {
      if (!/was over before/.test(e.message)) throw e;
      if (m.server.calls.length === 0 && /there are no runs|nothing to recover/.test(e.message)) words = []; // killed before it had begun
      if (words.length === 0) continue;
      expect(/"code":0/.test(e.message), e.message);
      await pause(100); // what the server still answers to processes that are gone is charged too
      return kills;
    }
  }
  await m.ok("recover");
  return kills;
}

const killed = (h) => modelled(h, "40 calls under kills: nothing confirmed is asked again, and the books hold what is known", async (r) => {
  await pause(20 + chance() * 40);
  const usage = { input: Math.ceil(r.messages.reduce((n, x) => n + x.content.length + json(x.calls ?? "").length, 0) / 4) };
  return turnOf(r) < 39 ? { text: `Turn ${turnOf(r)}.`, calls: [{ name: "Note", arguments: { n: turnOf(r) } }], usage } : { text: "The end.", usage };
}, async (m, server) => {
  const kills = await killedAtRandom(m, m.write(TALK(40)), 200, 60);
  expect(kills >= 15, `only ${kills} kills came before the end`);
  const turns = server.calls.map(turnOf), again = turns.filter((t, i) => i > 0 && t === turns[i - 1]).length;
  expect(turns.every((t, i) => i === 0 || t === turns[i - 1] || t === turns[i - 1] + 1), `asked in the order ${turns}`);
  expectEqual(turns.at(-1), 39, "the last turn");
  expect(again <= kills, `${again} were asked again under ${kills} kills`);
  const calls = await m.calls();
  const ok = calls.filter((c) => c.outcome === "ok");
  expectEqual(ok.length, 40, "confirmed calls on record");
  const sum = (list, f) => list.reduce((n, x) => n + f(x), 0);
  const charged = sum(server.calls, (c) => c.usage.input + c.usage.output), certain = sum(ok, (c) => c.value.usage.input + c.value.usage.output);
  const [d] = await recorded(m);
  expect(d.answer === "The end." && d.complete, json(d));
  expect(certain <= charged && charged <= d.usage.tokens, `certain ${certain}, charged ${charged}, in the books ${d.usage.tokens}`);
  const lost = d.calls - 40;
  expect(lost >= again && lost <= kills, `${d.calls} calls in the books, ${server.calls.length} at the server, ${kills} kills`);
  const { total } = lines(await m.ok("costs", "--json")).at(-1), dollars = (list, of) => sum(list, (x) => microdollars(of(x)));
  expectEqual(json([total.calls, total.uncertain_calls, total.input + total.output, total.reserved_usd]), json([d.calls, lost, d.usage.tokens, 0]), "z8 costs");
  const sure = (total.usd - total.uncertain_usd) * 1e6;
  expect(Math.abs(sure - dollars(ok, (c) => c.value.usage)) < 1e-3, `certain in the books ${sure}`);
  expect(dollars(server.calls, (c) => c.usage) <= total.usd * 1e6 + 1e-3, `charged more than ${json(total)}`);
  await m.replayed();
});

// ---- the journal ----

const bytesOf = (folder) => readdirSync(folder, { recursive: true }).map((f) => statSync(join(folder, f))).filter((s) => s.isFile()).reduce((sum, s) => sum + s.size, 0);

const linear = (h) => modelled(h, "a conversation of 100 turns grows by what is new", (r) => (turnOf(r) < 99
  ? { text: `Turn ${turnOf(r)}. ${"word ".repeat(60)}`, calls: [{ name: "Note", arguments: { n: turnOf(r) } }] } : "The end."), async (m, server) => {
  await m.run(TALK(100));
  expectEqual(server.calls.length, 100, "calls");
  const run = (await m.runs()).find((r) => r.workflow === "Talk").run, log = await m.log(run);
  const at = log.map((x, i) => (x.record === "ASKED" && x.kind === "model" ? i : -1)).filter((i) => i >= 0);
  const turn = (n) => json(log.slice(at[n], at[n + 1])).length;
  const mean = (from) => [0, 1, 2, 3, 4].reduce((sum, i) => sum + turn(from + i), 0) / 5;
  const early = mean(18), late = mean(93);
  expect(late <= 1.5 * early, `bytes a turn: ${early} at turn 20, ${late} at turn 95`);
  const stored = bytesOf(m.data), sent = server.calls.reduce((sum, c) => sum + c.raw.length, 0);
  expect(stored < sent / 2, `${stored} bytes are kept of ${sent} that were sent`);
});

// ---- budgets ----

// Many calls at once; the server charges what it likes, at most what max_tokens allows.
const charges = (most, delay = 5) => async (r) => {
  await pause(delay * chance());
  return { text: "Fine.", usage: { input: 10 + Math.floor(chance() * 10), output: Math.floor(chance() * (most + 1)) } };
};
const MANY = (model, before, body) => `${HOST}${declared("fast", "openai", { price: PRICE, max_tokens: 100, ...model })}
fn one(i: any) -> string:
  r = try model.call(fast(), {messages: [{role: "user", content: "case \${i}"}]})
  if r.ok: return "ok"
  return r.error.code
fn told(rs: list, left: any):
  print(json.stringify({ok: rs.count_where(r -> r is "ok"), refused: rs.count_where(r -> r is "budget_exhausted"), all: len(rs), left}))
${before}
${body}
`;
const chargedOf = (server) => server.calls.reduce((sum, c) => sum + microdollars(c.usage), 0);

const BUDGET = (usd, limit) => MANY({}, `workflow Many(n: int):
  budget { usd: ${usd}d }:
    rs = parallel for i in range(n) limit ${limit}: one(i)
    told(rs, budget.left())
`, "Many(80)");

const budgets = (h) => [
  modelled(h, "a budget of a scope is used up by calls at once, and never overspent", charges(100), async (m, server) => {
    const [told] = await m.printed(BUDGET(0.004, 24)), charged = chargedOf(server);
    expect(told.ok + told.refused === told.all && told.refused > 0, json(told));
    expect(charged <= 4000, `${charged} of 4000 were charged`);
    expect(charged > 4000 - 260, `only ${charged} of 4000 were charged: ${json(told)}`);
    expectEqual(server.calls.length, told.ok, "calls");
    expect(Math.abs(Number(told.left.spent.usd) * 1e6 - charged) < 1e-6 && told.left.spent.calls === told.ok, `${charged}: ${json(told)}`);
    await m.replayed();
  }),
  modelled(h, "tokens and calls are budgets too", charges(100), async (m, server) => {
    const told = await m.printed(MANY({}, `workflow Many(n: int):
  budget { calls: 7 }:
    rs = parallel for i in range(n) limit 24: one(i)
    told(rs, budget.left())
workflow Tokens(n: int):
  budget { tokens: 1_000 }:
    budget { usd: 1.0d, calls: 500 }:
      rs = parallel for i in range(n) limit 24: one(i)
      told(rs, budget.left())
`, "Many(30)\nTokens(60)"));
    expect(told[0].ok === 7 && told[0].refused === 23 && told[0].left.calls === 0, json(told));
    const tokens = server.calls.slice(7).reduce((sum, c) => sum + c.usage.input + c.usage.output, 0);
    expect(tokens <= 1000 && tokens > 1000 - 160 && told[1].refused > 0, `${tokens} tokens: ${json(told[1])}`);
  }),
  modelled(h, "a budget holds under kills", charges(100, 60), async (m, server) => {
    const kills = await killedAtRandom(m, m.write(BUDGET(0.006, 4)), 120, 12);
    expect(kills >= 3, `only ${kills} kills came before the end`);
    const charged = chargedOf(server), [told] = await recorded(m);
    expect(charged <= 6000, `${charged} of 6000 were charged under ${kills} kills`);
    const spent = Number(told.left.spent.usd) * 1e6;
    expect(charged <= spent + 1e-6 && spent <= 6000 && spent > 6000 - 260, `charged ${charged}, in the books ${spent}`);
    expect(told.ok + told.refused === told.all && told.refused > 0 && told.ok > 0, json(told));
    expect(told.left.spent.calls - told.ok <= 4 * kills, `${json(told)} under ${kills} kills`);
  }),
  modelled(h, "a budget of a program outlives its processes", charges(100), async (m, server) => {
    const program = m.write(MANY({}, "budget Acme: { usd: 0.004d, by: [model] }", `rs = parallel for i in range(20) limit 10: one(i)
told(rs, nil)`));
    const told = [];
    for (let i = 0; i < 4; i++) told.push(...lines(await m.ok("run", program)));
    const charged = chargedOf(server);
    expect(charged <= 4000 && charged > 4000 - 260, `${charged} of 4000 were charged: ${json(told)}`);
    expect(told[0].refused === 0 && told[3].ok === 0, json(told));
  }),
  modelled(h, "child runs spend what the scope around them has", charges(100), async (m, server) => {
    const [told] = await m.printed(MANY({}, `ai_agent Helper(query: string):
  model: fast
fn helped(i: int) -> string:
  r = try ask Helper(query: "case \${i}")
  if r.ok: return "ok"
  if r.error.code is "agent_incomplete" and r.error.data.reason is "budget": return "budget_exhausted"
  return r.error.code
workflow Many(n: int):
  budget { usd: 0.002d }:
    rs = parallel for i in range(n) limit 12: helped(i)
    told(rs, budget.left())
`, "Many(40)"));
    const charged = chargedOf(server);
    expect(charged <= 2000 && charged > 2000 - 260 && told.refused > 0, `${charged} of 2000: ${json(told)}`);
    expect(Math.abs(Number(told.left.spent.usd) * 1e6 - charged) < 1e-6, `${charged}: ${json(told)}`);
  }),
  modelled(h, "a budget that ends lets a cheaper model stand in", charges(100), async (m, server) => {
    const [told] = await m.printed(`${HOST}${declared("big", "openai", { price: "{ input: 100.0d, output: 100.0d }", max_tokens: 100 })}${declared("small", "openai", { price: PRICE, max_tokens: 100 })}
ai_agent Helper(query: string):
  model: big
  budget: { usd: 0.001d, degrade: small }
print(json.stringify(ask Helper(query: "x", details: true)))
`);
    expectEqual(server.calls.map((c) => c.model).join(" "), "small-1");
    expect(told.answer === "Fine." && json(await m.notes()).includes('"degrade"'), json(told));
  }),
  modelled(h, "what is dearest is what is reserved", () => ({ text: "ok", usage: { input: 300, cache_write: 300, output: 1 } }), async (m, server) => {
    const [told] = await m.printed(`${HOST}${declared("fast", "anthropic", { price: "{ input: 1.0d, output: 1.0d, cache_write: 10.0d }", max_tokens: 1 })}
fn one(i: int) -> string:
  r = try model.call(fast(), {messages: [{role: "user", content: "a word or two ".repeat(100)}]})
  if r.ok: return "ok"
  return r.error.code
workflow W():
  budget { usd: 0.02d }:
    rs = parallel for i in range(30) limit 30: one(i)
    print(json.stringify({ok: rs.count_where(r -> r is "ok"), usd: budget.left().spent.usd}))
W()
`);
    const charged = server.calls.length * 3001;
    expect(charged <= 20000 && Math.abs(Number(told.usd) * 1e6 - charged) < 1e-6, `${charged} of 20000: ${json(told)}`);
  }),
  modelled(h, "who loses a race is paid for, and an answer that nobody waits for too", async (r) => {
    await pause(/slow/.test(r.messages[0].content) ? 400 : 30);
    return { text: r.messages[0].content, usage: { input: 10, output: 50 } };
  }, async (m) => {
    const model = declared("fast", "openai", { price: PRICE, max_tokens: 100, max_attempts: 1 }), acme = "budget Acme: { calls: 4 }\n";
    const one = `fn one(s: string) -> string:
  r = try model.call(fast(), {messages: [{role: "user", content: s}]})
  if r.ok: return r.value.text
  return r.error.code
`;
    const spent = lines(await m.run(`${HOST}${model}${acme}${one}
workflow W():
  budget { usd: 1.0d }:
    x = race:
      one("slow")
      one("quick")
    sleep 700ms
    print(json.stringify([x, budget.left().spent.calls, budget.left().spent.usd]))
W()
`))[0];
    expectEqual(json(spent), '["quick",2,0.00022]');
    expectEqual((await m.ok("run", m.write(`${HOST}${model}${acme}${one}
x = race:
  one("slow too")
  one("quick")
print(x)
`, "b.z8"))).trim(), "quick"); // it is over while the other call is on its way
    expectEqual((await m.ok("run", m.write(`${HOST}${model}${acme}${one}print(one("quick"))\n`, "c.z8"))).trim(), "budget_exhausted");
  }),
  modelled(h, "a call whose time is over is charged in full, as uncertain", async () => { await pause(1500); return "late"; }, async (m) => {
    const [told] = await m.printed(`${HOST}${declared("fast", "openai", { price: PRICE, max_tokens: 100, max_attempts: 1, timeout: "300ms" })}
workflow W():
  budget { usd: 1.0d }:
    r = try model.call(fast(), {messages: [{role: "user", content: "slow"}]})
    print(json.stringify({code: r.error?.code, class: r.error?.data.class, spent: budget.left().spent}))
W()
`);
    expect(told.code === "model_network" && told.class === "unknown" && told.spent.calls === 1 && Number(told.spent.usd) >= 0.0002, json(told));
  }),
];

// ---- limits ----

// No stretch of that length has more than `most`; on the way to the server a call may lose a little time against another.
function windowed(server, most, ms, of = () => 1) {
  const slack = 350, calls = server.calls.map((c) => [c.at_ms, of(c)]).sort((a, b) => a[0] - b[0]);
  calls.forEach(([at], i) => {
    let sum = 0;
    for (let k = i; k < calls.length && calls[k][0] < at + ms - slack; k++) sum += calls[k][1];
    expect(sum <= most, `${sum} within ${ms} ms, and ${most} are allowed: ${calls.map((c) => c[0] - calls[0][0])}`);
  });
}
const LIMITED = (limit, n, more = "") => MANY({ max_tokens: 50, limit }, `workflow Many(n: int):
  rs = parallel for i in range(n) limit 50: one(i)
  told(rs, nil)
${more}`, `Many(${n})`);

const limits = (h) => [
  modelled(h, "what is over a limit waits, and no window ever has more", charges(50), async (m, server) => {
    const began = Date.now(), [told] = await m.printed(LIMITED("{ requests: 10 per 1s }", 35)), took = Date.now() - began;
    expectEqual(told.ok, 35, json(told));
    windowed(server, 10, 1000);
    expect(took > 2900 && took < 6000, `35 calls of 10 a second took ${took} ms`);
  }),
  modelled(h, "tokens are limited by what they turn out to be", charges(50), async (m, server) => {
    const [told] = await m.printed(LIMITED("{ tokens: 600 per 1s }", 30));
    expectEqual(told.ok, 30, json(told));
    windowed(server, 600, 1000, (c) => c.usage.input + c.usage.output);
  }),
  modelled(h, "a window outlives kill -9", charges(50), async (m, server) => {
    const file = m.write(LIMITED("{ requests: 8 per 2s }", 20));
    await m.killedWhen(until("some calls", () => server.calls.length >= 5), "run", file);
    await m.killedWhen(pause(300), "recover");
    await m.killedWhen(until("more calls", () => server.calls.length >= 12), "recover");
    await m.ok("recover");
    expectEqual((await recorded(m))[0].ok, 20);
    windowed(server, 8, 2000);
    expect(server.calls.length >= 20 && server.calls.length <= 20 + 24, `${server.calls.length} calls`);
    expectEqual(new Set(server.calls.map((c) => c.messages[0].content)).size, 20, "cases");
  }),
  modelled(h, "a run that asks little is not behind one that asks much", charges(50), async (m, server) => {
    const out = await m.run(`${HOST}${declared("fast", "openai", { max_tokens: 50 })}
limit Vendor: { provider: openai, requests: 6 per 1s }
workflow Many(name: string, n: int):
  return parallel for i in range(n) limit 50: model.call(fast(), {messages: [{role: "user", content: "\${name} \${i}"}]}).text
a = start Many("much", 30)
sleep 100ms
b = start Many("little", 6)
print(len(await(b)))
print(len(await(a)))
`);
    expectEqual(out.trim(), "6\n30");
    windowed(server, 6, 1000);
    const order = server.calls.map((c) => c.messages[0].content), last = order.findLastIndex((c) => c.startsWith("little"));
    expect(last < 6 + 12 + 6, `the last of the little one was number ${last + 1}`);
  }),
];

// ---- jobs ----

const jobs = (h) => modelled(h, "a later attempt of a job asks for nothing that an earlier one was told", (r) => (r.tools.length && r.messages.length === 1
  ? { calls: [{ name: "Look", arguments: { id: 1 } }, { name: "Look", arguments: { id: 2 } }] } : `reply ${r.n}`), async (m, server) => {
  const out = await m.run(`${HOST}${declared("fast", "openai")}
tool Look(id: int) -> int:
  effect read
  perform: return id
ai_agent Helper(query: string):
  model: fast
  tools: [Look]
worker Job:
  max_attempts 20 backoff 30ms..40ms
  perform(job):
    a = model.call(fast(), {messages: [{role: "user", content: "first"}]}).text
    if now() - job.at < 150ms: raise "not yet"
    b = model.call(fast(), {messages: [{role: "user", content: "first"}, {role: "assistant", content: a}, {role: "user", content: "more"}]}).text
    c = ask Helper(query: "x")
    d = parallel for i in range(3): model.call(fast(), {messages: [{role: "user", content: "case \${i}"}]}).text
    return [a, b, c, len(d)]
print(json.stringify(await(enqueue Job(at: now()))))
`);
  expectEqual(json(JSON.parse(out)), '["reply 1","reply 2","reply 4",3]');
  expectEqual(server.calls.length, 7, "calls");
});

// ---- everything at once ----

const CHAOS = (provider, other) => `${HOST}${declared("fast", provider, { max_attempts: 6, fallback: "[other]", price: PRICE })}${declared("other", other, { max_attempts: 9, price: PRICE })}
tool Note(n: int) -> int:
  effect read
  perform: return n
ai_agent Talk(query: string):
  model: fast
  tools: [Note]
  max_iterations: 14
d = ask Talk(query: "begin", details: true)
print(json.stringify(d))
`;
// A server that fails in every way it knows, a process that is killed: the conversation is whole, and asked for in order.
const chaos = (h) => [["openai", "anthropic"], ["openai_responses", "ollama"], ["anthropic", "openai_responses"], ["ollama", "openai"]].map(([provider, other]) =>
  modelled(h, `a conversation with ${provider} whose server fails in every way, under kills`, async (r) => {
    await pause(10 + chance() * 20);
    const n = turnOf(r), luck = chance();
    const answer = n < 9 ? { text: `Turn ${n}.`, reasoning: r.provider === "ollama" ? undefined : `about "${n}" \u00e9`, calls: [{ name: "Note", arguments: { n } }, { name: "Note", arguments: { n: n + 100 } }] } : { text: "The end." };
    if (luck < 0.05) return { cut: "before" };
    if (luck < 0.10) return { ...answer, cut: "middle" };
    if (luck < 0.15) return { error: { status: [429, 500, 502, 503, 529][Math.floor(chance() * 5)], headers: { "retry-after-ms": "20" } } };
    if (luck < 0.20) return { ...answer, error: { type: "server_error" }, in_stream: true };
    if (luck < 0.25) return { ...answer, piece_ms: 3 };
    return answer;
  }, async (m, server) => {
    const kills = await killedAtRandom(m, m.write(CHAOS(provider, other)), 500, 8);
    const [d] = await recorded(m);
    expect(d.answer === "The end." && d.complete, `${json(d)} under ${kills} kills`);
    const turns = server.calls.map(turnOf);
    expect(turns.every((t, i) => i === 0 || t === turns[i - 1] || t === turns[i - 1] + 1), `asked in the order ${turns}`);
    for (const c of server.calls) c.messages.filter((x) => x.role === "tool").forEach((x, i) => expect(x.content === String((i >> 1) + (i & 1) * 100), json(c.messages)));
    const charged = server.calls.reduce((sum, c) => sum + (c.usage?.output ?? 0), 0), certain = (await m.calls()).filter((c) => c.outcome === "ok");
    expectEqual(certain.length, 10, "confirmed calls");
    expect(certain.reduce((sum, c) => sum + c.value.usage.output, 0) <= charged, "more is certain than was charged");
    await m.replayed();
  }));

export default (h) => [replays(h), { ...killed(h), alone: true }, linear(h), jobs(h), ...budgets(h), ...chaos(h), ...limits(h).map((t) => ({ ...t, alone: true }))];
