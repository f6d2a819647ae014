//! The solver on development chains with the real contracts.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

mod chains;
mod chaos;
mod crashes;
mod fills;
mod hostile;
mod invariants;
mod mocks;
mod prices;
mod rebalancing;
mod refusals;
mod restarts;
mod steps;
mod world;
