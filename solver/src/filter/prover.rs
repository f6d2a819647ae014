//! The reward's prover is one we know on the origin, and it fits the pair of chains.
//!
//! Whoever can make `provenIntents` answer decides who is paid, so only provers of the deployment
//! manifest count. A message prover needs a twin on the destination; the local prover needs both
//! ends on one chain.

use super::{Intake, Verdict};
use crate::policy::Settlement;

pub(super) fn judge(intake: &Intake<'_>) -> Verdict {
    let Intake { order, policy } = *intake;
    let prover = order.reward().prover;
    let same_chain = order.origin == order.destination();
    match policy.settlement(order) {
        None => Verdict::reject(format!("prover {prover} is not known on {}", order.origin)),
        Some(Settlement::Local) if !same_chain => {
            Verdict::reject("the local prover cannot see another chain")
        }
        Some(Settlement::Message(_)) if same_chain => {
            Verdict::reject("a message prover cannot prove within one chain")
        }
        Some(Settlement::Message(tier)) if policy.twin(order, tier).is_none() => Verdict::reject(
            format!("the {tier} prover has no twin on destination {}", order.destination()),
        ),
        Some(Settlement::Local | Settlement::Message(_)) => Verdict::Accept,
    }
}
