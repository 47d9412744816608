// The C unit tests: build/unit/*, each of which closes with its own counts.
import { filesBelow, run, expect, Failure } from "../support/harness.mjs";

export default (h) => filesBelow("build/unit", "").filter((f) => !f.endsWith(".d")).map((file) => ({
  name: file.slice("build/unit/".length),
  test: async ({ dir }) => {
    const r = await run(h.root + "/" + file, [], { cwd: dir, seconds: 300, env: { Z8: h.z8, Z8_ROOT: h.root } });
    const counts = /(\d+) passed, (\d+) failed\s*$/.exec(r.stdout);
    if (r.code !== 0 || !counts) throw new Failure(`exit ${r.code ?? r.signal}\n${r.stdout}${r.stderr}`);
    expect(Number(counts[1]) > 0, "it ran no test");
    return Number(counts[1]);
  },
}));
