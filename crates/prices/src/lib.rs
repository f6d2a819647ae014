//! Prices: several sources, and one rule that decides whether they may be believed.
//!
//! [`PricesConfig`] is the section `[prices]` of a service, [`Board`] holds what its sources said
//! last, and [`Ticker`] is what a service asks for the price of one symbol now.
//!
//! A price is believed when enough sources know it, none of those counted is older than the
//! staleness limit, they do not differ by more than the deviation limit, and the outcome has not
//! jumped since the last belief. A jump is held back until it has lasted: one absurd answer must
//! not move money.

mod board;
mod chainlink;
mod config;
mod fixed;
mod http;
mod money;

pub use board::{Board, Limits, Ticker, Unbelievable};
pub use chainlink::Chainlink;
pub use config::{PricesConfig, SourceConfig};
pub use fixed::Fixed;
pub use http::Http;
pub use money::{NotDecimal, Price, UNITS_PER_DOLLAR, Usd};

use async_trait::async_trait;

/// The lowest and the highest price among the believed sources.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    /// Used for what we receive.
    pub low: Price,
    /// Used for what we pay.
    pub high: Price,
}

impl Range {
    /// Both ends alike.
    pub const fn exactly(price: Price) -> Self {
        Self { low: price, high: price }
    }

    /// The middle: for ranking and display, where nobody receives or pays.
    pub fn midpoint(self) -> Price {
        self.low.midpoint(self.high)
    }
}

/// What a source said, and when that was true.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Observation {
    /// Dollars for a whole token.
    pub price: Price,
    /// Seconds since the epoch at which the source says the price held.
    pub as_of: u64,
}

/// Why a source gave nothing.
#[derive(Debug, thiserror::Error)]
pub enum SourceFault {
    /// The source does not carry the symbol.
    #[error("does not carry {symbol}")]
    Unknown {
        /// The symbol asked for.
        symbol: String,
    },
    /// The source could not be reached.
    #[error("cannot be reached: {reason}")]
    Unreachable {
        /// What went wrong.
        reason: String,
    },
    /// The source answered something that is no price.
    #[error("answered {given}, expected {expected}")]
    Malformed {
        /// The answer, shortened.
        given: String,
        /// What was expected.
        expected: &'static str,
    },
}

/// Somebody who says what a token is worth.
#[async_trait]
pub trait Source: Send + Sync + std::fmt::Debug {
    /// The name in the configuration, for logs and metrics.
    fn name(&self) -> &str;

    /// Symbols this source carries. Called once, when the service starts.
    fn symbols(&self) -> Vec<String>;

    /// The price now. Called in the background, never while an intent is decided.
    async fn observe(&self, symbol: &str) -> Result<Observation, SourceFault>;
}
