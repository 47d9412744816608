// tests/lang: one fact a file. "# expect: TEXT" is a line of standard output, in order; "# fault: code" a run that
// fails with that code; "# env: NAME=VALUE" sets a variable.
import { readFileSync } from "node:fs";
import { filesBelow, run, expect, expectEqual } from "../support/harness.mjs";

export function expectations(source) {
  const all = (word) => [...source.matchAll(new RegExp(`# ${word}:[ ]?(.*)$`, "gm"))].map((m) => m[1].trimEnd());
  const env = Object.fromEntries(all("env").map((e) => e.split(/=(.*)/s).slice(0, 2)));
  return { lines: all("expect"), fault: all("fault")[0], env };
}

export async function check(h, dir, file, options = []) {
  const { lines, fault, env } = expectations(readFileSync(file, "utf8"));
  const r = await run(h.z8, ["run", ...options, "--dir", dir + "/data", file], { env, seconds: 60 });
  expect(!r.late, "it did not end within its time");
  const out = r.stdout.split("\n").map((l) => l.trimEnd()).join("\n").trimEnd();
  expectEqual(out, lines.join("\n").trimEnd(), `standard output (stderr: ${r.stderr})`);
  if (fault === undefined) expect(r.code === 0, `exit ${r.code ?? r.signal}: ${r.stderr}`);
  else expect(r.code === 1 && r.stderr.includes(fault), `exit ${r.code}, wanted the fault ${fault}: ${r.stderr}`);
}

export default (h) => filesBelow("tests/lang", ".z8").filter((f) => !f.includes("/lib/")).map((file) => ({
  name: file.slice("tests/lang/".length),
  test: ({ dir }) => check(h, dir, file),
}));
