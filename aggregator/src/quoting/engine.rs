use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use api::aggregator::{
    Cached, Leg, Liquidity, ProviderLimits, Quote, RouteLimit, Score, Simulation, Step, TimeBasis,
    TimeEstimate, Unavailable, UnavailableReason,
};
use chain::ChainClient;
use futures::future;
use protocol::ids::ChainId;
use service::clock::Clock;

use super::{
    Account, Assembly, Candidate, Keep, Patience, QuoteIds, Route, RouteLimits, Sanity,
    Simulations, ask,
    fan_out::Answer,
    fees,
    origin::{Known, Origins},
    score, security_strength,
    simulation::simulate,
};
use crate::{
    book::TokenBook,
    cache::Lifetimes,
    provider::{Decline, Entry, Offer, Providers},
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
    /// What may be moved on which routes.
    pub route_limits: RouteLimits,
    /// How offers become steps.
    pub assembly: Assembly,
    /// How many steps are simulated at once.
    pub simulations: Simulations,
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
    /// How long the whole of it may be given again; `None` when a part of it may not.
    pub keep: Option<Keep>,
}

/// An offer that passed every check.
struct Checked {
    entry: Arc<Entry>,
    offer: Offer,
    outcomes: Outcomes,
}

/// A quote, and everything in it that will be out of date one day.
struct Finished {
    quote: Quote,
    parts: Option<Vec<Cached>>,
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
        let origins = Origins::new(clients, config.lifetimes, config.simulations);
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
        self.origins.get(chain).map(|origin| &origin.client)
    }

    /// What may be moved on which routes.
    pub fn route_limits(&self) -> impl Iterator<Item = &RouteLimit> {
        self.config.route_limits.iter()
    }

    /// Asks, checks, ranks, assembles and simulates.
    pub async fn quote(&self, route: &Arc<Route>) -> Quoted {
        self.quote_each(route, None::<fn(Quote)>).await
    }

    /// As [`Self::quote`], and gives each quote that is better than all before it to `better` as it
    /// arrives. These are not simulated.
    pub async fn quote_as_they_come(
        &self,
        route: &Arc<Route>,
        better: impl FnMut(Quote),
    ) -> Quoted {
        self.quote_each(route, Some(better)).await
    }

    async fn quote_each(
        &self,
        route: &Arc<Route>,
        mut better: Option<impl FnMut(Quote)>,
    ) -> Quoted {
        let (start, mut best) = (Instant::now(), None);
        let amount = route.exact_input();
        if let Some(Err(decline)) = amount.map(|it| self.config.route_limits.check(route, it)) {
            return self.outside(route, &decline);
        }
        let heard = |answer: &Answer| {
            if let Some(better) = &mut better {
                self.better(route, answer, &mut best).into_iter().for_each(better);
            }
        };
        let answers = ask(&self.providers, route, self.config.patience, heard).await;
        let all = answers.iter().all(|answer| answer.outcome.is_ok() || !answer.concerned);
        let (offers, unavailable) = self.check(route, answers);
        let finished = self.finish(route, self.rank(route, offers)).await;
        let now = self.clock.unix();
        let mut parts = all.then(|| Vec::with_capacity(finished.len()));
        let mut quotes = Vec::with_capacity(finished.len());
        for Finished { quote, parts: of_quote } in finished {
            parts = parts.zip(of_quote).map(|(mut parts, of_quote)| {
                parts.push(of_quote);
                parts
            });
            quotes.push(quote);
        }
        let keep = parts.and_then(|parts| Keep::of(&quotes, parts, now));
        Quoted { quotes, unavailable, elapsed: start.elapsed(), keep }
    }

    /// The answer when the request breaks a limit of the route: nobody is asked.
    fn outside(&self, route: &Route, decline: &Decline) -> Quoted {
        let unavailable = self.providers.iter().map(|entry| {
            let decline = entry.unasked(route).unwrap_or_else(|| decline.clone());
            unavailable_because(entry, decline)
        });
        let unavailable = unavailable.collect();
        Quoted { quotes: Vec::new(), unavailable, elapsed: Duration::ZERO, keep: None }
    }

    /// The quotes of an answer that are better than the best so far.
    fn better(&self, route: &Route, answer: &Answer, best: &mut Option<f64>) -> Vec<Quote> {
        let (Ok(offers), now) = (&answer.outcome, self.clock.unix()) else { return Vec::new() };
        let mut quotes = Vec::new();
        for offer in offers {
            let net = net_output(route, offer);
            let sane = self.passes(answer.provider(), route, offer, now);
            if sane && best.is_none_or(|best| net > best) {
                *best = Some(net);
                let offered = vec![self.checked(&answer.entry, offer.clone(), now)];
                let ranked = self.rank(route, offered).into_iter();
                quotes.extend(
                    ranked.filter_map(|(checked, score)| self.bind(&checked, score, route, None)),
                );
            }
        }
        quotes
    }

    fn checked(&self, entry: &Arc<Entry>, offer: Offer, now: u64) -> Checked {
        let outcomes = self.reputations.of(entry.provider.name(), now);
        Checked { entry: Arc::clone(entry), offer, outcomes }
    }

    /// Whether an offer may be shown. Nothing is counted: that is done once, with the whole answer.
    fn passes(&self, provider: &str, route: &Route, offer: &Offer, now: u64) -> bool {
        self.config.sanity.check(provider, route, offer, now).is_ok()
            && self.config.route_limits.check(route, offer.amount_in).is_ok()
    }

    /// Why an offer is not shown, if it is not. Counts it.
    fn refusal(&self, provider: &str, route: &Route, offer: &Offer, now: u64) -> Option<Decline> {
        let suspicion = match self.config.sanity.check(provider, route, offer, now) {
            Ok(()) => return self.config.route_limits.check(route, offer.amount_in).err(),
            Err(suspicion) => suspicion,
        };
        tracing::warn!(provider, %suspicion, "offer refused");
        Some(suspicion.decline(provider))
    }

    /// Splits answers into offers that pass every check and reasons for the rest.
    fn check(&self, route: &Route, answers: Vec<Answer>) -> (Vec<Checked>, Vec<Unavailable>) {
        let (mut offers, mut unavailable) = (Vec::with_capacity(answers.len()), Vec::new());
        let now = self.clock.unix();
        for Answer { entry, outcome, .. } in answers {
            let offered = match outcome {
                Ok(offered) => offered,
                Err(decline) => {
                    unavailable.push(unavailable_because(&entry, decline));
                    continue;
                }
            };
            let (mut refused, mut passed) = (None, false);
            for offer in offered {
                match self.refusal(entry.provider.name(), route, &offer, now) {
                    None => {
                        passed = true;
                        offers.push(self.checked(&entry, offer, now));
                    }
                    refusal => refused = refusal,
                }
            }
            if !passed {
                let none = || Decline::new(UnavailableReason::NoRoute, "it offers nothing");
                unavailable.push(unavailable_because(&entry, refused.unwrap_or_else(none)));
            }
        }
        (self.without_outliers(route, offers, &mut unavailable), unavailable)
    }

    /// Takes out what is far better than all other providers offer, and names those that have nothing
    /// left. Only the whole answer shows it: quotes that are streamed were not compared.
    fn without_outliers(
        &self,
        route: &Route,
        offers: Vec<Checked>,
        unavailable: &mut Vec<Unavailable>,
    ) -> Vec<Checked> {
        // Several offers of one provider are no second opinion.
        let mut best = BTreeMap::<&str, f64>::new();
        for checked in &offers {
            let net = net_output(route, &checked.offer);
            let best = best.entry(checked.entry.provider.name()).or_insert(net);
            *best = best.max(net);
        }
        let suspicions: Vec<_> = offers
            .iter()
            .map(|Checked { entry, offer, .. }| {
                let others = best.iter().filter(|(name, _)| **name != entry.provider.name());
                let others: Vec<_> = others.map(|(_, net)| *net).collect();
                let (net, in_usd) = (net_output(route, offer), route.usd_in(offer.amount_in));
                self.config.sanity.check_spread(net, &others, in_usd).err()
            })
            .collect();
        let (mut kept, mut refused) = (Vec::with_capacity(offers.len()), Vec::new());
        for (checked, suspicion) in offers.into_iter().zip(suspicions) {
            match suspicion {
                None => kept.push(checked),
                Some(suspicion) => refused.push((checked.entry, suspicion)),
            }
        }
        for (entry, suspicion) in refused {
            let provider = entry.provider.name();
            tracing::warn!(provider, %suspicion, "offer refused");
            let decline = suspicion.decline(provider);
            let is_named = unavailable.iter().any(|named| named.provider == provider);
            if !is_named && !kept.iter().any(|kept| Arc::ptr_eq(&kept.entry, &entry)) {
                unavailable.push(unavailable_because(&entry, decline));
            }
        }
        kept
    }

    /// Scores the offers and puts the best first. Equal totals keep the order of the registry, so
    /// that the same offers always give the same ranking.
    fn rank(&self, route: &Route, offers: Vec<Checked>) -> Vec<(Checked, Score)> {
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
        let mut ranked: Vec<_> = offers.into_iter().zip(scores).collect();
        ranked.sort_by(|(_, a), (_, b)| b.total.total_cmp(&a.total));
        ranked
    }

    /// Assembles and simulates in parallel, and binds each quote with its id.
    async fn finish(&self, route: &Route, ranked: Vec<(Checked, Score)>) -> Vec<Finished> {
        if ranked.is_empty() {
            return Vec::new();
        }
        let gas_price = self.origins.gas_price(route.origin).await;
        let finishing = ranked.into_iter().map(async |(checked, score)| {
            let offer = &checked.offer;
            let account = match self.config.assembly.spender(route, offer) {
                Some(spender) => self.origins.account(route, spender).await,
                None => Err("nothing is known of the origin".into()),
            };
            let known = account.as_ref().ok().map(|known| known.value);
            let mut quote = self.bind(&checked, score, route, known)?;
            match (&account, self.origins.get(route.origin)) {
                (Ok(known), Some(origin)) => {
                    simulate(origin, known.value, offer, &mut quote.steps).await;
                }
                (Err(reason), _) => not_simulated(&mut quote.steps, reason),
                (Ok(_), None) => {}
            }
            let parts = self.add_origin(&mut quote, &checked, route, gas_price, account.ok());
            Some(Finished { quote, parts })
        });
        future::join_all(finishing).await.into_iter().flatten().collect()
    }

    /// Adds what only the origin chain knows, and how old that is. Returns all that the quote was
    /// made from, fresh or not, unless a part of it must not be given again.
    fn add_origin(
        &self,
        quote: &mut Quote,
        checked: &Checked,
        route: &Route,
        gas_price: Option<Known<u128>>,
        account: Option<Known<Account>>,
    ) -> Option<Vec<Cached>> {
        let offer = checked.offer.cached.or_else(|| checked.entry.fresh());
        let mut parts: Vec<_> = offer.into_iter().collect();
        if let Some(account) = account {
            quote.cached.extend(account.kept());
            parts.push(account.age);
        }
        let gas = self.config.assembly.gas(route, &checked.offer, &quote.steps);
        if let (Some(gas), Some(price)) = (gas, gas_price) {
            let native = self.config.book.token(route.origin.0, Default::default());
            let native = native.map(Arc::as_ref);
            quote.fees.push(fees::origin_gas(route.origin.0, native, gas, price.value));
            quote.cached.extend(price.kept());
            parts.push(price.age);
        }
        // Where the chain was to be asked and did not answer, it is asked again.
        let unread = route.sender.is_some() && self.client(route.origin).is_some();
        (offer.is_some() && (account.is_some() || !unread)).then_some(parts)
    }

    /// The quote of an offer: assembled, and bound with its id. `None` as [`Assembly::assemble`].
    fn bind(
        &self,
        checked: &Checked,
        score: Score,
        route: &Route,
        account: Option<Account>,
    ) -> Option<Quote> {
        let Checked { entry, offer, .. } = checked;
        let assembled = self.config.assembly.assemble(route, offer, account)?;
        let mut quote = Quote {
            id: String::new(),
            provider: entry.provider.name().to_owned(),
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
            fees: fees::of(route, offer),
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
    match (route.usd_in(offer.amount_in), route.usd_out(offer.amount_out)) {
        // With an exact output the input differs: what is saved on it counts as output.
        (Some(paid), Some(got)) if paid > 0.0 => {
            got / (paid + route.usd_native(offer.native_fee()).unwrap_or_default())
        }
        _ => amount_out / amount_in,
    }
}

fn unavailable_because(entry: &Entry, decline: Decline) -> Unavailable {
    Unavailable {
        provider: entry.provider.name().to_owned(),
        reason: decline.reason,
        message: decline.message,
        minimum: decline.minimum.map(Into::into),
        maximum: decline.maximum.map(Into::into),
    }
}

fn not_simulated(steps: &mut [Step], reason: &str) {
    for step in steps {
        if let Step::Transaction(step) = step {
            step.simulation = Simulation::Skipped { reason: reason.to_owned() };
        }
    }
}
