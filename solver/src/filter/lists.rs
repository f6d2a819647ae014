//! It is not our own, nobody involved is denied, and where a list of the allowed exists they are on it.

use alloy::primitives::Address;

use super::{Intake, Verdict};

pub(super) fn judge(intake: &Intake<'_>) -> Verdict {
    let Intake { order, policy } = *intake;
    let lists = policy.lists();
    let creator = order.reward().creator;
    if policy.is_ours(creator) {
        return Verdict::reject("an intent of our own: for others to fill");
    }
    let involved = std::iter::once(creator)
        .chain(order.route().calls.iter().map(|call| call.target))
        .chain(order.route().calls.iter().flat_map(|call| named_in(&call.data)));
    for address in involved {
        if lists.deny.contains(&address) {
            return Verdict::reject(format!("{address} is on the deny list"));
        }
    }
    if !lists.allow_creators.is_empty() && !lists.allow_creators.contains(&creator) {
        return Verdict::reject(format!("creator {creator} is not on the list of the allowed"));
    }
    let targets = order.route().calls.iter().map(|call| call.target);
    match targets.into_iter().find(|target| !lists.allow_targets.contains(target)) {
        Some(target) if !lists.allow_targets.is_empty() => {
            Verdict::reject(format!("call target {target} is not on the list of the allowed"))
        }
        Some(_) | None => Verdict::Accept,
    }
}

/// Arguments of a call that read as an address: a recipient hides in one of them.
fn named_in(data: &[u8]) -> impl Iterator<Item = Address> {
    let words = data.get(4..).unwrap_or_default().chunks_exact(32);
    words
        .filter(|word| word[..12].iter().all(|b| *b == 0))
        .map(|word| Address::from_slice(&word[12..]))
}
