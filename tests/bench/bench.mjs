// Benchmarks as ratios side by side in one run:  node tests/bench/bench.mjs [vm] [startup] [compile] [durable] [replay] [store] [parked] [jobs] [fold] [bus] [agents]
import { spawnSync } from "node:child_process";
import { readdirSync, readFileSync, writeFileSync, mkdtempSync, rmSync, existsSync } from "node:fs";
import { join, dirname } from "node:path";
import { fileURLToPath } from "node:url";
import { tmpdir } from "node:os";
import { generate } from "./generate.mjs";

const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
const z8 = process.env.Z8 || join(root, "build/z8");
const asked = process.argv.slice(2);
const wants = (part) => asked.length === 0 || asked.includes(part);
const dir = mkdtempSync(join(tmpdir(), "z8-bench-"));
process.on("exit", () => rmSync(dir, { recursive: true, force: true }));

function time(command, args, options = {}) {
  const start = process.hrtime.bigint();
  const r = spawnSync(command, args, { encoding: "utf8", maxBuffer: 1 << 28, ...options });
  const seconds = Number(process.hrtime.bigint() - start) / 1e9;
  if (r.status !== 0) throw new Error(`${command} ${args.join(" ")}: ${r.status} ${r.stderr?.slice(0, 500)}`);
  return { seconds, out: r.stdout.trim(), err: r.stderr };
}
const median = (xs) => [...xs].sort((a, b) => a - b)[Math.floor(xs.length / 2)];
const have = (command) => spawnSync(command, ["-v"]).status !== null && !spawnSync(command, ["-v"]).error;
const row = (cells, widths) => console.log(cells.map((c, i) => String(c)[i ? "padStart" : "padEnd"](widths[i])).join("  "));

// ---- the machine against Lua: the same work, interleaved, median of five ----
function vm() {
  const rounds = 5, folder = join(root, "tests/bench/vm"), ratios = [];
  const jit = have("luajit");
  console.log(`\nVM: seconds, median of ${rounds} interleaved runs of whole processes; ratio = z8 / lua5.4`);
  const widths = [12, 8, 8, 8, 8];
  row(["", "z8", "lua5.4", jit ? "lj -joff" : "", "ratio"], widths);
  for (const name of readdirSync(folder).filter((f) => f.endsWith(".z8")).map((f) => f.slice(0, -3))) {
    const times = { z8: [], lua: [], jit: [] };
    let result;
    for (let i = 0; i < rounds; i++) {
      const a = time(z8, ["run", "--dir", join(dir, "vm"), join(folder, name + ".z8")]);
      const b = time("lua5.4", [join(folder, name + ".lua")]);
      times.z8.push(a.seconds);
      times.lua.push(b.seconds);
      const number = (s) => Number(s).toPrecision(10);
      if (number(a.out) !== number(b.out)) throw new Error(`${name}: z8 says ${a.out}, lua says ${b.out}`);
      if (jit) { try { times.jit.push(time("luajit", ["-joff", join(folder, name + ".lua")]).seconds); } catch { /* needs 5.4 */ } }
      result = a.out;
    }
    const ratio = median(times.z8) / median(times.lua);
    ratios.push(ratio);
    row([name, median(times.z8).toFixed(3), median(times.lua).toFixed(3), times.jit.length ? median(times.jit).toFixed(3) : "-", ratio.toFixed(2)], widths);
  }
  const mean = Math.exp(ratios.reduce((s, r) => s + Math.log(r), 0) / ratios.length);
  console.log(`geometric mean ${mean.toFixed(2)} (floor 0.60), worst ${Math.max(...ratios).toFixed(2)} (floor 1.00)`);
}

function startup() {
  const file = join(dir, "hello.z8");
  writeFileSync(file, 'print("hello")\n');
  const times = [];
  for (let i = 0; i < 20; i++) times.push(time(z8, ["run", "--dir", join(dir, "start"), file]).seconds);
  const memory = spawnSync("/usr/bin/time", ["-f", "%M", z8, "run", "--dir", join(dir, "start"), file], { encoding: "utf8" });
  const kb = memory.error ? "? (no /usr/bin/time)" : (Number(memory.stderr.trim().split("\n").pop()) / 1024).toFixed(1) + " MB";
  console.log(`\nstartup of z8 run on a small file: ${(median(times) * 1e3).toFixed(1)} ms median of 20 (floor 10), peak memory ${kb} (floor 10 MB)`);
}

function compile() {
  const big = join(dir, "big.z8"), small = join(dir, "small.z8");
  const text = generate(100_000);
  writeFileSync(big, text);
  writeFileSync(small, generate(200));
  const lines = text.split("\n").length;
  const lua = (n) => median(Array.from({ length: 5 }, n));
  const build = lua(() => time(z8, ["build", big, "-o", join(dir, "big.z8b")]).seconds);
  const check = lua(() => time(z8, ["check", big]).seconds);
  const tiny = lua(() => time(z8, ["check", small]).seconds);
  console.log(`\ncompile: ${lines} lines, ${(text.length / lines).toFixed(1)} bytes a line`);
  console.log(`  source to verified bundle ${(lines / build / 1e3).toFixed(0)} k lines/s (floor 500), check alone ${(lines / check / 1e3).toFixed(0)} k lines/s`);
  console.log(`  a 200-line file checks in ${(tiny * 1e3).toFixed(1)} ms, process and all (floor 5)`);
}

function native(name, args = []) {
  const binary = join(root, "build/bench", name);
  if (!existsSync(binary)) return console.log(`\n${name}: build/bench/${name} is not built; use make bench`);
  console.log("");
  console.log(time(binary, args, { cwd: dir, env: { ...process.env, Z8: z8, Z8_ROOT: root } }).out);
}

if (wants("vm")) vm();
if (wants("startup")) startup();
if (wants("compile")) compile();
if (wants("durable")) native("bench_durable");
if (wants("replay")) native("bench_replay");
if (wants("store")) {
  native("bench_store");
  native("bench_store_app");
}
if (wants("parked")) native("bench_parked");
if (wants("jobs")) native("bench_jobs");
if (wants("fold")) native("bench_fold");
if (wants("bus")) native("bench_bus", ["2", "1000000"]);
if (wants("agents")) native("bench_agents");
