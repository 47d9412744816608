// A directory with an application in it: `z8 serve` beside the other verbs, and a server that counts what it is asked.
import { spawn } from "node:child_process";
import { createServer } from "node:http";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { run, expect } from "./harness.mjs";

export const pause = (ms) => new Promise((ok) => setTimeout(ok, ms));
export const lines = (text) => text.trim().split("\n").filter(Boolean).map((l) => JSON.parse(l));

// Asks again until it gives something true; at its end it fails with what was said last.
export async function until(what, ask, seconds = 20) {
  for (const end = Date.now() + seconds * 1000 * (Number(process.env.SLOW) || 1); Date.now() < end; await pause(20)) {
    const got = await ask();
    if (got) return got;
  }
  expect(false, `${what}: not within ${seconds} s`);
}

export class Served {
  child = null;
  constructor(h, dir, env = {}) {
    Object.assign(this, { h, dir, data: join(dir, "data"), env: { NO_COLOR: "1", Z8_DIR: join(dir, "data"), ...env } });
  }
  write(name, source) {
    writeFileSync(join(this.dir, name), source);
    return join(this.dir, name);
  }
  // Resolves when it serves, or is over: then `ended` is set.
  start(words) {
    return new Promise((resolve) => {
      const child = spawn(this.h.z8, ["serve", ...words], { env: { ...process.env, ...this.env } });
      child.err = child.out = "";
      child.stdout.on("data", (d) => { child.out += d; if (child.out.includes('"serving"')) resolve(child); });
      child.stderr.on("data", (d) => { child.err += d; if (child.err.includes("serving ")) resolve(child); });
      child.on("close", (code, signal) => { child.ended = { code, signal }; resolve(child); });
    });
  }
  async serve(...words) {
    this.child = await this.start(words);
    expect(!this.child.ended, `z8 serve ended: ${JSON.stringify(this.child.ended)} ${this.child.err}`);
    return this.child;
  }
  async stop(signal = "SIGTERM") {
    const child = this.child;
    this.child = null;
    child.kill(signal);
    await until("the end of z8 serve", () => child.ended);
    return child;
  }
  z8(...words) {
    return run(this.h.z8, words, { env: this.env });
  }
  async ok(...words) {
    const r = await this.z8(...words);
    expect(r.code === 0, `z8 ${words.join(" ")}: exit ${r.code ?? r.signal}: ${r.stdout}${r.stderr}`);
    return r.stdout;
  }
  async rows(...words) {
    return lines(await this.ok(...words, "--json"));
  }
  async dispatch(command, fields = {}, ...options) {
    return JSON.parse(await this.ok("dispatch", command, JSON.stringify(fields), ...options));
  }
  async view(agent, id, name, ...options) {
    return JSON.parse(await this.ok("view", agent, id, name, ...options));
  }
  async job(id) {
    return (await this.rows("jobs")).find((j) => j.job === id);
  }
  // It must fail with that status, and say something that fits.
  async fails(status, says, ...words) {
    const r = await this.z8(...words), said = r.stdout + r.stderr;
    expect(r.code === status && says.test(said), `z8 ${words.join(" ")}: exit ${r.code ?? r.signal}, not ${status} with ${says}: ${said}`);
    return r;
  }
  async close() {
    if (this.child && !this.child.ended) await this.stop("SIGKILL");
  }
}

// A test with an application of its own, ended with it whatever happens.
export const served = (h, name, body, more = {}) => ({
  name, ...more,
  test: async ({ dir }) => {
    const s = new Served(h, dir);
    try { await body(s, dir); } finally { await s.close(); }
  },
});

// Counts POSTs by path; `broken` are paths that are answered with 500.
export async function counting() {
  const asked = new Map(), broken = new Set();
  const server = createServer((req, res) => {
    asked.set(req.url, (asked.get(req.url) ?? 0) + 1);
    req.resume().on("end", () => {
      res.writeHead(broken.has(req.url) ? 500 : 200, { "content-type": "application/json" });
      res.end('{"ok":true}');
    });
  });
  const port = await new Promise((ok) => server.listen(0, "127.0.0.1", () => ok(server.address().port)));
  return {
    broken, url: `http://127.0.0.1:${port}`, count: (path) => asked.get(path) ?? 0,
    close: () => new Promise((ok) => { server.closeAllConnections(); server.close(ok); }),
  };
}
