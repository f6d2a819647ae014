//! A fixed table, for development and for tokens pegged by definition.

use std::collections::BTreeMap;

use async_trait::async_trait;
use service::clock::Clock;

use crate::{Observation, Price, Source, SourceFault};

/// Prices that never change and are always fresh.
#[derive(Debug)]
pub struct Fixed {
    name: String,
    prices: BTreeMap<String, Price>,
    clock: Clock,
}

impl Fixed {
    /// A table of symbol and price.
    pub fn new(name: String, prices: BTreeMap<String, Price>, clock: Clock) -> Self {
        Self { name, prices, clock }
    }
}

#[async_trait]
impl Source for Fixed {
    fn name(&self) -> &str {
        &self.name
    }

    fn symbols(&self) -> Vec<String> {
        self.prices.keys().cloned().collect()
    }

    async fn observe(&self, symbol: &str) -> Result<Observation, SourceFault> {
        let price = self
            .prices
            .get(symbol)
            .copied()
            .ok_or_else(|| SourceFault::Unknown { symbol: symbol.into() })?;
        Ok(Observation { price, as_of: self.clock.unix() })
    }
}
