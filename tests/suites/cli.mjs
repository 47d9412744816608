// The command as a user meets it: verbs, exit statuses, JSON fields, bad input.
import { writeFileSync, readFileSync, mkdirSync, existsSync, appendFileSync, truncateSync, chmodSync } from "node:fs";
import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { run, expect, expectEqual, filesBelow } from "../support/harness.mjs";

const lines = (text) => text.trim().split("\n").filter(Boolean).map((l) => JSON.parse(l));

async function project(h, dir, source, env = {}) {
  writeFileSync(join(dir, "p.z8"), source);
  const r = await run(h.z8, ["run", "--dir", join(dir, "d"), join(dir, "p.z8")], { env });
  const id = /^run ([0-9a-f-]{36})$/m.exec(r.stderr)?.[1];
  return { ...r, id, z8: (args, options) => run(h.z8, [...args, "--dir", join(dir, "d")], options) };
}

const test = (name, body) => ({ name, test: body });

export default (h) => [
  test("new makes a project that checks and runs at once", async ({ dir }) => {
    const made = await run(h.z8, ["new", "hello"], { cwd: dir });
    expectEqual(made.code, 0, made.stderr);
    for (const verb of ["check", "run"]) {
      const r = await run(h.z8, [verb, "main.z8"], { cwd: join(dir, "hello") });
      expect(r.code === 0, `${verb}: ${r.stdout}${r.stderr}`);
    }
    const again = await run(h.z8, ["new", "hello"], { cwd: dir });
    expect(again.code !== 0, "it made the project over an existing one");
  }),
  test("run prints the script's output, and the run's id last on standard error", async ({ dir }) => {
    const p = await project(h, dir, 'print("hi")\n');
    expectEqual(p.stdout, "hi\n");
    expect(p.code === 0 && p.id && p.stderr.trim().endsWith(p.id), p.stderr);
    const [row] = lines((await p.z8(["runs", "--json"])).stdout);
    for (const field of ["run", "status", "workflow", "bundle", "started", "ended", "records"]) expect(field in row, `no ${field}`);
    expectEqual(row.status, "done");
    const replay = JSON.parse((await p.z8(["replay", p.id, "--json"])).stdout);
    for (const field of ["run", "records", "effects", "state_hash", "divergence"]) expect(field in replay, `no ${field}`);
    expectEqual(replay.effects, 0);
    for (const verb of ["inspect", "log"]) {
      const r = await p.z8([verb, p.id.slice(0, 30)]);
      expect(r.code === 0 && r.stdout.length > 50, `${verb}: ${r.stdout}${r.stderr}`);
    }
  }),
  test("a fault ends with status 1 and says code, message and place", async ({ dir }) => {
    const p = await project(h, dir, "fn f(xs):\n  return xs[3]\n\nprint(f([1]))\n");
    expectEqual(p.code, 1);
    expect(/index_out_of_range/.test(p.stderr) && /p\.z8:2/.test(p.stderr), p.stderr);
  }),
  test("arguments after -- reach the script, and its replay", async ({ dir }) => {
    writeFileSync(join(dir, "p.z8"), "words = args()\nprint(len(words), words)\n");
    const env = { Z8_DIR: join(dir, "d") };
    const r = await run(h.z8, ["run", join(dir, "p.z8"), "--", "one", "--two", "drei ü"], { env });
    expectEqual(r.stdout, '3 ["one", "--two", "drei ü"]\n', r.stderr);
    const id = /^run ([0-9a-f-]{36})$/m.exec(r.stderr)[1];
    expectEqual((await run(h.z8, ["replay", id], { env })).code, 0, "replay");
    expectEqual((await run(h.z8, ["run", join(dir, "p.z8")], { env })).stdout, "0 []\n", "none");
  }),
  test("wrong usage is status 2 with a suggestion", async () => {
    for (const args of [["rn"], ["run"], ["run", "--thread", "2", "x.z8"], ["replay"], ["explain"], ["completion", "tcsh"], ["resolve", "x"]]) {
      const r = await run(h.z8, args);
      expectEqual(r.code, 2, `z8 ${args.join(" ")}: ${r.stdout}${r.stderr}`);
      expect(r.stderr.length > 10, "nothing is said");
    }
    expect((await run(h.z8, ["rn"])).stderr.includes("run"), "no suggestion for rn");
  }),
  test("help, version, completion", async () => {
    for (const args of [["help"], ["help", "replay"], ["version"], ["completion", "bash"], ["completion", "zsh"], ["completion", "fish"], ["run", "--help"]]) {
      const r = await run(h.z8, args);
      expect(r.code === 0 && r.stdout.length > 10, `z8 ${args.join(" ")}: ${r.code} ${r.stderr}`);
    }
    const sh = await run("bash", ["-n"], { input: (await run(h.z8, ["completion", "bash"])).stdout });
    expectEqual(sh.code, 0, sh.stderr);
  }),
  test("every verb is helped with, completed and in the reference; its options too", async () => {
    const help = (await run(h.z8, ["help"])).stdout;
    const verbs = [...help.matchAll(/^  ([a-z]+) /gm)].map((m) => m[1]);
    expect(verbs.length >= 30 && ["serve", "dispatch", "view", "enqueue", "jobs", "queue", "dead", "handlers", "causes", "test"].every((v) => verbs.includes(v)), help);
    expect(help.split("\n").every((l) => l.length <= 110), "a line of help is too long");
    const reference = readFileSync("lang/reference/cli.md", "utf8");
    const shells = await Promise.all(["bash", "zsh", "fish"].map(async (shell) => (await run(h.z8, ["completion", shell])).stdout));
    for (const verb of verbs) {
      const r = await run(h.z8, ["help", verb]);
      expect(r.code === 0 && r.stdout.startsWith(`z8 ${verb} `), `help ${verb}: ${r.stdout}${r.stderr}`);
      expect(new RegExp(`\`${verb}\\b`).test(reference), `cli.md has no ${verb}`);
      expect(shells.every((text) => new RegExp(`\\b${verb}\\b`).test(text)), `a completion has no ${verb}`);
      for (const [, option] of r.stdout.matchAll(/^  (?:-., )?--([a-z-]+)/gm))
        expect(shells.every((text) => text.includes(option)), `a completion has no --${option} of ${verb}`);
    }
  }),
  test("build, disasm and running the bundle's code again give the same id", async ({ dir }) => {
    writeFileSync(join(dir, "p.z8"), "fn f(x: int) -> int: return x + 1\nprint(f(1))\n");
    const a = await run(h.z8, ["build", "p.z8", "-o", "a.z8b"], { cwd: dir });
    const b = await run(h.z8, ["build", "p.z8", "-o", "b.z8b"], { cwd: dir });
    expect(a.code === 0 && b.code === 0, a.stderr + b.stderr);
    expect(readFileSync(join(dir, "a.z8b")).equals(readFileSync(join(dir, "b.z8b"))), "two builds differ");
    for (const what of ["a.z8b", "p.z8"]) {
      const d = await run(h.z8, ["disasm", what], { cwd: dir });
      expect(d.code === 0 && /ADDI/.test(d.stdout), d.stdout + d.stderr);
    }
  }),
  test("broken bundles are refused", async ({ dir }) => {
    writeFileSync(join(dir, "p.z8"), 'print("x")\n');
    await run(h.z8, ["build", "p.z8", "-o", "a.z8b"], { cwd: dir });
    const good = readFileSync(join(dir, "a.z8b"));
    for (let i = 0; i < 40; i++) {
      const bad = Buffer.from(good);
      bad[(i * 7919) % bad.length] ^= 1 + (i % 255);
      writeFileSync(join(dir, "bad.z8b"), i % 4 === 0 ? bad.subarray(0, (i * 131) % bad.length) : bad);
      const r = await run(h.z8, ["disasm", "bad.z8b"], { cwd: dir });
      expect(r.code === 0 || r.code === 1 || r.code === 4, `exit ${r.code ?? r.signal}: ${r.stderr}`);
    }
  }),
  test("changed code is caught at the first command that differs, status 3, with both lines", async ({ dir }) => {
    const p = await project(h, dir, 'tool T(n: int) -> int:\n  effect read\n  perform: return n + 1\n\nfn first() -> int: return 1\nx = T(first())\ny = T(x)\nprint(y)\n');
    expectEqual(p.code, 0, p.stderr);
    const changed = join(dir, "changed.z8");
    writeFileSync(changed, 'tool T(n: int) -> int:\n  effect read\n  perform: return n + 1\n\nfn first() -> int: return 2\nx = T(first())\ny = T(x)\nprint(y)\n');
    const r = await p.z8(["replay", p.id, "--with", changed]);
    expectEqual(r.code, 3, r.stdout + r.stderr);
    expect(/operand/i.test(r.stdout + r.stderr) && /changed\.z8:6|:6/.test(r.stdout + r.stderr), r.stdout + r.stderr);
    const json = JSON.parse((await p.z8(["replay", p.id, "--with", changed, "--json"])).stdout);
    expect(json.divergence && json.effects === 0, JSON.stringify(json));
    const guarded = join(dir, "guarded.z8");
    writeFileSync(guarded, 'tool T(n: int) -> int:\n  effect read\n  perform: return n + 1\n\nfn first() -> int: return 1\nif patched("more"): print("new")\nx = T(first())\ny = T(x)\nprint(y)\n');
    const g = await p.z8(["replay", p.id, "--with", guarded]);
    expectEqual(g.code, 0, `under patched it passes: ${g.stdout}${g.stderr}`);
    const fresh = await run(h.z8, ["run", "--dir", join(dir, "e"), guarded]);
    expect(fresh.stdout.startsWith("new"), "a new run takes the new branch");
    const missing = join(dir, "missing.z8");
    writeFileSync(missing, 'tool T(n: int) -> int:\n  effect read\n  perform: return n + 1\n\nfn first() -> int: return 1\nx = T(first())\n');
    expectEqual((await p.z8(["replay", p.id, "--with", missing])).code, 3, "a call less");
    const extra = join(dir, "extra.z8");
    writeFileSync(extra, 'tool T(n: int) -> int:\n  effect read\n  perform: return n + 1\n\nfn first() -> int: return 1\nx = T(first())\ny = T(x)\nz = T(y)\nprint(y)\n');
    expectEqual((await p.z8(["replay", p.id, "--with", extra])).code, 3, "a call more");
  }),
  test("a changed journal is status 4", async ({ dir }) => {
    const p = await project(h, dir, 'print("a")\nprint("b")\n');
    const db = join(dir, "d/z8.db");
    const bytes = readFileSync(db);
    const at = bytes.indexOf(Buffer.from("PRINT")) >= 0 ? bytes.indexOf(Buffer.from("PRINT")) : bytes.lastIndexOf(Buffer.from("z8/1"));
    if (at < 0) return; // it is in the write-ahead log only
    bytes[at] ^= 1;
    writeFileSync(db, bytes);
    const r = await p.z8(["replay", p.id]);
    expectEqual(r.code, 4, r.stdout + r.stderr);
    expectEqual((await p.z8(["doctor"])).code, 4, "doctor");
  }),
  test("signal and cancel without a process are kept for recover", async ({ dir }) => {
    writeFileSync(join(dir, "p.z8"), 'workflow W():\n  try:\n    x = await signal go\n    return x\n  finally:\n    print("clean")\n\nrun = start W()\nother = start W()\nprint("ready")\nr = try await(run)\ns = try await(other)\nprint(r.value, s.ok)\n');
    const env = { Z8_DIR: join(dir, "d") };
    let killed = false;
    await run(h.z8, ["run", join(dir, "p.z8")], { env, onSpawn: (c) => c.stdout.on("data", (d) => { if (String(d).includes("ready") && !killed) { killed = true; setTimeout(() => c.kill("SIGKILL"), 100); } }) });
    const rows = lines((await run(h.z8, ["runs", "--json"], { env })).stdout).filter((r) => r.workflow === "W");
    expectEqual(rows.length, 2, "workflows");
    const s = await run(h.z8, ["signal", rows[0].run, "go", "42"], { env });
    expect(s.code === 0, s.stderr);
    const c = await run(h.z8, ["cancel", rows[1].run, "--why", "no longer wanted"], { env });
    expect(c.code === 0, c.stderr);
    const r = await run(h.z8, ["recover"], { env });
    expect(r.code === 0 && r.stdout.includes("42 false") && r.stdout.match(/clean/g)?.length === 2, `${r.code} ${r.stdout}${r.stderr}`);
    const after = lines((await run(h.z8, ["runs", "--json"], { env })).stdout);
    expectEqual(after.find((x) => x.run === rows[1].run).status, "cancelled");
    expect((await run(h.z8, ["signal", rows[0].run, "go"], { env })).code === 1, "a signal to a run that is over");
  }),
  test("limits end the run with a fault that names the limit and the line", async ({ dir }) => {
    const cases = {
      limit_depth: "fn f(n: int) -> int:\n  return 1 + f(n + 1)\n\nprint(f(0))\n",
      limit_size: 's = "x"\nwhile true: s = s + s\n',
      limit_live: "xs = [0]\nwhile true: xs = [xs, [1, 2, 3, 4, 5, 6, 7, 8], xs + [1]]\n",
    };
    for (const [code, source] of Object.entries(cases)) {
      writeFileSync(join(dir, "p.z8"), source);
      const r = await run(h.z8, ["run", "--dir", join(dir, "d" + code), join(dir, "p.z8")], { seconds: 100 });
      expect(r.code === 1 && /limit_/.test(r.stderr), `${code}: exit ${r.code ?? r.signal}: ${r.stderr.slice(0, 500)}`);
      const again = await run(h.z8, ["replay", "last", "--dir", join(dir, "d" + code)], { seconds: 100 });
      expectEqual(again.code, 0, `replay of ${code}: ${again.stdout}${again.stderr}`);
    }
  }),
  test("a full disk stops cleanly, and what was stored is there", async ({ dir }) => {
    let mounted = false;
    mkdirSync(join(dir, "small"));
    try { execFileSync("mount", ["-t", "tmpfs", "-o", "size=600k", "tmpfs", join(dir, "small")], { stdio: "ignore" }); mounted = true; } catch { return; }
    try {
      writeFileSync(join(dir, "p.z8"), 'tool T(n: int) -> int:\n  perform: return n + 1\n\nn = 0\nwhile n < 100000: n = T(n)\n');
      const r = await run(h.z8, ["run", "--dir", join(dir, "small/d"), join(dir, "p.z8")]);
      expect(r.code === 1 && /full|space/i.test(r.stderr), `exit ${r.code ?? r.signal}: ${r.stderr}`);
      const list = await run(h.z8, ["runs", "--dir", join(dir, "small/d"), "--json"]);
      expect(list.code === 0 && lines(list.stdout).length === 1, list.stdout + list.stderr);
    } finally {
      if (mounted) execFileSync("umount", [join(dir, "small")]);
    }
  }),
  test("rubbish as source", async ({ dir }) => {
    const cases = ["\0\0\0", "\xff\xfe", "((((".repeat(5000), "\t\tx = 1", '"""', "${", "x = ".repeat(3000), "if ".repeat(2000), "a\n  b\n    c\n"];
    for (const [i, text] of cases.entries()) {
      writeFileSync(join(dir, "r.z8"), Buffer.from(text, "latin1"));
      const r = await run(h.z8, ["check", "r.z8"], { cwd: dir, seconds: 20 });
      expect(r.code === 1 && r.stderr.includes("Z8-E"), `case ${i}: exit ${r.code ?? r.signal}: ${r.stderr.slice(0, 300)}`);
    }
    expectEqual((await run(h.z8, ["check", "none.z8"], { cwd: dir })).code, 1, "a file that is not there");
    expectEqual((await run(h.z8, ["check", "."], { cwd: dir })).code === 0, false, "a folder");
  }),
  test("a data directory that is no such thing", async ({ dir }) => {
    writeFileSync(join(dir, "p.z8"), 'print("x")\n');
    mkdirSync(join(dir, "d"));
    writeFileSync(join(dir, "d/z8.db"), "this is no database, and it is long enough to be looked at ".repeat(100));
    const r = await run(h.z8, ["run", "--dir", join(dir, "d"), join(dir, "p.z8")]);
    expect(r.code === 1 || r.code === 4, `exit ${r.code ?? r.signal}: ${r.stderr}`);
    expect(/database/.test(r.stderr), r.stderr);
    writeFileSync(join(dir, "file"), "");
    expectEqual((await run(h.z8, ["run", "--dir", join(dir, "file"), join(dir, "p.z8")])).code, 1, "a file as directory");
  }),
];
