use std::{
    collections::BTreeMap,
    future,
    pin::pin,
    sync::Arc,
    time::{Duration, Instant},
};

use alloy::{
    primitives::{B256, U256, keccak256},
    sol_types::SolCall,
};
use api::{
    aggregator::{AmountRequest, Security, SecurityDescription, UnavailableReason},
    solver::{NoQuote, NoQuoteReason, QuoteRequest, SignedQuote},
};
use async_trait::async_trait;
use chain::manifest::{ChainManifest, Manifest, TierName};
use futures::{
    StreamExt,
    future::{Either, join_all, select},
    stream::FuturesUnordered,
};
use protocol::{
    abi::{
        erc20,
        intent::{Call, Intent, Reward, Route as IntentRoute, TokenAmount},
    },
    finality::Tier,
    ids::ChainId,
};
use service::clock::Clock;
use url::Url;

use super::{
    BreakerConfig, Decline, MAX_OFFERS, Offer, Plan, Provider, RemoteError, SolverEndpoint, answer,
    solver::{Heard, Solver},
};
use crate::quoting::{Patience, Route, Sanity, SignedOrder};

/// Pause between two looks for a solver that is left alone.
const LOOK: Duration = Duration::from_millis(500);
/// The part of the patience with providers that solvers are given: a slow one must not take the
/// others' offers with it when that is over.
const SHARE: f64 = 0.75;

/// Our own solvers: asks all of them, takes the best offer for each security tier, and builds the
/// intent that takes it. The solvers are trusted with nothing: every field of an offer is compared
/// with the request and with the deployment before it is compared with other offers, and the intent
/// is assembled here.
#[derive(Debug)]
pub struct SolverNetwork {
    name: String,
    solvers: Vec<Arc<Solver>>,
    chains: BTreeMap<ChainId, ChainManifest>,
    http: reqwest::Client,
    terms: SolverTerms,
    /// Solvers learn that two requests are of one caller, and nothing else of it.
    salt: B256,
}

/// How solvers are asked, and what their quotes must satisfy.
#[derive(Clone, Debug, Default)]
pub struct SolverTerms {
    /// When one is left alone.
    pub breaker: BreakerConfig,
    /// How long they are waited for, by the rule that holds between providers.
    pub patience: Patience,
    /// What a quote must satisfy.
    pub sanity: Sanity,
    /// The time of day.
    pub clock: Clock,
}

/// What solvers have said so far.
#[derive(Debug, Default)]
struct Gathered {
    /// By tier.
    best: BTreeMap<u8, Offer>,
    declines: Vec<Decline>,
    /// Solvers that offer something.
    offering: usize,
}

