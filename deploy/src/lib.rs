//! Puts the system on chains, checks what is there, and says how it is doing.
//!
//! A deployment is a list of [`fact::Fact`]s. [`Deployment::apply`] makes them true, [`Deployment::plan`] says what it
//! would do, [`Deployment::verify`] demands them, [`Deployment::add_chain`] makes those of one more chain true. All addresses
//! follow from the configuration and the codes ([`layout`]), so nothing has to be remembered between runs; [`hyperlane`] has
//! the creation code of Hyperlane's published core.

mod activation;
mod add_chain;
mod apply;
pub mod config;
mod creation;
mod crew;
pub mod fact;
mod facts;
pub mod hyperlane;
pub mod layout;
mod plan;
mod record;
mod status;
mod validators;
mod verify;

pub use add_chain::{Added, CallBatch, Existing, OwnerCall};
pub use apply::{CRASH_POINTS, Deployment, Error, apply};
pub use config::{ChainConfig, Config, RemoteGas};
pub use plan::{ChainPlan, Plan, Step};
pub use status::{ChainState, ChainStatus, Status, status};
pub use verify::{Finding, Report};
