//! HTTP types of the solver's and the aggregator's APIs, and the Rust client of the aggregator.
//!
//! Types here are the wire format and nothing else: services convert at the door.

pub mod aggregator;
mod amount;
mod client;
pub mod solver;
mod text;

pub use amount::{Amount, AmountError};
pub use client::{Client, ClientError};
