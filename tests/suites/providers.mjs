// Models of every provider through the whole of z8: a program with a model and an ai_agent in it, a server on loopback that
// plays the provider, and the journal afterwards.
import { createServer as createSecureServer } from "node:https";
import { join } from "node:path";
import { expect, expectEqual } from "../support/harness.mjs";
import {
  HOST,
  KEY,
  LONG,
  PROVIDERS,
  certificate,
  declared,
  asking,
  caseOf,
  eachProvider,
  modelled,
  rawServer,
  Models,
} from "../support/model_runs.mjs";

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
  const thought = 'First \u00fc "look"\n at both; then weigh. \\ \u2713';
  const script = [
    {
      text: "I look.",
      reasoning: thought,
      calls: [
        { name: "Look", arguments: { id: 1 } },
        { name: "Look", arguments: { id: 3, deep: true } },
      ],
      usage: {
        input: 1000,
        output: 60,
        cached: 600,
        ...(provider === "anthropic" ? { cache_write: 50 } : {}),
        reasoning: 40,
      },
    },
    {
      reasoning: `again: ${thought}`,
      calls: [
        { name: "Weigh", arguments: { id: 1 } },
        { name: "Weigh", arguments: { id: 3 } },
        { name: "Dream", arguments: {} },
      ],
      usage: { input: 1200, output: 50 },
    },
    { text: '```json\n{"label": "good", "score": "many"}\n```', usage: { input: 1300, output: 20 } },
    { text: '{"label": "good", "score": 7}', usage: { input: 1400, output: 15 } },
  ];
  return modelled(h, `an agent of ${name}`, script, async (m, server) => {
    expectEqual((await m.run(HELPER(provider, stream))).trim(), '{"label":"good","score":7}');
    expectEqual(server.calls.length, 4, "calls");
    expect(
      server.calls.every((c) => c.stream === stream && c.system?.startsWith("You help.") && c.model === "fast-1"),
      json(server.calls[0]),
    );
    const roles = server.calls.map((c) => c.messages.map((x) => x.role[0]).join(""));
    expectEqual(roles.join(" "), "u uatt uattattt uattatttau", "who speaks");
    const told = server.calls[2].messages,
      last = told.slice(-3);
    expectEqual(
      json(told[2].content) + json(told[3].content),
      json('{"id":1,"name":"thing 1"}') + json('{"id":3,"name":"thing 3"}'),
      "what the tools say",
    );
    expect(
      last[0].content === "10" &&
        last[1].content.includes("the scales are broken") &&
        last[2].content.includes("There is no tool Dream"),
      json(last),
    );
    if (provider !== "ollama")
      expectEqual(
        json(told[1].calls.map((c) => c.id)),
        json(told.slice(2, 4).map((t) => t.id)),
        "each call answered under its id",
      );
    expect(
      /score/.test(server.calls[3].messages.at(-1).content),
      `what was wrong is told: ${json(server.calls[3].messages.at(-1))}`,
    );
    const usage = (await m.calls()).map((c) => c.value.usage);
    const first = { input: 1000, cached: 600, cache_write: 50, output: 60, reasoning: 40, exact: true };
    if (provider !== "anthropic") first.cache_write = 0;
    if (provider === "anthropic") first.reasoning = 0; // it does not say
    if (provider === "ollama") first.cached = first.reasoning = 0;
    expectEqual(json(usage[0]), json(first), "usage");
    expectEqual(
      json(usage.map((u) => [u.input, u.output, u.exact])),
      json([
        [1000, 60, true],
        [1200, 50, true],
        [1300, 20, true],
        [1400, 15, true],
      ]),
      "usage",
    );
    await m.replayed();
  });
}

// ---- what a provider gave goes back as it was ----

