// Support tickets that an AI agent looks at: two are answered, for the third it wants a refund and must ask a person. The
// refund is allowed, the process that makes it is killed with -9 at once, and the next one goes on: one refund, no model
// asked twice. What the agent did is shown as a page, replayed without a model, and its cost is summed up.
import { readdirSync } from "node:fs";
import { stage, say, must, lines, withoutEffects } from "./stage.mjs";

const { dir, set, run } = stage({ ANTHROPIC_API_KEY: undefined, OPENAI_API_KEY: undefined });
set({ Z8_TILL: dir });
const refunds = () => readdirSync(dir).filter((name) => /^refund-.*\.json$/.test(name)).length; // not one that is still being written

say("Support tickets come in; an agent looks at them. No key is set here, so a script in the file answers for the model.");
must((await run(["run", "triage.z8"])).code === 0, "triage.z8 does not run");
must(refunds() === 0, "a refund was made that nobody allowed");

say("For one of them the agent wants to give money back. That needs a person, and the run waits, for 8 hours if it must.");
const asked = lines((await run(["approvals", "--json"], { show: false })).out);
must(asked.length === 1, `${asked.length} approvals are asked for, not 1`);
await run(["approvals"]);
const id = `${asked[0].run}#${asked[0].seq}`;
must((await run(["approve", id, "--why", "the orders show it"])).code === 0, "the approval is not taken");

say("The run goes on, and is killed with -9 as soon as the refund is on its way; the next process finishes what is left.");
const killed = await run(["recover"], { killWhen: () => refunds() > 0 });
console.log(killed.signal ? `[killed; refunds made: ${refunds()}]` : "[it was done before it could be killed]");
must((await run(["recover"])).code === 0, "recover did not finish the run");
must(refunds() === 1, `${refunds()} refunds were made, not 1`);

say("What the agent did, as a page:");
must((await run(["inspect", asked[0].run])).code === 0, "no page");

say("The same run again from its journal, asking no model and making no refund; and what all of it has cost:");
must(withoutEffects(await run(["replay", asked[0].run])), "the replay failed");
await run(["costs"]);
say(`Done: asked first, killed, one refund made, and every word on record.`);
