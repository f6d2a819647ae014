//! A fill that failed too often is not tried again: failing costs gas each time.

use super::{Intake, Verdict};

pub(super) fn judge(intake: &Intake<'_>) -> Verdict {
    let (tried, most) = (intake.order.attempt, intake.policy.limits().attempts);
    if tried >= most {
        Verdict::reject(format!("{tried} fills have failed, at most {most} are tried"))
    } else {
        Verdict::Accept
    }
}
