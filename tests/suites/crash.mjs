// Crashes: runs over HTTP are killed with -9 at random moments, each kill followed by recover. The server counts what
// it was asked, so that "once" is measured where it matters.
import { writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { spawn } from "node:child_process";
import { run, expect, expectEqual } from "../support/harness.mjs";
import { ask } from "../support/node_client.mjs";

// Counts requests by key and by kind; answers after a moment.
function counter({ delayMs = 3, dropReply = () => false } = {}) {
  const asked = new Map(), done = new Map();
  const server = createServer((req, res) => {
    const url = new URL(req.url, "http://x"), key = req.headers["idempotency-key"] ?? "";
    let body = "";
    req.on("data", (d) => (body += d)).on("end", () => {
      const reply = (status, value) => setTimeout(() => {
        const text = JSON.stringify(value);
        res.writeHead(status, { "content-type": "application/json", "content-length": Buffer.byteLength(text) });
        res.end(text);
      }, delayMs);
      if (url.pathname.startsWith("/by-key/")) {
        const k = decodeURIComponent(url.pathname.slice(8));
        return done.has(k) ? reply(200, done.get(k)) : reply(404, {});
      }
      const name = req.method + " " + url.pathname;
      const entry = asked.get(name) ?? { count: 0, keys: new Set() };
      entry.count++;
      entry.keys.add(key);
      asked.set(name, entry);
      const value = { n: Number(url.pathname.split("/").pop()) + 1 };
      if (req.method === "POST") done.set(key, value);
      if (dropReply(name, entry.count)) return req.socket.destroy();
      reply(200, value);
    });
  });
  return {
    asked, done,
    listen: () => new Promise((ok) => server.listen(0, "127.0.0.1", () => ok(server.address().port))),
    close: () => new Promise((ok) => { server.closeAllConnections(); server.close(ok); }),
  };
}

const PROGRAM = (steps) => `
config host: string = "http://127.0.0.1:9"

tool Read(n: int) -> int:
  effect read
  perform: return http.get("\${host}/read/\${n}").json.n

tool Add(n: int) -> int:
  effect reversible
  max_attempts 3 backoff 10ms..50ms
  perform: return http.post("\${host}/add/\${n}", json: {n}).json.n

tool Pay(n: int) -> int:
  effect irreversible
  max_attempts 3 backoff 10ms..50ms
  perform: return http.post("\${host}/pay/\${n}", json: {n}).json.n
  check:
    r = http.get("\${host}/by-key/\${key}")
    if r.status is 404: return absent
    if r.status is 200: return confirmed r.json.n

workflow Steps(count: int):
  n = 0
  for i in range(count):
    if i % 3 == 0: n = Read(n)
    elif i % 3 == 1: n = Add(n)
    else: n = Pay(n)
  return n

print("end \${Steps(${steps})}")
`;

// Runs z8 with these arguments and kills it after ms; resolves with what it printed and whether it was killed.
function killedAfter(h, args, env, ms) {
  return new Promise((resolve) => {
    const child = spawn(h.z8, args, { env: { ...process.env, ...env } });
    let out = "", err = "";
    const timer = setTimeout(() => child.kill("SIGKILL"), ms);
    child.stdout.on("data", (d) => (out += d));
    child.stderr.on("data", (d) => (err += d));
    child.on("close", (code, signal) => { clearTimeout(timer); resolve({ code, signal, out, err }); });
  });
}

let seed = 20261120;
const chance = () => (seed = (seed * 1103515245 + 12345) % 2147483648) / 2147483648;

async function killed({ h, dir, steps, kills, window, delayMs }) {
  const server = counter({ delayMs });
  const env = { Z8_HOST: `http://127.0.0.1:${await server.listen()}`, Z8_DIR: dir + "/data", NO_COLOR: "1" };
  writeFileSync(dir + "/steps.z8", PROGRAM(steps));
  let out = "", done = 0;
  let r = await killedAfter(h, ["run", dir + "/steps.z8"], env, 60 + chance() * window);
  out += r.out;
  for (let k = r.signal ? 1 : 0; k < kills; k++) {
    r = await killedAfter(h, ["recover"], env, 15 + chance() * window);
    out += r.out;
    if (!r.signal) { expect(r.code === 0, `recover: exit ${r.code}\n${r.err}`); break; }
    done = k + 1;
  }
  if (r.signal) {
    r = await run(h.z8, ["recover"], { env, seconds: 60 });
    out += r.stdout;
    expect(r.code === 0, `the last recover: exit ${r.code ?? r.signal}\n${r.stderr}`);
  }
  await server.close();
  const rows = (await run(h.z8, ["runs", "--json"], { env })).stdout.trim().split("\n").map((l) => JSON.parse(l));
  expect(rows.every((row) => row.status === "done"), `not all done: ${JSON.stringify(rows)}`);
  for (const row of rows) {
    const replay = await run(h.z8, ["replay", row.run, "--json"], { env });
    expect(replay.code === 0 && JSON.parse(replay.stdout).effects === 0, `replay: ${replay.stdout}${replay.stderr}`);
  }
  let repeated = 0;
  for (const [name, { count, keys }] of server.asked) {
    if (name.startsWith("GET")) continue;
    expect(keys.size === 1, `${name} came under ${keys.size} keys: ${[...keys]}`);
    if (name.startsWith("POST /pay")) expectEqual(count, 1, `${name} was sent again`);
    repeated += count - 1;
  }
  expect(repeated <= done + 1, `${repeated} reversible steps were repeated under ${done + 1} kills`);
  const log = rows.length;
  expect(log === 2, `${log} runs`);
  const answer = await run(h.z8, ["inspect", rows.find((r) => r.workflow === "Steps").run, "--json"], { env });
  expect(answer.stdout.includes(String(steps)), `the answer is not ${steps}: ${answer.stdout.slice(0, 400)}`);
  return done;
}

const pause = (ms) => new Promise((ok) => setTimeout(ok, ms));

// A node that is killed again and again while clients send commands. A client repeats what was not answered under its
// key, as clients do.
async function application({ h, dir, kills, clients, commands }) {
  const data = dir + "/data";
  const env = { ...process.env, Z8_DIR: data, NO_COLOR: "1" };
  const state = { child: null, stop: false, killed: 0, accepted: 0, asked: 0, moved: new Set() };
  const serve = () => new Promise((resolve) => {
    const child = spawn(h.z8, ["serve", "tests/crash/application.z8"], { env });
    let err = "";
    child.stderr.on("data", (d) => { err += d; if (err.includes("serving")) resolve(child); });
    child.on("close", (code, signal) => { child.ended = { code, signal, err }; resolve(child); });
  });
  state.child = await serve();
  expect(!state.child.ended, `serve: ${JSON.stringify(state.child.ended)}`);
  const send = async (words) => {
    for (let tries = 0; tries < 3000; tries++) {
      const r = await ask(data, words);
      if (r) return r;
      await pause(5);
    }
    throw new Error("nobody answers");
  };
  const dispatch = (name, fields, key) => send(["dispatch", "--json", `--key=${key}`, name, JSON.stringify(fields)]);
  for (let i = 0; i < 50; i++) {
    const opened = await dispatch("Open", { account_id: `a${i}` }, `open-${i}`);
    expect(opened.code === 0, `open: ${opened.stdout}${opened.stderr}`);
    const r = await dispatch("Deposit", { account_id: `a${i}`, amount: 1000 }, `first-${i}`);
    expect(r.code === 0, `deposit: ${r.stdout}${r.stderr}`);
  }
  const client = async (c) => {
    for (let i = 0; i < commands; i++) {
      const id = `t${c}-${i}`;
      const source = `a${Math.floor(chance() * 50)}`, target = `a${Math.floor(chance() * 50)}`;
      const r = await dispatch("Transfer", { transfer_id: id, source, target, amount: 1 + Math.floor(chance() * 300) }, id);
      expect(r.code === 0, `transfer ${id}: ${r.stdout}${r.stderr}`);
      state.accepted++;
      await pause(10);
    }
  };
  const killer = async () => {
    while (!state.stop && state.killed < kills) {
      await pause(40 + chance() * 120);
      if (state.stop) return;
      state.child.kill("SIGKILL");
      while (!state.child.ended) await pause(1);
      state.killed++;
      state.child = await serve();
      expect(!state.child.ended, `serve after a kill: ${JSON.stringify(state.child.ended)}`);
    }
  };
  const killing = killer();
  await Promise.all(Array.from({ length: clients }, (_, c) => client(c)));
  await killing;
  state.stop = true;
  const view = async (agent, id, name) => JSON.parse((await send(["view", agent, id, name])).stdout);
  const want = clients * commands;
  let letters;
  for (let i = 0; i < 600; i++) { // everything comes to rest
    letters = await view("Counter", "letters", "result");
    if (letters.total >= want) break;
    await pause(50);
  }
  await pause(200);
  let sum = 0;
  for (let i = 0; i < 50; i++) sum += await view("Account", `a${i}`, "balance_now");
  const counters = {};
  for (const name of ["deposits", "withdrawals", "settled", "notes", "letters"]) counters[name] = await view("Counter", name, "result");
  const handlers = (await send(["handlers", "--json"])).stdout.trim().split("\n").map((l) => JSON.parse(l));
  const dead = await send(["dead", "--json"]);
  state.child.kill("SIGTERM");
  while (!state.child.ended) await pause(5);
  const doctor = await run(h.z8, ["doctor"], { env, seconds: 60 });
  return { ...state, want, sum, counters, handlers, dead: dead.stdout, doctor };
}

export default (h) => [
  {
    name: "50 agents, 4 handlers, 3 queues under 30 kills", alone: true,
    test: async (t) => {
      const r = await application({ ...t, kills: 30, clients: 8, commands: 60 });
      const c = r.counters, all = JSON.stringify({ ...r, child: undefined, doctor: undefined }, null, 1);
      expect(r.killed >= 25, `only ${r.killed} kills came before the end`);
      expectEqual(r.child.ended.code, 0, `serve, asked to stop: ${r.child.ended.err}`);
      expectEqual(r.accepted, r.want, "commands accepted");
      expectEqual(r.sum, 50 * 1000, `the money: ${all}`);
      for (const name of Object.keys(c)) expectEqual(c[name].twice, 0, `${name} told twice: ${all}`);
      expectEqual(c.settled.total, r.want, `transfers settled: ${all}`);
      expectEqual(c.letters.total, r.want, `letters followed: ${all}`);
      expectEqual(c.deposits.total, c.withdrawals.total + 50, `deposits and withdrawals: ${all}`);
      expectEqual(c.notes.total, c.deposits.total, `notes: ${all}`);
      expect(r.handlers.length === 4 && r.handlers.every((x) => x.dead === 0 && x.running === 0 && x.waiting === 0), `handlers: ${all}`);
      expectEqual(r.dead.trim(), "", "dead letters");
      expect(r.doctor.code === 0, `doctor: ${r.doctor.stdout}${r.doctor.stderr}`);
    },
  },
  { name: "200 HTTP steps under 30 kills", alone: true, test: async (t) => { const n = await killed({ ...t, steps: 200, kills: 30, window: 180, delayMs: 30 }); expect(n >= 25, `only ${n} kills came before the end`); } },
  { name: "60 HTTP steps under quick kills", alone: true, test: async (t) => { await killed({ ...t, steps: 60, kills: 20, window: 40, delayMs: 3 }); } },
  {
    name: "a lost reply: reversible is sent again under its key, irreversible is checked",
    test: async ({ h, dir }) => {
      const server = counter({ dropReply: (name, count) => name.startsWith("POST") && count === 1 });
      const env = { Z8_HOST: `http://127.0.0.1:${await server.listen()}`, Z8_DIR: dir + "/data" };
      writeFileSync(dir + "/steps.z8", PROGRAM(6));
      const r = await run(h.z8, ["run", dir + "/steps.z8"], { env });
      await server.close();
      expect(r.code === 0 && r.stdout.includes("end 6"), `${r.stdout}${r.stderr}`);
      for (const [name, { count, keys }] of server.asked) {
        if (name.startsWith("POST /add")) expect(count === 2 && keys.size === 1, `${name}: ${count} times, ${keys.size} keys`);
        if (name.startsWith("POST /pay")) expectEqual(count, 1, name);
      }
    },
  },
  {
    name: "an irreversible tool without check waits for a person, and z8 resolve settles it",
    test: async ({ h, dir }) => {
      const server = counter({ dropReply: (name) => name.startsWith("POST") });
      const env = { Z8_HOST: `http://127.0.0.1:${await server.listen()}`, Z8_DIR: dir + "/data" };
      writeFileSync(dir + "/p.z8", `
config host: string = "http://127.0.0.1:9"
tool Pay(n: int) -> int:
  effect irreversible
  perform: return http.post("\${host}/pay/\${n}", json: {n}).json.n
print("paid \${Pay(1)}")
`);
      const r = await run(h.z8, ["run", dir + "/p.z8"], { env, seconds: 20 });
      expectEqual(r.code, 5, `exit of run: ${r.stdout}${r.stderr}`);
      const rows = (await run(h.z8, ["runs", "--json"], { env })).stdout.trim().split("\n").map((l) => JSON.parse(l));
      const log = (await run(h.z8, ["log", rows[0].run, "--json"], { env })).stdout.trim().split("\n").map((l) => JSON.parse(l));
      const asked = log.find((x) => x.record === "TOOL_UNKNOWN");
      expect(asked, "no TOOL_UNKNOWN record");
      const s = await run(h.z8, ["resolve", `${rows[0].run}#${asked.ref}`, "--confirmed", "7"], { env });
      expect(s.code === 0, `resolve: ${s.stdout}${s.stderr}`);
      const again = await run(h.z8, ["recover"], { env, seconds: 20 });
      expect(again.code === 0 && again.stdout.includes("paid 7"), `recover: ${again.code} ${again.stdout}${again.stderr}`);
      await server.close();
      expectEqual(server.asked.get("POST /pay/1").count, 1, "sends");
    },
  },
  {
    name: "two processes on one directory: the second is refused and told who holds it",
    test: async ({ h, dir }) => {
      const env = { Z8_DIR: dir + "/data" };
      writeFileSync(dir + "/wait.z8", 'print("ready")\nx = await signal go\nprint(x)\n');
      const child = spawn(h.z8, ["run", dir + "/wait.z8"], { env: { ...process.env, ...env } });
      let out = "";
      const ended = new Promise((ok) => child.on("close", ok));
      await new Promise((ok) => child.stdout.on("data", (d) => { out += d; if (out.includes("ready")) ok(); }));
      const r = await run(h.z8, ["run", dir + "/wait.z8"], { env });
      expect(r.code === 1 && r.stderr.includes(String(child.pid)), `exit ${r.code}: ${r.stderr}`);
      const rows = (await run(h.z8, ["runs", "--json"], { env })).stdout.trim().split("\n").map((l) => JSON.parse(l));
      const s = await run(h.z8, ["signal", rows[0].run, "go", '"on"'], { env });
      expect(s.code === 0, `signal: ${s.stderr}`);
      const code = await ended;
      expect(code === 0 && out.includes("on"), `exit ${code}: ${out}`);
    },
  },
];
