//! Quotes: signed, expiring offers that hold inventory for as long as they stand.
//!
//! A quote is priced by the same formula as an order, with the fill simulated on the route that
//! would take it. The route's salt is the quote's id, which is how an order claims the promise.
//! What quotes hold is shared out among callers: [`store::Store::offer`].

mod price;

use std::{sync::Arc, sync::atomic::Ordering, time::Duration};

use alloy::{
    primitives::{Address, B256, Bytes, U256, keccak256},
    signers::{SignerSync, local::PrivateKeySigner},
    sol_types::{SolCall, SolValue},
};
use api::{
    Amount,
    aggregator::{AmountRequest, Security},
    solver::{NoQuote, NoQuoteReason, Quote, QuoteRequest, QuoteResponse, SignedQuote},
};
use futures::future::join_all;
use protocol::{
    abi::erc20,
    finality::Tier,
    ids::ChainId,
    intent::{Call, Intent, Reward, Route, TokenAmount},
};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::{
    config::{Config, Run},
    engine::{Engine, Fault},
    filter::{self, Intake, Verdict},
    money::{Asset, Rounding},
    order::{self, Order},
    policy::{Served, Settlement},
    store::{self, Asked, Mode, Offer, QuoteBounds, Reservation},
    valuer::Unknown,
};

/// Time after its expiry in which a taken quote's intent may still be filled.
const ROUTE_LIFE: Duration = Duration::from_secs(600);

/// Quotes that are worked on at a time.
const PLACES: usize = 16;

/// How long a request waits for a place before it is told that the solver is busy.
const QUEUE: Duration = Duration::from_millis(200);

/// Gas beyond what was estimated that a promise covers: an account that is paid for the first time.
const GAS_LEEWAY: u64 = 50_000;

/// Gives quotes.
#[derive(Debug)]
pub struct Quoter {
    engine: Arc<Engine>,
    places: Semaphore,
    signer: Option<PrivateKeySigner>,
    lifetime: Duration,
    bounds: QuoteBounds,
}

/// Why no quote can be given at all.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Facts or books could not be had.
    #[error(transparent)]
    Fault(#[from] Fault),
    /// The signing key is not to be had.
    #[error("the quote cannot be signed")]
    Signing,
}

impl From<store::Error> for Error {
    fn from(error: store::Error) -> Self {
        Self::Fault(error.into())
    }
}

/// A request on its two chains, at one tier.
struct Lane<'a> {
    origin: &'a Served,
    destination: &'a Served,
    prover: Address,
    tier: Tier,
    security: Security,
}

impl Quoter {
    /// A quoter that signs with the first wallet of the first chain.
    pub fn new(config: &Config, engine: Arc<Engine>) -> Self {
        let key = config.chains.values().find_map(|chain| chain.wallets.first());
        Self {
            engine,
            places: Semaphore::new(PLACES),
            signer: key.and_then(|key| key.load().ok()),
            lifetime: config.quote_lifetime,
            bounds: QuoteBounds {
                all: u64::from(config.quotes_open),
                of_caller: u64::from(config.quotes_per_caller),
                share_bps: config.quotes_share_bps,
            },
        }
    }

    /// Offers for a caller's request, one for each tier that it leaves open.
    ///
    /// # Errors
    /// When nothing can be said; reasons against a quote are part of the answer.
    pub async fn quote(
        &self,
        request: &QuoteRequest,
        caller: B256,
    ) -> Result<QuoteResponse, Error> {
        let mut answer = QuoteResponse { quotes: Vec::new(), unavailable: Vec::new() };
        let Ok(_place) = tokio::time::timeout(QUEUE, self.places.acquire()).await else {
            metrics::counter!("solver_quotes_busy_total").increment(1);
            answer.unavailable.push(busy());
            return Ok(answer);
        };
        if let Some(none) = self.closed().await? {
            answer.unavailable.push(none);
            return Ok(answer);
        }
        let asked = Asked {
            caller,
            route: route_asked_for(request),
            request: B256::from(rand::random::<[u8; 32]>()),
        };
        let tiers = [(Tier::Instant, Security::Instant), (Tier::Finalized, Security::Finalized)];
        let wanted = (tiers.into_iter())
            .filter(|(_, security)| request.security.is_none_or(|wanted| wanted == *security))
            .map(|(tier, security)| self.quote_tier(request, asked, tier, security));
        for quoted in join_all(wanted).await {
            match quoted? {
                Ok(quote) => answer.quotes.push(quote),
                Err(none) => answer.unavailable.push(none),
            }
        }
        metrics::counter!("solver_quotes_total").increment(answer.quotes.len() as u64);
        Ok(answer)
    }

