//! The operator has not paused or drained the solver.

use std::time::Duration;

use super::{Case, Verdict};
use crate::store::Mode;

/// How long a decision waits while the operator has stopped new fills.
const LOOK_AGAIN: Duration = Duration::from_secs(5);

pub(super) fn judge(case: &Case<'_>) -> Verdict {
    match case.facts.mode {
        Mode::Running => Verdict::Accept,
        Mode::Paused => Verdict::not_yet("the operator has paused new fills", LOOK_AGAIN),
        Mode::Draining => Verdict::not_yet("the operator is draining the solver", LOOK_AGAIN),
    }
}
