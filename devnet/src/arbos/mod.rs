//! Arbitrum's system contracts, as far as programs and tools use them.
//!
//! They remember everything in the storage of [`ARBOS_STATE`], which is state of the chain like any
//! other: activations come and go with the blocks that hold them.

mod addresses;
mod arb_gas_info;
mod arb_info;
mod arb_owner_public;
mod arb_sys;
mod arb_wasm;
mod arb_wasm_cache;
mod call;
mod contracts;
mod genesis;
pub(crate) mod node_interface;
mod program;
mod state;

pub use addresses::{
    ARB_GAS_INFO, ARB_INFO, ARB_OWNER_PUBLIC, ARB_SYS, ARB_WASM, ARB_WASM_CACHE, ARBOS_STATE,
    NODE_INTERFACE,
};
pub(crate) use contracts::SystemContracts;
pub use genesis::genesis_accounts;
pub(crate) use genesis::genesis_activation;
pub(crate) use program::ProgramRecord;
pub(crate) use state::SystemState;
