//! The rule by which validators' signatures verify a message, and the metadata that carries them.
//!
//! The same rule as Hyperlane's multisig modules: exactly the first `threshold` signatures are looked at, each must
//! be a member's, and they stand in the order of the set. What follows them is ignored.

pub mod aggregation;
mod metadata;

use alloy_primitives::{Address, B256};

pub use metadata::{MerkleRootMetadata, MessageIdMetadata};

use crate::{message::Envelope, signable::Signable};

/// Bytes of a signature: r, s, v.
pub const SIGNATURE_LEN: usize = 65;

/// r ‖ s ‖ v with v 27 or 28 and s in the lower half.
pub type Signature = [u8; SIGNATURE_LEN];

/// Half the order of secp256k1, rounded down: the largest s of an accepted signature.
const MAX_S: [u8; 32] = [
    0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
    0x5d, 0x57, 0x6e, 0x73, 0x57, 0xa4, 0x50, 0x1d, 0xdf, 0xe9, 0x2f, 0x46, 0x68, 0x1b, 0x20, 0xa0,
];

/// What a multisig module's signatures are about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum MultisigKind {
    /// A root that provably holds the message (module type 4).
    MerkleRoot = 4,
    /// The message's id, beside some root (module type 5).
    MessageId = 5,
}

/// Why metadata does not verify a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// The set asks for no signature at all.
    NoThreshold,
    /// The metadata is shorter than its header and `threshold` signatures.
    Truncated {
        /// Bytes that had to be there.
        expected: usize,
        /// Bytes that are there.
        given: usize,
    },
    /// The signed checkpoint is older than the leaf.
    LeafAfterCheckpoint,
    /// One of the signatures is malformed, not a member's, repeated, or out of order.
    ThresholdNotMet,
}

impl core::fmt::Display for Refused {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::NoThreshold => f.write_str("the set has no threshold"),
            Self::Truncated { expected, given } => {
                write!(f, "metadata of {expected} bytes expected, {given} given")
            }
            Self::LeafAfterCheckpoint => f.write_str("the leaf is newer than the checkpoint"),
            Self::ThresholdNotMet => f.write_str("not enough members signed, in the set's order"),
        }
    }
}

impl core::error::Error for Refused {}

/// Whether `metadata` proves that `threshold` of the set vouch for the envelope.
///
/// `recover` returns the signer of a digest, as [`recover`] and the precompile at address 1 do.
///
/// # Errors
/// See [`Refused`].
pub fn verify(
    kind: MultisigKind,
    metadata: &[u8],
    envelope: &Envelope<'_>,
    validators: &[Address],
    threshold: usize,
    recover: impl FnMut(B256, &Signature) -> Option<Address>,
) -> Result<(), Refused> {
    let (checkpoint, signatures) = match kind {
        MultisigKind::MessageId => MessageIdMetadata::checkpoint(metadata, envelope)?,
        MultisigKind::MerkleRoot => MerkleRootMetadata::checkpoint(metadata, envelope)?,
    };
    verify_signatures(checkpoint.digest(), signatures, validators, threshold, recover)
}

/// Whether the first `threshold` signatures are members', in the order of the set.
///
/// # Errors
/// See [`Refused`].
pub fn verify_signatures(
    digest: B256,
    signatures: &[u8],
    validators: &[Address],
    threshold: usize,
    mut recover: impl FnMut(B256, &Signature) -> Option<Address>,
) -> Result<(), Refused> {
    if threshold == 0 {
        return Err(Refused::NoThreshold);
    }
    let (signatures, _) = signatures.as_chunks::<SIGNATURE_LEN>();
    let expected = threshold.saturating_mul(SIGNATURE_LEN);
    let given = signatures.len() * SIGNATURE_LEN;
    let signatures = signatures.get(..threshold).ok_or(Refused::Truncated { expected, given })?;
    let mut members = validators.iter();
    for signature in signatures {
        let signer = is_canonical(signature)
            .then(|| recover(digest, signature))
            .flatten()
            .ok_or(Refused::ThresholdNotMet)?;
        if !members.any(|member| *member == signer) {
            return Err(Refused::ThresholdNotMet);
        }
    }
    Ok(())
}

/// Whether v is 27 or 28 and s lies in the lower half, as the modules demand.
pub fn is_canonical(signature: &Signature) -> bool {
    matches!(signature[64], 27 | 28) && signature[32..64] <= MAX_S[..]
}

/// The signer of a digest.
#[cfg(feature = "std")]
pub fn recover(digest: B256, signature: &Signature) -> Option<Address> {
    alloy_primitives::Signature::from_raw_array(signature)
        .ok()?
        .recover_address_from_prehash(&digest)
        .ok()
}
