use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use api::aggregator::{
    Leg, Liquidity, ProviderLimits, Quote, Score, TimeBasis, TimeEstimate, Unavailable,
    UnavailableReason,
};
use chain::ChainClient;
use futures::future;
use protocol::ids::ChainId;
use service::clock::Clock;

use super::{
    Account, Assembly, Candidate, Patience, QuoteIds, Route, Sanity, ask, assembly,
    fan_out::Answer,
    fees,
    origin::{Known, Origins},
    score, security_strength,
};
use crate::{
    book::TokenBook,
    cache::Lifetimes,
    provider::{Decline, Offer, Providers},
    reputation::{Outcomes, Reputations},
};

/// Makes quotes.
#[derive(Debug)]
pub struct Engine {
    config: EngineConfig,
    providers: Providers,
    reputations: Arc<Reputations>,
    origins: Origins,
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
    /// How long answers are kept. Offers are kept by [`Providers`].
    pub lifetimes: Lifetimes,
    /// What gas is worth.
    pub book: Arc<TokenBook>,
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
    outcomes: Outcomes,
}

impl Engine {
    /// An engine over these providers. `clients` are used for simulations.
    pub fn new(
        config: EngineConfig,
        providers: Providers,
        reputations: Arc<Reputations>,
        clients: BTreeMap<ChainId, ChainClient>,
        ids: QuoteIds,
        clock: Clock,
    ) -> Self {
        let origins = Origins::new(clients, config.lifetimes);
        Self { config, providers, reputations, origins, ids, clock }
    }

    /// Every provider.
    pub const fn providers(&self) -> &Providers {
        &self.providers
    }

    /// What makes and checks quote ids.
    pub const fn ids(&self) -> &QuoteIds {
        &self.ids
    }

    /// What is asked of each provider at most.
    pub fn limits(&self) -> ProviderLimits {
        let deadline = self.config.patience.deadline.as_millis();
        ProviderLimits {
            deadline_ms: u64::try_from(deadline).unwrap_or(u64::MAX),
            max_order_usd: self.config.sanity.limits.max_order_usd,
        }
    }

    /// The chain with this id.
    pub fn client(&self, chain: ChainId) -> Option<&ChainClient> {
        self.origins.client(chain)
    }

    /// Asks, checks, ranks, assembles and simulates.
    pub async fn quote(&self, route: &Route) -> Quoted {
        self.quote_each(route, None::<fn(Quote)>).await
    }

    /// As [`Self::quote`], and gives each quote that is better than all before it to `better` as it
    /// arrives. These are not simulated.
    pub async fn quote_as_they_come(&self, route: &Route, better: impl FnMut(Quote)) -> Quoted {
        self.quote_each(route, Some(better)).await
    }

    async fn quote_each(&self, route: &Route, mut better: Option<impl FnMut(Quote)>) -> Quoted {
        let (start, mut best) = (Instant::now(), None);
        let heard = |answer: &Answer| {
            observe(answer);
            if let Some(better) = &mut better {
                self.better(route, answer, &mut best).into_iter().for_each(better);
            }
        };
        let answers = ask(&self.providers, route, self.config.patience, heard).await;
        let (offers, unavailable) = self.check(route, answers);
        let ranked = self.rank(route, &offers);
        let quotes = self.finish(route, ranked).await;
        Quoted { quotes, unavailable, elapsed: start.elapsed() }
    }

    /// The quotes of an answer that are better than the best so far.
    fn better(&self, route: &Route, answer: &Answer, best: &mut Option<f64>) -> Vec<Quote> {
        let (Ok(offers), now) = (&answer.outcome, self.clock.unix()) else { return Vec::new() };
        let mut quotes = Vec::new();
        for offer in offers {
            let net = net_output(route, offer);
            let sane = self.config.sanity.check(&answer.provider, route, offer, now).is_ok();
            if sane && best.is_none_or(|best| net > best) {
                *best = Some(net);
                let offered = [self.checked(&answer.provider, offer.clone(), now)];
                let ranked = self.rank(route, &offered).into_iter();
                quotes.extend(ranked.filter_map(|quote| self.bind(quote, route, None)));
            }
        }
        quotes
    }

