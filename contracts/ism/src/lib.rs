//! MetalayerIsm: finds the module that vouches for an envelope, by origin, tier, and whether it carries reads.
//!
//! A routing module (type 1), so that the official Hyperlane relayer can serve it. It opens every envelope itself: only
//! those to the router of this chain pass, and only when message and envelope agree.
//!
//! * [`abi`]: the table of functions
//! * `routing`: which module answers
//! * `modules`: what the owner and the guardian set, and why tiers never share a key

#![cfg_attr(not(any(test, feature = "export-abi")), no_std)]
#![cfg_attr(target_arch = "wasm32", no_main)]
#![expect(missing_docs, reason = "`entrypoint` makes a function without")]
#![expect(unsafe_code, reason = "the entrypoint says where the program's storage lies")]

extern crate alloc;

use alloc::{vec, vec::Vec};

use alloy_primitives::{Address, U256};
use parts::{Ownable, Program};
use stylus_sdk::{
    ArbResult,
    host::VM,
    prelude::*,
    storage::{StorageAddress, StorageB256, StorageBool, StorageMap, StorageU32},
};

pub mod abi;
mod modules;
mod routing;

/// Storage of the module.
#[storage]
pub struct MetalayerIsm {
    // One slot: what every envelope is checked against.
    router: StorageAddress,
    local_domain: StorageU32,
    ownable: Ownable,
    guardian: StorageAddress,
    previous: StorageAddress,
    /// By origin and tier.
    modules: StorageMap<U256, StorageAddress>,
    /// By origin and tier, for messages with reads.
    read_modules: StorageMap<U256, StorageAddress>,
    /// By origin and tier.
    suspended: StorageMap<U256, StorageBool>,
    /// An application's own module, with a first byte of 1 once it has said anything.
    applications: StorageMap<Address, StorageB256>,
}

#[entrypoint]
fn main(input: Vec<u8>, vm: VM) -> ArbResult {
    // SAFETY: the only storage of this program, at its first slot.
    let mut program = unsafe { MetalayerIsm::new(U256::ZERO, 0, vm.clone()) };
    program.enter(&vm, &input)
}
