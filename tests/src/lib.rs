//! What the end-to-end tests stand on: a [`World`] of chains and services, the people in it, and
//! what must hold when they are done.

pub mod actor;
mod embedded;
mod environment;
pub mod invariants;
pub mod letter;
pub mod needs;
pub mod patience;
pub mod tools;
pub mod transfer;
pub mod world;

pub use actor::Actor;
pub use letter::{Letter, Posted};
pub use transfer::{Bridged, Quoted, Transfer};
pub use world::World;
