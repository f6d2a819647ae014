//! The solver on development chains with the real contracts.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

mod chains;
mod chaos;
mod crashes;
mod door;
mod fills;
mod hostile;
mod invariants;
mod mocks;
mod operator;
mod prices;
mod quotes;
mod rebalancing;
mod refusals;
mod restarts;
mod rollups;
mod steps;
mod wallets;
mod world;
