//! Inbox: fulfills intents at their destination, and hands proofs of it to provers.
//!
//! * [`abi`]: the table of functions
//! * `fulfillment`: a route is executed, once, and its claimant recorded
//! * `proving`: what was recorded is sent to a prover
//!
//! Solvers give their allowances to this contract, so it never makes a call of a route itself: its
//! [`Executor`](executor::Executor) does. One [`Lock`](parts::Lock) is held by every function that changes state. The
//! claimant of a fulfilled intent never changes.

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
    storage::{StorageB256, StorageMap},
};

pub mod abi;
mod fulfillment;
mod proving;

/// Who may claim the reward of each fulfilled intent. The chain id is the chain's own, read when needed.
#[storage]
pub struct Inbox {
    claimants: StorageMap<B256, StorageB256>,
}

#[entrypoint]
fn main(input: Vec<u8>, vm: VM) -> ArbResult {
    // SAFETY: the only storage of this program, at its first slot.
    let mut program = unsafe { Inbox::new(U256::ZERO, 0, vm.clone()) };
    program.enter(&vm, &input)
}
