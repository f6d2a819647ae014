//! What is served and on which terms: the configuration joined with the deployment manifest.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use alloy::primitives::{Address, U256};
use chain::manifest::{ChainManifest, Manifest};
use parking_lot::RwLock;
use prices::{UNITS_PER_DOLLAR, Usd};
use protocol::{
    finality::Tier,
    ids::{ChainId, Domain},
};
use url::Url;

use crate::{
    config::{
        BatchConfig, ChainConfig, Config, L1Fee, LimitsConfig, ListsConfig, RouteConfig, TierConfig,
    },
    latency::{Latencies, Measurement},
    money::Asset,
    order::Order,
};

/// How a fill is proven to its origin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Settlement {
    /// By a message at this tier.
    Message(Tier),
    /// By looking at the Inbox of the same chain.
    Local,
}

impl std::fmt::Display for Settlement {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Message(tier) => tier.fmt(f),
            Self::Local => f.write_str("local"),
        }
    }
}

/// A token that is known on a chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// Its name in the configuration; the price's symbol for the native currency.
    pub name: String,
    /// Its decimals.
    pub decimals: u8,
    /// Symbol of its price.
    pub price: String,
    /// Smallest units below which an alert is raised.
    pub low: U256,
}

/// A chain that is served.
#[derive(Clone, Debug)]
pub struct Served {
    /// EIP-155 id.
    pub id: ChainId,
    /// Name in the manifest.
    pub name: String,
    /// Messaging id.
    pub domain: Domain,
    /// IntentSource.
    pub intent_source: Address,
    /// Inbox.
    pub inbox: Address,
    /// How each known prover settles.
    pub provers: BTreeMap<Address, Settlement>,
    /// First block of the deployment.
    pub start_block: u64,
    /// WebSocket URLs that tell of new blocks.
    pub ws: Vec<Url>,
    /// How it charges for data.
    pub l1_fee: L1Fee,
    /// Wei each wallet keeps for gas.
    pub gas_reserve: U256,
    /// Known tokens by address; zero is the native currency.
    pub tokens: BTreeMap<Address, Token>,
    config: ChainConfig,
}

impl Served {
    /// How many blocks deep the reward of an order of this value must lie.
    pub fn confirmations_for(&self, value: Usd) -> u64 {
        self.config.confirmations_for(value)
    }

    /// The prover that settles in this way.
    pub fn prover(&self, settlement: Settlement) -> Option<Address> {
        self.provers.iter().find(|(_, s)| **s == settlement).map(|(prover, _)| *prover)
    }

    fn new(id: ChainId, name: &str, manifest: &ChainManifest, config: &ChainConfig) -> Self {
        let contracts = &manifest.contracts;
        let mut provers = BTreeMap::from([(contracts.local_prover, Settlement::Local)]);
        for tier in Tier::ALL {
            if let Some(prover) = contracts.meta_prover(tier) {
                provers.insert(prover, Settlement::Message(tier));
            }
        }
        let native = Token {
            name: config.native.clone(),
            decimals: 18,
            price: config.native.clone(),
            low: config.gas_reserve,
        };
        let tokens = config.tokens.iter().map(|(name, token)| {
            let low = token.low.map_or(U256::ZERO, |low| whole(low, token.decimals));
            let price = token.price.clone();
            (token.address, Token { name: name.clone(), decimals: token.decimals, price, low })
        });
        Self {
            id,
            name: name.to_owned(),
            domain: manifest.domain,
            intent_source: contracts.intent_source,
            inbox: contracts.inbox,
            provers,
            start_block: manifest.start_block,
            ws: if config.ws.is_empty() { manifest.ws.clone() } else { config.ws.clone() },
            l1_fee: config.l1_fee,
            gas_reserve: config.gas_reserve,
            tokens: std::iter::once((Address::ZERO, native)).chain(tokens).collect(),
            config: config.clone(),
        }
    }
}

/// Whole tokens (a decimal number read with twelve digits) in the token's smallest unit.
fn whole(amount: Usd, decimals: u8) -> U256 {
    let units = U256::from(u128::try_from(amount.0).unwrap_or(0));
    units.saturating_mul(U256::from(10).pow(U256::from(decimals)))
        / U256::from(UNITS_PER_DOLLAR.unsigned_abs())
}

/// A chain of the configuration that the manifest does not have.
#[derive(Debug, thiserror::Error)]
#[error("chain {given} is configured, the manifest has {expected}")]
pub struct NotDeployed {
    /// The chain.
    pub given: ChainId,
    /// The manifest's chains.
    pub expected: String,
}

/// What is served, and on which terms.
#[derive(Debug)]
pub struct Policy {
    chains: BTreeMap<ChainId, Served>,
    routes: RwLock<Arc<[RouteConfig]>>,
    limits: RwLock<LimitsConfig>,
    lists: RwLock<Arc<ListsConfig>>,
    tiers: TierConfig,
    latencies: Latencies,
    batches: BatchConfig,
    /// Our wallets on any chain.
    own: BTreeSet<Address>,
}

