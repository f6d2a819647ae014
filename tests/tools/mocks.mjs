// Compiles every Solidity file of a folder with the pinned solc: `node mocks.mjs <folder>` prints
// {"<contract>": "<creation code, hex>"} to stdout, and fails on any error of the compiler.
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import solc from "solc";

const folder = process.argv[2];
const sources = {};
for (const name of readdirSync(folder).filter((name) => name.endsWith(".sol")).sort()) {
  sources[name] = { content: readFileSync(join(folder, name), "utf8") };
}
const input = {
  language: "Solidity",
  sources,
  settings: {
    optimizer: { enabled: true, runs: 1000000 },
    evmVersion: "paris",
    metadata: { appendCBOR: false, bytecodeHash: "none" },
    outputSelection: { "*": { "*": ["evm.bytecode.object"] } },
  },
};
const output = JSON.parse(solc.compile(JSON.stringify(input)));
const errors = (output.errors ?? []).filter((error) => error.severity === "error");
if (errors.length > 0) {
  for (const error of errors) console.error(error.formattedMessage);
  process.exit(1);
}
const codes = {};
for (const contracts of Object.values(output.contracts)) {
  for (const [name, contract] of Object.entries(contracts)) {
    if (contract.evm.bytecode.object) codes[name] = contract.evm.bytecode.object;
  }
}
process.stdout.write(JSON.stringify(codes));