const odd = 'Gr\u00fc\u00dfe \ud83d\ude00 \u2028 "\\" \u0001 </think>';
const BLOCKS = [
  { type: "thinking", thinking: odd, signature: "EqoBCk+/==" },
  { type: "redacted_thinking", data: "EmwKAhgBEgy3va3pzix/LafPsn4a" },
  { type: "text", text: "I look." },
  { type: "tool_use", id: "toolu_01A", name: "Look", input: { id: 1, more: { z: 1.5, a: [null, true, "x"] } } },
  { type: "tool_use", id: "toolu_01B", name: "Look", input: { id: 2, more: {} } },
];
const ITEMS = [
  { type: "reasoning", id: "rs_1", summary: [{ type: "summary_text", text: odd }], encrypted_content: "gAAAAABo+/==" },
  {
    type: "message",
    id: "msg_1",
    status: "completed",
    role: "assistant",
    content: [{ type: "output_text", text: "I look.", annotations: [] }],
  },
  {
    type: "function_call",
    id: "fc_1",
    call_id: "call_A",
    name: "Look",
    arguments: '{"id": 1, "more": {"z": 1.50}}',
    status: "completed",
  },
  {
    type: "function_call",
    id: "fc_2",
    call_id: "call_B",
    name: "Look",
    arguments: '{"id":2,"more":{}}',
    status: "completed",
  },
];
const event = (type, more) => `event: ${type}\ndata: ${json({ type, ...more })}\n\n`;
const GIVEN = {
  anthropic: {
    whole: (content, stop) =>
      json({
        id: "m",
        type: "message",
        role: "assistant",
        model: "m",
        content,
        stop_reason: stop,
        usage: { input_tokens: 1, output_tokens: 1 },
      }),
    stream: (content, stop) =>
      [
        event("message_start", {
          message: {
            id: "m",
            type: "message",
            role: "assistant",
            model: "m",
            content: [],
            usage: { input_tokens: 1, output_tokens: 0 },
          },
        }),
        ...content.flatMap((b, index) => {
          const begin = { text: { text: "" }, thinking: { thinking: "", signature: "" }, tool_use: { input: {} } }[
            b.type
          ];
          const delta = (d) => event("content_block_delta", { index, delta: d });
          const cut = (t) => t.match(/[^]{1,3}/gu) ?? [];
          return [
            event("content_block_start", { index, content_block: { ...b, ...begin } }),
            ...(b.type === "text" ? cut(b.text).map((text) => delta({ type: "text_delta", text })) : []),
            ...(b.type === "thinking"
              ? [
                  ...cut(b.thinking).map((thinking) => delta({ type: "thinking_delta", thinking })),
                  delta({ type: "signature_delta", signature: b.signature }),
                ]
              : []),
            ...(b.type === "tool_use"
              ? cut(json(b.input)).map((partial_json) => delta({ type: "input_json_delta", partial_json }))
              : []),
            event("content_block_stop", { index }),
          ];
        }),
        event("message_delta", { delta: { stop_reason: stop }, usage: { output_tokens: 9 } }),
        event("message_stop", {}),
      ].join(""),
    blocks: BLOCKS,
    back: (body) => body.messages[1].content,
    results: (body) => body.messages[2].content.map((b) => b.tool_use_id),
    end: [{ type: "text", text: "Done." }],
  },
  openai_responses: {
    whole: (output) =>
      json({ id: "r", object: "response", status: "completed", output, usage: { input_tokens: 1, output_tokens: 1 } }),
    stream: (output) =>
      [
        event("response.created", { sequence_number: 0, response: { id: "r", status: "in_progress", output: [] } }),
        ...output.flatMap((item, output_index) => [
          event("response.output_item.added", {
            output_index,
            item: { ...item, content: [], arguments: "", encrypted_content: "" },
          }),
          event("response.output_item.done", { output_index, item }),
        ]),
        event("response.completed", {
          response: { id: "r", status: "completed", output, usage: { input_tokens: 1, output_tokens: 1 } },
        }),
      ].join(""),
    blocks: ITEMS,
    back: (body) => body.input.slice(1, 5),
    results: (body) => body.input.slice(5).map((x) => x.call_id),
    end: [{ type: "message", id: "msg_2", role: "assistant", content: [{ type: "output_text", text: "Done." }] }],
  },
};

