// Every example runs and prints what it should; the demo plays to its end.
import { readdirSync } from "node:fs";
import { createServer } from "node:http";
import { bank } from "../../examples/bank_server.mjs";
import { run, expect, expectEqual } from "../support/harness.mjs";

async function withBank(test) {
  const teller = bank({ people: 5, delayMs: 1 });
  const url = `http://127.0.0.1:${await teller.listen()}`;
  try { return await test(teller, url); } finally { await teller.close(); }
}

// The library answers, counts, and says when half of the documents were read.
async function documents(h, dir) {
  const asked = new Map();
  let half;
  const atHalf = new Promise((ok) => (half = ok));
  const server = createServer((req, res) => {
    const id = req.url.split("/").pop();
    asked.set(id, (asked.get(id) ?? 0) + 1);
    if (asked.size === 500) half();
    const gone = id === "d13";
    setTimeout(() => { res.writeHead(gone ? 410 : 200, { "content-type": "text/plain" }); res.end("a few short words"); }, 2);
  });
  const port = await new Promise((ok) => server.listen(0, "127.0.0.1", () => ok(server.address().port)));
  const env = { Z8_LIBRARY: `http://127.0.0.1:${port}`, Z8_DIR: dir + "/d" };
  const first = run(h.z8, ["run", "examples/documents.z8"], { env, onSpawn: (child) => atHalf.then(() => child.kill("SIGKILL")) });
  const killed = await first;
  expectEqual(killed.signal, "SIGKILL", `it ended before it could be killed: ${killed.stdout}${killed.stderr}`);
  const again = await run(h.z8, ["recover"], { env, seconds: 90 });
  const jobs = (await run(h.z8, ["jobs", "--json"], { env })).stdout.trim().split("\n").map((l) => JSON.parse(l));
  const count = (state) => jobs.filter((j) => j.state === state).length;
  server.closeAllConnections();
  await new Promise((ok) => server.close(ok));
  expectEqual(jobs.length, 1000, `jobs (recover: ${again.code} ${again.stdout}${again.stderr})`);
  expectEqual(count("done"), 999, `done; dead: ${count("dead")}, available: ${count("available")}, executing: ${count("executing")}`);
  expectEqual(count("dead"), 1, "the one that is gone");
  const repeated = [...asked.values()].reduce((n, times) => n + times - 1, 0);
  expect(repeated <= 16, `${repeated} documents were read again after one kill, with 16 in flight at most`);
}

const offline = { ANTHROPIC_API_KEY: undefined, OPENAI_API_KEY: undefined };

// An example that needs a model, on a machine that has none: it says so, and prints what its script makes of it.
async function withoutModel(h, dir, name, args = []) {
  const r = await run(h.z8, ["run", "--dir", dir + "/d", `examples/${name}.z8`, "--", ...args], { env: { ...offline, Z8_TILL: dir } });
  expectEqual(r.code, 0, r.stdout + r.stderr);
  expect(r.stderr.includes("the offline provider, which is not a model"), `it does not say that it is offline: ${r.stderr}`);
  return r;
}

const EXTRACTED = `197 of 200 invoices extracted
  EUR 8059.00
  USD 9502.50
  INV-040 failed: the scan is blank
  INV-077 failed: the lines add up to 232.50, and the total is 242.50
  INV-140 failed: the scan is blank
17561.50 extracted, 241.00 failed; the archive's control total is 17802.50
`;

const RESEARCHED = `Why do lighthouses still burn?

  Satellite navigation can be jammed, and receivers fail.
    "a satellite's signal is weak enough to be drowned out by a small transmitter on the beach"
    today.md, paragraph 2

  A light costs little to run.
    "an LED of 20 watts replaces a lamp of 1000 watts"
    today.md, paragraph 3

  Nobody has to live there.
    "A computer at the coast has watched all of them since then."
    keepers.md, paragraph 4

  (asked again: the words "every sailor trusts a light more than a screen" do not stand in the source today)
`;

