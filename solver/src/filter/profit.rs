//! It pays: the estimate reaches the lane's margin, or a quote of ours has promised the price.

use std::time::Duration;

use super::{Case, Verdict};

/// Gas and prices move within seconds.
const LOOK_AGAIN: Duration = Duration::from_secs(5);

pub(super) fn judge(case: &Case<'_>) -> Verdict {
    let Case { order, policy, facts } = *case;
    let estimate = match &facts.estimate {
        Ok(estimate) => estimate,
        Err(unknown) => return Verdict::not_yet(unknown.to_string(), LOOK_AGAIN),
    };
    // A quote's price holds for what was quoted: calls that take more gas were not.
    let gas = facts.plan.as_ref().map_or(0, |plan| plan.gas);
    if facts.promise.is_some_and(|promise| gas <= promise.gas) {
        return Verdict::Accept;
    }
    let Some(lane) = policy.lane(order.origin, order.destination()) else {
        return Verdict::reject("no lane is configured");
    };
    match lane.margin.shortfall(estimate) {
        None => Verdict::Accept,
        Some(missing) => Verdict::not_yet(
            format!("{missing} dollars short of the margin: {estimate}"),
            LOOK_AGAIN,
        ),
    }
}
