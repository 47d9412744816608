// What is promised of models, measured at a server that counts: runs are replayed without asking anybody, nothing that was
// confirmed is asked again after kill -9, a journal grows by what is new, and a conversation stays whole whatever fails.
import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { expect, expectEqual } from "../support/harness.mjs";
import { Served, pause, lines, until } from "../support/served.mjs";
import {
  HOST,
  PRICE,
  chance,
  declared,
  killedAtRandom,
  microdollars,
  modelled,
  recorded,
} from "../support/model_runs.mjs";

const json = (v) => JSON.stringify(v);

// ---- replay ----

const STRATEGIES = {
  Direct: "direct",
  Cot: "cot",
  Votes: "cot(samples: 3)",
  Draft: 'cot(style: "draft")',
  React: "react",
  Tot: "tot(depth: 2)",
  Dfs: 'tot(depth: 2, search: "dfs")',
  Got: "got",
  Aot: "aot",
  Revise: "revise(rounds: 2)",
  Adaptive: "adaptive",
  Own: "Careful",
};
const THINKING = `${HOST}${declared("fast", "openai", { price: PRICE })}
tool Look(id: int) -> string:
  effect read
  perform: return "thing \${id}"
fn told(name: string, d: map):
  print(json.stringify({name, answer: d.answer, strategy: d.strategy, tokens: d.usage.tokens, usd: d.usd, calls: d.calls}))
strategy Careful(run, tries: int = 2):
  said = parallel for i in range(tries): agent.think(run, agent.messages(run, "\${run.question} \${i}"), {purpose: "own"})
  return agent.finish(run, agent.messages(run), said[tries - 1], {strategy: "own"})
${Object.entries(STRATEGIES)
  .map(
    ([name, how]) => `
ai_agent ${name}(query: string):
  model: fast
  on_limit: answer
  strategy: ${how}${name === "React" ? "\n  tools: [Look]" : ""}
