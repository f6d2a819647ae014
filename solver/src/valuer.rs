//! Amounts joined with prices that are believed now.

use std::sync::Arc;

use alloy::primitives::U256;
use prices::{Board, Unbelievable, Usd};
use service::clock::Clock;

use crate::{
    money::{Asset, Rounding, ValueTooLarge, value},
    order::Amount,
    policy::Policy,
    pricing::Valued,
};

/// Why an amount has no value now.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unknown {
    /// The token is not configured.
    #[error("{0} is not a token we know")]
    Token(Asset),
    /// Its price is not believed.
    #[error("no price: {0}")]
    Price(#[from] Unbelievable),
    /// The amount is absurd.
    #[error(transparent)]
    TooLarge(#[from] Box<ValueTooLarge>),
}

impl From<ValueTooLarge> for Unknown {
    fn from(error: ValueTooLarge) -> Self {
        Self::TooLarge(Box::new(error))
    }
}

/// Values amounts. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Valuer {
    policy: Arc<Policy>,
    board: Board,
    clock: Clock,
}

impl Valuer {
    /// A valuer of the policy's tokens at the board's prices.
    pub const fn new(policy: Arc<Policy>, board: Board, clock: Clock) -> Self {
        Self { policy, board, clock }
    }

    /// An amount with decimals and price.
    pub fn valued(&self, asset: Asset, amount: U256) -> Result<Valued, Unknown> {
        let token = self.policy.token(asset).ok_or(Unknown::Token(asset))?;
        let price = self.board.range(&token.price, self.clock.unix())?;
        Ok(Valued { asset, amount, decimals: token.decimals, price })
    }

    /// Every amount with decimals and price.
    pub fn all(&self, amounts: &[Amount]) -> Result<Vec<Valued>, Unknown> {
        amounts.iter().map(|a| self.valued(a.asset, a.amount)).collect()
    }

    /// What amounts are worth to us, as payer (`Up`) or receiver (`Down`).
    pub fn worth(&self, amounts: &[Amount], rounding: Rounding) -> Result<Usd, Unknown> {
        let mut sum = Usd::ZERO;
        for amount in amounts {
            let valued = self.valued(amount.asset, amount.amount)?;
            let price = match rounding {
                Rounding::Down => valued.price.low,
                Rounding::Up => valued.price.high,
            };
            sum += value(amount.amount, valued.decimals, price, rounding)?;
        }
        Ok(sum)
    }
}
