//! Deployments on development chains.

#![expect(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

mod adding;
mod applying;
mod examples;
mod existing;
mod messages;
mod tampering;
mod world;
