//! When a message is tried again.

use std::time::Duration;

use rand::Rng as _;

/// Why a message cannot be delivered now, as far as it decides when to try again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Pace {
    /// Something that comes by itself within moments: signatures, a read's anchor.
    Soon,
    /// A failure that may pass: a server that is down, a recipient that reverts.
    Normal,
    /// A refusal that somebody has to lift: no module, suspended, a policy, no code. Never dropped.
    Slow,
    /// Transactions were paid for and delivered nothing: each further one costs as much.
    Rarely,
}

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);

/// How long to wait after `attempts` failed ones (at least 1), before jitter.
///
/// A validator at the tip publishes within a block, so the first waits are short; a message that has
/// waited for minutes waits for an operator, and asking every second helps nobody.
pub fn delay(pace: Pace, attempts: u32) -> Duration {
    match (pace, attempts) {
        (Pace::Soon, 0..=20) => Duration::from_millis(100),
        (Pace::Soon, 21..=60) => Duration::from_millis(250),
        (Pace::Soon, 61..=300) => SECOND,
        (Pace::Soon, _) => 5 * SECOND,
        (Pace::Normal, 0..=1) => SECOND,
        (Pace::Normal, 2..=3) => 2 * SECOND,
        (Pace::Normal, 4..=6) => 5 * SECOND,
        (Pace::Normal, 7..=12) => 15 * SECOND,
        (Pace::Normal, 13..=24) => MINUTE,
        (Pace::Normal, 25..=40) => 5 * MINUTE,
        (Pace::Normal, _) => 30 * MINUTE,
        (Pace::Slow, 0..=3) => 10 * SECOND,
        (Pace::Slow, 4..=20) => MINUTE,
        (Pace::Slow, _) => 10 * MINUTE,
        (Pace::Rarely, _) => 6 * HOUR,
    }
}

/// [`delay`], shortened by up to a quarter so that messages do not return in step.
pub fn jittered(pace: Pace, attempts: u32) -> Duration {
    delay(pace, attempts).mul_f64(rand::rng().random_range(0.75..=1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_and_end_at_a_bound() {
        for pace in [Pace::Soon, Pace::Normal, Pace::Slow] {
            let waits: Vec<_> = (0..1000).map(|attempts| delay(pace, attempts)).collect();
            assert!(waits.is_sorted());
            assert!(waits[999] <= 30 * MINUTE);
        }
    }

    #[test]
    fn what_costs_gas_each_time_is_tried_rarely() {
        assert!((0..100).all(|attempts| delay(Pace::Rarely, attempts) >= 6 * HOUR));
    }

    #[test]
    fn ten_failures_cost_less_than_two_minutes() {
        let total: Duration = (1..=10).map(|attempts| delay(Pace::Normal, attempts)).sum();
        assert!(total < 2 * MINUTE, "{total:?}");
    }
}
