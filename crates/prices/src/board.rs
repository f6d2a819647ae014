//! The board: the last observation of every source, and the rule that believes them.

use std::{collections::HashMap, sync::Arc, time::Duration};

use parking_lot::{Mutex, RwLock};
use service::clock::Clock;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use crate::{Observation, Price, Range, Source};

/// When prices are believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Fewest sources that must agree.
    pub minimum_sources: usize,
    /// Oldest observation that counts.
    pub max_age: Duration,
    /// Largest distance between two counted sources, in basis points.
    pub max_deviation_bps: u64,
    /// Largest move between two beliefs that is taken at once, in basis points.
    pub max_jump_bps: u64,
    /// How long a larger move must last before it is believed.
    pub jump_hold: Duration,
}

impl Limits {
    /// How many sources a price needs; one at least, whatever was configured.
    pub fn sources_needed(&self) -> usize {
        self.minimum_sources.max(1)
    }
}

/// Why no price is believed now. Every one of these may pass by itself.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unbelievable {
    /// Too few sources have a fresh price.
    #[error("{symbol}: {given} fresh sources, expected {expected}")]
    TooFewSources {
        /// The symbol.
        symbol: String,
        /// Sources that count.
        given: usize,
        /// Sources needed.
        expected: usize,
    },
    /// The sources contradict one another.
    #[error("{symbol}: sources differ by {given} bps, at most {expected} are believed")]
    Disagreement {
        /// The symbol.
        symbol: String,
        /// The distance in basis points.
        given: u64,
        /// The limit in basis points.
        expected: u64,
    },
    /// The price moved too far at once.
    #[error(
        "{symbol}: moved by {given} bps at once, at most {expected} are believed without waiting"
    )]
    Jump {
        /// The symbol.
        symbol: String,
        /// The move in basis points.
        given: u64,
        /// The limit in basis points.
        expected: u64,
    },
}

#[derive(Debug, Default)]
struct Entry {
    observations: HashMap<usize, Observation>,
    believed: Option<Price>,
    /// A larger move: where it went, and since when (seconds).
    moved: Option<(Price, u64)>,
}

/// Last observations by symbol. Cheap to clone; every clone is the same board.
#[derive(Clone, Debug)]
pub struct Board {
    limits: Limits,
    sources: Arc<[Arc<dyn Source>]>,
    /// Name of the counter of answers that were no price.
    faults: &'static str,
    entries: Arc<RwLock<HashMap<String, Mutex<Entry>>>>,
}

impl Board {
    /// A board without observations. Answers that are no price count in the metric `faults`, by
    /// source.
    pub fn new(sources: Vec<Arc<dyn Source>>, limits: Limits, faults: &'static str) -> Self {
        Self { limits, sources: sources.into(), faults, entries: Arc::default() }
    }

    /// Asks the sources at once and then at every interval until shutdown; `then` runs after each
    /// round.
    pub async fn keep_fresh(
        self,
        every: Duration,
        shutdown: CancellationToken,
        mut then: impl FnMut() + Send,
    ) {
        let mut rounds = tokio::time::interval(every);
        // After a round that took long, sources are not asked for the rounds that were missed.
        rounds.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while shutdown.run_until_cancelled(rounds.tick()).await.is_some() {
            if shutdown.run_until_cancelled(self.refresh()).await.is_some() {
                then();
            }
        }
    }

    /// Asks every source for everything it carries, all at once. A fault leaves the source's last
    /// observation in place, which then goes stale.
    pub async fn refresh(&self) {
        let asked = self.sources.iter().enumerate().flat_map(|(index, source)| {
            source.symbols().into_iter().map(move |symbol| async move {
                let outcome = source.observe(&symbol).await;
                (index, symbol, outcome)
            })
        });
        for (index, symbol, outcome) in futures::future::join_all(asked).await {
            let source = self.sources[index].name().to_owned();
            match outcome {
                Ok(observation) => self.record(index, &symbol, observation),
                Err(fault) => {
                    metrics::counter!(self.faults, "source" => source.clone()).increment(1);
                    tracing::warn!(%source, %symbol, %fault, "price source gave nothing");
                }
            }
        }
    }

    /// Takes note of what the source at `index` said.
    fn record(&self, index: usize, symbol: &str, observation: Observation) {
        let mut entries = self.entries.write();
        let entry = entries.entry(symbol.to_owned()).or_default();
        entry.get_mut().observations.insert(index, observation);
    }

    /// The believed prices of a symbol at a time in seconds since the epoch.
    pub fn range(&self, symbol: &str, now: u64) -> Result<Range, Unbelievable> {
        let entries = self.entries.read();
        let Some(entry) = entries.get(symbol) else {
            let expected = self.limits.sources_needed();
            return Err(Unbelievable::TooFewSources { symbol: symbol.into(), given: 0, expected });
        };
        let mut entry = entry.lock();
        let range = agreed(symbol, &entry, now, &self.limits)?;
        believe(symbol, &mut entry, range, now, &self.limits)
    }

    /// What is asked for the price of a symbol at the time of `clock`.
    pub fn ticker(&self, symbol: &str, clock: Clock) -> Ticker {
        Ticker { board: self.clone(), symbol: symbol.into(), clock }
    }
}

/// The price of one symbol of a board now. Cheap to clone, and cheap to ask: a price that is
/// believed is read without allocation, and never waits for a source.
#[derive(Clone, Debug)]
pub struct Ticker {
    board: Board,
    symbol: Arc<str>,
    clock: Clock,
}

