// What goes wrong with providers, told to the program as what it is: errors before, within and after an answer, connections
// that break, and servers that are almost like OpenAI.
import { gzipSync } from "node:zlib";
import { expect, expectEqual } from "../support/harness.mjs";
import {
  HOST,
  KEY,
  SPENT,
  LONG,
  declared,
  asking,
  caseOf,
  eachProvider,
  modelled,
  rawServer,
  Models,
} from "../support/model_runs.mjs";

const json = (v) => JSON.stringify(v);

// ---- errors, each told to the program as what it is ----

const html = (title) => ({
  headers: { "content-type": "text/html" },
  body: `<html><head><title>${title}</title></head><body><h1>oh</h1></body></html>`,
});
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
  [
    { status: 429, type: "requests", headers: { "retry-after-ms": "1500.5", ...later(9) } },
    "model_rate_limited",
    "wait",
    1.5005,
  ],
  [
    {
      status: 429,
      type: "tokens",
      headers: { date: new Date().toUTCString(), "retry-after": inAnHour().toUTCString() },
    },
    "model_rate_limited",
    "wait",
    3600,
  ],
  [
    {
      status: 429,
      type: "tokens",
      headers: {
        "x-ratelimit-remaining-tokens": "0",
        "x-ratelimit-reset-tokens": "6m0.5s",
        "x-ratelimit-remaining-requests": "9",
        "x-ratelimit-reset-requests": "8h",
      },
    },
    "model_rate_limited",
    "wait",
    360.5,
  ],
  [
    {
      status: 429,
      type: "tokens",
      message: "Rate limit reached. Please try again in 1.25s. Add a payment method at https://x/billing.",
    },
    "model_rate_limited",
    "wait",
    1.25,
  ],
  [
    { status: 429, headers: { "x-ratelimit-remaining-requests": "-1", "retry-after": "soon" } },
    "model_rate_limited",
    "wait",
    0,
  ],
  [
    {
      status: 429,
      code: "insufficient_quota",
      type: "insufficient_quota",
      headers: { ...later(1), "x-should-retry": "true" },
    },
    "model_quota",
    "never",
    0,
  ],
  [{ status: 429, code: "credit_balance_exhausted", headers: later(1) }, "model_quota", "never", 0],
  [
    { status: 429, message: "You exceeded your current quota, please check your plan and billing details." },
    "model_quota",
    "never",
    0,
  ],
  [{ status: 500, type: "server_error" }, "model_server", "wait"],
  [{ status: 500, headers: { "x-should-retry": "false" } }, "model_server", "never"],
  [{ status: 400, type: "odd", headers: { "x-should-retry": "true" } }, "model_invalid", "wait"],
  [{ status: 502, ...html("502 Bad Gateway") }, "model_server", "wait"],
  [{ status: 503, body: "" }, "model_overloaded", "wait"],
  [{ status: 504, ...html("gone") }, "model_server", "unknown"],
  [{ status: 529, body: "busy\nvery" }, "model_overloaded", "wait"],
  [{ status: 307, headers: { location: "http://127.0.0.1:1/" }, body: "" }, "model_invalid", "never"],
];
const ERRORS = {
  openai: OPENAI_ERRORS,
  openai_responses: OPENAI_ERRORS,
  anthropic: () => [
    [{ status: 400, type: "invalid_request_error" }, "model_invalid", "never"],
    [
      { status: 400, type: "invalid_request_error", message: "prompt is too long: 3 tokens > 2 maximum" },
      "model_context",
      "never",
    ],
    [
      { status: 400, type: "invalid_request_error", message: "This workspace has reached its spend limit." },
      "model_quota",
      "never",
    ],
    [{ status: 401, type: "authentication_error", message: `invalid x-api-key ${KEY}` }, "model_auth", "never"],
    [{ status: 402, type: "billing_error" }, "model_quota", "never"],
    [{ status: 403, type: "permission_error" }, "model_auth", "never"],
    [{ status: 404, type: "not_found_error", message: "model: nobody" }, "model_invalid", "never"],
    [{ status: 413, type: "request_too_large" }, "model_context", "never"],
    [{ status: 429, type: "rate_limit_error", headers: later(3) }, "model_rate_limited", "wait", 3],
    [
      {
        status: 429,
        type: "rate_limit_error",
        headers: {
          date: new Date().toUTCString(),
          "anthropic-ratelimit-requests-remaining": "0",
          "anthropic-ratelimit-requests-reset": inAnHour().toISOString().replace(/\.\d+/, ""),
        },
      },
      "model_rate_limited",
      "wait",
      3600,
    ],
    [{ status: 429, body: SPENT }, "model_quota", "never", 0],
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
  return modelled(
    h,
    `errors of ${name}`,
    (r) => ({ error: cases[caseOf(r)][0] }),
    async (m, server) => {
      const got = await m.printed(asking(provider, cases.length, `, stream: ${stream}`));
      expectEqual(server.calls.length, cases.length, "one call each");
      cases.forEach(([error, code, kind, wait], i) => {
        const g = got[i],
          fits = g.code === code && g.class === kind && g.status === error.status && g.sent === true;
        expect(fits, `${json(error)}: ${json(g)}, not ${code} ${kind}`);
        if (wait !== undefined)
          expect(
            Math.abs(g.wait_us / 1e6 - wait) <= (wait > 100 ? 2 : 0),
            `${json(error)}: a wait of ${g.wait_us} us, not ${wait} s`,
          );
        if (error.body?.includes?.("<title>"))
          expect(
            g.message.includes(error.body.match(/<title>(.*)<\/title>/)[1]) && !g.message.includes("<"),
            g.message,
          );
        expect(g.request_id === `req_${i + 1}`, `the request's id: ${json(g)}`);
      });
      expect(!json(got).includes(KEY), "an error shows the key");
      await m.replayed();
    },
  );
}

// ---- what breaks within an answer ----

const BROKEN = [
  ["before", {}],
  ["headers", {}],
  ["middle", {}],
  ["after", {}],
];
function brokenTest(h, provider, stream, name) {
  const script = (r) => {
    const n = caseOf(r);
    if (n < 4) return { text: LONG, cut: BROKEN[n][0], usage: { input: 100, output: 10 } };
    return {
      text: LONG,
      error: { type: provider === "anthropic" ? "overloaded_error" : "server_error", message: "it fell over" },
      in_stream: true,
    };
  };
  return modelled(h, `answers of ${name} that break off`, script, async (m, server) => {
    const got = await m.printed(asking(provider, stream ? 5 : 4, `, stream: ${stream}`));
    expectEqual(server.calls.length, got.length, "one call each");
    const [before, headers, middle, after, within] = got;
    for (const g of [before, headers, middle])
      expect(g.code === "model_network" && g.class === "unknown" && g.sent, json(g));
    expect(before.status === null && headers.status === 200, json([before, headers]));
    if (stream) {
      expect(LONG.startsWith(middle.partial) && middle.partial.length > 5, `what had come: ${json(middle)}`);
      expect(
        middle.usage && middle.usage.exact === false && middle.usage.output > 0,
        `its usage is estimated: ${json(middle.usage)}`,
      );
    }
    expect(after.ok?.text === LONG && after.ok.usage.input === 100, json(after));
    if (!stream) return;
    expect(
      /^model_(overloaded|server)$/.test(within.code) &&
        within.class === "unknown" &&
        within.partial &&
        within.message.includes("it fell over"),
      json(within),
    );
  });
}

// An error as the first event of a stream: nothing had begun, so that it can be asked again at once.
const earlyError = (h) =>
  ["openai", "openai_responses", "anthropic", "ollama"].map((provider) => ({
    name: `an error as the first event of ${provider}`,
    test: async ({ dir }) => {
      const error = {
        openai: 'data: {"error":{"message":"over capacity","type":"server_error","code":"server_is_overloaded"}}\n\n',
        openai_responses:
          'event: error\ndata: {"type":"error","code":"rate_limit_exceeded","message":"Please try again in 2s","param":null,"sequence_number":0}\n\n',
        anthropic:
          'event: error\ndata: {"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}\n\n',
        ollama: '{"error":"model is overloaded"}\n',
      }[provider];
      const server = await rawServer((request, reply) =>
        reply.writeHead(200, { "content-type": "text/event-stream" }).end(error),
      );
      const [g] = await new Models(h, dir, server).printed(asking(provider, 1, ", stream: true"));
      await server.close();
      expect(g.class === "wait" && /^model_(overloaded|rate_limited)$/.test(g.code) && !g.partial, json(g));
      if (provider === "openai_responses") expectEqual(g.wait_us, 2_000_000, "the wait");
    },
  }));

// ---- servers that are almost like OpenAI ----

const chunk = (delta, more = {}) =>
  `data: ${json({ id: "c1", model: "m", choices: [{ index: 0, delta, finish_reason: null, ...more }] })}\n\n`;
const made = (calls, more = {}) => chunk({ tool_calls: calls }, more);
const called = (name, args, more = {}) => ({ type: "function", function: { name, arguments: args }, ...more });
const USAGE = { prompt_tokens: 7, completion_tokens: 3, total_tokens: 10 };
const DONE = "data: [DONE]\n\n";
const two = [
  { name: "Look", arguments: { id: 1 } },
  { name: "Weigh", arguments: { id: 2 } },
];
// name: [what the server sends, what the program gets: text, calls (without ids), stop, the usage's exact]
const GAPS = {
  "no usage": [chunk({ content: "Hi" }) + chunk({}, { finish_reason: "stop" }) + DONE, "Hi", [], "end", false],
  "usage in every chunk": [
    ["H", "i"]
      .map(
        (c, i) =>
          `data: ${json({ choices: [{ index: 0, delta: { content: c }, finish_reason: i ? "stop" : null }], usage: { ...USAGE, completion_tokens: 2 + i } })}\n\n`,
      )
      .join("") + DONE,
    "Hi",
    [],
    "end",
    true,
  ],
  "no ids": [
    made([{ index: 0, ...called("Look", '{"id":1}') }]) +
      made([{ index: 1, ...called("Weigh", '{"id":2}') }]) +
      chunk({}, { finish_reason: "tool_calls" }) +
      DONE,
    "",
    two,
    "calls",
    false,
  ],
  "the same id twice": [
    made(
      [
        { index: 0, id: "x", ...called("Look", '{"id":1}') },
        { index: 1, id: "x", ...called("Weigh", '{"id":2}') },
      ],
      { finish_reason: "tool_calls" },
    ) + DONE,
    "",
    two,
    "calls",
    false,
  ],
  "arguments as an object": [
    made([
      { index: 0, id: "a", ...called("Look", { id: 1 }) },
      { index: 1, id: "b", ...called("Weigh", { id: 2 }) },
    ]) +
      chunk({}, { finish_reason: "tool_calls" }) +
      DONE,
    "",
    two,
    "calls",
    false,
  ],
  "no index": [
    made([called("Look", '{"id":1}', { id: "a" })]) +
      made([called("Weigh", '{"id":', { id: "b" })]) +
      made([{ function: { arguments: "2}" } }]) +
      chunk({}, { finish_reason: "tool_calls" }) +
      DONE,
    "",
    two,
    "calls",
    false,
  ],
  "index 0 for all": [
    made([{ index: 0, id: "a", ...called("Look", '{"id":1}') }]) +
      made([{ index: 0, id: "b", ...called("Weigh", '{"id":2}') }]) +
      chunk({}, { finish_reason: "tool_calls" }) +
      DONE,
    "",
    two,
    "calls",
    false,
  ],
  "index 0 for all and no ids": [
    made([{ index: 0, ...called("Look", '{"id":1}') }]) +
      made([{ index: 0, ...called("Weigh", '{"id":2}') }]) +
      chunk({}, { finish_reason: "tool_calls" }) +
      DONE,
    "",
    two,
    "calls",
    false,
  ],
  "all in one chunk, and stop as the reason": [
    made(
      [
        { index: 0, id: "a", ...called("Look", '{"id":1}') },
        { index: 1, id: "b", ...called("Weigh", '{"id":2}') },
      ],
      { finish_reason: "stop" },
    ) + DONE,
    "",
    two,
    "calls",
    false,
  ],
  reasoning_content: [
    chunk({ reasoning_content: "hm" }) +
      chunk({ reasoning: "hm" }) +
      chunk({ content: "Hi" }) +
      chunk({}, { finish_reason: "stop" }) +
      DONE,
    "Hi",
    [],
    "end",
    false,
  ],
  "no [DONE]": [chunk({ content: "Hi" }) + chunk({}, { finish_reason: "stop" }), "Hi", [], "end", false],
  "no reason before [DONE]": [chunk({ content: "Hi" }) + DONE, "Hi", [], "end", false],
  "CRLF, comments and no space": [
    `: ping\r\n\r\n${(chunk({ content: "Hi" }) + chunk({}, { finish_reason: "stop" }) + DONE).replaceAll("\n", "\r\n").replaceAll("data: ", "data:")}`,
    "Hi",
    [],
    "end",
    false,
  ],
  "no stream at all": [
    json({
      choices: [{ index: 0, message: { role: "assistant", content: "Hi" }, finish_reason: "stop" }],
      usage: USAGE,
    }),
    "Hi",
    [],
    "end",
    true,
    "application/json",
  ],
  "broken arguments": [
    made([{ index: 0, id: "a", ...called("Look", '{"id":1') }], { finish_reason: "tool_calls" }) + DONE,
    "",
    [{ name: "Look", arguments: null, invalid: '{"id":1' }],
    "calls",
    false,
  ],
  "a chunk that is no JSON": ["data: {oh\n\n", null, "model_reply", "unknown"],
  "a page instead of an answer": [
    "<html><title>Welcome</title></html>",
    null,
    "model_reply",
    "never",
    null,
    "text/html",
  ],
  nothing: ["", null, "model_reply", "unknown"],
};

const gaps = (h) => ({
  name: "servers that are almost like OpenAI",
  test: async ({ dir }) => {
    const names = Object.keys(GAPS),
      raws = Object.values(GAPS);
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
      expect(
        g.ok?.text === text && json(plain) === json(calls) && g.ok.stop === stop && g.ok.usage.exact === exact,
        `${names[i]}: ${json(g)}`,
      );
      expect(g.ok.usage.input > 0 && g.ok.usage.output > 0, `${names[i]}: usage ${json(g.ok.usage)}`);
      expect(
        new Set(g.ok.calls.map((c) => c.id)).size === calls.length && g.ok.calls.every((c) => c.id),
        `${names[i]}: ids ${json(g.ok.calls)}`,
      );
    });
    await m.replayed();
    return names.length;
  },
});

