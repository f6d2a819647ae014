//! Answers that are kept for a stated while.

use std::{
    hash::Hash,
    num::NonZeroUsize,
    time::{Duration, Instant},
};

use api::aggregator::{Cached, CachedPart};
use lru::LruCache;
use parking_lot::Mutex;

/// Most entries of one cache: some megabytes of the largest offers.
const CAPACITY: NonZeroUsize = NonZeroUsize::new(4_096).unwrap();

/// How long what is kept. Zero keeps nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lifetimes {
    /// Offers of providers whose offers hold nothing for the one who asked.
    pub offers: Duration,
    /// Gas prices.
    pub gas_prices: Duration,
    /// Balances and allowances of senders.
    pub accounts: Duration,
}

impl Default for Lifetimes {
    /// Offers for as long as a page asks again while its user types, gas prices for a few blocks,
    /// accounts for less than it takes to sign.
    fn default() -> Self {
        Self {
            offers: Duration::from_secs(2),
            gas_prices: Duration::from_secs(5),
            accounts: Duration::from_secs(1),
        }
    }
}

/// Values of one kind, each kept for the same time, the least used dropped first.
#[derive(Debug)]
pub struct Cache<K: Hash + Eq, V> {
    part: CachedPart,
    lifetime: Duration,
    entries: Mutex<LruCache<K, (Instant, V)>>,
}

impl<K: Hash + Eq, V: Clone> Cache<K, V> {
    /// An empty cache.
    pub fn new(part: CachedPart, lifetime: Duration) -> Self {
        Self { part, lifetime, entries: Mutex::new(LruCache::new(CAPACITY)) }
    }

    /// How long values are kept.
    pub const fn lifetime(&self) -> Duration {
        self.lifetime
    }

    /// The age of a value that was just asked.
    pub fn fresh(&self) -> Cached {
        Cached { part: self.part, age_ms: 0, lifetime_ms: millis(self.lifetime) }
    }

    /// What is kept under the key, and how old it is.
    pub fn get(&self, key: &K, now: Instant) -> Option<(V, Cached)> {
        if self.lifetime.is_zero() {
            return None;
        }
        let mut entries = self.entries.lock();
        let (since, value) = entries.get(key)?;
        let age = now.saturating_duration_since(*since);
        if age >= self.lifetime {
            entries.pop(key);
            return None;
        }
        let cached =
            Cached { part: self.part, age_ms: millis(age), lifetime_ms: millis(self.lifetime) };
        Some((value.clone(), cached))
    }

    /// Keeps a value that was asked at `now`.
    pub fn put(&self, key: K, value: V, now: Instant) {
        if !self.lifetime.is_zero() {
            self.entries.lock().put(key, (now, value));
        }
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_kept_for_their_lifetime_and_say_how_old_they_are() {
        let cache = Cache::new(CachedPart::Offer, Duration::from_secs(2));
        let begun = Instant::now();
        cache.put("a", 1, begun);
        let later = begun + Duration::from_millis(1_500);
        let cached = Cached { part: CachedPart::Offer, age_ms: 1_500, lifetime_ms: 2_000 };
        assert_eq!(cache.get(&"a", later), Some((1, cached)));
        assert_eq!(cache.get(&"b", later), None);
        assert_eq!(cache.get(&"a", begun + Duration::from_secs(2)), None);
    }

    #[test]
    fn a_lifetime_of_zero_keeps_nothing() {
        let cache = Cache::new(CachedPart::Offer, Duration::ZERO);
        let now = Instant::now();
        cache.put("a", 1, now);
        assert_eq!(cache.get(&"a", now), None);
    }
}
