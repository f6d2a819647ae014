// The client waits for an aggregator that is not ready, within bounds, and names what was sent when it gives up.
import assert from "node:assert/strict";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";

import { EndedError, ExpiredError, type Hex, Metalayer, type Quote } from "../src/index.js";
import { Refused, SentError, type Wallet } from "../src/index.js";

const id: Hex = `0x${"11".repeat(32)}`;
const transaction: Hex = `0x${"22".repeat(32)}`;
const refusal = (code: string) => JSON.stringify({ error: { code, message: "not now", request_id: "1" } });
const order = (state: string) => JSON.stringify({ id, state });

/** A status with a body, a connection that is cut, or no answer at all. */
type Given = [number, string] | "cut" | "silent";
// Given in this order, the last one from then on.
let answers: Given[] = [];
let asked = 0;
const server = createServer((request, response) => {
  request.resume();
  const given = answers[Math.min(asked, answers.length - 1)] ?? "cut";
  asked += 1;
  if (given === "silent") return;
  if (given === "cut") {
    request.socket.destroy();
    return;
  }
  response.writeHead(given[0], { "content-type": "application/json", "retry-after": "0" });
  response.end(given[1]);
});
await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
const { port } = server.address() as AddressInfo;
const metalayer = new Metalayer(`http://127.0.0.1:${port}`);

function answering(...given: Given[]): void {
  answers = given;
  asked = 0;
}

const step = { kind: "transaction", id: "publish", chain_id: 1, to: "0x", data: "0x", value: "0" };
const expires_at = Math.floor(Date.now() / 1_000) + 600;
const quote = { steps: [step], expires_at, order_id: id } as unknown as Quote;
const signed = { ...quote, steps: [{ kind: "signature", id: "sign_order", typed_data: {} }] } as unknown as Quote;
const wallet: Wallet = { send: async () => transaction, sign: async () => "0x" };

async function refused(given: Given, timeout: number, of: Quote = quote): Promise<SentError> {
  answering(given);
  const thrown: unknown = await metalayer.execute(of, wallet, { timeout }).catch((error: unknown) => error);
  assert(thrown instanceof SentError, String(thrown));
  assert.equal(thrown.transaction, of === quote ? transaction : undefined);
  assert.equal(thrown.orderId, id);
  assert.equal(asked, 1);
  return thrown;
}

// What passes is waited out.
answering(
  [409, refusal("transaction_unknown")],
  "cut",
  [503, refusal("overloaded")],
  [502, "<html>of a proxy</html>"],
  [201, order("pending")],
);
assert.deepEqual(await metalayer.execute(quote, wallet), { orderId: id, transactions: [transaction] });
assert.equal(asked, 5);

// What stays, or lasts too long, is an error with everything that was sent or signed.
const mismatch = await refused([400, refusal("transaction_mismatch")], 60_000);
assert(mismatch.cause instanceof Refused);
assert.equal(mismatch.cause.detail.code, "transaction_mismatch");
await refused([503, refusal("unavailable")], 0);
await refused([502, "<html>of a proxy</html>"], 0);
await refused("cut", 0);
await refused("silent", 100);
await refused([410, refusal("quote_expired")], 60_000, signed);

// An escrow is followed although its quote has expired.
answering([410, refusal("quote_expired")]);
assert.deepEqual(await metalayer.execute(quote, wallet), { orderId: id, transactions: [transaction] });

// What nobody would fill is not paid for.
answering("cut");
const late = { ...quote, expires_at: Math.floor(Date.now() / 1_000) + 1 };
const unpaid: Wallet = { ...wallet, send: async () => assert.fail("it was paid") };
await assert.rejects(metalayer.execute(late, unpaid), ExpiredError);

// A provider that follows its transfers itself is told nothing.
const foreign = { ...quote, order_id: null };
assert.deepEqual(await metalayer.execute(foreign, wallet), { orderId: undefined, transactions: [transaction] });
assert.equal(asked, 0);

// Following goes on through trouble, and ends with the order.
answering(
  [404, refusal("not_found")],
  "cut",
  [429, refusal("rate_limited")],
  [200, order("funded")],
  [200, order("settled")],
);
assert.equal((await metalayer.follow(id, ["settled"], { interval: 1 })).state, "settled");
assert.equal(asked, 5);
answering([200, order("refunded")]);
await assert.rejects(metalayer.follow(id, ["settled"]), EndedError);
answering([200, order("funded")]);
await assert.rejects(metalayer.follow(id, ["settled"], { interval: 1, timeout: 20 }), /still funded/);
answering("silent");
await assert.rejects(metalayer.follow(id, ["settled"], { timeout: 20 }));

server.close();
server.closeAllConnections();
console.log("patient");
