//! The solver's configuration file. `solver/examples/solver.toml` shows every key with its meaning
//! and is loaded by a test.

mod chains;
mod policy;

pub use chains::{ChainConfig, Confirmation, L1Fee, TokenConfig};
pub use policy::{
    BatchConfig, LimitsConfig, ListsConfig, RebalanceConfig, RouteConfig, TierConfig,
};

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    str::FromStr,
    time::Duration,
};

use prices::PricesConfig;
use protocol::ids::ChainId;
use service::{
    config::{FromToml, Section},
    secret::Secret,
};

/// How careful the solver must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Environment {
    /// Real money: two price sources, or it does not start.
    Production,
    /// A local system or a test network.
    Development,
}

/// A word that names no environment.
#[derive(Debug, thiserror::Error)]
#[error("no environment")]
pub struct UnknownEnvironment;

impl FromStr for Environment {
    type Err = UnknownEnvironment;

    fn from_str(word: &str) -> Result<Self, UnknownEnvironment> {
        match word {
            "production" => Ok(Self::Production),
            "development" => Ok(Self::Development),
            _ => Err(UnknownEnvironment),
        }
    }
}

impl fmt::Display for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Production => "production",
            Self::Development => "development",
        })
    }
}

/// What the solver does with an order that passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Run {
    /// Fills it.
    Live,
    /// Says what it would do, and sends nothing.
    Dry,
}

/// Everything the solver needs to know.
#[derive(Debug, Clone)]
pub struct Config {
    /// The file it was read from, when there is one: limits and lists are read from it again.
    pub file: Option<PathBuf>,
    /// How careful it must be.
    pub environment: Environment,
    /// Whether it fills or only says what it would do.
    pub run: Run,
    /// `sqlite:<path>` or `postgres://…`.
    pub database: String,
    /// The deployment manifest.
    pub manifest: PathBuf,
    /// Where quotes and intents are taken.
    pub api_listen: SocketAddr,
    /// Where metrics, health and the operator's API are served.
    pub admin_listen: SocketAddr,
    /// What the operator's API asks for; without it only metrics and health are served.
    pub admin_token: Option<Secret>,
    /// How long a quote holds.
    pub quote_lifetime: Duration,
    /// Most quotes that may be open at a time.
    pub quotes_open: u32,
    /// Most quotes of one caller that hold inventory.
    pub quotes_per_caller: u32,
    /// Most of an asset that quotes hold together, in hundredths of a percent of what would be free without them.
    pub quotes_share_bps: u16,
    /// Addresses of aggregators, whose word counts about whom a quote is for; everybody's does when empty.
    pub aggregators: BTreeSet<IpAddr>,
    /// `POST /v1/intents` requests that are worked on at a time.
    pub submissions: usize,
    /// Most signed orders that may wait to be opened.
    pub signed_open: u32,
    /// Longest time that stopping waits for what is in flight.
    pub stop_bound: Duration,
    /// How many orders are decided or moved at a time.
    pub parallel: usize,
    /// How often open orders are looked for.
    pub tick: Duration,
    /// The chains served, with the wallets on each.
    pub chains: BTreeMap<ChainId, ChainConfig>,
    /// Where prices come from and when they are believed.
    pub prices: PricesConfig,
    /// Lets production start with one source of prices.
    pub allow_single_source: bool,
    /// Margins and limits of lanes.
    pub routes: Vec<RouteConfig>,
    /// Limits over everything.
    pub limits: LimitsConfig,
    /// Who is refused or let through.
    pub lists: ListsConfig,
    /// What each security tier takes.
    pub tiers: TierConfig,
    /// Proof and withdrawal batches.
    pub batches: BatchConfig,
    /// Transfers to where inventory is short; without them it is only alerted.
    pub rebalancing: Option<RebalanceConfig>,
}

/// A quote shorter than this cannot be signed and mined in time.
const SHORTEST_QUOTE: Duration = Duration::from_secs(5);

