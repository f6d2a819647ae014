//! Tests of the on-chain programs, by the WASM that is deployed.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

mod coverage;
mod exported;
mod funding;
mod hostile;
mod inbox;
mod invariants;
mod local;
mod malformed;
mod messaging;
mod orders;
mod settlement;
mod slice;
mod snapshots;
mod vectors;
