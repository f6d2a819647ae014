// Deploys, activates and uses a program with ethers: node ethers.mjs <http url> <ws url> <init code>
import { Contract, HDNodeWallet, JsonRpcProvider, WebSocketProvider, parseEther } from "ethers";

const [httpUrl, wsUrl, initCode] = process.argv.slice(2);
const provider = new JsonRpcProvider(httpUrl, undefined, { polling: true, pollingInterval: 50, cacheTimeout: -1 });
const watcher = new WebSocketProvider(wsUrl);
const wallet = HDNodeWallet.fromPhrase("test test test test test test test test test test test junk").connect(provider);
const settled = async (tx) => (await tx).wait();

const abi = [
  "function activateProgram(address program) payable returns (uint16 version, uint256 dataFee)",
  "event ProgramActivated(bytes32 indexed codehash, bytes32 moduleHash, address program, uint256 dataFee, uint16 version)",
];
const address = "0x0000000000000000000000000000000000000071";
const watched = new Contract(address, abi, watcher);
const logs = new Promise((resolve) => watched.on("ProgramActivated", () => resolve(true)));
// The subscription is made by the time a later request on the same socket is answered.
await watcher.getBlockNumber();

const created = await settled(wallet.sendTransaction({ data: initCode }));
const program = created.contractAddress;
const arbWasm = new Contract(address, abi, wallet);
const activated = await settled(arbWasm.activateProgram(program, { value: parseEther("1") }));
const sent = await settled(wallet.sendTransaction({ to: program }));
const called = await provider.call({ to: program });
process.stdout.write(
  JSON.stringify({
    program,
    statuses: [created, activated, sent].map((receipt) => (receipt.status === 1 ? "success" : "reverted")),
    called: BigInt(called).toString(),
    logsWatched: await logs,
  }),
);
process.exit(0);
