//! The solver: fills intents with its own money and gets the rewards home.
//!
//! ```text
//! intake → filter (on facts) → price → reserve → fill → prove → claim → booked
//! ```
//!
//! * [`order`] is an intent as we track it: one state machine, one transition table.
//! * [`store`] is its memory in SQL; every state is written before what it allows happens.
//! * [`intake`] brings intents in; [`facts`] says what the chains show of one; [`filter`] decides.
//! * [`pricing`] is the profit formula; [`prices`] decides which prices are believed.
//! * [`engine`] moves orders on: one dispatch over the states, and the proof and claim batches.
//! * [`quote`], [`http`] and `admin` face aggregators, users and the operator.
//! * [`report`] and [`explain`] say what happened and why.

mod admin;
mod clock;
mod config;
mod counters;
mod data_fee;
pub mod engine;
pub mod explain;
pub mod facts;
pub mod fill;
pub mod filter;
pub mod http;
pub mod intake;
pub mod inventory;
mod latency;
pub mod money;
pub mod network;
pub mod order;
pub mod policy;
pub mod preflight;
pub mod pricing;
pub mod proving;
pub mod quote;
pub mod rebalance;
mod receipt;
pub mod report;
mod spawn;
pub mod store;
pub mod valuer;

pub use config::{
    BatchConfig, ChainConfig, Config, Confirmation, Environment, L1Fee, LimitsConfig, ListsConfig,
    RebalanceConfig, RouteConfig, Run, TierConfig, TokenConfig,
};
pub use spawn::{Error, Handle, spawn};
