use revm::{
    primitives::{Address, Bytes, U256, keccak256},
    state::{AccountInfo, Bytecode},
};

use super::{
    addresses::{
        ARB_GAS_INFO, ARB_INFO, ARB_OWNER_PUBLIC, ARB_SYS, ARB_WASM, ARB_WASM_CACHE, ARBOS_STATE,
    },
    arb_wasm,
    state::program_key,
};

/// Code of a system contract: one `INVALID` instruction, so that its size is not zero (compilers
/// check that before they call) and running it as EVM code always fails.
const SYSTEM_CODE: [u8; 1] = [0xfe];

/// Accounts that every chain has in its first block.
pub fn genesis_accounts() -> impl Iterator<Item = (Address, AccountInfo)> {
    let code = Bytecode::new_raw(SYSTEM_CODE.into());
    let contracts = [ARB_SYS, ARB_INFO, ARB_OWNER_PUBLIC, ARB_GAS_INFO, ARB_WASM, ARB_WASM_CACHE]
        .map(move |address| {
            (address, AccountInfo::default().with_nonce(1).with_code(code.clone()))
        });
    // A nonce keeps the account from being cleared as empty (EIP-161).
    contracts.into_iter().chain([(ARBOS_STATE, AccountInfo::default().with_nonce(1))])
}

/// The slot of [`ARBOS_STATE`], and its word, by which a program with this code runs from the first
/// block on. Nothing for other code, and for a program that a chain would not activate.
pub(crate) fn genesis_activation(code: &Bytes, timestamp: u64) -> Option<(U256, U256)> {
    let record = arb_wasm::active_at_genesis(code, timestamp)?;
    Some((program_key(keccak256(code)), record.to_word()))
}
