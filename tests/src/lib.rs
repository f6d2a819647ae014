//! What the end-to-end tests stand on: a [`World`] of chains and services, the people in it, and
//! what must hold when they are done.

pub mod actor;
mod environment;
pub mod invariants;
pub mod patience;
pub mod tools;
pub mod world;

pub use actor::{Actor, Bridged, Transfer};
pub use world::World;
