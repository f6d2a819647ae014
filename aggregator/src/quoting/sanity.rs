use std::collections::{BTreeMap, BTreeSet};

use alloy::primitives::{Address, U256};
use api::aggregator::AmountRequest;

use super::Route;
use crate::provider::{Offer, Plan};

/// What an offer must satisfy before a user sees it. Providers are strangers: each check answers
/// one way in which a wrong or malicious answer would cost the user money.
#[derive(Clone, Debug, Default)]
pub struct Sanity {
    /// Contracts (chain id and address) that may be called and approved for each provider. One
    /// provider's contracts are no excuse for another.
    pub allowed_targets: BTreeMap<String, BTreeSet<(u64, Address)>>,
    /// Bounds on value.
    pub limits: Limits,
}

/// Bounds on value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limits {
    /// Most that an output may be worth above its input, as a fraction: more is an error, not a gift.
    pub max_gain: f64,
    /// Most that an output may be worth below its input, as a fraction, beyond `dust_usd`.
    pub max_loss: f64,
    /// Value below which a loss is fixed costs, in US dollars.
    pub dust_usd: f64,
    /// Most that one order may move, in US dollars, where prices are known.
    pub max_order_usd: Option<f64>,
}

impl Default for Limits {
    fn default() -> Self {
        Self { max_gain: 0.02, max_loss: 0.2, dust_usd: 20.0, max_order_usd: None }
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
    /// The transaction takes more native currency than the order.
    #[error("the transaction sends {given} wei, the order takes {allowed}")]
    ExcessValue {
        /// What the order takes.
        allowed: U256,
        /// What the transaction sends.
        given: U256,
    },
    /// The output is worth too much or too little against the input.
    #[error("the output is worth {out_usd:.2} USD, the input {in_usd:.2} USD")]
    OffPrice {
        /// Value of the input.
        in_usd: f64,
        /// Value of the output.
        out_usd: f64,
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

impl Sanity {
    /// Checks one offer for one request.
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
        if offer.expires_at <= now {
            return Err(Suspicion::Expired { expires_at: offer.expires_at, now });
        }
        self.check_plan(provider, route, offer)?;
        self.check_value(route, offer)
    }

    fn check_plan(&self, provider: &str, route: &Route, offer: &Offer) -> Result<(), Suspicion> {
        // Intents are assembled here, field by field, for our own IntentSource.
        let Plan::Transaction { spender, to, chain_id, value, .. } = &offer.plan else {
            return Ok(());
        };
        let origin = route.origin.0;
        if *chain_id != origin {
            return Err(Suspicion::WrongChain { expected: origin, given: *chain_id });
        }
        let allowed = self.allowed_targets.get(provider);
        for address in [*to, *spender] {
            // A token that is called directly could be told to approve or transfer anything.
            let listed = allowed.is_some_and(|list| list.contains(&(origin, address)));
            if !listed || address == route.token_in.address {
                return Err(Suspicion::ForeignTarget { chain_id: origin, address });
            }
        }
        let most = if route.token_in.is_native() { offer.amount_in } else { U256::ZERO };
        if *value > most {
            return Err(Suspicion::ExcessValue { allowed: most, given: *value });
        }
        Ok(())
    }

    fn check_value(&self, route: &Route, offer: &Offer) -> Result<(), Suspicion> {
        let (Some(in_usd), Some(out_usd)) =
            (route.token_in.usd(offer.amount_in), route.token_out.usd(offer.amount_out))
        else {
            return Ok(());
        };
        if let Some(limit) = self.limits.max_order_usd
            && in_usd > limit
        {
            return Err(Suspicion::TooLarge { usd: in_usd, limit });
        }
        let gain = out_usd - in_usd;
        if gain > in_usd * self.limits.max_gain
            || -gain > (in_usd * self.limits.max_loss).max(self.limits.dust_usd)
        {
            return Err(Suspicion::OffPrice { in_usd, out_usd });
        }
        Ok(())
    }
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
