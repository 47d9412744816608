// Models of every provider through the whole of z8: a program with a model and an ai_agent in it, a server on loopback that
// plays the provider, and the journal afterwards.
import { expect, expectEqual } from "../support/harness.mjs";
import { pause } from "../support/served.mjs";
import { PROVIDERS, HOST, KEY, declared, asking, caseOf, modelled, rawServer, Models } from "../support/model_runs.mjs";

const both = (make) => PROVIDERS.flatMap((provider) => [true, false].map((stream) => make(provider, stream, `${provider}${stream ? ", streaming" : ""}`)));
const json = (v) => JSON.stringify(v);

// ---- an agent at work ----

const HELPER = (provider, stream) => `${HOST}${declared("fast", provider, { stream })}
type Verdict: label: string, score: int

tool Look(id: int, deep: bool? = nil) -> { id: int, name: string }:
  effect read
  perform: return {id, name: "thing \${id}"}

tool Weigh(id: int) -> int:
  effect read
  perform:
    if id == 3: raise "no_scales", message: "the scales are broken"
    return id * 10

ai_agent Helper(query: string):
  model: fast
  prompt: "You help."
  tools: [Look, Weigh]
  answer: Verdict

print(json.stringify(ask Helper(query: "What of 1 and 3?")))
`;

function agentTest(h, provider, stream, name) {
  const thought = "First \u00fc \"look\"\n at both; then weigh. \\ \u2713";
  const script = [
    { text: "I look.", reasoning: thought, calls: [{ name: "Look", arguments: { id: 1 } }, { name: "Look", arguments: { id: 3, deep: true } }],
      usage: { input: 1000, output: 60, cached: 600, ...(provider === "anthropic" ? { cache_write: 50 } : {}), reasoning: 40 } },
    { reasoning: `again: ${thought}`, calls: [{ name: "Weigh", arguments: { id: 1 } }, { name: "Weigh", arguments: { id: 3 } }, { name: "Dream", arguments: {} }], usage: { input: 1200, output: 50 } },
    { text: "```json\n{\"label\": \"good\", \"score\": \"many\"}\n```", usage: { input: 1300, output: 20 } },
    { text: '{"label": "good", "score": 7}', usage: { input: 1400, output: 15 } },
  ];
  return modelled(h, `an agent of ${name}`, script, async (m, server) => {
    expectEqual((await m.run(HELPER(provider, stream))).trim(), '{"label":"good","score":7}');
    expectEqual(server.calls.length, 4, "calls");
    expect(server.calls.every((c) => c.stream === stream && c.system?.startsWith("You help.") && c.model === "fast-1"), json(server.calls[0]));
    const roles = server.calls.map((c) => c.messages.map((x) => x.role[0]).join(""));
    expectEqual(roles.join(" "), "u uatt uattattt uattatttau", "who speaks");
    const told = server.calls[2].messages, last = told.slice(-3);
    expectEqual(json(told[2].content) + json(told[3].content), json('{"id":1,"name":"thing 1"}') + json('{"id":3,"name":"thing 3"}'), "what the tools say");
    expect(last[0].content === "10" && last[1].content.includes("the scales are broken") && last[2].content.includes("There is no tool Dream"), json(last));
    if (provider !== "ollama") expectEqual(json(told[1].calls.map((c) => c.id)), json(told.slice(2, 4).map((t) => t.id)), "each call answered under its id");
    expect(/score/.test(server.calls[3].messages.at(-1).content), `what was wrong is told: ${json(server.calls[3].messages.at(-1))}`);
    const usage = (await m.calls()).map((c) => c.value.usage);
    const first = { input: 1000, cached: 600, cache_write: 50, output: 60, reasoning: 40, exact: true };
    if (provider !== "anthropic") first.cache_write = 0;
    if (provider === "anthropic") first.reasoning = 0; // it does not say
    if (provider === "ollama") first.cached = first.reasoning = 0;
    expectEqual(json(usage[0]), json(first), "usage");
    expectEqual(json(usage.map((u) => [u.input, u.output, u.exact])), json([[1000, 60, true], [1200, 50, true], [1300, 20, true], [1400, 15, true]]), "usage");
    await m.replayed();
  });
}

const agents = (h) => both((provider, stream, name) => agentTest(h, provider, stream, name));

export default (h) => [...agents(h)];
