//! There is time to fill the route, and time to prove before the reward may be refunded.
//!
//! Chain time decides on both sides. A reward's deadline must leave the tier's latency (configured,
//! or measured on the lane where that is longer), the longest pause of the messaging layer, and a
//! margin; before that the creator cannot take the reward back.

use super::{Case, Intake, Verdict};
use crate::policy::Settlement;

pub(super) fn judge(case: &Case<'_>) -> Verdict {
    let Case { order, policy, facts } = *case;
    judge_at(&Intake { order, policy }, facts.origin_time, facts.destination_time)
}

/// The same at these times of the two chains.
pub(super) fn judge_at(intake: &Intake<'_>, origin_time: u64, destination_time: u64) -> Verdict {
    let Intake { order, policy } = *intake;
    let tiers = policy.tiers_on(order.origin, order.destination());
    let left = order.route().deadline.saturating_sub(destination_time);
    if order.route().deadline < destination_time {
        return Verdict::TooLate { reason: "the route has expired".into() };
    }
    if left < tiers.fill.as_secs() {
        return Verdict::reject(format!(
            "{left} s left to fill, at least {} are needed",
            tiers.fill.as_secs()
        ));
    }
    let needed = match policy.settlement(order) {
        Some(Settlement::Message(tier)) => tiers.latency(tier) + tiers.pause + tiers.margin,
        Some(Settlement::Local) | None => tiers.fill + tiers.margin,
    };
    let left = order.reward().deadline.saturating_sub(origin_time);
    if left < needed.as_secs() {
        return Verdict::reject(format!(
            "{left} s left until the reward may be refunded, at least {} are needed to prove",
            needed.as_secs()
        ));
    }
    Verdict::Accept
}