// Ids that the server does not give are made up so that a whole conversation has each only once, and replay the same.
const idless = (h) => ({
  name: "a conversation with a server that gives calls no ids",
  test: async ({ dir }) => {
    const sent = [
      made([called("Look", '{"id":1}'), called("Look", '{"id":2}')]),
      made([called("Look", '{"id":1}')]),
      chunk({ content: "Done." }),
    ];
    const server = await rawServer((request, reply, body, n) =>
      reply
        .writeHead(200, { "content-type": "text/event-stream" })
        .end(sent[n] + chunk({}, { finish_reason: "stop" }) + DONE),
    );
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
    const ids = last.flatMap((x) => x.tool_calls?.map((c) => c.id) ?? []),
      answered = last.filter((x) => x.role === "tool").map((x) => x.tool_call_id);
    expect(new Set(ids).size === 3 && json(ids) === json(answered), json(last));
    await m.replayed();
  },
});

// ---- what goes back ----

// Items and blocks that go back as they came, of a server that has one id for all calls: each result still names its own.
const SAME_IDS = {
  openai_responses: [
    {
      status: "completed",
      output: [
        { type: "reasoning", id: "rs_1", summary: [], encrypted_content: "gAAA" },
        ...[1, 2].map((id) => ({ type: "function_call", call_id: "a", name: "Look", arguments: json({ id: `t${id}` }) })),
      ],
    },
    { status: "completed", output: [{ type: "message", content: [{ type: "output_text", text: "Done." }] }] },
    ({ input }) => [
      input.filter((x) => x.type === "function_call").map((x) => [x.call_id, JSON.parse(x.arguments).id]),
      input.filter((x) => x.type === "function_call_output").map((x) => [x.call_id, x.output]),
    ],
  ],
  anthropic: [
    {
      stop_reason: "tool_use",
      content: [
        { type: "thinking", thinking: "hm", signature: "c2ln" },
        ...[1, 2].map((id) => ({ type: "tool_use", id: "a", name: "Look", input: { id: `t${id}` } })),
      ],
    },
    { stop_reason: "end_turn", content: [{ type: "text", text: "Done." }] },
    ({ messages }) => {
      const blocks = messages.flatMap((x) => (Array.isArray(x.content) ? x.content : []));
      return [
        blocks.filter((b) => b.type === "tool_use").map((b) => [b.id, b.input.id]),
        blocks.filter((b) => b.type === "tool_result").map((b) => [b.tool_use_id, b.content]),
      ];
    },
  ],
};
const sameIds = (h) =>
  Object.entries(SAME_IDS).map(([provider, [asks, ends, sent]]) => ({
    name: `${provider}: one id for two calls that go back as they came`,
    test: async ({ dir }) => {
      const server = await rawServer((request, reply, body, n) =>
        reply.writeHead(200, { "content-type": "application/json" }).end(json(n === 0 ? asks : ends)),
      );
      const m = new Models(h, dir, server);
      const out = await m.run(`${HOST}${declared("fast", provider)}
tool Look(id: string) -> string:
  effect read
  perform: return id
ai_agent Helper(query: string):
  model: fast
  tools: [Look]
print(ask Helper(query: "x"))
`);
      await server.close();
      expectEqual(out.trim(), "Done.");
      const [calls, results] = sent(JSON.parse(server.calls[1].body));
      expect(calls[0][0] !== calls[1][0] && json(calls) === json(results), json([calls, results]));
      await m.replayed();
    },
  }));

