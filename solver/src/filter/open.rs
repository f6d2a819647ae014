//! The intent is still open: unfilled at its destination, unproven and unsettled at its origin.

use super::{Case, Verdict};

/// `Status.Withdrawn` and `Status.Refunded` of the IntentSource.
const SETTLED: [u8; 2] = [2, 3];

pub(super) fn judge(case: &Case<'_>) -> Verdict {
    let facts = case.facts;
    if !facts.filled_by.is_zero() {
        return Verdict::TooLate { reason: format!("fulfilled for {}", facts.filled_by) };
    }
    if SETTLED.contains(&facts.reward_status) {
        return Verdict::TooLate { reason: "the reward was paid out or refunded".into() };
    }
    // A proof with the right destination pays whoever it names, and it is not us: unfilled above.
    if !facts.proof.claimant.is_zero() && facts.proof.destination == case.order.destination().0 {
        return Verdict::reject(format!("proven for {} without a fill", facts.proof.claimant));
    }
    Verdict::Accept
}
