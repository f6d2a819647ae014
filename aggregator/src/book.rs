//! The chains and tokens that the aggregator knows, and what they are worth.

use std::{collections::BTreeMap, sync::Arc};

use alloy::primitives::{Address, U256};
use prices::{Price, Range, Ticker};

/// A token on one chain.
#[derive(Clone, Debug)]
pub struct Token {
    /// EIP-155 id of its chain.
    pub chain_id: u64,
    /// Its address; zero for the native currency.
    pub address: Address,
    /// Its symbol.
    pub symbol: String,
    /// How many decimals its amounts have.
    pub decimals: u8,
    /// What says what it is worth.
    pub pricing: Pricing,
}

/// What says what a token is worth.
#[derive(Clone, Debug)]
pub enum Pricing {
    /// Nothing.
    Unknown,
    /// The configuration: this price, always.
    Fixed(Price),
    /// The market, at the moment of asking.
    Market(Ticker),
}

impl Token {
    /// Whether it is the chain's own currency.
    pub fn is_native(&self) -> bool {
        self.address.is_zero()
    }

    /// Price of one whole token now, when it is known: the middle of what the market believes.
    pub fn price(&self) -> Option<Price> {
        match &self.pricing {
            Pricing::Unknown => None,
            Pricing::Fixed(price) => Some(*price),
            Pricing::Market(ticker) => ticker.range().ok().map(Range::midpoint),
        }
    }

    /// The value of an amount in US dollars now, when the price is known.
    pub fn usd(&self, amount: U256) -> Option<f64> {
        self.price().map(|price| self.usd_at(price, amount))
    }

    /// The value of an amount in US dollars at a price of one whole token. Rounded as floats are:
    /// for ranking and display, never for amounts that are paid.
    pub fn usd_at(&self, price: Price, amount: U256) -> f64 {
        let whole = f64::from(amount) / 10_f64.powi(i32::from(self.decimals));
        whole * price.dollars()
    }
}

/// All tokens, by chain and address.
#[derive(Clone, Debug, Default)]
pub struct TokenBook {
    chains: BTreeMap<u64, BTreeMap<Address, Arc<Token>>>,
}

impl TokenBook {
    /// A book of these tokens; a later one replaces an earlier one of the same address.
    pub fn new(tokens: impl IntoIterator<Item = Token>) -> Self {
        let mut chains = BTreeMap::<u64, BTreeMap<_, _>>::new();
        for token in tokens {
            chains.entry(token.chain_id).or_default().insert(token.address, Arc::new(token));
        }
        Self { chains }
    }

    /// Whether the chain has any token.
    pub fn has_chain(&self, chain_id: u64) -> bool {
        self.chains.contains_key(&chain_id)
    }

    /// The chains, ascending.
    pub fn chain_ids(&self) -> Vec<u64> {
        self.chains.keys().copied().collect()
    }

    /// The token at an address, zero for native.
    pub fn token(&self, chain_id: u64, address: Address) -> Option<&Arc<Token>> {
        self.chains.get(&chain_id)?.get(&address)
    }

    /// Every token, by chain and address.
    pub fn tokens(&self) -> impl Iterator<Item = &Token> {
        self.chains.values().flat_map(BTreeMap::values).map(Arc::as_ref)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use alloy::primitives::address;

    use super::*;

    pub(crate) const CHAIN_A: u64 = 700_001;
    pub(crate) const CHAIN_B: u64 = 700_002;
    pub(crate) const USDX_A: Address = address!("0x00000000000000000000000000000000000000aa");
    pub(crate) const USDX_B: Address = address!("0x00000000000000000000000000000000000000bb");

    pub(crate) fn book() -> TokenBook {
        let token = |chain_id, address, symbol: &str, decimals, micro_usd| Token {
            chain_id,
            address,
            symbol: symbol.into(),
            decimals,
            pricing: Price::from_micro_usd(micro_usd).map_or(Pricing::Unknown, Pricing::Fixed),
        };
        TokenBook::new([
            token(CHAIN_A, Address::ZERO, "ETH", 18, 2_000_000_000),
            token(CHAIN_B, Address::ZERO, "ETH", 18, 2_000_000_000),
            token(CHAIN_A, USDX_A, "USDX", 6, 1_000_000),
            token(CHAIN_B, USDX_B, "USDX", 6, 1_000_000),
        ])
    }

    #[test]
    fn values_count_decimals_and_price() {
        let book = book();
        let ether = book.token(CHAIN_A, Address::ZERO).unwrap();
        assert_eq!(ether.usd(U256::from(500_000_000_000_000_000_u64)), Some(1_000.0));
        let unpriced = Token { pricing: Pricing::Unknown, ..Token::clone(ether) };
        assert_eq!(unpriced.usd(U256::from(1)), None);
    }
}
