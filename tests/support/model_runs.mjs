// Programs that ask models, run by the real binary against servers on loopback; and what their journals say of it.
import { readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { join } from "node:path";
import { spawn } from "node:child_process";
import { modelServer } from "./model_server.mjs";
import { run, expect } from "./harness.mjs";
import { lines, pause } from "./served.mjs";

export const KEY = "test-key-7f3a91";
export const PROVIDERS = ["openai", "openai_responses", "anthropic", "ollama"];
export const LONG = "One two three four five six seven eight.";
// A month's money is used up, which looks like a limit of requests.
export const SPENT = {
  type: "error",
  error: { type: "rate_limit_error", message: "limit", details: { error_code: "enforced_spend_limit_reached" } },
};
export const PRICE = "{ input: 1.0d, output: 2.0d }"; // dollars per million tokens: 1 and 2 micro dollars a token
export const microdollars = (usage) => (usage ? usage.input + 2 * usage.output : 0); // an answer that was an error costs nothing
export const eachProvider = (make) =>
  PROVIDERS.flatMap((provider) =>
    [true, false].map((stream) => make(provider, stream, `${provider}${stream ? ", streaming" : ""}`)),
  );

let seed = 20261129;
export const chance = () => (seed = (seed * 1103515245 + 12345) % 2147483648) / 2147483648;

const settings = (more) =>
  Object.entries(more)
    .map(([k, v]) => `\n  ${k}: ${v}`)
    .join("");

// `model NAME:` of a provider at the server whose address the setting `host` has.
export const declared = (name, provider, more = {}) => `
model ${name}:
  provider: ${provider}
  url: host${provider.startsWith("openai") ? ' + "/v1"' : ""}
  name: "${name}-1"${settings({ max_tokens: 500, api_key: 'secret("TEST_KEY")', ...more })}
`;
export const HOST = 'config host: string = "http://127.0.0.1:9"\n';

// Each of `count` calls with the content `case N`, one after the other; a line of JSON for each.
export const asking = (provider, count, more = "") => `${HOST}
spec = {provider: "${provider}", url: host${provider.startsWith("openai") ? ' + "/v1"' : ""}, name: "m", model: "m", api_key: secret("TEST_KEY"), max_tokens: 50${more}}
for i in range(${count}):
  r = try model.ask({...spec, messages: [{role: "user", content: "case \${i}"}]})
  if r.ok: print(json.stringify({ok: r.value.without(["raw"])}))
  else: print(json.stringify({code: r.error.code, message: r.error.message, ...r.error.data}))
`;
export const caseOf = (request) => Number(request.messages.at(-1).content.match(/case (\d+)/)[1]);

export class Models {
  constructor(h, dir, server, env = {}) {
    Object.assign(this, { h, dir, server, data: join(dir, "data") });
    this.env = { NO_COLOR: "1", Z8_DIR: this.data, Z8_HOST: `http://127.0.0.1:${server.port}`, TEST_KEY: KEY, ...env };
  }
  write(source, name = "main.z8") {
    writeFileSync(join(this.dir, name), source);
    return join(this.dir, name);
  }
  z8(...words) {
    return run(this.h.z8, words, { env: this.env });
  }
  async ok(...words) {
    const r = await this.z8(...words);
    expect(r.code === 0, `z8 ${words.join(" ")}: exit ${r.code ?? r.signal}: ${r.stdout}${r.stderr}`);
    return r.stdout;
  }
  run(source) {
    return this.ok("run", this.write(source));
  }
  async printed(source) {
    return lines(await this.run(source));
  }
  // Starts z8; resolves when `when` (a promise) does, with the process killed -9 and gone.
  async killedWhen(when, ...words) {
    const child = spawn(this.h.z8, words, { env: { ...process.env, ...this.env } });
    let out = "";
    child.stdout.on("data", (d) => (out += d));
    child.stderr.on("data", (d) => (out += d));
    const ended = new Promise((ok) => child.on("close", (code, signal) => ok({ code, signal })));
    const first = await Promise.race([when, ended.then((e) => ({ ended: e }))]);
    expect(
      !first?.ended,
      `z8 ${words.join(" ")} was over before it was killed: ${JSON.stringify(first?.ended)} ${out}`,
    );
    child.kill("SIGKILL");
    await ended;
    return out;
  }
  async runs() {
    return lines(await this.ok("runs", "--json"));
  }
  async log(run) {
    return lines(await this.ok("log", run, "--json"));
  }
  async inspect(run) {
    return JSON.parse(await this.ok("inspect", run, "--json"));
  }
  // Calls of models on record in all runs: { run, asked: the operands, outcome, value }, in order.
  async calls() {
    const out = [];
    for (const { run } of await this.runs()) {
      const log = await this.log(run);
      for (const r of log.filter((x) => x.record === "ASKED" && x.kind === "model")) {
        const end = log.find((x) => x.ref === r.seq && "outcome" in x);
        out.push({ run, seq: r.seq, asked: r.operands[0], outcome: end?.outcome, value: end?.value ?? end?.result });
      }
    }
    return out;
  }
  async notes() {
    const out = [];
    for (const { run } of await this.runs()) out.push(...(await this.log(run)).filter((x) => x.kind === "note"));
    return out;
  }
  // Every run gives the same again, without asking anybody.
  async replayed() {
    const before = this.server.calls.length;
    for (const { run } of await this.runs()) {
      const r = await this.z8("replay", run, "--json");
      expect(r.code === 0 && JSON.parse(r.stdout).effects === 0, `replay of ${run}: ${r.stdout}${r.stderr}`);
    }
    expect(this.server.calls.length === before, "a replay asked the server");
  }
  // Where those bytes are in the data directory.
  holding(text) {
    return readdirSync(this.data, { recursive: true })
      .map((f) => join(this.data, f))
      .filter((f) => statSync(f).isFile() && readFileSync(f).includes(text));
  }
}

// A certificate of 127.0.0.1 that vouches for itself; null: there is no openssl.
export async function certificate(dir) {
  const [key, cert] = ["key.pem", "cert.pem"].map((n) => join(dir, n));
  const words = "req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -addext subjectAltName=IP:127.0.0.1";
  const r = await run("openssl", [...words.split(" "), "-keyout", key, "-out", cert]);
  return r.code === 0 ? { key: readFileSync(key), cert: readFileSync(cert), file: cert } : null;
}

// A test with a scripted server of its own. What was asked wrongly, and answers that nobody came for, fail it.
export const modelled = (h, name, script, body, { secure = false, key = KEY, ...more } = {}) => ({
  name,
  ...more,
  test: async ({ dir }) => {
    const tls = secure && (await certificate(dir));
    if (tls === null) return console.log(`  (no openssl: ${name} is left out)`);
    const server = await modelServer({ script, key, tls });
    const env = tls ? { Z8_HOST: `https://127.0.0.1:${server.port}`, SSL_CERT_FILE: tls.file } : {};
    try {
      await body(new Models(h, dir, server, env), server);
      server.check();
    } catch (e) {
      e.message += `\n--- the server was asked ${server.calls.length} times\n${server.calls.map((c) => JSON.stringify(c.messages ?? c.resume)).join("\n")}\n${server.faults.join("\n")}`;
      throw e;
    } finally {
      await server.close();
    }
  },
});

// What was printed is on record; of a process that is killed it may not have arrived.
export async function recorded(m) {
  const logs = await Promise.all((await m.runs()).map(({ run }) => m.log(run)));
  return logs
    .flat()
    .filter((r) => r.record === "ASKED" && r.kind === "print")
    .map((r) => JSON.parse(r.operands[0]));
}

// The server has been asked once more, and then some time has gone by.
async function asked(m, ms) {
  for (const before = m.server.calls.length, end = Date.now() + 2000; m.server.calls.length === before; await pause(2))
    if (Date.now() > end) return;
  await pause(chance() * ms);
}

// Kills and recovers until the program is over, at most so often; how often. Every second kill comes at any time within
// the window (ms), the others while a call is in flight or just over: so a fast machine is not done after a few.
export async function killedAtRandom(m, file, window, most) {
  let kills = 0;
  for (let words = ["run", file]; kills < most; words = words.length ? ["recover"] : ["run", file]) {
    const moment = kills % 2 === 0 ? pause(30 + chance() * window) : asked(m, 60);
    try {
      await m.killedWhen(moment, ...words);
      kills++;
    } catch (e) {
      if (!/was over before/.test(e.message)) throw e;
      if (m.server.calls.length === 0 && /there are no runs|nothing to recover/.test(e.message)) words = []; // killed before it had begun
      if (words.length === 0) continue;
      expect(/"code":0/.test(e.message), e.message);
      await pause(100); // what the server still answers to processes that are gone is charged too
      return kills;
    }
  }
  await m.ok("recover");
  return kills;
}

// A server that answers in its own words: `answer(request, reply, body, n)`.
export async function rawServer(answer, make = createServer) {
  const calls = [];
  const server = make((request, reply) => {
    let body = "";
    request
      .on("data", (d) => (body += d))
      .on("end", () => {
        calls.push({ method: request.method, url: request.url, headers: request.headers, body });
        answer(request, reply, body, calls.length - 1);
      });
  });
  const port = await new Promise((ok) => server.listen(0, "127.0.0.1", () => ok(server.address().port)));
  return {
    calls,
    port,
    server,
    close: () =>
      new Promise((ok) => {
        server.closeAllConnections();
        server.close(ok);
      }),
  };
}
