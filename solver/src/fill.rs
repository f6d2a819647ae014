//! The transactions of a fill: pure functions from an order to call data.

use alloy::{
    primitives::{Address, Bytes, U256},
    sol_types::{SolCall, SolValue},
};
use protocol::{
    abi::{inbox, intent_source, prover},
    finality::Tier,
    ids::{ChainId, Claimant, Domain, IntentHash},
    proof::{self, Proof},
};

use crate::order::Order;

/// How a fill leaves the destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FillKind {
    /// `fulfill`; proven later, or by itself where both ends share a chain.
    Alone,
    /// `fulfillAndProve`.
    WithProof(ProofTarget),
}

/// Where a proof goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ProofTarget {
    /// The destination's prover, which sends.
    pub sender: Address,
    /// The origin's prover, which receives.
    pub recipient: Address,
    /// The origin's messaging id.
    pub domain: Domain,
}

impl ProofTarget {
    /// The prover's `data`: recipient and the gas its delivery may take.
    fn data(&self, gas_limit: u64) -> Bytes {
        (self.recipient.into_word(), U256::from(gas_limit)).abi_encode().into()
    }

    /// Asks the sending prover what a proof costs.
    pub fn fetch_fee(
        &self,
        destination: ChainId,
        intents: &[IntentHash],
        claimant: Claimant,
        gas_limit: u64,
    ) -> prover::fetchFeeCall {
        let pairs = intents.iter().map(|intent| Proof { intent: *intent, claimant });
        prover::fetchFeeCall {
            domainID: u64::from(self.domain.0),
            encodedProofs: proof::encode(destination, pairs).into(),
            data: self.data(gas_limit),
        }
    }
}

/// Call data of a fill for a claimant.
pub fn fulfill(order: &Order, claimant: Claimant, kind: FillKind, gas_limit: u64) -> Bytes {
    match kind {
        FillKind::Alone => inbox::fulfillCall {
            intentHash: order.hash.0,
            route: order.route().clone(),
            rewardHash: order.reward().hash().0,
            claimant: claimant.0,
        }
        .abi_encode()
        .into(),
        FillKind::WithProof(target) => inbox::fulfillAndProveCall {
            intentHash: order.hash.0,
            route: order.route().clone(),
            rewardHash: order.reward().hash().0,
            claimant: claimant.0,
            prover: target.sender,
            sourceChainDomainID: u64::from(target.domain.0),
            data: target.data(gas_limit),
        }
        .abi_encode()
        .into(),
    }
}

/// Call data of a proof of several fills.
pub fn prove(target: ProofTarget, intents: &[IntentHash], gas_limit: u64) -> Bytes {
    inbox::proveCall {
        prover: target.sender,
        sourceChainDomainID: u64::from(target.domain.0),
        intentHashes: intents.iter().map(|hash| hash.0).collect(),
        data: target.data(gas_limit),
    }
    .abi_encode()
    .into()
}

/// Call data of a withdrawal of several rewards.
pub fn withdraw(orders: &[Order]) -> Bytes {
    intent_source::batchWithdrawCall {
        destinations: orders.iter().map(|order| order.destination().0).collect(),
        routeHashes: orders.iter().map(|order| order.route_hash().0).collect(),
        rewards: orders.iter().map(|order| order.reward().clone()).collect(),
    }
    .abi_encode()
    .into()
}

/// Call data that removes a proof which names the wrong destination.
pub fn challenge(order: &Order) -> Bytes {
    prover::challengeIntentProofCall {
        destination: order.destination().0,
        routeHash: order.route_hash().0,
        rewardHash: order.reward().hash().0,
    }
    .abi_encode()
    .into()
}

/// The tier's byte in quotes and on the wire, as the API names it.
pub const fn security(tier: Tier) -> Option<api::aggregator::Security> {
    match tier {
        Tier::Instant => Some(api::aggregator::Security::Instant),
        Tier::Finalized => Some(api::aggregator::Security::Finalized),
        Tier::Espresso => None,
    }
}
