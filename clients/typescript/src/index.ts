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

/** What failed after something was sent or signed: `cause`. That counts, whatever became of the rest. */
export class SentError extends Error {
  constructor(
    /** The last transaction that was sent; none when an order was signed and nothing was sent. */
    readonly transaction: Hex | undefined,
    cause: unknown,
    /** The order that may be open by it; none after an approval. {@link Metalayer.follow} goes on from there. */
    readonly orderId: Hex | undefined = undefined,
  ) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    const done = transaction === undefined ? "an order was signed" : `transaction ${transaction} was sent`;
    const order = orderId === undefined ? "" : ` for order ${orderId}`;
    super(`${done}${order}, then: ${reason}`, { cause });
  }
}

/** The quote expires before what opens its order could be mined. Nothing is paid: ask for another one. */
export class ExpiredError extends Error {
  constructor(readonly quote: Quote) {
    super("the quote has expired; ask for another one");
  }
}

/** The order has ended in another state than was waited for. */
export class EndedError extends Error {
  constructor(readonly order: Order) {
    super(`order ${order.id} is ${order.state}`);
  }
}

/** What was done for a quote. */
export interface Executed {
  /** The order to follow; none of a provider that follows its transfers itself. */
  orderId: Hex | undefined;
  /** Everything that was sent, in order. */
  transactions: Hex[];
}

/** What opens an order: the last transaction that was sent for its quote, or what was signed. */
export type Opening = { transaction: Hex | null } | { signature: Hex };

/** How long, in ms, an aggregator that is not ready is asked again. */
const PATIENCE = 60_000;
/** The shortest pause before it is asked again, in ms. */
const SHORTEST_PAUSE = 250;
/** How long one answer may take, in ms. */
const ANSWER = 30_000;
/** How long before its expiry a quote is not taken any more, in seconds: what opens the order must be mined. */
const MARGIN = 3;
/** States that an order does not leave. */
const FINAL: readonly OrderState[] = ["settled", "refunded", "failed"];

/** One aggregator. `http` reaches every route of its API. */
export class Metalayer {
  readonly http: Client<paths>;

  constructor(baseUrl: string, apiKey?: string) {
    const headers = apiKey === undefined ? {} : { "x-api-key": apiKey };
    this.http = createFetchClient<paths>({ baseUrl, headers });
  }

  /** Ranked quotes, best first, and why the other providers gave none. */
  async quote(request: QuoteRequest): Promise<Schemas["QuoteResponse"]> {
    return taken(await this.http.POST("/v1/quotes", { body: request, signal: AbortSignal.timeout(ANSWER) }));
  }

  /**
   * Runs the steps of a quote, in order, and announces its order. It needs to know nothing of the provider; one whose
   * quotes have no `order_id` follows its transfers itself, and nothing is announced. A quote that expires before its
   * last step is an {@link ExpiredError}. Whatever else fails once something was sent or signed is a {@link SentError}
   * with its hash and order: {@link announce} and {@link follow} go on from there.
   */
  async execute(quote: Quote, wallet: Wallet, { timeout = PATIENCE } = {}): Promise<Executed> {
    const orderId = (quote.order_id ?? undefined) as Hex | undefined;
    const transactions: Hex[] = [];
    let signature: Hex | undefined;
    let paying = false;
    let paid = false;
    try {
      for (const [index, step] of quote.steps.entries()) {
        paying = index === quote.steps.length - 1;
        if (paying && isLate(quote)) throw new ExpiredError(quote);
        if (step.kind === "signature") {
          signature = await wallet.sign(step.typed_data);
        } else {
          const { chain_id: chainId, to, data, value } = step;
          transactions.push(await wallet.send({ chainId, to: to as Hex, data: data as Hex, value: BigInt(value) }));
        }
        paid = paying;
      }
      if (orderId === undefined) return { orderId, transactions };
      // An approval may have been sent before the signature: the signature is what opens the order then.
      const opening = signature === undefined ? { transaction: transactions.at(-1) ?? null } : { signature };
      return { orderId: await this.announce(quote, opening, { timeout }), transactions };
    } catch (error) {
      if (error instanceof ExpiredError) throw error;
      // Of the wallet: it has sent the step, and does not know what became of it.
      if (error instanceof SentError) {
        throw new SentError(error.transaction, error.cause, paying ? orderId : undefined);
      }
      // The escrow holds the money whatever becomes of the quote: the aggregator sees the order on the chain.
      const isMined = paid && signature === undefined;
      if (isMined && error instanceof Refused && error.detail.code === "quote_expired") {
        return { orderId, transactions };
      }
      if (transactions.length === 0 && !paid) throw error;
      throw new SentError(transactions.at(-1), error, paid ? orderId : undefined);
    }
  }

