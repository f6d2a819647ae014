//! What preparing a message came to.

use alloy::sol_types::SolInterface;
use chain::client::{self, Revert};
use protocol::abi::{ism, prover, read_ism, router};

use super::{delivery::Process, retry::Pace};

/// Not yet, with the reason and when to look again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct NotReady {
    pub(super) pace: Pace,
    pub(super) reason: String,
}

impl NotReady {
    pub(super) fn soon(reason: impl Into<String>) -> Self {
        Self { pace: Pace::Soon, reason: reason.into() }
    }

    pub(super) fn normal(reason: impl Into<String>) -> Self {
        Self { pace: Pace::Normal, reason: reason.into() }
    }

    pub(super) fn slow(reason: impl Into<String>) -> Self {
        Self { pace: Pace::Slow, reason: reason.into() }
    }
}

/// A failed exchange with the destination is tried again at the pace of what failed: a refusal that
/// somebody has to lift slowly, everything else normally.
impl From<client::Error> for NotReady {
    fn from(error: client::Error) -> Self {
        match error.revert() {
            Some(revert) => refusal_of(revert),
            None => Self::normal(error.to_string()),
        }
    }
}

impl From<chain::db::Error> for NotReady {
    fn from(error: chain::db::Error) -> Self {
        Self::normal(error.to_string())
    }
}

/// What comes of a message that was looked at.
#[derive(Debug, Clone)]
pub(super) enum Verdict {
    /// `process` would succeed.
    Ready(Ready),
    /// The mailbox has it already.
    Delivered(Process),
    /// Not now.
    Wait(NotReady),
    /// Never.
    Park(String),
}

/// A delivery that can be submitted.
#[derive(Debug, Clone)]
pub(super) struct Ready {
    pub(super) metadata: Vec<u8>,
    /// Estimated gas of `process`.
    pub(super) gas: u64,
}

/// Reads a revert of `process`, `verify` or `route`.
pub(super) fn refusal_of(revert: &Revert) -> NotReady {
    use ism::MetalayerIsmErrors as Ism;
    use read_ism::ReadIsmErrors as Read;
    use router::MetalayerRouterErrors as Router;
    let lifted_by_somebody = match Ism::abi_decode(&revert.data) {
        Ok(Ism::NoModule(error)) => {
            Some(format!("no module for origin {} at tier {}", error.origin, error.tier))
        }
        Ok(Ism::Suspended(error)) => {
            Some(format!("origin {} is suspended at tier {}", error.origin, error.tier))
        }
        _ => None,
    };
    let lifted_by_somebody =
        lifted_by_somebody.or_else(|| match Router::abi_decode(&revert.data) {
            Ok(Router::TierRefused(error)) => Some(format!(
                "the recipient accepts tiers {:#05b}, the message has {}",
                error.requiredMask, error.given
            )),
            Ok(Router::RecipientNotContract(error)) => {
                Some(format!("recipient {} has no code", error.recipient))
            }
            Ok(Router::UnauthorizedRouter(error)) => {
                Some(format!("router {} of origin {} is not accepted", error.sender, error.origin))
            }
            _ => None,
        });
    let lifted_by_somebody = lifted_by_somebody.or_else(|| match Read::abi_decode(&revert.data) {
        Ok(Read::NoSigners(error)) => {
            Some(format!("no signers of reads for origin {} at tier {}", error.origin, error.tier))
        }
        _ => None,
    });
    match lifted_by_somebody {
        Some(reason) => NotReady::slow(reason),
        None => NotReady::normal(named(revert)),
    }
}

/// A revert in words: with the name and the fields of the error where it is one of ours.
fn named(revert: &Revert) -> String {
    fn debug<E: SolInterface + std::fmt::Debug>(revert: &Revert) -> Option<String> {
        E::abi_decode(&revert.data).ok().map(|error| format!("{error:?}"))
    }
    let name = debug::<router::MetalayerRouterErrors>(revert)
        .or_else(|| debug::<ism::MetalayerIsmErrors>(revert))
        .or_else(|| debug::<read_ism::ReadIsmErrors>(revert))
        .or_else(|| debug::<prover::MetaProverErrors>(revert));
    match name {
        Some(name) => format!("reverted: {name}"),
        None => revert.to_string(),
    }
}

/// Whether the revert says that the message itself is malformed: no waiting mends that.
pub(super) fn is_malformed(revert: &Revert) -> bool {
    use router::MetalayerRouterErrors as Router;
    matches!(
        Router::abi_decode(&revert.data),
        Ok(Router::InvalidMessage(_)
            | Router::InvalidFinality(_)
            | Router::InvalidRecipient(_)
            | Router::MalformedControlMessage(_)
            | Router::EnvelopeMismatch(_))
    ) || revert.reason().is_some_and(|reason| reason.starts_with("TypeCasts: bytes32ToAddress"))
}

#[cfg(test)]
mod tests {
    use alloy::{primitives::U256, sol_types::SolError};

    use super::*;

    #[test]
    fn reverts_of_ours_are_named_and_others_are_shown() {
        let error = router::InsufficientFee { required: U256::from(2), given: U256::from(1) };
        let revert = |data: Vec<u8>| Revert { message: String::new(), data: data.into() };
        let text = refusal_of(&revert(error.abi_encode())).reason;
        assert!(text.contains("InsufficientFee") && text.contains("required: 2"), "{text}");
        let text = refusal_of(&revert(vec![0xde, 0xad, 0xbe, 0xef])).reason;
        assert_eq!(text, "reverted with 0xdeadbeef");
    }
}
