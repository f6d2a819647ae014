//! What preparing a message came to.

use alloy::sol_types::SolInterface as _;
use chain::client::{self, Revert};
use protocol::abi::{ism, read_ism, router};

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
        None => NotReady::normal(revert.to_string()),
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
