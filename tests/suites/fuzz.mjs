// A smoke run of every fuzz target under the address and undefined-behaviour sanitizers: the corpus and seeded
// mutations of it. `make fuzz` runs them under libFuzzer for as long as asked.
import { readdirSync, existsSync } from "node:fs";
import { filesBelow, run, expect, Failure } from "../support/harness.mjs";

const corpora = {
  parse: () => [...filesBelow("tests/diagnostics", ".z8").slice(0, 60), ...filesBelow("tests/lang", ".z8").slice(0, 60), ...filesBelow("examples", ".z8")],
};

export default () => (existsSync("build/debug/fuzz") ? readdirSync("build/debug/fuzz") : []).filter((f) => !f.includes(".")).map((target) => ({
  name: target,
  test: async ({ h, dir }) => {
    const name = target.replace(/^fuzz_/, "");
    const corpus = [...filesBelow(`tests/fuzz/corpus/${name}`, ""), ...(corpora[name]?.() ?? [])];
    if (name === "bundle" || name === "image") corpus.push(...filesBelow(`build/debug/corpus/${name}`, ""));
    const r = await run(`build/debug/fuzz/${target}`, ["300", "20261120", ...corpus], { seconds: 240 });
    if (r.code !== 0) throw new Failure(`exit ${r.code ?? r.signal}${r.late ? " (too slow)" : ""}\n${r.stderr.slice(-3000)}`);
    expect(/\d+ inputs/.test(r.stdout), r.stdout);
  },
}));
