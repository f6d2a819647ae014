//! What providers are worth, measured from what became of their orders.

use std::collections::BTreeMap;

use parking_lot::RwLock;

/// Seconds in which an outcome loses half its weight: a day, so that a bad hour is forgiven in a
/// week and a good month does not hide a bad hour.
const HALF_LIFE: f64 = 86_400.0;

/// Outcomes that a provider is given on credit, all good: one early failure must not end it.
const CREDIT: f64 = 5.0;

/// Outcomes of every provider, decayed.
#[derive(Debug, Default)]
pub struct Reputations {
    outcomes: RwLock<BTreeMap<String, Outcomes>>,
}

/// How one order ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Filled, in this many seconds of an estimate of so many.
    Filled {
        /// Seconds from funding to fill.
        seconds: u64,
        /// What the quote said.
        estimated: u64,
    },
    /// Not filled by its deadline.
    Failed,
}

/// Decayed sums.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Outcomes {
    /// Filled orders.
    pub fills: f64,
    /// Orders that were not filled.
    pub failures: f64,
    /// Sum over fills of measured over estimated time.
    time_ratios: f64,
    /// When the sums were last brought up to date, unix seconds.
    at: u64,
}

impl Outcomes {
    /// Mean of measured over estimated fill time; `None` before the first fill.
    pub fn time_ratio(&self) -> Option<f64> {
        (self.fills > 0.0).then(|| self.time_ratios / self.fills)
    }

    /// Share of good outcomes, with some on credit, divided by how much slower than estimated
    /// fills are: 1 for a provider of whom nothing bad is known.
    pub fn score(&self) -> f64 {
        let good = CREDIT + self.fills;
        let share = good / (good + self.failures);
        let lateness = (CREDIT + self.time_ratios.max(self.fills)) / (CREDIT + self.fills);
        (share / lateness).clamp(0.0, 1.0)
    }

    fn decayed(mut self, now: u64) -> Self {
        let age = now.saturating_sub(self.at) as f64;
        let weight = 0.5_f64.powf(age / HALF_LIFE);
        self.fills *= weight;
        self.failures *= weight;
        self.time_ratios *= weight;
        self.at = now.max(self.at);
        self
    }
}

impl Reputations {
    /// Takes an outcome in.
    pub fn record(&self, provider: &str, outcome: Outcome, now: u64) {
        let mut all = self.outcomes.write();
        let held = all.entry(provider.to_owned()).or_default();
        let mut sums = held.decayed(now);
        match outcome {
            Outcome::Filled { seconds, estimated } => {
                sums.fills += 1.0;
                sums.time_ratios += seconds as f64 / estimated.max(1) as f64;
            }
            Outcome::Failed => sums.failures += 1.0,
        }
        *held = sums;
    }

    /// The outcomes of a provider as of now.
    pub fn of(&self, provider: &str, now: u64) -> Outcomes {
        self.outcomes.read().get(provider).copied().unwrap_or_default().decayed(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(outcomes: &[Outcome]) -> f64 {
        let reputations = Reputations::default();
        for outcome in outcomes {
            reputations.record("p", *outcome, 1_000);
        }
        reputations.of("p", 1_000).score()
    }

    #[test]
    fn failures_and_lateness_cost_and_time_forgives() {
        let fine = Outcome::Filled { seconds: 2, estimated: 3 };
        let late = Outcome::Filled { seconds: 30, estimated: 3 };
        assert_eq!(after(&[]), 1.0);
        assert_eq!(after(&[fine, fine]), 1.0);
        assert!(after(&[Outcome::Failed]) < 1.0);
        assert!(after(&[late]) < after(&[fine]));
        assert!(after(&[Outcome::Failed; 3]) < after(&[Outcome::Failed]));

        let reputations = Reputations::default();
        reputations.record("p", Outcome::Failed, 1_000);
        let (now, later) =
            (reputations.of("p", 1_000).score(), reputations.of("p", 1_000_000).score());
        assert!(later > now && later > 0.99, "{now} {later}");
    }
}
