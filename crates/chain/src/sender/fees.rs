//! What a transaction pays, first and when it has waited too long.

use crate::client::Fees;

/// Bounds on what is paid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FeePolicy {
    /// Never offer more than this per gas, in wei. A transaction at the cap waits without being raised further.
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
/// the cap leaves no room for a replacement.
pub(super) fn bump(policy: FeePolicy, market: Fees, old: Offer) -> Option<Offer> {
    let percent = policy.bump_percent.max(10);
    // Rounded up, and at least one wei: with tiny fees ten percent is less than one.
    let raise = |fee: u128| fee.saturating_add(fee.saturating_mul(percent).div_ceil(100).max(1));
    let market = first(policy, market);
    let offer = Offer {
        max_fee: raise(old.max_fee).max(market.max_fee),
        priority: raise(old.priority).max(market.priority),
    };
    let offer = Offer { max_fee: offer.max_fee.max(offer.priority), ..offer };
    (capped(policy, offer) == offer).then_some(offer)
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
                let next = bump(policy, Fees { base: 0, priority: 0 }, offer).unwrap();
                assert!(next.max_fee * 10 >= offer.max_fee * 11, "{offer:?} -> {next:?}");
                assert!(next.priority * 10 >= offer.priority * 11, "{offer:?} -> {next:?}");
                assert!(next.priority > offer.priority && next.priority <= next.max_fee);
                offer = next;
            }
        }
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
}
