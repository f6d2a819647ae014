//! The settlement agents: a validator that signs message trees and a relayer that delivers messages,
//! byte-compatible with Hyperlane's, so that either side can be replaced by the official agent.
//!
//! * [`checkpoints`] is the store between them: files that one writes and the other reads.
//! * [`validator`] signs what has reached a tier's finality, and never anything else.
//! * [`relayer`] carries messages; nobody has to trust it.

mod admission;
mod agent;
pub mod checkpoints;
mod config;
pub mod history;
pub mod relayer;
mod trunk;
pub mod validator;
