//! Tests of the chains from outside: in-process, and through JSON-RPC.

#![expect(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

mod bench;
mod cargo_stylus;
mod clients;
mod conformance;
mod differential;
mod in_process;
mod network;
mod rpc;
mod tools;
