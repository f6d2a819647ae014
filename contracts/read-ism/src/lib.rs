//! ReadIsm: checks attested results of cross-chain reads and hands them to the router within one transaction.
//!
//! A module of type CCIP_READ (7): relayers fetch its metadata from the operators' gateways.
//!
//! * [`abi`]: the table of functions
//! * `metadata`: what a gateway answers
//! * `attestation`: who must have signed it
//! * `results`: what lasts until the transaction ends
//!
//! Nothing persists that a stranger could plant, a reorg could make stale, or a large answer could make undeliverable:
//! results live in transient storage.

#![cfg_attr(not(any(test, feature = "export-abi")), no_std)]
#![cfg_attr(target_arch = "wasm32", no_main)]
#![expect(missing_docs, reason = "`entrypoint` makes a function without")]
#![expect(unsafe_code, reason = "the entrypoint says where the program's storage lies")]

extern crate alloc;

use alloc::{vec, vec::Vec};

use alloy_primitives::U256;
use parts::{Ownable, Program};
use stylus_sdk::{
    ArbResult,
    host::VM,
    prelude::*,
    storage::{StorageAddress, StorageB256, StorageMap, StorageU32, StorageVec},
};

pub mod abi;
mod attestation;
mod metadata;
mod results;

/// Storage of the module.
#[storage]
pub struct ReadIsm {
    // One slot: what every envelope is checked against.
    router: StorageAddress,
    local_domain: StorageU32,
    ownable: Ownable,
    /// The multisig module whose validators attest reads, by origin and tier.
    signers: StorageMap<U256, StorageAddress>,
    /// `abi.encode(string[])` of the gateways, word by word: never looked into, only ever answered.
    urls: StorageVec<StorageB256>,
}

#[entrypoint]
fn main(input: Vec<u8>, vm: VM) -> ArbResult {
    // SAFETY: the only storage of this program, at its first slot.
    let mut program = unsafe { ReadIsm::new(U256::ZERO, 0, vm.clone()) };
    program.enter(&vm, &input)
}
