// The main job, played: a payroll of wires over HTTP, killed with -9 in the middle, recovered, finished once, and
// replayed with the bank gone.
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { join, dirname } from "node:path";
import { tmpdir } from "node:os";
import { fileURLToPath } from "node:url";
import { bank } from "./bank_server.mjs";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const z8 = join(root, "build/z8");
const dir = mkdtempSync(join(tmpdir(), "z8-demo-"));
process.on("exit", () => rmSync(dir, { recursive: true, force: true }));
const teller = bank({ people: 12, delayMs: 60 });
const port = await teller.listen();
const env = { ...process.env, Z8_BANK: `http://127.0.0.1:${port}`, Z8_DIR: dir };

const say = (text) => console.log(`\n\x1b[1m${text}\x1b[0m`.replace(/\x1b\[\d?m/g, process.stdout.isTTY && !process.env.NO_COLOR ? "$&" : ""));
function run(args, killWhen) {
  console.log(`$ z8 ${args.join(" ")}`);
  return new Promise((resolve) => {
    const child = spawn(z8, args, { env, cwd: join(root, "examples") });
    let out = "", killed = false;
    const see = (d) => {
      out += d;
      process.stdout.write(d);
      if (!killed && killWhen?.(out)) { killed = true; child.kill("SIGKILL"); }
    };
    child.stdout.on("data", see);
    child.stderr.on("data", see);
    child.on("close", (code, signal) => resolve({ code, signal, out }));
  });
}
function must(condition, what) {
  if (!condition) { console.error(`\nthe demo failed: ${what}`); process.exit(1); }
}

say(`A bank listens on 127.0.0.1:${port}. A workflow pays twelve salaries through it, and is killed after the fifth.`);
const first = await run(["run", "payroll.z8"], (out) => out.split("paid ").length > 5);
must(first.signal === "SIGKILL", "the run ended before it could be killed");
console.log(`[killed with -9; the bank has booked ${teller.wires.size} wires]`);

say("What was running is continued from its journal: nothing is paid twice.");
const second = await run(["recover"]);
must(second.code === 0, "recover did not finish the run");
const repeated = [...teller.asked.values()].filter((n) => n > 1).length;
must(teller.wires.size === 12, `the bank booked ${teller.wires.size} wires, not 12`);
must(repeated === 0, `${repeated} wires were sent twice`);
console.log(`[the bank has booked ${teller.wires.size} wires; sent twice: ${repeated}]`);

say("The bank is closed. The run is replayed from its journal alone.");
await teller.close();
const list = await run(["runs", "--json"]);
const rows = list.out.trim().split("\n").map((l) => JSON.parse(l));
const pay = rows.find((r) => r.workflow === "PayMonth");
must(pay && pay.status === "done", "the workflow is not done");
const replay = await run(["replay", pay.run]);
must(replay.code === 0, "the replay failed");
must(/effects performed:?\s*0/i.test(replay.out) || /\b0 effects\b/.test(replay.out), "the replay does not say that it performed no effect");
say("Done: killed, recovered, finished once, replayed without the bank.");
