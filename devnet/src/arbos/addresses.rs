use revm::primitives::{Address, address};

/// `ArbSys`: block number, chain id, messages to the parent chain.
pub const ARB_SYS: Address = address!("0000000000000000000000000000000000000064");
/// `ArbInfo`: balance and code of an account.
pub const ARB_INFO: Address = address!("0000000000000000000000000000000000000065");
/// `ArbOwnerPublic`: who may change the chain's parameters.
pub const ARB_OWNER_PUBLIC: Address = address!("000000000000000000000000000000000000006b");
/// `ArbGasInfo`: prices of gas and of data.
pub const ARB_GAS_INFO: Address = address!("000000000000000000000000000000000000006c");
/// `ArbWasm`: activation of programs and the prices of running them.
pub const ARB_WASM: Address = address!("0000000000000000000000000000000000000071");
/// `ArbWasmCache`: which programs start at the cached price.
pub const ARB_WASM_CACHE: Address = address!("0000000000000000000000000000000000000072");
/// `NodeInterface`: estimates for `eth_call`; no contract on the chain.
pub const NODE_INTERFACE: Address = address!("00000000000000000000000000000000000000c8");
/// The account whose storage holds what the system contracts remember.
pub const ARBOS_STATE: Address = address!("a4b05fffffffffffffffffffffffffffffffffff");