    /// Why no quote at all is given now.
    async fn closed(&self) -> Result<Option<NoQuote>, Error> {
        let mode = self.engine.store.mode().await?;
        let message = if self.engine.run == Run::Dry {
            "the solver runs dry".to_owned()
        } else if mode != Mode::Running {
            format!("the solver is {mode}")
        } else {
            return Ok(None);
        };
        let reason = NoQuoteReason::Unavailable;
        Ok(Some(NoQuote { security: None, reason, message, minimum: None }))
    }

    async fn quote_tier(
        &self,
        request: &QuoteRequest,
        asked: Asked,
        tier: Tier,
        security: Security,
    ) -> Result<Result<SignedQuote, NoQuote>, Error> {
        let none = |reason, message: String| NoQuote {
            security: Some(security),
            reason,
            message,
            minimum: None,
        };
        let lane = match self.lane(request, tier, security) {
            Ok(lane) => lane,
            Err(message) => return Ok(Err(none(NoQuoteReason::NoRoute, message))),
        };
        let spent = spent(request);
        if !spent.is_zero() && !request.destination_token.is_zero() {
            let message = "calls carry value but the output is a token".to_owned();
            return Ok(Err(none(NoQuoteReason::CallsFail, message)));
        }
        let priced = match self.price(request, &lane).await? {
            Ok(priced) => priced,
            Err(price::Refused { reason, message, minimum }) => {
                return Ok(Err(NoQuote { minimum: minimum.map(Amount), ..none(reason, message) }));
            }
        };
        // The probe that was simulated pays out more than what is left once the costs are known.
        if spent > priced.amount_out {
            let message = format!("the calls spend {spent} of {} wei", priced.amount_out);
            return Ok(Err(none(NoQuoteReason::AmountTooLow, message)));
        }
        // What the rules would refuse is not quoted.
        let intake = Intake { order: &priced.order, policy: &self.engine.policy };
        if let Verdict::Reject { reason } = filter::judge_shape(&intake) {
            return Ok(Err(none(NoQuoteReason::CallsFail, reason)));
        }
        let quote = match self.hold(request, asked, &lane, &priced).await? {
            Ok(quote) => quote,
            Err(refused) => return Ok(Err(none(refused.reason, refused.message))),
        };
        let signer = self.signer.as_ref().ok_or(Error::Signing)?;
        let signature = signer.sign_hash_sync(&quote.digest()).map_err(|_| Error::Signing)?;
        let signature = Bytes::from(signature.as_bytes().to_vec());
        Ok(Ok(SignedQuote { quote, signature, costs: priced.costs }))
    }

    /// Writes the quote with what it holds, unless there is no room for it.
    async fn hold(
        &self,
        request: &QuoteRequest,
        asked: Asked,
        lane: &Lane<'_>,
        priced: &price::Priced,
    ) -> Result<Result<Quote, price::Refused>, Error> {
        let out = Asset { chain: lane.destination.id, token: request.destination_token };
        let free = self.engine.store.free(out).await?;
        let all = free.iter().fold(U256::ZERO, |sum, (_, amount)| sum.saturating_add(*amount));
        let worth = match self.micro_usd(out, priced.amount_out) {
            Ok(worth) => worth.max(1),
            Err(unknown) => {
                return Ok(Err(price::refused(NoQuoteReason::Unavailable, unknown.to_string())));
            }
        };
        let richest = free.first().map_or(U256::ZERO, |(_, amount)| *amount);
        let share = all.saturating_mul(U256::from(self.bounds.share_bps)) / U256::from(10_000);
        let available = richest.min(share).max(priced.amount_out);
        let quote = self.terms(request, lane, priced, available);
        let reservations: Vec<Reservation> = self.engine.reservations(&priced.order, &priced.plan);
        debug_assert!(reservations.iter().all(|r| r.wallet == priced.plan.wallet));
        let offer = Offer {
            quote: &quote,
            gas: priced.plan.gas_limit().saturating_add(GAS_LEEWAY),
            reservations: &reservations,
            asked,
            worth,
            // What is beyond any worth is no bound.
            free: self.micro_usd(out, all).unwrap_or(u64::MAX),
        };
        match self.engine.store.offer(&offer, &self.bounds).await {
            Ok(released) => {
                metrics::counter!("solver_quotes_released_total").increment(released);
                Ok(Ok(quote))
            }
            Err(short @ (store::Error::NotEnough { .. } | store::Error::Promised { .. })) => {
                Ok(Err(price::refused(NoQuoteReason::AmountTooHigh, short.to_string())))
            }
            Err(full @ store::Error::Full) => {
                Ok(Err(price::refused(NoQuoteReason::Unavailable, full.to_string())))
            }
            Err(error) => Err(error.into()),
        }
    }

    /// What paying an amount costs, in millionths of a dollar.
    fn micro_usd(&self, asset: Asset, amount: U256) -> Result<u64, Unknown> {
        let amount = order::Amount { asset, amount };
        Ok(price::micro_usd(self.engine.valuer.worth(&[amount], Rounding::Up)?))
    }

