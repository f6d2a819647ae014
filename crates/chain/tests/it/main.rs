//! The crate against development chains and real databases.

#![expect(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

mod client;
mod databases;
mod db;
mod follower;
mod sender;
