//! Filling works in a simulation on the pending block, within the gas we are ready to pay.

use std::time::Duration;

use super::{Case, Verdict};
use crate::facts::Simulation;

/// A route may depend on state that others are about to change.
const LOOK_AGAIN: Duration = Duration::from_secs(3);

pub(super) fn judge(case: &Case<'_>) -> Verdict {
    let limit = case.policy.limits().fill_gas;
    match &case.facts.fill {
        Simulation::Works(gas) if *gas <= limit => Verdict::Accept,
        Simulation::Works(gas) => {
            Verdict::reject(format!("filling takes {gas} gas, at most {limit} is paid"))
        }
        Simulation::Fails(reason) | Simulation::Unclear(reason) => {
            Verdict::not_yet(format!("filling fails in simulation: {reason}"), LOOK_AGAIN)
        }
    }
}
