//! `[[routes]]`, `[limits]`, `[lists]`, `[tiers]`, `[batches]` and `[rebalancing]`.

use std::{collections::BTreeSet, time::Duration};

use alloy::primitives::Address;
use prices::Usd;
use protocol::{finality::Tier, ids::ChainId};
use service::config::{FromToml, Section};

use crate::{pricing::Margin, proving::BatchPolicy};

/// Margin and limit of the lanes it matches; the first match counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RouteConfig {
    /// Only from this chain; any when absent.
    pub origin: Option<ChainId>,
    /// Only to this chain; any when absent.
    pub destination: Option<ChainId>,
    /// The least profit.
    pub margin: Margin,
    /// Most that one intent's route may be worth.
    pub largest: Usd,
}

impl RouteConfig {
    /// Whether it covers a lane.
    pub fn covers(&self, origin: ChainId, destination: ChainId) -> bool {
        self.origin.is_none_or(|chain| chain == origin)
            && self.destination.is_none_or(|chain| chain == destination)
    }
}

impl FromToml for RouteConfig {
    fn from_toml(section: &mut Section<'_>) -> Option<Self> {
        let origin = section.optional("origin", "a chain id").map(ChainId);
        let destination = section.optional("destination", "a chain id").map(ChainId);
        let floor = section.required("least_profit", "dollars such as \"0.05\"");
        let share_bps = section.or_default("margin_bps", 5, "basis points");
        let largest = section.required("largest", "dollars such as \"10000\"");
        let margin = Margin { floor: floor?, share_bps };
        Some(Self { origin, destination, margin, largest: largest? })
    }
}

/// Limits over everything. Reloaded without a restart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LimitsConfig {
    /// Most that may be out and not yet home, over all intents.
    pub exposure: Usd,
    /// Most intents of one creator in flight.
    pub in_flight_per_creator: u64,
    /// Most calls of a route.
    pub calls: usize,
    /// Most bytes of calldata of a route.
    pub calldata: usize,
    /// Most gas a fill may take.
    pub fill_gas: u64,
    /// Fills tried for one intent before it is given up.
    pub attempts: u64,
}

impl FromToml for LimitsConfig {
    fn from_toml(section: &mut Section<'_>) -> Option<Self> {
        let exposure = section.required("exposure", "dollars such as \"100000\"");
        let in_flight_per_creator =
            section.or_default("in_flight_per_creator", 100, "a number of intents");
        let calls = section.or_default("calls", 16, "a number of calls");
        let calldata = section.or_default("calldata", 16_384, "a number of bytes");
        let fill_gas = section.or_default("fill_gas", 10_000_000, "an amount of gas");
        let attempts = section.or_default("attempts", 3, "a number of fills");
        Some(Self {
            exposure: exposure?,
            in_flight_per_creator,
            calls,
            calldata,
            fill_gas,
            attempts,
        })
    }
}

/// Who is refused or let through. Reloaded without a restart.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListsConfig {
    /// Creators, call targets and recipients that are refused.
    pub deny: BTreeSet<Address>,
    /// When not empty, the only creators that are served.
    pub allow_creators: BTreeSet<Address>,
    /// When not empty, the only contracts that routes may call.
    pub allow_targets: BTreeSet<Address>,
}

impl FromToml for ListsConfig {
    fn from_toml(section: &mut Section<'_>) -> Option<Self> {
        Some(Self {
            deny: section.list("deny", "addresses").into_iter().collect(),
            allow_creators: section.list("allow_creators", "addresses").into_iter().collect(),
            allow_targets: section.list("allow_targets", "addresses").into_iter().collect(),
        })
    }
}

/// How long proofs take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TierConfig {
    /// From the fill to the proof at the origin, instant tier.
    pub instant: Duration,
    /// The same for the finalized tier.
    pub finalized: Duration,
    /// The longest time that delivery may stand still: the router's longest pause.
    pub pause: Duration,
    /// Added to both before a reward's deadline is accepted.
    pub margin: Duration,
    /// Time a fill needs to be mined; a route that ends sooner is not begun.
    pub fill: Duration,
}

