// A small bank on loopback for the demo and the tests: it lists a payroll, accepts each wire once per
// Idempotency-Key, and can say what became of a key.   node examples/bank_server.mjs [PORT] [PEOPLE]
import { createServer } from "node:http";

export function bank({ people = 12, delayMs = 40 } = {}) {
  const wires = new Map(); // by key
  const asked = new Map(); // how often each key was sent
  const read = (req) => new Promise((done) => {
    let text = "";
    req.on("data", (d) => (text += d)).on("end", () => done(text));
  });
  const answer = (res, status, value) => {
    const body = JSON.stringify(value);
    res.writeHead(status, { "content-type": "application/json", "content-length": Buffer.byteLength(body) });
    res.end(body);
  };
  const names = ["Ada", "Blaise", "Chen", "Dora", "Emil", "Frida", "Gauss", "Hedy", "Ivo", "Joan", "Karl", "Lise"];
  const payroll = Array.from({ length: people }, (_, i) => ({
    person: names[i % names.length] + (i < names.length ? "" : ` ${Math.floor(i / names.length) + 1}`),
    account: `FR76-${1000 + i}`,
    amount: `${2100 + 35 * i}.50`,
  }));
  const server = createServer(async (req, res) => {
    const url = new URL(req.url, "http://bank");
    if (req.method === "GET" && url.pathname.startsWith("/payroll/")) return answer(res, 200, { payments: payroll });
    if (req.method === "GET" && url.pathname.startsWith("/wires/by-key/")) {
      const wire = wires.get(decodeURIComponent(url.pathname.slice("/wires/by-key/".length)));
      return wire ? answer(res, 200, wire) : answer(res, 404, { error: "no such key" });
    }
    if (req.method === "POST" && url.pathname === "/wires") {
      const key = req.headers["idempotency-key"];
      const wire = JSON.parse(await read(req));
      asked.set(key, (asked.get(key) ?? 0) + 1);
      if (!wires.has(key)) wires.set(key, { id: `W${String(wires.size + 1).padStart(4, "0")}`, ...wire });
      await new Promise((done) => setTimeout(done, delayMs));
      return answer(res, 201, wires.get(key));
    }
    answer(res, 404, { error: "no such page" });
  });
  const listen = (port = 0) => new Promise((done) => server.listen(port, "127.0.0.1", () => done(server.address().port)));
  const close = () => new Promise((done) => { server.closeAllConnections(); server.close(done); });
  return { wires, asked, payroll, listen, close };
}

if (process.argv[1]?.endsWith("bank_server.mjs")) {
  const port = await bank({ people: Number(process.argv[3] || 12) }).listen(Number(process.argv[2] || 8480));
  console.log(`the bank listens on http://127.0.0.1:${port}`);
}
