//! The chains and tokens that the aggregator knows, and what they are worth.

use std::{collections::BTreeMap, sync::Arc};

use alloy::primitives::{Address, U256};

/// A token on one chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// EIP-155 id of its chain.
    pub chain_id: u64,
    /// Its address; zero for the native currency.
    pub address: Address,
    /// Its symbol.
    pub symbol: String,
    /// How many decimals its amounts have.
    pub decimals: u8,
    /// Price of one whole token in millionths of a US dollar, when known.
    pub micro_usd: Option<u64>,
}

impl Token {
    /// Whether it is the chain's own currency.
    pub fn is_native(&self) -> bool {
        self.address.is_zero()
    }

    /// The value of an amount in US dollars, when the price is known. Rounded as floats are: for
    /// ranking and display, never for amounts that are paid.
    pub fn usd(&self, amount: U256) -> Option<f64> {
        let whole = f64::from(amount) / 10_f64.powi(i32::from(self.decimals));
        self.micro_usd.map(|price| whole * price as f64 / 1e6)
    }
}

/// All tokens, by chain and address.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
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
            micro_usd: Some(micro_usd),
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
        let unpriced = Token { micro_usd: None, ..Token::clone(ether) };
        assert_eq!(unpriced.usd(U256::from(1)), None);
    }
}
