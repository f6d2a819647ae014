use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use alloy::primitives::{Address, U256};
use api::aggregator::{AmountRequest, UnavailableReason};
use protocol::intent::Intent;

use super::Route;
use crate::provider::{Decline, Offer, Plan};

/// What an offer must satisfy before a user sees it. Providers are strangers: each check answers
/// one way in which a wrong or malicious answer would cost the user money.
#[derive(Clone, Debug, Default)]
pub struct Sanity {
    /// Contracts (chain id and address) that may be called and approved for each provider. One
    /// provider's contracts are no excuse for another.
    pub allowed_targets: BTreeMap<String, BTreeSet<(u64, Address)>>,
    /// Bounds on value and time.
    pub limits: Limits,
}

/// Bounds on value and time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limits {
    /// Most that an output may be worth above its input, as a fraction: more is an error, not a gift.
    pub max_gain: f64,
    /// Most that an output may be worth below its input, as a fraction, beyond `dust_usd`.
    pub max_loss: f64,
    /// Value below which a loss is fixed costs, in US dollars; half of the input where that is less.
    pub dust_usd: f64,
    /// Most by which an offer may be better than the median of the other providers, as a fraction,
    /// beyond `dust_usd`. Counts from three providers on.
    pub max_spread: f64,
    /// Most that one order may move, in US dollars, where prices are known.
    pub max_order_usd: Option<f64>,
    /// Longest that a quote may stand. A signed order can be opened until then at the price of its
    /// quote: standing long, it is an option that its user gives away.
    pub max_quote_life: Duration,
    /// Longest that an order may hold its escrow: until the reward's deadline nobody can take it
    /// back.
    pub max_escrow: Duration,
}

impl Default for Limits {
    /// Ten minutes are many times what solvers stand by (30 s) and enough for a wallet of several
    /// signers. A day of escrow is more than a solver needs where all is slow: the router's longest
    /// pause (6 h), finality on the parent chain (up to half a day on chains that post rarely), the
    /// life of quote and route, and a margin.
    fn default() -> Self {
        Self {
            max_gain: 0.02,
            max_loss: 0.2,
            dust_usd: 20.0,
            max_spread: 0.25,
            max_order_usd: None,
            max_quote_life: Duration::from_secs(600),
            max_escrow: Duration::from_secs(24 * 3_600),
        }
    }
}

/// Why an offer is thrown away.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Suspicion {
    /// The exact side of the request is not what was asked for.
    #[error("the {side} amount is {given}, the request says exactly {expected}")]
    WrongAmount {
        /// `input` or `output`.
        side: &'static str,
        /// What was asked for.
        expected: U256,
        /// What was offered.
        given: U256,
    },
    /// Less may arrive than the user allows.
    #[error("as little as {given} may arrive, the request allows no less than {allowed}")]
    MinimumTooLow {
        /// What the slippage allows.
        allowed: U256,
        /// What was offered.
        given: U256,
    },
    /// It stands no longer than it takes to read it.
    #[error("it expires at {expires_at}, it is {now} now")]
    Expired {
        /// Unix seconds.
        expires_at: u64,
        /// Unix seconds.
        now: u64,
    },
    /// It stands so long that the price moves under it.
    #[error("it expires at {expires_at}, expected {latest} at the latest")]
    TooLong {
        /// Unix seconds.
        expires_at: u64,
        /// Unix seconds.
        latest: u64,
    },
    /// The escrow could not be taken back for too long, or the route ends too early to be filled.
    #[error(
        "its deadlines are {route} for the route and {reward} for the reward, expected \
         {expires_at} < route < reward <= {latest}"
    )]
    Deadlines {
        /// When the quote expires, unix seconds: until then the order may be published.
        expires_at: u64,
        /// Until when it can be filled, unix seconds.
        route: u64,
        /// From when on the escrow can be taken back, unix seconds.
        reward: u64,
        /// The latest of all that is allowed, unix seconds.
        latest: u64,
    },
    /// It pays nothing, or costs nothing.
    #[error("an amount is zero")]
    Zero,
    /// The transaction is for another chain.
    #[error("the transaction is for chain {given}, the money leaves chain {expected}")]
    WrongChain {
        /// The origin.
        expected: u64,
        /// What the provider says.
        given: u64,
    },
    /// The transaction, or the approval, is for a contract that nobody vouched for.
    #[error("{address} may not be called or approved on chain {chain_id}: it is not on the list")]
    ForeignTarget {
        /// The chain.
        chain_id: u64,
        /// The contract.
        address: Address,
    },
    /// The transaction takes more native currency than the order and the fee that is shown.
    #[error("the transaction sends {given} wei, the order and its fee take {allowed}")]
    ExcessValue {
        /// What the order and its fee take.
        allowed: U256,
        /// What the transaction sends.
        given: U256,
    },
    /// A fee in native currency cannot be compared with the order: a price is not known.
    #[error("it takes a fee of {fee} wei, and nobody knows what that is worth against the order")]
    UnpricedFee {
        /// The fee.
        fee: U256,
    },
    /// The output is worth too much or too little against the input.
    #[error("the output is worth {out_usd:.2} USD, the input {in_usd:.2} USD")]
    OffPrice {
        /// Value of the input, with a fee on top.
        in_usd: f64,
        /// Value of the output.
        out_usd: f64,
    },
    /// Output and input are one asset of unknown price, and differ too much.
    #[error("{amount_out} arrive of {amount_in} of the same asset")]
    OffPar {
        /// What leaves, in the asset's smallest unit.
        amount_in: U256,
        /// What arrives, in the asset's smallest unit.
        amount_out: U256,
    },
    /// It is better than all others by too much.
    #[error("it is better by {percent:.1} % than the median of the other providers")]
    FarAbove {
        /// By how much.
        percent: f64,
    },
    /// The order is larger than this deployment allows.
    #[error("the order moves {usd:.2} USD, the limit is {limit:.2} USD")]
    TooLarge {
        /// Value of the input.
        usd: f64,
        /// The limit.
        limit: f64,
    },
}

