// tests/diagnostics: what the compiler says of each wrong (or doubtful) program, to the letter; every diagnostic
// of lang/diagnostics.def has its case. --update rewrites the expected text, to be reviewed as a diff.
import { readFileSync, writeFileSync, existsSync } from "node:fs";
import { basename, dirname } from "node:path";
import { filesBelow, run, expect, expectEqual } from "../support/harness.mjs";

const cases = () => filesBelow("tests/diagnostics", ".z8").filter((f) => /\/[EW]\d{4}_[^/]*\.z8$/.test(f));

export default (h) => [
  ...cases().map((file) => ({
    name: basename(file),
    test: async () => {
      const golden = file.replace(/\.z8$/, ".txt");
      const r = await run(h.z8, ["check", basename(file)], { cwd: dirname(file) });
      expect(r.code === 0 || r.code === 1, `exit ${r.code ?? r.signal}: ${r.stderr}`);
      const code = basename(file).slice(0, 5);
      expect(r.stderr.includes(`Z8-${code}`), `it does not report ${code}:\n${r.stderr}`);
      if (h.update || !existsSync(golden)) writeFileSync(golden, r.stderr);
      expectEqual(r.stderr, readFileSync(golden, "utf8"), golden);
      const json = await run(h.z8, ["check", "--json", basename(file)], { cwd: dirname(file) });
      const rows = (json.stdout + json.stderr).trim().split("\n").map((l) => JSON.parse(l));
      expect(rows.some((d) => d.code === `Z8-${code}`), "--json does not report it");
    },
  })),
  {
    name: "every diagnostic has a case and an explanation",
    test: async () => {
      const def = readFileSync("lang/diagnostics.def", "utf8");
      const known = [...def.matchAll(/^DIAG\((\w+),\s*(\d+),\s*(ERROR|WARNING)/gm)];
      const have = new Set(cases().map((f) => basename(f).slice(0, 5)));
      const missing = known.map((m) => (m[3] === "ERROR" ? "E" : "W") + m[2].padStart(4, "0")).filter((c) => !have.has(c));
      expectEqual(missing.join(" "), "", "diagnostics without a golden case");
      expect(known.length >= 120, `only ${known.length} diagnostics`);
      const numbers = known.map((m) => m[2]);
      expect(new Set(numbers).size === numbers.length, "a number is used twice");
      for (const m of known) {
        const code = `Z8-${m[3] === "ERROR" ? "E" : "W"}${m[2].padStart(4, "0")}`;
        const r = await run(h.z8, ["explain", code]);
        expect(r.code === 0 && r.stdout.length > 40, `z8 explain ${code}: ${r.stderr}`);
      }
    },
  },
];
