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
pub(crate) const LIFE: Duration = Duration::from_secs(24 * 3_600);

/// Origin, destination and tier of a proof.
pub(crate) type Lane = (ChainId, ChainId, Tier);

/// One time as it was measured, to be kept over restarts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Measurement {
    /// Origin, destination and tier.
    pub(crate) lane: Lane,
    /// Which of its lane's remembered times it is: a newer one takes its place.
    pub(crate) slot: u64,
    /// From the fill to the proof.
    pub(crate) took: Duration,
    /// When it was measured (unix milliseconds).
    pub(crate) at: u64,
}

/// Times from fill to proof, or from the last proof message of a batch, of every lane and tier.
#[derive(Debug, Default)]
pub(crate) struct Latencies(Mutex<HashMap<Lane, Window>>);

impl Latencies {
    /// Takes note of the time that a proof took from its fill, seen at a moment (unix milliseconds) that is now.
    pub(crate) fn record(&self, lane: Lane, took: Duration, at: u64) -> Measurement {
        let now = Instant::now();
        let (slot, slowest) = {
            let mut windows = self.0.lock();
            let window = windows.entry(lane).or_default();
            (window.record(now, took), window.slowest(now))
        };
        tell(lane, slowest);
        Measurement { lane, slot, took, at }
    }

    /// Takes up what earlier processes have measured, oldest first. `at` is now (unix milliseconds).
    pub(crate) fn restore(&self, measured: &[Measurement], at: u64) {
        let now = Instant::now();
        let mut windows = self.0.lock();
        for measurement in measured {
            let age = Duration::from_millis(at.saturating_sub(measurement.at));
            let window = windows.entry(measurement.lane).or_default();
            window.next = measurement.slot;
            // Where the clock does not reach back so far, it counts from now on.
            window.record(now.checked_sub(age).unwrap_or(now), measurement.took);
        }
        for (lane, window) in windows.iter() {
            tell(*lane, window.slowest(now));
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

/// Shows what counts on a lane, once enough is known.
fn tell((origin, destination, tier): Lane, slowest: Option<Duration>) {
    let Some(slowest) = slowest else { return };
    metrics::gauge!(
        "solver_proof_latency_seconds",
        "origin" => origin.to_string(), "destination" => destination.to_string(),
        "tier" => tier.to_string()
    )
    .set(slowest.as_secs_f64());
}

/// The last times of one lane and tier, oldest first, each with when it was measured.
#[derive(Debug, Default)]
struct Window {
    times: VecDeque<(Instant, Duration)>,
    /// Slot of the next time.
    next: u64,
    /// Of the times as of the newest one: every decision asks for it, and each would sort them.
    slowest: Option<Duration>,
}

impl Window {
    /// Takes a time in, and says which slot it has.
    fn record(&mut self, now: Instant, took: Duration) -> u64 {
        let slot = self.next;
        self.next = (slot + 1) % REMEMBERED as u64;
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
        slot
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
    fn a_restart_takes_up_what_was_measured_and_goes_on_in_the_next_slot() {
        let lane = (ChainId(1), ChainId(2), Tier::Instant);
        let before = Latencies::default();
        let kept: Vec<_> = (0..300).map(|at| before.record(lane, seconds(at % 50), at)).collect();
        let slots: Vec<_> = kept.iter().map(|measurement| measurement.slot).collect();
        assert_eq!((slots[0], slots[255], slots[256], slots[299]), (0, 255, 0, 43));
        // Newer ones have taken the place of the first 44.
        let kept = &kept[44..];
        let after = Latencies::default();
        after.restore(kept, 300);
        let times = |latencies: &Latencies| -> Vec<_> {
            let windows = latencies.0.lock();
            windows[&lane].times.iter().map(|(_, took)| *took).collect()
        };
        assert_eq!(times(&after), times(&before));
        assert_eq!(after.record(lane, seconds(1), 301).slot, 44);
        let late = Latencies::default();
        late.restore(kept, 300 + u64::try_from(LIFE.as_millis()).unwrap());
        assert_eq!(late.0.lock()[&lane].slowest(Instant::now()), None, "a day later it is history");
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
            latencies.record((a, b, Tier::Instant), seconds(20), 0);
            latencies.record((b, a, Tier::Finalized), seconds(20), 0);
        }
        let raised = TierConfig { instant: seconds(20), ..configured };
        assert_eq!(latencies.raise(configured, |_, _| true), raised);
        assert_eq!(latencies.raise(configured, |origin, _| origin == a), raised);
        assert_eq!(latencies.raise(configured, |origin, _| origin == b), configured);
    }
}
