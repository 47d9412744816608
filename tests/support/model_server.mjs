// A server that plays a model, for whole-system tests and benches. On loopback, at a port of its own, it speaks OpenAI
// chat completions and responses (in the background too, with re-attaching), Anthropic messages and Ollama, checks
// what it is sent, and answers from a script.
//
//   const server = await modelServer({ script: ["Hello.", { calls: [{ name: "Look", arguments: { id: 1 } }] }] });
//   … `url: "${server.url("openai")}"` in a program, api_key "test-key" …
//   server.calls[0].messages      what was asked, in normal form; server.faults: what was wrong with it ([] is good)
//   server.check();               throws if anything was wrong or the script has answers left
//   await server.close();
//
// script: answers in order, whoever asks; or a function (request) => answer or its promise, for tests whose order is not
// fixed. An answer is a string (the text) or
//   { text, calls: [{ name, arguments, id? }], reasoning, refusal, stop: "end" "calls" "length" "filter" "refusal",
//     usage: { input, output, cached, cache_write, reasoning },
//     delay_ms,            before the first byte;  piece_ms: between the pieces of a stream
//     error: { status, headers, body | message, type, code },      in_stream: true sends it after half of a stream
//     cut: "before" "headers" "middle" "after" }                   where the connection breaks
// Arguments that are a string go out as they are (rubbish included). Of a background response a cut breaks only the
// connection: it can be taken up by GET, which takes nothing from the script.
//
// A request (server.calls) is { n, provider, stream, model, system, messages: [{ role, content, calls, id, name, error }],
// tools: [{ name, description, schema }], choice, answer (schema), max_tokens, seed, stops, effort, background, headers,
// raw (the body), body, at_ms, usage (what it is charged), resume: { id, after } of a GET }. server.generations counts answers that were begun.
//
// tls: { key, cert } of a server that speaks HTTPS.
// key: the key that must come, "test-key" unless said; null: none is wanted. For load: modelServer({ constant: answer })
// answers at once, checks and records nothing but server.count. As a process of its own: `node model_server.mjs
// '{"constant":"Fine."}'` prints its address and ends with its input.
import { createServer } from "node:http";
import { createServer as createSecureServer } from "node:https";
import { createServer as createSocketServer } from "node:net";
import { argv } from "node:process";
import { pathToFileURL } from "node:url";
import { wires, reasoningKept } from "./model_wire.mjs";

const paths = {
  "/v1/chat/completions": "openai",
  "/v1/responses": "openai_responses",
  "/v1/messages": "anthropic",
  "/api/chat": "ollama",
};
const pause = (ms) => new Promise((ok) => setTimeout(ok, ms));
const addressOf = (port) => (provider) => `http://127.0.0.1:${port}${provider?.startsWith("openai") ? "/v1" : ""}`;

function normal(answer, n, raw) {
  const a = typeof answer === "string" ? { text: answer } : { ...answer };
  a.text ??= "";
  a.id ??= `re_${n}`;
  a.calls = (a.calls ?? []).map((c, i) => ({ id: `call_${n}_${i + 1}`, ...c }));
  a.stop ??= a.refusal ? "refusal" : a.calls.length ? "calls" : "end";
  a.usage = {
    input: Math.ceil(raw.length / 4),
    output: Math.ceil(a.text.length / 4) + 8 * a.calls.length + 1,
    ...a.usage,
  };
  return a;
}

const types = {
  400: "invalid_request_error",
  401: "authentication_error",
  403: "permission_error",
  404: "not_found_error",
  429: "rate_limit_error",
  529: "overloaded_error",
};
function errorParts(provider, error) {
  const status = error.status ?? 500;
  const e = { status, type: types[status] ?? "server_error", message: "the server says no", ...error };
  const body = error.body ?? wires[provider].error(e);
  return { status: e.status, headers: e.headers ?? {}, body: typeof body === "string" ? body : JSON.stringify(body) };
}

