//! Ink, the unit in which programs pay, and the prices of host functions.
//!
//! The schedule is the published one of ArbOS 60. Inside the engine ink is counted as fuel, whose
//! unit is coarser because the engine's price of an operator is one byte.

use std::ops::Add;

/// Ink that one unit of gas buys.
pub(crate) const INK_PER_GAS: u64 = 10_000;
/// Ink of one unit of the engine's fuel.
pub(super) const INK_PER_FUEL: u64 = 25;
/// Fuel that one unit of gas buys.
pub(super) const FUEL_PER_GAS: u64 = INK_PER_GAS / INK_PER_FUEL;

/// An amount of ink.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Ink(pub(super) u64);

/// Entering any host function.
pub(super) const HOST_CALL: Ink = Ink(8_400);
/// Each pointer that a host function follows.
pub(super) const POINTER: Ink = Ink(5_040);
/// Reaching beyond the program, into the state of the chain.
pub(super) const EVM_API: Ink = Ink(59_673);

impl Ink {
    pub(super) const fn from_gas(gas: u64) -> Self {
        Self(gas.saturating_mul(INK_PER_GAS))
    }

    /// The same amount in the engine's unit, rounded up.
    pub(super) const fn fuel(self) -> u64 {
        self.0.div_ceil(INK_PER_FUEL)
    }

    pub(super) const fn times(self, count: u64) -> Self {
        Self(self.0.saturating_mul(count))
    }
}

impl Add for Ink {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

/// Copying `len` bytes out of the program's memory.
pub(super) fn read(len: usize) -> Ink {
    Ink(16_381) + Ink(55).times(beyond_first_word(len))
}

/// Copying `len` bytes into the program's memory.
pub(super) fn write(len: usize) -> Ink {
    POINTER + Ink(30).times(beyond_first_word(len))
}

/// Hashing `len` bytes.
pub(super) fn keccak(len: usize) -> Ink {
    Ink(121_800) + Ink(21_000).times(len.div_ceil(32).saturating_sub(2) as u64)
}

fn beyond_first_word(len: usize) -> u64 {
    len.saturating_sub(32) as u64
}
