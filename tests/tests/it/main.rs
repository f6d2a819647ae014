//! Cases over a whole system of chains, contracts and services.

mod refund;
mod resilience;
mod transfer;