const TRIAGED = [
  "t1 shipping, urgency 2: Your cable has been in Lyon since Tuesday.",
  "t2 other, urgency 1: Thank you, a colleague will read this.",
];

export default (h) => [
  {
    name: "payroll",
    test: ({ dir }) => withBank(async (teller, url) => {
      const r = await run(h.z8, ["run", "--dir", dir + "/d", "examples/payroll.z8"], { env: { Z8_BANK: url } });
      expect(r.code === 0 && r.stdout.includes("5 wires, 10852.50 in all"), `${r.code} ${r.stdout}${r.stderr}`);
      expectEqual(teller.wires.size, 5, "wires booked");
    }),
  },
  {
    name: "approval",
    test: async ({ dir }) => {
      const r = await run(h.z8, ["run", "--dir", dir + "/d", "examples/approval.z8"], { env: { Z8_EXAMPLE_AUTO: "1" } });
      expect(r.code === 0 && r.stdout.trim().endsWith("approved"), `${r.code} ${r.stdout}${r.stderr}`);
    },
  },
  {
    name: "crawl",
    test: ({ dir }) => withBank(async (_teller, url) => {
      const r = await run(h.z8, ["run", "--dir", dir + "/d", "examples/crawl.z8"], { env: { Z8_SITE: url } });
      expectEqual(r.stdout.trim(), "3 pages, missing: no page /nowhere", r.stderr);
    }),
  },
  {
    name: "payroll demo", alone: true,
    test: async () => {
      const r = await run("node", ["examples/payroll_demo.mjs"], { seconds: 60 });
      expect(r.code === 0 && r.stdout.includes("replayed without the bank"), `${r.code} ${r.stdout}${r.stderr}`);
    },
  },
  {
    name: "demo", alone: true,
    test: async () => {
      const r = await run("node", ["examples/demo.mjs"], { seconds: 90 });
      for (const said of ["nothing lost, nothing twice", "one refund made, and every word on record"]) {
        expect(r.code === 0 && r.stdout.includes(said), `${r.code} ${r.stdout}${r.stderr}`);
      }
    },
  },
  {
    name: "triage: two tickets are done, the refund of the third waits for a person",
    test: async ({ dir }) => {
      const r = await withoutModel(h, dir, "triage");
      expectEqual(r.stdout.trim().split("\n").sort().join("\n"), TRIAGED.join("\n"), r.stderr);
      expect(r.stderr.includes("2 runs still wait"), r.stderr);
      expect(!readdirSync(dir).some((name) => name.startsWith("refund-")), "a refund was made that nobody allowed");
    },
  },
  {
    name: "research",
    test: async ({ dir }) => expectEqual((await withoutModel(h, dir, "research")).stdout, RESEARCHED),
  },
  {
    name: "extract",
    test: async ({ dir }) => expectEqual((await withoutModel(h, dir, "extract")).stdout, EXTRACTED),
  },
  {
    name: "extract, as jobs",
    test: async ({ dir }) => {
      const r = await withoutModel(h, dir, "extract", ["jobs", "50"]);
      expect(r.stdout.startsWith("49 of 50 invoices extracted"), r.stdout + r.stderr);
      expect(r.stdout.includes("INV-040 failed: the scan is blank\n"), r.stdout);
    },
  },
  ...["bank", "documents", "approval", "triage", "research", "extract"].map((name) => ({
    name: `tests of ${name}`,
    test: async () => {
      const r = await run(h.z8, ["test", `examples/${name}.z8`], { seconds: 120 });
      expect(r.code === 0 && /^[1-9]\d* passed, 0 failed/m.test(r.stdout), `${r.code} ${r.stdout}${r.stderr}`);
    },
  })),
  {
    name: "a thousand documents, killed at five hundred", alone: true,
    test: ({ dir }) => documents(h, dir),
  },
];
