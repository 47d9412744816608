// A large program made by renaming real ones: every unit of tests/bench/units is repeated with its declared
// names numbered, until there are enough lines.
import { readFileSync, readdirSync } from "node:fs";
import { join, dirname } from "node:path";
import { fileURLToPath } from "node:url";

const folder = join(dirname(fileURLToPath(import.meta.url)), "units");

function renamed(source, n) {
  const names = [...source.matchAll(/^(?:pure )?(?:fn|type|workflow|tool|const|command|event|config) (\w+)/gm)].map((m) => m[1]);
  if (!names.length) return source;
  const pattern = new RegExp(`\\b(${[...new Set(names)].join("|")})\\b`, "g");
  return source.replace(pattern, (name) => (/^[A-Z]+(_[A-Z]+)*$/.test(name) ? `${name}_${n}` : /^[A-Z]/.test(name) ? `${name}V${n}` : `${name}_${n}`));
}

export function generate(lines) {
  const units = readdirSync(folder).filter((f) => f.endsWith(".z8")).sort().map((f) => readFileSync(join(folder, f), "utf8"));
  const parts = [];
  for (let n = 0, have = 0; have < lines; n++) {
    const part = renamed(units[n % units.length], n);
    have += part.split("\n").length;
    parts.push(part);
  }
  return parts.join("\n"); // whole units, so that it compiles
}
if (process.argv[1] === fileURLToPath(import.meta.url)) process.stdout.write(generate(Number(process.argv[2] || 1000)));
