// A small harness: named tests, run a few at a time, with a temporary directory each.
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync, readdirSync, statSync, existsSync } from "node:fs";
import { join } from "node:path";
import { tmpdir, availableParallelism } from "node:os";

export class Failure extends Error {}
export function expect(condition, message) {
  if (!condition) throw new Failure(message);
}
export function expectEqual(got, want, what = "") {
  if (got !== want) throw new Failure(`${what}\n--- want\n${want}\n--- got\n${got}`);
}

export function filesBelow(folder, ending) {
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { recursive: true })
    .map((f) => join(folder, f))
    .filter((f) => f.endsWith(ending) && statSync(f).isFile())
    .sort();
}

// Runs a command to its end; kills it (this process only) past the time limit. SLOW stretches the limit: for builds
// that are made to look hard, not to be fast.
const slow = Number(process.env.SLOW) || 1;
export function run(command, args, { cwd, env, input, seconds = 60, onSpawn } = {}) {
  return new Promise((resolve) => {
    const child = spawn(command, args, { cwd, env: { ...process.env, NO_COLOR: "1", ...env } });
    let stdout = "", stderr = "", late = false;
    const timer = setTimeout(() => { late = true; child.kill("SIGKILL"); }, seconds * slow * 1000);
    child.stdout.on("data", (d) => (stdout += d));
    child.stderr.on("data", (d) => (stderr += d));
    child.stdin.on("error", () => {});
    child.on("error", (e) => { clearTimeout(timer); resolve({ code: -1, stdout, stderr: String(e), late }); });
    child.on("close", (code, signal) => { clearTimeout(timer); resolve({ code, signal, stdout, stderr, late }); });
    child.stdin.end(input ?? "");
    onSpawn?.(child);
  });
}

export class Harness {
  passed = 0; failed = 0; skipped = 0;
  constructor({ root, update, filter }) {
    Object.assign(this, { root, update, filter });
    this.z8 = process.env.Z8 || join(root, "build/z8");
    this.jobs = Number(process.env.JOBS) || Math.min(4, availableParallelism());
  }
  // A suite is async (h) => [{ name, test }] ; a test gets { h, dir } and throws to fail.
  async suite(name, make) {
    const started = Date.now();
    const before = [this.passed, this.failed];
    let tests = (await make(this)).filter((t) => `${name}/${t.name}`.includes(this.filter));
    const alone = tests.filter((t) => t.alone);
    await this.pool(tests.filter((t) => !t.alone), name, this.jobs);
    await this.pool(alone, name, 1);
    const seconds = ((Date.now() - started) / 1000).toFixed(1);
    if (tests.length) console.log(`${name}: ${this.passed - before[0]} passed, ${this.failed - before[1]} failed in ${seconds} s`);
  }
  async pool(tests, suite, jobs) {
    let next = 0;
    const worker = async () => { while (next < tests.length) await this.one(tests[next++], suite); };
    await Promise.all(Array.from({ length: jobs }, worker));
  }
  async one({ name, test, counts }, suite) {
    const dir = mkdtempSync(join(tmpdir(), "z8-test-"));
    try {
      const many = await test({ h: this, dir });
      this.passed += many ?? 1;
    } catch (e) {
      this.failed++;
      const text = e instanceof Failure ? e.message : e.stack;
      console.error(`FAILED ${suite}/${name}: ${text}\n`);
    } finally {
      rmSync(dir, { recursive: true, force: true });
    }
  }
  close() {
    console.log(`${this.passed} passed, ${this.failed} failed`);
    process.exit(this.failed ? 1 : this.passed ? 0 : 1);
  }
}