impl Policy {
    /// Joins configuration and manifest.
    ///
    /// # Errors
    /// [`NotDeployed`].
    pub fn new(config: &Config, manifest: &Manifest) -> Result<Self, NotDeployed> {
        let mut chains = BTreeMap::new();
        for (id, chain) in &config.chains {
            let Some((name, deployed)) = manifest.by_chain_id(*id) else {
                let expected: Vec<_> =
                    manifest.iter().map(|(_, c)| c.chain_id.to_string()).collect();
                return Err(NotDeployed { given: *id, expected: expected.join(", ") });
            };
            chains.insert(*id, Served::new(*id, name, deployed, chain));
        }
        Ok(Self {
            chains,
            routes: RwLock::new(config.routes.clone().into()),
            limits: RwLock::new(config.limits),
            lists: RwLock::new(Arc::new(config.lists.clone())),
            tiers: config.tiers,
            latencies: Latencies::default(),
            batches: config.batches,
            // A key that cannot be had stops the start where the wallets are.
            own: (config.chains.values())
                .flat_map(|chain| &chain.wallets)
                .filter_map(|key| Some(key.load().ok()?.address()))
                .collect(),
        })
    }

    /// Takes limits, lists and lanes from another configuration.
    pub fn reload(&self, config: &Config) {
        self.set_limits(config.limits);
        self.set_lists(config.lists.clone());
        *self.routes.write() = config.routes.clone().into();
    }

    /// Replaces the limits.
    pub fn set_limits(&self, limits: LimitsConfig) {
        *self.limits.write() = limits;
    }

    /// Replaces the lists.
    pub fn set_lists(&self, lists: ListsConfig) {
        *self.lists.write() = Arc::new(lists);
    }

    /// A chain that is served.
    pub fn chain(&self, id: ChainId) -> Option<&Served> {
        self.chains.get(&id)
    }

    /// Every chain that is served.
    pub fn chains(&self) -> impl Iterator<Item = &Served> {
        self.chains.values()
    }

    /// A token that is known.
    pub fn token(&self, asset: Asset) -> Option<&Token> {
        self.chain(asset.chain)?.tokens.get(&asset.token)
    }

    /// Margin and limit of a lane: the first that covers it.
    pub fn lane(&self, origin: ChainId, destination: ChainId) -> Option<RouteConfig> {
        self.routes.read().iter().find(|route| route.covers(origin, destination)).copied()
    }

    /// How the order's prover settles, if it is known on the origin.
    pub fn settlement(&self, order: &Order) -> Option<Settlement> {
        self.chain(order.origin)?.provers.get(&order.reward().prover).copied()
    }

    /// The destination's prover of a tier.
    pub fn twin(&self, order: &Order, tier: Tier) -> Option<Address> {
        self.chain(order.destination())?.prover(Settlement::Message(tier))
    }

    /// Whether an address is one of our wallets on any chain.
    pub fn is_ours(&self, address: Address) -> bool {
        self.own.contains(&address)
    }

    /// Limits as of now.
    pub fn limits(&self) -> LimitsConfig {
        *self.limits.read()
    }

    /// Lists as of now.
    pub fn lists(&self) -> Arc<ListsConfig> {
        Arc::clone(&self.lists.read())
    }

    /// How long proofs take on every lane: as configured, or as measured on the slowest one where
    /// that is longer. Never less than [`Self::tiers_on`] says of one.
    pub fn tiers(&self) -> TierConfig {
        self.latencies.raise(self.tiers, |_, _| true)
    }

    /// How long proofs take on one lane: as configured, or as measured where that is longer.
    pub fn tiers_on(&self, origin: ChainId, destination: ChainId) -> TierConfig {
        self.latencies.raise(self.tiers, |from, to| (from, to) == (origin, destination))
    }

    /// How long proofs take according to the operator, whatever was measured.
    pub const fn configured_tiers(&self) -> TierConfig {
        self.tiers
    }

    /// Takes note of the time from the fill of an order to its proof, which was seen now (unix
    /// milliseconds). `None` where no message brings the proof.
    pub(crate) fn measured(&self, order: &Order, took: Duration, now: u64) -> Option<Measurement> {
        let Settlement::Message(tier) = self.settlement(order)? else { return None };
        Some(self.latencies.record((order.origin, order.destination(), tier), took, now))
    }

    /// Takes up the times that earlier processes have measured, oldest first.
    pub(crate) fn restore(&self, measured: &[Measurement], now: u64) {
        self.latencies.restore(measured, now);
    }

    /// How batches are formed.
    pub const fn batches(&self) -> BatchConfig {
        self.batches
    }
}
