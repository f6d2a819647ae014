//! Cases over a whole system of chains, contracts and services.

mod competition;
mod faults;
mod refund;
mod reorgs;
mod resilience;
mod transfer;
mod typescript;
