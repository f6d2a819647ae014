//! Hyperlane's message, version 3.

use alloc::vec::Vec;

use alloy_primitives::{B256, keccak256};

use super::{Malformed, VERSION, split};
use crate::ids::{Domain, MailboxMessageId};

const HEADER_LEN: usize = 77;

/// A Hyperlane message: what a mailbox dispatches and processes.
///
/// | offset | size | field |
/// |---|---|---|
/// | 0 | 1 | version, 3 |
/// | 1 | 4 | nonce |
/// | 5 | 4 | origin domain |
/// | 9 | 32 | sender |
/// | 41 | 4 | destination domain |
/// | 45 | 32 | recipient |
/// | 77 | … | body |
///
/// All integers are big-endian.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Envelope<'a> {
    /// The mailbox's nonce before this message.
    pub nonce: u32,
    /// Where it was dispatched.
    pub origin: Domain,
    /// Who dispatched it.
    pub sender: B256,
    /// Where it may be processed.
    pub destination: Domain,
    /// Who receives it.
    pub recipient: B256,
    /// What the recipient receives.
    pub body: &'a [u8],
}

impl<'a> Envelope<'a> {
    /// Bytes in front of the body.
    pub const HEADER_LEN: usize = HEADER_LEN;

    /// Reads an envelope.
    ///
    /// # Errors
    /// Fewer than 77 bytes, or a version other than 3.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Malformed> {
        let (header, body) = split::<HEADER_LEN>(bytes)?;
        let ([version], rest) = split(header)?;
        if *version != VERSION {
            return Err(Malformed::Version(*version));
        }
        let (nonce, rest) = split(rest)?;
        let (origin, rest) = split(rest)?;
        let (sender, rest) = split(rest)?;
        let (destination, rest) = split(rest)?;
        let (recipient, _) = split(rest)?;
        Ok(Self {
            nonce: u32::from_be_bytes(*nonce),
            origin: Domain(u32::from_be_bytes(*origin)),
            sender: B256::new(*sender),
            destination: Domain(u32::from_be_bytes(*destination)),
            recipient: B256::new(*recipient),
            body,
        })
    }

    /// The bytes that a mailbox emits and hashes.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(Self::HEADER_LEN + self.body.len());
        bytes.push(VERSION);
        bytes.extend_from_slice(&self.nonce.to_be_bytes());
        bytes.extend_from_slice(&self.origin.0.to_be_bytes());
        bytes.extend_from_slice(self.sender.as_slice());
        bytes.extend_from_slice(&self.destination.0.to_be_bytes());
        bytes.extend_from_slice(self.recipient.as_slice());
        bytes.extend_from_slice(self.body);
        bytes
    }

    /// keccak256 of the encoding.
    pub fn id(&self) -> MailboxMessageId {
        MailboxMessageId(keccak256(self.encode()))
    }
}
