//! The settlement agents against vectors, Hyperlane's bytecode and development chains.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

mod acceptance;
mod crashes;
mod delivery;
mod examples;
mod faults;
mod folder;
mod gas;
mod golden;
mod hostile;
mod nodes;
mod reads;
mod reorgs;
mod system;
mod world;
