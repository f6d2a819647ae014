use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use alloy::{eips::BlockNumberOrTag, primitives::U256};
use api::aggregator::{
    Fee, FeeKind, Leg, Liquidity, Quote, Score, TimeEstimate, Unavailable, UnavailableReason,
};
use chain::ChainClient;
use futures::future;
use protocol::{abi::erc20, ids::ChainId};
use service::clock::Clock;

use super::{
    Account, Assembly, Candidate, Patience, QuoteIds, Route, Sanity, ask, assembly,
    fan_out::Answer, score, security_strength,
};
use crate::{
    provider::{Decline, Offer, Providers},
    reputation::Reputations,
};

/// Makes quotes.
#[derive(Debug)]
pub struct Engine {
    config: EngineConfig,
    providers: Providers,
    reputations: Arc<Reputations>,
    clients: BTreeMap<ChainId, ChainClient>,
    ids: QuoteIds,
    clock: Clock,
}

/// How quotes are made.
#[derive(Clone, Debug, Default)]
pub struct EngineConfig {
    /// How long providers are waited for.
    pub patience: Patience,
    /// What an offer must satisfy.
    pub sanity: Sanity,
    /// How offers become steps.
    pub assembly: Assembly,
}

/// The answer to one request.
#[derive(Clone, Debug, PartialEq)]
pub struct Quoted {
    /// Best first.
    pub quotes: Vec<Quote>,
    /// Why the others gave none.
    pub unavailable: Vec<Unavailable>,
    /// How long it took.
    pub elapsed: Duration,
}

struct Checked {
    provider: String,
    offer: Offer,
}

impl Engine {
    /// An engine over these providers. `clients` are used for simulations.
    pub const fn new(
        config: EngineConfig,
        providers: Providers,
        reputations: Arc<Reputations>,
        clients: BTreeMap<ChainId, ChainClient>,
        ids: QuoteIds,
        clock: Clock,
    ) -> Self {
        Self { config, providers, reputations, clients, ids, clock }
    }

    /// Every provider.
    pub const fn providers(&self) -> &Providers {
        &self.providers
    }

    /// What makes and checks quote ids.
    pub const fn ids(&self) -> &QuoteIds {
        &self.ids
    }

    /// Asks, checks, ranks, assembles and simulates.
    pub async fn quote(&self, route: &Route) -> Quoted {
        let (mut best, start) = (None, Instant::now());
        self.quote_each(route, start, |_| (), &mut best).await
    }

    /// As [`Self::quote`], and gives each quote that is better than all before it to `better` as it
    /// arrives. These are not simulated.
    pub async fn quote_as_they_come(&self, route: &Route, better: impl FnMut(Quote)) -> Quoted {
        let (mut best, start) = (None, Instant::now());
        self.quote_each(route, start, better, &mut best).await
    }

    async fn quote_each(
        &self,
        route: &Route,
        start: Instant,
        mut better: impl FnMut(Quote),
        best: &mut Option<f64>,
    ) -> Quoted {
        let heard = |answer: &Answer| {
            observe(answer);
            let Ok(offers) = &answer.outcome else { return };
            for offer in offers {
                let net = net_output(route, offer);
                let checked =
                    self.config.sanity.check(&answer.provider, route, offer, self.clock.unix());
                if checked.is_ok() && best.is_none_or(|best| net > best) {
                    *best = Some(net);
                    let offered =
                        Checked { provider: answer.provider.clone(), offer: offer.clone() };
                    let offered = [offered];
                    self.rank(route, &offered)
                        .into_iter()
                        .filter_map(|quote| self.bind(quote, route, None))
                        .for_each(&mut better);
                }
            }
        };
        let answers = ask(&self.providers, route, self.config.patience, heard).await;
        let (offers, unavailable) = self.check(route, answers);
        let ranked = self.rank(route, &offers);
        let quotes = self.finish(route, ranked).await;
        Quoted { quotes, unavailable, elapsed: start.elapsed() }
    }