/// A solver whose URL cannot have a path, or an HTTP client that cannot be built.
#[derive(Debug, thiserror::Error)]
pub enum SolverNetworkError {
    /// The URL cannot be a base.
    #[error("solver {name}: {url} cannot have paths below it")]
    Url {
        /// The solver.
        name: String,
        /// Its URL.
        url: Url,
    },
    /// No HTTP client.
    #[error("no HTTP client: {0}")]
    Http(#[from] reqwest::Error),
    /// It cannot be asked.
    #[error(transparent)]
    Remote(#[from] RemoteError),
}

impl SolverNetwork {
    /// The network of these solvers over the chains of a deployment.
    ///
    /// # Errors
    /// [`SolverNetworkError`].
    pub fn new(
        name: impl Into<String>,
        solvers: &[SolverEndpoint],
        manifest: &Manifest,
        terms: SolverTerms,
    ) -> Result<Self, SolverNetworkError> {
        let solvers = solvers
            .iter()
            .map(|endpoint| Solver::new(endpoint, terms.breaker).map(Arc::new))
            .collect::<Result<_, _>>()?;
        let chains = manifest.iter().map(|(_, chain)| (chain.chain_id, chain.clone())).collect();
        let http = answer::client()?;
        let salt = B256::from(rand::random::<[u8; 32]>());
        Ok(Self { name: name.into(), solvers, chains, http, terms, salt })
    }

    /// Judges what a solver says, tells its breaker, and keeps what is best of it.
    fn take_in(&self, route: &Route, mut heard: Heard, gathered: &mut Gathered) {
        let solver = Arc::clone(&heard.solver);
        let named = |fault: Decline| {
            let message = format!("{}: {}", solver.name, fault.message);
            Decline { message, ..fault }
        };
        let (mut is_sound, mut offers) = (true, false);
        match &mut heard.answer {
            Ok(answer) => {
                for signed in answer.quotes.iter().take(MAX_OFFERS) {
                    match self.offer(&solver.name, route, signed) {
                        Ok(offer) => {
                            offers = true;
                            keep_better(&mut gathered.best, route, offer);
                        }
                        Err(fault) => {
                            tracing::warn!(solver = solver.name, %fault, "quote refused");
                            is_sound &= !fault.is_failure();
                            gathered.declines.push(named(fault));
                        }
                    }
                }
                gathered.declines.extend(answer.unavailable.drain(..).map(decline));
            }
            Err(fault) => {
                tracing::warn!(solver = solver.name, %fault, "solver gave no quote");
                gathered.declines.push(named(fault.clone()));
            }
        }
        gathered.offering += usize::from(offers);
        heard.report(is_sound);
    }

    /// An offer for the quote, if the quote answers the request, names this deployment's contracts, and
    /// is one that an honest solver may make.
    fn offer(&self, solver: &str, route: &Route, signed: &SignedQuote) -> Result<Offer, Decline> {
        signed.verify().map_err(|fault| refused(fault.to_string()))?;
        let quote = &signed.quote;
        let (origin, destination) = (self.chain(route.origin)?, self.chain(route.destination)?);
        let tier = match quote.security {
            Security::Instant => Tier::Instant,
            Security::Finalized => Tier::Finalized,
        };
        let local = route.origin == route.destination;
        let prover = if local {
            Some(origin.contracts.local_prover)
        } else {
            origin.contracts.meta_prover(tier)
        };
        let expected = (
            route.origin.0,
            route.token_in.address,
            route.destination.0,
            route.token_out.address,
            origin.contracts.intent_source,
            prover,
            destination.contracts.inbox,
        );
        let given = (
            quote.origin_chain_id,
            quote.origin_token,
            quote.destination_chain_id,
            quote.destination_token,
            quote.intent_source,
            Some(quote.prover),
            quote.inbox,
        );
        if expected != given {
            return Err(refused("its quote is for another route or deployment"));
        }
        if quote.gasless != route.gasless {
            return Err(refused("its quote prices another way of opening"));
        }
        if route.security.is_some_and(|wanted| wanted != quote.security) {
            return Err(refused("its quote is for another security tier"));
        }
        let (amount_in, amount_out) = (quote.amount_in.0, quote.amount_out.0);
        let set = destination.validators.get(&TierName::from(tier));
        let offer = Offer {
            amount_in,
            amount_out,
            min_amount_out: amount_out,
            seconds: quote.fill_seconds,
            tier: Some(quote.security),
            security: SecurityDescription {
                tier: Some(quote.security),
                validators: set.and_then(|set| u32::try_from(set.validators.len()).ok()),
                threshold: set.map(|set| set.threshold.into()),
                trust: trust(quote.security, local).into(),
            },
            liquidity: Some(quote.available.0),
            expires_at: quote.expires_at,
            plan: Plan::Intent(Box::new(intent(route, signed)?)),
            costs: signed.costs,
            solver: Some(solver.to_owned()),
            cached: None,
        };
        let Self { name, terms: SolverTerms { sanity, clock, .. }, .. } = self;
        let checked = sanity.check(name, route, &offer, clock.unix());
        checked.map_err(|suspicion| suspicion.decline(name))?;
        Ok(offer)
    }

    fn chain(&self, chain: ChainId) -> Result<&ChainManifest, Decline> {
        self.chains.get(&chain).ok_or_else(|| refused(format!("chain {} is not deployed", chain.0)))
    }
}

#[async_trait]
impl Provider for SolverNetwork {
    fn name(&self) -> &str {
        &self.name
    }

    fn serves(&self, route: &Route) -> bool {
        self.chains.contains_key(&route.origin) && self.chains.contains_key(&route.destination)
    }

    async fn offers(&self, route: &Route, budget: Duration) -> Result<Vec<Offer>, Decline> {
        // Solvers hold inventory for what they quote: they are not asked what cannot be taken.
        spent(route)?;
        let (patience, budget) = (self.terms.patience.scaled(SHARE), budget.mul_f64(SHARE));
        let (start, request) = (Instant::now(), Arc::new(quote_request(route, self.salt)));
        let mut asking: FuturesUnordered<_> = self
            .solvers
            .iter()
            .map(|solver| Arc::clone(solver).ask(Arc::clone(&request), budget))
            .collect();
        let mut gathered = Gathered::default();
        // Questions end with the budget by themselves: while there is no offer, all of them are heard.
        let mut wait = pin!(tokio::time::sleep_until((start + budget * 2).into()));
        loop {
            let heard = match select(asking.next(), wait.as_mut()).await {
                Either::Left((Some(heard), _)) => heard,
                // Everybody has answered, or the patience is over.
                Either::Left((None, _)) | Either::Right(_) => break,
            };
            self.take_in(route, heard, &mut gathered);
            if let Some(enough) = patience.enough_at(gathered.offering) {
                wait.as_mut().reset((start + enough).into());
            }
        }
        if !asking.is_empty() {
            // Who is only slow shows it in its time, who hangs does not: the breakers hear it.
            tokio::spawn(asking.for_each(|late| {
                late.report(true);
                future::ready(())
            }));
        }
        if gathered.best.is_empty() {
            return Err(most_telling(gathered.declines));
        }
        Ok(gathered.best.into_values().collect())
    }

    /// A quote holds a solver's inventory for one order, and its id is that order's salt.
    fn may_be_kept(&self) -> bool {
        false
    }

    fn would_ask(&self) -> Option<bool> {
        let now = Instant::now();
        let any = self.solvers.iter().any(|solver| solver.breaker.would_ask(now));
        (!self.solvers.is_empty()).then_some(any)
    }

    async fn watch(&self) {
        let watching = self
            .solvers
            .iter()
            .map(|solver| solver.breaker.watch(LOOK, move || solver.is_there(&self.http)));
        join_all(watching).await;
    }

    async fn submit(&self, solver: Option<&str>, order: &SignedOrder) -> Result<(), Decline> {
        let solver = self.solvers.iter().find(|known| Some(known.name.as_str()) == solver);
        let Some(solver) = solver else {
            return Err(Decline::new(
                UnavailableReason::NoRoute,
                "the solver is not asked any more",
            ));
        };
        solver.submit(&self.http, order).await
    }
}

fn refused(message: impl Into<String>) -> Decline {
    Decline::new(UnavailableReason::Rejected, message)
}

fn decline(none: NoQuote) -> Decline {
    let reason = match none.reason {
        NoQuoteReason::NoRoute => UnavailableReason::NoRoute,
        NoQuoteReason::AmountTooLow => UnavailableReason::AmountTooLow,
        NoQuoteReason::AmountTooHigh => UnavailableReason::AmountTooHigh,
        NoQuoteReason::Unavailable => UnavailableReason::Busy,
        NoQuoteReason::CallsFail => return Decline::of_request(none.message),
    };
    let minimum = none.minimum.map(|minimum| minimum.0);
    Decline { minimum, ..Decline::new(reason, none.message) }
}

/// What the request's calls spend, if an intent can give it to them: it is taken out of a native
/// output, and with a token output nobody would pay it.
fn spent(route: &Route) -> Result<U256, Decline> {
    let spent = route
        .calls
        .iter()
        .try_fold(U256::ZERO, |sum, call| sum.checked_add(call.value.0))
        .ok_or_else(|| Decline::of_request("the calls' values overflow"))?;
    if !spent.is_zero() && !route.token_out.is_native() {
        return Err(Decline::of_request("calls carry value but the output is a token"));
    }
    match route.amount {
        AmountRequest::ExactOutput(exact) => left(exact.0, spent).map(|_| spent),
        AmountRequest::ExactInput(_) => Ok(spent),
    }
}

/// What the recipient gets of an output when the calls spend so much of it.
fn left(amount_out: U256, spent: U256) -> Result<U256, Decline> {
    amount_out
        .checked_sub(spent)
        .ok_or_else(|| Decline::of_request(format!("the calls spend {spent} of {amount_out} wei")))
}

/// The decline that helps the user most: one that a changed request can lift, then a plain no,
/// then trouble. Of several minimums the lowest.
fn most_telling(declines: Vec<Decline>) -> Decline {
    let rank = |decline: &Decline| match decline.reason {
        UnavailableReason::AmountTooLow => 0,
        UnavailableReason::AmountTooHigh => 1,
        UnavailableReason::Rejected => 2,
        UnavailableReason::NoRoute => 3,
        UnavailableReason::Timeout => 4,
        UnavailableReason::Error => 5,
        UnavailableReason::CircuitOpen | UnavailableReason::Busy | UnavailableReason::Filtered => 6,
    };
    declines
        .into_iter()
        .min_by_key(|decline| (rank(decline), decline.minimum.unwrap_or(U256::MAX)))
        .unwrap_or_else(|| Decline::new(UnavailableReason::NoRoute, "no solver is registered"))
}

fn keep_better(best: &mut BTreeMap<u8, Offer>, route: &Route, offer: Offer) {
    let tier = offer.tier.map_or(0, |tier| tier as u8);
    let better = best.get(&tier).is_none_or(|held| match route.amount {
        AmountRequest::ExactInput(_) => offer.amount_out > held.amount_out,
        AmountRequest::ExactOutput(_) => offer.amount_in < held.amount_in,
    });
    if better {
        best.insert(tier, offer);
    }
}

fn quote_request(route: &Route, salt: B256) -> QuoteRequest {
    let caller = route.caller.as_ref();
    QuoteRequest {
        origin_chain_id: route.origin.0,
        origin_token: route.token_in.address,
        destination_chain_id: route.destination.0,
        destination_token: route.token_out.address,
        amount: route.amount,
        recipient: Some(route.recipient),
        calls: route.calls.clone(),
        gasless: route.gasless,
        security: route.security,
        caller: caller.map(|name| keccak256([salt.as_slice(), name.as_bytes()].concat())),
    }
}

/// The intent that takes a quote: pays the recipient, then runs the user's calls.
///
/// With a native output the value of the calls is taken from it; with a token output calls cannot
/// carry value, because nobody would pay it. The solver's quote is priced, simulated and reserved
/// for a route of exactly this payment and these calls.
fn intent(route: &Route, signed: &SignedQuote) -> Result<Intent, Decline> {
    let quote = &signed.quote;
    let (amount_in, amount_out) = (quote.amount_in.0, quote.amount_out.0);
    let spent = spent(route)?;
    let (native_amount, tokens, payment) = if route.token_out.is_native() {
        let value = left(amount_out, spent)?;
        let payment = Call { target: route.recipient, data: Default::default(), value };
        (amount_out, Vec::new(), payment)
    } else {
        let token = route.token_out.address;
        let data = erc20::transferCall { to: route.recipient, value: amount_out }.abi_encode();
        let payment = Call { target: token, data: data.into(), value: U256::ZERO };
        (U256::ZERO, vec![TokenAmount { token, amount: amount_out }], payment)
    };
    let calls = std::iter::once(payment)
        .chain(route.calls.iter().map(|call| Call {
            target: call.target,
            data: call.data.clone(),
            value: call.value.0,
        }))
        .collect();
    let (reward_native, reward_tokens) = if route.token_in.is_native() {
        (amount_in, Vec::new())
    } else {
        (U256::ZERO, vec![TokenAmount { token: route.token_in.address, amount: amount_in }])
    };
    Ok(Intent {
        destination: route.destination.0,
        route: IntentRoute {
            salt: quote.id,
            deadline: quote.route_deadline,
            portal: quote.inbox,
            nativeAmount: native_amount,
            tokens,
            calls,
        },
        reward: Reward {
            deadline: quote.reward_deadline,
            creator: route.refund_address,
            prover: quote.prover,
            nativeAmount: reward_native,
            tokens: reward_tokens,
        },
    })
}

const fn trust(security: Security, local: bool) -> &'static str {
    match (security, local) {
        (_, true) => "The contracts alone: fill and payment happen on one chain.",
        (Security::Instant, false) => {
            "The contracts, a threshold of validators and the destination's sequencer: the fill is \
             attested before its block is final."
        }
        (Security::Finalized, false) => {
            "The contracts and a threshold of validators: the fill is attested when its block is \
             final."
        }
    }
}

#[cfg(test)]
mod tests {
    use alloy::primitives::{Address, B256, Bytes};
    use api::{
        Amount,
        aggregator::{self, Preference},
        solver::Quote,
    };

