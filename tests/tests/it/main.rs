//! Cases over a whole system of chains, contracts and services.

mod chains;
mod competition;
mod faults;
mod messages;
mod refund;
mod reorgs;
mod requests;
mod resilience;
mod transfer;
mod typescript;
