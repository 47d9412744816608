// Applications as their operator has them: `z8 serve` on a directory, the verbs beside it and without it.
import { writeFileSync, readFileSync } from "node:fs";
import { spawn } from "node:child_process";
import { join } from "node:path";
import { filesBelow, run, expect, expectEqual } from "../support/harness.mjs";
import { ask } from "../support/node_client.mjs";
import { served, until, pause, lines, counting } from "../support/served.mjs";

const BANK = `
command Deposit(account_id: string, amount: int where amount > 0)
command Withdraw(account_id: string, amount: int where amount > 0)
event Deposited(account_id: string, amount: int)
event Withdrawn(account_id: string, amount: int)
agent Account:
  state { balance: int = 0 }
  decide Deposit(cmd):
    emit Deposited(account_id: cmd.account_id, amount: cmd.amount)
    reply balance + cmd.amount
  decide Withdraw(amount) when amount > balance: reject "insufficient_funds", data: { short: amount - balance }
  decide Withdraw(cmd): emit Withdrawn(account_id: cmd.account_id, amount: cmd.amount)
  evolve Deposited(amount): balance += amount
  evolve Withdrawn(amount): balance -= amount
  view total() -> int: return balance
  view plus(more: int) -> int: return balance + more
router Bank:
  validate every command
  identify Account by account_id, prefix "account-"
  dispatch [ Deposit, Withdraw ] -> Account
start Bank
`;

const files = (h) => filesBelow("tests/app", ".z8").map((file) => ({
  name: file.slice("tests/".length),
  test: async () => {
    const r = await run(h.z8, ["test", file], { seconds: 120 });
    expect(r.code === 0 && /^[1-9]\d* passed, 0 failed/m.test(r.stdout), `${r.code ?? r.signal} ${r.stdout}${r.stderr}`);
  },
}));

// ---- bundles ---------------------------------------------------------------------------

const PURSE = (event, upcast, emit, evolve, perform) => `
command Put(purse: string, amount: int)
${event}
${upcast}
agent Purse:
  snapshot every 2 events
  state { cents: int = 0 }
  decide Put(amount): emit Stored(${emit})
  evolve Stored(e): cents += ${evolve}
  view total() -> int: return cents
router Purses:
  identify Purse by purse
  dispatch Put -> Purse
start Purses
worker Wait(n: int):
  perform(job):
    await signal go
    return ${perform}
`;
const PURSE_1 = PURSE("event Stored(amount: int)", "", "amount: amount", "e.amount * 100", '"one"');
const PURSE_2 = PURSE("event Stored version 2 (cents: int)", "upcast Stored from 1 (old): return {cents: old.amount * 100}",
                      "cents: amount * 100", "e.cents", '"two"');

const bundles = (h) => [
  served(h, "an upgrade: old events fold, old runs stay on their code, going back is refused", async (s) => {
    const one = s.write("one.z8", PURSE_1), two = s.write("two.z8", PURSE_2);
    await s.serve(one);
    for (const amount of [1, 2, 3]) await s.dispatch("Put", { purse: "a", amount });
    expectEqual(await s.view("Purse", "a", "total"), 600);
    const [{ job: old }] = await s.rows("enqueue", "Wait", '{"n": 1}');
    await until("the old job", async () => (await s.job(old)).state === "executing");
    await s.stop();
    await s.serve(two);
    expectEqual(await s.view("Purse", "a", "total"), 600, "old events under new code");
    expectEqual((await s.dispatch("Put", { purse: "a", amount: 4 })).version, 4);
    expectEqual(await s.view("Purse", "a", "total"), 1000);
    const [{ job: young }] = await s.rows("enqueue", "Wait", '{"n": 1}');
    await until("the new job", async () => (await s.job(young)).state === "executing");
    for (const [id, want] of [[old, "one"], [young, "two"]]) {
      await s.ok("signal", id, "go");
      await until("its end", async () => (await s.job(id)).state === "done");
      expectEqual(JSON.parse(await s.ok("inspect", id, "--json")).result, want, "whose code the job ran on");
    }
    await s.stop();
    const back = await s.start([one]);
    expect(back.ended?.code === 1 && /Stored/.test(back.err), `serving the old one again: ${JSON.stringify(back.ended)} ${back.err}`);
    await s.serve(); // what was active stays so
    expectEqual(await s.view("Purse", "a", "total"), 1000, "after the refusal");
  }),
  served(h, "changed evolve code folds anew, whatever a snapshot says", async (s) => {
    const one = s.write("one.z8", PURSE_1);
    await s.serve(one);
    for (const amount of [1, 2, 3, 4, 5]) await s.dispatch("Put", { purse: "a", amount });
    await s.stop();
    await s.serve(s.write("two.z8", PURSE_1.replace("e.amount * 100", "e.amount * 1000")));
    expectEqual(await s.view("Purse", "a", "total"), 15000);
    await s.stop();
    await s.serve(s.write("three.z8", PURSE_1.replace("cents: int = 0", "cents: int = 7")));
    expectEqual(await s.view("Purse", "a", "total"), 1507, "another state");
  }),
];

