// Budgets and limits, measured at a server that counts and charges: no more is spent than there is, no more is asked than may be,
// by calls at once, by processes that are killed, and nothing is dropped.
import { expect, expectEqual } from "../support/harness.mjs";
import { pause, lines, until } from "../support/served.mjs";
import {
  HOST,
  Models,
  PRICE,
  caseOf,
  chance,
  declared,
  killedAtRandom,
  microdollars,
  modelled,
  rawServer,
  recorded,
} from "../support/model_runs.mjs";

const json = (v) => JSON.stringify(v);

// ---- budgets ----

// Many calls at once; the server charges what it likes, at most what max_tokens allows.
const charges =
  (most, delay = 5) =>
  async (r) => {
    await pause(delay * chance());
    return {
      text: "Fine.",
      usage: { input: 10 + Math.floor(chance() * 10), output: Math.floor(chance() * (most + 1)) },
    };
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

const BUDGET = (usd, limit) =>
  MANY(
    {},
    `workflow Many(n: int):
  budget { usd: ${usd}d }:
    rs = parallel for i in range(n) limit ${limit}: one(i)
    told(rs, budget.left())
`,
    "Many(80)",
  );

const budgets = (h) => [
  modelled(
    h,
    "a budget of a scope is used up by calls at once, and never overspent",
    charges(100),
    async (m, server) => {
      const [told] = await m.printed(BUDGET(0.004, 24)),
        charged = chargedOf(server);
      expect(told.ok + told.refused === told.all && told.refused > 0, json(told));
      expect(charged <= 4000, `${charged} of 4000 were charged`);
      expect(charged > 4000 - 260, `only ${charged} of 4000 were charged: ${json(told)}`);
      expectEqual(server.calls.length, told.ok, "calls");
      expect(
        Math.abs(Number(told.left.spent.usd) * 1e6 - charged) < 1e-6 && told.left.spent.calls === told.ok,
        `${charged}: ${json(told)}`,
      );
      await m.replayed();
    },
  ),
  modelled(h, "tokens and calls are budgets too", charges(100), async (m, server) => {
    const told = await m.printed(
      MANY(
        {},
        `workflow Many(n: int):
  budget { calls: 7 }:
    rs = parallel for i in range(n) limit 24: one(i)
    told(rs, budget.left())
workflow Tokens(n: int):
  budget { tokens: 1_000 }:
    budget { usd: 1.0d, calls: 500 }:
      rs = parallel for i in range(n) limit 24: one(i)
      told(rs, budget.left())
`,
        "Many(30)\nTokens(60)",
      ),
    );
    expect(told[0].ok === 7 && told[0].refused === 23 && told[0].left.calls === 0, json(told));
    const tokens = server.calls.slice(7).reduce((sum, c) => sum + c.usage.input + c.usage.output, 0);
    expect(tokens <= 1000 && tokens > 1000 - 160 && told[1].refused > 0, `${tokens} tokens: ${json(told[1])}`);
  }),
  modelled(h, "a budget holds under kills", charges(100, 60), async (m, server) => {
    const kills = await killedAtRandom(m, m.write(BUDGET(0.006, 4)), 120, 12);
    expect(kills >= 3, `only ${kills} kills came before the end`);
    const charged = chargedOf(server),
      [told] = await recorded(m);
    expect(charged <= 6000, `${charged} of 6000 were charged under ${kills} kills`);
    const spent = Number(told.left.spent.usd) * 1e6;
    expect(charged <= spent + 1e-6 && spent <= 6000 && spent > 6000 - 260, `charged ${charged}, in the books ${spent}`);
    expect(told.ok + told.refused === told.all && told.refused > 0 && told.ok > 0, json(told));
    expect(told.left.spent.calls - told.ok <= 4 * kills, `${json(told)} under ${kills} kills`);
  }),
  modelled(h, "a budget of a program outlives its processes", charges(100), async (m, server) => {
    const program = m.write(
      MANY(
        {},
        "budget Acme: { usd: 0.004d, by: [model] }",
        `rs = parallel for i in range(20) limit 10: one(i)
told(rs, nil)`,
      ),
    );
    const told = [];
    for (let i = 0; i < 4; i++) told.push(...lines(await m.ok("run", program)));
    const charged = chargedOf(server);
    expect(charged <= 4000 && charged > 4000 - 260, `${charged} of 4000 were charged: ${json(told)}`);
    expect(told[0].refused === 0 && told[3].ok === 0, json(told));
  }),
  modelled(h, "runs that outlive the scope they began in spend what it has left", charges(0), async (m, server) => {
    const file = m.write(
      MANY(
        {},
        `workflow Child(n: int):
  sleep 2s
  print(json.stringify([one(i) for i in range(n)]))
workflow Grandchild(n: int): start Child(n)
workflow Owner():
  budget { calls: 7 }:
    one(0)
    start Child(4)
    start Grandchild(4)
`,
        "Owner()\nsleep 3s",
      ),
    );
    const over = async () => (await m.runs()).filter((r) => r.status === "done");
    await m.ok("run", file);
    await m.ok("recover");
    expectEqual(server.calls.length, 7, "calls");
    expectEqual((await over()).length, 5, "runs");
    const twice = until("the second owner's end", async () => {
      const names = (await over()).map((r) => r.workflow);
      return names.filter((n) => n === "Owner").length === 2 && names.filter((n) => n === "Grandchild").length === 2;
    });
    await m.killedWhen(twice, "run", file);
    await m.ok("recover");
    expectEqual(server.calls.length, 14, "calls");
    expectEqual((await over()).length, 10, "runs");
    await m.replayed();
  }),
  modelled(h, "child runs spend what the scope around them has", charges(100), async (m, server) => {
    const [told] = await m.printed(
      MANY(
        {},
        `ai_agent Helper(query: string):
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
`,
        "Many(40)",
      ),
    );
    const charged = chargedOf(server);
    expect(charged <= 2000 && charged > 2000 - 260 && told.refused > 0, `${charged} of 2000: ${json(told)}`);
    expect(Math.abs(Number(told.left.spent.usd) * 1e6 - charged) < 1e-6, `${charged}: ${json(told)}`);
  }),
  modelled(h, "a budget that ends lets a cheaper model stand in", charges(100), async (m, server) => {
    const [told] =
      await m.printed(`${HOST}${declared("big", "openai", { price: "{ input: 100.0d, output: 100.0d }", max_tokens: 100 })}${declared("small", "openai", { price: PRICE, max_tokens: 100 })}
ai_agent Helper(query: string):
  model: big
  budget: { usd: 0.001d, degrade: small }
print(json.stringify(ask Helper(query: "x", details: true)))
`);
    expectEqual(server.calls.map((c) => c.model).join(" "), "small-1");
    expect(told.answer === "Fine." && json(await m.notes()).includes('"degrade"'), json(told));
  }),
  modelled(
    h,
    "what is dearest is what is reserved",
    () => ({ text: "ok", usage: { input: 300, cache_write: 300, output: 1 } }),
    async (m, server) => {
      const [told] =
        await m.printed(`${HOST}${declared("fast", "anthropic", { price: "{ input: 1.0d, output: 1.0d, cache_write: 10.0d }", max_tokens: 1 })}
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
      expect(
        charged <= 20000 && Math.abs(Number(told.usd) * 1e6 - charged) < 1e-6,
        `${charged} of 20000: ${json(told)}`,
      );
    },
  ),
  modelled(
    h,
    "who loses a race is paid for, and an answer that nobody waits for too",
    async (r) => {
      await pause(/slow/.test(r.messages[0].content) ? 400 : 30);
      return { text: r.messages[0].content, usage: { input: 10, output: 50 } };
    },
    async (m) => {
      const model = declared("fast", "openai", { price: PRICE, max_tokens: 100, max_attempts: 1 }),
        acme = "budget Acme: { calls: 4 }\n";
      const one = `fn one(s: string) -> string:
  r = try model.call(fast(), {messages: [{role: "user", content: s}]})
  if r.ok: return r.value.text
  return r.error.code
`;
      await m.run(`${HOST}${model}${one}print(one("known"))\n`); // the first call of a model is alone in a budget
      const spent = lines(
        await m.run(`${HOST}${model}${acme}${one}
workflow W():
  budget { usd: 1.0d }:
    x = race:
      one("slow")
      one("quick")
    sleep 700ms
    print(json.stringify([x, budget.left().spent.calls, budget.left().spent.usd]))
W()
`),
      )[0];
      expectEqual(json(spent), '["quick",2,0.00022]');
      expectEqual(
        (
          await m.ok(
            "run",
            m.write(
              `${HOST}${model}${acme}${one}
x = race:
  one("slow too")
  one("quick")
print(x)
`,
              "b.z8",
            ),
          )
        ).trim(),
        "quick",
      ); // it is over while the other call is on its way
      expectEqual(
        (await m.ok("run", m.write(`${HOST}${model}${acme}${one}print(one("quick"))\n`, "c.z8"))).trim(),
        "budget_exhausted",
      );
    },
  ),
  modelled(
    h,
    "a call whose time is over is charged in full, as uncertain",
    async () => {
      await pause(1500);
      return "late";
    },
    async (m) => {
      const [told] =
        await m.printed(`${HOST}${declared("fast", "openai", { price: PRICE, max_tokens: 100, max_attempts: 1, timeout: "300ms" })}
workflow W():
  budget { usd: 1.0d }:
    r = try model.call(fast(), {messages: [{role: "user", content: "slow"}]})
    print(json.stringify({code: r.error?.code, class: r.error?.data.class, spent: budget.left().spent}))
W()
`);
      expect(
        told.code === "model_network" &&
          told.class === "unknown" &&
          told.spent.calls === 1 &&
          Number(told.spent.usd) >= 0.0002,
        json(told),
      );
    },
  ),
];

// ---- what servers count beyond the estimate ----

// In flight now, and the most that ever were. `go()` is awaited by the answer.
function watched(usageOf, go = () => pause(20)) {
  const seen = { now: 0, most: 0, alone: [] };
  const script = async (r) => {
    seen.now++;
    seen.most = Math.max(seen.most, seen.now);
    seen.alone.push(seen.now === 1);
    const n = seen.alone.length;
    await go(n, seen);
    seen.now--;
    const usage = usageOf(r, n);
    return usage.error ? usage : { text: "Fine.", usage };
  };
  return { seen, script };
}
// Answers when so many have come at once, and not before: who lets fewer go waits for ever.
function together(count, arrived = 0) {
  let open;
  const all = new Promise((ok) => (open = ok));
  return () => (++arrived >= count && open(), all);
}
const tokensOf = (calls) => calls.reduce((sum, c) => sum + (c.usage ? c.usage.input + c.usage.output : 0), 0);
const ALIKE = (
  setting,
  n,
  prompt = "x",
  more = {},
) => `${HOST}${declared("fast", "openai", { price: PRICE, max_tokens: 100, ...more })}
fn one(i: any) -> string:
  r = try model.call(fast(), {messages: [{role: "user", content: "${prompt}"}]})
  if r.ok: return "ok"
  return r.error.code
workflow Many():
  budget { ${setting} }:
    rs = parallel for i in range(${n}) limit ${n}: one(i)
    print(json.stringify({ok: rs.count_where(r -> r is "ok"), refused: rs.count_where(r -> r is "budget_exhausted"), left: budget.left()}))
Many()
`;
// Words of one length, so that each call costs the same: some three times what they are thought to be.
const LONG_WORDS = "Subscription Cancellations Notwithstanding ".repeat(12),
  EACH = LONG_WORDS.length + 20;
const countsBytes = () => watched((r) => ({ input: r.messages[0].content.length, output: 20 }));
const BYTES = (
  before,
  body,
) => `${HOST}${declared("fast", "openai", { price: "{ input: 1.0d, output: 1.0d }", max_tokens: 20 })}
fn one(i: any) -> string:
  r = try model.call(fast(), {messages: [{role: "user", content: "${LONG_WORDS}"}]})
  if r.ok: return "ok"
  return r.error.code
fn told(rs: list): print(json.stringify({ok: rs.count_where(r -> r is "ok"), refused: rs.count_where(r -> r is "budget_exhausted")}))
${before}
${body}
`;
const byBytes = (h, name, before, body, fitting) => {
  const { script, seen } = countsBytes();
  return modelled(h, name, script, async (m, server) => {
    const told = await m.printed(BYTES(before, body));
    expectEqual(server.calls.length, fitting, json(told));
    expect(told.at(-1).refused > 0 && seen.most > 1, `${seen.most} at once: ${json(told)}`);
  });
};

const beyond = (h) => [
  ...[10, 64].map((n) => {
    const { seen, script } = watched(() => ({ input: 5000, output: 10 }));
    return modelled(
      h,
      `${n} calls that cost more than is thought overspend as one of them would`,
      script,
      async (m, server) => {
        // The first is alone; one more is thought to fit then, and it is the last.
        const [told] = await m.printed(ALIKE("tokens: 6_000", n));
        expectEqual(json([server.calls.length, seen.most, told.ok, told.refused]), json([2, 1, 2, n - 2]));
        // Another process knows what they cost: of 16 000 three are covered, and a fourth by itself is thought to fit.
        const [later] = await m.printed(ALIKE("tokens: 16_000", n)),
          charged = tokensOf(server.calls.slice(2));
        expectEqual(json([server.calls.length - 2, later.ok]), "[4,4]");
        expect(charged <= 16000 + 5010 - 100, `${charged} of 16000`);
        // And where the fourth cannot be, nothing is overspent.
        const before = server.calls.length;
        await m.printed(ALIKE("tokens: 15_100", n));
        expect(tokensOf(server.calls.slice(before)) <= 15100, `${tokensOf(server.calls.slice(before))} of 15100`);
      },
    );
  }),
  byBytes(
    h,
    "a server that counts bytes never overspends a budget of tokens",
    `workflow Many():
  budget { tokens: ${10 * EACH + 20} }:
    rs = parallel for i in range(24) limit 24: one(i)
    told(rs)`,
    "Many()",
    10,
  ),
  byBytes(
    h,
    "a server that counts bytes never overspends a budget of dollars",
    `workflow Many():
  budget { usd: 0.${String(10 * EACH + 20).padStart(6, "0")}d }:
    rs = parallel for i in range(24) limit 24: one(i)
    told(rs)`,
    "Many()",
    10,
  ),
  byBytes(
    h,
    "a server that counts bytes never overspends budgets within budgets",
    `workflow Some(n: int):
  budget { tokens: ${3 * EACH + 20} }:
    return parallel for i in range(n) limit n: one(i)
workflow Many():
  budget { usd: 1.0d, tokens: ${10 * EACH + 20} }:
    rs = parallel for i in range(6) limit 6: Some(8)
    told(rs.flatten())`,
    "Many()",
    10,
  ),
  byBytes(
    h,
    "a server that counts bytes never overspends a budget of a tenant",
    `budget Acme: { tokens: ${7 * EACH + 20}, usd: 5.0d, by: [tenant] }`,
    `rs = parallel for i in range(24) limit 24: one(i)
told(rs)`,
    7,
  ),
  (() => {
    const { seen, script } = watched((r) => ({ input: r.messages[0].content.length, output: 20 }));
    const limit = 10 * EACH + EACH - 60; // one more is thought to fit
    return modelled(h, "who does not fit although it was thought to is one call", script, async (m, server) => {
      await m.run(
        BYTES(
          `workflow Many():
  budget { tokens: ${limit} }:
    rs = parallel for i in range(40) limit 40: one(i)
    told(rs)`,
          "Many()",
        ),
      );
      expectEqual(server.calls.length, 11);
      expectEqual(tokensOf(server.calls) - limit, 60, `${seen.most} at once`);
    });
  })(),
  (() => {
    const all = together(15),
      { seen, script } = watched(
        () => ({ input: 9, output: 5 }),
        (n) => (n === 1 ? pause(100) : all()),
      );
    return modelled(h, "the first call of a model is alone in its budget, then all go at once", script, async (m) => {
      const [told] = await m.printed(ALIKE("tokens: 100_000, usd: 1.0d", 16));
      expectEqual(json([told.ok, seen.most, seen.alone.slice(0, 2)]), "[16,15,[true,true]]");
    });
  })(),
  (() => {
    const all = together(6),
      { seen, script } = watched(
        (r, n) => (n <= 2 ? { error: { status: 429 } } : { input: 9, output: 5 }),
        (n) => (n <= 3 ? pause(50) : all()),
      );
    return modelled(h, "an error that costs nothing tells nothing of what a model costs", script, async (m) => {
      const [told] = await m.printed(ALIKE("tokens: 100_000", 9, "x", { max_attempts: 1 }));
      expectEqual(json([told.ok, seen.most, seen.alone.slice(0, 4)]), "[7,6,[true,true,true,true]]");
    });
  })(),
  (() => {
    const all = together(8),
      { seen, script } = watched(
        (r, n) => ({ input: n === 2 ? 50_000 : 9, output: 5 }),
        (n, s) => (s.until ? all() : pause(5)),
      );
    return modelled(
      h,
      "an outlier refuses nobody, and makes calls wait for a while only",
      script,
      async (m, server) => {
        await m.run(`${ALIKE("calls: 2", 1)}Many()\n`); // the second is the outlier
        expectEqual(server.calls.length, 2);
        seen.most = 0;
        const [first] = await m.printed(ALIKE("tokens: 5_000", 4));
        expectEqual(json([first.ok, seen.most]), "[4,1]");
        const [some] = await m.printed(ALIKE("tokens: 5_000", 40));
        expectEqual(some.ok, 40);
        seen.until = true;
        seen.most = 0;
        const [last] = await m.printed(ALIKE("tokens: 5_000", 8));
        expectEqual(json([last.ok, seen.most]), "[8,8]");
      },
    );
  })(),
  (() => {
    const { script } = watched(
      () => ({ input: 60, output: 90 }),
      (n) => pause(n === 1 ? 2500 : 5),
    );
    return modelled(h, "who waited is judged by the window in which its turn comes", script, async (m) => {
      await pause((6000 - (Date.now() % 4000)) % 4000); // half of a window is left
      const [told] = await m.printed(`${HOST}${declared("fast", "openai", { price: PRICE, max_tokens: 100 })}
budget Acme: { tokens: 250 per 4s, by: [tenant] }
fn one(s: string) -> string:
  r = try model.call(fast(), {messages: [{role: "user", content: s}]})
  if r.ok: return "ok"
  return r.error.code
fn later() -> string:
  sleep 100ms
  return one("second")
parallel:
  a = one("first")
  b = later()
print(json.stringify([a, b]))
`);
      expectEqual(json(told), '["ok","ok"]');
    });
  })(),
  (() => {
    const { script } = watched((r, n) => ({ input: 3000, output: 50 }));
    return modelled(
      h,
      "a reply that is lost is charged what its model was seen to charge",
      async (r) => ({ text: "Fine.", usage: (await script(r)).usage, ...(caseOf(r) > 0 && { cut: "headers" }) }),
      async (m, server) => {
        const [told] = await m.printed(`${HOST}${declared("fast", "openai", { price: PRICE, max_tokens: 100, max_attempts: 1 })}
fn one(i: int) -> string:
  r = try model.call(fast(), {messages: [{role: "user", content: "case \${i}"}]})
  if r.ok: return "ok"
  return r.error.code
workflow W():
  one(0)
  budget { tokens: 5_000 }:
    print(json.stringify([one(i) for i in range(1, 8)]))
W()
`);
        expectEqual(json([told.slice(0, 3), told.at(-1)]), '[["model_network","model_network","budget_exhausted"],"budget_exhausted"]');
        expectEqual(server.calls.length, 3);
      },
    );
  })(),
  (() => {
    const { seen, script } = watched(
      () => ({ input: 9, output: 5 }),
      (n) => pause(n === 1 ? 1500 : 5),
    );
    return modelled(h, "who waits in a small budget does not hold up the others of a larger one", script, async (m) => {
      const [told] = await m.printed(`${HOST}${declared("fast", "openai", { price: PRICE, max_tokens: 100 })}
budget Acme: { usd: 1_000.0d, by: [tenant] }
fn one(s: string) -> string: return model.call(fast(), {messages: [{role: "user", content: s}]}).text
workflow Small():
  budget { tokens: 1_000 }:
    parallel:
      one("slow")
      one("behind it")
  return "small"
workflow Free():
  sleep 200ms
  for i in range(5): one("free")
  return "free"
a = start Small()
b = start Free()
first = race:
  await(a)
  await(b)
print(json.stringify({first}))
await(a)
`);
      expectEqual(json([told.first, seen.most]), '["free",2]');
    });
  })(),
  (() => {
    let release;
    const released = new Promise((ok) => (release = ok)),
      { script } = watched(
        () => ({ input: 400, output: 5 }),
        () => released,
      );
    return modelled(
      h,
      "what is left beside a call is what is left if it costs what is expected",
      script,
      async (m, server) => {
        const file = m.write(`${HOST}${declared("fast", "openai", { price: PRICE, max_tokens: 100 })}
fn one() -> string: return model.call(fast(), {messages: [{role: "user", content: "${LONG_WORDS}"}]}).text
fn beside() -> string:
  await signal look
  print(json.stringify(budget.left()))
  return "seen"
workflow W():
  budget { tokens: 5_000, usd: 1.0d }:
    parallel:
      one()
      beside()
    print(json.stringify(budget.left()))
W()
`);
        const ended = m.z8("run", file);
        await until("the call", () => server.calls.length > 0);
        const { total } = lines(await m.ok("costs", "--json")).at(-1),
          run = (await m.runs()).find((r) => r.workflow === "W").run;
        await m.ok("signal", run, "look");
        await until("a look", async () => (await recorded(m)).length > 0);
        release();
        const [beside, after] = lines((await ended).stdout),
          held = 5000 - beside.tokens;
        // The words are 500 bytes, and thought to be a third of that; the call is alone, and holds the rest from others.
        expect(held > 100 + 80 && held < 100 + 300 && Number(beside.usd) > 0.99, json(beside));
        expect(Math.abs(total.reserved_usd * 1e6 - (held + 100)) < 1e-6, json([total, beside]));
        expectEqual(json([after.tokens, after.spent.tokens]), "[4595,405]");
      },
    );
  })(),
  (() => {
    const { script } = watched(
      () => ({ input: 9, output: 5 }),
      (n) => pause(n === 1 ? 700 : 10),
    );
    return modelled(
      h,
      "who gives up while it waits for the first call leaves nothing behind",
      script,
      async (m, server) => {
        const [told] = await m.printed(`${HOST}${declared("fast", "openai", { price: PRICE, max_tokens: 100 })}
fn one(s: string) -> string: return model.call(fast(), {messages: [{role: "user", content: s}]}).text
fn hasty() -> string:
  return race:
    one("hasty")
    late()
fn late() -> string:
  sleep 100ms
  return "gave up"
fn patient() -> string:
  sleep 50ms
  return one("patient")
workflow W():
  budget { tokens: 1_000 }:
    parallel:
      a = one("first")
      b = hasty()
      c = patient()
    print(json.stringify([[a, b, c], one("last"), budget.left()]))
W()
`);
        expectEqual(json(told.slice(0, 2)), '[["Fine.","gave up","Fine."],"Fine."]');
        expectEqual(json([told[2].tokens, told[2].spent.calls, server.calls.length]), "[958,3,3]");
        const { total } = lines(await m.ok("costs", "--json")).at(-1);
        expectEqual(total.reserved_usd, 0);
      },
    );
  })(),
];

// ---- limits ----

// No stretch of that length has more than `most`; on the way to the server a call may lose a little time against another.
function windowed(server, most, ms, of = () => 1) {
  const slack = 350,
    calls = server.calls.map((c) => [c.at_ms, of(c)]).sort((a, b) => a[0] - b[0]);
  calls.forEach(([at], i) => {
    let sum = 0;
    for (let k = i; k < calls.length && calls[k][0] < at + ms - slack; k++) sum += calls[k][1];
    expect(sum <= most, `${sum} within ${ms} ms, and ${most} are allowed: ${calls.map((c) => c[0] - calls[0][0])}`);
  });
}
// No more than is expected before the call: what a server counts beyond that is known too late for its window.
const chargesLess = async () => {
  await pause(5 * chance());
  return { text: "Fine.", usage: { input: 8, output: Math.floor(chance() * 51) } };
};
const LIMITED = (limit, n, more = "") =>
  MANY(
    { max_tokens: 50, limit },
    `workflow Many(n: int):
  rs = parallel for i in range(n) limit 50: one(i)
  told(rs, nil)
${more}`,
    `Many(${n})`,
  );

const limits = (h) => [
  modelled(h, "what is over a limit waits, and no window ever has more", charges(50), async (m, server) => {
    const began = Date.now(),
      [told] = await m.printed(LIMITED("{ requests: 10 per 1s }", 35)),
      took = Date.now() - began;
    expectEqual(told.ok, 35, json(told));
    windowed(server, 10, 1000);
    expect(took > 2900 && took < 6000, `35 calls of 10 a second took ${took} ms`);
  }),
  modelled(h, "tokens are limited by what they turn out to be", chargesLess, async (m, server) => {
    const [told] = await m.printed(LIMITED("{ tokens: 600 per 1s }", 30));
    expectEqual(told.ok, 30, json(told));
    windowed(server, 600, 1000, (c) => c.usage.input + c.usage.output);
  }),
  modelled(h, "a window outlives kill -9", charges(50), async (m, server) => {
    const file = m.write(LIMITED("{ requests: 8 per 2s }", 20));
    await m.killedWhen(
      until("some calls", () => server.calls.length >= 5),
      "run",
      file,
    );
    await m.killedWhen(pause(300), "recover");
    await m.killedWhen(
      until("more calls", () => server.calls.length >= 12),
      "recover",
    );
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
    const order = server.calls.map((c) => c.messages[0].content),
      last = order.findLastIndex((c) => c.startsWith("little"));
    expect(last < 6 + 12 + 6, `the last of the little one was number ${last + 1}`);
  }),
  modelled(h, "who needs two limits comes to its turn while each is busy with others", charges(10), async (m, server) => {
    // Two floods, each at one of the limits, and one call that needs both.
    await m.run(`${HOST}${declared("wide", "openai", { max_tokens: 20 })}${declared("narrow", "openai", { max_tokens: 20, limit: "{ requests: 4 per 1s }" })}
limit Vendor: { provider: openai, requests: 8 per 1s }
fn ask_wide(s: string) -> string: return model.call(wide(), {messages: [{role: "user", content: s}]}).text
fn ask_narrow(s: string) -> string: return model.call(narrow(), {messages: [{role: "user", content: s}]}).text
workflow Wide(i: int): return ask_wide("wide \${i}")
workflow Narrow(i: int): return ask_narrow("narrow \${i}")
ws = [start Wide(i) for i in range(20)]
ns = [start Narrow(i) for i in range(8)]
sleep 50ms
mine = start Narrow(99)
more = [start Wide(i) for i in range(20, 40)]
rest = [start Narrow(i) for i in range(100, 108)]
await all ws
await all ns
await all more
await all rest
await(mine)
`);
    const order = server.calls.map((c) => c.messages[0].content),
      before = (a, b) => expect(order.indexOf(a) < order.indexOf(b), `${a} was not before ${b}: ${order}`);
    expectEqual(order.length, 57);
    windowed(server, 8, 1000);
    before("wide 19", "narrow 3");
    before("narrow 3", "wide 24");
    before("narrow 7", "wide 36");
    before("narrow 99", "narrow 101");
  }),
  {
    name: "what is sent again after a kill waits for its tool's limit too",
    test: async ({ dir }) => {
      const at = [];
      const server = await rawServer((request, reply) => {
        at.push(Date.now());
        setTimeout(() => reply.end("{}"), 300);
      });
      const m = new Models(h, dir, server);
      const file = m.write(`${HOST}
tool Few(n: int) -> int:
  effect read
  limit "few" 2 per 2s
  perform: return http.get("\${host}/few/\${n}").status
workflow W(i: int) -> int: return Few(n: i)
hs = [start W(i) for i in range(3)]
print(await all hs)
`);
      for (const words of [["run", file], ["recover"], ["recover"]]) {
        const before = at.length;
        await m.killedWhen(until("requests", () => at.length >= before + 2), ...words);
      }
      await m.ok("recover");
      await server.close();
      at.forEach((t, i) => expect(i < 2 || t - at[i - 2] > 1700, `requests at ${at.map((x) => x - at[0])} ms`));
      expect((await m.runs()).every((r) => r.status === "done"), json(await m.runs()));
      await m.replayed();
    },
  },
  modelled(h, "who waits for a tool's limit leaves memory, is told of, and comes back", [], async (m) => {
    await m.run(`tool Few(n: int) -> int:
  effect read
  perform: return n
limit Rare: { tool: Few, requests: 2 per 3s }
workflow One(i: int) -> int: return Few(n: i)
for i in range(6): start One(i)
`);
    const all = m.z8("recover");
    await until("a wait", async () =>
      (await m.runs()).some((r) => r.status === "parked" && /waiting \d+ s for limit Rare, 2 of 2 .* per 3s/.test(r.note)),
    );
    expectEqual((await all).code, 0);
    const runs = (await m.runs()).filter((r) => r.workflow === "One");
    expectEqual(runs.filter((r) => r.status === "done").length, 6, json(runs));
    await m.replayed();
  }),
];

const cancelled = (h) =>
  modelled(
    h,
    "a run that is cancelled gives back what it had reserved, unless its call had left",
    async () => {
      await pause(1500);
      return "late";
    },
    async (m, server) => {
      const file = m.write(`${HOST}
${declared("fast", "openai", { price: PRICE, max_tokens: 100, limit: "{ requests: 1 per 1m }" })}
workflow W(s: string):
  return model.call(fast(), {messages: [{role: "user", content: s}]}).text
a = start W("a")
sleep 50ms
b = start W("b")
print(json.stringify([(try await(a)).ok, (try await(b)).ok]))
`);
      const ended = m.z8("run", file);
      const queued = (r) => /waiting \d+ s for model fast, 1 of 1 requests per 1m/.test(r.note);
      await until("the first call", () => server.calls.length > 0);
      const runs = await until("one in the queue", async () => {
        const rows = await m.runs();
        return rows.some(queued) && rows;
      });
      for (const r of runs.filter((r) => r.workflow === "W")) await m.ok("cancel", r.run);
      expectEqual((await ended).stdout.trim(), "[false,false]");
      await m.ok("recover");
      const { total } = lines(await m.ok("costs", "--json")).at(-1);
      expectEqual(json([total.calls, total.uncertain_calls, total.reserved_usd]), "[1,1,0]", json(total));
    },
  );

export default (h) => [...budgets(h), ...beyond(h), cancelled(h), ...limits(h).map((t) => ({ ...t, alone: true }))];
