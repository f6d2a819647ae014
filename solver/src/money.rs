//! Money in one unit, so that a reward on one chain and a cost on another can be subtracted.

use std::{
    fmt,
    iter::Sum,
    ops::{Add, AddAssign, Neg, Sub},
    str::FromStr,
};

use alloy::primitives::{Address, U256, U512};
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

/// US dollars in units of 10^-12, signed. Sums saturate: a sum that large is refused long before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Usd(pub i128);

/// Units of [`Usd`] and [`Price`] in one dollar.
pub const UNITS_PER_DOLLAR: i128 = 1_000_000_000_000;

/// Decimal digits behind the point of [`Usd`] and [`Price`].
const DIGITS: usize = 12;

impl Usd {
    /// Nothing.
    pub const ZERO: Self = Self(0);

    /// Whole dollars.
    pub const fn dollars(whole: i64) -> Self {
        Self(whole as i128 * UNITS_PER_DOLLAR)
    }

    /// The given share of this amount in basis points, rounded away from zero.
    pub const fn basis_points_up(self, bps: u32) -> Self {
        let product = self.0.saturating_mul(bps as i128);
        let (quotient, rest) = (product / 10_000, product % 10_000);
        Self(quotient + rest.signum())
    }
}

impl Add for Usd {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl AddAssign for Usd {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl Sub for Usd {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}

impl Neg for Usd {
    type Output = Self;
    fn neg(self) -> Self {
        Self(self.0.saturating_neg())
    }
}

impl Sum for Usd {
    fn sum<I: Iterator<Item = Self>>(amounts: I) -> Self {
        amounts.fold(Self::ZERO, Add::add)
    }
}

impl fmt::Display for Usd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let units = self.0.unsigned_abs();
        let one = UNITS_PER_DOLLAR.unsigned_abs();
        write!(f, "{sign}{}.{:06}", units / one, units % one / 1_000_000)
    }
}

/// A text that is not a decimal number of dollars.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{given:?} is not a decimal number with at most {DIGITS} digits behind the point")]
pub struct NotDecimal {
    /// The text.
    pub given: String,
}

/// Reads `12`, `0.5` or `-3.25` exactly.
fn decimal(text: &str) -> Result<i128, NotDecimal> {
    let fault = || NotDecimal { given: text.into() };
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let plain = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
    if whole.is_empty() || fraction.len() > DIGITS || !plain(whole) || !plain(fraction) {
        return Err(fault());
    }
    let units: i128 = format!("{whole}{fraction:0<DIGITS$}").parse().map_err(|_| fault())?;
    Ok(if negative { -units } else { units })
}

impl FromStr for Usd {
    type Err = NotDecimal;
    fn from_str(text: &str) -> Result<Self, NotDecimal> {
        decimal(text).map(Self)
    }
}

/// US dollars for one whole token, in units of 10^-12. Never zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Price(u128);

impl Price {
    /// A price from its units; a price of zero is no price.
    pub const fn new(units: u128) -> Option<Self> {
        if units == 0 { None } else { Some(Self(units)) }
    }

    /// Its units of 10^-12 dollars.
    pub const fn units(self) -> u128 {
        self.0
    }

    /// How far the other price is away, in basis points of the lower of the two, rounded up.
    pub fn distance_bps(self, other: Self) -> u64 {
        let (low, high) = (self.0.min(other.0), self.0.max(other.0));
        let distance = (high - low).saturating_mul(10_000).div_ceil(low);
        u64::try_from(distance).unwrap_or(u64::MAX)
    }
}

impl fmt::Display for Price {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Usd(i128::try_from(self.0).unwrap_or(i128::MAX)).fmt(f)
    }
}

impl FromStr for Price {
    type Err = NotDecimal;
    fn from_str(text: &str) -> Result<Self, NotDecimal> {
        u128::try_from(decimal(text)?)
            .ok()
            .and_then(Self::new)
            .ok_or_else(|| NotDecimal { given: text.into() })
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
    let product = U512::from(amount) * U512::from(price.0);
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
    let exact = U512::from(units) * unit / U512::from(price.0);
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

    #[test]
    fn decimals_are_read_exactly_or_refused() {
        assert_eq!("0.000000000001".parse(), Ok(Usd(1)));
        assert_eq!("-3.25".parse(), Ok(Usd(-3_250_000_000_000)));
        for bad in ["", ".5", "1e3", "1.0000000000001", "--1", "+1", "0x10"] {
            assert!(bad.parse::<Usd>().is_err(), "{bad}");
        }
        assert!("0".parse::<Price>().is_err());
        assert!("-1".parse::<Price>().is_err());
    }

    #[test]
    fn shares_and_distances_round_up() {
        assert_eq!(Usd(10_001).basis_points_up(1), Usd(2));
        assert_eq!(Usd(-10_001).basis_points_up(1), Usd(-2));
        let (a, b): (Price, Price) = ("100".parse().unwrap(), "101".parse().unwrap());
        assert_eq!((a.distance_bps(b), b.distance_bps(a)), (100, 100));
    }
}
