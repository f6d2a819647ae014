//! The two layers of a message on the wire, and the only parser of each.
//!
//! An [`Envelope`] is what a Hyperlane mailbox carries; its body is a [`Message`], which is what routers and
//! recipients understand. Router, ISMs and agents all use this parser, so none of them can be talked into a
//! different reading of the same bytes.

mod envelope;
mod metalayer;

pub use envelope::Envelope;
pub use metalayer::{Header, Message, Read, Reads, encode};

use crate::finality::UnknownTier;

/// The version byte of envelopes and messages.
pub const VERSION: u8 = 3;

/// Why bytes are not an envelope or a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Malformed {
    /// Fewer bytes than the part that begins at the offset needs.
    Truncated {
        /// Bytes that had to be there.
        expected: usize,
        /// Bytes that are there.
        given: usize,
    },
    /// Another version than [`VERSION`].
    Version(u8),
    /// The finality byte names no tier.
    Finality(u8),
}

impl core::fmt::Display for Malformed {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Truncated { expected, given } => {
                write!(f, "truncated: {expected} bytes expected, {given} given")
            }
            Self::Version(given) => write!(f, "version {VERSION} expected, {given} given"),
            Self::Finality(given) => UnknownTier(*given).fmt(f),
        }
    }
}

impl core::error::Error for Malformed {}

/// The first `N` bytes and the rest.
fn split<const N: usize>(bytes: &[u8]) -> Result<(&[u8; N], &[u8]), Malformed> {
    bytes.split_first_chunk().ok_or(Malformed::Truncated { expected: N, given: bytes.len() })
}