impl TierConfig {
    /// From the fill to the proof at the origin.
    pub const fn latency(&self, tier: Tier) -> Duration {
        match tier {
            Tier::Instant => self.instant,
            Tier::Finalized | Tier::Espresso => self.finalized,
        }
    }

    /// The same, with a tier that takes at least this long.
    #[must_use]
    pub(crate) fn at_least(mut self, tier: Tier, latency: Duration) -> Self {
        match tier {
            Tier::Instant => self.instant = self.instant.max(latency),
            Tier::Finalized | Tier::Espresso => self.finalized = self.finalized.max(latency),
        }
        self
    }
}

impl FromToml for TierConfig {
    fn from_toml(section: &mut Section<'_>) -> Option<Self> {
        Some(Self {
            instant: section.duration_or("instant", Duration::from_secs(30)),
            finalized: section.duration_or("finalized", Duration::from_secs(30 * 60)),
            pause: section.duration_or("pause", Duration::from_secs(6 * 3_600)),
            margin: section.duration_or("margin", Duration::from_secs(10 * 60)),
            fill: section.duration_or("fill", Duration::from_secs(30)),
        })
    }
}

/// Bounds of transfers between our own wallets, by intents that other solvers fill.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RebalanceConfig {
    /// Most that one transfer moves.
    pub largest: Usd,
    /// What its reward is above what it brings, in basis points.
    pub fee_bps: u32,
    /// How long others may fill it.
    pub open_for: Duration,
}

impl FromToml for RebalanceConfig {
    fn from_toml(section: &mut Section<'_>) -> Option<Self> {
        let largest = section.required("largest", "dollars such as \"1000\"");
        let fee_bps = section.or_default("fee_bps", 20, "basis points");
        let open_for = section.duration_or("open_for", Duration::from_secs(30 * 60));
        Some(Self { largest: largest?, fee_bps, open_for })
    }
}

/// Proof and withdrawal batches.
#[derive(Clone, Copy, Debug)]
pub struct BatchConfig {
    /// When proofs are batched.
    pub proofs: BatchPolicy,
    /// Gas that delivering a proof of one intent needs at the origin's prover.
    pub proof_gas: u64,
    /// Gas of every further intent in the message.
    pub proof_gas_each: u64,
    /// Most intents in one withdrawal.
    pub withdrawals: usize,
    /// Longest time a proven reward waits for others.
    pub withdrawal_wait: Duration,
    /// How long a reward whose withdrawal fails is left alone.
    pub withdrawal_retry: Duration,
    /// Without a proof at the origin after this many times the tier's latency, prove again.
    pub reprove_after: u32,
}

impl BatchConfig {
    /// The gas limit of a proof message for this many intents.
    pub fn gas_limit(&self, intents: usize) -> u64 {
        let further = u64::try_from(intents).unwrap_or(u64::MAX).saturating_sub(1);
        self.proof_gas.saturating_add(self.proof_gas_each.saturating_mul(further))
    }
}

impl FromToml for BatchConfig {
    fn from_toml(section: &mut Section<'_>) -> Option<Self> {
        Some(Self {
            proofs: BatchPolicy {
                largest: section.or_default("largest_proof", 50, "a number of intents"),
                longest_wait: section.duration_or("longest_wait", Duration::from_secs(60)),
                capital_bps_per_year: section.or_default("capital_bps", 1_000, "basis points"),
            },
            proof_gas: section.or_default("proof_gas", 200_000, "an amount of gas"),
            proof_gas_each: section.or_default("proof_gas_each", 40_000, "an amount of gas"),
            withdrawals: section.or_default("largest_withdrawal", 50, "a number of intents"),
            withdrawal_wait: section.duration_or("withdrawal_wait", Duration::from_secs(10)),
            withdrawal_retry: section.duration_or("withdrawal_retry", Duration::from_secs(30)),
            reprove_after: section.or_default("reprove_after", 4, "a number of latencies"),
        })
    }
}