// ---- dead letters ------------------------------------------------------------------------

const LETTERS = BANK + `
config host: string
tool Step(at: string) -> string:
  effect reversible
  max_attempts 1
  perform:
    r = http.post("\${host}/\${at}", json: {at})
    if r.status is not 200: raise "refused_there"
    return "ok"
worker Two(n: int):
  max_attempts 2 backoff 10ms..20ms
  perform(job):
    Step(at: "job/first/\${job.n}")
    Step(at: "job/second/\${job.n}")
    return "both"
handler Mails:
  from origin
  max_attempts 2 backoff 10ms..20ms
  on Deposited(e):
    Step(at: "mail/first/\${e.amount}")
    Step(at: "mail/second/\${e.amount}")
`;

async function letters(s, server) {
  const file = s.write("letters.z8", LETTERS);
  s.env.Z8_HOST = server.url;
  for (const path of ["/job/second/1", "/job/second/2", "/mail/second/1", "/mail/second/2"]) server.broken.add(path);
  await s.serve(file);
  const [{ job }] = await s.rows("enqueue", "Two", '{"n": 1}');
  const [{ job: hopeless }] = await s.rows("enqueue", "Two", '{"n": 2}');
  for (const amount of [1, 2, 3]) await s.dispatch("Deposit", { account_id: "a", amount });
  const dead = await until("four dead letters", async () => { const d = await s.rows("dead"); return d.length === 4 && d; });
  expectEqual(dead.map((d) => d.what).sort().join(), "Mails.Deposited,Mails.Deposited,Two,Two");
  expect(dead.every((d) => d.note.includes("refused_there")), JSON.stringify(dead));
  const text = await s.ok("dead");
  expect(dead.every((d) => text.includes(d.run)) && text.includes("Mails.Deposited"), text);
  await until("the third mail: a dead letter does not stop its key", () => server.count("/mail/second/3") === 1);
  expectEqual((await s.rows("handlers"))[0].dead, 2, "z8 handlers");
  expectEqual((await s.job(job)).state, "dead");

  for (const path of ["/job/second/1", "/mail/second/1"]) server.broken.delete(path);
  const mail = dead.filter((d) => d.what === "Mails.Deposited");
  await s.ok("dead", "retry", job);
  for (const d of mail) await s.ok("dead", "retry", d.run);
  await until("the job", async () => (await s.job(job)).state === "done");
  await until("the mail", () => server.count("/mail/second/1") === 3);
  await until("the other mail, dead again", () => server.count("/mail/second/2") === 4);
  for (const what of ["job", "mail"]) expectEqual(server.count(`/${what}/first/1`), 1, `${what}: what was confirmed was asked again`);
  expectEqual(server.count("/job/second/1"), 3, "two attempts, and one of the new round");
  const left = await until("two that are left", async () => { const d = await s.rows("dead"); return d.length === 2 && d; });
  await s.fails(1, /no dead letter/, "dead", "retry", job);

  const other = left.find((d) => d.run !== hopeless).run;
  await s.ok("dead", "drop", other, "--why", "nobody reads it");
  await until("the dropped one", async () => (await s.rows("dead")).length === 1);
  expectEqual((await s.rows("handlers"))[0].dead, 0, "z8 handlers after drop");
  await s.stop();
  await s.ok("dead", "drop", hopeless); // nobody serves
  expectEqual((await s.rows("dead")).length, 0);
  await s.serve(file);
  await until("the job's end", async () => (await s.job(hopeless)).state === "cancelled");
  expectEqual((await s.z8("dead")).stdout.trim(), "there are no dead letters");
}

// ---- queues and jobs ----------------------------------------------------------------------

const QUEUES = BANK + `
queue "slow":
  concurrency 1
worker Add(account_id: string, amount: int):
  queue "slow"
  perform(job): dispatch Deposit(account_id: job.account_id, amount: job.amount)
worker Hold(n: int):
  perform(job): await signal go
`;

