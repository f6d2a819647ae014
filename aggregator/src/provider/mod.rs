//! Who quotes. One trait for every kind of provider; there are two, our own solvers and services
//! that answer over HTTP.

mod answer;
mod breaker;
mod http_quotes;
mod registry;
mod remote;
mod solver;
mod solver_network;

use std::{fmt::Debug, time::Duration};

use alloy::primitives::{Address, Bytes, U256};
use api::{
    aggregator::{Cached, Security, SecurityDescription, UnavailableReason},
    solver::Costs,
};
use async_trait::async_trait;
use protocol::intent::Intent;

pub use breaker::{Attempt, Breaker, BreakerConfig};
pub use http_quotes::{Ask, HttpOffer, HttpQuotes, Offers, Recipients};
pub use registry::{Asking, DuplicateProvider, Entry, Providers};
pub use remote::RemoteError;
pub use solver::SolverEndpoint;
pub use solver_network::{SolverNetwork, SolverNetworkError, SolverTerms};

use crate::quoting::{Route, SignedOrder};

/// Offers of one answer that are looked at: what comes on top costs work and gives no choice.
const MAX_OFFERS: usize = 3;

/// A source of offers, each carried out by steps on the origin chain.
///
/// What becomes of them is seen for intents of ours alone ([`Plan::Intent`]), by the events of our
/// contracts. Orders of other plans are not followed yet: their providers keep the reputation that
/// everybody begins with, and a plan that needs more steps later has no place here.
#[async_trait]
pub trait Provider: Debug + Send + Sync {
    /// The name in answers, metrics and configuration.
    fn name(&self) -> &str;

    /// Whether it may serve this route at all; decided without asking anybody.
    fn serves(&self, route: &Route) -> bool;

    /// Asks for offers within `budget`. The future is dropped when the budget is over.
    async fn offers(&self, route: &Route, budget: Duration) -> Result<Vec<Offer>, Decline>;

    /// Whether an offer may be given out again for a while. Not when it holds something for the one
    /// who asked.
    fn may_be_kept(&self) -> bool {
        true
    }

    /// Whether anybody behind it would be asked now; `None` when it leaves nobody alone by itself.
    fn would_ask(&self) -> Option<bool> {
        None
    }

    /// Looks for those behind it that it leaves alone, so that they are asked again as soon as they are
    /// back. Runs beside everything else, and may end when there is nobody to look for.
    async fn watch(&self) {}

    /// Hands over an order of this provider, or of one of its solvers, that its user has signed.
    async fn submit(&self, _solver: Option<&str>, _order: &SignedOrder) -> Result<(), Decline> {
        Err(Decline::new(UnavailableReason::NoRoute, "it takes no signed orders"))
    }
}

/// What a provider offers, before it is checked, ranked and turned into steps.
#[derive(Clone, Debug)]
pub struct Offer {
    /// What the sender spends of the origin token.
    pub amount_in: U256,
    /// What the recipient gets of the destination token.
    pub amount_out: U256,
    /// The least the recipient gets.
    pub min_amount_out: U256,
    /// Seconds until the money has arrived, as the provider says.
    pub seconds: u64,
    /// Tier of the settlement, for routes of our own.
    pub tier: Option<Security>,
    /// Whom one trusts.
    pub security: SecurityDescription,
    /// What the provider can still move, when it says so.
    pub liquidity: Option<U256>,
    /// Unix seconds after which the provider does not stand by it.
    pub expires_at: u64,
    /// How it is carried out.
    pub plan: Plan,
    /// What the price is made of, as its solver says. Nobody has checked it.
    pub costs: Option<Costs>,
    /// Which of the provider's solvers offers, where there are several.
    pub solver: Option<String>,
    /// How old it is, when it was not asked anew.
    pub cached: Option<Cached>,
}

/// How an offer is carried out on the origin chain.
#[derive(Clone, Debug)]
pub enum Plan {
    /// Publish and fund this intent at our IntentSource.
    Intent(Box<Intent>),
    /// Let `spender` take the input (when it is a token) and send one transaction.
    Transaction {
        /// Who takes the token.
        spender: Address,
        /// The contract that is called.
        to: Address,
        /// Chain id that the provider says the transaction is for.
        chain_id: u64,
        /// Calldata.
        data: Bytes,
        /// Native value.
        value: U256,
        /// How much of the value is a fee on top of the order, such as for a message.
        native_fee: U256,
    },
}

impl Offer {
    /// What it takes in the origin's native currency on top of the input, gas apart.
    pub fn native_fee(&self) -> U256 {
        match self.plan {
            Plan::Intent(_) => U256::ZERO,
            Plan::Transaction { native_fee, .. } => native_fee,
        }
    }
}

/// Why a provider gives no offer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Decline {
    /// For programs.
    pub reason: UnavailableReason,
    /// For people.
    pub message: String,
    /// The least that can be moved, when the amount was too low.
    pub minimum: Option<U256>,
    /// The most that can be moved, when the amount was above a limit of the route.
    pub maximum: Option<U256>,
    /// Whether the request itself is the cause. Anybody can ask such things: counted against the
    /// provider, they would close it for everybody.
    pub by_request: bool,
}

impl Decline {
    /// A refusal without a minimum.
    pub fn new(reason: UnavailableReason, message: impl Into<String>) -> Self {
        let message = message.into();
        Self { reason, message, minimum: None, maximum: None, by_request: false }
    }

    /// What nobody could carry out: the request's own calls do not work.
    pub fn of_request(message: impl Into<String>) -> Self {
        Self { by_request: true, ..Self::new(UnavailableReason::Rejected, message) }
    }

    /// Whether it says that the provider is broken rather than unwilling.
    pub const fn is_failure(&self) -> bool {
        if self.by_request {
            return false;
        }
        match self.reason {
            UnavailableReason::Timeout | UnavailableReason::Error | UnavailableReason::Rejected => {
                true
            }
            UnavailableReason::NoRoute
            | UnavailableReason::AmountTooLow
            | UnavailableReason::AmountTooHigh
            | UnavailableReason::CircuitOpen
            | UnavailableReason::Busy
            | UnavailableReason::Filtered => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_request_causes_is_no_failure() {
        assert!(Decline::new(UnavailableReason::Rejected, "malformed").is_failure());
        let decline = Decline::of_request("the calls revert");
        assert_eq!(decline.reason, UnavailableReason::Rejected);
        assert!(!decline.is_failure());
    }
}
