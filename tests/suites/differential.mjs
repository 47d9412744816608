// The same program, seed and arrival order must give the same journal and state hash byte for byte: computed-goto
// and switch loop, 1 and 4 threads, fresh and restored from an image at every park. Every program of tests/lang that
// needs nothing outside takes part.
import { readFileSync } from "node:fs";
import { filesBelow, run, expect, expectEqual } from "../support/harness.mjs";
import { expectations } from "./lang.mjs";

const SEED = "5eed".repeat(16);
const variants = {
  "1 thread": ["--threads", "1"],
  "4 threads": ["--threads", "4"],
  "switch loop": ["--threads", "1", "--switch-vm"],
  "restored at every park": ["--threads", "1", "--park-restore"],
};

async function journal(h, dir, file, env, name, options) {
  const data = `${dir}/${name.replaceAll(" ", "_")}`;
  const r = await run(h.z8, ["run", "--seed", SEED, ...options, "--dir", data, file], { env });
  const list = await run(h.z8, ["runs", "--json", "--dir", data]);
  const rows = list.stdout.trim().split("\n").filter(Boolean).map((l) => JSON.parse(l));
  let text = r.stdout;
  for (const row of rows) {
    const log = await run(h.z8, ["log", row.run, "--json", "--dir", data]);
    expect(log.code === 0, `log: ${log.stderr}`);
    text += `run ${row.run} ${row.status}\n${log.stdout}`;
    const replay = await run(h.z8, ["replay", row.run, "--json", "--dir", data]);
    expect(replay.code === 0, `replay of ${row.run} (${name}): ${replay.stdout}${replay.stderr}`);
    const seen = JSON.parse(replay.stdout);
    expect(seen.effects === 0 && !seen.divergence, replay.stdout);
    text += `state ${seen.state_hash}\n`;
  }
  return text;
}

export default (h) => filesBelow("tests/lang", ".z8").filter((f) => !f.includes("/lib/") && !/# (needs|fault: limit)/.test(readFileSync(f, "utf8")))
  .map((file) => ({
    name: file.slice("tests/lang/".length),
    test: async ({ dir }) => {
      const { env } = expectations(readFileSync(file, "utf8"));
      let first = null;
      for (const [name, options] of Object.entries(variants)) {
        const text = await journal(h, dir, file, env, name, options);
        if (first === null) first = text;
        else expectEqual(text, first, `journal under "${name}" differs`);
      }
    },
  }));
