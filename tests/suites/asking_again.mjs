// Asking again: as often and as late as it is said, never for money, of another model, and not at all where an answer is made
// in the background and can be taken up.
import { expect, expectEqual } from "../support/harness.mjs";
import { pause } from "../support/served.mjs";
import { PROVIDERS, HOST, SPENT, LONG, declared, modelled } from "../support/model_runs.mjs";

const json = (v) => JSON.stringify(v);
const later = (s) => ({ "retry-after": String(s) });

// ---- asking again, and others ----

const ONE = (provider, more = {}, others = "") => `${HOST}${declared("fast", provider, more)}${others}
ai_agent Helper(query: string):
  model: fast
r = try ask Helper(query: "x")
print(json.stringify({ok: r.ok, value: r.value, code: r.error?.code, message: r.error?.message}))
`;

const money = (h) =>
  PROVIDERS.slice(0, 3).map((provider) =>
    modelled(
      h,
      `money that is used up at ${provider} is never asked again`,
      [
        {
          error:
            provider === "anthropic"
              ? { status: 429, headers: later(1), body: SPENT }
              : { status: 429, code: "insufficient_quota", headers: { ...later(1), "x-should-retry": "true" } },
        },
      ],
      async (m, server) => {
        const [got] = await m.printed(ONE(provider));
        expectEqual(got.code, "model_quota");
        expectEqual(server.calls.length, 1, "calls");
      },
    ),
  );

const waits = (h) => [
  modelled(
    h,
    "what the provider asks for is waited, and nothing else asks again",
    [
      { error: { status: 429, code: "rate_limit_exceeded", headers: { "retry-after-ms": "1200" } } },
      { error: { status: 529, headers: later(1) } },
      "Fine.",
    ],
    async (m, server) => {
      const [got] = await m.printed(ONE("openai"));
      expectEqual(got.value, "Fine.");
      expectEqual(server.calls.length, 3, "calls");
      const [a, b] = [1, 2].map((i) => server.calls[i].at_ms - server.calls[i - 1].at_ms);
      expect(a >= 1200 && a < 4000 && b >= 1000 && b < 4000, `waits of ${a} and ${b} ms`);
      await m.replayed();
    },
  ),
  modelled(
    h,
    "one owner of repeats: as many calls as max_attempts says",
    () => ({ error: { status: 500 } }),
    async (m, server) => {
      const [got] = await m.printed(ONE("anthropic", { max_attempts: 3 }));
      expectEqual(got.code, "model_server");
      expectEqual(server.calls.length, 3, "calls");
    },
  ),
  modelled(
    h,
    "a wait outlives the process",
    [{ error: { status: 429, headers: later(3) } }, "Fine."],
    async (m, server) => {
      const asked = new Promise((ok) => server.http.on("request", () => setTimeout(ok, 700)));
      const began = Date.now();
      await m.killedWhen(asked, "run", m.write(ONE("openai")));
      await pause(500);
      const out = await m.ok("recover");
      expect(out.includes("Fine."), out);
      expectEqual(server.calls.length, 2, "calls");
      const waited = server.calls[1].at_ms - server.calls[0].at_ms;
      expect(waited >= 3000 && waited < 4500 && Date.now() - began < 6000, `asked again after ${waited} ms`);
    },
  ),
  modelled(
    h,
    "an answer that was lost is asked for again",
    [{ text: LONG, cut: "middle" }, { cut: "before" }, "Fine."],
    async (m, server) => {
      const [got] = await m.printed(ONE("openai"));
      expectEqual(got.value, "Fine.");
      expectEqual((await m.calls()).map((c) => c.outcome).join(" "), "unknown unknown ok", "on record");
      await m.replayed();
    },
  ),
];

