use std::{
    sync::{Arc, OnceLock},
    time::{Duration, Instant},
};

use api::aggregator::{Cached, CachedPart, UnavailableReason};
use futures::future::{self, join, join_all};
use metrics::{Counter, Histogram};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use super::{Attempt, Breaker, BreakerConfig, Decline, Offer, Provider};
use crate::{cache::Cache, quoting::Route};

/// How often a provider that is left alone is looked at. That costs nothing: it asks nobody.
const LOOK: Duration = Duration::from_millis(100);

/// The providers that can be asked, each behind its breaker.
#[derive(Clone, Debug)]
pub struct Providers {
    entries: Arc<[Arc<Entry>]>,
}

/// How providers are asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asking {
    /// When one is left alone.
    pub breaker: BreakerConfig,
    /// Questions to one provider at once; more wait their turn until their deadline.
    pub at_once: usize,
    /// How long offers are kept.
    pub keep: Duration,
}

impl Default for Asking {
    /// As many questions at once as the server works on requests.
    fn default() -> Self {
        Self { breaker: BreakerConfig::default(), at_once: 1_024, keep: Duration::ZERO }
    }
}

/// One provider and its breaker.
#[derive(Debug)]
pub struct Entry {
    /// Who is asked.
    pub provider: Arc<dyn Provider>,
    /// Whether it is asked now.
    pub breaker: Arc<Breaker>,
    /// Places for questions to it.
    places: Semaphore,
    /// Offers that may be given out again, by fingerprint of the route.
    offers: Cache<[u8; 32], Vec<Offer>>,
    meters: OnceLock<[Meter; 3]>,
}

/// What is counted of one kind of outcome.
#[derive(Debug)]
struct Meter {
    answers: Counter,
    seconds: Histogram,
}

/// Two providers have one name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("two providers are called {name:?}: names must differ")]
pub struct DuplicateProvider {
    /// The name.
    pub name: String,
}

impl Providers {
    /// A registry of these, in this order.
    ///
    /// # Errors
    /// [`DuplicateProvider`]: answers and reputations go by name.
    pub fn new(
        providers: Vec<Arc<dyn Provider>>,
        asking: Asking,
    ) -> Result<Self, DuplicateProvider> {
        for (index, provider) in providers.iter().enumerate() {
            if providers.iter().take(index).any(|earlier| earlier.name() == provider.name()) {
                return Err(DuplicateProvider { name: provider.name().to_owned() });
            }
        }
        let entry = |provider| {
            Arc::new(Entry {
                provider,
                breaker: Arc::new(Breaker::new(asking.breaker)),
                places: Semaphore::new(asking.at_once),
                offers: Cache::new(CachedPart::Offer, asking.keep),
                meters: OnceLock::new(),
            })
        };
        Ok(Self { entries: providers.into_iter().map(entry).collect() })
    }

    /// Every provider.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Arc<Entry>> {
        self.entries.iter()
    }

    /// Lets providers back in as soon as they are back, until `shutdown`.
    pub async fn watch(self, shutdown: CancellationToken) {
        let watching = join_all(self.entries.iter().map(|entry| entry.watch()));
        shutdown.run_until_cancelled(watching).await;
        // Those of which nothing can be seen are not watched.
        shutdown.cancelled().await;
    }

    /// The provider in this place of the order.
    pub(crate) fn get(&self, index: usize) -> Option<&Arc<Entry>> {
        self.entries.get(index)
    }
}

impl Entry {
    /// Why the provider is not asked for this route, if it is not.
    pub(crate) fn unasked(&self, route: &Route) -> Option<Decline> {
        let name = self.provider.name();
        if !route.providers.is_empty() && !route.providers.iter().any(|wanted| wanted == name) {
            return Some(Decline::new(UnavailableReason::Filtered, "the request excludes it"));
        }
        (!self.provider.serves(route)).then(|| {
            Decline::new(UnavailableReason::NoRoute, "it does not serve these chains and tokens")
        })
    }

    /// Offers for a route of this fingerprint that are fresh enough to be given out again.
    pub(crate) fn kept(&self, route: &[u8; 32], now: Instant) -> Option<Vec<Offer>> {
        if !self.provider.may_be_kept() {
            return None;
        }
        let (mut offers, age) = self.offers.get(route, now)?;
        offers.iter_mut().for_each(|offer| offer.cached = Some(age));
        Some(offers)
    }

    /// Keeps offers that were asked at `now`, when they may be.
    pub(crate) fn keep(&self, route: [u8; 32], offers: &[Offer], now: Instant) {
        if self.may_keep() {
            self.offers.put(route, offers.to_vec(), now);
        }
    }

    /// The age of offers that were just asked, when they may be given out again.
    pub(crate) fn fresh(&self) -> Option<Cached> {
        self.may_keep().then(|| self.offers.fresh())
    }

    fn may_keep(&self) -> bool {
        !self.offers.lifetime().is_zero() && self.provider.may_be_kept()
    }

    /// Lets the provider back in when those behind it are asked again.
    async fn watch(&self) {
        if self.provider.would_ask().is_none() {
            return self.provider.watch().await;
        }
        let would_ask = || future::ready(self.provider.would_ask().unwrap_or_default());
        join(self.breaker.watch(LOOK, would_ask), self.provider.watch()).await;
    }

    /// Leave to ask now, for an answer by `until`.
    pub(crate) fn attempt(&self, now: Instant, until: Instant) -> Result<Attempt, Decline> {
        self.breaker.attempt(now, until).map_err(|wait| {
            let message =
                format!("it failed too often and is asked again in {} ms", wait.as_millis());
            Decline::new(UnavailableReason::CircuitOpen, message)
        })
    }

    /// Asks, in its turn, and reports how it went.
    pub(crate) async fn ask(
        &self,
        route: &Route,
        attempt: Attempt,
        until: Instant,
    ) -> Result<Vec<Offer>, Decline> {
        let Ok(place) = tokio::time::timeout_at(until.into(), self.places.acquire()).await else {
            // It was not asked: the breaker is told nothing, or that a probe is still due.
            attempt.unused();
            let message = "all places for questions to it were taken until the deadline";
            return Err(Decline::new(UnavailableReason::Busy, message));
        };
        let budget = until.saturating_duration_since(Instant::now());
        let outcome = self.provider.offers(route, budget).await;
        drop(place);
        if outcome.as_ref().is_err_and(Decline::is_failure) {
            attempt.failed();
        } else {
            attempt.succeeded();
        }
        outcome
    }

    /// Counts an answer.
    pub(crate) fn observe(&self, outcome: &Result<Vec<Offer>, Decline>, elapsed: Duration) {
        let [offers, failures, declines] = self.meters.get_or_init(|| {
            ["offer", "failure", "decline"].map(|outcome| Meter::new(self.provider.name(), outcome))
        });
        let meter = match outcome {
            Ok(_) => offers,
            Err(decline) if decline.is_failure() => failures,
            Err(_) => declines,
        };
        meter.answers.increment(1);
        meter.seconds.record(elapsed.as_secs_f64());
    }
}

impl Meter {
    fn new(provider: &str, outcome: &'static str) -> Self {
        let labels = [("provider", provider.to_owned()), ("outcome", outcome.into())];
        Self {
            answers: metrics::counter!("metalayer_aggregator_provider_answers_total", &labels),
            seconds: metrics::histogram!("metalayer_aggregator_provider_seconds", &labels),
        }
    }
}
