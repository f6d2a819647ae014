//! Paying the reward out of the vault works in a simulation: no leg reverts or answers `false`.

use std::time::Duration;

use super::{Case, Verdict};
use crate::facts::Simulation;

/// Until a node may be over its trouble.
const LOOK_AGAIN: Duration = Duration::from_secs(2);

pub(super) fn judge(case: &Case<'_>) -> Verdict {
    for (token, simulation) in &case.facts.payouts {
        match simulation {
            Simulation::Works(_) => {}
            Simulation::Fails(reason) => {
                return Verdict::reject(format!("paying out reward token {token} fails: {reason}"));
            }
            Simulation::Unclear(reason) => {
                let reason = format!("whether reward token {token} pays out is unclear: {reason}");
                return Verdict::not_yet(reason, LOOK_AGAIN);
            }
        }
    }
    Verdict::Accept
}