    fn checked(&self, provider: &str, offer: Offer, now: u64) -> Checked {
        let outcomes = self.reputations.of(provider, now);
        Checked { provider: provider.to_owned(), offer, outcomes }
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
                        offers.push(self.checked(&provider, offer, now));
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
        let candidates: Vec<_> = offers
            .iter()
            .map(|checked| Candidate {
                net_output: net_output(route, &checked.offer),
                seconds: checked.time().seconds,
                security: security_strength(checked.offer.tier),
                coverage: checked
                    .offer
                    .liquidity
                    .map(|available| f64::from(available) / f64::from(checked.offer.amount_out)),
                reputation: checked.outcomes.score(),
            })
            .collect();
        let scores = score(&candidates, route.preference);
        let mut ranked: Vec<_> = offers.iter().zip(scores).collect();
        ranked.sort_by(|(_, a), (_, b)| b.total.total_cmp(&a.total));
        ranked
    }

    /// Assembles and simulates in parallel, and binds each quote with its id.
    async fn finish(&self, route: &Route, ranked: Vec<(&Checked, Score)>) -> Vec<Quote> {
        if ranked.is_empty() {
            return Vec::new();
        }
        let gas_price = self.origins.gas_price(route.origin).await;
        let finishing = ranked.into_iter().map(|ranked| async move {
            let offer = &ranked.0.offer;
            let account = match self.config.assembly.spender(route, offer) {
                Some(spender) => self.origins.account(route, spender).await,
                None => None,
            };
            let known = account.map(|(account, _)| account);
            let mut quote = self.bind(ranked, route, known)?;
            if let (Some(client), Some(known)) = (self.client(route.origin), known) {
                assembly::simulate(client, known, offer, &mut quote.steps).await;
            }
            self.add_origin(&mut quote, route, offer, gas_price, account);
            Some(quote)
        });
        future::join_all(finishing).await.into_iter().flatten().collect()
    }

    /// Adds what only the origin chain knows, and how old that is.
    fn add_origin(
        &self,
        quote: &mut Quote,
        route: &Route,
        offer: &Offer,
        gas_price: Option<Known<u128>>,
        account: Option<Known<Account>>,
    ) {
        quote.cached.extend(account.and_then(|(_, age)| age));
        let gas = self.config.assembly.gas(route, offer, &quote.steps);
        if let (Some(gas), Some((price, age))) = (gas, gas_price) {
            let native = self.config.book.token(route.origin.0, Default::default());
            quote.fees.push(fees::origin_gas(route.origin.0, native, gas, price));
            quote.cached.extend(age);
        }
    }

    /// The quote of an offer: assembled, and bound with its id. `None` as [`Assembly::assemble`].
    fn bind(
        &self,
        (checked, score): (&Checked, Score),
        route: &Route,
        account: Option<Account>,
    ) -> Option<Quote> {
        let Checked { provider, offer, .. } = checked;
        let assembled = self.config.assembly.assemble(route, offer, account)?;
        let mut quote = Quote {
            id: String::new(),
            provider: provider.clone(),
            solver: offer.solver.clone(),
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
            fees: fees::included(route, offer),
            time: checked.time(),
            security: offer.security.clone(),
            liquidity: Liquidity { available: offer.liquidity.map(Into::into) },
            expires_at: offer.expires_at,
            order_id: assembled.order_id,
            steps: assembled.steps,
            score,
            cached: offer.cached.into_iter().collect(),
        };
        quote.id = self.ids.sign(&quote);
        Some(quote)
    }
}

impl Checked {
    /// How long it takes: what the provider says, corrected by how long its orders took.
    fn time(&self) -> TimeEstimate {
        let stated = self.offer.seconds;
        match self.outcomes.measured_ratio() {
            Some(ratio) => {
                let seconds = (stated.max(1) as f64 * ratio).round().max(1.0) as u64;
                TimeEstimate { seconds, basis: TimeBasis::Measured, stated }
            }
            None => TimeEstimate { seconds: stated, basis: TimeBasis::Provider, stated },
        }
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
