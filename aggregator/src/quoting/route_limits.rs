use alloy::primitives::U256;
use api::aggregator::{RouteLimit, UnavailableReason};

use super::Route;
use crate::provider::Decline;

/// What one order may move on which routes. Every limit that fits a route holds.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RouteLimits(Vec<RouteLimit>);

impl RouteLimits {
    /// These limits.
    pub const fn new(limits: Vec<RouteLimit>) -> Self {
        Self(limits)
    }

    /// Each of them.
    pub fn iter(&self) -> impl Iterator<Item = &RouteLimit> {
        self.0.iter()
    }

    /// Whether an order may spend this much.
    ///
    /// # Errors
    /// The [`Decline`] with the tightest limit of the kind that is broken.
    pub fn check(&self, route: &Route, amount_in: U256) -> Result<(), Decline> {
        let fitting = || self.0.iter().filter(|limit| fits(limit, route));
        let symbol = &route.token_in.symbol;
        let least = fitting().filter_map(|limit| limit.min_amount).max();
        if let Some(least) = least.filter(|least| amount_in < least.0) {
            let message = format!("this route moves no less than {least} of {symbol}");
            let decline = Decline::new(UnavailableReason::AmountTooLow, message);
            return Err(Decline { minimum: Some(least.0), ..decline });
        }
        let most = fitting().filter_map(|limit| limit.max_amount).min();
        if let Some(most) = most.filter(|most| amount_in > most.0) {
            let message = format!("this route moves no more than {most} of {symbol}");
            let decline = Decline::new(UnavailableReason::AmountTooHigh, message);
            return Err(Decline { maximum: Some(most.0), ..decline });
        }
        let Some(usd) = route.usd_in(amount_in) else { return Ok(()) };
        let least = fitting().filter_map(|limit| limit.min_usd).max_by(f64::total_cmp);
        if let Some(least) = least.filter(|least| usd < *least) {
            let message = format!("this route moves no less than {least:.2} USD");
            return Err(Decline::new(UnavailableReason::AmountTooLow, message));
        }
        let most = fitting().filter_map(|limit| limit.max_usd).min_by(f64::total_cmp);
        if let Some(most) = most.filter(|most| usd > *most) {
            let message = format!("this route moves no more than {most:.2} USD");
            return Err(Decline::new(UnavailableReason::AmountTooHigh, message));
        }
        Ok(())
    }
}

fn fits(limit: &RouteLimit, route: &Route) -> bool {
    limit.origin_chain_id.is_none_or(|chain| chain == route.origin.0)
        && limit.destination_chain_id.is_none_or(|chain| chain == route.destination.0)
        && limit.origin_token.is_none_or(|token| token == route.token_in.address)
        && limit.destination_token.is_none_or(|token| token == route.token_out.address)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        book::tests::{CHAIN_A, CHAIN_B, USDX_A},
        quoting::route::tests::usdx,
    };

    fn reason(limits: &[RouteLimit], amount: u64) -> Option<UnavailableReason> {
        let limits = RouteLimits::new(limits.to_vec());
        limits.check(&usdx(), U256::from(amount)).err().map(|decline| decline.reason)
    }

    #[test]
    fn a_limit_holds_for_the_routes_that_it_names() {
        let least = RouteLimit { min_amount: Some(500.into()), ..RouteLimit::default() };
        let low = Some(UnavailableReason::AmountTooLow);
        assert_eq!(reason(&[least], 499), low);
        assert_eq!(reason(&[least], 500), None);
        let here = RouteLimit {
            origin_chain_id: Some(CHAIN_A),
            destination_chain_id: Some(CHAIN_B),
            origin_token: Some(USDX_A),
            ..least
        };
        assert_eq!(reason(&[here], 499), low);
        for elsewhere in [
            RouteLimit { origin_chain_id: Some(CHAIN_B), ..least },
            RouteLimit { destination_chain_id: Some(CHAIN_A), ..least },
            RouteLimit { origin_token: Some(Default::default()), ..least },
            RouteLimit { destination_token: Some(USDX_A), ..least },
        ] {
            assert_eq!(reason(&[elsewhere], 499), None);
        }
    }

    #[test]
    fn the_tightest_of_several_limits_is_told() {
        let most =
            |amount: u64| RouteLimit { max_amount: Some(amount.into()), ..Default::default() };
        let limits = RouteLimits::new(vec![most(2_000), most(1_000)]);
        let decline = limits.check(&usdx(), U256::from(1_001)).unwrap_err();
        assert_eq!(decline.reason, UnavailableReason::AmountTooHigh);
        assert_eq!(decline.maximum, Some(U256::from(1_000)));
        assert_eq!(limits.check(&usdx(), U256::from(1_000)), Ok(()));
    }

    #[test]
    fn values_count_in_dollars() {
        let limit = RouteLimit { min_usd: Some(1.0), max_usd: Some(5.0), ..RouteLimit::default() };
        let of = |amount| reason(&[limit], amount);
        assert_eq!(of(999_999), Some(UnavailableReason::AmountTooLow));
        assert_eq!((of(1_000_000), of(5_000_000)), (None, None));
        assert_eq!(of(5_000_001), Some(UnavailableReason::AmountTooHigh));
    }
}
