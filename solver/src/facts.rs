//! What the chains and the books say about an order at one moment: everything the rules look at.

mod destination;
mod gather;
mod recent;

pub use destination::Probe;
pub(crate) use gather::balance;
pub use gather::{Fault, Gatherer};

use alloy::primitives::{Address, B256, Bytes, U256};
use prices::Usd;

use crate::{fill::FillKind, money::Asset, pricing::Estimate, store::Mode, valuer::Unknown};

/// What is known of an order now.
#[derive(Clone, Debug)]
pub struct Facts {
    /// What the operator has switched.
    pub mode: Mode,
    /// Time of the origin's newest block.
    pub origin_time: u64,
    /// Time of the destination's newest block.
    pub destination_time: u64,
    /// `getRewardStatus` at the origin.
    pub reward_status: u8,
    /// `provenIntents` of the reward's prover at the origin.
    pub proof: ProofSeen,
    /// `claimants` of the Inbox; zero while nobody has filled it.
    pub filled_by: B256,
    /// The vault, one entry for each asset of the reward.
    pub vault: Vec<VaultLeg>,
    /// How deep the reward must lie.
    pub confirmations: u64,
    /// Simulated payment of each reward token out of the vault.
    pub payouts: Vec<(Address, Simulation)>,
    /// What the route costs us.
    pub route_value: Usd,
    /// What is out already.
    pub exposure: Usd,
    /// How many intents of the same creator are in flight.
    pub in_flight_of_creator: u64,
    /// The simulated fill; the number is its gas.
    pub fill: Simulation,
    /// What filling earns.
    pub estimate: Result<Estimate, Unknown>,
    /// What a quote of ours has promised, when the order takes one.
    pub promise: Option<Promise>,
    /// Whether no wallet holds what the route takes.
    pub no_wallet: bool,
    /// The fill that was simulated, when a wallet can pay for it.
    pub plan: Option<Plan>,
}

/// What a quote promised to the order that takes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Promise {
    /// The most gas that its price covers.
    pub gas: u64,
    /// Whether its price covers opening the order.
    pub opening: bool,
}

/// A proof at the origin.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ProofSeen {
    /// Whom it pays; zero for no proof.
    pub claimant: Address,
    /// The chain it speaks of.
    pub destination: u64,
}

/// One asset of a reward and what the vault holds of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VaultLeg {
    /// The asset.
    pub asset: Asset,
    /// What the reward promises.
    pub needed: U256,
    /// What is there in the newest block.
    pub now: U256,
    /// What was there at the depth that the value asks for.
    pub confirmed: U256,
}

/// The outcome of a simulation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Simulation {
    /// It works and takes this much gas.
    Works(u64),
    /// It fails.
    Fails(String),
    /// The node could not say, or was not asked.
    Unclear(String),
}

/// A fill, ready to be written down and sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// The wallet that pays.
    pub wallet: Address,
    /// With or without its proof.
    pub kind: FillKind,
    /// Wei sent along.
    pub value: U256,
    /// Of which for the proof message.
    pub proof_fee: U256,
    /// The call data.
    pub data: Bytes,
    /// Gas it took in simulation.
    pub gas: u64,
}

/// Added to the simulated gas: state moves between simulation and execution.
const GAS_MARGIN_PERCENT: u64 = 25;

impl Plan {
    /// The gas it is sent with.
    pub const fn gas_limit(&self) -> u64 {
        self.gas.saturating_add(self.gas.saturating_mul(GAS_MARGIN_PERCENT) / 100)
    }
}

/// Reasons are stored and shown: a hostile contract does not decide how long they are.
fn shortened(text: &str) -> String {
    text.chars().take(300).collect()
}
