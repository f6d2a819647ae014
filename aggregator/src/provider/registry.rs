use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use api::aggregator::{CachedPart, UnavailableReason};

use super::{Breaker, BreakerConfig, Decline, Offer, Provider};
use crate::{cache::Cache, quoting::Route};

/// The providers that can be asked, each behind its breaker.
#[derive(Clone, Debug)]
pub struct Providers {
    entries: Arc<[Entry]>,
}

/// One provider and its breaker.
#[derive(Debug)]
pub struct Entry {
    /// Who is asked.
    pub provider: Arc<dyn Provider>,
    /// Whether it is asked now.
    pub breaker: Breaker,
    /// Offers that may be given out again, by fingerprint of the route.
    offers: Cache<[u8; 32], Vec<Offer>>,
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
        breaker: BreakerConfig,
        keep_offers: Duration,
    ) -> Result<Self, DuplicateProvider> {
        for (index, provider) in providers.iter().enumerate() {
            if providers.iter().take(index).any(|earlier| earlier.name() == provider.name()) {
                return Err(DuplicateProvider { name: provider.name().to_owned() });
            }
        }
        let entry = |provider| Entry {
            provider,
            breaker: Breaker::new(breaker),
            offers: Cache::new(CachedPart::Offer, keep_offers),
        };
        Ok(Self { entries: providers.into_iter().map(entry).collect() })
    }

    /// Every provider.
    pub fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter()
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
        if self.provider.may_be_kept() {
            self.offers.put(route, offers.to_vec(), now);
        }
    }

    /// Leave to ask now.
    pub(crate) fn attempt(&self) -> Result<super::Attempt<'_>, Decline> {
        self.breaker.attempt(Instant::now()).map_err(|wait| {
            let message =
                format!("it failed too often and is asked again in {} ms", wait.as_millis());
            Decline::new(UnavailableReason::CircuitOpen, message)
        })
    }
}