    use super::*;
    use crate::book::tests::{CHAIN_A, CHAIN_B, USDX_B, book};

    const USER: Address = Address::repeat_byte(7);
    const TARGET: Address = Address::repeat_byte(9);

    /// A route whose calls carry these values.
    fn route(token: Address, amount: AmountRequest, values: &[u64]) -> Route {
        let call = |value: &u64| aggregator::Call {
            target: TARGET,
            data: Bytes::from_static(&[1]),
            value: Amount::from(*value),
        };
        let request = aggregator::QuoteRequest {
            origin_chain_id: CHAIN_A,
            origin_token: Address::ZERO,
            destination_chain_id: CHAIN_B,
            destination_token: token,
            amount,
            sender: Some(USER),
            recipient: None,
            refund_address: None,
            preference: Preference::default(),
            security: None,
            slippage_bps: 50,
            gasless: false,
            calls: values.iter().map(call).collect(),
            providers: Vec::new(),
        };
        Route::new(request, &book()).unwrap()
    }

    fn signed(amount_out: u64) -> SignedQuote {
        let quote = Quote {
            id: B256::repeat_byte(1),
            solver: Address::repeat_byte(2),
            origin_chain_id: CHAIN_A,
            origin_token: Address::ZERO,
            amount_in: Amount::from(1_000),
            destination_chain_id: CHAIN_B,
            destination_token: Address::ZERO,
            amount_out: Amount::from(amount_out),
            security: Security::Instant,
            intent_source: Address::repeat_byte(3),
            prover: Address::repeat_byte(4),
            inbox: Address::repeat_byte(5),
            route_deadline: 2_000,
            reward_deadline: 3_000,
            fill_seconds: 1,
            available: Amount::from(amount_out),
            expires_at: 1_000,
            gasless: false,
        };
        SignedQuote { quote, signature: Bytes::new(), costs: None }
    }

