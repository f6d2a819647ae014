//! The route is worth no more than its lane allows.

use super::{Case, Verdict};

pub(super) fn judge(case: &Case<'_>) -> Verdict {
    let Case { order, policy, facts } = *case;
    let Some(lane) = policy.lane(order.origin, order.destination()) else {
        return Verdict::reject(format!(
            "no lane from {} to {} is configured",
            order.origin,
            order.destination()
        ));
    };
    if facts.route_value > lane.largest {
        return Verdict::reject(format!(
            "the route is worth {}, at most {} is filled on this lane",
            facts.route_value, lane.largest
        ));
    }
    Verdict::Accept
}
