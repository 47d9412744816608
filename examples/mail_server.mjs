// A mail server on loopback: POST /messages. It knows a message by its Idempotency-Key and delivers it once, however
// often it is sent. `node examples/mail_server.mjs 8481` starts it for trying things out by hand.
import { createServer } from "node:http";

export function mail({ delayMs = 20 } = {}) {
  const delivered = new Map(), sent = new Map();
  const server = createServer((req, res) => {
    let body = "";
    req.on("data", (d) => (body += d)).on("end", () => setTimeout(() => {
      const reply = (status, value) => {
        const text = JSON.stringify(value);
        res.writeHead(status, { "content-type": "application/json", "content-length": Buffer.byteLength(text) });
        res.end(text);
      };
      if (req.method !== "POST" || req.url !== "/messages") return reply(404, { error: "no such page" });
      const key = req.headers["idempotency-key"];
      if (!key) return reply(400, { error: "no Idempotency-Key" });
      sent.set(key, (sent.get(key) ?? 0) + 1);
      if (!delivered.has(key)) delivered.set(key, { id: `m${delivered.size + 1}`, ...JSON.parse(body) });
      reply(201, { id: delivered.get(key).id });
    }, delayMs));
  });
  return {
    delivered, sent,
    listen: (port = 0) => new Promise((ok) => server.listen(port, "127.0.0.1", () => ok(server.address().port))),
    close: () => new Promise((ok) => { server.closeAllConnections(); server.close(ok); }),
  };
}

if (process.argv[1] === new URL(import.meta.url).pathname) {
  const port = await mail({ delayMs: 5 }).listen(Number(process.argv[2] ?? 8481));
  console.log(`mail server on http://127.0.0.1:${port}`);
}
