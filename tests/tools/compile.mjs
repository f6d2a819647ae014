// Compiles Solidity: reads a file's path from the arguments, writes {name: {abi, bytecode}} as JSON.
import { readFileSync } from "node:fs";
import solc from "solc";

const path = process.argv[2];
const input = {
  language: "Solidity",
  sources: { [path]: { content: readFileSync(path, "utf8") } },
  settings: {
    evmVersion: process.argv[3] ?? "prague",
    optimizer: { enabled: true, runs: 200 },
    outputSelection: { "*": { "*": ["abi", "evm.bytecode.object", "evm.deployedBytecode.object"] } },
  },
};
const output = JSON.parse(solc.compile(JSON.stringify(input)));
const errors = (output.errors ?? []).filter((error) => error.severity === "error");
if (errors.length > 0) {
  console.error(errors.map((error) => error.formattedMessage).join("\n"));
  process.exit(1);
}
const contracts = Object.entries(output.contracts[path]).map(([name, contract]) => [
  name,
  {
    abi: contract.abi,
    bytecode: "0x" + contract.evm.bytecode.object,
    runtime: "0x" + contract.evm.deployedBytecode.object,
  },
]);
process.stdout.write(JSON.stringify(Object.fromEntries(contracts)));
