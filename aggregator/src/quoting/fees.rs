use alloy::primitives::{Address, U256};
use api::{
    aggregator::{Fee, FeeKind},
    solver::Costs,
};

use super::Route;
use crate::{
    book::Token,
    provider::{Offer, Plan},
};

/// What lies between input and output, and what the provider takes on top of the input.
pub(super) fn of(route: &Route, offer: &Offer) -> Vec<Fee> {
    let mut fees = included(route, offer);
    let amount = offer.native_fee();
    if !amount.is_zero() {
        fees.push(Fee {
            kind: FeeKind::Provider,
            chain_id: route.origin.0,
            token: Address::ZERO,
            amount: amount.into(),
            usd: route.usd_native(amount),
            included: false,
        });
    }
    fees
}

/// What lies between input and output: by the solver's own account where there is one that can be
/// true, else in one sum.
fn included(route: &Route, offer: &Offer) -> Vec<Fee> {
    let Some(whole) = difference(route, offer) else { return Vec::new() };
    let itemized = offer.costs.and_then(|costs| itemized(&whole, &costs));
    itemized.unwrap_or_else(|| vec![whole])
}

/// Splits a fee by what its solver says of it. Each part takes its share of the amount by value,
/// rounded down, and the solver keeps what is left: together they are the whole to the last unit.
/// `None` when the parts are worth more than the whole, or nobody knows what that is worth.
fn itemized(whole: &Fee, costs: &Costs) -> Option<Vec<Fee>> {
    let worth = whole.usd.filter(|worth| *worth > 0.0)?;
    let parts = [
        (FeeKind::DestinationGas, costs.fill_gas),
        (FeeKind::ProofMessage, costs.proof_fee),
        (FeeKind::SettlementGas, costs.withdraw_gas),
        (FeeKind::OpeningGas, costs.opening_gas),
        (FeeKind::Capital, costs.capital),
    ];
    let mut fees = Vec::with_capacity(parts.len() + 1);
    let (mut left, mut left_usd) = (whole.amount.0, worth);
    for (kind, micro_usd) in parts.into_iter().filter(|(_, micro_usd)| *micro_usd > 0) {
        let usd = micro_usd as f64 / 1e6;
        let amount = U256::try_from((f64::from(whole.amount.0) * (usd / worth)).floor()).ok()?;
        left = left.checked_sub(amount)?;
        left_usd -= usd;
        fees.push(Fee { kind, amount: amount.into(), usd: Some(usd), ..*whole });
    }
    let usd = Some(left_usd.max(0.0));
    fees.push(Fee { amount: left.into(), usd, ..*whole });
    Some(fees)
}

/// The difference between what goes in and what comes out, in the token that goes in. Only between
/// tokens of known price or of one symbol and scale is there such a number.
fn difference(route: &Route, offer: &Offer) -> Option<Fee> {
    let token_in = &route.token_in;
    let kind = match offer.plan {
        Plan::Intent(_) => FeeKind::Solver,
        Plan::Transaction { .. } => FeeKind::Provider,
    };
    let fee = |amount: U256, usd| Fee {
        kind,
        chain_id: token_in.chain_id,
        token: token_in.address,
        amount: amount.into(),
        usd,
        included: true,
    };
    if route.is_one_asset() {
        let amount = offer.amount_in.saturating_sub(offer.amount_out);
        return Some(fee(amount, route.usd_in(amount)));
    }
    let (paid, got) = (route.usd_in(offer.amount_in)?, route.usd_out(offer.amount_out)?);
    let usd = (paid - got).max(0.0);
    let amount = usd / route.price_in?.dollars() * 10_f64.powi(i32::from(token_in.decimals));
    Some(fee(U256::from(amount), Some(usd)))
}

/// What the sender pays for gas on top, in the origin's native currency.
pub(super) fn origin_gas(chain_id: u64, native: Option<&Token>, gas: u64, price: u128) -> Fee {
    let amount = U256::from(gas).saturating_mul(U256::from(price));
    Fee {
        kind: FeeKind::OriginGas,
        chain_id,
        token: native.map(|token| token.address).unwrap_or_default(),
        amount: amount.into(),
        usd: native.and_then(|token| token.usd(amount)),
        included: false,
    }
}

#[cfg(test)]
mod tests {
    use api::Amount;

    use super::*;

    /// A fee of three dollars in a token of 18 decimals that is worth 3,000.
    fn whole() -> Fee {
        Fee {
            kind: FeeKind::Solver,
            chain_id: 1,
            token: Address::ZERO,
            amount: 1_000_000_000_000_001.into(),
            usd: Some(3.0),
            included: true,
        }
    }

    const COSTS: Costs = Costs {
        fill_gas: 1_000_000,
        proof_fee: 333_333,
        withdraw_gas: 70_000,
        opening_gas: 0,
        capital: 1,
        margin: 1_500_000,
    };

    #[test]
    fn parts_make_up_the_whole_to_the_last_unit() {
        use FeeKind::{Capital, DestinationGas, ProofMessage, SettlementGas, Solver};
        let fees = itemized(&whole(), &COSTS).unwrap();
        let kinds: Vec<_> = fees.iter().map(|fee| fee.kind).collect();
        assert_eq!(kinds, [DestinationGas, ProofMessage, SettlementGas, Capital, Solver]);
        let sum = fees.iter().fold(U256::ZERO, |sum, fee| sum + fee.amount.0);
        assert_eq!(sum, whole().amount.0);
        let usd: f64 = fees.iter().filter_map(|fee| fee.usd).sum();
        assert!((usd - 3.0).abs() < 1e-9, "{usd}");
        assert_eq!(fees[0].amount, Amount::from(333_333_333_333_333));
        assert!(fees.iter().all(|fee| fee.included && fee.chain_id == 1));
    }

    #[test]
    fn all_of_it_may_be_costs() {
        let costs = Costs { fill_gas: 3_000_000, ..Costs::default() };
        let fees = itemized(&whole(), &costs).unwrap();
        let amounts: Vec<_> = fees.iter().map(|fee| fee.amount).collect();
        assert_eq!(amounts, [whole().amount, Amount::from(0)]);
    }

    #[test]
    fn an_account_that_cannot_be_true_is_not_shown() {
        let more = Costs { capital: 1_700_000, ..COSTS };
        assert_eq!(itemized(&whole(), &more), None);
        let absurd = Costs { fill_gas: u64::MAX, ..COSTS };
        assert_eq!(itemized(&whole(), &absurd), None);
        assert_eq!(itemized(&Fee { usd: None, ..whole() }, &COSTS), None);
        assert_eq!(itemized(&Fee { amount: 0.into(), usd: Some(0.0), ..whole() }, &COSTS), None);
    }
}
