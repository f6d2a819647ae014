//! MetaProver: sends proofs of fulfillment over the Metalayer router, and believes those of its twins.
//!
//! * [`abi`]: construction and the table of functions
//! * `sending`: from the Inbox of this chain to the router
//! * `receiving`: from the router to what `provenIntents` answers
//!
//! Immutable: no owner, no setter. A chain carries one for each finality tier; each sends at its tier, and the finalized one
//! has the router refuse every weaker message to it.

#![cfg_attr(not(any(test, feature = "export-abi")), no_std)]
#![cfg_attr(target_arch = "wasm32", no_main)]
#![expect(missing_docs, reason = "`entrypoint` makes a function without")]
#![expect(unsafe_code, reason = "the entrypoint says where the program's storage lies")]

extern crate alloc;

use alloc::{vec, vec::Vec};

use alloy_primitives::{B256, U64, U256};
use parts::Program;
use stylus_sdk::{
    ArbResult,
    host::VM,
    prelude::*,
    storage::{
        StorageAddress, StorageB256, StorageBool, StorageMap, StorageU8, StorageU64, StorageU96,
        StorageU256, StorageVec,
    },
};

pub mod abi;
mod receiving;
mod sending;

/// What was proven, and whom to believe.
#[storage]
pub struct MetaProver {
    /// For each intent the claimant in the low 160 bits and the chain of fulfillment in the next 64.
    proofs: StorageMap<B256, StorageU256>,
    /// The chain id of each messaging domain whose number is not its chain id.
    chain_ids: StorageMap<U64, StorageU64>,
    /// The router, the finality tier, and whether the map above has entries: one slot, the only one of these that a
    /// delivery reads.
    router: StorageAddress,
    finality: StorageU8,
    has_chain_ids: StorageBool,
    /// The Inbox, and the least gas limit of a proof: one slot.
    portal: StorageAddress,
    min_gas_limit: StorageU96,
    /// The provers of other chains that may send proofs, and the same as a list.
    whitelist: StorageMap<B256, StorageBool>,
    whitelisted: StorageVec<StorageB256>,
}

#[entrypoint]
fn main(input: Vec<u8>, vm: VM) -> ArbResult {
    // SAFETY: the only storage of this program, at its first slot.
    let mut program = unsafe { MetaProver::new(U256::ZERO, 0, vm.clone()) };
    program.enter(&vm, &input)
}
