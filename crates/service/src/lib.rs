//! The life of a long-running process: configuration, secrets, logs, metrics, tasks and their end.
//!
//! Knows no chain and no protocol. Every service is a library built on these parts, and the
//! command line only joins them.
//!
//! * [`config`] reads a TOML file and reports every fault in it at once.
//! * [`secret`] holds what must never be printed.
//! * [`telemetry`] sends logs to stderr; stdout belongs to results.
//! * [`tasks`] runs named tasks, ends the process when one fails and stops them within a bound.
//! * [`admin`] serves `/metrics` and `/health`.
//! * [`caller`] says whom limits count a request for.
//! * [`clock`], [`retry`] and [`crash`] make time, failure and sudden death testable.

pub mod admin;
pub mod caller;
pub mod clock;
pub mod config;
pub mod crash;
pub mod health;
pub mod retry;
pub mod secret;
pub mod signal;
pub mod tasks;
pub mod telemetry;
