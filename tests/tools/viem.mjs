// Deploys, activates and uses a program with viem: node viem.mjs <http url> <ws url> <init code>
import { createPublicClient, createWalletClient, defineChain, http, parseAbi, parseEther, webSocket } from "viem";
import { mnemonicToAccount } from "viem/accounts";

const [httpUrl, wsUrl, initCode] = process.argv.slice(2);
const chain = defineChain({
  id: 700001,
  name: "devnet",
  nativeCurrency: { name: "Ether", symbol: "ETH", decimals: 18 },
  rpcUrls: { default: { http: [httpUrl], webSocket: [wsUrl] } },
});
const account = mnemonicToAccount("test test test test test test test test test test test junk");
const reader = createPublicClient({ chain, transport: http(), pollingInterval: 50 });
const watcher = createPublicClient({ chain, transport: webSocket() });
const wallet = createWalletClient({ account, chain, transport: http() });
const settled = async (hash) => reader.waitForTransactionReceipt({ hash });

const arbWasm = {
  address: "0x0000000000000000000000000000000000000071",
  abi: parseAbi([
    "function activateProgram(address program) payable returns (uint16 version, uint256 dataFee)",
    "event ProgramActivated(bytes32 indexed codehash, bytes32 moduleHash, address program, uint256 dataFee, uint16 version)",
  ]),
};
const logs = new Promise((resolve) => {
  watcher.watchContractEvent({ ...arbWasm, onLogs: (seen) => resolve(seen.length > 0) });
});
// The subscription is made by the time a later request on the same socket is answered.
await watcher.getBlockNumber();

const created = await settled(await wallet.sendTransaction({ data: initCode }));
const program = created.contractAddress;
const activated = await settled(
  await wallet.writeContract({ ...arbWasm, functionName: "activateProgram", args: [program], value: parseEther("1") }),
);
const sent = await settled(await wallet.sendTransaction({ to: program }));
const called = await reader.call({ to: program });
process.stdout.write(
  JSON.stringify({
    program,
    statuses: [created.status, activated.status, sent.status],
    called: BigInt(called.data).toString(),
    logsWatched: await logs,
  }),
);
process.exit(0);
