use std::{sync::Arc, time::Instant};

use api::aggregator::UnavailableReason;

use super::{Breaker, BreakerConfig, Decline, Provider};
use crate::quoting::Route;

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
    ) -> Result<Self, DuplicateProvider> {
        for (index, provider) in providers.iter().enumerate() {
            if providers.iter().take(index).any(|earlier| earlier.name() == provider.name()) {
                return Err(DuplicateProvider { name: provider.name().to_owned() });
            }
        }
        let entry = |provider| Entry { provider, breaker: Breaker::new(breaker) };
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

    /// Leave to ask now.
    pub(crate) fn attempt(&self) -> Result<super::Attempt<'_>, Decline> {
        self.breaker.attempt(Instant::now()).map_err(|wait| {
            let message =
                format!("it failed too often and is asked again in {} ms", wait.as_millis());
            Decline::new(UnavailableReason::CircuitOpen, message)
        })
    }
}
