//! The aggregator against providers that misbehave in every way there is.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

mod faulty_providers;
mod providers;
