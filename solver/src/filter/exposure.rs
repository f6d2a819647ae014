//! What is out and not yet home stays within its limits, overall and for one creator.

use std::time::Duration;

use super::{Case, Verdict};

/// Rewards come home every few seconds.
const LOOK_AGAIN: Duration = Duration::from_secs(2);

pub(super) fn judge(case: &Case<'_>) -> Verdict {
    let Case { policy, facts, .. } = *case;
    let limits = policy.limits();
    let after = facts.exposure + facts.route_value;
    if after > limits.exposure {
        return Verdict::not_yet(
            format!("{after} dollars would be out, at most {} may be", limits.exposure),
            LOOK_AGAIN,
        );
    }
    if facts.in_flight_of_creator >= limits.in_flight_per_creator {
        return Verdict::not_yet(
            format!(
                "{} intents of this creator are in flight, at most {} may be",
                facts.in_flight_of_creator, limits.in_flight_per_creator
            ),
            LOOK_AGAIN,
        );
    }
    Verdict::Accept
}
