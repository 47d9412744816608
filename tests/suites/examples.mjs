// Every example runs and prints what it should; the demo plays to its end.
import { bank } from "../../examples/bank_server.mjs";
import { run, expect, expectEqual } from "../support/harness.mjs";

async function withBank(test) {
  const teller = bank({ people: 5, delayMs: 1 });
  const url = `http://127.0.0.1:${await teller.listen()}`;
  try { return await test(teller, url); } finally { await teller.close(); }
}

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
    name: "demo", alone: true,
    test: async () => {
      const r = await run("node", ["examples/demo.mjs"], { seconds: 60 });
      expect(r.code === 0 && r.stdout.includes("replayed without the bank"), `${r.code} ${r.stdout}${r.stderr}`);
    },
  },
];