  /**
   * Announces the order of a quote; its id. An aggregator that does not answer, does not know the transaction yet, or
   * has too much to do, is asked again when it says, for at most `timeout` ms. Announcing an order twice does no harm.
   */
  async announce(quote: Quote, opening: Opening, { timeout = PATIENCE } = {}): Promise<Hex> {
    const body = { quote, ...opening };
    const ask = (signal: AbortSignal) => this.http.POST("/v1/orders", { body, signal });
    return (await patiently(Date.now() + timeout, ask)).id as Hex;
  }

  /** The order with this id. */
  async order(id: Hex): Promise<Order> {
    return taken(await this.look(id, AbortSignal.timeout(ANSWER)));
  }

  /**
   * Looks every `interval` ms until the order is in one of these states; fails after `timeout` ms, and with an
   * {@link EndedError} when it has ended in another state. An aggregator that does not answer, or has not seen the
   * order yet, is asked again.
   */
  async follow(id: Hex, states: OrderState[], { interval = 250, timeout = 600_000 } = {}): Promise<Order> {
    const deadline = Date.now() + timeout;
    for (;;) {
      const order = await patiently(deadline, (signal) => this.look(id, signal), [404]);
      if (states.includes(order.state)) return order;
      if (FINAL.includes(order.state)) throw new EndedError(order);
      if (Date.now() > deadline) throw new Error(`order ${id} is still ${order.state}`);
      await sleep(interval);
    }
  }

  private look(id: Hex, signal: AbortSignal) {
    return this.http.GET("/v1/orders/{id}", { params: { path: { id } }, signal });
  }
}

/** Whether the quote expires before what opens its order could be mined. */
function isLate(quote: Quote): boolean {
  return Date.now() / 1_000 + MARGIN >= quote.expires_at;
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/**
 * Asks until there is an answer that stays, or the `deadline` is over; what was taken. `unready` are statuses that pass
 * besides those that always do.
 */
async function patiently<T>(
  deadline: number,
  ask: (signal: AbortSignal) => Promise<Answer<T>>,
  unready: number[] = [],
): Promise<T> {
  for (;;) {
    const left = Math.max(SHORTEST_PAUSE, Math.min(ANSWER, deadline - Date.now()));
    const answer = await ask(AbortSignal.timeout(left)).catch((lost: unknown) => ({ lost }));
    const wait = "lost" in answer ? SHORTEST_PAUSE : pause(answer, unready);
    if (wait === undefined || Date.now() + wait > deadline) {
      if ("lost" in answer) throw answer.lost;
      return taken(answer);
    }
    await sleep(wait);
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
function pause(answer: Answer<unknown>, unready: number[]): number | undefined {
  const { status, headers } = answer.response;
  const unseen = status === 409 && reason(answer)?.code === "transaction_unknown";
  if (!unseen && status !== 429 && status < 500 && !unready.includes(status)) return undefined;
  const seconds = Number(headers.get("retry-after") ?? 0);
  return Math.max(SHORTEST_PAUSE, 1_000 * (Number.isFinite(seconds) ? seconds : 1));
}
