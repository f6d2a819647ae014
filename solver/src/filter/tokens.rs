//! Every token is one we know: one bad reward token blocks every other leg of the reward.

use super::{Intake, Verdict};

pub(super) fn judge(intake: &Intake<'_>) -> Verdict {
    let Intake { order, policy } = *intake;
    let amounts = order.earns().into_iter().chain(order.spends());
    for amount in amounts {
        if policy.token(amount.asset).is_none() {
            return Verdict::reject(format!("{} is not a token we know", amount.asset));
        }
    }
    Verdict::Accept
}