impl Ticker {
    /// The symbol on the board.
    pub fn symbol(&self) -> &str {
        &self.symbol
    }

    /// The prices that are believed now.
    ///
    /// # Errors
    /// [`Unbelievable`] when none are.
    pub fn range(&self) -> Result<Range, Unbelievable> {
        self.board.range(&self.symbol, self.clock.unix())
    }
}

/// What the fresh sources say, if they are enough and agree.
fn agreed(symbol: &str, entry: &Entry, now: u64, limits: &Limits) -> Result<Range, Unbelievable> {
    let oldest = now.saturating_sub(limits.max_age.as_secs());
    let fresh = entry.observations.values().filter(|o| o.as_of >= oldest).map(|o| o.price);
    let (mut given, mut range) = (0, None::<Range>);
    for price in fresh {
        given += 1;
        let so_far = range.unwrap_or(Range::exactly(price));
        range = Some(Range { low: so_far.low.min(price), high: so_far.high.max(price) });
    }
    let expected = limits.sources_needed();
    let Some(range) = range.filter(|_| given >= expected) else {
        return Err(Unbelievable::TooFewSources { symbol: symbol.into(), given, expected });
    };
    let (given, expected) = (range.low.distance_bps(range.high), limits.max_deviation_bps);
    if given > expected {
        return Err(Unbelievable::Disagreement { symbol: symbol.into(), given, expected });
    }
    Ok(range)
}

/// Lets a small move through at once and a large one after it has lasted.
fn believe(
    symbol: &str,
    entry: &mut Entry,
    range: Range,
    now: u64,
    limits: &Limits,
) -> Result<Range, Unbelievable> {
    let near = |a: Price, b: Price| a.distance_bps(b) <= limits.max_jump_bps;
    if let Some(last) = entry.believed.filter(|last| !near(*last, range.low)) {
        let since = match entry.moved {
            Some((there, since)) if near(there, range.low) => since,
            _ => now,
        };
        if now.saturating_sub(since) < limits.jump_hold.as_secs() {
            entry.moved = Some((range.low, since));
            return Err(Unbelievable::Jump {
                symbol: symbol.into(),
                given: last.distance_bps(range.low),
                expected: limits.max_jump_bps,
            });
        }
    }
    entry.moved = None;
    entry.believed = Some(range.low);
    Ok(range)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits {
        minimum_sources: 2,
        max_age: Duration::from_secs(60),
        max_deviation_bps: 100,
        max_jump_bps: 500,
        jump_hold: Duration::from_secs(120),
    };

    fn board(says: &[(&str, u64)]) -> Board {
        let board = Board::new(Vec::new(), LIMITS, "price_faults_total");
        say(&board, says);
        board
    }

    fn say(board: &Board, says: &[(&str, u64)]) {
        for (index, (price, as_of)) in says.iter().enumerate() {
            let price = price.parse().unwrap();
            board.record(index, "ETH", Observation { price, as_of: *as_of });
        }
    }

    #[test]
    fn two_fresh_sources_that_agree_are_believed() {
        let range = board(&[("3000", 1_000), ("3010", 990)]).range("ETH", 1_000).unwrap();
        assert_eq!(range, Range { low: "3000".parse().unwrap(), high: "3010".parse().unwrap() });
    }

    #[test]
    fn a_stalled_source_does_not_count() {
        let fault = board(&[("3000", 1_000), ("3000", 900)]).range("ETH", 1_000).unwrap_err();
        assert_eq!(
            fault,
            Unbelievable::TooFewSources { symbol: "ETH".into(), given: 1, expected: 2 }
        );
        assert!(board(&[]).range("BTC", 0).is_err());
    }

    #[test]
    fn a_ticker_knows_the_price_until_it_is_stale() {
        let clock = Clock::manual(Duration::from_secs(1_000));
        let ticker = board(&[("3000", 1_000), ("3010", 990)]).ticker("ETH", clock.clone());
        assert_eq!(ticker.range().map(Range::midpoint), Ok("3005".parse().unwrap()));
        clock.advance(Duration::from_secs(51));
        assert_eq!(
            ticker.range(),
            Err(Unbelievable::TooFewSources { symbol: "ETH".into(), given: 1, expected: 2 })
        );
    }

    #[test]
    fn a_lying_source_stops_pricing() {
        let fault = board(&[("3000", 1_000), ("30000", 1_000)]).range("ETH", 1_000).unwrap_err();
        assert!(matches!(fault, Unbelievable::Disagreement { given: 90_000, expected: 100, .. }));
    }

    #[test]
    fn a_jump_is_believed_only_after_it_has_lasted() {
        let board = board(&[("3000", 1_000), ("3000", 1_000)]);
        board.range("ETH", 1_000).unwrap();
        say(&board, &[("4000", 1_010), ("4000", 1_010)]);
        assert!(matches!(board.range("ETH", 1_010), Err(Unbelievable::Jump { .. })));
        say(&board, &[("4000", 1_129), ("4000", 1_129)]);
        assert!(board.range("ETH", 1_129).is_err());
        assert!(board.range("ETH", 1_130).is_ok());
    }

    #[test]
    fn a_spike_that_returns_is_never_believed() {
        let board = board(&[("3000", 1_000), ("3000", 1_000)]);
        board.range("ETH", 1_000).unwrap();
        say(&board, &[("9000", 1_010), ("9000", 1_010)]);
        assert!(board.range("ETH", 1_010).is_err());
        say(&board, &[("3001", 1_020), ("3001", 1_020)]);
        assert_eq!(board.range("ETH", 1_020).unwrap().low, "3001".parse().unwrap());
    }
}
