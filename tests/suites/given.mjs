// tests/given: what `given`, `when`, `then`, `stub` and `expect` accept and say. "# failed NAME: MESSAGE" is a test that
// fails so; every other one passes.
import { readFileSync } from "node:fs";
import { filesBelow, run, expect, expectEqual } from "../support/harness.mjs";

const wanted = (source) => {
  const failing = new Map([...source.matchAll(/^# failed ([^:]*): (.*)$/gm)].map((m) => [m[1], m[2].trimEnd()]));
  const names = [...source.matchAll(/^test "([^"]*)"/gm)].map((m) => m[1]);
  return names.map((name) => `${name}: ${failing.get(name) ?? "passed"}`);
};

async function check(h, file) {
  const lines = wanted(readFileSync(file, "utf8"));
  const r = await run(h.z8, ["test", "--json", file], { seconds: 60 });
  expect(!r.late, "it did not end within its time");
  const tests = r.stdout.split("\n").filter((l) => l.startsWith("{")).map((l) => JSON.parse(l)).filter((t) => t.test);
  const got = tests.map((t) => `${t.test}: ${t.status === "passed" ? "passed" : t.message}`);
  expectEqual(got.sort().join("\n"), lines.sort().join("\n"), `the tests (stderr: ${r.stderr})`);
}

export default (h) => filesBelow("tests/given", ".z8").map((file) => ({
  name: file.slice("tests/given/".length),
  test: () => check(h, file),
}));
