// A smoke run of every fuzz target under the address and undefined-behaviour sanitizers: the corpus and seeded
// mutations of it. `make fuzz` runs them under libFuzzer for as long as asked.
import { readdirSync, existsSync } from "node:fs";
import { filesBelow, run, expect, Failure } from "../support/harness.mjs";

const sources = () => [...filesBelow("tests/diagnostics", ".z8").filter((_, i) => i % 5 === 0),
  ...filesBelow("tests/lang", ".z8").filter((_, i) => i % 5 === 0), ...filesBelow("examples", ".z8")];
async function bundles(h, dir) {
  const programs = filesBelow("tests/lang", ".z8").filter((_, n) => n % 8 === 0);
  for (const [i, file] of [...programs, ...filesBelow("examples", ".z8")].entries()) {
    await run(h.z8, ["build", file, "-o", `${dir}/${i}.z8b`]);
  }
  return filesBelow(dir, ".z8b");
}
const corpora = { parse: sources, compile: sources, bundle: bundles };

export default () => (existsSync("build/debug/fuzz") ? readdirSync("build/debug/fuzz") : []).filter((f) => !f.includes(".")).map((target) => ({
  name: target,
  test: async ({ h, dir }) => {
    const name = target.replace(/^fuzz_/, "");
    const corpus = [...filesBelow(`tests/fuzz/corpus/${name}`, ""), ...(await corpora[name]?.(h, dir) ?? [])];
    const r = await run(`build/debug/fuzz/${target}`, ["200", "20261120", ...corpus], { seconds: 240 });
    if (r.code !== 0) throw new Failure(`exit ${r.code ?? r.signal}${r.late ? " (too slow)" : ""}\n${r.stderr.slice(-3000)}`);
    expect(Number(/(\d+) inputs/.exec(r.stdout)?.[1]) >= 200, `${r.stdout} from ${corpus.length} files`);
  },
}));
