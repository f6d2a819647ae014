//! Receiving: proofs of other chains, as the router delivers them.

use alloy_primitives::{Address, B256, U64, U256};
use alloy_sol_types::SolEvent;
use parts::{Revert, Writer, external::log};
use protocol::{
    abi::prover::{
        ArrayLengthMismatch, ChainIdMismatch, IntentAlreadyProven, IntentProofInvalidated,
        IntentProven, InvalidProofMessage, MessageOriginChainDomainIDCannotBeZero,
        MessageSenderCannotBeZeroAddress, UnauthorizedIncomingProof, UnauthorizedSender,
    },
    ids::{ChainId, RewardHash, RouteHash},
    intent::intent_hash,
    words::address_of,
};
use stylus_sdk::prelude::*;

use crate::MetaProver;

/// A recorded proof. No claimant means no proof.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Proof {
    pub(crate) claimant: Address,
    pub(crate) chain_id: u64,
}

impl Proof {
    fn unpack(packed: U256) -> Self {
        let bytes = packed.to_be_bytes::<32>();
        let mut chain_id = [0; 8];
        chain_id.copy_from_slice(&bytes[4..12]);
        Self { claimant: Address::from_slice(&bytes[12..]), chain_id: u64::from_be_bytes(chain_id) }
    }

    fn pack(self) -> U256 {
        let mut bytes = [0; 32];
        bytes[4..12].copy_from_slice(&self.chain_id.to_be_bytes());
        bytes[12..].copy_from_slice(self.claimant.as_slice());
        U256::from_be_bytes(bytes)
    }
}

impl MetaProver {
    /// Takes a delivered message. The chain id that it starts with must be the one that its origin's domain stands for, so
    /// that no chain can prove for another. A bad pair is skipped and never blocks the others; the first proof of an intent
    /// stays.
    ///
    /// # Errors
    /// In this order: `UnauthorizedSender(ROUTER, caller)`, `MessageOriginChainDomainIDCannotBeZero()`,
    /// `MessageSenderCannotBeZeroAddress()`, `UnauthorizedIncomingProof(sender)`, `InvalidProofMessage()`,
    /// `ChainIdMismatch(domain, expected, actual)`, `ArrayLengthMismatch()`.
    pub(crate) fn handle(
        &mut self,
        origin: u32,
        sender: B256,
        message: &[u8],
    ) -> Result<(), Revert> {
        let (expected, actual) = (self.router.get(), self.vm().msg_sender());
        if actual != expected {
            return Err(UnauthorizedSender { expected, actual }.into());
        }
        if origin == 0 {
            return Err(MessageOriginChainDomainIDCannotBeZero {}.into());
        }
        if sender.is_zero() {
            return Err(MessageSenderCannotBeZeroAddress {}.into());
        }
        if !self.believes(sender) {
            return Err(UnauthorizedIncomingProof { sender }.into());
        }
        let Some((header, pairs)) = message.split_first_chunk::<8>() else {
            return Err(InvalidProofMessage {}.into());
        };
        let (domain, actual) = (u64::from(origin), u64::from_be_bytes(*header));
        let expected = self.chain_id_of(domain).unwrap_or(domain);
        if actual != expected {
            return Err(ChainIdMismatch { domain, expected, actual }.into());
        }
        if pairs.len() % 64 != 0 {
            return Err(ArrayLengthMismatch {}.into());
        }
        for pair in pairs.chunks_exact(64) {
            self.record(B256::from_slice(&pair[..32]), B256::from_slice(&pair[32..]), actual);
        }
        Ok(())
    }

    /// Drops a proof whose chain is not the intent's destination. Anyone may: a right proof cannot be dropped, because the
    /// destination is part of the hash.
    pub(crate) fn challenge(
        &mut self,
        destination: u64,
        route_hash: RouteHash,
        reward_hash: RewardHash,
    ) {
        let intent = intent_hash(ChainId(destination), route_hash, reward_hash).0;
        let proof = self.proof_of(intent);
        if proof.claimant.is_zero() || proof.chain_id == destination {
            return;
        }
        self.proofs.insert(intent, U256::ZERO);
        log(self.vm(), &[IntentProofInvalidated::SIGNATURE_HASH, intent], &[]);
    }

    /// What is known of an intent.
    pub(crate) fn proof_of(&self, intent: B256) -> Proof {
        Proof::unpack(self.proofs.get(intent))
    }

    /// The chain id that the map gives a domain.
    pub(crate) fn chain_id_of(&self, domain: u64) -> Option<u64> {
        if !self.has_chain_ids.get() {
            return None;
        }
        let chain_id = self.chain_ids.get(U64::from(domain)).to();
        (chain_id != 0).then_some(chain_id)
    }

    /// Whether a sender's proofs count: this prover's own address on another chain, and those listed.
    pub(crate) fn believes(&self, sender: B256) -> bool {
        sender == self.vm().contract_address().into_word()
            || (!sender.is_zero() && self.whitelist.get(sender))
    }

    fn record(&mut self, intent: B256, claimant: B256, chain_id: u64) {
        let Some(claimant) = address_of(claimant).filter(|claimant| !claimant.is_zero()) else {
            return;
        };
        if !self.proof_of(intent).claimant.is_zero() {
            log(self.vm(), &[IntentAlreadyProven::SIGNATURE_HASH], intent.as_slice());
            return;
        }
        self.proofs.insert(intent, Proof { claimant, chain_id }.pack());
        let topics = [IntentProven::SIGNATURE_HASH, intent, claimant.into_word()];
        log(self.vm(), &topics, Writer::new(1).uint64(chain_id).as_slice());
    }
}
