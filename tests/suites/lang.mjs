// tests/lang: one fact a file. "# expect: TEXT" is a line of standard output, in order; "# fault: code" a run that
// fails with that code; "# env: NAME=VALUE" sets a variable; "# asked: WORD…" is the purpose of each call of a model on
// record, in order.
import { readFileSync } from "node:fs";
import { filesBelow, run, expect, expectEqual } from "../support/harness.mjs";

export function expectations(source) {
  const all = (word) => [...source.matchAll(new RegExp(`# ${word}:[ ]?(.*)$`, "gm"))].map((m) => m[1].trimEnd());
  const env = Object.fromEntries(all("env").map((e) => e.split(/=(.*)/s).slice(0, 2)));
  return { lines: all("expect"), fault: all("fault")[0], asked: all("asked"), env };
}

async function purposes(h, data) {
  const rows = async (...args) => {
    const r = await run(h.z8, [...args, "--json", "--dir", data]);
    return r.stdout.split("\n").filter(Boolean).map((l) => JSON.parse(l));
  };
  const records = [];
  for (const one of await rows("runs")) records.push(...await rows("log", one.run));
  return records.filter((r) => r.record === "ASKED" && r.kind === "model").map((r) => r.operands[0].purpose);
}

export async function check(h, dir, file, options = []) {
  const { lines, fault, asked, env } = expectations(readFileSync(file, "utf8"));
  const r = await run(h.z8, ["run", ...options, "--dir", dir + "/data", file], { env, seconds: 60 });
  expect(!r.late, "it did not end within its time");
  const out = r.stdout.split("\n").map((l) => l.trimEnd()).join("\n").trimEnd();
  expectEqual(out, lines.join("\n").trimEnd(), `standard output (stderr: ${r.stderr})`);
  if (asked.length) expectEqual((await purposes(h, dir + "/data")).join(" "), asked.join(" "), "what models were asked for");
  if (fault === undefined) expect(r.code === 0, `exit ${r.code ?? r.signal}: ${r.stderr}`);
  else expect(r.code === 1 && r.stderr.includes(fault), `exit ${r.code}, wanted the fault ${fault}: ${r.stderr}`);
}

export default (h) => filesBelow("tests/lang", ".z8").filter((f) => !f.includes("/lib/")).map((file) => ({
  name: file.slice("tests/lang/".length),
  test: ({ dir }) => check(h, dir, file),
}));
