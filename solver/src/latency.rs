//! How long proofs take, as measured: what is configured may be no more than a hope.

use std::{
    collections::{HashMap, VecDeque},
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use protocol::{finality::Tier, ids::ChainId};

use crate::config::TierConfig;

/// Most proofs of one lane and tier that are remembered.
const REMEMBERED: usize = 256;

/// Fewer say too little of the slowest hundredth.
const ENOUGH: usize = 20;

/// What is older counts no more: an outage that is over must not hold orders back for ever.
const LIFE: Duration = Duration::from_secs(24 * 3_600);

/// Origin, destination and tier of a proof.
type Lane = (ChainId, ChainId, Tier);

/// Times from fill to proof, or from the last proof message of a batch, of every lane and tier.
#[derive(Debug, Default)]
pub(crate) struct Latencies(Mutex<HashMap<Lane, Window>>);

impl Latencies {
    /// Takes note of the time that a proof took from its fill.
    pub(crate) fn record(&self, lane: Lane, took: Duration) {
        let now = Instant::now();
        let slowest = {
            let mut windows = self.0.lock();
            let window = windows.entry(lane).or_default();
            window.record(now, took);
            window.slowest(now)
        };
        if let Some(slowest) = slowest {
            let (origin, destination, tier) = lane;
            metrics::gauge!(
                "solver_proof_latency_seconds",
                "origin" => origin.to_string(), "destination" => destination.to_string(),
                "tier" => tier.to_string()
            )
            .set(slowest.as_secs_f64());
        }
    }

    /// The configured times, raised to what has been measured on the lanes that `counts` picks by
    /// origin and destination.
    pub(crate) fn raise(
        &self,
        configured: TierConfig,
        counts: impl Fn(ChainId, ChainId) -> bool,
    ) -> TierConfig {
        let now = Instant::now();
        let windows = self.0.lock();
        let picked =
            windows.iter().filter(|((origin, destination, _), _)| counts(*origin, *destination));
        picked.fold(configured, |tiers, ((_, _, tier), window)| match window.slowest(now) {
            Some(slowest) => tiers.at_least(*tier, slowest),
            None => tiers,
        })
    }
}

/// The last times of one lane and tier, oldest first, each with when it was measured.
#[derive(Debug, Default)]
struct Window {
    times: VecDeque<(Instant, Duration)>,
    /// Of the times as of the newest one: every decision asks for it, and each would sort them.
    slowest: Option<Duration>,
}

impl Window {
    fn record(&mut self, now: Instant, took: Duration) {
        if self.times.len() == REMEMBERED {
            self.times.pop_front();
        }
        self.times.push_back((now, took));
        let fresh = self.times.iter().filter(|(at, _)| now.duration_since(*at) < LIFE);
        let mut times: Vec<Duration> = fresh.map(|(_, took)| *took).collect();
        times.sort_unstable();
        let within = (times.len() * 99).div_ceil(100);
        self.slowest =
            if times.len() < ENOUGH { None } else { times.get(within.saturating_sub(1)).copied() };
    }

    /// What all but the slowest hundredth stayed within; `None` while too little is known.
    fn slowest(&self, now: Instant) -> Option<Duration> {
        let (newest, _) = self.times.back()?;
        self.slowest.filter(|_| now.duration_since(*newest) < LIFE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn a_few_proofs_say_nothing() {
        let now = Instant::now();
        let mut window = Window::default();
        for _ in 1..ENOUGH {
            window.record(now, seconds(5));
        }
        assert_eq!(window.slowest(now), None);
        window.record(now, seconds(4));
        assert_eq!(window.slowest(now), Some(seconds(5)));
    }

    #[test]
    fn the_slowest_hundredth_does_not_count_and_what_is_old_goes() {
        let now = Instant::now();
        let mut window = Window::default();
        for took in 1..=100 {
            window.record(now, seconds(took));
        }
        assert_eq!(window.slowest(now), Some(seconds(99)));
        for _ in 0..REMEMBERED {
            window.record(now, seconds(7));
        }
        assert_eq!(window.slowest(now), Some(seconds(7)), "newer ones take the place of older");
        assert_eq!(window.times.len(), REMEMBERED);
        assert_eq!(window.slowest(now + LIFE), None, "a day later it says nothing");
    }

    #[test]
    fn measured_times_raise_the_configured_ones_of_their_lane_and_tier() {
        let latencies = Latencies::default();
        let configured = TierConfig {
            instant: seconds(10),
            finalized: seconds(30),
            pause: seconds(0),
            margin: seconds(1),
            fill: seconds(2),
        };
        let (a, b) = (ChainId(1), ChainId(2));
        for _ in 0..ENOUGH {
            latencies.record((a, b, Tier::Instant), seconds(20));
            latencies.record((b, a, Tier::Finalized), seconds(20));
        }
        let raised = TierConfig { instant: seconds(20), ..configured };
        assert_eq!(latencies.raise(configured, |_, _| true), raised);
        assert_eq!(latencies.raise(configured, |origin, _| origin == a), raised);
        assert_eq!(latencies.raise(configured, |origin, _| origin == b), configured);
    }
}
