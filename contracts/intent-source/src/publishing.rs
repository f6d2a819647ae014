//! Publishing: an event, no storage.

use alloy_primitives::{Address, B256};
use alloy_sol_types::SolEvent;
use parts::{Revert, Writer, external::log};
use protocol::{
    abi::intent_source::{IntentAlreadyExists, IntentPublished, RewardTokensNotUnique},
    intent::{Reward, Status, write_legs},
    words::padded,
};
use stylus_sdk::prelude::*;

use crate::{IntentSource, escrow::Escrow};

impl IntentSource {
    /// The status of an intent.
    pub(crate) fn status(&self, intent_hash: B256) -> u8 {
        self.statuses.get(intent_hash).to()
    }

    /// Whether an intent can still be published and funded.
    pub(crate) const fn is_open(status: u8) -> bool {
        status == Status::Initial as u8 || status == Status::Funded as u8
    }

    /// Emits `IntentPublished`. Repeatable by anyone while the intent is open: consumers tell intents by their hash.
    ///
    /// # Errors
    /// `RewardTokensNotUnique(alias)`; `IntentAlreadyExists(hash)` once the intent was withdrawn or refunded.
    pub(crate) fn announce(&self, escrow: &Escrow, route: &[u8]) -> Result<(), Revert> {
        self.refuse_native_alias(&escrow.reward)?;
        if !Self::is_open(self.status(escrow.hash.0)) {
            return Err(IntentAlreadyExists { intentHash: escrow.hash.0 }.into());
        }
        let reward = &escrow.reward;
        let data = Writer::new(7 + padded(route.len()) / 32 + 2 * reward.tokens.len())
            .uint64(escrow.destination)
            .size(0xa0)
            .uint64(reward.deadline)
            .uint(reward.nativeAmount)
            .size(0xc0 + padded(route.len()))
            .bytes(route);
        let topics = [
            IntentPublished::SIGNATURE_HASH,
            escrow.hash.0,
            reward.creator.into_word(),
            reward.prover.into_word(),
        ];
        log(self.vm(), &topics, write_legs(data, &reward.tokens).as_slice());
        Ok(())
    }

    /// On a chain where an ERC-20 mirrors the native balance, a reward must not name both: the same coins would count
    /// twice.
    ///
    /// # Errors
    /// `RewardTokensNotUnique(alias)`.
    pub(crate) fn refuse_native_alias(&self, reward: &Reward) -> Result<(), Revert> {
        if reward.nativeAmount.is_zero() || reward.tokens.is_empty() {
            return Ok(());
        }
        let alias = self.native_erc20.get();
        if !alias.is_zero() && names(reward, alias) {
            return Err(RewardTokensNotUnique { token: alias }.into());
        }
        Ok(())
    }
}

/// Whether a token is among the legs of a reward, with whatever amount.
pub(crate) fn names(reward: &Reward, token: Address) -> bool {
    reward.tokens.iter().any(|leg| leg.token == token)
}
