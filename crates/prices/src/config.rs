//! `[prices]` and `[[prices.sources]]`.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use alloy::primitives::Address;
use chain::ChainClient;
use protocol::ids::ChainId;
use service::{
    clock::Clock,
    config::{FromToml, Section},
};

use crate::{Board, Chainlink, Fixed, Http, Limits, Price, Source};

/// Where prices come from and when they are believed.
#[derive(Clone, Debug)]
pub struct PricesConfig {
    /// When they are believed.
    pub limits: Limits,
    /// How often sources are asked; more than zero.
    pub refresh: Duration,
    /// The sources.
    pub sources: Vec<SourceConfig>,
}

impl PricesConfig {
    /// How many sources carry the symbol.
    pub fn carriers(&self, symbol: &str) -> usize {
        self.sources.iter().filter(|source| source.carries(symbol)).count()
    }

    /// A board of these sources, see [`Board::new`]. Feeds are read over the `client` of their
    /// chain.
    ///
    /// # Errors
    /// What `client` says of a chain that it does not have.
    pub fn board<E>(
        &self,
        client: impl Fn(ChainId) -> Result<ChainClient, E>,
        clock: &Clock,
        faults: &'static str,
    ) -> Result<Board, E> {
        let sources = self.sources.iter().map(|source| source.open(&client, clock));
        Ok(Board::new(sources.collect::<Result<_, E>>()?, self.limits, faults))
    }
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
        /// The chain of the feeds; must be one that the service reads.
        chain: ChainId,
        /// Feed by symbol.
        feeds: BTreeMap<String, Address>,
    },
}

impl SourceConfig {
    /// Its name in logs and metrics.
    pub fn name(&self) -> &str {
        let (Self::Fixed { name, .. } | Self::Http { name, .. } | Self::Chainlink { name, .. }) =
            self;
        name
    }

    /// Whether it has a price for the symbol.
    pub fn carries(&self, symbol: &str) -> bool {
        match self {
            Self::Fixed { prices, .. } => prices.contains_key(symbol),
            Self::Http { urls, .. } => urls.contains_key(symbol),
            Self::Chainlink { feeds, .. } => feeds.contains_key(symbol),
        }
    }

    fn open<E>(
        &self,
        client: &impl Fn(ChainId) -> Result<ChainClient, E>,
        clock: &Clock,
    ) -> Result<Arc<dyn Source>, E> {
        let source: Arc<dyn Source> = match self.clone() {
            Self::Fixed { name, prices } => Arc::new(Fixed::new(name, prices, clock.clone())),
            Self::Http { name, urls, price_pointer, time_pointer } => {
                Arc::new(Http::new(name, urls, price_pointer, time_pointer, clock.clone()))
            }
            Self::Chainlink { name, chain, feeds } => {
                Arc::new(Chainlink::new(name, client(chain)?, feeds))
            }
        };
        Ok(source)
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
        if refresh.is_zero() {
            section.fault("refresh", "more than 0s", "0s");
        }
        let sources = section.tables("sources");
        Some(Self { limits, refresh, sources: sources? })
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

#[cfg(test)]
mod tests {
    use service::config::parse;

    use super::*;
    use crate::Range;

    const TABLE: &str = r#"
        [[sources]]
        name = "table"
        kind = "fixed"
        prices = { ETH = "3000" }
    "#;

    #[test]
    fn sources_carry_what_they_name() {
        let feeds = r#"
            [[sources]]
            name = "feeds"
            kind = "chainlink"
            chain = 1
            feeds = { ETH = "0x0000000000000000000000000000000000000001" }
        "#;
        let config: PricesConfig = parse(&format!("{TABLE}{feeds}")).unwrap();
        assert_eq!((config.carriers("ETH"), config.carriers("BTC")), (2, 0));
        let names: Vec<_> = config.sources.iter().map(SourceConfig::name).collect();
        assert_eq!(names, ["table", "feeds"]);
        let unknown = config.board(Err, &Clock::system(), "price_faults_total").unwrap_err();
        assert_eq!(unknown, ChainId(1));
    }

    #[test]
    fn faults_name_the_key() {
        let (head, guess) = ("refresh = \"0s\"\nmax_age = 5", "[[sources]]\nkind = \"guess\"");
        let errors = parse::<PricesConfig>(&format!("{head}\n{TABLE}\n{guess}")).unwrap_err();
        let keys: Vec<_> = errors.faults().iter().map(|fault| fault.key.as_str()).collect();
        assert_eq!(keys, ["max_age", "refresh", "sources.1.name", "sources.1.kind"]);
    }

    #[tokio::test]
    async fn a_table_is_believed_once_it_was_asked() {
        let config: PricesConfig = parse(&format!("minimum_sources = 1\n{TABLE}")).unwrap();
        let board = config.board(Err::<_, ChainId>, &Clock::system(), "price_faults_total");
        let board = board.unwrap();
        let ticker = board.ticker("ETH", Clock::system());
        assert!(ticker.range().is_err(), "nobody has been asked");
        board.refresh().await;
        assert_eq!(ticker.range(), Ok(Range::exactly("3000".parse().unwrap())));
    }
}
