// The client waits for an aggregator that is not ready, within bounds, and names what was sent when it gives up.
import assert from "node:assert/strict";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";

import { type Hex, Metalayer, type Quote, Refused, SentError, type Wallet } from "../src/index.js";

const id: Hex = `0x${"11".repeat(32)}`;
const transaction: Hex = `0x${"22".repeat(32)}`;
const refusal = (code: string) => JSON.stringify({ error: { code, message: "not now", request_id: "1" } });

// Given in this order, the last one from then on.
let answers: [number, string][] = [];
let asked = 0;
const nothing: [number, string] = [500, ""];
const server = createServer((request, response) => {
  request.resume();
  const [status, body] = answers[Math.min(asked, answers.length - 1)] ?? nothing;
  asked += 1;
  response.writeHead(status, { "content-type": "application/json", "retry-after": "0" });
  response.end(body);
});
await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
const { port } = server.address() as AddressInfo;
const metalayer = new Metalayer(`http://127.0.0.1:${port}`);

const step = { kind: "transaction", id: "publish", chain_id: 1, to: "0x", data: "0x", value: "0" };
const quote = { steps: [step] } as unknown as Quote;
const wallet: Wallet = { send: async () => transaction, sign: async () => "0x" };

async function refused(given: [number, string][], timeout: number): Promise<SentError> {
  answers = given;
  asked = 0;
  const thrown: unknown = await metalayer.execute(quote, wallet, { timeout }).catch((error: unknown) => error);
  assert(thrown instanceof SentError, String(thrown));
  assert.equal(thrown.transaction, transaction);
  assert.equal(asked, 1);
  return thrown;
}

answers = [
  [409, refusal("transaction_unknown")],
  [503, refusal("overloaded")],
  [503, "<html>of a proxy</html>"],
  [201, JSON.stringify({ id, state: "pending" })],
];
assert.equal(await metalayer.execute(quote, wallet), id);
assert.equal(asked, 4);

const expired = await refused([[410, refusal("quote_expired")]], 60_000);
assert(expired.cause instanceof Refused);
assert.equal(expired.cause.detail.code, "quote_expired");
await refused([[503, refusal("unavailable")]], 0);
await refused([[502, "<html>of a proxy</html>"]], 60_000);

server.close();
server.closeAllConnections();
console.log("patient");
