// Moves tokens by the API alone, until the solver is paid.
// Arguments as JSON: api, rpc (URLs by chain id), key, origin, destination, token_in, token_out, amount.
import { privateKeyToAccount } from "viem/accounts";

import { Metalayer } from "../src/index.js";
import { viemWallet } from "../src/viem.js";

const given = JSON.parse(process.argv[2] ?? "{}");
const metalayer = new Metalayer(given.api);
const account = privateKeyToAccount(given.key);
const wallet = viemWallet(account, given.rpc);

const { quotes, unavailable } = await metalayer.quote({
  origin_chain_id: given.origin,
  origin_token: given.token_in,
  destination_chain_id: given.destination,
  destination_token: given.token_out,
  amount: { exact_input: given.amount },
  sender: account.address,
  security: "instant",
});
const [quote] = quotes;
if (quote === undefined) throw new Error(`nobody quotes: ${JSON.stringify(unavailable)}`);
const { orderId, transactions } = await metalayer.execute(quote, wallet);
if (orderId === undefined) throw new Error(`nobody follows ${transactions.join(", ")}`);
const order = await metalayer.follow(orderId, ["settled", "refundable"], { timeout: 240_000 });
if (order.state !== "settled") throw new Error(`order ${orderId} is ${order.state}`);
console.log(`${orderId} ${order.state}`);
