//! What the prover of a reward knows of an intent.

use alloy_primitives::{Address, U256};
use alloy_sol_types::SolCall;
use parts::{Frame, Revert, Writer, external};
use protocol::abi::prover::{challengeIntentProofCall, provenIntentsCall};
use stylus_sdk::host::VM;

use crate::escrow::Escrow;

/// A prover's answer. No claimant means no proof.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Proof {
    pub(crate) claimant: Address,
    destination: u64,
}

impl Proof {
    /// Asks the reward's prover.
    ///
    /// # Errors
    /// What the prover reverts with; an empty revert when there is no prover or its answer is malformed.
    pub(crate) fn of(vm: &VM, escrow: &Escrow) -> Result<Self, Revert> {
        let query = Writer::call(provenIntentsCall::SELECTOR, 1).word(escrow.hash.0).finish();
        let answer = external::view(vm, escrow.reward.prover, &query)?;
        let answer = Frame(&answer);
        Ok(Self { claimant: answer.address(0)?, destination: answer.uint64(1)? })
    }

    /// As [`Self::of`], but a prover without code has proven nothing: its absence must not lock the reward for ever.
    pub(crate) fn if_any(vm: &VM, escrow: &Escrow) -> Result<Self, Revert> {
        if external::has_code(vm, escrow.reward.prover) {
            Self::of(vm, escrow)
        } else {
            Ok(Self::default())
        }
    }

    /// Whether the intent was proven where it asked to be fulfilled.
    pub(crate) fn is_right(&self, escrow: &Escrow) -> bool {
        !self.claimant.is_zero() && self.destination == escrow.destination
    }

    /// Whether the intent was proven somewhere else.
    pub(crate) fn is_wrong(&self, escrow: &Escrow) -> bool {
        !self.claimant.is_zero() && self.destination != escrow.destination
    }
}

/// Asks the reward's prover to drop a proof of the wrong chain.
///
/// # Errors
/// What the prover reverts with.
pub(crate) fn challenge(vm: &VM, escrow: &Escrow) -> Result<(), Revert> {
    let request = Writer::call(challengeIntentProofCall::SELECTOR, 3)
        .uint64(escrow.destination)
        .word(escrow.route_hash.0)
        .word(escrow.reward_hash.0)
        .finish();
    external::call(vm, escrow.reward.prover, U256::ZERO, &request).map(|_| ())
}
