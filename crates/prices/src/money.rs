//! US dollars, and what a token costs in them, in whole numbers.

use std::{
    fmt,
    iter::Sum,
    ops::{Add, AddAssign, Neg, Sub},
    str::FromStr,
};

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

    /// A price from millionths of a dollar; `None` for zero.
    pub fn from_micro_usd(millionths: u64) -> Option<Self> {
        Self::new(u128::from(millionths) * UNITS_PER_DOLLAR.unsigned_abs() / 1_000_000)
    }

    /// Its units of 10^-12 dollars.
    pub const fn units(self) -> u128 {
        self.0
    }

    /// Dollars as a float: for ranking and display, never for amounts that are paid.
    pub fn dollars(self) -> f64 {
        self.0 as f64 / UNITS_PER_DOLLAR as f64
    }

    /// The middle between two prices.
    pub fn midpoint(self, other: Self) -> Self {
        Self(u128::midpoint(self.0, other.0))
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

#[cfg(test)]
mod tests {
    use super::*;

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

    #[test]
    fn prices_are_shown_in_dollars() {
        let ether = Price::from_micro_usd(2_000_500_000).unwrap();
        assert_eq!((ether, ether.dollars()), ("2000.5".parse().unwrap(), 2_000.5));
        assert_eq!(Price::from_micro_usd(0), None);
        let (low, high): (Price, Price) = ("1".parse().unwrap(), "3".parse().unwrap());
        assert_eq!(low.midpoint(high), "2".parse().unwrap());
    }
}
