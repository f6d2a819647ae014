use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use parking_lot::Mutex;

/// Stops asking a provider that keeps failing, and tries it again with one request now and then.
///
/// A hanging provider counts: an attempt that is dropped without a report after its time is over is
/// a failure. Dropped before, it says nothing: the one who asked has gone.
#[derive(Debug)]
pub struct Breaker {
    config: BreakerConfig,
    state: Mutex<State>,
}

/// When a breaker opens, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BreakerConfig {
    /// Failures in a row that open it.
    pub failures: u32,
    /// How long it stays open before one attempt is let through.
    pub open_for: Duration,
}

impl Default for BreakerConfig {
    /// Five failures in a row are no accident; ten seconds is what a restart takes.
    fn default() -> Self {
        Self { failures: 5, open_for: Duration::from_secs(10) }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Closed {
        failures: u32,
    },
    Open {
        until: Instant,
    },
    /// One attempt is under way that decides. It was let through at this time.
    Probing {
        since: Instant,
    },
}

/// Leave to ask a provider once. Report how it went; dropped after its time was over, it counts as
/// a failure.
#[derive(Debug)]
#[must_use = "an attempt that is not reported may count as a failure"]
pub struct Attempt {
    breaker: Arc<Breaker>,
    until: Instant,
    reported: bool,
}

impl Breaker {
    /// A closed breaker.
    pub const fn new(config: BreakerConfig) -> Self {
        Self { config, state: Mutex::new(State::Closed { failures: 0 }) }
    }

    /// Leave to ask now for an answer by `until`, or how long until the next try.
    pub fn attempt(self: &Arc<Self>, now: Instant, until: Instant) -> Result<Attempt, Duration> {
        let mut state = self.state.lock();
        match *state {
            State::Closed { .. } => {}
            State::Open { until } if now >= until => *state = State::Probing { since: now },
            State::Open { until } => return Err(until.saturating_duration_since(now)),
            // A probe whose task died without dropping its attempt must not block for ever.
            State::Probing { since } if now >= since + self.config.open_for => {
                *state = State::Probing { since: now };
            }
            State::Probing { since } => {
                return Err((since + self.config.open_for).saturating_duration_since(now));
            }
        }
        drop(state);
        Ok(Attempt { breaker: Arc::clone(self), until, reported: false })
    }

    /// Whether requests go through as usual.
    pub fn is_closed(&self) -> bool {
        matches!(*self.state.lock(), State::Closed { .. })
    }

    /// A question was taken back before its time was over: says nothing about the provider, but a
    /// probe that is taken back leaves the breaker open.
    fn withdrawn(&self, now: Instant) {
        let mut state = self.state.lock();
        if matches!(*state, State::Probing { .. }) {
            *state = State::Open { until: now };
        }
    }

    fn record(&self, success: bool, now: Instant) {
        let mut state = self.state.lock();
        *state = match (*state, success) {
            (_, true) => State::Closed { failures: 0 },
            (State::Closed { failures }, false) if failures + 1 < self.config.failures => {
                State::Closed { failures: failures + 1 }
            }
            (_, false) => State::Open { until: now + self.config.open_for },
        };
    }
}

impl Attempt {
    /// The provider answered, be it with a quote or with a reason for none.
    pub fn succeeded(mut self) {
        self.reported = true;
        self.breaker.record(true, Instant::now());
    }

    /// The provider was not asked after all.
    pub fn unused(mut self) {
        self.reported = true;
        self.breaker.withdrawn(Instant::now());
    }

    /// The provider failed.
    pub fn failed(mut self) {
        self.reported = true;
        self.breaker.record(false, Instant::now());
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        let now = Instant::now();
        match (self.reported, now >= self.until) {
            (true, _) => {}
            (false, true) => self.breaker.record(false, now),
            (false, false) => self.breaker.withdrawn(now),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONFIG: BreakerConfig = BreakerConfig { failures: 3, open_for: Duration::from_secs(60) };

    fn breaker() -> Arc<Breaker> {
        Arc::new(Breaker::new(CONFIG))
    }

    /// An attempt with time left.
    fn attempt(breaker: &Arc<Breaker>, now: Instant) -> Result<Attempt, Duration> {
        breaker.attempt(now, now + CONFIG.open_for)
    }

    fn fail(breaker: &Arc<Breaker>, times: u32) {
        for _ in 0..times {
            attempt(breaker, Instant::now()).unwrap().failed();
        }
    }

    #[test]
    fn it_opens_after_failures_in_a_row_and_a_success_starts_over() {
        let breaker = breaker();
        fail(&breaker, 2);
        attempt(&breaker, Instant::now()).unwrap().succeeded();
        fail(&breaker, 2);
        assert!(breaker.is_closed());
        fail(&breaker, 1);
        assert!(attempt(&breaker, Instant::now()).is_err());
    }

    #[test]
    fn one_probe_decides() {
        let breaker = breaker();
        fail(&breaker, 3);
        let later = Instant::now() + CONFIG.open_for;
        let probe = attempt(&breaker, later).unwrap();
        assert!(attempt(&breaker, later).is_err(), "one at a time");
        probe.succeeded();
        assert!(breaker.is_closed());

        fail(&breaker, 3);
        attempt(&breaker, Instant::now() + CONFIG.open_for).unwrap().failed();
        assert!(attempt(&breaker, Instant::now()).is_err(), "a failed probe opens it again");
    }

    #[test]
    fn hanging_until_the_end_is_a_failure() {
        let (breaker, now) = (breaker(), Instant::now());
        for _ in 0..3 {
            drop(breaker.attempt(now, now).unwrap());
        }
        assert!(!breaker.is_closed());
    }

    #[test]
    fn a_question_taken_back_counts_neither_way() {
        let breaker = breaker();
        for _ in 0..9 {
            drop(attempt(&breaker, Instant::now()).unwrap());
        }
        assert!(breaker.is_closed());
        fail(&breaker, 3);
        drop(attempt(&breaker, Instant::now() + CONFIG.open_for).unwrap());
        assert!(!breaker.is_closed());
        attempt(&breaker, Instant::now()).unwrap().succeeded();
        assert!(breaker.is_closed());
    }

    #[test]
    fn a_lost_probe_does_not_block_for_ever() {
        let breaker = breaker();
        fail(&breaker, 3);
        let later = Instant::now() + CONFIG.open_for;
        std::mem::forget(attempt(&breaker, later).unwrap());
        assert!(attempt(&breaker, later + CONFIG.open_for).is_ok());
    }
}