    /// Splits answers into offers that pass every check and reasons for the rest.
    fn check(&self, route: &Route, answers: Vec<Answer>) -> (Vec<Checked>, Vec<Unavailable>) {
        let (mut offers, mut unavailable) = (Vec::new(), Vec::new());
        let now = self.clock.unix();
        for Answer { provider, outcome, .. } in answers {
            let offered = match outcome {
                Ok(offered) => offered,
                Err(decline) => {
                    unavailable.push(unavailable_because(provider, decline));
                    continue;
                }
            };
            let (mut refused, mut passed) = (None, false);
            for offer in offered {
                match self.config.sanity.check(&provider, route, &offer, now) {
                    Ok(()) => {
                        passed = true;
                        offers.push(Checked { provider: provider.clone(), offer });
                    }
                    Err(suspicion) => {
                        tracing::warn!(provider, %suspicion, "offer refused");
                        metrics::counter!("metalayer_aggregator_offers_refused_total", "provider" => provider.clone())
                            .increment(1);
                        let message = suspicion.to_string();
                        refused = Some(Decline::new(UnavailableReason::Rejected, message));
                    }
                }
            }
            if !passed {
                let none = || Decline::new(UnavailableReason::NoRoute, "it offers nothing");
                unavailable.push(unavailable_because(provider, refused.unwrap_or_else(none)));
            }
        }
        (offers, unavailable)
    }

    /// Scores the offers and puts the best first. Equal totals keep the order of the registry, so
    /// that the same offers always give the same ranking.
    fn rank<'a>(&self, route: &Route, offers: &'a [Checked]) -> Vec<(&'a Checked, Score)> {
        let now = self.clock.unix();
        let candidates: Vec<_> = offers
            .iter()
            .map(|Checked { provider, offer }| Candidate {
                net_output: net_output(route, offer),
                seconds: offer.seconds,
                security: security_strength(offer.tier),
                coverage: offer
                    .liquidity
                    .map(|available| f64::from(available) / f64::from(offer.amount_out)),
                reputation: self.reputations.of(provider, now).score(),
            })
            .collect();
        let scores = score(&candidates, route.preference);
        let mut ranked: Vec<_> = offers.iter().zip(scores).collect();
        ranked.sort_by(|(_, a), (_, b)| b.total.total_cmp(&a.total));
        ranked
    }

    /// Assembles and simulates in parallel, and binds each quote with its id.
    async fn finish(&self, route: &Route, ranked: Vec<(&Checked, Score)>) -> Vec<Quote> {
        let client = self.clients.get(&route.origin);
        let finishing = ranked.into_iter().map(|ranked| async move {
            let offer = &ranked.0.offer;
            let account = self.account(client, route, offer).await;
            let mut quote = self.bind(ranked, route, account)?;
            if let (Some(client), Some(account)) = (client, account) {
                assembly::simulate(client, account, offer, &mut quote.steps).await;
            }
            Some(quote)
        });
        future::join_all(finishing).await.into_iter().flatten().collect()
    }

    /// What the chain says of the sender; `None` without a sender or when the chain does not answer.
    async fn account(
        &self,
        client: Option<&ChainClient>,
        route: &Route,
        offer: &Offer,
    ) -> Option<Account> {
        let (client, address) = (client?, route.sender?);
        let spender = self.config.assembly.spender(route, offer)?;
        let (token, latest) = (&route.token_in, BlockNumberOrTag::Latest);
        let state = if token.is_native() {
            client.balance(address, latest).await.map(|balance| (U256::ZERO, balance))
        } else {
            let allowance = erc20::allowanceCall { owner: address, spender };
            let balance = erc20::balanceOfCall { account: address };
            future::try_join(
                client.call(token.address, &allowance, latest),
                client.call(token.address, &balance, latest),
            )
            .await
        };
        match state {
            Ok((allowance, balance)) => Some(Account { address, allowance, balance }),
            Err(error) => {
                tracing::warn!(chain = route.origin.0, %error, "cannot read the sender's account");
                None
            }
        }
    }

    /// The quote of an offer: assembled, and bound with its id. `None` as [`Assembly::assemble`].
    fn bind(
        &self,
        (checked, score): (&Checked, Score),
        route: &Route,
        account: Option<Account>,
    ) -> Option<Quote> {
        let Checked { provider, offer } = checked;
        let assembled = self.config.assembly.assemble(route, offer, account)?;
        let mut quote = Quote {
            id: String::new(),
            provider: provider.clone(),
            legs: vec![Leg {
                origin_chain_id: route.origin.0,
                destination_chain_id: route.destination.0,
                token_in: route.token_in.address,
                token_out: route.token_out.address,
                amount_in: offer.amount_in.into(),
                amount_out: offer.amount_out.into(),
            }],
            amount_in: offer.amount_in.into(),
            amount_out: offer.amount_out.into(),
            min_amount_out: offer.min_amount_out.into(),
            fees: fees(route, offer),
            time: TimeEstimate { seconds: offer.seconds, basis: offer.time_basis },
            security: offer.security.clone(),
            liquidity: Liquidity { available: offer.liquidity.map(Into::into) },
            expires_at: offer.expires_at,
            order_id: assembled.order_id,
            steps: assembled.steps,
            score,
            cached: offer.cached,
        };
        quote.id = self.ids.sign(&quote);
        Some(quote)
    }
}

