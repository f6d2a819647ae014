//! What preparing a message came to.

use alloy::{primitives::Address, sol_types::SolInterface};
use chain::client::{self, Revert};
use protocol::{
    abi::{ism, prover, read_ism, router},
    ids::address_of,
    message::{Envelope, Message},
};

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

    pub(super) fn rarely(reason: impl Into<String>) -> Self {
        Self { pace: Pace::Rarely, reason: reason.into() }
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
    /// Gas that `process` may use: the estimate and a margin.
    pub(super) gas_limit: u64,
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

/// Why a message can never be delivered where `router` is ours: no waiting mends its bytes. Only they are
/// asked: a revert may repeat what some contract behind the recipient said about another message.
pub(super) fn malformed(envelope: &Envelope<'_>, router: Address) -> Option<String> {
    if address_of(envelope.recipient).is_none() {
        return Some(format!("{} is no EVM address", envelope.recipient));
    }
    if envelope.recipient != router.into_word() {
        return None;
    }
    let message = match Message::parse(envelope.body) {
        Ok(message) => message,
        Err(error) => return Some(format!("its body is no message: {error}")),
    };
    let header = message.header;
    if (header.origin, header.destination) != (envelope.origin, envelope.destination) {
        return Some("message and envelope disagree on where it comes from and goes to".into());
    }
    if address_of(header.recipient).is_none() {
        return Some(format!("{} is no EVM address", header.recipient));
    }
    let is_control = header.recipient == envelope.recipient;
    let is_plain = header.sender == envelope.sender
        && message.reads.is_empty()
        && message.body.len().is_multiple_of(32);
    (is_control && !is_plain).then(|| "malformed control message".into())
}

#[cfg(test)]
mod tests {
    use alloy::{
        primitives::{B256, U256},
        sol_types::SolError,
    };
    use protocol::{
        finality::Tier,
        ids::Domain,
        message::{Header, encode},
    };

    use super::*;

    const ROUTER: Address = Address::repeat_byte(0x40);
    const SENDER: B256 = B256::repeat_byte(0x50);

    fn header(recipient: B256) -> Header {
        let (origin, destination) = (Domain(1), Domain(2));
        Header { tier: Tier::Instant, nonce: 0, origin, sender: SENDER, destination, recipient }
    }

    fn envelope(recipient: B256, body: &[u8]) -> Envelope<'_> {
        let (origin, destination) = (Domain(1), Domain(2));
        Envelope { nonce: 0, origin, sender: SENDER, destination, recipient, body }
    }

    #[test]
    fn what_can_never_be_delivered_is_read_off_the_message() {
        let to = Address::repeat_byte(0x60).into_word();
        let router = ROUTER.into_word();
        let message = |header: Header, body: &[u8]| encode(&header, &[], body);
        let elsewhere = Header { destination: Domain(3), ..header(to) };
        let forged = Header { sender: B256::ZERO, ..header(router) };
        let good = [message(header(to), b"body"), message(header(router), &[7; 64])];
        for body in &good {
            assert_eq!(malformed(&envelope(router, body), ROUTER), None);
        }
        let bad = [
            b"no message".to_vec(),
            message(header(B256::repeat_byte(1)), b""),
            message(elsewhere, b""),
            message(header(router), b"no ids"),
            message(forged, &[7; 32]),
        ];
        for body in &bad {
            assert!(malformed(&envelope(router, body), ROUTER).is_some());
            // What other applications send one another is not ours to judge.
            assert_eq!(malformed(&envelope(to, body), ROUTER), None);
        }
        assert!(malformed(&envelope(B256::repeat_byte(1), b""), ROUTER).is_some());
    }

    #[test]
    fn a_revert_that_calls_a_message_malformed_parks_nothing() {
        // A recipient that replies through the router bubbles up what the router says of the reply.
        let revert = Revert {
            message: String::new(),
            data: router::InvalidRecipient {}.abi_encode().into(),
        };
        assert_eq!(refusal_of(&revert).pace, Pace::Normal);
    }

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