impl Suspicion {
    /// Whether it speaks against whoever offers, whatever was asked. Fixed costs make a bad offer of
    /// every small amount, and some amounts are too large here: anybody can ask for such.
    pub fn is_breach(&self) -> bool {
        match self {
            Self::TooLarge { .. } | Self::FarAbove { .. } | Self::UnpricedFee { .. } => false,
            // Prices differ, and move: only what no market does speaks against who offers it.
            Self::OffPrice { in_usd, out_usd } => *out_usd > 2.0 * in_usd,
            Self::OffPar { amount_in, amount_out } => amount_out > amount_in,
            Self::WrongAmount { .. }
            | Self::MinimumTooLow { .. }
            | Self::Expired { .. }
            | Self::TooLong { .. }
            | Self::Deadlines { .. }
            | Self::Zero
            | Self::WrongChain { .. }
            | Self::ForeignTarget { .. }
            | Self::ExcessValue { .. } => true,
        }
    }

    /// What becomes of an offer of `provider`. It is counted.
    pub(crate) fn decline(&self, provider: &str) -> Decline {
        let label = provider.to_owned();
        metrics::counter!("metalayer_aggregator_offers_refused_total", "provider" => label)
            .increment(1);
        let decline = Decline::new(UnavailableReason::Rejected, self.to_string());
        Decline { by_request: !self.is_breach(), ..decline }
    }
}

impl Sanity {
    /// Checks one offer for one request at this time, in unix seconds.
    ///
    /// # Errors
    /// The first [`Suspicion`].
    pub fn check(
        &self,
        provider: &str,
        route: &Route,
        offer: &Offer,
        now: u64,
    ) -> Result<(), Suspicion> {
        check_amounts(route, offer)?;
        self.check_expiry(offer.expires_at, now)?;
        match &offer.plan {
            // Intents are assembled here, field by field, for our own IntentSource.
            Plan::Intent(intent) => self.check_deadlines(intent, offer.expires_at, now)?,
            Plan::Transaction { spender, to, chain_id, value, .. } => {
                self.check_targets(provider, route, *chain_id, [*to, *spender])?;
                check_native(route, offer, *value)?;
            }
        }
        self.check_value(route, offer)
    }