// Written a few bytes at a time, so that characters are cut.
function trickle(reply, text) {
  const bytes = Buffer.from(text);
  for (let i = 0; i < bytes.length; i += 7) reply.write(bytes.subarray(i, i + 7));
  reply.end();
}
const given = (h) =>
  Object.entries(GIVEN).flatMap(([provider, p]) =>
    [true, false].map((stream) => ({
      name: `what ${provider} thought goes back as it was${stream ? ", streaming" : ""}`,
      test: async ({ dir }) => {
        const server = await rawServer((request, reply, body, n) => {
          reply.writeHead(200, { "content-type": stream ? "text/event-stream" : "application/json" });
          trickle(reply, (stream ? p.stream : p.whole)(n === 0 ? p.blocks : p.end, n === 0 ? "tool_use" : "end_turn"));
        });
        const m = new Models(h, dir, server);
        const out = await m.run(`${HOST}${declared("fast", provider, { stream, effort: '"low"' })}
tool Look(id: int, more: map) -> int:
  effect read
  perform: return id
ai_agent Helper(query: string):
  model: fast
  tools: [Look]
print(ask Helper(query: "x"))
`);
        await server.close();
        expectEqual(out.trim(), "Done.");
        const body = JSON.parse(server.calls[1].body);
        p.blocks.forEach((block, i) => {
          const { cache_control, ...back } = p.back(body)[i];
          expectEqual(json(back), json(block), `block ${i}`);
        });
        expectEqual(json(p.results(body)), json(p.blocks.slice(-2).map((b) => b.call_id ?? b.id)), "answered");
        await m.replayed();
      },
    })),
  );

// ---- how an answer ends ----

