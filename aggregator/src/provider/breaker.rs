use std::{
    future::Future,
    sync::Arc,
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use tokio::sync::Notify;

/// Stops asking a provider that keeps failing, and tries it again with one request now and then.
///
/// A hanging provider counts: an attempt that is dropped without a report after its time is over is
/// a failure. Dropped before, it says nothing: the one who asked has gone.
///
/// A provider that was seen to be away and then to be there is tried at once (`watch`). One
/// that was there all the time, and fails or hangs, waits until its time is over.
#[derive(Debug)]
pub struct Breaker {
    config: BreakerConfig,
    state: Mutex<State>,
    opened: Notify,
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
        /// Whether the provider was seen to be away since.
        away: bool,
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
        let state = Mutex::new(State::Closed { failures: 0 });
        Self { config, state, opened: Notify::const_new() }
    }

    /// Leave to ask now for an answer by `until`, or how long until the next try.
    pub fn attempt(self: &Arc<Self>, now: Instant, until: Instant) -> Result<Attempt, Duration> {
        let mut state = self.state.lock();
        match *state {
            State::Closed { .. } => {}
            State::Open { until, .. } if now >= until => *state = State::Probing { since: now },
            State::Open { until, .. } => return Err(until.saturating_duration_since(now)),
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

    /// Whether an attempt would be let through now.
    pub fn would_ask(&self, now: Instant) -> bool {
        match *self.state.lock() {
            State::Closed { .. } => true,
            State::Open { until, .. } => now >= until,
            State::Probing { .. } => false,
        }
    }

    /// Looks for the provider whenever it is left alone, at once and then with pauses, and lets the
    /// next attempt through when it is back. Never ends.
    pub(super) async fn watch<F>(&self, pause: Duration, is_there: impl Fn() -> F)
    where
        F: Future<Output = bool>,
    {
        loop {
            self.opened.notified().await;
            while self.is_waiting(Instant::now()) {
                self.seen(is_there().await, Instant::now());
                tokio::time::sleep(pause).await;
            }
        }
    }

    fn is_waiting(&self, now: Instant) -> bool {
        matches!(*self.state.lock(), State::Open { until, .. } if now < until)
    }

    /// Takes in whether the provider is there. Only one that comes back is tried before its time.
    fn seen(&self, is_there: bool, now: Instant) {
        if let State::Open { until, away } = &mut *self.state.lock() {
            match is_there {
                true if *away => *until = now.min(*until),
                true => {}
                false => *away = true,
            }
        }
    }

    /// A question was taken back before its time was over: says nothing about the provider, but a
    /// probe that is taken back leaves the breaker open.
    fn withdrawn(&self, now: Instant) {
        let mut state = self.state.lock();
        if matches!(*state, State::Probing { .. }) {
            *state = State::Open { until: now, away: false };
        }
    }

    fn record(&self, success: bool, now: Instant) {
        let mut state = self.state.lock();
        *state = match (*state, success) {
            (_, true) => State::Closed { failures: 0 },
            (State::Closed { failures }, false) if failures + 1 < self.config.failures => {
                State::Closed { failures: failures + 1 }
            }
            (before, false) => {
                self.opened.notify_one();
                // An answer that was still awaited when the breaker opened takes nothing back.
                let away = matches!(before, State::Open { away: true, .. });
                State::Open { until: now + self.config.open_for, away }
            }
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
    use std::{
        future,
        sync::atomic::{AtomicU32, Ordering::Relaxed},
    };

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
    fn who_comes_back_is_tried_before_its_time_and_who_was_there_is_not() {
        let breaker = breaker();
        fail(&breaker, 3);
        breaker.seen(true, Instant::now());
        assert!(!breaker.would_ask(Instant::now()), "it was there while it failed");
        breaker.seen(false, Instant::now());
        assert!(!breaker.would_ask(Instant::now()));
        breaker.seen(true, Instant::now());
        attempt(&breaker, Instant::now()).unwrap().failed();
        breaker.seen(true, Instant::now());
        assert!(attempt(&breaker, Instant::now()).is_err(), "it failed again while it was there");
    }

    #[tokio::test]
    async fn a_watch_looks_while_the_breaker_is_open_and_not_otherwise() {
        let (breaker, looks) = (breaker(), AtomicU32::new(0));
        // Away at the first two looks, there from then on.
        let look = || future::ready(looks.fetch_add(1, Relaxed) >= 2);
        let watching = breaker.watch(Duration::ZERO, look);
        let trying = async {
            for _ in 0..9 {
                tokio::task::yield_now().await;
            }
            assert_eq!(looks.load(Relaxed), 0);
            fail(&breaker, 3);
            loop {
                match attempt(&breaker, Instant::now()) {
                    Ok(attempt) => break attempt.succeeded(),
                    Err(_) => tokio::task::yield_now().await,
                }
            }
        };
        tokio::select! {
            () = watching => unreachable!("it never ends"),
            () = trying => {}
        }
        assert_eq!(looks.load(Relaxed), 3);
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
