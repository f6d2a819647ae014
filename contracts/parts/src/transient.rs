//! Transient storage: words that last as long as the transaction. The SDK does not bind these two host functions.

#![cfg_attr(target_arch = "wasm32", expect(unsafe_code, reason = "host functions take pointers"))]

use alloy_primitives::{B256, U256};

/// The slot `index` words after `base`.
pub fn slot(base: B256, index: usize) -> B256 {
    (U256::from_be_bytes(base.0).wrapping_add(U256::from(index))).into()
}

/// The word at `slot`; zero when nothing was stored in this transaction.
#[cfg(target_arch = "wasm32")]
pub fn load(slot: B256) -> B256 {
    let mut value = B256::ZERO;
    // SAFETY: both pointers are to 32 bytes of this program's memory.
    unsafe { imports::transient_load_bytes32(slot.as_ptr(), value.as_mut_ptr()) };
    value
}

/// Keeps `value` at `slot` until the transaction ends or reverts.
#[cfg(target_arch = "wasm32")]
pub fn store(slot: B256, value: B256) {
    // SAFETY: as above.
    unsafe { imports::transient_store_bytes32(slot.as_ptr(), value.as_ptr()) };
}

#[cfg(target_arch = "wasm32")]
mod imports {
    #[link(wasm_import_module = "vm_hooks")]
    unsafe extern "C" {
        pub(super) fn transient_load_bytes32(key: *const u8, dest: *mut u8);
        pub(super) fn transient_store_bytes32(key: *const u8, value: *const u8);
    }
}

/// Off chain, where programs are only compiled and never run, there is no transient storage.
#[cfg(not(target_arch = "wasm32"))]
pub const fn load(_: B256) -> B256 {
    B256::ZERO
}

/// Off chain, where programs are only compiled and never run, there is no transient storage.
#[cfg(not(target_arch = "wasm32"))]
pub const fn store(_: B256, _: B256) {}