    /// Checks how far an offer is above those of the others, as outputs over inputs that leave
    /// `in_usd` US dollars, where that is known. Two offers do not say which of them is off.
    ///
    /// # Errors
    /// [`Suspicion::FarAbove`].
    pub fn check_spread(
        &self,
        offer: f64,
        others: &[f64],
        in_usd: Option<f64>,
    ) -> Result<(), Suspicion> {
        let Some(median) = median(others).filter(|median| others.len() > 1 && *median > 0.0) else {
            return Ok(());
        };
        let gain = offer - median;
        let is_dust = in_usd.is_some_and(|in_usd| gain * in_usd <= self.limits.dust_usd);
        if gain <= median * self.limits.max_spread || is_dust {
            return Ok(());
        }
        Err(Suspicion::FarAbove { percent: gain / median * 100.0 })
    }

    const fn check_expiry(&self, expires_at: u64, now: u64) -> Result<(), Suspicion> {
        if expires_at <= now {
            return Err(Suspicion::Expired { expires_at, now });
        }
        let latest = now.saturating_add(self.limits.max_quote_life.as_secs());
        if expires_at > latest {
            return Err(Suspicion::TooLong { expires_at, latest });
        }
        Ok(())
    }

    /// The deadlines count by the chains' clocks, and are compared with ours here: `max_escrow`
    /// leaves room for chains that run ahead.
    fn check_deadlines(&self, intent: &Intent, expires_at: u64, now: u64) -> Result<(), Suspicion> {
        let (route, reward) = (intent.route.deadline, intent.reward.deadline);
        let latest = now.saturating_add(self.limits.max_escrow.as_secs());
        if expires_at < route && route < reward && reward <= latest {
            return Ok(());
        }
        Err(Suspicion::Deadlines { expires_at, route, reward, latest })
    }

    fn check_targets(
        &self,
        provider: &str,
        route: &Route,
        chain_id: u64,
        targets: [Address; 2],
    ) -> Result<(), Suspicion> {
        let origin = route.origin.0;
        if chain_id != origin {
            return Err(Suspicion::WrongChain { expected: origin, given: chain_id });
        }
        let allowed = self.allowed_targets.get(provider);
        for address in targets {
            // A token that is called directly could be told to approve or transfer anything.
            let listed = allowed.is_some_and(|list| list.contains(&(origin, address)));
            if !listed || address == route.token_in.address {
                return Err(Suspicion::ForeignTarget { chain_id: origin, address });
            }
        }
        Ok(())
    }

    fn check_value(&self, route: &Route, offer: &Offer) -> Result<(), Suspicion> {
        let (amount_in, amount_out) = (offer.amount_in, offer.amount_out);
        let fee = offer.native_fee();
        let fee_usd = if fee.is_zero() { Some(0.0) } else { route.usd_native(fee) };
        let (Some(in_usd), Some(out_usd)) = (route.usd_in(amount_in), route.usd_out(amount_out))
        else {
            if !fee.is_zero() {
                return Err(Suspicion::UnpricedFee { fee });
            }
            let (paid, got) = (f64::from(amount_in), f64::from(amount_out));
            if route.is_one_asset() && self.is_off(paid, got, 0.0) {
                return Err(Suspicion::OffPar { amount_in, amount_out });
            }
            return Ok(());
        };
        if let Some(limit) = self.limits.max_order_usd
            && in_usd > limit
        {
            return Err(Suspicion::TooLarge { usd: in_usd, limit });
        }
        let paid = in_usd + fee_usd.ok_or(Suspicion::UnpricedFee { fee })?;
        // Of a small amount fixed costs may take half, and never all.
        if self.is_off(paid, out_usd, self.limits.dust_usd.min(in_usd / 2.0)) {
            return Err(Suspicion::OffPrice { in_usd: paid, out_usd });
        }
        Ok(())
    }

    /// Whether `got` is too much for `paid`, or too little by more than `dust`.
    fn is_off(&self, paid: f64, got: f64, dust: f64) -> bool {
        let (gain, loss) = (got - paid, paid - got);
        gain > paid * self.limits.max_gain || loss > (paid * self.limits.max_loss).max(dust)
    }
}

fn check_native(route: &Route, offer: &Offer, given: U256) -> Result<(), Suspicion> {
    let order = if route.token_in.is_native() { offer.amount_in } else { U256::ZERO };
    let allowed = order.saturating_add(offer.native_fee());
    if given > allowed {
        return Err(Suspicion::ExcessValue { allowed, given });
    }
    Ok(())
}

