//! How every program of the Metalayer reaches a chain: reading, sending, following, and the manifest that says where
//! things are.
//!
//! * [`client::ChainClient`] reads one chain through one or more RPC URLs: hedged or by quorum, with failover.
//! * [`sender::Sender`] owns one nonce stream (one key on one chain) and journals every transaction before it is sent.
//! * [`follower::Follower`] hands out the logs of a chain block by block, taking blocks back when the chain does.
//! * [`db::Db`] is the SQL database that both keep their state in: SQLite or PostgreSQL.
//! * [`manifest::Manifest`] is what a deployment leaves behind and every other program reads.

pub mod client;
pub mod db;
pub mod finality;
pub mod follower;
pub mod keys;
pub mod manifest;
pub mod sender;

pub use client::ChainClient;
pub use db::Db;
pub use finality::{FinalityRule, Heads, safe_head};
pub use follower::Follower;
pub use keys::KeySource;
pub use manifest::Manifest;
pub use sender::Sender;
