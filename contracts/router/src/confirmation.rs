//! Confirmations: one message back for many that arrived.

use alloc::vec::Vec;

use alloy_primitives::{B256, U256};
use alloy_sol_types::SolEvent;
use parts::{Revert, external};
use protocol::{
    abi::router::{
        InvalidFinality, InvalidIdCount, MalformedControlMessage, MetalayerConfirmed,
        NotConfirmable, RouterNotEnrolled,
    },
    finality::Tier,
    message::Message,
};
use stylus_sdk::prelude::*;

use crate::{Router, records::Record, sending::Outgoing};

/// The most ids in one confirmation.
const MAX_IDS: u64 = 256;

/// What a confirmation costs at its destination: a start, and a share for each id.
const CONFIRMATION_GAS: u64 = 60_000;
const GAS_PER_ID: u64 = 30_000;

impl Router {
    /// Tells `domain` that its messages `ids` arrived here. Anyone may pay for that, also during a pause.
    pub(crate) fn confirm(
        &mut self,
        domain: u32,
        ids: &[B256],
        finality: u64,
    ) -> Result<B256, Revert> {
        let (remote, tier) = self.way_back(domain, ids.len() as u64, finality)?;
        let mut body = Vec::with_capacity(32 * ids.len());
        for (index, id) in ids.iter().enumerate() {
            let record = Record::read(self.delivered.get(*id));
            if !record.is_some_and(|r| r.domain == domain && r.mark != Record::CONTROL) {
                return Err(NotConfirmable { messageId: *id }.into());
            }
            if !ids[..index].contains(id) {
                body.extend_from_slice(id.as_slice());
            }
        }
        let this = self.vm().contract_address().into_word();
        self.send(&confirmation(domain, remote, tier, &body), this, remote)
    }

    /// The price of confirming `count` ids.
    pub(crate) fn quote_confirm(
        &self,
        domain: u32,
        count: u64,
        finality: u64,
    ) -> Result<U256, Revert> {
        let (remote, tier) = self.way_back(domain, count, finality)?;
        let body = alloc::vec![0; 32 * count as usize];
        let this = self.vm().contract_address().into_word();
        self.quote_from(&confirmation(domain, remote, tier, &body), this, remote)
    }

    /// Takes the ids in a control message: one from the enrolled router of its origin to this router.
    pub(crate) fn take_confirmations(
        &mut self,
        envelope_sender: B256,
        message: &Message<'_>,
    ) -> Result<(), Revert> {
        let vm = self.vm().clone();
        let header = message.header;
        let origin = header.origin.0;
        let is_from_router =
            header.sender == envelope_sender && header.sender == self.remote(origin).router.get();
        let (ids, rest) = message.body.as_chunks::<32>();
        let is_plain = message.reads.is_empty() && vm.msg_value().is_zero() && rest.is_empty();
        if !(is_from_router && is_plain) {
            return Err(MalformedControlMessage {}.into());
        }
        for id in ids.iter().copied().map(B256::new) {
            // A router may speak only of what was sent to it.
            let record = Record::read(self.dispatched.get(id)).filter(|r| r.domain == origin);
            let Some(confirmed) = record.and_then(|record| record.confirmed_at(header.tier)) else {
                continue;
            };
            self.dispatched.insert(id, confirmed.word());
            external::log(
                &vm,
                &[MetalayerConfirmed::SIGNATURE_HASH, id, U256::from(origin).into()],
                &U256::from(header.tier.byte()).to_be_bytes::<32>(),
            );
        }
        Ok(())
    }

    fn way_back(&self, domain: u32, count: u64, finality: u64) -> Result<(B256, Tier), Revert> {
        let remote = self.remote(domain).router.get();
        if remote.is_zero() {
            return Err(RouterNotEnrolled { domain }.into());
        }
        let finality = u8::try_from(finality).map_err(|_| Revert::empty())?;
        let tier = Tier::try_from(finality).map_err(|_| InvalidFinality { finality })?;
        if count == 0 || count > MAX_IDS {
            let (count, limit) = (U256::from(count), U256::from(MAX_IDS));
            return Err(InvalidIdCount { count, limit }.into());
        }
        Ok((remote, tier))
    }
}

fn confirmation(domain: u32, remote: B256, tier: Tier, body: &[u8]) -> Outgoing<'_> {
    let gas_limit = U256::from(CONFIRMATION_GAS + GAS_PER_ID * (body.len() as u64 / 32));
    Outgoing { destination: domain, recipient: remote, reads: Vec::new(), body, tier, gas_limit }
}