fn check_amounts(route: &Route, offer: &Offer) -> Result<(), Suspicion> {
    if offer.amount_in.is_zero() || offer.amount_out.is_zero() {
        return Err(Suspicion::Zero);
    }
    match route.amount {
        AmountRequest::ExactInput(exact) if offer.amount_in != exact.0 => {
            let (expected, given) = (exact.0, offer.amount_in);
            return Err(Suspicion::WrongAmount { side: "input", expected, given });
        }
        AmountRequest::ExactOutput(exact) if offer.amount_out != exact.0 => {
            let (expected, given) = (exact.0, offer.amount_out);
            return Err(Suspicion::WrongAmount { side: "output", expected, given });
        }
        AmountRequest::ExactInput(_) | AmountRequest::ExactOutput(_) => {}
    }
    let allowed = route.min_amount_out(offer.amount_out);
    if offer.min_amount_out < allowed {
        return Err(Suspicion::MinimumTooLow { allowed, given: offer.min_amount_out });
    }
    Ok(())
}

/// The middle of some numbers, or of the two in the middle.
fn median(numbers: &[f64]) -> Option<f64> {
    let mut sorted = numbers.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    let upper = sorted.get(middle)?;
    if sorted.len() % 2 == 1 {
        return Some(*upper);
    }
    sorted.get(middle.checked_sub(1)?).map(|lower| f64::midpoint(*lower, *upper))
}

#[cfg(test)]
mod tests {
    use api::{Amount, aggregator::SecurityDescription};
    use protocol::abi::intent::{Reward, Route as IntentRoute};

    use super::*;
    use crate::{
        book::tests::{CHAIN_A, USDX_A},
        quoting::route::tests::usdx,
    };

    const NOW: u64 = 1_000_000;
    const BRIDGE: Address = Address::repeat_byte(0xd0);
    const DOLLAR: u64 = 1_000_000;

    fn sanity() -> Sanity {
        let targets = BTreeSet::from([(CHAIN_A, BRIDGE), (CHAIN_A, USDX_A)]);
        let allowed_targets = BTreeMap::from([("bridge".to_owned(), targets)]);
        Sanity { allowed_targets, ..Sanity::default() }
    }

    /// A route of so many dollars.
    fn route(dollars: u64) -> Route {
        Route { amount: AmountRequest::ExactInput((dollars * DOLLAR).into()), ..usdx() }
    }

    /// A fair offer for it, by a transaction.
    fn offer(dollars: u64) -> Offer {
        Offer {
            amount_in: U256::from(dollars * DOLLAR),
            amount_out: U256::from(dollars * DOLLAR),
            min_amount_out: U256::from(dollars * DOLLAR),
            seconds: 1,
            tier: None,
            security: SecurityDescription {
                tier: None,
                validators: None,
                threshold: None,
                trust: String::new(),
            },
            liquidity: None,
            expires_at: NOW + 30,
            plan: transaction(BRIDGE, BRIDGE, 0),
            costs: None,
            solver: None,
            cached: None,
        }
    }

    fn transaction(spender: Address, to: Address, value: u64) -> Plan {
        let (data, value, native_fee) = (Default::default(), U256::from(value), U256::ZERO);
        Plan::Transaction { spender, to, chain_id: CHAIN_A, data, value, native_fee }
    }

    fn intent(route: u64, reward: u64) -> Plan {
        Plan::Intent(Box::new(Intent {
            destination: 2,
            route: IntentRoute {
                salt: Default::default(),
                deadline: route,
                portal: BRIDGE,
                nativeAmount: U256::ZERO,
                tokens: Vec::new(),
                calls: Vec::new(),
            },
            reward: Reward {
                deadline: reward,
                creator: BRIDGE,
                prover: BRIDGE,
                nativeAmount: U256::ZERO,
                tokens: Vec::new(),
            },
        }))
    }

    fn check(route: &Route, offer: &Offer) -> Result<(), Suspicion> {
        sanity().check("bridge", route, offer, NOW)
    }

    /// What is said of a fair offer of 1,000 dollars that is changed.
    fn changed(change: impl FnOnce(&mut Offer)) -> Result<(), Suspicion> {
        let mut offer = offer(1_000);
        change(&mut offer);
        check(&route(1_000), &offer)
    }

    fn is_off_price(dollars: u64, out: u64) -> bool {
        let out = U256::from(out);
        let offer = Offer { amount_out: out, min_amount_out: out, ..offer(dollars) };
        match check(&route(dollars), &offer) {
            Ok(()) => false,
            Err(Suspicion::OffPrice { .. }) => true,
            Err(other) => panic!("{other}"),
        }
    }

