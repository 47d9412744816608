// House rules that live in a test stay true: layers, file headers, unique file names, forbidden words, tables.
import { readFileSync, existsSync } from "node:fs";
import { basename, dirname } from "node:path";
import { filesBelow, expectEqual, expect } from "../support/harness.mjs";

const code = () => ["lang", "compiler", "vm"].flatMap((d) => [...filesBelow(d, ".c"), ...filesBelow(d, ".h")]);
const layerOf = (path, layers) => [...layers.keys()].filter((l) => path === l || path.startsWith(l + "/")).sort((a, b) => b.length - a.length)[0];

function readLayers() {
  const rows = readFileSync("tests/tidy/layers", "utf8").split("\n").filter((l) => l && !l.startsWith("#"));
  return new Map(rows.map((l) => { const [layer, ...may] = l.trim().split(/\s+/); return [layer, new Set(may.filter((m) => m !== "-"))]; }));
}

const rule = (name, find) => ({ name, test: async () => expectEqual(find().join("\n"), "", name) });

export default () => {
  const layers = readLayers();
  return [
    rule("layers: every #include looks down", () => code().flatMap((file) => {
      const own = layerOf(file, layers);
      return [...readFileSync(file, "utf8").matchAll(/^#include "((?:lang|vm|compiler)\/[^"]+)"/gm)]
        .map((m) => m[1]).filter((inc) => {
          const layer = layerOf(inc, layers);
          return layer && layer !== own && !layers.get(own)?.has(layer);
        }).map((inc) => `${file} includes ${inc}`);
    })),
    rule("every file begins by saying what it is for", () => code().filter((f) => !/^\s*(\/\*|\/\/)/.test(readFileSync(f, "utf8")) && basename(f) !== "tables.c")),
    rule("file names are unique", () => {
      const seen = new Map();
      return code().filter((f) => { const b = basename(f), old = seen.get(b); seen.set(b, f); return old; });
    }),
    rule("no line is longer than 120 columns", () => code().flatMap((f) => readFileSync(f, "utf8").split("\n")
      .map((l, i) => [l, i + 1]).filter(([l]) => l.length > 120).map(([, i]) => `${f}:${i}`))),
    rule("no word that marks unfinished work", () => code().flatMap((f) => readFileSync(f, "utf8").split("\n")
      .map((l, i) => [l, i + 1]).filter(([l]) => /\b(FIXME|XXX|HACK|not yet implemented|unimplemented)\b/.test(l)).map(([, i]) => `${f}:${i}`))),
    rule("no file passes a thousand lines", () => code().filter((f) => readFileSync(f, "utf8").split("\n").length > 1000)),
    rule("each folder of code has a README", () => [...new Set(code().map(dirname))]
      .filter((d) => !["lang", "compiler"].includes(d) && !existsSync(d + "/README.md"))),
    rule("record numbers are unique", () => {
      const numbers = [...readFileSync("lang/records.def", "utf8").matchAll(/^RECORD\(\w+, (\d+)/gm)].map((m) => m[1]);
      return numbers.filter((n, i) => numbers.indexOf(n) !== i);
    }),
    rule("effect numbers are unique", () => {
      const numbers = [...readFileSync("lang/effects.def", "utf8").matchAll(/^EFFECT\(\w+,\s*(\d+)/gm)].map((m) => m[1]);
      return numbers.filter((n, i) => numbers.indexOf(n) !== i);
    }),
  ];
};
