//! Feeds on a chain with Chainlink's `AggregatorV3Interface`.

use std::collections::BTreeMap;

use alloy::{
    eips::BlockNumberOrTag,
    primitives::{Address, U256, U512},
    sol,
};
use async_trait::async_trait;
use chain::ChainClient;

use crate::{Observation, Price, Source, SourceFault, UNITS_PER_DOLLAR};

sol! {
    /// `AggregatorV3Interface` of Chainlink's contracts.
    interface AggregatorV3 {
        /// Decimals of `answer`.
        function decimals() external view returns (uint8);
        /// The newest round.
        function latestRoundData() external view returns (uint80 roundId, int256 answer, uint256 startedAt, uint256 updatedAt, uint80 answeredInRound);
    }
}

/// Feeds of one chain.
#[derive(Debug)]
pub struct Chainlink {
    name: String,
    client: ChainClient,
    feeds: BTreeMap<String, Address>,
}

impl Chainlink {
    /// Feeds by symbol.
    pub const fn new(name: String, client: ChainClient, feeds: BTreeMap<String, Address>) -> Self {
        Self { name, client, feeds }
    }
}

#[async_trait]
impl Source for Chainlink {
    fn name(&self) -> &str {
        &self.name
    }

    fn symbols(&self) -> Vec<String> {
        self.feeds.keys().cloned().collect()
    }

    async fn observe(&self, symbol: &str) -> Result<Observation, SourceFault> {
        let feed = *self
            .feeds
            .get(symbol)
            .ok_or_else(|| SourceFault::Unknown { symbol: symbol.into() })?;
        let at = BlockNumberOrTag::Latest;
        let (decimals, round) = tokio::try_join!(
            self.client.call(feed, &AggregatorV3::decimalsCall {}, at),
            self.client.call(feed, &AggregatorV3::latestRoundDataCall {}, at),
        )
        .map_err(|error| SourceFault::Unreachable { reason: error.to_string() })?;
        let price = U256::try_from(round.answer).ok().and_then(|a| scaled(a, decimals));
        let price = price.ok_or_else(|| SourceFault::Malformed {
            given: round.answer.to_string(),
            expected: "a positive answer",
        })?;
        Ok(Observation { price, as_of: round.updatedAt.saturating_to() })
    }
}

/// An answer with the feed's decimals as a price with twelve.
fn scaled(answer: U256, decimals: u8) -> Option<Price> {
    let unit = U512::from(10).pow(U512::from(decimals));
    let units = U512::from(answer) * U512::from(UNITS_PER_DOLLAR) / unit;
    u128::try_from(units).ok().and_then(Price::new)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_scaled_from_the_feeds_decimals() {
        assert_eq!(scaled(U256::from(300_012_345_678_u64), 8), "3000.12345678".parse().ok());
        assert_eq!(scaled(U256::ZERO, 8), None);
        assert_eq!(scaled(U256::MAX, 0), None);
    }
}
