//! `[prices]` and `[[prices.sources]]`.

use std::{collections::BTreeMap, time::Duration};

use alloy::primitives::Address;
use protocol::ids::ChainId;
use service::config::{FromToml, Section};

use crate::{money::Price, price::Limits};

/// Where prices come from and when they are believed.
#[derive(Clone, Debug)]
pub struct PricesConfig {
    /// When they are believed.
    pub limits: Limits,
    /// How often sources are asked.
    pub refresh: Duration,
    /// Lets production start with one source.
    pub allow_single_source: bool,
    /// The sources.
    pub sources: Vec<SourceConfig>,
}

/// One source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SourceConfig {
    /// A fixed table.
    Fixed {
        /// Its name in logs and metrics.
        name: String,
        /// Price by symbol.
        prices: BTreeMap<String, Price>,
    },
    /// JSON over HTTP.
    Http {
        /// Its name in logs and metrics.
        name: String,
        /// URL by symbol.
        urls: BTreeMap<String, String>,
        /// JSON pointer to the price.
        price_pointer: String,
        /// JSON pointer to the time of the price.
        time_pointer: Option<String>,
    },
    /// Feeds with Chainlink's `AggregatorV3` interface.
    Chainlink {
        /// Its name in logs and metrics.
        name: String,
        /// The chain of the feeds; must be one of `[chains]`.
        chain: ChainId,
        /// Feed by symbol.
        feeds: BTreeMap<String, Address>,
    },
}

impl SourceConfig {
    /// Whether it has a price for the symbol.
    pub fn carries(&self, symbol: &str) -> bool {
        match self {
            Self::Fixed { prices, .. } => prices.contains_key(symbol),
            Self::Http { urls, .. } => urls.contains_key(symbol),
            Self::Chainlink { feeds, .. } => feeds.contains_key(symbol),
        }
    }
}

impl FromToml for PricesConfig {
    fn from_toml(section: &mut Section<'_>) -> Option<Self> {
        let limits = Limits {
            minimum_sources: section.or_default("minimum_sources", 2, "a number of sources"),
            max_age: section.duration_or("max_age", Duration::from_secs(60)),
            max_deviation_bps: section.or_default("max_deviation_bps", 100, "basis points"),
            max_jump_bps: section.or_default("max_jump_bps", 500, "basis points"),
            jump_hold: section.duration_or("jump_hold", Duration::from_secs(120)),
        };
        let refresh = section.duration_or("refresh", Duration::from_secs(5));
        let allow_single_source = section.or_default("allow_single_source", false, "true or false");
        let sources = section.tables("sources");
        Some(Self { limits, refresh, allow_single_source, sources: sources? })
    }
}

/// A table of symbol and value.
struct BySymbol<T>(BTreeMap<String, T>);

impl<T: std::str::FromStr> FromToml for BySymbol<T> {
    fn from_toml(section: &mut Section<'_>) -> Option<Self> {
        let keys: Vec<String> = section.keys().map(str::to_owned).collect();
        let read = keys.into_iter().map(|key| {
            let value = section.required(&key, "a price, a URL or a feed's address");
            Some((key, value?))
        });
        read.collect::<Option<_>>().map(Self)
    }
}

impl FromToml for SourceConfig {
    fn from_toml(section: &mut Section<'_>) -> Option<Self> {
        let name = section.required("name", "a name");
        let kind: Option<String> = section.required("kind", "fixed, http or chainlink");
        match kind?.as_str() {
            "fixed" => {
                let prices = section.section::<BySymbol<Price>>("prices");
                Some(Self::Fixed { name: name?, prices: prices?.0 })
            }
            "http" => {
                let urls = section.section::<BySymbol<String>>("urls");
                let price_pointer = section.required("price_pointer", "a JSON pointer");
                let time_pointer = section.optional("time_pointer", "a JSON pointer");
                Some(Self::Http {
                    name: name?,
                    urls: urls?.0,
                    price_pointer: price_pointer?,
                    time_pointer,
                })
            }
            "chainlink" => {
                let chain = section.required("chain", "a chain id").map(ChainId);
                let feeds = section.section::<BySymbol<Address>>("feeds");
                Some(Self::Chainlink { name: name?, chain: chain?, feeds: feeds?.0 })
            }
            other => {
                section.fault("kind", "fixed, http or chainlink", other);
                None
            }
        }
    }
}