const queues = (h) => [
  served(h, "a queue is paused, resumed and scaled across restarts", async (s) => {
    const file = s.write("q.z8", QUEUES);
    const slow = async () => (await s.rows("queue")).find((q) => q.queue === "slow");
    await s.serve(file);
    expectEqual((await slow()).concurrency, 1);
    await s.ok("queue", "pause", "slow");
    await s.ok("enqueue", "Add", '{"account_id": "a", "amount": 5}');
    await s.ok("queue", "scale", "slow", "7");
    await s.stop("SIGKILL");
    await s.serve(file);
    const q = await slow();
    expect(q.paused && q.concurrency === 7 && q.available === 1 && q.executing === 0, JSON.stringify(q));
    expect(/slow.*paused/.test(await s.ok("queue")), "z8 queue does not say that it is paused");
    await s.ok("queue", "resume", "slow");
    await until("the job", async () => (await s.view("Account", "a", "total")) === 5);
    await s.ok("queue", "scale", "slow", "0");
    await s.stop();
    await s.ok("queue", "pause", "slow"); // nobody serves
    expect((await slow()).paused, "paused without a process");
    await s.serve(file);
    expect((await slow()).paused && (await slow()).concurrency === 1, JSON.stringify(await slow()));
  }),
  served(h, "enqueue: not before, priority, and what it refuses", async (s) => {
    await s.serve(s.write("q.z8", QUEUES));
    const add = (...options) => s.rows("enqueue", "Add", '{"account_id": "a", "amount": 1}', ...options);
    const [{ job: later }] = await add("--in", "30m");
    const [{ job: at }] = await add("--at", "2126-01-02T03:04:05Z", "--priority", "9");
    const [{ job: soon }] = await add("--in", "100ms", "--priority", "0");
    await until("the one that is due", async () => (await s.job(soon)).state === "done");
    const due = new Date((await s.job(later)).due) - Date.now();
    expect(due > 25 * 60000 && due < 31 * 60000, `due in ${due} ms`);
    const row = await s.job(at);
    expect(row.due.startsWith("2126-01-02T03:04:05") && row.priority === 9 && row.state === "available", JSON.stringify(row));
    expectEqual((await s.job(soon)).priority, 0);
    await s.ok("jobs", "retry", later);
    await until("the one made due", async () => (await s.job(later)).state === "done");
    await s.ok("jobs", "cancel", at, "--why", "too far away");
    expectEqual((await s.job(at)).state, "cancelled");
    const [{ job: held }] = await s.rows("enqueue", "Hold", '{"n": 1}');
    await until("it runs", async () => (await s.job(held)).state === "executing");
    await s.ok("jobs", "cancel", held.slice(0, 30));
    await until("it is cancelled", async () => (await s.job(held)).state === "cancelled");
    expectEqual((await s.rows("jobs", "--status", "done")).length, 2);
    expectEqual((await s.rows("jobs", "--queue", "default")).length, 1);
    expect((await s.ok("jobs", "--status", "dead")).includes("no such jobs"), "none");

    const one = '{"account_id": "a", "amount": 1}';
    await s.fails(2, /duration/, "enqueue", "Add", one, "--in", "soon");
    await s.fails(2, /duration/, "enqueue", "Add", one, "--in", "-5m");
    await s.fails(2, /time/, "enqueue", "Add", one, "--at", "noon");
    await s.fails(2, /0 .*9/, "enqueue", "Add", one, "--priority", "10");
    await s.fails(2, /JSON/, "enqueue", "Add", "{");
    await s.fails(2, /object/, "enqueue", "Add", "[1]");
    await s.fails(1, /worker.*Nobody/, "enqueue", "Nobody", "{}");
    await s.fails(1, /amount/, "enqueue", "Add", '{"account_id": "a", "amount": "x"}');
    await s.fails(1, /amount/, "enqueue", "Add", '{"account_id": "a"}');
    await s.fails(1, /colour/, "enqueue", "Add", '{"account_id": "a", "amount": 1, "colour": "red"}');
    await s.fails(2, /available, executing/, "jobs", "--status", "lost");
    await s.fails(2, /jobs cancel ID/, "jobs", "stop", at);
    await s.fails(1, /no job ffffffff/, "jobs", "cancel", "ffffffff");
    await s.fails(1, /4 characters/, "jobs", "cancel", "ff");
    await s.fails(1, /which job/, "jobs", "cancel");
    await s.fails(1, /./, "jobs", "cancel", at); // it is over
    await s.fails(1, /./, "jobs", "retry", soon);
    await s.fails(1, /queue.*nowhere/, "queue", "pause", "nowhere");
    await s.fails(2, /scale NAME N/, "queue", "scale", "slow", "many");
    await s.fails(2, /scale NAME N/, "queue", "scale", "slow");
    await s.fails(2, /pause NAME/, "queue", "stop", "slow");
  }),
];

