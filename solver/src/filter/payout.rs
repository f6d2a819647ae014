//! Paying the reward out of the vault works in a simulation: no leg reverts or answers `false`.

use super::{Case, Verdict};
use crate::facts::Simulation;

pub(super) fn judge(case: &Case<'_>) -> Verdict {
    for (token, simulation) in &case.facts.payouts {
        match simulation {
            Simulation::Works(_) => {}
            Simulation::Fails(reason) => {
                return Verdict::reject(format!("paying out reward token {token} fails: {reason}"));
            }
        }
    }
    Verdict::Accept
}
