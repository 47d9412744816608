// Models of every provider through the whole of z8: a program with a model and an ai_agent in it, a server on loopback that
// plays the provider, and the journal afterwards.
import { readFileSync } from "node:fs";
import { createServer as createSecureServer } from "node:https";
import { join } from "node:path";
import { run, expect, expectEqual } from "../support/harness.mjs";
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


// ---- errors, each told to the program as what it is ----

const html = (title) => ({ headers: { "content-type": "text/html" }, body: `<html><head><title>${title}</title></head><body><h1>oh</h1></body></html>` });
const later = (s) => ({ "retry-after": String(s) });
const inAnHour = () => new Date(Date.now() + 3_600_000);
// [what the server answers, code, class, seconds to wait]
const OPENAI_ERRORS = () => [
  [{ status: 400, type: "invalid_request_error" }, "model_invalid", "never"],
  [{ status: 400, type: "invalid_request_error", code: "context_length_exceeded" }, "model_context", "never"],
  [{ status: 400, type: "invalid_request_error", code: "content_policy_violation" }, "model_refused", "never"],
  [{ status: 401, code: "invalid_api_key", message: `Incorrect API key provided: ${KEY}` }, "model_auth", "never"],
  [{ status: 403 }, "model_auth", "never"],
  [{ status: 404, code: "model_not_found", type: "invalid_request_error" }, "model_invalid", "never"],
  [{ status: 408, ...html("too slow") }, "model_server", "unknown"],
  [{ status: 409, type: "conflict" }, "model_server", "wait"],
  [{ status: 429, code: "rate_limit_exceeded", headers: later(20) }, "model_rate_limited", "wait", 20],
  [{ status: 429, type: "requests", headers: { "retry-after-ms": "1500.5", ...later(9) } }, "model_rate_limited", "wait", 1.5005],
  [{ status: 429, type: "tokens", headers: { date: new Date().toUTCString(), "retry-after": inAnHour().toUTCString() } }, "model_rate_limited", "wait", 3600],
  [{ status: 429, type: "tokens", headers: { "x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "6m0.5s", "x-ratelimit-remaining-requests": "9", "x-ratelimit-reset-requests": "8h" } }, "model_rate_limited", "wait", 360.5],
  [{ status: 429, type: "tokens", message: "Rate limit reached. Please try again in 1.25s. Add a payment method at https://x/billing." }, "model_rate_limited", "wait", 1.25],
  [{ status: 429, headers: { "x-ratelimit-remaining-requests": "-1", "retry-after": "soon" } }, "model_rate_limited", "wait", 0],
  [{ status: 429, code: "insufficient_quota", type: "insufficient_quota", headers: { ...later(1), "x-should-retry": "true" } }, "model_quota", "never", 0],
  [{ status: 429, code: "credit_balance_exhausted", headers: later(1) }, "model_quota", "never", 0],
  [{ status: 429, message: "You exceeded your current quota, please check your plan and billing details." }, "model_quota", "never", 0],
  [{ status: 500, type: "server_error" }, "model_server", "wait"],
  [{ status: 500, headers: { "x-should-retry": "false" } }, "model_server", "never"],
  [{ status: 400, type: "odd", headers: { "x-should-retry": "true" } }, "model_invalid", "wait"],
  [{ status: 502, ...html("502 Bad Gateway") }, "model_server", "wait"],
  [{ status: 503, body: "" }, "model_overloaded", "wait"],
  [{ status: 504, ...html("gone") }, "model_server", "unknown"],
  [{ status: 529, body: "busy\nvery" }, "model_overloaded", "wait"],
  [{ status: 307, headers: { location: "http://127.0.0.1:1/" }, body: "" }, "model_invalid", "never"],
];
const spend = { type: "error", error: { type: "rate_limit_error", message: "limit", details: { error_code: "enforced_spend_limit_reached" } } };
const ERRORS = {
  openai: OPENAI_ERRORS,
  openai_responses: OPENAI_ERRORS,
  anthropic: () => [
    [{ status: 400, type: "invalid_request_error" }, "model_invalid", "never"],
    [{ status: 400, type: "invalid_request_error", message: "prompt is too long: 3 tokens > 2 maximum" }, "model_context", "never"],
    [{ status: 400, type: "invalid_request_error", message: "This workspace has reached its spend limit." }, "model_quota", "never"],
    [{ status: 401, type: "authentication_error", message: `invalid x-api-key ${KEY}` }, "model_auth", "never"],
    [{ status: 402, type: "billing_error" }, "model_quota", "never"],
    [{ status: 403, type: "permission_error" }, "model_auth", "never"],
    [{ status: 404, type: "not_found_error", message: "model: nobody" }, "model_invalid", "never"],
    [{ status: 413, type: "request_too_large" }, "model_context", "never"],
    [{ status: 429, type: "rate_limit_error", headers: later(3) }, "model_rate_limited", "wait", 3],
    [{ status: 429, type: "rate_limit_error", headers: { date: new Date().toUTCString(), "anthropic-ratelimit-requests-remaining": "0", "anthropic-ratelimit-requests-reset": inAnHour().toISOString().replace(/\.\d+/, "") } }, "model_rate_limited", "wait", 3600],
    [{ status: 429, body: spend }, "model_quota", "never", 0],
    [{ status: 500, type: "api_error" }, "model_server", "wait"],
    [{ status: 504, type: "timeout_error" }, "model_server", "unknown"],
    [{ status: 529, type: "overloaded_error" }, "model_overloaded", "wait"],
    [{ status: 502, ...html("502 Bad Gateway") }, "model_server", "wait"],
  ],
  ollama: () => [
    [{ status: 400, message: "invalid options" }, "model_invalid", "never"],
    [{ status: 404, message: "model 'm' not found" }, "model_invalid", "never"],
    [{ status: 429, message: "too many", headers: later(2) }, "model_rate_limited", "wait", 2],
    [{ status: 500, message: "llama runner process has terminated" }, "model_server", "wait"],
    [{ status: 503, message: "server busy, please try again" }, "model_overloaded", "wait"],
    [{ status: 502, ...html("502 Bad Gateway") }, "model_server", "wait"],
  ],
};

function errorsTest(h, provider, stream, name) {
  const cases = ERRORS[provider]();
  return modelled(h, `errors of ${name}`, (r) => ({ error: cases[caseOf(r)][0] }), async (m, server) => {
    const got = await m.printed(asking(provider, cases.length, `, stream: ${stream}`));
    expectEqual(server.calls.length, cases.length, "one call each");
    cases.forEach(([error, code, kind, wait], i) => {
      const g = got[i], fits = g.code === code && g.class === kind && g.status === error.status && g.sent === true;
      expect(fits, `${json(error)}: ${json(g)}, not ${code} ${kind}`);
      if (wait !== undefined) expect(Math.abs(g.wait_us / 1e6 - wait) <= (wait > 100 ? 2 : 0), `${json(error)}: a wait of ${g.wait_us} us, not ${wait} s`);
      if (error.body?.includes?.("<title>")) expect(g.message.includes(error.body.match(/<title>(.*)<\/title>/)[1]) && !g.message.includes("<"), g.message);
      expect(g.request_id === `req_${i + 1}`, `the request's id: ${json(g)}`);
    });
    expect(!json(got).includes(KEY), "an error shows the key");
    await m.replayed();
  });
}

// ---- what breaks within an answer ----

const LONG = "One two three four five six seven eight.";
const BROKEN = [
  ["before", {}], ["headers", {}], ["middle", {}], ["after", {}],
];
function brokenTest(h, provider, stream, name) {
  const script = (r) => {
    const n = caseOf(r);
    if (n < 4) return { text: LONG, cut: BROKEN[n][0], usage: { input: 100, output: 10 } };
    return { text: LONG, error: { type: provider === "anthropic" ? "overloaded_error" : "server_error", message: "it fell over" }, in_stream: true };
  };
  return modelled(h, `answers of ${name} that break off`, script, async (m, server) => {
    const got = await m.printed(asking(provider, stream ? 5 : 4, `, stream: ${stream}`));
    expectEqual(server.calls.length, got.length, "one call each");
    const [before, headers, middle, after, within] = got;
    for (const g of [before, headers, middle]) expect(g.code === "model_network" && g.class === "unknown" && g.sent, json(g));
    expect(before.status === null && headers.status === 200, json([before, headers]));
    if (stream) {
      expect(LONG.startsWith(middle.partial) && middle.partial.length > 5, `what had come: ${json(middle)}`);
      expect(middle.usage && middle.usage.exact === false && middle.usage.output > 0, `its usage is estimated: ${json(middle.usage)}`);
    }
    expect(after.ok?.text === LONG && after.ok.usage.input === 100, json(after));
    if (!stream) return;
    expect(/^model_(overloaded|server)$/.test(within.code) && within.class === "unknown" && within.partial && within.message.includes("it fell over"), json(within));
  });
}

// An error as the first event of a stream: nothing had begun, so that it can be asked again at once.
const earlyError = (h) => ["openai", "openai_responses", "anthropic", "ollama"].map((provider) => ({
  name: `an error as the first event of ${provider}`,
  test: async ({ dir }) => {
    const error = {
      openai: 'data: {"error":{"message":"over capacity","type":"server_error","code":"server_is_overloaded"}}\n\n',
      openai_responses: 'event: error\ndata: {"type":"error","code":"rate_limit_exceeded","message":"Please try again in 2s","param":null,"sequence_number":0}\n\n',
      anthropic: 'event: error\ndata: {"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}\n\n',
      ollama: '{"error":"model is overloaded"}\n',
    }[provider];
    const server = await rawServer((request, reply) => reply.writeHead(200, { "content-type": "text/event-stream" }).end(error));
    const [g] = await new Models(h, dir, server).printed(asking(provider, 1, ", stream: true"));
    await server.close();
    expect(g.class === "wait" && /^model_(overloaded|rate_limited)$/.test(g.code) && !g.partial, json(g));
    if (provider === "openai_responses") expectEqual(g.wait_us, 2_000_000, "the wait");
  },
}));

// ---- servers that are almost like OpenAI ----

const chunk = (delta, more = {}) => `data: ${json({ id: "c1", model: "m", choices: [{ index: 0, delta, finish_reason: null, ...more }] })}\n\n`;
const made = (calls, more = {}) => chunk({ tool_calls: calls }, more);
const called = (name, args, more = {}) => ({ type: "function", function: { name, arguments: args }, ...more });
const USAGE = { prompt_tokens: 7, completion_tokens: 3, total_tokens: 10 };
const DONE = "data: [DONE]\n\n";
const two = [{ name: "Look", arguments: { id: 1 } }, { name: "Weigh", arguments: { id: 2 } }];
// name: [what the server sends, what the program gets: text, calls (without ids), stop, the usage's exact]
const GAPS = {
  "no usage": [chunk({ content: "Hi" }) + chunk({}, { finish_reason: "stop" }) + DONE, "Hi", [], "end", false],
  "usage in every chunk": [["H", "i"].map((c, i) => `data: ${json({ choices: [{ index: 0, delta: { content: c }, finish_reason: i ? "stop" : null }], usage: { ...USAGE, completion_tokens: 2 + i } })}\n\n`).join("") + DONE, "Hi", [], "end", true],
  "no ids": [made([{ index: 0, ...called("Look", '{"id":1}') }]) + made([{ index: 1, ...called("Weigh", '{"id":2}') }]) + chunk({}, { finish_reason: "tool_calls" }) + DONE, "", two, "calls", false],
  "the same id twice": [made([{ index: 0, id: "x", ...called("Look", '{"id":1}') }, { index: 1, id: "x", ...called("Weigh", '{"id":2}') }], { finish_reason: "tool_calls" }) + DONE, "", two, "calls", false],
  "arguments as an object": [made([{ index: 0, id: "a", ...called("Look", { id: 1 }) }, { index: 1, id: "b", ...called("Weigh", { id: 2 }) }]) + chunk({}, { finish_reason: "tool_calls" }) + DONE, "", two, "calls", false],
  "no index": [made([called("Look", '{"id":1}', { id: "a" })]) + made([called("Weigh", '{"id":', { id: "b" })]) + made([{ function: { arguments: "2}" } }]) + chunk({}, { finish_reason: "tool_calls" }) + DONE, "", two, "calls", false],
  "index 0 for all": [made([{ index: 0, id: "a", ...called("Look", '{"id":1}') }]) + made([{ index: 0, id: "b", ...called("Weigh", '{"id":2}') }]) + chunk({}, { finish_reason: "tool_calls" }) + DONE, "", two, "calls", false],
  "index 0 for all and no ids": [made([{ index: 0, ...called("Look", '{"id":1}') }]) + made([{ index: 0, ...called("Weigh", '{"id":2}') }]) + chunk({}, { finish_reason: "tool_calls" }) + DONE, "", two, "calls", false],
  "all in one chunk, and stop as the reason": [made([{ index: 0, id: "a", ...called("Look", '{"id":1}') }, { index: 1, id: "b", ...called("Weigh", '{"id":2}') }], { finish_reason: "stop" }) + DONE, "", two, "calls", false],
  "reasoning_content": [chunk({ reasoning_content: "hm" }) + chunk({ reasoning: "hm" }) + chunk({ content: "Hi" }) + chunk({}, { finish_reason: "stop" }) + DONE, "Hi", [], "end", false],
  "no [DONE]": [chunk({ content: "Hi" }) + chunk({}, { finish_reason: "stop" }), "Hi", [], "end", false],
  "no reason before [DONE]": [chunk({ content: "Hi" }) + DONE, "Hi", [], "end", false],
  "CRLF, comments and no space": [`: ping\r\n\r\n${(chunk({ content: "Hi" }) + chunk({}, { finish_reason: "stop" }) + DONE).replaceAll("\n", "\r\n").replaceAll("data: ", "data:")}`, "Hi", [], "end", false],
  "no stream at all": [json({ choices: [{ index: 0, message: { role: "assistant", content: "Hi" }, finish_reason: "stop" }], usage: USAGE }), "Hi", [], "end", true, "application/json"],
  "broken arguments": [made([{ index: 0, id: "a", ...called("Look", '{"id":1') }], { finish_reason: "tool_calls" }) + DONE, "", [{ name: "Look", arguments: null, invalid: '{"id":1' }], "calls", false],
  "a chunk that is no JSON": ["data: {oh\n\n", null, "model_reply", "unknown"],
  "a page instead of an answer": ["<html><title>Welcome</title></html>", null, "model_reply", "never", null, "text/html"],
  "nothing": ["", null, "model_reply", "unknown"],
};

const gaps = (h) => ({
  name: "servers that are almost like OpenAI",
  test: async ({ dir }) => {
    const names = Object.keys(GAPS), raws = Object.values(GAPS);
    const server = await rawServer((request, reply, body) => {
      const row = raws[caseOf(JSON.parse(body))];
      reply.writeHead(200, { "content-type": row[5] ?? "text/event-stream" });
      const half = row[0].length >> 1;
      reply.write(row[0].slice(0, half));
      setTimeout(() => reply.end(row[0].slice(half)), 2);
    });
    const m = new Models(h, dir, server);
    const got = await m.printed(asking("openai", names.length, ", stream: true"));
    await server.close();
    raws.forEach(([, text, calls, stop, exact], i) => {
      const g = got[i];
      if (text === null) return expect(g.code === calls && g.class === stop, `${names[i]}: ${json(g)}`);
      const plain = g.ok?.calls.map(({ id, ...rest }) => rest);
      expect(g.ok?.text === text && json(plain) === json(calls) && g.ok.stop === stop && g.ok.usage.exact === exact, `${names[i]}: ${json(g)}`);
      expect(g.ok.usage.input > 0 && g.ok.usage.output > 0, `${names[i]}: usage ${json(g.ok.usage)}`);
      expect(new Set(g.ok.calls.map((c) => c.id)).size === calls.length && g.ok.calls.every((c) => c.id), `${names[i]}: ids ${json(g.ok.calls)}`);
    });
    await m.replayed();
    return names.length;
  },
});

// Ids that the server does not give are made up so that a whole conversation has each only once, and replay the same.
const idless = (h) => ({
  name: "a conversation with a server that gives calls no ids",
  test: async ({ dir }) => {
    const sent = [made([called("Look", '{"id":1}'), called("Look", '{"id":2}')]), made([called("Look", '{"id":1}')]), chunk({ content: "Done." })];
    const server = await rawServer((request, reply, body, n) => reply.writeHead(200, { "content-type": "text/event-stream" }).end(sent[n] + chunk({}, { finish_reason: "stop" }) + DONE));
    const m = new Models(h, dir, server);
    const out = await m.run(`${HOST}${declared("fast", "openai")}
tool Look(id: int) -> int:
  effect read
  perform: return id
ai_agent Helper(query: string):
  model: fast
  tools: [Look]
print(ask Helper(query: "x"))
`);
    await server.close();
    expectEqual(out.trim(), "Done.");
    const last = JSON.parse(server.calls[2].body).messages;
    const ids = last.flatMap((x) => x.tool_calls?.map((c) => c.id) ?? []), answered = last.filter((x) => x.role === "tool").map((x) => x.tool_call_id);
    expect(new Set(ids).size === 3 && json(ids) === json(answered), json(last));
    await m.replayed();
  },
});

// ---- how an answer ends ----

const ends = (h) => both((provider, stream, name) => {
  const script = (r) => [
    { text: "Once upon", stop: "length" },
    provider.startsWith("openai") ? { refusal: "I will not." } : { text: "", stop: provider === "ollama" ? "end" : "refusal" },
    { text: "Up to here", stop: "filter" },
  ][Number(r.messages[0].content)];
  return modelled(h, `an answer of ${name} that is cut short or refused`, script, async (m) => {
    const got = await m.printed(`${HOST}${declared("fast", provider, { stream })}
ai_agent Helper(query: string):
  model: fast
for i in range(3):
  r = try ask Helper(query: str(i))
  print(json.stringify({ok: r.ok, value: r.value, code: r.error?.code, message: r.error?.message, data: r.error?.data}))
`);
    expect(got[0].code === "agent_incomplete" && got[0].data.reason === "length" && got[0].data.answer === "Once upon", json(got[0]));
    if (provider === "ollama") return; // it has no word for the others
    expect(got[1].code === "model_refused" && (provider === "anthropic" || got[1].message.includes("I will not.")), json(got[1]));
    expect(got[2].code === "model_refused", json(got[2]));
  });
});

// ---- answers of a type ----

const TYPED = (provider, stream) => `${HOST}${declared("fast", provider, { stream })}
type Item: name: string, price: decimal, note: string?
type Order: items: list[Item], state: "open" | "paid", at: time, extra: { n: int, more: string? }?
ai_agent Reads(query: string):
  model: fast
  answer: Order
  repairs: 1
ai_agent Counts(query: string):
  model: fast
  answer: list[int]
fn told(r: any):
  if r.ok: print(json.stringify(r.value))
  else: print(json.stringify({code: r.error.code}))
for i in range(3): told(try ask Reads(query: "case \${i}"))
told(try ask Counts(query: "case 3"))
`;
const ORDER = '{"items":[{"name":"a","price":1.50,"note":null}],"state":"open","at":"2026-01-02T03:04:05Z","extra":null}';
const typed = (h) => both((provider, stream, name) => {
  const script = (r) => {
    const n = caseOf({ messages: r.messages.slice(0, 1) }), again = r.messages.length > 1;
    if (n === 0) return ORDER;
    // told in its own way: a fence, words around it, a comma too many, quotes of another kind, a field left out
    if (n === 1) return "Sure! Here it is:\n```json\n{'items': [{\"name\": \"a\", \"price\": \"1.50\",},], state: \"Open\", \"at\": \"2026-01-02T03:04:05Z\"}\n```\nAnything else?";
    if (n === 2) return again ? '{"items":[],"state":"stolen","at":"never"}' : "I have no idea.";
    return '{"answer":[1,2,3]}';
  };
  return modelled(h, `typed answers of ${name}`, script, async (m, server) => {
    const got = await m.printed(TYPED(provider, stream));
    expectEqual(json(got[0]), json(JSON.parse(ORDER)), "as it should be");
    expectEqual(json(got[1]), json(JSON.parse(ORDER)), "read tolerantly");
    expectEqual(json(got.slice(2)), '[{"code":"answer_refused"},[1,2,3]]');
    expectEqual(server.calls.length, 5, "calls: one was asked for a repair, once");
    expect(server.calls.every((c) => c.answer?.type === "object"), `the form is asked for: ${json(server.calls[0].body)}`);
    if (provider === "openai") expect(server.calls.every((c) => c.body.response_format.json_schema.strict), "not strict");
    const notes = await m.notes();
    expect(notes.some((n) => /repaired/.test(json(n))), `what was mended is on record: ${json(notes)}`);
    await m.replayed();
  });
});

// ---- asking again, and others ----

const ONE = (provider, more = {}, others = "") => `${HOST}${declared("fast", provider, more)}${others}
ai_agent Helper(query: string):
  model: fast
r = try ask Helper(query: "x")
print(json.stringify({ok: r.ok, value: r.value, code: r.error?.code, message: r.error?.message}))
`;

const money = (h) => PROVIDERS.slice(0, 3).map((provider) => modelled(h, `money that is used up at ${provider} is never asked again`,
  [{ error: provider === "anthropic" ? { status: 429, headers: later(1), body: spend } : { status: 429, code: "insufficient_quota", headers: { ...later(1), "x-should-retry": "true" } } }],
  async (m, server) => {
    const [got] = await m.printed(ONE(provider));
    expectEqual(got.code, "model_quota");
    expectEqual(server.calls.length, 1, "calls");
  }));

const waits = (h) => [
  modelled(h, "what the provider asks for is waited, and nothing else asks again", [
    { error: { status: 429, code: "rate_limit_exceeded", headers: { "retry-after-ms": "1200" } } }, { error: { status: 529, headers: later(1) } }, "Fine."], async (m, server) => {
    const [got] = await m.printed(ONE("openai"));
    expectEqual(got.value, "Fine.");
    expectEqual(server.calls.length, 3, "calls");
    const [a, b] = [1, 2].map((i) => server.calls[i].at_ms - server.calls[i - 1].at_ms);
    expect(a >= 1200 && a < 4000 && b >= 1000 && b < 4000, `waits of ${a} and ${b} ms`);
    await m.replayed();
  }),
  modelled(h, "one owner of repeats: as many calls as max_attempts says", () => ({ error: { status: 500 } }), async (m, server) => {
    const [got] = await m.printed(ONE("anthropic", { max_attempts: 3 }));
    expectEqual(got.code, "model_server");
    expectEqual(server.calls.length, 3, "calls");
  }),
  modelled(h, "a wait outlives the process", [{ error: { status: 429, headers: later(3) } }, "Fine."], async (m, server) => {
    const asked = new Promise((ok) => server.http.on("request", () => setTimeout(ok, 700)));
    const began = Date.now();
    await m.killedWhen(asked, "run", m.write(ONE("openai")));
    await pause(500);
    const out = await m.ok("recover");
    expect(out.includes("Fine."), out);
    expectEqual(server.calls.length, 2, "calls");
    const waited = server.calls[1].at_ms - server.calls[0].at_ms;
    expect(waited >= 3000 && waited < 4500 && Date.now() - began < 6000, `asked again after ${waited} ms`);
  }),
  modelled(h, "an answer that was lost is asked for again", [{ text: LONG, cut: "middle" }, { cut: "before" }, "Fine."], async (m, server) => {
    const [got] = await m.printed(ONE("openai"));
    expectEqual(got.value, "Fine.");
    expectEqual((await m.calls()).map((c) => c.outcome).join(" "), "unknown unknown ok", "on record");
    await m.replayed();
  }),
];

const SECOND = (first) => `${HOST}${declared("fast", first, { fallback: "[middle, last]", max_attempts: 1 })}${declared("middle", "openai", { max_attempts: 1 })}${declared("last", first === "anthropic" ? "openai_responses" : "anthropic")}
tool Look(id: int) -> int:
  effect read
  perform: return id
ai_agent Helper(query: string):
  model: fast
  tools: [Look]
print(json.stringify(ask Helper(query: "x")))
`;
// A conversation goes on with another provider, to which what the first one thought is not told.
const fallbacks = (h) => [
  ...["anthropic", "openai_responses", "ollama"].map((first) => modelled(h, `another model than one of ${first} goes on with the conversation`, (r) => {
    const turn = r.messages.filter((x) => x.role === "assistant").length;
    if (r.model === "fast-1" && turn === 0) return { text: "Hm.", reasoning: "deep thoughts", calls: [{ name: "Look", arguments: { id: 1 } }] };
    if (r.model !== "last-1") return { error: { status: r.model === "middle-1" ? 401 : 503 } };
    return turn === 1 ? { reasoning: "other thoughts", calls: [{ name: "Look", arguments: { id: 2 } }, { name: "Look", arguments: { id: 3 } }] } : "Done.";
  }, async (m, server) => {
    expectEqual((await m.run(SECOND(first))).trim(), '"Done."');
    expectEqual(server.calls.map((c) => c.model[0]).join(""), "ffmlfml", "who was asked");
    for (const c of server.calls) if (c.provider !== first) expect(!c.raw.includes("deep thoughts") && !c.raw.includes("signature\":\"sig+re_1"), `what the first model thought: ${c.raw}`);
    const said = json(await m.notes());
    expect(said.includes('"fallback"') && said.includes("asking middle") && said.includes("asking last"), said);
    await m.replayed();
  })),
  modelled(h, "when all models fail the error names them", () => ({ error: { status: 503 } }), async (m, server) => {
    const [got] = await m.printed(ONE("ollama", { fallback: "[other]", max_attempts: 1 }, declared("other", "anthropic", { max_attempts: 1 })));
    expect(got.code === "model_server" && /fast, then other/.test(got.message), json(got));
    expectEqual(server.calls.length, 2, "calls");
  }),
  modelled(h, "a wrong request is not asked of others", () => ({ error: { status: 400, type: "invalid_request_error" } }), async (m, server) => {
    const [got] = await m.printed(ONE("openai", { fallback: "[other]" }, declared("other", "anthropic")));
    expectEqual(got.code, "model_invalid");
    expectEqual(server.calls.length, 1, "calls");
  }),
];

// ---- answers made in the background ----

const background = (h) => [
  modelled(h, "an answer made in the background is taken up after kill -9", [{ text: LONG.repeat(6), piece_ms: 80, usage: { input: 40, output: 70 } }], async (m, server) => {
    const began = new Promise((ok) => server.http.on("request", () => setTimeout(ok, 1700)));
    await m.killedWhen(began, "run", m.write(ONE("openai_responses", { background: true })));
    const out = await m.ok("recover");
    expect(out.includes(LONG.repeat(6)), out);
    expectEqual(server.generations, 1, `answers that were begun: ${json(server.calls.map((c) => c.resume ?? "POST"))}`);
    const gets = server.calls.filter((c) => c.resume);
    expect(gets.length >= 1 && gets[0].resume.after > 0, `taken up: ${json(gets.map((c) => c.resume))}`);
    const [call] = await m.calls();
    expectEqual(json([call.value.usage.input, call.value.usage.output, call.value.usage.exact]), "[40,70,true]", "usage");
    await m.replayed();
  }),
  modelled(h, "a background answer whose connection breaks is taken up", [{ text: LONG.repeat(4), piece_ms: 20, cut: "middle" }], async (m, server) => {
    const [got] = await m.printed(ONE("openai_responses", { background: true }));
    expectEqual(got.value, LONG.repeat(4));
    expectEqual(server.generations, 1, `answers that were begun: ${json(server.calls.map((c) => c.resume ?? "POST"))}`);
  }),
];

// ---- keys and certificates ----

const secrets = (h) => modelled(h, "the key is nowhere but in the request", (r) => (r.messages.length > 1 ? `the key is ${KEY}` : {
  text: `I was sent ${KEY}`, reasoning: KEY, calls: [{ name: "Look", arguments: { id: KEY } }] }), async (m, server) => {
  const program = m.write(`${HOST}${declared("fast", "openai_responses", { fallback: "[other]" })}${declared("other", "anthropic")}
tool Look(id: string) -> string:
  effect read
  perform: return id
ai_agent Helper(query: string):
  model: fast
  tools: [Look]
print(ask Helper(query: "x"))
`);
  const r = await m.z8("run", "--stream", program); // the key comes in pieces of eight characters
  expect(r.stderr.includes("I was sent") || r.stdout.includes("I was sent"), r.stdout + r.stderr);
  let seen = r.stdout + r.stderr;
  for (const { run } of await m.runs()) {
    for (const words of [["log", run, "--json"], ["log", run], ["inspect", run, "--json"], ["inspect", run], ["replay", run], ["trace", run]]) {
      const shown = await m.z8(...words);
      seen += shown.stdout + shown.stderr;
    }
  }
  expect(server.calls.every((c) => c.headers.authorization === `Bearer ${KEY}`), "the key is sent");
  expect(!seen.includes(KEY), `shown: ${seen.split("\n").filter((l) => l.includes(KEY)).join("\n").slice(0, 500)}`);
  expectEqual(m.holding(KEY).join(" "), "", "files with the key");
});

const certificates = (h) => ({
  name: "a server with a certificate of its own making is not asked",
  test: async ({ dir }) => {
    const pem = (n) => join(dir, n);
    const r = await run("openssl", ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", pem("key.pem"), "-out", pem("cert.pem"), "-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]);
    if (r.code !== 0) return console.log("  (no openssl: the test of certificates is left out)");
    const options = { key: readFileSync(pem("key.pem")), cert: readFileSync(pem("cert.pem")) };
    const server = await rawServer((request, reply) => reply.end("{}"), (f) => createSecureServer(options, f));
    const m = new Models(h, dir, server, { Z8_HOST: `https://127.0.0.1:${server.port}` });
    const [g] = await m.printed(asking("openai", 1));
    await server.close();
    expect(g.code === "model_network" && g.class === "never" && g.sent === false && /certificate|who it should be/.test(g.message), json(g));
    expectEqual(server.calls.length, 0, "requests");
  },
});

export default (h) => [
  ...both((provider, stream, name) => agentTest(h, provider, stream, name)),
  ...both((provider, stream, name) => errorsTest(h, provider, stream, name)),
  ...both((provider, stream, name) => brokenTest(h, provider, stream, name)),
  ...earlyError(h), gaps(h), idless(h), ...ends(h), ...typed(h),
  ...money(h), ...waits(h), ...fallbacks(h), ...background(h), secrets(h), certificates(h),
];
