//! The aggregator over chains, databases, providers and receivers that behave in every way there is.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

mod admission;
mod caching;
mod contract;
mod counters;
mod databases;
mod faulty_providers;
mod faulty_solvers;
mod instances;
mod limits;
mod market;
mod openapi;
mod opening;
mod order_facts;
mod orders;
mod providers;
mod pruning;
mod recovery;
mod reputation;
mod request_faults;
mod system;
mod webhooks;