    /// Whether both chains, both tokens and the tier are served.
    fn lane(
        &self,
        request: &QuoteRequest,
        tier: Tier,
        security: Security,
    ) -> Result<Lane<'_>, String> {
        let policy = &self.engine.policy;
        let served =
            |id: u64| policy.chain(ChainId(id)).ok_or_else(|| format!("chain {id} is not served"));
        let origin = served(request.origin_chain_id)?;
        let destination = served(request.destination_chain_id)?;
        if origin.id == destination.id {
            return Err("both ends are on one chain".into());
        }
        if request.gasless && request.origin_token.is_zero() {
            return Err("a signed order cannot pay in the native currency".into());
        }
        for (chain, token) in
            [(origin, request.origin_token), (destination, request.destination_token)]
        {
            if !chain.tokens.contains_key(&token) {
                return Err(format!("token {token} is not known on chain {}", chain.id));
            }
        }
        if policy.lane(origin.id, destination.id).is_none() {
            return Err("no lane is configured between these chains".into());
        }
        let settlement = Settlement::Message(tier);
        let prover = origin.prover(settlement).ok_or("the origin has no prover of this tier")?;
        destination.prover(settlement).ok_or("the destination has no prover of this tier")?;
        Ok(Lane { origin, destination, prover, tier, security })
    }

    /// The order that would take a quote of these amounts.
    fn order(
        &self,
        request: &QuoteRequest,
        lane: &Lane<'_>,
        id: B256,
        amount_in: U256,
        amount_out: U256,
    ) -> Result<Order, Fault> {
        let tiers = self.engine.policy.tiers();
        // A chain that makes blocks on demand may show an old one; its next one is of now.
        let time = |chain| {
            let head = self.engine.network.link(chain)?.head().block.timestamp;
            Ok::<_, Fault>(head.max(self.engine.clock.unix()))
        };
        let needed = tiers.latency(lane.tier) + tiers.pause + tiers.margin + tiers.fill;
        let hold = self.lifetime + ROUTE_LIFE;
        let recipient = request.recipient.unwrap_or(Address::repeat_byte(0x11));
        let (native_amount, tokens, calls) = payout(request, amount_out, recipient);
        let (reward_native, reward_tokens) = legs(request.origin_token, amount_in);
        let intent = Intent {
            destination: lane.destination.id.0,
            route: Route {
                salt: id,
                deadline: time(lane.destination.id)? + hold.as_secs(),
                portal: lane.destination.inbox,
                nativeAmount: native_amount,
                tokens,
                calls,
            },
            reward: Reward {
                deadline: time(lane.origin.id)? + (hold + needed).as_secs(),
                creator: recipient,
                prover: lane.prover,
                nativeAmount: reward_native,
                tokens: reward_tokens,
            },
        };
        Ok(Order::new(lane.origin.id, intent, self.engine.now()))
    }

    fn terms(
        &self,
        request: &QuoteRequest,
        lane: &Lane<'_>,
        priced: &price::Priced,
        available: U256,
    ) -> Quote {
        let fill_time = self.engine.fill_time.load(Ordering::Relaxed);
        Quote {
            id: priced.order.route().salt,
            solver: self.signer.as_ref().map(PrivateKeySigner::address).unwrap_or_default(),
            origin_chain_id: lane.origin.id.0,
            origin_token: request.origin_token,
            amount_in: Amount(priced.amount_in),
            destination_chain_id: lane.destination.id.0,
            destination_token: request.destination_token,
            amount_out: Amount(priced.amount_out),
            security: lane.security,
            intent_source: lane.origin.intent_source,
            prover: lane.prover,
            inbox: lane.destination.inbox,
            route_deadline: priced.order.route().deadline,
            reward_deadline: priced.order.reward().deadline,
            fill_seconds: fill_time.div_ceil(1_000).max(1),
            available: Amount(available),
            expires_at: self.engine.clock.unix() + self.lifetime.as_secs(),
            gasless: request.gasless,
        }
    }

    /// Gives back what expired quotes hold, until shutdown.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn expire(self: Arc<Self>, shutdown: CancellationToken) -> Result<(), store::Error> {
        let mut ticks = tokio::time::interval(Duration::from_secs(1));
        while shutdown.run_until_cancelled(ticks.tick()).await.is_some() {
            // An order may have been published in the last second of a quote and be seen later.
            let grace = self.lifetime.as_secs() / 2;
            let gone = self
                .engine
                .store
                .expire_quotes(self.engine.clock.unix().saturating_sub(grace))
                .await?;
            metrics::counter!("solver_quotes_expired_total").increment(gone);
        }
        Ok(())
    }
}

