//! What a transaction pays, first and when it has waited too long.

use crate::client::Fees;

/// A waiting transaction is raised to at most this many times what a new one would offer now: what no block takes at
/// three times the market's price waits for another reason, and would bid against itself. (Hyperlane's Lander has the
/// same bound.)
const MARKET_MULTIPLE: u128 = 3;

/// Bounds on what is paid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FeePolicy {
    /// Never offer more than this per gas, in wei. A transaction at the cap waits without being raised further; the empty
    /// one that takes its nonce away may be above the cap by one raise, or no node would take it. Without a cap three
    /// times the market's price is the bound.
    pub max_fee_cap: Option<u128>,
    /// Least tip per gas, in wei.
    pub min_priority: u128,
    /// By how much a waiting transaction is raised, in percent. Nodes refuse a replacement below 10.
    pub bump_percent: u128,
}

impl Default for FeePolicy {
    fn default() -> Self {
        Self { max_fee_cap: None, min_priority: 0, bump_percent: 12 }
    }
}

/// The two fee fields of an EIP-1559 transaction, in wei per gas.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Offer {
    pub(super) max_fee: u128,
    pub(super) priority: u128,
}

/// What a new transaction offers: room for the base fee to double.
pub(super) fn first(policy: FeePolicy, market: Fees) -> Offer {
    let priority = market.priority.max(policy.min_priority);
    capped(
        policy,
        Offer { max_fee: market.base.saturating_mul(2).saturating_add(priority), priority },
    )
}

/// What its replacement offers: enough more for nodes to take it, and the market's price if that is higher. `None` when
/// the cap or the market leaves no room for a replacement.
pub(super) fn bump(policy: FeePolicy, market: Fees, old: Offer) -> Option<Offer> {
    let (raised, market) = (raised(policy, old), first(policy, market));
    let priority = raised.priority.max(market.priority);
    let max_fee = raised.max_fee.max(market.max_fee).max(priority);
    let most = market.max_fee.saturating_mul(MARKET_MULTIPLE);
    let most = policy.max_fee_cap.map_or(most, |cap| most.min(cap));
    (max_fee <= most).then_some(Offer { max_fee, priority })
}

/// What the empty transaction offers that takes a nonce away: a replacement like any other, and beyond the bounds of one
/// the least that nodes take in its place.
pub(super) fn cancel(policy: FeePolicy, market: Fees, old: Offer) -> Offer {
    bump(policy, market, old).unwrap_or_else(|| raised(policy, old))
}

/// What is offered anew where the account cannot pay for any attempt: the market's price, when that is below `cheapest`
/// by a tenth at least.
pub(super) fn lower(policy: FeePolicy, market: Fees, cheapest: u128) -> Option<Offer> {
    let offer = first(policy, market);
    let tenth = cheapest.div_ceil(10).max(1);
    (offer.max_fee.saturating_add(tenth) <= cheapest).then_some(offer)
}

/// The least that nodes take in place of `old`, or the policy's step where that is more. Rounded up, and at least one wei:
/// with tiny fees ten percent is less than one.
fn raised(policy: FeePolicy, old: Offer) -> Offer {
    let percent = policy.bump_percent.max(10);
    let raise = |fee: u128| fee.saturating_add(fee.saturating_mul(percent).div_ceil(100).max(1));
    Offer { max_fee: raise(old.max_fee), priority: raise(old.priority) }
}

fn capped(policy: FeePolicy, offer: Offer) -> Offer {
    let max_fee = policy.max_fee_cap.map_or(offer.max_fee, |cap| offer.max_fee.min(cap));
    Offer { max_fee, priority: offer.priority.min(max_fee) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GWEI: u128 = 1_000_000_000;
    const MARKET: Fees = Fees { base: 10 * GWEI, priority: GWEI };

    #[test]
    fn the_first_offer_survives_a_doubled_base_fee() {
        assert_eq!(
            first(FeePolicy::default(), MARKET),
            Offer { max_fee: 21 * GWEI, priority: GWEI }
        );
    }

    #[test]
    fn every_replacement_pays_at_least_ten_percent_more_on_both_fields() {
        for policy in [FeePolicy::default(), FeePolicy { bump_percent: 0, ..FeePolicy::default() }]
        {
            let mut offer = Offer { max_fee: 3, priority: 0 };
            for _ in 0..50 {
                let next = cancel(policy, Fees { base: 0, priority: 0 }, offer);
                assert!(next.max_fee * 10 >= offer.max_fee * 11, "{offer:?} -> {next:?}");
                assert!(next.priority * 10 >= offer.priority * 11, "{offer:?} -> {next:?}");
                assert!(next.priority > offer.priority && next.priority <= next.max_fee);
                offer = next;
            }
        }
    }

    #[test]
    fn a_transaction_that_waits_for_ever_ends_at_three_times_the_market() {
        for market in [MARKET, Fees { priority: 0, ..MARKET }] {
            let start = first(FeePolicy::default(), market);
            let mut offer = start;
            let mut raises = 0;
            while let Some(next) = bump(FeePolicy::default(), market, offer) {
                offer = next;
                raises += 1;
                assert!(raises < 20, "raised for ever: {offer:?}");
            }
            assert!(offer.max_fee <= 3 * start.max_fee, "{offer:?}");
            assert!(offer.max_fee * 112 / 100 > 3 * start.max_fee, "{offer:?}");
            // The tip grows in step, from zero by single weis.
            assert!(offer.priority <= 3 * start.priority + 20, "{offer:?}");
        }
    }

    #[test]
    fn nothing_is_offered_anew_unless_the_market_fell_by_a_tenth() {
        let policy = FeePolicy::default();
        let offer = first(policy, MARKET);
        assert_eq!(lower(policy, MARKET, offer.max_fee), None);
        assert_eq!(lower(policy, MARKET, offer.max_fee + GWEI), None);
        assert_eq!(lower(policy, MARKET, offer.max_fee * 2), Some(offer));
        assert_eq!(lower(policy, Fees { base: 0, priority: 0 }, 0), None);
    }

    #[test]
    fn a_replacement_follows_a_market_that_moved_further() {
        let old = Offer { max_fee: 21 * GWEI, priority: GWEI };
        let spike = Fees { base: 100 * GWEI, priority: 5 * GWEI };
        let offer = bump(FeePolicy::default(), spike, old).unwrap();
        assert_eq!(offer, Offer { max_fee: 205 * GWEI, priority: 5 * GWEI });
    }

    #[test]
    fn the_cap_holds_for_the_first_offer_and_stops_replacements() {
        let policy = FeePolicy { max_fee_cap: Some(15 * GWEI), ..FeePolicy::default() };
        let offer = first(policy, MARKET);
        assert_eq!(offer, Offer { max_fee: 15 * GWEI, priority: GWEI });
        assert_eq!(bump(policy, MARKET, offer), None);
    }

    #[test]
    fn what_takes_a_nonce_away_is_above_the_cap_by_no_more_than_one_raise() {
        let policy = FeePolicy { max_fee_cap: Some(15 * GWEI), ..FeePolicy::default() };
        let capped = first(policy, MARKET);
        let empty = cancel(policy, MARKET, capped);
        assert_eq!(empty.max_fee, capped.max_fee * 112 / 100);
        assert_eq!(empty.priority, capped.priority * 112 / 100);
        let low = Offer { max_fee: GWEI, priority: 1 };
        assert_eq!(cancel(policy, MARKET, low), capped, "the market's price, where there is room");
    }
}
