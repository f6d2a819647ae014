//! What the tests of the on-chain programs stand on: a chain with everything deployed, hostile contracts, builders of
//! intents, and assertions on exact revert data and logs.
//!
//! Every program runs as the WASM that is deployed, in the development chain's virtual machine.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    missing_docs,
    reason = "test support fails by panicking, and its names are sentences"
)]

pub mod exported;
pub mod intents;
pub mod messaging;
pub mod mocks;
pub mod outcome;
#[path = "../../src/tools.rs"]
pub mod tools;
pub mod world;

pub use outcome::{Logs, Outcome};
pub use world::World;
