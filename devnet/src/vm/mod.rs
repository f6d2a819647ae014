//! Execution of EVM code and Stylus programs in one virtual machine.
//!
//! [`Executor`] runs one transaction on any [`revm::Database`] and hands back its result with the
//! state it wrote, for the caller to keep or drop. Everything that outlives a transaction is state of
//! the chain (see [`crate::arbos`]), so that snapshots, reverts and reorgs carry it.
//!
//! `evm` is the frame loop, `frame` runs a program as one of its frames, `hostio` holds the functions
//! that programs import and `serve` what those ask of the chain; `ink`, `operator_prices`, `pages`
//! and `start` say what everything costs.

mod environment;
mod estimate;
mod evm;
mod executor;
mod frame;
mod hostio;
pub(crate) mod ink;
mod machine;
pub(crate) mod modules;
mod operator_prices;
pub(crate) mod pages;
pub(crate) mod scope;
mod serve;
pub(crate) mod start;

pub use environment::{Environment, Rules};
pub use executor::{Executor, VmContext};
pub use scope::Scope;
