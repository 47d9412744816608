// The main job, played: a bank with accounts, transfers and receipts by e-mail, killed with -9 while transfers are under
// way, started again, and checked: no money lost or made, no receipt sent twice. Then one transfer is shown with all
// that it caused, and replayed with the mail server gone.
import { mail } from "./mail_server.mjs";
import { stage, say, pause, must, lines, withoutEffects } from "./stage.mjs";

const ACCOUNTS = 12, TRANSFERS = 60, EACH = 1000;
const post = mail({ delayMs: 40 });
const port = await post.listen();
const { start, run } = stage({ Z8_MAIL: `http://127.0.0.1:${port}` });

// The node, once it serves; or what it ended as, before.
function serve() {
  const child = start(["serve", "bank.z8"], { note: " &" });
  return new Promise((resolve) => {
    child.gone.then(() => resolve(child));
    child.stderr.on("data", (d) => { process.stdout.write(d); if (String(d).includes("serving")) resolve(child); });
  });
}
// A command is sent again under its key until it is answered: a client cannot know more when the node is gone.
async function dispatch(name, fields, key) {
  for (let tries = 0; tries < 200; tries++) {
    const r = await run(["dispatch", "--json", "--key", key, name, JSON.stringify(fields)], { show: false });
    if (r.code === 0) return JSON.parse(r.out);
    if (r.out.startsWith("{")) must(false, `${name} was refused: ${r.out}`);
    await pause(30);
  }
  must(false, `nobody answered ${name}`);
}
const view = async (agent, id, name) => JSON.parse((await run(["view", agent, id, name], { show: false })).out);

say("The bank's own tests: on virtual time, without network, one of them with a crash after every commit.");
must((await run(["test", "bank.z8"])).code === 0, "its tests fail");

say(`The bank is served. ${ACCOUNTS} people open accounts and put ${EACH} in each.`);
let node = await serve();
must(!node.ended, "the bank does not start");
for (let i = 0; i < ACCOUNTS; i++) {
  await dispatch("OpenAccount", { account_id: `p${i}`, owner: `p${i}@example.org` }, `open-${i}`);
  await dispatch("Deposit", { account_id: `p${i}`, amount: EACH }, `pay-in-${i}`);
}

say(`${TRANSFERS} transfers are asked for; the bank is killed with -9 in the middle of them.`);
let asked = 0;
const clients = Array.from({ length: 4 }, async (_, c) => {
  for (let i = c; i < TRANSFERS; i += 4) {
    await dispatch("RequestTransfer", { transfer_id: `t${i}`, source: `p${i % ACCOUNTS}`, target: `p${(i * 7 + 1) % ACCOUNTS}`, amount: 10 + i }, `t${i}`);
    asked++;
  }
});
while (asked < TRANSFERS / 2) await pause(5);
node.kill("SIGKILL");
await node.gone;
console.log(`[killed: ${asked} of ${TRANSFERS} transfers were accepted, ${post.delivered.size} receipts delivered]`);
node = await serve();
must(!node.ended, "the bank does not start again");
await Promise.all(clients);

say("Everything comes to rest. Is the money still there?");
for (let i = 0; i < 300; i++) {
  const waiting = (await run(["jobs", "--json", "--status", "available"], { show: false })).out.trim();
  const running = (await run(["jobs", "--json", "--status", "executing"], { show: false })).out.trim();
  if (waiting === "" && running === "" && post.delivered.size >= TRANSFERS) break;
  await pause(100);
}
let sum = 0;
for (let i = 0; i < ACCOUNTS; i++) sum += await view("Account", `p${i}`, "balance_now");
let completed = 0;
for (let i = 0; i < TRANSFERS; i++) completed += (await view("Transfer", `t${i}`, "status_now")) === "completed";
const receipts = [...post.delivered.values()].map((m) => `${m.to} ${m.subject}`);
const twice = receipts.length - new Set(receipts).size; // every amount is another one, so equal receipts are one sent twice
console.log(`[${ACCOUNTS} accounts hold ${sum}, of ${ACCOUNTS * EACH} paid in; ${completed} transfers completed, ${post.delivered.size} receipts delivered]`);
must(sum === ACCOUNTS * EACH, "money was lost or made");
must(completed === TRANSFERS, `${TRANSFERS - completed} transfers are not completed`);
must(post.delivered.size === TRANSFERS && twice === 0, `${post.delivered.size} receipts for ${TRANSFERS} transfers`);

say("One transfer, with all that it caused:");
const runs = lines((await run(["runs", "--json"], { show: false })).out);
const moved = runs.find((r) => r.workflow.startsWith("Transfers.") && r.status === "done");
const receipt = runs.find((r) => r.workflow === "Receipt" && r.status === "done");
must(moved && receipt, "no transfer was handled");
must((await run(["trace", moved.run])).code === 0, "no trace");

say("The bank and the mail server are stopped. A receipt's run is replayed from its journal alone.");
node.kill("SIGTERM");
await node.gone;
must(node.ended.code === 0, "the bank did not stop cleanly");
await post.close();
const replay = await run(["replay", receipt.run]);
must(withoutEffects(replay), "the replay failed");
say("Done: killed, started again, nothing lost, nothing twice, and every step on record.");
