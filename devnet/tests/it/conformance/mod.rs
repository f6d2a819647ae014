//! Every host function as a program sees it, and the rules around programs, asserted through the
//! chain.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a case fails by a panic; the lints spare only the functions marked as tests"
)]

mod accounts;
mod activation;
mod args;
mod bare;
mod calls;
mod creations;
mod ending;
mod evm;
mod facts;
mod gas;
mod logs;
mod math;
mod memory;
mod nesting;
mod rust;
mod solidity;
mod storage;
mod system;
mod tracing;
mod transient;
mod world;
