//! Reverts with data.

use alloc::vec::Vec;

use alloy_primitives::U256;
use alloy_sol_types::{Panic, SolError};

use crate::words::Malformed;

/// The data a program reverts with: an encoded Solidity error, what a callee reverted with, or nothing at all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Revert(pub Vec<u8>);

impl Revert {
    /// A revert without data: undecodable input or output, as Solidity's decoder reverts.
    pub const fn empty() -> Self {
        Self(Vec::new())
    }

    /// Solidity's `Panic(0x11)`: checked arithmetic overflowed.
    pub fn overflow() -> Self {
        Panic { code: U256::from(0x11) }.into()
    }
}

impl<E: SolError> From<E> for Revert {
    fn from(error: E) -> Self {
        Self(error.abi_encode())
    }
}

impl From<Malformed> for Revert {
    /// Without data, as Solidity's decoder.
    fn from(Malformed: Malformed) -> Self {
        Self::empty()
    }
}

impl From<Revert> for Vec<u8> {
    fn from(revert: Revert) -> Self {
        revert.0
    }
}