class ModelServer {
  calls = [];
  faults = [];
  generations = 0;
  #script;
  #key;
  #stored = new Map();
  #thoughts = [];
  constructor({ script = [], key = "test-key", tls }) {
    this.tls = tls;
    this.#script = typeof script === "function" ? script : [...script];
    this.#key = key;
  }
  remaining() {
    return typeof this.#script === "function" ? 0 : this.#script.length;
  }
  check() {
    if (this.faults.length) throw new Error(`the model was asked wrongly:\n${this.faults.join("\n")}`);
    if (this.remaining()) throw new Error(`${this.remaining()} answers of the script were not asked for`);
  }
  async listen() {
    const serve = (request, reply) =>
      this.#serve(request, reply).catch((e) => {
        this.faults.push(`the server itself: ${e.stack}`);
        reply.destroy();
      });
    this.http = this.tls ? createSecureServer(this.tls, serve) : createServer(serve);
    this.http.keepAliveTimeout = 60_000;
    await new Promise((ok) => this.http.listen(0, "127.0.0.1", 4096, ok));
    this.port = this.http.address().port;
    this.url = addressOf(this.port);
    return this;
  }
  close() {
    this.http.closeAllConnections();
    return new Promise((ok) => this.http.close(ok));
  }

  async #serve(request, reply) {
    let raw = "";
    request.setEncoding("utf8");
    for await (const part of request) raw += part;
    const url = new URL(request.url, "http://x");
    const fault = (text) => this.faults.push(`call ${this.calls.length + 1}: ${text}`);
    const stored = url.pathname.match(/^\/v1\/responses\/([^/]+)$/);
    if (request.method === "GET" && stored)
      return this.#attach(decodeURIComponent(stored[1]), url, request, reply, fault);
    const provider = paths[url.pathname];
    if (!provider || request.method !== "POST") {
      fault(`${request.method} ${request.url} is nothing that exists`);
      return reply.writeHead(404).end();
    }
    const r = this.#take(provider, request, raw, fault);
    const answer = typeof this.#script === "function" ? await this.#script(r) : this.#script.shift();
    if (answer === undefined) {
      fault("the script has no answer left");
      return reply.writeHead(500).end();
    }
    this.generations++;
    const a = normal(answer, r.n, raw);
    if (!a.error) r.usage = a.usage; // what it is charged, whether or not the answer arrives
    return this.#answer(r, a, reply);
  }

  #headers(provider, headers, fault) {
    const given = provider === "anthropic" ? headers["x-api-key"] : headers.authorization?.replace(/^Bearer /, "");
    if (provider !== "ollama" && this.#key !== null && given !== this.#key) fault(`the key is ${given}`);
    if (headers.expect) fault("Expect is sent");
  }
  #take(provider, request, raw, fault) {
    let body = {};
    try {
      body = JSON.parse(raw);
    } catch {
      fault(`the body is no JSON: ${raw.slice(0, 200)}`);
    }
    if (request.headers["content-type"] !== "application/json")
      fault(`content-type is ${request.headers["content-type"]}`);
    if (typeof body.model !== "string" || !body.model) fault("no model is named");
    this.#headers(provider, request.headers, fault);
    for (const t of this.#thoughts)
      if (
        t.provider === provider &&
        t.a.calls.some(
          (c) =>
            raw.includes(JSON.stringify(c.id)) ||
            (provider === "ollama" &&
              raw.includes(`"name":"${c.name}"`) &&
              body.messages.some((m) => m.role === "tool")),
        ) &&
        !reasoningKept(provider, t.a, raw, body)
      )
        fault(`the reasoning of answer ${t.a.id} did not come back as it was`);
    const r = {
      n: this.calls.length + 1,
      provider,
      stream: body.stream === true,
      model: body.model,
      ...wires[provider].read(body, fault, request.headers),
      headers: request.headers,
      raw,
      body,
      at_ms: Date.now(),
    };
    this.calls.push(r);
    return r;
  }

  async #answer(r, a, reply) {
    if (a.delay_ms) await pause(a.delay_ms);
    if (a.cut === "before") return reply.destroy();
    if (a.error && !a.in_stream) {
      const e = errorParts(r.provider, a.error);
      return reply
        .writeHead(e.status, { "content-type": "application/json", "x-request-id": `req_${r.n}`, ...e.headers })
        .end(e.body);
    }
    if (a.reasoning) this.#thoughts.push({ provider: r.provider, a });
    if (r.stream) return this.#stream(r, a, this.#kept(r, a), reply);
    const body = JSON.stringify(wires[r.provider].whole(a, r));
    const cut = a.cut === "middle" ? body.slice(0, body.length / 2) : a.cut === "headers" ? "" : body;
    reply.writeHead(200, {
      "content-type": "application/json",
      "content-length": Buffer.byteLength(body),
      "x-request-id": `req_${r.n}`,
    });
    if (!a.cut) return reply.end(body);
    reply.flushHeaders();
    reply.write(cut, () => reply.destroy());
  }
  // The pieces of a stream; those of a background response are kept, and can be asked for again.
  #kept(r, a) {
    const all = wires[r.provider].stream(a, r);
    if (r.background) this.#stored.set(a.id, { all, a, r });
    return all;
  }
  async #stream(r, a, all, reply) {
    const half = Math.ceil(all.length / 2);
    let out = a.cut === "headers" ? [] : a.cut === "middle" || a.in_stream ? all.slice(0, half) : all;
    if (a.cut === "after" && r.provider === "openai") out = all.slice(0, -1); // without [DONE]
    if (a.in_stream) {
      const text = errorParts(r.provider, a.error).body;
      out = [
        ...out,
        r.provider === "ollama"
          ? `${text}\n`
          : r.provider === "openai"
            ? `data: ${text}\n\n`
            : `event: error\ndata: ${text}\n\n`,
      ];
    }
    reply.writeHead(200, {
      "content-type": r.provider === "ollama" ? "application/x-ndjson" : "text/event-stream",
      "x-request-id": `req_${r.n}`,
    });
    reply.flushHeaders();
    for (const piece of a.piece_ms ? out : out.length ? [out.join("")] : []) {
      if (a.piece_ms) await pause(a.piece_ms);
      if (reply.destroyed) return;
      reply.write(piece);
    }
    if (!a.cut) return reply.end();
    reply.write("", () => setTimeout(() => reply.destroy(), 5));
  }
  async #attach(id, url, request, reply, fault) {
    const found = this.#stored.get(id),
      after = url.searchParams.get("starting_after");
    this.#headers("openai_responses", request.headers, fault);
    this.calls.push({
      n: this.calls.length + 1,
      provider: "openai_responses",
      resume: { id, after: after === null ? null : Number(after) },
      headers: request.headers,
      at_ms: Date.now(),
    });
    if (!found)
      return reply
        .writeHead(404, { "content-type": "application/json" })
        .end(
          JSON.stringify(wires.openai.error({ message: `there is no response ${id}`, type: "invalid_request_error" })),
        );
    if (url.searchParams.get("stream") !== "true")
      return reply
        .writeHead(200, { "content-type": "application/json" })
        .end(JSON.stringify(wires.openai_responses.whole(found.a, found.r)));
    return this.#stream(
      found.r,
      { piece_ms: found.a.piece_ms },
      found.all.slice(after === null ? 0 : Number(after) + 1),
      reply,
    );
  }
}

