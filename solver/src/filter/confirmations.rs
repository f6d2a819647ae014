//! The reward has been in the vault for as many blocks as its value asks for.

use std::time::Duration;

use super::{Case, Verdict};

/// About a block of a fast chain.
const LOOK_AGAIN: Duration = Duration::from_millis(250);

pub(super) fn judge(case: &Case<'_>) -> Verdict {
    for leg in &case.facts.vault {
        if leg.confirmed < leg.needed {
            return Verdict::not_yet(
                format!("the reward is not yet {} blocks deep", case.facts.confirmations),
                LOOK_AGAIN,
            );
        }
    }
    Verdict::Accept
}
