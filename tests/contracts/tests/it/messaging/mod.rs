//! Router and modules between two chains with Hyperlane's published core. Each test names the rule it keeps.

mod administration;
mod confirmation;
mod delivery;
mod forms;
pub(crate) mod gas;
mod modules;
mod multicall;
mod policy;
mod published;
mod reads;
mod receiving;
mod sending;
