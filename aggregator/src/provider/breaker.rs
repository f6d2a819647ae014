use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// Stops asking a provider that keeps failing, and tries it again with one request now and then.
///
/// A hanging provider counts: an attempt that is dropped before it reports (the request's deadline
/// passed) is a failure.
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

/// Leave to ask a provider once. Report how it went, or drop it: that is a failure.
#[derive(Debug)]
#[must_use = "dropping an attempt counts as a failure"]
pub struct Attempt<'a> {
    breaker: &'a Breaker,
    reported: bool,
}

impl Breaker {
    /// A closed breaker.
    pub const fn new(config: BreakerConfig) -> Self {
        Self { config, state: Mutex::new(State::Closed { failures: 0 }) }
    }

    /// Leave to ask now, or how long until the next try.
    pub fn attempt(&self, now: Instant) -> Result<Attempt<'_>, Duration> {
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
        Ok(Attempt { breaker: self, reported: false })
    }

    /// Whether requests go through as usual.
    pub fn is_closed(&self) -> bool {
        matches!(*self.state.lock(), State::Closed { .. })
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

impl Attempt<'_> {
    /// The provider answered, be it with a quote or with a reason for none.
    pub fn succeeded(mut self) {
        self.reported = true;
        self.breaker.record(true, Instant::now());
    }

    /// The question was taken back before its time was over: says nothing about the provider, but
    /// a probe that is taken back leaves the breaker open.
    pub fn withdrawn(mut self) {
        let mut state = self.breaker.state.lock();
        if matches!(*state, State::Probing { .. }) {
            *state = State::Open { until: Instant::now() };
        }
        drop(state);
        self.reported = true;
    }
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        if !self.reported {
            self.breaker.record(false, Instant::now());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONFIG: BreakerConfig = BreakerConfig { failures: 3, open_for: Duration::from_secs(60) };

    fn fail(breaker: &Breaker, times: u32) {
        for _ in 0..times {
            drop(breaker.attempt(Instant::now()).unwrap());
        }
    }

    #[test]
    fn it_opens_after_failures_in_a_row_and_a_success_starts_over() {
        let breaker = Breaker::new(CONFIG);
        fail(&breaker, 2);
        breaker.attempt(Instant::now()).unwrap().succeeded();
        fail(&breaker, 2);
        assert!(breaker.is_closed());
        fail(&breaker, 1);
        assert!(breaker.attempt(Instant::now()).is_err());
    }

    #[test]
    fn one_probe_decides() {
        let breaker = Breaker::new(CONFIG);
        fail(&breaker, 3);
        let later = Instant::now() + CONFIG.open_for;
        let probe = breaker.attempt(later).unwrap();
        assert!(breaker.attempt(later).is_err(), "one at a time");
        probe.succeeded();
        assert!(breaker.is_closed());

        fail(&breaker, 3);
        drop(breaker.attempt(Instant::now() + CONFIG.open_for).unwrap());
        assert!(breaker.attempt(Instant::now()).is_err(), "a failed probe opens it again");
    }

    #[test]
    fn a_question_taken_back_counts_neither_way() {
        let breaker = Breaker::new(CONFIG);
        for _ in 0..9 {
            breaker.attempt(Instant::now()).unwrap().withdrawn();
        }
        assert!(breaker.is_closed());
        fail(&breaker, 3);
        breaker.attempt(Instant::now() + CONFIG.open_for).unwrap().withdrawn();
        assert!(!breaker.is_closed());
        breaker.attempt(Instant::now()).unwrap().succeeded();
        assert!(breaker.is_closed());
    }

    #[test]
    fn a_lost_probe_does_not_block_for_ever() {
        let breaker = Breaker::new(CONFIG);
        fail(&breaker, 3);
        let later = Instant::now() + CONFIG.open_for;
        std::mem::forget(breaker.attempt(later).unwrap());
        assert!(breaker.attempt(later + CONFIG.open_for).is_ok());
    }
}