impl FromToml for Config {
    fn from_toml(section: &mut Section<'_>) -> Option<Self> {
        let environment = section.required("environment", "production or development");
        let dry = section.or_default("dry_run", false, "true or false");
        let database = section.required("database", "sqlite:<path> or postgres://…");
        let manifest = section.path("manifest");
        let api_listen = section.required("api_listen", "an address with a port");
        let admin_listen = section.required("admin_listen", "an address with a port");
        let admin_token = section.optional_secret("admin_token");
        let quote_lifetime = section.duration_or("quote_lifetime", Duration::from_secs(30));
        let quotes_open = section.or_default("quotes_open", 1_000, "a number of quotes");
        let quotes_per_caller = section.or_default("quotes_per_caller", 40, "a number of quotes");
        let quotes_share_bps = section.or_default("quotes_share_bps", 5_000, "basis points");
        let aggregators: Vec<IpAddr> = section.list("aggregators", "IP addresses");
        let submissions = section.or_default("submissions", 16, "a number of requests");
        let signed_open = section.or_default("signed_open", 1_000, "a number of orders");
        let stop_bound = section.duration_or("stop_bound", Duration::from_secs(30));
        let parallel = section.or_default("parallel", 64, "a number of orders");
        let tick = section.duration_or("tick", Duration::from_millis(250));
        let chains = section.sections::<ChainConfig>("chains");
        let prices = section.section::<PricesKeys>("prices");
        let routes = section.tables("routes");
        let limits = section.section("limits");
        let lists = section.section("lists");
        let tiers = section.section("tiers");
        let batches = section.section("batches");
        let rebalancing = section.optional_section("rebalancing");
        let chains = keyed_by_chain_id(section, chains?);
        if quote_lifetime < SHORTEST_QUOTE {
            section.fault("quote_lifetime", "5s or more", &format!("{quote_lifetime:?}"));
        }
        if quotes_share_bps > 10_000 {
            section.fault("quotes_share_bps", "at most 10000", &quotes_share_bps.to_string());
        }
        let prices = prices?;
        let config = Self {
            file: None,
            environment: environment?,
            run: if dry { Run::Dry } else { Run::Live },
            database: database?,
            manifest: manifest?,
            api_listen: api_listen?,
            admin_listen: admin_listen?,
            admin_token,
            quote_lifetime,
            quotes_open,
            quotes_per_caller,
            quotes_share_bps,
            aggregators: aggregators.iter().map(IpAddr::to_canonical).collect(),
            submissions: usize::max(submissions, 1),
            signed_open,
            stop_bound,
            parallel: usize::max(parallel, 1),
            tick,
            chains: chains?,
            prices: prices.config,
            allow_single_source: prices.allow_single_source,
            routes: routes?,
            limits: limits?,
            lists: lists?,
            tiers: tiers?,
            batches: batches?,
            rebalancing,
        };
        config.refuse_too_few_sources(section);
        Some(config)
    }
}

impl Config {
    /// Production money needs two sources for every symbol, unless the file says otherwise.
    fn refuse_too_few_sources(&self, section: &mut Section<'_>) {
        let needed = match self.environment {
            Environment::Production if !self.allow_single_source => 2,
            Environment::Production | Environment::Development => 1,
        };
        if self.prices.limits.minimum_sources < needed {
            let given = self.prices.limits.minimum_sources.to_string();
            section.fault("prices.minimum_sources", "2 or more in production", &given);
        }
        for symbol in self.symbols() {
            let given = self.prices.carriers(&symbol);
            if given < self.prices.limits.minimum_sources.max(needed) {
                let expected = self.prices.limits.minimum_sources.max(needed);
                section.fault(
                    "prices.sources",
                    &format!("at least {expected} sources for {symbol}"),
                    &given.to_string(),
                );
            }
        }
    }

    /// Every symbol that a chain uses.
    fn symbols(&self) -> BTreeSet<String> {
        self.chains
            .values()
            .flat_map(|chain| {
                let tokens = chain.tokens.values().map(|token| token.price.clone());
                std::iter::once(chain.native.clone()).chain(tokens)
            })
            .collect()
    }
}

/// `[prices]`, with the key that only a solver knows.
struct PricesKeys {
    config: PricesConfig,
    allow_single_source: bool,
}

impl FromToml for PricesKeys {
    fn from_toml(section: &mut Section<'_>) -> Option<Self> {
        let allow_single_source = section.or_default("allow_single_source", false, "true or false");
        Some(Self { config: PricesConfig::from_toml(section)?, allow_single_source })
    }
}

fn keyed_by_chain_id(
    section: &mut Section<'_>,
    chains: BTreeMap<String, ChainConfig>,
) -> Option<BTreeMap<ChainId, ChainConfig>> {
    let mut keyed = BTreeMap::new();
    for (key, chain) in chains {
        match key.parse() {
            Ok(id) => {
                keyed.insert(ChainId(id), chain);
            }
            Err(_) => section.fault(&format!("chains.{key}"), "an EIP-155 chain id", &key),
        }
    }
    if keyed.is_empty() {
        section.fault("chains", "at least one chain", "none");
    }
    Some(keyed)
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXAMPLE: &str = include_str!("../examples/solver.toml");

    #[test]
    fn the_example_loads() {
        let config: Config = service::config::parse(EXAMPLE).unwrap();
        assert_eq!(config.environment, Environment::Development);
        assert_eq!(config.chains.len(), 2);
        assert_eq!(config.prices.sources.len(), 1);
    }

    #[test]
    fn production_refuses_a_single_price_source() {
        let text = EXAMPLE.replace("\"development\"", "\"production\"");
        let faults = service::config::parse::<Config>(&text).unwrap_err().to_string();
        assert!(faults.contains("minimum_sources"), "{faults}");
        assert!(faults.contains("at least 2 sources for ETH"), "{faults}");
    }

    #[test]
    fn every_fault_is_reported_at_once() {
        let text = EXAMPLE
            .replace("parallel = 64", "parallel = \"many\"\nparalel = 3")
            .replace("[chains.700002", "[chains.seven");
        let faults = service::config::parse::<Config>(&text).unwrap_err().to_string();
        for key in ["parallel", "paralel", "chains.seven"] {
            assert!(faults.contains(key), "{key}: {faults}");
        }
    }
}
