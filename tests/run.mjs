// Runs every suite and closes with "N passed, N failed".
//   node tests/run.mjs [SUITE…] [--filter TEXT] [--update]
// Suites: every file of tests/suites.
import { readdirSync, statSync } from "node:fs";
import { join, dirname } from "node:path";
import { fileURLToPath } from "node:url";
import { Harness } from "./support/harness.mjs";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
process.chdir(root);
const args = process.argv.slice(2);
const harness = new Harness({
  root,
  update: args.includes("--update") || process.env.UPDATE === "1",
  filter: args.includes("--filter") ? args[args.indexOf("--filter") + 1] : "",
});
const known = readdirSync("tests/suites").filter((f) => f.endsWith(".mjs")).map((f) => f.slice(0, -4)).sort();
const asked = args.filter((a, i) => !a.startsWith("--") && args[i - 1] !== "--filter");
for (const name of asked) {
  if (!known.includes(name)) {
    console.error(`there is no suite ${name}; there are: ${known.join(" ")}`);
    process.exit(2);
  }
}
for (const name of asked.length ? asked : known) {
  const suite = await import(join(root, "tests/suites", name + ".mjs"));
  await harness.suite(name, suite.default);
}
harness.close();
