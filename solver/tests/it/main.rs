//! The solver on development chains with the real contracts.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

mod crashes;
mod documents;
mod fills;
mod invariants;
mod refusals;
mod restarts;
mod world;
