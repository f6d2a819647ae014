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

/** What failed after a transaction was sent: `cause`. The transaction counts, whatever became of the rest. */
export class SentError extends Error {
  constructor(
    /** The last one that was sent. */
    readonly transaction: Hex,
    cause: unknown,
  ) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    super(`transaction ${transaction} was sent, then: ${reason}`, { cause });
  }
}

/** What opens an order: the last transaction that was sent for its quote, or what was signed. */
export type Opening = { transaction: Hex | null } | { signature: Hex };

/** How long, in ms, an aggregator that is not ready is asked again. */
const PATIENCE = 60_000;
/** The shortest pause before it is asked again, in ms. */
const SHORTEST_PAUSE = 250;

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
   * provider. Whatever fails once a transaction was sent is a {@link SentError} with its hash: {@link announce} goes on
   * from there.
   */
  async execute(quote: Quote, wallet: Wallet, { timeout = PATIENCE } = {}): Promise<Hex> {
    let transaction: Hex | undefined;
    let signature: Hex | undefined;
    try {
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
      return await this.announce(quote, opening, { timeout });
    } catch (error) {
      if (transaction === undefined || error instanceof SentError) throw error;
      throw new SentError(transaction, error);
    }
  }

  /**
   * Announces the order of a quote; its id. An aggregator that does not know the transaction yet, or has too much to do,
   * is asked again when it says, for at most `timeout` ms. Announcing an order twice does no harm.
   */
  async announce(quote: Quote, opening: Opening, { timeout = PATIENCE } = {}): Promise<Hex> {
    const deadline = Date.now() + timeout;
    const body = { quote, ...opening };
    for (;;) {
      const answer = await this.http.POST("/v1/orders", { body });
      const wait = pause(answer);
      if (wait === undefined || Date.now() + wait > deadline) return taken(answer).id as Hex;
      await new Promise((resolve) => setTimeout(resolve, wait));
    }
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

interface Answer<T> {
  data?: T;
  error?: unknown;
  response: Response;
}

/** Why the aggregator refused; nothing when somebody else answered, such as a proxy before it. */
function reason(answer: Answer<unknown>): Schemas["ErrorDetail"] | undefined {
  return (answer.error as Partial<Schemas["ErrorBody"]> | undefined)?.error;
}

/** The answer of a request that was taken. */
function taken<T>(answer: Answer<T>): T {
  if (answer.data !== undefined) return answer.data;
  const detail = reason(answer);
  if (detail === undefined) throw new Error(`the aggregator's address answered ${answer.response.status}`);
  throw new Refused(detail);
}

/** After how many ms the same request may be taken; nothing when it was, or never will be. */
function pause(answer: Answer<unknown>): number | undefined {
  const { status, headers } = answer.response;
  const unseen = status === 409 && reason(answer)?.code === "transaction_unknown";
  if (!unseen && status !== 429 && status !== 503) return undefined;
  const seconds = Number(headers.get("retry-after") ?? 1);
  return Math.max(SHORTEST_PAUSE, 1_000 * (Number.isFinite(seconds) ? seconds : 1));
}
