//! What providers are worth, measured from what became of their orders.

use std::collections::BTreeMap;

use chain::db::{AnyRow, Db, RowExt, Tx, int};
use parking_lot::RwLock;

use crate::orders::StoreError;

/// Seconds in which an outcome loses half its weight: a day, so that a bad hour is forgiven in a
/// week and a good month does not hide a bad hour.
const HALF_LIFE: f64 = 86_400.0;

/// Outcomes that a provider is given on credit, all good: one early failure must not end it.
const CREDIT: f64 = 5.0;

/// Fills, decayed, from which on their measured time corrects a provider's word.
const ENOUGH_FILLS: f64 = 5.0;

/// Sums are stored as whole millionths: the databases agree on whole numbers.
const MILLIONTH: f64 = 1e6;

/// Outcomes of every provider, decayed: what the database holds, as last read.
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
    /// Never paid for: says nothing of the provider.
    Unfunded,
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

    /// By how much measured fills took longer than the provider had said, once there are enough of
    /// them to tell.
    pub fn measured_ratio(&self) -> Option<f64> {
        self.time_ratio().filter(|_| self.fills >= ENOUGH_FILLS)
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

    /// The sums with one more outcome.
    #[must_use]
    pub fn with(self, outcome: Outcome, now: u64) -> Self {
        let mut sums = self.decayed(now);
        match outcome {
            Outcome::Filled { seconds, estimated } => {
                sums.fills += 1.0;
                sums.time_ratios += seconds as f64 / estimated.max(1) as f64;
            }
            Outcome::Failed => sums.failures += 1.0,
            Outcome::Unfunded => {}
        }
        sums
    }

    fn read(row: &AnyRow) -> Result<Self, StoreError> {
        let sum = |column: &str| Ok::<_, StoreError>(row.u64(column)? as f64 / MILLIONTH);
        Ok(Self {
            fills: sum("fills")?,
            failures: sum("failures")?,
            time_ratios: sum("time_ratios")?,
            at: row.u64("at")?,
        })
    }
}

impl Reputations {
    /// Reads what all instances have counted.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn load(&self, db: &Db) -> Result<(), StoreError> {
        let rows = sqlx::query("SELECT * FROM reputations").fetch_all(db.pool()).await?;
        let mut read = BTreeMap::new();
        for row in &rows {
            read.insert(row.text("provider")?, Outcomes::read(row)?);
        }
        *self.outcomes.write() = read;
        Ok(())
    }

    /// The outcomes of a provider as of now.
    pub fn of(&self, provider: &str, now: u64) -> Outcomes {
        self.outcomes.read().get(provider).copied().unwrap_or_default().decayed(now)
    }
}

/// Takes an outcome in, after every other that is being taken in.
///
/// # Errors
/// [`StoreError`].
pub async fn record(
    tx: &mut Tx,
    provider: &str,
    outcome: Outcome,
    now: u64,
) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO reputations (provider, fills, failures, time_ratios, at) \
         VALUES ($1, 0, 0, 0, $2) ON CONFLICT (provider) DO NOTHING",
    )
    .bind(provider)
    .bind(int(now))
    .execute(&mut **tx)
    .await?;
    // Locks the row, so that no other instance counts in between.
    let row = sqlx::query("UPDATE reputations SET at = at WHERE provider = $1 RETURNING *")
        .bind(provider)
        .fetch_one(&mut **tx)
        .await?;
    let sums = Outcomes::read(&row)?.with(outcome, now);
    let stored = |sum: f64| (sum * MILLIONTH).round() as i64;
    sqlx::query(
        "UPDATE reputations SET fills = $2, failures = $3, time_ratios = $4, at = $5 \
         WHERE provider = $1",
    )
    .bind(provider)
    .bind(stored(sums.fills))
    .bind(stored(sums.failures))
    .bind(stored(sums.time_ratios))
    .bind(int(sums.at))
    .execute(&mut **tx)
    .await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sums(outcomes: &[Outcome]) -> Outcomes {
        outcomes.iter().fold(Outcomes::default(), |sums, outcome| sums.with(*outcome, 1_000))
    }

    fn after(outcomes: &[Outcome]) -> f64 {
        sums(outcomes).score()
    }

    #[test]
    fn failures_and_lateness_cost_and_time_forgives() {
        let fine = Outcome::Filled { seconds: 2, estimated: 3 };
        let late = Outcome::Filled { seconds: 30, estimated: 3 };
        assert_eq!(after(&[]), 1.0);
        assert_eq!(after(&[fine, fine]), 1.0);
        assert_eq!(after(&[Outcome::Unfunded]), 1.0);
        assert!(after(&[Outcome::Failed]) < 1.0);
        assert!(after(&[late]) < after(&[fine]));
        assert!(after(&[Outcome::Failed; 3]) < after(&[Outcome::Failed]));

        let failed = sums(&[Outcome::Failed]);
        let (now, later) = (failed.decayed(1_000).score(), failed.decayed(1_000_000).score());
        assert!(later > now && later > 0.99, "{now} {later}");
    }

    #[test]
    fn estimates_are_corrected_once_there_are_enough_fills() {
        let slow = Outcome::Filled { seconds: 6, estimated: 3 };
        assert_eq!(sums(&[slow; 4]).measured_ratio(), None);
        assert_eq!(sums(&[slow; 5]).measured_ratio(), Some(2.0));
    }
}
