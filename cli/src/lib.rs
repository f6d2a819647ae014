//! The command line: parses arguments, joins the services, and writes results.
//!
//! stdout carries the result of a command and nothing else; logs, progress and errors go to
//! stderr. `--json` changes the form of the result, never the stream.

mod amounts;
mod args;
mod command;
pub mod invariants;
pub mod local;
mod output;
pub mod refund;
mod soak;
mod transfer;
pub mod wallet;

pub use args::Args;
pub use output::Output;