/// Fills come first: whoever asks again in a moment is answered.
fn busy() -> NoQuote {
    NoQuote {
        security: None,
        reason: NoQuoteReason::Unavailable,
        message: "the solver is busy".to_owned(),
        minimum: None,
    }
}

/// Names the route that is asked for, whatever the amount: a caller who asks again has changed its mind.
fn route_asked_for(request: &QuoteRequest) -> B256 {
    let ends = (
        request.origin_chain_id,
        request.origin_token,
        request.destination_chain_id,
        request.destination_token,
        request.recipient.unwrap_or_default(),
    );
    keccak256(ends.abi_encode())
}

/// What the request's calls spend.
fn spent(request: &QuoteRequest) -> U256 {
    request.calls.iter().fold(U256::ZERO, |sum, call| sum.saturating_add(call.value.0))
}

/// The route's native amount, its tokens, and its calls: the one that pays the recipient, then the
/// user's. Those spend of a native output, so that the route takes what is priced and no more.
fn payout(
    request: &QuoteRequest,
    amount: U256,
    recipient: Address,
) -> (U256, Vec<TokenAmount>, Vec<Call>) {
    let token = request.destination_token;
    let (native, tokens) = legs(token, amount);
    let payment = if token.is_zero() {
        let value = amount.saturating_sub(spent(request));
        Call { target: recipient, data: Bytes::new(), value }
    } else {
        let data = erc20::transferCall { to: recipient, value: amount }.abi_encode().into();
        Call { target: token, data, value: U256::ZERO }
    };
    let further = request.calls.iter().map(|call| Call {
        target: call.target,
        data: call.data.clone(),
        value: call.value.0,
    });
    (native, tokens, std::iter::once(payment).chain(further).collect())
}

fn legs(token: Address, amount: U256) -> (U256, Vec<TokenAmount>) {
    if token.is_zero() {
        (amount, Vec::new())
    } else {
        (U256::ZERO, vec![TokenAmount { token, amount }])
    }
}

/// Which side is exact, and how much.
const fn exact(request: &QuoteRequest) -> (bool, U256) {
    match request.amount {
        AmountRequest::ExactInput(amount) => (true, amount.0),
        AmountRequest::ExactOutput(amount) => (false, amount.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const USER: Address = Address::repeat_byte(7);
    const TARGET: Address = Address::repeat_byte(9);

    fn request(token: Address, values: &[u64]) -> QuoteRequest {
        let call = |value: &u64| api::aggregator::Call {
            target: TARGET,
            data: Bytes::from_static(&[1]),
            value: Amount::from(*value),
        };
        QuoteRequest {
            origin_chain_id: 1,
            origin_token: Address::ZERO,
            destination_chain_id: 2,
            destination_token: token,
            amount: AmountRequest::ExactInput(Amount::from(1_000)),
            recipient: Some(USER),
            calls: values.iter().map(call).collect(),
            gasless: false,
            security: None,
            caller: None,
        }
    }

    #[test]
    fn who_asks_for_another_amount_asks_for_the_same_route() {
        let first = request(Address::ZERO, &[]);
        let amount = AmountRequest::ExactOutput(Amount::from(2_000));
        let again = QuoteRequest { amount, ..first.clone() };
        assert_eq!(route_asked_for(&again), route_asked_for(&first));
        let other = QuoteRequest { recipient: None, ..first.clone() };
        assert_ne!(route_asked_for(&other), route_asked_for(&first));
        let back = QuoteRequest { origin_chain_id: 2, destination_chain_id: 1, ..first.clone() };
        assert_ne!(route_asked_for(&back), route_asked_for(&first));
    }

    /// The aggregator's `solver_network::tests` has the same numbers: it publishes this route.
    #[test]
    fn the_calls_value_comes_out_of_a_native_output() {
        let amount = U256::from(900);
        let (native, tokens, calls) = payout(&request(Address::ZERO, &[300, 200]), amount, USER);
        let calls: Vec<_> = calls.iter().map(|call| (call.target, call.value)).collect();
        let value = |value: u64| U256::from(value);
        assert_eq!(calls, [(USER, value(400)), (TARGET, value(300)), (TARGET, value(200))]);
        assert_eq!((native, tokens), (amount, Vec::new()));
    }

    #[test]
    fn a_token_is_paid_whole_before_the_calls() {
        let token = Address::repeat_byte(0xaa);
        let amount = U256::from(900);
        let (native, tokens, calls) = payout(&request(token, &[0]), amount, USER);
        assert_eq!((native, tokens), (U256::ZERO, vec![TokenAmount { token, amount }]));
        let targets: Vec<_> = calls.iter().map(|call| (call.target, call.value)).collect();
        assert_eq!(targets, [(token, U256::ZERO), (TARGET, U256::ZERO)]);
    }
}
