//! The one way our programs call, create and send.
//!
//! The SDK caches storage inside the program, and its raw calls do not write that cache back: a value written before
//! a call would be invisible to a re-entrant call, and would overwrite what that call wrote. So every function here
//! flushes and clears the cache first. Nothing in `contracts/` uses the SDK's raw calls directly.

#![expect(
    unsafe_code,
    reason = "the SDK marks calls unsafe for the cache, which is cleared before each"
)]

use alloc::vec::Vec;

use alloy_primitives::{Address, B256, U256};
use stylus_sdk::{call::RawCall, deploy::RawDeploy, host::VM, prelude::*};

use crate::Revert;

/// Calls `to` with all gas, `value` wei and `data`. Returns its answer, or what it reverted with.
pub fn call(vm: &VM, to: Address, value: U256, data: &[u8]) -> Result<Vec<u8>, Revert> {
    // SAFETY: the storage cache is cleared, and no caller holds a storage reference across this call.
    unsafe { RawCall::new_with_value(vm, value).clear_storage_cache().call(to, data) }
        .map_err(Revert)
}

/// As [`call`], with at most `gas` gas.
pub fn call_with_gas(
    vm: &VM,
    to: Address,
    value: U256,
    gas: u64,
    data: &[u8],
) -> Result<Vec<u8>, Revert> {
    let call = RawCall::new_with_value(vm, value).gas(gas).clear_storage_cache();
    // SAFETY: as in `call`.
    unsafe { call.call(to, data) }.map_err(Revert)
}

/// As [`call`], without copying the answer of a call that succeeds or fails.
pub fn send(vm: &VM, to: Address, value: U256, data: &[u8]) -> bool {
    let call = RawCall::new_with_value(vm, value).clear_storage_cache().skip_return_data();
    // SAFETY: as in `call`.
    unsafe { call.call(to, data) }.is_ok()
}

/// As [`call`], without copying the answer; of what it reverts with, at most `revert_limit` bytes are copied.
pub fn deliver(
    vm: &VM,
    to: Address,
    value: U256,
    data: &[u8],
    revert_limit: usize,
) -> Result<(), Revert> {
    if send(vm, to, value, data) {
        Ok(())
    } else {
        Err(Revert(vm.read_return_data(0, Some(revert_limit))))
    }
}

/// Calls a view function of `to` with all gas, so that it can change nothing.
pub fn view(vm: &VM, to: Address, data: &[u8]) -> Result<Vec<u8>, Revert> {
    // SAFETY: as in `call`.
    unsafe { RawCall::new_static(vm).clear_storage_cache().call(to, data) }.map_err(Revert)
}

/// Creates a contract; with a salt, at its CREATE2 address.
pub fn create(
    vm: &VM,
    init_code: &[u8],
    value: U256,
    salt: Option<B256>,
) -> Result<Address, Revert> {
    // SAFETY: as in `call`.
    unsafe { RawDeploy::new().salt_option(salt).clear_storage_cache().deploy(vm, init_code, value) }
        .map_err(Revert)
}

/// Emits a log: the event's signature and indexed members as topics, the rest as data.
pub fn log(vm: &VM, topics: &[B256], data: &[u8]) {
    let mut bytes = Vec::with_capacity(32 * topics.len() + data.len());
    for topic in topics {
        bytes.extend_from_slice(topic.as_slice());
    }
    bytes.extend_from_slice(data);
    vm.emit_log(&bytes, topics.len());
}

/// Whether an account has code.
pub fn has_code(vm: &VM, account: Address) -> bool {
    vm.code_size(account) > 0
}
