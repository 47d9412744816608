// Speaks to the process that holds a data directory, as the z8 verbs do: one request a connection, an array of words in
// CBOR behind a length of four bytes; the answer is [exit status, standard output, standard error].
import { createConnection } from "node:net";
import { join } from "node:path";

function head(major, n) {
  if (n < 24) return Buffer.from([major << 5 | n]);
  if (n < 256) return Buffer.from([major << 5 | 24, n]);
  if (n < 65536) { const b = Buffer.alloc(3); b[0] = major << 5 | 25; b.writeUInt16BE(n, 1); return b; }
  const b = Buffer.alloc(5); b[0] = major << 5 | 26; b.writeUInt32BE(n, 1); return b;
}
const text = (s) => { const b = Buffer.from(s); return Buffer.concat([head(3, b.length), b]); };

function reader(b) {
  let at = 0;
  const next = () => {
    const first = b[at++], low = first & 31;
    let n = low;
    if (low === 24) n = b[at++];
    else if (low === 25) { n = b.readUInt16BE(at); at += 2; }
    else if (low === 26) { n = b.readUInt32BE(at); at += 4; }
    return { major: first >> 5, n };
  };
  return { next, bytes: (n) => b.subarray(at, (at += n)) };
}

// Resolves with { code, stdout, stderr }, or with null when nobody answered (it was killed, or is not there yet).
export function ask(dir, words) {
  return new Promise((resolve) => {
    const body = Buffer.concat([head(4, words.length), ...words.map(text)]);
    const size = Buffer.alloc(4);
    size.writeUInt32BE(body.length);
    const socket = createConnection(join(dir, "control.sock"));
    const parts = [];
    socket.on("connect", () => socket.write(Buffer.concat([size, body])));
    socket.on("data", (d) => parts.push(d));
    socket.on("error", () => {});
    socket.on("close", () => {
      const all = Buffer.concat(parts);
      if (all.length < 4 || all.length < 4 + all.readUInt32BE(0)) return resolve(null);
      const r = reader(all.subarray(4));
      r.next();
      const code = r.next().n;
      const stdout = r.bytes(r.next().n).toString(), stderr = r.bytes(r.next().n).toString();
      resolve({ code, stdout, stderr });
    });
  });
}
