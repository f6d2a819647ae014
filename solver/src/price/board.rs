//! The board: the last observation of every source, and the rule that believes them.

use std::{collections::HashMap, sync::Arc, time::Duration};

use parking_lot::RwLock;

use super::{Observation, Range, Source};
use crate::money::Price;

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
    entries: Arc<RwLock<HashMap<String, Entry>>>,
}

impl Board {
    /// A board without observations.
    pub fn new(sources: Vec<Arc<dyn Source>>, limits: Limits) -> Self {
        Self { limits, sources: sources.into(), entries: Arc::default() }
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
                    metrics::counter!("solver_price_faults_total", "source" => source.clone())
                        .increment(1);
                    tracing::warn!(%source, %symbol, %fault, "price source gave nothing");
                }
            }
        }
    }

    /// Takes note of what the source at `index` said.
    fn record(&self, index: usize, symbol: &str, observation: Observation) {
        let mut entries = self.entries.write();
        let entry = entries.entry(symbol.to_owned()).or_default();
        entry.observations.insert(index, observation);
    }

    /// The believed prices of a symbol at a time in seconds since the epoch.
    pub fn range(&self, symbol: &str, now: u64) -> Result<Range, Unbelievable> {
        let mut entries = self.entries.write();
        let entry = entries.entry(symbol.to_owned()).or_default();
        let range = agreed(symbol, entry, now, &self.limits)?;
        believe(symbol, entry, range, now, &self.limits)
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
    let expected = limits.minimum_sources.max(1);
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
        let board = Board::new(Vec::new(), LIMITS);
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
