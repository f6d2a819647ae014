//! The wire: what contracts and services of the Metalayer say to one another, byte for byte.
//!
//! Nothing here does I/O. The same code is compiled into the on-chain WASM programs (feature `stylus`)
//! and into every service, so that a hash, a codec or a verification rule exists exactly once.
//!
//! | module | what it holds |
//! |---|---|
//! | [`ids`], [`finality`] | identities and tiers that must not be confused |
//! | [`intent`], [`proof`], [`erc7683`] | the intent protocol |
//! | [`message`] | the envelope and the message inside it |
//! | [`merkle`], [`checkpoint`], [`announcement`], [`read`], [`multisig`] | what validators keep, sign and prove |
//! | [`create2`] | addresses known in advance |
//! | [`abi`] | interfaces of every contract |

#![cfg_attr(not(feature = "std"), no_std)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking"))]

extern crate alloc;

pub mod abi;
pub mod announcement;
pub mod checkpoint;
pub mod create2;
pub mod erc7683;
pub mod finality;
pub mod ids;
pub mod intent;
pub mod merkle;
pub mod message;
pub mod multisig;
pub mod proof;
pub mod puppet;
pub mod read;
pub mod revert;
pub mod signable;
pub mod words;
