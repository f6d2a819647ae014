//! The re-entrancy lock.

use alloy_primitives::B256;
use alloy_sol_types::sol;

use crate::{Revert, transient};

sol! {
    /// A locked function was entered while one of the same program was running.
    #[derive(Debug, PartialEq, Eq)]
    error ReentrancyGuardReentrantCall();
}

/// keccak256("metalayer.lock"): the transient slot of the lock.
const SLOT: B256 =
    alloy_primitives::b256!("0x3201276fc85823c10de41ba3a3bdceec9cf712a10d32441a83a8c809dd4b9a5b");

/// Held while a locked function runs. One lock a program, in transient storage: it costs no storage write, a revert
/// undoes it with everything else, and dropping it releases it on every return path.
#[derive(Debug)]
#[must_use = "the lock is released when this is dropped"]
pub struct Lock(());

impl Lock {
    /// Takes the lock.
    ///
    /// # Errors
    /// `ReentrancyGuardReentrantCall()` when it is held by an outer call of this transaction.
    pub fn enter() -> Result<Self, Revert> {
        if transient::load(SLOT).is_zero() {
            transient::store(SLOT, B256::with_last_byte(1));
            Ok(Self(()))
        } else {
            Err(ReentrancyGuardReentrantCall {}.into())
        }
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        transient::store(SLOT, B256::ZERO);
    }
}
