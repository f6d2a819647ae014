//! Settlement: a reward is paid to the proven claimant, or given back to its creator.
//!
//! The status is written before anything is called that could call back.

use alloc::vec::Vec;

use alloy_primitives::{Address, B256, U8, U256};
use alloy_sol_types::SolEvent;
use parts::{Revert, external::log};
use protocol::{
    abi::intent_source::{
        ArrayLengthMismatch, IntentNotClaimed, IntentRefunded, IntentTokenRecovered,
        IntentWithdrawn, InvalidClaimant, InvalidRecoverToken, InvalidStatusForRefund,
        InvalidStatusForWithdrawal, NotCreatorCaller,
    },
    intent::{Reward, Status},
};
use stylus_sdk::prelude::*;

use crate::{
    IntentSource,
    escrow::Escrow,
    proof::{self, Proof},
    publishing::names,
};

impl IntentSource {
    /// Pays the reward to the proven claimant. A proof of the wrong chain is challenged instead, successfully and without
    /// any change here.
    ///
    /// # Errors
    /// `InvalidStatusForWithdrawal(status)`, then `InvalidClaimant()` without a proof; as
    /// [`Vault::withdraw`](vault::Vault::withdraw); what the prover reverts with.
    pub(crate) fn pay(&mut self, escrow: &Escrow) -> Result<(), Revert> {
        let proof = Proof::of(self.vm(), escrow)?;
        if proof.is_wrong(escrow) {
            return proof::challenge(self.vm(), escrow);
        }
        let status = self.status(escrow.hash.0);
        if !Self::is_open(status) {
            return Err(InvalidStatusForWithdrawal { status }.into());
        }
        if proof.claimant.is_zero() {
            return Err(InvalidClaimant {}.into());
        }
        self.set_status(escrow, Status::Withdrawn);
        escrow.vault.deploy(self.vm())?;
        escrow.vault.withdraw(self.vm(), &escrow.reward, proof.claimant)?;
        let topics = [IntentWithdrawn::SIGNATURE_HASH, proof.claimant.into_word()];
        log(self.vm(), &topics, escrow.hash.as_slice());
        Ok(())
    }

    /// Pays several.
    ///
    /// # Errors
    /// `ArrayLengthMismatch()`; as [`Self::pay`] for the first that fails.
    pub(crate) fn pay_all(
        &mut self,
        destinations: Vec<u64>,
        route_hashes: Vec<B256>,
        rewards: Vec<Reward>,
    ) -> Result<(), Revert> {
        if destinations.len() != route_hashes.len() || destinations.len() != rewards.len() {
            return Err(ArrayLengthMismatch {}.into());
        }
        for ((destination, route_hash), reward) in
            destinations.into_iter().zip(route_hashes).zip(rewards)
        {
            self.pay(&Escrow::new(self.vm(), destination, route_hash.into(), reward))?;
        }
        Ok(())
    }

    /// Gives all of the reward back. Rightly proven and still open: refused at any time. Not rightly proven: refused until
    /// the deadline. Otherwise allowed from any status and as often as wanted, so that what arrives later is not lost.
    ///
    /// # Errors
    /// `InvalidStatusForRefund(status, now, deadline)`; `IntentNotClaimed(hash)`; as
    /// [`Vault::refund`](vault::Vault::refund).
    pub(crate) fn give_back(&mut self, escrow: &Escrow, refundee: Address) -> Result<(), Revert> {
        let proof = Proof::if_any(self.vm(), escrow)?;
        let status = self.status(escrow.hash.0);
        if proof.is_right(escrow) {
            if Self::is_open(status) {
                return Err(IntentNotClaimed { intentHash: escrow.hash.0 }.into());
            }
        } else {
            let now = self.vm().block_timestamp();
            let deadline = escrow.reward.deadline;
            if now < deadline {
                return Err(InvalidStatusForRefund {
                    status,
                    currentTime: U256::from(now),
                    deadline: U256::from(deadline),
                }
                .into());
            }
        }
        self.set_status(escrow, Status::Refunded);
        escrow.vault.deploy(self.vm())?;
        escrow.vault.refund(self.vm(), &escrow.reward, refundee)?;
        let topics = [IntentRefunded::SIGNATURE_HASH, refundee.into_word()];
        log(self.vm(), &topics, escrow.hash.as_slice());
        Ok(())
    }

    /// Refuses every caller but the creator.
    ///
    /// # Errors
    /// `NotCreatorCaller(caller)`.
    pub(crate) fn only_creator(&self, reward: &Reward) -> Result<(), Revert> {
        let caller = self.vm().msg_sender();
        if caller == reward.creator { Ok(()) } else { Err(NotCreatorCaller { caller }.into()) }
    }

    /// Sends a token that is no part of the reward to the creator, in any status.
    ///
    /// # Errors
    /// `InvalidRecoverToken(token)` for zero, a token of the reward, or the mirror of a native reward; as
    /// [`Vault::recover`](vault::Vault::recover).
    pub(crate) fn recover_stray(&mut self, escrow: &Escrow, token: Address) -> Result<(), Revert> {
        let reward = &escrow.reward;
        let mirrors_native = || !reward.nativeAmount.is_zero() && token == self.native_erc20.get();
        if token.is_zero() || names(reward, token) || mirrors_native() {
            return Err(InvalidRecoverToken { token }.into());
        }
        escrow.vault.deploy(self.vm())?;
        escrow.vault.recover(self.vm(), reward.creator, token)?;
        let topics =
            [IntentTokenRecovered::SIGNATURE_HASH, reward.creator.into_word(), token.into_word()];
        log(self.vm(), &topics, escrow.hash.as_slice());
        Ok(())
    }

    fn set_status(&mut self, escrow: &Escrow, status: Status) {
        self.statuses.insert(escrow.hash.0, U8::from(status as u8));
    }
}
