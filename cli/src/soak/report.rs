//! What a soak has measured.

use std::{collections::BTreeMap, fmt, time::Duration, time::Instant};

use serde::Serialize;

use super::{
    Plan,
    load::Outcome,
    memory::{self, Memory, Sample},
    watch::{Stages, Watch},
};
use crate::{invariants::Verdict, output::Table};

/// A question about a transfer.
type Is = fn(&Stages) -> bool;

/// Everything a soak has measured.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    seconds: f64,
    rate: f64,
    kills: u32,
    tried: u64,
    published: usize,
    filled: usize,
    claimed: usize,
    refunded: usize,
    /// Transfers that were claimed, for each second of the load.
    claimed_per_second: f64,
    stages: Vec<Stage>,
    /// How often each cause kept a transfer from its end.
    failures: BTreeMap<String, u64>,
    memory: Vec<RoleMemory>,
    invariants: Verdict,
    #[serde(skip)]
    series: BTreeMap<String, Vec<Sample>>,
}

/// How long one stage took, in seconds.
#[derive(Debug, Serialize)]
struct Stage {
    name: &'static str,
    count: usize,
    p50: f64,
    p90: f64,
    p99: f64,
    max: f64,
}

/// The memory of a role, in mebibytes.
#[derive(Debug, Serialize)]
struct RoleMemory {
    role: String,
    first: f64,
    last: f64,
    most: f64,
    /// Growth in the second half, a minute.
    slope: Option<f64>,
}

impl Report {
    pub(super) fn new(
        plan: &Plan,
        (outcome, watch, memory): (&Outcome, &Watch, &Memory),
        kills: u32,
        invariants: Verdict,
    ) -> Self {
        let transfers = watch.transfers();
        let count = |has: Is| transfers.iter().filter(|stages| has(stages)).count();
        let (published, filled) =
            (count(|stages| stages.published.is_some()), count(|stages| stages.filled.is_some()));
        let claimed = count(|stages| stages.claimed.is_some());
        let seconds = plan.lasts.as_secs_f64();
        let series = memory.series();
        let mut failures = outcome.failures.clone();
        let lost: [(&str, Is); 4] = [
            ("never published", |stages| stages.published.is_none()),
            ("published, never filled", |stages| {
                stages.published.is_some() && stages.filled.is_none() && !stages.refunded
            }),
            ("filled, never proven", |stages| stages.filled.is_some() && stages.proven.is_none()),
            ("proven, never claimed", |stages| stages.proven.is_some() && stages.claimed.is_none()),
        ];
        for (cause, is_lost) in lost {
            let lost = count(is_lost);
            if lost > 0 {
                failures.insert(cause.to_owned(), lost as u64);
            }
        }
        Self {
            seconds,
            rate: plan.rate,
            kills,
            tried: outcome.tried,
            published,
            filled,
            claimed,
            refunded: count(|stages| stages.refunded),
            claimed_per_second: claimed as f64 / seconds,
            stages: stages(outcome, &transfers),
            failures,
            memory: series.iter().filter_map(|(role, series)| of_role(role, series)).collect(),
            invariants,
            series,
        }
    }

    /// Whether everything that was published came to an end and every invariant holds.
    pub(crate) fn is_sound(&self) -> bool {
        self.published == self.claimed + self.refunded && self.invariants.is_sound()
    }

    /// The memory of each role over time.
    pub(super) const fn series(&self) -> &BTreeMap<String, Vec<Sample>> {
        &self.series
    }
}

fn stages(outcome: &Outcome, transfers: &[Stages]) -> Vec<Stage> {
    type At = fn(&Stages) -> Option<Instant>;
    let between = |name, from: At, to: At| {
        let spans = transfers
            .iter()
            .filter_map(|stages| Some(to(stages)?.saturating_duration_since(from(stages)?)));
        Stage::new(name, spans.collect())
    };
    vec![
        Stage::new("quote", outcome.quotes.clone()),
        between("published -> filled", |stages| stages.published, |stages| stages.filled),
        between("filled -> proven", |stages| stages.filled, |stages| stages.proven),
        between("proven -> claimed", |stages| stages.proven, |stages| stages.claimed),
        between("filled -> claimed", |stages| stages.filled, |stages| stages.claimed),
        between("published -> claimed", |stages| stages.published, |stages| stages.claimed),
    ]
}

impl Stage {
    fn new(name: &'static str, mut spans: Vec<Duration>) -> Self {
        spans.sort_unstable();
        let at = |thousandths: usize| {
            let rank = (spans.len().saturating_sub(1) * thousandths).div_ceil(1_000);
            spans.get(rank).map_or(0.0, Duration::as_secs_f64)
        };
        Self { name, count: spans.len(), p50: at(500), p90: at(900), p99: at(990), max: at(1_000) }
    }
}

fn of_role(role: &str, series: &[Sample]) -> Option<RoleMemory> {
    let most = series.iter().map(|sample| sample.1).fold(0.0, f64::max);
    Some(RoleMemory {
        role: role.to_owned(),
        first: series.first()?.1,
        last: series.last()?.1,
        most,
        slope: memory::slope(series),
    })
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{:.0} s at {} transfers a second: {} tried, {} published, {} filled, {} claimed \
             ({:.1}/s), {} refunded, {} roles killed",
            self.seconds,
            self.rate,
            self.tried,
            self.published,
            self.filled,
            self.claimed,
            self.claimed_per_second,
            self.refunded,
            self.kills
        )?;
        let mut table = Table::new(["stage", "count", "p50", "p90", "p99", "max"]);
        for stage in &self.stages {
            let shown = |seconds: f64| format!("{seconds:.2} s");
            table.row([
                stage.name.to_owned(),
                stage.count.to_string(),
                shown(stage.p50),
                shown(stage.p90),
                shown(stage.p99),
                shown(stage.max),
            ]);
        }
        writeln!(f, "\n{table}")?;
        let mut table =
            Table::new(["memory", "first", "last", "most", "growth in the second half"]);
        for role in &self.memory {
            let shown = |size: f64| format!("{size:.1} MiB");
            let slope = role.slope.map(|slope| format!("{slope:+.2} MiB/min"));
            table.row([
                role.role.clone(),
                shown(role.first),
                shown(role.last),
                shown(role.most),
                slope.unwrap_or_else(|| "-".to_owned()),
            ]);
        }
        writeln!(f, "\n{table}")?;
        if self.failures.is_empty() {
            writeln!(f, "\nno failures")?;
        } else {
            let mut table = Table::new(["failures", "cause"]);
            for (cause, count) in &self.failures {
                table.row([count.to_string(), cause.clone()]);
            }
            writeln!(f, "\n{table}")?;
        }
        write!(f, "\n{}", self.invariants)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_of_the_sorted_spans() {
        let spans = (1..=100).rev().map(Duration::from_secs).collect();
        let stage = Stage::new("test", spans);
        assert_eq!((stage.p50, stage.p90, stage.p99, stage.max), (51.0, 91.0, 100.0, 100.0));
        assert_eq!(Stage::new("none", Vec::new()).max, 0.0);
    }
}
