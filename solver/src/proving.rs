//! When to prove: at once with the fill, or later together with others.
//!
//! A proof message costs a fixed part `B` (the message's fee and the gas of sending it, less what
//! one more pair would add) and every waiting second costs interest on the value that is out. With
//! fills arriving at a value rate of `a` dollars a second and capital costing `c` a second, a
//! batch every `T` seconds costs
//!
//! ```text
//! cost per second = B / T + c · a · T / 2
//! ```
//!
//! which is least at `T* = sqrt(2 · B / (c · a))`, the economic order quantity. The rule:
//!
//! * fewer than two fills are expected within `T*` (`n · T* < 2`, `n` fills a second): prove with
//!   the fill, since nobody would share the fixed part;
//! * otherwise fill now and prove when the oldest fill is `T*` old, the batch is full, or the
//!   first deadline of a member comes within its safety distance.
//!
//! `T*` is never longer than the configured longest wait.

use std::time::Duration;

use prices::{UNITS_PER_DOLLAR, Usd};

const SECONDS_PER_YEAR: f64 = 31_536_000.0;

/// What the rule needs to know of one lane: fills at one destination proven to one origin prover.
#[derive(Clone, Copy, Debug)]
pub struct Lane {
    /// The fixed part of a proof message, `B`.
    pub fixed_cost: Usd,
    /// Fills a second, smoothed.
    pub fills_per_second: f64,
    /// Dollars filled a second, smoothed.
    pub dollars_per_second: f64,
}

/// The operator's bounds.
#[derive(Clone, Copy, Debug)]
pub struct BatchPolicy {
    /// Most intents in one proof message.
    pub largest: usize,
    /// Longest wait whatever the formula says.
    pub longest_wait: Duration,
    /// What capital costs, in basis points a year.
    pub capital_bps_per_year: u32,
}

/// How a fill is to be proven.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProofPlan {
    /// `fulfillAndProve`.
    WithFill,
    /// `fulfill` now; prove when the oldest of the batch is this old.
    Batched {
        /// The economic interval, bounded by the policy.
        every: Duration,
    },
}

/// The economic interval `T*`, bounded by the policy; the longest wait where nothing is known.
pub fn interval(lane: Lane, policy: BatchPolicy) -> Duration {
    let rate = f64::from(policy.capital_bps_per_year) / 10_000.0 / SECONDS_PER_YEAR;
    let holding = rate * lane.dollars_per_second;
    let fixed = lane.fixed_cost.0.max(0) as f64 / UNITS_PER_DOLLAR as f64;
    if holding <= 0.0 {
        return policy.longest_wait;
    }
    let seconds = (2.0 * fixed / holding).sqrt();
    if seconds >= policy.longest_wait.as_secs_f64() {
        policy.longest_wait
    } else {
        Duration::from_secs_f64(seconds)
    }
}

/// Chooses how a fill in this lane is proven.
pub fn plan(lane: Lane, policy: BatchPolicy) -> ProofPlan {
    let every = interval(lane, policy);
    if policy.largest < 2 || lane.fills_per_second * every.as_secs_f64() < 2.0 {
        ProofPlan::WithFill
    } else {
        ProofPlan::Batched { every }
    }
}

/// What is waiting in a lane.
#[derive(Clone, Copy, Debug)]
pub struct Pending {
    /// How many fills wait.
    pub count: usize,
    /// Age of the oldest.
    pub oldest: Duration,
    /// Time left until the first member must be under way; zero when that has passed.
    pub slack: Duration,
}

/// Whether the waiting fills are proven now.
pub fn is_due(pending: Pending, every: Duration, policy: BatchPolicy) -> bool {
    pending.count > 0
        && (pending.count >= policy.largest || pending.oldest >= every || pending.slack.is_zero())
}

/// Smoothed arrival rates of a lane: exponential averages over a fixed half-life.
#[derive(Clone, Copy, Debug, Default)]
pub struct Arrivals {
    fills_per_second: f64,
    dollars_per_second: f64,
    last: Option<f64>,
}

impl Arrivals {
    /// Half of an observation's weight is gone after this many seconds.
    const HALF_LIFE: f64 = 60.0;

    /// Takes note of a fill of the given value at a time in seconds.
    pub fn record(&mut self, now: f64, value: Usd) {
        let (fills, dollars) = self.rates(now);
        let weight = std::f64::consts::LN_2 / Self::HALF_LIFE;
        let worth = value.0.max(0) as f64 / UNITS_PER_DOLLAR as f64;
        self.fills_per_second = fills + weight;
        self.dollars_per_second = dollars + weight * worth;
        self.last = Some(now);
    }

    /// Fills and dollars a second as of now.
    pub fn rates(&self, now: f64) -> (f64, f64) {
        let Some(last) = self.last else { return (0.0, 0.0) };
        let kept = 0.5_f64.powf((now - last).max(0.0) / Self::HALF_LIFE);
        (self.fills_per_second * kept, self.dollars_per_second * kept)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: BatchPolicy = BatchPolicy {
        largest: 50,
        longest_wait: Duration::from_secs(600),
        capital_bps_per_year: 1_000,
    };

    fn lane(fixed_cost: Usd, fills_per_second: f64, dollars_per_second: f64) -> Lane {
        Lane { fixed_cost, fills_per_second, dollars_per_second }
    }

    #[test]
    fn the_interval_is_the_cheapest_one() {
        let lane = lane(Usd::dollars(1), 1.0, 10_000_000.0);
        let best = interval(lane, POLICY).as_secs_f64();
        let rate = 0.1 / SECONDS_PER_YEAR;
        let cost = |t: f64| 1.0 / t + rate * 10_000_000.0 * t / 2.0;
        assert!(cost(best) <= cost(best * 0.9) && cost(best) <= cost(best * 1.1));
    }

    #[test]
    fn a_lonely_fill_is_proven_with_its_fill() {
        assert_eq!(plan(lane(Usd::dollars(1), 0.0, 0.0), POLICY), ProofPlan::WithFill);
        assert_eq!(plan(lane(Usd::dollars(1), 0.001, 1.0), POLICY), ProofPlan::WithFill);
    }

    #[test]
    fn a_busy_lane_is_batched_and_never_beyond_the_longest_wait() {
        let busy = plan(lane(Usd::dollars(1), 5.0, 500.0), POLICY);
        assert_eq!(busy, ProofPlan::Batched { every: POLICY.longest_wait });
    }

    #[test]
    fn a_batch_is_due_when_full_old_or_near_a_deadline() {
        let every = Duration::from_secs(60);
        let pending = |count, oldest, slack| Pending {
            count,
            oldest: Duration::from_secs(oldest),
            slack: Duration::from_secs(slack),
        };
        assert!(!is_due(pending(0, 100, 0), every, POLICY));
        assert!(!is_due(pending(3, 10, 10), every, POLICY));
        assert!(is_due(pending(50, 0, 10), every, POLICY));
        assert!(is_due(pending(1, 60, 10), every, POLICY));
        assert!(is_due(pending(1, 0, 0), every, POLICY));
    }

    #[test]
    fn arrivals_approach_the_true_rate_and_fade() {
        let mut arrivals = Arrivals::default();
        for second in 0..1_000 {
            arrivals.record(f64::from(second), Usd::dollars(7));
        }
        let (fills, dollars) = arrivals.rates(999.0);
        assert!((0.9..1.1).contains(&fills) && (6.3..7.7).contains(&dollars));
        assert!(arrivals.rates(1_999.0).0 < 0.001);
    }
}
