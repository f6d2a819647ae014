//! The counters that alert rules watch exist from the start.
//!
//! A rule asks by how much a counter has risen. One that comes into being with its first event has
//! not risen by then: the first event, often the only one, would be missed.

use crate::{
    config::Config,
    order::{State, TRANSITIONS},
};

/// Answers of price sources that were no price, by source.
pub(crate) const PRICE_FAULTS: &str = "solver_price_faults_total";

/// Counters without labels.
const PLAIN: [&str; 16] = [
    "solver_approvals_refused_total",
    "solver_balance_faults_total",
    "solver_challenges_total",
    "solver_conflicts_total",
    "solver_faults_total",
    "solver_fills_reorganised_total",
    "solver_fills_reverted_total",
    "solver_fills_total",
    "solver_forfeits_total",
    "solver_intents_busy_total",
    "solver_quotes_busy_total",
    "solver_quotes_total",
    "solver_rebalancing_faults_total",
    "solver_rebalancings_total",
    "solver_reproofs_total",
    "solver_withdrawals_failing_total",
];

/// Lets them begin at zero. The recorder must have been installed.
pub(crate) fn begin(config: &Config) {
    for name in PLAIN {
        metrics::counter!(name).increment(0);
    }
    for row in TRANSITIONS {
        let (from, to) = (row.from.name(), row.to.name());
        metrics::counter!("solver_transitions_total", "from" => from, "to" => to).increment(0);
    }
    let waiting = State::Waiting.name();
    metrics::counter!("solver_objections_total", "rule" => "profit", "state" => waiting)
        .increment(0);
    for chain in config.chains.keys() {
        metrics::counter!("solver_head_faults_total", "chain" => chain.to_string()).increment(0);
    }
    for source in &config.prices.sources {
        metrics::counter!(PRICE_FAULTS, "source" => source.name().to_owned()).increment(0);
    }
}
