//! MetalayerRouter: sends and receives Metalayer messages through a Hyperlane mailbox.
//!
//! * [`abi`]: the table of functions
//! * `sending`: checks, fee, dispatch
//! * `receiving`: who may deliver what to whom
//! * `confirmation`: the way back, by which an origin learns of delivery
//! * `policy`: which tiers an application accepts
//! * `enrolment`, `settings`: what the owner decides, and the guardian's pause
//! * `records`: what is remembered of a message
//!
//! `dispatch` and `handle` take no re-entrancy lock, because recipients dispatch while being delivered to. Instead they
//! write everything they will ever write before the first call to a contract, and nothing after it. The router is not
//! upgradeable.

#![cfg_attr(not(any(test, feature = "export-abi")), no_std)]
#![cfg_attr(target_arch = "wasm32", no_main)]
#![expect(missing_docs, reason = "`entrypoint` makes a function without")]
#![expect(unsafe_code, reason = "the entrypoint says where the program's storage lies")]

extern crate alloc;

use alloc::{vec, vec::Vec};

use alloy_primitives::{Address, B256, U256};
use parts::{Ownable, Program};
use stylus_sdk::{
    ArbResult,
    alloy_primitives::aliases::U32,
    host::VM,
    prelude::*,
    storage::{
        StorageAddress, StorageB256, StorageBool, StorageGuard, StorageGuardMut, StorageMap,
        StorageU8, StorageU32, StorageU64, StorageVec,
    },
};

pub mod abi;
mod confirmation;
mod enrolment;
mod policy;
mod receiving;
mod records;
mod sending;
mod settings;

/// Storage of the router.
#[storage]
pub struct Router {
    // One slot: what every dispatch reads and writes.
    mailbox: StorageAddress,
    local_domain: StorageU32,
    nonce: StorageU32,
    // One slot: what every dispatch asks of the guardian.
    guardian: StorageAddress,
    paused_at: StorageU64,
    pause_lifted: StorageBool,
    ownable: Ownable,
    module: StorageAddress,
    read_ism: StorageAddress,
    igp: StorageAddress,
    domains: StorageVec<StorageU32>,
    remotes: StorageMap<U32, Remote>,
    dispatched: StorageMap<B256, StorageB256>,
    delivered: StorageMap<B256, StorageB256>,
    policies: StorageMap<Address, StorageU8>,
}

/// What is known of one remote domain.
#[storage]
pub struct Remote {
    /// Where messages are sent; zero for a domain that is not enrolled.
    router: StorageB256,
    /// Whose messages are accepted: every router ever enrolled and not retired.
    accepted: StorageVec<StorageB256>,
    /// The tiers that may be dispatched at.
    tiers: StorageU8,
    /// Whether messages may carry reads of this domain.
    readable: StorageBool,
}

impl Router {
    fn remote(&self, domain: u32) -> StorageGuard<'_, Remote> {
        self.remotes.getter(U32::from(domain))
    }

    fn remote_mut(&mut self, domain: u32) -> StorageGuardMut<'_, Remote> {
        self.remotes.setter(U32::from(domain))
    }

    fn local_domain(&self) -> u32 {
        self.local_domain.get().to()
    }
}

#[entrypoint]
fn main(input: Vec<u8>, vm: VM) -> ArbResult {
    // SAFETY: the only storage of this program, at its first slot.
    let mut program = unsafe { Router::new(U256::ZERO, 0, vm.clone()) };
    program.enter(&vm, &input)
}