told("${name}", ask ${name}(query: "six times seven", details: true))
`,
  )
  .join("")}
`;
// Says something to every kind of question; what it says differs from call to call.
function thinks(r) {
  const n = r.n,
    last = r.messages.at(-1).content;
  if (r.tools.length && last.includes("six times"))
    return {
      text: "I look.",
      calls: [
        { name: "Look", arguments: { id: 1 } },
        { name: "Look", arguments: { id: 2 } },
      ],
    };
  if (/score|Score/.test(last)) return `It is fair.\nScore: ${(n % 5) + 4}`;
  return `1. take ${n}\n2. take ${n + 1}\n3. rest\n#### ${40 + (n % 3)}\nAnswer: ${40 + (n % 3)}`;
}
const replays = (h) =>
  modelled(h, "every strategy runs again from its journal, with the server gone", thinks, async (m, server) => {
    const told = await m.printed(THINKING);
    const spent = server.calls.reduce((sum, c) => sum + c.usage.input + c.usage.output, 0);
    await server.close();
    expectEqual(told.map((t) => t.name).join(" "), Object.keys(STRATEGIES).join(" "));
    expectEqual(
      told.reduce((sum, t) => sum + t.tokens, 0),
      spent,
      `tokens that all spent: ${json(told)}`,
    );
    expectEqual(
      told.reduce((sum, t) => sum + t.calls, 0),
      server.calls.length,
      "calls",
    );
    const usd = server.calls.reduce((sum, c) => sum + microdollars(c.usage), 0) / 1e6;
    expect(
      Math.abs(told.reduce((sum, t) => sum + Number(t.usd), 0) - usd) < 1e-9,
      `dollars: ${json(told)}, not ${usd}`,
    );
    const runs = await m.runs();
    expect(runs.length > Object.keys(STRATEGIES).length, `${runs.length} runs`);
    for (const { run } of runs) {
      const again = await m.z8("replay", run, "--json"),
        r = JSON.parse(again.stdout || "{}");
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
const caseOf = (r) => Number(r.messages[0].content.match(/case (\d+)/)[1]);
const turnOf = (r) => r.messages.filter((x) => x.role === "assistant").length;

const killed = (h) =>
  modelled(
    h,
    "40 calls under kills: nothing confirmed is asked again, and the books hold what is known",
    async (r) => {
      await pause(20 + chance() * 40);
      const usage = {
        input: Math.ceil(r.messages.reduce((n, x) => n + x.content.length + json(x.calls ?? "").length, 0) / 4),
      };
      return turnOf(r) < 39
        ? { text: `Turn ${turnOf(r)}.`, calls: [{ name: "Note", arguments: { n: turnOf(r) } }], usage }
        : { text: "The end.", usage };
    },
    async (m, server) => {
      const kills = await killedAtRandom(m, m.write(TALK(40)), 200, 60);
      expect(kills >= 15, `only ${kills} kills came before the end`);
      const turns = server.calls.map(turnOf),
        again = turns.filter((t, i) => i > 0 && t === turns[i - 1]).length;
      expect(
        turns.every((t, i) => i === 0 || t === turns[i - 1] || t === turns[i - 1] + 1),
        `asked in the order ${turns}`,
      );
      expectEqual(turns.at(-1), 39, "the last turn");
      expect(again <= kills, `${again} were asked again under ${kills} kills`);
      const calls = await m.calls();
      const ok = calls.filter((c) => c.outcome === "ok");
      expectEqual(ok.length, 40, "confirmed calls on record");
      const sum = (list, f) => list.reduce((n, x) => n + f(x), 0);
      const charged = sum(server.calls, (c) => c.usage.input + c.usage.output),
        certain = sum(ok, (c) => c.value.usage.input + c.value.usage.output);
      const [d] = await recorded(m);
      expect(d.answer === "The end." && d.complete, json(d));
      expect(
        certain <= charged && charged <= d.usage.tokens,
        `certain ${certain}, charged ${charged}, in the books ${d.usage.tokens}`,
      );
      const lost = d.calls - 40;
      expect(
        lost >= again && lost <= kills,
        `${d.calls} calls in the books, ${server.calls.length} at the server, ${kills} kills`,
      );
      const { total } = lines(await m.ok("costs", "--json")).at(-1),
        dollars = (list, of) => sum(list, (x) => microdollars(of(x)));
      expectEqual(
        json([total.calls, total.uncertain_calls, total.input + total.output, total.reserved_usd]),
        json([d.calls, lost, d.usage.tokens, 0]),
        "z8 costs",
      );
      const sure = (total.usd - total.uncertain_usd) * 1e6;
      expect(Math.abs(sure - dollars(ok, (c) => c.value.usage)) < 1e-3, `certain in the books ${sure}`);
      expect(dollars(server.calls, (c) => c.usage) <= total.usd * 1e6 + 1e-3, `charged more than ${json(total)}`);
      await m.replayed();
    },
  );

// ---- the journal ----

const bytesOf = (folder) =>
  readdirSync(folder, { recursive: true })
    .map((f) => statSync(join(folder, f)))
    .filter((s) => s.isFile())
    .reduce((sum, s) => sum + s.size, 0);

const linear = (h) =>
  modelled(
    h,
    "a conversation of 100 turns grows by what is new",
    (r) =>
      turnOf(r) < 99
        ? { text: `Turn ${turnOf(r)}. ${"word ".repeat(60)}`, calls: [{ name: "Note", arguments: { n: turnOf(r) } }] }
        : "The end.",
    async (m, server) => {
      await m.run(TALK(100));
      expectEqual(server.calls.length, 100, "calls");
      const run = (await m.runs()).find((r) => r.workflow === "Talk").run,
        log = await m.log(run);
      const at = log.map((x, i) => (x.record === "ASKED" && x.kind === "model" ? i : -1)).filter((i) => i >= 0);
      const turn = (n) => json(log.slice(at[n], at[n + 1])).length;
      const mean = (from) => [0, 1, 2, 3, 4].reduce((sum, i) => sum + turn(from + i), 0) / 5;
      const early = mean(18),
        late = mean(93);
      expect(late <= 1.5 * early, `bytes a turn: ${early} at turn 20, ${late} at turn 95`);
      const stored = bytesOf(m.data),
        sent = server.calls.reduce((sum, c) => sum + c.raw.length, 0);
      expect(stored < sent / 2, `${stored} bytes are kept of ${sent} that were sent`);
    },
  );

// ---- jobs ----

const jobs = (h) =>
  modelled(
    h,
    "a later attempt of a job asks for nothing that an earlier one was told",
    (r) =>
      r.tools.length && r.messages.length === 1
        ? {
            calls: [
              { name: "Look", arguments: { id: 1 } },
              { name: "Look", arguments: { id: 2 } },
            ],
          }
        : `reply ${r.n}`,
    async (m, server) => {
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
    },
  );

// ---- a node that is killed ----

const NODE = `${HOST}${declared("fast", "openai", { price: PRICE, max_tokens: 200, limit: "{ requests: 60 per 1s }" })}
tool Note(n: int) -> int:
  effect read
  perform: return n
ai_agent Helper(query: string):
  model: fast
  tools: [Note]
queue "asks":
  concurrency 6
worker Asks(n: int):
  queue "asks"
  max_attempts 5 backoff 10ms..50ms
  perform(job):
    answer = ask Helper(query: "case \${job.n}")
    if job.n % 5 == 0 and now() - job.at < 400ms: raise "again"
    return answer
command Open(name: string)
event Opened(name: string)
agent Names:
  state { names: list = [] }
  decide Open(name): emit Opened(name: name)
  evolve Opened(name): names.push(name)
router App:
  identify Names by name
  dispatch Open -> Names
start App
`.replace("worker Asks(n: int)", "worker Asks(n: int, at: time)");

const node = (h) =>
  modelled(
    h,
    "jobs of a node that ask agents, under kills",
    async (r) => {
      await pause(10 + chance() * 40);
      const n = turnOf(r);
      return n < 3 ? { text: `Turn ${n}.`, calls: [{ name: "Note", arguments: { n } }] } : `done ${caseOf(r)}`;
    },
    async (m, server) => {
      const s = new Served(h, m.dir, m.env);
      const file = m.write(NODE),
        jobs = [];
      let kills = 0;
      try {
        await s.serve(file);
        for (let n = 0; n < 24; n++)
          jobs.push((await s.rows("enqueue", "Asks", json({ n, at: new Date().toISOString() })))[0].job);
        for (; kills < 8; kills++) {
          await pause(60 + chance() * 120);
          await s.stop("SIGKILL");
          await s.serve(file);
        }
        await until("all jobs", async () => (await s.rows("jobs")).every((j) => j.state === "done"), 40);
        await s.stop();
      } finally {
        await s.close();
      }
      for (let n = 0; n < jobs.length; n++) {
        const turns = server.calls.filter((c) => caseOf(c) === n).map(turnOf);
        const ordered = turns.every((t, i) => i === 0 || t === turns[i - 1] || t === turns[i - 1] + 1);
        expect(ordered && turns[0] === 0 && turns.at(-1) === 3, `case ${n} was asked in the order ${turns}`);
      }
      const again = server.calls.length - 4 * jobs.length;
      expect(again <= 6 * kills, `${again} were asked again under ${kills} kills of six at once`);
      const { total } = lines(await m.ok("costs", "--json")).at(-1);
      expect(
        total.calls - total.uncertain_calls === 4 * jobs.length && total.uncertain_calls >= again,
        `${json(total)}, asked again ${again}`,
      );
      expect(total.reserved_usd === 0, `reserved for nobody: ${json(total)}`);
      const charged = server.calls.reduce((sum, c) => sum + microdollars(c.usage), 0);
      expect(charged <= total.usd * 1e6 + 1e-3, `charged ${charged}: ${json(total)}`);
    },
  );

// ---- everything at once ----

const CHAOS = (
  provider,
  other,
) => `${HOST}${declared("fast", provider, { max_attempts: 6, fallback: "[other]", price: PRICE })}${declared("other", other, { max_attempts: 9, price: PRICE })}
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
const chaos = (h) =>
  [
    ["openai", "anthropic"],
    ["openai_responses", "ollama"],
    ["anthropic", "openai_responses"],
    ["ollama", "openai"],
  ].map(([provider, other]) =>
    modelled(
      h,
      `a conversation with ${provider} whose server fails in every way, under kills`,
      async (r) => {
        await pause(10 + chance() * 20);
        const n = turnOf(r),
          luck = chance();
        const answer =
          n < 9
            ? {
                text: `Turn ${n}.`,
                reasoning: r.provider === "ollama" ? undefined : `about "${n}" \u00e9`,
                calls: [
                  { name: "Note", arguments: { n } },
                  { name: "Note", arguments: { n: n + 100 } },
                ],
              }
            : { text: "The end." };
        if (luck < 0.05) return { cut: "before" };
        if (luck < 0.1) return { ...answer, cut: "middle" };
        if (luck < 0.15)
          return {
            error: { status: [429, 500, 502, 503, 529][Math.floor(chance() * 5)], headers: { "retry-after-ms": "20" } },
          };
        if (luck < 0.2) return { ...answer, error: { type: "server_error" }, in_stream: true };
        if (luck < 0.25) return { ...answer, piece_ms: 3 };
        return answer;
      },
      async (m, server) => {
        const kills = await killedAtRandom(m, m.write(CHAOS(provider, other)), 500, 8);
        const [d] = await recorded(m);
        expect(d.answer === "The end." && d.complete, `${json(d)} under ${kills} kills`);
        const turns = server.calls.map(turnOf);
        expect(
          turns.every((t, i) => i === 0 || t === turns[i - 1] || t === turns[i - 1] + 1),
          `asked in the order ${turns}`,
        );
        for (const c of server.calls)
          c.messages
            .filter((x) => x.role === "tool")
            .forEach((x, i) => expect(x.content === String((i >> 1) + (i & 1) * 100), json(c.messages)));
        const charged = server.calls.reduce((sum, c) => sum + (c.usage?.output ?? 0), 0),
          certain = (await m.calls()).filter((c) => c.outcome === "ok");
        expectEqual(certain.length, 10, "confirmed calls");
        expect(
          certain.reduce((sum, c) => sum + c.value.usage.output, 0) <= charged,
          "more is certain than was charged",
        );
        await m.replayed();
      },
    ),
  );

export default (h) => [replays(h), { ...killed(h), alone: true }, linear(h), jobs(h), node(h), ...chaos(h)];