const ends = (h) =>
  eachProvider((provider, stream, name) => {
    const script = (r) =>
      [
        { text: "Once upon", stop: "length" },
        provider.startsWith("openai")
          ? { refusal: "I will not." }
          : { text: "", stop: provider === "ollama" ? "end" : "refusal" },
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
      expect(
        got[0].code === "agent_incomplete" && got[0].data.reason === "length" && got[0].data.answer === "Once upon",
        json(got[0]),
      );
      if (provider === "ollama") return; // it has no word for the others
      expect(
        got[1].code === "model_refused" && (provider === "anthropic" || got[1].message.includes("I will not.")),
        json(got[1]),
      );
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
const ORDER =
  '{"items":[{"name":"a","price":1.50,"note":null}],"state":"open","at":"2026-01-02T03:04:05Z","extra":null}';
const typed = (h) =>
  eachProvider((provider, stream, name) => {
    const script = (r) => {
      const n = caseOf({ messages: r.messages.slice(0, 1) }),
        again = r.messages.length > 1;
      if (n === 0) return ORDER;
      // told in its own way: a fence, words around it, a comma too many, quotes of another kind, a field left out
      if (n === 1)
        return 'Sure! Here it is:\n```json\n{\'items\': [{"name": "a", "price": "1.50",},], state: "Open", "at": "2026-01-02T03:04:05Z"}\n```\nAnything else?';
      if (n === 2) return again ? '{"items":[],"state":"stolen","at":"never"}' : "I have no idea.";
      return '{"answer":[1,2,3]}';
    };
    return modelled(h, `typed answers of ${name}`, script, async (m, server) => {
      const got = await m.printed(TYPED(provider, stream));
      expectEqual(json(got[0]), json(JSON.parse(ORDER)), "as it should be");
      expectEqual(json(got[1]), json(JSON.parse(ORDER)), "read tolerantly");
      expectEqual(json(got.slice(2)), '[{"code":"answer_refused"},[1,2,3]]');
      expectEqual(server.calls.length, 5, "calls: one was asked for a repair, once");
      expect(
        server.calls.every((c) => c.answer?.type === "object"),
        `the form is asked for: ${json(server.calls[0].body)}`,
      );
      if (provider === "openai")
        expect(
          server.calls.every((c) => c.body.response_format.json_schema.strict),
          "not strict",
        );
      const notes = await m.notes();
      expect(
        notes.some((n) => /repaired/.test(json(n))),
        `what was mended is on record: ${json(notes)}`,
      );
      await m.replayed();
    });
  });

// ---- keys and certificates ----

const secrets = (h) =>
  modelled(
    h,
    "the key is nowhere but in the request",
    (r) =>
      r.messages.length > 1
        ? `the key is ${KEY}`
        : {
            text: `I was sent ${KEY}`,
            reasoning: KEY,
            calls: [{ name: "Look", arguments: { id: KEY } }],
          },
    async (m, server) => {
      const program =
        m.write(`${HOST}${declared("fast", "openai_responses", { fallback: "[other]" })}${declared("other", "anthropic")}
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
        for (const words of [
          ["log", run, "--json"],
          ["log", run],
          ["inspect", run, "--json"],
          ["inspect", run],
          ["replay", run],
          ["trace", run],
        ]) {
          const shown = await m.z8(...words);
          seen += shown.stdout + shown.stderr;
        }
      }
      expect(
        server.calls.every((c) => c.headers.authorization === `Bearer ${KEY}`),
        "the key is sent",
      );
      expect(
        !seen.includes(KEY),
        `shown: ${seen
          .split("\n")
          .filter((l) => l.includes(KEY))
          .join("\n")
          .slice(0, 500)}`,
      );
      expectEqual(m.holding(KEY).join(" "), "", "files with the key");
    },
  );

// What servers without keys are given says nothing, and stands in no one's way.
const placeholders = (h) =>
  modelled(
    h,
    "a key of a few letters changes nothing in what is said",
    (r) => {
      const last = r.messages.at(-1);
      if (/wrong/.test(last.content)) return { error: { status: 504, message: "unknown text" } };
      if (r.tools.length && last.role !== "tool") return { text: "text, none", calls: [{ name: "latest", arguments: { x: "test none" } }] };
      return r.tools.length ? "It is none of the latest tests" : '{"mood": "none"}';
    },
    async (m) => {
      for (const provider of PROVIDERS) {
        const program = m.write(`${HOST}${declared("fast", provider)}
tool latest(x: string) -> string:
  effect read
  perform: return "x is \${x}"
ai_agent Helper(query: string):
  model: fast
  tools: [latest]
ai_agent Mood(query: string):
  model: fast
  answer: { mood: "none" | "good" }
print(ask Helper(query: "which?"))
print((ask Mood(query: "how?")).mood)
r = try model.ask({provider: "openai", url: host + "/v1", name: "m", api_key: secret("TEST_KEY"), messages: [{role: "user", content: "wrong"}]})
print(r.error.data.class)
`);
        for (const key of ["none", "test", "EMPTY", "ollama", "x", "k", "e"]) {
          m.env.TEST_KEY = key;
          for (const stream of [[], ["--stream"]]) {
            const r = await m.z8("run", ...stream, program);
            expect(r.stdout.endsWith("It is none of the latest tests\nnone\nwait\n"), `${provider} ${key}: ${r.stdout}${r.stderr}`);
            expect(!/\*\*\*/.test(r.stdout + r.stderr), r.stdout + r.stderr);
          }
        }
      }
    },
    { key: null },
  );

const certificates = (h) => [
  {
    name: "a server with a certificate of its own making is not asked",
    test: async ({ dir }) => {
      const tls = await certificate(dir);
      if (tls === null) return console.log("  (no openssl: the test of certificates is left out)");
      const server = await rawServer(
        (request, reply) => reply.end("{}"),
        (f) => createSecureServer(tls, f),
      );
      const m = new Models(h, dir, server, { Z8_HOST: `https://127.0.0.1:${server.port}` });
      const refused = ([g]) =>
        expect(
          g.code === "model_network" &&
            g.class === "never" &&
            g.sent === false &&
            /certificate|who it should be/.test(g.message),
          json(g),
        );
      refused(await m.printed(asking("openai", 1)));
      m.env.SSL_CERT_FILE = join(dir, "missing.pem");
      refused(await m.printed(asking("openai", 1)));
      await server.close();
      expectEqual(server.calls.length, 0, "requests");
    },
  },
  modelled(
    h,
    "a server that an authority of SSL_CERT_FILE vouches for",
    (r) => ({ text: `${LONG} ${caseOf(r)}`, piece_ms: 1 }),
    async (m, server) => {
      for (const stream of [true, false]) {
        const told = await m.printed(asking("openai", 5, `, stream: ${stream}`));
        expectEqual(told.map((t) => t.ok?.text).join(), [0, 1, 2, 3, 4].map((i) => `${LONG} ${i}`).join());
      }
      await m.replayed();
    },
    { secure: true },
  ),
];

export default (h) => [
  ...eachProvider((provider, stream, name) => agentTest(h, provider, stream, name)),
  ...given(h),
  ...ends(h),
  ...typed(h),
  secrets(h),
  placeholders(h),
  ...certificates(h),
];
