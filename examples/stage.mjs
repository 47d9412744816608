// What the demos share: a directory that goes away at the end, `z8` run in sight of who watches, and a check of what is said.
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { join, dirname } from "node:path";
import { tmpdir } from "node:os";
import { fileURLToPath } from "node:url";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const bold = process.stdout.isTTY && !process.env.NO_COLOR;
const shown = (arg) => (/[{ #]/.test(arg) ? `'${arg}'` : arg);

export const say = (text) => console.log(bold ? `\n\x1b[1m${text}\x1b[0m` : `\n${text}`);
export const pause = (ms) => new Promise((ok) => setTimeout(ok, ms));
export const lines = (text) => text.trim().split("\n").filter(Boolean).map((l) => JSON.parse(l));
export const withoutEffects = (replay) => replay.code === 0 && /effects performed:?\s*0\b/.test(replay.all);
export function must(condition, what) {
  if (!condition) { console.error(`\nthe demo failed: ${what}`); process.exit(1); }
}

/** A stage: `z8` started in this folder on a log of its own, with `extra` in its environment (undefined: not set there). */
export function stage(extra) {
  const dir = mkdtempSync(join(tmpdir(), "z8-demo-"));
  const env = { ...process.env, Z8_DIR: join(dir, "log") };
  const children = new Set();
  process.on("exit", () => { for (const c of children) c.kill("SIGKILL"); rmSync(dir, { recursive: true, force: true }); });
  const set = (more) => { for (const [k, v] of Object.entries(more)) v === undefined ? delete env[k] : (env[k] = v); };
  set(extra ?? {});
  function start(args, { show = true, note = "" } = {}) {
    if (show) console.log(`$ z8 ${args.map(shown).join(" ")}${note}`);
    const child = spawn(join(root, "build/z8"), args, { env, cwd: join(root, "examples") });
    children.add(child);
    child.gone = new Promise((ok) => child.on("close", (code, signal) => { children.delete(child); ok(child.ended = { code, signal }); }));
    return child;
  }
  /** Runs to its end, or to `killWhen(what it has printed)`: kill -9. What it prints is shown as it comes. */
  async function run(args, { show = true, killWhen } = {}) {
    const child = start(args, { show });
    let out = "", all = "";
    const see = (d) => {
      all += d;
      if (show) process.stdout.write(d);
    };
    const watch = killWhen && setInterval(() => killWhen(all) && child.kill("SIGKILL"), 1);
    child.stdout.on("data", (d) => { out += d; see(d); });
    child.stderr.on("data", see);
    const { code, signal } = await child.gone;
    clearInterval(watch);
    return { code, signal, out, all };
  }
  return { dir, set, start, run };
}
