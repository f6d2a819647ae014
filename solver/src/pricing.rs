//! What filling an intent earns: one formula, pure, in one unit.
//!
//! ```text
//! profit = reward
//!        − route amounts
//!        − gas of the fill on the destination   (with its L1 data fee)
//!        − fee of the proof message
//!        − gas of the withdrawal on the origin  (with its L1 data fee)
//!        − capital: route amounts · rate · (tier delay + waiting for a batch)
//! ```
//!
//! Income counts at the lowest accepted price and rounded down, costs at the highest and rounded
//! up, so that a profit on paper is never an artefact of rounding or of sources that differ.

use std::{fmt, time::Duration};

use alloy::primitives::U256;
use prices::{Range, Usd};

use crate::money::{Asset, Rounding, ValueTooLarge, value};

const SECONDS_PER_YEAR: u128 = 31_536_000;

/// An amount of an asset together with what is needed to value it.
#[derive(Clone, Copy, Debug)]
pub struct Valued {
    /// The asset.
    pub asset: Asset,
    /// The amount in its smallest unit.
    pub amount: U256,
    /// Decimals of the asset.
    pub decimals: u8,
    /// The lowest and highest accepted price.
    pub price: Range,
}

impl Valued {
    /// Worth when we receive it.
    pub fn as_income(&self) -> Result<Usd, ValueTooLarge> {
        value(self.amount, self.decimals, self.price.low, Rounding::Down)
    }

    /// Worth when we pay it.
    pub fn as_cost(&self) -> Result<Usd, ValueTooLarge> {
        value(self.amount, self.decimals, self.price.high, Rounding::Up)
    }
}

/// Everything the formula takes.
#[derive(Clone, Debug)]
pub struct Terms {
    /// What the vault holds for us.
    pub reward: Vec<Valued>,
    /// What the route takes from us.
    pub route: Vec<Valued>,
    /// Wei for the fill, its L1 data fee included.
    pub fill_gas: Valued,
    /// Wei for the proof message.
    pub proof_fee: Valued,
    /// Wei for our share of the withdrawal, its L1 data fee included.
    pub withdraw_gas: Valued,
    /// From paying the route until the reward is home.
    pub delay: Duration,
    /// What capital costs, in basis points a year.
    pub capital_bps_per_year: u32,
}

/// The formula's lines, each positive when it is what its name says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Estimate {
    /// Worth of the reward.
    pub reward: Usd,
    /// Worth of the route's amounts.
    pub route: Usd,
    /// Worth of the fill's gas.
    pub fill_gas: Usd,
    /// Worth of the proof message's fee.
    pub proof_fee: Usd,
    /// Worth of the withdrawal's gas.
    pub withdraw_gas: Usd,
    /// Cost of capital for the delay.
    pub capital: Usd,
}

impl Estimate {
    /// Applies the formula.
    pub fn of(terms: &Terms) -> Result<Self, ValueTooLarge> {
        let route: Usd = terms.route.iter().map(Valued::as_cost).sum::<Result<Usd, _>>()?;
        Ok(Self {
            reward: terms.reward.iter().map(Valued::as_income).sum::<Result<Usd, _>>()?,
            route,
            fill_gas: terms.fill_gas.as_cost()?,
            proof_fee: terms.proof_fee.as_cost()?,
            withdraw_gas: terms.withdraw_gas.as_cost()?,
            capital: cost_of_capital(route, terms.delay, terms.capital_bps_per_year),
        })
    }

    /// Everything that is not the route itself.
    pub fn overhead(&self) -> Usd {
        self.fill_gas + self.proof_fee + self.withdraw_gas + self.capital
    }

    /// What is left.
    pub fn profit(&self) -> Usd {
        self.reward - self.route - self.overhead()
    }
}

impl fmt::Display for Estimate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { reward, route, fill_gas, proof_fee, withdraw_gas, capital } = self;
        let profit = self.profit();
        write!(
            f,
            "reward {reward} - route {route} - fill gas {fill_gas} - proof fee {proof_fee} \
             - withdraw gas {withdraw_gas} - capital {capital} = {profit} USD"
        )
    }
}

