//! Sending: the Inbox of this chain hands over proofs, the router takes them to their origin.

use alloc::vec::Vec;

use alloy_primitives::{Address, B256, U256};
use alloy_sol_types::SolCall;
use parts::{Frame, Revert, Writer, external};
use protocol::{
    abi::{
        prover::{DomainIdTooLarge, InsufficientFee, RefundFailed, UnauthorizedSender},
        router::{dispatch_1Call, quoteDispatch_2Call},
    },
    words::padded,
};
use stylus_sdk::prelude::*;

use crate::MetaProver;

/// `msg.value` of the metadata we quote with: above any fee, so that no hook refuses the quote for it.
const QUOTED_VALUE: u128 = 1_000_000_000_000_000_000_000_000_000_000_000_000;

/// What the router will be asked to send, and what it asks for that.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Quote {
    domain: u32,
    recipient: B256,
    gas_limit: U256,
    pub(crate) fee: U256,
}

impl MetaProver {
    /// Sends proofs. What the fee leaves of the value goes back to `sender`.
    ///
    /// # Errors
    /// `UnauthorizedSender(PORTAL, caller)`; as [`Self::quote`]; `InsufficientFee(fee)`; what the router reverts with;
    /// `RefundFailed(sender, amount)`.
    pub(crate) fn prove(
        &self,
        sender: Address,
        domain: u64,
        proofs: &[u8],
        data: &[u8],
    ) -> Result<(), Revert> {
        let vm = self.vm();
        let (expected, actual) = (self.portal.get(), vm.msg_sender());
        if actual != expected {
            return Err(UnauthorizedSender { expected, actual }.into());
        }
        let quote = self.quote(domain, proofs, data)?;
        let value = vm.msg_value();
        if value < quote.fee {
            return Err(InsufficientFee { requiredFee: quote.fee }.into());
        }
        external::call(vm, self.router.get(), quote.fee, &self.dispatch_data(&quote, proofs))?;
        let amount = value - quote.fee;
        if amount.is_zero() || sender.is_zero() || external::send(vm, sender, amount, &[]) {
            Ok(())
        } else {
            Err(RefundFailed { recipient: sender, amount }.into())
        }
    }

    /// Asks the router what proofs cost. `data` are two words: the prover on the origin, and the gas limit there, raised to
    /// the least one.
    ///
    /// # Errors
    /// An empty revert for short `data`; `DomainIdTooLarge(domain)`; what the router reverts with.
    pub(crate) fn quote(&self, domain: u64, proofs: &[u8], data: &[u8]) -> Result<Quote, Revert> {
        let data = Frame(data);
        let (recipient, gas_limit) = (data.word(0)?, data.uint(1)?);
        let gas_limit = gas_limit.max(self.min_gas_limit.get().to());
        let Ok(domain) = u32::try_from(domain) else {
            return Err(DomainIdTooLarge { domainId: domain }.into());
        };
        let query = Writer::call(quoteDispatch_2Call::SELECTOR, 9 + proofs.len() / 32)
            .uint64(domain.into())
            .word(recipient)
            .size(0x80)
            .size(0xa0 + padded(proofs.len()))
            .bytes(proofs)
            .bytes(&hook_metadata(gas_limit, self.vm().msg_sender()))
            .finish();
        let answer = external::view(self.vm(), self.router.get(), &query)?;
        Ok(Quote { domain, recipient, gas_limit, fee: Frame(&answer).uint(0)? })
    }

    /// `dispatch(uint32, bytes32, ReadOperation[], bytes, uint8, uint256)` without reads.
    fn dispatch_data(&self, quote: &Quote, proofs: &[u8]) -> Vec<u8> {
        Writer::call(dispatch_1Call::SELECTOR, 9 + proofs.len() / 32)
            .uint64(quote.domain.into())
            .word(quote.recipient)
            .size(0xc0)
            .size(0xe0)
            .uint(self.finality.get().to())
            .uint(quote.gas_limit)
            .size(0)
            .bytes(proofs)
            .finish()
    }
}

/// Hyperlane's standard hook metadata, variant 1: value, gas limit, refund address.
fn hook_metadata(gas_limit: U256, refund_address: Address) -> [u8; 86] {
    let mut metadata = [0; 86];
    metadata[1] = 1;
    metadata[2..34].copy_from_slice(&U256::from(QUOTED_VALUE).to_be_bytes::<32>());
    metadata[34..66].copy_from_slice(&gas_limit.to_be_bytes::<32>());
    metadata[66..].copy_from_slice(refund_address.as_slice());
    metadata
}
