//! Prices of tokens that the market makes: asked in the background, read by the token book.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use chain::ChainClient;
use prices::{Board, Ticker};
use protocol::ids::ChainId;
use service::{
    clock::Clock,
    health::{self, Component},
};
use tokio_util::sync::CancellationToken;

use crate::{Config, SpawnError};

/// Answers of price sources that were no price, by source.
pub(crate) const FAULTS: &str = "metalayer_aggregator_price_faults_total";
/// 1 while no price of the symbol is believed, else 0.
const UNKNOWN: &str = "metalayer_aggregator_price_unknown";

/// The prices that tokens name, and where they come from.
#[derive(Debug)]
pub(crate) struct Market {
    board: Board,
    symbols: BTreeMap<String, Ticker>,
    refresh: Duration,
    patience: Duration,
}

/// Tells health and metrics which prices are unknown. The service is degraded by them: quotes go on.
struct Watch {
    tickers: Vec<Ticker>,
    health: Component,
    /// How long prices may be unknown before the component says so.
    patience: Duration,
    /// When all were last known.
    known_at: Option<Instant>,
}

impl Market {
    /// Asks the configured sources for the first time; `None` when no token names a price.
    ///
    /// # Errors
    /// [`SpawnError::PriceChain`] when a feed is on a chain that is not read.
    pub(crate) async fn open(
        config: &Config,
        clients: &BTreeMap<ChainId, ChainClient>,
        clock: &Clock,
    ) -> Result<Option<Self>, SpawnError> {
        let named: BTreeSet<_> = config.tokens.iter().filter_map(|it| it.price.symbol()).collect();
        let Some(prices) = config.prices.as_ref().filter(|_| !named.is_empty()) else {
            return Ok(None);
        };
        let client =
            |chain: ChainId| clients.get(&chain).cloned().ok_or(SpawnError::PriceChain { chain });
        let board = prices.board(client, clock, FAULTS)?;
        board.refresh().await;
        let ticker = |symbol: &str| (symbol.to_owned(), board.ticker(symbol, clock.clone()));
        Ok(Some(Self {
            symbols: named.into_iter().map(ticker).collect(),
            refresh: prices.refresh,
            // A jump that is held back ends by itself.
            patience: health::patience(prices.refresh).max(prices.limits.jump_hold),
            board,
        }))
    }

    /// What knows the price of a symbol that a token names.
    pub(crate) fn ticker(&self, symbol: &str) -> Option<Ticker> {
        self.symbols.get(symbol).cloned()
    }

    /// Asks the sources again and again until shutdown.
    pub(crate) async fn keep_fresh(self, shutdown: CancellationToken, health: Component) {
        let tickers = self.symbols.into_values().collect();
        let mut watch = Watch { tickers, health, patience: self.patience, known_at: None };
        self.board.keep_fresh(self.refresh, shutdown, move || watch.look()).await;
    }
}

impl Watch {
    /// Looks at every price. That also keeps moves in view while nobody asks for a quote.
    fn look(&mut self) {
        let mut reasons = Vec::new();
        for ticker in &self.tickers {
            let unbelievable = ticker.range().err();
            metrics::gauge!(UNKNOWN, "symbol" => ticker.symbol().to_owned())
                .set(f64::from(unbelievable.is_some()));
            reasons.extend(unbelievable.map(|reason| reason.to_string()));
        }
        if reasons.is_empty() {
            self.known_at = Some(Instant::now());
            self.health.ok();
        } else if self.known_at.is_none_or(|at| at.elapsed() >= self.patience) {
            self.health.degraded(reasons.join("; "));
        }
    }
}

#[cfg(test)]
mod tests {
    use prices::{Limits, PricesConfig, SourceConfig};
    use service::health::{Health, State};

    use super::*;

    #[tokio::test]
    async fn health_names_a_price_only_when_it_stays_unknown() {
        let clock = Clock::manual(Duration::from_secs(1_000));
        let table = BTreeMap::from([("ETH".to_owned(), "2000".parse().unwrap())]);
        let config = PricesConfig {
            limits: Limits {
                minimum_sources: 1,
                max_age: Duration::from_secs(60),
                max_deviation_bps: 0,
                max_jump_bps: 0,
                jump_hold: Duration::ZERO,
            },
            refresh: Duration::from_secs(5),
            sources: vec![SourceConfig::Fixed { name: "table".into(), prices: table }],
        };
        let board = config.board(Err::<_, ChainId>, &clock, FAULTS).unwrap();
        board.refresh().await;
        let health = Health::default();
        let mut watch = Watch {
            tickers: vec![board.ticker("ETH", clock.clone())],
            health: health.component("prices"),
            patience: Duration::from_secs(3_600),
            known_at: None,
        };
        watch.look();
        assert!(health.is_ok());
        clock.advance(Duration::from_secs(61));
        watch.look();
        assert!(health.is_ok(), "it may come back");
        watch.patience = Duration::ZERO;
        watch.look();
        let reason = "ETH: 0 fresh sources, expected 1".to_owned();
        assert_eq!(health.components().get("prices"), Some(&State::Degraded { reason }));
        board.refresh().await;
        watch.look();
        assert!(health.is_ok());
    }
}