// As fast as node can: what was asked is looked at only for who asks and whether it is to be streamed.
class ConstantServer {
  count = 0;
  calls = [];
  faults = [];
  #replies = new Map();
  constructor({ constant }) {
    this.constant = constant;
  }
  check() {}
  #reply(head, body) {
    const provider = paths[head.slice(head.indexOf("/"), head.indexOf(" ", 5))] ?? "openai";
    const stream = body.includes('"stream":true'),
      key = provider + stream;
    if (!this.#replies.has(key)) {
      const a = normal(this.constant, 1, "x".repeat(40)),
        r = { model: "constant" };
      const text = stream ? wires[provider].stream(a, r).join("") : JSON.stringify(wires[provider].whole(a, r));
      const type = !stream ? "application/json" : provider === "ollama" ? "application/x-ndjson" : "text/event-stream";
      this.#replies.set(
        key,
        `HTTP/1.1 200 OK\r\ncontent-type: ${type}\r\ncontent-length: ${Buffer.byteLength(text)}\r\n\r\n${text}`,
      );
    }
    return this.#replies.get(key);
  }
  #connection(socket) {
    let have = "";
    socket.setNoDelay(true);
    socket.setEncoding("latin1");
    socket.on("error", () => {});
    socket.on("data", (part) => {
      have += part;
      for (let end; (end = have.indexOf("\r\n\r\n")) >= 0;) {
        const head = have.slice(0, end),
          size = Number(head.match(/\r\ncontent-length: *(\d+)/i)?.[1] ?? 0);
        if (have.length < end + 4 + size) return;
        this.count++;
        const reply = this.#reply(head, have.slice(end + 4, end + 4 + size)),
          delay = this.constant.delay_ms;
        if (delay) setTimeout(() => socket.destroyed || socket.write(reply), delay);
        else socket.write(reply);
        have = have.slice(end + 4 + size);
      }
    });
  }
  async listen() {
    this.sockets = new Set();
    this.server = createSocketServer((s) => {
      this.sockets.add(s);
      s.on("close", () => this.sockets.delete(s));
      this.#connection(s);
    });
    await new Promise((ok) => this.server.listen(0, "127.0.0.1", 4096, ok));
    this.port = this.server.address().port;
    this.url = addressOf(this.port);
    return this;
  }
  close() {
    for (const s of this.sockets) s.destroy();
    return new Promise((ok) => this.server.close(ok));
  }
}

export const modelServer = (options = {}) =>
  ("constant" in options ? new ConstantServer(options) : new ModelServer(options)).listen();

if (argv[1] && import.meta.url === pathToFileURL(argv[1]).href) {
  const server = await modelServer(JSON.parse(argv[2] ?? '{"constant":"Fine."}'));
  console.log(`http://127.0.0.1:${server.port}`);
  process.stdin.resume().on("end", () => server.close().then(() => process.exit(0)));
}
