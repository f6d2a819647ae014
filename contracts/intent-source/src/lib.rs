//! IntentSource: publishes intents, keeps their rewards, and pays them out, at the origin.
//!
//! * [`abi`]: the table of functions
//! * `escrow`: an intent as this contract sees it: hashes, reward, vault
//! * `publishing`, `funding`, `settlement`: the three things that happen to it
//! * `orders`, `signature`: ERC-7683 orders and who signed them
//! * `proof`: what the reward's prover knows
//!
//! There is no owner, no pause, no upgrade, no setter. One [`Lock`](parts::Lock) is held by every function that changes
//! state, so that no token, permit, prover, wallet or recipient called on the way can enter another one.

#![cfg_attr(not(any(test, feature = "export-abi")), no_std)]
#![cfg_attr(target_arch = "wasm32", no_main)]
#![expect(missing_docs, reason = "`entrypoint` makes a function without")]
#![expect(unsafe_code, reason = "the entrypoint says where the program's storage lies")]

extern crate alloc;

use alloc::{vec, vec::Vec};

use alloy_primitives::{B256, U256};
use parts::Program;
use stylus_sdk::{
    ArbResult,
    host::VM,
    prelude::*,
    storage::{StorageAddress, StorageMap, StorageU8},
};

pub mod abi;
mod escrow;
mod funding;
mod orders;
mod proof;
mod publishing;
mod settlement;
mod signature;

/// The status of every intent, and the ERC-20 that mirrors the native balance on this chain (zero where none does).
#[storage]
pub struct IntentSource {
    statuses: StorageMap<B256, StorageU8>,
    native_erc20: StorageAddress,
}

#[entrypoint]
fn main(input: Vec<u8>, vm: VM) -> ArbResult {
    // SAFETY: the only storage of this program, at its first slot.
    let mut program = unsafe { IntentSource::new(U256::ZERO, 0, vm.clone()) };
    program.enter(&vm, &input)
}
