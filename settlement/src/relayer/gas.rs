//! Whether a message has paid for its delivery.

use alloy::primitives::U256;

/// The oracle's exchange rate is a fraction of this.
const EXCHANGE_RATE_SCALE: u64 = 10_000_000_000;

/// What the relayer asks of a message before it spends gas on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GasPolicy {
    /// Nothing.
    None,
    /// At least this many wei of the origin's token.
    Minimum(U256),
    /// At least this part of the estimated cost, compared by value.
    Fraction {
        /// Parts asked for.
        numerator: u64,
        /// Parts that make the whole; never zero.
        denominator: u64,
    },
}

/// What delivery would cost, and how the two chains' tokens compare.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cost {
    /// Estimated gas of `process`; on Arbitrum chains the estimate holds the L1 data fee.
    pub gas: u64,
    /// Price of a unit of gas at the destination, in its wei.
    pub gas_price: u128,
    /// Origin wei per destination wei, times 10^10: the oracle's word.
    pub exchange_rate: u128,
}

impl Cost {
    /// The cost in wei of the origin's token, rounded up.
    pub fn in_origin_token(&self) -> U256 {
        let wei = U256::from(self.gas).saturating_mul(U256::from(self.gas_price));
        in_origin_token(wei, self.exchange_rate)
    }
}

/// Wei of the destination's token in wei of the origin's, rounded up.
pub fn in_origin_token(wei: U256, exchange_rate: u128) -> U256 {
    wei.saturating_mul(U256::from(exchange_rate)).div_ceil(U256::from(EXCHANGE_RATE_SCALE))
}

/// What was paid for a message, and what is gone of it. In wei of the origin's token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Funds {
    /// All payments for the mailbox id on the origin's present branch.
    pub paid: U256,
    /// What transactions that did not deliver it have cost.
    pub spent: U256,
}

/// A message has not paid enough; more may still come, anyone may pay.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("paid {} wei{}, the policy asks for {required}", .funds.paid, spent_of(.funds))]
pub struct Unpaid {
    /// What there is.
    pub funds: Funds,
    /// What the policy asks for, of what is left.
    pub required: U256,
}

fn spent_of(funds: &Funds) -> String {
    if funds.spent.is_zero() {
        return String::new();
    }
    format!(" of which {} went into deliveries that failed", funds.spent)
}

impl GasPolicy {
    /// Whether the policy needs an estimate of the cost.
    pub const fn needs_cost(self) -> bool {
        matches!(self, Self::Fraction { .. })
    }

    /// Compares what is left of the payments with what the policy asks for. Before the cost is known a
    /// fraction of it asks for anything at all.
    ///
    /// # Errors
    /// [`Unpaid`] when it is not enough.
    pub fn check(self, funds: Funds, cost: Option<Cost>) -> Result<(), Unpaid> {
        let required = match (self, cost) {
            (Self::None, _) => U256::ZERO,
            (Self::Minimum(minimum), _) => minimum,
            (Self::Fraction { numerator, denominator }, Some(cost)) => cost
                .in_origin_token()
                .saturating_mul(U256::from(numerator))
                .div_ceil(U256::from(denominator.max(1))),
            (Self::Fraction { numerator: 0, .. }, None) => U256::ZERO,
            (Self::Fraction { .. }, None) => U256::ONE,
        };
        let left = funds.paid.saturating_sub(funds.spent);
        if left >= required { Ok(()) } else { Err(Unpaid { funds, required }) }
    }
}

/// Writes a policy as configuration does: `none`, `minimum:<wei>` or `fraction:<n>/<d>`.
impl std::fmt::Display for GasPolicy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::None => f.write_str("none"),
            Self::Minimum(wei) => write!(f, "minimum:{wei}"),
            Self::Fraction { numerator, denominator } => {
                write!(f, "fraction:{numerator}/{denominator}")
            }
        }
    }
}

/// The text names no gas policy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{given:?} is none of none, minimum:<wei>, fraction:<n>/<d>")]
pub struct UnknownPolicy {
    /// The text given.
    pub given: String,
}

impl std::str::FromStr for GasPolicy {
    type Err = UnknownPolicy;

    fn from_str(text: &str) -> Result<Self, UnknownPolicy> {
        let unknown = || UnknownPolicy { given: text.to_owned() };
        if text == "none" {
            return Ok(Self::None);
        }
        let (kind, value) = text.split_once(':').ok_or_else(unknown)?;
        match kind {
            "minimum" if !value.is_empty() => {
                Ok(Self::Minimum(value.parse().map_err(|_| unknown())?))
            }
            "fraction" => {
                let (numerator, denominator) = value.split_once('/').ok_or_else(unknown)?;
                let numerator = numerator.parse().map_err(|_| unknown())?;
                match denominator.parse() {
                    Ok(denominator) if denominator > 0 => {
                        Ok(Self::Fraction { numerator, denominator })
                    }
                    _ => Err(unknown()),
                }
            }
            _ => Err(unknown()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COST: Cost = Cost { gas: 100_000, gas_price: 10, exchange_rate: 20_000_000_000 };

    fn paid(wei: u64) -> Funds {
        Funds { paid: U256::from(wei), spent: U256::ZERO }
    }

    #[test]
    fn a_fraction_compares_value_not_gas_units() {
        assert_eq!(COST.in_origin_token(), U256::from(2_000_000));
        let half = GasPolicy::Fraction { numerator: 1, denominator: 2 };
        assert!(half.check(paid(1_000_000), Some(COST)).is_ok());
        assert_eq!(
            half.check(paid(999_999), Some(COST)),
            Err(Unpaid { funds: paid(999_999), required: U256::from(1_000_000) })
        );
    }

    #[test]
    fn a_message_that_paid_nothing_is_refused_before_its_cost_is_known() {
        let half = GasPolicy::Fraction { numerator: 1, denominator: 2 };
        assert!(half.check(paid(0), None).is_err());
        assert!(half.check(paid(1), None).is_ok());
        assert!(GasPolicy::Minimum(U256::from(2)).check(paid(1), None).is_err());
        assert!(GasPolicy::None.check(paid(0), None).is_ok());
    }

    #[test]
    fn what_failed_deliveries_cost_is_gone() {
        let whole = GasPolicy::Fraction { numerator: 1, denominator: 1 };
        let funds = Funds { spent: U256::from(1_000_001), ..paid(3_000_000) };
        let unpaid = whole.check(funds, Some(COST)).unwrap_err();
        assert_eq!(
            unpaid.to_string(),
            "paid 3000000 wei of which 1000001 went into deliveries that failed, \
             the policy asks for 2000000"
        );
        assert!(whole.check(Funds { spent: U256::from(1_000_000), ..funds }, Some(COST)).is_ok());
        assert!(whole.check(Funds { spent: U256::MAX, ..funds }, None).is_err());
    }

    #[test]
    fn policies_are_read_as_they_are_written() {
        for text in ["none", "minimum:1000000000000000000000", "fraction:1/2"] {
            assert_eq!(text.parse::<GasPolicy>().unwrap().to_string(), text);
        }
        for text in ["", "some", "minimum:-1", "fraction:1", "fraction:1/0", "minimum:"] {
            assert!(text.parse::<GasPolicy>().is_err(), "{text}");
        }
    }
}
