/** Client of the Metalayer aggregator, made from its OpenAPI description. */
import createFetchClient, { type Client } from "openapi-fetch";

import type { components, paths } from "./schema.js";

export type Schemas = components["schemas"];
export type Quote = Schemas["Quote"];
export type QuoteRequest = Schemas["QuoteRequest"];
export type Order = Schemas["Order"];
export type OrderState = Schemas["OrderState"];
export type Hex = `0x${string}`;

/** A transaction to sign and send. */
export interface Call {
  chainId: number;
  to: Hex;
  data: Hex;
  value: bigint;
}

/** Whoever signs: a wallet on any number of chains. */
export interface Wallet {
  /** Sends a transaction and waits until it is mined; its hash. */
  send(call: Call): Promise<Hex>;
  /** Signs EIP-712 typed data. */
  sign(typedData: unknown): Promise<Hex>;
}

/** What the aggregator refused, and why. */
export class Refused extends Error {
  constructor(readonly detail: Schemas["ErrorDetail"]) {
    super(`${detail.code}: ${detail.message}`);
  }
}

/** One aggregator. `http` reaches every route of its API. */
export class Metalayer {
  readonly http: Client<paths>;

  constructor(baseUrl: string, apiKey?: string) {
    const headers = apiKey === undefined ? {} : { "x-api-key": apiKey };
    this.http = createFetchClient<paths>({ baseUrl, headers });
  }

  /** Ranked quotes, best first, and why the other providers gave none. */
  async quote(request: QuoteRequest): Promise<Schemas["QuoteResponse"]> {
    return taken(await this.http.POST("/v1/quotes", { body: request }));
  }

  /**
   * Runs the steps of a quote, in order, and announces its order; the order's id. It needs to know nothing of the
   * provider.
   */
  async execute(quote: Quote, wallet: Wallet): Promise<Hex> {
    let transaction: Hex | undefined;
    let signature: Hex | undefined;
    for (const step of quote.steps) {
      if (step.kind === "signature") {
        signature = await wallet.sign(step.typed_data);
      } else {
        const { chain_id: chainId, to, data, value } = step;
        transaction = await wallet.send({ chainId, to: to as Hex, data: data as Hex, value: BigInt(value) });
      }
    }
    // An approval may have been sent before the signature: the signature is what opens the order then.
    const opening = signature === undefined ? { transaction: transaction ?? null } : { signature };
    const body = { quote, ...opening };
    const { id } = await taken(await this.http.POST("/v1/orders", { body }));
    return id as Hex;
  }

  /** The order with this id. */
  async order(id: Hex): Promise<Order> {
    return taken(await this.http.GET("/v1/orders/{id}", { params: { path: { id } } }));
  }

  /** Looks every `interval` ms until the order is in one of these states; fails after `timeout` ms. */
  async follow(id: Hex, states: OrderState[], { interval = 250, timeout = 600_000 } = {}): Promise<Order> {
    const deadline = Date.now() + timeout;
    for (;;) {
      const order = await this.order(id);
      if (states.includes(order.state)) return order;
      if (Date.now() > deadline) throw new Error(`order ${id} is still ${order.state}`);
      await new Promise((resolve) => setTimeout(resolve, interval));
    }
  }
}

/** The answer of a request that was taken. */
function taken<T>(answer: { data?: T; error?: unknown }): T {
  if (answer.data !== undefined) return answer.data;
  const { error } = answer.error as Schemas["ErrorBody"];
  throw new Refused(error);
}
