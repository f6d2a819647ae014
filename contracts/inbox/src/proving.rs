//! Proving: recorded claimants are handed to a prover, which takes them to the origin.

use alloc::vec::Vec;

use alloy_primitives::{Address, B256, U256};
use alloy_sol_types::{SolCall, SolEvent};
use parts::{Revert, Writer, external, external::log};
use protocol::{
    abi::{
        inbox::{IntentNotFulfilled, IntentProven},
        prover,
    },
    words::padded,
};
use stylus_sdk::prelude::*;

use crate::Inbox;

/// How proofs travel: through which prover, to which messaging domain, with what data for that prover. None of it is
/// checked here.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Delivery<'a> {
    /// The prover on this chain.
    pub(crate) prover: Address,
    /// The origin's messaging domain, which need not be its chain id.
    pub(crate) domain: u64,
    /// For the prover.
    pub(crate) data: &'a [u8],
}

impl Inbox {
    /// Hands the claimants of fulfilled intents to a prover, with `value` wei for its fee. Repeatable; what the prover does
    /// not need it returns to the caller itself.
    ///
    /// # Errors
    /// `IntentNotFulfilled(hash)`; an empty revert for a prover without code; what the prover reverts with.
    pub(crate) fn prove(
        &self,
        intents: &[B256],
        delivery: Delivery<'_>,
        value: U256,
    ) -> Result<(), Revert> {
        let vm = self.vm();
        // protocol::proof: eight bytes of chain id, then intent and claimant of each.
        let mut payload = Vec::with_capacity(8 + 64 * intents.len());
        payload.extend_from_slice(&vm.chain_id().to_be_bytes());
        for intent in intents {
            let claimant = self.claimants.get(*intent);
            if claimant.is_zero() {
                return Err(IntentNotFulfilled { intentHash: *intent }.into());
            }
            payload.extend_from_slice(intent.as_slice());
            payload.extend_from_slice(claimant.as_slice());
            log(vm, &[IntentProven::SIGNATURE_HASH, *intent, claimant], &[]);
        }
        if !external::has_code(vm, delivery.prover) {
            return Err(Revert::empty());
        }
        let request = Writer::call(prover::proveCall::SELECTOR, 6 + payload.len() / 32)
            .address(vm.msg_sender())
            .uint64(delivery.domain)
            .size(0x80)
            .size(0xa0 + padded(payload.len()))
            .bytes(&payload)
            .bytes(delivery.data)
            .finish();
        external::call(vm, delivery.prover, value, &request).map(|_| ())
    }
}