/// The difference between what goes in and what comes out, in the token that goes in. Only between
/// tokens of known price or of one symbol and scale is there such a number.
fn fees(route: &Route, offer: &Offer) -> Vec<Fee> {
    let (token_in, token_out) = (&route.token_in, &route.token_out);
    let same = token_in.symbol == token_out.symbol && token_in.decimals == token_out.decimals;
    let fee = |amount: U256, usd| Fee {
        kind: FeeKind::Provider,
        chain_id: token_in.chain_id,
        token: token_in.address,
        amount: amount.into(),
        usd,
        included: true,
    };
    if same {
        let amount = offer.amount_in.saturating_sub(offer.amount_out);
        return vec![fee(amount, token_in.usd(amount))];
    }
    match (token_in.usd(offer.amount_in), token_out.usd(offer.amount_out), token_in.micro_usd) {
        (Some(paid), Some(got), Some(price)) if price > 0 => {
            let usd = (paid - got).max(0.0);
            let amount = usd * 1e6 / price as f64 * 10_f64.powi(i32::from(token_in.decimals));
            vec![fee(U256::from(amount), Some(usd))]
        }
        _ => Vec::new(),
    }
}

/// What a route leaves to the user, in US dollars where both prices are known, else in output over
/// input: for one request all offers are measured the same way.
fn net_output(route: &Route, offer: &Offer) -> f64 {
    let (amount_in, amount_out) = (f64::from(offer.amount_in), f64::from(offer.amount_out));
    match (route.token_in.usd(offer.amount_in), route.token_out.usd(offer.amount_out)) {
        // With an exact output the input differs: what is saved on it counts as output.
        (Some(paid), Some(got)) if paid > 0.0 => got / paid,
        _ => amount_out / amount_in,
    }
}

fn unavailable_because(provider: String, decline: Decline) -> Unavailable {
    Unavailable {
        provider,
        reason: decline.reason,
        message: decline.message,
        minimum: decline.minimum.map(Into::into),
    }
}

fn observe(answer: &Answer) {
    let outcome = match &answer.outcome {
        Ok(_) => "offer",
        Err(decline) if decline.is_failure() => "failure",
        Err(_) => "decline",
    };
    let labels = [("provider", answer.provider.clone()), ("outcome", outcome.into())];
    metrics::counter!("metalayer_aggregator_provider_answers_total", &labels).increment(1);
    metrics::histogram!("metalayer_aggregator_provider_seconds", &labels)
        .record(answer.elapsed.as_secs_f64());
}
