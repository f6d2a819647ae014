//! The route is of a size that an honest one has, and pays for itself.
//!
//! A route whose calls send more than it asks of the solver can only work with what others left
//! in the executor, which may be gone when the fill is mined.

use alloy::primitives::U256;

use super::{Intake, Verdict};

pub(super) fn judge(intake: &Intake<'_>) -> Verdict {
    let Intake { order, policy } = *intake;
    let limits = policy.limits();
    let calls = &order.route().calls;
    if calls.len() > limits.calls {
        return Verdict::reject(format!("{} calls, at most {} are run", calls.len(), limits.calls));
    }
    let calldata: usize = calls.iter().map(|call| call.data.len()).sum();
    if calldata > limits.calldata {
        return Verdict::reject(format!(
            "{calldata} bytes of calldata, at most {} are sent",
            limits.calldata
        ));
    }
    let sent = calls.iter().fold(U256::ZERO, |sum, call| sum.saturating_add(call.value));
    let given = order.route().nativeAmount;
    if sent > given {
        return Verdict::reject(format!("the calls send {sent} wei, the route gives {given}"));
    }
    if order.earns().is_empty() {
        return Verdict::reject("there is no reward");
    }
    Verdict::Accept
}