    #[test]
    fn amounts_are_what_was_asked_for_and_never_zero() {
        assert_eq!(changed(|_| ()), Ok(()));
        assert_eq!(changed(|offer| offer.amount_in = U256::ZERO), Err(Suspicion::Zero));
        assert_eq!(changed(|offer| offer.amount_out = U256::ZERO), Err(Suspicion::Zero));
        let more = U256::from(1_001 * DOLLAR);
        let wrong = changed(|offer| offer.amount_in = more);
        assert!(matches!(wrong, Err(Suspicion::WrongAmount { side: "input", .. })), "{wrong:?}");
        let exact = AmountRequest::ExactOutput(Amount::from(999 * DOLLAR));
        let wrong = check(&Route { amount: exact, ..route(1_000) }, &offer(1_000));
        assert!(matches!(wrong, Err(Suspicion::WrongAmount { side: "output", .. })), "{wrong:?}");
        let low = changed(|offer| offer.min_amount_out = U256::from(994 * DOLLAR));
        assert!(matches!(low, Err(Suspicion::MinimumTooLow { .. })), "{low:?}");
    }

    #[test]
    fn a_quote_stands_neither_in_the_past_nor_for_long() {
        let until = |expires_at| changed(|offer| offer.expires_at = expires_at);
        let (last, limit) = (NOW + 600, NOW + 601);
        assert_eq!((until(NOW + 1), until(last)), (Ok(()), Ok(())));
        assert_eq!(until(NOW), Err(Suspicion::Expired { expires_at: NOW, now: NOW }));
        assert_eq!(until(limit), Err(Suspicion::TooLong { expires_at: limit, latest: last }));
        assert!(matches!(until(u64::MAX), Err(Suspicion::TooLong { .. })));
    }

    #[test]
    fn an_escrow_ends_after_its_route_and_within_bounds() {
        let of = |route, reward| changed(|offer| offer.plan = intent(route, reward));
        let (expires_at, latest) = (NOW + 30, NOW + 24 * 3_600);
        // What our solvers offer on chains that are final after half an hour and pause for six.
        assert_eq!(of(NOW + 630, NOW + 630 + 30 * 60 + 6 * 3_600 + 10 * 60 + 30), Ok(()));
        assert_eq!(of(expires_at + 1, latest), Ok(()));
        for (route, reward) in [
            (expires_at, latest),
            (NOW - 1, latest),
            (latest, latest),
            (latest, latest - 1),
            (expires_at + 1, latest + 1),
            (expires_at + 1, u64::MAX),
            (u64::MAX - 1, u64::MAX),
        ] {
            let expected = Suspicion::Deadlines { expires_at, route, reward, latest };
            assert_eq!(of(route, reward), Err(expected));
        }
    }

    #[test]
    fn only_listed_contracts_of_the_origin_are_called_or_approved() {
        let stranger = Address::repeat_byte(0x66);
        let plan = |spender, to| changed(|offer| offer.plan = transaction(spender, to, 0));
        let foreign = |address| Err(Suspicion::ForeignTarget { chain_id: CHAIN_A, address });
        assert_eq!(plan(BRIDGE, stranger), foreign(stranger));
        assert_eq!(plan(stranger, BRIDGE), foreign(stranger));
        // The token itself is listed here by mistake.
        assert_eq!(plan(BRIDGE, USDX_A), foreign(USDX_A));
        assert_eq!(plan(USDX_A, BRIDGE), foreign(USDX_A));
        let elsewhere = changed(|offer| {
            if let Plan::Transaction { chain_id, .. } = &mut offer.plan {
                *chain_id = 1;
            }
        });
        assert_eq!(elsewhere, Err(Suspicion::WrongChain { expected: CHAIN_A, given: 1 }));
        let unlisted = sanity().check("other", &route(1_000), &offer(1_000), NOW);
        assert_eq!(unlisted, foreign(BRIDGE));
    }

    #[test]
    fn a_token_order_sends_no_native_value() {
        let paid = changed(|offer| offer.plan = transaction(BRIDGE, BRIDGE, 1));
        let excess = Suspicion::ExcessValue { allowed: U256::ZERO, given: U256::from(1) };
        assert_eq!(paid, Err(excess));
    }

