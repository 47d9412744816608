// The main job, played: a payroll of wires over HTTP, killed with -9 in the middle, recovered, finished once, and
// replayed with the bank gone.
import { bank } from "./bank_server.mjs";
import { stage, say, must, lines, withoutEffects } from "./stage.mjs";

const teller = bank({ people: 12, delayMs: 60 });
const port = await teller.listen();
const { run } = stage({ Z8_BANK: `http://127.0.0.1:${port}` });

say(`A bank listens on 127.0.0.1:${port}. A workflow pays twelve salaries through it, and is killed after the fifth.`);
const first = await run(["run", "payroll.z8"], { killWhen: (out) => out.split("paid ").length > 5 });
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
const rows = lines((await run(["runs", "--json"], { show: false })).out);
const pay = rows.find((r) => r.workflow === "PayMonth");
must(pay && pay.status === "done", "the workflow is not done");
const replay = await run(["replay", pay.run]);
must(withoutEffects(replay), "the replay failed");
say("Done: killed, recovered, finished once, replayed without the bank.");
