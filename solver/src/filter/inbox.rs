//! Both chains are served, and the route names the Inbox we know there.

use super::{Intake, Verdict};

pub(super) fn judge(intake: &Intake<'_>) -> Verdict {
    let Intake { order, policy } = *intake;
    if policy.chain(order.origin).is_none() {
        return Verdict::reject(format!("origin {} is not served", order.origin));
    }
    let Some(destination) = policy.chain(order.destination()) else {
        return Verdict::reject(format!("destination {} is not served", order.destination()));
    };
    let (given, expected) = (order.route().portal, destination.inbox);
    if given == expected {
        Verdict::Accept
    } else {
        Verdict::reject(format!("the route names inbox {given}, expected {expected}"))
    }
}
