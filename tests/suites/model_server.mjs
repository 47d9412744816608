// The server that plays a model (tests/support/model_server.mjs), asked by programs: every provider, whole and streamed.
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { run, expect, expectEqual } from "../support/harness.mjs";
import { modelServer } from "../support/model_server.mjs";

const providers = ["openai", "openai_responses", "anthropic", "ollama"];
const schema = JSON.stringify(
  JSON.stringify({
    type: "object",
    properties: { id: { type: "string" } },
    required: ["id"],
    additionalProperties: false,
  }),
);

async function printed(h, dir, source) {
  const file = join(dir, "asks.z8");
  writeFileSync(file, source);
  const got = await run(h.z8, ["run", file], { cwd: dir, env: { MODEL_KEY: "test-key", Z8_DIR: join(dir, "data") } });
  expect(got.code === 0, got.stdout + got.stderr);
  return got.stdout;
}

const spec = (server, provider, more) =>
  `{provider: "${provider}", url: "${server.url(provider)}", name: "m", api_key: secret("MODEL_KEY"), ${more}}`;

// A call of two tools with reasoning, both answered, then an answer of a form.
async function converse(h, dir, provider, stream) {
  const server = await modelServer({
    script: [
      {
        text: "Let me see.",
        reasoning: 'ü "hard"',
        usage: { input: 50, output: 7 },
        calls: [
          { name: "Look", arguments: { id: "é1" } },
          { name: "Look", arguments: { id: "2" } },
        ],
      },
      "Fine ✓.",
      '{"id":"q"}',
    ],
  });
  const out = await printed(
    h,
    dir,
    `
spec = ${spec(server, provider, `stream: ${stream}, system: "Be brief.", tools: [{name: "Look", description: "Looks.", schema: ${schema}}]`)}
q = {role: "user", content: "What of 1 and 2?"}
a = model.ask({...spec, messages: [q]})
print(a.text, a.stop, a.usage.input, a.usage.output)
turn = {role: "assistant", content: a.text, calls: a.calls, raw: a.raw}
results = [{role: "tool", id: a.calls[0].id, name: "Look", content: {n: 1}}, {role: "tool", id: a.calls[1].id, name: "Look", content: "two"}]
b = model.ask({...spec, messages: [q, turn, ...results]})
print(b.text)
last = [{role: "assistant", content: b.text}, {role: "user", content: "as JSON"}]
c = model.ask({...spec, messages: [q, turn, ...results, ...last], answer: {name: "A", schema: ${schema}}})
print(c.text)
`,
  );
  await server.close();
  server.check();
  expect(out.startsWith('Let me see. calls 50 7\nFine ✓.\n{"id":"q"}\n'), out);
  const [, turn, one, two] = server.calls[1].messages;
  expectEqual(JSON.stringify(turn.calls.map((c) => c.arguments)), '[{"id":"é1"},{"id":"2"}]');
  expectEqual(`${one.content} ${two.content}`, '{"n":1} two');
  expectEqual(server.calls[2].answer.required.join(), "id");
}

async function refusesErrors(h, dir) {
  const server = await modelServer({
    script: [{ error: { status: 429, headers: { "retry-after": "3" }, message: "slow" } }, "later"],
  });
  const out = await printed(
    h,
    dir,
    `
spec = ${spec(server, "openai", 'messages: [{role: "user", content: "q"}]')}
try:
  print(model.ask(spec))
catch e:
  print(e.code, e.data.class, e.data.wait_us)
print(model.ask(spec).text)
`,
  );
  await server.close();
  server.check();
  expect(out.startsWith("model_rate_limited wait 3000000\nlater\n"), out);
}

async function takesUp(h, dir) {
  const server = await modelServer({ script: [{ text: "a long answer of many pieces", cut: "middle" }] });
  const out = await printed(
    h,
    dir,
    `
spec = ${spec(server, "openai_responses", 'background: true, messages: [{role: "user", content: "q"}]')}
print(model.ask(spec).text)
print(model.ask({...spec, resume: {id: "re_1", after: 2}}).text)
`,
  );
  await server.close();
  server.check();
  expect(out.startsWith("a long answer of many pieces\na long answer of many pieces\n"), out);
  expectEqual(server.calls.map((c) => c.resume?.id ?? "new").join(" "), "new re_1 re_1");
}

// The double would be no use if it let things pass.
async function findsFault() {
  const server = await modelServer({ script: () => "x" });
  const post = (path, body) =>
    fetch(`http://127.0.0.1:${server.port}${path}`, {
      method: "POST",
      headers: { "content-type": "application/json", authorization: "Bearer test-key", "x-api-key": "test-key" },
      body: JSON.stringify({ model: "m", ...body }),
    });
  const call = {
    role: "assistant",
    content: null,
    tool_calls: [{ id: "a", type: "function", function: { name: "T", arguments: "{}" } }],
  };
  await post("/v1/chat/completions", {
    messages: [{ role: "user", content: "q" }, call, { role: "user", content: "x" }],
  });
  await post("/v1/messages", {
    max_tokens: 9,
    messages: [
      { role: "user", content: "a" },
      { role: "user", content: "b" },
    ],
  });
  await post("/v1/responses", { store: false, input: [{ type: "function_call_output", call_id: "z", output: "3" }] });
  await post("/api/chat", { stream: false, messages: [{ role: "tool", tool_name: "x", content: "1" }] });
  await server.close();
  const wanted = [
    "before call a is answered",
    "anthropic-version",
    "after one another",
    "not an open call",
    "an answer of x",
  ];
  wanted.forEach((w, i) => expect(server.faults[i]?.includes(w), `${w}: ${server.faults[i]}`));
}

async function constant() {
  const server = await modelServer({ constant: "Fine." });
  const reply = await fetch(`${server.url("openai")}/chat/completions`, { method: "POST", body: "{}" });
  expectEqual((await reply.json()).choices[0].message.content, "Fine.");
  expectEqual(server.count, 1);
  await server.close();
}

export default (h) => [
  ...providers.flatMap((provider) =>
    [false, true].map((stream) => ({
      name: `${provider}${stream ? " streams" : ""}`,
      test: ({ dir }) => converse(h, dir, provider, stream),
    })),
  ),
  { name: "errors with a time to wait", test: ({ dir }) => refusesErrors(h, dir) },
  { name: "a background response is taken up", test: ({ dir }) => takesUp(h, dir) },
  { name: "finds fault", test: findsFault },
  { name: "constant", test: constant },
];
