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
const microdollars = (usage) => usage.input + 2 * usage.output;

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

async function killedAtRandom(m, file, window, most) {
  let kills = 0, out = "";
  for (let words = ["run", file]; kills < most; words = ["recover"]) {
    const ended = { is: false };
    const timer = pause(30 + chance() * window);
    try {
      out += await m.killedWhen(timer, ...words);
      kills++;
    } catch (e) {
      if (!/was over before/.test(e.message)) throw e;
      expect(/"code":0/.test(e.message), e.message);
      return { kills, out: out + e.message };
    }
  }
  return { kills, out: out + (await m.ok("recover")) };
}

const killed = (h) => modelled(h, "40 calls under kills: nothing confirmed is asked again, and the books hold what is known", async (r) => {
  await pause(20 + chance() * 40);
  return turnOf(r) < 39 ? { text: `Turn ${turnOf(r)}.`, calls: [{ name: "Note", arguments: { n: turnOf(r) } }] } : "The end.";
}, async (m, server) => {
  const { kills, out } = await killedAtRandom(m, m.write(TALK(40)), 200, 60);
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
  const d = lines(out.slice(out.indexOf('{"answer"')).split("\n")[0])[0];
  expect(d.answer === "The end." && d.complete, json(d));
  expect(certain <= charged && charged <= d.usage.tokens, `certain ${certain}, charged ${charged}, in the books ${d.usage.tokens}`);
  const lost = d.calls - 40;
  expect(lost >= again && lost <= kills, `${d.calls} calls in the books, ${server.calls.length} at the server, ${kills} kills`);
  await m.replayed();
  console.log(`  ${kills} kills, ${again} asked again, ${lost} uncertain; tokens certain ${certain}, charged ${charged}, books ${d.usage.tokens}`);
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
  console.log(`  bytes a turn: ${early} at 20, ${late} at 95; the data directory ${stored}, sent in all ${sent}`);
  expect(stored < sent / 2, `${stored} bytes are kept of ${sent} that were sent`);
});

export default (h) => [replays(h), { ...killed(h), alone: true }, linear(h)];
