//! The aggregator over chains, databases, providers and receivers that behave in every way there is.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

mod caching;
mod contract;
mod databases;
mod faulty_providers;
mod instances;
mod limits;
mod openapi;
mod opening;
mod providers;
mod reputation;
mod request_faults;
mod system;
mod webhooks;
