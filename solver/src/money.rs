//! Money in one unit, so that a reward on one chain and a cost on another can be subtracted.

use std::fmt;

use alloy::primitives::{Address, U256, U512};
use prices::{Price, Usd};
use protocol::ids::ChainId;

/// A token on a chain. The zero address is the chain's native currency.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Asset {
    /// The chain that holds it.
    pub chain: ChainId,
    /// The token, or zero for the native currency.
    pub token: Address,
}

impl Asset {
    /// The native currency of a chain.
    pub const fn native(chain: ChainId) -> Self {
        Self { chain, token: Address::ZERO }
    }

    /// Whether this is a native currency.
    pub fn is_native(&self) -> bool {
        self.token.is_zero()
    }
}

impl fmt::Display for Asset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_native() {
            write!(f, "native on chain {}", self.chain)
        } else {
            write!(f, "{} on chain {}", self.token, self.chain)
        }
    }
}

/// Which way a value that is not whole is rounded. What we get is rounded down, what we pay up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rounding {
    /// Against us as receiver.
    Down,
    /// Against us as payer.
    Up,
}

/// An amount whose value does not fit: no honest intent is worth 10^26 dollars.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
#[error("{amount} units at {price} dollars is more than any sum this solver handles")]
pub struct ValueTooLarge {
    /// The amount in the token's smallest unit.
    pub amount: U256,
    /// The price of a whole token.
    pub price: Price,
}

/// The value of an amount of a token that has the given number of decimals.
pub fn value(
    amount: U256,
    decimals: u8,
    price: Price,
    rounding: Rounding,
) -> Result<Usd, ValueTooLarge> {
    let product = U512::from(amount) * U512::from(price.units());
    let unit = U512::from(10).pow(U512::from(decimals));
    let exact = match rounding {
        Rounding::Down => product / unit,
        Rounding::Up => product.div_ceil(unit),
    };
    i128::try_from(exact).map(Usd).map_err(|_| ValueTooLarge { amount, price })
}

/// How much of a token a value buys, rounded down; zero for nothing or less.
pub fn amount_for(value: Usd, decimals: u8, price: Price) -> U256 {
    let units = u128::try_from(value.0).unwrap_or(0);
    let unit = U512::from(10).pow(U512::from(decimals));
    let exact = U512::from(units) * unit / U512::from(price.units());
    exact.saturating_to()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_round_against_us() {
        let price: Price = "3000.5".parse().unwrap();
        let wei = U256::from(1);
        assert_eq!(value(wei, 18, price, Rounding::Down), Ok(Usd(0)));
        assert_eq!(value(wei, 18, price, Rounding::Up), Ok(Usd(1)));
        let ether = U256::from(10).pow(U256::from(18));
        assert_eq!(value(ether, 18, price, Rounding::Down), Ok("3000.5".parse().unwrap()));
        assert!(value(U256::MAX, 0, price, Rounding::Down).is_err());
    }

    #[test]
    fn an_amount_bought_is_worth_no_more_than_its_value() {
        let price: Price = "0.37".parse().unwrap();
        let amount = amount_for(Usd::dollars(10), 6, price);
        assert!(value(amount, 6, price, Rounding::Down).unwrap() <= Usd::dollars(10));
        assert!(value(amount + U256::ONE, 6, price, Rounding::Up).unwrap() > Usd::dollars(10));
        assert_eq!(amount_for(Usd::dollars(-1), 6, price), U256::ZERO);
    }
}
