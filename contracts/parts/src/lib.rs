//! What the on-chain programs share: the one way to call out, safe ERC-20, the re-entrancy lock, the puppet
//! accounts that hold money for a program, ownership, and reverts with data.
//!
//! Everything here runs inside a Stylus program; nothing keeps state of its own except [`Ownable`] (storage of the
//! program that holds it) and [`Lock`] (one transient slot).

#![cfg_attr(not(any(test, feature = "export-abi")), no_std)]

extern crate alloc;

pub mod answer;
pub mod erc20;
#[cfg(feature = "export-abi")]
pub mod export;
pub mod external;
mod lock;
pub use lock::Lock;
pub mod module;
mod ownable;
pub use ownable::Ownable;
pub mod program;
pub use program::Program;
pub mod puppet;
pub mod transient;
pub use protocol::{
    revert::Revert,
    words::{Frame, Writer},
};