    #[test]
    fn a_fee_in_native_currency_counts_as_a_loss_and_needs_a_price() {
        // A hundredth of an ether is 20 dollars.
        let cent = 10_000_000_000_000_000_u64;
        let with_fee = |fee: u64, value: u64| {
            let mut offer = offer(100);
            offer.plan = transaction(BRIDGE, BRIDGE, value);
            if let Plan::Transaction { native_fee, .. } = &mut offer.plan {
                *native_fee = U256::from(fee);
            }
            offer
        };
        assert_eq!(check(&route(100), &with_fee(cent, cent)), Ok(()));
        let excess = check(&route(100), &with_fee(cent, cent + 1));
        assert!(matches!(excess, Err(Suspicion::ExcessValue { .. })), "{excess:?}");
        let dear = check(&route(100), &with_fee(2 * cent, 2 * cent));
        assert_eq!(dear, Err(Suspicion::OffPrice { in_usd: 140.0, out_usd: 100.0 }));
        let fee = U256::from(cent);
        for unpriced in [
            Route { native: None, ..route(100) },
            Route { price_in: None, price_out: None, ..route(100) },
        ] {
            let unknown = check(&unpriced, &with_fee(cent, cent));
            assert_eq!(unknown, Err(Suspicion::UnpricedFee { fee }));
        }
    }

    #[test]
    fn an_order_may_be_too_large() {
        let limits = Limits { max_order_usd: Some(999.0), ..Limits::default() };
        let sanity = Sanity { limits, ..sanity() };
        let large = sanity.check("bridge", &route(1_000), &offer(1_000), NOW);
        assert_eq!(large, Err(Suspicion::TooLarge { usd: 1_000.0, limit: 999.0 }));
    }

    #[test]
    fn outputs_are_worth_what_goes_in_but_for_costs() {
        assert!(!is_off_price(1_000, 1_020 * DOLLAR) && is_off_price(1_000, 1_021 * DOLLAR));
        assert!(!is_off_price(1_000, 800 * DOLLAR) && is_off_price(1_000, 799 * DOLLAR));
        // Below 100 dollars 20 may be costs, below 40 half of it.
        assert!(!is_off_price(50, 30 * DOLLAR) && is_off_price(50, 29 * DOLLAR));
        assert!(!is_off_price(19, 19 * DOLLAR / 2) && is_off_price(19, 9 * DOLLAR));
        assert!(is_off_price(19, 1));
    }

    #[test]
    fn without_prices_one_asset_is_worth_itself() {
        let unpriced = Route { price_in: None, price_out: None, ..route(1_000) };
        let of = |out| {
            let out = U256::from(out);
            check(&unpriced, &Offer { amount_out: out, min_amount_out: out, ..offer(1_000) })
        };
        assert_eq!((of(800 * DOLLAR), of(1_020 * DOLLAR)), (Ok(()), Ok(())));
        for out in [799 * DOLLAR, 1_021 * DOLLAR] {
            assert!(matches!(of(out), Err(Suspicion::OffPar { .. })), "{out}");
        }
    }

    #[test]
    fn three_offers_tell_which_is_far_off() {
        let far = |offer, others: &[f64]| sanity().check_spread(offer, others, None).is_err();
        assert!(!far(10.0, &[]) && !far(10.0, &[1.0]), "two do not say who is wrong");
        assert!(!far(1.25, &[1.0, 1.0]) && far(1.26, &[1.0, 1.0]));
        assert!(!far(1.2, &[0.5, 1.1, 1.0]) && far(1.4, &[0.5, 1.1, 1.0]));
        assert!(!far(0.1, &[1.0, 1.0]), "a bad offer harms only itself");
        let costly = sanity().check_spread(1.0, &[0.5, 0.5], Some(40.0));
        assert_eq!(costly, Ok(()), "the others' fixed costs");
        assert!(sanity().check_spread(1.0, &[0.5, 0.5], Some(41.0)).is_err());
    }

    #[test]
    fn what_anybody_can_ask_for_is_no_breach() {
        let price = |in_usd, out_usd| Suspicion::OffPrice { in_usd, out_usd };
        assert!(!price(1.0, 0.1).is_breach());
        assert!(price(1.0, 10.0).is_breach());
        assert!(!Suspicion::TooLarge { usd: 2.0, limit: 1.0 }.is_breach());
        assert!(Suspicion::Zero.is_breach());
    }
}
