//! The execution layer: asks every provider for a quote at once, ranks what they say, hands out
//! ready-to-sign transactions and follows orders by the events of both chains.
//!
//! # Invariants
//! * Nothing is written per quote: a quote's id proves what was quoted.
//! * No state of an order is invented: each comes from an event on a chain, and goes when a reorg
//!   takes the event back.

pub mod book;
pub mod cache;
mod config;
pub mod http;
mod market;
pub mod orders;
pub mod provider;
mod pulse;
pub mod quoting;
pub mod reputation;
mod spawn;
pub mod webhooks;

pub use config::{
    Config, ContractConfig, KeyConfig, ProviderConfig, SolverConfig, TokenConfig, TokenPrice,
};
pub use spawn::{Handle, SpawnError, spawn};
