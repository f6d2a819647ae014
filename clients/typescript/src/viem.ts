/** A {@link Wallet} of viem accounts. */
import { type LocalAccount, type TypedDataDefinition, createPublicClient, createWalletClient, defineChain, http } from "viem";

import { type Call, type Hex, SentError, type Wallet } from "./index.js";

/** The account on the chains with these ids, each behind its RPC URL. */
export function viemWallet(account: LocalAccount, rpc: Record<number, string>): Wallet {
  const on = (id: number) => {
    const url = rpc[id];
    if (url === undefined) throw new Error(`no RPC URL for chain ${id}`);
    const chain = defineChain({
      id,
      name: `chain ${id}`,
      nativeCurrency: { name: "Ether", symbol: "ETH", decimals: 18 },
      rpcUrls: { default: { http: [url] } },
    });
    const transport = http(url);
    return {
      reader: createPublicClient({ chain, transport, pollingInterval: 100 }),
      writer: createWalletClient({ chain, transport, account }),
    };
  };
  return {
    async send({ chainId, to, data, value }: Call): Promise<Hex> {
      const { reader, writer } = on(chainId);
      const hash = await writer.sendTransaction({ to, data, value });
      try {
        const receipt = await reader.waitForTransactionReceipt({ hash, timeout: 120_000 });
        if (receipt.status !== "success") throw new Error("it reverted");
        // Another one, where the user has raised its fee meanwhile.
        return receipt.transactionHash;
      } catch (error) {
        throw new SentError(hash, error);
      }
    },
    sign: (typedData: unknown) => account.signTypedData(typedData as TypedDataDefinition),
  };
}