// ---- commands ------------------------------------------------------------------------------

const commands = (h) => [
  served(h, "dispatch: the stored result, versions, state, tenants, views", async (s) => {
    await s.serve(s.write("bank.z8", BANK));
    const deposit = (amount, ...options) => s.dispatch("Deposit", { account_id: "a", amount }, ...options);
    const first = await deposit(50, "--key", "k1");
    expect(first.reply === 50 && first.version === 1 && first.events.length === 1, JSON.stringify(first));
    expectEqual(JSON.stringify(await deposit(50, "--key", "k1")), JSON.stringify(first), "the same key");
    expectEqual((await deposit(5, "--key", "k2", "--expect", "1")).reply, 55);
    await s.fails(1, /wrong_version.*2/, "dispatch", "Deposit", '{"account_id": "a", "amount": 1}', "--expect", "1");
    const refused = await s.fails(1, /insufficient_funds/, "dispatch", "Withdraw", '{"account_id": "a", "amount": 99}', "--json");
    expectEqual(JSON.parse(refused.stdout).error.code, "insufficient_funds");
    expectEqual((await deposit(1, "--state")).state.balance, 56);
    expectEqual((await deposit(7, "--key", "k1", "--tenant", "other")).reply, 7, "a key is the tenant's");
    expectEqual(await s.view("Account", "a", "total"), 56);
    expectEqual(await s.view("Account", "a", "total", "--tenant", "other"), 7);
    expectEqual(await s.view("Account", "a", "plus", "4"), 60);
    expectEqual(await s.view("Account", "nobody", "total"), 0);
    await s.stop();
    expectEqual(JSON.stringify(await deposit(50, "--key", "k1")), JSON.stringify(first), "the same key, after a restart, nobody serving");
  }),
  served(h, "dispatch, view: what they refuse", async (s) => {
    await s.serve(s.write("bank.z8", BANK));
    const one = '{"account_id": "a", "amount": 1}';
    await s.fails(2, /JSON/, "dispatch", "Deposit", '{"account_id": ');
    await s.fails(2, /object/, "dispatch", "Deposit", "17");
    await s.fails(1, /Deposits/, "dispatch", "Deposits", one);
    await s.fails(1, /amount/, "dispatch", "Deposit", '{"account_id": "a", "amount": 0}');
    await s.fails(1, /amount/, "dispatch", "Deposit", '{"account_id": "a"}');
    await s.fails(1, /colour/, "dispatch", "Deposit", '{"account_id": "a", "amount": 1, "colour": 2}');
    await s.fails(1, /no_identity/, "dispatch", "Deposit", '{"account_id": "", "amount": 1}');
    await s.fails(2, /--expect/, "dispatch", "Deposit", one, "--expect", "-1");
    await s.fails(2, /--expect/, "dispatch", "Deposit", one, "--expect", "x");
    await s.fails(2, /--timeout/, "dispatch", "Deposit", one, "--timeout", "5");
    await s.fails(1, /Nobody/, "dispatch", "Deposit", one, "--consistency", "Nobody");
    await s.fails(1, /agent.*Nobody/, "view", "Nobody", "a", "total");
    await s.fails(1, /nothing/, "view", "Account", "a", "nothing");
    await s.fails(2, /JSON/, "view", "Account", "a", "plus", "{");
    await s.fails(1, /./, "view", "Account", "a", "plus");
    await s.fails(1, /./, "view", "Account", "a", "plus", '"text"');
    await s.fails(2, /dispatch/, "dispatch");
    await s.fails(2, /view/, "view", "Account", "a");
    expectEqual(await s.view("Account", "a", "total"), 0, "something was carried out");
  }),
  served(h, "a record without a name is read from JSON like one with a name", async (s) => {
    await s.serve(s.write("lots.z8", `
type Lot:
  of: { price: decimal, note: string? }
command Sell(id: string, x: { d: decimal, t: time, in: {wait: duration, raw: bytes}?, list: list[{n: int}] }, lot: Lot? = nil, how: {kind: "at", at: time} | {kind: "after", after: duration} = {kind: "after", after: 1s})
event Sold(id: string, d: decimal, t: time)
agent Stall:
  state { sum: decimal = 0.0d }
  decide Sell(cmd):
    emit Sold(id: cmd.id, d: cmd.x.d, t: cmd.x.t)
    reply "\${type(cmd.x.t)} \${cmd.x.d + 1.0d} \${cmd.x} \${cmd.lot} \${cmd.how}"
  evolve Sold(d): sum += d
router Stalls:
  identify Stall by id
  dispatch Sell -> Stall
worker Pack(x: {d: decimal}):
  perform(job): return job.x.d + 1.0d
start Stalls
`));
    const x = { d: 1.5, t: "2026-11-20T08:00:00Z", list: [{ n: 2.0 }] };
    const sell = async (more) => (await s.dispatch("Sell", { id: "a", ...more })).reply;
    expectEqual(await sell({ x }), "time 2.5 {d: 1.5, t: 2026-11-20T08:00:00Z, list: [{n: 2}]} nil {kind: \"after\", after: 1s}");
    expectEqual(await sell({ x: { ...x, in: { wait: "5m", raw: "aGk=" } }, lot: { of: { price: "2.50", note: null } }, how: { kind: "at", at: x.t } }),
      'time 2.5 {d: 1.5, t: 2026-11-20T08:00:00Z, list: [{n: 2}], in: {wait: 5m, raw: <2 bytes>}} Lot(of: {price: 2.50, note: nil}) {kind: "at", at: 2026-11-20T08:00:00Z}');
    const refused = (more, says) => s.fails(1, says, "dispatch", "Sell", JSON.stringify({ id: "a", ...more }));
    await refused({ x: { ...x, d: "dear" } }, /`x\.d` of Sell must be decimal, and this is .*dear/);
    await refused({ x: { ...x, list: [{ n: 1 }, { n: 1.5 }] } }, /`x\.list\[1\]\.n` of Sell must be int, and this is float 1\.5/);
    await refused({ x: { d: 1 } }, /`x` of Sell must be \{d: decimal.*, and this is/);
    await refused({ x: 5 }, /`x` of Sell must be \{d: decimal/);
    await refused({ x, how: { kind: "at", at: "noon" } }, /`how\.at` of Sell must be time, and this is .*noon/);
    await refused({ x, how: { kind: "never" } }, /`how` of Sell must be/);
    await s.ok("enqueue", "Pack", '{"x": {"d": 0.5}}');
    await until("the job", async () => (await s.rows("jobs")).some((j) => j.state === "done"), 20);
  }),
  served(h, "bytes that are no UTF-8 are refused", async (s) => {
    await s.serve(s.write("bank.z8", BANK));
    const sh = (script) => run("sh", ["-c", script], { env: { ...s.env, Z8: h.z8 } });
    for (const words of ["dispatch Deposit \"$B\"", "dispatch \"$B\"", "view Account \"$B\" total", "enqueue \"$B\"",
                         "dispatch Deposit {} --key \"$B\"", "queue pause \"$B\"", "jobs --queue \"$B\"", "trace \"$B\"",
                         "inspect \"$B\"", "log \"$B\"", "dead retry \"$B\"", "signal \"$B\" x"]) {
      for (const serving of [true, false]) {
        const r = await sh(`B=$(printf '{"a\\377": 1}'); "$Z8" ${words}${serving ? "" : ` --dir ${s.dir}/elsewhere`}`);
        expect((r.code === 2 || r.code === 1) && r.stderr.length > 10, `${words}: exit ${r.code ?? r.signal}: ${r.stdout}${r.stderr}`);
      }
    }
    await s.dispatch("Deposit", { account_id: "a", amount: 1 }); // it still serves
  }),
  served(h, "strong consistency says who is late", async (s) => {
    await s.serve(s.write("bank.z8", BANK + `
handler Books:
  consistency strong
  on Deposited(e):
    if e.amount is 13: await signal go
handler Other:
  consistency strong
  on Deposited(e): return
`));
    const deposit = (amount, ...options) => ["dispatch", "Deposit", JSON.stringify({ account_id: "a", amount }), ...options];
    await s.ok(...deposit(1, "--consistency", "strong"));
    const late = await s.fails(1, /consistency_timeout.*Books/, ...deposit(13, "--consistency", "strong", "--timeout", "200ms"));
    expect(!late.stderr.includes("Other"), late.stderr);
    await s.ok(...deposit(13, "--consistency", "Other", "--timeout", "10s"));
    await s.fails(1, /consistency_timeout.*Books/, ...deposit(1, "--consistency", "Other,Books", "--timeout", "200ms"));
    expectEqual(await s.view("Account", "a", "total"), 28, "the events stay");
    const waiting = (await s.rows("runs")).filter((r) => r.workflow === "Books.Deposited" && r.status !== "done");
    expectEqual(waiting.length, 1, "runs of Books: in order of the instance");
    await s.ok("signal", waiting[0].run, "go");
    const next = await until("the next one", async () =>
      (await s.rows("runs")).find((r) => r.workflow === "Books.Deposited" && r.status !== "done" && r.run !== waiting[0].run));
    await s.ok("signal", next.run, "go");
    await s.ok(...deposit(1, "--consistency", "strong", "--timeout", "10s"));
    const [books] = await s.rows("handlers");
    expect(books.handler === "Books" && books.done === books.taken && books.running === 0, JSON.stringify(books));
    expect(/Books +strong/.test(await s.ok("handlers")), "z8 handlers");
  }),
];

// ---- what caused what -----------------------------------------------------------------------

const causes = (h) => [
  served(h, "causes, effects and trace, from an event, a command, a job and a run", async (s) => {
    await s.serve(s.write("bank.z8", BANK + `
handler Big:
  on Deposited(e):
    if e.amount > 10: enqueue Gift(account_id: e.account_id)
worker Gift(account_id: string):
  perform(job): dispatch Deposit(account_id: job.account_id, amount: 1)
`));
    await s.dispatch("Deposit", { account_id: "a", amount: 50 });
    await s.dispatch("Deposit", { account_id: "b", amount: 50 });
    await until("the gift", async () => (await s.view("Account", "a", "total")) === 51 && (await s.view("Account", "b", "total")) === 51);
    const jobs = await s.rows("jobs");
    await until("the handler's end", async () => (await s.rows("runs")).every((r) => r.status === "done"));
    const all = await s.rows("trace", jobs[0].job);
    const shape = all.map((n) => `${n.depth} ${n.kind} ${n.name}`).join("\n");
    expectEqual(shape, ["0 command Deposit", "1 event Deposited", "2 run Big.Deposited", "3 job Gift", "4 command Deposit", "5 event Deposited", "6 run Big.Deposited"].join("\n"));
    expectEqual(new Set(all.map((n) => n.id)).size, 7);
    expect(all.slice(1).every((n, i) => n.causation === all[i].id) && all[0].causation === null, JSON.stringify(all));
    for (const [i, n] of all.entries()) {
      expectEqual(n.asked, n.kind === "job", "which was asked for");
      const up = await s.rows("causes", n.id), down = await s.rows("effects", n.id), tree = await s.rows("trace", n.id.slice(0, 36));
      expectEqual(up.map((x) => x.id).join(), all.slice(0, i + 1).reverse().map((x) => x.id).join(), `causes of ${n.name}`);
      expectEqual(down.map((x) => x.id).join(), all.slice(i).map((x) => x.id).join(), `effects of ${n.name}`);
      expectEqual(tree.map((x) => x.id).join(), all.map((x) => x.id).join(), `trace of ${n.name}`);
    }
    const text = await s.ok("trace", jobs[0].job);
    expect(all.every((n) => text.includes(n.id)) && /^\* +job Gift/m.test(text) && text.includes("(account-a)") , text);
    await s.fails(1, /no event, command, job or run/, "trace", "ffffffff-0000");
    await s.fails(1, /8 characters/, "causes", "ff");
    await s.fails(1, /hex/, "effects", "nonsense!");
    await s.stop();
    expectEqual((await s.rows("trace", jobs[0].job)).length, 7, "without a process");
  }),
];

const looking = (h) => [
  served(h, "inspect and log of an agent instance, by its key", async (s) => {
    await s.serve(s.write("bank.z8", BANK));
    for (let amount = 1; amount <= 12; amount++) await s.dispatch("Deposit", { account_id: "ada", amount }, "--actor", "eve");
    await s.dispatch("Deposit", { account_id: "ada", amount: 1000 }, "--tenant", "other");
    for (const serving of [true, false]) {
      const page = JSON.parse(await s.ok("inspect", "account-ada", "--json"));
      expectEqual(page.state.balance, 78);
      expect(page.agent === "Account" && page.key === "account-ada" && page.tenant === "default" && page.version === 12, JSON.stringify(page));
      expectEqual(page.events.map((e) => e.number).join(), "3,4,5,6,7,8,9,10,11,12");
      const last = page.events[9];
      expect(last.event === "Deposited" && last.data.amount === 12 && last.actor === "eve" && last.command_type === "Deposit", JSON.stringify(last));
      const other = JSON.parse(await s.ok("inspect", "account-ada", "--json", "--tenant", "other"));
      expect(other.state.balance === 1000 && other.tenant === "other", JSON.stringify(other));
      const text = await s.ok("inspect", "account-ada");
      expect(/^agent +Account$/m.test(text) && /"balance":78/.test(text) && /#12 +Deposited/.test(text), text);
      const log = await s.rows("log", "account-ada");
      expectEqual(log.map((r) => r.record).join(), "STREAM," + Array(12).fill("ACCEPTED,HAPPENED").join());
      expectEqual(log.map((r) => r.seq).join(), log.map((_, i) => i).join(), "numbers");
      expect((await s.ok("log", "account-ada")).split("\n").length === 26, "lines of log");
      await s.fails(1, /no run and no agent instance account-eve/, "inspect", "account-eve");
      await s.fails(1, /nobody has no agent instance account-ada/, "log", "account-ada", "--tenant", "nobody");
      if (serving) await s.stop();
    }
    await s.serve(s.write("other.z8", BANK.replaceAll("Account", "Konto")));
    const page = JSON.parse(await s.ok("inspect", "account-ada", "--json"));
    expect(page.state === null && /no such agent/.test(page.note), JSON.stringify(page));
  }),
];

// ---- serve -----------------------------------------------------------------------------------

const serving = (h) => [
  served(h, "serve says what it serves, and stops cleanly", async (s) => {
    const file = s.write("q.z8", QUEUES + '\nevery "0 0 1 1 *": print("new year")\n');
    const child = await s.serve(file);
    expect(/serving q.z8|serving q: |serving /.test(child.err) && /1 agent, 2 workers, 1 cron; state in/.test(child.err), child.err);
    await s.ok("enqueue", "Hold", '{"n": 1}');
    for (const signal of ["SIGTERM", "SIGINT"]) {
      const ended = await s.stop(signal);
      expectEqual(ended.ended.code, 0, ended.err);
      expect(/stopped/.test(ended.err), ended.err);
      await s.serve();
    }
    await s.stop();
    const json = await s.serve(file, "--json");
    const said = JSON.parse(json.out.split("\n")[0]);
    for (const field of ["serving", "bundle", "dir", "resumed"]) expect(field in said, `no ${field}: ${json.out}`);
  }),
  served(h, "serve refuses what it cannot serve", async (s) => {
    await s.fails(1, /nothing to serve/, "serve", s.write("script.z8", 'print("x")\n'));
    await s.fails(1, /./, "serve", join(s.dir, "none.z8"));
    await s.fails(1, /Z8-E/, "serve", s.write("bad.z8", "agent A:\n  decide X(: emit\n"));
    await s.fails(1, /no application/, "serve");
    await s.fails(1, /host/, "serve", s.write("letters.z8", LETTERS)); // config host has no value
    await s.serve(s.write("bank.z8", BANK));
    const pid = String(s.child.pid);
    await s.fails(1, new RegExp(pid), "serve", join(s.dir, "bank.z8"));
    await s.fails(1, new RegExp(pid), "run", join(s.dir, "script.z8"));
    await s.dispatch("Deposit", { account_id: "a", amount: 1 });
  }),
  served(h, "no application, no directory", async (s) => {
    for (const words of [["dispatch", "Deposit"], ["view", "Account", "a", "total"], ["enqueue", "Add"], ["queue"], ["handlers"], ["jobs"],
                         ["dead"], ["trace", "01234567"], ["jobs", "cancel", "01234567"]]) {
      const r = await s.fails(1, /data|application/, ...words);
      expect(r.stderr.startsWith("z8: ") && !r.stdout, `${words}: ${r.stdout}${r.stderr}`);
    }
    await s.ok("run", s.write("script.z8", 'print("x")\n'));
    for (const words of [["dispatch", "Deposit"], ["view", "Account", "a", "total"], ["enqueue", "Add"]])
      await s.fails(1, /Deposit|Account|Add|application/, ...words);
  }),
  served(h, "without a running process the verbs hold the directory themselves", async (s) => {
    const file = s.write("q.z8", QUEUES);
    await s.serve(file);
    await s.stop("SIGKILL"); // what it says it serves is active from then on
    expectEqual((await s.dispatch("Deposit", { account_id: "a", amount: 5 })).reply, 5);
    expectEqual(await s.view("Account", "a", "total"), 5);
    const [{ job }] = await s.rows("enqueue", "Add", '{"account_id": "a", "amount": 2}');
    expect(["available", "executing", "done"].includes((await s.job(job)).state), JSON.stringify(await s.job(job)));
    expect((await s.rows("queue")).some((q) => q.queue === "slow"), "queue");
    await s.rows("handlers");
    expectEqual((await s.rows("dead")).length, 0);
    await s.serve(file);
    await until("the job", async () => (await s.view("Account", "a", "total")) === 7);
  }),
];

// ---- one ends alone ---------------------------------------------------------------------------

const WILD = BANK.replace("dispatch [ Deposit", 'identify Wild by id\n  dispatch [ Spin, Bomb ] -> Wild\n  dispatch [ Deposit') + `
command Spin(id: string)
command Bomb(id: string)
agent Wild:
  state { n: 0 }
  decide Spin(cmd):
    i = 0
    while i >= 0: i += 1
  decide Bomb(cmd):
    s = "xxxxxxxx"
    while true: s = s + s
  view count() -> int: return n
handler Loops:
  max_attempts 1
  on Deposited(e):
    if e.amount is 666:
      xs = [0]
      while true: xs = [xs, [1, 2, 3, 4, 5, 6, 7, 8], xs + [1]]
    if e.amount is 13: raise "bad_luck"
worker Endless(n: int):
  max_attempts 1
  perform(job):
    i = 0
    while i >= 0: i += 1
worker Deep(n: int):
  max_attempts 1
  perform(job): return down(0)
fn down(n: int) -> int: return 1 + down(n + 1)
`;

async function isolation(s) {
  await s.serve(s.write("wild.z8", WILD));
  const send = async (words) => (await ask(s.data, words)) ?? { code: -1, stdout: "", stderr: "nobody answers" };
  let wild = 6, answered = 0, slowest = 0;
  const one = async (words, says) => {
    const r = await send(words);
    expect(says.test(r.stdout + r.stderr), `${words}: ${r.code} ${r.stdout}${r.stderr}`);
    wild--;
  };
  const away = Promise.all([
    one(["dispatch", "Spin", '{"id": "s"}'], /limit_instructions/),
    one(["dispatch", "Bomb", '{"id": "b"}'], /limit_/),
    one(["dispatch", "Deposit", '{"account_id": "x", "amount": 666}'], /reply/),
    one(["dispatch", "Deposit", '{"account_id": "y", "amount": 13}'], /reply/),
    one(["enqueue", "Endless", '{"n": 1}'], /job/),
    one(["enqueue", "Deep", '{"n": 1}'], /job/),
  ]);
  const end = Date.now() + 3000;
  while (wild > 0 || Date.now() < end) {
    const began = Date.now();
    const r = await send(["dispatch", "Deposit", `{"account_id": "a", "amount": ${answered === 0 ? 1 : 2}}`]);
    expect(r.code === 0, `a peaceful command: ${r.stdout}${r.stderr}`);
    slowest = Math.max(slowest, Date.now() - began);
    answered++;
    await pause(2);
  }
  await away;
  expect(answered > 100, `only ${answered} commands were answered beside them`);
  expect(slowest < 1000 * (Number(process.env.SLOW) || 1), `one waited ${slowest} ms`);
  const dead = await until("all of them dead", async () => { const d = await s.rows("dead"); return d.length >= 4 && d; }, 60);
  const notes = dead.map((d) => `${d.what} ${d.note}`).join("\n");
  for (const want of [/Loops.*limit_/, /Loops.*bad_luck/, /Endless.*limit_/, /Deep.*limit_depth/]) expect(want.test(notes), `${want}: ${notes}`);
  expectEqual(await s.view("Account", "a", "total"), 2 * answered - 1, "the peaceful account");
  expectEqual((await s.stop()).ended.code, 0);
}

export default (h) => [
  ...files(h), ...bundles(h), ...queues(h), ...commands(h), ...causes(h), ...looking(h), ...serving(h),
  served(h, "dead letters of a worker and of a handler", async (s) => {
    const server = await counting();
    try { await letters(s, server); } finally { await server.close(); }
  }),
  served(h, "what loops, bombs or fails ends alone", isolation, { alone: true }),
];