// ---- words of errors, and replies that are no answers ----

const ODD = [
  [422, {}, json({ detail: [{ loc: ["body"], msg: "field required" }] }), /^body: field required \(openai, HTTP 422\)$/],
  [422, {}, json({ errors: [{ message: "xx" }] }), /^xx \(openai, HTTP 422\)$/],
  [422, {}, json({ detail: "text" }), /^text \(openai, HTTP 422\)$/],
  [200, { "content-encoding": "gzip" }, gzipSync(json({ choices: [] })), /^the reply is no answer: it is encoded as gzip, which was not asked for$/],
  [200, {}, gzipSync("{}"), /^the reply is no answer: it begins with the bytes 1f 8b 08 /],
  [200, {}, "null", /^the reply is no answer: it is null$/],
  [200, {}, '"hello"', /^the reply is no answer: it is "hello"$/],
];
const odd = (h) => ({
  name: "words of errors in other shapes, and what is no answer",
  test: async ({ dir }) => {
    const server = await rawServer((request, reply, body) => {
      const [status, headers, sent] = ODD[caseOf(JSON.parse(body))];
      reply.writeHead(status, { "content-type": "application/json", ...headers }).end(sent);
    });
    const m = new Models(h, dir, server);
    const got = await m.printed(asking("openai", ODD.length, ", stream: false"));
    await server.close();
    ODD.forEach(([, , , says], i) => expect(says.test(got[i].message), json(got[i])));
    await m.replayed();
  },
});

export default (h) => [
  ...eachProvider((provider, stream, name) => errorsTest(h, provider, stream, name)),
  ...eachProvider((provider, stream, name) => brokenTest(h, provider, stream, name)),
  ...earlyError(h),
  gaps(h),
  idless(h),
  ...sameIds(h),
  odd(h),
];
