//! The reward is really in the vault: balances, never events or the status.

use std::time::Duration;

use super::{Case, Verdict};

/// An intent is often published before it is funded; an event wakes it up sooner.
const LOOK_AGAIN: Duration = Duration::from_secs(5);

pub(super) fn judge(case: &Case<'_>) -> Verdict {
    for leg in &case.facts.vault {
        if leg.now < leg.needed {
            return Verdict::not_yet(
                format!("the vault holds {} of {}, expected {}", leg.now, leg.asset, leg.needed),
                LOOK_AGAIN,
            );
        }
    }
    Verdict::Accept
}
