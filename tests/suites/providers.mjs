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

export default (h) => [
  ...both((provider, stream, name) => agentTest(h, provider, stream, name)),
  ...both((provider, stream, name) => errorsTest(h, provider, stream, name)),
  ...both((provider, stream, name) => brokenTest(h, provider, stream, name)),
  ...earlyError(h),
];