/// Interest on an amount over a time, rounded up.
pub fn cost_of_capital(amount: Usd, time: Duration, bps_per_year: u32) -> Usd {
    let units = u128::try_from(amount.0).unwrap_or(0);
    let milliseconds = time.as_millis();
    let interest = U256::from(units) * U256::from(bps_per_year) * U256::from(milliseconds);
    let divisor = U256::from(SECONDS_PER_YEAR * 10_000 * 1_000);
    i128::try_from(interest.div_ceil(divisor)).map_or(Usd(i128::MAX), Usd)
}

/// The operator's margin for a lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Margin {
    /// The least profit whatever the size.
    pub floor: Usd,
    /// The least profit as a share of the route's worth, in basis points.
    pub share_bps: u32,
}

impl Margin {
    /// The profit an estimate must reach.
    pub fn required(&self, estimate: &Estimate) -> Usd {
        self.floor.max(estimate.route.basis_points_up(self.share_bps))
    }

    /// The shortfall of an estimate, if it falls short.
    pub fn shortfall(&self, estimate: &Estimate) -> Option<Usd> {
        let missing = self.required(estimate) - estimate.profit();
        (missing > Usd::ZERO).then_some(missing)
    }
}

#[cfg(test)]
mod tests {
    use alloy::primitives::Address;
    use prices::Price;
    use protocol::ids::ChainId;

    use super::*;

    fn valued(amount: u64, decimals: u8, low: &str, high: &str) -> Valued {
        let (low, high): (Price, Price) = (low.parse().unwrap(), high.parse().unwrap());
        Valued {
            asset: Asset { chain: ChainId(1), token: Address::ZERO },
            amount: U256::from(amount),
            decimals,
            price: Range { low, high },
        }
    }

    fn terms() -> Terms {
        Terms {
            reward: vec![valued(1_010_000_000, 6, "0.999", "1.001")],
            route: vec![valued(1_000_000_000, 6, "0.999", "1.001")],
            fill_gas: valued(100_000_000_000_000, 18, "2990", "3000"),
            proof_fee: valued(10_000_000_000_000, 18, "2990", "3000"),
            withdraw_gas: valued(50_000_000_000_000, 18, "2990", "3000"),
            delay: Duration::from_secs(3_600),
            capital_bps_per_year: 1_000,
        }
    }

    fn usd(text: &str) -> Usd {
        text.parse().unwrap()
    }

    #[test]
    fn every_line_of_the_formula_counts_against_us() {
        let estimate = Estimate::of(&terms()).unwrap();
        assert_eq!(estimate.reward, usd("1008.99"));
        assert_eq!(estimate.route, usd("1001"));
        assert_eq!(estimate.fill_gas, usd("0.3"));
        assert_eq!(estimate.proof_fee, usd("0.03"));
        assert_eq!(estimate.withdraw_gas, usd("0.15"));
        // 1001 · 10 % / 8760 hours, rounded up
        assert_eq!(estimate.capital, usd("0.011426940640"));
        assert_eq!(estimate.profit(), usd("7.498573059360"));
    }

    #[test]
    fn a_later_reward_costs_more() {
        let mut slow = terms();
        slow.delay = Duration::from_secs(7 * 86_400);
        let (fast, slow) = (Estimate::of(&terms()).unwrap(), Estimate::of(&slow).unwrap());
        assert!(slow.profit() < fast.profit());
        assert_eq!(cost_of_capital(usd("-5"), Duration::from_secs(1), 1_000), Usd::ZERO);
        assert_eq!(cost_of_capital(Usd(1), Duration::from_millis(1), 1), Usd(1));
    }

    #[test]
    fn the_margin_is_the_larger_of_floor_and_share() {
        let estimate = Estimate::of(&terms()).unwrap();
        let cases =
            [("1", 0, None), ("8", 0, Some("0.501426940640")), ("0", 75, Some("0.00892694064"))];
        for (floor, share_bps, expected) in cases {
            let margin = Margin { floor: usd(floor), share_bps };
            assert_eq!(margin.shortfall(&estimate), expected.map(usd), "{floor} {share_bps}");
        }
    }

    #[test]
    fn an_absurd_reward_is_an_error_and_not_a_profit() {
        let mut absurd = terms();
        absurd.reward[0].amount = U256::MAX;
        assert!(Estimate::of(&absurd).is_err());
    }
}
