// Reads every Solidity file of a folder with the pinned solc: `node abi.mjs <folder>` prints
// {"<file without ending>": <the JSON ABI of its interface>} to stdout, and fails on any error of the compiler.
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import solc from "solc";

const folder = process.argv[2];
const sources = {};
for (const name of readdirSync(folder).filter((name) => name.endsWith(".sol")).sort()) {
  sources[name] = { content: readFileSync(join(folder, name), "utf8") };
}
const settings = { outputSelection: { "*": { "*": ["abi"] } } };
const output = JSON.parse(solc.compile(JSON.stringify({ language: "Solidity", sources, settings })));
const errors = (output.errors ?? []).filter((error) => error.severity === "error");
if (errors.length > 0) {
  for (const error of errors) console.error(error.formattedMessage);
  process.exit(1);
}
const abis = {};
for (const [name, contracts] of Object.entries(output.contracts)) {
  abis[name.slice(0, -".sol".length)] = Object.values(contracts).flatMap((contract) => contract.abi);
}
process.stdout.write(JSON.stringify(abis));