    fn exact_input() -> AmountRequest {
        AmountRequest::ExactInput(Amount::from(1_000))
    }

    #[test]
    fn solvers_tell_callers_apart_and_learn_nothing_else_of_them() {
        let of = |name: Option<&str>, salt| {
            let caller = name.map(str::to_owned);
            let route = Route { caller, ..route(USDX_B, exact_input(), &[]) };
            quote_request(&route, B256::repeat_byte(salt)).caller
        };
        assert_eq!(of(Some("192.0.2.7"), 1), of(Some("192.0.2.7"), 1));
        assert_ne!(of(Some("192.0.2.7"), 1), of(Some("192.0.2.8"), 1));
        assert_ne!(of(Some("192.0.2.7"), 1), of(Some("192.0.2.7"), 2), "no table tells the name");
        assert_eq!(of(None, 1), None);
    }

    /// The solver's `quote::tests` has the same numbers: it must price the route that is published.
    #[test]
    fn the_calls_value_comes_out_of_a_native_output() {
        let route = route(Address::ZERO, exact_input(), &[300, 200]);
        let intent = intent(&route, &signed(900)).unwrap();
        let calls: Vec<_> =
            intent.route.calls.iter().map(|call| (call.target, call.value)).collect();
        let value = |value: u64| U256::from(value);
        assert_eq!(calls, [(USER, value(400)), (TARGET, value(300)), (TARGET, value(200))]);
        assert_eq!((intent.route.nativeAmount, intent.route.tokens), (value(900), Vec::new()));
    }

    #[test]
    fn calls_that_nobody_can_run_speak_against_no_solver() {
        let exact_output = AmountRequest::ExactOutput(Amount::from(1_000));
        let fails = NoQuote {
            security: None,
            reason: NoQuoteReason::CallsFail,
            message: "reverted".into(),
            minimum: None,
        };
        for declined in [
            spent(&route(USDX_B, exact_input(), &[1])).unwrap_err(),
            spent(&route(Address::ZERO, exact_output, &[1_001])).unwrap_err(),
            intent(&route(Address::ZERO, exact_input(), &[901]), &signed(900)).unwrap_err(),
            decline(fails),
        ] {
            assert_eq!(declined.reason, UnavailableReason::Rejected);
            assert!(!declined.is_failure(), "{declined:?}");
        }
        assert_eq!(spent(&route(USDX_B, exact_input(), &[0])), Ok(U256::ZERO));
    }
}