const SECOND = (
  first,
) => `${HOST}${declared("fast", first, { fallback: "[middle, last]", max_attempts: 1 })}${declared("middle", "openai", { max_attempts: 1 })}${declared("last", first === "anthropic" ? "openai_responses" : "anthropic")}
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
  ...["anthropic", "openai_responses", "ollama"].map((first) =>
    modelled(
      h,
      `another model than one of ${first} goes on with the conversation`,
      (r) => {
        const turn = r.messages.filter((x) => x.role === "assistant").length;
        if (r.model === "fast-1" && turn === 0)
          return { text: "Hm.", reasoning: "deep thoughts", calls: [{ name: "Look", arguments: { id: 1 } }] };
        if (r.model !== "last-1") return { error: { status: r.model === "middle-1" ? 401 : 503 } };
        return turn === 1
          ? {
              reasoning: "other thoughts",
              calls: [
                { name: "Look", arguments: { id: 2 } },
                { name: "Look", arguments: { id: 3 } },
              ],
            }
          : "Done.";
      },
      async (m, server) => {
        expectEqual((await m.run(SECOND(first))).trim(), '"Done."');
        expectEqual(server.calls.map((c) => c.model[0]).join(""), "ffmlfml", "who was asked");
        for (const c of server.calls)
          if (c.provider !== first)
            expect(
              !c.raw.includes("deep thoughts") && !c.raw.includes('signature":"sig+re_1'),
              `what the first model thought: ${c.raw}`,
            );
        const said = json(await m.notes());
        expect(said.includes('"fallback"') && said.includes("asking middle") && said.includes("asking last"), said);
        await m.replayed();
      },
    ),
  ),
  modelled(
    h,
    "a form that the other model's provider cannot be held to is told it in words",
    (r) => {
      if (r.model === "fast-1") return { error: { status: 503 } };
      return r.messages.length === 1 ? { calls: [{ name: "Look", arguments: { id: 1 } }] } : '{"answer": {"a": 1}}';
    },
    async (m, server) => {
      for (const other of ["ollama", "anthropic"]) {
        const [got] = await m.printed(`${HOST}
${declared("fast", "openai", { fallback: "[other]", max_attempts: 1 })}${declared("other", other)}
tool Look(id: int) -> int:
  effect read
  perform: return id
ai_agent Helper(query: string):
  model: fast
  tools: [Look]
  answer: map[int]
print(json.stringify(ask Helper(query: "x")))
`);
        expectEqual(json(got), '{"a":1}');
        const asked = server.calls.splice(0);
        expectEqual(asked.map((c) => c.provider[1]).join(""), other === "ollama" ? "plpl" : "pnpn");
        for (const c of asked) {
          const told = /JSON Schema/.test(c.system ?? "");
          expect(told === (c.model === "other-1") && told === !c.answer, json(c.body));
        }
      }
    },
  ),
  modelled(
    h,
    "when all models fail the error names them",
    () => ({ error: { status: 503 } }),
    async (m, server) => {
      const [got] = await m.printed(
        ONE("ollama", { fallback: "[other]", max_attempts: 1 }, declared("other", "anthropic", { max_attempts: 1 })),
      );
      expect(got.code === "model_server" && /fast, then other/.test(got.message), json(got));
      expectEqual(server.calls.length, 2, "calls");
    },
  ),
  modelled(
    h,
    "a wrong request is not asked of others",
    () => ({ error: { status: 400, type: "invalid_request_error" } }),
    async (m, server) => {
      const [got] = await m.printed(ONE("openai", { fallback: "[other]" }, declared("other", "anthropic")));
      expectEqual(got.code, "model_invalid");
      expectEqual(server.calls.length, 1, "calls");
    },
  ),
];

// ---- answers made in the background ----

const background = (h) => [
  modelled(
    h,
    "an answer made in the background is taken up after kill -9",
    [{ text: LONG.repeat(6), piece_ms: 80, usage: { input: 40, output: 70 } }],
    async (m, server) => {
      const began = new Promise((ok) => server.http.on("request", () => setTimeout(ok, 1700)));
      await m.killedWhen(began, "run", m.write(ONE("openai_responses", { background: true })));
      const out = await m.ok("recover");
      expect(out.includes(LONG.repeat(6)), out);
      expectEqual(
        server.generations,
        1,
        `answers that were begun: ${json(server.calls.map((c) => c.resume ?? "POST"))}`,
      );
      const gets = server.calls.filter((c) => c.resume);
      expect(gets.length >= 1 && gets[0].resume.after > 0, `taken up: ${json(gets.map((c) => c.resume))}`);
      const [call] = await m.calls();
      expectEqual(
        json([call.value.usage.input, call.value.usage.output, call.value.usage.exact]),
        "[40,70,true]",
        "usage",
      );
      await m.replayed();
    },
  ),
  modelled(
    h,
    "a background answer whose connection breaks is taken up",
    [{ text: LONG.repeat(4), piece_ms: 20, cut: "middle" }],
    async (m, server) => {
      const [got] = await m.printed(ONE("openai_responses", { background: true }));
      expectEqual(got.value, LONG.repeat(4));
      expectEqual(
        server.generations,
        1,
        `answers that were begun: ${json(server.calls.map((c) => c.resume ?? "POST"))}`,
      );
    },
  ),
];

export default (h) => [...money(h), ...waits(h), ...fallbacks(h), ...background(h)];
