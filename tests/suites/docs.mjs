// Every fenced ```z8 block of README.md and lang/reference/*.md is a program that compiles; "# prints TEXT" lines
// in it are what running it prints. ```z8 fragment blocks are wrapped so that they need only parse and check
// within a workflow; ```z8 error blocks must be refused. A block that asks an agent outright must also run to its end
// without a key, where the offline provider answers.
import { readFileSync, writeFileSync } from "node:fs";
import { filesBelow, run, expect, expectEqual } from "../support/harness.mjs";

const NO_KEYS = { ANTHROPIC_API_KEY: undefined, OPENAI_API_KEY: undefined };

function blocks(file) {
  const text = readFileSync(file, "utf8");
  return [...text.matchAll(/^```z8([^\n]*)\n([\s\S]*?)^```/gm)].map((m) => ({
    file, mode: m[1].trim(), source: m[2], line: text.slice(0, m.index).split("\n").length,
  }));
}

export default (h) => ["README.md", ...filesBelow("lang/reference", ".md"), ...filesBelow("examples", ".md")]
  .filter((f) => { try { readFileSync(f); return true; } catch { return false; } })
  .flatMap(blocks).map((b) => ({
    name: `${b.file}:${b.line}`,
    test: async ({ dir }) => {
      const file = dir + "/block.z8";
      writeFileSync(file, b.source);
      const prints = [...b.source.matchAll(/# prints (.*)$/gm)].map((m) => m[1].trimEnd());
      if (b.mode === "error") {
        const r = await run(h.z8, ["check", file]);
        expect(r.code === 1, `it should be refused:\n${b.source}`);
      } else if (prints.length) {
        const r = await run(h.z8, ["run", "--dir", dir + "/data", file]);
        expect(r.code === 0, `exit ${r.code}: ${r.stderr}\n${b.source}`);
        expectEqual(r.stdout.trimEnd(), prints.join("\n"), b.source);
      } else if (/^\w+ = ask /m.test(b.source)) {
        const r = await run(h.z8, ["run", "--dir", dir + "/data", file], { env: NO_KEYS });
        expect(r.code === 0, `exit ${r.code}: ${r.stderr}\n${b.source}`);
      } else {
        const r = await run(h.z8, ["check", file]);
        expect(r.code === 0, `it does not compile: ${r.stderr}\n${b.source}`);
      }
    },
  }));
